"""The product of arrays over axes, summed over those that the result has not: which pairs first, and each pair by one
elementwise product, one matrix product or one batch of matrix products.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set
from functools import lru_cache
from itertools import pairwise
from math import prod
from typing import NamedTuple

from matcalc.dims import ONE
from matcalc.expr import Number
from matcalc.lowering import elementwise as ew
from matcalc.lowering.chains import multiply
from matcalc.lowering.ordering import Factor as Link
from matcalc.lowering.plan import MODELS, ArrayShape, Plan, Value
from matcalc.lowering.tensors import Axes, Axis, Factor, Term, volume, without_repeats
from matcalc.lowering.totals import inner, total

_MOST_SEARCHED = 7  # factors of which the cheapest order is found; of more, the cheapest pairs are taken first


class Operands(NamedTuple):
    """What a term is the product of: a number and at most two arrays."""

    factors: list[Factor]
    number: Value


def operands(plan: Plan, term: Term) -> Operands:
    """The factors of a term contracted to two whose product, summed over what the term has not, is the term.

    Numbers are multiplied into the smallest factor there is, except where an array meets itself: that product is
    symmetric, and costs half.
    """
    factors, scalars, coefficient = _without_lonely_axes(plan, term)
    kept = [a for a in dict.fromkeys(term.axes) if not any(a is b for b, _ in term.fixed)]
    order = {a: k for k, a in enumerate(kept)}
    if not factors:
        return Operands([(ew.mul(plan, scalars, shape=(), coefficient=coefficient), ())], plan.one)
    if scalars or coefficient != 1:
        if len(factors) > 2 or (len(factors) == 2 and factors[0][0] is factors[1][0]):
            pair = _contracted(plan, factors, order)
            if len(pair) == 2 and pair[0][0] is pair[1][0] and {*pair[0][1], *pair[1][1]} - order.keys():
                return Operands(pair, ew.mul(plan, scalars, shape=(), coefficient=coefficient))
        k = min(range(len(factors)), key=lambda k: _volume(plan, factors[k][1]))
        v, axes = factors[k]
        factors[k] = (times_number(plan, v, scalars, coefficient), axes)
    return Operands(_contracted(plan, factors, order), plan.one)


def _contracted(plan: Plan, factors: list[Factor], order: dict[Axis, int]) -> list[Factor]:
    while len(factors) > _MOST_SEARCHED:
        factors = _cheapest_pair_joined(plan, factors, order)
    if len(factors) == 1:
        return factors
    search = _Search(plan, factors, order)
    left, right = search.best(search.all)
    plan.weighed = plan.weighed or len(factors) > 2
    if len(factors) > 2 and plan.sizes is None and not plan.by_size:
        tree = search.tree(search.all)
        plan.by_size = any(_Search(plan, factors, order, model).tree(search.all) != tree for model in MODELS[:2])
    return [search.contracted(plan, left), search.contracted(plan, right)]


def times_number(plan: Plan, v: Value, scalars: Sequence[Value], coefficient: Number) -> Value:
    """An array of any rank times numbers."""
    if v.rank <= 2:
        return ew.mul(plan, [*scalars, v], shape=v.shape, coefficient=coefficient)
    number = ew.mul(plan, scalars, shape=(), coefficient=coefficient)
    return v if number is plan.one else plan.value("mul", (number, v), v.shape, 1, 2)


def _without_lonely_axes(plan: Plan, term: Term) -> tuple[list[Factor], list[Value], Number]:
    """The factors taken at fixed positions and summed over the axes that nothing else has."""
    kept, fixed = set(term.axes), dict(term.fixed)
    factors: list[Factor] = []
    scalars = list(term.scalars)
    windowed = [_windowed(plan, f, term) for f in term.factors]
    held = kept.union(fixed, [w.axis for w in term.windows], *[axes for _, axes in windowed])
    scalars += [plan.dimension(a.size) for a in dict.fromkeys(term.summed) if a not in held]
    for v, axes in windowed:
        if any(a in fixed for a in axes):
            wheres = ["at" if a in fixed else "all" for a in axes]
            rest = tuple([a for a in axes if a not in fixed])
            places = [fixed[a] for a in axes if a in fixed]
            v = plan.value("block", (v, *places), tuple([a.size for a in rest]), *wheres)
            axes = rest
        factors.append((v, axes))
    out: list[Factor] = []
    for k, (v, axes) in enumerate(factors):
        elsewhere = kept.union(*[others for j, (_, others) in enumerate(factors) if j != k])
        for axis in [a for a in axes if a not in elsewhere]:
            at = axes.index(axis)
            rest = axes[:at] + axes[at + 1 :]
            shape = tuple([a.size for a in rest])
            v = total(plan, v, at) if v.rank <= 2 else plan.value("sum", (v,), shape, at)
            axes = rest
        if axes:
            out.append((v, axes))
        else:
            scalars.append(v)
    return out, scalars, term.coefficient


def _windowed(plan: Plan, factor: Factor, term: Term) -> Factor:
    """The factor with the axes of windows in the place of those that have one."""
    v, axes = factor
    for w in term.windows:
        if w.axis in axes:
            at = axes.index(w.axis)
            limits = [plan.dimension(d) for d in w.limits]
            wheres = ["range" if a is w.axis else "all" for a in axes]
            part = tuple([volume(w.parts) if a is w.axis else a.size for a in axes])
            v = plan.value("block", (v, *limits), part, *wheres)
            axes = axes[:at] + w.parts + axes[at + 1 :]
            v, axes = without_repeats(plan, (plan.reshape(v, _sizes(axes)), axes))
    return v, axes


def _volume(plan: Plan, axes: Axes) -> int:
    plan.weighed = True
    n = 1
    for a in axes:
        n *= plan.weight(a.size)
    return n


class _Search:
    """The cheapest order of contraction, over the subsets of the factors (sets of bits)."""

    def __init__(self, plan: Plan, factors: Sequence[Factor], order: dict[Axis, int], model: int = 0) -> None:
        self.factors, self.order = factors, order
        self.all = (1 << len(factors)) - 1
        bits: dict[Axis, int] = {}
        for a in (*order, *(a for _, held in factors for a in held)):
            bits.setdefault(a, 1 << len(bits))
        held = tuple([sum([bits[a] for a in axes]) for _, axes in factors])
        weights = tuple([plan.weight(a.size, model) for a in bits])
        self._parts = _divided(held, weights, (1 << len(order)) - 1)

    def best(self, s: int) -> tuple[int, int]:
        """The two parts into which a subset is divided last."""
        return self._parts[s], s ^ self._parts[s]

    def tree(self, s: int) -> frozenset[int]:
        """The subsets that are contracted on the way to ``s``."""
        if s & (s - 1) == 0:
            return frozenset()
        left, right = self.best(s)
        return self.tree(left) | self.tree(right) | {s}

    def contracted(self, plan: Plan, s: int) -> Factor:
        if s & (s - 1) == 0:
            return self.factors[s.bit_length() - 1]
        left, right = self.best(s)
        outside = [a for k, (_, held) in enumerate(self.factors) if not s >> k & 1 for a in held]
        return product(
            plan, self.contracted(plan, left), self.contracted(plan, right), {*self.order, *outside}, self.order
        )


@lru_cache(maxsize=256)  # many terms of a Hessian have the same pattern
def _divided(held: tuple[int, ...], weights: tuple[int, ...], kept: int) -> list[int]:
    """One of the two parts into which each subset of the factors is divided last, where that is the cheapest.

    ``held``  the axes of the factors, and ``kept`` those of the result, which are the first ones: sets of bits
    """
    everything = (1 << len(held)) - 1
    within = [0] * (everything + 1)  # axes of the factors of each subset
    for s in range(1, everything + 1):
        low = s & -s
        within[s] = within[s ^ low] | held[low.bit_length() - 1]
    left = [axes & (kept | within[everything ^ s]) for s, axes in enumerate(within)]  # when it is contracted
    volumes: dict[int, int] = {}

    def volume_of(axes: int) -> int:
        known = volumes.get(axes)
        if known is None:
            known = volumes[axes] = prod([w for k, w in enumerate(weights) if axes >> k & 1])
        return known

    costs, parts = [0] * (everything + 1), [0] * (everything + 1)
    for s in range(3, everything + 1):
        low, least = s & -s, 0
        rest = others = s ^ low
        while others:
            others = (others - 1) & rest
            part = low | others
            here = costs[part] + costs[s ^ part]
            if not least or here < least:
                a, b = left[part], left[s ^ part]
                here += volume_of(a | b)
                if a & b & ~left[s] and not _in_order(a & ~b & kept, b & ~a & kept):
                    here += volume_of(left[s])  # the axes of the product are put in order
                if not least or here < least:
                    least, parts[s] = here, part
        costs[s] = least
    return parts


def _in_order(a: int, b: int) -> bool:
    """Whether the axes of one side all come before those of the other."""
    return not a or not b or a < (b & -b) or b < (a & -a)


def _cheapest_pair_joined(plan: Plan, factors: list[Factor], order: dict[Axis, int]) -> list[Factor]:
    """One factor less: the pair whose product is the smallest gain in entries, of those with a common axis if any."""
    users = Counter([a for _, held in factors for a in held])
    holders: dict[Axis, list[int]] = {}
    for k, (_, held) in enumerate(factors):
        for a in held:
            holders.setdefault(a, []).append(k)
    pairs = {(i, j) for at in holders.values() for i, j in pairwise(at)}
    smallest = sorted(range(len(factors)), key=lambda k: _volume(plan, factors[k][1]))[:2]

    def gain(pair: tuple[int, int]) -> tuple[int, tuple[int, int]]:
        a, b = (factors[k][1] for k in pair)
        left = [c for c in dict.fromkeys(a + b) if c in order or users[c] > (c in a) + (c in b)]
        return _volume(plan, tuple(left)) - _volume(plan, a) - _volume(plan, b), pair

    i, j = min(pairs, key=gain) if pairs else (min(smallest), max(smallest))
    rest = [f for k, f in enumerate(factors) if k not in (i, j)]
    keep = {*order, *[a for _, held in rest for a in held]}
    return [*rest, product(plan, factors[i], factors[j], keep, order)]


# One pair


def product(plan: Plan, a: Factor, b: Factor, keep: Set[Axis], order: dict[Axis, int]) -> Factor:
    """The product of two factors, summed over the axes that are not in ``keep``."""
    (x, left), (y, right) = a, b
    common = [c for c in left if c in right]
    if _first(order, right, common) < _first(order, left, common):  # the result has its axes in the order of the whole
        (x, left), (y, right) = (a, b) = b, a
    summed = [c for c in common if c not in keep]
    batch = [c for c in common if c in keep]
    mine = [c for c in left if c not in common]
    yours = [c for c in right if c not in common]
    if not summed:
        return _elementwise(plan, a, b, order)
    if not batch:
        if max(x.rank, y.rank) <= 2 and len(summed) == 1:
            return _matrix_product(plan, a, b, summed[0], mine, yours)
        if not mine and not yours:  # the sum of all products of entries
            y = arranged(plan, (y, right), left)
            if x.rank > 2:
                x, y = (plan.reshape(v, (volume(left),)) for v in (x, y))
            return inner(plan, x, y), ()
        x, y = _as_matrix(plan, a, mine, summed), plan.transpose(_as_matrix(plan, b, yours, summed))
        axes = (*mine, *yours)
        return plan.reshape(plan.value("dot", (x, y), _flat(mine) + _flat(yours)), _sizes(axes)), axes
    axes = (*batch, *mine, *yours)
    if not mine or not yours:
        letters = {c: "ijklabcdefghmnopqrstuvwxyz"[k] for k, c in enumerate(dict.fromkeys([*left, *right]))}
        inputs = ",".join("".join(letters[c] for c in held) for held in (left, right))
        template = f"{{xp}}.einsum('{inputs}->{''.join(letters[c] for c in axes)}', {{0}}, {{1}})"
        return plan.call(template, (x, y), _sizes(axes)), axes
    inside = volume(summed)
    x = plan.reshape(arranged(plan, a, [*batch, *mine, *summed]), (*_sizes(batch), volume(mine), inside))
    y = plan.reshape(arranged(plan, b, [*batch, *summed, *yours]), (*_sizes(batch), inside, volume(yours)))
    found = plan.value("matmul", (x, y), (*_sizes(batch), volume(mine), volume(yours)))
    return plan.reshape(found, _sizes(axes)), axes


def _first(order: dict[Axis, int], axes: Axes, common: Sequence[Axis]) -> int:
    return min([order.get(c, len(order)) for c in axes if c not in common], default=len(order))


def _sizes(axes: Sequence[Axis]) -> ArrayShape:
    return tuple([a.size for a in axes])


def _flat(axes: Sequence[Axis]) -> ArrayShape:
    return (volume(axes),) if axes else ()


def _as_matrix(plan: Plan, factor: Factor, rows: Sequence[Axis], cols: Sequence[Axis]) -> Value:
    """The array with two groups of axes as those of a matrix (of a vector, where there are no rows)."""
    v, axes = factor
    if list(axes) == [*cols, *rows]:
        return plan.transpose(plan.reshape(v, (volume(cols), *_flat(rows))))
    return plan.reshape(arranged(plan, factor, [*rows, *cols]), (*_flat(rows), volume(cols)))


def _matrix_product(plan: Plan, a: Factor, b: Factor, inside: Axis, mine: list[Axis], yours: list[Axis]) -> Factor:
    """Of matrices and vectors, in the ways that are known of single products: solves, scaling, blocks."""
    x, y = (
        plan.transpose(v) if len(axes) == 2 and list(axes) != wanted else v
        for (v, axes), wanted in ((a, [*mine, inside]), (b, [inside, *yours]))
    )
    rows, cols = (axes[0].size if axes else ONE for axes in (mine, yours))
    found = multiply(plan, Link(x, rows, inside.size), Link(y, inside.size, cols)).value
    return found, (*mine, *yours)


def _elementwise(plan: Plan, a: Factor, b: Factor, order: dict[Axis, int]) -> Factor:
    (x, left), (y, right) = a, b
    axes = tuple(sorted(dict.fromkeys([*left, *right]), key=lambda c: order.get(c, len(order))))
    if len(axes) > 2:
        factors = (expanded(plan, a, axes), expanded(plan, b, axes))
        return plan.value("mul", factors, _sizes(axes), 1, 2), axes
    if len(axes) == 2 and len(left) == len(right) == 1:
        u, v = (x, y) if left[0] is axes[0] else (y, x)
        return multiply(plan, Link(u, axes[0].size, ONE), Link(v, ONE, axes[1].size)).value, axes
    spread = []
    for v, held in (a, b):
        v = arranged(plan, (v, held), [c for c in axes if c in held])
        spread.append(plan.newaxis(v, 1) if len(axes) == 2 and held == axes[:1] else v)
    return ew.mul(plan, spread, shape=_sizes(axes)), axes


def arranged(plan: Plan, factor: Factor, wanted: Sequence[Axis]) -> Value:
    """The array with its axes in the wanted order."""
    v, axes = factor
    if list(axes) == list(wanted):
        return v
    if len(axes) == 2:  # of an inverse the view, since the inverse may be needed as it is, too
        return plan.value("T", (v,), _sizes(wanted)) if v.op == "inv" else plan.transpose(v)
    return plan.value("axes", (v,), _sizes(wanted), *[axes.index(a) for a in wanted])


def expanded(plan: Plan, factor: Factor, axes: Sequence[Axis]) -> Value:
    """The array with its axes among others, over which it is repeated."""
    v, held = factor
    v = arranged(plan, factor, [a for a in axes if a in held])
    present = [a in held for a in axes]
    first = present.index(True) if any(present) else len(present)
    if all(present[first:]):
        return v
    shape = tuple([a.size if a in held else ONE for a in axes[first:]])
    return plan.value("expand", (v,), shape, *present[first:])


__all__ = ["arranged", "expanded", "operands", "product", "times_number"]
