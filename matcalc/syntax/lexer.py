"""Characters to tokens: what only the context can decide.

The grammar's terminals say how everything is spelled (lexemes.py), the text which names it has (survey.py). Here a name
before brackets becomes a function, ``'`` a transpose, a derivative or a quotation mark, a bar opens or closes, and line
ends count or not. Every step passes over the text once.
"""

from __future__ import annotations

from matcalc.errors import AmbiguityError, LimitError, ParseError
from matcalc.syntax.lexemes import scan
from matcalc.syntax.spelling import CONSTANTS, GREEK
from matcalc.syntax.survey import Survey
from matcalc.syntax.words import MAX_NAME, Names, Token

MAX_LENGTH = 1_000_000  # characters of a text

OPERAND = frozenset(
    ["NUMBER", "NAME", "RPAR", "RSQUARE", "TRANSPOSE", "INVERSE_TRANSPOSE", "NORM_CLOSE", "ABS_CLOSE", "RANGLE"]
)  # after these an operand is complete
BINARY = frozenset({"TIMES", "HADAMARD", "QUOTIENT", "KRON", "SLASH", "PLUS"})
DANGLING = BINARY | {"MINUS", "EQUALS", "COMMA", "IN", "COLON", "APPLIED", "CROSS", "TO"}  # a line that ends so goes on
CONTINUING = BINARY | {"EQUALS", "WHERE", "IN", "TO"}  # a line that begins so is not a new one
CLOSER = {"(": ")", "[": "]", "{": "}"}
FUNCTION_LETTERS = frozenset({"f", "g", "h"})  # single letters that a reader takes for functions


def tokenize(source: str, names: Names, declaring: bool = False) -> list[Token]:
    """The tokens of ``source``; ``declaring`` when it is a ``where`` text.

    Raises   ParseError, AmbiguityError, UnknownNameError, LimitError with the place
    """
    if len(source) > MAX_LENGTH:
        raise LimitError(f"the text has {len(source)} characters, more than {MAX_LENGTH}", hint="split it into parts")
    lexer = _Lexer(source, names, declaring)
    return lexer.run()


class _Lexer(Survey):
    def __init__(self, source: str, names: Names, declaring: bool) -> None:
        super().__init__(source, names, declaring)
        self.uses: tuple[set[str], set[str]] | None = None

    def run(self) -> list[Token]:
        lexemes = scan(self.source, self.declared)
        self.survey(lexemes)
        return self.decide(self.split(lexemes))

    # -- decisions by what stands before and after

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
            elif kind in ("NORM_OPEN", "ABS_OPEN"):  # a bar closes where an operand is complete, unless it says left
                opening = token.text.startswith(("\\left", "\\lv", "\\lV"))
                if openers and openers[-1][0] == kind and before in OPERAND and not opening:
                    openers.pop()
                    out.append(token._replace(type=kind.replace("OPEN", "CLOSE")))
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
        if openers and out[-1].type != "UNKNOWN":
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
        if name == "sqrt" and bracket.text[-1] == "[" and self.source.startswith("\\sqrt", token.start):
            raise ParseError(
                "roots of an order are not in the language",
                span=self.span(token.start, bracket.end),
                hint="write a power: x^(1/3), entry by entry x.^(1/3)",
            )
        if bracket.text[-1] == "[" and not known:  # x[i], and X \left[ ... \right]
            out.append(token)
            return i
        jacobian = name.startswith("J_") and name[2:] in self.elementwise  # J_{net}(x)
        if not known and not jacobian and not self.is_applied(token, lexemes, primes=j > i):
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
        if self.is_member(token):
            return False
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

    def is_member(self, token: Token) -> bool:
        """Whether a name before brackets is one of a family, as ``y_i`` in ``Σ_i y_i (w'*x_i + b)``.

        Raises   AmbiguityError for ``f_i``, which is read as another function for each i
        """
        base, _, index = token.text.partition("_")
        if not index or not set(index) <= self.indices:
            return False
        if base in FUNCTION_LETTERS | {"phi", "psi"} and base not in self.declared:
            raise AmbiguityError(
                f"`{token.text}(...)` has two readings",
                span=self.span(token.start, token.end),
                detail=f"another function for each {index}, which has no formula, or the product {token.text}*(...)",
                hint=f"write {token.text}*(...), or {base}(...) where the function is always the same",
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


__all__ = ["MAX_LENGTH", "tokenize"]
