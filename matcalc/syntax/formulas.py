"""Functions whose formula holds other quantities than the argument, as ``phi(t) = t*sigmoid(beta*t)``.

Such a function is no function of one number alone, so a call stands for its formula, entry by entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from matcalc.calculus.gradient import gradient
from matcalc.dims import Shape, shape_text
from matcalc.errors import DeclarationError
from matcalc.expr import Expr, postorder
from matcalc.primitives.algebra import ADD, HADAMARD, POWER, PRODUCT, add, hadamard, power, product
from matcalc.primitives.base import Same
from matcalc.primitives.functions import Elementwise
from matcalc.primitives.leaves import ones
from matcalc.syntax import tree
from matcalc.syntax.scope import Scope, Step, number_rule


class Formula(NamedTuple):
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


def _applied(e: Expr) -> bool:
    return isinstance(e.op, Elementwise)


def written_out(scope: Scope, node: tree.Call, formula: Formula, args: tuple[int, ...]) -> int:
    """The step that is a call: the formula at its argument."""
    names = [tree.Name(node.start, node.end, name) for name in formula.others]
    others = tuple([scope.name(name, scope.bound) for name in names])
    for name in names:
        declared = scope.variables.get(name.text)
        if declared is not None and not declared.is_scalar:
            raise DeclarationError(
                f"{name.text} in the formula of {node.function.text} is in {shape_text(declared.shape)}, not a number",
                span=scope.span(node),
                hint="a function acts entry by entry on its argument alone; write the formula out in the expression",
            )
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
