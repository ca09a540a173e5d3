"""Each mistake gets its words, its place, and a way out."""

import pytest

from matcalc.errors import (
    AmbiguityError,
    DeclarationError,
    LimitError,
    MatcalcError,
    ParseError,
    ShapeError,
    UnknownNameError,
)
from matcalc.syntax import parse
from matcalc.syntax.mistakes import rows

WHERE = "W, A in R^{n x n}; x, b in R^n; y in R^m; a in R; B in R^{m x n}; u in R^3"

SHAPES = [
    ("c'*tanh(W + x)", "W + x", "W + x*ones(n)'"),
    ("W*y", "W*y", "columns of the left factor"),
    ("x*b", "x*b", "x'*b is a number"),
    ("x^2", "x^2", "x.^2"),
    ("B^2", "B^2", "B.^2"),
    ("a/x", "x", "./"),
    ("1/W", "W", "W^-1"),
    ("W + B", "W + B", "one shape"),
    ("W.*x", "W.*x", "diag(x)*W"),
    ("x + x'", "x + x'", "transposed it would fit: x"),
    ("B^-1", "B^-1", "pinv(B)"),
    ("tr(B)", "tr(B)", "B'*B"),
    ("A[1]", "A[1]", "A[i, j]"),
    ("B*A*x + y'", "B*A*x + y'", "transposed"),
    ("a + W*x + W", "W*x + W", "W + (W*x)*ones(n)'"),
    ("A^(1/2)", "A^(1/2)", ".^"),
    ("A^(-1/2)", "A^(-1/2)", ".^"),
    ("B^{-1/2}", "B^{-1/2}", "B.^(-1/2)"),
    ("|x|^2", "|x|^2", "norm2(x)^2"),
    ("hcat(A, B)", "hcat(A, B)", "vcat"),
    ("x'*W*y", "W*y", "columns of the left factor"),
    ("x.^[y]", "x.^[y]", "one shape"),
    ("reshape(u, 2, 2)", "reshape(u, 2, 2)", "as many entries"),
    ("norm2(y; W)", "norm2(y; W)", "R^{n x n}"),
    ("u[5]", "u[5]", "count from 1"),
    ("u[2:9]", "u[2:9]", "count from 1"),
    ("u[3:2]", "u[3:2]", "count from 1"),
    ("sum(conv(u, u[1:2], 'valid'))", "conv(u, u[1:2], 'valid')", "at least as large"),
    ("u'*e(4, 3)", "e(4, 3)", "from 1 to n"),
]


@pytest.mark.parametrize(("text", "place", "hint"), SHAPES, ids=lambda v: v)
def test_shapes_that_do_not_fit(text: str, place: str, hint: str) -> None:
    with pytest.raises(ShapeError) as caught:
        parse(text, WHERE)
    assert caught.value.span is not None
    assert caught.value.span.text == place
    assert hint in caught.value.hint
    assert caught.value.left is not None


def test_a_shape_error_holds_both_operands_and_reads_as_one() -> None:
    with pytest.raises(ShapeError) as caught:
        parse("c'*tanh(W + x)", WHERE)
    assert (caught.value.left, caught.value.right) == (("W", "R^{n x n}"), ("x", "R^n"))
    assert str(caught.value).splitlines() == [
        "ShapeError: W + x adds R^{n x n} and R^n (line 1, column 9)",
        "    c'*tanh(W + x)",
        "            ^^^^^",
        "  W in R^{n x n}, x in R^n",
        "  to add x to each column write W + x*ones(n)'",
    ]


def test_the_place_is_that_of_the_operand_not_of_its_first_use() -> None:
    with pytest.raises(ShapeError) as caught:
        parse("x'*W*x + sum(W + x)", WHERE)
    assert caught.value.column == 14


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("", ParseError, "nothing to read"),
        ("(A", ParseError, "`(` is never closed"),
        ("A)", ParseError, "`)` closes nothing"),
        ("(A]", ParseError, "does not close `(`"),
        ("norm(x", ParseError, "`(` is never closed"),
        ("foo(x)", UnknownNameError, "`foo` is not a known function"),
        ("tahn(x)", UnknownNameError, "`tanh`"),
        ("sotfmax(x)", UnknownNameError, "`softmax`"),
        ("regularizer*x", UnknownNameError, "`regularizer` is not known"),
        ("kron(A)", ParseError, "kron(A, B)"),
        ("sum(A, 2)", ParseError, "axis"),
        ("conv(A, A, 'foo')", ParseError, "'valid', 'same', 'full'"),
        ("norm(x, 3)", ParseError, "norm `3`"),
        ("x[0]", ParseError, "counted from 1"),
        ("f(x, y)", ParseError, "only functions of one number"),
        ("e^x", ParseError, "`e` is not the base"),
        ("z = 3; z = 4; z", DeclarationError, "twice"),
        ("x = 3; x", DeclarationError, "twice"),
        ("max = 3; max", DeclarationError, "function of the language"),
        ("z + 1; z", ParseError, "middle of a program"),
        ("q = r; r = 2; q", DeclarationError, "before it is assigned"),
        ("tr''(A)", ParseError, "not a function of one number"),
        ("1e999", LimitError, "too large"),
        ("sum(i=1:n, sum(i=1:n, x[i]))", DeclarationError, "already"),
        ("A[1,2,3]", ParseError, "3 indices"),
        (r"\sum_{i<j} x_i x_j", ParseError, "not over a condition"),
        (r"\prod_{i=1}^n x_i", ParseError, "products"),
        (r"\prod_i x_i", ParseError, "products"),
        ("x⊤x", ParseError, "stands alone"),
        ("sum(t=1:n, x[t]*x[t-1])", DeclarationError, "so t-1 before 1"),
        (r"\sum_{t=2}^n x_t x_{t-2}", DeclarationError, "so t-2 before 1"),
    ],
)
def test_words(text: str, error: type[MatcalcError], words: str) -> None:
    with pytest.raises(error) as caught:
        parse(text, WHERE)
    assert words in caught.value.message
    assert caught.value.span is not None


@pytest.mark.parametrize(
    ("where", "words", "place"),
    [
        ("W in R^{m x n} symmetric", "only a square matrix can be symmetric", "symmetric"),
        ("x in R^n; x in R^m", "declared twice", "x"),
        ("exp in R^n", "function of the language", "exp"),
        ("n in R; x in R^n", "stands for a dimension", "n"),
        ("x in R^n; n in R", "a dimension and a variable", "n"),
        ("x in R^0", "a dimension of 0", "0"),
        ("x in R^{n/2}", "not a dimension", "n/2"),
        ("phi: foo", "not a kind of function", "foo"),
        ("A symmetric", "stands without a shape", "symmetric"),
        ("f(x, x) = x'*x", "two parameters of f", "x"),
        ("f(x) = f(x)'*x", "defined by itself", "f"),
        ("f: R^n -> R; f in R", "twice", "f"),
        ("a in R spd", "only a square matrix", "spd"),
        ("A in R^{n x n} symetric", "did you mean `symmetric`", "symetric"),
        ("phi: elementwise; phi in R", "twice", "phi"),
    ],
)
def test_declarations_that_contradict(where: str, words: str, place: str) -> None:
    with pytest.raises((DeclarationError, UnknownNameError)) as caught:
        parse("2", where)
    assert words in caught.value.message
    assert caught.value.span is not None
    assert caught.value.span.text == place
    assert caught.value.hint


@pytest.mark.parametrize("where", ["sigma in R", "e in R^n", "I in R^{n x n}", "T in R", "pi in R", "x in R^{batch}"])
def test_harmless_collisions_are_allowed(where: str) -> None:
    assert parse(f"{where.split()[0]} + 1", where).inferred == []


MISTAKES = [(row, example) for row in rows() for example in row["examples"]]


@pytest.mark.parametrize(("row", "example"), MISTAKES, ids=[example for _, example in MISTAKES])
def test_each_example_gets_its_message(row: dict[str, str], example: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse(*(("x", example) if row.get("where") else (example,)))
    assert caught.value.message.startswith(row["message"].partition("{found}")[0])
    assert caught.value.hint
    assert caught.value.span is not None


def test_ambiguity_is_a_parse_error() -> None:
    assert issubclass(AmbiguityError, ParseError)


@pytest.mark.parametrize(
    ("text", "readings"),
    [
        ("|W|", "det(W), or abs(W)"),
        (r"\log|\mathbf{W}|", "abs("),
        ("max(x, 0)", "relu(x), or the largest entry, max(x)"),
        ("sum(max(W*x, 0))", "relu(W*x)"),
        ("max(x, 1)", "max(1, x)"),
        (r"W^{(2)} \tanh(W^{(1)} x)", "write W^2, or W_2"),
        (r"x^{(i)}", "write x^i, or x_i"),
        ("sum(i=1:m, f_i(x))", "f_i*(...)"),
        ("sum(i=1:m, phi_i (x[i]))", "phi_i*(...)"),
    ],
)
def test_what_has_two_readings_is_refused_with_both(text: str, readings: str) -> None:
    with pytest.raises(AmbiguityError) as caught:
        parse(text, WHERE)
    assert readings in str(caught.value)


def test_a_fraction_as_exponent_of_a_matrix_is_called_that() -> None:
    for text in ("X^(1/2)", "X^{-1/2}", "A^(-1/2)"):
        with pytest.raises(ShapeError) as caught:
            parse(text, "A in R^{n x n}")
        assert "is a whole number" in caught.value.message


@pytest.mark.parametrize(("text", "words"), [(r"\sqrt[3]{a}", "x^(1/3)"), ("A^H x", "A^T")])
def test_what_is_not_in_the_language_is_no_product(text: str, words: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse(text, WHERE)
    assert words in caught.value.hint


def test_the_larger_of_two_has_a_way_out() -> None:
    with pytest.raises(ParseError) as caught:
        parse("max(a'*x, b'*x)")
    assert "relu" in caught.value.hint


def test_a_division_is_called_by_its_sign() -> None:
    with pytest.raises(ShapeError) as caught:
        parse("x./y", WHERE)
    assert caught.value.message == "x ./ y divides entry by entry R^n and R^m"


@pytest.mark.parametrize(
    "text",
    [
        "9" * 1000,
        "1e400",
        "*".join(["99999999999"] * 3000),
        "; ".join(["a0 = 3", *(f"a{i} = a{i - 1}*a{i - 1}" for i in range(1, 60)), "a59"]),
        "; ".join(["A0 = A", *(f"A{i} = kron(A{i - 1}, A{i - 1})" for i in range(1, 30)), "sum(A29)"]),
    ],
    ids=["digits", "float", "product", "squares", "kron"],
)
def test_what_grows_without_bound_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(LimitError) as caught:
        parse(text, WHERE)
    assert caught.value.hint


def test_messages_quote_long_names_in_part() -> None:
    for text in ("x_" + "a" * 5000, "foo" * 1000 + "(x)", "a^" + "b" * 3000 + "^c"):
        with pytest.raises(MatcalcError) as caught:
            parse(text)
        assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("text", "place"),
    [("x[0]", "0"), ("sum(i=1:1/2, x'*x)", "1/2"), ("sum(i=1:m, sum(i=1:m, a))", "i"), ("a/0", "0"), ("x'*x./0", "0")],
)
def test_numbers_and_indices_out_of_place(text: str, place: str) -> None:
    with pytest.raises(MatcalcError) as caught:
        parse(text, WHERE)
    assert caught.value.span is not None
    assert caught.value.span.text == place
    assert caught.value.hint


def test_a_long_bound_of_a_sum_is_kept_whole() -> None:
    program = parse("sum(i=1:1234567890, x[i]^2)")
    assert "x in R^1234567890" in program.inferred
