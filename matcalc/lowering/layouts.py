"""Which matrices are computed as their transpose.

A product with many rows and few columns is computed faster the other way round, ``(W'*X')'`` for ``X*W``, and what is
done with it entry by entry, along its rows or in further products is then as fast as memory is: the long axis is the
one along which the entries lie. It pays for matrices of some size; so the plan is made anew when the dimensions are
known. Here products are also given the routine that does them best: sums of entrywise products without the products,
those of a symmetric matrix by one of its triangles.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from matcalc.dims import ONE
from matcalc.lowering.elementwise import mul, turned_operand
from matcalc.lowering.plan import Plan, Value
from matcalc.lowering.totals import inner, total
from matcalc.primitives.elementwise import FUNCTIONS

# Where it pays: products of so many multiplications that have more rows than columns, or, where something runs along
# the rows, so many entries in rows so much longer than the columns.
_MULTIPLICATIONS, _TALL = 2e6, 2
_ENTRIES, _SLENDER = 1000, 6
_ORDER = 128  # of symmetric matrices of which one triangle is read; below the runtime would not do it, either
_LARGE_OUTER = 2**17  # entries of an outer product from which on it is written by broadcasting
_LIE = frozenset({"arg", "rows_of", "block"})  # what lies as it is given
_ALONG = ("{rt}.softmax({0}, ", "{rt}.log_softmax({0}, ", "{rt}.logsumexp({0}, ")


def with_layouts(plan: Plan, roots: Sequence[Value]) -> dict[Value, Value]:
    """What each value that the roots need becomes when slender products are computed as their transpose."""
    turned: set[Value] = set()  # transposes of what is computed
    new: dict[Value, Value] = {}
    values = plan.needed(roots)
    along = _along_rows(values)
    against, alike = _beside_others(values)
    users = Counter([*roots, *(a for v in values for a in v.args)])
    cut = {v.args[0] for v in values if v.op == "rows_of"}  # into blocks of rows
    for v in values:
        args = tuple([new[a] for a in v.args])
        same = v if args == v.args else _again(plan, v, args)
        if v.op == "dot" and args[0] in plan.symmetric and args[1].rank == 1 and _is_large_order(plan, v):
            new[v] = plan.value("symmetric_dot", args, v.shape)
        elif v.op == "sum" and users[v.args[0]] == 1 and (pair := _product_of_two(plan, args[0])) is not None:
            axis = v.attrs[0]
            if axis is None:
                new[v] = inner(plan, *pair)
            else:
                axis = axis if args[0].op != "T" else 1 - axis
                new[v] = plan.value("products_summed", pair, v.shape, axis)
        elif v.op == "outer" and v.rank == 2 and _is_large_outer(plan, v):
            new[v] = plan.value("mul", (plan.newaxis(args[0], 1), args[1]), v.shape, 1, 2)
        elif v.op == "dot" and v.rank == 1 and users[v.args[0]] == 1 and (rows := _scaled_rows(plan, args)) is not None:
            new[v] = rows
        elif v.op == "dot" and v not in cut and (v in against or _pays(plan, v, v in along, v in alike)):
            new[v] = _turned(plan, plan.value("dot", _swapped(plan, args), v.shape[::-1]), turned)
        elif v.rank == 2 and (not turned.isdisjoint(args) or _all_turned(v, args)):
            new[v] = _through(plan, v, args, turned) or same
        else:
            new[v] = same
    return new


def straightened(plan: Plan, values: Sequence[Value]) -> dict[Value, Value]:
    """What each value becomes when operations on entries are done on matrices, not on their transposes."""
    new: dict[Value, Value] = {}
    for v in values:
        args = tuple([new[a] for a in v.args])
        if v.rank == 2 and _all_turned(v, args):
            new[v] = _through(plan, v, args, set()) or v
        elif v.op == "dot" and args[0].rank == 1 and args[1].op == "T":
            new[v] = plan.value("dot", (args[1].args[0], args[0]), v.shape)
        else:
            new[v] = v if args == v.args else _again(plan, v, args)
    return new


def _is_large_order(plan: Plan, v: Value) -> bool:
    return plan.sizes is None or plan.weight(v.shape[0]) >= _ORDER


def _is_large_outer(plan: Plan, v: Value) -> bool:
    """Whether an outer product is written by broadcasting: BLAS writes zeros first, which then have left the cache."""
    if plan.sizes is None:
        plan.by_size = True
        return False
    return plan.weight(v.shape[0]) * plan.weight(v.shape[1]) >= _LARGE_OUTER


def _product_of_two(plan: Plan, a: Value) -> tuple[Value, Value] | None:
    """The matrix as the elementwise product of two, if it is one."""
    if a.op == "T":
        a = a.args[0]
    if a.op != "mul" or a.rank != 2 or a.attrs[1] != len(a.args):
        return None
    full = [v for v in a.args if v.shape == a.shape]
    if len(full) < 2:
        return None
    last = full[-1]
    rest = list(a.args)
    rest.remove(last)
    return mul(plan, rest, shape=a.shape, coefficient=a.attrs[0]), last


def _scaled_rows(plan: Plan, args: Sequence[Value]) -> Value | None:
    """``diag(s)*A*x`` as ``s.*(A*x)``, and ``(A.*B)*x`` as sums of products of the entries."""
    a, x = args
    if a.op == "T" or a.op != "mul" or a.rank != 2:
        return None
    coefficient, count = a.attrs
    above, below = a.args[:count], a.args[count:]
    scales = [s for s in above if s.op == "newaxis" and s.attrs[0] == 1]
    under = [s for s in below if s.op == "newaxis" and s.attrs[0] == 1]
    if (not scales and not under) or not any(s.shape == a.shape for s in above):
        return None
    rest = mul(
        plan,
        [s for s in above if s not in scales],
        [s for s in below if s not in under],
        shape=a.shape,
        coefficient=coefficient,
    )
    if rest.shape != a.shape:
        return None
    vector = plan.value("dot", (rest, x), a.shape[:1])
    return mul(plan, [*(s.args[0] for s in scales), vector], [s.args[0] for s in under], shape=vector.shape)


def _all_turned(v: Value, args: Sequence[Value]) -> bool:
    """Whether an operation on entries has transposes for operands only."""
    full = [a for a in args if a.rank == 2 and ONE not in a.shape]
    return _is_elementwise(v) and bool(full) and all(a.op == "T" for a in full)


def _beside_others(values: Sequence[Value]) -> tuple[set[Value], set[Value]]:
    """The products that meet arrays lying the other way round, and those that meet arrays lying as they do.

    Matrices that are combined entry by entry vote: to read some of them against their order is slow.
    """
    parent: dict[Value, tuple[Value, bool]] = {}  # another one of the same group, and whether it lies across

    def found(v: Value) -> tuple[Value, bool]:
        across = False
        path = []
        while v in parent:
            path.append((v, across))
            v, turned = parent[v]
            across ^= turned
        for u, before in path:
            parent[u] = (v, across ^ before)
        return v, across

    for v in values:
        if v.rank != 2 or not _is_elementwise(v):
            continue
        for a in v.args:
            if a.shape == v.shape and a.rank == 2:
                base, turned = (a.args[0], True) if a.op == "T" else (a, False)
                (top, here), (other, there) = found(v), found(base)
                if top is not other:
                    parent[other] = (top, here ^ there ^ turned)
    votes: Counter[tuple[Value, bool]] = Counter()
    for v in values:
        if v.rank == 2 and v.op in _LIE:
            votes[found(v)] += 1
    against: set[Value] = set()
    alike: set[Value] = set()
    for v in values:
        if v.op == "dot" and v.rank == 2:
            top, across = found(v)
            if votes[top, not across] != votes[top, across]:
                (against if votes[top, not across] > votes[top, across] else alike).add(v)
    return against, alike


def _along_rows(values: Sequence[Value]) -> set[Value]:
    """The values along whose rows something runs, at once or after operations on their entries."""
    found: set[Value] = set()
    for v in reversed(values):
        runs = v.op == "sum" and v.attrs[0] == 1
        runs = runs or (v.op == "call" and v.attrs[0].startswith(_ALONG) and v.attrs[0].endswith("1)"))
        if runs or (v in found and _is_elementwise(v)):
            found.update(a for a in v.args if a.rank == 2)
    return found


def _is_elementwise(v: Value) -> bool:
    return v.op in ("add", "mul", "cosigmoid") or v.op in FUNCTIONS


def _pays(plan: Plan, v: Value, along_rows: bool, alike: bool) -> bool:
    a, b = v.args
    if v.rank != 2 or a.rank != 2 or b.rank != 2 or ONE in (*v.shape, a.shape[1]) or v.shape[0] is v.shape[1]:
        return False
    if plan.sizes is None:
        plan.by_size = True
        return False
    rows, cols = (plan.weight(d) for d in v.shape)
    if along_rows:
        return rows * cols >= _ENTRIES and rows >= _SLENDER * cols
    return rows * cols * plan.weight(a.shape[1]) >= _MULTIPLICATIONS and rows >= (_SLENDER if alike else _TALL) * cols


def _swapped(plan: Plan, args: Sequence[Value]) -> tuple[Value, Value]:
    a, b = args
    return plan.transpose(b), plan.transpose(a)


def _turned(plan: Plan, computed: Value, turned: set[Value]) -> Value:
    found = plan.transpose(computed)
    turned.add(found)
    return found


def _through(plan: Plan, v: Value, args: Sequence[Value], turned: set[Value]) -> Value | None:
    """The transpose of what the operation gives of the transposes, where it acts entry by entry or along an axis."""
    if v.op == "call" and v.attrs[0].startswith(_ALONG) and v.attrs[0][-2] in "01":
        template = v.attrs[0][:-2] + str(1 - int(v.attrs[0][-2])) + ")"
        found = plan.value("call", (plan.transpose(args[0]),), v.shape[::-1], template, *v.attrs[1:])
        return _turned(plan, found, turned)
    if _is_elementwise(v):
        across = tuple([turned_operand(plan, a) for a in args])
        build = plan.commutative if v.op in ("add", "mul") else plan.value
        return _turned(plan, build(v.op, across, v.shape[::-1], *v.attrs), turned)
    return None


def _again(plan: Plan, v: Value, args: tuple[Value, ...]) -> Value:
    """The operation on other operands; of transposes, what their transposes give."""
    if v.op == "sum" and args[0].op == "T" and v.attrs[0] is not None:
        return total(plan, args[0], v.attrs[0])
    if v.op == "inner" and all(a.op == "T" for a in args):
        return inner(plan, *args)
    if v.op == "T":
        return plan.transpose(args[0])
    return plan.value(v.op, args, v.shape, *v.attrs)


__all__ = ["straightened", "with_layouts"]
