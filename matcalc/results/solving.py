"""Systems with a Jacobian, a Hessian or a Gauss-Newton matrix, and Newton steps, in closed form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from matcalc.calculus.gradient import gradient
from matcalc.calculus.hessian import Blocks
from matcalc.derivation import Derivation, Step
from matcalc.dims import ONE, SCALAR, shape_text
from matcalc.errors import ArgumentError
from matcalc.expr import Expr, postorder
from matcalc.facts import INVERTIBLE, has
from matcalc.primitives.algebra import add, product, transpose
from matcalc.primitives.leaves import const, identity, var
from matcalc.primitives.matrix import Inv, inv
from matcalc.primitives.structure import VCat, reshape, sliced, vec
from matcalc.results.matrices import Jacobian, Matrix, whole
from matcalc.results.names import directions, fresh
from matcalc.results.products import Product
from matcalc.simplify import simplify
from matcalc.simplify.solving import SingularError, Width, constant, solved

if TYPE_CHECKING:
    from matcalc.checks.report import Report
    from matcalc.results.formula import Formula

_LETTERS = "bcrqpvu"


class SingularMatrixError(ArgumentError):
    """A matrix has no inverse at any point."""


class Solve(Product):
    """``H^-1*b``, for each variable in its shape: by the structure of H where it has one, so that H is not formed.

    Of a Jacobian ``J^-1*b`` with b of the shape of the expression. With a shift ``(H + shift*I)^-1*b``.

    ``matrix``  the Jacobian, Hessian or Gauss-Newton matrix
    ``formed``  whether H, or what is left of it after elimination, is inverted as a whole

    Shapes   those of the variables
    Raises   ArgumentError when H is not square or singular
    """

    kind = "solution of a system"
    key = "solutions"
    letter = "s"

    def __init__(
        self,
        matrix: Matrix,
        right: str | None = None,
        shift: str | None = None,
        *,
        width: Width = constant,
        transposed: bool = False,
    ) -> None:
        self.matrix, self.width, self.transposed = matrix, width, transposed
        self.formed = False
        self._inverted: list[Expr] = []  # systems of one variable that were solved with the inverse of the whole
        self.shift = None if shift is None else var(fresh(SCALAR, matrix.of.taken, shift), SCALAR)
        super().__init__(matrix.of, matrix.variables, right)

    def draw(self, of: Formula, variables: Mapping[str, Expr], asked: str | None) -> dict[Expr, Expr]:
        if isinstance(self.matrix, Jacobian):
            rows, cols = self.matrix.matrix.shape
            if rows is not cols or len(variables) > 1:
                said = f"the Jacobian in {shape_text((rows, cols))} is not square: it has no inverse"
                raise ArgumentError(said, hint="where its sizes are the same, declare them so, as A in R^{n x n}")
            ends = [next(iter(variables.values())), of.expr]
            self._into, self._from = ends[:: -1 if self.matrix.turned is not self.transposed else 1]
            taken = {*of.taken, *(v.op.name for v in self.further)}
            name = fresh(self._from.shape, taken, asked, _LETTERS)
            return {self._into: var(name, self._from.shape)}
        taken = {*of.taken, *(v.op.name for v in self.further)}
        return directions(variables, taken, asked, _LETTERS)

    @property
    def function(self) -> str:
        return "solve"

    @property
    def title(self) -> str:
        return f"Solution of a system with the {self.matrix.title}"

    def conventions(self) -> list[str]:
        b = ", ".join(v.op.name for v in self.right.values())
        return [self.matrix.conventions()[0], f"{self._equation(b)}."]

    def _equation(self, b: str) -> str:
        """What the solution solves."""
        matrix = self.matrix.symbol + "'" * self.transposed
        matrix = matrix if self.shift is None else f"({matrix} + {self.shift.op.name}*I)"
        variables = list(self.right)
        if len(variables) > 1:
            return f"{matrix}*s = {f'({b})' if ',' in b else b}, the vecs for all variables one below the other"
        (x,) = variables
        return f"{matrix}*s = {b}" if x.is_column or x.is_scalar else f"{matrix}*vec(s) = vec({b})"

    @property
    def right(self) -> dict[Expr, Expr]:
        """The right-hand sides, for each variable."""
        return self.moves

    @property
    def system(self) -> Blocks:
        """The blocks of H by pairs of variables, those above the diagonal."""
        if isinstance(self.matrix, Jacobian):
            h = self.matrix.matrix
            blocks = {(self._into, self._into): simplify(transpose(h)) if self.transposed else h}
        else:
            blocks = self.matrix.blocks  # type: ignore[attr-defined]  # of Hessians and Gauss-Newton matrices
        if self.shift is None:
            return blocks
        return {
            (x, z): simplify(add(h, product(self.shift, identity(h.rows)), shape=h.shape)) if x is z else h
            for (x, z), h in blocks.items()
        }

    @property
    def further(self) -> list[Expr]:
        """The variables of the matrix besides those of the formula."""
        return [v for v in (self.matrix.weights, self.shift) if v is not None]

    def derive(self) -> dict[str, Expr]:
        found = self.solved_for({x: vec(b) for x, b in self.right.items()})
        names = list(self.variables)
        return {name: simplify(reshape(y, x.shape)) for name, (x, y) in zip(names, found.items(), strict=True)}

    def solved_for(self, right: Mapping[Expr, Expr]) -> dict[Expr, Expr]:
        """The vec of the solution for each variable, as for those of a right-hand side."""
        try:
            found = self._solved(self.system, right)
        except SingularError:
            raise SingularMatrixError(f"the {self.matrix.kind} is singular at every point: it has no inverse") from None
        return {x: found[x] for x in right}

    def _solved(self, blocks: Blocks, right: Mapping[Expr, Expr]) -> dict[Expr, Expr]:
        """The solution by eliminating one variable after the other whose own block has a structure."""
        variables = list(right)
        for x in sorted(variables, key=lambda x: x.is_scalar):
            others = [z for z in variables if z is not x]
            linked = [z for z in others if not _block(blocks, x, z).is_zero]
            y = self._alone(blocks[x, x], right[x], bool(linked))
            if linked and (y is None or any(not self._is_small(z, x) for z in linked)):
                continue
            if y is None:
                y = self._whole({(x, x): blocks[x, x]}, {x: right[x]})[x]
            along: dict[Expr, Expr] = {}
            for z in linked:
                t = solved(blocks[x, x], _block(blocks, x, z), self.width)
                if t is None:
                    break
                along[z] = t
            if len(along) < len(linked):
                continue
            rest = {
                (z, other): _less(_block(blocks, z, other), [product(_block(blocks, z, x), along[other])])
                if z in along and other in along
                else _block(blocks, z, other)
                for i, z in enumerate(others)
                for other in others[i:]
            }
            sides = {z: _less(right[z], [product(_block(blocks, z, x), y)]) if z in along else right[z] for z in others}
            found = self._solved(rest, sides) if others else {}
            found[x] = _less(y, [product(t, found[z]) for z, t in along.items()])
            return found
        return self._whole(blocks, right)

    def _alone(self, h: Expr, b: Expr, linked: bool) -> Expr | None:
        """The solution with the block of one variable; a singular one says nothing of a matrix with further blocks."""
        try:
            return solved(h, b, self.width)
        except SingularError:
            if linked:
                return None
            raise

    def _is_small(self, x: Expr, beside: Expr) -> bool:
        return x.is_scalar or self.width(x.rows * x.cols, beside.rows * beside.cols) is not None

    def _whole(self, blocks: Blocks, right: Mapping[Expr, Expr]) -> dict[Expr, Expr]:
        """With the inverse of the whole matrix."""
        variables = list(right)
        self.formed = self.formed or not all(any(self._is_small(x, z) for z in self.right) for x in variables)
        h = simplify(whole(blocks, variables))
        if h.is_zero:
            raise SingularError
        if len(variables) == 1:
            self._inverted.append(h)
            return {variables[0]: simplify(product(inv(h), right[variables[0]]))}
        both = product(inv(h), VCat()(*[right[x] for x in variables]))
        found, at = {}, ONE * 0
        for x in variables:
            count = x.rows * x.cols
            found[x] = sliced(both, (at + 1, at + count), (ONE, ONE))
            at = at + count
        return found

    def remarks(self) -> list[str]:
        from matcalc.printing.text import text

        out = list(self.matrix.notes)
        inverses = [node for node in postorder(self.exprs.values()) if isinstance(node.op, Inv)]
        if self.formed and inverses:
            out.append("there is no structure by which to solve: the matrix is formed as a whole")
        domains = [node.args[0] for node in inverses] or list(self._inverted)
        domains = [a for a in domains if not has(a, INVERTIBLE)]
        out += [f"holds where {text(a)} is invertible" for a in domains]
        return out

    def record(self) -> Derivation:
        """The matrix, and the solution as its inverse times the right-hand side."""
        record = Derivation()
        record.parts.append((self.matrix.title, self.matrix.steps))
        if len(self.variables) == 1:
            ((x, b),) = self.right.items()
            (h,) = self.system.values()
            for name, e in self.exprs.items():
                record.results.append(
                    Step("inverse times the right-hand side", e, reshape(product(inv(h), vec(b)), x.shape), x)
                )
                record.results.append(Step("solved by structure", e, e, x, label=self.label(name)))
        return record

    def check(self, *, seed: int = 0) -> Report:
        """H times the solution is compared with the right-hand side, and the compiled code with the solution."""
        from matcalc.checks.solutions import check_solution

        h = whole(self.system, list(self.right))
        title = f"{self.kind.removesuffix(' of a system')} test"
        return check_solution(h, list(self.right.values()), self.exprs, title=title, seed=seed)


class NewtonStep(Solve):
    """``s = H^-1*g``: Newton's method goes from x to x - s. With a Gauss-Newton matrix the step of that method, and
    with a shift too that of Levenberg and Marquardt.

    Shapes   those of the variables
    """

    kind = "Newton step"
    second = True

    @property
    def function(self) -> str:
        return "newton_step"

    @property
    def title(self) -> str:
        return f"Newton step by {', '.join(self.variables)} of {self.of}, with the {self.matrix.kind}"

    def conventions(self) -> list[str]:
        equation = self._equation("g")
        there = ", ".join(self.variables)
        steps = ", ".join(f"{name} - s_{name}" if len(self.variables) > 1 else f"{name} - s" for name in self.variables)
        law = self.matrix.conventions()[0]
        return [law, f"{equation}; g is the gradient.", f"Newton's method goes from {there} to {steps}."]

    def derive(self) -> dict[str, Expr]:
        """Where H is constant, ``g = H*x - b``, the step is ``x - H^-1*b``: the minimum is reached at once."""
        variables = list(self.right)
        if self.shift is None and set(postorder(self.system.values())).isdisjoint(variables):
            b = {x: self._less_linear(x) for x in variables}
            if set(postorder(b.values())).isdisjoint(variables):
                found = self.solved_for(b)
                if len(b) == 1 and b[variables[0]].is_zero:
                    self._inverted += self.system.values()
                names = list(self.variables)
                return {
                    name: simplify(add(x, -reshape(found[x], x.shape)))
                    for name, x in zip(names, variables, strict=True)
                }
        return super().derive()

    def _less_linear(self, x: Expr) -> Expr:
        """The sum of ``H_xz*vec(z)`` over z, less the vec of the gradient by x."""
        products = [product(_block(self.system, x, z), vec(z)) for z in self.right]
        return simplify(add(*products, -vec(self.right[x])))

    @property
    def directions(self) -> list[Expr]:
        return []

    @property
    def right(self) -> dict[Expr, Expr]:
        return self._slopes

    def draw(self, of: Formula, variables: Mapping[str, Expr], asked: str | None) -> dict[Expr, Expr]:
        found = gradient(of.form, list(variables.values()), tidy=simplify)
        self._slopes = {x: simplify(found[x]) for x in variables.values()}
        return {}


def _block(blocks: Blocks, x: Expr, z: Expr) -> Expr:
    return blocks[x, z] if (x, z) in blocks else simplify(transpose(blocks[z, x]))


def _less(e: Expr, others: Sequence[Expr]) -> Expr:
    return simplify(add(e, *[product(const(-1), other) for other in others], shape=e.shape)) if others else e


__all__ = ["NewtonStep", "SingularMatrixError", "Solve"]
