"""Spellings of names: one canonical name, the keyboard's, for what LaTeX and Unicode write differently."""

from __future__ import annotations

_GREEK = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "omicron",
    "pi",
    "rho",
    "sigma",
    "sigma",
    "tau",
    "upsilon",
    "phi",
    "chi",
    "psi",
    "omega",
]
UNICODE = {chr(0x3B1 + i): name for i, name in enumerate(_GREEK)}  # ς and σ are both sigma
UNICODE |= {chr(0x391 + i): name.capitalize() for i, name in enumerate(_GREEK)}
UNICODE |= {"ϑ": "theta", "ϕ": "phi", "ϖ": "pi", "ϱ": "rho", "ϵ": "epsilon", "µ": "mu", "ℓ": "l"}
GREEK = frozenset(UNICODE.values()) - {"l"}
CONSTANTS = frozenset({"I", "pi"})  # names that stand for a value

_VARIANTS = {f"var{name}": name for name in ("epsilon", "theta", "pi", "rho", "sigma", "phi", "kappa")} | {"ell": "l"}
_STYLES = {"mathbf", "boldsymbol", "bm", "mathrm", "mathit", "mathsf", "mathcal", "mathtt", "mathbb"}
_STYLES |= {"operatorname", "operatorname*", "text", "textbf", "textrm", "textit"}
_ACCENTS = {"vec": "", "hat": "hat", "widehat": "hat", "bar": "bar", "overline": "bar"}
_ACCENTS |= {"tilde": "tilde", "widetilde": "tilde"}
ALIASES = {"Tr": "tr", "trace": "tr", "sgn": "sign", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "ln": "log"}
ALIASES |= {"ReLU": "relu", "SiLU": "silu", "GELU": "gelu", "Diag": "diag", "inverse": "inv"}
_BRACES = {ord(c): None for c in "{} "}
_SCRIPTS = str.maketrans(
    "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ᵃᵇᶜᵈᵏˡᵐⁿᵒᵖʳˢᵗˣⁱʲ₀₁₂₃₄₅₆₇₈₉₌ᵢⱼₖₗₘₙₚₛₜ",
    "0123456789+-()abcdklmnoprstxij0123456789=ijklmnpst",
)


def superscript(text: str) -> str:
    """Raised or lowered characters at their usual height."""
    return text.translate(_SCRIPTS)


def _letters(text: str) -> str:
    """A word with Greek and mathematical letters in keyboard spelling."""
    if text.isascii():
        return text
    if any(c >= "\U0001d400" for c in text):
        from unicodedata import normalize

        text = normalize("NFKC", text)
    return UNICODE.get(text, text)


def plain(text: str) -> tuple[str, str]:
    """The word and the subscript of a name, without commands and braces; each Greek letter alone is its name."""
    if not text or (text.isascii() and text.isalnum()):
        return text, ""
    accent, is_command = "", False
    if text[0] == "\\":
        end = 1
        while end < len(text) and text[end].isalpha():
            end += 1
        command = text[1:end]
        if command in _STYLES or command in _ACCENTS:
            accent = _ACCENTS.get(command, "")
            text = text[end:].lstrip("*").replace("\\_", "_").replace("\\,", "_").translate(_BRACES)
        text, is_command = text.removeprefix("\\"), text.startswith("\\")
    word, _, subscript = text.partition("_")
    bare = word.rstrip("₀₁₂₃₄₅₆₇₈₉ᵢⱼₖₗₘₙₚₛₜ")
    if bare != word:
        word, subscript = bare, superscript(word[len(bare) :])
    if subscript:
        for command in ("\\text", "\\mathrm", "\\mathsf", "\\rm"):
            subscript = subscript.replace(command, "")
        subscript = subscript.translate({ord(c): None for c in "{}\\ ,_"})
    subscript = "".join([UNICODE.get(c, c) for c in subscript])
    word = _letters(word)
    return _VARIANTS.get(word, word) if is_command else word, accent + subscript


def canonical(text: str) -> str:
    """The keyboard spelling of a name: ``W1`` for ``W_1``, ``lambda`` for ``λ``, ``x_ij`` for ``x_{ij}``."""
    word, subscript = plain(text)
    if not subscript:
        return word
    return word + subscript if subscript.isdigit() and not word[-1:].isdigit() else f"{word}_{subscript}"


def spells_name(command: str) -> bool:
    """Whether a LaTeX command is a name: a Greek letter, or letters in some style."""
    end = 1
    while end < len(command) and (command[end].isalpha() or command[end] == "*"):
        end += 1
    word = plain(command)[0]
    return bool(word) and (command[1:end] in _STYLES or command[1:end] in _ACCENTS or word in GREEK or word == "l")
