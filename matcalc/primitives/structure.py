"""Rearrangements: diagonal both ways, vec, reshape, concatenation, entries and slices, unit vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias, final

from matcalc.dims import ONE, Dim, Shape, dim
from matcalc.expr import OPERATORS, DimMismatch, Expr, make
from matcalc.facts import (
    COLUMNS,
    DIAGONAL,
    NONNEGATIVE,
    POSITIVE,
    PSD,
    ROWS,
    SPD,
    SYMMETRIC,
    WITHIN,
    Facts,
    facts,
    signs_of_diagonal,
    size_of_entries,
)
from matcalc.primitives.algebra import product
from matcalc.primitives.base import Args, Linear, Option, Primitive, Same, Shaped, Sizes, Smooth, m, n, zeros
from matcalc.primitives.leaves import identity, number_of


@final
class Diagonal(Linear):
    """The diagonal matrix of a column.

    Rule     d diag(x) = diag(dx)
    Shapes   x in R^n -> R^{n x n}
    """

    name = "diag"
    takes = {"x": (n, ONE)}
    gives = (n, n)

    @classmethod
    def accepts(cls, shapes: Sequence[Shape]) -> bool:
        return shapes[0][1] is ONE

    def adjoint(self, i: int, g: Expr, y: Expr, x: Args) -> Expr:
        return diagonal_part(g)

    def matrix(self, i: int, y: Expr, x: Args) -> Expr:
        return OPERATORS["khatri_rao"](identity(x[0].rows), identity(x[0].rows))

    def trace_rule(self, i: int) -> str:
        return "trace-diagonal"

    def facts(self, x: Args) -> Facts:
        known = facts(x[0])
        return frozenset(
            {DIAGONAL}
            | ({SPD} if POSITIVE in known else {PSD} if NONNEGATIVE in known else set())
            | (known & {NONNEGATIVE, WITHIN})
        )

    def value(self, sizes: Sizes, *x: Any) -> Any:
        import numpy

        out = numpy.zeros((len(x[0]), len(x[0])), dtype=int).astype(object)
        out[range(len(x[0])), range(len(x[0]))] = x[0][:, 0]
        return out


@final
class DiagonalPart(Linear):
    """The column of the diagonal entries of a square matrix.

    Rule     d diag(A) = diag(dA)
    Shapes   A in R^{n x n} -> R^n
    """

    name = "diag"
    takes = {"A": (n, n)}
    gives = (n, ONE)
    code = "{A}.diagonal()"

    @classmethod
    def accepts(cls, shapes: Sequence[Shape]) -> bool:
        return shapes[0][1] is not ONE

    def adjoint(self, i: int, g: Expr, y: Expr, x: Args) -> Expr:
        return diagonal(g)

    def matrix(self, i: int, y: Expr, x: Args) -> Expr:
        return OPERATORS["khatri_rao"](identity(x[0].rows), identity(x[0].rows)).T

    def trace_rule(self, i: int) -> str:
        return "trace-diagonal"

    def facts(self, x: Args) -> Facts:
        return signs_of_diagonal(facts(x[0])) | (facts(x[0]) & {WITHIN})

    def value(self, sizes: Sizes, *x: Any) -> Any:
        return x[0].diagonal().reshape(-1, 1)


class _Rearrangement(Linear):
    """The same vec in another shape."""

    takes = {"A": (m, n)}

    def adjoint(self, i: int, g: Expr, y: Expr, x: Args) -> Expr:
        return reshape(g, x[0].shape)

    def matrix(self, i: int, y: Expr, x: Args) -> Expr:
        return identity(y.rows * y.cols)

    def trace_rule(self, i: int) -> str:
        return "trace-vec"

    def facts(self, x: Args) -> Facts:
        return size_of_entries(facts(x[0]))


@final
class Vec(_Rearrangement):
    """The columns of a matrix stacked into one.

    Rule     d vec(A) = vec(dA)
    Shapes   A in R^{m x n} -> R^{m*n}
    Source   MN19 2.4
    """

    name = "vec"
    gives = (m * n, ONE)
    source = "MN19 2.4"

    def value(self, sizes: Sizes, *x: Any) -> Any:
        return x[0].reshape(-1, 1, order="F")


@final
class Reshape(Shaped, _Rearrangement):
    """The matrix of given shape with the same vec (entries are read and written by columns).

    Rule     d reshape(A, p, q) = reshape(dA, p, q)
    Shapes   A in R^{m x n}, m*n = p*q -> R^{p x q}
    """

    name = "reshape"

    def infer(self, shapes: tuple[Shape, ...], same: Same) -> Shape:
        ((rows, cols),) = shapes
        same(rows * cols, self.shape[0] * self.shape[1])
        return self.shape

    def value(self, sizes: Sizes, *x: Any) -> Any:
        return x[0].reshape(self.size(sizes), order="F")


class _Concatenation(Linear):
    """Of any number of blocks, along ``axis``."""

    axis: int
    variadic = True

    def infer(self, shapes: tuple[Shape, ...], same: Same) -> Shape:
        along, across = dim(0), shapes[0][1 - self.axis]
        for shape in shapes:
            along = along + shape[self.axis]
            across = same(across, shape[1 - self.axis])
        return (along, across) if self.axis == 0 else (across, along)

    def adjoint(self, i: int, g: Expr, y: Expr, x: Args) -> Expr:
        first = sum((a.shape[self.axis] for a in x[:i]), dim(0)) + 1
        block: Where = (first, first + x[i].shape[self.axis] - 1)
        return sliced(g, block, ALL) if self.axis == 0 else sliced(g, ALL, block)

    def matrix(self, i: int, y: Expr, x: Args) -> Expr:
        before = sum((a.shape[self.axis] for a in x[:i]), dim(0))
        own, whole, across = x[i].shape[self.axis], y.shape[self.axis], y.shape[1 - self.axis]
        if self.axis == 1:  # the blocks of vec are whole columns
            before, own, whole, across = before * across, own * across, whole * across, ONE
        placed = sliced(identity(whole), ALL, (before + 1, before + own))
        return OPERATORS["kron"](identity(across), placed)

    def trace_rule(self, i: int) -> str:
        return "trace-blocks"

    def facts(self, x: Args) -> Facts:
        found = frozenset.intersection(*map(facts, x))
        return size_of_entries(found) | (found & {COLUMNS if self.axis == 1 else ROWS})

    def value(self, sizes: Sizes, *x: Any) -> Any:
        import numpy

        return numpy.concatenate(x, axis=self.axis)


@final
class HCat(_Concatenation):
    """Blocks side by side.

    Rule     d hcat(A, B) = hcat(dA, dB)
    Shapes   A in R^{m x n}, B in R^{m x p} -> R^{m x (n+p)}
    """

    name = "hcat"
    axis = 1


@final
class VCat(_Concatenation):
    """Blocks on top of each other.

    Rule     d vcat(A, B) = vcat(dA, dB)
    Shapes   A in R^{m x n}, B in R^{p x n} -> R^{(m+p) x n}
    """

    name = "vcat"
    axis = 0


# One place of an index: everything, one index (a further argument of the node), or a range of dimensions, 1-based.
ALL, AT = "all", "at"
Where: TypeAlias = str | tuple[Dim, Dim]


@final
class Slice(Linear):
    """Entries, rows, columns and blocks: ``x[i]``, ``A[i,j]``, ``A[i,:]``, ``A[:,j]``, ``A[1:k,:]``; indices from 1.

    Rule     d A[i,j] = dA[i,j]
    Shapes   A in R^{m x n} -> the rows and columns that are named
    """

    fields = ("row", "col")
    row: Where
    col: Where
    level = "power"

    @property
    def integer_slots(self) -> tuple[int, ...]:  # type: ignore[override]
        return tuple(range(1, 1 + (self.row == AT) + (self.col == AT)))

    def infer(self, shapes: tuple[Shape, ...], same: Same) -> Shape:
        for shape in shapes[1:]:
            same(shape[0], ONE)
            same(shape[1], ONE)
        for where, length in zip((self.row, self.col), shapes[0], strict=True):
            if not isinstance(where, str):
                backwards, beyond = (where[1] - where[0] + 1).value, (length - where[1]).value
                if (backwards is not None and backwards < 1) or (beyond is not None and beyond < 0):
                    raise DimMismatch(where[1], length)
        rows, cols = (
            ONE if where == AT else length if isinstance(where, str) else where[1] - where[0] + 1
            for where, length in zip((self.row, self.col), shapes[0], strict=True)
        )
        return (rows, cols)

    def adjoint(self, i: int, g: Expr, y: Expr, x: Args) -> Expr:
        indices = list(x[1:])
        rows, cols = x[0].shape
        if self.row == AT:
            g = product(unit(indices.pop(0), rows), g)
        elif not isinstance(self.row, str):
            g = _padded(VCat(), g, self.row, rows, lambda k: (k, g.cols))
        if self.col == AT:
            g = product(g, unit(indices.pop(0), cols).T)
        elif not isinstance(self.col, str):
            g = _padded(HCat(), g, self.col, cols, lambda k: (g.rows, k))
        return g

    def matrix(self, i: int, y: Expr, x: Args) -> Expr:
        indices = list(x[1:])

        def selected(where: Where, length: Dim) -> Expr:
            if where == AT:
                return unit(indices.pop(0), length).T
            return sliced(identity(length), where, ALL)

        rows = selected(self.row, x[0].rows)
        return OPERATORS["kron"](selected(self.col, x[0].cols), rows)

    def trace_rule(self, i: int) -> str:
        return "trace-entry"

    def facts(self, x: Args) -> Facts:
        kept = size_of_entries(facts(x[0]))
        kept |= facts(x[0]) & {fact for fact, where in ((COLUMNS, self.row), (ROWS, self.col)) if where == ALL}
        if self.row == self.col and x[1:2] == x[2:]:  # on the diagonal
            kept |= facts(x[0]) & {SYMMETRIC, PSD, SPD, DIAGONAL}
        return kept

    def value(self, sizes: Sizes, *x: Any) -> Any:
        a, *indices = x

        def positions(where: Where, length: int) -> slice:
            if where == AT:
                at = int(indices.pop(0)[0, 0])
                if not 1 <= at <= length:
                    raise IndexError(f"index {at} is outside 1..{length}")
                return slice(at - 1, at)
            return (
                slice(None) if isinstance(where, str) else slice(where[0].evaluate(sizes) - 1, where[1].evaluate(sizes))
            )

        rows = positions(self.row, a.shape[0])
        return a[rows, positions(self.col, a.shape[1])]


def _padded(cat: Primitive, g: Expr, where: tuple[Dim, Dim], length: Dim, shape: Any) -> Expr:
    """``g`` put at its place among zeros."""
    before, after = where[0] - 1, length - where[1]
    blocks = [zeros(shape(before))] if before.value != 0 else []
    blocks.append(g)
    if after.value != 0:
        blocks.append(zeros(shape(after)))
    return cat.construct(tuple(blocks)) if len(blocks) > 1 else g


@final
class Unit(Smooth):
    """The unit vector ``e(i, n)``: 1 in entry i, else 0.

    Rule     d e(i, n) = 0
    Shapes   -> R^n
    """

    name = "e"
    fields = ("order",)
    options = (Option("n", "dim", required=True),)
    integer_slots = (0,)
    takes = {"i": (ONE, ONE)}
    order: Dim

    def infer(self, shapes: tuple[Shape, ...], same: Same) -> Shape:
        return (self.order, ONE)

    def construct(self, args: Args) -> Expr:
        at = number_of(args[0])
        if at is not None and (at < 1 or (self.order.value is not None and at > self.order.value)):
            raise DimMismatch(at, self.order)
        return make(self, args)

    def differential(self, y: Expr, x: Args, dx: Args) -> Expr:
        return zeros(y.shape)

    def facts(self, x: Args) -> Facts:
        return frozenset({NONNEGATIVE, WITHIN, COLUMNS})

    def value(self, sizes: Sizes, *x: Any) -> Any:
        import numpy

        out = numpy.zeros((self.order.evaluate(sizes), 1), dtype=int).astype(object)
        out[int(x[0][0, 0]) - 1, 0] = 1
        return out


def diagonal(x: Expr) -> Expr:
    return x if x.is_scalar else Diagonal().construct((x,))


def diagonal_part(a: Expr) -> Expr:
    return a if a.is_scalar else DiagonalPart().construct((a,))


def vec(a: Expr) -> Expr:
    """The columns stacked; a column is its own vec."""
    return a if a.cols is ONE else Vec().construct((a,))


def reshape(a: Expr, shape: Shape) -> Expr:
    return a if a.shape == shape else Reshape(shape).construct((a,))


def unit(i: Expr, order: Dim) -> Expr:
    return make(Unit(order), (i,))


def sliced(a: Expr, row: Where, col: Where, *indices: Expr) -> Expr:
    """The entries of ``a`` at ``row`` and ``col``; the whole range is everything."""
    rows, cols = a.shape
    if row == (ONE, rows):
        row = ALL
    if col == (ONE, cols):
        col = ALL
    return a if row == ALL and col == ALL else Slice(row, col).construct((a, *indices))


OPERATORS["diag"] = diagonal
OPERATORS["vec"] = vec

__all__ = [
    "ALL",
    "AT",
    "Diagonal",
    "DiagonalPart",
    "HCat",
    "Reshape",
    "Slice",
    "Unit",
    "VCat",
    "Vec",
    "Where",
    "diagonal",
    "diagonal_part",
    "reshape",
    "sliced",
    "unit",
    "vec",
]
