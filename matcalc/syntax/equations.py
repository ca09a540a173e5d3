"""Equations among declarations: that the columns, or the rows, of a variable sum to one.

``sum(y) = 1``, ``1'*y = 1``, ``ones(n)'*y = 1``, ``sum(Y, 0) = ones(m)'``, ``Y*ones(m) = ones(k)``: both sides are read
as expressions and simplified, and a sum of columns or rows on one of them must stand beside ones on the other.
"""

from __future__ import annotations

from typing import NoReturn

from matcalc.dims import ONE
from matcalc.errors import DeclarationError, MatcalcError
from matcalc.expr import Expr
from matcalc.facts import COLUMNS, ROWS
from matcalc.primitives.algebra import ADD, TRANSPOSE, add
from matcalc.primitives.leaves import Ones, number_of, var
from matcalc.primitives.reductions import Sum
from matcalc.syntax import tree
from matcalc.syntax.build import build_all
from matcalc.syntax.families import survey
from matcalc.syntax.kinds import Conflict, solve
from matcalc.syntax.scope import FUNCTIONS, Scope, Step


def state(scope: Scope, part: tree.Equation) -> None:
    """Enters what an equation says of a variable."""
    try:
        left, right = sides(scope, part)
    except (MatcalcError, Conflict):
        refuse(scope, part)
    found = said(left, right) or said(right, left)
    if found is None:
        refuse(scope, part)
    x, fact = found
    if fact == "all":
        raise DeclarationError(
            f"the entries of {x.op.name}, a matrix, are said to sum to one all together",
            span=scope.span(part),
            hint=f"of its columns one by one that is sum({x.op.name}, 0) = 1, of its rows sum({x.op.name}, 1) = 1",
        )
    name = x.op.name
    if name in scope.definitions:
        refuse(scope, part)
    scope.sums.setdefault(name, []).append((fact, scope.span(part)))


def sides(scope: Scope, part: tree.Equation) -> tuple[Expr, Expr]:
    """Both sides, simplified, with nothing known of the sums.

    Raises   MatcalcError, Conflict
    """
    from matcalc.simplify import simplify

    inner = Scope(scope.source)
    inner.sizes, inner.guessed_sizes = set(scope.sizes), set(scope.guessed_sizes)
    inner.columns = scope.columns
    for name, x in scope.variables.items():
        inner.variables[name] = var(name, x.shape)
    survey(inner, scope.source, [part.left, part.right], [])
    left, right = inner.expression(part.left), inner.expression(part.right)
    both = inner.add(Step("sum", part.left, (left, right), ADD.infer, add))
    nodes = build_all(inner, solve(inner, both, False), {})
    return simplify(nodes[left]), simplify(nodes[right])


def said(left: Expr, right: Expr) -> tuple[Expr, str] | None:
    """The variable and the fact that ``left = right`` states; "all" of all entries of a matrix."""
    e = left.args[0] if left.op is TRANSPOSE else left
    ones = right.args[0] if right.op is TRANSPOSE else right
    if not isinstance(e.op, Sum) or not e.args[0].op.is_variable:
        return None
    if number_of(ones) != 1 and not (isinstance(ones.op, Ones) and right.shape == left.shape):
        return None
    x = e.args[0]
    if x.is_scalar:
        return None
    if e.op.axis is None:
        return x, COLUMNS if x.cols is ONE else ROWS if x.rows is ONE else "all"
    return x, COLUMNS if e.op.axis == 0 else ROWS


def refuse(scope: Scope, part: tree.Equation) -> NoReturn:
    text = " ".join(scope.source[part.start : part.end].split())[:60]
    name = part.left.function.text if isinstance(part.left, tree.Call) else ""
    if name in FUNCTIONS and name != "sum" and len(name) > 1:
        raise DeclarationError(
            f"`{name}` is a function of the language",
            span=scope.span(part.left),
            hint=f"take another name, for example {name}_1",
        )
    raise DeclarationError(
        f"`{text}` is no equation that is made use of",
        span=scope.span(part),
        hint="an equation says that entries sum to one: sum(y) = 1 of a vector, sum(Y, 0) = 1 of the columns of a "
        "matrix; a quantity is named by z = ...",
    )


__all__ = ["state"]
