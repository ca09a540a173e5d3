"""What generated code calls where NumPy has no word for it, or none that is accurate.

Everything keeps the precision of its argument; complex numbers are taken where the function is analytic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np

from matcalc.errors import ArgumentError, LimitError
from matcalc.lowering.convolutions import conv, convmtx, corr, crop, pad
from matcalc.lowering.erf import erf
from matcalc.lowering.matrix_functions import adjugate, expm, expm_frechet, pinv
from matcalc.lowering.signature import Signature

Array = Any
Axes: TypeAlias = int | tuple[int, ...] | None

_FLOAT = np.dtype(float)

# exp of more overflows; 1/(1 + exp) is 0 to all digits there.
_LARGEST = {"d": 709.0, "f": 88.0}

# The same and 1 as arrays, which meet others sooner than Python's numbers.
_BOUNDS = {kind: (np.array(most, kind), np.array(1, kind)) for kind, most in _LARGEST.items()}


def sigmoid(t: Array, out: Array | None = None) -> Array:
    """``1/(1 + exp(-t))``, to full relative accuracy and without overflow."""
    if isinstance(t, np.ndarray) and t.ndim:  # operators turn an array without axes into a number
        z = np.negative(t, out)
        bounds = _BOUNDS.get(z.dtype.char)
        if bounds is None:  # complex
            np.exp(z, z)
            z += 1
        else:
            np.minimum(z, bounds[0], out=z)
            np.exp(z, z)
            np.add(z, bounds[1], z)
        return np.reciprocal(z, z)
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


def _largest(x: Array, axis: Axes) -> Array:
    return (x.real if x.dtype.kind == "c" else x).max(axis, keepdims=True)


def softmax(x: Array, axis: Axes = None) -> Array:
    """``exp(x)/sum(exp(x))`` along the axis."""
    e = x - _largest(x, axis)
    np.exp(e, out=e)
    e /= e.sum(axis, keepdims=True)
    return e


def logsumexp(x: Array, axis: Axes = None) -> Array:
    """``log(sum(exp(x)))`` along the axis."""
    if axis is None:
        top = (x.real if x.dtype.kind == "c" else x).max()
        return np.log(np.exp(x - top).sum()) + top if np.isfinite(top) else top
    tops = _largest(x, axis)
    tops = np.where(np.isfinite(tops), tops, 0)
    with np.errstate(divide="ignore"):  # a column of -inf
        return np.log(np.exp(x - tops).sum(axis)) + tops.squeeze(axis)


def log_softmax(x: Array, axis: Axes = None) -> Array:
    """``x - logsumexp(x)`` along the axis."""
    shifted = x - _largest(x, axis)
    return shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))


def argmax(x: Array, axis: Axes = None) -> Array:
    """Equal shares of 1 at the largest entries, else 0."""
    hit = (x == x.max(axis, keepdims=True)).astype(x.dtype)
    hit /= hit.sum(axis, keepdims=True)
    return hit


def unit(position: Any, size: int, dtype: Any) -> Array:
    """A column of zeros with a 1 at a position; for an array of positions the rows are these."""
    if isinstance(position, np.ndarray):
        return (position[:, None] == np.arange(size)).astype(dtype)
    out = np.zeros(size, dtype)
    out[position] = 1
    return out


def whole(k: Any) -> Any:
    """The integer that a number is, or the integers that an array holds."""
    if isinstance(k, np.ndarray):
        return np.array([whole(item) for item in k.tolist()], int)
    number = k.real if isinstance(k, complex) else k
    if number != number or int(number) != k:
        raise ArgumentError(f"an index, an exponent or a limit of a sum is {k}, which is no whole number")
    return int(number)


def up_to(first: int, last: int) -> range:
    """The values of the index of a sum; it may have no terms, but not fewer, as one from 1 to a negative number has."""
    if last < first - 1:
        raise ArgumentError(f"a sum runs from {first} to {last}, where it may run from {first} to {first - 1} at least")
    return range(first, last + 1)


def position(index: Any, size: int) -> Any:
    """The index, or an array of them, counted from 1, as NumPy counts."""
    at = whole(index)
    if isinstance(at, np.ndarray):
        wrong = at[(at < 1) | (at > size)]
        if wrong.size:
            raise ArgumentError(f"index {wrong[0]} is outside 1..{size}")
        return at - 1
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


def strided(a: Array, shape: tuple[int, ...], steps: tuple[int, ...]) -> Array:
    """The view of an array that lies row by row with so many entries from one place to the next along each axis."""
    width = a.itemsize
    return np.ndarray(shape, a.dtype, a, 0, tuple([width * step for step in steps]))


_ROWS = 2**16  # entries of a block of rows: half a MiB
_LEAST = 128  # rows of a block whose products are added to a matrix


def row_blocks(a: Array, least: int, width: int) -> Iterator[slice]:
    """The rows of arrays with up to ``width`` columns, as many as fit into the cache, and at least ``least``."""
    step = max(least, _ROWS // max(1, width))
    for start in range(0, len(a), step):
        yield slice(start, start + step)


def add_product(total: Array, a: Array, b: Array, factor: float = 1) -> Array:
    """``total + factor*a*b`` in the memory of ``total``."""
    if total.dtype.char not in "fd" or not total.size or not len(b):
        total += factor * a.dot(b)
        return total
    from scipy.linalg.blas import dgemm, sgemm

    gemm = dgemm if total.dtype.char == "d" else sgemm
    x, over = (b, 1) if b.flags.f_contiguous else (b.T, 0)  # in the order of Fortran everything is transposed
    y, across = (a, 1) if a.flags.f_contiguous else (a.T, 0)
    return gemm(factor, x, y, 1, total.T, trans_a=over, trans_b=across, overwrite_c=1).T


def add_gram(total: Array, a: Array) -> Array:
    """``total + a'*a`` in the memory of ``total``, of which one half is computed: :func:`mirrored` gives the other."""
    if total.dtype.char not in "fd" or not total.size or not len(a):
        total += a.T.dot(a)
        return total
    from scipy.linalg.blas import dsyrk, ssyrk

    syrk = dsyrk if total.dtype.char == "d" else ssyrk
    if a.flags.f_contiguous:
        return syrk(1, a, 1, total.T, trans=1, overwrite_c=1).T
    return syrk(1, a.T, 1, total.T, overwrite_c=1).T


def khatri_rao_dot(a: Array, b: Array, c: Array, d: Array | None = None) -> Array:
    """``khatri_rao(a, b)`` times the transpose of ``khatri_rao(c, d)`` or of ``c``, in blocks of columns."""
    rows, cols = len(a) * len(b), len(c) * (1 if d is None else len(d))
    total = np.zeros((rows, cols), np.result_type(a, b, c))
    for at in row_blocks(a.T, _LEAST, rows):
        right = c[:, at] if d is None else khatri_rao(c[:, at], d[:, at])
        total = add_product(total, khatri_rao(a[:, at], b[:, at]), right.T)
    return total


def khatri_rao_gram(a: Array, b: Array) -> Array:
    """``khatri_rao(a, b)`` times its transpose, in blocks of columns."""
    rows = len(a) * len(b)
    total = np.zeros((rows, rows), np.result_type(a, b))
    for at in row_blocks(a.T, _LEAST, rows):
        total = add_gram(total, khatri_rao(a[:, at], b[:, at]).T)
    return mirrored(total)


def mirrored(total: Array) -> Array:
    """The symmetric matrix of which :func:`add_gram` has computed one half."""
    if total.dtype.char not in "fd":
        return total
    from matcalc.lowering.lapack import mirrored as other_half

    return other_half(total.T)


def weighted_grams(
    out: Array,
    x: Array,
    weights: Callable[[int, int], Array] | None = None,
    diagonal: Callable[[int], Array] | None = None,
    *,
    adding: bool = False,
    symmetric: bool = True,
) -> None:
    """Puts ``x'*diag(w)*x`` into each block ``out[i, j]``, or adds it to what is there.

    ``weights``    of the rows of ``x``, for i and j
    ``diagonal``   what more they are for i = j; without ``weights`` there are no other blocks
    ``symmetric``  whether the weights for i, j and for j, i are the same
    """
    for i in range(len(out)):
        for j in [i] if weights is None else range(i + 1 if symmetric else out.shape[1]):
            terms = [weights(i, j)] if weights is not None else []
            if diagonal is not None and i == j:
                terms.append(diagonal(i))
            block = _weighted_gram(x, sum(terms[1:], terms[0]))
            for place in {(i, j), (j, i)} if symmetric else [(i, j)]:
                if adding:
                    out[place] += block
                else:
                    out[place] = block
            del block


def _weighted_gram(x: Array, w: Array) -> Array:
    """``x'*diag(w)*x``; of weights with one sign it costs half."""
    total = np.zeros((x.shape[1], x.shape[1]), np.result_type(x, w))
    least, most = (w.min(), w.max()) if w.size and w.dtype.kind == "f" else (-1, 1)
    if least >= 0 or most <= 0:
        root = np.sqrt(abs(w))[:, None]
        for rows in row_blocks(x, _LEAST, x.shape[1]):
            total = add_gram(total, root[rows] * x[rows])
        total = mirrored(total)
        return total if least >= 0 else np.negative(total, total)
    for rows in row_blocks(x, _LEAST, x.shape[1]):
        part = x[rows]
        total = add_product(total, part.T, w[rows, None] * part)
    return total


_SMALL = 10_000  # entries that may be summed across the order in which they lie


def products_summed(a: Array, b: Array, axis: int) -> Array:
    """``(a*b).sum(axis)`` of matrices, without the products."""
    if a.dtype.kind == "c":
        return (a * b).sum(axis)
    if a.size < _SMALL or a.strides[axis] == a.itemsize:
        return np.vecdot(a, b) if axis == 1 else np.vecdot(a.T, b.T)
    return np.einsum("ij,ij->j" if axis == 0 else "ij,ij->i", a, b)


_ORDER = 128  # of a matrix from which on SciPy's BLAS is loaded for it


def symmetric_dot(a: Array, x: Array) -> Array:
    """``a*x`` for a symmetric matrix, of which one triangle is read."""
    if len(a) < _ORDER or a.dtype.char not in "fd":
        return a.dot(x)
    from scipy.linalg.blas import dsymv, ssymv

    return (dsymv if a.dtype.char == "d" else ssymv)(1, a.T if a.flags.c_contiguous else a, x)


def plus_outers(number: Any, a: Array, left: Array, right: Array, over: bool = False) -> Array:
    """``number*a + left'*right``: ``left`` and ``right`` have few rows, vectors whose outer products are added.

    ``over``  whether it may be written over ``a``
    """
    if len(a) < _ORDER or a.dtype.char not in "fd":
        out = left.T.dot(right)
        out += a if number == 1 else number * a
        return out
    from scipy.linalg.blas import dgemm, sgemm

    gemm = dgemm if a.dtype.char == "d" else sgemm
    if a.flags.c_contiguous:  # in the order of Fortran everything is transposed
        return gemm(1, right.T, left, number, a.T, overwrite_c=over).T
    return gemm(1, left.T, right, number, a, overwrite_c=over)


_FEW = 4000  # entries that are computed one by one sooner than arrays are prepared for BLAS
_SMALL_PRODUCT = 150  # entries of each of them, so few that the call of BLAS takes longer


def outer(a: Array, b: Array, out: Array | None = None) -> Array:
    """``a[..., i]*b[..., j]``: large ones as two halves by matmul, which calls BLAS from an inner dimension of 2 on."""
    if out is None:
        shape = (*np.broadcast_shapes(a.shape[:-1], b.shape[:-1]), a.shape[-1], b.shape[-1])
        out = np.empty(shape, np.result_type(a, b))
    if out.size < _FEW:
        return np.multiply(a[..., None], b[..., None, :], out=out)
    if a.shape[-1] * b.shape[-1] < _SMALL_PRODUCT:  # many small ones
        if max(a.ndim, b.ndim) < out.ndim - 1:  # einsum repeats no operand along the axes of the result
            a = np.broadcast_to(a, (*out.shape[:-2], a.shape[-1]))
        return np.einsum("...i,...j->...ij", a, b, out=out)
    left, right = np.array((a, a)), np.empty((*b.shape[:-1], 2, b.shape[-1]), b.dtype)
    half = right[..., 0, :]
    np.multiply(b, 0.5, out=half)
    right[..., 1, :] = half
    return np.matmul(left.transpose(*range(1, left.ndim), 0), right, out=out)


def later(name: str, value: Any, shape: tuple[int, ...], dtype: Any) -> Array:
    """A later argument as an array of the precision of the first ones.

    Raises   ArgumentError when it is complex and they are not, or of another shape
    """
    array = np.asarray(value)
    if array.dtype.kind not in "biufc" or (array.dtype.kind == "c" and dtype.kind != "c"):
        raise ArgumentError(f"{name} holds {array.dtype}, where {dtype} is computed with")
    if array.shape != shape:
        hint = f"pass {name}.ravel()" if len(shape) == 1 and array.ndim == 2 and 1 in array.shape else ""
        raise ArgumentError(f"{name} must have shape {shape}, but its shape is {array.shape}", hint=hint)
    return array.astype(dtype, copy=False) if shape else dtype.type(array)


_BLOCK = 2**18  # bytes of temporaries that stay in the cache


def matmul_scaled(a: Array, d: Array, b: Array) -> Array:
    """``a*(d.*b)`` for matrices of which some are stacks: large ones in blocks of items."""
    items = [x for x in (a, d, b) if x.ndim > 2]
    count, step = len(items[0]), max(1, _BLOCK // max(1, b.itemsize * b.shape[-2] * b.shape[-1]))
    if count <= step:
        return np.matmul(a, d * b)
    out = np.empty((count, a.shape[-2], b.shape[-1]), np.result_type(a, d, b))
    for k in range(0, count, step):
        x, y, z = (m[k : k + step] if m.ndim > 2 else m for m in (a, d, b))
        np.matmul(x, y * z, out=out[k : k + step])
    return out


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
    return np.multiply(a[:, None], b, order="C").reshape(len(a) * len(b), a.shape[1])


def of_each(function: Any, batch: tuple[bool, ...], *args: Array) -> Array:
    """The values of a function of single arrays for each item of those arguments that are a batch."""
    length = len(next(a for a, many in zip(args, batch, strict=True) if many))
    if not length:
        raise ArgumentError("of an empty batch the sizes of what a function gives are not known")
    return np.stack(
        [function(*[a[k] if many else a for a, many in zip(args, batch, strict=True)]) for k in range(length)]
    )


__all__ = [
    "Signature",
    "adjugate",
    "conv",
    "convmtx",
    "corr",
    "crop",
    "erf",
    "expm",
    "expm_frechet",
    "pad",
    "pinv",
]
