"""What is done with arrays entry by entry, structured values and rearrangements are for a batch; and loops."""

from __future__ import annotations

from collections.abc import Sequence

from matcalc.dims import Dim, dim
from matcalc.lowering.assembling import Piece
from matcalc.lowering.batch import Batch, NoRuleError, Rules, arranged, flipped, other_letter, ruled, turned
from matcalc.lowering.batch_products import rows_times
from matcalc.lowering.plan import Value
from matcalc.primitives.elementwise import FUNCTIONS

RULES: Rules = {}


@ruled(RULES, "arg")
def _argument(b: Batch, v: Value) -> Value:
    return b.plan.argument(v.attrs[0], b.shape(v))


@ruled(RULES, "add")
def _add(b: Batch, v: Value) -> Value:
    """Several outer products are one product whose inner axis counts them: one pass over the result."""
    plan, (signs,) = b.plan, v.attrs
    outers = [k for k, a in enumerate(v.args) if a.op == "outer" and b.has(a) and a.shape == v.shape]
    if len(outers) < 2:
        return _elementwise(b, v)
    columns, rows = [], []
    for k in outers:
        column, row = v.args[k].args
        array = b.aligned(column, 1)
        columns.append(plan.value("mul", (array,), array.shape, -1, 1) if signs[k] else array)
        rows.append(b.aligned(row, 1))
    left, right = _side_by_side(b, columns, -1), _side_by_side(b, rows, -2)
    if left.rank == 3 and right.rank == 2:
        found = rows_times(plan, left, right, b.shape(v))
    else:
        found = plan.value("matmul", (left, right), b.shape(v))
    rest = [k for k in range(len(v.args)) if k not in outers]
    terms = (found, *[b.aligned(v.args[k], 2) for k in rest])
    return plan.commutative("add", terms, b.shape(v), (False, *[signs[k] for k in rest])) if rest else found


def _side_by_side(b: Batch, vectors: Sequence[Value], axis: int) -> Value:
    """The columns (axis -1) or rows (-2) of matrices."""
    count, largest = dim(len(vectors)), max([a.shape for a in vectors], key=len)
    shape = (*largest, count) if axis == -1 else (*largest[:-1], count, largest[-1])
    ragged = any(a.shape != largest for a in vectors)
    return b.plan.value("stack", tuple(vectors), shape, axis, ragged)


@ruled(RULES, "mul", "pow", "cosigmoid", "unknown", *FUNCTIONS)
def _elementwise(b: Batch, v: Value) -> Value:
    make = b.plan.commutative if v.op in ("add", "mul") else b.plan.value
    return make(v.op, tuple([b.aligned(a, v.rank) for a in v.args]), b.shape(v), *v.attrs)


# Structured values


@ruled(RULES, "full")
def _full(b: Batch, v: Value) -> Value:
    return b.spread(b.aligned(v.args[0], v.rank), b.shape(v))


@ruled(RULES, "spread")
def _spread(b: Batch, v: Value) -> Value:
    marks = [False, True] if v.attrs[0] == 0 else [True, False]
    return b.spread(b.marked(v.args[0], marks), b.shape(v))


@ruled(RULES, "dense")
def _dense(b: Batch, v: Value) -> Value:
    return b.spread(b.aligned(v.args[0], v.rank), b.shape(v))


@ruled(RULES, "diag")
def _diag(b: Batch, v: Value) -> Value:
    return _put(b, v, (b.aligned(v.args[0], 1),), (_piece(b, v, (0, 1, 1), 0),), filled=False)


@ruled(RULES, "add_diagonal")
def _add_diagonal(b: Batch, v: Value) -> Value:
    a, entries = v.args
    whole = _piece(b, v, (0, 1, 2), 0)
    return _put(b, v, (b.repeated(a), b.aligned(entries, 1)), (whole, _piece(b, v, (0, 1, 1), 1)._replace(adds=1)))


def _piece(b: Batch, v: Value, axes: tuple[int, ...], operand: int) -> Piece:
    """The whole array, or that part of it in which axes are the same."""
    shape, everywhere = b.shape(v), (None,) * (v.rank + 1)
    return Piece((), shape, shape, everywhere, shape, axes, (), (operand,), 0)


def _put(b: Batch, v: Value, operands: Sequence[Value], pieces: Sequence[Piece], filled: bool = True) -> Value:
    args = tuple(dict.fromkeys(operands))
    at = [args.index(a) for a in operands]
    pieces = tuple([p._replace(operands=tuple([at[k] for k in p.operands])) for p in pieces])
    return b.plan.value("assemble", args, b.shape(v), pieces, filled)


@ruled(RULES, "assemble")
def _assemble(b: Batch, v: Value) -> Value:
    """Each piece has the axis of the batch in front; what it takes is aligned with the axes of the piece."""
    pieces, filled = v.attrs
    args: dict[Value, int] = {}

    def taken(a: Value) -> int:
        return args.setdefault(a, len(args))

    new: list[Piece] = []
    for p in pieces:
        if any(b.has(v.args[k]) for k in p.fixed):
            raise NoRuleError
        rank = len({a for a in p.axes if a is not None})
        operands = [b.aligned(v.args[k], rank - (p.how == "outer")) for k in p.operands]
        how, turned = p.how, (0, *[k + 1 for k in p.turned]) if p.turned else ()
        if rank == 2 and how == "multiply" and len(operands) == 2:
            column, row = (v.args[k] for k in p.operands)
            if column.op == "expand" and column.attrs == (True, False) and row.rank == 1:
                operands, how, turned = [b.aligned(column.args[0], 1), b.aligned(row, 1)], "outer", (0, 1, 2)
        whole = (None, *p.ranges) if p.ranges else ()
        piece = Piece(
            whole,
            (b.size, *p.block),
            (b.size, *p.sizes),
            (None, *p.windows),
            (b.size, *p.inner),
            (0, *[None if a is None else a + 1 for a in p.axes]),
            tuple([taken(v.args[k]) for k in p.fixed]),
            tuple([taken(a) for a in operands]),
            p.adds,
            None if p.scale is None else taken(b.aligned(v.args[p.scale], rank)),
            how,
            turned,
            (None, *p.source) if p.source else (),
        )
        new.append(piece)
    return b.plan.value("assemble", tuple(args), b.shape(v), tuple(new), filled)


# Rearranging


@ruled(RULES, "T")
def _transposes(b: Batch, v: Value) -> Value:
    return flipped(b.plan, b.of(v.args[0]))


@ruled(RULES, "newaxis")
def _newaxis(b: Batch, v: Value) -> Value:
    return b.marked(v.args[0], [False, True] if v.attrs[0] == 0 else [True, False])


@ruled(RULES, "expand")
def _expand(b: Batch, v: Value) -> Value:
    return b.marked(v.args[0], v.attrs)


@ruled(RULES, "reshape")
def _reshape(b: Batch, v: Value) -> Value:
    return b.plan.reshape(b.of(v.args[0]), b.shape(v))


@ruled(RULES, "swap")
def _swap(b: Batch, v: Value) -> Value:
    return arranged(b.plan, b.of(v.args[0]), (0, 2, 1, *range(3, v.rank + 1)))


@ruled(RULES, "axes")
def _axes_in_order(b: Batch, v: Value) -> Value:
    return arranged(b.plan, b.of(v.args[0]), (0, *[k + 1 for k in v.attrs]))


@ruled(RULES, "repeats")
def _repeats(b: Batch, v: Value) -> Value:
    (letters,) = v.attrs
    return b.plan.value("repeats", (b.of(v.args[0]),), b.shape(v), other_letter(letters) + letters)


@ruled(RULES, "flip")
def _flip(b: Batch, v: Value) -> Value:
    return b.plan.value("flip", (b.of(v.args[0]),), b.shape(v), v.attrs[0] + 1 if v.attrs else 1)


@ruled(RULES, "block")
def _block(b: Batch, v: Value) -> Value:
    plan, (base, *places) = b.plan, v.args
    if not any(b.has(p) for p in places):
        return plan.value("block", (b.of(base), *places), b.shape(v), "all", *v.attrs)
    if b.portable:
        return _taken(b, v)
    at = [b.of(p) for p in places]
    if b.has(base):  # of each item the entries at its own position; NumPy puts the axis of positions first
        items = plan.call("{xp}.arange({0})", (plan.dimension(b.size),), (b.size,))
        return plan.value("block", (b.of(base), items, *at), b.shape(v), "at", *v.attrs)
    if v.attrs[0] == "at":
        return plan.value("block", (base, *at), b.shape(v), *v.attrs)
    if base.rank != 2:
        raise NoRuleError
    return turned(plan, plan.value("block", (base, *at), (*v.shape, b.size), *v.attrs))


def _taken(b: Batch, v: Value) -> Value:
    """The entries at positions of a batch, as one selection along an axis: those of several axes are counted together,
    through all that these axes have."""
    plan, (base, *rest) = b.plan, v.args
    wheres: list[str] = []
    fixed: list[Value] = []  # positions and limits that all items share
    sizes: list[Dim] = []  # of the axes that are left when these are taken
    moving: dict[int, Value] = {}  # of them, those with positions of a batch
    kept = iter(v.shape)
    for axis, where in enumerate([*v.attrs, *["all"] * (base.rank - len(v.attrs))]):
        places = [rest.pop(0) for _ in range({"at": 1, "range": 2, "all": 0}[where])]
        if any(b.has(p) for p in places):
            if where == "range":
                raise NoRuleError
            moving[len(sizes)] = b.of(places[0])
            where, places = "all", []
            sizes.append(base.shape[axis])
        elif where != "at":
            sizes.append(next(kept))
        wheres.append(where)
        fixed += places
    front = (b.size,) if b.has(base) else ()
    array = b.of(base)
    if fixed:
        array = plan.value("block", (array, *fixed), (*front, *sizes), *["all"] * len(front), *wheres)
    order = [*moving, *[k for k in range(len(sizes)) if k not in moving]]
    array = arranged(plan, array, [*range(len(front)), *[k + len(front) for k in order]])
    (first, index), *others = moving.items()
    through = sizes[first]
    for axis, at in others:
        scaled = plan.value("mul", (index, plan.dimension(sizes[axis])), at.shape, 1, 2)
        index = plan.value("add", (scaled, at), at.shape, (False, False))
        through = through * sizes[axis]
    array = plan.reshape(array, (*front, through, *v.shape))
    return plan.value("take", (array, index), b.shape(v), b.has(base))


@ruled(RULES, "concat")
def _concat(b: Batch, v: Value) -> Value:
    return b.plan.value("concat", tuple([b.repeated(a) for a in v.args]), b.shape(v), v.attrs[0] + 1)


@ruled(RULES, "stack")
def _stack(b: Batch, v: Value) -> Value:
    axis, ragged = v.attrs
    ragged = ragged or not all(b.has(a) for a in v.args)
    arrays = tuple([b.aligned(a, v.rank - 1) for a in v.args])
    return b.plan.value("stack", arrays, b.shape(v), axis, ragged)


@ruled(RULES, "position", "whole", "unit")
def _counts(b: Batch, v: Value) -> Value:
    return b.plan.value(v.op, tuple([b.of(a) for a in v.args]), b.shape(v), *v.attrs)


# Others


@ruled(RULES, "loop")
def _loop(b: Batch, v: Value) -> Value:
    index, body, lower, upper = v.args
    if b.has(lower) or b.has(upper):
        raise NoRuleError
    many = b.of(body)
    if not v.attrs:
        return b.plan.value("loop", (index, many, lower, upper), b.shape(v))
    stack = b.plan.value("loop", (index, many, lower, upper), (v.shape[0], *many.shape), *v.attrs)
    return arranged(b.plan, stack, (1, 0, *range(2, stack.rank)))


@ruled(RULES, "map")
def _map(b: Batch, v: Value) -> Value:
    """The caller's function takes single arrays. The size of what it gives may be known from its values only."""
    if b.portable or all(d.names <= b.told for d in v.shape) or v.indices:
        raise NoRuleError
    return b.plan.value("map", tuple([b.of(a) for a in v.args]), b.shape(v), *v.attrs, tuple(map(b.has, v.args)))


__all__ = ["RULES"]
