"""Characters to lexemes: the grammar's terminals, with what is short in the text written out.

Superscripts, ``\\frac12``, the bounds of ``\\sum_i^m`` and the subscript of an indicator come out in braces, so that
the grammar needs one form of each. Every step passes over the text once.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from matcalc.errors import ParseError, Span
from matcalc.syntax.spelling import UNICODE, canonical, plain, superscript
from matcalc.syntax.table import table
from matcalc.syntax.words import Token

UPRIGHT_D = re.compile(r"\\mathrm\s*(?:\{\s*d\s*\}|d)")  # of a differential
_UPRIGHT_F = r"\\(?:mathrm|mathsf|text)\s*(?:\{\s*F\s*\}|F(?![A-Za-z0-9]))"
FROBENIUS = re.compile(
    rf"_\s*(?:F(?![A-Za-z0-9])|\{{\s*F\s*\}}|{_UPRIGHT_F}|\{{\s*{_UPRIGHT_F}\s*\}}|\{{\s*\\rm\s+F\s*\}})"
)
FRACTIONS = {"½": "12", "⅓": "13", "⅔": "23", "¼": "14", "¾": "34"}
CONDITION = re.compile(r"_\s*\{\s*\w+\s*(?:<|>|≤|≥|≠|\\(?:lt|gt|le|ge|leq|geq|ne|neq|in)(?![A-Za-z])|∈)[^}]*\}")
INDICATOR = re.compile(
    r"(?:I|\\mathbb\s*(?:\{\s*[I1]\s*\}|[I1])|\\mathbf\s*(?:\{\s*[I1]\s*\}|[I1])|𝟙|𝟏)\s*_\s*\{\s*"  # I_{
    r"(?:\\[a-z]+\s*)?\{?\s*[A-Za-z]\s*\}?\s*_\s*\{?\s*([a-z])\s*\}?\s*=\s*"  # y_i =
    r"((?:\\(?:text|mathrm|textrm|mathit)\s*\{\s*[A-Za-z0-9]+\s*\}|[A-Za-z0-9]+))\s*\}"  # dog}
)


def scan(source: str, declared: Collection[str]) -> list[Token]:
    """The lexemes of a text; ``declared`` are the names that are known before it is read."""
    match = table().pattern.match
    out: list[Token] = []
    at, end, depth = 0, len(source), 0
    numerators: list[int] = []  # the depths at which those in braces begin
    awaited, within = "", -1  # what may follow of the bounds of a sum, and the depth outside of those in brackets
    while at < end:
        found = match(source, at)
        assert found is not None and found.lastgroup is not None
        kind, start, at = found.lastgroup, at, found.end()
        if kind == "SPACE":
            continue
        if kind in ("NAME", "ONES") and (indicated := INDICATOR.match(source, start)):
            out += _indicator(indicated)
            at = indicated.end()
            continue
        if kind == "NAME" and out and out[-1].end == start and UPRIGHT_D.fullmatch(out[-1].text):
            moved = f"d{canonical(found.group())}"
            if canonical(moved) in declared:  # \mathrm{d}X, where dX is known
                out[-1] = Token("NAME", moved, out[-1].start, at)
                continue
        if found.group() in FRACTIONS:
            out += _fraction(found)
            continue
        following, awaited = awaited, ""
        if kind == "UNDER" and out and out[-1].type == "RANGLE" and (norm := FROBENIUS.match(source, start)):
            at = norm.end()  # <A, B>_F is <A, B>
            continue
        if kind == "TRANSPOSE" and following == "CARET" and "T" in found.group():  # \sum_{t=1}^T transposes nothing
            out += _limit(found)
            continue
        if kind == "UNDER" and following == kind and (condition := CONDITION.match(source, start)):
            raise ParseError(
                "a sum runs over an index, not over a condition",
                span=Span(source, *condition.span()),
                hint="the sum over i < j is sum(j=2:n, sum(i=1:j-1, ...))",
            )
        if kind == "SUPERSCRIPT" or (kind == "UNDER" and found.group() != "_"):
            awaited = "CARET" if kind == following == "UNDER" else ""
            out += _small("CARET" if kind == "SUPERSCRIPT" else "UNDER", found)
            continue
        out.append(Token(kind, found.group(), start, at))
        if kind == "FRAC":  # \frac12 and \frac1{2m}
            above = _bare(source, out, at)
            at = _bare(source, out, above) if above > at else at
        elif kind == "SIGMA":
            awaited = "UNDER"
        elif kind == following:  # \sum_i x_i, \sum_{i=1}^m (...): one name or number, as in LaTeX
            if kind == "UNDER":
                awaited = ""
            bounded = _bound(source, out, at, declared)
            if bounded > at:
                awaited, at = "CARET" if kind == "UNDER" else "", bounded
            elif kind == "UNDER":
                within = depth
        elif kind == "LPAR":
            if len(out) > 1 and out[-2].type == "FRAC":
                numerators.append(depth)
            depth += 1
        elif kind == "RPAR":
            depth -= 1
            if within == depth:
                awaited, within = "CARET", -1
            if numerators and numerators[-1] == depth:  # \frac{a}2
                numerators.pop()
                at = _bare(source, out, at)
    return out


def _small(kind: str, found: re.Match[str]) -> list[Token]:
    """Superscripts or subscripts of Unicode, put into braces."""
    start, end = found.span()
    out = [Token(kind, "", start, start), Token("LPAR", "{", start, start)]
    for piece in table().pattern.finditer(superscript(found.group())):
        assert piece.lastgroup is not None
        out.append(Token(piece.lastgroup, piece.group(), start + piece.start(), start + piece.end()))
    out.append(Token("RPAR", "}", end, end))
    return out


def _fraction(found: re.Match[str]) -> list[Token]:
    """``½`` as ``\\frac12``."""
    start, end = found.span()
    out = [Token("FRAC", found.group(), start, end)]
    for digit in FRACTIONS[found.group()]:
        out += [Token("LPAR", "{", end, end), Token("NUMBER", digit, start, end), Token("RPAR", "}", end, end)]
    return out


def _limit(found: re.Match[str]) -> list[Token]:
    """``^T`` as the upper limit of a sum."""
    start, end = found.span()
    at = start + found.group().index("T")
    return [Token("CARET", "^", start, at), Token("LPAR", "{", at, at), Token("NAME", "T", at, at + 1),
            Token("RPAR", "}", at + 1, end)]  # fmt: skip


def _bare(source: str, out: list[Token], at: int) -> int:
    """An argument of one character without braces, put into them; where the text goes on."""
    end, first = len(source), at
    while at < end and source[at] == " ":
        at += 1
    if at == end or not (source[at] in UNICODE or (source[at].isascii() and source[at].isalnum())):
        return first
    out.append(Token("LPAR", "{", at, at))
    out.append(Token("NUMBER" if source[at].isdigit() else "NAME", source[at], at, at + 1))
    out.append(Token("RPAR", "}", at + 1, at + 1))
    return at + 1


def _indicator(found: re.Match[str]) -> list[Token]:
    """``I_{y_i = dog}``: entry i of a vector I_dog."""
    start, end, (index, word) = found.start(), found.end(), found.groups()
    word = word.rpartition("{")[2].strip(" }")
    name = Token("NAME", f"I_{{{word}}}", start, end)
    return [name, Token("UNDER", "_", end, end), Token("LPAR", "{", end, end),
            Token("NAME", index, end, end), Token("RPAR", "}", end, end)]  # fmt: skip


def _bound(source: str, out: list[Token], at: int, declared: Collection[str]) -> int:
    """A bound of a sum without brackets, put into braces: a number, or a letter with its subscript."""
    found = table().pattern.match(source, at)
    while found is not None and found.lastgroup == "SPACE":
        found = table().pattern.match(source, found.end())
    if found is None or found.lastgroup not in ("NUMBER", "NAME"):
        return at
    kind, text, first, last = found.lastgroup, found.group(), found.start(), found.end()
    if kind == "NAME" and (len(out) > 1 and out[-1].type == "UNDER"):
        text = text if text[0] == "\\" else text[0]
    elif kind == "NAME" and text[0] != "\\":
        letters = plain(text)[0].rstrip("0123456789")
        text = text if len(letters) == 1 or canonical(text) in declared else text[0]
    last = first + len(text)
    out += [Token("LPAR", "{", first, first), Token(kind, text, first, last), Token("RPAR", "}", last, last)]
    return last


__all__ = ["scan"]
