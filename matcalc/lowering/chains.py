"""Matrix products: chains (their order is found in ordering.py), and products with factors that are never formed.

What a diagonal, constant, repeated, unit, inverse, Kronecker or commutation factor does
to its neighbour is written as scaling, sums, indexing, a solve, small products, or a permutation.
"""

from __future__ import annotations

from collections.abc import Sequence

from matcalc.dims import ONE
from matcalc.expr import Number
from matcalc.lowering.elementwise import add, mul, reciprocal, scaled, split, tightened
from matcalc.lowering.ordering import Factor, in_order, is_diagonal_and_outer
from matcalc.lowering.plan import Plan, Value
from matcalc.lowering.totals import inner, total

_LONGEST_SEARCHED = 16  # factors; a longer chain is taken from its vector end, or from the left


def chain(plan: Plan, factors: Sequence[Factor]) -> Value:
    """The product of factors of which none is a number."""
    parts = _spelled_out(plan, factors)
    while len(parts) > _LONGEST_SEARCHED:
        if parts[-1].cols is ONE:
            parts[-2:] = [multiply(plan, parts[-2], parts[-1])]
        else:
            parts[:2] = [multiply(plan, parts[0], parts[1])]
    return in_order(plan, parts, multiply).value


def scaled_chain(plan: Plan, scalars: Sequence[Value], coefficient: Number, product: Value) -> Value:
    """A product of matrices times numbers, which go to its smallest operand; ``A'*A`` stays as it is: it costs half."""
    if not scalars and coefficient == 1:
        return product
    if product.op == "outer":
        u, v = product.args
        return plan.value("outer", (scaled_chain(plan, scalars, coefficient, u), v), product.shape)
    if product.op == "dot" and product.rank == 2 and product.args[0] is not plan.transpose(product.args[1]):
        args = list(product.args)
        k = min((0, 1), key=lambda k: _entries(plan, args[k]))
        if 4 * _entries(plan, args[k]) < _entries(plan, product):
            args[k] = scaled_chain(plan, scalars, coefficient, args[k])
            return plan.value("dot", tuple(args), product.shape)
    return mul(plan, [*scalars, product], shape=product.shape, coefficient=coefficient)


def _entries(plan: Plan, v: Value) -> int:
    plan.weighed = True
    n = 1
    for d in v.shape:
        n *= plan.weight(d)
    return n


def _spelled_out(plan: Plan, factors: Sequence[Factor]) -> list[Factor]:
    """Matrices that are a column times a row as these two factors; multiples of the identity as numbers."""
    out: list[Factor] = []
    for f in factors:
        v = f.value
        if v.rank == 2 and v.op == "spread":
            (vector,), (axis,) = v.args, v.attrs
            other = plan.full(plan.one, (v.shape[axis],))
            column, row = (other, vector) if axis == 0 else (vector, other)
            out += [Factor(column, f.rows, ONE), Factor(row, ONE, f.cols)]
        elif v.rank == 2 and v.op == "full":
            entries = v.args[0]
            out += [
                Factor(plan.full(entries, (f.rows,)), f.rows, ONE),
                Factor(plan.full(plan.one, (f.cols,)), ONE, f.cols),
            ]
        else:
            out.append(f)
    return out


def multiply(plan: Plan, a: Factor, b: Factor) -> Factor:
    """The product of two factors."""
    return Factor(_product(plan, a, b), a.rows, b.cols)


def _product(plan: Plan, a: Factor, b: Factor) -> Value:
    x, y = a.value, b.value
    if not x.shape or not y.shape:
        return mul(plan, [x, y], shape=x.shape or y.shape)
    if a.rows is ONE and b.cols is ONE:
        return inner(plan, x, y)
    if a.cols is ONE:
        return _outer(plan, x, y)
    if y.op == "diag" and x.op != "diag":  # each column, or each entry, times its own number
        return mul(plan, [x, y.args[0]], shape=x.shape)
    if y.op == "unit" and b.cols is ONE and a.rows is not ONE:
        return plan.value("block", (x, y.args[0]), x.shape[:1], "all", "at")
    special = _special(plan, a, b)
    if special is not None:
        return special
    mirrored = _special(plan, Factor(plan.transpose(y), b.cols, b.rows), Factor(plan.transpose(x), a.cols, a.rows))
    if mirrored is not None:
        return plan.transpose(mirrored)
    if a.rows is ONE:
        return plan.value("dot", (y, x) if y in plan.symmetric else (x, y), y.shape[1:])
    if b.cols is ONE:
        return plan.value("dot", (x, y), x.shape[:1])
    return plan.value("dot", (x, y), (x.shape[0], y.shape[1]))


def _outer(plan: Plan, x: Value, y: Value) -> Value:
    shape = (x.shape[0], y.shape[0])
    if x.op == "full":
        return plan.spread(mul(plan, [x.args[0], y], shape=y.shape), 0, shape)
    if y.op == "full":
        return plan.spread(mul(plan, [y.args[0], x], shape=x.shape), 1, shape)
    return plan.value("outer", (x, y), shape)


def _special(plan: Plan, a: Factor, b: Factor) -> Value | None:
    """The product where the left factor is one that need not be formed, or None."""
    x, y = a.value, b.value
    vector = b.cols is ONE
    if x.op == "diag":
        (entries,) = x.args
        if y.op == "diag":
            both = max(entries.shape, y.args[0].shape, key=len)
            return plan.diag(mul(plan, [entries, y.args[0]], shape=both), x.shape[0])
        if entries.shape and not vector:
            entries = plan.newaxis(entries, 1)
        return mul(plan, [entries, y], shape=y.shape)
    if x.op == "full" and a.rows is ONE and not vector:
        return mul(plan, [x.args[0], total(plan, y, 0)], shape=y.shape[1:])
    if x.op == "unit" and a.rows is ONE and not vector:
        return plan.value("block", (y, x.args[0]), y.shape[1:], "at", "all")
    if x.op == "inv" and not is_diagonal_and_outer(y.args[0] if y.op == "T" else y):
        return solve(plan, x.args[0], y)
    low = _diagonal_and_outer(plan, x)
    if low is not None:  # (diag(e) + u*v')*Y = e .* Y + u*(v'*Y)
        entries, u, v = low
        row = _product(plan, Factor(v, ONE, a.cols), b)
        spread = plan.newaxis(entries, 1) if entries.shape and not vector else entries
        coefficient, rest = split(plan, u)
        if rest is entries:  # e .* (Y + v'*Y)
            return mul(plan, [spread, add(plan, [y, scaled(plan, coefficient, row)], y.shape)], shape=y.shape)
        other = mul(plan, [row, u], shape=u.shape) if vector else _outer(plan, u, row)
        return add(plan, [mul(plan, [spread, y], shape=y.shape), other], y.shape)
    if x.op == "commutation":
        rows, cols = x.attrs
        if vector:
            return plan.vec(plan.reshape(y, (cols, rows)))
        cube = plan.reshape(y, (cols, rows, y.shape[1]))
        return plan.reshape(plan.value("swap", (cube,), (rows, cols, y.shape[1])), y.shape)
    if x.op == "kron":
        return _kronecker(plan, x, y, vector)
    return None


def _diagonal_and_outer(plan: Plan, x: Value) -> tuple[Value, Value, Value] | None:
    """e, u and v of a matrix ``diag(e) + u*v'``."""
    turned = x.op == "T"
    x = x.args[0] if turned else x
    if not is_diagonal_and_outer(x):
        return None
    if x.op == "mul":
        (array,), (coefficient, count) = [a for a in x.args if a.shape], x.attrs
        above, below = [a for a in x.args[:count] if a is not array], x.args[count:]
        number = mul(plan, above, below, shape=(), coefficient=coefficient)
        found = _diagonal_and_outer(plan, array)
        assert found is not None
        entries, u = (mul(plan, [number, a], shape=a.shape) for a in found[:2])
        return (entries, found[2], u) if turned else (entries, u, found[2])
    if x.op == "add_diagonal":
        (u, v), entries = x.args[0].args, x.args[1]
        return (entries, v, u) if turned else (entries, u, v)
    parts = [scaled(plan, -1 if minus else 1, a) for a, minus in zip(x.args, x.attrs[0], strict=True)]
    at = [a.op for a in x.args].index("dense")
    entries = scaled(plan, -1 if x.attrs[0][at] else 1, x.args[at].args[0].args[0])
    u, v = plan.full(plan.one, x.shape[:1]), parts[1 - at]
    if not v.shape:
        v = plan.full(v, x.shape[1:])
    elif v.op == "newaxis":
        u, v = v.args[0], u
    return (entries, v, u) if turned else (entries, u, v)


def solve(plan: Plan, a: Value, b: Value) -> Value:
    """``a^-1*b``."""
    if b.op == "diag" and not b.args[0].shape:
        return mul(plan, [b.args[0], plan.value("inv", (a,), a.shape)], shape=a.shape)
    return plan.value("solve", (a, b), b.shape)


def inverse(plan: Plan, a: Value) -> Value:
    if a.op == "diag":
        return plan.diag(reciprocal(plan, a.args[0]), a.shape[0])
    if a.op == "inv":
        return a.args[0]
    if a.op == "kron":
        return plan.value("kron", (inverse(plan, a.args[0]), inverse(plan, a.args[1])), a.shape)
    return plan.value("inv", (a,), a.shape)


def _kronecker(plan: Plan, x: Value, y: Value, vector: bool) -> Value | None:
    """``kron(A, B)*y`` as ``A*Y*B'`` for each column, Y being the column read by rows."""
    left, right = x.args
    (m, n), (p, q) = left.shape, right.shape
    if vector:
        middle = plan.reshape(y, (n, q))
        z = chain(plan, [
            Factor(natural(plan, left), m, n), Factor(natural(plan, middle), n, q),
            Factor(natural(plan, plan.transpose(right)), q, p),
        ])  # fmt: skip
        return plan.reshape(z, (m * p,))
    cols = y.shape[1]
    if left.op == "diag" and right.op == "diag":
        return mul(plan, [plan.newaxis(diagonal_entries(plan, x), 1), y], shape=y.shape)
    if _is_ones(right) and p is ONE and left.op == "diag" and not left.args[0].shape:  # sums within blocks of rows
        blocks = plan.value("sum", (plan.reshape(y, (n, q, cols)),), (n, cols), 1)
        return mul(plan, [left.args[0], blocks], shape=(n, cols))
    if _is_ones(left) and m is ONE and right.op == "diag" and not right.args[0].shape:  # sums over blocks of rows
        blocks = plan.value("sum", (plan.reshape(y, (n, q, cols)),), (q, cols), 0)
        return mul(plan, [right.args[0], blocks], shape=(q, cols))
    return None


def _is_ones(v: Value) -> bool:
    return v.op == "full" and v.args[0].op == "const" and v.args[0].attrs[0] == 1


def diagonal_entries(plan: Plan, kron: Value) -> Value:
    """The diagonal of the Kronecker product of two diagonal matrices."""
    a, b = (tightened(plan, v.args[0], v.shape[:1]) for v in kron.args)
    return plan.reshape(_outer(plan, a, b), kron.shape[:1])


def natural(plan: Plan, v: Value) -> Value:
    """A matrix of one row or column as the vector that it is."""
    kept = tuple(d for d in v.shape if d is not ONE)
    if v.rank < 2 or len(kept) == 2:
        return v
    if v.op == "newaxis":
        return v.args[0]
    return plan.reshape(v, kept)
