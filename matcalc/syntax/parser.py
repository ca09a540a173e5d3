"""Text to syntax tree: runs the automaton of the grammar, and says what is wrong where it stops."""

from __future__ import annotations

from typing import Any

from matcalc.errors import MatcalcError, ParseError, Span
from matcalc.syntax.builder import Builder
from matcalc.syntax.lexer import tokenize
from matcalc.syntax.table import END, table
from matcalc.syntax.tree import Sentences
from matcalc.syntax.words import Names, Token


class Stuck(Exception):
    """The automaton has no action: the state, the token, and the terminals that it would take."""

    def __init__(self, state: int, token: Token, before: Token | None) -> None:
        super().__init__(token.text)
        self.state, self.token, self.before = state, token, before


def sentences(source: str, names: Names, start: str = "program") -> Sentences:
    """The syntax tree of a program, or with ``start="declarations"`` of a ``where`` text.

    Raises   ParseError and its kin with the place
    """
    tokens = tokenize(source, names, declaring=start == "declarations")
    if not tokens:
        raise ParseError(
            "there is nothing to read" if not source.strip() else "there is no expression",
            span=Span(source, 0, 0),
            hint="write an expression, for example x'*A*x",
        )
    try:
        return run(tokens, Builder(source), start)
    except Stuck as stuck:
        raise explained(stuck, source, start) from None


def run(tokens: list[Token], builder: Builder, start: str) -> Sentences:
    """Shifts and reduces; each reduction calls the method of its alias."""
    automaton = table()
    actions, gotos, rules = automaton.actions, automaton.gotos, automaton.rules
    first, last = automaton.starts[start]
    states, values = [first], list[Any]()
    before: Token | None = None
    for token in (*tokens, Token(END, "", len(builder.source), len(builder.source))):
        kind = token[0]
        while True:
            state = states[-1]
            action = actions[state].get(kind)
            if action is None:
                if kind == END and state == last:
                    result: Sentences = values[-1]
                    return result
                raise Stuck(state, token, before)
            if action >= 0:
                states.append(action)
                values.append(token)
                break
            origin, size, method = rules[~action]
            if not method:
                states.pop()
            else:
                children = values[-size:]
                del states[-size:], values[-size:]
                values.append(getattr(builder, method)(*children))
            states.append(gotos[states[-1]][origin])
            if kind == END and states[-1] == last:
                return values[-1]  # type: ignore[no-any-return]
        before = token
    raise AssertionError("the automaton stops at the end of the text")


# What a reader calls the terminals, in the order in which they are listed.
WORDS = {
    "EQUALS": "=",
    "LPAR": "an opening bracket",
    "RPAR": "a closing bracket",
    "RSQUARE": "]",
    "NORM_CLOSE": "‖",
    "ABS_CLOSE": "|",
    "RANGLE": ">",
    "COMMA": "a comma",
    "IN": "in",
    "REALS": "R",
    "COLON": ":",
    "STRING": "a word in quotes",
    "WHERE": "where",
}


def expected(state: int) -> str:
    """What the automaton would take in a state, in words."""
    takes = table().actions[state]
    if "TIMES" in takes:
        return "expected an operator or the end"
    words = ["an expression"] if "NUMBER" in takes else ["a name"] if "NAME" in takes else []
    words += [word for name, word in WORDS.items() if name in takes and (name != "LPAR" or not words)]
    words += ["the end"] if END in takes else []
    return f"expected {' or '.join(words[:3]) or 'the end'}"


def explained(stuck: Stuck, source: str, start: str) -> MatcalcError:
    """The error for the place where the automaton stopped; its words come from ``grammar/mistakes.toml``."""
    from matcalc.syntax.mistakes import message_for

    token = stuck.token
    if token.type == END:
        at = stuck.before.end if stuck.before else 0
        span = Span(source, at, at + 1)
        found = "the end of the text"
    else:
        span = Span(source, token.start, max(token.end, token.start + 1))
        text = token.text or source[token.start : token.start + 1]  # of a small character, as in tanh²(x)
        shown = text if text.isprintable() else repr(text)[1:-1]
        found = "the end of the line" if token.text == "\n" else f"`{shown[:24]}`"
    message, hint = message_for(stuck, start)
    want = expected(stuck.state)
    if message:
        return ParseError(message.replace("{found}", found), span=span, detail=want, hint=hint)
    if token.type == "UNKNOWN":
        return ParseError(f"{found} is not in the language", span=span, detail=want, hint="remove it")
    return ParseError(f"{found} does not fit here", span=span, detail=want)
