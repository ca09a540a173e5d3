"""Callables for JAX: compiled, the numbers of NumPy's, and closed forms as the derivative that jax.grad takes."""

from __future__ import annotations

import numpy as np
import pytest

import matcalc
from matcalc.errors import ArgumentError
from tests.emission.compare import LABELS, differences, labelled, outputs_of, problems

jax = pytest.importorskip("jax")
jax.config.update("jax_enable_x64", True)
jnp = jax.numpy

LOGISTIC = "sum(log(1 + exp(-y.*(X*w))))"


def data(m: int = 6, n: int = 3) -> dict:
    rng = np.random.default_rng(0)
    return {
        "X": jnp.asarray(rng.standard_normal((m, n))),
        "y": jnp.asarray(np.sign(rng.standard_normal(m))),
        "w": jnp.asarray(rng.standard_normal(n)),
    }


def test_gradients_of_ours_are_those_of_jax() -> None:
    given = data()
    ours = matcalc.parse(LOGISTIC).compile(library="jax", wrt="X, y, w")

    def plain(X, y, w):
        return jnp.sum(jnp.logaddexp(0, -y * (X @ w)))

    def own(X, y, w):
        return ours(X=X, y=y, w=w)

    values = [given[name] for name in "Xyw"]
    for argument in range(3):
        expected = jax.grad(plain, argument)(*values)
        np.testing.assert_allclose(jax.grad(own, argument)(*values), expected, rtol=1e-12)
        np.testing.assert_allclose(jax.jit(jax.grad(own, argument))(*values), expected, rtol=1e-12)
    np.testing.assert_allclose(jax.hessian(own, 2)(*values), jax.hessian(plain, 2)(*values), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(
        jax.jacrev(jax.grad(own, 2), 2)(*values), jax.hessian(plain, 2)(*values), rtol=1e-10, atol=1e-12
    )
    many = jnp.stack([given["w"], 2 * given["w"]])
    mapped = jax.vmap(jax.grad(own, 2), (None, None, 0))(given["X"], given["y"], many)
    np.testing.assert_allclose(mapped[1], jax.grad(plain, 2)(given["X"], given["y"], many[1]), rtol=1e-12)
    assert "jax.custom_vjp" in ours.source


def test_products_with_transposed_jacobians() -> None:
    f = matcalc.parse("x + W2*tanh(W1*x + b)")
    ours = f.compile(library="jax", wrt="W1, W2, x, b")
    rng = np.random.default_rng(1)
    x, W2, W1, b = (jnp.asarray(rng.standard_normal(s)) for s in (4, (4, 3), (3, 4), 3))

    def plain(x, W2, W1, b):
        return x + W2 @ jnp.tanh(W1 @ x + b)

    def own(x, W2, W1, b):
        return ours(x=x, W2=W2, W1=W1, b=b)

    for argument in range(4):
        expected = jax.jacrev(plain, argument)(x, W2, W1, b)
        np.testing.assert_allclose(jax.jacrev(own, argument)(x, W2, W1, b), expected, rtol=1e-12)


def test_what_is_not_differentiated_by_is_not_a_number() -> None:
    given = data()
    ours = matcalc.parse(LOGISTIC).compile(library="jax", wrt="w")
    by_w, by_y = jax.grad(lambda w, y: ours(X=given["X"], y=y, w=w), (0, 1))(given["w"], given["y"])
    assert np.isfinite(by_w).all()
    assert np.isnan(by_y).all()


def test_a_row_and_a_size() -> None:
    f = matcalc.parse("r*A + n*r*A", "r in R^{1 x m}; A in R^{m x n}")
    ours = f.compile(library="jax", wrt="r, A")
    r, A = jnp.arange(1.0, 4), jnp.ones((3, 2))
    expected = jax.jacrev(lambda r: (1 + 2) * (r @ A)[None, :])(r)
    np.testing.assert_allclose(jax.jacrev(lambda r: ours(r=r, A=A))(r), expected)
    numbered = matcalc.parse("a^2*sum(ones(q))", "a in R").compile(library="jax", wrt="a")
    assert float(jax.grad(lambda a: numbered(a=a, q=3))(2.0)) == 12.0


def test_callables_are_compiled_and_transform() -> None:
    given = data()
    h = matcalc.hessian(LOGISTIC, "w").compile(library="jax")
    assert "@jax.jit" in h.source
    found = jax.jit(lambda w: h(**{**given, "w": w}))(given["w"])
    reference = matcalc.hessian(LOGISTIC, "w").compile()
    np.testing.assert_allclose(found, reference(**{k: np.asarray(v) for k, v in given.items()}), rtol=1e-12)
    entry = matcalc.gradient("x[k]^2", "x").compile(library="jax")
    np.testing.assert_allclose(entry(x=jnp.arange(4.0), k=3), [0, 0, 4, 0])
    with pytest.raises((ArgumentError, ValueError), match="outside"):
        entry(x=jnp.arange(4.0), k=5)
    with pytest.raises(ArgumentError, match="X must have shape"):
        h(**{**given, "y": jnp.ones(2)})


@pytest.mark.parametrize("name", list(problems())[3::16])
def test_numbers_of_numpy(name: str) -> None:
    given = outputs_of(problems()[name])
    if given is None:
        pytest.skip("nothing is derived")
    found = differences("jax", *given, name, jnp.asarray, np.asarray)
    if found is not None:
        assert found[0] < 1e-8, found[1]


def test_the_printed_function_runs_alone() -> None:
    derived = matcalc.hessian(LOGISTIC, "w")
    text = derived.source(format="jax")
    assert "matcalc" not in text
    space: dict = {}
    exec(text, space)
    fn = derived.compile(library="jax")
    given = [data()[name] for name in fn.arguments]
    np.testing.assert_allclose(space["hessian"](*given), fn(*given))


def test_labels_of_a_batch() -> None:
    """They decide on positions, so that they must be known: nothing is compiled before."""
    g = matcalc.gradient("logsumexp(W*x) - (W*x)[k]", "W")
    rng = np.random.default_rng(0)
    given = {"W": rng.standard_normal((4, 3)), "x": rng.standard_normal((5, 3)), "k": np.array([1, 4, 2, 2, 3])}
    ours = {name: jnp.asarray(a) for name, a in given.items()}
    expected = g.compile(batch="x, k")(**given)
    np.testing.assert_allclose(g.compile(library="jax", batch="x, k")(**ours), expected, rtol=1e-12)
    space: dict = {}
    exec(g.source(format="jax", batch="x, k"), space)
    np.testing.assert_allclose(space["gradient"](**ours), expected, rtol=1e-12)
    with pytest.raises(ValueError, match="index 5 is outside"):
        g.compile(library="jax", batch="x, k")(**ours | {"k": jnp.full(5, 5)})


@pytest.mark.parametrize("row", LABELS, ids=str)
def test_labels_of_a_batch_are_taken_at_once(row: tuple[str, str, str, str]) -> None:
    labelled("jax", row, jnp.asarray, np.asarray)
