"""Sums, means, maxima, traces and norms."""

from __future__ import annotations

from typing import Any, ClassVar, final

from matcalc.dims import ONE, SCALAR, Dim, Shape
from matcalc.expr import OPERATORS, Expr, make
from matcalc.facts import (
    COLUMNS,
    NONNEGATIVE,
    POSITIVE,
    PSD,
    ROWS,
    WITHIN,
    Facts,
    facts,
    signs_of_diagonal,
    size_of_entries,
)
from matcalc.primitives.algebra import power, product
from matcalc.primitives.base import AXIS, Args, Linear, Option, Primitive, Same, Sizes, Smooth, m, n, zeros
from matcalc.primitives.elementwise import sign
from matcalc.primitives.leaves import identity, ones, size
from matcalc.primitives.products import inner, kron
from matcalc.primitives.structure import vec


class Reduction(Primitive):
    """Over all entries (axis None: a scalar), down the columns (0: a row) or along the rows (1: a column)."""

    fields: ClassVar[tuple[str, ...]] = ("axis",)
    options: ClassVar[tuple[Option, ...]] = (AXIS,)
    axis: int | None
    takes = {"A": (m, n)}

    def infer(self, shapes: tuple[Shape, ...], same: Same) -> Shape:
        ((rows, cols),) = shapes
        return SCALAR if self.axis is None else (ONE, cols) if self.axis == 0 else (rows, ONE)

    def over(self, a: Expr, kept: Expr) -> Expr:
        """``kept``, one number for each reduced part, spread back over the shape of ``a``."""
        if self.axis is None:
            return product(kept, ones(*a.shape))
        return product(ones(a.rows), kept) if self.axis == 0 else product(kept, ones(a.cols).T)

    def selection(self, a: Expr) -> Expr:
        """The matrix of the sum under vec."""
        if self.axis is None:
            return ones(a.rows * a.cols).T
        rows, cols = identity(a.rows), identity(a.cols)
        return kron(cols, ones(a.rows).T) if self.axis == 0 else kron(ones(a.cols).T, rows)

    def summed(self, a: Expr) -> Facts:
        """Which sums of a matrix shaped as ``a`` are one, if they are one in each part."""
        if self.axis is None:
            return frozenset({COLUMNS} if a.cols is ONE else {ROWS} if a.rows is ONE else ())
        return frozenset({COLUMNS if self.axis == 0 else ROWS})

    def count(self, a: Expr) -> Dim:
        """How many entries go into one number."""
        return a.rows * a.cols if self.axis is None else a.shape[self.axis]


@final
class Sum(Reduction, Linear):
    """Sum of the entries: of all, down the columns (axis 0, a row) or along the rows (axis 1, a column).

    Rule     d sum(A) = sum(dA)
    Shapes   A in R^{m x n} -> R, R^{1 x n} (axis 0), R^m (axis 1)
    """

    name = "sum"
    code = "{A}.sum({axis})"

    def adjoint(self, i: int, g: Expr, y: Expr, x: Args) -> Expr:
        return self.over(x[0], g)

    def matrix(self, i: int, y: Expr, x: Args) -> Expr:
        return self.selection(x[0])

    def trace_rule(self, i: int) -> str:
        return "trace-ones"

    def facts(self, x: Args) -> Facts:
        known = facts(x[0])
        found = known & {POSITIVE, NONNEGATIVE}
        if PSD in known and self.axis is None:
            found |= {NONNEGATIVE}
        if self.axis is None:  # of a column, of a row
            sums = {fact for fact, d in ((COLUMNS, x[0].cols), (ROWS, x[0].rows)) if d is ONE and fact in known}
            return found | ({COLUMNS, ROWS, POSITIVE, WITHIN} if sums else set())
        own = COLUMNS if self.axis == 0 else ROWS
        return found | ({own, POSITIVE, WITHIN} if own in known else set())

    def value(self, sizes: Sizes, *x: Any) -> Any:
        import numpy

        return numpy.sum(x[0], axis=self.axis, keepdims=True)


@final
class Mean(Reduction, Linear):
    """Mean of the entries, along the axes of ``sum``.

    Rule     d mean(A) = mean(dA)
    Shapes   A in R^{m x n} -> R, R^{1 x n} (axis 0), R^m (axis 1)
    """

    name = "mean"

    def adjoint(self, i: int, g: Expr, y: Expr, x: Args) -> Expr:
        return product(power(size(self.count(x[0])), -1), self.over(x[0], g))

    def matrix(self, i: int, y: Expr, x: Args) -> Expr:
        return product(power(size(self.count(x[0])), -1), self.selection(x[0]))

    def trace_rule(self, i: int) -> str:
        return "trace-ones"

    def facts(self, x: Args) -> Facts:
        across = {COLUMNS} if self.axis == 1 else {ROWS} if self.axis == 0 else set()
        return size_of_entries(facts(x[0])) | (facts(x[0]) & across)

    def value(self, sizes: Sizes, *x: Any) -> Any:
        import mpmath
        import numpy

        total = numpy.sum(x[0], axis=self.axis, keepdims=True)
        return total * (mpmath.mpf(total.size) / x[0].size)


@final
class Max(Reduction, Smooth):
    """Largest entry, along the axes of ``sum``.

    Rule     d max(A) = <argmax(A), dA>
    Shapes   A in R^{m x n} -> R, R^{1 x n} (axis 0), R^m (axis 1)
    Domain   where the largest entry is unique
    """

    name = "max"
    latex = r"\max"
    code = "{A}.max({axis})"
    kink = "where several entries are largest, max has the subgradient that shares equally among them, as PyTorch"

    def shown_options(self, x: Args) -> tuple[str, ...]:  # max(x, 0) could be meant for the larger of x and 0
        return (f"axis={self.axis}",) if self.axis is not None and x[0].cols is ONE else super().shown_options(x)

    def differential(self, y: Expr, x: Args, dx: Args) -> Expr:
        chosen = make(ArgMax(self.axis), x)
        return inner(chosen, dx[0]) if self.axis is None else make(Sum(self.axis), (chosen * dx[0],))

    def facts(self, x: Args) -> Facts:
        return size_of_entries(facts(x[0]))

    def value(self, sizes: Sizes, *x: Any) -> Any:
        import numpy

        return numpy.max(x[0], axis=self.axis, keepdims=True)


@final
class ArgMax(Reduction, Smooth):
    """Indicator of the largest entry: 1 there and 0 elsewhere; equal shares where several are largest.

    Rule     d argmax(A) = 0
    Shapes   A in R^{m x n} -> R^{m x n}
    Domain   where the largest entry is unique
    """

    name = "argmax"
    code = "{rt}.argmax({A}, {axis})"

    def infer(self, shapes: tuple[Shape, ...], same: Same) -> Shape:
        return shapes[0]

    def differential(self, y: Expr, x: Args, dx: Args) -> Expr:
        return zeros(y.shape)

    def facts(self, x: Args) -> Facts:
        return frozenset({NONNEGATIVE, WITHIN}) | self.summed(x[0])

    def value(self, sizes: Sizes, *x: Any) -> Any:
        import mpmath
        import numpy

        hit = (x[0] == numpy.max(x[0], axis=self.axis, keepdims=True)).astype(int)
        return hit.astype(object) * mpmath.mpf(1) / numpy.sum(hit, axis=self.axis, keepdims=True).astype(object)


@final
class Trace(Linear):
    """Trace.

    Rule     d tr(A) = tr(dA)
    Shapes   A in R^{n x n} -> R
    Source   MN19 8.1
    """

    name = "tr"
    takes = {"A": (n, n)}
    gives = SCALAR
    code = "{A}.trace()"
    source = "MN19 8.1"

    def adjoint(self, i: int, g: Expr, y: Expr, x: Args) -> Expr:
        return product(g, identity(x[0].rows))

    def matrix(self, i: int, y: Expr, x: Args) -> Expr:
        return vec(identity(x[0].rows)).T

    def trace_rule(self, i: int) -> str:
        return "trace-identity"

    def facts(self, x: Args) -> Facts:
        return signs_of_diagonal(facts(x[0]))

    def value(self, sizes: Sizes, *x: Any) -> Any:
        from matcalc.primitives.reference import scalar

        return scalar(x[0].trace())


@final
class Norm2(Smooth):
    """Euclidean norm of a vector, Frobenius norm of a matrix.

    Rule     d norm2(A) = <A, dA>/norm2(A)
    Shapes   A in R^{m x n} -> R
    Domain   A != 0
    Source   MC12 2.6
    """

    name = "norm2"
    takes = {"A": (m, n)}
    gives = SCALAR
    code = "{rt}.norm2({A})"
    kink = "norm2 has the subgradient 0 at 0, as PyTorch"
    source = "MC12 2.6"

    def differential(self, y: Expr, x: Args, dx: Args) -> Expr:
        return inner(x[0], dx[0]) / y

    def facts(self, x: Args) -> Facts:
        return frozenset({NONNEGATIVE})

    def value(self, sizes: Sizes, *x: Any) -> Any:
        import mpmath

        from matcalc.primitives.reference import scalar

        return scalar(mpmath.sqrt((x[0] * x[0]).sum()))


@final
class Norm1(Smooth):
    """Sum of the absolute values of the entries.

    Rule     d norm1(A) = <sign(A), dA>
    Shapes   A in R^{m x n} -> R
    Domain   no entry is 0
    """

    name = "norm1"
    takes = {"A": (m, n)}
    gives = SCALAR
    kink = "norm1 has the subgradient 0 in an entry that is 0, as PyTorch"

    def differential(self, y: Expr, x: Args, dx: Args) -> Expr:
        return inner(sign(x[0]), dx[0])

    def facts(self, x: Args) -> Facts:
        return frozenset({NONNEGATIVE})

    def value(self, sizes: Sizes, *x: Any) -> Any:
        from matcalc.primitives.reference import scalar

        return scalar(abs(x[0]).sum())


SUM, TRACE, NORM2, NORM1 = Sum(None), Trace(), Norm2(), Norm1()


def total(a: Expr) -> Expr:
    """The sum of all entries; of a scalar itself."""
    return a if a.is_scalar else SUM.construct((a,))


def tr(a: Expr) -> Expr:
    """The trace; of a scalar itself."""
    return a if a.is_scalar else TRACE.construct((a,))


OPERATORS["sum"] = total
OPERATORS["trace"] = tr

__all__ = [
    "NORM1",
    "NORM2",
    "SUM",
    "TRACE",
    "ArgMax",
    "Max",
    "Mean",
    "Norm1",
    "Norm2",
    "Reduction",
    "Sum",
    "Trace",
    "total",
    "tr",
]
