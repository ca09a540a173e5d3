"""The plan as NumPy source: one function, one statement for each value that is used more than once.

A value that is used once is written into the line of its user, as far as lines stay readable.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from matcalc.dims import Dim
from matcalc.errors import LimitError
from matcalc.lowering.names import Names
from matcalc.lowering.plan import ArrayShape, Value
from matcalc.primitives.elementwise import FUNCTIONS

SUM, TERM, UNARY, POWER, ATOM = range(1, 6)  # how tightly Python binds, loosest first

LINE = 100  # characters of a statement before an operand gets a name of its own
DEEPEST_LOOPS = 15  # Python itself allows 20 nested blocks
_EXACT = 2**53


class Code(NamedTuple):
    text: str
    level: int

    def at(self, level: int) -> str:
        """The text, in brackets where its operator binds less tightly than ``level``."""
        return self.text if self.level >= level else f"({self.text})"


Spelling: TypeAlias = Callable[["Writer", Value, Sequence[Code]], Code]
SPELLINGS: dict[str, Spelling] = {}

# Values that cost nothing to write again instead of giving them a name.
_FREE = frozenset({"arg", "const", "size", "index", "pi"})


class Writer:
    """Writes the statements that compute values; ``lines`` holds them."""

    def __init__(self, names: Names, preferred: Mapping[Value, str] | None = None) -> None:
        self.names = names
        self.preferred = preferred or {}
        self.lines: list[str] = []
        self.constants: list[str] = []  # statements outside the function: numbers that take a computation
        self.sizes: dict[str, str] = {}  # dimension -> its name in the code, as they are needed
        self.needs_dtype = False
        self.functions: dict[tuple[str, int], str] = {}
        self._code: dict[Value, Code] = {}
        self._safe: list[tuple[Value, Value]] = []  # indices that run from at least 1, with their upper limits

    def bind(self, v: Value, name: str) -> None:
        self._code[v] = Code(name, ATOM)

    def function_name(self, name: str, order: int) -> str:
        known = self.functions.get((name, order))
        if known is None:
            prefix = "" if order == 0 else "d" if order == 1 else f"d{order}"
            known = self.functions[name, order] = self.names.take(prefix + name)
        return known

    def size(self, d: Dim) -> Code:
        """A dimension, written with the names of sizes."""
        for name in sorted(d.names):
            if name not in self.sizes:
                self.sizes[name] = self.names.take(name)
        return dim_code(d, self.sizes)

    def shape(self, shape: ArrayShape) -> str:
        parts = [self.size(d).text for d in shape]
        return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"

    def write(self, roots: Sequence[Value], indent: str = "    ", depth: int = 0) -> list[Code]:
        """Writes all that the roots need; gives their code."""
        order, uses = self._schedule(roots)
        pending: dict[Value, Code] = {}  # written into the line of the one user to come
        for v in order:
            if v.op == "loop":
                self._code[v] = self._loop(v, indent, depth)
                continue
            code = self._spell(v, pending, indent)
            free = code.level == ATOM and (v.op in _FREE or (v.op in ("T", "newaxis") and v.args[0] not in pending))
            if free:
                self._code[v] = code
            elif v.weak and not _varies(v) and "(" in code.text:
                self._code[v] = self._constant(code)
            elif uses[v] == 1:
                pending[v] = code
            else:
                self._code[v] = self._assign(v, code, indent)
        return [pending.get(r) or self._code[r] for r in roots]

    def _spell(self, v: Value, pending: dict[Value, Code], indent: str) -> Code:
        spelling = SPELLINGS.get(v.op, _known_function)
        while True:
            code = spelling(self, v, [pending.get(a) or self._code[a] for a in v.args])
            if len(code.text) <= LINE:
                return code
            longest = max((a for a in v.args if a in pending), key=lambda a: len(pending[a].text), default=None)
            if longest is None or len(pending[longest].text) < 12:
                return code
            self._code[longest] = self._assign(longest, pending.pop(longest), indent)

    def _assign(self, v: Value, code: Code, indent: str) -> Code:
        name = self.names.take(self.preferred.get(v) or f"t{len(self._code)}")
        self.lines.append(f"{indent}{name} = {code.text}")
        return Code(name, ATOM)

    def _constant(self, code: Code) -> Code:
        name = self.names.take(f"C{len(self.constants) + 1}")
        self.constants.append(f"{name} = {code.text}")
        return Code(name, ATOM)

    def _schedule(self, roots: Sequence[Value]) -> tuple[list[Value], dict[Value, int]]:
        """The values to write, operands first, and how often each is used; what a loop repeats counts as many."""
        uses: dict[Value, int] = {}
        for r in roots:
            uses[r] = uses.get(r, 0) + 1
        order: list[Value] = []
        seen: set[Value] = set()
        stack: list[tuple[Value, tuple[Value, ...] | None]] = [(r, None) for r in reversed(roots)]
        while stack:
            v, needs = stack.pop()
            if needs is not None:
                order.append(v)
            elif v not in seen and v not in self._code:
                seen.add(v)
                needs = v.args if v.op != "loop" else _outside(v)
                for a in needs:
                    uses[a] = uses.get(a, 0) + (1 if v.op != "loop" else 2)
                stack.append((v, needs))
                stack.extend([(a, None) for a in reversed(needs)])
        return order, uses

    def _loop(self, v: Value, indent: str, depth: int) -> Code:
        if depth >= DEEPEST_LOOPS:
            raise LimitError(f"indexed sums are nested more than {DEEPEST_LOOPS} deep")
        index, body, lower, upper = v.args
        first, last = self._code[lower], self._code[upper]
        name, counter = self.names.take("total"), self.names.take(index.attrs[0])
        start = "0.0" if not v.shape else self.zeros(v.shape)
        self.lines.append(f"{indent}{name} = {start}")
        stop = f"{last.at(SUM)} + 1" if upper.op != "const" else str(upper.attrs[0] + 1)
        self.lines.append(f"{indent}for {counter} in range({first.text}, {stop}):")
        outer = self._code
        self._code = {e: code for e, code in outer.items() if index not in e.indices}
        self._code[index] = Code(counter, ATOM)
        safe = lower.op == "const" and lower.attrs[0] >= 1
        self._safe.append((index, upper) if safe else (index, index))
        (code,) = self.write([body], indent + "    ", depth + 1)
        self._safe.pop()
        self.lines.append(f"{indent}    {name} = {name} + {code.at(TERM)}")
        self._code = outer
        return Code(name, ATOM)

    def zeros(self, shape: ArrayShape) -> str:
        self.needs_dtype = True
        return f"np.zeros({self.shape(shape)}, dtype)"

    def inside(self, index: Value, size: Value) -> bool:
        """Whether an index surely lies within 1 and ``size``."""
        return any(i is index and upper is size for i, upper in self._safe)


def _outside(loop: Value) -> tuple[Value, ...]:
    """What a loop needs that is computed before it: its bounds and all that does not depend on its index."""
    index, body, lower, upper = loop.args
    found: dict[Value, None] = {lower: None, upper: None}
    seen: set[Value] = set()
    stack = [body]
    while stack:
        v = stack.pop()
        if v in seen:
            continue
        seen.add(v)
        if index not in v.indices:
            found[v] = None
        else:
            stack.extend(v.args)
    found.pop(index, None)
    return tuple(found)


def _varies(v: Value) -> bool:
    """Whether a number made of constants depends on sizes or indices."""
    stack, seen = [v], set()
    while stack:
        e = stack.pop()
        if e.op in ("size", "index"):
            return True
        if e not in seen:
            seen.add(e)
            stack.extend(e.args)
    return False


def dim_code(d: Dim, names: Mapping[str, str]) -> Code:
    """A polynomial in sizes as Python."""
    out = ""
    for monomial, c in d.terms:
        factors = [names[n] for n in monomial]
        if abs(c) != 1 or not factors:
            factors.insert(0, str(abs(c)))
        out += ("-" if c < 0 else "") if not out else (" - " if c < 0 else " + ")
        out += " * ".join(factors)
    simple = len(d.terms) == 1 and d.terms[0][1] > 0
    return Code(out or "0", (ATOM if " " not in out else TERM) if simple else SUM)


def number_code(number: Any) -> Code:
    """A number as Python: exact where a float is, else as a fraction."""
    if isinstance(number, Fraction) and number.denominator == 1:
        number = int(number)
    if isinstance(number, Fraction):
        p, q = abs(number.numerator), number.denominator
        exact = q & (q - 1) == 0 or max(p, q) > _EXACT
        text, level = (_float(p / q), ATOM) if exact else (f"{p} / {q}", TERM)
    elif isinstance(number, int):
        text, level = (str(abs(number)) if abs(number) <= _EXACT else _float(_to_float(abs(number)))), ATOM
    else:
        text, level = _float(abs(number)), ATOM
    return Code(f"-{text}", min(level, UNARY)) if number < 0 else Code(text, level)


def _to_float(number: int) -> float:
    try:
        return float(number)
    except OverflowError:
        return float("inf")


def _float(number: float) -> str:
    return repr(number) if abs(number) < float("inf") else "float('inf')" if number == number else "float('nan')"


@lru_cache(maxsize=512)
def _pieces(template: str) -> tuple[tuple[str, str, bool], ...]:
    """A template as (text before, slot, whether the slot must bind tightly)."""
    out = []
    parts = re.split(r"\{(\w+)\}", template)
    for text, slot, after in zip(parts[::2], [*parts[1::2], ""], [*parts[2::2], ""], strict=True):
        alone = text.endswith(("(", ", ")) and (after.startswith((")", ",")))
        out.append((text, slot, not alone))
    return tuple(out)


def fill(template: str, slots: Mapping[str, Code]) -> Code:
    """The template with code in its slots, in brackets where need be."""
    out = ""
    for text, slot, tight in _pieces(template):
        out += text
        if slot:
            out += "np" if slot == "xp" else "rt" if slot == "rt" else slots[slot].at(ATOM if tight else 0)
    return Code(out, ATOM)


def _known_function(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    if v.op == "sqrt" and v.weak:
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
    "dot": "{0}.dot({1})",
    "inner": "{0}.ravel().dot({1}.ravel())",
    "solve": "{xp}.linalg.solve({0}, {1})",
    "inv": "{xp}.linalg.inv({0})",
    "det": "{xp}.linalg.det({0})",
    "kron": "{xp}.kron({0}, {1})",
    "diagonal": "{0}.diagonal()",
    "trace": "{0}.trace()",
    "swap": "{0}.swapaxes(0, 1)",
    "add_diagonal": "{rt}.add_diagonal({0}, {1})",
    "whole": "{rt}.whole({0})",
    "cosigmoid": "{rt}.sigmoid(-{0})",
})  # fmt: skip


@_spelling("const")
def _const(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    return number_code(v.attrs[0])


@_spelling("pi")
def _pi(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    return Code("np.pi", ATOM)


@_spelling("size")
def _size(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    return w.size(v.attrs[0])


@_spelling("call")
def _call(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    code = fill(v.attrs[0], {str(i): c for i, c in enumerate(args)})
    return Code(f"float({code.text})", ATOM) if v.weak and "{xp}" in v.attrs[0] else code


@_spelling("unknown")
def _unknown(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    return Code(f"{w.function_name(*v.attrs)}({args[0].text})", ATOM)


@_spelling("add")
def _add(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    text = ""
    for negative, a in zip(v.attrs[0], args, strict=True):
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
        c = Fraction(coefficient) if not isinstance(coefficient, float) else None
        if c is not None and c.numerator == 1 and above and c.denominator & (c.denominator - 1) and c.denominator <= _EXACT:
            below.insert(0, number_code(c.denominator))
        elif c is not None and not above and c.numerator == 1:
            above = [number_code(1)]
            if c.denominator != 1:
                below.insert(0, number_code(c.denominator))
        else:
            above.insert(0, number_code(coefficient))
    text = sign + above[0].at(UNARY if sign else TERM)
    for a in above[1:]:
        text += f" * {a.at(UNARY)}"
    if len(below) == 1:
        text += f" / {below[0].at(UNARY)}"
    elif below:
        text += f" / ({' * '.join(b.at(UNARY) for b in below)})"
    return Code(text, TERM if len(above) + len(below) > 1 else UNARY if sign else above[0].level)


@_spelling("pow")
def _pow(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    return Code(f"{args[0].at(ATOM)}**{args[1].at(UNARY)}", POWER)


@_spelling("outer")
def _outer(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    return Code(f"{args[0].at(ATOM)}[:, None] * {args[1].at(UNARY)}", TERM)


@_spelling("newaxis")
def _newaxis(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    return Code(f"{args[0].at(ATOM)}[{'None, :' if v.attrs[0] == 0 else ':, None'}]", ATOM)


@_spelling("sum")
def _sum(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    axis = v.attrs[0]
    return Code(f"{args[0].at(ATOM)}.sum({'' if axis is None else axis})", ATOM)


@_spelling("norm")
def _norm(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    (x,) = args
    if v.args[0].rank == 1 and x.text.isidentifier():
        return Code(f"np.sqrt({x.text}.dot({x.text}))", ATOM)
    return Code(f"rt.norm2({x.text})", ATOM)


@_spelling("logdet")
def _logdet(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    if v.attrs and v.attrs[0]:  # positive definite
        return Code(f"2 * np.log(np.linalg.cholesky({args[0].text}).diagonal()).sum()", TERM)
    return Code(f"np.linalg.slogdet({args[0].text})[1]", ATOM)


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
        return Code(f"{args[0].at(ATOM)}.item()", ATOM)
    return Code(f"{args[0].at(ATOM)}.reshape{w.shape(v.shape)}", ATOM)


@_spelling("concat")
def _concat(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    axis = f", {v.attrs[0]}" if v.attrs[0] else ""
    return Code(f"np.concatenate(({', '.join(a.text for a in args)}){axis})", ATOM)


@_spelling("flip")
def _flip(w: Writer, v: Value, args: Sequence[Code]) -> Code:
    return Code(f"{args[0].at(ATOM)}[{', '.join(['::-1'] * v.rank)}]", ATOM)


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


def used_functions(values: Iterable[Value]) -> list[tuple[str, int]]:
    return [v.attrs for v in values if v.op == "unknown"]  # type: ignore[misc]
