"""Differences turned round: sums, divisors and logarithms that stand for minus another, one way of the two."""

from __future__ import annotations

from matcalc.expr import Expr, make
from matcalc.primitives.algebra import ADD, HADAMARD, POWER, PRODUCT, TRANSPOSE
from matcalc.primitives.elementwise import log
from matcalc.primitives.functions import Elementwise
from matcalc.primitives.leaves import const, number_of
from matcalc.simplify import (
    hadamards,
    powers,
    sums,
    transposes,
)
from matcalc.simplify.cost import factor_order, look, scalar_order
from matcalc.simplify.terms import assemble, term

_LOG = Elementwise(log, 0)
_TURNABLE = (ADD, _LOG, POWER)  # in which a difference or a quotient may be turned
_UNKNOWNS = "uvwxyz"  # the letters of what is looked for, since Descartes
_ALGEBRA = (HADAMARD, PRODUCT, TRANSPOSE)


def upright_term(s: tuple[Expr, ...], m: tuple[Expr, ...]) -> tuple[int, tuple[Expr, ...], tuple[Expr, ...]]:
    """A term with its differences turned one way, so that ``x*(a - b)`` and ``x*(b - a)`` are alike."""
    sign = 1
    if any(f.op in _TURNABLE for f in s):
        sign, s = _upright_factors(s)
        s = tuple(sorted(s, key=scalar_order))
    for i, f in enumerate(m):
        if f.op in _TURNABLE or (f.op is TRANSPOSE and f.args[0].op is ADD):
            k, (turned,) = _upright_factors((f,))
        elif f.op is HADAMARD and any(a.op in _TURNABLE for a in f.args):
            k, args = _upright_factors(f.args)
            turned = make(HADAMARD, tuple(sorted(args, key=factor_order)))
        else:
            continue
        sign *= k
        m = (*m[:i], turned, *m[i + 1 :])
    return sign, s, m


def _upright_factors(factors: tuple[Expr, ...]) -> tuple[int, tuple[Expr, ...]]:
    turned = [_upright_factor(f) for f in factors]
    return -1 if sum([a is not b for a, b in zip(turned, factors, strict=True)]) % 2 else 1, tuple(turned)


def _upright_factor(f: Expr) -> Expr:
    if f.op is TRANSPOSE and f.args[0].op is ADD:
        return transposes.transposed(upright(f.args[0]))
    if f.op is _LOG:
        return upright_log(f)
    if f.op is POWER:
        base, p = powers.split(f)
        odd = base.op is ADD and isinstance(p, int) and p > 0 and p % 2 == 1
        return powers.raised(upright(base), p) if odd else upright_divisor(f)  # of even ones it is done
    return upright(f) if f.op is ADD else f


def turned_factor(f: Expr) -> tuple[Expr, Expr, Expr] | None:
    """A difference in a factor, its negative, and minus the factor with it turned round; not of ``1 - x``."""
    if f.op is HADAMARD:
        for k, a in enumerate(f.args):
            found = turned_factor(a)
            if found is not None:
                args = (*f.args[:k], found[2], *f.args[k + 1 :])
                return found[0], found[1], make(HADAMARD, tuple(sorted(args, key=factor_order)))
        return None
    total = f.args[0] if f.op is TRANSPOSE else f
    if total.op is not ADD or any(number_of(a) == 1 for a in total.args):
        return None
    other = flipped(total)
    if other is None:
        return None
    return total, other, transposes.transposed(other) if f.op is TRANSPOSE else other


def flipped(total: Expr) -> Expr | None:
    """Minus a sum that has terms of both signs."""
    known: Expr | None = total.memo.get("flipped")
    if known is None and "flipped" not in total.memo:
        parts = [term(a) for a in total.args]
        if all(t.coefficient > 0 for t in parts):
            total.memo["flipped"] = None
            return None
        negated = [(t.coefficient > 0, t, assemble(-t.coefficient, t.scalars, t.factors)) for t in parts]
        negated.sort(key=sums.order)
        known = make(ADD, tuple([e for _, _, e in negated]))
        total.memo["flipped"] = known
        if any(t.coefficient > 0 for t in parts):
            known.memo["flipped"] = total
    return known


def upright(total: Expr) -> Expr:
    """The sum or its negative, whichever comes first: both have the same square."""
    other = flipped(total)
    if other is None:
        return total
    return min(total, other, key=_reading)


def _reading(total: Expr) -> tuple[object, ...]:
    """``1 - f(x)``; else products and names first, as in ``A*x - b``, ``x - mean(x)``; unknowns, as in ``x - a``."""
    first = total.args[0]
    complement = (number_of(first) or 0) > 0 and look(total).applies
    return (
        all(term(a).coefficient < 0 for a in total.args),
        not complement,
        not (first.op.is_variable or first.op in _ALGEBRA),
        first.op is not PRODUCT or hadamards.is_ones_row(first.args[-1]),
        first.op.is_variable and first.op.name[0].lower() not in _UNKNOWNS,
        look(total).label,
        total.digest,
    )


def reciprocal_log(f: Expr) -> Expr | None:
    """The logarithm of ``v/u`` for that of ``u/v``, its negative."""
    if f.op is not _LOG:
        return None
    known: Expr | None = f.memo.get("reciprocal")
    if known is None and "reciprocal" not in f.memo:
        _, s, m = term(f.args[0])
        exponents = [powers.split(a)[1] for a in (*s, *hadamards.commuting(m))]
        if any(not isinstance(p, Expr) and p < 0 for p in exponents) and len(exponents) > 1:
            known = make(_LOG, (powers.power(f.args[0], const(-1)),))
            known.memo["reciprocal"] = f
        f.memo["reciprocal"] = known
    return known


def turned_divisor(f: Expr) -> Expr | None:
    """Minus ``1/(a - b)``, and minus odd powers of it."""
    if f.op is not POWER:
        return None
    base, p = powers.split(f)
    if base.op is not ADD or not isinstance(p, int) or p >= 0 or p % 2 == 0:
        return None
    other = flipped(base)
    return None if other is None else powers.raised(other, p)


def upright_divisor(f: Expr) -> Expr:
    """``1/(a - b)`` or its negative, whichever comes first; ``1/(1 - a)``."""
    other = turned_divisor(f)
    if other is None:
        return f
    base, p = powers.split(f)
    numbers = [k for a in base.args if (k := number_of(a)) is not None]
    if numbers:
        return f if numbers[0] > 0 else other
    return powers.raised(upright(base), p)


def upright_log(f: Expr) -> Expr:
    """The logarithm of a quotient or of its reciprocal, whichever comes first."""
    other = reciprocal_log(f)
    return f if other is None else min(f, other, key=lambda e: (look(e).cost, look(e).label, e.digest))


__all__ = [
    "flipped",
    "reciprocal_log",
    "turned_divisor",
    "turned_factor",
    "upright",
    "upright_divisor",
    "upright_log",
    "upright_term",
]
