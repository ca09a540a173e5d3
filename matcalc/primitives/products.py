"""Products beyond the matrix product: Kronecker, column-wise Khatri-Rao, inner."""

from __future__ import annotations

from typing import Any, final

from matcalc.dims import SCALAR
from matcalc.expr import OPERATORS, Expr
from matcalc.facts import (
    COLUMNS,
    DIAGONAL,
    INVERTIBLE,
    NONNEGATIVE,
    ORTHOGONAL,
    POSITIVE,
    PSD,
    ROWS,
    SPD,
    SYMMETRIC,
    WITHIN,
    Facts,
    facts,
)
from matcalc.primitives.algebra import Product, product, transpose
from matcalc.primitives.base import Args, Multilinear, Sizes, m, n, p, q
from matcalc.primitives.leaves import Identity, commutation, identity, ones
from matcalc.primitives.structure import reshape, vec


@final
class Kron(Multilinear):
    """Kronecker product: the block matrix of ``A[i,j]*B``.

    Rule     d kron(A, B) = kron(dA, B) + kron(A, dB)
    Shapes   A in R^{m x n}, B in R^{p x q} -> R^{m*p x n*q}
    Source   MN19 2.2
    """

    name = "kron"
    takes = {"A": (m, n), "B": (p, q)}
    gives = (m * p, n * q)
    latex = r"{A} \otimes {B}"
    latex_level = "product"
    latex_slots = ("power", "power")
    code = "{xp}.kron({A}, {B})"
    source = "MN19 2.2"

    def adjoint(self, i: int, g: Expr, y: Expr, x: Args) -> Expr:
        a, b = x
        short = _of_structured(i, g, a, b)
        if short is not None:
            return short
        # Block (k, l) of g meets block (k, l) of the value, A[k,l]*B: multiply entrywise, then add within blocks
        # (for A) or across blocks (for B).
        if i == 0:
            within = kron(ones(*a.shape), b) * g
            return kron(identity(a.rows), ones(b.rows).T) @ within @ kron(identity(a.cols), ones(b.cols))
        across = kron(a, ones(*b.shape)) * g
        return kron(ones(a.rows).T, identity(b.rows)) @ across @ kron(ones(a.cols), identity(b.cols))

    def matrix(self, i: int, y: Expr, x: Args) -> Expr:
        # vec(kron(A, B)) is kron(vec(A), vec(B)) with the rows of A and the columns of B exchanged (MN19 3.7).
        a, b = x
        exchange = kron(identity(a.cols), kron(commutation(b.cols, a.rows), identity(b.rows)))
        beside = kron(identity(a.rows * a.cols), vec(b)) if i == 0 else kron(vec(a), identity(b.rows * b.cols))
        return exchange @ beside

    def trace_rule(self, i: int) -> str:
        return "trace-kronecker"

    def facts(self, x: Args) -> Facts:
        both = facts(x[0]) & facts(x[1])
        kept = {SYMMETRIC, PSD, SPD, DIAGONAL, ORTHOGONAL, INVERTIBLE, POSITIVE, NONNEGATIVE, WITHIN, COLUMNS, ROWS}
        return both & kept

    def value(self, sizes: Sizes, *x: Any) -> Any:
        a, b = x
        return (a[:, None, :, None] * b[None, :, None, :]).reshape(a.shape[0] * b.shape[0], -1)


@final
class KhatriRao(Multilinear):
    """Column-wise Khatri-Rao product: column j is ``kron(A[:,j], B[:,j])``.

    Rule     d khatri_rao(A, B) = khatri_rao(dA, B) + khatri_rao(A, dB)
    Shapes   A in R^{m x n}, B in R^{p x n} -> R^{m*p x n}
    Source   MN19 3.6
    """

    name = "khatri_rao"
    takes = {"A": (m, n), "B": (p, n)}
    gives = (m * p, n)
    code = "{rt}.khatri_rao({A}, {B})"
    source = "MN19 3.6"

    def adjoint(self, i: int, g: Expr, y: Expr, x: Args) -> Expr:
        a, b = x
        if i == 0:
            return kron(identity(a.rows), ones(b.rows).T) @ (kron(ones(a.rows), b) * g)
        return kron(ones(a.rows).T, identity(b.rows)) @ (khatri_rao(a, ones(*b.shape)) * g)

    def matrix(self, i: int, y: Expr, x: Args) -> Expr:
        # Column j of the value is a_j (x) b_j, and (a_j (x) I)*db_j = (I (x) b_j)*da_j.
        a, b = x
        if i == 0:
            return khatri_rao(identity(a.rows * a.cols), kron(b, transpose(ones(a.rows))))
        return kron(khatri_rao(identity(b.cols), a), identity(b.rows))

    def trace_rule(self, i: int) -> str:
        return "trace-khatri-rao"

    def facts(self, x: Args) -> Facts:
        return facts(x[0]) & facts(x[1]) & {POSITIVE, NONNEGATIVE, WITHIN, COLUMNS}

    def value(self, sizes: Sizes, *x: Any) -> Any:
        a, b = x
        return (a[:, None, :] * b[None, :, :]).reshape(-1, a.shape[1])


@final
class Inner(Multilinear):
    """Inner product ⟨A, B⟩ = tr(A'*B), the sum of the products of the entries.

    Rule     d <A, B> = <dA, B> + <A, dB>
    Shapes   A, B in R^{m x n} -> R
    """

    name = "inner"
    takes = {"A": (m, n), "B": (m, n)}
    gives = SCALAR
    text = "<{A}, {B}>"
    latex = r"\langle {A}, {B} \rangle"
    slots = ("sum", "sum")
    code = "{A}.ravel().dot({B}.ravel())"

    def adjoint(self, i: int, g: Expr, y: Expr, x: Args) -> Expr:
        return product(g, x[1 - i])

    def matrix(self, i: int, y: Expr, x: Args) -> Expr:
        return transpose(vec(x[1 - i]))

    def trace_rule(self, i: int) -> str:
        return "trace-inner"

    def facts(self, x: Args) -> Facts:
        a, b = facts(x[0]), facts(x[1])
        if POSITIVE in a and POSITIVE in b:
            return frozenset({POSITIVE})
        if x[0] is x[1] or (NONNEGATIVE in a and NONNEGATIVE in b) or (PSD in a and PSD in b):
            return frozenset({NONNEGATIVE})
        return frozenset()

    def construct(self, args: Args) -> Expr:
        a, b = args
        return product(a, b) if a.is_scalar and b.is_scalar else super().construct(args)

    def value(self, sizes: Sizes, *x: Any) -> Any:
        from matcalc.primitives.reference import scalar

        return scalar((x[0] * x[1]).sum())


def _of_structured(i: int, g: Expr, a: Expr, b: Expr) -> Expr | None:
    """The adjoint of ``kron(a, b)`` in slot ``i`` for a cotangent that is itself a Kronecker product, an identity or of
    rank one, where it is short: <kron(G, H), kron(A, B)> = <G, A>*<H, B> and (u*v')'s blocks are reshaped u and v.
    """
    if isinstance(g.op, Product):
        scalars = [e for e in g.args if e.is_scalar]
        matrices = [e for e in g.args if not e.is_scalar]
        if len(matrices) == 1 and scalars:
            rest = _of_structured(i, matrices[0], a, b)
            return rest if rest is None else product(*scalars, rest)
        if len(matrices) == 2 and matrices[0].is_column:
            u = reshape(matrices[0], (b.rows, a.rows))
            v = reshape(matrices[1].T, (b.cols, a.cols))
            return product(*scalars, u.T, b, v) if i == 0 else product(*scalars, u, a, v.T)
    if isinstance(g.op, Kron) and g.args[0].shape == a.shape and g.args[1].shape == b.shape:
        return product(inner(g.args[1 - i], (a, b)[1 - i]), g.args[i])
    if isinstance(g.op, Identity) and a.rows is a.cols and b.rows is b.cols:
        return product(OPERATORS["trace"]((a, b)[1 - i]), identity((a, b)[i].rows))
    return None


KRON, KHATRI_RAO, INNER = Kron(), KhatriRao(), Inner()


def kron(a: Expr, b: Expr) -> Expr:
    """The Kronecker product; with a scalar it is the product."""
    return product(a, b) if a.is_scalar or b.is_scalar else KRON.construct((a, b))


def khatri_rao(a: Expr, b: Expr) -> Expr:
    return KHATRI_RAO.construct((a, b))


def inner(a: Expr, b: Expr) -> Expr:
    """The inner product; of columns it reads ``a'*b``."""
    return product(transpose(a), b) if a.is_column else INNER.construct((a, b))


OPERATORS["inner"] = inner
OPERATORS["kron"] = kron
OPERATORS["khatri_rao"] = khatri_rao

__all__ = ["INNER", "KHATRI_RAO", "KRON", "Inner", "KhatriRao", "Kron", "inner", "khatri_rao", "kron"]
