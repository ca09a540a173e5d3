"""Characters to tokens: what only the context can decide.

The grammar's terminals say how everything is spelled. Here a run of letters is split into names, a name before
brackets becomes a function, ``'`` a transpose, a derivative or a quotation mark, a bar opens or closes, and line ends
count or not. Every step passes over the text once.
"""

from __future__ import annotations

import re

from matcalc.errors import AmbiguityError, LimitError, ParseError
from matcalc.facts import ATTRIBUTES
from matcalc.syntax.spelling import CONSTANTS, GREEK, UNICODE, canonical, plain, superscript
from matcalc.syntax.table import table
from matcalc.syntax.words import MAX_NAME, Names, Token, Words

MAX_LENGTH = 1_000_000  # characters of a text


DERIVATIVES = frozenset({"jac", "grad", "hess"})  # operators on the names of maps
OPERAND = frozenset(
    ["NUMBER", "NAME", "RPAR", "RSQUARE", "TRANSPOSE", "INVERSE_TRANSPOSE", "NORM_CLOSE", "ABS_CLOSE", "RANGLE"]
)  # after these an operand is complete
BINARY = frozenset({"TIMES", "HADAMARD", "QUOTIENT", "KRON", "SLASH", "PLUS"})
DANGLING = BINARY | {"MINUS", "EQUALS", "COMMA", "IN", "COLON", "APPLIED", "CROSS", "TO"}  # a line that ends so goes on
CONTINUING = BINARY | {"EQUALS", "WHERE", "IN", "TO"}  # a line that begins so is not a new one
CLOSER = {"(": ")", "[": "]", "{": "}"}
UPRIGHT_D = re.compile(r"\\mathrm\s*(?:\{\s*d\s*\}|d)")  # of a differential
INDICATOR = re.compile(
    r"(?:I|\\mathbb\s*(?:\{\s*[I1]\s*\}|[I1])|\\mathbf\s*(?:\{\s*[I1]\s*\}|[I1])|𝟙|𝟏)\s*_\s*\{\s*"  # I_{
    r"(?:\\[a-z]+\s*)?\{?\s*[A-Za-z]\s*\}?\s*_\s*\{?\s*([a-z])\s*\}?\s*=\s*"  # y_i =
    r"((?:\\(?:text|mathrm|textrm|mathit)\s*\{\s*[A-Za-z0-9]+\s*\}|[A-Za-z0-9]+))\s*\}"  # dog}
)
FUNCTION_LETTERS = frozenset({"f", "g", "h"})  # single letters that a reader takes for functions


def tokenize(source: str, names: Names, declaring: bool = False) -> list[Token]:
    """The tokens of ``source``; ``declaring`` when it is a ``where`` text.

    Raises   ParseError, AmbiguityError, UnknownNameError, LimitError with the place
    """
    if len(source) > MAX_LENGTH:
        raise LimitError(f"the text has {len(source)} characters, more than {MAX_LENGTH}", hint="split it into parts")
    lexer = _Lexer(source, names, declaring)
    return lexer.run()


class _Lexer(Words):
    def __init__(self, source: str, names: Names, declaring: bool) -> None:
        super().__init__(source, names)
        self.declaring = declaring
        self.whole: set[int] = set()  # starts of the names that are one name, as they are being defined
        self.sizes: set[int] = set()  # starts of the names in dimensions
        self.heads: dict[int, list[str]] = {}  # starts of the functions being defined: their parameters
        self.uses: tuple[set[str], set[str]] | None = None

    def run(self) -> list[Token]:
        lexemes = self.scan()
        self.survey(lexemes)
        return self.decide(self.split(lexemes))

    # -- 1. lexemes: the grammar's terminals, with superscripts and \frac12 written out

    def scan(self) -> list[Token]:
        source, match = self.source, table().pattern.match
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
                out += self.indicator(indicated)
                at = indicated.end()
                continue
            if kind == "NAME" and out and out[-1].end == start and UPRIGHT_D.fullmatch(out[-1].text):
                moved = f"d{canonical(found.group())}"
                if canonical(moved) in self.declared:  # \mathrm{d}X, where dX is known
                    out[-1] = Token("NAME", moved, out[-1].start, at)
                    continue
            following, awaited = awaited, ""
            if kind == "SUPERSCRIPT" or (kind == "UNDER" and found.group() != "_"):
                awaited = "CARET" if kind == following == "UNDER" else ""
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
                above = self.bare(out, at)
                at = self.bare(out, above) if above > at else at
            elif kind == "SIGMA":
                awaited = "UNDER"
            elif kind == following:  # \sum_i x_i, \sum_{i=1}^m (...): one name or number, as in LaTeX
                if kind == "UNDER":
                    awaited = ""
                bounded = self.bound(out, at)
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
                    at = self.bare(out, at)
        return out

    def bare(self, out: list[Token], at: int) -> int:
        """An argument of one character without braces, put into them; where the text goes on."""
        source, end, first = self.source, len(self.source), at
        while at < end and source[at] == " ":
            at += 1
        if at == end or not (source[at] in UNICODE or (source[at].isascii() and source[at].isalnum())):
            return first
        out.append(Token("LPAR", "{", at, at))
        out.append(Token("NUMBER" if source[at].isdigit() else "NAME", source[at], at, at + 1))
        out.append(Token("RPAR", "}", at + 1, at + 1))
        return at + 1

    def indicator(self, found: re.Match[str]) -> list[Token]:
        """``I_{y_i = dog}``: entry i of a vector I_dog."""
        start, end, (index, word) = found.start(), found.end(), found.groups()
        word = word.rpartition("{")[2].strip(" }")
        name = Token("NAME", f"I_{{{word}}}", start, end)
        return [name, Token("UNDER", "_", end, end), Token("LPAR", "{", end, end),
                Token("NAME", index, end, end), Token("RPAR", "}", end, end)]  # fmt: skip

    def bound(self, out: list[Token], at: int) -> int:
        """A bound of a sum without brackets, put into braces: a number, or a letter with its subscript."""
        found = table().pattern.match(self.source, at)
        while found is not None and found.lastgroup == "SPACE":
            found = table().pattern.match(self.source, found.end())
        if found is None or found.lastgroup not in ("NUMBER", "NAME"):
            return at
        kind, text, first, last = found.lastgroup, found.group(), found.start(), found.end()
        if kind == "NAME" and (len(out) > 1 and out[-1].type == "UNDER"):
            text = text if text[0] == "\\" else text[0]
        elif kind == "NAME" and text[0] != "\\":
            letters = plain(text)[0].rstrip("0123456789")
            text = text if len(letters) == 1 or canonical(text) in self.declared else text[0]
        last = first + len(text)
        out += [Token("LPAR", "{", first, first), Token(kind, text, first, last), Token("RPAR", "}", last, last)]
        return last

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
            elif declaring and depth == 0 and kind in ("IN", "TO"):
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
        elif declaring and self.is_sum(head):  # sum(y) = 1 defines nothing
            return
        elif parameters := self.parameters(lexemes, first, last):
            self.whole |= {head.start, *(lexemes[i].start for i in parameters)}
            self.heads[head.start] = [canonical(lexemes[i].text) for i in parameters]
            self.elementwise.add(canonical(head.text))
        elif declaring:
            at = next((i for i in range(first, last) if lexemes[i].type in ("IN", "COLON")), last)
            if at == last:
                return
            named = [t for t in lexemes[first:at] if t.type == "NAME"]
            self.whole |= {t.start for t in named}
            if lexemes[at].type == "COLON":
                self.elementwise |= {canonical(t.text) for t in named}
                if any(t.type == "TO" for t in lexemes[at:last]):
                    self.survey_map(lexemes, at + 1, last)
                else:
                    self.whole |= {t.start for t in lexemes[at:last] if t.type == "NAME"}
                return
            self.declared |= {canonical(t.text) for t in named}
            self.survey_shape(lexemes, at + 1, last)

    @staticmethod
    def is_sum(head: Token) -> bool:
        return head.text == "sum"

    def parameters(self, lexemes: list[Token], first: int, last: int) -> list[int]:
        """Where the parameters stand, of a statement that begins ``f(x, y) =``."""
        found: list[int] = []
        i = first + 2
        if i >= last or lexemes[first + 1].type != "LPAR":
            return []
        while i + 1 < last and lexemes[i].type == "NAME":
            found.append(i)
            if lexemes[i + 1].type == "RPAR":
                return found if i + 2 < last and lexemes[i + 2].type == "EQUALS" else []
            if lexemes[i + 1].type != "COMMA":
                return []
            i += 2
        return []

    def survey_map(self, lexemes: list[Token], first: int, last: int) -> None:
        """Marks the shapes of ``R^n, R^p -> R^m`` and what stands between the domains."""
        depth, start = 0, first
        for i in range(first, last):
            kind, text, _, _ = lexemes[i]
            depth += (kind == "LPAR") - (kind == "RPAR")
            between = kind in ("COMMA", "BY", "TO") or (kind == "NAME" and text == "x")
            follows = lexemes[i + 1] if i + 1 < last else lexemes[first]
            if not depth and between and i + 1 < last and (follows.text == "R" or follows.type == "REALS"):
                self.survey_shape(lexemes, start, i)
                if kind != "TO":
                    lexemes[i] = lexemes[i]._replace(type="CROSS")
                start = i + 1
        self.survey_shape(lexemes, start, last)

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
        self.indices = summed_over(lexemes)
        parameters: set[str] = set()  # of the function being defined, that are no names elsewhere
        for i, token in enumerate(lexemes):
            kind, text, start, end = token
            if kind != "NAME":
                if kind == "SEPARATOR" and parameters:
                    self.declared -= parameters
                    parameters = set()
                if kind == "ONES":
                    out.append(Token("NAME", "1", start, end))
                elif kind != "SPACE":
                    out.append(token)
                if kind == "UNKNOWN":
                    break
            elif start in self.whole:
                name = canonical(text)
                if start in self.heads:
                    parameters = set(self.heads[start]) - self.declared
                    self.declared |= parameters
                out.append(Token("NAME", name, start, end))
            elif start in self.sizes:
                out += self.dimensions(token)
            elif i + 1 < len(lexemes) and lexemes[i + 1].type == "EQUALS":
                out.append(Token("NAME", canonical(text), start, end))
            elif self.differentiates(lexemes, i):
                out.append(Token("DERIVED", canonical(text), start, end))
            elif text.startswith(("Σ", "sum_")) and (indices := self.summed(token, lexemes, i)):
                out += [Token("SIGMA", "Σ", start, start + 1), Token("UNDER", "_", start + 1, start + 1)]
                out.append(Token("LPAR", "{", end, end))
                for k, index in enumerate(indices):
                    out += [Token("COMMA", ",", end, end)] if k else []
                    out.append(Token("NAME", index, start, end))
                out.append(Token("RPAR", "}", end, end))
                self.indices |= set(indices)
            else:
                opened = i + 1 < len(lexemes) and lexemes[i + 1].type in ("LPAR", "TRANSPOSE")
                out += self.run_of_letters(token, opened)
                if out[-1].type == "UNKNOWN":
                    break
        return out

    def summed(self, token: Token, lexemes: list[Token], i: int) -> str:
        """The indices of ``Σ_i x_i`` or ``sum_i x_i``, a sum over i and no name: what follows has the index in it."""
        word, indices = plain(token.text)
        follows = lexemes[i + 1].type if i + 1 < len(lexemes) else ""
        if word not in ("Sigma", "sum") or not indices.isalpha() or len(indices) != token.text.count(",") + 1:
            return ""
        if canonical(token.text) in self.declared:
            return ""
        if follows not in ("NAME", "NUMBER", "LPAR", "FRAC", "SIGMA", "NORM_OPEN", "ABS_OPEN", "LANGLE"):
            return ""
        used = [plain(t.text) for t in lexemes[i + 1 :] if t.type == "NAME"]
        found = all(any(word == index or index in subscript for word, subscript in used) for index in indices)
        return indices if found else ""

    def differentiates(self, lexemes: list[Token], i: int) -> bool:
        """Whether a name is ``jac``, ``grad`` or ``hess`` before brackets around a map, or around its derivative."""
        while i + 2 < len(lexemes) and lexemes[i + 1].type == "LPAR" and lexemes[i + 2].type == "NAME":
            if canonical(lexemes[i].text) not in DERIVATIVES or lexemes[i].text in self.declared | self.elementwise:
                return False
            if canonical(lexemes[i + 2].text) in self.elementwise:
                return True
            i += 2
        return False

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


def summed_over(lexemes: list[Token]) -> set[str]:
    """The indices of the sums in a text: the name after ``Σ_{``, and that before ``=`` and bounds with a colon."""
    found = set()
    for i, token in enumerate(lexemes):
        before = [t.type for t in lexemes[max(i - 3, 0) : i]]
        follows = lexemes[i + 1].type if i + 1 < len(lexemes) else ""
        if token.type != "NAME" or len(token.text) != 1:
            continue
        if before == ["SIGMA", "UNDER", "LPAR"] or (follows == "EQUALS" and before[-1:] == ["LPAR"]):
            found.add(token.text)
    return found


def _is_prime(text: str) -> bool:
    return text[-1] in "'’′ʹ" or "prime" in text


def _closing(closer: str) -> str:
    return {"NORM_OPEN": "‖", "ABS_OPEN": "|", "⟩": ">"}.get(closer, closer)


__all__ = ["MAX_LENGTH", "Names", "Token", "tokenize"]
