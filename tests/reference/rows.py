"""The reference table: published results with their sources, ours beside them, and what both cost a reader.

The table is table.toml together with the golden problems, which have sources too.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

import matcalc.simplify
from matcalc.expr import Expr
from matcalc.simplify.cost import cost
from tests.golden.test_matrices import Found, derive, forms, published

HERE = Path(__file__).parent
GOLDEN = {"problems": "gradient", "jacobians": "jacobian", "hessians": "hessian"}  # the kind where a row names none
Row = dict[str, Any]


def read(path: Path) -> dict[str, Row]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


TABLE: dict[str, Row] = read(HERE / "table.toml")
OTHERS: dict[str, Row] = {
    f"{file}/{name}": {"kind": kind} | row
    for file, kind in GOLDEN.items()
    for name, row in read(HERE.parent / "golden" / f"{file}.toml").items()
}
ALL = TABLE | OTHERS


def sides(row: Row, found: Found) -> list[tuple[Expr, Expr]]:
    """Our form and the published one, for each block."""
    ours = forms(found)
    theirs = {"": found.of.claim(row["published"])} if row["kind"] == "gradient" else published(row, found)
    if len(ours) == len(theirs) == 1:
        return [(*ours.values(), *theirs.values())]  # type: ignore[list-item]
    assert set(ours) == set(theirs)
    return [(e, theirs[label]) for label, e in ours.items()]


def printed(row: Row, found: Found) -> Expr:
    """What the source prints by mistake."""
    ((_, wrong),) = sides(row | {"published": row["printed"]}, found)
    return wrong


class Measure(NamedTuple):
    """A row, the costs of both forms, and the time that ours took.

    Units    costs as in :mod:`matcalc.simplify.cost`; seconds of the processor
    """

    name: str
    ours: int
    theirs: int
    total: float  # from the text to the closed form
    simplifying: float

    @property
    def longer(self) -> int:
        return self.ours - self.theirs


def measure(name: str, row: Row) -> Measure:
    plain, spent = matcalc.simplify.simplify_all, [0.0]

    def timed(exprs: Any) -> list[Expr]:
        start = process_time()
        try:
            return plain(exprs)
        finally:
            spent[0] += process_time() - start

    matcalc.simplify.simplify_all = timed
    try:
        start = process_time()
        found = derive(row)
        forms(found)
        total = process_time() - start
    finally:
        matcalc.simplify.simplify_all = plain
    pairs = sides(row, found)
    ours, theirs = sum(cost(a) for a, _ in pairs), sum(cost(b) for _, b in pairs)
    return Measure(name, ours, theirs, total, spent[0])


__all__ = ["ALL", "OTHERS", "TABLE", "Measure", "Row", "measure", "printed", "sides"]
