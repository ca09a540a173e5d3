"""Derivations as records: what the computations of calculus/ write down of themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from matcalc.calculus.differential import differential
from matcalc.calculus.rules import VEC_RULES
from matcalc.calculus.transpose import Contribution, pullback
from matcalc.calculus.vectorise import Link, Vectoriser
from matcalc.derivation import Derivation, Step, name_nodes
from matcalc.errors import LimitError
from matcalc.expr import Expr, dependents, postorder, substitute, variables
from matcalc.primitives.algebra import TRANSPOSE, Product, add, product
from matcalc.primitives.base import zeros
from matcalc.primitives.leaves import Differential, Identity, differential_of, identity
from matcalc.primitives.loops import free_indices
from matcalc.primitives.products import inner
from matcalc.primitives.structure import vec

Tidy = Callable[[Expr], Expr]

_LONGEST_RECORD = 100_000  # terms in all lines of a derivation; nobody reads more


class Linearised:
    """Writes down the computational graph and the differential of each of its nodes."""

    def __init__(
        self,
        f: Expr,
        wrt: Sequence[Expr],
        record: Derivation,
        tidy: Callable[[Expr], Expr],
        preferred: Mapping[Expr, str],
    ) -> None:
        self.record, self.tidy = record, tidy
        record.value = f
        varying = set(wrt)
        for node in postorder([f]):
            if node.args and not varying.isdisjoint(node.args):
                varying.add(node)
                if (node.op is not TRANSPOSE or node is f) and not free_indices(node):
                    record.definitions.append(node)
        self.varying = varying
        inside = [node for node in record.definitions if node is not f]
        taken = [v.op.name for v in variables([f])]
        shown = {f: preferred.get(f, "y" if "y" not in taken else "f")} if f.args else {}
        record.names = name_nodes(inside, preferred, [*taken, *shown.values()]) | shown
        for node in record.definitions:
            dx = tuple([self.d(a) for a in node.args])
            record.differentials.append(
                Step("differential", differential_of(node), tidy(node.op.differential(node, node.args, dx)), node)
            )

    def d(self, a: Expr) -> Expr:
        """The differential of an argument, as a step writes it."""
        if a not in self.varying:
            return zeros(a.shape)
        if free_indices(a):  # inside an indexed sum: down to what the index does not reach
            outside = [e for e in postorder([a], stop=lambda e: not free_indices(e)) if not free_indices(e)]
            return differential(a, {e: self.d(e) for e in outside if e in self.varying})
        return self.d(a.args[0]).T if a.op is TRANSPOSE else differential_of(a)

    def bases(self, node: Expr) -> list[Expr]:
        """The quantities that the differential of a node is stated in: what it is made of, through transposes."""
        found: dict[Expr, None] = {}
        todo = list(reversed(node.args))
        while todo:
            a = todo.pop()
            if a not in self.varying:
                continue
            if a.op is TRANSPOSE or free_indices(a):
                todo.extend(reversed(a.args))
            else:
                found[a] = None
        return list(found)


class Recorder(Linearised):
    """Writes down the elimination of each node as it happens: ``<seed, dy>`` as the sum of ``<cotangent, d node>``."""

    def __init__(
        self,
        f: Expr,
        wrt: Sequence[Expr],
        seed: Expr,
        record: Derivation,
        tidy: Callable[[Expr], Expr],
        preferred: Mapping[Expr, str],
    ) -> None:
        super().__init__(f, wrt, record, tidy, preferred)
        self.length = 0
        self.frontier: dict[Expr, Expr] = {f: seed}
        self.terms: dict[Expr, Expr] = {f: inner(seed, differential_of(f))}  # of it, ``<cotangent, d node>``
        self.differential = {step.place: step.right for step in record.differentials}

    def total(self) -> Expr:
        return add(*self.terms.values())

    def __call__(self, node: Expr, g: Expr, contributions: list[Contribution]) -> None:
        self.length += len(self.frontier) + len(contributions)
        if self.length > _LONGEST_RECORD:
            raise LimitError(
                f"the derivation has more than {_LONGEST_RECORD} terms", hint="ask for the result without its steps"
            )
        before = self.total()
        self.frontier.pop(node, None)
        self.terms.pop(node, None)
        rest = self.total()
        self.record.substitution.append(Step("differential", before, rest + inner(g, self.differential[node]), node))
        for c in contributions:
            known = self.frontier.get(c.target)
            whole = self.tidy(c.cotangent if known is None else add(known, c.cotangent))
            self.frontier[c.target], self.terms[c.target] = whole, inner(whole, differential_of(c.target))
        rules = dict.fromkeys(rule for c in contributions for rule in c.rules)
        self.record.substitution.append(Step(", ".join(rules), self.record.substitution[-1].right, self.total(), node))


def record_pullback(
    f: Expr, seed: Expr, labels: Mapping[Expr, str], record: Derivation, tidy: Tidy, preferred: Mapping[Expr, str]
) -> dict[Expr, Expr]:
    """The cotangents of the variables ``labels`` for the cotangent ``seed`` of f, and how they were found."""
    recorder = Recorder(f, list(labels), seed, record, tidy, preferred)
    found = pullback(f, seed, set(labels), tidy=tidy, eliminated=recorder)
    out = {x: tidy(found.get(x) or zeros(x.shape)) for x in labels}
    record.results += [Step("read off", out[x], out[x], x, label=label) for x, label in labels.items()]
    return out


def record_differential(
    f: Expr,
    moves: Mapping[Expr, Expr],
    record: Derivation,
    tidy: Tidy,
    preferred: Mapping[Expr, str],
    label: str,
) -> Expr:
    """The differential of f with ``moves`` for the differentials of the variables, and how it was found."""
    Linearised(f, list(moves), record, tidy, preferred)
    record.moves = {x: v for x, v in moves.items() if v is not differential_of(x)}
    along = {differential_of(x): v for x, v in moves.items()}
    for step in record.differentials:
        along[step.left] = substitute(step.right, along)
    raw = along.get(differential_of(f), zeros(f.shape))
    found = tidy(differential(f, moves))
    record.results.append(Step("substituted", found, raw, label=label))
    return found


def record_jacobian(
    f: Expr, labels: Mapping[Expr, str], record: Derivation, tidy: Tidy, preferred: Mapping[Expr, str]
) -> dict[Expr, Expr]:
    """The Jacobians of f by the variables ``labels``, and how they were found."""
    graph = Linearised(f, list(labels), record, tidy, preferred)
    engine = Vectoriser(tidy)
    differentials = {step.place: step.right for step in record.differentials}
    for node in record.definitions:
        bases = graph.bases(node)
        terms = []
        for x in bases:
            others = {a: zeros((a.rows * a.cols, x.rows * x.cols)) for a in bases if a is not x}
            m = tidy(engine.matrix(node, {**others, x: identity(x.rows * x.cols)}))
            terms.append(multiplied(m, vec(differential_of(x))))
        rule = ", ".join(_vec_rules(differentials[node]))
        record.vectorised.append(Step(rule, vec(differential_of(node)), add(*terms), node))
    out: dict[Expr, Expr] = {}
    said: set[Link] = set()
    for x, label in labels.items():
        links = engine.chain(f, x)
        out[x] = engine.jacobian(f, x)
        for link in links if len(links) > 1 else []:
            moved = multiplied(link.matrix, vec(differential_of(link.x)))
            alone = label if len(labels) > 1 else ""
            if link in said:
                continue
            said.add(link)
            record.chain.append(Step("chain rule", vec(differential_of(link.z)), moved, link.z, label=alone))
        raw = multiplied(*[link.matrix for link in reversed(links)]) if links else out[x]
        record.results.append(Step("chain rule" if len(links) > 1 else "read off", out[x], raw, x, label=label))
    return out


def multiplied(*factors: Expr) -> Expr:
    """The product as a step writes it, without factors I, and with the numbers of factors such as -I before it."""
    numbers: list[Expr] = []
    kept: list[Expr] = []
    for f in factors:
        multiple = f.args if isinstance(f.op, Product) else (f,)
        if isinstance(multiple[-1].op, Identity) and all(a.is_scalar for a in multiple[:-1]):
            numbers += multiple[:-1]
        else:
            kept.append(f)
    return product(*numbers, *kept) if kept else product(*factors)


def _vec_rules(dy: Expr) -> list[str]:
    """The rules that bring a differential under vec, each once."""
    nodes = postorder([dy])
    varying = dependents([dy], [node for node in nodes if isinstance(node.op, Differential)])
    found = [
        VEC_RULES[node.op.trace_rule(i)].name
        for node in nodes
        for i, a in enumerate(node.args)
        if a in varying and node.op.linear_in(i)
    ]
    return list(dict.fromkeys(found))


__all__ = ["Linearised", "Recorder", "multiplied", "record_differential", "record_jacobian", "record_pullback"]
