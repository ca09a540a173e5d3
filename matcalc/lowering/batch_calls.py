"""What reductions and the functions of the array library and of the runtime are for a batch."""

from __future__ import annotations

import re

from matcalc.dims import ONE
from matcalc.lowering.batch import Batch, NoRuleError, Rules, einsum, flipped, other_letter, ruled
from matcalc.lowering.plan import ArrayShape, Value

RULES: Rules = {}

# Reductions


def _axes(axis: int | None, rank: int) -> int | tuple[int, ...]:
    """The axes of the items as those of the batch."""
    if axis is not None:
        return axis + 1
    return 1 if rank == 1 else tuple(range(1, rank + 1))


@ruled(RULES, "sum")
def _sum(b: Batch, v: Value) -> Value:
    (a,) = v.args
    many, axis = b.of(a), v.attrs[0]
    if b.portable and axis is None and a.rank > 1:
        many, axis = b.plan.reshape(many, (b.size, *_flat(a.shape))), 0
    return b.plan.value("sum", (many,), b.shape(v), _axes(axis, a.rank))


def _flat(shape: ArrayShape) -> ArrayShape:
    n = ONE
    for d in shape:
        n = n * d
    return (n,)


@ruled(RULES, "norm")
def _norm(b: Batch, v: Value) -> Value:
    many, letters = b.of(v.args[0]), "ijk"[: v.args[0].rank + 1]
    if many.op == "axes" and many.rank == 3:
        many = flipped(b.plan, many)
    return b.plan.value("sqrt", (einsum(b.plan, f"{letters},{letters}->i", (many, many), b.shape(v)),), b.shape(v))


# Functions of the library and of the runtime

_CALL = re.compile(r"\{(xp|rt)\}\.([\w.]+)\((.*)\)")
_ALONG = re.compile(r"(\{rt\}\.\w+\(\{0\}|\{0\}\.max\()(?:, )?(\d*)\)")
_EINSUM = re.compile(r"'([a-zA-Z,]+)->([a-zA-Z]*)', (.*)")
_OF_STACKS = ("adjugate", "expm", "expm_frechet", "conv", "corr", "convmtx", "crop", "pad")
_COUNTED = "max({0} - {1} + 1, 0)"


@ruled(RULES, "call")
def _call(b: Batch, v: Value) -> Value:
    template, analytic = v.attrs
    along = _ALONG.fullmatch(template)
    if along and (along[1] == "{0}.max(" or along[1][5:-4] in ("softmax", "log_softmax", "logsumexp", "argmax")):
        (a,) = v.args
        many, shape, axes = b.of(a), b.shape(v), _axes(int(along[2]) if along[2] else None, a.rank)
        if b.portable and not isinstance(axes, int):
            many, axes = b.plan.reshape(many, (b.size, *_flat(a.shape))), 1
            shape = many.shape if v.shape else shape
        text = f"{along[1]}{', ' if along[1][0:4] == '{rt}' else ''}{axes})"
        return b.plan.reshape(b.plan.call(text, (many,), shape, analytic), b.shape(v))
    if template == _COUNTED:
        return b.plan.call("{xp}.maximum({0} - {1} + 1, 0)", tuple([b.of(a) for a in v.args]), b.shape(v), analytic)
    found = _CALL.fullmatch(template)
    if found is None:
        raise NoRuleError
    name = found[2]
    if name == "einsum":
        return _einsum(b, v, found[3])
    if name == "safe_reciprocal" or (name == "pinv" and found[1] == "rt"):
        return b.plan.call("{rt}.safe_reciprocal({0})", (b.of(v.args[0]),), b.shape(v), analytic)
    if name == "khatri_rao":
        x, y = v.args
        factors = (b.marked(x, [True, False, True]), b.marked(y, [False, True, True]))
        shape = (b.size, x.shape[0], y.shape[0], x.shape[1])
        return b.plan.reshape(b.plan.value("mul", factors, shape, 1, 2), b.shape(v))
    of_stacks = name == "linalg.pinv" or (name == "linalg.matrix_power" and not b.has(v.args[1]))
    if of_stacks or (not b.portable and name in _OF_STACKS and all(a.rank == 2 or not b.has(a) for a in v.args)):
        return b.plan.call(template, tuple([b.of(a) for a in v.args]), b.shape(v), analytic)
    raise NoRuleError


def _einsum(b: Batch, v: Value, inside: str) -> Value:
    found = _EINSUM.fullmatch(inside)
    if found is None:
        raise NoRuleError
    letter = other_letter(found[1])
    inputs = [letter * b.has(a) + letters for a, letters in zip(v.args, found[1].split(","), strict=True)]
    template = f"{{xp}}.einsum('{','.join(inputs)}->{letter}{found[2]}', {found[3]})"
    return b.plan.call(template, tuple([b.of(a) for a in v.args]), b.shape(v), v.attrs[1])


__all__ = ["RULES"]
