"""What an expression costs its reader, and the order in which a reader expects terms and factors.

Units    an operation 2, a symbol 1, a pair of brackets 1, a transpose 1; shared parts count as often as they occur
"""

from __future__ import annotations

from typing import NamedTuple

from matcalc.expr import Expr, unknown
from matcalc.primitives.algebra import ADD, HADAMARD, POWER, PRODUCT, TRANSPOSE
from matcalc.primitives.functions import Elementwise
from matcalc.primitives.leaves import Const, Var, number_of
from matcalc.primitives.softmax import Softmax

_BRACKETS = (PRODUCT, HADAMARD, TRANSPOSE, POWER)  # in which a sum has brackets
_MOST = 10**6  # larger costs are not told apart
_LABEL = 32  # characters of a node's reading that decide the order
BITS = 2039


class Look(NamedTuple):
    """What the order and the choice of forms ask of a node."""

    cost: int
    size: int  # nodes, as a tree
    label: str  # the beginning of how it reads
    applies: bool  # whether a function of entries occurs in it
    sums: int  # a set of bits for the sums within it, to tell whether one can contain another


def look(e: Expr) -> Look:
    known: Look | None = e.memo.get("look")
    if known is None:
        for node in unknown([e], "look"):
            node.memo["look"] = _look(node)
        known = e.memo["look"]
    return known


def cost(e: Expr) -> int:
    """The reader's cost of an expression, brackets included."""
    return look(e).cost


def _look(e: Expr) -> Look:
    op, args = e.op, e.args
    if not args:
        if isinstance(op, Var):
            return Look(1, 1, op.name, False, 0)
        if isinstance(op, Const):
            return Look(1 if isinstance(op.number, int) else 2, 1, str(op.number), False, 0)
        return Look(2, 1, str(op), False, 0)
    total, size, sums, applies = 0, 1, 0, isinstance(op, (Elementwise, Softmax))
    for a in args:
        of: Look = a.memo["look"]
        total += of.cost
        size += of.size
        sums |= of.sums
        applies = applies or of.applies
        if a.op is ADD:
            total += op in _BRACKETS
        elif a.op is PRODUCT or a.op is HADAMARD:
            total += op is TRANSPOSE
    labels = [a.memo["look"].label for a in args]
    if op is TRANSPOSE:
        total += 1
        label = labels[0] + "'"
    elif op is ADD:
        # A minus sign is part of the sum, not an operation of its own.
        total += 2 * (len(args) - 1) - sum(1 for a in args if a.op is PRODUCT and number_of(a.args[0]) == -1)
        label = "+".join(labels)
        sums |= 1 << (e.digest % BITS)
    elif op is PRODUCT:
        total += 2 * (len(args) - 1) - (2 if number_of(args[0]) == -1 else 0)  # a sign is one stroke
        label = "*".join(labels)
    elif op is HADAMARD:
        total += 2 * (len(args) - 1)
        label = ".*".join(labels)
    elif op is POWER:
        total += 0 if number_of(args[1]) == -1 else 1
        label = labels[0] + "^" + labels[1]
    else:
        total += 2 + len(args)
        label = f"{op}({','.join(labels)}"
    return Look(min(total, _MOST), min(size, _MOST), label[:_LABEL], applies, sums)


def factor_order(e: Expr) -> tuple[int, str, int]:
    """Where a factor that may stand anywhere stands: numbers, functions, names, products, sums, divisors.

    ``1 - f`` and ``1 - f.^2`` stand beside the function f: together they are its slope.
    """
    slope = complemented(e) if e.op is ADD else None
    if slope is not None:
        return (1, look(slope).label + "~", e.digest)
    op = e.op
    rank = 3
    if op is POWER:
        exponent = number_of(e.args[1])
        rank = 6 if exponent is not None and exponent < 0 else factor_order(e.args[0])[0]
    elif isinstance(op, Elementwise):
        rank = 1
    elif not e.args:
        rank = 2
    elif op is PRODUCT or op is HADAMARD:
        rank = 4
    elif op is ADD:
        rank = 5
    return (rank, look(e).label, e.digest)


def complemented(e: Expr) -> Expr | None:
    """The f of ``1 - f`` and ``1 - f.^2``."""
    if len(e.args) != 2 or not isinstance(e.args[0].op, Const):
        return None
    rest = e.args[1]
    if rest.op is not PRODUCT or len(rest.args) != 2 or number_of(rest.args[0]) != -1:
        return None
    f = rest.args[1].args[0] if rest.args[1].op is POWER else rest.args[1]
    return f if isinstance(f.op, Elementwise) else None


def scalar_order(e: Expr) -> tuple[int, str, int]:
    """The order of the scalar factors in front of a product: sizes and their inverses, names, the rest, divisors."""
    base = e
    while base.op is POWER:
        base = base.args[0]
    if not base.args and not isinstance(base.op, Var):
        return (0, look(e).label, e.digest)
    rank, label, digest = factor_order(e)
    return (1 if rank == 2 else 2 if rank == 1 else rank, label, digest)


__all__ = ["BITS", "Look", "complemented", "cost", "factor_order", "look", "scalar_order"]
