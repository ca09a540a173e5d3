"""Large matrices read once: ``X'*f(X*w)``, ``X'*diag(f(X*w))*X``, ``f(U*V' - A)*V`` block of rows by block of rows.

Each block stays in the cache from its first use to its last, and what has as many rows as the matrix is never there as
a whole. The blocks are summed up, or are the rows of a result. It pays for matrices beyond the cache; so the plan is
made anew when the dimensions are known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import prod

from matcalc.dims import Dim
from matcalc.lowering.plan import ArrayShape, Plan, Value, reachable
from matcalc.primitives.elementwise import FUNCTIONS

_ENTRIES = 2**19  # of the matrix from which on it pays: 4 MiB
_ENTRIES_COMPUTED = 2**17  # of one that is computed and multiplied, so that its memory is new at every call
_ENTRIES_OF_BLOCK = 2**16  # what is as large and used for every block is worth more rows of these
_MANY_ROWS = 256
_CALLS = ("{rt}.softmax({0}, 1)", "{rt}.log_softmax({0}, 1)", "{rt}.logsumexp({0}, 1)")


def with_row_blocks(plan: Plan, roots: Sequence[Value]) -> dict[Value, Value]:
    """What each value that the roots need becomes when sums over many rows are computed block by block."""
    values = reachable(roots)
    users: dict[Value, set[Value]] = {r: {r} for r in roots}
    for v in values:
        for a in v.args:
            users.setdefault(a, set()).add(v)
    replaced: dict[Value, Value] = {}
    for v in reversed(values):  # the largest first
        if v.op == "dot" and not v.indices and not v.later:
            found = _blocked(plan, v, users)
            if found is not None:
                replaced[v] = found
    if not replaced:
        return {v: v for v in values}
    new: dict[Value, Value] = {}
    for v in values:
        if v in replaced:
            new[v] = replaced[v]
        else:
            args = tuple([new[a] for a in v.args])
            new[v] = v if args == v.args else plan.value(v.op, args, v.shape, *v.attrs)
    return new


def _blocked(plan: Plan, v: Value, users: dict[Value, set[Value]]) -> Value | None:
    """The product block by block: a sum over blocks of rows, or its rows by blocks."""
    left, right = v.args
    turned = left.op == "T"
    a = left.args[0] if turned else left
    if right.op == "T" or (left.rank == 2 and not turned):
        return _by_rows_of_left(plan, v, users)
    if (left.rank == 2) is not turned or a.shape[0] is not right.shape[0]:
        return None
    rows = a.shape[0]
    cone = _cone([a, right], rows)
    if cone is None:
        return None
    inner = [c for c in cone if c.op != "arg"]
    around = {v, *inner, *([left] if turned else ())}
    read = Counter([b for c in inner for b in _through(c)] + [a, right])
    twice = inner and any(c.op == "arg" and c.rank == 2 and read[c] > 1 for c in cone)
    if not (twice or any(map(_is_computed_matrix, inner))) or any(not users[c] <= around for c in inner):
        return None
    gram = turned and a is right
    least = _least(plan, cone, v.shape if v.rank == 2 else ())
    if v.rank == 2 and not gram and not any(_is_large(plan, c) for c in inner):
        least = 2 * max(plan.weight(d) for d in v.shape)  # nothing is gained but that the matrix is read once
    blocks = _blocks(plan, cone, rows, least, _ENTRIES)
    if blocks is None:
        return None
    index, part, limits = blocks
    x = plan.value("T", (part[a],), left.shape) if turned else part[a]
    body = plan.value("dot", (x, part[right]), v.shape)
    how = "gram" if gram else "product" if v.rank == 2 else "sum"
    return plan.value("loop", (index, body, *limits[:2]), v.shape, "rows", how, least, limits[2])


def _by_rows_of_left(plan: Plan, v: Value, users: dict[Value, set[Value]]) -> Value | None:
    """The rows of a product by blocks, where the left factor is a matrix that is computed entry by entry."""
    left, right = v.args
    rows = left.shape[0]
    if left.rank != 2 or not _is_computed_matrix(left) or rows in right.shape:
        return None
    cone = _cone([left], rows)
    if cone is None or any(not users[c] <= {v, *cone} for c in cone if c.op != "arg"):
        return None
    along_rows = any(c.op in ("call", "sum") for c in cone)  # which is faster on the transpose (layouts.py)
    entries = _ENTRIES if along_rows else min(_ENTRIES_COMPUTED, _ENTRIES)
    if plan.sizes is not None and _entries(plan, left.shape) < entries:
        return None
    least = _least(plan, cone, right.shape)
    blocks = _blocks(plan, cone, rows, least, entries)
    if blocks is None:
        return None
    index, part, limits = blocks
    body = plan.value("dot", (part[left], right), v.shape)
    return plan.value("loop", (index, body, *limits[:2]), v.shape, "rows", "into", least, limits[2])


def _is_computed_matrix(c: Value) -> bool:
    return c.rank == 2 and (c.op in ("add", "mul", "cosigmoid") or c.op in FUNCTIONS)


def _is_large(plan: Plan, c: Value) -> bool:
    return _is_computed_matrix(c) and _entries(plan, c.shape) >= _ENTRIES


def _least(plan: Plan, cone: Sequence[Value], shape: ArrayShape) -> int:
    """The rows that a block has at least: enough for what is read or added whole for every block."""
    whole = [shape, *(c.args[1].shape for c in cone if c.op == "dot")]
    return _MANY_ROWS if any(len(w) == 2 and _entries(plan, w) > _ENTRIES_OF_BLOCK for w in whole) else 1


def _entries(plan: Plan, shape: ArrayShape) -> int:
    return prod([plan.weight(d) for d in shape])


def _blocks(
    plan: Plan, cone: Sequence[Value], rows: Dim, least: int, entries: int
) -> tuple[Value, dict[Value, Value], tuple[Value, Value, Dim]] | None:
    """The index of blocks, the values of the cone for one of them, and the matrix that tells how many rows it has, with
    the entries of each row; None where blocks do not pay: of less than ``entries`` in the widest matrix.
    """
    if plan.sizes is None:
        plan.by_size = True
        return None
    wide = max((c for c in cone if c.rank == 2), key=lambda c: plan.weight(c.shape[1]))
    if _entries(plan, wide.shape) < entries or plan.weight(rows) < 4 * least:
        return None
    read = [c for c in cone if c.op == "arg"]
    matrix = max(read, key=lambda c: _entries(plan, c.shape))
    index = plan.value("index", (), (), "rows")
    part: dict[Value, Value] = {}
    for c in cone:
        if c.op == "arg":
            part[c] = plan.value("rows_of", (c, index), c.shape)
        else:
            args = tuple([part.get(b, b) for b in c.args])
            part[c] = plan.value(c.op, args, c.shape, *c.attrs)
    return index, part, (matrix, matrix, wide.shape[1])


def _through(v: Value) -> tuple[Value, ...]:
    """The operands, those of views too."""
    return tuple([b for a in v.args for b in (a, *(a.args if a.op in ("T", "newaxis") else ()))])


def _cone(ends: Sequence[Value], rows: Dim) -> list[Value] | None:
    """The values row by row from which the ends are computed, operands first; None where one is not row by row."""
    out: list[Value] = []
    seen: set[Value] = set()
    stack = [(e, False) for e in ends]
    while stack:
        v, done = stack.pop()
        if done:
            out.append(v)
            continue
        if v in seen:
            continue
        seen.add(v)
        operands = _by_rows(v, rows)
        if operands is None:
            return None
        stack.append((v, True))
        stack += [(a, False) for a in operands]
    return out


def _by_rows(v: Value, rows: Dim) -> list[Value] | None:
    """The operands whose rows give the rows of ``v``; None where its rows are not computed one by one."""
    if not v.shape or v.shape[0] is not rows or rows in v.shape[1:] or v.indices or v.later:
        return None
    if v.op == "arg":
        return []
    first = v.args[:1]
    if v.op == "dot" and first[0].rank == 2 and rows not in v.args[1].shape:
        return list(first)
    if v.op == "newaxis" and v.attrs[0] == 1:
        return list(first)
    if (v.op == "sum" and v.attrs[0] == 1) or (v.op == "call" and v.attrs[0] in _CALLS):
        return list(first)
    if v.op in ("add", "mul", "cosigmoid") or v.op in FUNCTIONS:
        found = [a for a in v.args if rows in a.shape]
        return found if all(a.shape[0] is rows for a in found) else None
    return None


__all__ = ["with_row_blocks"]
