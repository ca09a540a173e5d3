"""Elementwise products."""

from __future__ import annotations

from matcalc.dims import ONE
from matcalc.expr import Expr, Number, make
from matcalc.facts import DIAGONAL, has
from matcalc.primitives.algebra import ADD, HADAMARD, PRODUCT, TRANSPOSE
from matcalc.primitives.base import zeros
from matcalc.primitives.elementwise import exp, sigmoid
from matcalc.primitives.functions import Elementwise
from matcalc.primitives.leaves import Identity, Ones, const, ones
from matcalc.primitives.structure import Diagonal, DiagonalPart
from matcalc.simplify import differences, match, powers, products, sums, transposes
from matcalc.simplify.cost import look
from matcalc.simplify.terms import assemble, exact, term

_LONGEST = 12  # elementwise products of more factors are not joined with others: a shared graph would grow
_DIAGONAL = Diagonal()
_FEW = 3  # terms of a sum that is divided
_EXP, _SIGMOID = Elementwise(exp, 0), Elementwise(sigmoid, 0)


def hadamard(*factors: Expr) -> Expr:
    """The elementwise product of simplified factors."""
    coefficient: Number = 1
    scalars: list[Expr] = []
    entries: list[Expr] = []
    shape = None
    for f in factors:
        if not f.is_scalar and shape is None:
            shape = f.shape
        c, s, m = term(f)
        coefficient = exact(coefficient * c)
        scalars += s
        if len(m) == 1:
            x = m[0]
            if x.op is HADAMARD and len(x.args) <= _LONGEST:
                entries += x.args
            elif not isinstance(x.op, Ones):
                entries.append(x)
        elif m:
            entries.append(f if c == 1 and not s else assemble(1, (), m))
    if shape is None:
        return products.times(*factors)
    if not coefficient:
        return zeros(shape)
    if shape[0] is ONE:  # rows are handled as columns
        column = hadamard(*[transposes.transposed(e) for e in entries]) if entries else ones(shape[1])
        return products.times(const(coefficient), *scalars, transposes.transposed(column))
    joined = _entrywise(entries, shape) if entries else ones(*shape)
    if joined.op is HADAMARD and joined.args == factors:
        match.stands(joined)
    if coefficient == 1 and not scalars:
        return joined
    return products.times(const(coefficient), *scalars, joined)


def _entrywise(entries: list[Expr], shape: tuple[object, object]) -> Expr:
    if len(entries) > 1 and shape[1] is not ONE:
        special = _of_matrices(entries)
        if special is not None:
            return special
    coefficient, kept = powers.combine(entries) if len(entries) > 1 else (1, entries)
    if len(kept) > 1:
        spread = distributed(kept)
        if spread is not None:
            return products.times(const(coefficient), hadamard(*spread))
    if not kept:
        joined = ones(*entries[0].shape)
    elif len(kept) == 1:
        joined = kept[0]
    else:
        joined = match.settled(make(HADAMARD, tuple(kept)))
    return joined if coefficient == 1 else products.times(const(coefficient), joined)


def distributed(factors: list[Expr]) -> list[Expr] | None:
    """Commuting factors with those that a sum among them divides by multiplied into it: ``s*(a/s - b)`` is ``a - b*s``.

    Every use removes the factors in question, so it ends; None where there is nothing to cancel.
    """
    for i, f in enumerate(factors):
        base, p = powers.split(f)
        if base.op is ADD and isinstance(p, int) and p < 0:
            found = under(base, p, factors[:i] + factors[i + 1 :])
            if found is not None:
                return found
        if f.op is not ADD:
            continue
        below = _divisors_in(f)
        if not below:
            continue
        hit = [g for k, g in enumerate(factors) if k != i and _cancels(g, below)]
        if hit:
            rest = [g for k, g in enumerate(factors) if k != i and g not in hit]
            inner = sums.plus(*[hadamard(a, *hit) for a in f.args])
            if look(inner).cost < look(f).cost + sum([look(g).cost + 2 for g in hit]):
                return [*rest, inner]
    return _conjugates(factors) or _divided(factors)


def _conjugates(factors: list[Expr]) -> list[Expr] | None:
    """Two sums of two terms whose product has two: ``(a + b)*(a - b)`` is ``a^2 - b^2``."""
    pairs = [(i, f) for i, f in enumerate(factors) if f.op is ADD and len(f.args) == 2]
    for k, (i, f) in enumerate(pairs):
        for j, g in pairs[k + 1 :]:
            if look(f).size + look(g).size > 2 * sums.SMALL:
                continue
            products_of_terms = [hadamard(a, b) for a in f.args for b in g.args]
            collected: sums.Terms = {}
            for c, s, m in map(term, products_of_terms):
                sums.put(collected, (s, () if len(m) == 1 and isinstance(m[0].op, Ones) else m), c)
            if len(collected) > 2:
                continue
            inner = sums.plus(*products_of_terms)
            short = len(inner.args) == 2 if inner.op is ADD else not inner.args
            if short and look(inner).cost < look(f).cost + look(g).cost + 4:
                return [*[a for n, a in enumerate(factors) if n not in (i, j)], inner]
    return None


def _divided(factors: list[Expr]) -> list[Expr] | None:
    """A divisor into a sum with a term that it cancels: ``(a - b)/a`` is ``1 - b/a``, where that is clearly shorter."""
    for j, g in enumerate(factors):
        base, p = powers.split(g)
        if isinstance(p, Expr) or p >= 0 or base.op is ADD:
            continue
        for i, f in enumerate(factors):
            if f.op is not ADD or len(f.args) > _FEW or look(f).size > sums.SMALL:
                continue
            parts = [a for t in map(term, f.args) for a in (*t.scalars, *commuting(t.factors))]
            if not any(powers.split(a) == (base, -p) for a in parts):
                continue
            inner = sums.plus(*[hadamard(a, g) for a in f.args])
            if inner.op is ADD and look(inner).cost < look(f).cost + look(g).cost + 2:
                return [*[a for n, a in enumerate(factors) if n not in (i, j)], inner]
    return None


def under(total: Expr, p: int, others: list[Expr]) -> list[Expr] | None:
    """Divisors beside a divisor that is a sum, multiplied into it: ``1/(1 + x/v)/v`` is ``1/(v + x)``."""
    found = multiplied(total, p, others)
    return None if found is None else [*found[:-1], powers.power(found[-1], const(p))]


def multiplied(total: Expr, p: int, others: list[Expr]) -> list[Expr] | None:
    """Powers of what terms of a sum are divided by, multiplied into the sum, which stands last without its power."""
    below = _divisors_in(total)
    hit = [g for g in others if below and powers.split(g)[1] == p and powers.split(g)[0] in below]
    if not hit:
        return None
    bases = [powers.split(g)[0] for g in hit]
    inner = sums.plus(*[hadamard(a, *bases) for a in total.args])
    if look(inner).cost >= look(total).cost + sum([look(b).cost + 2 for b in bases]):
        return None
    return [*[g for g in others if g not in hit], inner]


def commuting(factors: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """The elementwise factors of a term that is no product of matrices."""
    if len(factors) != 1:
        return ()
    return factors[0].args if factors[0].op is HADAMARD else factors


def _divisors_in(total: Expr) -> set[Expr]:
    """What the terms of a sum divide by."""
    known: set[Expr] | None = total.memo.get("divisors")
    if known is None:
        known = set()
        for a in total.args:
            _, s, m = term(a)
            for f in (*s, *commuting(m)):
                if f.op is _EXP and term(f.args[0]).coefficient < 0:
                    known.add(products.unary(_EXP, products.times(const(-1), f.args[0])))
                if f.op is _SIGMOID and term(f.args[0]).coefficient < 0:
                    known.add(products.unary(_EXP, products.times(const(-1), f.args[0])))
                base, p = powers.split(f)
                if not isinstance(p, Expr) and p < 0:
                    known.add(base)
                    if base.op is ADD:
                        other = differences.flipped(base)
                        if other is not None:
                            known.add(other)
        total.memo["divisors"] = known
    return known


def _cancels(g: Expr, below: set[Expr]) -> bool:
    if g.op is _EXP:
        return g in below
    base, p = powers.split(g)
    return base in below and not isinstance(p, Expr) and p > 0


def _of_matrices(entries: list[Expr]) -> Expr | None:
    """Elementwise products of matrices that have a shorter form."""
    for i, e in enumerate(entries):
        rest = entries[:i] + entries[i + 1 :]
        if isinstance(e.op, Identity) or (isinstance(e.op, Diagonal) or has(e, DIAGONAL)):
            part = [a.args[0] if isinstance(a.op, Diagonal) else make(DiagonalPart(), (a,)) for a in rest]
            if isinstance(e.op, Identity):
                return products.unary(Diagonal(), hadamard(*[products.unary(DiagonalPart(), p) for p in rest]))
            if isinstance(e.op, Diagonal):
                part = [products.unary(DiagonalPart(), a) for a in rest]
                return products.unary(Diagonal(), hadamard(e.args[0], *part))
    for i, e in enumerate(entries):  # diag(v)*A .* B is diag(v)*(A .* B)
        if e.op is PRODUCT and (e.args[0].op is _DIAGONAL or e.args[-1].op is _DIAGONAL):
            first, last = (1, len(e.args)) if e.args[0].op is _DIAGONAL else (0, len(e.args) - 1)
            joined = hadamard(*entries[:i], assemble(1, (), e.args[first:last]), *entries[i + 1 :])
            return products.times(*e.args[:first], joined, *e.args[last:])
    if sum(transposes.gain(e) for e in entries) <= -2:
        return transposes.transposed(hadamard(*[transposes.transposed(e) for e in entries]))
    # (x*y') .* (u*v') is (x .* u)*(y .* v)', and (x*ones') .* M is diag(x)*M.
    outer = [e for e in entries if is_outer(e)]
    if len(outer) > 1:
        rest = [e for e in entries if not is_outer(e)]
        columns = [products.cut(e.args) for e in outer]
        left = hadamard(*[c for c, _ in columns])
        right = hadamard(*[transposes.transposed(r) for _, r in columns])
        return hadamard(products.times(left, transposes.transposed(right)), *rest)
    if len(outer) == 1:
        rest = [e for e in entries if e is not outer[0]]
        if rest:
            column, row = products.cut(outer[0].args)
            if is_ones_row(row):
                return products.times(products.unary(Diagonal(), column), hadamard(*rest))
            if isinstance(column.op, Ones):
                return products.times(hadamard(*rest), products.unary(Diagonal(), transposes.transposed(row)))
    return None


def is_outer(e: Expr) -> bool:
    """Whether a product is a column times a row."""
    return e.op is PRODUCT and not e.is_scalar and any(a.rows is ONE for a in e.args[1:] if not a.is_scalar)


def is_ones_row(e: Expr) -> bool:
    return (e.op is TRANSPOSE and isinstance(e.args[0].op, Ones)) or (isinstance(e.op, Ones) and e.rows is ONE)


__all__ = ["commuting", "distributed", "hadamard", "is_ones_row", "is_outer", "multiplied", "under"]
