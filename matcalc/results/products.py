"""Products with Jacobians and Hessians, as expressions in a direction; the matrix is never formed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from matcalc.calculus.differential import differential, differentials
from matcalc.calculus.gradient import require_scalar
from matcalc.calculus.hessian import loosened
from matcalc.calculus.record import record_differential, record_pullback
from matcalc.calculus.transpose import pullback
from matcalc.derivation import Derivation, Step
from matcalc.errors import ArgumentError
from matcalc.expr import Expr, substitute
from matcalc.facts import DIAGONAL, SYMMETRIC, facts
from matcalc.primitives.base import zeros
from matcalc.primitives.leaves import const, differential_of, var
from matcalc.results.derivative import Derivative, Functions
from matcalc.results.names import directions, fresh
from matcalc.simplify import simplify, simplify_all

if TYPE_CHECKING:
    from matcalc.checks.report import Report
    from matcalc.lowering import Compiled
    from matcalc.lowering.planned import Request
    from matcalc.lowering.staged import Later
    from matcalc.results.formula import Formula


class Product(Derivative):
    """A product of a derivative with a direction ``v``, which is a variable of the result.

    ``moves``  the direction of each variable
    """

    key = "products"
    about: ClassVar[str] = "The differential of the function"  # what it is of

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

    def conventions(self) -> list[str]:
        moved = [f"d{name} = {self.moves[x].op.name}" for name, x in self.variables.items()]
        return [f"{self.about}, where {' and '.join(moved)}."]

    def linearise(
        self,
        *,
        value: bool = False,
        gradient: bool = False,
        functions: Functions | None = None,
        library: str = "numpy",
    ) -> Compiled:
        """A NumPy callable in two stages: of the variables, it gives the function of the direction.

        What depends on the variables alone is computed once, for any number of directions::

            product = f.hvp("w").linearise()(X=X, y=y, w=w)
            product(v)

        ``value``, ``gradient``     these come first, as a tuple with the function, from the same forward part
        ``functions``, ``library``  as for :meth:`compile`

        The function holds the arrays of the first stage, which must stay as they are.

        Shapes   the function takes directions of the shapes of the variables (of a vjp that of the expression), in the
                 order of ``directions``
        Raises   as :meth:`compile`; the function ArgumentError when a direction does not fit
        """
        from matcalc.emission import compiled

        self.of.require_known(functions)
        return compiled(library, self.request_in_stages(value=value, gradient=gradient), functions)

    def source(
        self,
        *,
        value: bool = False,
        gradient: bool = False,
        batch: str | Sequence[str] = (),
        format: str | None = None,
        linearised: bool = False,
    ) -> str:
        """As of any derivative; ``linearised`` for that of :meth:`linearise`."""
        if not linearised:
            return super().source(value=value, gradient=gradient, batch=batch, format=format)
        if batch:
            raise ArgumentError("a function in two stages is for one item at a time", hint="leave out the batch")
        from matcalc.emission import source

        return source(format, self.request_in_stages(value=value, gradient=gradient), self.conventions())

    def later(self, name: str = "product") -> Later:
        """The function of the direction."""
        from matcalc.lowering.staged import Later

        return Later(name, f"the {self.kind}", tuple(self.directions), self.outputs())

    def request_in_stages(self, *, value: bool = False, gradient: bool = False) -> Request:
        """What the callable of :meth:`linearise` is asked for."""
        first = self.before(value, gradient)
        arguments = self.of.arguments([*first.values(), *self.outputs().values()], self.directions)
        return self._requested(first, arguments, title=f"{self.title}, in two stages", later=[self.later()])


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

    def conventions(self) -> list[str]:
        return [f"Linear in {', '.join(v.op.name for v in self.directions)}."]

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

    def conventions(self) -> list[str]:
        u = self.cotangent.op.name
        return [f"<Ju, dX> = <{u}, dF>; the product has the shape of its variable."]

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
    second = True
    about = "The differential of the gradient"

    @property
    def function(self) -> str:
        return "hvp"

    def derive(self) -> dict[str, Expr]:
        require_scalar(self.of.expr)
        loose = loosened(list(self.variables.values()))
        back = {new: x for x, new in loose.items()}
        moves = {loose.get(x, x): v for x, v in self.moves.items()}
        slopes = pullback(substitute(self.of.form, loose), const(1), set(moves), tidy=simplify)

        reached = {name: loose.get(x, x) for name, x in self.variables.items() if loose.get(x, x) in slopes}
        curved = differentials(simplify_all([slopes[x] for x in reached.values()]), moves)
        found = simplify_all([substitute(e, back) for e in curved] if back else curved)
        products = dict(zip(reached, found, strict=True))
        return {name: products.get(name) or zeros(x.shape) for name, x in self.variables.items()}

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
