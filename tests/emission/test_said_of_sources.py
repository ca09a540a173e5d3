"""What sources say of themselves, and what is refused of them."""

from __future__ import annotations

import re
from typing import Any

import pytest

import matcalc
from matcalc.__main__ import _SOURCES, main
from matcalc.emission.headers import folded

LOGISTIC = "sum(log(1 + exp(-y.*(X*w))))"
FACTORS = matcalc.parse("norm(U*V' - A)^2", "U in R^{m x k}; V in R^{n x k}")
NET = matcalc.parse("u = W2*tanh(W1*x); norm2(u - y)^2")
LAYER = matcalc.parse("tanh(W*x + b)")


@pytest.mark.parametrize(
    ("result", "options", "said"),
    [
        (LAYER.jacobian("W, b"), {}, ["Columns: first those of W, then of b."]),
        (
            LAYER.jacobian("W, b", layout="denominator"),
            {},
            ["the transpose of J;", "Rows: first those of W, then of b."],
        ),
        (NET.gauss_newton("W1, W2"), {}, ["Rows and columns: first those of W1, then of W2."]),
        (FACTORS.hessian("U"), {"compressed": True}, ["Put together:", "H = kron(M, eye(m))"]),
        (NET.gnvp("W1"), {}, ["J'*H_loss*J times the direction, where dW1 = V."]),
        (FACTORS.hvp("U, V"), {}, ["The differential of the gradient, where dU = V_U and dV = V_V."]),
        (LAYER.jvp("x"), {"linearised": True}, ["The differential of the function, where dx = v."]),
        (LAYER.vjp("x"), {}, ["<Ju, dX> = <u, dF>"]),
        (matcalc.parse("X^-1").differential("X"), {}, ["Linear in dX."]),
        (FACTORS.newton("U", shift="mu"), {}, ["(H + mu*I)*vec(s) = vec(g)", "goes from U to U - s."]),
        (FACTORS.hessian("U").solve(), {}, ["with the Hessian by U", "H*vec(s) = vec(B)."]),
    ],
)
def test_conventions(result: Any, options: dict[str, Any], said: list[str]) -> None:
    formats = ("python", "torch") if "linearised" in options else ("python", "c", "julia")
    for form in formats:
        text = result.source(format=form, **options)
        assert all(line in text for line in said), text


@pytest.mark.parametrize(("options", "apart"), [({"blocks": True}, "those of"), ({"compressed": True}, "Columns:")])
def test_of_parts_no_places_are_told(options: dict[str, bool], apart: str) -> None:
    assert apart not in LAYER.jacobian("W, b").source(format="python", **options)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["grad", "--value"], "--value is about source code"),
        (["grad", "--batch", "w", "--format", "latex"], "--batch is about source code"),
        (["hessian", "--gradient", "--format", "json"], "--gradient is about source code"),
        (["grad", "--steps", "--format", "c"], "--steps are not source code"),
        (["grad", "--function", "--value", "--format", "torch"], "--function and --value exclude each other"),
        (["grad", "--function", "--format", "c"], "a function with its own derivative is not written for 'c'"),
        (["hessian", "--compressed", "--blocks", "--format", "c"], "--compressed and --blocks exclude each other"),
        (["hvp", "--linearised", "--batch", "v", "--format", "jax"], "--linearised and --batch exclude each other"),
        (["hvp", "--linearised", "--format", "c"], "a function in C does not give functions"),
        (["hvp", "--batch", "q", "--format", "python"], "q of the batch is no argument"),
    ],
)
def test_options_without_effect_are_refused(command: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command[0], LOGISTIC, "--wrt", "w", *command[1:]]) == 2
    assert said in capsys.readouterr().err


def test_a_shift_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "norm2(A*x - b)^2", "--wrt", "x", "--of", "newton", "--shift", "mu"]) == 0
    assert "passed" in capsys.readouterr().out


def test_factors_say_what_was_inferred(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hessian", "norm2(A*x - b)^2", "--wrt", "x", "--compressed"]) == 0
    assert "# inferred: A in R^{m x n}" in capsys.readouterr().out


def test_long_statements_are_folded() -> None:
    line = "    H(places(1, [n, n])) = products(cat(4, reshape(a, m, n, 1), reshape(b, m, n, 1)), sum(c, 2), n);"
    for width in (40, 60, 90):
        lines = folded([line], width, " ...")
        assert all(len(part) <= width for part in lines)
        assert "".join(part.removesuffix(" ...") for part in lines).replace(" ", "") == line.replace(" ", "")
        assert all(part.endswith(", ...") for part in lines[:-1])
    assert folded(["    error('one, two');"], 10) == ["    error('one, two');"]


@pytest.mark.parametrize("form", _SOURCES)
def test_no_line_is_long(form: str) -> None:
    for result in (FACTORS.hessian("U, V"), NET.gauss_newton("W1, W2"), NET.newton("W2", at="u", shift="mu")):
        text = result.source(format=form)
        assert max(map(len, text.split("\n"))) <= 150
        assert not re.search(r"[ \t]$", text, re.MULTILINE)
