"""Entries, rows and columns, and the sums whose index they may take."""

from __future__ import annotations

from functools import partial
from typing import Any

from matcalc.dims import ONE, SCALAR, Dim, Shape, dim
from matcalc.errors import DeclarationError, ParseError
from matcalc.expr import DimMismatch, Expr, make
from matcalc.primitives.base import Same
from matcalc.primitives.leaves import Index as IndexLeaf
from matcalc.primitives.leaves import number_of
from matcalc.primitives.loops import indexed_sum
from matcalc.primitives.structure import ALL, AT, Slice
from matcalc.syntax import tree
from matcalc.syntax.dimensions import dimension_of, last_of, literal_of, size_of
from matcalc.syntax.scope import Bind, Reading, Scope, Step, number_rule, reads


@reads(tree.Index)
def entries(scope: Scope, node: tree.Index) -> Reading:
    operand, *positions = node.kids
    wheres: list[Any] = []
    indices: list[tree.Node] = []
    lasts: list[tuple[int, Dim]] = []
    for axis, position in enumerate(positions):
        if isinstance(position, tree.Everything):
            wheres.append(ALL)
        elif isinstance(position, tree.Range):
            low, high = (dimension_of(scope, k) for k in position.kids)
            wheres.append((low, high))
        else:
            literal = literal_of(scope, position)
            if literal is not None and (literal < 1 or literal.denominator != 1):
                raise ParseError(
                    "an index is a whole number, counted from 1",
                    span=scope.span(position),
                    hint="the first entry of x is x[1], the last one x[n]",
                )
            last = last_of(scope, position)
            if last is not None:
                lasts.append((axis if len(positions) == 2 else -1, last))
            wheres.append(AT)
            indices.append(position)

    def finish(args: tuple[int, ...]) -> int:
        for position in indices:
            scope.force(position, integer=True)
        scope.loops += [(args[0], axis, last) for axis, last in lasts]
        return scope.add(Step("entry", node, args, partial(_entry_rule, wheres), partial(entry, wheres)))

    return [operand, *indices], finish


def _places(wheres: list[Any], shape: Shape) -> tuple[Any, Any]:
    if len(wheres) == 2:
        return wheres[0], wheres[1]
    if shape[1] is ONE:
        return wheres[0], ALL
    if shape[0] is ONE:
        return ALL, wheres[0]
    raise DimMismatch(shape[1], ONE)


def _entry_rule(wheres: list[Any], shapes: tuple[Shape, ...], same: Same) -> Shape:
    if shapes[0] == SCALAR:
        raise DimMismatch(*SCALAR)
    return Slice(*_places(wheres, shapes[0])).infer(shapes, same)


def entry(wheres: list[Any], a: Expr, *indices: Expr) -> Expr:
    row, col = _places(wheres, a.shape)
    left = list(indices)
    for where, length in zip((row, col), a.shape, strict=True):
        at = number_of(left.pop(0)) if where == AT else None
        if at is not None and length.value is not None and at > length.value:
            raise DimMismatch(dim(int(at)), length)
    return a if row == ALL and col == ALL else Slice(row, col).construct((a, *indices))


@reads(tree.IndexedSum)
def sums(scope: Scope, node: tree.IndexedSum) -> Reading:
    lower, upper, body = node.kids
    lower, upper = _without_brackets(lower), _without_brackets(upper)
    name = node.index.text
    index = make(IndexLeaf(scope.indices.get(name, name)))
    if name in scope.bound:
        raise DeclarationError(
            f"the index `{name}` is already that of a sum around",
            span=scope.span(node.index),
            hint="take another letter for one of them",
        )
    last = _last_value(scope, name, lower, upper)
    first = literal_of(scope, lower)

    def bind(names: dict[str, Any]) -> None:
        names[name] = last
        if first is not None:
            scope.firsts[name] = first

    def release(names: dict[str, Any]) -> None:
        del names[name]
        scope.firsts.pop(name, None)

    for place in (lower, upper):
        literal = literal_of(scope, place)
        if literal is not None and literal.denominator != 1:
            raise ParseError(
                "a bound of a sum is a whole number",
                span=scope.span(place),
                hint="write sum(i=1:m, f) or sum(i=1:3, f)",
            )

    def finish(args: tuple[int, ...]) -> int:
        for place in (lower, upper):
            scope.force(place, integer=True)

        def build(low: Expr, high: Expr, value: Expr) -> Expr:
            return indexed_sum(value, index, low, high)

        return scope.add(Step("indexed sum", node, args, _loop_rule, build))

    return [lower, upper, Bind(bind), body, Bind(release)], finish


def _without_brackets(node: tree.Node) -> tree.Node:
    while isinstance(node, tree.Group):
        node = node.kids[0]
    return node


def _last_value(scope: Scope, index: str, lower: tree.Node, upper: tree.Node) -> Dim | None:
    """The last value of the index of a sum, where it is a size; a name without other meaning becomes one."""
    if isinstance(upper, tree.Reach):
        upper.name = f"?{index}{len(scope.steps)}"
        return dim(upper.name)
    if isinstance(upper, tree.Number) and upper.text.isdigit() and len(upper.text) < 16:
        return dim(int(upper.text))
    if not isinstance(lower, tree.Number):
        return None
    if isinstance(upper, tree.Binary):
        return size_of(scope, upper)
    taken = (scope.variables, scope.definitions, scope.bound, scope.undeclared)
    if not isinstance(upper, tree.Name) or any(upper.text in names for names in taken):
        return None
    if upper.text not in scope.sizes:
        scope.sizes.add(upper.text)
        scope.guessed_sizes.add(upper.text)
    return dim(upper.text)


def _loop_rule(shapes: tuple[Shape, ...], same: Same) -> Shape:
    number_rule(shapes[:1], same)
    number_rule(shapes[1:], same)
    return shapes[2]
