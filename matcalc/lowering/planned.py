"""A function before it is written, in whichever language."""

from __future__ import annotations

from typing import NamedTuple

from matcalc.expr import Expr
from matcalc.lowering.plan import ArrayShape, Value
from matcalc.lowering.staged import Closure


class Planned(NamedTuple):
    """What a function takes and gives, as values of a plan."""

    name: str
    title: str
    arguments: list[tuple[str, ArrayShape]]
    results: list[tuple[str, Expr, Value]]
    leaves: dict[str, Value]  # the values of the arguments, by name
    preferred: dict[Value, str]  # names for values
    limit: int | None = None  # bytes of a result
    closures: list[Closure] = []  # functions of later arguments (staged.py)
    batch: tuple[str, ...] = ()  # arguments with the axis of a batch, which all results have, too (batching.py)
    by_size: bool = False  # whether other dimensions ask for another order of operations


__all__ = ["Planned"]
