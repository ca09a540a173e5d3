"""The testers are tested: each kind of mistake must be found, and nothing that could not be tested may pass."""

from __future__ import annotations

import json
from fractions import Fraction
from random import Random

import mpmath
import pytest

from matcalc.calculus.gradient import gradient
from matcalc.checks import compiled
from matcalc.checks.claims import check_claim
from matcalc.checks.compiled import run_compiled
from matcalc.checks.report import FAILED, INCONCLUSIVE, PASSED
from matcalc.checks.sampling import GRID
from matcalc.checks.taylor import check_gradient
from matcalc.dims import ONE, dim
from matcalc.errors import NotScalarError
from matcalc.expr import make
from matcalc.facts import SPD
from matcalc.primitives import leaves, matrix, products, reductions, structure
from matcalc.primitives.elementwise import FUNCTIONS
from matcalc.primitives.functions import Elementwise, Unknown
from matcalc.primitives.leaves import size, var
from tests.contract import test_facts, test_primitives

n, m = dim("n"), dim("m")
x, b, c = (var(name, (n, ONE)) for name in "xbc")
W, V = var("W", (n, n)), var("V", (n, n))
X, y = var("X", (m, n)), var("y", (m, ONE))
S = var("S", (n, n), "symmetric")
tanh, relu, log = (FUNCTIONS[name] for name in ("tanh", "relu", "log"))
Psi, Phi = Unknown("Psi"), Unknown("Phi")
network = c.T @ Psi((W + V) @ Phi(W @ x + b))


def derivative(f, z):
    return Elementwise(f, 1)(z)


def told(report) -> str:
    return str(report)


# Mistakes in a primitive


def test_a_wrong_slope_is_found(monkeypatch):
    monkeypatch.setattr(tanh, "_slope", lambda y, x: 1 + y.square())
    with mpmath.workdps(50):
        for check in (
            test_primitives.test_differential_leaves_a_remainder_of_second_order,
            test_primitives.test_differential_agrees_with_central_differences,
            test_primitives.test_gradient_by_transposition,
        ):
            with pytest.raises(AssertionError):
                check(tanh(x))


def test_a_slightly_wrong_slope_is_found(monkeypatch):
    monkeypatch.setattr(tanh, "_slope", lambda y, x: (1 - y.square()) * Fraction(10**9 + 1, 10**9))
    f = c.T @ tanh(W @ x)
    assert check_gradient(f, gradient(f, [W])).verdict == FAILED


def test_a_wrong_adjoint_is_found(monkeypatch):
    e = products.kron(W, X)
    monkeypatch.setattr(products.Kron, "adjoint", lambda self, i, g, y, x: (1 + i) * x[i])
    with mpmath.workdps(50), pytest.raises(AssertionError):
        test_primitives.test_adjoint_of_every_linear_slot(e)
    f = products.inner(var("G", e.shape), e)
    assert check_gradient(f, gradient(f, [W])).verdict == FAILED


def test_a_wrong_differential_is_found(monkeypatch):
    monkeypatch.setattr(matrix.Inv, "differential", lambda self, y, x, dx: y @ dx[0] @ y)
    f = c.T @ matrix.inv(W) @ x
    assert check_gradient(f, gradient(f, [W])).verdict == FAILED


def test_a_wrong_shape_is_found(monkeypatch):
    monkeypatch.setattr(structure.Vec, "value", lambda self, sizes, a: a.reshape(1, -1))
    with mpmath.workdps(50), pytest.raises(AssertionError):
        test_primitives.test_value_has_the_inferred_shape(structure.vec(X))


def test_a_wrong_order_of_entries_is_found(monkeypatch):
    monkeypatch.setattr(structure.Vec, "value", lambda self, sizes, a: a.reshape(-1, 1))
    with mpmath.workdps(50), pytest.raises(AssertionError):
        test_primitives.test_adjoint_of_every_linear_slot(structure.vec(X))


def test_a_false_fact_is_found(monkeypatch):
    e = matrix.inv(var("N", (n, n), "symmetric"))
    e.memo.pop("facts", None)
    monkeypatch.setattr(matrix.Inv, "facts", lambda self, x: frozenset({SPD}))
    with mpmath.workdps(40), pytest.raises(AssertionError):
        for seed in range(10):
            test_facts.assert_facts_hold(e, Random(seed))
    e.memo.pop("facts", None)


def test_an_unregistered_primitive_is_found(monkeypatch):
    monkeypatch.setattr(test_primitives.registry, "PRIMITIVES", test_primitives.registry.PRIMITIVES[:-1])
    with pytest.raises(AssertionError):
        test_primitives.test_every_primitive_is_registered()


# Mistakes in a gradient


@pytest.mark.parametrize(
    "wrong",
    [
        lambda g: 2 * g,
        lambda g: -g,
        lambda g: g.T,
        lambda g: g + W * Fraction(1, 10**12),
        lambda g: g - g,
        lambda g: g @ x,
    ],
    ids=["doubled", "negated", "transposed", "a little off", "zero", "of another shape"],
)
def test_a_wrong_gradient_fails(wrong):
    right = gradient(network, [W])[W]
    assert check_gradient(network, {W: right}).verdict == PASSED
    assert check_gradient(network, {W: wrong(right)}).verdict == FAILED


def test_one_wrong_gradient_of_two_fails():
    found = gradient(network, [W, x])
    assert check_gradient(network, {W: found[W], x: -found[x]}).verdict == FAILED


def test_the_gradient_of_a_symmetric_variable_must_be_symmetric():
    f = c.T @ S @ x
    assert check_gradient(f, gradient(f, [S])).passed
    assert check_gradient(f, {S: c @ x.T}).verdict == FAILED


def test_wrong_generated_code_fails(monkeypatch):
    f = c.T @ tanh(W @ x)
    assert check_gradient(f, gradient(f, [W])).passed
    monkeypatch.setattr("matcalc.checks.compiled.run_compiled", lambda function, point: function() * 0)
    report = check_gradient(f, gradient(f, [W]))
    assert report.verdict == FAILED
    assert "does not run" in told(report)


@pytest.mark.parametrize("factor", [1 + 1e-6, -1, 0, float("nan")])
def test_inexact_generated_code_fails(monkeypatch, factor):
    f = c.T @ tanh(W @ x)
    found = gradient(f, [W])
    assert check_gradient(f, found).tests[0].compiled_error < 100
    monkeypatch.setattr(compiled, "run_compiled", lambda function, point: run_compiled(function, point) * factor)
    assert check_gradient(f, found).verdict == FAILED


# What cannot be tested does not pass


def test_a_function_that_is_nowhere_real_is_inconclusive():
    f = log(-(x.T @ x))
    report = check_gradient(f, {x: x})
    assert report.verdict == INCONCLUSIVE
    assert not report.passed
    assert "log is not real" in told(report)


def test_a_kink_at_every_point_is_inconclusive():
    teeth = FUNCTIONS["abs"](FUNCTIONS["sin"](GRID * make(leaves.Pi()) * x))  # has a kink at every number that is drawn
    report = check_gradient(reductions.total(teeth), {x: x - x})
    assert report.verdict == INCONCLUSIVE
    assert "a kink of abs lies next to the point" in told(report)


def test_a_kink_elsewhere_does_not_matter():
    f = reductions.total(relu(W @ x)) + reductions.Max(None)(x) + reductions.NORM1(W)
    assert check_gradient(f, gradient(f, [x, W])).passed


def test_no_gradient_at_all_is_inconclusive():
    assert check_gradient(network, {}).verdict == INCONCLUSIVE


def test_a_function_that_is_no_scalar_is_refused():
    with pytest.raises(NotScalarError):
        check_gradient(W @ x, {x: x})
    with pytest.raises(NotScalarError):
        check_claim(W @ x, x, x)


def test_values_that_grow_beyond_all_bounds_are_inconclusive():
    exp = FUNCTIONS["exp"]
    f = exp(exp(exp(100 + x.T @ x)))
    report = check_gradient(f, {x: x})
    assert report.verdict == INCONCLUSIVE
    assert "too large" in told(report)


# What a report shows


def test_the_orders_are_one_and_two():
    report = check_gradient(
        network, gradient(network, [W]), functions={"Phi": [mpmath.tanh, lambda t: 1 - mpmath.tanh(t) ** 2]}
    )
    for row in report.tests[0].rows[1:]:
        assert row.difference_order == pytest.approx(1, abs=0.02)
        assert row.remainder_order == pytest.approx(2, abs=0.02)
    assert "passed" in told(report)
    assert "seed 0" in told(report)


def test_a_linear_function_is_said_to_be_linear():
    report = check_gradient(c.T @ x, {x: c})
    assert report.passed
    assert "linear" in told(report)


def test_a_report_is_json():
    report = check_gradient(network, gradient(network, [W]))
    back = json.loads(json.dumps(report.as_dict()))
    assert back["passed"] is True
    assert back["tests"][0]["sizes"]["n"] >= 2


def test_the_same_seed_gives_the_same_report():
    found = gradient(network, [W])
    assert told(check_gradient(network, found, seed=3)) == told(check_gradient(network, found, seed=3))
    assert told(check_gradient(network, found, seed=3)) != told(check_gradient(network, found, seed=4))


# Claims

z = W @ x + b
slip = (derivative(Psi, (W + V) @ Psi(z)) * c) @ Psi(z).T + (
    derivative(Phi, z) * ((W + V).T @ (derivative(Psi, (W + V) @ Psi(z)) * c))
) @ x.T  # the last line of the tutorial note, with Psi where Phi belongs
right = (derivative(Psi, (W + V) @ Phi(z)) * c) @ Phi(z).T + (
    derivative(Phi, z) * ((W + V).T @ (derivative(Psi, (W + V) @ Phi(z)) * c))
) @ x.T
squares = (X @ x - y).T @ (X @ x - y)


def test_a_right_claim_passes():
    assert check_claim(network, W, right).passed


@pytest.mark.parametrize(
    ("f", "variable", "claim", "said"),
    [
        (network, W, slip, "Psi -> Phi in Psi(W*x + b)"),
        (network, W, right.T, "transposing it"),
        (network, W, -right, "a change of sign"),
        (squares, x, X.T @ (X @ x - y), "multiplying it by 2"),
        (size(m) ** -1 * squares, x, X.T @ (X @ x - y), "multiplying it by 2/m"),
        (squares, x, 2 * (X @ x - y).T @ X, "transposing it"),
        (squares, x, 2 * X.T @ (X @ x + y), "a change of sign of y"),
        (x.T @ W @ x, x, W @ x + W @ x, "W -> W'"),
        (x.T @ W @ x, x, 2 * W @ x, "W -> (W + W')/2"),
        (x.T @ W @ x, x, W @ x + W.T @ c, "c -> x in W'*c"),
        (c.T @ tanh(W @ x), x, W.T @ (c * (1 - FUNCTIONS["sigmoid"](W @ x) ** 2)), "sigmoid -> tanh"),
        (c.T @ Phi(x), x, c * Phi(x), "Phi -> Phi'"),
        (c.T @ S @ x, S, c @ x.T, "taking its symmetric part"),
        (network, W, right + W, "leaving out W"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_a_slip_is_named(f, variable, claim, said):
    report = check_claim(f, variable, claim)
    assert report.verdict == FAILED
    assert f"agrees after {said}" in told(report), told(report)


def test_a_claim_beyond_repair_fails_plainly():
    report = check_claim(network, W, x @ c.T)
    assert report.verdict == FAILED
    assert "no single slip explains it" in told(report)


def test_a_claim_about_nothing_real_is_inconclusive():
    assert check_claim(log(-(x.T @ x)), x, x).verdict == INCONCLUSIVE


def test_a_gradient_that_almost_vanishes_is_tested():
    sigmoid, z = FUNCTIONS["sigmoid"], x
    for _ in range(100):
        z = sigmoid(W @ z)
    f = c.T @ z
    g = gradient(f, [x])[x]
    assert check_gradient(f, {x: g}, trials=1).passed
    assert check_gradient(f, {x: 2 * g}, trials=1).verdict == FAILED
    assert check_gradient(f, {x: x - x}, trials=1).verdict == FAILED
