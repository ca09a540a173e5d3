"""Sums of matrices that are partly of low rank or diagonal: ``c*A + u*v' + w*z' + diag(d)``.

Such a sum is one linear combination, however it is nested. Its outer products are one product of two slender matrices,
``[u, w]*[v, z]'``, which BLAS adds to a multiple of a full matrix as it goes; numbers go to the vectors; the diagonal
is added at the end. A product with a sum that has no full matrix in it is distributed:
``M*(diag(d) + u*v') = M*diag(d) + (M*u)*v'``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matcalc.dims import ONE, dim
from matcalc.expr import Number
from matcalc.lowering import elementwise as ew
from matcalc.lowering.chains import multiply
from matcalc.lowering.ordering import Factor
from matcalc.lowering.plan import Plan, Value


class Term(NamedTuple):
    """A number, over a number, times a matrix: a full one, ``u*v'``, or the diagonal one of some entries."""

    kind: str  # "full", "outer" or "diag"
    parts: tuple[Value, ...]
    coefficient: Number = 1
    above: tuple[Value, ...] = ()
    below: tuple[Value, ...] = ()

    def number(self, plan: Plan) -> Value:
        return ew.mul(plan, self.above, self.below, shape=(), coefficient=self.coefficient)


class _Scale(NamedTuple):
    coefficient: Number
    above: tuple[Value, ...]
    below: tuple[Value, ...]


def with_combinations(plan: Plan, roots: Sequence[Value]) -> dict[Value, Value]:
    """What each value that the roots need becomes when such sums are put together at once."""
    values = plan.needed(roots)
    if all(v.op not in ("outer", "add_diagonal") and not (v.op == "dense" and v.args[0].op == "diag") for v in values):
        return {v: v for v in values}
    users: dict[Value, list[Value]] = {r: [r] for r in roots}
    for v in values:
        for a in v.args:
            users.setdefault(a, []).append(v)
    new: dict[Value, Value] = {}
    for v in values:
        args = tuple([new[a] for a in v.args])
        found = None
        if v.op == "dot":
            found = _distributed(plan, v, users, new)
        elif _is_sum(v) and not (len(users[v]) == 1 and _is_sum(users[v][0]) and users[v][0] is not v):
            found = _combined(plan, v, users, new)
        if found is None:
            found = v if args == v.args else plan.value(v.op, args, v.shape, *v.attrs)
        new[v] = found
    return new


def _is_sum(v: Value) -> bool:
    """Whether a matrix is a sum, or a number times a matrix."""
    if v.rank != 2 or v.indices or v.op not in ("add", "add_diagonal", "mul"):
        return False
    if v.op == "mul":
        arrays = [a for a in v.args if a.shape]  # none of them a divisor
        return len(arrays) == 1 and v.attrs[1] > 0 and v.args[v.attrs[1] - 1].shape == v.shape
    return True


def _terms(
    plan: Plan, v: Value, users: dict[Value, list[Value]], new: dict[Value, Value], all_of_it: bool = False
) -> list[Term]:
    """The terms of a sum, of values as they have become; what has other users is not taken apart."""
    out: list[Term] = []
    stack: list[tuple[Value, _Scale]] = [(v, _Scale(1, (), ()))]
    while stack:
        a, scale = stack.pop()
        inside = a is v or all_of_it or len(users[a]) == 1
        if a.op == "outer" and inside:
            out.append(Term("outer", tuple([new[b] for b in a.args]), *scale))
        elif a.op == "dense" and a.args[0].op == "diag" and inside:
            out.append(Term("diag", (new[a.args[0].args[0]],), *scale))
        elif a.op == "newaxis" and a.shape != v.shape:  # a column or a row that is repeated
            (u,), axis = a.args, a.attrs[0]
            ones = plan.full(plan.one, (v.shape[axis],))
            out.append(Term("outer", (new[u], ones) if axis == 1 else (ones, new[u]), *scale))
        elif a.rank < 2:
            row = new[a] if a.shape else plan.full(new[a], v.shape[1:])
            out.append(Term("outer", (plan.full(plan.one, v.shape[:1]), row), *scale))
        elif not inside or not _is_sum(a):
            out.append(Term("full", (new[a],), *scale))
        elif a.op == "add":
            stack += [
                (b, scale._replace(coefficient=-scale.coefficient if minus else scale.coefficient))
                for b, minus in reversed(list(zip(a.args, a.attrs[0], strict=True)))
            ]
        elif a.op == "add_diagonal":
            out.append(Term("diag", (new[a.args[1]],), *scale))
            stack.append((a.args[0], scale))
        else:
            coefficient, count = a.attrs
            above = tuple([new[b] for b in a.args[:count] if not b.shape])
            below = tuple([new[b] for b in a.args[count:]])
            (matrix,) = [b for b in a.args if b.shape]
            larger = _Scale(scale.coefficient * coefficient, scale.above + above, scale.below + below)
            stack.append((matrix, larger))
    return out


def _combined(plan: Plan, v: Value, users: dict[Value, list[Value]], new: dict[Value, Value]) -> Value | None:
    """The sum with its outer products as one product of slender matrices; None where there is nothing to gain."""
    terms = _terms(plan, v, users, new)
    outers = [t for t in terms if t.kind == "outer"]
    full = [t for t in terms if t.kind == "full"]
    diagonal = [t for t in terms if t.kind == "diag"]
    if len(outers) < (1 if full or diagonal else 2) or any(a.op == "full" for t in outers for a in t.parts):
        return None
    pairs = _pairs(plan, outers)
    if full:
        t = full.pop()
        out = plan.value("plus_outers", (t.number(plan), t.parts[0], *_stacked(plan, pairs, v)), v.shape)
    elif len(pairs) == 1:
        out = plan.value("outer", pairs[0], v.shape)
    else:
        left, right = _stacked(plan, pairs, v)
        out = plan.value("dot", (plan.transpose(left), right), v.shape)
    if full:
        rest = [ew.mul(plan, [t.number(plan), t.parts[0]], shape=v.shape) for t in full]
        out = ew.add(plan, [out, *rest], v.shape)
    if diagonal:
        entries = [ew.mul(plan, [t.number(plan), t.parts[0]], shape=t.parts[0].shape) for t in diagonal]
        shape = max((e.shape for e in entries), key=len)
        out = plan.value("add_diagonal", (out, ew.add(plan, entries, shape)), v.shape)
    return out


def _pairs(plan: Plan, outers: Sequence[Term]) -> list[tuple[Value, Value]]:
    """The outer products with their numbers on the vectors; those with the same left or right vector as one."""
    by_left: dict[Value, list[Value]] = {}
    for t in outers:
        (left, rights), (right, lefts) = _split(plan, t.parts[0]), _split(plan, t.parts[1])
        above, below = (*t.above, *rights.above, *lefts.above), (*t.below, *rights.below, *lefts.below)
        coefficient = t.coefficient * rights.coefficient * lefts.coefficient
        scaled = ew.mul(plan, [*above, right], below, shape=right.shape, coefficient=coefficient)
        by_left.setdefault(left, []).append(scaled)
    by_right: dict[Value, list[Value]] = {}
    for u, vectors in by_left.items():
        by_right.setdefault(ew.add(plan, vectors, vectors[0].shape), []).append(u)
    return [(ew.add(plan, vectors, vectors[0].shape), v) for v, vectors in by_right.items()]


def _split(plan: Plan, u: Value) -> tuple[Value, _Scale]:
    """A vector without the numbers that it is multiplied by, and these."""
    arrays = [a for a in u.args if a.shape] if u.op == "mul" else []
    if len(arrays) != 1 or arrays[0] in u.args[u.attrs[1] :]:
        return u, _Scale(1, (), ())
    coefficient, count = u.attrs
    above = tuple([a for a in u.args[:count] if not a.shape])
    return arrays[0], _Scale(coefficient, above, tuple(u.args[count:]))


def _stacked(plan: Plan, pairs: Sequence[tuple[Value, Value]], v: Value) -> tuple[Value, Value]:
    """The left and the right vectors, as rows."""
    left, right = zip(*pairs, strict=True)
    count = dim(len(pairs))
    return plan.value("rows", left, (count, v.shape[0])), plan.value("rows", right, (count, v.shape[1]))


def _distributed(plan: Plan, v: Value, users: dict[Value, list[Value]], new: dict[Value, Value]) -> Value | None:
    """A product with a sum of diagonal matrices and outer products, term by term."""
    left, right = v.args
    for k, a in enumerate((left, right)):
        other = v.args[1 - k]
        if a.rank != 2 or not _is_sum(a) or any(u.op != "dot" for u in users[a]):
            continue
        terms = _terms(plan, a, users, new)
        if any(t.kind == "full" for t in terms) or (other.rank == 2 and ONE in other.shape):
            continue
        products = [_product(plan, t, new[other], k, a) for t in terms]
        return ew.add(plan, products, v.shape)
    return None


def _product(plan: Plan, t: Term, other: Value, k: int, a: Value) -> Value:
    """A term times the other factor; ``k`` says whether the term is the left (0) or the right one."""
    number = t.number(plan)
    if t.kind == "diag":
        (entries,) = t.parts
        matrix = plan.diag(entries, a.shape[0])
        links = [Factor(matrix, a.shape[0], a.shape[1]), _link(other, k)]
        product = multiply(plan, *(links if k == 0 else links[::-1])).value
        return ew.mul(plan, [number, product], shape=product.shape)
    u, v = t.parts
    column, row = Factor(u, a.shape[0], ONE), Factor(v, ONE, a.shape[1])
    if k == 0:
        inside = multiply(plan, row, _link(other, 0))
        scaled = Factor(ew.mul(plan, [number, inside.value], shape=inside.value.shape), ONE, inside.cols)
        return multiply(plan, column, scaled).value
    inside = multiply(plan, _link(other, 1), column)
    scaled = Factor(ew.mul(plan, [number, inside.value], shape=inside.value.shape), inside.rows, ONE)
    return multiply(plan, scaled, row).value


def _link(other: Value, k: int) -> Factor:
    """The other factor, on the right (k = 0) or the left."""
    if other.rank == 2:
        return Factor(other, *other.shape)
    return Factor(other, other.shape[0], ONE) if k == 0 else Factor(other, ONE, other.shape[0])


__all__ = ["with_combinations"]
