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


@pytest.mark.parametrize(
    ("format", "line"),
    [
        ("matlab", "result = kron(2 * (V' * V), eye(m));"),
        ("julia", "result = kron(2 .* (V' * V), Matrix(1.0I, m, m))"),
        ("python", "return np.kron(2 * V.T.dot(V), np.eye(m))"),
        ("torch", "return torch.kron(2 * (V.T @ V), torch.eye(m, **like))"),
        ("jax", "return jnp.kron(2 * (V.T @ V), jnp.eye(m, **like))"),
    ],
)
def test_kronecker_products_are_written_as_such(format: str, line: str) -> None:
    assert line in FACTORS.hessian("U").source(format=format)


def test_blocks_are_ranges_of_rows_and_columns() -> None:
    h = FACTORS.hessian("U, V")
    assert "out(1:k * m, 1:k * m) = kron(2 * (V' * V), eye(m));" in h.source(format="matlab")
    assert "out((k * m + 1):end, 1:k * m) = out(1:k * m, (k * m + 1):end)';" in h.source(format="matlab")
    assert "out[(k * m + 1):end, (k * m + 1):end] .= kron(2 .* (U' * U)" in h.source(format="julia")


@pytest.mark.parametrize("format", ["matlab", "julia"])
def test_what_is_subtracted_has_a_minus(format: str) -> None:
    text = matcalc.jacobian("softmax(W*x)", "W").source(format=format)
    assert re.search(r"(diag|Diagonal)\(t1\) - t1 \* t1'", text)
    text = matcalc.hessian("x'*A*x/(x'*x)", "x", where="A in R^{n x n} symmetric; x in R^n").source(format=format)
    assert "+ -" not in text


def test_results_of_loops_have_their_names() -> None:
    g = matcalc.gradient("sum(i=1..n, a[i]*b[i]^i)", "b", where="a, b in R^n")
    assert "function [value, d_b] = gradient(a, b)" in g.source(format="matlab", value=True)


def test_a_factorisation_is_checked_once() -> None:
    g = matcalc.gradient("y'*S^-1*y + logdet(S)", "S", where="S in R^{n x n} spd; y in R^n")
    assert g.source(format="c").count("status = 2") == 1


def test_python_has_no_definition_that_nothing_uses() -> None:
    text = matcalc.gradient("sum(softmax(X*W, 1).*sigmoid(Y))", "W, Y", where="X in R^{m x n}").source(format="python")
    names = re.findall(r"^(?:def )?(_\w+)", text, re.MULTILINE)
    assert names
    assert all(len(re.findall(rf"\b{name}\b", text)) > 1 for name in names), text
    assert "_Axes" not in text


@pytest.mark.parametrize("format", ["c", "matlab", "julia", "python", "torch"])
def test_long_titles_are_broken(format: str) -> None:
    layers = "; ".join(f"h{k} = tanh(W{k}*{f'h{k - 1}' if k else 'x'} + b{k})" for k in range(6))
    text = matcalc.gradient(f"{layers}; norm2(h5 - y)^2", "W0").source(format=format)
    title = text[text.index("Gradient") : text.index("Arguments")].splitlines()
    assert len(title) > 1
    assert max(map(len, title)) <= 110
