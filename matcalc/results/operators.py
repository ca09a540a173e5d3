"""Jacobians, Hessians and Gauss-Newton matrices as SciPy LinearOperators: products without the matrix."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from matcalc.dims import Dim
from matcalc.errors import ArgumentError, MatcalcError
from matcalc.expr import Expr
from matcalc.facts import DIAGONAL, SYMMETRIC, has
from matcalc.results.derivative import Functions
from matcalc.results.names import fresh

if TYPE_CHECKING:
    from matcalc.lowering import Compiled
    from matcalc.results.formula import Formula
    from matcalc.results.matrices import Matrix
    from matcalc.results.products import Product


_MOST_SOLVERS = 4  # of one operator, for several shifts


class Operator:
    """A function of arrays that gives a SciPy LinearOperator at them.

    What does not depend on the vectors is computed once, when it is called; products with the matrix and with its
    transpose share it; the arrays are held and must stay as they are. Vectors that go in and come out are vec of
    matrices, columns stacked; of several variables one after the other.

    ``arguments``   the names that it takes, as the callable of a formula; variables that only tell a size may be
                    replaced by the size: n=3 for x
    ``compiled``    the callable that gives the functions of the vectors; ``source`` is its text
    ``turned``      whether it is the transpose of all that

    Shapes   the operator is size(F) x size(X), or size(X) x size(X) of a Hessian or Gauss-Newton matrix
    """

    def __init__(
        self, of: Matrix, forward: Product, back: Product, functions: Functions | None, turned: bool = False
    ) -> None:
        from matcalc.lowering import compile_numpy

        of.of.require_known(functions)
        self.of, self.turned = of, turned
        self.systems: dict[Any, Any] = {}  # closed forms of solutions (solvers.py)
        self.functions = functions
        self._forward, self._back = forward, back
        self._own = own = of.of.program.variables
        both = [forward] if back is forward else [forward, back]
        outputs = [e for p in both for e in p.outputs().values()]
        moves = [v for p in both for v in p.directions]
        occurring = [v for v in of.of.arguments(outputs, moves) if v in set(_variables(outputs))]
        names = ("product", "transposed")
        self.compiled = compile_numpy(
            {},
            occurring,
            functions=functions,
            ignored=own,
            title=f"Products with the {of.title}",
            name="operator",
            names=of.of.program.names,
            subgradient=True,
            later=[p.later(name) for p, name in zip(both, names, strict=False)],
        )
        self.source = self.compiled.source
        told = {name for v in occurring for d in v.shape for name in d.names}
        by_own = {d.name for v in own.values() for d in v.shape}
        sizes = [name for name in self.compiled.arguments if name not in own]
        ends = [*forward.variables.values(), of.of.expr]
        wanted = ({name for x in ends for d in x.shape for name in d.names} | set(sizes)) - told
        self._needed = [v.op.name for v in occurring] + [name for name in sizes if name not in by_own]
        self._open = wanted & by_own
        telling = [name for name, x in own.items() if not self._open.isdisjoint(d.name for d in x.shape)]
        self.arguments = list(dict.fromkeys([*self._needed, *telling]))

    def __call__(self, **arrays: Any) -> Any:
        """The operator at these values.

        Its ``solve(b)`` gives H^-1*b: by the structure of the closed form where it has one (``Matrix.solve``), else by
        a factorisation of the dense matrix, as long as that is within the limit.

        Raises   ArgumentError as the callable of a formula; MatcalcError when SciPy is not installed
        """
        kind = _linear_operator()
        import numpy

        known = {*self.arguments, *self._open, *self._own}
        wrong = [f"{name} is missing" for name in self._needed if name not in arrays]
        wrong += [f"{name} is not taken" for name in arrays if name not in known]
        if wrong:
            raise ArgumentError(f"{wrong[0]}; the arguments are {', '.join(self.arguments)}")
        given = {name: numpy.asarray(value) for name, value in arrays.items()}
        strong = [a.dtype for name, a in given.items() if a.dtype.kind in "fc" and (a.ndim or _is_strong(arrays[name]))]
        dtype = numpy.result_type(*strong) if strong else numpy.dtype(float)
        sizes = self._sizes(given)
        functions = self.compiled(**self.taken(self.compiled, arrays, sizes))
        ins = _Vectors(list(self._forward.variables.values()), sizes)
        outs = ins
        forward = back = ins.around(functions, ins) if self._back is self._forward else None
        if forward is None:
            outs = _Vectors([self._forward.of.expr], sizes)
            forward, back = ins.around(functions[0], outs), outs.around(functions[1], ins)
        if self.turned:
            ins, outs, forward, back = outs, ins, back, forward
        return kind((outs.count, ins.count), dtype, forward, back, lambda: (self, given, sizes))

    def taken(self, compiled: Compiled, given: Mapping[str, Any], sizes: Mapping[str, int]) -> dict[str, Any]:
        """What a callable takes of what is given; sizes from the shapes that tell them."""
        return {name: given[name] if name in given else self._told(name, sizes) for name in compiled.arguments}

    def _told(self, name: str, sizes: Mapping[str, int]) -> int:
        if name in self._own:
            raise ArgumentError(f"{name} is missing; the arguments are {', '.join(self.arguments)}")
        return _told(name, sizes)

    def _sizes(self, given: Mapping[str, Any]) -> dict[str, int]:
        """The dimensions that the shapes of the arguments say."""
        from matcalc.lowering.signature import bindings

        sizes = {name: int(a) for name, a in given.items() if a.ndim == 0 and name not in self._own}
        shapes, lengths = [], []
        for name, x in self._own.items():
            if name in given and not x.is_scalar:
                shape = given[name].shape
                shape = (1,) * (2 - len(shape)) + shape if x.is_row else shape + (1,) * (2 - len(shape))
                shapes.append(x.shape)
                lengths.append(shape)
        for name, (i, axis, factor, rest) in bindings(shapes, list(sizes)).items():
            sizes.setdefault(name, int(lengths[i][axis] - rest.evaluate(sizes)) // factor)
        return sizes


class _Vectors:
    """How vectors of numbers are the vecs of several matrices.

    Variables that are declared symmetric or diagonal move among such matrices, and formulas of products rely on it: of
    any other matrix its projection to these is taken.
    """

    def __init__(self, of: Sequence[Expr], sizes: Mapping[str, int]) -> None:
        self.of = of
        self.shapes = [(_value(x.rows, sizes), _value(x.cols, sizes)) for x in of]
        self.count = sum(rows * cols for rows, cols in self.shapes)
        self.within = [_projection(x) for x in of]

    def around(self, function: Callable[..., Any], out: _Vectors) -> Callable[[Any], Any]:
        """A function of matrices as one of vectors."""
        if len(self.of) == len(out.of) == 1:
            (inside,), (shape,) = self.of, self.shapes
            if inside.is_column or inside.is_row:
                if out.of[0].is_column:
                    return function
                return lambda v: _flat(function(v))
            if inside.is_scalar:
                return lambda v: _flat(function(v[0]))
            turned, (before,), (after,) = shape[::-1], self.within, out.within
            if before is None and after is None:
                return lambda v: _flat(function(v.reshape(turned).T))
            if before is not None and after is not None:
                return lambda v: _flat(after(function(before(v.reshape(turned).T))))
        return lambda v: out.joined(function(*self.split(v)))

    def split(self, v: Any) -> list[Any]:
        pieces, at = [], 0
        for x, (rows, cols) in zip(self.of, self.shapes, strict=True):
            piece = v[at : at + rows * cols]
            at += rows * cols
            if x.is_scalar:
                pieces.append(piece[0])
            else:
                pieces.append(piece if x.is_column or x.is_row else piece.reshape((cols, rows)).T)
        return [piece if p is None else p(piece) for piece, p in zip(pieces, self.within, strict=True)]

    def joined(self, found: Any) -> Any:
        import numpy

        parts = found if isinstance(found, tuple) else (found,)
        parts = tuple([a if p is None else p(a) for a, p in zip(parts, self.within, strict=True)])
        return numpy.concatenate([_flat(p) for p in parts]) if len(parts) > 1 else _flat(parts[0])


def _projection(x: Expr) -> Callable[[Any], Any] | None:
    """The projection to the matrices among which a variable moves, where these are not all."""
    if x.is_scalar or not x.op.is_variable or not has(x, SYMMETRIC):
        return None
    if not has(x, DIAGONAL):
        return lambda a: (a + a.T) / 2
    import numpy

    return lambda a: numpy.diag(a.diagonal())


def around(
    function: Callable[..., Any], before: Sequence[Expr], after: Sequence[Expr], sizes: Mapping[str, int]
) -> Callable[[Any], Any]:
    """A function of arrays of the shapes of ``before`` that gives such of ``after``, as one of vectors."""
    return _Vectors(before, sizes).around(function, _Vectors(after, sizes))


def _flat(a: Any) -> Any:
    import numpy

    return a.T.ravel() if isinstance(a, numpy.ndarray) else numpy.asarray(a).reshape(1)


@cache
def _linear_operator() -> Any:
    try:
        from scipy.sparse.linalg import LinearOperator
    except ImportError:
        raise MatcalcError("an operator needs SciPy", hint="install it with: pip install scipy") from None
    import numpy

    class DerivativeOperator(LinearOperator):  # type: ignore[misc]
        """A derivative at given arrays, as a LinearOperator with ``solve``."""

        def __init__(
            self,
            shape: tuple[int, int],
            dtype: Any,
            forward: Callable[[Any], Any],
            back: Callable[[Any], Any],
            made: Callable[[], tuple[Operator, dict[str, Any], dict[str, int]]],
            turned: bool = False,
        ) -> None:
            super().__init__(dtype, shape)
            self._forward, self._back, self._made, self._turned = forward, back, made, turned
            self._solvers: dict[float | None, Callable[[Any], Any]] = {}

        def _along(self, function: Callable[[Any], Any], v: Any) -> Any:
            v = v.reshape(-1)
            if v.dtype.kind == "c" and self.dtype.kind != "c":
                return function(numpy.ascontiguousarray(v.real)) + 1j * function(numpy.ascontiguousarray(v.imag))
            return function(v)

        def _matvec(self, v: Any) -> Any:
            return self._along(self._forward, v)

        def _rmatvec(self, u: Any) -> Any:
            found = self._along(self._back, u.conj() if self.dtype.kind == "c" else u)
            return found.conj() if self.dtype.kind == "c" else found

        def _transpose(self) -> Any:
            shape = (self.shape[1], self.shape[0])
            return type(self)(shape, self.dtype, self._back, self._forward, self._made, not self._turned)

        def _adjoint(self) -> Any:
            return self._transpose() if self.dtype.kind != "c" else super()._adjoint()

        def solve(self, b: Any, shift: float | None = None) -> Any:
            """``H^-1*b`` for a vector, or for the columns of a matrix; with a shift ``(H + shift*I)^-1*b``.

            By the structure of the closed form where it has one, so that the matrix is not formed; else by a
            factorisation of the dense matrix, by Cholesky where it is known to be positive definite.

            Raises   ArgumentError when the matrix is not square, numpy.linalg.LinAlgError when it is singular,
                     LimitError when the dense matrix would be over the limit
            """
            if self.shape[0] != self.shape[1]:
                raise ArgumentError(f"a matrix of {self.shape[0]} x {self.shape[1]} has no inverse")
            b = numpy.asarray(b)
            if b.ndim not in (1, 2) or b.shape[0] != self.shape[0]:
                raise ArgumentError(f"b must have {self.shape[0]} rows, but its shape is {b.shape}")
            if isinstance(shift, str):
                raise ArgumentError(
                    f"the shift is a number here, not {shift!r}", hint="names are for .solve of a formula"
                )
            if shift not in self._solvers:
                from matcalc.results.solvers import Shifted, solver

                operator, given, sizes = self._made()
                if len(self._solvers) >= _MOST_SOLVERS:
                    self._solvers.clear()
                self._solvers[shift] = solver(operator, given, sizes, Shifted(self, shift), self._turned, shift)
            return self._solvers[shift](b)

    return DerivativeOperator


def _is_strong(value: Any) -> bool:
    """Whether a number has a precision of its own."""
    import numpy

    return isinstance(value, numpy.generic | numpy.ndarray)


def _variables(roots: Sequence[Expr]) -> list[Expr]:
    from matcalc.lowering.planned import inputs

    return inputs(roots)


def _told(name: str, sizes: Mapping[str, int]) -> int:
    if name not in sizes:
        raise ArgumentError(f"no argument tells the size {name}", hint=f"give it by name: {name}=...")
    return sizes[name]


def _value(d: Dim, sizes: Mapping[str, int]) -> int:
    for name in sorted(d.names):
        _told(name, sizes)
    return d.evaluate(sizes)


def jacobian_operator(of: Matrix, functions: Functions | None = None) -> Operator:
    from matcalc.results.products import JacobianProduct, TransposedProduct

    forward = JacobianProduct(of.of, of.variables)
    taken = {*of.of.taken, *(v.op.name for v in forward.directions)}
    cotangent = fresh(of.of.shape, taken, None, "uvwpqh")
    return Operator(of, forward, TransposedProduct(of.of, of.variables, cotangent), functions, of.turned)


def hessian_operator(of: Matrix, functions: Functions | None = None) -> Operator:
    from matcalc.results.products import HessianProduct

    forward = HessianProduct(of.of, of.variables)
    return Operator(of, forward, forward, functions)


def gauss_newton_operator(of: Matrix, loss: Formula, at: str, functions: Functions | None = None) -> Operator:
    from matcalc.results.gauss_newton import GaussNewtonProduct

    forward = GaussNewtonProduct(of.of, of.variables, loss, at)
    return Operator(of, forward, forward, functions)


__all__ = ["Operator", "gauss_newton_operator", "hessian_operator", "jacobian_operator"]
