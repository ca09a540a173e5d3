"""The statements that put pieces into the array of a result (dense.py)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from matcalc.dims import ONE, Dim
from matcalc.lowering.code import ATOM, SUM, TERM, UNARY, Code
from matcalc.lowering.plan import VIEWS, ArrayShape, Value

if TYPE_CHECKING:
    from matcalc.lowering.numpy_source import Writer

_LETTERS = "ijklmnpqrstuvwxyzabcdefgh"

# Operations whose result is an array that nothing else holds.
_BY_ROWS = ("dot", "outer", "matmul")  # give arrays that lie row by row
_SHARED = VIEWS | {"arg", "diag", "unit", "dense", "const", "size", "index"}


class Piece(NamedTuple):
    """One statement: what is put into, or added to, a view of the result.

    ``ranges``    of the block in the array, for each axis, None for all; () is the whole array, (k, 0) all from k
    ``block``     the shape of the block
    ``sizes``     of the axes into which the block is divided
    ``windows``   the range of each of them, None for all
    ``inner``     the sizes of the axes into which the windows are divided
    ``axes``      which of the distinct axes each of these is; None where it is fixed
    ``fixed``     the positions on the fixed ones, as places among the arguments of the value
    ``operands``  what is put there: one, or two whose product it is
    ``adds``      whether it is added, -1 subtracted; 0 is put where nothing has been put
    ``scale``     the number by which it is multiplied when it is there, as a place among the arguments
    ``how``       two operands are multiplied entry by entry, or as batches of matrices or of vectors (outer)
    ``source``    of no operands ("mirror"): the ranges of the block whose transpose it is
    ``turned``    the order of the distinct axes in which they are batches
    """

    ranges: tuple[tuple[Dim, Dim] | None, ...]
    block: ArrayShape
    sizes: ArrayShape
    windows: tuple[tuple[Dim, Dim] | None, ...]
    inner: ArrayShape
    axes: tuple[int | None, ...]
    fixed: tuple[int, ...]
    operands: tuple[int, ...]
    adds: int
    scale: int | None = None
    how: str = "multiply"
    turned: tuple[int, ...] = ()
    source: tuple[tuple[Dim, Dim] | None, ...] = ()


def assembled(w: Writer, v: Value, codes: dict[Value, Code], name: str, indent: str) -> None:
    """Writes the array ``name``: made empty, or zero where pieces leave gaps, or begun as the first of them."""
    pieces, filled = v.attrs
    name_shared(w, v, codes, indent)
    begun = filled and _begun(w, v, codes, name, indent)
    if not begun:
        w.needs_dtype = True
        w.lines.append(f"{indent}{name} = np.{'empty' if filled else 'zeros'}({w.shape(v.shape)}, dtype)")
    for piece in pieces[begun:]:
        put(w, v, piece, codes, name, indent)


def name_shared(w: Writer, v: Value, codes: dict[Value, Code], indent: str) -> None:
    """Names for what several pieces use."""
    users = Counter([k for piece in v.attrs[0] for k in (*piece.operands, *piece.fixed)])
    for k, a in enumerate(v.args):
        if users[k] > 1 and not codes[a].text.isidentifier() and a.shape:
            codes[a] = w.assign(a, codes[a], indent)


def _begun(w: Writer, v: Value, codes: dict[Value, Code], name: str, indent: str) -> bool:
    """Whether the first piece is the array to begin with."""
    pieces: Sequence[Piece] = v.attrs[0]
    first = pieces[0]
    if first.ranges or len(first.operands) > 1:
        return False
    (k,) = first.operands
    a = v.args[k]
    if not a.shape:
        w.needs_dtype = True
        entry = codes[a].text
        if first.scale is not None:
            entry = f"{codes[a].at(TERM)} * {codes[v.args[first.scale]].at(UNARY)}"
        w.lines.append(f"{indent}{name} = np.full({w.shape(v.shape)}, {entry}, dtype)")
        return True
    base = a
    named = w.is_named(base)
    while base.op == "reshape":
        base = base.args[0]
        named = named or w.is_named(base)
    users = sum(at == k for p in pieces for at in p.operands)
    if a.shape != first.sizes or base.op in _SHARED or base.may_be_itself or users > 1:
        return False
    if named and not w.is_dead(base, v):
        return False
    text = codes[a].text if a.shape == v.shape else f"{codes[a].at(ATOM)}.reshape({w.shape(v.shape).strip('()')})"
    by_rows = base.op in _BY_ROWS or (base.op == "loop" and base.attrs[:1] == ("rows",))
    if not by_rows and any(_repeats_an_axis(p) for p in pieces[1:]):
        text = f"np.ascontiguousarray({text})"  # what is made of a transpose may lie column by column
    w.lines.append(f"{indent}{name} = {text}")
    if first.scale is not None:
        w.lines.append(f"{indent}{name} *= {codes[v.args[first.scale]].text}")
    return True


def put(
    w: Writer, v: Value, piece: Piece, codes: dict[Value, Code], name: str, indent: str, adding: bool = False
) -> None:
    """Writes one piece into its view; ``adding`` to what is there."""
    if piece.how == "mirror":
        here, there = (", ".join(_range(w, r) for r in ranges) for ranges in (piece.ranges, piece.source))
        turned = ".T" if len(piece.block) == 2 else ".swapaxes(-1, -2)"
        w.lines.append(f"{indent}{name}[{here}] = {name}[{there}]{turned}")
        return
    adds = piece.adds or int(adding)
    operands = [v.args[k] for k in piece.operands]
    places = [v.args[k] for k in piece.fixed]
    while True:
        view = _view(w, piece, [codes[a] for a in places], name)
        line = _statement(view, [codes[a] for a in operands], adds, piece.how)
        longest = max([*operands, *places], key=lambda a: len(codes[a].text))
        if len(line) + len(indent) <= w.width or len(codes[longest].text) < 12 or codes[longest].text.isidentifier():
            break
        codes[longest] = w.assign(longest, codes[longest], indent)
    w.lines.append(indent + line)
    if piece.scale is not None:
        w.lines.append(f"{indent}{_target(view, True)} *= {codes[v.args[piece.scale]].text}")


def _statement(view: str, operands: Sequence[Code], adds: int, how: str) -> str:
    call = ("rt" if how == "outer" else "np") + f".{how}({', '.join(a.text for a in operands)}"
    if len(operands) == 2 and not adds:
        return f"{call}, out={view})"
    if len(operands) == 1:
        value = operands[0].text
    elif how == "multiply":
        value = f"{operands[0].at(TERM)} * {operands[1].at(UNARY)}"
    else:
        value = f"{call})"
    return f"{_target(view, adds != 0)} {'+' if adds > 0 else '-' if adds else ''}= {value}"


def _target(view: str, changed: bool) -> str:
    """The view as the left side of an assignment, or of one that changes what is there."""
    return view if view.endswith("]") or (changed and view.isidentifier()) else f"{view}[...]"


def _repeats_an_axis(piece: Piece) -> bool:
    """Whether the view is made by steps through the entries row by row."""
    return len(set(piece.axes)) < len(piece.axes)


def _is_diagonal(piece: Piece) -> bool:
    """Whether the view is the diagonal of the whole, by steps through its entries row by row."""
    return piece.axes == (0, 0) and not piece.ranges and len(piece.block) == 2 and not any(piece.windows)


def _view(w: Writer, piece: Piece, places: Sequence[Code], name: str) -> str:
    """The part of the array that the piece reaches, with one axis for each distinct axis of the piece."""
    text = name
    if piece.ranges:
        text += f"[{', '.join(_range(w, r) for r in piece.ranges)}]"
    distinct = [a for a in dict.fromkeys(piece.axes) if a is not None]
    if _is_diagonal(piece):
        return f"{text}.reshape(-1)[:: {w.size(piece.block[1]).at(SUM)} + 1]"
    if piece.sizes != piece.block:
        text += f".reshape({', '.join(w.size(d).text for d in piece.sizes) or '()'})"
    if any(piece.windows):
        windowed = [volume if r is None else r[1] - r[0] for r, volume in zip(piece.windows, piece.sizes, strict=True)]
        ranges = [_range(w, r) for r in piece.windows]
        while ranges[-1] == ":":
            ranges.pop()
        text += f"[{', '.join(ranges)}]"
        if tuple(windowed) != piece.inner:
            text += f".reshape({', '.join(w.size(d).text for d in piece.inner) or '()'})"
    if None in piece.axes:
        positions = list(places)
        marks = [":" if a is not None else positions.pop(0).text for a in piece.axes]
        while marks[-1] == ":":
            marks.pop()
        text += f"[{', '.join(marks)}]"
    held = [a for a in piece.axes if a is not None]
    wanted = list(piece.turned) or distinct
    if held != wanted and piece.inner == piece.sizes and len(held) == len(piece.sizes) and not piece.ranges:
        return _strided(w, piece, wanted, name)
    if held != wanted:
        letters = {a: _LETTERS[k] for k, a in enumerate(distinct)}
        inside, outside = ("".join(letters[a] for a in axes) for axes in (held, wanted))
        text = f'np.einsum("{inside}->{outside}", {text})'
    return text


def _strided(w: Writer, piece: Piece, wanted: Sequence[int], name: str) -> str:
    """The view of the whole, which lies row by row, by its steps along each axis."""
    steps: list[Dim] = [ONE] * len(piece.axes)
    for k in range(len(steps) - 2, -1, -1):
        steps[k] = steps[k + 1] * piece.sizes[k + 1]
    shape, total = [], []
    for a in wanted:
        at = [k for k, axis in enumerate(piece.axes) if axis == a]
        shape.append(piece.sizes[at[0]])
        step = steps[at[0]]
        for k in at[1:]:
            step = step + steps[k]
        total.append(step)
    sizes, numbers = (", ".join(w.size(d).text for d in dims) for dims in (shape, total))
    comma = "," if len(total) == 1 else ""
    return f"rt.strided({name}, ({sizes}{comma}), ({numbers}{comma}))"


def _range(w: Writer, limits: tuple[Dim, Dim] | None) -> str:
    if limits is None:
        return ":"
    start, stop = (w.size(d).text for d in limits)
    return f"{'' if start == '0' else start}:{'' if stop == '0' else stop}"


__all__ = ["Piece", "assembled", "name_shared", "put"]
