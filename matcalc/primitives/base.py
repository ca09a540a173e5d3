"""What a primitive states, and what follows from it.

kind          it states                                              and gets
Linear        ``adjoint``, ``matrix``: linear in all arguments       its differential: itself
Multilinear   ``adjoint``, ``matrix`` for each slot: linear in each  the product rule
Smooth        ``differential``, built from the two kinds above       its adjoint and its matrix, from the differential
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self, TypeAlias
from weakref import WeakValueDictionary
from zlib import crc32

from matcalc.dims import ONE, SCALAR, Dim, Shape, dim
from matcalc.expr import Expr, make
from matcalc.facts import DIAGONAL, INSIDE, NONNEGATIVE, NOTHING, PSD, SYMMETRIC, Facts
from matcalc.references import REFERENCES

# Dimensions in the shape rules of primitives.
m, n, p, q = (dim(name) for name in "mnpq")

Args: TypeAlias = tuple[Expr, ...]
Same: TypeAlias = Callable[[Dim, Dim], Dim]  # says that two dimensions agree, and gives it; raises DimMismatch
Sizes: TypeAlias = Mapping[str, int]

# Levels of precedence, loosest first: what an operand of a tighter operator must be bracketed for.
LEVELS = ("sum", "product", "unary", "power", "atom")


class Option(NamedTuple):
    """An argument of a call that is not an expression: ``sum(A, 0)``, ``conv(K, X, 'same')``, ``eye(n)``."""

    name: str
    kind: str  # "axis" (0 or 1), "dim" (a dimension), "mode" (one of ``choices``)
    default: Any = None
    required: bool = False
    choices: tuple[str, ...] = ()


AXIS = Option("axis", "axis")


class Primitive:
    """One operation of the language; instances are interned by their parameters (``fields``).

    It is no ABC, which makes every ``isinstance`` slower: what a class leaves unstated is noted as it is defined.
    """

    name: ClassVar[str] = ""  # in the language
    fields: ClassVar[tuple[str, ...]] = ()  # parameters of an instance, given to the class in this order
    options: ClassVar[tuple[Option, ...]] = ()  # those of them that the user writes after the arguments
    takes: ClassVar[Mapping[str, tuple[Dim, Dim]]] = {}  # arguments and their shapes, in m, n, p, q
    gives: ClassVar[tuple[Dim, Dim]]
    variadic: ClassVar[bool] = False
    integer_slots: ClassVar[tuple[int, ...]] = ()  # arguments that are whole numbers: never differentiated
    domain: ClassVar[str] = ""  # where it is defined, for the reader
    kink: ClassVar[str] = ""  # what is returned where it is not differentiable
    source: ClassVar[str] = ""

    # How it is printed: a template in which ``{A}`` is the slot; an empty text means name(arguments, options). The
    # operators with exponents or any number of operands are put together by printing/printer.py. A ``latex`` without
    # slots is what stands for the name.
    text: ClassVar[str] = ""
    latex: ClassVar[str] = ""
    level: ClassVar[str] = "atom"
    slots: ClassVar[tuple[str, ...]] = ()  # the level that each operand must have to go without brackets
    latex_level: ClassVar[str] = ""  # level and slots, where they differ in LaTeX
    latex_slots: ClassVar[tuple[str, ...]] = ()

    # NumPy code of a primitive that lowering does not spell itself: ``{A}`` is the slot (an array), ``{axis}`` an
    # option (left out with its comma where it is None), ``{xp}`` the array module, ``{rt}`` lowering/runtime.py.
    code: ClassVar[str] = ""

    is_zero: ClassVar[bool] = False
    is_variable: ClassVar[bool] = False

    params: tuple[Any, ...]
    digest: int
    _interned: ClassVar[WeakValueDictionary[tuple[Any, ...], Primitive]] = WeakValueDictionary()
    _pattern: ClassVar[tuple[tuple[str | None, str | None], ...]] = ()
    # What a class does not state; one that leaves anything unstated is not instantiated.
    __abstractmethods__: ClassVar[frozenset[str]] = frozenset({"differential", "value"})

    def __new__(cls, *params: Any) -> Self:
        key = (cls, *params, *map(type, params))  # 1, 1.0 and True are different parameters
        known = Primitive._interned.get(key)
        if known is None:
            if len(params) != len(cls.fields):
                raise TypeError(f"{cls.__name__} has the parameters {cls.fields}")
            known = super().__new__(cls)
            known.params = params
            for field, value in zip(cls.fields, params, strict=True):
                setattr(known, field, value)
            marks = ", ".join([v.mark if isinstance(v, Expr) else repr(v) for v in params])
            known.digest = crc32(f"{cls.__name__}({marks}{',' * (len(params) == 1)})".encode())
            Primitive._interned[key] = known
        return known  # type: ignore[return-value]  # the key holds the class

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._pattern = tuple((r.name, c.name) for r, c in cls.takes.values())
        cls.__abstractmethods__ = frozenset(
            name for name in Primitive.__abstractmethods__ if hasattr(getattr(cls, name), "__isabstractmethod__")
        )
        if cls.source:
            assert cls.source.split()[0] in REFERENCES, f"{cls.__name__}: unknown source {cls.source!r}"

    def __call__(self, *args: Expr) -> Expr:
        return self.construct(args)

    def construct(self, args: Args) -> Expr:
        """The node, or zero where a zero argument makes it so."""
        return make(self, args)

    @classmethod
    def accepts(cls, shapes: Sequence[Shape]) -> bool:
        """Whether, of the primitives of one name, this is the one for arguments of these shapes."""
        return True

    def infer(self, shapes: tuple[Shape, ...], same: Same) -> Shape:
        """The shape of the value; ``same(a, b)`` is called for dimensions that must agree.

        Raises   DimMismatch from ``same``
        """
        bound: dict[str, Dim] = {}
        for names, shape in zip(self._pattern, shapes, strict=True):
            for name, size in zip(names, shape, strict=True):
                if name is None:
                    same(size, ONE)
                elif name in bound:
                    bound[name] = same(bound[name], size)
                else:
                    bound[name] = size
        rows, cols = self.gives
        return (rows.substitute(bound), cols.substitute(bound))

    @abstractmethod
    def differential(self, y: Expr, x: Args, dx: Args) -> Expr:
        """dy as an expression linear in ``dx``; an argument that does not vary has the differential zero."""

    def adjoint(self, i: int, g: Expr, y: Expr, x: Args) -> Expr:
        """``L* g`` for the map L from slot ``i`` to the value, with ⟨g, L dx⟩ = ⟨L* g, dx⟩; of linear slots only."""
        raise TypeError(f"{type(self).__name__} is not linear in slot {i}")

    def matrix(self, i: int, y: Expr, x: Args) -> Expr:
        """``M`` with ``vec(L dx) = M*vec(dx)`` for the map L from slot ``i`` to the value; of linear slots only."""
        raise TypeError(f"{type(self).__name__} is not linear in slot {i}")

    def jacobian(self, i: int, y: Expr, x: Args) -> Expr | None:
        """``J`` with ``vec(dy) = J*vec(dx)`` for slot ``i``, where the differential gives a longer form."""
        return None

    def linear_in(self, i: int) -> bool:
        return False

    def trace_rule(self, i: int) -> str:
        """The name under which a derivation quotes the step from ⟨g, L dx⟩ to ⟨L* g, dx⟩ (calculus/rules.py)."""
        return "adjoint"

    def facts(self, x: Args) -> Facts:
        """What is known of the value, from what is known of the arguments."""
        return NOTHING

    @abstractmethod
    def value(self, sizes: Sizes, *x: Any) -> Any:
        """The numeric meaning, on 2-D arrays of mpmath numbers: the truth that derivatives and code are tested by."""

    @classmethod
    def from_call(cls, shapes: Sequence[Shape], options: tuple[Any, ...]) -> Primitive:
        """The instance that a call in the language means, from its options (defaults filled in)."""
        return cls(*options)

    def shown_options(self, x: Args) -> tuple[str, ...]:
        """The options as a call writes them after its arguments; those that are the default are left out."""
        shown = [str(v) for v in self.params]
        for option, value in reversed(list(zip(self.options, self.params, strict=False))):
            if value != option.default:
                break
            shown.pop()
        return tuple(f"'{v}'" if o.kind == "mode" else v for v, o in zip(shown, self.options, strict=False))

    def __str__(self) -> str:
        inner = ", ".join(v.mark if isinstance(v, Expr) else str(v) for v in self.params if v is not None)
        return f"{self.name or type(self).__name__}{f'({inner})' if inner else ''}"

    def __repr__(self) -> str:
        return str(self)

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        return type(self), self.params


class Leaf(Primitive):
    """A primitive without arguments; its shape is part of it."""

    shape: Shape

    def infer(self, shapes: tuple[Shape, ...], same: Same) -> Shape:
        return self.shape

    def differential(self, y: Expr, x: Args, dx: Args) -> Expr:
        return zeros(y.shape)

    def value(self, sizes: Sizes, *x: Any) -> Any:
        raise TypeError(f"the value of {self} is given from outside")


class Linear(Primitive):
    """Linear in all arguments together: the differential is the same map."""

    def linear_in(self, i: int) -> bool:
        return i not in self.integer_slots

    def differential(self, y: Expr, x: Args, dx: Args) -> Expr:
        fixed = self.integer_slots
        return self.construct(tuple([x[i] if i in fixed else dx[i] for i in range(len(x))]) if fixed else dx)

    def construct(self, args: Args) -> Expr:
        fixed = self.integer_slots
        if all(a.is_zero for i, a in enumerate(args) if i not in fixed):
            return zeros(make(self, args).shape)
        return make(self, args)


class Multilinear(Primitive):
    """Linear in each argument: the differential is the sum over the slots (product rule)."""

    def linear_in(self, i: int) -> bool:
        return i not in self.integer_slots

    def differential(self, y: Expr, x: Args, dx: Args) -> Expr:
        total = zeros(y.shape)
        for i, d in enumerate(dx):
            if not d.is_zero:
                total = total + self.construct((*x[:i], d, *x[i + 1 :]))
        return total

    def construct(self, args: Args) -> Expr:
        if any(a.is_zero for i, a in enumerate(args) if i not in self.integer_slots):
            return zeros(make(self, args).shape)
        return make(self, args)


class Smooth(Primitive):
    """Any other primitive: it states its differential in terms of linear and multilinear ones."""


class Shaped(Primitive):
    """A primitive whose parameter is the shape of its value, which a call writes as sizes: ``ones(m, n)``."""

    fields: ClassVar[tuple[str, ...]] = ("shape",)
    options: ClassVar[tuple[Option, ...]] = (Option("m", "dim", required=True), Option("n", "dim", ONE))
    shape: Shape

    @classmethod
    def from_call(cls, shapes: Sequence[Shape], options: tuple[Any, ...]) -> Primitive:
        return cls(options)

    def shown_options(self, x: Args) -> tuple[str, ...]:
        rows, cols = self.shape
        return (str(rows),) if cols is ONE else (str(rows), str(cols))

    def size(self, sizes: Sizes) -> tuple[int, int]:
        """The shape in numbers."""
        rows, cols = self.shape
        return rows.evaluate(sizes), cols.evaluate(sizes)


class Zeros(Shaped, Leaf):
    """The zero matrix, vector or number."""

    name = "zeros"
    is_zero = True

    def facts(self, x: Args) -> Facts:
        square = self.shape[0] is self.shape[1]
        return frozenset({NONNEGATIVE, INSIDE} | ({SYMMETRIC, DIAGONAL, PSD} if square else set()))

    def value(self, sizes: Sizes, *x: Any) -> Any:
        import numpy

        return numpy.zeros(self.size(sizes), dtype=int).astype(object)


def zeros(shape: Shape) -> Expr:
    """Zero of that shape; the number 0 for a scalar."""
    return make(Zeros(shape))


__all__ = [
    "AXIS",
    "LEVELS",
    "ONE",
    "SCALAR",
    "Args",
    "Dim",
    "Expr",
    "Facts",
    "Leaf",
    "Linear",
    "Multilinear",
    "Option",
    "Primitive",
    "Same",
    "Shape",
    "Shaped",
    "Sizes",
    "Smooth",
    "Zeros",
    "m",
    "make",
    "n",
    "p",
    "q",
    "zeros",
]
