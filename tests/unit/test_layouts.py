"""Matrices that are computed as their transpose, and matrices written over operands that nothing needs any more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import matcalc
from matcalc.dims import ONE
from matcalc.lowering import layouts

WHERE = "X in R^{m x n}; W in R^{n x k}; Y in R^{m x k}; b in R^k; c in R^m; V in R^{k x p}"
FORMULAS = [
    ("-sum(Y .* log_softmax(X*W, 1))", "W"),
    ("-sum(Y .* log_softmax(X*W, 1))", "X"),
    ("sum(logsumexp(X*W + ones(m)*b', 1)) - <Y, X*W>", "W, b"),
    ("sum(tanh(X*W + ones(m)*b').^2)", "W, b"),
    ("c'*sigmoid(X*W)*b", "W"),
    ("norm2(Y - relu(X*W)*V*V')^2", "W, V"),
    ("sum(exp(-(X*W).^2) .* Y, 1)'*c", "W"),
    ("norm2(diag(c)*X*W - Y)^2 + sum(max(X*W, 1))", "W"),
    ("sum(softmax(X*W, 0) .* Y) + sum(softmax(X*W*V, 1)*V'*b)", "W"),
    ("tr((X*W - Y)'*diag(c)*(X*W - Y))", "X, W"),
]


def random(f: matcalc.Formula, names: tuple[str, ...], sizes: dict[str, int]) -> dict[str, Any]:
    rng = np.random.default_rng(5)
    shapes = {name: [d for d in f.program.variables[name].shape if d is not ONE] for name in names}
    return {name: rng.normal(size=[d.evaluate(sizes) for d in shape]) for name, shape in shapes.items()}


def unplanned(fn: Any, arrays: dict[str, Any]) -> tuple[Any, ...]:
    """The result of the code in which nothing is known of the sizes."""
    space: dict[str, Any] = {}
    exec(fn.source, space)
    return space["gradient"](**arrays)


@pytest.mark.parametrize(("text", "wrt"), FORMULAS, ids=range(len(FORMULAS)))
def test_transposed_layouts_give_the_same(text: str, wrt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("_ENTRIES", "_SLENDER", "_MULTIPLICATIONS", "_TALL"):
        monkeypatch.setattr(layouts, limit, 0)
    f = matcalc.parse(text, WHERE)
    fn = f.gradient(wrt).compile(value=True)
    sizes = {"m": 7, "n": 3, "k": 4, "p": 2}
    arrays = random(f, fn.arguments, sizes)
    known = {name: sizes[name] for name in fn._module.sizes}
    assert not fn.source.endswith(fn.source_for(**known).split('"""')[2].lstrip())
    for found, expected in zip(fn(**arrays), unplanned(fn, arrays), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


def test_slender_products_are_transposed_where_that_is_faster() -> None:
    f = matcalc.parse("-sum(Y .* log_softmax(X*W, 1))", WHERE)
    fn = f.gradient("W").compile()
    large, small = fn.source_for(m=1500, n=200, k=10), fn.source_for(m=5, n=3, k=4)
    assert "W.T.dot(X.T)" in large and "rt.softmax(t1, 0)" in large.replace("W.T.dot(X.T)", "t1")
    assert "X.dot(W)" in small


def body(fn: Any) -> str:
    return fn.source.split('"""')[2]


def test_a_matrix_is_written_over_a_dead_operand_only() -> None:
    f = matcalc.parse("A = X*W + ones(m)*b'; T = tanh(A); <T, A> + sum(T .* Y)", WHERE)
    fn = f.compile()
    arrays = random(f, fn.arguments, {"m": 5, "n": 3, "k": 4})
    A = arrays["X"] @ arrays["W"] + arrays["b"]
    expected = (np.tanh(A) * A).sum() + (np.tanh(A) * arrays["Y"]).sum()
    before = {name: a.copy() for name, a in arrays.items()}
    np.testing.assert_allclose(fn(**arrays), expected, rtol=1e-12)
    assert all((arrays[name] == before[name]).all() for name in arrays)  # arguments are never written over


@pytest.mark.parametrize("text", [
    "tanh(X*W)", "X*W + ones(m)*b' - Y", "Y - X*W", "Y ./ (1 + exp(X*W))", "-(X*W) - Y", "2*(X*W) .* (X*W) .* Y",
    "abs(X*W - Y) .* (X*W)", "relu(X*W) + Y", "relu(X*W) + X*W", "Y .* tanh(X*W) ./ (3 + (X*W).^2)",
    "sigmoid(X*W - Y) - exp(X*W)",
    "diag(c)*tanh(X*W)*diag(b) - 2*Y", "(ones(m)*b') ./ exp(X*W)", "(X*W - Y) .* (X*W - Y)", "1 - (X*W).^2",
    "exp(X*W) - exp(X*W)*diag(b)", "-tanh(X*W)", "log(1 + (X*W).^2)./2", "sqrt(1 + (X*W - Y).^2)",
])  # fmt: skip
def test_results_written_in_place(text: str) -> None:
    f = matcalc.parse(text, WHERE)
    fn = f.compile()
    arrays = random(f, fn.arguments, {"m": 5, "n": 3, "k": 4})
    single = {name: a.astype(np.float32) for name, a in arrays.items()}
    X, W, Y, b, c = (arrays.get(name, 0) for name in "XWYbc")
    Z = X @ W
    truth = {
        "tanh(X*W)": np.tanh(Z), "X*W + ones(m)*b' - Y": Z + b - Y, "Y - X*W": Y - Z,
        "Y ./ (1 + exp(X*W))": Y / (1 + np.exp(Z)), "-(X*W) - Y": -Z - Y, "2*(X*W) .* (X*W) .* Y": 2 * Z * Z * Y,
        "abs(X*W - Y) .* (X*W)": abs(Z - Y) * Z, "relu(X*W) + X*W": np.maximum(Z, 0) + Z,
        "relu(X*W) + Y": np.maximum(Z, 0) + Y,
        "Y .* tanh(X*W) ./ (3 + (X*W).^2)": Y * np.tanh(Z) / (3 + Z * Z),
        "sigmoid(X*W - Y) - exp(X*W)": 1 / (1 + np.exp(Y - Z)) - np.exp(Z),
        "diag(c)*tanh(X*W)*diag(b) - 2*Y": np.reshape(c, (-1, 1)) * np.tanh(Z) * b - 2 * Y,
        "(ones(m)*b') ./ exp(X*W)": b / np.exp(Z), "(X*W - Y) .* (X*W - Y)": (Z - Y) ** 2, "1 - (X*W).^2": 1 - Z * Z,
        "exp(X*W) - exp(X*W)*diag(b)": np.exp(Z) - np.exp(Z) * b, "-tanh(X*W)": -np.tanh(Z),
        "log(1 + (X*W).^2)./2": np.log(1 + Z * Z) / 2, "sqrt(1 + (X*W - Y).^2)": np.sqrt(1 + (Z - Y) ** 2),
    }  # fmt: skip
    np.testing.assert_allclose(fn(**arrays), truth[text], rtol=1e-10)
    assert fn(**single).dtype == np.float32
    np.testing.assert_allclose(fn(**single), truth[text], rtol=1e-4, atol=1e-4)


def test_a_layer_keeps_one_array_of_its_size() -> None:
    f = matcalc.parse("c'*tanh(X*W + ones(m)*b')*v", WHERE + "; v in R^k")
    source = body(f.gradient("W").compile())
    assert source.count(".dot(") == 3 and "np.tanh(t1, t1)" in source and "t2" not in source
