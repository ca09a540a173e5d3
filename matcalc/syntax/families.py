"""Families: ``x_i`` within a sum over i, one of the vectors ``x_1, ..., x_m`` or one of the entries of ``x``.

With a vector ``x`` in the text, ``x_i`` is its entry; with a matrix ``X`` (or ``x``) it is column i. Where neither
stands in the text, the family itself is the variable: a vector ``x`` of its numbers, or a matrix ``X = [x_1|...|x_m]``.
Which of the two is read from the places of its members (a column is what is transposed, stands in a norm, or behind a
matrix), and corrected as the kinds of other names are (kinds.py).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from functools import partial

from matcalc.dims import ONE, SCALAR, Dim, Shape
from matcalc.errors import DeclarationError
from matcalc.expr import DimMismatch, Expr
from matcalc.facts import OF_MEMBERS
from matcalc.primitives.base import Same
from matcalc.primitives.leaves import var
from matcalc.primitives.registry import CALLS
from matcalc.primitives.structure import ALL, AT, Slice
from matcalc.syntax import tree
from matcalc.syntax.builder import JUXTAPOSED
from matcalc.syntax.dimensions import dimension_of, last_of
from matcalc.syntax.scope import Family, Reading, Scope, Step, reads

_OF_VECTORS = frozenset({"norm", "norm1", "norm2", "softmax", "logsumexp", "log_softmax", "sum", "mean", "max"})
_PRODUCTS = frozenset({"TIMES", JUXTAPOSED, "SLASH"})
_BOLD = ("\\mathbf", "\\bm", "\\boldsymbol", "\\vec", "\\textbf")
_DEEPEST = 64  # brackets and products that are looked into for a matrix


def survey(scope: Scope, source: str, roots: Iterable[tree.Node], assigned: Iterable[str]) -> None:
    """Notes, before a text is read, which names stand for themselves in it, which have members, and the sizes.

    ``assigned`` are the names that the program assigns.
    """
    own = {*scope.variables, *scope.definitions, *scope.functions, *assigned}
    roots = list(roots)
    bounds: list[str] = []
    stack: list[tuple[tree.Node, frozenset[str], bool]] = [(root, frozenset(), False) for root in roots]
    names: list[tuple[tree.Name, frozenset[str], bool]] = []
    while stack:
        node, bound, column = stack.pop()
        if isinstance(node, tree.Name):
            names.append((node, bound, column))
        elif isinstance(node, tree.IndexedSum):
            lower, upper, body = node.kids
            if isinstance(_inside(lower), tree.Number) and isinstance(_inside(upper), (tree.Name, tree.Binary)):
                bounds += [k.text for k in tree.walk([upper]) if isinstance(k, tree.Name) and k.text not in bound]
            stack += [(lower, bound, False), (upper, bound, False), (body, bound | {node.index.text}, column)]
        elif isinstance(node, tree.Member) and len(node.kids) == 2 and _uses(node.kids[1:], bound):
            whole, position = node.kids  # x_{i+1}
            index = next(k.text for k in tree.walk([position]) if isinstance(k, tree.Name) and k.text in bound)
            assert isinstance(whole, tree.Name)
            names.append((tree.Name(whole.start, whole.end, f"{whole.text}_{index}"), bound, column))
        else:
            stack += [(kid, bound, hint) for kid, hint in _hints(node, column)]
    for name in bounds:
        if name not in own and name not in scope.sizes:
            scope.sizes.add(name)
            scope.guessed_sizes.add(name)
    for node, bound, column in sorted(names, key=lambda item: item[0].start):
        base, _, subscript = node.text.partition("_")
        if not base or not subscript or not bound.issuperset(subscript):
            if len(subscript) == 2 and not bound.isdisjoint(subscript):
                continue
            if node.text not in scope.sizes:
                scope.standing.add(node.text)
        elif len(subscript) == 1:
            family = scope.families.setdefault(base, Family(node, subscript))
            family.column = family.column or column or _is_bold(source[node.start : node.end])


def _hints(node: tree.Node, column: bool) -> list[tuple[tree.Node, bool]]:
    """The operands of a node, each with whether it is rather a column than a number."""
    kids = node.kids
    if isinstance(node, (tree.Transpose, tree.Inner)):
        return [(kid, True) for kid in kids]
    if isinstance(node, (tree.Group, tree.Negation)):
        return [(kids[0], column)]
    if isinstance(node, (tree.Norm, tree.Index)):
        return [(kids[0], True), *((kid, False) for kid in kids[1:])]
    if isinstance(node, tree.Call):
        name = node.function.text
        inside = name in _OF_VECTORS or (column and (name not in CALLS or CALLS[name].slots == ("x",)))
        return [(kid, inside) for kid in kids]
    if isinstance(node, tree.Power):
        return [(kids[0], column and node.elementwise), (kids[1], False)]
    if isinstance(node, tree.Fraction):
        return [(kids[0], column), (kids[1], False)]
    if isinstance(node, tree.Binary) and node.operator in ("PLUS", "MINUS"):
        terms: list[tree.Node] = []
        at: tree.Node = node
        while isinstance(at, tree.Binary) and at.operator in ("PLUS", "MINUS"):
            terms.append(at.kids[1])
            at = at.kids[0]
        terms.append(at)
        column = column or any(_image(t) for t in terms)
        return [(t, column) for t in terms]
    if isinstance(node, tree.Binary) and node.operator in _PRODUCTS:
        left, right = kids
        behind = node.operator != "SLASH" and (_is_matrix(left) or isinstance(_last(left), tree.Transpose))
        if node.operator == "SLASH":
            return [(left, column), (right, False)]
        return [(left, False), (right, column or behind)]
    if isinstance(node, tree.Binary):
        return [(kid, column) for kid in kids]
    return [(kid, False) for kid in kids]


def _inside(node: tree.Node) -> tree.Node:
    while isinstance(node, tree.Group):
        node = node.kids[0]
    return node


def _bare(node: tree.Node) -> str:
    return getattr(_inside(node), "text", "")


def _last(node: tree.Node) -> tree.Node:
    """The last factor of a product."""
    while isinstance(node, tree.Binary) and node.operator in _PRODUCTS:
        node = node.kids[1]
    return node


def _image(node: tree.Node) -> bool:
    """Whether a term is a matrix times something: a column."""
    while isinstance(node, (tree.Group, tree.Negation)):
        node = node.kids[0]
    return isinstance(node, tree.Binary) and node.operator in ("TIMES", JUXTAPOSED) and _is_matrix(node.kids[0])


def _is_matrix(node: tree.Node) -> bool:
    """Whether a factor looks like a matrix: an upper-case name, its transpose or inverse, or a sum of such."""
    for _ in range(_DEEPEST):
        if isinstance(node, (tree.Group, tree.Negation, tree.Transpose, tree.Power)):
            node = node.kids[0]
        elif isinstance(node, tree.Binary):
            node = node.kids[1]
        else:
            return isinstance(node, tree.Name) and node.text[0].isupper() and "_" not in node.text
    return False


def _is_bold(text: str) -> bool:
    return text.startswith(_BOLD) or "\U0001d400" <= text[0] <= "\U0001d7cb"


def declare_family(scope: Scope, part: tree.Family, declare: Callable[[Scope, tree.Declaration], None]) -> None:
    """``x_i in R^n for i=1:m``: the columns of a matrix, or the entries of a vector, that have these names."""
    index, declaration = part.bounds.index.text, part.declaration
    lower, upper = part.bounds.kids
    if part.word.text != "for":
        raise DeclarationError(
            f"`{part.word.text}` is not an attribute", span=scope.span(part.word), hint="write x_i in R^n for i=1:m"
        )
    if _bare(lower) != "1":
        raise DeclarationError("the members of a family are counted from 1", span=scope.span(lower))
    for name in declaration.names:
        if name.text.partition("_")[2] != index:
            raise DeclarationError(
                f"`{name.text}` does not have the index {index}",
                span=scope.span(name),
                hint=f"write {name.text.partition('_')[0]}_{index} in R^n for {index}=1:m",
            )
    declare(scope, declaration)
    last = dimension_of(scope, upper)
    for name in declaration.names:
        member = scope.variables.pop(name.text)
        base = name.text.partition("_")[0]
        shape = _together(scope, name, member.shape, last)
        shown = base if member.is_scalar else upper_case(base)
        if shown in scope.variables:
            raise DeclarationError(f"`{shown}` is declared twice", span=scope.span(name))
        scope.variables[shown] = var(shown, shape, *(member.op.facts(()) & OF_MEMBERS))
        scope.columns[shown] = name.text


def columns_of(scope: Scope, matrix: str, words: list[tree.Name]) -> None:
    """``X in R^{n x m} with columns x_i``: the name of the columns, as an inferred declaration says it."""
    place = words[0]
    if [w.text for w in words[:-1]] not in (["with", "columns"], ["with", "entries"]) or "_" not in words[-1].text:
        raise DeclarationError(
            f"`{place.text}` is not an attribute", span=scope.span(place), hint="write X in R^{n x m} with columns x_i"
        )
    scope.columns[matrix] = words[-1].text


def _together(scope: Scope, name: tree.Name, member: Shape, last: Dim) -> Shape:
    if member == SCALAR:
        return (last, ONE)
    if member[1] is not ONE:
        raise DeclarationError(
            f"the members of the family {name.text} are matrices",
            span=scope.span(name),
            hint="a family has numbers or vectors as members; write its matrices as separate names: A1, A2",
        )
    return (member[0], last)


def upper_case(base: str) -> str:
    """The name of the matrix whose columns are a family."""
    return base[0].upper() + base[1:]


# -- members


@reads(tree.Member)
def members(scope: Scope, node: tree.Member) -> Reading:
    operand, *positions = node.kids
    if isinstance(operand, tree.Name) and operand.text in scope.families and _uses(positions, scope.bound):
        operand = tree.Name(operand.start, operand.end, scope.whole_of(operand, operand.text))
    count = len(positions)
    lasts = [(axis if count == 2 else -1, last_of(scope, position)) for axis, position in enumerate(positions)]

    def finish(args: tuple[int, ...]) -> int:
        for position in positions:
            scope.force(position, integer=True)
        scope.loops += [(args[0], axis, last) for axis, last in lasts if last is not None]
        return scope.add(Step("entry", node, args, _member_rule, member))

    return [operand, *positions], finish


def _uses(positions: Iterable[tree.Node], bound: Container[str]) -> bool:
    """Whether an index of a sum stands in a subscript such as i+1."""
    return any(isinstance(k, tree.Name) and k.text in bound for k in tree.walk(positions))


def _place(shape: Shape, indices: int) -> Slice:
    if shape == SCALAR:
        raise DimMismatch(*SCALAR)
    if indices == 2:
        return Slice(AT, AT)
    return Slice(AT, ALL) if shape[1] is ONE else Slice(ALL, AT)


def _member_rule(shapes: tuple[Shape, ...], same: Same) -> Shape:
    return _place(shapes[0], len(shapes) - 1).infer(shapes, same)


def member(a: Expr, *indices: Expr) -> Expr:
    """Entry i of a vector, column i of a matrix, entry (i, j)."""
    return _place(a.shape, len(indices)).construct((a, *indices))


@reads(tree.Reach)
def reach(scope: Scope, node: tree.Reach) -> Reading:
    return [], lambda args: scope.add(
        Step("reach", node, (), lambda shapes, same: SCALAR, partial(_never, node), node.name)
    )


def _never(node: tree.Reach) -> Expr:
    raise AssertionError("the size is known to build.py")


__all__ = ["columns_of", "declare_family", "survey", "upper_case"]
