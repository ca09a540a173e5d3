"""Chains of matrices: neighbours combined, sums among them multiplied out, cut where a dimension is one."""

from __future__ import annotations

from collections.abc import Sequence

from matcalc.dims import ONE
from matcalc.expr import Expr, Number
from matcalc.primitives.algebra import ADD, TRANSPOSE
from matcalc.primitives.leaves import Ones, identity
from matcalc.primitives.matrix import INV, PINV
from matcalc.primitives.reductions import Sum
from matcalc.primitives.structure import Diagonal
from matcalc.simplify import (
    commutations,
    dots,
    effort,
    hadamards,
    neighbours,
    products,
    spreading,
    sums,
    transposes,
)
from matcalc.simplify.cost import look
from matcalc.simplify.terms import Term, assemble, term

_DIAGONAL = Diagonal()

_FEW = 4  # terms of a sum that is multiplied out beside inverses
_FLAT = 4  # by how much the terms may be longer where one of them is an outer product
_LONG = 8  # factors of a term that is not


def reduced(factors: list[Expr]) -> tuple[Number, list[Expr], list[Expr]]:
    """Number, scalars and remaining factors of a chain; parts between dimensions of one are scalars."""
    joints = [i for i in range(1, len(factors)) if factors[i].rows is ONE]
    if not joints:
        if factors[0].rows is ONE and factors[-1].cols is ONE:
            c, s, _ = term(dots.number(factors))
            return c, list(s), []
        return settled(factors)
    coefficient: Number = 1
    scalars: list[Expr] = []
    kept: list[Expr] = []
    for i, j in zip([0, *joints], [*joints, len(factors)], strict=True):
        run = factors[i:j]
        if run[0].rows is ONE and run[-1].cols is ONE:
            c, s, _ = term(dots.number(run))
        else:
            c, rest, run = settled(run)
            s = tuple(rest)
            kept += run
        coefficient = coefficient * c
        scalars += s
    return coefficient, scalars, kept


def settled(factors: list[Expr]) -> tuple[Number, list[Expr], list[Expr]]:
    """A chain without a dimension of one inside, its neighbours combined until none can be."""
    if len(factors) == 1:
        return 1, [], factors
    coefficient: Number = 1
    scalars: list[Expr] = []
    out: list[Expr] = []
    waiting = factors[::-1]
    while waiting:
        f = waiting.pop()
        if not out:
            out.append(f)
            continue
        passed = commutations.passed(out[-1], f)
        if passed is not None:
            out.pop()
            waiting.extend(reversed(passed))
            continue
        found = neighbours.joined(out[-1], f)
        if found is None:
            out.append(f)
            out = neighbours.cancelled(out)
            continue
        out.pop()
        c, s, m = found
        coefficient = coefficient * c
        scalars += s
        waiting.extend(reversed(m))
    if not out:
        return coefficient, scalars, [identity(factors[0].rows)]
    if len(out) > 1:
        has_sum = any(map(_is_sum, out))
        again = _with_vector(out)
        if again is None and has_sum:
            again = commutations.gathered(out)
        if again is None and _to_be_cut(out):
            again = out
        whole = None if again is None else products.times(*again)
        if whole is None and has_sum:
            whole = _with_sum(out)
        if whole is not None:
            c, s, m = term(whole)
            return coefficient * c, [*scalars, *s], list(m)
        if has_sum:
            out = _congruence(out) or out
    return coefficient, scalars, out


def _with_sum(out: list[Expr]) -> Expr | None:
    """A chain with a sum in it, multiplied with what stands beside it where that is shorter."""
    whole = spreading.spread(out)
    if whole is None:
        found = _scaled_inside(out) or _beside_inverses(out)
        whole = None if found is None else products.times(*found)
    return whole


def _scaled_inside(out: list[Expr]) -> list[Expr] | None:
    """``diag(v)*(A - ones*w')`` as ``diag(v)*A - v*w'``, and ``(D*A + diag(u))*D`` as ``D*A*D + diag(u .* v)``.

    A diagonal matrix D = diag(v) enters a sum beside it to meet the ones, or to show that what it is in is symmetric.
    """
    for i, f in enumerate(out):
        total = f.args[0] if f.op is TRANSPOSE else f
        if total.op is not ADD or len(total.args) > sums.MOST:
            continue
        parts = total.args if total is f else [transposes.transposed(a) for a in total.args]
        inside = [term(a).factors for a in parts]
        if any(not m for m in inside):
            continue
        d = out[i - 1] if i else f
        if d.op is _DIAGONAL and (any(_begins_with_ones(m) for m in inside) or _meets(d, inside, -1)):
            return [*out[: i - 1], sums.plus(*[products.times(d, a) for a in parts]), *out[i + 1 :]]
        d = out[i + 1] if i + 1 < len(out) else f
        if d.op is _DIAGONAL and (any(hadamards.is_ones_row(m[-1]) for m in inside) or _meets(d, inside, 0)):
            return [*out[:i], sums.plus(*[products.times(a, d) for a in parts]), *out[i + 2 :]]
    return None


def _begins_with_ones(factors: Sequence[Expr]) -> bool:
    return len(factors) > 1 and isinstance(factors[0].op, Ones)


def _meets(d: Expr, inside: Sequence[Sequence[Expr]], end: int) -> bool:
    """Whether of several terms some are diagonal, and all others have ``d`` at one end."""
    alone = [len(m) == 1 and m[0].op is _DIAGONAL for m in inside]
    return any(alone) and not all(alone) and all(a or m[end] is d for a, m in zip(alone, inside, strict=True))


@effort.trial
def _beside_inverses(out: list[Expr]) -> list[Expr] | None:
    """``A*(A^-1*B + C)`` as ``B + A*C``: a sum multiplied out with what is beside it, where inverses then cancel."""
    for i, f in enumerate(out):
        total = f.args[0] if f.op is TRANSPOSE else f
        if total.op is not ADD or len(total.args) > _FEW or any(a.is_scalar for a in total.args):
            continue
        parts = total.args if total is f else [transposes.transposed(a) for a in total.args]
        inside = [term(a).factors for a in parts]
        flat = any(b.rows is ONE for m in inside for b in m)  # Q^-1*x*y'*Q^-1: here Q^-1*x is what is meant
        for first, last in ((0, i + 1), (i, len(out)), (0, len(out))):
            before, behind = out[first:i], out[i + 1 : last]
            beside = [*before, *behind]
            if not beside or not (any(map(_inverse, beside)) or any(_inverse(b) for m in inside for b in m)):
                continue
            if all(len(m) > _LONG for m in inside) or any(map(_is_sum, beside)):
                continue
            done = [products.times(*before, a, *behind) for a in parts]
            if all(look(b).cost > look(a).cost for a, b in zip(parts, done, strict=True)):
                continue  # nothing cancels
            whole = sums.plus(*done)
            most = sum([look(a).cost + 2 for a in beside]) + look(f).cost
            if look(whole).cost <= most + (_FLAT if flat and before and behind else 0):
                return [*out[:first], whole, *out[last:]]
    return None


def _is_sum(f: Expr) -> bool:
    return (f.args[0] if f.op is TRANSPOSE else f).op is ADD


def _inverse(f: Expr) -> bool:
    f = f.args[0] if f.op is TRANSPOSE else f
    return f.op is INV or f.op is PINV


def _congruence(out: list[Expr]) -> list[Expr] | None:
    """``A'*(A - B*A)`` as ``A'*(I - B)*A``: a sum beside A has A' drawn out on its other side, to show the symmetry."""
    for i, f in enumerate(out):
        total = f.args[0] if f.op is TRANSPOSE else f
        if total.op is not ADD or len(total.args) > sums.MOST:
            continue
        inside = [term(a) for a in total.args]
        if total is not f:
            inside = [Term(c, s, tuple([transposes.transposed(a) for a in reversed(m)])) for c, s, m in inside]
        if not all(m for _, _, m in inside) or all(len(m) > 1 for _, _, m in inside):
            continue
        if i and all(m[-1] is transposes.transposed(out[i - 1]) for _, _, m in inside):
            rest = [assemble(c, s, m[:-1] or (identity(f.rows),)) for c, s, m in inside]
            return [*out[:i], sums.plus(*rest), transposes.transposed(out[i - 1]), *out[i + 1 :]]
        if i + 1 < len(out) and all(m[0] is transposes.transposed(out[i + 1]) for _, _, m in inside):
            rest = [assemble(c, s, m[1:] or (identity(f.cols),)) for c, s, m in inside]
            return [*out[:i], transposes.transposed(out[i + 1]), sums.plus(*rest), *out[i + 1 :]]
    return None


def _to_be_cut(out: list[Expr]) -> bool:
    """Whether what factors became has a dimension of one inside, or is a matrix of ones beside others."""
    return any(f.rows is ONE for f in out[1:]) or any(
        isinstance(f.op, Ones) and f.rows is not ONE and f.cols is not ONE for f in out
    )


def _with_vector(out: list[Expr]) -> list[Expr] | None:
    """``diag(v)*x`` is ``v .* x``, and ones next to a matrix are sums; each use makes the chain shorter."""
    first, last = out[0], out[-1]
    if last.cols is ONE:
        for i, f in enumerate(out[:-1]):
            if f.op is _DIAGONAL:
                return [*out[:i], hadamards.hadamard(f.args[0], products.times(*out[i + 1 :]))]
        if isinstance(last.op, Ones) and len(out) > 1:
            return [*out[:-2], products.unary(Sum(1), out[-2])]
    if first.rows is ONE:
        for i in range(len(out) - 1, 0, -1):
            if out[i].op is _DIAGONAL:
                column = hadamards.hadamard(out[i].args[0], transposes.transposed(products.times(*out[:i])))
                return [transposes.transposed(column), *out[i + 1 :]]
        if hadamards.is_ones_row(first):
            return [products.unary(Sum(0), out[1]), *out[2:]]
    return None


__all__ = ["reduced", "settled"]
