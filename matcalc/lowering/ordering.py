"""The order in which a chain of matrices is multiplied.

It is found by dynamic programming over the sizes, or, while they are unknown, over a model of them: a named dimension
is large, 1 is 1. So a vector end is multiplied first. Where the order depends on more than that, the plan notes it
(``by_size``), and is made anew when the sizes are known.

Parts of a chain that exist already cost nothing, also as the transpose of what exists. What several chains have in
common may be worth a longer way: where that changes an order and may save more than a trifle, the plan is made a
second time with such parts at a fraction of their price, and the cheaper one is taken (:func:`cheapest`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from matcalc.dims import ONE, Dim
from matcalc.lowering.plan import MODELS, VIEWS, Plan, Value, reachable

LATER = 16  # calls that a function within another one is supposed to get

_CALL = 20_000  # operations that take as long as the call of a product

Span: TypeAlias = tuple[int, int]  # the first and the last factor of a part of a chain
Cut: TypeAlias = tuple[int, int, int]  # the first factor of a product, the last one of its left part, and its last one


class Factor(NamedTuple):
    """A value with the orientation that it has in the product."""

    value: Value
    rows: Dim
    cols: Dim


class Chain(NamedTuple):
    """A part of a chain as it stands; its transpose has the same key."""

    key: tuple[object, ...]
    turned: bool  # whether the key is that of the transpose


class Decision(NamedTuple):
    """The order of one chain, and by what it was chosen."""

    parts: Sequence[Factor]
    chains: Mapping[Span, Chain]
    done: Collection[Span]
    squares: Collection[Cut]
    order: list[Cut]
    costs: Mapping[Span, float]  # of each part


def in_order(plan: Plan, parts: Sequence[Factor], multiply: Callable[[Plan, Factor, Factor], Factor]) -> Factor:
    """The product in the cheapest order."""
    last = len(parts) - 1
    if last == 1:
        c = _chain(plan, parts)
        if c.key not in plan.segments:
            plan.segments[c.key] = (multiply(plan, *parts).value, c.turned)
        v, turned = plan.segments[c.key]
        return Factor(v if c.turned is turned else plan.transpose(v), parts[0].rows, parts[1].cols)
    chains = {(i, j): _chain(plan, parts[i : j + 1]) for i in range(last) for j in range(i + 1, last + 1)}
    plan.chains.update({c.key for c in chains.values()})
    done: dict[Span, Factor] = {(i, i): f for i, f in enumerate(parts)}
    for (i, j), c in chains.items():
        if c.key in plan.segments:
            v, turned = plan.segments[c.key]
            done[i, j] = Factor(v if c.turned is turned else plan.transpose(v), parts[i].rows, parts[j].cols)
    users = _users(plan, parts, chains)
    squares = _squares(plan, parts)
    order, costs = _order(plan, parts, done, users, squares)
    if plan.sizes is not None and not plan.popular:
        plan.decided.append(Decision(parts, chains, frozenset(done), squares, order, costs))
    if plan.sizes is None and not plan.by_size:
        plan.by_size = any(_order(plan, parts, done, users, squares, model)[0] != order for model in MODELS)
    for i, k, j in reversed(order):
        c = chains[i, j]
        if c.key in plan.segments:  # the transpose of another part
            v, turned = plan.segments[c.key]
            done[i, j] = Factor(v if c.turned is turned else plan.transpose(v), parts[i].rows, parts[j].cols)
            continue
        done[i, j] = multiply(plan, done[i, k], done[k + 1, j])
        plan.segments[c.key] = (done[i, j].value, c.turned)
    return done[0, last]


def _users(plan: Plan, parts: Sequence[Factor], chains: Mapping[Span, Chain]) -> dict[Span, int]:
    """How often the parts of a chain are used, where that is more than once."""
    users = {span: plan.popular[c.key] for span, c in chains.items() if c.key in plan.popular} if plan.popular else {}
    if plan.later:
        users = {span: users.get(span, 1) * _applied(parts[span[0] : span[1] + 1]) for span in chains}
    return users


def _squares(plan: Plan, parts: Sequence[Factor]) -> set[Cut]:
    """The products ``B*B'``, of which B is computed once, and one half is enough."""
    out = set()
    for k in range(len(parts) - 1):
        length = 0
        while k - length >= 0 and k + 1 + length < len(parts):
            left, right = parts[k - length].value, parts[k + 1 + length].value
            if left.rank < 2 or plan.transpose(left) is not right:
                break
            out.add((k - length, k, k + 1 + length))
            length += 1
    return out


def _applied(parts: Sequence[Factor]) -> int:
    """How often a product is supposed to be used: one that later arguments do not change serves many of them."""
    return 1 if any(f.value.later for f in parts) else LATER


def _chain(plan: Plan, parts: Sequence[Factor]) -> Chain:
    here = tuple([(f.value, f.rows is ONE) for f in parts])
    back = tuple([(plan.transpose(f.value), f.cols is ONE) for f in reversed(parts)])
    turned = [*map(id, [v for v, _ in here])] > [*map(id, [v for v, _ in back])]
    return Chain(back if turned else here, turned)


def _order(
    plan: Plan,
    parts: Sequence[Factor],
    done: Collection[Span],
    users: Mapping[Span, int],
    squares: Collection[Cut],
    model: int = 0,
) -> tuple[list[Cut], dict[Span, float]]:
    """The products of the cheapest order, users before operands, and what parts cost: dynamic programming."""
    count = len(parts)
    cost: dict[Span, float] = dict.fromkeys(done, 0)
    cut: dict[Span, int] = {}
    sizes = [plan.weight(f.rows, model) for f in parts] + [plan.weight(parts[-1].cols, model)]
    kinds: dict[Span, str] = {(i, i): _kind(f.value) for i, f in enumerate(parts)}
    for length in range(2, count + 1):
        for i in range(count - length + 1):
            j = i + length - 1
            kinds[i, j] = "diag" if kinds[i, j - 1] == kinds[j, j] == "diag" else ""
            if (i, j) in cost:
                continue
            best = None
            for k in range(i, j):
                price = _price(kinds[i, k], kinds[k + 1, j], sizes[i], sizes[k + 1], sizes[j + 1])
                here = cost[i, k] + (price / 2 if (i, k, j) in squares else price + cost[k + 1, j])
                if best is None or here < best:
                    best, cut[i, j] = here, k
            cost[i, j] = (best or 0) / users.get((i, j), 1)
    order: list[Cut] = []
    stack = [(0, count - 1)]
    while stack:
        i, j = stack.pop()
        if (i, j) in cut:
            k = cut[i, j]
            order.append((i, k, j))
            stack += [(i, k), (k + 1, j)]
    return order, cost


def _kind(v: Value) -> str:
    if is_diagonal_and_outer(v.args[0] if v.op == "T" else v):
        return "low"
    return v.op if v.op in ("diag", "inv", "unit", "full", "commutation") else ""


def is_diagonal_and_outer(v: Value) -> bool:
    """Whether a value is ``diag(e) + u*v'``, which is never formed in a product; u or v may be ones."""
    if v.op == "add_diagonal":
        return v.args[0].op == "outer"
    if v.op == "mul":
        arrays = [a for a in v.args[: v.attrs[1]] if a.shape]
        return len(arrays) == sum(a.rank > 0 for a in v.args) == 1 and is_diagonal_and_outer(arrays[0])
    if v.op != "add" or len(v.args) != 2 or v.rank != 2:
        return False
    dense = [a.op == "dense" and a.args[0].op == "diag" for a in v.args]
    other = v.args[dense.index(False)] if any(dense) and not all(dense) else None
    return other is not None and (other.rank < 2 or (other.op == "newaxis" and other.attrs[0] == 1))


def _price(left: str, right: str, rows: int, inside: int, cols: int) -> int:
    """Operations of one product."""
    if left == "diag" or right == "diag":
        return rows if left == right else rows * cols
    if "unit" in (left, right) or "commutation" in (left, right):
        return rows * cols
    if "low" in (left, right):
        return 3 * rows * cols
    if left == "inv" or right == "inv":  # the matrix is factored once in every order; two inverses form one of them
        return (3 if left == right else 2) * rows * inside * cols
    if "full" in (left, right):
        return rows * inside if cols == 1 else inside * cols if rows == 1 else rows * cols
    return rows * inside * cols + _CALL


# Parts that several chains have

_MOST_VALUES = 3000  # of a plan that is made twice
_WORTH = 0.01  # of all operations that this might save


def cheapest(plan: Plan, lowered: Callable[[], list[Value]]) -> list[Value]:
    """The values that ``lowered`` puts into the plan; in another order where that serves several chains at once."""
    first = lowered()
    popular = {key: count for key, count in plan.chains.items() if count > 1}
    if not popular or len(plan) > _MOST_VALUES:
        return first
    if plan.sizes is None:  # it is tried when they are known
        plan.by_size = True
        return first
    plan.popular = popular
    if _saving(plan) < _WORTH * _total(plan, first) or not any(_is_decided_otherwise(plan, d) for d in plan.decided):
        return first
    plan.segments.clear()
    second = lowered()
    return second if _total(plan, second) < _total(plan, first) else first


def _is_decided_otherwise(plan: Plan, d: Decision) -> bool:
    """Whether what is popular changes the order of a chain. Where it changes none, nothing else is changed, either."""
    users = _users(plan, d.parts, d.chains)
    return bool(users) and _order(plan, d.parts, d.done, users, d.squares)[0] != d.order


def _saving(plan: Plan) -> float:
    """The most operations that are saved where popular parts are computed once."""
    costs: dict[Any, float] = {c.key: d.costs[span] for d in plan.decided for span, c in d.chains.items()}
    return sum([(count - 1) * costs.get(key, 0.0) for key, count in plan.popular.items()])


def _total(plan: Plan, roots: Sequence[Value]) -> int:
    """Operations of all values, each counted once."""
    return sum(_operations(plan, v) for v in reachable(roots) if v.shape)


def _operations(plan: Plan, v: Value) -> int:
    size = 1
    for d in v.shape:
        size *= plan.weight(d)
    if v.op in ("dot", "inner", "solve", "inv"):
        size *= plan.weight(v.args[0].shape[-1]) * (1 if v.op in ("dot", "inner") else 2)
        square = v.op == "dot" and v.rank == 2 and plan.transpose(v.args[0]) is v.args[1]
        return (size // 2 if square else size) + _CALL
    return 0 if v.op in VIEWS or v.op == "arg" else size


__all__ = ["Factor", "cheapest", "in_order", "is_diagonal_and_outer"]
