"""A program as a list of steps: the syntax trees laid out flat, names looked up, each shared part once.

A step has the numbers of the steps that it uses, a rule for its shape and a way to build its node. Chains are gathered
here as the graph wants them: ``A*B*x`` is one product of three, ``a - b`` adds ``-1*b``, ``a/b`` multiplies by
``b^-1``; brackets keep their part together.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from matcalc.dims import ONE, SCALAR, Dim, Shape, dim
from matcalc.errors import DeclarationError, LimitError, ParseError, Span, UnknownNameError
from matcalc.expr import DimMismatch, Expr, make
from matcalc.primitives.algebra import ADD, HADAMARD, POWER, PRODUCT, TRANSPOSE, add, hadamard, power, product, transpose
from matcalc.primitives.base import Same
from matcalc.primitives.elementwise import FUNCTIONS as KNOWN
from matcalc.primitives.functions import Defined, Elementwise, Function, Unknown
from matcalc.primitives.leaves import Index as IndexLeaf
from matcalc.primitives.leaves import Pi, as_expr, const, identity, ones, size, var
from matcalc.primitives.loops import indexed_sum
from matcalc.primitives.matrix import inv, matrix_power
from matcalc.primitives.products import INNER, KRON
from matcalc.primitives.reductions import NORM1, NORM2
from matcalc.primitives.registry import CALLS, Call
from matcalc.primitives.structure import ALL, AT, Slice
from matcalc.syntax import tree
from matcalc.syntax.builder import JUXTAPOSED

Rule: TypeAlias = Callable[[tuple[Shape, ...], Same], Shape]
Build: TypeAlias = Callable[..., Expr]

FUNCTION_ALIASES = {"sigma": "sigmoid"}
FUNCTIONS = frozenset(CALLS) | FUNCTION_ALIASES.keys() | {"norm"}
MAX_DIGITS = 300  # of a number


class Step(NamedTuple):
    """One node to be: ``kind`` says in one word what it does, for the words of an error."""

    kind: str
    node: tree.Node
    args: tuple[int, ...]
    rule: Rule
    build: Build
    name: str = ""  # of the variable, where it is one


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
        self.source = source
        self.steps: list[Step] = []
        self.variables: dict[str, Expr] = {}  # declared
        self.sizes: set[str] = set()  # dimensions
        self.guessed_sizes: set[str] = set()  # of them, those that stand only as the bound of a sum
        self.functions: dict[str, Function] = {}  # declared, defined or unknown
        self.definitions: dict[str, int] = {}
        self.undeclared: dict[str, Undeclared] = {}
        self.used: dict[str, int] = {}  # declared variables: their step
        self.unknown_functions: dict[str, tree.Node] = {}
        self.bound: dict[str, Dim | None] = {}  # the indices of the sums around, with the last value where it is a size
        self.loops: list[tuple[int, int, Dim]] = []  # an entry taken by a bound index: step, axis, the index's last value

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
            if isinstance(item, _Finish):
                count = item.count
                args = tuple(out[len(out) - count :]) if count else ()
                del out[len(out) - count :]
                out.append(item.make(args))
            elif isinstance(item, _Bind):
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
        elif isinstance(node, tree.IndexedSum):
            self.visit_sum(node, stack, bound)
        elif isinstance(node, tree.Call):
            self.visit_call(node, stack)
        else:
            operands, finish = _VISITS[type(node)](self, node)
            self.push(stack, operands, finish)

    def push(self, stack: list[Any], operands: list[tree.Node], finish: Callable[[tuple[int, ...]], int]) -> None:
        stack.append(_Finish(len(operands), finish))
        stack.extend(reversed(operands))

    def leaf(self, kind: str, node: tree.Node, shape: Shape, build: Build) -> int:
        return self.add(Step(kind, node, (), lambda shapes, same: shape, build))

    # -- names and numbers

    def number(self, node: tree.Number) -> int | float:
        if len(node.text) > MAX_DIGITS:
            raise LimitError(f"a number of {len(node.text)} characters, more than {MAX_DIGITS}", span=self.span(node))
        if node.text.isdigit():
            return int(node.text)
        value = float(node.text)
        if value in (float("inf"), 0.0) and any(c in "123456789" for c in node.text.lower().partition("e")[0]):
            raise LimitError("the number is too large or too small for a float", span=self.span(node))
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
        if name in self.functions or (name in FUNCTIONS and len(name) > 1 and name not in FUNCTION_ALIASES):
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
        """Notes that the place of a bare name makes it a number."""
        while isinstance(node, (tree.Group, tree.Negation)):
            node = node.kids[0]
        found = self.undeclared.get(node.text) if isinstance(node, tree.Name) else None
        if found is not None:
            found.scalar = True
            found.integer = found.integer or integer

    # -- sums, products, quotients

    def visit_binary(self, node: tree.Binary) -> tuple[list[tree.Node], Any]:
        if node.operator in ("PLUS", "MINUS"):
            return self.visit_terms(node)
        return self.visit_factors(node)

    def visit_terms(self, root: tree.Node) -> tuple[list[tree.Node], Any]:
        terms: list[tree.Node] = []
        signs: list[int] = []
        node = root
        while isinstance(node, tree.Binary) and node.operator in ("PLUS", "MINUS"):
            terms.append(node.kids[1])
            signs.append(-1 if node.operator == "MINUS" else 1)
            node = node.kids[0]
        terms.append(node)
        signs.append(1)
        terms.reverse()
        signs.reverse()
        # A subtracted product takes the sign as its first factor.
        operands = [tree.Negation(t.start, t.end, (t,)) if s < 0 else t for t, s in zip(terms, signs, strict=True)]

        def finish(args: tuple[int, ...]) -> int:
            return self.add(Step("sum", root, args, ADD.infer, add))

        return operands, finish

    def visit_factors(self, root: tree.Node) -> tuple[list[tree.Node], Any]:
        """A chain of products and quotients, read from left to right; neighbouring operations of a kind are one node."""
        kind = _chain_kind(root)
        if kind == "product":
            factors = _factors(root)
        elif kind == "hadamard":
            factors, node = [], root
            while isinstance(node, tree.Binary) and _chain_kind(node) == "hadamard":
                factors.append(("over" if node.operator == "QUOTIENT" else "times", node.kids[1]))
                node = node.kids[0]
            factors.append(("times", node))
            factors.reverse()
        else:
            factors = [("times", kid) for kid in root.kids]
        rule, build = _RUNS[kind]

        def finish(args: tuple[int, ...]) -> int:
            steps, run = iter(args), []
            for role, node in factors:
                if role == "minus":
                    run.append(self.leaf("number", node, SCALAR, partial(const, -1)))
                else:
                    step = next(steps)
                    run.append(self.reciprocal(node, step, kind) if role == "over" else step)
            return self.add(Step(kind, root, tuple(run), rule, build))

        return [node for role, node in factors if role != "minus"], finish

    def reciprocal(self, node: tree.Node, step: int, kind: str) -> int:
        if kind == "hadamard":
            return self.add(Step("reciprocal", node, (step,), lambda shapes, same: shapes[0], lambda x: power(x, -1)))
        self.force(node)
        return self.add(Step("quotient", node, (step,), _number_rule, lambda x: power(x, -1)))

    # -- powers and transposes

    def visit_transpose(self, node: tree.Transpose) -> tuple[list[tree.Node], Any]:
        operand = node.kids[0]
        inner = operand
        while isinstance(inner, tree.Group):
            inner = inner.kids[0]
        if isinstance(inner, tree.Number) and inner.text == "1" and not node.inverse:  # 1'*x: a row of ones
            number = tree.Name(inner.start, inner.end, "1")
            return [number], lambda args: self.add(Step("transpose", node, args, TRANSPOSE.infer, transpose))

        def finish(args: tuple[int, ...]) -> int:
            if node.inverse:
                args = (self.add(Step("inverse", node, args, _square_rule, inverse)),)
            return self.add(Step("transpose", node, args, TRANSPOSE.infer, transpose))

        return [operand], finish

    def visit_power(self, node: tree.Power) -> tuple[list[tree.Node], Any]:
        base, exponent = node.kids
        if node.elementwise:
            return [base, exponent], lambda args: self.add(Step("elementwise power", node, args, POWER.infer, power))
        literal = self.literal(exponent)

        def finish(args: tuple[int, ...]) -> int:
            self.force(exponent)
            if literal == -1:
                return self.add(Step("inverse", node, args[:1], _square_rule, inverse))
            whole = literal is None or literal.denominator == 1
            rule = _power_rule if whole else _number_power_rule
            return self.add(Step("power", node, args, rule, raised))

        return [base, exponent], finish

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

    # -- entries, norms, inner products

    def visit_index(self, node: tree.Index) -> tuple[list[tree.Node], Any]:
        operand, *positions = node.kids
        wheres: list[Any] = []
        indices: list[tree.Node] = []
        lasts: list[tuple[int, Dim]] = []
        for axis, position in enumerate(positions):
            if isinstance(position, tree.Everything):
                wheres.append(ALL)
            elif isinstance(position, tree.Range):
                low, high = (self.dimension(k) for k in position.kids)
                wheres.append((low, high))
            else:
                literal = self.literal(position)
                if literal is not None and (literal < 1 or literal.denominator != 1):
                    raise ParseError("an index is a whole number, counted from 1", span=self.span(position))
                last = self.bound.get(position.text) if isinstance(position, tree.Name) else None
                if last is not None:
                    lasts.append((axis if len(positions) == 2 else -1, last))
                wheres.append(AT)
                indices.append(position)

        def finish(args: tuple[int, ...]) -> int:
            for position in indices:
                self.force(position, integer=True)
            self.loops += [(args[0], axis, last) for axis, last in lasts]
            return self.add(Step("entry", node, args, partial(_entry_rule, wheres), partial(entry, wheres)))

        return [operand, *indices], finish

    def visit_norm(self, node: tree.Norm) -> tuple[list[tree.Node], Any]:
        operand, *subscript = node.kids
        return self.norm_of(node, operand, subscript[0] if subscript else None)

    def norm_of(self, node: tree.Node, operand: tree.Node, which: tree.Node | None) -> tuple[list[tree.Node], Any]:
        inner = which
        while isinstance(inner, tree.Group):
            inner = inner.kids[0]
        word = getattr(inner, "text", "") if isinstance(inner, (tree.Name, tree.Number, tree.Text)) else ""
        frobenius = word in ("fro", "F", "f") and word not in self.variables and word not in self.definitions
        if inner is None or word == "2" or frobenius:
            return [operand], lambda args: self.add(Step("function", node, args, NORM2.infer, NORM2))
        if word == "1":
            return [operand], lambda args: self.add(Step("function", node, args, NORM1.infer, NORM1))
        if isinstance(inner, (tree.Text, tree.Number)) or word in ("inf", "infty", "nuc"):
            raise ParseError(
                f"the norm `{word}` is not known", span=self.span(inner), hint="there are 1, 2, 'fro' and a matrix of weights"
            )
        return self.weighted(node, operand, inner)

    def weighted(self, node: tree.Node, operand: tree.Node, weight: tree.Node) -> tuple[list[tree.Node], Any]:
        """``(x'*D*x)^(1/2)``."""

        def rule(shapes: tuple[Shape, ...], same: Same) -> Shape:
            (rows, cols), (left, right) = shapes
            same(cols, ONE)
            same(left, rows)
            same(right, rows)
            return SCALAR

        def build(x: Expr, d: Expr) -> Expr:
            return power(product(transpose(x), d, x), Fraction(1, 2))

        return [operand, weight], lambda args: self.add(Step("weighted norm", node, args, rule, build))

    def visit_absolute(self, node: tree.Absolute) -> tuple[list[tree.Node], Any]:
        op = Elementwise(KNOWN["abs"], 0)
        return [node.kids[0]], lambda args: self.add(Step("function", node, args, op.infer, op))

    def visit_inner(self, node: tree.Inner) -> tuple[list[tree.Node], Any]:
        return list(node.kids), lambda args: self.add(Step("inner", node, args, INNER.infer, INNER))

    # -- indexed sums

    def visit_sum(self, node: tree.IndexedSum, stack: list[Any], bound: dict[str, Any]) -> None:
        lower, upper, body = node.kids
        while isinstance(lower, tree.Group):
            lower = lower.kids[0]
        while isinstance(upper, tree.Group):
            upper = upper.kids[0]
        name = node.index.text
        if name in bound:
            raise DeclarationError(f"the index `{name}` is already that of a sum around", span=self.span(node.index))
        last: Dim | None = None
        if isinstance(upper, tree.Name) and isinstance(lower, tree.Number) and lower.text == "1":
            free = upper.text not in self.variables and upper.text not in self.definitions and upper.text not in bound
            if free and upper.text not in self.undeclared:
                if upper.text not in self.sizes:
                    self.sizes.add(upper.text)
                    self.guessed_sizes.add(upper.text)
                last = dim(upper.text)
        elif isinstance(upper, tree.Number) and upper.text.isdigit():
            last = dim(int(upper.text[:9]))

        def bind(names: dict[str, Any]) -> None:
            names[name] = last

        def release(names: dict[str, Any]) -> None:
            del names[name]

        def finish(args: tuple[int, ...]) -> int:
            for place in (lower, upper):
                self.force(place, integer=True)
            index = make(IndexLeaf(name))

            def build(low: Expr, high: Expr, value: Expr) -> Expr:
                return indexed_sum(value, index, low, high)

            return self.add(Step("indexed sum", node, args, _loop_rule, build))

        stack += [_Finish(3, finish), _Bind(release), body, _Bind(bind), upper, lower]

    # -- calls

    def visit_call(self, node: tree.Call, stack: list[Any]) -> None:
        name = node.function.text
        if name in self.functions:
            self.push(stack, *self.elementwise(node, self.functions[name]))
        elif name == "norm":
            self.push(stack, *self.call_norm(node))
        elif name == "norm2" and any(isinstance(k, tree.Weight) for k in node.kids):
            if len(node.kids) != 2:
                raise self.wrong_arguments(node, "norm2(x; D)")
            self.push(stack, *self.weighted(node, node.kids[0], node.kids[1].kids[0]))
        elif FUNCTION_ALIASES.get(name, name) in CALLS:
            call = CALLS[FUNCTION_ALIASES.get(name, name)]
            if call.candidates == (Elementwise,):
                self.push(stack, *self.elementwise(node, KNOWN[call.name]))
            else:
                self.push(stack, *self.call(node, call))
        else:
            self.unknown_functions.setdefault(name, node.function)
            self.functions[name] = Unknown(name)
            self.push(stack, *self.elementwise(node, self.functions[name]))

    def elementwise(self, node: tree.Call, function: Function) -> tuple[list[tree.Node], Any]:
        if len(node.kids) != 1 or isinstance(node.kids[0], (tree.Keyword, tree.Text, tree.Weight)):
            raise self.wrong_arguments(node, f"{node.function.text}(x)")
        op, build = Elementwise(function, node.order), None
        if node.order and function.kind == "known":
            build = partial(_known_derivative, function, node.order)

        def finish(args: tuple[int, ...]) -> int:
            return self.add(Step("function", node, args, op.infer, build or op))

        return list(node.kids), finish

    def call_norm(self, node: tree.Call) -> tuple[list[tree.Node], Any]:
        if not 1 <= len(node.kids) <= 2 or isinstance(node.kids[0], (tree.Keyword, tree.Text, tree.Weight)):
            raise self.wrong_arguments(node, "norm(x), norm(x, 1), norm(A, 'fro') or norm(x; D)")
        which = node.kids[1] if len(node.kids) == 2 else None
        if isinstance(which, tree.Weight):
            return self.weighted(node, node.kids[0], which.kids[0])
        return self.norm_of(node, node.kids[0], which)

    def call(self, node: tree.Call, call: Call) -> tuple[list[tree.Node], Any]:
        """A function of the registry: its arguments, then its options by place or by name."""
        if node.order:
            raise ParseError(
                f"`{call.name}` is not a function of one number, so it has no {call.name}{chr(39) * node.order}",
                span=self.span(node),
                hint="ask for the gradient or the Jacobian instead",
            )
        arguments: list[tree.Node] = []
        given: list[Any] = []
        named: dict[str, Any] = {}
        for kid in node.kids:
            if isinstance(kid, tree.Keyword):
                option = next((o for o in call.options if o.name == kid.name.text), None)
                if option is None:
                    raise self.wrong_arguments(node, signature(call))
                named[option.name] = self.option(option.kind, option.choices, kid.kids[0], node, call)
            elif isinstance(kid, tree.Weight):
                raise self.wrong_arguments(node, signature(call))
            elif isinstance(kid, tree.Text) or (not call.variadic and len(arguments) == len(call.slots)):
                if len(given) == len(call.options):
                    raise self.wrong_arguments(node, signature(call))
                option = call.options[len(given)]
                given.append(self.option(option.kind, option.choices, kid, node, call))
            else:
                arguments.append(kid)
        options = list(given)
        for option in call.options[len(given) :]:
            if option.required and option.name not in named:
                raise self.wrong_arguments(node, signature(call))
            options.append(named.pop(option.name, option.default))
        if named or (len(arguments) != len(call.slots) and not call.variadic) or (call.variadic and not arguments):
            raise self.wrong_arguments(node, signature(call))
        chosen = tuple(options)

        def rule(shapes: tuple[Shape, ...], same: Same) -> Shape:
            return call.select(shapes, chosen).infer(shapes, same)

        def build(*args: Expr) -> Expr:
            if call.name == "eye" and not args:
                return identity(chosen[0])
            return call.select([a.shape for a in args], chosen).construct(args)

        def finish(args: tuple[int, ...]) -> int:
            for slot in call.candidates[0].__dict__.get("integer_slots", ()):
                if isinstance(slot, int) and slot < len(arguments):
                    self.force(arguments[slot], integer=True)
            return self.add(Step("function", node, args, rule, build))

        return arguments, finish

    def option(self, kind: str, choices: tuple[str, ...], node: tree.Node, call: tree.Call, entry: Call) -> Any:
        if kind == "dim":
            return self.dimension(node)
        if kind == "mode":
            if isinstance(node, tree.Text) and node.text in choices:
                return node.text
            wanted = ", ".join(f"'{c}'" for c in choices)
            raise ParseError(f"`{call.function.text}` takes one of {wanted} here", span=self.span(node))
        if isinstance(node, tree.Number) and node.text in ("0", "1"):
            return int(node.text)
        raise ParseError(
            f"the axis of `{call.function.text}` is 0 (down the columns) or 1 (along the rows)",
            span=self.span(node),
            hint=signature(entry),
        )

    def wrong_arguments(self, node: tree.Call, wanted: str) -> ParseError:
        return ParseError(f"`{node.function.text}` is written {wanted}", span=self.span(node))

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


class _Finish(NamedTuple):
    count: int
    make: Callable[[tuple[int, ...]], int]


class _Bind(NamedTuple):
    run: Callable[[dict[str, Any]], None]


def _product_rule(shapes: tuple[Shape, ...], same: Same) -> Shape:
    """As ``product`` builds it: from left to right, a run of factors that has become a number scales what follows."""
    run: list[Shape] = []
    for shape in shapes:
        if run and shape != SCALAR and run[0][0] is ONE and run[-1][1] is ONE:
            PRODUCT.infer(tuple(run), same)
            run = []
        if shape != SCALAR:
            run.append(shape)
    return PRODUCT.infer(tuple(run), same) if run else SCALAR


_CHAINS = {
    "TIMES": "product",
    JUXTAPOSED: "product",
    "SLASH": "product",
    "HADAMARD": "hadamard",
    "QUOTIENT": "hadamard",
    "KRON": "kronecker",
}
_RUNS: dict[str, tuple[Rule, Build]] = {
    "product": (_product_rule, product),
    "hadamard": (HADAMARD.infer, hadamard),
    "kronecker": (KRON.infer, KRON),
}
_DIMENSIONS: dict[str, Callable[[Dim, Dim], Dim]] = {
    "PLUS": lambda a, b: a + b,
    "MINUS": lambda a, b: a - b,
    "TIMES": lambda a, b: a * b,
    JUXTAPOSED: lambda a, b: a * b,
}


def _chain_kind(node: tree.Node) -> str:
    return _CHAINS[node.operator] if isinstance(node, tree.Binary) else "product"


def _opens(node: tree.Node) -> bool:
    """Whether an operand is spliced into the product that it stands in, as nothing brackets it."""
    if isinstance(node, tree.Binary):
        return _CHAINS.get(node.operator) == "product"
    return isinstance(node, (tree.Negation, tree.Fraction))


def _factors(root: tree.Node) -> list[tuple[str, tree.Node]]:
    """The factors of a product, and what each does: "times", "over" (divide) or "minus" (times -1)."""
    out: list[tuple[str, tree.Node]] = []
    stack: list[tuple[str, tree.Node]] = [("open", root)]
    while stack:
        role, node = stack.pop()
        if role != "open" or not _opens(node):
            out.append(("times" if role == "open" else role, node))
        elif isinstance(node, tree.Negation):
            out.append(("minus", node))
            stack.append(("open", node.kids[0]))
        elif isinstance(node, tree.Fraction):
            stack += [("over", node.kids[1]), ("times", node.kids[0])]
        elif isinstance(node, tree.Binary):
            stack += [("over" if node.operator == "SLASH" else "open", node.kids[1]), ("open", node.kids[0])]
    return out


def _number_rule(shapes: tuple[Shape, ...], same: Same) -> Shape:
    same(shapes[0][0], ONE)
    same(shapes[0][1], ONE)
    return SCALAR


def _square_rule(shapes: tuple[Shape, ...], same: Same) -> Shape:
    common = same(*shapes[0])
    return (common, common)


def _power_rule(shapes: tuple[Shape, ...], same: Same) -> Shape:
    _number_rule(shapes[1:], same)
    return _square_rule(shapes, same)


def _number_power_rule(shapes: tuple[Shape, ...], same: Same) -> Shape:
    return _number_rule(shapes, same)


def _loop_rule(shapes: tuple[Shape, ...], same: Same) -> Shape:
    _number_rule(shapes[:1], same)
    _number_rule(shapes[1:], same)
    return shapes[2]


def _places(wheres: list[Any], shape: Shape) -> tuple[Any, Any]:
    if len(wheres) == 2:
        return wheres[0], wheres[1]
    if shape[1] is ONE:
        return wheres[0], ALL
    if shape[0] is ONE:
        return ALL, wheres[0]
    raise DimMismatch(shape[1], ONE)


def _entry_rule(wheres: list[Any], shapes: tuple[Shape, ...], same: Same) -> Shape:
    if shapes[0] == SCALAR:
        raise DimMismatch(*SCALAR)
    return Slice(*_places(wheres, shapes[0])).infer(shapes, same)


def entry(wheres: list[Any], a: Expr, *indices: Expr) -> Expr:
    row, col = _places(wheres, a.shape)
    return a if row == ALL and col == ALL else Slice(row, col).construct((a, *indices))


def inverse(a: Expr) -> Expr:
    return power(a, -1) if a.is_scalar else inv(a)


def raised(base: Expr, exponent: Expr) -> Expr:
    return power(base, exponent) if base.is_scalar else matrix_power(base, exponent)


def _known_derivative(function: Function, order: int, x: Expr) -> Expr:
    """``tanh'(x)`` in closed form; higher ones are left to the calculus of scalar functions."""
    if order == 1:
        return as_expr(function.slope(0, function(x), x))
    t = var("t")
    return make(Elementwise(Defined(function.name, t, function(t)), order), (x,))


def signature(call: Call) -> str:
    """How a function is written: ``sum(A, axis)``."""
    arguments = [f"{s}" for s in call.slots] if not call.variadic else ["A", "B", "..."]
    shown = [o.name if o.required else f"{o.name}={o.default!r}" if o.default is not None else f"{o.name}" for o in call.options]
    return f"{call.name}({', '.join(arguments + shown)})"


_VISITS: dict[type[tree.Node], Callable[[Scope, Any], tuple[list[tree.Node], Any]]] = {
    tree.Binary: Scope.visit_binary,
    tree.Negation: Scope.visit_factors,
    tree.Fraction: Scope.visit_factors,
    tree.Transpose: Scope.visit_transpose,
    tree.Power: Scope.visit_power,
    tree.Index: Scope.visit_index,
    tree.Norm: Scope.visit_norm,
    tree.Absolute: Scope.visit_absolute,
    tree.Inner: Scope.visit_inner,
}

__all__ = ["FUNCTIONS", "FUNCTION_ALIASES", "Build", "Rule", "Scope", "Step", "Undeclared", "signature"]
