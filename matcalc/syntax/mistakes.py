"""Specific words for common mistakes, found by example: ``grammar/mistakes.toml`` says which text makes which mistake.

Each example is parsed; where it stops the automaton (state and token) is the mark of its mistake. Only done when there
is an error to explain.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from matcalc.errors import MatcalcError
from matcalc.syntax.builder import Builder
from matcalc.syntax.lexer import tokenize
from matcalc.syntax.table import folder
from matcalc.syntax.words import Names

if TYPE_CHECKING:
    from matcalc.syntax.parser import Stuck

_marks: dict[tuple[Any, ...], tuple[str, str]] | None = None


def rows() -> list[dict[str, Any]]:
    """The mistakes: message, hint, examples."""
    import tomllib

    with open(os.path.join(folder(), "mistakes.toml"), "rb") as file:
        rows: list[dict[str, Any]] = tomllib.load(file)["mistake"]
    return rows


def message_for(stuck: Stuck, start: str) -> tuple[str, str]:
    """Message and hint of the mistake that stops the automaton in the same place; empty where none is known."""
    global _marks
    if _marks is None:
        _marks = marks()
    token = stuck.token
    here, elsewhere = (start, stuck.state, token.type), (_OTHER[start], stuck.state, token.type)
    unknown = [(text,) for text in (token.text, token.text.partition("_")[0]) if token.type == "UNKNOWN"]
    for mark in (*unknown, here, elsewhere):
        if mark in _marks:
            return _marks[mark]
    return "", ""


_OTHER = {"program": "declarations", "declarations": "program"}


def marks() -> dict[tuple[Any, ...], tuple[str, str]]:
    """Where each mistake stops the automaton: an unknown character, otherwise what is read, state and type of token."""
    from matcalc.syntax.elaborate import FUNCTIONS
    from matcalc.syntax.parser import Stuck, run

    out: dict[tuple[Any, ...], tuple[str, str]] = {}
    for row in rows():
        start = "declarations" if row.get("where") else "program"
        for example in row["examples"]:
            try:
                run(tokenize(example, Names(FUNCTIONS), start == "declarations"), Builder(example), start)
            except Stuck as stuck:
                token = stuck.token
                mark = (token.text,) if token.type == "UNKNOWN" else (start, stuck.state, token.type)
                out.setdefault(mark, (row["message"], row.get("hint", "")))
            except MatcalcError:
                continue
    return out
