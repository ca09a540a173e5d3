"""Gradients of scalar expressions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from matcalc.calculus.pattern import general_pattern
from matcalc.calculus.record import Recorder
from matcalc.calculus.transpose import pullback
from matcalc.derivation import Derivation, Step
from matcalc.dims import shape_text
from matcalc.errors import NotScalarError
from matcalc.expr import Expr
from matcalc.facts import DIAGONAL, SYMMETRIC, has
from matcalc.primitives.base import zeros
from matcalc.primitives.leaves import const
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
    require_scalar(f)
    recorder = Recorder(f, wrt, const(1), record, tidy, preferred or {}) if record is not None else None
    found = pullback(f, const(1), set(wrt), tidy=tidy, eliminated=recorder)
    out: dict[Expr, Expr] = {}
    for x in wrt:
        free = found.get(x, zeros(x.shape))
        out[x] = tidy(within(x, free))
        if record is not None:
            if tidy(free) is out[x]:
                record.results.append(Step("read off", out[x], free, x))
            else:
                part = "diagonal part" if has(x, DIAGONAL) else "symmetric part"
                record.results.append(Step(f"read off, {part}", out[x], within(x, free), x))
    if record is not None:
        record.pattern = general_pattern(f, preferred or {}, {x: partial(within, x) for x in wrt}, tidy)
    return out


def within(x: Expr, g: Expr) -> Expr:
    """The orthogonal projection of a gradient to the matrices among which ``x`` moves: symmetric or diagonal ones."""
    if x.is_scalar:
        return g
    if has(x, DIAGONAL):
        return diagonal(diagonal_part(g))
    return (g + g.T) / 2 if has(x, SYMMETRIC) else g


def require_scalar(f: Expr) -> None:
    """Raises   NotScalarError when f is not a scalar"""
    if not f.is_scalar:
        raise NotScalarError(
            f"a gradient is of a scalar, and this is in {shape_text(f.shape)}",
            hint="ask for the Jacobian, or make a scalar of it, as with sum(...) or c'*(...)",
        )
