"""The arguments of a callable as arrays of one library, of one precision and on one device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from matcalc.errors import ArgumentError


def converted(library: str, names: Sequence[str], values: Sequence[Any]) -> list[Any]:
    """The values as arrays: integers as floating-point numbers, numbers of Python in the precision of the arrays.

    Raises   ArgumentError naming the argument that is none
    """
    return _CONVERTERS[library](names, values)


def _torch(names: Sequence[str], values: Sequence[Any]) -> list[Any]:
    import torch

    there = [v for v in values if isinstance(v, torch.Tensor)]
    device = there[0].device if there else None
    tensors = []
    for name, v in zip(names, values, strict=True):
        try:
            tensors.append(v if isinstance(v, torch.Tensor) else torch.as_tensor(v, device=device))
        except (TypeError, ValueError, RuntimeError) as e:
            raise _no_array(name, v, "a tensor") from e
    _refuse_complex(names, [t.is_complex() for t in tensors])
    strong = [
        t.dtype for t, v in zip(tensors, values, strict=True) if t.is_floating_point() and not isinstance(v, float)
    ]
    dtype = torch.get_default_dtype() if not strong else strong[0]
    for other in strong[1:]:
        dtype = torch.promote_types(dtype, other)
    return [t if t.dtype == dtype else t.to(dtype) for t in tensors]


def _jax(names: Sequence[str], values: Sequence[Any]) -> list[Any]:
    import jax
    import jax.numpy as jnp

    arrays = []
    for name, v in zip(names, values, strict=True):
        try:
            arrays.append(v if isinstance(v, jax.Array) else jnp.asarray(v))
        except (TypeError, ValueError) as e:
            raise _no_array(name, v, "an array") from e
    _refuse_complex(names, [jnp.issubdtype(a.dtype, jnp.complexfloating) for a in arrays])
    strong = [
        a.dtype
        for a, v in zip(arrays, values, strict=True)
        if jnp.issubdtype(a.dtype, jnp.floating) and not isinstance(v, float)
    ]
    dtype = jnp.result_type(*strong) if strong else jnp.result_type(float)
    return [a if a.dtype == dtype else a.astype(dtype) for a in arrays]


def _dask(names: Sequence[str], values: Sequence[Any]) -> list[Any]:
    import dask.array as da
    import numpy as np

    arrays = []
    for name, v in zip(names, values, strict=True):
        try:
            array = v if isinstance(v, da.Array) else da.asarray(np.asarray(v))
        except ValueError as e:
            raise _no_array(name, v, "an array") from e
        if array.dtype.kind not in "biufc":
            raise _no_array(name, v, "an array of numbers")
        arrays.append(array)
    _refuse_complex(names, [a.dtype.kind == "c" for a in arrays])
    strong = [a.dtype for a, v in zip(arrays, values, strict=True) if a.dtype.kind == "f" and not isinstance(v, float)]
    dtype = np.result_type(*strong) if strong else np.dtype(float)
    return [a if a.dtype == dtype else a.astype(dtype) for a in arrays]


def _standard(names: Sequence[str], values: Sequence[Any]) -> list[Any]:
    import array_api_compat as compat

    there = [v for v in values if compat.is_array_api_obj(v)]
    for name, v in zip(names, values, strict=True):
        if not compat.is_array_api_obj(v) and not isinstance(v, int | float):
            raise _no_array(name, v, "an array that follows the array API standard")
    if not there:
        raise ArgumentError(f"{names[0]} is a number, so that no array says which library is meant")
    try:
        xp = compat.array_namespace(*there)
    except TypeError as e:
        raise ArgumentError(f"the arguments are arrays of several libraries: {e}") from e
    _refuse_complex(names, [compat.is_array_api_obj(v) and xp.isdtype(v.dtype, "complex floating") for v in values])
    strong = [a.dtype for a in there if xp.isdtype(a.dtype, "real floating")]
    dtype = xp.result_type(*strong) if strong else xp.__array_namespace_info__().default_dtypes()["real floating"]
    device = compat.device(there[0])
    return [
        (v if v.dtype == dtype else xp.astype(v, dtype))
        if compat.is_array_api_obj(v)
        else xp.asarray(v, dtype=dtype, device=device)
        for v in values
    ]


def labels(library: str, name: str, value: Any, like: Any) -> Any:
    """Whole numbers as an array, in the precision that they have, where ``like`` lies."""
    if library == "torch":
        import torch

        return value if isinstance(value, torch.Tensor) else torch.as_tensor(value, device=like.device)
    if library == "jax":
        import jax.numpy as jnp

        return jnp.asarray(value)
    if library == "dask":
        import dask.array as da

        return value if isinstance(value, da.Array) else da.asarray(value)
    import array_api_compat as compat

    if not compat.is_array_api_obj(value):
        raise _no_array(name, value, "an array that follows the array API standard")
    return value


_CONVERTERS: dict[str, Callable[[Sequence[str], Sequence[Any]], list[Any]]] = {
    "torch": _torch,
    "jax": _jax,
    "dask": _dask,
    "cupy": _standard,
    "array-api": _standard,
}


def _no_array(name: str, value: Any, wanted: str) -> ArgumentError:
    return ArgumentError(f"{name} must be {wanted}, not {type(value).__name__}")


def _refuse_complex(names: Sequence[str], which: Sequence[bool]) -> None:
    for name, is_complex in zip(names, which, strict=True):
        if is_complex:
            raise ArgumentError(f"{name} is complex", hint="NumPy callables take complex arrays where they may")


__all__ = ["converted", "labels"]
