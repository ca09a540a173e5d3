"""The generated NumPy code against the same expression in 50 digits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matcalc.checks.evaluate import Derivatives, stand_in
from matcalc.checks.sampling import Point
from matcalc.expr import Expr, postorder
from matcalc.facts import INTEGER, has
from matcalc.primitives.functions import Elementwise, Unknown

EPS = 2.0**-52


def compiled_gradient(
    g: Expr, point: Point, truth: Any, functions: Mapping[str, Derivatives]
) -> tuple[float | None, str]:
    """The largest relative error of the compiled code in multiples of machine epsilon, and what is to be said of it."""
    import numpy

    from matcalc.lowering.compiled import compile_numpy

    try:
        found = run_compiled(compile_numpy(g, functions=for_numpy([g], functions), subgradient=True), point)
    except Exception as e:  # whatever goes wrong in generated code is a finding
        return float("inf"), f"the generated NumPy code does not run: {type(e).__name__}: {e}"
    exact = truth.astype(float)
    largest = max(abs(exact).max(), 1e-300)
    error = float(abs(numpy.asarray(found, dtype=float).reshape(exact.shape) - exact).max() / largest / EPS)
    return (error, "") if error == error else (float("inf"), "the generated NumPy code gives NaN")


def run_compiled(function: Any, point: Point) -> Any:
    """The compiled function at a point; sizes that no argument shows are arguments too."""
    import numpy

    given: dict[str, Any] = {
        **point.sizes,
        **{str(getattr(e.op, "name", "")): _array(a, e) for e, a in point.env.items()},
    }
    with numpy.errstate(all="ignore"):
        return function(**{name: given[name] for name in function.arguments})


def _array(a: Any, e: Expr) -> Any:
    """In the user's convention: scalars are numbers, vectors (rows too) have one dimension."""
    if has(e, INTEGER):
        return int(a[0, 0])
    a = a.astype(float)
    return a[0, 0] if e.is_scalar else a.ravel() if e.is_column or e.is_row else a


def for_numpy(roots: Sequence[Expr], functions: Mapping[str, Derivatives]) -> dict[str, list[Callable[[Any], Any]]]:
    """The unknown functions of expressions as lists by order of functions of float arrays."""
    highest: dict[str, int] = {}
    for node in postorder(roots):
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
