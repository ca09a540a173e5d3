"""Builds the syntax tree: a method for each alias of the grammar, given the children in order."""

from __future__ import annotations

from typing import Any, NamedTuple, NoReturn

from matcalc.errors import AmbiguityError, ParseError, Span
from matcalc.syntax.spelling import superscript
from matcalc.syntax.tree import (
    Absolute,
    Assignment,
    Binary,
    Bounds,
    Call,
    Declaration,
    Derived,
    Equation,
    Everything,
    Family,
    Fraction,
    Group,
    Index,
    IndexedSum,
    Inner,
    Keyword,
    Kind,
    Mapping,
    Member,
    Name,
    Negation,
    Node,
    Norm,
    Number,
    Power,
    Range,
    Reach,
    Sentences,
    Statement,
    Text,
    Transpose,
    Value,
    Weight,
)
from matcalc.syntax.words import Token, shortened

JUXTAPOSED = "JUXTAPOSED"


def _name(token: Token) -> Name:
    return Name(token.start, token.end, token.text)


class Operand(NamedTuple):
    """What a derivative of a map is taken of: the map, the operators on it, the numbers of arguments that follow."""

    function: Name
    words: tuple[tuple[str, tuple[int, ...]], ...]
    places: tuple[int, ...]
    first: int | None = None  # where it begins


class Builder:
    """The methods carry the names of the aliases in ``grammar/matcalc.lark``."""

    def __init__(self, source: str) -> None:
        self.source = source

    def span(self, start: int, end: int) -> Span:
        return Span(self.source, start, end)

    def piece(self, node: Node) -> str:
        return " ".join(self.source[node.start : node.end].split())

    # -- programs and declarations

    def program(self, statements: list[Statement]) -> Sentences:
        return Sentences(statements, [])

    def program_with_parts(self, statements: list[Statement], where: Token, parts: list[Statement]) -> Sentences:
        return Sentences(statements, parts)

    def declarations(self, parts: list[Statement]) -> Sentences:
        return Sentences([], parts)

    def statements(self, first: Statement) -> list[Statement]:
        return [first]

    def more(self, before: list[Any], separator: Token, item: Any) -> list[Any]:
        before += item if isinstance(item, list) else [_name(item) if isinstance(item, Token) else item]
        return before

    def value(self, expression: Node) -> Value:
        return Value(expression)

    def assignment(self, name: Token, equals: Token, expression: Node) -> Assignment:
        return Assignment(_name(name), expression)

    def equation(self, left: Node, equals: Token, right: Node) -> Assignment | Equation:
        """Of declarations: ``f = x'*x`` names a quantity, ``sum(y) = 1`` says something of one."""
        return Assignment(left, right) if isinstance(left, Name) else Equation(left, right)

    def definition(
        self, name: Token, opener: Token, parameters: list[Name], closer: Token, equals: Token, expression: Node
    ) -> Assignment:
        return Assignment(_name(name), expression, parameters)

    def names(self, name: Token) -> list[Name]:
        return [_name(name)]

    def also(self, names: list[Name], name: Token) -> list[Name]:
        return [*names, _name(name)]

    def shape(self, *parts: Any) -> tuple[int, tuple[Node, ...]]:
        """The end of the shape, and its dimensions."""
        last = parts[-1]
        return last.end, tuple([p for p in parts if isinstance(p, Node)])

    def declaration(
        self, names: list[Name], among: Token, shape: tuple[int, tuple[Node, ...]], attributes: list[Name] | None = None
    ) -> Declaration:
        end, sizes = shape
        return Declaration(attributes[-1].end if attributes else end, names, sizes, attributes or [])

    def family(
        self,
        names: list[Name],
        among: Token,
        shape: tuple[int, tuple[Node, ...]],
        attributes: list[Name],
        *bounds: Any,
    ) -> Family:
        index, equals, lower, colon, upper = bounds
        *attributes, word = attributes
        declaration = self.declaration(names, among, shape, attributes)
        return Family(declaration, word, self.bounds(index, equals, lower, colon, upper))

    def kind(self, names: list[Name], colon: Token, kind: Token) -> Kind:
        return Kind(names, _name(kind))

    def domain(self, shape: tuple[int, tuple[Node, ...]]) -> list[Any]:
        return [shape]

    def mapping(
        self,
        names: list[Name],
        colon: Token,
        domains: list[tuple[int, tuple[Node, ...]]],
        arrow: Token,
        range: tuple[int, tuple[Node, ...]],
    ) -> Mapping:
        end, sizes = range
        return Mapping(end, names, [domain for _, domain in domains], sizes)

    # -- operators

    def binary(self, left: Node, operator: Token, right: Node) -> Node:
        if operator.type == "SLASH" and isinstance(right, Binary) and right.operator == JUXTAPOSED:
            return self.quotient(left, operator, right)
        return Binary(left.start, right.end, operator.type, left, right)

    def quotient(self, left: Node, slash: Token, right: Binary) -> Node:
        """``a/b c``: with two numbers, a fraction in front of the factors; otherwise it has two readings."""
        spine: list[Binary] = [right]
        while isinstance(spine[-1].kids[0], Binary) and spine[-1].kids[0].operator == JUXTAPOSED:
            spine.append(spine[-1].kids[0])
        first, number = spine[-1].kids[0], left
        if isinstance(number, Binary) and number.operator != "SLASH":
            number = number.kids[1]
        while isinstance(number, Negation):
            number = number.kids[0]
        if not isinstance(first, Number) or not isinstance(number, Number):
            top, below = self.piece(left), self.piece(first)
            rest = " ".join(self.source[first.end : right.end].split())
            whole = shortened(f"{top}/{below} {rest}")
            top, below, rest = (shortened(part) for part in (top, below, rest))
            raise AmbiguityError(
                f"`{whole}` has two readings",
                span=self.span(left.start, right.end),
                detail=f"({top}/{below})*{rest}, or {top}/({below}*{rest})",
                hint="write the one that is meant, with brackets or *",
            )
        node: Node = Binary(left.start, first.end, "SLASH", left, first)
        for factor in reversed(spine):
            node = Binary(left.start, factor.end, JUXTAPOSED, node, factor.kids[1])
        return node

    def juxtaposition(self, left: Node, right: Node) -> Binary:
        before = left.kids[1] if isinstance(left, Binary) and left.operator == JUXTAPOSED else left
        if isinstance(before, Call) and not before.bracketed:
            inner, name, after = self.piece(before.kids[0]), before.function.text, self.piece(right)
            whole = shortened(f"{name} {inner} {after}")
            inner, after = shortened(inner), shortened(after)
            raise AmbiguityError(
                f"`{whole}` has two readings",
                span=self.span(before.start, right.end),
                detail=f"{name}({inner})*{after}, or {name}({inner}*{after})",
                hint=f"put the argument of {name} in brackets",
            )
        return Binary(left.start, right.end, JUXTAPOSED, left, right)

    def negation(self, minus: Token, operand: Node) -> Negation:
        return Negation(minus.start, operand.end, (operand,))

    def transpose(self, operand: Node, token: Token) -> Transpose:
        return Transpose(operand.start, token.end, operand, False)

    def inverse_transpose(self, operand: Node, token: Token) -> Transpose:
        return Transpose(operand.start, token.end, operand, True)

    def power(self, base: Node, caret: Token, exponent: Node) -> Power:
        self.refuse_tower(base, exponent)
        written = self.source[exponent.start : exponent.end]
        inner = written.strip("{} ")
        if written[:1] == "{" and inner[:1] == "(" and inner[1:-1].strip().isalnum():  # W^{(2)}
            name, label = shortened(self.piece(base)), inner[1:-1].strip()
            raise AmbiguityError(
                f"`{name}^{{({label})}}` has two readings",
                span=self.span(base.start, exponent.end),
                detail=f"the power {name}^{label}, or a name with the index ({label})",
                hint=f"write {name}^{label}, or {name}_{label}",
            )
        return Power(base.start, exponent.end, base, exponent, False)

    def elementwise_power(self, base: Node, caret: Token, *rest: Any) -> Power:
        exponent = next(part for part in rest if isinstance(part, Node))
        self.refuse_tower(base, exponent)
        return Power(base.start, rest[-1].end, base, exponent, True)

    def refuse_tower(self, base: Node, exponent: Node) -> None:
        if isinstance(base, Power):
            a, b, c = (shortened(self.piece(node)) for node in (*base.kids, exponent))
            raise AmbiguityError(
                f"`{shortened(self.source[base.start : exponent.end])}` has two readings",
                span=self.span(base.start, exponent.end),
                detail=f"({a}^{b})^{c}, or {a}^({b}^{c})",
                hint="write the one that is meant, with brackets",
            )

    def index(self, operand: Node, opener: Token, positions: list[Node], closer: Token) -> Index:
        if len(positions) > 2:
            raise ParseError(
                f"{len(positions)} indices, where a matrix has two",
                span=self.span(operand.start, closer.end),
                hint="write A[i, j], A[i, :] or x[i]",
            )
        return Index(operand.start, closer.end, (operand, *positions))

    def indices(self, position: Node) -> list[Node]:
        return [position]

    def subscript(self, operand: Node, under: Token, *rest: Any) -> Node:
        """``(c)_i``, ``(A)_{ij}``: an entry."""
        positions = [part for part in rest if isinstance(part, Node)]
        if len(positions) == 1:
            inner = positions[0]
            while isinstance(inner, Group):
                inner = inner.kids[0]
            if isinstance(operand, (Name, Number)) and operand.text == "1":  # 1_n, the vector of ones
                return Call(operand.start, rest[-1].end, Name(operand.start, operand.end, "ones"), 0, (inner,))
            if isinstance(operand, Power) and isinstance(operand.kids[0], Norm) and len(operand.kids[0].kids) == 1:
                norm, exponent = operand.kids  # the index after the power, as in \\|x\\|^2_2
                norm = Norm(norm.start, norm.end, (*norm.kids, positions[0]))
                return Power(operand.start, rest[-1].end, norm, exponent, operand.elementwise)
            positions = list(inner.kids) if isinstance(inner, Binary) and inner.operator == JUXTAPOSED else [inner]
        if isinstance(operand, Name):
            return Member(operand.start, rest[-1].end, (operand, *positions))
        return self.index(operand, under, positions, rest[-1])

    def everything(self, colon: Token) -> Everything:
        return Everything(colon.start, colon.end)

    def range(self, lower: Node, colon: Token, upper: Node) -> Range:
        return Range(lower.start, upper.end, (lower, upper))

    # -- atoms

    def number(self, token: Token) -> Number:
        return Number(token.start, token.end, token.text)

    def name(self, token: Token) -> Name:
        return _name(token)

    def text(self, token: Token) -> Text:
        return Text(token.start, token.end, token.text.strip("\"'"))

    def group(self, opener: Token, inner: Node, closer: Token) -> Group:
        return Group(opener.start, closer.end, (inner,))

    def call(self, function: Token, opener: Token, *rest: Any) -> Node:
        return self.called(function, 0, rest)

    def derivative(self, function: Token, primes: Token, opener: Token, *rest: Any) -> Node:
        return self.called(function, len(primes.text), rest)

    # -- derivatives of maps: an operand is the name of the map, and what was done to it, innermost first

    def map(self, name: Token) -> Operand:
        return Operand(_name(name), (), ())

    def operand(self, inner: Operand) -> Operand:
        return inner

    def place(self, operand: Operand, comma: Token, number: Token) -> Operand:
        if not number.text.isdigit() or number.text == "0" or len(number.text) > 6:
            raise ParseError(
                "an argument of a map is named by its number, counted from 1",
                span=self.span(number.start, number.end),
                hint="write jac(f, 1)(x, y) for the derivative by x",
            )
        return operand._replace(places=(*operand.places, int(number.text)))

    def derived(self, word: Token, opener: Token, operand: Operand, closer: Token) -> Operand:
        return Operand(operand.function, (*operand.words, (word.text, operand.places)), (), word.start)

    def derived_map(self, operator: Operand, opener: Token, arguments: list[Node], closer: Token) -> Derived:
        assert operator.first is not None
        return Derived(operator.first, closer.end, operator.function, operator.words, tuple(arguments))

    def del_of_map(self, sign: Token, function: Token, opener: Token, arguments: list[Node], closer: Token) -> Derived:
        """``∇l(u)``, ``∇²l(u)``, ``∂₁f(x, y)``."""
        plain = superscript(sign.text.replace("²", "^2")).translate({ord(c): None for c in " {}_"})
        twice = "^2" in plain
        number = "".join([c for c in plain.replace("^2", "") if c.isdigit()])
        word = "hess" if twice else "grad" if plain.startswith(("∇", "\\nabla")) else "jac"
        places = (int(number),) if number else ()
        return Derived(sign.start, closer.end, _name(function), ((word, places),), tuple(arguments))

    def called(self, function: Token, order: int, rest: tuple[Any, ...]) -> Node:
        arguments: list[Node] = rest[0] if len(rest) == 2 else []
        end = rest[-1].end
        if arguments and isinstance(arguments[0], Bounds):
            bounds = arguments[0]
            no_summand = len(arguments) != 2 or isinstance(arguments[1], (Keyword, Text, Weight, Bounds))
            if function.text != "sum" or no_summand:
                self.refuse_bounds(function, end)
            lower, upper = bounds.kids
            return IndexedSum(function.start, end, bounds.index, lower, upper, arguments[1])
        if any(isinstance(a, Bounds) for a in arguments):
            self.refuse_bounds(function, end)
        return Call(function.start, end, _name(function), order, tuple(arguments))

    def refuse_bounds(self, function: Token, end: int) -> NoReturn:
        raise ParseError(
            "bounds of an index belong at the front of a sum",
            span=self.span(function.start, end),
            hint="write sum(i=1:m, f)",
        )

    def application(self, function: Token, operand: Node) -> Call:
        return Call(function.start, operand.end, _name(function), 0, (operand,), bracketed=False)

    def arguments(self, argument: Node) -> list[Node]:
        return [argument]

    def more_arguments(self, before: list[Node], separator: Token, argument: Node) -> list[Node]:
        if separator.type == "SEMICOLON":
            argument = Weight(argument.start, argument.end, (argument,))
        before.append(argument)
        return before

    def keyword(self, name: Token, equals: Token, value: Node) -> Keyword:
        return Keyword(name.start, value.end, _name(name), value)

    def keyword_text(self, name: Token, equals: Token, value: Token) -> Keyword:
        return Keyword(name.start, value.end, _name(name), self.text(value))

    def bounds(self, name: Token, equals: Token, lower: Node, colon: Token, upper: Node) -> Bounds:
        return Bounds(name.start, upper.end, _name(name), lower, upper)

    def indexed_sum(self, sigma: Token, *rest: Any) -> IndexedSum:
        _, _, index, _, lower, _, _, upper, body = rest
        return IndexedSum(sigma.start, body.end, _name(index), lower, upper, body)

    def ranged_sum(
        self, sigma: Token, under: Token, opener: Token, indices: list[Name], closer: Token, body: Node
    ) -> Node:
        """``Σ_i f``, ``Σ_{i,j} f``: every index runs through the size that it stands for."""
        for index in reversed(indices):
            first, reach = Number(index.start, index.end, "1"), Reach(index.start, index.end)
            body = IndexedSum(sigma.start, body.end, index, first, reach, body)
        return body

    def inner(self, opener: Token, left: Node, comma: Token, right: Node, closer: Token) -> Inner:
        return Inner(opener.start, closer.end, (left, right))

    def norm(self, opener: Token, operand: Node, closer: Token, under: Token | None = None, *subscript: Node) -> Norm:
        end = subscript[0].end if subscript else closer.end
        return Norm(opener.start, end, (operand, *subscript))

    def absolute(self, opener: Token, operand: Node, closer: Token) -> Absolute:
        return Absolute(opener.start, closer.end, (operand,))

    def fraction(self, frac: Token, *rest: Any) -> Fraction:
        above, below = (part for part in rest if isinstance(part, Node))
        return Fraction(frac.start, rest[-1].end, (above, below))
