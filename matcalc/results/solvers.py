"""Systems solved by number, at given arrays: by the structure of the closed form, else by the dense matrix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from matcalc.dims import SCALAR, Dim
from matcalc.errors import ArgumentError, LimitError
from matcalc.results.derivative import LIMIT
from matcalc.results.matrices import Jacobian
from matcalc.results.names import fresh
from matcalc.results.separate import separate
from matcalc.results.solving import SingularMatrixError, Solve
from matcalc.simplify.solving import constant

if TYPE_CHECKING:
    from matcalc.lowering import Compiled
    from matcalc.results.operators import Operator


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

        raise LinAlgError(e.message) from None
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


__all__ = ["Shifted", "solver"]
