"""Maps of which only the shapes are known: their declarations, their values, and their derivatives in a text."""

from __future__ import annotations

from matcalc.dims import ONE, Shape, shape_text
from matcalc.errors import DeclarationError, ParseError
from matcalc.expr import Expr
from matcalc.primitives.maps import Map, Mapped, derived
from matcalc.primitives.structure import vec
from matcalc.syntax import tree
from matcalc.syntax.dimensions import dimension_of
from matcalc.syntax.scope import Reading, Scope, Step, reads


def declared_map(scope: Scope, name: str, part: tree.Mapping) -> Map:
    """The map of a declaration ``f: R^n, R^p -> R^m``."""
    shapes: list[Shape] = []
    for sizes in (*part.domains, part.range):
        found = [dimension_of(scope, node) for node in sizes]
        shapes.append((found[0] if found else ONE, found[1] if len(found) > 1 else ONE))
    return Map(name, tuple(shapes[:-1]), shapes[-1])


def applied(scope: Scope, node: tree.Call, function: Map) -> Reading:
    """The value of a map, ``f(x, y)``."""
    if node.order:
        raise ParseError(
            f"`{function.name}` is not a function of one number, so it has no {function.name}{chr(39) * node.order}",
            span=scope.span(node),
            hint=f"write {Mapped(function, (0,)).head()}(...)",
        )
    return mapped(scope, node, function, (), False)


@reads(tree.Derived)
def derivatives(scope: Scope, node: tree.Derived) -> Reading:
    """``jac(f, 1)(x, y)``, ``hess(l)(u)``, ``jac(jac(net))(theta)``."""
    name = node.function.text
    function = scope.maps.get(name)
    if function is None:
        raise DeclarationError(
            f"`{name}` is not declared as a map, so it has no {node.words[0][0]}({name})",
            span=scope.span(node.function),
            hint=f"declare it, `{name}: R^n -> R^m`; the derivative of an elementwise function is {name}'",
        )
    slots: tuple[int, ...] = ()
    for word, numbers in node.words:
        wanted = 2 if word == "hess" else 1
        places = tuple([number - 1 for number in numbers])
        if not places and len(function.domains) == 1:
            places = (0,) * wanted
        inner = Mapped(function, slots).head()
        if len(places) != wanted or max(places) >= len(function.domains):
            arguments = f"argument{'s' if len(function.domains) > 1 else ''}"
            raise ParseError(
                f"{word}({inner}) does not say by which argument, and {name} has {len(function.domains)} {arguments}",
                span=scope.span(node),
                hint=f"write {word}({inner}, {', '.join('12'[:wanted])})(...); arguments are counted from 1",
            )
        if word != "jac" and (slots or not function.is_scalar):
            raise ParseError(
                f"{word} is of a map to the numbers, and {inner} is in {shape_text(function.shape(slots))}",
                span=scope.span(node),
                hint=f"write jac({inner}{', 1' if len(function.domains) > 1 else ''})(...)",
            )
        slots += places
    row = function.is_scalar and len(slots) == 1 and node.words[-1][0] == "jac"
    return mapped(scope, node, function, slots, row)


def mapped(scope: Scope, node: tree.Call | tree.Derived, function: Map, slots: tuple[int, ...], row: bool) -> Reading:
    count = len(function.domains)
    if len(node.kids) != count or any(isinstance(k, (tree.Keyword, tree.Text, tree.Weight)) for k in node.kids):
        given, listed = len(node.kids), ", ".join([f"x{i}" for i in range(1, count + 1)] if count > 1 else ["x"])
        here = f"and here are {given}" if given != count else "separated by commas"
        raise ParseError(
            f"`{function.name}` takes {count} argument{'s' if count > 1 else ''}, {here}",
            span=scope.span(node),
            hint=f"write {Mapped(function, slots).head()}({listed}), as {function!r}",
        )
    op = Mapped(function, slots)
    rows, cols = function.shape(slots)
    if len(slots) == 2 and slots[0] > slots[1] and function.is_scalar:
        op = Mapped(function, slots[::-1])
    shape = (ONE, rows * cols) if row else (rows, cols)

    def rule(shapes: tuple[Shape, ...], same: object) -> Shape:
        op.infer(shapes, same)  # type: ignore[arg-type]
        return shape

    def build(*args: Expr) -> Expr:
        found = derived(function, slots, args)
        return vec(found).T if row else found

    return list(node.kids), lambda args: scope.add(Step("function", node, args, rule, build))
