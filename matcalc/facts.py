"""What is known of a value: symmetric, positive definite, diagonal, ... declared by the user or kept by a primitive."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from matcalc.expr import Expr, unknown

Facts: TypeAlias = frozenset[str]

SYMMETRIC = "symmetric"
PSD = "psd"  # positive semidefinite and symmetric
SPD = "spd"  # positive definite and symmetric
DIAGONAL = "diagonal"
ORTHOGONAL = "orthogonal"
INVERTIBLE = "invertible"
POSITIVE = "positive"  # every entry > 0
NONNEGATIVE = "nonnegative"  # every entry >= 0
COLUMNS = "columns sum to one"  # ones'*A = ones'
ROWS = "rows sum to one"  # A*ones = ones
STOCHASTIC = "stochastic"  # declared: nonnegative with columns that sum to one
ONEHOT = "onehot"  # declared: every column is a unit vector
WITHIN = "at most one in size"  # every entry between -1 and 1
INSIDE = "less than one in size"  # and none of them -1 or 1
INTEGER = "integer"  # a whole number: an index, a size, an exponent
CONSTANT = "constant"  # the user does not differentiate by it

SQUARE_ATTRIBUTES = (SYMMETRIC, SPD, PSD, DIAGONAL, ORTHOGONAL, INVERTIBLE)
ATTRIBUTES = (*SQUARE_ATTRIBUTES, POSITIVE, NONNEGATIVE, STOCHASTIC, ONEHOT, CONSTANT)  # of declarations
SQUARE_ONLY = frozenset(SQUARE_ATTRIBUTES)
OF_MEMBERS = frozenset({POSITIVE, NONNEGATIVE, STOCHASTIC, ONEHOT, CONSTANT})  # what a matrix has of its columns x_i

_IMPLIES = {
    SPD: frozenset({PSD, SYMMETRIC, INVERTIBLE}),
    PSD: frozenset({SYMMETRIC}),
    DIAGONAL: frozenset({SYMMETRIC}),
    ORTHOGONAL: frozenset({INVERTIBLE}),
    POSITIVE: frozenset({NONNEGATIVE}),
    STOCHASTIC: frozenset({COLUMNS, NONNEGATIVE, WITHIN}),
    ONEHOT: frozenset({STOCHASTIC, COLUMNS, NONNEGATIVE, WITHIN}),
    INSIDE: frozenset({WITHIN}),
}
NOTHING: Facts = frozenset()


def closure(facts: Iterable[str]) -> Facts:
    """The facts and all that they imply."""
    out = set(facts)
    for fact in tuple(out):
        out |= _IMPLIES.get(fact, NOTHING)
    if SYMMETRIC in out and not out.isdisjoint((COLUMNS, ROWS)):
        out |= {COLUMNS, ROWS}
    return frozenset(out)


def facts(expr: Expr) -> Facts:
    """All that is known of the value of ``expr``."""
    known: Facts | None = expr.memo.get("facts")
    if known is None:
        for node in unknown([expr], "facts"):
            found = node.op.facts(node.args)
            if node.is_scalar and (SPD in found or PSD in found):  # a 1 x 1 matrix that is psd is a number >= 0
                found |= {POSITIVE if SPD in found else NONNEGATIVE}
            node.memo["facts"] = closure(found) if found else NOTHING
        known = expr.memo["facts"]
    return known


def has(expr: Expr, fact: str) -> bool:
    """Whether ``fact`` is known of ``expr``; a scalar is symmetric."""
    return fact in facts(expr) or (fact == SYMMETRIC and expr.is_scalar)


def size_of_entries(known: Facts) -> Facts:
    """What is known of the signs and sizes of the entries, one by one: it holds of any choice of them."""
    return known & _OF_ENTRIES


_OF_ENTRIES = frozenset({POSITIVE, NONNEGATIVE, WITHIN, INSIDE})


def transposed(known: Facts) -> Facts:
    """What is known of the transpose of a matrix of which ``known`` is known."""
    sums = known & {COLUMNS, ROWS}
    if len(sums) == 1:
        sums = frozenset({ROWS if COLUMNS in sums else COLUMNS})
    return (known - {CONSTANT, STOCHASTIC, ONEHOT, COLUMNS, ROWS}) | sums


def signs_of_diagonal(known: Facts) -> Facts:
    """The signs of the diagonal entries of a matrix of which ``known`` is known."""
    if SPD in known or POSITIVE in known:
        return frozenset({POSITIVE})
    return frozenset({NONNEGATIVE}) if PSD in known or NONNEGATIVE in known else NOTHING
