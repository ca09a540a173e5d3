"""Whatever is registered is tested: shape, differential, order of the remainder, adjoint, second differential."""

from __future__ import annotations

from random import Random

import mpmath
import pytest

from matcalc.calculus.differential import differential
from matcalc.calculus.gradient import gradient
from matcalc.calculus.vectorise import jacobian
from matcalc.checks.domain import Undefined, Watch
from matcalc.checks.evaluate import evaluate
from matcalc.checks.sampling import draw_direction, draw_point
from matcalc.checks.taylor import UNSOUND, Path, check_gradient, taylor
from matcalc.dims import dim
from matcalc.expr import Expr, postorder, variables
from matcalc.facts import INTEGER, has
from matcalc.primitives import leaves, registry
from matcalc.primitives.base import Linear, Multilinear, Primitive, zeros
from matcalc.primitives.elementwise import FUNCTIONS
from matcalc.primitives.functions import Elementwise
from matcalc.primitives.leaves import differential_of, var
from matcalc.primitives.loops import IndexedSum
from matcalc.primitives.products import inner
from matcalc.primitives.structure import vec
from matcalc.simplify import simplify
from tests.contract.instances import ALL, INSTANCES, name

NEAR = mpmath.mpf(10) ** -25  # relative error; differences in 50 digits are good to about 1e-30
LARGEST = 4000  # entries of a matrix that is computed in many digits at third order; of larger ones the shape is tested
every = pytest.mark.parametrize("e", ALL, ids=name)


def real(e: Expr) -> list[Expr]:
    """The variables of ``e`` that can be differentiated by."""
    return [v for v in variables([e]) if not has(v, INTEGER)]


def sound_point(roots: list[Expr], rng: Random, spare: int = 2):
    """A random point at which everything is real and finite; sizes differ by up to ``spare``."""
    for attempt in range(60):
        try:
            point = draw_point(roots, rng, attempt, spare)
            evaluate(roots, point.env, point.sizes, watch=Watch())
        except UNSOUND:
            continue
        return point
    raise Undefined(f"no point for {roots}")


def slope_along(e: Expr, v: Expr, point, direction):
    """The differential of ``e`` by the rules of its primitives, as a number."""
    d = differential_of(v)
    return evaluate([differential(e, {v: d})], {**point.env, d: direction}, point.sizes)[0]


def assert_near(found, truth, scale=1):
    assert abs(found - truth).max() <= NEAR * max(1, abs(scale), abs(truth).max())


@pytest.fixture(autouse=True)
def fifty_digits():
    with mpmath.workdps(50):
        yield


def concrete(kind: type[Primitive]) -> set[type[Primitive]]:
    below = {c for child in kind.__subclasses__() for c in concrete(child)}
    return (
        below if kind.__abstractmethods__ or kind.__name__.startswith("_") or kind.__subclasses__() else {kind, *below}
    )


def test_every_primitive_is_registered():
    symbols = {leaves.Var, leaves.Const, leaves.Size, leaves.Index, leaves.Differential}
    ours = {kind for kind in concrete(Primitive) if kind.__module__.startswith("matcalc.")}
    assert ours - symbols == set(registry.PRIMITIVES)


def test_every_primitive_has_an_instance():
    for kind in registry.PRIMITIVES:
        assert INSTANCES[kind], kind
        assert all(type(e.op) is kind for e in INSTANCES[kind]), kind


def test_every_elementwise_function_has_an_instance():
    tested = {e.op.function for e in INSTANCES[Elementwise]}
    assert tested >= set(FUNCTIONS.values())


def test_what_leaves_something_unstated_is_no_primitive():
    class Unstated(Linear):
        pass

    with pytest.raises(TypeError, match="value"):
        Unstated()


@pytest.mark.parametrize("kind", registry.PRIMITIVES, ids=lambda kind: kind.__name__)
def test_the_docstring_states_rule_and_shapes(kind):
    lines = [line.split() for line in (kind.__doc__ or "").splitlines()]
    stated = {words[0] for words in lines if words}
    if not issubclass(kind, leaves.Leaf):
        assert {"Rule", "Shapes"} <= stated


@every
def test_value_has_the_inferred_shape(e):
    for seed in range(3):
        point = sound_point([e], Random(seed))
        (value,) = evaluate([e], point.env, point.sizes)
        assert value.shape == tuple(d.evaluate(point.sizes) for d in e.shape)


@every
def test_differential_leaves_a_remainder_of_second_order(e):
    for seed, v in enumerate(real(e)):
        rng = Random(seed)
        point = sound_point([e], rng)
        direction = draw_direction(v, point.sizes, rng)
        slope = slope_along(e, v, point, direction)
        rows, note, good = taylor(Path(e, v, point, {}), slope, direction)
        assert good, (note, rows)


@every
def test_differential_agrees_with_central_differences(e):
    step = mpmath.mpf(10) ** -15
    for seed, v in enumerate(real(e)):
        rng = Random(seed)
        point = sound_point([e], rng)
        direction = draw_direction(v, point.sizes, rng)
        path = Path(e, v, point, {})
        assert_near(
            slope_along(e, v, point, direction), (path.at(step * direction) - path.at(-step * direction)) / (2 * step)
        )


@every
def test_second_differential_agrees_with_differences_of_the_first(e):
    for seed, v in enumerate(real(e)):
        rng = Random(seed)
        d = var("d", v.shape)
        first = differential(e, {v: d})
        point = sound_point([e, first], rng)
        direction = draw_direction(v, point.sizes, rng)
        path = Path(first, v, point, {})
        step = mpmath.mpf(10) ** -15
        truth = (path.at(step * direction) - path.at(-step * direction)) / (2 * step)
        assert_near(slope_along(first, v, point, direction), truth, abs(path.base).max())


@every
def test_adjoint_of_every_linear_slot(e):
    """<g, L d> = <L* g, d>, L being the map from the slot to the value."""
    op, args = e.op, e.args
    if isinstance(op, IndexedSum):
        pytest.skip("its adjoint is that of the body, for each index; calculus/transpose.py sums it")
    g = var("g", e.shape)
    for slot, a in enumerate(args):
        if not op.linear_in(slot):
            assert not isinstance(op, Linear | Multilinear) or slot in op.integer_slots
            continue
        d = var("d", a.shape)
        moved = op.differential(e, args, tuple(d if k == slot else zeros(b.shape) for k, b in enumerate(args)))
        back = op.adjoint(slot, g, e, args)
        assert back.shape == a.shape
        point = sound_point([g, d, e, back, moved], Random(slot))
        values = evaluate([g, moved, back, d], point.env, point.sizes)
        left, right = (values[0] * values[1]).sum(), (values[2] * values[3]).sum()
        assert abs(left - right) <= NEAR * max(1, abs(left))


@every
def test_gradient_by_transposition(e):
    """Of <w, e> by every variable: the way of all gradients, through the adjoint or the transposed differential."""
    w = var("w", e.shape)
    f = inner(w, e)
    found = gradient(f, real(e))
    if found:
        report = check_gradient(f, found, trials=1, compiled=False)
        assert report.passed, str(report)


@every
def test_second_gradient_by_transposition(e):
    """The derivative of <w, gradient>: everything that a gradient is built of has derivatives of its own."""
    f = inner(var("w", e.shape), e)
    for v in real(e):
        g = inner(var("v", v.shape), gradient(f, [v])[v])
        report = check_gradient(g, gradient(g, [v]), trials=1, compiled=False)
        assert report.passed, str(report)


def test_instances_use_no_other_primitive_than_registered_ones():
    symbols = (leaves.Var, leaves.Const, leaves.Size, leaves.Index)
    used = {type(node.op) for node in postorder(ALL)}
    assert used - set(symbols) <= set(registry.PRIMITIVES)


@every
def test_matrix_under_vec_of_every_linear_slot(e):
    """vec(L d) = M*vec(d), L being the map from the slot to the value."""
    op, args = e.op, e.args
    if isinstance(op, IndexedSum):
        pytest.skip("its matrix is the sum of those of the body; calculus/vectorise.py forms it")
    for slot, a in enumerate(args):
        if not op.linear_in(slot):
            continue
        d = var("d", a.shape)
        moved = op.differential(e, args, tuple(d if k == slot else zeros(b.shape) for k, b in enumerate(args)))
        image = op.matrix(slot, e, args) @ vec(d)
        assert image.shape == (e.rows * e.cols, dim(1))
        point = sound_point([d, e, image, moved], Random(slot))
        found, truth = evaluate([image, vec(moved)], point.env, point.sizes)
        assert_near(found, truth)


@every
def test_jacobian_agrees_with_the_differential(e):
    """J*vec(d) = vec(de), for the raw and for the simplified Jacobian, by every variable."""
    for seed, v in enumerate(real(e)):
        d = var("d0", v.shape)
        raw, short = jacobian(e, [v])[v], jacobian(e, [v], tidy=simplify)[v]
        assert raw.shape == short.shape == (e.rows * e.cols, v.rows * v.cols)
        roots = [raw @ vec(d), short @ vec(d), vec(differential(e, {v: d}))]
        point = sound_point([e, d, *roots], Random(seed))
        by_raw, by_short, truth = evaluate(roots, point.env, point.sizes)
        assert_near(by_raw, truth)
        assert_near(by_short, truth)


@every
def test_closed_under_differentiation_to_third_order(e):
    """The Jacobian of the Jacobian of the Jacobian, in random directions, against the differential of the second."""
    for seed, v in enumerate(real(e)):
        u, w, d = var("u0", v.shape), var("w0", v.shape), var("d0", v.shape)
        first = jacobian(e, [v], tidy=simplify)[v] @ vec(u)
        second = jacobian(first, [v], tidy=simplify)[v] @ vec(w)
        third = jacobian(second, [v], tidy=simplify)[v] @ vec(d)
        roots = [third, vec(differential(second, {v: d}))]
        with mpmath.workdps(30):  # the matrices are large
            point = sound_point([e, v, u, w, d], Random(seed), spare=0)
            if max((a.rows * a.cols).evaluate(point.sizes) for a in postorder(roots)) > LARGEST:
                continue
            found, truth = evaluate(roots, point.env, point.sizes)
            assert abs(found - truth).max() <= mpmath.mpf(10) ** -15 * max(1, abs(truth).max())
