"""Simplified forms: what a reader would write, whatever the spelling; and the work, which grows with the graph."""

from __future__ import annotations

import pytest

import matcalc
from matcalc.calculus.gradient import gradient
from matcalc.dims import ONE, dim
from matcalc.expr import Expr, make, postorder, variables
from matcalc.primitives.algebra import ADD, add, hadamard, power, product
from matcalc.primitives.elementwise import tanh
from matcalc.primitives.functions import Elementwise, Unknown
from matcalc.primitives.leaves import var
from matcalc.primitives.reductions import total, tr
from matcalc.simplify import cost, simplify, simplify_all
from matcalc.syntax import parse

DECLARED = """A, B in R^{m x n}; C, D, X in R^{n x n}; S in R^{n x n} symmetric; P in R^{n x n} spd;
    Q in R^{n x n} orthogonal; E in R^{n x n} diagonal; x, y, z in R^n;
    b, c in R^m; p in R^n positive; a, d, t in R; s in R positive"""


def expr(text: str) -> Expr:
    return parse(text, DECLARED).expr


@pytest.mark.parametrize(
    ("text", "simple"),
    [
        # sums
        ("x + y - x", "y"),
        ("x/2 + x/3", "5/6*x"),
        ("2*A*x - 2*b", "2*(A*x - b)"),
        ("-(A*x - b)", "b - A*x"),
        ("A*X + A*D", "A*(X + D)"),
        ("A*x + B*x", "(A + B)*x"),
        ("x*z' + y*z'", "(x + y)*z'"),
        ("x .* y + x .* z", "x .* (y + z)"),
        ("sigmoid(x) .* y - (1 - sigmoid(x)) .* z", "sigmoid(x) .* (y + z) - z"),
        ("sigmoid(a)*x + (1 - sigmoid(a))*y", "y + sigmoid(a)*(x - y)"),
        ("a*x + a*y", "a*(x + y)"),
        ("norm2(z)^2*x.^2 + a*x .* y + y.^2", "a*(x .* y) + y.^2 + (z'*z)*x.^2"),
        ("a^3*(1 - n)^3 + n*a^3*(n - 1)^3", "a^3*(1 - n)^4"),
        ("(1 - x) .* y - x .* (1 - y)", "y - x"),
        ("X*(x + y) - X*x", "X*y"),
        ("a + x + 1 - a", "x + 1"),
        ("S + S'", "2*S"),
        ("C' + D'", "(C + D)'"),
        # transposes
        ("(A*X)'", "X'*A'"),
        ("(x'*A'*b)'", "b'*A*x"),
        ("(C' + D)'", "C + D'"),
        ("(C + C')'", "C + C'"),
        ("S*x + S'*x", "2*S*x"),
        ("C*x + C'*x", "(C + C')*x"),
        # products
        ("C^-1*C*x", "x"),
        ("(C*D)^-1*C", "D^-1"),
        ("C*C*C^-2*x", "x"),
        ("C'^-1", "C^-T"),
        ("Q'*Q*x", "x"),
        ("Q^-1*x", "Q'*x"),
        ("x*y'*x", "(y'*x)*x"),
        ("diag(x)*y", "x .* y"),
        ("diag(x)*C*y", "x .* (C*y)"),
        ("diag(x)*diag(y)", "diag(x .* y)"),
        ("diag(x*y')", "x .* y"),
        ("(x*y') .* (y*x')", "(x .* y)*(x .* y)'"),
        ("x*ones(n)' .* C", "diag(x)*C"),
        ("adj(X)/det(X)", "X^-1"),
        ("det(X)*X^-1", "adj(X)"),
        ("adj(X)'/det(X)", "X^-T"),
        # reductions
        ("tr(x*y')", "x'*y"),
        ("tr(A'*B)", "<A, B>"),
        ("tr(A'*A)", "norm2(A)^2"),
        ("sum(x .* y)", "x'*y"),
        ("ones(n)'*x", "sum(x)"),
        ("A*ones(n)", "sum(A, 1)"),
        ("ones(m)'*A*ones(n)", "sum(A)"),
        ("sum(softmax(x))", "1"),
        ("inner(C, x*y')", "x'*C*y"),
        ("tr(C*D) - tr(D*C)", "0"),
        ("logdet(C*D^-1)", "logdet(C) - logdet(D)"),
        # powers and functions
        ("norm2(x)*x/norm2(x)", "x"),
        ("x .* x", "x.^2"),
        ("x .* y ./ x", "y"),
        ("exp(-x) ./ (1 + exp(-x))", "sigmoid(-x)"),
        ("1 ./ (1 + exp(-x))", "sigmoid(x)"),
        ("log(1 + exp(x))", "softplus(x)"),
        ("exp(x)/sum(exp(x))", "softmax(x)"),
        ("log(exp(x))", "x"),
        ("sqrt(a^2)", "abs(a)"),
        ("sqrt(s^2)", "s"),
        ("abs(p)", "p"),
        ("(a - d)^2 - (d - a)^2", "0"),
        ("(a - d)/(d - a)", "-1"),
        ("tanh(-x)", "-tanh(x)"),
        ("exp(2*log(s))", "s^2"),
        ("log(sigmoid(x)) - log(1 - sigmoid(x))", "x"),
        ("step(x) - step(-x)", "sign(x)"),
        ("softmax(x + a)", "softmax(x)"),
        ("logsumexp(x + a)", "a + logsumexp(x)"),
        ("exp(x) .* y/sum(exp(x))", "softmax(x) .* y"),
        ("a/(1 + x'*y/s)/s", "a/(s + x'*y)"),
        ("s^-3*x", "x/s^3"),
        ("x .* y.^-2", "x ./ y.^2"),
        # the same way round
        ("C*x - D*(y - z)", "C*x + D*(z - y)"),
        ("C*(x - y) - D*(x - y) .* z", "C*(x - y) - (D*(x - y)) .* z"),
        # transposes around products and functions
        ("C'*D'*X'", "(X*D*C)'"),
        ("(C' - D'*S).^2", "((C - S*D).^2)'"),
        ("(C + D)' - C'", "D'"),
        ("commutation(m,n)'", "commutation(n,m)"),
        # entries
        ("e(1,n)'*x", "x[1]"),
        ("e(1,n)'*C*e(2,n)", "C[1,2]"),
        ("C*e(2,n)", "C[:,2]"),
        ("S[1:3,:][:,2:3]", "S[1:3,2:3]"),
        # rearrangements
        ("vec(A) + vec(B)", "vec(A + B)"),
        ("reshape(vec(A) + vec(B), m, n)", "A + B"),
        ("hcat(A, b) + hcat(B, c)", "hcat(A + B, b + c)"),
        ("diag(x) + diag(y)", "diag(x + y)"),
        ("diag(C*diag(x)*D)", "(C .* D')*x"),
        ("conv(2*C, a*X)", "2*a*conv(C, X)"),
        ("kron(ones(m)', eye(n))*khatri_rao(A, C)", "C*diag(sum(A, 0)')"),
        # slopes and curvatures
        ("sigmoid(-a) - sigmoid(a)", "1 - 2*sigmoid(a)"),
        ("sigmoid(a)*sigmoid(-a)*d*(sigmoid(-a) - sigmoid(a))", "d*sigmoid(a)*(1 - sigmoid(a))*(1 - 2*sigmoid(a))"),
        ("1/sqrt(1 + a^2) - a^2/(1 + a^2)^(3/2)", "1/(1 + a^2)^(3/2)"),
        ("1 ./ sqrt(s + x.^2) - x.^2 ./ (s + x.^2).^(3/2)", "s*(1 ./ (s + x.^2).^(3/2))"),
        ("diag(exp(x))/sum(exp(x))", "diag(softmax(x))"),
        ("(diag(exp(x)) - softmax(x)*exp(x)')/sum(exp(x))", "diag(softmax(x)) - softmax(x)*softmax(x)'"),
        ("y'*(exp(x) .* z ./ softmax(x))", "sum(exp(x))*y'*z"),
        ("A'*(A - b*c'*A)", "A'*(eye(m) - b*c')*A"),
        ("(A' - A'*b*c')*A", "A'*(eye(m) - b*c')*A"),
        ("diag(x)*(C - ones(n)*y')", "diag(x)*C - x*y'"),
        ("(C + y*ones(n)')*diag(x)", "C*diag(x) + y*x'"),
        ("(diag(x)*C - 2*diag(y))*diag(x)", "diag(x)*C*diag(x) - 2*diag(x .* y)"),
        ("kron(C, eye(m)) + a*eye(n*m)", "kron(C + a*eye(n), eye(m))"),
        ("(x - a*y/(s + a^2))/sqrt(s + a^2)", "x/sqrt(s + a^2) - a*y/(s + a^2)^(3/2)"),
        ("(eye(n) - C*pinv(C))'", "eye(n) - C*pinv(C)"),
        ("(a*eye(n) - y*ones(n)') .* eye(n)", "diag(a - y)"),
        ("vec(adj(X))*vec(X^-T)'", "det(X)*vec(X^-1)*vec(X^-T)'"),
        ("det(X)*vec(X^-1)*vec(X)' + vec(adj(X))*vec(C)'", "det(X)*vec(X^-1)*vec(C + X)'"),
        # means
        ("n*mean(x)", "sum(x)"),
        ("sum(C, 1)/n", "mean(C, 1)"),
        ("b*ones(1, n)", "b*ones(n)'"),
        ("sum(A)/(m*n)", "mean(A)"),
        ("n^2*mean(C)", "sum(C)"),
        ("sum(x - mean(x))", "0"),
        # square matrices
        ("adj(X)/det(X)^3", "X^-1/det(X)^2"),
        ("adj(2*X)", "2^(n-1)*adj(X)"),
        ("adj(C*D)", "adj(D)*adj(C)"),
        # indexed sums
        ("sum(i=1:n, x[i])", "sum(x)"),
        ("sum(i=1:n, x[i]*e(i,n))", "x"),
        ("sum(i=1:n, x[i]*y[i])", "x'*y"),
        ("sum(i=1:n, x[i]*C[:,i])", "C*x"),
        ("sum(i=1:m, (A[i,:]*x - b[i])^2)", "norm2(A*x - b)^2"),
        ("sum(i=1:n, C[:,i]*D[i,:])", "C*D"),
        ("sum(i=1:n, C[i,i])", "tr(C)"),
        ("sum(i=1:n, sum(j=1:n, C[i,j]*x[i]*y[j]))", "x'*C*y"),
        ("sum(i=1:n, exp(x[i] - a)/y[i])", "sum(exp(x - a) ./ y)"),
        ("sum(i=1:n, norm2(C[:,i] - x)^2)", "norm2(C - x*ones(n)')^2"),
        ("sum(i=1:n, softmax(C[:,i]))", "sum(softmax(C), 1)"),
        ("sum(i=1:n, hcat(x[i]*A, B))", "hcat(sum(x)*A, n*B)"),
        ("sum(i=1:n, vcat(A, C[:,i]*y'))", "vcat(n*A, sum(C, 1)*y')"),
    ],
)
def test_simple_form(text: str, simple: str) -> None:
    assert simplify(expr(text)) is simplify(expr(simple))
    assert cost(simplify(expr(text))) <= cost(expr(simple))


@pytest.mark.parametrize(
    "text",
    [
        "sigmoid(x) .* (1 - sigmoid(x)) .* y",
        "-2*tanh(a)*(1 - tanh(a)^2)",
        "eye(n) - 1/n*ones(n, n)",  # and not 1/n, which reads as a multiple of I
        "diag(x) + a*ones(n, n)",
        "(x - a*y/(a^2 + s))/sqrt(a^2 + s)",
    ],
)
def test_printed_as_written(text: str) -> None:
    from matcalc.printing.text import text as printed

    assert printed(simplify(expr(text))) == printed(expr(text))


@pytest.mark.parametrize(
    "text",
    [
        "n*mean(C)",
        "sum(C)/n",
        "sqrt(x.^2)",
        "abs(x)",
        "(A'*A)^-1",
        "C^-1*D",
        "log(x.^2)",
        "sigmoid(x) .* (1 - sigmoid(x))",
    ],
)
def test_facts_that_are_not_granted_are_not_used(text: str) -> None:
    assert simplify(expr(text)) is not simplify(expr("x" if expr(text).is_column else "C"))


@pytest.mark.parametrize(
    ("f", "wrt", "simple"),
    [
        ("x'*C*x", "x", "(C + C')*x"),
        ("x'*S*x", "x", "2*S*x"),
        ("norm2(A*x - b)^2", "x", "2*A'*(A*x - b)"),
        ("norm2(x)", "x", "x/norm2(x)"),
        ("logdet(X)", "X", "X^-T"),
        ("tr(A*X*B')", "X", "A'*B"),
        ("b'*A*x", "A", "b*x'"),
        ("c'*log(sigmoid(A*x)) + b'*log(1 - sigmoid(A*x))", "x", "A'*(c - sigmoid(A*x) .* (b + c))"),
        ("c'*log(sigmoid(A*x)) + (1 - c)'*log(1 - sigmoid(A*x))", "x", "A'*(c - sigmoid(A*x))"),
        ("sum(log(1 + exp(-b .* (A*x))))", "x", "-A'*(sigmoid(-b .* (A*x)) .* b)"),
        ("-c'*log(softmax(A*x))", "x", "A'*(sum(c)*softmax(A*x) - c)"),
        ("x'*S*x/(x'*x)", "x", "2*(S*x - (x'*S*x)/(x'*x)*x)/(x'*x)"),
        ("sum(x ./ (x + y))", "x", "y .* (x + y).^-2"),
        ("norm2(A*x; C*C')^2", "x", "2*A'*C*C'*A*x"),
        ("norm2(x*b' - diag(x)*A' - a)^2", "x", "2*((x*b' - diag(x)*A' - a)*b - diag((x*b' - diag(x)*A' - a)*A))"),
    ],
)
def test_gradient_as_a_textbook_prints_it(f: str, wrt: str, simple: str) -> None:
    where = DECLARED if "C*C'" not in f else DECLARED.replace("C, D, X in R^{n x n}", "C, D, X in R^{m x m}")
    e = parse(f, where).expr
    x = next(v for v in variables([e]) if v.op.name == wrt)
    assert simplify(gradient(e, [x])[x]) is simplify(parse(simple, where).expr)


@pytest.mark.parametrize("text", ["sum(i=3:n, x[i])", "sum(i=1:n, x[i]^i)", "sum(i=1:n, C[i,1]*C[i,i]^i)"])
def test_an_indexed_sum_that_may_be_empty_or_has_the_index_itself_stays(text: str) -> None:
    assert simplify(expr(text)) is expr(text)


def test_a_mean_is_over_all_entries() -> None:
    assert simplify(expr("n*mean(C)")) is not simplify(expr("sum(C)"))
    assert simplify(expr("sum(C)/n")) is not simplify(expr("mean(C)"))


def test_a_difference_stands_the_same_way_round_in_all_parts() -> None:
    f = parse("1/2*norm2(W*s(x) + x - y)^2", "W in R^{n x n}; x, y in R^n; s: elementwise").expr
    x = next(v for v in variables([f]) if v.op.name == "x")
    found = simplify(gradient(f, [x])[x])
    differences = {e for e in postorder([found]) if e.op is ADD and e.is_column and y_in(e)}
    assert len([d for d in differences if len(d.args) == 3]) == 1


def y_in(e: Expr) -> bool:
    return any(v.op.name == "y" for v in variables([e]))


def network(layers: int, residual: bool) -> Expr:
    n = dim("n")
    h = x = var("x", (n, ONE))
    weights = [var(f"W{i}", (n, n)) for i in range(layers)]
    for w in weights:
        h = (
            add(h, product(w, tanh(product(w, h))))
            if residual
            else make(Elementwise(Unknown("s"), 0), (product(w, h),))
        )
    f = product(x.T, h)
    return gradient(f, weights[:1])[weights[0]]


@pytest.mark.parametrize("residual", [False, True])
def test_work_grows_with_the_graph(residual: bool) -> None:
    sizes = []
    for layers in (40, 160):
        g = network(layers, residual)
        found = simplify(g)
        sizes.append((len(postorder([g])), len(postorder([found]))))
    (before, after), (long_before, long_after) = sizes
    assert after <= before and long_after <= long_before
    assert long_after < 5 * after  # four times the layers


@pytest.mark.parametrize("step", ["square", "sum of square", "gram", "hadamard", "logistic map"])
def test_shared_graphs_are_not_expanded(step: str) -> None:
    n = dim("n")
    a = var("A", (n, n))
    z = add(a, var("B", (n, n)))
    for _ in range(40):
        z = {
            "square": lambda z: product(z, z),
            "sum of square": lambda z: add(z, product(z, z)),
            "gram": lambda z: product(z.T, z),
            "hadamard": lambda z: hadamard(z, z),
            "logistic map": lambda z: hadamard(z, add(1, product(-1, z))),
        }[step](z)
    found = simplify(gradient(tr(z), [a])[a])
    assert len(postorder([found])) < 4000


def test_shared_parts_are_simplified_once() -> None:
    e, f = simplify_all([expr("norm2(A*x - b + 0*b)"), expr("norm2(A*x - b)^2")])
    assert e in postorder([f])


def test_quotients_of_powers() -> None:
    x = var("x", (dim("n"), ONE))
    assert simplify(power(power(x, 2), -1) * x.square() @ var("a")) is simplify(total(var("a")) @ expr("ones(n)"))


def test_terms_that_cancel_only_after_a_factor_is_drawn_out():
    weights = "c3 = -c1 - c2; s = exp(X'*w1) + exp(X'*w2) + exp(X'*w3); "
    loss = "-(" + " + ".join(f"c{k}'*log(exp(X'*w{k}) ./ s)" for k in (1, 2, 3)) + ")"
    g = matcalc.gradient(weights + loss, "w1", where="X in R^{n x m}; w1, w2, w3 in R^n; c1, c2 in R^m")
    assert str(g) == "-X*c1"
