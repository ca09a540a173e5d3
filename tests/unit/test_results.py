"""What a user holds in Python: formulas and gradients."""

from __future__ import annotations

import json

import numpy as np
import pytest

import matcalc
from matcalc.errors import ArgumentError, DeclarationError, NotScalarError, UnknownNameError
from matcalc.simplify import simplify


def test_a_formula_shows_what_was_inferred() -> None:
    f = matcalc.parse("c^T Ψ((W+V)Φ(Wx+b))")
    assert f.variables == ["c", "W", "V", "x", "b"]
    assert f.inferred == ["c, x, b in R^n", "W, V in R^{n x n}", "Psi, Phi: elementwise"]
    assert str(f) == "c'*Psi((W + V)*Phi(W*x + b))"


def test_several_gradients_at_once() -> None:
    g = matcalc.gradient("z = W*x + b; c'*tanh(z)", "W, b")
    assert list(g) == ["W", "b"]
    assert str(g["b"]) == "(1 - tanh(W*x + b).^2) .* c"
    with pytest.raises(ArgumentError, match="W, b"):
        _ = g.expr
    with pytest.raises(UnknownNameError):
        g["x"]


def test_names_are_found_in_every_spelling() -> None:
    for name in ("W_1", "W1", "W₁", "W_{1}"):
        assert str(matcalc.gradient("c'*W_1*x", name)) == "c*x'"
    assert str(matcalc.gradient("λ*x'*x", "λ")) == str(matcalc.gradient("λ*x'*x", r"\lambda")) == "x'*x"


def test_a_quantity_of_the_program_can_be_differentiated_by() -> None:
    g = matcalc.gradient("z = W*x + b; u = z.^2; sum(u) + c'*z", "z")
    assert str(g) == "2*z + c"
    assert sorted(g.compile().arguments) == ["c", "z"]
    assert g.check().passed


def test_kinds_are_found_again_when_a_gradient_needs_a_scalar() -> None:
    f = matcalc.parse("1/2*w'*w + C*sum(relu(1 - y.*(X*w)))")
    assert "C in R" in f.gradient("w").of.inferred


def test_absent_names() -> None:
    g = matcalc.gradient("x'*x", "y", where="y in R^n")
    assert str(g) == "zeros(n)"
    assert g.notes == ["y does not occur in the expression, so its gradient is zero"]
    with pytest.raises(UnknownNameError, match="there is x"):
        matcalc.gradient("x'*x", "z")
    with pytest.raises(UnknownNameError):
        matcalc.gradient("x'*x", " ")


def test_notes_on_where_a_derivative_is_stated() -> None:
    assert matcalc.parse("adj(A)").jacobian("A").notes == ["the derivative of adj(A) is stated for invertible A"]
    assert matcalc.parse("A^-1").jacobian("A").notes == ["inv is defined where A is invertible"]


def test_the_power_of_a_matrix_is_checked_at_whole_numbers() -> None:
    f = matcalc.parse("A^(k/2)", where="A in R^{n x n}; k in R")
    assert f.jacobian("A").check(seed=3).passed


def test_what_is_not_differentiated_by() -> None:
    with pytest.raises(DeclarationError, match="constant"):
        matcalc.gradient("x'*A*x", "A", where="A in R^{n x n} constant")
    with pytest.raises(DeclarationError, match="whole number"):
        matcalc.gradient("tr(X^k)", "k")
    with pytest.raises(NotScalarError, match="Jacobian"):
        matcalc.gradient("A*x", "x", where="A in R^{m x n}; x in R^n")


def test_symmetric_and_diagonal_variables_have_their_gradient_within_the_subspace() -> None:
    symmetric = matcalc.gradient("a'*X*b", "X", where="a, b in R^n; X in R^{n x n} symmetric")
    assert symmetric.check().passed
    x = symmetric.compile()(a=[1.0, 2.0], b=[3.0, 5.0])
    np.testing.assert_array_equal(x, x.T)
    diagonal = matcalc.gradient("a'*X*b", "X", where="a, b in R^n; X in R^{n x n} diagonal")
    assert str(diagonal) == "diag(a .* b)"


def test_derivatives_of_defined_functions_are_shown() -> None:
    g = matcalc.gradient("phi(t) = t/(1+exp(-t)); c'*phi(W*x)", "x")
    assert str(g) == "W'*(phi'(W*x) .* c)"
    assert g.notes == ["phi'(t) = sigmoid(t)*(1 + t*sigmoid(-t))"]
    assert g.check().passed


def test_notes_tell_kinks_and_domains_but_only_open_ones() -> None:
    assert matcalc.gradient("sum(log(1 + exp(x)))", "x").notes == []
    both = matcalc.gradient("log(a) + log(b) + logdet(S)", "a, b, S", "a, b in R; S in R^{n x n} spd")
    assert both.notes == ["log is defined where its argument > 0"]
    assert matcalc.gradient("sum(log(x))", "x").notes == ["log is defined where x > 0"]
    assert matcalc.gradient("tr(A*X^k)", "X").notes == ["holds for k >= 0"]
    assert matcalc.gradient("tr(A*X^-k)", "X").notes == ["holds for k >= 0"]
    assert matcalc.gradient("tr(X^k)", "X").notes == []
    assert matcalc.gradient("sum(relu(x))", "x").notes == ["relu has slope 0 at 0, as PyTorch"]
    assert matcalc.gradient("norm2(x)", "x").notes == ["norm2 has the subgradient 0 at 0, as PyTorch"]
    assert matcalc.gradient("norm2(x)^2", "x").notes == []


def test_claims() -> None:
    f = matcalc.parse("x'*A*x", where="A in R^{n x n}")
    assert f.check_claim("x", "A*x + A'*x").passed
    wrong = f.check_claim("x", "2*A*x")
    assert not wrong.passed
    least_squares = matcalc.parse("norm2(A*x - b)^2")
    assert "multiplying it by 2" in str(least_squares.check_claim("x", "A'*(A*x - b)"))


def test_plain_data_and_mathematics_in_a_notebook() -> None:
    g = matcalc.gradient("norm2(A*x - b)^2", "x")
    data = json.loads(json.dumps(g.as_dict()))
    assert data["gradients"]["x"]["text"] == "2*A'*(A*x - b)"
    assert g._repr_latex_() == r"$\displaystyle 2 A^\top (A x - b)$"


def test_a_callable_takes_what_the_formula_takes() -> None:
    g = matcalc.gradient("a'*X*b + sum(X)", "X").compile()
    assert g.arguments == ("a", "b")  # X is gone from the gradient, and its shape is that of a and b
    given = {"a": [1.0, 2.0], "b": [3.0], "X": [[0.0], [0.0]]}
    np.testing.assert_array_equal(g(**given), g(a=given["a"], b=given["b"]))
    with pytest.raises(ArgumentError, match="q"):
        g(q=1, **given)
    of_sum = matcalc.gradient("sum(X)", "X").compile()
    assert of_sum.arguments == ("X",)  # only its shape is used
    np.testing.assert_array_equal(of_sum(X=np.zeros((2, 3))), np.ones((2, 3)))


def test_value_and_gradient_from_one_callable() -> None:
    value, slope = matcalc.gradient("norm2(x)^2", "x").compile(value=True)(x=[3.0, 4.0])
    assert value == pytest.approx(25)
    np.testing.assert_allclose(slope, [6, 8])


@pytest.mark.parametrize(
    ("text", "where", "expected"),
    [
        ("z = x'; z*z'", "", "2*z"),
        ("z = 2*a; z*z*b", "a, b in R", "2*b*z"),
        ("z = 3; z*z*a", "a in R", "2*a*z"),
        ("z = x; z'*x", "", "x"),
        ("z = W*x; h = z; h'*z", "", "2*z"),
    ],
)
def test_an_assigned_quantity_is_held_wherever_it_stands(text: str, where: str, expected: str) -> None:
    g = matcalc.gradient(text, "z", where)
    assert g.expr is simplify(g.of.claim(expected))
    assert g.check().passed
