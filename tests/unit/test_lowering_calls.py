"""How compiled functions are called: arguments, precision, errors, sources, and accuracy at the edges."""

from __future__ import annotations

import pickle
import warnings
from fractions import Fraction

import numpy as np
import pytest

import matcalc
from matcalc.dims import ONE, dim
from matcalc.errors import ArgumentError, LimitError
from matcalc.expr import make, variables
from matcalc.lowering import compile_numpy, numpy_source
from matcalc.primitives import algebra
from matcalc.primitives.elementwise import FUNCTIONS, exp, log, sigmoid, sin, tanh
from matcalc.primitives.functions import Defined, Unknown
from matcalc.primitives.leaves import Index, Size, const, differential_of, identity, ones, var
from matcalc.primitives.loops import indexed_sum
from matcalc.primitives.matrix import inv
from matcalc.primitives.reductions import Max, Norm2, total
from matcalc.primitives.softmax import LogSoftmax, LogSumExp, Softmax
from matcalc.primitives.structure import ALL, AT, diagonal, sliced, unit

M, N = dim("m"), dim("n")
A, X = var("A", (N, N)), var("X", (M, N))
x, y, u = var("x", (N, ONE)), var("y", (N, ONE)), var("u", (M, ONE))
s, t = var("s"), var("t")


def raises(text, fn, *args, **keywords):
    with pytest.raises(ArgumentError) as caught:
        fn(*args, **keywords)
    assert text in str(caught.value), caught.value


def test_arguments_by_name_and_by_order():
    fn = compile_numpy(A @ x + y, [x, y, A])
    a, b, c = np.eye(2), np.array([1.0, 2.0]), np.array([3.0, 4.0])
    assert fn.arguments == ("x", "y", "A")
    for got in (fn(b, c, a), fn(b, A=a, y=c), fn(A=a, x=b, y=c), fn(A=a.tolist(), x=[1, 2], y=(3, 4))):
        np.testing.assert_array_equal(got, [4, 6])


def test_very_many_arguments_by_name():
    terms = [var(f"a{k}", (N, ONE)) for k in range(60)]
    fn = compile_numpy(algebra.add(*[a * (k + 1) for k, a in enumerate(terms)]), terms)
    values = {f"a{k}": np.full(2, float(k)) for k in reversed(range(60))}
    assert fn(**values).tolist() == [sum(k * (k + 1) for k in range(60))] * 2
    raises("a7 is missing", fn, **{name: value for name, value in values.items() if name != "a7"})
    raises("b", fn, **values, b=np.ones(2))


def test_wrong_arguments_are_named():
    fn = compile_numpy(X @ x + s * u, [X, x, s, u])
    good = {"X": np.ones((4, 3)), "x": np.ones(3), "s": 1.0, "u": np.ones(4)}
    fn(**good)
    raises("x, s are missing; the arguments are X, x, s, u", fn, X=good["X"], u=good["u"])
    raises("z is not taken", fn, **good, z=1)
    raises("5 arguments are given", fn, 1, 2, 3, 4, 5)
    raises("X is given twice", fn, good["X"], **good)
    raises("x must have shape (n,) = (3,) since X is (4, 3), but its shape is (2,)", fn, **{**good, "x": np.ones(2)})
    raises("pass X.T", compile_numpy(X @ x + u, [x, u, X]), x=np.ones(3), u=np.ones(4), X=np.ones((3, 4)))
    raises("pass x.ravel()", fn, **{**good, "x": np.ones((3, 1))})
    raises("s must be a number but has shape (1,)", fn, **{**good, "s": np.ones(1)})
    raises("must be a matrix", fn, **{**good, "X": np.ones(3)})
    for bad in (
        ["a", "b", "c"],
        [None, 1, 2],
        np.array([1, 2, 3], dtype=object),
        np.ones(3, "longdouble"),
        [[1], [1, 2]],
    ):
        raises("x ", fn, **{**good, "x": bad})
    raises("masked", fn, **{**good, "x": np.ma.ones(3)})
    raises("too large", fn, **{**good, "s": 10**400})


def test_a_variable_that_the_arguments_lack():
    raises("the arguments lack x", compile_numpy, A @ x, [A])


def test_unused_arguments_are_taken_and_checked():
    fn = compile_numpy(x.T @ x, [x, A])
    assert fn(np.ones(2), np.eye(2)) == 2
    raises("A must have shape", fn, np.ones(2), np.eye(3))


def test_precision_is_that_of_the_arguments():
    outputs = [
        A @ x,
        x / 3 + 1,
        exp(x) / total(exp(x)),
        sigmoid(x),
        ones(N),
        identity(N) + 0 * A,
        x.T @ x * 0.1,
        Norm2()(x) * x,
    ]
    outputs += [f(x) for f in FUNCTIONS.values()] + [
        f(x.T @ x) for f in FUNCTIONS.values() if f.name not in ("asin", "acos")
    ]
    outputs += [
        indexed_sum(sliced(x, AT, ALL, make(Index("i"))), make(Index("i")), const(1), make(Size("n"))),
        inv(A) @ x,
    ]
    outputs += [
        (2 * const(3) ** (const(1) / 2)) * x,
        log(make(Size("n"))) * x,
        make(Size("n")) ** (const(-1) / 2) * x,
        diagonal(x) @ A,
    ]
    for e in outputs:
        fn = compile_numpy(e, [A, x])
        single = fn(np.eye(2, dtype=np.float32) * 2, np.array([0.25, 0.5], np.float32))
        double = fn(np.eye(2) * 2, np.array([0.25, 0.5]))
        mixed = fn(np.eye(2, dtype=np.float32) * 2, np.array([0.25, 0.5]))
        assert np.asarray(single).dtype == np.float32, fn.source
        assert np.asarray(double).dtype == np.asarray(mixed).dtype == np.float64, fn.source
        np.testing.assert_allclose(single, double, rtol=3e-6)


def test_python_numbers_do_not_raise_the_precision():
    fn = compile_numpy(s * x, [s, x])
    assert fn(0.5, np.ones(2, np.float32)).dtype == np.float32
    assert fn(1, np.ones(2, np.float32)).dtype == np.float32
    assert fn(np.float64(0.5), np.ones(2, np.float32)).dtype == np.float64
    assert fn(2, np.array([1, 2])).dtype == np.float64
    assert isinstance(compile_numpy(s * t)(2, 3), float)
    assert isinstance(compile_numpy(const(2) * 3)(), float)


def test_scalars_divide_as_arrays_do():
    with np.errstate(all="ignore"):
        assert compile_numpy(1 / s)(0.0) == np.inf
        assert np.isnan(compile_numpy(s ** (const(1) / 2))(-1.0))
        assert compile_numpy(exp(s))(1000.0) == np.inf


def test_complex_numbers_where_the_function_is_analytic():
    h = 1e-30
    for e in (exp(sin(s)) / (1 + s**2), sigmoid(s) + FUNCTIONS["softplus"](s) + FUNCTIONS["silu"](s), log(1 + s) ** 3):
        fn = compile_numpy(e)
        step = fn(complex(0.7, h)).imag / h
        assert step == pytest.approx((fn(0.7 + 1e-6) - fn(0.7 - 1e-6)) / 2e-6, rel=1e-7)
    direction = np.array([1.0, 2.0, -1.0])
    point = np.array([0.3, 0.1, 0.4])
    for e in (
        total(Softmax(0)(A @ x) * x),
        LogSumExp(0)(A @ x),
        Norm2()(A @ x),
        x.T @ inv(A) @ x,
        total(LogSoftmax(0)(x) * x),
    ):
        fn = compile_numpy(e, [x, A])
        a = np.arange(9.0).reshape(3, 3) / 9 + np.eye(3)
        step = fn(point + 1j * h * direction, a).imag / h
        assert step == pytest.approx(
            (fn(point + 1e-6 * direction, a) - fn(point - 1e-6 * direction, a)) / 2e-6, rel=1e-7
        )
    for e in (FUNCTIONS["abs"](x), FUNCTIONS["relu"](x), Max(None)(x), FUNCTIONS["erf"](x)):
        raises("x is complex", compile_numpy(e), np.ones(2, complex))


def test_not_a_number_stays():
    for f in FUNCTIONS.values():
        assert np.isnan(compile_numpy(f(x))(np.array([np.nan, 0.5]))[0]), f.name
        assert np.isnan(compile_numpy(f(s))(np.nan)), f.name
    for e in (Softmax(0)(x), LogSumExp(0)(x), Norm2()(x), Max(None)(x)):
        assert np.isnan(compile_numpy(e)([np.nan, 0.5])).any()


def test_extreme_arguments():
    far = np.array([-1000.0, -40.0, 0.0, 40.0, 1000.0])
    with np.errstate(all="raise", under="ignore"):
        np.testing.assert_allclose(
            compile_numpy(1 / (1 + exp(-x)))(far), [0, np.exp(-40.0), 0.5, 1, 1], rtol=1e-15, atol=1e-300
        )
        np.testing.assert_allclose(
            compile_numpy(1 - sigmoid(x))(far), [1, 1, 0.5, np.exp(-40.0), 0], rtol=1e-15, atol=1e-300
        )
        np.testing.assert_allclose(
            compile_numpy(log(1 + exp(x)))(far), [0, np.exp(-40.0), np.log(2), 40, 1000], rtol=1e-15
        )
        np.testing.assert_allclose(
            compile_numpy(log(sigmoid(x)))(far), [-1000, -40, -np.log(2), -np.exp(-40.0), 0], rtol=1e-15
        )
        np.testing.assert_allclose(
            compile_numpy(log(1 - sigmoid(x)))(far[::-1]), [-1000, -40, -np.log(2), -np.exp(-40.0), 0], rtol=1e-15
        )
        np.testing.assert_allclose(
            compile_numpy(sigmoid(x) * (1 - sigmoid(x)))(far)[[0, 2, 4]], [0, 0.25, 0], atol=1e-300
        )
        big = np.array([1e4, 1e4 - 1, -1e4])
        e = np.exp(-1)
        np.testing.assert_allclose(
            compile_numpy(exp(x) / total(exp(x)))(big), [1 / (1 + e), e / (1 + e), 0], rtol=1e-15
        )
        assert compile_numpy(log(total(exp(x))))(big) == pytest.approx(1e4 + np.log1p(e), rel=1e-15)
        np.testing.assert_allclose(compile_numpy(log(Softmax(0)(x)))(big)[2], -2e4 - np.log1p(e), rtol=1e-15)
        assert sigmoid_single(far) == np.float32
    assert compile_numpy(LogSumExp(0)(x))([-np.inf, -np.inf]) == -np.inf
    np.testing.assert_array_equal(compile_numpy(LogSumExp(0)(X))([[-np.inf, 0], [-np.inf, 0]]), [[-np.inf, np.log(2)]])
    tiny = compile_numpy(exp(x) - 1)([1e-18])
    assert tiny[0] == 1e-18


def sigmoid_single(far):
    return compile_numpy(sigmoid(x))(far.astype(np.float32)).dtype


@pytest.mark.parametrize(
    ("text", "stable"),
    [
        ("sum(exp(x) ./ (1 + exp(x)))", "sum(sigmoid(x))"),
        ("y'*(exp(x) ./ (1 + exp(x)))", "y'*sigmoid(x)"),
        ("sum(y .* exp(x) ./ (1 + exp(x)).^2)", "sum(y .* sigmoid(x) .* sigmoid(-x))"),
        ("y'*(exp(x)/sum(exp(x)))", "y'*softmax(x)"),
        ("y'*exp(x)/sum(exp(x))", "y'*softmax(x)"),
        ("A*(exp(x)/sum(exp(x)))", "A*softmax(x)"),
        ("log(exp(A) ./ (sum(exp(A), 1)*ones(n)'))", "log_softmax(A, 1)"),
        ("exp(A) ./ (ones(n)*sum(exp(A), 0))*x", "softmax(A, 0)*x"),
        ("exp(B) ./ (sum(exp(B), 0)'*ones(n)')", "exp(B - logsumexp(B, 0)'*ones(n)')"),
        ("exp(B) ./ (ones(n)*sum(exp(B), 1)')", "exp(B - ones(n)*logsumexp(B, 1)')"),
    ],
)
def test_quotients_of_exponentials_do_not_overflow(text, stable):
    rng = np.random.default_rng(0)
    values = {"x": np.array([-900.0, 3.0, 900.0]), "y": rng.normal(size=3), "A": 800 * rng.normal(size=(3, 3))}
    values["B"] = rng.normal(size=(3, 3))
    found, expected = (matcalc.parse(t, "x, y in R^n; A, B in R^{n x n}").compile() for t in (text, stable))
    there = found(**{name: values[name] for name in found.arguments})
    np.testing.assert_allclose(there, expected(**{name: values[name] for name in expected.arguments}), rtol=1e-13)


def test_error_function_to_the_last_digits():
    mpmath = pytest.importorskip("mpmath")
    points = np.concatenate([np.linspace(-7, 7, 401), np.logspace(-300, 0, 50)])
    got = compile_numpy(FUNCTIONS["erf"](x))(points)
    exact = np.array([float(mpmath.erf(float(p))) for p in points])
    np.testing.assert_allclose(got, exact, rtol=5e-16)


def test_the_norm_at_zero_has_the_subgradient_zero():
    fn = compile_numpy(x / Norm2()(x), subgradient=True)
    np.testing.assert_array_equal(fn([0.0, 0.0]), [0, 0])
    np.testing.assert_allclose(fn([3.0, 4.0]), [0.6, 0.8])
    with np.errstate(invalid="ignore", divide="ignore"):
        assert np.isnan(compile_numpy(x / Norm2()(x))([0.0, 0.0])).all()


def test_sizes_are_read_from_shapes_or_asked_for():
    fn = compile_numpy(make(Size("m")) ** -1 * X.T @ u)
    np.testing.assert_allclose(fn(X=np.ones((4, 3)), u=np.ones(4)), np.ones(3))
    assert fn.arguments == ("X", "u")
    fn = compile_numpy(s * ones(N))
    assert fn.arguments == ("s", "n")
    np.testing.assert_allclose(fn(s=2.0, n=3), [2, 2, 2])
    raises("n is a dimension", fn, s=2.0, n=-1)
    raises("n is a dimension", fn, s=2.0, n=1.5)
    z = var("z", (2 * N + 1, ONE))
    fn = compile_numpy(total(z) * ones(N))
    assert fn.arguments == ("z",)
    assert fn(np.ones(7)).shape == (3,)
    raises("z has 6 entries, which is not 2*n + 1 for any n", fn, np.ones(6))


def test_names_that_are_no_identifiers():
    e = var("lambda") * var("λ") * var("class") * var("np") * var("x'") * total(var("dtype", (N, ONE)))
    fn = compile_numpy(e)
    values = {"lambda": 2, "λ": 3, "class": 5, "np": 7, "x'": 11, "dtype": [13]}
    assert set(fn.arguments) == set(values)
    assert fn(**values) == 2 * 3 * 5 * 7 * 11 * 13
    assert compile_numpy(var("lambda") ** 2)(lambda_=3) == 9
    both = {"ϕ": 2, "φ": 3}  # Python takes the two letters for one
    assert compile_numpy(var("ϕ") * var("φ"))(**both) == 6
    hostile = compile_numpy(
        var("__import__('os')") + var("a\nb") + var('"""') + var("1x"), title='"""\\N{DASH}\nimport os'
    )
    assert hostile(1, 2, 3, 4) == 10


def test_unknown_functions_are_given_by_order():
    phi = Unknown("phi")
    slope = make(type(phi(x).op)(phi, 1), (x,))
    fn = compile_numpy(slope * y + phi(x), [x, y], functions={"phi": [np.sin, np.cos]})
    np.testing.assert_allclose(fn([0.5], [2.0]), 2 * np.cos([0.5]) + np.sin([0.5]))
    raises("the values of phi' are not known", compile_numpy, slope, functions={"phi": [np.sin]})
    raises("functions={'phi': [phi, phi']}", compile_numpy, slope)
    assert "dphi(x)" in numpy_source(slope).source


def test_defined_functions_act_on_arrays_and_use_other_variables():
    parameter = var("t")
    swish = Defined("swish", parameter, parameter / (1 + exp(-s * parameter)))
    fn = compile_numpy(swish(X) + swish(s), [X, s])
    got = fn(np.array([[1.0, -2.0]]), 0.5)
    np.testing.assert_allclose(
        got, [[1 / (1 + np.exp(-0.5)) + 0.5 / (1 + np.exp(-0.25)), -2 / (1 + np.exp(1)) + 0.5 / (1 + np.exp(-0.25))]]
    )
    constant = Defined("constant", parameter, const(3))
    np.testing.assert_array_equal(compile_numpy(constant(x))([1.0, 2.0]), [3, 3])
    i = make(Index("i"))
    series = Defined("series", parameter, indexed_sum(parameter**i / i, i, const(1), const(3)))
    np.testing.assert_allclose(compile_numpy(series(x))([2.0, 1.0]), [2 + 2 + 8 / 3, 1 + 1 / 2 + 1 / 3])
    nested = Defined("nested", parameter, swish(swish(parameter)) + total(x))
    assert compile_numpy(nested(y), [x, y, s])([1.0], [2.0], 1.0).shape == (1,)


def test_definitions_that_double_are_refused(monkeypatch):
    monkeypatch.setattr("matcalc.lowering.plan.MOST_VALUES", 10_000)
    parameter = var("t")
    f = Defined("f0", parameter, sin(parameter) + 1)
    for k in range(1, 40):
        f = Defined(f"f{k}", parameter, f(f(parameter)))
    with pytest.raises(LimitError):
        compile_numpy(f(x))


def test_results_share_no_memory_with_arguments():
    a, b = np.arange(9.0).reshape(3, 3), np.arange(3.0)
    for e in (x, A, A.T, x.T, diagonal(x) + 0, sliced(A, ALL, AT, const(1)), ones(N) @ x.T):
        fn = compile_numpy(e, [A, x])
        got = fn(a, b)
        assert not np.shares_memory(got, a) and not np.shares_memory(got, b), fn.source
        assert got.flags.writeable
    first, second = compile_numpy({"a": A @ A, "b": (A @ A).T}, [A])(a)
    assert not np.shares_memory(first, second)


@pytest.mark.parametrize("declared", ["", "spd"])
def test_the_diagonal_of_an_inverse_may_be_written_over(declared):
    f = matcalc.parse("logdet(A + diag(x))", f"A in R^{{n x n}} {declared}; x in R^n")
    for n in (3, 20):
        found = f.gradient("x").compile()(A=np.eye(n), x=np.ones(n))
        found += 1
        np.testing.assert_allclose(found, 1.5)


def test_several_results_share_their_work():
    z = sigmoid(X @ x)
    fn = compile_numpy({"value": total(log(1 + exp(X @ x))), "gradient": X.T @ z}, name="loss_and_gradient")
    value, gradient = fn(X=np.eye(3), x=np.zeros(3))
    assert value == pytest.approx(3 * np.log(2))
    np.testing.assert_allclose(gradient, 0.5)
    assert fn.source.count("X.dot(x)") == 1
    assert "def loss_and_gradient(" in fn.source


def test_entries_outside_are_refused():
    fn = compile_numpy(sliced(x, AT, ALL, s), [x, s])
    assert fn([1.0, 2.0], 2) == 2
    raises("index 0 is outside 1..2", fn, [1.0, 2.0], 0)
    raises("index 3 is outside 1..2", fn, [1.0, 2.0], 3)
    raises("which is no whole number", fn, [1.0, 2.0], 1.5)
    raises("outside", compile_numpy(sliced(x, AT, ALL, const(3))), [1.0, 2.0])
    raises("reaches to 3, outside 1..2", compile_numpy(sliced(x, (dim(2), dim(3)), ALL)), [1.0, 2.0])
    raises("outside", compile_numpy(unit(const(3), N)), 2)


def test_numbers_beyond_floats_do_no_harm():
    huge = 10**400
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert compile_numpy(const(huge) * s)(1.0) == np.inf
        assert compile_numpy(const(Fraction(huge + 1, huge // 10)) * s)(1.0) == 10
        assert compile_numpy(make(algebra.POWER, (const(3), const(10**9))) * s)(1.0) == np.inf
        assert np.isnan(compile_numpy(const(-2) ** Fraction(1, 2) * s)(1.0))
        assert np.isnan(compile_numpy((make(Size("n")) - 5) ** Fraction(1, 2) * x)([1.0])).all()


def test_long_sums_and_products():
    many = [var(f"x{k}", (N, ONE)) for k in range(2000)]
    values = [np.array([1.0 + (k == 7)]) for k in range(2000)]
    assert compile_numpy(algebra.add(*many), many)(*values) == 2001
    assert compile_numpy(algebra.hadamard(*many), many)(*values) == 2
    square = [var(f"A{k}", (N, N)) for k in range(2000)]
    assert compile_numpy(algebra.product(*square), square)(*[v[:, None] for v in values]) == 2


def test_differentials_are_arguments():
    fn = compile_numpy(A @ differential_of(x))
    assert fn.arguments == ("A", "dx")


@pytest.mark.parametrize(
    ("e", "there", "absent"),
    [
        (inv(A) @ x, "np.linalg.solve(A, x)", "inv("),
        (x.T @ inv(A) @ y, "np.linalg.solve(A", "inv("),
        (X @ inv(A), "np.linalg.solve(A.T, X.T).T", "inv("),
        (diagonal(x) @ A, "x[:, None] * A", "diag("),
        (A @ diagonal(x), "x * A", "diag("),
        (A @ A @ A @ x, "A.dot(A.dot(A.dot(x)))", "@"),
        (s * (x @ y.T), "(s * x)[:, None].dot(y[None])", "outer("),
        (A + s * identity(N), "rt.add_diagonal(A, s)", "eye("),
        (x**2, "x * x", "**"),
        (x / y, "x / y", "1 /"),
        (ones(M).T @ X, "X.sum(0)", "ones("),
        (X + ones(M) @ x.T, "X + x", "ones("),
        (x.T @ A @ x, "x.dot(A.dot(x))", "[None"),
    ],
)
def test_the_source_is_what_a_person_would_write(e, there, absent):
    source = compile_numpy(e).source
    assert there in source and absent not in source, source


def test_the_source_runs_on_its_own_and_functions_travel():
    fn = compile_numpy(A @ x, title="A*x", name="product")
    space = {}
    exec(fn.source, space)
    np.testing.assert_array_equal(space["product"](np.eye(2), np.ones(2)), [1, 1])
    assert space["product"].__doc__.startswith("A*x")
    again = pickle.loads(pickle.dumps(fn))
    np.testing.assert_array_equal(again(np.eye(2), np.ones(2)), [1, 1])


def test_code_of_deep_networks_grows_in_proportion_to_their_depth():
    def network(depth):
        h = x
        for k in range(depth):
            h = tanh(var(f"W{k}", (N, N)) @ h + h)
        return y.T @ h

    lengths = []
    for depth in (250, 1000):
        e = network(depth)
        fn = compile_numpy(e)
        lengths.append(len(fn.source))
        values = {v.op.name: np.full([2] * (1 if v.cols is ONE else 2), 0.1) for v in variables([e])}
        assert np.isfinite(fn(**values))
    assert lengths[1] < 5 * lengths[0]


def test_deeply_nested_sums_are_refused():
    e = s
    for k in range(30):
        i = make(Index(f"i{k}"))
        e = indexed_sum(e * i, i, const(1), const(2))
    with pytest.raises(LimitError):
        compile_numpy(e)


def test_shapes_that_show_a_size_only_together():
    z, w = var("z", (N + 1, ONE)), var("w", (M * N, ONE))
    fn = compile_numpy(total(z) * x + total(w), [z, w, x])
    np.testing.assert_allclose(fn(np.ones(3), np.ones(8), np.ones(2)), [11, 11])
    np.testing.assert_allclose(fn([1, 1, 1], [1, 1], [1, 1]), [5, 5])
    raises("z must have shape (n + 1,) = (3,) since x is (2,)", fn, np.ones(2), np.ones(8), np.ones(2))
    raises("z must be a vector", fn, np.array(1.0), np.ones(8), np.ones(2))
    raises("x must be a vector", fn, np.ones(3), np.ones(8), 2.0)


def test_a_residual_network_adds_each_layer_once():
    def network(depth):
        h = x
        for k in range(depth):
            h = h + tanh(var(f"W{k}", (N, N)) @ h)
        return y.T @ h

    short, long = (compile_numpy(network(depth)).source for depth in (20, 80))
    assert long.count(" + ") < 5 * short.count(" + ")


def test_names_of_python_and_other_spellings_of_names():
    fn = compile_numpy(var("self") * var("args") * var("keywords"))
    assert fn(self=2, args=3, keywords=4) == 24
    fn = compile_numpy(var("lambda") * Unknown("phi")(x), functions={"φ": [np.tanh]})
    assert np.array_equal(fn(**{"λ": 2.0, "x": np.ones(3)}), 2 * np.tanh(np.ones(3)))
    raises("mu is not taken", fn, **{"λ": 2.0, "x": np.ones(3), "μ": 1.0})


@pytest.mark.parametrize("text", [
    "phi(2)*x", "softplus(sum(i=1:p, i))*x", "x/sum(i=1:p, i)", "x*g(3)",
])  # fmt: skip
def test_numbers_without_a_precision_keep_that_of_arrays(text):
    f = matcalc.parse(text, "x in R^n; Y in R^{n x p}; phi: elementwise; g: R -> R")
    fn = f.compile(functions={"phi": np.tanh, "g": [np.tanh]})
    given = {"x": np.ones(2, "f"), "Y": np.ones((2, 3), "f"), "p": 3}
    assert fn(**{name: given[name] for name in fn.arguments}).dtype == np.float32


@pytest.mark.parametrize("text", ["sum(tanh(A*B*x))", "sum(phi(A*B*x))", "sum(psi(A*B*x).^2)"])
def test_functions_planned_by_size_travel_with_functions_of_entries(text):
    where = "A in R^{m x n}; B in R^{n x p}; x in R^p; phi: elementwise; psi(t) = t/(1 + exp(-t))"
    fn = matcalc.parse(text, where).gradient("A").compile(functions={"phi": [np.sin, np.cos]})
    assert fn._module.sizes
    again = pickle.loads(pickle.dumps(fn))
    rng = np.random.default_rng(0)
    arrays = {"A": rng.normal(size=(4, 3)), "B": rng.normal(size=(3, 2)), "x": rng.normal(size=2)}
    np.testing.assert_array_equal(again(**arrays), fn(**arrays))


def test_an_index_error_of_a_given_function_stays_its_own():
    def wrong(a):
        return a[len(a) + 1]

    fn = matcalc.parse("sum(phi(A*x))", "A in R^{m x n}; x in R^n; phi: elementwise").compile(functions={"phi": wrong})
    with pytest.raises(IndexError, match="out of bounds"):
        fn(A=np.ones((2, 3)), x=np.ones(3))


@pytest.mark.parametrize("kind", ["d", "f"])
def test_pseudo_inverses_of_singular_matrices_in_any_precision(kind):
    fn = matcalc.parse("pinv(A)", "A in R^{m x n}").compile()
    stacked = matcalc.parse("pinv(A)", "A in R^{m x n}").compile(batch="A")
    rng = np.random.default_rng(0)
    a = rng.standard_normal((40, 2)) @ rng.standard_normal((2, 30))
    for found in (fn(A=a.astype(kind)), stacked(A=a.astype(kind)[None])[0]):
        assert found.dtype == np.dtype(kind)
        np.testing.assert_allclose(a @ found @ a, a, atol=1e-4)


def test_a_sum_of_products_of_columns_is_a_number() -> None:
    f = matcalc.parse("silu(s - exp(-tanh(a))*sum(khatri_rao(A, A)))", "A in R^{m x n}; a, s in R")
    A = np.random.default_rng(0).uniform(0.2, 1.0, (3, 2))
    slope = f.gradient("a").compile()(A=A, a=0.3, s=1.5)
    value = f.compile()
    steps = [value(A=A, a=0.3 + e, s=1.5) for e in (-1e-6, 1e-6)]
    assert slope == pytest.approx((steps[1] - steps[0]) / 2e-6, rel=1e-6)


def test_a_sum_may_have_no_terms_but_not_fewer() -> None:
    """The gradient of ``tr(A*X^k)`` is a sum of k terms, which says nothing of negative k."""
    fn = matcalc.parse("tr(A*X^k)", "A, X in R^{n x n}").gradient("X").compile()
    A, X = np.random.default_rng(0).normal(size=(2, 3, 3))
    assert np.array_equal(fn(A=A, X=X, k=0), np.zeros((3, 3)))
    np.testing.assert_allclose(fn(A=A, X=X, k=2), X.T @ A.T + A.T @ X.T)
    with pytest.raises(ArgumentError, match="a sum runs from 1 to -1"):
        fn(A=A, X=X, k=-1)
