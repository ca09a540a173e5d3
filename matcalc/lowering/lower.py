"""From expressions to values of a plan: the rules of all primitives together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from matcalc.dims import Dim
from matcalc.expr import Expr
from matcalc.lowering import elementwise as ew
from matcalc.lowering import matrices, operators, rearranging
from matcalc.lowering.chains import natural
from matcalc.lowering.plan import Plan, Value
from matcalc.lowering.templates import slots_numbered
from matcalc.lowering.walk import Lowering, Rules, meet
from matcalc.primitives import matrix, products, reductions
from matcalc.primitives.base import Primitive

RULES: Rules = {**operators.RULES, **matrices.RULES, **rearranging.RULES}

# Primitives whose code is not an analytic function of the entries: not for complex arrays.
_REAL_ONLY = (matrix.Adj, matrix.Pinv, matrix.LogDet, reductions.Max, reductions.ArgMax, reductions.Norm1)


def lowering(plan: Plan, names: Mapping[Expr, str]) -> Lowering:
    """The walk that puts expressions into a plan; ``names`` gives arguments to variables and differentials."""
    return Lowering(plan, names, RULES, _by_template)


def _by_template(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    """Through the primitive's ``code``, which acts on matrices."""
    if node.is_scalar and all(a.is_scalar for a in node.args) and type(op) in _OF_NUMBERS:
        return _OF_NUMBERS[type(op)](low.plan, args)
    given = [low.matrix(e, v) for e, v in zip(node.args, args, strict=True)]
    template = slots_numbered(type(op))
    for field, parameter in zip(op.fields, op.params, strict=True):
        if isinstance(parameter, tuple | Dim):  # sizes are values of their own
            sizes = [low.plan.dimension(d) for d in (parameter if isinstance(parameter, tuple) else (parameter,))]
            places = ", ".join(f"{{{len(given) + i}}}" for i in range(len(sizes)))
            given = [*given, *sizes]
            template = template.replace(f"{{{field}}}", f"({places})" if isinstance(parameter, tuple) else places)
        else:
            template = template.replace(f"{{{field}}}", repr(parameter))
    return natural(low.plan, low.plan.call(template, tuple(given), node.shape, not isinstance(op, _REAL_ONLY)))


# What functions of matrices are of a number.
_OF_NUMBERS: dict[type[Primitive], Callable[[Plan, list[Value]], Value]] = {
    matrix.Inv: lambda plan, args: ew.reciprocal(plan, args[0]),
    matrix.Pinv: lambda plan, args: plan.call("{rt}.pinv({0})", tuple(args), (), False),
    matrix.Det: lambda plan, args: args[0],
    matrix.LogDet: lambda plan, args: ew.function(plan, "log", ew.function(plan, "abs", args[0])),
    matrix.Adj: lambda plan, args: plan.one,
    matrix.Expm: lambda plan, args: ew.function(plan, "exp", args[0]),
    matrix.ExpmFrechet: lambda plan, args: ew.mul(
        plan, [ew.function(plan, "exp", args[0]), args[1]], shape=args[1].shape
    ),
    matrix.MatrixPower: lambda plan, args: ew.power(plan, args[0], args[1], args[0].shape),
    products.Kron: lambda plan, args: ew.mul(plan, args, shape=meet(args)),
    products.KhatriRao: lambda plan, args: ew.mul(plan, args, shape=meet(args)),
}
