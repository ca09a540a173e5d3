"""Commutation matrices go to the right, ``K*(A (x) B) = (B (x) A)*K``, and the sum ``a*I + b*K`` to the left."""

from __future__ import annotations

from collections.abc import Sequence

from matcalc.dims import ONE, Dim
from matcalc.expr import Expr, make
from matcalc.primitives.algebra import ADD
from matcalc.primitives.leaves import Commutation, Identity, commutation, const, identity
from matcalc.primitives.products import KHATRI_RAO, KRON
from matcalc.primitives.structure import Diagonal, Vec
from matcalc.simplify import (
    kronecker,
    mixed,
    products,
    sums,
    transposes,
)
from matcalc.simplify.terms import Term, assemble, term

_DIAGONAL, _VEC = Diagonal(), Vec()
FEW = 4  # terms of a sum that are tried one by one


def commuting(rows: Dim, cols: Dim) -> Expr:
    """The commutation matrix; of a row or column it is the identity."""
    return identity(rows * cols) if rows is ONE or cols is ONE else commutation(rows, cols)


def swapped(k: Expr, b: Expr) -> Sequence[Expr] | None:
    """K*(A * B) = B * A, and K*(A (x) B) = B (x) A where the commutation matrix on the right is an identity."""
    found = past(k, b)
    return None if found is None or len(found) > 1 else found


def past(k: Expr, b: Expr) -> list[Expr] | None:
    """K*(A (x) B) = (B (x) A)*K, the two factors or the first."""
    assert isinstance(k.op, Commutation)
    parts = kronecker.parts_of(b, b.op)
    at = mixed.split_at(parts, 0, k.op.n)
    if at is None:
        return None
    join = kronecker.kron if b.op is KRON else kronecker.khatri_rao
    first, last = join(*parts[:at]), join(*parts[at:])
    whole = join(last, first)
    if b.op is KHATRI_RAO or first.cols is ONE or last.cols is ONE:
        return [whole]
    return [whole, commutation(last.cols, first.cols)]


def passed(a: Expr, b: Expr) -> Sequence[Expr] | None:
    """Two factors in their other order where a commutation matrix goes to the right, or ``a*I + b*K`` to the left."""
    if isinstance(a.op, Commutation):
        if b.op is KRON:
            return past(a, b)
        if b.op is _DIAGONAL and b.args[0].op is _VEC and b.args[0].args[0].shape == (a.op.m, a.op.n):
            turned = products.unary(_VEC, transposes.transposed(b.args[0].args[0]))
            return [products.unary(_DIAGONAL, turned), a]
        if b.op is ADD and len(b.args) <= FEW and not is_sum_with_one(b):
            return _past_sum(a, b)
    if b.op is ADD and _is_square(a) and is_sum_with_one(b):
        return [_of_order(b, a.args[0].rows), a]
    return None


def _past_sum(k: Expr, total: Expr) -> Sequence[Expr] | None:
    """K*(A (x) B + C (x) D) = (B (x) A + D (x) C)*K, where it goes past every term."""
    rest = []
    behind: set[Expr] = set()
    for t in total.args:
        c, s, m = term(products.times(k, t))
        if not m or not isinstance(m[-1].op, Commutation) or commutes([m[:-1]]):
            return None
        behind.add(m[-1])
        rest.append(assemble(c, s, m[:-1] or (identity(k.rows),)))
    return [sums.plus(*rest), behind.pop()] if len(behind) == 1 else None


def moves(a: Expr) -> bool:
    """Whether a factor goes to one side of Kronecker products."""
    return isinstance(a.op, Commutation) or (a.op is ADD and is_sum_with_one(a))


def _is_square(a: Expr) -> bool:
    """Whether a factor is ``A (x) A``, for which ``K*(A (x) A) = (A (x) A)*K`` with K of the orders of A."""
    return a.op is KRON and a.args[0] is a.args[1] and ONE not in a.args[0].shape


def _of_order(total: Expr, n: Dim) -> Expr:
    """``a*I + b*K`` with the same a and b, and K of order n*n."""
    parts = []
    for c, s, m in map(term, total.args):
        other = identity(n * n) if isinstance(m[0].op, Identity) else commutation(n, n)
        parts.append(products.times(const(c), *s, other))
    return sums.plus(*parts)


def is_sum_with_one(e: Expr) -> bool:
    """Whether a sum is ``a*I + b*K`` with numbers a and b and a symmetric K."""
    if len(e.args) != 2:
        return False
    ops = [m[0].op for _, _, m in map(term, e.args) if len(m) == 1]
    return (
        len(ops) == 2
        and any(isinstance(op, Identity) for op in ops)
        and any(isinstance(op, Commutation) and op.m is op.n for op in ops)
    )


def gathered(out: list[Expr]) -> list[Expr] | None:
    """``(B (x) C)*(I + K)*(A (x) A)`` with the products together, ``(I + K)*(B (x) A)*K`` without the last."""
    for i in range(len(out) - 2):
        a, b, c = out[i : i + 3]
        if a.op is KRON and _is_square(c) and b.op is ADD and is_sum_with_one(b):
            return [*out[:i], products.times(a, c), _of_order(b, c.args[0].cols), *out[i + 3 :]]
        if b.op is KRON and isinstance(c.op, Commutation) and a.op is ADD and is_sum_with_one(a):
            parts = kronecker.parts_of(b, KRON)
            at = mixed.split_at(parts, 0, commuted(a).n)
            found = None if at is None else [kronecker.kron(*parts[:at]), kronecker.kron(*parts[at:])]
            if found is not None and found[1].cols is c.op.n and found[0].cols is c.op.m:
                inner = sums.plus(*[products.times(t, make(commuted(a))) for t in a.args])
                return [*out[:i], inner, kronecker.kron(found[1], found[0]), *out[i + 3 :]]
    return None


def commuted(total: Expr) -> Commutation:
    """The commutation matrix in ``a*I + b*K``."""
    return next(m[0].op for _, _, m in map(term, total.args) if isinstance(m[0].op, Commutation))


def commutes(terms: Sequence[Sequence[Expr]]) -> bool:
    return any(isinstance(a.op, Commutation) for factors in terms for a in factors)


def with_commutation(items: list[Term]) -> Expr | None:
    """``a*(A (x) B) + b*(B (x) A)*K`` as ``(a*I + b*K)*(A (x) B)``."""
    for i, t in enumerate(items):
        if len(t.factors) != 2 or t.factors[0].op is not KRON or not isinstance(t.factors[1].op, Commutation):
            continue
        swapped, k = t.factors
        assert isinstance(k.op, Commutation)
        parts = kronecker.parts_of(swapped, KRON)
        at = mixed.split_at(parts, 1, k.op.m)
        if at is None:
            continue
        first, last = kronecker.kron(*parts[:at]), kronecker.kron(*parts[at:])
        plain = kronecker.kron(last, first)
        for j, u in enumerate(items):
            if u.factors == (plain,) and u.scalars == t.scalars:
                rows = commuting(first.rows, last.rows)
                inner = sums.plus(
                    products.times(const(u.coefficient), identity(plain.rows)),
                    products.times(const(t.coefficient), rows),
                )
                rest = [assemble(*v) for n, v in enumerate(items) if n not in (i, j)]
                d, s, m = term(inner)  # not by products.times, which may take the product apart to try the sum
                whole = assemble(d, (*s, *t.scalars), (*m, plain))
                return sums.plus(whole, *rest) if rest else whole
    return None


__all__ = [
    "FEW",
    "commutes",
    "commuting",
    "gathered",
    "is_sum_with_one",
    "moves",
    "passed",
    "swapped",
    "with_commutation",
]
