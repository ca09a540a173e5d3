"""The contestants of the benchmark agree, and its tables are built."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("scipy")

from benchmarks import contestants, measure, report
from benchmarks.problems import ROWS, Row

TINY = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


@TINY
def test_matcalc_and_the_closed_form_without_a_plan_agree_with_the_expert(row: Row) -> None:
    data = row.data("tiny")
    truth = contestants.contestant("expert", row, "tiny", data)()
    truth = truth if isinstance(truth, tuple) else (truth,)
    kept = {name: np.copy(value) for name, value in data.items()}
    for name in ("matcalc", "naive"):
        result = contestants.contestant(name, row, "tiny", data)()
        assert measure.difference(row, name, result, truth, data) < 1e-12, name
    assert all(np.array_equal(data[name], value) for name, value in kept.items())


@TINY
def test_dimensions_differ(row: Row) -> None:
    for sizes in row.sizes.values():
        assert len(set(sizes.values())) == len(sizes)


def test_the_body_of_a_callable_is_all_but_its_checks() -> None:
    for row in ROWS:
        if row.name in ("residual jacobian W1", "logistic gradient w"):
            data = row.data("tiny")
            function = contestants.derived(row).compile()
            values = [data[name] for name in function.arguments]
            assert np.array_equal(measure.body(function)(*values), function(*values))


def test_tables() -> None:
    results = [
        measure.Result("logistic gradient w", "gradients", "tiny", "expert", 1e-6, 1.0, 1e-3),
        measure.Result("logistic gradient w", "gradients", "tiny", "matcalc", 2e-6, 2.0, 1e-3),
        measure.Result("logistic gradient w", "gradients", "tiny", "jax", 1e-6, 1.0, 1e-1),
        measure.Result("logistic gradient w", "gradients", "tiny", "torch", math.nan, math.nan, math.nan, "memory"),
    ]
    names = ["matcalc", "expert", "jax", "torch"]
    assert report.means(results, names)[1] == ["gradients", "tiny", "2.00", "1.00", "1.00", "-"]
    assert report.lines(results, names)[1] == ["logistic gradient w", "tiny", "1 us", "2.00", "1.00", "memory"]
    missed = report.behind(results)[1]
    assert missed == ["logistic gradient w", "tiny", "2.00", "jax", "2.00", "expert x1.5, library"]
    assert report.text([["a", "b"], ["c", "10"]], markdown=True).splitlines()[1] == "| - | -: |"
