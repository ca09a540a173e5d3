"""Numbers, dimensions and positions, as a text writes them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from matcalc.dims import Dim, dim
from matcalc.errors import DeclarationError, LimitError
from matcalc.syntax import tree
from matcalc.syntax.builder import JUXTAPOSED

if TYPE_CHECKING:
    from matcalc.syntax.scope import Scope

MAX_DIGITS = 300  # of a number
MAX_TERMS = 40  # of a dimension

# What a dimension is computed with.
OPERATORS: dict[str, Callable[[Dim, Dim], Dim]] = {
    "PLUS": lambda a, b: a + b,
    "MINUS": lambda a, b: a - b,
    "TIMES": lambda a, b: a * b,
    JUXTAPOSED: lambda a, b: a * b,
}


def number_in(scope: Scope, node: tree.Number) -> int | float:
    """The value of a number; a float where it has a point or an exponent."""
    if len(node.text) > MAX_DIGITS:
        raise LimitError(
            f"a number of {len(node.text)} characters, more than {MAX_DIGITS}",
            span=scope.span(node),
            hint="round it, or write it as a power: 10^400",
        )
    if node.text.isdigit():
        return int(node.text)
    value = float(node.text)
    if value in (float("inf"), 0.0) and any(c in "123456789" for c in node.text.lower().partition("e")[0]):
        raise LimitError(
            "the number is too large or too small for a float",
            span=scope.span(node),
            hint="write it as a power, which stays exact: 10^400, 10^-400",
        )
    return value


def literal_of(scope: Scope, node: tree.Node) -> Fraction | None:
    """The number that an exponent is, where it is written as one."""
    sign = 1
    while isinstance(node, (tree.Group, tree.Negation)):
        sign = -sign if isinstance(node, tree.Negation) else sign
        node = node.kids[0]
    if isinstance(node, tree.Number):
        return sign * Fraction(number_in(scope, node))
    if isinstance(node, tree.Fraction) or (isinstance(node, tree.Binary) and node.operator == "SLASH"):
        for kid in node.kids:
            while isinstance(kid, (tree.Group, tree.Negation)):  # (-1)/2, which is how -1/2 is read
                kid = kid.kids[0]
            if not isinstance(kid, tree.Number):
                return None
        above, below = (literal_of(scope, kid) for kid in node.kids)
        return sign * above / below if above is not None and below else None
    return None


def dimension_of(scope: Scope, root: tree.Node) -> Dim:
    """A dimension written as an expression: names, whole numbers, sums and products of those."""
    values: list[Dim] = []
    stack: list[Any] = [root]
    while stack:
        node = stack.pop()
        if callable(node):
            right = values.pop()
            values.append(node(values.pop(), right))
            if len(values[-1].terms) > MAX_TERMS:
                raise LimitError(f"a dimension of more than {MAX_TERMS} terms", span=scope.span(root))
        elif isinstance(node, tree.Group):
            stack.append(node.kids[0])
        elif isinstance(node, tree.Number) and node.text.isdigit() and len(node.text) < 16:
            values.append(dim(int(node.text)))
        elif isinstance(node, tree.Name) and node.text not in scope.variables and node.text not in scope.definitions:
            if node.text in scope.undeclared:
                raise DeclarationError(
                    f"`{node.text}` stands for a dimension here and for a variable before",
                    span=scope.span(node),
                    hint=f"declare a variable that has it, for example `x in R^{node.text}`",
                )
            scope.sizes.add(node.text)
            scope.guessed_sizes.discard(node.text)
            values.append(dim(node.text))
        elif isinstance(node, tree.Binary) and node.operator in OPERATORS:
            stack += [OPERATORS[node.operator], node.kids[1], node.kids[0]]
        elif isinstance(node, tree.Name):
            raise DeclarationError(
                f"`{node.text}` stands for a dimension here and is declared as a variable",
                span=scope.span(node),
                hint="a dimension may be used as a number without declaring it; rename one of them otherwise",
            )
        else:
            raise DeclarationError(
                f"`{scope.source[node.start : node.end][:40]}` is not a dimension",
                span=scope.span(node),
                hint="a dimension is a name (n), a whole number, or a sum or product of those (n+1, m*n)",
            )
    (result,) = values
    if result.value is not None and result.value < 1:
        raise DeclarationError(f"a dimension of {result}", span=scope.span(root), hint="dimensions are at least 1")
    return result


def size_of(scope: Scope, node: tree.Node) -> Dim | None:
    """The dimension that the last value of an index is, such as n-1, where its names are those of sizes."""
    names = [k.text for k in tree.walk([node]) if isinstance(k, tree.Name)]
    if not names or any(name not in scope.sizes or name in scope.undeclared for name in names):
        return None
    if any(isinstance(k, tree.Binary) and k.operator not in OPERATORS for k in tree.walk([node])):
        return None
    guessed = scope.guessed_sizes.intersection(names)
    found = dimension_of(scope, node)
    scope.guessed_sizes |= guessed
    return found


def last_of(scope: Scope, position: tree.Node) -> Dim | None:
    """The last entry that an index, or an index and a number (i+1, i-1), takes, where that is a size."""
    _check_index(scope, position)
    if isinstance(position, tree.Name):
        return scope.bound.get(position.text)
    if not isinstance(position, tree.Binary) or position.operator not in ("PLUS", "MINUS"):
        return None
    index, number = position.kids
    if isinstance(index, tree.Number) and position.operator == "PLUS":
        index, number = number, index
    last = scope.bound.get(index.text) if isinstance(index, tree.Name) else None
    if last is None or not isinstance(number, tree.Number) or not number.text.isdigit() or len(number.text) > 9:
        return None
    if last.is_unknown:
        raise DeclarationError(
            f"the sum over {scope.source[index.start : index.end]} needs bounds, as it does not run through all",
            span=scope.span(position),
            hint="write them, for example sum(i=1:n-1, (x[i+1] - x[i])^2)",
        )
    return last + int(number.text) if position.operator == "PLUS" else last - int(number.text)


def _check_index(scope: Scope, node: tree.Node) -> None:
    """Refuses as a position the index of a sum that begins at 0, and t-1 where t begins at 1."""
    offset = 0
    name: tree.Node = node
    if isinstance(node, tree.Binary) and node.operator in ("PLUS", "MINUS"):
        name, number = node.kids
        if not isinstance(number, tree.Number) or not number.text.isdigit() or len(number.text) > 9:
            return
        offset = int(number.text) if node.operator == "PLUS" else -int(number.text)
    if not isinstance(name, tree.Name) or name.text not in scope.firsts:
        return
    i, first = name.text, scope.firsts[name.text]
    if first + offset >= 1:
        return
    if offset:
        raise DeclarationError(
            f"the index {i} of the sum begins at {first}, so {i}{offset:+d} before 1, where entries and columns begin",
            span=scope.span(node),
            hint=f"begin the sum at {i}={1 - offset}",
        )
    raise DeclarationError(
        f"the index {i} of the sum begins before 1, and entries and columns are counted from 1",
        span=scope.span(node),
        hint=f"begin at {i}=1 and write {i}-1 where the number is meant, or take [{i}+1] as the index",
    )
