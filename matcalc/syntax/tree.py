"""The syntax tree: what was written, with its place in the text (``start``, ``end``; end exclusive)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class Node:
    """A piece of syntax; ``kids`` are the expressions in it, in the order of the text."""

    __slots__ = ("end", "kids", "start")

    def __init__(self, start: int, end: int, kids: tuple[Node, ...] = ()) -> None:
        self.start, self.end, self.kids = start, end, kids


class Number(Node):
    """``2``, ``0.5``, ``1e-3``."""

    __slots__ = ("text",)

    def __init__(self, start: int, end: int, text: str) -> None:
        super().__init__(start, end)
        self.text = text


class Name(Node):
    """A name in its keyboard spelling: ``W1``, ``lambda``, ``x_ij``."""

    __slots__ = ("text",)

    def __init__(self, start: int, end: int, text: str) -> None:
        super().__init__(start, end)
        self.text = text


class Text(Node):
    """A word in quotes: ``'fro'``."""

    __slots__ = ("text",)

    def __init__(self, start: int, end: int, text: str) -> None:
        super().__init__(start, end)
        self.text = text


class Group(Node):
    """An expression in brackets; they keep a product within a product apart."""

    __slots__ = ()


class Negation(Node):
    __slots__ = ()


class Binary(Node):
    """Two operands; ``operator`` is the terminal's name, JUXTAPOSED where nothing stands between."""

    __slots__ = ("operator",)

    def __init__(self, start: int, end: int, operator: str, left: Node, right: Node) -> None:
        super().__init__(start, end, (left, right))
        self.operator = operator


class Power(Node):
    """``A^k``, and ``x.^k`` where ``elementwise``."""

    __slots__ = ("elementwise",)

    def __init__(self, start: int, end: int, base: Node, exponent: Node, elementwise: bool) -> None:
        super().__init__(start, end, (base, exponent))
        self.elementwise = elementwise


class Transpose(Node):
    """``A'``, and ``A^-T`` where ``inverse``."""

    __slots__ = ("inverse",)

    def __init__(self, start: int, end: int, operand: Node, inverse: bool) -> None:
        super().__init__(start, end, (operand,))
        self.inverse = inverse


class Index(Node):
    """``A[i, :]``: the operand and a position for each index."""

    __slots__ = ()


class Member(Index):
    """``x_i``, ``A_ij``: a name and the indices that are its subscript."""

    __slots__ = ()


class Reach(Node):
    """The upper bound that a sum leaves out: the size that its index runs through, under a name for the unknown."""

    __slots__ = ("name",)

    def __init__(self, start: int, end: int) -> None:
        super().__init__(start, end)
        self.name = ""


class Everything(Node):
    """``:`` as an index."""

    __slots__ = ()


class Range(Node):
    """``1:3`` as an index."""

    __slots__ = ()


class Call(Node):
    """A function applied; ``order`` counts the primes, ``bracketed`` is false for ``\\log x``."""

    __slots__ = ("bracketed", "function", "order")

    def __init__(
        self, start: int, end: int, function: Name, order: int, arguments: tuple[Node, ...], bracketed: bool = True
    ) -> None:
        super().__init__(start, end, arguments)
        self.function, self.order, self.bracketed = function, order, bracketed


class Derived(Node):
    """The derivative of a map applied, ``jac(f, 2)(x, y)``; ``words`` are its operators, innermost first, with the
    numbers of arguments that they name: ``(("jac", (2,)),)``."""

    __slots__ = ("function", "words")

    def __init__(
        self,
        start: int,
        end: int,
        function: Name,
        words: tuple[tuple[str, tuple[int, ...]], ...],
        arguments: tuple[Node, ...],
    ) -> None:
        super().__init__(start, end, arguments)
        self.function, self.words = function, words


class Keyword(Node):
    """``axis=1`` among the arguments."""

    __slots__ = ("name",)

    def __init__(self, start: int, end: int, name: Name, value: Node) -> None:
        super().__init__(start, end, (value,))
        self.name = name


class Weight(Node):
    """The argument after ``;``: ``norm2(x; D)``."""

    __slots__ = ()


class Bounds(Node):
    """``i=1:m``, the first argument of an indexed sum in brackets."""

    __slots__ = ("index",)

    def __init__(self, start: int, end: int, index: Name, lower: Node, upper: Node) -> None:
        super().__init__(start, end, (lower, upper))
        self.index = index


class IndexedSum(Node):
    """``Σ_{i=1}^{m} f``: lower bound, upper bound, summand."""

    __slots__ = ("index",)

    def __init__(self, start: int, end: int, index: Name, lower: Node, upper: Node, body: Node) -> None:
        super().__init__(start, end, (lower, upper, body))
        self.index = index


class Inner(Node):
    __slots__ = ()


class Norm(Node):
    """``‖x‖``, with a subscript as the second of its kids where there is one."""

    __slots__ = ()


class Absolute(Node):
    __slots__ = ()


class Fraction(Node):
    """``\\frac{f}{2}``."""

    __slots__ = ()


class Statement:
    """A statement of a program or a part of a ``where``."""

    __slots__ = ("end", "start")

    def __init__(self, start: int, end: int) -> None:
        self.start, self.end = start, end


class Value(Statement):
    """The expression that a program ends with."""

    __slots__ = ("expression",)

    def __init__(self, expression: Node) -> None:
        super().__init__(expression.start, expression.end)
        self.expression = expression


class Assignment(Statement):
    """``z = W*x``; with ``parameters``, ``phi(t) = t/(1 + exp(-t))`` or ``net(W, x) = tanh(W*x)``."""

    __slots__ = ("expression", "name", "parameters")

    def __init__(self, name: Name, expression: Node, parameters: Sequence[Name] = ()) -> None:
        super().__init__(name.start, expression.end)
        self.name, self.expression, self.parameters = name, expression, tuple(parameters)


class Equation(Statement):
    """``sum(y) = 1``, among declarations."""

    __slots__ = ("left", "right")

    def __init__(self, left: Node, right: Node) -> None:
        super().__init__(left.start, right.end)
        self.left, self.right = left, right


class Declaration(Statement):
    """``W, V in R^{m x n} symmetric``; ``sizes`` are none for a scalar, one for a vector, two for a matrix."""

    __slots__ = ("attributes", "names", "sizes")

    def __init__(self, end: int, names: list[Name], sizes: tuple[Node, ...], attributes: list[Name]) -> None:
        super().__init__(names[0].start, end)
        self.names, self.sizes, self.attributes = names, sizes, attributes


class Family(Statement):
    """``x_i in R^n for i=1:m``: a declaration, the word, and the index with its bounds."""

    __slots__ = ("bounds", "declaration", "word")

    def __init__(self, declaration: Declaration, word: Name, bounds: Bounds) -> None:
        super().__init__(declaration.start, bounds.end)
        self.declaration, self.word, self.bounds = declaration, word, bounds


class Kind(Statement):
    """``phi, psi: elementwise``."""

    __slots__ = ("kind", "names")

    def __init__(self, names: list[Name], kind: Name) -> None:
        super().__init__(names[0].start, kind.end)
        self.names, self.kind = names, kind


class Mapping(Statement):
    """``f, g: R^n, R^p -> R^m``: the sizes of each domain and of the range, as those of a declaration."""

    __slots__ = ("domains", "names", "range")

    def __init__(self, end: int, names: list[Name], domains: list[tuple[Node, ...]], range: tuple[Node, ...]) -> None:
        super().__init__(names[0].start, end)
        self.names, self.domains, self.range = names, domains, range


class Sentences:
    """Statements in order, and those that follow ``where``."""

    __slots__ = ("parts", "statements")

    def __init__(self, statements: list[Statement], parts: list[Statement]) -> None:
        self.statements, self.parts = statements, parts


def walk(roots: Iterable[Node]) -> list[Node]:
    """All nodes under ``roots``, operands before what is made of them."""
    out: list[Node] = []
    stack = list(roots)
    while stack:
        node = stack.pop()
        out.append(node)
        stack.extend(node.kids)
    out.reverse()
    return out
