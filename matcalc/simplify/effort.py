"""How much is tried at one node: forms that may turn out shorter are looked for within a stated budget.

A trial (writing a product of sums out, spreading a factor over a sum, ...) builds other expressions, where trials are
made in turn. Each node may make ``MOST`` of them, nested at most ``DEEPEST``; after that what has been found stands.
Trials are counted and not timed, and anew for each node, so that the form does not depend on the machine.
The problems of the tests need 112 at most, and 4 within each other.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

MOST = 500
DEEPEST = 8


class _Effort:
    made = 0
    depth = 0


_now = _Effort()


def begun() -> None:
    """Starts the count for a node; within a trial there is no other count than that of the trial."""
    if not _now.depth:
        _now.made = 0


def is_spent() -> bool:
    """Whether no more is tried at this place, so that what was found there is not all that there is."""
    return _now.made >= MOST or _now.depth >= DEEPEST - 1


def is_whole() -> bool:
    """Whether what is found now may be kept: no trial around it has been cut short, or is still under way."""
    return not _now.depth and _now.made < MOST


def trial(function: Callable[P, T | None]) -> Callable[P, T | None]:
    """Marks a function that looks for another form, and finds none when the budget is spent."""

    @wraps(function)
    def bounded(*args: P.args, **kwargs: P.kwargs) -> T | None:
        if _now.made >= MOST or _now.depth >= DEEPEST:
            return None
        _now.made += 1
        _now.depth += 1
        try:
            return function(*args, **kwargs)
        finally:
            _now.depth -= 1

    return bounded


__all__ = ["DEEPEST", "MOST", "begun", "is_spent", "is_whole", "trial"]
