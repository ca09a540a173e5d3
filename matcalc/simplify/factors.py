"""Common factors of the terms of a sum, drawn out: scalars, the first or last matrix, elementwise factors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TypeAlias

from matcalc.dims import ONE, SCALAR, Shape
from matcalc.expr import Expr, make, postorder
from matcalc.primitives.algebra import ADD, HADAMARD, POWER, PRODUCT, TRANSPOSE
from matcalc.primitives.leaves import Differential, Identity, Ones, const, identity, ones
from matcalc.primitives.matrix import INV
from matcalc.primitives.products import INNER, KHATRI_RAO, KRON
from matcalc.primitives.reductions import Sum
from matcalc.primitives.structure import Diagonal
from matcalc.simplify import differences, hadamards, heads, neighbours, powers, products, sums, transposes
from matcalc.simplify.cost import look
from matcalc.simplify.terms import Term, assemble, assembled, exact, is_run, magnitude, term

Rational: TypeAlias = int | Fraction

_HIGH = 8  # powers
_UNEASY = 2  # by how much more a factor of a matrix power has to save: the power is read at a glance


def drawn_out(items: list[Term], shape: Shape) -> list[Term]:
    """Draws out the most costly common factor, again and again; every step leaves fewer terms."""
    items = _between_inverses(_with_sums(_identities_split(items)))
    while 1 < len(items) <= 2 * sums.MOST:
        counts: dict[tuple[str, Expr], list[int]] = {}
        exponents = _exponents(items)
        for i, t in enumerate(items):
            for handle in _handles(t, exponents):
                counts.setdefault(handle, []).append(i)
        best: tuple[tuple[object, ...], tuple[str, Expr], list[int]] | None = None
        for handle, where in counts.items():
            if len(where) < 2:
                continue
            saving = _saving(handle, where, items, shape)
            if saving <= 0:
                continue
            _, power = powers.split(handle[1])
            height = abs(power) if isinstance(power, int) else 0  # the highest power at once
            rank = (-saving, handle[0], -height, look(handle[1]).label, handle[1].digest)
            if best is None or rank < best[0]:
                best = (rank, handle, where)
        if best is None:
            return items
        joined = _without_factor(best[1], [items[i] for i in best[2]], shape)
        items = [t for i, t in enumerate(items) if i not in best[2]]
        c, s, m = term(joined)
        if not c:
            continue
        sign, s, m = differences.upright_term(s, m)
        c = c * sign
        for i, t in enumerate(items):
            if t.scalars == s and t.factors == m:
                items[i] = t._replace(coefficient=exact(t.coefficient + c))
                break
        else:
            items.append(Term(c, s, m))
        items = [t for t in items if t.coefficient]
    return items


def _with_sums(items: list[Term]) -> list[Term]:
    """``A*x`` and the sums of the rows of A, which are A times ones, as one: ``A*x - sum(A, 1)`` is ``A*(x - 1)``."""
    for i, t in enumerate(items):
        matrix = _summed_matrix(t)
        if matrix is None:
            continue
        group = [k for k, u in enumerate(items) if len(u.factors) > 1 and u.factors[0] is matrix]
        if not group:
            continue
        rest = [assemble(c, s, m[1:]) for c, s, m in (items[k] for k in group)]
        inner = sums.plus(*rest, assembled(t.coefficient, t.scalars, ()))
        joined = products.times(matrix, inner)
        apart = sum([look(assemble(*items[k])).cost + 2 for k in (i, *group)]) - 2
        if look(joined).cost < apart:
            c, s, m = term(joined)
            return [*[u for k, u in enumerate(items) if k != i and k not in group], Term(c, s, m)]
    return items


def _between_inverses(items: list[Term]) -> list[Term]:
    """``Q^-1 - Q^-1*C*Q^-1`` as ``Q^-1*(Q - C)*Q^-1``, for a sum Q."""
    for i, t in enumerate(items):
        if len(t.factors) != 1 or t.factors[0].op is not INV or t.factors[0].args[0].op is not ADD:
            continue
        (inverse,) = t.factors
        ends = [(u.factors[0], u.factors[-1]) if len(u.factors) > 2 else () for u in items]
        group = [k for k, end in enumerate(ends) if end == (inverse, inverse)]
        if not group or any(f.rows is ONE for k in group for f in items[k].factors):
            continue  # Q^-1*x*y'*Q^-1 stays: Q^-1*x is what is meant
        inner = [assembled(t.coefficient, t.scalars, inverse.args)]
        inner += [assemble(c, s, m[1:-1]) for c, s, m in (items[k] for k in group)]
        joined = products.times(inverse, sums.summed(tuple(inner), False), inverse)
        apart = sum([look(assemble(*items[k])).cost + 2 for k in (i, *group)]) - 2
        if look(joined).cost < apart:
            c, s, m = term(joined)
            return [*[u for k, u in enumerate(items) if k != i and k not in group], Term(c, s, m)]
    return items


def _summed_matrix(t: Term) -> Expr | None:
    """The matrix of which a column is the sums of the rows."""
    if len(t.factors) != 1:
        return None
    f = t.factors[0]
    if isinstance(f.op, Sum) and f.op.axis == 1:
        return f.args[0]
    if f.op is TRANSPOSE and isinstance(f.args[0].op, Sum) and f.args[0].op.axis == 0:
        return transposes.transposed(f.args[0].args[0])
    return None


def _identities_split(items: list[Term]) -> list[Term]:
    """An identity as ``I (x) I`` beside ``A (x) I`` or ``I (x) A``: ``A (x) I + s*I`` is ``(A + s*I) (x) I``."""
    at = next((i for i, t in enumerate(items) if len(t.factors) == 1 and isinstance(t.factors[0].op, Identity)), None)
    if at is None:
        return items
    whole = items[at].factors[0]
    beside = [
        m[0].args
        for _, _, m in items
        if len(m) == 1
        and m[0].op is KRON
        and m[0].rows is whole.rows
        and any(isinstance(a.op, Identity) for a in m[0].args)
    ]
    if not beside:
        return items
    # Of several the same whatever the order of the terms.
    a, b = min(beside, key=lambda pair: (look(pair[0]).label, look(pair[1]).label))
    split = make(KRON, (identity(a.rows), identity(b.rows)))
    return [*items[:at], items[at]._replace(factors=(split,)), *items[at + 1 :]]


def _exponents(items: Sequence[Term]) -> dict[Expr, set[Rational]]:
    """The exponents, whole or halves and the like, with which each base occurs."""
    found: dict[Expr, set[Rational]] = {}
    for t in items:
        for f in (*t.scalars, *_entries(t)):
            if f.op is POWER:
                base, p = powers.split(f)
                if isinstance(p, (int, Fraction)):
                    found.setdefault(base, set()).add(p)
    return found


def _handles(t: Term, exponents: Mapping[Expr, set[Rational]]) -> list[tuple[str, Expr]]:
    """What could be drawn out of a term: the scalars, the first and last factor, elementwise factors.

    ``v`` a column of a number such as ``x'*A*y``, ``s`` a scalar, ``l`` the first and ``r`` the last factor, ``h`` a
    factor entry by entry, ``a`` and ``b`` the first and last part of a Kronecker product, ``c`` and ``d`` of a
    Khatri-Rao product
    """
    out = [("s", a) for s in t.scalars for a in _divisors(s, exponents)]
    m = t.factors
    if not m and (run := _run(t.scalars)) is not None:
        ends = (transposes.transposed(run.args[0]), run.args[-1])
        out += [("v", a) for a in dict.fromkeys([_upright(a) for a in ends])]
    if len(m) == 1:
        e = m[0]
        if e.op is HADAMARD:
            out += [("h", a) for f in e.args for a in _divisors(f, exponents)]
        elif e.op is KRON or e.op is KHATRI_RAO:
            out += zip("ab" if e.op is KRON else "cd", e.args, strict=True)
            out.append(("h", e))
        elif not isinstance(e.op, Ones):
            out += [("h", a) for a in _divisors(e, exponents)]
    elif m:
        out += [("l", m[0]), ("r", m[-1])]
        out += [(side, a) for side, f in (("l", m[0]), ("r", m[-1])) for a in _roots(f)]
        scaled_matrix = _of_scaled(m)
        if scaled_matrix is not None:
            entries = hadamards.commuting(scaled_matrix[:1])
            out += [("h", a) for f in entries for a in _divisors(f, exponents)]
    return out


def _roots(f: Expr) -> tuple[Expr, ...]:
    """The base of a whole power of a matrix, or the inverse of it: what divides the power from either side."""
    base, k = neighbours.matrix_power(f)
    return (neighbours.raised(base, 1 if k > 0 else -1),) if isinstance(k, int) and abs(k) > 1 else ()


def _without_first(m: tuple[Expr, ...], factor: Expr) -> tuple[Expr, ...]:
    """The matrices after one that divides the first."""
    if m[0] is factor:
        return m[1:]
    base, k = neighbours.matrix_power(m[0])
    assert isinstance(k, int)
    return (neighbours.raised(base, k - 1 if k > 0 else k + 1), *m[1:])


def _without_last(m: tuple[Expr, ...], factor: Expr) -> tuple[Expr, ...]:
    """The matrices before one that divides the last."""
    if m[-1] is factor:
        return m[:-1]
    base, k = neighbours.matrix_power(m[-1])
    assert isinstance(k, int)
    return (*m[:-1], neighbours.raised(base, k - 1 if k > 0 else k + 1))


def _run(scalars: Sequence[Expr]) -> Expr | None:
    """The only product of a row, matrices and a column among scalars; a differential stays in its term."""
    runs = [s for s in scalars if is_run(s)]
    return runs[0] if len(runs) == 1 and not _varied(runs[0]) else None


def _varied(e: Expr) -> bool:
    known: bool | None = e.memo.get("varied")
    if known is None:
        known = e.memo["varied"] = any(isinstance(node.op, Differential) for node in postorder([e]))
    return known


def _beside(t: Term, column: Expr) -> Expr:
    """What stands beside a column in a product that is a number, with the other numbers."""
    run = _run(t.scalars)
    assert run is not None
    others = [s for s in t.scalars if s is not run]
    factors = list(run.args)
    if _upright(factors[-1]) is column:
        factors = [transposes.transposed(a) for a in reversed(factors)]
    sign = 1 if factors[0] is transposes.transposed(column) else -1
    return assemble(sign * t.coefficient, others, factors[1:])


def _upright(column: Expr) -> Expr:
    return differences.upright(column) if column.op is ADD else column


def _of_scaled(m: tuple[Expr, ...]) -> tuple[Expr, Expr] | None:
    """``A*diag(v)`` and ``diag(v)*A`` as A and what it is multiplied by entry by entry."""
    if len(m) == 2:
        a, b = m
        if isinstance(b.op, Diagonal) and not isinstance(a.op, Diagonal):
            return a, make(PRODUCT, (ones(a.rows), transposes.transposed(b.args[0])))
        if isinstance(a.op, Diagonal):
            return b, make(PRODUCT, (a.args[0], transposes.transposed(ones(b.cols))))
    return None


def _entries(t: Term) -> Sequence[Expr]:
    """The elementwise factors of a term."""
    found = _of_scaled(t.factors)
    if found is not None:
        return (*hadamards.commuting(found[:1]), found[1])
    return hadamards.commuting(t.factors)


def _divisors(a: Expr, exponents: Mapping[Expr, set[Rational]]) -> tuple[Expr, ...]:
    """A factor, and of a whole power lower ones: x divides x^2, and 1/x divides 1/x^2.

    Of a high power only those that occur in another term, lest it be drawn out bit by bit.
    """
    if a.op is POWER or a.op is PRODUCT or a.op is INNER:
        base, p = powers.split(a)
        if isinstance(p, Fraction):
            return (a, *[powers.raised(base, k) for k in sorted(exponents.get(base, ())) if _divides(k, p)])
        if isinstance(p, int) and abs(p) > 1:
            lower = {k for k in exponents.get(base, ()) if _divides(k, p)}
            if abs(p) <= _HIGH or not lower:
                lower |= {k if p > 0 else -k for k in range(1, min(abs(p), 4))}
            found = [powers.raised(base, k) for k in sorted(lower)]
            return (a, *[d for d in found if powers.split(d)[0] is base])  # (y - x)^2 is written (x - y)^2
    return (a,)


def _divides(k: Rational, p: Rational) -> bool:
    """Whether the k-th power of something is a proper divisor of the p-th: their quotient is a whole power."""
    return 0 < Fraction(k) / p < 1 and (p - k).denominator == 1


def _without(factors: Sequence[Expr], a: Expr) -> list[Expr]:
    """The factors with ``a`` taken out of the one that it divides."""
    rest = list(factors)
    if a in rest:
        rest.remove(a)
        return rest
    for i, f in enumerate(rest):
        base, p = powers.split(f)
        of, k = powers.split(a)
        if base is of and not isinstance(p, (Expr, float)) and not isinstance(k, (Expr, float)) and _divides(k, p):
            rest[i] = powers.raised(base, exact(p - k))
            return rest
    raise ValueError("not a factor")


def _saving(handle: tuple[str, Expr], where: list[int], items: list[Term], shape: Shape) -> int:
    kind, factor = handle
    gain = (look(factor).cost + 2) * (len(where) - 1) - 1
    if kind in "lr":
        for i in where:
            m = items[i].factors
            first = m[0] if kind == "l" else m[-1]
            if first is not factor:  # a power, of which one less is left
                rest = _without_first((first,), factor)
                gain -= look(factor).cost + 2 - look(first).cost + sum([look(f).cost for f in rest]) + _UNEASY
    if kind in "sh" and len(where) < len(items):
        # Part of a sum of powers stays a polynomial: 1 + x + x^2.
        places = [items[i].scalars if kind == "s" else _entries(items[i]) for i in where]
        if any(factor not in place for place in places):
            return 0
    if kind == "s":
        if len(where) < len(items) and shape is not SCALAR and any(not items[i].factors for i in where):
            # Numbers that are added to all entries stay apart: a + a*b + x.
            return gain if look(factor).cost > 3 and any(items[i].factors for i in where) else 0
        return gain
    if kind == "h":
        whole = [i for i in where if items[i].factors == (factor,)]
        if any(len(items[i].factors) > 1 for i in where):
            gain -= 4
        if len(whole) == len(where):
            return gain if all(items[i].scalars for i in whole) or len(whole) > 1 else 0
        return gain - len(whole)
    return gain


def _without_factor(handle: tuple[str, Expr], group: list[Term], shape: Shape) -> Expr:
    kind, factor = handle
    rest: list[Expr] = []
    size = magnitude(group[0].coefficient)
    if size != 1 and all(magnitude(t.coefficient) == size for t in group):
        alike = [t._replace(coefficient=1 if t.coefficient > 0 else -1) for t in group]
        return products.times(const(size), _without_factor(handle, alike, shape))
    for c, s, m in group:
        if kind == "v":
            rest.append(_beside(Term(c, s, m), factor))
        elif kind == "s":
            rest.append(assembled(c, _without(s, factor), m))
        elif kind == "l":
            rest.append(assemble(c, s, _without_first(m, factor)))
        elif kind == "r":
            rest.append(assemble(c, s, _without_last(m, factor)))
        elif kind in "abcd":
            rest.append(assemble(c, s, term(m[0].args[1 if kind in "ac" else 0]).factors))
        elif m == (factor,):
            rest.append(assembled(c, s, ()))
        else:
            entries = _without(_entries(Term(c, s, m)), factor)
            left = term(entries[0]).factors if len(entries) == 1 else (make(HADAMARD, tuple(entries)),)
            rest.append(assemble(c, s, left))
    inner = sums.summed(tuple(rest), False)
    if kind == "v":
        return products.times(transposes.transposed(factor), inner)
    if kind == "l":
        return products.times(factor, inner)
    if kind == "r":
        return products.times(inner, factor)
    if kind in "abcd":
        return heads.applied(group[0].factors[0].op, (factor, inner) if kind in "ac" else (inner, factor))
    if kind == "s" or inner.is_scalar:
        if kind == "s" and inner.is_scalar and shape is not SCALAR and not any(m for _, _, m in group):
            return products.times(factor, inner)
        return products.times(factor, inner) if kind == "s" else products.times(inner, factor)
    return hadamards.hadamard(factor, inner)
