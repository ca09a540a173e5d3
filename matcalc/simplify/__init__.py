"""Simplification: one canonical form, bottom-up over the shared graph, each node once."""

from __future__ import annotations

from collections.abc import Sequence

from matcalc.expr import Expr, postorder
from matcalc.simplify import algebra, blocks, entries, linear, square  # noqa: F401  (their handlers)
from matcalc.simplify.cost import cost
from matcalc.simplify.heads import applied

_MEMO = "simplified"


def simplify_all(exprs: Sequence[Expr]) -> list[Expr]:
    """Each expression in its simplified form; parts that they share are simplified once."""
    for node in postorder(exprs, stop=lambda e: _MEMO in e.memo):
        if _MEMO in node.memo:
            continue
        if not node.args:
            node.memo[_MEMO] = node
            continue
        result = applied(node.op, tuple([a.memo[_MEMO] for a in node.args]))
        node.memo[_MEMO] = result
        result.memo.setdefault(_MEMO, result)
    return [e.memo[_MEMO] for e in exprs]


def simplify(e: Expr) -> Expr:
    """The expression in its simplified form, equal in value wherever ``e`` is defined."""
    return simplify_all((e,))[0]


canonical = simplify

__all__ = ["canonical", "cost", "simplify", "simplify_all"]
