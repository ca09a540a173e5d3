"""Rules as data: patterns in the language, matched against simplified expressions.

The left side is a node of the graph. Where it is a sum or an elementwise product it is found among the terms or
factors of a longer one, where it is a product among the scalars and as a run of neighbouring factors. A variable of a
rule stands for any expression of its kind that has the declared facts.
"""

from __future__ import annotations

from typing import NamedTuple

from matcalc.dims import ONE, Dim
from matcalc.expr import Expr, make, postorder, substitute, variables
from matcalc.primitives.algebra import ADD, HADAMARD, POWER, PRODUCT, TRANSPOSE
from matcalc.primitives.base import Primitive
from matcalc.primitives.functions import Elementwise
from matcalc.primitives.leaves import Const, Var, const, ones, size, var
from matcalc.simplify import (
    effort,
    hadamards,
    heads,
    patterns,
    powers,
    products,
    sums,
)
from matcalc.simplify.cost import look
from matcalc.simplify.rules import SECTIONS, Row
from matcalc.simplify.terms import Term, ratio, term


class Rule(NamedTuple):
    """A row with both sides as expressions; the left one is in its simplified form."""

    row: Row
    left: Expr
    right: Expr


def kind(e: Expr) -> str:
    """The name under which rules are filed: of the function or primitive, through powers, transposes and numbers."""
    op = e.op
    while op is POWER or op is TRANSPOSE or (op is PRODUCT and len(e.args) == 2 and isinstance(e.args[0].op, Const)):
        e = e.args[-1] if op is PRODUCT else e.args[0]
        op = e.op
    return op.function.name if type(op) is Elementwise else type(op).__name__


_MOST_RULES = 8  # at one node
_MOST_PAIRS = 4096  # of terms that a rule compares in vain within a sum; in a long one it does not look at all
_parsed: dict[tuple[str, str], list[Rule]] = {}
_reading: list[Row] = []  # rows being read: their patterns are found without rules


def rules(head: str, part: str) -> list[Rule]:
    """The rules for nodes of one kind that have an argument of another, parsed when they are first asked for."""
    found = _parsed.get((head, part))
    if found is None:
        found = [rule for row in SECTIONS.get((head, part), ()) for rule in read(row)]
        _parsed[head, part] = found
    return found


def read(row: Row) -> list[Rule]:
    """The rule of a row; one about entries holds for matrices and for numbers, and is two."""
    from matcalc.syntax import parse

    out = []
    _reading.append(row)
    try:
        for declarations in row.cases():
            left, right = (_own(parse(side, declarations).expr) for side in (row.left, row.right))
            out.append(Rule(row, without_rules(left), right))
    finally:
        _reading.pop()
    return out


def _own(e: Expr) -> Expr:
    """The expression in variables that no user can name, so that patterns share no node with users' expressions."""
    own = {v: var("?" + v.op.name, v.shape, *v.op.declared) for v in variables([e]) if isinstance(v.op, Var)}
    return substitute(e, own)


def without_rules(e: Expr) -> Expr:
    """The form that a pattern has to have to meet simplified expressions."""
    done: dict[Expr, Expr] = {}
    for node in postorder([e]):
        done[node] = heads.applied(node.op, tuple([done[a] for a in node.args])) if node.args else node
    return done[e]


def settled(e: Expr) -> Expr:
    """The expression after all rules that apply at its top; each makes it cheaper, so there is an end."""
    if _reading:
        return e
    known: Expr | None = e.memo.get("settled")
    if known is not None:
        return known
    before, after = e, rewritten(e)
    for _ in range(_MOST_RULES - 1):
        if after is before:
            break
        before, after = after, rewritten(after)
    if effort.is_whole() and not _underway:
        e.memo["settled"] = after
    return after


def stands(e: Expr) -> None:
    """Notes that its primitive makes of the arguments of ``e`` what ``e`` is, which a second look need not find."""
    if effort.is_whole() and not _underway and not _reading:
        e.memo["stands"] = True


def rewritten(e: Expr) -> Expr:
    """The node after the first rule that applies to it, or itself."""
    op = e.op
    head = op.function.name if type(op) is Elementwise else type(op).__name__
    parts = _HEADS.get(head)
    if parts is None:
        return e
    for part in dict.fromkeys([kind(a) for a in e.args if type(a.op) is not Var]):
        if part in parts:
            for rule in rules(head, part):
                found = applied(rule, e)
                if found is not None and look(found).cost < look(e).cost:
                    return found if found.shape == e.shape else products.times(found, ones(*e.shape))
    return e


_HEADS: dict[str, set[str]] = {}
for _head, _part in SECTIONS:
    _HEADS.setdefault(_head, set()).add(_part)


def applied(rule: Rule, e: Expr) -> Expr | None:
    """What a rule makes of a node, what it does not match in longer sums and products kept."""
    pattern = rule.left
    op = pattern.op
    if op is ADD and e.op is ADD:
        return _in_sum(rule, e)
    if op is HADAMARD and e.op is HADAMARD:
        return _in_hadamard(rule, e)
    if op is PRODUCT and e.op is PRODUCT:
        return _in_product(rule, e)
    for bound in patterns.matches(pattern, e, {}):
        return instance(rule.right, bound)
    return None


_underway: set[tuple[Rule, Expr]] = set()  # what it would come back to: the sum of what a rule gives may be the same


def _in_sum(rule: Rule, e: Expr) -> Expr | None:
    """Terms in the ratio of the pattern's, wherever there are; the common number goes with the result."""
    if (rule, e) in _underway:
        return None
    _underway.add((rule, e))
    try:
        return _with_terms(rule, e)
    finally:
        _underway.discard((rule, e))


def _with_terms(rule: Rule, e: Expr) -> Expr | None:
    # A variable that stands alone comes last: what it stands for, perhaps several terms, is then known.
    wanted = sorted([term(a) for a in rule.left.args], key=patterns.is_variable)
    given = [term(a) for a in e.args]
    new: list[Expr] = []
    used: frozenset[int] = frozenset()
    in_vain = 0
    for i, t in enumerate(given):
        if i in used:
            continue
        if in_vain * len(given) > _MOST_PAIRS:
            break
        for bound in patterns.match_parts(wanted[0], t, {}):
            times = ratio(t.coefficient, wanted[0].coefficient)
            found = next(patterns.rest_of_sum(wanted[1:], given, times, bound, used | {i}), None)
            if found is not None:
                complete, used = found
                new.append(products.times(const(times), instance(rule.right, complete)))
                break
            in_vain += 1
    return sums.plus(*new, *[a for k, a in enumerate(e.args) if k not in used]) if new else None


def _in_hadamard(rule: Rule, e: Expr) -> Expr | None:
    new: list[Expr] = []
    rest = list(e.args)
    while (found := next(patterns.among(rule.left.args, rest, {}), None)) is not None:
        bound, rest = found
        new.append(instance(rule.right, bound))
    return hadamards.hadamard(*new, *rest) if new else None


def _in_product(rule: Rule, e: Expr) -> Expr | None:
    wanted, given = term(rule.left), term(e)
    if len(wanted.scalars) > len(given.scalars) or len(wanted.factors) > len(given.factors):
        return None
    found = _with_factors(rule, wanted, given)
    if found is None and any(s.op is POWER for s in wanted.scalars):
        for i, s in enumerate(given.scalars):  # 1/a^2 holds 1/a
            base, p = powers.split(s)
            if isinstance(p, int) and p < -1:
                apart = (powers.raised(base, -1), powers.raised(base, p + 1))
                scalars = (*given.scalars[:i], *apart, *given.scalars[i + 1 :])
                found = found or _with_factors(rule, wanted, given._replace(scalars=scalars))
    return found


def _with_factors(rule: Rule, wanted: Term, given: Term) -> Expr | None:
    coefficient = ratio(given.coefficient, wanted.coefficient)
    for bound, rest in patterns.among(wanted.scalars, given.scalars, {}):
        n = len(wanted.factors)
        if not n:
            return products.times(const(coefficient), instance(rule.right, bound), *rest, *given.factors)
        for i in range(len(given.factors) - n + 1):
            for complete in patterns.in_order(wanted.factors, given.factors[i : i + n], bound):
                new = instance(rule.right, complete)
                return products.times(const(coefficient), *rest, *given.factors[:i], new, *given.factors[i + n :])
    return None


def instance(right: Expr, bound: patterns.Binding) -> Expr:
    """The right side with everything put in, simplified bottom-up."""
    names = {k: v for k, v in bound.items() if isinstance(k, str) and isinstance(v, Dim)}
    done: dict[Expr, Expr] = {}
    for node in postorder([right]):
        if isinstance(node.op, Var):
            value = bound[node]
            assert isinstance(value, Expr)
            done[node] = value
        else:
            op = _renamed(node.op, names)
            if op.name == "" and type(op).__name__ == "Size":
                done[node] = size(names[op.params[0]])
            else:
                done[node] = heads.applied(op, tuple([done[a] for a in node.args])) if node.args else _leaf(op)
    return done[right]


def _leaf(op: Primitive) -> Expr:
    e = make(op)
    return const(1) if e.shape == (ONE, ONE) and type(op).__name__ in ("Ones", "Identity") else e


def _renamed(op: Primitive, names: dict[str, Dim]) -> Primitive:
    if not any(isinstance(p, (Dim, tuple)) for p in op.params):
        return op
    return type(op)(*[_put_in(p, names) for p in op.params])


def _put_in(parameter: object, names: dict[str, Dim]) -> object:
    if isinstance(parameter, tuple):
        return tuple([_put_in(p, names) for p in parameter])
    return parameter.substitute(names) if isinstance(parameter, Dim) else parameter


__all__ = ["Rule", "applied", "read", "rewritten", "rules", "settled", "stands"]
