"""Slips: small changes of a claimed derivative that make it right.

A slip is one change of the claim: the whole or one factor transposed, a number or a size missing, one sign, one
function or variable written for another, a function for its derivative, an inner product for an outer one; of a
Jacobian also the factors of a Kronecker product exchanged, rows stacked instead of columns, a commutation matrix or a
``diag`` missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from matcalc.dims import ONE, Shape
from matcalc.errors import MatcalcError
from matcalc.expr import DimMismatch, Expr, postorder, rebuild, substitute
from matcalc.primitives.algebra import ADD, TRANSPOSE, Product, product, transpose
from matcalc.primitives.base import zeros
from matcalc.primitives.functions import Elementwise
from matcalc.primitives.leaves import as_expr, commutation, const, identity, size
from matcalc.primitives.products import Kron, kron
from matcalc.primitives.structure import diagonal, vec

_MISFIT = (DimMismatch, MatcalcError, TypeError, ValueError)  # a change after which the shapes do not fit


class Slip(NamedTuple):
    """A change of a claim: in words (with the expressions that they speak of), and the claim after it."""

    words: tuple[str | Expr, ...]
    corrected: Expr

    @property
    def said(self) -> str:
        return "".join(w if isinstance(w, str) else _text(w) for w in self.words)


class About(NamedTuple):
    """What a claim is about."""

    f: Expr
    kind: str  # gradient, Jacobian, Hessian, ...
    shape: Shape  # that the claim must have
    layouts: tuple[Shape, ...] = ()  # of the matrices whose vec are its rows, and its columns


def slips(about: About, claim: Expr) -> Iterator[Slip]:
    """Small changes of ``claim``, the likeliest first; each claim that comes of them once, and of the right shape."""
    met = {claim}
    for source in (_of_the_whole, _of_layout, _exchanged_functions, _exchanged_variables, _of_a_part):
        for slip in source(about, claim):
            if slip.corrected.shape == about.shape and slip.corrected not in met:
                met.add(slip.corrected)
                yield slip


def _of_the_whole(about: About, claim: Expr) -> Iterator[Slip]:
    yield Slip(("a change of sign",), -claim)
    if not claim.is_scalar:
        why = " (it has a row for every entry of f, a column for every one of the variable)"
        yield Slip((f"transposing it{why if about.kind == 'Jacobian' else ''}",), claim.T)
        if claim.rows is claim.cols:  # of a variable that is declared symmetric
            yield Slip(("taking its symmetric part",), (claim + claim.T) / 2)
    for factor in _factors(about.f):
        yield Slip(("multiplying it by ", factor), factor * claim)
        yield Slip(("multiplying it by -", factor), -(factor * claim))
        if not claim.is_scalar:
            yield Slip(("transposing it and multiplying it by ", factor), factor * claim.T)
    if claim.rows is claim.cols and not claim.is_scalar:
        yield Slip(("adding its transpose",), claim + claim.T)


def _factors(f: Expr) -> Iterator[Expr]:
    for number in (2, Fraction(1, 2), 3, 4, Fraction(1, 3), Fraction(1, 4)):
        yield const(number)
    dims = {d for node in postorder([f]) for d in node.shape if d.value is None}
    for d in sorted(dims, key=str):
        for number in (1, 2, Fraction(1, 2)):
            yield number * size(d)
            yield number * size(d) ** -1


def _of_layout(about: About, claim: Expr) -> Iterator[Slip]:
    """Of matrices under vec: the order of stacking, commutation matrices, diag."""
    if not about.layouts:
        return
    yield from _shaped_otherwise(about, claim)
    for node in postorder([claim]):
        if isinstance(node.op, Kron):
            a, b = node.args
            for new in _in_place(claim, node, kron(b, a)):
                yield Slip(("swapping the factors of ", node, " (vec stacks columns)"), new)
    yield from _superfluous(claim)
    above, across = about.layouts
    by_rows = _times(_commutation(above).T if _commutes(above) else None, claim, across)
    if by_rows is not claim:
        yield Slip(("stacking columns instead of rows",), by_rows)
    yield from _with_commutation(claim, above, across)
    for node in postorder([claim]):
        if node.is_column and node.op is not TRANSPOSE:
            for new in _in_place(claim, node, diagonal(node)):
                yield Slip(("writing diag(", node, ") for ", node), new)


def _superfluous(claim: Expr) -> Iterator[Slip]:
    """A matrix of a product left out."""
    for node in postorder([claim]):
        if isinstance(node.op, Product):
            for slot, factor in enumerate(node.args):
                if factor.rows is factor.cols and not factor.is_scalar:
                    rest = [a for k, a in enumerate(node.args) if k != slot]
                    for new in _in_place(claim, node, product(*rest)):
                        yield Slip(("leaving out ", factor, " in ", node), new)


def _shaped_otherwise(about: About, claim: Expr) -> Iterator[Slip]:
    """A claim of the shape of the variable, or of f, where a matrix under vec is asked for."""
    above, across = about.layouts
    if claim.shape == across:
        yield Slip(("writing it as a row: vec(", claim, ")'"), transpose(vec(claim)))
        yield Slip(("writing it as a row: vec(", claim, "')'"), transpose(vec(transpose(claim))))
    if claim.shape == above:
        yield Slip(("writing it as a column: vec(", claim, ")"), vec(claim))


def _commutes(shape: Shape) -> bool:
    return ONE not in shape


def _commutation(shape: Shape) -> Expr:
    return commutation(*shape)


def _times(left: Expr | None, claim: Expr, across: Shape) -> Expr:
    out = claim if left is None or left.cols is not claim.rows else left @ claim
    return out @ _commutation(across) if _commutes(across) and out.cols is across[0] * across[1] else out


def _with_commutation(claim: Expr, above: Shape, across: Shape) -> Iterator[Slip]:
    """A commutation matrix, or its sum with the identity, at either side of the claim or of a part of it."""
    shapes = [s for s in dict.fromkeys((across, above)) if _commutes(s)]
    known = [k for s in shapes for k in dict.fromkeys((commutation(*s), commutation(s[1], s[0])))]
    for k in known:
        both = identity(k.rows) + k
        for factor, said in ((k, k), (both, both), (both / 2, both / 2)):
            if claim.cols is k.rows:
                yield Slip(("multiplying it from the right by ", said), claim @ factor)
            if claim.rows is k.cols:
                yield Slip(("multiplying it from the left by ", said), factor @ claim)
    for k in known:
        for node in postorder([claim]):
            if node is claim or node.op is TRANSPOSE or node.is_scalar:
                continue
            for side, new in (("right", _product(node, k)), ("left", _product(k, node))):
                for changed in _in_place(claim, node, new) if new is not None else ():
                    yield Slip(("multiplying ", node, f" from the {side} by ", k), changed)


def _product(a: Expr, b: Expr) -> Expr | None:
    return a @ b if a.cols is b.rows else None


def _exchanged_functions(about: About, claim: Expr) -> Iterator[Slip]:
    """One function for another, or one derivative of it for another: in one place, then everywhere."""
    applied = [(e, e.op) for e in postorder([claim]) if isinstance(e.op, Elementwise)]
    used = {e.op.function for e in postorder([about.f, claim]) if isinstance(e.op, Elementwise)}
    ordered = sorted(used, key=lambda g: g.name)
    for node, op in applied:
        for other in ordered:
            for order in (op.order, op.order + 1, op.order - 1):
                if order < 0 or (other is op.function and order == op.order) or (order and other.kind == "known"):
                    continue
                now = other.name + "'" * order
                for new in _in_place(claim, node, Elementwise(other, order)(node.args[0])):
                    yield Slip((f"{op} -> {now} in ", node), new)
        if op.function.kind == "known" and not op.order:
            slope = as_expr(op.function.slope(0, node, node.args[0]))
            for new in _in_place(claim, node, slope) if slope.shape == node.shape else ():
                yield Slip((f"{op} -> {op}' in ", node), new)
    for function in ordered:
        for other in ordered:
            if other is not function:
                everywhere = {e: Elementwise(other, op.order) for e, op in applied if op.function is function}
                yield Slip((f"{function.name} -> {other.name} everywhere",), _with_functions(claim, everywhere))


def _exchanged_variables(about: About, claim: Expr) -> Iterator[Slip]:
    """One variable for another of the same shape: in one place, then everywhere."""
    known = [e for e in postorder([about.f, claim]) if e.op.is_variable]
    for node, slot in _places(claim):
        old = node.args[slot]
        for new in known if old.op.is_variable else []:
            if new is not old and new.shape == old.shape:
                for changed in _at(claim, node, slot, new):
                    yield Slip((old, " -> ", new, " in ", node), changed)
    for old in known:
        for new in known:
            if new is not old and new.shape == old.shape:
                yield Slip((old, " -> ", new, " everywhere"), substitute(claim, {old: new}))


def _of_a_part(about: About, claim: Expr) -> Iterator[Slip]:
    """One factor transposed, one inner product for an outer one, one term with another sign or coefficient."""
    for node, slot in _places(claim):
        old = node.args[slot]
        if node.op is ADD and not node.is_scalar and old.is_scalar and isinstance(old.op, Product):
            *numbers, row, column = old.args
            if row.is_row and column.is_column and all(a.is_scalar for a in numbers):
                outer = product(*numbers, row.T, column.T)
                for changed in _at(claim, node, slot, outer):
                    yield Slip((product(row, column), " -> ", product(row.T, column.T), " in ", node), changed)
    for node, slot in _places(claim):
        old = node.args[slot]
        if old.is_scalar or node.op is TRANSPOSE or (old.rows is not old.cols and not about.layouts):
            continue
        news = [transpose(old)]
        if old.rows is old.cols:
            news += [(old + transpose(old)) / 2, old + transpose(old)]
        for new in news:
            for changed in _at(claim, node, slot, new):
                yield Slip((old, " -> ", new, " in ", node), changed)
    for node, slot in _places(claim):
        if node.op is ADD:
            term = node.args[slot]
            changes = [("a change of sign of", -term), ("doubling", 2 * term), ("halving", Fraction(1, 2) * term)]
            changes.append(("leaving out", zeros(term.shape)))
            if term.rows is term.cols and not term.is_scalar:
                changes.append(("transposing", term.T))
            for said, new in changes:
                for changed in _at(claim, node, slot, new):
                    yield Slip((f"{said} ", term), changed)


def _places(claim: Expr) -> Iterator[tuple[Expr, int]]:
    """Every use of every node, by the node that uses it and the slot."""
    for node in postorder([claim]):
        for slot in range(len(node.args)):
            yield node, slot


def _with_argument(node: Expr, slot: int, new: Expr) -> Expr:
    return rebuild(node, (*node.args[:slot], new, *node.args[slot + 1 :]))


def _at(claim: Expr, node: Expr, slot: int, new: Expr) -> Sequence[Expr]:
    """The claim with another argument of ``node``, where the shapes allow it."""
    try:
        return list(_in_place(claim, node, _with_argument(node, slot, new)))
    except _MISFIT:
        return []


def _in_place(claim: Expr, node: Expr, new: Expr) -> Iterator[Expr]:
    """The claim with ``new`` for ``node``, which may be used several times: in all of its places, then in each."""
    uses = [(user, slot) for user, slot in _places(claim) if user.args[slot] is node]
    changes = [{node: new}]
    if len(uses) > 1:
        for user, slot in uses:
            try:
                changes.append({user: _with_argument(user, slot, new)})
            except _MISFIT:
                continue
    for change in changes:
        try:
            yield substitute(claim, change)
        except _MISFIT:
            continue


def _with_functions(claim: Expr, changed: Mapping[Expr, Elementwise]) -> Expr:
    """Like ``substitute``, for applications that lie within one another."""
    done: dict[Expr, Expr] = {}
    for node in postorder([claim]):
        args = tuple(done[a] for a in node.args)
        done[node] = changed[node](*args) if node in changed else rebuild(node, args)
    return done[claim]


def _text(e: Expr) -> str:
    from matcalc.printing.text import text

    return text(e)


__all__ = ["About", "Slip", "slips"]
