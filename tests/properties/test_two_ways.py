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
tr(A'*A) | norm2(A)^2 | A
tr(A*B') | tr(B'*A) | B
tr(X*C*X') | sum(X .* (X*C')) | X
tr(X'*C*X*F) | inner(C*X*F, X) | X
norm2(A*X)^2 | tr(X'*A'*A*X) | X
norm2(A*X - B)^2 | norm2(A*X)^2 - 2*inner(A*X, B) + norm2(B)^2 | X
norm2(A*X - B)^2 | sum((B - A*X).^2) | X
x'*(C + F)*x | x'*C*x + x'*F*x | x
x'*C'*x | x'*C*x | x
x'*C*y | y'*C'*x | C
x'*C*y + y'*C*x | tr(C*(x*y' + y*x')) | C
x'*diag(y)*z | sum(x .* y .* z) | y
diag(C)'*x | tr(C*diag(x)) | C
diag(C)'*x | sum(diag(x) .* C) | C
sum(diag(x)*C*y) | x'*C*y | x
norm2(diag(x)*y)^2 | sum(x.^2 .* y.^2) | x
norm2(x .* y)^2 | (x.^2)'*y.^2 | x
sum((C*x).^2) | x'*C'*C*x | x
exp(-x'*x/2) | 1/exp(norm2(x)^2/2) | x
log(x'*x) | 2*log(norm2(x)) | x
sqrt(x'*P*x) | exp(1/2*log(x'*P*x)) | x
norm2(x; P) | sqrt(x'*P*x) | x
norm2(x; P)^2 | x'*P*x | x
(x-y)'*P^-1*(x-y) | x'*P^-1*x - 2*y'*P^-1*x + y'*P^-1*y | x
(x-y)'*P^-1*(x-y) | tr(P^-1*(x-y)*(x-y)') | P
(x-y)'*P^-1*(x-y) | (y-x)'*P^-1*(y-x) | P
logdet(P) | -logdet(inv(P)) | P
logdet(a*P) | n*log(a) + logdet(P) | P
logdet(P*F) | logdet(P) + logdet(F) | P
det(X*F) | det(X)*det(F) | X
1/det(X) | det(X^-1) | X
tr(X^-1*C) | tr(C*X^-1) | X
tr(X^-1) | sum(diag(X^-1)) | X
tr(X^3) | tr(X*X*X) | X
y'*X*X*z | y'*X^2*z | X
sum(A*X) | ones(m)'*A*X*ones(n) | X
sum(A*x)^2 | (ones(m)'*A*x)^2 | x
mean(A*x - b) | sum(A*x - b)/m | x
norm2(A*x-b)^2/m | mean((A*x-b).^2) | A
sum(X) | tr(ones(n)*ones(n)'*X) | X
sum(sigmoid(x)) | sum(1 - sigmoid(-x)) | x
sum(softplus(x)) | -sum(log(sigmoid(-x))) | x
sum(softplus(x) - softplus(-x)) | sum(x) | x
y'*softmax(x) | y'*exp(x)/sum(exp(x)) | x
y'*softmax(x) | y'*exp(x - logsumexp(x)) | x
logsumexp(x + a) | a + logsumexp(x) | x
x'*C*x/(x'*x) | tr(C*x*x')/tr(x*x') | x
x'*y/norm2(x) | x'*y*norm2(x)^-1 | x
a*norm2(x)^2 + a*norm2(y)^2 | a*(x'*x + y'*y) | x
(a'*x)'*(a'*x) | a^2*x'*x | x
sum((x*y') .* C) | x'*C*y | x
tr(x*y'*C) | y'*C*x | x
norm2(x*y')^2 | (x'*x)*(y'*y) | x
norm2(x*y' - C)^2 | norm2(C - x*y')^2 | x
inner(x*y', C) | x'*C*y | y
sum(i=1:n, x[i]*y[i]) | x'*y | x
sum(i=1:n, x[i]^2) | norm2(x)^2 | x
sum(i=1:m, (A[i,:]*x - b[i])^2) | norm2(A*x-b)^2 | x
sum(i=1:m, (A[i,:]*x - b[i])^2) | norm2(A*x-b)^2 | A
sum(i=1:n, sum(j=1:n, C[i,j]*x[i]*x[j])) | x'*C*x | x
sum(i=1:m, log(1 + exp(-b[i]*A[i,:]*x))) | sum(softplus(-b .* (A*x))) | x
sum(i=1:n, C[i,i]) | tr(C) | C
sum(i=1:m, sum(j=1:n, (A[i,j] - b[i]*x[j])^2)) | norm2(A - b*x')^2 | x
sum(i=1:m, sum(j=1:n, (A[i,j] - b[i]*x[j])^2)) | norm2(A - b*x')^2 | b
e(1,n)'*C*e(2,n) | C[1,2] | C
e(1,n)'*x*y[2] | x[1]*y[2] | x
vec(C)'*kron(F,F)*vec(C) | tr(C'*F*C*F') | C
norm2(vec(A) - vec(B))^2 | norm2(A - B)^2 | A
norm2(kron(x, y))^2 | norm2(x)^2*norm2(y)^2 | x
tr(kron(C, F)) | tr(kron(F, C)) | C
x'*(C .* F)*y | tr(diag(x)*C*diag(y)*F') | x
x'*(C .* F)*y | sum(diag(x)*(C .* F)*diag(y)) | C
sum(abs(x)) | sum(sign(x) .* x) | x
sum(relu(x) + relu(-x)) | norm1(x) | x
sum(x.^2 ./ y) | x'*diag(y)^-1*x | x
sum(x ./ y) | x'*(1 ./ y) | y
sum(log(x ./ y)) | sum(log(x)) - sum(log(y)) | x
sum(exp(x + y)) | exp(x)'*exp(y) | x
sum(exp(x .* y)) | sum(exp(y .* x)) | y
(x'*y)/(a + x'*y) | 1 - a/(a + x'*y) | x
1/(1 + exp(-x'*y)) | exp(x'*y)/(1 + exp(x'*y)) | x
log(1 + norm2(x)^2/a) | log(a + x'*x) - log(a) | x
norm2(X*X' - F)^2 | tr((X*X' - F)*(X*X' - F)') | X
norm2(A' - B')^2 | norm2(A - B)^2 | A
tr((A - B)*(A - B)') | norm2(A)^2 + norm2(B)^2 - 2*tr(A*B') | A
norm2(X - X')^2 | 2*norm2(X)^2 - 2*tr(X*X) | X
b'*A*x - b'*B*x | b'*(A - B)*x | A
l*(A*x - b)'*(A*x - b) | l*norm2(b - A*x)^2 | x
exp(a)*exp(l) | exp(a + l) | a
sin(a)^2 | 1 - cos(a)^2 | a
a^3 | a*a*a | a
mean(x)^2 | (sum(x)/n)^2 | x
mean((x - mean(x)).^2) | norm2(x)^2/n - mean(x)^2 | x
norm2(x - mean(x))^2 | x'*(x - mean(x)) | x
norm2(x - y)^2 + norm2(x - z)^2 | 2*norm2(x)^2 - 2*x'*(y + z) + y'*y + z'*z | x
"""


def gradient_of(text: str, wrt: str) -> Expr:
    f = parse(text, DECLARED).expr
    x = next(v for v in variables([f]) if v.op.name == wrt)
    return simplify(gradient(f, [x])[x])


@pytest.mark.parametrize("pair", PAIRS.strip().splitlines())
def test_two_ways_have_one_gradient(pair: str) -> None:
    one, other, wrt = (part.strip() for part in pair.split("|"))
    assert gradient_of(one, wrt) is gradient_of(other, wrt)
