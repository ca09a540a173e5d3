"""Steps to nodes, once their shapes are known."""

from __future__ import annotations

from matcalc.dims import SCALAR, Dim
from matcalc.expr import DimMismatch, Expr
from matcalc.facts import INTEGER
from matcalc.primitives.leaves import var
from matcalc.syntax.complain import misfit
from matcalc.syntax.kinds import Solution
from matcalc.syntax.scope import Scope


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
            out.append(var(step.name, (rows, cols), *((INTEGER,) if step.name in whole else ())))
        elif step.kind in ("identity", "ones"):
            out.append(step.build(unifier.resolve(solution.shapes[number][0]).substitute(names)))
        elif step.kind == "size" and step.name in scope.guessed_sizes:
            out.append(var(step.name, SCALAR, INTEGER))
        elif step.kind == "variable" and step.name in whole and scope.variables[step.name].is_scalar:
            out.append(var(step.name, SCALAR, *scope.variables[step.name].op.facts(()), INTEGER))
        else:
            try:
                out.append(step.build(*[out[a] for a in step.args]))
            except (DimMismatch, TypeError) as error:
                raise misfit(scope, number, solution.shapes, unifier, str(error)) from error
    return out


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
