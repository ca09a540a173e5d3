"""Expressions without arguments: variables, numbers, and the constant matrices of the language."""

from __future__ import annotations

from functools import reduce
from typing import Any, final

from matcalc.dims import ONE, SCALAR, Dim, Shape
from matcalc.errors import LimitError
from matcalc.expr import OPERATORS, Expr, ExprLike, Number, make
from matcalc.facts import (
    COLUMNS,
    INSIDE,
    INTEGER,
    NONNEGATIVE,
    ORTHOGONAL,
    POSITIVE,
    ROWS,
    SPD,
    SYMMETRIC,
    WITHIN,
    Facts,
)
from matcalc.primitives.base import Args, Leaf, Option, Shaped, Sizes, Zeros, zeros


@final
class Var(Leaf):
    """A variable: scalar, column or matrix, with the facts that were declared of it."""

    fields = ("name", "shape", "declared")
    name: str  # type: ignore[misc]  # of the instance
    declared: tuple[str, ...]  # sorted
    is_variable = True

    def facts(self, x: Args) -> Facts:
        return frozenset(self.declared)


@final
class Const(Leaf):
    """A number: exact (int, Fraction), or a float where the user wrote decimals."""

    fields = ("number",)
    number: Number
    shape = SCALAR

    def facts(self, x: Args) -> Facts:
        found = {POSITIVE} if self.number > 0 else set()
        if -1 <= self.number <= 1:
            found |= {COLUMNS, ROWS, WITHIN} if self.number == 1 else {WITHIN if self.number == -1 else INSIDE}
        return frozenset(found | {INTEGER} if isinstance(self.number, int) else found)

    def value(self, sizes: Sizes, *x: Any) -> Any:
        from matcalc.primitives.reference import number, scalar

        return scalar(number(self.number))


@final
class Pi(Leaf):
    """The number pi."""

    name = "pi"
    shape = SCALAR

    def facts(self, x: Args) -> Facts:
        return frozenset({POSITIVE})

    def value(self, sizes: Sizes, *x: Any) -> Any:
        import mpmath

        from matcalc.primitives.reference import scalar

        return scalar(+mpmath.mp.pi)


@final
class Size(Leaf):
    """A dimension used as a number, as in ``(1/m)*sum(x)``."""

    fields = ("name",)
    name: str  # type: ignore[misc]  # of the instance
    shape = SCALAR

    def facts(self, x: Args) -> Facts:
        return frozenset({POSITIVE, INTEGER})

    def value(self, sizes: Sizes, *x: Any) -> Any:
        from matcalc.primitives.reference import number, scalar

        return scalar(number(sizes[self.name]))


@final
class Index(Leaf):
    """The index of an indexed sum, a whole number bound by it."""

    fields = ("name",)
    name: str  # type: ignore[misc]  # of the instance
    shape = SCALAR

    def facts(self, x: Args) -> Facts:
        return frozenset({INTEGER})


@final
class Differential(Leaf):
    """The differential ``dX`` of an expression: the free direction in which a differential is linear."""

    fields = ("of",)
    of: Expr

    @property
    def shape(self) -> Shape:  # type: ignore[override]
        return self.of.shape

    def facts(self, x: Args) -> Facts:
        """A variable that is declared symmetric (diagonal) moves within the symmetric (diagonal) matrices."""
        if not self.of.op.is_variable:
            return frozenset()
        declared = self.of.op.facts(())
        kept = declared & {SYMMETRIC, "diagonal"}
        return kept | {SYMMETRIC} if declared & {"spd", "psd"} else kept


@final
class Identity(Leaf):
    """The identity matrix of order n."""

    name = "eye"
    fields = ("order",)
    options = (Option("n", "dim", required=True),)
    order: Dim

    @property
    def shape(self) -> Shape:  # type: ignore[override]
        return (self.order, self.order)

    def facts(self, x: Args) -> Facts:
        return frozenset({SPD, ORTHOGONAL, "diagonal", NONNEGATIVE, COLUMNS, ROWS, WITHIN})

    def value(self, sizes: Sizes, *x: Any) -> Any:
        import numpy

        return numpy.eye(self.order.evaluate(sizes), dtype=int).astype(object)


@final
class Ones(Shaped, Leaf):
    """The vector or matrix of ones."""

    name = "ones"

    def facts(self, x: Args) -> Facts:
        found = {POSITIVE, WITHIN}
        if self.shape[0] is self.shape[1]:
            found.add("psd")
        found |= {fact for fact, d in zip((COLUMNS, ROWS), self.shape, strict=True) if d is ONE}
        return frozenset(found)

    def value(self, sizes: Sizes, *x: Any) -> Any:
        import numpy

        return numpy.ones(self.size(sizes), dtype=int).astype(object)


@final
class Commutation(Leaf):
    """The commutation matrix K with ``K*vec(A) = vec(A')`` for A in R^{m x n}.

    Source   MN19 3.7
    """

    name = "commutation"
    fields = ("m", "n")
    options = (Option("m", "dim", required=True), Option("n", "dim", required=True))
    m: Dim
    n: Dim
    source = "MN19 3.7"

    @property
    def shape(self) -> Shape:  # type: ignore[override]
        return (self.m * self.n, self.m * self.n)

    def facts(self, x: Args) -> Facts:
        found = {ORTHOGONAL, NONNEGATIVE, COLUMNS, ROWS, WITHIN}
        return frozenset(found | ({SYMMETRIC} if self.m is self.n or ONE in self.shape else set()))

    def value(self, sizes: Sizes, *x: Any) -> Any:
        import numpy

        rows, cols = self.m.evaluate(sizes), self.n.evaluate(sizes)
        k = numpy.zeros((rows * cols, rows * cols), dtype=int).astype(object)
        for i in range(rows):
            for j in range(cols):
                k[i * cols + j, j * rows + i] = 1
        return k


MAX_BITS = 10_000  # of an exact number: some 3,000 digits


def const(value: Number) -> Expr:
    """The number as an expression; whole numbers and fractions stay exact.

    Raises   LimitError for an exact number of more than some 3,000 digits
    """
    if type(value) is int and value in _SMALL:
        return _SMALL[value]
    if isinstance(value, float):
        if value.is_integer() and abs(value) < 2**53:
            value = int(value)
    elif not isinstance(value, int) and value.denominator == 1:
        value = int(value)
    if not value:
        return zeros(SCALAR)
    if not isinstance(value, float) and max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise LimitError(
            "a number of the result has more than 3,000 digits",
            hint="write numbers with a decimal point where they need not be exact: 3.0",
        )
    return make(Const(value))


_SMALL: dict[int, Expr] = {k: make(Const(k)) for k in (-2, -1, 1, 2, 3, 4)}  # what most numbers are


def as_expr(value: ExprLike) -> Expr:
    return value if isinstance(value, Expr) else const(value)


def number_of(e: Expr) -> Number | None:
    """The number that a constant is, or None."""
    op = e.op
    if isinstance(op, Const):
        return op.number
    return 0 if op.is_zero and e.is_scalar else None


def size(dimension: Dim) -> Expr:
    """The dimension as a number in an expression, put together from its names."""
    terms = []
    for monomial, coefficient in dimension.terms:
        names = [make(Size(name)) for name in monomial]
        terms.append(reduce(OPERATORS["product"], names, const(coefficient)))
    return reduce(OPERATORS["add"], terms) if terms else const(0)


def identity(order: Dim) -> Expr:
    return make(Identity(order)) if order is not ONE else const(1)


def ones(rows: Dim, cols: Dim = ONE) -> Expr:
    return make(Ones((rows, cols))) if rows is not ONE or cols is not ONE else const(1)


def commutation(rows: Dim, cols: Dim) -> Expr:
    """The commutation matrix; where a dimension is one it is the identity."""
    return identity(rows * cols) if rows is ONE or cols is ONE else make(Commutation(rows, cols))


def differential_of(e: Expr) -> Expr:
    return make(Differential(e))


def var(name: str, shape: Shape = SCALAR, *facts: str) -> Expr:
    return make(Var(name, shape, tuple(sorted(facts))))


__all__ = [
    "Commutation",
    "Const",
    "Differential",
    "Identity",
    "Index",
    "Ones",
    "Pi",
    "Size",
    "Var",
    "Zeros",
    "as_expr",
    "commutation",
    "const",
    "differential_of",
    "identity",
    "number_of",
    "ones",
    "size",
    "var",
]
