"""The Hessian and Gauss-Newton tests: right formulas pass, every kind of wrong one fails."""

from __future__ import annotations

import json

import pytest

import matcalc
from matcalc.checks.definite import is_psd_on_numbers
from matcalc.checks.gauss_newton import check_gauss_newton, check_gauss_newton_product
from matcalc.checks.hessians import check_hessian, check_hessian_product
from matcalc.checks.report import FAILED, INCONCLUSIVE
from matcalc.errors import NotScalarError
from matcalc.expr import Expr
from matcalc.primitives.leaves import var
from matcalc.syntax import parse

VECTORS = "x in R^n; A in R^{n x n}; c in R^n; X in R^{m x n}; w in R^n; y in R^m; B in R^{m x n}"
LOGISTIC = "sum(log(1 + exp(-y .* (X*w))))"
MATRICES = "X in R^{n x n}; S in R^{n x n} symmetric; D in R^{n x n} diagonal; A in R^{n x n}"


def read(text: str, where: str) -> Expr:
    return parse(text, where=where).expr


def hessian_report(f: str, where: str, blocks: dict[str, str], **options):
    """``blocks`` are ``{"x, z": H_xz}``."""
    program = parse(f, where=where)
    pairs = {}
    for names, claimed in blocks.items():
        x, z = (program.variables[name] for name in names.split(", "))
        pairs[x, z] = read(claimed, where)
    return check_hessian(program.expr, pairs, **options)


RIGHT = [
    ("x'*A*x", VECTORS, {"x, x": "A + A'"}),
    ("c'*x", VECTORS, {"x, x": "zeros(n, n)"}),
    (LOGISTIC, VECTORS, {"w, w": "X'*diag(y.^2 .* sigmoid(y .* (X*w)) .* sigmoid(-y .* (X*w)))*X"}),
    ("x'*A*c", VECTORS, {"x, c": "A", "x, x": "zeros(n, n)", "c, c": "zeros(n, n)"}),
    ("x'*A*c", VECTORS, {"x, c": "A"}),
    ("x'*A*c", VECTORS, {"x, c": "A", "c, x": "A'"}),
    ("x'*A*c", VECTORS, {"x, A": "kron(c', eye(n))", "c, A": "kron(eye(n), x')", "x, c": "A"}),
    ("logdet(X)", MATRICES, {"X, X": "-kron(X^-1, X^-T)*commutation(n, n)"}),
    ("logdet(S)", MATRICES, {"S, S": "-kron(S^-1, S^-1)"}),
    ("logdet(S)", MATRICES, {"S, S": "-kron(S^-1, S^-1)*commutation(n, n)"}),  # the same on symmetric directions
    ("tr(D*A*D*A)", MATRICES, {"D, D": "commutation(n, n)*kron(A', A) + kron(A, A')*commutation(n, n)"}),
    ("tr(X'*X)", MATRICES, {"X, X": "2*eye(n*n)"}),
]
WRONG = {
    "asymmetric": ("x'*A*x", VECTORS, {"x, x": "2*A"}),
    "halved": ("x'*A*x", VECTORS, {"x, x": "(A + A')/2"}),
    "a little off": ("x'*A*x", VECTORS, {"x, x": "1.000000000001*(A + A')"}),
    "zero": ("x'*A*x", VECTORS, {"x, x": "zeros(n, n)"}),
    "skew part added": ("x'*x", VECTORS, {"x, x": "2*eye(n) + A - A'"}),
    "without K": ("logdet(X)", MATRICES, {"X, X": "-kron(X^-1, X^-T)"}),
    "swapped factors": ("logdet(X)", MATRICES, {"X, X": "-kron(X^-T, X^-1)*commutation(n, n)"}),
    "block transposed": ("x'*A*c", VECTORS, {"x, c": "A'"}),
    "blocks that do not fit": ("x'*A*c", VECTORS, {"x, c": "A", "c, x": "A"}),
    "wrong on symmetric directions": ("logdet(S)", MATRICES, {"S, S": "-2*kron(S^-1, S^-1)"}),
    "of another shape": ("x'*A*x", VECTORS, {"x, x": "x"}),
    "of a linear function": ("c'*x", VECTORS, {"x, x": "A + A'"}),
    "the gradient's factor": (LOGISTIC, VECTORS, {"w, w": "X'*diag(sigmoid(y .* (X*w)))*X"}),
}


@pytest.mark.parametrize(("f", "where", "blocks"), RIGHT)
def test_a_right_hessian_passes(f, where, blocks) -> None:
    report = hessian_report(f, where, blocks)
    assert report.passed, str(report)


@pytest.mark.parametrize(("f", "where", "blocks"), WRONG.values(), ids=WRONG)
def test_a_wrong_hessian_fails(f, where, blocks) -> None:
    for seed in range(3):
        assert hessian_report(f, where, blocks, seed=seed).verdict == FAILED


def test_the_wrong_block_is_named() -> None:
    report = hessian_report("x'*A*c", VECTORS, {"x, A": "kron(c', eye(n))", "c, A": "-kron(eye(n), x')", "x, c": "A"})
    assert "block (c, A) is wrong" in str(report)


def test_an_asymmetric_hessian_is_called_so() -> None:
    assert "the Hessian is not symmetric" in str(hessian_report("x'*A*x", VECTORS, {"x, x": "2*A"}))


def test_remainders_are_of_third_order_and_the_report_is_json() -> None:
    report = hessian_report(*RIGHT[2])
    for row in report.tests[0].rows[1:]:
        assert row.difference_order == pytest.approx(2, abs=0.02)
        assert row.remainder_order == pytest.approx(3, abs=0.02)
    assert json.loads(json.dumps(report.as_dict()))["passed"] is True
    assert "f is quadratic along d" in str(hessian_report(*RIGHT[0]))
    assert "f is linear along d" in str(hessian_report(*RIGHT[1]))


def test_a_function_with_several_outputs_is_contracted_with_weights() -> None:
    f = parse("B*x.^2", where=VECTORS)
    x, v = f.variables["x"], var("v", f.expr.shape)
    right = read("2*diag(B'*v)", f"{VECTORS}; v in R^m")
    assert check_hessian(f.expr, {(x, x): right}, weights=v).passed
    assert check_hessian(f.expr, {(x, x): right + right}, weights=v).verdict == FAILED
    with pytest.raises(NotScalarError):
        check_hessian(f.expr, {(x, x): right})


def test_what_cannot_be_tested_is_inconclusive() -> None:
    assert hessian_report("log(-x'*x)", VECTORS, {"x, x": "A"}).verdict == INCONCLUSIVE
    assert check_hessian(read("x'*x", VECTORS), {}).verdict == INCONCLUSIVE


def test_products_with_the_hessian() -> None:
    where = f"{VECTORS}; v, p in R^n"
    f = parse("c'*tanh(A*x) + c'*c", where=VECTORS)
    x, c, v, p = f.variables["x"], f.variables["c"], var("v", f.variables["x"].shape), var("p", f.variables["x"].shape)
    slope = "(1 - tanh(A*x).^2)"
    products = {
        x: read(f"A'*(-2*c .* tanh(A*x) .* {slope} .* (A*v)) + A'*({slope} .* p)", where),
        c: read(f"{slope} .* (A*v) + 2*p", where),
    }
    assert check_hessian_product(f.expr, products, {x: v, c: p}).passed
    assert check_hessian_product(f.expr, {x: products[x]}, {x: v, c: p}).passed
    for wrong in (-1, 2, 1 + 1e-12):
        report = check_hessian_product(f.expr, products | {c: wrong * products[c]}, {x: v, c: p})
        assert report.verdict == FAILED
    assert "product" in str(report)
    assert check_hessian_product(f.expr, products | {c: c.T}, {x: v, c: p}).verdict == FAILED


# Gauss and Newton

NET = "W in R^{m x n}; x in R^n; b, y in R^m"
net = parse("tanh(W*x + b)", where=NET)
loss = parse("logsumexp(u) - y'*u", where="u, y in R^m")
u = loss.variables["u"]
W, b = net.variables["W"], net.variables["b"]
SLOPE, BENT = "diag(1 - tanh(W*x + b).^2)", "diag(-2*tanh(W*x + b) .* (1 - tanh(W*x + b).^2))"
P = "softmax(tanh(W*x + b))"
MIDDLE = f"{SLOPE}*(diag({P}) - {P}*{P}')*{SLOPE}"
REST = f"({BENT}*diag({P} - y))"
G = {
    (W, W): read(f"kron(x*x', {MIDDLE})", NET),
    (W, b): read(f"kron(x, {MIDDLE})", NET),
    (b, b): read(MIDDLE, NET),
}
R = {
    (W, W): read(f"kron(x*x', {REST})", NET),
    (W, b): read(f"kron(x, {REST})", NET),
    (b, b): read(REST, NET),
}
H = {pair: G[pair] + R[pair] for pair in G}


def test_a_right_gauss_newton_matrix_passes() -> None:
    report = check_gauss_newton(loss.expr, u, net.expr, G, residual=R, hessian=H, convex=True)
    assert report.passed, str(report)
    for said in ("G + R is the Hessian", "G + R = H", "positive semidefinite at 5 random points"):
        assert said in str(report)
    assert json.loads(json.dumps(report.as_dict()))["passed"] is True


def test_matrices_may_hold_the_output() -> None:
    at_u = read("softmax(u)", "u in R^m")
    held = {(b, b): read(SLOPE, NET) @ (read("diag(softmax(u))", "u in R^m") - at_u @ at_u.T) @ read(SLOPE, NET)}
    assert check_gauss_newton(loss.expr, u, net.expr, held).passed


@pytest.mark.parametrize("pair", G)
def test_a_wrong_gauss_newton_matrix_fails(pair) -> None:
    assert check_gauss_newton(loss.expr, u, net.expr, G | {pair: 2 * G[pair]}).verdict == FAILED
    assert check_gauss_newton(loss.expr, u, net.expr, G, residual=R | {pair: -R[pair]}).verdict == FAILED
    assert check_gauss_newton(loss.expr, u, net.expr, G, residual=R, hessian=H | {pair: G[pair]}).verdict == FAILED


def test_the_hessian_is_not_taken_for_gauss_newton() -> None:
    assert check_gauss_newton(loss.expr, u, net.expr, H).verdict == FAILED


def test_a_loss_that_is_not_convex_is_not_said_to_be() -> None:
    saddle = parse("u'*y*(u'*y) - u'*u", where="u, y in R^m")
    middle = read(f"{SLOPE}*(2*y*y' - 2*eye(m))*{SLOPE}", NET)
    at = saddle.variables["u"]
    assert check_gauss_newton(saddle.expr, at, net.expr, {(b, b): middle}).passed
    report = check_gauss_newton(saddle.expr, at, net.expr, {(b, b): middle}, convex=True)
    assert report.verdict == FAILED
    assert "not positive semidefinite" in str(report)


def test_products_with_gauss_newton() -> None:
    v = var("v", b.shape)
    right = G[b, b] @ v
    assert check_gauss_newton_product(loss.expr, u, net.expr, {b: right}, {b: v}).passed
    assert check_gauss_newton_product(loss.expr, u, net.expr, {b: H[b, b] @ v}, {b: v}).verdict == FAILED
    assert check_gauss_newton_product(loss.expr, u, net.expr, {b: right}, {W: var("V", W.shape)}).verdict == FAILED
    crossed = {b: G[W, b].T @ read("vec(V)", "V in R^{m x n}")}
    assert check_gauss_newton_product(loss.expr, u, net.expr, crossed, {W: var("V", W.shape)}).passed


@pytest.mark.parametrize(
    ("text", "convex"),
    [
        ("X'*X", True),
        ("diag(softmax(w)) - softmax(w)*softmax(w)'", True),  # singular
        ("diag(exp(w))", True),
        ("zeros(n, n)", True),
        ("-X'*X", False),
        ("diag(w)", False),
        ("diag(softmax(w)) - 2*softmax(w)*softmax(w)'", False),
        ("A", False),
        ("X'*X - 0.0000000001*eye(n)", False),
    ],
)
def test_definiteness_is_looked_at_by_number(text, convex) -> None:
    e = read(text, VECTORS)
    assert is_psd_on_numbers(e).passed is convex


def test_definiteness_that_cannot_be_seen_is_inconclusive() -> None:
    assert is_psd_on_numbers(read("log(-w'*w)*X'*X", VECTORS)).verdict == INCONCLUSIVE


def test_a_loss_may_hold_a_variable_itself() -> None:
    regular = parse("u'*diag(b)*u + b'*b", where="u, b in R^m")
    at = regular.variables["u"]
    of_b = parse("tanh(b)", where="b in R^m")
    here = of_b.variables["b"]
    held = "(1 - tanh(b).^2)"
    right = read(f"2*diag({held}.^2 .* b) + 4*diag({held} .* tanh(b)) + 2*eye(m)", "b in R^m")
    assert check_gauss_newton(regular.expr, at, of_b.expr, {(here, here): right}).passed
    without = read(f"2*diag({held}.^2 .* b)", "b in R^m")
    assert check_gauss_newton(regular.expr, at, of_b.expr, {(here, here): without}).verdict == FAILED


def test_second_derivatives_by_orthogonal_and_stochastic_matrices() -> None:
    """The gradient of logdet(Q)^2 vanishes at every orthogonal matrix, and its derivative does not."""
    for text, where in (("logdet(Q)^2", "Q in R^{n x n} orthogonal"), ("sum(Q)^3", "Q in R^{m x n} stochastic")):
        formula = matcalc.parse(text, where=where)
        assert formula.hessian("Q").check().passed
        assert formula.hvp("Q").check().passed
