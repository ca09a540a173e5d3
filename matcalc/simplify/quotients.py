"""Numbers before a product that cancel: sizes with sums and means, divisors with sums."""

from __future__ import annotations

from matcalc.dims import ONE
from matcalc.expr import Expr, Number, make
from matcalc.primitives.algebra import ADD, HADAMARD, POWER, PRODUCT, TRANSPOSE
from matcalc.primitives.elementwise import exp
from matcalc.primitives.functions import Elementwise
from matcalc.primitives.leaves import Size, const, number_of, size
from matcalc.primitives.matrix import INV
from matcalc.primitives.products import KRON
from matcalc.primitives.reductions import NORM2, SUM, Mean, Sum
from matcalc.simplify import (
    effort,
    hadamards,
    heads,
    powers,
    products,
    sums,
    transposes,
)
from matcalc.simplify.cost import look
from matcalc.simplify.terms import exact, magnitude, term

_EXP = Elementwise(exp, 0)


def averaged(scalars: list[Expr], factors: list[Expr]) -> list[Expr] | None:
    """``1/n*sum(x)`` as ``mean(x)`` and ``n*mean(x)`` as ``sum(x)``, for x with n entries.

    The square of a norm is a sum: ``1/n*norm2(x)^2`` is ``mean(x.^2)``.
    """
    for place in (scalars, factors):
        for k, f in enumerate(place):
            e = f.args[0] if f.op is TRANSPOSE else f
            found = _other_average(e, scalars)
            if found is None:
                continue
            new, rest = found
            new = transposes.transposed(new) if f.op is TRANSPOSE else new
            left = [s for s in rest if s is not f]
            return [*left, *factors[:k], new, *factors[k + 1 :]] if place is factors else [*left, new, *factors]
    return None


def _other_average(e: Expr, scalars: list[Expr]) -> tuple[Expr, list[Expr]] | None:
    """A mean for a sum, or a sum for a mean, and the scalars without what that takes."""
    base, p = powers.split(e)
    if isinstance(base.op, (Sum, Mean)) and isinstance(p, int) and (p == 1 or base.is_scalar):
        x, axis = base.args[0], base.op.axis
        power: Number = -p if isinstance(base.op, Sum) else p
    elif base.op is NORM2 and p == 2:
        x, axis, power = base.args[0], None, -1
    else:
        return None
    lengths = [d for d in (x.shape if axis is None else (x.shape[axis],)) if d is not ONE]
    if any(d.name is None for d in lengths):
        return None
    rest = _without(scalars, [(size(d), exact(power * lengths.count(d))) for d in dict.fromkeys(lengths)])
    if rest is None:
        return None
    if base.op is NORM2:
        return heads.applied(Mean(None), (powers.power(x, const(2)),)), rest
    other = heads.applied((Mean if isinstance(base.op, Sum) else Sum)(axis), (x,))
    return powers.power(other, const(p)) if p != 1 else other, rest


def _without(scalars: list[Expr], counts: list[tuple[Expr, Number]]) -> list[Expr] | None:
    """Scalars divided by powers of sizes, which are in powers of them."""
    rest = list(scalars)
    for base, k in counts:
        for i, s in enumerate(rest):
            of, p = powers.split(s)
            if of is base and not isinstance(p, Expr) and p * k > 0 and magnitude(p) >= magnitude(k):
                rest[i : i + 1] = [] if p == k else [powers.raised(base, exact(p - k))]
                break
        else:
            return None
    return rest


@effort.trial
def counted(scalars: list[Expr], total: Expr) -> list[Expr] | None:
    """``n*(x - mean(x))`` as ``n*x - sum(x)``: a size that cancels in a term of a sum, where that is shorter."""
    for i, s in enumerate(scalars):
        if not isinstance(s.op, Size) or not any(
            _per_size(f, s) for a in total.args for f in (*term(a)[1], *term(a)[2])
        ):
            continue
        new = sums.plus(*[products.times(s, a) for a in total.args])
        if look(new).cost < look(make(PRODUCT, (s, total))).cost:
            return [*scalars[:i], *scalars[i + 1 :], new]
    return None


def _per_size(f: Expr, n: Expr) -> bool:
    """Whether a factor is a mean or is divided by a size."""
    base, p = powers.split(f)
    return isinstance((f.args[0] if f.op is TRANSPOSE else f).op, Mean) or (base is n and p == -1)


def divided(scalars: list[Expr], factors: list[Expr]) -> list[Expr] | None:
    """A sum among the factors over ``sum(exp(x))`` with its terms divided, where each has ``exp(x)``: softmax(x)."""
    for i, s in enumerate(scalars):
        if (
            s.op is not POWER
            or s.args[0].op is not SUM
            or s.args[0].args[0].op is not _EXP
            or number_of(s.args[1]) != -1
        ):
            continue
        for k, f in enumerate(factors):
            new = _divided_by(f, s)
            if new is not None:
                return [*scalars[:i], *scalars[i + 1 :], *factors[:k], new, *factors[k + 1 :]]
    return None


def _divided_by(f: Expr, s: Expr) -> Expr | None:
    """A sum times a scalar that goes up in each of its terms; of a Kronecker product one part."""
    if f.op is TRANSPOSE:
        turned = _divided_by(f.args[0], s)
        return None if turned is None else transposes.transposed(turned)
    if f.op is KRON:
        for k, a in enumerate(f.args):
            found = _divided_by(a, s)
            if found is not None:
                return heads.applied(KRON, (*f.args[:k], found, *f.args[k + 1 :]))
    if f.op is ADD and len(f.args) <= sums.MOST:
        parts = [products.times(s, a) for a in f.args]
        if not any(s in term(a).scalars for a in parts):
            return sums.plus(*parts)
    return None


def under(scalars: list[Expr], factors: list[Expr]) -> list[Expr] | None:
    """Numbers that divide, multiplied into a sum that divides entries: ``x ./ (1 + y/v)/v`` is ``x ./ (v + y)``."""
    for i, f in enumerate(factors):
        inverse = f.args[0] if f.op is TRANSPOSE else f
        if inverse.op is INV and inverse.args[0].op is ADD:  # (A/s + I)^-1/s is (A + s*I)^-1
            multiplied = hadamards.multiplied(inverse.args[0], -1, scalars)
            if multiplied is not None:
                *left, inner = multiplied
                new = products.unary(INV, inner)
                return [*left, *factors[:i], transposes.transposed(new) if f is not inverse else new, *factors[i + 1 :]]
        for k, a in enumerate(f.args if f.op is HADAMARD else (f,)):
            base, p = powers.split(a)
            if base.op is ADD and isinstance(p, int) and p < 0:
                found = hadamards.under(base, p, scalars)
                if found is not None:
                    *left, new = found
                    if f.op is HADAMARD:
                        new = hadamards.hadamard(*f.args[:k], new, *f.args[k + 1 :])
                    return [*left, *factors[:i], new, *factors[i + 1 :]]
    return None


__all__ = ["averaged", "counted", "divided", "under"]
