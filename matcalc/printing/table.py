"""The table of rules, as the primitives state them in their docstrings, the trace rules and the vec rules."""

from __future__ import annotations

from matcalc.calculus.rules import TRACE_RULES, VEC_RULES
from matcalc.primitives.elementwise import FUNCTIONS
from matcalc.primitives.leaves import var
from matcalc.primitives.registry import PRIMITIVES
from matcalc.printing.text import text

_WIDE = 100  # characters of an equation; longer ones push what stands behind them


def stated(kind: type, heading: str) -> str:
    """What the docstring of a primitive says under a heading (one line)."""
    for line in (kind.__doc__ or "").splitlines():
        word, _, rest = line.strip().partition("  ")
        if word == heading:
            return rest.strip()
    return ""


def rules_table() -> str:
    """Differentials of the primitives and of the elementwise functions, the trace and the vec rules, one a line."""
    t = var("t")
    out = ["Differentials"]
    rules = [(stated(kind, "Rule"), kind.source) for kind in PRIMITIVES]
    rules = [(rule, source) for rule, source in rules if rule]
    width = max(len(rule) for rule, _ in rules)
    out += [f"  {rule:<{width}}  {source}".rstrip() for rule, source in rules]
    out += ["", "Slopes of the elementwise functions"]
    for name, function in sorted(FUNCTIONS.items()):
        slope = function.slope(0, function(t), t)
        remark = f"   ({function.kink})" if function.kink else ""
        out.append(f"  {name + chr(39) + '(t)':<13} = {text(slope)}{remark}")
    for title, identities in (("Trace rules", TRACE_RULES), ("Vec rules", VEC_RULES)):
        out += ["", title]
        equations = [(rule, f"{rule.left} = {rule.right}") for rule in identities.values()]
        width = max(len(equation) for _, equation in equations if len(equation) < _WIDE)
        out += [f"  {rule.name:<18} {equation:<{width}}  {rule.where}" for rule, equation in equations]
    return "\n".join(out)
