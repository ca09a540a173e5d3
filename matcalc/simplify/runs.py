"""The values that an index takes, and why a sum over it may have to stay a loop."""

from __future__ import annotations

from typing import NamedTuple

from matcalc.dims import ONE, Dim, dim
from matcalc.expr import Expr
from matcalc.primitives.algebra import ADD, PRODUCT
from matcalc.primitives.leaves import Const, Size, number_of
from matcalc.primitives.loops import free_indices
from matcalc.primitives.structure import ALL, Where

_SHOWN = 40  # characters of a part that a reason quotes


class Stays(Exception):
    """The sum cannot be written for all values of the index at once; the message says why."""


def length_of(upper: Expr) -> Dim | None:
    """The dimension that the last value of an index is, where it is one."""
    number = number_of(upper)
    if isinstance(upper.op, Size):
        return dim(upper.op.name)
    if isinstance(number, int):
        return dim(number) if number > 0 else None
    if upper.op is ADD or upper.op is PRODUCT:
        parts = [length_of(a) if not isinstance(a.op, Const) else _whole(a) for a in upper.args]
        if any(part is None for part in parts):
            return None
        result = dim(0 if upper.op is ADD else 1)
        for part in parts:
            result = result + part if upper.op is ADD else result * part  # type: ignore[operator]
        return result
    return None


class Run(NamedTuple):
    """The values that an index takes: ``first``, ``first + 1``, ..., ``last``."""

    first: Dim
    last: Dim

    @property
    def length(self) -> Dim:
        return self.last - self.first + 1

    def place(self, k: Expr, i: Expr, length: Dim) -> Where:
        """The entries that an index k = i + s takes of so many.

        Raises   Stays
        """
        others = [length_of(a) or _whole(a) for a in k.args if a is not i]
        shifted = k.op is ADD and len(others) == len(k.args) - 1 and None not in others
        if k is not i and not shifted:
            raise Stays(f"the index is {k}")
        shift = sum((o for o in others if o is not None), dim(0)) if shifted else dim(0)
        low, high = self.first + shift, self.last + shift
        if low is ONE and high is length:
            return ALL
        below, beyond = low.value, (length - high).value
        if (beyond is None and high.value is None) or (beyond or 0) < 0 or (below is not None and below < 1):
            raise Stays(f"{k} runs to {high}, and there are {length}")
        return (low, high)


def never_negative(d: Dim) -> bool:
    """Whether a size is 0 or more for all sizes that it is computed from."""
    sizes = dict.fromkeys(d.names, 1)
    return all(c >= 0 for monomial, c in d.terms if monomial) and d.evaluate(sizes) >= 0


def _whole(e: Expr) -> Dim | None:
    number = number_of(e)
    return dim(number) if isinstance(number, int) else None


def within(e: Expr, i: Expr) -> bool:
    """Whether the index i is free in ``e``."""
    return i in free_indices(e)


def stays(e: Expr, i: Expr, why: str = "has no form for all its values") -> Stays:
    """The reason why ``e`` cannot be written for all values of i at once."""
    text = str(e)
    return Stays(f"{text if len(text) <= _SHOWN else text[: _SHOWN - 3] + '...'} depends on {i.op.name} and {why}")


__all__ = ["Run", "Stays", "length_of", "never_negative", "stays", "within"]
