"""Matrices that are computed as their transpose, and matrices written over operands that nothing needs any more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import matcalc
from matcalc.calculus.gradient import gradient
from matcalc.dims import ONE
from matcalc.expr import variables
from matcalc.lowering import compile_numpy, layouts
from matcalc.syntax import parse

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


def test_a_factor_that_divides_too_is_not_written_over() -> None:
    h = matcalc.parse("norm2((1 + X.^2).^(-0.5))", "X in R^{m x n}").hessian("X")
    X = np.random.default_rng(0).normal(size=(2, 3))
    plain = h.operator()(X=X) @ np.eye(6)
    np.testing.assert_allclose(h.compile()(X=X), plain, rtol=1e-9, atol=1e-12)


def test_a_layer_keeps_one_array_of_its_size() -> None:
    f = matcalc.parse("c'*tanh(X*W + ones(m)*b')*v", WHERE + "; v in R^k")
    source = body(f.gradient("W").compile())
    assert source.count(".dot(") == 3 and "np.tanh(t1, t1)" in source and "t2" not in source


def test_sums_of_all_products_of_large_matrices() -> None:
    f = matcalc.parse("sum(A .* (B .* C) .* exp(A)) + sum(exp(A) ./ a .* B .* C)", "A, B, C in R^{m x n}; a in R")
    fn = f.gradient("a").compile(value=True)
    rng = np.random.default_rng(3)
    A, B, C = rng.normal(size=(3, 40, 50))
    value, slope = fn(A=A, B=B, C=C, a=2.0)
    rest = (np.exp(A) * B * C).sum()
    np.testing.assert_allclose(value, (A * B * C * np.exp(A)).sum() + rest / 2)
    np.testing.assert_allclose(slope, -rest / 4)
    chosen = matcalc.parse("(a .^ (sin(A.^2)))[2,1]", "A in R^{m x n}; a in R positive").gradient("a").compile()
    np.testing.assert_allclose(chosen(A=A, a=2.0), np.sin(A[1, 0] ** 2) * 2 ** (np.sin(A[1, 0] ** 2) - 1))


@pytest.mark.parametrize("text", [
    "sum(phi(W*X) .* tanh(W*X)) + sum(phi(W*X).^2)", "exp(phi(W*X)) + phi(W*X) .* (W*X)",
    "(W*X) .* phi(W*X) .* phi(W*X)", "phi(phi(W*X)') .* tanh(W*X)'", "tanh(F(W*X)) + exp(F(W*X)') + W*X",
    "(W*X)^k .* (W*X) .* (W*X)^k", "tanh(W*X) + (W*X)^k", "W^k", "W^k*diag(x) + W", "phi(W)", "F(W)",
])  # fmt: skip
def test_what_gives_back_its_argument_is_not_written_over(text: str) -> None:
    where = "W, X in R^{n x n}; x in R^n; k in R; phi: elementwise; F: R^{n x n} -> R^{n x n}"
    f = matcalc.parse(text, where)
    rng = np.random.default_rng(4)
    W, X = rng.normal(size=(2, 5, 5))
    arrays = {"W": W, "X": X, "x": X[0], "k": 1.0}
    copied, itself = (f.compile(functions={"phi": g, "F": [g]}) for g in (np.copy, lambda t: t))
    arrays = {name: arrays[name] for name in itself.arguments}
    found = itself(**arrays)
    np.testing.assert_allclose(found, copied(**arrays))
    assert not np.shares_memory(found, W)
    powers = {name: 2.0 if name == "k" else a for name, a in arrays.items()}
    if "k" in powers and text == "tanh(W*X) + (W*X)^k":
        np.testing.assert_allclose(found, np.tanh(W @ X) + W @ X)
        np.testing.assert_allclose(itself(**powers), np.tanh(W @ X) + W @ X @ W @ X)


def test_a_jacobian_that_begins_with_a_power_leaves_its_argument() -> None:
    fn = matcalc.jacobian("A^k*x + x", "x", where="A in R^{n x n}; x in R^n; k in R").compile()
    A = np.arange(9.0).reshape(3, 3)
    kept = A.copy()
    found = fn(**{name: {"A": A, "k": 1}[name] for name in fn.arguments})
    np.testing.assert_array_equal(found, kept + np.eye(3))
    np.testing.assert_array_equal(A, kept)


LAYER_NORM = (
    "Z = X - mean(X, 1)*ones(n)'; N = Z ./ (sqrt(mean(Z.^2, 1) + s)*ones(n)'); tr(C'*(N*diag(g) + ones(m)*h')*W)",
    "X in R^{m x n}; g, h in R^n; W in R^{n x k}; C in R^{m x k}; s in R",
)
GAUSSIAN = ("R = X - h*ones(m)'; m/2*logdet(S) + 1/2*tr(R'*S^-1*R)", "S in R^{n x n} spd; h in R^n; X in R^{n x m}")
KERNEL = (
    "K = a*exp(-D/s) + b*eye(n); 1/2*y'*K^-1*y + 1/2*logdet(K)",
    "D in R^{n x n} symmetric; y in R^n; a, s, b in R",
)


@pytest.mark.parametrize("formula, wrt, has, lacks", [
    (LAYER_NORM, "X, g, W", ["C.dot(W.T)"], ["W.dot(C.T)", "[:, None] * Z.T"]),  # all of it as X lies, C*W' once
    (GAUSSIAN, "S", [".dot(t2.T)"], ["mu - X.T"]),  # S^-1*R once, half of its product with its transpose
    (KERNEL, "a, s, b", ["over=True", "in rt.row_blocks("], [".T.ravel()"]),  # symmetric, and its products only summed
])  # fmt: skip
def test_what_lies_one_way_stays_so(formula, wrt, has, lacks):
    f = matcalc.parse(*formula)
    fn = f.gradient(wrt).compile()
    sizes = {"m": 3000 if "W" in wrt else 1200, "n": 1000, "k": 500}
    source = fn.source_for(**{name: sizes[name] for name in fn._module.sizes})
    assert all(text in source for text in has) and not any(text in source for text in lacks), source
    rng = np.random.default_rng(3)
    for sizes in ({"m": 7, "n": 5, "k": 4}, {"m": 160, "n": 30, "k": 20}):
        shapes = {name: [d.evaluate(sizes) for d in v.shape if d is not ONE] for name, v in f.program.variables.items()}
        given = {name: rng.uniform(0.5, 1.5, size=shape) for name, shape in shapes.items()}
        for name in {"S", "D"} & given.keys():
            given[name] = given[name] + given[name].T + 9 * np.eye(sizes["n"])
        value = f.compile()
        found = fn(**{name: given[name] for name in fn.arguments})
        for name, slope in zip(wrt.split(", "), found if isinstance(found, tuple) else (found,), strict=True):
            way = rng.normal(size=given[name].shape)
            way = (way + way.T) / 2 if name == "S" else way
            ahead, behind = (value(**{**given, name: given[name] + h * way}) for h in (1e-5, -1e-5))
            np.testing.assert_allclose((slope * way).sum(), (ahead - behind) / 2e-5, rtol=1e-5, atol=1e-6)


def test_numbers_go_to_the_scales_of_rows():
    f = matcalc.parse("s*t*diag(x)*A", "s, t in R; x in R^m; A in R^{m x n}")
    fn = f.compile()
    A, x = np.ones((3, 2)), np.arange(3.0)
    np.testing.assert_allclose(fn(s=2.0, t=3.0, x=x, A=A), 6 * x[:, None] * A)
    assert "[:, None] * A" in fn.source


def test_outer_products_by_broadcasting(monkeypatch):
    """Beside products with a square one, of whose columns and rows only the places tell which is which."""
    program = parse("log(1 + x.^2)'*(x*(r'*A))*log(1 + x.^2)", "x in R^n; r in R^m; A in R^{m x n}")
    found = gradient(program.expr, variables([program.expr]))
    outputs = {"value": program.expr} | {f"d{k}": e for k, e in enumerate(found.values())}
    rng = np.random.default_rng(3)
    given = {"x": rng.normal(size=3), "r": rng.normal(size=2), "A": rng.normal(size=(2, 3))}
    expected = compile_numpy(outputs)(**given)
    monkeypatch.setattr(layouts, "_LARGE_OUTER", 0)
    fn = compile_numpy(outputs)
    for a, b in zip(fn(**given), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    assert "[:, None] * " in fn.source_for(n=3, m=2)
