"""Symmetry of sums and products, which shows where they read the same from both ends: ``A*P*A'``, ``A + A'``."""

from __future__ import annotations

from collections.abc import Sequence

from matcalc.expr import Expr
from matcalc.facts import (
    DIAGONAL,
    INVERTIBLE,
    NONNEGATIVE,
    NOTHING,
    ORTHOGONAL,
    POSITIVE,
    PSD,
    SPD,
    SYMMETRIC,
    Facts,
    facts,
    has,
)
from matcalc.primitives.algebra import ADD, HADAMARD, PRODUCT, TRANSPOSE
from matcalc.primitives.base import Args

_MOST_PAIRED = 6  # terms of a sum that are looked at for being pairs of transposes


def of_product(scalars: Sequence[Facts], matrices: Sequence[Expr]) -> Facts:
    """What is known of a product as a matrix: from what is known of the numbers in it, and the other factors."""
    known = [facts(a) for a in matrices]
    nonnegative, positive = (all(sign in k for k in scalars) for sign in (NONNEGATIVE, POSITIVE))
    found: Facts = NOTHING
    if all(DIAGONAL in k for k in known):
        found |= {DIAGONAL}
    if positive and all(INVERTIBLE in k for k in known):
        found |= {INVERTIBLE}
    if not scalars and all(ORTHOGONAL in k for k in known):
        found |= {ORTHOGONAL}
    if len(matrices) == 1:
        definite = known[0] & {SYMMETRIC, PSD, SPD}
    elif is_palindrome(matrices):
        definite = _of_palindrome(matrices)
    elif _is_projection(matrices):
        definite = frozenset({SYMMETRIC, PSD})
    elif len(matrices) == 2 and {a.op.name for a in matrices} & {"kron", "khatri_rao"}:
        from matcalc.primitives.semidefinite import of_pair

        definite = of_pair(*matrices)
    else:
        return found
    return found | (definite if positive else definite - {SPD} if nonnegative else definite & {SYMMETRIC})


def _of_palindrome(matrices: Sequence[Expr]) -> Facts:
    """What is known of ``A*P*A'``, or of ``A*A'``."""
    middle = matrices[len(matrices) // 2] if len(matrices) % 2 else None
    if middle is not None and not has(middle, PSD):
        return frozenset({SYMMETRIC} if has(middle, SYMMETRIC) else ())
    definite = all(has(a, INVERTIBLE) for a in matrices) and (middle is None or has(middle, SPD))
    return frozenset({SYMMETRIC, PSD, SPD} if definite else {SYMMETRIC, PSD})


def _is_projection(factors: Sequence[Expr]) -> bool:
    """Whether a product is ``A*pinv(A)`` or ``pinv(A)*A``, an orthogonal projection."""
    if len(factors) != 2:
        return False
    a, b = factors
    return any(p.op.name == "pinv" and p.args[0] is x for x, p in ((a, b), (b, a)))


def is_palindrome(factors: Sequence[Expr]) -> bool:
    """Whether the product reads A*B*...*B'*A'."""
    return all(mirrored(factors[i], factors[-1 - i]) for i in range(len(factors) // 2))


def mirrored(a: Expr, b: Expr) -> bool:
    """Whether one matrix is the transpose of the other, as can be seen from how they are put together."""
    if a is b:
        return has(a, SYMMETRIC)
    if a.op is TRANSPOSE or b.op is TRANSPOSE:
        return (a.args[0] is b if a.op is TRANSPOSE else b.args[0] is a) or (
            a.op is b.op and mirrored(a.args[0], b.args[0])
        )
    if a.op is not b.op or len(a.args) != len(b.args) or a.shape != (b.cols, b.rows):
        return False
    if a.op is PRODUCT:
        scalars = [[u for u in e.args if u.is_scalar] for e in (a, b)]
        first, last = ([u for u in e.args if not u.is_scalar] for e in (a, b))
        if scalars[0] != scalars[1] or len(first) != len(last):
            return False
        return all(mirrored(u, v) for u, v in zip(first, reversed(last), strict=True))
    if a.op.name == "kron" or a.op is ADD or a.op is HADAMARD:
        return all(u is v if u.is_scalar else mirrored(u, v) for u, v in zip(a.args, b.args, strict=True))
    return False


def in_pairs(terms: Args) -> bool:
    """Whether the terms that are not symmetric are pairs of a matrix and its transpose."""
    waiting = [a for a in terms if not has(a, SYMMETRIC)]
    if len(waiting) % 2 or len(waiting) > _MOST_PAIRED or terms[0].rows is not terms[0].cols:
        return False
    while waiting:
        a = waiting.pop()
        other = next((i for i, b in enumerate(waiting) if mirrored(a, b)), None)
        if other is None:
            return False
        del waiting[other]
    return True


__all__ = ["in_pairs", "is_palindrome", "mirrored", "of_product"]
