"""Published results: the same value as the source's form, and no longer than it unless the row says why."""

from __future__ import annotations

import pytest

import matcalc
from matcalc.printing.text import text
from matcalc.simplify import simplify
from matcalc.simplify.cost import cost
from tests.golden.test_matrices import derive, difference, forms
from tests.reference.rows import ALL, OTHERS, TABLE, printed, sides

LEAST = 150  # published results that the table holds
EQUAL = 1e-25

every = pytest.mark.parametrize("name", TABLE)


def test_there_are_enough_rows() -> None:
    assert len(TABLE) >= LEAST


def test_no_row_is_there_twice() -> None:
    """Not in the table, and not in the golden problems either."""
    seen: dict[object, str] = {}
    twice = []
    for name, row in ALL.items():
        key = (matcalc.parse(row["text"], where=row["where"]).expr, row["kind"], row.get("wrt"))
        if key in seen and not {name, seen[key]} <= OTHERS.keys():
            twice.append(f"{name} is {seen[key]}")
        seen[key] = name
    assert not twice


@pytest.mark.parametrize("name", ALL)
def test_every_row_says_where_it_is_from(name: str) -> None:
    assert ALL[name]["source"]


@every
def test_published_form_has_the_same_value(name: str) -> None:
    for ours, theirs in sides(TABLE[name], derive(TABLE[name])):
        assert difference(ours, theirs) < EQUAL, f"{text(ours)}  against  {text(theirs)}"


@every
def test_no_longer_than_the_published_form(name: str) -> None:
    """A row that says why it is longer must be longer: reasons that no longer hold go."""
    row = TABLE[name]
    pairs = sides(row, derive(row))
    longer = [f"{text(a)}  against  {text(b)}" for a, b in pairs if cost(a) > cost(b)]
    assert bool(longer) == ("why" in row), longer


@every
def test_result_is_settled(name: str) -> None:
    for e in forms(derive(TABLE[name])).values():
        assert simplify(e) is e


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if "printed" in row])
def test_misprint_differs(name: str) -> None:
    row = TABLE[name]
    found = derive(row)
    wrong = printed(row, found)
    ((ours, _),) = sides(row, found)
    assert difference(ours, wrong) > 1e-6
