"""Sums, products and solutions of matrices as C loops and calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from matcalc.dims import Dim, dim
from matcalc.emission.c_code import SINGULAR, TERNARY, Index, linear, product_of, spread
from matcalc.emission.c_kept import lies_by_columns
from matcalc.emission.c_pieces import put
from matcalc.lowering.code import ATOM, SUM, TERM, Code
from matcalc.lowering.plan import ArrayShape, Value

if TYPE_CHECKING:
    from matcalc.emission.c_body import Body


def summed(w: Body, sizes: Sequence[Dim], term: object, wanted: str = "") -> Code:
    """The sum of terms over loops; ``term`` gives one from its indices."""
    total = w.variable(wanted)
    w.emit(f"double {total} = 0.0;")
    with w.loops(sizes) as index:
        w.emit(f"{total} += {term(index).text};")  # type: ignore[operator]
    return Code(total, ATOM)


def _total(w: Body, v: Value) -> Code:
    (a,) = v.args
    return summed(w, a.shape, lambda index: w.entry(a, index), w.preferred.get(v, ""))


def _inner(w: Body, v: Value) -> Code:
    a, b = v.args
    return summed(w, a.shape, lambda i: product_of([w.entry(a, i), w.entry(b, i)]), w.preferred.get(v, ""))


def _norm(w: Body, v: Value) -> Code:
    (a,) = v.args

    def square(index: Sequence[Index]) -> Code:
        e = w.local(w.entry(a, index))
        return product_of([e, e])

    return Code(f"sqrt({summed(w, a.shape, square).text})", ATOM)


def _trace(w: Body, v: Value) -> Code:
    (a,) = v.args
    return summed(w, a.shape[:1], lambda index: w.entry(a, [index[0], index[0]]))


def _det(w: Body, v: Value) -> Code:
    (a,) = v.args
    lu, rows, singular = w.factored(a)
    w.use("determinant")
    return Code(f"{singular} ? 0.0 : determinant({w.size(a.shape[0]).text}, {lu}, {rows})", TERNARY)


def _logdet(w: Body, v: Value) -> Code:
    (a,) = v.args
    n = w.size(a.shape[0]).text
    if v.attrs and v.attrs[0]:
        name = w.cholesky(a)
        w.use("log_determinant")
        return Code(f"2.0 * log_determinant({n}, {name})", TERM)
    lu, _, singular = w.factored(a)
    w.use("log_determinant")
    return Code(f"{singular} ? -HUGE_VAL : log_determinant({n}, {lu})", TERNARY)


def _loop(w: Body, v: Value) -> Code:
    return w.counted(v, None)


def _map(w: Body, v: Value) -> Code:
    name, text = _mapped(w, v)
    return Code(f"{name}({text})", ATOM)


def _assembled_number(w: Body, v: Value) -> Code:
    """A number that is put together from pieces: their sum."""
    name = w.variable()
    w.emit(f"double {name} = 0.0;")
    for piece in v.attrs[0]:
        factors = [w.scalar(v.args[k]) for k in (*piece.operands, *(() if piece.scale is None else (piece.scale,)))]
        w.emit(f"{name} {'-' if piece.adds < 0 else '+' if piece.adds else ''}= {product_of(factors).text};")
    return Code(name, ATOM)


SCALARS = {
    "assemble": _assembled_number,
    "sum": _total, "inner": _inner, "dot": _inner, "norm": _norm, "trace": _trace, "det": _det, "logdet": _logdet,
    "loop": _loop, "map": _map,
}  # fmt: skip


def _mapped(w: Body, v: Value) -> tuple[str, str]:
    """A map of the caller: its name and what it is called with, each array after its sizes."""
    name, of = v.attrs
    kinds, given = [], []
    for a in v.args:
        for d in a.shape:
            kinds.append("ptrdiff_t")
            given.append(w.size(d).text)
        kinds.append("const double *" if a.shape else "double")
        given.append(w.arrays[a] if a.shape else w.scalar(a).text)
    for d in v.shape:
        kinds.append("ptrdiff_t")
        given.append(w.size(d).text)
    if (name, of) not in w.functions:
        found = w.functions[name, of] = w.names.take(of.identifier)
        listed = ", ".join([*kinds, *(["double *"] if v.shape else [])])
        w.prototypes[found] = f"{'void' if v.shape else 'double'} (*{found})({listed})"
    return w.functions[name, of], ", ".join(given)


def row_sum(w: Body, v: Value, index: Sequence[Index]) -> Code:
    """An entry that is a sum along a row."""
    if v.op == "sum":
        (a,) = v.args
        return summed(w, a.shape[-1:], lambda k: w.entry(a, [*index, *k]))
    a, b = v.args
    return summed(w, b.shape, lambda k: product_of([w.entry(a, [*index, *k]), w.entry(b, k)]))


def _array_map(w: Body, v: Value, name: str) -> None:
    function, text = _mapped(w, v)
    w.emit(f"{function}({text}, {name});")


def _array_loop(w: Body, v: Value, name: str) -> None:
    w.counted(v, name)


def _array_sum(w: Body, v: Value, name: str) -> None:
    (a,) = v.args
    (axis,) = v.attrs
    if axis == a.rank - 1:  # along the rows: one number after the other
        with w.loops(v.shape) as index:
            total = summed(w, [a.shape[axis]], lambda k: w.entry(a, [*index, *k]))
            w.emit(f"{name}[{linear(w, index, v.shape).text}] = {total.text};")
        return
    w.zero(v.shape, name)
    with w.loops(a.shape) as index:
        kept = [i for k, i in enumerate(index) if k != axis]
        code = w.entry(a, index)
        w.emit(f"{name}[{linear(w, kept, v.shape).text}] += {code.text};")


def _array_dot(w: Body, v: Value, name: str) -> None:
    a, b = v.args
    if a.rank == 1:
        _product(w, name, v.shape, (), (), b.shape[:1], b.shape[1:], a, b)
    elif b.rank == 1:
        _product(w, name, v.shape, (), a.shape[:1], a.shape[1:], (), a, b)
    else:
        _product(w, name, v.shape, (), a.shape[:1], a.shape[1:], b.shape[1:], a, b)


def _matmul(w: Body, v: Value, name: str) -> None:
    a, b = v.args
    _product(w, name, v.shape, v.shape[:-2], a.shape[-2:-1], a.shape[-1:], b.shape[-1:], a, b)


def _product(
    w: Body,
    name: str,
    shape: ArrayShape,
    batch: ArrayShape,
    rows: ArrayShape,
    inside: ArrayShape,
    cols: ArrayShape,
    a: Value,
    b: Value,
) -> None:
    """``out[.., i, j] += a[.., i, k]*b[.., k, j]``, in the order in which the arrays lie."""

    def left(at: Sequence[Index], i: Sequence[Index], k: Sequence[Index]) -> Code:
        return w.entry(a, spread([*at, *i, *k], a))

    def right(at: Sequence[Index], k: Sequence[Index], j: Sequence[Index]) -> Code:
        return w.entry(b, spread([*at, *k, *j], b))

    if lies_by_columns(b) if cols else not lies_by_columns(a):  # sums along rows of both
        with w.loops([*batch, *rows, *cols]) as index:
            at, i, j = index[: len(batch)], index[len(batch) : len(batch) + len(rows)], index[len(batch) + len(rows) :]
            total = summed(w, inside, lambda k: product_of([left(at, i, k), right(at, k, j)]))
            w.emit(f"{name}[{linear(w, index, shape).text}] = {total.text};")
        return
    w.zero(shape, name)
    by_columns = lies_by_columns(a)
    with w.loops(batch) if batch else _nothing() as at:
        if not cols:
            with w.loops(inside) as k:
                factor = w.local(right(at, k, []))
                with w.loops(rows) as i:
                    code = product_of([left(at, i, k), factor])
                    w.emit(f"{name}[{linear(w, [*at, *i], shape).text}] += {code.text};")
            return
        with w.loops([*inside, *rows] if by_columns else [*rows, *inside]) as index:
            split = len(inside) if by_columns else len(rows)
            k, i = (index[:split], index[split:]) if by_columns else (index[split:], index[:split])
            factor = w.local(left(at, i, k))
            with w.loops(cols) as j:
                code = product_of([factor, right(at, k, j)])
                w.emit(f"{name}[{linear(w, [*at, *i, *j], shape).text}] += {code.text};")


@contextmanager
def _nothing() -> Iterator[list[Index]]:
    yield []


def _solve(w: Body, v: Value, name: str) -> None:
    a, b = v.args
    lu, rows, singular = w.factored(a)
    w.use("lu_solve")
    w.fail(singular, SINGULAR)
    w.fill(b, name)
    columns = w.size(w.volume(b.shape[1:]))
    w.emit(f"lu_solve({w.size(a.shape[0]).text}, {columns.text}, {lu}, {rows}, {name});")


def _inv(w: Body, v: Value, name: str) -> None:
    (a,) = v.args
    lu, rows, singular = w.factored(a)
    w.fail(singular, SINGULAR)
    w.use("identity")
    w.use("lu_solve")
    n = w.size(a.shape[0]).text
    w.emit(f"identity({n}, {name});")
    w.emit(f"lu_solve({n}, {n}, {lu}, {rows}, {name});")


def _kron(w: Body, v: Value, name: str) -> None:
    a, b = v.args
    with w.loops([a.shape[0], b.shape[0], a.shape[1], b.shape[1]]) as (i, k, j, m):
        code = product_of([w.entry(a, [i, j]), w.entry(b, [k, m])])
        shape = (a.shape[0], b.shape[0], a.shape[1], b.shape[1])
        w.emit(f"{name}[{linear(w, [i, k, j, m], shape).text}] = {code.text};")


def _concat(w: Body, v: Value, name: str) -> None:
    (axis,) = v.attrs
    start = dim(0)
    for a in v.args:
        with w.loops(a.shape) as index:
            code = w.entry(a, index)
            at = [
                Code(f"{w.size(start).at(SUM)} + {i.at(TERM)}", SUM) if k == axis and start.terms else i
                for k, i in enumerate(index)
            ]
            at = [w.size(start) if k == axis and start.terms and i.text == "0" else at[k] for k, i in enumerate(index)]
            w.emit(f"{name}[{linear(w, at, v.shape).text}] = {code.text};")
        start = start + a.shape[axis]


def _assemble(w: Body, v: Value, name: str) -> None:
    pieces, filled = v.attrs
    if not filled:
        w.zero(v.shape, name)
    for piece in pieces:
        put(w, v, piece, name)


ARRAYS = {
    "map": _array_map, "loop": _array_loop, "sum": _array_sum, "dot": _array_dot, "matmul": _matmul, "solve": _solve,
    "inv": _inv, "kron": _kron, "concat": _concat, "assemble": _assemble,
}  # fmt: skip


__all__ = ["ARRAYS", "SCALARS", "summed"]
