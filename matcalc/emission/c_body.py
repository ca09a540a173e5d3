"""The statements of a C function: loops, names, numbers, arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from matcalc.dims import ONE, Dim
from matcalc.emission.c_arrays import ARRAYS, SCALARS, row_sum
from matcalc.emission.c_calls import call, call_of_arrays
from matcalc.emission.c_code import NOUGHT, OUTSIDE, SINGULAR, Index, linear, number, unsupported
from matcalc.emission.c_entries import ENTRIES, known
from matcalc.emission.c_kept import FUNCTIONS, head, is_free, is_row_sum, kept
from matcalc.emission.c_pieces import put
from matcalc.emission.identifiers import Identifiers
from matcalc.lowering.code import ATOM, SUM, TERM, UNARY, Code, dim_code
from matcalc.lowering.maps import Derivative
from matcalc.lowering.numpy_source import schedule
from matcalc.lowering.plan import ArrayShape, Value

_LONG = 72  # characters of an expression before a part of it gets a name

_LETTERS = "ijklpqrstuvwxyz"  # of indices


class Body:
    """Writes statements; ``lines`` holds them, ``temporaries`` the arrays that they need."""

    def __init__(self, names: Identifiers, preferred: Mapping[Value, str]) -> None:
        self.names = names
        self.preferred = preferred
        self.lines: list[str] = []
        self.sizes: dict[str, str] = {}
        self.functions: dict[tuple[str, int | Derivative], str] = {}
        self.prototypes: dict[str, str] = {}  # of the functions that are parameters
        self.temporaries: list[tuple[str, Dim]] = []
        self.helpers: set[str] = set()
        self.required: dict[Dim, int] = {}  # the least that a size must be
        self.fails = False  # whether it may end early
        self.arrays: dict[Value, str] = {}
        self.targets: dict[Value, str] = {}  # arrays of the caller that a value is written to
        self._numbers: dict[Value, Code] = {}
        self._integers: dict[Value, Code] = {}
        self._factors: dict[tuple[str, Value], tuple[str, str, str]] = {}
        self._refused: frozenset[str] = frozenset()  # conditions under which it fails, that have been tested
        self._memo: dict[tuple[Value, tuple[str, ...]], Code] = {}
        self._shared: set[Value] = set()  # values with several users in the loops that they are written into
        self._indent = 1
        self._depth = 0
        self._letters: list[str] = []
        self._safe: list[tuple[Value, Value]] = []
        self._count = 0

    # Names and lines

    def emit(self, line: str) -> None:
        self.lines.append("    " * self._indent + line)

    def use(self, helper: str) -> str:
        """The name of a function that is defined in the source."""
        self.helpers.add(helper)
        return helper

    def size(self, d: Dim) -> Code:
        for name in sorted(d.names):
            if name not in self.sizes:
                self.sizes[name] = self.names.take(name)
        return dim_code(d, self.sizes)

    def volume(self, shape: Sequence[Dim]) -> Dim:
        total = ONE
        for d in shape:
            total = total * d
        return total

    def function(self, name: str, order: int) -> str:
        known = self.functions.get((name, order))
        if known is None:
            prefix = "" if order == 0 else "d" if order == 1 else f"d{order}"
            known = self.functions[name, order] = self.names.take(prefix + name)
            self.prototypes[known] = f"double (*{known})(double)"
        return known

    def temporary(self, size: Dim, wanted: str = "") -> str:
        if not wanted:
            self._count += 1
            wanted = f"t{self._count}"
        name = self.names.take(wanted)
        self.temporaries.append((name, size))
        return name

    def variable(self, wanted: str = "") -> str:
        if not wanted:
            self._count += 1
            wanted = f"s{self._count}"
        return self.names.take(wanted)

    def fail(self, condition: str, status: int) -> None:
        if condition not in self._refused:
            self.fails = True
            self._refused |= {condition}
            self.emit(f"if ({condition}) {{ status = {status}; goto done; }}")

    def require(self, size: Dim, position: Value) -> None:
        """That an axis has the position, where that is a number; others are checked where they are computed."""
        if position.op == "const" and (size.value is None or size.value <= position.attrs[0]):
            self.required[size] = max(self.required.get(size, 0), int(position.attrs[0]) + 1)

    # Loops

    @contextmanager
    def block(self, opening: str) -> Iterator[None]:
        self.emit(opening + " {")
        self._indent += 1
        memo, self._memo = self._memo, dict(self._memo)
        yield
        self._memo = memo
        self._indent -= 1
        self.emit("}")

    @contextmanager
    def loops(self, sizes: Sequence[Dim]) -> Iterator[list[Index]]:
        """Nested loops, the last innermost; gives the indices. Axes of one entry have no loop."""
        found: list[Index] = []
        memo, self._memo = self._memo, dict(self._memo)
        opened = 0
        for size in sizes:
            if size is ONE:
                found.append(NOUGHT)
                continue
            name = self._letter(self._depth)
            self._depth += 1
            opened += 1
            self.emit(f"for (ptrdiff_t {name} = 0; {name} < {self.size(size).at(SUM)}; {name}++) {{")
            self._indent += 1
            found.append(Code(name, ATOM))
        if not opened:
            self.emit("{")
            self._indent += 1
        yield found
        for _ in range(max(opened, 1)):
            self._indent -= 1
            self.emit("}")
        self._depth -= opened
        self._memo = memo

    def _letter(self, depth: int) -> str:
        while len(self._letters) <= depth:
            free = [c for c in _LETTERS if not self.names.is_taken(c)]
            self._letters.append(self.names.take(free[0] if free else "i"))
        return self._letters[depth]

    # Values

    def entry(self, v: Value, index: Sequence[Index]) -> Code:
        """The entry of a value as an expression, within the loops over its indices."""
        if not v.shape:
            return self.scalar(v)
        name = self.arrays.get(v)
        if name is not None:
            return Code(f"{name}[{linear(self, index, v.shape).text}]", ATOM)
        key = (v, tuple([i.text for i in index]))
        found = self._memo.get(key)
        if found is not None:
            return found
        rule = ENTRIES.get(v.op) or (known if v.op in FUNCTIONS else row_sum if is_row_sum(v) else None)
        if rule is None:
            raise unsupported(v, "C")
        code: Code = rule(self, v, index)
        if not is_free(v) and (len(code.text) > _LONG or v in self._shared):
            code = self.local(code, self.preferred.get(v, ""))
            self._memo[key] = code
        return code

    def local(self, code: Code, wanted: str = "") -> Code:
        """A name for an expression within a loop."""
        if code.text.isidentifier():
            return code
        name = self.variable(wanted)
        self.emit(f"const double {name} = {code.text};")
        return Code(name, ATOM)

    def scalar(self, v: Value) -> Code:
        """A number as a double."""
        if v in self._numbers:
            return self._numbers[v]
        if v.op == "const":
            return number(v.attrs[0])
        if v.op == "pi":
            return Code("3.14159265358979323846", ATOM)
        return Code(f"(double) {self.integer(v).at(UNARY)}", UNARY)

    def integer(self, v: Value) -> Code:
        """A whole number."""
        if v.op == "const":
            return Code(str(int(v.attrs[0])), ATOM if v.attrs[0] >= 0 else UNARY)
        if v.op == "size":
            return self.size(v.attrs[0])
        return self._integers[v]

    def bind(self, v: Value, name: str) -> None:
        """An argument."""
        if v.shape:
            self.arrays[v] = name
        else:
            self._numbers[v] = Code(name, ATOM)

    # Writing

    def write(self, roots: Sequence[Value]) -> None:
        """Writes all that the roots need; the roots too, unless they are written entry by entry."""
        order, uses = schedule(roots, lambda v: v in self.arrays or v in self._numbers)
        stored = kept(order, roots, self.arrays) | {v for v in order if v in self.targets}
        users: dict[Value, list[Value]] = {}
        for v in order:
            for a in dict.fromkeys(v.args):
                users.setdefault(a, []).append(v)
        self._shared |= {v for v in order if v.shape and v not in stored and uses.get(v, 0) > 1}
        for v in order:
            if v in self._numbers or v in self.arrays:
                continue
            if v.shape:
                if v in stored:
                    self._store(v)
            else:
                self._number(v, uses[v] == 1 and _is_plain(users.get(v, [])))

    # Numbers

    def _number(self, v: Value, inline: bool) -> None:
        """Computes a number: under a name, or within the expression of its one user."""
        if v.op in ("const", "pi", "size", "index"):
            return
        if v.op in ("position", "whole", "within"):
            self._integers[v] = self._checked(v)
            return
        if v.op == "call" and v.attrs[0].startswith("max("):
            upper, lower = (self.integer(a).at(TERM) for a in v.args)
            name = self.variable("count")
            self.emit(f"const ptrdiff_t {name} = {upper} >= {lower} ? {upper} - {lower} + 1 : 0;")
            self._integers[v] = Code(name, ATOM)
            return
        rule = SCALARS.get(v.op) or (call if v.op == "call" and head(v) != "rt.pinv" else None)
        if rule is not None:
            code = rule(self, v)
            self._numbers[v] = code if code.text.isidentifier() else self.local(code, self.preferred.get(v, ""))
            return
        if v.op == "reshape":  # the one entry of an array
            code = self.entry(v.args[0], [NOUGHT] * v.args[0].rank)
        elif v.op == "block":
            code = ENTRIES["block"](self, v, [])
        elif v.op == "unknown":
            code = Code(f"{self.function(*v.attrs)}({self.scalar(v.args[0]).text})", ATOM)
        elif v.op == "call":
            code = ENTRIES["call"](self, v, [])
        elif v.op in ENTRIES:
            code = ENTRIES[v.op](self, v, [])
        elif v.op in FUNCTIONS:
            code = known(self, v, [])
        else:
            raise unsupported(v, "C")
        if not inline or len(code.text) > _LONG:
            code = self.local(code, self.preferred.get(v, ""))
        self._numbers[v] = code

    def _checked(self, v: Value) -> Code:
        """A whole number that is checked."""
        x = v.args[0]
        if v.op == "within":
            limit, size = self.integer(x), self.integer(v.args[1])
            self.fail(f"{limit.at(SUM)} < 0 || {limit.at(SUM)} > {size.at(SUM)}", OUTSIDE)
            return limit
        known = x.op in ("const", "size", "index") or x in self._integers
        if v.op == "position":
            size = self.integer(v.args[1])
            if known:
                at = self.integer(x)
                inside = any(i is x and upper is v.args[1] for i, upper in self._safe)
                if not inside:
                    self.fail(f"{at.at(SUM)} < 1 || {at.at(SUM)} > {size.at(SUM)}", OUTSIDE)
                return Code(f"{at.at(SUM)} - 1", SUM)
            at = self.local(self.scalar(x))
            condition = (
                f"!({at.text} >= 1.0 && {at.text} <= (double) {size.at(UNARY)}) || {at.text} != floor({at.text})"
            )
            self.fail(condition, OUTSIDE)
            name = self.variable("at")
            self.emit(f"const ptrdiff_t {name} = (ptrdiff_t) {at.text} - 1;")
            return Code(name, ATOM)
        if known:
            return self.integer(x)
        number = self.local(self.scalar(x))
        self.fail(f"!(fabs({number.text}) <= 9007199254740992.0) || {number.text} != floor({number.text})", OUTSIDE)
        name = self.variable("whole")
        self.emit(f"const ptrdiff_t {name} = (ptrdiff_t) {number.text};")
        return Code(name, ATOM)

    # Arrays

    def _store(self, v: Value) -> None:
        if v.op == "reshape" and v not in self.targets:
            base = v.args[0]
            while base.op == "reshape" and base not in self.arrays:
                base = base.args[0]
            if base in self.arrays:
                self.arrays[v] = self.arrays[base]
                return
        name = self.targets.get(v) or self.temporary(self.volume(v.shape), self.preferred.get(v, ""))
        rule = ARRAYS.get(v.op)
        if rule is None and v.op == "call" and head(v) != "rt.safe_reciprocal":
            rule = call_of_arrays
        if rule is None:
            self.fill(v, name)
        else:
            rule(self, v, name)
        self.arrays[v] = name

    def fill(self, v: Value, name: str) -> None:
        """Writes all entries of a value into an array, row by row."""
        if v.op == "diag" and v not in self.arrays:
            self.zero(v.shape, name)
            with self.loops(v.shape[:1]) as (i,):
                at = linear(self, [i, i], v.shape)
                self.emit(f"{name}[{at.text}] = {self.entry(v, [i, i]).text};")
            return
        with self.loops(v.shape) as index:
            code = self.entry(v, index)
            self.emit(f"{name}[{linear(self, index, v.shape).text}] = {code.text};")

    def zero(self, shape: ArrayShape, name: str) -> None:
        with self.loops([self.volume(shape)]) as index:
            self.emit(f"{name}[{index[0].text}] = 0.0;")

    def copied(self, v: Value) -> str:
        """A new array with the entries of a value."""
        name = self.temporary(self.volume(v.shape))
        self.fill(v, name)
        return name

    def factored(self, a: Value) -> tuple[str, str, str]:
        """The factors of a square matrix, once: the arrays that hold them, and the variable that says whether it is
        singular."""
        key = ("lu", a)
        if key not in self._factors:
            n = a.shape[0]
            self.use("lu_factor")
            lu = self.copied(a)
            rows = self.temporary(n, "rows")
            singular = self.variable("singular")
            self.emit(f"const int {singular} = lu_factor({self.size(n).text}, {lu}, {rows});")
            self._factors[key] = lu, rows, singular
        return self._factors[key]

    def cholesky(self, a: Value) -> str:
        key = ("cholesky", a)
        if key not in self._factors:
            self.use("cholesky")
            name = self.copied(a)
            self.fail(f"cholesky({self.size(a.shape[0]).text}, {name})", SINGULAR)
            self._factors[key] = name, "", ""
        return self._factors[key][0]

    @contextmanager
    def scope(self, index: Value) -> Iterator[None]:
        """The body of a loop: it knows what does not depend on the index, and leaves nothing behind."""
        held = (self.arrays, self._numbers, self._integers, self._factors, self._memo, self._refused)
        self.arrays = {v: name for v, name in self.arrays.items() if index not in v.indices}
        self._numbers = {v: code for v, code in self._numbers.items() if index not in v.indices}
        self._integers = {v: code for v, code in self._integers.items() if index not in v.indices}
        self._factors = {key: found for key, found in self._factors.items() if index not in key[1].indices}
        self._memo = {}
        yield
        self.arrays, self._numbers, self._integers, self._factors, self._memo, self._refused = held

    def counted(self, loop: Value, name: str | None) -> Code:
        """An indexed sum, or an array whose slices belong to the indices; a sum of numbers gives its variable."""
        index, body, lower, upper = loop.args
        first, last = self.integer(lower), self.integer(upper)
        if upper.op == "whole":  # a sum may have no terms, but not fewer
            self.fail(f"{last.at(SUM)} < {first.at(SUM)} - 1", OUTSIDE)
        if name is not None:
            self.zero(loop.shape, name)
            total = name
        else:
            total = self.variable("total")
            self.emit(f"double {total} = 0.0;")
        counter = self.names.take(index.attrs[0])
        with self.scope(index):
            opening = f"for (ptrdiff_t {counter} = {first.at(SUM)}; {counter} <= {last.at(SUM)}; {counter}++)"
            with self.block(opening):
                self._integers[index] = Code(counter, ATOM)
                safe = lower.op == "const" and lower.attrs[0] >= 1
                self._safe.append((index, upper) if safe else (index, index))
                pieces = body.op == "assemble" and bool(body.shape) and not loop.attrs
                self.write(list(body.args) if pieces else [body])
                if pieces:
                    for piece in body.attrs[0]:
                        put(self, body, piece, total, adding=True)
                elif name is None:
                    self.emit(f"{total} += {self.scalar(body).text};")
                else:
                    with self.loops(body.shape) as at:
                        place = linear(self, at, body.shape)
                        if loop.attrs:
                            slices = self.size(self.volume(body.shape))
                            place = Code(f"({counter} - 1) * {slices.at(UNARY)} + {place.at(SUM)}", SUM)
                        self.emit(f"{total}[{place.text}] {'' if loop.attrs else '+'}= {self.entry(body, at).text};")
                self._safe.pop()
        return Code(total, ATOM)


def _is_plain(users: Sequence[Value]) -> bool:
    """Whether the one user is an expression of numbers."""
    return len(users) == 1 and not users[0].shape and users[0].op in ("add", "mul", "pow", *FUNCTIONS)


__all__ = ["Body"]
