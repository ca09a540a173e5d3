"""Sums of products times a matrix, ``(A*B + C*D)*E`` as ``A*(B*E) + C*(D*E)`` where that costs less.

So are products with Hessians of what is itself of low rank: ``(dU*V' + U*dV')*V`` never has the size of ``U*V'``. It is
done for functions of directions only (staged.py): a difference of products, such as a residual, may be small against
its terms, and then keeps its digits only as it stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matcalc.lowering.plan import Plan, Value, reachable


class _Product(NamedTuple):
    """A term ``left*right``, and whether it is subtracted."""

    left: Value
    right: Value
    minus: bool


def distributed(plan: Plan, roots: Sequence[Value]) -> list[Value]:
    """The roots with sums of products multiplied out, all of them or none."""
    values = reachable(roots)
    users: dict[Value, list[Value]] = {}
    for v in values:
        for a in v.args:
            users.setdefault(a, []).append(v)
    kept = set(roots)
    sums: dict[Value, list[_Product]] = {}
    for v in values:
        terms = _products(plan, v)
        if terms and v not in kept and all(u.op == "dot" and u.args[0] is not u.args[1] for u in users[v]):
            sums[v] = terms
    if not sums:
        return list(roots)
    if plan.sizes is None:
        plan.by_size = True
    if not _saves(plan, sums, users, kept):
        return list(roots)
    new: dict[Value, Value] = {}
    for v in values:
        if v in sums:
            continue
        at = next((k for k, a in enumerate(v.args) if a in sums), None) if v.op == "dot" else None
        if at is not None and v.args[1 - at] not in sums:
            new[v] = _multiplied(plan, v, sums[v.args[at]], at, new)
            continue
        for a in v.args:
            if a in sums:  # a product of two such sums: one of them is formed
                new[a] = _again(plan, a, new)
        new[v] = _again(plan, v, new)
    return [new[r] for r in roots]


def _again(plan: Plan, v: Value, new: dict[Value, Value]) -> Value:
    args = tuple([new[a] for a in v.args])
    return v if args == v.args else plan.value(v.op, args, v.shape, *v.attrs)


def _products(plan: Plan, v: Value) -> list[_Product]:
    """The terms of a sum of matrices, all of them products that depend on directions; else none."""
    if v.op != "add" or v.rank != 2 or not v.later:
        return []
    out = []
    for minus, a in zip(v.attrs[0], v.args, strict=True):
        turned = a.op == "T"
        p = a.args[0] if turned else a
        if p.op != "dot" or p.rank != 2 or not p.later or any(f.rank != 2 for f in p.args):
            return []
        left, right = p.args
        if turned:
            left, right = plan.transpose(right), plan.transpose(left)
        out.append(_Product(left, right, minus))
    return out


def _weight(plan: Plan, v: Value) -> int:
    size = 1
    for d in v.shape:
        size *= plan.weight(d)
    return size


def _cost(plan: Plan, a: Value, b: Value) -> int:
    """Operations of ``a*b``; what directions do not change is computed once for many."""
    if not a.later and not b.later:
        return 0
    inside = plan.weight(a.shape[-1])
    return _weight(plan, a) * _weight(plan, b) // inside


def _saves(plan: Plan, sums: dict[Value, list[_Product]], users: dict[Value, list[Value]], kept: set[Value]) -> bool:
    before = after = 0
    formed = {}
    for v, terms in sums.items():
        for a, p in zip(v.args, terms, strict=True):
            product = a.args[0] if a.op == "T" else a
            others = [u for x in (product, a) for u in users.get(x, ()) if u not in sums and u.op != "T"]
            if not others and product not in kept:
                formed[product] = _cost(plan, p.left, p.right)
        before += _weight(plan, v) * len(terms)
        for u in users[v]:
            e = u.args[1] if u.args[0] is v else u.args[0]
            before += _cost(plan, v, e) if u.args[0] is v else _cost(plan, e, v)
            for p in terms:
                near, far = (p.right, p.left) if u.args[0] is v else (p.left, p.right)
                inner = _cost(plan, near, e) if u.args[0] is v else _cost(plan, e, near)
                width = _weight(plan, e) // plan.weight(e.shape[0] if u.args[0] is v else e.shape[-1])
                after += inner + _weight(plan, far) * width
    return after < before + sum(formed.values())


def _multiplied(plan: Plan, v: Value, terms: Sequence[_Product], at: int, new: dict[Value, Value]) -> Value:
    """``(sum of products)*e``, or ``e*(sum of products)``."""
    e = new[v.args[1 - at]]
    found = []
    for p in terms:
        left, right = (_known(plan, f, new) for f in (p.left, p.right))
        if at == 0:
            inner = plan.value("dot", (right, e), (*right.shape[:1], *e.shape[1:]))
            found.append(plan.value("dot", (left, inner), v.shape))
        else:
            inner = plan.value("dot", (e, left), (*e.shape[:-1], *left.shape[1:]))
            found.append(plan.value("dot", (inner, right), v.shape))
    return plan.commutative("add", tuple(found), v.shape, tuple([p.minus for p in terms]))


def _known(plan: Plan, f: Value, new: dict[Value, Value]) -> Value:
    if f in new:
        return new[f]
    return plan.transpose(new[f.args[0]]) if f.op == "T" and f.args[0] in new else f


__all__ = ["distributed"]
