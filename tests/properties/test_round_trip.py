"""Blocks with named parts parse back to the expressions that they were printed from."""

import pytest

from matcalc.calculus.gradient import gradient
from matcalc.expr import postorder, variables
from matcalc.primitives.loops import free_indices
from matcalc.printing.document import document, latex_document
from matcalc.printing.parts import name_parts
from matcalc.syntax import parse
from tests.properties.generate import declarations, scalar

SIZES = "; dm in R^m; dn in R^n; dp in R^p"  # so that every name of a dimension is known as one
seeds = pytest.mark.parametrize("seed", range(60))


def results(seed: int):
    f = scalar(f"block {seed}", depth=3 + seed % 3)
    return f, [f, *gradient(f, variables([f])).values()]


@seeds
def test_blocks_parse_back(seed):
    f, found = results(seed)
    where = declarations(f) + SIZES
    for e in found:
        for written in (document({"": e}), document({"": e}, unicode=True), latex_document({"": e})):
            assert parse(written, where).expr is e, f"{written}\n{where}"


@seeds
def test_several_results_share_their_parts(seed):
    f, found = results(seed)
    where = declarations(f) + SIZES
    together = {f"d_{k}": e for k, e in enumerate(found)}
    for written in (document(together), document(together, unicode=True), latex_document(together)):
        assert parse(written, where).expr is found[-1], f"{written}\n{where}"


@seeds
def test_names_go_to_parts_in_the_order_of_computation(seed):
    _, found = results(seed)
    named = name_parts(found)
    assert len(set(named.values())) == len(named)
    before = set()
    for node in named:
        assert not free_indices(node)
        assert all(a not in named or a in before for a in postorder(node.args))
        before.add(node)
