"""What each primitive does with simplified arguments; a primitive not listed keeps its own constructor's form."""

from __future__ import annotations

from collections.abc import Callable

from matcalc.expr import Expr
from matcalc.primitives.base import Primitive
from matcalc.simplify import match

Handler = Callable[[Primitive, tuple[Expr, ...]], Expr]
HANDLERS: dict[type[Primitive], Handler] = {}


def handles(*kinds: type[Primitive]) -> Callable[[Handler], Handler]:
    """Marks the function that simplifies nodes of these primitives."""

    def register(function: Handler) -> Handler:
        for kind in kinds:
            HANDLERS[kind] = function
        return function

    return register


def applied(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    """The primitive applied to simplified arguments, simplified."""
    handler = HANDLERS.get(type(op))
    return match.settled(op.construct(args) if handler is None else handler(op, args))


__all__ = ["HANDLERS", "applied", "handles"]
