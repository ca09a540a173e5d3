"""Sums of entries, inner products and diagonals of values; what is only summed is not formed."""

from __future__ import annotations

from matcalc.lowering.elementwise import mul, scaled, split, tightened
from matcalc.lowering.plan import ArrayShape, Plan, Value


def total(plan: Plan, a: Value, axis: int | None = None) -> Value:
    """The sum of all entries, down the columns (0) or along the rows (1)."""
    if a.rank == 0:
        return a
    if a.rank == 1:
        axis = None
    shape: ArrayShape = () if axis is None else (a.shape[1 - axis],)
    coefficient, rest = split(plan, a)
    if coefficient != 1 and rest.shape == a.shape:
        return scaled(plan, coefficient, total(plan, rest, axis))
    if a.op == "full":
        over = a.shape if axis is None else (a.shape[axis],)
        return tightened(plan, mul(plan, [a.args[0], plan.count(over)], shape=()), shape)
    if a.op == "diag":
        if axis is not None:
            return tightened(plan, a.args[0], shape)
        return total(plan, tightened(plan, a.args[0], a.shape[:1]))
    if a.op == "spread":
        (vector,), (way,) = a.args, a.attrs
        if axis is None:
            return mul(plan, [plan.dimension(a.shape[way]), total(plan, vector)], shape=())
        if axis == way:
            return mul(plan, [plan.dimension(a.shape[way]), vector], shape=shape)
        return tightened(plan, total(plan, vector), shape)
    if a.op == "T":
        return total(plan, a.args[0], None if axis is None else 1 - axis)
    if a.op == "dot" and a.rank == 2 and axis is None:
        left, right = a.args
        return inner(plan, total(plan, left, 0), total(plan, right, 1))
    if a.op == "outer" and axis is None:
        return mul(plan, [total(plan, v) for v in a.args], shape=())
    if a.op == "mul" and a.attrs == (1, 2) and axis is None and [v.shape for v in a.args] == [a.shape] * 2:
        return inner(plan, *a.args)
    if a.op == "mul" and axis is not None:
        found = _of_scaled(plan, a, axis)
        if found is not None:
            return found
    return plan.value("sum", (a,), shape, axis)


def _of_scaled(plan: Plan, a: Value, axis: int) -> Value | None:
    """The sums of a matrix whose rows or columns are scaled: its product with the vector of the scales."""
    coefficient, count = a.attrs
    scales = [v for v in a.args[:count] if (v.rank == 1 if axis == 1 else v.op == "newaxis" and v.attrs[0] == 1)]
    rest = [v for v in a.args[:count] if v not in scales]
    if not scales or not any(v.shape == a.shape for v in rest):
        return None
    matrix = mul(plan, rest, a.args[count:], shape=a.shape, coefficient=coefficient)
    vectors = [v.args[0] if v.op == "newaxis" else v for v in scales]
    vector = mul(plan, vectors, shape=vectors[0].shape)
    if axis == 1:
        return plan.value("dot", (matrix, vector), a.shape[:1])
    return plan.value("dot", (vector, matrix), a.shape[1:])


def inner(plan: Plan, a: Value, b: Value) -> Value:
    """The sum of the products of the entries."""
    c, a = split(plan, a)
    d, b = split(plan, b)
    coefficient = c * d
    if not a.shape and not b.shape:
        return mul(plan, [a, b], shape=(), coefficient=coefficient)
    for x, y in ((a, b), (b, a)):
        if x.op == "full":
            return mul(plan, [x.args[0], total(plan, y)], shape=(), coefficient=coefficient)
        if x.op == "diag":
            entries = diagonal_part(plan, y)
            found = inner(plan, tightened(plan, x.args[0], entries.shape), entries)
            return scaled(plan, coefficient, found)
        if x.op == "unit" and x.rank == 1:
            return scaled(plan, coefficient, plan.value("block", (y, x.args[0]), (), "at"))
        if x.op == "outer":  # <u v', Y> = u' Y v
            return scaled(plan, coefficient, inner(plan, x.args[0], plan.value("dot", (y, x.args[1]), x.args[0].shape)))
    if a.op == "T" and b.op == "T":
        a, b = a.args[0], b.args[0]
    return scaled(plan, coefficient, plan.value("dot" if a.rank == 1 else "inner", (a, b), ()))


def diagonal_part(plan: Plan, a: Value) -> Value:
    """The diagonal of a square matrix."""
    order = a.shape[:1]
    if a.op == "diag":
        return tightened(plan, a.args[0], order)
    if a.op in ("full", "spread"):
        return tightened(plan, a.args[0], order)
    if a.op == "T":
        return diagonal_part(plan, a.args[0])
    if a.op == "outer":
        return mul(plan, a.args, shape=order)
    if a.op == "dot" and a.args[0].rank == 2 == a.args[1].rank:
        left, right = _parts_known(plan, *a.args)
        return total(plan, mul(plan, [left, plan.transpose(right)], shape=left.shape), 1)
    return plan.value("diagonal", (a,), order)


def _parts_known(plan: Plan, left: Value, right: Value) -> tuple[Value, Value]:
    """The factors of a product; of ``A*(B*C)`` those of ``(A*B)*C`` where ``A*B`` exists, and the other way round."""
    for a, b in ((left, right), (plan.transpose(right), plan.transpose(left))):
        factors = _factors(plan, b)
        if factors is not None and a.rank == factors[0].rank == 2:
            known = plan.known_dot(a, factors[0])
            if known is not None:
                return (known, factors[1]) if a is left else (plan.transpose(factors[1]), plan.transpose(known))
    return left, right


def _factors(plan: Plan, a: Value) -> tuple[Value, Value] | None:
    if a.op == "dot":
        return a.args[0], a.args[1]
    if a.op == "T" and a.args[0].op == "dot":
        return plan.transpose(a.args[0].args[1]), plan.transpose(a.args[0].args[0])
    return None
