"""The generated NumPy code against the same expression in 50 digits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matcalc.checks.evaluate import Derivatives, evaluate, stand_in
from matcalc.checks.maps import map_stand_in
from matcalc.checks.sampling import Point
from matcalc.dims import ONE
from matcalc.expr import Expr, postorder
from matcalc.facts import INTEGER, has
from matcalc.primitives.functions import Elementwise, Unknown
from matcalc.primitives.maps import Map, Mapped

EPS = 2.0**-52
TOLERATED = 1e4  # multiples of EPS, or of what rounding costs at least
SMALLEST = 1e-100


def compiled_result(
    what: str, g: Expr, point: Point, truth: Any, functions: Mapping[str, Derivatives]
) -> tuple[float | None, str]:
    """The largest relative error of the compiled code in multiples of machine epsilon, and what is to be said of it.

    ``what``  names the derivative in what is said
    """
    error, why, _ = compiled_results({what: g}, point, [truth], functions)
    return error, why


def compiled_results(
    derived: Mapping[str, Expr], point: Point, truths: Sequence[Any], functions: Mapping[str, Derivatives]
) -> tuple[float | None, str, list[Any]]:
    """The same of several expressions that are compiled together, of which ``derived`` says what they are; also the
    values that the code gives.
    """
    from matcalc.lowering.compiled import compile_numpy

    roots = list(derived.values())
    outputs = {f"y{k}": e for k, e in enumerate(roots)} if len(roots) > 1 else roots[0]
    try:
        code = compile_numpy(outputs, functions=for_numpy(roots, functions, point.sizes), subgradient=True)
        compared, values = [], []
        for given in (_by_columns(point), point):
            values = run_compiled(code, given)
            values = [values] if len(roots) == 1 else list(values)
            compared += [
                _compared(what, e, value, point, truth, functions)
                for (what, e), value, truth in zip(derived.items(), values, truths, strict=True)
            ]
    except Exception as e:  # as above
        return float("inf"), f"the generated NumPy code does not run: {type(e).__name__}: {e}", []
    known = [error for error, _ in compared if error is not None]
    said = dict.fromkeys(why for _, why in compared if why)
    return max(known, default=None), "; ".join(said), values


def _by_columns(point: Point) -> Point:
    """The same point with matrices that lie in memory column by column, as those of a user may."""
    import numpy

    return Point(point.sizes, {e: numpy.asfortranarray(a) for e, a in point.env.items()})


def _compared(
    what: str, g: Expr, found: Any, point: Point, truth: Any, functions: Mapping[str, Derivatives]
) -> tuple[float | None, str]:
    import numpy

    try:
        found = numpy.asarray(found, dtype=float).reshape(truth.shape)
    except (TypeError, ValueError) as e:
        return float("inf"), f"the generated NumPy code gives something else: {e}"
    exact = truth.astype(float)
    largest = float(abs(exact).max())
    if 0 < largest < SMALLEST:
        return (
            None,
            f"the {what} is too small here for float64: the generated NumPy code was not compared",
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

    from matcalc.lowering.planned import input_name

    given: dict[str, Any] = {**point.sizes, **{input_name(e): _array(a, e) for e, a in point.env.items()}}
    with numpy.errstate(all="ignore"):
        return function(**{name: given[name] for name in function.arguments})


def _array(a: Any, e: Expr) -> Any:
    """In the user's convention: scalars are numbers, vectors (rows too) have one dimension."""
    if has(e, INTEGER):
        return int(a[0, 0])
    a = a.astype(float)
    return a[0, 0] if e.is_scalar else a.ravel() if e.is_column or e.is_row else a


def for_numpy(
    roots: Sequence[Expr], functions: Mapping[str, Derivatives], sizes: Mapping[str, int] | None = None
) -> dict[str, list[Any]]:
    """The unknown functions of expressions as lists by order of functions of float arrays; ``sizes`` for maps."""
    highest: dict[str, int] = {}
    maps: dict[Map, int] = {}
    for node in postorder(roots):
        if isinstance(node.op, Mapped):
            maps[node.op.function] = max(len(node.op.by), maps.get(node.op.function, 0))
        if isinstance(node.op, Elementwise) and isinstance(node.op.function, Unknown):
            name = node.op.function.name
            highest[name] = max(node.op.order, highest.get(name, 0))
    return {
        name: [_on_floats(functions.get(name) or stand_in(name), order) for order in range(top + 1)]
        for name, top in highest.items()
    } | {
        of.name: [_of_map(of, functions.get(of.name) or map_stand_in(of), (), k, sizes or {}) for k in range(top + 1)]
        for of, top in maps.items()
    }


def _of_map(of: Map, f: Derivatives, slots: tuple[int, ...], more: int, sizes: Mapping[str, int]) -> Any:
    """A derivative of a map as a function of float arrays; ``more`` levels of lists over the arguments."""
    if more:
        return [_of_map(of, f, (*slots, slot), more - 1, sizes) for slot in range(len(of.domains))]
    shape = of.shape(slots)

    def apply(*x: Any) -> Any:
        import mpmath
        import numpy

        matrices = []
        for a, (_, cols) in zip(x, of.domains, strict=True):
            rows = numpy.asarray(a, dtype=float)
            matrix = rows if rows.ndim == 2 else rows.reshape((-1, 1) if cols is ONE else (1, -1))
            matrices.append(numpy.frompyfunc(lambda t: mpmath.mpf(float(t)), 1, 1)(matrix))
        found = f(slots, matrices, sizes).astype(float)
        return found.reshape([n for n, d in zip(found.shape, shape, strict=True) if d is not ONE])

    return apply


def _on_floats(f: Derivatives, order: int) -> Callable[[Any], Any]:
    def apply(x: Any) -> Any:
        import mpmath
        import numpy

        return numpy.vectorize(lambda t: float(f(order, mpmath.mpf(float(t)))), otypes=[float])(x)

    return apply
