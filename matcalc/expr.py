"""The expression graph: immutable, hash-consed nodes with symbolic shapes.

Everything is a matrix: a scalar is 1 x 1, a column n x 1, a row 1 x n. Equal expressions are the same object, so a
shared subexpression is differentiated, simplified, printed and computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias, Union
from weakref import WeakValueDictionary

from matcalc.dims import ONE, SCALAR, Shape, shape_text

if TYPE_CHECKING:
    from matcalc.primitives.base import Primitive

Number: TypeAlias = int | Fraction | float
ExprLike: TypeAlias = Union["Expr", int, Fraction, float]

# The operators of Python are put here by the primitives that they stand for (matcalc/primitives/algebra.py).
OPERATORS: dict[str, Callable[..., Expr]] = {}

_MASK = (1 << 61) - 1


class Expr:
    """A node: a primitive applied to arguments. Built with :func:`make` only."""

    __slots__ = ("__weakref__", "args", "digest", "memo", "op", "shape")
    op: Primitive
    args: tuple[Expr, ...]
    shape: Shape
    digest: int  # of the structure; the same in every process, so that an order by it is reproducible
    memo: dict[Any, Any]  # what was found out about the node: facts, simplified forms

    @property
    def rows(self) -> Any:
        return self.shape[0]

    @property
    def cols(self) -> Any:
        return self.shape[1]

    @property
    def is_scalar(self) -> bool:
        return self.shape[0] is ONE and self.shape[1] is ONE

    @property
    def is_column(self) -> bool:
        return self.shape[1] is ONE and self.shape[0] is not ONE

    @property
    def is_row(self) -> bool:
        return self.shape[0] is ONE and self.shape[1] is not ONE

    @property
    def is_zero(self) -> bool:
        return self.op.is_zero

    @property
    def T(self) -> Expr:
        return OPERATORS["transpose"](self)

    def square(self) -> Expr:
        return OPERATORS["power"](self, 2)

    def __add__(self, other: ExprLike) -> Expr:
        return OPERATORS["add"](self, other)

    def __radd__(self, other: ExprLike) -> Expr:
        return OPERATORS["add"](other, self)

    def __neg__(self) -> Expr:
        return OPERATORS["product"](-1, self)

    def __sub__(self, other: ExprLike) -> Expr:
        return OPERATORS["add"](self, OPERATORS["product"](-1, other))

    def __rsub__(self, other: ExprLike) -> Expr:
        return OPERATORS["add"](other, -self)

    def __matmul__(self, other: Expr) -> Expr:
        return OPERATORS["product"](self, other)

    def __mul__(self, other: ExprLike) -> Expr:
        return OPERATORS["hadamard"](self, other)

    def __rmul__(self, other: ExprLike) -> Expr:
        return OPERATORS["hadamard"](other, self)

    def __truediv__(self, other: ExprLike) -> Expr:
        return OPERATORS["hadamard"](self, OPERATORS["power"](other, -1))

    def __rtruediv__(self, other: ExprLike) -> Expr:
        return OPERATORS["hadamard"](other, OPERATORS["power"](self, -1))

    def __pow__(self, exponent: ExprLike) -> Expr:
        return OPERATORS["power"](self, exponent)

    def __str__(self) -> str:
        from matcalc.printing.text import text

        return text(self)

    def __repr__(self) -> str:
        return f"<{self.op} in {shape_text(self.shape)} #{self.digest:x}>"


_nodes: WeakValueDictionary[tuple[Primitive, tuple[Expr, ...]], Expr] = WeakValueDictionary()


def same_dim(a: Any, b: Any) -> Any:
    """The rule by which two dimensions agree on a finished graph: they are the same."""
    if a is not b:
        raise DimMismatch(a, b)
    return a


class DimMismatch(Exception):
    """Two dimensions differ where they must not; turned into a ShapeError by whoever knows the operands."""


def make(op: Primitive, args: tuple[Expr, ...] = ()) -> Expr:
    """The node ``op(args)``.

    Raises   DimMismatch when the shapes do not fit the primitive's rule
    """
    key = (op, args)
    node = _nodes.get(key)
    if node is None:
        shape = op.infer(tuple([a.shape for a in args]), same_dim)
        node = object.__new__(Expr)
        node.op, node.args, node.shape, node.memo = op, args, shape, {}
        digest = op.digest
        for a in args:
            digest = (digest * 1000003 + a.digest) & _MASK
        node.digest = (digest * 2654435761 + 97) & _MASK
        _nodes[key] = node
    return node


def postorder(roots: Iterable[Expr], stop: Callable[[Expr], bool] | None = None) -> list[Expr]:
    """All nodes under ``roots``, arguments before their users, each once; what ``stop`` accepts is not entered."""
    out: list[Expr] = []
    seen: set[Expr] = set()
    stack: list[tuple[Expr, bool]] = [(r, False) for r in reversed(list(roots))]
    while stack:
        node, done = stack.pop()
        if done:
            out.append(node)
            continue
        if node in seen:
            continue
        seen.add(node)
        if not node.args or (stop is not None and stop(node)):
            out.append(node)
            continue
        stack.append((node, True))
        stack.extend([(a, False) for a in reversed(node.args) if a not in seen])
    return out


def dependents(roots: Iterable[Expr], leaves: Iterable[Expr]) -> set[Expr]:
    """The nodes under ``roots`` (leaves included) whose value depends on one of ``leaves``."""
    found = set(leaves)
    reached: set[Expr] = set()
    for node in postorder(roots):
        if node in found or not reached.isdisjoint(node.args):
            reached.add(node)
    return reached


def rebuild(node: Expr, args: tuple[Expr, ...]) -> Expr:
    """The node with other arguments, put together by its primitive's own constructor (zeros are dropped)."""
    return node if args == node.args else node.op.construct(args)


def substitute(root: Expr, replacement: Mapping[Expr, Expr]) -> Expr:
    """``root`` with whole nodes replaced (no renaming of bound indices: the caller's replacements must not capture)."""
    done: dict[Expr, Expr] = dict(replacement)
    for node in postorder([root], stop=replacement.__contains__):
        if node not in done:
            done[node] = rebuild(node, tuple([done[a] for a in node.args]))
    return done[root]


def variables(roots: Iterable[Expr]) -> list[Expr]:
    """The variables under ``roots``, in the order in which they occur."""
    return [node for node in postorder(roots) if node.op.is_variable]


__all__ = [
    "OPERATORS",
    "SCALAR",
    "DimMismatch",
    "Expr",
    "ExprLike",
    "Number",
    "dependents",
    "make",
    "postorder",
    "rebuild",
    "same_dim",
    "substitute",
    "variables",
]
