"""How NumPy spells each operation of a plan."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, TypeAlias

from matcalc.expr import Number
from matcalc.lowering.code import ATOM, LARGEST_EXACT, POWER, SUM, TERM, UNARY, Code, fill, number_code
from matcalc.lowering.in_place import is_fresh
from matcalc.lowering.plan import Value
from matcalc.lowering.templates import slots_numbered, with_axis
from matcalc.primitives import matrix, products, reductions, structure
from matcalc.primitives.elementwise import FUNCTIONS

if TYPE_CHECKING:
    from matcalc.lowering.numpy_source import Writer

Spelling: TypeAlias = Callable[["Writer", Value, Sequence[Code]], Code]
SPELLINGS: dict[str, Spelling] = {}

_LARGEST_PLAIN_POWER = 16


def known_function(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    if v.op == "sqrt" and _is_positive(v.args[0]):
        return Code(f"{args[0].at(ATOM)}**0.5", POWER)
    code = fill(FUNCTIONS[v.op].code, {"x": args[0]})
    return Code(f"float({code.text})", ATOM) if v.weak else code


def _spelling(*ops: str) -> Callable[[Spelling], Spelling]:
    def add(spelling: Spelling) -> Spelling:
        for op in ops:
            SPELLINGS[op] = spelling
        return spelling

    return add


def _templates(table: Mapping[str, str]) -> None:
    for op, template in table.items():
        SPELLINGS[op] = lambda w, v, args, t=template: fill(t, {str(i): c for i, c in enumerate(args)})  # type: ignore[misc]


_templates({
    "T": "{0}.T",
    "matmul": "{xp}.matmul({0}, {1})",
    "inner": slots_numbered(products.Inner),
    "solve": "{xp}.linalg.solve({0}, {1})",
    "inv": slots_numbered(matrix.Inv),
    "inverse_diagonal": "{0}.inverse_diagonal()",
    "det_of": "{0}.det()",
    "logdet_of": "{0}.logdet()",
    "gram_with": "{0}.gram({1})",
    "det": slots_numbered(matrix.Det),
    "kron": slots_numbered(products.Kron),
    "diagonal": slots_numbered(structure.DiagonalPart),
    "trace": slots_numbered(reductions.Trace),
    "swap": "{0}.swapaxes(0, 1)",
    "add_diagonal": "{rt}.add_diagonal({0}, {1})",
    "rows_of": "{0}[{1}]",
    "symmetric_dot": "{rt}.symmetric_dot({0}, {1})",
    "whole": "{rt}.whole({0})",
    "within": "{rt}.within({0}, {1})",
    "cosigmoid": "{rt}.sigmoid(-{0})",
})  # fmt: skip


@_spelling("dot")
def _dot(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    left, right = args
    if v.rank == 1:  # a vector stands on either side: no view of the transpose is needed
        if v.args[0].op == "T" and left.text.endswith(".T"):
            left, right = right, Code(left.text.removesuffix(".T"), ATOM)
        elif v.args[1].op == "T" and right.text.endswith(".T"):
            left, right = Code(right.text.removesuffix(".T"), ATOM), left
    return Code(f"{left.at(ATOM)}.dot({right.text})", ATOM)


@_spelling("const")
def _const(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    return number_code(v.attrs[0])


@_spelling("pi")
def _pi(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    return Code("np.pi", ATOM)


@_spelling("size")
def _size(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    return w.size(v.attrs[0])


# NumPy's pinv takes what is zero but for rounding by the digits of float64 unless it is told not to.
_OF_NUMPY = {slots_numbered(matrix.Pinv): "{xp}.linalg.pinv({0}, rtol=None)"}


@_spelling("call")
def _call(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    template = _OF_NUMPY.get(v.attrs[0], v.attrs[0])
    code = fill(template, {str(i): c for i, c in enumerate(args)})
    return Code(f"float({code.text})", ATOM) if v.weak and "{xp}" in v.attrs[0] else code


@_spelling("unknown")
def _unknown(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    code = Code(f"{w.function_name(*v.attrs)}({args[0].text})", ATOM)
    return Code(f"float({code.text})", ATOM) if v.weak else code


@_spelling("map")
def _map(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    name, of, *batch = v.attrs
    given = ", ".join(a.text for a in args)
    if batch:
        return Code(f"rt.of_each({w.map_name(name, of)}, {batch[0]}, {given})", ATOM)
    text = f"{w.map_name(name, of)}({given})"
    return Code(f"float({text})" if v.weak else text, ATOM)


@_spelling("add")
def _add(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    text = ""
    for negative, term, a in zip(v.attrs[0], v.args, args, strict=True):
        if term.op == "const":
            a = number_in(w, v, term.attrs[0])
        if not text:
            text = f"-{a.at(UNARY)}" if negative else a.text
        elif negative:
            text += f" - {a.at(TERM)}"
        elif a.text.startswith("-"):
            text += f" - {a.text[1:]}" if a.level > SUM else f" + ({a.text})"
        else:
            text += f" + {a.at(SUM)}"
    return Code(text, SUM)


@_spelling("mul")
def _mul(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    coefficient, count = v.attrs
    above, below = list(args[:count]), list(args[count:])
    sign = ""
    if coefficient < 0:
        sign, coefficient = "-", -coefficient
    if coefficient != 1 or not above:
        under = _divisor(coefficient)
        if under and (not above or under & (under - 1)):  # x/3, but 0.5*x, which is as exact and faster
            below.insert(0, number_in(w, v, under))
        else:
            above.insert(0, number_in(w, v, coefficient))
        above = above or [number_in(w, v, 1)]
    text = sign + above[0].at(UNARY if sign else TERM)
    for a in above[1:]:
        text += f" * {a.at(UNARY)}"
    if len(below) == 1:
        text += f" / {below[0].at(UNARY)}"
    elif below:
        text += f" / ({' * '.join(b.at(UNARY) for b in below)})"
    return Code(text, TERM if len(above) + len(below) > 1 else UNARY if sign else above[0].level)


def number_in(w: Writer, v: Value, number: Number) -> Code:
    """A number in the sum or product ``v``, or alone: NumPy takes 2.0 faster than 2 where it meets arrays."""
    meets = (v.shape or not v.args) and w.decimal and isinstance(number, int) and abs(number) <= LARGEST_EXACT
    return number_code(float(number) if meets else number)


def _divisor(coefficient: Number) -> int:
    """q, where the coefficient is 1/q and q a float is exactly."""
    if isinstance(coefficient, Fraction) and coefficient.numerator == 1 and coefficient.denominator <= LARGEST_EXACT:
        return coefficient.denominator
    return 0


@_spelling("pow")
def _pow(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    base, exponent = v.args
    if v.weak and not (
        _is_positive(base) and exponent.op == "const" and abs(exponent.attrs[0]) <= _LARGEST_PLAIN_POWER
    ):
        # Python would compute whole numbers of any length, and complex numbers.
        return Code(f"float(np.float64({args[0].text})**{args[1].at(UNARY)})", ATOM)
    return Code(f"{args[0].at(ATOM)}**{args[1].at(UNARY)}", POWER)


def _is_positive(v: Value) -> bool:
    """Whether a number made of constants and sizes is seen to be positive."""
    if v.op == "mul" and v.weak and v.attrs[0] > 0:
        return all(a.op in ("size", "pi") for a in v.args)
    return v.op in ("size", "pi") or (v.op == "const" and v.attrs[0] > 0)


@_spelling("outer")
def _outer(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    return Code(f"{args[0].at(ATOM)}[:, None].dot({args[1].at(ATOM)}[None])", ATOM)  # BLAS: faster than broadcasting


@_spelling("plus_outers")
def _plus_outers(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    a = v.args[1]
    named = args[1].text.isidentifier()
    over = ", over=True" if w.reuses and (w.is_dead(a, v) if named else is_fresh(a)) else ""
    return Code(f"rt.plus_outers({', '.join(a.text for a in args)}{over})", ATOM)


@_spelling("rows")
def _rows(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    if len(args) == 1:
        return Code(f"{args[0].at(ATOM)}[None]", ATOM)
    return Code(f"np.array(({', '.join(a.text for a in args)}))", ATOM)


@_spelling("newaxis")
def _newaxis(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    return Code(f"{args[0].at(ATOM)}[{'None, :' if v.attrs[0] == 0 else ':, None'}]", ATOM)


@_spelling("sum")
def _sum(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    return fill(with_axis(reductions.Sum, v.attrs[0]), {"0": args[0]})


@_spelling("products_summed")
def _products_summed(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    return Code(f"rt.products_summed({args[0].text}, {args[1].text}, {v.attrs[0]})", ATOM)


@_spelling("norm")
def _norm(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    (x,) = args
    if v.args[0].rank == 1 and x.text.isidentifier():
        return Code(f"np.sqrt({x.text}.dot({x.text}))", ATOM)
    return fill(slots_numbered(reductions.Norm2), {"0": x})


@_spelling("logdet")
def _logdet(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    if v.attrs and v.attrs[0]:  # positive definite
        return Code(f"2 * np.log(np.linalg.cholesky({args[0].text}).diagonal()).sum()", TERM)
    return fill(slots_numbered(matrix.LogDet), {"0": args[0]})


@_spelling("cholesky", "symmetric", "lu", "inverse")
def _by_lapack(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    w.needs_lapack = True
    return Code(f"lapack.{v.op}({args[0].text}, {json.dumps(v.attrs[0], ensure_ascii=False)})", ATOM)


@_spelling("inverse_of")
def _inverse_of(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    over = "over=True" if w.is_last(v.args[0], v) else ""
    return Code(f"{args[0].at(ATOM)}.inverse({over})", ATOM)


@_spelling("solve_with")
def _solve_with(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    method = "solve_transposed" if v.attrs[0] else "solve"
    return Code(f"{args[0].at(ATOM)}.{method}({args[1].text})", ATOM)


@_spelling("full")
def _full(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    w.needs_dtype = True
    entry = v.args[0]
    number = entry.attrs[0] if entry.op == "const" else None
    if number in (0, 1):
        return Code(f"np.{'ones' if number else 'zeros'}({w.shape(v.shape)}, dtype)", ATOM)
    return Code(f"np.full({w.shape(v.shape)}, {args[0].text}, dtype)", ATOM)


@_spelling("diag", "dense", "spread")
def _structured(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    (x,), (entries,) = args, v.args
    if v.op == "dense" and entries.op == "diag":
        return x
    if v.op == "diag":
        if entries.shape:
            return Code(f"np.diag({x.text})", ATOM)
        w.needs_dtype = True
        eye = f"np.eye({w.size(v.shape[0]).text}, dtype=dtype)"
        return Code(eye, ATOM) if x.text == "1" else Code(f"{x.at(UNARY)} * {eye}", TERM)
    if v.op == "spread" and v.attrs[0] == 1:
        return Code(f"np.broadcast_to({x.at(ATOM)}[:, None], {w.shape(v.shape)})", ATOM)
    return Code(f"np.broadcast_to({x.text}, {w.shape(v.shape)})", ATOM)


@_spelling("reshape")
def _reshape(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    if len(v.shape) == 1:
        return Code(f"{args[0].at(ATOM)}.ravel()", ATOM)
    if not v.shape:
        return Code(f"{args[0].at(ATOM)}.ravel()[0]", ATOM)
    return Code(f"{args[0].at(ATOM)}.reshape{w.shape(v.shape)}", ATOM)


@_spelling("axes")
def _axes(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    return Code(f"{args[0].at(ATOM)}.transpose({', '.join(map(str, v.attrs))})", ATOM)


@_spelling("repeats")
def _repeats(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    (letters,) = v.attrs
    return Code(f'np.einsum("{letters}->{"".join(dict.fromkeys(letters))}", {args[0].text})', ATOM)


@_spelling("expand")
def _expand(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    marks = ["None" if not present else ":" for present in v.attrs]
    while marks[-1] == ":":
        marks.pop()
    return Code(f"{args[0].at(ATOM)}[{', '.join(marks)}]", ATOM)


@_spelling("stack")
def _stack(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    axis, ragged = v.attrs
    arrays = ", ".join(a.text for a in args)
    if ragged:
        return Code(f"np.stack(np.broadcast_arrays({arrays}), {axis})", ATOM)
    order = list(range(1, v.rank))
    order.insert(axis % v.rank, 0)
    view = "" if order[0] == 0 else ".T" if v.rank == 2 else f".transpose({', '.join(map(str, order))})"
    return Code(f"np.array(({arrays})){view}", ATOM)  # several times as fast as np.stack


@_spelling("concat")
def _concat(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    axis = f", {v.attrs[0]}" if v.attrs[0] else ""
    return Code(f"np.concatenate(({', '.join(a.text for a in args)}){axis})", ATOM)


@_spelling("flip")
def _flip(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    kept = v.attrs[0] if v.attrs else 0  # the axis of a batch
    return Code(f"{args[0].at(ATOM)}[{', '.join([':'] * kept + ['::-1'] * (v.rank - kept))}]", ATOM)


@_spelling("commutation")
def _commutation(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    w.needs_dtype = True
    m, n = (w.size(d).text for d in v.attrs)
    return Code(f"rt.commutation({m}, {n}, dtype)", ATOM)


@_spelling("unit")
def _unit(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    w.needs_dtype = True
    return Code(f"rt.unit({args[0].text}, {args[1].text}, dtype)", ATOM)


@_spelling("position")
def _position(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    index, size = v.args
    if w.inside(index, size):
        return Code(f"{args[0].at(SUM)} - 1", SUM)
    return Code(f"rt.position({args[0].text}, {args[1].text})", ATOM)


@_spelling("block")
def _block(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    operand, *rest = args
    places = []
    for where in v.attrs:
        if where == "range":
            lower, upper = rest.pop(0).text, rest.pop(0).text
            places.append(f"{'' if lower == '0' else lower}:{upper}")
        else:
            places.append(":" if where == "all" else rest.pop(0).text)
    while len(places) > 1 and places[-1] == ":":
        places.pop()
    return Code(f"{operand.at(ATOM)}[{', '.join(places)}]", ATOM)
