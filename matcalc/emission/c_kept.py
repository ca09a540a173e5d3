"""Which values of a plan are kept in arrays of their own; the others are written entry by entry where they are used."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from matcalc.dims import ONE
from matcalc.lowering.plan import ArrayShape, Value

# Whose entries are entries of their arguments, or constants.
FREE = frozenset(
    {"T", "newaxis", "reshape", "swap", "diagonal", "block", "flip", "axes", "expand", "repeats"}
    | {"full", "spread", "diag", "dense", "unit", "commutation", "stack"}
)

COMPUTED = frozenset({"add", "mul", "pow", "cosigmoid", "unknown", "outer", "add_diagonal"})

_DEEPEST = 30  # operations in one expression

FUNCTIONS = {
    "abs": "fabs", "asin": "asin", "acos": "acos", "atan": "atan", "exp": "exp", "log": "log", "log1p": "log1p",
    "expm1": "expm1", "sqrt": "sqrt", "sin": "sin", "cos": "cos", "tan": "tan", "sinh": "sinh", "cosh": "cosh",
    "tanh": "tanh", "erf": "erf", "sign": "sign", "sigmoid": "sigmoid", "softplus": "softplus", "relu": "relu",
    "step": "step", "silu": "silu", "gelu": "gelu",
}  # fmt: skip

OWN = frozenset({"sign", "sigmoid", "softplus", "relu", "step", "silu", "gelu"})  # static functions of the source


def head(v: Value) -> str:
    """What a call is of: ``rt.softmax``, ``xp.linalg.pinv``."""
    found = re.match(r"\{(\w+)\}(\.[\w.]+)?", v.attrs[0])
    if found is None:
        return str(v.attrs[0]).partition("(")[0]
    return (found[1] + (found[2] or "")) if found[1] in ("rt", "xp") else "method" + (found[2] or "")


def is_entrywise(v: Value) -> bool:
    """Whether the entries of a value need those of its arguments at one place only."""
    return (
        v.op in COMPUTED
        or v.op in FUNCTIONS
        or (v.op == "call" and head(v) == "rt.safe_reciprocal")
        or (v.op == "reshape" and is_trivial(v))
    )


def is_free(v: Value) -> bool:
    return v.op in FREE


def is_trivial(v: Value) -> bool:
    """Whether a reshape adds or leaves out axes of one entry only."""
    return [d for d in v.shape if d is not ONE] == [d for d in v.args[0].shape if d is not ONE]


def is_row_sum(v: Value) -> bool:
    """Whether each entry is one sum along a row, which needs no array: of a matrix, or of its product with a vector."""
    if v.op == "sum":
        return v.attrs[0] is not None and v.attrs[0] == v.args[0].rank - 1
    return v.op == "dot" and v.args[0].rank == 2 and v.args[1].rank == 1 and not lies_by_columns(v.args[0])


def lies_by_columns(v: Value) -> bool:
    """Whether the last axis of a matrix is not the one along which its entries lie together."""
    return v.op == "T" or (v.op == "axes" and v.attrs[-1] != v.rank - 1)


def is_repeated(u: Value, k: int) -> bool:
    """Whether entries of the k-th argument of ``u`` are needed several times each."""
    a = u.args[k]
    if u.op in ("outer", "spread", "expand", "stack", "diag"):
        return True
    if u.op in ("dot", "matmul"):
        return not (u.op == "dot" and a.rank == 2 and u.args[1 - k].rank == 1)
    if u.op in ("kron", "loop"):
        return True
    if u.op == "call":
        return head(u) in ("xp.einsum", "rt.khatri_rao")
    if u.op == "assemble":
        return any(k in p.operands and (p.how != "multiply" or a.shape != _piece_shape(p)) for p in u.attrs[0])
    if u.op in COMPUTED or u.op in FUNCTIONS or u.op == "dense":
        wide = [d for d in u.shape if d is not ONE]
        return [d for d in a.shape if d is not ONE] != wide
    return False


def _piece_shape(piece: Any) -> ArrayShape:
    sizes = {axis: size for axis, size in zip(piece.axes, piece.inner, strict=True) if axis is not None}
    return tuple([sizes[a] for a in sorted(sizes)])


def needs_array(u: Value, k: int) -> bool:
    """Whether ``u`` needs its k-th argument as an array that lies row by row."""
    if u.op == "map":
        return True
    if u.op == "call":
        return head(u) not in ("rt.safe_reciprocal", "xp.einsum", "rt.khatri_rao", "rt.crop", "rt.pad", "max")
    return u.op == "reshape" and not is_trivial(u)


def kept(order: Sequence[Value], roots: Sequence[Value], stored: Collection[Value]) -> set[Value]:
    """The values, of these in the order of computation, that must have an array of their own."""
    users: dict[Value, list[tuple[Value, int]]] = {}
    for v in order:
        for k, a in enumerate(v.args):
            if a.shape:
                users.setdefault(a, []).append((v, k))
    sinks: dict[Value, set[Any]] = {}
    repeated: set[Value] = set()
    out: set[Value] = set()
    for v in reversed(order):
        if not v.shape or v in stored:
            continue
        found: set[Any] = {("root", k) for k, r in enumerate(roots) if r is v}
        often = array = False
        for u, k in users.get(v, ()):
            array = array or needs_array(u, k)
            if u in sinks and u not in out:  # written into its own user
                found |= sinks[u]
                often = often or u in repeated or is_repeated(u, k)
            else:
                places = sum(k in p.operands for p in u.attrs[0]) if u.op == "assemble" else 1
                found |= {(u, k if u.op in ("assemble", "concat") else 0, n) for n in range(places)}
                often = often or is_repeated(u, k)
        sinks[v] = found
        if often:
            repeated.add(v)
        plain = is_free(v) or is_entrywise(v) or is_row_sum(v)
        if array or not plain or (not is_free(v) and (often or len(found) > 1)):
            out.add(v)
    depth: dict[Value, int] = {}
    for v in order:
        if v.shape and v not in stored:
            depth[v] = 1 + max([depth.get(a, 0) for a in v.args], default=0)
            if v not in out and depth[v] > _DEEPEST and not is_free(v):
                out.add(v)
            if v in out:
                depth[v] = 0
    return out


__all__ = [
    "FUNCTIONS",
    "OWN",
    "head",
    "is_entrywise",
    "is_free",
    "is_row_sum",
    "is_trivial",
    "kept",
    "lies_by_columns",
]
