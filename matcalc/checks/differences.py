"""Derivatives by central differences in high precision, along directions in which the variables may move."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Protocol, TypeAlias, TypeVar

from matcalc.checks.domain import Kink, Undefined, Watch
from matcalc.checks.evaluate import Derivatives, evaluate
from matcalc.checks.sampling import NoSizes, Point, draw_direction, draw_point
from matcalc.expr import Expr, dependents
from matcalc.facts import DIAGONAL, SYMMETRIC, has
from matcalc.primitives.loops import free_indices

Functions: TypeAlias = Mapping[str, "Derivatives | Sequence[Callable[[Any], Any]]"]
Moves: TypeAlias = Mapping[Expr, Any]  # a displacement for each variable that moves

DIGITS = 50
EPS = 2.0**-52
TOLERANCE = 100.0  # multiples of EPS, of entries in 50 digits; differences there are good to some 1e-8 of EPS
UNSOUND = (Undefined, NoSizes, ArithmeticError, ValueError, IndexError, TypeError)
ATTEMPTS = 60
MOST_ENTRIES = 48  # of a larger variable so many are drawn


def derivatives(functions: Functions | None) -> dict[str, Derivatives]:
    """Each function as one callable (order, t)."""

    def by_order(listed: Sequence[Callable[[Any], Any]]) -> Derivatives:
        return lambda order, t: listed[order](t)

    return {name: f if callable(f) else by_order(f) for name, f in (functions or {}).items()}


class Neighbourhood:
    """The values of an expression as variables move away from a point, all on one smooth piece."""

    def __init__(self, f: Expr, variables: Sequence[Expr], point: Point, functions: Mapping[str, Derivatives]) -> None:
        self.f, self.variables, self.point, self.functions = f, tuple(variables), point, functions
        moving = dependents([f], variables)
        self.moving = moving.intersection(variables)
        self.constant = f not in moving
        still = [*dict.fromkeys(a for e in moving for a in e.args if a not in moving and not free_indices(a))]
        values = evaluate(still, point.env, point.sizes, functions, Watch())
        self._env = {**point.env, **dict(zip(still, values, strict=True))}
        self._watch = Watch()
        self.base = self._evaluate({}, self._watch)

    @property
    def scale(self) -> Any:
        """The largest entry of the value at the point."""
        return abs(self.base).max()

    def _evaluate(self, moves: Moves, watch: Watch) -> Any:
        moved = {x: self.point.env[x] + dx for x, dx in moves.items()}
        return evaluate([self.f], {**self._env, **moved}, self.point.sizes, self.functions, watch)[0]

    def moved(self, moves: Moves) -> Any:
        """The value there.

        Raises   Kink when it is on another piece than the base; Undefined
        """
        watch = Watch()
        value = self._evaluate(moves, watch)
        kink = self._watch.kink_towards(watch)
        if kink:
            raise Kink(f"a kink of {kink} lies next to the point")
        return value

    def along(self, moves: Moves) -> Any:
        """The derivative in the direction ``moves``, good to two thirds of the digits."""
        import mpmath

        step = mpmath.mpf(10) ** (-(mpmath.mp.dps // 3))
        return (self.moved(scaled(step, moves)) - self.moved(scaled(-step, moves))) / (2 * step)

    def twice_along(self, p: Moves, q: Moves) -> Any:
        """The second derivative in the directions p and q, good to half of the digits."""
        import mpmath

        step = mpmath.mpf(10) ** (-(mpmath.mp.dps // 4))
        both, apart = added(scaled(step, p), scaled(step, q)), added(scaled(step, p), scaled(-step, q))
        same = self.moved(both) + self.moved(scaled(-1, both))
        return (same - self.moved(apart) - self.moved(scaled(-1, apart))) / (4 * step**2)


class Path(Neighbourhood):
    """The values of an expression as one variable moves."""

    def __init__(self, f: Expr, variable: Expr, point: Point, functions: Mapping[str, Derivatives]) -> None:
        super().__init__(f, [variable], point, functions)
        self.variable = variable

    def at(self, displacement: Any) -> Any:
        """The value there; raises as :meth:`moved`."""
        return self.moved({self.variable: displacement})


def scaled(factor: Any, moves: Moves) -> Moves:
    return {x: dx * factor for x, dx in moves.items()}  # arrays first: mpmath looks long at one that comes second


def added(p: Moves, q: Moves) -> Moves:
    return {x: p[x] + q[x] if x in p and x in q else p.get(x, q.get(x)) for x in [*p, *(x for x in q if x not in p)]}


def draw_moves(variables: Sequence[Expr], sizes: Mapping[str, int], rng: Random) -> Moves:
    """A direction of Frobenius norm 1 for each variable."""
    return {x: draw_direction(x, sizes, rng) for x in variables}


def unit_moves(variable: Expr, sizes: Mapping[str, int], rng: Random, most: int = MOST_ENTRIES) -> list[Any]:
    """A basis of the directions in which the variable may move, or some of it: unit matrices, and for a symmetric
    variable their sums with their transposes.
    """
    import numpy

    from matcalc.primitives.reference import entrywise, number

    rows, cols = (d.evaluate(sizes) for d in variable.shape)
    diagonal, symmetric = has(variable, DIAGONAL), has(variable, SYMMETRIC) and not variable.is_scalar
    where = [(i, j) for i in range(rows) for j in range(cols) if (not diagonal or i == j) and (not symmetric or i <= j)]
    found = []
    for i, j in where if len(where) <= most else sorted(rng.sample(where, most)):
        move = numpy.zeros((rows, cols), dtype=int)
        move[i, j] = 1
        if symmetric:
            move[j, i] = 1
        found.append(entrywise(number, move.astype(object)))
    return found


def stacked(a: Any) -> Any:
    """vec(A): the columns one below the other."""
    return a.T.reshape(-1, 1)


def unstacked(v: Any, shape: tuple[int, int]) -> Any:
    """The matrix of that shape with ``vec(A) = v``."""
    return v.reshape(shape[1], shape[0]).T


def relative_error(found: Sequence[Any], truth: Sequence[Any], floor: Any) -> float:
    """The largest difference, relative to the largest number of ``truth``, in multiples of machine epsilon.

    ``floor``  numbers far below it are compared with it, since differences cannot tell them from 0
    """
    largest = max([abs(t) for t in truth] + [floor])
    return float(max([abs(a - t) for a, t in zip(found, truth, strict=True)] + [0]) / largest / EPS)


def smallest(scale: Any, order: int = 1) -> Any:
    """The smallest derivative, of first or second order, of a function of size ``scale`` that differences see in all
    digits of a float.
    """
    import mpmath

    return (scale + 1) * mpmath.mpf(10) ** ((10 if order == 1 else 16) - mpmath.mp.dps // 2)


class Finding(Protocol):
    """What a test found at a point, and whether more digits could not tell otherwise."""

    @property
    def sure(self) -> bool: ...


F = TypeVar("F", bound=Finding)


def at_some_point(
    roots: Sequence[Expr],
    rng: Random,
    test: Callable[[Point], F],
    spare: int = 2,
    precisions: Sequence[int] = (1, 3, 9),
) -> tuple[Point, F] | str:
    """What ``test`` finds at the first random point where it can be made, or why there was none. It is made in more and
    more digits until it is sure.

    ``spare``       of sizes, as :func:`matcalc.checks.sampling.draw_sizes`
    ``precisions``  in multiples of DIGITS
    """
    import mpmath

    failures: Counter[str] = Counter()
    for attempt in range(ATTEMPTS):
        try:
            with mpmath.workdps(max(precisions) * DIGITS):  # what is declared, such as Q'*Q = I, holds in all of them
                point = draw_point(roots, rng, attempt, spare)
            for multiple in precisions:
                with mpmath.workdps(multiple * DIGITS):
                    found = test(point)
                if found.sure:
                    break
            return point, found
        except UNSOUND as e:
            failures[str(e) or type(e).__name__] += 1
    return "; ".join(f"{why} ({count} of {ATTEMPTS} points)" for why, count in failures.most_common(2))


__all__ = [
    "ATTEMPTS",
    "DIGITS",
    "EPS",
    "MOST_ENTRIES",
    "TOLERANCE",
    "UNSOUND",
    "Functions",
    "Moves",
    "Neighbourhood",
    "Path",
    "added",
    "at_some_point",
    "derivatives",
    "draw_moves",
    "relative_error",
    "scaled",
    "smallest",
    "stacked",
    "unit_moves",
    "unstacked",
]
