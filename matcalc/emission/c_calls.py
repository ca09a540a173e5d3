"""Calls of functions of whole arrays: along axes, of matrices, convolutions."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from matcalc.dims import ONE, Dim
from matcalc.emission.c_arrays import summed
from matcalc.emission.c_code import SINGULAR, Index, linear, product_of, spread, unsupported
from matcalc.emission.c_entries import ENTRIES
from matcalc.emission.c_kept import head
from matcalc.lowering.code import ATOM, SUM, TERM, UNARY, Code
from matcalc.lowering.plan import ArrayShape, Value

if TYPE_CHECKING:
    from matcalc.emission.c_body import Body

# Writes the statements of a call, which put its value into the array of that name.
Rule: TypeAlias = "Callable[[Body, Value, str], None]"

_ALONG = {"rt.softmax": "softmax", "rt.log_softmax": "log_softmax", "rt.logsumexp": "logsumexp", "rt.argmax": "argmax"}


def call(w: Body, v: Value) -> Code:
    """A call that gives a number."""
    found = head(v)
    if found == "rt.safe_reciprocal":
        return ENTRIES["call"](w, v, [])
    if found == "max":
        raise unsupported(v, "C")
    name = w.variable()
    w.emit(f"double {name};")
    _along(w, v, f"&{name}")
    return Code(name, ATOM)


def call_of_arrays(w: Body, v: Value, name: str) -> None:
    """Writes the statements of a call into the array of this name."""
    _ARRAYS.get(head(v), _along)(w, v, name)


def _khatri_rao(w: Body, v: Value, name: str) -> None:
    a, b = v.args
    with w.loops([a.shape[0], b.shape[0], a.shape[1]]) as (i, k, j):
        code = product_of([w.entry(a, [i, j]), w.entry(b, [k, j])])
        w.emit(f"{name}[{linear(w, [i, k, j], (a.shape[0], b.shape[0], a.shape[1])).text}] = {code.text};")


def _matrix_power(w: Body, v: Value, name: str) -> None:
    a, exponent = v.args
    n = a.shape[0]
    times = w.integer(exponent).text
    space = w.temporary(n * n * 3 + n, "work")
    w.fail(f"{w.use('matrix_power')}({w.size(n).text}, {w.arrays[a]}, {times}, {name}, {space})", SINGULAR)


def _of_square(function: str, space: Callable[[Dim], Dim]) -> Rule:
    """A function of square matrices that needs so many numbers of memory."""

    def write(w: Body, v: Value, name: str) -> None:
        n = v.args[0].shape[-1]
        matrices = ", ".join(w.arrays[a] for a in v.args)
        work = w.temporary(space(n), "work")
        w.emit(f"{w.use(function)}({w.size(n).text}, {matrices}, {name}, {work});")

    return write


def _pseudo_inverse(w: Body, v: Value, name: str) -> None:
    (a,) = v.args
    m, n = a.shape
    space = w.temporary(m * n + m * m + n * n + m + n, "work")
    w.emit(f"{w.use('pseudo_inverse')}({w.size(m).text}, {w.size(n).text}, {w.arrays[a]}, {name}, {space});")


def _crop(w: Body, v: Value, name: str) -> None:
    a = v.args[0]
    with w.loops(v.shape) as index:
        at = [_moved(w, i, big, small) for i, big, small in zip(index, a.shape, v.shape, strict=True)]
        w.emit(f"{name}[{linear(w, index, v.shape).text}] = {w.entry(a, at).text};")


def _pad(w: Body, v: Value, name: str) -> None:
    a = v.args[0]
    w.zero(v.shape, name)
    with w.loops(a.shape) as index:
        at = [_moved(w, i, big, small) for i, big, small in zip(index, v.shape, a.shape, strict=True)]
        w.emit(f"{name}[{linear(w, at, v.shape).text}] = {w.entry(a, index).text};")


def _along(w: Body, v: Value, out: str) -> None:
    helper = _ALONG.get(head(v)) or ("maxima" if ".max(" in v.attrs[0] else "")
    if not helper:
        raise unsupported(v, "C")
    w.use(helper)
    x = v.args[0]
    w.emit(f"{helper}({_groups(w, x, _axis(v))}, {w.arrays[x]}, {out});")


def _groups(w: Body, x: Value, axis: int | None) -> str:
    """The groups of entries along an axis: how many, their step, their length, the stride within one."""
    if axis is None:
        return f"1, 0, {w.size(w.volume(x.shape)).text}, 1"
    m, n = (w.size(d).text for d in x.shape)
    return f"{n}, 1, {m}, {n}" if axis == 0 else f"{m}, {n}, {n}, 1"


def _axis(v: Value) -> int | None:
    found = re.search(r"(?:\}, |\()(\d)\)$", v.attrs[0])
    return int(found[1]) if found else None


def _moved(w: Body, at: Index, large: Dim, small: Dim) -> Index:
    """The index in the larger array of an entry of its central part."""
    room = large - small
    if not room.terms:
        return at
    return Code(f"({w.size(room).text}) / 2 + {at.at(TERM)}", SUM)


def _einsum(w: Body, v: Value, name: str) -> None:
    inputs, output = re.findall(r"'(.*?)->(.*?)'", v.attrs[0])[0]
    held = inputs.split(",")
    sizes: dict[str, Dim] = {}
    for letters, a in zip(held, v.args, strict=True):
        for c, d in zip(letters, a.shape, strict=True):
            if sizes.get(c, ONE) is ONE:
                sizes[c] = d
    inside = [c for c in sizes if c not in output]
    with w.loops([sizes[c] for c in output]) as index:
        at = dict(zip(output, index, strict=True))

        def term(inner: Sequence[Index]) -> Code:
            places = {**at, **dict(zip(inside, inner, strict=True))}
            return product_of(
                [w.entry(a, spread([places[c] for c in letters], a)) for letters, a in zip(held, v.args, strict=True)]
            )

        total = summed(w, [sizes[c] for c in inside], term) if inside else term([])
        w.emit(f"{name}[{linear(w, index, v.shape).text}] = {total.text};")


def _correlate(w: Body, v: Value, name: str) -> None:
    kernel, image = v.args
    w.use("correlate")
    p, q = (w.size(d).text for d in kernel.shape)
    rows, cols = (w.size(d).text for d in image.shape)
    m, n = (w.size(d).text for d in v.shape)
    flipped = int(head(v) == "rt.conv")
    window = _window(w, _mode(v), kernel.shape)
    w.emit(f"correlate({p}, {q}, {w.arrays[kernel]}, {flipped}, {rows}, {cols}, {w.arrays[image]}, {window},")
    w.emit(f"          {m}, {n}, {name});")


def _convolution_matrix(w: Body, v: Value, name: str) -> None:
    """Each entry of the kernel goes where it meets an entry of the image: column (j, i) of the image's entries."""
    kernel = v.args[0]
    p, q = kernel.shape
    mode = _mode(v)
    m, n = (w.integer(a) for a in v.args[1:3])
    starts = _window(w, mode, kernel.shape).split(", ")
    rows = {"full": "{p} + {m} - 1", "same": "{m}", "valid": "{m} - {p} + 1"}[mode]
    height = w.variable("height")
    width = w.variable("width")
    fields = {"p": w.size(p).at(TERM), "m": m.at(TERM)}
    w.emit(f"const ptrdiff_t {height} = {rows.format(**fields)};")
    fields = {"p": w.size(q).at(TERM), "m": n.at(TERM)}
    w.emit(f"const ptrdiff_t {width} = {rows.format(**fields)};")
    w.zero(v.shape, name)
    with w.loops([p, q]) as (k, j):
        code = w.local(w.entry(kernel, [k, j]))
        col, row, a, b = (w.variable(t) for t in ("col", "row", "a", "b"))
        # Row `row` of the image meets the entry k of the flipped kernel in row a = row - top' of the result.
        top, left = (f"{w.size(d).at(TERM)} - 1 - ({start})" for d, start in zip((p, q), starts, strict=True))
        columns, rows_of = (f"for (ptrdiff_t {i} = 0; {i} < {d.at(SUM)}; {i}++)" for i, d in ((col, n), (row, m)))
        with w.block(columns), w.block(rows_of):
            w.emit(f"const ptrdiff_t {a} = {row} + {k.text} - ({top}), {b} = {col} + {j.text} - ({left});")
            w.emit(f"if ({a} >= 0 && {a} < {height} && {b} >= 0 && {b} < {width})")
            place = f"({b} * {height} + {a}) * {m.at(UNARY)} * {n.at(UNARY)} + {col} * {m.at(UNARY)} + {row}"
            w.emit(f"    {name}[{place}] = {code.text};")


def _window(w: Body, mode: str, kernel: ArrayShape) -> str:
    """Where the windows of the image begin."""
    if mode == "valid":
        return "0, 0"
    p, q = (w.size(d).at(TERM) for d in kernel)
    if mode == "full":
        return f"{p} - 1, {q} - 1"
    return f"{p} - 1 - ({p} - 1) / 2, {q} - 1 - ({q} - 1) / 2"


def _mode(v: Value) -> str:
    found = re.search(r"'(\w+)'\)$", v.attrs[0])
    return found[1] if found else "full"


_ARRAYS: dict[str, Rule] = {
    "xp.einsum": _einsum,
    "rt.khatri_rao": _khatri_rao,
    "xp.linalg.matrix_power": _matrix_power,
    "rt.expm": _of_square("expm", lambda n: n * n * 7 + n),
    "rt.expm_frechet": _of_square("expm_frechet", lambda n: n * n * 36 + n * 2),
    "rt.adjugate": _of_square("adjugate", lambda n: n * n * 3 + n * 3),
    "xp.linalg.pinv": _pseudo_inverse,
    "rt.conv": _correlate,
    "rt.corr": _correlate,
    "rt.convmtx": _convolution_matrix,
    "rt.crop": _crop,
    "rt.pad": _pad,
}

__all__ = ["call", "call_of_arrays"]
