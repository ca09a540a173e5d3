"""The record of a derivation: equations between expressions, each of which can be evaluated and checked.

It holds no words beyond the names of rules; ``printing/steps.py`` finds those.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from matcalc.expr import Expr


class Step(NamedTuple):
    """``left = right`` by ``rule``; both sides have the same shape."""

    rule: str
    left: Expr
    right: Expr
    place: Expr | None = None  # the node of the computational graph that the step is about
    condition: str = ""


class Derivation:
    """How a gradient was found.

    ``definitions``   the nodes of the computational graph that vary, in the order of computation; ``names`` names them
    ``differentials`` for each, its differential in terms of those of its arguments
    ``substitution``  the differential of the value, ``dy = <g, dz> + ...``, as one node after the other is eliminated
    ``results``       for each variable the gradient as it was read off, and after simplification
    """

    def __init__(self) -> None:
        self.value: Expr | None = None
        self.definitions: list[Expr] = []
        self.names: dict[Expr, str] = {}
        self.differentials: list[Step] = []
        self.substitution: list[Step] = []
        self.results: list[Step] = []

    @property
    def rules(self) -> list[str]:
        """The names of the trace rules that were used, each once, in order."""
        used = (name for step in self.substitution for name in step.rule.split(", "))
        return list(dict.fromkeys(name for name in used if name.startswith("trace-")))

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
