"""Kronecker and Khatri-Rao products.

A row and a column next to each other in a Kronecker product commute, so of ``x' (x) y`` the product ``y*x'`` is kept.
"""

from __future__ import annotations

from matcalc.dims import ONE, Dim
from matcalc.expr import Expr, make
from matcalc.primitives.algebra import PRODUCT, TRANSPOSE
from matcalc.primitives.base import Primitive, zeros
from matcalc.primitives.leaves import Identity, Ones, const, identity, ones
from matcalc.primitives.products import KHATRI_RAO, KRON, KhatriRao, Kron
from matcalc.primitives.structure import Diagonal
from matcalc.simplify import (
    hadamards,
    products,
    transposes,
)
from matcalc.simplify.handlers import handles
from matcalc.simplify.terms import assemble, term

_DIAGONAL = Diagonal()


@handles(Kron, KhatriRao)
def of_two(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    """``A (x) B`` or ``A * B`` column by column, with numbers in front; of three, the first two belong together."""
    c, s, m = term(args[0])
    d, t, k = term(args[1])
    if not c or not d:
        return zeros(make(op, args).shape)
    if c != 1 or d != 1 or s or t:
        rest = (assemble(1, (), m), assemble(1, (), k))
        inner = products.times(*rest) if not m or not k else of_two(op, rest)
        return products.times(const(c), const(d), *s, *t, inner)
    a, b = args
    if a.is_scalar or b.is_scalar:
        return products.times(a, b)
    inside = parts_of(b, op)
    if len(inside) > 1:
        for part in inside:
            a = of_two(op, (a, part))
        return a
    return _khatri_rao(a, b) if isinstance(op, KhatriRao) and a.cols is not ONE else _kron(a, b)


def _kron(a: Expr, b: Expr) -> Expr:
    if a.rows is ONE and b.rows is ONE:  # a row is the transpose of a column
        return transposes.transposed(_kron(transposes.transposed(a), transposes.transposed(b)))
    last = a.args[1] if a.op is KRON else a
    joined = _side_by_side(last, b)
    if joined is not None:
        return joined if last is a else _kron(a.args[0], joined)
    parts = [*parts_of(a, KRON), b]
    if any(hadamards.is_outer(p) for p in parts) and all(_is_flat(p) for p in parts):
        columns, rows = zip(*[_cut(p) for p in parts], strict=True)
        return products.times(kron(*columns), kron(*rows))
    return make(KRON, (a, b))


def _side_by_side(a: Expr, b: Expr) -> Expr | None:
    """Two parts of a Kronecker product that are one matrix."""
    if isinstance(a.op, Identity) and isinstance(b.op, Identity):
        return identity(a.rows * b.rows)
    if _is_ones(a) and _is_ones(b):
        return simple_ones(a.rows * b.rows, a.cols * b.cols)
    if a.cols is ONE and b.rows is ONE:
        return products.times(a, b)
    if a.rows is ONE and b.cols is ONE:
        return products.times(b, a)
    return None


def _is_flat(e: Expr) -> bool:
    return e.rows is ONE or e.cols is ONE or hadamards.is_outer(e)


def _cut(e: Expr) -> tuple[Expr, Expr]:
    """Column and row of a matrix of rank one."""
    if e.cols is ONE:
        return e, const(1)
    return (const(1), e) if e.rows is ONE else products.cut(e.args)


def _khatri_rao(a: Expr, b: Expr) -> Expr:
    # One row beside another matrix scales its columns.
    row, other = (a, b) if a.rows is ONE else (b, a)
    if row.rows is ONE:
        return products.times(other, products.unary(_DIAGONAL, transposes.transposed(row)))
    if is_diagonal(a) and is_diagonal(b):
        return make(KHATRI_RAO, (identity(a.rows), products.times(a, b)))
    # The same row in all rows of a factor scales the columns of the whole.
    for one, rest, flipped in ((a, b, False), (b, a, True)):
        if hadamards.is_outer(one) or isinstance(one.op, Ones):
            column, row = column_and_row(one)
            if hadamards.is_ones_row(row) or hadamards.is_outer(rest):
                whole = kron(rest, column) if flipped else kron(column, rest)
                return products.times(whole, products.unary(_DIAGONAL, transposes.transposed(row)))
    for k, one in enumerate((a, b)):
        if one.op is PRODUCT and one.args[-1].op is _DIAGONAL:
            rest = assemble(1, (), one.args[:-1])
            return products.times(_khatri_rao(*((rest, b) if k == 0 else (a, rest))), one.args[-1])
    return make(KHATRI_RAO, (a, b))


def kron(*parts: Expr) -> Expr:
    """The Kronecker product of simplified matrices."""
    whole = parts[0]
    for p in parts[1:]:
        whole = of_two(KRON, (whole, p))
    return whole


def khatri_rao(*parts: Expr) -> Expr:
    """The column-wise product of simplified matrices."""
    whole = parts[0]
    for p in parts[1:]:
        whole = of_two(KHATRI_RAO, (whole, p))
    return whole


def simple_ones(rows: Dim, cols: Dim) -> Expr:
    return transposes.transposed(ones(cols)) if rows is ONE else ones(rows, cols)


def _is_ones(e: Expr) -> bool:
    return isinstance(e.op, Ones) or hadamards.is_ones_row(e)


def is_diagonal(e: Expr) -> bool:
    return isinstance(e.op, (Identity, Diagonal))


def parts_of(e: Expr, op: Primitive) -> list[Expr]:
    """The matrices that a Kronecker or Khatri-Rao product is one of."""
    out: list[Expr] = []
    while e.op is op:
        out.append(e.args[1])
        e = e.args[0]
    if e.op is TRANSPOSE and e.is_row and e.args[0].op is op:
        return [*[transposes.transposed(p) for p in parts_of(e.args[0], op)], *out[::-1]]
    out.append(e)
    return out[::-1]


def column_and_row(e: Expr) -> tuple[Expr, Expr]:
    return (ones(e.rows), transposes.transposed(ones(e.cols))) if isinstance(e.op, Ones) else _cut(e)


__all__ = ["column_and_row", "is_diagonal", "khatri_rao", "kron", "of_two", "parts_of"]
