"""Indexed sums: constants go out in front; where the range is a dimension, the sum is a product of matrices."""

from __future__ import annotations

from matcalc.dims import ONE, dim
from matcalc.expr import Expr, make, postorder, substitute
from matcalc.facts import NONNEGATIVE, POSITIVE, has
from matcalc.primitives.algebra import TRANSPOSE
from matcalc.primitives.base import Primitive, zeros
from matcalc.primitives.leaves import const, number_of
from matcalc.primitives.loops import IndexedSum, free_indices, with_index
from matcalc.simplify import products, sums, transposes
from matcalc.simplify.cost import look
from matcalc.simplify.handlers import handles
from matcalc.simplify.runs import Run, Stays, length_of, never_negative
from matcalc.simplify.terms import assemble, term
from matcalc.simplify.totals import total

_LARGEST = 400  # nodes of a body that is tried as a product of matrices
_LONGER = 4  # times as long as the body the product may be


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
    try:
        return _at_once(body, index, lower, upper)
    except Stays:
        pass
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


def _at_once(body: Expr, index: Expr, lower: Expr, upper: Expr) -> Expr:
    """The sum for all values of the index at once.

    Raises   Stays with the reason why it cannot be written so
    """
    name = index.op.name
    start = number_of(lower)
    first, last = dim(start) if isinstance(start, int) else length_of(lower), length_of(upper)
    if first is None:
        raise Stays(f"{lower}, the first value of {name}, is no dimension")
    if last is None:
        raise Stays(f"{upper}, the last value of {name}, is no dimension")
    run = Run(first, last)
    if not never_negative(run.length):
        raise Stays(f"there may be no {name} from {first} to {last}")
    if run.length.value == 0:
        return zeros(body.shape)
    if run.length is ONE:
        return with_index(body, index, lower)
    size = look(body).size
    if size > _LARGEST:
        raise Stays(f"its summand has {size} operations, more than {_LARGEST}")
    found = total(body, index, run)
    if look(found).cost > _LONGER * (look(body).cost + 8):
        raise Stays("without the index it is much longer")
    return found


# -- for the results: the matrix form of a formula, and why a sum stays


def matrix_form(e: Expr) -> Expr:
    """``e`` with each indexed sum in it that has one in its matrix form; all else is as it was written."""
    from matcalc.simplify import simplify

    loops = [node for node in postorder([e]) if isinstance(node.op, IndexedSum) and not free_indices(node)]
    replaced: dict[Expr, Expr] = {}
    for node in loops:
        found = simplify(node)
        if not any(isinstance(part.op, IndexedSum) for part in postorder([found])):
            replaced[node] = found
    return substitute(e, replaced) if replaced else e


def loop_reason(e: Expr) -> str | None:
    """Why a simplified expression still has a sum over an index in it; None where it has none."""
    for node in postorder([e]):
        if isinstance(node.op, IndexedSum):
            body, lower, upper = node.args
            try:
                _at_once(body, node.op.index, lower, upper)
            except Stays as stays:
                return f"the sum over {node.op.index.op.name} stays a loop: {stays}"
    return None


__all__ = ["loop_reason", "matrix_form"]
