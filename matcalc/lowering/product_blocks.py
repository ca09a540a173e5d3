"""Large products of which a factor would be formed for them only: done by blocks, so that it is never there as a whole.

These are ``A*diag(d)*B``, since ``A*diag(d)`` can be had by rows, and products with ``(A[:, None]*B).reshape(m*n, p)``,
all products of rows of A and B (the Khatri-Rao product, transposed), which can be had by columns. It pays for large
matrices; so the plan is made anew when the dimensions are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from matcalc.lowering.elementwise import mul
from matcalc.lowering.gram import rows_scaled
from matcalc.lowering.in_place import base, is_fresh
from matcalc.lowering.plan import ArrayShape, Plan, Value
from matcalc.primitives.elementwise import FUNCTIONS

_ENTRIES = 2**17  # of the factor from which on it pays: its memory is new at every call
_ROWS = 256  # of a block of A, at least
_COLUMNS = 512  # of the Khatri-Rao product from which on it pays


def with_product_blocks(plan: Plan, roots: Sequence[Value]) -> dict[Value, Value]:
    """What each value that the roots need becomes."""
    values = plan.needed(roots)
    users: dict[Value, set[Value]] = {r: {r} for r in roots}
    for v in values:
        for a in v.args:
            users.setdefault(a, set()).add(v)
    new: dict[Value, Value] = {}
    for v in values:
        args = tuple([new[a] for a in v.args])
        same = v if args == v.args else plan.value(v.op, args, v.shape, *v.attrs)
        found = None
        if v.op == "dot" and v.rank == 2 and not v.indices and not v.later:
            found = _of_products_of_rows(plan, same)
            if found is None and users[v.args[1]] == {v}:
                found = _scaled_between(plan, same)
        new[v] = found or same
    return new


def _of_products_of_rows(plan: Plan, v: Value) -> Value | None:
    """A product with all products of rows of two matrices."""
    left, right = v.args
    first, second = _factors_of_rows(left), _factors_of_rows(plan.transpose(right))
    if first is None:
        if second is None:
            return None
        across = (plan.transpose(right), plan.transpose(left))
        turned = _of_products_of_rows(plan, plan.value("dot", across, v.shape[::-1]))
        return None if turned is None else plan.transpose(turned)
    if plan.sizes is None:
        plan.by_size = True
        return None
    if _entries(plan, left.shape) < _ENTRIES or plan.weight(left.shape[1]) < _COLUMNS:
        return None
    if first == second:
        return plan.call("{rt}.khatri_rao_gram({0}, {1})", first, v.shape)
    args = (*first, *(second or (plan.transpose(right),)))
    return plan.call(f"{{rt}}.khatri_rao_dot({', '.join(f'{{{k}}}' for k in range(len(args)))})", args, v.shape)


def _factors_of_rows(v: Value) -> tuple[Value, ...] | None:
    """A and B of ``(A[:, None]*B).reshape(m*n, p)``."""
    inside = v.args[0] if v.op == "reshape" else v
    if v.rank != 2 or inside.op != "mul" or inside.attrs != (1, 2) or len(inside.args) != 2 or inside.rank != 3:
        return None
    for a, b in (inside.args, inside.args[::-1]):
        if a.op == "expand" and a.attrs == (True, False, True) and b.rank == 2 and v.shape[1] is inside.shape[2]:
            return (a.args[0], b)
    return None


def _scaled_between(plan: Plan, v: Value) -> Value | None:
    """The rows of ``A*(diag(d)*B)`` by blocks, as those of ``(A*diag(d))*B``.

    Not of ``A'*(diag(d)*B)``, a sum over rows, nor where A is computed by entries: these are of row_blocks.py
    """
    left, right = v.args
    if left.rank != 2 or left.op in ("T", "add", "mul", "cosigmoid", "plus_outers") or left.op in FUNCTIONS:
        return None
    scaled = rows_scaled(plan, right)
    if scaled.matrix is right or is_fresh(base(scaled.matrix)):
        return None
    if plan.sizes is None:
        plan.by_size = True
        return None
    rows = plan.weight(left.shape[0])
    least = max(_ROWS, 1 << (max(rows // 3, 1).bit_length() - 1))
    if _entries(plan, right.shape) < _ENTRIES or rows <= least:
        return None
    index = plan.value("index", (), (), "rows")
    above, below = ([plan.newaxis(u, 0) if u.shape else u for u in some] for some in (scaled.above, scaled.below))
    part = plan.value("rows_of", (left, index), left.shape)
    part = mul(plan, [*above, part], below, shape=left.shape, coefficient=scaled.coefficient)
    body = plan.value("dot", (part, scaled.matrix), v.shape)
    blocks = plan.value("blocks", (index, left, body), (), ("into",), least, left.shape[1])
    return plan.value("result", (blocks,), v.shape, 0)


def _entries(plan: Plan, shape: ArrayShape) -> int:
    return prod([plan.weight(d) for d in shape])


__all__ = ["with_product_blocks"]
