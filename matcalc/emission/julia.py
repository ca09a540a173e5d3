"""A Julia function for the value or a derivative of a formula, with LinearAlgebra only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from matcalc.dims import Dim
from matcalc.emission import reserved
from matcalc.emission.columns import FUNCTIONS, ColumnWriter
from matcalc.emission.columns_base import Args, opposite_of
from matcalc.emission.columns_calls import CALLS
from matcalc.emission.columns_source import WIDTH, ColumnFunction, column_function
from matcalc.emission.headers import folded, listed
from matcalc.emission.identifiers import Identifiers
from matcalc.emission.julia_functions import HELPERS
from matcalc.emission.places import column_major, place_of
from matcalc.lowering.assembling import Piece
from matcalc.lowering.code import ATOM, POWER, SUM, TERM, Code, dim_code
from matcalc.lowering.plan import VIEWS, ArrayShape, Value

if TYPE_CHECKING:
    from matcalc.lowering.planned import Planned

_ALONG = {"argmax": "argmax_shares"}


def julia_source(planned: Planned, remarks: Sequence[str] = ()) -> str:
    """The text of the file."""
    f = column_function(planned, JuliaWriter, reserved.JULIA)
    comment = [f"    {f.name}({', '.join(f.parameters)})", "", *f.comment(remarks)]
    out = ["using LinearAlgebra", "", '"""', *map(_quoted, comment), '"""']
    out += [
        *listed(f"function {f.name}(", f.parameters, ")", WIDTH),
        *f.sizes(),
        *_checks(f),
        *folded(f.writer.lines, WIDTH),
    ]
    return "\n".join([*out, f"    return {', '.join(f.labels)}", "end", *f.helpers()]) + "\n"


def _quoted(line: str) -> str:
    """Text that stays what it is in a string of Julia."""
    return line.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")


def _checks(f: ColumnFunction) -> list[str]:
    """The statements that check shapes."""
    out, sizes = [], f.writer.sizes
    for k, a in enumerate(f.taken):
        if k in f.whole or not a.shape or not all(d.names <= sizes.keys() for d in a.shape):
            continue
        wanted = ", ".join(dim_code(d, sizes).text for d in a.shape) + ("," if len(a.shape) == 1 else "")
        shown = " x ".join(str(d) for d in a.shape)
        what = f"{a.code} must be {shown}" if len(a.shape) == 2 else f"{a.code} must have {shown} entries"
        out.append(f'    size({a.code}) == ({wanted}) || throw(DimensionMismatch("{what}"))')
    return out


class JuliaWriter(ColumnWriter):
    """Statements of Julia."""

    language = "Julia"
    checks = "checked_index"
    functions_of_entries = {**FUNCTIONS, "step": "unit_step"}
    helpers_known = HELPERS
    calls = {**CALLS, "rt.expm": "exp"}
    several_results = "Results, as a tuple"
    convention = "Arguments are real; vec stacks columns, as Julia does."
    trace, repeat = "tr", "repeat"
    opening, closing = "[", "]"

    def call(self, name: str, shape: ArrayShape, *args: Code) -> Code:
        return Code(f"{name}{'.' if shape else ''}({', '.join(a.text for a in args)})", ATOM)

    def times(self, left: bool, right: bool) -> str:
        return ".*" if left or right else "*"

    def over(self, left: bool, right: bool) -> str:
        return "./" if left or right else "/"

    def plus(self, sign: str, arrays: bool) -> str:
        return f".{sign}" if arrays else sign

    def divided(self, size: Code, factor: int) -> str:
        return f"div({size.text}, {factor})"

    def __init__(self, names: Identifiers, preferred: Mapping[Value, str]) -> None:
        super().__init__(names, preferred)
        self._columns: dict[str, Code] = {}  # vectors as matrices of one column -> the vectors

    def op_newaxis(self, v: Value, args: Args) -> Code:
        code = super().op_newaxis(v, args)
        if v.attrs[0] == 1:
            self._columns[code.text] = args[0]
        return code

    def aligned(self, a: Value, code: Code, rank: int) -> Code:
        if rank == 2 and code.text in self._columns:  # a vector spreads as a column by itself
            return self._columns[code.text]
        return super().aligned(a, code, rank)

    def power(self, base: Code, exponent: Code, v: Value) -> Code:
        if v.shape:
            return Code(f"{base.at(ATOM)} .^ {exponent.at(ATOM)}", POWER)
        if v.args[0].weak:
            return Code(f"float({base.text})^{exponent.at(ATOM)}", POWER)
        return Code(f"{base.at(ATOM)}^{exponent.at(ATOM)}", POWER)

    def filled(self, shape: ArrayShape, entry: str) -> Code:
        sizes = ", ".join(self.size(d).text for d in shape)
        if entry in ("0", "1"):
            return Code(f"{'ones' if entry == '1' else 'zeros'}({sizes})", ATOM)
        return Code(f"fill({f'{entry}.0' if entry.isdigit() else f'float({entry})'}, {sizes})", ATOM)

    def op_vec(self, v: Value, args: Args) -> Code:
        return Code(f"vec({args[0].text})", ATOM)

    def reshaped(self, x: Code, sizes: Sequence[Dim]) -> Code:
        return Code(f"reshape({x.text}, {', '.join(self.size(d).text for d in sizes)})", ATOM)

    def permuted(self, x: Code, order: Sequence[int]) -> Code:
        return Code(f"permutedims({x.text}, ({', '.join(str(k + 1) for k in order)}))", ATOM)

    def indexed(self, x: str, places: Sequence[str], kept: Sequence[bool], shape: ArrayShape) -> Code:
        return Code(f"{x}[{', '.join(places)}]", ATOM)

    def unpacked(self, names: Sequence[str]) -> str:
        return ", ".join(names)

    def run(self, first: Code, step: Code, last: Code) -> str:
        return f"{first.at(TERM)}:{step.at(TERM)}:{last.at(TERM)}"

    def joined(self, args: Args, axis: int) -> Code:
        return Code(f"{'vcat' if axis == 0 else 'hcat'}({', '.join(a.text for a in args)})", ATOM)

    def stacked(self, args: Args, axis: int) -> Code:
        return Code(f"cat({', '.join(a.text for a in args)}, dims={axis + 1})", ATOM)

    def summed(self, x: Code, a: Value, axes: Sequence[int], shape: ArrayShape) -> Code:
        if len(axes) == a.rank:
            return Code(f"sum({x.text})", ATOM)
        dims = f"({', '.join(str(k + 1) for k in axes)})" if len(axes) > 1 else str(axes[0] + 1)
        found = f"sum({x.text}, dims={dims})"
        return Code(f"vec({found})" if len(shape) == 1 else f"dropdims({found}, dims={dims})", ATOM)

    def only(self, x: Code) -> Code:
        return Code(f"only({x.text})", ATOM)

    def op_inner(self, v: Value, args: Args) -> Code:
        return Code(f"dot({args[0].text}, {args[1].text})", ATOM)

    def op_norm(self, v: Value, args: Args) -> Code:
        return Code(f"norm({args[0].text})", ATOM)

    def op_logdet(self, v: Value, args: Args) -> Code:
        if v.attrs and v.attrs[0]:
            return Code(f"logdet(cholesky(Symmetric({args[0].text})))", ATOM)
        return Code(f"logabsdet({args[0].text})[1]", ATOM)

    def op_diag(self, v: Value, args: Args) -> Code:
        (x,) = args
        if v.args[0].shape:
            return Code(f"Matrix(Diagonal({x.text}))", ATOM)
        n = self.size(v.shape[0]).text
        eye = f"Matrix(1.0I, {n}, {n})"
        return Code(eye, ATOM) if x.text == "1" else Code(f"{x.at(TERM)} * {eye}", TERM)

    def op_add_diagonal(self, v: Value, args: Args) -> Code:
        a, entries = args
        added = f"Diagonal({entries.text})"
        if not v.args[1].shape:
            added = {"1": "I", "-1": "-I"}.get(entries.text) or f"{entries.at(TERM)} * I"
        if added.startswith("-"):
            return Code(f"{a.at(SUM)} - {added[1:]}", SUM)
        opposite = opposite_of(a)
        return Code(f"{a.at(SUM)} + {added}" if opposite is None else f"{added} - {opposite.at(TERM)}", SUM)

    def op_flip(self, v: Value, args: Args) -> Code:
        return Code(f"reverse({args[0].text})", ATOM)

    def op_whole(self, v: Value, args: Args) -> Code:
        return Code(f"Int({args[0].text})", ATOM)

    def quoted(self, text: str) -> str:
        return f'"{text}"'

    def along(self, name: str, v: Value, args: Args) -> Code:
        axis = self.axis_of(v)
        if name == "maximum":
            return Code(
                f"maximum({args[0].text})" if axis is None else f"vec(maximum({args[0].text}, dims={axis + 1}))", ATOM
            )
        name = self.use(_ALONG.get(name, name))
        if axis is None:
            return Code(f"{name}({args[0].text})", ATOM)
        text = f"{name}({args[0].text}, {axis + 1})"
        return Code(f"vec({text})" if name == "logsumexp" else text, ATOM)

    def counting(self, counter: str, over: str) -> str:
        return f"for {counter} in {over}"

    def slice_put(self, v: Value, name: str, counter: str, body: Code) -> str:
        return f"selectdim({name}, 1, {counter}) .= {body.text}"

    # What is given back shares no memory with an argument, and is an array, no view.

    def as_row(self, x: Code) -> Code:
        return Code(f"collect({self.turned(x).text})", ATOM)

    def as_number(self, x: Code) -> Code:
        return Code(f"float({x.text})", ATOM)

    def as_result(self, x: Code, v: Value) -> Code:
        if v.shape and (v.op in _SHARED or x.text.isidentifier()) and not x.text.startswith("collect("):
            return Code(f"copy({x.text})", ATOM)
        return x

    def begun(self, value: Code, piece: Piece, v: Value) -> Code:
        (first, *others) = [v.args[k] for k in piece.operands]
        if not others and (first.op in _SHARED or value.text.isidentifier()):
            return Code(f"copy({value.text})", ATOM)
        return value

    def put(self, v: Value, piece: Piece, codes: Mapping[Value, Code], name: str, indent: str, adding: bool) -> None:
        if piece.how == "mirror":
            self.lines.append(indent + self.mirrored(v, piece, name))
            return
        adds = piece.adds or int(adding)
        value, _ = self._piece_value(piece, v, codes)
        place = place_of(piece, v.shape, column_major(v.shape))
        if piece.scale is not None:
            value = self.scaled(v.args[piece.scale], codes, value)
        where = self.block(v, piece) or self.view(place, v.args, codes)
        sign = ("." if place.sizes else "") + ("+" if adds > 0 else "-" if adds else "") + "="
        self.lines.append(f"{indent}{name}[{where}] {sign} {value.text}")


_SHARED = VIEWS | {"arg", "map", "unknown", "vec", "unvec"}


__all__ = ["julia_source"]
