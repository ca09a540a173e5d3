"""Transposition: from ⟨g, dy⟩ to ⟨g₁, dx₁⟩ + ⟨g₂, dx₂⟩ + ..., by one trace rule for each linear map (back-propagation).

A node that is linear in an argument states the adjoint. Any other states its differential, which is an expression
linear in the differentials of its arguments, and that is transposed in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

from matcalc.errors import LimitError
from matcalc.expr import Expr, postorder
from matcalc.primitives.algebra import TRANSPOSE, add
from matcalc.primitives.base import Linear, zeros
from matcalc.primitives.leaves import differential_of
from matcalc.primitives.loops import IndexedSum, all_indices, free_indices, indexed_sum, with_index
from matcalc.primitives.matrix import fresh_index

MAX_FACTORS = 500_000  # of all terms of the derivative of one product together


class Contribution(NamedTuple):
    """What one use of ``target`` adds to its cotangent, and the trace rules that say so."""

    target: Expr
    cotangent: Expr
    rules: tuple[str, ...]


Elimination = Callable[[Expr, Expr, list[Contribution]], None]


def pullback(
    root: Expr,
    seed: Expr,
    targets: Collection[Expr],
    *,
    stop: Collection[Expr] = (),
    tidy: Callable[[Expr], Expr] = lambda e: e,
    eliminated: Elimination | None = None,
) -> dict[Expr, Expr]:
    """The cotangents of ``targets`` for the cotangent ``seed`` of ``root``: the transposed linear map. (VJP.)

    ``stop``        constants that are not entered
    ``tidy``        applied to each cotangent before it is passed on
    ``eliminated``  called as (node, cotangent, contributions) for each node in turn

    Targets that ``root`` does not depend on are left out.
    """
    order = postorder([root], stop=lambda e: e in targets or e in stop)
    varying = set(targets)
    for node in order:
        if node.args and node not in stop and not varying.isdisjoint(node.args):
            varying.add(node)
    arriving: dict[Expr, list[Expr]] = {root: [seed]} if root in varying else {}
    found: dict[Expr, Expr] = {}
    for node in reversed(order):
        parts = arriving.pop(node, None)
        if parts is None:
            continue
        g = tidy(add(*parts, shape=node.shape))
        if node in targets:
            found[node] = g
            continue
        contributions = [
            _through_transpose(c, targets) for c in _contributions(node, g, varying) if not c.cotangent.is_zero
        ]
        if eliminated is not None:
            eliminated(node, g, contributions)
        for c in contributions:
            arriving.setdefault(c.target, []).append(c.cotangent)
    return found


def _through_transpose(c: Contribution, targets: Collection[Expr]) -> Contribution:
    """⟨g, dA'⟩ is read as ⟨g', dA⟩ at once: a transpose is no step of its own."""
    if c.target.op is not TRANSPOSE or c.target in targets:
        return c
    return Contribution(c.target.args[0], c.cotangent.T, (*c.rules, "trace-transpose"))


def _contributions(node: Expr, g: Expr, varying: Collection[Expr]) -> list[Contribution]:
    op, args = node.op, node.args
    if isinstance(op, IndexedSum):
        return _through_sum(node, op, g, varying)
    out: list[Contribution] = []
    rest: list[int] = []
    if len(args) > 500 and not isinstance(op, Linear) and len(args) * sum(a in varying for a in args) > MAX_FACTORS:
        raise LimitError(
            f"the derivative of a product of {len(args)} factors has too many terms",
            hint="write a power, A^k, or name parts of the product: P = A*B; P*P",
        )
    for i, a in enumerate(args):
        if a in varying and i not in op.integer_slots:
            if op.linear_in(i):
                out.append(Contribution(a, op.adjoint(i, g, node, args), (op.trace_rule(i),)))
            else:
                rest.append(i)
    if rest:
        out += _through_differential(node, g, rest)
    return out


def _through_differential(node: Expr, g: Expr, slots: list[int]) -> list[Contribution]:
    args = node.args
    dx = tuple([differential_of(a) if i in slots else zeros(a.shape) for i, a in enumerate(args)])
    dy = node.op.differential(node, args, dx)
    used: dict[Expr, list[str]] = {}

    def note(_: Expr, __: Expr, contributions: list[Contribution]) -> None:
        for c in contributions:
            used.setdefault(c.target, []).extend(c.rules)

    pulled = pullback(dy, g, {dx[i] for i in slots}, stop={node, *args}, eliminated=note)
    rules = tuple(dict.fromkeys(name for names in used.values() for name in names))
    moved = {args[i]: dx[i] for i in slots}  # one argument in two slots, as in x.^x, has one differential
    return [Contribution(a, pulled[d], rules) for a, d in moved.items() if d in pulled]


def _through_sum(node: Expr, op: IndexedSum, g: Expr, varying: Collection[Expr]) -> list[Contribution]:
    """Inside the loop the cotangent is g for every index; what arrives at what the index does not reach is summed."""
    body, lower, upper = node.args
    index = op.index
    if index in all_indices(g):  # the cotangent goes into the loop, where its own index must keep its meaning
        index = fresh_index(g, body)
        body = with_index(body, op.index, index)

    known = free_indices(node)

    def outside(e: Expr) -> bool:  # neither this index nor that of a sum inside
        return free_indices(e) <= known

    reached = {e for e in postorder([body], stop=outside) if outside(e) and e in varying}
    return [
        Contribution(target, indexed_sum(cotangent, index, lower, upper), ("trace-indexed-sum",))
        for target, cotangent in pullback(body, g, reached).items()
    ]
