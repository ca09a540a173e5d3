"""What sources for Dask need beside the helpers of all libraries; functions of whole arrays are NumPy's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Array = Any


def _at_once(da: Any, function: Callable[..., Any], shape: tuple[int, ...], *operands: Any) -> Array:
    """A function of whole arrays as one task."""
    import dask

    dtype = next(a.dtype for a in operands if hasattr(a, "dtype"))
    return da.from_delayed(dask.delayed(function)(*operands), shape, dtype=dtype)


def _solved(da: Any, a: Array, b: Array) -> Array:
    """``a^-1*b``, chunk by chunk of the columns of ``b``."""
    import numpy as np

    axes, meta = "jk"[: b.ndim], np.empty((0,) * b.ndim, b.dtype)
    a, b = a.rechunk(-1), b.rechunk({0: -1})
    return da.blockwise(np.linalg.solve, axes.replace("j", "i"), a, "ij", b, axes, concatenate=True, meta=meta)


def _reshaped(da: Any, x: Array, shape: tuple[int, ...]) -> Array:
    """The entries, row by row, in another shape; by way of all in a row where Dask knows no shorter one."""
    try:
        return x.reshape(shape)
    except NotImplementedError:
        return x.reshape(-1).reshape(shape)


def _of_each_chunk(da: Any, x: Array, at: Array) -> Array:
    """``x[i, at[i], ...]`` for each i; chunks along i stay what they are."""
    here = at[:, None] == da.arange(x.shape[1], chunks=x.chunks[1])[None, :]
    here = here[(slice(None), slice(None), *[None] * (x.ndim - 2))]
    return da.sum(da.where(here, x, da.zeros_like(x)), axis=1)


def logdet(a: Array) -> Array:
    """The logarithm of the absolute determinant."""
    import numpy as np

    return np.linalg.slogdet(a)[1]


def pseudo_inverse(a: Array) -> Array:
    """The pseudo-inverse; what is zero but for rounding in the precision of the matrix is zero."""
    import numpy as np

    return np.linalg.pinv(a, rtol=None)  # type: ignore[call-overload]  # None is its own word for that


def repeats(a: Array, letters: str) -> Array:
    """The entries at which axes of the same letter agree."""
    import numpy as np

    return np.einsum(letters, a)
