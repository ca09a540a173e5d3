"""Solutions of systems with a structured matrix: ``H^-1*b`` from the parts of H, which is not formed.

    diag(d)                b ./ d
    A (x) B                vec(B^-1*X*A^-T) for b = vec(X)
    I (x) M + c*I          I (x) (M + c*I)
    A*B, square            B^-1*(A^-1*b)
    E + u*v'               y - z*(v'*y)/(1 + v'*z), with y = E^-1*b, z = E^-1*u; likewise for a few columns u

Source   MN19 2.2 (Kronecker products); Woodbury 1950
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from matcalc.dims import Dim, Shape
from matcalc.expr import Expr
from matcalc.facts import DIAGONAL, ORTHOGONAL, has
from matcalc.primitives.algebra import (
    ADD,
    HADAMARD,
    POWER,
    PRODUCT,
    TRANSPOSE,
    add,
    hadamard,
    power,
    product,
    transpose,
)
from matcalc.primitives.leaves import Commutation, Identity, Ones, commutation, const, identity, number_of, ones
from matcalc.primitives.matrix import INV, inv
from matcalc.primitives.products import KRON, kron
from matcalc.primitives.structure import Diagonal, Vec, diagonal, diagonal_part, reshape, vec
from matcalc.simplify import simplify
from matcalc.simplify.terms import assemble, ratio, term

# The number that a dimension is, where it is small beside another one, the order of the system.
Width = Callable[[Dim, Dim], "int | None"]

_MOST_UPDATES = 4  # of low rank, one after the other: each doubles the number of systems


class SingularError(ArithmeticError):
    """The matrix has no inverse, whatever the values of its variables."""


def constant(d: Dim, order: Dim) -> int | None:
    """Dimensions that are numbers are small beside named ones, and beside numbers more than twice as large."""
    return d.value if d.value is not None and (order.value is None or 2 * d.value < order.value) else None


def solved(h: Expr, b: Expr, width: Width = constant) -> Expr | None:
    """``h^-1*b`` by the structure of ``h``, simplified; None where that gives nothing but the inverse of ``h``.

    Where ``h`` is a sum, the parts that are inverted may be singular although ``h`` is not.

    ``width``  which dimensions are small: a sum with a product through such a one is solved by the rest of the sum

    Shapes   h in R^{n x n}, b in R^{n x p} -> R^{n x p}
    Raises   SingularError
    """
    found = _solved(simplify(h), simplify(b), width)
    return None if found is None else simplify(found)


def part_solved(a: Expr, b: Expr, width: Width = constant) -> Expr:
    """``a^-1*b`` for a part of something larger: by its structure, or with its inverse."""
    found = solved(a, b, width)
    return simplify(product(inv(a), b)) if found is None else found


def _solved(h: Expr, b: Expr, width: Width) -> Expr | None:
    if h.is_zero:
        raise SingularError
    if b.is_zero or isinstance(h.op, Identity):
        return b
    if h.is_scalar:
        return product(power(h, -1), b)
    c, s, m = term(h)
    if c and (c != 1 or s):
        rest = _solved(assemble(1, (), m), b, width)
        return None if rest is None else product(const(ratio(1, c)), *[power(a, -1) for a in s], rest)
    if has(h, ORTHOGONAL):
        return product(transpose(h), b)
    if h.op is INV:
        return product(h.args[0], b)
    if isinstance(h.op, Diagonal):
        return _divided(b, h.args[0])
    if has(h, DIAGONAL):
        return _divided(b, diagonal_part(h))
    if isinstance(h.op, Commutation):
        return product(commutation(h.op.n, h.op.m), b)
    if h.op is TRANSPOSE:
        return _turned(h.args[0], b, width)
    if h.op is PRODUCT:
        return _of_product(m, b, width)
    if h.op is KRON:
        return _of_kron(h.args[0], h.args[1], b, width)
    return _of_sum(h.args, b, width) if h.op is ADD else None


def _divided(b: Expr, d: Expr) -> Expr:
    if isinstance(b.op, Vec):
        (x,) = b.args
        whole = unstacked(d, x.shape)
        if whole is not None:
            return vec(hadamard(x, power(whole, -1)))
    below = power(d, -1)
    return hadamard(b, below) if b.is_column else product(diagonal(below), b)


def unstacked(d: Expr, shape: Shape) -> Expr | None:
    """The matrix of that shape of which a column is the vec, where it is put together from such."""
    if d.is_scalar:
        return d
    if isinstance(d.op, Vec):
        return d.args[0] if d.args[0].shape == shape else None
    if isinstance(d.op, Ones):
        return ones(*shape)
    if d.op in (ADD, HADAMARD, POWER) or (d.op is PRODUCT and sum(not a.is_scalar for a in d.args) == 1):
        parts = [unstacked(a, shape) for a in d.args]
        if all(p is not None for p in parts):
            return d.op.construct(tuple([p for p in parts if p is not None]))
    return None


def _turned(x: Expr, b: Expr, width: Width) -> Expr | None:
    if x.op is INV:
        return product(transpose(x.args[0]), b)
    if x.op is PRODUCT:
        return _of_product([simplify(transpose(a)) for a in reversed(x.args)], b, width)
    if x.op is ADD:
        return _of_sum([simplify(transpose(a)) for a in x.args], b, width)
    return None


def _of_product(factors: Sequence[Expr], b: Expr, width: Width) -> Expr | None:
    if len(factors) < 2 or any(f.rows is not f.cols for f in factors):
        return None
    for f in factors:
        b = part_solved(f, b, width)
    return b


def _of_kron(a: Expr, c: Expr, b: Expr, width: Width) -> Expr | None:
    if a.rows is not a.cols or c.rows is not c.cols:
        return None
    if not b.is_column:
        return product(kron(inv(a), inv(c)), b)
    x = simplify(reshape(b, (c.rows, a.rows)))
    left = part_solved(c, x, width)
    return vec(transpose(part_solved(a, simplify(transpose(left)), width)))


# Sums


def opened(terms: Sequence[Expr]) -> list[Expr]:
    """The terms, those of ``2*(A + B)`` one by one."""
    out: list[Expr] = []
    for t in terms:
        c, s, m = term(t)
        if len(m) == 1 and (m[0].op is ADD or (m[0].op is TRANSPOSE and m[0].args[0].op is ADD)):
            parts = m[0].args if m[0].op is ADD else [transpose(a) for a in m[0].args[0].args]
            out += opened([simplify(product(const(c), *s, a)) for a in parts])
        else:
            out.append(t)
    return out


def _of_sum(terms: Sequence[Expr], b: Expr, width: Width) -> Expr | None:
    terms = opened(terms)
    joined = _diagonals(terms) or _common(terms)
    if joined is not None:
        return _solved(simplify(joined), b, width)
    cuts = [(t, _cut(t, width)) for t in terms]
    low = [found for _, found in cuts if found is not None]
    rest = [t for t, found in cuts if found is None]
    if not low or not rest or len(low) > _MOST_UPDATES:
        return None
    base = simplify(add(*rest, shape=terms[0].shape))
    try:
        if _solved(base, b, width) is None:
            return None
    except SingularError:  # which says nothing of the sum
        return None
    return _updated(base, low, b, width)


class _Cut(NamedTuple):
    """A term of low rank, ``left*right``."""

    left: Expr
    right: Expr


def _cut(t: Expr, width: Width) -> _Cut | None:
    """The term cut at its smallest inner dimension, where that is small."""
    c, s, m = term(t)
    places = [(w, abs(2 * k - len(m)), k) for k in range(1, len(m)) if (w := width(m[k].rows, t.rows)) is not None]
    if not places:
        return None
    _, _, k = min(places)
    return _Cut(product(const(c), *s, *m[:k]), product(*m[k:]))


def _updated(base: Expr, low: Sequence[_Cut], b: Expr, width: Width) -> Expr | None:
    """``(base + sum of left*right)^-1*b``, one update after the other."""
    if not low:
        return _solved(base, b, width)
    *others, (left, right) = low
    try:
        y, z = (_updated(base, others, simplify(e), width) for e in (b, left))
    except SingularError:
        return None
    if y is None or z is None:
        return None
    y, z = simplify(y), simplify(z)
    inner = simplify(add(identity(right.rows), product(right, z)))
    if inner.is_zero or number_of(inner) == 0:
        raise SingularError
    seen = simplify(product(right, y))
    if inner.is_scalar:
        return add(y, product(-1, z, power(inner, -1), seen), shape=y.shape)
    return add(y, product(-1, z, part_solved(inner, seen, width)), shape=y.shape)


def _diagonals(terms: Sequence[Expr]) -> Expr | None:
    """A sum of diagonal matrices as one."""
    columns = []
    for t in terms:
        c, s, m = term(t)
        if len(m) != 1:
            return None
        if isinstance(m[0].op, Diagonal):
            entries = m[0].args[0]
        elif isinstance(m[0].op, Identity):
            entries = ones(m[0].rows)
        elif has(m[0], DIAGONAL):
            entries = diagonal_part(m[0])
        else:
            return None
        columns.append(product(const(c), *s, entries))
    return diagonal(add(*columns, shape=columns[0].shape))


def _common(terms: Sequence[Expr]) -> Expr | None:
    """``A (x) B + A (x) C`` as ``A (x) (B + C)``; an identity is ``I (x) I``."""
    parts = [term(t) for t in terms]
    krons = [m[0] for _, _, m in parts if len(m) == 1 and m[0].op is KRON]
    if not krons or any(len(m) != 1 or not (m[0].op is KRON or isinstance(m[0].op, Identity)) for _, _, m in parts):
        return None
    for side in (0, 1):
        same = krons[0].args[side]
        if any(k.args[side] is not same for k in krons):
            continue
        if len(krons) < len(parts) and not isinstance(same.op, Identity):
            continue
        order = krons[0].args[1 - side].shape
        others = [
            product(const(c), *s, m[0].args[1 - side] if m[0].op is KRON else identity(order[0])) for c, s, m in parts
        ]
        whole = add(*others, shape=order)
        return kron(same, whole) if side == 0 else kron(whole, same)
    return None


__all__ = ["SingularError", "Width", "constant", "opened", "part_solved", "solved", "unstacked"]
