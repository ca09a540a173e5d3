"""The functions that Julia sources are given when they need them: each with those that it calls."""

from __future__ import annotations

HELPERS: dict[str, tuple[tuple[str, ...], str]] = {}


def _helper(name: str, text: str, *needs: str) -> None:
    HELPERS[name] = (needs, text.strip("\n"))


_helper("sigmoid", """
sigmoid(x) = 1 / (1 + exp(-x))
""")  # fmt: skip

_helper("softplus", """
# log(1 + exp(x)) without overflow
softplus(x) = log1p(exp(-abs(x))) + max(x, 0)
""")  # fmt: skip

_helper("relu", """
relu(x) = max(x, zero(x))
""")  # fmt: skip

_helper("unit_step", """
unit_step(x) = isnan(x) ? x : float(x > 0)
""")  # fmt: skip

_helper("silu", """
silu(x) = x / (1 + exp(-x))
""")  # fmt: skip

_helper("gelu", """
gelu(x) = x * (0.5 * (1 + erf(x * 0.7071067811865476)))
""", "erf")  # fmt: skip


def _error_function() -> str:
    """The polynomials of lowering/erf.py, lowest power first."""
    from matcalc.lowering.erf import _FAR, _NEAR

    def listed(coefficients: tuple[float, ...]) -> str:
        numbers = [repr(c) for c in coefficients[::-1]]
        lines = [", ".join(numbers[k : k + 4]) for k in range(0, len(numbers), 4)]
        return ",\n        ".join(lines)

    return f"""
# The error function: polynomials up to 2, and 1 - exp(-x^2)*R(1/x)/x beyond.
function erf(x)
    near = (
        {listed(_NEAR)})
    far = (
        {listed(_FAR)})
    t = abs(x)
    if t <= 2
        return x * evalpoly(0.5 * x * x - 1, near)
    end
    t = min(t, 6.0)
    return copysign(1 - exp(-t * t) * evalpoly(6 / t - 2, far) / t, x)
end
""".strip("\n")


_helper("safe_reciprocal", """
# 1/x, and 0 where x is 0: the subgradient of a norm at 0
safe_reciprocal(x) = x == 0 ? float(x) : 1 / x
""")  # fmt: skip

_helper("argmax_shares", """
# Equal shares of 1 at the largest entries, else 0.
function argmax_shares(x, dims=:)
    y = float.(x .== maximum(x, dims=dims))
    return y ./ sum(y, dims=dims)
end
""")  # fmt: skip

_helper("softmax", """
# exp(x)/sum(exp(x)), along a dimension or over all entries.
function softmax(x, dims=:)
    y = exp.(x .- maximum(x, dims=dims))
    return y ./ sum(y, dims=dims)
end
""")  # fmt: skip

_helper("logsumexp", """
# log(sum(exp(x))), along a dimension or over all entries.
function logsumexp(x, dims=:)
    top = maximum(x, dims=dims)
    top = ifelse.(isfinite.(top), top, 0.0)
    return log.(sum(exp.(x .- top), dims=dims)) .+ top
end
""")  # fmt: skip

_helper("log_softmax", """
# x - log(sum(exp(x))), along a dimension or over all entries.
function log_softmax(x, dims=:)
    y = x .- maximum(x, dims=dims)
    return y .- log.(sum(exp.(y), dims=dims))
end
""")  # fmt: skip

_helper("adjugate", """
# The transpose of the matrix of cofactors, by singular values.
function adjugate(A)
    U, s, V = svd(A)
    others = [prod(s[j] for j in eachindex(s) if j != k; init=1.0) for k in eachindex(s)]
    return sign(det(U) * det(V)) .* (V .* others') * U'
end
""")  # fmt: skip

_helper("expm_frechet", """
# The derivative of the matrix exponential at A along E: a block of a larger exponential.
function expm_frechet(A, E)
    n = size(A, 1)
    length = opnorm(E, 1)
    if length == 0
        return float.(E)
    end
    scale = max(1.0, opnorm(A, 1)) / length
    F = exp([A scale.*E; zeros(n, n) A])
    return F[1:n, n+1:2*n] ./ scale
end
""")  # fmt: skip

_helper("khatri_rao", """
# The Kronecker products of the columns.
function khatri_rao(A, B)
    p, n = size(A)
    q = size(B, 1)
    return reshape(reshape(B, q, 1, n) .* reshape(A, 1, p, n), p * q, n)
end
""")  # fmt: skip

_helper("commutation", """
# K with K*vec(A) = vec(A') for an m x n matrix A.
function commutation(m, n)
    order = vec(permutedims(reshape(1:m*n, m, n)))
    return Matrix(1.0I, m * n, m * n)[order, :]
end
""")  # fmt: skip

_helper("unit", """
# The unit vector of that position.
function unit(position, n)
    e = zeros(n)
    e[position] = 1
    return e
end
""")  # fmt: skip

_helper("checked_index", """
# An index that must lie within 1..n.
function checked_index(k, n)
    1 <= k <= n || throw(DomainError(k, "an index is outside 1..$n"))
    return Int(k)
end
""")  # fmt: skip

_helper("within", """
# A limit of a range that must lie within an array.
function within(k, n)
    0 <= k <= n || throw(DomainError(k, "a range of indices reaches outside 1..$n"))
    return k
end
""")  # fmt: skip

_helper("up_to", """
# The values of the index of a sum; it may have no terms, but not fewer.
function up_to(first, last)
    last >= first - 1 || throw(DomainError(last, "a sum from $first may not run to"))
    return first:last
end
""")  # fmt: skip

_helper("places", """
# The linear indices start + strides[1]*i + strides[2]*j + ..., i, j, ... from 0, as an array over i, j, ...
function places(start, strides, sizes)
    k = fill(start, ntuple(b -> 1, length(sizes)))
    for a in eachindex(sizes)
        k = k .+ reshape(strides[a] .* (0:sizes[a]-1), ntuple(b -> b == a ? sizes[a] : 1, length(sizes)))
    end
    return k
end
""")  # fmt: skip

_helper("products", """
# A[s, :, :] * B[s, :, :] for each s of the batch.
function products(A, B, batch, m, p, n)
    count = prod(batch)
    A = reshape(A .+ zeros(batch..., 1, 1), count, m, p)
    B = reshape(B .+ zeros(batch..., 1, 1), count, p, n)
    C = zeros(count, m, n)
    for s in 1:count
        C[s, :, :] = A[s, :, :] * B[s, :, :]
    end
    return reshape(C, batch..., m, n)
end
""")  # fmt: skip

_helper("correlation", """
# The correlation in two dimensions: the sums over the windows of the image.
function correlation(K, X, mode)
    p, q = size(K)
    rows, cols = size(X)
    if mode == "valid"
        top, left, m, n = 0, 0, rows - p + 1, cols - q + 1
    elseif mode == "full"
        top, left, m, n = p - 1, q - 1, rows + p - 1, cols + q - 1
    else
        top, left, m, n = p - 1 - div(p - 1, 2), q - 1 - div(q - 1, 2), rows, cols
    end
    wide = zeros(rows + 2 * top + p, cols + 2 * left + q)
    wide[top+1:top+rows, left+1:left+cols] = X
    Y = zeros(m, n)
    for l in 1:q, k in 1:p
        Y .+= K[k, l] .* wide[k:k+m-1, l:l+n-1]
    end
    return Y
end
""")  # fmt: skip

_helper("convolution", """
# The convolution in two dimensions.
convolution(K, X, mode) = correlation(reverse(K), X, mode)
""", "correlation")  # fmt: skip

_helper("convolution_matrix", """
# The matrix of the convolution of m x n images with K, under vec.
function convolution_matrix(K, m, n, mode)
    C = zeros(length(convolution(K, zeros(m, n), mode)), m * n)
    for k in 1:m*n
        X = zeros(m, n)
        X[k] = 1
        C[:, k] = vec(convolution(K, X, mode))
    end
    return C
end
""", "convolution")  # fmt: skip

_helper("crop", """
# The central part.
function crop(A, p, q)
    top, left = div(size(A, 1) - p, 2), div(size(A, 2) - q, 2)
    return A[top+1:top+p, left+1:left+q]
end
""")  # fmt: skip

_helper("pad", """
# A as the central part of zeros.
function pad(A, p, q)
    B = zeros(p, q)
    top, left = div(p - size(A, 1), 2), div(q - size(A, 2), 2)
    B[top+1:top+size(A, 1), left+1:left+size(A, 2)] = A
    return B
end
""")  # fmt: skip

HELPERS["erf"] = ((), _error_function())

__all__ = ["HELPERS"]
