"""What each operation of a plan is in the words of an array library."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from matcalc.emission.libraries import STANDARD
from matcalc.errors import ArgumentError
from matcalc.lowering.code import ATOM, POWER, SUM, TERM, UNARY, Code, fill
from matcalc.lowering.plan import Value
from matcalc.lowering.spellings import SPELLINGS

if TYPE_CHECKING:
    from matcalc.emission.array_writer import ArrayWriter

Rule: TypeAlias = "Callable[[ArrayWriter, Value, Sequence[Code]], Code]"
RULES: dict[str, Rule] = {}

# Functions of numbers that are known from sizes.
_OF_NUMBERS = {
    **{f: f"math.{f}({{0}})" for f in ("exp", "log", "log1p", "expm1", "sqrt", "sin", "cos", "tan", "asin", "acos")},
    **{f: f"math.{f}({{0}})" for f in ("atan", "sinh", "cosh", "tanh", "erf")},
    "abs": "abs({0})",
    "sign": "math.copysign(abs({0}) > 0, {0})",
    "relu": "max({0}, 0)",
    "step": "float({0} > 0)",
    "sigmoid": "(1 / (1 + math.exp(-{0})))",
    "cosigmoid": "(1 / (1 + math.exp({0})))",
    "softplus": "(math.log1p(math.exp(-abs({0}))) + max({0}, 0))",
    "silu": "({0} / (1 + math.exp(-{0})))",
    "gelu": "({0} * (0.5 * (1 + math.erf({0} * 0.7071067811865476))))",
    "pow": "math.pow({0}, {1})",
    "whole": "{h}.whole({0})",
    "pinv": "(1 / {0} if {0} else 0.0)",
    "safe_reciprocal": "(1 / {0} if {0} else 0.0)",
}

_CALL = re.compile(r"\{(?:xp|rt)\}\.([\w.]+)\((.*)\)$")
_MAX = re.compile(r"\{0\}\.max\((\d*)\)$")
_WITH_AXIS = {"softmax", "log_softmax", "logsumexp", "argmax"}


def is_number(v: Value) -> bool:
    """Whether a value is a number of Python, made of constants, sizes and indices only."""
    stack, seen = [v], set()
    while stack:
        e = stack.pop()
        if not e.weak or e.op in ("unknown", "map"):
            return False
        if e not in seen:
            seen.add(e)
            stack.extend(e.args)
    return True


# What each operation is


def written(w: ArrayWriter, v: Value, args: Sequence[Code]) -> Code:
    if v.op in RULES:
        return RULES[v.op](w, v, args)
    if v.op in _OF_NUMBERS and is_number(v):
        return w.fill(_OF_NUMBERS[v.op], args)
    if v.op in ("call", "add", "mul", "const", "size", "newaxis", "unknown", "map"):
        return SPELLINGS[v.op](w, v, args)
    if not w.has(v.op):
        raise ArgumentError(f"the operation {v.op} is not written for {w.library.title}")
    args = [w.array(a, c) for a, c in zip(v.args, args, strict=True)]
    return w.word(v.op, args, shape=v.shape)


def _rule(*ops: str) -> Callable[[Rule], Rule]:
    def add(rule: Rule) -> Rule:
        for op in ops:
            RULES[op] = rule
        return rule

    return add


@_rule("pi")
def _pi(w: ArrayWriter, v: Value, args: Sequence[Code]) -> Code:
    return w.fill("math.pi")


@_rule("unknown", "map")
def _given(w: ArrayWriter, v: Value, args: Sequence[Code]) -> Code:
    """A function that the caller gives: it takes arrays."""
    return SPELLINGS[v.op](w, v, [w.array(a, c) for a, c in zip(v.args, args, strict=True)])


@_rule("call")
def _call(w: ArrayWriter, v: Value, args: Sequence[Code]) -> Code:
    template = v.attrs[0]
    of_max = _MAX.match(template)
    if of_max:
        return _reduced(w, v, "max", of_max[1], args)
    found = _CALL.match(template.removesuffix("[1]"))
    if found is None:
        return fill(template, {str(k): c for k, c in enumerate(args)})  # Python's own, of numbers
    name, rest = found.groups()
    if is_number(v) and name in _OF_NUMBERS:
        return w.fill(_OF_NUMBERS[name], args)
    args = [w.array(a, c) if k == 0 else c for k, (a, c) in enumerate(zip(v.args, args, strict=True))]
    if name in _WITH_AXIS:
        return _reduced(w, v, name, rest.partition(", ")[2], args)
    name = {"linalg.slogdet": "logdet", "linalg.inv": "inv", "linalg.det": "det"}.get(name, name)
    if not w.has(name):
        raise ArgumentError(f"{name} is not written for {w.library.title}")
    inside = fill(f"({rest})", {str(k): c for k, c in enumerate(args)}).text[1:-1].replace("'", '"')
    return w.word(name, args, rest=inside, shape=v.shape)


def _reduced(w: ArrayWriter, v: Value, name: str, axis: str, args: Sequence[Code]) -> Code:
    """A reduction along an axis, or of all entries."""
    if not axis and v.args[0].rank == 1:
        axis = "0"
    return w.word(f"{name} along", args, axis=axis) if axis else w.word(name, args)


@_rule("sum")
def _sum(w: ArrayWriter, v: Value, args: Sequence[Code]) -> Code:
    (axis,) = v.attrs
    return w.word("sum", args) if axis is None else w.word("sum along", args, axis=axis)


@_rule("pow")
def _pow(w: ArrayWriter, v: Value, args: Sequence[Code]) -> Code:
    if is_number(v):
        base, exponent = v.args
        plain = base.op in ("size", "pi") or (base.op == "const" and base.attrs[0] > 0)
        if not (plain and exponent.op == "const" and abs(exponent.attrs[0]) <= 16):
            return w.fill("math.pow({0}, {1})", args)
    return SPELLINGS["pow"](w, v, args) if not v.weak else Code(f"{args[0].at(ATOM)}**{args[1].at(UNARY)}", POWER)


@_rule("dot", "matmul")
def _dot(w: ArrayWriter, v: Value, args: Sequence[Code]) -> Code:
    return Code(f"{args[0].at(TERM)} @ {args[1].at(UNARY)}", TERM)


@_rule("outer")
def _outer(w: ArrayWriter, v: Value, args: Sequence[Code]) -> Code:
    if w.has("outer"):
        return w.word("outer", args)
    return Code(f"{args[0].at(ATOM)}[:, None] * {args[1].at(ATOM)}[None, :]", TERM)


@_rule("kron")
def _kron(w: ArrayWriter, v: Value, args: Sequence[Code]) -> Code:
    """PyTorch takes only arrays that lie by rows, as products and what is computed of them entry by entry do."""
    if w.has("by rows"):
        args = [x if _lies_by_rows(a) else w.word("by rows", [x]) for a, x in zip(v.args, args, strict=True)]
    return w.word("kron", args)


def _lies_by_rows(v: Value) -> bool:
    if v.op in ("add", "mul"):
        return all(_lies_by_rows(a) for a in v.args if a.shape)
    return v.op in ("dot", "outer") or (v.op == "diag" and not v.args[0].shape)


@_rule("cosigmoid")
def _cosigmoid(w: ArrayWriter, v: Value, args: Sequence[Code]) -> Code:
    if is_number(v):
        return w.fill(_OF_NUMBERS["cosigmoid"], args)
    return w.word("sigmoid", [Code(f"-{args[0].at(UNARY)}", UNARY)])


@_rule("logdet")
def _logdet(w: ArrayWriter, v: Value, args: Sequence[Code]) -> Code:
    return w.word("logdet positive" if v.attrs and v.attrs[0] else "logdet", args, shape=())


@_rule("full")
def _full(w: ArrayWriter, v: Value, args: Sequence[Code]) -> Code:
    return w.repeated(args[0], v.shape, is_number(v.args[0]))


@_rule("diag", "dense", "spread")
def _structured(w: ArrayWriter, v: Value, args: Sequence[Code]) -> Code:
    (x,), (entries,) = args, v.args
    if v.op == "dense" and entries.op == "diag":
        return x
    if v.op == "diag":
        if entries.shape:
            return w.word("diag", [x])
        eye = w.word("eye", size=w.size(v.shape[0]).text)
        return eye if x.text == "1" else Code(f"{x.at(UNARY)} * {eye.text}", TERM)
    if v.op == "spread" and v.attrs[0] == 1:
        x = Code(f"{x.at(ATOM)}[:, None]", ATOM)
    return w.repeated(x, v.shape, is_number(entries))


@_rule("add_diagonal")
def _add_diagonal(w: ArrayWriter, v: Value, args: Sequence[Code]) -> Code:
    (a, x), (_, entries) = args, v.args
    if entries.shape:
        added, sign = w.word("diag", [x]), "+"
    else:
        added, sign = w.word("eye", size=w.size(v.shape[0]).text), "-" if x.text.startswith("-") else "+"
        x = Code(x.text.removeprefix("-"), x.level)
        added = added if x.text == "1" else Code(f"{x.at(UNARY)} * {added.text}", TERM)
    if sign == "+" and a.text.startswith("-") and a.level > SUM:
        return Code(f"{added.text} - {a.text[1:]}", SUM)
    return Code(f"{a.at(SUM)} {sign} {added.text}", SUM)


@_rule("reshape")
def _reshape(w: ArrayWriter, v: Value, args: Sequence[Code]) -> Code:
    return w.shaped(w.array(v.args[0], args[0]), v.shape)


@_rule("swap")
def _swap(w: ArrayWriter, v: Value, args: Sequence[Code]) -> Code:
    return w.permuted(args[0], [1, 0, *range(2, v.rank)])


@_rule("axes")
def _axes(w: ArrayWriter, v: Value, args: Sequence[Code]) -> Code:
    return w.permuted(args[0], v.attrs)


@_rule("repeats")
def _repeats(w: ArrayWriter, v: Value, args: Sequence[Code]) -> Code:
    (letters,) = v.attrs
    full = "{h}.repeats" in w.library.words.get("repeats", STANDARD["repeats"])
    spelled = letters if full else f"{letters}->{''.join(dict.fromkeys(letters))}"
    return w.word("repeats", args, letters=f'"{spelled}"', shape=v.shape)


@_rule("expand")
def _expand(w: ArrayWriter, v: Value, args: Sequence[Code]) -> Code:
    marks = ["None" if not present else ":" for present in v.attrs]
    marks += [":"] * (v.rank - len(marks))
    return Code(f"{args[0].at(ATOM)}[{', '.join(marks)}]", ATOM)


@_rule("stack")
def _stack(w: ArrayWriter, v: Value, args: Sequence[Code]) -> Code:
    axis, ragged = v.attrs
    arrays = ", ".join(a.text for a in args)
    together = w.word("spread", arrays=arrays, unpacked=arrays).text if ragged else f"({arrays})"
    return w.word("stack", arrays=together, axis=axis)


@_rule("concat")
def _concat(w: ArrayWriter, v: Value, args: Sequence[Code]) -> Code:
    return w.word("concat", arrays=f"({', '.join(a.text for a in args)})", axis=v.attrs[0])


@_rule("flip")
def _flip(w: ArrayWriter, v: Value, args: Sequence[Code]) -> Code:
    axes = range(v.attrs[0] if v.attrs else 0, v.rank)
    return w.word("flip", args, axes=f"({', '.join(map(str, axes))}{',' if len(axes) == 1 else ''})")


@_rule("commutation")
def _commutation(w: ArrayWriter, v: Value, args: Sequence[Code]) -> Code:
    m, n = (w.size(d).text for d in v.attrs)
    return w.word("commutation", m=m, n=n)


@_rule("unit")
def _unit(w: ArrayWriter, v: Value, args: Sequence[Code]) -> Code:
    if v.rank > 1:
        return w.word("units", args)
    return w.word("unit", [_checked(w, v.args[0], args[0], args[1]), args[1]])


def _checked(w: ArrayWriter, at: Value, code: Code, size: Code) -> Code:
    """A position, which is checked where it is a number that may be too large."""
    known = size.text.isdigit() and at.op == "const" and at.attrs[0] < int(size.text)
    return w.word("position", [Code(str(at.attrs[0] + 1), ATOM), size]) if at.op == "const" and not known else code


@_rule("whole")
def _whole(w: ArrayWriter, v: Value, args: Sequence[Code]) -> Code:
    return w.word("wholes" if v.shape else "whole", args)


@_rule("within")
def _within(w: ArrayWriter, v: Value, args: Sequence[Code]) -> Code:
    return w.word("limit", args)


@_rule("position")
def _position(w: ArrayWriter, v: Value, args: Sequence[Code]) -> Code:
    index, size = v.args
    if w.inside(index, size):
        return Code(f"{args[0].at(SUM)} - 1", SUM)
    return w.word("positions" if v.shape else "position", args)


@_rule("take")
def _take(w: ArrayWriter, v: Value, args: Sequence[Code]) -> Code:
    (each,) = v.attrs
    return w.word("take each" if each else "take", args)


@_rule("block")
def _block(w: ArrayWriter, v: Value, args: Sequence[Code]) -> Code:
    operand, *rest = args
    values = list(v.args[1:])
    places = []
    for axis, where in enumerate(v.attrs):
        if where == "range":
            lower, upper = rest.pop(0).text, rest.pop(0).text
            del values[:2]
            places.append(f"{'' if lower == '0' else lower}:{upper}")
        elif where == "all":
            places.append(":")
        else:
            places.append(_checked(w, values.pop(0), rest.pop(0), w.size(v.args[0].shape[axis])).text)
    places += [":"] * (v.args[0].rank - len(places))
    return Code(f"{operand.at(ATOM)}[{', '.join(places)}]", ATOM)


__all__ = ["is_number", "written"]
