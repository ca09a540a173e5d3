"""The softmax of columns and rows, and the logarithms that belong to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

from matcalc.dims import ONE, Shape
from matcalc.expr import OPERATORS, Expr
from matcalc.facts import POSITIVE, WITHIN, Facts
from matcalc.primitives.algebra import add
from matcalc.primitives.base import Args, Primitive, Same, Sizes, Smooth
from matcalc.primitives.elementwise import exp
from matcalc.primitives.leaves import identity
from matcalc.primitives.products import inner
from matcalc.primitives.reductions import Reduction, Sum
from matcalc.primitives.structure import diagonal, vec


class _Softmax(Reduction, Smooth):
    """By column; ``axis=1`` by row. A row vector goes as a whole, as a column does."""

    axis: int

    @classmethod
    def from_call(cls, shapes: Sequence[Shape], options: tuple[Any, ...]) -> Primitive:
        (axis,) = options
        ((rows, cols),) = shapes
        return cls(axis if axis is not None else 1 if rows is ONE and cols is not ONE else 0)

    def shown_options(self, x: Args) -> tuple[str, ...]:
        return () if self is type(self).from_call((x[0].shape,), (None,)) else (f"axis={self.axis}",)

    def total(self, a: Expr) -> Expr:
        """The sums along the axis."""
        return OPERATORS["sum"](a) if a.shape[1 - self.axis] is ONE else Sum(self.axis)(a)

    def spread(self, a: Expr, kept: Expr) -> Expr:
        """Sums along the axis, brought to the shape of ``a`` (a scalar spreads by itself)."""
        return kept if kept.is_scalar else self.over(a, kept)

    def weighted(self, s: Expr, d: Expr) -> Expr:
        """The sums of ``s .* d`` along the axis; of columns ``s'*d``."""
        return inner(s, d) if s.shape[1 - self.axis] is ONE else Sum(self.axis)(s * d)


@final
class Softmax(_Softmax):
    """Softmax ``exp(x)/sum(exp(x))`` of a column (of each column of a matrix).

    Rule     d softmax(x) = softmax(x) .* (dx - softmax(x)'*dx)
    Shapes   x in R^n -> R^n
    Source   GBC16 4.1
    """

    name = "softmax"
    code = "{rt}.softmax({A}, {axis})"
    source = "GBC16 4.1"

    def infer(self, shapes: tuple[Shape, ...], same: Same) -> Shape:
        return shapes[0]

    def differential(self, y: Expr, x: Args, dx: Args) -> Expr:
        return y * (dx[0] - self.spread(y, self.weighted(y, dx[0])))

    def jacobian(self, i: int, y: Expr, x: Args) -> Expr:
        # diag(s) - s*s' for each column (row) s, in blocks.
        if y.shape[1 - self.axis] is ONE:
            s = vec(y)
        else:
            khatri_rao = OPERATORS["khatri_rao"]
            s = khatri_rao(identity(y.cols), y) if self.axis == 0 else khatri_rao(y.T, identity(y.rows))
        return diagonal(vec(y)) - s @ s.T

    def facts(self, x: Args) -> Facts:
        return frozenset({POSITIVE, WITHIN}) | self.summed(x[0])

    def value(self, sizes: Sizes, *x: Any) -> Any:
        import numpy

        from matcalc.primitives.reference import entrywise

        e = entrywise(exp.value, x[0])
        return e / numpy.sum(e, axis=self.axis, keepdims=True)


@final
class LogSumExp(_Softmax):
    """``log(sum(exp(x)))`` of a column (of each column of a matrix: a row).

    Rule     d logsumexp(x) = softmax(x)'*dx
    Shapes   x in R^n -> R
    Source   GBC16 4.1
    """

    name = "logsumexp"
    code = "{rt}.logsumexp({A}, {axis})"
    source = "GBC16 4.1"

    def differential(self, y: Expr, x: Args, dx: Args) -> Expr:
        return self.weighted(Softmax(self.axis)(x[0]), dx[0])

    def value(self, sizes: Sizes, *x: Any) -> Any:
        import mpmath
        import numpy

        from matcalc.primitives.reference import entrywise

        return entrywise(mpmath.log, numpy.sum(entrywise(exp.value, x[0]), axis=self.axis, keepdims=True))


@final
class LogSoftmax(_Softmax):
    """``x - logsumexp(x)`` of a column (of each column of a matrix).

    Rule     d log_softmax(x) = dx - softmax(x)'*dx
    Shapes   x in R^n -> R^n
    Source   GBC16 4.1
    """

    name = "log_softmax"
    code = "{rt}.log_softmax({A}, {axis})"
    source = "GBC16 4.1"

    def infer(self, shapes: tuple[Shape, ...], same: Same) -> Shape:
        return shapes[0]

    def differential(self, y: Expr, x: Args, dx: Args) -> Expr:
        return add(dx[0], -self.spread(y, self.weighted(Softmax(self.axis)(x[0]), dx[0])))

    def value(self, sizes: Sizes, *x: Any) -> Any:
        return x[0] - LogSumExp(self.axis).value(sizes, *x)


__all__ = ["LogSoftmax", "LogSumExp", "Softmax"]
