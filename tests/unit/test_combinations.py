"""Sums that are partly of low rank or diagonal: their code, and its numbers against NumPy typed by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import matcalc
from matcalc.dims import ONE
from matcalc.lowering import runtime

WHERE = "A, B in R^{n x n}; S in R^{n x n} symmetric; M in R^{m x n}; x, y, z, d in R^n; u, v in R^m; s, t in R"


def draw(f: matcalc.Formula, names: tuple[str, ...], seed: int = 3, **sizes: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    shapes = {name: [k for k in f.program.variables[name].shape if k is not ONE] for name in names}
    arrays = {name: rng.normal(size=[k.evaluate(sizes) for k in shape]) for name, shape in shapes.items()}
    if "S" in arrays:
        arrays["S"] += arrays["S"].T.copy()
    return {name: a if a.ndim else float(a) for name, a in arrays.items()}


CASES = {
    "x*y' + z*d'": lambda x, y, z, d: np.outer(x, y) + np.outer(z, d),
    "x*y' - x*z'": lambda x, y, z: np.outer(x, y - z),
    "s*(A - (x*y' + t*z*x')/3)": lambda s, A, x, y, t, z: s * (A - (np.outer(x, y) + t * np.outer(z, x)) / 3),
    "2*A + x*y' + 3*I": lambda A, x, y: 2 * A + np.outer(x, y) + 3 * np.eye(len(x)),
    "A - B + x*x' - diag(d)": lambda A, B, x, d: A - B + np.outer(x, x) - np.diag(d),
    "S*x*y' + y*x'*S + s*S": lambda S, x, y, s: np.outer(S @ x, y) + np.outer(y, S @ x) + s * S,
    "M*(diag(d) + x*y')": lambda M, d, x, y: M @ (np.diag(d) + np.outer(x, y)),
    "(diag(d) - s*x*ones(n)')*M'": lambda d, s, x, M: (np.diag(d) - s * x[:, None]) @ M.T,
    "(diag(d) + x*y' + 2*z*x')*y": lambda d, x, y, z: (np.diag(d) + np.outer(x, y) + 2 * np.outer(z, x)) @ y,
    "y'*(s*I - x*x'/(x'*x))": lambda y, s, x: (y @ (s * np.eye(len(x)) - np.outer(x, x) / (x @ x)))[None],
    "(x*y' + diag(d))*(z*x' - I)": lambda x, y, d, z: (np.outer(x, y) + np.diag(d)) @ (np.outer(z, x) - np.eye(len(x))),
    "(A + x*y')*z": lambda A, x, y, z: (A + np.outer(x, y)) @ z,
    "t*(s*(A + x*y') + z*d')./3": lambda t, s, A, x, y, z, d: t * (s * (A + np.outer(x, y)) + np.outer(z, d)) / 3,
    "u*x' + v*y' - M": lambda u, x, v, y, M: np.outer(u, x) + np.outer(v, y) - M,
    "ones(n)*x' + y*ones(n)' + z*z'": lambda x, y, z: x + y[:, None] + np.outer(z, z),
}  # fmt: skip


@pytest.mark.parametrize("order", [4, 150])
@pytest.mark.parametrize("text", CASES)
def test_sums_with_outer_products(text: str, order: int) -> None:
    f = matcalc.parse(text, WHERE)
    fn = f.compile()
    arrays = draw(f, fn.arguments, n=order, m=order + 3)
    wanted = CASES[text]
    names = wanted.__code__.co_varnames[: wanted.__code__.co_argcount]
    before = {name: np.copy(a) for name, a in arrays.items()}
    expected = wanted(*(arrays[name] for name in names))
    np.testing.assert_allclose(fn(**arrays), expected, rtol=1e-10, atol=1e-10)
    single = {name: np.float32(a) for name, a in arrays.items()}
    np.testing.assert_allclose(fn(**single), expected, rtol=1e-3, atol=1e-2)
    assert fn(**single).dtype == np.float32
    assert all((before[name] == arrays[name]).all() for name in arrays)


def body(text: str) -> str:
    return matcalc.parse(text, WHERE).compile().source.split('"""')[2]


def test_outer_products_are_one_product_of_slender_matrices() -> None:
    assert "np.array((x, z)).T.dot(np.array((y, d)))" in body("x*y' + z*d'")
    assert body("x*y' - x*z'").count("dot(") == 1
    assert "rt.plus_outers(" in body("s*(A - (x*y' + t*z*x'))")


def test_no_matrix_is_formed_for_a_product_with_a_sum_of_low_rank() -> None:
    source = body("M*(diag(d) + x*y')")
    assert "np.diag(" not in source and source.count("dot(") == 1
    assert "None" not in body("(diag(d) + x*y')*z")


def test_a_product_with_a_symmetric_matrix_is_the_same_from_both_sides() -> None:
    assert body("x'*S*x*y + (x'*S)'").count("rt.symmetric_dot(S, x)") == 1


@pytest.mark.parametrize("order", [3, 200])
@pytest.mark.parametrize("layout", ["C", "F", "strided"])
def test_blas_keeps_what_it_is_given(order: int, layout: str) -> None:
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(order, 2 * order))
    a = wide[:, ::2] if layout == "strided" else np.array(wide[:, :order], order=layout)  # type: ignore[call-overload]
    left, right, x = rng.normal(size=(2, order)), rng.normal(size=(2, order)), rng.normal(size=order)
    before = a.copy()
    expected = 2.5 * a + left.T @ right
    np.testing.assert_allclose(runtime.plus_outers(2.5, a, left, right), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(runtime.plus_outers(2.5, a.copy(), left, right, over=True), expected, atol=1e-12)
    symmetric = np.array(a + a.T, order="C" if layout == "strided" else layout)  # type: ignore[call-overload]
    np.testing.assert_allclose(runtime.symmetric_dot(symmetric, x), symmetric @ x, rtol=1e-10, atol=1e-10)
    np.testing.assert_array_equal(a, before)
