"""The order of products by the real dimensions, and the functions that are planned for them."""

from __future__ import annotations

import pickle
import re
import threading
from typing import Any

import numpy as np
import pytest

import matcalc
from matcalc.dims import ONE, dim
from matcalc.errors import ArgumentError
from matcalc.lowering import compile_numpy, compiled, ordering, planned
from matcalc.lowering.plan import Plan
from matcalc.lowering.specialised import BySizes

FACTORISATION = ("norm2(U*V' - A)^2", "U in R^{m x k}; V in R^{n x k}; A in R^{m x n}")
CHAIN = ("A*B*C*D", "A in R^{m x n}; B in R^{n x p}; C in R^{p x q}; D in R^{q x r}")


def random(fn: Any, f: Any, sizes: dict[str, int], seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    needed = {name: v for name, v in f.program.variables.items() if name in fn.arguments}
    shapes = {name: [d.evaluate(sizes) for d in v.shape if d is not ONE] for name, v in needed.items()}
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def operations(source: str, shapes: dict[str, tuple[int, int]]) -> int:
    """Multiplications of the products in a chain of ``.dot`` calls."""
    body = source.rsplit("return ", 1)[1].strip()
    total = 0

    class Counted:
        def __init__(self, shape: tuple[int, int]) -> None:
            self.shape = shape

        @property
        def T(self) -> Counted:
            return Counted(self.shape[::-1])

        def dot(self, other: Counted) -> Counted:
            nonlocal total
            assert self.shape[1] == other.shape[0]
            total += self.shape[0] * self.shape[1] * other.shape[1]
            return Counted((self.shape[0], other.shape[1]))

    assert re.fullmatch(r"[\w.()]+", body)
    eval(body, {name: Counted(shape) for name, shape in shapes.items()})
    return total


def cheapest(sizes: tuple[int, ...]) -> int:
    """By trying all orders."""
    if len(sizes) <= 2:
        return 0
    return min(
        cheapest(sizes[: k + 1]) + cheapest(sizes[k:]) + sizes[0] * sizes[k] * sizes[-1]
        for k in range(1, len(sizes) - 1)
    )


@pytest.mark.parametrize("seed", range(8))
def test_a_chain_is_multiplied_in_the_cheapest_order_of_its_sizes(seed: int) -> None:
    f = matcalc.parse(*CHAIN)
    fn = f.compile()
    numbers = [int(k) for k in np.random.default_rng(seed).choice([2, 3, 7, 40, 90, 300], 5, replace=False)]
    sizes = dict(zip("mnpqr", numbers, strict=True))
    arrays = random(fn, f, sizes)
    A, B, C, D = (arrays[name] for name in "ABCD")
    np.testing.assert_allclose(fn(**arrays), A @ (B @ (C @ D)), rtol=1e-9, atol=1e-9 * 300**2)
    shapes = {name: a.shape for name, a in arrays.items()}
    assert operations(fn.source_for(**sizes), shapes) == cheapest(tuple(numbers))


def test_what_does_not_depend_on_sizes_is_planned_once() -> None:
    for text in ("A*B*x", "A*B + x*x'"):
        fn = matcalc.parse(text, "A in R^{m x n}; B in R^{n x m}; x in R^m").compile()
        assert "_planned" not in fn.function.__code__.co_names
        assert fn.source_for() == fn.source


def test_the_product_with_a_hessian_uses_the_small_matrix() -> None:
    f = matcalc.parse(*FACTORISATION)
    fn = f.hvp("U").compile()
    assert fn.source_for(m=1000, n=900, k=10).endswith("t1 = V.T.dot(V)\n    t1 *= 2.0\n    return W.dot(t1)\n")
    assert fn.source_for(m=3, n=4, k=500).endswith("t1 = W.dot(V.T)\n    t1 *= 2.0\n    return t1.dot(V)\n")
    rng = np.random.default_rng(1)
    for m, n, k in [(50, 40, 3), (3, 4, 60)]:
        V, W = rng.normal(size=(n, k)), rng.normal(size=(m, k))
        np.testing.assert_allclose(fn(V=V, W=W), 2 * W @ (V.T @ V), rtol=1e-10)


def test_parts_that_several_chains_have_are_computed_once() -> None:
    f = matcalc.parse("tr(A*X'*B*X*C)", "A in R^{p x n}; X in R^{m x n}; B in R^{m x m}; C in R^{n x p}")
    fn = f.gradient("X").compile()
    few = fn.source_for(m=50, n=40, p=45)
    assert few.count(".dot(") == 5  # C*A is shared by both terms
    sizes = {"m": 5, "n": 4, "p": 6}
    arrays = random(fn, f, sizes)
    A, X, B, C = (arrays[name] for name in "AXBC")
    np.testing.assert_allclose(fn(**arrays), B.T @ X @ (C @ A).T + B @ X @ C @ A, rtol=1e-12)


def test_a_transposed_part_is_the_same_part() -> None:
    f = matcalc.parse("A*B*x + (y'*A*B*C)'", "A in R^{m x n}; B in R^{n x m}; x, y in R^m; C in R^{m x m}")
    arrays = random(f.compile(), f, {"m": 4, "n": 3})
    A, B, C, x, y = (arrays[name] for name in "ABCxy")
    np.testing.assert_allclose(f.compile()(**arrays), A @ B @ x + C.T @ B.T @ A.T @ y, rtol=1e-12)
    g = matcalc.parse("A*B*C + (D*B'*A')'", "A in R^{m x n}; B in R^{n x m}; C in R^{m x m}; D in R^{m x m}")
    fn = g.compile()
    assert fn.source_for(m=10, n=90).count(".dot(") == 3  # A*B once
    assert fn.source_for(m=100, n=1).count(".dot(") == 4
    arrays = random(fn, g, {"m": 4, "n": 3})
    A, B, C, D = (arrays[name] for name in "ABCD")
    np.testing.assert_allclose(fn(**arrays), A @ B @ C + (D @ B.T @ A.T).T, rtol=1e-12)


def test_lists_integers_and_single_precision_go_through_the_same_door() -> None:
    f = matcalc.parse("A*B*C", "A in R^{m x n}; B in R^{n x p}; C in R^{p x q}")
    fn = f.compile()
    A, B, C = [[1, 2]], [[1, 2, 3], [4, 5, 6]], [[1], [0], [2]]
    assert fn(A, B, C).tolist() == [[39.0]]
    single = fn(*(np.asarray(a, np.float32) for a in (A, B, C)))
    assert single.dtype == np.float32
    with pytest.raises(ArgumentError, match="B"):
        fn(A, np.ones((3, 3)), C)


def test_many_sets_of_sizes_and_threads() -> None:
    f = matcalc.parse(*CHAIN)
    fn = f.compile()
    wrong = []

    def run(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(30):
            arrays = random(fn, f, dict(zip("mnpqr", map(int, rng.integers(0, 9, 5)), strict=True)), seed)
            A, B, C, D = (arrays[name] for name in "ABCD")
            if not np.allclose(fn(**arrays), A @ B @ C @ D):
                wrong.append(seed)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
    assert len(fn.function.__globals__["_planned"]) <= 64 + 5**5


def test_sizes_beyond_the_exact_ones_count_by_powers_of_two() -> None:
    asked = []

    def plan(sizes: tuple[int, ...]) -> tuple[str, Any]:
        asked.append(sizes)
        return "the same", lambda: len

    functions = BySizes(plan)
    assert all(functions[k,] is len for k in range(64))
    assert functions[1000,] is functions[600,] is len
    assert asked[64:] == [(1024,)]


def test_a_planned_function_is_pickled() -> None:
    f = matcalc.parse(*FACTORISATION)
    fn = f.gradient("U").compile(value=True)
    arrays = random(fn, f, {"m": 5, "n": 4, "k": 2})
    again = pickle.loads(pickle.dumps(fn))
    assert again(**arrays)[0] == fn(**arrays)[0]
    assert again.source_for(m=5, n=4, k=2) == fn.source_for(m=5, n=4, k=2)


def test_sizes_that_are_wrong_are_named() -> None:
    fn = matcalc.parse(*CHAIN).compile()
    with pytest.raises(ArgumentError, match="r is missing; the dimensions are"):
        fn.source_for(m=1, n=2, p=3, q=4)
    with pytest.raises(ArgumentError, match="z is no dimension"):
        fn.source_for(m=1, n=2, p=3, q=4, r=5, z=1)


def test_numbers_go_to_the_smallest_operand() -> None:
    f = matcalc.parse("3*A*B", "A in R^{m x n}; B in R^{n x p}")
    source = compile_numpy(f.expr).source
    assert "t1 = A.dot(B)\n    t1 *= 3.0" in source  # nothing is known of the sizes
    g = matcalc.parse("3*A*B*C", "A in R^{m x n}; B in R^{n x p}; C in R^{p x q}")
    assert "3.0 * C" in g.compile().source_for(m=100, n=50, p=4, q=30)
    h = matcalc.parse("3*A*B*C*A*A'", "A in R^{m x n}; B in R^{n x p}; C in R^{p x m}")
    arrays = random(h.compile(), h, {"m": 60, "n": 5, "p": 4})
    A, B, C = (arrays[name] for name in "ABC")
    np.testing.assert_allclose(h.compile()(**arrays), 3 * A @ B @ C @ A @ A.T, rtol=1e-9, atol=1e-9)


def test_sizes_that_no_argument_shows() -> None:
    f = matcalc.parse("A*B*C*ones(q, r)", "A in R^{m x n}; B in R^{n x p}; C in R^{p x q}")
    fn = f.compile()
    assert fn.arguments == ("A", "B", "C", "r")
    arrays = random(fn, f, {"m": 3, "n": 4, "p": 5, "q": 2})
    A, B, C = (arrays[name] for name in "ABC")
    np.testing.assert_allclose(fn(**arrays, r=7), A @ B @ C @ np.ones((2, 7)), rtol=1e-12)


NETWORK = (
    "h1 = tanh(W1*x + b1); h2 = tanh(W2*h1 + b2); h3 = tanh(W3*h2 + b3); 1/2*norm2(h3 - y)^2",
    "x in R^p; y in R^q; W1 in R^{n x p}; W2 in R^{n x n}; W3 in R^{q x n}; b1, b2 in R^n; b3 in R^q",
)


@pytest.mark.parametrize(
    ("formula", "where", "by", "served"),
    [
        ("sum(softplus(X*w)) - y'*X*w", "X in R^{m x n}; y in R^m; w in R^n", "w", True),
        (*FACTORISATION, "U", False),  # whether A*V or its operand is doubled is a question of sizes
        ("tr(A*X'*B*X*C)", "A in R^{k x n}; X in R^{m x n}; B in R^{m x m}; C in R^{n x k}", "X", False),
    ],
)
def test_what_serves_all_sizes_is_lowered_once(formula: str, where: str, by: str, served: bool) -> None:
    request = matcalc.parse(formula, where).gradient(by).request()
    module = compiled.entered_module(request)
    assert module.sizes and (module.lowered is not None) is served
    for m, n, k in ((4, 3, 2), (3000, 20, 5), (20, 3000, 300)):
        sizes = {name: {"m": m, "n": n, "k": k}[name] for name in module.sizes}
        again = compiled.module_for(request, sizes, module.given, module.lowered)
        assert again.source == compiled.module_for(request, sizes, module.given).source


def test_a_plan_for_sizes_has_the_same_values_and_its_own_weights() -> None:
    n = dim("n")
    plan = Plan()
    x = plan.argument("x", (n,))
    before, count = plan.weight(n), len(plan)
    other = plan.with_sizes({"n": before + 1})
    assert other.argument("x", (n,)) is x and other.weight(n) == before + 1
    other.argument("y", (n,))
    assert len(plan) == count and plan.weight(n) == before


def test_a_plan_is_made_twice_only_where_that_may_save_something(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def counted(plan: Any, lowered: Any) -> Any:
        made.append(0)

        def once() -> Any:
            made[-1] += 1
            return lowered()

        return ordering.cheapest(plan, once)

    monkeypatch.setattr(planned, "cheapest", counted)
    hessian = matcalc.parse(*NETWORK).hessian("W1, b1, W2, b2, W3, b3").compile()
    compiled.module_for(hessian._module.request, {"p": 500, "q": 20, "n": 300}, ())
    trace = matcalc.parse("tr(A*X'*B*X*C)", "A in R^{r x q}; X in R^{p x q}; B in R^{p x p}; C in R^{q x r}")
    gradient = trace.gradient("X").compile()
    compiled.module_for(gradient._module.request, {"p": 5, "q": 4, "r": 3}, ())
    assert made == [1, 1, 1, 2]


def test_a_vector_stands_on_the_side_where_no_transpose_is_needed() -> None:
    f = matcalc.parse("norm2(A*x - b)^2", "A in R^{m x n}; x in R^n; b in R^m")
    fn = f.gradient("x").compile()
    assert ".T" not in fn.source and ".T" not in fn.source_for(m=5, n=4) and "2.0 * " in fn.source
    rng = np.random.default_rng(0)
    A, x, b = rng.normal(size=(5, 4)), rng.normal(size=4), rng.normal(size=5)
    for a in (A, np.asfortranarray(A), A[::1, ::-1]):
        np.testing.assert_allclose(fn(A=a, x=x, b=b), 2 * a.T @ (a @ x - b), rtol=1e-12)
