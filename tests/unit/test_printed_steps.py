"""Derivations as they are printed: the sections of the tutorial, in size linear in the computational graph."""

from itertools import pairwise

import pytest

import matcalc
from matcalc.printing.steps import steps_dict, steps_latex, steps_text
from matcalc.results import Formula
from matcalc.syntax import parse


def derivation(source: str, *wrt: str, where: str = ""):
    return Formula(parse(source, where, wrt=wrt, scalar=True)).gradient(*wrt).steps


@pytest.fixture(scope="module")
def tutorial():
    return derivation("c^T Ψ((W+V)Φ(Wx+b))", "W")


def section(written: str, title: str) -> list[str]:
    lines = written.split(title + "\n", 1)[1].split("\n\n", 1)[0].splitlines()
    return [" ".join(line.split()) for line in lines]


def test_the_computational_graph_is_that_of_the_tutorial(tutorial):
    assert section(steps_text(tutorial), "Computational graph") == [
        "Z0 = W + V", "z1 = W*x", "z2 = z1 + b", "z3 = Phi(z2)", "z4 = Z0*z3", "z5 = Psi(z4)", "y = c'*z5",
    ]  # fmt: skip


def test_each_quantity_has_its_differential(tutorial):
    assert section(steps_text(tutorial), "Differentials") == [
        "Z0 = W + V => dZ0 = dW",
        "z1 = W*x => dz1 = dW*x",
        "z2 = z1 + b => dz2 = dz1",
        "z3 = Phi(z2) => dz3 = Phi'(z2) .* dz2",
        "z4 = Z0*z3 => dz4 = Z0*dz3 + dZ0*z3",
        "z5 = Psi(z4) => dz5 = Psi'(z4) .* dz4",
        "y = c'*z5 => dy = c'*dz5",
    ]


def test_the_back_substitution_names_its_rules(tutorial):
    lines = section(steps_text(tutorial), "Back-substitution")
    assert lines[0] == "dy = c'*dz5 differential of y"
    assert "= g0'*dz4 trace-hadamard" in lines
    assert "where g0 = Psi'(z4) .* c" in lines
    assert lines[-1].endswith("dW> trace-sum")


def test_the_rules_and_the_result_are_stated(tutorial):
    written = steps_text(tutorial)
    assert "trace-cyclic tr(A*B) = tr(B*A)" in section(written, "Trace rules used")
    assert section(written, "Result") == ["d_W = g1*x' + g0*z3' read off"]


def test_unicode_and_latex_say_the_same(tutorial):
    assert "dz₄ = Z₀ dz₃ + dZ₀ z₃" in " ".join(steps_text(tutorial, unicode=True).split())
    tex = steps_latex(tutorial)
    assert tex.count(r"\begin{align*}") == 5
    assert r"\mathrm{d}z_4 &= Z_0 \, \mathrm{d}z_3 + \mathrm{d}Z_0 \, z_3" in tex


def test_data_has_every_section(tutorial):
    data = steps_dict(tutorial)
    assert list(data) == ["graph", "differentials", "substitution", "rules", "result"]
    assert data["graph"][0] == {"text": "Z0 = W + V", "latex": "Z_0 = W + V"}
    assert {"text", "latex", "differential", "differential_latex"} == set(data["differentials"][0])


def test_names_of_the_user_stay():
    record = derivation("h = tanh(W*x); loss = norm2(h - t)^2; loss", "W", where="x in R^n; t in R^m; W in R^{m x n}")
    lines = section(steps_text(record), "Computational graph")
    assert "h = tanh(z0)" in lines
    assert lines[-1].startswith("loss = ")


def test_the_steps_of_a_network_grow_with_its_layers():
    sizes = []
    for layers in (10, 20, 40):
        nested = "".join(f"s(W{k}*" for k in range(layers, 0, -1)) + "x" + ")" * layers
        sizes.append(len(steps_text(derivation("c'*" + nested, "W1"))))
    assert sizes[2] - sizes[1] < 2.3 * (sizes[1] - sizes[0])


# -- the other derivatives


def test_a_jacobian_is_vectorised_and_chained():
    written = steps_text(matcalc.jacobian("z = W*x + b; sigmoid(z)", "W").steps)
    assert section(written, "Vectorised differentials") == [
        "dz0 = M0*vec(dW) vec-product",
        "where M0 = kron(x', eye(m))",
        "dy = M1*dz vec-hadamard",
        "where M1 = diag(y .* (1 - y))",
    ]
    assert "vec-product vec(A*X*B) = kron(B', A)*vec(X)" in section(written, "Vec rules used")
    assert section(written, "Result") == ["J_W = M1*M0 chain rule", "= kron(x', M1) simplified"]
    assert "Chain rule\n" not in written  # each quantity is a bottleneck, so that its steps are said already


def test_the_chain_rule_goes_from_bottleneck_to_bottleneck():
    written = steps_text(matcalc.jacobian("h = x + V*tanh(W*x); h + V*tanh(W*h)", "x").steps)
    lines = section(written, "Chain rule")
    assert [line.split(" = ")[0] for line in lines if "where" not in line] == ["dh", "dy"]
    of_each = section(steps_text(matcalc.jacobian("z = W*x; tanh(z)", "W, x").steps), "Chain rule")
    assert [line.rpartition(" for ")[2] for line in of_each] == ["J_W", "J_W", "J_x"]


def test_a_hessian_is_the_jacobian_of_the_gradient():
    steps = matcalc.hessian("c'*tanh(W*x)", "x").steps
    written = steps_text(steps)
    titles = [line for line, under in pairwise(written.splitlines()) if set(under) == {"="}]
    assert titles == ["Gradient", "Jacobian of d_x"]
    assert "d_x = W'*" in written.split("Jacobian of d_x")[1]
    assert section(written.split("Jacobian of d_x")[1], "Result")[0].startswith("H_x = ")
    data = steps_dict(steps)
    assert [part["title"] for part in data["parts"]] == ["Gradient", "Jacobian of d_x"]
    assert "vectorised" in data["parts"][1]
    tex = steps_latex(steps)
    assert r"\subsection*{Jacobian of $d_x$}" in tex


def test_a_gauss_newton_matrix_is_put_together_from_its_parts():
    written = steps_text(matcalc.gauss_newton("norm2(u - y)^2/2", "u", "W2*tanh(W1*x)", "W1").steps)
    for title in ("Gradient of the loss", "Hessian of the loss", "Jacobian of u", "Together"):
        assert f"{title}\n{'=' * len(title)}" in written
    lines = section(written.split("Together")[1], "Result")
    assert lines[0] == "G_W1 = J_W1'*J_W1 Gauss-Newton matrix"
    assert any(line.startswith("R_W1 = ") for line in lines)
    other = steps_text(matcalc.gauss_newton("logsumexp(u) - y'*u", "u", "W2*tanh(W1*x)", "W1").steps)
    assert section(other.split("Together")[1], "Result")[0] == "G_W1 = J_W1'*H_u*J_W1 Gauss-Newton matrix"


def test_products_name_their_direction():
    written = steps_text(matcalc.jvp("tanh(W*x)", "W").steps)
    assert section(written, "Direction") == ["dW = V"]
    assert section(written, "Result")[0].startswith("Jv = (1 - y.^2) .* (V*x)")
    back = section(steps_text(matcalc.vjp("tanh(W*x)", "W").steps), "Back-substitution")
    assert back[0].startswith("u'*dy = u'*(")
    assert back[-1].endswith("dW> trace-cyclic")


def test_a_differential_is_that_of_the_value():
    steps = matcalc.differential("(X'*X)^-1", "X").steps
    assert section(steps_text(steps), "Result")[0].startswith("dy = -y*(dX'*X + X'*dX)*y")
    assert r"\mathrm{d}y &= -y \cdot (\mathrm{d}X^\top \, X + X^\top \, \mathrm{d}X) y" in steps_latex(steps)
