"""Words for shapes that do not fit: both operands, both shapes, the place, a way out."""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from matcalc.dims import ONE, SCALAR, Shape, shape_text
from matcalc.errors import ShapeError, Span
from matcalc.expr import DimMismatch
from matcalc.syntax import tree
from matcalc.syntax.dimensions import literal_of
from matcalc.syntax.scope import Scope
from matcalc.syntax.shapes import Unifier, nice_names, unknowns

_LONGEST = 40  # characters of an operand in a message
_VERBS = {"sum": "adds", "product": "multiplies", "hadamard": "multiplies entry by entry"}


class Operand(NamedTuple):
    text: str
    shape: Shape
    start: int
    end: int

    @property
    def bracketed(self) -> str:
        """The text as an operand of anything."""
        name, opener, _ = self.text.partition("(")
        whole = bool(opener) and self.text.find(")") == len(self.text) - 1 and (not name or name.isalnum())
        return self.text if whole or self.text.replace("_", "").isalnum() else f"({self.text})"

    @property
    def transposed(self) -> str:
        return self.text[:-1] if self.text[:-1].isalnum() and self.text[-1] == "'" else f"{self.bracketed}'"


def misfit(scope: Scope, number: int, shapes: list[Shape], unifier: Unifier, reason: str = "") -> ShapeError:
    """The error for a step whose operands do not fit."""
    step = scope.steps[number]
    taken = set(scope.sizes) | scope.variables.keys() | scope.undeclared.keys() | scope.definitions.keys()
    resolved = [unifier.shape(shapes[a]) for a in step.args]
    names = nice_names(unknowns(resolved), taken)
    operands = []
    source = scope.source_of(number)
    places = step.places or tuple([scope.steps[a].node for a in step.args])
    for node, (rows, cols) in zip(places, resolved, strict=True):
        text = " ".join(source[node.start : node.end].split())
        text = f"({text[1:-1]})" if text[:1] == "{" and text[-1:] == "}" else text
        size = (rows.substitute(names), cols.substitute(names))
        operands.append(
            Operand(text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "...", size, node.start, node.end)
        )
    whole = Operand("", SCALAR, step.node.start, step.node.end)
    if step.kind in _VERBS and len(operands) > 1:
        left, right = _pair(scope, number, resolved, operands)
        verb = _VERBS[step.kind]
        joint = {"sum": "+", "product": "*", "hadamard": ".*"}[step.kind]
        if source[left.end : right.start].strip() in ("./", "⊘", "\\oslash"):
            joint, verb = "./", "divides entry by entry"
        title = f"{left.text} {joint} {right.text} {verb} {shape_text(left.shape)} and {shape_text(right.shape)}"
        hint = {"sum": _hint_sum, "product": _hint_product, "hadamard": _hint_hadamard}[step.kind](left, right)
        return _error(source, title, left, right, Operand("", SCALAR, left.start, right.end), hint)
    if not operands:
        return _error(source, reason, None, None, whole, "")
    first = operands[0]
    text, shape = first.text, shape_text(first.shape)
    if step.kind == "quotient":
        hint = f"for the inverse of a square matrix write {first.bracketed}^-1 in the product; entry by entry, write ./"
        return _error(source, f"division by {text}, which is in {shape}, not a number", first, None, whole, hint)
    if step.kind == "inverse":
        hint = (
            f"entry by entry, write 1./{first.bracketed}"
            if first.shape[1] is ONE
            else f"a pseudoinverse is pinv({text})"
        )
        return _error(source, f"inverse of {text}, which is in {shape} and not square", first, None, whole, hint)
    if step.kind == "power":
        literal = literal_of(scope, step.node.kids[1])
        return _power(source, operands, whole, whole_exponent=literal is None or literal.denominator == 1)
    if step.kind == "entry":
        hint = "write x[i] for a vector, A[i, j], A[i, :] or A[:, j] for a matrix; indices count from 1"
        if first.shape == SCALAR:
            hint = "a number has no entries"
        return _error(source, f"the indices do not fit {text}, which is in {shape}", first, None, whole, hint)
    called = step.node.function.text if isinstance(step.node, (tree.Call, tree.Derived)) else step.kind
    if called in scope.maps:
        listed = ", ".join(shape_text(o.shape) for o in operands[:4])
        title = f"{called} takes {scope.maps[called].domains_text} and is given {listed}"
        return _error(
            source, title, first, operands[1] if len(operands) > 1 else None, whole, f"{scope.maps[called]!r}"
        )
    second = operands[1] if len(operands) > 1 else None
    hint = _NEEDS.get(called, "")
    if called in ("det", "tr", "logdet", "inv", "expm", "adj", "diag") and second is None:
        title = f"{called} needs a square matrix, and {text} is in {shape}"
        hint = f"a square matrix of it is {first.bracketed}'*{first.bracketed}"
    else:
        listed = " and ".join(shape_text(o.shape) for o in operands[:4])
        title = f"{called} of {listed} does not fit"
    return _error(source, title, first, second, whole, hint)


_NEEDS = {
    "inner": "both operands have one shape",
    "hcat": "blocks side by side have the same number of rows; vcat puts them on top of each other",
    "vcat": "blocks on top of each other have the same number of columns; hcat puts them side by side",
    "khatri_rao": "both matrices have the same number of columns",
    "weighted norm": "the weight of a vector in R^n is a matrix in R^{n x n}",
    "norm2": "the weight of a vector in R^n is a matrix in R^{n x n}",
    "norm": "the weight of a vector in R^n is a matrix in R^{n x n}",
    "elementwise power": "base and exponent have one shape, or one of them is a number",
    "reshape": "the new shape must have as many entries as the old one",
    "conv": "with 'valid' the second argument, the image, is at least as large as the first, the kernel",
    "corr": "with 'valid' the second argument, the image, is at least as large as the first, the kernel",
    "e": "e(i, n) has its 1 in entry i, from 1 to n",
}


def _error(
    source: str, title: str, left: Operand | None, right: Operand | None, place: Operand, hint: str
) -> ShapeError:
    pairs = [o for o in (left, right) if o is not None]
    detail = ", ".join(f"{o.text} in {shape_text(o.shape)}" for o in pairs)
    error = ShapeError(title, span=Span(source, place.start, max(place.end, place.start + 1)), detail=detail, hint=hint)
    error.left = (left.text, shape_text(left.shape)) if left else None
    error.right = (right.text, shape_text(right.shape)) if right else None
    return error


def _pair(scope: Scope, number: int, shapes: list[Shape], operands: list[Operand]) -> tuple[Operand, Operand]:
    """The first operand that does not fit, and the one before it that it meets."""
    step = scope.steps[number]

    def fits(*chosen: Shape) -> bool:
        trial = Unifier()
        trial.count = 9000
        try:
            step.rule(chosen, trial.same)
        except DimMismatch:
            return False
        return True

    last = bisect_left(range(1, len(shapes)), True, key=lambda count: not fits(*shapes[: count + 1])) + 1
    last = min(last, len(shapes) - 1)
    before = [i for i in range(last) if shapes[i] != SCALAR] or [0]
    if step.kind != "product":
        return operands[next((i for i in before if not fits(shapes[i], shapes[last])), before[-1])], operands[last]
    return operands[before[-1]], operands[last]


def _hint_sum(left: Operand, right: Operand) -> str:
    for matrix, column in ((left, right), (right, left)):
        (rows, cols), (length, width) = matrix.shape, column.shape
        if width is ONE and length is rows and cols is not ONE:
            return f"to add {column.text} to each column write {matrix.text} + {column.bracketed}*ones({cols})'"
        if length is ONE and width is cols and rows is not ONE:
            return f"to add {column.text} to each row write {matrix.text} + ones({rows})*{column.bracketed}"
    if left.shape == (right.shape[1], right.shape[0]):
        return f"transposed it would fit: {right.transposed}"
    return "the terms of a sum have one shape, or are numbers"


def _hint_product(left: Operand, right: Operand) -> str:
    (m, n), (p, q) = left.shape, right.shape
    a, b = left.bracketed, right.bracketed
    if n is ONE and q is ONE:
        same = m is p
        return (
            f"{a}'*{b} is a number, {a}*{b}' a matrix, {a}.*{b} the product entry by entry"
            if same
            else f"{a}*{b}' is a matrix"
        )
    if m is p:
        return f"transposed it would fit: {left.transposed}*{b}"
    if n is q:
        return f"transposed it would fit: {a}*{right.transposed}"
    return f"the columns of the left factor ({n}) must be the rows of the right one ({p})"


def _hint_hadamard(left: Operand, right: Operand) -> str:
    (rows, cols), (length, width) = left.shape, right.shape
    if left.shape == (width, length):
        return f"transposed it would fit: {right.transposed}"
    if width is ONE and length is rows:
        return f"to scale the rows of {left.text} write diag({right.text})*{left.bracketed}"
    if cols is ONE and length is rows:
        return f"to scale the rows of {right.text} write diag({left.text})*{right.bracketed}"
    return "an elementwise product needs two of the same shape"


def _power(source: str, operands: list[Operand], whole: Operand, whole_exponent: bool) -> ShapeError:
    base, exponent = operands
    b = base.bracketed
    if exponent.shape != SCALAR:
        title = f"the exponent {exponent.text} is in {shape_text(exponent.shape)}, not a number"
        hint = f"for the exponential write exp({exponent.text})" if base.text == "e" else "entry by entry, write .^"
        return _error(source, title, base, exponent, whole, hint)
    title = f"{base.text}^{exponent.text} is a power of {shape_text(base.shape)}, which is not square"
    if base.shape[0] is base.shape[1] or not whole_exponent:
        return _error(
            source,
            f"{base.text}^{exponent.bracketed}: the power of a matrix is a whole number",
            base,
            None,
            whole,
            f"entry by entry, write {b}.^{exponent.bracketed}",
        )
    hint = f"entry by entry, write {b}.^{exponent.text}"
    if base.shape[1] is ONE and exponent.text == "2":
        hint += (
            f"; the sum of squares is norm2({base.text.strip('|')})^2"
            if "|" in b
            else f"; the sum of squares is {b}'*{b}"
        )
    return _error(source, title, base, None, whole, hint)
