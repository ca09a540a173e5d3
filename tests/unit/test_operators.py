"""Callables in two stages, operators, second derivatives with value and gradient, the small factors of a matrix."""

from __future__ import annotations

import re

import numpy as np
import pytest

import matcalc
from matcalc.errors import ArgumentError, LimitError
from matcalc.expr import substitute
from matcalc.lowering import compile_numpy
from matcalc.simplify import simplify

RNG = np.random.default_rng(5)
SIZES = {"m": 5, "n": 3, "k": 2, "p": 4, "q": 6}


def arrays(of, **given):
    """Random values of the variables of a formula."""
    found = {}
    for name, v in of.program.variables.items():
        shape = [d.evaluate(SIZES) for d in v.shape]
        a = RNG.uniform(0.3, 1.2, shape)
        if "spd" in v.op.declared:
            a = a @ a.T + np.eye(len(a))
        elif "symmetric" in v.op.declared:
            a = a + a.T
        found[name] = a.ravel()[0] if v.is_scalar else a.ravel() if v.is_column or v.is_row else a
    return found | given


def taken(compiled, given):
    return {name: given[name] for name in compiled.arguments}


LOGISTIC = matcalc.parse("sum(log(1 + exp(-y.*(X*w)))) + l/2*norm2(w)^2", "X in R^{m x n}; l in R positive")
FACTORED = matcalc.parse("norm(U*V' - A)^2", "U in R^{m x k}; V in R^{n x k}; A in R^{m x n}")
NET = matcalc.parse(
    "u = W2*tanh(W1*x + b); logsumexp(u) - y'*u", "W1 in R^{n x m}; W2 in R^{k x n}; x in R^m; b in R^n; y in R^k"
)


# -- two stages


@pytest.mark.parametrize(
    ("result", "name"),
    [
        (LOGISTIC.hvp("w"), "logistic"),
        (FACTORED.hvp("U, V"), "several variables"),
        (NET.gnvp("W1, b", at="u"), "Gauss-Newton"),
        (NET.hvp("W1, W2"), "net"),
        (matcalc.hvp("logdet(S) + tr(S^-1*C)", "S", "S in R^{n x n} spd; C in R^{n x n} symmetric"), "inverse"),
        (matcalc.jvp("expm(A)*X", "A, X", "A in R^{n x n}; X in R^{n x m}"), "calls"),
        (matcalc.hvp("sum(k=1..n, a[k]*tanh(x[k]*w'*x))", "w", "a in R^n; x in R^n; w in R^n"), "loop"),
        (matcalc.vjp("softmax(W*x)", "W", "W in R^{n x m}"), "transposed"),
        (matcalc.jvp("a*x", "a", "a in R"), "number"),
        (matcalc.jvp("tanh(r*A)", "r", "r in R^{1 x n}; A in R^{n x m}"), "row"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_two_stages_are_one(result, name):
    given = arrays(result.of)
    moves = {v.op.name: RNG.standard_normal([d.evaluate(SIZES) for d in v.shape]) for v in result.directions}
    variables = {v.op.name: v for v in result.directions}
    moves = {
        name: a.ravel()[0] if variables[name].is_scalar else a if min(a.shape) > 1 else a.ravel()
        for name, a in moves.items()
    }
    whole = result.compile()
    expected = whole(**taken(whole, given | moves))
    staged = result.linearise()
    product = staged(**taken(staged, given))
    for _ in range(2):  # nothing that the stages share is changed
        found = product(*moves.values())
        for a, b in zip(_tuple(found), _tuple(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


def _tuple(found):
    return found if isinstance(found, tuple) else (found,)


def test_what_directions_do_not_change_is_computed_before():
    source = LOGISTIC.hvp("w").linearise().source
    before, _, inside = source.partition("    def product(v):")
    assert "sigmoid" in before
    assert "sigmoid" not in inside
    assert inside.count("dot(") == 2
    inside = FACTORED.hvp("U").linearise().source.partition("    def product(")[2]
    assert inside.count("dot(") == 1  # with V'*V, computed before
    inside = matcalc.hvp("logdet(S)", "S", "S in R^{n x n} spd").linearise().source.partition("    def product(")[2]
    assert "linalg" not in inside  # the factorisation is made before


def test_value_and_gradient_come_with_the_function():
    given = arrays(LOGISTIC)
    staged = LOGISTIC.hvp("w").linearise(value=True, gradient=True)
    value, slope, product = staged(**taken(staged, given))
    assert value == pytest.approx(LOGISTIC.compile()(**given))
    gradient = LOGISTIC.gradient("w").compile()
    np.testing.assert_allclose(slope, gradient(**taken(gradient, given)))
    hessian = LOGISTIC.hessian("w").compile()
    v = RNG.standard_normal(3)
    np.testing.assert_allclose(product(v), hessian(**taken(hessian, given)) @ v)


def test_results_share_no_memory_with_what_the_stages_share():
    product = matcalc.jvp("x + C*y", "y", "C in R^{n x n}; x, y in R^n").linearise()(C=np.eye(3), x=np.ones(3))
    first = product(np.ones(3))
    first[:] = 7
    assert product(np.ones(3)).tolist() == [1, 1, 1]
    zero = matcalc.hvp("c'*x", "x", "c, x in R^n").linearise()(c=np.ones(3))
    first = zero(np.ones(3))
    first[:] = 7
    assert zero(np.ones(3)).tolist() == [0, 0, 0]


def test_directions_are_checked():
    staged = LOGISTIC.hvp("w").linearise()
    given = taken(staged, arrays(LOGISTIC))
    product = staged(**given)
    with pytest.raises(ArgumentError, match=r"v must have shape \(3,\)"):
        product(np.ones(4))
    with pytest.raises(ArgumentError, match="complex"):
        product(np.ones(3, complex))
    assert product([1, 0, 0]).shape == (3,)
    assert product(np.ones(3, np.float32)).dtype == np.float64
    single = {name: np.float32(a) for name, a in given.items()}
    assert staged(**single)(np.ones(3)).dtype == np.float32
    with pytest.raises(ArgumentError, match="l, w are missing"):
        staged(X=given["X"], y=given["y"])


def test_unknown_functions_in_two_stages():
    result = matcalc.jvp("phi(W*x)", "x", "W in R^{m x n}")
    product = result.linearise(functions={"phi": [np.sin, np.cos]})(W=np.eye(2), x=np.zeros(2))
    assert product(np.ones(2)).tolist() == [1, 1]


def test_a_function_in_two_stages_as_source():
    assert "def product(v):" in LOGISTIC.hvp("w").source(linearised=True)
    with pytest.raises(ArgumentError, match="two stages"):
        LOGISTIC.hvp("w").source(linearised=True, batch="w")


def test_later_functions_of_a_module_are_independent():
    x = LOGISTIC.program.variables["w"]
    from matcalc.lowering.staged import Later

    later = [Later("double", "2*x", (x,), {"y": simplify(x + x)}), Later("square", "x'*x", (x,), {"y": x.T @ x})]
    double, square = compile_numpy({}, [], later=later)(n=2)
    assert double(np.ones(2)).tolist() == [2, 2]
    assert square(np.ones(2)) == 2


# -- value and gradient with a second derivative


@pytest.mark.parametrize(
    "result",
    [LOGISTIC.hessian("w"), LOGISTIC.hvp("w"), NET.gauss_newton("W1, b", at="u"), NET.gnvp("W1, b", at="u")],
    ids=["hessian", "hvp", "gauss-newton", "gnvp"],
)
def test_value_and_gradients_come_first(result):
    given = arrays(result.of) | {
        v.op.name: RNG.standard_normal(tuple(d.evaluate(SIZES) for d in v.shape if d.value != 1))
        for v in result.directions
    }
    both, alone = result.compile(value=True, gradient=True), result.compile()
    value, *found = both(**taken(both, given))
    names = list(result.variables)
    slopes = result.of.gradient(*names).compile(value=True)
    expected, *gradients = slopes(**taken(slopes, given))
    assert value == pytest.approx(expected)
    for a, b in zip(found, [*gradients, *_tuple(alone(**taken(alone, given)))], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_the_forward_part_is_shared():
    source = NET.hessian("W1").compile(value=True, gradient=True).source
    assert source.count("np.tanh") == 1
    assert source.count("W1.dot(x)") == 1


def test_first_derivatives_come_without_the_gradient():
    with pytest.raises(ArgumentError, match="without the gradient"):
        NET.gradient("W1").compile(gradient=True)
    with pytest.raises(ArgumentError, match="without the gradient"):
        LOGISTIC.jacobian("w").compile(gradient=True)
    with pytest.raises(matcalc.errors.NotScalarError):
        matcalc.hessian("tanh(A*x)", "x").compile(gradient=True)


def deep(layers):
    lines = ["X0 = x", *(f"X{k} = tanh(W{k}*X{k - 1})" for k in range(1, layers + 1)), f"u = X{layers}"]
    shapes = [f"W{k} in R^{{n x n}}" for k in range(1, layers + 1)]
    names = ", ".join(f"W{k}" for k in range(1, layers + 1))
    return matcalc.parse("; ".join([*lines, "norm(u - y)^2"]), "; ".join([*shapes, "x, y in R^{n x p}"])), names


@pytest.mark.parametrize(("method", "products"), [("gradient", 3), ("gnvp", 7), ("hvp", 10)])
def test_products_of_a_deep_net_grow_with_its_depth(method, products):
    counts = []
    for layers in (10, 20, 40):
        net, names = deep(layers)
        options = {"at": "u"} if method == "gnvp" else {}
        result = getattr(net, method)(names, **options)
        source = result.compile(**({} if method == "gradient" else {"gradient": True})).source
        counts.append(source.count("dot("))
        assert counts[-1] <= products * layers
    assert counts[2] - counts[1] == 2 * (counts[1] - counts[0])  # in proportion


def test_the_command_line_gives_the_gradient_and_two_stages(capsys):
    from matcalc.__main__ import main

    assert main(["hvp", "sum(exp(X*w))", "--wrt", "w", "--format", "python", "--gradient", "--linearised"]) == 0
    assert re.search(r"return .*, product", capsys.readouterr().out)
    assert (
        main(["hessian", "norm(U*V' - A)^2", "--wrt", "U", "--where", "U in R^{m x k}; V in R^{n x k}", "--compressed"])
        == 0
    )
    assert capsys.readouterr().out == "H = kron(M, eye(m))\nwhere\n  M = 2*V'*V\n# inferred: A in R^{m x n}\n"
    assert main(["hessian", "sum(exp(x))", "--wrt", "x", "--compressed", "--format", "json"]) == 0
    assert '"structure"' in capsys.readouterr().out
    assert main(["hessian", "sum(exp(x))", "--wrt", "x", "--compressed", "--format", "latex"]) == 0
    assert "aligned" in capsys.readouterr().out


# -- operators


def test_an_operator_computes_the_forward_part_once():
    pytest.importorskip("scipy")
    source = LOGISTIC.hessian("w").operator().source
    assert "sigmoid" not in source.partition("def product")[2]
    both = LOGISTIC.jacobian("w").operator().source
    assert both.count("sigmoid") == 1
    assert both.count("def ") == 3


def test_operators_take_complex_vectors_and_many_columns():
    pytest.importorskip("scipy")
    given = arrays(FACTORED)
    h = FACTORED.hessian("U, V")
    dense, operator = h.compile()(**given), h.operator()(**given)
    v = RNG.standard_normal(16) + 1j * RNG.standard_normal(16)
    np.testing.assert_allclose(operator @ v, dense @ v, atol=1e-12)
    np.testing.assert_allclose(operator.H @ v, dense @ v, atol=1e-12)
    np.testing.assert_allclose(operator @ np.eye(16), dense, atol=1e-12)
    assert operator.T.T.shape == operator.shape


def test_an_operator_names_its_cotangent_apart():
    pytest.importorskip("scipy")
    j = matcalc.jacobian("A*tanh(u)", "u", "A in R^{m x n}; u in R^n")
    given = arrays(j.of)
    operator, dense = j.operator()(**given), j.compile()(**given)
    np.testing.assert_allclose(operator @ np.eye(3), dense)
    np.testing.assert_allclose(operator.T @ np.eye(5), dense.T)


def test_over_the_limit_an_operator_works():
    pytest.importorskip("scipy")
    h = FACTORED.hessian("U")
    m, n, k = 5000, 4000, 10
    given = {"V": RNG.standard_normal((n, k)), "m": m}
    with pytest.raises(LimitError, match="operator"):
        h.compile()(U=np.ones((m, k)), V=given["V"]) if "U" in h.compile().arguments else h.compile()(**given)
    operator = h.operator()(U=np.ones((m, k)), V=given["V"])
    v = RNG.standard_normal(m * k)
    expected = 2 * v.reshape(k, m).T @ (given["V"].T @ given["V"])
    np.testing.assert_allclose(operator @ v, expected.T.ravel(), rtol=1e-10)
    np.testing.assert_allclose(operator.solve(operator @ v), v, rtol=1e-8)


# -- small factors

FACTORS = [
    ("norm(U*V' - A)^2", "U", "U in R^{m x k}; V in R^{n x k}", "H = kron(M, eye(m)) with M = 2*V'*V"),
    ("sum(exp(X))", "X", "X in R^{m x n}", "H = diag(vec(M)) with M = exp(X)"),
    ("logdet(S)", "S", "S in R^{n x n} spd", "H = -kron(M, M') with M = S^-1"),
    ("logsumexp(x)", "x", "x in R^n", "H = diag(d) - d*d' with d = softmax(x)"),
    ("norm2(x)^4", "x", "x in R^n", "H = 8*x*x' + c*I with c = 4*x'*x"),
    ("tr(A*X'*B*X)", "X", "X in R^{m x n}; A in R^{n x n} symmetric; B in R^{m x m} symmetric", "H = 2*kron(A, B)"),
    ("norm2(X*w - y)^2", "w", "X in R^{m x n}", "H = M with M = 2*X'*X"),
    (
        "norm(A*X - C)^2 + l*norm(X)^2",
        "X",
        "A in R^{p x m}; X in R^{m x n}; l in R",
        "H = kron(eye(n), M) with M = 2*(A'*A + l*I)",
    ),
    (
        "sum(softplus(X*W))",
        "W",
        "X in R^{m x n}; W in R^{n x k}",
        "H = kron(eye(k), X')*diag(vec(M))*kron(eye(k), X) with M = sigmoid(X*W) .* (1 - sigmoid(X*W))",
    ),
]


@pytest.mark.parametrize(("text", "wrt", "where", "expected"), FACTORS, ids=[row[0] for row in FACTORS])
def test_the_small_factors_of_a_matrix(text, wrt, where, expected):
    h = matcalc.hessian(text, wrt, where)
    c = h.compressed
    assert c.text(lines=False) == expected
    given = arrays(h.of)
    whole, factors = h.compile(), c.compile()
    found = dict(zip(c.factors, _tuple(factors(**taken(factors, given))), strict=True))
    (structure,) = c.structure.values()
    rebuilt = compile_numpy(structure)
    known = given | found | {name: SIZES[name] for name in SIZES}
    np.testing.assert_allclose(rebuilt(**taken(rebuilt, known)), whole(**taken(whole, given)), rtol=1e-12, atol=1e-13)
    assert c.as_dict()["factors"].keys() == c.factors.keys()
    assert "aligned" in c.latex()


def test_factors_of_blocks_and_of_jacobians():
    h = FACTORED.hessian("U, V")
    c = h.compressed
    for name, e in c.structure.items():
        back = substitute(e, {c._names[f]: f for f in c.factors.values()})
        assert simplify(back) is h[name]
    assert str(matcalc.jacobian("X^-1", "X", "X in R^{n x n}").compressed).startswith("J = -kron(M, M')")
    assert matcalc.jacobian("r*A", "r", "r in R^{1 x n}; A in R^{n x m}").compressed.factors.keys() == {"A"}


def test_compile_gives_the_factors():
    given = arrays(FACTORED)
    compiled = FACTORED.hessian("U").compile(compressed=True, value=True, gradient=True)
    value, slope, m = compiled(**taken(compiled, given))
    assert value > 0
    assert slope.shape == (5, 2)
    np.testing.assert_allclose(m, 2 * given["V"].T @ given["V"])
    with pytest.raises(ArgumentError, match="no factors"):
        matcalc.hessian("x'*x", "x", "x in R^n").compile(compressed=True)


def test_products_of_low_rank_are_multiplied_out_by_size():
    f = FACTORED.hvp("U, V")
    staged, whole = f.linearise(), f.compile()
    for m, n, k in ((60, 50, 3), (5, 4, 3), (3, 4, 40)):
        given = {"U": RNG.standard_normal((m, k)), "V": RNG.standard_normal((n, k)), "A": RNG.standard_normal((m, n))}
        moves = [RNG.standard_normal((m, k)), RNG.standard_normal((n, k))]
        names = [v.op.name for v in f.directions]
        expected = whole(**given, **dict(zip(names, moves, strict=True)))
        for a, b in zip(staged(**given)(*moves), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


def test_sums_of_products_of_directions_are_multiplied_out():
    from matcalc.dims import dim
    from matcalc.lowering.distributing import distributed
    from matcalc.lowering.plan import Plan, reachable

    m, n, k = dim("m"), dim("n"), dim("k")
    for sizes, expected in (({"m": 900, "n": 800, "k": 3}, True), ({"m": 3, "n": 4, "k": 900}, False)):
        plan = Plan(sizes=sizes)
        plan.later = frozenset({"X", "Y"})
        u, v = plan.argument("U", (m, k)), plan.argument("V", (n, k))
        x, y = plan.argument("X", (m, k)), plan.argument("Y", (n, k))
        a = plan.value("dot", (x, plan.transpose(v)), (m, n))
        b = plan.value("dot", (y, plan.transpose(u)), (n, m))
        total = plan.value("add", (a, plan.transpose(b)), (m, n), (False, True))
        roots = [plan.value("dot", (total, v), (m, k)), plan.value("dot", (plan.transpose(u), total), (k, n))]
        shapes = {w.shape for w in reachable(distributed(plan, roots)) if w.op in ("dot", "add")}
        assert ((m, n) not in shapes) is expected


@pytest.mark.parametrize("layers", [8, 24])
def test_of_a_deep_net_only_the_forward_values_are_kept(layers):
    import tracemalloc

    net, names = deep(layers)
    n, p = 4, 2000
    given = {f"W{k}": RNG.standard_normal((n, n)) for k in range(1, layers + 1)}
    given |= {"x": RNG.standard_normal((n, p)), "y": RNG.standard_normal((n, p))}
    gradient, product = net.gradient(names).compile(), net.gnvp(names, at="u").linearise()
    along = product(**taken(product, given))
    moves = [given[f"W{k}"] for k in range(1, layers + 1)]
    for run, most in ((lambda: gradient(**taken(gradient, given)), layers + 3), (lambda: along(*moves), 9)):
        run()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        run()
        peak = tracemalloc.get_traced_memory()[1] - before
        tracemalloc.stop()
        assert peak <= most * n * p * 8


def test_what_is_freed_is_not_needed_any_more():
    from matcalc.lowering.lifetimes import freed

    lines = ["    a = f(x)", "    for k in range(n):", "        b = a[k]", "    c = g(b)", "    d = h(c)"]
    assert freed(lines, {"a", "b", "c", "d", "x"}, ["    return d"]) == [
        *lines[:3],
        "    del a",
        lines[3],
        lines[4],
    ]
    assert freed(lines, {"c"}, ["    return g(d)"])[-1] == freed(lines, {"c"}, (), repeated=True)[-1] == "    del c"


def test_variables_that_are_symmetric_or_diagonal_move_among_such_matrices():
    pytest.importorskip("scipy")
    swap = np.eye(9).reshape(3, 3, 3, 3).transpose(0, 1, 3, 2).reshape(9, 9)
    for fact, onto in (("spd", (np.eye(9) + swap) / 2), ("diagonal", np.diag(np.eye(3).ravel()))):
        h = matcalc.hessian("tr(A^4) + tr(B*A*C*A)", "A", f"A in R^{{n x n}} {fact}; B, C in R^{{n x n}}")
        given = arrays(h.of)
        if fact == "diagonal":
            given["A"] = np.diag(np.diag(given["A"]))
        dense, operator = h.compile(), h.operator()(**given)
        whole = onto @ dense(**taken(dense, given)) @ onto
        np.testing.assert_allclose(onto @ (operator @ np.eye(9)) @ onto, whole, atol=1e-10)
        np.testing.assert_allclose(operator @ np.eye(9), operator.T @ np.eye(9), atol=1e-10)
        j = matcalc.jacobian("B*A*C", "A", f"A in R^{{n x n}} {fact}; B, C in R^{{n x n}}")
        operator = j.operator()(**{name: given[name] for name in j.operator().arguments})
        np.testing.assert_allclose(operator @ np.eye(9), (operator.T @ np.eye(9)).T, atol=1e-12)
        np.testing.assert_allclose(operator @ onto, np.kron(given["C"].T, given["B"]) @ onto, atol=1e-12)
