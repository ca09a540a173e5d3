"""The same function written in two ways has the same gradient, as the same expression."""

from __future__ import annotations

import pytest

from matcalc.calculus.gradient import gradient
from matcalc.expr import Expr, variables
from matcalc.simplify import simplify
from matcalc.syntax import parse

DECLARED = """A, B in R^{m x n}; C, F, X in R^{n x n}; S in R^{n x n} symmetric; P in R^{n x n} spd
    x, y, z, w in R^n; b in R^m; a, l in R"""

# one way | another | by what
PAIRS = """
norm2(A*x-b)^2 | (A*x-b)'*(A*x-b) | x
norm2(A*x-b)^2 | x'*A'*A*x - 2*b'*A*x + b'*b | x
norm2(A*x-b)^2 | sum((A*x-b).^2) | x
norm2(A*x-b)^2 | tr((A*x-b)*(A*x-b)') | x
norm2(A*x-b)^2 | inner(A*x-b, A*x-b) | x
norm2(A*x-b) | sqrt(sum((A*x-b).^2)) | x
norm2(A*x-b) | ((A*x-b)'*(A*x-b))^(1/2) | x
x'*C*x | tr(C*x*x') | x
x'*C*x | sum(x .* (C*x)) | x
x'*C*x | 1/2*x'*(C+C')*x | x
x'*diag(w)*x | w'*x.^2 | x
x'*diag(w)*x | sum(w .* x .* x) | x
tr(A'*B) | sum(A .* B) | A
tr(A'*B) | vec(A)'*vec(B) | A
tr(A'*B) | inner(A,B) | A
tr(A*X*B') | tr(B'*A*X) | X
tr(A*X*B') | sum((A'*B) .* X) | X
logdet(X) | log(det(X)) | X
logdet(X) | -logdet(X^-1) | X
logdet(C*X) | logdet(C) + logdet(X) | X
b'*A*x | tr(A*x*b') | A
b'*A*x | sum(A .* (b*x')) | A
b'*A*x | x'*A'*b | A
sum(log(1+exp(x))) | sum(softplus(x)) | x
sum(sigmoid(x)) | sum(1 ./ (1+exp(-x))) | x
sum(sigmoid(x)) | sum(exp(x) ./ (1+exp(x))) | x
log(sum(exp(A*x))) | logsumexp(A*x) | x
-y'*log(softmax(x)) | -y'*log_softmax(x) | x
-y'*log(softmax(x)) | -y'*(x - logsumexp(x)) | x
b'*log(sigmoid(A*x)) | -b'*log(1+exp(-A*x)) | x
b'*log(sigmoid(A*x)) | -b'*softplus(-A*x) | x
log(sigmoid(x'*y)) | -log(1+exp(-x'*y)) | x
x'*S*x/(x'*x) | x'*S*x/norm2(x)^2 | x
x'*y/(norm2(x)*norm2(y)) | x'*y/(x'*x*y'*y)^(1/2) | x
x'*(y+z) | x'*y+x'*z | x
norm2(X-C)^2 | tr((X-C)'*(X-C)) | X
norm2(X-C)^2 | tr(X'*X) - 2*tr(C'*X) + tr(C'*C) | X
tr(X*X') | sum(X.^2) | X
tr(X^2) | sum(X .* X') | X
sum(A*x) | ones(m)'*A*x | x
sum(A*x) | sum(A,0)*x | x
mean(x) | sum(x)/n | x
mean((A*x-b).^2) | norm2(A*x-b)^2/m | x
exp(a*x'*y) | exp(x'*y)^a | x
(a*x'*x)^2 | a^2*(x'*x)^2 | x
1/(x'*y) | (x'*y)^-1 | x
log(x'*C*x/(x'*x)) | log(x'*C*x) - log(x'*x) | x
log(a*b'*A*x) | log(a) + log(b'*A*x) | x
y'*X^-1*z | tr(X^-1*z*y') | X
y'*X^-1*z | tr(z*y'*inv(X)) | X
y'*P^-1*y | tr(P^-1*y*y') | P
sum((x-y).^2)/2 | norm2(y-x)^2/2 | x
sum(abs(x)) | norm1(x) | x
sum(x .* x .* x) | sum(x.^3) | x
(x'*y)^2 | x'*y*y'*x | x
(x'*y)^2 | tr(x*x'*y*y') | x
sum(exp(-x .* y)) | sum(1 ./ exp(x .* y)) | x
sum(sqrt(x)) | sum(x.^(1/2)) | x
sum(tanh(C*x)) | ones(n)'*tanh(C*x) | x
tr(C*X*F*X') | inner(X*F', C*X) | X
tr(kron(C,X)) | tr(C)*tr(X) | X
norm2(A*(x+y))^2 | norm2(A*x+A*y)^2 | x
det(X)*a | a*det(X') | X
sum(relu(x)) | sum(step(x) .* x) | x
sum(x ./ (x+y)) | sum(1 - y ./ (x+y)) | x
a/(1+exp(-x'*y)) | a*exp(x'*y)/(1+exp(x'*y)) | x
l*norm2(x)^2/2 + norm2(A*x-b)^2/2 | 1/2*(norm2(A*x-b)^2 + l*x'*x) | x
"""


def gradient_of(text: str, wrt: str) -> Expr:
    f = parse(text, DECLARED).expr
    x = next(v for v in variables([f]) if v.op.name == wrt)
    return simplify(gradient(f, [x])[x])


@pytest.mark.parametrize("pair", PAIRS.strip().splitlines())
def test_two_ways_have_one_gradient(pair: str) -> None:
    one, other, wrt = (part.strip() for part in pair.split("|"))
    assert gradient_of(one, wrt) is gradient_of(other, wrt)
