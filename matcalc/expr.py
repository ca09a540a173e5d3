"""The expression graph: immutable, hash-consed nodes with symbolic shapes.

Everything is a matrix: a scalar is 1 x 1, a column n x 1, a row 1 x n. Equal expressions are the same object, so a
shared subexpression is differentiated, simplified, printed and computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias, Union
from weakref import ref

from matcalc.dims import ONE, SCALAR, Shape, shape_text

if TYPE_CHECKING:
    from matcalc.primitives.base import Primitive

Number: TypeAlias = int | Fraction | float
ExprLike: TypeAlias = Union["Expr", int, Fraction, float]

# The operators of Python are put here by the primitives that they stand for (matcalc/primitives/algebra.py).
OPERATORS: dict[str, Callable[..., Expr]] = {}

_MASK = (1 << 61) - 1
_LONGEST_SHOWN = 60  # nodes of a tree that repr writes out


class Expr:
    """A node: a primitive applied to arguments. Built with :func:`make` only."""

    __slots__ = ("__weakref__", "args", "cols", "digest", "is_scalar", "memo", "op", "rows", "shape")
    op: Primitive
    args: tuple[Expr, ...]
    shape: Shape
    rows: Any  # of the shape
    cols: Any
    is_scalar: bool
    digest: int  # of the structure; the same in every process, so that an order by it is reproducible
    memo: dict[Any, Any]  # what was found out about the node: facts, simplified forms

    @property
    def is_column(self) -> bool:
        return self.cols is ONE and self.rows is not ONE

    @property
    def is_row(self) -> bool:
        return self.rows is ONE and self.cols is not ONE

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

    def __reduce__(self) -> tuple[Any, ...]:
        """The graph as a list, so that its depth does not count."""
        nodes = postorder([self])
        place = {node: k for k, node in enumerate(nodes)}
        return _remade, ([(node.op, [place[a] for a in node.args]) for node in nodes],)

    def __str__(self) -> str:
        from matcalc.printing.text import text

        return text(self)

    def __repr__(self) -> str:
        """With the text where that is short; what is shared within a graph may make it very long."""
        lengths: dict[Expr, int] = {}
        for node in postorder([self]):
            lengths[node] = 1 + sum(lengths[a] for a in node.args)
            if lengths[node] > _LONGEST_SHOWN:
                return self.mark
        return f"<{self} in {shape_text(self.shape)}>"

    @property
    def mark(self) -> str:
        """A short text that tells it from others."""
        return f"<{self.op} in {shape_text(self.shape)} #{self.digest:x}>"


Key: TypeAlias = "tuple[Primitive, tuple[Expr, ...]]"


class _Kept(ref[Expr]):
    """A weak reference to a node, and what the node is found by."""

    __slots__ = ("key",)
    key: Key


_nodes: dict[Key, _Kept] = {}  # a WeakValueDictionary, which took a tenth of the time of a derivation, in small


def _forget(kept: Any, nodes: dict[Key, _Kept] = _nodes) -> None:  # bound, as the last nodes outlive the module
    key = kept.key
    if nodes.get(key) is kept:
        del nodes[key]


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
    kept = _nodes.get(key)
    node = kept() if kept is not None else None
    if node is None:
        shape = op.infer(tuple([a.shape for a in args]), same_dim)
        node = object.__new__(Expr)
        node.op, node.args, node.shape, node.memo = op, args, shape, {}
        node.rows, node.cols = shape
        node.is_scalar = node.rows is ONE and node.cols is ONE
        digest = op.digest
        for a in args:
            digest = (digest * 1000003 + a.digest) & _MASK
        node.digest = (digest * 2654435761 + 97) & _MASK
        new = _nodes[key] = _Kept(node, _forget)
        new.key = key
    return node


def _remade(nodes: Iterable[tuple[Primitive, list[int]]]) -> Expr:
    made: list[Expr] = []
    for op, places in nodes:
        made.append(make(op, tuple([made[k] for k in places])))
    return made[-1]


def postorder(roots: Iterable[Expr], stop: Callable[[Expr], bool] | None = None) -> list[Expr]:
    """All nodes under ``roots``, arguments before their users, each once; what ``stop`` accepts is not entered."""
    out: list[Expr] = []
    seen: set[Expr] = set()
    stack: list[Expr | None] = [*reversed([*roots])]  # None: the node below it is next
    while stack:
        node = stack.pop()
        if node is None:
            out.append(stack.pop())  # type: ignore[arg-type]
        elif node not in seen:
            seen.add(node)
            if not node.args or (stop is not None and stop(node)):
                out.append(node)
            else:
                stack += (node, None)
                stack += [a for a in reversed(node.args) if a not in seen]
    return out


def unknown(roots: Iterable[Expr], key: str) -> list[Expr]:
    """The nodes under ``roots`` of which nothing is noted under ``key``, arguments before their users, each once."""
    stack = list(roots)[::-1]
    if len(stack) == 1 and key not in stack[0].memo:
        for a in stack[0].args:
            if key not in a.memo:
                break
        else:  # it alone is new, as it mostly is
            return stack
    out: list[Expr] = []
    seen: set[Expr] = set()
    while stack:
        node = stack[-1]
        if node in seen or key in node.memo:
            stack.pop()
            continue
        before = [a for a in reversed(node.args) if key not in a.memo and a not in seen]
        if before:
            stack += before
        else:
            seen.add(stack.pop())
            out.append(node)
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
    "unknown",
    "variables",
]
