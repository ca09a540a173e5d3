"""Gauss-Newton matrices: the losses that match their output, convexity, and the split of the Hessian."""

from __future__ import annotations

import numpy as np
import pytest

import matcalc
from matcalc.expr import substitute
from matcalc.printing.text import text
from matcalc.results import GaussNewton
from matcalc.simplify import simplify


def gauss_newton(source: str, wrt: str = "W", at: str = "u", where: str | None = None) -> GaussNewton:
    return matcalc.parse(source, where).gauss_newton(wrt, at=at)


# Loss, what is declared, the gradient by u, the output that the loss matches.
MATCHING = [
    ("-y'*log_softmax(u)", "sum(y) = 1", "softmax(u) - y", "softmax(u)"),
    ("-y'*log(softmax(u))", "1'*y = 1", "softmax(u) - y", "softmax(u)"),
    ("y'*log(softmax(u))", "y in R^m onehot", "y - softmax(u)", "softmax(u)"),  # Y - N, the sign of the notes
    ("logsumexp(u) - y'*u", "", "softmax(u) - y", "softmax(u)"),
    ("-y'*log_softmax(u)", "", "sum(y)*softmax(u) - y", "softmax(u)"),
    ("-y'*log(sigmoid(u)) - (1 - y)'*log(1 - sigmoid(u))", "", "sigmoid(u) - y", "sigmoid(u)"),
    ("sum(softplus(u)) - y'*u", "", "sigmoid(u) - y", "sigmoid(u)"),
    ("1/2*norm2(u - y)^2", "", "u - y", "u"),
    ("(u - y)'*S*(u - y)", "S in R^{m x m} symmetric", "2*S*(u - y)", "u"),
    ("sum(exp(u)) - y'*u", "", "exp(u) - y", "exp(u)"),
]
BATCH = [
    ("-sum(Y .* log_softmax(U))", "sum(Y, 0) = ones(m)'", "softmax(U) - Y", "softmax(U)"),
    ("-1/m*sum(Y .* log(softmax(U)))", "Y in R^{k x m} stochastic", "1/m*(softmax(U) - Y)", "softmax(U)"),
    ("-tr(Y'*log_softmax(U))", "1^T Y = 1^T", "softmax(U) - Y", "softmax(U)"),
    ("-sum(Y .* log_softmax(U, axis=1))", "sum(Y, 1) = 1", "softmax(U, axis=1) - Y", "softmax(U, axis=1)"),
    ("-sum(Y .* log(sigmoid(U)) + (1 - Y) .* log(sigmoid(-U)))", "", "sigmoid(U) - Y", "sigmoid(U)"),
    ("1/2*norm2(U - Y)^2", "", "U - Y", "U"),
]


@pytest.mark.parametrize("loss, where, slope, output", MATCHING + BATCH, ids=str)
def test_a_matching_loss_is_recognised_by_its_gradient(loss: str, where: str, slope: str, output: str) -> None:
    at = "U" if "U" in loss else "u"
    net = "U = W*X" if at == "U" else "u = W*x + b"
    g = gauss_newton(f"{net}; {loss}", at=at, where=where)
    assert text(g.slope) == slope
    assert g.output is not None and text(g.output) == output
    assert any(f"the gradient of the loss by {at} is {slope}, affine in {output}" in note for note in g.notes)
    assert simplify(substitute(g.slope, {g.u: g.net})) is g.gradient
    assert g.check().passed


@pytest.mark.parametrize(
    "loss",
    [
        "sum(softplus(-y .* u))",
        "norm2(u - y)",
        "sum(tanh(u).^2)",
        "sum(sqrt(1 + u.^2))",
        "1/2*norm2(softmax(u) - y)^2",
        "c'*u",
        "max(u)",
    ],
)
def test_other_losses_do_not_match(loss: str) -> None:
    g = gauss_newton(f"u = W*x; {loss}", where="y in R^m")
    assert g.output is None
    assert not any("matches" in note for note in g.notes)


def test_a_note_says_what_a_declaration_would_change() -> None:
    vector = gauss_newton("u = W*x + b; -y'*log_softmax(u)")
    assert "with sum(y) = 1 it is softmax(u) - y, and the loss is convex in u" in vector.notes
    matrix = gauss_newton("U = W*X; -sum(Y .* log_softmax(U))", at="U")
    assert "with sum(Y, 0) = 1 it is softmax(U) - Y, and the loss is convex in U" in matrix.notes
    assert not any("with sum" in note for note in gauss_newton("u = W*x; -y'*log_softmax(u)", where="sum(y) = 1").notes)


CONVEX = [
    ("-y'*log_softmax(u)", "sum(y) = 1"),
    ("-y'*log_softmax(A*u)", "y in R^p onehot; A in R^{p x m}"),
    ("-y'*log_softmax(u)", "y in R^m nonnegative"),
    ("logsumexp(A*u + c)", "A in R^{p x m}"),
    ("log(sum(exp(u)))", ""),
    ("-y'*log(sigmoid(u)) - (1 - y)'*log(1 - sigmoid(u))", ""),
    ("1/m*sum(softplus(-y .* u))", "y in R^m"),
    ("w'*softplus(-y .* u)", "y in R^m; w in R^m nonnegative"),
    ("sum(sqrt(1 + (u - y).^2))", ""),
    ("sqrt(1 + norm2(u)^2)", ""),
    ("norm2(u - y)", ""),
    ("sqrt(u'*S*u)", "S in R^{m x m} psd"),
    ("(u - y)'*S*(u - y)", "S in R^{m x m} psd"),
    ("norm2(A*u - y)^2", "A in R^{p x m}"),
    ("sum(exp(u)) - y'*u", ""),
    ("sum(log(cosh(u - y)))", ""),
    ("sum(relu(1 - y .* u).^2)", ""),
    ("sum(phi(u))", "phi(t) = t^4 + log(1 + exp(t))"),
    ("norm2(u - mean(u))^2", ""),
    ("-sum(log(u))", ""),
    ("sum((u - y).^4)", ""),
]


@pytest.mark.parametrize("loss, where", CONVEX, ids=str)
def test_convex_losses_are_known_to_be(loss: str, where: str) -> None:
    g = gauss_newton(f"u = tanh(W*x); {loss}" if "log(u)" not in loss else f"u = exp(W*x); {loss}", where=where)
    assert g.convex and g.semidefinite
    assert "the loss is convex in u, and so G is positive semidefinite" in g.notes
    report = g.check()
    assert report.passed and "positive semidefinite" in str(report)


@pytest.mark.parametrize(
    "loss, where",
    [
        ("-sum(Y .* log_softmax(U))", "sum(Y, 0) = 1"),
        ("-sum(Y .* log_softmax(U, axis=1))", "sum(Y, 1) = 1"),
        ("-sum(Y .* log_softmax(U))", "Y in R^{k x m} nonnegative"),
        ("-sum(log_softmax(U)*diag(w) .* Y)", "Y in R^{k x m} onehot; w in R^m nonnegative"),
        ("sum(logsumexp(U)) - <U, Y>", ""),
        ("norm2(U - Y)", ""),
        ("1/2*tr((U - Y)'*S*(U - Y))", "S in R^{k x k} psd"),
    ],
)
def test_convex_losses_of_a_batch_are_known_to_be(loss: str, where: str) -> None:
    g = gauss_newton(f"U = W*tanh(X); {loss}", at="U", where=where)
    assert g.semidefinite
    assert g.check().passed


def test_a_hessian_that_is_not_everywhere_does_not_make_a_loss_convex() -> None:
    for loss in ("-sum(abs(u))", "max(u)", "sum(relu(1 - y .* u))", "-sum(log(u.^2))", "sum(u.^-2)"):
        notes = gauss_newton(f"u = W*x; {loss}").notes
        assert "H_loss is positive semidefinite where it exists, and so G is positive semidefinite" in notes
        assert not any("convex" in note for note in notes)


def test_a_regularisation_belongs_to_the_gauss_newton_matrix() -> None:
    loss = "u = W*x; sum(softplus(u)) + lambda*norm2(W)^2"
    open_ = gauss_newton(loss)
    assert open_.convex and not open_.semidefinite
    assert (
        "where the second derivative of the loss by the variables themselves, 2*lambda*eye(m*n), is" in open_.notes[-1]
    )
    assert gauss_newton(loss, where="lambda in R positive").semidefinite
    mixed = gauss_newton("u = W*x; 1/2*norm2(u)^2 + sum(W)*sum(u)")
    assert mixed.mixed and not mixed.semidefinite
    for g in (open_, mixed):
        assert g.check().passed


def test_what_is_not_known_is_looked_at_by_number() -> None:
    looks = gauss_newton("u = W*x; sum(exp(u) + u.*sign(u).*exp(u).*(tanh(u) + 1)*0.001)")
    assert not looks.convex
    seen = gauss_newton("u = W*x; sum(u.^4 - u.^3 + 2*u.^2)")
    assert not seen.convex
    assert "had no negative eigenvalue at 20 random points" in str(seen.check())
    wrong = gauss_newton("u = W*x; sum(sin(u))")
    report = wrong.check()
    assert report.passed and "the loss is not convex in u" in str(report)


NETS = {
    "W": ["u = W*x + b", "u = A*tanh(W*x + b)", "u = x + W'*relu(W*x + b)", "u = softmax(W*x)", "u = diag(b)*W*x"],
    "W, b": ["u = tanh(W*x + b)", "u = A*sigmoid(W*x + b)", "u = W*(x .* b)"],
    "x, W": ["u = A*tanh(W*x)", "u = x + W*tanh(x)"],
}
LOSSES = [
    "1/2*norm2(u - y)^2",
    "-y'*log_softmax(u) + lambda*norm2(W)^2",
    "sum(softplus(-y .* u))",
    "sum(psi(u - y))",
    "norm2(u - y) + lambda*sum(W)*sum(u)",
]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("wrt, net", [(wrt, net) for wrt, nets in NETS.items() for net in nets])
def test_the_hessian_is_split_and_the_products_agree(loss: str, wrt: str, net: str) -> None:
    where = "W, A in R^{n x n}; x, b, y in R^n; lambda in R; psi(t) = t^3 + exp(t)"
    formula = matcalc.parse(f"{net}; {loss}", where)
    g, product, hessian = formula.gauss_newton(wrt), formula.gnvp(wrt), formula.hessian(wrt)
    rng = np.random.default_rng(0)
    shapes = {"W": (3, 3), "A": (3, 3), "x": 3, "b": 3, "y": 3, "lambda": ()}
    values = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    names = wrt.split(", ")
    vs = [rng.normal(size=shapes[name]) for name in names]
    direction = np.concatenate([np.ravel(v, order="F") for v in vs])

    def called(f, **more):
        return f(**{name: value for name, value in {**values, **more}.items() if name in f.arguments})

    whole = called(g.compile())
    blocks = {k: np.asarray(v) for k, v in zip(g.entries, called(g.compile(blocks=True)), strict=True)}
    moves = dict(zip([m.op.name for m in product.directions], vs, strict=True))
    found = called(product.compile(), **moves)
    stacked = np.concatenate([np.ravel(v, order="F") for v in (found if len(names) > 1 else [found])])
    np.testing.assert_allclose(whole @ direction, stacked, rtol=1e-9, atol=1e-9)
    split = {k.replace("R_", "G_"): v for k, v in blocks.items() if k.startswith("R_")}
    full = called(hessian.compile(blocks=True))
    for (label, rest), block in zip(split.items(), full if len(split) > 1 else [full], strict=True):
        np.testing.assert_allclose(blocks[label] + rest, block, rtol=1e-9, atol=1e-9)


def test_a_variable_moves_in_any_direction_though_its_entries_sum_to_one() -> None:
    f = matcalc.parse("sum(y)^2 + y'*A*y + sum(y)*c'*x", "sum(y) = 1")
    assert str(f.gradient("x")) == "c"
    assert "sum(y)" in str(f.gradient("y"))
    for derivative in (f.gradient("x, y"), f.hessian("y"), f.hessian("x, y"), f.hvp("y"), f.jvp("y")):
        assert derivative.check().passed
    g = matcalc.parse("u = W*y; sum(y)*sum(u.^2)", "sum(y) = 1").gauss_newton("y", at="u")
    assert g.check().passed
