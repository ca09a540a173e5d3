"""Functions that are defined by a formula and are no functions of one number alone: a call stands for the formula.

Between numbers, as ``phi(t) = t*sigmoid(beta*t)``, it does so entry by entry (:class:`Formula`); otherwise, as
``net(W, x) = tanh(W*x + b)``, with the arguments in the places of the parameters (:class:`Macro`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from matcalc.calculus.gradient import gradient
from matcalc.dims import SCALAR, Shape
from matcalc.errors import DeclarationError, LimitError, MatcalcError
from matcalc.expr import Expr, postorder
from matcalc.primitives.algebra import ADD, HADAMARD, POWER, PRODUCT, add, hadamard, power, product
from matcalc.primitives.base import Same
from matcalc.primitives.functions import Elementwise
from matcalc.primitives.leaves import ones
from matcalc.primitives.registry import CALLS
from matcalc.syntax import tree
from matcalc.syntax.kinds import MATRIX, Conflict, default_kind, solve
from matcalc.syntax.scope import FUNCTION_ALIASES, Scope, Step, number_rule

MAX_NESTED = 60  # formulas that call each other
MAX_CALLS = 20_000  # that are written out


class Macro(NamedTuple):
    name: str
    parameters: tuple[str, ...]
    body: tree.Node
    source: str  # the text that the body is part of


class Formula(NamedTuple):
    macro: Macro
    parameter: Expr
    body: Expr
    others: dict[str, Expr]  # the other quantities, numbers all of them

    def derivative(self, order: int) -> Expr:
        body = self.body
        for _ in range(order):
            body = gradient(body, [self.parameter])[self.parameter]
        return body


def foreign(body: Expr) -> Expr | None:
    """A part of a formula that does not act entry by entry."""
    entrywise = (ADD, PRODUCT, HADAMARD, POWER)
    return next((e for e in postorder([body]) if e.args and e.op not in entrywise and not _applied(e)), None)


def of_matrices(scope: Scope, body: tree.Node) -> bool:
    """Whether a formula says by its operations that it is not one of numbers, whatever its names stand for."""
    for node in tree.walk([body]):
        if isinstance(node, (tree.Transpose, tree.Index, tree.Inner, tree.Norm, tree.IndexedSum, tree.Derived)):
            return True
        if isinstance(node, tree.Call):
            name = node.function.text
            call = CALLS.get(FUNCTION_ALIASES.get(name, name))
            own = name in scope.functions or isinstance(scope.formulas.get(name), Formula)
            if not own and (name in scope.maps or name in scope.formulas or name == "norm"):
                return True
            if not own and call is not None and call.candidates != (Elementwise,):
                return True
    return False


def formula_of_numbers(scope: Scope, formula: Formula) -> bool:
    """Whether the other quantities in a formula are numbers, as far as is known where it is called."""
    for name in formula.others:
        if name in scope.variables:
            if not scope.variables[name].is_scalar:
                return False
        elif name in scope.assigned:
            if _shape_so_far(scope, scope.assigned[name]) != SCALAR:
                return False
        elif name not in scope.sizes and default_kind(name) == MATRIX:
            return False
    return True


def _shape_so_far(scope: Scope, step: int) -> Shape:
    """The shape of an assigned quantity, by what the text has said before."""
    try:
        solution = solve(scope, step, False)
    except (Conflict, MatcalcError):
        return SCALAR
    return solution.unifier.shape(solution.shapes[step])


def expanded(scope: Scope, node: tree.Call, macro: Macro, args: tuple[int, ...]) -> int:
    """The step that is a call: the formula with the steps of the arguments in the places of the parameters.

    Names mean within the formula what they mean in the program; indices that the formula binds are told apart from
    those around the call, so nothing of an argument is captured.
    """
    known = scope.expanded.get((macro, args))
    if known is not None:
        return known
    if macro.name in scope.calls:
        chain = " calls ".join([*scope.calls[scope.calls.index(macro.name) :], macro.name])
        raise DeclarationError(
            f"`{macro.name}` is defined by itself: {chain}",
            span=scope.span(node),
            hint="a formula is written out at its call, so it cannot call itself; write the layers one by one",
        )
    if len(scope.calls) >= MAX_NESTED or len(scope.expanded) >= MAX_CALLS:
        raise LimitError(
            f"the formula of {macro.name}, written out, is too long",
            span=scope.span(node),
            hint="name intermediate quantities in the program: z = ...",
        )
    outside = (scope.definitions, scope.bound, scope.indices, scope.around, scope.calls)
    source = scope.source
    scope.around |= {scope.indices.get(index, index) for index in scope.bound}
    scope.indices = _apart(scope, macro.body)
    scope.definitions = {**scope.assigned, **dict(zip(macro.parameters, args, strict=True))}
    scope.calls = (*scope.calls, macro.name)
    scope.read(macro.source)
    result = scope.expression(macro.body)
    scope.read(source)
    scope.definitions, scope.bound, scope.indices, scope.around, scope.calls = outside
    scope.expanded[macro, args] = result
    return result


def _apart(scope: Scope, body: tree.Node) -> dict[str, str]:
    """Other names for the indices that a formula binds and that are those of sums around its call."""
    bound = [node.index.text for node in tree.walk([body]) if isinstance(node, tree.IndexedSum)]
    clashing = [name for name in dict.fromkeys(bound) if name in scope.around]
    if not clashing:
        return {}
    taken = {*bound, *scope.around, *scope.variables, *scope.assigned, *scope.undeclared, *scope.sizes}
    free = (name for name in (*"ijklrst", *(f"i{k}" for k in range(1, 10_000))) if name not in taken)
    return {name: next(free) for name in clashing}


def _applied(e: Expr) -> bool:
    return isinstance(e.op, Elementwise)


def written_out(scope: Scope, node: tree.Call, formula: Formula, args: tuple[int, ...]) -> int:
    """The step that is a call: the formula at its argument."""
    names = [tree.Name(node.start, node.end, name) for name in formula.others]
    others = tuple([scope.name(name, scope.bound) for name in names])
    for name in names:
        scope.force(name)
    body = formula.derivative(node.order)
    build = partial(entry_by_entry, body, (formula.parameter, *formula.others.values()))
    return scope.add(Step("function", node, (*args, *others), _rule, build))


def _rule(shapes: tuple[Shape, ...], same: Same) -> Shape:
    for shape in shapes[1:]:
        number_rule((shape,), same)
    return shapes[0]


def entry_by_entry(body: Expr, leaves: Sequence[Expr], *values: Expr) -> Expr:
    """A formula between numbers with arrays in place of its leaves."""
    done = dict(zip(leaves, values, strict=True))
    for e in postorder([body]):
        if e in done:
            continue
        args = [done[a] for a in e.args]
        if e.op is ADD:
            done[e] = add(*args)
        elif e.op is PRODUCT or e.op is HADAMARD:
            done[e] = hadamard(*args)
        else:
            done[e] = power(*args) if e.op is POWER else e.op(*args) if args else e
    shape = values[0].shape
    return done[body] if done[body].shape == shape else product(done[body], ones(*shape))
