"""The trace and vec rules that derivations quote are identities, and every rule that is quoted exists."""

from __future__ import annotations

from random import Random

import mpmath
import pytest

import matcalc
from matcalc.calculus.differential import differential
from matcalc.calculus.rules import TRACE_RULES, VEC_RULES, TraceRule
from matcalc.checks.evaluate import evaluate
from matcalc.checks.sampling import draw_point
from matcalc.derivation import Derivation, Step
from matcalc.dims import SCALAR, dim
from matcalc.expr import Expr, make, postorder, substitute
from matcalc.facts import DIAGONAL, SYMMETRIC, facts
from matcalc.primitives.base import Linear, Multilinear, zeros
from matcalc.primitives.leaves import Differential, var
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


RULES = {rule.name: rule for rule in (*TRACE_RULES.values(), *VEC_RULES.values())}


@pytest.mark.parametrize("name", RULES)
def test_both_sides_agree(name: str) -> None:
    assert difference(RULES[name]) < 1e-25


def test_a_false_rule_is_noticed() -> None:
    assert difference(TraceRule("false", "tr(A*B)", "tr(A*B')", "A, B in R^{n x n}")) > 1e-3


LINEAR = [kind for kind in PRIMITIVES if issubclass(kind, (Linear, Multilinear))]


@pytest.mark.parametrize("kind", LINEAR, ids=[kind.__name__ for kind in LINEAR])
def test_the_rule_of_every_adjoint_is_stated(kind: type) -> None:
    sample = {"axis": None, "mode": "full", "shape": (dim("m"), dim("n")), "index": var("i")}
    sample |= {"rows": dim("m"), "cols": dim("n")}
    sample |= {"row": "all", "col": "all"}
    op = kind(*[sample[field] for field in kind.fields])
    assert op.trace_rule(0) in TRACE_RULES
    assert op.trace_rule(0) in VEC_RULES


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
        ("a'*X*b", "X", "X in R^{n x n} symmetric"),
        ("tr(A*X*A)", "X", "X in R^{n x n} diagonal"),
    ],
)
def test_every_line_of_a_derivation_is_an_equation(text: str, wrt: str, where: str | None) -> None:
    """With numbers for all variables and for dX, and each dz computed forward, both sides of each line agree."""
    assert_equations(matcalc.gradient(text, wrt, where).steps)


def assert_equations(record: Derivation) -> None:
    """Those of a derivation and of its parts, with a direction for each variable that moves, and dz along them."""
    chains: dict[str, list[Step]] = {}
    for step in record.chain:
        chains.setdefault(step.label, []).append(step)
    steps = [*record.differentials, *record.substitution, *record.vectorised, *record.results]
    sides = [side for step in (*steps, *record.chain) for side in (step.left, step.right)]
    moving = {node.op.of for node in postorder(sides) if isinstance(node.op, Differential)}
    moves = {x: record.moves.get(x) or direction_of(x) for x in moving if x.op.is_variable}
    assert_equal(steps, moving, moves)
    for label, chain in chains.items():
        alone = [step.place for step in record.results if step.label == label]
        assert_equal(chain, moving, {x: d if not label or x in alone else zeros(x.shape) for x, d in moves.items()})
    for _, part in record.parts:
        assert_equations(part)


def direction_of(x: Expr) -> Expr:
    return var(f"direction {x.op.name}", x.shape, *(() if x.is_scalar else facts(x) & {SYMMETRIC, DIAGONAL}))


def assert_equal(steps: list[Step], moving: set[Expr], moves: dict[Expr, Expr]) -> None:
    """Both sides of each step at a random point, where ``moving`` quantities have the differentials along ``moves``."""
    with mpmath.workdps(30):
        forward = {make(Differential(z)): differential(z, moves) for z in moving}
        sides = [substitute(side, forward) for step in steps for side in (step.left, step.right)]
        point = draw_point(sides, Random(1), 0)
        values = evaluate(sides, point.env, point.sizes)
        for step, a, b in zip(steps, values[::2], values[1::2], strict=True):
            assert a.shape == b.shape
            assert float(abs(a - b).max()) < 1e-20 * (1 + float(abs(a).max())), step.rule


@pytest.mark.parametrize(
    ("text", "wrt", "where"),
    [
        ("sigmoid(W*x + b)", "W, x, b", None),
        ("x + W2*tanh(W1*x + b)", "x, W1", None),
        ("(X'*X + I)^-1*X'*y", "X", None),
        ("softmax(W*X)", "W, X", None),
        ("x/norm2(x)", "x", None),
        ("tr(A*X)*diag(X*B)", "X, A", "A in R^{n x m}; X in R^{m x n}; B in R^{n x m}"),
        ("sum(i=1:m, x[i]*A*x)", "x", "x in R^m; A in R^{m x m}"),
        ("expm(A)*b", "A", None),
        ("kron(A, B)", "A, B", "A in R^{m x n}; B in R^{p x q}"),
        ("A*A'", "A", "A in R^{n x n} symmetric"),
        ("a*X'", "a, X", "a in R"),
        ("x", "x", "x in R^n"),
        ("conv(K, X)", "K, X", "K in R^{2 x 2}; X in R^{3 x 3}"),
    ],
)
@pytest.mark.parametrize("of", ["jacobian", "differential", "jvp", "vjp"])
def test_every_line_of_a_first_derivative_is_an_equation(of: str, text: str, wrt: str, where: str | None) -> None:
    result = getattr(matcalc.parse(text, where), of)(wrt)
    assert str(result.steps)
    assert_equations(result.steps)


@pytest.mark.parametrize(
    ("text", "wrt"),
    [
        ("sum(log(1 + exp(-y .* (X*w))))", "w"),
        ("logdet(X)", "X"),
        ("c'*tanh(W*x + b)", "W, b"),
        ("c'*x", "x, c"),
        ("sigmoid(W*x)", "x, W"),
    ],
)
@pytest.mark.parametrize("of", ["hessian", "hvp"])
def test_every_line_of_a_second_derivative_is_an_equation(of: str, text: str, wrt: str) -> None:
    f = matcalc.parse(text)
    if of == "hvp" and f.shape != SCALAR:
        pytest.skip("a product with the Hessian is of a scalar")
    result = getattr(f, of)(wrt)
    assert len(result.steps.parts) == 1 + len(result.variables)
    assert_equations(result.steps)


@pytest.mark.parametrize(
    ("text", "wrt"),
    [
        ("u = W2*tanh(W1*x); logsumexp(u) - y'*u", "W1, W2"),
        ("u = X*w; norm2(u - y)^2/2 + lambda*w'*w", "w"),
        ("u = W*x; Jv'*u.^3", "W"),
    ],
)
@pytest.mark.parametrize("of", ["gauss_newton", "gnvp"])
def test_every_line_about_a_loss_of_a_net_is_an_equation(of: str, text: str, wrt: str) -> None:
    result = getattr(matcalc.parse(text), of)(wrt)
    assert len(result.steps.parts) == (3 if of == "gauss_newton" else 4)
    assert_equations(result.steps)


def test_the_slip_of_the_tutorial_is_found() -> None:
    """Its last line has Ψ(Wx+b) where Φ(Wx+b) is meant."""
    network = matcalc.parse("c^T Ψ((W+V)Φ(Wx+b))")
    outer = "Ψ'((W+V)Ψ(Wx+b)) .* c"
    report = network.check_claim("W", f"({outer})*Ψ(Wx+b)' + (Φ'(Wx+b) .* ((W+V)'*({outer})))*x'")
    assert not report.passed
    assert "Psi -> Phi in Psi(W*x + b)" in str(report)
    right = "(Ψ'((W+V)Φ(Wx+b)) .* c)*Φ(Wx+b)' + (Φ'(Wx+b) .* ((W+V)'*(Ψ'((W+V)Φ(Wx+b)) .* c)))*x'"
    assert network.check_claim("W", right).passed
