"""What is known of values, on random expressions: as many as ``MATCALC_RANDOM`` says, from ``MATCALC_SEED`` on.

Variables are declared in random ways; every node of the expression, and of its simplified form, must have what is said
of it, and both forms the same value.
"""

from __future__ import annotations

from random import Random

import mpmath
import pytest

from matcalc.expr import Expr, postorder, substitute, variables
from matcalc.facts import INSIDE, INTEGER, NONNEGATIVE, POSITIVE, WITHIN, facts, has
from matcalc.primitives.leaves import var
from matcalc.primitives.loops import free_indices
from matcalc.simplify import simplify
from tests.contract.test_facts import NUMBER, OTHER, SQUARE, holds
from tests.properties.generate import Generator
from tests.properties.test_random import CLOSE, relative, seeds, value_at

ROUNDED = {POSITIVE: NONNEGATIVE, INSIDE: WITHIN}  # tanh(200) is 1 in sixty digits


def declared(e: Expr, rng: Random) -> Expr:
    """The expression with its variables declared at random."""
    new = {}
    for v in variables([e]):
        if v.is_row or has(v, INTEGER):
            continue
        ways = NUMBER if v.is_scalar else SQUARE if v.rows is v.cols else OTHER
        new[v] = var(v.op.name, v.shape, *v.op.declared, *rng.choice(ways)) if not v.op.declared else v
    return substitute(e, new)


@seeds
def test_facts_of_all_parts_are_true(seed: int) -> None:
    generator, rng = Generator(seed), Random(seed)
    e = declared(generator.of(generator.shape(), 2 + seed % 3), rng)
    short = simplify(e)
    nodes = [a for a in postorder([e, short]) if not free_indices(a) and facts(a)]
    drawn = value_at(seed, [e, short, *nodes])
    if drawn is None:
        pytest.skip("there is no point at which it is defined")
    _, (left, right, *values) = drawn
    with mpmath.workdps(40):
        assert relative(left, right) < CLOSE, f"{e} is not {short}"
        for node, value in zip(nodes, values, strict=True):
            for fact in facts(node):
                assert holds(ROUNDED.get(fact, fact), value), f"{node} is not {fact}, in {e}: {value.astype(float)}"
