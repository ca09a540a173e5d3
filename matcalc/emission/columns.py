"""The operations of a plan in MATLAB and Julia.

``vec`` and its inverse, which stack columns, are plain reshapes there: operations of their own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

from matcalc.dims import ONE, Dim, dim
from matcalc.emission.c_kept import is_trivial
from matcalc.emission.columns_base import Args, number, one_more, opposite_of
from matcalc.emission.columns_calls import CallColumns
from matcalc.emission.columns_pieces import PieceColumns
from matcalc.emission.places import Place, column_major
from matcalc.errors import ArgumentError
from matcalc.lowering.code import ATOM, POWER, SUM, TERM, UNARY, Code
from matcalc.lowering.plan import Plan, Value, reachable

if TYPE_CHECKING:
    from matcalc.lowering.planned import Planned
    from matcalc.lowering.spellings import Spelling

FUNCTIONS = {
    **{name: name for name in ("abs", "acos", "asin", "atan", "exp", "log", "log1p", "expm1", "sqrt", "sin", "cos")},
    **{name: name for name in ("tan", "sinh", "cosh", "tanh", "erf", "sign")},
    **{name: name for name in ("sigmoid", "softplus", "relu", "silu", "gelu")},
}
_NAMED = frozenset({"block", "repeats"})  # operations that index into a named array


class ColumnWriter(PieceColumns, CallColumns, ABC):
    """Writes statements of a language whose arrays lie column by column."""

    functions_of_entries: Mapping[str, str]  # known functions -> their names here
    trace: str  # the names of functions
    repeat: str
    vector = "a vector"  # what the comment calls one
    function_kind = ""  # what it adds of a function that is to be given
    several_results = "Results"
    convention: str  # how arrays are to be read

    def spelling(self, v: Value) -> Spelling:
        rule: Callable[[Value, Args], Code] | None = getattr(self, f"op_{v.op}", None)
        if rule is not None:
            return lambda w, value, args: rule(value, args)
        if v.op in self.functions_of_entries:
            return lambda w, value, args: self.known(value, args)
        what = v.attrs[0] if v.op == "call" else v.op
        raise ArgumentError(f"{self.language} source has no word for {what}", hint="take --format python, torch or jax")

    def _spell(self, v: Value, pending: dict[Value, Code], indent: str) -> Code:
        if v.op in _NAMED:
            a = v.args[0]
            code = pending.pop(a) if a in pending else self._code[a]
            self._code[a] = code if code.text.isidentifier() else self._assign(a, code, indent)
        return super()._spell(v, pending, indent)

    def op_const(self, v: Value, args: Args) -> Code:
        return number(v.attrs[0])

    def op_pi(self, v: Value, args: Args) -> Code:
        return Code("pi", ATOM)

    def op_size(self, v: Value, args: Args) -> Code:
        return self.size(v.attrs[0])

    @abstractmethod
    def divided(self, size: Code, factor: int) -> str:
        """A size, divided by a whole number that divides it."""

    def known(self, v: Value, args: Args) -> Code:
        return self.call(self.use(self.functions_of_entries[v.op]), v.shape, *args)

    def op_cosigmoid(self, v: Value, args: Args) -> Code:
        name = self.use(self.functions_of_entries["sigmoid"])
        return self.call(name, v.shape, Code(f"-{args[0].at(POWER)}", UNARY))

    def op_unknown(self, v: Value, args: Args) -> Code:
        return self.call(self.function_name(*v.attrs), v.shape, *args)

    def op_map(self, v: Value, args: Args) -> Code:
        return Code(f"{self.map_name(*v.attrs)}({', '.join(a.text for a in args)})", ATOM)

    def op_add(self, v: Value, args: Args) -> Code:
        terms = []
        for minus, a, arg in zip(v.attrs[0], v.args, args, strict=True):
            code = self.aligned(a, arg, v.rank)
            opposite = opposite_of(code)
            terms.append((minus, a, code) if opposite is None else (not minus, a, opposite))
        if len(terms) == 2 and terms[0][0] and not terms[1][0]:
            terms.reverse()
        text, arrays = "", False
        for minus, a, code in terms:
            if not text:
                text = f"-{code.at(POWER if chr(92) in code.text else TERM)}" if minus else code.at(SUM)
                arrays = bool(a.shape)
                continue
            arrays = arrays or bool(a.shape)
            text += f" {self.plus('-' if minus else '+', arrays)} {code.at(TERM)}"
        return Code(text, SUM)

    def op_mul(self, v: Value, args: Args) -> Code:
        coefficient, count = v.attrs
        factors = [(self.aligned(a, code, v.rank), bool(a.shape)) for a, code in zip(v.args, args, strict=True)]
        above, below = factors[:count], factors[count:]
        negative = coefficient < 0
        coefficient = abs(coefficient)
        if (
            isinstance(coefficient, Fraction)
            and coefficient.numerator == 1
            and (not above or coefficient.denominator & (coefficient.denominator - 1))
        ):
            below.insert(0, (number(coefficient.denominator), False))
        elif coefficient != 1:
            above.insert(0, (number(coefficient), False))
        above = above or [(number(1), False)]
        if negative:
            first, array = above[0]
            above[0] = Code(f"-{first.at(POWER)}", UNARY), array
        top = self.product(above)
        text = top.at(TERM) if below else top.text
        arrays = any(array for _, array in above)
        level = TERM if below else top.level
        if below:
            under = self.product(below)
            wide = any(array for _, array in below)
            text += f" {self.over(arrays, wide)} {under.at(UNARY)}"
        return Code(text, level)

    def op_pow(self, v: Value, args: Args) -> Code:
        base, exponent = (self.aligned(a, code, v.rank) for a, code in zip(v.args, args, strict=True))
        return self.power(base, exponent, v)

    def op_outer(self, v: Value, args: Args) -> Code:
        return Code(f"{args[0].at(TERM)} * {self.turned(args[1]).text}", TERM)

    def op_dot(self, v: Value, args: Args) -> Code:
        a, b = v.args
        left, right = args
        if a.rank == 1 and b.rank == 2:
            return Code(f"{self.turned(right).text} * {left.at(UNARY)}", TERM)
        if a.rank == b.rank == 1:
            return self.op_inner(v, args)
        return Code(f"{left.at(TERM)} * {right.at(UNARY)}", TERM)

    @abstractmethod
    def op_inner(self, v: Value, args: Args) -> Code: ...

    def op_solve(self, v: Value, args: Args) -> Code:
        return Code(f"{args[0].at(UNARY)} \\ {args[1].at(UNARY)}", TERM)

    def op_trace(self, v: Value, args: Args) -> Code:
        return Code(f"{self.trace}({args[0].text})", ATOM)

    def op_spread(self, v: Value, args: Args) -> Code:
        rows, cols = (self.size(d).text for d in v.shape)
        if v.attrs[0] == 0:
            return Code(f"{self.repeat}({self.turned(args[0]).text}, {rows}, 1)", ATOM)
        return Code(f"{self.repeat}({args[0].text}, 1, {cols})", ATOM)

    def op_inv(self, v: Value, args: Args) -> Code:
        return Code(f"inv({args[0].text})", ATOM)

    def op_kron(self, v: Value, args: Args) -> Code:
        return Code(f"kron({args[0].text}, {args[1].text})", ATOM)

    def op_det(self, v: Value, args: Args) -> Code:
        return Code(f"det({args[0].text})", ATOM)

    def op_diagonal(self, v: Value, args: Args) -> Code:
        return Code(f"diag({args[0].text})", ATOM)

    def op_sum(self, v: Value, args: Args) -> Code:
        (axis,) = v.attrs
        axes = [axis] if axis is not None else list(range(v.args[0].rank))
        return self.summed(args[0], v.args[0], axes, v.shape)

    def op_matmul(self, v: Value, args: Args) -> Code:
        return self.batched(v.shape, v.args[0], args[0], v.args[1], args[1])

    def op_full(self, v: Value, args: Args) -> Code:
        return self.filled(v.shape, args[0].text)

    def op_dense(self, v: Value, args: Args) -> Code:
        (a,) = v.args
        if a.op == "diag":
            return args[0]
        code = self.aligned(a, args[0], v.rank)
        return Code(f"{code.at(SUM)} {self.plus('+', True)} {self.filled(v.shape, '0').text}", SUM)

    def op_newaxis(self, v: Value, args: Args) -> Code:
        return self.turned(args[0]) if v.attrs[0] == 0 else self.reshaped(args[0], v.shape)

    def op_unit(self, v: Value, args: Args) -> Code:
        at = self.checked(v.args[0], args[0], v.shape[0]).text
        return Code(f"{self.use('unit')}({at}, {args[1].text})", ATOM)

    def op_commutation(self, v: Value, args: Args) -> Code:
        m, n = (self.size(d).text for d in v.attrs)
        return Code(f"{self.use('commutation')}({m}, {n})", ATOM)

    def op_T(self, v: Value, args: Args) -> Code:
        return self.turned(args[0])

    def op_vec(self, v: Value, args: Args) -> Code:
        return self.reshaped(args[0], v.shape)

    def op_unvec(self, v: Value, args: Args) -> Code:
        return self.reshaped(args[0], v.shape)

    def op_reshape(self, v: Value, args: Args) -> Code:
        (a,) = v.args
        if not v.shape:
            return self.only(args[0])
        if is_trivial(v) or a.rank == 0:
            return self.reshaped(args[0], v.shape)
        x = self.reversed(args[0], a.rank)
        return self.reversed(self.reshaped(x, v.shape[::-1]), v.rank)

    def op_axes(self, v: Value, args: Args) -> Code:
        return self.permuted(args[0], v.attrs) if v.rank > 2 else self.turned(args[0])

    def op_swap(self, v: Value, args: Args) -> Code:
        return self.permuted(args[0], (1, 0, *range(2, v.rank)))

    def op_expand(self, v: Value, args: Args) -> Code:
        return self.reshaped(args[0], v.shape)

    def op_repeats(self, v: Value, args: Args) -> Code:
        (a,) = v.args
        (letters,) = v.attrs
        if v.rank == 1 and a.rank == 2:
            return self.op_diagonal(v, args)
        strides: dict[str, Dim] = {}
        for c, stride in zip(letters, column_major(a.shape), strict=True):
            strides[c] = strides.get(c, dim(0)) + stride
        place = Place(dim(0), v.shape, tuple(strides.values()))
        return self.gathered(args[0].text, self.view(place, [], {}))

    def op_block(self, v: Value, args: Args) -> Code:
        operand, *rest = args
        values = list(v.args[1:])
        places, kept = [], []
        for where in v.attrs:
            if where == "range":
                lower, upper = rest.pop(0), rest.pop(0)
                del values[:2]
                places.append(f"{one_more(lower).at(TERM)}:{upper.at(TERM)}")
            elif where == "all":
                places.append(":")
            else:
                places.append(self.place(values.pop(0), rest.pop(0)).text)
            kept.append(where not in ("at",))
        return self.indexed(operand.text, places, kept, v.shape)

    def op_position(self, v: Value, args: Args) -> Code:
        """An index, counted from 1 here."""
        index, size = v.args
        if self.inside(index, size):
            return args[0]
        return Code(f"{self.use(self.checks)}({args[0].text}, {args[1].text})", ATOM)

    def op_within(self, v: Value, args: Args) -> Code:
        return Code(f"{self.use('within')}({args[0].text}, {args[1].text})", ATOM)

    def op_whole(self, v: Value, args: Args) -> Code:
        return Code(f"{self.use('whole')}({args[0].text})", ATOM)

    def op_concat(self, v: Value, args: Args) -> Code:
        return self.joined(args, v.attrs[0])

    def op_stack(self, v: Value, args: Args) -> Code:
        axis = v.attrs[0] % v.rank
        slices = [d for k, d in enumerate(v.shape) if k != axis]
        one = [d if k != axis else ONE for k, d in enumerate(v.shape)]
        arrays = []
        for a, code in zip(v.args, args, strict=True):
            if a.shape != tuple(slices):
                code = self.aligned(a, code, len(slices))
                code = Code(f"{code.at(SUM)} {self.plus('+', True)} {self.filled(tuple(slices), '0').text}", SUM)
            arrays.append(self.reshaped(code, one))
        return self.stacked(arrays, axis)


def by_columns(planned: Planned) -> Planned:
    """The same function with ``vec`` and its inverse as operations of their own."""
    roots = [v for _, _, v in planned.results]
    plan = Plan()
    new: dict[Value, Value] = {}
    for v in reachable(roots):
        args = tuple([new[a] for a in v.args])
        if v.op == "reshape" and v.rank == 1 and args[0].op == "T":
            new[v] = plan.value("vec", args[0].args, v.shape)
        elif v.op == "T" and args[0].op == "reshape" and args[0].args[0].rank == 1:
            new[v] = plan.value("unvec", args[0].args, v.shape)
        elif v.op == "T" and args[0].op == "T":
            new[v] = args[0].args[0]
        elif any(a is not b for a, b in zip(args, v.args, strict=True)):
            new[v] = plan.value(v.op, args, v.shape, *v.attrs)
        else:
            new[v] = v
    preferred = {new.get(v, v): name for v, name in planned.preferred.items()}
    results = [(label, e, new[v]) for label, e, v in planned.results]
    return planned._replace(results=results, preferred=preferred)


__all__ = ["FUNCTIONS", "ColumnWriter", "by_columns"]
