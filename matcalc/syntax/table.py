"""The automaton of the grammar: the LALR table that lark builds from ``grammar/matcalc.lark``.

Building it takes longer than everything else that a short session does, so the table is kept beside this file as text
(``matcalc.table``), with the checksum of the grammar it was made from. An edited grammar is built afresh, under
``strict=True``; ``python matcalc/syntax/table.py`` writes the file again, and a test says when that is due.
"""

from __future__ import annotations

import os
import re
from typing import Any
from zlib import crc32

HERE = os.path.dirname(os.path.abspath(__file__))
TABLE = os.path.join(HERE, "matcalc.table")
FOLDERS = (os.path.join(HERE, "..", "grammar"), os.path.join(HERE, "..", "..", "grammar"))  # a wheel, a checkout
STARTS = ("program", "declarations")
END = "$END"


class Table:
    """An LALR automaton.

    ``actions``  for each state, what a terminal does: shift to state s (as s), or reduce by rule r (as ~r)
    ``gotos``    for each state, the state after a nonterminal
    ``rules``    (nonterminal, length, name of the builder's method; empty where the only child is the value)
    """

    def __init__(self, text: str) -> None:
        self.terminals: list[tuple[str, str]] = []
        self.rules: list[tuple[str, int, str]] = []
        self.starts: dict[str, tuple[int, int]] = {}
        self.actions: list[dict[str, int]] = []
        self.gotos: list[dict[str, int]] = []
        for line in text.split("\n"):
            kind, _, rest = line.partition(" ")
            if kind == "terminal":
                name, _, pattern = rest.partition(" ")
                self.terminals.append((name, pattern))
            elif kind == "rule":
                origin, size, method = rest.split(" ")
                self.rules.append((origin, int(size), method))
            elif kind == "start":
                name, first, last = rest.split(" ")
                self.starts[name] = (int(first), int(last))
            elif kind in ("actions", "gotos"):
                entries = [entry.split(":") for entry in rest.split(" ") if entry]
                (self.actions if kind == "actions" else self.gotos).append({name: int(to) for name, to in entries})
        self.pattern = re.compile("|".join([f"(?P<{n}>{p})" for n, p in self.terminals]) + r"|(?P<UNKNOWN>[\s\S])")


def folder() -> str:
    """Where the grammar lies."""
    return next((f for f in FOLDERS if os.path.exists(os.path.join(f, "matcalc.lark"))), FOLDERS[0])


def grammar() -> str:
    with open(os.path.join(folder(), "matcalc.lark"), encoding="utf-8") as file:
        return file.read()


def build(source: str) -> str:
    """The table of a grammar, as text.

    Raises   lark.GrammarError for a grammar that is not LALR(1) without conflicts
    """
    from lark import Lark
    from lark.lexer import Lexer, PatternRE, PatternStr
    from lark.parsers.lalr_analysis import Shift

    class Lexing(Lexer):
        """Stands for matcalc's own lexer, which lark need not run."""

        def __init__(self, conf: object) -> None: ...

        def lex(self, lexer_state: object, parser_state: object) -> Any:
            return iter(())

    class Kept:
        """Terminals that no rule mentions, as the lexer turns them into others."""

        always_accept = ("SPACE", "SUPERSCRIPT", "ONES")

        def process(self, stream: object) -> object:
            return stream

    lark = Lark(source, parser="lalr", strict=True, start=list(STARTS), lexer=Lexing, postlex=Kept())
    automaton = lark.parser.parser._parse_table
    rules = {rule: number for number, rule in enumerate(lark.rules)}
    states = sorted(automaton.states)
    number = {state: i for i, state in enumerate(states)}
    lines = [f"grammar {crc32(source.encode())}"]
    for terminal in sorted(lark.terminals, key=lambda t: (-t.priority, t.name)):
        if isinstance(terminal.pattern, (PatternRE, PatternStr)):
            pattern = terminal.pattern.to_regexp()
            for control in "\n\t\r\f\v":
                pattern = pattern.replace(control, repr(control)[1:-1])
            lines.append(f"terminal {terminal.name} {pattern}")
    for rule in lark.rules:
        passed = rule.alias is None and rule.options.expand1 and len(rule.expansion) == 1
        lines.append(
            f"rule {rule.origin.name} {len(rule.expansion)} {'' if passed else rule.alias or rule.origin.name}"
        )
    first, last = automaton.start_states, automaton.end_states
    lines += [f"start {start} {number[first[start]]} {number[last[start]]}" for start in STARTS]
    for state in states:
        actions, gotos = list[str](), list[str]()
        for name, (action, to) in sorted(automaton.states[state].items()):
            if action is Shift:
                (actions if name.isupper() else gotos).append(f"{name}:{number[to]}")
            else:
                actions.append(f"{name}:{~rules[to]}")
        lines += [f"actions {' '.join(actions)}", f"gotos {' '.join(gotos)}"]
    return "\n".join(lines) + "\n"


_table: Table | None = None


def table() -> Table:
    """The automaton, from the kept table where that is the grammar's own."""
    global _table
    if _table is None:
        try:
            with open(TABLE, encoding="utf-8") as file:
                text = file.read()
        except OSError:
            text = ""
        try:
            source = grammar()
        except OSError:
            source = ""
        if source and not text.startswith(f"grammar {crc32(source.encode())}\n"):
            text = build(source)
        _table = Table(text)
    return _table


if __name__ == "__main__":
    with open(TABLE, "w", encoding="utf-8") as out:
        out.write(build(grammar()))
