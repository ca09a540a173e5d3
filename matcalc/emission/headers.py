"""What the comment of a source says of arguments and results; lists and helper functions in its text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from matcalc.dims import Dim, dim, shape_text
from matcalc.errors import ArgumentError
from matcalc.expr import Expr
from matcalc.lowering.maps import Derivative
from matcalc.lowering.plan import ArrayShape, Value
from matcalc.lowering.walk import array_shape

if TYPE_CHECKING:
    from matcalc.lowering.planned import Planned


def require_plain(planned: Planned, language: str) -> None:
    """That the function is one of single items, in one stage: what the languages have no word for.

    Raises   ArgumentError
    """
    if planned.batch:
        raise ArgumentError(
            f"a function in {language} takes one item, not a batch",
            hint="call it for each item, or take the format python, torch or jax",
        )
    if planned.closures:
        raise ArgumentError(
            f"a function in {language} does not give functions",
            hint="take the product itself, or the format python, torch or jax",
        )


class Parameter(NamedTuple):
    """An argument: the name that the user gives, its identifier, its shape."""

    shown: str
    code: str
    shape: ArrayShape


def described(shape: ArrayShape, vector: str = "a vector") -> str:
    """What an argument is."""
    if not shape:
        return "a number"
    if len(shape) == 1:
        return f"{vector} of {shape[0]} entries"
    return f"{'a matrix' if len(shape) == 2 else 'an array'}, {' x '.join(str(d) for d in shape)}"


def described_parameter(a: Parameter, vector: str = "a vector") -> str:
    """A line about an argument."""
    return f"{a.code:<8} {described(a.shape, vector)}" + (f"  ({a.shown})" if a.shown != a.code else "")


def described_result(e: Expr, v: Value, vector: str = "a vector") -> str:
    if v.shape != array_shape(e) and v.shape:
        return f"{described(v.shape, vector)}: {v.shape[0]} slices, each in {shape_text(e.shape)}"
    if e.is_scalar:
        return "a number"
    return f"{'a row' if e.is_row else described(v.shape, vector)}, in {shape_text(e.shape)}"


def functions_described(functions: Mapping[tuple[str, int | Derivative], str]) -> list[str]:
    out = []
    for (name, order), code in functions.items():
        if isinstance(order, Derivative):
            out.append(f"{code:<8} the function {order.head}, with values in {order.shape}")
        else:
            shown = name + "'" * order
            out.append(f"{code:<8} the function {shown}" + (", of a number" if order == 0 else ", a derivative"))
    return out


def dimensions(shapes: Iterable[ArrayShape]) -> list[Dim]:
    """The names in shapes, in order of occurrence."""
    names = dict.fromkeys(name for shape in shapes for d in shape for monomial, _ in d.terms for name in monomial)
    return [dim(name) for name in names]


def plain(lines: Sequence[str]) -> list[str]:
    """Text of the user without what is no character of a line."""
    return ["".join(c if c.isprintable() else "?" for c in line).rstrip() for line in lines]


def helper_texts(helpers: Mapping[str, tuple[tuple[str, ...], str]], names: Iterable[str]) -> list[str]:
    """The definitions of these and of what they need, each before its users."""
    found: dict[str, str] = {}
    stack = sorted(names, reverse=True)
    while stack:
        name = stack[-1]
        missing = [n for n in helpers[name][0] if n not in found]
        if name in found or not missing:
            stack.pop()
            found[name] = helpers[name][1]
        else:
            stack += missing
    return list(found.values())


def listed(opening: str, items: Sequence[str], closing: str, width: int, more: str = "") -> list[str]:
    """A list in brackets, on several lines where one would be long; ``more`` is the mark of a line that goes on."""
    lines, line = [], opening
    for k, item in enumerate(items):
        text = item + ("," if k < len(items) - 1 else closing)
        if len(line) + len(text) + 1 > width and line.strip():
            lines.append(line.rstrip() + more)
            line = " " * len(opening)
        line += text + (" " if k < len(items) - 1 else "")
    return [*lines, line.rstrip() if items else line + closing]


def folded(lines: Iterable[str], width: int, more: str = "") -> list[str]:
    """Statements, long ones broken after commas in brackets; ``more`` is the mark of a line that goes on."""
    out = []
    for line in lines:
        indent, depth = " " * (len(line) - len(line.lstrip()) + 4), 0
        while len(line) > width and not any(word in line for word in ("error(", "throw(", "assert(")):  # with text
            at, inside = _break(line, width - len(more), depth)
            if at <= len(indent):
                break
            out.append(line[:at] + more)
            line, depth = indent + line[at:].lstrip(), inside
        out.append(line)
    return out


def _break(line: str, width: int, depth: int) -> tuple[int, int]:
    """Where a line is broken: as far out in its brackets as there is a comma, but not in its first half if that can be;
    and the number of brackets that are open there. ``depth`` is that at its begin.
    """
    found = []
    for k, c in enumerate(line[:width], 1):
        depth += (c in "([{") - (c in ")]}")
        if c == "," and depth > 0:
            found.append((k <= width // 2, depth, -k))
    _, inside, at = min(found, default=(False, 0, 0))
    return -at, inside


__all__ = [
    "Parameter", "described", "described_parameter", "described_result", "dimensions", "folded",
    "functions_described", "helper_texts", "listed", "plain", "require_plain",
]  # fmt: skip
