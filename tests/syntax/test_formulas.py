"""Functions defined by a formula, with and without other quantities in it."""

import pytest

import matcalc
from matcalc.errors import ShapeError

PROGRAMS = [
    ("phi(t) = t*sigmoid(beta*t); c'*phi(W*x)", ("x", "beta", "W", "c")),
    ("phi(t) = t^2 + a; sum(phi(X))", ("X", "a")),
    ("f(t) = a; sum(f(x))", ("a", "x")),
    ("phi(t) = tanh(a*t); c'*phi'(x)", ("x", "a")),
    ("phi(t) = tanh(a*t); c'*phi''(x)", ("x", "a")),
    ("g(t) = exp(t) + k; h(t) = g(t)^2; sum(h(x))", ("x", "k")),
    ("phi(t) = t/(1 + exp(-t)); c'*phi(x)", ("x", "c")),
]


@pytest.mark.parametrize(("text", "wrt"), PROGRAMS, ids=[text for text, _ in PROGRAMS])
def test_gradients_are_right(text: str, wrt: tuple[str, ...]) -> None:
    report = matcalc.gradient(text, wrt).check()
    assert report.passed, str(report)


def test_a_formula_with_other_quantities_stands_for_itself() -> None:
    declared = matcalc.gradient("sum(phi(x))", "x", where="phi(t) = a*t^2; a in R; x in R^n")
    assert str(declared) == str(matcalc.gradient("sum(a*x.^2)", "x", where="a in R; x in R^n")) == "2*a*x"


def test_a_formula_of_other_quantities_is_written_out() -> None:
    with pytest.raises(ShapeError, match="a \\* t multiplies R\\^n and R\\^n"):
        matcalc.gradient("phi(t) = a*t; sum(phi(x))", "x", where="a in R^n; x in R^n")
    found = matcalc.gradient("phi(t) = A*t; sum(phi(x))", "x", where="A in R^{m x n}; x in R^n")
    assert str(found) == "sum(A, 0)'"


def test_what_an_index_is_computed_from_is_whole() -> None:
    gradient = matcalc.gradient("x[i + 1]*x[i] + e(h*k, n)'*x", "x", where="x in R^n")
    assert gradient.check().passed
    assert all("integer" in gradient.of.variable(name).op.declared for name in "ihk")


@pytest.mark.parametrize("text", ["sum(i=1:n; x[i])", "sum(i=1:n, 'a')", "sum(i=1:n, axis=1)"])
def test_a_sum_with_bounds_has_one_summand(text: str) -> None:
    with pytest.raises(matcalc.MatcalcError, match=r"sum\(i=1:m, f\)"):
        matcalc.gradient(text, "x", where="x in R^n")
