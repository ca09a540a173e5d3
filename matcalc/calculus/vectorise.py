"""Vectorisation: from dF, linear in dX, to the Jacobian J with ``d vec(F) = J*d vec(X)``.

A node that is linear in an argument states its matrix under vec. Any other states its differential, which is an
expression linear in the differentials of its arguments, and that is vectorised in the same way.

The chain rule is applied from bottleneck to bottleneck: where all that F takes from X goes through one quantity z, the
Jacobian is ``J_F(z)*J_z(X)``, and no common factor need be found afterwards. A bottleneck that is a number is reached
by its gradient and left by a differential, so that no Kronecker product appears where vectors do.

Source   MN19 chapters 5 and 9
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from matcalc.calculus.differential import differential
from matcalc.calculus.transpose import pullback
from matcalc.expr import Expr, postorder
from matcalc.primitives.algebra import TRANSPOSE, add, product, transpose
from matcalc.primitives.base import zeros
from matcalc.primitives.leaves import const, differential_of, identity
from matcalc.primitives.loops import IndexedSum, free_indices, indexed_sum
from matcalc.primitives.structure import vec

Tidy = Callable[[Expr], Expr]


class Link(NamedTuple):
    """One application of the chain rule: ``d vec(z) = matrix*d vec(x)``."""

    z: Expr
    x: Expr
    matrix: Expr


class Vectoriser:
    """Jacobians of expressions; what was found out about a node serves all of them."""

    def __init__(self, tidy: Tidy = lambda e: e) -> None:
        self.tidy = tidy
        self._local: dict[tuple[Expr, int], Expr] = {}
        self._links: dict[tuple[Expr, Expr], Link] = {}

    def jacobian(self, f: Expr, x: Expr) -> Expr:
        """The Jacobian of ``f`` by one of its nodes; zero where it does not occur."""
        links = self.chain(f, x)
        if not links:
            return zeros((f.rows * f.cols, x.rows * x.cols)) if f is not x else identity(x.rows * x.cols)
        return self.tidy(product(*[link.matrix for link in reversed(links)]))

    def chain(self, f: Expr, x: Expr) -> list[Link]:
        """The Jacobians from bottleneck to bottleneck, first that of what ``x`` goes into."""
        varying = [node for node in postorder([f], stop={x}.__contains__) if node is x or node.args]
        reached = {x}
        order = [x]
        for node in varying:
            if node is not x and not reached.isdisjoint(node.args):
                reached.add(node)
                order.append(node)
        if len(order) == 1 or x not in varying:
            return []
        stations = _bottlenecks(order, free_indices(f))
        numbers = [z for z in stations if z.is_scalar]
        if numbers:  # the gradient of the first and the differential by the last need nothing in between
            stations = list(dict.fromkeys([x, *numbers, f]))
        links = []
        for start, end in pairwise(stations):
            known = self._links.get((end, start))
            if known is None:
                known = self._links[end, start] = Link(end, start, self.tidy(self._segment(end, start)))
            links.append(known)
        return links

    def _segment(self, f: Expr, x: Expr) -> Expr:
        if f.is_scalar:
            return transpose(vec(pullback(f, const(1), {x}, tidy=self.tidy).get(x) or zeros(x.shape)))
        if x.is_scalar:
            return vec(self.tidy(differential(f, {x: const(1)})))
        return self.matrix(f, {x: identity(x.rows * x.cols)})

    def matrix(self, f: Expr, known: Mapping[Expr, Expr]) -> Expr:
        """M with ``d vec(f) = M*d vec(X)``, from such matrices of nodes that ``f`` depends on."""
        found = dict(known)
        numbers = set(known)  # where the gradient of a number within may stop
        for node in postorder([f], stop=known.__contains__):
            if node in found or not any(a in found for a in node.args):
                continue
            if isinstance(node.op, IndexedSum):
                body, lower, upper = node.args
                found[node] = self.tidy(indexed_sum(found[body], node.op.index, lower, upper))
            elif node.is_scalar and not all(a.is_scalar for a in node.args) and len(found) > len(known):
                cotangents = pullback(node, const(1), numbers, tidy=self.tidy)
                parts = [product(transpose(vec(g)), found[z]) for z, g in cotangents.items()]
                found[node] = self.tidy(add(*parts))
            else:
                slots = [i for i, a in enumerate(node.args) if a in found and i not in node.op.integer_slots]
                parts = [product(self.local(node, i), found[node.args[i]]) for i in slots]
                width = next(iter(found.values())).cols
                found[node] = self.tidy(add(*parts, shape=(node.rows * node.cols, width)))
            if node.is_scalar:
                numbers.add(node)
        return found[f]

    def differentiated(self, node: Expr, i: int) -> Expr:
        """The Jacobian of a node by its i-th argument alone, from its differential."""
        a = node.args[i]
        d = differential_of(a)
        dx = tuple([d if k == i else zeros(b.shape) for k, b in enumerate(node.args)])
        dy = self.tidy(node.op.differential(node, node.args, dx))
        return self.matrix(dy, {d: identity(a.rows * a.cols)}) if not dy.is_zero else _none(node, a)

    def local(self, node: Expr, i: int) -> Expr:
        """The Jacobian of a node by its i-th argument alone."""
        known = self._local.get((node, i))
        if known is None:
            if node.op.linear_in(i):
                known = node.op.matrix(i, node, node.args)
            else:
                known = node.op.jacobian(i, node, node.args) or self.differentiated(node, i)
            self._local[node, i] = known = self.tidy(known)
        return known


def _none(node: Expr, a: Expr) -> Expr:
    return zeros((node.rows * node.cols, a.rows * a.cols))


def _bottlenecks(order: Sequence[Expr], free: frozenset[Expr]) -> list[Expr]:
    """The nodes through which every path from the first of ``order`` to the last goes; none within a loop.

    A transpose is no quantity of its own, save at the ends.
    """
    place = {node: k for k, node in enumerate(order)}
    furthest = 0  # the last user of what has been passed so far
    last_use = dict.fromkeys(order, 0)
    for node in order:
        for a in node.args:
            if a in place:
                last_use[a] = max(last_use[a], place[node])
    found = []
    for k, node in enumerate(order):
        if furthest <= k and free_indices(node) <= free and (node.op is not TRANSPOSE or node in (order[0], order[-1])):
            found.append(node)
        furthest = max(furthest, last_use[node])
    return found


def jacobian(f: Expr, wrt: Sequence[Expr], *, tidy: Tidy = lambda e: e) -> dict[Expr, Expr]:
    """The Jacobians J of ``f`` by each of ``wrt``, with ``d vec(f) = J*d vec(x)``; zero where one does not occur.

    Shapes   size(f) x size(x); vec stacks columns
    Source   MN19 9.5
    """
    engine = Vectoriser(tidy)
    return {x: engine.jacobian(f, x) for x in wrt}


__all__ = ["Link", "Vectoriser", "jacobian"]
