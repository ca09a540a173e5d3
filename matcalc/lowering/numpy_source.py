"""The plan as NumPy source: one statement for each value that is used more than once.

A value that is used once is written into the line of its user, as far as lines stay readable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from matcalc.dims import Dim
from matcalc.lowering import in_place
from matcalc.lowering.assembling import assembled, name_shared, put
from matcalc.lowering.code import ATOM, SUM, TERM, Code, dim_code
from matcalc.lowering.maps import Derivative
from matcalc.lowering.names import Names
from matcalc.lowering.plan import LOOPS, ArrayShape, Value
from matcalc.lowering.row_source import write_blocks
from matcalc.lowering.spellings import SPELLINGS, Spelling, known_function, number_in

LINE = 100  # characters of a statement before an operand gets a name of its own

# Values that cost nothing to write again instead of giving them a name.
_FREE = frozenset({"arg", "const", "size", "index", "pi"})


_FACTORS = frozenset({"cholesky", "symmetric", "lu"})


class Writer:
    """Writes the statements that compute values; ``lines`` holds them."""

    width = LINE
    decimal = True  # whether whole numbers that meet arrays are written as floats
    reuses = True  # whether matrices may be written over operands that nothing needs any more

    def __init__(self, names: Names, preferred: Mapping[Value, str] | None = None) -> None:
        self.names = names
        self.preferred = preferred or {}
        self.lines: list[str] = []
        self.constants: list[str] = []  # statements outside the function: numbers that take a computation
        self.sizes: dict[str, str] = {}  # dimension -> its name in the code, as they are needed
        self.needs_dtype = False
        self.needs_lapack = False
        self.functions: dict[tuple[str, int | Derivative], str] = {}
        self._code: dict[Value, Code] = {}
        self.at_once: frozenset[Value] = frozenset()  # values that are computed as soon as they can be
        self._count = 0
        self._uses = in_place.Uses((), _needs, ())
        self._safe: list[tuple[Value, Value]] = []  # indices that run from at least 1, with their upper limits

    def bind(self, v: Value, name: str) -> None:
        self._code[v] = Code(name, ATOM)

    def function_name(self, name: str, order: int) -> str:
        known = self.functions.get((name, order))
        if known is None:
            prefix = "" if order == 0 else "d" if order == 1 else f"d{order}"
            known = self.functions[name, order] = self.names.take(prefix + name)
        return known

    def map_name(self, name: str, of: Derivative) -> str:
        if (name, of) not in self.functions:
            self.functions[name, of] = self.names.take(of.identifier)
        return self.functions[name, of]

    def size(self, d: Dim) -> Code:
        """A dimension, written with the names of sizes."""
        for name in sorted(d.names):
            if name not in self.sizes:
                self.sizes[name] = self.names.take(name)
        return dim_code(d, self.sizes)

    def shape(self, shape: ArrayShape) -> str:
        parts = [self.size(d).text for d in shape]
        return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"

    def write(self, roots: Sequence[Value], indent: str = "    ") -> list[Code]:
        """Writes all that the roots need; gives their code."""
        order, uses = schedule(roots, self._code.__contains__)
        at_once = self.at_once
        if self.reuses:
            early = in_place.read_before_written_over(order, _needs)
            order, at_once = in_place.moved_ahead(order, early, _needs), at_once | early
        self._uses, outer = in_place.Uses(order, _needs, roots), self._uses
        pending: dict[Value, Code] = {}  # written into the line of the one user to come
        for v in order:
            over = in_place.target(v, self._uses) if self.reuses else None
            if over is not None:
                self._code[v] = self._written_over(v, over, pending, indent)
                continue
            if v.op == "loop":
                self._code[v] = self.loop(v, indent)
                continue
            if v.op == "result":  # written with the loop that gives it
                continue
            if v.op == "blocks":
                self._code |= write_blocks(self, v, [r for r in order if r.op == "result" and r.args[0] is v], indent)
                self._uses.compute(v)
                continue
            if v.op == "assemble":
                self._code[v] = self.assemble(v, pending, indent)
                continue
            code = self._spell(v, pending, indent)
            free = code.level == ATOM and (v.op in _FREE or (v.op in ("T", "newaxis") and v.args[0] not in pending))
            if free:
                self._code[v] = code
            elif v.weak and not _varies(v):  # known once and for all
                self._code[v] = self._constant(code) if "(" in code.text or len(code.text) > 30 else code
            elif uses[v] == 1 and v not in at_once:
                pending[v] = code
            else:
                self._code[v] = self._assign(v, code, indent)
        self._uses = outer
        return [pending.get(r) or self._code[r] for r in roots]

    def _written_over(self, v: Value, over: Value, pending: dict[Value, Code], indent: str) -> Code:
        """Writes ``v`` into the array of an operand."""
        wanted = self.preferred.get(v)
        if over in pending:
            code = pending.pop(over)
            name = self.names.take(wanted or f"t{self._next()}")
            self.lines.append(indent + self.assignment(name, code.text))
        else:
            name = self._code[over].text
            if wanted:
                self.lines.append(f"{indent}{self.names.take(wanted)} = {name}")
                name = self.lines[-1].split()[0]
        codes = {a: pending.get(a) or self._code[a] for a in v.args if a is not over}
        codes |= {a: number_in(self, v, a.attrs[0]) for a in codes if a.op == "const"}
        self.lines += [indent + line for line in in_place.statements(self, v, over, name, codes)]
        self._uses.compute(v)
        return Code(name, ATOM)

    def blocks(self) -> set[str]:
        """The names of matrices in memory of their own."""
        return self.matrices() & {c.text for v, c in self._code.items() if in_place.is_fresh(v)}

    def matrices(self) -> set[str]:
        """The names of matrices, arguments among them."""
        return {c.text for v, c in self._code.items() if v.rank > 1 and c.level == ATOM and c.text.isidentifier()}

    def assigned(self, v: Value) -> str:
        """Writes a value under a name."""
        (code,) = self.write([v])
        if not code.text.isidentifier():
            code = self._code[v] = self._assign(v, code, "    ")
        return code.text

    def spelling(self, v: Value) -> Spelling:
        """What writes the operation of a value; another language or array library has its own."""
        return SPELLINGS.get(v.op, known_function)

    def _spell(self, v: Value, pending: dict[Value, Code], indent: str) -> Code:
        spelling = self.spelling(v)
        while True:
            code = spelling(self, v, [pending.get(a) or self._code[a] for a in v.args])
            if len(code.text) <= self.width:
                return code
            longest = max((a for a in v.args if a in pending), key=lambda a: len(pending[a].text), default=None)
            if longest is None or len(pending[longest].text) < 12:
                return code
            self._code[longest] = self._assign(longest, pending.pop(longest), indent)

    def assemble(self, v: Value, pending: dict[Value, Code], indent: str) -> Code:
        name = self.names.take(self.preferred.get(v) or "out")
        codes = {a: pending.pop(a) if a in pending else self._code[a] for a in v.args}
        assembled(self, v, codes, name, indent)
        return Code(name, ATOM)

    @contextmanager
    def nested(self) -> Iterator[list[str]]:
        """Statements of a function within: they know all that was computed before, and leave nothing behind."""
        outer, code = self.lines, self._code
        self.lines, self._code = [], dict(code)
        try:
            yield self.lines
        finally:
            self.lines, self._code = outer, code

    def is_named(self, v: Value) -> bool:
        """Whether a value has a name, under which others may still need it."""
        return v in self._code

    def named(self, v: Value) -> str:
        """The code of a value that has a name."""
        return self._code[v].text

    def is_dead(self, v: Value, user: Value) -> bool:
        """Whether a value has an array of its own, which nothing needs after ``user``."""
        return in_place.is_fresh(v) and self._uses.ends(v, user)

    def is_last(self, factor: Value, user: Value) -> bool:
        """Whether nothing needs the factor of a matrix after ``user``."""
        return self.reuses and self._uses.ends(factor, user)

    def assign(self, v: Value, code: Code, indent: str) -> Code:
        """A name of its own for a value that is used once."""
        self._code[v] = self._assign(v, code, indent)
        return self._code[v]

    def _assign(self, v: Value, code: Code, indent: str) -> Code:
        wanted = self.preferred.get(v) or ("factor" if v.op in _FACTORS else f"t{self._next()}")
        name = self.names.take(wanted)
        self.lines.append(indent + self.assignment(name, code.text))
        self._uses.compute(v)
        return Code(name, ATOM)

    def assignment(self, name: str, text: str) -> str:
        """The statement that gives a name to a value."""
        return f"{name} = {text}"

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _constant(self, code: Code) -> Code:
        name = self.names.take(f"C{len(self.constants) + 1}")
        self.constants.append(self.assignment(name, code.text))
        return Code(name, ATOM)

    def loop(self, v: Value, indent: str) -> Code:
        index, body, lower, upper = v.args
        first, last = self._code[lower], self._code[upper]
        stack = v.attrs == ("stack",)  # else the sum of the values for each index
        name, counter = self.names.take("out" if stack else "total"), self.names.take(index.attrs[0])
        start = "0.0" if not v.shape else self.zeros(v.shape)
        if not v.shape and body.weak:  # of numbers that have no precision the sum has one: it may be what arrays meet
            self.needs_dtype = True
            start = "dtype.type(0)"
        self.lines.append(f"{indent}{name} = {start}")
        stop = f"{last.at(SUM)} + 1" if upper.op != "const" else str(upper.attrs[0] + 1)
        over = f"range({first.text}, {stop})" if upper.op != "whole" else f"rt.up_to({first.text}, {last.text})"
        self.lines.append(f"{indent}for {counter} in {over}:")
        safe = lower.op == "const" and lower.attrs[0] >= 1
        self._safe.append((index, upper) if safe else (index, index))
        with self.within(index, counter):
            if stack:
                (code,) = self.write([body], indent + "    ")
                self.lines.append(f"{indent}    {name}[{counter} - 1] = {code.text}")
            elif body.op == "assemble":  # each piece is added where it belongs
                codes = dict(zip(body.args, self.write(body.args, indent + "    "), strict=True))
                name_shared(self, body, codes, indent + "    ")
                for piece in body.attrs[0]:
                    put(self, body, piece, codes, name, indent + "    ", adding=True)
            else:
                (code,) = self.write([body], indent + "    ")
                text = code.at(TERM)
                sign, text = ("-", text[1:]) if text.startswith("-") and code.level > SUM else ("+", text)
                self.lines.append(f"{indent}    {name} = {name} {sign} {text}")
        self._safe.pop()
        return Code(name, ATOM)

    @contextmanager
    def within(self, index: Value, counter: str) -> Iterator[None]:
        """Inside a loop: what depends on its index is written there, and is not known behind it."""
        outer = self._code
        self._code = {e: code for e, code in outer.items() if index not in e.indices}
        self._code[index] = Code(counter, ATOM)
        try:
            yield
        finally:
            self._code = outer

    def zeros(self, shape: ArrayShape) -> str:
        self.needs_dtype = True
        return f"np.zeros({self.shape(shape)}, dtype)"

    def inside(self, index: Value, size: Value) -> bool:
        """Whether an index surely lies within 1 and ``size``."""
        return any(i is index and upper is size for i, upper in self._safe)


def schedule(roots: Sequence[Value], is_there: Callable[[Value], bool]) -> tuple[list[Value], dict[Value, int]]:
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
        elif v not in seen and not is_there(v):
            seen.add(v)
            needs = _needs(v)
            for a in needs:
                uses[a] = uses.get(a, 0) + (2 if v.op in LOOPS else 1)
            stack.append((v, needs))
            stack.extend([(a, None) for a in reversed(needs)])
    return order, uses


def _needs(v: Value) -> tuple[Value, ...]:
    """What must be there before a value is written."""
    return outside(v) if v.op in LOOPS else v.args


def outside(loop: Value) -> tuple[Value, ...]:
    """What a loop needs that is computed before it: its bounds and all that does not depend on its index."""
    index, *stack = loop.args
    found: dict[Value, None] = {}
    seen: set[Value] = set()
    while stack:
        v = stack.pop()
        if v in seen:
            continue
        seen.add(v)
        if index not in v.indices:
            found[v] = None
        else:
            stack.extend(_needs(v))
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
