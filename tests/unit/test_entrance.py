"""What a call enters: how arguments are bound and checked without a function around the generated one."""

from __future__ import annotations

import inspect
import itertools
import pickle
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import matcalc
from matcalc.dims import ONE, dim
from matcalc.errors import ArgumentError, LimitError
from matcalc.expr import make
from matcalc.lowering import Compiled, compile_numpy
from matcalc.primitives.elementwise import exp, log
from matcalc.primitives.leaves import Size, identity, ones, var
from matcalc.primitives.matrix import inv
from matcalc.primitives.reductions import total

M, N = dim("m"), dim("n")
A, X = var("A", (N, N)), var("X", (M, N))
x, y, u = var("x", (N, ONE)), var("y", (N, ONE)), var("u", (M, ONE))
s, t = var("s"), var("t")


def refused(text: str, fn: Any, *args: Any, **keywords: Any) -> ArgumentError:
    with pytest.raises(ArgumentError) as caught:
        fn(*args, **keywords)
    assert text in str(caught.value), caught.value
    return caught.value


def by_source(fn: Compiled) -> Any:
    """The function that the source defines."""
    space: dict[str, Any] = dict(fn.function.__globals__)
    exec(fn.source, space)
    return space[fn.function.__name__]


def test_arguments_by_position_and_by_name_in_any_mixture() -> None:
    fn = compile_numpy(X @ x + s * u, [X, x, s, u])
    values = {"X": np.ones((2, 3)), "x": np.arange(3.0), "s": 2.0, "u": np.array([1.0, 5.0])}
    for count in range(5):
        first, rest = list(values.values())[:count], list(values.items())[count:]
        for order in itertools.permutations(rest):
            np.testing.assert_array_equal(fn(*first, **dict(order)), [5, 13])


def test_what_is_missing_superfluous_or_given_twice() -> None:
    fn = compile_numpy(X @ x + s * u, [X, x, s, u])
    good = {"X": np.ones((2, 3)), "x": np.arange(3.0), "s": 2.0, "u": np.array([1.0, 5.0])}
    values = list(good.values())
    refused("X, x, s, u are missing", fn)
    refused("s, u are missing", fn, *values[:2])
    refused("x is missing and z is not taken", fn, values[0], s=1.0, u=values[3], z=1)
    refused("X is given twice", fn, *values, X=values[0])
    refused("s is given twice", fn, *values[:3], s=1.0, u=values[3])
    refused("X, x, s, u is given twice", fn, *values, **good)
    refused("5 arguments are given", fn, *values, 1)
    refused("x holds object", fn, values[0], None, *values[2:])
    one = compile_numpy(total(x))
    refused("x is missing", one)
    refused("2 arguments are given", one, [1.0], [2.0])
    refused("x is given twice", one, [1.0], x=[1.0])
    assert one([1, 2]) == one(x=[1, 2]) == 3
    none = compile_numpy(ones(dim(2)))
    assert none().shape == (2,)
    refused("1 arguments are given, 0 are taken", none, 1)
    refused("z is not taken; the arguments are none", none, z=1)


def test_errors_do_not_tell_of_the_way_to_them() -> None:
    fn = compile_numpy(A @ x)
    for e in (refused("x must be", fn, np.eye(2), np.eye(2)), refused("x is missing", fn, A=np.eye(2))):
        assert e.__suppress_context__ or e.__context__ is None


def test_names_with_other_identifiers() -> None:
    fn = compile_numpy(var("lambda") * x + var("x'") * y)
    values = {"x": np.ones(2), "y": np.array([1.0, 2.0])}
    for name in ("lambda", "λ", "lambda_"):
        for prime in ("x'", "x_prime"):
            np.testing.assert_array_equal(fn(**{name: 3.0, prime: 2.0}, **values), [5, 7])
    refused("lambda is given twice", fn, **{"lambda": 3.0, "lambda_": 3.0, "x'": 2.0}, **values)
    refused("lambda is given twice", fn, **{"lambda": 3.0, "λ": 3.0, "x'": 2.0}, **values)
    crossed = compile_numpy(var("x'") - 2 * var("x_prime"), [var("x'"), var("x_prime")])
    assert crossed(7.0, 1.0) == crossed(**{"x'": 7.0, "x_prime": 1.0}) == crossed(7.0, x_prime=1.0) == 5
    words = ("given", "other", "absent", "ValueError", "IndexError", "planned", "arguments", "_x", "_given", "_other")
    product = compile_numpy(sum(((k + 1) * var(name) for k, name in enumerate(words)), var("z")))
    values = {name: float(10**k) for k, name in enumerate(words)}
    assert product(**values, z=0.0) == sum((k + 1) * 10**k for k in range(len(words)))


def test_ignored_names_are_taken_whatever_they_are() -> None:
    names = ("y", "lambda", "t1", "np", "rt", "arguments", "len", "LIMIT", "dtype", "x'", "given")
    fn = compile_numpy(exp(A @ x) * total(log(A @ x)), ignored=[*names, "x"])
    values = {"A": np.eye(2) + 1, "x": np.ones(2)}
    expected = fn(**values)
    np.testing.assert_array_equal(fn(**values, **dict.fromkeys(names, 1.0)), expected)
    np.testing.assert_array_equal(fn(*values.values(), **dict.fromkeys(names)), expected)
    for name in (*names, "λ"):
        np.testing.assert_array_equal(fn(**values, **{name: 1.0}), expected)
    refused("z is not taken; the arguments are A, x", fn, **values, z=1.0, y=1.0)


def test_very_many_arguments() -> None:
    names = [f"a{k}" for k in range(40)]
    fn = compile_numpy(sum(((k + 1) * var(name) for k, name in enumerate(names)), x.T @ x), ignored=["z"])
    values = {name: float(k) for k, name in enumerate(names)} | {"x": np.ones(2)}
    expected = sum((k + 1) * k for k in range(40)) + 2
    assert fn(**values) == fn(**values, z=1) == fn(*[values[name] for name in fn.arguments]) == expected
    assert fn(values[fn.arguments[0]], **{name: values[name] for name in fn.arguments[1:]}) == expected
    refused("a7 is missing", fn, **{name: v for name, v in values.items() if name != "a7"})
    refused("a0 is given twice", fn, *[values[name] for name in fn.arguments], a0=1.0)
    refused("q is not taken", fn, **values, q=1.0)
    greek = compile_numpy(sum((var(name) for name in names), var("lambda")), ignored=["z"])
    numbers = {name: values[name] for name in names}
    for name in ("lambda", "λ", "lambda_"):
        assert greek(**numbers, **{name: 1.0}) == greek(**numbers, **{name: 1.0}, z=1) == sum(range(40)) + 1
    refused("lambda is given twice", greek, **numbers, **{"lambda": 1.0, "lambda_": 1.0})


def test_what_python_shows_of_a_callable() -> None:
    fn = matcalc.parse("A*x + lambda*y", "A in R^{m x n}; x in R^n; y in R^m").compile()
    assert isinstance(fn, Compiled) and callable(fn)
    assert list(inspect.signature(fn).parameters) == [{"lambda": "lambda_"}.get(name, name) for name in fn.arguments]
    assert inspect.signature(Compiled)
    assert inspect.getdoc(fn) == inspect.cleandoc(by_source(fn).__doc__)
    assert repr(fn).startswith("<compiled function(")
    assert "_given" not in fn.source and "def function(A, " in fn.source
    again = pickle.loads(pickle.dumps(fn))
    assert isinstance(again, Compiled) and again.source == fn.source and repr(again) == repr(fn)

    class Holder:
        f = fn

    assert Holder().f is fn and not hasattr(fn, "nothing")


@pytest.mark.parametrize("kind", [float, np.float64, np.float32, int, "list"])
@pytest.mark.parametrize("single", [False, True])
def test_the_entered_function_is_the_source(kind: Any, single: bool) -> None:
    rng = np.random.default_rng(0)
    z = var("z", (2 * N + 1, ONE))
    values = {"A": rng.normal(size=(3, 3)), "X": rng.normal(size=(2, 3)), "x": rng.normal(size=3)}
    values |= {"y": rng.normal(size=3), "u": rng.normal(size=2), "z": rng.normal(size=7)}
    if single:
        values = {name: v.astype(np.float32) for name, v in values.items()}
    if kind == "list":
        values["x"] = values["x"].tolist()
    number = 2.0 if kind == "list" else kind(2)
    given: dict[str, Any] = values | {"s": number, "t": number, "n": 3, "m": 2}
    for e in (
        s * x,
        s * t * x + s * t * y,
        x / s,
        (s + t) * (A @ x) - s,
        s * x.T @ A * (1 / t),
        s * (t + 1) ** -1 * x,
        s * ones(N) + t * x,
        s * identity(N),
        x @ (X.T @ u).T * s,
        total(z) * x + s * y,
        exp(s) * x + s,
        s / t * x.T @ y,
        s * total(z) * ones(N),
        make(Size("m")) * s * x,
        inv(A + s * identity(N)) @ x,
        X @ A @ x * s + t * u,
    ):
        fn = compile_numpy(e)
        args = [given[name] for name in fn.arguments]
        got, expected = fn(*args), by_source(fn)(*args)
        assert got.dtype == expected.dtype, fn.source
        np.testing.assert_allclose(got, expected, rtol=2e-6 if single else 1e-14)


def test_shapes_that_do_not_fit_are_refused() -> None:
    rng = np.random.default_rng(0)
    z, w = var("z", (2 * N + 1, ONE)), var("w", (M + N, ONE))
    e = total(z) * total(A) * total(w) * total(X) * (x.T @ y) * (u.T @ u)
    fn = compile_numpy(e, [z, w, A, X, x, y, u])
    shapes: list[tuple[int, ...]] = [(7,), (5,), (3, 3), (2, 3), (3,), (3,), (2,)]
    fn(*(rng.normal(size=shape) for shape in shapes))
    for k, shape in enumerate(shapes):
        axes = range(len(shape))
        others = {(*shape[:axis], shape[axis] + more, *shape[axis + 1 :]) for axis in axes for more in (-1, 1)}
        for other in (*others, (*shape, 1), shape[1:]):
            given = [rng.normal(size=other if k == j else found) for j, found in enumerate(shapes)]
            with pytest.raises(ArgumentError):
                fn(*given)
    shifted = compile_numpy(total(var("v", (N + 1, ONE))) * ones(N))
    assert shifted(np.ones(1)).shape == (0,)
    refused("v has 0 entries, which is not n + 1", shifted, np.ones(0))


def test_numbers_divide_as_arrays_do_beside_arrays() -> None:
    with np.errstate(all="ignore"):
        for e in (x / s, s * x / t, 1 / (s * t) * x, x * s ** (-1), total(x) / (s + t)):
            fn = compile_numpy(e, [x, s, t])
            assert not np.isfinite(fn(np.ones(2), 0.0, 0.0)).any(), fn.source
        assert np.isnan(compile_numpy(s ** Fraction(1, 2) * x, [x, s])(np.ones(2), -1.0)).all()


def test_errors_from_within_are_told_in_the_words_of_the_formula() -> None:
    fn = compile_numpy(inv(A) @ x)
    refused("", fn, np.zeros((2, 2)), np.ones(2))
    from matcalc.primitives.functions import Unknown

    def wrong(values: Any) -> Any:
        raise ValueError("of the user")

    own = compile_numpy(Unknown("phi")(x), functions={"phi": wrong})
    with pytest.raises(ValueError, match="of the user"):
        own(np.ones(2))
    with pytest.raises(ValueError, match="of the user"):
        own([1, 2])

    def mistaken(values: Any) -> Any:
        raise TypeError("of the user")

    with pytest.raises(TypeError, match="of the user"):
        compile_numpy(Unknown("phi")(x), functions={"phi": mistaken})(np.ones(2))


def test_the_limit_of_results() -> None:
    e = x @ u.T
    for limit in (96, 95, 16, None):
        fn = compile_numpy(e, [x, u], limit=limit)
        for kind in (np.float64, np.float32):
            size = 12 * np.dtype(kind).itemsize
            if limit is not None and size > limit:
                with pytest.raises(LimitError, match="would take"):
                    fn(np.ones(4, kind), np.ones(3, kind))
            else:
                assert fn(np.ones(4, kind), np.ones(3, kind)).shape == (4, 3)


def test_calls_of_other_shapes_and_precisions_one_after_the_other() -> None:
    f = matcalc.parse("norm2(U*V' - A)^2", "U in R^{m x k}; V in R^{n x k}; A in R^{m x n}").gradient("U")
    fn = f.compile()
    rng = np.random.default_rng(0)

    def given(m: int, n: int, k: int, kind: Any = float) -> list[Any]:
        return [rng.normal(size=shape).astype(kind) for shape in ((m, k), (n, k), (m, n))]

    def checked(U: Any, V: Any, A: Any) -> None:
        found, expected = fn(U, V, A), 2 * (U @ V.T - A) @ V
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-4 if found.dtype == np.float32 else 1e-11)

    first, other = given(4, 3, 2), given(5, 6, 2)
    assert fn.arguments == ("U", "V", "A")
    for _ in range(2):
        checked(*first)
        checked(*other)
        checked(*given(4, 3, 2, np.float32))
        checked(*(a.T.copy().T for a in first))
        np.testing.assert_allclose(fn(*(a.tolist() for a in first)), fn(*first))
        np.testing.assert_allclose(fn(*(a.astype(int) for a in first)), fn(*(a.astype(int) * 1.0 for a in first)))
        refused("A must have shape (m, n) = (4, 3)", fn, first[0], first[1], other[2])
        refused("A must be a matrix", fn, first[0], first[1], first[2][0])
        refused("A holds object", fn, first[0], first[1], None)
        checked(*first)


def test_numbers_stay_what_they_are_beside_integers() -> None:
    fn = (
        matcalc.parse("sum(softplus(X*w)) + lambda*w'*w", "X in R^{m x n}; w in R^n; lambda in R")
        .gradient("w")
        .compile()
    )
    X, w = np.array([[1, 2], [3, -4], [0, 1]]), np.array([1, -1])
    expected = 2 * 2.75 * w + X.T @ (1 / (1 + np.exp(-X @ w)))
    for number in (2.75, np.float64(2.75), np.float32(2.75)):
        np.testing.assert_allclose(fn(X=X, w=w, **{"lambda": number}), expected, rtol=1e-12)
        np.testing.assert_allclose(fn(X=X * 1.0, w=w * 1.0, **{"lambda": number}), expected, rtol=1e-12)
    np.testing.assert_allclose(fn(X=X * 1.0, w=w * 1.0, **{"lambda": 3}), expected + 0.5 * w, rtol=1e-12)


def test_a_limit_holds_for_each_precision_of_the_same_shapes() -> None:
    f = matcalc.parse("A*B*C*D", "A in R^{m x n}; B in R^{n x p}; C in R^{p x q}; D in R^{q x r}")
    fn = compile_numpy(f.expr, limit=100)
    arrays = [np.ones(shape) for shape in ((4, 2), (2, 3), (3, 2), (2, 5))]
    for _ in range(2):
        assert fn(*(a.astype(np.float32) for a in arrays)).shape == (4, 5)
        with pytest.raises(LimitError, match="would take"):
            fn(*arrays)
        with pytest.raises(LimitError, match="would take"):
            fn(*(a.tolist() for a in arrays))


def test_the_source_is_written_when_it_is_asked_for() -> None:
    where = "A in R^{m x n}; B in R^{n x p}; C in R^{p x q}; D in R^{q x r}; phi: elementwise"
    f = matcalc.parse("A*B*phi(C*D)", where)
    fn = f.compile(functions={"phi": [np.tanh]})
    arrays = {name: np.ones((2, 2)) for name in "ABCD"}
    expected = fn(**arrays)
    again = pickle.loads(pickle.dumps(fn))
    assert fn.source is fn.source and again.source == fn.source
    assert "phi(" in fn.source and "_planned" not in fn.source
    np.testing.assert_allclose(again(**arrays), expected)
    np.testing.assert_allclose(by_source(fn)(*arrays.values()), expected)
