"""Patterns in variables, matched against simplified expressions: what the variables stand for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from matcalc.dims import Dim
from matcalc.expr import Expr, Number
from matcalc.facts import facts
from matcalc.primitives.algebra import ADD, HADAMARD, PRODUCT
from matcalc.primitives.base import Primitive
from matcalc.primitives.leaves import Const, Var, number_of
from matcalc.simplify import (
    differences,
    transposes,
)
from matcalc.simplify.terms import Term, assemble, exact, term

Binding = dict[Expr | str, Expr | Dim]  # variables of the rule, and its dimensions by name


def is_variable(t: Term) -> bool:
    parts = (*t.scalars, *t.factors)
    return len(parts) == 1 and isinstance(parts[0].op, Var)


def rest_of_sum(
    wanted: Sequence[Term], given: Sequence[Term], times: Number, bound: Binding, used: frozenset[int]
) -> Iterator[tuple[Binding, frozenset[int]]]:
    if not wanted:
        yield bound, used
        return
    coefficient = exact(wanted[0].coefficient * times)
    total = _bound_sum(wanted[0], bound)
    if total is not None:
        places = _places(total, coefficient, given, used)
        if places is not None:
            yield from rest_of_sum(wanted[1:], given, times, bound, used | set(places))
        return
    for i, t in enumerate(given):
        if t.coefficient == coefficient and i not in used:
            for b in match_parts(wanted[0], t, bound):
                yield from rest_of_sum(wanted[1:], given, times, b, used | {i})


def _bound_sum(wanted: Term, bound: Binding) -> Expr | None:
    """The sum that a term of a pattern stands for, a variable that is known already."""
    parts = (*wanted.scalars, *wanted.factors)
    found = bound.get(parts[0]) if len(parts) == 1 and isinstance(parts[0].op, Var) else None
    return found if isinstance(found, Expr) and found.op is ADD else None


def _places(total: Expr, times: Number, given: Sequence[Term], used: frozenset[int]) -> list[int] | None:
    """Where the terms of a multiple of a sum stand among the given ones."""
    out: list[int] = []
    for t in map(term, total.args):
        wanted = t._replace(coefficient=exact(t.coefficient * times))
        place = next((i for i, u in enumerate(given) if u == wanted and i not in used and i not in out), None)
        if place is None:
            return None
        out.append(place)
    return out


def match_parts(wanted: Term, given: Term, bound: Binding) -> Iterator[Binding]:
    """Scalars and factors of a term, without its number; a variable alone stands for all of them."""
    whole = (*wanted.scalars, *wanted.factors)
    if len(whole) == 1 and isinstance(whole[0].op, Var) and len(given.scalars) + len(given.factors) > 1:
        yield from matches(whole[0], assemble(1, given.scalars, given.factors), bound)
        return
    if len(wanted.scalars) == len(given.scalars) and len(wanted.factors) == len(given.factors):
        for b, _ in among(wanted.scalars, given.scalars, bound):
            yield from in_order(wanted.factors, given.factors, b)


def among(wanted: Sequence[Expr], given: Sequence[Expr], bound: Binding) -> Iterator[tuple[Binding, list[Expr]]]:
    """Commuting patterns found among commuting factors, and what is left of these."""
    if not wanted:
        yield bound, list(given)
        return
    for i, e in enumerate(given):
        for b in matches(wanted[0], e, bound):
            yield from among(wanted[1:], [*given[:i], *given[i + 1 :]], b)


def in_order(wanted: Sequence[Expr], given: Sequence[Expr], bound: Binding) -> Iterator[Binding]:
    """Patterns and arguments one to one, in order."""
    if len(wanted) != len(given):
        return
    if not wanted:
        yield bound
        return
    for b in matches(wanted[0], given[0], bound):
        yield from in_order(wanted[1:], given[1:], b)


def matches(pattern: Expr, e: Expr, bound: Binding) -> Iterator[Binding]:
    """The ways in which a pattern is an expression."""
    op = pattern.op
    if isinstance(op, Var):
        known = bound.get(pattern)
        if known is not None:
            if known is e:
                yield bound
            return
        b = _shapes(pattern, e, bound)
        if b is not None and facts(e).issuperset(op.declared):
            yield {**b, pattern: e}
        return
    if isinstance(op, Const):
        if pattern is e:
            yield bound
        return
    if op is PRODUCT and e.op is ADD:
        negated = _negated(pattern, e, bound)
        if negated is not None:
            yield negated
        return
    if type(op) is not type(e.op):
        return
    b = bound if op is e.op else _parameters(op, e.op, bound)
    if b is None:
        return
    if op is ADD:
        # Nested sums are matched as a whole.
        wanted, given = [term(a) for a in pattern.args], [term(a) for a in e.args]
        if len(wanted) == len(given):
            for complete, _ in rest_of_sum(wanted, given, 1, b, frozenset()):
                yield complete
    elif op is HADAMARD:
        if len(pattern.args) == len(e.args):
            for complete, _ in among(pattern.args, e.args, b):
                yield complete
    elif op is PRODUCT:
        negated = _negated(pattern, e, b)
        if negated is not None:
            yield negated
            return
        t, u = term(pattern), term(e)
        if t.coefficient == u.coefficient:
            if t.scalars == (pattern,) and u.scalars == (e,):  # chains such as x'*y, read either way
                yield from in_order(pattern.args, e.args, b)
                turned = [transposes.transposed(a) for a in reversed(e.args)]
                yield from in_order(pattern.args, turned, b)
                if len(pattern.args) == 2 < len(e.args):  # of y'*f(x) the y may be a product
                    one, other = transposes.transposed(pattern.args[0]), pattern.args[1]
                    y, fixed = (other, one) if isinstance(other.op, Var) else (one, other)
                    for run in (e.args, turned) if isinstance(y.op, Var) else ():
                        for complete in matches(fixed, run[-1], b):
                            yield from matches(y, transposes.transposed(assemble(1, (), run[:-1])), complete)
                return
            yield from match_parts(t, u, b)
    else:
        yield from in_order(pattern.args, e.args, b)


def _negated(pattern: Expr, e: Expr, bound: Binding) -> Binding | None:
    """The variable of a pattern ``-A`` as the negative of a sum: ``b - a`` is ``-(a - b)``."""
    if len(pattern.args) != 2 or number_of(pattern.args[0]) != -1 or not isinstance(pattern.args[1].op, Var):
        return None
    other = differences.flipped(e) if e.op is ADD else None
    return None if other is None else next(matches(pattern.args[1], other, bound), None)


def _parameters(wanted: Primitive, given: Primitive, bound: Binding) -> Binding | None:
    """Primitives of one kind with parameters that agree, dimensions up to naming."""
    for p, q in zip(wanted.params, given.params, strict=True):
        pairs = [(p, q)] if not isinstance(p, tuple) else list(zip(p, q, strict=True))
        for u, v in pairs:
            if isinstance(u, Dim):
                found = _dimension(u, v, bound)
                if found is None:
                    return None
                bound = found
            elif u != v:
                return None
    return bound


def _shapes(pattern: Expr, e: Expr, bound: Binding) -> Binding | None:
    if pattern.is_scalar != e.is_scalar and pattern.is_scalar:
        return None
    found: Binding | None = bound
    for u, v in zip(pattern.shape, e.shape, strict=True):
        found = _dimension(u, v, found) if found is not None else None
    return found


def _dimension(wanted: Dim, given: Dim, bound: Binding) -> Binding | None:
    name = wanted.name
    if name is None:
        known: dict[str, Dim] = {k: v for k, v in bound.items() if isinstance(k, str) and isinstance(v, Dim)}
        return bound if wanted.substitute(known) is given else None
    before = bound.get(name)
    if before is None:
        return {**bound, name: given}
    return bound if before is given else None


__all__ = ["Binding", "among", "in_order", "is_variable", "match_parts", "matches", "rest_of_sum"]
