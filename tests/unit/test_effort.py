"""Trials of other forms are within a stated budget; what is found when it is spent is equal in value."""

from __future__ import annotations

from random import Random

import mpmath
import pytest

import matcalc
from matcalc.checks.evaluate import evaluate
from matcalc.checks.sampling import draw_point
from matcalc.expr import Expr, postorder
from matcalc.simplify import effort, simplify

NESTED = "(({S}*{S}' + I)^-1*x)'*(softplus(A).^t + 4*I)^-T*(({S}*{S}' + I)^-1*x)".replace(
    "{S}", "(eye(n) .* A - expm1(sin(A)))"
)
NESTED_WHERE = "A in R^{n x n} invertible; x in R^n; t in R positive"


def forgotten(e: Expr) -> Expr:
    """The expression without what was found out about its nodes."""
    for node in postorder([e]):
        node.memo.clear()
    return e


def trials(monkeypatch: pytest.MonkeyPatch, e: Expr) -> int:
    """The most that simplification makes at one node."""
    counts = []
    begun = effort.begun

    def noted() -> None:
        counts.append(effort._now.made)
        begun()

    monkeypatch.setattr(effort, "begun", noted)
    simplify(forgotten(e))
    monkeypatch.undo()
    return max([*counts, effort._now.made])


def test_a_nest_of_inverses_of_sums_stays_within_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    g = matcalc.gradient(NESTED, "A", where=NESTED_WHERE).expr
    assert trials(monkeypatch, g) <= effort.MOST


def test_sums_over_sums_that_take_up_a_size_and_give_it_back_come_to_an_end() -> None:
    text = (
        "norm2(conv(adj(A*A' + I) .* (a*A), "
        "hcat(B, C')[:,2:n+1] + softmax(B.^2, axis=1) + (y*b)*logsumexp(D)*exp(tanh(E))))"
        "/(1 + (sum(i=1:m, F)[2,1]*mean(corr(A, sum(i=1:p, D), 'valid')))^2)"
    )
    where = (
        "A in R^{2 x 2} spd; a in R positive; B in R^{p x n}; C in R^{n x p}; y in R^p positive; b in R; "
        "D in R^{n x m}; E in R^{m x n}; F in R^{n x n+1}"
    )
    assert matcalc.gradient(text, "A", where=where).expr.shape == matcalc.parse("A", where).expr.shape


@pytest.mark.parametrize("most", [0, 1, 3])
@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("(A + B)*(A - B) - A*A + B*(B - A)", "A, B in R^{n x n}"),
        ("A*(A^-1*b + c) - b", "A in R^{n x n}; b, c in R^n"),
        ("sigmoid(x) .* y - (1 - sigmoid(x)) .* z", "x, y, z in R^n"),
        ("1/(a + b) - a/(a + b)^2", "a, b in R positive"),
    ],
)
def test_what_is_found_with_less_is_equal_in_value(
    monkeypatch: pytest.MonkeyPatch, most: int, text: str, where: str
) -> None:
    e = forgotten(matcalc.parse(text, where).expr)
    monkeypatch.setattr(effort, "MOST", most)
    found = simplify(e)
    for node in postorder([e, found]):  # other tests have the whole budget
        node.memo.clear()
    with mpmath.workdps(30):
        point = draw_point([e, found], Random(text), 1)
        a, b = evaluate([e, found], point.env, point.sizes)
        assert all(abs(u - v) < mpmath.mpf(10) ** -20 * (1 + abs(u)) for u, v in zip(a.ravel(), b.ravel(), strict=True))
