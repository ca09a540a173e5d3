"""Blocks that are Kronecker products as such.

``kron(A, B)`` is what a reader of a source knows, not a view of an array into whose axes the factors are put.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matcalc.dims import ONE, Dim
from matcalc.lowering.assembling import Piece
from matcalc.lowering.plan import Plan, Value, reachable

if TYPE_CHECKING:
    from matcalc.lowering.planned import Planned

# Which of the one or two axes into which rows, or columns, are divided are those of the first and of the second factor.
_LAYOUTS = {1: ((0, None), (None, 0)), 2: ((0, 1),)}


def with_kronecker_products(planned: Planned) -> Planned:
    """The same function, whose assembled matrices consist of Kronecker products where they can."""
    if planned.closures:
        return planned
    plan = Plan()
    new: dict[Value, Value] = {}
    for v in reachable([v for _, _, v in planned.results]):
        args = tuple([new[a] for a in v.args])
        found = _assembled(plan, v, args) if v.op == "assemble" and v.rank == 2 else None
        if found is None:
            found = v if args == v.args else plan.value(v.op, args, v.shape, *v.attrs)
        new[v] = found
    preferred = {new.get(v, v): name for v, name in planned.preferred.items()}
    return planned._replace(results=[(label, e, new[v]) for label, e, v in planned.results], preferred=preferred)


def _assembled(plan: Plan, v: Value, args: Sequence[Value]) -> Value | None:
    pieces, filled = v.attrs
    products = [_product(plan, p, [args[k] for k in p.operands]) for p in pieces]
    if not any(products):
        return None
    if len(pieces) == 1 and not pieces[0].ranges and not pieces[0].adds and products[0] is not None:
        scale = pieces[0].scale
        return products[0] if scale is None else plan.value("mul", (args[scale], products[0]), v.shape, 1, 2)
    operands: list[Value] = []
    new = []
    for p, product in zip(pieces, products, strict=True):
        used = [args[k] for k in p.operands] if product is None else [product]
        places = [_place(operands, a) for a in used]
        fixed = [_place(operands, args[k]) for k in p.fixed]
        scale = None if p.scale is None else _place(operands, args[p.scale])
        p = p._replace(operands=tuple(places), fixed=tuple(fixed), scale=scale)
        if product is not None:
            p = p._replace(sizes=p.block, windows=(None, None), inner=p.block, axes=(0, 1), how="multiply", turned=())
        new.append(p)
    return plan.value("assemble", tuple(operands), v.shape, tuple(new), filled)


def _place(operands: list[Value], a: Value) -> int:
    if a not in operands:
        operands.append(a)
    return operands.index(a)


def _product(plan: Plan, piece: Piece, operands: Sequence[Value]) -> Value | None:
    """The Kronecker product that a piece is."""
    if piece.how not in ("multiply", "outer") or piece.fixed or any(piece.windows):
        return None
    divided = _divided(piece)
    if divided is None:
        return None
    rows, cols = divided
    if len(rows) == len(cols) == 1:
        return None
    for row in _LAYOUTS[len(rows)]:
        for col in _LAYOUTS[len(cols)]:
            rest = _held(piece, operands)
            factors, there = [], []
            for k in range(2):
                r, c = row[k], col[k]
                axes = [rows[r] if r is not None else None, cols[c] if c is not None else None]
                factors.append(_factor(plan, piece, axes, rest))
                there.append({piece.axes[a] for a in axes if a is not None and piece.inner[a] is not ONE})
            if not rest and None not in factors and there[0].isdisjoint(there[1]):  # else entries of one diagonal
                return plan.value("kron", tuple(factors), piece.block)  # type: ignore[arg-type]  # no None is left
    return None


def _held(piece: Piece, operands: Sequence[Value]) -> list[tuple[Value, list[int]]]:
    """The operands, and which of the distinct axes are theirs."""
    rank = len(set(piece.axes))
    order = piece.turned or tuple(range(rank))
    found = []
    for k, a in enumerate(operands):
        axes = [at + rank - a.rank for at in range(a.rank)]
        if piece.how == "outer":  # the last two axes are those of one operand each
            axes = [at - 1 for at in axes] if k == 0 else [*[at - 1 for at in axes[:-1]], rank - 1]
        found.append((a, [order[at] for at, size in zip(axes, a.shape, strict=True) if size is not ONE]))
    return found


def _divided(piece: Piece) -> tuple[list[int], list[int]] | None:
    """The axes into which the rows and the columns of the block are divided, at most two each."""
    for count in (1, 2):
        groups = list(range(count)), list(range(count, len(piece.inner)))
        products = [_volume([piece.inner[k] for k in group]) for group in groups]
        if products == list(piece.block) and 1 <= len(groups[1]) <= 2:
            return groups
    return None


def _volume(sizes: Sequence[Dim]) -> Dim:
    total = ONE
    for d in sizes:
        total = total * d
    return total


def _factor(plan: Plan, piece: Piece, axes: Sequence[int | None], rest: list[tuple[Value, list[int]]]) -> Value | None:
    """The matrix over two axes, which it takes from the rest of the operands; over twice the same a diagonal one, the
    identity where there is no operand."""
    sizes = tuple([ONE if a is None else piece.inner[a] for a in axes])
    wanted = [piece.axes[a] for a in axes if a is not None and piece.inner[a] is not ONE]
    diagonal = len(wanted) == 2 and wanted[0] == wanted[1]
    for a, held in rest:
        if held and held == (wanted[:1] if diagonal else wanted):
            rest.remove((a, held))
            entries = a.args[0] if a.op == "expand" else a
            return plan.diag(plan.reshape(entries, sizes[:1]), sizes[0]) if diagonal else plan.reshape(entries, sizes)
    return plan.diag(plan.one, sizes[0]) if diagonal else None


__all__ = ["with_kronecker_products"]
