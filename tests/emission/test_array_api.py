"""Callables for whatever follows the array API standard, tested with its strict implementation."""

from __future__ import annotations

import numpy as np
import pytest

import matcalc
from matcalc.errors import ArgumentError
from matcalc.facts import INTEGER, has
from matcalc.lowering.planned import input_name, inputs
from tests.emission.compare import LABELS, differences, labelled, outputs_of, problems, random_derivatives

pytest.importorskip("array_api_compat")
xp = pytest.importorskip("array_api_strict")


def agrees(outputs, arguments, options, seed) -> None:
    try:
        found = differences("array-api", outputs, arguments, options, seed, xp.asarray, np.from_dlpack)
    except ArgumentError as e:
        if "depends on no array" not in str(e):
            raise
        return
    if found is not None:
        assert found[0] < 1e-8, found[1]


@pytest.mark.parametrize("name", list(problems())[::11])
def test_numbers_of_numpy(name: str) -> None:
    given = outputs_of(problems()[name])
    if given is None:
        pytest.skip("nothing is derived")
    agrees(*given, name)


@pytest.mark.parametrize("seed", range(25))
def test_numbers_of_numpy_on_random_derivatives(seed: int) -> None:
    for e in random_derivatives(seed):
        agrees(e, None, {"subgradient": True}, seed)


@pytest.mark.parametrize("seed", range(100, 110))
def test_numbers_of_numpy_on_batches(seed: int) -> None:
    for e in random_derivatives(seed):
        names = [input_name(x) for x in inputs([e]) if not has(x, INTEGER)]
        if names:
            agrees(e, None, {"subgradient": True, "batch": tuple(names[::2])}, seed)


@pytest.mark.parametrize(
    ("text", "kind", "wrt", "where"),
    [
        ("A*X*B", "jacobian", "X", None),
        ("X^-1", "jacobian", "X", None),
        ("expm(X)", "jacobian", "X", None),
        ("tanh(W*x + b)", "jacobian", "W, b, x", None),
        ("X .* X'", "jacobian", "X", None),
        ("diag(x)*A*diag(x)", "jacobian", "x", None),
        ("conv(K, X)", "jacobian", "X", "K in R^{k x l}; X in R^{m x n}"),
        ("vcat(A*x, x)", "jacobian", "x", None),
        ("norm2(U*V' - A)^2", "hessian", "U, V", "A in R^{m x n}; U in R^{m x k}; V in R^{n x k}"),
        ("softmax(x)", "hessian", "x", "x in R^n"),
        ("sum(i=1:n, x[i]^3*exp(x[i]*a))", "hessian", "x", "x in R^n; a in R"),
        ("sum(gelu(X*w)) + det(X'*X)", "gradient", "X", "X in R^{m x n}"),
        ("sum(max(A, 0)) + sum(logsumexp(A))", "gradient", "A", "A in R^{m x n}"),
        ("kron(A, B)", "jacobian", "A", "A in R^{m x n}; B in R^{p x q}"),
        ("1/(1 + tr(sigmoid(X))^2)", "hessian", "X", "X in R^{n x n}"),
        ("norm2(x.^3)^2 + sigmoid(a)", "hessian", "x, a", "x in R^n; a in R"),
        ("khatri_rao(A, B)", "jacobian", "A, B", "A in R^{m x n}; B in R^{p x n}"),
    ],
)
def test_every_structure_has_a_form_without_writing_into_arrays(text, kind, wrt, where) -> None:
    agrees(*outputs_of({"text": text, "kind": kind, "wrt": wrt, "where": where}), text)


def test_device_and_precision_follow_the_arguments() -> None:
    device = xp.Device("device1")
    g = matcalc.hessian("norm2(A*x - b)^2 + norm2(x)^2", "x").compile(library="array-api")
    found = (
        g(A=xp.ones((3, 2), dtype=xp.float32, device=device), x=None)
        if "x" in g.arguments
        else g(A=xp.ones((3, 2), dtype=xp.float32, device=device))
    )
    assert found.device == device
    assert found.dtype == xp.float32
    j = matcalc.jacobian("tanh(W*x + b)", "W, b").compile(library="array-api")
    made = {"W": (3, 2), "x": (2,), "b": (3,)}
    found = j(**{name: xp.ones(shape, device=device) for name, shape in made.items()})
    assert found.device == device


def test_errors_say_what_is_wrong() -> None:
    g = matcalc.gradient("norm2(A*x - b)^2", "x").compile(library="array-api")
    with pytest.raises(ArgumentError, match="A must be an array that follows"):
        g(A=[[1.0]], x=xp.ones(1), b=xp.ones(1))
    with pytest.raises(ArgumentError, match="several libraries"):
        g(A=np.ones((1, 1)), x=xp.ones(1), b=xp.ones(1))
    with pytest.raises(ArgumentError, match="is no array library"):
        matcalc.gradient("x'*x", "x").compile(library="tensorflow")


def test_arrays_of_numpy_are_taken_too() -> None:
    g = matcalc.gradient("norm2(A*x - b)^2", "x")
    given = {"A": np.eye(3) + 1, "x": np.arange(3.0), "b": np.ones(3)}
    np.testing.assert_allclose(g.compile(library="array-api")(**given), g.compile()(**given))


def test_errors_about_batches_and_derivatives() -> None:
    g = matcalc.gradient("norm2(A*x - b)^2", "x").compile(library="array-api", batch="b")
    with pytest.raises(ArgumentError, match="b must be a batch of vectors"):
        g(A=np.eye(2), x=np.ones(2), b=np.ones(2))
    for library in ("numpy", "dask"):
        with pytest.raises(ArgumentError, match="a function with its own derivative is not written"):
            matcalc.parse("x'*x").compile(library=library, wrt="x")


@pytest.mark.parametrize("row", LABELS, ids=str)
def test_labels_of_a_batch_are_taken_at_once(row: tuple[str, str, str, str]) -> None:
    labelled("array-api", row, xp.asarray, np.from_dlpack)
