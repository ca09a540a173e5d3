"""What is printed parses back to the same object, in all three spellings."""

import pytest

from matcalc.printing.latex import latex
from matcalc.printing.text import text
from matcalc.syntax import parse

WHERE = "A, B in R^{n x n}; X in R^{n x m}; x, y, b in R^n; w in R^m; s, t in R; D in R^{n x n} spd; phi: elementwise"

EXPRESSIONS = [
    "A*B*x - x + b",
    "A*(B*x)",
    "(A*B)*x",
    "x'*A*x/2",
    "-(A*x) - (x + b)",
    "x'*y*b",
    "(x'*A*x)^-1*x",
    "x.^2 ./ (1 + y.^2) .* b",
    "-x.*y",
    "A^-T*A'^3*x",
    "s^t*phi''(A*x)",
    "(A ⊗ B)*vec(B)",
    "A ⊗ (B ⊗ A)",
    "<A, B'>*norm2(x)^2*norm1(y)",
    "norm2(x; D)",
    "sum(i=1:n, x[i]*A[i, :])*y",
    "A[1:3, :]*x",
    "X'[:, 2]'*w",
    "log_softmax(X, axis=1)*w + sum(X, 1)",
    "conv(A, B, 'same')*ones(n)/n",
    "logdet(I + A'*A) + tr(inv(D)*A)",
    "pi*e(2, n) + hcat(A, x)*vcat(x, s)",
    "0.25*x + 2/3*y",
    "A^(1 - 4)*x",
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_text_unicode_and_latex_parse_back(expression: str) -> None:
    e = parse(expression, WHERE).expr
    for printed in (text(e), text(e, unicode=True), latex(e)):
        assert parse(printed, WHERE).expr is e, printed
