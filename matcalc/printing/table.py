"""The table of rules: every function and operator of the language with its differential and its source."""

from __future__ import annotations

from matcalc.primitives.elementwise import FUNCTIONS
from matcalc.primitives.functions import Elementwise
from matcalc.primitives.leaves import var
from matcalc.primitives.registry import PRIMITIVES
from matcalc.printing.text import text
from matcalc.references import REFERENCES


def docstring_line(kind: type, label: str) -> str:
    """What a primitive's docstring says under ``label``, such as ``Rule``; empty where it says nothing."""
    for line in (kind.__doc__ or "").splitlines():
        head, _, rest = line.strip().partition(" ")
        if head == label:
            return rest.strip()
    return ""


def rules_table() -> str:
    """The table as text, with the books at its end."""
    x = var("x")
    rows: list[tuple[str, str, str]] = []
    used: list[str] = []
    for kind in PRIMITIVES:
        rule = docstring_line(kind, "Rule")
        if not rule:
            continue
        key, _, place = kind.source.partition(" ")
        rows.append((rule, docstring_line(kind, "Shapes"), f"{key} {place}".strip()))
        if key:
            used.append(key)
        if kind is Elementwise:
            for name, function in FUNCTIONS.items():
                rows.append((f"  {name}'(x) = {text(function.slope(0, function(x), x))}", function.domain, ""))
    widths = [max(len(row[i]) for row in rows) for i in (0, 1)]
    lines = [f"{rule:<{widths[0]}}  {shapes:<{widths[1]}}  {source}".rstrip() for rule, shapes, source in rows]
    lines += ["", *(f"{key:<9} {REFERENCES[key]}" for key in dict.fromkeys(used))]
    return "\n".join(lines)
