"""The generated NumPy code against the same expression in 50 digits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from matcalc.checks.evaluate import Derivatives, stand_in
from matcalc.checks.sampling import Point
from matcalc.expr import Expr, postorder
from matcalc.primitives.functions import Elementwise, Unknown

EPS = 2.0**-52


def compiled_gradient(
    g: Expr, point: Point, truth: Any, functions: Mapping[str, Derivatives]
) -> tuple[float | None, str]:
    """The largest relative error of the compiled code in multiples of machine epsilon, or None and the reason."""
    import numpy

    try:
        from matcalc.lowering import compile_numpy
    except ImportError:
        return None, "the generated NumPy code was not run: there is no compiler"
    run = compile_numpy(g, functions=_for_numpy(g, functions))
    arguments = {name: _array(point, e) for name, e in _named(point).items() if name in run.arguments}
    found = numpy.asarray(run(**arguments), dtype=float).reshape(truth.shape)
    exact = truth.astype(float)
    largest = max(abs(exact).max(), 1e-300)
    error = float(abs(found - exact).max() / largest / EPS)
    return (error, "") if error == error else (float("inf"), "the generated NumPy code gives NaN")


def _named(point: Point) -> dict[str, Expr]:
    return {e.op.name: e for e in point.env}


def _array(point: Point, e: Expr) -> Any:
    """In the user's convention: scalars are numbers, vectors have one dimension."""
    a = point.env[e].astype(float)
    return a[0, 0] if e.is_scalar else a[:, 0] if e.is_column else a


def _for_numpy(g: Expr, functions: Mapping[str, Derivatives]) -> dict[str, list[Callable[[Any], Any]]]:
    """The unknown functions of ``g`` as lists by order of functions of float arrays."""
    highest: dict[str, int] = {}
    for node in postorder([g]):
        if isinstance(node.op, Elementwise) and isinstance(node.op.function, Unknown):
            name = node.op.function.name
            highest[name] = max(node.op.order, highest.get(name, 0))
    return {
        name: [_on_floats(functions.get(name) or stand_in(name), order) for order in range(top + 1)]
        for name, top in highest.items()
    }


def _on_floats(f: Derivatives, order: int) -> Callable[[Any], Any]:
    def apply(x: Any) -> Any:
        import mpmath
        import numpy

        return numpy.vectorize(lambda t: float(f(order, mpmath.mpf(float(t)))), otypes=[float])(x)

    return apply
