"""An expression for all values of an index at once.

What depends on i becomes, for all i: a number a column (``down``), a column a matrix of columns (``beside``), a row a
matrix of rows (``under``). The depth of the calls is bounded by the size of the bodies that are tried.
"""

from __future__ import annotations

from matcalc.dims import ONE, Dim
from matcalc.expr import Expr, make
from matcalc.primitives.algebra import ADD, HADAMARD, POWER, PRODUCT, TRANSPOSE
from matcalc.primitives.elementwise import abs_
from matcalc.primitives.functions import Elementwise
from matcalc.primitives.leaves import const, identity, number_of, ones
from matcalc.primitives.loops import IndexedSum, free_indices
from matcalc.primitives.products import KHATRI_RAO, KRON, Inner
from matcalc.primitives.reductions import NORM1, NORM2, Max, Mean, Sum
from matcalc.primitives.softmax import LogSoftmax, LogSumExp, Softmax
from matcalc.primitives.structure import ALL, AT, DiagonalPart, HCat, Slice, Unit, VCat, Where
from matcalc.simplify import hadamards, powers, products, sums, transposes
from matcalc.simplify.heads import applied
from matcalc.simplify.runs import Run, Stays, stays, within
from matcalc.simplify.terms import term

_SOFT = (Softmax, LogSoftmax, LogSumExp)


# -- numbers, one under the other


def down(e: Expr, i: Expr, d: Run) -> Expr:
    """The column of the numbers that ``e`` is for all values of i.

    Raises   Stays
    """
    op = e.op
    if not within(e, i):
        return products.times(e, ones(d.length))
    if e is i:
        raise Stays(f"the number {i.op.name} itself stands in it, not only as an index")
    if isinstance(op, Slice):
        return _entries(e, i, d)
    if op is PRODUCT or op is HADAMARD:
        return _product_of_numbers(e, i, d)
    if op is ADD:
        return sums.plus(*[down(a, i, d) if within(a, i) else a for a in e.args])
    if op is POWER:
        base, exponent = e.args
        if base.op is NORM2 and number_of(exponent) == 2:
            apart = _distance(base.args[0], i)
            if apart is not None:
                return down(apart, i, d)
            return _of_entries(Sum(0), powers.power(across(base.args[0], i, d), const(2)))
        return powers.power(*[down(a, i, d) if within(a, i) else a for a in e.args])
    if isinstance(op, Elementwise):
        return applied(op, (down(e.args[0], i, d),))
    if isinstance(op, (Sum, Mean, Max)) and ONE in e.args[0].shape:
        return _of_entries(type(op)(0), across(e.args[0], i, d))
    if isinstance(op, LogSumExp):
        return _of_entries(LogSumExp(0), across(e.args[0], i, d))
    if op is NORM1 and ONE in e.args[0].shape:
        return _of_entries(Sum(0), applied(Elementwise(abs_, 0), (across(e.args[0], i, d),)))
    if op is NORM2 and ONE in e.args[0].shape:
        squares = powers.power(across(e.args[0], i, d), const(2))
        return powers.power(_of_entries(Sum(0), squares), const(powers.HALF))
    if isinstance(op, Inner) and ONE in e.args[0].shape:
        left, right = (across(a, i, d) for a in e.args)
        return _of_entries(Sum(0), hadamards.hadamard(left, right))
    if isinstance(op, IndexedSum):
        return _of_loop(e, i, d)
    raise stays(e, i)


def _distance(x: Expr, i: Expr) -> Expr | None:
    """``norm2(u - v)^2`` as ``u'*u - 2*u'*v + v'*v``, where v depends on i and u on another index."""
    if x.op is not ADD or x.cols is not ONE or any(a.is_scalar for a in x.args):
        return None
    u, v = ([a for a in x.args if within(a, i) == depends] for depends in (False, True))
    if not u or not any(free_indices(a) for a in u):
        return None
    first, second = sums.plus(*u), sums.plus(*v)
    left, right = transposes.transposed(first), transposes.transposed(second)
    parts = (products.times(left, first), products.times(const(2), left, second), products.times(right, second))
    return make(ADD, parts)


def _of_entries(op: Sum | Mean | Max | LogSumExp, x: Expr) -> Expr:
    """A reduction of each column, as a column."""
    return transposes.transposed(products.unary(op, x))


def _product_of_numbers(e: Expr, i: Expr, d: Run) -> Expr:
    if not any(a.is_scalar for a in e.args):
        return _run(e, i, d)
    parts = [a for a in e.args if a.is_scalar]
    chain = [a for a in e.args if not a.is_scalar]
    if chain:
        parts.append(products.times(*chain))
    front = [a for a in parts if not within(a, i)]
    varying = [down(a, i, d) for a in parts if within(a, i)]
    return products.times(*front, hadamards.hadamard(*varying))


def _run(e: Expr, i: Expr, d: Run) -> Expr:
    """A number ``x'*A*y`` of which the ends depend on the index."""
    first, *middle, last = e.args
    between = next((a for a in middle if within(a, i)), None)
    if between is not None:
        raise stays(between, i, "is a matrix within a product")
    if not within(first, i):
        return transposes.transposed(products.times(first, *middle, beside(last, i, d)))
    if not within(last, i):
        return products.times(under(first, i, d), *middle, last)
    right = products.times(*middle, beside(last, i, d))
    return _of_entries(Sum(0), hadamards.hadamard(across(first, i, d), right))


# -- columns, side by side


def beside(e: Expr, i: Expr, d: Run) -> Expr:
    """The matrix of the columns that ``e`` is for all values of i.

    Raises   Stays
    """
    op = e.op
    if not within(e, i):
        return products.times(e, transposes.transposed(ones(d.length)))
    if e.is_scalar:
        return transposes.transposed(down(e, i, d))
    if e.cols is not ONE:
        raise stays(e, i, "is a matrix")
    if isinstance(op, Unit):
        return taken(identity(op.order), ALL, d.place(e.args[0], i, op.order))
    if isinstance(op, Slice):
        return _columns(e, i, d)
    if op is TRANSPOSE:
        return transposes.transposed(under(e.args[0], i, d))
    if op is PRODUCT:
        return _product(e, i, d)
    if op is ADD or op is HADAMARD:
        parts = [_spread(a, e.rows, i, d) for a in e.args]
        return sums.plus(*parts) if op is ADD else hadamards.hadamard(*parts)
    if op is POWER:
        base, exponent = (_spread(a, e.rows, i, d) if within(a, i) or not a.is_scalar else a for a in e.args)
        return powers.power(base, exponent)
    if isinstance(op, Elementwise) or (isinstance(op, _SOFT) and op.axis == 0):
        return applied(op, (beside(e.args[0], i, d),))
    if op is KRON and all(a.cols is ONE for a in e.args):
        return applied(KHATRI_RAO, tuple([beside(a, i, d) for a in e.args]))
    if isinstance(op, VCat):
        return applied(op, tuple([beside(a, i, d) for a in e.args]))
    if isinstance(op, DiagonalPart) and hadamards.is_outer(e.args[0]):
        column, row = products.cut(e.args[0].args)
        return hadamards.hadamard(beside(column, i, d), across(row, i, d))
    if isinstance(op, IndexedSum):
        return _of_loop(e, i, d)
    raise stays(e, i)


def _spread(a: Expr, rows: Dim, i: Expr, d: Run) -> Expr:
    """An operand of a sum or an elementwise product of columns; a number that varies fills its column."""
    if not a.is_scalar:
        return beside(a, i, d)
    return products.times(ones(rows), transposes.transposed(down(a, i, d))) if within(a, i) else a


def _product(e: Expr, i: Expr, d: Run) -> Expr:
    """A column that is a product: what varies are numbers and the last factor."""
    c, s, m = term(e)
    if len(m) == 1 and m[0] is e:
        raise stays(e, i)
    front = [const(c), *[a for a in s if not within(a, i)]]
    weights = [down(a, i, d) for a in s if within(a, i)]
    before = next((a for a in m[:-1] if within(a, i)), None)
    if before is not None:
        raise stays(before, i, "is a matrix within a product")
    columns = products.times(*front, *m[:-1], beside(m[-1], i, d))
    if not weights:
        return columns
    row = transposes.transposed(hadamards.hadamard(*weights))
    if not within(m[-1], i):
        return products.times(*front, *m, row)
    return hadamards.hadamard(columns, products.times(ones(e.rows), row))


def _of_loop(e: Expr, i: Expr, d: Run) -> Expr:
    """A sum over another index, which stays, of what is there for all values of this one."""
    body, lower, upper = e.args
    if within(lower, i) or within(upper, i):
        raise Stays(f"the bounds of a sum within depend on {i.op.name}")
    inner = down(body, i, d) if e.is_scalar else under(body, i, d) if e.rows is ONE else beside(body, i, d)
    return e.op.construct((inner, lower, upper))


# -- entries, rows and columns


def taken(a: Expr, row: Where, col: Where) -> Expr:
    """Rows and columns of a matrix."""
    return a if row == ALL and col == ALL else applied(Slice(row, col), (a,))


def _positions(e: Expr, i: Expr, d: Run) -> tuple[Where | Expr, Where | Expr]:
    """What a slice takes for all values of the index, of the rows and of the columns: a range, or one position."""
    op = e.op
    assert isinstance(op, Slice)
    left = list(e.args[1:])
    found: list[Where | Expr] = []
    for where, length in zip((op.row, op.col), e.args[0].shape, strict=True):
        if where != AT:
            found.append(where)
            continue
        k = left.pop(0)
        found.append(d.place(k, i, length) if within(k, i) else k)
    return found[0], found[1]


def _entries(e: Expr, i: Expr, d: Run) -> Expr:
    """A number ``A[k,i]``, ``A[i,k]``, ``A[i,i]``, ``x[i]``: of a row, of a column or of the diagonal."""
    a = e.args[0]
    if within(a, i):
        return _entries_of_columns(e, i, d)
    row, col = _positions(e, i, d)
    if isinstance(row, Expr):
        assert not isinstance(col, Expr)
        return transposes.transposed(applied(Slice(AT, col), (a, row)))
    if isinstance(col, Expr):
        return applied(Slice(row, AT), (a, col))
    if a.cols is ONE:
        return taken(a, row, ALL)
    if a.rows is ONE:
        return transposes.transposed(taken(a, ALL, col))
    return products.unary(DiagonalPart(), taken(a, row, col))


def _entries_of_columns(e: Expr, i: Expr, d: Run) -> Expr:
    """Entry k or i of a column (or a row) that depends on i."""
    a = e.args[0]
    if ONE not in a.shape:
        raise stays(e, i)
    where = _positions(e, i, d)[0 if a.cols is ONE else 1]
    columns = across(a, i, d)
    if isinstance(where, Expr):
        return transposes.transposed(applied(Slice(AT, ALL), (columns, where)))
    return products.unary(DiagonalPart(), taken(columns, where, ALL))


def _columns(e: Expr, i: Expr, d: Run) -> Expr:
    """A column ``A[:,i]``, ``A[1:k,i]`` or ``x[1:k]``."""
    a, op = e.args[0], e.op
    assert isinstance(op, Slice)
    if within(a, i):
        if a.cols is not ONE or isinstance(op.row, str):
            raise stays(e, i)
        return taken(beside(a, i, d), op.row, ALL)
    row, col = _positions(e, i, d)
    if isinstance(row, Expr) or isinstance(col, Expr):
        raise stays(e, i)
    return taken(a, row, col)


# -- rows, one under the other


def under(row: Expr, i: Expr, d: Run) -> Expr:
    """The matrix of the rows that ``row`` is for all values of i.

    Raises   Stays
    """
    op = row.op
    if not within(row, i):
        return products.times(ones(d.length), row)
    if row.is_scalar:
        return down(row, i, d)
    if row.rows is not ONE:
        raise stays(row, i, "is a matrix")
    if op is TRANSPOSE:
        return transposes.transposed(beside(row.args[0], i, d))
    if isinstance(op, Slice):
        return _rows(row, i, d)
    if isinstance(op, Elementwise) or (isinstance(op, _SOFT) and op.axis == 1):
        return applied(op, (under(row.args[0], i, d),))
    if op is ADD or op is HADAMARD:
        parts = [under(a, i, d) if not a.is_scalar else _along(a, row.cols, i, d) for a in row.args]
        return sums.plus(*parts) if op is ADD else hadamards.hadamard(*parts)
    if op is POWER and all(not a.is_scalar or not within(a, i) for a in row.args):
        return powers.power(*[a if a.is_scalar else under(a, i, d) for a in row.args])
    if op is PRODUCT:
        scalars = [a for a in row.args if a.is_scalar]
        first, *rest = [a for a in row.args if not a.is_scalar]
        late = next((a for a in rest if within(a, i)), None)
        if late is not None:
            raise stays(late, i, "is a matrix within a product")
        rows = products.times(*[a for a in scalars if not within(a, i)], under(first, i, d), *rest)
        weights = [down(a, i, d) for a in scalars if within(a, i)]
        if not weights:
            return rows
        return hadamards.hadamard(
            rows, products.times(hadamards.hadamard(*weights), transposes.transposed(ones(row.cols)))
        )
    if isinstance(op, HCat):
        return applied(op, tuple([under(a, i, d) for a in row.args]))
    if isinstance(op, IndexedSum):
        return _of_loop(row, i, d)
    raise stays(row, i)


def _along(a: Expr, cols: Dim, i: Expr, d: Run) -> Expr:
    return products.times(down(a, i, d), transposes.transposed(ones(cols))) if within(a, i) else a


def _rows(e: Expr, i: Expr, d: Run) -> Expr:
    """The rows ``A[i,:]`` and ``A[i,1:k]``, and parts of rows."""
    a, op = e.args[0], e.op
    assert isinstance(op, Slice)
    if within(a, i):
        if a.rows is not ONE or isinstance(op.col, str):
            raise stays(e, i)
        return taken(under(a, i, d), ALL, op.col)
    row, col = _positions(e, i, d)
    if isinstance(row, Expr) or isinstance(col, Expr):
        raise stays(e, i)
    return taken(a, row, col)


def across(x: Expr, i: Expr, d: Run) -> Expr:
    """The matrix of the columns that ``x``, a column or a row, is for i = 1, ..., d."""
    return transposes.transposed(under(x, i, d)) if x.rows is ONE else beside(x, i, d)


__all__ = ["across", "beside", "down", "under"]
