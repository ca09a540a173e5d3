"""Systems with a Jacobian, a Hessian or a Gauss-Newton matrix, and Newton steps: in closed form and by number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from matcalc.calculus.gradient import gradient
from matcalc.calculus.hessian import Blocks
from matcalc.derivation import Derivation, Step
from matcalc.dims import ONE, SCALAR, Dim, shape_text
from matcalc.errors import ArgumentError, LimitError
from matcalc.expr import Expr
from matcalc.primitives.algebra import add, product, transpose
from matcalc.primitives.leaves import const, identity, var
from matcalc.primitives.matrix import inv
from matcalc.primitives.structure import VCat, reshape, sliced, vec
from matcalc.results.derivative import LIMIT
from matcalc.results.matrices import Jacobian, Matrix, whole
from matcalc.results.names import directions, fresh
from matcalc.results.products import Product
from matcalc.simplify import simplify
from matcalc.simplify.solving import SingularError, Width, constant, solved

if TYPE_CHECKING:
    from matcalc.checks.report import Report
    from matcalc.lowering import Compiled
    from matcalc.results.formula import Formula
    from matcalc.results.operators import Operator

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
        self.shift = None if shift is None else var(fresh(SCALAR, matrix.of.taken, shift), SCALAR)
        super().__init__(matrix.of, matrix.variables, right)

    def draw(self, of: Formula, variables: Mapping[str, Expr], asked: str | None) -> dict[Expr, Expr]:
        if isinstance(self.matrix, Jacobian):
            rows, cols = self.matrix.matrix.shape
            if rows is not cols or len(variables) > 1:
                raise ArgumentError(f"the Jacobian in {shape_text((rows, cols))} is not square: it has no inverse")
            ends = [next(iter(variables.values())), of.expr]
            self._into, self._from = ends[:: -1 if self.matrix.turned is not self.transposed else 1]
            taken = {*of.taken, *(v.op.name for v in self._further)}
            name = fresh(self._from.shape, taken, asked, _LETTERS)
            return {self._into: var(name, self._from.shape)}
        taken = {*of.taken, *(v.op.name for v in self._further)}
        return directions(variables, taken, asked, _LETTERS)

    @property
    def function(self) -> str:
        return "solve"

    @property
    def title(self) -> str:
        said = self.matrix.title
        return f"Solution of a system with the {said[0].lower()}{said[1:]}"

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
    def _further(self) -> list[Expr]:
        """The variables of the matrix besides those of the formula."""
        return [v for v in (self.matrix.weights, self.shift) if v is not None]

    def _outputs(self, value: bool, gradient: bool = False) -> tuple[Expr | dict[str, Expr], list[Expr]]:
        outputs, arguments = super()._outputs(value, gradient)
        return outputs, [*arguments, *self._further]

    def _stages(self, value: bool, gradient: bool) -> tuple[dict[str, Expr], list[Expr]]:
        outputs, arguments = super()._stages(value, gradient)
        return outputs, [*arguments, *self._further]

    def derive(self) -> dict[str, Expr]:
        blocks, right = self.system, {x: vec(b) for x, b in self.right.items()}
        try:
            found = self._solved(blocks, right)
        except SingularError:
            raise SingularMatrixError(f"the {self.matrix.kind} is singular at every point: it has no inverse") from None
        names = list(self.variables)
        return {name: simplify(reshape(found[x], x.shape)) for name, x in zip(names, right, strict=True)}

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
        if self.formed:
            out.append("there is no structure by which to solve: the matrix is formed as a whole")
        domains = [node.args[0] for node in _inverted(self.exprs.values())]
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
        """H times the solution is compared with the right-hand side."""
        from matcalc.checks.claims import check_claimed

        variables = list(self.right)
        h = whole(self.system, variables)
        right = [vec(b) for b in self.right.values()]
        truth = product(inv(h), VCat()(*right) if len(right) > 1 else right[0])
        found = [vec(e) for e in self.exprs.values()]
        claimed = VCat()(*found) if len(found) > 1 else found[0]
        return check_claimed(truth, claimed, kind="solution", of=self.of.expr, seed=seed)


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


def _inverted(roots: Any) -> list[Expr]:
    from matcalc.expr import postorder
    from matcalc.facts import INVERTIBLE, has
    from matcalc.primitives.matrix import Inv

    return [e for e in postorder(roots) if isinstance(e.op, Inv) and not has(e.args[0], INVERTIBLE)]


# By number


def solver(
    operator: Operator,
    given: Mapping[str, Any],
    sizes: Mapping[str, int],
    linear: Any,
    transposed: bool,
    shift: float | None,
) -> Callable[[Any], Any]:
    """The function of b that gives H^-1*b, or (H + shift*I)^-1*b, for the matrix of an operator at given arrays.

    ``linear``      the operator, shifted
    ``transposed``  for the transpose of the matrix

    Raises   LimitError when the matrix has no structure and is too large to be formed
    """
    import numpy

    from matcalc.results.operators import around
    from matcalc.results.separate import separate

    dense = _Dense(operator, given, sizes, linear, transposed, shift or 0.0)
    key = (transposed, shift is not None, tuple(sorted(sizes.items())))
    if key not in operator.systems:
        operator.systems[key] = _system(operator, *key)
    system, compiled = operator.systems[key]
    if system is None:
        return dense
    if system.shift is not None:
        given = {**given, system.shift.op.name: shift}
    if compiled is None:
        try:
            found = separate(operator, system, given, sizes)
        except numpy.linalg.LinAlgError:
            found = None
        return dense if found is None else _checked(found, linear, dense)
    try:
        with numpy.errstate(all="ignore"):
            function = compiled(**operator.taken(compiled, given, sizes))
    except (numpy.linalg.LinAlgError, ArgumentError):  # a part is singular
        return dense
    return _checked(around(function, system.directions, list(system.right), sizes), linear, dense)


def _system(
    operator: Operator, transposed: bool, shifted: bool, known: tuple[tuple[str, int], ...]
) -> tuple[Solve | None, Compiled | None]:
    """The closed form of the solution for given sizes, and its callable where the matrix is not formed in it.

    Raises   numpy.linalg.LinAlgError when the matrix is singular at every point
    """
    sizes = dict(known)

    def width(d: Dim, order: Dim) -> int | None:
        if not (d.names | order.names) <= sizes.keys():
            return constant(d, order)
        found: int = d.evaluate(sizes)
        return found if 2 * found < order.evaluate(sizes) else None

    name = fresh(SCALAR, operator.of.of.taken, None, ["shift"]) if shifted else None
    try:
        system = Solve(operator.of, None, name, width=width, transposed=transposed)
    except SingularMatrixError as e:
        from numpy.linalg import LinAlgError

        raise LinAlgError(str(e)) from None
    except ArgumentError:  # square for these sizes only
        return None, None
    return system, None if system.formed else system.linearise(functions=operator.functions)


def _checked(function: Callable[[Any], Any], linear: Any, dense: _Dense) -> Callable[[Any], Any]:
    """A solution by structure, column by column; where it does not hold, since a part is singular, the dense one.

    It holds where H*x - b is what rounding makes of it: small against b and against the norm of H times that of x.
    """
    import numpy

    size = _norm(linear)

    def solve(b: Any) -> Any:
        if b.ndim == 2:
            return numpy.stack([solve(column) for column in b.T], axis=1)
        with numpy.errstate(all="ignore"):
            try:
                x = function(numpy.ascontiguousarray(b))
            except (numpy.linalg.LinAlgError, ArgumentError):
                return dense(b)
            error = numpy.linalg.norm(linear.matvec(x) - b)
        eps, length = numpy.finfo(x.dtype).eps, numpy.linalg.norm(b)
        rounded = error <= 1e2 * eps * (length + size * numpy.linalg.norm(x))
        if rounded and error <= numpy.sqrt(eps) * length:
            return x
        try:
            other = dense(b)
        except LimitError:
            if not rounded:
                raise
            _ill_conditioned()
            return x
        return x if error <= numpy.linalg.norm(linear.matvec(other) - b) else other

    return solve


class Shifted:
    """The products with an operator plus a multiple of the identity."""

    def __init__(self, operator: Any, shift: float | None) -> None:
        self.unshifted, self._shift = operator, shift
        self.shape, self.dtype = operator.shape, operator.dtype

    def matvec(self, v: Any) -> Any:
        found = self.unshifted.matvec(v)
        return found if self._shift is None else found + self._shift * v

    def rmatvec(self, u: Any) -> Any:
        found = self.unshifted.rmatvec(u)
        return found if self._shift is None else found + self._shift * u


def _norm(linear: Any) -> float:
    """About the largest singular value, by a few steps of the power method."""
    import numpy

    v = numpy.random.default_rng(0).standard_normal(linear.shape[1]).astype(linear.dtype)
    size = 0.0
    for _ in range(3):
        with numpy.errstate(all="ignore"):
            v = v / numpy.linalg.norm(v)
            u = linear.matvec(v)
            size = max(size, float(numpy.linalg.norm(u)))
            v = linear.rmatvec(u)
        if not 0 < size < numpy.inf or not numpy.any(v):
            return 0.0
    return size


def _ill_conditioned(reciprocal: float | None = None) -> None:
    import warnings

    from scipy.linalg import LinAlgWarning

    said = "" if reciprocal is None else f" (rcond={reciprocal:.3g})"
    message = f"the matrix is ill-conditioned{said}: the result may not be accurate"
    warnings.warn(message, LinAlgWarning, stacklevel=4)


class _Dense:
    """H^-1*b by a factorisation of the dense matrix, which is made when it is first needed."""

    def __init__(
        self,
        operator: Operator,
        given: Mapping[str, Any],
        sizes: Mapping[str, int],
        linear: Any,
        transposed: bool,
        shift: float,
    ) -> None:
        self.operator, self.given, self.sizes = operator, given, sizes
        self.linear, self.transposed, self.shift = linear, transposed, shift
        self._factored: Callable[[Any], Any] | None = None

    def __call__(self, b: Any) -> Any:
        if self._factored is None:
            self._factored = self._factor()
        return self._factored(b)

    def _matrix(self) -> Any:
        import numpy

        n, size = self.linear.shape[0], self.linear.dtype.itemsize
        if n * n * size > LIMIT:
            raise LimitError(
                f"the matrix of {n} x {n} has no structure to solve by, and is over the limit of {LIMIT} bytes",
                hint="use an iterative method with it, such as scipy.sparse.linalg.cg or minres",
            )
        compiled = self.operator.of.compile(functions=self.operator.functions)
        try:
            found = compiled(**self.operator.taken(compiled, self.given, self.sizes))
        except ArgumentError:  # an argument that only tells a size was not given
            h = self.linear.unshifted @ numpy.eye(n, dtype=self.linear.dtype)
        else:
            h = numpy.asarray(found).reshape(n, n)
            h = h.T.copy() if self.transposed else h
        return h

    def _factor(self) -> Callable[[Any], Any]:
        import warnings

        import numpy
        from numpy.linalg import norm
        from scipy.linalg import (
            LinAlgError,
            LinAlgWarning,
            cho_factor,
            cho_solve,
            get_lapack_funcs,
            lu_factor,
            lu_solve,
        )

        h = self._matrix()
        if self.shift:
            h.flat[:: len(h) + 1] += self.shift
        size = norm(h, 1)

        def told(reciprocal: float) -> None:
            if reciprocal < numpy.finfo(h.dtype).eps:
                _ill_conditioned(reciprocal)

        if not isinstance(self.operator.of, Jacobian):
            try:
                lower = cho_factor(h)
            except (LinAlgError, ValueError):
                pass
            else:
                told(get_lapack_funcs("pocon", (h,))(lower[0], size)[0])
                return lambda b: cho_solve(lower, b)
        with warnings.catch_warnings():
            warnings.simplefilter("error", LinAlgWarning)
            try:
                factor = lu_factor(h)
            except LinAlgWarning as e:
                raise LinAlgError("the matrix is singular") from e
        told(get_lapack_funcs("gecon", (h,))(factor[0], size)[0])
        return lambda b: lu_solve(factor, b)


__all__ = ["NewtonStep", "Shifted", "Solve", "solver"]
