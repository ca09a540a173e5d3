"""Sums over the rows of a large matrix, block by block."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import matcalc
from matcalc.dims import ONE
from matcalc.lowering import row_blocks, runtime

WHERE = "X in R^{m x n}; w, v in R^n; y, b in R^m; s in R; W in R^{n x k}; Y in R^{m x k}"
LOGISTIC = "sum(log(1 + exp(X*w))) - y'*X*w + s/2*w'*w"


def draw(f: matcalc.Formula, names: tuple[str, ...], sizes: dict[str, int]) -> dict[str, Any]:
    rng = np.random.default_rng(7)
    variables = {**f.program.variables}
    shapes = {name: [d for d in variables[name].shape if d is not ONE] for name in names if name in variables}
    return {name: rng.normal(size=[d.evaluate(sizes) for d in shape]) for name, shape in shapes.items()}


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
    both = f.gradient("w").compile(value=True)  # the whole of X*w is needed for the value
    assert all("row_blocks" not in both.source_for(**dict.fromkeys(both._module.sizes, k)) for k in (10, 100_000))


def test_blocks_cover_all_rows() -> None:
    for rows, columns, least in [(0, 5, 1), (1, 5, 1), (100_000, 3, 1), (100_000, 900, 1), (70, 900, 40), (5, 0, 2)]:
        a = np.empty((rows, columns))
        blocks = list(runtime.row_blocks(a, least, columns))
        assert sum(len(a[b]) for b in blocks) == rows
        assert all(len(a[b]) >= min(least, rows) for b in blocks[:-1])


@pytest.mark.parametrize("wrt, how", [("U", "out[rows] ="), ("V", "rt.add_product(")])
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


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.complex128])
def test_symmetric_products_are_added_up(kind: type) -> None:
    rng = np.random.default_rng(0)
    for n in (1, 3, 70, 150):
        total, a = np.zeros((n, n), kind), rng.normal(size=(11, n)).astype(kind)
        for part in (a[:4], a[4:], a[:0]):
            total = runtime.add_gram(total, part)
        np.testing.assert_allclose(runtime.mirrored(total), a.T.dot(a), rtol=1e-4, atol=1e-4)
