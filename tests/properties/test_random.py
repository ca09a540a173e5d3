"""Laws that hold of every expression, on random ones: as many as ``MATCALC_RANDOM`` says, from ``MATCALC_SEED`` on."""

from __future__ import annotations

import os
from random import Random

import mpmath
import numpy
import pytest

from matcalc.calculus.gradient import gradient
from matcalc.checks.compiled import for_numpy, run_compiled
from matcalc.checks.domain import Watch
from matcalc.checks.evaluate import evaluate
from matcalc.checks.report import INCONCLUSIVE
from matcalc.checks.sampling import draw_point
from matcalc.checks.taylor import UNSOUND, check_gradient
from matcalc.expr import Expr, postorder, rebuild, variables
from matcalc.lowering.compiled import compile_numpy
from matcalc.primitives.algebra import ADD, HADAMARD, PRODUCT
from matcalc.primitives.leaves import var
from matcalc.primitives.products import inner
from matcalc.printing.latex import latex
from matcalc.printing.text import text
from matcalc.simplify import effort, simplify, simplify_all
from matcalc.simplify.heads import applied
from matcalc.syntax import parse
from tests.properties.generate import declarations, scalar

COUNT = int(os.environ.get("MATCALC_RANDOM", "120"))
FIRST = int(os.environ.get("MATCALC_SEED", "0"))
seeds = pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
CLOSE = 1e-20
MOST_LOST = 1e-7  # relative error of float64 code, at points where rounding of the input alone costs no more than this


def drawn(seed: int) -> Expr:
    return scalar(seed, depth=3 + seed % 3)


def value_at(seed: int, roots: list[Expr]):
    """A random point, and the values there; None where there is no point at which all of them are defined."""
    with mpmath.workdps(60):
        for attempt in range(20):
            try:
                point = draw_point(roots, Random(f"{seed} {attempt}"), attempt)
                watch = Watch()
                values = evaluate(roots, point.env, point.sizes, watch=watch)
            except UNSOUND:
                continue
            if not any(0 in piece for _, piece in watch.piece):  # on a kink, rounding decides
                return point, values
    return None


def relative(found, truth) -> float:
    return float(abs(found - truth).max() / (abs(truth).max() + 1))


def shuffled(e: Expr, rng: Random) -> Expr:
    """The same sums and elementwise products in another order; scalar factors at other places."""
    done: dict[Expr, Expr] = {}
    for node in postorder([e]):
        args = [done[a] for a in node.args]
        if node.op in (ADD, HADAMARD):
            rng.shuffle(args)
        elif node.op is PRODUCT:
            scalars = [a for a in args if a.is_scalar]
            rng.shuffle(scalars)
            args = scalars if len(scalars) == len(args) else [*scalars, *(a for a in args if not a.is_scalar)]
        done[node] = rebuild(node, tuple(args))
    return done[e]


@seeds
def test_gradients_agree_with_differences(seed):
    f = drawn(seed)
    report = check_gradient(f, gradient(f, variables([f])), trials=1, seed=seed, compiled=False)
    if report.verdict == INCONCLUSIVE:
        pytest.skip("; ".join(note for test in report.tests for note in test.notes))
    assert report.passed, f"{text(f)}\n{declarations(f)}\n{report}"


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT // 3))
def test_second_derivatives_agree_with_differences(seed):
    f = scalar(seed, depth=3)
    x = variables([f])[0]
    g = simplify(gradient(f, [x])[x])
    along = inner(var("v", x.shape), g)
    report = check_gradient(along, gradient(along, [x]), trials=1, seed=seed, compiled=False)
    if report.verdict == INCONCLUSIVE:
        pytest.skip("; ".join(note for test in report.tests for note in test.notes))
    assert report.passed, f"{text(along)}\n{declarations(along)}\n{report}"


@seeds
def test_simplification_keeps_the_value(seed):
    f = drawn(seed)
    before = [f, *gradient(f, variables([f])).values()]
    after = simplify_all(before)
    drawn_values = value_at(seed, [*before, *after])
    if drawn_values is None:
        pytest.skip("no point was found at which all is defined")
    _, values = drawn_values
    for a, b, truth, found in zip(before, after, values, values[len(before) :], strict=False):
        assert b.shape == a.shape
        assert relative(found, truth) < CLOSE, f"{text(a)}\n{text(b)}\n{declarations(f)}"


@seeds
def test_simplification_is_idempotent(seed):
    f = drawn(seed)
    for e in (f, *gradient(f, variables([f])).values()):
        once = simplify(e)
        once.memo.pop("simplified", None)  # it may be known to be simple; it must also be found to be
        assert simplify(once) is once, f"{text(e)}\n{text(once)}\n{text(simplify(once))}\n{declarations(f)}"


@seeds
def test_simplification_does_not_depend_on_the_order_of_terms(seed):
    f = drawn(seed)
    for e in (f, *gradient(f, variables([f])).values()):
        other = shuffled(e, Random(seed))
        assert simplify(other) is simplify(e), f"{text(simplify(e))}\n{text(simplify(other))}\n{declarations(f)}"


@seeds
@pytest.mark.parametrize("spelling", ["keyboard", "unicode", "latex"])
def test_what_is_printed_parses_back(seed, spelling):
    f = drawn(seed)
    for e in (f, *simplify_all(list(gradient(f, variables([f])).values()))):
        written = latex(e) if spelling == "latex" else text(e, unicode=spelling == "unicode")
        back = parse(written, where=declarations(f)).expr
        assert back is e, f"{written}\n{text(back)}\n{declarations(f)}"


@seeds
def test_compiled_code_agrees_with_the_evaluator(seed):
    f = drawn(seed)
    roots = [f, *gradient(f, variables([f])).values()]
    drawn_values = value_at(seed, roots)
    if drawn_values is None:
        pytest.skip("no point was found at which all is defined")
    point, values = drawn_values
    compiled = compile_numpy(
        {f"y{k}": e for k, e in enumerate(roots)}, functions=for_numpy(roots, {}), subgradient=True
    )
    for e, found, truth in zip(roots, run_compiled(compiled, point), values, strict=True):
        found = numpy.asarray(found, dtype=float).reshape(truth.shape)
        assert relative(found, truth.astype(float)) < MOST_LOST * (1 + lost(e, point, truth)), (
            f"{text(e)}\n{declarations(f)}"
        )


def lost(e: Expr, point, truth) -> float:
    """By how much rounding of the input alone moves the value, in multiples of what is allowed of a good point."""
    with mpmath.workdps(60):
        moved = {v: a * (1 + mpmath.mpf(2) ** -45) for v, a in point.env.items()}
        (other,) = evaluate([e], moved, point.sizes)
        return relative(other, truth) / MOST_LOST


@seeds
def test_a_second_look_at_what_stands_finds_the_same(seed):
    x = variables([drawn(seed)])[0]
    for node in postorder([simplify(drawn(seed)), gradient(drawn(seed), [x], tidy=simplify)[x]]):
        if "stands" in node.memo:
            effort.begun()
            assert applied(node.op, node.args) is node
