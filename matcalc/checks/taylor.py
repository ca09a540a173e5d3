"""The gradient test: Taylor remainders over halved steps, and every entry against differences, both in 50 digits.

With x moved by e*d the change of f falls as e, and what the gradient leaves unexplained as e**2. In 50 digits rounding
does not blur the orders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any, NamedTuple

from matcalc.checks.compiled import compiled_result
from matcalc.checks.differences import (
    DIGITS,
    MOST_ENTRIES,
    TOLERANCE,
    UNSOUND,
    Functions,
    Path,
    at_some_point,
    derivatives,
    relative_error,
    smallest,
)
from matcalc.checks.domain import Kink, Watch
from matcalc.checks.evaluate import Derivatives, evaluate
from matcalc.checks.report import FAILED, INCONCLUSIVE, PASSED, Outcome, Report, Row
from matcalc.checks.sampling import Point, draw_direction
from matcalc.dims import shape_text
from matcalc.errors import NotScalarError
from matcalc.expr import Expr
from matcalc.facts import DIAGONAL, SYMMETRIC, has

STEPS = 8
FIRST_STEPS = (-10, -30)  # exponents of two: where the first step is too long for the function, a shorter one is tried
COMPILED_TOLERANCE = 1e8  # of float64 code, which a badly conditioned point may cost many digits


class Law(NamedTuple):
    """What a table of remainders is to show of a derivative."""

    name: str
    order: int  # with which the remainder falls
    before: str  # the first column: what is there without the derivative
    after: str  # the second: what it leaves unexplained
    still: str = "f does not change along d"
    exact: str = "f is linear along d"
    of: str = "f"


GRADIENT = Law("gradient", 2, "|f(x+ed)-f|", "|f(x+ed)-f-e<g,d>|")


def check_gradient(
    f: Expr,
    gradients: Mapping[Expr, Expr],
    *,
    seed: int = 0,
    functions: Functions | None = None,
    trials: int = 2,
    compiled: bool = True,
) -> Report:
    """Tests gradients of a scalar ``f`` by number, at ``trials`` random points for each variable.

    ``functions``  derivatives of unknown functions: (order, t) -> value, or a list of them by order
    ``compiled``   also run the generated NumPy code

    Raises   NotScalarError
    Units    errors are relative to the largest entry, in multiples of machine epsilon
    Domain   points where f is not real and finite or has a kink nearby are passed over; where there is no other the
             report is inconclusive, never passed
    """
    require_scalar(f)
    known = derivatives(functions)
    shown = [
        repeated(lambda rng, x=x, g=g: _test(f, x, g, rng, known, compiled), seed, trials)  # type: ignore[misc]
        for x, g in gradients.items()
    ]
    return Report(shown, seed, notes=[] if shown else ["there was no gradient to test"])


def repeated(test: Callable[[Random], Outcome], seed: int, trials: int) -> Outcome:
    """The last outcome of ``trials`` tests, or of fewer where one does not pass, with a note on how many agreed."""
    outcomes: list[Outcome] = []
    while len(outcomes) < trials and all(o.verdict == PASSED for o in outcomes):
        outcomes.append(test(Random(f"{seed} {len(outcomes)}")))
    agreed = sum(o.verdict == PASSED for o in outcomes)
    note = f"agrees at {agreed} of {len(outcomes)} random points"
    return outcomes[-1]._replace(notes=(*outcomes[-1].notes, *([note] if len(outcomes) > 1 else [])))


def require_scalar(f: Expr) -> None:
    if not f.is_scalar:
        raise NotScalarError(f"the gradient test is of a scalar, and this is in {shape_text(f.shape)}")


def name_of(variable: Expr) -> str:
    return str(getattr(variable.op, "name", "") or variable)


class _Found(NamedTuple):
    rows: list[Row]
    note: str
    error: float
    right: bool
    seen: bool
    slope: Any

    @property
    def sure(self) -> bool:
        return self.right and self.seen


def _test(
    f: Expr, variable: Expr, g: Expr, rng: Random, functions: Mapping[str, Derivatives], compiled: bool
) -> Outcome:
    import mpmath

    name, shape = name_of(variable), shape_text(variable.shape)
    if g.shape != variable.shape:
        note = f"the gradient is in {shape_text(g.shape)}: it must have the shape of the variable"
        return Outcome(name, shape, {}, (), None, None, FAILED, (note,))

    def at(point: Point) -> _Found:
        path = Path(f, variable, point, functions)
        slope = evaluate([g], point.env, point.sizes, functions, Watch())[0]
        direction = draw_direction(variable, point.sizes, rng)
        rows, note, good = taylor(path, (slope * direction).sum(), direction)
        where, truth = differences(path, rng)
        floor = smallest(path.scale)
        error = relative_error([slope[at] for at in where], truth, floor)
        seen = max(map(abs, truth)) > floor or path.constant
        return _Found(rows, note, error, good and error <= TOLERANCE, seen, slope)

    tested = at_some_point([f, g, variable], rng, at)
    if isinstance(tested, str):
        return untestable(name, shape, "gradient", tested)
    point, found = tested
    with mpmath.workdps(DIGITS):
        coded, why = compiled_result("gradient", g, point, found.slope, functions) if compiled else (None, "")
    good = found.right and (coded is None or coded <= COMPILED_TOLERANCE)
    notes = tuple(text for text in (found.note, why) if text)
    verdict = PASSED if good else FAILED
    return Outcome(name, shape, point.sizes, tuple(found.rows), found.error, coded, verdict, notes)


def untestable(name: str, shape: str, what: str, reasons: str) -> Outcome:
    note = f"no point was found at which the {what} can be tested: {reasons}"
    return Outcome(name, shape, {}, (), None, None, INCONCLUSIVE, (note,))


def taylor(path: Path, slope: Any, direction: Any, law: Law = GRADIENT) -> tuple[list[Row], str, bool]:
    """The table for the derivative ``slope`` along ``direction``, what is to be said of it, and whether it is right.

    Of a path of matrices the numbers are Frobenius norms, and ``slope`` is a matrix of the same shape.
    """

    def parts(step: Any) -> tuple[Any, Any]:
        change = path.at(direction * step) - path.base
        return change, change - slope * step

    return remainders(parts, 1 + norm(path.base) + norm(slope), law)


def remainders(parts: Callable[[Any], tuple[Any, Any]], scale: Any, law: Law) -> tuple[list[Row], str, bool]:
    """The table of what there is before and after a derivative is taken off, over halved steps.

    ``parts``  both for a step; it may raise Kink
    ``scale``  the size of the numbers whose differences they are
    """
    failed: list[Row] = []
    for first in FIRST_STEPS:
        try:
            rows = list(_rows(parts, scale, first))
        except Kink:
            if first == FIRST_STEPS[-1] and not failed:
                raise
            continue
        if not any(r.remainder for r in rows):
            if not any(r.difference for r in rows):
                return rows, f"{law.still}, and the {law.name} says so", True
            return rows, f"the remainder is zero: {law.exact}", True
        if min(r.remainder_order or 0.0 for r in rows[1:]) > law.order - 0.1:
            return rows, "", True
        failed = failed or rows
    order = failed[-1].remainder_order or 0.0
    note = f"the remainder falls with order {order:.2f}, not {law.order}: the {law.name} is not that of {law.of}"
    return failed, note, False


def _rows(parts: Callable[[Any], tuple[Any, Any]], scale: Any, first: int) -> Iterator[Row]:
    import mpmath

    noise = mpmath.mpf(10) ** (8 - mpmath.mp.dps) * scale

    def size(a: Any) -> float:
        return float(norm(a)) if norm(a) > noise else 0.0

    before: Row | None = None
    for k in range(STEPS):
        step = mpmath.mpf(2) ** (first - k)
        difference, remainder = map(size, parts(step))
        last = before or Row(0.0, 0.0, None, 0.0, None)
        orders = _log2(last.difference, difference), _log2(last.remainder, remainder)
        before = Row(float(step), difference, orders[0], remainder, orders[1])
        yield before


def norm(a: Any) -> Any:
    """The Frobenius norm."""
    import mpmath

    return mpmath.sqrt((a * a).sum()) if hasattr(a, "sum") else abs(a)


def _log2(before: float, after: float) -> float | None:
    import math

    return math.log2(before / after) if before > 0 and after > 0 else None


def differences(path: Path, rng: Random) -> tuple[list[tuple[int, int]], list[Any]]:
    """Central differences for entries of the gradient of a scalar, within the subspace of a structured variable."""
    import mpmath

    x, variable = path.point.env[path.variable], path.variable
    diagonal, symmetric = has(variable, DIAGONAL), has(variable, SYMMETRIC) and not variable.is_scalar
    where = [(i, j) for i in range(x.shape[0]) for j in range(x.shape[1])]
    found = []
    where = where if len(where) <= MOST_ENTRIES else sorted(rng.sample(where, MOST_ENTRIES))
    for i, j in where:
        if diagonal and i != j:
            found.append(mpmath.mpf(0))
            continue
        move = x * 0
        move[i, j] += 1
        if symmetric and i != j:
            move[j, i] += 1
        twice = path.along({variable: move})[0, 0]
        found.append(twice / 2 if symmetric and i != j else twice)
    return where, found


__all__ = [
    "COMPILED_TOLERANCE",
    "GRADIENT",
    "UNSOUND",
    "Law",
    "Path",
    "check_gradient",
    "differences",
    "name_of",
    "norm",
    "remainders",
    "repeated",
    "require_scalar",
    "taylor",
    "untestable",
]
