"""What is written of every primitive: the rule of its docstring, its text, its LaTeX, its generated code."""

from __future__ import annotations

import re
from random import Random

import mpmath
import numpy
import pytest

from matcalc.calculus.differential import differential
from matcalc.checks.compiled import for_numpy, run_compiled
from matcalc.checks.evaluate import evaluate
from matcalc.checks.taylor import UNSOUND
from matcalc.expr import postorder
from matcalc.lowering.compiled import compile_numpy
from matcalc.primitives import convolution, loops, maps, registry, structure
from matcalc.printing.latex import latex
from matcalc.printing.text import text
from matcalc.syntax import parse
from tests.contract.instances import ALL, name
from tests.contract.test_primitives import sound_point
from tests.properties.generate import declarations

every = pytest.mark.parametrize("e", ALL, ids=name)
RULES = [kind for kind in registry.PRIMITIVES if "Rule  " in (kind.__doc__ or "")]
DECLARED = {  # where the line of shapes is for the reader
    structure.Reshape: "A in R^{q x p}",
    loops.IndexedSum: "A in R^{p x q}",
    structure.Unit: "i in R",
    structure.Slice: "A in R^{m x n}",
    convolution.Crop: "A in R^{m x n}",
}
OF_FUNCTIONS = {maps.Mapped: "f: R^n, R^p -> R^m"}


def line(kind, label: str) -> str:
    """A line of the docstring, without what it says in words."""
    (found,) = re.findall(rf"^ *{label} +(.*)$", kind.__doc__, re.MULTILINE)
    return re.sub(r" +\([a-z ]+\)$", "", found)


def declared(kind) -> list[tuple[str, str]]:
    shapes = DECLARED.get(kind) or line(kind, "Shapes").split("->")[0]
    found = []
    for names, shape in re.findall(r"([A-Za-z][A-Za-z, ]*?) in (R(?:\^(?:\{[^}]*\}|\w+))?)", shapes):
        found += [(each.strip(), shape) for each in names.split(",")]
    return found


@pytest.mark.parametrize("kind", RULES, ids=lambda kind: kind.__name__)
def test_the_rule_of_the_docstring_is_that_of_the_code(kind):
    left, right = line(kind, "Rule").replace("A⁺", "pinv(A)").split(" = ")
    known = declared(kind)
    functions = OF_FUNCTIONS.get(kind, "f: elementwise")
    where = "; ".join([f"{v} in {shape}; d{v} in {shape}" for v, shape in known] + [functions])
    stated = parse(right, where=where)
    if left.startswith("d"):
        value = parse(left.removeprefix("d"), where=where)
        fixed = re.findall(r"\(constant (\w+)\)", kind.__doc__)
        moved = {value.variables[v]: stated.variables[f"d{v}"] for v, _ in known if v not in fixed}
        code = differential(value.expr, moved)
        assert kind in {type(e.op) for e in postorder([value.expr])}
    else:
        code = parse(left, where=where).expr
    with mpmath.workdps(40):
        for seed in range(20):
            point = sound_point([code, stated.expr], Random(seed))
            try:
                found, truth = evaluate([code, stated.expr], point.env, point.sizes)
            except UNSOUND:
                continue
            if found.shape == tuple(d.evaluate(point.sizes) for d in code.shape):
                assert abs(found - truth).max() < 1e-30 * (1 + abs(truth).max())
                return
    pytest.fail("no point was found")


@every
def test_text_parses_back(e):
    assert parse(text(e), where=declarations(e)).expr is e, text(e)


@every
def test_unicode_parses_back(e):
    assert parse(text(e, unicode=True), where=declarations(e)).expr is e, text(e, unicode=True)


@every
def test_latex_parses_back(e):
    assert parse(latex(e), where=declarations(e)).expr is e, latex(e)


@every
def test_generated_code_agrees(e):
    with mpmath.workdps(30):
        for seed in range(2):
            point = sound_point([e], Random(seed))
            (truth,) = evaluate([e], point.env, point.sizes)
            function = compile_numpy(e, functions=for_numpy([e], {}, point.sizes))
            found = numpy.asarray(run_compiled(function, point), dtype=float)
            exact = truth.astype(float)
            assert found.size == exact.size
            assert abs(found.reshape(exact.shape) - exact).max() <= 1e-10 * (1 + abs(exact).max()), function.source
