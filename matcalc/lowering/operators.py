"""What leaves, the operators of the algebra, functions of one number and indexed sums are on arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matcalc.dims import ONE, dim
from matcalc.expr import Expr
from matcalc.facts import NONNEGATIVE, SYMMETRIC, has
from matcalc.lowering import elementwise as ew
from matcalc.lowering.chains import chain, scaled_chain
from matcalc.lowering.maps import derivative
from matcalc.lowering.ordering import Factor
from matcalc.lowering.plan import ArrayShape, Plan, Value
from matcalc.lowering.totals import inner
from matcalc.lowering.walk import Lowering, Rules, array_shape, meet, ruled
from matcalc.primitives import algebra, leaves, loops, maps, products
from matcalc.primitives.base import Zeros
from matcalc.primitives.functions import Defined, Elementwise, Unknown

RULES: Rules = {}

# Leaves


@ruled(RULES, leaves.Var, leaves.Differential)
def _variable(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    v = low.plan.argument(low.names[node], array_shape(node))
    if has(node, NONNEGATIVE):
        low.plan.nonnegative.add(v)
    if v.rank == 2 and has(node, SYMMETRIC):
        low.plan.symmetric.add(v)
    return v


@ruled(RULES, leaves.Const)
def _const(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return low.plan.const(op.number)


@ruled(RULES, Zeros)
def _zeros(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return low.plan.zeros(array_shape(node))


@ruled(RULES, leaves.Pi)
def _pi(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return low.plan.value("pi", (), ())


@ruled(RULES, leaves.Size)
def _size(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return low.plan.dimension(dim(op.name))


@ruled(RULES, leaves.Index)
def _index(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return low.plan.value("index", (), (), op.name)


@ruled(RULES, leaves.Identity)
def _identity(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return low.plan.diag(low.plan.one, op.order)


@ruled(RULES, leaves.Ones)
def _ones(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return low.plan.full(low.plan.one, array_shape(node))


@ruled(RULES, leaves.Commutation)
def _commutation(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    plan = low.plan
    if ONE in (op.m, op.n):
        return plan.diag(plan.one, node.rows)
    return plan.value("commutation", (), node.shape, op.m, op.n)


# The algebra


@ruled(RULES, algebra.Add)
def _add(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return ew.add(low.plan, args, _shape(node, args))


def _shape(node: Expr, args: Sequence[Value]) -> ArrayShape:
    return meet(args) if node.is_scalar else array_shape(node)


@ruled(RULES, algebra.Product)
def _product(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    plan = low.plan
    scalars: list[Value] = []
    factors: list[Factor] = []
    coefficient: Any = 1
    order = ONE
    for e, transposed in low.taken_apart(node):
        v = low.values[e]
        if e.is_scalar:
            scalars.append(v)
            continue
        if v.op == "diag" and not v.args[0].shape:  # a multiple of the identity is a number
            scalars.append(v.args[0])
            order = e.rows
            continue
        c, v = ew.split(plan, v)
        coefficient = coefficient * c
        factors.append(Factor(plan.transpose(v), e.cols, e.rows) if transposed else Factor(v, e.rows, e.cols))
    if not factors:
        if node.is_scalar:
            return ew.mul(plan, scalars, shape=meet(scalars), coefficient=coefficient)
        return ew.mul(plan, [*scalars, plan.diag(plan.one, order)], shape=(order, order), coefficient=coefficient)
    _normalise(plan, scalars, factors)
    return scaled_chain(plan, scalars, coefficient, chain(plan, factors))


def _normalise(plan: Plan, scalars: list[Value], factors: list[Factor]) -> None:
    """A factor exp(x) over the number sum(exp(x)) as softmax."""
    for den in [v.args[0] for v in scalars if v.op == "mul" and v.attrs == (1, 0) and len(v.args) == 1]:
        for k, f in enumerate(factors):
            rest = [f.value]
            found = ew.softmax_of(plan, den, rest)
            if found is not None:
                factors[k] = Factor(ew.mul(plan, [*rest, found], shape=f.value.shape), f.rows, f.cols)
                scalars.remove(ew.reciprocal(plan, den))
                break


@ruled(RULES, algebra.Hadamard)
def _hadamard(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return ew.mul(low.plan, args, shape=_shape(node, args))


@ruled(RULES, algebra.Power)
def _power(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    base, exponent = args
    if base.op == "diag":
        base = low.plan.value("dense", (base,), base.shape)
    return ew.power(low.plan, base, exponent, _shape(node, args))


@ruled(RULES, algebra.Transpose)
def _transpose(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return low.plan.transpose(args[0])


@ruled(RULES, products.Inner)
def _inner(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    if node.args[0].is_scalar:
        return ew.mul(low.plan, args, shape=meet(args))
    return inner(low.plan, *args)


@ruled(RULES, products.Kron)
def _kron(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    plan = low.plan
    a, b = node.args
    if a.is_scalar or b.is_scalar:
        return ew.mul(plan, args, shape=array_shape(node))
    if args[0].op == args[1].op == "diag" and not args[0].args[0].shape and not args[1].args[0].shape:
        return plan.diag(ew.mul(plan, [v.args[0] for v in args], shape=()), node.rows)
    if (a.is_column and b.is_row) or (a.is_row and b.is_column):  # the outer product
        column, row = args if a.is_column else reversed(args)
        return chain(plan, [Factor(column, column.shape[0], ONE), Factor(row, ONE, row.shape[0])])
    left, right = low.matrix(a, args[0]), low.matrix(b, args[1])
    found = plan.value("kron", (left, right), node.shape)
    return (
        plan.value("reshape", (found,), array_shape(node))
        if (a.is_column and b.is_column) or (a.is_row and b.is_row)
        else found
    )


# Functions of one number


@ruled(RULES, Elementwise)
def _elementwise(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    (x,) = args
    function = op.function
    if isinstance(function, Unknown):
        return low.plan.value("unknown", (x,), x.shape, function.name, op.order)
    if x.op == "diag":
        x = low.plan.value("dense", (x,), x.shape)
    if isinstance(function, Defined):
        return _defined(low, function.body(op.order), function.parameter, x)
    return ew.function(low.plan, function.name, x)


@ruled(RULES, maps.Mapped)
def _mapped(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    given = [low.plan.value("dense", (v,), v.shape) if v.op == "diag" else v for v in args]
    return low.plan.value("map", tuple(given), array_shape(node), op.function.name, derivative(node))


def _defined(low: Lowering, body: Expr, parameter: Expr, x: Value) -> Value:
    """The body with the argument in the place of the parameter: every operation acts on whole arrays."""
    (value,) = low.inside({parameter: x}).lower([body])
    return ew.tightened(low.plan, value, x.shape)


# Loops


@ruled(RULES, loops.IndexedSum)
def _indexed_sum(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    plan = low.plan
    body, lower, upper = args
    index = plan.value("index", (), (), op.index.op.name)
    if index not in body.indices:  # the same term, many times
        many = plan.call("max({0} - {1} + 1, 0)", (whole(plan, upper), whole(plan, lower)), ())
        return ew.mul(plan, [many, body], shape=body.shape)
    return plan.value("loop", (index, body, whole(plan, lower), whole(plan, upper)), body.shape)


def whole(plan: Plan, v: Value) -> Value:
    """A bound as a Python integer."""
    if v.op in ("size", "index", "whole") or (v.op == "const" and isinstance(v.attrs[0], int)):
        return v
    return plan.value("whole", (v,), ())
