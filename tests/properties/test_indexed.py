"""Random indexed sums: the matrix form has the value of the loop, and so has its gradient."""

from __future__ import annotations

from random import Random

import mpmath
import pytest

from matcalc.calculus.gradient import gradient
from matcalc.checks.evaluate import evaluate
from matcalc.checks.sampling import draw_point
from matcalc.expr import Expr, postorder
from matcalc.primitives.loops import IndexedSum
from matcalc.simplify import simplify
from matcalc.simplify.indexed import loop_reason, matrix_form
from matcalc.syntax import parse

SEEDS = range(150)
WHERE = (
    "X, Z in R^{n x m}; B in R^{m x n}; A in R^{n x n}; D in R^{m x m}; W in R^{n x k}; C in R^{k x m}; V in R^{n x m};"
    "w, c in R^n; y in R^m; u in R^k; a in R"
)
BY = ("w", "X", "W", "A", "y", "D", "B")


class Bodies:
    """Random texts that depend on i, by shape: a number, a column of n entries."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng

    def number(self, depth: int) -> str:
        pick = self.rng.choice
        if depth == 0:
            return pick(
                [
                    "y[i]",
                    "X[:,i]'*w",
                    "w'*Z[:,i]",
                    "D[i,i]",
                    "B[i,:]*w",
                    "X[2,i]",
                    "D[i,2]",
                    "a",
                    "X[:,i]'*A*Z[:,i]",
                    "0.5",
                ]
            )
        s, t = self.number(depth - 1), self.number(depth - 1)
        v, x = self.column(depth - 1), self.column(depth - 1)
        return pick(
            [
                f"tanh({s})",
                f"softplus({s})",
                f"sigmoid(-({s}))",
                f"({s})*({t})",
                f"({s}) + ({t})",
                f"({s}) - 2*({t})",
                f"({s})^2",
                f"({s})/(2 + ({t})^2)",
                f"({v})'*({x})",
                f"({v})'*A*({x})",
                f"w'*({v})",
                f"norm2({v})^2",
                f"sum({v})",
                f"mean({v})",
                f"logsumexp({v})",
                f"norm1({v})",
                f"sum(({v}).*({x}))",
                f"u'*softmax(W'*({v}))",
                f"C[:,i]'*log_softmax(W'*({v}))",
                f"sum(k=1:k, C[k,i]*tanh(W[:,k]'*({v})))",
                f"log(sum(k=1:k, exp(W[:,k]'*({v}))))",
                f"sum(j=1:m, D[i,j]*tanh(({v})'*Z[:,j]))",
                "sum(j=1:m, D[i,j]*y[j])",
                f"sum(j=1:m, ({s})*sigmoid(y[j] - y[i])*y[j])",
                f"({v})[1]",
                f"<({v})*c', A>",
                f"({v})'*diag({x})*c",
            ]
        )

    def column(self, depth: int) -> str:
        pick = self.rng.choice
        if depth == 0:
            return pick(["X[:,i]", "Z[:,i]", "B[i,:]'", "A*X[:,i]", "c", "W*C[:,i]"])
        s = self.number(depth - 1)
        v, x = self.column(depth - 1), self.column(depth - 1)
        return pick(
            [
                f"tanh({v})",
                f"softmax({v})",
                f"log_softmax({v})",
                f"({s})*({v})",
                f"({v}) + ({x})",
                f"({v}) - ({s})",
                f"({v}).*({x})",
                f"({v}).^2",
                f"A*({v})",
                f"A'*tanh({v})",
                f"({v})*({x})'*c",
                f"tanh(({v})'*A)'",
                f"softmax(({v})')'",
                f"(({v})' .* w')'",
                f"sum(j=1:m, D[i,j]*tanh(({v}) - Z[:,j]))",
                "sum(j=1:m, D[j,i]*Z[:,j])",
            ]
        )

    def sum(self) -> str:
        s, v, x = self.number(2), self.column(1), self.column(1)
        body = self.rng.choice(
            [s, s, s, f"c'*({v})", f"({v})'*A*({x})", f"<({v})*({x})', A>", f"tr(({s})*({v})*({x})')"]
        )
        if self.rng.random() < 0.3:
            outer = self.rng.choice(
                [f"({v})*({x})'", f"({s})*({v})*({x})'", f"A*diag({v})*A'", f"diag({v})*A*diag({x})"][:4]
            )
            return f"sum(A .* sum(i=1:m, {outer}))"
        if self.rng.random() < 0.2:
            return f"norm2(sum(i=1:m, {v}) - c)^2"
        return f"sum(i=1:m, {body})"


def drawn(seed: int) -> Expr:
    return parse(Bodies(Random(f"indexed {seed}")).sum(), WHERE, scalar=True).expr


def agree(left: Expr, right: Expr, seed: object) -> bool:
    with mpmath.workdps(50):
        point = draw_point([left, right], Random(f"{seed}"), 2, spare=3)
        a, b = evaluate([left, right], point.env, point.sizes)
        scale = 1 + max(abs(u) for u in a.ravel())
        return a.shape == b.shape and all(
            abs(u - v) <= scale * mpmath.mpf(10) ** -30 for u, v in zip(a.ravel(), b.ravel(), strict=True)
        )


@pytest.mark.parametrize("seed", SEEDS)
def test_the_matrix_form_has_the_value_of_the_loop(seed: int) -> None:
    e = drawn(seed)
    found = simplify(e)
    assert found.shape == e.shape
    assert agree(e, found, seed), str(e)
    if any(isinstance(node.op, IndexedSum) for node in postorder([found])):
        assert loop_reason(found)


@pytest.mark.parametrize("seed", SEEDS[::3])
def test_the_gradients_of_both_agree(seed: int) -> None:
    e = drawn(seed)
    form = matrix_form(e)
    rng = Random(seed)
    x = rng.choice([v for v in postorder([e]) if v.op.is_variable and v.op.name in BY] or [parse("w", WHERE).expr])
    assert agree(gradient(e, [x])[x], gradient(form, [x], tidy=simplify)[x], seed), str(e)


@pytest.mark.parametrize(
    "text",
    [
        "sum(i=2:m, (y[i] - y[i-1])^2)",
        "sum(i=1:m-1, norm2(X[:,i+1] - tanh(X[:,i]))^2)",
        "sum(i=1:m-1, D[i,i+1]*tanh(y[i]))",
        "sum(i=1:m-1, D[i+1,i]*softmax(W'*X[:,i])'*C[:,i+1])",
        "sum(i=0:m-1, y[i+1]*(D[i+1,:]*y))",
        "sum(i=1:2, y[i]*X[:,i]'*Z[:,i+1])",
        "norm2(sum(i=2:m, y[i]*e(i-1,m)))^2",
        "sum(i=2:m, sum(j=1:m-1, D[i,j]*sigmoid(y[j+1] - y[i-1])))",
    ],
)
def test_part_of_a_dimension(text: str) -> None:
    e = parse(text, WHERE).expr
    form = matrix_form(e)
    assert loop_reason(simplify(e)) is None
    assert agree(e, form, text)
    x = next(v for v in postorder([e]) if v.op.is_variable)
    assert agree(gradient(e, [x])[x], gradient(form, [x], tidy=simplify)[x], text)
