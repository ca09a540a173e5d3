"""The statements that put pieces into the array of a result (dense.py)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from matcalc.dims import ONE, Dim
from matcalc.expr import Number
from matcalc.lowering.code import ATOM, SUM, TERM, UNARY, Code
from matcalc.lowering.in_place import is_fresh
from matcalc.lowering.plan import VIEWS, ArrayShape, Plan, Value

if TYPE_CHECKING:
    from matcalc.lowering.numpy_source import Writer

_LETTERS = "ijklmnpqrstuvwxyzabcdefgh"

# Operations whose result is an array that nothing else holds.
_BY_ROWS = ("dot", "outer", "matmul", "result")  # give arrays that lie row by row
_CALLS_BY_ROWS = ("{rt}.khatri_rao_",)
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
    ``how``       two operands are multiplied entry by entry, or as batches of matrices or of vectors (outer), or as
                  matrices whose product is added to the whole (product)
    ``source``    of no operands ("mirror"): the ranges of the block whose transpose it is
    ``turned``    the order of the distinct axes in which they are batches
    ``weights``   of one matrix ("grams"): what lies between its transpose and itself in each block
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
    weights: Weights | None = None


class Weights(NamedTuple):
    """The weights of the rows of a matrix in the block i, j: terms, all of them and those of i = j only.

    ``symmetric``  whether they are the same for j, i
    """

    terms: tuple[Weight, ...]
    on_diagonal: tuple[Weight, ...]
    symmetric: bool


class Weight(NamedTuple):
    """A number times operands over some of i, j and the rows of the matrix, named by ``ijr``: their places."""

    coefficient: Number
    factors: tuple[tuple[int, str], ...]


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
    if first.ranges or first.windows.count(None) < len(first.windows):
        return False
    if len(first.operands) > 1:
        return _begun_as_factor(w, v, codes, name, indent)
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
    by_rows = base.op in _BY_ROWS
    by_rows = by_rows or (base.op == "call" and base.attrs[0].startswith(_CALLS_BY_ROWS))
    if not by_rows and any(_repeats_an_axis(p) or p.weights for p in pieces[1:]):
        text = f"np.ascontiguousarray({text})"  # what is made of a transpose may lie column by column
    w.lines.append(f"{indent}{name} = {text}")
    if first.scale is not None:
        w.lines.append(f"{indent}{name} *= {codes[v.args[first.scale]].text}")
    return True


def _begun_as_factor(w: Writer, v: Value, codes: dict[Value, Code], name: str, indent: str) -> bool:
    """Whether the first piece is a product of entries, one of whose factors is the array to begin with."""
    first = v.attrs[0][0]
    if not v.shape or first.how != "multiply" or len(first.operands) != 2 or _repeats_an_axis(first) or first.fixed:
        return False
    for k, other in (first.operands, first.operands[::-1]):
        a = v.args[k]
        base = a.args[0] if a.op == "reshape" else a
        users = sum(at in (k, other) for p in v.attrs[0] for at in p.operands)
        if a.shape == first.sizes and base.shape == v.shape and is_fresh(base) and users == 2:
            if codes[a].text.isidentifier() or w.is_named(base) or w.is_named(a):
                continue
            text = f"{codes[a].at(ATOM)}.reshape({w.shape(v.shape).strip('()')})"
            w.lines.append(f"{indent}{name} = np.ascontiguousarray({text})")  # of operands by columns it is not
            view = _view(w, first, [], name)
            w.lines.append(f"{indent}{_target(view, True)} *= {codes[v.args[other]].text}")
            return True
    return False


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
    if piece.weights is not None:
        _put_grams(w, v, piece, codes, _view(w, piece, [], name), adds != 0, indent)
        return
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


def _put_grams(w: Writer, v: Value, piece: Piece, codes: dict[Value, Code], view: str, adds: bool, indent: str) -> None:
    """Writes the blocks X'*diag(w)*X, whose weights are functions of their places."""
    assert piece.weights is not None
    for k in piece.operands:
        a = v.args[k]
        if not codes[a].text.isidentifier() and (a.shape or codes[a].level != ATOM):
            codes[a] = w.assign(a, codes[a], indent)
    given = [f"{view}, {codes[v.args[piece.operands[0]]].text}"]
    places = {letter: w.names.take(letter) for letter in "ij"}
    i, j = places.values()
    terms, on_diagonal, symmetric = piece.weights
    given += [f"weights=lambda {i}, {j}: {_weight(w, v, terms, codes, places)}"] if terms else []
    given += [f"diagonal=lambda {i}: {_weight(w, v, on_diagonal, codes, places)}"] if on_diagonal else []
    given += ["adding=True"] if adds else []
    given += ["symmetric=False"] if not symmetric else []
    line = f"{indent}rt.weighted_grams({', '.join(given)})"
    if len(line) > w.width:
        given = [f"{part}," for part in given[:-1]] + [f"{given[-1]})"]
        w.lines += [f"{indent}rt.weighted_grams(", *(f"{indent}    {part}" for part in given)]
    else:
        w.lines.append(line)


def _weight(w: Writer, v: Value, terms: Sequence[Weight], codes: dict[Value, Code], places: Mapping[str, str]) -> str:
    """The sum of the weights' terms, for the places i and j."""
    scratch = Plan()
    taken: list[Value] = []
    texts: dict[Value, Code] = {}
    for term in terms:
        factors = []
        for n, (k, letters) in enumerate(term.factors):
            at = ", ".join([places[c] for c in letters if c in places])
            factors.append(scratch.value("index", (), (), len(texts), n))
            text = codes[v.args[k]].text
            texts[factors[-1]] = Code(f"{text}[{at}]", ATOM) if at else codes[v.args[k]]
        taken.append(scratch.value("mul", tuple(factors), (), abs(term.coefficient), len(factors)))
    spelled = [w.spelling(t)(w, t, [texts[a] for a in t.args]) for t in taken]
    total = scratch.value("add", tuple(taken), (), tuple([t.coefficient < 0 for t in terms]))
    return w.spelling(total)(w, total, spelled).text


def _statement(view: str, operands: Sequence[Code], adds: int, how: str) -> str:
    call = ("rt" if how == "outer" else "np") + f".{how}({', '.join(a.text for a in operands)}"
    if len(operands) == 2 and not adds:
        return f"{call}, out={view})"
    if how == "product":
        sign = ", -1" if adds < 0 else ""
        return f"{view} = rt.add_product({view}, {operands[0].text}, {operands[1].text}{sign})"
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
