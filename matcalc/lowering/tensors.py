"""Matrices whose rows and columns count through several axes: sums of terms, each a product of small arrays.

``kron(A, B)`` has the rows (i, k) and the columns (j, l) and the factors A over (i, j), B over (k, l). The identity is
the term without factors in which rows and columns are the same axis; ``commutation(m, n)`` has the rows (i, j) and the
columns (j, i); ``khatri_rao`` shares the columns; ``diag(vec(M))`` has the rows and columns (j, i) and the factor M; a
product joins the columns of one term with the rows of the next. What remains is one contraction (contraction.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeAlias

from matcalc.dims import ONE, Dim, Shape
from matcalc.expr import Number
from matcalc.lowering.elementwise import split
from matcalc.lowering.plan import Plan, Value
from matcalc.lowering.totals import diagonal_part


class Axis:
    """What an index runs over; slower axes come first, so the columns of ``vec(M)`` come before the rows of M."""

    __slots__ = ("size",)

    def __init__(self, size: Dim) -> None:
        self.size = size


Axes: TypeAlias = tuple[Axis, ...]
Factor: TypeAlias = tuple[Value, Axes]


class Window(NamedTuple):
    """A range of an axis, and the axes through which it counts."""

    axis: Axis
    start: Dim
    parts: Axes

    @property
    def limits(self) -> tuple[Dim, Dim]:
        return self.start, self.start + volume(self.parts)


class Term(NamedTuple):
    """The array over ``lead``, ``rows`` and ``cols`` that is a product of factors, summed over the ``summed`` axes.

    An axis may occur several times: it is then the same index (entries elsewhere are zero). Factors need not hold all
    axes: the entries are then repeated. A ``fixed`` axis takes one position only, counted from 0; one with a window
    takes only those that begin at a position, and they count through other axes.
    """

    lead: Axes
    rows: Axes
    cols: Axes
    factors: tuple[Factor, ...] = ()
    scalars: tuple[Value, ...] = ()
    coefficient: Number = 1
    fixed: tuple[tuple[Axis, Value], ...] = ()
    windows: tuple[Window, ...] = ()
    summed: Axes = ()

    @property
    def outer(self) -> Axes:
        """The axes of the array."""
        return self.lead + self.rows + self.cols

    @property
    def axes(self) -> Axes:
        """The axes of the entries that need not be zero, fixed ones among them."""
        inside = {w.axis: w.parts for w in self.windows}
        return _mapped(self.outer, inside)


class NoContractionError(Exception):
    """An expression is no sum of such terms; it is then computed as any other."""


def volume(axes: Iterable[Axis]) -> Dim:
    """The number of entries over the axes."""
    n = ONE
    for a in axes:
        n = n * a.size
    return n


def axes_of(*sizes: Dim) -> Axes:
    """New axes; those of one entry are none."""
    return tuple([Axis(size) for size in sizes if size is not ONE])


# Substitution of axes


def renamed(plan: Plan, term: Term, change: Mapping[Axis, Axes]) -> Term:
    """The term with axes replaced: each by another, or by several of which it is the product."""
    factors = []
    for v, axes in term.factors:
        new = _mapped(axes, change)
        if len(new) != len(axes):
            v = plan.reshape(v, tuple([a.size for a in new]))
        factors.append(without_repeats(plan, (v, new)))
    fixed: dict[Axis, Value] = {}
    for axis, position in term.fixed:
        (to,) = _one(change.get(axis, (axis,)))
        if fixed.setdefault(to, position) is not position:
            raise NoContractionError
    windows = []
    for axis, start, parts in term.windows:
        (to,) = _one(change.get(axis, (axis,)))
        windows.append(Window(to, start, _mapped(parts, change)))
    found = Term(
        _mapped(term.lead, change),
        _mapped(term.rows, change),
        _mapped(term.cols, change),
        tuple(factors),
        term.scalars,
        term.coefficient,
        tuple(fixed.items()),
        tuple(windows),
        _mapped(term.summed, change),
    )
    return _one_window_each(plan, found)


def _one_window_each(plan: Plan, term: Term) -> Term:
    """The term in which no axis has two windows: they are the same, or they have nothing in common."""
    seen: dict[Axis, Window] = {}
    for k, w in enumerate(term.windows):
        if any(a is w.axis for a, _ in term.fixed) or any(w.axis in other.parts for other in term.windows):
            raise NoContractionError
        other = seen.setdefault(w.axis, w)
        if other is w:
            continue
        if other.limits == w.limits:
            rest = term._replace(windows=term.windows[:k] + term.windows[k + 1 :])
            return joined(plan, rest, other.parts, w.parts)
        if _is_before(other, w) or _is_before(w, other):
            return term._replace(coefficient=0)
        raise NoContractionError
    return term


def _is_before(a: Window, b: Window) -> bool:
    return all(c >= 0 for _, c in (b.start - a.limits[1]).terms)


def without_repeats(plan: Plan, factor: Factor) -> Factor:
    """The entries of an array at which axes that are the same agree."""
    v, axes = factor
    distinct = tuple(dict.fromkeys(axes))
    if len(distinct) == len(axes):
        return factor
    if len(axes) == 2:
        return diagonal_part(plan, v), distinct
    letters = "".join(chr(ord("i") + distinct.index(a)) for a in axes)
    return plan.value("repeats", (v,), tuple([a.size for a in distinct]), letters), distinct


def _one(axes: Axes) -> Axes:
    if len(axes) != 1:
        raise NoContractionError
    return axes


def _mapped(axes: Iterable[Axis], change: Mapping[Axis, Axes]) -> Axes:
    return tuple([new for a in axes for new in change.get(a, (a,))])


def fresh(plan: Plan, term: Term) -> Term:
    """The same term with axes of its own."""
    old = dict.fromkeys([*term.outer, *term.axes, *term.summed, *[a for _, axes in term.factors for a in axes]])
    old |= dict.fromkeys([*[a for a, _ in term.fixed], *[a for w in term.windows for a in (w.axis, *w.parts)]])
    return renamed(plan, term, {a: (Axis(a.size),) for a in old})


def joined(plan: Plan, term: Term, left: Axes, right: Axes) -> Term:
    """The term in which two groups of axes count together.

    Raises   NoContractionError where no axes are common: (m, n) with (n, m)
    """
    while left or right:
        if not left or not right:
            raise NoContractionError
        a, b = left[0], right[0]
        if a is b:
            left, right = left[1:], right[1:]
            continue
        change = {b: (a,)} if a.size is b.size else _splitting(left, right) or _splitting(right, left)
        if not change:
            raise NoContractionError
        term, left, right = renamed(plan, term, change), _mapped(left, change), _mapped(right, change)
    return term


def _splitting(left: Axes, right: Axes) -> dict[Axis, Axes]:
    """The first axis of ``left`` as a product of axes like the first ones of ``right``, if it is."""
    size = ONE
    for count, b in enumerate(right, 1):
        size = size * b.size
        if size is left[0].size:
            return {left[0]: axes_of(*[c.size for c in right[:count]])}
    return {}


# Terms from terms


def both(plan: Plan, a: Term, b: Term) -> Term:
    """The Kronecker product: all factors of two terms, each with axes of its own."""
    b = fresh(plan, b)
    if a.lead and b.lead:
        raise NoContractionError
    return Term(
        a.lead + b.lead,
        a.rows + b.rows,
        a.cols + b.cols,
        a.factors + b.factors,
        a.scalars + b.scalars,
        a.coefficient * b.coefficient,
        a.fixed + b.fixed,
        a.windows + b.windows,
        a.summed + b.summed,
    )


def times(plan: Plan, a: Term, b: Term) -> Term:
    """The matrix product."""
    t = both(plan, a, b)
    rows, cols = len(a.rows), len(a.cols)
    product = t._replace(rows=t.rows[:rows], cols=t.cols[cols:], summed=t.summed + t.cols[:cols])
    return joined(plan, product, t.cols[:cols], t.rows[rows:])


def khatri_rao(plan: Plan, a: Term, b: Term) -> Term:
    t = both(plan, a, b)
    cols = len(a.cols)
    return joined(plan, t._replace(cols=t.cols[:cols]), t.cols[:cols], t.cols[cols:])


def hadamard(plan: Plan, a: Term, b: Term) -> Term:
    """The elementwise product of two matrices of the same shape."""
    t = both(plan, a, b)
    rows, cols = len(a.rows), len(a.cols)
    product = t._replace(rows=t.rows[:rows], cols=t.cols[:cols])
    return joined(plan, product, t.rows[:rows] + t.cols[:cols], t.rows[rows:] + t.cols[cols:])


def transposed(a: Term) -> Term:
    return a._replace(rows=a.cols, cols=a.rows)


def diagonal(a: Term) -> Term:
    """The diagonal matrix of a column."""
    return a._replace(cols=a.rows)


def on_diagonal(plan: Plan, a: Term) -> Term:
    """The column of the diagonal entries."""
    return joined(plan, a._replace(cols=()), a.rows, a.cols)


def vec(a: Term) -> Term:
    return a._replace(rows=a.cols + a.rows, cols=())


def totalled(a: Term, axis: int | None = None) -> Term:
    """The sum of all entries, down the columns (0) or along the rows (1)."""
    rows = a.rows if axis in (None, 0) else ()
    cols = a.cols if axis in (None, 1) else ()
    return a._replace(rows=() if rows else a.rows, cols=() if cols else a.cols, summed=a.summed + rows + cols)


def at(plan: Plan, a: Term, axis: int, position: Value) -> Term:
    """One row (axis 0) or column (axis 1)."""
    if axis == 1:
        return transposed(at(plan, transposed(a), 0, position))
    if not a.rows:
        return a
    (held,) = _one(a.rows)
    if any(b is held for b, _ in a.fixed):
        raise NoContractionError
    return _one_window_each(plan, a._replace(rows=(), fixed=(*a.fixed, (held, position)), summed=(*a.summed, held)))


def part(plan: Plan, a: Term, axis: int, start: Dim, size: Dim) -> Term:
    """A range of rows (axis 0) or columns (axis 1)."""
    if axis == 1:
        return transposed(part(plan, transposed(a), 0, start, size))
    if not a.rows:
        return a
    (held,) = _one(a.rows)
    rows = axes_of(size)
    windows = (*a.windows, Window(held, start, rows))
    return _one_window_each(plan, a._replace(rows=rows, windows=windows, summed=(*a.summed, held, *rows)))


def padded(plan: Plan, a: Term, axis: int, start: Dim, size: Dim) -> Term:
    """The term as a block of rows (axis 0) or columns (axis 1) among zeros: where it starts, how many there are."""
    if axis == 1:
        return transposed(padded(plan, transposed(a), 0, start, size))
    rows = axes_of(size)
    windows = (*a.windows, Window(rows[0], start, a.rows))
    return _one_window_each(plan, a._replace(rows=rows, windows=windows, summed=a.summed + a.rows))


def reshaped(plan: Plan, a: Term, rows: Dim, cols: Dim) -> Term:
    """The matrix of that shape with the same vec."""
    inner, outer = axes_of(rows), axes_of(cols)
    return joined(plan, a._replace(rows=inner, cols=outer), a.cols + a.rows, outer + inner)


def scaled(a: Term, coefficient: Number) -> Term:
    return a._replace(coefficient=a.coefficient * coefficient)


def constant(rows: Dim, cols: Dim) -> Term:
    """All entries 1."""
    return Term((), axes_of(rows), axes_of(cols))


def identity(order: Dim) -> Term:
    axes = axes_of(order)
    return Term((), axes, axes)


def commutation(m: Dim, n: Dim) -> Term:
    i, j = axes_of(m), axes_of(n)
    return Term((), i + j, j + i)


def unit(position: Value, order: Dim) -> Term:
    axes = axes_of(order)
    return Term((), axes, (), fixed=tuple([(a, position) for a in axes]))


def of_value(plan: Plan, shape: Shape, v: Value) -> Term:
    """What is computed as a whole, in the parts that its value shows."""
    coefficient, v = split(plan, v)
    if v.op == "T":
        return scaled(transposed(of_value(plan, (shape[1], shape[0]), v.args[0])), coefficient)
    rows, cols = axes_of(shape[0]), axes_of(shape[1])
    parts: tuple[Factor, ...] = ((v, rows + cols),)
    fixed: tuple[tuple[Axis, Value], ...] = ()
    first = v.args[0] if v.args else v
    if not v.shape:
        parts = ((v, ()),)
    elif v.op == "inv" and first.op == "T":
        parts = ((plan.value("inv", first.args, (v.shape[1], v.shape[0])), cols + rows),)
    elif v.op == "full":
        parts = ((first, ()),)
    elif v.op == "diag":
        cols = rows
        parts = ((first, rows if first.shape else ()),)
    elif v.op == "spread":
        parts = ((first, cols if v.attrs[0] == 0 else rows),)
    elif v.op == "outer":
        parts = ((v.args[0], rows), (v.args[1], cols))
    elif v.op == "unit":
        parts, fixed = (), tuple([(a, first) for a in rows + cols])
    factors, scalars = [], []
    for part, axes in parts:
        c, rest = split(plan, part)
        coefficient = coefficient * c
        if axes:
            factors.append((rest.args[0] if rest.op == "newaxis" and len(axes) == 1 else rest, axes))
        elif rest is not plan.one:
            scalars.append(rest)
    if any(v.rank != len(axes) for v, axes in factors):
        raise NoContractionError
    return Term((), rows, cols, tuple(factors), tuple(scalars), coefficient, fixed)
