"""Gradients of scalar expressions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from matcalc.calculus.differential import differential
from matcalc.calculus.transpose import Contribution, pullback
from matcalc.derivation import Derivation, Step, name_nodes
from matcalc.dims import shape_text
from matcalc.errors import LimitError, NotScalarError
from matcalc.expr import Expr, postorder, variables
from matcalc.facts import DIAGONAL, SYMMETRIC, has
from matcalc.primitives.algebra import TRANSPOSE, add
from matcalc.primitives.base import zeros
from matcalc.primitives.leaves import const, differential_of
from matcalc.primitives.loops import free_indices
from matcalc.primitives.products import inner
from matcalc.primitives.structure import diagonal, diagonal_part


def gradient(
    f: Expr,
    wrt: Sequence[Expr],
    *,
    tidy: Callable[[Expr], Expr] = lambda e: e,
    record: Derivation | None = None,
    preferred: Mapping[Expr, str] | None = None,
) -> dict[Expr, Expr]:
    """The gradients g of a scalar f by the variables ``wrt``, with ``df = <g, dX>`` for every dX that X can move in.

    A variable that does not occur has the gradient zero. ``tidy`` simplifies what is found; ``record`` receives the
    derivation, in which intermediate quantities have the names ``preferred`` or z0, z1, ...

    Raises   NotScalarError when f is not a scalar
    Source   MN19 9.2
    """
    if not f.is_scalar:
        raise NotScalarError(
            f"a gradient is of a scalar, and this is in {shape_text(f.shape)}",
            hint="ask for the Jacobian, or make a scalar of it, as with sum(...) or c'*(...)",
        )
    recorder = _Recorder(f, wrt, record, tidy, preferred or {}) if record is not None else None
    found = pullback(f, const(1), set(wrt), tidy=tidy, eliminated=recorder)
    out: dict[Expr, Expr] = {}
    for x in wrt:
        free = found.get(x, zeros(x.shape))
        out[x] = tidy(within(x, free))
        if record is not None:
            record.results.append(Step("read off", out[x], free, x))
    return out


def within(x: Expr, g: Expr) -> Expr:
    """The orthogonal projection of a gradient to the matrices among which ``x`` moves: symmetric or diagonal ones."""
    if x.is_scalar:
        return g
    if has(x, DIAGONAL):
        return diagonal(diagonal_part(g))
    return (g + g.T) / 2 if has(x, SYMMETRIC) else g


_LONGEST_RECORD = 100_000  # terms in all lines of a derivation; nobody reads more


class _Recorder:
    """Writes down the elimination of each node as it happens."""

    def __init__(
        self,
        f: Expr,
        wrt: Sequence[Expr],
        record: Derivation,
        tidy: Callable[[Expr], Expr],
        preferred: Mapping[Expr, str],
    ) -> None:
        self.record, self.tidy = record, tidy
        self.length = 0
        self.frontier: dict[Expr, Expr] = {f: const(1)}  # dy = sum of <cotangent, d node>
        record.value = f
        varying = set(wrt)
        for node in postorder([f]):
            if node.args and not varying.isdisjoint(node.args):
                varying.add(node)
                if node.op is not TRANSPOSE and not free_indices(node):
                    record.definitions.append(node)
        self.varying = varying
        inside = [node for node in record.definitions if node is not f]
        taken = [v.op.name for v in variables([f])]
        record.names = name_nodes(inside, preferred, taken) | {f: preferred.get(f, "y" if "y" not in taken else "f")}
        for node in record.definitions:
            dx = tuple([self.d(a) for a in node.args])
            record.differentials.append(
                Step("differential", differential_of(node), tidy(node.op.differential(node, node.args, dx)), node)
            )
        self.differential = {step.place: step.right for step in record.differentials}

    def d(self, a: Expr) -> Expr:
        """The differential of an argument, as a step writes it."""
        if a not in self.varying:
            return zeros(a.shape)
        if free_indices(a):  # inside an indexed sum: down to what the index does not reach
            outside = [e for e in postorder([a], stop=lambda e: not free_indices(e)) if not free_indices(e)]
            return differential(a, {e: self.d(e) for e in outside if e in self.varying})
        return self.d(a.args[0]).T if a.op is TRANSPOSE else differential_of(a)

    def total(self) -> Expr:
        return add(*(inner(g, differential_of(node)) for node, g in self.frontier.items()))

    def __call__(self, node: Expr, g: Expr, contributions: list[Contribution]) -> None:
        self.length += len(self.frontier) + len(contributions)
        if self.length > _LONGEST_RECORD:
            raise LimitError(
                f"the derivation has more than {_LONGEST_RECORD} terms", hint="ask for the result without its steps"
            )
        before = self.total()
        self.frontier.pop(node, None)
        rest = self.total()
        self.record.substitution.append(Step("differential", before, rest + inner(g, self.differential[node]), node))
        for c in contributions:
            known = self.frontier.get(c.target)
            self.frontier[c.target] = self.tidy(c.cotangent if known is None else add(known, c.cotangent))
        rules = dict.fromkeys(rule for c in contributions for rule in c.rules)
        self.record.substitution.append(Step(", ".join(rules), self.record.substitution[-1].right, self.total(), node))
