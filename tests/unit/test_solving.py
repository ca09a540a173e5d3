"""Systems with Jacobians and Hessians: closed forms of the solution, Newton steps, and by number."""

from __future__ import annotations

import numpy as np
import pytest

import matcalc
from matcalc.errors import ArgumentError, LimitError
from matcalc.primitives.leaves import var
from matcalc.primitives.structure import vec
from matcalc.printing.text import text
from matcalc.simplify.solving import SingularError, solved
from tests.unit.test_operators import arrays, taken

RNG = np.random.default_rng(8)

MATRIX = (
    "X in R^{m x n}; A in R^{q x m}; C in R^{q x n}; B in R^{n x q}; D in R^{m x q}; l in R positive; P in R^{n x n}"
)

HESSIANS = [
    # the function, variable, declarations, the solution
    ("norm(U*V' - A)^2", "U", "U in R^{m x k}; V in R^{n x k}", "B*(V'*V)^-1/2"),
    ("norm(A*X - C)^2 + l*norm(X)^2", "X", MATRIX, "(A'*A + l*I)^-1*R/2"),
    ("norm(A*X*B)^2", "X", MATRIX, "(A'*A)^-1*R*(B*B')^-1/2"),
    ("logdet(X)", "X", "X in R^{n x n} spd", "-X*B*X"),
    ("logdet(X)", "X", "X in R^{n x n}", "-X*B'*X"),
    ("sum(exp(X))", "X", MATRIX, "exp(-X) .* R"),
    ("sum(X.^2.*C) + norm(X)^2", "X", "X, C in R^{m x n}", "(B ./ (1 + C))/2"),
    ("x'*S^-1*x", "x", "S in R^{n x n} spd", "S*b/2"),
    ("norm2(x)^4", "x", "x in R^n", "(b - 2*(b'*x)*x/(3*(x'*x)))/(4*(x'*x))"),
    ("a'*x + sum(exp(x)) + (a'*x)^2", "x", "a, x in R^n", None),
    ("(a'*x)^2 + (c'*x)^4 + x'*x", "x", "a, x, c in R^n", None),
    ("norm(X)^3", "X", MATRIX, None),
    ("norm(A*X - C)^2 + l*norm(X)^2 + tr(X'*G)^2", "X", MATRIX + "; G in R^{m x n}", None),
    ("norm(M.*(U*V' - A))^2", "U", "M in R^{m x n}; U in R^{m x k}; V in R^{n x k}", None),
    (
        "norm(M.*(U*V' - A))^2 + l*norm(V)^2",
        "V",
        "M in R^{m x n}; U in R^{m x k}; V in R^{n x k}; l in R positive",
        None,
    ),
    ("sum(softplus(A*X)) + l*norm(X)^2", "X", MATRIX, None),
    ("norm(A*X - C)^2 + norm(X*B - D)^2", "X", MATRIX, None),
    ("norm(A*X*P - C)^2 + norm(X*B - D)^2", "X", MATRIX, None),
    ("sum(log(1 + exp(-y.*(X*w)))) + l*norm2(w)^2", "w", "X in R^{m x n}; l in R positive", None),
    ("sum(log(1 + exp(-y.*(X*w)))) + l*norm2(w)^2", "w", "X in R^{k x q}; l in R positive", None),  # k < q
    ("norm2(X*w - y)^2", "w", "X in R^{m x n}", "(X'*X)^-1*b/2"),
    ("sum(exp(x)) + a^2 + a*sum(x)", "x, a", "x in R^n; a in R", None),
    ("norm2(x)^2 + norm(X)^2 + a^4", "a, x, X", "x in R^n; X in R^{m x k}; a in R", None),
    ("norm2(W*x - y)^2 + norm(W)^2 + norm2(x)^2", "W, x", "W in R^{m x n}; x in R^n", None),
]


@pytest.mark.parametrize(("f", "wrt", "where", "expected"), HESSIANS, ids=[f"{r[0]} by {r[1]}" for r in HESSIANS])
def test_systems_with_hessians(f, wrt, where, expected):
    pytest.importorskip("scipy")
    h = matcalc.hessian(f, wrt, where)
    given = arrays(h.of)
    dense_of, operator = h.compile(), h.operator()(**given)
    dense = dense_of(**taken(dense_of, given))
    b = RNG.standard_normal((len(dense), 2))
    if "spd" in where and wrt == "X":
        square = b.reshape(3, 3, 2)
        b = (square + square.transpose(1, 0, 2)).reshape(9, 2)
    np.testing.assert_allclose(dense @ operator.solve(b), b, atol=1e-8)
    np.testing.assert_allclose(dense @ operator.solve(b[:, 0]), b[:, 0], atol=1e-8)
    np.testing.assert_allclose(dense.T @ operator.T.solve(b[:, 0]), b[:, 0], atol=1e-8)
    s = h.solve()
    if expected is not None:
        assert s.text() == expected
    names = [v.op.name for v in s.directions]
    assert len(names) == len(h.variables)
    compiled = s.compile()
    at, moves = 0, {}
    for v in s.directions:
        shape = [d.evaluate({"m": 5, "n": 3, "k": 2, "p": 4, "q": 6}) for d in v.shape]
        piece = b[at : at + np.prod(shape), 0]
        at += np.prod(shape)
        moves[v.op.name] = piece[0] if v.is_scalar else piece if v.is_column else piece.reshape(shape, order="F")
    found = compiled(**taken(compiled, given | moves))
    parts = found if isinstance(found, tuple) else (found,)
    x = np.concatenate([np.asarray(p).ravel(order="F") for p in parts])
    np.testing.assert_allclose(dense @ x, b[:, 0], atol=1e-8)


JACOBIANS = [
    ("A*X*B", "X", "A in R^{n x n}; B in R^{m x m}; X in R^{n x m}", "A^-1*C*B^-1"),
    ("A*X'*B", "X", "A in R^{n x n}; B in R^{m x m}; X in R^{m x n}", "(A^-1*C*B^-1)'"),
    ("X^-1", "X", "X in R^{n x n}", "-X*B*X"),
    ("X.*M", "X", "X, M in R^{m x n}", "B ./ M"),
    ("diag(d)*X*A", "X", "d in R^m; X in R^{m x n}; A in R^{n x n}", "diag(1 ./ d)*B*A^-1"),
    ("tanh(W*x)", "x", "W in R^{n x n}", "W^-1*(b ./ (1 - tanh(W*x).^2))"),
    ("A*B*x", "x", "A, B in R^{n x n}", "B^-1*A^-1*b"),
    ("x + u*tanh(w'*x)", "x", "x, w, u in R^n", None),
    ("x + W2*tanh(W1*x)", "x", "W1 in R^{k x q}; W2 in R^{q x k}; x in R^q", None),
    ("A*X + X*B", "X", "A in R^{n x n}; B in R^{m x m}; X in R^{n x m}", None),
    ("X/norm(X) + X", "X", "X in R^{m x n}", None),
]


@pytest.mark.parametrize(("f", "wrt", "where", "expected"), JACOBIANS, ids=[row[0] for row in JACOBIANS])
def test_systems_with_jacobians(f, wrt, where, expected):
    pytest.importorskip("scipy")
    for layout in (None, "denominator"):
        j = matcalc.jacobian(f, wrt, where, layout=layout)
        given = arrays(j.of)
        dense, operator = j.compile()(**taken(j.compile(), given)), j.operator()(**given)
        b = RNG.standard_normal(len(dense))
        np.testing.assert_allclose(dense @ operator.solve(b), b, atol=1e-8)
        np.testing.assert_allclose(dense.T @ operator.T.solve(b), b, atol=1e-8)
    s = matcalc.jacobian(f, wrt, where).solve()
    if expected is not None:
        assert s.text() == expected
        assert not s.formed


NEWTON = [
    ("norm(U*V' - A)^2", "U", "U in R^{m x k}; V in R^{n x k}", "U - A*V*(V'*V)^-1"),
    ("norm2(X*w - y)^2", "w", "X in R^{m x n}", "w - (X'*X)^-1*X'*y"),
    ("norm2(x)^4", "x", "x in R^n", "x/3"),
    ("(x - m)'*S^-1*(x - m)", "x", "S in R^{n x n} spd; x, m in R^n", "x - m"),
    ("sum(exp(X))", "X", "X in R^{m x n}", "ones(m, n)"),
]


@pytest.mark.parametrize(("f", "wrt", "where", "expected"), NEWTON, ids=[row[0] for row in NEWTON])
def test_newton_steps(f, wrt, where, expected):
    step = matcalc.parse(f, where).newton(wrt)
    assert step.text() == expected
    assert step.check().passed
    assert step.steps.results
    assert step.latex()


def test_newtons_method_for_logistic_regression():
    step = matcalc.parse("sum(log(1 + exp(-y.*(X*w)))) + l/2*norm2(w)^2", "X in R^{m x n}; l in R positive").newton("w")
    assert any("formed as a whole" in note for note in step.notes)
    compiled = step.compile(value=True, gradient=True)
    given = {"X": RNG.standard_normal((40, 4)), "y": np.sign(RNG.standard_normal(40)), "l": 0.1, "w": np.zeros(4)}
    for _ in range(8):
        _, slope, move = compiled(**given)
        given["w"] = given["w"] - move
    assert np.linalg.norm(slope) < 1e-12


def test_gauss_newton_steps():
    net = matcalc.parse("u = tanh(X*w); norm2(u - y)^2 + l*norm2(w)^2", "X in R^{m x n}; l in R positive")
    g = net.gauss_newton("w", at="u")
    given = arrays(net)
    matrix, slope, step = g.compile(), net.gradient("w").compile(), g.newton().compile()
    expected = np.linalg.solve(matrix(**taken(matrix, given)), slope(**taken(slope, given)))
    np.testing.assert_allclose(step(**taken(step, given)), expected)


def test_what_is_singular_at_every_point_is_refused():
    for f in ("logsumexp(x)", "norm2(x)", "c'*x"):
        with pytest.raises(ArgumentError, match="singular"):
            matcalc.hessian(f, "x", "x, c in R^n").solve()
    pytest.importorskip("scipy")
    operator = matcalc.hessian("logsumexp(x)", "x", "x in R^n").operator()(x=np.ones(3))
    with pytest.raises(np.linalg.LinAlgError, match="singular"):
        operator.solve(np.ones(3))
    with pytest.raises(SingularError):
        h = matcalc.hessian("norm(X)", "X", "X in R^{m x n}").expr
        solved(h, vec(var("B", matcalc.parse("X", "X in R^{m x n}").shape)))


def test_a_sum_whose_parts_are_singular_is_solved_all_the_same():
    pytest.importorskip("scipy")
    h = matcalc.hessian("sum(d.*x.^2) + (a'*x)^2", "x", "a, d, x in R^n")
    given = {"d": np.array([1.0, 0.0, 2.0]), "a": np.array([1.0, 2.0, 3.0]), "x": np.ones(3)}
    dense = h.compile()(**taken(h.compile(), given))
    b = RNG.standard_normal(3)
    np.testing.assert_allclose(dense @ h.operator()(**given).solve(b), b, atol=1e-12)
    given["d"][2] = 0
    given["a"][1:] = 0
    with pytest.raises(np.linalg.LinAlgError):
        h.operator()(**given).solve(b)


def test_large_systems_without_the_matrix():
    pytest.importorskip("scipy")
    n = 40_000
    h = matcalc.hessian("sum(exp(x)) + (a'*x)^2", "x", "a, x in R^n")
    operator = h.operator()(a=RNG.standard_normal(n), x=RNG.standard_normal(n))
    b = RNG.standard_normal(n)
    np.testing.assert_allclose(operator @ operator.solve(b), b, atol=1e-6)
    masked = matcalc.hessian("norm(M.*(U*V' - A))^2", "U", "M in R^{m x n}; U in R^{m x k}; V in R^{n x k}")
    arrays = {"M": RNG.random((9000, 20)), "V": RNG.standard_normal((20, 3)), "U": np.ones((9000, 3))}
    operator = masked.operator()(**{name: arrays[name] for name in masked.operator().arguments})
    b = RNG.standard_normal(27_000)
    np.testing.assert_allclose(operator @ operator.solve(b), b, atol=1e-6)
    unstructured = matcalc.hessian("norm2(X*w)^2", "w", "X in R^{m x n}").operator()(X=np.ones((2, 20_000)))
    with pytest.raises(LimitError, match="no structure"):
        unstructured.solve(np.ones(20_000))


def test_systems_are_checked():
    pytest.importorskip("scipy")
    operator = matcalc.jacobian("A*x", "x", "A in R^{m x n}").operator()(A=np.ones((2, 3)))
    with pytest.raises(ArgumentError, match="no inverse"):
        operator.solve(np.ones(2))
    square = matcalc.jacobian("A*x", "x", "A in R^{m x n}").operator()(A=np.eye(3) + 1)
    assert square.solve(np.ones(3)).tolist() == pytest.approx([0.25] * 3)  # square for these sizes
    with pytest.raises(ArgumentError, match="3 rows"):
        square.solve(np.ones(4))
    with pytest.raises(ArgumentError, match="no inverse"):
        matcalc.jacobian("A*x", "x", "A in R^{m x n}").solve()
    with pytest.raises(ArgumentError, match="no Newton step"):
        matcalc.jacobian("A*x", "x", "A in R^{n x n}").newton()
    with pytest.raises(ArgumentError, match="meaning"):
        matcalc.hessian("x'*A*x", "x", "A in R^{n x n} spd").solve("A")
    assert matcalc.hessian("x'*A*x", "x", "A in R^{n x n} spd").solve("r").text() == "A^-1*r/2"


def test_solutions_say_what_they_need():
    s = matcalc.hessian("norm(U*V' - A)^2", "U", "U in R^{m x k}; V in R^{n x k}").solve()
    assert "holds where V'*V is invertible" in s.notes
    assert s.check().passed
    assert text(s.expr) == s.text()
    assert matcalc.newton("x'*A*x", "x", "A in R^{n x n}").notes == ["holds where A + A' is invertible"]
    assert s.as_dict()["solutions"]
    assert "B" in s.linearise().source


@pytest.mark.parametrize(
    ("f", "wrt", "where", "expected"),
    [
        ("norm(Y - X*B)^2 + l*norm(B)^2", "B", "l in R", "B - (X'*X + l*I)^-1*X'*Y"),
        (
            "tr((I - K*H)*P*(I - K*H)' + K*R*K')",
            "K",
            "K in R^{n x m}; P in R^{n x n} spd; R in R^{m x m} spd",
            "K - P*H'*(H*P*H' + R)^-1",  # less the gain of the Kalman filter
        ),
        ("norm(A*X*B - C)^2", "X", None, "X - (A'*A)^-1*A'*C*B'*(B*B')^-1"),
    ],
)
def test_the_step_of_a_quadratic_function_shows_where_the_minimum_is(f, wrt, where, expected):
    step = matcalc.newton(f, wrt, where)
    assert step.text() == expected
    assert step.check().passed


def test_the_check_of_a_solution_multiplies_by_the_matrix():
    step = matcalc.hessian("norm2(A*x - b)^2 + norm2(x)^4", "x", "A in R^{m x n}; b in R^m").newton()
    report = str(step.check())
    assert report.startswith("Newton step test by x at a random point")
    assert "the matrix times the solution against the right-hand side" in report
    assert "compiled NumPy code" in report
    step.exprs["x"] = step.expr / 2
    assert not step.check().passed


def test_the_command_line_gives_newton_steps(capsys):
    from matcalc.__main__ import main

    assert main(["newton", "norm2(x)^4", "--wrt", "x", "--check"]) == 0
    assert capsys.readouterr().out.startswith("x/3\n")
    assert main(["newton", "norm2(X*w - y)^2", "--wrt", "w", "--format", "python", "--value", "--gradient"]) == 0
    assert "def newton_step(" in capsys.readouterr().out
    options = ["--at", "u", "--wrt", "w", "--shift", "mu"]
    assert main(["newton", "u = X*w; norm2(u - y)^2", *options]) == 0
    assert "mu*I" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("f", "wrt", "where"),
    [
        ("norm(U*V' - A)^2", "U", "U in R^{m x k}; V in R^{n x k}"),
        ("norm(A*X*B)^2", "X", "X in R^{m x n}; A in R^{p x m}; B in R^{n x k}"),  # singular without the shift
        ("norm(M.*(U*V' - A))^2", "U", "M in R^{m x n}; U in R^{m x k}; V in R^{n x k}"),
        ("norm2(X*w - y)^2", "w", "X in R^{k x q}"),
        ("logsumexp(x)", "x", "x in R^n"),
        ("norm2(X*w + a - y)^2", "w, a", "X in R^{m x n}; a in R"),
    ],
)
def test_shifted_systems(f, wrt, where):
    pytest.importorskip("scipy")
    h = matcalc.hessian(f, wrt, where)
    given = arrays(h.of)
    dense, operator = h.compile(), h.operator()(**given)
    whole = dense(**taken(dense, given))
    b = RNG.standard_normal(len(whole))
    for shift in (0.5, 2.0):
        x = operator.solve(b, shift=shift)
        np.testing.assert_allclose(whole @ x + shift * x, b, atol=1e-9)
    steps = h.newton(shift="mu").compile(gradient=True)
    found = [np.ravel(a, order="F") for a in steps(**taken(steps, given | {"mu": 2.0}))]
    slope, step = (np.concatenate(part) for part in (found[: len(found) // 2], found[len(found) // 2 :]))
    np.testing.assert_allclose(whole @ step + 2 * step, slope, atol=1e-9)


def test_a_shift_is_a_variable_of_the_solution():
    h = matcalc.hessian("norm(U*V' - A)^2", "U", "U in R^{m x k}; V in R^{n x k}")
    assert h.solve(shift="mu").text() == "B*(2*V'*V + mu*I)^-1"
    with pytest.raises(ArgumentError, match="meaning"):
        h.solve(shift="V")


def test_solutions_with_weighted_hessians():
    h = matcalc.hessian("sigmoid(x)", "x", "x in R^n")
    s = h.solve().compile()
    given = {"x": np.array([0.5, 1.0, -1.0]), "v": np.ones(3), "b": np.arange(3.0)}
    sig = 1 / (1 + np.exp(-given["x"]))
    np.testing.assert_allclose(s(**taken(s, given)), given["b"] / (sig * (1 - sig) * (1 - 2 * sig)))
