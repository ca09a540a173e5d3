"""What generated code calls where NumPy has no word for it, or none that is accurate.

Everything keeps the precision of its argument; complex numbers are taken where the function is analytic.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from matcalc.errors import ArgumentError, LimitError
from matcalc.lowering.erf import erf
from matcalc.lowering.signature import Signature

Array = Any

_FLOAT = np.dtype(float)

# exp of more overflows; 1/(1 + exp) is 0 to all digits there.
_LARGEST = {"d": 709.0, "f": 88.0}


def sigmoid(t: Array) -> Array:
    """``1/(1 + exp(-t))``, to full relative accuracy and without overflow."""
    if isinstance(t, np.ndarray) and t.ndim:  # operators turn an array without axes into a number
        z = -t
        largest = _LARGEST.get(z.dtype.char)
        if largest is not None:  # real
            np.minimum(z, largest, out=z)
        np.exp(z, out=z)
        z += 1
        return np.reciprocal(z, out=z)
    if isinstance(t, complex | np.complexfloating):
        return 1 / (1 + np.exp(-t))
    return 1 / (1 + np.exp(-np.maximum(t, -_LARGEST["f" if isinstance(t, np.float32) else "d"])))


def softplus(t: Array) -> Array:
    """``log(1 + exp(t))`` without overflow."""
    if getattr(t, "dtype", _FLOAT).kind == "c":
        return np.log1p(np.exp(np.where(t.real > 0, -t, t))) + np.where(t.real > 0, t, 0)
    return np.log1p(np.exp(-abs(t))) + np.maximum(t, 0)


def silu(t: Array) -> Array:
    return t * sigmoid(t)


def gelu(t: Array) -> Array:
    """``t*Phi(t)``, Phi the normal distribution function."""
    return t * (0.5 * (1 + erf(t * 0.7071067811865476)))


def step(t: Array) -> Array:
    """1 where t > 0, else 0; NaN stays."""
    return np.heaviside(t, 0)


def safe_reciprocal(s: Array) -> Array:
    """``1/s``, and 0 where s is 0: the subgradient of a norm at 0."""
    if isinstance(s, np.ndarray):
        return np.divide(1, s, out=np.zeros_like(s), where=s != 0)
    return 1 / s if s != 0 else s


def norm2(a: Array) -> Array:
    """The square root of the sum of squares."""
    v = a.ravel()
    return np.sqrt(v.dot(v))


def _largest(x: Array, axis: int | None) -> Array:
    return (x.real if x.dtype.kind == "c" else x).max(axis, keepdims=True)


def softmax(x: Array, axis: int | None = None) -> Array:
    """``exp(x)/sum(exp(x))`` along the axis."""
    e = x - _largest(x, axis)
    np.exp(e, out=e)
    e /= e.sum(axis, keepdims=True)
    return e


def logsumexp(x: Array, axis: int | None = None) -> Array:
    """``log(sum(exp(x)))`` along the axis."""
    if axis is None:
        top = (x.real if x.dtype.kind == "c" else x).max()
        return np.log(np.exp(x - top).sum()) + top if np.isfinite(top) else top
    tops = _largest(x, axis)
    tops = np.where(np.isfinite(tops), tops, 0)
    with np.errstate(divide="ignore"):  # a column of -inf
        return np.log(np.exp(x - tops).sum(axis)) + tops.reshape(-1)


def log_softmax(x: Array, axis: int | None = None) -> Array:
    """``x - logsumexp(x)`` along the axis."""
    shifted = x - _largest(x, axis)
    return shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))


def argmax(x: Array, axis: int | None = None) -> Array:
    """Equal shares of 1 at the largest entries, else 0."""
    hit = (x == x.max(axis, keepdims=True)).astype(x.dtype)
    hit /= hit.sum(axis, keepdims=True)
    return hit


def unit(position: int, size: int, dtype: Any) -> Array:
    out = np.zeros(size, dtype)
    out[position] = 1
    return out


def whole(k: Any) -> int:
    """The integer that a number is."""
    number = k.real if isinstance(k, complex) else k
    if number != number or int(number) != k:
        raise ArgumentError(f"an index, an exponent or a limit of a sum is {k}, which is no whole number")
    return int(number)


def position(index: Any, size: int) -> int:
    """The index, counted from 1, as NumPy counts."""
    at = whole(index)
    if not 1 <= at <= size:
        raise ArgumentError(f"index {at} is outside 1..{size}")
    return at - 1


def within(limit: int, size: int) -> int:
    """A limit of a range that must lie within the array."""
    if not 0 <= limit <= size:
        raise ArgumentError(f"a range of indices reaches to {limit}, outside 1..{size}")
    return limit


def add_diagonal(a: Array, entries: Array) -> Array:
    """``a`` with numbers added to its diagonal."""
    out = a.copy()
    out.reshape(-1)[:: out.shape[1] + 1] += entries
    return out


_SMALL = 4000  # entries that are computed one by one sooner than arrays are prepared for BLAS


def outer(a: Array, b: Array, out: Array | None = None) -> Array:
    """``a[..., i]*b[..., j]``: large ones as two halves by matmul, which calls BLAS from an inner dimension of 2 on."""
    if out is None:
        shape = (*np.broadcast_shapes(a.shape[:-1], b.shape[:-1]), a.shape[-1], b.shape[-1])
        out = np.empty(shape, np.result_type(a, b))
    if out.size < _SMALL:
        return np.multiply(a[..., None], b[..., None, :], out=out)
    half = b * 0.5
    return np.matmul(np.stack((a, a), -1), np.stack((half, half), -2), out=out)


def too_large(shape: tuple[int, ...], dtype: Any, limit: int) -> LimitError:
    """The error of a result over the limit."""
    count = dtype.itemsize
    for size in shape:
        count *= size
    return LimitError(
        f"the result of shape {shape} would take {_bytes(count)}, more than the limit of {_bytes(limit)}",
        hint="ask for .operator(), or raise limit=",
    )


def _bytes(count: int) -> str:
    size, unit = float(count), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.3g} {unit}"


def commutation(m: int, n: int, dtype: Any) -> Array:
    """K with ``K*vec(A) = vec(A')`` for an m x n matrix."""
    return np.eye(m * n, dtype=dtype).reshape(n, m, m * n).swapaxes(0, 1).reshape(m * n, m * n)


def khatri_rao(a: Array, b: Array) -> Array:
    """The Kronecker products of the columns."""
    return (a[:, None, :] * b).reshape(-1, a.shape[1])


def pinv(t: Any) -> Any:
    """The pseudo-inverse of a number."""
    return 1 / t if t != 0 else t


def adjugate(a: Array) -> Array:
    """The transpose of the matrix of cofactors; by singular values, so that singular matrices have theirs."""
    u, s, vt = np.linalg.svd(a)
    size = len(s)
    before, after = np.ones(size, a.dtype), np.ones(size, a.dtype)
    np.cumprod(s[:-1], out=before[1:])
    np.cumprod(s[:0:-1], out=after[1:])
    sign = np.sign(np.linalg.det(u) * np.linalg.det(vt))
    return (vt.T * (sign * before * after[::-1])).dot(u.T)


_PADE = (64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600,
         670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1)  # fmt: skip
_PADE_NORM = 5.371920351148152


def expm(a: Array) -> Array:
    """The matrix exponential: Padé approximant of order 13 with scaling and squaring (Higham 2008, 10.3)."""
    if a.size == 0:
        return a.copy()
    norm = abs(a).sum(0).max()
    squarings = max(0, int(np.ceil(np.log2(norm / _PADE_NORM)))) if _PADE_NORM < norm < np.inf else 0
    a = a * 0.5**squarings
    b, eye = [float(c) for c in _PADE], np.eye(len(a), dtype=a.dtype)
    a2 = a.dot(a)
    a4 = a2.dot(a2)
    a6 = a4.dot(a2)
    u = a.dot(a6.dot(b[13] * a6 + b[11] * a4 + b[9] * a2) + b[7] * a6 + b[5] * a4 + b[3] * a2 + b[1] * eye)
    v = a6.dot(b[12] * a6 + b[10] * a4 + b[8] * a2) + b[6] * a6 + b[4] * a4 + b[2] * a2 + b[0] * eye
    out = np.linalg.solve(v - u, v + u)
    for _ in range(squarings):
        out = out.dot(out)
    return out


def expm_frechet(a: Array, e: Array) -> Array:
    """The derivative of the matrix exponential at ``a`` along ``e``: a block of a larger exponential."""
    size = len(a)
    length = abs(e).sum(0).max() if size else 0
    if length == 0:
        return e.copy()
    scale = max(1.0, abs(a).sum(0).max()) / length  # linear in e, which must not decide on the scaling
    blocks = np.zeros((2 * size, 2 * size), np.result_type(a, e))
    blocks[:size, :size] = blocks[size:, size:] = a
    blocks[:size, size:] = scale * e
    return expm(blocks)[:size, size:] / scale


def conv(kernel: Array, image: Array, mode: str) -> Array:
    """The convolution in two dimensions, directly."""
    return corr(kernel[::-1, ::-1], image, mode)


def convmtx(kernel: Array, rows: int, cols: int, mode: str) -> Array:
    """The matrix of the convolution of images in R^{rows x cols} with ``kernel``, under vec."""
    images = np.eye(rows * cols, dtype=kernel.dtype).reshape(rows * cols, cols, rows).transpose(0, 2, 1)
    return np.stack([conv(kernel, image, mode).ravel(order="F") for image in images], axis=1)


def corr(kernel: Array, image: Array, mode: str) -> Array:
    """The correlation in two dimensions: the sum over the windows of the image."""
    (p, q), (m, n) = kernel.shape, image.shape
    if mode == "valid" and (p > m or q > n):
        raise ArgumentError(f"'valid' needs an image at least as large as the kernel; they are {(m, n)} and {(p, q)}")
    if mode != "valid":
        wide = np.zeros((m + 2 * p - 2, n + 2 * q - 2), image.dtype)
        wide[p - 1 : p - 1 + m, q - 1 : q - 1 + n] = image
        if mode == "same":
            wide = wide[(p - 1) // 2 :, (q - 1) // 2 :][: m + p - 1, : n + q - 1]
        image = wide
    windows = np.lib.stride_tricks.sliding_window_view(image, (p, q))
    return np.einsum("ijkl,kl->ij", windows, kernel)


def crop(a: Array, shape: tuple[int, int]) -> Array:
    """The central part."""
    top, left = ((size - part) // 2 for size, part in zip(a.shape, shape, strict=True))
    return a[top : top + shape[0], left : left + shape[1]].copy()


def pad(a: Array, shape: tuple[int, int]) -> Array:
    """``a`` as the central part of zeros."""
    out = np.zeros(shape, a.dtype)
    top, left = ((size - part) // 2 for size, part in zip(shape, a.shape, strict=True))
    out[top : top + a.shape[0], left : left + a.shape[1]] = a
    return out


__all__ = ["Signature", "erf"]
