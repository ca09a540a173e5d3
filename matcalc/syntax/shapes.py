"""Unification of shapes: what follows of dimensions that nobody declared.

An unknown dimension is a name that begins with ``?``. It stands for a size other than 1: that a name is a vector and
not a number is decided by its kind (kinds.py), never by the way.
"""

from __future__ import annotations

from collections.abc import Iterable

from matcalc.dims import ONE, Dim, Shape, dim
from matcalc.expr import DimMismatch

PREFERRED = ["m", "n", "p", "q", "k", "r", "s", "t", "u", "v"]  # names for dimensions that are inferred; one alone is n


class Unifier:
    """What is known of the unknown dimensions; ``same`` is what the shape rules of primitives call."""

    def __init__(self) -> None:
        self.known: dict[str, Dim] = {}
        self.count = 0

    def fresh(self) -> Dim:
        self.count += 1
        return dim(f"?{self.count:04d}")

    def copy(self) -> Unifier:
        other = Unifier()
        other.known, other.count = dict(self.known), self.count
        return other

    def resolve(self, size: Dim) -> Dim:
        while not self.known.keys().isdisjoint(size.names):
            size = size.substitute(self.known)
        return size

    def shape(self, shape: Shape) -> Shape:
        return (self.resolve(shape[0]), self.resolve(shape[1])) if self.known else shape

    def same(self, a: Dim, b: Dim) -> Dim:
        """The dimension that both are; binds unknowns.

        Raises   DimMismatch
        """
        a, b = self.resolve(a), self.resolve(b)
        if a is b:
            return a
        if self.bind(a, b) or self.bind(b, a) or self.solve(a, b):
            return self.resolve(a)
        raise DimMismatch(a, b)

    def bind(self, unknown: Dim, value: Dim) -> bool:
        name = unknown.name
        if name is None or name[0] != "?" or value is ONE or name in value.names:
            return False
        other = value.name
        if other is not None and other[0] == "?" and other > name:  # the later one goes
            name, value = other, unknown
        self.known[name] = value
        return True

    def solve(self, a: Dim, b: Dim) -> bool:
        """Binds an unknown that occurs once, with coefficient 1, in a + ... = b; or factor by factor in a product."""
        rest = a - b
        for monomial, c in rest.terms:
            if len(monomial) == 1 and monomial[0][0] == "?" and abs(c) == 1:
                name = monomial[0]
                value = rest * -c + dim(name)
                if name not in value.names and value is not ONE and not (value.value is not None and value.value < 1):
                    self.known[name] = value
                    return True
        if len(a.terms) == len(b.terms) == 1 and a.terms[0][1] == b.terms[0][1]:
            left, right = list(a.terms[0][0]), list(b.terms[0][0])
            for name in tuple(left):
                if name in right:
                    left.remove(name)
                    right.remove(name)
            if len(left) == len(right) and all("?" in (x[0], y[0]) for x, y in zip(left, right, strict=True)):
                for x, y in zip(left, right, strict=True):
                    self.same(dim(x), dim(y))
                return True
        return False


def unknowns(shapes: Iterable[Shape]) -> list[str]:
    """The unknown dimensions of some shapes, in order of appearance."""
    found: dict[str, None] = {}
    for shape in shapes:
        for size in shape:
            for monomial, _ in size.terms:
                found.update((name, None) for name in monomial if name[0] == "?")
    return list(found)


def nice_names(names: list[str], taken: set[str]) -> dict[str, Dim]:
    """Names for unknown dimensions: n if there is one, else m, n, p, ...; none of ``taken``."""
    if len(names) == 1 and "n" not in taken:
        return {names[0]: dim("n")}
    free = [name for name in PREFERRED if name not in taken]
    number = 0
    while len(free) < len(names):
        number += 1
        free += [name for name in (f"n{number}",) if name not in taken]
    return {name: dim(nice) for name, nice in zip(names, free, strict=False)}
