"""The pieces from which the array of a value is put together: each term goes into a view of it.

A term is one or two small arrays over some of the axes of its block. It is added entry by entry, or several of them as
one batch of matrix products.
"""

from __future__ import annotations

from typing import TypeAlias

from matcalc.dims import ONE, Dim, Shape, dim
from matcalc.lowering import tensors
from matcalc.lowering.assembling import Piece, Weight, Weights
from matcalc.lowering.blocks import NOWHERE
from matcalc.lowering.contraction import expanded, operands, product, times_number
from matcalc.lowering.plan import ArrayShape, Plan, Value
from matcalc.lowering.tensors import Axes, Factor, Term
from matcalc.lowering.weighted_grams import Grams

_ADDED = 2**17  # entries of a product from which on it is added by BLAS as it is computed

Ranges: TypeAlias = tuple[tuple[Dim, Dim] | None, ...]
Where: TypeAlias = tuple[Ranges, ArrayShape]  # the ranges of a block and its shape


def where_of(place: tuple[Dim, Dim, Shape], shape: tuple[Dim, ...], leading: int) -> Where:
    """The ranges of a block in an array of that shape, and its own shape; axes of one entry are none."""
    row, col, block = place
    ranges: Ranges = (None,) * leading
    ranges += (_range(row, block[0], shape[-2]), _range(col, block[1], shape[-1]))
    sizes = (*shape[:leading], *block)
    kept = tuple([r for r, d in zip(ranges, shape, strict=True) if d is not ONE])
    return kept if any(kept) else (), tuple([s for s, d in zip(sizes, shape, strict=True) if d is not ONE])


def _range(start: Dim, length: Dim, size: Dim) -> tuple[Dim, Dim] | None:
    if length is size:
        return None
    return start, NOWHERE if start + length is size else start + length


def without_ones(shape: tuple[Dim, ...]) -> ArrayShape:
    return tuple([d for d in shape if d is not ONE])


def covers(t: Term) -> bool:
    """Whether the term reaches all entries."""
    return not t.fixed and len(set(t.axes)) == len(t.axes) and t.axes == t.outer


def _sides(t: Term, pair: list[Factor], row: int, col: int) -> tuple[tuple[Value, Axes, Axes], ...]:
    """The factor that has the axis ``row`` and the one that has ``col``; none where one has both."""
    for (v, left), (w, right) in (pair, pair[::-1]):
        r, c = t.outer[row], t.outer[col]
        if r in left and c in right and c not in left and r not in right:
            return (v, left, t.outer), (w, right, t.outer)
    return ()


class Pieces:
    """The statements of one value and their operands."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.args: dict[Value, int] = {}
        self.pieces: list[Piece] = []

    def put(self, t: Term, where: Where, first: bool) -> None:
        plan = self.plan
        adds = 0 if first else 1
        if adds and t.coefficient < 0:
            t, adds = tensors.scaled(t, -1), -1
        fixed = dict(t.fixed)
        windows = {w.axis: w.limits for w in t.windows}
        kept = [a for a in dict.fromkeys(t.axes) if a not in fixed]
        order = {a: k for k, a in enumerate(kept)}
        found, number = operands(plan, t)
        if len(found) == 2 and not {a for _, axes in found for a in axes} <= order.keys():
            found = [product(plan, found[0], found[1], order.keys(), order)]
        if number is not plan.one and adds:
            found = [(times_number(plan, found[0][0], [number], 1), found[0][1])]
            number = plan.one
        values = [expanded(plan, f, kept) for f in found]
        if len(values) == 1 and covers(t) and values[0].shape == tuple([a.size for a in kept]):
            everywhere, axes = (None,) * len(where[1]), tuple(range(len(where[1])))
            whole = plan.reshape(values[0], where[1])
            if adds and not where[0] and number is plan.one and self._is_large_product(whole):
                left, right = (self._operand(a) for a in whole.args)
                piece = Piece(*where, where[1], everywhere, where[1], axes, (), (left, right), adds, how="product")
                self.pieces.append(piece)
                return
            # A number spreads over its one entry by itself.
            v = self._operand(plan.reshape(values[0], where[1]) if values[0].shape else values[0])
            scale = None if number is plan.one else self._operand(number)
            self.pieces.append(Piece(*where, where[1], everywhere, where[1], axes, (), (v,), adds, scale))
            return
        self.pieces.append(
            Piece(
                *where,
                tuple([a.size for a in t.outer]),
                tuple([windows.get(a) for a in t.outer]),
                tuple([a.size for a in t.axes]),
                tuple([order.get(a) for a in t.axes]),
                tuple([self._operand(fixed[a]) for a in t.axes if a in fixed]),
                tuple([self._operand(v) for v in values]),
                adds,
                scale=None if number is plan.one else self._operand(number),
            )
        )

    def _is_large_product(self, v: Value) -> bool:
        """Whether a value is a product of matrices that BLAS had better add to what is there."""
        plan = self.plan
        if not plan.by_blocks or v.op != "dot" or v.rank != 2:
            return False
        if plan.sizes is None:
            plan.by_size = True
            return False
        return plan.weight(v.shape[0]) * plan.weight(v.shape[1]) >= _ADDED

    def put_grams(self, found: Grams, where: Where, first: bool) -> None:
        """Writes blocks X'*diag(w)*X."""
        x = self._operand(found.matrix)
        weights: dict[bool, list[Weight]] = {True: [], False: []}
        for t in found.weights:
            factors = [*[(a, "") for a in t.scalars], *t.factors]
            places = tuple([(self._operand(a), letters) for a, letters in factors])
            weights[t.on_diagonal].append(Weight(t.coefficient, places))
        used = (x, *(k for terms in weights.values() for t in terms for k, _ in t.factors))
        everywhere = (None,) * len(found.sizes)
        self.pieces.append(
            Piece(
                *where,
                found.sizes,
                everywhere,
                found.sizes,
                tuple(range(len(found.sizes))),
                (),
                tuple(dict.fromkeys(used)),
                0 if first else 1,
                how="grams",
                turned=found.order,
                weights=Weights(tuple(weights[False]), tuple(weights[True]), found.symmetric),
            )
        )

    def mirrored(self, where: Where, original: Where) -> Piece:
        """The transpose of a block that has been written."""
        sizes = where[1]
        axes = tuple(range(len(sizes)))
        return Piece(*where, sizes, (None,) * len(sizes), sizes, axes, (), (), 0, how="mirror", source=original[0])

    def together(self, terms: list[Term], where: Where, first: bool) -> list[Term]:
        """Writes products of two factors that reach all entries as one batch of outer products, or of matrix products
        whose inner dimension counts the terms: one pass over the result instead of one for each. Gives the other terms.
        """
        groups: dict[ArrayShape, list[tuple[Term, list[Factor]]]] = {}
        for t in terms:
            if covers(t) and len(t.outer) > 1:
                pair = operands(self.plan, t).factors
                if len(pair) == 2 and {a for _, axes in pair for a in axes} <= set(t.outer):
                    groups.setdefault(tuple([a.size for a in t.outer]), []).append((t, pair))
        sizes, group = max(groups.items(), key=lambda item: len(item[1]), default=((), []))
        last = len(sizes) - 1
        if len(group) < 2 and (not first or last < 2):
            return terms
        for row in range(last - 1, -1, -1):
            sides = [s for s in (_sides(t, pair, row, last) for t, pair in group) if s]
            if len(sides) < len(group):
                continue
            axes = tuple(range(len(sizes)))
            order = (*[k for k in axes if k not in (row, last)], row, last)
            if len(sides) > 1:
                left = self._stacked([s[0] for s in sides], row, last, sizes)
                right = self._stacked([s[1] for s in sides], last, row, sizes)
            else:
                ((v, mine, outer), (w, yours, _)) = sides[0]
                left = expanded(self.plan, (v, mine), [outer[k] for k in order[:-1]])
                right = expanded(self.plan, (w, yours), [outer[k] for k in (*order[:-2], last)])
            args = (self._operand(left), self._operand(right))
            how = "matmul" if len(sides) > 1 else "outer"
            everywhere = (None,) * len(sizes)
            adds = 0 if first else 1
            self.pieces.append(Piece(*where, sizes, everywhere, sizes, axes, (), args, adds, how=how, turned=order))
            done = [t for t, _ in group]
            return [t for t in terms if not any(t is u for u in done)]
        return terms

    def _stacked(self, factors: list[tuple[Value, Axes, Axes]], own: int, other: int, sizes: ArrayShape) -> Value:
        """One side of the batch of products: arrays over the batch, the axis of this side, and the terms."""
        plan = self.plan
        at = [{outer.index(a) for a in axes} for _, axes, outer in factors]
        used = [k for k in range(len(sizes)) if k != own and any(k in held for held in at)] + [own]
        arrays = [expanded(plan, (v, axes), [outer[k] for k in used]) for v, axes, outer in factors]
        count = dim(len(arrays))
        shape = [*[sizes[k] for k in used[:-1]], *([sizes[own], count] if own < other else [count, sizes[own]])]
        ragged = any(a.rank < len(used) or ONE in a.shape for a in arrays)
        v = plan.value("stack", tuple(arrays), tuple(shape), -1 if own < other else -2, ragged)
        batch = [k for k in range(len(sizes)) if k not in (own, other)]
        present = [*[k in used for k in batch], True, True]
        start = present.index(True)
        if all(present[start:]):
            return v
        rows, cols = shape[-2:]
        full = tuple([sizes[k] if k in used else ONE for k in batch[start:]])
        return plan.value("expand", (v,), (*full, rows, cols), *present[start:])

    def _operand(self, v: Value) -> int:
        return self.args.setdefault(v, len(self.args))


__all__ = ["Pieces", "Where", "covers", "where_of", "without_ones"]
