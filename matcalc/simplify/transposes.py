"""Transposes, pushed inward where that takes none more and drawn out of sums where that saves some."""

from __future__ import annotations

from collections.abc import Sequence

from matcalc.dims import ONE
from matcalc.expr import Expr, make
from matcalc.facts import SYMMETRIC, has
from matcalc.primitives.algebra import ADD, HADAMARD, PRODUCT, TRANSPOSE
from matcalc.primitives.base import zeros
from matcalc.primitives.leaves import Commutation, Identity, Ones, commutation, const, ones
from matcalc.primitives.matrix import MATRIX_POWER
from matcalc.primitives.products import KRON
from matcalc.primitives.structure import Slice
from matcalc.simplify import commutations, hadamards, products, sums, terms


def transposed(e: Expr) -> Expr:
    """The transpose of a simplified expression.

    It enters products (reversed), Kronecker products and powers; it enters a sum or an elementwise product of
    matrices only where it does not cost a transpose more, so the depth of the calls is bounded by the products.
    """
    known: Expr | None = e.memo.get("transposed")
    if known is None:
        known = _transposed(e)
        e.memo["transposed"] = known
        if not e.is_row or e.args:  # the row ones(1, n) is not the form of a row of ones
            known.memo.setdefault("transposed", e)
    return known


def _transposed(e: Expr) -> Expr:
    op = e.op
    if e.is_scalar:
        return e
    if op is TRANSPOSE:
        return e.args[0]
    if op.is_zero:
        return zeros((e.cols, e.rows))
    if isinstance(op, Ones) and e.rows is not ONE and e.cols is not ONE:
        return ones(e.cols, e.rows)
    if isinstance(op, Ones) and e.rows is ONE:
        return ones(e.cols)
    if isinstance(op, Commutation):
        return commutation(op.n, op.m)
    if op is PRODUCT:
        if any(commutations.moves(a) for a in e.args):
            return products.times(*[transposed(a) for a in reversed(e.args)])
        # A number stays where it is, in front or behind; a long product is turned in one piece.
        turned: list[Expr] = []
        for a in reversed(e.args):
            if a.op is TRANSPOSE and a.args[0].op is PRODUCT:
                turned.extend(a.args[0].args)
            elif not a.is_scalar:
                turned.append(transposed(a))
        if read_turned(turned):
            turned = [make(TRANSPOSE, (make(PRODUCT, tuple([a for a in e.args if not a.is_scalar])),))]
        first = next(i for i, a in enumerate(e.args) if not a.is_scalar)
        behind = [a for a in e.args[first:] if a.is_scalar]
        args = (*e.args[:first], *turned, *behind)
        return args[0] if len(args) == 1 else make(PRODUCT, args)
    if e.cols is not ONE:
        if has(e, SYMMETRIC):
            return e
        if op is ADD and gain(e) <= 1:
            return sums.plus(*[transposed(a) for a in e.args])
        if op is ADD and terms.term(e).coefficient != 1:
            c, _, (total,) = terms.term(e)
            return products.times(const(c), make(TRANSPOSE, (total,)))
        if op is HADAMARD and gain(e) <= 1:
            return hadamards.hadamard(*[transposed(a) for a in e.args])
        if isinstance(op, Slice) and isinstance(e.args[0].op, Identity):
            return make(Slice(op.col, op.row), e.args)
        if op is KRON:
            return make(op, (transposed(e.args[0]), transposed(e.args[1])))
        if op is MATRIX_POWER:
            return make(op, (transposed(e.args[0]), e.args[1]))
    return make(TRANSPOSE, (e,))


def turns(e: Expr) -> bool:
    """Whether a sum or product under a function of entries is shorter transposed; then so is the function's value."""
    return (e.op is ADD or e.op is PRODUCT) and e.cols is not ONE and gain(e) < 0


def read_turned(factors: Sequence[Expr]) -> bool:
    """Whether a product of matrices is shorter as one transpose: ``C'*B'*A'`` is ``(A*B*C)'``."""
    if factors[-1].cols is ONE or any(a.rows is ONE for a in factors):
        return False
    return sum([a.op is TRANSPOSE for a in factors]) > 2 and sum([min(gain(a), 1) for a in factors]) < -2


def gain(e: Expr) -> int:
    """By how many transposes the transpose of ``e`` is longer, were it pushed inward one level."""
    op = e.op
    if e.is_scalar:
        return 0
    if op is TRANSPOSE:
        return -1
    if op is PRODUCT:
        return _of_term(e)
    if op is ADD or op is HADAMARD:
        known: int | None = e.memo.get("gain")
        if known is None:
            known = e.memo["gain"] = sum([_of_term(a) for a in e.args])
        return known
    return 0 if has(e, SYMMETRIC) or op.is_zero else 1


def _of_term(e: Expr) -> int:
    """As ``gain``, with what stands in brackets counted as one."""
    factors: Sequence[Expr] = e.args if e.op is PRODUCT else (e,)
    total = 0
    for a in factors:
        if a.op is TRANSPOSE:
            total -= 1
        elif not a.is_scalar and not a.op.is_zero and not has(a, SYMMETRIC):
            total += 1
    return total


__all__ = ["gain", "read_turned", "transposed", "turns"]
