"""The scope of a text: what names mean, and the program as a list of steps, each shared part once.

A step has the numbers of the steps that it uses, a rule for its shape and a way to build its node. The syntax tree is
read from its leaves up without recursion; what each kind of node means is registered by operators.py and calls.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from matcalc.dims import ONE, SCALAR, Dim, Shape, dim
from matcalc.errors import DeclarationError, LimitError, Span, UnknownNameError
from matcalc.expr import Expr, make
from matcalc.primitives.base import Same
from matcalc.primitives.functions import Defined, Function
from matcalc.primitives.leaves import Index as IndexLeaf
from matcalc.primitives.leaves import Pi, const, identity, ones, size, var
from matcalc.primitives.registry import CALLS
from matcalc.syntax import tree
from matcalc.syntax.builder import JUXTAPOSED

Rule: TypeAlias = Callable[[tuple[Shape, ...], Same], Shape]
Build: TypeAlias = Callable[..., Expr]

FUNCTION_ALIASES = {"sigma": "sigmoid"}
FUNCTIONS = frozenset(CALLS) | FUNCTION_ALIASES.keys() | {"norm"}
MAX_DIGITS = 300  # of a number
MAX_TERMS = 40  # of a dimension


class Step(NamedTuple):
    """One node to be: ``kind`` says in one word what it does, for the words of an error."""

    kind: str
    node: tree.Node
    args: tuple[int, ...]
    rule: Rule
    build: Build
    name: str = ""  # of the variable, where it is one
    places: tuple[tree.Node, ...] = ()  # where the text has the operands (a step that is used again stands elsewhere)


class Undeclared:
    """A name that nobody declared; its kind is found out from the expression."""

    __slots__ = ("index", "integer", "node", "scalar")

    def __init__(self, node: tree.Node, index: int) -> None:
        self.node, self.index = node, index
        self.scalar = False  # forced by its place
        self.integer = False


class Scope:
    """What names mean, and the steps so far."""

    def __init__(self, source: str) -> None:
        self.sources: list[tuple[int, str]] = [(0, source)]  # texts, each with the number of its first step
        self.steps: list[Step] = []
        self.variables: dict[str, Expr] = {}  # declared
        self.whole: set[str] = set()  # of them, those whose place makes them whole numbers
        self.sizes: set[str] = set()  # dimensions
        self.guessed_sizes: set[str] = set()  # of them, those that stand only as the bound of a sum
        self.functions: dict[str, Function] = {}  # declared, defined or unknown
        self.formulas: dict[str, Any] = {}  # functions that hold other quantities (formulas.py)
        self.definitions: dict[str, int] = {}
        self.held: frozenset[str] = frozenset()  # names that stand for themselves where they are assigned
        self.undeclared: dict[str, Undeclared] = {}
        self.used: dict[str, int] = {}  # declared variables: their step
        self.unknown_functions: dict[str, tree.Node] = {}
        self.bound: dict[str, Dim | None] = {}  # the indices of the sums around, with the last value where it is a size
        self.loops: list[tuple[int, int, Dim]] = []  # entries taken by a bound index: step, axis, last value

    @property
    def source(self) -> str:
        return self.sources[-1][1]

    def read(self, source: str) -> None:
        """What follows is in another text."""
        self.sources.append((len(self.steps), source))

    def source_of(self, step: int) -> str:
        """The text in which a step was written."""
        return next(source for first, source in reversed(self.sources) if first <= step)

    def span(self, node: tree.Node | tree.Statement) -> Span:
        return Span(self.source, node.start, node.end)

    def add(self, step: Step) -> int:
        self.steps.append(step)
        return len(self.steps) - 1

    # -- the walk: operands first, without recursion

    def expression(self, root: tree.Node) -> int:
        """The number of the step that is ``root``."""
        out: list[int] = []
        stack: list[Any] = [root]
        bound = self.bound = dict[str, Dim | None]()
        while stack:
            item = stack.pop()
            if isinstance(item, Finish):
                count = len(item.operands)
                args = tuple(out[len(out) - count :]) if count else ()
                del out[len(out) - count :]
                number = item.make(args)
                step = self.steps[number]
                if item.operands and not step.places and len(step.args) == len(item.operands):
                    self.steps[number] = step._replace(places=tuple(item.operands))
                out.append(number)
            elif isinstance(item, Bind):
                item.run(bound)
            else:
                self.visit(item, stack, bound, out)
        (result,) = out
        return result

    def visit(self, node: tree.Node, stack: list[Any], bound: dict[str, Any], out: list[int]) -> None:
        if isinstance(node, tree.Group):
            stack.append(node.kids[0])
        elif isinstance(node, tree.Name):
            pieces = self.entry(node, bound)
            if pieces is not None:
                stack.append(pieces)
            else:
                out.append(self.name(node, bound))
        elif isinstance(node, tree.Number):
            out.append(self.leaf("number", node, SCALAR, partial(const, self.number(node))))
        else:
            operands, finish = READERS[type(node)](self, node)
            stack.append(Finish([item for item in operands if isinstance(item, tree.Node)], finish))
            stack.extend(reversed(operands))

    def leaf(self, kind: str, node: tree.Node, shape: Shape, build: Build) -> int:
        return self.add(Step(kind, node, (), lambda shapes, same: shape, build))

    # -- names and numbers

    def number(self, node: tree.Number) -> int | float:
        if len(node.text) > MAX_DIGITS:
            raise LimitError(
                f"a number of {len(node.text)} characters, more than {MAX_DIGITS}",
                span=self.span(node),
                hint="round it, or write it as a power: 10^400",
            )
        if node.text.isdigit():
            return int(node.text)
        value = float(node.text)
        if value in (float("inf"), 0.0) and any(c in "123456789" for c in node.text.lower().partition("e")[0]):
            raise LimitError(
                "the number is too large or too small for a float",
                span=self.span(node),
                hint="write it as a power, which stays exact: 10^400, 10^-400",
            )
        return value

    def name(self, node: tree.Name, bound: dict[str, Any]) -> int:
        name = node.text
        if name in bound:
            return self.add(Step("index", node, (), lambda shapes, same: SCALAR, partial(make, IndexLeaf(name))))
        if name in self.definitions:
            return self.definitions[name]
        if name in self.variables:
            if name not in self.used:
                expr = self.variables[name]
                self.used[name] = self.add(Step("variable", node, (), lambda s, same: expr.shape, lambda: expr, name))
            return self.used[name]
        if name in self.sizes:
            return self.leaf("size", node, SCALAR, partial(size, dim(name)))
        if name == "pi":
            return self.leaf("number", node, SCALAR, partial(make, Pi()))
        if name == "I":
            return self.add(Step("identity", node, (), lambda shapes, same: SCALAR, identity))
        if name == "1":  # the vector of ones
            return self.add(Step("ones", node, (), lambda shapes, same: SCALAR, ones))
        of_language = name in FUNCTIONS and len(name) > 1 and name not in FUNCTION_ALIASES
        if name in self.functions or name in self.formulas or of_language:
            raise UnknownNameError(
                f"`{name}` is a function and stands here without an argument",
                span=self.span(node),
                hint=f"write {name}(...)",
            )
        if name not in self.undeclared:
            self.undeclared[name] = Undeclared(node, len(self.steps))
            self.add(Step("variable", node, (), self.undeclared_shape, lambda: None, name))  # type: ignore[arg-type,return-value]
        return self.undeclared[name].index

    @staticmethod
    def undeclared_shape(shapes: tuple[Shape, ...], same: Same) -> Shape:
        raise AssertionError("the shape of an undeclared name is found in kinds.py")

    def entry(self, node: tree.Name, bound: dict[str, Any]) -> tree.Node | None:
        """``x_i`` within a sum over i is the entry x[i], unless ``x_i`` is a name of its own."""
        base, mark, subscript = node.text.partition("_")
        if not bound or not mark or not subscript or any(c not in bound for c in subscript):
            return None
        if node.text in self.variables or node.text in self.definitions:
            return None
        at = [tree.Name(node.start, node.end, c) for c in subscript]
        return tree.Index(node.start, node.end, (tree.Name(node.start, node.end, base), *at))

    def force(self, node: tree.Node, integer: bool = False) -> None:
        """Notes that the place of a bare name makes it a number, a whole one with all that it is computed from."""
        while isinstance(node, (tree.Group, tree.Negation)):
            node = node.kids[0]
        if integer and isinstance(node, tree.Binary) and node.operator in _DIMENSIONS:
            for part in tree.walk([node]):
                if isinstance(part, tree.Name):
                    self.force(part, integer=True)
            return
        if integer and isinstance(node, tree.Name) and node.text in self.variables:
            self.whole.add(node.text)
        found = self.undeclared.get(node.text) if isinstance(node, tree.Name) else None
        if found is not None:
            found.scalar = True
            found.integer = found.integer or integer

    def literal(self, node: tree.Node) -> Fraction | None:
        """The number that an exponent is, where it is written as one."""
        sign = 1
        while isinstance(node, (tree.Group, tree.Negation)):
            sign = -sign if isinstance(node, tree.Negation) else sign
            node = node.kids[0]
        if isinstance(node, tree.Number):
            return sign * Fraction(self.number(node))
        if isinstance(node, (tree.Binary, tree.Fraction)) and all(isinstance(k, tree.Number) for k in node.kids):
            above, below = (Fraction(self.number(k)) for k in node.kids)  # type: ignore[arg-type]
            if (isinstance(node, tree.Fraction) or node.operator == "SLASH") and below:
                return sign * above / below
        return None

    # -- dimensions

    def dimension(self, root: tree.Node) -> Dim:
        """A dimension written as an expression: names, whole numbers, sums and products of those."""
        values: list[Dim] = []
        stack: list[Any] = [root]
        while stack:
            node = stack.pop()
            if callable(node):
                right = values.pop()
                values.append(node(values.pop(), right))
                if len(values[-1].terms) > MAX_TERMS:
                    raise LimitError(f"a dimension of more than {MAX_TERMS} terms", span=self.span(root))
            elif isinstance(node, tree.Group):
                stack.append(node.kids[0])
            elif isinstance(node, tree.Number) and node.text.isdigit() and len(node.text) < 16:
                values.append(dim(int(node.text)))
            elif isinstance(node, tree.Name) and node.text not in self.variables and node.text not in self.definitions:
                if node.text in self.undeclared:
                    raise DeclarationError(
                        f"`{node.text}` stands for a dimension here and for a variable before",
                        span=self.span(node),
                        hint=f"declare a variable that has it, for example `x in R^{node.text}`",
                    )
                self.sizes.add(node.text)
                self.guessed_sizes.discard(node.text)
                values.append(dim(node.text))
            elif isinstance(node, tree.Binary) and node.operator in _DIMENSIONS:
                stack += [_DIMENSIONS[node.operator], node.kids[1], node.kids[0]]
            elif isinstance(node, tree.Name):
                raise DeclarationError(
                    f"`{node.text}` stands for a dimension here and is declared as a variable",
                    span=self.span(node),
                    hint="a dimension may be used as a number without declaring it; rename one of them otherwise",
                )
            else:
                raise DeclarationError(
                    f"`{self.source[node.start : node.end][:40]}` is not a dimension",
                    span=self.span(node),
                    hint="a dimension is a name (n), a whole number, or a sum or product of those (n+1, m*n)",
                )
        (result,) = values
        if result.value is not None and result.value < 1:
            raise DeclarationError(f"a dimension of {result}", span=self.span(root), hint="dimensions are at least 1")
        return result

    def define_function(self, name: str, parameter: str, body: Expr) -> None:
        self.functions[name] = Defined(name, var(parameter), body)


# What to read before a node is made, and how it is made of the steps of those.
Reading: TypeAlias = "tuple[Sequence[tree.Node | Bind], Callable[[tuple[int, ...]], int]]"
READERS: dict[type[tree.Node], Callable[[Scope, Any], Reading]] = {}


def reads(*kinds: type[tree.Node]) -> Callable[[Callable[[Scope, Any], Reading]], Callable[[Scope, Any], Reading]]:
    """Registers what these kinds of syntax mean."""

    def register(reader: Callable[[Scope, Any], Reading]) -> Callable[[Scope, Any], Reading]:
        READERS.update(dict.fromkeys(kinds, reader))
        return reader

    return register


class Finish(NamedTuple):
    operands: list[tree.Node]
    make: Callable[[tuple[int, ...]], int]


class Bind(NamedTuple):
    run: Callable[[dict[str, Any]], None]


_DIMENSIONS: dict[str, Callable[[Dim, Dim], Dim]] = {
    "PLUS": lambda a, b: a + b,
    "MINUS": lambda a, b: a - b,
    "TIMES": lambda a, b: a * b,
    JUXTAPOSED: lambda a, b: a * b,
}


def number_rule(shapes: tuple[Shape, ...], same: Same) -> Shape:
    same(shapes[0][0], ONE)
    same(shapes[0][1], ONE)
    return SCALAR


def square_rule(shapes: tuple[Shape, ...], same: Same) -> Shape:
    common = same(*shapes[0])
    return (common, common)
