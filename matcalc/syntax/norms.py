"""What stands between bars and angle brackets: norms, absolute values, inner products."""

from __future__ import annotations

from fractions import Fraction

from matcalc.dims import ONE, SCALAR, Shape
from matcalc.errors import AmbiguityError, ParseError
from matcalc.expr import Expr
from matcalc.primitives.algebra import power, product, transpose
from matcalc.primitives.base import Same
from matcalc.primitives.elementwise import FUNCTIONS as KNOWN
from matcalc.primitives.functions import Elementwise
from matcalc.primitives.products import INNER
from matcalc.primitives.reductions import NORM1, NORM2
from matcalc.syntax import tree
from matcalc.syntax.scope import Reading, Scope, Step, reads
from matcalc.syntax.words import shortened


@reads(tree.Norm)
def norms(scope: Scope, node: tree.Norm) -> Reading:
    operand, *subscript = node.kids
    return norm_of(scope, node, operand, subscript[0] if subscript else None)


def norm_of(scope: Scope, node: tree.Node, operand: tree.Node, which: tree.Node | None) -> Reading:
    inner = which
    while isinstance(inner, tree.Group):
        inner = inner.kids[0]
    word = getattr(inner, "text", "") if isinstance(inner, (tree.Name, tree.Number, tree.Text)) else ""
    frobenius = word in ("fro", "F", "f") and word not in scope.variables and word not in scope.definitions
    if inner is None or word == "2" or frobenius:
        return [operand], lambda args: scope.add(Step("function", node, args, NORM2.infer, NORM2))
    if word == "1":
        return [operand], lambda args: scope.add(Step("function", node, args, NORM1.infer, NORM1))
    if isinstance(inner, (tree.Text, tree.Number)) or word in ("inf", "infty", "nuc"):
        raise ParseError(
            f"the norm `{word}` is not known",
            span=scope.span(inner),
            hint="there are 1, 2, 'fro' and a matrix of weights",
        )
    return weighted(scope, node, operand, inner)


def weighted(scope: Scope, node: tree.Node, operand: tree.Node, weight: tree.Node) -> Reading:
    """``(x'*D*x)^(1/2)``."""

    def rule(shapes: tuple[Shape, ...], same: Same) -> Shape:
        (rows, cols), (left, right) = shapes
        same(cols, ONE)
        same(left, rows)
        same(right, rows)
        return SCALAR

    def build(x: Expr, d: Expr) -> Expr:
        return power(product(transpose(x), d, x), Fraction(1, 2))

    return [operand, weight], lambda args: scope.add(Step("weighted norm", node, args, rule, build))


@reads(tree.Absolute)
def absolute(scope: Scope, node: tree.Absolute) -> Reading:
    op = Elementwise(KNOWN["abs"], 0)

    def build(x: Expr) -> Expr:
        if x.rows is x.cols and not x.is_scalar:
            inner = shortened(scope.source[node.kids[0].start : node.kids[0].end])
            raise AmbiguityError(
                f"|{inner}| of a square matrix has two readings",
                span=scope.span(node),
                detail=f"det({inner}), or abs({inner}) entry by entry",
                hint="write the one that is meant",
            )
        return op(x)

    return [node.kids[0]], lambda args: scope.add(Step("function", node, args, op.infer, build))


@reads(tree.Inner)
def inner(scope: Scope, node: tree.Inner) -> Reading:
    return list(node.kids), lambda args: scope.add(Step("inner", node, args, INNER.infer, INNER))
