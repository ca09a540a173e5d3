"""Declarations: what a ``where`` text says of names, checked."""

from __future__ import annotations

from matcalc.dims import ONE, SCALAR, Shape
from matcalc.errors import DeclarationError, UnknownNameError
from matcalc.facts import ATTRIBUTES, SQUARE_ONLY
from matcalc.primitives.functions import Unknown
from matcalc.primitives.leaves import var
from matcalc.syntax import tree
from matcalc.syntax.build import build_all
from matcalc.syntax.complain import misfit
from matcalc.syntax.formulas import Formula, foreign
from matcalc.syntax.kinds import Conflict, solve
from matcalc.syntax.scope import FUNCTIONS, Scope
from matcalc.syntax.spelling import GREEK


def declare(scope: Scope, part: tree.Declaration | tree.Kind) -> None:
    """Enters the names of a declaration into the scope."""
    if isinstance(part, tree.Kind):
        declare_functions(scope, part)
        return
    sizes = [scope.dimension(node) for node in part.sizes]
    shape: Shape = (sizes[0] if sizes else ONE, sizes[1] if len(sizes) > 1 else ONE)
    facts = [attribute(scope, word, shape) for word in part.attributes]
    for name in part.names:
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
            hint="write `phi: elementwise`, `phi(t) = ...`, or `x in R^n` for a variable",
        )
    for name in part.names:
        check_new(scope, name)
        scope.functions[name.text] = Unknown(name.text)


def check_new(scope: Scope, name: tree.Name) -> None:
    """Refuses a name that is taken."""
    text = name.text
    taken = (scope.variables, scope.functions, scope.formulas, scope.definitions)
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
    return text


def define_function(scope: Scope, part: tree.Assignment) -> None:
    """``phi(t) = t/(1 + exp(-t))``: a function of one number."""
    assert part.parameter is not None
    check_new(scope, part.name)
    inner = Scope(scope.source)
    inner.functions = dict(scope.functions)
    inner.formulas = scope.formulas
    parameter = part.parameter.text
    inner.variables[parameter] = var(parameter)
    step = inner.expression(part.expression)
    for other in inner.undeclared.values():
        other.scalar = True
    for name, place in inner.unknown_functions.items():
        raise UnknownNameError(
            f"`{name}` is not a known function", span=scope.span(place), hint=f"declare `{name}: elementwise` before it"
        )
    try:
        solution = solve(inner, step, True)
    except Conflict as conflict:
        raise misfit(inner, conflict.at, conflict.shapes, conflict.unifier) from None
    nodes = build_all(inner, solution, {})
    body, others = nodes[step], {name: nodes[other.index] for name, other in inner.undeclared.items()}
    strange = foreign(body)
    if body.shape != SCALAR or strange is not None:
        raise DeclarationError(
            f"the formula of {part.name.text} is not one of numbers",
            span=scope.span(part.expression),
            detail=f"{strange.op} does not act entry by entry" if strange is not None else "",
            hint="a function acts entry by entry; name other quantities in the program instead: z = ...",
        )
    if others:
        scope.formulas[part.name.text] = Formula(inner.variables[parameter], body, others)
    else:
        scope.define_function(part.name.text, parameter, body)


__all__ = ["check_new", "declare", "define_function"]
