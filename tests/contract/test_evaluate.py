"""The evaluator and the sampler, of which everything else is tested with."""

from __future__ import annotations

from random import Random

import mpmath
import pytest

from matcalc.checks.evaluate import evaluate, stand_in
from matcalc.checks.sampling import NoSizes, draw_direction, draw_point, draw_sizes
from matcalc.dims import ONE, dim
from matcalc.expr import make
from matcalc.primitives import convolution
from matcalc.primitives.functions import Defined, Unknown
from matcalc.primitives.leaves import Index, const, size, var
from matcalc.primitives.loops import indexed_sum
from matcalc.primitives.structure import ALL, AT, sliced

n, m = dim("n"), dim("m")
x = var("x", (n, ONE))
i, j = make(Index("i")), make(Index("j"))


def number(e, env, **sizes):
    ((value,),) = evaluate([e], env, sizes)[0]
    return value


def entry(index):
    return sliced(x, AT, ALL, index)


def test_a_sum_binds_its_index():
    assert number(indexed_sum(entry(i) * i, i, const(1), size(n)), {x: [5, 6, 7]}, n=3) == 5 + 12 + 21


def test_an_inner_sum_may_use_the_same_index():
    inner = indexed_sum(entry(i), i, const(1), size(n))
    assert number(indexed_sum(entry(i) * inner, i, const(2), size(n)), {x: [5, 6, 7]}, n=3) == 13 * 18


def test_sums_within_sums():
    both = indexed_sum(indexed_sum(entry(i) * entry(j) * i, j, i, size(n)), i, const(1), size(n))
    assert number(both, {x: [1, 2, 3]}, n=3) == 6 + 2 * 2 * 5 + 3 * 3 * 3


def test_an_empty_sum_is_zero():
    assert number(indexed_sum(entry(i), i, const(3), const(2)), {x: [1, 2, 3]}, n=3) == 0


def test_a_defined_function_in_another():
    t, a = var("t"), var("a")
    f = Defined("f", t, t * t + a)
    g = Defined("g", t, f(t) * f(a) + Unknown("phi")(t))
    phi = {"phi": lambda order, s: 100 * s}
    ((value,),) = evaluate([g(t + 1)], {t: 1, a: 3}, {}, phi)[0]
    assert value == (4 + 3) * (9 + 3) + 200


def test_a_float_is_taken_exactly():
    assert number(var("a") * 3, {var("a"): 0.1}) == mpmath.mpf(0.1) * 3


def test_a_missing_value_is_an_error():
    with pytest.raises(KeyError):
        evaluate([x], {}, {"n": 2})


def test_a_deep_expression_needs_no_deep_stack():
    e = var("a")
    for _ in range(20000):
        e = 1 + e
    assert number(e, {var("a"): 1}) == 20001


@pytest.mark.parametrize("name", ["phi", "psi", "Phi", "Psi", "sigma", "f"])
def test_a_stand_in_has_its_derivatives(name):
    f = stand_in(name)
    with mpmath.workdps(40):
        for order in range(4):
            slope = mpmath.diff(lambda t, order=order: f(order, t), mpmath.mpf("0.7"))
            assert abs(slope - f(order + 1, mpmath.mpf("0.7"))) < 1e-15


def test_stand_ins_differ():
    values = {float(stand_in(name)(0, mpmath.mpf(1))) for name in ("phi", "psi", "Phi", "Psi", "f", "g")}
    assert len(values) == 6


def test_sizes_are_different_and_make_every_shape_exist():
    e = convolution.Conv("valid")(var("K", (m, m)), var("X", (n, n)))
    for seed in range(50):
        sizes = draw_sizes([e], Random(seed))
        assert sizes["m"] != sizes["n"]
        assert sizes["n"] >= sizes["m"]


def test_constant_indices_need_room():
    e = entry(const(7))
    assert all(draw_sizes([e], Random(seed))["n"] >= 7 for seed in range(10))


def test_impossible_shapes_are_said_to_be():
    with pytest.raises(NoSizes):
        draw_sizes([var("v", (dim(2) - n * n, ONE))], Random(0))


def test_directions_stay_in_the_subspace():
    rng = Random(0)
    s, d = var("S", (n, n), "spd"), var("D", (n, n), "diagonal")
    point = draw_point([s, d], rng)
    along = draw_direction(s, point.sizes, rng)
    assert (along == along.T).all()
    along = draw_direction(d, point.sizes, rng)
    assert all(along[a, b] == 0 for a in range(len(along)) for b in range(len(along)) if a != b)
