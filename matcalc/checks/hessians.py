"""The Hessian test: Taylor remainders of third order, every block against second differences, and its symmetry.

With x moved by e*d, what gradient and Hessian H leave unexplained of f falls as e**3. The gradient is that of
differences.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any, NamedTuple

from matcalc.checks.compiled import compiled_results
from matcalc.checks.differences import (
    DIGITS,
    MOST_ENTRIES,
    TOLERANCE,
    Functions,
    Moves,
    at_some_point,
    derivatives,
    draw_moves,
    relative_error,
    scaled,
    smallest,
    unit_moves,
)
from matcalc.checks.domain import Watch
from matcalc.checks.evaluate import evaluate
from matcalc.checks.forms import Blocks, Claimed, Curved, Form, Known, Matrices, Pair, Plain, Products, Truth
from matcalc.checks.jacobians import SPARE
from matcalc.checks.report import FAILED, PASSED, Measure, Outcome, Report, Row
from matcalc.checks.sampling import Point
from matcalc.checks.taylor import COMPILED_TOLERANCE, Law, name_of, remainders, repeated, require_scalar, untestable
from matcalc.dims import shape_text
from matcalc.expr import Expr
from matcalc.primitives.products import inner

HESSIAN = Law(
    "Hessian",
    3,
    "|f(x+ed)-f-e<g,d>|",
    "|f(x+ed)-f-e<g,d>-e^2/2*d'Hd|",
    "f is linear along d",
    "f is quadratic along d",
)
PRODUCT = HESSIAN._replace(name="product with the Hessian")


def check_hessian(
    f: Expr,
    blocks: Blocks,
    *,
    weights: Expr | None = None,
    seed: int = 0,
    functions: Functions | None = None,
    trials: int = 2,
    compiled: bool = True,
    title: str = "Hessian test",
) -> Report:
    """Tests the Hessian of ``f`` by number: ``blocks[x, z]`` is H_xz in d2f = sum of dvec(x)'*H_xz*dvec(z).

    A block (z, x) that is not given is the transpose of (x, z). Of variables that are declared symmetric or diagonal, H
    counts only along the directions in which they may move.

    ``weights``  of a function with several outputs: the Hessian is that of <weights, f>

    Raises   NotScalarError
    Units    errors are relative to the largest entry of a block, in multiples of machine epsilon
    """
    f = f if weights is None else inner(weights, f)
    require_scalar(f)
    if not blocks:
        return Report([], seed, title, ["there was no Hessian to test"])
    outcome = check_form(Plain(f), Matrices(blocks), HESSIAN, functions, seed, trials, compiled)
    return Report([outcome], seed, title)


def check_hessian_product(
    f: Expr,
    products: Mapping[Expr, Expr],
    directions: Mapping[Expr, Expr],
    *,
    weights: Expr | None = None,
    seed: int = 0,
    functions: Functions | None = None,
    trials: int = 2,
    compiled: bool = True,
    title: str = "Hessian-vector product test",
) -> Report:
    """Tests products with the Hessian: ``products[x]``, of the shape of x, is the sum of H_xz*v_z over z.

    ``directions``  for each z the leaf that is v_z
    """
    f = f if weights is None else inner(weights, f)
    require_scalar(f)
    if not products or not directions:
        return Report([], seed, title, ["there was no product to test"])
    claimed = Products(products, directions)
    return Report([check_form(Plain(f), claimed, PRODUCT, functions, seed, trials, compiled)], seed, title)


def check_form(
    truth: Truth,
    claimed: Claimed,
    law: Law,
    functions: Functions | None,
    seed: int,
    trials: int,
    compiled: bool,
) -> Outcome:
    """Tests a bilinear form at ``trials`` random points."""
    known = derivatives(functions)
    return repeated(lambda rng: _test(truth, claimed, law, rng, known, compiled), seed, trials)


class _Found(NamedTuple):
    rows: list[Row]
    note: str
    errors: dict[Pair, float]
    asymmetry: float
    right: bool
    seen: bool
    point: Point
    values: list[Any]

    @property
    def sure(self) -> bool:
        return self.right and self.seen


def _test(truth: Truth, claimed: Claimed, law: Law, rng: Random, functions: Known, compiled: bool) -> Outcome:
    import mpmath

    variables, heads = claimed.variables, (law.before, law.after)
    names = ", ".join(map(name_of, variables))
    shape = shape_text(variables[0].shape) if len(variables) == 1 else ""
    wrong_shape = claimed.misshapen()
    if wrong_shape:
        return Outcome(names, shape, {}, (), None, None, FAILED, (wrong_shape,))

    def at(point: Point) -> _Found:
        curved, form = truth.at(variables, point, functions), claimed.at(point, functions)
        rows, note, right = _table(curved, form, _together(claimed, point, rng), law)
        errors, seen = _compared(curved, form, claimed, rng, point)
        asymmetry = _asymmetry(curved, form, claimed, rng, point)
        here = claimed.bound(point, draw_moves(variables, point.sizes, rng))
        values = evaluate(list(claimed.outputs.values()), here.env, here.sizes, functions, Watch())
        right = right and max([asymmetry, *errors.values()]) <= TOLERANCE
        return _Found(rows, note, errors, asymmetry, right, seen, here, values)

    tested = at_some_point([*truth.roots, *claimed.roots, *variables], rng, at, SPARE, (1, 3))
    if isinstance(tested, str):
        return untestable(names, shape, law.name, tested)
    _, found = tested
    notes = [found.note, wrong_parts(found.errors, claimed.what)]
    notes += [f"the {law.name} is not symmetric"] if found.asymmetry > TOLERANCE else []
    coded: float | None = None
    if compiled and claimed.outputs:
        with mpmath.workdps(DIGITS):
            coded, why, _ = compiled_results(claimed.outputs, found.point, found.values, functions)
        notes.append(why)
    good = found.right and (coded is None or coded <= COMPILED_TOLERANCE)
    error, told = max(found.errors.values()), tuple(note for note in notes if note)
    rows, verdict, sizes = tuple(found.rows), PASSED if good else FAILED, found.point.sizes
    symmetry = (Measure("symmetry in high precision", found.asymmetry),)
    return Outcome(names, shape, sizes, rows, error, coded, verdict, told, heads, symmetry)


def wrong_parts(errors: Mapping[Pair, float], what: str) -> str:
    """What is to be said of errors of several parts."""
    wrong = [f"({name_of(x)}, {name_of(z)})" for (x, z), e in errors.items() if not e <= TOLERANCE]
    return f"{what} {', '.join(wrong)} is wrong" if wrong and len(errors) > 1 else ""


def _together(claimed: Claimed, point: Point, rng: Random) -> Moves:
    """A direction of all variables together, or of one where not every block is there; none where no one is alone."""
    there = {*claimed.pairs, *((z, x) for x, z in claimed.pairs)}
    variables = claimed.variables
    if any((x, z) not in there for x in variables for z in variables):
        variables = [x for x in variables if (x, x) in there][:1]
    return draw_moves(variables, point.sizes, rng)


def _table(curved: Curved, form: Form, direction: Moves, law: Law) -> tuple[list[Row], str, bool]:
    import mpmath

    if not direction:
        return [], "", True
    space, curvature = curved.space, form(direction, direction)
    with mpmath.workdps(2 * mpmath.mp.dps):  # differences are good to a part of the digits only
        moves = curved.moves(direction)
        slope = space.along(moves)[0, 0]

    def parts(step: Any) -> tuple[Any, Any]:
        bent = (space.moved(scaled(step, moves)) - space.base)[0, 0] - step * slope
        return bent, bent - step**2 / 2 * curvature

    return remainders(parts, 1 + space.scale + abs(slope) + abs(curvature), law)


def _compared(
    curved: Curved, form: Form, claimed: Claimed, rng: Random, point: Point
) -> tuple[dict[Pair, float], bool]:
    """The errors by block, along a random direction on either side and unit ones; and whether differences see them."""
    errors: dict[Pair, float] = {}
    floor, seen = smallest(curved.space.scale, 2), True
    most = max(6, MOST_ENTRIES // len(claimed.pairs))
    units = {x: [{x: move} for move in unit_moves(x, point.sizes, rng)] for x in claimed.variables}
    moved = {x: [curved.moves(p) for p in ps] for x, ps in units.items()}
    for x, z in claimed.pairs:
        chosen = [(j, i) for j in range(len(units[z])) for i in range(len(units[x])) if x is not z or i <= j]
        p, q = draw_moves([x], point.sizes, rng), draw_moves([z], point.sizes, rng)
        found, truth = [form(p, q)], [curved.space.twice_along(curved.moves(p), curved.moves(q))[0, 0]]
        for j, i in chosen if len(chosen) <= most else sorted(rng.sample(chosen, most)):
            found.append(form(units[x][i], units[z][j]))
            truth.append(curved.space.twice_along(moved[x][i], moved[z][j])[0, 0])
        errors[x, z] = relative_error(found, truth, floor)
        seen = seen and (max(map(abs, truth)) > floor or curved.space.constant)
    return errors, seen


def _asymmetry(curved: Curved, form: Form, claimed: Claimed, rng: Random, point: Point) -> float:
    """|p'*H*q - q'*H*p| of every block, relative to its size."""
    floor, worst = smallest(curved.space.scale, 2), 0.0
    for x, z in claimed.pairs:
        if isinstance(claimed, Products) and not {x, z} <= claimed.products.keys() & claimed.directions.keys():
            continue
        p, q = draw_moves([x], point.sizes, rng), draw_moves([z], point.sizes, rng)
        there, back = form(p, q), form(q, p)
        sizes = [there, back, *([form(p, p), form(q, q)] if x is z else [])]
        worst = max(worst, relative_error([there - back], [0], max([*map(abs, sizes), floor])))
    return worst


__all__ = ["HESSIAN", "check_form", "check_hessian", "check_hessian_product", "wrong_parts"]
