"""What structure is seen through: from a node, its primitive and the terms of its arguments to its terms."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from matcalc.dims import Dim, dim
from matcalc.expr import Expr
from matcalc.lowering import tensors
from matcalc.lowering.blocks import NOWHERE, is_diagonal
from matcalc.lowering.operators import whole
from matcalc.lowering.plan import Plan, Value
from matcalc.lowering.rearranging import position_of
from matcalc.lowering.tensors import Axes, Axis, Factor, NoContractionError, Term
from matcalc.lowering.walk import array_shape, ruled
from matcalc.primitives import algebra, leaves, loops, products, reductions, structure
from matcalc.primitives.base import Primitive

if TYPE_CHECKING:
    from matcalc.lowering.dense import Dense

_MOST_TERMS = 16  # of one expression; a product of longer sums is computed from its factors

Rule: TypeAlias = "Callable[[Dense, Expr, Any], list[Term]]"
RULES: dict[type[Primitive], Rule] = {}


def _pairs(d: Dense, node: Expr, of_two: Callable[[Plan, Term, Term], Term]) -> list[Term]:
    return [of_two(d.plan, a, b) for a in d.argument(node.args[0]) for b in d.argument(node.args[1])]


@ruled(RULES, products.Kron)
def _kron(d: Dense, node: Expr, op: Any) -> list[Term]:
    return _pairs(d, node, tensors.both)


@ruled(RULES, products.KhatriRao)
def _khatri_rao(d: Dense, node: Expr, op: Any) -> list[Term]:
    return _pairs(d, node, tensors.khatri_rao)


@ruled(RULES, products.Inner)
def _inner(d: Dense, node: Expr, op: Any) -> list[Term]:
    return [tensors.totalled(t) for t in _pairs(d, node, tensors.hadamard)]


@ruled(RULES, algebra.Add)
def summed(d: Dense, node: Expr, op: Any) -> list[Term]:
    """The terms of all summands; those without structure are one."""
    special = [a for a in node.args if d.is_apart(a) or (is_diagonal(a) and not node.is_scalar)]
    plain = [a for a in node.args if a not in special]
    out = [_spread(t, node) for a in special for t in d.argument(a)]
    if plain:
        out += d.argument(algebra.add(*plain, shape=node.shape))
    return out


def _spread(t: Term, node: Expr) -> Term:
    """A number in a sum of matrices as the matrix of equal entries."""
    if node.is_scalar or t.rows or t.cols:
        return t
    return t._replace(rows=tensors.axes_of(node.rows), cols=tensors.axes_of(node.cols))


@ruled(RULES, algebra.Product)
def _product(d: Dense, node: Expr, op: Any) -> list[Term]:
    """Runs of factors without structure are computed as a whole."""
    runs: list[list[Expr]] = []
    for a in node.args:
        if runs and not d.is_apart(a) and not d.is_apart(runs[-1][0]) and a.is_scalar == runs[-1][0].is_scalar:
            runs[-1].append(a)
        else:
            runs.append([a])
    runs.sort(key=lambda run: not run[0].is_scalar)
    out: list[Term] = []
    done: list[Expr] = []
    for run in runs:
        found = d.argument(algebra.product(*run))
        if not done:
            out = found
        else:
            if len(out) * len(found) > _MOST_TERMS and len(out) > 1:
                out = d.formed(algebra.product(*done))
            if len(out) * len(found) > _MOST_TERMS:
                found = d.formed(algebra.product(*run))
            scalar = done[-1].is_scalar
            out = [(tensors.both if scalar else tensors.times)(d.plan, a, b) for a in out for b in found]
        done += run
    return out


@ruled(RULES, algebra.Hadamard)
def _hadamard(d: Dense, node: Expr, op: Any) -> list[Term]:
    out: list[Term] | None = None
    plain = [a for a in node.args if not d.is_apart(a)]
    factors = [a for a in node.args if d.is_apart(a)]
    if plain:
        factors.append(algebra.hadamard(*plain))
    for a in sorted(factors, key=lambda a: a.is_scalar):
        found = d.argument(a)
        if out is None:
            out = found
        elif len(out) * len(found) > _MOST_TERMS:
            raise NoContractionError
        else:
            out = [(tensors.both if a.is_scalar else tensors.hadamard)(d.plan, t, u) for t in out for u in found]
    return out or []


@ruled(RULES, algebra.Transpose)
def _transpose(d: Dense, node: Expr, op: Any) -> list[Term]:
    return [tensors.transposed(t) for t in d.argument(node.args[0])]


@ruled(RULES, leaves.Identity)
def _identity(d: Dense, node: Expr, op: Any) -> list[Term]:
    return [tensors.identity(node.rows)]


@ruled(RULES, leaves.Ones)
def _ones(d: Dense, node: Expr, op: Any) -> list[Term]:
    return [tensors.constant(node.rows, node.cols)]


@ruled(RULES, leaves.Commutation)
def _commutation(d: Dense, node: Expr, op: Any) -> list[Term]:
    return [tensors.commutation(op.m, op.n)]


@ruled(RULES, reductions.Sum)
def _total(d: Dense, node: Expr, op: Any) -> list[Term]:
    return [tensors.totalled(t, op.axis) for t in d.argument(node.args[0])]


@ruled(RULES, reductions.Trace)
def _trace(d: Dense, node: Expr, op: Any) -> list[Term]:
    return [tensors.totalled(tensors.on_diagonal(d.plan, t)) for t in d.argument(node.args[0])]


@ruled(RULES, structure.Diagonal)
def _diagonal(d: Dense, node: Expr, op: Any) -> list[Term]:
    return [tensors.diagonal(t) for t in d.argument(node.args[0])]


@ruled(RULES, structure.DiagonalPart)
def _diagonal_part(d: Dense, node: Expr, op: Any) -> list[Term]:
    return [tensors.on_diagonal(d.plan, t) for t in d.argument(node.args[0])]


@ruled(RULES, structure.Vec)
def _vec(d: Dense, node: Expr, op: Any) -> list[Term]:
    return [tensors.vec(t) for t in d.argument(node.args[0])]


@ruled(RULES, structure.Reshape)
def _reshape(d: Dense, node: Expr, op: Any) -> list[Term]:
    return [tensors.reshaped(d.plan, t, node.rows, node.cols) for t in d.argument(node.args[0])]


@ruled(RULES, structure.Unit)
def _unit(d: Dense, node: Expr, op: Any) -> list[Term]:
    (v,) = d.low.lower([node])
    return [tensors.of_value(d.plan, node.shape, v)]


@ruled(RULES, structure.HCat, structure.VCat)
def _concatenation(d: Dense, node: Expr, op: Any) -> list[Term]:
    """Each block among zeros."""
    out: list[Term] = []
    start = NOWHERE
    for a in node.args:
        out += [tensors.padded(d.plan, t, op.axis, start, node.shape[op.axis]) for t in d.argument(a)]
        start = start + a.shape[op.axis]
    return out


@ruled(RULES, structure.Slice)
def _slice(d: Dense, node: Expr, op: Any) -> list[Term]:
    e, *indices = node.args
    out = d.argument(e)
    for axis, where in enumerate((op.row, op.col)):
        if where == structure.AT:
            position = position_of(d.plan, d.low.lower([indices.pop(0)])[0], e.shape[axis])
            out = [tensors.at(d.plan, t, axis, position) for t in out]
        elif not isinstance(where, str):
            if any(c < 0 for _, c in (e.shape[axis] - where[1]).terms):
                raise NoContractionError  # it may lie outside
            out = [tensors.part(d.plan, t, axis, where[0] - 1, where[1] - where[0] + 1) for t in out]
    return out


@ruled(RULES, loops.IndexedSum)
def _indexed_sum(d: Dense, node: Expr, op: Any) -> list[Term]:
    """The index as an axis, where it only selects rows, columns or entries; else a loop."""
    body, lower, upper = node.args
    first, last = d.low.lower([lower, upper])
    index = d.plan.value("index", (), (), op.index.op.name)
    size = last.attrs[0] if last.op in ("size", "const") else None
    if first is d.plan.one and size is not None:
        try:
            return [_over_index(d.plan, t, index, dim(size)) for t in d.argument(body)]
        except NoContractionError:
            pass
    if node in d.varies:
        raise NoContractionError
    loop = d.plan.value(
        "loop", (index, d.value(body, repeated=True), whole(d.plan, first), whole(d.plan, last)), array_shape(node)
    )
    return [tensors.of_value(d.plan, node.shape, loop)]


def _over_index(plan: Plan, t: Term, index: Value, size: Dim) -> Term:
    """The sum of the terms for an index from 1 to ``size``, the index being one more axis."""
    axes = tensors.axes_of(size)
    position = plan.value("position", (index, plan.dimension(size)), ())
    factors: list[tuple[Value, Axes]] = []
    scalars: list[Value] = []
    found = False
    pending = [*t.factors, *[(s, ()) for s in t.scalars]]
    while pending:
        v, held = pending.pop()
        if v.op == "T" and index in v.indices:
            pending.append((v.args[0], held[::-1]))
        elif v.op == "mul" and v.attrs[1] == len(v.args) and index in v.indices:
            pending += [_spread_over(a, held) for a in v.args]
            t = tensors.scaled(t, v.attrs[0])
        elif index not in v.indices:
            if held:
                factors.append((v, held))
            else:
                scalars.append(v)
        else:
            factors.append(_selected(plan, v, held, position, axes))
            found = True
    fixed = []
    change = {}
    for axis, at in t.fixed:
        if at is position:
            change[axis] = axes
            found = True
        elif index in at.indices:
            raise NoContractionError
        else:
            fixed.append((axis, at))
    if not found or not axes:
        raise NoContractionError
    rest = t._replace(factors=tuple(factors), scalars=tuple(scalars), fixed=tuple(fixed), summed=t.summed + axes)
    return tensors.renamed(plan, rest, change)


def _spread_over(v: Value, axes: Axes) -> Factor:
    """A factor of an elementwise product, with the axes that it has."""
    if v.op == "newaxis":
        return v.args[0], axes[:1] if v.attrs[0] == 1 else axes[1:]
    return v, axes[len(axes) - v.rank :]


def _selected(plan: Plan, v: Value, held: Axes, position: Value, axes: Axes) -> Factor:
    """A row, column or entry at the index, as a factor that has the axis of the index."""
    if v.op != "block" or "range" in v.attrs:
        raise NoContractionError
    base, *places = v.args
    if places.count(position) != 1 or any(position.indices & p.indices for p in [base, *places] if p is not position):
        raise NoContractionError
    free = list(held)
    new: list[Axis] = []
    wheres, rest = [], []
    for where in v.attrs:
        if where == "all":
            new.append(free.pop(0))
            wheres.append("all")
            continue
        at = places.pop(0)
        if at is position:
            new += axes
            wheres.append("all")
        else:
            rest.append(at)
            wheres.append("at")
    if rest:
        base = plan.value("block", (base, *rest), tuple([a.size for a in new]), *wheres)
    return base, tuple(new)


__all__ = ["RULES", "summed"]
