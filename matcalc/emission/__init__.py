"""The plan of a callable as a self-contained function in other languages and for other array libraries.

``FORMATS`` names the formats of ``--format`` and the module and function that write each: from what is planned and from
remarks on its conventions (a line each) to text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias

from matcalc.errors import ArgumentError

if TYPE_CHECKING:
    from matcalc.lowering.compiled import Compiled, Functions
    from matcalc.lowering.planned import Planned, Request

Emitter: TypeAlias = "Callable[[Planned, Sequence[str]], str]"

FORMATS = {
    "python": ("matcalc.emission.python", "python_source"),
    "torch": ("matcalc.emission.arrays", "torch_source"),
    "jax": ("matcalc.emission.arrays", "jax_source"),
    "julia": ("matcalc.emission.julia", "julia_source"),
    "matlab": ("matcalc.emission.matlab", "matlab_source"),
    "c": ("matcalc.emission.c", "c_source"),
}


def source(format: str | None, request: Request, remarks: Sequence[str] = ()) -> str:
    """The text of a function: as NumPy's callable runs it, or self-contained in one of the formats."""
    if format is None:
        from matcalc.lowering.compiled import module_of

        return module_of(request).source
    from matcalc.lowering.planned import planned

    return emitted(planned(request), format, remarks)


def emitted(planned: Planned, format: str, remarks: Sequence[str] = ()) -> str:
    """The function as text in one of the formats.

    Raises   ArgumentError when there is no such format
    """
    if format not in FORMATS:
        raise ArgumentError(f"{format!r} is no format of source", hint=f"there is {', '.join(FORMATS)}")
    module, function = FORMATS[format]
    emit: Emitter = getattr(import_module(module), function)
    return emit(planned, remarks)


def compiled(library: str, request: Request, functions: Functions | None = None) -> Compiled:
    """A callable for the arrays of a library: a :class:`Compiled` for NumPy, else an :class:`ArrayFunction`."""
    if library == "numpy":
        from matcalc.lowering.compiled import compile_requested

        return compile_requested(request, functions)
    from matcalc.emission import arrays

    return arrays.compile_requested(library, request, functions)  # type: ignore[return-value]  # it is used as one


__all__ = ["FORMATS", "compiled", "emitted", "source"]
