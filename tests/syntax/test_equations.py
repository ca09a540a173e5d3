"""Equations among declarations: which are read, as what, and what is said of the others."""

from __future__ import annotations

import pytest

import matcalc
from matcalc.errors import DeclarationError, ParseError
from matcalc.facts import COLUMNS, NONNEGATIVE, ONEHOT, ROWS, STOCHASTIC, facts
from matcalc.syntax import parse

VECTOR = [
    "sum(y) = 1",
    "1 = sum(y)",
    "1'*y = 1",
    "1^T y = 1",
    "1ᵀy = 1",
    "𝟏ᵀ y = 1",
    r"\mathbf{1}^\top y = 1",
    r"y in R^n; \mathbf 1^T y = 1",
    "y in R^n; ones(n)'*y = 1",
    "ones(n)'*y = 1; y in R^n",
    "y in R^n; y'*ones(n) = 1",
    r"y in R^n; \sum_{i=1}^n y_i = 1",
    "y in R^n; sum(i=1:n, y[i]) = 1",
]
BY_COLUMN = [
    "sum(Y, 0) = ones(m)'",
    "sum(Y, 0) = 1",
    "1'*Y = 1'",
    "1^T Y = 1^T",
    r"\mathbf{1}^\top Y = \mathbf{1}^\top",
    "Y in R^{k x m}; Y'*ones(k) = ones(m)",
    "Y in R^{k x m}; sum(Y, 0)' = ones(m)",
]
BY_ROW = ["sum(Y, 1) = 1", "Y in R^{m x k}; Y*ones(k) = ones(m)", r"Y \mathbf{1} = \mathbf{1}"]


@pytest.mark.parametrize(
    "where, fact", [(w, COLUMNS) for w in VECTOR + BY_COLUMN] + [(w, ROWS) for w in BY_ROW], ids=str
)
def test_an_equation_is_a_fact(where: str, fact: str) -> None:
    name = "Y" if "Y" in where else "y"
    text = "u = W*x; -y'*log_softmax(u)" if name == "y" else "U = W*X; -sum(Y .* log_softmax(U))"
    y = parse(text, where).variables[name]
    assert facts(y) == {fact}
    assert y.cols is not y.rows


def test_both_sums_of_a_matrix_may_be_one() -> None:
    y = parse("sum(Y)", "sum(Y, 0) = 1; sum(Y, 1) = 1").variables["Y"]
    assert facts(y) == {COLUMNS, ROWS}


def test_an_equation_stands_in_a_where_of_the_text_too() -> None:
    g = matcalc.gradient("u = W*x; -y'*log_softmax(u) where sum(y) = 1", "u")
    assert str(g) == "softmax(u) - y"


def test_attributes_say_the_same() -> None:
    for attribute in (STOCHASTIC, ONEHOT):
        y = parse("y'*x", f"y in R^n {attribute}").variables["y"]
        assert {COLUMNS, NONNEGATIVE} <= facts(y)
        assert parse("y'*x", f"y in R^n {attribute}; sum(y) = 1").variables["y"] is y


def test_definitions_are_read_as_before() -> None:
    assert matcalc.parse("z", "x in R^n; z = x'*x").variables == ["x"]
    assert matcalc.parse("f(x)", "x in R^n; f(t) = t^2").shape == matcalc.parse("x", "x in R^n").shape


@pytest.mark.parametrize(
    "where, said",
    [
        ("sum(y) = 2", "no equation that is made use of"),
        ("2*sum(y) = 2", "no equation that is made use of"),
        ("y'*y = 1", "no equation that is made use of"),
        ("W*x = 1", "no equation that is made use of"),
        ("x + y = 3", "no equation that is made use of"),
        ("sum(y) = sum(x)", "no equation that is made use of"),
        ("y in R; sum(y) = 1", "no equation that is made use of"),
        ("y in R^n; sum(y, 0) = ones(n)", "no equation that is made use of"),
        ("y in R^{n x m}; sum(y) = 1", "all together"),
        ("sum(u) = 1", "`u` is assigned"),
        ("y in R stochastic", "only a vector"),
        ("y in R^{1 x n} onehot", "only a vector"),
        ("log(y) = 3", "`log` is a function"),
        ("log(t) = t + 1", "`log` is a function"),
    ],
)
def test_other_equations_are_refused(where: str, said: str) -> None:
    with pytest.raises(DeclarationError, match=said):
        parse("u = W*x; -y'*log_softmax(u)", where)


def test_an_equation_is_no_statement_of_a_program() -> None:
    with pytest.raises(ParseError):
        parse("1'*y = 1")
    with pytest.raises(ParseError):
        parse("x'*x", "sum(y) = 1 = 2")


def test_declarations_are_written_back() -> None:
    for where in ("sum(y) = 1", "y in R^n onehot", "y in R^n nonnegative; 1'*y = 1"):
        f = matcalc.parse("y'*log_softmax(W*x)", where)
        again = matcalc.parse(str(f), f.declarations())
        assert again.expr is f.expr
    for where in ("sum(Y, 0) = 1", "sum(Y, 1) = 1; sum(Y, 0) = 1", "Y in R^{n x m} stochastic"):
        f = matcalc.parse("sum(Y .* log_softmax(W*X))", where)
        assert matcalc.parse(str(f), f.declarations()).expr is f.expr


def test_columns_of_a_family_keep_what_is_said_of_them() -> None:
    text, where = "-sum(i=1:m, y_i'*log_softmax(W*x_i))", "y_i in R^k onehot for i=1:m; x_i in R^n for i=1:m"
    assert str(matcalc.gradient(text, "W", where=where)) == "(softmax(W*X) - Y)*X'"
