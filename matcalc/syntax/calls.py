"""Functions, norms, entries and indexed sums: what their calls mean, by the registry of primitives."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from typing import Any

from matcalc.dims import ONE, SCALAR, Dim, Shape, dim
from matcalc.errors import DeclarationError, ParseError
from matcalc.expr import DimMismatch, Expr, make
from matcalc.primitives.algebra import power, product, transpose
from matcalc.primitives.base import Same
from matcalc.primitives.elementwise import FUNCTIONS as KNOWN
from matcalc.primitives.functions import Defined, Elementwise, Function, Unknown
from matcalc.primitives.leaves import Index as IndexLeaf
from matcalc.primitives.leaves import as_expr, identity, number_of, var
from matcalc.primitives.loops import indexed_sum
from matcalc.primitives.products import INNER
from matcalc.primitives.reductions import NORM1, NORM2
from matcalc.primitives.registry import CALLS, Call
from matcalc.primitives.structure import ALL, AT, Slice
from matcalc.syntax import tree
from matcalc.syntax.formulas import Formula, Macro, expanded, formula_of_numbers, written_out
from matcalc.syntax.maps import applied, derivatives
from matcalc.syntax.scope import FUNCTION_ALIASES, Bind, Reading, Scope, Step, number_rule, reads


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
            low, high = (scope.dimension(k) for k in position.kids)
            wheres.append((low, high))
        else:
            literal = scope.literal(position)
            if literal is not None and (literal < 1 or literal.denominator != 1):
                raise ParseError(
                    "an index is a whole number, counted from 1",
                    span=scope.span(position),
                    hint="the first entry of x is x[1], the last one x[n]",
                )
            last = scope.last_of(position)
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


@reads(tree.Norm)
def norms(scope: Scope, node: tree.Norm) -> Reading:
    operand, *subscript = node.kids
    return norm_of(scope, node, operand, subscript[0] if subscript else None)


def norm_of(scope: Scope, node: tree.Node, operand: tree.Node, which: tree.Node | None) -> Reading:
    inner = which
    while isinstance(inner, tree.Group):
        inner = inner.kids[0]
    word = getattr(inner, "text", "") if isinstance(inner, (tree.Name, tree.Number, tree.Text)) else ""
    frobenius = word in ("fro", "F", "f") and word not in scope.variables and word not in scope.definitions
    if inner is None or word == "2" or frobenius:
        return [operand], lambda args: scope.add(Step("function", node, args, NORM2.infer, NORM2))
    if word == "1":
        return [operand], lambda args: scope.add(Step("function", node, args, NORM1.infer, NORM1))
    if isinstance(inner, (tree.Text, tree.Number)) or word in ("inf", "infty", "nuc"):
        raise ParseError(
            f"the norm `{word}` is not known",
            span=scope.span(inner),
            hint="there are 1, 2, 'fro' and a matrix of weights",
        )
    return weighted(scope, node, operand, inner)


def weighted(scope: Scope, node: tree.Node, operand: tree.Node, weight: tree.Node) -> Reading:
    """``(x'*D*x)^(1/2)``."""

    def rule(shapes: tuple[Shape, ...], same: Same) -> Shape:
        (rows, cols), (left, right) = shapes
        same(cols, ONE)
        same(left, rows)
        same(right, rows)
        return SCALAR

    def build(x: Expr, d: Expr) -> Expr:
        return power(product(transpose(x), d, x), Fraction(1, 2))

    return [operand, weight], lambda args: scope.add(Step("weighted norm", node, args, rule, build))


@reads(tree.Absolute)
def absolute(scope: Scope, node: tree.Absolute) -> Reading:
    op = Elementwise(KNOWN["abs"], 0)
    return [node.kids[0]], lambda args: scope.add(Step("function", node, args, op.infer, op))


@reads(tree.Inner)
def inner(scope: Scope, node: tree.Inner) -> Reading:
    return list(node.kids), lambda args: scope.add(Step("inner", node, args, INNER.infer, INNER))


@reads(tree.IndexedSum)
def sums(scope: Scope, node: tree.IndexedSum) -> Reading:
    lower, upper, body = node.kids
    while isinstance(lower, tree.Group):
        lower = lower.kids[0]
    while isinstance(upper, tree.Group):
        upper = upper.kids[0]
    name = node.index.text
    index = make(IndexLeaf(scope.indices.get(name, name)))
    if name in scope.bound:
        raise DeclarationError(
            f"the index `{name}` is already that of a sum around",
            span=scope.span(node.index),
            hint="take another letter for one of them",
        )
    last: Dim | None = None
    if isinstance(upper, tree.Reach):
        upper.name = f"?{name}{len(scope.steps)}"
        last = dim(upper.name)
    elif isinstance(upper, tree.Name) and isinstance(lower, tree.Number):
        taken = (scope.variables, scope.definitions, scope.bound, scope.undeclared)
        if not any(upper.text in names for names in taken):
            if upper.text not in scope.sizes:
                scope.sizes.add(upper.text)
                scope.guessed_sizes.add(upper.text)
            last = dim(upper.text)
    elif isinstance(upper, tree.Number) and upper.text.isdigit() and len(upper.text) < 16:
        last = dim(int(upper.text))
    elif isinstance(upper, tree.Binary) and isinstance(lower, tree.Number):
        last = scope.size_of(upper)

    first = scope.literal(lower)

    def bind(names: dict[str, Any]) -> None:
        names[name] = last
        if first is not None and first < 1:
            scope.below.add(name)

    def release(names: dict[str, Any]) -> None:
        del names[name]
        scope.below.discard(name)

    for place in (lower, upper):
        literal = scope.literal(place)
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

    def build(*args: Expr) -> Expr:
        if call.name == "eye" and not args:
            return identity(chosen[0])
        return call.select([a.shape for a in args], chosen).construct(args)

    def finish(args: tuple[int, ...]) -> int:
        for slot in call.candidates[0].__dict__.get("integer_slots", ()):
            if isinstance(slot, int) and slot < len(arguments):
                scope.force(arguments[slot], integer=True)
        return scope.add(Step("function", node, args, rule, build))

    return arguments, finish


def option_of(scope: Scope, kind: str, choices: tuple[str, ...], node: tree.Node, call: tree.Call, entry: Call) -> Any:
    if kind == "dim":
        return scope.dimension(node)
    if kind == "mode":
        if isinstance(node, (tree.Text, tree.Name)) and node.text in choices:  # a name in LaTeX: \operatorname{same}
            return node.text
        wanted = ", ".join(f"'{c}'" for c in choices)
        raise ParseError(
            f"`{call.function.text}` takes one of {wanted} here", span=scope.span(node), hint=signature(entry)
        )
    if isinstance(node, tree.Number) and node.text in ("0", "1"):
        return int(node.text)
    raise ParseError(
        f"the axis of `{call.function.text}` is 0 (down the columns) or 1 (along the rows)",
        span=scope.span(node),
        hint=signature(entry),
    )


def wrong_arguments(scope: Scope, node: tree.Call, wanted: str) -> ParseError:
    return ParseError(f"`{node.function.text}` is written {wanted}", span=scope.span(node))


def _loop_rule(shapes: tuple[Shape, ...], same: Same) -> Shape:
    number_rule(shapes[:1], same)
    number_rule(shapes[1:], same)
    return shapes[2]


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
