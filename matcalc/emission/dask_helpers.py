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


def _reshaped(da: Any, x: Array, shape: tuple[int, ...]) -> Array:
    """The entries, row by row, in another shape; by way of all in a row where Dask knows no shorter one."""
    try:
        return x.reshape(shape)
    except NotImplementedError:
        return x.reshape(-1).reshape(shape)


def logdet(a: Array) -> Array:
    """The logarithm of the absolute determinant."""
    import numpy as np

    return np.linalg.slogdet(a)[1]


def repeats(a: Array, letters: str) -> Array:
    """The entries at which axes of the same letter agree."""
    import numpy as np

    return np.einsum(letters, a)
