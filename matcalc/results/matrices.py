"""Jacobians and Hessians: matrices, and of several variables the blocks of a matrix."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from matcalc.calculus.hessian import Blocks, hessian
from matcalc.calculus.record import record_jacobian, record_pullback
from matcalc.calculus.vectorise import Vectoriser
from matcalc.derivation import Derivation, Step
from matcalc.dims import ONE, shape_text
from matcalc.errors import ArgumentError
from matcalc.expr import Expr, substitute
from matcalc.facts import DIAGONAL, SYMMETRIC, has
from matcalc.primitives.algebra import add, product, transpose
from matcalc.primitives.leaves import const, var
from matcalc.primitives.products import inner
from matcalc.primitives.structure import HCat, VCat, reshape, unit
from matcalc.results.derivative import LIMIT, NUMERATOR, Derivative, Functions, layout_of
from matcalc.results.names import fresh
from matcalc.simplify import simplify

if TYPE_CHECKING:
    from matcalc.checks.report import Report
    from matcalc.lowering import Compiled
    from matcalc.lowering.planned import Request
    from matcalc.results.compressed import Compressed
    from matcalc.results.formula import Formula
    from matcalc.results.operators import Operator
    from matcalc.results.solving import NewtonStep, Solve


class Matrix(Derivative):
    """A derivative that is a matrix under vec; of several variables a block matrix, each block with a name."""

    weights: Expr | None = None  # of a Hessian of something that is no scalar
    law: ClassVar[str]  # what the matrix is, for the text of a callable

    def conventions(self, *, blocks: bool = False, compressed: bool = False) -> list[str]:
        said = " in denominator layout, the transpose of J" if self.turned else ""
        out = [f"{self.law}{said}; vec stacks columns."]
        if compressed:
            return [*out, "Put together:", *self.compressed.text(parts=False).split("\n")]
        if len(self.variables) > 1 and not blocks:
            first, *others = self.variables
            where = "Rows and columns" if self.second else "Rows" if self.turned else "Columns"
            out.append(f"{where}: first those of {first}, then of {', then of '.join(others)}.")
        return out

    @property
    @abstractmethod
    def matrix(self) -> Expr:
        """The whole matrix, its blocks put together in the order of the variables."""

    def compile(
        self,
        *,
        value: bool = False,
        gradient: bool = False,
        functions: Functions | None = None,
        library: str = "numpy",
        blocks: bool = False,
        compressed: bool = False,
        limit: int | None = LIMIT,
        batch: str | Sequence[str] = (),
    ) -> Compiled:
        """A NumPy callable for the dense matrix; with ``value`` it returns the value of the function first.

        ``gradient``   of a Hessian or Gauss-Newton matrix: the gradients come next, from the same forward part
        ``blocks``     of several variables, the blocks as a tuple and not as one matrix
        ``compressed`` the small factors of the matrix instead of it, in the order of ``compressed.factors``
        ``functions``  for functions that the formula leaves unknown, their value and derivatives: {"phi": [phi, dphi]}
        ``limit``      bytes of the result; of a larger one the callable raises LimitError. None for no limit
        ``library``    whose arrays it takes and gives, if not NumPy's: "torch", "jax", "cupy", "dask", "array-api"
        ``batch``      names of arguments, ``("x", "b")``, that have one more axis, in front, for many items at once; so
                       have all results
        """
        from matcalc.emission import compiled

        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, (int, float))):
            raise ArgumentError(f"the limit {limit!r} is no number", hint="a number of bytes, or None for no limit")
        self.of.require_known(functions)
        request = self.request(value=value, gradient=gradient, batch=batch, blocks=blocks, compressed=compressed)
        return compiled(library, request._replace(limit=limit), functions)

    def source(
        self,
        *,
        value: bool = False,
        gradient: bool = False,
        blocks: bool = False,
        compressed: bool = False,
        batch: str | Sequence[str] = (),
        format: str | None = None,
    ) -> str:
        from matcalc.emission import source

        request = self.request(value=value, gradient=gradient, batch=batch, blocks=blocks, compressed=compressed)
        return source(format, request, self.conventions(blocks=blocks, compressed=compressed))

    def request(
        self,
        *,
        value: bool = False,
        gradient: bool = False,
        batch: str | Sequence[str] = (),
        blocks: bool = False,
        compressed: bool = False,
    ) -> Request:
        if blocks and compressed:
            raise ArgumentError("blocks and compressed exclude each other", hint="leave one of them out")
        found = self.compressed.factors if compressed else self.labelled if blocks else {self.symbol: self.matrix}
        outputs = self.before(value, gradient) | found
        if not outputs:
            raise ArgumentError(f"the {self.kind} has no factors: it depends on nothing")
        besides = [] if self.weights is None else [self.weights]
        arguments = self.of.arguments(list(outputs.values()), besides)
        if compressed:
            return self._requested(outputs, [*arguments, *besides], batch)
        return self.stacked(self._requested(outputs, arguments, batch))

    def stacked(self, request: Request) -> Request:
        """The same for all entries of an expression that is no scalar, one behind the other."""
        return request

    @cached_property
    def compressed(self) -> Compressed:
        """The small factors in the structure of the matrix: ``kron(M, eye(m))`` with ``M = 2*V'*V``.

        They are in the language; ``compile(compressed=True)`` computes them.
        """
        from matcalc.results.compressed import Compressed

        return Compressed(self)

    def solve(self, right: str | None = None, *, shift: str | None = None) -> Solve:
        """The solution ``H^-1*b``, in closed form, by the structure of the matrix where it has one.

        ``right``  the name of the right-hand side, for several variables the names ``"b, c"``
        ``shift``  a name, for ``(H + shift*I)^-1*b``

        Shapes   b and the solution have those of the variables; of a Jacobian b that of the expression
        Raises   ArgumentError when the matrix is not square, or singular at every point
        """
        from matcalc.results.solving import Solve

        return Solve(self, right, shift)

    def newton(self, *, shift: str | None = None) -> NewtonStep:
        """The step ``H^-1*g`` of Newton's method, or with a Gauss-Newton matrix of that method, in closed form.

        ``shift``  a name, for ``(H + shift*I)^-1*g``: the step of Levenberg and Marquardt

        Shapes   those of the variables; the method goes from x to x - s
        Raises   ArgumentError when it is not of a scalar, or the matrix singular at every point
        """
        from matcalc.results.solving import NewtonStep

        if not self.second or self.weights is not None:
            within = "" if self.weights is None else f" of what is in {shape_text(self.of.shape)}"
            raise ArgumentError(
                f"the {self.kind}{within} has no Newton step", hint="that is for the Hessian of a scalar"
            )
        return NewtonStep(self, shift=shift)

    def remarks(self) -> list[str]:
        within = [
            f"{name} is {fact}: {self.symbol} counts for the directions in which {name} may move"
            for name, x in self.variables.items()
            for fact in (SYMMETRIC, DIAGONAL)
            if not x.is_scalar and has(x, fact) and not (fact == SYMMETRIC and has(x, DIAGONAL))
        ]
        return super().remarks() + within


class Jacobian(Matrix):
    """Jacobians of an expression, ``d vec(F) = J*d vec(X)``; vec stacks columns.

    In denominator layout they are the transposes of these, of several variables one below the other.

    Shapes   size(F) x size(X); in denominator layout size(X) x size(F)
    """

    kind = "Jacobian"
    law = "d vec(F) = J*d vec(X)"
    key = "jacobians"
    letter = "J"
    usual = NUMERATOR
    other_letter = "Jt"

    def __init__(self, of: Formula, variables: Mapping[str, Expr], layout: str | None = None) -> None:
        self.layout = layout_of(layout, self.usual)
        super().__init__(of, variables)

    def derive(self) -> dict[str, Expr]:
        engine = Vectoriser(simplify)
        return {name: self.laid(engine.jacobian(self.of.form, x)) for name, x in self.variables.items()}

    @property
    def matrix(self) -> Expr:
        blocks = list(self.exprs.values())
        return simplify(VCat()(*blocks) if self.turned and len(blocks) > 1 else beside(blocks))

    def record(self) -> Derivation:
        """The derivation: computational graph, differentials, their vectorisation, chain rule."""
        record = Derivation()
        labels = {x: self.label(name, self.letter) for name, x in self.variables.items()}
        record_jacobian(self.of.form, labels, record, simplify, self.of.program.names)
        self.record_layout(record)
        return record

    def operator(self, *, functions: Functions | None = None) -> Operator:
        """The Jacobian as a function that gives a SciPy LinearOperator, which never forms the matrix."""
        from matcalc.results.operators import jacobian_operator

        return jacobian_operator(self, functions)

    def check(self, *, seed: int = 0) -> Report:
        """The Jacobian test (Taylor remainders) and an independent check."""
        from matcalc.checks.jacobians import check_jacobian

        by_variable = {x: self.unlaid(name) for name, x in self.variables.items()}
        return check_jacobian(self.of.expr, by_variable, seed=seed)


class Hessian(Matrix):
    """The Hessian of a scalar, ``d2f = dvec(X)'*H*dvec(X)``; of several variables the blocks ``H[x, z]``.

    Of an expression with m entries it is the sum of ``v_k*H_k``, linear in the weights v; ``component`` gives H_k.

    Shapes   size(X) x size(Z); of the callable of an expression with m entries m x size x size
    """

    kind = "Hessian"
    law = "d2 f = d vec(X)'*H*d vec(X)"
    key = "hessians"
    letter = "H"
    second = True

    def __init__(self, of: Formula, variables: Mapping[str, Expr], weights: str | None = None) -> None:
        f = of.expr
        if f.is_scalar and weights is not None:
            raise ArgumentError("weights are for an expression that is no scalar", hint="leave them out")
        taken = of.taken
        self.weights = None if f.is_scalar else var(fresh(f.shape, taken, weights), f.shape)
        super().__init__(of, variables)

    @property
    def scalar(self) -> Expr:
        """What the Hessian is of: the expression, or its entries weighted."""
        return self.of.form if self.weights is None else inner(self.weights, self.of.form)

    def derive(self) -> dict[str, Expr]:
        names = {x: name for name, x in self.variables.items()}
        self.blocks: Blocks = hessian(self.scalar, list(names), tidy=simplify)
        return {names[x] if x is z else f"{names[x]},{names[z]}": h for (x, z), h in self.blocks.items()}

    def find(self, names: Sequence[str]) -> Expr | None:
        """A block; ``["b", "W"]`` is the transpose of the block that is there."""
        if len(names) == 2 and names[0] == names[1]:
            names = names[:1]
        found = super().find(names)
        if found is None and len(names) == 2:
            mirrored = super().find(names[::-1])
            return None if mirrored is None else simplify(transpose(mirrored))
        return found

    @property
    def matrix(self) -> Expr:
        return whole(self.blocks, list(self.variables.values()))

    def conventions(self, *, blocks: bool = False, compressed: bool = False) -> list[str]:
        said = super().conventions(blocks=blocks, compressed=compressed)
        if self.weights is None:
            return said
        if compressed:
            return [f"H is the sum of {self.weights.op.name}_k times the Hessian of entry k of vec(F).", *said[1:]]
        return ["H[k] is the Hessian of entry k of vec(F); vec stacks columns.", *said[1:]]

    def component(self, k: int) -> dict[str, Expr]:
        """The blocks of the Hessian of the k-th entry of vec(F), counted from 1."""
        if self.weights is None:
            return self.exprs
        rows, cols = self.weights.shape
        count = (rows * cols).value
        if k < 1 or (count is not None and k > count):
            raise ArgumentError(f"there is no entry {k} of {rows * cols}", hint="entries count from 1")
        chosen = {self.weights: reshape(unit(const(k), rows * cols), self.weights.shape)}
        return {name: simplify(substitute(h, chosen)) for name, h in self.exprs.items()}

    def stacked(self, request: Request) -> Request:
        if self.weights is None:
            return request
        column = {self.weights: reshape(self._column, self.weights.shape)}
        outputs = {name: substitute(e, column) for name, e in request.outputs.items()}
        return request._replace(outputs=outputs, stacked=self._column)

    @property
    def _column(self) -> Expr:
        """The weights as one column, as the callable counts with them."""
        assert self.weights is not None
        rows, cols = self.weights.shape
        return self.weights if self.weights.is_column else var("?v", (rows * cols, ONE))

    def remarks(self) -> list[str]:
        if self.weights is None:
            return super().remarks()
        v, (m, n) = self.weights.op.name, self.weights.shape
        column = f"e(k, {m}) for {v}" if self.weights.is_column else f"e(k, {m * n}) for vec({v})"
        said = f"H is the sum of vec({v})_k times the Hessian of the k-th entry; put {column}"
        if self.weights.is_column:
            said = said.replace(f"vec({v})", v)
        return [*super().remarks(), said]

    def record(self) -> Derivation:
        """The derivation: the gradient, then its Jacobian."""
        record, first = Derivation(), Derivation()
        names = self.of.program.names
        slopes = record_pullback(
            self.scalar, const(1), {x: f"d_{name}" for name, x in self.variables.items()}, first, simplify, names
        )
        record.parts.append(("Gradient", first))
        names = {**first.names, **names, **{slopes[x]: f"d_{name}" for name, x in self.variables.items()}}
        for i, (name, x) in enumerate(self.variables.items()):
            second = Derivation()
            labels = {}
            for other, z in list(self.variables.items())[i:]:
                # On the matrices among which x moves H is symmetric: it is the symmetric part of what is found.
                whole = x is z and (has(x, SYMMETRIC) or has(x, DIAGONAL)) and not x.is_scalar
                labels[z] = self.label(name, "J") if whole else self.label(name if z is x else f"{name},{other}")
            found = record_jacobian(slopes[x], labels, second, simplify, names)
            record.parts.append((f"Jacobian of d_{name}", second))
            for z, j in found.items():
                h = self.blocks[x, z]
                label = self.label(name if z is x else f"{name},{self._name(z)}")
                part = labels[z] != label and h is not j
                if not part:
                    second.rename(labels[z], label)
                right = product(const(1) / 2, add(j, transpose(j), shape=j.shape)) if part else h
                record.results.append(Step("symmetric part" if part else "", h, right, x, label=label))
        return record

    def _name(self, x: Expr) -> str:
        return next(name for name, other in self.variables.items() if other is x)

    def operator(self, *, functions: Functions | None = None) -> Operator:
        """The Hessian as a function that gives a SciPy LinearOperator, which never forms the matrix."""
        from matcalc.results.operators import hessian_operator

        if self.weights is not None:
            raise ArgumentError("an operator is of the Hessian of a scalar", hint="weight the entries: v'*(...)")
        return hessian_operator(self, functions)

    def check(self, *, seed: int = 0) -> Report:
        """The Hessian test (Taylor remainders of third order), symmetry, and an independent check."""
        from matcalc.checks.hessians import check_hessian

        return check_hessian(self.of.expr, self.blocks, weights=self.weights, seed=seed)


def beside(blocks: Sequence[Expr]) -> Expr:
    return blocks[0] if len(blocks) == 1 else HCat()(*blocks)


def whole(blocks: Blocks, variables: Sequence[Expr]) -> Expr:
    """The matrix of the blocks, those below the diagonal as transposes of those above it."""

    def at(x: Expr, z: Expr) -> Expr:
        return blocks[x, z] if (x, z) in blocks else transpose(blocks[z, x])

    rows = [beside([at(x, z) for z in variables]) for x in variables]
    return rows[0] if len(rows) == 1 else VCat()(*rows)


__all__ = ["Hessian", "Jacobian", "Matrix", "beside", "whole"]
