"""Any text is read in bounded time, without recursion, and nothing of it is run."""

import random
import time

import pytest

from matcalc.errors import MatcalcError
from matcalc.syntax import parse
from matcalc.syntax.lexer import MAX_LENGTH

HOSTILE = {
    "empty": "",
    "blank": " \n\t ",
    "nested": "(" * 5000 + "x" + ")" * 5000,
    "nested calls": "tr(" * 5000 + "X" + ")" * 5000,
    "nested negations": "-(" * 5000 + "x" + ")" * 5000,
    "unclosed": "(" * 5000,
    "unopened": ")" * 5000,
    "bars": "|" * 5001,
    "angles": "<" * 5000,
    "sum": "+".join("x" * 20000),
    "product": "*".join("A" * 20000),
    "juxtaposition": "A " * 20000,
    "minus": "-" * 20000 + "x",
    "primes": "x" + "'" * 20000,
    "powers": "x" + "^2" * 20000,
    "letters": "a" * 100_000,
    "greek": "λ" * 20000,
    "digits": "1" * 100_000,
    "exponent": "1e999999999",
    "quotes": "'" * 20000,
    "lines": "\n" * 100_000,
    "statements": "x;" * 20000,
    "wheres": " where" * 20000,
    "fractions": "norm2( \\frac" * 20000,
    "subscripts": "x" + "_1" * 10000,
    "names": " ".join(f"x{i}" for i in range(3000)),
    "too long": "x" * (MAX_LENGTH + 1),
    "nul": "x\0y",
    "controls": "".join(map(chr, range(32))),
    "right to left": "\u202ex",
    "emoji": "x + 😀",
    "surrogate": "x\ud800",
    "python": "__import__('os').system('x')",
    "lambda": "(lambda x: x)(3)",
    "format": "{0.__class__}%s",
    "huge power": "A^1000000",
    "tower": "2^(2^(2^(2^(2^(2^2)))))",
    "doubling": "; ".join(["z0 = x", *(f"z{i} = z{i - 1} + z{i - 1}" for i in range(1, 300))]) + "; z299",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_any_text_is_read_or_refused_in_time(text: str) -> None:
    start = time.process_time()
    try:
        parse(text)
    except MatcalcError as error:
        assert len(str(error)) < 2000
    assert time.process_time() - start < 30


@pytest.mark.parametrize(
    "where",
    [
        "x in R^{" + "(m+n+p+q)*" * 40 + "n}",
        "x in R^{" + "n+" * 20000 + "n}",
        "x in " * 20000,
        "x, " * 20000,
        ":" * 20000,
        "f(" * 5000,
    ],
)
def test_any_declaration_is_read_or_refused_in_time(where: str) -> None:
    start = time.process_time()
    try:
        parse("x", where)
    except MatcalcError as error:
        assert len(str(error)) < 5000
    assert time.process_time() - start < 30


def test_time_grows_with_the_length() -> None:
    def seconds(count: int) -> float:
        text = "+".join(["x.*tanh(x)"] * count)
        best = 1e9
        for _ in range(3):
            start = time.process_time()
            parse(text)
            best = min(best, time.process_time() - start)
        return best

    assert seconds(4000) < 4 * 4 * seconds(1000)


def test_random_tokens_never_crash() -> None:
    marks = "( ) [ ] { } < > | ‖ ' ^ ^T ^-1 .^ .* ./ * / + - , ; : = ᵀ ⁻¹ ² _ ⊗ × ∇"
    words = "A x y W1 lambda 1 2 0.5 tr( exp log sum( i=1:n, norm2( where in R I pi e( ones( diag( phi' 'fro'"
    tokens = [
        *marks.split(),
        *words.split(),
        "\n",
        "\\frac",
        "\\left(",
        "\\right)",
        "\\sum_{i=1}^{n}",
        "\\mathbf",
        "\\hat{x}",
        "\\Psi",
    ]
    rng = random.Random(20240607)
    for _ in range(3000):
        text = (
            " ".join(rng.choices(tokens, k=rng.randint(1, 12)))
            if rng.random() < 0.5
            else "".join(rng.choices(tokens, k=rng.randint(1, 9)))
        )
        try:
            parse(text, rng.choice([None, "A in R^{n x n}; x, y in R^n", text]), scalar=rng.random() < 0.5)
        except MatcalcError as error:
            str(error)
