"""What a numerical check found, as data, as a table, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

PASSED, FAILED, INCONCLUSIVE = "passed", "failed", "inconclusive"


GRADIENT_HEADS = ("|f(x+ed)-f|", "|f(x+ed)-f-e<g,d>|")


class Row(NamedTuple):
    """One step of a Taylor test; orders are log2 of the quotient of the number before and this one."""

    step: float
    difference: float  # without the derivative, such as |f(x + step*d) - f(x)|
    difference_order: float | None
    remainder: float  # with it, such as |f(x + step*d) - f(x) - step*<g, d>|
    remainder_order: float | None


class Measure(NamedTuple):
    """One more number that a test found."""

    said: str
    error: float  # relative, in multiples of machine epsilon


class Outcome(NamedTuple):
    """The derivative by one variable, or by several together, at one point."""

    variable: str
    shape: str
    sizes: dict[str, int]
    rows: tuple[Row, ...]
    error: float | None  # of the entries against differences, relative, in multiples of machine epsilon
    compiled_error: float | None  # of the compiled NumPy code, likewise
    verdict: str
    notes: tuple[str, ...]
    heads: tuple[str, str] = GRADIENT_HEADS  # what the two columns of numbers are
    measures: tuple[Measure, ...] = ()


class Report:
    """The outcome of a check; printing it gives the table.

    ``passed`` is true only if every variable was tested and every test agreed.
    """

    def __init__(
        self, tests: Sequence[Outcome], seed: int, title: str = "gradient test", notes: Sequence[str] = ()
    ) -> None:
        self.tests = tuple(tests)
        self.seed = seed
        self.title = title
        self.notes = tuple(notes)
        verdicts = {t.verdict for t in tests}
        self.verdict = FAILED if FAILED in verdicts else PASSED if verdicts == {PASSED} else INCONCLUSIVE

    @property
    def passed(self) -> bool:
        return self.verdict == PASSED

    def as_dict(self) -> dict[str, Any]:
        """The report in numbers, strings and lists, for JSON."""
        return {
            "passed": self.passed,
            "verdict": self.verdict,
            "title": self.title,
            "seed": self.seed,
            "notes": list(self.notes),
            "tests": [_as_dict(t) for t in self.tests],
        }

    def __str__(self) -> str:
        lines = []
        for test in self.tests:
            sizes = ", ".join(f"{name} = {size}" for name, size in sorted(test.sizes.items()))
            at = f" at a random point ({sizes})" if sizes else " at a random point" if test.rows else ""
            by = f" by {test.variable}" if test.variable else ""
            shape = f" in {test.shape}" if test.shape else ""
            lines.append(f"{self.title}{by}{shape}{at}, seed {self.seed}")
            lines += _table(test.rows, test.heads)
            lines += _errors(test)
            lines += [f"  {note}" for note in test.notes]
            lines.append("")
        return "\n".join([*lines, *self.notes, self.verdict])

    def __repr__(self) -> str:
        return f"<Report {self.verdict}, {len(self.tests)} tests, seed {self.seed}>"


def _as_dict(test: Outcome) -> dict[str, Any]:
    return test._asdict() | {
        "rows": [r._asdict() for r in test.rows],
        "measures": [m._asdict() for m in test.measures],
        "notes": list(test.notes),
        "heads": list(test.heads),
    }


def _table(rows: Sequence[Row], heads: tuple[str, str]) -> list[str]:
    if not rows:
        return []
    head = ("step e", heads[0], "order", heads[1], "order")
    cells = [
        (
            f"{r.step:.2e}",
            _size(r.difference),
            _order(r.difference_order),
            _size(r.remainder),
            _order(r.remainder_order),
        )
        for r in rows
    ]
    widths = [max(8, len(h)) for h in head]
    lines = ("  ".join(f"{c:>{w}}" for c, w in zip(line, widths, strict=True)) for line in (head, *cells))
    return [f"  {line}".rstrip() for line in lines]


def _size(number: float) -> str:
    return f"{number:.3e}" if number else "0"


def _order(order: float | None) -> str:
    return "" if order is None else f"{order:.3f}"


def _errors(test: Outcome) -> list[str]:
    said = (
        (test.error, "every entry against central differences in high precision"),
        (test.compiled_error, "compiled NumPy code in float64"),
    )
    lines = [f"  {what}: largest relative error {_multiples(error)}" for error, what in said if error is not None]
    return lines + [f"  {m.said}: {_multiples(m.error)}" for m in test.measures]


def _multiples(error: float) -> str:
    return f"{error:.1f} eps" if 0.05 <= error < 1e6 else "below 0.1 eps" if error < 0.05 else f"{error:.1e} eps"


__all__ = ["FAILED", "GRADIENT_HEADS", "INCONCLUSIVE", "PASSED", "Measure", "Outcome", "Report", "Row"]
