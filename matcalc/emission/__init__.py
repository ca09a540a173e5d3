"""The plan of a callable as a self-contained function in other languages and for other array libraries.

``FORMATS`` names the formats of ``--format`` and the module and function that write each: from what is planned and from
remarks on its conventions (a line each) to text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

from matcalc.errors import ArgumentError
from matcalc.expr import Expr

if TYPE_CHECKING:
    from matcalc.lowering import Compiled
    from matcalc.lowering.compiled import Planned

Outputs: TypeAlias = Expr | Mapping[str, Expr]
Emitter: TypeAlias = "Callable[[Planned, Sequence[str]], str]"

FORMATS = {
    "python": ("matcalc.emission.python", "python_source"),
    "torch": ("matcalc.emission.arrays", "torch_source"),
    "jax": ("matcalc.emission.arrays", "jax_source"),
    "julia": ("matcalc.emission.julia", "julia_source"),
    "matlab": ("matcalc.emission.matlab", "matlab_source"),
    "c": ("matcalc.emission.c", "c_source"),
}


def source(
    format: str | None, outputs: Outputs, arguments: Sequence[Expr], remarks: Sequence[str] = (), **options: Any
) -> str:
    """The text of a function: as NumPy's callable runs it, or self-contained in one of the formats."""
    if format is None:
        from matcalc.lowering import numpy_source

        return numpy_source(outputs, arguments, **options).source
    from matcalc.lowering.compiled import planned

    return emitted(planned(outputs, arguments, **options), format, remarks)


def emitted(planned: Planned, format: str, remarks: Sequence[str] = ()) -> str:
    """The function as text in one of the formats.

    Raises   ArgumentError when there is no such format
    """
    if format not in FORMATS:
        raise ArgumentError(f"{format!r} is no format of source", hint=f"there is {', '.join(FORMATS)}")
    module, function = FORMATS[format]
    emit: Emitter = getattr(import_module(module), function)
    return emit(planned, remarks)


def compiled(library: str, outputs: Outputs, arguments: Sequence[Expr], **options: Any) -> Compiled:
    """A callable for the arrays of a library: a :class:`Compiled` for NumPy, else an :class:`ArrayFunction`."""
    if library == "numpy":
        from matcalc.lowering import compile_numpy

        return compile_numpy(outputs, arguments, **options)
    from matcalc.emission.arrays import compile_arrays

    return compile_arrays(library, outputs, arguments, **options)  # type: ignore[return-value]  # it is used as one


__all__ = ["FORMATS", "compiled", "emitted", "source"]
