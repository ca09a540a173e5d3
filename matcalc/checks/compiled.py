"""The generated NumPy code against the same expression in 50 digits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matcalc.checks.evaluate import Derivatives, evaluate, stand_in
from matcalc.checks.sampling import Point
from matcalc.expr import Expr, postorder
from matcalc.facts import INTEGER, has
from matcalc.primitives.functions import Elementwise, Unknown

EPS = 2.0**-52
TOLERATED = 1e4  # multiples of EPS, or of what rounding costs at least
SMALLEST = 1e-100


def compiled_gradient(
    g: Expr, point: Point, truth: Any, functions: Mapping[str, Derivatives]
) -> tuple[float | None, str]:
    """The largest relative error of the compiled code in multiples of machine epsilon, and what is to be said of it."""
    import numpy

    from matcalc.lowering.compiled import compile_numpy

    try:
        found = run_compiled(compile_numpy(g, functions=for_numpy([g], functions), subgradient=True), point)
        found = numpy.asarray(found, dtype=float).reshape(truth.shape)
    except Exception as e:  # whatever goes wrong in generated code is a finding
        return float("inf"), f"the generated NumPy code does not run: {type(e).__name__}: {e}"
    exact = truth.astype(float)
    largest = float(abs(exact).max())
    if 0 < largest < SMALLEST:
        return (
            None,
            "the gradient is too small here for float64: the generated NumPy code was not compared",
        )
    wrong = float(abs(found - exact).max())
    error = wrong / (largest or SMALLEST) / EPS
    cost = max(_rounding(g, point, truth, functions), 0.0 if largest else EPS) if error > TOLERATED else 0.0
    if error > TOLERATED and wrong <= TOLERATED * cost:
        return None, "rounding spoils float64 here: the generated NumPy code is as good as any, and was not compared"
    return (error, "") if error == error else (float("inf"), "the generated NumPy code gives NaN")


def _rounding(g: Expr, point: Point, truth: Any, functions: Mapping[str, Derivatives]) -> float:
    """What the formula loses in arithmetic with the 53 bits of float64, whoever computes it."""
    import mpmath

    try:
        with mpmath.workprec(53):
            (rough,) = evaluate([g], point.env, point.sizes, functions)
        return float(abs(rough - truth).max())
    except (ArithmeticError, ValueError, TypeError):
        return float("inf")


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
