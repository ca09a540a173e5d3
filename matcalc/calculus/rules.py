"""The rules that derivations quote by name, as identities of the language.

A trace rule moves an inner product from a value to its arguments: each adjoint of a primitive is one of them. A vec
rule gives the matrix of a linear map under vec: each matrix of a primitive is one of them.
"""

from __future__ import annotations

from typing import NamedTuple


class TraceRule(NamedTuple):
    name: str
    left: str
    right: str
    where: str


TRACE_RULES = {
    rule.name: rule
    for rule in (
        TraceRule("trace-sum", "<G, A + B>", "<G, A> + <G, B>", "G, A, B in R^{m x n}"),
        TraceRule("trace-cyclic", "tr(A*B)", "tr(B*A)", "A in R^{m x n}; B in R^{n x m}"),
        TraceRule("trace-transpose", "tr(A')", "tr(A)", "A in R^{n x n}"),
        TraceRule("trace-hadamard", "<G, A .* B>", "<A .* G, B>", "G, A, B in R^{m x n}"),
        TraceRule("trace-inner", "g*<A, B>", "<g*A, B>", "g in R; A, B in R^{m x n}"),
        TraceRule("trace-ones", "g*sum(A)", "<g*ones(m, n), A>", "g in R; A in R^{m x n}"),
        TraceRule("trace-identity", "g*tr(A)", "<g*eye(n), A>", "g in R; A in R^{n x n}"),
        TraceRule("trace-diagonal", "<G, diag(x)>", "<diag(G), x>", "G in R^{n x n}; x in R^n"),
        TraceRule("trace-vec", "<vec(A), vec(B)>", "<A, B>", "A, B in R^{m x n}"),
        TraceRule(
            "trace-kronecker",
            "<kron(G, H), kron(A, B)>",
            "<G, A>*<H, B>",
            "G, A in R^{m x n}; H, B in R^{p x q}",
        ),
        TraceRule(
            "trace-khatri-rao",
            "<khatri_rao(G, H), khatri_rao(A, B)>",
            "sum(sum(G .* A, 0) .* sum(H .* B, 0))",
            "G, A in R^{m x n}; H, B in R^{p x n}",
        ),
        TraceRule(
            "trace-blocks", "<hcat(G, H), hcat(A, B)>", "<G, A> + <H, B>", "G, A in R^{m x n}; H, B in R^{m x p}"
        ),
        TraceRule("trace-entry", "g*A[1,2]", "<g*e(1, m)*e(2, n)', A>", "g in R; A in R^{m x n}"),
        TraceRule(
            "trace-convolution",
            "<G, conv(K, X)>",
            "<corr(K, G, 'valid'), X>",
            "K in R^{p x q}; X in R^{m x n}; G in R^{m+p-1 x n+q-1}",
        ),
        TraceRule("trace-flip", "<G, flip(A)>", "<flip(G), A>", "G, A in R^{m x n}"),
        TraceRule("trace-pad", "<G, pad(A, m+p, n+q)>", "<crop(G, m, n), A>", "A in R^{m x n}; G in R^{m+p x n+q}"),
        TraceRule("trace-frechet", "<G, expm_frechet(A, E)>", "<expm_frechet(A', G), E>", "A, E, G in R^{n x n}"),
        TraceRule(
            "trace-indexed-sum", "<G, sum(i=1:n, x[i]*A)>", "sum(i=1:n, <x[i]*G, A>)", "G, A in R^{m x p}; x in R^n"
        ),
    )
}

# By the name of the trace rule of the same map.
VEC_RULES = {
    of: TraceRule(*rule)
    for of, *rule in (
        ("trace-sum", "vec-sum", "vec(A + B)", "vec(A) + vec(B)", "A, B in R^{m x n}"),
        (
            "trace-cyclic",
            "vec-product",
            "vec(A*X*B)",
            "kron(B', A)*vec(X)",
            "A in R^{m x n}; X in R^{n x p}; B in R^{p x q}",
        ),
        ("trace-transpose", "vec-transpose", "vec(A')", "commutation(m, n)*vec(A)", "A in R^{m x n}"),
        ("trace-hadamard", "vec-hadamard", "vec(A .* B)", "diag(vec(A))*vec(B)", "A, B in R^{m x n}"),
        ("trace-inner", "vec-inner", "<A, B>", "vec(A)'*vec(B)", "A, B in R^{m x n}"),
        ("trace-ones", "vec-ones", "sum(A)", "ones(m*n)'*vec(A)", "A in R^{m x n}"),
        ("trace-identity", "vec-trace", "tr(A)", "vec(eye(n))'*vec(A)", "A in R^{n x n}"),
        ("trace-diagonal", "vec-diagonal", "vec(diag(x))", "khatri_rao(eye(n), eye(n))*x", "x in R^n"),
        ("trace-vec", "vec-vec", "vec(reshape(A, n, m))", "vec(A)", "A in R^{m x n}"),
        (
            "trace-kronecker",
            "vec-kronecker",
            "vec(kron(A, B))",
            "kron(eye(n), kron(commutation(q, m), eye(p)))*kron(vec(A), vec(B))",
            "A in R^{m x n}; B in R^{p x q}",
        ),
        (
            "trace-khatri-rao",
            "vec-khatri-rao",
            "khatri_rao(A, B)",
            "kron(A, ones(p)) .* kron(ones(m), B)",
            "A in R^{m x n}; B in R^{p x n}",
        ),
        ("trace-blocks", "vec-blocks", "vec(hcat(A, B))", "vcat(vec(A), vec(B))", "A in R^{m x n}; B in R^{m x p}"),
        ("trace-entry", "vec-entry", "A[1,2]", "kron(e(2, n), e(1, m))'*vec(A)", "A in R^{m x n}"),
        (
            "trace-convolution",
            "vec-convolution",
            "vec(conv(K, X))",
            "convmtx(K, m, n)*vec(X)",
            "K in R^{p x q}; X in R^{m x n}",
        ),
        (
            "trace-flip",
            "vec-flip",
            "vec(flip(A))",
            "sum(i=1:m*n, e(m*n + 1 - i, m*n)*e(i, m*n)')*vec(A)",
            "A in R^{m x n}",
        ),
        (
            "trace-pad",
            "vec-pad",
            "vec(pad(A, m+p, n+q))",
            "kron(pad(eye(n), n+q, n), pad(eye(m), m+p, m))*vec(A)",
            "A in R^{m x n}",
        ),
        (
            "trace-frechet",
            "vec-frechet",
            "vec(expm_frechet(A, E))",
            "expm(vcat(hcat(kron(I, A), eye(n*n)), hcat(zeros(n*n, n*n), kron(A', I))))[1:n*n, n*n+1:2*n*n]*vec(E)",
            "A, E in R^{n x n}",
        ),
        (
            "trace-indexed-sum",
            "vec-indexed-sum",
            "vec(sum(i=1:n, x[i]*A))",
            "sum(i=1:n, x[i]*vec(A))",
            "A in R^{m x p}; x in R^n",
        ),
    )
}
