"""Hessians by a matrix of losses of its product with data: blocks ``X'*diag(w)*X``, one after the other."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

import matcalc
from matcalc.dims import ONE
from matcalc.lowering import pieces, product_blocks, runtime, weighted_grams

SIZES = {"m": 7, "n": 5, "k": 3, "h": 4}

DATA = "X in R^{m x n}; W in R^{n x k}; Y, S in R^{m x k}; s in R^m; b in R^k; lambda in R"
NET = "X in R^{n x m}; V in R^{h x n}; W in R^{k x h}; Y in R^{k x m}; v in R^h"

LOSSES = [
    ("Z = X*W; sum(logsumexp(Z, axis=1)) - tr(Y'*Z) + lambda/2*norm2(W)^2", DATA, "W"),
    ("Z = X*W + ones(m)*b'; s'*logsumexp(Z, axis=1) - tr(Y'*Z)", DATA, "W, b"),
    ("norm2(S .* (X*W - Y))^2 + norm2(X*W)^2", DATA, "W"),
    ("norm2(tanh(X*W) - Y)^2", DATA, "W"),
    ("norm2(W*tanh(V*X) - Y)^2", NET, "V"),
    ("Z = W*tanh(V*X); sum(logsumexp(Z, axis=0)) - tr(Y'*Z)", NET, "V"),
    ("sum(softplus(v'*tanh(V*X)))", NET, "V"),
    ("Z = W*tanh(V*X); sum(exp(Z))", NET, "V, W"),
]


def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks however small the matrices are, each of a few rows."""
    monkeypatch.setattr(weighted_grams, "_LEAST", 1)
    monkeypatch.setattr(weighted_grams, "_ENTRIES", 0)
    monkeypatch.setattr(runtime, "_ROWS", 10)
    monkeypatch.setattr(runtime, "_LEAST", 2)


def draw(f: matcalc.Formula, names: tuple[str, ...], kind: type = np.float64) -> dict[str, Any]:
    rng = np.random.default_rng(5)
    shapes = {name: [d for d in f.program.variables[name].shape if d is not ONE] for name in names}
    drawn = {name: rng.standard_normal([d.evaluate(SIZES) for d in shape]) for name, shape in shapes.items()}
    return {name: np.asarray(a, kind) for name, a in drawn.items()}


@pytest.mark.parametrize(("text", "where", "by"), LOSSES)
def test_blocks_are_the_hessian(text: str, where: str, by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    result = matcalc.parse(text, where=where).hessian(by)
    plain = result.compile()
    data = draw(result.of, plain.arguments)
    expected = plain(**data)
    assert "weighted_grams" not in plain.source_for(**{name: SIZES[name] for name in plain._module.sizes})
    always(monkeypatch)
    fn = result.compile()
    source = fn.source_for(**{name: SIZES[name] for name in fn._module.sizes})
    assert "rt.weighted_grams(" in source and "symmetric=False" not in source
    for order in "CF":
        given = {name: np.array(a, order=order) if np.ndim(a) else a for name, a in data.items()}
        np.testing.assert_allclose(fn(**given), expected, rtol=1e-11, atol=1e-11 * abs(expected).max())
    single = fn(**draw(result.of, fn.arguments, np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, rtol=1e-3, atol=1e-4 * abs(expected).max())


def test_blocks_need_not_be_symmetric(monkeypatch: pytest.MonkeyPatch) -> None:
    where = "P, Q in R^{k x m}; X in R^{n x m}"
    f = matcalc.parse("khatri_rao(P, X)*khatri_rao(Q, X)' + kron(ones(k)*ones(k)', eye(n))", where=where)
    always(monkeypatch)
    fn = f.compile()
    data = draw(f, fn.arguments)
    assert "symmetric=False" in fn.source_for(**{name: SIZES[name] for name in fn._module.sizes})
    left, right = (runtime.khatri_rao(data[name], data["X"]) for name in "PQ")
    expected = left.dot(right.T) + np.kron(np.ones((3, 3)), np.eye(5))
    np.testing.assert_allclose(fn(**data), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.complex128])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("rows", [0, 1, 30])
def test_weights_of_any_sign(kind: type, order: Any, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    monkeypatch.setattr(runtime, "_LEAST", 4)
    monkeypatch.setattr(runtime, "_ROWS", 1)
    x = np.array(rng.standard_normal((rows, 5)), kind, order=order)
    for w in (rng.uniform(0.5, 1, rows), rng.uniform(-1, -0.5, rows), rng.uniform(-1, 1, rows), np.zeros(rows)):
        w = w.astype(kind)
        out = np.full((1, 1, 5, 5), 3, kind)
        expected = x.T.dot(w[:, None] * x)
        for adding in (True, False):
            runtime.weighted_grams(out, x, diagonal=lambda i, w=w: w, adding=adding)
            np.testing.assert_allclose(out[0, 0], expected + 3 * adding, rtol=1e-5, atol=1e-5)


def test_nothing_as_large_as_the_hessian_is_there_beside_it() -> None:
    text, where, _ = LOSSES[0]
    fn = matcalc.parse(text, where=where).hessian("W").compile()
    rng = np.random.default_rng(1)
    for order, m, n, k in (("C", 200, 120, 5), ("F", 200, 120, 5), ("C", 600, 30, 40)):
        X = np.array(rng.standard_normal((m, n)), order=order)
        given = {"X": X, "W": rng.standard_normal((n, k)), "lambda": 0.5}
        fn(**given)
        tracemalloc.start()
        result = fn(**given)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1.2 * result.nbytes + 0.2 * X.nbytes


@pytest.mark.parametrize(("text", "where", "by"), LOSSES)
def test_few_columns_are_multiplied_by_blocks_of_rows(
    text: str, where: str, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = matcalc.parse(text, where=where).hessian(by)
    plain = result.compile()
    data = draw(result.of, plain.arguments)
    expected = plain(**data)
    monkeypatch.setattr(product_blocks, "_ENTRIES", 0)
    monkeypatch.setattr(product_blocks, "_COLUMNS", 1)
    monkeypatch.setattr(runtime, "_ROWS", 10)
    monkeypatch.setattr(runtime, "_LEAST", 2)
    fn = result.compile()
    assert "rt.khatri_rao_" in fn.source_for(**{name: SIZES[name] for name in fn._module.sizes})
    for order in "CF":
        given = {name: np.array(a, order=order) if np.ndim(a) else a for name, a in data.items()}
        np.testing.assert_allclose(fn(**given), expected, rtol=1e-11, atol=1e-11 * abs(expected).max())
    assert fn(**draw(result.of, fn.arguments, np.float32)).dtype == np.float32


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.complex128])
@pytest.mark.parametrize("columns", [0, 1, 300])
def test_products_of_rows(kind: type, columns: int) -> None:
    rng = np.random.default_rng(3)
    a, b, c, d = (rng.standard_normal((rows, columns)).astype(kind) for rows in (2, 3, 4, 5))
    left = np.einsum("ir,jr->ijr", a, b).reshape(6, columns)
    right = np.einsum("ir,jr->ijr", c, d).reshape(20, columns)
    for got, expected in (
        (runtime.khatri_rao_dot(a, b, c, d), left.dot(right.T)),
        (runtime.khatri_rao_dot(a, b, c), left.dot(c.T)),
        (runtime.khatri_rao_gram(a, b), left.dot(left.T)),
    ):
        assert got.dtype == kind and got.flags.c_contiguous
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)


def test_products_are_added_to_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    where = "Q in R^{n x k}; K in R^{n x m}; V in R^{h x m}; C in R^{h x k}"
    f = matcalc.parse("tr(C'*V*softmax(K'*Q))", where=where)
    result = f.hessian("K")
    plain = result.compile()
    data = draw(f, plain.arguments)
    expected = plain(**data)
    monkeypatch.setattr(pieces, "_ADDED", 0)
    fn = result.compile()
    assert "out = rt.add_product(out, " in fn.source_for(**SIZES)
    for order in "CF":
        given = {name: np.array(a, order=order) for name, a in data.items()}
        np.testing.assert_allclose(fn(**given), expected, rtol=1e-11, atol=1e-12)


def test_small_blocks_are_one_product() -> None:
    text, where, _ = LOSSES[0]
    fn = matcalc.parse(text, where=where).hessian("W").compile()
    assert "weighted_grams" in fn.source_for(m=800, n=250, k=4)
    assert "weighted_grams" not in fn.source_for(m=150, n=40, k=4)
