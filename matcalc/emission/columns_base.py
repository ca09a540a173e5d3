"""What MATLAB and Julia have in common: arrays that lie column by column and are counted from 1.

Values of a plan are read by rows and broadcast from their last axis on, as NumPy does; here they are spelled in
languages that do both the other way round.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from matcalc.dims import ONE, Dim
from matcalc.emission.identifiers import Identifiers
from matcalc.expr import Expr
from matcalc.lowering.assembling import Piece
from matcalc.lowering.code import ATOM, SUM, TERM, UNARY, Code
from matcalc.lowering.numpy_source import Writer
from matcalc.lowering.plan import ArrayShape, Value

Args: TypeAlias = Sequence[Code]

_LEAVES = frozenset({"arg", "const", "pi", "size"})


class Columns(Writer, ABC):
    """What the languages spell differently, and how operands are brought into the right form."""

    names: Identifiers
    ending = ""  # of a statement
    checks = "position"  # the function that checks an index
    reuses = False  # memory of what is no longer needed
    language: str
    helpers_known: Mapping[str, tuple[tuple[str, ...], str]]  # what the language lacks: what each needs, and its text
    opening, closing = "(", ")"  # of indices

    def __init__(self, names: Identifiers, preferred: Mapping[Value, str]) -> None:
        super().__init__(names, preferred)
        self.helpers: set[str] = set()
        self._arguments: dict[Value, str] = {}

    def use(self, name: str) -> str:
        """The name of a function; one that the language lacks is defined in the source."""
        if name in self.helpers_known:
            self.helpers.add(name)
        return name

    def bind(self, v: Value, name: str) -> None:
        super().bind(v, name)
        self._arguments[v] = name

    def returned(self, results: Sequence[tuple[str, Expr, Value]], codes: Sequence[Code]) -> list[str]:
        """The variables of the results, after statements for those that have none of their own."""
        used: list[str] = []
        given = set(self._arguments.values())
        for (label, e, v), code in zip(results, codes, strict=True):
            value = self.as_row(code) if e.is_row and v.rank == 1 else code
            if not v.shape and v.weak:
                value = self.as_number(value)
            if value.text.isidentifier() and value.text not in given and value.text not in used and v.op not in _LEAVES:
                used.append(value.text)
                continue
            name = self.names.take(label)
            self.lines.append("    " + self.assignment(name, self.as_result(value, v).text))
            used.append(name)
        return used

    def as_row(self, x: Code) -> Code:
        """A vector as a matrix of one row."""
        return self.turned(x)

    def as_number(self, x: Code) -> Code:
        return x

    def as_result(self, x: Code, v: Value) -> Code:
        """What is given back, sharing no memory with an argument."""
        return x

    @abstractmethod
    def call(self, name: str, shape: ArrayShape, *args: Code) -> Code:
        """A function applied to each entry."""

    @abstractmethod
    def times(self, left: bool, right: bool) -> str:
        """The sign of an elementwise product, of arrays or of numbers."""

    @abstractmethod
    def over(self, left: bool, right: bool) -> str:
        """The sign of an elementwise quotient."""

    @abstractmethod
    def plus(self, sign: str, arrays: bool) -> str:
        """The sign of an elementwise sum or difference."""

    @abstractmethod
    def power(self, base: Code, exponent: Code, v: Value) -> Code: ...

    @abstractmethod
    def filled(self, shape: ArrayShape, entry: str) -> Code:
        """An array of equal entries."""

    @abstractmethod
    def reshaped(self, x: Code, sizes: Sequence[Dim]) -> Code:
        """The entries by columns in another shape."""

    @abstractmethod
    def permuted(self, x: Code, order: Sequence[int]) -> Code:
        """The axes, counted from 0, in another order."""

    @abstractmethod
    def indexed(self, x: str, places: Sequence[str], kept: Sequence[bool], shape: ArrayShape) -> Code:
        """A part of an array; ``kept`` says which axes stay."""

    @abstractmethod
    def joined(self, args: Args, axis: int) -> Code:
        """Arrays one behind the other."""

    @abstractmethod
    def stacked(self, args: Args, axis: int) -> Code:
        """Arrays, already of the full rank, along one axis."""

    @abstractmethod
    def summed(self, x: Code, a: Value, axes: Sequence[int], shape: ArrayShape) -> Code:
        """The sum over axes."""

    def gathered(self, x: str, places: str) -> Code:
        """Entries by linear indices."""
        return Code(f"{x}{self.opening}{places}{self.closing}", ATOM)

    @abstractmethod
    def unpacked(self, names: Sequence[str]) -> str:
        """Variables that several values are assigned to."""

    @abstractmethod
    def run(self, first: Code, step: Code, last: Code) -> str:
        """Linear indices as far apart as one step."""

    def zeros(self, shape: ArrayShape) -> str:
        return self.filled(shape, "0").text

    @abstractmethod
    def only(self, x: Code) -> Code:
        """The one entry of an array."""

    @abstractmethod
    def counting(self, counter: str, over: str) -> str:
        """The first line of a loop."""

    @abstractmethod
    def slice_put(self, v: Value, name: str, counter: str, body: Code) -> str:
        """The statement that puts a value where its index belongs, on the first axis."""

    @abstractmethod
    def put(self, v: Value, piece: Piece, codes: Mapping[Value, Code], name: str, indent: str, adding: bool) -> None:
        """Writes one piece into its view of the array."""

    @abstractmethod
    def quoted(self, text: str) -> str: ...

    @abstractmethod
    def along(self, name: str, v: Value, args: Args) -> Code:
        """Softmax and the like, over all entries or along an axis."""

    def assignment(self, name: str, text: str) -> str:
        return f"{name} = {text}{self.ending}"

    def _assign(self, v: Value, code: Code, indent: str) -> Code:
        if v.op == "position" and code.text.isidentifier():  # an index that is as it is
            return code
        return super()._assign(v, code, indent)

    def _constant(self, code: Code) -> Code:
        return code  # no statements outside the function

    def aligned(self, a: Value, code: Code, rank: int) -> Code:
        """An operand with axes of one entry in front, so that it meets the last axes of an array of that rank."""
        if a.rank in (0, rank):
            return code
        if a.rank == 1 and rank == 2:
            return self.turned(code)
        return self.reshaped(code, [ONE] * (rank - a.rank) + list(a.shape))

    def turned(self, x: Code) -> Code:
        if x.level == ATOM and x.text.endswith("'"):
            return Code(x.text[:-1], ATOM)
        return Code(f"{x.at(ATOM)}'", ATOM)

    def reversed(self, x: Code, rank: int) -> Code:
        if rank < 2:
            return x
        return self.turned(x) if rank == 2 else self.permuted(x, range(rank)[::-1])

    def product(self, factors: Sequence[tuple[Code, bool]]) -> Code:
        (first, arrays), *rest = factors
        if not rest:
            return first
        text = first.at(TERM)
        for code, array in rest:
            text += f" {self.times(arrays, array)} {code.at(UNARY)}"
            arrays = arrays or array
        return Code(text, TERM)

    def batched(self, shape: ArrayShape, a: Value, left: Code, b: Value, right: Code) -> Code:
        """Products of the matrices of the last two axes."""
        if len(shape) == 2:
            return Code(f"{left.at(TERM)} * {right.at(UNARY)}", TERM)
        left, right = (self.aligned(v, code, len(shape)) for v, code in ((a, left), (b, right)))
        inside = a.shape[-1]
        batch = self.sizes_of(shape[:-2])
        rest = ", ".join(self.size(d).text for d in (shape[-2], inside, shape[-1]))
        return Code(f"{self.use('products')}({left.text}, {right.text}, {batch}, {rest})", ATOM)

    def sizes_of(self, shape: Sequence[Dim]) -> str:
        return f"[{', '.join(self.size(d).text for d in shape)}]"

    def checked(self, v: Value, code: Code, size: Dim) -> Code:
        """A position, where one outside would make an array grow."""
        at = self.place(v, code)
        if v.op != "const" or (size.value is not None and v.attrs[0] < size.value):
            return at
        return Code(f"{self.use(self.checks)}({at.text}, {self.size(size).text})", ATOM)

    def place(self, v: Value, code: Code) -> Code:
        """A position, counted from 1; constants of the plan count from 0."""
        return code if v.op == "position" else one_more(code)


def number(value: Any) -> Code:
    """A number in decimal notation, fractions as quotients."""
    from matcalc.lowering.code import number_code

    code = number_code(value)
    if code.text.lstrip("-").startswith("float("):
        sign = "-" if code.text.startswith("-") else ""
        return Code(sign + ("NaN" if "nan" in code.text else "Inf"), UNARY if sign else ATOM)
    return code


def opposite_of(code: Code) -> Code | None:
    """What is negated, of a product or a number with a minus in front."""
    return Code(code.text[1:], code.level) if code.text.startswith("-") and code.level > SUM else None


def one_more(code: Code) -> Code:
    if code.text.isdigit():
        return Code(str(int(code.text) + 1), ATOM)
    if code.text.endswith(" - 1") and code.level == SUM:
        return Code(code.text[:-4], SUM if " " in code.text[:-4] else ATOM)
    return Code(f"{code.at(SUM)} + 1", SUM)


def one_less(code: Code) -> Code:
    if code.text.isdigit():
        return Code(str(int(code.text) - 1), ATOM)
    return Code(f"{code.at(SUM)} - 1", SUM)


__all__ = ["Args", "Columns", "number", "one_less", "one_more", "opposite_of"]
