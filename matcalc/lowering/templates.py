"""The ``code`` of primitives with their slots numbered and their options filled in."""

from __future__ import annotations

from matcalc.primitives.base import Primitive

_numbered: dict[type[Primitive], str] = {}


def slots_numbered(kind: type[Primitive]) -> str:
    """The code of a primitive with ``{0}``, ``{1}`` for its arguments."""
    template = _numbered.get(kind)
    if template is None:
        template = kind.code
        for i, slot in enumerate(kind.takes):
            template = template.replace(f"{{{slot}}}", f"{{{i}}}")
        _numbered[kind] = template
    return template


def with_axis(kind: type[Primitive], axis: int | None) -> str:
    """The code of a reduction along an axis; None is over all entries, and is not written."""
    template = slots_numbered(kind)
    if axis is None:
        return template.replace(", {axis}", "").replace("{axis}", "")
    return template.replace("{axis}", str(axis))
