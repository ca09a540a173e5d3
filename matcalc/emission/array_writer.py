"""The plan as source for an array library: nothing is written into an array that exists already."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from matcalc.dims import Dim, dim
from matcalc.emission.array_rules import is_number, written
from matcalc.emission.libraries import STANDARD, Library
from matcalc.lowering.assembling import Piece, name_shared
from matcalc.lowering.code import ATOM, SUM, TERM, UNARY, Code, fill
from matcalc.lowering.names import Names
from matcalc.lowering.numpy_source import Writer
from matcalc.lowering.plan import ArrayShape, Value
from matcalc.lowering.spellings import Spelling

_LETTERS = "ijklmnopqrstuvwxyzabcdefgh"


_OF_NUMBERS = ("whole", "up_to", "position", "limit")  # helpers that take no arrays


class ArrayWriter(Writer):
    """Writes for one library; ``helpers`` are the names of what it uses that the library has not."""

    reuses = False
    decimal = False

    def __init__(self, names: Names, library: Library, preferred: Mapping[Value, str] | None = None) -> None:
        super().__init__(names, preferred)
        self.library = library
        self.helpers: set[str] = set()  # of array_helpers.py, and "rt.name" of NumPy's runtime
        self.modules: set[str] = set()

    def own(self, lines: Sequence[str]) -> list[str]:
        """The finished lines."""
        return list(lines)

    # Words

    def has(self, word: str) -> bool:
        return word in self.library.words or word in STANDARD

    def fill(self, template: str, args: Sequence[Code] = (), **slots: Any) -> Code:
        """A template with the operands and other texts in it."""
        space = self.library.namespace

        def helper(found: re.Match[str]) -> str:
            of, name = found.groups()
            self.helpers.add(f"rt.{name}" if of == "rt" else f"_{name}")
            if of == "rt":
                return f"_numpy_{name}"
            return f"_{name}(" + ("xp, " if space == "xp" and name not in _OF_NUMBERS else "")

        text = re.sub(r"\{(rt)\}\.(\w+)", helper, re.sub(r"\{(h)\}\.(\w+)\(", helper, template))
        codes = {str(k): c for k, c in enumerate(args)} | {name: Code(str(t), ATOM) for name, t in slots.items()}
        found = fill(text, codes | {"xp": Code(space, ATOM)})
        if "math." in found.text:
            self.modules.add("math")
        if "jax." in found.text:
            self.modules.add("jax")
        if "**like" in found.text or found.text.endswith(", like)"):
            self.needs_dtype = True
        return Code(found.text, TERM) if template.startswith("2 * ") else found

    def word(self, word: str, args: Sequence[Code] = (), **slots: Any) -> Code:
        """What the library says for an operation; of shapes only what it uses becomes text."""
        template = self.library.words.get(word) or STANDARD[word]
        used = {name: slot for name, slot in slots.items() if f"{{{name}}}" in template}
        return self.fill(template, args, **{n: self.shape(t) if isinstance(t, tuple) else t for n, t in used.items()})

    def shape(self, shape: ArrayShape) -> str:
        """Sizes as a tuple."""
        parts = [self.size(d).text for d in shape]
        return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"

    def shaped(self, a: Code, shape: ArrayShape) -> Code:
        """The entries of an array in another shape."""
        if len(shape) == 1:
            return self.word("flat", [a])
        return self.word("reshape", [a], shape=tuple(shape), dims=", ".join(self.size(d).text for d in shape) or "()")

    def broadcast(self, a: Code, shape: ArrayShape) -> Code:
        return self.word("broadcast", [a], shape=shape)

    def array(self, v: Value, code: Code) -> Code:
        """A value as an array, where it is a number of Python."""
        return self.word("number", [code]) if is_number(v) else code

    def zeros(self, shape: ArrayShape) -> str:
        return self.word("zeros", shape=shape).text

    # The seams of Writer

    def spelling(self, v: Value) -> Spelling:
        return written  # type: ignore[return-value]  # it takes this writer

    def _constant(self, code: Code) -> Code:
        return code

    def loop(self, v: Value, indent: str) -> Code:
        index, body, lower, upper = v.args
        first, last = self._code[lower], self._code[upper]
        stack = bool(v.attrs)
        name = self.names.take("slices" if stack else self.preferred.get(v) or "total")
        counter = self.names.take(index.attrs[0])
        self.lines.append(f"{indent}{name} = {'[]' if stack else self.zeros(v.shape)}")
        stop = f"{last.at(SUM)} + 1" if upper.op != "const" else str(upper.attrs[0] + 1)
        over = f"range({first.text}, {stop})" if upper.op != "whole" else self.word("up_to", [first, last]).text
        self.lines.append(f"{indent}for {counter} in {over}:")
        outer = self._code
        self._code = {e: code for e, code in outer.items() if index not in e.indices}
        self._code[index] = Code(counter, ATOM)
        safe = lower.op == "const" and lower.attrs[0] >= 1
        self._safe.append((index, upper) if safe else (index, index))
        (code,) = self.write([body], indent + "    ")
        if stack:
            self.lines.append(f"{indent}    {name}.append({self.array(body, code).text})")
        else:
            text = code.at(TERM)
            sign, text = ("-", text[1:]) if text.startswith("-") and code.level > SUM else ("+", text)
            self.lines.append(f"{indent}    {name} = {name} {sign} {text}")
        self._safe.pop()
        self._code = outer
        if not stack:
            return Code(name, ATOM)
        return self.assign(v, self.word("stack", arrays=name, axis=0), indent)

    def assemble(self, v: Value, pending: dict[Value, Code], indent: str) -> Code:
        """The sum of the pieces of each block, and the blocks side by side."""
        pieces: Sequence[Piece] = v.attrs[0]
        codes = {a: pending.pop(a) if a in pending else self._code[a] for a in v.args}
        name_shared(self, v, codes, indent)
        sources = {p.source for p in pieces if p.how == "mirror"}
        blocks: dict[Any, tuple[Code, ArrayShape]] = {}
        for ranges in dict.fromkeys(p.ranges for p in pieces if p.how != "mirror"):
            own = [p for p in pieces if p.ranges == ranges and p.how != "mirror"]
            code = self._summed([(p.adds, self._piece(v, p, codes, indent)) for p in own], indent)
            if ranges in sources and not code.text.isidentifier():
                code = self._named(code, indent)
            blocks[ranges] = (code, own[0].block)
        for p in pieces:
            if p.how == "mirror" and p.source in blocks:  # else it is empty
                turned = "{0}.T" if len(p.block) == 2 else None
                source = blocks[p.source][0]
                axes = [*range(len(p.block) - 2), len(p.block) - 1, len(p.block) - 2]
                code = self.fill(turned, [source]) if turned else self.permuted(source, axes)
                blocks[p.ranges] = (code, p.block)
        found = self._beside(blocks, v.shape, indent)
        if found is None:
            placed = [
                (1, code if not ranges else self._within(code, ranges, v.shape)) for ranges, (code, _) in blocks.items()
            ]
            found = self._summed(placed, indent) if placed else Code(self.zeros(v.shape), ATOM)
        if found.text.isidentifier() and v not in self.preferred:
            return found
        name = self.names.take(self.preferred.get(v) or "out")
        self.lines.append(indent + self.assignment(name, found.text))
        return Code(name, ATOM)

    def _named(self, code: Code, indent: str) -> Code:
        name = self.names.take(f"t{self._next()}")
        self.lines.append(indent + self.assignment(name, code.text))
        return Code(name, ATOM)

    def _summed(self, terms: Sequence[tuple[int, Code]], indent: str) -> Code:
        (sign, first), *others = terms
        out = Code(f"-{first.at(UNARY)}", UNARY) if sign < 0 else first
        for sign, code in others:
            if len(out.text) + len(code.text) > self.width:
                out = self._named(out, indent)
            if code.text.startswith("-") and code.level > SUM:
                sign, code = -sign, Code(code.text[1:], code.level)
            out = Code(f"{out.at(SUM)} {'-' if sign < 0 else '+'} {code.at(TERM)}", SUM)
        return out

    def _scaled(self, scale: Code, code: Code) -> Code:
        if scale.text == "-1":
            return Code(f"-{code.at(UNARY)}", UNARY)
        return Code(f"{scale.at(UNARY)} * {code.at(UNARY)}", TERM)

    def permuted(self, a: Code, axes: Sequence[int]) -> Code:
        return a if list(axes) == sorted(axes) else self.word("permute", [a], axes=f"({', '.join(map(str, axes))})")

    def _piece(self, v: Value, piece: Piece, codes: Mapping[Value, Code], indent: str) -> Code:
        """The value of one piece in the shape of its block."""
        operands = [v.args[k] for k in piece.operands]
        places = [codes[v.args[k]] for k in piece.fixed]
        distinct = [a for a in dict.fromkeys(piece.axes) if a is not None]
        sizes = [next(d for d, b in zip(piece.inner, piece.axes, strict=True) if b == a) for a in distinct]
        code, shape = self._product(piece, operands, [codes[a] for a in operands])
        if piece.scale is not None:
            code = self._scaled(codes[v.args[piece.scale]], code)
        if piece.turned:
            code = self._lifted(code, shape, len(piece.turned), False)
            shape = (dim(1),) * (len(piece.turned) - len(shape)) + tuple(shape)
            axes = [piece.turned.index(a) for a in distinct]
            code, shape = self.permuted(code, axes), tuple([shape[k] for k in axes])
        whole = piece.axes == tuple(distinct)
        if not whole and piece.axes == (0, 0) and not shape:
            eye = self.word("eye", size=self.size(sizes[0]).text)
            one = code.text == "1"
            code = eye if one else Code(f"{code.at(UNARY)} * {eye.text}", TERM)
        elif not whole and piece.axes == (0, 0) and shape == tuple(sizes):
            code = self.word("diag", [code])
        elif not whole:
            code = self._lifted(code, shape, len(distinct), is_number(operands[0]) and len(operands) == 1)
            letters = {a: _LETTERS[k] for k, a in enumerate(distinct)}
            spelled = '"' + "".join("." if a is None else letters[a] for a in piece.axes) + '"'
            slots = {"letters": spelled, "shape": tuple(piece.inner)}
            listed = f"({places[0].text},)" if len(places) == 1 else f"({', '.join(p.text for p in places)})"
            code = (
                self.word("placed at", [code], places=listed, **slots)
                if places
                else self.word("placed", [code], **slots)
            )
        elif shape != piece.inner:
            code = self.repeated(code, tuple(piece.inner), len(operands) == 1 and is_number(operands[0]))
        now = tuple(piece.inner)
        if any(piece.windows):
            windowed = tuple([d if r is None else r[1] - r[0] for r, d in zip(piece.windows, piece.sizes, strict=True)])
            if now != windowed:
                code = self.shaped(code, windowed)
            starts = ", ".join("0" if r is None else self.size(r[0]).text for r in piece.windows)
            starts = f"({starts},)" if len(piece.windows) == 1 else f"({starts})"
            code = self.word("within", [code], starts=starts, shape=tuple(piece.sizes))
            now = tuple(piece.sizes)
        if now != tuple(piece.block):
            code = self.shaped(code, piece.block)
        if len(code.text) > self.width and not code.text.isidentifier():
            code = self._named(code, indent)
        return code

    def repeated(self, code: Code, shape: ArrayShape, number: bool) -> Code:
        if number:
            known = {"0": "zeros", "1": "ones"}.get(code.text, "full")
            return self.word(known, [code], shape=shape)
        return self.broadcast(code, shape)

    def _lifted(self, code: Code, shape: ArrayShape, rank: int, number: bool) -> Code:
        """The array with axes of one entry in front, so that there are as many as ``rank``."""
        if len(shape) == rank and not (number and not rank):
            return code
        if number:
            return self.word("full" if code.text != "1" else "ones", [code], shape=self.shape((dim(1),) * rank))
        if not shape:
            return self.shaped(code, (dim(1),) * rank)
        marks = ["None"] * (rank - len(shape)) + [":"] * len(shape)
        return Code(f"{code.at(ATOM)}[{', '.join(marks)}]", ATOM)

    def _product(self, piece: Piece, operands: Sequence[Value], codes: Sequence[Code]) -> tuple[Code, ArrayShape]:
        """The operands multiplied, and the shape of that: axes of one entry are to be repeated."""
        if len(operands) == 1:
            return codes[0], operands[0].shape
        (a, b), (x, y) = codes, (operands[0].shape, operands[1].shape)
        if piece.how == "matmul":
            return Code(f"{a.at(TERM)} @ {b.at(UNARY)}", TERM), (*_met(x[:-2], y[:-2]), x[-2], y[-1])
        if piece.how == "outer":
            left = f"{a.at(ATOM)}[{':, ' * len(x)}None]"
            right = f"{b.at(ATOM)}[{':, ' * (len(y) - 1)}None, :]"
            return Code(f"{left} * {right}", TERM), (*_met(x[:-1], y[:-1]), x[-1], y[-1])
        return Code(f"{a.at(TERM)} * {b.at(UNARY)}", TERM), _met(x, y)

    def _within(self, code: Code, ranges: Sequence[tuple[Dim, Dim] | None], shape: ArrayShape) -> Code:
        starts = ", ".join("0" if r is None else self.size(r[0]).text for r in ranges)
        starts = f"({starts},)" if len(ranges) == 1 else f"({starts})"
        return self.word("within", [code], starts=starts, shape=shape)

    def _beside(self, blocks: Mapping[Any, tuple[Code, ArrayShape]], shape: ArrayShape, indent: str) -> Code | None:
        """Blocks that lie in a grid put side by side; None where they do not."""
        if list(blocks) == [()]:
            return blocks[()][0]
        if () in blocks:
            return None
        lines = [_in_a_row([ranges[axis] for ranges in blocks]) for axis in range(len(shape))]
        divided = [axis for axis, line in enumerate(lines) if line is None or len(line) > 1]
        if any(line is None for line in lines) or len(divided) > 2 or not divided:
            return None
        first, last = divided[0], divided[-1]
        rows: list[Code] = []
        for r in lines[first] or ():
            row: list[Code] = []
            for c in (lines[last] or ()) if first != last else (r,):
                place = tuple([r if axis == first else c if axis == last else None for axis in range(len(shape))])
                if place in blocks:
                    row.append(blocks[place][0])
                else:
                    sizes = [d if w is None else _length(w, d) for w, d in zip(place, shape, strict=True)]
                    row.append(Code(self.zeros(tuple(sizes)), ATOM))
            rows.append(self._joined(row, last, indent) if first != last else row[0])
        return self._joined(rows, first, indent)

    def _joined(self, parts: Sequence[Code], axis: int, indent: str) -> Code:
        if len(parts) == 1:
            return parts[0]
        while sum(len(p.text) + 2 for p in parts) > self.width:
            longest = max(range(len(parts)), key=lambda k: len(parts[k].text))
            if len(parts[longest].text) < 12:
                break
            named = self._named(parts[longest], indent)
            parts = [*parts[:longest], named, *parts[longest + 1 :]]
        return self.word("concat", arrays=f"({', '.join(p.text for p in parts)})", axis=axis)


def _length(limits: tuple[Dim, Dim], size: Dim) -> Dim:
    start, stop = limits
    return (size if stop.value == 0 else stop) - start


def _in_a_row(ranges: Sequence[tuple[Dim, Dim] | None]) -> list[tuple[Dim, Dim] | None] | None:
    """Ranges of an axis in the order in which each begins where another ends, over the whole axis."""
    distinct = list(dict.fromkeys(ranges))
    if distinct == [None]:
        return [None]
    found: list[tuple[Dim, Dim] | None] = []
    start = dim(0)
    while len(found) < len(distinct):
        following = [r for r in distinct if r is not None and r[0] is start]
        if len(following) != 1:
            return None
        found.append(following[0])
        start = following[0][1]
        if start.value == 0:
            break
    return found if len(found) == len(distinct) and start.value == 0 else None


def _met(a: ArrayShape, b: ArrayShape) -> ArrayShape:
    """The shape of an elementwise product."""
    rank = max(len(a), len(b))
    one = dim(1)
    a, b = ((one,) * (rank - len(s)) + tuple(s) for s in (a, b))
    return tuple([y if x is one else x for x, y in zip(a, b, strict=True)])


__all__ = ["ArrayWriter"]
