"""Sums: like terms collected with exact coefficients, common factors drawn out, terms in a reader's order."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import gcd

from matcalc.dims import ONE, SCALAR, Shape
from matcalc.expr import Expr, Number, make
from matcalc.primitives.algebra import ADD, HADAMARD, POWER, PRODUCT, TRANSPOSE, add
from matcalc.primitives.base import zeros
from matcalc.primitives.products import INNER
from matcalc.primitives.leaves import Const, Identity, Ones, const, identity, ones
from matcalc.primitives.structure import Diagonal
from matcalc.simplify import match, powers, products, transposes
from matcalc.simplify.cost import factor_order, look, scalar_order
from matcalc.simplify.terms import Term, assemble, exact, term

Key = tuple[tuple[Expr, ...], tuple[Expr, ...]]  # scalars and factors
Terms = dict[Key, Number]

_SMALL = 16  # nodes of a sum over which a number is distributed
_TINY = 8  # nodes of a sum that is always joined with the sum around it
_MOST = 12  # terms that products of sums are written out to, to find what cancels


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
    if expand and 1 < len(collected) <= _MOST:
        written = _written_out(collected, shape) or _over_one_divisor(collected, shape)
        if written is not None:
            return written
    return _built(collected, shape)


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
        if inner is not None and inner.op is ADD:
            if bits is None:
                bits = [_inside(a) for a in operands]
            if (c in (1, -1) or look(inner).size <= _SMALL) and not _within(inner, operands, bits):
                todo.extend([(a, c) for a in reversed(inner.args)])
                continue
            if c < 0 and (other := flipped(inner)) is not None:
                c, inner = -c, other
            key = ((), (inner,)) if m else ((inner,), ())
            out[key] = exact(out.get(key, 0) + c)
            if not out[key]:
                del out[key]
            continue
        if len(m) == 1 and isinstance(m[0].op, Ones) and shape is not SCALAR:  # a number spread over all entries
            if len(s) == 1 and s[0].op is ADD and look(s[0]).size <= _SMALL:
                todo.extend([(a, c) for a in reversed(s[0].args)])
                continue
            m = ()
        if s or m:
            sign, s, m = _upright_term(s, m)
            c = c * sign
        key = (s, m)
        total = out.get(key, 0) + c
        if total:
            out[key] = exact(total)
        else:
            del out[key]
    return out


def _upright_term(s: tuple[Expr, ...], m: tuple[Expr, ...]) -> tuple[int, tuple[Expr, ...], tuple[Expr, ...]]:
    """A term with the differences among its factors turned one way, so that ``x*(a - b)`` and ``x*(b - a)`` are alike."""
    sign = 1
    if any([f.op is ADD for f in s]):
        sign, s = _upright_factors(s)
        s = tuple(sorted(s, key=scalar_order))
    for i, f in enumerate(m):
        if f.op is ADD or (f.op is TRANSPOSE and f.args[0].op is ADD):
            k, (turned,) = _upright_factors((f,))
        elif f.op is HADAMARD and any([a.op is ADD for a in f.args]):
            k, args = _upright_factors(f.args)
            turned = make(HADAMARD, tuple(sorted(args, key=factor_order)))
        else:
            continue
        sign *= k
        m = (*m[:i], turned, *m[i + 1 :])
    return sign, s, m


def _upright_factors(factors: tuple[Expr, ...]) -> tuple[int, tuple[Expr, ...]]:
    turned = [
        upright(f) if f.op is ADD else transposes.transposed(upright(f.args[0])) if f.op is TRANSPOSE and f.args[0].op is ADD else f
        for f in factors
    ]
    return -1 if sum([a is not b for a, b in zip(turned, factors, strict=True)]) % 2 else 1, tuple(turned)


def _inside(e: Expr) -> int:
    """The bits of the sums inside an operand, without that of the operand itself where it is a sum."""
    if e.op is PRODUCT and len(e.args) == 2 and isinstance(e.args[0].op, Const):
        e = e.args[1]
    if e.op is not ADD:
        return look(e).sums
    bits = 0
    for a in e.args:
        bits |= look(a).sums
    return bits


def _within(inner: Expr, operands: tuple[Expr, ...], bits: list[int]) -> bool:
    """Whether a nested sum may also stand deeper inside another operand, as in ``h + W*s(h)``: then it stays whole."""
    bit = 1 << (inner.digest % 2039)
    return look(inner).size > _TINY and any([b & bit for b in bits])


def _built(collected: Terms, shape: Shape) -> Expr:
    if shape is not SCALAR and all(not m for _, m in collected):
        return products.times(plus(*[assemble(c, s, ()) for (s, _), c in collected.items()]), ones(*shape))
    items = [Term(c, s, m) for (s, m), c in collected.items()]
    if len(items) > 1:
        items = _factored(items, shape)
    if len(items) == 1:
        (c, s, m), = items
        return _assembled(c, s, m) if c > 0 else products.times(const(c), _assembled(1, s, m))
    content = _content([t.coefficient for t in items])
    if content != 1:
        items = [t._replace(coefficient=exact(t.coefficient / Fraction(content) if not isinstance(content, float) else t.coefficient / content)) for t in items]
    built = [(t.coefficient < 0, t, assemble(*t)) for t in items]
    if shape[1] is not ONE and sum([transposes.gain(e) for _, _, e in built]) <= -2:
        turned = plus(*[transposes.transposed(e) for _, _, e in built])
        whole = transposes.transposed(turned)
        return products.times(const(content), whole) if content != 1 else whole
    built.sort(key=_order)
    total = make(ADD, tuple([e for _, _, e in built]))
    special = powers_of_sum(total)
    if special is not None:
        return products.times(const(content), special) if content != 1 else special
    return assemble(content, *(((total,), ()) if shape is SCALAR else ((), (total,)))) if content != 1 else total


def powers_of_sum(total: Expr) -> Expr | None:
    return None


def _order(item: tuple[bool, Term, Expr]) -> tuple[object, ...]:
    """Positive terms first; numbers, then products before bare names, then what applies functions; by name."""
    negative, t, e = item
    seen = look(e)
    group = 0 if not t.scalars and not t.factors else 2 if seen.applies else 1
    if e.is_scalar or not t.factors:
        weight = sum([len(s.args) if products.PRODUCT is s.op else 1 for s in t.scalars])
    else:
        weight = len(t.factors)
        if isinstance(t.factors[-1].op, Identity) or isinstance(t.factors[-1].op, Ones):
            weight = 0
    return (negative, group, -weight, seen.label.replace("'", ""), seen.label.count("'"), seen.label, e.digest)


def _content(coefficients: list[Number]) -> Number:
    """The number in front of a sum: the common size of all coefficients, or their common divisor; minus if all are."""
    sign = -1 if all(c < 0 for c in coefficients) else 1
    first = abs(coefficients[0])
    if all(abs(c) == first for c in coefficients):
        return sign * first
    if all(isinstance(c, int) for c in coefficients):
        return sign * gcd(*[int(c) for c in coefficients])
    return sign


def scaled(k: Number, total: Expr) -> Expr | None:
    """``k`` times a sum, distributed where the coefficients differ and the sum is small; None where it stays in front."""
    coefficients = [term(a).coefficient for a in total.args]
    if k == -1 and any(c < 0 for c in coefficients):
        return flipped(total)
    if look(total).size > _SMALL or _content([exact(c * k) for c in coefficients]) == k * _content(coefficients):
        return None
    return plus(*[products.times(const(k), a) for a in total.args])


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
        known.memo["flipped"] = total
    return known


def upright(total: Expr) -> Expr:
    """The sum or its negative, whichever comes first: both have the same square."""
    other = flipped(total)
    if other is None:
        return total
    return min(total, other, key=lambda e: (look(e).label, e.digest))


# ---------------------------------------------------------------------------------------------- common factors


def _factored(items: list[Term], shape: Shape) -> list[Term]:
    """Draws out the most costly common factor, again and again; every step leaves fewer terms."""
    while 1 < len(items) <= 2 * _MOST:
        counts: dict[tuple[str, Expr], list[int]] = {}
        for i, t in enumerate(items):
            for handle in _handles(t):
                counts.setdefault(handle, []).append(i)
        best: tuple[tuple[object, ...], tuple[str, Expr], list[int]] | None = None
        for handle, where in counts.items():
            if len(where) < 2:
                continue
            saving = _saving(handle, where, items, shape)
            if saving <= 0:
                continue
            rank = (-saving, handle[0], look(handle[1]).label, handle[1].digest)
            if best is None or rank < best[0]:
                best = (rank, handle, where)
        if best is None:
            return items
        joined = _drawn_out(best[1], [items[i] for i in best[2]], shape)
        items = [t for i, t in enumerate(items) if i not in best[2]]
        c, s, m = term(joined)
        if not c:
            continue
        sign, s, m = _upright_term(s, m)
        c = c * sign
        for i, t in enumerate(items):
            if t.scalars == s and t.factors == m:
                items[i] = t._replace(coefficient=exact(t.coefficient + c))
                break
        else:
            items.append(Term(c, s, m))
        items = [t for t in items if t.coefficient]
    return items


def _handles(t: Term) -> list[tuple[str, Expr]]:
    """What could be drawn out of a term: the scalars, the first and last factor, elementwise factors."""
    out = [("s", a) for s in t.scalars for a in _divisors(s)]
    m = t.factors
    if len(m) == 1:
        e = m[0]
        if e.op is HADAMARD:
            out += [("h", a) for f in e.args for a in _divisors(f)]
        elif not isinstance(e.op, Ones):
            out += [("h", a) for a in _divisors(e)]
    elif m:
        out += [("l", m[0]), ("r", m[-1])]
        scaled_matrix = _of_scaled(m)
        if scaled_matrix is not None:
            out += [("h", a) for f in powers.commuting(scaled_matrix[:1]) for a in _divisors(f)]
    return out


def _of_scaled(m: tuple[Expr, ...]) -> tuple[Expr, Expr] | None:
    """``A*diag(v)`` and ``diag(v)*A`` as A and what it is multiplied by entry by entry."""
    if len(m) == 2:
        a, b = m
        if isinstance(b.op, Diagonal) and not isinstance(a.op, Diagonal):
            return a, make(PRODUCT, (ones(a.rows), transposes.transposed(b.args[0])))
        if isinstance(a.op, Diagonal):
            return b, make(PRODUCT, (a.args[0], transposes.transposed(ones(b.cols))))
    return None


def _entries(t: Term) -> Sequence[Expr]:
    """The elementwise factors of a term."""
    found = _of_scaled(t.factors)
    if found is not None:
        return (*powers.commuting(found[:1]), found[1])
    return powers.commuting(t.factors)


def _divisors(a: Expr) -> tuple[Expr, ...]:
    """A factor, and the base of a whole power: x divides x^2, and 1/x divides 1/x^2."""
    if a.op is POWER or a.op is PRODUCT or a.op is INNER:
        base, p = powers.split(a)
        if isinstance(p, int) and abs(p) > 1:
            return (a, *[powers.raised(base, k if p > 0 else -k) for k in range(1, min(abs(p), 4))])
    return (a,)


def _without(factors: Sequence[Expr], a: Expr) -> list[Expr]:
    """The factors with ``a`` taken out of the one that it divides."""
    rest = list(factors)
    if a in rest:
        rest.remove(a)
        return rest
    for i, f in enumerate(rest):
        if a in _divisors(f):
            base, p = powers.split(f)
            _, k = powers.split(a)
            assert isinstance(p, int) and isinstance(k, int)
            rest[i] = powers.raised(base, p - k)
            return rest
    raise ValueError("not a factor")


def _saving(handle: tuple[str, Expr], where: list[int], items: list[Term], shape: Shape) -> int:
    kind, factor = handle
    gain = (look(factor).cost + 2) * (len(where) - 1) - 1
    if kind in "sh" and len(where) < len(items):
        # Part of a sum of powers stays a polynomial: 1 + x + x^2.
        places = [items[i].scalars if kind == "s" else _entries(items[i]) for i in where]
        if any(factor not in place for place in places):
            return 0
    if kind == "s":
        if len(where) < len(items) and shape is not SCALAR and any(not items[i].factors for i in where):
            return 0
        return gain
    if kind == "h":
        whole = [i for i in where if items[i].factors == (factor,)]
        if any(len(items[i].factors) > 1 for i in where):
            gain -= 4
        if len(whole) == len(where):
            return gain if all(items[i].scalars for i in whole) or len(whole) > 1 else 0
        return gain - len(whole)
    return gain


def _drawn_out(handle: tuple[str, Expr], group: list[Term], shape: Shape) -> Expr:
    kind, factor = handle
    rest: list[Expr] = []
    size = abs(group[0].coefficient)
    if size != 1 and all(abs(t.coefficient) == size for t in group):
        alike = [t._replace(coefficient=1 if t.coefficient > 0 else -1) for t in group]
        return products.times(const(size), _drawn_out(handle, alike, shape))
    for c, s, m in group:
        if kind == "s":
            rest.append(_assembled(c, _without(s, factor), m))
        elif kind == "l":
            rest.append(assemble(c, s, m[1:]))
        elif kind == "r":
            rest.append(assemble(c, s, m[:-1]))
        elif m == (factor,):
            rest.append(_assembled(c, s, ()))
        else:
            entries = _without(_entries(Term(c, s, m)), factor)
            rest.append(assemble(c, s, term(entries[0]).factors if len(entries) == 1 else (make(HADAMARD, tuple(entries)),)))
    inner = summed(tuple(rest), False)
    if kind == "l":
        return products.times(factor, inner)
    if kind == "r":
        return products.times(inner, factor)
    if kind == "s" or inner.is_scalar:
        if kind == "s" and inner.is_scalar and shape is not SCALAR and not any(m for _, _, m in group):
            return products.times(factor, inner)
        return products.times(factor, inner) if kind == "s" else products.times(inner, factor)
    return powers.hadamard(factor, inner)


def _assembled(c: Number, s: list[Expr] | tuple[Expr, ...], m: tuple[Expr, ...]) -> Expr:
    return assemble(c, s, m) if s or m else const(c)


# ---------------------------------------------------------------------------------------------- cancellation


def _written_out(collected: Terms, shape: Shape) -> Expr | None:
    """The sum with products of small sums written out, where that makes terms meet and the result is shorter."""
    count = 0
    found = False
    for s, m in collected:
        width = _width(s, m)
        found = found or width > 1
        count += width
    if not found or count > _MOST:
        return None
    out: Terms = {}
    met = False
    for (s, m), c in collected.items():
        for part in _distributed(s, m):
            d, t, f = term(part)
            if len(f) == 1 and isinstance(f[0].op, Ones) and shape is not SCALAR:
                f = ()
            key = (t, f)
            if key in out:
                met = True
            total = exact(out.get(key, 0) + c * d)
            if total:
                out[key] = total
            else:
                out.pop(key, None)
    if not met:
        return None
    if not out:
        return zeros(shape)
    short, plain = _built(out, shape), _built(collected, shape)
    return short if look(short).cost <= look(plain).cost else plain


def _over_one_divisor(collected: Terms, shape: Shape) -> Expr | None:
    """Fractions over the powers of one sum brought over the highest, where the numerators then become shorter.

    ``1/q - x/q^2`` with q = x + y is ``y/q^2``.
    """
    lowest: dict[Expr, int] = {}
    for s, m in collected:
        for f in (*s, *powers.commuting(m)):
            if f.op is POWER and f.args[0].op is ADD:
                base, p = powers.split(f)
                if isinstance(p, int) and p < 0 and look(base).size <= _SMALL:
                    lowest[base] = min(lowest.get(base, 0), p)
    if len(lowest) != 1:
        return None
    ((base, p),) = lowest.items()
    over = powers.raised(base, -p)
    parts = [powers.hadamard(assemble(c, s, m) if s or m else const(c), over) for (s, m), c in collected.items()]
    inner = plus(*parts)
    whole = powers.hadamard(inner, powers.raised(base, p))
    return whole if look(whole).cost < look(_built(collected, shape)).cost else None


def _sum_in(s: tuple[Expr, ...], m: tuple[Expr, ...]) -> tuple[int, int, Expr] | None:
    """Where the first small sum among the factors stands: place (0 scalars, 1 factors, 2 elementwise), index."""
    for i, a in enumerate(s):
        if a.op is ADD and look(a).size <= 2 * _SMALL:
            return 0, i, a
    for i, a in enumerate(m):
        b = a.args[0] if a.op is TRANSPOSE else a
        if b.op is ADD and look(b).size <= 2 * _SMALL:
            return 1, i, a
    if len(m) == 1 and m[0].op is HADAMARD:
        for i, a in enumerate(m[0].args):
            if a.op is ADD and look(a).size <= 2 * _SMALL:
                return 2, i, a
    return None


def _width(s: tuple[Expr, ...], m: tuple[Expr, ...]) -> int:
    at = _sum_in(s, m)
    if at is None:
        return 1
    inner = at[2].args[0] if at[2].op is TRANSPOSE else at[2]
    return len(inner.args)


def _distributed(s: tuple[Expr, ...], m: tuple[Expr, ...]) -> list[Expr]:
    at = _sum_in(s, m)
    if at is None:
        return [_assembled(1, s, m)]
    place, i, total = at
    if total.op is TRANSPOSE:
        parts = [transposes.transposed(a) for a in total.args[0].args]
        shape = total.shape
    else:
        parts, shape = list(total.args), total.shape
    if place == 0:
        return [products.times(*s[:i], a, *s[i + 1 :], *m) for a in parts]
    if place == 1:
        # A number spread over the entries of the sum is a matrix once it stands alone in a product.
        spread = [products.times(a, ones(*shape)) if a.is_scalar else a for a in parts]
        return [products.times(*s, *m[:i], a, *m[i + 1 :]) for a in spread]
    args = m[0].args
    return [powers.hadamard(*s, *args[:i], a, *args[i + 1 :]) for a in parts]


__all__ = ["flipped", "plus", "scaled", "upright"]
_ = (add, identity)
