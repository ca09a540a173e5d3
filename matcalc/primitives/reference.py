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


_SMALL = 1000  # multiplications


def matrix_product(a: Any, b: Any) -> Any:
    """The product; in large matrices zeros are passed over, as those of Jacobians have many."""
    if a.shape[0] * a.shape[1] * b.shape[1] <= _SMALL:
        return a.dot(b)
    import numpy

    out = numpy.zeros((a.shape[0], b.shape[1]), dtype=int).astype(object)
    places = [numpy.flatnonzero(row) for row in b.astype(bool)]
    for total, row in zip(out, a, strict=True):
        for k in numpy.flatnonzero(row.astype(bool)):
            total[places[k]] += b[k, places[k]] * row[k]
    return out


_SCALED = 8  # the series is that of a matrix of norm 2^-8 at most


def exponential(a: Any) -> Any:
    """exp(A), by Taylor's series of A/2^s, squared s times; zeros of large matrices are passed over."""
    import mpmath
    import numpy

    largest = abs(a).sum(axis=1).max() if a.size else 0
    squarings = max(0, int(mpmath.ceil(mpmath.log(largest, 2))) + _SCALED) if largest else 0
    with mpmath.workprec(mpmath.mp.prec + 2 * squarings + 20):
        small = a * mpmath.ldexp(1, -squarings)
        out = term = numpy.eye(len(a), dtype=int).astype(object)
        terms = 0
        while abs(term).max() > mpmath.eps:
            terms += 1
            term = matrix_product(term, small) * (mpmath.mpf(1) / terms)
            out = out + term
        for _ in range(squarings):
            out = matrix_product(out, out)
    return out * mpmath.mpf(1)
