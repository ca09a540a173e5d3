"""Convolution and correlation in two dimensions, and the crops and pads that their adjoints need."""

from __future__ import annotations

from typing import Any, ClassVar, final

from matcalc.dims import Dim, Shape
from matcalc.expr import DimMismatch, Expr
from matcalc.facts import NONNEGATIVE, POSITIVE, Facts, facts
from matcalc.primitives.algebra import product
from matcalc.primitives.base import Args, Linear, Multilinear, Option, Same, Shaped, Sizes, m, n, p, q
from matcalc.primitives.leaves import const, identity, size
from matcalc.primitives.loops import indexed_sum
from matcalc.primitives.matrix import fresh_index
from matcalc.primitives.products import kron
from matcalc.primitives.structure import ALL, AT, reshape, sliced, unit

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

    def matrix(self, i: int, y: Expr, x: Args) -> Expr:
        kernel, image = x
        if i == 1:
            return convmtx(kernel, image.shape, self.mode)
        # Of the full result the operands can be exchanged; the other modes are parts of it.
        full = convmtx(image, kernel.shape, FULL)
        if self.mode == FULL:
            return full
        sizes = [k + n - 1 for k, n in zip(kernel.shape, image.shape, strict=True)]
        if self.mode == VALID:
            parts = zip(sizes, kernel.shape, image.shape, strict=True)
            inside = [sliced(identity(s), (k, n), ALL) for s, k, n in parts]
        else:
            inside = [crop(identity(s), (n, s)) for s, n in zip(sizes, image.shape, strict=True)]
        return kron(inside[1], inside[0]) @ full

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

    def matrix(self, i: int, y: Expr, x: Args) -> Expr:
        kernel, image = x  # corr(K, X) = conv(flip(K), X)
        if i == 1:
            return convmtx(flip(kernel), image.shape, self.mode)
        turned = flip(kernel)
        through = Conv(self.mode).matrix(0, y, (turned, image))
        return through if turned is kernel else through @ turned.op.matrix(0, turned, (kernel,))

    def value(self, sizes: Sizes, *x: Any) -> Any:
        return Conv(self.mode).value(sizes, x[0][::-1, ::-1], x[1])


@final
class ConvMatrix(Linear):
    """Convolution as a matrix: ``vec(conv(K, X)) = convmtx(K, m, n)*vec(X)``, a block Toeplitz matrix.

    Rule     d convmtx(K, m, n) = convmtx(dK, m, n)
    Shapes   K in R^{p x q} -> R^{(m+p-1)*(n+q-1) x m*n}, by mode
    Source   GBC16 9.1
    """

    name = "convmtx"
    fields = ("rows", "cols", "mode")
    options = (Option("m", "dim", required=True), Option("n", "dim", required=True), _MODE)
    takes = {"K": (p, q)}
    code = "{rt}.convmtx({K}, {rows}, {cols}, {mode})"
    source = "GBC16 9.1"
    rows: Dim
    cols: Dim
    mode: str

    def infer(self, shapes: tuple[Shape, ...], same: Same) -> Shape:
        rows, cols = Conv(self.mode).infer((shapes[0], (self.rows, self.cols)), same)
        return (rows * cols, self.rows * self.cols)

    def adjoint(self, i: int, g: Expr, y: Expr, x: Args) -> Expr:
        j, image = self._unit_image(g, x[0])
        out = Conv(self.mode)(x[0], image)
        column = reshape(sliced(g, ALL, AT, j), out.shape)
        return indexed_sum(out.op.adjoint(0, column, out, (x[0], image)), j, const(1), size(y.cols))

    def matrix(self, i: int, y: Expr, x: Args) -> Expr:
        j, image = self._unit_image(x[0])
        column = Conv(self.mode).matrix(0, Conv(self.mode)(x[0], image), (x[0], image))
        return indexed_sum(kron(unit(j, y.cols), column), j, const(1), size(y.cols))

    def _unit_image(self, *near: Expr) -> tuple[Expr, Expr]:
        """The j-th unit image; the matrix has its convolution with the kernel in column j."""
        j = fresh_index(*near)
        return j, reshape(unit(j, self.rows * self.cols), (self.rows, self.cols))

    def trace_rule(self, i: int) -> str:
        return "trace-convolution"

    def facts(self, x: Args) -> Facts:
        return facts(x[0]) & {NONNEGATIVE}

    def value(self, sizes: Sizes, *x: Any) -> Any:
        import numpy

        rows, cols = self.rows.evaluate(sizes), self.cols.evaluate(sizes)
        columns = []
        for j in range(rows * cols):
            image = numpy.zeros(rows * cols, dtype=int).astype(object)
            image[j] = 1
            out = Conv(self.mode).value(sizes, x[0], image.reshape((rows, cols), order="F"))
            columns.append(out.reshape(-1, 1, order="F"))
        return numpy.concatenate(columns, axis=1)


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

    def matrix(self, i: int, y: Expr, x: Args) -> Expr:
        # vec is read from its end: entry n + 1 - j for entry j.
        order = y.rows * y.cols
        j = fresh_index()
        turned = product(unit(size(order) + 1 - j, order), unit(j, order).T)
        return indexed_sum(turned, j, const(1), size(order))

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

    def matrix(self, i: int, y: Expr, x: Args) -> Expr:
        sizes = zip(y.shape, x[0].shape, strict=True)
        rows, cols = (identity(n) if k is n else type(self)((k, n))(identity(n)) for k, n in sizes)
        return kron(cols, rows)

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


def convmtx(kernel: Expr, image: Shape, mode: str) -> Expr:
    """The matrix of the convolution with ``kernel`` of images of that shape."""
    return ConvMatrix(*image, mode).construct((kernel,))


def flip(a: Expr) -> Expr:
    return a if a.is_scalar else Flip().construct((a,))


def crop(a: Expr, shape: tuple[Dim, Dim]) -> Expr:
    return a if a.shape == shape else Crop(shape).construct((a,))


def pad(a: Expr, shape: tuple[Dim, Dim]) -> Expr:
    return a if a.shape == shape else Pad(shape).construct((a,))


__all__ = ["Conv", "ConvMatrix", "Corr", "Crop", "Flip", "Pad", "convmtx", "crop", "flip", "pad"]
