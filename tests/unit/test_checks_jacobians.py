"""The Jacobian test and the transpose test: right formulas pass, every kind of wrong one fails."""

from __future__ import annotations

import json
from fractions import Fraction

import mpmath
import pytest

from matcalc.calculus.vectorise import jacobian
from matcalc.checks import compiled
from matcalc.checks.compiled import run_compiled
from matcalc.checks.jacobians import check_jacobian, check_products
from matcalc.checks.report import FAILED, INCONCLUSIVE
from matcalc.expr import Expr
from matcalc.primitives.leaves import differential_of, var
from matcalc.syntax import parse

LINEAR = "A in R^{m x n}; X in R^{n x p}; B in R^{p x q}"
LAYER = "W in R^{m x n}; x in R^n; b, u in R^m; phi: elementwise"
SQUARE = "X in R^{n x n}; A in R^{n x n}"
STRUCTURED = "S in R^{n x n} symmetric; D in R^{n x n} diagonal; x in R^n"


def read(text: str, where: str) -> Expr:
    return parse(text, where=where).expr


def jacobian_report(f: str, where: str, by: str, claimed: str, **options):
    program = parse(f, where=where)
    return check_jacobian(program.expr, {program.variables[by]: read(claimed, where)}, **options)


RIGHT = [
    ("A*X*B", LINEAR, "X", "kron(B', A)"),
    ("A*X*B", LINEAR, "A", "kron((X*B)', eye(m))"),
    ("X'", LINEAR, "X", "commutation(n, p)"),
    ("phi(W*x + b)", LAYER, "x", "diag(phi'(W*x + b))*W"),
    ("phi(W*x + b)", LAYER, "W", "kron(x', diag(phi'(W*x + b)))"),
    ("phi(W*x + b)", LAYER, "W", "diag(phi'(W*x + b))*kron(x', eye(m))"),
    ("softmax(W*x + b)", LAYER, "b", "diag(softmax(W*x + b)) - softmax(W*x + b)*softmax(W*x + b)'"),
    ("X^-1", SQUARE, "X", "-kron(X^-T, X^-1)"),
    ("X'*X", LINEAR, "X", "(eye(p*p) + commutation(p, p))*kron(eye(p), X')"),
    ("x'*x", LAYER, "x", "2*x'"),
    ("a*x", "a in R; x in R^n", "a", "x"),
    ("a*X", "a in R; X in R^{m x n}", "a", "vec(X)"),
    ("S*x", STRUCTURED, "S", "kron(x', eye(n))"),
    ("S*x", STRUCTURED, "S", "kron(x', eye(n))*commutation(n, n)"),  # the same on symmetric directions
    ("D*x", STRUCTURED, "D", "kron(x', eye(n))"),
    ("D*x", STRUCTURED, "D", "2*kron(x', eye(n)) - kron(x', eye(n))*commutation(n, n)"),
    ("relu(W*x)", LAYER, "x", "diag(step(W*x))*W"),
    ("b", LAYER, "x", "zeros(m, n)"),
]
WRONG = {
    "transposed": ("X^-1", SQUARE, "X", "-kron(X^-1, X^-T)"),
    "of the layout of denominators": ("W*x", LAYER, "x", "W'"),
    "of rows stacked": ("A*X*A", SQUARE, "X", "kron(A, A')"),
    "without K": ("X'", SQUARE, "X", "eye(n*n)"),
    "of another sign": ("X^-1", SQUARE, "X", "kron(X^-T, X^-1)"),
    "doubled": ("A*X*B", LINEAR, "X", "2*kron(B', A)"),
    "a little off": ("A*X*B", LINEAR, "X", "1.000000000001*kron(B', A)"),
    "of a wrong slope": ("phi(W*x + b)", LAYER, "x", "diag(phi(W*x + b))*W"),
    "zero": ("W*x", LAYER, "x", "zeros(m, n)"),
    "not of rank one": ("softmax(x)", LAYER, "x", "diag(softmax(x))"),
    "wrong on symmetric directions": ("S*x", STRUCTURED, "S", "2*kron(x', eye(n))"),
    "skew added": ("A*S", STRUCTURED + "; A in R^{n x n}", "S", "kron(eye(n), A) + kron(A, eye(n))"),
    "of nothing": ("b", LAYER, "x", "W"),
}


@pytest.mark.parametrize(("f", "where", "by", "claimed"), RIGHT)
def test_a_right_jacobian_passes(f, where, by, claimed) -> None:
    report = jacobian_report(f, where, by, claimed)
    assert report.passed, str(report)
    assert report.tests[0].compiled_error < 1e6


@pytest.mark.parametrize(("f", "where", "by", "claimed"), WRONG.values(), ids=WRONG)
def test_a_wrong_jacobian_fails(f, where, by, claimed) -> None:
    for seed in range(3):
        assert jacobian_report(f, where, by, claimed, seed=seed).verdict == FAILED


def test_a_jacobian_of_another_shape_fails_and_is_told_the_right_one() -> None:
    report = jacobian_report("W*x", LAYER, "W", "kron(eye(m), x')'")
    assert report.verdict == FAILED
    assert "it must be in R^{m x m*n}" in str(report)


def test_one_wrong_jacobian_of_two_fails() -> None:
    program = parse("phi(W*x + b)", where=LAYER)
    v = program.variables
    right, wrong = read("diag(phi'(W*x + b))*W", LAYER), read("-diag(phi'(W*x + b))", LAYER)
    assert check_jacobian(program.expr, {v["x"]: right, v["b"]: wrong}).verdict == FAILED


@pytest.mark.parametrize("factor", [1 + 1e-6, -1, 0, float("nan")])
def test_inexact_generated_code_fails(monkeypatch, factor) -> None:
    monkeypatch.setattr(compiled, "run_compiled", lambda function, point: run_compiled(function, point) * factor)
    assert jacobian_report("A*X*B", LINEAR, "X", "kron(B', A)").verdict == FAILED


def test_a_function_that_is_nowhere_real_is_inconclusive() -> None:
    report = jacobian_report("log(-x'*x)*x", LAYER, "x", "x*x'")
    assert report.verdict == INCONCLUSIVE
    assert "log is not real" in str(report)


def test_no_jacobian_is_inconclusive() -> None:
    assert check_jacobian(read("W*x", LAYER), {}).verdict == INCONCLUSIVE


def test_orders_are_one_and_two_and_the_report_is_json() -> None:
    functions = {"phi": [mpmath.tanh, lambda t: 1 - mpmath.tanh(t) ** 2]}
    report = jacobian_report("phi(W*x + b)", LAYER, "x", "diag(phi'(W*x + b))*W", functions=functions)
    for row in report.tests[0].rows[1:]:
        assert row.difference_order == pytest.approx(1, abs=0.02)
        assert row.remainder_order == pytest.approx(2, abs=0.02)
    assert "||f(x+ed)-f-e*J*d||" in str(report)
    assert json.loads(json.dumps(report.as_dict()))["passed"] is True


# Products

layer = parse("phi(W*x + b)", where=LAYER)
W, x, b, u = (layer.variables[name] if name != "u" else var("u", layer.variables["b"].shape) for name in "Wxbu")
v, V = var("v", x.shape), differential_of(W)
SLOPE = "diag(phi'(W*x + b))"
jvp = read(f"{SLOPE}*(V*x + W*v)", f"{LAYER}; V in R^{{m x n}}; v in R^n")
along = {x: v, W: var("V", W.shape)}
back = {x: read(f"W'*{SLOPE}*u", LAYER), W: read(f"{SLOPE}*u*x'", LAYER)}


def test_right_products_pass() -> None:
    report = check_products(layer.expr, jvp, along, back, u)
    assert report.passed, str(report)
    assert [m.error < 100 for m in report.tests[0].measures] == [True, True, True]
    assert "|u'*JacMV(x, v) - v'*JacTMV(x, u)|" in str(report)
    assert json.loads(json.dumps(report.as_dict()))["passed"] is True


def test_either_product_may_be_left_out() -> None:
    assert check_products(layer.expr, jvp, along).passed
    assert check_products(layer.expr, vjp=back, cotangent=u).passed
    assert check_products(layer.expr, vjp={x: back[x]}, cotangent=u).passed
    assert check_products(layer.expr, 2 * jvp, along).verdict == FAILED
    assert check_products(layer.expr, vjp={x: -back[x]}, cotangent=u).verdict == FAILED
    assert check_products(layer.expr).verdict == INCONCLUSIVE


def test_a_direction_may_be_a_differential() -> None:
    dx, dW = differential_of(x), differential_of(W)
    slope = read("phi'(W*x + b)", LAYER)
    assert check_products(layer.expr, slope * (dW @ x + W @ dx), {x: dx, W: dW}).passed
    assert check_products(layer.expr, slope * (dW @ x - W @ dx), {x: dx, W: dW}).verdict == FAILED


@pytest.mark.parametrize(
    "wrong",
    [
        lambda e: 2 * e,
        lambda e: -e,
        lambda e: e - e,
        lambda e: e * Fraction(10**12 + 1, 10**12),
        lambda e: e**2,
        lambda e: e.T,
    ],
    ids=["doubled", "negated", "zero", "a little off", "squared", "of another shape"],
)
def test_a_wrong_product_fails(wrong) -> None:
    assert check_products(layer.expr, wrong(jvp), along, back, u).verdict == FAILED
    assert check_products(layer.expr, jvp, along, {x: wrong(back[x]), W: back[W]}, u).verdict == FAILED
    assert check_products(layer.expr, jvp, along, {x: back[x], W: wrong(back[W])}, u).verdict == FAILED


def test_what_is_not_linear_in_its_direction_fails() -> None:
    # as large as the right one at a direction of norm one
    norm = read("norm2(v)", "v in R^n")
    slope = read(f"{SLOPE}*W*v", f"{LAYER}; v in R^n")
    assert check_products(layer.expr, slope, {x: v}).passed
    assert check_products(layer.expr, norm * slope, {x: v}).verdict == FAILED


def test_the_wrong_product_is_named() -> None:
    report = check_products(layer.expr, jvp, along, {x: back[x], W: 2 * back[W]}, u)
    assert "JacTMV by W is not the product with the transposed Jacobian" in str(report)


def test_products_of_a_matrix_by_a_symmetric_matrix() -> None:
    where = "A, E, U in R^{n x n}; S in R^{n x n} symmetric"
    f = parse("A*S*A'", where=where)
    S, E, U = f.variables["S"], var("E", f.expr.shape), var("U", f.expr.shape)
    forward, backward = read("A*E*A'", where), read("A'*U*A", where)
    assert check_products(f.expr, forward, {S: E}, {S: backward}, U).passed
    assert check_products(f.expr, forward, {S: E}, {S: read("A*U*A", where)}, U).verdict == FAILED


def test_products_that_are_zero_pass() -> None:
    where = "x, v in R^n; b, u in R^m"
    f = parse("sum(softmax(x))*b", where="x in R^n; b in R^m")
    x, v, u = f.variables["x"], var("v", f.variables["x"].shape), var("u", f.expr.shape)
    slope = "(diag(softmax(x)) - softmax(x)*softmax(x)')"
    forward, backward = read(f"sum({slope}*v)*b", where), read(f"{slope}*ones(n)*(b'*u)", where)
    for seed in range(3):
        report = check_products(f.expr, forward, {x: v}, {x: backward}, u, seed=seed)
        assert report.passed, str(report)
        assert check_products(f.expr, forward + u - u + f.expr, {x: v}, {x: x}, u, seed=seed).verdict == FAILED


def test_large_kronecker_products_are_tested_at_small_sizes():
    f = parse("kron(A, kron(B, C))", where="A in R^{m x n}; B in R^{p x q}; C in R^{r x s}")
    b = f.variables["B"]
    report = check_jacobian(f.expr, {b: jacobian(f.expr, [b])[b]}, trials=1)
    assert report.passed
    assert max(report.tests[0].sizes.values()) <= 3
