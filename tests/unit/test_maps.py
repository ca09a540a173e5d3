"""Named functions and composition: formulas of several quantities, and maps of which only the shapes are known."""

from __future__ import annotations

import pickle
from itertools import permutations
from random import Random

import mpmath
import numpy
import pytest

import matcalc
from matcalc.checks.evaluate import evaluate
from matcalc.checks.maps import map_stand_in
from matcalc.checks.sampling import draw_point
from matcalc.dims import ONE, SCALAR, dim
from matcalc.errors import ArgumentError, DeclarationError, LimitError, MatcalcError, ParseError, ShapeError
from matcalc.expr import postorder
from matcalc.facts import SYMMETRIC, has
from matcalc.primitives.maps import Map, Mapped
from matcalc.printing.latex import latex
from matcalc.printing.text import text
from matcalc.syntax import parse

n, m, p = dim("n"), dim("m"), dim("p")
NET = "net: R^p -> R^o; L: R^o -> R^q; loss: R^o -> R; theta in R^p"
LAYERS = "f1: R^n, R^p -> R^m; f2: R^m x R^q -> R^k; l: R^k -> R; x1 in R^n; t1 in R^p; t2 in R^q"
WEIGHTS = "W1 in R^{m x n}; W2 in R^{p x m}; b in R^m; y in R^p; x in R^n"


# Formulas of several quantities


@pytest.mark.parametrize(
    ("program", "same", "where"),
    [
        (
            "net(x) = W2*tanh(W1*x + b); loss(u) = norm2(u - y)^2; loss(net(x))",
            "norm2(W2*tanh(W1*x + b) - y)^2",
            WEIGHTS,
        ),
        ("f(W, x) = sigmoid(W*x); f(A, f(B, z))", "sigmoid(A*sigmoid(B*z))", None),
        ("q(A, x) = x'*A*x; q(M, x) + q(M, z)", "x'*M*x + z'*M*z", None),
        ("g(x) = W*x + b; g(g(z))", "W*(W*z + b) + b", None),
        ("C(t) = L(N(t)); C(s)", "L(N(s))", "L: R^o -> R; N: R^p -> R^o; s in R^p"),
        ("f(x) = W*Psi(x); f(z)", "W*Psi(z)", None),
        ("f(x, x1) = x'*x1; f(x1, x)", "x1'*x", "x, x1 in R^n"),  # not captured by the parameters
        ("f(x) = x'*y; g(y) = f(y)^2; g(z)", "(z'*y)^2", "y, z in R^n"),  # y of g is not that of f
        ("z = A*x; f(u) = u'*z; f(x)", "x'*(A*x)", "A in R^{n x n}; x in R^n"),
        ("f(u) = z'*u; z = A*x; f(x)", "(A*x)'*x", "A in R^{n x n}; x in R^n"),
    ],
)
def test_a_call_stands_for_the_formula(program: str, same: str, where: str | None) -> None:
    assert parse(program, where).expr is parse(same, where).expr


def test_a_formula_may_stand_among_the_declarations() -> None:
    where = WEIGHTS + "; net(x) = W2*tanh(W1*x + b); loss(u) = norm2(u - y)^2"
    assert str(matcalc.parse("loss(net(x))", where)) == "norm2(W2*tanh(W1*x + b) - y)^2"


def test_an_index_of_a_formula_is_not_that_of_a_sum_around_its_call() -> None:
    where = "x in R^n; y in R^m"
    called = parse("f(u) = sum(i=1:n, u[i]^2); sum(i=1:m, y[i]*f(i*x))", where)
    written = parse("sum(i=1:m, y[i]*sum(j=1:n, (i*x)[j]^2))", where)
    with mpmath.workdps(30):
        point = draw_point([called.expr], Random(0))
        found, truth = evaluate([called.expr, written.expr], point.env, point.sizes)
    assert abs(found - truth).max() < 1e-25 * abs(truth).max()


def test_functions_of_one_number_stay_what_they_are() -> None:
    assert str(matcalc.parse("phi(t) = t/(1 + exp(-t)); phi(W*x)")) == "phi(W*x)"
    assert str(matcalc.gradient("phi(t) = t^2 + a; sum(phi(x))", "x", where="a in R; x in R^n")) == "2*x"


def test_repeated_calls_share_their_steps() -> None:
    layers = "; ".join(f"f{k}(x) = f{k - 1}(x)'*f{k - 1}(x)*A*x" for k in range(1, 40))
    program = parse(f"f0(x) = A*x; {layers}; f39(z)", "A in R^{n x n}; z in R^n")
    assert len(postorder([program.expr])) < 300


@pytest.mark.parametrize(
    ("program", "error", "words"),
    [
        ("f(x) = A*f(x); f(z)", DeclarationError, "defined by itself"),
        ("f(x) = A*g(x); g(x) = B*f(x); f(z)", DeclarationError, "f calls g calls f"),
        ("f(x, y) = x'*y; f(z)", ParseError, r"`f` is written f\(x, y\)"),
        ("f(x, y) = x'*y; f(z, 'full')", ParseError, r"`f` is written f\(x, y\)"),
        ("f(x, x) = x; f(z, z)", DeclarationError, "two parameters"),
        ("f(A, x) = A*x; f'(B, z)", ParseError, "no f'"),
        ("f(x) = A*x; f + z", MatcalcError, "without an argument"),
        ("f(A, x) = A*x; f(B, C)*f(B, z)", ShapeError, "multiplies"),
    ],
)
def test_a_wrong_formula_or_call_is_refused_with_its_place(program: str, error: type, words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        parse(program, "z in R^n; C in R^{m x n}; B in R^{n x n}")
    assert caught.value.span is not None


def test_formulas_that_double_at_every_call_are_refused() -> None:
    layers = "; ".join(f"f{k}(x) = f{k - 1}(x) + f{k - 1}(2*x)" for k in range(1, 40))
    with pytest.raises(LimitError, match="too long"):
        parse(f"f0(x) = A*x; {layers}; f39(z)")


def test_formulas_that_nest_without_end_are_refused() -> None:
    layers = "; ".join(f"f{k}(x) = A*f{k - 1}(x)" for k in range(1, 200))
    with pytest.raises(LimitError, match="too long"):
        parse(f"f0(x) = A*x; {layers}; f199(z)")


# Maps of which only the shapes are known


@pytest.mark.parametrize(
    ("where", "signature"),
    [
        ("f: R^n -> R^m", "f: R^n -> R^m"),
        ("f: R^n, R^p -> R", "f: R^n, R^p -> R"),
        ("f: R^n x R^p -> R^{m x n}", "f: R^n, R^p -> R^{m x n}"),
        ("f: ℝ^{n×m} × ℝ → ℝ^{2*n}", "f: R^{n x m}, R -> R^{2*n}"),
        (r"f: \mathbb{R}^{n, m} \times \mathbb{R}^p \to \mathbb{R}", "f: R^{n x m}, R^p -> R"),
        ("x in R^n, f: R^n, R^p -> R^m, y in R^m", "f: R^n, R^p -> R^m"),
        ("f, g: R^{n+1} -> R^3", "f: R^{n + 1} -> R^3"),
    ],
)
def test_declarations(where: str, signature: str) -> None:
    found = parse("2", where).functions["f"]
    assert repr(found) == signature
    assert parse("2", signature).functions["f"] is found


@pytest.mark.parametrize(
    ("program", "wrt", "where", "result"),
    [
        ("loss(net(theta))", "theta", NET, "jac(net)(theta)'*grad(loss)(net(theta))"),
        ("x2 = f1(x1, t1); x3 = f2(x2, t2); l(x3)", "t2", LAYERS, None),
        (
            "l(f2(f1(x1, t1), t2))",
            "t1",
            LAYERS,
            "jac(f1, 2)(x1, t1)'*jac(f2, 1)(f1(x1, t1), t2)'*grad(l)(f2(f1(x1, t1), t2))",
        ),
        ("norm2(f(X*v))^2", "X", "f: R^n -> R^{m x n}; X in R^{n x m}; v in R^m", None),
        ("f(t)*g(t*x)", "t, x", "f: R -> R; g: R^n -> R; t in R; x in R^n", None),
        ("c'*jac(net)(theta)*v", "theta", NET + "; c in R^o; v in R^p", None),
        ("v'*hess(loss)(u)*v", "u, v", "loss: R^o -> R; u, v in R^o", None),
        ("sum(i=1:m, loss(W*X[:,i]))", "W, X", "loss: R^n -> R; X in R^{k x m}; W in R^{n x k}", None),
        ("f(x', A)", "x, A", "f: R^{1 x n}, R^{n x n} -> R; x in R^n", None),
        ("f(S)", "S", "f: R^{n x n} -> R; S in R^{n x n} symmetric", None),
        ("f(W, x) = sigmoid(W*x); l(f(A, f(B, z)))", "A, B, z", "l: R^n -> R; A in R^{n x n}; B in R^{n x n}", None),
    ],
)
def test_gradients_are_right(program: str, wrt: str, where: str, result: str | None) -> None:
    gradient = matcalc.gradient(program, wrt, where=where)
    report = gradient.check()
    assert report.passed, str(report)
    assert result is None or str(gradient) == result


def test_the_chain_rule_is_a_product_of_jacobians() -> None:
    assert str(matcalc.parse("L(net(theta))", NET).jacobian("theta")) == "jac(L)(net(theta))*jac(net)(theta)"
    hessian = matcalc.parse("loss(net(theta))", NET).hessian("theta")
    assert "jac(net)(theta)'*hess(loss)(net(theta))*jac(net)(theta)" in str(hessian)
    assert hessian.check().passed


@pytest.mark.parametrize(
    "expression",
    [
        "jac(net)(theta)",
        "jac(jac(net))(theta)",
        "jac(f1, 2)(x1, t1)",
        "jac(jac(f1, 2), 1)(x1, t1)",
        "grad(l)(u)",
        "hess(l)(u)",
        "jac(hess(l))(u)",
        "grad(h, 2)(X, u)",
        "hess(h, 1, 2)(X, u)",
        "jac(hess(h, 1, 2), 2)(X, u)",
        "u'*grad(l)(u) + 2*grad(l)(jac(phi)(u)*u)'*u",
        "A*jac(f1, 2)(x1, t1)*(t1 + t1)",
        "A*grad(l)(u)*l(u)",
    ],
)
def test_texts_parse_back(expression: str) -> None:
    where = f"{NET}; {LAYERS}; phi: R^k -> R^k; h: R^{{n x m}}, R^k -> R; u in R^k; X in R^{{n x m}}"
    where += "; A in R^{p x m}" if "f1" in expression else "; A in R^{p x k}"
    e = parse(expression, where).expr
    for printed in (text(e), text(e, unicode=True), latex(e)):
        assert parse(printed, where).expr is e, printed


def test_latex_is_that_of_the_books() -> None:
    where = f"{NET}; {LAYERS}; phi: R^k -> R^k; u in R^k"

    def shown(expression: str) -> str:
        return latex(parse(expression, where).expr)

    assert shown("jac(net)(theta)") == r"J_{\mathrm{net}}(\theta)"
    assert shown("jac(phi)(u)") == r"J_\phi(u)"
    assert shown("grad(l)(u)") == r"\nabla l(u)"
    assert shown("hess(l)(u)") == r"\nabla^2 l(u)"
    assert shown("jac(f1, 2)(x1, t1)") == r"\partial_{2} f_1(x_1, t_1)"


def test_rows_and_second_jacobians_of_a_map_to_the_numbers_are_read() -> None:
    where = "l: R^k -> R; h: R^n, R^k -> R; u in R^k; x in R^n"
    assert str(matcalc.parse("jac(l)(u)", where)) == "grad(l)(u)'"
    for same in ("jac(jac(l))(u)", "jac(grad(l))(u)", r"\nabla^2 l(u)", "∇²l(u)"):
        assert str(matcalc.parse(same, where)) == "hess(l)(u)"
    assert str(matcalc.parse("hess(h, 2, 1)(x, u)", where)) == "hess(h, 1, 2)(x, u)'"
    assert has(parse("hess(l)(u)", where).expr, SYMMETRIC)
    assert not has(parse("hess(h, 1, 2)(x, x)", "h: R^n, R^n -> R").expr, SYMMETRIC)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("net(theta, theta)", "takes 1 argument, and here are 2"),
        ("f(theta; u)", "separated by commas"),
        ("net(u)", r"net takes R\^p and is given R\^o"),
        ("jac(net)(u)", r"net takes R\^p and is given R\^o"),
        ("jac(net, 2)(theta)", "by which argument"),
        ("jac(f)(theta, u)", "by which argument"),
        ("grad(net)(theta)", "to the numbers"),
        ("hess(net)(theta)", "to the numbers"),
        ("jac(f, 0)(theta, u)", "counted from 1"),
        ("jac(psi)(u)", "not declared as a map"),
        ("net'(theta)", "not a function of one number"),
        ("net + 1", "without an argument"),
    ],
)
def test_wrong_uses_are_refused(expression: str, words: str) -> None:
    with pytest.raises(MatcalcError, match=words) as caught:
        parse(expression, NET + "; f: R^p, R^o -> R^q; psi: elementwise; u in R^o")
    assert caught.value.span is not None


def test_shapes_follow_from_a_map() -> None:
    assert matcalc.parse("net(W*x)", "net: R^p -> R^o").inferred == ["W in R^{p x n}", "x in R^n"]


# Values


def test_compiled_with_a_value_and_a_jacobian() -> None:
    a, theta = numpy.random.default_rng(0).normal(size=(3, 4)), numpy.arange(4.0)
    gradient = matcalc.gradient("loss(net(theta))", "theta", where=NET)
    functions = {"net": [lambda t: a @ t, lambda t: a], "loss": [lambda u: u @ u, lambda u: 2 * u]}
    compiled = gradient.compile(functions=functions)
    assert compiled.arguments == ("theta",)
    assert numpy.allclose(compiled(theta=theta), 2 * a.T @ a @ theta)


def test_compiled_with_several_arguments() -> None:
    a, b = numpy.random.default_rng(0).normal(size=(3, 4)), numpy.random.default_rng(1).normal(size=(3, 5))
    gradient = matcalc.gradient("c'*f(x, y)", "x, y", where="f: R^n, R^m -> R^k")
    compiled = gradient.compile(functions={"f": [lambda x, y: a @ x + b @ y, [lambda x, y: a, lambda x, y: b]]})
    by_x, by_y = compiled(c=numpy.ones(3), x=numpy.ones(4), y=numpy.ones(5))
    assert numpy.allclose(by_x, a.sum(0))
    assert numpy.allclose(by_y, b.sum(0))


def test_a_size_that_only_a_map_shows_is_read_from_what_it_gives() -> None:
    a, zero = numpy.random.default_rng(0).normal(size=(3, 4)), numpy.zeros((12, 4))
    functions = {"net": [lambda t: a @ t, lambda t: a, lambda t: zero]}
    functions["loss"] = [lambda u: u @ u, lambda u: 2 * u, lambda u: 2 * numpy.eye(3)]
    compiled = matcalc.parse("loss(net(theta))", NET).hessian("theta").compile(functions=functions)
    assert compiled.arguments == ("theta",)
    assert numpy.allclose(compiled(theta=numpy.ones(4)), 2 * a.T @ a)
    total = matcalc.parse("ones(o)'*net(theta) + sum(ones(o))", NET).compile(functions=functions)
    assert total.arguments == ("theta",)
    assert numpy.isclose(total(theta=numpy.ones(4)), a.sum() + 3)
    before = matcalc.parse("ones(o)'*net(theta)*sum(ones(o)) + loss(ones(o))", NET).compile(functions=functions)
    assert numpy.isclose(before(theta=numpy.ones(4), **dict.fromkeys(before.arguments[1:], 3)), 3 * a.sum() + 3)


def test_what_the_caller_gives_is_checked() -> None:
    gradient = matcalc.gradient("loss(net(theta))", "theta", where=NET)
    known = {"loss": [lambda u: u @ u, lambda u: 2 * u]}
    with pytest.raises(ArgumentError, match=r"the derivative of net, jac\(net\), is not known"):
        gradient.compile(functions={**known, "net": [lambda t: t]})
    with pytest.raises(ArgumentError, match="is no function"):
        gradient.compile(functions={**known, "net": [3, lambda t: t]})
    wrong = gradient.compile(functions={**known, "net": [lambda t: t, lambda t: t]})
    with pytest.raises(ArgumentError, match="must give a two-dimensional array"):
        wrong(theta=numpy.ones(3))


def test_results_of_a_map_are_copied() -> None:
    given = numpy.arange(4.0)
    compiled = matcalc.parse("net(theta)", NET).compile(functions={"net": lambda t: given})
    compiled(theta=given)[:] = 7
    assert given[1] == 1


def test_maps_are_pickled_and_interned() -> None:
    f = Map("f", ((n, ONE), (m, p)), SCALAR)
    assert pickle.loads(pickle.dumps(f)) is f
    assert pickle.loads(pickle.dumps(Mapped(f, (0, 1)))) is Mapped(f, (0, 1))


# The maps that stand for unknown ones in numerical checks


def test_stand_ins_have_their_derivatives() -> None:
    f = Map("f", ((dim(2), ONE), (dim(2), dim(3))), (dim(2), dim(2)))
    stand_in = map_stand_in(f)
    step = mpmath.mpf(10) ** -15
    with mpmath.workdps(50):
        x = [numpy.array([[mpmath.mpf(3 * i + j) / 7 for j in range(c)] for i in range(2)]) for c in (1, 3)]
        for slots in ((), (0,), (1,), (0, 1), (1, 1), (1, 0, 1)):
            for slot in (0, 1):
                columns = stand_in((*slots, slot), x, {})
                moved = []
                for at in range(x[slot].size):
                    d = numpy.zeros(x[slot].size, dtype=int)
                    d[at] = 1
                    shift = step * d.reshape(x[slot].shape, order="F")
                    above, below = ([a + s * shift if k == slot else a for k, a in enumerate(x)] for s in (1, -1))
                    slope = (stand_in(slots, above, {}) - stand_in(slots, below, {})) / (2 * step)
                    moved.append(slope.reshape(-1, order="F"))
                assert abs(numpy.array(moved).T - columns).max() < 1e-25


def test_stand_ins_are_not_alike() -> None:
    x = [numpy.array([[mpmath.mpf(1)], [mpmath.mpf(2)]])]
    shapes = (((dim(2), ONE),), SCALAR)
    values = {float(map_stand_in(Map(name, *shapes))((), x, {})[0, 0]) for name in ("f", "g", "net", "loss")}
    assert len(values) == 4


def test_the_hessian_of_a_stand_in_is_symmetric() -> None:
    x = [numpy.array([[mpmath.mpf(1)], [mpmath.mpf(2)], [mpmath.mpf(-1)]])]
    third = map_stand_in(Map("f", ((dim(3), ONE),), SCALAR))((0, 0, 0), x, {}).reshape(3, 3, 3)
    assert all(abs(third - third.transpose(order)).max() < 1e-12 for order in permutations(range(3)))


# The pattern of layers

DENSE = (
    "z1 = W1*x + b1; h1 = phi(z1); z2 = W2*h1 + b2; h2 = phi(z2); z3 = W3*h2 + b3; h3 = phi(z3); z4 = W4*h3 + b4; "
    "norm2(z4 - y)^2/2",
    "W1, W2, W3, W4, b1, b2, b3, b4",
    "W1 in R^{n1 x n0}; W2 in R^{n2 x n1}; W3 in R^{n3 x n2}; W4 in R^{n4 x n3}; b1 in R^n1; b2 in R^n2; b3 in R^n3; "
    "b4 in R^n4; x in R^n0; y in R^n4; phi: elementwise",
)
RESIDUAL = (
    "z1 = x + K1'*tanh(K1*x); z2 = z1 + K2'*tanh(K2*z1); z3 = z2 + K3'*tanh(K3*z2); c'*z3",
    "K1, K2, K3",
    "x, c in R^n; K1 in R^{m x n}; K2 in R^{p x n}; K3 in R^{q x n}",
)
UNKNOWN = (
    "x2 = f1(x1, t1); x3 = f2(x2, t2); x4 = f3(x3, t3); l(x4)",
    "t1, t2, t3",
    "f1: R^n, R^p -> R^m; f2: R^m x R^q -> R^k; f3: R^k x R^r -> R^s; l: R^s -> R",
)
RECURRENT = (
    "h1 = tanh(W*x1 + U*h0); h2 = tanh(W*x2 + U*h1); h3 = tanh(W*x3 + U*h2); c'*h3",
    "W, U, h0",
    "x1, x2, x3 in R^n; h0, c in R^m",
)


@pytest.mark.parametrize(
    "network", [DENSE, RESIDUAL, UNKNOWN, RECURRENT], ids=["dense", "residual", "maps", "recurrent"]
)
def test_the_general_pattern_holds_in_every_layer(network: tuple[str, str, str]) -> None:
    program, wrt, where = network
    formula = matcalc.parse(program, where)
    pattern = formula.gradient(wrt).steps.pattern
    assert {layers.kind for layers in pattern} >= {"definition", "cotangent"}
    point = draw_point([formula.expr], Random(0))
    by_name = {e.op.name: value for e, value in point.env.items()}
    maps = {name: map_stand_in(of) for name, of in formula.program.functions.items() if isinstance(of, Map)}
    names = dict(formula.program.definitions)
    with mpmath.workdps(30):
        by_name |= dict(zip(names, evaluate(list(names.values()), point.env, point.sizes), strict=True))

        def slope(name: str):
            """The gradient by a variable, or by an assigned quantity that is held."""
            gradient = matcalc.gradient(program, name, where=where)
            env = {v: by_name[v.op.name] for v in gradient.of.program.variables.values()}
            return evaluate([gradient.expr], env, point.sizes)[0]

        cotangents = {layers.left: layers.of for layers in pattern if layers.kind == "cotangent"}
        for layers in pattern:
            for level in range(layers.first, layers.last + 1):
                right = layers.spelled(lambda name, more, level=level: f"{name}{level + more}")
                env = {}
                for v in postorder([right]):
                    name = v.op.name
                    if v.op.is_variable:
                        symbol, number = name.rstrip("0123456789"), name[len(name.rstrip("0123456789")) :]
                        env[v] = slope(cotangents[symbol] + number) if symbol in cotangents else by_name[name]
                found = evaluate([right], env, point.sizes, maps)[0]
                if layers.kind == "definition":
                    truth = by_name[f"{layers.left}{level}"]
                else:
                    truth = slope(f"{layers.of or layers.left}{level}")
                assert abs(found - truth).max() < 1e-20 * (1 + abs(truth).max()), (layers, level)


def test_the_general_pattern_is_printed() -> None:
    steps = str(matcalc.gradient(DENSE[0], DENSE[1], where=DENSE[2]).steps)
    assert "phi'(z_l) .* (W_{l+1}'*delta_{l+1})" in steps
    assert "d_W_l   = delta_l*h_{l-1}'" in steps
    assert "delta4  = z4 - y" in steps


def test_two_layers_that_differ_have_no_pattern() -> None:
    program = "z1 = W1*x; z2 = W2*tanh(z1); c'*z2"
    assert "General pattern" not in str(matcalc.gradient(program, "W1", where="x in R^n").steps)
