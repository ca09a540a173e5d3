"""Products with ``diag(e) + u*v'``, as Hessians of softmax and centering matrices have it, never form that matrix."""

from __future__ import annotations

import numpy as np
import pytest

import matcalc
from matcalc.checks.evaluate import evaluate
from matcalc.expr import variables
from matcalc.lowering.compiled import compile_numpy

FORMULAS = [
    "(diag(x) + y*z')*A",
    "A*(diag(x) + y*z')",
    "(diag(x) + y*z')*b",
    "b'*(diag(x) + y*z')",
    "(s*eye(n) + y*z')*A",
    "A'*(diag(x) + y*z')'*A",
    "A'*(diag(x) - x*x')*A",
    "(diag(x) - x*x')*b",
    "b'*(diag(x) - 3*x*x')*b",
    "A*(s/2*(diag(x) + y*z'))",
    "A'*(eye(n) - ones(n)*ones(n)'/n)*A",
    "(diag(x) + ones(n)*z')*A",
    "(y*ones(n)' - diag(x))*b",
    "A*(diag(x) - 2)",
    "(3 - diag(x))*b",
    "B^-1*(diag(x) + y*z')",
    "(diag(x) + y*z')*B^-1*b",
]


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_diagonal_and_an_outer_product_are_applied_one_by_one(formula):
    e = matcalc.parse(formula, where="x, y, z, b in R^n; A in R^{n x n}; B in R^{n x n} invertible; s in R").expr
    fn = compile_numpy(e)
    assert all(text not in fn.source for text in ("add_diagonal", "np.eye", "np.diag("))
    rng = np.random.default_rng(0)
    arrays = {name: rng.standard_normal((4, 4) if name in "AB" else 4) for name in "xyzbAB"} | {"s": 0.3, "n": 4}
    (truth,) = evaluate([e], {v: arrays[v.op.name] for v in variables([e])}, {"n": 4})
    found = np.asarray(fn(**{name: arrays[name] for name in fn.arguments})).reshape(truth.shape)
    assert np.allclose(found, truth.astype(float), rtol=1e-11, atol=1e-11)


def test_the_hessian_of_a_log_sum_is_made_without_a_square_of_the_samples():
    fn = matcalc.parse("logsumexp(X*w)", where="X in R^{m x n}; w in R^n").hessian("w").compile()
    assert "add_diagonal" not in fn.source
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((7, 3)), rng.standard_normal(3)
    s = np.exp(x @ w) / np.exp(x @ w).sum()
    assert np.allclose(fn(X=x, w=w), x.T @ (np.diag(s) - np.outer(s, s)) @ x)
