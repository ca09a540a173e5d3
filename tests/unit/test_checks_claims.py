"""Claimed Jacobians and Hessians: equal forms are recognised, and the likely slip is named where they differ."""

from __future__ import annotations

import json

import pytest

from matcalc.checks.claims import check_claim, check_claimed
from matcalc.checks.report import FAILED, INCONCLUSIVE
from matcalc.errors import NotScalarError
from matcalc.expr import Expr
from matcalc.primitives.leaves import differential_of
from matcalc.syntax import parse

LINEAR = "A in R^{m x n}; X in R^{n x p}; B in R^{p x q}"
LAYER = "W in R^{m x n}; x in R^n; b in R^m; phi, psi: elementwise"
SQUARE = "X in R^{n x n}; A in R^{n x n}; x in R^n"
RECTANGULAR = "X in R^{m x n}; x in R^n; y in R^m"
SYMMETRIC = "S in R^{n x n} symmetric; x in R^n"


def read(text: str, where: str) -> Expr:
    return parse(text, where=where).expr


def report_on(f: str, where: str, by: str, claimed: str, kind: str, truth: str | None = None):
    program = parse(f, where=where)
    variables = tuple(program.variables[name] for name in by.split(", "))
    return check_claim(
        program.expr,
        variables if len(variables) > 1 else variables[0],
        read(claimed, where),
        kind=kind,
        truth=read(truth, where) if truth else None,
    )


SLOPE = "diag(phi'(W*x + b))"


@pytest.mark.parametrize(
    ("f", "where", "by", "claimed", "kind"),
    [
        ("A*X*B", LINEAR, "X", "kron(B', eye(m))*kron(eye(p), A)", "Jacobian"),
        ("phi(W*x + b)", LAYER, "W", f"{SLOPE}*kron(x', eye(m))", "Jacobian"),
        ("phi(W*x + b)", LAYER, "W", f"kron(x', {SLOPE})", "Jacobian"),
        ("S*x", SYMMETRIC, "S", "kron(x', eye(n))*commutation(n, n)", "Jacobian"),
        ("x'*A*x", SQUARE, "x", "A' + A", "Hessian"),
        ("logdet(X)", SQUARE, "X", "-commutation(n, n)*kron(X^-T, X^-1)", "Hessian"),
        ("y'*X*x", RECTANGULAR, "y, x", "X", "Hessian"),
        ("x'*x", SQUARE, "x", "2*x", "gradient"),
    ],
)
def test_a_right_claim_passes(f, where, by, claimed, kind) -> None:
    report = report_on(f, where, by, claimed, kind)
    assert report.passed, str(report)
    assert json.loads(json.dumps(report.as_dict()))["passed"] is True


def test_the_form_of_the_notes_is_recognised_by_symbol() -> None:
    report = report_on("phi(W*x + b)", LAYER, "W", f"{SLOPE}*kron(x', eye(m))", "Jacobian", truth=f"kron(x', {SLOPE})")
    assert report.passed
    assert "and by symbol" in str(report)


@pytest.mark.parametrize(
    ("f", "where", "by", "claimed", "said"),
    [
        ("A*X*B", LINEAR, "X", "kron(A, B')", "swapping the factors of kron(A, B') (vec stacks columns)"),
        ("A*X*B", LINEAR, "X", "kron(B, A')", "transposing it (it has a row for every entry of f"),
        ("A*X*B", LINEAR, "X", "kron(B, A)", "B -> B' in kron(B, A)"),
        ("A*X*B", LINEAR, "X", "2*kron(B', A)", "multiplying it by 1/2"),
        (
            "A*X*B + X'",
            "A, B, X in R^{n x n}",
            "X",
            "kron(A, B') + commutation(n, n)",
            "swapping the factors",
        ),
        ("X'*X", RECTANGULAR, "X", "kron(eye(n), X')", "multiplying it from the left by I + commutation(n, n)"),
        ("X'", RECTANGULAR, "X", "eye(m*n)", "multiplying it from the right by commutation(m, n)"),
        ("X^-1", SQUARE, "X", "kron(X^-T, X^-1)", "a change of sign"),
        ("X^-1", SQUARE, "X", "-kron(X^-T, X^-1)*commutation(n, n)", "leaving out commutation(n, n)"),
        ("phi(W*x + b)", LAYER, "x", "W'*diag(phi'(W*x + b))", "transposing it"),
        ("phi(W*x + b)", LAYER, "x", "diag(phi(W*x + b))*W", "phi -> phi'"),
        ("phi(W*x + b)", LAYER, "x", "diag(psi'(W*x + b))*W", "psi' -> phi' in psi'(W*x + b)"),
        ("phi(W*x + b)", LAYER, "W", "kron(x', phi'(W*x + b))", "writing diag(phi'(W*x + b)) for phi'(W*x + b)"),
        ("phi(x)", LAYER, "x", "phi'(x)", "writing diag(phi'(x)) for phi'(x)"),
        ("tr(X'*X)", RECTANGULAR, "X", "2*X", "writing it as a row: vec(2*X)'"),
        ("x'*x", RECTANGULAR, "x", "2*x", "transposing it"),
        ("softmax(x)", RECTANGULAR, "x", "diag(softmax(x)) + softmax(x)*softmax(x)'", "a change of sign of"),
    ],
)
def test_a_slip_in_a_jacobian_is_named(f, where, by, claimed, said) -> None:
    report = report_on(f, where, by, claimed, "Jacobian")
    assert report.verdict == FAILED
    assert f"it agrees after {said}" in str(report), str(report)


def test_rows_stacked_instead_of_columns() -> None:
    by_rows = "commutation(m, q)*kron(B', A)*commutation(n, p)'"
    report = report_on("A*X*B", LINEAR, "X", by_rows, "Jacobian")
    assert report.verdict == FAILED
    assert "it agrees after stacking columns instead of rows" in str(report)


@pytest.mark.parametrize(
    ("f", "where", "by", "claimed", "said"),
    [
        ("x'*A*x", SQUARE, "x", "A", "adding its transpose"),
        ("x'*A*x", SQUARE, "x", "2*A", "taking its symmetric part"),
        ("x'*A*x", SQUARE, "x", "(A + A')/2", "multiplying it by 2"),
        ("logdet(X)", SQUARE, "X", "-kron(X^-T, X^-1)", "multiplying it from the left by commutation(n, n)"),
        ("logdet(X)", SQUARE, "X", "kron(X^-1, X^-T)*commutation(n, n)", "a change of sign"),
        ("y'*X*x", RECTANGULAR, "x, y", "X", "transposing it"),
    ],
)
def test_a_slip_in_a_hessian_is_named(f, where, by, claimed, said) -> None:
    report = report_on(f, where, by, claimed, "Hessian")
    assert report.verdict == FAILED
    assert f"it agrees after {said}" in str(report), str(report)


@pytest.mark.parametrize(
    ("f", "by", "claimed", "kind", "said"),
    [
        ("softmax(x)", "x", "diag(softmax(x)) - softmax(x)'*softmax(x)", "Jacobian", "-> softmax(x)*softmax(x)'"),
        ("x'*tanh(x)", "x", "tanh(x) + tanh(x).*x", "gradient", "tanh -> tanh' in tanh(x)"),
        ("sum(softplus(X*x))", "x", "X'*diag(sigmoid(X*x))*X", "Hessian", "sigmoid -> sigmoid' in sigmoid(X*x)"),
    ],
)
def test_an_inner_product_for_an_outer_one_and_a_function_for_its_derivative(f, by, claimed, kind, said) -> None:
    report = report_on(f, RECTANGULAR, by, claimed, kind)
    assert report.verdict == FAILED
    assert said in str(report)


def test_a_claim_beyond_repair_fails_plainly() -> None:
    report = report_on("phi(W*x + b)", LAYER, "x", "W", "Jacobian")
    assert report.verdict == FAILED
    assert "no single slip explains it" in str(report)


def test_a_claim_about_nothing_real_is_inconclusive() -> None:
    assert report_on("log(-x'*x)*x", SQUARE, "x", "A", "Jacobian").verdict == INCONCLUSIVE


def test_a_hessian_is_of_a_scalar() -> None:
    with pytest.raises(NotScalarError):
        report_on("A*x", SQUARE, "x", "A", "Hessian")


def test_any_expression_may_be_claimed() -> None:
    where = "X, E in R^{n x n}"
    truth, f = read("-X^-1*E*X^-1", where), read("X^-1", where)
    right, wrong = read("-(X^-1*E)*X^-1", where), read("-X^-1*E*X^-T", where)
    report = check_claimed(truth, right, kind="differential", of=f)
    assert report.passed
    assert "claimed differential" in str(report)
    assert "every entry against the derived differential" in str(report)
    report = check_claimed(truth, wrong, kind="differential", of=f)
    assert report.verdict == FAILED
    assert "it agrees after" in str(report)


def test_a_claim_may_hold_differentials() -> None:
    f = parse("X^-1", where="X in R^{n x n}")
    X = f.variables["X"]
    truth = -(f.expr @ differential_of(X) @ f.expr)
    assert check_claimed(truth, truth, kind="differential").passed
    report = check_claimed(truth, -truth, kind="differential")
    assert "it agrees after a change of sign" in str(report)


def test_a_forgotten_symmetrisation_within_a_product_is_named() -> None:
    where = "A in R^{n x n}; v in R^n"
    report = check_claimed(read("(A + A')*v", where), read("A*v", where), kind="product with the Hessian")
    assert "it agrees after A -> A + A' in A*v" in str(report)
