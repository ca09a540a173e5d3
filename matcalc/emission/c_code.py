"""Pieces of C: numbers, sums, products, places in arrays."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from matcalc.dims import ONE
from matcalc.errors import ArgumentError
from matcalc.lowering.code import ATOM, POWER, SUM, TERM, UNARY, Code
from matcalc.lowering.plan import ArrayShape, Value

if TYPE_CHECKING:
    from matcalc.emission.c_body import Body


TERNARY = -1  # binds less tightly than sums

SINGULAR, OUTSIDE = 2, 3  # what the function returns; 1 is out of memory

Index = Code
NOUGHT = Code("0", ATOM)


def number(value: Any) -> Code:
    """A number as a double."""
    if isinstance(value, Fraction) and value.denominator != 1:
        p, q = number(value.numerator), number(value.denominator)
        if value.denominator & (value.denominator - 1) == 0 and value.denominator < 2**60:
            return number(float(value))
        return Code(f"{p.text} / {q.at(UNARY)}", TERM)
    try:
        real = float(value)
    except OverflowError:
        real = float("inf") if value > 0 else float("-inf")
    if real != real:
        return Code("NAN", ATOM)
    text = "INFINITY" if abs(real) == float("inf") else repr(abs(real))
    return Code(f"-{text}", UNARY) if real < 0 else Code(text, ATOM)


def sum_of(terms: Sequence[Code], signs: Sequence[bool]) -> Code:
    text = ""
    for negative, a in zip(signs, terms, strict=True):
        if not text:
            text = f"-{a.at(POWER)}" if negative else a.at(SUM)
        elif not negative and a.text.startswith("-") and a.level > SUM:
            text += f" - {a.text[1:]}"
        else:
            text += f" {'-' if negative else '+'} {a.at(TERM)}"
    return Code(text, SUM if len(terms) > 1 else UNARY if signs[0] else max(terms[0].level, SUM))


def product_of(factors: Sequence[Code]) -> Code:
    if len(factors) == 1:
        return factors[0]
    return Code(" * ".join(f.at(UNARY if k else TERM) for k, f in enumerate(factors)), TERM)


def quotient(coefficient: Any, above: Sequence[Code], below: Sequence[Code]) -> Code:
    above, below = list(above), list(below)
    negative = coefficient < 0
    coefficient = abs(coefficient)
    if (
        isinstance(coefficient, Fraction)
        and coefficient.numerator == 1
        and coefficient.denominator & (coefficient.denominator - 1)
    ):
        below.insert(0, number(coefficient.denominator))
    elif coefficient != 1:
        above.insert(0, number(coefficient))
    if not above:
        above = [number(1)]
    if negative:
        above[0] = Code(f"-{above[0].at(POWER)}", UNARY)
    top = product_of(above)
    if not below:
        return top
    under = below[0].at(UNARY) if len(below) == 1 else f"({product_of(below).text})"
    return Code(f"{top.at(TERM)} / {under}", TERM)


def linear(w: Body, index: Sequence[Index], shape: ArrayShape) -> Index:
    """The place of an entry in an array that lies row by row."""
    out = NOUGHT
    for at, size in zip(index, shape, strict=True):
        if size is ONE:
            continue
        if out.text != "0":
            out = Code(f"{out.at(TERM)} * {w.size(size).at(UNARY)}", TERM)
        if at.text != "0":
            out = at if out.text == "0" else Code(f"{out.at(SUM)} + {at.at(TERM)}", SUM)
    return out


def spread(index: Sequence[Index], v: Value) -> list[Index]:
    """The indices of an operand that meets a larger array."""
    own = index[len(index) - v.rank :]
    return [NOUGHT if d is ONE else i for i, d in zip(own, v.shape, strict=True)]


def unsupported(v: Value, language: str) -> ArgumentError:
    what = v.attrs[0] if v.op == "call" else v.op
    return ArgumentError(f"{language} source has no word for {what}", hint="take --format python, torch or jax")


__all__ = [
    "NOUGHT",
    "OUTSIDE",
    "SINGULAR",
    "TERNARY",
    "Index",
    "linear",
    "number",
    "product_of",
    "quotient",
    "spread",
    "sum_of",
    "unsupported",
]
