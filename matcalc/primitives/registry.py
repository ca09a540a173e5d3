"""The functions of the language by name: what the parser may call, what tests loop over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from matcalc.dims import Shape
from matcalc.primitives import (
    algebra,
    convolution,
    elementwise,
    leaves,
    loops,
    maps,
    matrix,
    products,
    reductions,
    softmax,
    structure,
)
from matcalc.primitives.base import Option, Primitive, Zeros
from matcalc.primitives.functions import Elementwise


class Call(NamedTuple):
    """How a function of the language is called, and which primitive a call means."""

    name: str
    slots: tuple[str, ...]  # names of the arguments; for a variadic function those of none
    variadic: bool
    options: tuple[Option, ...]  # further arguments that are not expressions, after the slots
    candidates: tuple[type[Primitive], ...]

    def select(self, shapes: Sequence[Shape], options: tuple[Any, ...] = ()) -> Primitive:
        """The primitive for arguments of these shapes; ``options`` in order, defaults filled in."""
        if self.name in elementwise.FUNCTIONS:
            return Elementwise(elementwise.FUNCTIONS[self.name], 0)
        given = (*options, *(o.default for o in self.options[len(options) :]))
        chosen = next((c for c in self.candidates if c.accepts(shapes)), self.candidates[0])
        return chosen.from_call(shapes, given)


PRIMITIVES: tuple[type[Primitive], ...] = (
    Zeros,
    leaves.Pi, leaves.Identity, leaves.Ones, leaves.Commutation,
    algebra.Add, algebra.Product, algebra.Hadamard, algebra.Power, algebra.Transpose,
    products.Kron, products.KhatriRao, products.Inner,
    Elementwise, maps.Mapped,
    reductions.Sum, reductions.Mean, reductions.Max, reductions.ArgMax, reductions.Trace,
    reductions.Norm2, reductions.Norm1, softmax.Softmax, softmax.LogSumExp, softmax.LogSoftmax,
    structure.Diagonal, structure.DiagonalPart, structure.Vec, structure.Reshape, structure.HCat, structure.VCat,
    structure.Slice, structure.Unit,
    matrix.Inv, matrix.Det, matrix.LogDet, matrix.Adj, matrix.Pinv, matrix.MatrixPower, matrix.Expm, matrix.ExpmFrechet,
    convolution.Conv, convolution.Corr, convolution.ConvMatrix, convolution.Flip, convolution.Crop, convolution.Pad,
    loops.IndexedSum,
)  # fmt: skip


def _calls() -> dict[str, Call]:
    calls = {name: Call(name, ("x",), False, (), (Elementwise,)) for name in elementwise.FUNCTIONS}
    for kind in PRIMITIVES:
        if not kind.name:
            continue
        if kind.name in calls:
            calls[kind.name] = calls[kind.name]._replace(candidates=(*calls[kind.name].candidates, kind))
        else:
            calls[kind.name] = Call(kind.name, tuple(kind.takes), kind.variadic, kind.options, (kind,))
    return calls


CALLS: dict[str, Call] = _calls()
