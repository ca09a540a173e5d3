"""Where an evaluation is sound: every number real and finite, and no kink between one point and the next."""

from __future__ import annotations

from typing import Any

from matcalc.expr import Expr
from matcalc.primitives.functions import Elementwise
from matcalc.primitives.reductions import ArgMax, Max, Norm2

LARGEST = 1e40  # beyond it a test says nothing, and exp of it need not end


class Undefined(Exception):
    """An expression has no real, finite value at a point."""


class Kink(Undefined):
    """A point at which a function is not differentiable lies in the way."""


class Watch:
    """Looks at every node of an evaluation; ``piece`` says on which smooth pieces of functions with kinks it went.

    Two evaluations with equal pieces have no kink between them.
    """

    def __init__(self) -> None:
        self.piece: list[tuple[str, tuple[Any, ...]]] = []

    def __call__(self, node: Expr, arguments: list[Any], value: Any) -> None:
        import mpmath

        for t in value.ravel():
            if isinstance(t, mpmath.mpc | complex):
                raise Undefined(f"{node.op} is not real there")
            if not abs(t) < LARGEST:  # NaN too
                raise Undefined(f"{node.op} is not a number or too large there")
        op = node.op
        if isinstance(op, Max | ArgMax):
            largest = arguments[0].max(axis=op.axis, keepdims=True)
            self.piece.append((op.name, tuple((arguments[0] == largest).ravel())))
        elif isinstance(op, Norm2):
            self.piece.append((op.name, (_sign(value[0, 0]),)))
        elif op.kink or (isinstance(op, Elementwise) and op.function.kink):
            self.piece.append((str(op), tuple(map(_sign, arguments[0].ravel()))))

    def kink_towards(self, other: Watch) -> str | None:
        """The function whose kink lies between the two evaluations."""
        for (name, here), (_, there) in zip(self.piece, other.piece, strict=True):
            if here != there:
                return name
        return None


def _sign(t: Any) -> int:
    import mpmath

    return 0 if abs(t) < mpmath.mpf(10) ** (15 - mpmath.mp.dps) else 1 if t > 0 else -1


__all__ = ["LARGEST", "Kink", "Undefined", "Watch"]
