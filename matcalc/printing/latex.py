"""LaTeX (amsmath, amssymb) that parses back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, ClassVar

from matcalc.errors import LimitError
from matcalc.expr import Expr, Number
from matcalc.primitives.base import Primitive
from matcalc.primitives.functions import Elementwise
from matcalc.primitives.leaves import Const, Index
from matcalc.primitives.loops import IndexedSum
from matcalc.primitives.matrix import Inv
from matcalc.printing.names import latex_name, parts
from matcalc.printing.parts import name_parts, names_in
from matcalc.printing.printer import (
    ATOM,
    LEVEL,
    POSTFIX,
    POWER,
    PRODUCT,
    Printed,
    Printer,
    determinant_like,
)
from matcalc.syntax.spelling import GREEK

_TALL = re.compile(r"\\[dt]?frac|\\sum|\\left|\(|\\begin")
_NAME = re.compile(r"(?:[A-Za-z]|\\(?!t?frac)[A-Za-z]+(?:\{[^{}]*\})?)(?:_(?:\w|\{[^{}]*\}))?")
_WORD = re.compile(r"[A-Za-z]\w*")


def latex(e: Expr, *, names: Mapping[Expr, str] | None = None) -> str:
    """The expression in LaTeX, without dollar signs; nodes in ``names`` are printed as that name.

    What would be too long for one line comes as an ``aligned`` block with names for its parts.
    """
    try:
        return LatexPrinter(names).print(e)
    except LimitError:
        known = names or {}
        parts = name_parts([e], taken=names_in([e]) | set(known.values()), known=known)
        return aligned(["", *parts.values()], [e, *parts], {**known, **parts})


def aligned(
    labels: Sequence[str],
    roots: Sequence[Expr],
    named: Mapping[Expr, str],
    taken: Iterable[str] = (),
    left: str = "",
) -> str:
    """Equations below each other; before those of the ``named`` nodes stands *where*.

    A node without label is bare, or stands after ``left``.
    """
    printer = LatexPrinter(named, taken)
    rows: list[str] = []
    for label, e in zip(labels, roots, strict=True):
        part = e in named and named[e] == label
        if part and r"& \text{where}" not in rows:
            rows.append(r"& \text{where}")
        line = printer.definition(e) if part else printer.print(e)
        shown = printer.name(label) if label else left
        rows.append(f"{shown} &= {line}" if shown else f"& {line}")
    return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


class LatexPrinter(Printer):
    """Quotients of scalars are fractions; brackets grow only around what is tall."""

    HADAMARD: ClassVar[str] = r" \odot "
    QUOTIENT: ClassVar[str] = r" \oslash "

    def bracket(self, text: str) -> str:
        return rf"\left({text}\right)" if _TALL.search(text) else f"({text})"

    # -- leaves

    def name(self, name: str) -> str:
        return latex_name(name)

    def in_text(self, formula: str) -> str:
        return f"${formula}$"

    def layer(self, name: str, index: str, more: int) -> str:
        return f"{name}_{index}{more:+d}" if more else f"{name}_{index}"  # latex_name puts the braces

    def fraction(self, above: int, below: int) -> str:
        return rf"\frac{{{above}}}{{{below}}}"

    def pi(self, node: Expr) -> Printed:
        return Printed(r"\pi", ATOM)

    def identity(self, node: Expr) -> Printed:
        return self.short_identity(node)

    def differential_of(self, name: str) -> str:
        return rf"\mathrm{{d}}{self.name(name)}"

    # -- products

    def times(self, before: list[str], factor: str) -> str:
        last = before[-1]
        if factor.startswith(r"\mathrm{d}") or last.startswith(r"\mathrm{d}"):
            return r" \, "
        called = factor.startswith((r"\left(", "(", "{")) and _NAME.fullmatch(last)
        return r" \cdot " if called or factor[0].isdigit() else " "

    def chain(self, size: Number, factors: list[Expr], last: str) -> str:
        """``2 \\frac{a b}{c} d``: what stands before a divisor goes above it."""
        done: list[str] = []
        run: list[str] = []
        alone: Expr | None = None  # the only factor of the run
        below: list[Expr] = []  # the divisors that stand side by side
        beneath: list[str] = []  # and before them the denominator of the number
        divided = [*(f.is_scalar and self.is_reciprocal(f) for f in factors), False]
        if isinstance(size, Fraction) and any(divided):
            above, denominator = self.split_number(size, divided=True)
            run, beneath = [above] if above else [], [denominator]
        elif size != 1:
            (run if isinstance(size, int) else done).append(self.number(size).text)
        for number, factor in enumerate(factors, 1):
            if divided[number - 1]:
                below.append(factor.args[0])
                if divided[number]:
                    continue
                if len(run) == 1 and alone is not None and not self.is_product(alone):
                    run = [self.done[alone].text]
                single = len(below) == 1 and not beneath
                for e in below:
                    self.put(beneath, self.done[e].text if single else self.at(e, POWER))
                self.put(done, rf"\frac{{{''.join(run) or '1'}}}{{{''.join(beneath)}}}")
                run, below, beneath, alone = [], [], [], None
                continue
            final = number == len(factors)
            if last and final:
                shown = last
            elif final and isinstance(factor.op, IndexedSum):
                shown = self.done[factor].text
            else:
                shown = self.at(factor, POWER)
            alone = None if run else factor
            self.put(run, shown)
        if run:
            self.put(done, "".join(run))
        return "".join(done)

    def put(self, pieces: list[str], shown: str) -> None:
        if pieces:
            pieces.append(self.times(pieces, shown))
        pieces.append(shown)

    # -- powers and other postfix operators

    def power(self, node: Expr) -> Printed:
        base = node.args[0]
        if self.is_reciprocal(node) and base.is_scalar:
            return Printed(rf"\frac{{1}}{{{self.done[base].text}}}", PRODUCT)
        return super().power(node)

    def raised(self, base: Expr, exponent: Expr, elementwise: bool) -> Printed:
        op = exponent.op
        text = str(op.number) if isinstance(op, Const) else self.done[exponent].text
        if elementwise:
            text = rf"\odot {text}"
        elif text == "T":
            text = "(T)"
        return Printed(f"{self.at(base, ATOM)}^{text if len(text) == 1 else f'{{{text}}}'}", POWER)

    def transpose(self, node: Expr) -> Printed:
        (of,) = node.args
        if isinstance(of.op, Inv) and of not in self.names:
            return Printed(rf"{self.at(of.args[0], ATOM)}^{{-\top}}", POWER)
        return Printed(rf"{self.at(of, ATOM)}^\top", POSTFIX)

    def inverse(self, node: Expr) -> Printed:
        return Printed(f"{self.at(node.args[0], ATOM)}^{{-1}}", POWER)

    def slice(self, node: Expr) -> Printed:
        of, *indices = node.args
        bound = "".join([i.op.name if isinstance(i.op, Index) else "??" for i in indices])
        name = self.done[of].text
        places = 1 if of.is_column or of.is_row else 2
        if len(name) == 1 and len(bound) == len(indices) == places and f"{name}_{bound}" not in self.taken:
            return Printed(f"{name}_{bound if places == 1 else f'{{{bound}}}'}", ATOM)  # x_i, A_{ij}
        return super().slice(node)

    def indexed(self, of: Expr, positions: list[str]) -> str:
        if any(":" in p for p in positions) or (len(positions) == 1 and " " in positions[0]):
            return f"{self.at(of, ATOM)}[{','.join(positions)}]"
        return f"{{{self.at(of, ATOM)}}}_{{{','.join(positions)}}}"

    # -- functions

    def function(self, op: Elementwise) -> str:
        function: Any = self.known(op) or op.function
        if function.kind != "known":
            return latex_name(function.name, "operatorname") + "'" * op.order
        if function.name == "sigmoid" and "sigma" in self.taken:
            return r"\operatorname{sigmoid}" + "'" * op.order
        return str(function.latex) + "'" * op.order

    def elementwise(self, node: Expr) -> Printed:
        op: Any = node.op
        if op.function.kind == "known" and op.function.name == "abs" and not determinant_like(node):
            return Printed(self.around(r"\lvert ", self.done[node.args[0]].text, r" \rvert"), ATOM)
        if op.function.kind == "known" and op.function.name == "sqrt":
            return Printed(rf"\sqrt{{{self.done[node.args[0]].text}}}", ATOM)
        return super().elementwise(node)

    def mapped(self, node: Expr) -> Printed:
        r"""``\nabla l(u)``, ``\nabla^2 l(u)``, ``J_f(x)``, ``\partial_1 f(x, y)``."""
        op: Any = node.op
        function, order = op.function, len(op.by)
        name = latex_name(function.name, "operatorname")
        single = len(function.domains) == 1
        if function.is_scalar and order and (order == 1 or (order == 2 and single)):
            place = "" if single else f"_{{{op.by[0] + 1}}}"
            return self.applied(rf"\nabla{'^2' if order == 2 else ''}{place} {name}", node)
        if order == 1 and single:
            word, subscript = parts(function.name)
            if len(function.name) == 1 or (word in GREEK and not subscript):
                return self.applied(f"J_{name}", node)
            return self.applied(rf"J_{{\mathrm{{{function.name}}}}}", node)
        if order == 1:
            return self.applied(rf"\partial_{{{op.by[0] + 1}}} {name}", node)
        head = op.head(name)
        for word in ("grad", "hess", "jac"):
            head = head.replace(f"{word}(", rf"\operatorname{{{word}}}(")
        return self.applied(head, node)

    def around(self, opener: str, text: str, closer: str) -> str:
        if _TALL.search(text):
            return rf"\left{opener}{text} \right{closer.lstrip()}"
        return f"{opener}{text}{closer}"

    def norm(self, node: Expr) -> Printed:
        (of,) = node.args
        which = "_1" if node.op.name == "norm1" else "" if of.is_column or of.is_row else "_{F}"
        return Printed(self.around(r"\lVert ", self.done[of].text, r" \rVert") + which, ATOM)

    def loop(self, node: Expr) -> Printed:
        op: Any = node.op
        body, lower, upper = node.args
        bounds = rf"\sum_{{{self.name(op.index.op.name)}={self.done[lower].text}}}^{{{self.done[upper].text}}}"
        return Printed(f"{bounds} {self.at(body, PRODUCT)}", PRODUCT)

    def dim(self, size: Any) -> str:
        return _WORD.sub(lambda found: latex_name(found[0]), str(size).replace("*", " "))

    def option(self, option: str) -> str:
        if option.startswith("axis="):
            return r"\operatorname{axis}=" + option.removeprefix("axis=")
        if option.startswith("'"):
            return rf"\operatorname{{{option[1:-1]}}}"
        return self.dim(option)

    def called(self, name: str) -> str:
        return rf"\operatorname{{{name.replace('_', chr(92) + '_')}}}"

    def call(self, node: Expr) -> Printed:
        found = super().call(node)
        head = node.op.latex
        if head and "{" not in head:
            return Printed(head + found.text.removeprefix(self.called(node.op.name)), ATOM)
        return found

    def template(self, node: Expr) -> Printed:
        op: Primitive = node.op
        if "{" not in op.latex:
            return self.call(node)
        slots = op.latex_slots or op.slots
        found = self.filled(node, op.latex, slots)
        return Printed(found.text, LEVEL[op.latex_level or op.level])


__all__ = ["LatexPrinter", "latex"]
