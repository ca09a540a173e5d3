"""Generated functions agree with the reference value of every primitive, in every kind of shape and precision."""

from __future__ import annotations

import itertools

import mpmath
import numpy as np
import pytest

from matcalc.calculus.gradient import gradient
from matcalc.checks.evaluate import evaluate
from matcalc.dims import ONE, SCALAR, dim
from matcalc.expr import make, postorder, variables
from matcalc.lowering.compiled import compile_numpy
from matcalc.lowering.walk import array_shape
from matcalc.primitives import algebra, convolution, matrix, structure
from matcalc.primitives.base import zeros
from matcalc.primitives.elementwise import FUNCTIONS, exp, log, sin, sqrt, tanh
from matcalc.primitives.leaves import Index, Size, commutation, const, identity, ones, var
from matcalc.primitives.loops import indexed_sum
from matcalc.primitives.maps import Mapped
from matcalc.primitives.products import kron
from matcalc.primitives.reductions import Max, Norm2, Sum, total, tr
from matcalc.primitives.registry import CALLS, PRIMITIVES
from matcalc.primitives.softmax import Softmax
from matcalc.primitives.structure import ALL, AT, diagonal, diagonal_part, reshape, sliced, unit, vec

SIZES = {"m": 4, "n": 3, "p": 2, "q": 5}
M, N, P, Q = (dim(k) for k in "mnpq")


def draw(e, rng, dtype=float):
    """A value for a variable, as its declaration demands; entries in (0.2, 0.9), where all functions are defined."""
    shape = tuple(d.evaluate(SIZES) for d in array_shape(e))
    a = rng.uniform(0.2, 0.9, shape)
    if len(shape) == 2 and shape[0] == shape[1]:
        a = a + np.eye(shape[0])
        if "symmetric" in e.op.declared or "spd" in e.op.declared:
            a = a @ a.T
    return dtype(a) if not shape else a.astype(dtype)


def in_language(e, value):
    """A result of a compiled function as a matrix."""
    return np.asarray(value).reshape([d.evaluate(SIZES) for d in e.shape])


def reference(roots, values, functions=None):
    with mpmath.workdps(30):
        found = evaluate(roots, values, SIZES, functions)
    return [
        np.array([[complex(v) if isinstance(v, mpmath.mpc) else float(v) for v in row] for row in a]) for a in found
    ]


def check(e, seed=0, **options):
    """The compiled ``e`` agrees with its reference value."""
    rng = np.random.default_rng(seed)
    values = {v: draw(v, rng) for v in variables([e])}
    fn = compile_numpy(e, **options)
    given = {v.op.name: value for v, value in values.items()}
    given |= {name: SIZES[name] for name in fn.arguments if name not in given}
    got = fn(**given)
    (expected,) = reference([e], values)
    assert np.shape(got) == (tuple(d.evaluate(SIZES) for d in array_shape(e)) if not e.is_row else expected.shape), (
        fn.source
    )
    np.testing.assert_allclose(in_language(e, got), expected, rtol=1e-11, atol=1e-12, err_msg=fn.source)
    return fn


A, B = var("A", (N, N)), var("B", (N, N))
X, Y = var("X", (M, N)), var("Y", (M, N))
G, H = var("G", (P, Q)), var("H", (Q, N))
S = var("S", (N, N), "spd")
x, y = var("x", (N, ONE)), var("y", (N, ONE))
u, v = var("u", (M, ONE)), var("v", (M, ONE))
s, t = var("s"), var("t")
i, j = make(Index("i")), make(Index("j"))
k = make(Size("n"))

SHAPED = {("n", "n"): A, ("m", "n"): X, ("p", "q"): G, ("n", None): x, (None, None): s}
OPTIONS = {"axis": [None, 0, 1], "mode": ["full", "same", "valid"], "dim": [N]}


def calls():
    """Calls of every function of the language: with matrices, vectors, rows and numbers, and all options."""
    for name, call in CALLS.items():
        if name in FUNCTIONS:
            yield from ((name, FUNCTIONS[name](a)) for a in (s, x, X))
            continue
        choices = [OPTIONS[o.kind] if o.name != "m" or call.slots else [N] for o in call.options]
        if call.variadic:
            slots = [(X, Y), (x.T, x.T), (x, y), (s, t), (A, X, A) if name == "vcat" else (A, A)]
        elif name in ("conv", "corr"):
            slots = [(G, var("Z", (Q, M * 2))), (x, var("z", (N * 2, ONE))), (x.T, x.T), (s, x)]
        elif name == "convmtx":
            choices, slots = [[M], [N], ["full", "same", "valid"]], [(var("K", (P, P)),), (var("w", (P, ONE)),), (s,)]
        elif name == "diag":
            slots = [(x,), (A,)]
        elif name in ("kron", "khatri_rao"):
            slots = [
                (X, A),
                (x, y),
                (x.T, y.T),
                (x, u) if name == "kron" else (x, y),
                (s, X) if name == "kron" else (X, A),
            ]
        elif name == "inner":
            slots = [(X, Y), (x, y), (x.T, y.T)]
        elif name == "e":
            slots = [(const(2),), (k,)]
        elif name == "reshape":
            choices, slots = [[M], [N]], [(X,), (vec(X),), (X.T,)]
            yield name, call.select([X.shape], (N, M))(X)
        elif name == "crop":
            choices, slots = [[dim(2)], [dim(3)]], [(X,)]
        elif name == "pad":
            choices, slots = [[dim(7)], [dim(6)]], [(X,)]
        elif not call.slots:
            slots = [()]
        else:
            square = all(c.takes and all(r is c for r, c in c.takes.values()) for c in call.candidates)
            slots = [tuple([A, B][: len(call.slots)])] if square else [(X,), (A,), (x,), (x.T,), (s,)]
        for args in slots:
            if call.slots == ("x",) and args and not args[0].is_column:
                continue
            for options in itertools.product(*choices):
                yield name, call.select([a.shape for a in args], options)(*args)


def other_expressions():
    """Primitives that are written with signs."""
    yield from (x + y, X + s, s + t + 2, X - Y - 1, A + s * identity(N), identity(N) - A, -x - y)
    yield from (
        A @ B @ x,
        x.T @ A @ y,
        x @ u.T,
        s * (x @ u.T),
        s * X @ x,
        2 * A @ B.T @ A,
        (A @ B).T @ x,
        s * identity(N) @ A,
    )
    yield from (X * Y, x * y, x.T * y.T, X * Y / (Y + 1), x / y, s / t, 1 / x, X / s, s / X)
    yield from (x**p for p in (2, 3, 4, 7, 12, -1, -2, const(1) / 2, const(-3) / 2, 0.3, -1.7, s, y))
    yield from (s**2, s ** (const(1) / 2), s**t, const(2) ** s, X**2, X ** (s + 1), const(2) ** (const(1) / 2) * x)
    yield from (X.T, x.T, (x.T @ A).T)
    yield from (matrix.matrix_power(A, const(c)) for c in (2, 3, 5, -2, -1))
    yield from (matrix.matrix_power(A, k), matrix.matrix_power(A, const(3)) @ x, matrix.matrix_power(s * A, -k))
    yield from (
        sliced(x, AT, ALL, const(2)),
        sliced(X, AT, AT, const(4), const(1)),
        sliced(X, AT, ALL, k),
        sliced(X, ALL, AT, k),
    )
    yield from (
        sliced(X, (dim(2), dim(3)), ALL),
        sliced(X, ALL, (dim(1), N - 1)),
        sliced(x, (dim(2), N), ALL),
        sliced(x.T, ALL, AT, k),
    )
    yield from (sliced(X, (dim(2), dim(2)), (dim(1), dim(2))), sliced(x.T, ALL, (dim(1), dim(2))))
    yield indexed_sum(sliced(x, AT, ALL, i) * sliced(A, AT, ALL, i).T, i, const(1), k)
    yield indexed_sum(sliced(x, AT, ALL, i) ** i * indexed_sum(sliced(A, AT, AT, i, j), j, i, k), i, const(2), k)
    yield indexed_sum(A, i, const(2), k) + indexed_sum(matrix.matrix_power(A, i), i, const(1), const(0))
    yield indexed_sum(sliced(x, AT, ALL, i) + indexed_sum(sliced(y, AT, ALL, i), i, const(1), i), i, const(1), k)
    yield from (
        zeros((N, M)),
        ones(N),
        ones(M, N),
        identity(N),
        commutation(M, N),
        commutation(M, N) @ vec(X),
        zeros(SCALAR),
    )
    yield from (
        k * x,
        (k + 1) ** -1 * x,
        log(k) * x,
        sqrt(const(2)) * x,
        sin(const(1)) * X,
        make(algebra.HADAMARD, (X, X)),
    )
    yield from (convolution.flip(X), convolution.flip(x), tr(s * identity(N)))


def structured():
    """Factors that need not be formed."""
    yield from (
        diagonal(x) @ A,
        A @ diagonal(x),
        diagonal(x) @ y,
        x.T @ diagonal(y),
        diagonal(x) @ diagonal(y) @ A,
        X.T @ diagonal(u) @ X,
    )
    yield from (
        diagonal(x) + A,
        diagonal(x) + s * identity(N),
        diagonal(x) + s,
        diagonal(x) - x @ x.T,
        diagonal(x) * A,
        diagonal(x).T,
    )
    yield from (
        diagonal(x) ** 2,
        exp(diagonal(x)),
        diagonal_part(A @ B),
        diagonal_part(x @ y.T),
        diagonal_part(diagonal(x)),
        tr(A @ B),
    )
    yield from (
        tr(diagonal(x) @ A),
        tr(x @ y.T),
        total(A @ B),
        total(x @ u.T),
        total(X * Y),
        total(s * X),
        total(diagonal(x)),
        total(ones(M, N)),
    )
    yield from (
        Sum(0)(ones(M) @ x.T),
        Sum(1)(ones(M) @ x.T),
        Sum(0)(diagonal(x)),
        total(ones(M) @ x.T),
        Sum(0)(x.T),
        Sum(1)(x),
    )
    yield from (
        X @ ones(N),
        ones(M).T @ X,
        X + ones(M) @ x.T,
        X + u @ ones(N).T,
        X * (ones(M) @ x.T),
        X / (u @ ones(N).T),
        A @ ones(N, N),
    )
    yield from (
        ones(M) @ x.T,
        s * ones(M) @ x.T + 1,
        ones(M) @ x.T + u @ ones(N).T,
        exp(ones(M) @ x.T),
        (ones(M) @ x.T) ** 2,
    )
    yield from (
        unit(const(2), N).T @ A,
        A @ unit(k, N),
        x.T @ unit(k, N),
        unit(k, N) @ x.T,
        unit(const(1), N).T @ A @ y,
        s * unit(k, N),
    )
    inv = matrix.inv
    yield from (
        inv(A) @ x,
        x.T @ inv(A),
        inv(A) @ B,
        B @ inv(A),
        inv(A) @ inv(B),
        x.T @ inv(A) @ y,
        inv(A).T @ x,
        inv(A) @ x @ y.T @ inv(B),
    )
    yield from (
        inv(diagonal(x)) @ y,
        inv(s * identity(N)),
        inv(inv(A)),
        X @ inv(A) @ X.T,
        inv(A) @ diagonal(x),
        inv(A @ B) @ x,
    )
    yield from (
        kron(A, X) @ vec(var("Z", (N, N))),
        vec(var("Z", (M, N))).T @ kron(A, X),
        kron(x, A) @ y,
        kron(x.T, A) @ vec(B),
        kron(A, x) @ y,
    )
    yield from (
        kron(identity(N), X) @ vec(var("Z", (N, N)).T),
        kron(identity(N), ones(M).T) @ kron(x, u),
        kron(A, B) @ kron(B, A),
    )
    yield from (
        kron(identity(N), ones(M).T) @ kron(A, X) @ kron(identity(N), ones(N)),
        kron(ones(N).T, identity(M)) @ kron(A, X) @ kron(ones(N), identity(N)),
    )
    yield from (
        kron(identity(N), identity(M)) @ kron(x, u),
        kron(identity(P), identity(P)),
        commutation(M, N) @ kron(A, X),
        kron(X, A) @ commutation(N, N),
    )
    yield from (
        matrix.LogDet()(S),
        log(matrix.Det()(S)),
        matrix.LogDet()(diagonal(x)),
        matrix.Det()(diagonal(x)),
        matrix.Inv()(S) @ x,
    )
    yield from (
        vec(diagonal(x)),
        vec(ones(M) @ x.T),
        reshape(ones(M, N), (N, M)),
        reshape(X.T, (M, N)),
        vec(X.T),
        reshape(vec(X).T, (N, M)),
    )
    yield from (
        structure.HCat()(identity(N), A, zeros((N, P))),
        structure.VCat()(s * identity(N), X),
        structure.VCat()(s, t, x),
        structure.HCat()(s, x.T),
    )
    yield from (A @ x @ x.T @ B, (x @ y.T) @ (x @ y.T), s * (A @ (t * x)), x.T @ y @ A, (x.T @ y) * (A @ B))
    long = A
    for _ in range(20):
        long = long @ B / 3
    yield from (long, long @ x, x.T @ long)


def stable():
    """Forms that are written in another way than they stand."""
    yield from (
        log(1 + exp(x)),
        log(1 + x),
        exp(x) - 1,
        1 - exp(x),
        1 / (1 + exp(-x)),
        exp(x) / (1 + exp(x)),
        exp(-x) / (1 + exp(-x)),
    )
    sigmoid = FUNCTIONS["sigmoid"]
    yield from (
        1 - sigmoid(x),
        sigmoid(x) * (1 - sigmoid(x)),
        log(sigmoid(x)),
        log(1 - sigmoid(x)),
        sigmoid(x) - 1,
        log(exp(x)),
        2 / (1 + exp(x)),
    )
    yield from (
        log(Softmax(0)(x)),
        log(total(exp(x))),
        log(Sum(0)(exp(X))),
        log(Sum(1)(exp(X))),
        exp(x) / total(exp(x)),
        exp(X) / total(exp(X)),
    )
    yield from (
        exp(X) / (ones(M) @ Sum(0)(exp(X))),
        exp(X) / (Sum(1)(exp(X)) @ ones(N).T),
        log(1 - x / 2),
        log(Softmax(1)(X)),
        Norm2()(x) ** 2,
    )
    yield from (Norm2()(x) ** 3, 1 / Norm2()(X), Norm2()(X.T), Norm2()(x + y), x / Norm2()(x), Norm2()(x) ** -2 * x)


CALLED = list(calls())
OTHERS = [*other_expressions(), *structured(), *stable()]


@pytest.mark.parametrize("at", range(len(CALLED)), ids=lambda at: f"{CALLED[at][0]}-{at}")
def test_calls_agree_with_the_reference(at):
    check(CALLED[at][1], at)


@pytest.mark.parametrize("at", range(len(OTHERS)))
def test_operators_agree_with_the_reference(at):
    check(OTHERS[at], at)


def test_no_primitive_is_left_out():
    seen = {type(node.op) for e in [*OTHERS, *(e for _, e in CALLED)] for node in postorder([e])}
    assert not set(PRIMITIVES) - seen - {Mapped}  # of which only the caller knows the value


def random_expression(rng, size):
    """A sum of products, powers, functions and structured factors of growing size, all shapes fitting."""
    have = {"s": [s, t, k], "x": [x, y], "u": [u], "A": [A, B, S], "X": [X, Y]}

    def pick(kind):
        return have[kind][rng.integers(len(have[kind]))]

    grow = [
        ("s", lambda: pick("x").T @ pick("x")),
        ("s", lambda: tr(pick("A") @ pick("A"))),
        ("s", lambda: total(pick("X") * pick("X"))),
        ("s", lambda: pick("u").T @ pick("X") @ pick("x") + pick("s")),
        ("s", lambda: 1 / (1 + pick("s") ** 2)),
        ("s", lambda: Norm2()(pick("x"))),
        ("s", lambda: Max(None)(pick("X"))),
        ("x", lambda: pick("A") @ pick("x")),
        ("x", lambda: pick("X").T @ pick("u") / k),
        ("x", lambda: pick("s") * pick("x") - pick("x") * tanh(pick("x"))),
        ("x", lambda: matrix.inv(S) @ pick("x")),
        ("x", lambda: diagonal_part(pick("A") @ pick("A").T)),
        ("x", lambda: FUNCTIONS["sigmoid"](pick("x")) + Softmax(0)(pick("x"))),
        ("x", lambda: Sum(0)(pick("X")).T * 2 - 1),
        ("x", lambda: pick("x") / (1 + pick("x") ** 2)),
        ("x", lambda: sliced(pick("A"), ALL, AT, const(int(rng.integers(1, 4))))),
        ("u", lambda: pick("X") @ pick("x")),
        ("u", lambda: pick("u") - tanh(pick("X") @ pick("A") @ pick("x"))),
        ("A", lambda: pick("x") @ pick("x").T),
        ("A", lambda: pick("A") + pick("s") * identity(N)),
        ("A", lambda: diagonal(pick("x")) @ pick("A") / 3),
        ("A", lambda: pick("X").T @ diagonal(pick("u")) @ pick("X") / 4),
        ("A", lambda: pick("A") @ pick("A").T - diagonal(pick("x"))),
        ("A", lambda: tanh(pick("A") @ matrix.inv(S))),
        ("A", lambda: reshape(kron(pick("A"), pick("A")) @ vec(pick("A")), (N, N)) / 5),
        ("X", lambda: pick("X") @ pick("A") / 2 + ones(M) @ pick("x").T),
        ("X", lambda: pick("u") @ pick("x").T - pick("X")),
        ("X", lambda: pick("X") * tanh(pick("X"))),
    ]
    for _ in range(size):
        kind, build = grow[rng.integers(len(grow))]
        have[kind].append(build())
    return [have[kind][-1] for kind in "sxuAX"]


@pytest.mark.parametrize("seed", range(60))
def test_random_expressions_agree_with_the_reference(seed):
    rng = np.random.default_rng(seed)
    roots = random_expression(rng, 4 + seed % 12)
    values = {v: draw(v, rng) for v in variables(roots)}
    fn = compile_numpy({f"r{at}": root for at, root in enumerate(roots)})
    given = {v.op.name: value for v, value in values.items()}
    found = fn(**given, **{name: SIZES[name] for name in fn.arguments if name not in given})
    for root, got, expected in zip(roots, found, reference(roots, values), strict=True):
        scale = max(1.0, abs(expected).max())
        np.testing.assert_allclose(
            in_language(root, got) / scale, expected / scale, rtol=0, atol=1e-10, err_msg=f"seed {seed}\n{fn.source}"
        )


@pytest.mark.parametrize("at", range(0, len(CALLED), 2), ids=lambda at: f"{CALLED[at][0]}-{at}")
def test_gradients_of_calls_agree_with_the_reference(at):
    e = CALLED[at][1]
    e = total(e * sin(e)) if not e.is_scalar else sin(e) * e
    found = variables([e])
    for g in gradient(e, found).values() if found else ():
        check(g, at, subgradient=True)
