"""Which function simplifies nodes of which primitive."""

from __future__ import annotations

from collections.abc import Callable

from matcalc.expr import Expr
from matcalc.primitives.base import Primitive

Handler = Callable[[Primitive, tuple[Expr, ...]], Expr]
HANDLERS: dict[type[Primitive], Handler] = {}


def handles(*kinds: type[Primitive]) -> Callable[[Handler], Handler]:
    """Marks the function that simplifies nodes of these primitives."""

    def register(function: Handler) -> Handler:
        for kind in kinds:
            HANDLERS[kind] = function
        return function

    return register


__all__ = ["HANDLERS", "Handler", "handles"]
