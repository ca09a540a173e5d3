"""What follows for names that nobody declared."""

import pytest

from matcalc.dims import SCALAR, shape_text
from matcalc.errors import AmbiguityError
from matcalc.syntax import parse


@pytest.mark.parametrize(
    ("text", "inferred"),
    [
        ("c^T Ψ((W+V)Φ(Wx+b))", "c, x, b in R^n; W, V in R^{n x n}; Psi, Phi: elementwise"),
        ("x'*A*x", "x in R^n; A in R^{n x n}"),
        ("A*x", "A in R^{m x n}; x in R^n"),
        ("1/m*sum(log(1+exp(-y.*(X*w))))", "m in R; y in R^n; X in R^{n x p}; w in R^p"),
        ("lambda*x'*x", "lambda in R; x in R^n"),
        ("(y - c'*tanh(W*x+b))^2", "y in R; c, b in R^m; W in R^{m x n}; x in R^n"),
        ("logdet(X)", "X in R^{n x n}"),
        ("tr(A*X*B)", "A in R^{m x n}; X in R^{n x p}; B in R^{p x m}"),
        ("norm2(A*x-b)^2/2 + lambda*norm1(x)", "A in R^{m x n}; x in R^n; b in R^m; lambda in R"),
        ("x[i]*y[i]", "x in R^m; i in R; y in R^n"),
        ("-y'*log(softmax(W*x+b))", "y, b in R^m; W in R^{m x n}; x in R^n"),
        ("-1/m*(c1'*log(σ(X'*w)) + c2'*log(1-σ(X'*w)))", "m in R; c1, c2 in R^n; X in R^{p x n}; w in R^p"),
        ("a*x + b*y", "a, b in R; x, y in R^n"),
        ("sum(i=1:m, x[i]^2)", "x in R^m"),
        ("ones(m)'*x/m", "x in R^m"),
        ("kron(A,B)*vec(X)", "A in R^{m x n}; B in R^{p x q}; X in R^{q x n}"),  # vec(B*X*A')
        ("vec(X)'*kron(A,B)*vec(X)", "X in R^{m x n}; A in R^{n x n}; B in R^{m x m}"),
        (r"\sum_{k=1}^K \pi_k x_k", "pi, x in R^K"),
        ("(x - mu)'*P*(x - mu)", "x, mu in R^n; P in R^{n x n}"),
        ("z = x - mu; z'*P*z", "x, mu in R^n; P in R^{n x n}"),
        ("(y - X*w - alpha)'*(y - X*w - alpha)", "y in R^m; X in R^{m x n}; w in R^n; alpha in R"),
        ("tr((X - mu)'*(X - mu))", "X in R^{m x n}; mu in R"),
        ("(y - x'*beta)^2", "y in R; x, beta in R^n"),
        ("‖y − Xβ‖² + λ‖β‖²", "y in R^m; X in R^{m x n}; beta in R^n; lambda in R"),
        ("sum(i=1:n, w_i*(y_i - x_i'*beta)^2)", "w, y in R^n; X in R^{m x n} with columns x_i; beta in R^m"),
        (r"\sum_{k=1}^K \pi x_k", "x in R^K"),
        ("hcat(A, b)*x", "A in R^{m x n}; b in R^m; x in R^{n + 1}"),
        ("A^k*x", "A in R^{n x n}; k in R; x in R^n"),
        ("sqrt(2)*pi*x", "x in R^n"),
        ("beta'*X'*X*beta", "beta in R^m; X in R^{n x m}"),
        (r"f^\top x + \lambda^\top(Ax - b)", "f, x in R^m; lambda, b in R^n; A in R^{n x m}"),
        ("Σ_{i=1}^m Σ_{j=1}^n gamma_ij x_i y_j", "gamma in R^{m x n}; x in R^m; y in R^n"),
    ],
)
def test_inferred(text: str, inferred: str) -> None:
    found = "; ".join(parse(text).inferred)
    assert found == inferred


@pytest.mark.parametrize("text", ["t*x'*x", "w*log(p)", "c*norm2(x)", "C*sum(relu(1 - y.*(X*w)))"])
def test_a_value_that_must_be_a_number_decides(text: str) -> None:
    assert parse(text, scalar=True).expr.shape == SCALAR


def test_a_value_that_cannot_be_a_number_is_left_to_the_caller() -> None:
    assert shape_text(parse("A*x", scalar=True).expr.shape) == "R^m"


def test_declared_names_are_not_touched() -> None:
    program = parse("(W+V)*x", "x in R^3")
    assert program.declared == {"x"}
    assert program.inferred == ["W, V in R^{n x 3}"]


def test_inferred_declarations_say_the_same() -> None:
    for text in ("c^T Ψ((W+V)Φ(Wx+b))", "(y - c'*tanh(W*x+b))^2", "tr(A*X*B)", "t*x'*x"):
        program = parse(text, scalar=True)
        assert parse(text, "; ".join(program.inferred)).expr is program.expr


def test_names_of_dimensions_avoid_names_of_variables() -> None:
    assert parse("n*x").inferred == ["n in R", "x in R^m"]


def test_a_dimension_is_a_number() -> None:
    program = parse("(1/m)*sum(x)", "x in R^m")
    assert list(program.variables) == ["x"]


def test_a_name_that_stands_alone_and_before_brackets_has_two_readings() -> None:
    with pytest.raises(AmbiguityError, match="stands alone"):
        parse("W(x + b) + W")


def test_two_equally_good_corrections_are_two_readings() -> None:
    with pytest.raises(AmbiguityError) as caught:
        parse("g*a*m*x")
    assert "a in R; m in R" in caught.value.detail
    assert "a in R; x in R" in caught.value.detail


def test_a_number_that_meets_a_matrix_is_warned_of() -> None:
    assert "p'*p" in parse("diag(p) - p'*p").warnings[0]
    assert parse("A + 1").warnings == []
    assert parse("A - t", "t in R; A in R^{m x n}").warnings == []
    assert parse("x + x'*x").warnings == []
    assert len(parse("A + x'*x").warnings) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("norm2(x - mu)^2", "mu is read as a number and added to every entry; for a vector declare mu in R^n"),
        ("tr((A + lambda)^-1)", "on the diagonal write lambda*I"),
        ("mean((y - X*w)^2)", "so that y in R^{n x n}, w in R; entry by entry, write (y - X*w).^2"),
        ("sum((x - y)^2)", "(x - y)^2 is the power of a number; entry by entry, write (x - y).^2"),
        ("(B*x + b)'*C (D*x + d)", "for a product write C*(...)"),
        ("log|X|", "the determinant is det(X)"),
        ("sum(exp(X*beta))", "beta is read as a number; for a vector declare beta in R^n"),
    ],
)
def test_readings_that_may_not_be_meant_are_warned_of(text: str, said: str) -> None:
    (warning,) = parse(text).warnings
    assert said in warning


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("norm2(x - mu)^2", "mu in R; x in R^n"),
        ("sqrt(mean(x.^2) + epsilon)", None),
        ("A + lambda*I", None),
        ("tr((a*A + B)^2)", None),
        ("x^2 + 3*x", None),
        ("sum(i=1:n, x[i]^2)", None),
        ("sum(x^2)", "x in R"),
        (r"c^T \Psi ((W + V) \Phi (Wx + b))", None),
        ("c'*C(D*x + d)", None),
        ("sum(|x|)", None),
        ("sum(exp(beta*X))", None),
        ("x'*x*lambda", None),
    ],
)
def test_other_readings_are_not(text: str, where: str | None) -> None:
    assert parse(text, where).warnings == []


def test_variables_come_in_order() -> None:
    assert list(parse("A*x + b").variables) == ["A", "x", "b"]
    assert list(parse("A*x + b", "b, z in R^n").variables) == ["b", "z", "A", "x"]


def test_attributes_are_facts() -> None:
    variables = parse("x'*S*x", "S in R^{n x n} spd positive; x in R^n constant").variables
    assert variables["S"].op.declared == ("positive", "spd")
    assert variables["x"].op.declared == ("constant",)


def test_a_defined_function_is_known_by_its_formula() -> None:
    first = parse("phi(x)", "phi(t) = t/(1 + exp(-t)); x in R^n").expr
    assert first is parse("phi(x)", "phi(s) = s/(1 + exp(-s)); x in R^n").expr or first.op.function.kind == "defined"
    assert parse("phi(t) = t^2; phi(x)", "x in R^n").expr.op.function.kind == "defined"
    assert (
        parse("psi(x)", "phi(t) = t^2; psi(t) = phi(t) + 1; x in R^n").expr.shape == parse("x", "x in R^n").expr.shape
    )


def test_sigma_is_the_logistic_function_unless_declared() -> None:
    assert parse("sigma(x)").expr.op.function.name == "sigmoid"
    assert parse("sigma(x)", "sigma: elementwise").expr.op.function.kind == "unknown"
    assert parse("sigma^2*x", "sigma in R").expr is parse("σ²x", "σ in R").expr


@pytest.mark.parametrize(
    ("text", "wrt", "same"),
    [
        ("x'*I_n*x", "x", "x'*eye(n)*x"),
        ("tr(kron(A, I_3))", "A", "tr(kron(A, eye(3)))"),
        ("xᵀ(A + Iₙ)x", "x", "x'*(A + eye(n))*x"),
        (r"x^\top I_{n} x", "x", "x'*eye(n)*x"),
    ],
)
def test_an_identity_of_an_order(text: str, wrt: str, same: str) -> None:
    assert parse(text, wrt=[wrt]).expr is parse(same, wrt=[wrt]).expr


@pytest.mark.parametrize(
    ("text", "where", "wrt"),
    [("x'*I_n*x", "I_n in R^{n x n}", "x"), ("x'*I_n*x", None, "I_n"), ("tr(I_1*R*I_1')", None, "R")],
)
def test_what_is_declared_or_asked_about_is_no_identity(text: str, where: str | None, wrt: str) -> None:
    assert any(name.startswith("I") for name in parse(text, where, wrt=[wrt]).variables)
