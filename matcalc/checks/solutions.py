"""Solutions of systems: the matrix times the solution is the right-hand side, and the compiled code agrees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

from matcalc.checks.compiled import compiled_results
from matcalc.checks.differences import (
    DIGITS,
    TOLERANCE,
    Functions,
    at_some_point,
    derivatives,
    relative_error,
    smallest,
)
from matcalc.checks.domain import Watch
from matcalc.checks.evaluate import Derivatives, evaluate
from matcalc.checks.jacobians import SPARE
from matcalc.checks.report import FAILED, PASSED, Measure, Outcome, Report
from matcalc.checks.taylor import COMPILED_TOLERANCE, repeated, untestable
from matcalc.expr import Expr
from matcalc.primitives.algebra import product
from matcalc.primitives.structure import VCat, vec

_SAID = "the matrix times the solution against the right-hand side, in high precision"


class _Found(NamedTuple):
    error: float
    values: list[Any]
    sure: bool = True


def check_solution(
    matrix: Expr,
    right: Sequence[Expr],
    found: Mapping[str, Expr],
    *,
    title: str,
    seed: int = 0,
    trials: int = 2,
    functions: Functions | None = None,
) -> Report:
    """Tests that ``matrix`` times the vecs of ``found`` is the vecs of ``right``.

    Units   relative to the largest entry of the right-hand side, in multiples of machine epsilon
    """
    known = derivatives(functions)
    names = ", ".join(name for name in found if name)
    pair = (product(matrix, _column(list(found.values()))), _column(right))
    return Report([repeated(lambda rng: _test(pair, found, names, rng, known), seed, trials)], seed, title)


def _column(parts: Sequence[Expr]) -> Expr:
    return VCat()(*map(vec, parts)) if len(parts) > 1 else vec(parts[0])


def _test(
    pair: tuple[Expr, Expr], found: Mapping[str, Expr], names: str, rng: Random, functions: Mapping[str, Derivatives]
) -> Outcome:
    import mpmath

    roots = [*pair, *found.values()]

    def at(point: Any) -> _Found:
        left, right, *values = evaluate(roots, point.env, point.sizes, functions, Watch())
        return _Found(relative_error(list(left.ravel()), list(right.ravel()), smallest(1)), values)

    tested = at_some_point(roots, rng, at, SPARE, (1,))
    if isinstance(tested, str):
        return untestable(names, "", "solution", tested)
    point, (error, values, _) = tested
    with mpmath.workdps(DIGITS):
        coded, why, _ = compiled_results({name or "solution": e for name, e in found.items()}, point, values, functions)
    good = error <= TOLERANCE and (coded is None or coded <= COMPILED_TOLERANCE)
    measures, notes = (Measure(_SAID, error),), tuple(filter(None, [why]))
    return Outcome(names, "", point.sizes, (), None, coded, PASSED if good else FAILED, notes, measures=measures)


__all__ = ["check_solution"]
