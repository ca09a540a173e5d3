"""Declarations: what a ``where`` text says of names, checked."""

from __future__ import annotations

from matcalc.dims import ONE, SCALAR, Shape, shape_text
from matcalc.errors import DeclarationError, ShapeError, UnknownNameError
from matcalc.facts import ATTRIBUTES, ONEHOT, SQUARE_ONLY, STOCHASTIC
from matcalc.primitives.functions import Unknown
from matcalc.primitives.leaves import var
from matcalc.syntax import tree
from matcalc.syntax.build import build_all
from matcalc.syntax.dimensions import dimension_of
from matcalc.syntax.families import columns_of
from matcalc.syntax.formulas import Formula, Macro, foreign, of_matrices
from matcalc.syntax.kinds import Conflict, solve
from matcalc.syntax.maps import declared_map
from matcalc.syntax.scope import FUNCTIONS, Scope
from matcalc.syntax.spelling import GREEK


def declare(scope: Scope, part: tree.Declaration | tree.Kind | tree.Mapping) -> None:
    """Enters the names of a declaration into the scope."""
    if isinstance(part, tree.Mapping):
        for name in part.names:
            check_new(scope, name)
            scope.maps[name.text] = declared_map(scope, name.text, part)
        return
    if isinstance(part, tree.Kind):
        declare_functions(scope, part)
        return
    sizes = [dimension_of(scope, node) for node in part.sizes]
    shape: Shape = (sizes[0] if sizes else ONE, sizes[1] if len(sizes) > 1 else ONE)
    words = part.attributes
    named = next((k for k, word in enumerate(words) if word.text == "with"), len(words))  # with columns x_i
    facts = [attribute(scope, word, shape) for word in words[:named]]
    for name in part.names:
        if named < len(words):
            columns_of(scope, name.text, words[named:])
        check_new(scope, name)
        if name.text in scope.sizes:
            raise DeclarationError(
                f"`{name.text}` is a dimension and a variable",
                span=scope.span(name),
                hint="a dimension may be used as that number without declaring it; rename the variable otherwise",
            )
        scope.variables[name.text] = var(name.text, shape, *facts)


def declare_functions(scope: Scope, part: tree.Kind) -> None:
    if part.kind.text != "elementwise":
        raise DeclarationError(
            f"`{part.kind.text}` is not a kind of function",
            span=scope.span(part.kind),
            hint="write `phi: elementwise`, `phi(t) = ...`, `f: R^n -> R^m`, or `x in R^n` for a variable",
        )
    for name in part.names:
        check_new(scope, name)
        scope.functions[name.text] = Unknown(name.text)


def check_new(scope: Scope, name: tree.Name) -> None:
    """Refuses a name that is taken."""
    text = name.text
    taken = (scope.variables, scope.functions, scope.formulas, scope.maps, scope.definitions)
    if any(text in names for names in taken):
        raise DeclarationError(
            f"`{text}` is declared twice", span=scope.span(name), hint="keep one of the declarations"
        )
    stem = text.rstrip("0123456789").partition("_")[0]
    if text in FUNCTIONS and len(stem) > 1 and stem not in GREEK:
        raise DeclarationError(
            f"`{text}` is a function of the language",
            span=scope.span(name),
            hint=f"take another name, for example {text}_1",
        )


def attribute(scope: Scope, word: tree.Name, shape: Shape) -> str:
    """The fact that an attribute states, checked against the shape."""
    text = word.text
    if text not in ATTRIBUTES:
        from difflib import get_close_matches

        near = get_close_matches(text, ATTRIBUTES, 1)
        raise DeclarationError(
            f"`{text}` is not an attribute" + (f"; did you mean `{near[0]}`?" if near else ""),
            span=scope.span(word),
            hint="there are " + ", ".join(ATTRIBUTES),
        )
    if text in SQUARE_ONLY and (shape[0] is not shape[1] or shape == SCALAR):
        rows, cols = shape
        raise DeclarationError(
            f"only a square matrix can be {text}, and this one is {rows} x {cols}",
            span=scope.span(word),
            hint="for a number say positive"
            if shape == SCALAR
            else f"write R^{{{rows} x {rows}}}, or leave `{text}` out",
        )
    if text in (STOCHASTIC, ONEHOT) and shape[0] is ONE:
        raise DeclarationError(
            f"only a vector, or a matrix by its columns, can be {text}, and this is in {shape_text(shape)}",
            span=scope.span(word),
            hint="declare a column: y in R^n",
        )
    return text


def define_function(scope: Scope, part: tree.Assignment) -> None:
    """``phi(t) = t/(1 + exp(-t))``: a function of one number; or ``net(W, x) = tanh(W*x)``, of anything."""
    check_new(scope, part.name)
    name, parameters = part.name.text, tuple([parameter.text for parameter in part.parameters])
    twice = [p for i, p in enumerate(part.parameters) if p.text in parameters[:i]]
    if twice:
        raise DeclarationError(
            f"two parameters of {name} are named `{twice[0].text}`",
            span=scope.span(twice[0]),
            hint="take different names",
        )
    for node in tree.walk([part.expression]):
        if isinstance(node, tree.Call) and node.function.text == name:
            raise DeclarationError(
                f"`{name}` is defined by itself",
                span=scope.span(node.function),
                hint="a formula is written out at its call, so it cannot call itself; write the layers one by one",
            )
    macro = Macro(name, parameters, part.expression, scope.source)
    if len(parameters) > 1 or of_matrices(scope, part.expression) or not of_numbers(scope, part, macro):
        scope.formulas[name] = macro


def of_numbers(scope: Scope, part: tree.Assignment, macro: Macro) -> bool:
    """Enters the function if its formula is one between numbers; says whether it is."""
    inner = Scope(scope.source)
    inner.functions = dict(scope.functions)
    inner.formulas = scope.formulas
    (parameter,) = macro.parameters
    inner.variables[parameter] = var(parameter)
    step = inner.expression(part.expression)
    for other in inner.undeclared.values():
        other.scalar = True
    for name, place in inner.unknown_functions.items():
        if inner.undeclared:  # phi(W*x + b), with a phi that nobody declared
            return False
        raise UnknownNameError(
            f"`{name}` is not a known function", span=scope.span(place), hint=f"declare `{name}: elementwise` before it"
        )
    try:
        nodes = build_all(inner, solve(inner, step, True), {})
    except (Conflict, ShapeError):
        return False
    body, others = nodes[step], {name: nodes[other.index] for name, other in inner.undeclared.items()}
    if body.shape != SCALAR or foreign(body) is not None:
        return False
    if others:
        scope.formulas[macro.name] = Formula(macro, inner.variables[parameter], body, others)
    else:
        scope.define_function(macro.name, parameter, body)
    return True


__all__ = ["check_new", "declare", "define_function"]
