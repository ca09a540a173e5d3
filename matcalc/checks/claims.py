"""A derivative that the user claims, compared by number; where it differs, the slip that explains it is looked for.

A slip is one small change of the claim after which the numbers agree: the whole or one factor transposed, a number or a
size missing, one sign, one function or variable written for another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from random import Random
from typing import Any, NamedTuple

from matcalc.checks.domain import Undefined, Watch
from matcalc.checks.evaluate import Derivatives, evaluate
from matcalc.checks.report import FAILED, INCONCLUSIVE, PASSED, Outcome, Report
from matcalc.checks.sampling import Point, draw_point
from matcalc.checks.taylor import (
    DIGITS,
    TOLERANCE,
    UNSOUND,
    Functions,
    Path,
    derivatives,
    differences,
    relative_error,
    require_scalar,
)
from matcalc.dims import shape_text
from matcalc.expr import Expr, postorder, rebuild, substitute
from matcalc.primitives.algebra import ADD, TRANSPOSE, transpose
from matcalc.primitives.base import zeros
from matcalc.primitives.functions import Elementwise
from matcalc.primitives.leaves import const, size

_ATTEMPTS = 60
_POINTS = 2
_MOST_SLIPS = 2000


class Slip(NamedTuple):
    """A change of a claim: in words (with the expressions that they speak of), and the claim after it."""

    words: tuple[str | Expr, ...]
    corrected: Expr

    @property
    def said(self) -> str:
        return "".join(w if isinstance(w, str) else _text(w) for w in self.words)


class _Truth(NamedTuple):
    point: Point
    where: list[tuple[int, int]]
    entries: list[Any]
    scale: Any


def check_claim(f: Expr, variable: Expr, claimed: Expr, *, seed: int = 0, functions: Functions | None = None) -> Report:
    """Compares a claimed gradient of a scalar ``f`` with differences; if it differs, names the likely slip.

    Raises   NotScalarError
    """
    require_scalar(f)
    known = derivatives(functions)
    name, shape = str(getattr(variable.op, "name", variable.op)), shape_text(variable.shape)

    def report(sizes: dict[str, int], error: float | None, verdict: str, note: str) -> Report:
        outcome = Outcome(name, shape, sizes, (), error, None, verdict, (note,) if note else ())
        return Report([outcome], seed, title="claimed gradient")

    try:
        truths = _truths(f, variable, claimed, seed, known)
    except UNSOUND as e:
        return report({}, None, INCONCLUSIVE, f"no point was found at which the claim can be tested: {e}")
    sizes = truths[0].point.sizes
    if claimed.shape == variable.shape:
        errors = [_error(claimed, truth, known) for truth in truths]
        if all(e <= TOLERANCE for e in errors):
            return report(sizes, max(errors), PASSED, f"the claim agrees at {len(errors)} random points")
        error: float | None = max(errors)
    else:
        error = None
    mismatch = f"the claim is in {shape_text(claimed.shape)}, and the gradient in {shape}; " if error is None else ""
    slip = find_slip(f, variable, claimed, truths, known)
    explained = f"it agrees after {slip.said}" if slip else "no single slip explains it"
    return report(sizes, error, FAILED, f"{mismatch}the claim is not the gradient: {explained}")


def _truths(f: Expr, variable: Expr, claimed: Expr, seed: int, functions: Mapping[str, Derivatives]) -> list[_Truth]:
    import mpmath

    rng = Random(f"{seed} claim")
    found: list[_Truth] = []
    last: Exception = Undefined("nothing was tried")
    with mpmath.workdps(DIGITS):
        for attempt in range(_ATTEMPTS):
            try:
                point = draw_point([f, claimed, variable], rng, attempt)
                evaluate([claimed], point.env, point.sizes, functions, Watch())
                path = Path(f, variable, point, functions)
                where, entries = differences(path, rng)
            except UNSOUND as e:
                last = e
                continue
            found.append(_Truth(point, where, entries, abs(path.base[0, 0])))
            if len(found) == _POINTS:
                return found
    raise Undefined(str(last))


def _error(claim: Expr, truth: _Truth, functions: Mapping[str, Derivatives]) -> float:
    import mpmath

    with mpmath.workdps(DIGITS):
        value = evaluate([claim], truth.point.env, truth.point.sizes, functions, Watch())[0]
        return relative_error([value[at] for at in truth.where], truth.entries, truth.scale)


def find_slip(
    f: Expr, variable: Expr, claimed: Expr, truths: Sequence[_Truth], functions: Mapping[str, Derivatives]
) -> Slip | None:
    """The first slip that explains the claim at every point."""
    for count, slip in enumerate(_slips(f, claimed)):
        if count > _MOST_SLIPS:
            break
        if slip.corrected.shape != variable.shape:
            continue
        try:
            if all(_error(slip.corrected, truth, functions) <= TOLERANCE for truth in truths):
                return slip
        except (*UNSOUND, KeyError):
            continue
    return None


def _slips(f: Expr, claim: Expr) -> Iterator[Slip]:
    """Small changes of ``claim``, the likeliest first."""
    yield from _of_the_whole(f, claim)
    yield from _exchanged_functions(f, claim)
    yield from _exchanged_variables(f, claim)
    yield from _of_a_part(claim)


def _of_the_whole(f: Expr, claim: Expr) -> Iterator[Slip]:
    yield Slip(("a change of sign",), -claim)
    if not claim.is_scalar:
        yield Slip(("transposing it",), claim.T)
        if claim.rows is claim.cols:  # of a variable that is declared symmetric
            yield Slip(("taking its symmetric part",), (claim + claim.T) / 2)
    for factor in _factors(f):
        yield Slip(("multiplying it by ", factor), factor * claim)
        yield Slip(("multiplying it by -", factor), -(factor * claim))
        if not claim.is_scalar:
            yield Slip(("transposing it and multiplying it by ", factor), factor * claim.T)


def _factors(f: Expr) -> Iterator[Expr]:
    for number in (2, Fraction(1, 2), 3, 4, Fraction(1, 3), Fraction(1, 4)):
        yield const(number)
    dims = {d for node in postorder([f]) for d in node.shape if d.value is None}
    for d in sorted(dims, key=str):
        for number in (1, 2, Fraction(1, 2)):
            yield number * size(d)
            yield number * size(d) ** -1


def _exchanged_functions(f: Expr, claim: Expr) -> Iterator[Slip]:
    """One function for another, or one derivative of it for another: in one place, then everywhere."""
    applied = [(e, e.op) for e in postorder([claim]) if isinstance(e.op, Elementwise)]
    used = {e.op.function for e in postorder([f, claim]) if isinstance(e.op, Elementwise)}
    ordered = sorted(used, key=lambda g: g.name)
    for node, op in applied:
        for other in ordered:
            for order in (op.order, op.order + 1, op.order - 1):
                if order < 0 or (other is op.function and order == op.order) or (order and other.kind == "known"):
                    continue
                now = other.name + "'" * order
                for new in _in_place(claim, node, Elementwise(other, order)(node.args[0])):
                    yield Slip((f"{op} -> {now} in ", node), new)
    for function in ordered:
        for other in ordered:
            if other is not function:
                everywhere = {e: Elementwise(other, op.order) for e, op in applied if op.function is function}
                yield Slip((f"{function.name} -> {other.name} everywhere",), _with_functions(claim, everywhere))


def _exchanged_variables(f: Expr, claim: Expr) -> Iterator[Slip]:
    """One variable for another of the same shape: in one place, then everywhere."""
    known = [e for e in postorder([f, claim]) if e.op.is_variable]
    for node, slot in _places(claim):
        old = node.args[slot]
        for new in known if old.op.is_variable else []:
            if new is not old and new.shape == old.shape:
                for changed in _in_place(claim, node, _with_argument(node, slot, new)):
                    yield Slip((old, " -> ", new, " in ", node), changed)
    for old in known:
        for new in known:
            if new is not old and new.shape == old.shape:
                yield Slip((old, " -> ", new, " everywhere"), substitute(claim, {old: new}))


def _of_a_part(claim: Expr) -> Iterator[Slip]:
    """One factor transposed, one term with another sign or coefficient."""
    for node, slot in _places(claim):
        old = node.args[slot]
        if old.rows is old.cols and not old.is_scalar and node.op is not TRANSPOSE:
            for new in (transpose(old), (old + transpose(old)) / 2):
                for changed in _in_place(claim, node, _with_argument(node, slot, new)):
                    yield Slip((old, " -> ", new, " in ", node), changed)
    for node, slot in _places(claim):
        if node.op is ADD:
            term = node.args[slot]
            changes = [("a change of sign of", -term), ("doubling", 2 * term), ("halving", Fraction(1, 2) * term)]
            changes.append(("leaving out", zeros(term.shape)))
            if term.rows is term.cols and not term.is_scalar:
                changes.append(("transposing", term.T))
            for said, new in changes:
                for changed in _in_place(claim, node, _with_argument(node, slot, new)):
                    yield Slip((f"{said} ", term), changed)


def _places(claim: Expr) -> Iterator[tuple[Expr, int]]:
    """Every use of every node, by the node that uses it and the slot."""
    for node in postorder([claim]):
        for slot in range(len(node.args)):
            yield node, slot


def _with_argument(node: Expr, slot: int, new: Expr) -> Expr:
    return rebuild(node, (*node.args[:slot], new, *node.args[slot + 1 :]))


def _in_place(claim: Expr, node: Expr, new: Expr) -> Iterator[Expr]:
    """The claim with ``new`` for ``node``, which may be used several times: in all of its places, then in each."""
    yield substitute(claim, {node: new})
    uses = [(user, slot) for user, slot in _places(claim) if user.args[slot] is node]
    if len(uses) > 1:
        for user, slot in uses:
            yield substitute(claim, {user: _with_argument(user, slot, new)})


def _with_functions(claim: Expr, changed: Mapping[Expr, Elementwise]) -> Expr:
    """Like ``substitute``, for applications that lie within one another."""
    done: dict[Expr, Expr] = {}
    for node in postorder([claim]):
        args = tuple(done[a] for a in node.args)
        done[node] = changed[node](*args) if node in changed else rebuild(node, args)
    return done[claim]


def _text(e: Expr) -> str:
    from matcalc.printing.text import text

    return text(e)
