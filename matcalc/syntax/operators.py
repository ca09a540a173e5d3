"""Operators: chains gathered as the graph wants them.

``A*B*x`` is one product of three, ``a - b`` adds ``-1*b``, ``a/b`` multiplies by ``b^-1``; brackets keep their part
together.
"""

from __future__ import annotations

from functools import partial

from matcalc.dims import ONE, SCALAR, Shape
from matcalc.errors import ParseError
from matcalc.expr import Expr
from matcalc.primitives.algebra import (
    ADD,
    HADAMARD,
    POWER,
    PRODUCT,
    TRANSPOSE,
    add,
    hadamard,
    power,
    product,
    transpose,
)
from matcalc.primitives.base import Same
from matcalc.primitives.leaves import const
from matcalc.primitives.matrix import inv, matrix_power
from matcalc.primitives.products import KRON
from matcalc.syntax import tree
from matcalc.syntax.builder import JUXTAPOSED
from matcalc.syntax.dimensions import literal_of
from matcalc.syntax.kinds import SCALAR_KIND, VECTOR, bare_names, default_kind
from matcalc.syntax.scope import Build, Reading, Rule, Scope, Step, number_rule, reads, square_rule


@reads(tree.Binary)
def binary(scope: Scope, node: tree.Binary) -> Reading:
    if node.operator in ("PLUS", "MINUS"):
        return terms(scope, node)
    return factors(scope, node)


def terms(scope: Scope, root: tree.Node) -> Reading:
    parts: list[tree.Node] = []
    signs: list[int] = []
    node = root
    while isinstance(node, tree.Binary) and node.operator in ("PLUS", "MINUS"):
        parts.append(node.kids[1])
        signs.append(-1 if node.operator == "MINUS" else 1)
        node = node.kids[0]
    parts.append(node)
    signs.append(1)
    parts.reverse()
    signs.reverse()
    # A subtracted product takes the sign as its first factor.
    operands = [tree.Negation(t.start, t.end, (t,)) if s < 0 else t for t, s in zip(parts, signs, strict=True)]

    def finish(args: tuple[int, ...]) -> int:
        return scope.add(Step("sum", root, args, ADD.infer, add))

    return operands, finish


@reads(tree.Negation, tree.Fraction)
def factors(scope: Scope, root: tree.Node) -> Reading:
    """A chain of products and quotients, read from left to right; neighbouring operations of a kind are one node."""
    kind = _chain_kind(root)
    if kind == "product":
        chain = _factors(root)
    elif kind == "hadamard":
        chain, node = list[tuple[str, tree.Node]](), root
        while isinstance(node, tree.Binary) and _chain_kind(node) == "hadamard":
            chain.append(("over" if node.operator == "QUOTIENT" else "times", node.kids[1]))
            node = node.kids[0]
        chain.append(("times", node))
        chain.reverse()
    else:
        chain = [("times", kid) for kid in root.kids]
    rule, build = _RUNS[kind]

    def finish(args: tuple[int, ...]) -> int:
        steps, run = iter(args), []
        for role, node in chain:
            if role == "minus":
                run.append(scope.leaf("number", node, SCALAR, partial(const, -1)))
            else:
                step = next(steps)
                run.append(reciprocal(scope, node, step, kind) if role == "over" else step)
        places = tuple([node for _, node in chain])
        divisors = frozenset([i for i, (role, _) in enumerate(chain) if role == "over"])
        built = partial(quotient, divisors) if divisors and kind == "product" else build
        return scope.add(Step(kind, root, tuple(run), rule, built, places=places))

    return [node for role, node in chain if role != "minus"], finish


def quotient(divisors: frozenset[int], *factors: Expr) -> Expr:
    """The product of factors of which some are reciprocals; ``a/(b*c)`` has three factors, as has ``a/b/c``."""
    spliced: list[Expr] = []
    for i, factor in enumerate(factors):
        spliced += factor.args if i in divisors and factor.op is PRODUCT else (factor,)
    return product(*spliced)


def reciprocal(scope: Scope, node: tree.Node, step: int, kind: str) -> int:
    if literal_of(scope, node) == 0:
        raise ParseError("division by zero", span=scope.span(node), hint="write another divisor")
    if kind == "hadamard":
        return scope.add(Step("reciprocal", node, (step,), lambda shapes, same: shapes[0], lambda x: power(x, -1)))
    scope.force(node)
    return scope.add(Step("quotient", node, (step,), number_rule, lambda x: power(x, -1)))


# -- powers and transposes


@reads(tree.Transpose)
def transposed(scope: Scope, node: tree.Transpose) -> Reading:
    operand = node.kids[0]
    inner = operand
    while isinstance(inner, tree.Group):
        inner = inner.kids[0]
    if isinstance(inner, tree.Number) and inner.text == "1" and not node.inverse:  # 1'*x: a row of ones
        number = tree.Name(inner.start, inner.end, "1")
        return [number], lambda args: scope.add(Step("transpose", node, args, TRANSPOSE.infer, transpose))

    def finish(args: tuple[int, ...]) -> int:
        for name in _turned(scope, args[0]):
            scope.undeclared[name].turned = True
        if node.inverse:
            args = (scope.add(Step("inverse", node, args, square_rule, inverse)),)
        return scope.add(Step("transpose", node, args, TRANSPOSE.infer, transpose))

    return [operand], finish


def _turned(scope: Scope, at: int) -> set[str]:
    """The names of which a transpose says that they are no numbers: mu', and (x - mu)' as x is a vector."""
    step = scope.steps[at]
    names = bare_names(scope, at)
    if step.kind != "sum":
        return names if step.name in names else set()
    plain = all(bare_names(scope, a) for a in step.args)
    return names if plain and {default_kind(name) for name in names} == {VECTOR, SCALAR_KIND} else set()


@reads(tree.Power)
def powers(scope: Scope, node: tree.Power) -> Reading:
    base, exponent = node.kids
    if node.elementwise:
        return [base, exponent], lambda args: scope.add(Step("elementwise power", node, args, POWER.infer, power))
    literal = literal_of(scope, exponent)
    known = scope.variables.keys() | scope.definitions.keys() | scope.sizes
    if isinstance(exponent, tree.Name) and exponent.text == "H" and "H" not in known:
        raise ParseError(
            "conjugation is not in the language, all quantities are real",
            span=scope.span(node),
            hint="the transpose is A' or A^T; if H is a number of yours, declare it",
        )
    if (
        isinstance(base, tree.Name)
        and base.text == "e"
        and not ({"e"} & (scope.variables.keys() | scope.definitions.keys()))
    ):
        inner = exponent.kids[0] if isinstance(exponent, tree.Group) else exponent
        raise ParseError(
            "`e` is not the base of the exponential here",
            span=scope.span(node),
            hint=f"write exp({scope.source[inner.start : inner.end]}), or declare e if it is a quantity of yours",
        )

    def finish(args: tuple[int, ...]) -> int:
        scope.force(exponent)
        if literal == -1:
            return scope.add(Step("inverse", node, args[:1], square_rule, inverse))
        whole = literal is None or literal.denominator == 1
        rule = _power_rule if whole else _number_power_rule
        return scope.add(Step("power", node, args, rule, raised))

    return [base, exponent], finish


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
            stack += [("over", node.kids[1]), ("open", node.kids[0])]
        elif isinstance(node, tree.Binary):
            stack += [("over" if node.operator == "SLASH" else "open", node.kids[1]), ("open", node.kids[0])]
    return out


def _power_rule(shapes: tuple[Shape, ...], same: Same) -> Shape:
    number_rule(shapes[1:], same)
    return square_rule(shapes, same)


def _number_power_rule(shapes: tuple[Shape, ...], same: Same) -> Shape:
    return number_rule(shapes, same)


def inverse(a: Expr) -> Expr:
    return power(a, -1) if a.is_scalar else inv(a)


def raised(base: Expr, exponent: Expr) -> Expr:
    return power(base, exponent) if base.is_scalar else matrix_power(base, exponent)
