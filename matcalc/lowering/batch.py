"""The values of a plan for many items at once: arrays with one more axis in front, and what is done with them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TypeAlias

from matcalc.dims import ONE, Dim
from matcalc.lowering.plan import ArrayShape, Plan, Value, reachable

# What an operation is for a batch, whose operands are known.
Rule: TypeAlias = "Callable[[Batch, Value], Value]"
Rules: TypeAlias = dict[str, Rule]  # by operations

_ITEM = "batch item"  # the index of loops over a batch: no index of the language is called so

# Numbers that count something, and are whole numbers for each item by itself.
_COUNTS = frozenset({"within"})


class NoRuleError(Exception):
    """A value is computed item by item."""


def ruled(rules: Rules, *ops: str) -> Callable[[Rule], Rule]:
    """Puts a function into the table as the rule of these operations."""

    def add(rule: Rule) -> Rule:
        for op in ops:
            rules[op] = rule
        return rule

    return add


class Batch:
    """The values of a plan for a whole batch.

    ``rules``     of the operations; what has none is computed item by item
    ``size``      the length of the batch
    ``names``     of the arguments that have one value for each item
    ``told``      the sizes that arguments show: a map may give arrays of others
    ``portable``  whether only what every target knows is written, not what matcalc's own runtime does with stacks
    """

    def __init__(
        self,
        plan: Plan,
        rules: Rules,
        names: Collection[str],
        size: Dim,
        told: Collection[str] = (),
        portable: bool = False,
    ) -> None:
        self.plan, self.rules, self.size, self.portable = plan, rules, size, portable
        self.names, self.told = frozenset(names), frozenset(told)
        self.arrays: dict[Value, Value] = {}  # with the axis of the batch
        self.moved: set[Value] = set()  # all that differ from item to item

    def put(self, roots: Sequence[Value]) -> None:
        """Finds the arrays of all values that the roots need."""
        for v in reachable(roots, stop=self._is_known):
            if self._is_known(v):
                continue
            batched = v.op == "arg" and v.attrs[0] in self.names
            if not batched and self.moved.isdisjoint(v.args):
                continue
            self.moved.add(v)
            if v.op in _COUNTS:
                continue
            try:
                self.arrays[v] = self._by_rule(v)
            except NoRuleError:
                self.arrays[v] = self._item_by_item(v)

    def _is_known(self, v: Value) -> bool:
        return v in self.moved

    def _by_rule(self, v: Value) -> Value:
        if any(a in self.moved and a not in self.arrays for a in v.args):
            raise NoRuleError
        rule = self.rules.get(v.op)
        if rule is None:
            raise NoRuleError
        return rule(self, v)

    # Operands

    def has(self, v: Value) -> bool:
        """Whether a value has the axis of the batch."""
        return v in self.arrays

    def of(self, v: Value) -> Value:
        """The array of the batch, or the value that all items share."""
        return self.arrays.get(v, v)

    def shape(self, v: Value) -> ArrayShape:
        return (self.size, *v.shape)

    def marked(self, v: Value, marks: Sequence[bool]) -> Value:
        """The array with new axes where the marks of its own axes leave them."""
        marks = [*([True] if self.has(v) else []), *marks]
        return expanded(self.plan, self.of(v), marks)

    def aligned(self, v: Value, rank: int) -> Value:
        """The array as one whose items have ``rank`` axes, new ones in front of their own."""
        if not self.has(v):
            return v
        return self.marked(v, [False] * (rank - v.rank) + [True] * v.rank)

    def repeated(self, v: Value) -> Value:
        """The array of the batch, also where all items are the same."""
        return self.arrays[v] if self.has(v) else self.spread(v, (self.size, *v.shape))

    def spread(self, v: Value, shape: ArrayShape) -> Value:
        """An array in its full shape, by repetition."""
        if v.shape == shape:
            return v
        if v.op == "full" or not v.shape:
            return self.plan.full(v.args[0] if v.op == "full" else v, shape)
        return self.plan.value("spread", (v,), shape, 0)

    # Item by item

    def _item_by_item(self, v: Value) -> Value:
        plan = self.plan
        index, size = plan.value("index", (), (), _ITEM), plan.dimension(self.size)
        body = self._at(v, plan.value("position", (index, size), ()))
        return plan.value("loop", (index, body, plan.one, size), self.shape(v), "stack")

    def _at(self, v: Value, position: Value) -> Value:
        """A value for one item, from the arrays of its operands, or of theirs where these count something."""
        plan = self.plan
        done: dict[Value, Value] = {}

        def is_there(a: Value) -> bool:
            return a is not v and (a not in self.moved or (a in self.arrays and not a.indices))

        for a in reachable([v], stop=is_there):
            if a not in self.moved:
                done[a] = a
            elif a.op == "arg" or is_there(a):
                wheres = ("at", *["all"] * a.rank)
                done[a] = plan.value("block", (self.arrays[a], position), a.shape, *wheres)
            else:
                done[a] = plan.value(a.op, tuple([done[b] for b in a.args]), a.shape, *a.attrs)
        return done[v]


# Forms of arrays


def expanded(plan: Plan, v: Value, marks: Sequence[bool]) -> Value:
    """The array with new axes: for each axis of the result, whether it is there."""
    marks = list(marks)
    if v.op == "expand":  # of which some axes are new
        own = iter(v.attrs)
        marks = [mark and next(own) for mark in marks]
        v = v.args[0]
    while marks and not marks[0]:
        del marks[0]
    if all(marks):
        return v
    sizes = iter(v.shape)
    return plan.value("expand", (v,), tuple([next(sizes) if mark else ONE for mark in marks]), *marks)


def turned(plan: Plan, a: Value) -> Value:
    """The transpose of a shared matrix, as a view."""
    if a.op == "T":
        return a.args[0]
    return plan.value("T", (a,), (a.shape[1], a.shape[0]))


def arranged(plan: Plan, a: Value, order: Sequence[int]) -> Value:
    """The array with its axes in another order, as a view."""
    if a.op == "axes":
        order, a = [a.attrs[k] for k in order], a.args[0]
    if list(order) == list(range(a.rank)):
        return a
    return plan.value("axes", (a,), tuple([a.shape[k] for k in order]), *order)


def flipped(plan: Plan, a: Value) -> Value:
    """The transposes of a batch of matrices."""
    return arranged(plan, a, (0, 2, 1))


def einsum(plan: Plan, pattern: str, args: Sequence[Value], shape: ArrayShape) -> Value:
    slots = ", ".join([f"{{{k}}}" for k in range(len(args))])
    return plan.call(f"{{xp}}.einsum('{pattern}', {slots})", tuple(args), shape)


def other_letter(letters: str) -> str:
    """One that does not occur."""
    return next(c for c in "zyxwvutsrqponmlkjihgfedcbaZYXWVUTSRQPONMLKJIHGFEDCBA" if c not in letters)


__all__ = [
    "Batch",
    "NoRuleError",
    "Rule",
    "Rules",
    "arranged",
    "einsum",
    "expanded",
    "flipped",
    "other_letter",
    "ruled",
    "turned",
]
