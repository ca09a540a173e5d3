"""What rearrangements of entries are on arrays: diagonals, vec, concatenation, slices, unit vectors."""

from __future__ import annotations

from typing import Any

from matcalc.dims import ONE, Dim
from matcalc.expr import Expr
from matcalc.lowering.chains import natural
from matcalc.lowering.plan import Plan, Value
from matcalc.lowering.totals import diagonal_part
from matcalc.lowering.walk import Lowering, Rules, array_shape, ruled
from matcalc.primitives import convolution, structure

RULES: Rules = {}


@ruled(RULES, structure.Diagonal)
def _diagonal(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return low.plan.diag(args[0], node.rows) if not node.is_scalar else args[0]


@ruled(RULES, structure.DiagonalPart)
def _diagonal_part(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return diagonal_part(low.plan, args[0]) if not node.is_scalar else args[0]


@ruled(RULES, structure.Vec)
def _vec(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return low.plan.vec(args[0])


@ruled(RULES, structure.Reshape)
def _reshape(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return args[0] if node.is_scalar else low.plan.unvec(args[0], array_shape(node))


@ruled(RULES, structure.HCat, structure.VCat)
def _concatenation(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    plan = low.plan
    if len(args) == 1:
        return args[0]
    if len(array_shape(node)) == 1:
        blocks = [plan.full(v, (ONE,)) if not v.shape else v for v in args]
        return plan.value("concat", tuple(blocks), array_shape(node), 0)
    blocks = [low.matrix(e, v) for e, v in zip(node.args, args, strict=True)]
    return plan.value("concat", tuple(blocks), node.shape, op.axis)


@ruled(RULES, structure.Slice)
def _slice(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    plan = low.plan
    (e, *_), (a, *indices) = node.args, args
    if e.is_scalar:
        return a
    wheres: list[Any] = []
    operands = [a]
    for where, size in zip((op.row, op.col), e.shape, strict=True):
        index = indices.pop(0) if where == structure.AT else None
        if size is ONE and not e.is_scalar:
            continue  # the axis that a vector has not
        if index is not None:
            wheres.append("at")
            operands.append(position_of(plan, index, size))
        elif isinstance(where, str):
            wheres.append("all")
        else:
            wheres.append("range")
            operands += [_limit(plan, where[0] - 1, where[0] - 1, size), _limit(plan, where[1], size - where[1], size)]
    if all(w == "all" for w in wheres):
        return a
    shape = array_shape(node)
    axes = [d for d, size in zip(node.shape, e.shape, strict=True) if size is not ONE]
    kept = tuple(d for w, d in zip(wheres, axes, strict=True) if w != "at")
    return natural(plan, plan.reshape(plan.value("block", tuple(operands), kept, *wheres), shape))


def _limit(plan: Plan, limit: Dim, room: Dim, size: Dim) -> Value:
    """A limit of a range; it is checked in use unless ``room`` is surely not negative: Python would cut the range."""
    value = plan.dimension(limit)
    if all(c >= 0 for _, c in room.terms):
        return value
    return plan.value("within", (value, plan.dimension(size)), ())


def position_of(plan: Plan, index: Value, size: Dim) -> Value:
    """The index counted from 0; one that may lie outside is checked in use: Python would count from the end."""
    if index.op == "const" and isinstance(index.attrs[0], int) and index.attrs[0] >= 1:
        return plan.const(index.attrs[0] - 1)
    return plan.value("position", (index, plan.dimension(size)), ())


@ruled(RULES, structure.Unit)
def _unit(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    if op.order is ONE:
        return low.plan.one
    position = position_of(low.plan, args[0], op.order)
    return low.plan.value("unit", (position, low.plan.dimension(op.order)), array_shape(node))


@ruled(RULES, convolution.Flip)
def _flip(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return args[0] if node.is_scalar else low.plan.value("flip", tuple(args), args[0].shape)
