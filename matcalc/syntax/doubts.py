"""What a reader should look at twice: readings that hold by the rules of the language and may not be meant."""

from __future__ import annotations

from collections.abc import Iterator

from matcalc.dims import ONE, shape_text
from matcalc.expr import Expr
from matcalc.primitives.leaves import number_of
from matcalc.primitives.reductions import Max
from matcalc.syntax import tree
from matcalc.syntax.kinds import SCALAR_KIND, VECTOR, bare_names, coefficients, concerned, default_kind
from matcalc.syntax.scope import Scope, Step
from matcalc.syntax.spelling import GREEK

_TOTALS = frozenset({"sum", "mean"})
_LONGEST = 60  # characters of the text that are shown


def warnings(scope: Scope, nodes: list[Expr]) -> list[str]:
    """One sentence for each doubt, in the order of the text; ``nodes`` are what the steps became."""
    out: list[str] = []
    for number, step in enumerate(scope.steps):
        if isinstance(step.node, tree.Absolute) and ONE not in nodes[number].shape:
            inner = _shown(scope, number, step.node.kids[0])
            out.append(f"|{inner}| is taken entry by entry; the determinant is det({inner})")
        if isinstance(step.node, tree.Call):
            out += _columnwise(scope, number, step, nodes)
            out += _spaced(scope, number, step.node)
            out += _totals_of_numbers(scope, number, step, nodes)
        if step.kind == "sum" and not nodes[number].is_scalar:
            out += _spread(scope, number, step, nodes)
        if step.kind == "product":
            out += _numbers_behind(scope, step, nodes)
        if step.kind == "power":
            out += _matrix_powers(scope, number, step, nodes)
    return list(dict.fromkeys(out))


def _shown(scope: Scope, number: int, node: tree.Node) -> str:
    return " ".join(scope.source_of(number)[node.start : node.end].split())[:_LONGEST]


def _columnwise(scope: Scope, number: int, step: Step, nodes: list[Expr]) -> Iterator[str]:
    """``max(X, 0)`` is the maximum of each column, as ``sum(X, 0)`` is its sum."""
    if isinstance(nodes[number].op, Max) and len(step.node.kids) == 2:
        last = step.node.kids[1]
        if isinstance(last, tree.Number) and last.text == "0":
            text = _shown(scope, number, step.node)
            yield f"{text} is the largest entry of each column; the larger of each entry and 0 is relu"


def _spaced(scope: Scope, number: int, call: tree.Call) -> Iterator[str]:
    """``C (D*x + d)`` is a function C of what is in the brackets, as is ``Psi (W*x)``; a Latin C may be a matrix."""
    name = call.function.text
    apart = scope.source_of(number)[call.function.end : call.function.end + 1].isspace()
    if name in scope.unknown_functions and apart and name[0].isupper() and name.partition("_")[0] not in GREEK:
        yield f"{name}(...) is a function of what is in the brackets; for a product write {name}*(...)"


def _spread(scope: Scope, number: int, step: Step, nodes: list[Expr]) -> Iterator[str]:
    """A number that is added to all entries: a Greek letter that may be a vector, or one that was computed, often by a
    transpose in the wrong place.
    """
    shape = nodes[number].shape
    for a, place in zip(step.args, step.places or [scope.steps[a].node for a in step.args], strict=True):
        node = nodes[a]
        if not node.is_scalar:
            continue
        names = sorted(bare_names(scope, a))
        if len(names) == 1 and default_kind(names[0]) == SCALAR_KIND and not scope.undeclared[names[0]].scalar:
            name, way = names[0], f"for a vector declare {names[0]} in {shape_text(shape)}"
            if shape[0] is shape[1]:
                way = f"on the diagonal write {name}*I, for a matrix declare {name} in {shape_text(shape)}"
            yield f"{name} is read as a number and added to every entry; {way}"
        elif not is_plain(node) and ONE not in shape:
            yield (
                f"{_shown(scope, number, place)} is a number and is added to every entry of a matrix in "
                f"{shape_text(shape)}; is a transpose in the wrong place?"
            )


def _numbers_behind(scope: Scope, step: Step, nodes: list[Expr]) -> Iterator[str]:
    """``X*beta`` of a matrix and a number, where a number is rather written in front."""
    if len(step.args) < 2 or ONE in nodes[step.args[-2]].shape or not nodes[step.args[-1]].is_scalar:
        return
    name, (_, cols) = scope.steps[step.args[-1]].name, nodes[step.args[-2]].shape
    if name in scope.undeclared and default_kind(name) == SCALAR_KIND and not scope.undeclared[name].scalar:
        yield f"{name} is read as a number; for a vector declare {name} in {shape_text((cols, ONE))}"


def _matrix_powers(scope: Scope, number: int, step: Step, nodes: list[Expr]) -> Iterator[str]:
    """``(y - X*w)^2``, where only the power makes y a matrix."""
    if nodes[number].is_scalar or not isinstance(step.node, tree.Power):
        return
    forced, fronts = [], coefficients(scope)
    for name in concerned(scope, step.args[0]):
        found, node = scope.undeclared[name], nodes[scope.undeclared[name].index]
        lower = default_kind(name) == VECTOR and found.family is None and not found.integer
        if lower and (name not in fronts if node.is_scalar else not node.is_column):
            forced.append(f"{name} in {shape_text(node.shape)}")
    if forced:
        said = f"{_shown(scope, number, step.node)} is the power of a square matrix, so that {', '.join(forced)}"
        yield f"{said}; entry by entry, write {_entrywise(scope, number, step.node)}"


def _totals_of_numbers(scope: Scope, number: int, step: Step, nodes: list[Expr]) -> Iterator[str]:
    """``sum(x^2)``, where only the power makes a number of x."""
    if not isinstance(step.node, tree.Call) or step.node.function.text not in _TOTALS or not step.args:
        return
    if not nodes[step.args[0]].is_scalar:
        return
    waiting, seen = [step.args[0]], set(step.args)
    while waiting:
        below = waiting.pop()
        inner = scope.steps[below]
        waiting += [a for a in inner.args if a not in seen]
        seen.update(inner.args)
        if inner.kind != "power" or not isinstance(inner.node, tree.Power):
            continue
        names = sorted(n for n in bare_names(scope, inner.args[0]) if default_kind(n) == VECTOR)
        if names and not scope.undeclared[names[0]].scalar and scope.undeclared[names[0]].family is None:
            text = _shown(scope, below, inner.node)
            yield f"{text} is the power of a number; entry by entry, write {_entrywise(scope, below, inner.node)}"


def _entrywise(scope: Scope, number: int, node: tree.Power) -> str:
    base, exponent = node.kids
    return f"{_shown(scope, number, base)}.^{_shown(scope, number, exponent)}"


def is_plain(node: Expr) -> bool:
    """A number, a variable, or a number times one."""
    args = [a for a in node.args if number_of(a) is None]
    return not node.args or (len(node.args) == 2 and len(args) == 1 and not args[0].args) or (not args)


__all__ = ["is_plain", "warnings"]
