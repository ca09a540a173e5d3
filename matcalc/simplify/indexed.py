"""Indexed sums: constants go out in front; where the range is a dimension, the sum is a product of matrices."""

from __future__ import annotations

from matcalc.dims import ONE, Dim
from matcalc.expr import Expr, make
from matcalc.facts import NONNEGATIVE, POSITIVE, has
from matcalc.primitives.algebra import ADD, HADAMARD, POWER, PRODUCT, TRANSPOSE
from matcalc.primitives.base import Primitive, zeros
from matcalc.primitives.functions import Elementwise
from matcalc.primitives.leaves import const, identity, number_of, ones, size
from matcalc.primitives.loops import IndexedSum, free_indices
from matcalc.primitives.reductions import NORM2, LogSoftmax, LogSumExp, Mean, Softmax, Sum
from matcalc.primitives.structure import ALL, AT, DiagonalPart, Slice, Unit
from matcalc.simplify import hadamards, powers, products, sums, transposes
from matcalc.simplify.cost import look
from matcalc.simplify.heads import applied, handles
from matcalc.simplify.terms import assemble, is_run, term

_LARGEST = 100  # nodes of a body that is tried as a product of matrices
_BY_COLUMN = (Softmax, LogSoftmax, LogSumExp)


@handles(IndexedSum)
def _indexed_sum(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    """What does not depend on the index goes out in front; a sum of equal terms is their number times one."""
    body, lower, upper = args
    assert isinstance(op, IndexedSum)
    index = op.index
    if body.is_zero:
        return zeros(body.shape)
    if index not in free_indices(body) and _counts(lower, upper):
        return products.times(sums.plus(upper, products.times(const(-1), lower), const(1)), body)
    if body.op is TRANSPOSE:
        return transposes.transposed(_indexed_sum(op, (body.args[0], lower, upper)))
    if number_of(lower) == 1 and look(body).size <= _LARGEST:
        total = _total(body, index, upper)
        if total is not None and look(total).cost < look(body).cost + 8:
            return total
    c, s, m = term(body)
    out = [a for a in s if index not in free_indices(a)]
    first, last = 0, len(m)
    while first < last and index not in free_indices(m[first]):
        first += 1
    while first < last and index not in free_indices(m[last - 1]):
        last -= 1
    if c == 1 and not out and (last - first == len(m) or first == last):
        return make(op, args)
    if first == last and m:  # only scalars depend on the index
        first = last = len(m) if any(index in free_indices(a) for a in s) else 0
    inside = [a for a in s if a not in out]
    inner = assemble(1, inside, m[first:last])
    return products.times(const(c), *out, *m[:first], make(op, (inner, lower, upper)), *m[last:])


def _counts(lower: Expr, upper: Expr) -> bool:
    """Whether the number of terms is ``upper - lower + 1``: whether the sum cannot be empty.

    A variable as the upper bound stands for a positive number, as it does in the exponent of a matrix.
    """
    first, last = number_of(lower), number_of(upper)
    if first is not None and last is not None:
        return last >= first
    return first == 1 and (upper.op.is_variable or has(upper, POSITIVE) or has(upper, NONNEGATIVE))


def _total(body: Expr, i: Expr, upper: Expr) -> Expr | None:
    """The sum of ``body`` for i from 1 to the size of a dimension: of columns, of rows, or of columns times rows."""
    d = _dimension(body, i)
    if d is None or upper is not size(d):
        return None
    if body.rows is ONE and body.cols is not ONE:
        row = beside(transposes.transposed(body), i, d)
        return None if row is None else transposes.transposed(products.unary(Sum(1), row))
    if body.cols is ONE:
        columns = beside(body, i, d)
        return None if columns is None else products.unary(Sum(1), columns)
    if not hadamards.is_outer(body):
        return None
    column, row = products.cut(body.args)
    left, right = beside(column, i, d), beside(transposes.transposed(row), i, d)
    return None if left is None or right is None else products.times(left, transposes.transposed(right))


def _dimension(body: Expr, i: Expr) -> Dim | None:
    """The dimension that the index runs through in the first place where it stands."""
    todo = [body]
    while todo:
        e = todo.pop()
        if i not in free_indices(e):
            continue
        if isinstance(e.op, Unit) and e.args[0] is i:
            return e.op.order
        if isinstance(e.op, Slice) and i in e.args[1:]:
            at = e.args[1:].index(i)
            found: Dim = e.args[0].rows if e.op.row == AT and at == 0 else e.args[0].cols
            return found
        todo.extend(reversed(e.args))
    return None


def beside(e: Expr, i: Expr, d: Dim) -> Expr | None:
    """The matrix of the columns (or numbers) that ``e`` is for i = 1, ..., d; None where it is not known how.

    The depth of the calls is bounded by the size of the bodies that are tried.
    """
    op = e.op
    if i not in free_indices(e):
        return products.times(e, transposes.transposed(ones(d)))
    if isinstance(op, Unit):
        return identity(d) if e.args[0] is i and op.order is d else None
    if isinstance(op, Slice):
        return _of_slice(e, i, d)
    if op is TRANSPOSE and isinstance(e.args[0].op, Slice):
        row = e.args[0]
        if row.op == Slice(AT, ALL) and row.args[1] is i and row.args[0].rows is d and not _within(row.args[0], i):
            return transposes.transposed(row.args[0])
        return None
    if op is PRODUCT:
        return _of_product(e, i, d)
    if op is POWER:
        if e.args[0].op is NORM2 and number_of(e.args[1]) == 2 and e.args[0].args[0].cols is ONE:
            inner = beside(e.args[0].args[0], i, d)
            return None if inner is None else products.unary(Sum(0), powers.power(inner, const(2)))
        if not e.args[1].is_scalar or _within(e.args[1], i):
            return None
        inner = beside(e.args[0], i, d)
        return None if inner is None else powers.power(inner, e.args[1])
    if isinstance(op, Elementwise) or (isinstance(op, _BY_COLUMN) and op.axis == 0 and e.args[0].cols is ONE):
        inner = beside(e.args[0], i, d)
        return None if inner is None else applied(op, (inner,))
    if isinstance(op, (Sum, Mean)) and op.axis is None:
        x = e.args[0]
        inner = beside(transposes.transposed(x) if x.rows is ONE else x, i, d) if ONE in x.shape else None
        return None if inner is None else products.unary(type(op)(0), inner)
    if op is ADD or op is HADAMARD:
        parts = []
        for a in e.args:
            inner = beside(a, i, d)
            if inner is None:
                return None
            parts.append(inner if a.shape == e.shape else products.times(ones(e.rows), inner))
        return sums.plus(*parts) if op is ADD else hadamards.hadamard(*parts)
    return None


def _within(e: Expr, i: Expr) -> bool:
    return i in free_indices(e)


def _of_slice(e: Expr, i: Expr, d: Dim) -> Expr | None:
    """``A[:,i]``, ``A[k,i]``, ``A[i,k]`` and ``A[i,i]``, side by side."""
    op, a = e.op, e.args[0]
    assert isinstance(op, Slice)
    if _within(a, i):
        return None
    row = e.args[1] if op.row == AT else None
    col = e.args[-1] if op.col == AT else None
    if row is i and col is i:
        return transposes.transposed(products.unary(DiagonalPart(), a)) if a.rows is d and a.cols is d else None
    if any(k is not None and k is not i and _within(k, i) for k in (row, col)):
        return None
    if col is i:
        if a.cols is not d:
            return None
        return a if op.row == ALL else applied(Slice(op.row, ALL), (a,) if row is None else (a, row))
    if a.rows is not d or e.cols is not ONE:
        return None
    column = a if op.col == ALL else applied(Slice(ALL, op.col), (a,) if col is None else (a, col))
    return transposes.transposed(column)


def _of_product(e: Expr, i: Expr, d: Dim) -> Expr | None:
    c, s, m = term(e)
    if s == (e,) or (not m and len(s) == 1 and is_run(s[0]) and c == 1):
        return _of_run(e, i, d)
    weights = []
    for a in s:
        if _within(a, i):
            found = beside(a, i, d)
            if found is None:
                return None
            weights.append(found)
    front = [const(c), *[a for a in s if not _within(a, i)]]
    if not m:
        return products.times(*front, hadamards.hadamard(*weights))
    if any(_within(a, i) for a in m[:-1]):
        return None
    last = beside(m[-1], i, d)
    if last is None:
        return None
    columns = products.times(*front, *m[:-1], last)
    if not weights:
        return columns
    return hadamards.hadamard(columns, products.times(ones(e.rows), hadamards.hadamard(*weights)))


def _of_run(e: Expr, i: Expr, d: Dim) -> Expr | None:
    """A number ``x'*A*y`` of which the ends depend on the index."""
    first, *middle, last = e.args
    if any(_within(a, i) for a in middle):
        return None
    left = beside(transposes.transposed(first), i, d) if _within(first, i) else None
    right = beside(last, i, d) if _within(last, i) else None
    if (left is None and _within(first, i)) or (right is None and _within(last, i)):
        return None
    if left is None:
        assert right is not None
        return products.times(first, *middle, right)
    if right is None:
        return transposes.transposed(products.times(transposes.transposed(left), *middle, last))
    chain = products.times(transposes.transposed(left), *middle, right)
    return transposes.transposed(products.unary(DiagonalPart(), chain))


__all__ = ["beside"]
