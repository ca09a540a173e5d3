"""Products ``X'*diag(d)*X`` that are symmetric: ``Z'*Z`` with ``Z = sqrt(d)*X``, of which BLAS computes one half.

NumPy calls the routine for that when both factors are one array. It pays for matrices of some size; so the plan is made
anew when the dimensions are known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from matcalc.expr import Number
from matcalc.lowering import elementwise as ew
from matcalc.lowering.plan import Plan, Value
from matcalc.lowering.signs import nonnegative

_PAYS = 64  # columns of X, from which on half the product is faster than all of it


class Scaled(NamedTuple):
    """A matrix whose rows are scaled: ``coefficient * above/below * matrix``."""

    matrix: Value
    coefficient: Number
    above: tuple[Value, ...]
    below: tuple[Value, ...]


def with_symmetric_products(plan: Plan, roots: Sequence[Value]) -> dict[Value, Value]:
    """What each value that the roots need becomes when symmetric products are computed as such."""
    new: dict[Value, Value] = {}
    for v in plan.needed(roots):
        args = tuple([new[a] for a in v.args])
        same = v if args == v.args else plan.value(v.op, args, v.shape, *v.attrs)
        square = v.op == "dot" and v.rank == 2 and v.shape[0] is v.shape[1]
        new[v] = (_symmetric(plan, same) if square else None) or same
    return new


def _symmetric(plan: Plan, v: Value) -> Value | None:
    left, right = v.args
    if left.rank < 2 or right.rank < 2 or plan.transpose(left) is right:
        return None
    a, b = rows_scaled(plan, plan.transpose(left)), rows_scaled(plan, right)
    if a.matrix is not b.matrix:
        return None
    coefficient = a.coefficient * b.coefficient
    if Counter(a.above) == Counter(b.above) and Counter(a.below) == Counter(b.below):
        factor = _scaled(plan, b._replace(coefficient=1))
    else:
        vectors = ([*a.above, *b.above], [*a.below, *b.below])
        d = ew.mul(plan, *vectors, shape=max((u.shape for u in vectors[0] + vectors[1]), key=len))
        if not nonnegative(plan, d) or not _pays(plan, v):
            return None
        factor = _scaled(plan, Scaled(b.matrix, 1, (ew.function(plan, "sqrt", d),), ()))
    return ew.scaled(plan, coefficient, plan.value("dot", (plan.transpose(factor), factor), v.shape))


def _pays(plan: Plan, v: Value) -> bool:
    if v.shape[0].value is None and plan.sizes is None:
        plan.by_size = True
        return True
    return plan.weight(v.shape[0]) >= _PAYS


def rows_scaled(plan: Plan, v: Value) -> Scaled:
    """The scaling of the rows, as far as it is seen."""
    matrix, coefficient = v, 1
    above: list[Value] = []
    below: list[Value] = []
    while True:
        turned = matrix.op == "T"
        inside = matrix.args[0] if turned else matrix
        if inside.op != "mul":
            return Scaled(matrix, coefficient, tuple(above), tuple(below))
        count = inside.attrs[1]
        whole = [k for k, a in enumerate(inside.args) if a.shape == inside.shape]
        vectors = [_row_numbers(a, turned) for a in inside.args]
        if len(whole) != 1 or whole[0] >= count or any(u is None for k, u in enumerate(vectors) if k != whole[0]):
            return Scaled(matrix, coefficient, tuple(above), tuple(below))
        above += [u for k, u in enumerate(vectors[:count]) if k != whole[0] and u is not None]
        below += [u for u in vectors[count:] if u is not None]
        coefficient = coefficient * inside.attrs[0]
        matrix = inside.args[whole[0]]
        if turned:
            matrix = plan.transpose(matrix)


def _row_numbers(a: Value, turned: bool) -> Value | None:
    """The numbers by which a factor scales the rows of what it multiplies (the columns, where that is transposed)."""
    if not a.shape:
        return a
    if turned:
        return a if a.rank == 1 else None
    return a.args[0] if a.op == "newaxis" and a.attrs[0] == 1 else None


def _scaled(plan: Plan, s: Scaled) -> Value:
    above, below = ([plan.newaxis(u, 1) if u.shape else u for u in vectors] for vectors in (s.above, s.below))
    return ew.mul(plan, [*above, s.matrix], below, shape=s.matrix.shape, coefficient=s.coefficient)


__all__ = ["rows_scaled", "with_symmetric_products"]
