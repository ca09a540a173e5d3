"""The three spellings of one expression are one object."""

import pytest

from matcalc.syntax import parse

WHERE = "A, B, X in R^{n x n}; x, y, w, c1 in R^n; lambda, t in R; D in R^{n x n} spd; psi, Psi: elementwise"

SPELLINGS = [
    (
        "A'",
        "A^T",
        "Aᵀ",
        "A^⊤",
        r"A^\top",
        r"A^{\top}",
        r"A^{\mathsf T}",
        r"A^{\mathsf{T}}",
        r"\mathbf{A}^{\intercal}",
        "A^{T}",
        "A.'",
    ),
    ("A^-1", "A⁻¹", "A^{-1}", "A^(-1)", r"\mathbf A^{-1}", "inv(A)"),
    ("A^-T", "A⁻ᵀ", r"A^{-\top}", r"A^{-T}", r"A^{-\mathsf{T}}"),
    ("A^3*x", "A³x", "A^{3} x", r"\boldsymbol{A}^3 \mathbf{x}"),
    ("x.^2", r"x^{\odot 2}", r"\mathbf{x}^{\circ 2}", "x^{⊙2}"),
    (
        "A*B*x",
        "A@B@x",
        "A·B·x",
        r"A \cdot B \cdot x",
        "A B x",
        "ABx",
        r"\mathbf{A}\mathbf{B}\mathbf{x}",
        r"A \, B \; x",
        "A*B x",
        "A B*x",
    ),
    ("x.*y", "x ⊙ y", r"x \odot y", r"x \circ y", "x∘y"),
    ("x./y", "x ⊘ y", r"x \oslash y"),
    ("kron(A, B)", "A ⊗ B", r"A \otimes B"),
    ("t/2", r"\frac{t}{2}", r"\tfrac t2", r"\dfrac{t}2", r"\frac{t} 2", "t÷2"),
    ("t/2/3", r"\frac{\frac{t}2}{3}", r"\frac{\frac t2}3"),
    ("conv(A, B, 'same')", "conv(A, B, mode='same')", r"\operatorname{conv}(A, B, 'same')"),
    ("1/2*x'*A*x", "1/2 x'Ax", r"\frac12 x^\top A x", r"\frac{1}{2}\,\mathbf{x}^{\top}\mathbf{A}\mathbf{x}"),
    ("-A*x", "−A x", r"-\mathbf{A}\mathbf{x}"),
    (
        "inner(A, B)",
        "<A,B>",
        "⟨A,B⟩",
        r"\langle A,B\rangle",
        r"\left\langle A, B \right\rangle",
        r"\langle A, B\rangle_F",
        "⟨A,B⟩_{F}",
        r"\langle A, B\rangle_{\mathrm{F}}",
    ),
    ("norm1(x)", "‖x‖₁", "‖x‖_1", r"\|x\|_1", r"\lVert x \rVert_{1}", "norm(x, 1)", r"\left\| x \right\|_1", "||x||_1"),
    ("norm2(x)", "‖x‖", "‖x‖_2", "‖x‖₂", r"\|x\|", "norm(x)", r"\left\lVert x\right\rVert_2", "norm(x, 2)"),
    ("norm2(x)^2", "‖x‖²", "‖x‖_2^2", "‖x‖₂²", r"\|x\|_2^2", r"\|x\|^2_2", r"\|x\|^{2}_{2}"),
    ("norm2(A)^2", r"\|A\|_F^2", r"\|A\|^2_F"),
    ("norm2(A)", "norm(A,'fro')", "‖A‖_F", r"\|A\|_F", r"\|A\|_{F}", 'norm(A, "fro")'),
    ("norm2(x; D)", "‖x‖_D", r"\|x\|_D", r"\|x\|_{\mathbf{D}}", "norm(x; D)", "(x'*D*x)^(1/2)"),
    ("abs(x)", "|x|", r"\lvert x\rvert", r"\left| x \right|"),
    ("det(A)", r"\det A", r"\det(A)", r"\operatorname{det} A", "det A"),
    ("logdet(A)", r"\operatorname{logdet}(A)", r"\mathrm{logdet}\left(A\right)"),
    ("log(det(A))", r"\log\det A", r"\log \det(A)", "log det A", r"\ln\det A"),
    ("tr(A*B)", r"\operatorname{tr}(AB)", r"\tr(A B)", r"\mathrm{Tr}\,(AB)", "Tr(A B)", "trace(A*B)"),
    ("diag(x)*y", r"\operatorname{diag}\{x\} y", r"\operatorname{diag}\left\{ x \right\} y", r"\text{diag}(x)\,y"),
    ("exp(x)", r"\exp x", r"\exp(x)", r"\exp\left( x \right)", "exp x", r"\exp{x}", r"\exp\bigl(x\bigr)"),
    ("lambda*x", "λx", "λ x", r"\lambda x", r"\lambda\mathbf{x}", "lambda x"),
    ("psi(x)", "ψ(x)", r"\psi(x)", r"\psi\left(x\right)"),
    ("Psi'(x)", "Ψ'(x)", r"\Psi'(x)", r"\Psi^{\prime}(x)", "Ψ′(x)"),
    ("sigmoid(x)", "σ(x)", "sigma(x)", r"\sigma(x)"),
    ("relu(x)", "ReLU(x)", "max(0, x)", r"\max(0, x)", r"\mathrm{ReLU}(x)"),
    ("1 + relu(x - 1)", "max(1, x)"),
    ("-1/2 + relu(x + 1/2)", "max(-1/2, x)"),
    ("1 + relu(t - 1)", "max(t, 1)", "max(1, t)"),
    ("relu(t)", "max(t, 0)", r"\max\left(t, 0\right)"),
    ("inv(A)", "inverse(A)", "A^-1"),
    ("diag(x)", "Diag(x)", r"\operatorname{Diag}(x)"),
    ("c1", "c_1", "c₁", "c_{1}", r"\mathbf{c}_1", r"\mathbf{c}_{1}", r"\mathbf{c_1}"),
    ("ones(n)'*x", "1'*x", r"\mathbf{1}^\top x", "𝟏ᵀx", "1ᵀx", r"\mathbf{1}_n^\top x", "1_n'*x", "𝟏ₙᵀx"),
    ("2*A", "2A", "A*2", r"2\mathbf{A}"),
    (
        "sum(i=1:n, x[i]*y[i])",
        "Σ_{i=1}^{n} x[i]*y[i]",
        r"\sum_{i=1}^n x_i y_i",
        "∑_{i=1}^{n} x_i*y_i",
        r"\sum\limits_{i=1}^{n} x_{i} y_{i}",
    ),
    ("A*(x + y)", "A (x+y)", r"\mathbf{A}\left(\mathbf{x}+\mathbf{y}\right)", r"A\left[x + y\right]", r"A\{x+y\}"),
    (
        "x'*y",
        "$x^T y$",
        r"\[ x^\top y \]",
        r"\( x^\top y \).",
        r"$$ x^{\top} y, $$",
        r"\begin{align*} x^\top y \end{align*}",
    ),
]


@pytest.mark.parametrize("spellings", SPELLINGS, ids=lambda row: row[0])
def test_all_spellings_are_one_expression(spellings: tuple[str, ...]) -> None:
    first = parse(spellings[0], WHERE).expr
    for other in spellings[1:]:
        assert parse(other, WHERE).expr is first, other


@pytest.mark.parametrize(
    "where",
    [
        "x, b in R^n; W in R^{n x n} symmetric; a in R; phi: elementwise",
        "x, b ∈ ℝ^n; W ∈ ℝ^{n×n} symmetric; a ∈ ℝ; phi: elementwise",
        "x, b ∈ ℝⁿ; W ∈ ℝⁿˣⁿ symmetric; a ∈ ℝ; φ: elementwise",
        r"\mathbf{x}, b \in \mathbb{R}^n; W \in \mathbb{R}^{n \times n} symmetric; a \in \mathbb R; \phi: elementwise",
        "x, b in R^{n}\nW in R^{n, n} symmetric\na in R\nphi: elementwise",
        "x, b in R^n, W in R^{nxn}, symmetric, a in R\nphi: elementwise",
        "x, b in R^(n); W in R^(n x n) symmetric; a in R; phi: elementwise;",
    ],
)
def test_declarations_in_all_spellings(where: str) -> None:
    program = parse("a*phi(W*x + b)", where)
    assert (
        program.expr is parse("a*phi(W*x + b)", "x, b in R^n; W in R^{n x n} symmetric; a in R; phi: elementwise").expr
    )
    assert program.declared == {"x", "b", "W", "a"}
    assert program.inferred == []


def test_the_formula_of_the_notes() -> None:
    pasted = r"""-\frac{1}{m} \left(
        \mathbf{c}_1^{\mathsf{T}} \log \left( \sigma(\mathbf{X}^{\mathsf{T}} \mathbf{w}) \right) +
        \mathbf{c}_2^{\mathsf{T}} \log \left( 1 - \sigma(\mathbf{X}^{\mathsf{T}} \mathbf{w}) \right)
        \right), \tag{9}"""
    where = "X in R^{n x m}; w in R^n; c1, c2 in R^m"
    assert parse(pasted, where).expr is parse("-1/m*(c1'*log(σ(X'*w)) + c2'*log(1 - σ(X'*w)))", where).expr


def test_a_program_its_where_form_and_its_lines_are_one_expression() -> None:
    where = "W in R^{m x n}; x in R^n; b, c in R^m"
    first = parse("z = W*x + b; h = tanh(z); c'*h", where)
    assert first.expr is parse("c'*tanh(W*x + b)", where).expr
    assert first.expr is parse("z = W*x + b\nh = tanh(z)\n\nc'*h\n", where).expr
    named = parse("c'*h where\n  z = W*x + b\n  h = tanh(z)", where)
    assert first.expr is named.expr
    assert list(first.definitions) == list(named.definitions) == ["z", "h"]
    assert named.names[named.definitions["h"]] == "h"


def test_lines_go_on_after_an_operator() -> None:
    assert parse("x +\n y\n + x").expr is parse("x + y + x").expr


def test_comments_and_aligned_lines() -> None:
    assert parse("# the loss\nz = x'*x  # squared\nz").expr is parse("x'*x").expr
    assert parse(r"z &= x^\top x \\ z").expr is parse("x'*x").expr


def test_assignments_and_ends_of_formulas_as_LaTeX_has_them() -> None:
    first = parse("z = A*x; h = tanh(z); y'*h", WHERE).expr
    assert parse("z := A*x\nh := tanh(z)\ny'*h", WHERE).expr is first
    assert parse(r"z = Ax;\ h = \tanh(z);\ y^\top h. \tag{12}", WHERE).expr is first
