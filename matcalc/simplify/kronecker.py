"""Kronecker and Khatri-Rao products, vec, commutation matrices and diagonals beside each other in a product.

A row and a column next to each other in a Kronecker product commute, so of ``x' (x) y`` the product ``y*x'`` is kept.
Commutation matrices go to the right, ``K*(A (x) B) = (B (x) A)*K``; the sum ``a*I + b*K`` goes to the left.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from matcalc.dims import ONE, Dim
from matcalc.expr import Expr, make
from matcalc.primitives.algebra import ADD, PRODUCT, TRANSPOSE
from matcalc.primitives.base import Primitive, zeros
from matcalc.primitives.leaves import Commutation, Identity, Ones, commutation, const, identity, ones
from matcalc.primitives.products import KHATRI_RAO, KRON, KhatriRao, Kron
from matcalc.primitives.structure import ALL, Diagonal, DiagonalPart, HCat, Slice, VCat, Vec
from matcalc.simplify import effort, hadamards, heads, neighbours, products, sums, transposes
from matcalc.simplify.cost import look
from matcalc.simplify.heads import handles
from matcalc.simplify.terms import Term, assemble, assembled, term

_DIAGONAL, _PART, _VEC = Diagonal(), DiagonalPart(), Vec()
_KINDS = (Kron, KhatriRao, Commutation, Vec, Slice)
_MOST = 4  # terms of a sum that are tried one by one
_WORTH = 3  # what writing out a product must save where no identity stands in the sum


# The nodes themselves


@handles(Kron, KhatriRao)
def of_two(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    """``A (x) B`` or ``A * B`` column by column, with numbers in front; of three, the first two belong together."""
    c, s, m = term(args[0])
    d, t, k = term(args[1])
    if not c or not d:
        return zeros(make(op, args).shape)
    if c != 1 or d != 1 or s or t:
        rest = (assemble(1, (), m), assemble(1, (), k))
        inner = products.times(*rest) if not m or not k else of_two(op, rest)
        return products.times(const(c), const(d), *s, *t, inner)
    a, b = args
    if a.is_scalar or b.is_scalar:
        return products.times(a, b)
    inside = _parts(b, op)
    if len(inside) > 1:
        for part in inside:
            a = of_two(op, (a, part))
        return a
    return _khatri_rao(a, b) if isinstance(op, KhatriRao) and a.cols is not ONE else _kron(a, b)


def _kron(a: Expr, b: Expr) -> Expr:
    if a.rows is ONE and b.rows is ONE:  # a row is the transpose of a column
        return transposes.transposed(_kron(transposes.transposed(a), transposes.transposed(b)))
    last = a.args[1] if a.op is KRON else a
    joined = _side_by_side(last, b)
    if joined is not None:
        return joined if last is a else _kron(a.args[0], joined)
    parts = [*_parts(a, KRON), b]
    if any(hadamards.is_outer(p) for p in parts) and all(_is_flat(p) for p in parts):
        columns, rows = zip(*[_cut(p) for p in parts], strict=True)
        return products.times(kron(*columns), kron(*rows))
    return make(KRON, (a, b))


def _side_by_side(a: Expr, b: Expr) -> Expr | None:
    """Two parts of a Kronecker product that are one matrix."""
    if isinstance(a.op, Identity) and isinstance(b.op, Identity):
        return identity(a.rows * b.rows)
    if _is_ones(a) and _is_ones(b):
        return simple_ones(a.rows * b.rows, a.cols * b.cols)
    if a.cols is ONE and b.rows is ONE:
        return products.times(a, b)
    if a.rows is ONE and b.cols is ONE:
        return products.times(b, a)
    return None


def _is_flat(e: Expr) -> bool:
    return e.rows is ONE or e.cols is ONE or hadamards.is_outer(e)


def _cut(e: Expr) -> tuple[Expr, Expr]:
    """Column and row of a matrix of rank one."""
    if e.cols is ONE:
        return e, const(1)
    return (const(1), e) if e.rows is ONE else products.cut(e.args)


def _khatri_rao(a: Expr, b: Expr) -> Expr:
    # One row beside another matrix scales its columns.
    row, other = (a, b) if a.rows is ONE else (b, a)
    if row.rows is ONE:
        return products.times(other, products.unary(_DIAGONAL, transposes.transposed(row)))
    if _is_diagonal(a) and _is_diagonal(b):
        return make(KHATRI_RAO, (identity(a.rows), products.times(a, b)))
    # The same row in all rows of a factor scales the columns of the whole.
    for one, rest, flipped in ((a, b, False), (b, a, True)):
        if hadamards.is_outer(one) or isinstance(one.op, Ones):
            column, row = _column_and_row(one)
            if hadamards.is_ones_row(row) or hadamards.is_outer(rest):
                whole = kron(rest, column) if flipped else kron(column, rest)
                return products.times(whole, products.unary(_DIAGONAL, transposes.transposed(row)))
    for k, one in enumerate((a, b)):
        if one.op is PRODUCT and one.args[-1].op is _DIAGONAL:
            rest = assemble(1, (), one.args[:-1])
            return products.times(_khatri_rao(*((rest, b) if k == 0 else (a, rest))), one.args[-1])
    return make(KHATRI_RAO, (a, b))


def kron(*parts: Expr) -> Expr:
    """The Kronecker product of simplified matrices."""
    whole = parts[0]
    for p in parts[1:]:
        whole = of_two(KRON, (whole, p))
    return whole


def khatri_rao(*parts: Expr) -> Expr:
    """The column-wise product of simplified matrices."""
    whole = parts[0]
    for p in parts[1:]:
        whole = of_two(KHATRI_RAO, (whole, p))
    return whole


def commuting(rows: Dim, cols: Dim) -> Expr:
    """The commutation matrix; of a row or column it is the identity."""
    return identity(rows * cols) if rows is ONE or cols is ONE else commutation(rows, cols)


def simple_ones(rows: Dim, cols: Dim) -> Expr:
    return transposes.transposed(ones(cols)) if rows is ONE else ones(rows, cols)


def _is_ones(e: Expr) -> bool:
    return isinstance(e.op, Ones) or hadamards.is_ones_row(e)


def _is_diagonal(e: Expr) -> bool:
    return isinstance(e.op, (Identity, Diagonal))


def _parts(e: Expr, op: Primitive) -> list[Expr]:
    """The matrices that a Kronecker or Khatri-Rao product is one of."""
    out: list[Expr] = []
    while e.op is op:
        out.append(e.args[1])
        e = e.args[0]
    if e.op is TRANSPOSE and e.is_row and e.args[0].op is op:
        return [*[transposes.transposed(p) for p in _parts(e.args[0], op)], *out[::-1]]
    out.append(e)
    return out[::-1]


# Neighbours in a product


def joined(a: Expr, b: Expr) -> Sequence[Expr] | None:
    """The factors that two factors side by side become; every case leaves fewer, or fewer diagonals of vec."""
    if not _matters(a) and not _matters(b):
        return None
    found = _from_left(a, b)
    if found is None:
        turned = _from_left(transposes.transposed(b), transposes.transposed(a))
        if turned is not None:
            found = [transposes.transposed(f) for f in reversed(turned)]
    return found


def _matters(e: Expr) -> bool:
    op = e.args[0].op if e.op is TRANSPOSE else e.op
    return isinstance(op, _KINDS) or (op is ADD and _of_commutation(e))


def _from_left(a: Expr, b: Expr) -> Sequence[Expr] | None:
    if a.op is KRON:
        return _of_kron(a, b)
    if isinstance(a.op, Commutation):
        if b.op is KRON or b.op is KHATRI_RAO:
            return _swapped(a, b)
        if b.op is _VEC and b.args[0].shape == (a.op.m, a.op.n):
            return [products.unary(_VEC, transposes.transposed(b.args[0]))]
        if isinstance(b.op, Ones):
            return [b]
    elif a.op is TRANSPOSE and (a.args[0].op is KHATRI_RAO or a.args[0].op is KRON):
        return _of_khatri_rao_turned(a.args[0], b)
    elif a.op is KHATRI_RAO:
        return _of_khatri_rao(a, b)
    elif a.op is _DIAGONAL:
        if a.args[0].op is _VEC and (b.op is KRON or b.op is KHATRI_RAO):
            return _of_diagonal(a.args[0].args[0], b)
    elif isinstance(a.op, Slice):
        if isinstance(a.args[0].op, Identity) and a.op.col == ALL:
            return [heads.applied(a.op, (b, *a.args[1:]))]
    elif a.op is ADD and (b is a or isinstance(b.op, Commutation)) and _of_commutation(a):
        parts = sums.plus(*[products.times(t, b) for t in a.args])
        return [parts] if look(parts).cost < look(a).cost + look(b).cost else None
    return None


def _of_kron(a: Expr, b: Expr) -> Sequence[Expr] | None:
    if b.op is KHATRI_RAO:
        of_columns = _mixed(_parts(a, KRON), _parts(b, KHATRI_RAO), KHATRI_RAO)
        if of_columns is not None:
            return of_columns
    found = _mixed(_parts(a, KRON), _parts(b, KRON), KRON)
    if found is None and b.op is _VEC:
        # (P (x) Q)*vec(X) = vec(Q*X*P')
        x = b.args[0]
        parts = _parts(a, KRON)
        at = _split(parts, 1, x.cols)
        if at is not None:
            first, last = kron(*parts[:at]), kron(*parts[at:])
            return [products.unary(_VEC, products.times(last, x, transposes.transposed(first)))]
    return found


def _mixed(left: list[Expr], right: list[Expr], op: Primitive) -> list[Expr] | None:
    """(A (x) B)*(C (x) D) = A*C (x) B*D, where the dimensions between them are split alike.

    A column on the left, as in (x (x) A)*B = x (x) A*B, stands beside nothing on the right; so does a row there.
    """
    if len(right) == 1 and not any(p.cols is ONE for p in left):
        return None
    if len(left) == 1 and not any(p.rows is ONE for p in right):
        return None
    chunks = _chunks(_products(left, 1), _products(right, 0))
    if len(chunks) < 2 or (op is KHATRI_RAO and any(k == n for _, _, k, n in chunks)):
        return None
    join = kron if op is KRON else khatri_rao
    built = []
    for i, j, k, n in chunks:
        factors = [kron(*left[i:j])] if i < j else []
        if k < n:
            factors.append(join(*right[k:n]))
        built.append(products.times(*factors))
    return [join(*built)]


def _products(parts: Sequence[Expr], axis: int) -> list[Dim]:
    """The sizes of the first parts of a Kronecker product, none to all."""
    out = [ONE]
    for p in parts:
        d = p.shape[axis]
        out.append(d if out[-1] is ONE else out[-1] if d is ONE else out[-1] * d)
    return out


def _chunks(u: list[Dim], v: list[Dim]) -> list[tuple[int, int, int, int]]:
    """Ranges of parts on both sides between the places at which the same dimension is split."""
    places: list[tuple[int, int]] = []
    for i, d in enumerate(u):
        if i and d is u[i - 1]:
            continue
        js = [j for j, e in enumerate(v) if e is d]
        if js:
            last = max(k for k, e in enumerate(u) if e is d)
            places += [(i, js[0])] if last == i and len(js) == 1 else [(i, js[0]), (last, js[-1])]
    return [(i, j, k, n) for (i, k), (j, n) in pairwise(places)]


def _split(parts: Sequence[Expr], axis: int, d: Dim) -> int | None:
    """Where a Kronecker product is cut into two with ``d`` rows (or columns) in the first."""
    sizes = _products(parts, axis)
    return next((i for i in range(1, len(parts)) if sizes[i] is d), None)


def _of_khatri_rao_turned(a: Expr, b: Expr) -> Sequence[Expr] | None:
    """(A * B)'*(C * D) = (A'*C) .* (B'*D), and (A * B)'*vec(X) = diag(B'*X*A); A and B may be columns."""
    left = _parts(a, a.op)
    if b.op is _VEC:
        x = b.args[0]
        at = _split(left, 0, x.cols)
        if at is None:
            return None
        first, last = khatri_rao(*left[:at]), khatri_rao(*left[at:])
        return [products.unary(_PART, products.times(transposes.transposed(last), x, first))]
    if b.op is KHATRI_RAO or (b.op is KRON and b.cols is ONE):
        right = _parts(b, b.op)
        chunks = _chunks(_products(left, 0), _products(right, 0))
        if len(chunks) > 1 and all(i < j and k < n for i, j, k, n in chunks):
            built = [
                products.times(transposes.transposed(khatri_rao(*left[i:j])), khatri_rao(*right[k:n]))
                for i, j, k, n in chunks
            ]
            return [hadamards.hadamard(*built)]
    return None


def _of_khatri_rao(a: Expr, b: Expr) -> Sequence[Expr] | None:
    """(A * B)*diag(v) where A or B is diagonal; (A * B)*v = vec(B*diag(v)*A') where that is shorter."""
    first, last = a.args
    if b.op is _DIAGONAL:
        if _is_diagonal(first):
            return [khatri_rao(products.times(first, b), last)]
        return [khatri_rao(first, products.times(last, b))] if _is_diagonal(last) else None
    if b.cols is ONE:
        inner = products.times(last, products.unary(_DIAGONAL, b), transposes.transposed(first))
        found = products.unary(_VEC, inner)
        return [found] if look(found).cost < look(a).cost + look(b).cost + 2 else None
    return None


def _of_diagonal(p: Expr, b: Expr) -> Sequence[Expr] | None:
    """diag(vec(P)) beside a product one part of which is diagonal; entry (j, i) of vec(P) is P[i,j]."""
    parts = _parts(b, b.op)
    at = _split(parts, 0, p.cols)
    if at is None:
        return None
    if b.op is KHATRI_RAO:
        first, last = khatri_rao(*parts[:at]), khatri_rao(*parts[at:])
        if _is_diagonal(first):
            return [khatri_rao(first, hadamards.hadamard(p, last))]
        if _is_diagonal(last):
            return [khatri_rao(hadamards.hadamard(transposes.transposed(p), first), last)]
        return None
    first, last = kron(*parts[:at]), kron(*parts[at:])
    if _is_diagonal(first) and _is_diagonal(last):
        new = products.unary(_DIAGONAL, products.unary(_VEC, products.times(last, p, first)))
        return [new] if look(new).cost < look(b).cost + look(p).cost + 8 else None
    if b.cols is ONE:
        return None
    if last.cols is ONE or _of_rank_one(last):  # (B (x) u*v') = (I (x) u)*(B (x) v')
        column, row = _column_and_row(last)
        inner = products.times(products.unary(_DIAGONAL, column), p)
        return [khatri_rao(identity(first.rows), inner), kron(first, row)]
    if first.cols is ONE or _of_rank_one(first):
        column, row = _column_and_row(first)
        inner = products.times(products.unary(_DIAGONAL, column), transposes.transposed(p))
        return [khatri_rao(inner, identity(last.rows)), kron(row, last)]
    return None


def _of_rank_one(e: Expr) -> bool:
    return isinstance(e.op, Ones) or hadamards.is_outer(e)


def _column_and_row(e: Expr) -> tuple[Expr, Expr]:
    return (ones(e.rows), transposes.transposed(ones(e.cols))) if isinstance(e.op, Ones) else _cut(e)


# Commutation matrices


def _swapped(k: Expr, b: Expr) -> Sequence[Expr] | None:
    """K*(A * B) = B * A, and K*(A (x) B) = B (x) A where the commutation matrix on the right is an identity."""
    found = _turned(k, b)
    return None if found is None or len(found) > 1 else found


def _turned(k: Expr, b: Expr) -> list[Expr] | None:
    """K*(A (x) B) = (B (x) A)*K, the two factors or the first."""
    assert isinstance(k.op, Commutation)
    parts = _parts(b, b.op)
    at = _split(parts, 0, k.op.n)
    if at is None:
        return None
    join = kron if b.op is KRON else khatri_rao
    first, last = join(*parts[:at]), join(*parts[at:])
    whole = join(last, first)
    if b.op is KHATRI_RAO or first.cols is ONE or last.cols is ONE:
        return [whole]
    return [whole, commutation(last.cols, first.cols)]


def passed(a: Expr, b: Expr) -> Sequence[Expr] | None:
    """Two factors in their other order where a commutation matrix goes to the right, or ``a*I + b*K`` to the left."""
    if isinstance(a.op, Commutation):
        if b.op is KRON:
            return _turned(a, b)
        if b.op is _DIAGONAL and b.args[0].op is _VEC and b.args[0].args[0].shape == (a.op.m, a.op.n):
            turned = products.unary(_VEC, transposes.transposed(b.args[0].args[0]))
            return [products.unary(_DIAGONAL, turned), a]
        if b.op is ADD and len(b.args) <= _MOST and not _of_commutation(b):
            return _past_sum(a, b)
    if b.op is ADD and _is_square(a) and _of_commutation(b):
        return [_of_order(b, a.args[0].rows), a]
    return None


def _past_sum(k: Expr, total: Expr) -> Sequence[Expr] | None:
    """K*(A (x) B + C (x) D) = (B (x) A + D (x) C)*K, where it goes past every term."""
    rest = []
    behind: set[Expr] = set()
    for t in total.args:
        c, s, m = term(products.times(k, t))
        if not m or not isinstance(m[-1].op, Commutation) or _commutes([m[:-1]]):
            return None
        behind.add(m[-1])
        rest.append(assemble(c, s, m[:-1] or (identity(k.rows),)))
    return [sums.plus(*rest), behind.pop()] if len(behind) == 1 else None


def moves(a: Expr) -> bool:
    """Whether a factor goes to one side of Kronecker products."""
    return isinstance(a.op, Commutation) or (a.op is ADD and _of_commutation(a))


def _is_square(a: Expr) -> bool:
    """Whether a factor is ``A (x) A``, for which ``K*(A (x) A) = (A (x) A)*K`` with K of the orders of A."""
    return a.op is KRON and a.args[0] is a.args[1] and ONE not in a.args[0].shape


def _of_order(total: Expr, n: Dim) -> Expr:
    """``a*I + b*K`` with the same a and b, and K of order n*n."""
    parts = []
    for c, s, m in map(term, total.args):
        other = identity(n * n) if isinstance(m[0].op, Identity) else commutation(n, n)
        parts.append(products.times(const(c), *s, other))
    return sums.plus(*parts)


def _of_commutation(e: Expr) -> bool:
    """Whether a sum is ``a*I + b*K`` with numbers a and b and a symmetric K."""
    if len(e.args) != 2:
        return False
    ops = [m[0].op for _, _, m in map(term, e.args) if len(m) == 1]
    return (
        len(ops) == 2
        and any(isinstance(op, Identity) for op in ops)
        and any(isinstance(op, Commutation) and op.m is op.n for op in ops)
    )


def gathered(out: list[Expr]) -> list[Expr] | None:
    """``(B (x) C)*(I + K)*(A (x) A)`` with the products together, ``(I + K)*(B (x) A)*K`` without the last."""
    for i in range(len(out) - 2):
        a, b, c = out[i : i + 3]
        if a.op is KRON and _is_square(c) and b.op is ADD and _of_commutation(b):
            return [*out[:i], products.times(a, c), _of_order(b, c.args[0].cols), *out[i + 3 :]]
        if b.op is KRON and isinstance(c.op, Commutation) and a.op is ADD and _of_commutation(a):
            parts = _parts(b, KRON)
            at = _split(parts, 0, commuted(a).n)
            found = None if at is None else [kron(*parts[:at]), kron(*parts[at:])]
            if found is not None and found[1].cols is c.op.n and found[0].cols is c.op.m:
                inner = sums.plus(*[products.times(t, make(commuted(a))) for t in a.args])
                return [*out[:i], inner, kron(found[1], found[0]), *out[i + 3 :]]
    return None


def commuted(total: Expr) -> Commutation:
    """The commutation matrix in ``a*I + b*K``."""
    return next(m[0].op for _, _, m in map(term, total.args) if isinstance(m[0].op, Commutation))


def spread(out: list[Expr]) -> Expr | None:
    """A product with a small sum written out where one of its terms combines with a neighbour and that is shorter.

    Next to a commutation matrix that goes past some of the terms only, also where it is as long.
    """
    if not any(f.op is ADD or (f.op is TRANSPOSE and f.args[0].op is ADD) for f in out):
        return None
    product = make(PRODUCT, tuple(out))
    if "spread" not in product.memo:
        product.memo["spread"] = None  # while it is being tried
        product.memo["spread"] = found = _spread(out, look(product).cost)
        if effort.is_spent():
            del product.memo["spread"]
        return found
    known: Expr | None = product.memo["spread"]
    return known


@effort.trial
def _spread(out: list[Expr], cost: int) -> Expr | None:
    for i, f in enumerate(out):
        total = f.args[0] if f.op is TRANSPOSE else f
        if total.op is not ADD or len(total.args) > _MOST or look(f).size > 4 * sums.SMALL:
            continue
        terms = list(total.args) if total is f else [transposes.transposed(a) for a in total.args]
        inside = [term(a).factors for a in terms]
        near = out[max(i - 1, 0) : i] + out[i + 1 : i + 2]
        with_identity = any(len(m) == 1 and isinstance(m[0].op, Identity) for m in inside)
        inverted = _inverted(out[:i], inside, out[i + 1 :])
        matters = any(map(_matters, near)) and any(_matters(a) for m in inside for a in m)
        if not with_identity and not inverted and not matters:
            continue
        # A number spread over the entries of the sum is a matrix once it stands alone in a product.
        terms = [products.times(a, ones(*f.shape)) if a.is_scalar else a for a in terms]
        parts = [products.times(*out[:i], a, *out[i + 1 :]) for a in terms]
        found = [term(p).factors for p in parts]
        lengths = [sum([not isinstance(b.op, Identity) for b in m]) for m in inside]
        combined = [len(m) < len(out) - 1 + n for m, n in zip(found, lengths, strict=True)]
        ends = [(m[0], m[-1]) for m in found if len(m) > 1]
        if not any(combined) and not all(map(_differ, zip(*ends, strict=True))):
            continue  # nothing combines: of this, the common factor would be drawn out again
        whole = sums.plus(*parts)
        of_columns = any(b.op is KHATRI_RAO for m in inside for b in m)  # kron(X, I)*khatri_rao(I, S) is one factor
        limit = cost - (0 if with_identity or of_columns or all(combined) else _WORTH)
        if inverted:
            limit = cost
        if any(isinstance(a.op, Commutation) for a in near) and not all(_commutes([m]) for m in found):
            limit = cost + 1
        if look(whole).cost < limit:
            return whole
    return None


def _inverted(before: Sequence[Expr], inside: Sequence[Sequence[Expr]], behind: Sequence[Expr]) -> bool:
    """Whether a factor beside a sum cancels in one of its terms: ``P*(x - P^-1*y)``."""
    return any(
        (before and neighbours.inverts(before[-1], m[0])) or (behind and neighbours.inverts(m[-1], behind[0]))
        for m in inside
        if m
    )


def _differ(factors: Sequence[Expr]) -> bool:
    return len(set(factors)) == len(factors)


def _commutes(terms: Sequence[Sequence[Expr]]) -> bool:
    return any(isinstance(a.op, Commutation) for factors in terms for a in factors)


# Sums


def with_commutation(items: list[Term]) -> Expr | None:
    """``a*(A (x) B) + b*(B (x) A)*K`` as ``(a*I + b*K)*(A (x) B)``."""
    for i, t in enumerate(items):
        if len(t.factors) != 2 or t.factors[0].op is not KRON or not isinstance(t.factors[1].op, Commutation):
            continue
        swapped, k = t.factors
        assert isinstance(k.op, Commutation)
        parts = _parts(swapped, KRON)
        at = _split(parts, 1, k.op.m)
        if at is None:
            continue
        first, last = kron(*parts[:at]), kron(*parts[at:])
        plain = kron(last, first)
        for j, u in enumerate(items):
            if u.factors == (plain,) and u.scalars == t.scalars:
                rows = commuting(first.rows, last.rows)
                inner = sums.plus(
                    products.times(const(u.coefficient), identity(plain.rows)),
                    products.times(const(t.coefficient), rows),
                )
                rest = [assemble(*v) for n, v in enumerate(items) if n not in (i, j)]
                d, s, m = term(inner)  # not by products.times, which may take the product apart to try the sum
                whole = assemble(d, (*s, *t.scalars), (*m, plain))
                return sums.plus(whole, *rest) if rest else whole
    return None


def tiled(items: list[Term]) -> Expr | None:
    """Blocks put at their places by slices of an identity, where they fill all: ``eye(n)[:,1:k]*A + ...``."""
    for turn in (False, True):
        blocks = []
        for t in items:
            place = t.factors[-1 if turn else 0] if t.factors else None
            if place is None or not isinstance(place.op, Slice) or not isinstance(place.args[0].op, Identity):
                break
            along, across = (place.op.row, place.op.col) if turn else (place.op.col, place.op.row)
            if across != ALL or isinstance(along, str):
                break
            rest = t.factors[:-1] if turn else t.factors[1:]
            scale = assembled(t.coefficient, t.scalars, ())
            order = along[1] - along[0] + 1
            block = products.times(scale, *(rest or (identity(order),)))
            blocks.append((along, block, place.args[0].rows))
        else:
            found = _in_a_row(blocks)
            if found is not None:
                return heads.applied(HCat() if turn else VCat(), tuple(found))
    return None


def _in_a_row(blocks: list[tuple[tuple[Dim, Dim], Expr, Dim]]) -> list[Expr] | None:
    """The blocks in order where each begins after the one before ends, from first to last."""
    begins = {along[0]: (along[1], block) for along, block, _ in blocks}
    at, out = ONE, []
    while at in begins:
        end, block = begins.pop(at)
        out.append(block)
        at = end + 1
    return out if not begins and at is blocks[0][2] + 1 and len(out) == len(blocks) else None


__all__ = [
    "commuting",
    "gathered",
    "joined",
    "khatri_rao",
    "kron",
    "moves",
    "of_two",
    "passed",
    "spread",
    "tiled",
    "with_commutation",
]
