"""Sums over the rows of a large matrix, block by block."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import matcalc
from matcalc.dims import ONE
from matcalc.lowering import product_blocks, row_blocks, runtime

WHERE = "X in R^{m x n}; w, v in R^n; y, b in R^m; s in R; W in R^{n x k}; Y in R^{m x k}"
SCALED = {"A": (9, 5), "d": 5, "B": (5, 5), "C": (9, 5)}
LOGISTIC = "sum(log(1 + exp(X*w))) - y'*X*w + s/2*w'*w"


def draw(f: matcalc.Formula, names: tuple[str, ...], sizes: dict[str, int]) -> dict[str, Any]:
    rng = np.random.default_rng(7)
    variables = {**f.program.variables}
    shapes = {name: [d for d in variables[name].shape if d is not ONE] for name in names if name in variables}
    return {name: rng.normal(size=[d.evaluate(sizes) for d in shape]) for name, shape in shapes.items()}


def peak(call: Callable[[], Any]) -> int:
    """The most bytes that a call has allocated at a time, after a first one."""
    call()
    tracemalloc.start()
    call()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def compared(f: matcalc.Formula, result: Any, monkeypatch: pytest.MonkeyPatch, **sizes: int) -> None:
    """The code in blocks, of a few rows each, against the code without."""
    monkeypatch.setattr(row_blocks, "_ENTRIES", 0)
    monkeypatch.setattr(runtime, "_ROWS", 12)
    fn = result.compile()
    source = fn.source_for(**{name: sizes[name] for name in fn._module.sizes})
    assert "rt.row_blocks(X" in source
    arrays = draw(f, fn.arguments, sizes)
    for name in set(fn.arguments) - arrays.keys():  # a direction
        arrays[name] = np.random.default_rng(8).normal(size=sizes["n"])
    space: dict[str, Any] = {}
    exec(fn.source, space)
    expected = space[fn._module.name](**arrays)
    np.testing.assert_allclose(fn(**arrays), expected, rtol=1e-9, atol=1e-9)
    single = {name: np.float32(a) for name, a in arrays.items()}
    assert fn(**single).dtype == np.float32


@pytest.mark.parametrize("what", ["gradient", "hessian", "hvp"])
@pytest.mark.parametrize("rows", [64, 65])
def test_logistic_regression(what: str, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    f = matcalc.parse(LOGISTIC, WHERE)
    compared(f, getattr(f, what)("w"), monkeypatch, m=rows, n=5)


@pytest.mark.parametrize("text", [
    "norm2(X*w - b)^2", "sum(tanh(X*w).^2 .* y)", "sum(softplus(X*w) .* (b + y)) + s*sum(X*w)",
    "norm2(diag(y)*X*w - b)^2", "-b'*log(sigmoid(X*w)) + norm2(w)^2", "sum(exp(X*w) .* (X*v))",
])  # fmt: skip
def test_gradients(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    f = matcalc.parse(text, WHERE)
    compared(f, f.gradient("w"), monkeypatch, m=37, n=4)


def test_softmax_regression(monkeypatch: pytest.MonkeyPatch) -> None:
    f = matcalc.parse("-sum(Y .* log_softmax(X*W, 1))", WHERE)
    compared(f, f.gradient("W"), monkeypatch, m=90, n=4, k=3)


def test_only_large_matrices_that_are_read_twice_go_by_blocks() -> None:
    f = matcalc.parse(LOGISTIC, WHERE)
    fn = f.gradient("w").compile()
    assert "row_blocks" in fn.source_for(m=20_000, n=500)
    assert "row_blocks" not in fn.source_for(m=200, n=50)
    once = matcalc.parse("y'*X*w", WHERE).gradient("w").compile()
    assert once.source_for() == once.source
    both = f.gradient("w").compile(value=True)
    assert "row_blocks" not in both.source_for(m=10, n=10) and "row_blocks" in both.source_for(m=20_000, n=500)


def test_blocks_cover_all_rows() -> None:
    for rows, columns, least in [(0, 5, 1), (1, 5, 1), (100_000, 3, 1), (100_000, 900, 1), (70, 900, 40), (5, 0, 2)]:
        a = np.empty((rows, columns))
        blocks = list(runtime.row_blocks(a, least, columns))
        assert sum(len(a[b]) for b in blocks) == rows
        assert all(len(a[b]) >= min(least, rows) for b in blocks[:-1])


@pytest.mark.parametrize("wrt, how", [("U", ", product[rows])"), ("V", "rt.add_product(")])
@pytest.mark.parametrize("text", ["norm2(M .* (U*V' - X))^2", "sum(exp(U*V') .* X)", "sum(tanh(U*V'))"])
def test_matrices_computed_entry_by_entry_are_never_there_as_a_whole(
    text: str, wrt: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    f = matcalc.parse(text, "U in R^{m x k}; V in R^{n x k}; X, M in R^{m x n}")
    monkeypatch.setattr(row_blocks, "_ENTRIES", 0)
    monkeypatch.setattr(runtime, "_ROWS", 12)
    sizes = {"m": 47, "n": 5, "k": 3}
    fn = f.gradient(wrt).compile()
    assert how in fn.source_for(**sizes)
    arrays = draw(f, fn.arguments, sizes)
    space: dict[str, Any] = {}
    exec(fn.source, space)
    np.testing.assert_allclose(fn(**arrays), space[fn._module.name](**arrays), rtol=1e-9, atol=1e-9)
    assert fn(**{name: np.float32(a) for name, a in arrays.items()}).dtype == np.float32
    steps = fn(**{**arrays, "U": arrays["U"] + 1e-20j, **{n: a + 0j for n, a in arrays.items() if n != "U"}})
    np.testing.assert_allclose(steps.real, fn(**arrays), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("text", ["logsumexp(X*w)", "norm2(X*w - y)", "sum(sqrt(1 + (X*w - b).^2) .* y)"])
def test_vectors_that_others_need_are_taken_block_by_block(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_blocks, "_ROWS_ADDED", 3)
    f = matcalc.parse(text, WHERE)
    result = f.hessian("w")
    compared(f, result, monkeypatch, m=37, n=4)
    rng = np.random.default_rng(3)
    X = rng.standard_normal((800, 700))
    given = {"X": X, "w": rng.standard_normal(700), "y": rng.standard_normal(800), "b": rng.standard_normal(800)}
    monkeypatch.undo()
    fn = result.compile()
    for order in "CF":
        call = partial(fn, **{name: np.array(given[name], order=order) for name in fn.arguments})
        call()
        assert peak(call) < 1.2 * (call().nbytes + X.nbytes) - X.nbytes


@pytest.mark.parametrize("order", ["C", "F"])
def test_of_a_scaled_factor_there_is_no_copy(order: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fn = (
        matcalc.parse("x + V*tanh(W*x + b)", "V in R^{n x h}; W in R^{h x n}; x in R^n; b in R^h")
        .jacobian("x")
        .compile()
    )
    rng = np.random.default_rng(4)
    n, h = 800, 600
    V, W = np.array(rng.standard_normal((n, h)), order=order), np.array(rng.standard_normal((h, n)), order=order)
    call = partial(fn, x=rng.standard_normal(n), V=V, W=W, b=rng.standard_normal(h))
    slope = 1 - np.tanh(W.dot(call.keywords["x"]) + call.keywords["b"]) ** 2
    result = call()
    np.testing.assert_allclose(result, np.eye(n) + V.dot(slope[:, None] * W), rtol=1e-9, atol=1e-9)
    assert peak(call) < 1.2 * (result.nbytes + V.nbytes + W.nbytes) - V.nbytes - W.nbytes
    monkeypatch.setattr(product_blocks, "_ENTRIES", 0)
    monkeypatch.setattr(product_blocks, "_ROWS", 2)
    for kind, digits in ((np.float32, 1e-5), (np.complex128, 1e-12)):
        f = matcalc.parse("A*diag(d)*B + C", "A, C in R^{m x n}; d in R^n; B in R^{n x n}").compile()
        arrays = {name: rng.standard_normal(shape).astype(kind) for name, shape in SCALED.items()}
        arrays = {name: np.array(a, order=order) for name, a in arrays.items()}
        A, d, B, C = (arrays[name] for name in "AdBC")
        found = f(**arrays)
        assert "rt.row_blocks(A" in f.source_for(m=9, n=5) and found.dtype == kind
        np.testing.assert_allclose(found, (A * d).dot(B) + C, rtol=digits, atol=digits)


@pytest.mark.parametrize("orders", ["CC", "CF", "FC", "FF"])
@pytest.mark.parametrize("kind", [np.float64, np.float32, np.complex128])
@pytest.mark.parametrize("inside", [0, 1, 6])
def test_products_are_added_in_any_order_of_entries(orders: str, kind: type, inside: int) -> None:
    rng = np.random.default_rng(1)
    a = np.array(rng.standard_normal((4, inside)), kind, order=orders[0])  # type: ignore[call-overload]
    b = np.array(rng.standard_normal((inside, 3)), kind, order=orders[1])  # type: ignore[call-overload]
    for factor in (1, -1):
        total = np.full((4, 3), 2, kind)
        found = runtime.add_product(total, a, b, factor)
        assert np.shares_memory(found, total)
        np.testing.assert_allclose(found, 2 + factor * a.dot(b), rtol=1e-5, atol=1e-5)
    total = np.zeros((3, 3), kind)
    np.testing.assert_allclose(runtime.mirrored(runtime.add_gram(total, b)), b.T.dot(b), rtol=1e-5, atol=1e-5)


def test_what_nothing_needs_is_freed_before_another_matrix_is_made() -> None:
    fn = matcalc.parse("c'*tanh(V*sigmoid(W*x))", "c, x in R^n; V, W in R^{n x n}").hessian("x").compile()
    rng = np.random.default_rng(4)
    n = 300
    shapes = {name: (n, n) if name in "VW" else (n,) for name in fn.arguments}
    call = partial(fn, **{name: rng.standard_normal(shape) for name, shape in shapes.items()})
    assert peak(call) < 3.5 * call().nbytes


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.complex128])
def test_symmetric_products_are_added_up(kind: type) -> None:
    rng = np.random.default_rng(0)
    for n in (1, 3, 70, 150):
        total, a = np.zeros((n, n), kind), rng.normal(size=(11, n)).astype(kind)
        for part in (a[:4], a[4:], a[:0]):
            total = runtime.add_gram(total, part)
        np.testing.assert_allclose(runtime.mirrored(total), a.T.dot(a), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("m", [1, 2, 3, 9, 40])
def test_a_matrix_scaled_between_two_is_right_for_few_rows_too(m: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product_blocks, "_ENTRIES", 0)
    monkeypatch.setattr(product_blocks, "_ROWS", 2)
    rng = np.random.default_rng(0)
    a, d, b = rng.normal(size=(m, 7)), rng.normal(size=7), rng.normal(size=(7, min(m, 5)))
    fn = matcalc.parse("A*(diag(d)*B)", "A in R^{m x n}; d in R^n; B in R^{n x p}").compile()
    np.testing.assert_allclose(fn(A=a, d=d, B=b), a.dot(d[:, None] * b), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("batch", ["X", "Y", "X, Y"])
def test_quotients_of_products_of_rows_are_no_products(batch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product_blocks, "_ENTRIES", 0)
    monkeypatch.setattr(row_blocks, "_ENTRIES", 0)
    text = "sum((sqrt(1 + (((1 + X.^2).^(-0.5) - 1/3*Y) ./ (1 + (X*X'*X).^2)).^2)).^2)"
    g = matcalc.parse(text, "X, Y in R^{m x n}").gradient("Y", "X")
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=(2, 3, 3)) if name in batch else rng.normal(size=(3, 3)) for name in "XY"}
    found = g.compile(batch=batch)(**arrays)
    for k in range(2):
        one = g.compile()(**{name: a[k] if name in batch else a for name, a in arrays.items()})
        for items, item in zip(found, one, strict=True):
            np.testing.assert_allclose(items[k], item, rtol=1e-10)
