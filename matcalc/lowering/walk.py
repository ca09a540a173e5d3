"""The walk from the expression graph to a plan.

The graph is walked once, arguments first. A product that only one other product uses is taken apart again, so that the
order of the whole chain is chosen at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from matcalc.dims import ONE
from matcalc.expr import Expr, postorder
from matcalc.lowering.blocks import OPENED, is_open
from matcalc.lowering.plan import ArrayShape, Plan, Value
from matcalc.primitives import algebra, leaves, matrix, products
from matcalc.primitives.base import Primitive

# What a primitive is on arrays: from the walk, the node, its primitive, and the values of its arguments.
Rule: TypeAlias = Callable[["Lowering", Expr, Any, list[Value]], Value]
Rules: TypeAlias = dict[type[Primitive], Rule]
AnyRule = TypeVar("AnyRule")

_LONGEST_POWER_IN_CHAIN = 4


def array_shape(e: Expr) -> ArrayShape:
    """Numbers have no axis, rows and columns one."""
    rows, cols = e.shape
    if cols is ONE:
        return () if rows is ONE else (rows,)
    return (cols,) if rows is ONE else (rows, cols)


def meet(args: Sequence[Value]) -> ArrayShape:
    """The shape that numbers have together; inside a defined function they stand for whole arrays."""
    return max((a.shape for a in args), key=len)


def ruled(rules: dict[type[Primitive], AnyRule], *kinds: type[Primitive]) -> Callable[[AnyRule], AnyRule]:
    """Puts a function into the table as the rule of these primitives."""

    def add(rule: AnyRule) -> AnyRule:
        for kind in kinds:
            rules[kind] = rule
        return rule

    return add


class Lowering:
    """Puts expressions into a plan; ``names`` gives arguments to variables and differentials."""

    def __init__(
        self, plan: Plan, names: Mapping[Expr, str], rules: Mapping[type[Primitive], Rule], other: Rule
    ) -> None:
        self.plan = plan
        self.rules = rules
        self.other = other  # for primitives without a rule
        self.names = names
        self.values: dict[Expr, Value] = {}
        self._absorbed: set[Expr] = set()
        self.dense: Callable[[Expr], Value | None] | None = None  # puts matrices with structure together (dense.py)

    def lower(self, roots: Sequence[Expr]) -> list[Value]:
        nodes = postorder(roots, stop=self.values.__contains__)
        outside, self._absorbed = self._absorbed, _absorbed(roots, nodes, self.values)
        formed = _formed(nodes) if self.dense is not None else ()
        for node in nodes:
            if node in self.values or node in self._absorbed:
                continue
            found = self.dense(node) if node in formed and self.dense is not None else None
            self.values[node] = self._value(node) if found is None else found
        self._absorbed = outside
        return [self.values[r] for r in roots]

    def _value(self, node: Expr) -> Value:
        op = node.op
        args = [self.values.get(a, self.plan.one) for a in node.args]
        return self.rules.get(type(op), self.other)(self, node, op, args)

    def inside(self, bound: Mapping[Expr, Value]) -> Lowering:
        """A lowering into the same plan in which some leaves have a value already."""
        other = Lowering(self.plan, self.names, self.rules, self.other)
        other.values.update(bound)
        return other

    def matrix(self, e: Expr, v: Value) -> Value:
        """The value of ``e`` with two axes."""
        if v.rank == 2:
            return v
        if v.rank == 1:
            return self.plan.newaxis(v, 0 if e.is_row else 1)
        return self.plan.full(v, (ONE, ONE))

    def taken_apart(self, node: Expr) -> list[tuple[Expr, bool]]:
        """The factors of a product, and whether each is transposed; products used only here are opened."""
        out: list[tuple[Expr, bool]] = []
        stack = [(node, False)]
        while stack:
            e, transposed = stack.pop()
            if e is node or e in self._absorbed:
                if e.op is algebra.TRANSPOSE:
                    stack.append((e.args[0], not transposed))
                elif isinstance(e.op, matrix.MatrixPower):
                    stack.extend([(e.args[0], transposed)] * int(leaves.number_of(e.args[1]) or 0))
                else:
                    stack.extend((a, transposed) for a in (e.args if transposed else reversed(e.args)))
            else:
                out.append((e, transposed))
        return out


def _formed(nodes: Sequence[Expr]) -> set[Expr]:
    """Matrices with structure of which a function is taken, so that they must be formed."""
    out: set[Expr] = set()
    for node in nodes:
        if not isinstance(node.op, OPENED):
            known = isinstance(node.op, matrix.Inv)  # the inverse of a Kronecker product is known
            out.update(a for a in node.args if is_open(a) and not (known and isinstance(a.op, products.Kron)))
    return out


def _absorbed(roots: Sequence[Expr], nodes: Sequence[Expr], known: Collection[Expr]) -> set[Expr]:
    """Products (transposed ones too) that are a factor of one other product and used nowhere else; none of those that
    are ``known``, whose factors need not have values.
    """
    uses: dict[Expr, int] = dict.fromkeys(roots, 2)
    user: dict[Expr, Expr] = {}
    for node in nodes:
        for a in node.args:
            uses[a] = uses.get(a, 0) + 1
            user[a] = node
    out: set[Expr] = set()
    for node in reversed(nodes):
        if uses[node] != 1 or node.is_scalar or node in known:
            continue
        by = user[node]
        inside = isinstance(by.op, algebra.Product) or (by.op is algebra.TRANSPOSE and by in out)
        if inside and (isinstance(node.op, algebra.Product) or node.op is algebra.TRANSPOSE or _is_short_power(node)):
            out.add(node)
    return out


def _is_short_power(node: Expr) -> bool:
    if not isinstance(node.op, matrix.MatrixPower):
        return False
    number = leaves.number_of(node.args[1])
    return number is not None and 1 < number <= _LONGEST_POWER_IN_CHAIN


__all__ = ["Lowering", "Rule", "Rules", "array_shape", "meet", "ruled"]
