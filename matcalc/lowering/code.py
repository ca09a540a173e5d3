"""Pieces of Python text with the precedence of their operators: names, numbers, dimensions, filled templates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

from matcalc.dims import Dim

SUM, TERM, UNARY, POWER, ATOM = range(1, 6)  # how tightly Python binds, loosest first

LARGEST_EXACT = 2**53  # whole numbers up to it are floats without loss


class Code(NamedTuple):
    text: str
    level: int

    def at(self, level: int) -> str:
        """The text, in brackets where its operator binds less tightly than ``level``."""
        return self.text if self.level >= level else f"({self.text})"


def dim_code(d: Dim, names: Mapping[str, str]) -> Code:
    """A polynomial in sizes as Python."""
    out = ""
    for monomial, c in d.terms:
        factors = [names[n] for n in monomial]
        if abs(c) != 1 or not factors:
            factors.insert(0, str(abs(c)))
        out += ("-" if c < 0 else "") if not out else (" - " if c < 0 else " + ")
        out += " * ".join(factors)
    simple = len(d.terms) == 1 and d.terms[0][1] > 0
    return Code(out or "0", (ATOM if " " not in out else TERM) if simple else SUM)


def number_code(number: Any) -> Code:
    """A number as Python: exact where a float is, else as a fraction."""
    if isinstance(number, Fraction) and number.denominator == 1:
        number = int(number)
    if isinstance(number, Fraction):
        p, q = abs(number.numerator), number.denominator
        exact = q & (q - 1) == 0 or max(p, q) > LARGEST_EXACT
        text, level = (_float(p / q), ATOM) if exact else (f"{p} / {q}", TERM)
    elif isinstance(number, int):
        text, level = (str(abs(number)) if abs(number) <= LARGEST_EXACT else _float(_to_float(abs(number)))), ATOM
    else:
        text, level = _float(abs(number)), ATOM
    return Code(f"-{text}", min(level, UNARY)) if number < 0 else Code(text, level)


def _to_float(number: int) -> float:
    try:
        return float(number)
    except OverflowError:
        return float("inf")


def _float(number: float) -> str:
    return repr(number) if abs(number) < float("inf") else "float('inf')" if number == number else "float('nan')"


@lru_cache(maxsize=512)
def _pieces(template: str) -> tuple[tuple[str, str, bool], ...]:
    """A template as (text before, slot, whether the slot must bind tightly)."""
    out = []
    parts = re.split(r"\{(\w+)\}", template)
    for text, slot, after in zip(parts[::2], [*parts[1::2], ""], [*parts[2::2], ""], strict=True):
        alone = text.endswith(("(", ", ")) and (after.startswith((")", ",")))
        out.append((text, slot, not alone))
    return tuple(out)


_MODULES = {"xp": Code("np", ATOM), "rt": Code("rt", ATOM)}  # unless the slots say otherwise


def fill(template: str, slots: Mapping[str, Code]) -> Code:
    """The template with code in its slots, in brackets where need be."""
    out = ""
    for text, slot, tight in _pieces(template):
        out += text
        if slot:
            code = slots[slot] if slot in slots else _MODULES[slot]
            out += code.at(ATOM if tight else 0)
    return Code(out, ATOM)
