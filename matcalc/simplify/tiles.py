"""Blocks put at their places by slices of an identity, as one matrix of blocks."""

from __future__ import annotations

from matcalc.dims import ONE, Dim
from matcalc.expr import Expr
from matcalc.primitives.leaves import Identity, identity
from matcalc.primitives.structure import ALL, HCat, Slice, VCat
from matcalc.simplify import (
    heads,
    products,
)
from matcalc.simplify.terms import Term, assembled


def tiled(items: list[Term]) -> Expr | None:
    """Blocks put at their places by slices of an identity, where they fill all: ``eye(n)[:,1:k]*A + ...``."""
    for turn in (False, True):
        blocks = []
        for t in items:
            place = t.factors[-1 if turn else 0] if t.factors else None
            if place is None or not isinstance(place.op, Slice) or not isinstance(place.args[0].op, Identity):
                break
            along, across = (place.op.row, place.op.col) if turn else (place.op.col, place.op.row)
            if across != ALL or isinstance(along, str):
                break
            rest = t.factors[:-1] if turn else t.factors[1:]
            scale = assembled(t.coefficient, t.scalars, ())
            order = along[1] - along[0] + 1
            block = products.times(scale, *(rest or (identity(order),)))
            blocks.append((along, block, place.args[0].rows))
        else:
            found = _in_a_row(blocks)
            if found is not None:
                return heads.applied(HCat() if turn else VCat(), tuple(found))
    return None


def _in_a_row(blocks: list[tuple[tuple[Dim, Dim], Expr, Dim]]) -> list[Expr] | None:
    """The blocks in order where each begins after the one before ends, from first to last."""
    begins = {along[0]: (along[1], block) for along, block, _ in blocks}
    at, out = ONE, []
    while at in begins:
        end, block = begins.pop(at)
        out.append(block)
        at = end + 1
    return out if not begins and at is blocks[0][2] + 1 and len(out) == len(blocks) else None


__all__ = ["tiled"]
