"""Published Jacobians, Hessians, Gauss-Newton matrices: equal in value to the source's form, no longer, printed so.

``pytest tests/golden --rewrite-golden`` writes the golden file anew; read the difference before committing it.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from random import Random
from typing import Any

import mpmath
import pytest

import matcalc
from matcalc.checks.domain import Undefined, Watch
from matcalc.checks.evaluate import evaluate
from matcalc.checks.sampling import draw_point
from matcalc.expr import Expr, substitute
from matcalc.printing.text import text
from matcalc.results.derivative import Derivative
from matcalc.results.formula import Formula
from matcalc.simplify import simplify
from matcalc.simplify.cost import cost

HERE = Path(__file__).parent
FILES = {"jacobians": "jacobian", "hessians": "hessian"}  # and the kind of a problem that names none
PROBLEMS: dict[str, dict[str, Any]] = {
    f"{file}/{name}": {"kind": kind} | problem
    for file, kind in FILES.items()
    for name, problem in tomllib.loads((HERE / f"{file}.toml").read_text(encoding="utf-8")).items()
}
GOLDEN = HERE / "matrices.toml"
CHECKED = (  # the kinds of structure, by differences instead of the published form
    "jacobians/residual-by-first-weights",
    "jacobians/softmax-by-column",
    "jacobians/projection",
    "jacobians/attention-by-queries",
    "jacobians/layer-norm",
    "jacobians/residual-by-first-weights-transposed",
    "jacobians/layer-moved",
    "hessians/logistic-regression",
    "hessians/determinant",
    "hessians/rayleigh-quotient",
    "hessians/one-hidden-layer-blocks",
    "hessians/softmax-regression-log-softmax",
    "hessians/two-layers-gauss-newton",
    "hessians/hessian-times-vector",
)
Found = Derivative | Formula


def derive(problem: dict[str, Any]) -> Found:
    f = matcalc.parse(problem["text"], where=problem["where"])
    if problem["kind"] == "simplified":
        return f
    cut = {"at": problem["at"]} if "at" in problem else {}
    found: Derivative = getattr(f, problem["kind"])(problem["wrt"], **cut)
    return found


def forms(found: Found) -> dict[str, Expr]:
    """The closed forms by their labels; of one alone the label is empty."""
    if isinstance(found, Formula):
        return {"": simplify(found.expr)}
    return found.labelled if len(found.labelled) > 1 else {"": found.expr}


def published(problem: dict[str, Any], found: Found) -> dict[str, Expr]:
    """The published forms in the variables of the problem, its directions and weights among them."""
    given = problem["published"]
    of = found if isinstance(found, Formula) else found.of
    known = {**of.program.variables}
    if isinstance(found, Derivative):
        weights = getattr(found, "weights", None)
        known |= {v.op.name: v for v in [*found.directions, *([weights] if weights is not None else [])]}  # type: ignore[attr-defined]
    out = {}
    for label, form in (given if isinstance(given, dict) else {"": given}).items():
        extra = "; ".join(f"{v.op.name} in R^{{{v.rows} x {v.cols}}}" for v in known.values())  # type: ignore[attr-defined]
        shapes = "; ".join(part for part in (problem["where"], extra) if part)
        program = matcalc.parse(form, where=_without_repeats(shapes)).program
        own = {v: known[name] for name, v in program.variables.items() if name in known}
        out[label] = substitute(program.expr, own)
    return out


def _without_repeats(declarations: str) -> str:
    """The declarations without names that an earlier one has."""
    seen: set[str] = set()
    kept = []
    for part in declarations.split(";"):
        names = [n.strip() for n in part.partition(" in ")[0].partition(":")[0].split(",")]
        if not seen.issuperset(names):
            kept.append(part.strip())
        seen.update(names)
    return "; ".join(kept)


def difference(ours: Expr, theirs: Expr, points: int = 2) -> float:
    """The largest relative difference of two forms at random points, computed to 40 digits."""
    if ours.shape != theirs.shape:
        raise AssertionError(f"{ours.shape} against {theirs.shape}")
    rng, worst, left = Random(0), mpmath.mpf(0), points
    for attempt in range(40):
        point = draw_point([ours, theirs], rng, attempt)
        with mpmath.workdps(40):
            try:
                a, b = evaluate([ours, theirs], point.env, point.sizes, watch=Watch())
            except (Undefined, ZeroDivisionError):
                continue
            scale = max([mpmath.mpf(1), *[abs(t) for t in b.ravel()]])
            worst = max([worst, *[abs(t) / scale for t in (a - b).ravel()]])
        left -= 1
        if not left:
            return float(worst)
    raise AssertionError("no point at which both forms are defined")


def golden_text() -> str:
    """The golden file as it should be now: the closed forms of each problem."""
    parts = []
    for name, problem in PROBLEMS.items():
        lines = [f"{label or 'result'} = '''\n{text(e)}'''" for label, e in forms(derive(problem)).items()]
        parts.append("\n".join([f'["{name}"]', *lines, ""]))
    return "\n".join(parts)


@pytest.fixture(scope="session")
def golden(request: pytest.FixtureRequest) -> dict[str, dict[str, str]]:
    if request.config.getoption("--rewrite-golden"):
        # One and two apostrophes are transposes; three would end the literal string of TOML.
        GOLDEN.write_text(golden_text(), encoding="utf-8")
    return tomllib.loads(GOLDEN.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", PROBLEMS)
def test_result_is_the_golden_one(name: str, golden: dict[str, dict[str, str]]) -> None:
    found = forms(derive(PROBLEMS[name]))
    assert {label or "result": text(e) for label, e in found.items()} == golden[name]


@pytest.mark.parametrize("name", PROBLEMS)
def test_published_form_has_the_same_value(name: str) -> None:
    problem = PROBLEMS[name]
    found = derive(problem)
    theirs = published(problem, found)
    for label, ours in forms(found).items():
        assert difference(ours, theirs[label]) < 1e-25, label


@pytest.mark.parametrize("name", PROBLEMS)
def test_no_longer_than_the_published_form(name: str) -> None:
    problem = PROBLEMS[name]
    if "longer" in problem:
        pytest.skip(problem["longer"])
    found = derive(problem)
    theirs = published(problem, found)
    for label, ours in forms(found).items():
        assert cost(ours) <= cost(theirs[label]), f"{label} {text(ours)}  against  {text(theirs[label])}"


@pytest.mark.parametrize("name", PROBLEMS)
def test_result_is_settled(name: str) -> None:
    for e in forms(derive(PROBLEMS[name])).values():
        assert simplify(e) is e


@pytest.mark.parametrize("name", CHECKED)
def test_result_agrees_with_differences(name: str) -> None:
    found = derive(PROBLEMS[name])
    assert isinstance(found, Derivative)
    report = found.check()
    assert report.passed, f"{report}"
