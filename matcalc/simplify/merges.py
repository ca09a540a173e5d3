"""Commuting factors that are another function together, as ``sin(t)/cos(t)`` is ``tan(t)``."""

from __future__ import annotations

from matcalc.expr import Expr, make
from matcalc.primitives.algebra import ADD, PRODUCT
from matcalc.primitives.base import Primitive
from matcalc.primitives.elementwise import abs_, cos, cosh, exp, sigmoid, sign, sin, sinh, tan, tanh
from matcalc.primitives.functions import Elementwise
from matcalc.primitives.leaves import Pi, const, number_of
from matcalc.simplify import (
    hadamards,
    powers,
    products,
    sums,
)
from matcalc.simplify.cost import factor_order
from matcalc.simplify.terms import exact, term

_ABS, _EXP, _SIGMOID, _SIGN = (Elementwise(f, 0) for f in (abs_, exp, sigmoid, sign))

_RATIOS: dict[Primitive, tuple[Primitive, Primitive]] = {
    Elementwise(b, 0): (Elementwise(a, 0), Elementwise(r, 0)) for a, b, r in ((sin, cos, tan), (sinh, cosh, tanh))
}


def has_signs(exponents: dict[Expr, powers.Exponent]) -> bool:
    return any(b.op is _ABS or b.op is _SIGN for b in exponents)


def merge_roots(exponents: dict[Expr, powers.Exponent]) -> bool:
    """``sqrt(2)*sqrt(pi)`` is ``sqrt(2*pi)``, and ``sqrt(a)/sqrt(b)`` is ``sqrt(a/b)``."""
    found = {b: q for b, q in exponents.items() if not isinstance(q, int) and q in (powers.HALF, -powers.HALF)}
    if len(found) < 2:
        return False
    numbers = {b for b in found if isinstance(b.op, Pi) or (number_of(b) or 0) > 0}
    under = powers.HALF if any(q == powers.HALF for b, q in found.items() if b not in numbers) else -powers.HALF
    for b in found:
        del exponents[b]
    joined = hadamards.hadamard(*[powers.power(b, const(1 if q == under else -1)) for b, q in found.items()])
    exponents[joined] = under
    return True


def merge_exponentials(exponents: dict[Expr, powers.Exponent], logs: list[Expr]) -> bool:
    """``exp(t)*sigmoid(-t)`` is ``sigmoid(t)``; every step uses up a sigmoid."""
    if len(logs) > 1:
        total = sums.plus(*logs)
        logs[:] = [] if total.is_zero else [total]
    if not logs:
        return True
    (t,) = logs
    same = products.unary(_SIGMOID, t)
    for other in (products.unary(_SIGMOID, products.times(const(-1), t)), complement(same)):
        p = exponents.get(other, 0)
        if not isinstance(p, Expr) and p >= 1:
            break
    else:
        return False
    exponents[other] = exact(p - 1)
    exponents[same] = powers.sums_of(exponents.get(same, 0), 1)
    logs.clear()
    return True


def merge_sigmoids(exponents: dict[Expr, powers.Exponent], logs: list[Expr]) -> bool:
    """Beside ``sigmoid(t)``, ``sigmoid(-t)`` is written ``1 - sigmoid(t)``."""
    both = [b for b in exponents if b.op is _SIGMOID]
    changed = False
    for b in both if len(both) > 1 else ():
        other = products.unary(_SIGMOID, products.times(const(-1), b.args[0]))
        if other not in both:
            continue
        positive = [term(e.args[0]).coefficient > 0 for e in (b, other)]  # both of x - y and y - x
        if positive[0] and (not positive[1] or factor_order(b) < factor_order(other)):
            continue
        if exponents.get(b, 0) != 0 and exponents.get(other, 0) != 0:
            rest = complement(other)
            exponents[rest] = powers.sums_of(exponents.get(rest, 0), exponents.pop(b))
            changed = True
    for base in [b for b in exponents if b.op is ADD]:
        t = one_plus_exp(base)
        if t is None:
            continue
        s = products.unary(_SIGMOID, products.times(const(-1), t))  # 1/(1 + exp(t))
        same = products.unary(_SIGMOID, t)
        for other in (s, complement(same)):
            if exponents.get(other, 0) != 0:
                exponents[other] = powers.sums_of(exponents[other], _negative(exponents.pop(base)))
                changed = True
                break
        else:
            if exponents.get(same, 0) != 0:  # sigmoid(t)*(1 + exp(t)) is exp(t)
                p = exponents[base]
                if isinstance(p, int) and p == exponents[same] and p > 0:
                    exponents[same] = 0
                    exponents[base] = 0
                    logs.append(products.times(const(p), t))
                    changed = True
    return changed


def _negative(p: powers.Exponent) -> powers.Exponent:
    return products.times(const(-1), p) if isinstance(p, Expr) else -p


def complement(s: Expr) -> Expr:
    """``1 - s`` for s = sigmoid(t), left as it is where s stands beside it."""
    return make(ADD, (const(1), make(PRODUCT, (const(-1), s))))


def merge_signs(exponents: dict[Expr, powers.Exponent]) -> bool:
    """``abs(x)*sign(x)`` is x, ``x*sign(x)`` abs(x), ``x/abs(x)`` sign(x), an even power of abs(x) that of x."""
    changed = False
    for base in list(exponents):
        p = exponents[base]
        if base.op is _ABS and isinstance(p, int):
            x = base.args[0]
            s = products.unary(_SIGN, x)
            if p % 2 == 0 and p:
                exponents[base] = 0
                exponents[x] = powers.sums_of(exponents.get(x, 0), p)
                changed = True
            elif p == 1 and exponents.get(s) == 1:
                exponents[base] = exponents[s] = 0
                exponents[x] = powers.sums_of(exponents.get(x, 0), 1)
                changed = True
            elif p == -1 and exponents.get(x) == 1:
                exponents[base] = exponents[x] = 0
                exponents[s] = powers.sums_of(exponents.get(s, 0), 1)
                changed = True
        elif base.op is _SIGN and p == 1:
            x = base.args[0]
            if exponents.get(x) == 1:
                exponents[base] = exponents[x] = 0
                a = products.unary(_ABS, x)
                exponents[a] = powers.sums_of(exponents.get(a, 0), 1)
                changed = True
    return changed


def merge_ratios(exponents: dict[Expr, powers.Exponent]) -> bool:
    """``sin(t)/cos(t)`` is tan(t) and ``tan(t)*cos(t)`` sin(t), of powers too; so are the hyperbolic functions."""
    changed = False
    for below in list(exponents):
        found = _RATIOS.get(below.op)
        if found is None:
            continue
        q = exponents[below]
        above, ratio = [products.unary(op, below.args[0]) for op in found]
        source, target = (above, ratio) if not isinstance(q, Expr) and q < 0 else (ratio, above)
        p = exponents.get(source, 0)
        if isinstance(p, int) and isinstance(q, int) and p > 0 and q:
            common = min(p, abs(q))
            exponents[source] = p - common
            exponents[below] = q + common if q < 0 else q - common
            exponents[target] = powers.sums_of(exponents.get(target, 0), common)
            changed = True
    return changed


def one_plus_exp(e: Expr) -> Expr | None:
    """The t of ``1 + exp(t)``."""
    if len(e.args) == 2:
        for a, b in (e.args, e.args[::-1]):
            if number_of(a) == 1 and b.op is _EXP:
                return b.args[0]
    return None


__all__ = [
    "complement",
    "has_signs",
    "merge_exponentials",
    "merge_ratios",
    "merge_roots",
    "merge_sigmoids",
    "merge_signs",
    "one_plus_exp",
]
