"""Published gradients: the same value as the source's form, no longer than it, and printed as the golden file says.

``pytest tests/golden --rewrite-golden`` writes the golden file anew; read the difference before committing it.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import matcalc
import matcalc.results
from matcalc.printing.steps import steps_text
from matcalc.simplify import simplify
from matcalc.simplify.cost import cost

HERE = Path(__file__).parent
PROBLEMS = tomllib.loads((HERE / "problems.toml").read_text(encoding="utf-8"))
GOLDEN = HERE / "results.toml"


def derive(problem: dict[str, str]) -> matcalc.results.Gradient:
    return matcalc.gradient(problem["text"], problem["wrt"], where=problem["where"])


def golden_text() -> str:
    """The golden file as it should be now: result and derivation of each problem."""
    parts = []
    for name, problem in PROBLEMS.items():
        result = derive(problem)
        steps = steps_text(result.steps).rstrip()
        parts.append(f"[{name}]\nresult = '''\n{result.text()}'''\nsteps = '''\n{steps}'''\n")
    return "\n".join(parts)


@pytest.fixture(scope="session")
def golden(request: pytest.FixtureRequest) -> dict[str, dict[str, str]]:
    if request.config.getoption("--rewrite-golden"):
        # One and two apostrophes are transposes; three would end the literal string of TOML.
        GOLDEN.write_text(golden_text(), encoding="utf-8")
    return tomllib.loads(GOLDEN.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", PROBLEMS)
def test_result_is_the_golden_one(name: str, golden: dict[str, dict[str, str]]) -> None:
    result = derive(PROBLEMS[name])
    assert result.text() == golden[name]["result"]
    assert steps_text(result.steps).rstrip() == golden[name]["steps"]


@pytest.mark.parametrize("name", PROBLEMS)
def test_published_form_has_the_same_value(name: str) -> None:
    problem = PROBLEMS[name]
    report = derive(problem).of.check_claim(problem["wrt"], problem["published"])
    assert report.passed, f"{report}"


@pytest.mark.parametrize("name", PROBLEMS)
def test_no_longer_than_the_published_form(name: str) -> None:
    problem = PROBLEMS[name]
    if "longer" in problem:
        pytest.skip(problem["longer"])
    result = derive(problem)
    published = result.of.claim(problem["published"])
    assert cost(result.expr) <= cost(published), f"{result.text(parts=False)}  against  {problem['published']}"


@pytest.mark.parametrize("name", PROBLEMS)
def test_result_is_settled(name: str) -> None:
    result = derive(PROBLEMS[name])
    assert simplify(result.expr) is result.expr
