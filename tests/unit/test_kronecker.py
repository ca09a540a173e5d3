"""Products and sums of Kronecker factors come to the form that a textbook prints."""

from __future__ import annotations

from random import Random

import mpmath
import pytest

from matcalc.checks.evaluate import evaluate
from matcalc.checks.sampling import draw_point
from matcalc.facts import PSD, SYMMETRIC, has
from matcalc.printing.text import text
from matcalc.simplify import simplify
from matcalc.syntax import parse

MIXED = """
kron(A, B)*kron(C, D)  kron(A*C, B*D)  A in R^{m x n}; C in R^{n x k}; B in R^{p x q}; D in R^{q x l}
kron(kron(A, B), C)*kron(D, kron(E, F))  kron(kron(A*D, B*E), C*F)
    A in R^{m x 2}; B in R^{3 x q}; C in R^{2 x 3}; D in R^{2 x 1}; E in R^{q x 2}; F in R^{3 x 1}
kron(A, B)*khatri_rao(C, D)  khatri_rao(A*C, B*D)  A in R^{m x n}; B in R^{p x q}; C in R^{n x k}; D in R^{q x k}
khatri_rao(C, D)'*kron(A, B)  khatri_rao(A'*C, B'*D)'
    A in R^{n x m}; B in R^{q x p}; C in R^{n x k}; D in R^{q x k}
khatri_rao(A, B)'*khatri_rao(C, D)  (A'*C) .* (B'*D)  A in R^{m x n}; B in R^{p x n}; C in R^{m x k}; D in R^{p x k}
M*kron(A, B)*kron(C, D)*N  M*kron(A*C, B*D)*N
    A in R^{m x n}; C in R^{n x k}; B in R^{p x q}; D in R^{q x l}; M in R^{r x m*p}; N in R^{k*l x s}
kron(2*A, -B)  -2*kron(A, B)  A in R^{m x n}; B in R^{p x q}
kron(eye(m), eye(n))  eye(m*n)
kron(A, kron(B, C))  kron(kron(A, B), C)  A in R^{m x n}; B in R^{p x q}; C in R^{r x s}
inv(kron(A, B))  kron(inv(A), inv(B))  A in R^{n x n}; B in R^{m x m}
tr(kron(A, B))  tr(A)*tr(B)  A in R^{n x n}; B in R^{m x m}
det(kron(A, B))  det(A)^m*det(B)^n  A in R^{n x n}; B in R^{m x m}
logdet(kron(A, B))  m*logdet(A) + n*logdet(B)  A in R^{n x n}; B in R^{m x m}
kron(A, B) .* kron(C, D)  kron(A .* C, B .* D)  A, C in R^{m x n}; B, D in R^{p x q}
"""

ROWS_AND_COLUMNS = """
kron(u', v)  v*u'  u in R^n; v in R^m
kron(kron(A, u'), v)  kron(A, v*u')  u in R^n; v in R^m; A in R^{p x q}
kron(u*v', x*y')  kron(u, x)*kron(v, y)'  u in R^n; v in R^m; x in R^p; y in R^q
kron(x, I)*A*B  kron(x, A*B)  x in R^n; A in R^{m x p}; B in R^{p x q}
A*kron(x', I)  kron(x', A)  x in R^n; A in R^{m x p}
kron(x, I)*S*kron(x', I)  kron(x*x', S)  S in R^{m x m}; x in R^n
diag(tanh(W*x + b))*kron(x', I)  kron(x', diag(tanh(W*x + b)))  W in R^{m x n}; x in R^n; b in R^m
kron(b', I)*(-kron(inv(A'), inv(A)))  -kron(b'*inv(A'), inv(A))  b in R^n; A in R^{n x n}
khatri_rao(v', B)  B*diag(v)  v in R^n; B in R^{m x n}
khatri_rao(ones(n)', B)  B  B in R^{m x n}
khatri_rao(x, y)  kron(x, y)  x in R^m; y in R^n
khatri_rao(x*ones(n)', B)  kron(x, B)  x in R^m; B in R^{p x n}
"""

DIAGONALS = """
diag(kron(x, y))*kron(A, B)  kron(diag(x)*A, diag(y)*B)  x in R^m; y in R^n; A in R^{m x p}; B in R^{n x q}
diag(vec(u*v'))*kron(A, B)  kron(diag(v)*A, diag(u)*B)  v in R^m; u in R^n; A in R^{m x p}; B in R^{n x q}
diag(vec(A))*kron(I, ones(m))  khatri_rao(I, A)  A in R^{m x n}
diag(vec(A))*kron(ones(n), I)  khatri_rao(A', I)  A in R^{m x n}
kron(I, ones(m)')*diag(vec(A))  khatri_rao(I, A)'  A in R^{m x n}
kron(ones(n)', I)*diag(vec(A))  khatri_rao(A', I)'  A in R^{m x n}
diag(vec(A))*kron(I, ones(m, m))*diag(vec(B))  khatri_rao(I, A)*khatri_rao(I, B)'  A, B in R^{m x n}
diag(vec(A))*kron(diag(x), diag(y))  diag(vec(diag(y)*A*diag(x)))  A in R^{m x n}; x in R^n; y in R^m
diag(vec(A))*khatri_rao(I, B)  khatri_rao(I, A .* B)  A, B in R^{m x n}
diag(vec(A))*diag(vec(B))  diag(vec(A .* B))  A, B in R^{m x n}
diag(vec(A))*vec(B)  vec(A .* B)  A, B in R^{m x n}
vec(A)'*diag(vec(B))  vec(A .* B)'  A, B in R^{m x n}
diag(vec(P))*kron(X', I)  diag(vec(P))*kron(X', I)  P in R^{m x n}; X in R^{p x n}
khatri_rao(I, I)'*kron(A, B)*khatri_rao(I, I)  A .* B  A, B in R^{m x n}
khatri_rao(I, I)'*vec(A)  diag(A)  A in R^{n x n}
khatri_rao(I, I)*v  vec(diag(v))  v in R^n
kron(x'*A', I)*khatri_rao(I, I)  diag(A*x)  A in R^{m x n}; x in R^n
khatri_rao(I, A*diag(v))  khatri_rao(diag(v), A)  A in R^{m x n}; v in R^n
kron(I, ones(m)')*khatri_rao(I, A)  diag(sum(A, 0)')  A in R^{m x n}
diag(y)*(I - ones(n)*y')  diag(y) - y*y'  y in R^n
diag(vec(S))*(I - kron(I, ones(m))*kron(I, ones(m)')*diag(vec(S)))
    diag(vec(S)) - khatri_rao(I, S)*khatri_rao(I, S)'
    S in R^{m x n}
"""

VEC = """
kron(B', A)*vec(X)  vec(A*X*B)  A in R^{m x n}; X in R^{n x p}; B in R^{p x q}
kron(B, A)*vec(X)  vec(A*X*B')  A in R^{m x n}; X in R^{n x p}; B in R^{q x p}
kron(I, A)*vec(X)  vec(A*X)  A in R^{m x n}; X in R^{n x p}
kron(x', A)*vec(X)  A*X*x  A in R^{m x n}; X in R^{n x p}; x in R^p
vec(A)'*kron(B, C)  vec(C'*A*B)'  A in R^{m x n}; B in R^{n x p}; C in R^{m x q}
vec(A)'*kron(B, C)*vec(D)  inner(A, C*D*B')  A in R^{m x n}; B in R^{n x p}; C in R^{m x q}; D in R^{q x p}
vec(A)'*vec(B)  inner(A, B)  A, B in R^{m x n}
kron(x, y)'*kron(u, v)  (x'*u)*(y'*v)  x, u in R^m; y, v in R^n
kron(x, y)'*vec(A)  y'*A*x  A in R^{m x n}; x in R^n; y in R^m
vec(I)'*vec(A)  tr(A)  A in R^{n x n}
vec(a*b')  kron(b, a)  a in R^m; b in R^n
vec(A*x*y'*B)  kron(B'*y, A*x)  A in R^{m x n}; x in R^n; y in R^p; B in R^{p x q}
vec(2*A) + vec(B)  vec(2*A + B)  A, B in R^{m x n}
vec(A) .* vec(B)  vec(A .* B)  A, B in R^{m x n}
"""

COMMUTATION = """
commutation(m,n)'  commutation(n,m)
inv(commutation(m,n))  commutation(n,m)
commutation(m,n)*commutation(n,m)  eye(m*n)
commutation(n,n)*commutation(n,n)  eye(n*n)
commutation(1,n)  eye(n)
commutation(m,n)*vec(A)  vec(A')  A in R^{m x n}
vec(A)'*commutation(n,m)  vec(A')'  A in R^{m x n}
commutation(m,n)*kron(A, B)  kron(B, A)*commutation(q,p)  A in R^{n x p}; B in R^{m x q}
commutation(m,n)*kron(A, B)*commutation(p,q)  kron(B, A)  A in R^{n x p}; B in R^{m x q}
commutation(m,n)*kron(x, A)  kron(A, x)  x in R^n; A in R^{m x p}
kron(x', A)*commutation(n,p)  kron(A, x')  x in R^n; A in R^{m x p}
commutation(m,n)*khatri_rao(A, B)  khatri_rao(B, A)  A in R^{n x p}; B in R^{m x p}
commutation(m,n)*diag(vec(A))  diag(vec(A'))*commutation(m,n)  A in R^{m x n}
-commutation(n,n)*kron(inv(X), inv(X'))  -kron(inv(X'), inv(X))*commutation(n,n)  X in R^{n x n}
kron(X', I)*commutation(m,n) + kron(I, X')  (I + commutation(n,n))*kron(I, X')  X in R^{m x n}
(kron(X, I) + kron(I, X)*commutation(n,n))*commutation(n,n)  (I + commutation(n,n))*kron(I, X)  X in R^{n x n}
kron(X*A, I) + kron(I, X*A)*commutation(m,n)  (I + commutation(m,m))*kron(X*A, I)
    X in R^{m x n}; A in R^{n x n} symmetric
kron(inv(X'*X), inv(X'*X))*(kron(X', I)*commutation(m,n) + kron(I, X'))
    (I + commutation(n,n))*kron(inv(X'*X), inv(X'*X)*X')
    X in R^{m x n}
(I + commutation(n,n))*(I + commutation(n,n))  2*(I + commutation(n,n))
(I + commutation(n,n))*vec(A)  vec(A + A')  A in R^{n x n}
(I + commutation(n,n))*kron(A, B) - kron(A, B)  kron(B, A)*commutation(m,p)  A in R^{n x p}; B in R^{n x m}
"""

SUMS = """
kron(A, B) + kron(A, C)  kron(A, B + C)  A in R^{m x n}; B, C in R^{p x q}
2*kron(A, B) - 3*kron(C, B)  kron(2*A - 3*C, B)  A, C in R^{m x n}; B in R^{p x q}
M*kron(A, B)*N + M*kron(A, C)*N  M*kron(A, B + C)*N
    A in R^{m x n}; B, C in R^{p x q}; M in R^{r x m*p}; N in R^{n*q x s}
khatri_rao(A, B) + khatri_rao(A, C)  khatri_rao(A, B + C)  A in R^{m x n}; B, C in R^{p x n}
khatri_rao(A, B)' - khatri_rao(C, B)'  khatri_rao(A - C, B)'  A, C in R^{m x n}; B in R^{p x n}
kron(x', D) + kron(x', diag(u))  kron(x', D + diag(u))  x in R^n; D in R^{m x m}; u in R^m
kron(A, B + C) - kron(A, B)  kron(A, C)  A in R^{m x n}; B, C in R^{p x q}
kron(A, B)*kron(C, D) - kron(A*C, B*D)  zeros(m*p, k*l)
    A in R^{m x n}; C in R^{n x k}; B in R^{p x q}; D in R^{q x l}
"""

SELECTION = """
eye(n)[1:k,:]*A  A[1:k,:]  A in R^{n x p}
A*eye(n)[:,1:k]  A[:,1:k]  A in R^{p x n}
A*eye(n)[1:k,:]'  A[:,1:k]  A in R^{p x n}
e(i,n)'*A  A[i,:]  A in R^{n x m}
A*e(j,n)  A[:,j]  A in R^{m x n}
eye(p+q)[:,1:p]*A + eye(p+q)[:,p+1:p+q]*B  vcat(A, B)  A in R^{p x n}; B in R^{q x n}
A*eye(p+q)[1:p,:] - 2*B*eye(p+q)[p+1:p+q,:]  hcat(A, -2*B)  A in R^{n x p}; B in R^{n x q}
kron(e(j,n)', I)*vec(A)  A[:,j]  A in R^{m x n}
kron(I, eye(m)[1:k,:])*kron(A, B)  kron(A, B[1:k,:])  A in R^{p x q}; B in R^{m x n}
"""

CASES = [
    line.split("  ")
    for table in (MIXED, ROWS_AND_COLUMNS, DIAGONALS, VEC, COMMUTATION, SUMS, SELECTION)
    for line in table.strip().replace("\n    ", "  ").splitlines()
]
CASES = [[*case, ""][:3] for case in CASES]


@pytest.mark.parametrize(("left", "right", "declarations"), CASES, ids=[case[0] for case in CASES])
def test_the_short_form(left: str, right: str, declarations: str) -> None:
    a, b = parse(left, declarations).expr, parse(right, declarations).expr
    assert simplify(a) is simplify(b), f"{text(simplify(a))}  against  {text(simplify(b))}"


@pytest.mark.parametrize(("left", "right", "declarations"), CASES, ids=[case[0] for case in CASES])
def test_both_sides_agree(left: str, right: str, declarations: str) -> None:
    a, b = parse(left, declarations).expr, parse(right, declarations).expr
    assert a.shape == b.shape
    with mpmath.workdps(40):
        point = draw_point([a, b], Random(left), 0)
        u, v = evaluate([a, b], point.env, point.sizes)
        assert float(abs(u - v).max()) < 1e-25 * (1 + float(abs(u).max()))


def test_what_stays_symmetric_is_known_to_be() -> None:
    def simple(e: str, declarations: str):
        return simplify(parse(e, declarations).expr)

    assert has(simple("khatri_rao(I, S)*khatri_rao(I, S)'", "S in R^{m x n}"), PSD)
    assert has(simple("kron(x, I)*S*kron(x', I)", "S in R^{m x m} spd; x in R^n"), PSD)
    assert has(simple("diag(vec(S)) - khatri_rao(I, S)*khatri_rao(I, S)'", "S in R^{m x n}"), SYMMETRIC)
