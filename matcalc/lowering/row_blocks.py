"""Large matrices read once: ``X'*f(X*w)``, ``X'*diag(f(X*w))*X``, ``f(U*V' - A)*V`` block of rows by block of rows.

Each block stays in the cache from its first use to its last, and what has as many rows as the matrix is never there as
a whole, unless it is needed beyond. One loop over blocks gives several results: rows of arrays, and sums over rows. It
pays for matrices beyond the cache; so the plan is made anew when the dimensions are known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from math import prod
from typing import NamedTuple

from matcalc.dims import ONE
from matcalc.lowering.layouts import straightened
from matcalc.lowering.plan import ArrayShape, Plan, Value, reachable
from matcalc.primitives.elementwise import FUNCTIONS

_ENTRIES = 2**19  # of a matrix from which on it pays to read it once: 4 MiB
_ENTRIES_COMPUTED = 2**17  # of one that is computed, so that its memory is new at every call
_ENTRIES_OF_BLOCK = 2**16  # what is as large and used for every block is worth more rows of these
_ROWS_ADDED = 128  # of a block whose product is added to a large matrix
_ROWS_MULTIPLIED = 256  # of a block that is multiplied by one
_LONG = 64  # products of which all three lengths are longer are left to BLAS as a whole
_SLENDER = 6  # how much longer than wide a matrix is that is computed as its transpose (layouts.py)
_SPAN = 3000  # values from the first of a loop to its last: of networks of any depth the time grows with the depth
_CALLS = ("{rt}.softmax({0}, 1)", "{rt}.log_softmax({0}, 1)", "{rt}.logsumexp({0}, 1)")


class Member(NamedTuple):
    """A value that is computed row by row, or is a sum over rows.

    ``by_rows``  the operands of which it takes the same rows
    ``whole``    the other operands
    ``sums``     whether it is a sum over the rows
    """

    by_rows: tuple[Value, ...]
    whole: tuple[Value, ...]
    sums: bool = False


def with_row_blocks(plan: Plan, roots: Sequence[Value]) -> dict[Value, Value]:
    """What each value that the roots need becomes when large matrices are gone through block by block."""
    given = plan.needed(roots)
    same = {v: v for v in given}
    least = min(_ENTRIES, _ENTRIES_COMPUTED)
    if (plan.sizes is None and plan.by_size) or not any(
        v.rank == 2 and _is_beyond(plan, v.shape, least) for v in given
    ):
        return same
    straight = straightened(plan, given)
    roots = [straight[r] for r in roots]
    values = reachable(roots)
    members = {v: m for v in values if (m := _member(plan, v)) is not None}
    users: dict[Value, list[Value]] = {r: [r] for r in roots}
    for v in values:
        for a in v.args:
            users.setdefault(a, []).append(v)
    if plan.sizes is None:
        plan.by_size = any(_loop(plan, group, members, users) for group in _connected(members))
        return same
    at = {v: k for k, v in enumerate(values)}
    loops = [
        loop
        for connected in _connected(members)
        if at[connected[-1]] - at[connected[0]] < _SPAN
        for group in _stages(values[at[connected[0]] : at[connected[-1]] + 1], connected, members, users)
        if (loop := _loop(plan, group, members, users)) is not None
    ]
    if not loops:
        return same
    new = _with(plan, roots, loops)
    return {v: new[straight[v]] for v in given if straight[v] in new}


# Which values go together


def _member(plan: Plan, v: Value) -> Member | None:
    if v.indices or v.later or not v.args or any(a.rank > 2 for a in v.args):
        return None
    return _summed(plan, v) or _by_rows(plan, v)


def _by_rows(plan: Plan, v: Value) -> Member | None:
    """The operands of a value whose rows are computed one by one."""
    if not v.shape or v.rank > 2 or v.shape[0] is ONE:
        return None
    a, *rest = v.args
    if v.op == "dot" and a.rank == 2 and a.op != "T":
        return None if v.rank == 2 and _is_heavy(plan, *a.shape, v.shape[1]) else Member((a,), tuple(rest))
    if v.op == "outer" or (v.op == "newaxis" and v.attrs[0] == 1):
        return Member((a,), tuple(rest))
    if v.op == "plus_outers" and not a.shape and rest[1].op == "rows":
        return Member((rest[0], *rest[1].args), (a, rest[2]))
    if (v.op == "sum" and v.attrs[0] == 1) or (v.op == "call" and v.attrs[0] in _CALLS):
        return Member((a,), ())
    if _is_by_entries(v):
        along = tuple([b for b in v.args if b.rank == v.rank and b.shape[0] is v.shape[0]])
        return Member(along, tuple([b for b in v.args if b not in along])) if along else None
    return None


def _summed(plan: Plan, v: Value) -> Member | None:
    """The operands of a sum over rows: of vectors, matrices or products."""
    if v.op == "dot":
        left, right = v.args
        if left.rank == 1:
            return Member((left, right), (), True)
        if left.op != "T" or right.op == "T" or right.shape[0] is ONE:
            return None
        a = left.args[0]
        computed = any(_is_by_entries(b) or b.op == "plus_outers" for b in (a, right))  # and need not be there
        return Member((a, right), (), True) if computed or not _is_heavy_sum(plan, v) else None
    if v.op == "inner" or (v.op == "sum" and (v.attrs[0] == 0 or v.rank == 0)):
        return Member(v.args, (), True) if v.args[0].shape[0] is not ONE else None
    return None


def _is_heavy_sum(plan: Plan, v: Value) -> bool:
    return v.op == "dot" and v.rank == 2 and _is_heavy(plan, v.args[1].shape[0], *v.shape)


def _is_by_entries(v: Value) -> bool:
    return v.op in ("add", "mul", "cosigmoid") or v.op in FUNCTIONS


def _is_heavy(plan: Plan, *lengths: object) -> bool:
    """Whether a product takes so long, compared with reading its factors, that nothing else matters."""
    sizes = [plan.weight(d) for d in lengths]  # type: ignore[arg-type]
    return min(sizes) > _LONG and prod(sizes[1:]) > _ENTRIES_OF_BLOCK


def _connected(members: Mapping[Value, Member]) -> list[list[Value]]:
    """The members that belong together, since they use the rows of one another or of the same matrix."""
    top: dict[Value, Value] = {}

    def found(v: Value) -> Value:
        path = []
        while (up := top.get(v, v)) is not v:
            path.append(v)
            v = up
        for u in path:
            top[u] = v
        return v

    for v, m in members.items():
        for a in m.by_rows:
            if not members[a].sums if a in members else a.rank == 2:  # a sum has other rows than it is a sum over
                top[found(a)] = found(v)
    together: dict[Value, list[Value]] = {}
    for v in members:
        together.setdefault(found(v), []).append(v)
    return [*together.values()]


def _stages(
    between: Sequence[Value],
    group: Sequence[Value],
    members: Mapping[Value, Member],
    users: Mapping[Value, list[Value]],
) -> Iterable[list[Value]]:
    """The group in parts, one after the other: what needs all the rows of a value comes later than this value.

    ``between``  the values from the first of the group to its last
    """
    inside = set(group)
    stage: dict[Value, int] = {}
    after: dict[Value, int] = {}  # the stage that a value waits for, where it waits for one
    for v in between:
        if v in inside:
            by_rows = members[v].by_rows
            waits = [after.get(a, 0) for a in members[v].whole]
            here = [stage[a] if _is_row_by_row(a, inside, members) else after.get(a, 0) for a in by_rows]
            stage[v] = max(waits + here, default=0)
            after[v] = stage[v] + 1
        else:
            latest = max([after.get(a, 0) for a in v.args], default=0)
            if latest:
                after[v] = latest
    for v in reversed(group):
        if not members[v].sums and all(_takes_rows(u, v, inside, members) for u in _users(v, users)):
            stage[v] = min([stage[u] for u in _users(v, users)])
    parts: dict[int, list[Value]] = {}
    for v in group:
        parts.setdefault(stage[v], []).append(v)
    return parts.values()


def _takes_rows(u: Value, v: Value, inside: Collection[Value], members: Mapping[Value, Member]) -> bool:
    """Whether a user within a group needs no more than the same rows of a value."""
    return u in inside and v in members[u].by_rows and v not in members[u].whole


def _is_row_by_row(a: Value, inside: Collection[Value], members: Mapping[Value, Member]) -> bool:
    return a in inside and not members[a].sums


def _users(v: Value, users: Mapping[Value, list[Value]]) -> list[Value]:
    """The users of a value; of ``a'*b``, where the transpose is nothing by itself, those of the transpose."""
    out = []
    for u in users[v]:
        through = u.op == "T" and u is not v and all(w.op == "dot" and w.args[0] is u and w is not u for w in users[u])
        out += users[u] if through else [u]
    return out


# Which loops pay


class Loop(NamedTuple):
    """A loop over blocks of rows.

    ``inner``    what is computed for each block, operands first
    ``ends``     what the loop gives
    ``leaves``   the arrays that are cut into blocks
    ``whole``    what is needed whole for every block
    ``least``    the rows that a block has at least
    ``widest``   a matrix with the most columns
    """

    inner: Sequence[Value]
    members: Mapping[Value, Member]
    ends: list[Value]
    leaves: list[Value]
    whole: list[Value]
    least: int
    widest: Value


def _loop(
    plan: Plan, group: Sequence[Value], members: Mapping[Value, Member], users: Mapping[Value, list[Value]]
) -> Loop | None:
    """The loop that computes the group; None where it does not pay."""
    group, ends = _without_afterthoughts(plan, group, members, users)
    stored = any(not members[v].sums and _is_matrix(v) and _is_beyond(plan, v.shape, _ENTRIES_COMPUTED) for v in ends)
    heavy = [v for v in ends if members[v].sums and _is_heavy_sum(plan, v)]
    if stored and heavy:  # as one more matrix may be, for a product that is faster as a whole
        return _loop(plan, [v for v in group if v not in heavy], members, users)
    inside = set(group)
    leaves = dict.fromkeys([a for v in group for a in members[v].by_rows if not _is_row_by_row(a, inside, members)])
    slender = any(v.op in ("call", "sum") and not members[v].sums and _is_slender(plan, v) for v in group)
    entries = _ENTRIES if slender else min(_ENTRIES, _ENTRIES_COMPUTED)
    passed = [v for v in group if v not in ends and _is_matrix(v) and _is_beyond(plan, v.shape, entries)]
    again = _read_again(plan, group, members, leaves)
    consumed = any(v.op in ("dot", "inner", "sum") and not {*members[v].by_rows}.isdisjoint(passed) for v in group)
    if len(passed) + again < (1 if consumed or again else 2):
        return None
    widest = max(filter(_is_matrix, (*group, *leaves)), key=lambda a: plan.weight(a.shape[1]))
    least = _least(plan, group, members, bool(passed))
    fewest = 4 if any(members[v].sums for v in group) else 2
    if not leaves or (plan.sizes is not None and plan.weight(widest.shape[0]) < fewest * least):
        return None
    whole = dict.fromkeys([a for v in group for a in members[v].whole])
    return Loop(group, members, ends, [*leaves], [*whole], least, widest)


def _without_afterthoughts(
    plan: Plan, group: Sequence[Value], members: Mapping[Value, Member], users: Mapping[Value, list[Value]]
) -> tuple[list[Value], list[Value]]:
    """The group and what it gives, without what is as well computed at once from rows that are as short."""
    inside = set(group)
    kept, ends = [], []
    for v in reversed(group):
        m = members[v]
        if m.sums:
            ends.append(v)
        elif not all(_takes_rows(u, v, inside, members) for u in _users(v, users)):
            last = inside.isdisjoint(_users(v, users))
            within = [a for a in m.by_rows if _is_row_by_row(a, inside, members)]
            short = v.op in ("add", "mul") and not _is_beyond(plan, v.shape, min(_ENTRIES, _ENTRIES_COMPUTED))
            if last and short and len(within) == 1 and users[within[0]] == [v] and within[0].shape == v.shape:
                inside.discard(v)
                continue
            ends.append(v)
        kept.append(v)
    return kept[::-1], ends[::-1]


def _is_matrix(v: Value) -> bool:
    return v.rank == 2 and v.shape[1] is not ONE and v.shape[0] is not ONE and v.op != "newaxis"


def _read_again(plan: Plan, group: Sequence[Value], members: Mapping[Value, Member], leaves: Collection[Value]) -> int:
    """How often large matrices that are there already are read, besides the first times."""
    read: Counter[Value] = Counter()
    for v in group:
        product = v.op == "dot" and v.rank == 2 and min(map(plan.weight, (*v.shape, v.args[1].shape[0]))) > _LONG
        if not product:  # else reading is the least
            read.update({a for a in members[v].by_rows if a in leaves and a.rank == 2})
    return sum(count - 1 for a, count in read.items() if _is_beyond(plan, a.shape, _ENTRIES))


def _least(plan: Plan, group: Sequence[Value], members: Mapping[Value, Member], computed: bool) -> int:
    """The rows that a block has at least: enough for what is read or added whole for every block."""
    least = 1
    for v in group:
        if members[v].sums:
            if v.rank == 2 and _is_beyond(plan, v.shape, _ENTRIES_OF_BLOCK + 1):
                least = max(least, _ROWS_ADDED)
            if v.rank == 2 and not computed and not _is_gram(v):  # gained is only that the matrix is read once
                least = max(least, 4 * min([plan.weight(d) for d in v.shape]))
        elif v.op == "dot" and v.rank == 2 and _is_beyond(plan, v.args[1].shape, _ENTRIES_OF_BLOCK + 1):
            least = max(least, _ROWS_MULTIPLIED)
    return least


def _is_gram(v: Value) -> bool:
    return v.op == "dot" and v.args[0].op == "T" and v.args[0].args[0] is v.args[1]


def _is_slender(plan: Plan, v: Value) -> bool:
    """Whether something runs along the rows of a matrix that is computed as its transpose."""
    rows, cols = (plan.weight(d) for d in v.args[0].shape)
    return rows >= _SLENDER * cols


def _is_beyond(plan: Plan, shape: ArrayShape, entries: int) -> bool:
    return plan.sizes is None or prod([plan.weight(d) for d in shape]) >= entries


# The plan with them


def _with(plan: Plan, roots: Sequence[Value], loops: Sequence[Loop]) -> dict[Value, Value]:
    """What each value becomes; a loop that would need a result of its own by way of others is left out."""
    of = {v: loop for loop in loops for v in loop.ends}
    new: dict[Value, Value] = {}
    begun: set[int] = set()  # loops that wait for what they need
    stack = [*reversed(roots)]
    while stack:
        v = stack[-1]
        if v in new:
            stack.pop()
            continue
        loop = of.get(v)
        missing = [a for a in (v.args if loop is None else (*loop.leaves, *loop.whole)) if a not in new]
        if loop is not None and missing:
            if id(loop) in begun:
                return _with(plan, roots, [other for other in loops if other is not loop])
            begun.add(id(loop))
        if missing:
            stack += reversed(missing)
        elif loop is not None:
            new |= _results(plan, loop, new)
        else:
            args = tuple([new[a] for a in v.args])
            new[v] = v if args == v.args else plan.value(v.op, args, v.shape, *v.attrs)
    return new


def _results(plan: Plan, loop: Loop, new: Mapping[Value, Value]) -> dict[Value, Value]:
    """What the loop gives for each of its ends."""
    index = plan.value("index", (), (), "rows")
    part = {a: plan.value("rows_of", (new[a], index), a.shape) for a in loop.leaves}
    for v in loop.inner:
        part[v] = plan.value(v.op, _of_block(plan, v, loop.members[v], part, new), v.shape, *v.attrs)
    how = tuple([_how(v, loop.members[v]) for v in loop.ends])
    matrix = max(loop.leaves, key=lambda a: prod([plan.weight(d) for d in a.shape]))
    bodies = [_in_two_steps(plan, part[v]) if w == "into" else part[v] for v, w in zip(loop.ends, how, strict=True)]
    rows = plan.value("blocks", (index, new[matrix], *bodies), (), how, loop.least, loop.widest.shape[1])
    found = {v: plan.value("result", (rows,), v.shape, k) for k, v in enumerate(loop.ends)}
    for known in (plan.symmetric, plan.definite, plan.nonnegative):
        known.update([found[v] for v in loop.ends if v in known])
    return found


def _in_two_steps(plan: Plan, v: Value) -> Value:
    """The sum or product as one of two, of which the second step writes into the result."""
    if v.op not in ("add", "mul") or len(v.args) < 3:
        return v
    last = next((k for k in range(len(v.args) - 1, 0, -1) if v.args[k].rank == v.rank), 0)
    rest = v.args[:last] + v.args[last + 1 :]
    if not last or not any(a.shape == v.shape for a in rest):
        return v
    if v.op == "add":
        signs = v.attrs[0]
        first = plan.value("add", rest, v.shape, signs[:last] + signs[last + 1 :])
        return plan.value("add", (first, v.args[last]), v.shape, (False, signs[last]))
    coefficient, count = v.attrs
    first = plan.value("mul", rest, v.shape, coefficient, count - (last < count))
    return plan.value("mul", (first, v.args[last]), v.shape, 1, 1 + (last < count))


def _of_block(
    plan: Plan, v: Value, member: Member, part: Mapping[Value, Value], new: Mapping[Value, Value]
) -> tuple[Value, ...]:
    """The operands of a value for one block of rows."""
    if member.sums:
        first = v.args[0]
        if v.op == "dot" and first.op == "T":
            return plan.value("T", (part[first.args[0]],), first.shape), part[v.args[1]]
        return tuple([part[a] for a in v.args])
    if v.op in ("dot", "outer"):
        return part[v.args[0]], new[v.args[1]]
    if v.op == "plus_outers":
        number, matrix, left, right = v.args
        columns = plan.value("rows", tuple([part[a] for a in left.args]), left.shape)
        return new[number], part[matrix], columns, new[right]
    return tuple([part[a] if a in member.by_rows else new[a] for a in v.args])


def _how(v: Value, member: Member) -> str:
    """What is done with the value for each block: see ``blocks`` in plan.py."""
    if not member.sums:
        return "into"
    return "sum" if v.rank < 2 or v.op != "dot" else "gram" if _is_gram(v) else "product"


__all__ = ["with_row_blocks"]
