"""What a compiled function takes: arguments with symbolic shapes, read and checked.

Generated code tests the usual case in a line of its own and comes here for everything else: lists, integers, single
precision, and mistakes, each of which is named with what was expected and why.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from matcalc.dims import Dim, dim
from matcalc.errors import ArgumentError


class Binding(NamedTuple):
    """Where a size is read: ``(shape[axis] of the argument - rest) / factor``."""

    argument: int
    axis: int
    factor: int
    rest: Dim


_ZERO = dim(0)


def bindings(shapes: Sequence[Sequence[Dim]], given: Sequence[str] = ()) -> dict[str, Binding]:
    """How sizes follow from the shapes of arguments, in an order in which they can be read."""
    found: dict[str, Binding] = {}
    places = [(i, axis, d) for i, shape in enumerate(shapes) for axis, d in enumerate(shape)]
    places.sort(key=lambda place: place[2].name is None)  # first the dimensions that are just a name
    grown = True
    while grown:
        grown = False
        for i, axis, d in places:
            if d.name is not None:
                if d.name not in found and d.name not in given:
                    found[d.name] = Binding(i, axis, 1, _ZERO)
                    grown = True
                continue
            unknown = [name for name in d.names if name not in found and name not in given]
            if len(unknown) != 1:
                continue
            (name,) = unknown
            linear = [c for monomial, c in d.terms if monomial == (name,)]
            rest = Dim({monomial: c for monomial, c in d.terms if monomial != (name,)})
            if linear and name not in rest.names:
                found[name] = Binding(i, axis, linear[0], rest)
                grown = True
    return found


def dimension(text: str) -> Dim:
    """The dimension that ``str`` of one shows: ``n``, ``2*m*n + 1``."""
    total = dim(0)
    for sign, term in re.findall(r"([+-]?)\s*([^\s+-]+)", text):
        product = dim(-1 if sign == "-" else 1)
        for factor in term.split("*"):
            product = product * (int(factor) if factor.isdigit() else factor)
        total = total + product
    return total


class Signature:
    """Arguments by name with their shapes as text (``{"W": "m, n", "a": ""}``), then sizes that no argument shows.

    ``batch``  the arguments whose first axis is that of a batch
    """

    def __init__(
        self,
        shapes: Mapping[str, str],
        sizes: Sequence[str] = (),
        *,
        analytic: bool = False,
        batch: Sequence[str] = (),
    ) -> None:
        self.names = tuple(shapes)
        self.sizes = tuple(sizes)
        self.analytic = analytic
        self.batch = batch
        self._texts = tuple(shapes.values())

    @cached_property  # most callables never need it
    def shapes(self) -> list[tuple[Dim, ...]]:
        return [tuple([dimension(d) for d in text.split(",") if d.strip()]) for text in self._texts]

    @cached_property
    def _bindings(self) -> dict[str, Binding]:
        return bindings(self.shapes, self.sizes)

    def __call__(self, *values: Any) -> Any:
        """The arguments as arrays (numbers for scalars) of one precision, then the sizes.

        Raises   ArgumentError naming the argument, its shape or kind, and what was expected
        """
        import numpy

        arrays = [self._array(name, shape, v) for name, shape, v in zip(self.names, self.shapes, values, strict=False)]
        sizes = [whole(name, v) for name, v in zip(self.sizes, values[len(arrays) :], strict=True)]
        self.check(arrays, dict(zip(self.sizes, sizes, strict=True)))
        strong = [a.dtype for a in arrays if not isinstance(a, float | complex) or isinstance(a, numpy.generic)]
        weak_complex = any(isinstance(a, complex) for a in arrays)
        common = numpy.result_type(*strong) if strong else numpy.dtype(float)
        if weak_complex and common.kind != "c":
            common = numpy.result_type(common, numpy.complex64)
        out: list[Any] = [
            common.type(a) if not shape else a.astype(common, copy=False)
            for a, shape in zip(arrays, self.shapes, strict=True)
        ]
        out += sizes
        return out[0] if len(out) == 1 else out

    def _array(self, name: str, shape: tuple[Dim, ...], value: Any) -> Any:
        import numpy

        if type(value) in (int, float) and not shape:
            try:
                return float(value)
            except OverflowError:
                raise ArgumentError(f"{name} is too large for a float") from None
        if isinstance(value, numpy.ma.MaskedArray):
            raise ArgumentError(
                f"{name} is a masked array, whose mask would be lost", hint=f"fill it first: {name}.filled(...)"
            )
        try:
            array = numpy.asarray(value)
        except ValueError as e:
            raise ArgumentError(f"{name} is no array: {e}") from None
        kind = array.dtype.kind
        if kind in "biu":
            array = array.astype(float)
        elif kind == "c":
            if not self.analytic:
                raise ArgumentError(
                    f"{name} is complex, but the function is not analytic: it takes absolute values, signs or the like",
                    hint="pass real arrays",
                )
        elif kind != "f" or array.dtype.itemsize > 8:
            if hasattr(value, "toarray"):
                raise ArgumentError(f"{name} is a sparse matrix", hint=f"pass {name}.toarray()")
            raise ArgumentError(
                f"{name} holds {array.dtype}, which is not computed with", hint="pass float64 or float32"
            )
        if array.dtype.itemsize == 2:
            array = array.astype(numpy.float32)
        elif not array.dtype.isnative:
            array = array.astype(array.dtype.newbyteorder("="))
        if array.ndim != len(shape):
            hint = "" if name in self.batch else _way_out(name, shape, array)
            raise ArgumentError(f"{name} must be {self.kind(name, shape)} but has shape {array.shape}", hint=hint)
        if not shape:
            return complex(value) if type(value) is complex else array[()]
        return array

    def kind(self, name: str, shape: Sequence[Dim]) -> str:
        """What an argument must be."""
        if name in self.batch:
            return _BATCHES[len(shape) - 1]
        return _RANKS[len(shape)] if len(shape) < len(_RANKS) else f"an array of {len(shape)} axes"

    def check(self, arrays: Sequence[Any], sizes: Mapping[str, int]) -> dict[str, int]:
        """All sizes that the shapes show.

        Raises   ArgumentError where shapes do not agree
        """
        lengths = {name: a.shape[0] for name, a in zip(self.names, arrays, strict=True) if name in self.batch}
        first = next(iter(lengths), "")
        for name, length in lengths.items():
            if length != lengths[first]:
                raise ArgumentError(f"{first} is a batch of {lengths[first]} items and {name} one of {length}")
        known = dict(sizes)
        source = {name: f"{name} = {size}" for name, size in sizes.items()}
        for name, (i, axis, factor, rest) in self._bindings.items():
            length = arrays[i].shape[axis]
            if length != length:  # an array of Dask
                raise ArgumentError(
                    f"how many {_AXES[len(self.shapes[i])][axis]} {self.names[i]} has is not known",
                    hint=f"compute it first: {self.names[i]}.compute_chunk_sizes()",
                )
            value, remainder = divmod(length - rest.evaluate(known), factor)
            if remainder or value < 0:
                d = self.shapes[i][axis]
                what = "entries" if self.names[i] in self.batch else _AXES[len(self.shapes[i])][axis]
                raise ArgumentError(f"{self.names[i]} has {length} {what}, which is not {d} for any {name}")
            known[name] = value
            source[name] = f"{self.names[i]} is {tuple(arrays[i].shape)}"
        for name, shape, array in zip(self.names, self.shapes, arrays, strict=True):
            wanted = [d.evaluate(known) if d.names <= known.keys() else None for d in shape]
            if all(w is None or w == length for w, length in zip(wanted, getattr(array, "shape", ()), strict=True)):
                continue
            reasons = dict.fromkeys(source[n] for d in shape for n in sorted(d.names) if n in source)
            reasons.pop(f"{name} is {tuple(getattr(array, 'shape', ()))}", None)
            letters = _tuple(str(d) for d in shape)
            numbers = _tuple(str(d if w is None else w) for d, w in zip(shape, wanted, strict=True))
            expected = letters if letters == numbers else f"{letters} = {numbers}"
            since = f" since {' and '.join(reasons)}" if reasons else ""
            hint = f"pass {name}.T" if len(wanted) == 2 and list(array.shape[::-1]) == wanted else ""
            raise ArgumentError(
                f"{name} must have shape {expected}{since}, but its shape is {tuple(array.shape)}", hint=hint
            )
        return known

    def explain(self, args: Sequence[Any], keywords: Mapping[str, Any], shown: Sequence[str]) -> str:
        """What is wrong with a call, as to which arguments it gives; empty where nothing is."""
        if len(args) > len(shown):
            return f"{len(args)} arguments are given, {len(shown)} are taken: {', '.join(shown)}"
        twice = [name for name in shown[: len(args)] if name in keywords]
        if twice:
            return f"{', '.join(twice)} is given twice"
        superfluous = [name for name in keywords if name not in shown]
        missing = [name for name in shown[len(args) :] if name not in keywords]
        parts = []
        if missing:
            parts.append(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing")
        if superfluous:
            parts.append(f"{', '.join(superfluous)} {'is' if len(superfluous) == 1 else 'are'} not taken")
        return f"{' and '.join(parts)}; the arguments are {', '.join(shown) or 'none'}" if parts else ""


def whole(name: str, value: Any) -> int:
    """A dimension that is given as an argument.

    Raises   ArgumentError when it is no whole number
    """
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = -1
    if number < 0 or number != value:
        raise ArgumentError(f"{name} is a dimension, so it must be a whole number, not {value!r}")
    return number


_RANKS = ("a number", "a vector (one-dimensional)", "a matrix (two-dimensional)")
_BATCHES = (
    "a batch of numbers (one-dimensional)",
    "a batch of vectors (two-dimensional, one in each row)",
    "a batch of matrices (three-dimensional, the first axis counts them)",
)
_AXES = ((), ("entries",), ("rows", "columns"))


def _tuple(parts: Any) -> str:
    items = list(parts)
    return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"


def _way_out(name: str, shape: tuple[Dim, ...], array: Any) -> str:
    if len(shape) == 1 and array.ndim == 2 and 1 in array.shape:
        return f"pass {name}.ravel()"
    if not shape and array.size == 1:
        return f"pass {name}.item()"
    return ""
