"""A term taken apart: a number, scalar factors, and the matrices of the product in order."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from matcalc.dims import ONE
from matcalc.expr import Expr, Number, make
from matcalc.primitives.algebra import POWER, PRODUCT, TRANSPOSE
from matcalc.primitives.leaves import Const, const, number_of
from matcalc.simplify import transposes


class Term(NamedTuple):
    """``coefficient * scalars * factors``; a product such as ``x'*A*y`` is one scalar."""

    coefficient: Number
    scalars: tuple[Expr, ...]
    factors: tuple[Expr, ...]


_LONGEST = 24  # products of more factors are not joined with their neighbours: a shared graph would grow


def exact(value: Number) -> Number:
    """Whole fractions as integers, so that equal numbers are the same constant."""
    if type(value) is int:  # as most are; isinstance asks the abstract classes of numbers
        return value
    return value.numerator if isinstance(value, Fraction) and value.denominator == 1 else value


def magnitude(c: Number) -> Number:
    return -c if c < 0 else c


def ratio(a: Number, b: Number) -> Number:
    """The quotient, exact where both numbers are."""
    if type(b) is int and (b == 1 or b == -1):
        return exact(a * b)
    return a / b if isinstance(a, float) or isinstance(b, float) else exact(Fraction(a) / b)


def term(e: Expr) -> Term:
    """The parts of a simplified expression; of a sum with a number before it, ``sums.built_sum`` has noted them."""
    known: Term | None = e.memo.get("term")
    if known is None:
        known = e.memo["term"] = _take_apart(e)
    return known


def _take_apart(e: Expr) -> Term:
    op = e.op
    if op is PRODUCT:
        return _of_product(e)
    if isinstance(op, Const):
        return Term(op.number, (), ())
    if op is TRANSPOSE and e.args[0].op is PRODUCT:
        factors = tuple([transposes.transposed(a) for a in reversed(e.args[0].args)])
        return Term(1, (), factors if len(factors) <= _LONGEST else (e,))
    if e.is_scalar:
        return Term(0, (), ()) if op.is_zero else Term(1, (e,), ())
    return Term(0, (), (e,)) if op.is_zero else Term(1, (), (e,))


def _of_product(e: Expr) -> Term:
    coefficient: Number = 1
    scalars: list[Expr] = []
    factors: list[Expr] = []
    for a in e.args:
        if isinstance(a.op, Const):
            coefficient = exact(coefficient * a.op.number)
        elif a.is_scalar:
            scalars.append(a)
        else:
            factors.append(a)
    if len(scalars) > _LONGEST:
        scalars = [make(PRODUCT, tuple(scalars))]
    if factors and (e.is_scalar or len(factors) > _LONGEST):
        whole = make(PRODUCT, tuple(factors)) if len(factors) < len(e.args) else e
        if e.is_scalar:
            return Term(coefficient, (*scalars, whole), ())
        return Term(coefficient, tuple(scalars), (whole,))
    return Term(coefficient, tuple(scalars), tuple(factors))


def together(factors: Sequence[Expr]) -> tuple[Number, list[Expr], list[Expr]]:
    """The numbers, scalars and factors of a product."""
    coefficient: Number = 1
    scalars: list[Expr] = []
    rest: list[Expr] = []
    for f in factors:
        c, s, m = term(f)
        coefficient = coefficient * c
        scalars += s
        rest += m
    return coefficient, scalars, rest


def assemble(coefficient: Number, scalars: Sequence[Expr], factors: Sequence[Expr]) -> Expr:
    """The expression of parts that are simplified and in order; the coefficient is not 0."""
    behind = [s for s in scalars if is_divisor(s)]
    args = [s for s in scalars if s not in behind] if behind else list(scalars)
    if len(factors) > 2 and transposes.read_turned(factors):
        factors = [make(TRANSPOSE, (make(PRODUCT, tuple([transposes.transposed(a) for a in reversed(factors)])),))]
    if args and not factors:
        # One product such as x'*y among scalars needs no brackets: k*x'*y.
        runs = [i for i, s in enumerate(args) if is_run(s)]
        if len(runs) == 1:
            run = args.pop(runs[0])
            args.extend(run.args)
    args += factors
    args += behind
    if coefficient != 1:
        args.insert(0, const(coefficient))
    if not args:
        return const(1)
    return args[0] if len(args) == 1 else make(PRODUCT, tuple(args))


def assembled(coefficient: Number, scalars: Sequence[Expr], factors: Sequence[Expr]) -> Expr:
    """As ``assemble``, also where only the number is left."""
    return assemble(coefficient, scalars, factors) if scalars or factors else const(coefficient)


def is_divisor(e: Expr) -> bool:
    """Whether a scalar factor is written behind, as in ``x/norm2(x)``; the inverse of a size is not: ``1/m*X``."""
    if e.op is not POWER:
        return False
    base = e.args[0].args[0] if e.args[0].op is POWER else e.args[0]
    p = number_of(e.args[1])
    return p is not None and p < 0 and bool(base.args or base.op.is_variable)


def is_run(e: Expr) -> bool:
    """Whether a scalar is a product of a row, matrices and a column."""
    return e.op is PRODUCT and e.shape[0] is ONE and not e.args[0].is_scalar


__all__ = ["Term", "assemble", "assembled", "exact", "is_divisor", "is_run", "magnitude", "ratio", "term", "together"]
