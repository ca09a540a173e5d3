"""What a primitive says of its value is true of the numbers, whatever was declared of the arguments."""

from __future__ import annotations

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
    CONSTANT,
    DIAGONAL,
    INTEGER,
    INVERTIBLE,
    NONNEGATIVE,
    ORTHOGONAL,
    POSITIVE,
    PSD,
    SPD,
    SYMMETRIC,
    facts,
)
from matcalc.primitives import algebra, convolution, leaves, loops, matrix, products, reductions, structure
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
]
OTHER = [(), (POSITIVE,)]
M, N = var("M", (n, n)), var("N", (n, n))
A, x, s, u = var("A", (m, n)), var("x", (n, ONE)), var("s"), var("u", SCALAR, POSITIVE)
i = leaves.make(leaves.Index("i"))
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
]


def holds(fact: str, value) -> bool:
    rows, cols = value.shape
    if fact in (POSITIVE, NONNEGATIVE):
        return all(t > (0 if fact == POSITIVE else -NOISE) for t in value.ravel())
    if fact == INTEGER:
        return all(mpmath.isint(t) for t in value.ravel())
    if fact == CONSTANT:
        return True
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
    ways = [SQUARE if v.rows is v.cols and v.rows is not ONE else [()] if INTEGER in facts(v) else OTHER for v in names]
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
    assert {fact for way in SQUARE for fact in way} | {CONSTANT} == set(ATTRIBUTES)


@pytest.mark.parametrize("e", ALL, ids=name)
def test_facts_are_true(e):
    for k, declared in enumerate(declared_in_all_ways(e, 12)):
        assert_facts_hold(declared, Random(k))


@pytest.mark.parametrize("e", COMBINED, ids=name)
def test_facts_of_combinations_are_true(e):
    for k, declared in enumerate(declared_in_all_ways(e, 100)):
        assert_facts_hold(declared, Random(k))
