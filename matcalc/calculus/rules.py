"""The trace rules by which an inner product is moved from a value to its arguments, as identities of the language.

Each adjoint of a primitive is one of them; a derivation quotes them by name.
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
