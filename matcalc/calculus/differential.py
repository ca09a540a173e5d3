"""The differential of an expression: linearisation, node by node, by the rule of each primitive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matcalc.expr import Expr, dependents, postorder
from matcalc.primitives.base import zeros


def differential(y: Expr, directions: Mapping[Expr, Expr]) -> Expr:
    """dy for given directions of the variables, ``{X: dX}``; linear in them. (JVP.)

    Source   MN19 5.3 (Cauchy's rule of invariance)
    """
    return differentials([y], directions)[0]


def differentials(ys: Sequence[Expr], directions: Mapping[Expr, Expr]) -> list[Expr]:
    """The differentials of several expressions, with what they share computed once."""
    d: dict[Expr, Expr] = dict(directions)
    varying = dependents(ys, directions)
    for node in postorder(ys, stop=directions.__contains__):
        if node in varying and node not in d:
            dx = tuple([d.get(a) or zeros(a.shape) for a in node.args])
            d[node] = node.op.differential(node, node.args, dx)
    return [d.get(y) or zeros(y.shape) for y in ys]
