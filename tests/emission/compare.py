"""The callables of other array libraries against those of NumPy, at random points."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import mpmath
import numpy as np
import pytest

from matcalc.checks.evaluate import evaluate
from matcalc.checks.sampling import draw_point
from matcalc.emission.arrays import compile_arrays
from matcalc.errors import ArgumentError
from matcalc.expr import Expr, postorder
from matcalc.facts import INTEGER, has
from matcalc.lowering.compiled import compile_numpy
from matcalc.lowering.planned import input_name
from matcalc.primitives.functions import Elementwise, Unknown
from matcalc.primitives.maps import Mapped

TESTS = Path(__file__).parents[1]


def problems() -> dict[str, dict[str, str]]:
    """The golden problems and the reference table: text, declarations, kind and variables of each."""
    found: dict[str, dict[str, str]] = {}
    files = {"problems": "gradient", "jacobians": "jacobian", "hessians": "hessian"}
    for file, kind in files.items():
        table = tomllib.loads((TESTS / "golden" / f"{file}.toml").read_text(encoding="utf-8"))
        found |= {f"{file}/{name}": {"kind": kind} | problem for name, problem in table.items()}
    table = tomllib.loads((TESTS / "reference" / "table.toml").read_text(encoding="utf-8"))
    for name, problem in table.items():
        if isinstance(problem, dict) and {"text", "wrt"} <= problem.keys():
            found[f"reference/{name}"] = {"kind": "gradient"} | problem
    return found


def random_derivatives(seed: int) -> list[Expr]:
    """A random expression, its gradients or Jacobians, and a Hessian."""
    from matcalc.calculus.gradient import gradient
    from matcalc.calculus.hessian import hessian
    from matcalc.calculus.vectorise import Vectoriser
    from matcalc.simplify import simplify
    from tests.properties.test_random_jacobians import real_variables, valued

    e = valued(seed, 2 + seed % 2)
    x, *others = real_variables(e)
    if not e.is_scalar:
        return [e, Vectoriser(simplify).jacobian(e, x)]
    found = gradient(e, [x, *others[:1]])
    return [e, *[simplify(g) for g in found.values()], *hessian(e, [x], tidy=simplify).values()]


def outputs_of(problem: Mapping[str, Any]) -> tuple[Any, list[Expr], dict[str, Any]] | None:
    """What is compiled of a problem, with its arguments and options; None where nothing is derived."""
    import matcalc

    f = matcalc.parse(problem["text"], where=problem.get("where"))
    if problem["kind"] == "simplified":
        return None
    options = {k: problem[k] for k in ("at",) if k in problem}
    derived = getattr(f, problem["kind"].replace("-", "_"))(problem["wrt"], **options)
    request = derived.request()
    kept = ("title", "name", "names", "subgradient", "stacked")
    return request.outputs, request.arguments, {name: getattr(request, name) for name in kept}


def function_values(roots: Sequence[Expr]) -> dict[str, list[Callable[[Any], Any]]]:
    """Something smooth for every unknown function and each of its derivatives, in arithmetic of all libraries."""
    names = {
        node.op.function.name
        for node in postorder(roots)
        if isinstance(node.op, Elementwise) and isinstance(node.op.function, Unknown)
    }
    return {name: [lambda t, k=k: (k + 1) / (1 + t * t) + 0.3 * t for k in range(6)] for name in names}


def has_maps(roots: Sequence[Expr]) -> bool:
    return any(isinstance(node.op, Mapped) for node in postorder(roots))


def point_of(roots: Sequence[Expr], arguments: Sequence[Expr], seed: object, stacked: Expr | None = None) -> dict:
    """Random arguments for NumPy by name, and sizes."""
    for attempt in range(20):
        with mpmath.workdps(30):
            point = draw_point([*roots, *arguments], Random(f"{seed} {attempt}"), attempt)
            try:
                evaluate(list(roots), point.env, point.sizes)
            except Exception:  # outside the domain
                continue
        given: dict[str, Any] = dict(point.sizes)
        for e in arguments:
            a = point.env[e]
            if has(e, INTEGER):
                given[input_name(e)] = int(a[0, 0])
                continue
            a = a.astype(float)
            given[input_name(e)] = (
                float(a[0, 0])
                if e.is_scalar
                else a
                if 1 not in a.shape or (e.rows is not e.cols and not (e.is_row or e.is_column))
                else a.ravel()
            )
        return given
    return {}


def _moved(a: Any) -> Any:
    return a * (1 + 1e-13) if isinstance(a, np.ndarray | float) else a


def differences(
    library: str,
    outputs: Any,
    arguments: Sequence[Expr] | None,
    options: Mapping[str, Any],
    seed: object,
    to_array: Callable[[Any], Any],
    to_numpy: Callable[[Any], Any],
) -> tuple[float, str] | None:
    """The largest relative difference of what a library's callable gives, and its source; None where NumPy fails."""
    from matcalc.lowering.planned import inputs

    roots = [outputs] if isinstance(outputs, Expr) else list(outputs.values())
    if has_maps(roots):
        return None
    stacked = options.get("stacked")
    arguments = [e for e in inputs(roots) if e is not stacked] if arguments is None else arguments
    given = point_of(roots, arguments, seed)
    if not given:
        return None
    for name in options.get("batch", ()):
        given[name] = np.stack([np.asarray(given[name]) * factor for factor in (1, 1.1, 0.9)])
    functions = function_values(roots)
    ours = compile_numpy(outputs, arguments, functions=functions, **options)
    try:
        with np.errstate(all="ignore"):
            expected = ours(**{name: given[name] for name in ours.arguments})
            moved = ours(**{name: _moved(given[name]) for name in ours.arguments})
    except (ArgumentError, np.linalg.LinAlgError):
        return None
    theirs = compile_arrays(library, outputs, arguments, functions=functions, **options)
    assert set(theirs.arguments) == set(ours.arguments)
    with np.errstate(all="ignore"):
        found = theirs(
            **{
                name: to_array(np.asarray(a)) if isinstance(a, float | np.ndarray) else a
                for name, a in given.items()
                if name in ours.arguments
            }
        )
    worst, k = 0.0, 0
    several = isinstance(expected, tuple)
    for a, b in zip(expected if several else (expected,), found if several else (found,), strict=True):
        a, b = np.asarray(a), to_numpy(b)
        assert a.shape == b.shape, f"{b.shape} instead of {a.shape}\n{theirs.source}"
        other = np.asarray(moved[k] if several else moved)
        k += 1
        largest = max(float(np.max(np.abs(a), initial=0.0)), 1e-9)
        if not np.all(np.isfinite(a)) or not np.all(np.abs(a - other) <= 1e-9 * largest):
            continue  # nothing to compare with: rounding decides
        worst = max(worst, float(np.max(np.abs(a - b), initial=0.0)) / largest)
    return worst, theirs.source


LABELS = [  # formulas with positions among their arguments, and what is a batch
    ("logsumexp(W*x) - (W*x)[k]", "W in R^{m x n}; x in R^n", "W", "x, k"),
    ("logsumexp(W*x) - (W*x)[k]", "W in R^{m x n}; x in R^n", "x", "x, k"),
    ("A[k,:]*x", "A in R^{m x n}; x in R^n", "x", "k"),
    ("norm2(A[:,k] - x)^2", "A in R^{m x n}; x in R^m", "A", "x, k"),
    ("A[i,k]^2*sum(x)", "A in R^{m x n}; x in R^n", "x", "i, k"),
    ("A[i,k]^2*sum(x)", "A in R^{m x n}; x in R^n", "x", "i, k, A"),
    ("A[2,k]^2*sum(x)", "A in R^{m x n}; x in R^n", "x", "k, A"),
    ("k*x[k]*a^k + max(W*x)", "W in R^{m x n}; x in R^n; a in R", "x", "k, x"),
]


def labelled(
    library: str, row: tuple[str, str, str, str], to_array: Callable[[Any], Any], to_numpy: Callable[[Any], Any]
) -> Any:
    """Compares a library's gradient of a batch of labels with NumPy's; the former."""
    import matcalc

    text, where, wrt, batch = row
    g = matcalc.parse(text, where).gradient(wrt)
    sizes, names, rng = {"m": 4, "n": 5}, batch.split(", "), np.random.default_rng(0)
    given: dict[str, Any] = {"i": np.array([1, 3, 2, 4, 2, 1]), "k": np.array([1, 2, 4, 2, 3, 1])}
    for name, v in g.of.program.variables.items():
        if name not in given:
            shape = [d.evaluate(sizes) for d in v.shape if d.value != 1]
            given[name] = rng.standard_normal((6, *shape) if name in names else shape)
    ours, theirs = g.compile(batch=batch), g.compile(library=library, batch=batch)
    expected = ours(**{name: given.get(name, sizes.get(name)) for name in ours.arguments})
    arrays = {name: to_array(given[name]) if name in given else sizes[name] for name in theirs.arguments}
    np.testing.assert_allclose(to_numpy(theirs(**arrays)), expected, rtol=1e-10, err_msg=theirs.source)
    assert "for batch_item" not in theirs.source
    with pytest.raises(ValueError, match="index 9 is outside"):
        to_numpy(theirs(**arrays | {"k": to_array(np.full(6, 9))}))
    return theirs
