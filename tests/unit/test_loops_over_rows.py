"""Loops over blocks of rows that give several results, against the code without them."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest

import matcalc
from matcalc.calculus.gradient import gradient
from matcalc.checks.sampling import NoSizes, draw_sizes, draw_value
from matcalc.errors import MatcalcError
from matcalc.expr import variables
from matcalc.lowering import layouts, row_blocks, runtime
from matcalc.lowering.compiled import compile_numpy
from matcalc.simplify import simplify_all
from tests.properties.generate import scalar

WHERE = (
    "X in R^{m x n}; w, g, h in R^n; y, b in R^m; s in R positive; W in R^{n x k}; Y, C in R^{m x k}; U in R^{m x k}; "
    "V in R^{n x k}; A in R^{m x n}; P, Q in R^{n x n}"
)
SIZES = {"m": 37, "n": 5, "k": 3}
LOGISTIC = "sum(log(1 + exp(X*w))) - y'*X*w + s/2*w'*w"
LAYER_NORM = (
    "Z = X - mean(X, 1)*ones(n)'; N = Z ./ (sqrt(mean(Z.^2, 1) + s)*ones(n)'); tr(C'*(N*diag(g) + ones(m)*h')*W)"
)


@pytest.fixture(params=[1, 12])
def small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of one or few rows, wherever they are possible."""
    for name in ("_ENTRIES", "_ENTRIES_COMPUTED"):
        monkeypatch.setattr(row_blocks, name, 0)
    monkeypatch.setattr(row_blocks, "_SLENDER", 10**9)
    monkeypatch.setattr(layouts, "_LARGE_OUTER", 0)
    monkeypatch.setattr(runtime, "_ROWS", request.param)


def arrays(f: matcalc.Formula, names: tuple[str, ...]) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    shapes = {v.op.name: v.shape for v in variables([f.expr])}
    given = {}
    for name in names:
        shape = [d.evaluate(SIZES) for d in shapes[name] if d.names]
        given[name] = rng.uniform(0.3, 1.2, size=shape) if shape else 0.7
    return given


def compared(f: matcalc.Formula, fn: Any) -> str:
    """The results against those of the code for all sizes; gives the code for these."""
    given = arrays(f, fn.arguments)
    space: dict[str, Any] = {}
    exec(fn.source, space)
    expected = space[fn._module.name](**given)
    before = {name: np.copy(a) for name, a in given.items()}
    for order in (np.ascontiguousarray, np.asfortranarray):
        found = fn(**{name: order(a) if np.ndim(a) else a for name, a in given.items()})
        for a, b in zip(*(r if isinstance(r, tuple) else (r,) for r in (found, expected)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
    assert all(np.array_equal(before[name], given[name]) for name in given)
    single = fn(**{name: np.float32(a) for name, a in given.items()})
    assert all(np.asarray(a).dtype == np.float32 for a in (single if isinstance(single, tuple) else (single,)))
    return str(fn.source_for(**{name: SIZES[name] for name in fn._module.sizes}))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("text, wrt, loops", [
    (LOGISTIC, "w", 1),  # value, gradient and Hessian: X is read once
    ("norm2(A .* (U*V' - X))^2 + s*norm2(U)^2", "U, V", 1),  # the residuals are never there
    (LAYER_NORM, "X, g, W", 1),
    ("b'*tanh((A + X)*sigmoid(P*w + g))", "A, w", 1),  # A + X is never there
    ("sum(tanh(X*W)*(W'*w)) + sum((X*W).^2)", "W", 1),
    ("norm2((X - ones(m)*mean(X, 0))*W - Y)^2", "W, X", 1),  # the mean of the columns comes before the loop
    ("sum(exp((X - ones(m)*(ones(m)'*exp(X)))/9))", "X", 2),  # and sums of what is computed, in a loop of their own
    ("sum(tanh(P + Q)*tanh(P + Q)) + sum((P + Q)*exp(P + Q))", "P", 1),  # rows and whole of the same
])  # fmt: skip
def test_results_are_those_of_the_code_without_blocks(text: str, wrt: str, loops: int) -> None:
    f = matcalc.parse(text, WHERE)
    source = compared(f, f.gradient(wrt).compile(value=True))
    assert source.count("in rt.row_blocks(") >= loops, source


@pytest.mark.usefixtures("small")
def test_rows_of_different_arrays_are_not_mixed() -> None:
    """The products with U have as many rows as U, those with V as many as V, and both meet sums over either."""
    f = matcalc.parse("norm2(A - U*G*V')^2", "A in R^{m x n}; U in R^{m x k}; V in R^{n x k}; G in R^{k x k} symmetric")
    rng = np.random.default_rng(5)
    shapes = {"A": (40, 33), "U": (40, 2), "V": (33, 2), "G": (2, 2)}
    shapes |= {f"V_{name}": shapes[name] for name in "UVG"}
    given = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    for name in ("G", "V_G"):
        given[name] = given[name] + given[name].T
    for fn in (f.hvp("U, G, V").compile(), f.hvp("U, G, V").compile(value=True, gradient=True)):
        space: dict[str, Any] = {}
        exec(fn.source, space)
        for a, b in zip(fn(**given), space[fn._module.name](**given), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.usefixtures("small")
def test_newtons_method_reads_the_matrix_once() -> None:
    f = matcalc.parse(LOGISTIC, WHERE)
    source = compared(f, f.hessian("w").compile(value=True, gradient=True))
    assert source.count("in rt.row_blocks(") == 1 and source.count("X[rows]") == 1, source


@pytest.mark.usefixtures("small")
def test_a_result_takes_the_memory_of_a_product_that_nothing_needs_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    f = matcalc.parse(LAYER_NORM, WHERE)
    for name, value in (("_LONG", 0), ("_ENTRIES_OF_BLOCK", 0), ("_ROWS_ADDED", 1)):  # C*W' is left to BLAS
        monkeypatch.setattr(row_blocks, name, value)
    source = compared(f, f.gradient("X, g, W").compile())
    assert "    t1 = C.dot(W.T)\n" in source and "    d_X = t1\n" in source, source


def test_rows_that_others_need_are_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """``B`` and ``B'`` both go by rows: neither may be written over the other."""
    monkeypatch.setattr(row_blocks, "_ENTRIES", 0)
    f = matcalc.parse("B = A*X'*X*Q; tr(B*X'*X) + tr(B)", WHERE.replace("A in R^{m x n}", "A in R^{n x n}"))
    compared(f, f.gradient("X").compile(value=True))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("seed", range(60))
def test_random_expressions(seed: int) -> None:
    f = scalar(seed, depth=2 + seed % 4)
    wrt = variables([f])
    found = simplify_all([*gradient(f, wrt).values()])
    outputs = {"value": f} | {f"d{k}": e for k, e in enumerate(found)}
    rng = Random(seed)
    try:
        sizes = draw_sizes([f, *found], rng)
        fn = compile_numpy(outputs, wrt)
    except (NoSizes, MatcalcError):
        pytest.skip("nothing to compute")
    given = {}
    for v in wrt:
        a = draw_value(v, sizes, rng, scale=0.5, positive=bool(seed % 2)).astype(float)
        given[v.op.name] = float(a[0, 0]) if v.is_scalar else a.ravel() if 1 in (v.is_row, v.is_column) else a
    given |= {name: sizes[name] for name in fn.arguments if name not in given}  # dimensions that no argument has
    space: dict[str, Any] = {}
    exec(fn.source, space)
    with np.errstate(all="ignore"):
        for a, b in zip(fn(**given), space[fn._module.name](**given), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-7 * max(1.0, float(np.abs(b).max(initial=0.0))))
