"""Signs of sums: which differences of entries are not negative, which differences of matrices are semidefinite.

The matrices are those that convex functions have as Hessians: ``diag(s) - s*s'`` of a log-sum-exp, with s nonnegative
and of sum one, and ``A - A*x*x'*A/(x'*A*x)`` of a norm, with A positive semidefinite. Both are the inequality of Cauchy
and Schwarz.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from matcalc.dims import ONE
from matcalc.expr import Expr, Number
from matcalc.facts import (
    COLUMNS,
    DIAGONAL,
    INSIDE,
    NONNEGATIVE,
    NOTHING,
    POSITIVE,
    PSD,
    ROWS,
    SYMMETRIC,
    WITHIN,
    Facts,
    closure,
    facts,
    has,
)
from matcalc.primitives.algebra import ADD, POWER, PRODUCT, TRANSPOSE, signs_of_product
from matcalc.primitives.elementwise import sqrt
from matcalc.primitives.functions import Elementwise
from matcalc.primitives.leaves import Identity, Ones, const, number_of, size
from matcalc.primitives.products import KHATRI_RAO
from matcalc.primitives.reductions import NORM2, SUM
from matcalc.primitives.structure import Diagonal, Vec
from matcalc.primitives.symmetry import is_palindrome, mirrored

_SQRT, _DIAGONAL, _VEC = Elementwise(sqrt, 0), Diagonal(), Vec()


class Part(NamedTuple):
    """A term ``coefficient*scalars*matrices``."""

    coefficient: Number
    scalars: tuple[Expr, ...]
    matrices: tuple[Expr, ...]


def part(e: Expr) -> Part:
    coefficient: Number = 1
    scalars: list[Expr] = []
    matrices: list[Expr] = []
    waiting = [e]
    while waiting:
        a = waiting.pop()
        number = number_of(a)
        if number is not None:
            coefficient = coefficient * number
        elif a.op is PRODUCT and (not a.is_scalar or all(b.is_scalar for b in a.args)):
            waiting.extend(reversed(a.args))
        else:
            (scalars if a.is_scalar else matrices).append(a)
    return Part(coefficient, tuple(scalars), tuple(matrices))


# Entries


def of_entries(terms: Sequence[Expr]) -> Facts:
    """What is known of the entries of a sum, from the intervals in which the terms lie: ``1 - sigmoid(t)`` > 0."""
    low: Fraction | None = Fraction(0)
    high: Fraction | None = Fraction(0)
    above = below = False  # of the bounds, whether they are not reached
    for e in terms:
        k, scalars, matrices = part(e)
        if not scalars and all(isinstance(a.op, Ones) for a in matrices) and len(matrices) < 2:
            known: Facts = frozenset({WITHIN})
            ends = (Fraction(1), Fraction(1))
        else:
            known = closure(signs_of_product([*scalars, *matrices]))
            ends = (Fraction(0 if NONNEGATIVE in known else -1), Fraction(1))
        bounded = WITHIN in known
        strict = (POSITIVE in known or (INSIDE in known and ends[0] < 0), INSIDE in known)
        first = Fraction(k) * ends[0] if bounded or NONNEGATIVE in known else None
        last = Fraction(k) * ends[1] if bounded else None
        if k < 0:
            first, last, strict = last, first, strict[::-1]
        low = None if low is None or first is None else low + first
        high = None if high is None or last is None else high + last
        above, below = above or strict[0], below or strict[1]
        if low is None and high is None:
            return NOTHING
    found = set()
    if low is not None and low >= 0:
        found.add(POSITIVE if low > 0 or above else NONNEGATIVE)
    if low is not None and high is not None and low >= -1 and high <= 1:
        found.add(INSIDE if (low > -1 or above) and (high < 1 or below) else WITHIN)
    return frozenset(found)


# Columns and rows that sum to one


def of_sums(terms: Sequence[Expr]) -> Facts:
    """Which sums of a combination are one: those of all its matrices, where the weights add up to one."""
    kept = {COLUMNS, ROWS}
    weights: dict[Expr | None, Fraction] = {}
    for e in terms:
        k, scalars, matrices = part(e)
        if not matrices:
            return NOTHING
        for a in matrices:
            kept &= facts(a)
        if not kept or len(scalars) > 1:
            return NOTHING
        _weigh(weights, k, scalars[0] if scalars else None)
    return frozenset(kept) if {s: k for s, k in weights.items() if k} == {None: 1} else NOTHING


def _weigh(weights: dict[Expr | None, Fraction], k: Number, scalar: Expr | None) -> None:
    """Adds ``k*scalar``, a sum by its terms."""
    for e in scalar.args if scalar is not None and scalar.op is ADD else (scalar,):
        c, scalars, _ = part(e) if e is not None else Part(1, (), ())
        key = None if not scalars else scalars[0] if len(scalars) == 1 else e
        weights[key] = weights.get(key, Fraction(0)) + Fraction(k) * Fraction(c if len(scalars) < 2 else 1)


# Matrices


def of_difference(terms: Sequence[Expr]) -> Facts:
    """Whether a sum with minus signs is positive semidefinite: every subtracted matrix is below one that is added."""
    parts = [part(e) for e in terms]
    if any(not p.matrices for p in parts):
        return NOTHING
    added = [p for p in parts if p.coefficient > 0]
    for taken in parts:
        if taken.coefficient < 0:
            over = next((p for p in added if _is_below(taken, p)), None)
            if over is None:
                return NOTHING
            added.remove(over)
    if all(_is_semidefinite(p) for p in added):
        return frozenset({PSD})
    return NOTHING


def _is_semidefinite(p: Part) -> bool:
    return all(has(s, NONNEGATIVE) for s in p.scalars) and _is_gram(p.matrices)


def _is_gram(matrices: Sequence[Expr]) -> bool:
    """Whether a product of matrices is ``A*P*A'`` with a positive semidefinite P, or ``A*A'``."""
    return is_palindrome(matrices) and (len(matrices) % 2 == 0 or has(matrices[len(matrices) // 2], PSD))


def _is_below(taken: Part, over: Part) -> bool:
    """Whether ``over + taken``, the second with a minus, is positive semidefinite."""
    if -taken.coefficient > over.coefficient or not all(has(s, NONNEGATIVE) for s in over.scalars):
        return False
    ratio = _powers([*taken.scalars, *[POWER(s, const(-1)) for s in over.scalars]])
    rest = {base: p for base, p in ratio.items() if p}
    inner, outer = list(taken.matrices), list(over.matrices)
    while True:
        if _cauchy(inner, outer, rest):
            return True
        if len(inner) < 3 or len(outer) < 2 or inner[0] is not outer[0] or inner[-1] is not outer[-1]:
            return False
        if not mirrored(inner[0], inner[-1]):
            return False
        inner, outer = inner[1:-1], outer[1:-1]


def _cauchy(inner: Sequence[Expr], outer: Sequence[Expr], ratio: dict[Expr, Fraction]) -> bool:
    """Whether ``outer - ratio*inner`` is positive semidefinite, by the inequality of Cauchy and Schwarz."""
    of_identity = not outer or (len(outer) == 1 and isinstance(outer[0].op, Identity))
    if len(inner) == 1 and of_identity:
        if inner[0].op is _DIAGONAL:
            return not ratio and has(inner[0], WITHIN)
        return isinstance(inner[0].op, Ones) and _at_most(ratio, {size(inner[0].rows): Fraction(1)})
    if len(inner) == 2 and len(outer) == 1 and outer[0].op is _DIAGONAL:
        column, weights = inner[0], outer[0].args[0]
        if not has(weights, NONNEGATIVE):
            return False
        if column is weights and mirrored(*inner):
            return (not ratio and has(column, COLUMNS)) or _at_most(ratio, {SUM(column): Fraction(1)})
        return not ratio and _is_blocks(inner, weights)
    half = len(inner) // 2
    if len(inner) % 2 or inner[half - 1].cols is not ONE:
        return False
    if not is_palindrome(inner):
        return False
    if of_identity:
        x = PRODUCT(*inner[:half])
        return _at_most(ratio, {NORM2(x.args[0] if x.op is _VEC else x): Fraction(2)})
    if half > 1 and len(outer) == 1 and inner[0] is outer[0] and has(outer[0], PSD):
        return _at_most(ratio, {PRODUCT(*inner[half:-1], outer[0], *inner[1:half]): Fraction(1)})
    return False


def _at_most(ratio: dict[Expr, Fraction], divisor: dict[Expr, Fraction]) -> bool:
    """Whether a ratio is one over ``divisor``, or over its sum with what is not negative."""
    if ratio == {base: -p for base, p in divisor.items()}:
        return True
    ((base, p),) = ratio.items() if len(ratio) == 1 else [(None, 0)]
    if base is None or p != -1 or base.op is not ADD:
        return False
    own = next((a for a in base.args if _powers([a]) == divisor), None)
    return own is not None and all(has(a, NONNEGATIVE) for a in base.args if a is not own)


def _is_blocks(inner: Sequence[Expr], weights: Expr) -> bool:
    """Whether ``diag(weights) - inner`` has the blocks ``w*(diag(s) - s*s')`` for the columns (rows) s of a matrix S.

    That is ``diag(vec(S)) - B*B'`` with ``B = khatri_rao(I, S)``, and with numbers w = w_j >= 0
    ``diag(vec(S*diag(w))) - khatri_rao(diag(w), S)*B'``.
    """
    found = weighted_gram(inner)
    if found is None or weights.op is not _VEC:
        return False
    s, w, by_column = found
    whole = weights.args[0]
    if w is None:
        same = whole is s if by_column else mirrored(whole, s)
    else:
        args = whole.args if whole.op is PRODUCT else ()
        same = len(args) == 2 and (
            (args[0] is s and args[1] is w) if by_column else (args[0] is w and mirrored(args[1], s))
        )
    return same and has(s, COLUMNS)


def weighted_gram(matrices: Sequence[Expr]) -> tuple[Expr, Expr | None, bool] | None:
    """S, diag(w) (None of ones) and True of ``khatri_rao(diag(w), S)*khatri_rao(I, S)'``; False if S comes first."""
    if len(matrices) != 2:
        return None
    a, b = matrices[0], matrices[1].args[0] if matrices[1].op is TRANSPOSE else matrices[0]
    if matrices[1].op is not TRANSPOSE or a.op is not KHATRI_RAO or b.op is not KHATRI_RAO:
        return None
    for k in (0, 1):
        d, e = a.args[k], b.args[k]
        if a.args[1 - k] is b.args[1 - k] and all(isinstance(x.op, (Diagonal, Identity)) for x in (d, e)):
            found = [x for x in (d, e) if isinstance(x.op, Diagonal)]
            if len(found) < 2:
                return a.args[1 - k], found[0] if found else None, k == 0
    return None


def of_pair(a: Expr, b: Expr) -> Facts:
    """What is known of the product of two matrices of blocks, such as Hessians over a batch are made of."""
    gram = weighted_gram((a, b))
    if gram is not None:
        return frozenset({SYMMETRIC, PSD} if gram[1] is None or has(gram[1], PSD) else {SYMMETRIC})
    first, last = (a, b) if a.op.name == "kron" else (b, a)
    if first.op.name != "kron" or last.op is not ADD or not (has(first, DIAGONAL) and has(last, SYMMETRIC)):
        return NOTHING
    # diag(w) (x) I and a matrix with blocks of that size on its diagonal commute.
    by_column = isinstance(first.args[1].op, Identity)
    own = first.args[0 if by_column else 1]
    for e in last.args:
        _, _, matrices = part(e)
        if len(matrices) == 1 and matrices[0].op is _DIAGONAL:
            continue
        gram = weighted_gram(matrices)
        if gram is None or gram[2] is not by_column or gram[0].cols is not own.rows:
            return NOTHING
    return frozenset({SYMMETRIC, PSD} if has(first, PSD) and has(last, PSD) else {SYMMETRIC})


def _powers(scalars: Sequence[Expr]) -> dict[Expr, Fraction]:
    """The scalars as powers: bases and exponents; ``x'*x`` is ``norm2(x)`` to 2."""
    found: dict[Expr, Fraction] = {}
    for s in scalars:
        p = Fraction(1)
        while True:
            number = number_of(s.args[1]) if s.op is POWER else None
            if number is not None:
                s, p = s.args[0], p * Fraction(number)
            elif s.op is _SQRT:
                s, p = s.args[0], p / 2
            elif s.op is PRODUCT and len(s.args) == 2 and mirrored(*s.args):
                s, p = NORM2(s.args[1]), 2 * p
            else:
                break
        found[s] = found.get(s, Fraction(0)) + p
    return found


__all__ = ["of_difference", "of_entries", "of_pair", "of_sums"]
