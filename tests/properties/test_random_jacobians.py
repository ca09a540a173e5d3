"""Jacobians, Hessians and products of random expressions against differences: as many as ``MATCALC_RANDOM`` says, from
``MATCALC_SEED`` on.
"""

from __future__ import annotations

import os
from random import Random

import pytest

from matcalc.calculus.differential import differential
from matcalc.calculus.hessian import gauss_newton, hessian
from matcalc.calculus.transpose import pullback
from matcalc.calculus.vectorise import jacobian
from matcalc.checks.gauss_newton import check_gauss_newton
from matcalc.checks.hessians import check_hessian
from matcalc.checks.jacobians import check_jacobian, check_products
from matcalc.checks.report import INCONCLUSIVE, Report
from matcalc.dims import ONE, SCALAR
from matcalc.expr import Expr, substitute, variables
from matcalc.facts import INTEGER, has
from matcalc.primitives.base import zeros
from matcalc.primitives.leaves import var
from matcalc.printing.text import text
from matcalc.simplify import simplify
from matcalc.syntax import parse
from tests.properties.generate import Generator, declarations, scalar

COUNT = int(os.environ.get("MATCALC_RANDOM", "120"))
FIRST = int(os.environ.get("MATCALC_SEED", "0"))
seeds = pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))


def valued(seed: object, depth: int) -> Expr:
    """A random number, column, row or matrix with a variable to differentiate by."""
    for attempt in range(100):
        generator = Generator(f"{seed} valued {attempt}")
        m, n = generator.dim(), generator.dim()
        shape = generator.rng.choice([SCALAR, (m, ONE), (m, ONE), (ONE, m), (m, n), (m, n), (m, m)])
        e = generator.any(depth) if generator.rng.random() < 0.4 else generator.of(shape, depth)
        if real_variables(e) and not e.is_zero:
            return e
    raise AssertionError("no expression with a variable")


def real_variables(e: Expr) -> list[Expr]:
    return [x for x in variables([e]) if not has(x, INTEGER)]


def assert_passed(report: Report, f: Expr, derived: dict) -> None:
    if report.verdict == INCONCLUSIVE:
        pytest.skip("; ".join(note for test in report.tests for note in test.notes))
    shown = "\n".join(f"{key}: {text(e)}" for key, e in derived.items())
    assert report.passed, f"{text(f)}\n{declarations(f)}\n{shown}\n{report}"


@seeds
def test_jacobians_agree_with_differences(seed):
    f = valued(seed, depth=2 + seed % 2)
    chosen = real_variables(f)[:3]
    found = jacobian(f, chosen, tidy=simplify)
    report = check_jacobian(f, found, trials=1, seed=seed, compiled=seed % 3 == 0)
    assert_passed(report, f, found)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT // 3))
def test_jacobians_that_are_not_simplified_agree_with_differences(seed):
    f = valued(seed, depth=2)
    x = real_variables(f)[0]
    found = jacobian(f, [x])
    assert_passed(check_jacobian(f, found, trials=1, seed=seed, compiled=False), f, found)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT // 2))
def test_hessians_agree_with_differences(seed):
    f = scalar(seed, depth=2 + seed % 2)
    chosen = real_variables(f)
    chosen = Random(seed).sample(chosen, min(2, len(chosen)))
    if not chosen:
        pytest.skip("no variable")
    found = hessian(f, chosen, tidy=simplify)
    report = check_hessian(f, found, trials=1, seed=seed, compiled=seed % 3 == 0)
    assert_passed(report, f, {f"{x}, {z}": e for (x, z), e in found.items()})


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT // 2))
def test_products_agree_with_differences(seed):
    f = valued(seed, depth=3)
    chosen = real_variables(f)[:2]
    along = {x: var(f"d{k}", x.shape) for k, x in enumerate(chosen)}
    u = var("u", f.shape)
    forward = simplify(differential(f, along))
    cotangents = pullback(f, u, set(chosen), tidy=simplify)
    back = {x: simplify(cotangents.get(x, zeros(x.shape))) for x in chosen}
    report = check_products(f, forward, along, back, u, trials=1, seed=seed, compiled=seed % 3 == 0)
    assert_passed(report, f, {"J*v": forward, **{f"J'*u by {x}": e for x, e in back.items()}})


def lossy(seed: object) -> tuple[Expr, Expr, Expr]:
    """A random net, the variable that stands for its output, and a random loss of it that may hold others too."""
    for attempt in range(200):
        generator = Generator(f"{seed} loss {attempt}")
        m, n = generator.dim(), generator.dim()
        shape = generator.rng.choice([SCALAR, (m, ONE), (m, ONE), (m, n)])
        net = generator.of(shape, 2)
        u = var("u", shape)
        generator.known[shape] = [u, *generator.known.get(shape, [])[:1]]
        loss = generator.scalar(3)
        if u in variables([loss]) and real_variables(net):
            return loss, u, net
    raise AssertionError("no loss of a net")


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT // 4))
def test_gauss_newton_agrees_with_differences(seed):
    loss, u, net = lossy(seed)
    chosen = real_variables(net)[:2]
    found = gauss_newton(loss, u, net, chosen, tidy=simplify)
    whole = substitute(loss, {u: net})
    report = check_gauss_newton(
        loss,
        u,
        net,
        found.matrix,
        residual=found.residual,
        hessian=hessian(whole, chosen, tidy=simplify),
        trials=1,
        seed=seed,
        compiled=seed % 3 == 0,
    )
    shown = {f"G {x}, {z}": e for (x, z), e in found.matrix.items()}
    shown |= {f"R {x}, {z}": e for (x, z), e in found.residual.items()}
    assert_passed(report, whole, {"loss": loss, "net": net, **shown})


FOUND = [  # mistakes that random expressions have shown
    ("1/(1 + sum(x - a)^2)", "x in R^n; a in R", "a, x"),  # ones of a sum over one divisor were lost
    ("logdet(Q)^2", "Q in R^{n x n} orthogonal", "Q"),  # its gradient is 0 at every orthogonal matrix, its Hessian not
    ("silu(tr((A + 4*I)^-1))", "A in R^{p x p} invertible", "A"),  # sigmoid(-t) for 1 - sigmoid(t) in a*b*v*v'
    ("sigmoid(sum(x)/(1 + sigmoid(max(x))^2))", "x in R^n", "x"),  # as the one before
    ("silu(m*n*sum(X))", "X in R^{m x n}", "X"),  # 2*sigmoid(-t) and 2 - 2*sigmoid(t) turned into each other for ever
    ("sum(Y)^3", "Y in R^{m x n} stochastic", "Y"),
    ("tr(Q*S*Q'*S)", "Q in R^{n x n} orthogonal; S in R^{n x n} symmetric", "Q, S"),
]


@pytest.mark.parametrize(("f", "where", "names"), FOUND)
def test_hessians_that_were_wrong_once(f, where, names):
    program = parse(f, where=where)
    chosen = [program.variables[name] for name in names.split(", ")]
    report = check_hessian(program.expr, hessian(program.expr, chosen, tidy=simplify))
    assert report.passed, str(report)


@pytest.mark.parametrize("f", ["sin(x) .* (A'*x)", "sin(x) .* (A*x)", "A'*diag(x)*A*x + x .* x"])
def test_code_for_matrices_that_lie_by_columns(f):
    program = parse(f, where="A in R^{n x n}; x in R^n")  # the diagonal was added to a copy
    chosen = [program.variables["x"]]
    report = check_jacobian(program.expr, jacobian(program.expr, chosen, tidy=simplify))
    assert report.passed, str(report)
