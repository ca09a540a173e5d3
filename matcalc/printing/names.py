"""Names in other spellings: ``lambda`` as λ and ``\\lambda``, ``W1`` as W₁ and ``W_1``.

The spellings are those that syntax/spelling.py reads.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from matcalc.syntax.spelling import GREEK, UNICODE, canonical

_NO_COMMAND = frozenset(
    ("omicron", "Alpha", "Beta", "Epsilon", "Zeta", "Eta", "Iota", "Kappa", "Mu", "Nu", "Omicron", "Rho", "Tau", "Chi")
)  # these look like Latin letters, and LaTeX writes them so
_LETTER = {name: letter for letter, name in UNICODE.items() if name in GREEK - _NO_COMMAND and letter not in "ςϑϕϖϱϵµ"}
_ACCENTS = ("hat", "bar", "tilde")
_LOWERED = dict(zip("0123456789ijklmnpst", "₀₁₂₃₄₅₆₇₈₉ᵢⱼₖₗₘₙₚₛₜ", strict=True))


def parts(name: str) -> tuple[str, str]:
    """The word and the subscript: ``W1`` is W with 1, ``x_ij`` is x with ij, ``x2_1`` is x2 with 1."""
    word, mark, subscript = name.partition("_")
    if not mark:
        stem = name.rstrip("0123456789")
        if stem:
            return stem, name[len(stem) :]
    return word, subscript


def listed(name: str, spelled: Callable[[str], str] = str) -> str:
    """A name with several subscripts, such as that of a block of a matrix: ``H_W_b`` is ``H_{W,b}``."""
    word, *subscripts = name.split("_")
    return f"{spelled(word)}_{{{','.join(map(spelled, subscripts))}}}" if len(subscripts) > 1 else name


@cache
def unicode_name(name: str) -> str:
    """The name in Greek letters and lowered digits, where it has such and reads back."""
    if name.count("_") > 1:
        return listed(name, lambda part: _LETTER.get(part, part))
    word, subscript = parts(name)
    lowered = "".join([_LOWERED.get(c, "?") for c in subscript])
    if "?" in lowered:
        lowered = name[len(word) :]
    found = _LETTER.get(word, word) + lowered
    return found if canonical(found) == name else name


@cache
def latex_name(name: str, style: str = "mathit") -> str:
    """The name in LaTeX; words of several letters upright (``operatorname``) or in italics."""
    if name.count("_") > 1:
        word = name.partition("_")[0]
        subscripts = listed(name, lambda part: f"\\{part}" if part in GREEK - _NO_COMMAND else part)
        return latex_name(word, style) + subscripts[len(word) :]
    word, subscript = parts(name)
    accent = next((a for a in _ACCENTS if subscript.startswith(a) and len(word) == 1), "")
    subscript = subscript.removeprefix(accent)
    if word in GREEK and word not in _NO_COMMAND:
        found = f"\\{word}"
    elif len(word) == 1:
        found = word
    else:
        found = f"\\{style}{{{word}}}"
    if accent:
        found = f"\\{accent}{{{found}}}"
    if subscript:
        piece = f"\\{subscript}" if subscript in GREEK and subscript not in _NO_COMMAND else subscript
        found += f"_{piece}" if len(piece) == 1 or piece[0] == "\\" else f"_{{{piece}}}"
    return found
