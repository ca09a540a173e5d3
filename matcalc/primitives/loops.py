"""Indexed sums, and what is needed to work inside them: which nodes depend on the index."""

from __future__ import annotations

from typing import Any, final

from matcalc.dims import ONE, Shape
from matcalc.expr import Expr, make, postorder, rebuild, unknown
from matcalc.facts import NONNEGATIVE, PSD, SYMMETRIC, Facts, facts
from matcalc.primitives.base import Args, Linear, Same, Sizes, zeros
from matcalc.primitives.leaves import Index


@final
class IndexedSum(Linear):
    """The sum of ``body`` for an index that runs from ``lower`` to ``upper``; empty, and so zero, when upper < lower.

    Rule     d sum(i=1:m, A) = sum(i=1:m, dA)
    Shapes   body in R^{p x q} -> R^{p x q}
    """

    fields = ("index",)
    index: Expr
    integer_slots = (1, 2)
    level = "atom"

    def infer(self, shapes: tuple[Shape, ...], same: Same) -> Shape:
        for shape in shapes[1:]:
            same(shape[0], ONE)
            same(shape[1], ONE)
        return shapes[0]

    def construct(self, args: Args) -> Expr:
        return indexed_sum(args[0], self.index, args[1], args[2])

    def adjoint(self, i: int, g: Expr, y: Expr, x: Args) -> Expr:
        # The cotangent of the body is g for every index; calculus/transpose.py sums what it becomes outside the loop.
        return g

    def trace_rule(self, i: int) -> str:
        return "trace-indexed-sum"

    def facts(self, x: Args) -> Facts:
        return facts(x[0]) & {NONNEGATIVE, SYMMETRIC, PSD}

    def value(self, sizes: Sizes, *x: Any) -> Any:
        raise TypeError("an indexed sum is evaluated by whoever can bind its index")


def indexed_sum(body: Expr, index: Expr, lower: Expr, upper: Expr) -> Expr:
    return zeros(body.shape) if body.is_zero else make(IndexedSum(index), (body, lower, upper))


def free_indices(e: Expr) -> frozenset[Expr]:
    """The indices that occur in ``e`` and are not bound by a sum within it."""
    known: frozenset[Expr] | None = e.memo.get("indices")
    if known is None:
        for node in unknown([e], "indices"):
            if isinstance(node.op, Index):
                found = frozenset({node})
            else:
                found = frozenset().union(*[a.memo["indices"] for a in node.args])
                if isinstance(node.op, IndexedSum):
                    body, lower, upper = (a.memo["indices"] for a in node.args)
                    found = (body - {node.op.index}) | lower | upper
            node.memo["indices"] = found
        known = e.memo["indices"]
    return known


def all_indices(e: Expr) -> frozenset[Expr]:
    """The indices that occur in ``e``, bound or not."""
    known: frozenset[Expr] | None = e.memo.get("all indices")
    if known is None:
        for node in unknown([e], "all indices"):
            own = {node} if isinstance(node.op, Index) else {node.op.index} if isinstance(node.op, IndexedSum) else ()
            node.memo["all indices"] = frozenset(own).union(*[a.memo["all indices"] for a in node.args])
        known = e.memo["all indices"]
    return known


def with_index(e: Expr, old: Expr, new: Expr) -> Expr:
    """``e`` with a free index renamed to one that does not occur in it."""
    done = {old: new}
    for node in postorder([e], stop=lambda a: old not in free_indices(a)):
        if node not in done:
            args = tuple([done[a] for a in node.args]) if old in free_indices(node) else node.args
            if isinstance(node.op, IndexedSum) and node.op.index is old:  # only its bounds are outside
                args = (node.args[0], *args[1:])
            done[node] = rebuild(node, args)
    return done[e]
