"""Blocks ``X'*diag(w)*X`` of a Hessian by a matrix: of a loss of ``X*W``, a function of each row of it by itself.

The block of the columns i and j of W has the weights ``w(i, j)``, the second derivatives of each row's loss. Of softmax
regression they are ``-p_i.*p_j``, and ``p_i`` more where i = j; of a network's first layer, sums over the layers behind
it. Nothing is formed but a block at a time, where a contraction of the whole needs ``diag(p_i)*X`` for all i at once;
and a block is symmetric by itself, so that weights of one sign cost half the multiplications, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import permutations
from typing import Any, NamedTuple

from matcalc.lowering.contraction import arranged, operands, product
from matcalc.lowering.plan import Plan, Value
from matcalc.lowering.tensors import Axes, Axis, Factor, Term

_LEAST = 64  # rows and columns of X, from which on products block by block are as fast as one product of all
_ENTRIES = 2**16  # of all diag(w)*X together: half a MiB
_MOST_ORDERED = 4  # axes within weights that are tried in every order


class Weights(NamedTuple):
    """A term of the weights: a number times arrays over some of i, j and the rows of X, named by ``ijr``."""

    coefficient: Any
    scalars: tuple[Value, ...]
    factors: tuple[tuple[Value, str], ...]
    on_diagonal: bool  # whether the term is of the blocks with i = j only


class Grams(NamedTuple):
    """The blocks that some terms are: the matrix X, the weights, and which axes of the whole are i, j and X's columns.

    ``symmetric``  whether the weights are the same for i, j and for j, i
    ``covers``     whether there are weights for all i and j
    """

    matrix: Value
    weights: list[Weights]
    order: tuple[int, int, int, int]
    sizes: tuple[Any, ...]
    symmetric: bool
    covers: bool


class _Found(NamedTuple):
    term: Term
    matrix: Value
    rows: Axis
    order: tuple[int, int, int, int]
    rest: tuple[Factor, ...]

    @property
    def places(self) -> tuple[Axis, Axis]:
        return self.term.outer[self.order[0]], self.term.outer[self.order[1]]


def weighted_grams(plan: Plan, terms: Sequence[Term]) -> tuple[Grams | None, list[Term]]:
    """The blocks that some of the terms are, of one matrix X, and the other terms."""
    if not plan.by_blocks:
        return None, list(terms)
    groups: dict[Any, list[_Found]] = {}
    for t in terms:
        seen = _found(plan, t)
        if seen is not None:
            groups.setdefault((seen.matrix, seen.order), []).append(seen)
    group = max(groups.values(), key=len, default=[])
    if not group or not _pays(plan, group[0]):
        return None, list(terms)
    taken = {id(g.term) for g in group}
    sizes = tuple([a.size for a in group[0].term.outer])
    covers = any(g.places[0] is not g.places[1] for g in group)
    weights = [_weights(plan, g) for g in group]
    found = Grams(group[0].matrix, weights, group[0].order, sizes, _is_symmetric(plan, group), covers)
    return found, [t for t in terms if id(t) not in taken]


def _found(plan: Plan, t: Term) -> _Found | None:
    """The term as ``X'*diag(w)*X`` with weights that depend on both positions; with the X that has the most columns."""
    if t.lead or t.fixed or t.windows or len(t.rows) != 2 or len(t.cols) != 2:
        return None
    ways = [_with_columns(plan, t, row, col) for row in (0, 1) for col in (2, 3)]
    found = [g for g in ways if g is not None]
    return max(found, key=lambda g: plan.weight(t.outer[g.order[2]].size), default=None)


def _with_columns(plan: Plan, t: Term, row: int, col: int) -> _Found | None:
    """The term with X's columns as these two of its four axes."""
    order = (1 - row, 5 - col, row, col)
    i, j, a, b = (t.outer[n] for n in order)
    factors = [p for f in t.factors for p in (_parts(*f) if a in f[1] or b in f[1] else [f])]
    sides = [[f for f in factors if c in f[1]] for c in (a, b)]
    if a in (b, i, j) or b in (i, j) or i.size is not j.size or any(len(s) != 1 for s in sides):
        return None
    (left,), (right,) = sides
    inside = [c for c in left[1] if c is not a]
    if left is right or len(inside) != 1 or len(right[1]) != 2 or {*right[1]} != {b, *inside}:
        return None
    (r,) = inside
    x = arranged(plan, left, (r, a))
    rest = tuple([f for f in factors if f is not left and f is not right])
    if r in t.outer or x is not arranged(plan, right, (r, b)) or not {i, j} <= _linked(r, (i, j), rest):
        return None
    return _Found(t, x, r, order, rest)


def _linked(r: Axis, places: Axes, rest: Sequence[Factor]) -> set[Axis]:
    """The places on which the weight of a row depends otherwise than by a number for all rows."""
    groups = _apart({r, *places}, rest)
    return {a for group in groups if any(r in axes for _, axes in group) for _, axes in group for a in axes}


def _apart(kept: Iterable[Axis], factors: Sequence[Factor]) -> list[list[Factor]]:
    """The factors in groups that have no axis in common besides those kept."""
    kept = set(kept)
    groups: list[list[Factor]] = []
    for f in factors:
        inner = set(f[1]) - kept
        near = [g for g in groups if any(inner & set(axes) for _, axes in g)]
        groups = [g for g in groups if g not in near] + [[*[h for g in near for h in g], f]]
    return groups


def _pays(plan: Plan, g: _Found) -> bool:
    if plan.sizes is None:
        plan.by_size = True
        return False
    i, _, columns, _ = (plan.weight(g.term.outer[k].size) for k in g.order)
    rows = plan.weight(g.rows.size)
    return min(rows, columns) >= _LEAST and i * rows * columns >= _ENTRIES


def _weights(plan: Plan, g: _Found) -> Weights:
    t, (i, j) = g.term, g.places
    letters = {g.rows: "r", j: "j", i: "i"}
    wanted = sorted(letters, key=lambda a: letters[a])
    scalars, factors = list(t.scalars), []
    for group in _apart(letters, g.rest):
        held = {a for _, axes in group for a in axes}
        kept = tuple([a for a in wanted if a in held])
        part = Term((), kept, (), tuple(group), summed=tuple(held - letters.keys()))
        pair, number = operands(plan, part)
        if len(pair) == 2 and len(group) > 1:
            pair = [product(plan, pair[0], pair[1], set(kept), {a: k for k, a in enumerate(kept)})]
        scalars += [number] if number is not plan.one else []
        for v, axes in pair:
            order = [a for a in wanted if a in axes]
            if order:
                factors.append((arranged(plan, (v, axes), order), "".join(letters[a] for a in order)))
            else:
                scalars.append(v)
    return Weights(t.coefficient, tuple(scalars), tuple(factors), i is j)


def _is_symmetric(plan: Plan, group: Sequence[_Found]) -> bool:
    """Whether the terms are the same when i and j change places."""
    names = [_named(plan, g, "ij") for g in group]
    return None not in names and Counter(names) == Counter([_named(plan, g, "ji") for g in group])


def _named(plan: Plan, g: _Found, places: str) -> Any:
    """The weights with names for the axes that do not depend on their order; None where they are too many."""
    i, j = g.places
    known = {i: places[0], j: places[1] if i is not j else places[0], g.rows: "r"}
    inner = list(dict.fromkeys([a for _, axes in g.rest for a in axes if a not in known]))
    if len(inner) > _MOST_ORDERED:
        return None
    if i is j:
        known[i] = "i"
    ways = []
    for numbers in permutations(range(len(inner))):
        label = known | {a: str(k) for a, k in zip(inner, numbers, strict=True)}
        parts = [p for v, axes in g.rest for p in _parts(v, [label[a] for a in axes])]
        factors = [(id(v), tuple(sorted(marks)) if v in plan.symmetric else marks) for v, marks in parts]
        ways.append(tuple(sorted(factors)))
    return min(ways), tuple(sorted(map(id, g.term.scalars))), g.term.coefficient, i is j


def _parts(v: Value, axes: Sequence[Any]) -> list[tuple[Value, tuple[Any, ...]]]:
    """An array over axes as a product of arrays over some of them, as far as it is seen to be one."""
    if v.op == "T":
        return _parts(v.args[0], axes[::-1])
    if v.op == "newaxis":
        return _parts(v.args[0], axes[1 - v.attrs[0] :][:1])
    if v.op == "mul" and v.attrs == (1, len(v.args)):
        return [p for a in v.args for p in _parts(a, axes[len(axes) - a.rank :])]
    return [(v, tuple(axes))]


__all__ = ["Grams", "Weights", "weighted_grams"]
