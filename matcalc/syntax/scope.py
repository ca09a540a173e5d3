"""The scope of a text: what names mean, and the program as a list of steps, each shared part once.

A step has the numbers of the steps that it uses, a rule for its shape and a way to build its node. The syntax tree is
read from its leaves up without recursion; what each kind of node means is registered by operators.py, calls.py,
norms.py and indices.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from matcalc.dims import ONE, SCALAR, Dim, Shape, dim
from matcalc.errors import AmbiguityError, Span, UnknownNameError
from matcalc.expr import Expr, make
from matcalc.primitives.base import Same
from matcalc.primitives.functions import Defined, Function
from matcalc.primitives.leaves import Index as IndexLeaf
from matcalc.primitives.leaves import Pi, const, identity, ones, size, var
from matcalc.primitives.maps import Map
from matcalc.primitives.registry import CALLS
from matcalc.syntax import tree
from matcalc.syntax.dimensions import OPERATORS, dimension_of, number_in

Rule: TypeAlias = Callable[[tuple[Shape, ...], Same], Shape]
Build: TypeAlias = Callable[..., Expr]

FUNCTION_ALIASES = {"sigma": "sigmoid"}
FUNCTIONS = frozenset(CALLS) | FUNCTION_ALIASES.keys() | {"norm"}
MAX_STEPS = 200_000  # of a program


class Step(NamedTuple):
    """One node to be: ``kind`` says in one word what it does, for the words of an error."""

    kind: str
    node: tree.Node
    args: tuple[int, ...]
    rule: Rule
    build: Build
    name: str = ""  # of the variable, where it is one
    places: tuple[tree.Node, ...] = ()  # where the text has the operands (a step that is used again stands elsewhere)


class Family:
    """A name that has members, ``x_i``: where one stands, its index, whether it is rather a column than a number."""

    __slots__ = ("column", "declared", "index", "node")

    def __init__(self, node: tree.Name, index: str) -> None:
        self.node, self.index, self.column = node, index, False
        self.declared: Expr | None = None  # a member as it was declared: x_i in R^n


class Undeclared:
    """A name that nobody declared; its kind is found out from the expression."""

    __slots__ = ("family", "index", "integer", "node", "scalar", "turned")

    def __init__(self, node: tree.Node, index: int) -> None:
        self.node, self.index = node, index
        self.scalar = False  # forced by its place
        self.integer = False
        self.turned = False  # whether it is transposed somewhere: theta' is a vector
        self.family: Family | None = None  # where only its members stand in the text


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
        self.definitions: dict[str, int] = {}
        self.formulas: dict[str, Any] = {}  # functions that hold other quantities (formulas.py)
        self.maps: dict[str, Map] = {}  # declared with their shapes only
        self.calls: tuple[str, ...] = ()  # the functions whose formulas are being written out, outermost first
        self.assigned: dict[str, int] = self.definitions  # those of the program, whatever a formula's parameters are
        self.expanded: dict[tuple[Any, ...], int] = {}  # formulas written out: their steps
        self.indices: dict[str, str] = {}  # indices of sums that go by another name within the formula written out
        self.around: frozenset[str] = frozenset()  # indices of the sums around the formula written out
        self.held: frozenset[str] = frozenset()  # names that stand for themselves where they are assigned
        self.undeclared: dict[str, Undeclared] = {}
        self.used: dict[str, int] = {}  # declared variables: their step
        self.unknown_functions: dict[str, tree.Node] = {}
        self.asked: frozenset[str] = frozenset()  # what is differentiated by: variables, whatever they are named
        self.bound: dict[str, Dim | None] = {}  # the indices of the sums around, with the last value where it is a size
        self.firsts: dict[str, Fraction] = {}  # the first values of them that are numbers
        self.families: dict[str, Family] = {}  # the names of which there are members (families.py)
        self.standing: set[str] = set()  # the names that stand for themselves
        self.apart: frozenset[str] = frozenset()  # names a whose members are no columns of A
        self.capitals: set[str] = set()  # names a whose members are read as columns of A, though they may be numbers
        self.columns: dict[str, str] = {}  # of declared matrices, the name of the columns: x_i
        self.sums: dict[str, list[tuple[str, Span]]] = {}  # of variables, what equations say of columns and rows
        self.stacked: set[str] = set()  # names X of which the text has vec(X), columns one below the other
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
            out.append(self.leaf("number", node, SCALAR, partial(const, number_in(self, node))))
        else:
            operands, finish = READERS[type(node)](self, node)
            stack.append(Finish([item for item in operands if isinstance(item, tree.Node)], finish))
            stack.extend(reversed(operands))

    def leaf(self, kind: str, node: tree.Node, shape: Shape, build: Build) -> int:
        return self.add(Step(kind, node, (), lambda shapes, same: shape, build))

    # -- names and numbers

    def name(self, node: tree.Name, bound: dict[str, Any]) -> int:
        name = node.text
        if name in bound:
            index = IndexLeaf(self.indices.get(name, name))
            return self.add(Step("index", node, (), lambda shapes, same: SCALAR, partial(make, index)))
        if name in self.definitions:
            return self.definitions[name]
        if name in self.variables:
            if name not in self.used:
                expr = self.variables[name]
                self.used[name] = self.add(Step("variable", node, (), lambda s, same: expr.shape, lambda: expr, name))
            return self.used[name]
        if name in self.sizes:
            return self.leaf("size", node, SCALAR, partial(size, dim(name)))
        if name == "pi" and (name in self.standing or name not in self.families):  # pi_k are weights
            return self.leaf("number", node, SCALAR, partial(make, Pi()))
        if name == "I":
            return self.add(Step("identity", node, (), lambda shapes, same: SCALAR, identity))
        if name == "1":  # the vector of ones
            return self.add(Step("ones", node, (), lambda shapes, same: SCALAR, ones))
        of_language = name in FUNCTIONS and len(name) > 1 and name not in FUNCTION_ALIASES and name != "pi"
        if name in self.functions or name in self.formulas or name in self.maps or of_language:
            raise UnknownNameError(
                f"`{name}` is a function and stands here without an argument",
                span=self.span(node),
                hint=f"write {name}(...)",
            )
        order = self.order_of_identity(name)
        if order is not None:
            at = tree.Number if order.isdigit() else tree.Name
            d = dimension_of(self, at(node.start, node.end, order))
            return self.leaf("identity of an order", node, (d, d), partial(identity, d))
        if name not in self.undeclared:
            found = self.undeclared[name] = Undeclared(node, len(self.steps))
            found.family = None if name in self.standing else self.families.get(name)
            self.add(Step("variable", node, (), self.undeclared_shape, lambda: None, name))  # type: ignore[arg-type,return-value]
        return self.undeclared[name].index

    def order_of_identity(self, name: str) -> str | None:
        """The n of ``I_n``, the identity matrix of order n, where nothing says that I_n is something else."""
        order = name[1:].removeprefix("_")
        if name[0] != "I" or not order or name in self.undeclared or name in self.asked:
            return None
        if order.isdigit():
            return order if int(order) > 1 else None
        known = {*self.variables, *self.undeclared, *self.definitions, *self.bound}
        letter = len(order) == 1 and order.isascii() and order.islower() and order not in known
        return order if order in self.sizes or letter else None

    @staticmethod
    def undeclared_shape(shapes: tuple[Shape, ...], same: Same) -> Shape:
        raise AssertionError("the shape of an undeclared name is found in kinds.py")

    def entry(self, node: tree.Name, bound: dict[str, Any]) -> tree.Node | None:
        """``x_i`` within a sum over i: entry i of the vector x, column i of the matrix X, or one of a family.

        Outside the sum it is a name of its own where it is declared or no other ``x_j`` is in a sum over j.
        """
        base, _, subscript = node.text.partition("_")
        if not base or not subscript or node.text in self.definitions:
            return None
        if not all(c in bound for c in subscript):
            letters = subscript.isascii() and subscript.isalpha() and subscript.islower()
            one = len(subscript) == 1 and base in self.families
            other = len(subscript) == 2 and any(c in bound for c in subscript)  # A_ij within a sum over i
            if node.text in self.variables or not letters or not (one or other):
                return None
        at = [tree.Name(node.start, node.end, c) for c in subscript]
        return tree.Member(node.start, node.end, (tree.Name(node.start, node.end, self.whole_of(node, base)), *at))

    def whole_of(self, node: tree.Name, base: str) -> str:
        """The name of what ``x_i`` is a member of."""
        capital = base[0].upper() + base[1:]
        if base in self.apart:
            return base
        declared = [name for name in (base, capital) if name in self.variables and not self.variables[name].is_scalar]
        declared += [name for name, member in self.columns.items() if member.partition("_")[0] == base]
        if declared:
            return self.noted(base, declared[0])
        known = [name for name in (base, capital) if name in self.definitions or name in self.standing]
        known += [name for name in (base, capital) if name in self.variables]
        if known:
            return self.noted(base, known[0])
        family = self.families.get(base)
        if family is not None and family.declared is None:
            names = (name for name in self.variables if name.partition("_")[0] == base and len(name) == len(base) + 2)
            family.declared = next((self.variables[name] for name in names), None)
        if base[0].isupper() and family is not None and family.declared is None:
            raise AmbiguityError(
                f"`{node.text}` has several readings, as nothing says what `{base}` is",
                span=self.span(node),
                detail=f"entry of a vector: {base} in R^m; column of a matrix: {base} in R^{{n x m}}",
                hint=f"declare {base}; a family of matrices is written with names of their own: {base}1, {base}2",
            )
        return base

    def noted(self, base: str, whole: str) -> str:
        """The same; where a lower-case letter has met the matrix of the same letter, that is noted."""
        family = self.families.get(base)
        if whole != base and base[0].islower() and whole not in self.columns and not (family and family.column):
            self.capitals.add(base)
        return whole

    def force(self, node: tree.Node, integer: bool = False) -> None:
        """Notes that the place of a bare name makes it a number, a whole one with all that it is computed from."""
        while isinstance(node, (tree.Group, tree.Negation)):
            node = node.kids[0]
        if integer and isinstance(node, tree.Binary) and node.operator in OPERATORS:
            for part in tree.walk([node]):
                if isinstance(part, tree.Name):
                    self.force(part, integer=True)
            return
        name = node.text if isinstance(node, tree.Name) else ""
        if name in self.definitions:  # another name of a variable
            name = self.steps[self.definitions[name]].name
        if integer and name in self.variables:
            self.whole.add(name)
        found = self.undeclared.get(name)
        if found is not None:
            found.scalar = True
            found.integer = found.integer or integer

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


def number_rule(shapes: tuple[Shape, ...], same: Same) -> Shape:
    same(shapes[0][0], ONE)
    same(shapes[0][1], ONE)
    return SCALAR


def square_rule(shapes: tuple[Shape, ...], same: Same) -> Shape:
    common = same(*shapes[0])
    return (common, common)
