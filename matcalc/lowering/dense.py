"""Matrices with structure, written straight into their own array: Jacobians and Hessians.

An expression made of Kronecker and Khatri-Rao products, commutation matrices, diagonals of vec, identities, ones and
ordinary matrices becomes a sum of terms over many axes (tensors.py). Each is contracted to two small arrays at most,
and their product goes into a view of the result: of its diagonal where axes coincide, of a block where blocks stand
side by side. No factor is formed that has the size of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from matcalc.dims import ONE, Dim, Shape, dim
from matcalc.expr import Expr, postorder
from matcalc.lowering import tensors
from matcalc.lowering.assembling import Piece
from matcalc.lowering.blocks import NOWHERE, blocks_of, is_diagonal, is_open, is_worth
from matcalc.lowering.contraction import expanded, operands, product, times_number
from matcalc.lowering.elementwise import tightened
from matcalc.lowering.operators import whole
from matcalc.lowering.plan import ArrayShape, Plan, Value
from matcalc.lowering.rearranging import position_of
from matcalc.lowering.tensors import Axes, Axis, Factor, NoContractionError, Term
from matcalc.lowering.walk import Lowering, array_shape
from matcalc.primitives import algebra, leaves, loops, products, reductions, structure
from matcalc.primitives.base import Primitive

_MOST_TERMS = 16  # of one expression; a product of longer sums is computed from its factors

Ranges: TypeAlias = tuple[tuple[Dim, Dim] | None, ...]
Where: TypeAlias = tuple[Ranges, ArrayShape]  # the ranges of a block and its shape


class Dense:
    """Terms of expressions, and the values that put them together; ``weights`` is the variable of a stack."""

    def __init__(self, low: Lowering, weights: Expr | None = None) -> None:
        self.low, self.plan, self.weights = low, low.plan, weights
        self._terms: dict[Expr, list[Term]] = {}
        self.varies: set[Expr] = set()

    # Expressions to terms

    def prepare(self, root: Expr) -> None:
        """Computes the terms of all that has structure under ``root``, arguments first."""
        if self.weights is not None:
            for e in postorder([root], stop=self.varies.__contains__):
                if e is self.weights or not self.varies.isdisjoint(e.args):
                    self.varies.add(e)
        for node in postorder([root], stop=lambda e: e in self._terms or not self._is_opened(e)):
            if node not in self._terms and self._is_opened(node):
                self._terms[node] = self._opened(node)

    def _is_opened(self, e: Expr) -> bool:
        return is_open(e) or e in self.varies

    def is_apart(self, e: Expr) -> bool:
        """Whether ``e`` is not computed together with its neighbours in a sum or product of ordinary matrices."""
        return self._is_opened(e) or isinstance(e.op, structure.Vec | structure.Unit)

    def _opened(self, node: Expr) -> list[Term]:
        try:
            if node is self.weights:
                axes = tensors.axes_of(node.rows)
                return [Term(axes, axes, ())]
            rule = RULES.get(type(node.op))
            if rule is None:
                raise NoContractionError
            return [t for t in rule(self, node, node.op) if t.coefficient != 0]
        except NoContractionError:
            if node in self.varies:
                raise
            return self._whole(node)

    def argument(self, e: Expr) -> list[Term]:
        """The terms of an argument, computed as a whole where it has no structure."""
        found = self._terms.get(e)
        if found is None:
            rule = RULES[type(e.op)] if isinstance(e.op, structure.Vec | structure.Unit) else None
            found = self._terms[e] = rule(self, e, e.op) if rule is not None else self._whole(e)
        return found

    def _whole(self, e: Expr) -> list[Term]:
        if e.is_zero:
            return []
        if e in self.varies:
            raise NoContractionError
        (v,) = self.low.lower([e])
        return [t for t in [tensors.of_value(self.plan, e.shape, v)] if t.coefficient != 0]

    def formed(self, e: Expr) -> list[Term]:
        """An expression with structure as one array."""
        if e in self.varies:
            raise NoContractionError
        return [tensors.of_value(self.plan, e.shape, self.value(e))]

    # Terms to values

    def value(self, root: Expr, *, repeated: bool = False) -> Value:
        """The value of ``root``, put together from its blocks; ``repeated`` where each is added to what is there."""
        blocks, apart = blocks_of(root)
        lead = (self.weights.rows,) if self.weights is not None else ()
        shape = (*lead, *root.shape)
        places: dict[tuple[Dim, Dim, Shape], list[Expr]] = {}
        for b in blocks:
            places.setdefault(b.place, []).append(b.expr)
        writer = _Pieces(self.plan)
        filled = apart
        mirrored: list[Piece] = []  # blocks that are the transpose of another one
        written: dict[Expr, Where] = {}
        for place, exprs in places.items():
            where = _where(place, shape, len(lead))
            (e, *others) = exprs
            original = written.get(algebra.transpose(e)) if not (others or repeated) and apart else None
            if original is not None:
                mirrored.append(writer.mirrored(where, original))
                continue
            if apart and not others:
                written[e] = where
            found = [t for e in exprs for t in self._summands(e)]
            found = [t if t.lead else t._replace(lead=tensors.axes_of(*lead)) for t in found]
            found.sort(key=lambda t: not _covers(t))
            filled = filled and bool(found) and _covers(found[0])
            for t in writer.together(found, where, apart):
                writer.put(t, where, apart and not any(p.ranges == where[0] for p in writer.pieces))
        args, pieces = tuple(writer.args), (*writer.pieces, *mirrored)
        alone = filled and len(pieces) == len(args) == len(pieces[0].operands) == 1
        if alone and args[0].shape == pieces[0].sizes:
            return self.plan.reshape(args[0], _without_ones(shape))
        return self.plan.value("assemble", args, _without_ones(shape), pieces, filled)

    def value_or_none(self, root: Expr) -> Value | None:
        """The value, or None where the structure is none that is known here."""
        try:
            return self.value(root)
        except NoContractionError:
            return None

    def _summands(self, e: Expr) -> list[Term]:
        self.prepare(e)
        return _sum(self, e, e.op) if e.op is algebra.ADD else self.argument(e)


def _where(place: tuple[Dim, Dim, Shape], shape: tuple[Dim, ...], leading: int) -> Where:
    """The ranges of a block in an array of that shape, and its own shape; axes of one entry are none."""
    row, col, block = place
    ranges: Ranges = (None,) * leading
    ranges += (_range(row, block[0], shape[-2]), _range(col, block[1], shape[-1]))
    sizes = (*shape[:leading], *block)
    kept = tuple([r for r, d in zip(ranges, shape, strict=True) if d is not ONE])
    return kept if any(kept) else (), tuple([s for s, d in zip(sizes, shape, strict=True) if d is not ONE])


def _range(start: Dim, length: Dim, size: Dim) -> tuple[Dim, Dim] | None:
    if length is size:
        return None
    return start, NOWHERE if start + length is size else start + length


def _without_ones(shape: tuple[Dim, ...]) -> ArrayShape:
    return tuple([d for d in shape if d is not ONE])


def _covers(t: Term) -> bool:
    """Whether the term reaches all entries."""
    return not t.fixed and len(set(t.axes)) == len(t.axes) and t.axes == t.outer


def _sides(t: Term, pair: list[Factor], row: int, col: int) -> tuple[tuple[Value, Axes, Axes], ...]:
    """The factor that has the axis ``row`` and the one that has ``col``; none where one has both."""
    for (v, left), (w, right) in (pair, pair[::-1]):
        r, c = t.outer[row], t.outer[col]
        if r in left and c in right and c not in left and r not in right:
            return (v, left, t.outer), (w, right, t.outer)
    return ()


class _Pieces:
    """The statements of one value and their operands."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.args: dict[Value, int] = {}
        self.pieces: list[Piece] = []

    def put(self, t: Term, where: Where, first: bool) -> None:
        plan = self.plan
        adds = 0 if first else 1
        if adds and t.coefficient < 0:
            t, adds = tensors.scaled(t, -1), -1
        fixed = dict(t.fixed)
        windows = {w.axis: w.limits for w in t.windows}
        kept = [a for a in dict.fromkeys(t.axes) if a not in fixed]
        order = {a: k for k, a in enumerate(kept)}
        found, number = operands(plan, t)
        if len(found) == 2 and not {a for _, axes in found for a in axes} <= order.keys():
            found = [product(plan, found[0], found[1], order.keys(), order)]
        if number is not plan.one and adds:
            found = [(times_number(plan, found[0][0], [number], 1), found[0][1])]
            number = plan.one
        values = [expanded(plan, f, kept) for f in found]
        if len(values) == 1 and _covers(t) and values[0].shape == tuple([a.size for a in kept]):
            everywhere, axes = (None,) * len(where[1]), tuple(range(len(where[1])))
            v = self._operand(plan.reshape(values[0], where[1]))
            scale = None if number is plan.one else self._operand(number)
            self.pieces.append(Piece(*where, where[1], everywhere, where[1], axes, (), (v,), adds, scale))
            return
        self.pieces.append(
            Piece(
                *where,
                tuple([a.size for a in t.outer]),
                tuple([windows.get(a) for a in t.outer]),
                tuple([a.size for a in t.axes]),
                tuple([order.get(a) for a in t.axes]),
                tuple([self._operand(fixed[a]) for a in t.axes if a in fixed]),
                tuple([self._operand(v) for v in values]),
                adds,
                scale=None if number is plan.one else self._operand(number),
            )
        )

    def mirrored(self, where: Where, original: Where) -> Piece:
        """The transpose of a block that has been written."""
        sizes = where[1]
        axes = tuple(range(len(sizes)))
        return Piece(*where, sizes, (None,) * len(sizes), sizes, axes, (), (), 0, how="mirror", source=original[0])

    def together(self, terms: list[Term], where: Where, first: bool) -> list[Term]:
        """Writes products of two factors that reach all entries as one batch of outer products, or of matrix products
        whose inner dimension counts the terms: one pass over the result instead of one for each. Gives the other terms.
        """
        groups: dict[ArrayShape, list[tuple[Term, list[Factor]]]] = {}
        for t in terms:
            if _covers(t) and len(t.outer) > 1:
                pair = operands(self.plan, t).factors
                if len(pair) == 2 and {a for _, axes in pair for a in axes} <= set(t.outer):
                    groups.setdefault(tuple([a.size for a in t.outer]), []).append((t, pair))
        sizes, group = max(groups.items(), key=lambda item: len(item[1]), default=((), []))
        last = len(sizes) - 1
        if len(group) < 2 and (not first or last < 2):
            return terms
        for row in range(last - 1, -1, -1):
            sides = [s for s in (_sides(t, pair, row, last) for t, pair in group) if s]
            if len(sides) < len(group):
                continue
            axes = tuple(range(len(sizes)))
            order = (*[k for k in axes if k not in (row, last)], row, last)
            if len(sides) > 1:
                left = self._stacked([s[0] for s in sides], row, last, sizes)
                right = self._stacked([s[1] for s in sides], last, row, sizes)
            else:
                ((v, mine, outer), (w, yours, _)) = sides[0]
                left = expanded(self.plan, (v, mine), [outer[k] for k in order[:-1]])
                right = expanded(self.plan, (w, yours), [outer[k] for k in (*order[:-2], last)])
            args = (self._operand(left), self._operand(right))
            how = "matmul" if len(sides) > 1 else "outer"
            everywhere = (None,) * len(sizes)
            adds = 0 if first else 1
            self.pieces.append(Piece(*where, sizes, everywhere, sizes, axes, (), args, adds, how=how, turned=order))
            done = [t for t, _ in group]
            return [t for t in terms if not any(t is u for u in done)]
        return terms

    def _stacked(self, factors: list[tuple[Value, Axes, Axes]], own: int, other: int, sizes: ArrayShape) -> Value:
        """One side of the batch of products: arrays over the batch, the axis of this side, and the terms."""
        plan = self.plan
        at = [{outer.index(a) for a in axes} for _, axes, outer in factors]
        used = [k for k in range(len(sizes)) if k != own and any(k in held for held in at)] + [own]
        arrays = [expanded(plan, (v, axes), [outer[k] for k in used]) for v, axes, outer in factors]
        count = dim(len(arrays))
        shape = [*[sizes[k] for k in used[:-1]], *([sizes[own], count] if own < other else [count, sizes[own]])]
        ragged = any(a.rank < len(used) or ONE in a.shape for a in arrays)
        v = plan.value("stack", tuple(arrays), tuple(shape), -1 if own < other else -2, ragged)
        batch = [k for k in range(len(sizes)) if k not in (own, other)]
        present = [*[k in used for k in batch], True, True]
        start = present.index(True)
        if all(present[start:]):
            return v
        rows, cols = shape[-2:]
        full = tuple([sizes[k] if k in used else ONE for k in batch[start:]])
        return plan.value("expand", (v,), (*full, rows, cols), *present[start:])

    def _operand(self, v: Value) -> int:
        return self.args.setdefault(v, len(self.args))


# Rules: from the node, its primitive and the terms of its arguments to terms

Rule: TypeAlias = Callable[[Dense, Expr, Any], list[Term]]
RULES: dict[type[Primitive], Rule] = {}


def _rule(*kinds: type[Primitive]) -> Callable[[Rule], Rule]:
    def add(rule: Rule) -> Rule:
        for kind in kinds:
            RULES[kind] = rule
        return rule

    return add


def _pairs(d: Dense, node: Expr, of_two: Callable[[Plan, Term, Term], Term]) -> list[Term]:
    return [of_two(d.plan, a, b) for a in d.argument(node.args[0]) for b in d.argument(node.args[1])]


@_rule(products.Kron)
def _kron(d: Dense, node: Expr, op: Any) -> list[Term]:
    return _pairs(d, node, tensors.both)


@_rule(products.KhatriRao)
def _khatri_rao(d: Dense, node: Expr, op: Any) -> list[Term]:
    return _pairs(d, node, tensors.khatri_rao)


@_rule(products.Inner)
def _inner(d: Dense, node: Expr, op: Any) -> list[Term]:
    return [tensors.totalled(t) for t in _pairs(d, node, tensors.hadamard)]


@_rule(algebra.Add)
def _sum(d: Dense, node: Expr, op: Any) -> list[Term]:
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


@_rule(algebra.Product)
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


@_rule(algebra.Hadamard)
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


@_rule(algebra.Transpose)
def _transpose(d: Dense, node: Expr, op: Any) -> list[Term]:
    return [tensors.transposed(t) for t in d.argument(node.args[0])]


@_rule(leaves.Identity)
def _identity(d: Dense, node: Expr, op: Any) -> list[Term]:
    return [tensors.identity(node.rows)]


@_rule(leaves.Ones)
def _ones(d: Dense, node: Expr, op: Any) -> list[Term]:
    return [tensors.constant(node.rows, node.cols)]


@_rule(leaves.Commutation)
def _commutation(d: Dense, node: Expr, op: Any) -> list[Term]:
    return [tensors.commutation(op.m, op.n)]


@_rule(reductions.Sum)
def _total(d: Dense, node: Expr, op: Any) -> list[Term]:
    return [tensors.totalled(t, op.axis) for t in d.argument(node.args[0])]


@_rule(reductions.Trace)
def _trace(d: Dense, node: Expr, op: Any) -> list[Term]:
    return [tensors.totalled(tensors.on_diagonal(d.plan, t)) for t in d.argument(node.args[0])]


@_rule(structure.Diagonal)
def _diagonal(d: Dense, node: Expr, op: Any) -> list[Term]:
    return [tensors.diagonal(t) for t in d.argument(node.args[0])]


@_rule(structure.DiagonalPart)
def _diagonal_part(d: Dense, node: Expr, op: Any) -> list[Term]:
    return [tensors.on_diagonal(d.plan, t) for t in d.argument(node.args[0])]


@_rule(structure.Vec)
def _vec(d: Dense, node: Expr, op: Any) -> list[Term]:
    return [tensors.vec(t) for t in d.argument(node.args[0])]


@_rule(structure.Reshape)
def _reshape(d: Dense, node: Expr, op: Any) -> list[Term]:
    return [tensors.reshaped(d.plan, t, node.rows, node.cols) for t in d.argument(node.args[0])]


@_rule(structure.Unit)
def _unit(d: Dense, node: Expr, op: Any) -> list[Term]:
    (v,) = d.low.lower([node])
    return [tensors.of_value(d.plan, node.shape, v)]


@_rule(structure.HCat, structure.VCat)
def _concatenation(d: Dense, node: Expr, op: Any) -> list[Term]:
    """Each block among zeros."""
    out: list[Term] = []
    start = NOWHERE
    for a in node.args:
        out += [tensors.padded(d.plan, t, op.axis, start, node.shape[op.axis]) for t in d.argument(a)]
        start = start + a.shape[op.axis]
    return out


@_rule(structure.Slice)
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


@_rule(loops.IndexedSum)
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


def lowered(low: Lowering, roots: Sequence[Expr]) -> list[Value]:
    """The values of the roots; matrices with structure are put together in arrays of their own."""
    special = [r for r in dict.fromkeys(roots) if is_worth(r)]
    dense = Dense(low)
    low.dense = dense.value_or_none
    low.lower([r for r in roots if r not in special])
    for r in special:
        found = dense.value_or_none(r)
        low.values[r] = low.lower([r])[0] if found is None else found
    return [low.values[r] for r in roots]


def stack(low: Lowering, root: Expr, weights: Expr) -> Value:
    """The array whose k-th slice is ``root`` at ``weights`` = e(k); the root is linear in the weights.

    They are an axis in front that counts with the entries of the weights; where a function of them is in the way, the
    slices are computed one after the other.
    """
    plan = low.plan
    low.dense = Dense(low).value_or_none
    if weights.is_scalar:
        (v,) = low.inside({weights: plan.one}).lower([root])
        return v
    try:
        return Dense(low, weights).value(root)
    except NoContractionError:
        pass
    index, size = plan.value("index", (), (), "k"), plan.dimension(weights.rows)
    position = plan.value("position", (index, size), ())
    at = plan.value("unit", (position, size), (weights.rows,))
    (body,) = low.inside({weights: at}).lower([root])
    body = tightened(plan, body, array_shape(root))
    return plan.value("loop", (index, body, plan.one, size), (weights.rows, *body.shape), "stack")


__all__ = ["Dense", "lowered", "stack"]
