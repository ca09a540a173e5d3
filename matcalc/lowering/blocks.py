"""Which matrices have structure that must not be formed, and the blocks from which a matrix is put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from matcalc.dims import ONE, Dim, Shape, dim
from matcalc.expr import Expr, postorder
from matcalc.primitives import algebra, leaves, loops, products, reductions, structure

NOWHERE = dim(0)

# What structure is seen through: each has its rule in opening.py.
OPENED = (
    algebra.Add,
    algebra.Product,
    algebra.Hadamard,
    algebra.Transpose,
    leaves.Commutation,
    leaves.Identity,
    leaves.Ones,
    loops.IndexedSum,
    products.Inner,
    products.KhatriRao,
    products.Kron,
    reductions.Sum,
    reductions.Trace,
    structure.Diagonal,
    structure.DiagonalPart,
    structure.HCat,
    structure.Reshape,
    structure.Slice,
    structure.Unit,
    structure.VCat,
    structure.Vec,
)


# What is opened


def is_open(e: Expr) -> bool:
    """Whether there is structure in ``e`` that must not be formed, seen through sums, products and rearrangements."""
    return _noted(e, "open", _opens)


def _noted(e: Expr, label: str, of_node: Callable[[Expr], bool]) -> bool:
    """A property that follows from that of the arguments, kept with the node."""
    if label not in e.memo:
        for node in postorder([e], stop=lambda a: label in a.memo):
            if label not in node.memo:
                node.memo[label] = of_node(node)
    return bool(e.memo[label])


def _opens(node: Expr) -> bool:
    op = node.op
    if isinstance(op, products.Kron):
        a, b = node.args
        outer = (a.is_column and b.is_row) or (a.is_row and b.is_column)
        return not (a.is_scalar or b.is_scalar or outer)
    if isinstance(op, leaves.Commutation):
        return ONE not in (op.m, op.n)
    if isinstance(op, structure.Diagonal) and isinstance(node.args[0].op, structure.Vec):
        return True
    return isinstance(op, products.KhatriRao) or (isinstance(op, OPENED) and any(a.memo["open"] for a in node.args))


def is_diagonal(e: Expr) -> bool:
    """Whether ``e`` is written as a diagonal matrix."""
    return _noted(e, "written diagonal", _is_diagonal)


def _is_diagonal(node: Expr) -> bool:
    if isinstance(node.op, structure.Diagonal | leaves.Identity):
        return True
    matrices = [a for a in node.args if not a.is_scalar]
    return isinstance(node.op, algebra.Product) and all(a.memo["written diagonal"] for a in matrices) and bool(matrices)


def has_blocks(e: Expr) -> bool:
    """Whether ``e`` is a concatenation, or a sum or product that distributes over one."""
    return _noted(e, "blocks", _has_blocks)


def _has_blocks(node: Expr) -> bool:
    if isinstance(node.op, structure.HCat | structure.VCat):
        return len(node.args) > 1
    through = isinstance(node.op, algebra.Add | algebra.Product | algebra.Transpose)
    return through and not node.is_scalar and any(a.memo["blocks"] for a in node.args)


def is_worth(e: Expr) -> bool:
    """Whether a matrix has structure that makes it worth to be put together in its own array."""
    if is_open(e):
        return True
    if ONE in e.shape:
        return False
    if isinstance(e.op, algebra.Add) and not has_blocks(e):
        others = [a for a in e.args if not is_diagonal(a)]
        return 0 < len(others) < len(e.args) and (len(others) > 1 or not others[0].op.is_variable)
    if has_blocks(e):
        parts = [b.expr for b in blocks_of(e).blocks]
        return any(p.is_zero or is_diagonal(p) or (p.shape != e.shape and is_worth(p)) for p in parts)
    return False


# Blocks


class Block(NamedTuple):
    row: Dim
    col: Dim
    expr: Expr

    @property
    def place(self) -> tuple[Dim, Dim, Shape]:
        return self.row, self.col, self.expr.shape


class Blocks(NamedTuple):
    blocks: list[Block]
    apart: bool  # whether blocks are either on the same place or have no entry in common


def blocks_of(e: Expr) -> Blocks:
    """What ``e`` is put together from: blocks side by side and terms of sums, each with its first row and column."""
    op, args = e.op, e.args
    if not has_blocks(e):
        return Blocks([Block(NOWHERE, NOWHERE, e)], True)
    if isinstance(op, structure.HCat | structure.VCat):
        return _side_by_side(args, op.axis)
    if op is algebra.TRANSPOSE:
        inner = blocks_of(args[0])
        turned = [Block(b.col, b.row, algebra.transpose(b.expr)) for b in inner.blocks]
        return Blocks(turned, inner.apart)
    if op is algebra.ADD and all(a.shape == e.shape for a in args):
        parts = [blocks_of(a) for a in args]
        places = [{b.place for b in part.blocks} for part in parts]
        apart = all(part.apart for part in parts) and all(p == places[0] for p in places)
        return Blocks([b for part in parts for b in part.blocks], apart)
    if op is algebra.PRODUCT:
        scalars = [a for a in args if a.is_scalar]
        matrices = [a for a in args if not a.is_scalar]
        first, last = matrices[0], matrices[-1]
        if len(matrices) == 1:
            inner = blocks_of(first)
            return Blocks([Block(b.row, b.col, algebra.product(*scalars, b.expr)) for b in inner.blocks], inner.apart)
        if isinstance(first.op, structure.VCat):
            rows = [algebra.product(*scalars, a, *matrices[1:]) for a in first.args]
            return _side_by_side(rows, 0)
        if isinstance(last.op, structure.HCat):
            return _side_by_side([algebra.product(*scalars, *matrices[:-1], a) for a in last.args], 1)
    return Blocks([Block(NOWHERE, NOWHERE, e)], True)


def _side_by_side(args: Sequence[Expr], axis: int) -> Blocks:
    out: list[Block] = []
    apart, at = True, NOWHERE
    for a in args:
        inner = blocks_of(a)
        apart = apart and inner.apart
        row, col = (at, NOWHERE) if axis == 0 else (NOWHERE, at)
        out += [Block(b.row + row, b.col + col, b.expr) for b in inner.blocks]
        at = at + a.shape[axis]
    return Blocks(out, apart)
