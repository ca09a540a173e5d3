"""Sums: like terms collected with exact coefficients, common factors drawn out, terms in a reader's order."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

from matcalc.dims import ONE, SCALAR, Shape
from matcalc.expr import Expr, Number, make
from matcalc.primitives.algebra import ADD, PRODUCT
from matcalc.primitives.base import zeros
from matcalc.primitives.convolution import Crop, Flip, Pad
from matcalc.primitives.leaves import Commutation, Const, Identity, Ones, const, ones
from matcalc.primitives.products import KhatriRao, Kron
from matcalc.primitives.structure import Diagonal, HCat, Reshape, VCat, Vec
from matcalc.simplify import (
    commutations,
    differences,
    expansion,
    factors,
    heads,
    match,
    products,
    signs,
    tiles,
    transposes,
)
from matcalc.simplify.cost import BITS, look
from matcalc.simplify.terms import Term, assemble, assembled, exact, magnitude, ratio, term

Key = tuple[tuple[Expr, ...], tuple[Expr, ...]]  # scalars and factors
Terms = dict[Key, Number]

_DEEPEST = 24  # products within each other in which a difference is looked for: a deep net is one in the other
SMALL = 16  # nodes of a sum that is joined with the terms around it
SPREAD = 24  # nodes of a sum over which a number is distributed
_REARRANGED = (Diagonal, Flip, HCat, Pad, Crop, Reshape, VCat, Vec)  # sums of these are these of sums
_STRUCTURED = (Identity, Diagonal, Commutation, Kron, KhatriRao)  # matrices that do not stand for their entries
_LONGEST = 64  # sums of more terms are not joined with the sum around them: a shared graph would grow
_TINY = 8  # nodes of a sum that is always joined with the sum around it
MOST = 12  # terms that products of sums are written out to, to find what cancels


def plus(*operands: Expr) -> Expr:
    """The sum of simplified operands."""
    return summed(operands, True)


def summed(operands: tuple[Expr, ...], expand: bool) -> Expr:
    """The sum; with ``expand`` it is tried whether products of sums, written out, cancel."""
    found = match.settled(_summed(operands, expand))
    if expand and found.op is ADD and found.args == operands:
        match.stands(found)
    return found


def _summed(operands: tuple[Expr, ...], expand: bool) -> Expr:
    shape = _shape(operands)
    if shape[0] is ONE and shape[1] is not ONE:
        return transposes.transposed(summed(tuple([transposes.transposed(a) for a in operands]), expand))
    collected = _collect(operands, shape)
    if not collected:
        return zeros(shape)
    if len(collected) > 1:
        collected = expansion.by_functions(collected, shape)
    plain = expansion.Plain(collected, shape)
    other = expansion.other_form(plain) if expand and 1 < len(collected) <= MOST else None
    return plain.built() if other is None else other


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
            if c < 0 and (other := differences.flipped(inner)) is not None:
                c, inner = -c, other
            put(out, (() if m else (inner,), (inner,) if m else ()), c)
            continue
        if len(m) == 1 and isinstance(m[0].op, Ones) and shape is not SCALAR:  # a number spread over all entries
            if len(s) == 1 and s[0].op is ADD and look(s[0]).size <= SMALL:
                todo.extend([(a, c) for a in reversed(s[0].args)])
                continue
            m = ()
        if s or m:
            sign, s, m = differences.upright_term(s, m)
            c = c * sign
        put(out, (s, m), c)
    return _met(out)


def _met(collected: Terms) -> Terms:
    """The terms with a multiple of a sum taken apart where all of its terms occur besides: ``(a - b)/2 + b - a``."""
    for (s, m), c in list(collected.items()):
        inner = (*s, *m)
        if len(inner) != 1 or inner[0].op is not ADD or len(inner[0].args) >= len(collected):
            continue
        parts = [(k, differences.upright_term(t, f)) for k, t, f in map(term, inner[0].args)]
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


def _inside(e: Expr) -> int:
    """The bits of the sums inside an operand, without that of the operand itself where it is a sum."""
    if e.op is PRODUCT and len(e.args) == 2 and isinstance(e.args[0].op, Const):
        e = e.args[1]
    if e.op is not ADD:
        return look(e).sums
    return bits_of(e.args)


def _within(inner: Expr, operands: tuple[Expr, ...], bits: list[int]) -> bool:
    """Whether a nested sum may also stand deeper inside another operand, as in ``h + W*s(h)``: then it stays whole."""
    bit = bit_of(inner)
    return look(inner).size > _TINY and any(b & bit for b in bits)


def built_sum(collected: Terms, shape: Shape) -> Expr:
    if shape is not SCALAR and all(not m for _, m in collected):
        return products.times(plus(*[assemble(c, s, ()) for (s, _), c in collected.items()]), ones(*shape))
    items = [signs.positive(Term(c, s, m)) for (s, m), c in collected.items()]
    if len(items) > 1:
        joined = joint(items)
        if joined is not None:
            return joined
        items = factors.drawn_out(items, shape)
    if not items:  # what was left inside the brackets cancelled
        return zeros(shape)
    if len(items) > 1:
        items = signs.turned(items)
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
    built.sort(key=order)
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
    spread.sort(key=order)
    plain = make(ADD, tuple([e for _, _, e in spread]))
    if look(plain).cost >= look(whole).cost:
        return whole
    plain.memo["term"] = term(whole)  # beside other factors the number is drawn out
    return plain


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
    return commutations.with_commutation(items) or tiles.tiled(items)


def occurs(total: Expr, among: Sequence[Expr]) -> bool:
    """Whether a sum occurs in an expression (as told by a bit of its digest)."""
    bit = bit_of(total)
    return any(look(a).sums & bit for a in among)


def bit_of(total: Expr) -> int:
    return 1 << (total.digest % BITS)


def bits_of(among: Sequence[Expr]) -> int:
    """Those of all sums that occur in expressions."""
    bits = 0
    for a in among:
        bits |= look(a).sums
    return bits


def order(item: tuple[bool, Term, Expr]) -> tuple[object, ...]:
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
        return differences.flipped(total)
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


__all__ = [
    "MOST",
    "SMALL",
    "SPREAD",
    "Key",
    "Terms",
    "bit_of",
    "bits_of",
    "built_sum",
    "has_numbers",
    "occurs",
    "order",
    "plus",
    "put",
    "scaled",
    "summed",
]
