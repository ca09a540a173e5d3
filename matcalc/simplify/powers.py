"""Commuting factors, numbers or entry by entry: equal bases become one power, elementwise products, powers."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import TypeAlias

from matcalc.expr import Expr, Number, make
from matcalc.facts import NONNEGATIVE, POSITIVE, has
from matcalc.primitives.algebra import ADD, HADAMARD, POWER, PRODUCT, TRANSPOSE
from matcalc.primitives.algebra import power as raw_power
from matcalc.primitives.base import zeros
from matcalc.primitives.elementwise import abs_, exp, sigmoid, sqrt
from matcalc.primitives.functions import Elementwise, Function
from matcalc.primitives.leaves import Const, Ones, const, number_of, ones
from matcalc.primitives.products import INNER
from matcalc.primitives.reductions import NORM2
from matcalc.simplify import (
    differences,
    dots,
    hadamards,
    merges,
    products,
    sums,
    transposes,
)
from matcalc.simplify.cost import factor_order, look
from matcalc.simplify.terms import assemble, exact, is_run, term

_ABS, _EXP, _SIGMOID, _SQRT = (Elementwise(f, 0) for f in (abs_, exp, sigmoid, sqrt))

Exponent: TypeAlias = Number | Expr
HALF = Fraction(1, 2)
_SMALL = 24  # nodes of an exponential that is joined with others: exp(a)*exp(b) = exp(a + b)


def applied(function: Function, x: Expr) -> Expr:
    return make(Elementwise(function, 0), (x,))


def split(e: Expr) -> tuple[Expr, Exponent]:
    """Base and exponent of a factor; ``sqrt(x)`` is x to 1/2 and ``u'*u`` is norm2(u) to 2."""
    op = e.op
    if op not in _SPLIT:
        return e, 1
    known: tuple[Expr, Exponent] | None = e.memo.get("split")
    if known is None:
        known = e.memo["split"] = _split(e)
    return known


_SPLIT = frozenset({POWER, _SQRT, TRANSPOSE, PRODUCT, INNER})  # what may be a power of something else


def _split(e: Expr) -> tuple[Expr, Exponent]:
    op = e.op
    if op is POWER:
        base, p = e.args
        if p.is_scalar:
            number = number_of(p)
            if isinstance(number, int) and (base.op in (_SQRT, INNER, POWER) or is_run(base)):
                inner, first = split(base)
                if isinstance(first, (int, Fraction)):  # (x^(1/2))^2 is x
                    return inner, exact(first * number)
            return base, p if number is None else number
        return e, 1
    if op is _SQRT:
        return e.args[0], HALF
    if op is TRANSPOSE and (e.args[0].op is POWER or e.args[0].op is _SQRT):
        base, q = split(e.args[0])
        return transposes.transposed(base), q
    if op is PRODUCT and e.is_scalar and is_run(e):
        half = dots.squared(e)
        if half is not None:
            return products.unary(NORM2, half), 2
    if op is INNER and e.args[0] is e.args[1]:
        return products.unary(NORM2, e.args[0]), 2
    return e, 1


def raised(base: Expr, exponent: Exponent) -> Expr:
    """The factor for a base and its whole exponent (not 0), in the form in which it is written."""
    if isinstance(exponent, Expr):
        return make(POWER, (base, exponent))
    if exponent == 1:
        return base
    if base.op is _EXP:
        return products.unary(_EXP, products.times(const(exponent), base.args[0]))
    if base.op is TRANSPOSE:
        return transposes.transposed(raised(base.args[0], exponent))
    if exponent < 0 and exponent != -1:  # a divisor: x/norm2(x)^3
        return make(POWER, (raised(base, exact(-exponent)), const(-1)))
    if (
        base.op is NORM2
        and isinstance(exponent, int)
        and exponent % 2 == 0
        and base.args[0].is_column
        and base.args[0].op.is_variable
    ):  # of a bare vector x'*x is shorter
        square = make(PRODUCT, (transposes.transposed(base.args[0]), base.args[0]))
        return square if exponent == 2 else make(POWER, (square, const(exponent // 2)))
    if exponent == HALF:
        return make(_SQRT, (base,))
    if base.op is ADD and isinstance(exponent, int) and exponent % 2 == 0:
        base = differences.upright(base)
    return make(POWER, (base, const(exponent)))


def combine(factors: Iterable[Expr]) -> tuple[Number, list[Expr]]:
    """The product of commuting factors of one shape: a number, and powers of different bases in order.

    Equal bases are joined, which never makes the domain smaller.
    """
    coefficient: Number = 1
    exponents: dict[Expr, Exponent] = {}
    logs: list[Expr] = []
    repeated = False
    kept: list[Expr] = []
    for f in factors:
        kept.append(f)
        if f.op is _EXP and look(f).size <= _SMALL:
            repeated = repeated or bool(logs)
            logs.append(f.args[0])
            continue
        base, p = split(f)
        if base.op is ADD and base not in exponents and not isinstance(p, Expr) and isinstance(p, int):
            other = differences.flipped(base)  # (a - b) and (b - a) are one base
            if other is not None and other in exponents:
                base = other
                coefficient *= -1 if p % 2 else 1
        before = exponents.get(base)
        if before is None:
            exponents[base] = p
        else:
            repeated = True
            exponents[base] = sums_of(before, p)
    if logs:
        repeated |= merges.merge_exponentials(exponents, logs)
    repeated |= merges.merge_sigmoids(exponents, logs)
    if merges.has_signs(exponents):
        repeated |= merges.merge_signs(exponents)
    repeated |= merges.merge_roots(exponents)
    repeated |= merges.merge_ratios(exponents)
    if not repeated:
        if len(kept) > 1:
            kept.sort(key=factor_order)
        return coefficient, kept
    out: list[Expr] = []
    for base, p in exponents.items():
        number = p if not isinstance(p, Expr) else number_of(p)
        if number == 0:
            continue
        if isinstance(base.op, Const):
            folded = raw_power(base, p if number is None else number)
            value = number_of(folded)
            if value is not None:
                coefficient = exact(coefficient * value)
                continue
            out.append(folded if number is None else raised(base, number))
            continue
        out.append(raised(base, p if number is None else number))
    if logs:
        total = sums.plus(*logs) if len(logs) > 1 else logs[0]
        if not total.is_zero:
            out.append(products.unary(_EXP, total))
    if len(out) > 1:
        out.sort(key=factor_order)
    return coefficient, out


def rooted(coefficient: Number, scalars: list[Expr]) -> tuple[Number, list[Expr]]:
    """A number beside the root of one: ``sqrt(2)/2`` is ``1/sqrt(2)``, and ``2/sqrt(2)`` is ``sqrt(2)``."""
    out = list(scalars)
    for i, s in enumerate(out):
        base, p = split(s)
        b = number_of(base)
        if not isinstance(b, int) or b < 2 or p not in (HALF, -HALF) or isinstance(coefficient, float):
            continue
        c = Fraction(coefficient)
        if (c.denominator if p == HALF else c.numerator) % b == 0:
            out[i] = raised(base, -p)
            coefficient = exact(c * b if p == HALF else c / b)
    return coefficient, out


def _expr(p: Exponent) -> Expr:
    return p if isinstance(p, Expr) else const(p)


def sums_of(a: Exponent, b: Exponent) -> Exponent:
    if isinstance(a, Expr) or isinstance(b, Expr):
        return sums.plus(_expr(a), _expr(b))
    return exact(a + b)


def power(base: Expr, exponent: Expr) -> Expr:
    """The elementwise power of simplified operands."""
    p = number_of(exponent)
    if p == 1:
        return base
    if p == 0:
        return ones(*base.shape)
    if base.is_zero:
        return zeros(base.shape) if p is not None and p > 0 else make(POWER, (base, exponent))
    if isinstance(base.op, Const):
        return _power_of_number(base, exponent)
    if not base.is_scalar and isinstance(base.op, Ones) and exponent.is_scalar:
        return base
    if base.op is TRANSPOSE and exponent.is_scalar:
        return transposes.transposed(power(base.args[0], exponent))
    if not exponent.is_scalar:
        return make(POWER, (base, exponent))
    if transposes.turns(base):
        return transposes.transposed(power(transposes.transposed(base), exponent))
    c, s, m = term(base)
    whole = isinstance(p, int)
    entries = m[0].args if len(m) == 1 and m[0].op is HADAMARD else (assemble(1, (), m),) if m else ()
    parts = len(s) + len(entries) + (c != 1)
    if parts > 1 and not whole:
        # Out of a fractional power go exact roots, and powers of one base that cannot be negative.
        number = _power_of_number(const(c), exponent) if c > 0 and c != 1 and p is not None else None
        if number is not None and number_of(number) is None:
            number = None
        out = [a for a in (*s, *entries) if split(a)[1] != 1 and has(a, NONNEGATIVE)]
        left = [a for a in (*s, *entries) if a not in out]
        if c < 0 or not (all(has(a, NONNEGATIVE) for a in left) or all(has(a, POSITIVE) for a in out)):
            out, left = [], [*s, *entries]  # where one factor is 0, another may be negative
        if out or number is not None:
            rest = hadamards.hadamard(const(1 if number is not None else c), *left)
            return hadamards.hadamard(number or const(1), *[power(a, exponent) for a in out], power(rest, exponent))
        return raised(base, exponent if p is None else p)
    if parts > 1:
        number = raw_power(const(c), exponent) if c != 1 else const(1)
        scalars = products.times(number, *[power(a, exponent) for a in s])
        return hadamards.hadamard(scalars, *[power(a, exponent) for a in entries]) if m else scalars
    return _power_of_atom(base, exponent, p)


def _power_of_number(base: Expr, exponent: Expr) -> Expr:
    """A power of a number; an exact root is taken."""
    a, p = number_of(base), number_of(exponent)
    if a == 1:
        return const(1)
    if isinstance(a, (int, Fraction)) and a > 0 and isinstance(p, Fraction):
        parts = [_root(k, p.denominator) for k in Fraction(a).as_integer_ratio()]
        if parts[0] and parts[1]:
            return raw_power(const(Fraction(parts[0], parts[1])), p.numerator)
        if p < 0:  # 1/sqrt(2)
            return make(POWER, (_power_of_number(base, const(-p)), const(-1)))
        if p == HALF:
            return make(_SQRT, (base,))
    return raw_power(base, exponent)


def _root(k: int, n: int) -> int:
    """The whole n-th root of a whole number, or 0."""
    if n > 64 or k.bit_length() > 256:
        return 0
    low, high = 1, 1 << (k.bit_length() // n + 1)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if middle**n < k else (low, middle)
    return low if low**n == k else 0


def _power_of_atom(base: Expr, exponent: Expr, p: Number | None) -> Expr:
    op = base.op
    if op is _EXP:
        return products.unary(_EXP, products.times(exponent, base.args[0]))
    if op is _ABS and isinstance(p, int) and p % 2 == 0:
        return power(base.args[0], exponent)
    if op is ADD and isinstance(p, int):
        if p < 0:
            t = merges.one_plus_exp(base)
            if t is not None:
                return power(products.unary(_SIGMOID, products.times(const(-1), t)), const(-p))
        if p % 2 == 0:
            base = differences.upright(base)
    inner, first = split(base)
    if first == 1:
        return raised(base, p if p is not None else exponent)
    if not isinstance(first, Expr) and p is not None:
        nonnegative = has(inner, NONNEGATIVE) or has(inner, POSITIVE)
        if isinstance(p, int) or nonnegative:
            return _after_merge(inner, exact(first * p))
        if isinstance(first, int) and first % 2 == 0 and inner.op is not NORM2:
            # (x^2)^p = abs(x)^(2p)
            return _after_merge(products.unary(_ABS, inner), exact(first * p))
    if isinstance(first, Expr) and isinstance(p, int):
        return _after_merge(inner, products.times(first, exponent))
    return raised(base, p if p is not None else exponent)


def _after_merge(base: Expr, p: Exponent) -> Expr:
    return ones(*base.shape) if p == 0 else raised(base, p)


__all__ = ["HALF", "Exponent", "combine", "power", "raised", "rooted", "split", "sums_of"]
