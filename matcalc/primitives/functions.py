"""Scalar functions applied entry by entry: known ones (a row each), declared ones, and ones defined by a formula."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias, final

from matcalc.dims import Shape
from matcalc.expr import Expr, make
from matcalc.facts import NONNEGATIVE, POSITIVE, SYMMETRIC, Facts, facts, size_of_entries
from matcalc.primitives.base import Args, Same, Sizes, Smooth

Slope: TypeAlias = Callable[[Expr, Expr], Expr]


class Function:
    """A function of one number; ``kind`` is "known", "unknown" (declared only) or "defined" (by a formula)."""

    kind: ClassVar[str] = ""
    kink: str = ""
    domain: str = ""
    keeps: Facts = frozenset()  # of its values, whatever the argument
    keeps_sign: bool = False  # it increases through 0

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, x: Expr) -> Expr:
        return make(Elementwise(self, 0), (x,))

    def slope(self, order: int, y: Expr, x: Expr) -> Expr:
        """The derivative of the ``order``-th derivative at ``x``, where that has the value ``y``."""
        return make(Elementwise(self, order + 1), (x,))

    def number(self, order: int, t: Any) -> Any:
        """The value of the ``order``-th derivative at an mpmath number."""
        raise TypeError(f"{self.name} has no formula")

    def __repr__(self) -> str:
        return f"{self.kind} {self.name}"


@final
class Known(Function):
    """A function of the language: its slope in terms of the value ``y`` and the argument ``x``."""

    kind = "known"

    def __init__(
        self,
        name: str,
        slope: Slope,
        value: Callable[[Any], Any],
        code: str,
        latex: str,
        kink: str,
        domain: str,
        keeps: Facts,
        keeps_sign: bool,
    ) -> None:
        super().__init__(name)
        self._slope = slope
        self.value = value
        self.code = code
        self.latex = latex
        self.kink = kink
        self.domain = domain
        self.keeps = keeps
        self.keeps_sign = keeps_sign

    def slope(self, order: int, y: Expr, x: Expr) -> Expr:
        return self._slope(y, x)

    def number(self, order: int, t: Any) -> Any:
        return self.value(t)

    def __reduce__(self) -> tuple[Callable[[str], Known], tuple[str]]:
        return _known, (self.name,)


def _known(name: str) -> Known:
    """The function of that name, of which there is one."""
    from matcalc.primitives.elementwise import FUNCTIONS

    return FUNCTIONS[name]


@final
class Unknown(Function):
    """A differentiable function of which only the name is known; its derivatives are ``phi'``, ``phi''``, ..."""

    kind = "unknown"
    _known: ClassVar[dict[str, Unknown]] = {}

    def __new__(cls, name: str) -> Unknown:
        return cls._known.setdefault(name, super().__new__(cls))

    def __reduce__(self) -> tuple[type[Unknown], tuple[str]]:
        return Unknown, (self.name,)


@final
class Defined(Function):
    """A function defined by a formula in its parameter; its derivatives are found by SymPy when they are needed."""

    kind = "defined"
    _known: ClassVar[dict[tuple[str, Expr, Expr], Defined]] = {}

    def __new__(cls, name: str, parameter: Expr, body: Expr) -> Defined:
        return cls._known.setdefault((name, parameter, body), super().__new__(cls))

    def __init__(self, name: str, parameter: Expr, body: Expr) -> None:
        super().__init__(name)
        self.parameter = parameter
        if not hasattr(self, "_bodies"):
            self._bodies = [body]

    def body(self, order: int) -> Expr:
        """The formula of the ``order``-th derivative, in the parameter."""
        if len(self._bodies) <= order:
            from matcalc.calculus.scalar import derivative
            from matcalc.simplify import simplify

            while len(self._bodies) <= order:
                self._bodies.append(simplify(derivative(self._bodies[-1], self.parameter)))
        return self._bodies[order]

    def number(self, order: int, t: Any) -> Any:
        from matcalc.checks.evaluate import evaluate
        from matcalc.primitives.reference import scalar

        return evaluate([self.body(order)], {self.parameter: scalar(t)}, {})[0][0, 0]

    def __reduce__(self) -> tuple[type[Defined], tuple[Any, ...]]:
        return Defined, (self.name, self.parameter, self._bodies[0])

    def __repr__(self) -> str:
        return f"{self.kind} {self.name} {self._bodies[0].digest:x}"


class Elementwise(Smooth):
    """A function of one number applied to every entry.

    Rule     d f(A) = f'(A) .* dA
    Shapes   A in R^{m x n} -> R^{m x n}
    Source   MN19 5.15
    """

    fields = ("function", "order")
    function: Function
    order: int
    source = "MN19 5.15"

    def infer(self, shapes: tuple[Shape, ...], same: Same) -> Shape:
        return shapes[0]

    def differential(self, y: Expr, x: Args, dx: Args) -> Expr:
        return self.function.slope(self.order, y, x[0]) * dx[0]

    def facts(self, x: Args) -> Facts:
        kept = self.function.keeps if self.order == 0 else frozenset()
        of = facts(x[0])
        if isinstance(self.function, Defined) and self.order == 0:
            kept = size_of_entries(facts(self.function.body(0)))
        if self.order == 0 and self.function.keeps_sign:
            kept |= of & {POSITIVE, NONNEGATIVE}
        return kept | (of & {SYMMETRIC})

    def value(self, sizes: Sizes, *x: Any) -> Any:
        from matcalc.primitives.reference import entrywise

        return entrywise(lambda t: self.function.number(self.order, t), x[0])

    def __str__(self) -> str:
        return self.function.name + "'" * self.order


__all__ = ["Defined", "Elementwise", "Function", "Known", "Slope", "Unknown"]
