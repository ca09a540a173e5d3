"""The record of a derivation: equations between expressions, each of which can be evaluated and checked.

It holds no words beyond the names of rules; ``printing/steps.py`` finds those.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from matcalc.expr import Expr

if TYPE_CHECKING:
    from matcalc.calculus.pattern import Layers


class Step(NamedTuple):
    """``left = right`` by ``rule``; both sides have the same shape."""

    rule: str
    left: Expr
    right: Expr
    place: Expr | None = None  # the node of the computational graph that the step is about
    condition: str = ""
    label: str = ""  # the name of what is found, of a result


class Derivation:
    """How a derivative was found.

    ``written``       the value as it was written, equal to the form of it that is differentiated, where that is another
    ``parts``         derivations that this one rests on, each with a title, such as the gradient of a Hessian

    ``definitions``   the nodes of the computational graph that vary, in the order of computation; ``names`` names them
    ``differentials`` for each, its differential in terms of those of its arguments
    ``substitution``  the differential of the value, ``dy = <g, dz> + ...``, as one node after the other is eliminated
    ``moves``         what stands for the differentials of the variables, in a product with a direction
    ``vectorised``    the same differentials under vec, ``d vec(z) = M*d vec(x) + ...``
    ``chain``         the Jacobian as the product of those from one quantity to the next; of several variables for
                      each, under the label of its Jacobian, what holds when it alone moves and was not said yet
    ``results``       for each variable the derivative as it was read off, and after simplification
    ``pattern``       what consecutive layers of a program have in common
    """

    def __init__(self) -> None:
        self.value: Expr | None = None
        self.written: Step | None = None
        self.definitions: list[Expr] = []
        self.names: dict[Expr, str] = {}
        self.differentials: list[Step] = []
        self.substitution: list[Step] = []
        self.moves: dict[Expr, Expr] = {}
        self.vectorised: list[Step] = []
        self.chain: list[Step] = []
        self.parts: list[tuple[str, Derivation]] = []
        self.results: list[Step] = []
        self.pattern: list[Layers] = []

    @property
    def rules(self) -> list[str]:
        """The names of the trace and vec rules that were used, each once, in order."""
        used = (name for step in (*self.substitution, *self.vectorised) for name in step.rule.split(", "))
        return list(dict.fromkeys(name for name in used if name.startswith(("trace-", "vec-"))))

    def rename(self, label: str, other: str) -> None:
        """Gives a result another label."""
        self.results = [step._replace(label=other) if step.label == label else step for step in self.results]
        self.chain = [step._replace(label=other) if step.label == label else step for step in self.chain]

    def __str__(self) -> str:
        from matcalc.printing.steps import steps_text

        return steps_text(self)


def name_nodes(
    nodes: Iterable[Expr], preferred: Mapping[Expr, str], taken: Iterable[str], letter: str = "z"
) -> dict[Expr, str]:
    """z0, z1, ... for numbers and vectors, Z2 for a matrix, counted through; names in ``taken`` are left out."""
    names: dict[Expr, str] = {}
    used = {*taken, *preferred.values()}
    count = 0
    for node in nodes:
        if node in preferred:
            names[node] = preferred[node]
            continue
        while True:
            matrix = not (node.is_scalar or node.is_column or node.is_row)
            name = f"{letter.upper() if matrix else letter}{count}"
            count += 1
            if name not in used:
                break
        names[node] = name
    return names
