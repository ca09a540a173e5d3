"""Sums: like terms collected with exact coefficients, common factors drawn out, terms in a reader's order."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import cache, partial
from math import gcd
from typing import TypeAlias

from matcalc.dims import ONE, SCALAR, Shape
from matcalc.expr import Expr, Number, make
from matcalc.primitives.algebra import ADD, HADAMARD, POWER, PRODUCT, TRANSPOSE
from matcalc.primitives.base import zeros
from matcalc.primitives.convolution import Crop, Flip, Pad
from matcalc.primitives.elementwise import log
from matcalc.primitives.functions import Elementwise
from matcalc.primitives.leaves import Commutation, Const, Identity, Ones, const, number_of, ones
from matcalc.primitives.products import Inner, KhatriRao, Kron
from matcalc.primitives.reductions import Mean, Sum, Trace
from matcalc.primitives.structure import Diagonal, DiagonalPart, HCat, Reshape, VCat, Vec
from matcalc.simplify import (
    completed,
    effort,
    expansion,
    factors,
    hadamards,
    heads,
    kronecker,
    match,
    powers,
    products,
    square,
    transposes,
)
from matcalc.simplify.cost import BITS, complemented, factor_order, look, scalar_order
from matcalc.simplify.terms import Term, assemble, assembled, exact, magnitude, ratio, term

Key = tuple[tuple[Expr, ...], tuple[Expr, ...]]  # scalars and factors
Terms = dict[Key, Number]

_DEEPEST = 24  # products within each other in which a difference is looked for: a deep net is one in the other
_LOG = Elementwise(log, 0)
_TURNABLE = (ADD, _LOG, POWER)  # in which a difference or a quotient may be turned
SMALL = 16  # nodes of a sum that is joined with the terms around it
SPREAD = 24  # nodes of a sum over which a number is distributed
_REARRANGED = (Diagonal, Flip, HCat, Pad, Crop, Reshape, VCat, Vec)  # sums of these are these of sums
_STRUCTURED = (Identity, Diagonal, Commutation, Kron, KhatriRao)  # matrices that do not stand for their entries
_UNKNOWNS = "uvwxyz"  # the letters of what is looked for, since Descartes
_LINEAR = (Diagonal, DiagonalPart, Inner, KhatriRao, Kron, Mean, Reshape, Sum, Trace, Vec)  # in each argument
_ALGEBRA = (HADAMARD, PRODUCT, TRANSPOSE)
_LONGEST = 64  # sums of more terms are not joined with the sum around them: a shared graph would grow
_TINY = 8  # nodes of a sum that is always joined with the sum around it
MOST = 12  # terms that products of sums are written out to, to find what cancels


def plus(*operands: Expr) -> Expr:
    """The sum of simplified operands."""
    return summed(operands, True)


def summed(operands: tuple[Expr, ...], expand: bool) -> Expr:
    """The sum; with ``expand`` it is tried whether products of sums, written out, cancel."""
    return match.settled(_summed(operands, expand))


def _summed(operands: tuple[Expr, ...], expand: bool) -> Expr:
    shape = _shape(operands)
    if shape[0] is ONE and shape[1] is not ONE:
        return transposes.transposed(summed(tuple([transposes.transposed(a) for a in operands]), expand))
    collected = _collect(operands, shape)
    if not collected:
        return zeros(shape)
    if len(collected) > 1:
        collected = square.one_determinant(expansion.one_sigmoid(collected))
        collected = completed.completed(expansion.hyperbolic(collected), shape)
    plain = cache(partial(built_sum, collected, shape))
    if expand and 1 < len(collected) <= MOST:
        written = (
            expansion.written_out(collected, shape, plain)
            or expansion.over_one_divisor(collected, shape, plain)
            or expansion.turned_out(collected, shape, plain)
        )
        if written is not None:
            return written
    return plain()


def _shape(operands: tuple[Expr, ...]) -> Shape:
    for a in operands:
        if not a.is_scalar:
            return a.shape
    return SCALAR


def _collect(operands: tuple[Expr, ...], shape: Shape) -> Terms:
    out: Terms = {}
    todo: list[tuple[Expr, Number]] = [(a, 1) for a in reversed(operands)]
    bits: list[int] | None = None
    while todo:
        e, k = todo.pop()
        c, s, m = term(e)
        c = c * k
        if not c:
            continue
        inner = m[0] if len(m) == 1 and not s else s[0] if not m and len(s) == 1 else None
        if inner is not None and inner.op is ADD and len(inner.args) <= _LONGEST:
            if bits is None:
                bits = [_inside(a) for a in operands]
            if (c in (1, -1) or look(inner).size <= SPREAD) and not _within(inner, operands, bits):
                todo.extend([(a, c) for a in reversed(inner.args)])
                continue
            if c < 0 and (other := flipped(inner)) is not None:
                c, inner = -c, other
            put(out, (() if m else (inner,), (inner,) if m else ()), c)
            continue
        if len(m) == 1 and isinstance(m[0].op, Ones) and shape is not SCALAR:  # a number spread over all entries
            if len(s) == 1 and s[0].op is ADD and look(s[0]).size <= SMALL:
                todo.extend([(a, c) for a in reversed(s[0].args)])
                continue
            m = ()
        if s or m:
            sign, s, m = upright_term(s, m)
            c = c * sign
        put(out, (s, m), c)
    return _met(out)


def _met(collected: Terms) -> Terms:
    """The terms with a multiple of a sum taken apart where all of its terms occur besides: ``(a - b)/2 + b - a``."""
    for (s, m), c in list(collected.items()):
        inner = (*s, *m)
        if len(inner) != 1 or inner[0].op is not ADD or len(inner[0].args) >= len(collected):
            continue
        parts = [(k, upright_term(t, f)) for k, t, f in map(term, inner[0].args)]
        if all((t, f) in collected for _, (_, t, f) in parts):
            collected.pop((s, m))
            for k, (sign, t, f) in parts:
                put(collected, (t, f), exact(c * k * sign))
    return collected


def put(out: Terms, key: Key, c: Number) -> None:
    total = out.get(key, 0) + c
    if total:
        out[key] = exact(total)
    else:
        out.pop(key, None)


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
        return powers.upright_log(f)
    if f.op is POWER:
        base, p = powers.split(f)
        odd = base.op is ADD and isinstance(p, int) and p > 0 and p % 2 == 1
        return powers.raised(upright(base), p) if odd else powers.upright_divisor(f)  # of even ones it is done
    return upright(f) if f.op is ADD else f


def _inside(e: Expr) -> int:
    """The bits of the sums inside an operand, without that of the operand itself where it is a sum."""
    if e.op is PRODUCT and len(e.args) == 2 and isinstance(e.args[0].op, Const):
        e = e.args[1]
    if e.op is not ADD:
        return look(e).sums
    return _bits(e.args)


def _within(inner: Expr, operands: tuple[Expr, ...], bits: list[int]) -> bool:
    """Whether a nested sum may also stand deeper inside another operand, as in ``h + W*s(h)``: then it stays whole."""
    bit = _bit(inner)
    return look(inner).size > _TINY and any(b & bit for b in bits)


def built_sum(collected: Terms, shape: Shape) -> Expr:
    if shape is not SCALAR and all(not m for _, m in collected):
        return products.times(plus(*[assemble(c, s, ()) for (s, _), c in collected.items()]), ones(*shape))
    items = [positive(Term(c, s, m)) for (s, m), c in collected.items()]
    if len(items) > 1:
        joined = joint(items)
        if joined is not None:
            return joined
        items = factors.drawn_out(items, shape)
    if not items:  # what was left inside the brackets cancelled
        return zeros(shape)
    if len(items) > 1:
        items = _turned(items)
    if len(items) == 1:
        ((c, s, m),) = items
        return assembled(c, s, m) if c > 0 else products.times(const(c), assembled(1, s, m))
    if ONE not in shape and any(len(t.factors) == 1 and isinstance(t.factors[0].op, _STRUCTURED) for t in items):
        # I - 1/n would be read as a multiple of I.
        items = [t if t.factors else t._replace(factors=(ones(*shape),)) for t in items]
    content = _content([t.coefficient for t in items])
    if content != 1:
        items = [t._replace(coefficient=ratio(t.coefficient, content)) for t in items]
    built = [(t.coefficient < 0, t, assemble(*t)) for t in items]
    built.sort(key=_order)
    total = make(ADD, tuple([e for _, _, e in built]))
    if shape[1] is not ONE and "turning" not in total.memo and sum(map(transposes.gain, total.args)) <= -2:
        total.memo["turning"] = True  # what it turns into may turn back
        turned = plus(*[transposes.transposed(e) for e in total.args])
        whole = transposes.transposed(turned)
        del total.memo["turning"]
        return products.times(const(content), whole) if content != 1 else whole
    if content == 1:
        return total
    whole = assemble(content, *(((total,), ()) if shape is SCALAR else ((), (total,))))
    if look(total).size > SPREAD:
        return whole
    spread = [(t.coefficient * content < 0, t, assemble(exact(t.coefficient * content), *t[1:])) for t in items]
    spread.sort(key=_order)
    plain = make(ADD, tuple([e for _, _, e in spread]))
    if look(plain).cost >= look(whole).cost:
        return whole
    plain.memo["term"] = term(whole)  # beside other factors the number is drawn out
    return plain


def positive(t: Term) -> Term:
    """A term with a minus taken up: ``-log(u/v)`` is ``log(v/u)``, and ``-1/(a - b)`` is ``1/(b - a)``.

    Beside another difference, which may take up the minus, a divisor stands the way that comes first.
    """
    parts = [*t.scalars, *[a for f in t.factors for a in (f.args if f.op is HADAMARD else (f,))]]
    if not any(a.op is POWER or a.op is _LOG for a in parts):
        return t
    turned = [(a, other) for a in parts if (other := powers.turned_divisor(a)) is not None]
    if turned:
        totals = [a.args[0] if a.op is TRANSPOSE else a for a in (*parts, *t.factors)]
        others = [powers.reciprocal_log(a) or (flipped(a) if a.op is ADD else None) for a in totals]
        fixed = any(complemented(powers.split(a)[0]) or complemented(powers.split(b)[0]) for a, b in turned)
        if len(turned) == 1 and not any(others) and not fixed:
            return _with_exchanged(t, *turned[0]) if t.coefficient < 0 else t
        for a, other in turned:
            if powers.upright_divisor(a) is not a:
                t = _with_exchanged(t, a, other)
    if t.coefficient < 0:
        for a in parts:
            other = powers.reciprocal_log(a)
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
    if not e.args:
        return None
    found: tuple[Expr | None, int] = None, 0
    waiting = [_negated(e, _bits(around))]  # within each other, however deep
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
        other = flipped(e) if complemented(e) is None else None
        if other is not None:
            asked = _bit(e)
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
            answer = yield a, around | _bits([*e.args[:k], *e.args[k + 1 :]])
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


def joint(items: list[Term]) -> Expr | None:
    """Terms that are the same rearrangement, joined: ``vec(A) + vec(B)`` is ``vec(A + B)``; blocks one by one."""
    groups: dict[object, list[Term]] = {}
    if any(len(t.factors) == 1 and isinstance(t.factors[0].op, Diagonal) for t in items):
        items = [
            t._replace(factors=(make(Diagonal(), (ones(t.factors[0].rows),)),))
            if len(t.factors) == 1 and isinstance(t.factors[0].op, Identity)
            else t
            for t in items
        ]
    for t in items:
        if len(t.factors) == 1 and isinstance(t.factors[0].op, _REARRANGED):
            e = t.factors[0]
            groups.setdefault((e.op, tuple([a.shape for a in e.args])), []).append(t)
    for group in groups.values():
        if len(group) > 1:
            op, count = group[0].factors[0].op, len(group[0].factors[0].args)
            scale = [assembled(t.coefficient, t.scalars, ()) for t in group]
            args = [
                plus(*[products.times(k, t.factors[0].args[i]) for k, t in zip(scale, group, strict=True)])
                for i in range(count)
            ]
            rest = [assemble(*t) for t in items if t not in group]
            return plus(heads.applied(op, tuple(args)), *rest)
    return kronecker.with_commutation(items) or kronecker.tiled(items)


def _turned(items: list[Term]) -> list[Term]:
    """The terms with a minus taken up by a difference among the factors: ``x - A*(y - z)`` is ``x + A*(z - y)``.

    A difference that stands one way round in another place is put the same way, so that equal parts are seen to be.
    """
    out = list(items)
    for i, t in enumerate(items):
        parts = [*t.scalars, *t.factors]
        for k, f in enumerate(parts):
            found = turned_factor(f)
            if found is None:
                continue
            present, other, turned = found
            around = [a for j, a in enumerate(parts) if j != k]
            for j, u in enumerate(items):
                if j != i:
                    around += [a for a in (*u.scalars, *u.factors) if u.coefficient > 0 or not _has_factor(a, present)]
            if occurs(present, around) if t.coefficient < 0 else not occurs(other, around) or occurs(present, around):
                continue
            parts[k] = turned
            n = len(t.scalars)
            out[i] = Term(-t.coefficient, tuple(sorted(parts[:n], key=scalar_order)), tuple(parts[n:]))
            break
    return out


def _has_factor(f: Expr, total: Expr) -> bool:
    return f is total or (f.op is HADAMARD and total in f.args) or (f.op is TRANSPOSE and f.args[0] is total)


def occurs(total: Expr, among: Sequence[Expr]) -> bool:
    """Whether a sum occurs in an expression (as told by a bit of its digest)."""
    bit = _bit(total)
    return any(look(a).sums & bit for a in among)


def _bit(total: Expr) -> int:
    return 1 << (total.digest % BITS)


def _bits(among: Sequence[Expr]) -> int:
    """Those of all sums that occur in expressions."""
    bits = 0
    for a in among:
        bits |= look(a).sums
    return bits


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


def _order(item: tuple[bool, Term, Expr]) -> tuple[object, ...]:
    """Positive terms first; numbers, then products before bare names, then what applies functions; by name."""
    negative, t, e = item
    seen = look(e)
    group = 0 if not t.scalars and not t.factors else 2 if seen.applies else 1
    if e.is_scalar or not t.factors:
        weight = sum([len(s.args) if s.op is PRODUCT else 1 for s in t.scalars])
    else:
        weight = len(t.factors)
        if isinstance(t.factors[-1].op, (Identity, Ones)):
            weight = 0
    return (negative, group, -weight, seen.label.replace("'", ""), seen.label.count("'"), seen.label, e.digest)


def _content(coefficients: list[Number]) -> Number:
    """The number in front of a sum: the common size of all coefficients, or their common divisor; minus if all are."""
    sign: int = -1 if all(c < 0 for c in coefficients) else 1
    first = magnitude(coefficients[0])
    if all(magnitude(c) == first for c in coefficients):
        return sign * first
    if all(isinstance(c, int) for c in coefficients):
        return sign * gcd(*[int(c) for c in coefficients])
    return sign


def scaled(k: Number, total: Expr) -> Expr | None:
    """``k`` times a small sum whose coefficients differ, distributed; None where the number stays in front."""
    coefficients = [term(a).coefficient for a in total.args]
    if k == -1 and any(c < 0 for c in coefficients):
        return flipped(total)
    if k != -1 and not has_numbers(total):
        return None
    # A larger sum where a number so disappears: (2*a - b)/2 is a - b/2.
    most = 4 * SMALL if any(magnitude(c) != 1 and magnitude(c * k) == 1 for c in coefficients) else SPREAD
    if look(total).size > most:
        return None
    spread = plus(*[products.times(const(k), a) for a in total.args])
    return spread if spread.op is ADD or look(spread).cost < look(total).cost else None


def has_numbers(total: Expr) -> bool:
    """Whether a number can meet one in a sum that it is multiplied into: not in ``a - b``."""
    return any(magnitude(c) != 1 or not (s or m) for c, s, m in map(term, total.args))


def flipped(total: Expr) -> Expr | None:
    """Minus a sum that has terms of both signs."""
    known: Expr | None = total.memo.get("flipped")
    if known is None and "flipped" not in total.memo:
        parts = [term(a) for a in total.args]
        if all(t.coefficient > 0 for t in parts):
            total.memo["flipped"] = None
            return None
        negated = [(t.coefficient > 0, t, assemble(-t.coefficient, t.scalars, t.factors)) for t in parts]
        negated.sort(key=_order)
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


__all__ = [
    "MOST",
    "SMALL",
    "Terms",
    "built_sum",
    "flipped",
    "has_numbers",
    "negated",
    "occurs",
    "plus",
    "positive",
    "put",
    "scaled",
    "summed",
    "upright",
    "upright_term",
]
