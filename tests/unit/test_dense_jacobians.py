"""Matrices with structure are written into their own array as one contraction, and agree with the reference value."""

from __future__ import annotations

import tracemalloc
from random import Random

import mpmath
import numpy as np
import pytest

import matcalc
from matcalc.checks.evaluate import evaluate
from matcalc.dims import ONE, dim
from matcalc.errors import LimitError
from matcalc.expr import make, variables
from matcalc.lowering import runtime
from matcalc.lowering.compiled import compile_numpy
from matcalc.lowering.walk import array_shape
from matcalc.primitives.algebra import add, hadamard, product
from matcalc.primitives.base import zeros
from matcalc.primitives.convolution import Flip
from matcalc.primitives.elementwise import exp, tanh
from matcalc.primitives.leaves import Index, commutation, const, identity, ones, size, var
from matcalc.primitives.loops import indexed_sum
from matcalc.primitives.matrix import inv
from matcalc.primitives.products import inner, khatri_rao, kron
from matcalc.primitives.reductions import Sum, total, tr
from matcalc.primitives.structure import ALL, AT, HCat, VCat, diagonal, diagonal_part, reshape, sliced, unit, vec

SIZES = {"m": 4, "n": 3, "p": 2, "q": 5}
M, N, P, Q = (dim(k) for k in "mnpq")

A, C = var("A", (N, M)), var("C", (N, M))
B, D = var("B", (M, P)), var("D", (M, P))
X, Y = var("X", (N, N)), var("Y", (N, N))
V, W = var("V", (N, P)), var("W", (Q, N))
R = var("R", (P, N))
S = var("S", (N, M))
x, s = var("x", (N, ONE)), var("s", (N, ONE))
b, w = var("b", (M, ONE)), var("w", (M, ONE))
t = var("t")
Z = var("Z", (N * M, N * M))
k = make(Index("k"))


def given(e, sizes=SIZES, dtype=float, seed=0, without=()):
    """Values for the variables of ``e``."""
    rng = np.random.default_rng(seed)
    out = {}
    for v in variables([e]):
        if v in without:
            continue
        shape = tuple(d.evaluate(sizes) for d in array_shape(v))
        a = rng.uniform(0.2, 0.9, shape)
        if len(shape) == 2 and shape[0] == shape[1]:
            a = a + np.eye(shape[0])
        out[v] = a.astype(dtype) if shape else dtype(a)
    return out


def reference(e, values, sizes=SIZES):
    with mpmath.workdps(25):
        (found,) = evaluate([e], values, sizes)
    return np.array([[complex(v) if isinstance(v, mpmath.mpc) else float(v) for v in row] for row in found])


def call(fn, values, sizes=SIZES):
    named = {v.op.name: value for v, value in values.items()}
    return fn(**named, **{name: sizes[name] for name in fn.arguments if name not in named})


def check(e, sizes=SIZES, **options):
    """The compiled ``e`` agrees with its reference value."""
    values = given(e, sizes, **options)
    fn = compile_numpy(e)
    got = call(fn, values, sizes)
    expected = reference(e, values, sizes)
    assert np.shape(got) == (tuple(d.evaluate(sizes) for d in array_shape(e)) if not e.is_row else expected.shape)
    kind = np.asarray(got).dtype
    rtol = 1e-4 if kind in (np.float32, np.complex64) else 1e-11
    np.testing.assert_allclose(
        np.asarray(got).reshape(expected.shape), expected, rtol=rtol, atol=rtol, err_msg=fn.source
    )
    return fn


def eye(d):
    return identity(d)


def stacked_blocks(*rows):
    blocks = [make(HCat(), tuple(row)) if len(row) > 1 else row[0] for row in rows]
    return make(VCat(), tuple(blocks)) if len(blocks) > 1 else blocks[0]


EXAMPLES = {
    "layer by its weights": kron(x.T, diagonal(b)),
    "product by its middle": kron(B.T, A),
    "inverse": -kron(inv(X).T, inv(X)),
    "logdet twice": -kron(inv(X).T, inv(X)) @ commutation(N, N),
    "factorisation": 2 * kron(V.T @ V, eye(M)),
    "quadratic form of rank one": kron(x @ x.T, S @ S.T),
    "elementwise after a product": diagonal(vec(R)) @ kron(X.T, eye(P)),
    "columns": khatri_rao(R.T, eye(P)),
    "softmax by column": diagonal(vec(S)) - khatri_rao(eye(M), S) @ khatri_rao(eye(M), S).T,
    "Gram matrix": (eye(N * N) + commutation(N, N)) @ kron(eye(N), X.T),
    "layers": W @ diagonal(s) @ A,
    "softmax": diagonal(s) - s @ s.T,
    "softmax with more": diagonal(s) - s @ s.T + X @ X,
    "ridge": A @ diagonal(b) @ A.T + t * eye(N),
    "inner layer": kron(b.T, W @ diagonal(s)),
    "two products": kron(B.T, A) + kron(D.T, C),
    "three products": kron(B.T, A) + kron(D.T, C) - 2 * kron((B + D).T, C),
    "symmetric quadratic": kron(X, Y) + kron(X.T, Y.T) @ commutation(N, N),
    "crossed": kron(X, Y) + commutation(N, N) @ kron(X, Y),
    "softmax regression": kron(eye(M), A.T) @ (diagonal(vec(S)) - khatri_rao(eye(M), S) @ khatri_rao(eye(M), S).T)
    @ kron(eye(M), A),
    "softmax regression by samples": kron(A, eye(P))
    @ (diagonal(vec(B.T)) - khatri_rao(eye(M), B.T) @ khatri_rao(eye(M), B.T).T)
    @ kron(A, eye(P)).T,
    "Gram matrix of columns": -3 * khatri_rao(A, C) @ khatri_rao(A, C).T,
    "Gram matrix of columns, added": diagonal(vec(X)) - 3 * khatri_rao(A, C) @ khatri_rao(A, C).T,
    "blocks on the diagonal": hadamard(kron(eye(M), ones(N, N)), var("Z1", (N * M, N * M)))
    @ hadamard(kron(eye(M), ones(N, N)), var("Z2", (N * M, N * M))),
    "rows by rows": hadamard(kron(eye(M), ones(N).T), var("Z3", (M, N * M))) @ kron(eye(M), X) @ var("Z4", (N * M, P)),
    "repeated entries": diagonal(vec(S)) @ Z @ diagonal(diagonal_part(Z)),
    "many sums": (kron(X, Y) + commutation(N, N)) @ (kron(Y, X) - eye(N * N)) @ (kron(X, X) + commutation(N, N))
    @ (kron(Y, Y) + 2 * eye(N * N)) @ (kron(X.T, Y) + eye(N * N)) @ (kron(X, Y.T) + commutation(N, N)),
    "selection": kron(unit(const(2), N).T, eye(M)) @ kron(X, A.T @ A),
    "selection on both sides": kron(unit(const(2), N).T, eye(M)) @ kron(X, A.T @ A) @ kron(unit(k, N), eye(M)),
    "sums of rows": kron(eye(N), ones(M).T) @ kron(X, A.T),
    "sums of everything": ones(N * M).T @ kron(X, A.T @ A) @ diagonal(vec(S.T)),
    "Kronecker by a factor": kron(eye(N), kron(commutation(P, M), eye(Q)) @ kron(eye(M), vec(var("G", (Q, P))))),
    "number in a sum": kron(X, A) + t,
    "number times": (x.T @ s) * kron(X, A),
    "trace times": tr(kron(X, Y)) * X,
    "inner times": inner(kron(X, Y), kron(Y, X)) * X,
    "diagonal part": diagonal(diagonal_part(kron(X, Y))) @ kron(Y, X),
    "entries": hadamard(kron(X, Y), kron(Y, X)),
    "entries with an ordinary one": hadamard(kron(X, Y), var("Z", (N * N, N * N))),
    "ordinary on the left": var("Z", (Q, N * M)) @ kron(X, A.T @ A),
    "ordinary between": kron(X, A) @ var("Z", (N * M, N * M)) @ kron(X, A.T),
    "reshaped": diagonal(vec(reshape(S, (M, N)))) @ kron(X, A.T @ A),
    "reshape of a product": kron(eye(P), reshape(kron(x, b), (M, N))),
    "sizes that do not fit": kron(X, A.T @ A) @ kron(A.T @ A, X),
    "function of structure": exp(kron(X, A)) @ kron(A.T, X),
    "inverse of structure": inv(kron(X, Y) + eye(N * N)) @ kron(Y, X),
    "ten products": kron(X, Y) @ kron(Y, X) @ kron(X, eye(N)) @ kron(eye(N), Y) @ kron(X, X) @ kron(Y.T, Y)
    @ commutation(N, N) @ kron(Y, X.T) @ kron(X, eye(N)) @ kron(eye(N), X),
    "ones": kron(ones(M, P), A),
    "zero block": stacked_blocks((kron(B.T, A), zeros((N * P, P))), (zeros((Q, M * M)), var("Z", (Q, P)))),
    "blocks": stacked_blocks((kron(x.T, diagonal(s)), X, eye(N))),
    "block Hessian": stacked_blocks((kron(X, Y), kron(x, eye(N))), (kron(x.T, eye(N)), diagonal(s) - s @ s.T)),
    "mirrored blocks": stacked_blocks(
        (kron(X, Y), kron(x, Y), vec(Y)),
        (kron(x, Y).T, Y, x),
        (vec(Y).T, x.T, t),
    ),
    "loop over mirrored blocks": indexed_sum(
        stacked_blocks(
            (kron(X, tanh(sliced(A, ALL, AT, k)) @ x.T), kron(tanh(sliced(A, ALL, AT, k)), Y)),
            (kron(tanh(sliced(A, ALL, AT, k)), Y).T, Y),
        ), k, const(1), size(M),
    ),
    "sum of blocks": stacked_blocks((X, eye(N)), (eye(N), Y)) + stacked_blocks((eye(N), X), (Y, x @ s.T)),
    "crossing blocks": stacked_blocks((kron(X, Y), kron(x, eye(N)))) + var("Z", (N * N, N * N + N)),
    "blocks times": var("Z", (Q, N)) @ stacked_blocks((kron(x.T, diagonal(s)), X)),
    "blocks by blocks": stacked_blocks((eye(N), X)) @ stacked_blocks((kron(x.T, X),), (kron(s.T, Y),)),
    "blocks in products": kron(stacked_blocks((eye(N), X)), B),
    "transposed blocks": stacked_blocks((kron(x.T, diagonal(s)), X)).T,
    "indexed sum": indexed_sum(kron(product(sliced(A, ALL, AT, k), sliced(A, ALL, AT, k).T), X * sliced(b, AT, ALL, k)),
                               k, const(1), size(M)),
    "indexed sum of units": indexed_sum(kron(unit(k, N), kron(X, unit(k, N).T)), k, const(1), size(N)),
    "indexed sum as a loop": indexed_sum(kron(tanh(sliced(A, ALL, AT, k)) @ x.T, X), k, const(2), size(M)),
    "loop in a sum": indexed_sum(kron(tanh(sliced(A, ALL, AT, k)) @ x.T, X), k, const(1), size(M)) + kron(X, Y),
    "rows of structure": sliced(kron(X, Y), (dim(2), dim(4)), ALL),
    "column of structure": diagonal(sliced(kron(X, Y), ALL, AT, const(2))) @ kron(Y, X),
    "part of an identity": kron(sliced(eye(N), (dim(2), dim(3)), ALL), B),
}  # fmt: skip


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_agree_with_the_reference(name):
    e = EXAMPLES[name]
    if k in free(e):
        e = indexed_sum(e, k, const(1), const(2))
    check(e)
    if "of structure" not in name and name != "sizes that do not fit":
        assert "np.kron" not in compile_numpy(e).source


def free(e):
    from matcalc.primitives.loops import free_indices

    return free_indices(e)


@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
def test_precision_is_kept(dtype):
    for name in ("layer by its weights", "softmax by column", "block Hessian", "two products", "logdet twice"):
        values = given(EXAMPLES[name], dtype=dtype)
        got = call(compile_numpy(EXAMPLES[name]), values)
        assert got.dtype == dtype
        np.testing.assert_allclose(got, reference(EXAMPLES[name], values), rtol=2e-4 if dtype is np.float32 else 1e-11)


@pytest.mark.parametrize("small", "mnpq")
def test_sizes_may_be_one(small):
    for name, e in EXAMPLES.items():
        if not free(e) and not any(word in name for word in ("part", "rows", "selection", "column of", "units")):
            check(e, {**SIZES, small: 1})


def test_sizes_may_be_zero():
    for name in ("layer by its weights", "product by its middle", "softmax by column", "block Hessian", "softmax"):
        got = call(compile_numpy(EXAMPLES[name]), given(EXAMPLES[name], {**SIZES, "n": 0}), {**SIZES, "n": 0})
        assert got.size == 0 or not got.any()


# What is written


@pytest.mark.parametrize(("name", "has", "lacks"), [
    ("layer by its weights", "np.multiply(x, b[:, None], out=", "np.diag"),
    ("factorisation", "V.T.dot(V)", "np.eye"),
    ("logdet twice", "lapack.inverse(X", "commutation"),
    ("elementwise after a product", "rt.strided(", "np.eye"),
    ("softmax", "out.reshape(-1)[:: n + 1] += s", "np.diag"),
    ("indexed sum", "(b * A).dot(A.T)", "for "),
    ("layers", "W.dot(s[:, None] * A)", "out"),
    ("number times", "x.dot(s)", "np.eye"),
    ("softmax regression by samples", "t1.dot(t1.T)", "-t1"),
    ("Gram matrix of columns", "out *= -3", "-3 *"),
    ("blocks on the diagonal", "np.matmul(", "np.eye"),
    ("mirrored blocks", "= out[:n * n, n * n:n * n + n].T", "np.concatenate"),
])  # fmt: skip
def test_the_source_is_one_contraction(name, has, lacks):
    source = compile_numpy(EXAMPLES[name]).source.split('"""')[-1]
    assert has in source and lacks not in source, source


def test_one_inverse_is_shared():
    assert compile_numpy(EXAMPLES["logdet twice"]).source.count("inverse(") == 1


def test_results_share_no_memory():
    e = EXAMPLES["two products"]
    first, second = compile_numpy({"J": e, "K": e})(**{v.op.name: a for v, a in given(e).items()})
    assert not np.shares_memory(first, second)


@pytest.mark.parametrize("name", [
    "layer by its weights", "product by its middle", "logdet twice", "factorisation", "quadratic form of rank one",
    "elementwise after a product", "softmax by column", "Gram matrix", "two products", "crossed", "symmetric quadratic",
    "softmax regression", "block Hessian", "mirrored blocks", "indexed sum",
])  # fmt: skip
def test_no_array_of_the_size_of_the_result_is_made_besides_it(name):
    sizes = dict.fromkeys("mnpq", 24)
    e = EXAMPLES[name]
    fn, values = compile_numpy(e), given(e, sizes)
    result = call(fn, values, sizes).nbytes
    tracemalloc.start()
    try:
        call(fn, values, sizes)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.25 * result + 10**5, f"{peak / result:.2f} times the result"


# Random products and sums


class Structured:
    """Random matrices whose rows and columns are products of dimensions."""

    def __init__(self, seed):
        self.rng = Random(f"structured {seed}")

    def dims(self, most=2):
        return tuple(self.rng.choice([M, N, P, ONE]) for _ in range(self.rng.randint(0, most)))

    def variable(self, rows, cols):
        return var(
            f"z{self.rng.randint(1, 2)}_{'_'.join(map(str, (*rows, 'by', *cols)))}", (volume(rows), volume(cols))
        )

    def matrix(self, rows, cols, depth):
        if depth <= 0:
            return self.leaf(rows, cols)
        ways = [self.kron, self.kron, self.product, self.product, self.sum, self.transposed]
        ways += [self.hadamard, self.scaled, self.indexed, self.blocks]
        if rows == cols and rows:
            ways += [self.diagonal, self.diagonal]
        if len(rows) == 2 and rows == cols[::-1]:
            ways += [self.commutation] * 3
        if len(rows) >= 2:
            ways.append(self.khatri_rao)
        if not cols:
            ways += [self.vec, self.vec, self.diagonal_part, self.row_sums]
        return self.rng.choice(ways)(rows, cols, depth - 1)

    def leaf(self, rows, cols):
        kind = self.rng.random()
        if rows == cols and kind < 0.4:
            return identity(volume(rows))
        if kind < 0.12:
            return ones(volume(rows), volume(cols))
        if not cols and len(rows) == 1 and kind < 0.3 and rows[0] is not ONE:
            return unit(const(1), rows[0])
        return self.variable(rows, cols)

    def kron(self, rows, cols, depth):
        i, j = self.rng.randint(0, len(rows)), self.rng.randint(0, len(cols))
        return kron(self.matrix(rows[:i], cols[:j], depth), self.matrix(rows[i:], cols[j:], depth))

    def khatri_rao(self, rows, cols, depth):
        i = self.rng.randint(0, len(rows))
        return khatri_rao(self.matrix(rows[:i], cols, depth), self.matrix(rows[i:], cols, depth))

    def product(self, rows, cols, depth):
        inside = self.rng.choice([self.dims(), rows, cols])
        return product(self.matrix(rows, inside, depth), self.matrix(inside, cols, depth))

    def sum(self, rows, cols, depth):
        shape = (volume(rows), volume(cols))
        return add(self.matrix(rows, cols, depth), -1 * self.matrix(rows, cols, depth), shape=shape)

    def transposed(self, rows, cols, depth):
        return self.matrix(cols, rows, depth).T

    def hadamard(self, rows, cols, depth):
        return hadamard(self.matrix(rows, cols, depth), self.matrix(rows, cols, depth))

    def scaled(self, rows, cols, depth):
        return product(self.rng.choice([2, t, x.T @ s]), self.matrix(rows, cols, depth))

    def diagonal(self, rows, cols, depth):
        return diagonal(self.matrix(rows, (), depth)) if volume(rows) is not ONE else self.leaf(rows, cols)

    def diagonal_part(self, rows, cols, depth):
        return diagonal_part(self.matrix(rows, rows, depth))

    def row_sums(self, rows, cols, depth):
        inside = self.dims()
        a = self.matrix(rows, inside, depth)
        summed = volume(inside) is not ONE and volume(rows) is not ONE
        return Sum(1)(a) if summed else product(a, ones(volume(inside)))

    def vec(self, rows, cols, depth):
        i = self.rng.randint(0, len(rows))
        return vec(self.matrix(rows[i:], rows[:i], depth))

    def commutation(self, rows, cols, depth):
        return commutation(rows[0], rows[1])

    def indexed(self, rows, cols, depth):
        a = self.matrix(rows, (*cols, N), depth - 1)
        return indexed_sum(product(a, kron(self.matrix(cols, cols, depth - 1), unit(k, N))), k, const(1), size(N))

    def blocks(self, rows, cols, depth):
        left, right = self.dims(1), self.dims(1)
        a, b = self.matrix(rows, left, depth), self.matrix(rows, right, depth)
        c, d = self.matrix(left, cols, depth), self.matrix(right, cols, depth)
        if any(e.is_zero for e in (a, b, c, d)):
            return product(a, c)
        return product(make(HCat(), (a, b)), make(VCat(), (c, d)))


def volume(dims):
    out = ONE
    for d in dims:
        out = out * d
    return out


def test_random_structure_agrees_with_the_reference(monkeypatch):
    for seed in range(150):
        monkeypatch.setattr(runtime, "_SMALL", 0 if seed % 2 else 4000)
        g = Structured(seed)
        e = g.matrix(g.dims(), g.dims(), 4)
        if not e.is_zero:
            check(e, {"m": 4, "n": 3, "p": 2, "q": 5} if seed % 3 else {"m": 2, "n": 3, "p": 1, "q": 1})


def test_outer_products_by_halves_agree():
    rng = np.random.default_rng(0)
    for dtype, rtol in ((np.float64, 1e-15), (np.float32, 2e-7), (np.complex128, 1e-15)):
        for shapes in (((30,), (40,)), ((7, 1, 30), (20, 40)), ((1, 30), (5, 1, 40)), ((70, 3), (70, 30))):
            a, b = (rng.normal(size=shape).astype(dtype) for shape in shapes)
            expected = a[..., None] * b[..., None, :]
            got = runtime.outer(a, b)
            assert got.dtype == dtype and got.shape == expected.shape
            np.testing.assert_allclose(got, expected, rtol=rtol, atol=0)
            turned = np.empty(expected.shape[::-1], dtype).T
            np.testing.assert_allclose(runtime.outer(a, b, out=turned), expected, rtol=rtol, atol=0)


# Stacks


def check_stack(e, v):
    values = given(e, without=(v,))
    fn = compile_numpy(e, stacked=v)
    got = call(fn, values)
    count = v.rows.evaluate(SIZES)
    assert got.shape == (count, *[d.evaluate(SIZES) for d in array_shape(e)])
    for i, slice_ in enumerate(got):
        expected = reference(e, {**values, v: np.eye(count)[i]})
        np.testing.assert_allclose(slice_, expected.reshape(slice_.shape), rtol=1e-11, atol=1e-12, err_msg=fn.source)
    return fn


v = var("v", (M, ONE))
u = var("u", (N * P, ONE))
vv = var("v", (N + M, ONE))

STACKS = {
    "layer": (A @ diagonal(v * w) @ A.T, v),
    "with a multiple of the weights": (A @ diagonal(v * w) @ A.T + (v.T @ w) * X, v),
    "by weights": (kron(diagonal(reshape(u, (P, N)) @ x), eye(N)) @ kron(eye(P), X), u),
    "an entry": (sliced(v, AT, ALL, const(2)) * (x @ x.T) + diagonal(A @ v), v),
    "softmax": (diagonal(b * v) - b @ (b * v).T - (b * v) @ b.T, v),
    "softmax, with inner products": (diagonal(b * v) - (b.T @ v) * diagonal(b) - b @ (b * v).T, v),
    "blocks": (
        stacked_blocks((A @ diagonal(v) @ A.T, A @ diagonal(v * w)), (diagonal(v * w) @ A.T, zeros((M, M)))),
        v,
    ),
    "parts": (kron(diagonal(sliced(vv, (ONE, N), ALL)), diagonal(b)), vv),
    "parts, added": (
        kron(diagonal(sliced(vv, (ONE, N), ALL)), A) + kron(X, x @ (sliced(vv, (N + 1, N + M), ALL) * b).T),
        vv,
    ),
    "parts of two functions": (
        add(
            product(B.T, diagonal(sliced(vv, (ONE, M), ALL)), B),
            product(tr(diagonal(sliced(vv, (M + 1, M + N), ALL))), B.T @ D),
        ),
        vv,
    ),
    "through a function": (make(Flip(), (v,)) @ x.T, v),
    "number": (x.T @ A @ v, v),
    "column": (A @ v, v),
    "row": (v.T @ A.T, v),
    "zero": (zeros((N, N)) + zeros((N, N)), v),
    "mirrored": (
        stacked_blocks((A @ diagonal(v) @ A.T, A @ diagonal(v * w)), ((A @ diagonal(v * w)).T, diagonal(v))),
        v,
    ),
    "inner": (inner(diagonal(v), B @ D.T) * X, v),
    "total": (total(diagonal(v) @ B) * X + kron(v.T @ B, x @ s.T) @ kron(ones(P), eye(N)), v),
}


@pytest.mark.parametrize("name", STACKS)
def test_stacks_agree_with_the_reference(name):
    fn = check_stack(*STACKS[name])
    assert ("for " in fn.source) == (name == "through a function"), fn.source


def test_random_stacks_agree_with_the_reference():
    for seed in range(40):
        g = Structured(f"stack {seed}")
        rows, cols = g.dims(), g.dims()
        shape = (volume(rows), volume(cols))
        terms = [product(g.matrix(rows, (M,), 2), diagonal(v), g.matrix((M,), cols, 2))]
        terms.append(product(w.T @ v, g.matrix(rows, cols, 3)))
        terms.append(reshape(g.matrix(cols + rows, (M,), 2) @ v, shape))
        e = add(*g.rng.sample(terms, g.rng.randint(1, 3)), shape=shape)
        if not e.is_zero:
            check_stack(e, v)


# The limit


def test_results_over_the_limit_are_refused():
    fn = compile_numpy(kron(x @ x.T, S), limit=10**6)
    assert fn(np.ones(3), np.ones((3, 4))).shape == (9, 12)
    with pytest.raises(LimitError) as refused:
        fn(np.ones(200), np.ones((200, 4)))
    assert "(40000, 800)" in str(refused.value) and "244 MiB" in str(refused.value) and "limit=" in str(refused.value)
    assert "LIMIT" not in compile_numpy(kron(x @ x.T, S), limit=None).source


def test_what_is_no_larger_than_an_argument_needs_no_limit():
    for e in (X @ x, X @ Y, X.T, x + s, x.T @ s):
        assert "LIMIT" not in compile_numpy(e).source


def test_the_limit_holds_before_anything_is_allocated():
    with pytest.raises(LimitError):
        compile_numpy(kron(x @ x.T, x @ x.T))(np.ones(10**5))


def test_a_block_that_begins_as_a_factor_takes_operands_by_columns() -> None:
    f = matcalc.parse("(tanh(x).^2)'*((y*z') .* S)*tanh(x).^2", "x, y, z in R^n; S in R^{n x n}")
    rng = np.random.default_rng(0)
    x, y, z, S = rng.normal(size=5), rng.normal(size=5), rng.normal(size=5), rng.normal(size=(5, 5))
    h = f.hessian("x", "z").compile(blocks=True)
    for one, other in zip(h(x=x, y=y, z=z, S=S), h(x=x, y=y, z=z, S=np.asfortranarray(S)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)
