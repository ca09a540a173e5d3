"""Kronecker and Khatri-Rao products beside others in a product: ``(A (x) B)*(C (x) D) = A*C (x) B*D`` and the like."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from matcalc.dims import ONE, Dim
from matcalc.expr import Expr
from matcalc.primitives.algebra import ADD, TRANSPOSE
from matcalc.primitives.base import Primitive
from matcalc.primitives.leaves import Commutation, Identity, Ones, identity
from matcalc.primitives.products import KHATRI_RAO, KRON, KhatriRao, Kron
from matcalc.primitives.structure import ALL, Diagonal, DiagonalPart, Slice, Vec
from matcalc.simplify import (
    commutations,
    hadamards,
    heads,
    kronecker,
    products,
    sums,
    transposes,
)
from matcalc.simplify.cost import look

_DIAGONAL, _PART, _VEC = Diagonal(), DiagonalPart(), Vec()
_KINDS = (Kron, KhatriRao, Commutation, Vec, Slice)


def joined(a: Expr, b: Expr) -> Sequence[Expr] | None:
    """The factors that two factors side by side become; every case leaves fewer, or fewer diagonals of vec."""
    if not matters(a) and not matters(b):
        return None
    found = _from_left(a, b)
    if found is None:
        turned = _from_left(transposes.transposed(b), transposes.transposed(a))
        if turned is not None:
            found = [transposes.transposed(f) for f in reversed(turned)]
    return found


def matters(e: Expr) -> bool:
    """Whether a factor may combine with its neighbour here."""
    op = e.args[0].op if e.op is TRANSPOSE else e.op
    return isinstance(op, _KINDS) or (op is ADD and commutations.is_sum_with_one(e))


def _from_left(a: Expr, b: Expr) -> Sequence[Expr] | None:
    if a.op is KRON:
        return _of_kron(a, b)
    if isinstance(a.op, Commutation):
        if b.op is KRON or b.op is KHATRI_RAO:
            return commutations.swapped(a, b)
        if b.op is _VEC and b.args[0].shape == (a.op.m, a.op.n):
            return [products.unary(_VEC, transposes.transposed(b.args[0]))]
        if isinstance(b.op, Ones):
            return [b]
    elif a.op is TRANSPOSE and (a.args[0].op is KHATRI_RAO or a.args[0].op is KRON):
        return _of_khatri_rao_turned(a.args[0], b)
    elif a.op is KHATRI_RAO:
        return _of_khatri_rao(a, b)
    elif a.op is _DIAGONAL:
        if a.args[0].op is _VEC and (b.op is KRON or b.op is KHATRI_RAO):
            return _of_diagonal(a.args[0].args[0], b)
    elif isinstance(a.op, Slice):
        if isinstance(a.args[0].op, Identity) and a.op.col == ALL:
            return [heads.applied(a.op, (b, *a.args[1:]))]
    elif a.op is ADD and (b is a or isinstance(b.op, Commutation)) and commutations.is_sum_with_one(a):
        parts = sums.plus(*[products.times(t, b) for t in a.args])
        return [parts] if look(parts).cost < look(a).cost + look(b).cost else None
    return None


def _of_kron(a: Expr, b: Expr) -> Sequence[Expr] | None:
    if b.op is KHATRI_RAO:
        of_columns = _mixed(kronecker.parts_of(a, KRON), kronecker.parts_of(b, KHATRI_RAO), KHATRI_RAO)
        if of_columns is not None:
            return of_columns
    found = _mixed(kronecker.parts_of(a, KRON), kronecker.parts_of(b, KRON), KRON)
    if found is None and b.op is _VEC:
        # (P (x) Q)*vec(X) = vec(Q*X*P')
        x = b.args[0]
        parts = kronecker.parts_of(a, KRON)
        at = split_at(parts, 1, x.cols)
        if at is not None:
            first, last = kronecker.kron(*parts[:at]), kronecker.kron(*parts[at:])
            return [products.unary(_VEC, products.times(last, x, transposes.transposed(first)))]
    return found


def _mixed(left: list[Expr], right: list[Expr], op: Primitive) -> list[Expr] | None:
    """(A (x) B)*(C (x) D) = A*C (x) B*D, where the dimensions between them are split alike.

    A column on the left, as in (x (x) A)*B = x (x) A*B, stands beside nothing on the right; so does a row there.
    """
    if len(right) == 1 and not any(p.cols is ONE for p in left):
        return None
    if len(left) == 1 and not any(p.rows is ONE for p in right):
        return None
    chunks = _chunks(_products(left, 1), _products(right, 0))
    if len(chunks) < 2 or (op is KHATRI_RAO and any(k == n for _, _, k, n in chunks)):
        return None
    join = kronecker.kron if op is KRON else kronecker.khatri_rao
    built = []
    for i, j, k, n in chunks:
        factors = [kronecker.kron(*left[i:j])] if i < j else []
        if k < n:
            factors.append(join(*right[k:n]))
        built.append(products.times(*factors))
    return [join(*built)]


def _products(parts: Sequence[Expr], axis: int) -> list[Dim]:
    """The sizes of the first parts of a Kronecker product, none to all."""
    out = [ONE]
    for p in parts:
        d = p.shape[axis]
        out.append(d if out[-1] is ONE else out[-1] if d is ONE else out[-1] * d)
    return out


def _chunks(u: list[Dim], v: list[Dim]) -> list[tuple[int, int, int, int]]:
    """Ranges of parts on both sides between the places at which the same dimension is split."""
    places: list[tuple[int, int]] = []
    for i, d in enumerate(u):
        if i and d is u[i - 1]:
            continue
        js = [j for j, e in enumerate(v) if e is d]
        if js:
            last = max(k for k, e in enumerate(u) if e is d)
            places += [(i, js[0])] if last == i and len(js) == 1 else [(i, js[0]), (last, js[-1])]
    return [(i, j, k, n) for (i, k), (j, n) in pairwise(places)]


def split_at(parts: Sequence[Expr], axis: int, d: Dim) -> int | None:
    """Where a Kronecker product is cut into two with ``d`` rows (or columns) in the first."""
    sizes = _products(parts, axis)
    return next((i for i in range(1, len(parts)) if sizes[i] is d), None)


def _of_khatri_rao_turned(a: Expr, b: Expr) -> Sequence[Expr] | None:
    """(A * B)'*(C * D) = (A'*C) .* (B'*D), and (A * B)'*vec(X) = diag(B'*X*A); A and B may be columns."""
    left = kronecker.parts_of(a, a.op)
    if b.op is _VEC:
        x = b.args[0]
        at = split_at(left, 0, x.cols)
        if at is None:
            return None
        first, last = kronecker.khatri_rao(*left[:at]), kronecker.khatri_rao(*left[at:])
        return [products.unary(_PART, products.times(transposes.transposed(last), x, first))]
    if b.op is KHATRI_RAO or (b.op is KRON and b.cols is ONE):
        right = kronecker.parts_of(b, b.op)
        chunks = _chunks(_products(left, 0), _products(right, 0))
        if len(chunks) > 1 and all(i < j and k < n for i, j, k, n in chunks):
            built = [
                products.times(
                    transposes.transposed(kronecker.khatri_rao(*left[i:j])), kronecker.khatri_rao(*right[k:n])
                )
                for i, j, k, n in chunks
            ]
            return [hadamards.hadamard(*built)]
    return None


def _of_khatri_rao(a: Expr, b: Expr) -> Sequence[Expr] | None:
    """(A * B)*diag(v) where A or B is diagonal; (A * B)*v = vec(B*diag(v)*A') where that is shorter."""
    first, last = a.args
    if b.op is _DIAGONAL:
        if kronecker.is_diagonal(first):
            return [kronecker.khatri_rao(products.times(first, b), last)]
        return [kronecker.khatri_rao(first, products.times(last, b))] if kronecker.is_diagonal(last) else None
    if b.cols is ONE:
        inner = products.times(last, products.unary(_DIAGONAL, b), transposes.transposed(first))
        found = products.unary(_VEC, inner)
        return [found] if look(found).cost < look(a).cost + look(b).cost + 2 else None
    return None


def _of_diagonal(p: Expr, b: Expr) -> Sequence[Expr] | None:
    """diag(vec(P)) beside a product one part of which is diagonal; entry (j, i) of vec(P) is P[i,j]."""
    parts = kronecker.parts_of(b, b.op)
    at = split_at(parts, 0, p.cols)
    if at is None:
        return None
    if b.op is KHATRI_RAO:
        first, last = kronecker.khatri_rao(*parts[:at]), kronecker.khatri_rao(*parts[at:])
        if kronecker.is_diagonal(first):
            return [kronecker.khatri_rao(first, hadamards.hadamard(p, last))]
        if kronecker.is_diagonal(last):
            return [kronecker.khatri_rao(hadamards.hadamard(transposes.transposed(p), first), last)]
        return None
    first, last = kronecker.kron(*parts[:at]), kronecker.kron(*parts[at:])
    if kronecker.is_diagonal(first) and kronecker.is_diagonal(last):
        new = products.unary(_DIAGONAL, products.unary(_VEC, products.times(last, p, first)))
        return [new] if look(new).cost < look(b).cost + look(p).cost + 8 else None
    if b.cols is ONE:
        return None
    if last.cols is ONE or _of_rank_one(last):  # (B (x) u*v') = (I (x) u)*(B (x) v')
        column, row = kronecker.column_and_row(last)
        inner = products.times(products.unary(_DIAGONAL, column), p)
        return [kronecker.khatri_rao(identity(first.rows), inner), kronecker.kron(first, row)]
    if first.cols is ONE or _of_rank_one(first):
        column, row = kronecker.column_and_row(first)
        inner = products.times(products.unary(_DIAGONAL, column), transposes.transposed(p))
        return [kronecker.khatri_rao(inner, identity(last.rows)), kronecker.kron(row, last)]
    return None


def _of_rank_one(e: Expr) -> bool:
    return isinstance(e.op, Ones) or hadamards.is_outer(e)


__all__ = ["joined", "matters", "split_at"]
