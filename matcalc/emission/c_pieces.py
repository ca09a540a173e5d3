"""The loops that write the pieces of an assembled array (lowering/assembling.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matcalc.dims import ONE, Dim
from matcalc.emission.c_code import NOUGHT, Index, product_of, spread, sum_of
from matcalc.emission.places import Place, place_of, row_major, source_of
from matcalc.lowering.assembling import Piece
from matcalc.lowering.code import ATOM, SUM, TERM, UNARY, Code
from matcalc.lowering.plan import Value

if TYPE_CHECKING:
    from matcalc.emission.c_body import Body


_LONG = 100  # characters of a statement


def put(w: Body, v: Value, piece: Piece, name: str, adding: bool = False) -> None:
    """The loops that write one piece into its view of the array."""
    strides = row_major(v.shape)
    place = place_of(piece, v.shape, strides)
    if piece.how == "mirror":
        there = source_of(piece, v.shape, strides)
        with w.loops(place.sizes) as index:
            w.emit(f"{name}[{_at(w, place, index, v).text}] = {name}[{_at(w, there, index, v).text}];")
        return
    operands = [v.args[k] for k in piece.operands]
    adds = piece.adds or int(adding)
    with w.loops(place.sizes) as index:
        code = _piece_entry(w, piece, operands, index)
        if piece.scale is not None and not adds:
            scale = w.scalar(v.args[piece.scale])
            code = Code(f"-{code.at(UNARY)}", UNARY) if scale.text == "-1.0" else product_of([scale, code])
        sign = "+" if adds > 0 else "-" if adds else ""
        if len(code.text) > _LONG:
            code = w.local(code)
        w.emit(f"{name}[{_at(w, place, index, v).text}] {sign}= {code.text};")


def _piece_entry(w: Body, piece: Piece, operands: Sequence[Value], index: Sequence[Index]) -> Code:
    if piece.how == "multiply":
        return product_of([w.entry(a, spread(index, a)) for a in operands])
    a, b = operands
    *batch, row, col = index
    if piece.how == "outer":
        return product_of([w.entry(a, spread([*batch, row], a)), w.entry(b, spread([*batch, col], b))])
    count = a.shape[-1].value
    assert count is not None  # the number of terms
    terms = []
    for k in range(count):
        at = Code(str(k), ATOM)
        terms.append(product_of([w.entry(a, spread([*batch, row, at], a)), w.entry(b, spread([*batch, at, col], b))]))
    return sum_of(terms, [False] * count)


def _at(w: Body, place: Place, index: Sequence[Index], v: Value) -> Code:
    """The place of an entry of a view, written as sums of the strides."""
    parts: list[Code] = []
    if place.offset.terms:
        parts.append(w.size(place.offset))
    for stride, size, k in place.fixed:
        w.require(size, v.args[k])
        parts.append(_times(w, w.integer(v.args[k]), stride))
    for at, stride in zip(index, place.strides, strict=True):
        parts.append(_times(w, at, stride))
    parts = [p for p in parts if p.text != "0"]
    if not parts:
        return NOUGHT
    text = " + ".join(p.at(TERM if k else SUM) for k, p in enumerate(parts))
    return Code(text, SUM if len(parts) > 1 else parts[0].level)


def _times(w: Body, at: Index, stride: Dim) -> Code:
    if stride is ONE or at.text == "0":
        return at
    return Code(f"{at.at(TERM)} * {w.size(stride).at(UNARY)}", TERM)


__all__ = ["put"]
