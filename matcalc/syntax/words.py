"""Runs of letters as names.

A run is one name if that is known, or a letter with a subscript; otherwise it is names side by side, the longest that
are known first, else single letters. A run that rather looks like a word is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from matcalc.errors import AmbiguityError, DeclarationError, Span, UnknownNameError
from matcalc.facts import ATTRIBUTES
from matcalc.syntax.spelling import ALIASES, CONSTANTS, GREEK, canonical, plain, spells_name

MAX_LETTERS = 5  # undeclared one-letter names that a run of letters is split into
MAX_NAME = 64  # characters of a name


def shortened(text: str, longest: int = 30) -> str:
    """The text as a message quotes it."""
    return text if len(text) <= longest else text[: longest - 3] + "..."


class Token(NamedTuple):
    type: str
    text: str
    start: int
    end: int


class Names(NamedTuple):
    """What is known of names before the text is read."""

    functions: Collection[str]  # of the language
    declared: Collection[str] = ()  # variables and dimensions
    elementwise: Collection[str] = ()  # functions that the user declared or defined


class Words:
    """The names that are known while a text is read."""

    def __init__(self, source: str, names: Names) -> None:
        self.source = source
        self.functions = names.functions
        self.declared = set(names.declared)
        self.elementwise = set(names.elementwise)
        self.indices: set[str] = set()  # of the sums in the text

    def span(self, start: int, end: int) -> Span:
        return Span(self.source, start, end)

    def dimensions(self, token: Token) -> list[Token]:
        """``n x n`` written without spaces: ``nxn``, ``mx3``."""
        text, out, at = token.text, list[Token](), token.start
        left, by, right = text.partition("x")
        if by and all(len(side.rstrip("0123456789")) <= 1 for side in (left, right)):
            for piece, kind in ((left, "NAME"), (by, "BY"), (right, "NUMBER" if right.isdigit() else "NAME")):
                if piece:
                    out.append(Token(kind, piece, at, at + len(piece)))
                    at += len(piece)
            return out
        return [token._replace(text=canonical(text))]

    def is_name(self, name: str) -> bool:
        return name in self.declared or name in self.elementwise or name in self.functions or name in CONSTANTS

    def run_of_letters(self, token: Token, opened: bool) -> list[Token]:
        _, text, start, end = token
        name = canonical(text)
        if name in ALIASES and name not in self.declared and name not in self.elementwise:
            name = ALIASES[name]
        if self.is_name(name):
            return [Token("NAME", name, start, end)]
        if text[0] == "\\":
            if not spells_name(text):
                return [Token("UNKNOWN", text, start, end)]
            if text.startswith("\\operatorname") or len(plain(text)[0]) == 1 or plain(text)[0] in GREEK:
                return [Token("NAME", name, start, end)]
        word, subscript = plain(text)
        stem = word.rstrip("0123456789")
        if text[0] == "Σ" and subscript.isalpha():
            raise AmbiguityError(
                f"`{text}` has two readings",
                span=self.span(start, end),
                detail=f"a sum over {subscript} without bounds, or a matrix named {name}",
                hint=f"write Σ_{{{subscript}=1}}^{{m}}, or declare {name}",
            )
        if len(stem) == 1 or stem in GREEK:
            joined = "{" not in text and "_" in text and "\\" not in text and not self.indices.issuperset(subscript)
            if len(subscript) > 1 and subscript.isalpha() and joined:
                first, rest = canonical(f"{word}_{subscript[0]}"), shortened(subscript[1:])
                text, name, subscript = (shortened(part) for part in (text, name, subscript))
                raise AmbiguityError(
                    f"`{text}` has two readings",
                    span=self.span(start, end),
                    detail=f"one name: {word}_{{{subscript}}}; a product: {first}*{rest}",
                    hint=f"declare {name}, or write {word}_{{{subscript}}} or {first}*{rest}",
                )
            return [Token("NAME", name, start, end)]
        return self.pieces(token, word, subscript, opened)

    def pieces(self, token: Token, word: str, subscript: str, opened: bool) -> list[Token]:
        """A run of letters as names side by side: the longest that are known, else single letters."""
        inside = token.text.find(word)
        offset, end = token.start + max(inside, 0), token.end
        out: list[Token] = []
        single = ""  # the letters since the last longer name
        strange = 0  # of them, those that nobody declared
        i, length = 0, len(word)
        while i < length:
            found = ""
            for j in range(min(length, i + MAX_NAME), i, -1):
                part = word[i:j]
                whole = canonical(f"{part}_{subscript}") if subscript and j == length else part
                if (
                    whole in self.declared
                    or whole in self.elementwise
                    or (j == length and opened and whole in self.functions)
                    or (not part.isascii() and len(part) == 1)
                ):
                    found = part
                    break
            if found:
                j = i + len(found)
                if len(found.rstrip("0123456789")) > 1:
                    self.check_letters(token, single, strange, opened and single == word)
                    single, strange = "", 0
                else:
                    single += found
            else:
                j = i + 1
                while j < length and word[j].isdigit():
                    j += 1
                found = word[i:j]
                single += found
                strange += 1
                if strange > 4 * MAX_NAME:
                    break
            last = j == length
            name = canonical(f"{found}_{subscript}" if subscript and last else found)
            out.append(Token("NAME", name, offset + i, end if last else offset + j))
            i = j
        self.check_letters(token, single, strange, opened and single == word)
        if opened and len(out) > 1 and self.source[end : end + 1] == "(":
            strangers = sum(not self.is_name(piece.text) for piece in out)
            if not self.is_name(out[-1].text) or (strangers > 2 and self.close_to(word)):
                raise self.unknown_function(token, word)
        return out

    def check_letters(self, token: Token, letters: str, strange: int, called: bool) -> None:
        """Refuses a product of single letters that rather looks like a word."""
        if len(letters) < 3:
            return
        known = self.close_to(letters) if len(letters) > 3 and (called or strange == len(letters)) else ""
        if known:
            raise UnknownNameError(
                f"`{letters}` is not known; did you mean `{known}`?",
                span=self.span(token.start, token.end),
                hint=f"for a product write {'*'.join(letters)}",
            )
        for i in range(len(letters)):
            for j in range(min(len(letters), i + 12), i + 2, -1):
                part = letters[i:j]
                if part in self.functions or part in GREEK:
                    apart = " ".join(p for p in (letters[:i], part, letters[j:]) if p)
                    raise AmbiguityError(
                        f"`{letters}` has two readings",
                        span=self.span(token.start, token.end),
                        detail=f"{apart}, or {'*'.join(letters)}",
                        hint=f"put spaces or * between names: {apart}",
                    )
        if strange > MAX_LETTERS:
            shown = letters if len(letters) < 24 else letters[:20] + "..."
            if letters in ATTRIBUTES:
                raise DeclarationError(
                    f"`{letters}` stands without a shape",
                    span=self.span(token.start, token.end),
                    hint=f"write it after the shape: A in R^{{n x n}} {letters}",
                )
            raise UnknownNameError(
                f"`{shown}` is not known",
                span=self.span(token.start, token.end),
                hint=f"declare it (for example `{shown} in R`), or write a product with * between the letters",
            )

    def close_to(self, word: str) -> str:
        from difflib import get_close_matches

        candidates: Iterable[str] = [n for n in (*self.functions, *self.declared, *self.elementwise) if len(n) > 2]
        return "` or `".join(get_close_matches(word, list(candidates), 2, 0.75))

    def unknown_function(self, token: Token, word: str) -> UnknownNameError:
        known = self.close_to(word) if len(word) > 2 else ""
        shown = shortened(word)
        return UnknownNameError(
            f"`{shown}` is not a known function" + (f"; did you mean `{known}`?" if known else ""),
            span=self.span(token.start, token.end),
            hint=f"declare it, `{shown}: elementwise`, or write the product with *: {'*'.join(word[:8])}*(...)",
        )
