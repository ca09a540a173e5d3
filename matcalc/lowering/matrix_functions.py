"""Functions of matrices that NumPy has not: adjugate, exponential and its derivative; of stacks of matrices, too."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


def pinv(t: Any) -> Any:
    """The pseudo-inverse of a number."""
    return 1 / t if t != 0 else t


def adjugate(a: Array) -> Array:
    """The transpose of the matrix of cofactors; by singular values, so that singular matrices have theirs."""
    u, s, vt = np.linalg.svd(a)
    before, after = np.ones(s.shape, a.dtype), np.ones(s.shape, a.dtype)
    np.cumprod(s[..., :-1], -1, out=before[..., 1:])
    np.cumprod(s[..., :0:-1], -1, out=after[..., 1:])
    sign = np.sign(np.linalg.det(u) * np.linalg.det(vt))
    factors = sign[..., None] * before * after[..., ::-1]
    return np.matmul(vt.swapaxes(-1, -2) * factors[..., None, :], u.swapaxes(-1, -2))


_PADE = (64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600,
         670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1)  # fmt: skip
_PADE_NORM = 5.371920351148152


def expm(a: Array) -> Array:
    """The matrix exponential: Padé approximant of order 13 with scaling and squaring (Higham 2008, 10.3)."""
    if a.size == 0:
        return a.copy()
    if a.ndim > 2:
        return _expms(a)
    norm = abs(a).sum(0).max()
    squarings = max(0, int(np.ceil(np.log2(norm / _PADE_NORM)))) if _PADE_NORM < norm < np.inf else 0
    out = _pade(a * 0.5**squarings)
    for _ in range(squarings):
        out = out.dot(out)
    return out


def _pade(a: Array) -> Array:
    b, eye = [float(c) for c in _PADE], np.eye(a.shape[-1], dtype=a.dtype)
    a2 = np.matmul(a, a)
    a4 = np.matmul(a2, a2)
    a6 = np.matmul(a4, a2)
    u = np.matmul(a6, b[13] * a6 + b[11] * a4 + b[9] * a2) + b[7] * a6 + b[5] * a4 + b[3] * a2 + b[1] * eye
    u = np.matmul(a, u)
    v = np.matmul(a6, b[12] * a6 + b[10] * a4 + b[8] * a2) + b[6] * a6 + b[4] * a4 + b[2] * a2 + b[0] * eye
    return np.linalg.solve(v - u, v + u)


def _expms(a: Array) -> Array:
    """The exponentials of a stack of matrices, each scaled by itself."""
    norms = abs(a).sum(-2).max(-1)
    large = (norms > _PADE_NORM) & (norms < np.inf)
    squarings = np.zeros(norms.shape, int)
    squarings[large] = np.ceil(np.log2(norms[large] / _PADE_NORM)).astype(int)
    out = _pade(a * (0.5**squarings).astype(norms.dtype)[..., None, None])
    for k in range(squarings.max()):
        more = squarings > k
        out[more] = np.matmul(out[more], out[more])
    return out


def expm_frechet(a: Array, e: Array) -> Array:
    """The derivative of the matrix exponential at ``a`` along ``e``: a block of a larger exponential."""
    if max(a.ndim, e.ndim) > 2:
        return _expm_frechets(*np.broadcast_arrays(a, e))
    size = len(a)
    length = abs(e).sum(0).max() if size else 0
    if length == 0:
        return e.copy()
    scale = max(1.0, abs(a).sum(0).max()) / length  # linear in e, which must not decide on the scaling
    blocks = np.zeros((2 * size, 2 * size), np.result_type(a, e))
    blocks[:size, :size] = blocks[size:, size:] = a
    blocks[:size, size:] = scale * e
    return expm(blocks)[:size, size:] / scale


def _expm_frechets(a: Array, e: Array) -> Array:
    size = a.shape[-1]
    lengths = abs(e).sum(-2).max(-1) if size else np.zeros(a.shape[:-2], a.dtype)
    norms = np.maximum(abs(a).sum(-2).max(-1), 1) if size else lengths
    scale = (norms / np.where(lengths == 0, 1, lengths))[..., None, None]
    blocks = np.zeros((*a.shape[:-2], 2 * size, 2 * size), np.result_type(a, e))
    blocks[..., :size, :size] = blocks[..., size:, size:] = a
    blocks[..., :size, size:] = scale * e
    return expm(blocks)[..., :size, size:] / scale


__all__ = ["adjugate", "expm", "expm_frechet", "pinv"]
