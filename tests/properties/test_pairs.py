"""The same function written in two ways has one derivative: an equal value always, the same text nearly always.

The pairs of ``pairs.toml``, and the formulas of the golden files with some of their parts rewritten at random:
``MATCALC_REWRITES`` times each, from ``MATCALC_SEED`` on.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

import matcalc
from matcalc.calculus.gradient import gradient
from matcalc.calculus.hessian import hessian
from matcalc.calculus.vectorise import Vectoriser
from matcalc.checks.evaluate import evaluate
from matcalc.checks.sampling import draw_point
from matcalc.checks.taylor import UNSOUND
from matcalc.expr import Expr
from matcalc.facts import SYMMETRIC, has
from matcalc.printing.text import text
from matcalc.simplify import simplify
from tests.properties.rewrites import rewritten

HERE = Path(__file__).parent
PAIRS = tomllib.loads((HERE / "pairs.toml").read_text(encoding="utf-8"))
GROUPS = PAIRS["same"]
GOLDEN = {
    name: tomllib.loads((HERE.parent / "golden" / name).read_text(encoding="utf-8"))
    for name in ("problems.toml", "jacobians.toml", "hessians.toml")
}
KINDS = {"problems.toml": "gradient", "jacobians.toml": "jacobian", "hessians.toml": "hessian"}
REWRITES = int(os.environ.get("MATCALC_REWRITES", "2"))
FIRST = int(os.environ.get("MATCALC_SEED", "0"))
ALIKE = 0.96  # share of the pairs that print the same derivative; it must not fall
ALIKE_REWRITTEN = 0.985
CLOSE = 1e-9


class Written(NamedTuple):
    """A function as it is written, its derivative and how that prints."""

    given: str
    function: Expr
    derivative: Expr
    printed: str


def declared(group: dict[str, str]) -> str:
    """The common declarations without those that the group makes anew."""
    own = group.get("where", "")
    names = {n for part in re.split("[;\n]", own) for n in re.findall(r"\w+", part.partition(" in ")[0])}
    kept = []
    for part in re.split("[;\n]", PAIRS["common"]):
        left, _, right = part.partition(" in ")
        rest = [n.strip() for n in left.split(",") if n.strip() not in names]
        if rest:
            kept.append(f"{', '.join(rest)} in {right}")
    return "; ".join([*kept, own])


@cache
def ways(number: int, kind: str) -> tuple[Expr, list[Written]]:
    group = GROUPS[number]
    out = []
    for line in group["ways"].strip().splitlines():
        formula = matcalc.parse(line, where=declared(group))
        found = getattr(formula, kind)(group["by"])
        out.append(Written(line, formula.expr, found.expr, str(found)))
    return formula.program.variables[group["by"]], out


CASES = [
    pytest.param(number, kind, id=f"{kind} of {group['ways'].split(chr(10), 1)[0]} by {group['by']}")
    for number, group in enumerate(GROUPS)
    for kind in group.get("of", "gradient").split()
]


def equal(a: Any, b: Any) -> bool:
    return a.shape == b.shape and all(
        abs(u - v) < CLOSE * (1 + abs(u)) for u, v in zip(a.ravel(), b.ravel(), strict=True)
    )


def within(x: Expr, h: Any, kind: str) -> Any:
    """What a Hessian by a symmetric matrix is for symmetric directions."""
    if kind != "hessian" or x.is_scalar or not has(x, SYMMETRIC):
        return h
    order = round(h.shape[0] ** 0.5)
    turn = [i // order + order * (i % order) for i in range(order * order)]
    h = h + h[turn, :]
    return h + h[:, turn]


def same_values(x: Expr, one: Written, other: Written, kind: str, seed: object) -> bool:
    """Whether functions and derivatives agree at a point at which all of them are defined."""
    roots = [one.function, other.function, one.derivative, other.derivative]
    for attempt in range(12):
        try:
            point = draw_point(roots, Random(f"{seed} {attempt}"), attempt)
            f, g, df, dg = evaluate(roots, point.env, point.sizes)
        except UNSOUND:
            continue
        return equal(f.ravel(), g.ravel()) and equal(within(x, df, kind), within(x, dg, kind))
    raise AssertionError(f"no point at which {one.given} and {other.given} are defined")


@pytest.mark.parametrize(("number", "kind"), CASES)
def test_values_are_equal(number: int, kind: str) -> None:
    x, (first, *others) = ways(number, kind)
    for other in others:
        assert same_values(x, first, other, kind, number), f"{first}\n{other}"


def test_the_same_is_printed() -> None:
    pairs = []
    for case in CASES:
        first, *others = ways(*case.values)[1]
        pairs += [(first, other) for other in others]
    assert len({(first.given, other.given) for first, other in pairs}) >= 300
    different = [(first, other) for first, other in pairs if first.printed != other.printed]
    shown = "\n".join(f"{a.given}   {a.printed}\n{b.given}   {b.printed}\n" for a, b in different)
    assert 1 - len(different) / len(pairs) >= ALIKE, shown


def derivative(f: Expr, x: Expr, kind: str) -> Expr:
    if kind == "gradient":
        return gradient(f, [x], tidy=simplify)[x]
    return Vectoriser(simplify).jacobian(f, x) if kind == "jacobian" else hessian(f, [x], tidy=simplify)[x, x]


def problems() -> Iterator[tuple[str, Expr, Expr, str]]:
    for file, kind in KINDS.items():
        for name, problem in GOLDEN[file].items():
            formula = matcalc.parse(problem["text"], where=problem.get("where"))
            if "wrt" not in problem or problem.get("kind", kind) != kind:
                continue
            x = formula.program.variables[problem["wrt"].split(",")[0].strip()]
            if kind == "jacobian" or formula.form.is_scalar:
                yield name, formula.form, x, kind


def test_rewritten_formulas_have_one_derivative() -> None:
    count, different = 0, []
    for name, f, x, kind in problems():
        first = Written(text(f), f, derivative(f, x, kind), "")
        for k in range(FIRST, FIRST + REWRITES):
            g, moves = rewritten(f, Random(f"{name} {k}"), 1 + k % 4)
            other = Written(text(g), g, derivative(g, x, kind), "")
            count += 1
            if other.derivative is not first.derivative:
                report = f"{name} {' '.join(moves)}\n{first.given}   {text(first.derivative)}\n"
                different.append(f"{report}{other.given}   {text(other.derivative)}\n")
                assert same_values(x, first, other, kind, name), different[-1]
    assert 1 - len(different) / count >= ALIKE_REWRITTEN, "\n".join(different)


def test_a_pair_that_differs_is_caught() -> None:
    formulas = [matcalc.parse(f, where="x, y in R^n") for f in ("norm2(x - y)^2", "norm2(x + y)^2")]
    one, other = (Written(str(f), f.expr, f.gradient("x").expr, "") for f in formulas)
    assert not same_values(formulas[0].program.variables["x"], one, other, "gradient", "differs")


LISTED = """
import sys, tomllib
import matcalc
problems = sorted(tomllib.load(open(sys.argv[1], "rb")).items(), reverse=sys.argv[2] == "backwards")
found = {name: str(matcalc.gradient(p["text"], p["wrt"], where=p["where"])) for name, p in problems}
print(sorted(found.items()))
"""


def test_results_do_not_depend_on_what_was_derived_before() -> None:
    problems = str(HERE.parent / "golden" / "problems.toml")
    runs = [
        subprocess.run([sys.executable, "-c", LISTED, problems, order], capture_output=True, text=True, check=True)
        for order in ("forwards", "backwards")
    ]
    assert runs[0].stdout == runs[1].stdout
