"""Kinds and shapes of undeclared names.

Upper-case letters are matrices, lower-case ones vectors, Greek ones numbers. Where these defaults do not fit, the
fewest changes among the names that the conflict concerns are tried, cheapest first; making a number of a name that
stands in front of a product comes first of all. Two equally cheap corrections are two readings: an error that shows
both.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import NamedTuple

from matcalc.dims import ONE, SCALAR, Dim, Shape
from matcalc.errors import AmbiguityError, Span
from matcalc.expr import DimMismatch
from matcalc.syntax import tree
from matcalc.syntax.scope import Scope, Step, Undeclared
from matcalc.syntax.shapes import Unifier
from matcalc.syntax.spelling import GREEK

SCALAR_KIND, VECTOR, MATRIX = "number", "vector", "matrix"
MAX_ATTEMPTS = 300  # corrections that are tried
MAX_WORK = 300_000  # steps that are looked at meanwhile
NEAR = 12  # undeclared names that a conflict can concern

# What a correction costs. The first of all: a coefficient, in front of a product, that is a number after all.
_COST = {
    (VECTOR, SCALAR_KIND): 1.0,
    (MATRIX, VECTOR): 1.5,
    (SCALAR_KIND, VECTOR): 1.4,
    (MATRIX, SCALAR_KIND): 2.5,
    (VECTOR, MATRIX): 2.0,
    (SCALAR_KIND, MATRIX): 2.5,
}
_OTHER_MEMBERS = 0.5  # x_i is a number where the rest of the text made it a column, or the other way round
_COEFFICIENT = 0.1
# More, for a term of a sum that does not fit (A*alpha - y has a vector alpha rather than a number y), and for what is
# transposed somewhere ((y - x'*beta)^2 has a vector beta rather than a number x).
_SPREAD = 1.0
_HIGHEST_COST = 3.3  # a text that needs more is rather wrong than unusual


class Conflict(Exception):
    """Shapes that do not fit at a step, with what was known by then; the step is None where the value is no scalar."""

    def __init__(self, step: int | None, at: int, shapes: list[Shape], unifier: Unifier, mismatch: DimMismatch) -> None:
        super().__init__(*mismatch.args)
        self.step, self.at, self.shapes, self.unifier = step, at, shapes, unifier


class Solution(NamedTuple):
    shapes: list[Shape]  # of each step, before resolution
    unifier: Unifier


def default_kind(name: str) -> str:
    stem = name.partition("_")[0].rstrip("0123456789")
    if name[0].isupper():
        return MATRIX
    return SCALAR_KIND if stem in GREEK else VECTOR


def first_kind(name: str, found: Undeclared) -> str:
    """The kind by the name and by what its place forces."""
    if found.family is not None:  # a vector of numbers, or a matrix of columns
        member = found.family.declared
        return MATRIX if (found.family.column if member is None else not member.is_scalar) else VECTOR
    if found.scalar or found.integer:
        return SCALAR_KIND
    kind = default_kind(name)
    return VECTOR if kind == SCALAR_KIND and found.turned else kind


def farthest(loops: list[tuple[int, int, Dim]]) -> list[tuple[int, int, Dim]]:
    """Of the last entries that are taken of one thing, x_i and x_{i+1}, the last one of all."""
    found: dict[tuple[int, int], Dim] = {}
    others = []
    for number, axis, last in loops:
        known = found.setdefault((number, axis), last)
        ahead = (last - known).value
        if ahead is not None and ahead > 0:
            found[number, axis] = last
        elif ahead is None:
            others.append((number, axis, last))
    return [*((number, axis, last) for (number, axis), last in found.items()), *others]


def fold(scope: Scope, kinds: dict[str, str], result: int | None) -> Solution:
    """The shapes of all steps under an assumption on the kinds; ``result`` is a step that must be a number.

    Raises   Conflict
    """
    unifier = Unifier()
    shapes: list[Shape] = []
    declared = scope.undeclared
    same = unifier.same
    for number, step in enumerate(scope.steps):
        if step.kind == "variable" and step.name in declared:
            kind = kinds[step.name]
            family = declared[step.name].family
            rows = ONE if kind == SCALAR_KIND else unifier.fresh()
            if kind == MATRIX and family is not None and family.declared is not None:
                rows = family.declared.rows
            shape = (rows, unifier.fresh() if kind == MATRIX else ONE)
            if step.name in scope.stacked and family is None and kind == MATRIX:  # kron(A, B)*vec(X) is vec(B*X*A')
                shape = (shape[1], shape[0])
        elif step.kind == "identity":
            order = unifier.fresh()
            shape = (order, order)
        elif step.kind == "ones":
            shape = (unifier.fresh(), ONE)
        else:
            try:
                shape = step.rule(tuple([unifier.shape(shapes[a]) for a in step.args]), same)
            except DimMismatch as mismatch:
                raise Conflict(number, number, shapes, unifier, mismatch) from None
        shapes.append(shape)
    for number, axis, last in farthest(scope.loops):
        rows, cols = unifier.shape(shapes[number])
        length = rows if axis == 0 or (axis < 0 and cols is ONE) else cols
        if not last.is_unknown:
            unifier.bind(length, last)
            continue
        try:  # a sum without bounds: as far as the index runs
            unifier.same(length, last)
        except DimMismatch as mismatch:
            raise Conflict(number, number, shapes, unifier, mismatch) from None
    if result is not None and unifier.shape(shapes[result]) != SCALAR:
        raise Conflict(None, result, shapes, unifier, DimMismatch(*unifier.shape(shapes[result])))
    return Solution(shapes, unifier)


def solve(scope: Scope, result: int, scalar: bool) -> Solution:
    """The shapes of all steps, after the fewest corrections of the default kinds.

    Raises   Conflict of the default kinds where no correction helps; AmbiguityError
    """
    kinds = {name: first_kind(name, found) for name, found in scope.undeclared.items()}
    for number, axis, _ in scope.loops:
        if axis == 1 and scope.steps[number].name in kinds:  # a_ij, where j runs too
            kinds[scope.steps[number].name] = MATRIX
    scope.stacked = {scope.steps[a].name for step in scope.steps if _is_vec(step) for a in step.args}
    demand = result if scalar else None
    try:
        return fold(scope, kinds, demand)
    except Conflict as conflict:
        first = conflict
    corrected = _search(scope, kinds, demand, first) if kinds else None
    if corrected is not None:
        return corrected
    if demand is not None and first.step is None:
        return fold(scope, kinds, None)
    if demand is not None:
        return solve(scope, result, False)
    raise first


def _is_vec(step: Step) -> bool:
    return isinstance(step.node, tree.Call) and step.node.function.text == "vec"


def _search(scope: Scope, kinds: dict[str, str], result: int | None, first: Conflict) -> Solution | None:
    """The cheapest corrections that fit, in order of cost; more of them are made only of names in a conflict."""
    fronts = coefficients(scope)
    waiting: list[tuple[float, int, dict[str, str]]] = []
    seen: set[frozenset[tuple[str, str]]] = set()

    def extend(changes: dict[str, str], cost: float, conflict: Conflict) -> None:
        names = concerned(scope, conflict.at)
        spread = bare_names(scope, conflict.at) if scope.steps[conflict.at].kind == "sum" else set()
        if scope.steps[conflict.at].kind in ("power", "quotient"):
            # s^2: s may be a number, but not w for sigma(X'*w)^2; (y - x'*beta)^2: beta may be a vector
            bare = bare_names(scope, scope.steps[conflict.at].args[0])
            names = [name for name in names if name in bare or {**kinds, **changes}[name] == SCALAR_KIND]
        for name in names:
            family = scope.undeclared[name].family
            if name in changes or scope.undeclared[name].scalar or (family is not None and family.declared is not None):
                continue
            others = (SCALAR_KIND, VECTOR, MATRIX) if family is None else (VECTOR, MATRIX)
            for kind in others if name not in scope.apart else (VECTOR,):
                if kinds[name] == MATRIX and kind == SCALAR_KIND and name not in fronts:
                    continue
                price = _COST.get((kinds[name], kind)) if family is None or kind == kinds[name] else _OTHER_MEMBERS
                more = {**changes, name: kind}
                key = frozenset(more.items())
                if price is not None and key not in seen:
                    seen.add(key)
                    if kind == SCALAR_KIND and (name in spread or scope.undeclared[name].turned):
                        price += _SPREAD
                    elif kind == SCALAR_KIND and name in fronts:
                        price -= _COEFFICIENT
                    heappush(waiting, (cost + price, len(seen), more))

    extend({}, 0.0, first)
    found: list[tuple[float, dict[str, str], Solution]] = []
    for _ in range(min(MAX_ATTEMPTS, 2 + MAX_WORK // len(scope.steps))):
        if not waiting or (found and waiting[0][0] > found[0][0] + 1e-9):
            break
        cost, _, changes = heappop(waiting)
        if cost > _HIGHEST_COST:
            break
        try:
            found.append((cost, changes, fold(scope, {**kinds, **changes}, result)))
        except Conflict as conflict:
            extend(changes, cost, conflict)
    if len(found) > 1:
        raise _two_readings(scope, [changes for _, changes, _ in found], first)
    return found[0][2] if found else None


def coefficients(scope: Scope) -> set[str]:
    """The undeclared names that stand in front of a product."""
    found = set()
    for step in scope.steps:
        if step.kind == "product":
            front = next((scope.steps[a] for a in step.args if scope.steps[a].kind != "number"), None)
            if front is not None and front.name in scope.undeclared:
                found.add(front.name)
    return found


def bare_names(scope: Scope, at: int) -> set[str]:
    """The undeclared names that a step is, or is a sum of."""
    found = set()
    waiting, seen = [at], {at}
    while waiting:
        step = scope.steps[waiting.pop()]
        below: tuple[int, ...] = ()
        if step.kind == "sum":
            below = step.args
        elif step.kind == "product":
            others = tuple([a for a in step.args if scope.steps[a].kind != "number"])
            below = others if len(others) == 1 else ()
        elif step.name in scope.undeclared:
            found.add(step.name)
        waiting += [a for a in below if a not in seen]
        seen.update(below)
    return found


def concerned(scope: Scope, at: int) -> list[str]:
    """The undeclared names under a step, nearest first."""
    names: dict[str, None] = {}
    seen = {at}
    level = [at]
    while level and len(names) < NEAR:
        below: list[int] = []
        for number in level:
            step: Step = scope.steps[number]
            if step.name in scope.undeclared:
                names[step.name] = None
            for a in step.args:
                if a not in seen:
                    seen.add(a)
                    below.append(a)
        level = below
    return list(names)[:NEAR]


def _two_readings(scope: Scope, readings: list[dict[str, str]], first: Conflict) -> AmbiguityError:
    example = {SCALAR_KIND: "R", VECTOR: "R^n", MATRIX: "R^{m x n}"}
    members = {VECTOR: "R", MATRIX: "R^n"}

    def declaration(name: str, kind: str) -> str:
        family = scope.undeclared[name].family
        return f"{name} in {example[kind]}" if family is None else f"{family.node.text} in {members[kind]}"

    lines = ["; ".join(declaration(name, kind) for name, kind in reading.items()) for reading in readings[:4]]
    names = [name for reading in readings for name in reading]
    node = scope.undeclared[names[0]].node
    of_vectors = first.step is not None and scope.steps[first.step].kind == "product"
    return AmbiguityError(
        f"`{names[0]}` can be of several kinds here",
        span=Span(scope.source_of(scope.undeclared[names[0]].index), node.start, node.end),
        detail="either " + ", or ".join(lines),
        hint=f'declare {names[0]}, for example where "{lines[0]}"'
        + "; of two vectors the product entry by entry is .*" * of_vectors,
    )


__all__ = [
    "Conflict",
    "Solution",
    "Undeclared",
    "bare_names",
    "coefficients",
    "concerned",
    "default_kind",
    "fold",
    "solve",
]
