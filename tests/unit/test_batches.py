"""A function of a batch gives what the function of one item gives for each of them."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

import matcalc
from matcalc.__main__ import main
from matcalc.calculus.gradient import gradient
from matcalc.checks.compiled import for_numpy
from matcalc.checks.sampling import NoSizes, draw_sizes, draw_value
from matcalc.errors import ArgumentError, LimitError
from matcalc.expr import postorder, variables
from matcalc.facts import INTEGER, has
from matcalc.lowering.compiled import compile_numpy
from matcalc.lowering.planned import input_name, inputs
from matcalc.lowering.walk import array_shape
from matcalc.primitives.maps import Mapped
from tests.properties.generate import Generator, scalar
from tests.reference.rows import ALL, derive, forms
from tests.unit.test_lowering import calls, other_expressions

NUDGE = 1e-13


def value(e, sizes, rng, scale):
    """A number or an array for a variable, as its declaration demands."""
    a = draw_value(e, sizes, rng, scale=scale)
    if has(e, INTEGER):
        return int(a[0, 0])
    a = a.astype(float)
    return float(a[0, 0]) if e.is_scalar else a.ravel() if e.is_column or e.is_row else a


def nudged(a):
    """Nearly the same: what differs more in its value than twice the same is not to be compared to the last digits."""
    return a if isinstance(a, int) else a * (1 + NUDGE * np.cos(np.arange(np.size(a)).reshape(np.shape(a))))


def functions_of(roots, sizes):
    found = for_numpy(roots, {}, sizes)
    maps = {node.op.function.name for node in postorder(roots) if isinstance(node.op, Mapped)}
    easy = {name: [lambda x, k=k: np.sin(x + k) for k in range(len(f))] for name, f in found.items()}
    return {name: found[name] if name in maps else easy[name] for name in found}


def all_of(results):
    return results if isinstance(results, tuple) else (results,)


def compare(outputs, seed, *, length=None, batch=None, **options):
    """The function of a batch against the function of one item; the former, or None where the latter has no value."""
    rng = Random(str(seed))
    roots = list(outputs.values()) if isinstance(outputs, dict) else [outputs]
    arguments = [e for e in inputs(roots) if e is not options.get("stacked")]
    try:
        sizes = draw_sizes(roots, rng)
    except NoSizes:
        return None
    if not arguments:
        return None
    names = [input_name(e) for e in arguments]
    batch = batch or rng.sample(names, rng.randint(1, len(names)))
    length = next(k for k in range(3, 99) if k not in sizes.values()) if length is None else length
    scale = rng.choice((1.0, 0.5))
    named = dict(zip(names, arguments, strict=True))
    items = [{n: value(e, sizes, rng, scale) for n, e in named.items()} for _ in range(length or 1)]
    shared = {n: a for n, a in items[0].items() if n not in batch}
    items = [item | shared for item in items]
    one, many = (
        compile_numpy(outputs, arguments, functions=functions_of(roots, sizes), subgradient=True, batch=b, **options)
        for b in ((), batch)
    )
    given = {n: np.array([item[n] for item in items], float)[:length] for n in batch}
    rest, others = ({n: sizes[n] for n in f.arguments if n not in names} for f in (one, many))
    with np.errstate(all="ignore"):
        try:
            wanted = [all_of(one(**item, **rest)) for item in items]
            near = [all_of(one(**{n: nudged(a) for n, a in item.items()}, **rest)) for item in items]
        except ArgumentError:
            return None  # a matrix that has no inverse
        found = all_of(many(**given, **shared, **others))
    for k, (e, results) in enumerate(zip(roots, found, strict=True)):
        each = np.array([w[k] for w in wanted])
        assert results.shape == (length, *each.shape[1:]), (str(e), many.source)
        if not length:
            continue
        noise = np.nanmax(abs(np.array([w[k] for w in near]) - each), initial=0)
        largest = np.nanmax(np.where(np.isfinite(each), abs(each), 0), initial=0)
        tolerance = max(1e-10 * largest, 100 * noise)
        np.testing.assert_allclose(results, each, 1e-9, tolerance, err_msg=f"{e}\n{many.source}")
        assert results.flags.writeable
        assert not any(np.shares_memory(results, a) for a in (*given.values(), *found[:k])), many.source
    return many


def is_by_contractions(fn):
    return "for batch_item" not in fn.source


PICK = Random("batches")


@pytest.mark.parametrize("name", PICK.sample(sorted(ALL), 60))
def test_published_results(name):
    found = {label or "result": e for label, e in forms(derive(ALL[name])).items()}
    compare(found if len(found) > 1 else next(iter(found.values())), name)


@pytest.mark.parametrize(
    ("name", "e"), PICK.sample([*calls(), *(("other", e) for e in other_expressions())], 120), ids=str
)
def test_primitives(name, e):
    fn = compare(e, str(e))
    assert fn is None or is_by_contractions(fn)


@pytest.mark.parametrize("seed", range(60))
def test_random_expressions(seed):
    generator = Generator(f"batches {seed}")
    if seed % 2:
        e = generator.of(generator.shape(), 4)
        compare(e, seed)
    else:
        e = scalar(f"batches {seed}", 4)
        compare({"value": e} | {f"d{k}": d for k, d in enumerate(gradient(e, variables([e])).values())}, seed)


@pytest.mark.parametrize("seed", range(60, 90))
def test_an_empty_batch(seed):
    e = scalar(f"batches {seed}", 4)
    try:
        compare({"value": e} | {f"d{k}": d for k, d in enumerate(gradient(e, variables([e])).values())}, seed, length=0)
    except ArgumentError as error:
        assert "empty batch" in str(error)  # the size of what an unknown map gives


# What the code is


NETWORK = "norm2(W*x - b)^2"
WHERE = "W in R^{m x n}; x in R^n; b in R^m"


@pytest.mark.parametrize(
    ("text", "where", "wrt", "batch", "parts"),
    [
        (NETWORK, WHERE, "W", "x, b", ["x.dot(W.T)", "np.einsum('zi,zj->zij', "]),
        (NETWORK, WHERE, "x", "x", ["x.dot(W.T)", ".dot(W)"]),
        ("c'*W*X*d", "W in R^{m x n}; X in R^{n x p}; c in R^m; d in R^p", "d", "X", ["np.matmul(X"]),
        ("norm2(X*B)^2", "X in R^{m x n}; B in R^{n x p}", "X", "X", [".dot(B", ".reshape(batch, m, n)"]),
        ("c'*softmax(W*x)", "W in R^{m x n}; x in R^n; c in R^m", "c", "x", ["rt.softmax(x.dot(W.T), 1)"]),
    ],
)
def test_shared_matrices_meet_all_items_in_one_product(text, where, wrt, batch, parts):
    fn = matcalc.parse(text, where=where).gradient(wrt).compile(batch=batch)
    assert all(part in fn.source for part in parts), fn.source
    assert is_by_contractions(fn)


def test_one_factorisation_solves_for_all_items():
    where = "A in R^{n x n}; b in R^n; B in R^{n x p}"
    assert "np.linalg.solve(A, b.T).T" in matcalc.parse("A^-1*b", where=where).compile(batch="b").source
    assert "reshape(n, batch * p)" in matcalc.parse("A^-1*B", where=where).compile(batch="B").source


@pytest.mark.parametrize("batch", ["X, y", "w", "y", "X"])
def test_large_weighted_products_are_made_in_blocks(batch):
    f = matcalc.parse("sum(log(1 + exp(-y.*(X*w))))", where="X in R^{m x n}; w in R^n; y in R^m").hessian("w")
    one, fn = f.compile(), f.compile(batch=batch)
    assert "rt.matmul_scaled(" in fn.source
    rng = np.random.default_rng(5)
    names, shapes = batch.split(", "), {"X": (100, 9), "w": (9,), "y": (100,)}
    given = {n: rng.normal(size=(40, *s) if n in names else s) for n, s in shapes.items()}
    items = [given | {n: given[n][k] for n in names} for k in range(40)]
    np.testing.assert_allclose(fn(**given), [one(**item) for item in items], rtol=1e-11, atol=1e-12)
    assert fn(**given | {n: given[n][:0] for n in names}).shape == (0, 9, 9)


def test_an_array_of_positions():
    """The labels of a classification are a batch, too: no loop over them."""
    f = matcalc.parse("logsumexp(W*x) - (W*x)[k]", where="W in R^{m x n}; x in R^n")
    fn = f.gradient("W").compile(batch=("x", "k"))
    one = f.gradient("W").compile()
    rng = np.random.default_rng(0)
    w, x, k = rng.normal(size=(3, 4)), rng.normal(size=(5, 4)), [1, 3, 2, 2, 3]
    np.testing.assert_allclose(fn(W=w, x=x, k=k), [one(W=w, x=a, k=b) for a, b in zip(x, k, strict=True)])
    assert is_by_contractions(fn)
    with pytest.raises(ArgumentError, match=r"index 4 is outside 1\.\.3"):
        fn(W=w, x=x, k=[1, 2, 3, 4, 1])


# Kinds of results


def test_kinds_of_results():
    f = matcalc.parse("h = tanh(W*x + b); c'*h", where="W in R^{m x n}; x in R^n; b, c in R^m")
    rng = np.random.default_rng(1)
    given = {n: rng.normal(size=s) for n, s in {"W": (3, 4), "x": (4,), "b": (3,), "c": (3,)}.items()}
    many = {"x": rng.normal(size=(5, 4)), "c": rng.normal(size=(5, 3))}
    items = [given | {n: a[k] for n, a in many.items()} for k in range(5)]
    for result in (f.gradient("W, b"), f.jacobian("W, x"), f.hessian("x, b"), f.differential("x"), f.vjp("W")):
        extra = {e.op.name: 0.5 for e in result.directions}
        extra |= {f"d{name}": np.ones_like(given[name]) for name in "x" if "d" + name in result.compile().arguments}
        for value in (False, True):
            one = result.compile(value=value)
            extra = {n: a for n, a in extra.items() if n in one.arguments}
            batch = [n for n in ("x", "c") if n in one.arguments]
            fn = result.compile(value=value, batch=batch)
            wanted = [all_of(one(**item, **extra)) for item in items]
            shared = {n: a for n, a in given.items() if n not in batch}
            found = all_of(fn(**shared, **{n: many[n] for n in batch}, **extra))
            for k, results in enumerate(found):
                np.testing.assert_allclose(results, np.array([w[k] for w in wanted]), rtol=1e-11, atol=1e-13)


def test_stacks_of_hessians_have_the_batch_in_front():
    h = matcalc.parse("W*(x .* x .* x)", where="W in R^{m x n}; x in R^n").hessian("x")
    rng = np.random.default_rng(2)
    w, x = rng.normal(size=(3, 4)), rng.normal(size=(5, 4))
    one, fn = h.compile(), h.compile(batch="x")
    np.testing.assert_allclose(fn(W=w, x=x), [one(W=w, x=a) for a in x])
    assert fn(W=w, x=x).shape == (5, 3, 4, 4)


def test_directions_may_be_a_batch():
    product = matcalc.parse("sum(exp(A*x))", where="A in R^{m x n}; x in R^n").hvp("x")
    rng = np.random.default_rng(3)
    a, x, v = rng.normal(size=(3, 4)), rng.normal(size=4), rng.normal(size=(5, 4))
    one, fn = product.compile(), product.compile(batch="v")
    np.testing.assert_allclose(fn(A=a, x=x, v=v), [one(A=a, x=x, v=d) for d in v])


def test_what_does_not_depend_on_the_batch_is_repeated():
    fn = matcalc.parse("a'*x", where="a, x in R^n").gradient("x").compile(batch="x")
    x, a = np.ones((3, 2)), np.array([1.0, 2.0])
    found = fn(x=x, a=a)
    assert found.tolist() == [[1, 2]] * 3
    found[0, 0] = 5
    assert a[0] == 1 and found[1, 0] == 1


def test_maps_are_called_item_by_item():
    f = matcalc.parse("norm2(f(x) - y)^2", where="f: R^n -> R^m; x in R^n; y in R^m")

    def squares(x):
        assert x.ndim == 1
        return x[:2] ** 2

    def jacobian(x):
        return np.eye(2, len(x)) * 2 * x

    maps = {"f": [squares, jacobian]}
    one, fn = f.gradient("x").compile(functions=maps), f.gradient("x").compile(functions=maps, batch="x")
    x, y = np.arange(12.0).reshape(4, 3), np.ones(2)
    np.testing.assert_allclose(fn(x=x, y=y), [one(x=a, y=y) for a in x])


def test_a_map_shows_the_size_of_what_it_gives():
    f = matcalc.parse("norm2(f(x))^2 + 1", where="f: R^n -> R^m; x in R^n")
    fn = f.gradient("x").compile(functions={"f": [lambda x: x[:2], lambda x: np.eye(2, 3)]}, batch="x")
    assert fn.arguments == ("x",)
    assert fn(x=np.ones((4, 3))).tolist() == [[2, 2, 0]] * 4
    with pytest.raises(ArgumentError, match="empty batch"):
        fn(x=np.ones((0, 3)))


def test_single_precision_stays():
    fn = matcalc.parse(NETWORK, where=WHERE).hessian("x").compile(batch="b", value=True)
    w, x, b = np.ones((2, 3), np.float32), np.ones(3, np.float32), np.ones((4, 2), np.float32)
    assert [a.dtype for a in fn(W=w, x=x, b=b)] == [np.float32] * 2


# Other array libraries


@pytest.mark.parametrize("library", ["array_api_strict", "torch", "jax"])
@pytest.mark.parametrize(
    ("text", "where", "wrt", "batch"),
    [
        (NETWORK, WHERE, "W", "x, b"),
        ("logdet(S) + y'*S^-1*y", "S in R^{n x n} spd; y in R^n", "S, y", "S, y"),
        ("det(A)*logsumexp(A*x)", "A in R^{n x n}; x in R^n", "A", "A"),
        ("max(X)*norm2(X) + sum(log_softmax(X))", "X in R^{m x n}", "X", "X"),
    ],
)
def test_other_array_libraries(library, text, where, wrt, batch):
    xp = pytest.importorskip(library if library != "jax" else "jax.numpy")
    g = matcalc.parse(text, where=where).gradient(wrt)
    rng = np.random.default_rng(4)
    shapes = {"W": (3, 4), "x": (4,), "b": (3,), "S": (4, 4), "A": (4, 4), "y": (4,), "X": (3, 4)}
    given = {}
    fn = g.compile(batch=batch)
    for name in fn.arguments:
        a = rng.normal(size=(5, *shapes[name]) if name in batch.split(", ") else shapes[name]).astype(np.float32)
        given[name] = a @ a.swapaxes(-1, -2) + np.eye(4, dtype=np.float32) if name == "S" else a
    other = g.compile(batch=batch, library=library if library != "array_api_strict" else "array-api")
    found = all_of(other(**{name: xp.asarray(a) for name, a in given.items()}))
    for results, wanted in zip(found, all_of(fn(**given)), strict=True):
        np.testing.assert_allclose(np.asarray(results), wanted, rtol=2e-3, atol=1e-4)


# What is refused


@pytest.fixture(scope="module")
def network():
    return matcalc.parse(NETWORK, where=WHERE).gradient("W").compile(batch=("x", "b"))


@pytest.mark.parametrize(
    ("x", "b", "said"),
    [
        ((5, 4), (6, 3), "x is a batch of 5 items and b one of 6"),
        ((4,), (5, 3), r"x must be a batch of vectors \(two-dimensional, one in each row\) but has shape \(4,\)"),
        ((5, 2), (5, 3), r"x must have shape \(batch, n\) = \(5, 4\) since W is \(3, 4\)"),
    ],
)
def test_shapes_are_checked(network, x, b, said):
    with pytest.raises(ArgumentError, match=said):
        network(W=np.ones((3, 4)), x=np.ones(x), b=np.ones(b))


def test_lists_and_integers_are_taken(network):
    assert network(W=[[1, 2]], x=[[1, 2], [3, 4]], b=[[0], [1]]).tolist() == [[[10, 20]], [[60, 80]]]


def test_names_must_be_arguments():
    g = matcalc.parse(NETWORK, where=WHERE).gradient("W")
    with pytest.raises(ArgumentError, match=r"q of the batch is no argument\n  there is W, x, b"):
        g.compile(batch="q")


def test_variables_that_the_result_does_not_hold_may_be_named():
    g = matcalc.parse("x'*x + b'*b", where="x, b in R^n").gradient("x")
    assert g.compile(batch="x, b")(x=np.ones((2, 3)), b=np.ones((2, 3))).tolist() == [[2] * 3] * 2
    assert g.compile(batch="b")(x=np.ones(3), b=np.ones((2, 3))).tolist() == [[2] * 3] * 2


def test_the_limit_counts_the_batch():
    fn = matcalc.parse(NETWORK, where=WHERE).hessian("W").compile(batch="x", limit=8 * 36 * 10)
    w, b = np.ones((2, 3)), np.ones(2)
    assert fn(W=w, x=np.ones((10, 3)), b=b).shape == (10, 6, 6)
    with pytest.raises(LimitError):
        fn(W=w, x=np.ones((11, 3)), b=b)


def test_a_dimension_may_be_called_batch():
    fn = matcalc.parse("A*x", where="A in R^{batch x n}; x in R^n").compile(batch="x")
    assert fn(A=np.ones((2, 3)), x=np.ones((4, 3))).shape == (4, 2)
    assert "batch_2" in fn.source


def test_the_command_line_prints_it(capsys):
    status = main(["grad", NETWORK, "--wrt", "W", "--where", WHERE, "--format", "python", "--batch", "x,b"])
    assert status == 0
    assert "x (batch, n)" in capsys.readouterr().out


def test_shapes_of_items(network):
    assert array_shape(matcalc.parse(NETWORK, where=WHERE).gradient("W").expr) == tuple(
        matcalc.parse(NETWORK, where=WHERE).variable("W").shape
    )
    assert "shape (batch, m, n), for each item in R^{m x n}" in network.source


def test_a_matrix_with_scaled_rows_may_be_divided() -> None:
    f = matcalc.parse("X*((d*ones(k)') .* M ./ Y)", "X in R^{m x n}; d in R^n; M, Y in R^{n x k}")
    rng = np.random.default_rng(0)
    X, d, M, Y = (rng.normal(size=shape) for shape in ((3, 2, 4), (4,), (3, 4, 5), (4, 5)))
    found = f.compile(batch="X, M")(X=X, d=d, M=M, Y=Y)
    np.testing.assert_allclose(found, X @ (d[:, None] * M / Y), rtol=1e-12)
