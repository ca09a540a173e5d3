"""Forms that are met under several spellings: squares, differences, logarithms, divisors, ratios of functions."""

from __future__ import annotations

import pytest

from matcalc.printing.text import text
from matcalc.simplify import simplify
from matcalc.syntax import parse

DECLARED = """A in R^{m x n}; b in R^m; C, X, Y in R^{n x n}; S in R^{n x n} symmetric; P in R^{n x n} spd
    Q in R^{n x n} orthogonal; D in R^{n x n} diagonal; x, y, z in R^n; p, q in R^n positive; a, c, t in R"""

CASES = """
a^2 + 2*a*c + c^2 | (a + c)^2
4*a^2 - 4*a*c + c^2 | (2*a - c)^2
x'*x - 2*x'*y + y'*y | norm2(x - y)^2
norm2(X)^2 - 2*inner(X, Y) + norm2(Y)^2 | norm2(X - Y)^2
x'*P*x + 2*y'*P*x + y'*P*y | (x + y)'*P*(x + y)
a^2*x'*x + 2*a*t*x'*y + t^2*y'*y | norm2(a*x + t*y)^2
x.^2 + 2*x + 1 | (1 + x).^2
exp(a)^2 + 2*exp(a) + 1 | (1 + exp(a))^2
t/a^2 + 2*t/(a*c) + t/c^2 | t*(1/a + 1/c)^2
(a + c)^2 - a^2 - c^2 - 2*a*c | 0
x'*(x - y) + y'*(y - x) | norm2(x - y)^2
(x - y)'*P*(y - x) | -(x - y)'*P*(x - y)
norm2(b - A*x) | norm2(A*x - b)
norm2(x*y') | norm2(x)*norm2(y)
cos(b - A*x) | cos(A*x - b)
sin(y - x) | -sin(x - y)
log(p) - log(q) | log(p ./ q)
1 - log(q ./ p) | 1 + log(p ./ q)
2*log(q ./ p) - 3*log(p ./ q) | 5*log(q ./ p)
-2*x/(t^2 - x'*x) | 2*x/(x'*x - t^2)
1/(a - c) + 1/(c - a) | 0
(x - y)/(c - a) | (y - x)/(a - c)
2/(1 - a) + 1/(a - 1) | 1/(1 - a)
-sum(y - exp(x)) | sum(exp(x) - y)
sinh(t)^3/cosh(t)^2 | sinh(t)*tanh(t)^2
tan(x) .* cos(x) | sin(x)
exp(t)*(1 - a) + exp(-t)*(1 + a) | 2*(cosh(t) - a*sinh(t))
(1 + exp(t))*sigmoid(-t) | 1
exp(1/2*log1p(x'*x)) | sqrt(1 + x'*x)
exp(A*x + b - logsumexp(A*x + b)) | softmax(A*x + b)
(x'*exp(y))*exp(y)/sum(exp(y))^2 | (x'*softmax(y))*softmax(y)
exp(y)'*C*x/sum(exp(y)) | softmax(y)'*C*x
1/((1 + 1/t)^2*t^2) | 1/(1 + t)^2
x'*(C + C')*x | 2*x'*C*x
x'*(C - C')*x | 0
x'*(C - C' + a)*x | a*sum(x)^2
Q'*(Q*x - y) | x - Q'*y
P*(x - P^-1*y) | P*x - y
P^-1*(t*P^-1 + I)^-1 | (P + t*I)^-1
X*adj(X)^2 | det(X)*adj(X)
expm_frechet(C', X') | expm_frechet(C, X)'
tr(S^2) | norm2(S)^2
diag(C'*X') | diag(X*C)
diag(D) .* x | D*x
I - diag(x) | diag(1 - x)
n*(x - mean(x)) | n*x - sum(x)
1/n^2*sum(x) | 1/n*mean(x)
1/n*norm2(x)^2 | mean(x.^2)
sqrt(2)*x/2 | x/sqrt(2)
reshape(kron(x, y), n, n) | y*x'
"""


@pytest.mark.parametrize("case", CASES.strip().splitlines())
def test_is_written_so(case: str) -> None:
    given, expected = (part.strip() for part in case.split(" | "))
    assert text(simplify(parse(given, DECLARED).expr)) == expected


def test_signs_do_not_depend_on_what_came_before() -> None:
    first = text(simplify(parse("sin(a*(A*x + b))", DECLARED).expr))
    simplify(parse("sin(a*(-(-(A*x)' - b'))')", DECLARED).expr)
    simplify(parse("cos(-A*x - b)", DECLARED).expr)
    assert text(simplify(parse("sin(a*(A*x + b))", DECLARED).expr)) == first == "sin(a*(A*x + b))"
