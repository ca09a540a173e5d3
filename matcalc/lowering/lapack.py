"""Factorisations that generated code computes once and uses several times, by SciPy's LAPACK.

``cholesky(S, "S")``, ``symmetric(S, "S")`` and ``lu(A, "A")`` give a factor with ``solve``, ``inverse``, ``det`` and
``logdet``; the text is the formula of the matrix, for errors. SciPy is loaded by the first of them. The routine is
chosen by the precision once, when the factor is made, and called as it is: at order 5 a call of LAPACK takes less than
a microsecond.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log, prod
from operator import ne
from typing import Any, ClassVar, NoReturn

import numpy as np

from matcalc.errors import ArgumentError

Array = Any
Routine = Callable[..., Any]

_TINY = 12  # order up to which fewer calls count: an inverse is the solution for the identity matrix
_BLOCK = 64  # of rows; also what LAPACK takes as its block: with less work space it goes column by column
_LARGEST = {"f": 3e38, "F": 3e38, "d": float("inf"), "D": float("inf")}
_WORTH_LOADING = 64  # order from which a single inverse is so much faster by LAPACK that SciPy is loaded for it


class Cholesky:
    """``S = L*L'`` of a real positive definite matrix, of which the lower triangle is read."""

    __slots__ = ("_factor",)
    potrf: ClassVar[Routine]
    potrs: ClassVar[Routine]
    potri: ClassVar[Routine]
    trtrs: ClassVar[Routine]

    def __init__(self, a: Array, name: str) -> None:
        self._factor, failed = self.potrf(a.T, 0, 0)
        if failed:
            if not _is_finite(a):
                self._factor = np.full(a.shape, np.nan, a.dtype)
                return
            raise ArgumentError(f"{name} is not positive definite, although it should be by the declarations")

    def solve(self, b: Array) -> Array:
        """``S^-1*b``."""
        return self.potrs(self._factor, b)[0]

    def inverse(self, over: bool = False) -> Array:
        """The inverse; ``over`` says that it may be written over the factor."""
        if len(self._factor) <= _TINY:
            return self.potrs(self._factor, _identity(len(self._factor), self._factor.dtype.char))[0]
        return mirrored(self.potri(self._factor, 0, over)[0])

    def inverse_diagonal(self) -> Array:
        if len(self._factor) <= _TINY:
            return self.inverse().diagonal()
        return self.potri(self._factor)[0].diagonal()

    def gram(self, b: Array) -> Array:
        """``b'*S^-1*b``."""
        half = self.trtrs(self._factor, b, 0, 1)[0]
        return half.T.dot(half)

    def det(self) -> Array:
        diagonal = self._factor.diagonal()
        return _product(diagonal * diagonal)

    def logdet(self) -> Array:
        diagonal = self._factor.diagonal()
        if len(diagonal) <= _TINY:
            return diagonal.dtype.type(2 * sum(map(log, diagonal.tolist())))
        return 2 * np.add.reduce(np.log(diagonal))


class Lu:
    """``A = P*L*U`` of a square matrix, real or complex; complex ones are transposed, never conjugated."""

    __slots__ = ("_factor", "_name", "_pivots", "_singular")
    getrf: ClassVar[Routine]
    getrs: ClassVar[Routine]
    getri: ClassVar[Routine]

    def __init__(self, a: Array, name: str) -> None:
        self._name = name
        # What lies row by row is factored as its transpose, which lies column by column as LAPACK has it.
        self._factor, self._pivots, self._singular = self.getrf(a.T)

    def solve(self, b: Array) -> Array:
        """``A^-1*b``."""
        if self._singular:
            self._refuse()
        return self.getrs(self._factor, self._pivots, b, 1)[0]

    def solve_transposed(self, b: Array) -> Array:
        """``A'^-1*b``."""
        if self._singular:
            self._refuse()
        return self.getrs(self._factor, self._pivots, b)[0]

    def inverse(self, over: bool = False) -> Array:
        if self._singular:
            self._refuse()
        order = len(self._pivots)
        return self.getri(self._factor, self._pivots, order if order <= _BLOCK else order * _BLOCK, over)[0].T

    def inverse_diagonal(self) -> Array:
        return self.inverse().diagonal()

    def gram(self, b: Array) -> Array:
        """``b'*A^-1*b``."""
        return b.T.dot(self.solve(b))

    def det(self) -> Array:
        swaps = sum(map(ne, self._pivots.tolist(), range(len(self._pivots))))
        return _product(self._factor.diagonal(), bool(swaps & 1))

    def logdet(self) -> Array:
        """``log|det A|``."""
        size = abs(self._factor.diagonal())
        return size.dtype.type(-np.inf) if self._singular else np.add.reduce(np.log(size))

    def _refuse(self) -> NoReturn:
        raise ArgumentError(f"{self._name} is singular: it has no inverse")


class _Empty:
    """A matrix without rows."""

    __slots__ = ("_a",)

    def __init__(self, a: Array) -> None:
        self._a = a

    def solve(self, b: Array) -> Array:
        return b.copy()

    solve_transposed = solve

    def inverse(self, over: bool = False) -> Array:
        return self._a.copy()

    def inverse_diagonal(self) -> Array:
        return self._a.diagonal()

    def gram(self, b: Array) -> Array:
        return b.T.dot(b)

    def det(self) -> Array:
        return self._a.dtype.type(1)

    def logdet(self) -> Array:
        return self._a.real.dtype.type(0)


# By the character of the precision. Complex numbers, which come where derivatives are taken by complex steps, have no
# Cholesky factor that would be analytic.
_cholesky: dict[str, type[Cholesky] | type[Lu]] = {}
_lu: dict[str, type[Lu]] = {}


def cholesky(a: Array, name: str) -> Any:
    """The factor of a matrix that is known to be positive definite.

    Raises   ArgumentError naming the matrix where it is not
    """
    kind = _cholesky.get(a.dtype.char)
    if kind is None:
        _load()
        kind = _cholesky[a.dtype.char]
    return kind(a, name) if a.size else _Empty(a)


def symmetric(a: Array, name: str) -> Any:
    """The factor of a symmetric matrix: by Cholesky where it is positive definite, as most that are inverted are."""
    try:
        return cholesky(a, name)
    except ArgumentError:
        return lu(a, name)


def lu(a: Array, name: str) -> Any:
    """The factor of a matrix; that it is singular is an ArgumentError where it is to be inverted."""
    kind = _lu.get(a.dtype.char)
    if kind is None:
        _load()
        kind = _lu[a.dtype.char]
    if a.shape[0] != a.shape[1]:  # a factor of a Kronecker product that is square as a whole
        raise ArgumentError(f"{name} is not square: it has no inverse")
    return kind(a, name) if a.size else _Empty(a)


def inverse(a: Array, name: str) -> Array:
    """The inverse, of a matrix of which nothing else is needed.

    Raises   ArgumentError naming the matrix where it is singular
    """
    if len(a) >= _WORTH_LOADING:
        return lu(a, name).inverse()
    try:
        return np.linalg.inv(a)
    except np.linalg.LinAlgError:
        raise ArgumentError(f"{name} is singular: it has no inverse") from None


def _load() -> None:
    from scipy.linalg import lapack

    for letter, char in zip("sdcz", "fdFD", strict=True):
        routines = {name: getattr(lapack, letter + name) for name in ("getrf", "getrs", "getri")}
        _lu[char] = type("Lu", (Lu,), {"__slots__": (), **routines})
        if letter in "sd":
            routines = {name: getattr(lapack, letter + name) for name in ("potrf", "potrs", "potri", "trtrs")}
            _cholesky[char] = type("Cholesky", (Cholesky,), {"__slots__": (), **routines})
        else:
            _cholesky[char] = _lu[char]


def _is_finite(a: Array) -> bool:
    return bool(np.isfinite(a).all())


def _product(diagonal: Array, negative: bool = False) -> Array:
    """The product of the entries, which may be a number where products of some of them are too large or too small."""
    found = prod(diagonal.tolist())  # of Python's numbers, which become infinite without a warning
    kind = diagonal.dtype.type
    if found and abs(found) < _LARGEST[diagonal.dtype.char]:
        return kind(-found if negative else found)
    with np.errstate(all="ignore"):
        size = abs(diagonal)
        sign = np.multiply.reduce(diagonal / np.where(size == 0, 1, size))
        return kind((-sign if negative else sign) * np.exp(np.add.reduce(np.log(size))))


_identities: dict[tuple[int, str], Array] = {}


def _identity(order: int, char: str) -> Array:
    found = _identities.get((order, char))
    if found is None:
        found = _identities[order, char] = np.asfortranarray(np.eye(order, dtype=char))
    return found


_masks: dict[tuple[int, str], Array] = {}


def _mask(order: int, char: str) -> Array:
    """What leaves an upper triangle, and half of the diagonal."""
    found = _masks.get((order, char))
    if found is None:
        found = np.triu(np.ones((order, order), char))
        found.reshape(-1)[:: order + 1] = 0.5
        _masks[order, char] = found = np.asfortranarray(found)
    return found


def mirrored(a: Array) -> Array:
    """The symmetric matrix whose upper triangle ``a`` has, which is overwritten."""
    order = len(a)
    if order <= _BLOCK:
        a *= _mask(order, a.dtype.char)
        return a.T + a
    for start in range(0, order, _BLOCK):
        stop = min(start + _BLOCK, order)
        block = a[start:stop, start:stop]
        block *= _mask(_BLOCK, a.dtype.char)[: stop - start, : stop - start]
        block += block.T.copy()
        a[stop:, start:stop] = a[start:stop, stop:].T
    return a.T
