"""Products of matrices and numbers: scalars drawn out, chains cut where a dimension is one, inverses cancelled."""

from __future__ import annotations

from collections.abc import Sequence

from matcalc.dims import ONE
from matcalc.expr import Expr, Number, make
from matcalc.facts import INVERTIBLE, SYMMETRIC, has
from matcalc.primitives.algebra import ADD, HADAMARD, POWER, PRODUCT, TRANSPOSE
from matcalc.primitives.algebra import product as raw_product
from matcalc.primitives.base import Primitive
from matcalc.primitives.elementwise import exp, sigmoid
from matcalc.primitives.functions import Elementwise
from matcalc.primitives.leaves import Identity, Ones, Size, const, identity, number_of, ones, size
from matcalc.primitives.matrix import INV, PINV
from matcalc.primitives.products import KRON
from matcalc.primitives.reductions import NORM2, SUM, Mean, Sum
from matcalc.primitives.structure import Diagonal, Unit
from matcalc.simplify import effort, hadamards, heads, kronecker, match, neighbours, powers, square, sums, transposes
from matcalc.simplify.cost import complemented, factor_order, look, scalar_order
from matcalc.simplify.terms import Term, assemble, exact, magnitude, term

_FEW = 4  # terms of a sum that is multiplied out beside inverses
_FLAT = 4  # by how much the terms may be longer where one of them is an outer product
_LONG = 8  # factors of a term that is not
_DIAGONAL, _EXP, _SIGMOID = Diagonal(), Elementwise(exp, 0), Elementwise(sigmoid, 0)


def unary(op: Primitive, x: Expr) -> Expr:
    """A primitive applied to one simplified argument, simplified."""
    return heads.applied(op, (x,))


def times(*operands: Expr) -> Expr:
    """The product of simplified operands."""
    coefficient: Number = 1
    scalars: list[Expr] = []
    factors: list[Expr] = []
    for f in operands:
        c, s, m = term(f)
        coefficient = coefficient * c
        scalars += s
        factors += m
    if not coefficient:
        return raw_product(*operands)
    if len(factors) > 1:
        factors = _ones_cut(factors)
    if factors:
        c, more, factors = _chain(factors)
        coefficient = coefficient * c
        scalars += more
        if len(scalars) + len(factors) > 1 and scalars:
            found = neighbours.adjugate(scalars, factors)
            if found is not None:
                return times(const(exact(coefficient)), *found)
        written = square.by_inverses(factors)
        if written is not None:
            return times(const(exact(coefficient)), *scalars, *written)
        divided = _under(scalars, factors) if scalars and factors else None
        if divided is not None:
            return times(const(exact(coefficient)), *divided)
    elif len(scalars) > 1:
        found = neighbours.adjugate(scalars, factors)
        if found is not None:
            return times(const(exact(coefficient)), *found)
    if len(scalars) > 1:
        c, scalars = powers.combine(scalars)
        coefficient = coefficient * c
        if len(scalars) > 1:
            spread = hadamards.distributed(scalars)
            if spread is not None:
                return times(const(exact(coefficient)), *spread, *factors)
            scalars.sort(key=scalar_order)
    if coefficient not in (1, -1) and scalars:
        coefficient, scalars = powers.rooted(coefficient, scalars)
    if scalars and factors:
        divided = _divided(scalars, factors)
        if divided is not None:
            return times(const(exact(coefficient)), *divided)
    if scalars and len(factors) == 1 and factors[0].op is ADD:
        counted = _counted(scalars, factors[0])
        if counted is not None:
            return times(const(exact(coefficient)), *counted)
    if scalars and (scalars[0].op is POWER or isinstance(scalars[0].op, Size)):
        averaged = _averaged(scalars, factors)
        if averaged is not None:
            return times(const(exact(coefficient)), *averaged)
    if len(factors) == 2:
        factors = _ones_cut(factors) if isinstance(factors[0].op, Ones) and factors[0].cols is ONE else factors
    coefficient = exact(coefficient)
    if not coefficient:
        return raw_product(const(0), *factors)
    if coefficient != 1 or len(factors) + len(scalars) > 1:
        coefficient = _signs(coefficient, scalars, factors)
    if coefficient not in (1, -1) and len(factors) + len(scalars) > 1:
        coefficient = _taken_up(coefficient, scalars, factors)
    if coefficient != 1 and len(scalars) + len(factors) == 1:
        only = (scalars or factors)[0]
        if only.op is ADD:
            scaled = sums.scaled(coefficient, only)
            if scaled is not None:
                return scaled
        elif only.op is TRANSPOSE and only.args[0].op is ADD:
            inner = times(const(coefficient), only.args[0])
            if inner.op is ADD and term(inner).coefficient == 1:
                return transposes.transposed(inner)
    return match.settled(assemble(coefficient, scalars, factors))


def _averaged(scalars: list[Expr], factors: list[Expr]) -> list[Expr] | None:
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
def _counted(scalars: list[Expr], total: Expr) -> list[Expr] | None:
    """``n*(x - mean(x))`` as ``n*x - sum(x)``: a size that cancels in a term of a sum, where that is shorter."""
    for i, s in enumerate(scalars):
        if not isinstance(s.op, Size) or not any(
            _per_size(f, s) for a in total.args for f in (*term(a)[1], *term(a)[2])
        ):
            continue
        new = sums.plus(*[times(s, a) for a in total.args])
        if look(new).cost < look(make(PRODUCT, (s, total))).cost:
            return [*scalars[:i], *scalars[i + 1 :], new]
    return None


def _per_size(f: Expr, n: Expr) -> bool:
    """Whether a factor is a mean or is divided by a size."""
    base, p = powers.split(f)
    return isinstance((f.args[0] if f.op is TRANSPOSE else f).op, Mean) or (base is n and p == -1)


def _divided(scalars: list[Expr], factors: list[Expr]) -> list[Expr] | None:
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
        parts = [times(s, a) for a in f.args]
        if not any(s in term(a).scalars for a in parts):
            return sums.plus(*parts)
    return None


def _under(scalars: list[Expr], factors: list[Expr]) -> list[Expr] | None:
    """Numbers that divide, multiplied into a sum that divides entries: ``x ./ (1 + y/v)/v`` is ``x ./ (v + y)``."""
    for i, f in enumerate(factors):
        inverse = f.args[0] if f.op is TRANSPOSE else f
        if inverse.op is INV and inverse.args[0].op is ADD:  # (A/s + I)^-1/s is (A + s*I)^-1
            multiplied = hadamards.multiplied(inverse.args[0], -1, scalars)
            if multiplied is not None:
                *left, inner = multiplied
                new = unary(INV, inner)
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


def _ones_cut(factors: list[Expr]) -> list[Expr]:
    """A matrix of ones beside other factors as a column times a row; such a column times a row alone as a matrix."""
    first, last = factors[0], factors[-1]
    if len(factors) == 2 and isinstance(first.op, Ones) and first.cols is ONE and hadamards.is_ones_row(last):
        return [ones(first.rows, last.cols)]
    out: list[Expr] = []
    for f in factors:
        if isinstance(f.op, Ones) and f.rows is not ONE and f.cols is not ONE:
            out += (ones(f.rows), transposes.transposed(ones(f.cols)))
        else:
            out.append(f)
    return out


def _signs(coefficient: Number, scalars: list[Expr], factors: list[Expr]) -> Number:
    """The differences among the factors turned: alike where they differ by sign, and to take up a minus.

    ``-x*(a - b)`` is ``x*(b - a)``, but ``1 - f`` stays, and ``(b - a)*(a - b)'`` is ``-(a - b)*(a - b)'``.
    """
    seen: dict[Expr, int] = {}
    for place in (factors, scalars):
        for i, f in enumerate(place):
            total = f.args[0] if f.op is TRANSPOSE else f
            if total.op is not ADD:
                continue
            other = sums.flipped(total)
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
                    scalars[i] = times(*s.args[:k], other, *s.args[k + 1 :])
                    coefficient = -coefficient
                    break
    upright = sums.positive(Term(coefficient, tuple(scalars), tuple(factors)))
    coefficient, scalars[:], factors[:] = upright
    if coefficient > 0:
        return coefficient
    for place in (factors, scalars):
        for i, f in enumerate(place):
            total = f.args[0] if f.op is TRANSPOSE else f
            if seen.get(total) == 1:
                other = sums.flipped(total)
                assert other is not None
                if any(s.op is PRODUCT and (f in s.args) + (transposes.transposed(f) in s.args) == 1 for s in scalars):
                    continue  # -c'*(x - y)*(x - y): the same difference twice
                if place is scalars and complemented(total) is not None:
                    continue  # -s*(1 - s) stays
                place[i] = transposes.transposed(other) if f.op is TRANSPOSE else other
                if place is scalars:
                    scalars.sort(key=scalar_order)
                return -coefficient
            if f.op is _DIAGONAL and f.args[0].op is ADD and (other := sums.flipped(f.args[0])) is not None:
                place[i] = make(_DIAGONAL, (other,))
                return -coefficient
            if f.op is HADAMARD:
                for k, a in enumerate(f.args):
                    if a.op is ADD and complemented(a) is None:
                        flipped = sums.flipped(a)
                        if flipped is not None:
                            place[i] = make(
                                HADAMARD, tuple(sorted((*f.args[:k], flipped, *f.args[k + 1 :]), key=factor_order))
                            )
                            return -coefficient
    for i, s in enumerate(scalars):
        if s.op is POWER and s.args[0].op is ADD and isinstance(p := number_of(s.args[1]), int) and p % 2:
            other = sums.flipped(s.args[0])
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
                scalars[i] = times(*s.args[:k], other, *s.args[k + 1 :])
                return -coefficient
    for place in (factors, scalars):
        for i, f in enumerate(place):
            around = [a for a in (*factors, *scalars) if a is not f]
            other = sums.negated(f, around)
            if other is not None and term(other).coefficient == 1:
                place[i] = other
                return -coefficient
    return coefficient


def _taken_up(coefficient: Number, scalars: list[Expr], factors: list[Expr]) -> Number:
    """The number multiplied into a sum that gets shorter: ``2*a*(x/2 + y)`` is ``a*(x + 2*y)``."""
    for place in (factors, scalars):
        for i, f in enumerate(place):
            if f.op is ADD and look(f).size <= sums.SPREAD and sums.has_numbers(f):
                new = sums.plus(*[times(const(coefficient), a) for a in f.args])
                if new.op is ADD and look(new).cost < look(f).cost:
                    place[i] = new
                    if place is scalars:
                        scalars.sort(key=scalar_order)
                    return 1
    return coefficient


def _difference(f: Expr) -> Expr | None:
    """Minus a difference, or minus the transpose of one."""
    total = f.args[0] if f.op is TRANSPOSE else f
    other = sums.flipped(total) if total.op is ADD and complemented(total) is None else None
    return None if other is None else transposes.transposed(other) if f.op is TRANSPOSE else other


def cut(factors: Sequence[Expr]) -> tuple[Expr, Expr]:
    """The column and the row of an outer product."""
    inner = [a for a in factors if not a.is_scalar]
    at = next(i for i in range(1, len(inner)) if inner[i].rows is ONE)
    scale = [a for a in factors if a.is_scalar]
    return assemble(1, scale, inner[:at]), assemble(1, (), inner[at:])


def _chain(factors: list[Expr]) -> tuple[Number, list[Expr], list[Expr]]:
    """Number, scalars and remaining factors of a chain; parts between dimensions of one are scalars."""
    joints = [i for i in range(1, len(factors)) if factors[i].rows is ONE]
    if not joints:
        if factors[0].rows is ONE and factors[-1].cols is ONE:
            c, s, _ = term(_scalar(factors))
            return c, list(s), []
        return _settled(factors)
    coefficient: Number = 1
    scalars: list[Expr] = []
    kept: list[Expr] = []
    for i, j in zip([0, *joints], [*joints, len(factors)], strict=True):
        run = factors[i:j]
        if run[0].rows is ONE and run[-1].cols is ONE:
            c, s, _ = term(_scalar(run))
        else:
            c, rest, run = _settled(run)
            s = tuple(rest)
            kept += run
        coefficient = coefficient * c
        scalars += s
    return coefficient, scalars, kept


def _settled(factors: list[Expr]) -> tuple[Number, list[Expr], list[Expr]]:
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
        passed = kronecker.passed(out[-1], f)
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
        again = _with_vector(out) or kronecker.gathered(out)
        if again is None and _to_be_cut(out):
            again = out
        whole = kronecker.spread(out) if again is None else times(*again)
        if whole is not None:
            c, s, m = term(whole)
            return coefficient * c, [*scalars, *s], list(m)
        scaled = _scaled_inside(out)
        if scaled is not None:
            c, s, m = term(times(*scaled))
            return coefficient * c, [*scalars, *s], list(m)
        written = _beside_inverses(out)
        if written is not None:
            c, s, m = term(times(*written))
            return coefficient * c, [*scalars, *s], list(m)
        out = _congruence(out) or out
    return coefficient, scalars, out


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
            return [*out[: i - 1], sums.plus(*[times(d, a) for a in parts]), *out[i + 1 :]]
        d = out[i + 1] if i + 1 < len(out) else f
        if d.op is _DIAGONAL and (any(hadamards.is_ones_row(m[-1]) for m in inside) or _meets(d, inside, 0)):
            return [*out[:i], sums.plus(*[times(a, d) for a in parts]), *out[i + 2 :]]
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
            done = [times(*before, a, *behind) for a in parts]
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
                return [*out[:i], hadamards.hadamard(f.args[0], times(*out[i + 1 :]))]
        if isinstance(last.op, Ones) and len(out) > 1:
            return [*out[:-2], unary(Sum(1), out[-2])]
    if first.rows is ONE:
        for i in range(len(out) - 1, 0, -1):
            if out[i].op is _DIAGONAL:
                column = hadamards.hadamard(out[i].args[0], transposes.transposed(times(*out[:i])))
                return [transposes.transposed(column), *out[i + 1 :]]
        if hadamards.is_ones_row(first):
            return [unary(Sum(0), out[1]), *out[2:]]
    return None


def _scalar(run: list[Expr]) -> Expr:
    """The number that a chain from a row to a column is, read in the shorter direction."""
    c, s, m = _settled_ends(run)
    if c != 1 or s or not m:
        return times(const(exact(c)), *s, *m)
    left = transposes.transposed(m[0])
    if left.op is ADD and sums.flipped(left) is m[-1]:  # (x - y)'*A*(y - x)
        return times(const(-1), _scalar([*m[:-1], left]))
    middle = square.quadratic(m)
    if middle is not None:
        half = len(m) // 2
        return times(*m[:half], middle, *m[half + 1 :])
    return dot(m)


def _settled_ends(run: list[Expr]) -> tuple[Number, list[Expr], list[Expr]]:
    # Row and column may have become products with numbers, or a sum by ones; a shorter chain is settled anew.
    c, s, m = _settled(run) if len(run) > 1 else (1, [], run)
    if len(m) == 1 and m[0].is_scalar:
        return c, [*s, m[0]], []
    return c, s, m


def dot(run: list[Expr]) -> Expr:
    """A settled chain from a row to a column."""
    first, last = run[0], run[-1]
    if hadamards.is_ones_row(first):
        return unary(SUM, times(*run[1:]))
    if isinstance(last.op, Ones):
        return unary(SUM, times(*run[:-1]))
    if isinstance(first.op, Sum):
        return unary(SUM, times(first.args[0], *run[1:]))
    if last.op is TRANSPOSE and isinstance(last.args[0].op, Sum):
        return dot([transposes.transposed(a) for a in reversed(run)])
    if len(run) == 2:
        left = transposes.transposed(first)
        if left is last and isinstance(last.op, Unit):
            return const(1)
        if left.op is HADAMARD or last.op is HADAMARD or left.op is POWER or last.op is POWER:
            return of_entries(left, last)
        if left.op is _SIGMOID and last.op is _SIGMOID:  # s'*(1 - s), as in s .* (1 - s)
            return of_entries(left, last)
    turned = [transposes.transposed(a) for a in reversed(run)]
    best = min((make(PRODUCT, tuple(run)), make(PRODUCT, tuple(turned))), key=reading)
    half = squared(best)
    if half is not None:
        norm = powers.power(unary(NORM2, half), const(2))
        if look(norm).cost < look(best).cost:
            return norm
    return best


def squared(run: Expr) -> Expr | None:
    """The u of ``u'*u``: of ``x'*A'*A*x`` it is ``A*x``, of ``x'*S^2*x`` with symmetric S it is ``S*x``."""
    args = run.args
    half = len(args) // 2
    if any(args[i] is not transposes.transposed(args[-1 - i]) for i in range(half)):
        return None
    if len(args) == 2 * half:
        return assemble(1, (), args[half:])
    base, k = neighbours.matrix_power(args[half])
    if isinstance(k, int) and k % 2 == 0 and has(base, SYMMETRIC):
        return times(neighbours.raised(base, k // 2), *args[half + 1 :])
    return None


def reading(e: Expr) -> tuple[int, int, int, str, int]:
    """Fewer transposes, inside or in front, first, then a short first factor, then by name."""
    seen = look(e)
    return (seen.cost, sum([a.op is TRANSPOSE for a in e.args]), look(e.args[0]).cost, seen.label, e.digest)


def of_entries(a: Expr, b: Expr) -> Expr:
    """The sum of the entries of ``a .* b`` for two columns: a bare name times the rest, where there is one."""
    joined = hadamards.hadamard(a, b)
    c, s, m = term(joined)
    scale = assemble(c, s, ())
    if len(m) != 1 or m[0].op is not HADAMARD:
        return times(scale, unary(SUM, assemble(1, (), m)) if m else const(1))
    split = [powers.split(a) for a in m[0].args]
    if all(p == 2 for _, p in split):
        return times(scale, powers.power(unary(NORM2, hadamards.hadamard(*[a for a, _ in split])), const(2)))
    if any(not isinstance(p, Expr) and p < 0 for _, p in split):
        return times(scale, make(SUM, m))
    entries = list(m[0].args)
    names = [e for e in entries if not e.args]
    head = names[0] if names else entries[0]
    entries.remove(head)
    rest = entries[0] if len(entries) == 1 else make(HADAMARD, tuple(entries))
    sides = [
        make(PRODUCT, (transposes.transposed(u), *_factors(v))) if u.op is not PRODUCT else None
        for u, v in ((head, rest), (rest, head))
    ]
    if len(entries) > 1 or rest.op is PRODUCT or head.op is PRODUCT:
        if head.op is PRODUCT or rest.op is PRODUCT:
            u, v = (head, rest) if head.op is not PRODUCT else (rest, head)
            return times(scale, dot([*_factors(transposes.transposed(u)), *_factors(v)]))
        return times(scale, make(PRODUCT, (transposes.transposed(head), rest)))
    found = min((x for x in sides if x is not None), key=reading)
    return times(scale, found)


def _factors(e: Expr) -> tuple[Expr, ...]:
    return term(e)[2]


def invertible(e: Expr) -> bool:
    return e.rows is e.cols and (has(e, INVERTIBLE) or isinstance(e.op, Identity))


__all__ = ["cut", "dot", "invertible", "of_entries", "times", "unary"]
