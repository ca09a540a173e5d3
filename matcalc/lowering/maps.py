"""Maps that a formula leaves unknown: what the caller gives for them.

``functions={"net": [net, jac, jac2]}``: the map and its derivatives, functions of all its arguments. Of a map of
several arguments the derivatives are lists: ``[f, [jac1, jac2], [[jac11, jac12], [jac21, jac22]]]``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from matcalc.dims import shape_text
from matcalc.errors import ArgumentError
from matcalc.expr import Expr


class Derivative(NamedTuple):
    """A derivative of a map: the arguments it is taken by, of how many, its spelling, its shape, and its rank."""

    slots: tuple[int, ...]
    arguments: int
    head: str
    shape: str
    rank: int

    @property
    def identifier(self) -> str:
        """``jac_f_2`` for jac(f, 2)."""
        return "_".join(re.findall(r"\w+", self.head))

    @property
    def place(self) -> str:
        """Where the caller gives it: ``[1][0]``."""
        index = f"[{len(self.slots)}]"
        return index if self.arguments == 1 else index + "".join(f"[{slot}]" for slot in self.slots)


def derivative(node: Expr) -> Derivative:
    op: Any = node.op
    rank = sum(d.value != 1 for d in node.shape)
    return Derivative(op.by, len(op.function.domains), op.head(), shape_text(node.shape), rank)


class Given:
    """The caller's function, whose results are checked."""

    def __init__(self, function: Any, place: str, of: Derivative) -> None:
        self.function, self.place, self.of = function, place, of

    def __call__(self, *x: Any) -> Any:
        import numpy

        value = self.function(*x)
        found = numpy.asarray(value)
        if found.ndim != self.of.rank or found.dtype.kind not in "biufc":
            kinds = ("a number", "a one-dimensional array", "a two-dimensional array")
            raise ArgumentError(
                f"{self.place} must give {kinds[self.of.rank]}, and gave shape {found.shape} of {found.dtype}",
                hint=f"{self.of.head} is in {self.of.shape}",
            )
        return found if self.of.rank else found[()]


def given(name: str, of: Derivative, functions: Any) -> Given:
    """The function that the caller gives for a derivative of a map.

    Raises   ArgumentError when there is none
    """
    order = len(of.slots)
    found = functions if isinstance(functions, Sequence) else [functions]
    place = f"functions[{name!r}]{of.place}"
    try:
        chosen = found[order]
        if of.arguments > 1 or not callable(chosen):
            for slot in of.slots:
                chosen = chosen[slot]
    except (IndexError, TypeError, KeyError):
        wanted = "value" if not order else "derivative" if order == 1 else f"derivative of order {order}"
        raise ArgumentError(
            f"the {wanted} of {name}, {of.head}, is not known",
            hint=f"pass it as {place}, a Python function of {of.arguments} array{'s' if of.arguments > 1 else ''}; "
            f"{of.head} is in {of.shape}",
        ) from None
    if not callable(chosen):
        raise ArgumentError(f"{place} is {chosen!r}, which is no function")
    return Given(chosen, place, of)


__all__ = ["Derivative", "Given", "derivative", "given"]
