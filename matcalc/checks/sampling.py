"""Random numbers that fit declarations: sizes for dimensions, values and directions for variables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

from matcalc.dims import ONE, Dim, Shape, dim
from matcalc.expr import Expr, postorder
from matcalc.facts import (
    COLUMNS,
    DIAGONAL,
    INTEGER,
    INVERTIBLE,
    NONNEGATIVE,
    ONEHOT,
    ORTHOGONAL,
    POSITIVE,
    PSD,
    ROWS,
    SPD,
    SYMMETRIC,
    Facts,
    closure,
    has,
)
from matcalc.primitives.leaves import Differential, Index, Size, number_of
from matcalc.primitives.loops import free_indices
from matcalc.primitives.reference import inverse
from matcalc.primitives.structure import AT, Slice

GRID = 1024  # values are whole multiples of 1/GRID, hence the same number in every precision
SMALLEST = 2
_ATTEMPTS = 400
_LARGE = 300_000  # entries of an array, each a number of 50 digits
_SMALLER = 20  # draws of smaller sizes


class Point(NamedTuple):
    """Numbers for everything that an expression leaves open."""

    sizes: dict[str, int]
    env: dict[Expr, Any]


class NoSizes(Exception):
    """No small sizes satisfy what the shapes demand."""


def draw_point(roots: Sequence[Expr], rng: Random, attempt: int = 0, spare: int = 2) -> Point:
    """Sizes and values; later attempts try small and positive values too, for the sake of narrow domains."""
    sizes = draw_sizes(roots, rng, spare)
    scale = (1.0, 1.0, 0.5, 2.0, 0.25, 0.1)[attempt % 6]
    positive = attempt % 4 in (1, 3)
    env = {}
    for leaf in open_leaves(roots):
        env[leaf] = draw_value(leaf, sizes, rng, scale=scale, positive=positive)
    return Point(sizes, env)


def open_leaves(roots: Sequence[Expr]) -> list[Expr]:
    """The variables and differentials, and the indices that no sum binds."""
    unbound = frozenset().union(*map(free_indices, roots))

    def is_open(e: Expr) -> bool:
        return e.op.is_variable or isinstance(e.op, Differential) or (isinstance(e.op, Index) and e in unbound)

    return [e for e in postorder(roots) if is_open(e)]


def draw_sizes(roots: Iterable[Expr], rng: Random, spare: int = 2) -> dict[str, int]:
    """Small numbers for the names of dimensions, all different, such that every shape exists.

    Where an array would be large with them, as in a Kronecker product of many, they are as small as can be instead.

    ``spare``  by how many the numbers to choose from exceed the names

    Raises   NoSizes
    """
    names: set[str] = set()
    at_least_one: set[Dim] = set()
    shapes: set[Shape] = set()
    for node in postorder(roots):
        shapes.add(node.shape)
        for d in needed(node):
            if d.value is None:
                at_least_one.add(d)
                names |= d.names
            elif d.value < 1:
                raise NoSizes(f"{node.op} has {d} rows or columns")
        names.update(*(d.names for d in node.shape))
        if isinstance(node.op, Size):
            names.add(node.op.name)
    ordered = sorted(names)
    for attempt in range(_ATTEMPTS):
        pool = range(SMALLEST, SMALLEST + len(ordered) + spare + attempt**2 // 800)
        sizes = dict(zip(ordered, rng.sample(pool, len(ordered)), strict=True))
        if all(d.evaluate(sizes) >= 1 for d in at_least_one):
            break
    else:
        raise NoSizes(f"no sizes for {', '.join(ordered)} give every shape at least one row and column")
    for _ in range(_SMALLER):
        if max([rows.evaluate(sizes) * cols.evaluate(sizes) for rows, cols in shapes], default=0) <= _LARGE:
            break
        smaller = {name: rng.choice((SMALLEST, SMALLEST + 1)) for name in ordered}
        if all(d.evaluate(smaller) >= 1 for d in at_least_one):
            sizes = smaller
    return sizes


def needed(node: Expr) -> list[Dim]:
    """Dimensions that must be at least 1 for the node to have a value; zeros may be empty."""
    found = [] if node.is_zero else list(node.shape)
    if isinstance(node.op, Slice):
        indices = list(node.args[1:])
        for where, length in zip((node.op.row, node.op.col), node.args[0].shape, strict=True):
            if where == AT:
                at = number_of(indices.pop(0))
                if isinstance(at, int):
                    found += [dim(at), length - at + 1]
            elif not isinstance(where, str):
                found += [where[0], length - where[1] + 1]
    return found


def draw_value(leaf: Expr, sizes: Mapping[str, int], rng: Random, *, scale: float = 1.0, positive: bool = False) -> Any:
    """A value with the facts that were declared of the leaf."""
    rows, cols = (d.evaluate(sizes) for d in leaf.shape)
    if has(leaf, INTEGER):
        return _array(1, 1, lambda: rng.randint(1, min(3, *sizes.values(), 3)))
    declared: Facts = closure(leaf.op.facts(()))
    if not declared.isdisjoint((COLUMNS, ROWS)):
        return _with_sums_one(rows, cols, rng, declared)
    if ORTHOGONAL in declared:
        return _orthogonal(rows, rng, declared)
    square = rows == cols and leaf.shape[0] is not ONE
    if SPD in declared or PSD in declared:
        if DIAGONAL in declared:
            return _diagonal(_random(rows, 1, rng, scale, True))
        b = _random(rows, rows, rng, scale, positive or not declared.isdisjoint((POSITIVE, NONNEGATIVE)))
        return b.dot(b.T) + (_identity(rows) * _grid(scale / 2))
    if DIAGONAL in declared:
        return _diagonal(_random(rows, 1, rng, scale, positive))
    out = _random(rows, cols, rng, scale, positive or not declared.isdisjoint((POSITIVE, NONNEGATIVE)))
    if SYMMETRIC in declared and square:
        out = out + out.T
    if INVERTIBLE in declared and square:
        out = out + _identity(rows) * _grid(2 * rows * scale)
    return out


def draw_direction(leaf: Expr, sizes: Mapping[str, int], rng: Random) -> Any:
    """A direction of Frobenius norm 1 in which the variable may move: within its declared subspace."""
    import mpmath

    rows, cols = (d.evaluate(sizes) for d in leaf.shape)
    d = into_subspace(leaf, _random(rows, cols, rng, 1.0, False))
    return d / mpmath.sqrt((d * d).sum())


def into_subspace(leaf: Expr, d: Any) -> Any:
    """The orthogonal projection of ``d`` to the symmetric (diagonal) matrices where the variable is declared so."""
    if has(leaf, DIAGONAL):
        return _diagonal(d.diagonal().reshape(-1, 1))
    return (d + d.T) / 2 if has(leaf, SYMMETRIC) and not leaf.is_scalar else d


def _with_sums_one(rows: int, cols: int, rng: Random, known: Facts) -> Any:
    """A matrix with columns (rows) that sum to one, and what else is declared."""
    import numpy

    if (rows == cols > 1 and not known.isdisjoint((SYMMETRIC, ORTHOGONAL, INVERTIBLE))) or {COLUMNS, ROWS} <= known:
        return _doubly_stochastic(rows, rng, known)
    if COLUMNS not in known:
        return _with_sums_one(cols, rows, rng, (known - {ROWS}) | {COLUMNS}).T
    out = _array(rows, cols, lambda: 0)
    for j in range(cols):
        if ONEHOT in known:
            out[rng.randrange(rows), j] += 1
        elif NONNEGATIVE in known:  # lengths of the pieces of an interval
            first = 1 if POSITIVE in known else 0
            cuts = sorted(rng.sample(range(first, GRID), rows - 1))
            out[:, j] = _array(rows, 1, iter(numpy.diff([0, *cuts, GRID]).tolist()).__next__)[:, 0] / GRID
        else:
            out[:, j] = _random(rows, 1, rng, 1.0, False)[:, 0]
            out[-1, j] += 1 - out[:, j].sum()
    return out


def _doubly_stochastic(order: int, rng: Random, known: Facts) -> Any:
    """A square matrix with rows and columns that sum to one: a permutation, or a mean of such and of equal entries."""
    import numpy

    places = list(range(order))
    if SYMMETRIC not in known:
        rng.shuffle(places)
    permuted = _identity(order)[places]
    if DIAGONAL in known or ORTHOGONAL in known or ONEHOT in known:
        return permuted + _array(order, order, lambda: 0)
    weight = rng.randint(1, GRID // order - 1)
    equal = numpy.ones((order, order), dtype=int).astype(object) * _array(1, 1, lambda: weight)[0, 0] / GRID
    return permuted * (1 - order * equal[0, 0]) + equal


def _grid(t: float) -> Any:
    import mpmath

    return mpmath.mpf(round(t * GRID) or 1) / GRID


def _array(rows: int, cols: int, entry: Any) -> Any:
    import mpmath
    import numpy

    out = numpy.empty((rows, cols), dtype=object)
    for i in range(rows):
        for j in range(cols):
            out[i, j] = mpmath.mpf(entry())
    return out


def _random(rows: int, cols: int, rng: Random, scale: float, positive: bool) -> Any:
    out = _array(rows, cols, lambda: _grid(scale * rng.gauss(0, 1)))
    return abs(out) if positive else out


def _identity(order: int) -> Any:
    import numpy

    return numpy.eye(order, dtype=int).astype(object)


def _diagonal(column: Any) -> Any:
    return _identity(len(column)) * column


def _orthogonal(order: int, rng: Random, declared: Facts) -> Any:
    """Cayley's transform of a random skew matrix; a reflection where it must be symmetric, signs where diagonal."""
    if DIAGONAL in declared or order == 1:
        sign = 1 if PSD in declared or POSITIVE in declared else -1
        return _diagonal(_array(order, 1, lambda: rng.choice((sign, 1))))
    if SPD in declared or PSD in declared:
        return _identity(order) + _array(order, order, lambda: 0)
    if SYMMETRIC in declared:
        v = _random(order, 1, rng, 1.0, False)
        return _identity(order) - 2 * v.dot(v.T) / (v * v).sum()
    b = _random(order, order, rng, 1.0, False)
    return (_identity(order) - (b - b.T)).dot(inverse(_identity(order) + (b - b.T)))


__all__ = [
    "NoSizes",
    "Point",
    "draw_direction",
    "draw_point",
    "draw_sizes",
    "draw_value",
    "into_subspace",
    "needed",
    "open_leaves",
]
