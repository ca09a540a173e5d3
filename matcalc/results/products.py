"""Products with Jacobians and Hessians, as expressions in a direction; the matrix is never formed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from matcalc.calculus.differential import differential
from matcalc.calculus.gradient import require_scalar
from matcalc.calculus.hessian import loosened
from matcalc.calculus.record import record_differential, record_pullback
from matcalc.calculus.transpose import pullback
from matcalc.derivation import Derivation, Step
from matcalc.expr import Expr, substitute
from matcalc.facts import DIAGONAL, SYMMETRIC, facts
from matcalc.primitives.base import zeros
from matcalc.primitives.leaves import const, differential_of, var
from matcalc.results.derivative import Derivative
from matcalc.results.names import directions, fresh
from matcalc.simplify import simplify

if TYPE_CHECKING:
    from matcalc.checks.report import Report
    from matcalc.results.formula import Formula


class Product(Derivative):
    """A product of a derivative with a direction ``v``, which is a variable of the result.

    ``moves``  the direction of each variable
    """

    key = "products"

    def __init__(self, of: Formula, variables: Mapping[str, Expr], direction: str | None = None) -> None:
        self._moves = self.draw(of, variables, direction)
        super().__init__(of, variables)

    def draw(self, of: Formula, variables: Mapping[str, Expr], asked: str | None) -> dict[Expr, Expr]:
        return directions(variables, of.taken, asked)

    @property
    def moves(self) -> dict[Expr, Expr]:
        return self._moves

    @property
    def directions(self) -> list[Expr]:
        return list(self.moves.values())

    @property
    def entries(self) -> dict[str, Expr]:
        return self.labelled


class JacobianProduct(Product):
    """``J*v``: the differential of the expression with v for dX (JacMV). Of several variables the sum.

    Shapes   that of the expression
    """

    kind = "product with the Jacobian"
    letter = "Jv"

    def derive(self) -> dict[str, Expr]:
        return {"": simplify(differential(self.of.form, self.moves))}

    @property
    def function(self) -> str:
        return "jvp"

    def record(self) -> Derivation:
        record = Derivation()
        record_differential(self.of.form, self.moves, record, simplify, self.of.program.names, self.label(""))
        return record

    def check(self, *, seed: int = 0) -> Report:
        """The Jacobian test, and the transpose test against J'*u."""
        from matcalc.checks.jacobians import check_products

        u = var(fresh(self.of.shape, {*self.of.taken, *(v.op.name for v in self.directions)}, None, "u"), self.of.shape)
        back = pullback(self.of.form, u, set(self.variables.values()), tidy=simplify)
        vjp = {x: simplify(back.get(x) or zeros(x.shape)) for x in self.variables.values()}
        return check_products(self.of.expr, self.expr, self.moves, vjp, u, seed=seed)


class Differential(JacobianProduct):
    """The differential of an expression, linear in the differentials dX of the variables."""

    kind = "differential"
    key = "differentials"
    letter = "df"

    def draw(self, of: Formula, variables: Mapping[str, Expr], asked: str | None) -> dict[Expr, Expr]:
        found: dict[Expr, Expr] = {}
        taken = {*of.taken}
        for name, x in variables.items():
            moved = fresh(x.shape, taken, None, [f"d{name}", f"d_{name}", f"delta_{name}"])
            taken.add(moved)
            found[x] = var(moved, x.shape, *(() if x.is_scalar else facts(x) & {SYMMETRIC, DIAGONAL}))
        return found

    @property
    def function(self) -> str:
        return "differential"

    @property
    def left(self) -> Expr | None:
        return differential_of(self.of.expr)

    def record(self) -> Derivation:
        record = Derivation()
        moves = {x: differential_of(x) for x in self.variables.values()}
        record_differential(self.of.form, moves, record, simplify, self.of.program.names, "")
        return record


class TransposedProduct(Product):
    """``J'*u`` for a cotangent u of the shape of the expression (JacTMV), by each variable.

    Shapes   those of the variables
    """

    kind = "product with the transposed Jacobian"
    letter = "Ju"

    def draw(self, of: Formula, variables: Mapping[str, Expr], asked: str | None) -> dict[Expr, Expr]:
        self.cotangent = var(fresh(of.shape, of.taken, asked, "uvwpqh"), of.shape)
        return {}

    @property
    def directions(self) -> list[Expr]:
        return [self.cotangent]

    @property
    def function(self) -> str:
        return "vjp"

    def derive(self) -> dict[str, Expr]:
        found = pullback(self.of.form, self.cotangent, set(self.variables.values()), tidy=simplify)
        return {name: simplify(found.get(x) or zeros(x.shape)) for name, x in self.variables.items()}

    def record(self) -> Derivation:
        record = Derivation()
        labels = {x: self.label(name) for name, x in self.variables.items()}
        record_pullback(self.of.form, self.cotangent, labels, record, simplify, self.of.program.names)
        return record

    def check(self, *, seed: int = 0) -> Report:
        """The transpose test against J*v, and the Jacobian test of that."""
        from matcalc.checks.jacobians import check_products

        moves = directions(self.variables, {*self.of.taken, self.cotangent.op.name}, None)
        jvp = simplify(differential(self.of.form, moves))
        vjp = {x: self.exprs[name] for name, x in self.variables.items()}
        return check_products(self.of.expr, jvp, moves, vjp, self.cotangent, seed=seed)


class HessianProduct(Product):
    """``H*v``: the differential of the gradient with v for dX. Of several variables the sum over them, for each.

    Shapes   those of the variables
    """

    kind = "product with the Hessian"
    letter = "Hv"

    @property
    def function(self) -> str:
        return "hvp"

    def derive(self) -> dict[str, Expr]:
        require_scalar(self.of.expr)
        loose = loosened(list(self.variables.values()))
        back = {new: x for x, new in loose.items()}
        moves = {loose.get(x, x): v for x, v in self.moves.items()}
        slopes = pullback(substitute(self.of.form, loose), const(1), set(moves), tidy=simplify)

        def curved(x: Expr) -> Expr:
            slope = slopes.get(loose.get(x, x))
            return zeros(x.shape) if slope is None else simplify(substitute(differential(simplify(slope), moves), back))

        return {name: curved(x) for name, x in self.variables.items()}

    def record(self) -> Derivation:
        record, first = Derivation(), Derivation()
        names = self.of.program.names
        labels = {x: f"d_{name}" for name, x in self.variables.items()}
        slopes = record_pullback(self.of.form, const(1), labels, first, simplify, names)
        record.parts.append(("Gradient", first))
        names = {**first.names, **names, **{slopes[x]: label for x, label in labels.items()}}
        for name, x in self.variables.items():
            second = Derivation()
            record_differential(slopes[x], self.moves, second, simplify, names, self.label(name))
            record.parts.append((f"Differential of d_{name}", second))
            record.results.append(
                Step("differential of the gradient", self.exprs[name], self.exprs[name], x, label=self.label(name))
            )
        return record

    def check(self, *, seed: int = 0) -> Report:
        """The product against second differences, and the symmetry of H."""
        from matcalc.checks.hessians import check_hessian_product

        products = {x: self.exprs[name] for name, x in self.variables.items()}
        return check_hessian_product(self.of.expr, products, self.moves, seed=seed)


__all__ = ["Differential", "HessianProduct", "JacobianProduct", "Product", "TransposedProduct"]
