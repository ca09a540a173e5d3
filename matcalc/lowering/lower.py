"""From the expression graph to a plan: what each primitive means on arrays.

The graph is walked once, arguments first. A product that only one other product uses is taken apart again, so that the
order of the whole chain is chosen at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from matcalc.dims import ONE, dim
from matcalc.expr import Expr, postorder
from matcalc.facts import POSITIVE, has
from matcalc.lowering import elementwise as ew
from matcalc.lowering.chains import Factor, chain, inverse, natural
from matcalc.lowering.plan import ArrayShape, Plan, Value
from matcalc.primitives import algebra, convolution, leaves, loops, matrix, products, reductions, structure
from matcalc.primitives.base import Primitive, Zeros
from matcalc.primitives.functions import Defined, Elementwise, Unknown

Rule: TypeAlias = Callable[["Lowering", Expr, Any, list[Value]], Value]

RULES: dict[type[Primitive], Rule] = {}

# Primitives whose code is not an analytic function of the entries: not for complex arrays.
_REAL_ONLY = (matrix.Adj, matrix.Pinv, matrix.LogDet, reductions.Max, reductions.ArgMax, reductions.Norm1)
_LONGEST_POWER_IN_CHAIN = 4


def array_shape(e: Expr) -> ArrayShape:
    """Numbers have no axis, rows and columns one."""
    return tuple(d for d in e.shape if d is not ONE)


class Lowering:
    """Puts expressions into a plan; ``names`` gives arguments to variables and differentials."""

    def __init__(self, plan: Plan, names: Mapping[Expr, str]) -> None:
        self.plan = plan
        self.names = names
        self.values: dict[Expr, Value] = {}
        self.unknown: dict[tuple[str, int], None] = {}  # functions without a formula, with the orders of derivative

    def lower(self, roots: Sequence[Expr]) -> list[Value]:
        nodes = postorder(roots, stop=self.values.__contains__)
        absorbed = _absorbed(roots, nodes)
        self._absorbed = absorbed
        for node in nodes:
            if node not in self.values and node not in absorbed:
                self.values[node] = self._value(node)
        return [self.values[r] for r in roots]

    def _value(self, node: Expr) -> Value:
        op = node.op
        rule = RULES.get(type(op), _by_template)
        args = [self.values[a] if a in self.values else self.plan.one for a in node.args]
        return rule(self, node, op, args)

    def matrix(self, e: Expr, v: Value) -> Value:
        """The value of ``e`` with two axes."""
        if v.rank == 2:
            return v
        if v.rank == 1:
            return self.plan.newaxis(v, 0 if e.is_row else 1)
        return self.plan.full(v, (ONE, ONE))

    def taken_apart(self, node: Expr) -> list[tuple[Expr, bool]]:
        """The factors of a product, and whether each is transposed; products used only here are opened."""
        out: list[tuple[Expr, bool]] = []
        stack = [(node, False)]
        while stack:
            e, transposed = stack.pop()
            if e is node or e in self._absorbed:
                if e.op is algebra.TRANSPOSE:
                    stack.append((e.args[0], not transposed))
                elif isinstance(e.op, matrix.MatrixPower):
                    stack.extend([(e.args[0], transposed)] * int(leaves.number_of(e.args[1]) or 0))
                else:
                    stack.extend((a, transposed) for a in (e.args if transposed else reversed(e.args)))
            else:
                out.append((e, transposed))
        return out


def _absorbed(roots: Sequence[Expr], nodes: Sequence[Expr]) -> set[Expr]:
    """Products (transposed ones too) that are a factor of one other product and used nowhere else."""
    uses: dict[Expr, int] = dict.fromkeys(roots, 2)
    user: dict[Expr, Expr] = {}
    for node in nodes:
        for a in node.args:
            uses[a] = uses.get(a, 0) + 1
            user[a] = node
    out: set[Expr] = set()
    for node in reversed(nodes):
        if uses[node] != 1 or node.is_scalar:
            continue
        by = user[node]
        inside = isinstance(by.op, algebra.Product) or (by.op is algebra.TRANSPOSE and by in out)
        if inside and (isinstance(node.op, algebra.Product) or node.op is algebra.TRANSPOSE or _is_short_power(node)):
            out.add(node)
    return out


def _is_short_power(node: Expr) -> bool:
    if not isinstance(node.op, matrix.MatrixPower):
        return False
    number = leaves.number_of(node.args[1])
    return number is not None and 1 < number <= _LONGEST_POWER_IN_CHAIN


def _rule(*kinds: type[Primitive]) -> Callable[[Rule], Rule]:
    def add(rule: Rule) -> Rule:
        for kind in kinds:
            RULES[kind] = rule
        return rule

    return add


def _by_template(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    """Through the primitive's ``code``: on matrices, or on values as they are where it is ``natural``."""
    if node.is_scalar and all(a.is_scalar for a in node.args) and type(op) in _OF_NUMBERS:
        return _OF_NUMBERS[type(op)](low.plan, args)
    given = args if op.natural else [low.matrix(e, v) for e, v in zip(node.args, args, strict=True)]
    shape = array_shape(node) if op.natural or node.is_scalar else node.shape
    template = op.code
    for i, slot in enumerate(op.takes):
        template = template.replace(f"{{{slot}}}", f"{{{i}}}")
    for field, parameter in zip(op.fields, op.params, strict=True):
        if isinstance(parameter, tuple):  # sizes are values of their own
            sizes = [low.plan.dimension(d) for d in parameter]
            places = ", ".join(f"{{{len(given) + i}}}" for i in range(len(sizes)))
            given = [*given, *sizes]
            template = template.replace(f"{{{field}}}", f"({places})")
        else:
            template = template.replace(f"{{{field}}}", repr(parameter))
    return natural(low.plan, low.plan.call(template, tuple(given), shape, not isinstance(op, _REAL_ONLY)))


# What functions of matrices are of a number.
_OF_NUMBERS: dict[type[Primitive], Callable[[Plan, list[Value]], Value]] = {
    matrix.Inv: lambda plan, args: ew.reciprocal(plan, args[0]),
    matrix.Pinv: lambda plan, args: plan.call("{rt}.pinv({0})", tuple(args), (), False),
    matrix.Det: lambda plan, args: args[0],
    matrix.LogDet: lambda plan, args: ew.function(plan, "log", ew.function(plan, "abs", args[0])),
    matrix.Adj: lambda plan, args: plan.one,
    matrix.Expm: lambda plan, args: ew.function(plan, "exp", args[0]),
    matrix.ExpmFrechet: lambda plan, args: ew.mul(plan, [ew.function(plan, "exp", args[0]), args[1]], shape=args[1].shape),
    matrix.MatrixPower: lambda plan, args: ew.power(plan, args[0], args[1], args[0].shape),
    products.Kron: lambda plan, args: ew.mul(plan, args, shape=_meet(args)),
    products.KhatriRao: lambda plan, args: ew.mul(plan, args, shape=_meet(args)),
}


def _meet(args: Sequence[Value]) -> ArrayShape:
    """The shape that numbers have together; inside a defined function they stand for whole arrays."""
    return max((a.shape for a in args), key=len)


# Leaves


@_rule(leaves.Var, leaves.Differential)
def _variable(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return low.plan.argument(low.names[node], array_shape(node))


@_rule(leaves.Const)
def _const(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return low.plan.const(op.number)


@_rule(Zeros)
def _zeros(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return low.plan.zeros(array_shape(node))


@_rule(leaves.Pi)
def _pi(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return low.plan.value("pi", (), ())


@_rule(leaves.Size)
def _size(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return low.plan.dimension(dim(op.name))


@_rule(leaves.Index)
def _index(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return low.plan.value("index", (), (), op.name)


@_rule(leaves.Identity)
def _identity(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return low.plan.diag(low.plan.one, op.order)


@_rule(leaves.Ones)
def _ones(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return low.plan.full(low.plan.one, array_shape(node))


@_rule(leaves.Commutation)
def _commutation(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    plan = low.plan
    if ONE in (op.m, op.n):
        return plan.diag(plan.one, node.rows)
    return plan.value("commutation", (), node.shape, op.m, op.n)


@_rule(structure.Unit)
def _unit(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    position = _position(low.plan, args[0], op.order)
    return low.plan.value("unit", (position, low.plan.dimension(op.order)), array_shape(node))


# The algebra


@_rule(algebra.Add)
def _add(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return ew.add(low.plan, args, _shape(node, args))


def _shape(node: Expr, args: Sequence[Value]) -> ArrayShape:
    return _meet(args) if node.is_scalar else array_shape(node)


@_rule(algebra.Product)
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
            return ew.mul(plan, scalars, shape=_meet(scalars), coefficient=coefficient)
        return ew.mul(plan, [*scalars, plan.diag(plan.one, order)], shape=(order, order), coefficient=coefficient)
    found = chain(plan, factors)
    if found.op == "outer" and (scalars or coefficient != 1):  # a number goes to the smallest operand
        u, v = found.args
        u = ew.mul(plan, [*scalars, u], shape=u.shape, coefficient=coefficient)
        return plan.value("outer", (u, v), found.shape)
    return ew.mul(plan, [*scalars, found], shape=found.shape, coefficient=coefficient)


@_rule(algebra.Hadamard)
def _hadamard(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return ew.mul(low.plan, args, shape=_shape(node, args))


@_rule(algebra.Power)
def _power(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    base, exponent = args
    if base.op == "diag":
        base = low.plan.value("dense", (base,), base.shape)
    return ew.power(low.plan, base, exponent, _shape(node, args))


@_rule(algebra.Transpose)
def _transpose(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return low.plan.transpose(args[0])


@_rule(products.Inner)
def _inner(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    if node.args[0].is_scalar:
        return ew.mul(low.plan, args, shape=_meet(args))
    return ew.inner(low.plan, *args)


@_rule(products.Kron)
def _kron(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    plan = low.plan
    a, b = node.args
    if a.is_scalar or b.is_scalar:
        return ew.mul(plan, args, shape=array_shape(node))
    if args[0].op == args[1].op == "diag" and not args[0].args[0].shape and not args[1].args[0].shape:
        return plan.diag(ew.mul(plan, [v.args[0] for v in args], shape=()), node.rows)
    if a.is_column and b.is_row or a.is_row and b.is_column:  # the outer product
        column, row = args if a.is_column else reversed(args)
        return chain(plan, [Factor(column, column.shape[0], ONE), Factor(row, ONE, row.shape[0])])
    left, right = low.matrix(a, args[0]), low.matrix(b, args[1])
    found = plan.value("kron", (left, right), node.shape)
    return plan.value("reshape", (found,), array_shape(node)) if a.is_column and b.is_column or a.is_row and b.is_row else found


# Functions of one number


@_rule(Elementwise)
def _elementwise(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    (x,) = args
    function = op.function
    if isinstance(function, Unknown):
        low.unknown[function.name, op.order] = None
        return low.plan.value("unknown", (x,), x.shape, function.name, op.order)
    if x.op == "diag":
        x = low.plan.value("dense", (x,), x.shape)
    if isinstance(function, Defined):
        return _defined(low, function.body(op.order), function.parameter, x)
    return ew.function(low.plan, function.name, x)


def _defined(low: Lowering, body: Expr, parameter: Expr, x: Value) -> Value:
    """The body with the argument in the place of the parameter: every operation acts on whole arrays."""
    inside = Lowering(low.plan, low.names)
    inside.values = {parameter: x}
    inside.unknown = low.unknown
    (value,) = inside.lower([body])
    return ew.tightened(low.plan, value, x.shape)


# Reductions


def _axis(e: Expr, axis: int | None) -> int | None | str:
    """The axis as arrays have it: "none" where each entry stands alone."""
    if axis is not None and e.shape[axis] is ONE:
        return "none"
    return None if axis is None or e.shape[1 - axis] is ONE else axis


@_rule(reductions.Sum, reductions.Mean)
def _sum(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    (e,), (x,) = node.args, args
    axis = _axis(e, op.axis)
    if e.is_scalar or axis == "none":
        return x
    total = ew.total(low.plan, x, axis)  # type: ignore[arg-type]
    if isinstance(op, reductions.Sum):
        return total
    count = low.plan.count(e.shape if axis is None else (e.shape[axis],))  # type: ignore[index]
    return ew.mul(low.plan, [total], [count], shape=total.shape)


@_rule(reductions.Max, reductions.ArgMax)
def _max(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    (e,), (x,) = node.args, args
    axis = _axis(e, op.axis)
    chosen = isinstance(op, reductions.ArgMax)
    if e.is_scalar or axis == "none":
        return low.plan.full(low.plan.one, x.shape) if chosen else x
    place = "" if axis is None else str(axis)
    template = (f"{{rt}}.argmax({{0}}, {place})" if place else "{rt}.argmax({0})") if chosen else f"{{0}}.max({place})"
    return low.plan.call(template, (x,), array_shape(node), False)


@_rule(reductions.Softmax, reductions.LogSoftmax, reductions.LogSumExp)
def _softmax(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    plan = low.plan
    (e,), (x,) = node.args, args
    axis = _axis(e, op.axis)
    if e.is_scalar or axis == "none":  # each entry alone
        if isinstance(op, reductions.LogSumExp):
            return x
        return plan.full(plan.const(1 if isinstance(op, reductions.Softmax) else 0), x.shape)
    return plan.call(ew.along(op.name, axis, x), (x,), array_shape(node))  # type: ignore[arg-type]


@_rule(reductions.Trace)
def _trace(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    plan, (a,) = low.plan, args
    if not a.shape or node.args[0].is_scalar:
        return a
    if a.op in ("diag", "full", "spread"):
        return ew.total(plan, ew.diagonal_part(plan, a))
    coefficient, rest = ew.split(plan, a)
    if rest.op == "dot":
        left, right = rest.args
        found = ew.inner(plan, plan.transpose(left), right)
    elif rest.op == "outer":
        found = ew.inner(plan, *rest.args)
    elif rest.op == "T":
        found = plan.value("trace", rest.args, ())
    else:
        found = plan.value("trace", (rest,), ())
    return ew.scaled(plan, coefficient, found)


@_rule(reductions.Norm2)
def _norm2(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    (x,) = args
    if node.args[0].is_scalar:
        return ew.function(low.plan, "abs", x)
    return low.plan.value("norm", (x.args[0] if x.op == "T" else x,), ())


@_rule(reductions.Norm1)
def _norm1(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return ew.total(low.plan, ew.function(low.plan, "abs", args[0]))


# Rearrangements


@_rule(structure.Diagonal)
def _diagonal(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return low.plan.diag(args[0], node.rows) if not node.is_scalar else args[0]


@_rule(structure.DiagonalPart)
def _diagonal_part(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return ew.diagonal_part(low.plan, args[0]) if not node.is_scalar else args[0]


@_rule(structure.Vec)
def _vec(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return low.plan.vec(args[0])


@_rule(structure.Reshape)
def _reshape(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return args[0] if node.is_scalar else low.plan.unvec(args[0], array_shape(node))


@_rule(structure.HCat, structure.VCat)
def _concatenation(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    plan = low.plan
    if len(args) == 1:
        return args[0]
    if len(array_shape(node)) == 1:
        blocks = [plan.full(v, (ONE,)) if not v.shape else v for v in args]
        return plan.value("concat", tuple(blocks), array_shape(node), 0)
    blocks = [low.matrix(e, v) for e, v in zip(node.args, args, strict=True)]
    return plan.value("concat", tuple(blocks), node.shape, op.axis)


@_rule(structure.Slice)
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
            operands.append(_position(plan, index, size))
        elif isinstance(where, str):
            wheres.append("all")
        else:
            wheres.append("range")
            operands += [plan.dimension(where[0] - 1), plan.dimension(where[1])]
    if all(w == "all" for w in wheres):
        return a
    shape = array_shape(node)
    kept = tuple(d for w, d in zip(wheres, [d for d, s in zip(node.shape, e.shape, strict=True) if s is not ONE], strict=True) if w != "at")
    return natural(plan, plan.reshape(plan.value("block", tuple(operands), kept, *wheres), shape))


def _position(plan: Plan, index: Value, size: Dim) -> Value:
    """The index counted from 0; one that may lie outside is checked when it is used, since Python counts from both ends."""
    if index.op == "const" and isinstance(index.attrs[0], int) and index.attrs[0] >= 1:
        return plan.const(index.attrs[0] - 1)
    return plan.value("position", (index, plan.dimension(size)), ())


@_rule(convolution.Flip)
def _flip(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return args[0] if node.is_scalar else low.plan.value("flip", tuple(args), args[0].shape)


# Functions of matrices


@_rule(matrix.Inv)
def _inv(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    return inverse(low.plan, args[0]) if args[0].shape and not node.is_scalar else ew.reciprocal(low.plan, args[0])


@_rule(matrix.Det)
def _det(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    if node.args[0].is_scalar:
        return args[0]
    return low.plan.value("det", tuple(args), (), has(node, POSITIVE))


@_rule(matrix.LogDet)
def _logdet(low: Lowering, node: Expr, op: Any, args: list[Value]) -> Value:
    plan, (a,) = low.plan, args
    if node.args[0].is_scalar:
        return ew.function(plan, "log", ew.function(plan, "abs", a))
    if a.op == "diag":
        entries = ew.tightened(plan, a.args[0], a.shape[:1])
        return ew.total(plan, ew.function(plan, "log", ew.function(plan, "abs", entries)))
    return plan.value("logdet", (a,), (), has(node.args[0], "spd"))


@_rule(matrix.MatrixPower)
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
    return plan.call("{xp}.linalg.matrix_power({0}, {1})", (a, whole), a.shape)


# Loops


@_rule(loops.IndexedSum)
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
