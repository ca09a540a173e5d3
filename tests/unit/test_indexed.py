"""Indexed sums: families are read, sums over an index become matrix forms, and what stays a loop says why."""

from __future__ import annotations

import pytest

import matcalc
from matcalc.calculus.gradient import gradient
from matcalc.dims import shape_text
from matcalc.errors import AmbiguityError, DeclarationError, MatcalcError, ParseError, UnknownNameError
from matcalc.expr import Expr
from matcalc.printing.text import text
from matcalc.simplify import simplify
from matcalc.simplify.indexed import loop_reason, matrix_form
from matcalc.syntax import Program, parse

LOGISTIC = (
    r"-\frac{1}{m} \sum_{i=1}^{m} \left( I_{y_i=dog} \log(\sigma(\mathbf{x}_i^{\top} \mathbf{w}))"
    r" + I_{y_i=cat} \log(1 - \sigma(\mathbf{x}_i^{\top} \mathbf{w})) \right)"
)
SOFTMAX = (
    r"-\frac{1}{m} \sum_{i=1}^m \left( \sum_{k=1}^l (\mathbf{c}_k)_i \log \left( \left\{ \sum_{j=1}^l"
    r" \exp(\mathbf{x}_i^\top \mathbf{w}_j) \right\}^{-1} \exp(\mathbf{x}_i^\top \mathbf{w}_k) \right) \right)"
)
SOFTMAX_COLUMNS = (
    r"-\frac{1}{m} \sum_{k=1}^l \mathbf{c}_k^\top \log \left( \operatorname{diag} \left\{ \sum_{j=1}^l"
    r" \exp(\mathbf{X}^\top \mathbf{w}_j) \right\}^{-1} \exp(\mathbf{X}^\top \mathbf{w}_k) \right)"
)


def derived(program: Program, wrt: str) -> Expr:
    """The gradient by way of the matrix form."""
    x = program.variables[wrt]
    return simplify(gradient(matrix_form(program.expr), [x], tidy=simplify)[x])


def declared(program: Program) -> str:
    return "; ".join(f"{name} in {shape_text(v.shape)}" for name, v in program.variables.items())


# -- reading


@pytest.mark.parametrize(
    ("f", "where", "same", "inferred"),
    [
        ("Σ_i y_i*x_i'*w", "", "sum(i=1:m, y[i]*X[:,i]'*w)", "X in R^{n x m} with columns x_i"),
        (r"\sum_i y_i \mathbf{x}_i^\top \mathbf{w}", "", "sum(i=1:m, y[i]*X[:,i]'*w)", ""),
        ("∑ᵢ₌₁ᵐ yᵢ*xᵢ'*w", "", "sum(i=1:m, y[i]*X[:,i]'*w)", ""),
        ("Σᵢ₌₁ᵐ yᵢ*xᵢ'*w", "", "sum(i=1:m, y[i]*X[:,i]'*w)", ""),
        ("sum_i y_i*x_i'*w", "", "sum(i=1:m, y[i]*X[:,i]'*w)", ""),
        ("sum(i=1:m, y_i*x_i'*w)", "", "sum(i=1:m, y[i]*X[:,i]'*w)", ""),
        ("Σ_i x_i^2", "", "sum(i=1:n, x[i]^2)", "x in R^n"),
        ("Σ_{i,j} A_ij x_i y_j", "", "sum(i=1:m, sum(j=1:n, A[i,j]*x[i]*y[j]))", "A in R^{m x n}"),
        (r"\sum_i \sum_j a_{ij} x_i y_j", "A in R^{m x n}", "sum(i=1:m, sum(j=1:n, A[i,j]*x[i]*y[j]))", ""),
        ("Σ_i (y_i - x_i'*w)^2", "X in R^{n x m}", "sum(i=1:m, (y[i] - X[:,i]'*w)^2)", ""),
        ("Σ_i (y_i - X_i'*w)^2", "X in R^{n x m}", "sum(i=1:m, (y[i] - X[:,i]'*w)^2)", ""),
        ("Σ_i (y_i - x_i'*w)^2", "x_i in R^n; y_i in R", "sum(i=1:m, (y[i] - X[:,i]'*w)^2)", "y in R^m"),
        ("Σ_i (y_i - x_i'*w)^2", "x_i in R^n for i=1..m; y_i in R for i = 1:m", "sum(i=1:m, (y[i] - X[:,i]'*w)^2)", ""),
        ("Σ_i (y_i - x_i'*w)^2", "X in R^{n x m} with columns x_i", "sum(i=1:m, (y[i] - X[:,i]'*w)^2)", ""),
        ("Σ_i norm2(A*x_i - b_i)^2", "A in R^{k x n}", "sum(i=1:m, norm2(A*X[:,i] - B[:,i])^2)", ""),
        ("Σ_{i=1}^m ‖x_i‖²", "", "sum(i=1:m, norm2(X[:,i])^2)", ""),
        ("Z = W*X; Σ_i norm2(z_i)^2", "", "sum(i=1:p, norm2((W*X)[:,i])^2)", ""),
        ("q = X'*w; Σ_i y_i*log(q_i)", "", "sum(i=1:n, y[i]*log((X'*w)[i]))", ""),
        (r"\sum_{i=1}^m (\mathbf{x}_i + \mathbf{c})^\top\mathbf{c}", "", "sum(i=1:m, (X[:,i] + c)'*c)", ""),
        (r"\sum_{i=1}^10 x_i", "", "sum(i=1:10, x[i])", "x in R^10"),
        ("Σ_{i=1}^{n-1} (x_{i+1} - x_i)^2", "", "sum(i=1:n - 1, (x[i + 1] - x[i])^2)", "x in R^n"),
        (r"\sum_{i=2}^m \|\mathbf{x}_i - \mathbf{x}_{i-1}\|^2", "", "sum(i=2:m, norm2(X[:,i] - X[:,i - 1])^2)", "X in"),
        ("Σ_i a_i*x_i'*A*x_i", "", "sum(i=1:m, a[i]*X[:,i]'*A*X[:,i])", "a in R^m"),
        (r"\sum_{i=1}^n a_{ij} x_i", "A in R^{n x m}", "sum(i=1:n, A[i,j]*x[i])", "j in R"),
        ("Σ_i a_i'*x_i", "A in R^{n x m}", "sum(i=1:m, A[:,i]'*X[:,i])", "X in"),
    ],
)
def test_families_are_read(f: str, where: str, same: str, inferred: str) -> None:
    program = parse(f, where, scalar=True)
    assert text(program.expr) == same
    assert not inferred or any(inferred in line for line in program.inferred)


def test_what_is_inferred_declares_the_family() -> None:
    program = parse(SOFTMAX, scalar=True)
    again = parse(SOFTMAX, "; ".join(program.inferred), scalar=True)
    assert again.expr is program.expr
    assert again.columns == program.columns == {"C": "c_k", "X": "x_i", "W": "w_j"}


def test_a_declared_name_outside_its_sum_is_a_name() -> None:
    assert list(parse("x_i'*w", "x_i, w in R^n").variables) == ["x_i", "w"]
    assert list(parse("x_i'*w").variables) == ["x_i", "w"]


def test_a_member_outside_the_sum_has_an_index_of_its_own() -> None:
    f = r"\frac{\exp(\mathbf{x}^{\top} \mathbf{w}_j)}{\sum_{i=1}^{l} \exp(\mathbf{x}^{\top} \mathbf{w}_i)}"
    assert text(parse(f, scalar=True).expr) == "exp(x'*W[:,j])/sum(i=1:l, exp(x'*W[:,i]))"


def test_a_matrix_asked_for_is_that_of_the_columns() -> None:
    assert parse("Σ_{i=1}^m exp(x_i)'*c", wrt=["X"], scalar=True).columns == {"X": "x_i"}


@pytest.mark.parametrize(
    ("f", "where", "error", "words"),
    [
        ("Σ_i A_i*x", "", AmbiguityError, "nothing says what `A` is"),
        ("Σ_i x", "", AmbiguityError, "two readings"),
        ("\\sum_i x", "", DeclarationError, "how far the index i runs"),
        ("Σ_i x_i*y_i", "x in R^m; y in R^n", MatcalcError, ""),
        ("\\sum_{i=0}^k a_i t^i", "", DeclarationError, "begins before 1"),
        ("sum(i=0:k, a[i])", "", DeclarationError, "begins before 1"),
        ("Σ_i x_i'*c", "x_i in R^{n x p} for i=1:m", DeclarationError, "are matrices"),
        ("Σ_i x_i'*c", "x_j in R^n for i=1:m", DeclarationError, "does not have the index i"),
        ("Σ_i x_i'*c", "x_i in R^n with i=1:m", DeclarationError, "not an attribute"),
        ("Σ_i (x_{i+1} - x_i)^2", "", DeclarationError, "needs bounds"),
        ("\\sum_i^n x_i", "", ParseError, "a sum needs bounds"),
    ],
)
def test_what_cannot_be_read_is_refused(f: str, where: str, error: type[MatcalcError], words: str) -> None:
    with pytest.raises(error) as caught:
        parse(f, where, scalar=True)
    assert words in caught.value.message


# -- matrix forms


@pytest.mark.parametrize(
    ("f", "where", "form"),
    [
        (LOGISTIC, "", "-1/m*(I_cat'*log(sigmoid(-X'*w)) + I_dog'*log(sigmoid(X'*w)))"),
        (SOFTMAX, "", "-1/m*tr(C*log_softmax(W'*X))"),
        (SOFTMAX_COLUMNS, "X in R^{n x m}", "-1/m*<C, log_softmax(X'*W, axis=1)>"),
        ("sum(i=1:m, log(1 + exp(-y[i]*X[:,i]'*w)))", "", "sum(softplus(-(y .* (X'*w))))"),
        ("Σ_i a_i", "", "sum(a)"),
        ("Σ_i a_i*b_i", "", "a'*b"),
        (r"\sum_{i=1}^m y_i (w^\top x_i + b)", "b in R", "y'*(X'*w + b)"),
        (r"\sum_{i=1}^m y_i(w^\top x_i + b)", "y in R^m; b in R", "y'*(X'*w + b)"),
        (r"\sum_{i=1}^m \max(0, 1 - y_i (w^\top x_i))", "", "sum(relu(1 - y .* (X'*w)))"),
        (r"\sum_{i=1}^m \sum_{j=1}^n a_{ij} x_i y_j", "", "x'*a*y"),
        (r"\sum_{i,j} a_{ij} (x_i x_j)", "", "x'*a*x"),
        (r"\sum_{ij} A_{ij} x_i x_j", "", "x'*A*x"),
        ("Σ_i a_i*x_i'*c", "", "c'*X*a"),
        ("Σ_{i=1}^m x_i*y_i'", "X, Y in R^{n x m}", "X*Y'"),
        ("Σ_{i=1}^m a_i*x_i*y_i'", "X, Y in R^{n x m}; a in R^m", "X*diag(a)*Y'"),
        ("Σ_{i=1}^m x_i*x_i'", "X in R^{n x m}", "X*X'"),
        ("Σ_i a_i*x_i'*A*x_i", "", "sum((X .* (A*X))*a)"),
        ("Σ_i x_i'*A*x_i", "A in R^{n x n} symmetric", "tr(A*X*X')"),
        ("Σ_i norm2(A*x_i - b_i)^2", "", "norm2(A*X - B)^2"),
        ("Σ_i norm2(x_i)", "", "sum(sqrt(sum(X.^2, 0)))"),
        ("Σ_i norm1(x_i)", "", "norm1(X)"),
        ("Σ_i logsumexp(x_i)", "", "sum(logsumexp(X))"),
        ("Σ_i y_i'*softmax(W*x_i)", "", "<Y, softmax(W*X)>"),
        ("Σ_{i=1}^m B[i,:]*A*B[i,:]'", "B in R^{m x n}; A in R^{n x n}", "<B', A*B'>"),
        ("Σ_i Σ_j A_ij x_i y_j", "", "x'*A*y"),
        ("Σ_i D[i,i]*a_i", "D in R^{m x m}", "a'*diag(D)"),
        ("A .* (Σ_i x_i*x_i')", "A in R^{n x n}", "A .* (X*X')"),
        ("Σ_i A*diag(x_i)*A'", "A in R^{n x n}; X in R^{n x m}", "A*diag(sum(X, 1))*A'"),
        ("sum(i=2:n, x[i]^2)", "x in R^n", "norm2(x[2:n])^2"),
        ("sum(i=1:3, x[i])", "x in R^n", "sum(x[1:3])"),
        ("Σ_{i=1}^{n-1} (x_{i+1} - x_i)^2", "", "norm2(x[1:n - 1] - x[2:n])^2"),
        ("Σ_{i=2}^{n} norm2(X_i - X_{i-1})^2", "X in R^{m x n}", "norm2(X[:,1:n - 1] - X[:,2:n])^2"),
        ("sum(i=1:n-1, A[i,i+1]*x[i])", "A in R^{n x n}; x in R^n", "x[1:n - 1]'*diag(A[1:n - 1,2:n])"),
        ("sum(i=0:n-1, a[i+1]^2)", "", "a'*a"),
        ("Σ_{i=1}^m kron(x_i, y_i)'*z", "X in R^{n x m}; Y in R^{p x m}", "sum(khatri_rao(X, Y)'*z)"),
    ],
)
def test_a_sum_over_an_index_is_a_product_of_matrices(f: str, where: str, form: str) -> None:
    found = simplify(parse(f, where, scalar=True).expr)
    assert loop_reason(found) is None
    assert text(found) == form or found is simplify(parse(form, "; ".join(parse(f, where, scalar=True).inferred)).expr)


@pytest.mark.parametrize(
    ("f", "wrt", "where", "result"),
    [
        (LOGISTIC, "w", "", "1/m*X*(sigmoid(X'*w) .* I_cat - (1 - sigmoid(X'*w)) .* I_dog)"),
        (LOGISTIC.replace("I_{y_i=cat}", "(1 - I_{y_i=dog})"), "w", "", "1/m*X*(sigmoid(X'*w) - I_dog)"),
        (SOFTMAX, "W", "", "1/m*X*(diag(sum(C, 1))*softmax(W'*X)' - C)"),
        (SOFTMAX_COLUMNS, "W", "X in R^{n x m}", "1/m*X*(diag(sum(C, 1))*softmax(X'*W, axis=1) - C)"),
        (
            r"\sum_{k=1}^{l} a_k \log \left( \frac{\exp(t_k)}{\sum_{j} \exp(t_j)} \right)",
            "t",
            "",
            "a - sum(a)*softmax(t)",
        ),
        ("Σ_{i,k} r_ik norm2(x_i - c_k)^2", "C", "R in R^{m x l}", "2*(C*diag(sum(R, 0)') - X*R)"),
        ("Σ_i (y_i - x_i'*w)^2 + Σ_j w_j^2", "w", "", "2*(X*(X'*w - y) + w)"),
    ],
)
def test_the_gradient_is_that_of_the_matrix_form(f: str, wrt: str, where: str, result: str) -> None:
    program = parse(f, where, wrt=[wrt], scalar=True)
    assert derived(program, wrt) is simplify(parse(result, declared(program)).expr)


# -- loops


@pytest.mark.parametrize(
    ("f", "words"),
    [
        ("sum(i=1:n, i*x[i])", "the number i itself"),
        ("sum(i=3:n, x[i]^2)", "may be no i"),
        ("sum(i=1:m, x[i]) + norm2(x - ones(n))^2", "runs to m, and there are n"),
        ("sum(i=1:n, x[n+1-i]*y[i])", "the index is"),
        ("sum(i=1:m, det(A + X[:,i]*X[:,i]'))", "depends on i"),
        ("sum(i=1:m, sum(j=1:m, c'*tanh(X[:,i] - X[:,j])))", "within a product"),
    ],
)
def test_what_stays_a_loop_says_why(f: str, words: str) -> None:
    reason = loop_reason(simplify(parse(f, scalar=True).expr))
    assert reason is not None
    assert words in reason


def test_a_matrix_form_leaves_the_rest_as_it_was_written() -> None:
    e = parse("tanh(x)'*x*sum(i=1:n, x[i]) + x'*x + sum(i=1:n, i*x[i])").expr
    assert text(matrix_form(e)) == "tanh(x)'*x*sum(x) + x'*x + sum(i=1:n, i*x[i])"
    assert matrix_form(parse("x'*x*1").expr) is parse("x'*x*1").expr


# -- results


def test_the_steps_begin_with_the_matrix_form() -> None:
    g = matcalc.gradient("Σ_i a_i*log(x_i)", "x")
    assert str(g) == "a ./ x"
    assert str(g.steps).startswith("Matrix form\n  y = sum(i=1:n, a[i]*log(x[i]))\n    = a'*log(x)")


def test_a_loop_is_noted() -> None:
    g = matcalc.gradient("Σ_i i*x_i^2", "x")
    assert any("stays a loop" in note for note in g.notes)
    assert g.check().passed


def test_the_norms_of_columns_have_the_subgradient_of_a_norm() -> None:
    import numpy

    g = matcalc.gradient("Σ_i norm2(x_i - c)", "c")
    assert "norm2 has the subgradient 0 at 0, as PyTorch" in g.notes
    found = g.compile()(X=numpy.array([[1.0, 4.0], [3.0, 3.0]]), c=numpy.array([1.0, 3.0]))
    assert found.tolist() == [-1.0, 0.0]


@pytest.mark.parametrize(("wrt", "words"), [("w_p", "column p of W"), ("y_i", "entry i of y")])
def test_a_member_is_no_variable(wrt: str, words: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        matcalc.gradient(r"\sum_{i=1}^m \sum_{j=1}^l y_i \exp(\mathbf{x}_i^\top \mathbf{w}_j)", wrt)
    assert words in caught.value.message
