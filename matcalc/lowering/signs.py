"""Which values have no negative entry: squares, exponentials, sums of them, ``1 - sigmoid(t)``.

They have none as floating-point numbers either, so that a square root can be taken.
"""

from __future__ import annotations

from matcalc.lowering.plan import VIEWS, Plan, Value, reachable
from matcalc.lowering.templates import with_axis
from matcalc.primitives import softmax

_NEVER_NEGATIVE = frozenset({"exp", "sigmoid", "cosigmoid", "abs", "sqrt", "norm", "relu", "step", "softplus", "cosh"})
_NEVER_NEGATIVE |= {"pi", "size"}
_KEEP = VIEWS | {"full", "dense", "sum", "diag", "concat", "stack", "trace"}  # entries, or sums of them
_PRODUCTS = frozenset({"dot", "inner", "matmul", "outer", "kron"})
_WITHIN_ONE = frozenset({"tanh", "sin", "cos", "sign"})  # in size
_SOFTMAX = frozenset(with_axis(softmax.Softmax, axis) for axis in (None, 0, 1))


def nonnegative(plan: Plan, v: Value) -> bool:
    """Whether no entry is negative, by how the value is computed and by what is declared of the arguments."""
    known: dict[Value, bool] = {}
    for a in reachable([v], stop=plan.nonnegative.__contains__):
        known[a] = a in plan.nonnegative or _is_nonnegative(a, known)
    return known[v]


def _is_nonnegative(v: Value, known: dict[Value, bool]) -> bool:
    op, args = v.op, v.args
    if op in _NEVER_NEGATIVE:
        return True
    if op == "const":
        return bool(v.attrs[0] >= 0)
    if op in _KEEP:
        return all(known[a] for a in args[: 1 if op in VIEWS else None])
    if op in _PRODUCTS:
        return all(known[a] for a in args) or (args[0] is args[1] and (op == "inner" or not v.shape))
    if op == "add":
        return _is_sum(v, known)
    if op == "mul":
        return v.attrs[0] >= 0 and _in_pairs(args[: v.attrs[1]], known) and _in_pairs(args[v.attrs[1] :], known)
    if op == "pow":
        return known[args[0]]
    if op == "det":
        return bool(v.attrs[0])
    return op == "call" and v.attrs[0] in _SOFTMAX


def _in_pairs(factors: tuple[Value, ...], known: dict[Value, bool]) -> bool:
    """Whether the factors that may be negative occur an even number of times."""
    return all(known[a] or factors.count(a) % 2 == 0 for a in factors)


def _is_sum(v: Value, known: dict[Value, bool]) -> bool:
    (signs,) = v.attrs
    taken = [a for a, negative in zip(v.args, signs, strict=True) if negative]
    added = [a for a, negative in zip(v.args, signs, strict=True) if not negative]
    if not all(known[a] for a in added):
        return False
    if not taken:
        return True
    ones = any(a.op == "const" and a.attrs[0] >= 1 for a in added)
    return len(taken) == 1 and ones and _at_most_one(taken[0])


def _at_most_one(v: Value) -> bool:
    if v.op == "mul":
        return abs(v.attrs[0]) <= 1 and v.attrs[1] == len(v.args) and all(_at_most_one_in_size(a) for a in v.args)
    return _at_most_one_in_size(v)


def _at_most_one_in_size(v: Value) -> bool:
    if v.op in ("sigmoid", "cosigmoid") or v.op in _WITHIN_ONE:
        return True
    if v.op in VIEWS:
        return _at_most_one_in_size(v.args[0])
    return v.op == "call" and v.attrs[0] in _SOFTMAX


__all__ = ["nonnegative"]
