"""Each row as a careful programmer writes it by hand in NumPy and SciPy.

Methods instead of functions, the cheap order of products, results written into dead temporaries, products with skinny
matrices transposed, symmetric products (``Z.T.dot(Z)`` calls syrk), one Cholesky factorisation through LAPACK,
nothing like a Kronecker product ever formed. Arguments are not checked.

Each function is named like its row and has the names of the data for its parameters.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import divide, empty, exp, multiply, ndarray, negative, sqrt, subtract, tanh, zeros
from scipy.linalg.blas import dgemm, dsymv, dsyr
from scipy.linalg.lapack import dposv, dpotrf, dpotri, dpotrs

Array = Any


def sigmoid_of(z: Array) -> Array:
    """The logistic function, written over its argument; of very negative numbers it is 0 after an overflow of exp."""
    negative(z, z)
    exp(z, z)
    z += 1
    return divide(1, z, z)


BLOCK = 1 << 16  # entries of a block of rows that stays in the cache while it is read twice


def logistic_gradient_w(X: Array, y: Array, w: Array, lambda_: float) -> Array:
    if X.size > 8 * BLOCK:
        g = lambda_ * w
        step = BLOCK // X.shape[1] + 1
        for i in range(0, X.shape[0], step):
            rows = X[i : i + step]
            r = sigmoid_of(rows.dot(w))
            r -= y[i : i + step]
            g += r.dot(rows)
        return g
    s = X.dot(w)
    negative(s, s)
    exp(s, s)
    s += 1
    divide(1, s, s)
    s -= y
    g = s.dot(X)
    g += lambda_ * w
    return g


def logistic_hvp_w(X: Array, w: Array, lambda_: float, d: Array) -> Array:
    if X.size > 8 * BLOCK:
        out = lambda_ * d
        step = BLOCK // X.shape[1] + 1
        for i in range(0, X.shape[0], step):
            rows = X[i : i + step]
            s = sigmoid_of(rows.dot(w))
            t = rows.dot(d)
            t *= s
            subtract(1, s, s)
            t *= s
            out += t.dot(rows)
        return out
    s = sigmoid_of(X.dot(w))
    t = X.dot(d)
    t *= s
    subtract(1, s, s)
    t *= s
    out = t.dot(X)
    out += lambda_ * d
    return out


def logistic_hessian_w(X: Array, w: Array, lambda_: float) -> Array:
    s = sigmoid_of(X.dot(w))
    d = 1 - s
    d *= s
    sqrt(d, d)
    Z = d[:, None] * X
    H = Z.T.dot(Z)
    H.reshape(-1)[:: len(w) + 1] += lambda_
    return H


def _classes(X: Array, W: Array) -> Array:
    """The transposed softmax: classes run along the first axis, so that everything runs along long rows."""
    P = W.T.dot(X.T)
    P -= P.max(0)
    exp(P, P)
    P /= P.sum(0)
    return P


def softmax_gradient_W(X: Array, W: Array, Y: Array) -> Array:
    P = _classes(X, W)
    P -= Y.T
    return P.dot(X).T


def softmax_gradient_X(X: Array, W: Array, Y: Array) -> Array:
    P = _classes(X, W)
    P -= Y.T
    return P.T.dot(W.T)


def softmax_gnvp_W(X: Array, W: Array, D: Array) -> Array:
    P = _classes(X, W)
    T = D.T.dot(X.T)
    T -= (P * T).sum(0)
    T *= P
    return T.dot(X).T


def softmax_hessian_W(X: Array, W: Array) -> Array:
    """The blocks ``X'*diag(p_a)*X`` on the diagonal, less one symmetric product of all ``diag(p_a)*X`` side by side."""
    n, k = W.shape
    P = _classes(X, W)
    G = multiply(P.T[:, :, None], X[:, None]).reshape(len(X), k * n)
    H = G.T.dot(G)
    negative(H, H)
    if k * n < 200:
        blocks = G.T.dot(X).reshape(k, n, n)
        for a in range(k):
            H[a * n : (a + 1) * n, a * n : (a + 1) * n] += blocks[a]
        return H
    sqrt(P, P)
    for a in range(k):
        Z = P[a][:, None] * X
        H[a * n : (a + 1) * n, a * n : (a + 1) * n] += Z.T.dot(Z)
    return H


def factors_gradient_U(U: Array, V: Array, A: Array) -> Array:
    R = U.dot(V.T)
    R -= A
    G = R.dot(V)
    G *= 2
    return G


def factors_hvp_U(V: Array, D: Array) -> Array:
    """``2*(D*V')*V`` as ``D*(2*V'*V)``, for the direction D."""
    S = V.T.dot(V)
    S *= 2
    return D.dot(S)


def _block_diagonal(out: Array, k: int, m: int) -> Array:
    """The entries at (a*m + i, b*m + i) of a matrix as an array over a, b and i."""
    row, entry = out.strides
    return ndarray((k, k, m), out.dtype, out, 0, (m * row, m * entry, row + entry))


def factors_hessian_U(U: Array, V: Array) -> Array:
    m, k = U.shape
    S = V.T.dot(V)
    S *= 2
    H = zeros((k * m, k * m))
    _block_diagonal(H, k, m)[...] = S[:, :, None]
    return H


def masked_gradient_U(U: Array, V: Array, A: Array, M: Array) -> Array:
    R = U.dot(V.T)
    R -= A
    R *= M
    R *= M
    G = R.dot(V)
    G *= 2
    return G


def masked_hessian_U(V: Array, M: Array) -> Array:
    m, (n, k) = len(M), V.shape
    columns = V.T.copy()
    pairs = (columns[:, None] * columns).reshape(k * k, n)
    pairs *= 2
    H = zeros((k * m, k * m))
    _block_diagonal(H, k, m)[...] = pairs.dot((M * M).T).reshape(k, k, m)
    return H


def _rank_two(a: Array, b: Array, c: Array, d: Array) -> Array:
    """``a*b' + c*d'``."""
    if a.size < 40:
        out = a[:, None] * b
        out += c[:, None] * d
        return out
    return np.array((a, c)).T.dot(np.array((b, d)))


def tutorial_gradient_W(W: Array, V: Array, c: Array, x: Array, b: Array) -> Array:
    S = W + V
    s = W.dot(x)
    s += b
    sigmoid_of(s)
    z = tanh(S.dot(s))
    z *= z
    subtract(1, z, z)
    z *= c
    t = 1 - s
    t *= s
    t *= z.dot(S)
    return _rank_two(z, s, t, x)


def tutorial_gradient_W_V_x_b(W: Array, V: Array, c: Array, x: Array, b: Array) -> tuple[Array, ...]:
    S = W + V
    s = W.dot(x)
    s += b
    sigmoid_of(s)
    z = tanh(S.dot(s))
    z *= z
    subtract(1, z, z)
    z *= c
    t = 1 - s
    t *= s
    t *= z.dot(S)
    dV = z[:, None] * s
    dW = multiply(t[:, None], x, out=S)
    dW += dV
    return dW, dV, t.dot(W), t


def network_gradient_all(*given: Array) -> tuple[Array, ...]:
    X, Y = given[-2:]
    layers = len(given) // 2 - 1
    h = X
    values = [X]
    for i in range(layers):
        h = given[2 * i].dot(h)
        h += given[2 * i + 1][:, None]
        tanh(h, h)
        values.append(h)
    out = []
    g = h - Y
    slope = empty(0)
    for i in reversed(range(layers)):
        h = values.pop()
        slope = h * h
        subtract(1, slope, slope)
        g *= slope
        out += [g.sum(1), g.dot(values[-1].T)]
        if i:
            g = given[2 * i].T.dot(g)
    return tuple(out[::-1])


def network_gnvp_all(*given: Array) -> tuple[Array, ...]:
    """Forward with the tangents, and the tangent of the output back; the data are parameters, X, Y and directions."""
    layers = (len(given) - 2) // 3
    parameters, X, directions = given[: 2 * layers], given[2 * layers], given[2 * layers + 2 :]
    h, t = X, None
    values, slopes = [X], []
    for i in range(layers):
        W = parameters[2 * i]
        u = directions[i].dot(h)
        if t is not None:
            u += W.dot(t)
        h = W.dot(h)
        h += parameters[2 * i + 1][:, None]
        tanh(h, h)
        slope = h * h
        subtract(1, slope, slope)
        u *= slope
        t = u
        values.append(h)
        slopes.append(slope)
    out = []
    values.pop()
    g = t
    for i in reversed(range(layers)):
        g *= slopes[i]
        out.append(g.dot(values.pop().T))
        if i:
            g = parameters[2 * i].T.dot(g)
    return tuple(out[::-1])


def residual_jacobian_x(x: Array, W1: Array, W2: Array, b: Array) -> Array:
    t = W1.dot(x)
    t += b
    tanh(t, t)
    t *= t
    subtract(1, t, t)
    J = (W2 * t).dot(W1)
    J.reshape(-1)[:: len(x) + 1] += 1
    return J


def residual_jacobian_W1(x: Array, W1: Array, W2: Array, b: Array) -> Array:
    n, h = W2.shape
    t = W1.dot(x)
    t += b
    tanh(t, t)
    t *= t
    subtract(1, t, t)
    S = W2 * t
    J = empty((n, n * h))
    if J.size < 4000:
        multiply(S[:, None], x[:, None], out=J.reshape(n, n, h))
    else:  # from an inner dimension of 2 on matmul calls BLAS, whose kernel is faster than a broadcast product
        S *= 0.5
        np.matmul(np.array((x, x)).T, np.stack((S, S), 1), out=J.reshape(n, n, h))
    return J


def gaussian_gradient_mu(S: Array, mu: Array, X: Array) -> Array:
    r = mu * X.shape[1]
    r -= X.sum(1)
    return dposv(S.T, r, overwrite_b=True)[1]


def _mirrored(lower: Array) -> Array:
    """A symmetric matrix from its lower triangle, in column order with zeros above; as rows."""
    n = len(lower)
    if n < 128:
        full = lower + lower.T
        full.reshape(-1)[:: n + 1] *= 0.5
        return full
    upper = lower.T
    for i in range(0, n, 64):
        j = i + 64
        upper[j:, i:j] = upper[i:j, j:].T
        block = upper[i:j, i:j]
        block += np.triu(block, 1).T
    return upper


def gaussian_gradient_S(S: Array, mu: Array, X: Array) -> Array:
    """``(m*S^-1 - B*B')/2`` with B = S^-1*R."""
    L, _ = dpotrf(S.T, lower=True)
    inverse = _mirrored(dpotri(L, lower=True, overwrite_c=True)[0])
    B = inverse.dot(X - mu[:, None])
    G = B.dot(B.T)
    inverse *= X.shape[1]
    subtract(inverse, G, G)
    G *= 0.5
    return G


def gaussian_hessian_mu(S: Array, X: Array) -> Array:
    L, _ = dpotrf(S.T, lower=True)
    inverse, _ = dpotri(L, lower=True, overwrite_c=True)
    inverse *= X.shape[1]
    return _mirrored(inverse)


def process_gradient_K(K: Array, y: Array) -> Array:
    L, _ = dpotrf(K.T, lower=True)
    a, _ = dpotrs(L, y, lower=True)
    G, _ = dpotri(L, lower=True, overwrite_c=True)
    if len(y) < 40:
        G = _mirrored(G)
        G -= a[:, None] * a
        G *= 0.5
        return G
    dsyr(-1, a, lower=True, a=G, overwrite_a=True)
    G *= 0.5
    return _mirrored(G)


def kernel_gradient_all(D: Array, y: Array, alpha: float, ell: float, sigma: float) -> tuple[float, ...]:
    n = len(y)
    E = D * (-1 / ell)
    exp(E, E)
    K = alpha * E
    K.reshape(-1)[:: n + 1] += sigma
    L, _ = dpotrf(K.T, lower=True, overwrite_a=True)
    a, _ = dpotrs(L, y, lower=True)
    G, _ = dpotri(L, lower=True, overwrite_c=True)
    dsyr(-1, a, lower=True, a=G, overwrite_a=True)
    halved = G.T.reshape(-1)
    halved[:: n + 1] *= 0.5
    E = E.reshape(-1)
    by_alpha = E.dot(halved)
    trace = halved[:: n + 1].sum()
    halved *= E
    return by_alpha, halved.dot(D.reshape(-1)) * (alpha / (ell * ell)), trace


def rayleigh_gradient_x(A: Array, x: Array) -> Array:
    s = x.dot(x)
    g = dsymv(2 / s, A.T, x) if len(x) > 100 else A.dot(x) * (2 / s)
    g -= (x.dot(g) / s) * x
    return g


def rayleigh_hvp_x(A: Array, x: Array, d: Array) -> Array:
    """``2/s*(A*d - r*d - 2*(x'*d)/s*(A*x - r*x) - 2*(d'*(A*x - r*x))/s*x)`` with the quotient r."""
    s = x.dot(x)
    if len(x) > 100:
        Ax, out = dsymv(1, A.T, x), dsymv(1, A.T, d)
    else:
        Ax, out = A.dot(x), A.dot(d)
    r = x.dot(Ax) / s
    xd, dAx = x.dot(d), Ax.dot(d)
    out -= r * d
    out -= (2 * xd / s) * Ax
    out += (2 * (2 * r * xd - dAx) / s) * x
    out *= 2 / s
    return out


def rayleigh_hessian_x(A: Array, x: Array) -> Array:
    s = x.dot(x)
    g = dsymv(2 / s, A.T, x) if len(x) > 100 else A.dot(x) * (2 / s)
    r = x.dot(g)  # twice the quotient
    g -= (r / s) * x
    if len(x) < 40:
        H = x[:, None] * g
        H += H.T.copy()
        subtract(A, H, H)
        H *= 2 / s
    else:
        H = dgemm(-2 / s, np.array((x, g)).T, np.array((g, x)), beta=2 / s, c=A.T).T
    H.reshape(-1)[:: len(x) + 1] -= r / s
    return H


def trace_gradient_X(A: Array, X: Array, B: Array, C: Array) -> Array:
    M = C.dot(A)
    G = B.dot(X.dot(M))
    G += B.T.dot(X.dot(M.T))
    return G


def trace_hessian_X(A: Array, B: Array, C: Array) -> Array:
    """``kron(M', B) + kron(M, B')`` with M = C*A."""
    p, q = len(B), A.shape[1]
    M = C.dot(A)
    H = empty((q * p, q * p))
    if p * q < 60:
        parts = H.reshape(q, p, q, p)
        multiply(M.T[:, None, :, None], B[:, None], out=parts)
        parts += M[:, None, :, None] * B.T[:, None]
        return H
    left, right = np.stack((M.T, M), -1)[:, None], np.stack((B, B.T), -2)
    np.matmul(left, right, out=H.reshape(q, p, q, p))
    return H


def squares_gradient_x(A: Array, x: Array, b: Array) -> Array:
    if A.size > 8 * BLOCK:
        g = zeros(len(x))
        step = BLOCK // A.shape[1] + 1
        for i in range(0, A.shape[0], step):
            rows = A[i : i + step]
            r = rows.dot(x)
            r -= b[i : i + step]
            g += r.dot(rows)
        g *= 2
        return g
    r = A.dot(x)
    r -= b
    g = r.dot(A)
    g *= 2
    return g


def squares_hessian_x(A: Array) -> Array:
    H = A.T.dot(A)
    H *= 2
    return H


def attention_gradient_Q_K_V(s: float, Q: Array, K: Array, V: Array, C: Array) -> tuple[Array, ...]:
    K = s * K
    P = K.T.dot(Q)
    P -= P.max(0)
    exp(P, P)
    P /= P.sum(0)
    T = V.T.dot(C)
    T -= np.einsum("ij,ij->j", P, T)
    T *= P
    by_K = Q.dot(T.T)
    by_K *= s
    return K.dot(T), by_K, C.dot(P.T)


def layer_norm_gradient_X_g_W(X: Array, g: Array, h: Array, W: Array, C: Array, epsilon: float) -> tuple[Array, ...]:
    n = X.shape[1]
    mean = X.sum(1)
    mean /= n
    N = X - mean[:, None]
    scale = np.einsum("ij,ij->i", N, N)
    scale /= n
    scale += epsilon
    sqrt(scale, scale)
    divide(1, scale, scale)
    N *= scale[:, None]
    T = C.dot(W.T)
    by_g = np.einsum("ij,ij->j", T, N)
    by_W = N.T.dot(C)
    by_W *= g[:, None]
    by_W += h[:, None] * C.sum(0)
    T *= g
    along = np.einsum("ij,ij->i", T, N)
    along /= n
    shift = T.sum(1)
    shift /= n
    N *= along[:, None]
    T -= N
    T -= shift[:, None]
    T *= scale[:, None]
    return T, by_g, by_W
