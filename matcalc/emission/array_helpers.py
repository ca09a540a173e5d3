"""What an array library has no word for, in the words of the array API standard; its text goes into generated sources.

Each takes the namespace ``xp`` first. Where a library is named in the source, ``xp`` becomes its name (bundle.py).
"""

from __future__ import annotations

import math
from typing import Any

Array = Any


def _sigmoid(xp: Any, x: Array) -> Array:
    """``1/(1 + exp(-x))`` without overflow."""
    z = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, xp.ones_like(z), z) / (1 + z)


def _softplus(xp: Any, x: Array) -> Array:
    """``log(1 + exp(x))`` without overflow."""
    return xp.log1p(xp.exp(-xp.abs(x))) + _relu(xp, x)


def _relu(xp: Any, x: Array) -> Array:
    return xp.maximum(x, xp.zeros_like(x))


def _silu(xp: Any, x: Array) -> Array:
    return x * _sigmoid(xp, x)


def _gelu(xp: Any, x: Array) -> Array:
    """``x*Phi(x)``, Phi the normal distribution function."""
    return 0.5 * x * (1 + _erf(xp, 0.7071067811865476 * x))


def _step(xp: Any, x: Array) -> Array:
    """1 where x > 0, else 0; NaN stays."""
    return xp.where(x > 0, xp.ones_like(x), xp.where(x <= 0, xp.zeros_like(x), x))


def _safe_reciprocal(xp: Any, x: Array) -> Array:
    """``1/x``, and 0 where x is 0: the subgradient of a norm at 0."""
    there = x != 0
    return xp.where(there, 1 / xp.where(there, x, xp.ones_like(x)), xp.zeros_like(x))


# erf(x)/x in y = x^2/2 - 1 up to 2; x*exp(x^2)*erfc(x) in y = 6/x - 2 from 2 to 6; highest power first.
_NEAR = (
    -1.8874163743967482e-12, 1.7218858155484183e-11, -1.401554063331593e-10, 1.1331611787961273e-09,
    -8.617665144205791e-09, 6.11973590542225e-08, -4.045094947367635e-07, 2.475801058763217e-06,
    -1.3946273727597251e-05, 7.180100878143417e-05, -0.0003351435335293146, 0.0014050914235853634,
    -0.005234875836158027, 0.017128344571823145, -0.04866277744915509, 0.11947913860985163,
    -0.2611118609312454, 0.674933236039655,
)  # fmt: skip
_FAR = (
    -8.30630955628534e-12, 6.237852047093903e-11, -1.9314546343628015e-10, 7.913699314047245e-11,
    2.541165103682491e-09, -1.5846278934068462e-08, 4.793708508105298e-08, 1.124307654277793e-08,
    -1.017270138508908e-06, 5.915636654250272e-06, -1.243025647872026e-05, -7.91836899078828e-05,
    0.0009059268985165006, -0.003204801317108523, -0.023826556739807037, 0.5370034535441699,
)  # fmt: skip


def _erf(xp: Any, x: Array) -> Array:
    """The error function, by polynomials (DLMF 7.2)."""
    size = xp.abs(x)
    near = xp.where(size < 2, size, 2 * xp.ones_like(size))
    far = xp.where(size > 2, xp.where(size < 6, size, 6 * xp.ones_like(size)), 2 * xp.ones_like(size))
    tail = 1 - xp.exp(-far * far) * _polynomial(_FAR, 6 / far - 2) / far
    return xp.where(size > 2, xp.sign(x) * tail, x * _polynomial(_NEAR, 0.5 * near * near - 1))


def _polynomial(coefficients: tuple[float, ...], y: Array) -> Array:
    out = y * coefficients[0] + coefficients[1]
    for c in coefficients[2:]:
        out = out * y + c
    return out


def _softmax(xp: Any, x: Array, along: int | None = None) -> Array:
    """``exp(x)/sum(exp(x))`` along an axis, or over all entries."""
    e = xp.exp(x - xp.max(x, axis=along, keepdims=True))
    return e / xp.sum(e, axis=along, keepdims=True)


def _logsumexp(xp: Any, x: Array, along: int | None = None) -> Array:
    """``log(sum(exp(x)))`` along an axis, or over all entries."""
    top = xp.max(x, axis=along, keepdims=True)
    top = xp.where(xp.isfinite(top), top, xp.zeros_like(top))
    return xp.log(xp.sum(xp.exp(x - top), axis=along)) + xp.max(top, axis=along)


def _log_softmax(xp: Any, x: Array, along: int | None = None) -> Array:
    """``x - logsumexp(x)`` along an axis, or over all entries."""
    shifted = x - xp.max(x, axis=along, keepdims=True)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=along, keepdims=True))


def _argmax(xp: Any, x: Array, along: int | None = None) -> Array:
    """Equal shares of 1 at the largest entries, else 0."""
    hit = xp.where(x == xp.max(x, axis=along, keepdims=True), xp.ones_like(x), xp.zeros_like(x))
    return hit / xp.sum(hit, axis=along, keepdims=True)


# Matrices


def _diag(xp: Any, entries: Array) -> Array:
    """The diagonal matrix."""
    return _placed(xp, entries, "ii", (entries.shape[0],) * 2)


def _kron(xp: Any, a: Array, b: Array) -> Array:
    """The Kronecker product of matrices."""
    rows, cols = a.shape[0] * b.shape[0], a.shape[1] * b.shape[1]
    return xp.reshape(a[:, None, :, None] * b[None, :, None, :], (rows, cols))


def _outer(xp: Any, a: Array, b: Array, out: Array | None = None) -> Array:
    """The outer products of the vectors of the last axes."""
    return xp.multiply(a[..., :, None], b[..., None, :], out=out)


def _khatri_rao(xp: Any, a: Array, b: Array) -> Array:
    """The Kronecker products of the columns."""
    return xp.reshape(a[:, None, :] * b[None, :, :], (a.shape[0] * b.shape[0], a.shape[1]))


def _commutation(xp: Any, m: int, n: int, like: dict[str, Any]) -> Array:
    """K with ``K*vec(A) = vec(A')`` for an m x n matrix."""
    cube = xp.reshape(xp.eye(m * n, **like), (n, m, m * n))
    return xp.reshape(xp.permute_dims(cube, (1, 0, 2)), (m * n, m * n))


def _unit(xp: Any, position: Any, size: int, like: dict[str, Any]) -> Array:
    """The unit vector; positions count from 0."""
    one = xp.ones((size,), **like)
    return xp.where(xp.arange(size, device=one.device) == position, one, xp.zeros_like(one))


def _units(xp: Any, positions: Array, size: int, like: dict[str, Any]) -> Array:
    """Unit vectors, as rows; positions count from 0."""
    one = xp.ones((positions.shape[0], size), **like)
    return xp.where(xp.arange(size, device=one.device)[None, :] == positions[:, None], one, xp.zeros_like(one))


def _adjugate(xp: Any, a: Array) -> Array:
    """The transpose of the matrix of cofactors; by singular values, so that singular matrices have theirs."""
    u, s, vt = xp.linalg.svd(a)
    before, after = [xp.ones_like(s[0])], [xp.ones_like(s[0])]
    for k in range(s.shape[0] - 1):
        before.append(before[-1] * s[k])
        after.append(after[-1] * s[s.shape[0] - 1 - k])
    sign = xp.linalg.det(u) * xp.linalg.det(vt)
    return (vt.T * (sign * xp.stack(before) * xp.stack(after[::-1]))) @ u.T


_PADE = (64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600,
         670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1)  # fmt: skip


def _expm(xp: Any, a: Array) -> Array:
    """The matrix exponential: Padé approximant of order 13 with scaling and squaring (Higham 2008, 10.3)."""
    if a.shape[0] == 0:
        return a
    norm = float(xp.max(xp.sum(xp.abs(a), axis=0)))
    squarings = max(0, math.ceil(math.log2(norm / 5.371920351148152))) if 5.37 < norm < math.inf else 0
    a = a * 0.5**squarings
    b, eye = [float(c) for c in _PADE], xp.eye(a.shape[0], dtype=a.dtype, device=a.device)
    a2 = a @ a
    a4 = a2 @ a2
    a6 = a4 @ a2
    u = a @ (a6 @ (b[13] * a6 + b[11] * a4 + b[9] * a2) + b[7] * a6 + b[5] * a4 + b[3] * a2 + b[1] * eye)
    v = a6 @ (b[12] * a6 + b[10] * a4 + b[8] * a2) + b[6] * a6 + b[4] * a4 + b[2] * a2 + b[0] * eye
    out = xp.linalg.solve(v - u, v + u)
    for _ in range(squarings):
        out = out @ out
    return out


def _expm_frechet(xp: Any, a: Array, e: Array) -> Array:
    """The derivative of the matrix exponential at ``a`` along ``e``: a block of a larger exponential."""
    n = a.shape[0]
    if n == 0:
        return e
    length = xp.max(xp.sum(xp.abs(e), axis=0))
    largest = xp.max(xp.sum(xp.abs(a), axis=0))
    scale = xp.where(largest > 1, largest, xp.ones_like(largest)) / xp.where(length > 0, length, xp.ones_like(length))
    top = xp.concat((a, scale * e), axis=1)
    return _expm(xp, xp.concat((top, xp.concat((xp.zeros_like(a), a), axis=1)), axis=0))[:n, n:] / scale


# Axes


def _einsum(xp: Any, spelled: str, *arrays: Array) -> Array:
    """The product of arrays over named axes, ``"ij,ijk->ik"``."""
    inputs, out = spelled.split("->")
    letters = out + "".join(c for c in dict.fromkeys(inputs.replace(",", "")) if c not in out)
    product = None
    for x, held in zip(arrays, inputs.split(","), strict=True):
        x = xp.permute_dims(x, tuple(held.index(c) for c in letters if c in held))
        x = x[tuple(slice(None) if c in held else None for c in letters)]
        product = x if product is None else product * x
    return xp.sum(product, axis=tuple(range(len(out), len(letters)))) if len(out) < len(letters) else product


def _repeats(xp: Any, x: Array, letters: str) -> Array:
    """The entries at which axes of the same letter agree; each letter is then one axis."""
    wanted = "".join(dict.fromkeys(letters))
    for c in wanted:
        while letters.count(c) > 1:
            i, j = letters.index(c), letters.rindex(c)
            others = [k for k in range(len(letters)) if k not in (i, j)]
            x = xp.linalg.diagonal(xp.permute_dims(x, (*others, i, j)))
            letters = "".join(letters[k] for k in others) + c
    return xp.permute_dims(x, tuple(letters.index(c) for c in wanted))


def _placed(xp: Any, x: Array, letters: str, sizes: tuple[int, ...], positions: tuple[Any, ...] = ()) -> Array:
    """``x`` among zeros: axes of the same letter count together, an axis "." has one of the positions."""
    first: dict[str, Array] = {}
    places, there = list(positions), None
    for axis, (letter, size) in enumerate(zip(letters, sizes, strict=True)):
        at = xp.arange(size, device=x.device)[tuple(slice(None) if k == axis else None for k in range(len(sizes)))]
        if letter != "." and letter not in first:
            first[letter] = at
            continue
        here = at == (places.pop(0) if letter == "." else first[letter])
        there = here if there is None else there & here
    x = x[tuple(slice(None) if c != "." and c not in letters[:k] else None for k, c in enumerate(letters))]
    return xp.broadcast_to(x if there is None else xp.where(there, x, xp.zeros_like(x)), sizes)


def _within(xp: Any, x: Array, starts: tuple[int, ...], sizes: tuple[int, ...]) -> Array:
    """``x`` as a block of zeros: where it starts, and the sizes of the whole."""
    for axis, (start, size) in enumerate(zip(starts, sizes, strict=True)):
        shape = x.shape
        before, after = (
            xp.zeros((*shape[:axis], count, *shape[axis + 1 :]), dtype=x.dtype, device=x.device)
            for count in (start, size - start - shape[axis])
        )
        x = xp.concat((before, x, after), axis=axis)
    return x


# Indices


def _up_to(first: int, last: int) -> range:
    """The values of the index of a sum; it may have no terms, but not fewer."""
    if last < first - 1:
        raise ValueError(f"a sum runs from {first} to {last}, where it may run from {first} to {first - 1} at least")
    return range(first, last + 1)


def _whole(k: Any) -> int:
    """The integer that a number is."""
    number = int(k)
    if number != k:
        raise ValueError(f"an index, an exponent or a limit of a sum is {k}, which is no whole number")
    return number


def _position(index: Any, size: int) -> int:
    """The index, counted from 1, as arrays count."""
    at = _whole(index)
    if not 1 <= at <= size:
        raise ValueError(f"index {at} is outside 1..{size}")
    return at - 1


def _wholes(xp: Any, k: Array) -> Array:
    """The integers that are the entries of an array."""
    there = xp.floor(k) == k
    if not bool(xp.all(there)):
        raise ValueError(f"an index or an exponent is {float(k[~there][0])}, which is no whole number")
    return xp.astype(k, xp.int64)


def _positions(xp: Any, k: Array, size: int) -> Array:
    """Indices, counted from 1, as arrays count."""
    there = (k >= 1) & (k <= size)
    if not bool(xp.all(there)):
        raise ValueError(f"index {float(k[~there][0]):g} is outside 1..{size}")
    return _wholes(xp, k) - 1


def _of_each(xp: Any, x: Array, at: Array) -> Array:
    """``x[i, at[i], ...]`` for each i."""
    count, size = x.shape[0], x.shape[1]
    flat = xp.reshape(x, (count * size, *x.shape[2:]))
    return xp.take(flat, at + size * xp.arange(count, device=x.device), axis=0)


def _limit(limit: int, size: int) -> int:
    """A limit of a range that must lie within the array."""
    if not 0 <= limit <= size:
        raise ValueError(f"a range of indices reaches to {limit}, outside 1..{size}")
    return limit


# Convolutions


def _correlation(xp: Any, kernel: Array, image: Array, mode: str) -> Array:
    """The correlation in two dimensions: the sum over the entries of the kernel of the image, moved."""
    (p, q), (m, n) = kernel.shape, image.shape
    if mode == "valid" and (p > m or q > n):
        raise ValueError(f"'valid' needs an image at least as large as the kernel; they are {(m, n)} and {(p, q)}")
    rows, cols = {"full": (m + p - 1, n + q - 1), "same": (m, n), "valid": (m - p + 1, n - q + 1)}[mode]
    if mode != "valid":
        image = _within(xp, image, (p - 1, q - 1), (m + 2 * p - 2, n + 2 * q - 2))
    top, left = ((p - 1) // 2, (q - 1) // 2) if mode == "same" else (0, 0)
    out = xp.zeros((rows, cols), dtype=image.dtype, device=image.device)
    for i in range(p):
        for j in range(q):
            out = out + kernel[i, j] * image[top + i : top + i + rows, left + j : left + j + cols]
    return out


def _convolution(xp: Any, kernel: Array, image: Array, mode: str) -> Array:
    """The convolution in two dimensions."""
    return _correlation(xp, xp.flip(kernel, axis=(0, 1)), image, mode)


def _convmtx(xp: Any, kernel: Array, rows: int, cols: int, mode: str) -> Array:
    """The matrix of the convolution of images in R^{rows x cols} with ``kernel``, under vec."""
    eye = xp.eye(rows * cols, dtype=kernel.dtype, device=kernel.device)
    images = [_convolution(xp, kernel, xp.reshape(eye[k, :], (cols, rows)).T, mode) for k in range(rows * cols)]
    return xp.stack([xp.reshape(image.T, (-1,)) for image in images], axis=1)


def _crop(xp: Any, a: Array, shape: tuple[int, int]) -> Array:
    """The central part."""
    top, left = ((size - part) // 2 for size, part in zip(a.shape, shape, strict=True))
    return a[top : top + shape[0], left : left + shape[1]]


def _pad(xp: Any, a: Array, shape: tuple[int, int]) -> Array:
    """``a`` as the central part of zeros."""
    top, left = ((size - part) // 2 for size, part in zip(shape, a.shape, strict=True))
    return _within(xp, a, (top, left), shape)
