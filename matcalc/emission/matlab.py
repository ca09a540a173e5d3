"""A MATLAB function for the value or a derivative of a formula, which runs in Octave, too.

Vectors are columns; what MATLAB has no word for is a local function after the main one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from matcalc.dims import ONE, Dim
from matcalc.emission import reserved
from matcalc.emission.columns import FUNCTIONS, ColumnWriter
from matcalc.emission.columns_base import Args, opposite_of
from matcalc.emission.columns_source import WIDTH, ColumnFunction, column_function
from matcalc.emission.headers import folded
from matcalc.emission.matlab_functions import HELPERS
from matcalc.emission.places import column_major, place_of
from matcalc.lowering.assembling import Piece
from matcalc.lowering.code import ATOM, POWER, SUM, TERM, Code, dim_code
from matcalc.lowering.plan import ArrayShape, Value

if TYPE_CHECKING:
    from matcalc.lowering.planned import Planned


def matlab_source(planned: Planned, remarks: Sequence[str] = ()) -> str:
    """The text of the file."""
    f = column_function(planned, MatlabWriter, reserved.MATLAB)
    outputs = f.labels[0] if len(f.labels) == 1 else f"[{', '.join(f.labels)}]"
    out = folded([f"function {outputs} = {f.name}({', '.join(f.parameters)})"], WIDTH, " ...")
    out += [f"    % {line}".rstrip() for line in f.comment(remarks)]
    return (
        "\n".join([*out, *f.sizes(), *_checks(f), *folded(f.writer.lines, WIDTH, " ..."), "end", *f.helpers()]) + "\n"
    )


def _checks(f: ColumnFunction) -> list[str]:
    """The statements that check shapes."""
    out, known = [], f.writer.sizes
    for k, a in enumerate(f.taken):
        if k in f.whole:
            continue
        if not a.shape:
            out.append(f"    assert(isscalar({a.code}), '{a.code} must be a number');")
            continue
        sizes = [*a.shape, *[ONE] * (2 - len(a.shape))]
        if not all(d.names <= known.keys() for d in sizes):
            continue
        wanted = ", ".join(dim_code(d, known).text for d in sizes)
        shown = " x ".join(str(d) for d in sizes)
        out.append(f"    assert(isequal(size({a.code}), [{wanted}]), '{a.code} must be {shown}');")
    return out


class MatlabWriter(ColumnWriter):
    """Statements of MATLAB."""

    language = "MATLAB"
    ending = ";"
    functions_of_entries = {**FUNCTIONS, "step": "step_function"}
    helpers_known = HELPERS
    vector = "a column"
    function_kind = ": a function handle"
    convention = "Vectors are columns, arguments real; vec stacks columns, as x(:) does."
    trace, repeat = "trace", "repmat"

    def call(self, name: str, shape: ArrayShape, *args: Code) -> Code:
        return Code(f"{name}({', '.join(a.text for a in args)})", ATOM)

    def times(self, left: bool, right: bool) -> str:
        return ".*" if left and right else "*"

    def over(self, left: bool, right: bool) -> str:
        return "./" if right else "/"

    def plus(self, sign: str, arrays: bool) -> str:
        return sign

    def divided(self, size: Code, factor: int) -> str:
        return f"{size.at(TERM)} / {factor}"

    def power(self, base: Code, exponent: Code, v: Value) -> Code:
        return Code(f"{base.at(ATOM)}{'.^' if v.shape else '^'}{exponent.at(ATOM)}", POWER)

    def filled(self, shape: ArrayShape, entry: str) -> Code:
        sizes = ", ".join(self.size(d).text for d in (*shape, ONE)[: max(2, len(shape))])
        if entry in ("0", "1"):
            return Code(f"{'ones' if entry == '1' else 'zeros'}({sizes})", ATOM)
        bracketed = entry if re.fullmatch(r"[\w.]+", entry) else f"({entry})"
        return Code(f"{bracketed} * ones({sizes})", TERM)

    def reshaped(self, x: Code, sizes: Sequence[Dim]) -> Code:
        sizes = [*sizes, *[ONE] * (2 - len(sizes))]
        return Code(f"reshape({x.text}, {', '.join(self.size(d).text for d in sizes)})", ATOM)

    def permuted(self, x: Code, order: Sequence[int]) -> Code:
        return Code(f"permute({x.text}, [{', '.join(str(k + 1) for k in order)}])", ATOM)

    def indexed(self, x: str, places: Sequence[str], kept: Sequence[bool], shape: ArrayShape) -> Code:
        text = f"{x}({', '.join(places)})"
        if len(kept) == 2 and kept == [False, True]:
            return Code(f"{text}'", ATOM)
        if len(kept) > 2 and not all(kept):
            return self.reshaped(Code(text, ATOM), shape)
        return Code(text, ATOM)

    def unpacked(self, names: Sequence[str]) -> str:
        return f"[{', '.join(names)}]"

    def run(self, first: Code, step: Code, last: Code) -> str:
        return f"({first.at(TERM)}:{step.at(TERM)}:{last.at(TERM)})'"

    def joined(self, args: Args, axis: int) -> Code:
        return Code(f"[{('; ' if axis == 0 else ', ').join(a.text for a in args)}]", ATOM)

    def stacked(self, args: Args, axis: int) -> Code:
        return Code(f"cat({axis + 1}, {', '.join(a.text for a in args)})", ATOM)

    def summed(self, x: Code, a: Value, axes: Sequence[int], shape: ArrayShape) -> Code:
        if len(axes) == a.rank:
            return Code(f"sum({x.text})" if a.rank == 1 else f"{self.use('total')}({x.text})", ATOM)
        text = x.text
        for axis in axes:
            text = f"sum({text}, {axis + 1})"
        found = Code(text, ATOM)
        if a.rank == 2:
            return self.turned(found) if axes[0] == 0 else found
        return self.reshaped(found, shape)

    def only(self, x: Code) -> Code:
        return Code(f"reshape({x.text}, 1, 1)", ATOM)

    def op_inner(self, v: Value, args: Args) -> Code:
        a, b = args
        if v.args[0].rank == 1:
            return Code(f"{self.turned(a).text} * {b.at(ATOM)}", TERM)
        return Code(f"{self.use('total')}({a.at(TERM)} .* {b.at(ATOM)})", ATOM)

    def op_newaxis(self, v: Value, args: Args) -> Code:
        return self.turned(args[0]) if v.attrs[0] == 0 else args[0]

    def op_norm(self, v: Value, args: Args) -> Code:
        return Code(f"norm({args[0].text})" if v.args[0].rank == 1 else f"norm({args[0].text}, 'fro')", ATOM)

    def op_logdet(self, v: Value, args: Args) -> Code:
        if v.attrs and v.attrs[0]:
            return Code(f"2 * sum(log(diag(chol({args[0].text}))))", TERM)
        return Code(f"{self.use('log_abs_det')}({args[0].text})", ATOM)

    def op_diag(self, v: Value, args: Args) -> Code:
        # Octave has diagonal matrices of their own, which do not spread over rows and columns; hence full.
        (x,) = args
        return Code(f"full({f'diag({x.text})' if v.args[0].shape else self._multiple_of_identity(x, v)})", ATOM)

    def op_kron(self, v: Value, args: Args) -> Code:
        eyes = [self._multiple_of_identity(Code("1", ATOM), a) if _is_identity(a) else "" for a in v.args]
        return Code(f"kron({', '.join(eye or x.text for eye, x in zip(eyes, args, strict=True))})", ATOM)

    def _multiple_of_identity(self, x: Code, v: Value) -> str:
        eye = f"eye({self.size(v.shape[0]).text})"
        return {"1": eye, "-1": f"-{eye}"}.get(x.text) or f"{x.at(TERM)} * {eye}"

    def op_add_diagonal(self, v: Value, args: Args) -> Code:
        a, entries = args
        added = f"diag({entries.text})" if v.args[1].shape else self._multiple_of_identity(entries, v)
        if added.startswith("-"):
            return Code(f"{a.at(SUM)} - {added[1:]}", SUM)
        opposite = opposite_of(a)
        return Code(f"{a.at(SUM)} + {added}" if opposite is None else f"{added} - {opposite.at(TERM)}", SUM)

    def op_flip(self, v: Value, args: Args) -> Code:
        return Code(f"rot90({args[0].text}, 2)", ATOM)  # of both axes; of a column, upside down

    def quoted(self, text: str) -> str:
        return f"'{text}'"

    def along(self, name: str, v: Value, args: Args) -> Code:
        self.use(name)
        axis = self.axis_of(v)
        if axis is None:
            return Code(f"{name}({args[0].text})", ATOM)
        found = Code(f"{name}({args[0].text}, {axis + 1})", ATOM)
        reduced = name in ("maximum", "logsumexp") and axis == 0
        return self.turned(found) if reduced else found

    def counting(self, counter: str, over: str) -> str:
        return f"for {counter} = {over}"

    def slice_put(self, v: Value, name: str, counter: str, body: Code) -> str:
        return f"{name}({counter}, :) = reshape({body.text}, 1, {self.size(_volume(v.shape[1:])).text});"

    def put(self, v: Value, piece: Piece, codes: Mapping[Value, Code], name: str, indent: str, adding: bool) -> None:
        if piece.how == "mirror":
            self.lines.append(indent + self.mirrored(v, piece, name))
            return
        adds = piece.adds or int(adding)
        value, full = self._piece_value(piece, v, codes)
        place = place_of(piece, v.shape, column_major(v.shape))
        if piece.scale is not None:
            value = self.scaled(v.args[piece.scale], codes, value)
        block = self.block(v, piece)
        if block and (adds or full):
            sum_ = f"{name}({block}) {'+' if adds > 0 else '-'} {value.at(TERM)}"
            self.lines.append(f"{indent}{name}({block}) = {sum_ if adds else value.text};")
            return
        where = self.view(place, v.args, codes)
        single = bool(place.sizes) and not full and not any(v.args[k].shape for k in piece.operands)
        if not adds and (full or single):
            self.lines.append(f"{indent}{name}({where}) = {value.text};")
            return
        at = self.names.take("at")
        self.lines.append(f"{indent}{at} = {where};")
        if adds:
            self.lines.append(f"{indent}{name}({at}) = {name}({at}) {'+' if adds > 0 else '-'} {value.at(TERM)};")
        else:
            self.lines.append(f"{indent}{name}({at}) = {value.at(SUM)} + zeros(size({at}));")


def _is_identity(v: Value) -> bool:
    return v.op == "diag" and v.args[0].op == "const" and v.args[0].attrs[0] == 1


def _volume(shape: Sequence[Dim]) -> Dim:
    total = ONE
    for d in shape:
        total = total * d
    return total


__all__ = ["matlab_source"]
