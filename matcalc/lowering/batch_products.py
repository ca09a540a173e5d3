"""What products, solutions of equations and functions of matrices are for a batch."""

from __future__ import annotations

from collections.abc import Callable

from matcalc.dims import ONE
from matcalc.lowering.batch import Batch, NoRuleError, Rules, arranged, einsum, expanded, flipped, ruled, turned
from matcalc.lowering.plan import ArrayShape, Plan, Value

RULES: Rules = {}

# Products


@ruled(RULES, "dot")
def _dot(b: Batch, v: Value) -> Value:
    x, y = v.args
    return _DOTS[x.rank, y.rank](b, x, y, b.shape(v))


def _vectors(b: Batch, x: Value, y: Value, shape: ArrayShape) -> Value:
    if b.has(x) and b.has(y):
        return einsum(b.plan, "ij,ij->i", (b.of(x), b.of(y)), shape)
    many, one = (x, y) if b.has(x) else (y, x)
    return b.plan.value("dot", (b.of(many), one), shape)


def _matrix_vector(b: Batch, a: Value, x: Value, shape: ArrayShape) -> Value:
    plan = b.plan
    if not b.has(a):
        return plan.value("dot", (b.of(x), turned(plan, a)), shape)
    many = b.of(a)
    if b.has(x):
        column = b.marked(x, [True, False])
        return plan.reshape(plan.value("matmul", (many, column), (*shape, ONE)), shape)
    if many.op == "axes":
        return plan.value("matmul", (many, x), shape)
    rows = plan.reshape(many, (shape[0] * shape[1], many.shape[2]))
    return plan.reshape(plan.value("dot", (rows, x), rows.shape[:1]), shape)


def _vector_matrix(b: Batch, x: Value, a: Value, shape: ArrayShape) -> Value:
    plan = b.plan
    if not b.has(a):
        return plan.value("dot", (b.of(x), a), shape)
    many = b.of(a)
    if b.has(x):
        row = b.marked(x, [False, True])
        return plan.reshape(plan.value("matmul", (row, many), (shape[0], ONE, shape[1])), shape)
    if many.op != "axes":
        return plan.value("matmul", (x, many), shape)
    rows = plan.reshape(flipped(plan, many), (shape[0] * shape[1], many.shape[1]))
    return plan.reshape(plan.value("dot", (rows, x), rows.shape[:1]), shape)


def _matrices(b: Batch, x: Value, y: Value, shape: ArrayShape) -> Value:
    """With a matrix that all items share, all rows of all items are those of one product."""
    plan = b.plan
    if b.has(y) and _is_scaled(y) and not b.portable:  # X'*diag(d)*X: d*X as a whole would be as large as X
        weights, other = y.args
        factors = (b.of(x), b.marked(weights.args[0], [True, False]), b.of(other))
        return plan.call("{rt}.matmul_scaled({0}, {1}, {2})", factors, shape)
    if b.has(x) and b.has(y):
        return plan.value("matmul", (b.of(x), b.of(y)), shape)
    if b.has(x):
        many = b.of(x)
        if many.op == "axes":
            return plan.value("matmul", (many, y), shape)
        return rows_times(plan, many, y, shape)
    many = b.of(y)
    if many.op != "axes":
        return plan.value("matmul", (x, many), shape)
    back = (shape[0], shape[2], shape[1])
    return flipped(plan, rows_times(plan, flipped(plan, many), turned(plan, x), back))


def _is_scaled(y: Value) -> bool:
    """Whether a matrix is another one whose rows have factors."""
    scaled = y.op == "mul" and y.attrs == (1, 2) and len(y.args) == 2
    return scaled and y.args[0].op == "newaxis" and y.args[0].attrs[0] == 1 and y.args[1].shape == y.shape


def rows_times(plan: Plan, many: Value, one: Value, shape: ArrayShape) -> Value:
    count, rows, inside = many.shape
    flat = plan.reshape(many, (count * rows, inside))
    return plan.reshape(plan.value("dot", (flat, one), (count * rows, shape[2])), shape)


_DOTS: dict[tuple[int, int], Callable[[Batch, Value, Value, ArrayShape], Value]] = {
    (1, 1): _vectors,
    (2, 1): _matrix_vector,
    (1, 2): _vector_matrix,
    (2, 2): _matrices,
}


@ruled(RULES, "inner")
def _inner(b: Batch, v: Value) -> Value:
    plan = b.plan
    x, y = v.args
    if b.has(x) and b.has(y):
        many, others = b.of(x), b.of(y)
        if many.op == others.op == "axes":
            many, others = flipped(plan, many), flipped(plan, others)
        return einsum(plan, "ijk,ijk->i", (many, others), b.shape(v))
    many, one = (b.of(x), y) if b.has(x) else (b.of(y), x)
    if many.op == "axes":
        many, one = flipped(plan, many), turned(plan, one)
    length = one.shape[0] * one.shape[1]
    flat = plan.reshape(many, (b.size, length))
    return plan.value("dot", (flat, plan.reshape(one, (length,))), b.shape(v))


@ruled(RULES, "outer")
def _outer(b: Batch, v: Value) -> Value:
    x, y = v.args
    if b.portable:
        return b.plan.value("mul", (b.marked(x, [True, False]), b.aligned(y, 2)), b.shape(v), 1, 2)
    pattern = f"{'zi' if b.has(x) else 'i'},{'zj' if b.has(y) else 'j'}->zij"
    return einsum(b.plan, pattern, (b.of(x), b.of(y)), b.shape(v))


@ruled(RULES, "matmul")
def _matmul(b: Batch, v: Value) -> Value:
    return b.plan.value("matmul", tuple([b.aligned(a, v.rank) for a in v.args]), b.shape(v))


@ruled(RULES, "kron")
def _kron(b: Batch, v: Value) -> Value:
    x, y = v.args
    if x.rank != 2 or y.rank != 2:
        raise NoRuleError
    factors = (b.marked(x, [True, False, True, False]), b.marked(y, [False, True, False, True]))
    if not b.has(y):
        factors = (factors[0], expanded(b.plan, y, [True, False, True]))
    shape = (b.size, x.shape[0], y.shape[0], x.shape[1], y.shape[1])
    return b.plan.reshape(b.plan.value("mul", factors, shape, 1, 2), b.shape(v))


# Matrices


@ruled(RULES, "solve")
def _solve(b: Batch, v: Value) -> Value:
    plan = b.plan
    a, y = v.args
    if b.has(a):
        if y.rank == 2:
            return plan.value("solve", (b.of(a), b.of(y)), b.shape(v))
        shape = (*b.shape(v), ONE)
        return plan.reshape(plan.value("solve", (b.of(a), b.marked(y, [True, False])), shape), b.shape(v))
    many = b.of(y)  # one factorisation, whose right sides are those of all items
    if y.rank == 1:
        sides = plan.value("T", (many,), (y.shape[0], b.size))
        return turned(plan, plan.value("solve", (a, sides), sides.shape))
    rows, cols = y.shape
    sides = plan.reshape(arranged(plan, many, (1, 0, 2)), (rows, b.size * cols))
    found = plan.value("solve", (a, sides), sides.shape)
    return arranged(plan, plan.reshape(found, (rows, b.size, cols)), (1, 0, 2))


@ruled(RULES, "inv", "det")
def _of_stacks(b: Batch, v: Value) -> Value:
    return b.plan.value(v.op, (b.of(v.args[0]),), b.shape(v), *v.attrs)


@ruled(RULES, "logdet")
def _logdet(b: Batch, v: Value) -> Value:
    plan, (a,) = b.plan, v.args
    if not (v.attrs and v.attrs[0]):
        return plan.value("logdet", (b.of(a),), b.shape(v), *v.attrs)
    factor = plan.call("{xp}.linalg.cholesky({0})", (b.of(a),), b.shape(a), False)
    logs = plan.value("log", (_diagonals(b, factor),), (b.size, a.shape[0]))
    return plan.value("mul", (plan.value("sum", (logs,), b.shape(v), 1),), b.shape(v), 2, 1)


def _diagonals(b: Batch, many: Value) -> Value:
    return b.plan.value("repeats", (many,), many.shape[:2], "ijj")


@ruled(RULES, "diagonal")
def _diagonal(b: Batch, v: Value) -> Value:
    return _diagonals(b, b.of(v.args[0]))


@ruled(RULES, "trace")
def _trace(b: Batch, v: Value) -> Value:
    return b.plan.value("sum", (_diagonals(b, b.of(v.args[0])),), b.shape(v), 1)


__all__ = ["RULES", "rows_times"]
