"""Identifiers of languages that know ASCII only: Greek letters by their names, primes as words."""

from __future__ import annotations

from unicodedata import name as name_of
from unicodedata import normalize

from matcalc.lowering.names import Names


class Identifiers(Names):
    """Gives out identifiers of ASCII."""

    def spelled(self, wanted: str) -> str:
        return ascii_identifier(wanted)

    def is_taken(self, name: str) -> bool:
        return name in self._taken


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
