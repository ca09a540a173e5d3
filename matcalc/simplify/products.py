"""Products of matrices and numbers: scalars drawn out, chains cut where a dimension is one, inverses cancelled."""

from __future__ import annotations

from collections.abc import Sequence

from matcalc.dims import ONE
from matcalc.expr import Expr
from matcalc.facts import INVERTIBLE, has
from matcalc.primitives.algebra import ADD, POWER, PRODUCT, TRANSPOSE
from matcalc.primitives.algebra import product as raw_product
from matcalc.primitives.base import Primitive
from matcalc.primitives.leaves import Identity, Ones, Size, const, ones
from matcalc.simplify import (
    chains,
    hadamards,
    heads,
    match,
    neighbours,
    powers,
    quotients,
    signs,
    square,
    sums,
    transposes,
)
from matcalc.simplify.cost import scalar_order
from matcalc.simplify.terms import assemble, exact, term, together


def unary(op: Primitive, x: Expr) -> Expr:
    """A primitive applied to one simplified argument, simplified."""
    return heads.applied(op, (x,))


def times(*operands: Expr) -> Expr:
    """The product of simplified operands."""
    given = together(operands)
    coefficient, scalars, factors = given
    if not coefficient:
        return raw_product(*operands)
    scalars, factors = scalars[:], factors[:]  # of which some are exchanged
    if len(factors) > 1:
        factors = _ones_cut(factors)
    if factors:
        c, more, factors = chains.reduced(factors)
        coefficient = coefficient * c
        scalars += more
        if len(scalars) + len(factors) > 1 and scalars:
            found = neighbours.adjugate(scalars, factors)
            if found is not None:
                return times(const(exact(coefficient)), *found)
        written = square.by_inverses(factors)
        if written is not None:
            return times(const(exact(coefficient)), *scalars, *written)
        divided = quotients.under(scalars, factors) if scalars and factors else None
        if divided is not None:
            return times(const(exact(coefficient)), *divided)
    elif len(scalars) > 1:
        found = neighbours.adjugate(scalars, factors)
        if found is not None:
            return times(const(exact(coefficient)), *found)
    if len(scalars) > 1:
        c, scalars = powers.combine(scalars)
        coefficient = coefficient * c
        if len(scalars) > 1:
            spread = hadamards.distributed(scalars)
            if spread is not None:
                return times(const(exact(coefficient)), *spread, *factors)
            scalars.sort(key=scalar_order)
    if coefficient not in (1, -1) and scalars:
        coefficient, scalars = powers.rooted(coefficient, scalars)
    if scalars and factors:
        divided = quotients.divided(scalars, factors)
        if divided is not None:
            return times(const(exact(coefficient)), *divided)
    if scalars and len(factors) == 1 and factors[0].op is ADD:
        counted = quotients.counted(scalars, factors[0])
        if counted is not None:
            return times(const(exact(coefficient)), *counted)
    if scalars and (scalars[0].op is POWER or isinstance(scalars[0].op, Size)):
        averaged = quotients.averaged(scalars, factors)
        if averaged is not None:
            return times(const(exact(coefficient)), *averaged)
    if len(factors) == 2:
        factors = _ones_cut(factors) if isinstance(factors[0].op, Ones) and factors[0].cols is ONE else factors
    coefficient = exact(coefficient)
    if not coefficient:
        return raw_product(const(0), *factors)
    if coefficient != 1 or len(factors) + len(scalars) > 1:
        coefficient = signs.turned_alike(coefficient, scalars, factors)
    if coefficient not in (1, -1) and len(factors) + len(scalars) > 1:
        coefficient = signs.multiplied_in(coefficient, scalars, factors)
    if coefficient != 1 and len(scalars) + len(factors) == 1:
        only = (scalars or factors)[0]
        if only.op is ADD:
            scaled = sums.scaled(coefficient, only)
            if scaled is not None:
                return scaled
        elif only.op is TRANSPOSE and only.args[0].op is ADD:
            inner = times(const(coefficient), only.args[0])
            if inner.op is ADD and term(inner).coefficient == 1:
                return transposes.transposed(inner)
    whole = match.settled(assemble(coefficient, scalars, factors))
    if whole.op is PRODUCT and together(whole.args) == given:
        match.stands(whole)
    return whole


def _ones_cut(factors: list[Expr]) -> list[Expr]:
    """A matrix of ones beside other factors as a column times a row; such a column times a row alone as a matrix."""
    first, last = factors[0], factors[-1]
    if len(factors) == 2 and isinstance(first.op, Ones) and first.cols is ONE and hadamards.is_ones_row(last):
        return [ones(first.rows, last.cols)]
    out: list[Expr] = []
    for f in factors:
        if isinstance(f.op, Ones) and f.rows is not ONE and f.cols is not ONE:
            out += (ones(f.rows), transposes.transposed(ones(f.cols)))
        else:
            out.append(f)
    return out


def cut(factors: Sequence[Expr]) -> tuple[Expr, Expr]:
    """The column and the row of an outer product."""
    inner = [a for a in factors if not a.is_scalar]
    at = next(i for i in range(1, len(inner)) if inner[i].rows is ONE)
    scale = [a for a in factors if a.is_scalar]
    return assemble(1, scale, inner[:at]), assemble(1, (), inner[at:])


def invertible(e: Expr) -> bool:
    return e.rows is e.cols and (has(e, INVERTIBLE) or isinstance(e.op, Identity))


__all__ = ["cut", "invertible", "times", "unary"]
