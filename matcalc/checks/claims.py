"""A derivative that the user claims, compared by number, then by symbol; where it differs, the slip is looked for that
explains it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

from matcalc.checks.differences import (
    ATTEMPTS,
    DIGITS,
    TOLERANCE,
    UNSOUND,
    Functions,
    Neighbourhood,
    Path,
    derivatives,
    draw_moves,
    relative_error,
    smallest,
    stacked,
    unit_moves,
)
from matcalc.checks.domain import Undefined, Watch
from matcalc.checks.evaluate import Derivatives, evaluate
from matcalc.checks.forms import between
from matcalc.checks.jacobians import SPARE, jacobian_shape
from matcalc.checks.report import FAILED, INCONCLUSIVE, PASSED, Measure, Outcome, Report
from matcalc.checks.sampling import Point, draw_point
from matcalc.checks.slips import About, Slip, slips
from matcalc.checks.taylor import differences, name_of, require_scalar
from matcalc.dims import Shape, shape_text
from matcalc.expr import Expr
from matcalc.simplify import simplify

_POINTS = 2
_MOST_SLIPS = 2000
_MOST_PAIRS = 60  # of directions, of a Hessian

Look = Callable[[Any], list[Any]]  # from the value of a claim to the numbers that are compared


class _Truth(NamedTuple):
    point: Point
    look: Look
    numbers: list[Any]
    floor: Any


def check_claim(
    f: Expr,
    variable: Expr | tuple[Expr, Expr],
    claimed: Expr,
    *,
    kind: str = "gradient",
    truth: Expr | None = None,
    seed: int = 0,
    functions: Functions | None = None,
) -> Report:
    """Compares a claimed derivative of ``f`` with differences; if it differs, names the likely slip.

    ``variable``  of a block of the Hessian two
    ``kind``      "gradient", "Jacobian" or "Hessian"
    ``truth``     the derivative itself: then the claim is compared with it by symbol, too

    Raises   NotScalarError
    """
    pair = variable if isinstance(variable, tuple) else (variable, variable)
    names = ", ".join(name_of(x) for x in dict.fromkeys(pair))
    if kind == "Jacobian":
        about = About(f, kind, jacobian_shape(f, pair[0]), (f.shape, pair[0].shape))
    else:
        require_scalar(f)
        size = (pair[0].rows * pair[0].cols, pair[1].rows * pair[1].cols)
        layouts = (pair[0].shape, pair[1].shape) if kind == "Hessian" else ()
        about = About(f, kind, size if layouts else pair[0].shape, layouts)
    known = derivatives(functions)

    def truths_at(point: Point, rng: Random) -> _Truth:
        return _by_differences(about, pair, point, rng, known)

    shape = shape_text(pair[0].shape) if pair[0] is pair[1] else ""
    return _compare(about, claimed, truth, truths_at, [f, *pair], names, shape, seed, known)


def check_claimed(
    truth: Expr,
    claimed: Expr,
    *,
    kind: str = "derivative",
    of: Expr | None = None,
    layouts: tuple[Shape, ...] = (),
    name: str = "",
    seed: int = 0,
    functions: Functions | None = None,
) -> Report:
    """Compares a claim with an expression that is known to be right: a product, a differential, a whole matrix.

    ``of``       the function whose derivative it is; its functions and sizes are looked at for slips
    ``layouts``  of a matrix under vec, the shapes of that whose vec are its columns, and its rows
    ``name``     the variables
    """
    known = derivatives(functions)

    def truths_at(point: Point, rng: Random) -> _Truth:
        value = evaluate([truth], point.env, point.sizes, known, Watch())[0]
        return _Truth(point, lambda v: list(v.ravel()), list(value.ravel()), smallest(1))

    about = About(of if of is not None else truth, kind, truth.shape, layouts)
    return _compare(about, claimed, truth, truths_at, [truth], name, "", seed, known, f"the derived {kind}")


def _compare(
    about: About,
    claimed: Expr,
    truth: Expr | None,
    truths_at: Callable[[Point, Random], _Truth],
    roots: Sequence[Expr],
    name: str,
    shape: str,
    seed: int,
    functions: Mapping[str, Derivatives],
    against: str | None = None,
) -> Report:
    """``against``  what the claim is compared with, where not with differences"""

    def report(sizes: dict[str, int], error: float | None, verdict: str, *notes: str) -> Report:
        outcome = Outcome(name, shape, sizes, (), error if against is None else None, None, verdict, notes)
        if against is not None and error is not None:
            outcome = outcome._replace(measures=(Measure(f"every entry against {against} in high precision", error),))
        return Report([outcome], seed, title=f"claimed {about.kind}")

    try:
        truths = _truths(truths_at, [*roots, claimed], claimed, seed, functions, SPARE if about.layouts else 2)
    except UNSOUND as e:
        return report({}, None, INCONCLUSIVE, f"no point was found at which the claim can be tested: {e}")
    sizes = truths[0].point.sizes
    error: float | None = None
    if claimed.shape == about.shape:
        errors = [_error(claimed, t, functions) for t in truths]
        if all(e <= TOLERANCE for e in errors):
            agreed = f"the claim agrees at {len(errors)} random points"
            return report(sizes, max(errors), PASSED, agreed, *_by_symbol(claimed, truth, about.kind))
        error = max(errors)
    mismatch = ""
    if error is None:
        mismatch = f"the claim is in {shape_text(claimed.shape)}, and the {about.kind} in {shape_text(about.shape)}; "
    slip = find_slip(about, claimed, truths, functions)
    explained = f"it agrees after {slip.said}" if slip else "no single slip explains it"
    return report(sizes, error, FAILED, f"{mismatch}the claim is not the {about.kind}: {explained}")


def _by_symbol(claimed: Expr, truth: Expr | None, kind: str) -> list[str]:
    """Whether simplification shows what the numbers do."""
    if truth is None:
        return []
    if simplify(claimed) is simplify(truth) or simplify(claimed - truth).is_zero:
        return [f"and by symbol: the claim less the {kind} is zero"]
    return ["by number only: the two were not brought to one form"]


def _truths(
    truths_at: Callable[[Point, Random], _Truth],
    roots: Sequence[Expr],
    claimed: Expr,
    seed: int,
    functions: Mapping[str, Derivatives],
    spare: int,
) -> list[_Truth]:
    import mpmath

    rng = Random(f"{seed} claim")
    found: list[_Truth] = []
    last: Exception = Undefined("nothing was tried")
    with mpmath.workdps(DIGITS):
        for attempt in range(ATTEMPTS):
            try:
                point = draw_point(roots, rng, attempt, spare)
                evaluate([claimed], point.env, point.sizes, functions, Watch())
                truth = truths_at(point, rng)
            except UNSOUND as e:
                last = e
                continue
            found.append(truth)
            if len(found) == _POINTS:
                return found
    raise Undefined(str(last))


def _by_differences(
    about: About, pair: tuple[Expr, Expr], point: Point, rng: Random, functions: Mapping[str, Derivatives]
) -> _Truth:
    if about.kind == "Hessian":
        return _second(about.f, pair, point, rng, functions)
    path = Path(about.f, pair[0], point, functions)
    floor = smallest(path.scale)
    if about.kind == "Jacobian":
        moves = unit_moves(pair[0], point.sizes, rng)
        numbers = [t for move in moves for t in stacked(path.along({pair[0]: move})).ravel()]
        places = [[k for k, t in enumerate(stacked(move).ravel()) if t] for move in moves]
        return _Truth(point, lambda v: [t for at in places for t in v[:, at].sum(axis=1)], numbers, floor)
    where, entries = differences(path, rng)
    return _Truth(point, lambda v: [v[at] for at in where], entries, floor)


def _second(
    f: Expr, pair: tuple[Expr, Expr], point: Point, rng: Random, functions: Mapping[str, Derivatives]
) -> _Truth:
    """Along random directions first, which see every entry, then along unit ones; on either side, as H is symmetric."""
    x, z = pair
    space = Neighbourhood(f, list(dict.fromkeys(pair)), point, functions)
    units = [(p, q) for p in unit_moves(x, point.sizes, rng) for q in unit_moves(z, point.sizes, rng)]
    units = units if len(units) <= _MOST_PAIRS else rng.sample(units, _MOST_PAIRS)
    drawn = [(draw_moves([x], point.sizes, rng)[x], draw_moves([z], point.sizes, rng)[z]) for _ in range(2)]
    drawn += [(q, p) for p, q in drawn] if x is z else []
    chosen = [*drawn, *units]
    numbers = [space.twice_along({x: p}, {z: q})[0, 0] for p, q in chosen]
    return _Truth(
        point,
        lambda v: [between(stacked(p), v, stacked(q)) for p, q in chosen],
        numbers,
        smallest(space.scale, 2),
    )


def _error(claim: Expr, truth: _Truth, functions: Mapping[str, Derivatives]) -> float:
    import mpmath

    with mpmath.workdps(DIGITS):
        value = evaluate([claim], truth.point.env, truth.point.sizes, functions, Watch())[0]
        return relative_error(truth.look(value), truth.numbers, truth.floor)


def find_slip(
    about: About, claimed: Expr, truths: Sequence[_Truth], functions: Mapping[str, Derivatives]
) -> Slip | None:
    """The first slip that explains the claim at every point."""
    for count, slip in enumerate(slips(about, claimed)):
        if count > _MOST_SLIPS:
            break
        try:
            if all(_error(slip.corrected, truth, functions) <= TOLERANCE for truth in truths):
                return slip
        except (*UNSOUND, KeyError):
            continue
    return None


__all__ = ["Slip", "check_claim", "check_claimed", "find_slip"]
