"""Smooth maps in the places of those of which nothing is known, with their derivatives of every order by formula.

Each output is ``c + <a, z> + z'*Q*z/2 + s*sin(<w, z> + p)``, where z holds all arguments, one vec below the other, and
the numbers come from the names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias
from zlib import crc32

from matcalc.primitives.base import Sizes
from matcalc.primitives.maps import Map

# From the arguments differentiated by (counted from 0), the values of all arguments and the sizes: the derivative.
MapDerivatives: TypeAlias = Callable[[tuple[int, ...], Sequence[Any], Mapping[str, int]], Any]


def map_stand_in(function: Map) -> MapDerivatives:
    """A smooth map with the shapes of ``function``."""

    def derivative(slots: tuple[int, ...], x: Sequence[Any], sizes: Sizes) -> Any:
        import numpy

        arguments = [a.reshape(-1, order="F") for a in x]
        z = numpy.concatenate(arguments)
        places: list[slice] = []
        for a in arguments:
            first = places[-1].stop if places else 0
            places.append(slice(first, first + len(a)))
        outputs = function.range[0].evaluate(sizes) * function.range[1].evaluate(sizes)
        by = [places[slot] for slot in slots]
        tensor = numpy.array([_output(f"{function.name} {k}", z, by) for k in range(outputs)], dtype=object)
        # vec of a derivative stacks its columns: of all axes the first changes fastest
        return tensor.reshape([d.evaluate(sizes) for d in function.shape(slots)], order="F")

    return derivative


def _output(name: str, z: Any, by: Sequence[slice]) -> Any:
    """The derivative of one output at ``z`` by parts of it, an array with an axis for each."""
    import mpmath
    import numpy

    a, w, q, (c, p, s) = _numbers(name, len(z))
    out = s * mpmath.sin(w.dot(z) + p + len(by) * mpmath.pi / 2)
    for part in by:
        out = numpy.multiply.outer(out, w[part])
    if not by:
        return out + c + a.dot(z) + z.dot(q.dot(z)) / 2
    if len(by) == 1:
        return out + a[by[0]] + q[by[0]].dot(z)
    return out + q[by[0], by[1]] if len(by) == 2 else out


@lru_cache(maxsize=1024)
def _numbers(name: str, n: int) -> tuple[Any, Any, Any, tuple[Any, Any, Any]]:
    """Numbers between -1 and 1, whole multiples of 1/64: of one output with n entries of the arguments together."""
    import mpmath
    import numpy

    def number(*key: object) -> Any:
        return mpmath.mpf(crc32(f"{name} {key}".encode()) % 129 - 64) / 64

    a = numpy.array([number("a", i) for i in range(n)], dtype=object)
    w = numpy.array([number("w", i) for i in range(n)], dtype=object)
    q = numpy.array([[number("q", min(i, j), max(i, j)) for j in range(n)] for i in range(n)], dtype=object)
    return a, w, q, (number("c"), number("p"), 1 + number("s") / 2)


__all__ = ["MapDerivatives", "map_stand_in"]
