"""Convolution and correlation in two dimensions, and the crops and pads that their adjoints need."""

from __future__ import annotations

from typing import Any, ClassVar, final

from matcalc.dims import Dim, Shape
from matcalc.expr import DimMismatch, Expr
from matcalc.facts import NONNEGATIVE, POSITIVE, Facts, facts
from matcalc.primitives.base import Args, Linear, Multilinear, Option, Same, Shaped, Sizes, m, n, p, q

FULL, SAME, VALID = "full", "same", "valid"
_MODE = Option("mode", "mode", FULL, choices=(VALID, SAME, FULL))


class _Filter(Multilinear):
    """A kernel K drawn over an image X. Sizes: 'full' X + K - 1, 'same' X, 'valid' X - K + 1 (X at least as large)."""

    fields: ClassVar[tuple[str, ...]] = ("mode",)
    options: ClassVar[tuple[Option, ...]] = (_MODE,)
    takes = {"K": (p, q), "X": (m, n)}
    mode: str

    def infer(self, shapes: tuple[Shape, ...], same: Same) -> Shape:
        kernel, image = shapes
        if self.mode == SAME:
            return image
        if self.mode == VALID:
            for k, x in zip(kernel, image, strict=True):
                room = (x - k).value
                if room is not None and room < 0:
                    raise DimMismatch(k, x)
        sizes = (x + k - 1 if self.mode == FULL else x - k + 1 for k, x in zip(kernel, image, strict=True))
        rows, cols = sizes
        return (rows, cols)

    def trace_rule(self, i: int) -> str:
        return "trace-convolution"

    def facts(self, x: Args) -> Facts:
        return facts(x[0]) & facts(x[1]) & ({POSITIVE, NONNEGATIVE} if self.mode != SAME else {NONNEGATIVE})

    def uncropped(self, g: Expr, x: Args) -> Expr:
        """The cotangent of the full result, of which 'same' is the central part."""
        kernel, image = x
        return pad(g, (kernel.rows + image.rows - 1, kernel.cols + image.cols - 1)) if self.mode == SAME else g


@final
class Conv(_Filter):
    """Convolution: the kernel is flipped.

    Rule     d conv(K, X) = conv(dK, X) + conv(K, dX)
    Shapes   K in R^{p x q}, X in R^{m x n} -> R^{(m+p-1) x (n+q-1)}, by mode
    Source   GBC16 9.1
    """

    name = "conv"
    code = "{rt}.conv({K}, {X}, {mode})"
    source = "GBC16 9.1"

    def adjoint(self, i: int, g: Expr, y: Expr, x: Args) -> Expr:
        kernel, image = x
        if self.mode == VALID:
            return flip(Corr(VALID)(g, image)) if i == 0 else Corr(FULL)(kernel, g)
        return Corr(VALID)(x[1 - i], self.uncropped(g, x))

    def value(self, sizes: Sizes, *x: Any) -> Any:
        kernel, image = x
        (a, b), (rows, cols) = kernel.shape, image.shape
        if self.mode == VALID and (a > rows or b > cols):
            raise ValueError("'valid' needs an image at least as large as the kernel")
        out = image[:1, :1].repeat(rows + a - 1, 0).repeat(cols + b - 1, 1) * 0
        for i in range(a):
            for j in range(b):
                out[i : i + rows, j : j + cols] += kernel[i, j] * image
        if self.mode == SAME:
            return out[(a - 1) // 2 :, (b - 1) // 2 :][:rows, :cols]
        return out if self.mode == FULL else out[a - 1 : rows, b - 1 : cols]


@final
class Corr(_Filter):
    """Correlation, as in deep-learning libraries: the kernel is not flipped.

    Rule     d corr(K, X) = corr(dK, X) + corr(K, dX)
    Shapes   K in R^{p x q}, X in R^{m x n} -> R^{(m+p-1) x (n+q-1)}, by mode
    Source   GBC16 9.1
    """

    name = "corr"
    code = "{rt}.corr({K}, {X}, {mode})"
    source = "GBC16 9.1"

    def adjoint(self, i: int, g: Expr, y: Expr, x: Args) -> Expr:
        kernel, image = x
        if self.mode == VALID:
            return Corr(VALID)(g, image) if i == 0 else Conv(FULL)(kernel, g)
        full = self.uncropped(g, x)
        return flip(Corr(VALID)(image, full)) if i == 0 else Conv(VALID)(kernel, full)

    def value(self, sizes: Sizes, *x: Any) -> Any:
        return Conv(self.mode).value(sizes, x[0][::-1, ::-1], x[1])


@final
class Flip(Linear):
    """Both axes reversed.

    Rule     d flip(A) = flip(dA)
    Shapes   A in R^{m x n} -> R^{m x n}
    """

    name = "flip"
    takes = {"A": (m, n)}
    gives = (m, n)

    def adjoint(self, i: int, g: Expr, y: Expr, x: Args) -> Expr:
        return flip(g)

    def trace_rule(self, i: int) -> str:
        return "trace-flip"

    def facts(self, x: Args) -> Facts:
        return facts(x[0]) & {POSITIVE, NONNEGATIVE}

    def value(self, sizes: Sizes, *x: Any) -> Any:
        return x[0][::-1, ::-1]


class _Central(Shaped, Linear):
    """Between a matrix and its central part; of an odd surplus the smaller half comes first, as in SciPy."""

    takes = {"A": (m, n)}

    def infer(self, shapes: tuple[Shape, ...], same: Same) -> Shape:
        return self.shape

    def trace_rule(self, i: int) -> str:
        return "trace-pad"


@final
class Crop(_Central):
    """The central part of given size.

    Rule     d crop(A, p, q) = crop(dA, p, q)
    Shapes   A in R^{m x n} -> R^{p x q}
    """

    name = "crop"
    code = "{rt}.crop({A}, {shape})"

    def adjoint(self, i: int, g: Expr, y: Expr, x: Args) -> Expr:
        return pad(g, x[0].shape)

    def facts(self, x: Args) -> Facts:
        return facts(x[0]) & {POSITIVE, NONNEGATIVE}

    def value(self, sizes: Sizes, *x: Any) -> Any:
        rows, cols = self.size(sizes)
        top, left = (x[0].shape[0] - rows) // 2, (x[0].shape[1] - cols) // 2
        return x[0][top : top + rows, left : left + cols]


@final
class Pad(_Central):
    """The matrix among zeros, as the central part of one of given size.

    Rule     d pad(A, p, q) = pad(dA, p, q)
    Shapes   A in R^{m x n} -> R^{p x q}
    """

    name = "pad"
    code = "{rt}.pad({A}, {shape})"

    def adjoint(self, i: int, g: Expr, y: Expr, x: Args) -> Expr:
        return crop(g, x[0].shape)

    def facts(self, x: Args) -> Facts:
        return facts(x[0]) & {NONNEGATIVE}

    def value(self, sizes: Sizes, *x: Any) -> Any:
        import numpy

        rows, cols = self.size(sizes)
        out = numpy.zeros((rows, cols), dtype=int).astype(object)
        top, left = (rows - x[0].shape[0]) // 2, (cols - x[0].shape[1]) // 2
        out[top : top + x[0].shape[0], left : left + x[0].shape[1]] = x[0]
        return out


def flip(a: Expr) -> Expr:
    return a if a.is_scalar else Flip().construct((a,))


def crop(a: Expr, shape: tuple[Dim, Dim]) -> Expr:
    return a if a.shape == shape else Crop(shape).construct((a,))


def pad(a: Expr, shape: tuple[Dim, Dim]) -> Expr:
    return a if a.shape == shape else Pad(shape).construct((a,))


__all__ = ["Conv", "Corr", "Crop", "Flip", "Pad", "crop", "flip", "pad"]
