"""Identifiers of generated code: what a user's name (Greek, primed, a word of Python) is called there."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from keyword import iskeyword
from unicodedata import normalize

RESERVED = (
    "np",
    "rt",
    "lapack",
    "ndarray",
    "floats",
    "dtype",
    "arguments",
    "type",
    "is",
    "float",
    "range",
    "max",
    "print",
    "self",
    "ValueError",
    "IndexError",
)


class Names:
    """Gives out identifiers, each once, none of them reserved."""

    def __init__(self, reserved: Collection[str] = RESERVED) -> None:
        self._taken = set(reserved)

    def spelled(self, wanted: str) -> str:
        """The identifier nearest to a name."""
        return identifier(wanted)

    def take(self, wanted: str) -> str:
        """``wanted`` where it is free and an identifier, else what is nearest to it."""
        plain = self.spelled(wanted)
        name, k = plain, 1
        while name in self._taken:
            k += 1
            name = f"{plain}_{k}"
        self._taken.add(name)
        return name


@lru_cache(maxsize=4096)
def identifier(name: str) -> str:
    """The name as Python has it: letters and digits in normal form, no keyword."""
    primes = len(name) - len(name.rstrip("'′"))
    text = name if name.isascii() else normalize("NFKC", name)
    text = "".join(c if c.isalnum() or c == "_" else "_" if c not in "'′{}^" else "" for c in text)
    text += "_prime" * primes
    if not text.isidentifier():
        text = "".join(c if ("a" + c).isidentifier() else "_" for c in text)
        text = text if text.isidentifier() else f"v{text}"
    text = text.lstrip("_") or "v"
    text = text if text.isidentifier() else f"v{text}"
    return f"{text}_" if iskeyword(text) or text in RESERVED else text
