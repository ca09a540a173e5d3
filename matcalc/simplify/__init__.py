"""Simplification: one canonical form, bottom-up over the shared graph, each node once."""

from __future__ import annotations

from collections.abc import Sequence

from matcalc.expr import Expr, unknown
from matcalc.primitives.leaves import Commutation, Ones
from matcalc.simplify import (  # noqa: F401  (handlers)
    algebra,
    blocks,
    commutations,
    effort,
    entries,
    indexed,
    kronecker,
    linear,
    square,
    transposes,
)
from matcalc.simplify.cost import cost
from matcalc.simplify.heads import applied

_MEMO = "simplified"
_MOST_LOOKS = 4  # at what one node became


def simplify_all(exprs: Sequence[Expr]) -> list[Expr]:
    """Each expression in its simplified form; parts that they share are simplified once."""
    for node in unknown(exprs, _MEMO):
        if _MEMO in node.memo:  # what another became
            continue
        effort.begun()
        args = tuple([a.memo[_MEMO] for a in node.args])
        found = applied(node.op, args) if args else _leaf(node)
        if found.op is not node.op or found.args != args:  # else a second look would be the first one again
            found = _settled(found)
        node.memo[_MEMO] = found.memo[_MEMO] = found
    return [e.memo[_MEMO] for e in exprs]


def _settled(e: Expr) -> Expr:
    """The form after what is new in it has been simplified in turn; a second look seldom finds anything."""
    for _ in range(_MOST_LOOKS):
        if _MEMO in e.memo:
            return e.memo[_MEMO]  # type: ignore[no-any-return]
        done: dict[Expr, Expr] = {}
        for node in unknown([e], _MEMO):
            effort.begun()
            args = tuple([done[a] if a in done else a.memo[_MEMO] for a in node.args])
            if args == node.args and "stands" in node.memo:
                done[node] = node
            else:
                done[node] = applied(node.op, args) if args else _leaf(node)
        if done[e] is e:
            for node, found in done.items():
                if node is found:
                    node.memo[_MEMO] = node
            return e
        e = done[e]
    return e


def _leaf(e: Expr) -> Expr:
    """A leaf; a row of ones as the transpose of a column, a commutation matrix of vectors as an identity."""
    if isinstance(e.op, Commutation):
        return commutations.commuting(e.op.m, e.op.n)
    return transposes.transposed(transposes.transposed(e)) if isinstance(e.op, Ones) and e.is_row else e


def simplify(e: Expr) -> Expr:
    """The expression in its simplified form, equal in value wherever ``e`` is defined."""
    return simplify_all((e,))[0]


canonical = simplify

__all__ = ["canonical", "cost", "simplify", "simplify_all"]
