"""Arithmetic for the numeric meaning of primitives: 2-D NumPy arrays of mpmath numbers, to any precision.

Slow and plain on purpose: it shares nothing with the generated code that it is the truth for.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any


def number(value: Any) -> Any:
    """An mpmath number; a float is taken as the decimal that it prints as, so ``0.1`` means one tenth."""
    import mpmath

    if isinstance(value, Fraction):
        return mpmath.mpf(value.numerator) / value.denominator
    return mpmath.mpf(repr(value) if isinstance(value, float) else value)


def scalar(value: Any) -> Any:
    import numpy

    out = numpy.empty((1, 1), dtype=object)
    out[0, 0] = value
    return out


def entrywise(function: Any, *arrays: Any) -> Any:
    import numpy

    return numpy.frompyfunc(function, len(arrays), 1)(*arrays)


def to_mp(a: Any) -> Any:
    import mpmath

    return mpmath.matrix(a.tolist())


def from_mp(a: Any) -> Any:
    import numpy

    out = numpy.empty((a.rows, a.cols), dtype=object)
    for i in range(a.rows):
        for j in range(a.cols):
            out[i, j] = a[i, j]
    return out


def inverse(a: Any) -> Any:
    import mpmath

    return from_mp(mpmath.inverse(to_mp(a)))


def minor(a: Any, i: int, j: int) -> Any:
    import numpy

    return numpy.delete(numpy.delete(a, i, 0), j, 1)


def determinant(a: Any) -> Any:
    import mpmath

    return mpmath.det(to_mp(a)) if a.size else mpmath.mpf(1)


def matrix_product(a: Any, b: Any) -> Any:
    return a.dot(b)
