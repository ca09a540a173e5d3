"""Sums, means, traces, inner products, norms, diagonals and rearrangements."""

from __future__ import annotations

from fractions import Fraction

from matcalc.dims import ONE
from matcalc.expr import Expr, make
from matcalc.facts import COLUMNS, ROWS, SYMMETRIC, has
from matcalc.primitives.algebra import ADD, HADAMARD, PRODUCT, TRANSPOSE
from matcalc.primitives.base import Primitive, zeros
from matcalc.primitives.leaves import Identity, Ones, const, identity, number_of, ones, size
from matcalc.primitives.matrix import MATRIX_POWER
from matcalc.primitives.products import INNER, KHATRI_RAO, KRON, Inner, Kron
from matcalc.primitives.reductions import NORM2, SUM, TRACE, Mean, Norm2, Sum, Trace
from matcalc.primitives.structure import Diagonal, DiagonalPart, Reshape, Unit, Vec
from matcalc.simplify import differences, dots, hadamards, kronecker, powers, products, square, sums, transposes
from matcalc.simplify.cost import look
from matcalc.simplify.handlers import handles
from matcalc.simplify.terms import assemble, magnitude, term

_MOST = 6  # terms of a sum under a linear map that are tried one by one
_DIAGONAL, _PART, _VEC = Diagonal(), DiagonalPart(), Vec()


def scaled_out(op: Primitive, x: Expr) -> Expr | None:
    """A linear map of one argument with the scalars of the argument drawn out in front."""
    c, s, m = term(x)
    if not c:
        return zeros(make(op, (x,)).shape)
    if c == 1 and not s:
        return None
    return products.times(const(c), *s, products.unary(op, assemble(1, (), m)))


def upright(x: Expr) -> Expr:
    """The matrix or its transpose, for what is the same of both: never a transpose, a product as a column."""
    if x.op is TRANSPOSE:
        return x.args[0]
    return transposes.transposed(x) if x.rows is ONE and x.op is PRODUCT else x


def over_sum(op: Primitive, x: Expr) -> Expr | None:
    """A linear map of a sum as the sum of what it makes of the terms, where that is no longer."""
    if x.op is not ADD or len(x.args) > _MOST:
        return None
    spread = any(a.is_scalar for a in x.args)
    if spread and not (isinstance(op, Sum) and op.axis is None):
        return None
    count = size(x.rows * x.cols) if spread else const(1)
    parts = sums.plus(*[products.times(count, a) if a.is_scalar else products.unary(op, a) for a in x.args])
    longest = look(make(op, (x,))).cost - (op.axis is None if isinstance(op, Sum) else 1)
    return parts if look(parts).cost <= longest else None


@handles(Sum)
def _sum(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    (x,) = args
    assert isinstance(op, Sum)
    axis = op.axis
    if x.is_scalar:
        return x
    if axis is not None and x.shape[axis] is ONE:
        return x
    if axis is not None and x.shape[1 - axis] is ONE:
        axis = None
    if axis is None:
        x = upright(x)
    if x.op is TRANSPOSE:
        assert axis is not None
        return transposes.transposed(products.unary(Sum(1 - axis), x.args[0]))
    found = scaled_out(Sum(axis), x)
    if found is not None:
        return found
    inner = x.op
    if isinstance(inner, Ones):
        count = x.rows * x.cols if axis is None else x.shape[axis]
        return products.times(size(count), _kept_ones(axis, x))
    if isinstance(inner, Identity):
        return size(x.rows) if axis is None else _kept_ones(axis, x)
    if inner is _DIAGONAL:
        column = x.args[0]
        return products.unary(SUM, column) if axis is None else column if axis == 1 else transposes.transposed(column)
    known = _sum_known(axis, x)
    if known is not None:
        return known
    if inner is PRODUCT:
        return _sum_of_product(axis, x)
    if inner is KRON or (inner is KHATRI_RAO and axis == 0):
        parts = [products.unary(Sum(axis), a) for a in x.args]
        whole = kronecker.kron(*parts) if inner is KRON else hadamards.hadamard(*parts)
        if look(whole).cost < look(x).cost + 3:
            return whole
    if axis is None:
        if inner is HADAMARD:
            if x.cols is ONE:
                a, b = x.args[0], assemble(1, (), (x.args[1],)) if len(x.args) == 2 else make(HADAMARD, x.args[1:])
                return dots.of_entries(a, b)
            return _inner_of(list(x.args))
        base, p = powers.split(x)
        if p == 2 and base.shape == x.shape:
            return powers.power(products.unary(NORM2, base), const(2))
        if isinstance(inner, Unit):
            return const(1)
        if isinstance(inner, DiagonalPart):
            return products.unary(TRACE, x.args[0])
        if isinstance(inner, Sum):
            return products.unary(SUM, x.args[0])
        if isinstance(inner, (Reshape, Vec)):
            return products.unary(SUM, x.args[0])
    return over_sum(Sum(axis), x) or make(Sum(axis), (x,))


def _sum_known(axis: int | None, x: Expr) -> Expr | None:
    """The sums of what has columns (rows) that sum to one."""
    for own, fact in enumerate((COLUMNS, ROWS)):
        if has(x, fact):
            if axis == own or (axis is None and x.shape[1 - own] is ONE):
                return _kept_ones(axis, x)
            if axis is None:
                return size(x.shape[1 - own])
    return None


def _kept_ones(axis: int | None, x: Expr) -> Expr:
    """Ones in the shape that a reduction of ``x`` has."""
    if axis is None:
        return const(1)
    return ones(x.rows) if axis == 1 else transposes.transposed(ones(x.cols))


def _sum_of_product(axis: int | None, x: Expr) -> Expr:
    """The sums go into the outer factors: ``sum(A*B, 1) = A*sum(B, 1)``; of a column, ``sum(A*x)`` stays."""
    factors = x.args
    if axis == 1:
        return products.times(*factors[:-1], products.unary(Sum(1), factors[-1]))
    if axis == 0:
        return products.times(products.unary(Sum(0), factors[0]), *factors[1:])
    if x.cols is ONE:
        if has(factors[0], COLUMNS):
            return products.unary(SUM, products.times(*factors[1:]))
        return make(SUM, (x,))
    if hadamards.is_outer(x):
        column, row = products.cut(factors)
        return products.times(products.unary(SUM, column), products.unary(SUM, transposes.transposed(row)))
    last = products.unary(Sum(1), factors[-1])
    whole = products.times(*factors[:-1], last)
    return products.unary(SUM, whole)


@handles(Mean)
def _mean(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    (x,) = args
    assert isinstance(op, Mean)
    if x.is_scalar or (op.axis is not None and x.shape[op.axis] is ONE):
        return x
    axis = op.axis if op.axis is None or x.shape[1 - op.axis] is not ONE else None
    if axis is None:
        x = upright(x)
    if x.op is TRANSPOSE:
        assert axis is not None
        return transposes.transposed(products.unary(Mean(1 - axis), x.args[0]))
    if isinstance(x.op, Ones):
        return _kept_ones(axis, x)
    return scaled_out(Mean(axis), x) or _mean_of_sum(axis, x) or make(Mean(axis), (x,))


def _mean_of_sum(axis: int | None, x: Expr) -> Expr | None:
    """The mean of a sum term by term where that is shorter: ``mean(x - mean(x))`` is 0."""
    if x.op is not ADD or len(x.args) > _MOST or (axis is not None and any(a.is_scalar for a in x.args)):
        return None
    parts = sums.plus(*[a if a.is_scalar else products.unary(Mean(axis), a) for a in x.args])
    return parts if look(parts).cost < look(make(Mean(axis), (x,))).cost else None


@handles(Trace)
def _trace(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    (x,) = args
    if x.is_scalar:
        return x
    if x.op is TRANSPOSE:
        return products.unary(TRACE, x.args[0])
    found = scaled_out(op, x)
    if found is not None:
        return found
    if isinstance(x.op, Identity):
        return size(x.rows)
    if isinstance(x.op, Ones):
        return size(x.rows)
    if x.op is _DIAGONAL:
        return products.unary(SUM, x.args[0])
    if x.op is PRODUCT:
        return cyclic(list(x.args))
    if x.op is MATRIX_POWER and has(x.args[0], SYMMETRIC):  # tr(S^2) is norm2(S)^2
        k = number_of(x.args[1])
        if isinstance(k, int) and k > 0 and k % 2 == 0:
            half = products.unary(NORM2, square.power_of(x.args[0], const(k // 2)))
            return powers.power(half, const(2))
    if isinstance(x.op, Kron) and x.args[0].rows is x.args[0].cols:
        return products.times(products.unary(TRACE, x.args[0]), products.unary(TRACE, x.args[1]))
    return over_sum(TRACE, x) or make(TRACE, (x,))


def cyclic(factors: list[Expr]) -> Expr:
    """The trace of a chain: a number where a dimension is one, else the rotation that reads best."""
    n = len(factors)
    for i in range(n):
        if factors[i].rows is ONE and (i or factors[-1].cols is ONE):
            return products.times(*factors[i:], *factors[:i])
    for i in range(n):
        if factors[i].op is _DIAGONAL:
            rest = products.times(*factors[i + 1 :], *factors[:i]) if n > 1 else identity(factors[i].rows)
            return products.times(transposes.transposed(factors[i].args[0]), products.unary(_PART, rest))
    for i, f in enumerate(factors):
        if f.op is ADD and len(f.args) <= _MOST and all(hadamards.is_outer(a) for a in f.args):
            parts = [products.times(*factors[:i], a, *factors[i + 1 :]) for a in f.args]
            return sums.plus(*[products.unary(TRACE, a) for a in parts])
    if n > 1:
        joined = products.times(factors[-1], factors[0])
        c, s, m = term(joined)
        if c != 1 or s or len(m) != 2 or m[0] is not factors[-1]:
            return products.unary(TRACE, products.times(joined, *factors[1:-1]))
    half = n // 2
    if n == 2 * half and half:
        for i in range(n):
            turn = factors[i:] + factors[:i]
            if all(turn[k] is transposes.transposed(turn[-1 - k]) for k in range(half)):
                norm = products.unary(NORM2, assemble(1, (), turn[half:]))
                return powers.power(norm, const(2))
    turned = [transposes.transposed(a) for a in reversed(factors)]
    best = min((make(PRODUCT, tuple(f[i:] + f[:i])) for f in (factors, turned) for i in range(n)), key=dots.reading)
    if n == 2 and any(a.op is TRANSPOSE or transposes.turns(a) for a in best.args):
        a, b = best.args
        first = a.op is TRANSPOSE or transposes.turns(a)
        u, v = (transposes.transposed(a), b) if first else (a, transposes.transposed(b))
        return make(INNER, tuple(sorted((u, v), key=lambda e: (look(e).label, e.digest))))
    return make(TRACE, (best,))


@handles(Inner)
def _inner(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    a, b = args
    if a.is_scalar or b.is_scalar:
        return products.times(a, b)
    if a.rows is ONE:
        a, b = transposes.transposed(a), transposes.transposed(b)
    if a.cols is ONE:
        return products.times(transposes.transposed(a), b)
    c, s, m = term(a)
    d, t, k = term(b)
    if not c or not d:
        return const(0)
    scale = [const(c), *s, const(d), *t]
    if (len(m) == 1 and m[0].op is HADAMARD) or (len(k) == 1 and k[0].op is HADAMARD):
        left = m[0].args if len(m) == 1 and m[0].op is HADAMARD else (assemble(1, (), m),)
        right = k[0].args if len(k) == 1 and k[0].op is HADAMARD else (assemble(1, (), k),)
        joined = hadamards.hadamard(*left, *right)
        return products.times(*scale, products.unary(SUM, joined))
    if len(m) == 1 and isinstance(m[0].op, Ones):
        return products.times(*scale, products.unary(SUM, assemble(1, (), k)))
    if len(k) == 1 and isinstance(k[0].op, Ones):
        return products.times(*scale, products.unary(SUM, assemble(1, (), m)))
    if m == k:
        return products.times(*scale, powers.power(products.unary(NORM2, assemble(1, (), m)), const(2)))
    chain = products.times(*[transposes.transposed(x) for x in reversed(m)], *k)
    if len(m) == 1 and len(k) == 1 and not hadamards.is_outer(chain):
        u, v = m[0], k[0]
        if isinstance(u.op, Identity):
            return products.times(*scale, products.unary(TRACE, v))
        if isinstance(v.op, Identity):
            return products.times(*scale, products.unary(TRACE, u))
    return products.times(*scale, products.unary(TRACE, chain))


def _inner_of(factors: list[Expr]) -> Expr:
    """The sum of the entries of an elementwise product of matrices."""
    names = [f for f in factors if not f.args] or factors
    head = names[0]
    factors.remove(head)
    rest = factors[0] if len(factors) == 1 else make(HADAMARD, tuple(factors))
    if rest.op is HADAMARD:
        return make(INNER, (head, rest))
    return _inner(INNER, (head, rest))


@handles(Norm2)
def _norm2(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    (x,) = args
    x = upright(x)
    if x.is_zero:
        return const(0)
    from matcalc.primitives.elementwise import abs_
    from matcalc.simplify.entries import of

    if x.is_scalar:
        return of(abs_, x)
    if isinstance(x.op, Unit):
        return const(1)
    if isinstance(x.op, Ones):
        return powers.power(size(x.rows * x.cols), const(Fraction(1, 2)))
    if isinstance(x.op, Identity):
        return powers.power(size(x.rows), const(Fraction(1, 2)))
    c, s, m = term(x)
    if c != 1 or s:
        return products.times(const(magnitude(c)), *[of(abs_, a) for a in s], products.unary(NORM2, assemble(1, (), m)))
    if hadamards.is_outer(x):
        column, row = products.cut(x.args)
        return products.times(*[products.unary(NORM2, a) for a in (column, transposes.transposed(row))])
    return make(NORM2, (assemble(1, (), differences.upright_term((), m)[2]),))
