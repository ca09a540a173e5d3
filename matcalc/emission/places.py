"""Where the pieces of an assembled array go (lowering/assembling.py), by index arithmetic.

A piece goes into a view of the array: the entry of the piece at i, j, ... is the entry of the array at
``offset + stride*i + stride*j + ...``, counted from 0 through all entries in the order in which they lie.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matcalc.dims import ONE, Dim, dim
from matcalc.lowering.assembling import Piece
from matcalc.lowering.plan import ArrayShape


class Place(NamedTuple):
    """A view: its offset, the size and the stride of each of its axes, and what is held fixed."""

    offset: Dim
    sizes: ArrayShape
    strides: tuple[Dim, ...]
    fixed: tuple[tuple[Dim, Dim, int], ...] = ()  # stride and size of an axis, place of the position among arguments


def row_major(shape: Sequence[Dim]) -> list[Dim]:
    """The strides of an array that lies row by row, the last axis together."""
    out, step = [], ONE
    for d in reversed(shape):
        out.append(step)
        step = step * d
    return out[::-1]


def column_major(shape: Sequence[Dim]) -> list[Dim]:
    """The strides of an array that lies column by column, the first axis together."""
    return row_major(shape[::-1])[::-1]


def place_of(piece: Piece, shape: ArrayShape, strides: Sequence[Dim]) -> Place:
    """The view of an array of that shape and those strides into which the piece goes; its axes in the order in which
    the operands have them."""
    offset = dim(0)
    starts = _starts(piece.ranges, len(shape))
    for start, stride in zip(starts, strides, strict=True):
        offset = offset + start * stride
    outer = _divided(piece.sizes, piece.block, strides)
    for window, stride in zip(piece.windows, outer, strict=True):
        if window is not None:
            offset = offset + window[0] * stride
    volumes = [
        size if window is None else window[1] - window[0]
        for window, size in zip(piece.windows, piece.sizes, strict=True)
    ]
    inner = _divided(piece.inner, volumes, outer)
    total: dict[int, Dim] = {}
    sizes: dict[int, Dim] = {}
    fixed: list[tuple[Dim, Dim, int]] = []
    positions = list(piece.fixed)
    for axis, size, stride in zip(piece.axes, piece.inner, inner, strict=True):
        if axis is None:
            fixed.append((stride, size, positions.pop(0)))
        else:
            total[axis] = total.get(axis, dim(0)) + stride
            sizes[axis] = size
    order = list(piece.turned) or sorted(total)
    return Place(offset, tuple([sizes[a] for a in order]), tuple([total[a] for a in order]), tuple(fixed))


def source_of(piece: Piece, shape: ArrayShape, strides: Sequence[Dim]) -> Place:
    """The view whose transpose a mirrored piece is; its axes in the order of the piece."""
    offset = dim(0)
    for start, stride in zip(_starts(piece.source, len(shape)), strides, strict=True):
        offset = offset + start * stride
    turned = [*strides[:-2], strides[-1], strides[-2]] if len(piece.block) > 1 else list(strides)
    return Place(offset, piece.block, tuple(turned))


def _starts(ranges: Sequence[tuple[Dim, Dim] | None], rank: int) -> list[Dim]:
    return [r[0] if r is not None else dim(0) for r in ranges] or [dim(0)] * rank


def _divided(parts: Sequence[Dim], wholes: Sequence[Dim], strides: Sequence[Dim]) -> list[Dim]:
    """The strides of axes into which others, of sizes ``wholes``, are divided, read by rows."""
    out: list[Dim] = []
    rest = list(parts)
    for whole, stride in zip(wholes, strides, strict=True):
        group: list[Dim] = []
        volume = ONE
        while volume is not whole or (rest and rest[0] is ONE):
            if not rest:
                raise ValueError(f"the axes {parts} do not divide {wholes}")
            group.append(rest.pop(0))
            volume = volume * group[-1]
        out += [stride * step for step in row_major(group)]
    return out


__all__ = ["Place", "column_major", "place_of", "row_major", "source_of"]
