"""Matrices with structure, written straight into their own array: Jacobians and Hessians.

An expression made of Kronecker and Khatri-Rao products, commutation matrices, diagonals of vec, identities, ones and
ordinary matrices becomes a sum of terms over many axes (opening.py, tensors.py). Each is contracted to two small arrays
at most, and their product goes into a view of the result (pieces.py): of its diagonal where axes coincide, of a block
where blocks stand side by side. No factor is formed that has the size of the result.
"""

from __future__ import annotations

from collections.abc import Sequence

from matcalc.dims import Dim, Shape
from matcalc.expr import Expr, postorder
from matcalc.lowering import tensors
from matcalc.lowering.assembling import Piece
from matcalc.lowering.blocks import blocks_of, is_open, is_worth
from matcalc.lowering.elementwise import tightened
from matcalc.lowering.opening import RULES, summed
from matcalc.lowering.pieces import Pieces, Where, covers, where_of, without_ones
from matcalc.lowering.plan import Value
from matcalc.lowering.tensors import NoContractionError, Term
from matcalc.lowering.walk import Lowering, array_shape
from matcalc.lowering.weighted_grams import weighted_grams
from matcalc.primitives import algebra, structure


class Dense:
    """Terms of expressions, and the values that put them together; ``weights`` is the variable of a stack."""

    def __init__(self, low: Lowering, weights: Expr | None = None) -> None:
        self.low, self.plan, self.weights = low, low.plan, weights
        self._terms: dict[Expr, list[Term]] = {}
        self.varies: set[Expr] = set()

    # Expressions to terms

    def prepare(self, root: Expr) -> None:
        """Computes the terms of all that has structure under ``root``, arguments first."""
        if self.weights is not None:
            for e in postorder([root], stop=self.varies.__contains__):
                if e is self.weights or not self.varies.isdisjoint(e.args):
                    self.varies.add(e)
        for node in postorder([root], stop=lambda e: e in self._terms or not self._is_opened(e)):
            if node not in self._terms and self._is_opened(node):
                self._terms[node] = self._opened(node)

    def _is_opened(self, e: Expr) -> bool:
        return is_open(e) or e in self.varies

    def is_apart(self, e: Expr) -> bool:
        """Whether ``e`` is not computed together with its neighbours in a sum or product of ordinary matrices."""
        return self._is_opened(e) or isinstance(e.op, structure.Vec | structure.Unit)

    def _opened(self, node: Expr) -> list[Term]:
        try:
            if node is self.weights:
                axes = tensors.axes_of(node.rows)
                return [Term(axes, axes, ())]
            rule = RULES.get(type(node.op))
            if rule is None:
                raise NoContractionError
            return [t for t in rule(self, node, node.op) if t.coefficient != 0]
        except NoContractionError:
            if node in self.varies:
                raise
            return self._whole(node)

    def argument(self, e: Expr) -> list[Term]:
        """The terms of an argument, computed as a whole where it has no structure."""
        found = self._terms.get(e)
        if found is None:
            rule = RULES[type(e.op)] if isinstance(e.op, structure.Vec | structure.Unit) else None
            found = self._terms[e] = rule(self, e, e.op) if rule is not None else self._whole(e)
        return found

    def _whole(self, e: Expr) -> list[Term]:
        if e.is_zero:
            return []
        if e in self.varies:
            raise NoContractionError
        (v,) = self.low.lower([e])
        return [t for t in [tensors.of_value(self.plan, e.shape, v)] if t.coefficient != 0]

    def formed(self, e: Expr) -> list[Term]:
        """An expression with structure as one array."""
        if e in self.varies:
            raise NoContractionError
        return [tensors.of_value(self.plan, e.shape, self.value(e))]

    # Terms to values

    def value(self, root: Expr, *, repeated: bool = False) -> Value:
        """The value of ``root``, put together from its blocks; ``repeated`` where each is added to what is there."""
        blocks, apart = blocks_of(root)
        lead = (self.weights.rows,) if self.weights is not None else ()
        shape = (*lead, *root.shape)
        places: dict[tuple[Dim, Dim, Shape], list[Expr]] = {}
        for b in blocks:
            places.setdefault(b.place, []).append(b.expr)
        writer = Pieces(self.plan)
        filled = apart
        mirrored: list[Piece] = []  # blocks that are the transpose of another one
        written: dict[Expr, Where] = {}
        for place, exprs in places.items():
            where = where_of(place, shape, len(lead))
            (e, *others) = exprs
            original = written.get(algebra.transpose(e)) if not (others or repeated) and apart else None
            if original is not None:
                mirrored.append(writer.mirrored(where, original))
                continue
            if apart and not others:
                written[e] = where
            found = [t for e in exprs for t in self._summands(e)]
            found = [t if t.lead else t._replace(lead=tensors.axes_of(*lead)) for t in found]
            found.sort(key=lambda t: not covers(t))
            filled = filled and bool(found) and covers(found[0])
            grams, found = weighted_grams(self.plan, found)
            before = grams is not None and (grams.covers or not any(map(covers, found)))
            if grams is not None and before:
                writer.put_grams(grams, where, apart)
            for t in writer.together(found, where, apart and not before):
                writer.put(t, where, apart and not any(p.ranges == where[0] for p in writer.pieces))
            if grams is not None and not before:
                writer.put_grams(grams, where, False)
        args, pieces = tuple(writer.args), (*writer.pieces, *mirrored)
        alone = filled and len(pieces) == len(args) == len(pieces[0].operands) == 1
        if alone and (args[0].shape == pieces[0].sizes or args[0].shape == without_ones(shape)):
            return self.plan.reshape(args[0], without_ones(shape))
        return self.plan.value("assemble", args, without_ones(shape), pieces, filled)

    def value_or_none(self, root: Expr) -> Value | None:
        """The value, or None where the structure is none that is known here."""
        try:
            return self.value(root)
        except NoContractionError:
            return None

    def _summands(self, e: Expr) -> list[Term]:
        self.prepare(e)
        return summed(self, e, e.op) if e.op is algebra.ADD else self.argument(e)


def lowered(low: Lowering, roots: Sequence[Expr]) -> list[Value]:
    """The values of the roots; matrices with structure are put together in arrays of their own."""
    special = [r for r in dict.fromkeys(roots) if is_worth(r)]
    dense = Dense(low)
    low.dense = dense.value_or_none
    low.lower([r for r in roots if r not in special])
    for r in special:
        found = dense.value_or_none(r)
        low.values[r] = low.lower([r])[0] if found is None else found
    return [low.values[r] for r in roots]


def stack(low: Lowering, root: Expr, weights: Expr) -> Value:
    """The array whose k-th slice is ``root`` at ``weights`` = e(k); the root is linear in the weights.

    They are an axis in front that counts with the entries of the weights; where a function of them is in the way, the
    slices are computed one after the other.
    """
    plan = low.plan
    low.dense = Dense(low).value_or_none
    if weights.is_scalar:
        (v,) = low.inside({weights: plan.one}).lower([root])
        return v
    try:
        return Dense(low, weights).value(root)
    except NoContractionError:
        pass
    index, size = plan.value("index", (), (), "k"), plan.dimension(weights.rows)
    position = plan.value("position", (index, size), ())
    at = plan.value("unit", (position, size), (weights.rows,))
    (body,) = low.inside({weights: at}).lower([root])
    body = tightened(plan, body, array_shape(root))
    return plan.value("loop", (index, body, plan.one, size), (weights.rows, *body.shape), "stack")


__all__ = ["Dense", "lowered", "stack"]
