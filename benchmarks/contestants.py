"""Who runs: matcalc, the expert, the closed form without a plan, and the libraries."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

import matcalc
from benchmarks import experts
from benchmarks.naive import Unprinted, naive
from benchmarks.problems import Data, Row
from benchmarks.rivals import RIVALS

Call = Callable[[], Any]

OURS = ("matcalc", "expert", "naive")
CONTESTANTS = (*OURS, *RIVALS)
ON_DEMAND = ("torch.compile", "casadi")

MEMORY = 2 << 30  # bytes of the intermediate values of all columns of a matrix that a library may compute at once


class LeftOut(Exception):
    """Why a contestant does not run in a row."""


def missing() -> list[str]:
    """The contestants that are not installed."""
    return [name for name, (module, _) in RIVALS.items() if find_spec(module) is None]


def derived(row: Row) -> Any:
    """The derivative by matcalc."""
    formula = matcalc.parse(row.problem.formula, where=row.problem.where)
    options: dict[str, str] = {"at": row.at} if row.at else {}
    if row.kind == "products" and len(row.wrt) == 1:
        options["direction"] = row.direction(row.wrt[0])
    return getattr(formula, row.of)(", ".join(row.wrt), **options)


def ours(row: Row, data: Data) -> Call:
    function = derived(row).compile()
    given = tuple(data[name] for name in function.arguments)  # by position, as all others are called
    return lambda: function(*given)


def expert(row: Row, data: Data) -> Call:
    function = getattr(experts, row.expert)
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        given = tuple(data.values())
    else:
        given = tuple(data[p.name.rstrip("_")] for p in parameters)
    return lambda: function(*given)


def without_plan(row: Row, size: str, data: Data) -> Call:
    found = derived(row)
    parts = getattr(found, "exprs", None) or {"": found.expr}
    names = list(data)
    try:
        function = naive(list(parts.values()), row.sizes[size], names)
    except Unprinted as e:
        raise LeftOut(str(e)) from e
    given = tuple(_columns(data[name]) for name in names)
    return lambda: function(*given)


def _columns(a: Any) -> Any:
    return a if np.ndim(a) != 1 else a[:, None]


def contestant(name: str, row: Row, size: str, data: Data) -> Call:
    """The call of a contestant in a row.

    Raises   LeftOut when it would need too much memory, or cannot say the row
    """
    if name == "matcalc":
        return ours(row, data)
    if name == "expert":
        return expert(row, data)
    if name == "naive":
        return without_plan(row, size, data)
    if row.inner and name != "autograd" and 8 * row.inner(row.sizes[size]) > MEMORY:
        raise LeftOut("memory")
    if name == "casadi" and size == "large":
        raise LeftOut("slow")
    return RIVALS[name][1](row, data)
