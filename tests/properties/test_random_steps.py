"""Derivations of random expressions: every line is a true equation, and what is printed parses back."""

from __future__ import annotations

import os

import pytest

import matcalc
from matcalc.expr import Expr, variables
from matcalc.facts import INTEGER, has
from matcalc.printing.steps import steps_dict, steps_latex, steps_text
from matcalc.printing.text import text
from matcalc.syntax import parse
from tests.contract.test_trace_rules import assert_equations
from tests.properties.generate import Generator, declarations

COUNT = int(os.environ.get("MATCALC_RANDOM", "20"))
FIRST = int(os.environ.get("MATCALC_SEED", "0"))


def random(seed: int) -> Expr:
    for attempt in range(100):
        e = Generator(f"{seed} steps {attempt}").any(2)
        if not e.is_zero and any(not has(x, INTEGER) for x in variables([e])):
            return e
    raise AssertionError("no expression with a variable")


@pytest.mark.parametrize("of", ["jacobian", "hessian", "differential", "jvp", "vjp"])
@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
def test_derivations_of_random_expressions(seed: int, of: str) -> None:
    e = random(seed)
    f = matcalc.parse(text(e), declarations(e))
    names = [x.op.name for x in variables([e]) if not has(x, INTEGER)]
    result = getattr(f, of)(*names)
    for printed in (steps_text, steps_dict, steps_latex):
        assert printed(result.steps)
    assert_equations(result.steps)
    weights = [result.weights] if of == "hessian" and result.weights is not None else []
    where = f.declarations("", [*result.directions, *weights])
    last = list(result.labelled.values())[-1]
    for written in (result.text(), result.text(unicode=True), result.latex()):
        assert parse(written, where).expr is last, written
