"""Characters to tokens: what only the context can decide.

The grammar's terminals say how everything is spelled. Here a run of letters is split into names, a name before
brackets becomes a function, ``'`` a transpose, a derivative or a quotation mark, a bar opens or closes, and line ends
count or not. Every step passes over the text once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from matcalc.errors import AmbiguityError, LimitError, ParseError, Span, UnknownNameError
from matcalc.facts import ATTRIBUTES
from matcalc.syntax.spelling import ALIASES, CONSTANTS, GREEK, canonical, plain, spells_name, superscript
from matcalc.syntax.table import table

MAX_LENGTH = 1_000_000  # characters of a text
MAX_LETTERS = 5  # undeclared one-letter names that a run of letters is split into
MAX_NAME = 64  # characters of a name


class Token(NamedTuple):
    type: str
    text: str
    start: int
    end: int


OPERAND = frozenset(
    "NUMBER NAME RPAR RSQUARE TRANSPOSE INVERSE_TRANSPOSE NORM_CLOSE ABS_CLOSE RANGLE".split()
)  # after these an operand is complete
DANGLING = frozenset("TIMES HADAMARD QUOTIENT KRON SLASH PLUS MINUS EQUALS COMMA IN COLON APPLIED".split())
CONTINUING = frozenset("TIMES HADAMARD QUOTIENT KRON SLASH PLUS EQUALS WHERE IN".split())
CLOSER = {"(": ")", "[": "]", "{": "}"}
FUNCTION_LETTERS = frozenset({"f", "g", "h"})  # single letters that a reader takes for functions


class Names(NamedTuple):
    """What is known of names before the text is read."""

    functions: Collection[str]  # of the language
    declared: Collection[str] = ()  # variables and dimensions
    elementwise: Collection[str] = ()  # functions that the user declared or defined


def tokenize(source: str, names: Names, declaring: bool = False) -> list[Token]:
    """The tokens of ``source``; ``declaring`` when it is a ``where`` text.

    Raises   ParseError, AmbiguityError, UnknownNameError, LimitError with the place
    """
    if len(source) > MAX_LENGTH:
        raise LimitError(f"the text has {len(source)} characters, more than {MAX_LENGTH}", hint="split it into parts")
    lexer = _Lexer(source, names, declaring)
    return lexer.run()


class _Lexer:
    def __init__(self, source: str, names: Names, declaring: bool) -> None:
        self.source = source
        self.declaring = declaring
        self.functions = names.functions
        self.declared = set(names.declared)
        self.elementwise = set(names.elementwise)
        self.whole: set[int] = set()  # starts of the names that are one name, as they are being defined
        self.sizes: set[int] = set()  # starts of the names in dimensions
        self.heads: set[int] = set()  # starts of the functions being defined
        self.uses: tuple[set[str], set[str]] | None = None

    def span(self, start: int, end: int) -> Span:
        return Span(self.source, start, end)

    def run(self) -> list[Token]:
        lexemes = self.scan()
        self.survey(lexemes)
        return self.decide(self.split(lexemes))

    # -- 1. lexemes: the grammar's terminals, with superscripts and \frac12 written out

    def scan(self) -> list[Token]:
        source, match = self.source, table().pattern.match
        out: list[Token] = []
        at, end = 0, len(source)
        while at < end:
            found = match(source, at)
            assert found is not None and found.lastgroup is not None
            kind, start, at = found.lastgroup, at, found.end()
            if kind == "SPACE":
                continue
            if kind == "SUPERSCRIPT" or (kind == "UNDER" and found.group() != "_"):
                out.append(Token("CARET" if kind == "SUPERSCRIPT" else "UNDER", "", start, start))
                out.append(Token("LPAR", "{", start, start))
                inside = superscript(found.group())
                for piece in table().pattern.finditer(inside):
                    assert piece.lastgroup is not None
                    out.append(Token(piece.lastgroup, piece.group(), start + piece.start(), start + piece.end()))
                out.append(Token("RPAR", "}", at, at))
                continue
            out.append(Token(kind, found.group(), start, at))
            if kind == "FRAC":  # \frac12 and \frac1{2m}
                for _ in range(2):
                    while at < end and source[at] == " ":
                        at += 1
                    if at < end and source[at].isalnum():
                        out.append(Token("LPAR", "{", at, at))
                        out.append(Token("NUMBER" if source[at].isdigit() else "NAME", source[at], at, at + 1))
                        out.append(Token("RPAR", "}", at + 1, at + 1))
                        at += 1
                    else:
                        break
        return out

    # -- 2. survey: which names the text itself defines

    def survey(self, lexemes: list[Token]) -> None:
        depth, first, declaring, shape = 0, 0, self.declaring, False
        for i, (kind, _, _, _) in enumerate(lexemes):
            if kind == "LPAR":
                depth += 1
            elif kind == "RPAR":
                depth -= 1
            elif depth == 0 and kind in ("SEPARATOR", "WHERE"):
                self.survey_statement(lexemes, first, i, declaring)
                declaring, first, shape = declaring or kind == "WHERE", i + 1, False
            elif declaring and depth == 0 and kind == "IN":
                shape = True
            elif shape and depth == 0 and kind == "COMMA" and lexemes[i - 1].type != "COMMA":
                follows = lexemes[i + 1].text if i + 1 < len(lexemes) else ""
                lexemes[i] = lexemes[i]._replace(type="SPACE" if follows in ATTRIBUTES else "SEPARATOR")
                if follows not in ATTRIBUTES:
                    self.survey_statement(lexemes, first, i, declaring)
                    first, shape = i + 1, False
        self.survey_statement(lexemes, first, len(lexemes), declaring)

    def survey_statement(self, lexemes: list[Token], first: int, last: int, declaring: bool) -> None:
        types = [t.type for t in lexemes[first : first + 5]] + [""] * 5
        if first >= last or types[0] != "NAME":
            return
        head = lexemes[first]
        if types[1] == "EQUALS":
            self.whole.add(head.start)
            self.declared.add(canonical(head.text))
        elif types[:5] == ["NAME", "LPAR", "NAME", "RPAR", "EQUALS"]:
            self.whole |= {head.start, lexemes[first + 2].start}
            self.heads.add(head.start)
            self.elementwise.add(canonical(head.text))
        elif declaring:
            at = next((i for i in range(first, last) if lexemes[i].type in ("IN", "COLON")), last)
            if at == last:
                return
            named = [t for t in lexemes[first:at] if t.type == "NAME"]
            self.whole |= {t.start for t in named}
            if lexemes[at].type == "COLON":
                self.elementwise |= {canonical(t.text) for t in named}
                self.whole |= {t.start for t in lexemes[at:last] if t.type == "NAME"}
                return
            self.declared |= {canonical(t.text) for t in named}
            self.survey_shape(lexemes, at + 1, last)

    def survey_shape(self, lexemes: list[Token], first: int, last: int) -> None:
        """Marks ``R``, the names in the dimensions, and ``x`` between them."""
        if first < last and lexemes[first].text == "R":
            lexemes[first] = lexemes[first]._replace(type="REALS")
        depth = 0
        for i in range(first + 1, last):
            token, before = lexemes[i], lexemes[i - 1].type
            depth += (token.type == "LPAR") - (token.type == "RPAR")
            if token.type == "NAME":
                if token.text == "x" and before != "CARET" and lexemes[i - 1].text != "{":
                    lexemes[i] = token._replace(type="BY")
                elif depth or before in ("CARET", "BY") or (before == "NUMBER" and token.text[0] == "x"):
                    self.sizes.add(token.start)
                else:
                    self.whole.add(token.start)

    # -- 3. names: runs of letters are split

    def split(self, lexemes: list[Token]) -> list[Token]:
        out: list[Token] = []
        parameter = ""
        for i, token in enumerate(lexemes):
            kind, text, start, end = token
            if kind != "NAME":
                if kind == "SEPARATOR" and parameter:
                    self.declared.discard(parameter)
                    parameter = ""
                if kind != "SPACE":
                    out.append(token)
            elif start in self.whole:
                name = canonical(text)
                if start in self.heads:
                    parameter = canonical(lexemes[i + 2].text)
                    if parameter in self.declared:
                        parameter = ""
                    else:
                        self.declared.add(parameter)
                out.append(Token("NAME", name, start, end))
            elif start in self.sizes:
                out += self.dimensions(token)
            elif i + 1 < len(lexemes) and lexemes[i + 1].type == "EQUALS":
                out.append(Token("NAME", canonical(text), start, end))
            else:
                opened = i + 1 < len(lexemes) and lexemes[i + 1].type in ("LPAR", "TRANSPOSE")
                out += self.run_of_letters(token, opened)
        return out

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
        if name == "1":
            return [Token("NAME", name, start, end)]
        if text[0] == "\\":
            if not spells_name(text):
                return [Token("UNKNOWN", text, start, end)]
            if text.startswith("\\operatorname") or len(plain(text)[0]) == 1 or plain(text)[0] in GREEK:
                return [Token("NAME", name, start, end)]
        word, subscript = plain(text)
        stem = word.rstrip("0123456789")
        if len(stem) == 1 or stem in GREEK:
            if len(subscript) > 1 and subscript.isalpha() and "{" not in text and "_" in text and "\\" not in text:
                first, rest = canonical(f"{word}_{subscript[0]}"), subscript[1:]
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
        unknown = ""  # the letters since the last known name
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
                self.check_letters(token, unknown, unknown == word)
                unknown = ""
                j = i + len(found)
            else:
                j = i + 1
                while j < length and word[j].isdigit():
                    j += 1
                found = word[i:j]
                unknown += found
                if len(unknown) > 4 * MAX_NAME:
                    break
            last = j == length
            name = canonical(f"{found}_{subscript}" if subscript and last else found)
            out.append(Token("NAME", name, offset + i, end if last else offset + j))
            i = j
        self.check_letters(token, unknown, unknown == word)
        if opened and len(out) > 1 and unknown:
            follows = self.source[end : end + 1]
            if follows == "(":
                raise self.unknown_function(token, word)
        return out

    def check_letters(self, token: Token, letters: str, everything: bool) -> None:
        """Refuses a product of single letters that rather looks like a word."""
        if len(letters) < 3:
            return
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
        known = self.close_to(letters) if everything and len(letters) > 3 else ""
        if known:
            raise UnknownNameError(
                f"`{letters}` is not known; did you mean `{known}`?",
                span=self.span(token.start, token.end),
                hint=f"for a product write {'*'.join(letters)}",
            )
        if len(letters) > MAX_LETTERS:
            shown = letters if len(letters) < 24 else letters[:20] + "..."
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
        return UnknownNameError(
            f"`{word}` is not a known function" + (f"; did you mean `{known}`?" if known else ""),
            span=self.span(token.start, token.end),
            hint=f"declare it, `{word}: elementwise`, or write the product with *: {'*'.join(word[:8])}*(...)",
        )

    # -- 4. decisions by what stands before and after

    def decide(self, lexemes: list[Token]) -> list[Token]:
        out: list[Token] = []
        openers: list[tuple[str, Token]] = []  # what would close it, and the opener
        i, count = 0, len(lexemes)
        before = ""
        while i < count:
            token = lexemes[i]
            kind = token.type
            i += 1
            if kind == "NAME":
                i = self.decide_name(lexemes, i, out)
            elif kind == "LPAR":
                bracket = token.text[-1] if token.text[-1] in CLOSER else "{"
                if token.text == "[" and before in OPERAND:
                    token = token._replace(type="INDEX")
                openers.append((CLOSER[bracket], token))
                out.append(token)
            elif kind == "RPAR":
                bracket = token.text[-1] if token.text[-1] in ")]}" else "}"
                opener = self.close(openers, bracket, token)
                out.append(token._replace(type="RSQUARE") if opener.type == "INDEX" else token)
            elif kind == "LANGLE":
                openers.append(("⟩", token))
                out.append(token)
            elif kind == "RANGLE":
                if any(closer == "⟩" for closer, _ in openers):
                    self.close(openers, "⟩", token)
                out.append(token)
            elif kind == "NORM_OPEN" or kind == "ABS_OPEN":
                text = token.text
                fits = bool(openers) and openers[-1][0] == kind
                closing = "r" in text or (fits and before in OPERAND and not text.startswith(("\\left", "\\lv", "\\lV")))
                if "ig" in text or "right" in text or "\\rv" in text.lower():
                    closing = fits and before in OPERAND
                if closing and not fits:
                    self.close(openers, kind, token)
                if closing:
                    openers.pop()
                    out.append(token._replace(type=kind[:-4] + "CLOSE"))
                else:
                    openers.append((kind, token))
                    out.append(token)
            elif kind == "UNDER":
                out.append(token._replace(type="NORM_SUBSCRIPT") if before == "NORM_CLOSE" else token)
            elif kind == "TRANSPOSE" and token.text == "'" and before not in OPERAND:
                i = self.quotation(lexemes, i, token, out)
            elif kind == "SEPARATOR":
                self.separate(lexemes, i, token, bool(openers), out)
            elif kind == "WHERE":
                while out and out[-1].type == "SEPARATOR":
                    out.pop()
                out.append(token)
            else:
                out.append(token)
            before = out[-1].type if out else ""
        if openers:
            token = openers[-1][1]
            raise ParseError(
                f"`{token.text}` is never closed",
                span=self.span(token.start, max(token.end, token.start + 1)),
                hint=f"add the closing {_closing(openers[-1][0])}",
            )
        while out and out[-1].type in ("SEPARATOR", "COMMA"):
            out.pop()
        return out

    def close(self, openers: list[tuple[str, Token]], closer: str, token: Token) -> Token:
        span = self.span(token.start, max(token.end, token.start + 1))
        if not openers:
            raise ParseError(f"`{token.text}` closes nothing", span=span, hint="remove it, or open the bracket before")
        expected, opener = openers.pop()
        if expected != closer:
            place = self.span(opener.start, opener.end)
            raise ParseError(
                f"`{token.text}` does not close `{opener.text}` of line {place.line}, column {place.column}",
                span=span,
                hint=f"expected {_closing(expected)}",
            )
        return opener

    def separate(self, lexemes: list[Token], i: int, token: Token, nested: bool, out: list[Token]) -> None:
        if nested:
            if token.text == ";":
                out.append(token._replace(type="SEMICOLON"))
            return
        if not out or out[-1].type in ("SEPARATOR", "WHERE"):
            return
        if token.text != ";":
            follows = lexemes[i].type if i < len(lexemes) else ""
            if out[-1].type in DANGLING or follows in CONTINUING:
                return
        out.append(token)

    def quotation(self, lexemes: list[Token], i: int, token: Token, out: list[Token]) -> int:
        """``'fro'``: a quotation mark stands where an operand could."""
        end = self.source.find("'", token.end)
        if end < 0 or "\n" in self.source[token.end : end] or end - token.end > MAX_NAME:
            out.append(token._replace(type="UNKNOWN"))
            return i
        while i < len(lexemes) and lexemes[i].start <= end:
            i += 1
        out.append(Token("STRING", self.source[token.end : end], token.start, end + 1))
        return i

    def decide_name(self, lexemes: list[Token], i: int, out: list[Token]) -> int:
        token = lexemes[i - 1]
        name = token.text
        if token.start in self.heads:
            out.append(token._replace(type="HEAD"))
            return i
        count = len(lexemes)
        j = i
        while j < count and lexemes[j].type == "TRANSPOSE" and _is_prime(lexemes[j].text):
            j += 1
        before_bracket = j < count and lexemes[j].type == "LPAR"
        variable = (name in self.declared or name in CONSTANTS) and name not in self.elementwise
        known = name in self.elementwise or name in self.functions
        if variable or token.start in self.whole or (not known and not before_bracket):
            out.append(token)
            return i
        if not before_bracket:
            # A single letter or a Greek one is a variable where it stands alone: e, sigma^2.
            stem = name.rstrip("0123456789").partition("_")[0]
            is_function = name in self.functions and len(stem) > 1 and stem not in GREEK
            follows = lexemes[i].type if i < count else ""
            if is_function or (known and follows in ("NUMBER", "FRAC") and name in self.elementwise):
                out.append(token._replace(type="APPLIED"))
            else:
                out.append(token)
            return i
        bracket = lexemes[j]
        if bracket.text[-1] == "[" and not known:  # x[i], and X \left[ ... \right]
            out.append(token)
            return i
        if not known and not self.is_applied(token, lexemes, primes=j > i):
            out.append(token)
            return i
        out.append(token._replace(type="CALLED"))
        if j > i:
            order = sum(len(t.text.lstrip(".")) if t.text[0] in "'’′ʹ" else 1 for t in lexemes[i:j])
            out.append(Token("DERIVATIVE", "'" * order, lexemes[i].start, lexemes[j - 1].end))
        return j

    def is_applied(self, token: Token, lexemes: list[Token], primes: bool) -> bool:
        """Whether an undeclared name before brackets is an unknown function."""
        if self.uses is None:
            self.uses = self.count_uses(lexemes)
        alone, applied = self.uses
        name = token.text
        if name in alone and primes and name not in applied:
            return False
        if name in alone:
            raise AmbiguityError(
                f"`{name}(...)` has two readings, as `{name}` also stands alone",
                span=self.span(token.start, token.end),
                detail=f"a function {name} of the brackets, or the product {name}*(...)",
                hint=f"write {name}*(...), or declare `{name}: elementwise` and rename the other",
            )
        stem = name.rstrip("0123456789").partition("_")[0]
        if primes and name not in applied and stem not in GREEK and stem not in FUNCTION_LETTERS:
            raise AmbiguityError(
                f"`{name}'(...)` has two readings",
                span=self.span(token.start, token.end),
                detail=f"the derivative of a function {name}, or the transpose of {name} times the brackets",
                hint=f"declare `{name}: elementwise`, or write {name}'*(...)",
            )
        return True

    def count_uses(self, lexemes: list[Token]) -> tuple[set[str], set[str]]:
        """The names that stand alone somewhere, and those directly before brackets."""
        alone: set[str] = set()
        applied: set[str] = set()
        count = len(lexemes)
        for i, token in enumerate(lexemes):
            if token.type == "NAME":
                j = i + 1
                while j < count and lexemes[j].type == "TRANSPOSE" and _is_prime(lexemes[j].text):
                    j += 1
                if j == count or lexemes[j].type != "LPAR" or lexemes[j].text[-1] == "[":
                    alone.add(token.text)
                elif j == i + 1:
                    applied.add(token.text)
        return alone, applied


def _is_prime(text: str) -> bool:
    return text[-1] in "'’′ʹ" or "prime" in text


def _closing(closer: str) -> str:
    return {"NORM_OPEN": "‖", "ABS_OPEN": "|", "⟩": ">"}.get(closer, closer)


__all__ = ["MAX_LENGTH", "MAX_LETTERS", "Names", "Token", "tokenize"]
