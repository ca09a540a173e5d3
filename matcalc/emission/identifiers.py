"""Identifiers of languages that know ASCII only: Greek letters by their names, primes as words."""

from __future__ import annotations

from collections.abc import Collection
from unicodedata import name as name_of
from unicodedata import normalize

from matcalc.lowering.names import Names


class Identifiers(Names):
    """Gives out identifiers, each once, none of them reserved."""

    def __init__(self, reserved: Collection[str]) -> None:
        self._taken = set(reserved)

    def is_taken(self, name: str) -> bool:
        return name in self._taken

    def take(self, wanted: str) -> str:
        plain = ascii_identifier(wanted)
        name, k = plain, 1
        while name in self._taken:
            k += 1
            name = f"{plain}_{k}"
        self._taken.add(name)
        return name


def ascii_identifier(name: str) -> str:
    """The name as letters, digits and underscores of ASCII, a letter first."""
    primes = len(name) - len(name.rstrip("'′"))
    text = "".join(_spelled(c) for c in normalize("NFKC", name.rstrip("'′"))).strip("_")
    text += "_prime" * primes
    return text if text[:1].isalpha() else f"v{text}"


def _spelled(c: str) -> str:
    if c.isascii():
        return c if c.isalnum() or c == "_" else "_" if c not in "'{}^" else ""
    words = name_of(c, "").split()
    if "LETTER" in words and words[-1].isalpha():
        word = words[-1].lower()
        return word.capitalize() if "CAPITAL" in words else word
    return f"u{ord(c):x}" if c.isalnum() else "_"


__all__ = ["Identifiers", "ascii_identifier"]
