"""What a primitive says of its value is true of the numbers, whatever was declared of the arguments."""

from __future__ import annotations

from fractions import Fraction
from itertools import product as all_pairs
from random import Random

import mpmath
import pytest

from matcalc.checks.domain import Watch
from matcalc.checks.evaluate import evaluate
from matcalc.checks.sampling import draw_point
from matcalc.checks.taylor import UNSOUND
from matcalc.dims import ONE, SCALAR, dim
from matcalc.expr import Expr, substitute, variables
from matcalc.facts import (
    ATTRIBUTES,
    COLUMNS,
    CONSTANT,
    DIAGONAL,
    INSIDE,
    INTEGER,
    INVERTIBLE,
    NONNEGATIVE,
    ONEHOT,
    ORTHOGONAL,
    POSITIVE,
    PSD,
    ROWS,
    SPD,
    STOCHASTIC,
    SYMMETRIC,
    WITHIN,
    facts,
)
from matcalc.primitives import algebra, convolution, leaves, loops, matrix, products, reductions, softmax, structure
from matcalc.primitives.elementwise import FUNCTIONS
from matcalc.primitives.leaves import var
from tests.contract.instances import ALL, name

NOISE = mpmath.mpf(10) ** -30
n, m = dim("n"), dim("m")
SQUARE = [
    (),
    (SYMMETRIC,),
    (SPD,),
    (PSD,),
    (DIAGONAL,),
    (DIAGONAL, SPD),
    (ORTHOGONAL,),
    (INVERTIBLE,),
    (POSITIVE,),
    (POSITIVE, SPD),
    (NONNEGATIVE, PSD),
    (STOCHASTIC,),
    (STOCHASTIC, SPD),
    (STOCHASTIC, INVERTIBLE),
    (COLUMNS,),
    (ROWS,),
    (POSITIVE, COLUMNS, ROWS),
    (ONEHOT,),
]
OTHER = [(), (POSITIVE,), (NONNEGATIVE,), (COLUMNS,), (STOCHASTIC,), (ONEHOT,), (POSITIVE, STOCHASTIC)]
NUMBER = [(), (POSITIVE,)]
M, N = var("M", (n, n)), var("N", (n, n))
A, x, s, u = var("A", (m, n)), var("x", (n, ONE)), var("s"), var("u", SCALAR, POSITIVE)
i = leaves.make(leaves.Index("i"))
x2, half = var("x", (m, ONE)), leaves.const(Fraction(1, 2))
soft = softmax.Softmax(0)(x)
blocks = products.khatri_rao(leaves.identity(n), A)
quadratic = x.T @ M @ x
COMBINED = [
    A.T @ A,
    A @ A.T,
    M.T @ M,
    M @ N @ M.T,
    M.T @ N @ M,
    s * M,
    u * M,
    -M,
    u * (M.T @ M),
    s * (x @ x.T),
    x @ x.T,
    M @ N,
    M @ M,
    M @ N @ M,
    M + N,
    M + M.T,
    M + s,
    M * N,
    products.kron(M, N),
    M**N,
    quadratic**M,
    M**2,
    M**3,
    M**s,
    M**-1,
    s**M,
    quadratic,
    x.T @ x,
    products.inner(M, N),
    products.inner(M, M),
    reductions.tr(M),
    reductions.tr(M @ N),
    reductions.total(M),
    reductions.Mean(None)(M),
    structure.diagonal(x),
    structure.diagonal_part(M),
    structure.diagonal(structure.diagonal_part(M)),
    matrix.inv(M),
    matrix.DET(M),
    matrix.adj(M),
    matrix.matrix_power(M, leaves.const(2)),
    matrix.matrix_power(M, leaves.const(-2)),
    matrix.matrix_power(M, leaves.const(3)),
    matrix.EXPM(M),
    matrix.PINV(M),
    convolution.flip(M),
    FUNCTIONS["exp"](M),
    FUNCTIONS["tanh"](M),
    loops.indexed_sum(M * i, i, leaves.const(-2), leaves.const(1)),
    loops.indexed_sum(s * i, i, leaves.const(0), leaves.const(1)),
    loops.indexed_sum(u * i, i, leaves.const(-3), leaves.const(1)),
    loops.indexed_sum(u**i, i, leaves.const(-1), leaves.const(1)),
    matrix.inv(M) @ N @ matrix.inv(M).T,
    algebra.product(s, s, M),
    algebra.product(s, u, M.T, M),
    M - M,
    # sums of columns
    x.T @ leaves.ones(n),
    reductions.Sum(0)(A),
    reductions.Sum(1)(A.T),
    reductions.Mean(1)(A),
    A.T @ x2,
    A @ x,
    structure.HCat()(A, A @ M),
    structure.VCat()(A, M.T),
    structure.sliced(A, structure.ALL, structure.AT, leaves.const(1)),
    products.kron(M, x),
    products.khatri_rao(A, A),
    half * A + half * (A @ M),
    s * A + (1 - s) * (A @ M),
    2 * A - A @ M,
    A - A @ M,
    s * M - (s - 1) * M.T,
    # entries between -1 and 1
    1 - FUNCTIONS["sigmoid"](A),
    FUNCTIONS["sigmoid"](A) * (1 - FUNCTIONS["sigmoid"](A)),
    1 - FUNCTIONS["tanh"](A).square(),
    1 - A,
    1 - A * A,
    half + half * FUNCTIONS["erf"](A),
    1 - FUNCTIONS["sin"](A) * FUNCTIONS["cos"](A),
    2 - FUNCTIONS["tanh"](A) - FUNCTIONS["sigmoid"](A),
    1 - FUNCTIONS["step"](A) * FUNCTIONS["sign"](A).square(),
    FUNCTIONS["step"](A) - 2 * FUNCTIONS["sigmoid"](A) + 1,
    leaves.ones(m, n) - softmax.Softmax(0)(A),
    A**-1,
    A.square() ** leaves.const(Fraction(-3, 2)),
    # differences of matrices
    structure.diagonal(x) - x @ x.T,
    structure.diagonal(soft) - soft @ soft.T,
    3 * structure.diagonal(soft) - 2 * (soft @ soft.T) + M,
    u * structure.diagonal(soft) - u * (soft @ soft.T),
    structure.diagonal(x) - x @ x.T / reductions.total(x),
    A @ (structure.diagonal(x) - x @ x.T) @ A.T,
    A @ structure.diagonal(x) @ A.T - A @ x @ x.T @ A.T,
    leaves.identity(n) - x @ x.T / reductions.NORM2(x).square(),
    leaves.identity(n) - x @ x.T / (x.T @ x),
    (leaves.identity(n) - x @ x.T / reductions.NORM2(x).square()) / reductions.NORM2(x),
    leaves.identity(n) - x @ x.T,
    leaves.identity(n * m) - structure.vec(A) @ structure.vec(A).T / reductions.NORM2(A).square(),
    leaves.identity(n) / reductions.NORM2(x) - x @ x.T / reductions.NORM2(x) ** 3,
    M - M @ x @ x.T @ M.T / (x.T @ M @ x),
    leaves.identity(n) - leaves.ones(n, n) / leaves.size(n),
    structure.diagonal(structure.vec(A)) - blocks @ blocks.T,
    M - half * M,
    products.kron(x @ x.T, structure.diagonal(soft) - soft @ soft.T),
    products.kron(A, M) @ products.kron(A.T, M.T),
    M * M - M,
    M.square(),
    s.square() * (M.T @ M),
]


def holds(fact: str, value) -> bool:
    rows, cols = value.shape
    if fact in (POSITIVE, NONNEGATIVE):
        return all(t > (0 if fact == POSITIVE else -NOISE) for t in value.ravel())
    if fact == INTEGER:
        return all(mpmath.isint(t) for t in value.ravel())
    if fact in (CONSTANT, STOCHASTIC):  # what a stochastic matrix is, is said by other facts
        return True
    if fact in (WITHIN, INSIDE):
        return abs(value).max() < 1 + (NOISE if fact == WITHIN else 0)
    if fact == COLUMNS:
        return all(abs(t - 1) <= NOISE * (1 + abs(value).max()) for t in value.sum(axis=0))
    if fact == ROWS:
        return all(abs(t - 1) <= NOISE * (1 + abs(value).max()) for t in value.sum(axis=1))
    if fact == ONEHOT:
        return all(sorted(column) == [0] * (rows - 1) + [1] for column in value.T)
    assert rows == cols, f"{fact} of a matrix that is not square"
    scale = 1 + abs(value).max()
    if fact == SYMMETRIC:
        return abs(value - value.T).max() <= NOISE * scale
    if fact == DIAGONAL:
        return all(abs(value[a, b]) <= NOISE * scale for a in range(rows) for b in range(rows) if a != b)
    if fact == ORTHOGONAL:
        product = value.dot(value.T)
        return all(abs(product[a, b] - (a == b)) <= NOISE * scale for a in range(rows) for b in range(rows))
    if fact == INVERTIBLE:
        return abs(mpmath.det(mpmath.matrix(value.tolist()))) > NOISE
    lowest = min(mpmath.eigsy(mpmath.matrix(((value + value.T) / 2).tolist()), eigvals_only=True))
    return lowest > (NOISE if fact == SPD else -NOISE * scale)


def singular(env, rng: Random):
    """Matrices of rank one, half of the time, for what is declared no more than positive semidefinite."""
    for leaf, value in env.items():
        if set(leaf.op.facts(())) == {PSD} and rng.random() < 0.5:
            yield leaf, value[:, :1].dot(value[:, :1].T)


def assert_facts_hold(e: Expr, rng: Random) -> None:
    for attempt in range(40):
        try:
            point = draw_point([e], rng, attempt)
            point.env.update(singular(point.env, rng))
            (value,) = evaluate([e], point.env, point.sizes, watch=Watch())
        except UNSOUND:
            continue
        for fact in facts(e):
            assert holds(fact, value), f"{e} is not {fact}: {value.astype(float)}"
        return


def declared_in_all_ways(e: Expr, most: int):
    """The expression with its variables declared in every way (of many variables: in ``most`` random ways)."""
    names = variables([e])
    ways = [
        [()] if INTEGER in facts(v) else NUMBER if v.is_scalar else SQUARE if v.rows is v.cols else OTHER for v in names
    ]
    positive = [POSITIVE in v.op.declared for v in names]  # no unit vectors, then
    ways = [[d for d in w if not p or ONEHOT not in d] for w, p in zip(ways, positive, strict=True)]
    combinations = list(all_pairs(*ways))
    for way in combinations if len(combinations) <= most else Random(0).sample(combinations, most):
        yield substitute(e, {v: var(v.op.name, v.shape, *v.op.declared, *d) for v, d in zip(names, way, strict=True)})


@pytest.fixture(autouse=True)
def forty_digits():
    with mpmath.workdps(40):
        yield


def test_every_attribute_of_a_declaration_is_drawn():
    for fact in ATTRIBUTES:
        for seed in range(5):
            assert_facts_hold(var("M", (n, n), fact), Random(seed))
    assert {fact for way in SQUARE for fact in way} | {CONSTANT} == {*ATTRIBUTES, COLUMNS, ROWS}


@pytest.mark.parametrize(
    "e, fact",
    [
        (1 - FUNCTIONS["sigmoid"](A), POSITIVE),
        (1 - FUNCTIONS["tanh"](A).square(), POSITIVE),
        (1 - FUNCTIONS["step"](A) * FUNCTIONS["sign"](A).square(), NONNEGATIVE),
        (structure.diagonal(soft) - soft @ soft.T, PSD),
        (3 * structure.diagonal(soft) - 2 * (soft @ soft.T) + M.T @ M, PSD),
        (A @ (structure.diagonal(soft) - soft @ soft.T) @ A.T, PSD),
        (A @ structure.diagonal(soft) @ A.T - A @ soft @ soft.T @ A.T, PSD),
        (leaves.identity(n) / reductions.NORM2(x) - x @ x.T / reductions.NORM2(x) ** 3, PSD),
        (leaves.identity(n) - leaves.ones(n, n) / leaves.size(n), PSD),
        (products.kron(A, M) @ products.kron(A.T, M.T), PSD),
        (half * softmax.Softmax(0)(A) + half * (softmax.Softmax(0)(A) @ softmax.Softmax(0)(M)), COLUMNS),
        (s * soft + (1 - s) * soft, COLUMNS),
    ],
)
def test_what_must_be_known(e, fact):
    assert fact in facts(e)


@pytest.mark.parametrize("e", ALL, ids=name)
def test_facts_are_true(e):
    for k, declared in enumerate(declared_in_all_ways(e, 12)):
        assert_facts_hold(declared, Random(k))


@pytest.mark.parametrize("e", COMBINED, ids=name)
def test_facts_of_combinations_are_true(e):
    for k, declared in enumerate(declared_in_all_ways(e, 100)):
        assert_facts_hold(declared, Random(k))
