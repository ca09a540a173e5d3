"""The names of a text: those that it defines itself, and runs of letters split into them."""

from __future__ import annotations

from matcalc.facts import ATTRIBUTES
from matcalc.syntax.spelling import GREEK, canonical, plain
from matcalc.syntax.words import Names, Token, Words

DERIVATIVES = frozenset({"jac", "grad", "hess"})  # operators on the names of maps


class Survey(Words):
    """What a text says of its names; ``declaring`` when it is a ``where`` text."""

    def __init__(self, source: str, names: Names, declaring: bool) -> None:
        super().__init__(source, names)
        self.declaring = declaring
        self.whole: set[int] = set()  # starts of the names that are one name, as they are being defined
        self.sizes: set[int] = set()  # starts of the names in dimensions
        self.heads: dict[int, list[str]] = {}  # starts of the functions being defined: their parameters

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
        elif declaring and head.text == "sum":  # sum(y) = 1 defines nothing
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

    # -- runs of letters are split

    def split(self, lexemes: list[Token]) -> list[Token]:
        out: list[Token] = []
        lexemes = apart(lexemes)
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


def apart(lexemes: list[Token]) -> list[Token]:
    """The same with ``Σ_{ij}`` as ``Σ_{i,j}``."""
    out: list[Token] = []
    for i, token in enumerate(lexemes):
        kinds = [t.type for t in lexemes[max(i - 3, 0) : i + 2]]
        letters = token.text
        if kinds == ["SIGMA", "UNDER", "LPAR", "NAME", "RPAR"] and letters.isalpha() and letters not in GREEK:
            for k, letter in enumerate(letters, token.start):
                out += [Token("COMMA", ",", k, k)] if k > token.start else []
                out.append(Token("NAME", letter, k, k + 1))
        else:
            out.append(token)
    return out


def summed_over(lexemes: list[Token]) -> set[str]:
    """The indices of the sums in a text: the names after ``Σ_{``, and that before ``=`` and bounds with a colon."""
    found = set()
    listing = False  # whether the indices of one sum go on: Σ_{i,j}
    for i, token in enumerate(lexemes):
        before = [t.type for t in lexemes[max(i - 3, 0) : i]]
        follows = lexemes[i + 1].type if i + 1 < len(lexemes) else ""
        listing = before == ["SIGMA", "UNDER", "LPAR"] or (listing and token.type in ("NAME", "COMMA", "SPACE"))
        if token.type != "NAME" or len(token.text) != 1:
            continue
        if listing or (follows == "EQUALS" and before[-1:] == ["LPAR"]):
            found.add(token.text)
    return found


__all__ = ["Survey"]
