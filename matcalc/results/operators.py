"""Jacobians, Hessians and Gauss-Newton matrices as SciPy LinearOperators: products without the matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from matcalc.errors import ArgumentError, MatcalcError
from matcalc.expr import Expr
from matcalc.results.derivative import Derivative, Functions

if TYPE_CHECKING:
    from matcalc.lowering import Compiled
    from matcalc.results.formula import Formula


class Operator:
    """A function of arrays that gives a SciPy LinearOperator at them.

    Vectors that go in and come out are vec of matrices, columns stacked; of several variables one after the other.

    ``arguments``   the names that it takes, as the callable of a formula; variables that only tell a size may be
                    replaced by the size: n=3 for x
    ``forward``     the callable of the product; ``back`` that of the transposed one
    ``turned``      whether it is the transpose of all that
    """

    def __init__(
        self, forward: Derivative, back: Derivative, functions: Functions | None, turned: bool = False
    ) -> None:
        self.turned = turned
        self._forward, self._back = forward, back
        self.forward: Compiled = forward.compile(functions=functions)
        self.back: Compiled = self.forward if back is forward else back.compile(functions=functions)
        inner = [v.op.name for v in (*forward.directions, *back.directions)]
        needed = dict.fromkeys(a for a in (*self.forward.arguments, *self.back.arguments) if a not in inner)
        own = forward.of.program.variables
        told = {d.name for name in needed if name in own for d in own[name].shape}
        ends = [*forward.variables.values(), forward.of.expr]
        self._open = {name for x in ends for d in x.shape for name in d.names} - told - needed.keys()
        self._needed = list(needed)
        telling = [name for name, x in own.items() if not self._open.isdisjoint(d.name for d in x.shape)]
        self.arguments = list(dict.fromkeys([*needed, *telling]))

    def __call__(self, **arrays: Any) -> Any:
        """The operator at these values.

        Raises   ArgumentError as the callable of a formula; MatcalcError when SciPy is not installed
        """
        try:
            from scipy.sparse.linalg import LinearOperator
        except ImportError:
            raise MatcalcError(
                "an operator needs SciPy", hint='install it with: pip install "matcalc[scipy]"'
            ) from None
        import numpy

        known = {*self.arguments, *self._open, *self._forward.of.program.variables}
        wrong = [f"{name} is missing" for name in self._needed if name not in arrays]
        wrong += [f"{name} is not taken" for name in arrays if name not in known]
        if wrong:
            raise ArgumentError(f"{wrong[0]}; the arguments are {', '.join(self.arguments)}")
        given = {name: numpy.asarray(value) for name, value in arrays.items()}
        kinds = {a.dtype for a in given.values() if a.dtype.kind in "fc"}
        dtype = numpy.result_type(*kinds) if kinds else numpy.dtype(float)
        sizes = self._sizes(given)
        ins = [_size(x, sizes) for x in self._forward.variables.values()]
        outs = self._outs(sizes, ins)

        def product(compiled: Compiled, moves: Sequence[Expr], v: Any) -> Any:
            pieces = _split(numpy.asarray(v).ravel(), moves, sizes)
            moved = {m.op.name: a for m, a in zip(moves, pieces, strict=True)}
            found = compiled(**moved, **{name: given[name] for name in compiled.arguments if name not in moved})
            parts = found if isinstance(found, tuple) else (found,)
            return numpy.concatenate([numpy.asarray(p).ravel(order="F") for p in parts])

        made = LinearOperator(
            shape=(sum(outs), sum(ins)),
            dtype=dtype,
            matvec=lambda v: product(self.forward, self._forward.directions, v),
            rmatvec=lambda u: product(self.back, self._back.directions, u),
        )
        return made.T if self.turned else made

    def _outs(self, sizes: Mapping[str, int], ins: list[int]) -> list[int]:
        return ins if self._back is self._forward else [_size(self._forward.of.expr, sizes)]

    def _sizes(self, given: Mapping[str, Any]) -> dict[str, int]:
        """The dimensions that the shapes of the arguments say."""
        sizes: dict[str, int] = {}
        for name, x in self._forward.of.program.variables.items():
            if name in given:
                shape = given[name].shape
                shape = (1,) * (2 - len(shape)) + shape if x.is_row else shape + (1,) * (2 - len(shape))
                for d, length in zip(x.shape, shape, strict=False):
                    if d.name is not None:
                        sizes.setdefault(d.name, int(length))
        sizes |= {
            name: int(a) for name, a in given.items() if a.ndim == 0 and name not in self._forward.of.program.variables
        }
        return sizes


def _size(x: Expr, sizes: Mapping[str, int]) -> int:
    try:
        return x.rows.evaluate(sizes) * x.cols.evaluate(sizes)  # type: ignore[no-any-return]
    except KeyError as e:
        raise ArgumentError(
            f"no argument tells the size {e.args[0]}", hint=f"give it by name: {e.args[0]}=..."
        ) from None


def _split(v: Any, moves: Sequence[Expr], sizes: Mapping[str, int]) -> list[Any]:
    pieces, at = [], 0
    for m in moves:
        count = _size(m, sizes)
        piece = v[at : at + count]
        at += count
        if m.is_scalar:
            pieces.append(piece[0])
        elif m.is_column or m.is_row:
            pieces.append(piece)
        else:
            pieces.append(piece.reshape((m.rows.evaluate(sizes), m.cols.evaluate(sizes)), order="F"))
    return pieces


def jacobian_operator(
    of: Formula, variables: Mapping[str, Expr], functions: Functions | None = None, *, turned: bool = False
) -> Operator:
    from matcalc.results.products import JacobianProduct, TransposedProduct

    return Operator(JacobianProduct(of, variables), TransposedProduct(of, variables), functions, turned)


def hessian_operator(of: Formula, variables: Mapping[str, Expr], functions: Functions | None = None) -> Operator:
    from matcalc.results.products import HessianProduct

    forward = HessianProduct(of, variables)
    return Operator(forward, forward, functions)


def gauss_newton_operator(
    of: Formula, variables: Mapping[str, Expr], loss: Formula, at: str, functions: Functions | None = None
) -> Operator:
    from matcalc.results.gauss_newton import GaussNewtonProduct

    forward = GaussNewtonProduct(of, variables, loss, at)
    return Operator(forward, forward, functions)


__all__ = ["Operator", "gauss_newton_operator", "hessian_operator", "jacobian_operator"]
