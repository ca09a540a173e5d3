"""The local functions that MATLAB sources are given when they need them: each with those that it calls."""

from __future__ import annotations

HELPERS: dict[str, tuple[tuple[str, ...], str]] = {}


def _helper(name: str, text: str, *needs: str) -> None:
    HELPERS[name] = (needs, text.strip("\n"))


_helper("total", """
function s = total(a)
    % The sum of all entries.
    s = sum(a(:));
end
""")  # fmt: skip

_helper("sigmoid", """
function y = sigmoid(x)
    y = 1 ./ (1 + exp(-x));
end
""")  # fmt: skip

_helper("softplus", """
function y = softplus(x)
    % log(1 + exp(x)) without overflow.
    y = log1p(exp(-abs(x))) + max(x, 0);
end
""")  # fmt: skip

_helper("relu", """
function y = relu(x)
    y = max(x, 0);
end
""")  # fmt: skip

_helper("step_function", """
function y = step_function(x)
    y = double(x > 0);
end
""")  # fmt: skip

_helper("silu", """
function y = silu(x)
    y = x ./ (1 + exp(-x));
end
""")  # fmt: skip

_helper("gelu", """
function y = gelu(x)
    y = x .* (0.5 * (1 + erf(x * 0.7071067811865476)));
end
""")  # fmt: skip

_helper("safe_reciprocal", """
function y = safe_reciprocal(x)
    % 1/x, and 0 where x is 0: the subgradient of a norm at 0.
    y = 1 ./ x;
    y(x == 0) = 0;
end
""")  # fmt: skip

_helper("maximum", """
function y = maximum(x, dim)
    % The largest entry, along a dimension or of all.
    if nargin < 2
        y = max(x(:));
    else
        y = max(x, [], dim);
    end
end
""")  # fmt: skip

_helper("argmax", """
function y = argmax(x, dim)
    % Equal shares of 1 at the largest entries, else 0.
    if nargin < 2
        y = reshape(argmax(x(:), 1), size(x));
    else
        y = double(x == max(x, [], dim));
        y = y ./ sum(y, dim);
    end
end
""")  # fmt: skip

_helper("softmax", """
function y = softmax(x, dim)
    % exp(x)/sum(exp(x)), along a dimension or over all entries.
    if nargin < 2
        y = reshape(softmax(x(:), 1), size(x));
    else
        y = exp(x - max(x, [], dim));
        y = y ./ sum(y, dim);
    end
end
""")  # fmt: skip

_helper("logsumexp", """
function y = logsumexp(x, dim)
    % log(sum(exp(x))), along a dimension or over all entries.
    if nargin < 2
        y = logsumexp(x(:), 1);
    else
        top = max(x, [], dim);
        top(~isfinite(top)) = 0;
        y = log(sum(exp(x - top), dim)) + top;
    end
end
""")  # fmt: skip

_helper("log_softmax", """
function y = log_softmax(x, dim)
    % x - log(sum(exp(x))), along a dimension or over all entries.
    if nargin < 2
        y = reshape(log_softmax(x(:), 1), size(x));
    else
        y = x - max(x, [], dim);
        y = y - log(sum(exp(y), dim));
    end
end
""")  # fmt: skip

_helper("log_abs_det", """
function y = log_abs_det(A)
    % The logarithm of the absolute determinant.
    [~, U, ~] = lu(A);
    y = sum(log(abs(diag(U))));
end
""")  # fmt: skip

_helper("adjugate", """
function C = adjugate(A)
    % The transpose of the matrix of cofactors, by singular values.
    [U, S, V] = svd(A);
    s = diag(S);
    others = ones(size(s));
    for k = 1:numel(s)
        others(k) = prod(s([1:k - 1, k + 1:end]));
    end
    C = sign(det(U) * det(V)) * (V .* others') * U';
end
""")  # fmt: skip

_helper("expm_frechet", """
function L = expm_frechet(A, E)
    % The derivative of the matrix exponential at A along E: a block of a larger exponential.
    n = size(A, 1);
    if n == 0 || norm(E, 1) == 0
        L = E;
        return
    end
    scale = max(1, norm(A, 1)) / norm(E, 1);
    F = expm([A, scale * E; zeros(n), A]);
    L = F(1:n, n + 1:end) / scale;
end
""")  # fmt: skip

_helper("khatri_rao", """
function C = khatri_rao(A, B)
    % The Kronecker products of the columns.
    p = size(A, 1);
    q = size(B, 1);
    n = size(A, 2);
    C = reshape(reshape(B, q, 1, n) .* reshape(A, 1, p, n), p * q, n);
end
""")  # fmt: skip

_helper("commutation", """
function K = commutation(m, n)
    % K with K*vec(A) = vec(A') for an m x n matrix A.
    K = full(eye(m * n));
    K = K(reshape(reshape(1:m * n, m, n)', m * n, 1), :);
end
""")  # fmt: skip

_helper("unit", """
function e = unit(position, n)
    % The unit vector of that position, counted from 1.
    e = zeros(n, 1);
    e(position) = 1;
end
""")  # fmt: skip

_helper("position", """
function k = position(k, n)
    % An index that must lie within 1..n.
    if k ~= floor(k) || k < 1 || k > n
        error('index %g is outside 1..%d', k, n);
    end
end
""")  # fmt: skip

_helper("within", """
function k = within(k, n)
    % A limit of a range that must lie within an array.
    if k < 0 || k > n
        error('a range of indices reaches to %d, outside 1..%d', k, n);
    end
end
""")  # fmt: skip

_helper("up_to", """
function k = up_to(first, last)
    % The values of the index of a sum; it may have no terms, but not fewer.
    if last < first - 1
        error('a sum from %d may not run to %d', first, last);
    end
    k = first:last;
end
""")  # fmt: skip

_helper("whole", """
function k = whole(k)
    if k ~= floor(k)
        error('%g is no whole number', k);
    end
end
""")  # fmt: skip

_helper("places", """
function k = places(start, strides, sizes)
    % The linear indices start + strides(1)*i + strides(2)*j + ..., i, j, ... from 0, as an array over i, j, ...
    k = start;
    for a = 1:numel(sizes)
        k = k + reshape(strides(a) * (0:sizes(a) - 1), [ones(1, a - 1), sizes(a), 1]);
    end
end
""")  # fmt: skip

_helper("products", """
function C = products(A, B, batch, m, p, n)
    % A(s, :, :) * B(s, :, :) for each s of the batch.
    count = prod(batch);
    A = reshape(A + zeros([batch, 1, 1]), count, m, p);
    B = reshape(B + zeros([batch, 1, 1]), count, p, n);
    C = zeros(count, m, n);
    for s = 1:count
        C(s, :, :) = reshape(A(s, :, :), m, p) * reshape(B(s, :, :), p, n);
    end
    C = reshape(C, [batch, m, n]);
end
""")  # fmt: skip

_helper("convolution", """
function Y = convolution(K, X, mode)
    % The convolution in two dimensions; the central part for 'same' begins as in NumPy.
    if strcmp(mode, 'same')
        Y = conv2(X, K);
        top = floor((size(K, 1) - 1) / 2);
        left = floor((size(K, 2) - 1) / 2);
        Y = Y(top + 1:top + size(X, 1), left + 1:left + size(X, 2));
    else
        Y = conv2(X, K, mode);
    end
end
""")  # fmt: skip

_helper("correlation", """
function Y = correlation(K, X, mode)
    % The correlation in two dimensions: the kernel is not flipped.
    Y = convolution(rot90(K, 2), X, mode);
end
""", "convolution")  # fmt: skip

_helper("convolution_matrix", """
function C = convolution_matrix(K, m, n, mode)
    % The matrix of the convolution of m x n images with K, under vec.
    C = zeros(numel(convolution(K, zeros(m, n), mode)), m * n);
    for k = 1:m * n
        X = zeros(m, n);
        X(k) = 1;
        Y = convolution(K, X, mode);
        C(:, k) = Y(:);
    end
end
""", "convolution")  # fmt: skip

_helper("crop", """
function B = crop(A, p, q)
    % The central part.
    top = floor((size(A, 1) - p) / 2);
    left = floor((size(A, 2) - q) / 2);
    B = A(top + 1:top + p, left + 1:left + q);
end
""")  # fmt: skip

_helper("pad", """
function B = pad(A, p, q)
    % A as the central part of zeros.
    B = zeros(p, q);
    top = floor((p - size(A, 1)) / 2);
    left = floor((q - size(A, 2)) / 2);
    B(top + 1:top + size(A, 1), left + 1:left + size(A, 2)) = A;
end
""")  # fmt: skip

__all__ = ["HELPERS"]
