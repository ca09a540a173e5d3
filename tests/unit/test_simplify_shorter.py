"""Forms that the references print: what is found among the terms and factors, and what is left as it is."""

from __future__ import annotations

import pytest

from matcalc.printing.text import text
from matcalc.simplify import simplify
from matcalc.syntax import parse

PRODUCTS = [
    # beside its own inverse, and where only that cancels
    ("(X'*X)^-1*X'*X*a", "a", "X in R^{m x n}; a in R^n"),
    ("B*X'*X*(X'*X)^-1", "B", "X in R^{m x n}; B in R^{p x n}"),
    ("(X'*X)^-2*X'*X*a", "(X'*X)^-1*a", "X in R^{m x n}; a in R^n"),
    ("A*(A^-1*b + c)", "A*c + b", "A in R^{n x n}; b, c in R^n"),
    ("X*(X'*X)^-1*X'*(y - X*(X'*X)^-1*X'*y)", "zeros(m)", "X in R^{m x n}; y in R^m"),
    ("A^-1*(A^-1*b + c)", "A^-1*(A^-1*b + c)", "A in R^{n x n}; b, c in R^n"),
    # pseudo-inverses
    ("A'*pinv(A)'*B", "pinv(A)*A*B", "A in R^{m x n}; B in R^{n x p}"),
    ("pinv(A')", "pinv(A)'", "A in R^{m x n}"),
    ("A'*A*pinv(A)", "A'", "A in R^{m x n}"),
    # adjugates
    ("tr(adj(A)*B)/det(A)", "tr(B*A^-1)", "A, B in R^{n x n}"),
    ("b'*adj(A)*c/det(A)", "b'*A^-1*c", "A in R^{n x n}; b, c in R^n"),
    ("adj(A)*adj(adj(A))", "det(adj(A))*eye(n)", "A in R^{n x n}"),
    ("A*adj(A^2)", "det(A)*adj(A)", "A in R^{n x n}"),
    # numbers, signs, divisors
    ("sqrt(2)*sqrt(pi)*a", "a*sqrt(2*pi)", "a in R"),
    ("e(i,n)'*e(i,n)*x", "x", "x in R^n"),
    ("-z'*(x - y)/t", "z'*(y - x)/t", "x, y, z in R^n; t in R"),
    ("2*a*(x/2 + y)", "a*(2*y + x)", "a in R; x, y in R^n"),
    ("(x ./ (1 + y.^2/t))/t", "x ./ (t + y.^2)", "x, y in R^n; t in R positive"),
    ("(A/s + I)^-1/s", "(A + s*I)^-1", "A in R^{n x n}; s in R"),
    ("a/(b - c)*(-1)", "a/(c - b)", "a, b, c in R"),
    ("exp(a)/(exp(a) + exp(b))", "sigmoid(a - b)", "a, b in R"),
    ("(x + y) .* (x - y)", "x.^2 - y.^2", "x, y in R^n"),
    ("(sqrt(x) - sqrt(y)) ./ sqrt(x)", "1 - sqrt(y ./ x)", "x, y in R^n positive"),
    ("sigmoid(a - b)*sigmoid(b - a)", "sigmoid(a - b)*(1 - sigmoid(a - b))", "a, b in R"),
    ("c'*(t*I - A)^-2*b", "c'*(t*I - A)^-2*b", "A in R^{n x n}; b, c in R^n; t in R"),
    ("tr(B*(B*b*c' + b*c'*B))", "2*c'*B^2*b", "B in R^{n x n}; b, c in R^n"),
    ("x'*A'*A*x", "norm2(A*x)^2", "x in R^n; A in R^{m x n}"),
    ("x'*S^-2*x", "norm2(S^-1*x)^2", "x in R^n; S in R^{n x n} symmetric"),
    ("diag(A'*(S*b*b'*S - S)*A)", "(A'*S*b).^2 - diag(A'*S*A)", "A in R^{m x n}; S in R^{m x m} symmetric; b in R^m"),
]
SUMS = [
    ("1 - a/(a + b) + log(c)", "b/(a + b) + log(c)", "a, b, c in R positive"),
    ("-(A + B)", "-A - B", "A, B in R^{n x n}"),
    ("4*(2*A + B)", "4*B + 8*A", "A, B in R^{n x n}"),
    ("4*(A + B)", "4*(A + B)", "A, B in R^{n x n}"),
    ("C*(4*A + 8*B)", "4*C*(2*B + A)", "A, B, C in R^{n x n}"),
    ("K^2*a + K*b", "K*(K*a + b)", "K in R^{n x n}; a, b in R^n"),
    ("A*b - sum(A, 1)", "A*(b - 1)", "A in R^{m x n}; b in R^n"),
    ("A'*b - sum(A, 0)'", "A'*(b - 1)", "A in R^{m x n}; b in R^m"),
    ("(A + B)^-1 - (A + B)^-1*C*(A + B)^-1", "(A + B)^-1*(A + B - C)*(A + B)^-1", "A, B, C in R^{n x n}"),
    ("A^-1 - A^-1*C*A^-1", "A^-1 - A^-1*C*A^-1", "A, C in R^{n x n}"),
    ("(A + A' + S)^-1 + (A + A' + S)^-T", "2*(A + A' + S)^-1", "A in R^{n x n}; S in R^{n x n} symmetric"),
]


@pytest.mark.parametrize(("given", "expected", "where"), PRODUCTS + SUMS)
def test_shorter_form(given: str, expected: str, where: str) -> None:
    e = simplify(parse(given, where).expr)
    assert text(e) == expected
    assert simplify(e) is e
