"""The gradient test: Taylor remainders over halved steps, and every entry against differences, both in 50 digits.

With x moved by e*d the change of f falls as e, and what the gradient leaves unexplained as e**2. In 50 digits rounding
does not blur the orders.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any, TypeAlias

from matcalc.checks.compiled import compiled_gradient
from matcalc.checks.domain import Kink, Undefined, Watch
from matcalc.checks.evaluate import Derivatives, evaluate
from matcalc.checks.report import FAILED, INCONCLUSIVE, PASSED, Outcome, Report, Row
from matcalc.checks.sampling import NoSizes, Point, draw_direction, draw_point
from matcalc.dims import shape_text
from matcalc.errors import NotScalarError
from matcalc.expr import Expr, dependents
from matcalc.facts import DIAGONAL, SYMMETRIC, has
from matcalc.primitives.loops import free_indices

Functions: TypeAlias = Mapping[str, "Derivatives | Sequence[Callable[[Any], Any]]"]

DIGITS = 50
STEPS = 8
FIRST_STEPS = (-10, -30)  # exponents of two: where the first step is too long for the function, a shorter one is tried
EPS = 2.0**-52
TOLERANCE = 100.0  # multiples of EPS, of entries in 50 digits; differences there are good to some 1e-14 of EPS
COMPILED_TOLERANCE = 1e8  # of float64 code, which a badly conditioned point may cost many digits
UNSOUND = (Undefined, NoSizes, ArithmeticError, ValueError, IndexError, TypeError)
_ATTEMPTS = 60
_MOST_ENTRIES = 48  # of a larger variable so many are drawn


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
    shown = []
    for variable, g in gradients.items():
        outcomes: list[Outcome] = []
        while len(outcomes) < trials and all(o.verdict == PASSED for o in outcomes):
            rng = Random(f"{seed} {len(outcomes)}")
            outcomes.append(_test(f, variable, g, rng, known, compiled))
        agreed = sum(o.verdict == PASSED for o in outcomes)
        note = f"agrees at {agreed} of {len(outcomes)} random points"
        shown.append(outcomes[-1]._replace(notes=(*outcomes[-1].notes, *([note] if len(outcomes) > 1 else []))))
    return Report(shown, seed, notes=[] if shown else ["there was no gradient to test"])


def require_scalar(f: Expr) -> None:
    if not f.is_scalar:
        raise NotScalarError(f"the gradient test is of a scalar, and this is in {shape_text(f.shape)}")


def derivatives(functions: Functions | None) -> dict[str, Derivatives]:
    """Each function as one callable (order, t)."""

    def by_order(listed: Sequence[Callable[[Any], Any]]) -> Derivatives:
        return lambda order, t: listed[order](t)

    return {name: f if callable(f) else by_order(f) for name, f in (functions or {}).items()}


class Path:
    """The values of an expression as one variable moves away from a point, all on one smooth piece."""

    def __init__(self, f: Expr, variable: Expr, point: Point, functions: Mapping[str, Derivatives]) -> None:
        self.f, self.variable, self.point, self.functions = f, variable, point, functions
        moving = dependents([f], [variable])
        self.constant = f not in moving
        still = [*dict.fromkeys(a for e in moving for a in e.args if a not in moving and not free_indices(a))]
        values = evaluate(still, point.env, point.sizes, functions, Watch())
        self._env = {**point.env, **dict(zip(still, values, strict=True))}
        self._watch = Watch()
        self.base = self._evaluate(point.env[variable], self._watch)

    def _evaluate(self, x: Any, watch: Watch) -> Any:
        return evaluate([self.f], {**self._env, self.variable: x}, self.point.sizes, self.functions, watch)[0]

    def at(self, displacement: Any) -> Any:
        """The value there.

        Raises   Kink when it is on another piece than the base; Undefined
        """
        watch = Watch()
        value = self._evaluate(self.point.env[self.variable] + displacement, watch)
        kink = self._watch.kink_towards(watch)
        if kink:
            raise Kink(f"a kink of {kink} lies next to the point")
        return value


def _test(
    f: Expr, variable: Expr, g: Expr, rng: Random, functions: Mapping[str, Derivatives], compiled: bool
) -> Outcome:
    import mpmath

    name, shape = str(getattr(variable.op, "name", variable.op)), shape_text(variable.shape)
    if g.shape != variable.shape:
        note = f"the gradient is in {shape_text(g.shape)}: it must have the shape of the variable"
        return Outcome(name, shape, {}, (), None, None, FAILED, (note,))
    failures: Counter[str] = Counter()
    for attempt in range(_ATTEMPTS):
        try:
            with mpmath.workdps(DIGITS):
                point = draw_point([f, g, variable], rng, attempt)
            for digits in (DIGITS, 3 * DIGITS, 9 * DIGITS):  # the later ones where the first do not tell
                with mpmath.workdps(digits):
                    path = Path(f, variable, point, functions)
                    slope = evaluate([g], point.env, point.sizes, functions, Watch())[0]
                    direction = draw_direction(variable, point.sizes, rng)
                    rows, note, good = taylor(path, (slope * direction).sum(), direction)
                    where, truth = differences(path, rng)
                    error = relative_error([slope[at] for at in where], truth, abs(path.base[0, 0]))
                    seen = max(map(abs, truth)) > smallest(abs(path.base[0, 0])) or path.constant
                if good and error <= TOLERANCE and seen:
                    break
        except UNSOUND as e:
            failures[str(e) or type(e).__name__] += 1
            continue
        with mpmath.workdps(DIGITS):
            coded, why = compiled_gradient(g, point, slope, functions) if compiled else (None, "")
        good = good and error <= TOLERANCE and (coded is None or coded <= COMPILED_TOLERANCE)
        notes = tuple(text for text in (note, why) if text)
        return Outcome(name, shape, point.sizes, tuple(rows), error, coded, PASSED if good else FAILED, notes)
    reasons = "; ".join(f"{why} ({count} of {_ATTEMPTS} points)" for why, count in failures.most_common(2))
    note = f"no point was found at which the gradient can be tested: {reasons}"
    return Outcome(name, shape, {}, (), None, None, INCONCLUSIVE, (note,))


def taylor(path: Path, slope: Any, direction: Any) -> tuple[list[Row], str, bool]:
    """The table for the derivative ``slope`` along ``direction``, what is to be said of it, and whether it is right.

    Of a path of matrices the numbers are Frobenius norms, and ``slope`` is a matrix of the same shape.
    """
    failed: list[Row] = []
    for first in FIRST_STEPS:
        try:
            rows = list(_rows(path, slope, direction, first))
        except Kink:
            if first == FIRST_STEPS[-1] and not failed:
                raise
            continue
        if not any(r.remainder for r in rows):
            if not any(r.difference for r in rows):
                return rows, "f does not change along d, and the gradient says so", True
            return rows, "the remainder is zero: f is linear along d", True
        if min(r.remainder_order or 0.0 for r in rows[1:]) > 1.9:
            return rows, "", True
        failed = failed or rows
    order = failed[-1].remainder_order or 0.0
    return failed, f"the remainder falls with order {order:.2f}, not 2: the gradient is not that of f", False


def _rows(path: Path, slope: Any, direction: Any, first: int) -> Iterator[Row]:
    import mpmath

    noise = mpmath.mpf(10) ** (8 - mpmath.mp.dps) * (1 + _norm(path.base) + _norm(slope))

    def size(a: Any) -> float:
        return float(_norm(a)) if _norm(a) > noise else 0.0

    before: Row | None = None
    for k in range(STEPS):
        step = mpmath.mpf(2) ** (first - k)
        change = path.at(step * direction) - path.base
        difference, remainder = size(change), size(change - step * slope)
        last = before or Row(0.0, 0.0, None, 0.0, None)
        orders = _log2(last.difference, difference), _log2(last.remainder, remainder)
        before = Row(float(step), difference, orders[0], remainder, orders[1])
        yield before


def _norm(a: Any) -> Any:
    import mpmath

    return mpmath.sqrt((a * a).sum()) if hasattr(a, "sum") else abs(a)


def _log2(before: float, after: float) -> float | None:
    import math

    return math.log2(before / after) if before > 0 and after > 0 else None


def differences(path: Path, rng: Random) -> tuple[list[tuple[int, int]], list[Any]]:
    """Central differences for entries of the gradient of a scalar, within the subspace of a structured variable."""
    import mpmath

    x, variable = path.point.env[path.variable], path.variable
    step = mpmath.mpf(10) ** (-(mpmath.mp.dps // 3))
    diagonal, symmetric = has(variable, DIAGONAL), has(variable, SYMMETRIC) and not variable.is_scalar
    where = [(i, j) for i in range(x.shape[0]) for j in range(x.shape[1])]
    found = []
    where = where if len(where) <= _MOST_ENTRIES else sorted(rng.sample(where, _MOST_ENTRIES))
    for i, j in where:
        if diagonal and i != j:
            found.append(mpmath.mpf(0))
            continue
        move = x * 0
        move[i, j] += step
        if symmetric and i != j:
            move[j, i] += step
        twice = (path.at(move) - path.at(-move))[0, 0] / (2 * step)
        found.append(twice / 2 if symmetric and i != j else twice)
    return where, found


def relative_error(found: Sequence[Any], truth: Sequence[Any], scale: Any) -> float:
    """The largest difference, relative to the largest number of ``truth``, in multiples of machine epsilon.

    ``scale``  the size of f; derivatives far below it are compared with it, since differences cannot tell them from 0
    """
    largest = max([abs(t) for t in truth] + [smallest(scale)])
    return float(max([abs(a - t) for a, t in zip(found, truth, strict=True)] + [0]) / largest / EPS)


def smallest(scale: Any) -> Any:
    """The smallest derivative of a function of size ``scale`` that differences see in all digits of a float."""
    import mpmath

    return (scale + 1) * mpmath.mpf(10) ** (10 - mpmath.mp.dps // 2)
