"""The value of expressions to any precision, node by node through ``Primitive.value``.

It shares nothing with the generated code. Precision is that of ``mpmath.mp`` when it is called
(``with mpmath.workdps(50): ...``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias
from zlib import crc32

from matcalc.checks.maps import map_stand_in
from matcalc.expr import Expr, dependents, postorder
from matcalc.primitives.functions import Defined, Elementwise, Unknown
from matcalc.primitives.loops import IndexedSum, free_indices
from matcalc.primitives.maps import Mapped
from matcalc.primitives.reference import scalar

# (order, t) -> the value of the derivative of that order at t; for a map see checks/maps.py.
Derivatives: TypeAlias = Callable[..., Any]
Watch: TypeAlias = Callable[[Expr, list[Any], Any], None]  # told of every node, the values of its arguments, its value


def evaluate(
    roots: Sequence[Expr],
    env: Mapping[Expr, Any],
    sizes: Mapping[str, int],
    functions: Mapping[str, Derivatives] | None = None,
    watch: Watch | None = None,
) -> list[Any]:
    """The values of ``roots`` as 2-D arrays of mpmath numbers.

    ``env``        values of variables (or of whole nodes, which are then not entered); floats are taken exactly
    ``sizes``      numbers for the names of dimensions
    ``functions``  derivatives of unknown functions by name; those not given are :func:`stand_in`,
                   and maps :func:`map_stand_in`
    ``watch``      is called for every node that is computed, as often as it is; it may raise

    Raises   KeyError for a variable or a dimension without a value
    """
    values = {node: as_matrix(value, node) for node, value in env.items()}
    work = [_compute(roots, values, sizes, functions or {}, watch)]
    while work:  # a computation asks for others (the body of a sum, of a defined function) by yielding them
        wanted = next(work[-1], None)
        if wanted is None:
            work.pop()
        else:
            work.append(_compute(wanted, values, sizes, functions or {}, watch))
    return [_all_mp(values[root]) for root in roots]


def _compute(
    roots: Iterable[Expr],
    values: dict[Expr, Any],
    sizes: Mapping[str, int],
    functions: Mapping[str, Derivatives],
    watch: Watch | None,
) -> Iterator[Sequence[Expr]]:
    """Puts the values of ``roots`` into ``values``; yields what must be computed first."""

    def closed(e: Expr) -> bool:
        return e in values or isinstance(e.op, IndexedSum)

    for node in postorder(roots, stop=closed):
        if node in values:
            continue
        op = node.op
        if isinstance(op, IndexedSum):
            body, lower, upper = node.args
            yield lower, upper
            first, last = (int(values[e][0, 0]) for e in (lower, upper))
            inside = [e for e in postorder([body]) if op.index in free_indices(e)]
            total = _full([d.evaluate(sizes) for d in node.shape], 0)
            for step in _bind(op.index, range(first, last + 1), inside, body, values):
                if step is None:
                    total = total + values[body]
                else:
                    yield step
            values[node] = total
        elif isinstance(op, Elementwise) and isinstance(op.function, Defined):
            argument = values[node.args[0]]
            body, parameter = op.function.body(op.order), op.function.parameter
            results = []
            for step in _bind(parameter, argument.ravel(), dependents([body], [parameter]), body, values):
                if step is None:
                    results.append(values[body][0, 0])
                else:
                    yield step
            out = argument.copy()
            out.ravel()[:] = results
            values[node] = out
        elif isinstance(op, Elementwise) and isinstance(op.function, Unknown):
            derivatives = functions.get(op.function.name) or stand_in(op.function.name)
            values[node] = _entrywise(derivatives, op.order, values[node.args[0]])
        elif isinstance(op, Mapped):
            of_map = functions.get(op.function.name) or map_stand_in(op.function)
            values[node] = of_map(op.by, [values[a] for a in node.args], sizes)
        elif not node.args and (op.is_variable or not _has_value(node)):
            raise KeyError(f"no value for {op}")
        else:
            values[node] = op.value(sizes, *[values[a] for a in node.args])
        if watch is not None:
            watch(node, [values[a] for a in node.args if a in values], values[node])


def _bind(
    leaf: Expr, points: Iterable[Any], inside: Iterable[Expr], body: Expr, values: dict[Expr, Any]
) -> Iterator[Sequence[Expr] | None]:
    """Binds ``leaf`` to each point in turn; yields first the body, to be computed, then None: its value is there.

    The values of what depends on ``leaf`` are those of one binding only; outer ones of the same leaf come back.
    """
    inside = [*inside, leaf]
    outer = {e: values.pop(e) for e in inside if e in values}
    for point in points:
        values[leaf] = scalar(point)
        yield (body,)
        yield None
        for e in inside:
            values.pop(e, None)
    values.update(outer)


def _has_value(node: Expr) -> bool:
    from matcalc.primitives.leaves import Differential, Index

    return not isinstance(node.op, Differential | Index)


def _entrywise(derivatives: Derivatives, order: int, x: Any) -> Any:
    from matcalc.primitives.reference import entrywise

    return entrywise(lambda t: derivatives(order, t), x)


def _full(shape: list[int], value: Any) -> Any:
    import numpy

    out = numpy.empty(shape, dtype=object)
    out[...] = value
    return out


def as_matrix(value: Any, like: Expr | None = None) -> Any:
    """The value as a 2-D array of mpmath numbers; one-dimensional arrays are columns (rows for a row)."""
    import numpy

    array = numpy.array(value, dtype=object)
    if array.ndim < 2:
        array = array.reshape((1, -1) if like is not None and like.is_row else (-1, 1))
    return _all_mp(array)


def _all_mp(array: Any) -> Any:
    import mpmath

    from matcalc.primitives.reference import entrywise

    def exact(t: Any) -> Any:
        if isinstance(t, mpmath.mpf | mpmath.mpc):
            return t
        t = t.item() if hasattr(t, "item") else t
        return mpmath.mpc(t) if isinstance(t, complex) else mpmath.mpf(t)

    return entrywise(exact, array) if array.size else array


@lru_cache(maxsize=256)
def stand_in(name: str) -> Derivatives:
    """A smooth function for a name of which nothing is known: ``a*sin(w*t + p) + b*t + c``, numbers from the name."""
    key = crc32(name.encode())
    a, b, c, p, w = (1 + (key >> shift & 63) for shift in (0, 6, 12, 18, 24))

    def derivative(order: int, t: Any) -> Any:
        import mpmath

        slope, rate = mpmath.mpf(b) / 64, mpmath.mpf(w + 32) / 64
        wave = mpmath.mpf(a + 64) / 64 * rate**order * mpmath.sin(rate * t + mpmath.mpf(p) / 8 + order * mpmath.pi / 2)
        return wave + (slope * t + mpmath.mpf(c) / 16 if order == 0 else slope if order == 1 else 0)

    return derivative


__all__ = ["Derivatives", "Watch", "as_matrix", "evaluate", "stand_in"]
