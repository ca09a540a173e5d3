"""What a generated function of Python says of itself."""

from __future__ import annotations

from matcalc.dims import shape_text
from matcalc.expr import Expr
from matcalc.lowering.plan import ArrayShape, Value
from matcalc.lowering.staged import Closure
from matcalc.lowering.walk import array_shape


def quoted(text: str) -> str:
    """Text that stays what it is within a docstring or a comment, whatever the user has put into it."""
    plain = text
    if not text.isprintable():
        plain = "".join([c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text])
    return plain.replace("\\", "\\\\").replace('"', "'")


def described(shape: ArrayShape) -> str:
    """What an argument or a result is."""
    if not shape:
        return "a number"
    sizes = ", ".join(map(str, shape))
    return f"shape ({sizes},)" if len(shape) == 1 else f"shape ({sizes})"


def described_closure(c: Closure) -> str:
    taken = "; ".join(f"{shown}, {described(shape)}" for shown, shape in c.arguments)
    return f"{c.title} for {taken}" if taken else c.title


def described_result(e: Expr, v: Value, batch: bool = False) -> str:
    """What a result is, in NumPy's words and in the language's."""
    if batch:
        return f"{described(v.shape)}, for each item in {shape_text(e.shape)}"
    if v.shape != array_shape(e) and v.shape:
        return f"{described(v.shape)}, a stack of {v.shape[0]}, each in {shape_text(e.shape)}"
    if e.is_scalar:
        return "a number"
    return described((e.rows,) if e.is_column else e.shape) + f", in {shape_text(e.shape)}"


__all__ = ["described", "described_closure", "described_result", "quoted"]
