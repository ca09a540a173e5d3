"""The Gauss-Newton matrix of a loss at the output of a net, and its products."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from matcalc.calculus.differential import differential
from matcalc.calculus.gradient import require_scalar
from matcalc.calculus.hessian import Blocks, gauss_newton, loosened
from matcalc.calculus.record import multiplied, record_differential, record_jacobian, record_pullback
from matcalc.calculus.transpose import pullback
from matcalc.derivation import Derivation, Step
from matcalc.expr import Expr, substitute
from matcalc.primitives.algebra import add, transpose
from matcalc.primitives.base import zeros
from matcalc.primitives.leaves import const, var
from matcalc.results.derivative import Functions
from matcalc.results.losses import is_whole, matched_output, semidefinite, stated_text, with_sums_one
from matcalc.results.matrices import Matrix, whole
from matcalc.results.names import fresh
from matcalc.results.products import Product
from matcalc.simplify import simplify

if TYPE_CHECKING:
    from matcalc.checks.report import Report
    from matcalc.results.formula import Formula
    from matcalc.results.operators import Operator


class GaussNewton(Matrix):
    """``G = J'*H_loss*J`` and the rest R of the Hessian, ``H = G + R``.

    ``at``         the name of the output u of the net; ``loss`` is the formula in it, ``net`` what it stands for
    ``gradient``   of the loss by u, at the output of the net; ``curvature`` its Hessian H_loss
    ``jacobians``  of the net by each variable
    ``exprs``      the blocks of G; ``residual`` those of R

    Shapes   size(X) x size(Z)
    """

    kind = "Gauss-Newton matrix"
    law = "G = J'*H_loss*J"
    key = "gauss_newton"
    letter = "G"
    second = True

    def __init__(self, of: Formula, variables: Mapping[str, Expr], loss: Formula, at: str) -> None:
        self.loss, self.at = loss, at
        self.u = loss.variable(at)
        self.net = of.program.definitions[at]
        super().__init__(of, variables)

    def derive(self) -> dict[str, Expr]:
        require_scalar(self.loss.expr)
        names = {x: name for name, x in self.variables.items()}
        found = gauss_newton(self.loss.expr, self.u, self.net, list(names), tidy=simplify)
        self.gradient, self.curvature = found.gradient, found.curvature
        self.slope, self.bend, self.direct, self.mixed = found.slope, found.bend, found.direct, found.mixed
        self.jacobians = {names[x]: j for x, j in found.jacobians.items()}
        self.blocks: Blocks = found.matrix
        self.rest: Blocks = found.residual

        def named(blocks: Blocks) -> dict[str, Expr]:
            return {names[x] if x is z else f"{names[x]},{names[z]}": e for (x, z), e in blocks.items()}

        self.residual = named(self.rest)
        return named(self.blocks)

    @property
    def labelled(self) -> dict[str, Expr]:
        return super().labelled | {self.label(name, "R"): e for name, e in self.residual.items()}

    @property
    def entries(self) -> dict[str, Expr]:
        return self.labelled

    @property
    def matrix(self) -> Expr:
        return whole(self.blocks, list(self.variables.values()))

    @property
    def hessian(self) -> dict[str, Expr]:
        """The blocks of the Hessian, G + R."""
        return {name: simplify(add(g, self.residual[name], shape=g.shape)) for name, g in self.exprs.items()}

    @cached_property
    def convex(self) -> bool:
        """Whether the Hessian of the loss by u, where it exists, is known to be positive semidefinite, as J'*H_loss*J.

        A loss whose gradient does not jump and whose domain has no gaps is then convex in u.
        """
        return semidefinite(self.bend) or semidefinite(self.curvature)

    @cached_property
    def semidefinite(self) -> bool:
        """Whether G is known to be so: where the loss holds the variables themselves, its own part of G must be too."""
        return self.convex and not self.mixed and all(x is z and semidefinite(e) for (x, z), e in self.direct.items())

    @cached_property
    def output(self) -> Expr | None:
        """What the loss matches: a function of u, in which its gradient by u is affine; u itself of a linear output."""
        return matched_output(self.slope, self.bend, self.u)

    def remarks(self) -> list[str]:
        from matcalc.printing.text import text

        out = [f"H = G + R, with the output {self.at} = {text(self.net)} of the net"]
        said = f"the gradient of the loss by {self.at} is {text(self.slope)}"
        if self.output is self.u:
            said += f", affine in {self.at}: the loss matches a linear output"
        elif self.output is not None:
            said += f", affine in {text(self.output)}: the loss matches this output"
        out.append(said)
        loose = with_sums_one(self.slope, self.u)
        if loose:
            slope, bend = (simplify(substitute(e, loose)) for e in (self.slope, self.bend))
            said = f"with {stated_text(loose)} it is {text(slope)}"
            convex = not self.convex and semidefinite(bend) and is_whole(self.loss.expr, slope, self.u)
            out.append(said + (f", and the loss is convex in {self.at}" if convex else ""))
        known = f"the loss is convex in {self.at}"
        if not is_whole(self.loss.expr, self.slope, self.u):
            known = "H_loss is positive semidefinite where it exists"
        elif not semidefinite(self.bend):
            known = "H_loss is positive semidefinite at the output of the net"
        if self.semidefinite:
            out.append(f"{known}, and so G is positive semidefinite")
        elif self.convex:
            own = "; ".join(text(e) for (x, z), e in self.direct.items() if x is not z or not semidefinite(e))
            joint = f"{self.at} and the variables" if self.mixed else f"the variables themselves, {own},"
            out.append(f"{known}; G is positive semidefinite where the second derivative of the loss by {joint} is")
        return super().remarks() + out

    def record(self) -> Derivation:
        """The derivation: gradient and Hessian of the loss by u, Jacobian of the net, their product."""
        record, slope, curve, net = (Derivation() for _ in range(4))
        names, u = self.of.program.names, self.at
        found = record_pullback(self.loss.form, const(1), {self.u: f"d_{u}"}, slope, simplify, names)
        known = {**slope.names, **names, found[self.u]: f"d_{u}"}
        record_jacobian(found[self.u], {self.u: f"H_{u}"}, curve, simplify, known)
        record_jacobian(self.net, {x: f"J_{name}" for name, x in self.variables.items()}, net, simplify, names)
        record.parts = [
            ("Gradient of the loss", slope),
            ("Hessian of the loss", curve),
            (f"Jacobian of {u}", net),
        ]
        record.names = net.names | {e: f"H_{u}" for e in [self.curvature] if e.args}
        variables = list(self.variables.values())
        jacobians = dict(zip(variables, self.jacobians.values(), strict=True))
        for (x, z), name in zip(self.blocks, self.exprs, strict=True):
            raw = multiplied(transpose(jacobians[x]), self.curvature, jacobians[z])
            g, rest = self.blocks[x, z], self.rest[x, z]
            own = simplify(raw) is not g
            rule = "with what the loss has itself" if own else "Gauss-Newton matrix"
            record.results.append(Step(rule, g, g if own else raw, x, label=self.label(name)))
            rule = "gradient of the loss times the Hessians of the net"
            record.results.append(Step(rule, rest, rest, x, label=self.label(name, "R")))
        return record

    def operator(self, *, functions: Functions | None = None) -> Operator:
        """The Gauss-Newton matrix as a function that gives a SciPy LinearOperator, which never forms the matrix."""
        from matcalc.results.operators import gauss_newton_operator

        return gauss_newton_operator(self, self.loss, self.at, functions)

    def check(self, *, seed: int = 0) -> Report:
        """G as the curvature along J*d, G + R as the Hessian, and definiteness where it is claimed."""
        from matcalc.checks.gauss_newton import check_gauss_newton, curvature_on_numbers, noted

        report = check_gauss_newton(
            self.loss.expr, self.u, self.net, self.blocks, residual=self.rest, convex=self.semidefinite, seed=seed
        )
        return report if self.convex else noted(report, curvature_on_numbers(self.bend, self.at, seed))


class GaussNewtonProduct(Product):
    """``G*v = J'*(H_loss*(J*v))``, by each variable; neither J nor G is formed.

    Shapes   those of the variables
    Source   Schraudolph 2002 sec. 4
    """

    kind = "product with the Gauss-Newton matrix"
    letter = "Gv"
    second = True
    about = "J'*H_loss*J times the direction"

    def __init__(
        self, of: Formula, variables: Mapping[str, Expr], loss: Formula, at: str, direction: str | None = None
    ) -> None:
        self.loss, self.at = loss, at
        self.u = loss.variable(at)
        self.net = of.program.definitions[at]
        super().__init__(of, variables, direction)

    @property
    def function(self) -> str:
        return "gnvp"

    def derive(self) -> dict[str, Expr]:
        require_scalar(self.loss.expr)
        along = simplify(differential(self.net, self.moves))
        wanted = set(self.variables.values())
        loose = loosened([self.u, *wanted])
        moves = {loose.get(x, x): v for x, v in {self.u: along, **self.moves}.items()}
        slopes = pullback(substitute(self.loss.expr, loose), const(1), set(moves), tidy=simplify)
        there = {**{new: x for x, new in loose.items()}, loose.get(self.u, self.u): self.net}

        def curved(x: Expr) -> Expr:
            """The differential of the slope of the loss by u or x, at the output of the net."""
            slope = slopes.get(loose.get(x, x))
            if slope is None:
                return zeros(x.shape)
            # The direction of u depends on the variables, so it is put in after u itself.
            return simplify(substitute(differential(simplify(slope), moves), there))

        back = pullback(self.net, curved(self.u), wanted, tidy=simplify)
        return {
            name: simplify(add(back.get(x) or zeros(x.shape), curved(x), shape=x.shape))
            for name, x in self.variables.items()
        }

    def record(self) -> Derivation:
        record, along, slope, curved, back = (Derivation() for _ in range(5))
        names, u = self.of.program.names, self.at
        first, second = (fresh(self.u.shape, self.of.taken, None, [name]) for name in ("Jv", "HJv"))
        jv = record_differential(self.net, self.moves, along, simplify, names, first)
        found = record_pullback(self.loss.form, const(1), {self.u: f"d_{u}"}, slope, simplify, names)
        known = {**slope.names, **names, found[self.u]: f"d_{u}"}
        moved = var(first, jv.shape)
        hv = record_differential(found[self.u], {self.u: moved}, curved, simplify, known, second)
        cotangent = var(second, hv.shape)
        labels = {x: self.label(name) for name, x in self.variables.items()}
        record_pullback(self.net, cotangent, labels, back, simplify, {**along.names, **names})
        record.parts = [
            (f"Differential of {u}", along),
            ("Gradient of the loss", slope),
            (f"Differential of d_{u} along {first}", curved),
            (f"Transposed Jacobian of {u} times {second}", back),
        ]
        record.names = along.names
        record.results = [
            Step("substituted", e, e, x, label=self.label(name))
            for (name, x), e in zip(self.variables.items(), self.exprs.values(), strict=True)
        ]
        return record

    def check(self, *, seed: int = 0) -> Report:
        """The product against second differences of the loss along J*d."""
        from matcalc.checks.gauss_newton import check_gauss_newton_product

        products = {x: self.exprs[name] for name, x in self.variables.items()}
        return check_gauss_newton_product(self.loss.expr, self.u, self.net, products, self.moves, seed=seed)


__all__ = ["GaussNewton", "GaussNewtonProduct"]
