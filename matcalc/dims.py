"""Symbolic dimensions: polynomials with integer coefficients in named sizes (``n``, ``m*n``, ``n + 1``).

Dimensions are interned, so equal ones are the same object and shapes compare at the cost of two pointers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from matcalc.errors import LimitError

Monomial: TypeAlias = tuple[str, ...]

MAX_DEGREE = 64  # of a product of dimensions: repeated Kronecker products double it each time
MAX_SIZE = 10**18  # of a dimension that is a number


class Dim:
    """A symbolic number of rows or columns."""

    __slots__ = ("__weakref__", "name", "names", "terms")
    terms: tuple[tuple[Monomial, int], ...]
    name: str | None  # where the dimension is a single one
    names: frozenset[str]  # all that occur
    _interned: dict[tuple[tuple[Monomial, int], ...], Dim] = {}

    def __new__(cls, terms: Mapping[Monomial, int]) -> Dim:
        key = tuple(sorted(((m, c) for m, c in terms.items() if c), key=lambda t: (-len(t[0]), t[0])))
        known = cls._interned.get(key)
        if known is None:
            known = super().__new__(cls)
            known.terms = key
            known.names = frozenset([name for monomial, _ in key for name in monomial])
            single = len(key) == 1 and len(key[0][0]) == 1 and key[0][1] == 1
            known.name = key[0][0][0] if single else None
            cls._interned[key] = known
        return known

    def __reduce__(self) -> tuple[type[Dim], tuple[dict[Monomial, int]]]:
        return Dim, (dict(self.terms),)

    @property
    def value(self) -> int | None:
        """The number, where the dimension is one."""
        if not self.terms:
            return 0
        if len(self.terms) == 1 and not self.terms[0][0]:
            return self.terms[0][1]
        return None

    @property
    def is_unknown(self) -> bool:
        """Whether it is a name of the parser's own, for a size that is still to be found."""
        return self.name is not None and self.name[0] == "?"

    def __add__(self, other: Dim | int) -> Dim:
        known = _sums.get((self, other))
        if known is None:
            total = dict(self.terms)
            for monomial, c in dim(other).terms:
                total[monomial] = total.get(monomial, 0) + c
            known = _sums[self, other] = Dim(total)
        return known

    __radd__ = __add__

    def __sub__(self, other: Dim | int) -> Dim:
        return self + dim(other) * -1

    def __mul__(self, other: Dim | int) -> Dim:
        known = _products.get((self, other))
        if known is None:
            known = _products[self, other] = self._times(other)
        return known

    def _times(self, other: Dim | int) -> Dim:
        total: dict[Monomial, int] = {}
        for m1, c1 in self.terms:
            for m2, c2 in dim(other).terms:
                m = tuple(sorted(m1 + m2))
                total[m] = total.get(m, 0) + c1 * c2
                if len(m) > MAX_DEGREE or abs(total[m]) > MAX_SIZE:
                    raise LimitError(
                        f"a dimension is a product of more than {MAX_DEGREE} sizes, or beyond 10^18",
                        hint="take fewer Kronecker products of Kronecker products",
                    )
        return Dim(total)

    __rmul__ = __mul__

    def substitute(self, values: Mapping[str, Dim | int]) -> Dim:
        """The polynomial with names replaced by dimensions."""
        if self.name is not None:
            return dim(values.get(self.name, self))
        if self is ONE or self.names.isdisjoint(values):
            return self
        total = Dim({})
        for monomial, c in self.terms:
            product = Dim({(): c})
            for name in monomial:
                product = product * dim(values.get(name, name))
            total = total + product
        return total

    def evaluate(self, sizes: Mapping[str, int]) -> int:
        """The number for given sizes; KeyError where a name has none."""
        total = 0
        for monomial, c in self.terms:
            for name in monomial:
                c *= sizes[name]
            total += c
        return total

    def __str__(self) -> str:
        if not self.terms:
            return "0"
        out = ""
        for monomial, c in self.terms:
            sign = ("-" if c < 0 else "") if not out else (" - " if c < 0 else " + ")
            size = abs(c)
            body = "*".join(monomial)
            out += sign + (str(size) if not body else body if size == 1 else f"{size}*{body}")
        return out

    def __repr__(self) -> str:
        return f"Dim({self})"


# What has been computed is kept, as the dimensions themselves are.
_sums: dict[tuple[Dim, Dim | int], Dim] = {}
_products: dict[tuple[Dim, Dim | int], Dim] = {}

DimLike: TypeAlias = Dim | int | str


def dim(value: DimLike) -> Dim:
    """The dimension of that name or number."""
    if isinstance(value, Dim):
        return value
    return Dim({(value,): 1} if isinstance(value, str) else {(): value})


ONE = dim(1)

Shape: TypeAlias = tuple[Dim, Dim]
SCALAR: Shape = (ONE, ONE)


def shape_text(shape: Shape) -> str:
    """A shape as the language declares it: ``R``, ``R^n``, ``R^{m x n}``."""
    rows, cols = shape
    if cols is ONE:
        if rows is ONE:
            return "R"
        text = str(rows)
        return f"R^{text}" if text.isalnum() else f"R^{{{text}}}"
    return f"R^{{{rows} x {cols}}}"
