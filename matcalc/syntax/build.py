"""Steps to nodes, once their shapes are known."""

from __future__ import annotations

from matcalc.dims import ONE, SCALAR, Dim, Shape, dim, shape_text
from matcalc.errors import DeclarationError
from matcalc.expr import DimMismatch, Expr
from matcalc.facts import COLUMNS, INTEGER, OF_MEMBERS, ROWS, closure
from matcalc.primitives.leaves import size, var
from matcalc.syntax.complain import misfit
from matcalc.syntax.kinds import Solution
from matcalc.syntax.scope import Scope, Step


def build_all(scope: Scope, solution: Solution, names: dict[str, Dim]) -> list[Expr]:
    """The node of each step; ``names`` are those of the dimensions that stayed unknown.

    Raises   ShapeError
    """
    unifier = solution.unifier
    out: list[Expr] = []
    whole = integers(scope, solution)
    for number, step in enumerate(scope.steps):
        if step.kind == "variable" and step.name in scope.undeclared:
            rows, cols = (unifier.resolve(d).substitute(names) for d in solution.shapes[number])
            family = scope.undeclared[step.name].family
            name, facts = step.name, [INTEGER] if step.name in whole else []
            if family is not None:
                name = name_of_family(scope, name, (rows, cols))
                facts += family.declared.op.facts(()) & OF_MEMBERS if family.declared is not None else []
            out.append(with_sums(scope, step, var(name, (rows, cols), *facts)))
        elif step.kind == "reach":
            out.append(size(reached(scope, step, unifier.resolve(dim(step.name)).substitute(names))))
        elif step.kind in ("identity", "ones"):
            out.append(step.build(unifier.resolve(solution.shapes[number][0]).substitute(names)))
        elif step.kind == "size" and step.name in scope.guessed_sizes:
            out.append(var(step.name, SCALAR, INTEGER))
        elif step.kind == "variable" and step.name in whole and scope.variables[step.name].is_scalar:
            out.append(var(step.name, SCALAR, *scope.variables[step.name].op.facts(()), INTEGER))
        else:
            try:
                node = step.build(*[out[a] for a in step.args])
                out.append(with_sums(scope, step, node) if step.kind == "variable" else node)
            except (DimMismatch, TypeError) as error:
                raise misfit(scope, number, solution.shapes, unifier, str(error)) from error
    return out


def with_sums(scope: Scope, step: Step, x: Expr) -> Expr:
    """The variable with what equations say of the sums of its columns and rows."""
    said = scope.sums.get(step.name)
    if said is None:
        return x
    sums = {fact for fact, _ in said}
    place = next(place for _, place in said)
    if x.is_scalar or (COLUMNS in sums and x.is_row) or (ROWS in sums and x.is_column):
        raise DeclarationError(
            f"the entries of {step.name} are said to sum to one, and it is in {shape_text(x.shape)}",
            span=place,
            hint=f"declare a vector or a matrix: {step.name} in R^n",
        )
    declared = x.op.declared  # type: ignore[attr-defined]  # of a variable
    return var(x.op.name, x.shape, *declared, *(sums - closure(declared)))


def name_of_family(scope: Scope, name: str, shape: Shape) -> str:
    """The name of the variable whose members are ``x_i``: x, or X where they are its columns."""
    capital = name[0].upper() + name[1:]
    taken = (scope.variables, scope.definitions, scope.undeclared, scope.functions, scope.sizes)
    return name if shape[1] is ONE or any(capital in names for names in taken) else capital


def reached(scope: Scope, step: Step, last: Dim) -> Dim:
    """The size that an index without bounds runs through."""
    if any(name[0] == "?" for name in last.names):
        text = scope.source[step.node.start : step.node.end]
        raise DeclarationError(
            f"nothing tells how far the index {text} runs",
            span=scope.span(step.node),
            hint=f"write the bounds, sum({text}=1:m, f), or use it as an index: x_{text}",
        )
    return last


def integers(scope: Scope, solution: Solution) -> set[str]:
    """The names that are whole numbers by their place: indices, bounds, exponents of matrices."""
    found = {name for name, u in scope.undeclared.items() if u.integer} | scope.whole
    for step in scope.steps:
        if step.kind == "power" and solution.shapes[step.args[0]] != solution.shapes[step.args[1]]:
            exponent = [step.args[1]]  # and so are the names that it is a sum or product of
            while exponent:
                part = scope.steps[exponent.pop()]
                if part.name:
                    found.add(part.name)
                elif part.kind in ("sum", "product"):
                    exponent += part.args
    return found
