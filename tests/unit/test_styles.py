"""The choices of spelling, the layouts, and results in the names that the user has given."""

import json

import numpy as np
import pytest

import matcalc
from matcalc.__main__ import main
from matcalc.errors import ArgumentError


def shown(kind, text, wrt, where="", **choices):
    return getattr(matcalc, kind)(text, wrt, where=where).text(**{"parts": False, **choices})


@pytest.mark.parametrize(
    ("kind", "text", "wrt", "choices", "printed"),
    [
        ("gradient", "norm2(diag(s)*W)^2", "W", {"products": "hadamard"}, "2*((s.^2*ones(n)') .* W)"),
        ("gradient", "norm2(W*diag(s))^2", "W", {"products": "hadamard"}, "2*((ones(m)*(s.^2)') .* W)"),
        ("gradient", "norm2(diag(u)*W*diag(v))^2", "W", {"products": "hadamard"}, "2*((u.^2*(v.^2)') .* W)"),
        ("jacobian", "tanh(W*x)", "x", {"products": "hadamard"}, "((1 - tanh(W*x).^2)*ones(n)') .* W"),
        ("gradient", "c'*tanh(W*x)", "x", {"products": "diag"}, "W'*diag(1 - tanh(W*x).^2)*c"),
        ("gradient", "c'*tanh(W*x)", "x", {"slopes": "prime"}, "W'*(tanh'(W*x) .* c)"),
        ("gradient", "c'*tanh(W*x)", "x", {"slopes": "prime", "products": "diag"}, "W'*diag(tanh'(W*x))*c"),
        ("hessian", "c'*tanh(W*x)", "x", {"slopes": "prime"}, "W'*diag(tanh''(W*x) .* c)*W"),
        ("hessian", "sum(softplus(X*w))", "w", {"slopes": "prime"}, "X'*diag(sigmoid'(X*w))*X"),
        ("gradient", "sum(relu(x))", "x", {"slopes": "prime"}, "relu'(x)"),
        ("gradient", "norm2((A*x) ./ b)^2", "x", {"quotients": "diag"}, "2*A'*diag(b.^2)^-1*A*x"),
        ("jacobian", "(A*x) ./ b", "x", {"quotients": "diag"}, "diag(b)^-1*A"),
        ("jacobian", "(A*x) ./ b", "x", {"quotients": "over"}, "A ./ (b*ones(n)')"),
        ("gradient", "norm2((A*x) ./ b)^2", "x", {"quotients": "over"}, "2*A'*((A*x) ./ b.^2)"),
        ("gradient", "logdet(X)*x'*A*y", "X", {"scalars": "inner"}, "<x, A*y>*X^-T"),
        ("gradient", "logdet(X)*x'*A*y", "X", {"scalars": "sum"}, "sum(x .* (A*y))*X^-T"),
        ("gradient", "logdet(X)*tr(A'*B*C)", "X", {"scalars": "inner"}, "<A, B*C>*X^-T"),
        ("gradient", "logdet(X)*tr(A'*B*C)", "X", {"scalars": "sum"}, "sum(A .* (B*C))*X^-T"),
        ("gradient", "logdet(X)*sum(A .* B)", "X", {"scalars": "tr"}, "tr(A'*B)*X^-T"),
        # Where a choice does not apply nothing changes.
        ("gradient", "norm2(A*x - b)^2", "x", {"products": "diag", "scalars": "sum"}, "2*A'*(A*x - b)"),
        ("gradient", "sum(exp(x))", "x", {"slopes": "prime", "quotients": "diag"}, "exp(x)"),
    ],
)  # fmt: skip
def test_a_choice_of_spelling(kind, text, wrt, choices, printed):
    assert shown(kind, text, wrt, **choices) == printed


def test_slopes_in_the_other_spellings():
    h = matcalc.hessian("sum(softplus(X*w))", "w")
    assert h.text(slopes="prime", unicode=True) == "Xᵀ diag(σ′(Xw))X"
    assert h.latex(slopes="prime") == r"X^\top \operatorname{diag}\left(\sigma'(X w)\right) X"


@pytest.mark.parametrize(
    ("kind", "text", "wrt", "result", "where"),
    [
        ("gradient", "r = sigmoid(X*w) - y; r'*r/2", "w", "X'*(s .* (1 - s) .* r)",
         ["s = sigmoid(X*w)", "r = s - y"]),
        ("gradient", "r = X*w - y; r'*r/2", "w", "X'*r", ["r = X*w - y"]),
        ("gradient", "r = y - X*w; r'*r/2", "w", "-X'*r", ["r = y - X*w"]),  # negated
        ("gradient", "r = y - X*w; r'*r/2", "X", "-r*w'", ["r = y - X*w"]),
        ("gradient", "R = (A*X - B)'; tr(R*R')", "X", "2*A'*R'", ["R = (A*X - B)'"]),  # transposed
        ("gradient", "r = X*w - y; norm2(b - 3*r)^2", "w", "6*X'*(3*r - b)", ["r = X*w - y"]),  # a part of a sum
        ("hessian", "r = y - X*w; sum(r.^4)", "w", "12*X'*diag(r.^2)*X", ["r = y - X*w"]),
        ("hessian", "s = sigmoid(X*w); -y'*log(s) - (1 - y)'*log(1 - s)", "w", "X'*diag(s .* (1 - s))*X",
         ["s = sigmoid(X*w)"]),
        ("jacobian", "z = W*x + b; h = tanh(z); V*h", "x", "V*diag(1 - h.^2)*W", ["z = W*x + b", "h = tanh(z)"]),
        ("hvp", "v = X*w - y; sum(exp(v))", "w", "X'*(exp(v) .* (X*u))", ["v = X*w - y"]),
        ("jvp", "r = y - X*w; r*r'", "w", "-X*v*r' - r*v'*X'", ["r = y - X*w"]),
        ("vjp", "r = y - X*w; r*r'", "w", "-X'*(U + U')*r", ["r = y - X*w"]),
        ("differential", "S = X'*X + C; S^-1", "X", "-S^-1*(X'*dX + dX'*X)*S^-1", ["S = X'*X + C"]),
        # no name of the user: s in the slope of a sigmoid
        ("hessian", "sum(softplus(X*w))", "w", "X'*diag(s .* (1 - s))*X", ["s = sigmoid(X*w)"]),
        ("hessian", "sum(softplus(X*s))", "s", "X'*diag(p .* (1 - p))*X", ["p = sigmoid(X*s)"]),
    ],
)  # fmt: skip
def test_the_users_names_are_in_the_answer(kind, text, wrt, result, where):
    found = getattr(matcalc, kind)(text, wrt)
    lines = found.text().splitlines()
    assert [lines[0], *[line.strip() for line in lines[2:]]] == [result, *where]
    assert "where" not in found.text(parts=False)


def test_gauss_newton_in_the_users_names():
    g = matcalc.gauss_newton(loss="u = W*tanh(V*x); r = y - u; sum(exp(r))", at="u", wrt="W")
    assert g.text().splitlines()[0] == "G_W = kron(tanh(V*x)*tanh(V*x)', diag(exp(r)))"


@pytest.mark.parametrize(
    ("kind", "text", "wrt", "first"),
    [
        ("gradient", "d_x = A*x - b; c = d_x'*d_x; c^2", "x, A", "dd_x = 4*c*A'*d_x"),
        ("jacobian", "J_x = A*x - b; J_x .* J_x", "x, A", "JJ_x = 2*diag(J_x)*A"),
        ("gradient", "z0 = A*x - b; norm2(z0)^2", "x", "2*A'*z0"),
    ],
)
def test_names_do_not_clash_with_labels(kind, text, wrt, first):
    assert getattr(matcalc, kind)(text, wrt).text().splitlines()[0] == first


def test_only_the_users_names():
    text = "h = tanh(W*x + b); norm2(V*sigmoid(W*h + b) - y)^2 + norm2(V*sin(W*h + b))^2"
    g = matcalc.gradient(text, "b", where="V in R^{n x n}")
    own = g.text(parts="own")
    assert "z0 = " in g.text() and "z0 = " not in own and "h = tanh(W*x + b)" in own
    with pytest.raises(ArgumentError, match="no choice of names"):
        g.text(parts="some")


def test_choices_that_do_not_exist():
    g = matcalc.gradient("x'*x", "x")
    with pytest.raises(ArgumentError, match="'bars' is no spelling of products"):
        g.text(products="bars")
    with pytest.raises(ArgumentError, match="colour is no choice of spelling"):
        g.latex(colour="red")
    with pytest.raises(ArgumentError, match="'wide' is no layout"):
        matcalc.gradient("x'*x", "x", layout="wide")


# -- layouts


def test_a_gradient_in_numerator_layout_is_a_row():
    g = matcalc.gradient("norm2(A*x - b)^2", "x, A", layout="numerator")
    assert g.text(parts=False).splitlines() == ["D_x = 2*(A*x - b)'*A", "D_A = 2*x*(A*x - b)'"]
    assert [str(d) for d in g["A"].shape] == ["n", "m"]
    assert g.check().passed
    assert any("numerator layout" in note for note in g.notes)
    arrays = {"A": np.ones((3, 2)), "x": np.ones(2), "b": np.arange(3.0)}
    row, turned = g.compile()(**arrays)
    usual = matcalc.gradient("norm2(A*x - b)^2", "x, A").compile()(**arrays)
    assert row.shape == (1, 2)
    assert np.allclose(row[0], usual[0]) and np.allclose(turned, usual[1].T)


def test_a_jacobian_in_denominator_layout_is_transposed():
    arrays = {"W": np.linspace(-1, 1, 6).reshape(3, 2), "x": np.ones(2), "b": np.arange(3.0)}
    f = matcalc.parse("tanh(W*x + b)")
    usual, turned = (f.jacobian("W, x", layout=layout) for layout in (None, "denominator"))
    assert turned["x"] is matcalc.parse("W'*diag(1 - tanh(W*x + b).^2)").expr
    assert np.allclose(turned.compile()(**arrays), usual.compile()(**arrays).T)
    assert [a.shape for a in turned.compile(blocks=True)(**arrays)] == [(6, 3), (2, 3)]
    assert turned.check().passed
    operator = turned.operator()(**arrays)
    assert np.allclose(operator @ np.ones(3), usual.compile()(**arrays).T @ np.ones(3))


def test_claims_follow_the_layout():
    f = matcalc.parse("x'*A*x")
    assert f.check_claim("x", "x'*(A + A')", layout="numerator").passed
    assert "transposing" in str(f.check_claim("x", "(A + A')*x", layout="numerator"))
    f = matcalc.parse("A*X*B")
    assert f.check_claim("X", "kron(B, A')", of="jacobian", layout="denominator").passed
    assert not f.check_claim("X", "kron(B', A)", of="jacobian", layout="denominator").passed
    with pytest.raises(ArgumentError, match="takes no layout"):
        f.check_claim("X", "0", of="hessian", layout="denominator")


def test_the_command_line(capsys):
    assert main(["grad", "norm2(A*x - b)^2", "--wrt", "x", "--layout", "numerator", "--check"]) == 0
    assert capsys.readouterr().out.startswith("2*(A*x - b)'*A\n")
    args = ["hessian", "sum(softplus(X*w))", "--wrt", "w", "--slopes", "prime", "--products", "hadamard"]
    assert main([*args, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["hessians"]["w"]["text"] == "X'*((sigmoid'(X*w)*ones(n)') .* X)"
    assert main(["grad", "r = X*w - y; r'*r", "--wrt", "w", "--names", "none"]) == 0
    assert capsys.readouterr().out.startswith("2*X'*(X*w - y)\n")
    assert main(["check", "x'*A*x", "--wrt", "x", "--claim", "x'*(A + A')", "--layout", "numerator"]) == 0
