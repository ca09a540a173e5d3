"""A sum over an index without a loop.

The sum of numbers is that of a column, the sum of columns that of the rows of a matrix or a matrix times weights, and
the sum of columns times rows one product of two matrices. What linear maps do with the summands stays outside.
"""

from __future__ import annotations

from matcalc.dims import ONE
from matcalc.expr import Expr, make
from matcalc.primitives.algebra import ADD, PRODUCT
from matcalc.primitives.leaves import const, identity, size
from matcalc.primitives.reductions import NORM1, SUM, Sum
from matcalc.primitives.structure import Diagonal, HCat, VCat
from matcalc.simplify import hadamards, products, sums, transposes
from matcalc.simplify.heads import applied
from matcalc.simplify.runs import Run, stays, within
from matcalc.simplify.terms import is_run, term
from matcalc.simplify.vectorised import across, beside, down


def total(e: Expr, i: Expr, d: Run) -> Expr:
    """The sum of ``e`` for all values of i.

    Raises   Stays
    """
    if not within(e, i):
        return products.times(size(d.length), e)
    if e.is_scalar:
        return _total_of_numbers(e, i, d)
    if e.op is ADD:
        return sums.plus(*[total(a, i, d) for a in e.args])
    if e.cols is ONE:
        return _total_of_columns(e, i, d)
    if e.rows is ONE:
        return transposes.transposed(_total_of_columns(transposes.transposed(e), i, d))
    if hadamards.is_outer(e):
        column, row = products.cut(e.args)
        left, right = _sides(column, row, i, d)
        return products.times(left, transposes.transposed(right))
    depending = [k for k, a in enumerate(e.args) if within(a, i)]
    if e.op is PRODUCT and all(e.args[k].is_scalar for k in depending):
        weight = total(products.times(*[e.args[k] for k in depending]), i, d)
        return products.times(weight, *[a for k, a in enumerate(e.args) if k not in depending])
    if e.op is PRODUCT and len(depending) > 1:
        inward = _weights_inside(e, i)
        if inward is not None:
            return total(inward, i, d)
        scaled = _between_diagonals(e, i, d)
        if scaled is not None:
            return scaled
    if isinstance(e.op, (HCat, VCat)):  # linear in all blocks together: those that stay count as often
        return applied(e.op, tuple([total(a, i, d) for a in e.args]))
    if len(depending) == 1 and e.op.linear_in(depending[0]):
        (k,) = depending
        return applied(e.op, (*e.args[:k], total(e.args[k], i, d), *e.args[k + 1 :]))
    raise stays(e, i, "is a matrix that is no column times a row")


def _total_of_numbers(e: Expr, i: Expr, d: Run) -> Expr:
    c, s, _ = term(e)
    front = [a for a in s if not within(a, i)]
    varying = [a for a in s if within(a, i)]
    if len(varying) == 1 and is_run(varying[0]):
        first, last = varying[0].args[0], varying[0].args[-1]
        if within(first, i) and within(last, i) and all(not within(a, i) for a in varying[0].args[1:-1]):
            left = across(first, i, d)
            right = products.times(*varying[0].args[1:-1], beside(last, i, d))
            return products.times(const(c), *front, products.unary(SUM, hadamards.hadamard(left, right)))
    if len(varying) == 1 and varying[0].op is NORM1 and ONE in varying[0].args[0].shape:
        return products.times(const(c), *front, products.unary(NORM1, across(varying[0].args[0], i, d)))
    return products.times(const(c), *front, products.unary(SUM, down(products.times(*varying), i, d)))


def _total_of_columns(e: Expr, i: Expr, d: Run) -> Expr:
    """The sum of columns: of weighted ones, the matrix times the weights."""
    c, s, m = term(e)
    weights = [a for a in s if within(a, i)]
    front = [const(c), *[a for a in s if not within(a, i)]]
    if weights and m:
        column = products.times(*m)
        weight = down(products.times(*weights), i, d)
        if not within(column, i):
            return products.times(*front, products.unary(SUM, weight), column)
        return products.times(*front, beside(column, i, d), weight)
    return products.unary(Sum(1), beside(e, i, d))


def _sides(column: Expr, row: Expr, i: Expr, d: Run) -> tuple[Expr, Expr]:
    """The matrices of the columns of an outer product, numbers with whichever of them depends on the index."""
    if within(column, i) and within(row, i):
        return beside(column, i, d), across(row, i, d)
    if within(column, i):
        return total(column, i, d), transposes.transposed(row)
    return column, transposes.transposed(total(row, i, d))


def _weights_inside(e: Expr, i: Expr) -> Expr | None:
    """``s*A*diag(x)`` as ``A*diag(s*x)``: numbers that vary go to the only factor that does, under a linear map."""
    weights = [a for a in e.args if a.is_scalar and within(a, i)]
    varying = [k for k, a in enumerate(e.args) if not a.is_scalar and within(a, i)]
    if not weights or len(varying) != 1:
        return None
    (k,) = varying
    op, args = e.args[k].op, e.args[k].args
    if len(args) != 1 or not op.linear_in(0):
        return None
    inner = make(op, (products.times(*weights, args[0]),))
    return make(PRODUCT, tuple([inner if j == k else a for j, a in enumerate(e.args) if j == k or a not in weights]))


def _between_diagonals(e: Expr, i: Expr, d: Run) -> Expr | None:
    """``diag(x)*A*diag(y)`` is ``A .* (x*y')``, and its sum ``A .* (X*Y')``."""
    factors = [a for a in e.args if not a.is_scalar]
    first, middle, last = factors[0], factors[1:-1], factors[-1]
    if (
        first is last
        or not (isinstance(first.op, Diagonal) and isinstance(last.op, Diagonal))
        or any(within(a, i) for a in middle)
    ):
        return None
    scale = [a for a in e.args if a.is_scalar and not within(a, i)]
    weights = [a for a in e.args if a.is_scalar and within(a, i)]
    left, right = beside(products.times(*weights, first.args[0]), i, d), beside(last.args[0], i, d)
    outer = products.times(left, transposes.transposed(right))
    inner = products.times(*middle) if middle else identity(first.rows)
    return products.times(*scale, hadamards.hadamard(inner, outer))


__all__ = ["total"]
