"""The plan: values in static single assignment form, each computed once, free of any array library's spelling.

A value is a number (shape ``()``), a vector (``(n,)``: rows and columns alike) or a matrix (``(m, n)``). Values are
built bottom up and interned, so equal ones are the same object; only those that a result needs are written out. Some
are never written out where they meet an operation that knows better: diagonal matrices (``diag``), constant ones
(``full``), repeated rows or columns (``spread``), unit vectors, inverses and Kronecker products (lowering/chains.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from fractions import Fraction
from functools import lru_cache
from typing import Any, TypeAlias
from zlib import crc32

from matcalc.dims import ONE, Dim
from matcalc.errors import LimitError
from matcalc.expr import Expr, Number
from matcalc.primitives.elementwise import FUNCTIONS

ArrayShape: TypeAlias = tuple[Dim, ...]

MOST_VALUES = 200_000  # of one plan; a chain of definitions that call each other twice doubles at every link

_BY_ENTRIES = frozenset({"add", "mul", "pow", "cosigmoid"}) | FUNCTIONS.keys()

DEEPEST_LOOPS = 15  # Python itself allows 20 nested blocks

# Operations whose result may share memory with their argument.
LOOPS = frozenset({"loop", "blocks"})  # over an index, or blocks of rows

VIEWS = frozenset(
    {"T", "newaxis", "block", "reshape", "swap", "diagonal", "spread", "flip", "axes", "expand", "repeats"}
)


# What gives back the very array that it gets, for some values: functions of the caller; the first power of a matrix.
_MAYBE_ITSELF = frozenset({"unknown", "map"})


class Value:
    """One operation with its operands; built by :meth:`Plan.value` only."""

    __slots__ = ("args", "attrs", "indices", "later", "loops", "op", "rank", "shape", "weak")
    op: str
    args: tuple[Value, ...]
    attrs: tuple[Any, ...]
    shape: ArrayShape
    rank: int  # how many axes it has
    weak: bool  # a Python number made of constants and sizes: it takes the precision of what it meets
    indices: frozenset[Value]  # of enclosing loops, that it depends on
    loops: int  # how deep loops are nested within it
    later: bool  # whether it depends on later arguments (staged.py)

    @property
    def may_be_itself(self) -> bool:
        """Whether the operation may give back the array of an operand, although it is no view."""
        return self.op in _MAYBE_ITSELF or (self.op == "call" and ".matrix_power(" in self.attrs[0])

    def __repr__(self) -> str:
        return f"{self.op}{list(self.attrs) if self.attrs else ''}({', '.join(a.op for a in self.args)})"


_NONE: frozenset[Value] = frozenset()

MODELS = range(1, 6)
_LARGE = 100
_APART = (1000, 10, 200, 3)


@lru_cache(maxsize=1024)
def _supposed(name: str, model: int) -> int:
    mark = crc32(f"{name}{model or ''}".encode())
    return _LARGE + mark % 10 if model == 0 else _APART[mark % 4] + (mark >> 2) % 4


class Plan:
    """The interned values of one function."""

    def __init__(self, subgradient: bool = False, sizes: Mapping[str, int] | None = None) -> None:
        self.subgradient = subgradient  # whether the reciprocal of a norm is 0 where the norm is
        self.sizes = sizes  # the dimensions, where they are known
        self.by_blocks = False  # whether blocks of a result may be written one after the other (weighted_grams.py)
        self.by_size = False  # whether another order of operations would be chosen for other dimensions
        self.weighed = False  # whether numbers that stand for dimensions have decided on anything but such an order
        self.later: frozenset[str] = frozenset()  # arguments of functions within (staged.py)
        self._known: dict[tuple[Any, ...], Value] = {}
        self.sums: dict[tuple[Any, ...], Value] = {}  # by their terms (elementwise.py)
        self._commutative: dict[tuple[Any, ...], Value] = {}
        self._weights: dict[tuple[Dim, int], int] = {}
        # Parts of chains of products (ordering.py): those that exist, and whether as the transpose; how many chains
        # have each; and those that are worth more than they cost, since several chains have them.
        self.segments: dict[tuple[Any, ...], tuple[Value, bool]] = {}
        self.chains: Counter[tuple[Any, ...]] = Counter()
        self.popular: Mapping[tuple[Any, ...], int] = {}
        self.decided: list[Any] = []  # the orders of chains, with what they were chosen by, in the first making
        # What is known of values: arguments that are symmetric matrices and what is seen to be symmetric as well,
        # matrices that are positive definite and symmetric, arrays whose entries are not negative, and the formulas of
        # matrices of which a function is taken.
        self.symmetric: set[Value] = set()
        self.definite: set[Value] = set()
        self.factored_symmetric: set[Value] = set()  # symmetric ones of which a function is taken
        self.nonnegative: set[Value] = set()
        self.formulas: dict[Value, Expr] = {}
        self._needed: tuple[tuple[Value, ...], list[Value]] = ((), [])
        self.one = self.const(1)

    def __len__(self) -> int:
        return len(self._known)

    def with_sizes(self, sizes: Mapping[str, int] | None) -> Plan:
        """A plan of the same values, to which others are added in view of these dimensions."""
        other = copy(self)
        other.sizes = sizes
        for name, kept in vars(self).items():
            if isinstance(kept, dict | set):
                setattr(other, name, kept.copy())
        other._weights = {}
        return other

    def value(self, op: str, args: tuple[Value, ...], shape: ArrayShape, *attrs: Any) -> Value:
        key = (op, args, shape, attrs, tuple(map(type, attrs)) if attrs else ())
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= MOST_VALUES:
                raise LimitError(f"the function needs more than {MOST_VALUES} operations")
            found = Value()
            found.op, found.args, found.attrs, found.shape, found.rank = op, args, attrs, shape, len(shape)
            found.weak = not shape and op not in ("arg", "loop", "blocks", "assemble")
            found.later = op == "arg" and attrs[0] in self.later
            found.indices, found.loops = _NONE, 0
            for a in args:
                found.weak &= a.weak
                found.later |= a.later
                if a.loops > found.loops:
                    found.loops = a.loops
                if a.indices:
                    found.indices |= a.indices
            if op == "index":
                found.indices = frozenset({found})
            elif op == "blocks":
                found.indices -= {args[0]}
                found.loops += 1
            elif op == "loop":
                index, body, lower, upper = args
                found.indices = (body.indices - {index}) | lower.indices | upper.indices
                found.loops += 1
                if found.loops > DEEPEST_LOOPS:
                    raise LimitError(f"indexed sums are nested more than {DEEPEST_LOOPS} deep")
            self._known[key] = found
            if len(shape) == 2 and shape[0] is shape[1] and self._is_symmetric(found):
                self.symmetric.add(found)
        return found

    def _is_symmetric(self, v: Value) -> bool:
        """Whether a matrix is X'*X, or computed entry by entry of symmetric matrices and pairs of X and X'.

        What is added to its diagonal changes nothing.
        """
        if v.op == "add_diagonal":
            return v.args[0] in self.symmetric
        if v.op == "dot":
            left, right = v.args
            return right is (left.args[0] if left.op == "T" else None) or left is (
                right.args[0] if right.op == "T" else None
            )
        if v.op not in _BY_ENTRIES:
            return False
        if all(not a.shape or a in self.symmetric for a in v.args):
            return True
        if v.op not in ("add", "mul"):
            return False
        across = [self._turned(a) for a in v.args]
        if None in across:
            return False
        marks = v.attrs[0] if v.op == "add" else [k < v.attrs[1] for k in range(len(v.args))]
        return Counter(zip(v.args, marks, strict=True)) == Counter(zip(across, marks, strict=True))

    def _turned(self, a: Value) -> Value | None:
        """The transpose of a number or a matrix, if it exists."""
        if not a.shape or a in self.symmetric:
            return a
        if a.op == "T":
            return a.args[0]
        return self._known.get(("T", (a,), a.shape[::-1], (), ()))

    def commutative(self, op: str, args: tuple[Value, ...], shape: ArrayShape, *attrs: Any) -> Value:
        """A sum or a product: the one that exists already where it differs in the order of operands only."""
        arrays = [a.op for a in args if a.shape]
        if "T" in arrays and arrays.count("T") == len(arrays):  # the transpose of what may be there already
            turned = tuple([a.args[0] if a.shape else a for a in args])
            return self.transpose(self.commutative(op, turned, shape[::-1], *attrs))
        key = _in_any_order(op, args, shape, *attrs)
        found = self._commutative.get(key)
        if found is None:
            found = self._commutative[key] = self.value(op, args, shape, *attrs)
        return found

    def known_product(self, factors: tuple[Value, ...], shape: ArrayShape) -> Value | None:
        """The elementwise product of factors, if it exists."""
        return self._commutative.get(_in_any_order("mul", factors, shape, 1, len(factors)))

    def known_dot(self, a: Value, b: Value) -> Value | None:
        """The product of two matrices, if it exists, as the transpose of another one maybe."""
        found = self._known.get(("dot", (a, b), (a.shape[0], b.shape[1]), (), ()))
        if found is None:
            found = self._known.get(("dot", (self.transpose(b), self.transpose(a)), (b.shape[1], a.shape[0]), (), ()))
            return None if found is None else self.transpose(found)
        return found

    def is_known_sum(self, terms: tuple[Value, ...], shape: ArrayShape, signs: tuple[bool, ...]) -> bool:
        """Whether the sum of terms with these signs (True for minus) exists."""
        return _in_any_order("add", terms, shape, signs) in self._commutative

    def needed(self, roots: Sequence[Value]) -> list[Value]:
        """The values that the roots need, operands before their users; of the same roots they are found once."""
        key = tuple(roots)
        if self._needed[0] != key:
            self._needed = key, reachable(key)
        return self._needed[1]

    # Sizes

    def weight(self, size: Dim, model: int = 0) -> int:
        """The number that stands for a dimension where operations are counted.

        A dimension that is not known counts as large (model 0), or as one of sizes far apart (the other models).
        """
        if size is ONE:
            return 1
        found = self._weights.get((size, model))
        if found is None:
            known = self.sizes or {}
            numbers = {name: known.get(name) or _supposed(name, model) for name in size.names}
            found = self._weights[size, model] = max(1, size.evaluate(numbers))
        return found

    # Leaves

    def const(self, number: Number) -> Value:
        return self.value("const", (), (), number)

    def argument(self, name: str, shape: ArrayShape) -> Value:
        return self.value("arg", (), shape, name)

    def dimension(self, size: Dim) -> Value:
        """A dimension as a number."""
        return self.const(size.value) if size.value is not None else self.value("size", (), (), size)

    def count(self, shape: Iterable[Dim]) -> Value:
        total = ONE
        for size in shape:
            total = total * size
        return self.dimension(total)

    # Structured values

    def full(self, entry: Value, shape: ArrayShape) -> Value:
        """All entries the same."""
        return entry if not shape else self.value("full", (entry,), shape)

    def spread(self, vector: Value, axis: int, shape: ArrayShape) -> Value:
        """The matrix whose rows (axis 0) or columns (axis 1) are all ``vector``."""
        if vector.op == "full":
            return self.full(vector.args[0], shape)
        return self.value("spread", (vector,), shape, axis)

    def diag(self, entries: Value, order: Dim) -> Value:
        """The diagonal matrix of a vector; of a number, that multiple of the identity."""
        if entries.op == "full":
            entries = entries.args[0]
        return self.value("diag", (entries,), (order, order))

    def zeros(self, shape: ArrayShape) -> Value:
        return self.full(self.const(0), shape)

    def is_zero(self, v: Value) -> bool:
        return (v.op == "const" and v.attrs[0] == 0) or (v.op == "full" and self.is_zero(v.args[0]))

    # Views

    def transpose(self, a: Value) -> Value:
        if a.rank < 2 or a in self.symmetric:
            return a
        if a.op == "T":
            return a.args[0]
        shape = (a.shape[1], a.shape[0])
        if a.op == "diag":
            return a
        if a.op == "full":
            return self.full(a.args[0], shape)
        if a.op in ("spread", "newaxis"):
            return self.value(a.op, a.args, shape, 1 - a.attrs[0])
        if a.op == "outer":
            return self.value("outer", (a.args[1], a.args[0]), shape)
        if a.op == "inv":
            return self.value("inv", (self.transpose(a.args[0]),), shape)
        if a.op == "kron":
            return self.value("kron", (self.transpose(a.args[0]), self.transpose(a.args[1])), shape)
        if a.op == "commutation":
            return self.value("commutation", (), shape, a.attrs[1], a.attrs[0])
        return self.value("T", (a,), shape)

    def newaxis(self, vector: Value, axis: int) -> Value:
        """The vector as a matrix of one row (axis 0) or one column (axis 1)."""
        shape = (ONE, vector.shape[0]) if axis == 0 else (vector.shape[0], ONE)
        if vector.op == "full":
            return self.full(vector.args[0], shape)
        return self.value("newaxis", (vector,), shape, axis)

    def reshape(self, a: Value, shape: ArrayShape) -> Value:
        """The entries of ``a``, read by rows, in another shape."""
        if a.shape == shape:
            return a
        if a.op == "full":
            return self.full(a.args[0], shape)
        if a.op == "reshape":
            a = a.args[0]
            if a.shape == shape:
                return a
        return self.value("reshape", (a,), shape)

    def vec(self, a: Value) -> Value:
        """The columns, stacked."""
        return self.reshape(self.transpose(a), (a.shape[0] * a.shape[1],)) if a.rank == 2 else a

    def unvec(self, a: Value, shape: ArrayShape) -> Value:
        """The array of that shape with the same vec."""
        flat = self.vec(a)
        return (
            self.transpose(self.reshape(flat, (shape[1], shape[0]))) if len(shape) == 2 else self.reshape(flat, shape)
        )

    def call(self, template: str, args: tuple[Value, ...], shape: ArrayShape, analytic: bool = True) -> Value:
        """A function of the array library or of the runtime, written as ``template`` says."""
        return self.value("call", args, shape, template, analytic)


def _in_any_order(op: str, args: tuple[Value, ...], shape: ArrayShape, *attrs: Any) -> tuple[Any, ...]:
    marks = attrs[0] if op == "add" else [at < attrs[1] for at in range(len(args))]
    return op, shape, tuple(sorted(zip(map(id, args), marks, strict=True))), attrs[0] if op == "mul" else None


# The operations, with their attributes in brackets. Their NumPy spelling is in spellings.py.
#
# leaves         arg[name] const[number] size[dimension] pi index[name]
# elementwise    add[signs] mul[coefficient, how many are factors: the others divide] pow, and known functions by name;
#                cosigmoid (1 - sigmoid), unknown[name, order]; map[name, derivative] of whole arrays
# products       dot outer inner (of matrices) solve kron; rows (vectors as the rows of a matrix)
#                symmetric_dot (of a symmetric matrix and a vector)
#                plus_outers (number, matrix, rows, rows: number*matrix + rows'*rows)
# reductions     sum[axis] products_summed[axis] (of the entries of two matrices) norm trace
#                det[known to be positive] logdet[known to be positive definite]
# structured     full diag spread[axis] unit inv commutation[m, n]; dense: such a one that must be written out
# rearranging    T newaxis[axis] reshape (by rows) swap (of two axes of three) diagonal block[at, all or range]
#                concat[axis] flip[how many axes in front stay, if any] add_diagonal axes[their order]
#                expand[for each axis, whether it is there] repeats[letters of the axes, of which some are the same]
# by LAPACK      cholesky symmetric lu[formula] inverse[formula], and of a factor (factorisations.py) inverse_of
#                solve_with[whether transposed] gram_with inverse_diagonal logdet_of det_of
# with structure assemble[pieces, whether they fill it] (assembling.py) matmul (of batches of matrices)
#                stack[axis, whether shapes differ]
# numbers        position (an index from 1 as one from 0) whole (a checked whole number) within (a checked limit)
# others         loop (index, body, lower, upper)[stack, or nothing for a sum]; call[template, whether analytic]
#                blocks (index, matrix, bodies): a loop over blocks of its rows [for each body how it is taken (sum,
#                product and gram: added up; into: rows of the result), rows at least, columns], of which result[k] is
#                what the k-th body gives; rows_of


def reachable(roots: Iterable[Value], stop: Callable[[Value], bool] | None = None) -> list[Value]:
    """The values that the roots need, operands before their users, each once."""
    out: list[Value] = []
    seen: set[Value] = set()
    stack: list[Value | None] = [*reversed([*roots])]  # None: the value below it is next
    while stack:
        v = stack.pop()
        if v is None:
            out.append(stack.pop())  # type: ignore[arg-type]
        elif v not in seen:
            seen.add(v)
            if not v.args or (stop is not None and stop(v)):
                out.append(v)
            else:
                stack += (v, None)
                stack += [a for a in reversed(v.args) if a not in seen]
    return out


def as_number(number: Number) -> Number:
    return int(number) if isinstance(number, Fraction) and number.denominator == 1 else number


__all__ = ["LOOPS", "VIEWS", "ArrayShape", "Plan", "Value", "as_number", "reachable"]
