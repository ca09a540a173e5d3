"""The Jacobian test, and the transpose test of the products with a Jacobian and its transpose.

With x moved by e*d the change of f falls as e, and what the Jacobian leaves unexplained as e**2; and for JacMV(x, v) =
J*v and JacTMV(x, u) = J'*u the numbers u'*JacMV(x, v) and v'*JacTMV(x, u) are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

from matcalc.checks.compiled import SMALLEST, compiled_result, compiled_results
from matcalc.checks.differences import (
    DIGITS,
    EPS,
    TOLERANCE,
    Functions,
    Moves,
    Neighbourhood,
    Path,
    at_some_point,
    derivatives,
    draw_moves,
    relative_error,
    scaled,
    smallest,
    stacked,
    unit_moves,
    unstacked,
)
from matcalc.checks.domain import Watch
from matcalc.checks.evaluate import Derivatives, evaluate
from matcalc.checks.report import FAILED, PASSED, Measure, Outcome, Report, Row
from matcalc.checks.sampling import Point, draw_direction
from matcalc.checks.taylor import COMPILED_TOLERANCE, Law, name_of, norm, remainders, repeated, taylor, untestable
from matcalc.dims import Shape, shape_text
from matcalc.expr import Expr

JACOBIAN = Law("Jacobian", 2, "||f(x+ed)-f||", "||f(x+ed)-f-e*J*d||")
PRODUCT = Law("product with the Jacobian", 2, "||f(x+ed)-f||", "||f(x+ed)-f-JacMV(x,ed)||")
SPARE = 1  # sizes are smaller than for gradients: a Jacobian has the size of f times that of x


def check_jacobian(
    f: Expr,
    jacobians: Mapping[Expr, Expr],
    *,
    seed: int = 0,
    functions: Functions | None = None,
    trials: int = 2,
    compiled: bool = True,
    title: str = "Jacobian test",
) -> Report:
    """Tests Jacobians of ``f`` by number, at ``trials`` random points for each variable.

    Of a variable that is declared symmetric or diagonal, J counts only along the directions in which it may move.

    Shapes   f in R^{m x n}, X in R^{p x q} -> J in R^{m*n x p*q}
    Units    as :func:`matcalc.checks.taylor.check_gradient`, whose arguments these are
    """
    known = derivatives(functions)
    shown = [
        repeated(lambda rng, x=x, j=j: _of_one(f, x, j, rng, known, compiled), seed, trials)  # type: ignore[misc]
        for x, j in jacobians.items()
    ]
    return Report(shown, seed, title, [] if shown else ["there was no Jacobian to test"])


class _Found(NamedTuple):
    rows: list[Row]
    note: str
    error: float
    right: bool
    seen: bool
    value: Any

    @property
    def sure(self) -> bool:
        return self.right and self.seen


def jacobian_shape(f: Expr, x: Expr) -> Shape:
    return (f.rows * f.cols, x.rows * x.cols)


def _of_one(
    f: Expr, x: Expr, jacobian: Expr, rng: Random, functions: Mapping[str, Derivatives], compiled: bool
) -> Outcome:
    import mpmath

    name, shape, heads = name_of(x), shape_text(x.shape), (JACOBIAN.before, JACOBIAN.after)
    if jacobian.shape != jacobian_shape(f, x):
        wanted = shape_text(jacobian_shape(f, x))
        note = f"the Jacobian is in {shape_text(jacobian.shape)}, and it must be in {wanted}: size(f) x size({name})"
        return Outcome(name, shape, {}, (), None, None, FAILED, (note,))

    def at(point: Point) -> _Found:
        path = Path(f, x, point, functions)
        j = evaluate([jacobian], point.env, point.sizes, functions, Watch())[0]
        direction = draw_direction(x, point.sizes, rng)
        slope = unstacked(j.dot(stacked(direction)), path.base.shape)
        rows, note, good = taylor(path, slope, direction, JACOBIAN)
        found, truth = columns(path, j, rng)
        floor = smallest(path.scale)
        error = relative_error(found, truth, floor)
        seen = max(map(abs, truth)) > floor or path.constant
        return _Found(rows, note, error, good and error <= TOLERANCE, seen, j)

    tested = at_some_point([f, jacobian, x], rng, at, SPARE)
    if isinstance(tested, str):
        return untestable(name, shape, "Jacobian", tested)
    point, found = tested
    with mpmath.workdps(DIGITS):
        coded, why = compiled_result("Jacobian", jacobian, point, found.value, functions) if compiled else (None, "")
    good = found.right and (coded is None or coded <= COMPILED_TOLERANCE)
    notes = tuple(text for text in (found.note, why) if text)
    verdict = PASSED if good else FAILED
    return Outcome(name, shape, point.sizes, tuple(found.rows), found.error, coded, verdict, notes, heads)


def columns(path: Path, j: Any, rng: Random) -> tuple[list[Any], list[Any]]:
    """What J gives for unit directions, and what differences give: entry by entry."""
    found, truth = [], []
    for move in unit_moves(path.variable, path.point.sizes, rng):
        chosen = [k for k, t in enumerate(stacked(move).ravel()) if t]
        found += list(j[:, chosen].sum(axis=1))
        truth += list(stacked(path.along({path.variable: move})).ravel())
    return found, truth


def check_products(
    f: Expr,
    jvp: Expr | None = None,
    directions: Mapping[Expr, Expr] | None = None,
    vjp: Mapping[Expr, Expr] | None = None,
    cotangent: Expr | None = None,
    *,
    seed: int = 0,
    functions: Functions | None = None,
    trials: int = 2,
    compiled: bool = True,
    title: str = "product test",
) -> Report:
    """Tests the products J*v (``jvp``) and J'*u (``vjp``, one for each variable) of ``f``; either may be left out.

    ``directions``  for each variable the leaf that is its direction in ``jvp``; df for all of them together
    ``cotangent``   the leaf that is u in ``vjp``

    Shapes   J*v has the shape of f, as u has; J'*u the shape of the variable
    Units    errors are relative, in multiples of machine epsilon; that of the transpose test to ``|u|*|J*v|``
    """
    known = derivatives(functions)
    given = _Given(f, jvp, dict(directions or {}), dict(vjp or {}), cotangent)
    if not given.variables or (jvp is None and not given.vjp):
        return Report([], seed, title, ["there was no product to test"])
    return Report([repeated(lambda rng: _of_products(given, rng, known, compiled), seed, trials)], seed, title)


class _Given(NamedTuple):
    f: Expr
    jvp: Expr | None
    directions: dict[Expr, Expr]
    vjp: dict[Expr, Expr]
    cotangent: Expr | None

    @property
    def variables(self) -> list[Expr]:
        return list(dict.fromkeys([*self.directions, *self.vjp]))

    @property
    def both(self) -> bool:
        """Whether the two products are by the same variables."""
        return self.jvp is not None and self.vjp.keys() == self.directions.keys()

    def misshapen(self) -> str:
        """What is wrong with the shapes."""
        wanted = [("J*v", self.jvp, self.f.shape), ("u", self.cotangent, self.f.shape)]
        wanted += [(f"the direction of {name_of(x)}", v, x.shape) for x, v in self.directions.items()]
        wanted += [(f"J'*u by {name_of(x)}", g, x.shape) for x, g in self.vjp.items()]
        for what, e, shape in wanted:
            if e is not None and e.shape != shape:
                return f"{what} is in {shape_text(e.shape)}, and it must be in {shape_text(shape)}"
        return ""


class _Products(NamedTuple):
    point: Point
    rows: list[Row]
    note: str
    error: float  # of J*v against differences
    backward: dict[Expr, float]  # of <v, J'*u> against u'*(J*v) by differences, where only that variable moves
    transposed: float  # |u'*(J*v) - v'*(J'*u)|, where both are given for the same variables
    right: bool
    seen: bool
    values: list[Any]  # of jvp and vjp
    scale: Any  # of u'*J*v
    moves: Moves
    u: Any

    @property
    def sure(self) -> bool:
        return self.right and self.seen


def _of_products(given: _Given, rng: Random, functions: Mapping[str, Derivatives], compiled: bool) -> Outcome:
    import mpmath

    f, jvp, variables = given.f, given.jvp, given.variables
    names, heads = ", ".join(map(name_of, variables)), (PRODUCT.before, PRODUCT.after)
    shape = shape_text(variables[0].shape) if len(variables) == 1 else ""
    wrong_shape = given.misshapen()
    if wrong_shape:
        return Outcome(names, shape, {}, (), None, None, FAILED, (wrong_shape,))
    outputs = {f"J*v by {', '.join(map(name_of, given.directions))}": jvp} if jvp is not None else {}
    outputs |= {f"J'*u by {name_of(x)}": g for x, g in given.vjp.items()}
    leaves = [e for e in (*given.directions.values(), given.cotangent) if e is not None and e.op.is_variable]

    def at(point: Point) -> _Products:
        moves = draw_moves(variables, point.sizes, rng)
        u = draw_direction(given.cotangent or f, point.sizes, rng)
        here = Point(point.sizes, {**point.env, **_bound(given, moves, u)})
        space = Neighbourhood(f, variables, here, functions)
        floor = smallest(space.scale)
        moving = {x: moves[x] for x in given.directions}
        values = evaluate(list(outputs.values()), here.env, here.sizes, functions, Watch())
        rows: list[Row] = []
        note, right, error, seen = "", True, 0.0, True
        slopes = {x: space.along({x: moves[x]}) for x in variables}
        if jvp is not None:
            rows, note, right = _table(given, space, moving, values[0], u)
            truth = sum(slopes[x] for x in moving)
            error = relative_error(list(values[0].ravel()), list(truth.ravel()), floor)
            seen = abs(truth).max() > floor or space.constant
        backward, scale, total = {}, floor, 0
        for x, back in zip(given.vjp, values[-len(given.vjp) :] if given.vjp else [], strict=True):
            size, number = max(norm(u) * norm(slopes[x]), norm(moves[x]) * norm(back), floor), (moves[x] * back).sum()
            backward[x] = float(abs((u * slopes[x]).sum() - number) / size / EPS)
            seen = seen and (size > floor or x not in space.moving)
            scale, total = max(scale, size), total + number
        transposed = float(abs((u * values[0]).sum() - total) / scale / EPS) if given.both else 0.0
        right = right and max([error, transposed, *backward.values()]) <= TOLERANCE
        return _Products(here, rows, note, error, backward, transposed, right, seen, values, scale, moves, u)

    tested = at_some_point([f, *outputs.values(), *variables, *leaves], rng, at, SPARE)
    if isinstance(tested, str):
        return untestable(names, shape, "product", tested)
    _, found = tested
    measures, notes = [], [found.note]
    said = "transpose test |u'*JacMV(x, v) - v'*JacTMV(x, u)|"
    if given.both:
        measures.append(Measure(f"{said} in high precision", found.transposed))
    if given.vjp:
        worst = max(found.backward.values())
        measures.append(Measure("v'*JacTMV(x, u) against central differences in high precision", worst))
        off = [name_of(x) for x, e in found.backward.items() if e > TOLERANCE]
        notes += [f"JacTMV by {', '.join(off)} is not the product with the transposed Jacobian of f"] if off else []
    coded: float | None = None
    if compiled:
        with mpmath.workdps(DIGITS):
            coded, why, values = compiled_results(outputs, found.point, found.values, functions)
        notes.append(why)
        if given.both and values and coded is not None and found.scale > SMALLEST:
            measures.append(Measure(f"{said} compiled in float64", _transposed(given, found, values)))
    good = found.right and (coded is None or coded <= COMPILED_TOLERANCE)
    good = good and all(m.error <= COMPILED_TOLERANCE for m in measures)
    error = found.error if jvp is not None else None
    verdict, told = PASSED if good else FAILED, tuple(note for note in notes if note)
    rows = tuple(found.rows)
    return Outcome(names, shape, found.point.sizes, rows, error, coded, verdict, told, heads, tuple(measures))


def _bound(given: _Given, moves: Moves, u: Any) -> dict[Expr, Any]:
    """Values of the leaves that stand for the directions and the cotangent."""
    bound = {v: moves[x] for x, v in given.directions.items()}
    return bound | ({given.cotangent: u} if given.cotangent is not None else {})


def _table(given: _Given, space: Neighbourhood, moves: Moves, slope: Any, u: Any) -> tuple[list[Row], str, bool]:
    """The Jacobian test: JacMV is called for each step, as it might not be linear."""
    assert given.jvp is not None

    def parts(step: Any) -> tuple[Any, Any]:
        env = {**space.point.env, **_bound(given, scaled(step, moves), u)}
        product = evaluate([given.jvp], env, space.point.sizes, space.functions, Watch())[0]  # type: ignore[list-item]
        change = space.moved(scaled(step, moves)) - space.base
        return change, change - product

    return remainders(parts, 1 + norm(space.base) + norm(slope), PRODUCT)


def _transposed(given: _Given, found: _Products, values: Sequence[Any]) -> float:
    """|u'*J*v - v'*J'*u| of float64 numbers, in multiples of machine epsilon."""
    import numpy

    forward = numpy.asarray(values[0], dtype=float).reshape(found.u.shape)
    left = (found.u.astype(float) * forward).sum()
    right = 0.0
    for x, back in zip(given.vjp, values[1:], strict=True):
        move = found.moves[x].astype(float)
        right += float((move * numpy.asarray(back, dtype=float).reshape(move.shape)).sum())
    return float(abs(left - right) / float(found.scale) / EPS)


__all__ = ["JACOBIAN", "PRODUCT", "SPARE", "check_jacobian", "check_products", "columns", "jacobian_shape"]
