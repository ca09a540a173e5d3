"""What each primitive does with simplified arguments; one without a handler keeps its own constructor's form."""

from __future__ import annotations

from matcalc.expr import Expr
from matcalc.primitives.base import Primitive
from matcalc.simplify import match
from matcalc.simplify.handlers import HANDLERS


def applied(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    """The primitive applied to simplified arguments, simplified."""
    handler = HANDLERS.get(type(op))
    return match.settled(op.construct(args) if handler is None else handler(op, args))


__all__ = ["applied"]
