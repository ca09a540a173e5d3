"""Jacobians, Hessians, Gauss-Newton matrices, differentials and products as a user holds them in Python."""

from __future__ import annotations

import json

import numpy as np
import pytest

import matcalc
from matcalc.errors import (
    ArgumentError,
    DeclarationError,
    LimitError,
    NotScalarError,
    ParseError,
    ShapeError,
    UnknownNameError,
)
from matcalc.lowering import compile_numpy
from matcalc.results.requests import REQUESTS
from matcalc.syntax import parse

LAYER = matcalc.parse("z = W*x + b; sigmoid(z)", "W in R^{m x n}; x in R^n; b in R^m")
SHAPES = "W1 in R^{l x n}; W2 in R^{m x l}; x in R^n; y in R^m"
NET = matcalc.parse("u = W2*tanh(W1*x); logsumexp(u) - y'*u", SHAPES)
RNG = np.random.default_rng(7)
SIZES = {"W": (3, 2), "x": (2,), "b": (3,), "v": (3,)}


def values(*names: str, **shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    wanted = {name: SIZES[name] for name in names} | shapes
    return {name: RNG.standard_normal(shape) for name, shape in wanted.items()}


def vec(a: object) -> np.ndarray:
    return np.asarray(a).ravel(order="F")


def differences(f, x: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """The Jacobian of vec f by vec x, by central differences."""
    columns = []
    for k in range(x.size):
        e = np.zeros(x.size)
        e[k] = step
        e = e.reshape(x.shape, order="F")
        columns.append((vec(f(x + e)) - vec(f(x - e))) / (2 * step))
    return np.stack(columns, axis=1)


# -- what each is


def test_functions_of_the_package_and_methods_of_a_formula_agree() -> None:
    text, where = "sigmoid(W*x + b)", "W in R^{m x n}; x in R^n; b in R^m"
    f = matcalc.parse(text, where)
    for name in ("jacobian", "differential", "jvp", "vjp", "hessian"):
        assert str(getattr(matcalc, name)(text, "x", where)) == str(getattr(f, name)("x"))
        assert str(getattr(matcalc, name)(text, ["x", "b"], where)) == str(getattr(f, name)("x, b"))
    assert str(matcalc.hvp("x'*A*x", "x")) == str(matcalc.parse("x'*A*x").hvp("x"))


def test_the_jacobian_of_a_layer() -> None:
    j = LAYER.jacobian("W", "x")
    assert list(j) == ["W", "x"]
    given = values("W", "x", "b")

    def layer(**changed: np.ndarray) -> np.ndarray:
        at = given | changed
        return 1 / (1 + np.exp(-(at["W"] @ at["x"] + at["b"])))

    by_w, by_x = j.compile(blocks=True)(**given)
    np.testing.assert_allclose(by_w, differences(lambda W: layer(W=W), given["W"]), atol=1e-8)
    np.testing.assert_allclose(by_x, differences(lambda x: layer(x=x), given["x"]), atol=1e-8)
    np.testing.assert_allclose(j.compile()(**given), np.hstack([by_w, by_x]), atol=1e-15)
    value, whole = j.compile(value=True)(**given)
    np.testing.assert_allclose(value, layer(), atol=1e-15)
    np.testing.assert_allclose(whole, np.hstack([by_w, by_x]), atol=1e-15)


def test_shapes_of_jacobians() -> None:
    cases = {
        ("W*x", "x"): "R^{m x n}",
        ("x'*x", "x"): "R^{1 x n}",
        ("a*X", "a"): "R^{m*n}",
        ("X'", "X"): "R^{m*n x m*n}",
        ("a^2", "a"): "R",
    }
    for (text, wrt), shape in cases.items():
        j = matcalc.jacobian(text, wrt, "W, X in R^{m x n}; x in R^n; a in R")
        assert j.as_dict()["jacobians"][wrt]["shape"] == shape


def test_the_hessian_of_several_variables_is_a_symmetric_block_matrix() -> None:
    h = matcalc.hessian("c'*tanh(W*x)", "W, x", "W in R^{m x n}; x in R^n; c in R^m")
    assert list(h) == ["W", "W,x", "x"]
    assert h["x,W"] is h["x", "W"]
    given = values("W", "x", c=(3,))
    dense = h.compile()(**given)
    assert dense.shape == (8, 8)
    np.testing.assert_allclose(dense, dense.T, atol=1e-14)
    gradient = matcalc.gradient("c'*tanh(W*x)", "W, x", "W in R^{m x n}; x in R^n; c in R^m").compile()

    def slope(z: np.ndarray) -> np.ndarray:
        found = gradient(W=z[:6].reshape((3, 2), order="F"), x=z[6:], c=given["c"])
        return np.concatenate([vec(g) for g in found])

    at = np.concatenate([vec(given["W"]), given["x"]])
    np.testing.assert_allclose(dense, differences(slope, at), atol=1e-8)
    corner, mixed, last = h.compile(blocks=True)(**given)
    np.testing.assert_allclose(dense, np.block([[corner, mixed], [mixed.T, last]]), atol=1e-15)


def test_the_hessians_of_a_vector_function_are_a_stack() -> None:
    h = LAYER.hessian("x", weights="p")
    assert "p" in str(h)
    assert any("sum of p_k" in note for note in h.notes)
    given = values("W", "x", "b")
    stack = h.compile()(**given)
    assert stack.shape == (3, 2, 2)
    for k in range(3):
        s = 1 / (1 + np.exp(-(given["W"] @ given["x"] + given["b"])))[k]
        expected = s * (1 - s) * (1 - 2 * s) * np.outer(given["W"][k], given["W"][k])
        np.testing.assert_allclose(stack[k], expected, atol=1e-14)
    value, same = h.compile(value=True)(**given)
    assert value.shape == (3,)
    np.testing.assert_array_equal(same, stack)
    assert set(h.component(2)) == {"x"}
    for wrong in (0, -1):
        with pytest.raises(ArgumentError, match="no entry"):
            h.component(wrong)
    with pytest.raises(ArgumentError, match="scalar"):
        h.operator()


@pytest.mark.parametrize(
    ("text", "wrt", "count"), [("X*X", "X", 9), ("x*x'", "x", 4), ("x'.^3", "x", 2), ("X^-1", "X", 9)]
)
def test_the_hessians_of_a_matrix_are_a_stack(text: str, wrt: str, count: int) -> None:
    h = matcalc.hessian(text, wrt)
    given = {wrt: RNG.standard_normal((3, 3) if wrt == "X" else (2,))}
    stack = h.compile()(**given)
    size = given[wrt].size
    assert stack.shape == (count, size, size)
    assert any("vec(" in note for note in h.notes)
    for k in range(count):
        one = h.component(k + 1)[wrt]
        found = compile_numpy(one, h.of.arguments([one]), ignored=h.of.program.variables)(**given)
        np.testing.assert_allclose(found, stack[k], atol=1e-12)


@pytest.mark.parametrize(
    ("text", "where", "expected"),
    [
        ("x*y + y^2", "x, y in R", [[0, 1], [1, 2]]),
        ("x*y + y^2", "x, y in R^{1 x 1}", [[0, 1], [1, 2]]),
        ("x*y + a*x^2", "x, y, a in R", [[6, 1], [1, 0]]),
        ("vcat(x^2, x*y)", "x, y in R", [[[2, 0], [0, 0]], [[0, 1], [1, 0]]]),
        ("hcat(x*y, y^2)", "x, y in R", [[[0, 1], [1, 0]], [[0, 0], [0, 2]]]),
        ("e(1, 1)*x*y", "x, y in R", [[0, 1], [1, 0]]),
    ],
)
def test_hessians_by_numbers_whose_entries_are_numbers(text: str, where: str, expected: list) -> None:
    result = matcalc.hessian(text, "x, y", where)
    compiled = result.compile()
    found = compiled(**dict.fromkeys(compiled.arguments, 3.0))
    np.testing.assert_array_equal(found, expected)
    assert result.check().passed


def test_the_kinds_of_what_is_differentiated_by_stay() -> None:
    assert matcalc.hessian("X*X", "X").of.inferred == ["X in R^{n x n}"]
    assert "C in R" in matcalc.hessian("C*sum(x.^2)", "x").of.inferred


def test_gauss_newton_and_the_rest_add_up_to_the_hessian() -> None:
    g = NET.gauss_newton("W1", at="u")
    assert g.convex is True
    assert any("positive semidefinite" in note for note in g.notes)
    given = values(W1=(4, 3), W2=(2, 4), x=(3,), y=(2,))
    dense = g.compile()(**given)
    whole = NET.hessian("W1").compile()(**given)
    assert np.linalg.eigvalsh(dense).min() > -1e-12
    residual = compile_numpy(g.residual["W1"], NET.arguments([g.residual["W1"]]))(**given)
    np.testing.assert_allclose(dense + residual, whole, atol=1e-12)
    assert set(g.hessian) == {"W1"}


def test_a_loss_and_a_net_apart() -> None:
    together = NET.gauss_newton("W1")
    net = "W2*tanh(W1*x)"
    nets = [net, f"{net} # the net", "z = tanh(W1*x); W2*z", f"u = {net}", f"q = {net}"]
    for net in nets:
        apart = matcalc.gauss_newton(loss="logsumexp(u) - y'*u", at="u", net=net, wrt="W1", where=SHAPES)
        assert apart["W1"] is together["W1"]
    program = "u = W2*tanh(W1*x); logsumexp(u) - y'*u"
    assert matcalc.gauss_newton(program, wrt="W1", where=SHAPES)["W1"] is together["W1"]


# -- products and operators


@pytest.mark.parametrize("wrt", ["W", "x", "W, x", "b, x, W"])
def test_products_are_those_with_the_dense_matrix(wrt: str) -> None:
    names = [name.strip() for name in wrt.split(",")]
    given = values("W", "x", "b")
    dense = LAYER.jacobian(wrt).compile()(**given)
    forward, back = LAYER.jvp(wrt), LAYER.vjp(wrt)
    pairs = zip(names, forward.directions, strict=True)
    moves = {v.op.name: RNG.standard_normal(given[name].shape) for name, v in pairs}
    along = np.concatenate([vec(m) for m in moves.values()])
    np.testing.assert_allclose(forward.compile()(**given, **moves), dense @ along, atol=1e-13)
    u = RNG.standard_normal(3)
    found = back.compile()(**given, u=u)
    parts = found if isinstance(found, tuple) else (found,)
    np.testing.assert_allclose(np.concatenate([vec(p) for p in parts]), dense.T @ u, atol=1e-13)


def test_operators_are_the_dense_matrices() -> None:
    pytest.importorskip("scipy")
    layer = values("W", "x", "b")
    net = values(W1=(4, 3), W2=(2, 4), x=(3,), y=(2,))
    cases = [
        (LAYER.jacobian("W, x"), layer),
        (NET.hessian("W1, x"), net),
        (NET.gauss_newton("W1, W2", at="u"), net),
        (matcalc.jacobian("X'", "X"), {"X": RNG.standard_normal((2, 3))}),
        (matcalc.jacobian("tr(X)^2", "X"), {"X": RNG.standard_normal((3, 3))}),
        (matcalc.hessian("a^3*b", "a, b", "a, b in R"), {"a": 2.0, "b": 3.0}),
    ]
    for result, given in cases:
        dense = np.atleast_2d(result.compile()(**given))
        operator = result.operator()(**given)
        assert operator.shape == dense.shape
        np.testing.assert_allclose(operator @ np.eye(dense.shape[1]), dense, atol=1e-12)
        ones = np.ones(dense.shape[0])
        np.testing.assert_allclose(operator.rmatvec(ones), dense.T @ ones, atol=1e-12)


@pytest.mark.parametrize(
    ("text", "wrt", "where"),
    [
        ("logsumexp(X)", "X", "X in R^{m x n}"),
        ("a'*X", "X, a", ""),
        ("tanh(w*x)", "w, x", "w in R^{1 x n}; x in R^n"),
        ("ones(m)'*A", "A", ""),
        ("x'", "x", "x in R^n"),
        ("diag(x)", "x", ""),
    ],
)
def test_operators_of_rows_and_of_what_no_argument_tells_the_size(text: str, wrt: str, where: str) -> None:
    pytest.importorskip("scipy")
    result = matcalc.jacobian(text, wrt, where)
    shapes = {"X": (2, 3), "a": (2,), "w": (3,), "x": (3,), "A": (2, 3)}
    arrays = {name: RNG.standard_normal(shapes[name]) for name in result.of.variables}
    compiled, function = result.compile(), result.operator()
    dense = compiled(**{name: arrays[name] for name in compiled.arguments}).reshape(
        -1, sum(map(np.size, arrays.values()))
    )
    operator = function(**{name: arrays[name] for name in function.arguments})
    np.testing.assert_allclose(operator @ np.eye(dense.shape[1]), dense, atol=1e-14)
    np.testing.assert_allclose(operator.T @ np.eye(dense.shape[0]), dense.T, atol=1e-14)


def test_sizes_may_be_given_to_operators_by_name() -> None:
    pytest.importorskip("scipy")
    function = matcalc.hessian("x'*x", "x").operator()
    assert function.arguments == ["x"]
    assert (function(n=3) @ np.ones(3)).tolist() == [2, 2, 2]
    with pytest.raises(ArgumentError, match="no argument tells the size n"):
        function()


def test_operators_say_what_is_wrong_with_their_arguments() -> None:
    pytest.importorskip("scipy")
    operator = LAYER.jacobian("x").operator()
    assert operator.arguments == ["W", "x", "b"]
    given = values("W", "x", "b")
    with pytest.raises(ArgumentError, match="x is missing"):
        operator(W=given["W"], b=given["b"])
    with pytest.raises(ArgumentError, match="q is not taken"):
        operator(**given, q=1)
    with pytest.raises(ArgumentError, match="x must have shape"):
        operator(**given | {"x": np.ones(7)}) @ np.ones(2)
    single = {name: a.astype(np.float32) for name, a in given.items()}
    assert operator(**single).dtype == np.float32
    with pytest.raises(ArgumentError, match="n is missing"):
        matcalc.jacobian("ones(n)*x'*x", "x", "x in R^m").operator()(x=np.ones(3))
    bound = matcalc.jacobian("phi(W*x)", "x").operator(functions={"phi": [np.tanh, lambda t: 1 - np.tanh(t) ** 2]})
    assert (bound(W=np.ones((2, 3)), x=np.zeros(3)) @ np.ones(3)).tolist() == [3, 3]


def test_a_matrix_over_the_limit_is_refused_with_the_operator_suggested() -> None:
    j = matcalc.jacobian("A*X*B", "X")
    given = {"A": np.ones((200, 300)), "X": np.ones((300, 200)), "B": np.ones((200, 300))}
    with pytest.raises(LimitError, match="operator"):
        j.compile()(**given)
    small = {name: a[:2, :2] for name, a in given.items()}
    with pytest.raises(LimitError):
        j.compile(limit=100)(**small)
    assert j.compile(limit=None)(**small).shape == (4, 4)


def test_names_of_directions() -> None:
    assert [v.op.name for v in LAYER.jvp("x").directions] == ["v"]
    assert [v.op.name for v in LAYER.jvp("W").directions] == ["V"]
    assert [v.op.name for v in LAYER.jvp("W, x").directions] == ["V_W", "v_x"]
    assert [v.op.name for v in LAYER.jvp("W, x", direction="D, d").directions] == ["D", "d"]
    taken = matcalc.parse("v'*x")
    assert [d.op.name for d in taken.jvp("x").directions] == ["u"]
    subscripts = matcalc.parse("A_hat*x_ij", "A_hat in R^{m x n}; x_ij in R^n").jvp("A_hat, x_ij")
    assert [d.op.name for d in subscripts.directions] == ["V_Ahat", "v_xij"]
    for wrong in ("x", "2", "", "v, w", "a b", "sin", "in", "n", "z"):
        with pytest.raises(ArgumentError):
            LAYER.jvp("x", direction=wrong)


# -- text, LaTeX, data


RESULTS = {
    "jacobian": lambda: LAYER.jacobian("W, x"),
    "hessian": lambda: NET.hessian("W1, x"),
    "weighted": lambda: LAYER.hessian("W, x"),
    "gauss-newton": lambda: NET.gauss_newton("W1, W2"),
    "jvp": lambda: LAYER.jvp("W, x"),
    "vjp": lambda: LAYER.vjp("W, x"),
    "hvp": lambda: NET.hvp("W1, x"),
    "gnvp": lambda: NET.gnvp("W1, W2"),
    "differential": lambda: LAYER.differential("W, x"),
    "subscripts": lambda: matcalc.hessian(
        "logsumexp(A_hat*x_ij + lambda*b)", "A_hat, x_ij, b, lambda", "A_hat in R^{m x n}; x_ij in R^n"
    ),
    "taken": lambda: matcalc.hessian("H_x*x'*y*d_x", "x, y, d_x", "H_x in R; d_x in R"),
}


@pytest.mark.parametrize("name", RESULTS)
def test_text_parses_back(name: str) -> None:
    result = RESULTS[name]()
    weights = getattr(result, "weights", None)
    where = result.of.declarations("", [*result.directions, *([weights] if weights is not None else [])])
    last = list(result.labelled.values())[-1]
    for written in (result.text(), result.text(unicode=True), result.text(parts=False), result.latex()):
        assert parse(written, where).expr is last, written


def test_a_differential_shows_what_it_is_of() -> None:
    d = matcalc.differential("X^-1", "X")
    assert str(d) == "d(X^-1) = -X^-1*dX*X^-1"
    assert d.text() == "-X^-1*dX*X^-1"
    assert d.text(unicode=True, head=True) == "d(X⁻¹) = −X⁻¹ dX X⁻¹"
    assert d.latex() == r"-X^{-1} \, \mathrm{d}X \, X^{-1}"
    assert d._repr_latex_().startswith(r"$\displaystyle d(X^{-1}) = ")
    assert str(matcalc.differential("z = X^-1; tr(z)", "X")).startswith("df = ")
    assert str(matcalc.differential("X", "X", "X in R^{m x n}")) == "dX = dX"
    long = " + ".join(f"x{k}'*x{k}" for k in range(9))
    assert str(matcalc.differential(long, "x1")) == "df = 2*dx1'*x1"
    clash = matcalc.differential("dx*x", "x", "dx in R")
    assert str(clash) == "d(dx*x) = dx*d_x"
    assert "dy = dx*d(x)" in str(clash.steps)
    assert d.as_dict()["differentials"]["df"]["latex"] == d.latex()
    arrays = {"X": np.diag([2.0, 4.0]), "dX": np.eye(2)}
    np.testing.assert_allclose(d.compile()(**arrays), -np.diag([1 / 4, 1 / 16]))


@pytest.mark.parametrize("name", RESULTS)
def test_plain_data(name: str) -> None:
    result = RESULTS[name]()
    data = json.loads(json.dumps(result.as_dict()))
    for entry in data[result.key].values():
        assert set(entry) == {"shape", "text", "unicode", "latex"}


@pytest.mark.parametrize("name", RESULTS)
def test_each_is_verified_by_numbers(name: str) -> None:
    report = RESULTS[name]().check(seed=5)
    assert report.passed, str(report)


# -- symmetric and diagonal variables, absent ones, errors


def test_symmetric_variables_are_spoken_of() -> None:
    j = matcalc.jacobian("X*a", "X", "X in R^{n x n} symmetric; a in R^n")
    assert any("symmetric" in note for note in j.notes)
    assert j.check().passed


def test_absent_variables_have_zero_derivatives_with_a_note() -> None:
    f = matcalc.parse("b'*b", "x in R^n; b in R^m")
    zeros = {
        "jacobian": "zeros(1, n)",
        "hessian": "zeros(n, n)",
        "jvp": "0",
        "vjp": "zeros(n)",
        "hvp": "zeros(n)",
    }
    for name, zero in zeros.items():
        result = getattr(f, name)("x")
        assert result.text() == zero
        assert any("x does not occur" in note for note in result.notes)
        assert result.check().passed
    assert matcalc.parse("b'*b", "x in R^n; b in R^m").hessian("x, b").check().passed


@pytest.mark.parametrize("method", [r.method for r in REQUESTS.values()])
def test_errors_of_every_request(method: str) -> None:
    derive = getattr(matcalc.parse("u = W*x; u'*u"), method)
    with pytest.raises(UnknownNameError, match="no variable"):
        derive()
    with pytest.raises(UnknownNameError, match="no variable"):
        derive(" , ")
    with pytest.raises(UnknownNameError, match="there is"):
        derive("q")
    with pytest.raises(DeclarationError, match="constant"):
        getattr(matcalc.parse("u = W*x; u'*u", "x in R^n constant"), method)("x")
    with pytest.raises(DeclarationError, match="whole number"):
        getattr(matcalc.parse("u = tr(X^k); u*u"), method)("k")


def test_other_errors() -> None:
    with pytest.raises(NotScalarError):
        matcalc.hvp("A*x", "x", "A in R^{m x n}")
    with pytest.raises(NotScalarError):
        matcalc.gauss_newton("u = A*x; 2*u", "u", wrt="x", where="A in R^{m x n}")
    with pytest.raises(UnknownNameError, match="there is u"):
        NET.gauss_newton("W1", at="q")
    with pytest.raises(UnknownNameError, match="the loss does not hold u1") as caught:
        matcalc.gauss_newton("u'*u", "u1", "W*x", "W")
    assert "u1" not in str(caught.value.hint)
    with pytest.raises(UnknownNameError, match="only its members x_i") as caught:
        matcalc.hessian("Σ_i norm2(x_i - c)^2", "x")
    assert "differentiate by X" in str(caught.value.hint)
    with pytest.raises(ArgumentError, match="exclude each other"):
        matcalc.hessian("x'*x", "x").compile(blocks=True, compressed=True)
    with pytest.raises(ArgumentError, match="foo is no function of the formula"):
        matcalc.hessian("sum(phi(x))", "x").compile(functions={"foo": [np.sin]})
    with pytest.raises(ArgumentError, match="foo is no function of the formula"):
        matcalc.hessian("sum(phi(x))", "x").operator(functions={"foo": [np.sin]})
    with pytest.raises(ArgumentError, match="the formula is text, not NoneType"):
        matcalc.parse(None)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="a name is text, not 3"):
        matcalc.gradient("x'*x", 3)  # type: ignore[arg-type]
    with pytest.raises(NotScalarError) as told:
        matcalc.gradient("log|X|", "X")
    assert "the determinant is det(X)" in told.value.detail
    with pytest.raises(ArgumentError, match="one direction is needed and 2 given"):
        matcalc.jvp("A*x", "x", direction="v, w")
    with pytest.raises(ArgumentError, match="two directions"):
        matcalc.jvp("A*x", "A, x", direction="v, v")
    with pytest.raises(ArgumentError, match="is no name"):
        matcalc.hessian("tanh(x)", "x", weights="")
    with pytest.raises(UnknownNameError):
        matcalc.hessian("x'*x", "x")[""]
    with pytest.raises(ArgumentError, match="is no number"):
        matcalc.hessian("x'*x", "x").compile(limit="1GB")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="no name for the output"):
        matcalc.gauss_newton("u'*u", "sin", "W*x", "W")
    with pytest.raises(UnknownNameError, match="differentiate by what it depends on"):
        NET.gauss_newton("u", at="u")
    with pytest.raises(ArgumentError, match='at="u"'):
        matcalc.gauss_newton("u'*u", net="W*x", wrt="x")
    with pytest.raises(ParseError, match="empty"):
        matcalc.gauss_newton("u'*u", "u", "", "x")
    with pytest.raises(ArgumentError, match="leave them out"):
        matcalc.hessian("x'*x", "x", weights="v")
    with pytest.raises(ShapeError):
        matcalc.jacobian("A*B", "A", "A in R^{2 x 3}; B in R^{2 x 3}")
    j = LAYER.jacobian("W, x")
    with pytest.raises(ArgumentError, match="name one"):
        _ = j.expr
    with pytest.raises(UnknownNameError, match="no Jacobian by q"):
        j["q"]
    with pytest.raises(ArgumentError):
        j.compile()(W=np.ones((2, 2)))


# -- claims


@pytest.mark.parametrize(
    ("of", "wrt", "claim", "right"),
    [
        ("jacobian", "W", "diag(sigmoid'(W*x + b))*kron(x', I)", True),
        ("jacobian", "W", "kron(diag(sigmoid'(W*x + b)), x')", False),
        ("jacobian", "W, b", "hcat(kron(x', diag(sigmoid'(z))), diag(sigmoid'(z)))", True),
        ("jvp", "x", "sigmoid'(z) .* (W*v)", True),
        ("jvp", "x", "sigmoid'(z) .* (W'*v)", False),
        ("vjp", "x", "W'*(sigmoid'(z) .* u)", True),
        ("vjp", "x", "W'*u", False),
        ("differential", "W, x", "sigmoid'(z) .* (dW*x + W*dx)", True),
        ("hessian", "x", "W'*diag(v .* sigmoid''(z))*W", True),
        ("hessian", "x", "W'*diag(v .* sigmoid'(z))*W", False),
    ],
)
def test_claims(of: str, wrt: str, claim: str, right: bool) -> None:
    f = matcalc.parse("z = W*x + b; sigmoid(z)", "W in R^{m x m}; x, b in R^m") if not right else LAYER
    assert f.check_claim(wrt, claim, of=of).passed is right


def test_claims_with_options_and_of_blocks() -> None:
    f = matcalc.parse("u = W*x; norm2(u - y)^2")
    assert f.check_claim("x", "2*W'*W", of="gauss-newton", at="u").passed
    assert f.check_claim("x", "2*W'*W*d", of="gnvp", at="u", direction="d").passed
    g = matcalc.parse("x'*A*y", "x in R^m; A in R^{m x n}; y in R^n")
    assert g.check_claim("x, y", "A", of="hessian").passed
    assert g.check_claim("x, y", "vcat(hcat(zeros(m, m), A), hcat(A', zeros(n, n)))", of="hessian").passed
    for claim, right in (("2*I", True), ("k = 2; k*I # twice", True), ("5*I", False), ("2", False)):
        assert matcalc.parse("x'*x").check_claim("x", claim, of="hessian").passed is right
    with pytest.raises(ArgumentError, match="takes no at"):
        f.check_claim("x", "W", of="jacobian", at="u")
    with pytest.raises(ArgumentError, match="no derivative"):
        f.check_claim("x", "W", of="laplacian")
    with pytest.raises(UnknownNameError, match="does not occur"):
        f.check_claim("x", "2*W'*W*q", of="jvp")
