"""Rows by columns: the number that such a chain is, in the form that reads best."""

from __future__ import annotations

from matcalc.expr import Expr, Number, make
from matcalc.facts import SYMMETRIC, has
from matcalc.primitives.algebra import ADD, HADAMARD, POWER, PRODUCT, TRANSPOSE
from matcalc.primitives.elementwise import sigmoid
from matcalc.primitives.functions import Elementwise
from matcalc.primitives.leaves import Ones, const
from matcalc.primitives.reductions import NORM2, SUM, Sum
from matcalc.primitives.structure import Unit
from matcalc.simplify import (
    chains,
    differences,
    hadamards,
    neighbours,
    powers,
    products,
    square,
    transposes,
)
from matcalc.simplify.cost import look
from matcalc.simplify.terms import assemble, exact, term

_SIGMOID = Elementwise(sigmoid, 0)


def number(run: list[Expr]) -> Expr:
    """The number that a chain from a row to a column is, read in the shorter direction."""
    c, s, m = _settled_ends(run)
    if c != 1 or s or not m:
        return products.times(const(exact(c)), *s, *m)
    left = transposes.transposed(m[0])
    if left.op is ADD and differences.flipped(left) is m[-1]:  # (x - y)'*A*(y - x)
        return products.times(const(-1), number([*m[:-1], left]))
    middle = square.quadratic(m)
    if middle is not None:
        half = len(m) // 2
        return products.times(*m[:half], middle, *m[half + 1 :])
    return dot(m)


def _settled_ends(run: list[Expr]) -> tuple[Number, list[Expr], list[Expr]]:
    # Row and column may have become products with numbers, or a sum by ones; a shorter chain is settled anew.
    c, s, m = chains.settled(run) if len(run) > 1 else (1, [], run)
    if len(m) == 1 and m[0].is_scalar:
        return c, [*s, m[0]], []
    return c, s, m


def dot(run: list[Expr]) -> Expr:
    """A settled chain from a row to a column."""
    first, last = run[0], run[-1]
    if hadamards.is_ones_row(first):
        return products.unary(SUM, products.times(*run[1:]))
    if isinstance(last.op, Ones):
        return products.unary(SUM, products.times(*run[:-1]))
    if isinstance(first.op, Sum):
        return products.unary(SUM, products.times(first.args[0], *run[1:]))
    if last.op is TRANSPOSE and isinstance(last.args[0].op, Sum):
        return dot([transposes.transposed(a) for a in reversed(run)])
    if len(run) == 2:
        left = transposes.transposed(first)
        if left is last and isinstance(last.op, Unit):
            return const(1)
        if left.op is HADAMARD or last.op is HADAMARD or left.op is POWER or last.op is POWER:
            return of_entries(left, last)
        if left.op is _SIGMOID and last.op is _SIGMOID:  # s'*(1 - s), as in s .* (1 - s)
            return of_entries(left, last)
    turned = [transposes.transposed(a) for a in reversed(run)]
    best = min((make(PRODUCT, tuple(run)), make(PRODUCT, tuple(turned))), key=reading)
    half = squared(best)
    if half is not None:
        norm = powers.power(products.unary(NORM2, half), const(2))
        if look(norm).cost < look(best).cost:
            return norm
    return best


def squared(run: Expr) -> Expr | None:
    """The u of ``u'*u``: of ``x'*A'*A*x`` it is ``A*x``, of ``x'*S^2*x`` with symmetric S it is ``S*x``."""
    args = run.args
    half = len(args) // 2
    if any(args[i] is not transposes.transposed(args[-1 - i]) for i in range(half)):
        return None
    if len(args) == 2 * half:
        return assemble(1, (), args[half:])
    base, k = neighbours.matrix_power(args[half])
    if isinstance(k, int) and k % 2 == 0 and has(base, SYMMETRIC):
        return products.times(neighbours.raised(base, k // 2), *args[half + 1 :])
    return None


def reading(e: Expr) -> tuple[int, int, int, str, int]:
    """Fewer transposes, inside or in front, first, then a short first factor, then by name."""
    seen = look(e)
    return (seen.cost, sum([a.op is TRANSPOSE for a in e.args]), look(e.args[0]).cost, seen.label, e.digest)


def of_entries(a: Expr, b: Expr) -> Expr:
    """The sum of the entries of ``a .* b`` for two columns: a bare name times the rest, where there is one."""
    joined = hadamards.hadamard(a, b)
    c, s, m = term(joined)
    scale = assemble(c, s, ())
    if len(m) != 1 or m[0].op is not HADAMARD:
        return products.times(scale, products.unary(SUM, assemble(1, (), m)) if m else const(1))
    split = [powers.split(a) for a in m[0].args]
    if all(p == 2 for _, p in split):
        return products.times(
            scale, powers.power(products.unary(NORM2, hadamards.hadamard(*[a for a, _ in split])), const(2))
        )
    if any(not isinstance(p, Expr) and p < 0 for _, p in split):
        return products.times(scale, make(SUM, m))
    entries = list(m[0].args)
    names = [e for e in entries if not e.args]
    head = names[0] if names else entries[0]
    entries.remove(head)
    rest = entries[0] if len(entries) == 1 else make(HADAMARD, tuple(entries))
    sides = [
        make(PRODUCT, (transposes.transposed(u), *_factors(v))) if u.op is not PRODUCT else None
        for u, v in ((head, rest), (rest, head))
    ]
    if len(entries) > 1 or rest.op is PRODUCT or head.op is PRODUCT:
        if head.op is PRODUCT or rest.op is PRODUCT:
            u, v = (head, rest) if head.op is not PRODUCT else (rest, head)
            return products.times(scale, dot([*_factors(transposes.transposed(u)), *_factors(v)]))
        return products.times(scale, make(PRODUCT, (transposes.transposed(head), rest)))
    found = min((x for x in sides if x is not None), key=reading)
    return products.times(scale, found)


def _factors(e: Expr) -> tuple[Expr, ...]:
    return term(e)[2]


__all__ = ["dot", "number", "of_entries", "reading", "squared"]
