"""Unicode for terminals: ``cᵀΨ((W + V)Φ(Wx + b))``."""

from __future__ import annotations

from typing import Any, ClassVar

from matcalc.expr import Expr
from matcalc.primitives.functions import Elementwise
from matcalc.primitives.products import Inner, Kron
from matcalc.primitives.registry import CALLS
from matcalc.printing.names import unicode_name
from matcalc.printing.printer import ATOM, POSTFIX, POWER, PRODUCT, Printed, Printer, determinant_like, divided
from matcalc.syntax.spelling import ALIASES, GREEK

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_LOWERED = str.maketrans("0123456789+-ijklst", "₀₁₂₃₄₅₆₇₈₉₊₋ᵢⱼₖₗₛₜ")
_RAISED_DIGITS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_WORDS = CALLS.keys() | GREEK | ALIASES.keys() | {"norm", "in", "where"}
_SUBSCRIPTS = "₀₁₂₃₄₅₆₇₈₉ᵢⱼₖₗₘₙₚₛₜ"
_LONGEST_RUN = 3  # letters that are written side by side without a space


class UnicodePrinter(Printer):
    """Products go without a sign where that cannot be misread."""

    MINUS: ClassVar[str] = " − "
    SIGN: ClassVar[str] = "−"
    HADAMARD: ClassVar[str] = " ⊙ "
    QUOTIENT: ClassVar[str] = " ⊘ "

    def name(self, name: str) -> str:
        return unicode_name(name)

    def layer(self, name: str, index: str, more: int) -> str:
        lowered = f"{index}{more:+d}" if more else index
        return unicode_name(name) + lowered.translate(_LOWERED)

    def pi(self, node: Expr) -> Printed:
        return Printed("π", ATOM)

    def identity(self, node: Expr) -> Printed:
        return self.short_identity(node)

    def times(self, before: list[str], factor: str) -> str:
        """What stands between the factors so far and the next one."""
        last, first, word = before[-1], factor[0], _word(factor)
        if divided(before) or first.isdigit() or first in "|‖":
            return "·"
        if first in "(⟨":  # a name directly before brackets would be a function
            return "·" if _is_word(last[-1]) and not last.isdigit() else ""
        if not _is_word(last[-1]):
            return "" if len(word) == 1 else " "
        if last.isdigit():
            return "" if len(word) == 1 and first not in "eE" else " "
        if not all(map(_is_word, last)) or len(word) > 1 or factor[1:2] in ("(", "′"):
            return " "
        if len(last) > 1:
            return "" if last[1:].strip(_SUBSCRIPTS) == "" else " "
        letters = ""
        for piece in reversed(before):
            if piece and not (len(piece) == 1 and piece.isalpha()):
                break
            letters = piece + letters
        return "" if self.separable(letters + word) else " "

    def separable(self, letters: str) -> bool:
        """Whether the parser takes the letters one by one."""
        if len(letters) > _LONGEST_RUN:
            return False
        words = [letters[i:j] for i in range(len(letters)) for j in range(i + 2, len(letters) + 1)]
        return not any(w in _WORDS or w in self.taken for w in words)

    def transpose(self, node: Expr) -> Printed:
        keyboard = super().transpose(node)
        if keyboard.text.endswith("^-T"):
            return Printed(keyboard.text.removesuffix("^-T") + "⁻ᵀ", POWER)
        return Printed(keyboard.text.removesuffix("'") + "ᵀ", POSTFIX)

    def inverse(self, node: Expr) -> Printed:
        return Printed(super().inverse(node).text.removesuffix("^-1") + "⁻¹", POWER)

    def raised(self, base: Expr, exponent: Expr, elementwise: bool) -> Printed:
        found = self.done[exponent]
        if not elementwise and (found.positive or found.text).isdigit():
            raised = found.text.replace("−", "-").translate(_RAISED)
            return Printed(self.at(base, POSTFIX) + raised, POWER)
        return super().raised(base, exponent, elementwise)

    def function(self, op: Elementwise) -> str:
        known = self.known(op)
        if known is not None and known.name == "sigmoid" and "sigma" not in self.taken:
            return "σ" + "′" * op.order
        return super().function(op).replace("'", "′")

    def elementwise(self, node: Expr) -> Printed:
        op: Any = node.op
        inside = self.done[node.args[0]].text
        bars = op.function.kind == "known" and op.function.name == "abs" and "|" not in inside
        if bars and not determinant_like(node):
            return Printed(f"|{inside}|", ATOM)
        return super().elementwise(node)

    def mapped(self, node: Expr) -> Printed:
        op: Any = node.op
        if op.function.is_scalar and len(op.function.domains) == 1 and len(op.by) in (1, 2):
            return self.applied(("∇", "∇²")[len(op.by) - 1] + self.name(op.function.name), node)
        return super().mapped(node)

    def norm(self, node: Expr) -> Printed:
        (of,) = node.args
        inside = self.done[of].text
        if "‖" in inside or not (of.is_column or of.is_row):
            return self.call(node)
        return Printed(f"‖{inside}‖{'₁' if node.op.name == 'norm1' else ''}", ATOM)

    def template(self, node: Expr) -> Printed:
        if isinstance(node.op, Kron):
            return Printed(" ⊗ ".join([self.at(a, POWER) for a in node.args]), PRODUCT)
        if isinstance(node.op, Inner):
            a, b = (self.done[a].text for a in node.args)
            return Printed(f"⟨{a}, {b}⟩", ATOM)
        return super().template(node)


def _is_word(character: str) -> bool:
    return character != "ᵀ" and (character.isalnum() or character == "_") and character not in _RAISED_DIGITS


def _word(text: str) -> str:
    """The letters and subscripts that the text begins with."""
    end = 0
    while end < len(text) and text[end].isalpha() and text[end] not in "ᵀ" + _SUBSCRIPTS:
        end += 1
    return text[:end]


__all__ = ["UnicodePrinter"]
