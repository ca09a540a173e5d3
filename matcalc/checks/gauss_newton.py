"""The Gauss-Newton test: G as the Hessian of the loss along the linearised net, G + R = H, and definiteness.

``d'*G*d`` is the second derivative of the loss along ``J*d``, J*d being the derivative of the net along d.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

from matcalc.checks.definite import definite, is_psd_on_numbers
from matcalc.checks.differences import (
    TOLERANCE,
    Functions,
    at_some_point,
    derivatives,
    draw_moves,
    relative_error,
    smallest,
    stacked,
    unit_moves,
)
from matcalc.checks.forms import Blocks, Known, Linearised, Matrices, Pair, Plain, Products, Sum
from matcalc.checks.hessians import HESSIAN, check_form, wrong_parts
from matcalc.checks.jacobians import SPARE
from matcalc.checks.report import FAILED, PASSED, Measure, Outcome, Report
from matcalc.checks.sampling import Point
from matcalc.checks.taylor import name_of, require_scalar, untestable
from matcalc.expr import Expr, substitute

GAUSS_NEWTON = HESSIAN._replace(
    name="Gauss-Newton matrix",
    of="the loss",
    before="|l(u+eJd)-l-e<g,Jd>|",
    after="|l(u+eJd)-l-e<g,Jd>-e^2/2*d'Gd|",
    still="the loss is linear along J*d",
    exact="the loss is quadratic along J*d",
)
PRODUCT = GAUSS_NEWTON._replace(name="product with the Gauss-Newton matrix")
WHOLE = HESSIAN._replace(name="sum G + R", of="the loss of the net")
_POINTS = 5  # at which definiteness is looked at


def check_gauss_newton(
    loss: Expr,
    at: Expr,
    net: Expr,
    blocks: Blocks,
    *,
    residual: Blocks | None = None,
    hessian: Blocks | None = None,
    convex: bool = False,
    seed: int = 0,
    functions: Functions | None = None,
    trials: int = 2,
    compiled: bool = True,
    title: str = "Gauss-Newton test",
) -> Report:
    """Tests G = J'*H_loss*J for ``loss``, an expression in the variable ``at``, at the output of ``net``. Where the
    matrices hold that variable, it is the output.

    ``residual``  the rest R of the Hessian: G + R is tested as the Hessian of loss(net)
    ``hessian``   the Hessian itself: G + R = H (or G = H without R)
    ``convex``    G is said to be positive semidefinite: looked at by number

    Raises   NotScalarError
    """
    require_scalar(loss)
    if not blocks:
        return Report([], seed, title, ["there was no Gauss-Newton matrix to test"])

    def of(given: Blocks) -> Matrices:
        return Matrices({pair: substitute(e, {at: net}) for pair, e in given.items()})

    parts = [of(blocks)]
    tests = [check_form(Linearised(loss, at, net), parts[0], GAUSS_NEWTON, functions, seed, trials, compiled)]
    if residual is not None:
        parts.append(of(residual))
        whole = Plain(substitute(loss, {at: net}))
        tests.append(check_form(whole, Sum(parts), WHOLE, functions, seed, trials, False))
        if tests[-1].verdict == PASSED:
            tests[-1] = tests[-1]._replace(notes=("G + R is the Hessian of the loss of the net", *tests[-1].notes))
    if hessian is not None:
        tests.append(_same(parts, of(hessian), Random(f"{seed} same"), derivatives(functions)))
    if convex:
        tests.append(_semidefinite(parts[0], seed, derivatives(functions)))
    return Report(tests, seed, title)


def check_gauss_newton_product(
    loss: Expr,
    at: Expr,
    net: Expr,
    products: Mapping[Expr, Expr],
    directions: Mapping[Expr, Expr],
    *,
    seed: int = 0,
    functions: Functions | None = None,
    trials: int = 2,
    compiled: bool = True,
    title: str = "Gauss-Newton-vector product test",
) -> Report:
    """Tests products with the Gauss-Newton matrix: ``products[x]`` is the sum of G_xz*v_z over z.

    ``directions``  for each z the leaf that is v_z

    Raises   NotScalarError
    """
    require_scalar(loss)
    if not products or not directions:
        return Report([], seed, title, ["there was no product to test"])
    products = {x: substitute(e, {at: net}) for x, e in products.items()}
    truth, claimed = Linearised(loss, at, net), Products(products, directions)
    return Report([check_form(truth, claimed, PRODUCT, functions, seed, trials, compiled)], seed, title)


class _Same(NamedTuple):
    errors: dict[Pair, float]
    sure: bool = True


def _same(parts: Sequence[Matrices], hessian: Matrices, rng: Random, functions: Known) -> Outcome:
    """G + R = H along random directions of each block."""
    names, said = ", ".join(map(name_of, hessian.variables)), "G + R = H" if len(parts) > 1 else "G = H"
    both = Sum(parts)

    def at(point: Point) -> _Same:
        left, right = both.at(point, functions), hessian.at(point, functions)
        errors = {}
        for x, z in hessian.pairs:
            p, q = draw_moves([x], point.sizes, rng), draw_moves([z], point.sizes, rng)
            errors[x, z] = relative_error([left(p, q)], [right(p, q)], smallest(1))
        return _Same(errors)

    tested = at_some_point([*both.roots, *hessian.roots, *hessian.variables], rng, at, SPARE)
    if isinstance(tested, str):
        return untestable(names, "", said, tested)
    point, found = tested
    worst = max(found.errors.values())
    measures = (Measure(f"{said} in high precision", worst),)
    if worst <= TOLERANCE:
        return Outcome(names, "", point.sizes, (), None, None, PASSED, (), measures=measures)
    notes = (f"{said} does not hold", *filter(None, [wrong_parts(found.errors, "block")]))
    return Outcome(names, "", point.sizes, (), None, None, FAILED, notes, measures=measures)


def _semidefinite(claimed: Matrices, seed: int, functions: Known) -> Outcome:
    """Whether the whole matrix is positive semidefinite along the directions in which the variables may move."""

    def whole(point: Point) -> Any:
        import numpy

        form = claimed.at(point, functions)
        bases = {
            x: numpy.hstack([stacked(move) for move in unit_moves(x, point.sizes, Random(0), most=10**6)])
            for x in claimed.variables
        }

        def block(x: Expr, z: Expr) -> Any:
            found = form.block(x, z)
            between = numpy.zeros((bases[x].shape[0], bases[z].shape[0]), dtype=object) if found is None else found
            return bases[x].T.dot(between).dot(bases[z])

        return numpy.vstack([numpy.hstack([block(x, z) for z in claimed.variables]) for x in claimed.variables])

    names = ", ".join(map(name_of, claimed.variables))
    found = definite(whole, [*claimed.roots, *claimed.variables], seed, _POINTS)
    return found.outcome(names, "the Gauss-Newton matrix")


def curvature_on_numbers(curvature: Expr, at: str, seed: int = 0) -> str:
    """Whether a loss whose Hessian is not known to be positive semidefinite looks convex, in words."""
    found = is_psd_on_numbers(curvature, seed=seed)
    if found.passed:
        return f"H_loss had no negative eigenvalue at 20 random points: that the loss is convex in {at} is not proven"
    (test,) = found.tests
    if found.verdict == FAILED:
        return f"the loss is not convex in {at}: " + test.notes[0].replace("the matrix", "H_loss")
    return f"nothing is known of the convexity of the loss: {test.notes[0].replace('the matrix', 'H_loss')}"


def noted(report: Report, note: str) -> Report:
    """The report with one more note."""
    return Report(report.tests, report.seed, report.title, [*report.notes, note])


__all__ = ["GAUSS_NEWTON", "check_gauss_newton", "check_gauss_newton_product", "curvature_on_numbers", "noted"]
