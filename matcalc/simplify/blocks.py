"""Rearrangements and block structure: diagonals, vec and reshape, Kronecker products, concatenation, indexed sums."""

from __future__ import annotations

from matcalc.dims import ONE
from matcalc.expr import Expr, make
from matcalc.facts import NONNEGATIVE, POSITIVE, has
from matcalc.primitives.algebra import HADAMARD, PRODUCT, TRANSPOSE
from matcalc.primitives.base import Primitive, zeros
from matcalc.primitives.leaves import Identity, Ones, const, identity, number_of, ones
from matcalc.primitives.loops import IndexedSum, free_indices
from matcalc.primitives.products import KhatriRao, Kron
from matcalc.primitives.structure import Diagonal, DiagonalPart, HCat, Reshape, VCat, Vec
from matcalc.simplify import hadamards, linear, products, sums, transposes
from matcalc.simplify.heads import handles
from matcalc.simplify.terms import assemble, term

_DIAGONAL, _PART, _VEC = Diagonal(), DiagonalPart(), Vec()


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
        return _kron(x.op, tuple([products.unary(_DIAGONAL, a) for a in x.args]))
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
        return _kron(x.op, tuple([products.unary(_PART, a) for a in x.args]))
    if x.op is PRODUCT:
        if hadamards.is_outer(x):
            column, row = products.cut(x.args)
            return hadamards.hadamard(column, transposes.transposed(row))
        if x.args[0].op is _DIAGONAL:
            return hadamards.hadamard(x.args[0].args[0], products.unary(_PART, assemble(1, (), x.args[1:])))
        if x.args[-1].op is _DIAGONAL:
            return hadamards.hadamard(products.unary(_PART, assemble(1, (), x.args[:-1])), x.args[-1].args[0])
    return linear.over_sum(_PART, x) or make(_PART, (x,))


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
    return linear.scaled_out(op, x) or make(_VEC, (x,))


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


@handles(Kron, KhatriRao)
def _kron(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    c, s, m = term(args[0])
    d, t, k = term(args[1])
    if not c or not d:
        return zeros(make(op, args).shape)
    if c != 1 or d != 1 or s or t:
        rest = (assemble(1, (), m), assemble(1, (), k))
        inner = products.times(*rest) if not m or not k else _kron(op, rest)
        return products.times(const(c), const(d), *s, *t, inner)
    a, b = args
    if isinstance(op, KhatriRao):
        return make(op, args)
    if a.is_scalar or b.is_scalar:
        return products.times(a, b)
    if isinstance(a.op, Identity) and isinstance(b.op, Identity):
        return identity(a.rows * b.rows)
    if isinstance(a.op, Ones) and isinstance(b.op, Ones):
        return ones(a.rows * b.rows, a.cols * b.cols)
    if (a.cols is ONE and b.rows is ONE) or (a.rows is ONE and b.cols is ONE):
        return products.times(a, b) if a.cols is ONE else products.times(b, a)
    return make(op, args)


@handles(HCat, VCat)
def _blocks(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    if len(args) == 1:
        return args[0]
    flat: list[Expr] = []
    for a in args:
        flat.extend(a.args if a.op is op else (a,))
    return op.construct(tuple(flat))


@handles(IndexedSum)
def _indexed_sum(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    """What does not depend on the index goes out in front; a sum of equal terms is their number times one."""
    body, lower, upper = args
    assert isinstance(op, IndexedSum)
    if body.is_zero:
        return zeros(body.shape)
    c, s, m = term(body)
    out = [a for a in s if op.index not in free_indices(a)]
    if not any(op.index in free_indices(a) for a in args[:1]) and _counts(lower, upper):
        return products.times(sums.plus(upper, products.times(const(-1), lower), const(1)), body)
    first, last = 0, len(m)
    while first < last and op.index not in free_indices(m[first]):
        first += 1
    while first < last and op.index not in free_indices(m[last - 1]):
        last -= 1
    if c == 1 and not out and (last - first == len(m) or first == last):
        return make(op, args)
    if first == last and m:  # only scalars depend on the index
        first = last = len(m) if any(op.index in free_indices(a) for a in s) else 0
    inside = [a for a in s if a not in out]
    inner = assemble(1, inside, m[first:last])
    return products.times(const(c), *out, *m[:first], make(op, (inner, lower, upper)), *m[last:])


def _counts(lower: Expr, upper: Expr) -> bool:
    """Whether the number of terms is ``upper - lower + 1``: whether the sum cannot be empty.

    A variable as the upper bound stands for a positive number, as it does in the exponent of a matrix.
    """
    first, last = number_of(lower), number_of(upper)
    if first is not None and last is not None:
        return last >= first
    return first == 1 and (upper.op.is_variable or has(upper, POSITIVE) or has(upper, NONNEGATIVE))
