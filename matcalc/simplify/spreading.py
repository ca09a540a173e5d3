"""Products with a sum among the factors, written out where a term combines with a neighbour."""

from __future__ import annotations

from collections.abc import Sequence

from matcalc.expr import Expr, make
from matcalc.primitives.algebra import ADD, PRODUCT, TRANSPOSE
from matcalc.primitives.leaves import Commutation, Identity, ones
from matcalc.primitives.products import KHATRI_RAO
from matcalc.simplify import (
    commutations,
    effort,
    mixed,
    neighbours,
    products,
    sums,
    transposes,
)
from matcalc.simplify.cost import look
from matcalc.simplify.terms import term

_WORTH = 3  # what writing out a product must save where no identity stands in the sum


def spread(out: list[Expr]) -> Expr | None:
    """A product with a small sum written out where one of its terms combines with a neighbour and that is shorter.

    Next to a commutation matrix that goes past some of the terms only, also where it is as long.
    """
    if not any(f.op is ADD or (f.op is TRANSPOSE and f.args[0].op is ADD) for f in out):
        return None
    product = make(PRODUCT, tuple(out))
    if "spread" not in product.memo:
        product.memo["spread"] = None  # while it is being tried
        product.memo["spread"] = found = _spread(out, look(product).cost)
        if effort.is_spent():
            del product.memo["spread"]
        return found
    known: Expr | None = product.memo["spread"]
    return known


@effort.trial
def _spread(out: list[Expr], cost: int) -> Expr | None:
    for i, f in enumerate(out):
        total = f.args[0] if f.op is TRANSPOSE else f
        if total.op is not ADD or len(total.args) > commutations.FEW or look(f).size > 4 * sums.SMALL:
            continue
        terms = list(total.args) if total is f else [transposes.transposed(a) for a in total.args]
        inside = [term(a).factors for a in terms]
        near = out[max(i - 1, 0) : i] + out[i + 1 : i + 2]
        with_identity = any(len(m) == 1 and isinstance(m[0].op, Identity) for m in inside)
        inverted = _inverted(out[:i], inside, out[i + 1 :])
        combining = any(map(mixed.matters, near)) and any(mixed.matters(a) for m in inside for a in m)
        if not with_identity and not inverted and not combining:
            continue
        # A number spread over the entries of the sum is a matrix once it stands alone in a product.
        terms = [products.times(a, ones(*f.shape)) if a.is_scalar else a for a in terms]
        parts = [products.times(*out[:i], a, *out[i + 1 :]) for a in terms]
        found = [term(p).factors for p in parts]
        lengths = [sum([not isinstance(b.op, Identity) for b in m]) for m in inside]
        combined = [len(m) < len(out) - 1 + n for m, n in zip(found, lengths, strict=True)]
        ends = [(m[0], m[-1]) for m in found if len(m) > 1]
        if not any(combined) and not all(map(_differ, zip(*ends, strict=True))):
            continue  # nothing combines: of this, the common factor would be drawn out again
        whole = sums.plus(*parts)
        of_columns = any(b.op is KHATRI_RAO for m in inside for b in m)  # kron(X, I)*khatri_rao(I, S) is one factor
        limit = cost - (0 if with_identity or of_columns or all(combined) else _WORTH)
        if inverted:
            limit = cost
        if any(isinstance(a.op, Commutation) for a in near) and not all(commutations.commutes([m]) for m in found):
            limit = cost + 1
        if look(whole).cost < limit:
            return whole
    return None


def _inverted(before: Sequence[Expr], inside: Sequence[Sequence[Expr]], behind: Sequence[Expr]) -> bool:
    """Whether a factor beside a sum cancels in one of its terms: ``P*(x - P^-1*y)``."""
    return any(
        (before and neighbours.inverts(before[-1], m[0])) or (behind and neighbours.inverts(m[-1], behind[0]))
        for m in inside
        if m
    )


def _differ(factors: Sequence[Expr]) -> bool:
    return len(set(factors)) == len(factors)


__all__ = ["spread"]
