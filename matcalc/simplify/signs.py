"""Where a minus goes: taken up by a difference among the factors or the terms."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TypeAlias

from matcalc.expr import Expr, Number, make
from matcalc.primitives.algebra import ADD, HADAMARD, POWER, PRODUCT, TRANSPOSE
from matcalc.primitives.elementwise import log
from matcalc.primitives.functions import Elementwise
from matcalc.primitives.leaves import const, number_of
from matcalc.primitives.products import Inner, KhatriRao, Kron
from matcalc.primitives.reductions import Mean, Sum, Trace
from matcalc.primitives.structure import Diagonal, DiagonalPart, Reshape, Vec
from matcalc.simplify import (
    differences,
    effort,
    hadamards,
    heads,
    powers,
    products,
    sums,
    transposes,
)
from matcalc.simplify.cost import complemented, factor_order, look, scalar_order
from matcalc.simplify.terms import Term, term

_DIAGONAL = Diagonal()
_LOG = Elementwise(log, 0)


def turned_alike(coefficient: Number, scalars: list[Expr], factors: list[Expr]) -> Number:
    """The differences among the factors turned: alike where they differ by sign, and to take up a minus.

    ``-x*(a - b)`` is ``x*(b - a)``, but ``1 - f`` stays, and ``(b - a)*(a - b)'`` is ``-(a - b)*(a - b)'``.
    """
    seen: dict[Expr, int] = {}
    for place in (factors, scalars):
        for i, f in enumerate(place):
            total = f.args[0] if f.op is TRANSPOSE else f
            if total.op is not ADD:
                continue
            other = differences.flipped(total)
            if other is None:
                continue
            if other in seen:
                place[i] = transposes.transposed(other) if f.op is TRANSPOSE else other
                coefficient = -coefficient
                total = other
            seen[total] = seen.get(total, 0) + 1
    for i, s in enumerate(scalars):
        if s.op is PRODUCT:
            for k, a in enumerate(s.args):
                other = _difference(a)
                if other is not None and (other.args[0] if other.op is TRANSPOSE else other) in seen:
                    scalars[i] = products.times(*s.args[:k], other, *s.args[k + 1 :])
                    coefficient = -coefficient
                    break
    upright = positive(Term(coefficient, tuple(scalars), tuple(factors)))
    coefficient, scalars[:], factors[:] = upright
    if coefficient > 0:
        return coefficient
    for place in (factors, scalars):
        for i, f in enumerate(place):
            total = f.args[0] if f.op is TRANSPOSE else f
            if seen.get(total) == 1:
                other = differences.flipped(total)
                assert other is not None
                if any(s.op is PRODUCT and (f in s.args) + (transposes.transposed(f) in s.args) == 1 for s in scalars):
                    continue  # -c'*(x - y)*(x - y): the same difference twice
                if place is scalars and complemented(total) is not None:
                    continue  # -s*(1 - s) stays
                place[i] = transposes.transposed(other) if f.op is TRANSPOSE else other
                if place is scalars:
                    scalars.sort(key=scalar_order)
                return -coefficient
            if f.op is _DIAGONAL and f.args[0].op is ADD and (other := differences.flipped(f.args[0])) is not None:
                place[i] = make(_DIAGONAL, (other,))
                return -coefficient
            if f.op is HADAMARD:
                for k, a in enumerate(f.args):
                    if a.op is ADD and complemented(a) is None:
                        flipped = differences.flipped(a)
                        if flipped is not None:
                            place[i] = make(
                                HADAMARD, tuple(sorted((*f.args[:k], flipped, *f.args[k + 1 :]), key=factor_order))
                            )
                            return -coefficient
    for i, s in enumerate(scalars):
        if s.op is POWER and s.args[0].op is ADD and isinstance(p := number_of(s.args[1]), int) and p % 2:
            other = differences.flipped(s.args[0])
            if other is not None and not sums.occurs(s.args[0], [*scalars[:i], *scalars[i + 1 :], *factors]):
                scalars[i] = make(POWER, (other, s.args[1]))
                scalars.sort(key=scalar_order)
                return -coefficient
        if s.op is PRODUCT:
            turned = [(k, a) for k, a in enumerate(s.args) if _difference(a) is not None]
            if len(turned) == 1 and turned[0][1] not in factors:
                k, a = turned[0]
                other = _difference(a)
                assert other is not None
                scalars[i] = products.times(*s.args[:k], other, *s.args[k + 1 :])
                return -coefficient
    for place in (factors, scalars):
        for i, f in enumerate(place):
            around = [a for a in (*factors, *scalars) if a is not f]
            other = negated(f, around)
            if other is not None and term(other).coefficient == 1:
                place[i] = other
                return -coefficient
    return coefficient


def multiplied_in(coefficient: Number, scalars: list[Expr], factors: list[Expr]) -> Number:
    """The number multiplied into a sum that gets shorter: ``2*a*(x/2 + y)`` is ``a*(x + 2*y)``."""
    for place in (factors, scalars):
        for i, f in enumerate(place):
            if f.op is ADD and look(f).size <= sums.SPREAD and sums.has_numbers(f):
                new = sums.plus(*[products.times(const(coefficient), a) for a in f.args])
                if new.op is ADD and look(new).cost < look(f).cost:
                    place[i] = new
                    if place is scalars:
                        scalars.sort(key=scalar_order)
                    return 1
    return coefficient


def _difference(f: Expr) -> Expr | None:
    """Minus a difference, or minus the transpose of one."""
    total = f.args[0] if f.op is TRANSPOSE else f
    other = differences.flipped(total) if total.op is ADD and complemented(total) is None else None
    return None if other is None else transposes.transposed(other) if f.op is TRANSPOSE else other


_LINEAR = (Diagonal, DiagonalPart, Inner, KhatriRao, Kron, Mean, Reshape, Sum, Trace, Vec)  # in each argument


def positive(t: Term) -> Term:
    """A term with a minus taken up: ``-log(u/v)`` is ``log(v/u)``, and ``-1/(a - b)`` is ``1/(b - a)``.

    Beside another difference, which may take up the minus, a divisor stands the way that comes first.
    """
    parts = [*t.scalars, *[a for f in t.factors for a in (f.args if f.op is HADAMARD else (f,))]]
    if not any(a.op is POWER or a.op is _LOG for a in parts):
        return t
    turned = [(a, other) for a in parts if (other := differences.turned_divisor(a)) is not None]
    if turned:
        totals = [a.args[0] if a.op is TRANSPOSE else a for a in (*parts, *t.factors)]
        others = [differences.reciprocal_log(a) or (differences.flipped(a) if a.op is ADD else None) for a in totals]
        fixed = any(complemented(powers.split(a)[0]) or complemented(powers.split(b)[0]) for a, b in turned)
        if len(turned) == 1 and not any(others) and not fixed:
            return _with_exchanged(t, *turned[0]) if t.coefficient < 0 else t
        for a, other in turned:
            if differences.upright_divisor(a) is not a:
                t = _with_exchanged(t, a, other)
    if t.coefficient < 0:
        for a in parts:
            other = differences.reciprocal_log(a)
            if other is not None:
                return _with_exchanged(t, a, other)
    return t


def _with_exchanged(t: Term, a: Expr, other: Expr) -> Term:
    """Minus the term with a commuting factor replaced by its negative."""
    if a in t.scalars:
        i = t.scalars.index(a)
        scalars = sorted([*t.scalars[:i], other, *t.scalars[i + 1 :]], key=scalar_order)
        return Term(-t.coefficient, tuple(scalars), t.factors)
    i, f = next((i, f) for i, f in enumerate(t.factors) if a in hadamards.commuting((f,)))
    if f is not a:
        k = f.args.index(a)
        other = make(HADAMARD, tuple(sorted([*f.args[:k], other, *f.args[k + 1 :]], key=factor_order)))
    return Term(-t.coefficient, t.scalars, (*t.factors[:i], other, *t.factors[i + 1 :]))


def negated(e: Expr, around: Sequence[Expr]) -> Expr | None:
    """Minus an expression with a difference in it turned round; not ``1 - f(x)``, nor one that also occurs around."""
    if not e.args or not look(e).sums:  # no difference in it
        return None
    found: tuple[Expr | None, int] = None, 0
    waiting = [_negated(e, sums.bits_of(around))]  # within each other, however deep
    answer = None
    while waiting:
        try:
            inner = waiting[-1].send(answer)
        except StopIteration as done:
            answer = found = done.value
            waiting.pop()
        else:
            answer = None
            waiting.append(_negated(*inner))
    return found[0]


Turning: TypeAlias = Generator[tuple[Expr, int], tuple[Expr | None, int] | None, tuple[Expr | None, int]]


def _negated(e: Expr, around: int) -> Turning:
    """The same for the bits of what is around, and those of them that decided: it holds wherever these are alike.

    So what was found of a part serves the whole, and a network takes time in proportion to its depth. It asks for that
    of a part by yielding the part with what is around it.
    """
    known: tuple[Expr | None, int, int] | None = e.memo.get("negated")
    if known is not None and around & known[1] == known[2]:
        return known[0], known[1]
    found, asked = None, 0
    if e.op is ADD:
        other = differences.flipped(e) if complemented(e) is None else None
        if other is not None:
            asked = sums.bit_of(e)
            found = None if around & asked else other
    elif e.op is TRANSPOSE:
        answer = yield e.args[0], around
        assert answer is not None
        inner, asked = answer
        found = None if inner is None else transposes.transposed(inner)
    elif e.op is PRODUCT or e.op is HADAMARD or isinstance(e.op, _LINEAR):
        for k, a in enumerate(e.args):
            if not a.args:
                continue
            answer = yield a, around | sums.bits_of([*e.args[:k], *e.args[k + 1 :]])
            assert answer is not None
            inner, decided = answer
            asked |= decided
            if inner is not None:
                whole = heads.applied(e.op, (*e.args[:k], inner, *e.args[k + 1 :]))
                found = whole if term(whole).coefficient > 0 else None
                break
    if effort.is_whole():
        e.memo["negated"] = found, asked, around & asked
    return found, asked


def turned(items: list[Term]) -> list[Term]:
    """The terms with a minus taken up by a difference among the factors: ``x - A*(y - z)`` is ``x + A*(z - y)``.

    A difference that stands one way round in another place is put the same way, so that equal parts are seen to be.
    """
    out = list(items)
    for i, t in enumerate(items):
        parts = [*t.scalars, *t.factors]
        for k, f in enumerate(parts):
            found = differences.turned_factor(f)
            if found is None:
                continue
            present, other, turned = found
            around = [a for j, a in enumerate(parts) if j != k]
            for j, u in enumerate(items):
                if j != i:
                    around += [a for a in (*u.scalars, *u.factors) if u.coefficient > 0 or not _has_factor(a, present)]
            if (
                sums.occurs(present, around)
                if t.coefficient < 0
                else not sums.occurs(other, around) or sums.occurs(present, around)
            ):
                continue
            parts[k] = turned
            n = len(t.scalars)
            out[i] = Term(-t.coefficient, tuple(sorted(parts[:n], key=scalar_order)), tuple(parts[n:]))
            break
    return out


def _has_factor(f: Expr, total: Expr) -> bool:
    return f is total or (f.op is HADAMARD and total in f.args) or (f.op is TRANSPOSE and f.args[0] is total)


__all__ = ["multiplied_in", "negated", "positive", "turned", "turned_alike"]
