"""What the three spellings have in common: a fold over the shared graph that puts brackets by the ladder of levels.

Each node is printed once. Operators with any number of operands (sum, product, elementwise product, power) and the
few postfix ones are put together here; for all else the primitive states a template or goes as ``name(arguments)``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, ClassVar, NamedTuple

from matcalc.dims import Dim
from matcalc.errors import LimitError
from matcalc.expr import Expr, Number, postorder
from matcalc.primitives.algebra import Add, Hadamard, Power, Product, Transpose
from matcalc.primitives.base import LEVELS, Primitive, Zeros
from matcalc.primitives.functions import Defined, Elementwise, Known
from matcalc.primitives.leaves import Const, Differential, Identity, Index, Pi, Size, Var
from matcalc.primitives.loops import IndexedSum
from matcalc.primitives.maps import Mapped
from matcalc.primitives.matrix import Inv, MatrixPower
from matcalc.primitives.reductions import Norm1, Norm2
from matcalc.primitives.structure import AT, Slice, Where
from matcalc.printing.names import listed
from matcalc.printing.parts import clashing_loops, is_reciprocal

SUM, PRODUCT, UNARY, POWER, ATOM = range(5)
POSTFIX = 3.5  # a transpose: it takes further postfix operators, as a power (with its exponent) does not
LEVEL: dict[str, float] = {name: i for i, name in enumerate(LEVELS)}

_NAME_PARTS = "print it with names for its parts"
LONGEST = 20_000  # characters of one line; beyond, parts have to be named
WIDE = 200  # characters more for each operand, as a sum of thousands of terms is long without being nested


class Printed(NamedTuple):
    """A printed node, with the level of its loosest operator.

    ``positive``  for what begins with a minus: the text without it, as a subtrahend, and its level
    """

    text: str
    level: float
    positive: str = ""
    positive_level: float = 0


class Printer:
    """The keyboard's spelling; the others override what they spell differently.

    ``names``  nodes that are printed as a name and not entered
    """

    PLUS: ClassVar[str] = " + "
    MINUS: ClassVar[str] = " - "
    SIGN: ClassVar[str] = "-"
    HADAMARD: ClassVar[str] = " .* "
    QUOTIENT: ClassVar[str] = " ./ "
    OVER: ClassVar[str] = "/"

    def __init__(self, names: Mapping[Expr, str] | None = None, taken: Iterable[str] = ()) -> None:
        self.names = dict(names or {})
        self.done: dict[Expr, Printed] = {}
        self.taken: set[str] = {*taken, *self.names.values()}  # names that stand for something of the user

    # -- the fold

    def print(self, root: Expr) -> str:
        """The whole expression."""
        self.prepare((root,))
        return self.done[root].text

    def definition(self, node: Expr) -> str:
        """The expression that ``node`` stands for, written out at the top even where the node has a name."""
        self.prepare(node.args)
        return self.visit(node).text

    def prepare(self, roots: Sequence[Expr]) -> None:
        done, names = self.done, self.names
        if all(root in done for root in roots):
            return
        order = postorder(roots, stop=lambda e: e in done or e in names)
        for node in order:
            if node.op.is_variable:
                self.taken.add(node.op.name)
        if clashing_loops([node for node in order if node not in names]):
            raise LimitError("an indexed sum stands within another one over the same index", hint=_NAME_PARTS)
        for node in order:
            if node not in done:
                found = Printed(self.name(names[node]), ATOM) if node in names else self.visit(node)
                if len(found.text) > LONGEST + WIDE * len(node.args):
                    raise LimitError(
                        f"written out in one line the expression has more than {LONGEST} characters",
                        hint=_NAME_PARTS,
                    )
                done[node] = found

    def visit(self, node: Expr) -> Printed:
        handler = _HANDLERS.get(type(node.op))
        return handler(self, node) if handler is not None else self.template(node)

    def at(self, node: Expr, level: float) -> str:
        """The operand, in brackets where it is looser than ``level``."""
        found = self.done[node]
        return found.text if found.level >= level else self.bracket(found.text)

    def bracket(self, text: str) -> str:
        return f"({text})"

    def is_product(self, e: Expr) -> bool:
        return isinstance(e.op, Product) and e not in self.names

    def is_reciprocal(self, e: Expr) -> bool:
        return e not in self.names and is_reciprocal(e)

    def scales_identity(self, e: Expr) -> bool:
        """Whether ``e`` is an identity matrix, or a number times one."""
        if e in self.names:
            return False
        if isinstance(e.op, Product):
            return isinstance(e.args[-1].op, Identity) and all(a.is_scalar for a in e.args[:-1])
        return isinstance(e.op, Identity)

    # -- leaves

    def name(self, name: str) -> str:
        """The spelling of a name of the user."""
        return listed(name)

    def in_text(self, formula: str) -> str:
        """A formula as it stands within words."""
        return formula

    def layer(self, name: str, index: str, more: int) -> str:
        """The name of a quantity of the layer ``index + more``."""
        return f"{name}_{{{index}{more:+d}}}" if more else f"{name}_{index}"

    def leaf_name(self, node: Expr) -> Printed:
        return Printed(self.name(node.op.name), ATOM)

    def constant(self, node: Expr) -> Printed:
        op: Any = node.op
        return self.number(op.number)

    def number(self, value: Number) -> Printed:
        if value < 0:
            text, level, _, _ = self.number(-value)
            return Printed(self.SIGN + text, min(level, UNARY), text, level)
        if isinstance(value, Fraction) and value.denominator != 1:
            return Printed(self.fraction(value.numerator, value.denominator), PRODUCT)
        return Printed(str(value), ATOM)

    def fraction(self, above: int, below: int) -> str:
        return f"{above}/{below}"

    def zeros(self, node: Expr) -> Printed:
        return Printed("0", ATOM) if node.is_scalar else self.template(node)

    def pi(self, node: Expr) -> Printed:
        return Printed("pi", ATOM)

    def identity(self, node: Expr) -> Printed:
        return self.template(node)

    def short_identity(self, node: Expr) -> Printed:
        """``I_n``, where the order is a name or a number and the letter is free."""
        op: Any = node.op
        order = str(op.order)
        name = f"I_{order}"
        free = self.taken.isdisjoint({"I", name, name.replace("_", "")})
        fits = (len(order) == 1 and order.isalpha()) or (order.isdigit() and order != "1")
        return Printed(self.name(name), ATOM) if free and fits else self.template(node)

    def differential(self, node: Expr) -> Printed:
        op: Any = node.op
        of: Expr = op.of
        if of in self.names:
            return Printed(self.differential_of(self.names[of]), ATOM)
        if of.op.is_variable:
            return Printed(self.differential_of(of.op.name), ATOM)
        self.prepare((of,))
        return Printed(f"d{self.bracket(self.done[of].text)}", ATOM)

    def differential_of(self, name: str) -> str:
        return f"d({self.name(name)})" if f"d{name}" in self.taken else f"d{self.name(name)}"

    # -- sums

    def add(self, node: Expr) -> Printed:
        short = "I" not in self.taken and any(not a.is_scalar and not self.scales_identity(a) for a in node.args)
        pieces: list[str] = []
        for term in node.args:
            found = self.with_identity(term) if short and self.scales_identity(term) else self.done[term]
            if not pieces:
                pieces.append(found.text if found.level >= PRODUCT else self.bracket(found.text))
            elif found.positive:
                text = found.positive
                pieces += [self.MINUS, text if found.positive_level >= PRODUCT else self.bracket(text)]
            else:
                loose = found.level < PRODUCT or found.text.startswith(self.SIGN)
                pieces += [self.PLUS, self.bracket(found.text) if loose else found.text]
        return Printed("".join(pieces), SUM)

    def with_identity(self, term: Expr) -> Printed:
        """``I`` or ``s*I``: the order of the identity follows from the other terms of the sum."""
        return self.product(term, last="I") if isinstance(term.op, Product) else Printed("I", ATOM)

    # -- products

    def product(self, node: Expr, last: str = "") -> Printed:
        """``-3/2*a/b*X``: sign, number, factors, a power -1 of a scalar as a divisor; ``last`` replaces the last."""
        factors = list(node.args)
        coefficient: Number = 1
        if isinstance(factors[0].op, Const):
            coefficient = factors.pop(0).op.number  # type: ignore[attr-defined]
        size = -coefficient if coefficient < 0 else coefficient
        first, quotient = factors[0], factors[-1]
        if len(factors) == 1 and size == 1:
            return self.negative(first, last)
        if self.is_reciprocal(quotient) and not quotient.is_scalar:  # 2 ./ x, s ./ x
            above = self.number(size).text if len(factors) == 1 else ""
            if len(factors) == 2 and coefficient == 1 and first.is_scalar and not self.is_reciprocal(first):
                above = self.at(first, POWER)
            if above:
                return self.signed(f"{above}{self.QUOTIENT}{self.at(quotient.args[0], POWER)}", coefficient)
        return self.signed(self.chain(size, factors, last), coefficient)

    def negative(self, operand: Expr, last: str) -> Printed:
        """A sign before one operand; of a sum or a product it stands before brackets, of a quotient before its 1."""
        text, level = (last, ATOM) if last else self.done[operand][:2]
        if self.is_product(operand):
            text, level = self.bracket(text), ATOM
        if level >= POWER or self.is_reciprocal(operand) or isinstance(operand.op, IndexedSum):
            return Printed(self.SIGN + text, min(level, UNARY), text, level)
        return Printed(self.SIGN + self.bracket(text), UNARY, text, level)

    def signed(self, text: str, coefficient: Number) -> Printed:
        if coefficient < 0:
            return Printed(self.SIGN + text, PRODUCT, text, PRODUCT)
        return Printed(text, PRODUCT)

    def chain(self, size: Number, factors: list[Expr], last: str) -> str:
        """The factors side by side, neighbouring divisors together; a number's denominator joins them or goes last."""
        divided = [*(f.is_scalar and self.is_reciprocal(f) for f in factors), False]
        above, beneath = self.split_number(size, any(divided))
        pieces = [above] if above else []
        below: list[str] = []
        for number, factor in enumerate(factors, 1):
            if divided[number - 1]:
                below.append(self.at(factor.args[0], POWER))
                if not divided[number]:
                    below, beneath = ([beneath, *below] if beneath else below), ""
                    joined = below[0] if len(below) == 1 else self.bracket(self.side_by_side(below))
                    pieces += [self.OVER if pieces else f"1{self.OVER}", joined]
                    below = []
                continue
            shown = last if last and factor is factors[-1] else self.at(factor, POWER)
            if pieces:
                pieces.append(self.times(pieces, shown))
            pieces.append(shown)
        if beneath:
            pieces.append(f"{self.OVER}{beneath}")
        return "".join(pieces)

    def split_number(self, size: Number, divided: bool) -> tuple[str, str]:
        """What of a number stands in front of a product, and what below it: ``3*a/(2*b)``, ``a/2``, but ``3/2*a``."""
        if isinstance(size, Fraction) and (divided or size.numerator == 1):
            return (str(size.numerator) if size.numerator != 1 else "", str(size.denominator))
        return ("" if size == 1 else self.number(size).text, "")

    def side_by_side(self, shown: list[str]) -> str:
        pieces = shown[:1]
        for factor in shown[1:]:
            pieces += [self.times(pieces, factor), factor]
        return "".join(pieces)

    def times(self, before: list[str], factor: str) -> str:
        """What stands between the factors so far and the next one."""
        return "*"

    def hadamard(self, node: Expr) -> Printed:
        pieces: list[str] = []
        for factor in node.args:
            if self.is_reciprocal(factor):
                pieces += [self.QUOTIENT if pieces else f"1{self.QUOTIENT}", self.at(factor.args[0], POWER)]
            else:
                pieces += [self.HADAMARD, self.at(factor, POWER)] if pieces else [self.at(factor, POWER)]
        return Printed("".join(pieces), PRODUCT)

    # -- powers and other postfix operators

    def power(self, node: Expr) -> Printed:
        base, exponent = node.args
        scalar = base.is_scalar and exponent.is_scalar
        if self.is_reciprocal(node):
            return Printed(f"1{self.OVER if scalar else self.QUOTIENT}{self.at(base, POWER)}", PRODUCT)
        return self.raised(base, exponent, elementwise=not scalar)

    def matrix_power(self, node: Expr) -> Printed:
        base, exponent = node.args
        return self.raised(base, exponent, elementwise=False)

    def raised(self, base: Expr, exponent: Expr, elementwise: bool) -> Printed:
        return Printed(f"{self.at(base, POSTFIX)}{'.^' if elementwise else '^'}{self.exponent(exponent)}", POWER)

    def exponent(self, exponent: Expr) -> str:
        text, level, positive, positive_level = self.done[exponent]
        plain = level == ATOM and text.replace("_", "").isalnum() and not text.startswith("T")  # ^T is a transpose
        whole = positive_level == ATOM and positive.isdigit()
        return text if plain or whole else self.bracket(text)

    def transpose(self, node: Expr) -> Printed:
        (of,) = node.args
        if isinstance(of.op, Inv) and of not in self.names:
            return Printed(f"{self.at(of.args[0], POSTFIX)}^-T", POWER)
        return Printed(f"{self.at(of, ATOM)}'", POSTFIX)

    def inverse(self, node: Expr) -> Printed:
        return Printed(f"{self.at(node.args[0], POSTFIX)}^-1", POWER)

    def slice(self, node: Expr) -> Printed:
        op: Any = node.op
        of, *indices = node.args
        positions = [self.position(op.row, indices), self.position(op.col, indices)]
        if of.is_column and positions[1] == ":":
            positions.pop()
        return Printed(self.indexed(of, positions), ATOM)

    def indexed(self, of: Expr, positions: list[str]) -> str:
        return f"{self.at(of, POSTFIX)}[{','.join(positions)}]"

    def position(self, where: Where, indices: list[Expr]) -> str:
        if where == AT:
            return self.done[indices.pop(0)].text
        return ":" if isinstance(where, str) else f"{self.dim(where[0])}:{self.dim(where[1])}"

    # -- functions

    def elementwise(self, node: Expr) -> Printed:
        op: Any = node.op
        return Printed(self.function(op) + self.bracket(self.done[node.args[0]].text), ATOM)

    def function(self, op: Elementwise) -> str:
        known = op.function.kind == "known"
        return (op.function.name if known else self.name(op.function.name)) + "'" * op.order

    def known(self, op: Elementwise) -> Known | None:
        """The function of the language that it applies, or of which it is a derivative: ``tanh'`` is of its formula."""
        function = op.function
        if isinstance(function, Defined) and op.order:
            of = function.body(0).op
            function = of.function if isinstance(of, Elementwise) and of.function.name == function.name else function
        return function if isinstance(function, Known) else None

    def mapped(self, node: Expr) -> Printed:
        """A map or its derivative at a point: ``jac(f, 2)(x, y)``."""
        op: Any = node.op
        return self.applied(op.head(self.name(op.function.name)), node)

    def applied(self, head: str, node: Expr) -> Printed:
        return Printed(head + self.bracket(", ".join([self.done[a].text for a in node.args])), ATOM)

    def loop(self, node: Expr) -> Printed:
        op: Any = node.op
        body, lower, upper = (self.done[a].text for a in node.args)
        return Printed(f"sum({self.name(op.index.op.name)}={lower}:{upper}, {body})", ATOM)

    def dim(self, size: Dim) -> str:
        return str(size)

    def option(self, option: str) -> str:
        """An option of a call, as the primitive shows it."""
        return option

    def norm(self, node: Expr) -> Printed:
        return self.call(node)

    def call(self, node: Expr) -> Printed:
        arguments = [self.done[a].text for a in node.args]
        arguments += [self.option(option) for option in node.op.shown_options(node.args)]
        return Printed(f"{self.called(node.op.name)}{self.bracket(', '.join(arguments))}", ATOM)

    def called(self, name: str) -> str:
        return name

    def template(self, node: Expr) -> Printed:
        """By the primitive's own template."""
        op = node.op
        return self.filled(node, op.text, op.slots) if op.text else self.call(node)

    def filled(self, node: Expr, template: str, slots: Sequence[str]) -> Printed:
        op = node.op
        levels = [LEVEL[s] for s in slots] or [SUM] * len(node.args)
        values = {slot: self.at(a, level) for slot, a, level in zip(op.takes, node.args, levels, strict=False)}
        options = [self.option(option) for option in op.shown_options(node.args)]
        values["options"] = "".join(f", {option}" for option in options)
        return Printed(_SLOT.sub(lambda found: values.get(found[1], found[0]), template), LEVEL[op.level])


_SLOT = re.compile(r"\{(\w+)\}")


def determinant_like(node: Expr) -> bool:
    """Whether bars around an absolute value could be read as a determinant."""
    return node.rows is node.cols and not node.is_scalar


def divided(pieces: Sequence[str]) -> bool:
    """Whether a product so far ends with a divisor: what follows must not be read as part of it."""
    return len(pieces) > 1 and pieces[-2].endswith("/")


_HANDLERS: dict[type[Primitive], Callable[[Any, Expr], Printed]] = {
    Var: lambda p, e: p.leaf_name(e),
    Size: lambda p, e: p.leaf_name(e),
    Index: lambda p, e: p.leaf_name(e),
    Const: lambda p, e: p.constant(e),
    Zeros: lambda p, e: p.zeros(e),
    Pi: lambda p, e: p.pi(e),
    Identity: lambda p, e: p.identity(e),
    Differential: lambda p, e: p.differential(e),
    Add: lambda p, e: p.add(e),
    Product: lambda p, e: p.product(e),
    Hadamard: lambda p, e: p.hadamard(e),
    Power: lambda p, e: p.power(e),
    MatrixPower: lambda p, e: p.matrix_power(e),
    Transpose: lambda p, e: p.transpose(e),
    Inv: lambda p, e: p.inverse(e),
    Slice: lambda p, e: p.slice(e),
    Elementwise: lambda p, e: p.elementwise(e),
    IndexedSum: lambda p, e: p.loop(e),
    Mapped: lambda p, e: p.mapped(e),
    Norm1: lambda p, e: p.norm(e),
    Norm2: lambda p, e: p.norm(e),
}
