"""Calls of functions: of the registry of primitives, declared, defined, or unknown."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from typing import Any

from matcalc.dims import ONE, Shape
from matcalc.errors import AmbiguityError, ParseError
from matcalc.expr import Expr, make
from matcalc.primitives.base import Same
from matcalc.primitives.elementwise import FUNCTIONS as KNOWN
from matcalc.primitives.functions import Defined, Elementwise, Function, Unknown
from matcalc.primitives.leaves import as_expr, identity, var
from matcalc.primitives.registry import CALLS, Call
from matcalc.syntax import tree
from matcalc.syntax.dimensions import dimension_of, literal_of
from matcalc.syntax.formulas import Formula, Macro, expanded, formula_of_numbers, written_out
from matcalc.syntax.maps import applied, derivatives
from matcalc.syntax.norms import norm_of, weighted
from matcalc.syntax.scope import FUNCTION_ALIASES, Reading, Scope, Step, reads
from matcalc.syntax.words import shortened

RELU = Elementwise(KNOWN["relu"], 0)


@reads(tree.Call)
def calls(scope: Scope, node: tree.Call) -> Reading:
    name = node.function.text
    if name in scope.functions:
        return elementwise(scope, node, scope.functions[name])
    if name in scope.formulas:
        return formula_call(scope, node, scope.formulas[name])
    if name in scope.maps:
        return applied(scope, node, scope.maps[name])
    if name.startswith("J_") and name[2:] in scope.maps and not node.order:
        function = tree.Name(node.function.start, node.function.end, name[2:])
        return derivatives(scope, tree.Derived(node.start, node.end, function, (("jac", ()),), node.kids))
    if name == "norm":
        return call_norm(scope, node)
    if name == "max" and (least := _least(scope, node)) is not None:
        build = partial(larger, least)
        return [node.kids[1]], lambda args: scope.add(Step("function", node, args, RELU.infer, build))
    if name == "norm2" and any(isinstance(k, tree.Weight) for k in node.kids):
        if len(node.kids) != 2:
            raise wrong_arguments(scope, node, "norm2(x; D)")
        return weighted(scope, node, node.kids[0], node.kids[1].kids[0])
    entry = CALLS.get(FUNCTION_ALIASES.get(name, name))
    if entry is not None:
        known = entry.candidates == (Elementwise,)
        return elementwise(scope, node, KNOWN[entry.name]) if known else call_of(scope, node, entry)
    if any(isinstance(kid, tree.Keyword) for kid in node.kids):  # P(x_i = dog)
        raise ParseError(
            f"`{scope.source[node.start : node.end][:40]}` has no formula",
            span=scope.span(node),
            hint="write what it is: for the probability of a class, for example, sigmoid(x_i'*w)",
        )
    if len(node.kids) > 1 and not any(isinstance(kid, (tree.Keyword, tree.Text, tree.Weight)) for kid in node.kids):
        raise ParseError(
            f"`{name}` is not declared, and only functions of one number need not be",
            span=scope.span(node),
            hint=f"define it, {name}(x, y) = ..., or declare it as a map, `{name}: R^n, R^p -> R^m`",
        )
    scope.unknown_functions.setdefault(name, node.function)
    scope.functions[name] = Unknown(name)
    return elementwise(scope, node, scope.functions[name])


def formula_call(scope: Scope, node: tree.Call, formula: Formula | Macro) -> Reading:
    """A function that the user defined by a formula of several quantities: it stands for the formula."""
    macro = formula if isinstance(formula, Macro) else formula.macro
    plain = not any(isinstance(kid, (tree.Keyword, tree.Text, tree.Weight)) for kid in node.kids)
    if not plain or len(node.kids) != len(macro.parameters):
        raise wrong_arguments(scope, node, f"{macro.name}({', '.join(macro.parameters)})")
    if isinstance(formula, Formula) and formula_of_numbers(scope, formula):
        return list(node.kids), partial(written_out, scope, node, formula)
    if node.order:
        raise ParseError(
            f"`{macro.name}` is not a function of one number, so it has no {macro.name}{chr(39) * node.order}",
            span=scope.span(node),
            hint="ask for the gradient or the Jacobian instead",
        )
    return list(node.kids), partial(expanded, scope, node, macro)


def elementwise(scope: Scope, node: tree.Call, function: Function) -> Reading:
    if len(node.kids) != 1 or isinstance(node.kids[0], (tree.Keyword, tree.Text, tree.Weight)):
        raise wrong_arguments(scope, node, f"{node.function.text}(x)")
    op, build = Elementwise(function, node.order), None
    if node.order and function.kind == "known":
        build = partial(_known_derivative, function, node.order)

    def finish(args: tuple[int, ...]) -> int:
        return scope.add(Step("function", node, args, op.infer, build or op))

    return list(node.kids), finish


def call_norm(scope: Scope, node: tree.Call) -> Reading:
    if not 1 <= len(node.kids) <= 2 or isinstance(node.kids[0], (tree.Keyword, tree.Text, tree.Weight)):
        raise wrong_arguments(scope, node, "norm(x), norm(x, 1), norm(A, 'fro') or norm(x; D)")
    which = node.kids[1] if len(node.kids) == 2 else None
    if isinstance(which, tree.Weight):
        return weighted(scope, node, node.kids[0], which.kids[0])
    return norm_of(scope, node, node.kids[0], which)


def call_of(scope: Scope, node: tree.Call, call: Call) -> Reading:
    """A function of the registry: its arguments, then its options by place or by name."""
    if node.order:
        raise ParseError(
            f"`{call.name}` is not a function of one number, so it has no {call.name}{chr(39) * node.order}",
            span=scope.span(node),
            hint="ask for the gradient or the Jacobian instead",
        )
    arguments: list[tree.Node] = []
    given: list[Any] = []
    named: dict[str, Any] = {}
    for kid in node.kids:
        if isinstance(kid, tree.Keyword):
            option = next((o for o in call.options if o.name == kid.name.text), None)
            if option is None:
                raise wrong_arguments(scope, node, signature(call))
            named[option.name] = option_of(scope, option.kind, option.choices, kid.kids[0], node, call)
        elif isinstance(kid, tree.Weight):
            raise wrong_arguments(scope, node, signature(call))
        elif isinstance(kid, tree.Text) or (not call.variadic and len(arguments) == len(call.slots)):
            if len(given) == len(call.options):
                raise wrong_arguments(scope, node, signature(call))
            option = call.options[len(given)]
            given.append(option_of(scope, option.kind, option.choices, kid, node, call))
        else:
            arguments.append(kid)
    options = list(given)
    for option in call.options[len(given) :]:
        if option.required and option.name not in named:
            raise wrong_arguments(scope, node, signature(call))
        options.append(named.pop(option.name, option.default))
    if named or (len(arguments) != len(call.slots) and not call.variadic) or (call.variadic and not arguments):
        raise wrong_arguments(scope, node, signature(call))
    chosen = tuple(options)

    def rule(shapes: tuple[Shape, ...], same: Same) -> Shape:
        return call.select(shapes, chosen).infer(shapes, same)

    by_place = call.name == "max" and bool(given)

    def build(*args: Expr) -> Expr:
        if call.name == "eye" and not args:
            return identity(chosen[0])
        if by_place and args[0].is_scalar:
            return larger(chosen[0], args[0])
        if by_place and args[0].cols is ONE:
            inner = scope.source[arguments[0].start : arguments[0].end]
            written = f"relu({inner})" if chosen[0] == 0 else f"max(1, {inner})"
            raise AmbiguityError(
                f"`{shortened(scope.source[node.start : node.end])}` has two readings",
                span=scope.span(node),
                detail=f"the larger of each entry and {chosen[0]}, {written}, or the largest entry, max({inner})",
                hint="write the one that is meant",
            )
        return call.select([a.shape for a in args], chosen).construct(args)

    def finish(args: tuple[int, ...]) -> int:
        for slot in call.candidates[0].__dict__.get("integer_slots", ()):
            if isinstance(slot, int) and slot < len(arguments):
                scope.force(arguments[slot], integer=True)
        return scope.add(Step("function", node, args, rule, build))

    return arguments, finish


def option_of(scope: Scope, kind: str, choices: tuple[str, ...], node: tree.Node, call: tree.Call, entry: Call) -> Any:
    if kind == "dim":
        return dimension_of(scope, node)
    if kind == "mode":
        if isinstance(node, (tree.Text, tree.Name)) and node.text in choices:  # a name in LaTeX: \operatorname{same}
            return node.text
        wanted = ", ".join(f"'{c}'" for c in choices)
        raise ParseError(
            f"`{call.function.text}` takes one of {wanted} here", span=scope.span(node), hint=signature(entry)
        )
    if isinstance(node, tree.Number) and node.text in ("0", "1"):
        return int(node.text)
    others = "for the larger of x and 0 write relu(x), for that of x and y write x + relu(y - x)"
    raise ParseError(
        f"the axis of `{call.function.text}` is 0 (down the columns) or 1 (along the rows)",
        span=scope.span(node),
        hint=others if entry.name == "max" else signature(entry),
    )


def _least(scope: Scope, call: tree.Call) -> Fraction | None:
    """The number c of ``max(c, x)``, the larger of it and each entry."""
    if len(call.kids) != 2 or isinstance(call.kids[1], (tree.Number, tree.Keyword, tree.Text, tree.Weight)):
        return None
    return literal_of(scope, call.kids[0])


def larger(least: Fraction | int, x: Expr) -> Expr:
    return least + RELU(x - least) if least else RELU(x)


def wrong_arguments(scope: Scope, node: tree.Call, wanted: str) -> ParseError:
    return ParseError(f"`{node.function.text}` is written {wanted}", span=scope.span(node))


def _known_derivative(function: Function, order: int, x: Expr) -> Expr:
    """``tanh'(x)`` in closed form; higher ones are left to the calculus of scalar functions."""
    if order == 1:
        return as_expr(function.slope(0, function(x), x))
    t = var("t")
    return make(Elementwise(Defined(function.name, t, function(t)), order), (x,))


def signature(call: Call) -> str:
    """How a function is written: ``sum(A, axis)``."""
    arguments = [f"{s}" for s in call.slots] if not call.variadic else ["A", "B", "..."]
    shown = [o.name if o.required or o.default is None else f"{o.name}={o.default!r}" for o in call.options]
    return f"{call.name}({', '.join(arguments + shown)})"
