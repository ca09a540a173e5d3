"""Matrix products: the order of a chain, and products with factors that are never formed.

The order is found by dynamic programming over a static model of the sizes: a named dimension is large, 1 is 1. So a
vector end is multiplied first. What a diagonal, constant, repeated, unit, inverse, Kronecker or commutation factor does
to its neighbour is written as scaling, sums, indexing, a solve, small products, or a permutation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

from matcalc.dims import ONE, Dim
from matcalc.lowering.elementwise import mul, reciprocal, tightened
from matcalc.lowering.plan import Plan, Value
from matcalc.lowering.totals import inner, total

_LONGEST_SEARCHED = 16  # factors; a longer chain is taken from its vector end, or from the left
_LARGE = 100


class Factor(NamedTuple):
    """A value with the orientation that it has in the product."""

    value: Value
    rows: Dim
    cols: Dim


def weight(size: Dim) -> int:
    """The number that stands for a dimension where operations are counted: names are large and different."""
    if size is ONE:
        return 1
    return max(1, size.evaluate({name: _LARGE + crc32(name.encode()) % 10 for name in size.names}))


def chain(plan: Plan, factors: Sequence[Factor]) -> Value:
    """The product of factors of which none is a number."""
    parts = _spelled_out(plan, factors)
    while len(parts) > _LONGEST_SEARCHED:
        if parts[-1].cols is ONE:
            parts[-2:] = [multiply(plan, parts[-2], parts[-1])]
        else:
            parts[:2] = [multiply(plan, parts[0], parts[1])]
    return _searched(plan, parts).value


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


def _searched(plan: Plan, parts: list[Factor]) -> Factor:
    """The cheapest order, by dynamic programming over the segments of the chain."""
    count = len(parts)
    if count == 2:
        return _remembered(plan, parts, multiply(plan, parts[0], parts[1]))
    cost: dict[tuple[int, int], int] = {(i, i): 0 for i in range(count)}
    cut: dict[tuple[int, int], int] = {}
    sizes = [weight(f.rows) for f in parts] + [weight(parts[-1].cols)]
    kinds: dict[tuple[int, int], str] = {(i, i): _kind(f.value) for i, f in enumerate(parts)}
    for length in range(2, count + 1):
        for i in range(count - length + 1):
            j = i + length - 1
            kinds[i, j] = "diag" if kinds[i, j - 1] == kinds[j, j] == "diag" else ""
            if _key(parts[i : j + 1]) in plan.segments:
                cost[i, j] = 0
                continue
            best = None
            for k in range(i, j):
                here = cost[i, k] + cost[k + 1, j]
                here += _price(kinds[i, k], kinds[k + 1, j], sizes[i], sizes[k + 1], sizes[j + 1])
                if best is None or here < best:
                    best, cut[i, j] = here, k
            cost[i, j] = best or 0
    done: dict[tuple[int, int], Factor] = {(i, i): f for i, f in enumerate(parts)}
    stack = [(0, count - 1)]
    while stack:
        i, j = stack[-1]
        if (i, j) in done:
            stack.pop()
            continue
        known = plan.segments.get(_key(parts[i : j + 1]))
        if known is not None:
            done[i, j] = Factor(known, parts[i].rows, parts[j].cols)
            continue
        k = cut[i, j]
        missing = [s for s in ((i, k), (k + 1, j)) if s not in done]
        if missing:
            stack.extend(missing)
        else:
            done[i, j] = _remembered(plan, parts[i : j + 1], multiply(plan, done[i, k], done[k + 1, j]))
    return done[0, count - 1]


def _key(parts: Sequence[Factor]) -> tuple[object, ...]:
    return tuple([(f.value, f.rows is ONE) for f in parts])


def _remembered(plan: Plan, parts: Sequence[Factor], result: Factor) -> Factor:
    plan.segments[_key(parts)] = result.value
    return result


def _kind(v: Value) -> str:
    return v.op if v.op in ("diag", "inv", "unit", "full", "commutation") else ""


def _price(left: str, right: str, rows: int, inside: int, cols: int) -> int:
    """Operations of one product."""
    if left == "diag" or right == "diag":
        return rows if left == right else rows * cols
    if "unit" in (left, right) or "commutation" in (left, right):
        return rows * cols
    if left == "inv" or right == "inv":
        return inside**3 + rows * inside * cols
    if "full" in (left, right):
        return rows * inside if cols == 1 else inside * cols if rows == 1 else rows * cols
    return rows * inside * cols


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
        return plan.value("dot", (x, y), y.shape[1:])
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
    if x.op == "inv":
        return solve(plan, x.args[0], y)
    if x.op == "commutation":
        rows, cols = x.attrs
        if vector:
            return plan.vec(plan.reshape(y, (cols, rows)))
        cube = plan.reshape(y, (cols, rows, y.shape[1]))
        return plan.reshape(plan.value("swap", (cube,), (rows, cols, y.shape[1])), y.shape)
    if x.op == "kron":
        return _kronecker(plan, x, y, vector)
    return None


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
