"""Loops, and arrays that are put together from pieces, with linear indices counted from 1 by columns."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence

from matcalc.dims import ONE, Dim
from matcalc.emission.columns_base import Columns, one_less
from matcalc.emission.places import Place, column_major, place_of, source_of
from matcalc.lowering.assembling import Piece
from matcalc.lowering.code import ATOM, POWER, SUM, TERM, UNARY, Code
from matcalc.lowering.plan import Value


class PieceColumns(Columns, ABC):
    """Writes indexed sums and assembled arrays."""

    def assemble(self, v: Value, pending: dict[Value, Code], indent: str) -> Code:
        name = self.names.take(self.preferred.get(v) or "out")
        codes = {a: pending.pop(a) if a in pending else self._code[a] for a in v.args}
        pieces, _ = v.attrs
        self._name_shared(v, codes, indent)
        if not v.shape:
            self._total(v, codes, name, indent)
            return Code(name, ATOM)
        first = pieces[0]
        begun = 0
        if _is_whole(first, v):
            value, full = self._piece_value(first, v, codes)
            if first.scale is not None:
                value = self.scaled(v.args[first.scale], codes, value)
            if not full:
                zeros = self.filled(v.shape, "0").text
                value = Code(f"{value.at(SUM)} {self.plus('+', True)} {zeros}", SUM)
            self.lines.append(indent + self.assignment(name, self.begun(value, first, v).text))
            begun = 1
        else:
            self.lines.append(indent + self.assignment(name, self.zeros(v.shape)))
        for piece in pieces[begun:]:
            self.put(v, piece, codes, name, indent, False)
        return Code(name, ATOM)

    def _total(self, v: Value, codes: Mapping[Value, Code], name: str, indent: str) -> None:
        """A number that is put together from pieces: their sum."""
        self.lines.append(indent + self.assignment(name, "0.0"))
        for piece in v.attrs[0]:
            value, _ = self._piece_value(piece, v, codes)
            if piece.scale is not None:
                value = self.product([(codes[v.args[piece.scale]], False), (value, False)])
            text = f"{name} {'-' if piece.adds < 0 else '+'} {value.at(TERM)}" if piece.adds else value.text
            self.lines.append(indent + self.assignment(name, text))

    def scaled(self, scale: Value, codes: Mapping[Value, Code], value: Code) -> Code:
        """A number times the value of a piece."""
        if scale.op == "const" and scale.attrs[0] == -1:
            return Code(f"-{value.at(POWER)}", UNARY)
        return self.product([(codes[scale], False), (value, True)])

    def begun(self, value: Code, piece: Piece, v: Value) -> Code:
        """What an array begins as, of its own."""
        return value

    def _name_shared(self, v: Value, codes: dict[Value, Code], indent: str) -> None:
        """Names for what several pieces use."""
        for k, a in enumerate(v.args):
            users = sum(k in (*p.operands, *p.fixed) for p in v.attrs[0])
            if users > 1 and not codes[a].text.isidentifier() and a.shape:
                codes[a] = self.assign(a, codes[a], indent)

    def _piece_value(self, piece: Piece, v: Value, codes: Mapping[Value, Code]) -> tuple[Code, bool]:
        """What is put somewhere, and whether it has all axes itself."""
        operands = [v.args[k] for k in piece.operands]
        place = place_of(piece, v.shape, column_major(v.shape))
        rank = len(place.sizes)
        given = [codes[a] for a in operands]
        if piece.how == "multiply":
            factors = [(self.aligned(a, c, rank), bool(a.shape)) for a, c in zip(operands, given, strict=True)]
            held = {k for a in operands for k in range(a.rank) if a.shape[a.rank - 1 - k] is not ONE}
            wide = {k for k in range(rank) if place.sizes[rank - 1 - k] is not ONE}
            return self.product(factors), held >= wide and bool(rank)
        a, b = operands
        if piece.how == "outer":
            left = self.reshaped(given[0], [ONE] * (rank - 1 - a.rank) + [*a.shape, ONE])
            right = self.reshaped(given[1], [ONE] * (rank - 1 - b.rank) + [*b.shape[:-1], ONE, b.shape[-1]])
            return self.product([(left, True), (right, True)]), True
        return self.batched(place.sizes, a, given[0], b, given[1]), True

    def view(self, place: Place, args: Sequence[Value], codes: Mapping[Value, Code]) -> str:
        """The linear indices, counted from 1, of a view of an array."""
        start = self.size(place.offset + 1)
        for stride, size, k in place.fixed:
            at = one_less(self.checked(args[k], codes[args[k]], size))
            if at.text == "0":
                continue
            step = at if stride is ONE else Code(f"{at.at(TERM)} * {self.size(stride).at(UNARY)}", TERM)
            start = Code(f"{start.at(SUM)} + {step.at(TERM)}", SUM)
        if not place.sizes:
            return start.text
        if len(place.sizes) == 1 and not place.fixed:
            (stride,), (size,) = place.strides, place.sizes
            return self.run(start, self.size(stride), self.size(place.offset + 1 + stride * (size - 1)))
        strides, sizes = self.sizes_of(place.strides), self.sizes_of(place.sizes)
        return f"{self.use('places')}({start.text}, {strides}, {sizes})"

    def block(self, v: Value, piece: Piece) -> str:
        """The ranges of the axes, where a piece is a block of the array as it is; else nothing."""
        axes = tuple(range(v.rank))
        if piece.how != "mirror" and not (
            piece.inner == piece.sizes == piece.block
            and piece.axes == axes
            and not any(piece.windows)
            and piece.turned in ((), axes)
        ):
            return ""
        return self._ranges(piece.ranges or (None,) * v.rank)

    def _ranges(self, ranges: Sequence[tuple[Dim, Dim] | None]) -> str:
        out = []
        for limits in ranges:
            if limits is None:
                out.append(":")
            else:
                last = "end" if limits[1].value == 0 else self.size(limits[1]).at(TERM)
                out.append(f"{self.size(limits[0] + 1).at(TERM)}:{last}")
        return ", ".join(out)

    def mirrored(self, v: Value, piece: Piece, name: str) -> str:
        """The statement that puts the transpose of another block where a piece belongs."""
        turned = "'" if v.rank == 2 else ""
        if turned:
            here, there = self.block(v, piece), self._ranges(piece.source)
        else:
            strides = column_major(v.shape)
            places = place_of(piece, v.shape, strides), source_of(piece, v.shape, strides)
            here, there = (self.view(place, v.args, {}) for place in places)
        source = f"{self.gathered(name, there).text}{turned}"
        return self.assignment(self.gathered(name, here).text, source)

    def loop(self, v: Value, indent: str) -> Code:
        index, body, lower, upper = v.args
        first, last = self._code[lower], self._code[upper]
        stack = bool(v.attrs)
        name = self.names.take(self.preferred.get(v) or ("out" if stack else "total"))
        counter = self.names.take(index.attrs[0])
        self.lines.append(indent + self.assignment(name, "0.0" if not v.shape else self.zeros(v.shape)))
        over = f"{first.text}:{last.text}"
        if upper.op == "whole":
            over = f"{self.use('up_to')}({first.text}, {last.text})"
        self.lines.append(indent + self.counting(counter, over))
        outer = self._code
        self._code = {e: code for e, code in outer.items() if index not in e.indices}
        self._code[index] = Code(counter, ATOM)
        safe = lower.op == "const" and lower.attrs[0] >= 1
        self._safe.append((index, upper) if safe else (index, index))
        if body.op == "assemble" and body.shape and not stack:  # each piece is added where it belongs
            codes = dict(zip(body.args, self.write(body.args, indent + "    "), strict=True))
            self._name_shared(body, codes, indent + "    ")
            for piece in body.attrs[0]:
                self.put(body, piece, codes, name, indent + "    ", True)
        else:
            (code,) = self.write([body], indent + "    ")
            if stack:
                self.lines.append(indent + "    " + self.slice_put(v, name, counter, code))
            else:
                text = f"{name} {self.plus('+', bool(v.shape))} {code.at(TERM)}"
                self.lines.append(indent + "    " + self.assignment(name, text))
        self.lines.append(f"{indent}end")
        self._safe.pop()
        self._code = outer
        return Code(name, ATOM)


def _is_whole(piece: Piece, v: Value) -> bool:
    """Whether a piece reaches all entries of the array, axis by axis."""
    axes = tuple(range(v.rank))
    return (
        not piece.ranges
        and piece.how != "mirror"
        and piece.sizes == piece.inner == v.shape
        and piece.axes == axes
        and (not piece.turned or piece.turned == axes)
        and not any(piece.windows)
    )


__all__ = ["PieceColumns"]
