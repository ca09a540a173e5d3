"""Rearrangements and block structure: diagonals, vec and reshape, Kronecker products, concatenation."""

from __future__ import annotations

from matcalc.dims import ONE
from matcalc.expr import Expr, make
from matcalc.primitives.algebra import ADD, HADAMARD, PRODUCT, TRANSPOSE
from matcalc.primitives.base import Primitive, zeros
from matcalc.primitives.convolution import Conv, Corr, Crop, Flip, Pad
from matcalc.primitives.leaves import Identity, Ones, const, identity, ones
from matcalc.primitives.products import KRON, Kron
from matcalc.primitives.structure import (
    ALL,
    AT,
    Diagonal,
    DiagonalPart,
    HCat,
    Reshape,
    Slice,
    VCat,
    Vec,
    Where,
    sliced,
)
from matcalc.simplify import dots, hadamards, heads, linear, match, products, sums, transposes
from matcalc.simplify.cost import look
from matcalc.simplify.handlers import handles
from matcalc.simplify.terms import assemble, term

_DIAGONAL, _PART, _VEC = Diagonal(), DiagonalPart(), Vec()
_MOST = 6  # terms of a sum of which a slice is tried one by one


@handles(Diagonal)
def _diagonal(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    (x,) = args
    if x.is_scalar:
        return x
    found = linear.scaled_out(op, x)
    if found is not None:
        return found
    if isinstance(x.op, Ones):
        return identity(x.rows)
    if isinstance(x.op, Kron):
        return heads.applied(x.op, tuple([products.unary(_DIAGONAL, a) for a in x.args]))
    return make(_DIAGONAL, (x,))


@handles(DiagonalPart)
def _diagonal_part(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    (x,) = args
    if x.is_scalar:
        return x
    if x.op is TRANSPOSE:
        return products.unary(_PART, x.args[0])
    found = linear.scaled_out(op, x)
    if found is not None:
        return found
    if isinstance(x.op, (Identity, Ones)):
        return ones(x.rows)
    if x.op is _DIAGONAL:
        return x.args[0]
    if x.op is HADAMARD:
        return hadamards.hadamard(*[products.unary(_PART, a) for a in x.args])
    if isinstance(x.op, Kron) and all(a.rows is a.cols for a in x.args):
        return heads.applied(x.op, tuple([products.unary(_PART, a) for a in x.args]))
    if x.op is PRODUCT:
        if hadamards.is_outer(x):
            column, row = products.cut(x.args)
            return hadamards.hadamard(column, transposes.transposed(row))
        if x.args[0].op is _DIAGONAL:
            return hadamards.hadamard(x.args[0].args[0], products.unary(_PART, assemble(1, (), x.args[1:])))
        if x.args[-1].op is _DIAGONAL:
            return hadamards.hadamard(products.unary(_PART, assemble(1, (), x.args[:-1])), x.args[-1].args[0])
        for i, a in enumerate(x.args):
            if a.op is _DIAGONAL:  # diag(A*diag(y)*B) = (A .* B')*y
                left, right = assemble(1, (), x.args[:i]), assemble(1, (), x.args[i + 1 :])
                return products.times(hadamards.hadamard(left, transposes.transposed(right)), a.args[0])
        parted = _part_of_terms(x)
        if parted is not None:
            return parted
        turned = transposes.transposed(x)
        if turned.op is PRODUCT:
            x = min(x, turned, key=dots.reading)
    elif transposes.turns(x):
        x = transposes.transposed(x)
    return linear.over_sum(_PART, x) or make(_PART, (x,))


def _part_of_terms(x: Expr) -> Expr | None:
    """``diag(A*(b*c' + D))`` as ``(A*b) .* c + diag(A*D)``, where a term of a sum is an outer product."""
    for i, f in enumerate(x.args):
        few = f.op is ADD and len(f.args) <= sums.MOST and not any(a.is_scalar for a in f.args)
        if few and any(hadamards.is_outer(a) for a in f.args):
            parts = [products.unary(_PART, products.times(*x.args[:i], a, *x.args[i + 1 :])) for a in f.args]
            whole = sums.plus(*parts)
            return whole if look(whole).cost < look(x).cost + 3 else None
    return None


@handles(Vec)
def _vec(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    (x,) = args
    if x.cols is ONE:
        return x
    if x.rows is ONE:
        return transposes.transposed(x)
    if isinstance(x.op, Ones):
        return ones(x.rows * x.cols)
    if isinstance(x.op, (Reshape, Vec)):
        return products.unary(_VEC, x.args[0])
    found = linear.scaled_out(op, x)
    if found is not None:
        return found
    if hadamards.is_outer(x):
        column, row = products.cut(x.args)
        return heads.applied(KRON, (transposes.transposed(row), column))
    return make(_VEC, (x,))


@handles(Reshape)
def _reshape(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    (x,) = args
    assert isinstance(op, Reshape)
    if isinstance(x.op, (Reshape, Vec)):
        return products.unary(op, x.args[0])
    if x.shape == op.shape:
        return x
    if op.shape[1] is ONE:
        return products.unary(_VEC, x)
    if isinstance(x.op, Ones):
        return ones(*op.shape)
    return linear.scaled_out(op, x) or make(op, (x,))


@handles(Slice)
def _slice(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    """A slice of a slice is one slice; of a transpose, of a sum or of a number times a matrix it goes inward."""
    x, *indices = args
    assert isinstance(op, Slice)
    shape = make(op, args).shape
    if x.is_zero:
        return zeros(shape)
    row = indices[0] if op.row == AT else None
    col = indices[-1] if op.col == AT else None
    if x.op is TRANSPOSE:
        turned = Slice(op.col, op.row)
        return transposes.transposed(_slice(turned, (x.args[0], *[k for k in (col, row) if k is not None])))
    if isinstance(x.op, Ones):
        return ones(*shape)
    if isinstance(x.op, Slice):
        joined = _joined(x, op, row, col)
        if joined is not None:
            return joined
    c, s, m = term(x)
    if c != 1 or s:
        return products.times(const(c), *s, _slice(op, (assemble(1, (), m), *indices)) if m else ones(*shape))
    if len(m) > 1 and (op.row != ALL or op.col != ALL):  # of a product, of its first and last factor
        first = m[0] if op.row == ALL else _slice(Slice(op.row, ALL), (m[0], *([row] if row is not None else [])))
        last = m[-1] if op.col == ALL else _slice(Slice(ALL, op.col), (m[-1], *([col] if col is not None else [])))
        inner = products.times(first, *m[1:-1], last)
        if look(inner).cost < look(make(op, args)).cost:
            return inner
    if x.op is ADD and len(x.args) <= _MOST and not any(a.is_scalar for a in x.args):
        parts = sums.plus(*[_slice(op, (a, *indices)) for a in x.args])
        if look(parts).cost < look(make(op, args)).cost:
            return parts
    return op.construct(args)


def _joined(x: Expr, op: Slice, row: Expr | None, col: Expr | None) -> Expr | None:
    """A slice by ``op`` of the slice ``x``; None where an index would have to be shifted."""
    inner = x.op
    assert isinstance(inner, Slice)
    a = x.args[0]
    indices: list[Expr] = []
    places: list[Where] = []
    given = list(x.args[1:])
    for before, after, index in ((inner.row, op.row, row), (inner.col, op.col, col)):
        own = given.pop(0) if before == AT else None
        if after == ALL:
            places.append(before)
            indices += [own] if own is not None else []
        elif before == ALL:
            places.append(after)
            indices += [index] if index is not None else []
        elif isinstance(before, tuple) and isinstance(after, tuple):
            places.append((before[0] + after[0] - 1, before[0] + after[1] - 1))
        else:
            return None
    return sliced(a, places[0], places[1], *indices)


@handles(Conv, Corr)
def _convolution(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    c, s, m = term(args[0])
    d, t, k = term(args[1])
    if not c or not d or not m or not k or (c == 1 and d == 1 and not s and not t):
        return op.construct(args)
    return products.times(const(c), const(d), *s, *t, op.construct((assemble(1, (), m), assemble(1, (), k))))


@handles(Flip, Pad, Crop)
def _rearranged(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    *fixed, x = args
    c, s, m = term(x)
    if not c or not m or (c == 1 and not s):
        return match.settled(op.construct(args))
    return products.times(const(c), *s, heads.applied(op, (*fixed, assemble(1, (), m))))


@handles(HCat, VCat)
def _blocks(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    if len(args) == 1:
        return args[0]
    flat: list[Expr] = []
    for a in args:
        flat.extend(a.args if a.op is op else (a,))
    return op.construct(tuple(flat))
