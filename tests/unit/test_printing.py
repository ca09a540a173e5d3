"""How expressions look, and that what is printed is of bounded size."""

import shutil
import subprocess

import pytest

import matcalc
from matcalc.dims import ONE, dim
from matcalc.errors import LimitError
from matcalc.expr import make
from matcalc.primitives.algebra import add, hadamard, power, product
from matcalc.primitives.elementwise import tanh
from matcalc.primitives.functions import Unknown
from matcalc.primitives.leaves import Index, Size, const, identity, ones, var
from matcalc.primitives.loops import indexed_sum
from matcalc.primitives.structure import ALL, AT, sliced
from matcalc.printing.document import document, latex_document
from matcalc.printing.latex import latex
from matcalc.printing.names import latex_name, unicode_name
from matcalc.printing.parts import name_parts
from matcalc.printing.text import text
from matcalc.results import Formula
from matcalc.syntax import parse

WHERE = (
    "A, B, C in R^{n x n}; X in R^{m x n}; x, y, b in R^n; u in R^m; s, t, lambda in R; W1 in R^{n x n}; k in R; "
    "phi, Psi: elementwise"
)

# keyboard, Unicode, LaTeX
SPELLINGS = [
    ("-A*x + y", "−Ax + y", "-A x + y"),
    ("x - 3*b", "x − 3b", "x - 3 b"),
    ("x - (y + b)", "x − (y + b)", "x - (y + b)"),
    ("x'*A*x/2", "xᵀAx/2", r"\frac{1}{2} x^\top A x"),
    ("3/2*A*B", "3/2 AB", r"\frac{3}{2} A B"),
    ("A*(B*x)", "A·(Bx)", r"A \cdot (B x)"),
    ("(x'*y)*b", "(xᵀy)b", r"(x^\top y) b"),
    ("A'*(A*x - b)", "Aᵀ(Ax − b)", r"A^\top (A x - b)"),
    ("x .* y ./ b", "x ⊙ y ⊘ b", r"x \odot y \oslash b"),
    ("-(x .* y)", "−(x ⊙ y)", r"-(x \odot y)"),
    ("x - y .* b", "x − y ⊙ b", r"x - y \odot b"),
    ("(A*x) .* y", "(Ax) ⊙ y", r"(A x) \odot y"),
    ("1 ./ x", "1 ⊘ x", r"1 \oslash x"),
    ("s/(2*t)", "s/(2t)", r"\frac{s}{2 t}"),
    ("1/s*x", "1/s·x", r"\frac{1}{s} x"),
    ("x'*A*x/(x'*x)", "xᵀAx/(xᵀx)", r"\frac{x^\top A x}{x^\top x}"),
    ("A^-T*x", "A⁻ᵀx", r"A^{-\top} x"),
    ("A'^-1", "Aᵀ⁻¹", r"(A^\top)^{-1}"),
    ("A^3", "A³", "A^3"),
    ("A^(k + 1)", "A^(k + 1)", "A^{k + 1}"),
    ("s^(1/2)", "s^(1/2)", "s^{1/2}"),
    ("x.^2", "x.^2", r"x^{\odot 2}"),
    ("(x.^2)'", "(x.^2)ᵀ", r"(x^{\odot 2})^\top"),
    ("I - A*A'", "I − AAᵀ", r"I - A A^\top"),
    ("s*I + A", "sI + A", "s I + A"),
    ("kron(A, B)", "A ⊗ B", r"A \otimes B"),
    ("<A, B>", "⟨A, B⟩", r"\langle A, B \rangle"),
    ("norm2(x)^2", "‖x‖²", r"\lVert x \rVert^2"),
    ("norm1(x)", "‖x‖₁", r"\lVert x \rVert_1"),
    ("abs(s)", "|s|", r"\lvert s \rvert"),
    ("abs(A)", "abs(A)", r"\operatorname{abs}(A)"),
    ("sigmoid(A*x)", "σ(Ax)", r"\sigma(A x)"),
    ("phi'(A*x)", "φ′(Ax)", r"\phi'(A x)"),
    ("Psi(phi(x))", "Ψ(φ(x))", r"\Psi\left(\phi(x)\right)"),
    ("lambda*W1*x", "λW₁x", r"\lambda W_1 x"),
    ("A[:,2]", "A[:,2]", "A[:,2]"),
    ("A[1,2]", "A[1,2]", "{A}_{1,2}"),
    ("X[1:3,:]", "X[1:3,:]", "X[1:3,:]"),
    ("sum(i=1:n, x[i]^2)", "sum(i=1:n, x[i]²)", r"\sum_{i=1}^{n} x_i^2"),
    ("sum(X, 0)", "sum(X, 0)", r"\operatorname{sum}(X, 0)"),
    ("softmax(X, axis=1)", "softmax(X, axis=1)", r"\operatorname{softmax}(X, \operatorname{axis}=1)"),
    ("conv(A, X, 'valid')", "conv(A, X, 'valid')", r"\operatorname{conv}(A, X, \operatorname{valid})"),
    ("det(A)*s", "det(A)s", r"\det(A) s"),
    ("x*ones(m)'", "x ones(m)ᵀ", r"x \operatorname{ones}(m)^\top"),
    ("log_softmax(x)", "log_softmax(x)", r"\operatorname{log\_softmax}(x)"),
]


@pytest.mark.parametrize("keyboard, unicode, tex", SPELLINGS, ids=[row[0] for row in SPELLINGS])
def test_each_spelling_is_as_expected_and_parses_back(keyboard, unicode, tex):
    e = parse(keyboard, WHERE).expr
    assert (text(e), text(e, unicode=True), latex(e)) == (keyboard, unicode, tex)
    for written in (keyboard, unicode, tex):
        assert parse(written, WHERE).expr is e


def test_names_have_their_spellings():
    assert [unicode_name(n) for n in ("lambda", "W1", "x_i", "x_ij", "x_max", "x_hat", "loss")] == [
        "λ", "W₁", "xᵢ", "xᵢⱼ", "x_max", "x_hat", "loss",
    ]  # fmt: skip
    assert [latex_name(n) for n in ("lambda", "W1", "W12", "x_ij", "x_hat", "loss", "theta_max")] == [
        r"\lambda", "W_1", "W_{12}", "x_{ij}", r"\hat{x}", r"\mathit{loss}", r"\theta_{max}",
    ]  # fmt: skip


def test_letters_that_would_make_a_word_are_set_apart():
    where = "p, i in R; t, r in R"
    assert text(parse("p*i", where).expr, unicode=True) == "p i"
    assert text(parse("t*r", where).expr, unicode=True) == "t r"


def test_a_variable_sigma_keeps_the_logistic_function_apart():
    e = parse("sigma*sigmoid(x)", "sigma in R; x in R^n").expr
    assert text(e, unicode=True) == "σ sigmoid(x)"
    assert latex(e) == r"\sigma \operatorname{sigmoid}(x)"


def test_nodes_with_names_are_not_entered():
    n = dim("n")
    x, a = var("x", (n, ONE)), var("A", (n, n))
    z = a @ x
    assert text(tanh(z) + z, names={z: "z0"}) == "tanh(z0) + z0"
    half = product(const(1) / 2, z)
    assert text(x + half, names={half: "z1"}) == "x + z1"
    assert text(product(-1, z), names={z: "z0"}) == "-z0"
    inverse = power(var("s"), -1)
    assert text(product(inverse, x), names={inverse: "q"}) == "q*x"
    scaled = product(var("s"), identity(n))
    assert text(add(a, scaled), names={scaled: "S"}) == "A + S"


def test_deep_expressions_print():
    e = x = var("x")
    for _ in range(3000):
        e = tanh(e)
    assert parse(text(e), "x in R").expr is e
    total = x
    for _ in range(3000):
        total = make(add(x, x).op, (total, x))
    assert text(total).count("x") > 2999


def test_what_would_explode_is_printed_as_a_program():
    n = dim("n")
    e = var("x", (n, ONE))
    for _ in range(200):
        e = hadamard(tanh(e), e)
    written = text(e)
    assert len(written) < 20_000
    assert parse(written, "x in R^n").expr is e
    assert parse(latex(e), "x in R^n").expr is e


def test_an_index_is_not_bound_twice():
    n = dim("n")
    i, x = make(Index("i")), var("x", (n, ONE))
    entry = sliced(x, AT, ALL, i)
    inner = indexed_sum(entry, i, const(1), make(Size("n")))
    outer = indexed_sum(entry * inner, i, const(1), make(Size("n")))
    for written in (text(outer), document({"": outer}), latex(outer)):
        assert "z0" in written.replace("_", "")
        assert parse(written, "x in R^n").expr is outer


def network(layers: int) -> str:
    return "c'*" + "".join(f"s(W{k}*" for k in range(layers, 0, -1)) + "x" + ")" * layers


def test_the_size_of_a_network_s_gradient_grows_with_its_layers():
    sizes = {}
    for layers in (20, 40, 80, 160):
        formula = Formula(parse(network(layers), "", wrt=["W1"], scalar=True))
        written = formula.gradient("W1").text()
        sizes[layers] = len(written)
        assert max(map(len, written.splitlines())) < 130
    assert sizes[160] < 60 * 160
    assert sizes[160] - sizes[80] < 2.4 * (sizes[80] - sizes[40])


def test_parts_are_named_where_that_shortens():
    gradient = Formula(parse("c^T Ψ((W+V)Φ(Wx+b))", "", wrt=["W"], scalar=True)).gradient("W")
    (part,) = name_parts([gradient.expr]).items()
    assert part[1] == "z0"
    assert "where" in gradient.text()
    assert "where" not in gradient.text(parts=False)
    short = Formula(parse("norm2(A*x - b)^2", "", wrt=["x"], scalar=True)).gradient("x")
    assert "where" not in short.text()


def test_the_user_s_names_are_preferred_and_no_name_is_taken_twice():
    source = "z0 = W*x + b; q = Psi((W + V)*Phi(z0)) .* Psi(V*Phi(z0)); c'*q"
    formula = Formula(parse(source, "", wrt=["W", "V"], scalar=True))
    written = formula.gradient("W", "V").text()
    assigned = [line.split(" = ")[0].strip() for line in written.splitlines() if " = " in line]
    assert len(set(assigned)) == len(assigned)
    where = "; ".join(formula.inferred)
    assert parse(written, where).expr is formula.gradient("W", "V")["V"]


@pytest.mark.parametrize("wrt", ["W", "W, b", "x"])
def test_blocks_parse_back(wrt):
    names = wrt.split(", ")
    formula = Formula(parse("c^T Ψ((W+V)Φ(Wx+b))", "", wrt=names, scalar=True))
    gradient = formula.gradient(*names)
    where = "; ".join(formula.inferred)
    last = gradient[names[-1]]
    for written in (gradient.text(), gradient.text(unicode=True), gradient.latex(), gradient.text(parts=False)):
        assert parse(written, where).expr is last


def test_data_for_json_holds_every_spelling():
    import json

    gradient = Formula(parse("c^T Ψ((W+V)Φ(Wx+b))", "", wrt=["W"], scalar=True)).gradient("W")
    data = json.loads(json.dumps(gradient.as_dict()))
    assert set(data["gradients"]["W"]) == {"shape", "text", "unicode", "latex"}
    assert data["gradients"]["W"]["shape"] == "R^{n x n}"
    assert list(data["parts"]) == ["z0"]


def test_a_line_without_end_is_refused_where_no_name_can_help():
    n = dim("n")
    i = make(Index("i"))
    e = sliced(var("x", (n, ONE)), AT, ALL, i)
    for _ in range(60):
        e = e * Unknown("f")(e)
    with pytest.raises(LimitError):
        text(indexed_sum(e, i, const(1), make(Size("n"))))


# -- LaTeX


def compiled(body: str, folder) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed")
    (folder / "page.tex").write_text(body, encoding="utf-8")
    run = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-draftmode", "page.tex"],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-2000:]


def test_latex_compiles(tmp_path):
    lines = [rf"\[ {latex(parse(row[0], WHERE).expr)} \]" for row in SPELLINGS]
    gradient = Formula(parse("c^T Ψ((W+V)Φ(Wx+b))", "", wrt=["W", "b"], scalar=True)).gradient("W", "b")
    lines.append(rf"\[ {gradient.latex()} \]")
    lines.append(rf"\[ {latex_document({'': ones(dim('m'), dim('n'))})} \]")
    packages = "\\documentclass{article}\n\\usepackage{amsmath,amssymb}\n\\begin{document}\n"
    compiled(packages + "\n".join(lines) + "\n\\end{document}\n", tmp_path)


def test_steps_in_latex_compile(tmp_path):
    from matcalc.printing.steps import steps_latex

    source = "c^T Ψ((W+V)Φ(Wx+b)) + lambda*norm2(W)^2"
    gradient = Formula(parse(source, "", wrt=["W", "b"], scalar=True)).gradient("W", "b")
    compiled(steps_latex(gradient.steps, document=True), tmp_path)


def test_every_derivative_in_latex_compiles(tmp_path):
    from matcalc.printing.steps import steps_latex

    layer = matcalc.parse("z = W*x + b; sigmoid(lambda*z)")
    net = matcalc.parse("u = W2*tanh(W1*x); logsumexp(u) - y'*u")
    results = [layer.jacobian("W, x"), layer.differential("W, lambda"), layer.jvp("W, lambda"), layer.vjp("W, b")]
    results += [layer.hessian("x, lambda"), net.hessian("W1, x"), net.gauss_newton("W1, W2")]
    results += [net.hvp("W1"), net.gnvp("W1")]
    lines = [steps_latex(r.steps) + rf"\[ {r.latex(head=True)} \]" for r in results]
    packages = "\\documentclass{article}\n\\usepackage{amsmath,amssymb}\n\\begin{document}\n"
    compiled(packages + "\n".join(lines) + "\n\\end{document}\n", tmp_path)
