"""Functions planned for the dimensions of their arguments: made at the first call with them, kept for the next ones."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any, TypeAlias

Function: TypeAlias = Callable[..., Any]
Sizes: TypeAlias = tuple[int, ...]

_EXACT = 64  # sets of sizes that are planned for as they are; of more, sizes count by their powers of two


class BySizes(dict[Sizes, Function]):
    """The functions by sizes; ``plan`` gives the code for sizes, and how the function is made of it.

    Sizes for which the code is the same share their function. Several threads may call at once.
    """

    def __init__(self, plan: Callable[[Sizes], tuple[str, Callable[[], Function]]]) -> None:
        super().__init__()
        self._plan = plan
        self._by_source: dict[str, Function] = {}
        self._lock = Lock()

    def __missing__(self, sizes: Sizes) -> Function:
        with self._lock:
            if len(self) >= _EXACT:
                sizes = tuple([1 << (size - 1).bit_length() if size else 0 for size in sizes])
            found = self.get(sizes)
            if found is None:
                found = self[sizes] = self._made(sizes)
            return found

    def _made(self, sizes: Sizes) -> Function:
        source, make = self._plan(sizes)
        found = self._by_source.get(source)
        if found is None:
            found = self._by_source[source] = make()
        return found


__all__ = ["BySizes"]
