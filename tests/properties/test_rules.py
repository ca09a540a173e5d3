"""Every rule row is an identity: both sides agree on random values of what is declared; the right one is shorter."""

from __future__ import annotations

from random import Random

import mpmath
import pytest

from matcalc.checks.evaluate import evaluate
from matcalc.checks.sampling import draw_point
from matcalc.expr import Expr
from matcalc.simplify import cost, simplify
from matcalc.simplify.rules import SECTIONS, Row
from matcalc.syntax import parse

ROWS = [row for rows in SECTIONS.values() for row in rows]
CASES = [
    pytest.param(row, declarations, id=f"{row.name}: {declarations}") for row in ROWS for declarations in row.cases()
]
POINTS = 8


def sides(row: Row, declarations: str) -> tuple[Expr, Expr]:
    return parse(row.left, declarations).expr, parse(row.right, declarations).expr


def agree(left: Expr, right: Expr, seed: str) -> bool:
    """Whether two expressions have equal values at random points; sizes of different names are different."""
    with mpmath.workdps(40):
        for attempt in range(POINTS):
            point = draw_point([left, right], Random(f"{seed} {attempt}"), attempt)
            a, b = evaluate([left, right], point.env, point.sizes)
            if a.shape != b.shape:
                return False
            if any(
                abs(u - v) > mpmath.mpf(10) ** -25 * (1 + abs(u)) for u, v in zip(a.ravel(), b.ravel(), strict=True)
            ):
                return False
    return True


@pytest.mark.parametrize(("row", "declarations"), CASES)
def test_both_sides_agree(row: Row, declarations: str) -> None:
    left, right = sides(row, declarations)
    assert left.shape == right.shape
    assert agree(left, right, row.name)


@pytest.mark.parametrize(("row", "declarations"), CASES)
def test_the_left_side_becomes_the_right_one_and_the_cost_falls(row: Row, declarations: str) -> None:
    left, right = sides(row, declarations)
    found = simplify(left)
    assert found is simplify(right)
    assert cost(found) < cost(left)


def test_names_are_different() -> None:
    names = [row.name for row in ROWS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("left", "right", "declarations"),
    [
        ("sin(A).^2 - cos(A).^2", "ones(m,n)", "A in R^{m x n}"),
        ("pinv(A)*A", "I", "A in R^{m x n}"),
        ("kron(A, B)*vec(X)", "vec(A*X*B')", "A in R^{m x n}; X in R^{n x p}; B in R^{q x p}"),
        ("A*B", "B*A", "A in R^{n x n}; B in R^{n x n}"),
        ("sqrt(a^2)", "a", "a in R"),
    ],
)
def test_a_false_identity_is_caught(left: str, right: str, declarations: str) -> None:
    try:
        both = (parse(left, declarations).expr, parse(right, declarations).expr)
        same = both[0].shape == both[1].shape and agree(*both, seed="false")
    except ValueError:  # the sides do not even fit together
        same = False
    assert not same
