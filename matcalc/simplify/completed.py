"""Squares completed in sums: ``x'*x - 2*x'*y + y'*y`` is ``norm2(x - y)^2``, and ``1 + 2*a + a^2`` is ``(1 + a)^2``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import isqrt
from typing import NamedTuple

from matcalc.dims import ONE, SCALAR, Shape
from matcalc.expr import Expr, Number
from matcalc.facts import SYMMETRIC, has
from matcalc.primitives.elementwise import exp
from matcalc.primitives.functions import Elementwise
from matcalc.primitives.leaves import const, number_of
from matcalc.primitives.products import INNER
from matcalc.primitives.reductions import NORM2
from matcalc.simplify import differences, hadamards, heads, powers, products, sums, terms, transposes
from matcalc.simplify.cost import look
from matcalc.simplify.terms import assemble, exact, magnitude, term

_EXP = Elementwise(exp, 0)
_MOST = 8  # terms of a sum in which squares are looked for


class _Square(NamedTuple):
    """A term as ``rest`` times the square of ``root``, or of its norm, or a quadratic form ``root'*form*root``."""

    key: sums.Key
    root: Expr
    rest: tuple[Expr, ...]
    form: tuple[Expr, ...] | None  # None where the square is of numbers or entrywise


def completed(collected: sums.Terms, shape: Shape) -> sums.Terms:
    """The terms with two squares and twice the product of their roots as one square, wherever there are such."""
    while 2 < len(collected) <= _MOST:
        found = _one_square(collected, shape)
        if found is None:
            break
        collected = found
    return collected


def _one_square(collected: sums.Terms, shape: Shape) -> sums.Terms | None:
    squares = [q for key in collected for q in _squares(key, shape)]
    if len(squares) < 2:
        return None
    squares.sort(key=lambda q: (look(q.root).label, q.root.digest))
    for i, q in enumerate(squares):
        for other in squares[i + 1 :]:
            if q.key == other.key or q[2:] != other[2:]:
                continue
            if q.root.shape != other.root.shape and number_of(q.root) is None and number_of(other.root) is None:
                continue
            small, large = sorted((q, other), key=lambda a: magnitude(collected[a.key]))
            found = _joined(collected, small, large)
            if found is not None:
                return found
    return None


def _joined(collected: sums.Terms, q: _Square, other: _Square) -> sums.Terms | None:
    c = collected[q.key]
    ratio = _root(terms.ratio(collected[other.key], c))
    if ratio is None:
        return None
    d, s, m = term(_product(q, q.root, other.root))
    sign, s, m = differences.upright_term(s, m)
    given = collected.get((s, m))
    if given is None or not d or (s, m) in (q.key, other.key):
        return None
    twice = exact(2 * c * ratio * d * sign)
    if given not in (twice, -twice):
        return None
    total = sums.plus(q.root, products.times(const(ratio if given == twice else -ratio), other.root))
    if total.is_zero:
        return None
    left = {k: v for k, v in collected.items() if k not in (q.key, other.key, (s, m))}
    e, s, m = term(_product(q, total, total))
    sums.put(left, (s, m), exact(c * e))
    return left


def _product(q: _Square, u: Expr, v: Expr) -> Expr:
    """The term that two roots make."""
    if q.form is None:
        return products.times(u, v, *q.rest) if u.is_scalar and v.is_scalar else hadamards.hadamard(*q.rest, u, v)
    if u.cols is not ONE:
        return products.times(*q.rest, heads.applied(INNER, (u, v)))
    return products.times(*q.rest, transposes.transposed(u), *q.form, v)


def _squares(key: sums.Key, shape: Shape) -> Iterator[_Square]:
    s, m = key
    if not s and not m:
        yield _Square(key, const(1), (), None)
        return
    for place, factors in enumerate((s, hadamards.commuting(m))):
        for k, f in enumerate(factors):
            rest = (*factors[:k], *factors[k + 1 :])
            rest = rest if shape is SCALAR else (rest + m if place == 0 else s + rest)
            base, p = powers.split(f)
            if base.op is NORM2 and p == 2:
                yield _Square(key, base.args[0], rest, ())
                scale = [powers.split(a) for a in rest]
                if rest and all(b.is_scalar and isinstance(q, int) and q % 2 == 0 for b, q in scale):
                    roots = [powers.raised(b, q // 2) for b, q in scale if isinstance(q, int)]
                    yield _Square(key, products.times(*roots, base.args[0]), (), ())
            elif isinstance(p, int) and p % 2 == 0:
                yield _Square(key, powers.raised(base, p // 2), rest, None)
            elif f.op is _EXP and isinstance(c := term(f.args[0]).coefficient, int) and c % 2 == 0:
                half = products.times(const(Fraction(1, 2)), f.args[0])
                yield _Square(key, products.unary(_EXP, half), rest, None)
            elif terms.is_run(f) and (form := _form(f.args)) is not None:
                yield _Square(key, *form[:1], rest, form[1])


def _form(run: Sequence[Expr]) -> tuple[Expr, tuple[Expr, ...]] | None:
    """The root and the matrices of a quadratic form with a symmetric matrix."""
    u = run[-1]
    inner = tuple(run[1:-1])
    if not inner or run[0] is not transposes.transposed(u) or not has(assemble(1, (), inner), SYMMETRIC):
        return None
    return u, inner


def _root(a: Number) -> Number | None:
    """The root of the square of a fraction."""
    if isinstance(a, float) or a <= 0:
        return None
    p, q = Fraction(a).as_integer_ratio()
    found = Fraction(isqrt(p), isqrt(q))
    return exact(found) if found * found == a else None


__all__ = ["completed"]
