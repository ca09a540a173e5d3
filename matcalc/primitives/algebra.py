"""The operators of the algebra: sum, product, elementwise product and power, transpose."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import reduce
from typing import Any, final

from matcalc.dims import ONE, SCALAR, Shape
from matcalc.expr import OPERATORS, DimMismatch, Expr, ExprLike, Number, make
from matcalc.facts import (
    COLUMNS,
    DIAGONAL,
    INSIDE,
    INTEGER,
    NONNEGATIVE,
    NOTHING,
    POSITIVE,
    PSD,
    ROWS,
    SPD,
    SYMMETRIC,
    WITHIN,
    Facts,
    facts,
    transposed,
)
from matcalc.primitives.base import Args, Linear, Multilinear, Same, Sizes, Smooth, zeros
from matcalc.primitives.leaves import Const, Ones, as_expr, commutation, const, identity, number_of, ones

_LARGEST_POWER_BITS = 256  # a power of two numbers with more bits than this stays as it is written


def _agree(shapes: tuple[Shape, ...], same: Same) -> Shape:
    """The one shape of all that are not scalars; the scalars are spread over it."""
    found: Shape = SCALAR
    for shape in shapes:
        if shape != SCALAR:
            found = shape if found == SCALAR else (same(found[0], shape[0]), same(found[1], shape[1]))
    return found


@final
class Add(Linear):
    """Sum; a scalar among vectors or matrices is spread over all entries.

    Rule     d(A + B) = dA + dB
    Shapes   A, B in R^{m x n} (or R) -> R^{m x n}
    """

    variadic = True
    level = "sum"

    def infer(self, shapes: tuple[Shape, ...], same: Same) -> Shape:
        return _agree(shapes, same)

    def construct(self, args: Args) -> Expr:
        return add(*args, shape=_agree(tuple([a.shape for a in args]), lambda a, b: a))

    def differential(self, y: Expr, x: Args, dx: Args) -> Expr:
        return add(*dx, shape=y.shape)

    def adjoint(self, i: int, g: Expr, y: Expr, x: Args) -> Expr:
        if x[i].is_scalar and not y.is_scalar:
            return OPERATORS["sum"](g)
        return g

    def matrix(self, i: int, y: Expr, x: Args) -> Expr:
        size = y.rows * y.cols
        return ones(size) if x[i].is_scalar else identity(size)

    def trace_rule(self, i: int) -> str:
        return "trace-sum"

    def facts(self, x: Args) -> Facts:
        known = [facts(a) for a in x]
        if any(a.is_scalar for a in x) and not all(a.is_scalar for a in x):  # spread scalars: only signs survive
            return _signs_of_sum(x, known)
        kept = frozenset.intersection(*known) & {SYMMETRIC, DIAGONAL, PSD, INTEGER}
        if all(PSD in k for k in known) and any(SPD in k for k in known):
            kept |= {SPD}
        elif SYMMETRIC in kept and PSD not in kept and not x[0].is_scalar:
            from matcalc.primitives.semidefinite import of_difference

            kept |= of_difference(x)
        if SYMMETRIC not in kept and not x[0].is_scalar:
            from matcalc.primitives.symmetry import in_pairs

            if in_pairs(x):
                kept |= {SYMMETRIC}
        sums = [a.op is PRODUCT or COLUMNS in k or ROWS in k for a, k in zip(x, known, strict=True)]
        if all(sums) and not x[0].is_scalar:
            from matcalc.primitives.semidefinite import of_sums

            kept |= of_sums(x)
        return kept | _signs_of_sum(x, known)

    def value(self, sizes: Sizes, *x: Any) -> Any:
        return reduce(lambda a, b: a + b, x)


def _signs_of_sum(terms: Args, known: list[Facts]) -> Facts:
    if all(NONNEGATIVE in k for k in known):
        found = frozenset({POSITIVE} if any(POSITIVE in k for k in known) else {NONNEGATIVE})
        if not all(WITHIN in k for k in known):
            return found
    else:
        found = frozenset()
    if any(isinstance(a.op, (Const, Ones)) or WITHIN in k for a, k in zip(terms, known, strict=True)):
        from matcalc.primitives.semidefinite import of_entries

        found |= of_entries(terms)
    return found


@final
class Product(Multilinear):
    """Matrix product; a 1 x 1 factor scales, wherever it stands.

    Rule     d(A*B) = dA*B + A*dB
    Shapes   A in R^{m x n}, B in R^{n x p} -> R^{m x p}
    Source   MN19 8.1
    """

    variadic = True
    level = "product"
    source = "MN19 8.1"

    def infer(self, shapes: tuple[Shape, ...], same: Same) -> Shape:
        rows, cols = SCALAR
        begun = False
        for r, c in shapes:
            if r is ONE and c is ONE:
                continue
            if begun:
                same(cols, r)
            else:
                rows, begun = r, True
            cols = c
        return (rows, cols)

    def construct(self, args: Args) -> Expr:
        return product(*args)

    def adjoint(self, i: int, g: Expr, y: Expr, x: Args) -> Expr:
        if x[i].is_scalar:
            rest = product(*x[:i], *x[i + 1 :])
            return product(g, rest) if y.is_scalar else OPERATORS["inner"](rest, g)
        scale = [a for a in x if a.is_scalar]
        before = [a.T for a in reversed(x[:i]) if not a.is_scalar]
        after = [a.T for a in reversed(x[i + 1 :]) if not a.is_scalar]
        return product(*scale, *before, g, *after)

    def matrix(self, i: int, y: Expr, x: Args) -> Expr:
        if x[i].is_scalar:
            return OPERATORS["vec"](product(*x[:i], *x[i + 1 :]))
        scale = [a for a in x if a.is_scalar]
        before = [a for a in x[:i] if not a.is_scalar] or [identity(x[i].rows)]
        after = [a for a in x[i + 1 :] if not a.is_scalar] or [identity(x[i].cols)]
        return product(*scale, OPERATORS["kron"](transpose(product(*after)), product(*before)))

    def trace_rule(self, i: int) -> str:
        return "trace-cyclic"

    def facts(self, x: Args) -> Facts:
        known = [facts(a) for a in x]
        found = signs_of_product(x)
        if all(INTEGER in k for k in known):
            found |= {INTEGER}
        matrices = [a for a in x if not a.is_scalar]
        if not matrices:
            return found
        from matcalc.primitives.symmetry import of_product

        found |= {fact for fact in (COLUMNS, ROWS) if all(fact in k for k in known)}
        return found | of_product([k for a, k in zip(x, known, strict=True) if a.is_scalar], matrices)

    def value(self, sizes: Sizes, *x: Any) -> Any:
        from matcalc.primitives.reference import matrix_product

        out: Any = None
        scale: Any = None
        for a in x:
            if a.shape == (1, 1) and out is not None and out.shape[1] != 1:
                scale = a[0, 0] if scale is None else scale * a[0, 0]
            elif out is None:
                out = a
            elif out.shape == (1, 1):
                out = a * out[0, 0]
            else:
                out = matrix_product(out, a) if a.shape != (1, 1) else out * a[0, 0]
        return out if scale is None else out * scale


def signs_of_product(factors: Sequence[Expr]) -> Facts:
    """What is known of the entries of a product from those of its factors."""
    known = [facts(a) for a in factors]
    found: Facts = NOTHING
    if all(NONNEGATIVE in k for k in known):
        found |= {POSITIVE if all(POSITIVE in k for k in known) else NONNEGATIVE}
    if sum(not a.is_scalar for a in factors) < 2 and all(WITHIN in k for k in known):
        found |= {INSIDE if any(INSIDE in k for k in known) else WITHIN}
    return found


@final
class Hadamard(Multilinear):
    """Elementwise product.

    Rule     d(A .* B) = dA .* B + A .* dB
    Shapes   A, B in R^{m x n} -> R^{m x n}
    Source   MN19 3.6
    """

    variadic = True
    level = "product"
    source = "MN19 3.6"

    def infer(self, shapes: tuple[Shape, ...], same: Same) -> Shape:
        return _agree(shapes, same)

    def construct(self, args: Args) -> Expr:
        return hadamard(*args)

    def adjoint(self, i: int, g: Expr, y: Expr, x: Args) -> Expr:
        return hadamard(*x[:i], *x[i + 1 :], g)

    def matrix(self, i: int, y: Expr, x: Args) -> Expr:
        return OPERATORS["diag"](OPERATORS["vec"](hadamard(*x[:i], *x[i + 1 :])))

    def trace_rule(self, i: int) -> str:
        return "trace-hadamard"

    def facts(self, x: Args) -> Facts:
        known = [facts(a) for a in x]
        # PSD is Schur's theorem.
        found = frozenset.intersection(*known) & {SYMMETRIC, PSD, SPD, POSITIVE, NONNEGATIVE, WITHIN}
        if WITHIN in found and any(INSIDE in k for k in known):
            found |= {INSIDE}
        return found | {DIAGONAL} if any(DIAGONAL in k for k in known) else found

    def value(self, sizes: Sizes, *x: Any) -> Any:
        return reduce(lambda a, b: a * b, x)


@final
class Power(Smooth):
    """Elementwise power ``x.^p``; of a scalar ``s^p``.

    Rule     d(x.^p) = p*x.^(p-1) .* dx  (constant p)
    Shapes   x in R^{m x n}, p in R or R^{m x n} -> R^{m x n}
    Domain   x > 0 where p is not a whole number or varies
    """

    takes = {}
    level = "power"

    def infer(self, shapes: tuple[Shape, ...], same: Same) -> Shape:
        base, exponent = shapes
        if exponent != SCALAR and base == SCALAR:
            return exponent
        return _agree(shapes, same)

    def construct(self, args: Args) -> Expr:
        return power(*args)

    def differential(self, y: Expr, x: Args, dx: Args) -> Expr:
        base, exponent = x
        dbase, dexponent = dx
        return add(
            hadamard(exponent, power(base, add(exponent, const(-1))), dbase),
            hadamard(y, OPERATORS["log"](base), dexponent) if not dexponent.is_zero else zeros(y.shape),
            shape=y.shape,
        )

    def facts(self, x: Args) -> Facts:
        base, exponent = facts(x[0]), number_of(x[1])
        if not x[1].is_scalar:
            return base & {POSITIVE}
        kept = base & {POSITIVE, SYMMETRIC}
        if exponent is None:
            return kept
        # Where the exponent is no whole number the power is defined for x >= 0 only.
        if NONNEGATIVE in base or not isinstance(exponent, int) or exponent % 2 == 0:
            kept |= {NONNEGATIVE}
        if exponent > 0:
            kept |= base & {WITHIN, INSIDE}
        if isinstance(exponent, int) and exponent > 0:
            kept |= base & {DIAGONAL, PSD}  # PSD: Schur's theorem
        return kept

    def value(self, sizes: Sizes, *x: Any) -> Any:
        return x[0] ** x[1]


@final
class Transpose(Linear):
    """Transpose.

    Rule     d(A') = (dA)'
    Shapes   A in R^{m x n} -> R^{n x m}
    """

    def infer(self, shapes: tuple[Shape, ...], same: Same) -> Shape:
        ((rows, cols),) = shapes
        return (cols, rows)

    def construct(self, args: Args) -> Expr:
        return transpose(args[0])

    def adjoint(self, i: int, g: Expr, y: Expr, x: Args) -> Expr:
        return transpose(g)

    def matrix(self, i: int, y: Expr, x: Args) -> Expr:
        return commutation(*x[0].shape)

    def trace_rule(self, i: int) -> str:
        return "trace-transpose"

    def facts(self, x: Args) -> Facts:
        return transposed(facts(x[0]))

    def value(self, sizes: Sizes, *x: Any) -> Any:
        return x[0].T


ADD, PRODUCT, HADAMARD, POWER, TRANSPOSE = Add(), Product(), Hadamard(), Power(), Transpose()


def _checked(op: Any, args: tuple[Expr, ...]) -> Expr:
    try:
        return make(op, args)
    except DimMismatch as e:
        raise TypeError(f"{op} of shapes {[tuple(map(str, a.shape)) for a in args]}: {e}") from e


def add(*terms: ExprLike, shape: Shape | None = None) -> Expr:
    """The sum; zeros are dropped. ``shape`` is that of the result where a scalar term alone would not show it."""
    exprs = [as_expr(t) for t in terms]
    if shape is None:
        shape = _agree(tuple([e.shape for e in exprs]), lambda a, b: a)
    kept = [e for e in exprs if not e.is_zero]
    if not kept:
        return zeros(shape)
    if shape != SCALAR and all(e.is_scalar for e in kept):
        return product(add(*kept), ones(*shape))
    return kept[0] if len(kept) == 1 else _checked(ADD, tuple(kept))


def product(*factors: ExprLike) -> Expr:
    """The product of matrices and numbers, read from left to right.

    Numbers are gathered into one in front. A run of factors that has become a scalar, as ``x'*y`` in ``x'*y*z``, is
    closed into a factor of its own, since ``y*z`` does not exist.
    """
    exprs = [as_expr(f) for f in factors]
    first = exprs[0] if exprs else const(1)
    if isinstance(first.op, Product) and isinstance(first.args[0].op, Const):  # (-A)*B is -A*B
        exprs[0:1] = first.args
    coefficient: Number = 1
    rest: list[Expr] = []
    run_start, run_rows, run_cols = -1, ONE, ONE
    for e in exprs:
        number = number_of(e)
        if number is not None:
            coefficient = coefficient * number
            continue
        if not e.is_scalar:
            if run_start >= 0 and run_rows is ONE and run_cols is ONE:
                rest[run_start:] = [make(PRODUCT, tuple(rest[run_start:]))]
                run_start = -1
            if run_start < 0:
                run_start, run_rows = len(rest), e.rows
            elif run_cols is not e.rows:
                raise TypeError(f"product of shapes {[tuple(map(str, a.shape)) for a in exprs]}")
            run_cols = e.cols
        rest.append(e)
    if not coefficient or any(e.is_zero for e in rest):
        return zeros((run_rows, run_cols) if run_start >= 0 else SCALAR)
    if coefficient != 1 or not rest:
        if len(rest) == 1 and isinstance(rest[0].op, Product) and isinstance(rest[0].args[0].op, Const):
            return product(coefficient * rest[0].args[0].op.number, *rest[0].args[1:])
        rest.insert(0, const(coefficient))
    return rest[0] if len(rest) == 1 else _checked(PRODUCT, tuple(rest))


def hadamard(*factors: ExprLike) -> Expr:
    """The elementwise product; scalar factors scale it."""
    exprs = [as_expr(f) for f in factors]
    scalars = [e for e in exprs if e.is_scalar]
    others = [e for e in exprs if not e.is_scalar]
    if not others:
        return product(*scalars)
    if any(e.is_zero for e in others):
        return zeros(others[0].shape)
    joined = others[0] if len(others) == 1 else _checked(HADAMARD, tuple(others))
    return product(*scalars, joined) if scalars else joined


def power(base: ExprLike, exponent: ExprLike) -> Expr:
    """The elementwise power; small powers of numbers are computed, and ``1/(a*b)`` of scalars is ``1/a*(1/b)``."""
    x, p = as_expr(base), as_expr(exponent)
    a, b = number_of(x), number_of(p)
    if b == 1:
        return x
    if b == -1 and x.op is PRODUCT and all(factor.is_scalar for factor in x.args):
        return product(*[power(factor, -1) for factor in x.args])
    if a is not None and isinstance(b, int) and (a or b > 0):
        if isinstance(a, float):
            return const(a**b)
        size = Fraction(a)
        if abs(b) * max(abs(size.numerator).bit_length(), size.denominator.bit_length()) <= _LARGEST_POWER_BITS:
            return const(size**b)
    return _checked(POWER, (x, p))


def transpose(a: Expr) -> Expr:
    """The transpose; of a scalar itself, of a transpose its argument."""
    if a.is_scalar:
        return a
    if a.op is TRANSPOSE:
        return a.args[0]
    return zeros((a.cols, a.rows)) if a.is_zero else make(TRANSPOSE, (a,))


_LONGEST_CHAIN = 16  # a longer sum or product is one operand of the next, so that n steps of e = e + f(e) stay linear


def _chained(op: Any, build: Any) -> Any:
    """An operator of Python, which associates to the left: ``A @ B @ C`` is one product of three."""

    def join(left: ExprLike, right: ExprLike) -> Expr:
        joined = isinstance(left, Expr) and left.op is op and len(left.args) < _LONGEST_CHAIN
        result: Expr = build(*(left.args if joined else (left,)), right)  # type: ignore[union-attr]
        return result

    return join


OPERATORS["add"] = _chained(ADD, add)
OPERATORS["product"] = _chained(PRODUCT, product)
OPERATORS["hadamard"] = _chained(HADAMARD, hadamard)
OPERATORS["power"] = power
OPERATORS["transpose"] = transpose
