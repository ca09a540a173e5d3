"""Whether a symmetric matrix is positive semidefinite, looked at by number at random points."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, NamedTuple

from matcalc.checks.differences import DIGITS, UNSOUND, Functions, derivatives
from matcalc.checks.domain import Watch
from matcalc.checks.evaluate import evaluate
from matcalc.checks.report import FAILED, INCONCLUSIVE, PASSED, Outcome, Report
from matcalc.checks.sampling import Point, draw_point
from matcalc.expr import Expr

_MARGIN = 20  # digits fewer than are computed with, below which an eigenvalue is zero
_ATTEMPTS_FOR_EACH = 6


class Definite(NamedTuple):
    """What was found at ``points`` points; the first at which it fails ends the search."""

    points: int
    sizes: dict[str, int]
    fault: str  # such as "its smallest eigenvalue is -0.5"
    reasons: str  # why there was no point
    smallest: float  # of the smallest eigenvalues, relative to the largest entry

    def outcome(self, names: str, what: str) -> Outcome:
        if not self.points:
            note = f"no point was found at which {what} can be looked at: {self.reasons}"
            return Outcome(names, "", {}, (), None, None, INCONCLUSIVE, (note,))
        if self.fault:
            note = f"{what} is not positive semidefinite: {self.fault}"
            return Outcome(names, "", self.sizes, (), None, None, FAILED, (note,))
        note = f"{what} is positive semidefinite at {self.points} random points"
        least = f"at least {self.smallest:.1e} of the largest entry" if self.smallest > 0 else "0"
        note += f"; its smallest eigenvalue there is {least}"
        return Outcome(names, "", {}, (), None, None, PASSED, (note,))


def is_psd_on_numbers(
    e: Expr, *, seed: int = 0, points: int = 20, functions: Functions | None = None, what: str = "the matrix"
) -> Report:
    """Whether ``e`` is symmetric and positive semidefinite at ``points`` random points; ``passed`` says so.

    It says that a loss looks convex, not that it is.
    """
    known = derivatives(functions)

    def value(point: Point) -> Any:
        return evaluate([e], point.env, point.sizes, known, Watch())[0]

    found = definite(value, [e], seed, points)
    return Report([found.outcome("", what)], seed, "definiteness")


def definite(value: Callable[[Point], Any], roots: Sequence[Expr], seed: int, points: int) -> Definite:
    """Looks at the matrix ``value(point)`` at random points with large and small values."""
    import mpmath

    failures: Counter[str] = Counter()
    seen, smallest, sizes = 0, 1.0, {}
    for attempt in range(points * _ATTEMPTS_FOR_EACH):
        if seen == points:
            break
        rng = Random(f"{seed} definite {attempt}")
        try:
            with mpmath.workdps(DIGITS):
                point = draw_point(roots, rng, attempt, 1)
                matrix = value(point)
                fault, least = _fault(matrix)
        except UNSOUND as e:
            failures[str(e) or type(e).__name__] += 1
            continue
        seen, sizes, smallest = seen + 1, point.sizes, min(smallest, least)
        if fault:
            return Definite(seen, sizes, fault, "", smallest)
    return Definite(seen, sizes, "", "; ".join(why for why, _ in failures.most_common(2)), smallest)


def _fault(matrix: Any) -> tuple[str, float]:
    """Why a matrix is not positive semidefinite, or nothing; and its smallest eigenvalue relative to the largest entry.

    In float64 first; where that lies near zero, by Cholesky's factorisation of the matrix moved a little.
    """
    import mpmath
    import numpy

    largest = abs(matrix).max()
    if not largest:
        return "", 0.0
    if abs(matrix - matrix.T).max() > largest * mpmath.mpf(10) ** (_MARGIN - mpmath.mp.dps):
        return "it is not symmetric", 0.0
    least = float(numpy.linalg.eigvalsh((matrix / largest).astype(float))[0])
    if least > 1e-9:
        return "", least
    if least < -1e-9:
        return f"its smallest eigenvalue is {least * float(largest):.3g}, its largest entry {float(largest):.3g}", least
    shift = mpmath.mpf(10) ** (_MARGIN - mpmath.mp.dps)
    moved = matrix / largest + numpy.diag([shift] * len(matrix))
    return ("", 0.0) if _has_cholesky_factor(moved) else ("it has a small eigenvalue below zero", least)


def _has_cholesky_factor(a: Any) -> bool:
    a = a.copy()
    for k in range(len(a)):
        if not a[k, k] > 0:
            return False
        below = a[k + 1 :, k : k + 1]
        a[k + 1 :, k + 1 :] -= below.dot(below.T) / a[k, k]
    return True


__all__ = ["Definite", "definite", "is_psd_on_numbers"]
