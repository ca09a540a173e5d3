"""How long matrices live: what nothing needs any more is freed before another matrix is made.

Of many results, such as the gradients of all weights of a deep net, those that need least are computed first and at
once: of a net the values of the forward pass are kept, and of the backward pass what is in use.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from matcalc.lowering.code import Code
from matcalc.lowering.plan import Value, reachable

if TYPE_CHECKING:
    from matcalc.lowering.numpy_source import Writer

MANY = 4  # more results than these are computed one after the other

_NAME = re.compile(r"[^\W\d]\w*")


def written(writer: Writer, values: Sequence[Value], results: int, indent: str = "    ") -> list[Code]:
    """Writes the values, of which the first ones are results; of many results each as soon as it can be."""
    if results <= MANY:
        return writer.write(values, indent)
    outer, writer.at_once = writer.at_once, frozenset([v for v in values[:results] if v.rank > 1])
    order = by_depth(values)
    codes = dict(zip(order, writer.write([values[k] for k in order], indent), strict=True))
    writer.at_once = outer
    return [codes[k] for k in range(len(values))]


def by_depth(values: Sequence[Value]) -> list[int]:
    """The places of values, those first that come of the shortest computation."""
    depth: dict[Value, int] = {}
    for v in reachable(values):
        depth[v] = 1 + max([depth[a] for a in v.args], default=0)
    return sorted(range(len(values)), key=lambda k: depth[values[k]])


def freed(
    lines: Sequence[str], names: Collection[str], returned: Sequence[str], indent: str = "    ", repeated: bool = False
) -> list[str]:
    """The statements, with ``del`` after the last use of each of these names that they assign and do not return, as
    long as others follow that make a matrix, if only as they are ``repeated``.
    """
    assigned = re.compile(rf"{indent}([^\W\d]\w*) = ")
    made = {found[1]: k for k, line in enumerate(lines) if (found := assigned.match(line))}
    names = made.keys() & names
    end = max([made[name] for name in names], default=0)
    if repeated or any("(" in line for line in returned):
        end = len(lines)
    last: dict[str, int] = {}
    for k, line in enumerate(lines):
        for name in _NAME.findall(line):
            if name in names:
                last[name] = k
    kept = {name for line in returned for name in _NAME.findall(line)}
    ends: dict[int, list[str]] = {}
    for name, k in last.items():
        if name not in kept and k < end and not lines[k].endswith(f" = {name}"):
            while k + 1 < len(lines) and lines[k + 1].startswith(f"{indent} "):  # within a loop
                k += 1
            ends.setdefault(k, []).append(name)
    out = []
    for k, line in enumerate(lines):
        out.append(line)
        if k in ends:
            out.append(f"{indent}del {', '.join(ends[k])}")
    return out


__all__ = ["MANY", "by_depth", "freed", "written"]
