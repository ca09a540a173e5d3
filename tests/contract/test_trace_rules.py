"""The trace rules that derivations quote are identities, and every rule that is quoted exists."""

from __future__ import annotations

from random import Random

import mpmath
import pytest

import matcalc
from matcalc.calculus.rules import TRACE_RULES, TraceRule
from matcalc.checks.evaluate import evaluate
from matcalc.checks.sampling import draw_point
from matcalc.dims import dim
from matcalc.expr import make, substitute
from matcalc.primitives.base import Linear, Multilinear
from matcalc.primitives.leaves import var
from matcalc.primitives.registry import PRIMITIVES


def difference(rule: TraceRule) -> float:
    """How far the two sides are apart at a random point."""
    left = matcalc.parse(rule.left, rule.where).expr
    right = matcalc.parse(rule.right, rule.where).expr
    with mpmath.workdps(30):
        point = draw_point([left, right], Random(rule.name), 0)
        a, b = evaluate([left, right], point.env, point.sizes)
        assert a.shape == b.shape
        return float(abs(a - b).max())


@pytest.mark.parametrize("name", TRACE_RULES)
def test_both_sides_agree(name: str) -> None:
    assert difference(TRACE_RULES[name]) < 1e-25


def test_a_false_rule_is_noticed() -> None:
    assert difference(TraceRule("false", "tr(A*B)", "tr(A*B')", "A, B in R^{n x n}")) > 1e-3


LINEAR = [kind for kind in PRIMITIVES if issubclass(kind, (Linear, Multilinear))]


@pytest.mark.parametrize("kind", LINEAR, ids=[kind.__name__ for kind in LINEAR])
def test_the_rule_of_every_adjoint_is_stated(kind: type) -> None:
    sample = {"axis": None, "mode": "full", "shape": (dim("m"), dim("n")), "index": var("i")}
    sample |= {"row": "all", "col": "all"}
    op = kind(*[sample[field] for field in kind.fields])
    assert op.trace_rule(0) in TRACE_RULES


def test_the_tutorial_quotes_the_rules_by_name() -> None:
    steps = matcalc.gradient("c'*Psi((W + V)*Phi(W*x + b))", "W").steps
    assert steps.rules == ["trace-cyclic", "trace-hadamard", "trace-sum"]


@pytest.mark.parametrize(
    ("text", "wrt", "where"),
    [
        ("c'*Psi((W + V)*Phi(W*x + b))", "W", None),
        ("x'*A*x/(x'*x)", "x", None),
        ("logdet(X) + tr(A*X)^2", "X", None),
        ("sum(i=1:m, log(1 + exp(-y[i]*X[:,i]'*w)))", "w", "X in R^{n x m}; y in R^m; w in R^n"),
        ("-y'*log(softmax(W*x + b))", "W", None),
        ("norm2(U*V' - A)^2", "U", None),
    ],
)
def test_every_line_of_a_derivation_is_an_equation(text: str, wrt: str, where: str | None) -> None:
    """With numbers for all variables and for dX, and each dz computed forward, both sides of each line agree."""
    gradient = matcalc.gradient(text, wrt, where)
    record = gradient.steps
    x = gradient.of.variable(wrt)
    with mpmath.workdps(30):
        direction = var("direction", x.shape)
        point = draw_point([gradient.of.expr, direction], Random(1), 0)
        from matcalc.calculus.differential import differential
        from matcalc.primitives.leaves import Differential

        forward = {make(Differential(node)): differential(node, {x: direction}) for node in (*record.definitions, x)}
        for step in record.differentials + record.substitution:
            left, right = (substitute(side, forward) for side in (step.left, step.right))
            a, b = evaluate([left, right], point.env, point.sizes)
            assert a.shape == b.shape
            assert float(abs(a - b).max()) < 1e-20 * (1 + float(abs(a).max())), step.rule


def test_the_slip_of_the_tutorial_is_found() -> None:
    """Its last line has Ψ(Wx+b) where Φ(Wx+b) is meant."""
    network = matcalc.parse("c^T Ψ((W+V)Φ(Wx+b))")
    outer = "Ψ'((W+V)Ψ(Wx+b)) .* c"
    report = network.check_claim("W", f"({outer})*Ψ(Wx+b)' + (Φ'(Wx+b) .* ((W+V)'*({outer})))*x'")
    assert not report.passed
    assert "Psi -> Phi in Psi(W*x + b)" in str(report)
    right = "(Ψ'((W+V)Φ(Wx+b)) .* c)*Φ(Wx+b)' + (Φ'(Wx+b) .* ((W+V)'*(Ψ'((W+V)Φ(Wx+b)) .* c)))*x'"
    assert network.check_claim("W", right).passed
