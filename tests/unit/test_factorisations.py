"""Matrices are factored once, positive definite ones by Cholesky, and what is symmetric is computed as such."""

from __future__ import annotations

import re
from random import Random

import mpmath
import numpy as np
import pytest

import matcalc
from matcalc.calculus.gradient import gradient
from matcalc.checks.evaluate import evaluate
from matcalc.errors import ArgumentError
from matcalc.expr import variables
from matcalc.lowering import lapack
from matcalc.lowering.compiled import compile_numpy
from matcalc.simplify import simplify_all

MATRICES = (
    "A, B in R^{n x n}; S in R^{n x n} spd; K in R^{n x n} psd; Y in R^{n x n} symmetric; X in R^{m x n}; x, y in R^n; "
    "w in R^m; u in R^m positive; s in R positive"
)


def body(fn) -> str:
    return fn.source.split('"""')[-1]


def random_matrices(n=6, m=9, dtype=float):
    rng = np.random.default_rng(n)
    a = {name: rng.standard_normal((n, n)) for name in "ABSKY"}
    a["A"] += 3 * np.eye(n)
    a["S"], a["K"], a["Y"] = a["S"] @ a["S"].T + np.eye(n), a["K"] @ a["K"].T, a["Y"] + a["Y"].T
    a |= {"X": rng.standard_normal((m, n)), "x": rng.standard_normal(n), "y": rng.standard_normal(n)}
    a |= {"w": rng.standard_normal(m), "u": rng.random(m) + 0.1}
    return {name: v.astype(dtype) for name, v in a.items()} | {"s": 0.7}


# The factors


@pytest.mark.parametrize("char", "fdFD")
@pytest.mark.parametrize("order", [0, 1, 2, 12, 13, 64, 65, 130])
def test_factors_agree_with_numpy(char, order):
    rng = np.random.default_rng(order)
    a = rng.standard_normal((order, order)) + (1j * rng.standard_normal((order, order)) if char in "FD" else 0)
    a = (0.3 * a / max(1, order) ** 0.5 + np.eye(order)).astype(char)
    s = (a @ a.T).astype(char)
    b, c = rng.standard_normal(order).astype(char), rng.standard_normal((order, 3)).astype(char)
    close = {"rtol": 1e-3 if char in "fF" else 1e-9, "atol": 1e-3 if char in "fF" else 1e-9}
    for of, kind in ((s, lapack.cholesky), (s, lapack.symmetric), (a, lapack.lu), (np.asfortranarray(a), lapack.lu)):
        factor = kind(of, "A")
        wanted = [
            (factor.inverse(), np.linalg.inv(of)),
            (factor.solve(b), np.linalg.solve(of, b)),
            (factor.solve(c), np.linalg.solve(of, c)),
            (factor.gram(b), b @ np.linalg.solve(of, b)),
            (factor.gram(c), c.T @ np.linalg.solve(of, c)),
            (factor.inverse_diagonal(), np.linalg.inv(of).diagonal()),
            (factor.logdet(), np.linalg.slogdet(of)[1]),
            (np.log(abs(factor.det())), np.linalg.slogdet(of)[1]),
        ]
        if kind is lapack.lu:
            wanted += [(factor.solve_transposed(c), np.linalg.solve(of.T, c)), (factor.det(), np.linalg.det(of))]
        for found, truth in wanted:
            assert found.shape == np.shape(truth) and np.allclose(found, truth, **close)
            assert found.dtype.char.lower() == char.lower()
    assert np.allclose(lapack.inverse(a, "A"), np.linalg.inv(a), **close)


def test_inverses_of_definite_matrices_are_symmetric():
    for order in (13, 64, 65, 200):
        found = lapack.cholesky(np.eye(order) * 3 + np.ones((order, order)), "S").inverse()
        assert (found == found.T).all()


def test_determinants_of_any_size():
    assert lapack.lu(np.diag([1e200, 1e200, 1e-300, -1e-100]), "A").det() == pytest.approx(-1)
    assert lapack.lu(np.ones((3, 3)), "A").det() == 0
    assert lapack.lu(np.ones((3, 3)), "A").logdet() == -np.inf
    swapped = np.eye(4)[[1, 0, 3, 2]]
    assert lapack.lu(swapped, "A").det() == 1 and lapack.lu(swapped[[0, 2, 1, 3]], "A").det() == -1


# What is shared

SHARED = [
    # formula, what the code has, what it lacks
    ("S^-1*x", ["lapack.cholesky(S, \"S\").solve(x)"], ["inverse", "np.linalg"]),
    ("S^-1", ["lapack.cholesky(S, \"S\").inverse(over=True)"], ["np.linalg"]),
    ("logdet(S)", ["lapack.cholesky(S, \"S\").logdet()"], ["np.linalg"]),
    ("det(S)*S^-1*x*x'*S^-1", ["factor.det()", "factor.solve(x)"], ["inverse", "np.linalg"]),
    ("(K + s*eye(n))^-1*x", ["lapack.cholesky("], ["np.linalg"]),
    ("(X'*X + s*eye(n))^-1*X'*w", ["lapack.cholesky("], ["np.linalg"]),
    ("(X'*X)^-1*X'*w", ["lapack.symmetric("], ["np.linalg"]),
    ("A^-1*x", ["np.linalg.solve(A, x)"], ["lapack"]),
    ("Y^-1*x", ["lapack.symmetric(Y, \"Y\").solve(x)"], ["np.linalg"]),
    ("Y^-1*x + Y^-1*y*logdet(Y)", ["lapack.symmetric(Y"], ["np.linalg"]),
    ("Y^-1 + det(A + A')*(A + A')^-1", ["lapack.symmetric(A + A.T", "lapack.symmetric(Y"], ["np.linalg"]),
    ("A^-1*(x + A^-1*y)", ["lapack.lu(A", "factor.solve(x + factor.solve(y))"], ["np.linalg"]),
    ("x'*A^-1*y + y'*A'^-1*x + det(A)", ["lapack.lu(A"], ["inverse", "np.linalg", "lu(A.T"]),
    ("A^-1*B*A'^-1", ["lapack.lu(A"], ["inverse", "np.linalg"]),
    ("A'^-1*A^-1*x", ["factor.solve_transposed(factor.solve(x))"], ["inverse"]),
    ("A^-1 + A'^-1", ["lapack.inverse(A, \"A\")", "t1.T"], ["lu("]),
    ("A^-1 + A^-1*B", ["t1.dot(B)"], ["solve"]),
    ("tr(S^-1*B)", ["inverse("], ["solve"]),
    ("tr(S^-1)", ["inverse_diagonal().sum()"], ["inverse(", "trace"]),
    ("tr(S^-1) + tr(S^-1*B)", [".trace()"], ["inverse_diagonal"]),
    ("tr(A^-1) + det(A)", ["inverse_diagonal().sum()", "lapack.lu("], ["trace"]),
    ("S^-1*B*S^-1", ["t1.dot(B"], ["solve"]),
    ("x'*S^-1*x", ["lapack.cholesky(S, \"S\").gram(x)"], ["solve"]),
    ("(X*S^-1*X')*w", ["solve"], ["gram"]),
    ("X*S^-1*X'", ["lapack.cholesky(S, \"S\").gram(X.T)"], ["solve"]),
    ("sum(i=1:m, norm2(A^-1*X[i,:]'))", ["lapack.lu(A", "factor.solve("], ["np.linalg"]),
]  # fmt: skip


@pytest.mark.parametrize("formula, has, lacks", SHARED, ids=[row[0] for row in SHARED])
def test_what_is_asked_of_a_matrix_is_shared(formula, has, lacks):
    p = matcalc.parse(formula, where=MATRICES)
    fn = compile_numpy(p.expr)
    assert all(text in body(fn) for text in has) and not any(text in body(fn) for text in lacks), body(fn)
    arrays = random_matrices()
    given = {name: arrays[name] for name in fn.arguments}
    env = {v: given[v.op.name] for v in variables([p.expr])}
    (truth,) = evaluate([p.expr], env, {"n": 6, "m": 9})
    found = np.asarray(fn(**given))
    assert np.allclose(found.reshape(truth.shape), truth.astype(float), rtol=1e-9, atol=1e-9)
    single = np.asarray(fn(**{name: np.float32(v) if name != "s" else v for name, v in given.items()}))
    assert single.dtype == np.float32 and np.allclose(single, found, rtol=1e-2, atol=1e-2 * (1 + abs(found).max()))


def test_solutions_for_many_columns_are_products_with_the_inverse():
    fn = matcalc.parse("X*(X'*X + s*eye(n))^-1", where=MATRICES).compile()
    assert "inverse(" in fn.source_for(m=500, n=50) and ".solve(" in fn.source_for(m=60, n=50)
    assert ".solve(" in fn.source_for(m=50, n=5)
    for n, m in ((20, 50), (20, 30)):
        x = np.random.default_rng(n).standard_normal((m, n))
        assert np.allclose(fn(X=x, s=0.7), x @ np.linalg.inv(x.T @ x + 0.7 * np.eye(n)))


def test_several_results_share_a_factor():
    p = matcalc.parse("logdet(S) + (x - y)'*S^-1*(x - y)", where=MATRICES)
    roots = [p.expr, *simplify_all(list(gradient(p.expr, variables([p.expr])).values()))]
    assert body(compile_numpy({f"y{k}": e for k, e in enumerate(roots)})).count("lapack.cholesky(") == 1


MATRIX = ["S", "(K + s*eye(n))", "(X'*X + s*eye(n))", "(X'*X)", "A", "(A + 4*eye(n))", "(B*S*B')", "(S + K)", "Y",
          "A'", "(X'*diag(u)*X)", "(X'*diag(exp(w))*X + S)", "(X'*diag(sigmoid(w).^2)*X + eye(n))"]  # fmt: skip
TERM = ["{v}'*{a}^-1*{v}", "{v}'*{a}^-1*{z}", "logdet({a})", "det({a})", "tr({a}^-1*B)", "tr({a}^-1*B*{b}^-1)",
        "{v}'*{a}^-1*B*{b}'^-1*{z}", "tr(B'*{a}^-1*B)", "norm2({a}^-1*{z})^2"]  # fmt: skip


@pytest.mark.parametrize("seed", range(24))
def test_random_formulas_agree_with_high_precision(seed):
    rng = Random(f"factors {seed}")
    pool, vectors = rng.sample(MATRIX, 2), ["x", "y", "(X'*w)", "(A*x)"]
    terms = [
        rng.choice(TERM).format(a=rng.choice(pool), b=rng.choice(pool), v=rng.choice(vectors), z=rng.choice(vectors))
        for _ in range(rng.randrange(1, 4))
    ]
    f = matcalc.parse(" + ".join(terms), where=MATRICES).expr
    roots = [f, *gradient(f, variables([f])).values()]
    if seed % 2:
        roots = simplify_all(roots)
    arrays = random_matrices(n=4, m=7)
    env = {v: arrays[v.op.name] for v in variables(roots)}
    with mpmath.workdps(40):
        truths = evaluate(roots, env, {"n": 4, "m": 7})
        moved = evaluate(roots, {v: a * (1 + mpmath.mpf(2) ** -45) for v, a in env.items()}, {"n": 4, "m": 7})
    fn = compile_numpy({f"y{k}": e for k, e in enumerate(roots)})
    for found, truth, other in zip(fn(**{name: arrays[name] for name in fn.arguments}), truths, moved, strict=True):
        allowed = 1e-9 * (float(abs(truth).max()) + 1) + 100 * float(abs(other - truth).max())
        assert abs(np.asarray(found, float).reshape(truth.shape) - truth.astype(float)).max() < allowed, fn.source


def test_complex_steps_pass_through_definite_matrices():
    p = matcalc.parse("S^-1*x", where=MATRICES)
    a, (fn, slope) = random_matrices(), (p.compile(), np.random.default_rng(3).standard_normal((6, 6)))
    stepped = fn(S=a["S"] + 1e-30j * slope, x=a["x"].astype(complex))
    inverse = np.linalg.inv(a["S"])
    assert np.allclose(stepped.imag / 1e-30, -inverse @ slope @ inverse @ a["x"])


# What cannot be inverted

SINGULAR = [
    ("A^-1*x", {"A": np.ones((6, 6))}, "A is singular"),
    ("A^-1", {"A": np.ones((6, 6))}, "A is singular"),
    ("(A + B)^-1*x", {"A": np.ones((6, 6)), "B": np.ones((6, 6))}, "A + B is singular"),
    ("det(A)*tr(A^-1)", {"A": np.zeros((6, 6))}, "A is singular"),
    ("(X'*X)^-1*x", {"X": np.ones((9, 6))}, "X'*X is singular"),
    ("S^-1*x", {"S": -np.eye(6)}, "S is not positive definite, although"),
    ("logdet(K + s*eye(n))", {"K": -np.eye(6)}, "K + s*I is not positive definite, although"),
]


@pytest.mark.parametrize("formula, wrong, said", SINGULAR, ids=[row[0] for row in SINGULAR])
def test_the_matrix_that_cannot_be_inverted_is_named(formula, wrong, said):
    fn = matcalc.parse(formula, where=MATRICES).compile()
    arrays = random_matrices() | wrong
    with pytest.raises(ArgumentError) as caught:
        fn(**{name: arrays[name] for name in fn.arguments})
    assert said in str(caught.value)


def test_what_is_not_a_number_stays():
    fn = matcalc.parse("S^-1*x + logdet(S)*y", where=MATRICES).compile()
    arrays = random_matrices()
    found = fn(S=arrays["S"] * np.nan, x=arrays["x"], y=arrays["y"])
    assert np.isnan(found).all()


# Symmetric products

SYMMETRIC = [
    ("X'*diag(exp(X*x))*X", True),
    ("X'*diag(u)*X", True),
    ("X'*diag(sigmoid(w).*(1 - sigmoid(w)))*X", True),
    ("X'*diag(softmax(w))*X", True),
    ("X'*diag(1 - tanh(w).^2)*X", True),
    ("X'*diag(w.^2 + u)*X", True),
    ("X'*diag(w.^2./(1 + u))*X", True),
    ("-3*X'*diag(abs(w))*X", True),
    ("s*X'*diag(sqrt(u))*X + A", True),
    ("X'*diag(w)*X", False),
    ("X'*diag(w.*sigmoid(w))*X", False),
    ("X'*diag(u - w.^2)*X", False),
    ("X'*diag(1 - 2*sigmoid(w))*X", False),
    ("X'*diag(1 - exp(w))*X", False),
    ("X'*diag(w.^3)*X", False),
    ("X'*diag(1 - sin(w).*w)*X", False),
]


@pytest.mark.parametrize("formula, symmetric", SYMMETRIC, ids=[row[0] for row in SYMMETRIC])
def test_products_weighted_by_what_is_not_negative_are_squares(formula, symmetric):
    e = matcalc.parse(formula, where=MATRICES).expr
    fn = compile_numpy(e)
    assert bool(re.search(r"(t\d+)\.T\.dot\(\1\)", body(fn))) is symmetric, body(fn)
    for n in (6, 64):
        arrays = random_matrices(n, m=5)
        (truth,) = evaluate([e], {v: arrays[v.op.name] for v in variables([e])}, {"n": n, "m": 5})
        found = fn(**{name: arrays[name] for name in fn.arguments})
        assert np.allclose(found, truth.astype(float), rtol=1e-10, atol=1e-10)


def test_small_products_are_not_split():
    fn = matcalc.parse("X'*diag(exp(w))*X", where=MATRICES).compile()
    assert "np.sqrt" not in fn.source_for(m=9, n=6) and "np.sqrt" in fn.source_for(m=900, n=600)


@pytest.mark.parametrize("formula, wrt", [
    ("1/2*(y - A*x)'*S^-1*(y - A*x)", "x"),
    ("(w - X*x)'*(X*S*X' + s*eye(m))^-1*(w - X*x)", "x"),
    ("w'*X*(X'*X)^-1*X'*w", "X"),
    ("x'*(A*diag(y.^2)*A')^-1*x", "y"),
    ("y'*S^-1*y + norm2(A*S^-1*y)^2", "y"),
])  # fmt: skip
def test_solutions_shared_with_a_form_keep_their_sides(formula, wrt):
    f = matcalc.parse(formula, where=MATRICES)
    arrays = random_matrices()
    values = f.gradient(wrt).compile(value=True)
    alone = [f.compile(), f.gradient(wrt).compile()]
    found = values(**{name: arrays[name] for name in values.arguments})
    for each, fn in zip(found, alone, strict=True):
        wanted = fn(**{name: arrays[name] for name in fn.arguments})
        np.testing.assert_allclose(each, wanted, rtol=1e-8, atol=1e-8)
    d = np.random.default_rng(1).standard_normal(arrays[wrt].shape)
    ends = [arrays | {wrt: arrays[wrt] + e * 1e-5 * d} for e in (1, -1)]
    above, below = (alone[0](**{name: a[name] for name in alone[0].arguments}) for a in ends)
    np.testing.assert_allclose((found[1] * d).sum(), (above - below) / 2e-5, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("rows, cols", [(2, 70), (70, 2), (3, 2)])
def test_kronecker_products_of_what_is_not_square_are_refused(rows, cols):
    fn = matcalc.parse("kron(A, A')^-1*x", "A in R^{m x n}; x in R^{m*n}").compile()
    a = np.random.default_rng(0).standard_normal((rows, cols))
    with pytest.raises(ArgumentError, match=r"no inverse|singular"):
        fn(A=a, x=np.ones(rows * cols))
