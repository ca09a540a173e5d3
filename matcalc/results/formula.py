"""A formula that was read: what a user asks for derivatives of."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from matcalc.dims import Shape, shape_text
from matcalc.errors import ArgumentError, MatcalcError, UnknownNameError
from matcalc.expr import Expr, postorder, substitute
from matcalc.facts import ATTRIBUTES, COLUMNS, ROWS
from matcalc.primitives.functions import Defined
from matcalc.primitives.leaves import Size
from matcalc.primitives.maps import Map, Mapped
from matcalc.results.asked import as_scalar, asked, cut
from matcalc.results.derivative import Functions, Gradient, listed
from matcalc.results.gauss_newton import GaussNewton, GaussNewtonProduct
from matcalc.results.matrices import Hessian, Jacobian
from matcalc.results.products import Differential, HessianProduct, JacobianProduct, TransposedProduct
from matcalc.results.texts import of_shape
from matcalc.simplify.indexed import matrix_form
from matcalc.syntax import Program, parse
from matcalc.syntax.spelling import canonical

if TYPE_CHECKING:
    from matcalc.checks.report import Report
    from matcalc.emission.autograd import WithDerivative
    from matcalc.lowering import Compiled
    from matcalc.lowering.planned import Request
    from matcalc.results.solving import NewtonStep


class Formula:
    """An expression of the language with the kinds and shapes of its names. Made by :func:`matcalc.parse`."""

    def __init__(self, program: Program, where: str | None = None) -> None:
        self.program = program
        self.where = where

    @classmethod
    def read(cls, text: str, where: str | None = None, *, wrt: Sequence[str] = (), scalar: bool = False) -> Formula:
        """The formula that ``text`` is; ``wrt`` and ``scalar`` help to find the kinds of undeclared names."""
        return cls(parse(text, where, wrt=wrt, scalar=scalar), where)

    def made_of(self, program: Program) -> Formula:
        """The formula of a program that was made from this one's."""
        return Formula(program, self.where)

    @property
    def expr(self) -> Expr:
        return self.program.expr

    @cached_property
    def form(self) -> Expr:
        """The expression with the sums over an index in matrix form, where they have one: what derivatives are of."""
        return matrix_form(self.expr)

    @property
    def shape(self) -> Shape:
        return self.expr.shape

    @property
    def variables(self) -> list[str]:
        """The names that occur, in order."""
        return list(self.program.variables)

    @property
    def inferred(self) -> list[str]:
        """Kinds and shapes that were not declared, as declarations."""
        return list(self.program.inferred)

    @property
    def warnings(self) -> list[str]:
        return list(self.program.warnings)

    @property
    def taken(self) -> set[str]:
        """All names that have a meaning in the formula, sizes among them."""
        program = self.program
        sizes = {name for v in program.variables.values() for d in v.shape for name in d.names}
        return {*program.variables, *program.functions, *program.definitions, *sizes}

    def variable(self, name: str) -> Expr:
        """The node of a variable, or of a quantity that the program assigns.

        Raises   UnknownNameError that lists what there is
        """
        known = canonical(name)
        found = self.program.variables.get(known) or self.program.definitions.get(known)
        if found is None:
            self.refuse_member(known)
            there = listed([*self.program.variables, *self.program.definitions])
            shown = name if name.isprintable() else repr(name)[1:-1]
            raise UnknownNameError(f"{shown} does not occur in the expression", hint=f"there is {there}")
        return found

    def refuse_member(self, name: str) -> None:
        """Says of ``w_p`` what it is a member of."""
        base, _, index = name.partition("_")
        for family, member in self.program.columns.items():
            if member.partition("_")[0] == name:
                raise UnknownNameError(
                    f"{name} does not occur in the expression, only its members {member} do",
                    hint=f"they are the columns of {family}: differentiate by {family}",
                )
        whole = next((w for w, member in self.program.columns.items() if member.partition("_")[0] == base), base)
        if len(index) != 1 or whole not in self.program.variables or self.program.variables[whole].is_scalar:
            return
        what, place = ("entry", f"[{index}]") if whole == base else ("column", f"[:,{index}]")
        raise UnknownNameError(
            f"{name} is {what} {index} of {whole}",
            hint=f"differentiate by {whole}: {what} {index} of the gradient G, G{place}, is the gradient by {name}",
        )

    def gradient(self, *wrt: str, layout: str | None = None) -> Gradient:
        """The gradients by the named variables (``"W"``, or ``"W, b"`` for several).

        ``layout``  "numerator" for their transposes, a row for a column; "denominator" is the shape of the variable

        Where undeclared names can be so read that the expression is a scalar, they are (``C`` in ``C*sum(x)``).

        Raises   NotScalarError when the expression is not a scalar, UnknownNameError when a name does not occur,
                 DeclarationError when a name is declared constant or stands for a whole number
        """
        of, variables = asked(as_scalar(self, wrt), wrt)
        return Gradient(of, variables, layout)

    def jacobian(self, *wrt: str, layout: str | None = None) -> Jacobian:
        """The Jacobians by the named variables, ``d vec(F) = J*d vec(X)``; vec stacks columns.

        ``layout``  "denominator" for their transposes; "numerator" is J itself

        Raises   UnknownNameError, DeclarationError as :meth:`gradient`
        """
        return Jacobian(*asked(self, wrt), layout)

    def hessian(self, *wrt: str, weights: str | None = None) -> Hessian:
        """The Hessian by the named variables: of several the blocks by each pair of them.

        Of an expression that is no scalar, with m entries, there are m Hessians: ``v_1*H_1 + ... + v_m*H_m`` is the
        closed form, where v has the name ``weights``, and the callable gives them as a stack.

        Raises   UnknownNameError, DeclarationError as :meth:`gradient`
        """
        of, variables = asked(as_scalar(self, wrt, forced=False), wrt)
        return Hessian(of, variables, weights)

    def gauss_newton(self, *wrt: str, at: str | None = None) -> GaussNewton:
        """The Gauss-Newton matrix ``G = J'*H_loss*J`` by the named variables, with the rest R of the Hessian, G + R.

        ``at``  the quantity of the program that is the output of the net: what follows it is the loss

        Raises   NotScalarError when the loss is not a scalar, and as :meth:`gradient`
        """
        return GaussNewton(*cut(self, wrt, at))

    def newton(self, *wrt: str, at: str | None = None, shift: str | None = None) -> NewtonStep:
        """The step ``H^-1*g`` of Newton's method for a scalar, with its Hessian H and gradient g, by structure.

        ``at``     the output of a net, for the step of the Gauss-Newton method
        ``shift``  a name, for ``(H + shift*I)^-1*g``

        Raises   ArgumentError when the Hessian is singular at every point
        """
        matrix = self.hessian(*wrt) if at is None else self.gauss_newton(*wrt, at=at)
        return matrix.newton(shift=shift)

    def differential(self, *wrt: str) -> Differential:
        """The differential by the named variables, linear in their differentials dX."""
        return Differential(*asked(self, wrt))

    def jvp(self, *wrt: str, direction: str | None = None) -> JacobianProduct:
        """The product J*v of the Jacobian with a direction, of the shape of the expression; J is not formed.

        ``direction``  the name of v, for several variables the names ``"v, w"``
        """
        return JacobianProduct(*asked(self, wrt), direction)

    def vjp(self, *wrt: str, direction: str | None = None) -> TransposedProduct:
        """The products J'*u of the transposed Jacobians with a cotangent u, of the shapes of the variables."""
        return TransposedProduct(*asked(self, wrt), direction)

    def hvp(self, *wrt: str, direction: str | None = None) -> HessianProduct:
        """The product H*v of the Hessian of a scalar with a direction, of the shape of the variable.

        Raises   NotScalarError when the expression is not a scalar
        """
        of, variables = asked(as_scalar(self, wrt), wrt)
        return HessianProduct(of, variables, direction)

    def gnvp(self, *wrt: str, at: str | None = None, direction: str | None = None) -> GaussNewtonProduct:
        """The product G*v of the Gauss-Newton matrix with a direction, of the shape of the variable."""
        return GaussNewtonProduct(*cut(self, wrt, at), direction)

    def claim(self, text: str, others: Sequence[Expr] = (), shapes: Iterable[Shape] = ()) -> Expr:
        """A formula in the names of this one, and of ``others``, such as somebody's own derivative of it.

        ``shapes``  those that it may have, so that the size of I in it is known

        Raises   MatcalcError as :func:`matcalc.parse`
        """
        where = self.declarations(text, others)
        program = parse(text, where)
        wanted = [] if program.expr.is_scalar else list(shapes)
        if wanted and program.expr.shape not in wanted:
            for shape in wanted:
                try:
                    program = parse(of_shape(text, shape), where)
                except MatcalcError:
                    continue
                break
        own = {**self.program.variables, **{v.op.name: v for v in others}}
        strange = [name for name in program.variables if name not in own]
        if strange:
            raise UnknownNameError(
                f"{strange[0]} of the claim does not occur in the expression", hint=f"there is {listed(own)}"
            )
        return substitute(program.expr, {v: own[name] for name, v in program.variables.items() if name in own})

    def declarations(self, about: str = "", others: Sequence[Expr] = ()) -> str:
        """All names with their kinds and shapes, as ``where`` takes them; of assigned names those in ``about``."""
        from matcalc.printing.text import text

        parts = []
        known = {**self.program.variables, **{v.op.name: v for v in others}}
        for name, v in known.items():
            attributes = [fact for fact in v.op.declared if fact in ATTRIBUTES]  # type: ignore[attr-defined]  # a Var
            parts.append(" ".join([name, "in", shape_text(v.shape), *attributes]))
            for over, fact in (("", COLUMNS) if v.is_column else (", 0", COLUMNS), (", 1", ROWS)):
                if fact in v.op.declared:  # type: ignore[attr-defined]
                    parts.append(f"sum({name}{over}) = 1")
        for name, function in self.program.functions.items():
            if isinstance(function, Defined):
                parts.append(f"{name}({text(function.parameter)}) = {text(function.body(0))}")
            elif isinstance(function, Map):
                parts.append(repr(function))
            else:
                parts.append(f"{name}: elementwise")
        parts += [f"{name} = {text(e)}" for name, e in self.program.definitions.items() if name in about]
        return "; ".join(parts)

    def require_known(self, functions: Functions | None) -> None:
        """Raises   ArgumentError when one of the functions that get their values does not occur"""
        for name in functions or ():
            if canonical(name) not in self.program.functions:
                there = ", ".join(self.program.functions)
                raise ArgumentError(
                    f"{name} is no function of the formula",
                    hint=f"there is {there}" if there else "all its functions are known",
                )

    def check_claim(
        self, wrt: str | Sequence[str], formula: str, *, of: str = "gradient", seed: int = 0, **options: str | None
    ) -> Report:
        """Compares a claimed derivative with the truth by number; where they differ, the report names the likely slip.

        ``of``       "gradient", "jacobian", "hessian", "gauss-newton", "differential", "jvp", "vjp", "hvp", "gnvp"
        ``options``  of that derivative, such as at="u" or direction="v"

        Of several variables a matrix is meant as a whole, of two the Hessian also as their block.
        """
        from matcalc.results.requests import check_claim

        return check_claim(self, wrt, formula, of=of, seed=seed, options=options)

    def compile(
        self,
        *,
        functions: Functions | None = None,
        library: str = "numpy",
        wrt: str | Sequence[str] = (),
        batch: str | Sequence[str] = (),
    ) -> Compiled:
        """The value as a NumPy callable.

        ``functions``  values of functions that the formula leaves unknown
        ``library``    whose arrays it takes and gives, if not NumPy's: "torch", "jax", "cupy", "dask", "array-api"
        ``wrt``        of PyTorch and JAX: names of arguments by which their own differentiation takes our closed form
                       for the derivative: a ``torch.autograd.Function``, a ``jax.custom_vjp``
        ``batch``      names of arguments, ``("x", "b")``, that have one more axis, in front, for many items at once; so
                       has the result

        Shapes   that of the expression: a number for a scalar, (n,) for a column, (1, n) for a row
        Raises   ArgumentError when an unknown function has no value, or there is no such library or argument
        """
        self.require_known(functions)
        if wrt:
            if batch:
                raise ArgumentError("a function with its own derivative takes one item at a time")
            from matcalc.emission.autograd import compile_function

            return compile_function(library, self._with_derivative(wrt), functions)  # type: ignore[return-value]  # it is used as one
        from matcalc.emission import compiled

        return compiled(library, self._request(batch=batch), functions)

    def source(self, *, format: str | None = None, wrt: str | Sequence[str] = ()) -> str:
        """The code of the callable, not run; with ``wrt`` and format "torch" or "jax" with our closed form as its
        derivative.
        """
        if wrt:
            from matcalc.emission.autograd import function_source

            return function_source(format or "torch", self._with_derivative(wrt))
        from matcalc.emission import source

        return source(format, self._request(name="value"))

    def _request(self, **options: Any) -> Request:
        from matcalc.lowering.planned import requested

        arguments = self.arguments([self.expr])
        return requested(self.expr, arguments, title=str(self), names=self.program.names, **options)

    def _with_derivative(self, wrt: str | Sequence[str]) -> WithDerivative:
        """The value and, of a scalar, its gradients; else the products with the transposed Jacobians."""
        from matcalc.emission.autograd import WithDerivative

        names = [wrt] if isinstance(wrt, str) else wrt
        back = self.gradient(*names) if self.expr.is_scalar else self.vjp(*names)
        of, cotangent = back.of, back.cotangent if isinstance(back, TransposedProduct) else None
        arguments = of.arguments([of.expr, *back.exprs.values()], back.directions)
        return WithDerivative(of.expr, back.exprs, cotangent, arguments, str(of), of.program.names)

    def with_length(self, arguments: Sequence[Expr], batch: str | Sequence[str]) -> list[Expr]:
        """The arguments; where no one of the batch is among them also the first of it, which tells its length."""
        from matcalc.lowering.batching import batched_names
        from matcalc.lowering.planned import input_name

        names = batched_names(batch)
        known = {input_name(e) for e in arguments}
        found = [self.program.variables[name] for name in names if name in self.program.variables]
        return [*arguments, *(found[:1] if known.isdisjoint(names) else [])]

    def arguments(self, outputs: Sequence[Expr], besides: Collection[Expr] = ()) -> list[Expr]:
        """The variables that the outputs need: those that occur, and others whose shapes tell a size that does.

        ``besides``  variables of the outputs that will not be arguments, so that their shapes tell nothing
        """
        nodes = postorder(outputs)
        occurring = {node for node in nodes if node.op.is_variable and node not in besides}
        sizes = {name for node in nodes for d in node.shape for name in d.names}
        sizes |= {node.op.name for node in nodes if isinstance(node.op, Size)}
        sizes -= {d.name for v in occurring for d in v.shape if d.name}
        if sizes and any(isinstance(node.op, Mapped) for node in nodes):  # what a map gives shows its size itself
            from matcalc.lowering import numpy_source

            sizes &= set(numpy_source({f"y{k}": e for k, e in enumerate(outputs)}).shown)
        needed = []
        for v in self.program.variables.values():
            tells = {d.name for d in v.shape} & sizes
            if v in occurring or tells:
                needed.append(v)
                sizes -= tells
        return needed

    def latex(self) -> str:
        from matcalc.printing.latex import latex

        return latex(self.expr)

    def __str__(self) -> str:
        from matcalc.printing.text import text

        return text(self.expr)

    def __repr__(self) -> str:
        return f"<Formula {self}>"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"


__all__ = ["Formula"]
