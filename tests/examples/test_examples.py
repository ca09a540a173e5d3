"""The examples run, and reach what they promise."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_is_tested() -> None:
    tested = {"tutorial_network", "logistic_regression", "residual_network"}
    assert {path.stem for path in EXAMPLES.glob("*.py")} == tested


def test_tutorial_network_prints_derivation_and_slip(capsys: pytest.CaptureFixture[str]) -> None:
    assert load("tutorial_network").main() < 1e-8
    shown = capsys.readouterr().out
    assert "trace-cyclic" in shown
    assert "Psi -> Phi" in shown


def test_logistic_regression_is_as_accurate_as_the_library() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn has the data")
    ours, theirs = load("logistic_regression").main()
    assert ours >= theirs - 0.006  # one of the 171 held-out samples


def test_residual_network_learns_the_digits() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn has the data")
    assert load("residual_network").main() > 0.94
