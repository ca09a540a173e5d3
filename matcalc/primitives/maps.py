"""Maps of which only the name and the shapes are known: ``net: R^p -> R^o``. They are differentiable as often as asked.

The derivatives of a map are maps of the same arguments, written as operators on its name:

    jac(f, i)(x, y)      d vec(f) = jac(f, i)(x, y)*vec(dx_i), of size(f) x size(x_i)
    grad(l, i)(x, y)     of a map to the numbers: of the shape of x_i, dl = <grad(l, i)(x, y), dx_i>
    hess(l, i, j)(x, y)  d vec(grad(l, i)) = hess(l, i, j)(x, y)*vec(dx_j); hess(l, j, i) is its transpose
    jac(jac(f, i), j)    and so on, of vec(jac(f, i)); of hess(l, i, j) likewise

The numbers of arguments are left out where there is only one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any, ClassVar, final

from matcalc.dims import ONE, SCALAR, Dim, Shape, shape_text
from matcalc.expr import Expr, make
from matcalc.facts import NOTHING, SYMMETRIC, Facts
from matcalc.primitives.algebra import product
from matcalc.primitives.base import Args, Same, Sizes, Smooth, zeros
from matcalc.primitives.products import inner
from matcalc.primitives.structure import reshape, vec


@final
class Map:
    """A differentiable map; ``domains`` and ``range`` are the shapes of its arguments and of its value."""

    kind: ClassVar[str] = "map"
    _known: ClassVar[dict[tuple[Any, ...], Map]] = {}
    name: str
    domains: tuple[Shape, ...]
    range: Shape

    def __new__(cls, name: str, domains: tuple[Shape, ...], range: Shape) -> Map:
        known = cls._known.get((name, domains, range))
        if known is None:
            known = cls._known[name, domains, range] = super().__new__(cls)
            known.name, known.domains, known.range = name, domains, range
        return known

    def __call__(self, *x: Expr) -> Expr:
        return make(Mapped(self, ()), x)

    def __reduce__(self) -> tuple[type[Map], tuple[Any, ...]]:
        return Map, (self.name, self.domains, self.range)

    @property
    def is_scalar(self) -> bool:
        return self.range == SCALAR

    @property
    def signature(self) -> str:
        """As a declaration writes it: ``R^n, R^p -> R^m``."""
        return f"{self.domains_text} -> {shape_text(self.range)}"

    @property
    def domains_text(self) -> str:
        return ", ".join(map(shape_text, self.domains))

    def shape(self, slots: Sequence[int]) -> Shape:
        """The shape of the derivative by these arguments, one after the other."""
        shape = self.range
        for order, slot in enumerate(slots, 1):
            first = order == 1 and self.is_scalar
            shape = self.domains[slot] if first else (_size(shape), _size(self.domains[slot]))
        return shape

    def __repr__(self) -> str:
        return f"{self.name}: {self.signature}"


@final
class Mapped(Smooth):
    """A map, or its derivative by arguments (counted from 0, one after the other), at a point.

    Rule     d f(x, y) = jac(f, 1)(x, y)*dx + jac(f, 2)(x, y)*dy
    Shapes   x in R^n, y in R^p -> R^m
    Source   MN19 5.12
    """

    fields = ("function", "by")
    function: Map
    by: tuple[int, ...]
    source = "MN19 5.12"

    def infer(self, shapes: tuple[Shape, ...], same: Same) -> Shape:
        for (rows, cols), (m, n) in zip(shapes, self.function.domains, strict=True):
            same(m, rows)
            same(n, cols)
        return self.function.shape(self.by)

    def differential(self, y: Expr, x: Args, dx: Args) -> Expr:
        total = zeros(y.shape)
        for slot, d in enumerate(dx):
            if not d.is_zero:
                total = total + self.moved(slot, y.shape, x, d)
        return total

    def moved(self, slot: int, shape: Shape, x: Args, d: Expr) -> Expr:
        """What the value moves by when the argument in ``slot`` moves by ``d``."""
        slope = derived(self.function, (*self.by, slot), x)
        if self.function.is_scalar and not self.by:
            return inner(slope, d)
        step = product(slope, d.T if d.is_row else vec(d))
        return step.T if shape[0] is ONE else reshape(step, shape)

    def facts(self, x: Args) -> Facts:
        if len(self.by) == 2 and self.function.is_scalar and self.by[0] == self.by[1]:
            return frozenset({SYMMETRIC})
        return NOTHING

    def value(self, sizes: Sizes, *x: Any) -> Any:
        raise TypeError(f"the value of {self} is given from outside")

    def head(self, name: str = "") -> str:
        """What stands before the arguments: ``f``, ``jac(f, 2)``, ``hess(l)``; ``name`` is another spelling of f."""
        name = name or self.function.name
        single = len(self.function.domains) == 1
        words = ("", "grad", "hess") if self.function.is_scalar else ("",)
        last = min(len(self.by), len(words) - 1)
        if last:
            places = "" if single else "".join(f", {slot + 1}" for slot in self.by[:last])
            name = f"{words[last]}({name}{places})"
        for slot in self.by[last:]:
            name = f"jac({name})" if single else f"jac({name}, {slot + 1})"
        return name

    def __str__(self) -> str:
        return self.head()


def derived(function: Map, slots: tuple[int, ...], x: Args) -> Expr:
    """The derivative at ``x``. Of the two blocks of a Hessian that are each other's transposes, one is written."""
    if function.is_scalar and len(slots) == 2 and slots[0] > slots[1]:
        return make(Mapped(function, slots[::-1]), x).T
    return make(Mapped(function, slots), x)


def _size(shape: Shape) -> Dim:
    return reduce(lambda a, b: a * b, shape)


__all__ = ["Map", "Mapped", "derived"]
