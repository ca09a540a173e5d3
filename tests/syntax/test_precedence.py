"""Levels and associativity, by the table of operators."""

import pytest

from matcalc.errors import AmbiguityError
from matcalc.expr import Expr
from matcalc.syntax import parse

WHERE = "A, B, C in R^{n x n}; x, y, z in R^n; a, b, c, m in R; X in R^{n x p}"


def read(text: str) -> Expr:
    return parse(text, WHERE).expr


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("A*B'", "A*(B')"),
        ("-x.^2", "-(x.^2)"),
        ("-A B", "(-A)*B"),
        ("A'^2", "(A')^2"),
        ("A^2'", "(A^2)'"),
        ("A B'", "A*(B')"),
        ("1/m*X", "(1/m)*X"),
        ("2/4 a", "a/2"),
        ("a*1/2 x", "a*1/2*x"),
        ("x.*y + z", "(x.*y) + z"),
        ("A*-x", "-A*x"),
        ("a - -b", "a + b"),
        ("x ./ y", "x .* y.^-1"),
        (r"\log a + b", "log(a) + b"),
        (r"\log a*b", "log(a)*b"),
        (r"\log a^2", "log(a^2)"),
        (r"-\sum_{i=1}^{n} x[i]*y[i] + a", "-(sum(i=1:n, x[i]*y[i])) + a"),
        (r"a \sum_{i=1}^{n} x_i", "a*sum(i=1:n, x[i])"),
        (r"\sum_{i=1}^T x_i", "sum(i=1:T, x[i])"),
        ("½ xᵀAx", r"\frac12 x'*A*x"),
        ("¾‖x‖²", "(3/4)*norm2(x)^2"),
        (r"\sum_{i=1}^{T} x^T x_i", "sum(i=1:T, x'*x[i])"),
        ("x'y z", "x'*y*z"),
        ("A^-1 x", "inv(A)*x"),
        ("A^k*x", "(A^k)*x"),
        ("2^-1*x", "x/2"),
    ],
)
def test_reads_as(text: str, same: str) -> None:
    assert read(text) is read(same)


@pytest.mark.parametrize(
    ("text", "other"),
    [("A*B*x", "A*(B*x)"), ("a - (b - c)", "a - b - c"), ("x.*y.*z", "x.*(y.*z)"), ("-(A*x)", "-A*x")],
)
def test_brackets_are_kept(text: str, other: str) -> None:
    assert read(text) is not read(other)


@pytest.mark.parametrize(
    ("text", "readings"),
    [
        ("a/b c", ("(a/b)*c", "a/(b*c)")),
        ("1/m X", ("(1/m)*X", "1/(m*X)")),
        (r"\log x y", ("log(x)*y", "log(x*y)")),
        ("tr A B", ("tr(A)*B", "tr(A*B)")),
        ("a^b^c", ("(a^b)^c", "a^(b^c)")),
        ("expx", ("exp x", "e*x*p*x")),
        ("x_ij + 1", ("x_{ij}", "x_i*j")),
        ("Σ_i x", ("a sum over i", "Sigma_i")),
    ],
)
def test_two_readings_are_refused_and_shown(text: str, readings: tuple[str, str]) -> None:
    with pytest.raises(AmbiguityError) as caught:
        read(text)
    assert all(reading in caught.value.detail for reading in readings)
    assert caught.value.span is not None
    assert caught.value.hint


def test_chains_are_flat() -> None:
    assert len(read("A*B*C*x").args) == 4
    assert len(read("x + y - z + x").args) == 4
    assert len(read("x.*y.*z").args) == 3
    assert len(read("-A*B*x").args) == 4


def test_a_run_that_has_become_a_number_scales_what_follows() -> None:
    assert read("x'*y*z") is read("(x'*y)*z")


def test_letters_are_split_unless_they_are_a_name() -> None:
    assert parse("Wx+b").expr is parse("W*x + b").expr
    assert parse("loss + 1", "loss in R").expr is not parse("l*o*s*s + 1", "l, o, s in R").expr
    assert parse("net = x; net'net").expr is parse("x'x").expr
    assert parse("W1x", "W1 in R^{n x n}; x in R^n").expr is parse("W1*x", "W1 in R^{n x n}; x in R^n").expr
    assert parse("x_{ij} + 1", "x_ij in R").expr is parse("x_ij + 1", "x_ij in R").expr


def test_a_prime_is_a_derivative_after_a_function_and_a_transpose_after_a_variable() -> None:
    assert parse("phi'(x)", "phi: elementwise; x in R^n").expr.op.order == 1
    assert parse("phi''(x)", "phi: elementwise; x in R^n").expr.op.order == 2
    assert parse("f'(x)").expr.op.order == 1
    assert parse("x'(A+B)x").expr is parse("x'*(A+B)*x").expr
    assert parse("tanh'(x)").expr is parse("1 - tanh(x).^2").expr
    with pytest.raises(AmbiguityError):
        parse("A'(x+b)")


def test_t_is_a_transpose_only_in_an_exponent() -> None:
    assert parse("x^Tx").expr is parse("x'*x").expr
    assert parse("T*x", "T in R^{m x n}; x in R^n").expr.shape == parse("W*x", "W in R^{m x n}; x in R^n").expr.shape
