"""Identities as rows: a name, two equal sides in the language, and the declarations that make them equal.

A section is headed by the kind of node that its rules look at and the kind of argument that makes them worth trying, so
that only rows that can matter are read. ``R^{m x n} or R`` states a row for matrices and for numbers.
Every row is tested: both sides on random values with all dimensions different, and the cost, which must fall.
"""

from __future__ import annotations

from typing import NamedTuple

TEXT = """
[Product: Sum]
softmax-quotient        sum(exp(x))^-1*exp(x) = softmax(x)              x in R^n
softmax-weighted        sum(exp(x))^-1*(exp(x) .* y) = softmax(x) .* y  x, y in R^n
softmax-row             sum(exp(x))^-1*exp(x)' = softmax(x)'            x in R^n
softmax-weighted-row    sum(exp(x))^-1*(exp(x) .* y)' = (softmax(x) .* y)'  x, y in R^n
softmax-average         sum(exp(x))^-1*(y'*exp(x)) = y'*softmax(x)      x, y in R^n
softmax-diagonal        sum(exp(x))^-1*diag(exp(x)) = diag(softmax(x))  x in R^n
softmax-weighted-diag   sum(exp(x))^-1*diag(exp(x) .* y) = diag(softmax(x) .* y)  x, y in R^n

[Product: Diagonal]
softmax-columns         exp(X)*diag(1 ./ sum(exp(X), 0)') = softmax(X)  X in R^{m x n}
softmax-rows            diag(1 ./ sum(exp(X), 1))*exp(X) = softmax(X, axis=1)       X in R^{m x n}

[ExpmFrechet: Identity]
expm-along-identity     expm_frechet(A, I) = expm(A)                    A in R^{n x n}

[Product: exp]
softmax-shifted         exp(-logsumexp(x))*exp(x) = softmax(x)          x in R^n

softmax-pair            exp(a)*(exp(a) + exp(b))^-1 = sigmoid(a - b)    a, b in R

[Hadamard: exp]
softmax-pair-entries    exp(A) .* (exp(A) + exp(B)).^-1 = sigmoid(A - B)  A, B in R^{m x n}

[exp: Add]
softmax-difference      exp(x - logsumexp(x)) = softmax(x)              x in R^n

[exp: LogSoftmax]
exp-log-softmax         exp(log_softmax(X)) = softmax(X)                X in R^{m x n}
exp-log-softmax-vector  exp(log_softmax(x)) = softmax(x)                x in R^n

[Hadamard: step]
relu-step               relu(A) .* step(A) = relu(A)                    A in R^{m x n}

[Product: step]
relu-step-number        relu(a)*step(a) = relu(a)                       a in R

[Power: step]
step-square             step(A).^2 = step(A)                            A in R^{m x n} or R

[log1p: expm1]
log1p-expm1             log1p(expm1(A)) = A                             A in R^{m x n} or R

[expm1: log1p]
expm1-log1p             expm1(log1p(A)) = A                             A in R^{m x n} positive or R positive

[Add: LogSumExp]
log-softmax             x - logsumexp(x) = log_softmax(x)               x in R^n

[Add: sigmoid]
sigmoid-complement      1 - sigmoid(A) = sigmoid(-A)                    A in R^{m x n} or R
sigmoid-inverse         sigmoid(A).^-1 - 1 = exp(-A)                    A in R^{m x n} or R
double-sigmoid          2*sigmoid(2*A) - 1 = tanh(A)                    A in R^{m x n} or R

[Add: log]
logit                   log(sigmoid(A)) - log(sigmoid(-A)) = A          A in R^{m x n} or R
log-of-product          log(A) + log(B) = log(A .* B)                   A, B in R^{m x n} positive
log-of-product-number   log(a) + log(b) = log(a*b)                      a, b in R positive
log-of-quotient         log(A) - log(B) = log(A .* B.^-1)               A, B in R^{m x n} positive
log-of-quotient-number  log(a) - log(b) = log(a*b^-1)                   a, b in R positive

[Add: step]
step-odd                step(A) - step(-A) = sign(A)                    A in R^{m x n} or R

[Add: sin]
pythagoras              sin(a)^2 + cos(a)^2 = 1                         a in R
cosine-of-double        cos(a)^2 - sin(a)^2 = cos(2*a)                  a in R
cosine-of-double-entries  cos(A).^2 - sin(A).^2 = cos(2*A)              A in R^{m x n}
pythagoras-entries      sin(A).^2 + cos(A).^2 = ones(m,n)               A in R^{m x n}

[Add: cosh]
hyperbola               cosh(a)^2 - sinh(a)^2 = 1                       a in R
hyperbola-entries       cosh(A).^2 - sinh(A).^2 = ones(m,n)             A in R^{m x n}

[Add: softplus]
softplus-odd            softplus(A) - softplus(-A) = A                  A in R^{m x n} or R

[Product: cos]
sine-of-double-number   2*cos(a)*sin(a) = sin(2*a)                      a in R

[Product: Pinv]
pinv-middle             A*pinv(A)*A = A                                 A in R^{m x n}
pinv-outer              pinv(A)*A*pinv(A) = pinv(A)                     A in R^{m x n}

pinv-left               A'*pinv(A)' = pinv(A)*A                         A in R^{m x n}
pinv-right              pinv(A)'*A' = A*pinv(A)                         A in R^{m x n}
pinv-gram               A'*A*pinv(A) = A'                               A in R^{m x n}
pinv-covariance         pinv(A)*A*A' = A'                               A in R^{m x n}
pinv-gram-inverse       A*pinv(A)*pinv(A)' = pinv(A)'                   A in R^{m x n}
pinv-covariance-inverse  pinv(A)'*pinv(A)*A = pinv(A)'                  A in R^{m x n}

[Pinv: Pinv]
pinv-twice              pinv(pinv(A)) = A                               A in R^{m x n}

[Product: Vec]
vec-inner               vec(A)'*vec(B) = inner(A, B)                    A in R^{m x n}; B in R^{m x n}

[Hadamard: Softmax]
softmax-ratio           exp(x) .* softmax(x).^-1 .* y = sum(exp(x))*y   x, y in R^n

[Hadamard: Vec]
vec-entries             vec(A) .* vec(B) = vec(A .* B)                  A, B in R^{m x n}
vec-columns             vec(A) .* kron(ones(n), x) = vec(diag(x)*A)     A in R^{m x n}; x in R^m
vec-rows                vec(A) .* kron(x, ones(m)) = vec(A*diag(x))     A in R^{m x n}; x in R^n

[Hadamard: Kron]
kronecker-entries       kron(A, B) .* kron(C, D) = kron(A .* C, B .* D)  A, C in R^{m x n}; B, D in R^{p x q}

[Hadamard: KhatriRao]
khatri-rao-entries      khatri_rao(A, B) .* khatri_rao(C, D) = khatri_rao(A .* C, B .* D)  A, B, C, D in R^{m x n}

[Norm2: Vec]
norm-vec                norm2(vec(A)) = norm2(A)                        A in R^{m x n}

[Norm2: Product]
norm-orthogonal         norm2(Q*x) = norm2(x)                           Q in R^{n x n} orthogonal; x in R^n
norm-orthogonal-matrix  norm2(Q*A) = norm2(A)                           Q in R^{n x n} orthogonal; A in R^{n x p}

[Norm2: Diagonal]
norm-diagonal           norm2(diag(x)) = norm2(x)                       x in R^n

[Sum: Vec]
sum-vec                 sum(vec(A)) = sum(A)                            A in R^{m x n}

[LogDet: Expm]
logdet-expm             logdet(expm(A)) = tr(A)                         A in R^{n x n}

[Reshape: Kron]
reshape-outer           reshape(kron(y, x), m, n) = x*y'                x in R^m; y in R^n

[Add: tanh]
half-tanh               1 + tanh(1/2*A) = 2*sigmoid(A)                  A in R^{m x n} or R
half-tanh-turned        1 - tanh(1/2*A) = 2*sigmoid(-A)                 A in R^{m x n} or R

[Product: Hadamard]
sine-of-double          2*(cos(A) .* sin(A)) = sin(2*A)                 A in R^{m x n}

[Hadamard: DiagonalPart]
diagonal-entries        diag(D) .* x = D*x                              D in R^{n x n} diagonal; x in R^n

[Diagonal: DiagonalPart]
diagonal-of-diagonal    diag(diag(D)) = D                               D in R^{n x n} diagonal

[Sum: Hadamard]
sums-of-rows            sum(A .* B', 1) = diag(A*B)                     A in R^{m x n}; B in R^{n x m}

[Pinv: Diagonal]
pinv-diagonal           pinv(diag(x)) = diag(x.^-1)                     x in R^n positive
"""


class Row(NamedTuple):
    """An identity: ``left = right`` for everything that the declarations allow."""

    name: str
    left: str
    right: str
    declarations: str

    def cases(self) -> list[str]:
        """The declarations, and those for numbers where there are such."""
        matrices, _, numbers = self.declarations.partition(" or ")
        return [matrices, f"{matrices.split(' in ')[0]} in {numbers}"] if numbers else [matrices]


def _sections() -> dict[tuple[str, str], list[Row]]:
    out: dict[tuple[str, str], list[Row]] = {}
    current: list[Row] = []
    for line in TEXT.splitlines():
        if line.startswith("["):
            head, _, part = line.strip("[]").partition(": ")
            current = out.setdefault((head, part), [])
        elif line.strip():
            name, statement, declarations = [part for part in line.split("  ") if part.strip()]
            left, _, right = statement.strip().partition(" = ")
            current.append(Row(name, left, right, declarations.strip()))
    return out


SECTIONS: dict[tuple[str, str], list[Row]] = _sections()

__all__ = ["SECTIONS", "Row"]
