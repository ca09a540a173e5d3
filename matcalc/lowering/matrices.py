"""What reductions and functions of matrices are on arrays."""

from __future__ import annotations

from typing import Any

from matcalc.dims import ONE
from matcalc.expr import Expr
from matcalc.facts import POSITIVE, SPD, SYMMETRIC, has
from matcalc.lowering import elementwise as ew
from matcalc.lowering.chains import inverse
from matcalc.lowering.plan import Value
from matcalc.lowering.templates import slots_numbered, with_axis
from matcalc.lowering.totals import diagonal_part, inner, total
from matcalc.lowering.walk import Lowering, Rules, array_shape, ruled
from matcalc.primitives import algebra, matrix, products, reductions, softmax

RULES: Rules = {}

# Reductions


def _axis(e: Expr, axis: int | None) -> int | str | None:
    """The axis as arrays have it: "none" where each entry stands alone."""
    if axis is not None and e.shape[axis] is ONE:
        return "none"
    return None if axis is None or e.shape[1 - axis] is ONE else axis


@ruled(RULES, reductions.Sum, reductions.Mean)
def _sum(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    (e,), (x,) = node.args, args
    axis = _axis(e, op.axis)
    if e.is_scalar or axis == "none":
        return x
    found = total(low.plan, x, axis)  # type: ignore[arg-type]
    if isinstance(op, reductions.Sum):
        return found
    count = low.plan.count(e.shape if axis is None else (e.shape[axis],))  # type: ignore[index]
    return ew.mul(low.plan, [found], [count], shape=found.shape)


@ruled(RULES, reductions.Max, reductions.ArgMax)
def _max(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    (e,), (x,) = node.args, args
    axis = _axis(e, op.axis)
    chosen = isinstance(op, reductions.ArgMax)
    if e.is_scalar or axis == "none":
        return low.plan.full(low.plan.one, x.shape) if chosen else x
    return low.plan.call(with_axis(type(op), axis), (x,), array_shape(node), False)  # type: ignore[arg-type]


@ruled(RULES, softmax.Softmax, softmax.LogSoftmax, softmax.LogSumExp)
def _softmax(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    plan = low.plan
    (e,), (x,) = node.args, args
    axis = _axis(e, op.axis)
    if e.is_scalar or axis == "none":  # each entry alone
        if isinstance(op, softmax.LogSumExp):
            return x
        return plan.full(plan.const(1 if isinstance(op, softmax.Softmax) else 0), x.shape)
    return plan.call(with_axis(type(op), axis), (x,), array_shape(node))  # type: ignore[arg-type]


@ruled(RULES, reductions.Trace)
def _trace(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    plan, (a,) = low.plan, args
    if not a.shape or node.args[0].is_scalar:
        return a
    if a.op in ("diag", "full", "spread"):
        return total(plan, diagonal_part(plan, a))
    coefficient, rest = ew.split(plan, a)
    if rest.op == "dot":
        left, right = rest.args
        found = inner(plan, plan.transpose(left), right)
    elif rest.op == "outer":
        found = inner(plan, *rest.args)
    elif rest.op == "T":
        found = plan.value("trace", rest.args, ())
    else:
        found = plan.value("trace", (rest,), ())
    return ew.scaled(plan, coefficient, found)


@ruled(RULES, reductions.Norm2)
def _norm2(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    (x,) = args
    if node.args[0].is_scalar:
        return ew.function(low.plan, "abs", x)
    return low.plan.value("norm", (x.args[0] if x.op == "T" else x,), ())


@ruled(RULES, reductions.Norm1)
def _norm1(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return total(low.plan, ew.function(low.plan, "abs", args[0]))


# Functions of matrices


@ruled(RULES, matrix.Inv)
def _inv(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    if not args[0].shape or node.is_scalar:
        return ew.reciprocal(low.plan, args[0])
    _note(low, node.args[0], args[0])
    return inverse(low.plan, args[0])


def _note(low: Lowering, e: Expr, v: Value) -> None:
    """Keeps the formula of a matrix of which a function is taken, and whether it is positive definite."""
    waiting = [(e, v)]
    while waiting:
        e, v = waiting.pop()
        if v.op == "T":
            e, v = algebra.transpose(e), v.args[0]
        low.plan.formulas.setdefault(v, e)
        if has(e, SPD):
            low.plan.definite.add(v)
        elif has(e, SYMMETRIC):
            low.plan.factored_symmetric.add(v)
        if v.op == "kron" and isinstance(e.op, products.Kron):
            waiting.extend(zip(e.args, v.args, strict=True))


@ruled(RULES, matrix.Det)
def _det(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    if node.args[0].is_scalar:
        return args[0]
    _note(low, node.args[0], args[0])
    return low.plan.value("det", tuple(args), (), has(node, POSITIVE))


@ruled(RULES, matrix.LogDet)
def _logdet(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    plan, (a,) = low.plan, args
    if node.args[0].is_scalar:
        return ew.function(plan, "log", ew.function(plan, "abs", a))
    if a.op == "diag":
        entries = ew.tightened(plan, a.args[0], a.shape[:1])
        return total(plan, ew.function(plan, "log", ew.function(plan, "abs", entries)))
    _note(low, node.args[0], a)
    return plan.value("logdet", (a,), (), has(node.args[0], SPD))


@ruled(RULES, matrix.MatrixPower)
def _matrix_power(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    plan, (a, k) = low.plan, args
    if node.args[0].is_scalar:
        return ew.power(plan, a, k, a.shape)
    number = k.attrs[0] if k.op == "const" else None
    if a.op == "diag":
        return plan.diag(ew.power(plan, a.args[0], k, a.args[0].shape), node.rows)
    if number == 2:
        return plan.value("dot", (a, a), a.shape)
    if number == 3:
        return plan.value("dot", (plan.value("dot", (a, a), a.shape), a), a.shape)
    whole = k if k.op in ("const", "size", "index") else plan.value("whole", (k,), ())
    return plan.call(slots_numbered(matrix.MatrixPower), (a, whole), a.shape)
