"""Expressions that show every primitive at work, with all dimensions different; a new primitive gets its row here only
where its declared argument shapes do not say enough."""

from __future__ import annotations

from fractions import Fraction

from matcalc.dims import ONE, SCALAR, dim
from matcalc.expr import Expr, make
from matcalc.facts import INTEGER, INVERTIBLE, POSITIVE
from matcalc.primitives import (
    algebra,
    convolution,
    leaves,
    loops,
    maps,
    matrix,
    products,
    reductions,
    registry,
    softmax,
    structure,
)
from matcalc.primitives.base import Primitive, Zeros
from matcalc.primitives.elementwise import FUNCTIONS
from matcalc.primitives.functions import Elementwise, Unknown
from matcalc.primitives.leaves import const, size, var

m, n, p, q = map(dim, "mnpq")
A, B, C = var("A", (m, n)), var("B", (m, n)), var("C", (n, p))
M, N = var("M", (n, n)), var("N", (n, n))
G = var("G", (n, n), INVERTIBLE)
P = var("P", (m, n), POSITIVE)
x, y, z = var("x", (n, ONE)), var("y", (n, ONE)), var("z", (m, ONE))
row = var("r", (ONE, n))
s, t, u = var("s"), var("t"), var("u", SCALAR, POSITIVE)
i, j = make(leaves.Index("i")), make(leaves.Index("j"))
k = var("k", SCALAR, INTEGER)

v, D = var("v", (p, ONE)), var("D", (dim(2), n))
f = maps.Map("f", (x.shape, v.shape), (m, ONE))
L = maps.Map("L", (y.shape,), SCALAR)
Q = maps.Map("Q", (D.shape, SCALAR), (dim(3), dim(2)))
q2 = maps.Map("q2", (A.shape, x.shape), SCALAR)
N1 = maps.Map("N1", (x.shape,), (ONE, m))

BY_HAND: dict[type[Primitive], list[Expr]] = {
    Zeros: [make(Zeros((m, n))), make(Zeros(SCALAR))],
    leaves.Pi: [make(leaves.Pi())],
    leaves.Identity: [make(leaves.Identity(n))],
    leaves.Ones: [make(leaves.Ones((m, n))), make(leaves.Ones((n, n))), make(leaves.Ones((n, ONE)))],
    leaves.Commutation: [make(leaves.Commutation(m, n)), make(leaves.Commutation(n, n))],
    algebra.Add: [A + B, A + B + A * B, s + t, A + s, s + x + t],
    algebra.Product: [
        A @ C,
        A @ C @ C.T,
        s * A,
        algebra.product(A, s, C),
        s * t,
        x.T @ y,
        z @ x.T,
        row @ x,
        x @ row,
        -A,
        algebra.product(s, x.T, y, t),
        make(algebra.PRODUCT, (s, A, t, C)),
    ],
    algebra.Hadamard: [A * B, A * B * P, x * y, row * row],
    algebra.Power: [
        A**2,
        A**3,
        P**-1,
        P ** Fraction(1, 2),
        P**s,
        P**P,
        u**t,
        u**x,
        s**3,
        P ** (-t),
        const(2) ** s,
        const(2) ** A,
    ],
    algebra.Transpose: [A.T, x.T, row.T, M.T],
    products.Kron: [products.kron(A, C), products.kron(x, row), products.kron(x, z)],
    products.KhatriRao: [products.khatri_rao(A, var("D", (p, n))), products.khatri_rao(row, row)],
    products.Inner: [
        make(products.INNER, (A, B)),
        make(products.INNER, (x, y)),
        make(products.INNER, (A, A)),
        make(products.INNER, (row, row)),
    ],
    Elementwise: [*(f(A) for f in FUNCTIONS.values()), FUNCTIONS["tanh"](x), FUNCTIONS["tanh"](s)]
    + [Elementwise(Unknown("phi"), order)(A) for order in (0, 1, 2)],
    maps.Mapped: [
        f(x, v),
        L(y),
        Q(D, s),
        q2(A, x),
        *(maps.derived(f, slots, (x, v)) for slots in ((0,), (1,), (0, 1), (1, 1))),
        *(maps.derived(L, (0,) * order, (y,)) for order in (1, 2, 3)),
        *(maps.derived(Q, slots, (D, s)) for slots in ((0,), (1,), (0, 1))),
        *(maps.derived(q2, slots, (A, x)) for slots in ((0,), (1,), (0, 0), (0, 1), (0, 1, 1))),
        *(maps.derived(N1, slots, (x,)) for slots in ((), (0,), (0, 0))),
    ],
    reductions.Sum: [reductions.Sum(axis)(a) for axis in (None, 0, 1) for a in (A, x, row)],
    reductions.Mean: [reductions.Mean(axis)(a) for axis in (None, 0, 1) for a in (A, x, row)],
    reductions.Max: [reductions.Max(axis)(a) for axis in (None, 0, 1) for a in (A, x, row)],
    reductions.ArgMax: [reductions.ArgMax(axis)(a) for axis in (None, 0, 1) for a in (A, x, row)],
    reductions.Norm2: [make(reductions.NORM2, (a,)) for a in (A, x, row, s)],
    reductions.Norm1: [make(reductions.NORM1, (a,)) for a in (A, x, row, s)],
    softmax.Softmax: [softmax.Softmax(axis)(a) for axis in (0, 1) for a in (A, x, row)],
    softmax.LogSumExp: [softmax.LogSumExp(axis)(a) for axis in (0, 1) for a in (A, x, row)],
    softmax.LogSoftmax: [softmax.LogSoftmax(axis)(a) for axis in (0, 1) for a in (A, x, row)],
    structure.Reshape: [
        make(structure.Reshape((n, m)), (A,)),
        make(structure.Reshape((m * n, ONE)), (A,)),
        make(structure.Reshape((m, n)), (var("v", (m * n, ONE)),)),
    ],
    structure.HCat: [
        structure.HCat()(A, B),
        structure.HCat()(A, z, A),
        structure.HCat()(row, row),
        structure.HCat()(s, row),
    ],
    structure.VCat: [
        structure.VCat()(A, B),
        structure.VCat()(A, row, A),
        structure.VCat()(x, y),
        structure.VCat()(s, x),
    ],
    structure.Slice: [
        structure.sliced(A, structure.AT, structure.AT, const(1), const(2)),
        structure.sliced(A, structure.AT, structure.AT, k, const(1)),
        structure.sliced(A, structure.AT, structure.ALL, const(2)),
        structure.sliced(A, structure.ALL, structure.AT, const(2)),
        structure.sliced(A, (dim(2), m), structure.ALL),
        structure.sliced(A, (ONE, m - 1), (dim(2), dim(2))),
        structure.sliced(x, structure.AT, structure.ALL, const(2)),
        structure.sliced(row, structure.ALL, (dim(2), n)),
    ],
    structure.Unit: [structure.unit(const(2), n), structure.unit(k, n)],
    matrix.Inv: [matrix.inv(G), make(matrix.INV, (M,))],
    matrix.MatrixPower: [
        *(matrix.matrix_power(M, const(e)) for e in (2, 3, 6)),
        *(matrix.matrix_power(G, const(e)) for e in (-2, -3)),
        matrix.matrix_power(M, k),
        matrix.matrix_power(M, k + 1),
        matrix.matrix_power(G, -k),
        matrix.matrix_power(G, k - 3),
    ],
    convolution.Conv: [
        convolution.Conv(mode)(K, X) for mode in ("full", "same", "valid") for K, X in [(var("K", (p, q)), A), (x, z)]
    ],
    convolution.Corr: [
        convolution.Corr(mode)(K, X) for mode in ("full", "same", "valid") for K, X in [(var("K", (p, q)), A), (x, z)]
    ],
    convolution.ConvMatrix: [convolution.ConvMatrix(m, n, mode)(var("K", (p, q))) for mode in ("full", "same", "valid")]
    + [convolution.ConvMatrix(n, ONE, "full")(z)],
    convolution.Crop: [
        convolution.Crop((m, n))(var("D", (m + p - 1, n + q - 1))),
        convolution.Crop((m, n))(var("D", (m + 2, n + 1))),
    ],
    convolution.Pad: [convolution.Pad((m + p - 1, n + q - 1))(A), convolution.Pad((m + 2, n + 1))(A)],
    loops.IndexedSum: [
        loops.indexed_sum(structure.sliced(x, structure.AT, structure.ALL, i) ** 2, i, const(1), size(n)),
        loops.indexed_sum(structure.sliced(A, structure.ALL, structure.AT, i) * i, i, const(2), size(n)),
        loops.indexed_sum(matrix.matrix_power(M, i), i, const(0), const(3)),
        loops.indexed_sum(A * s, i, const(1), size(p)),
        loops.indexed_sum(
            loops.indexed_sum(structure.sliced(A, structure.AT, structure.AT, i, j) * i, j, const(1), size(n)),
            i,
            const(1),
            size(m),
        ),
        loops.indexed_sum(s + i, i, const(3), const(2)),
    ],
}


def _declared(kind: type[Primitive]) -> list[Expr]:
    """The primitive on variables of the shapes that it declares."""
    arguments = tuple(var(f"{name}{at}", shape) for at, (name, shape) in enumerate(kind.takes.items()))
    return [make(kind(), arguments)]


INSTANCES: dict[type[Primitive], list[Expr]] = {
    kind: BY_HAND[kind] if kind in BY_HAND else _declared(kind) for kind in registry.PRIMITIVES
}
ALL = [e for kind in registry.PRIMITIVES for e in INSTANCES[kind]]


def name(e: Expr) -> str:
    shapes = ",".join("x".join(map(str, a.shape)) for a in e.args)
    return f"{type(e.op).__name__}-{e.op}-{shapes}".replace(" ", "")
