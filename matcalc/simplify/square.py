"""Functions of a square matrix: inverse, determinant, adjugate, whole powers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from matcalc.expr import Expr, make
from matcalc.facts import ORTHOGONAL, has
from matcalc.primitives.algebra import ADD, PRODUCT, TRANSPOSE
from matcalc.primitives.base import Primitive, zeros
from matcalc.primitives.elementwise import log
from matcalc.primitives.leaves import Identity, const, identity, number_of, ones, size
from matcalc.primitives.matrix import (
    ADJ,
    DET,
    EXPM,
    INV,
    LOGDET,
    MATRIX_POWER,
    Adj,
    Det,
    Expm,
    ExpmFrechet,
    Inv,
    LogDet,
    MatrixPower,
    Pinv,
)
from matcalc.primitives.products import KRON
from matcalc.primitives.structure import Diagonal, Vec
from matcalc.simplify import dots, heads, powers, products, sums, transposes
from matcalc.simplify.cost import look
from matcalc.simplify.handlers import handles
from matcalc.simplify.terms import assemble, assembled, exact, magnitude, ratio, term

_MINUS = const(-1)
_PASSED: tuple[Primitive, ...] = (PRODUCT, KRON, Vec())  # in which inverses and adjugates are looked for


@handles(Inv)
def _inverse(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    (x,) = args
    if x.is_scalar:
        return powers.power(x, _MINUS)
    inner = x.op
    if inner is TRANSPOSE:
        return transposes.transposed(products.unary(INV, x.args[0]))
    if inner is INV:
        return x.args[0]
    if isinstance(inner, Identity):
        return x
    if has(x, ORTHOGONAL):
        return transposes.transposed(x)
    if isinstance(inner, Diagonal):
        return products.unary(inner, powers.power(x.args[0], _MINUS))
    c, s, m = term(x)
    if c != 1 or s:
        if not c:
            return make(INV, (x,))
        scale = [powers.power(a, _MINUS) for a in (const(c), *s)]
        return products.times(*scale, products.unary(INV, assemble(1, (), m)))
    if inner is PRODUCT and all(a.rows is a.cols for a in x.args):
        # The product is only invertible where each square factor is.
        return products.times(*[products.unary(INV, a) for a in reversed(x.args)])
    if inner is MATRIX_POWER:
        return power_of(x.args[0], products.times(_MINUS, x.args[1]))
    if inner is KRON and all(a.rows is a.cols for a in x.args):
        return heads.applied(KRON, (products.unary(INV, x.args[0]), products.unary(INV, x.args[1])))
    if inner is EXPM:
        return make(EXPM, (products.times(_MINUS, x.args[0]),))
    return make(INV, (x,))


@handles(MatrixPower)
def _matrix_power(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    return power_of(*args)


def power_of(a: Expr, k: Expr) -> Expr:
    """``A^k`` for a whole number k."""
    if a.is_scalar:
        return powers.power(a, k)
    number = number_of(k)
    if number == 0:
        return identity(a.rows)
    if number == 1:
        return a
    if number == -1:
        return products.unary(INV, a)
    if a.op is TRANSPOSE:
        return transposes.transposed(power_of(a.args[0], k))
    if isinstance(a.op, Identity):
        return a
    if a.op is INV:
        return power_of(a.args[0], products.times(_MINUS, k))
    if a.op is MATRIX_POWER:
        return power_of(a.args[0], products.times(a.args[1], k))
    if isinstance(a.op, Diagonal):
        return products.unary(a.op, powers.power(a.args[0], k))
    c, s, m = term(a)
    if not c:
        return zeros(a.shape) if number is not None and number > 0 else make(MATRIX_POWER, (a, k))
    if c != 1 or s:
        scale = [powers.power(b, k) for b in (const(c), *s)]
        return products.times(*scale, power_of(assemble(1, (), m), k))
    return make(MATRIX_POWER, (a, k))


@handles(Det)
def _det(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    (x,) = args
    if x.is_scalar:
        return x
    inner = x.op
    if inner is TRANSPOSE:
        return products.unary(DET, x.args[0])
    if isinstance(inner, Identity):
        return const(1)
    if inner is INV:
        return powers.power(products.unary(DET, x.args[0]), _MINUS)
    if inner is MATRIX_POWER:
        return powers.power(products.unary(DET, x.args[0]), x.args[1])
    c, s, m = term(x)
    if c and (c != 1 or s):
        scale = powers.power(products.times(const(c), *s), size(x.rows))
        return products.times(scale, products.unary(DET, assemble(1, (), m)))
    if inner is PRODUCT and all(a.rows is a.cols for a in x.args):
        return products.times(*[products.unary(DET, a) for a in x.args])
    if inner is KRON and all(a.rows is a.cols for a in x.args):
        a, b = x.args
        return products.times(*[powers.power(products.unary(DET, u), size(v.rows)) for u, v in ((a, b), (b, a))])
    return make(DET, (x,))


@handles(LogDet)
def _logdet(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    return logdet(args[0])


def logdet(x: Expr) -> Expr:
    """log|det x|."""
    from matcalc.primitives.elementwise import abs_
    from matcalc.simplify.entries import of

    if x.is_scalar:
        return of(log, of(abs_, x))
    inner = x.op
    if inner is TRANSPOSE:
        return logdet(x.args[0])
    if isinstance(inner, Identity) or has(x, ORTHOGONAL):
        return const(0)
    if inner is INV:
        return products.times(_MINUS, logdet(x.args[0]))
    if inner is MATRIX_POWER:
        return products.times(x.args[1], logdet(x.args[0]))
    if inner is PRODUCT:
        c, s, m = term(x)
        if c != 1 or s:
            scale = of(log, of(abs_, products.times(const(magnitude(c)), *s)))
            return sums.plus(products.times(size(x.rows), scale), logdet(assemble(1, (), m)))
        if all(a.rows is a.cols for a in x.args):
            return sums.plus(*[logdet(a) for a in x.args])
    if inner is KRON and all(a.rows is a.cols for a in x.args):
        a, b = x.args
        return sums.plus(*[products.times(size(v.rows), logdet(u)) for u, v in ((a, b), (b, a))])
    return make(LOGDET, (x,))


@handles(Adj)
def _adj(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    (x,) = args
    if x.is_scalar:
        return const(1)
    if x.op is TRANSPOSE:
        return transposes.transposed(products.unary(op, x.args[0]))
    c, s, m = term(x)
    if c and (c != 1 or s):
        scale = powers.power(products.times(const(c), *s), sums.plus(size(x.rows), _MINUS))
        return products.times(scale, products.unary(op, assemble(1, (), m)))
    if x.op is PRODUCT and all(a.rows is a.cols for a in x.args):
        return products.times(*[products.unary(op, a) for a in reversed(x.args)])
    if x.op is MATRIX_POWER:
        base, k = x.args
        if products.invertible(base):
            return products.times(powers.power(products.unary(DET, base), k), power_of(base, products.times(_MINUS, k)))
        number = number_of(k)
        if number is not None and number > 0:
            return power_of(products.unary(op, base), k)
    if x.op is INV:
        return products.times(powers.power(products.unary(DET, x.args[0]), _MINUS), x.args[0])
    return x if isinstance(x.op, Identity) else make(op, (x,))


def by_inverses(factors: Sequence[Expr], inverted: Iterable[Expr] = ()) -> list[Expr] | None:
    """``vec(adj(A))*vec(A^-T)'`` as ``det(A)*vec(A^-1)*vec(A^-T)'``: beside inverses an adjugate is written as one.

    ``inverted``  what has its inverse beside the product, as in the same sum
    """
    inside = [f for f in factors if f.op is KRON or _rearranged(f)]
    if not inside:
        return None
    places = [node for f in inside for node in _matrices(f)]
    both = {e.args[0] for e in places if e.op is ADJ} & {*inverted, *(e.args[0] for e in places if e.op is INV)}
    if not both:
        return None
    scalars: list[Expr] = []

    def exchanged(e: Expr) -> Expr:
        if e.op is ADJ and e.args[0] in both:
            scalars.append(products.unary(DET, e.args[0]))
            return products.unary(INV, e.args[0])
        if e.op is TRANSPOSE:
            return transposes.transposed(exchanged(e.args[0]))
        if e.op in _PASSED:
            return heads.applied(e.op, tuple([exchanged(a) for a in e.args]))
        return e

    new = [exchanged(f) if f in inside else f for f in factors]
    return [*scalars, *new]


def one_determinant(collected: sums.Terms) -> sums.Terms:
    """The terms of a sum with an adjugate by the inverse where that stands beside the determinant in another term."""
    inverted = set()
    for s, m in collected:
        dets = {base.args[0] for base, _ in map(powers.split, s) if base.op is DET}
        if dets:
            inverted |= dets & {e.args[0] for f in m for e in _matrices(f, (*_PASSED, ADD)) if e.op is INV}
    if not inverted:
        return collected
    out: sums.Terms = {}
    for (s, m), c in collected.items():
        written = by_inverses(m, inverted)
        if written is not None:
            d, s, m = term(products.times(*s, *written))
            c = exact(c * d)
        sums.put(out, (s, m), c)
    return out


def _rearranged(f: Expr) -> bool:
    return isinstance((f.args[0] if f.op is TRANSPOSE else f).op, Vec)


def _matrices(e: Expr, within: tuple[Primitive, ...] = _PASSED) -> Iterator[Expr]:
    """The parts of products and rearrangements."""
    if e.op is TRANSPOSE or e.op in within:
        for a in e.args:
            yield from _matrices(a, within)
    else:
        yield e


def quadratic(run: Sequence[Expr]) -> Expr | None:
    """The middle of ``u'*(A + A')*u`` as ``2*A``, and of ``u'*(A - A')*u`` as nothing; None where it stays."""
    half = len(run) // 2
    if len(run) != 2 * half + 1 or run[half].op is not ADD or len(run[half].args) > sums.MOST:
        return None
    if any(run[i] is not transposes.transposed(run[-1 - i]) for i in range(half)):
        return None
    collected: sums.Terms = {}
    for t in map(term, run[half].args):
        turned = term(transposes.transposed(assemble(1, (), t.factors))).factors if t.factors else ()
        key = min((t.factors, turned), key=lambda m: dots.reading(make(PRODUCT, m)) if m else (0, 0, "", 0))
        sums.put(collected, (t.scalars, key), t.coefficient)
    if len(collected) == len(run[half].args):
        return None
    if not collected:
        return zeros(run[half].shape)
    total = sums.plus(*[assembled(c, s, m) for (s, m), c in collected.items()])
    return products.times(total, ones(*run[half].shape)) if total.is_scalar else total  # numbers spread over entries


@handles(ExpmFrechet)
def _expm_frechet(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    """Linear in the direction; of transposes it is the transpose."""
    a, e = args
    c, s, m = term(e)
    if c and m and (c != 1 or s):
        return products.times(const(c), *s, heads.applied(op, (a, assemble(1, (), m))))
    turned = tuple([transposes.transposed(b) for b in args])
    if _turns(a, turned[0]) or (turned[0] is a and _turns(e, turned[1])):
        return transposes.transposed(make(op, turned))
    return op.construct(args)


def _turns(a: Expr, turned: Expr) -> bool:
    """Whether a matrix is shorter transposed."""
    return look(turned).cost < look(a).cost


@handles(Pinv)
def _pinv(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    (x,) = args
    if products.invertible(x):
        return products.unary(INV, x)
    if x.op is TRANSPOSE:
        return transposes.transposed(products.unary(op, x.args[0]))
    c, s, m = term(x)
    if c not in (0, 1) and m:
        return products.times(const(ratio(1, c)), _pinv(op, (assemble(1, s, m),)))
    return make(op, (x,))


@handles(Expm)
def _expm(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    (x,) = args
    if x.is_zero:
        return identity(x.rows)
    if x.op is TRANSPOSE:
        return transposes.transposed(products.unary(EXPM, x.args[0]))
    if isinstance(x.op, Diagonal):
        from matcalc.primitives.elementwise import exp
        from matcalc.simplify.entries import of

        return products.unary(x.op, of(exp, x.args[0]))
    return make(op, (x,))


__all__ = ["by_inverses", "logdet", "one_determinant", "power_of", "quadratic"]
