"""The problems: each one's formula once for matcalc, once for libraries that differentiate, its data and its sizes.

A :class:`Row` is one line of the table: a derivative of a problem, with the sizes at which it is taken. All
dimensions of a row differ. What libraries get is written in the words that all of them know, collected in a namespace
``ns`` (see rivals.py): idiomatic in each, such as its own softplus, and with Cholesky factors where they are known to
exist.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator

Sizes = Mapping[str, int]
Data = dict[str, Any]

SIZES = ("tiny", "small", "medium", "large")
KINDS = ("gradients", "products", "matrices")


class Problem(NamedTuple):
    """``value`` is the function for libraries; for Gauss-Newton products ``loss`` of the output that ``net`` gives."""

    name: str
    formula: str
    where: str
    data: Callable[[Generator, Sizes], Data]
    value: Callable[..., Any]
    net: Callable[..., Any] | None = None
    loss: Callable[..., Any] | None = None


class Row(NamedTuple):
    """The derivative ``of`` a problem by ``wrt``; its expert is the function of experts.py named like the row.

    ``inner``  how many entries the largest intermediate value has that a library computes for each column (or row) of
               a matrix, and how many of these there are: what it takes to compute all columns at once
    """

    problem: Problem
    of: str  # the method of matcalc's formula
    wrt: tuple[str, ...]
    sizes: Mapping[str, Sizes]
    at: str = ""
    inner: Callable[[Sizes], int] | None = None
    label: str = ""

    @property
    def name(self) -> str:
        return f"{self.problem.name} {self.of} {self.label or ' '.join(self.wrt)}"

    @property
    def expert(self) -> str:
        return self.name.replace(" ", "_").replace("-", "_")

    @property
    def kind(self) -> str:
        return {"gradient": "gradients", "hvp": "products", "gnvp": "products"}.get(self.of, "matrices")

    def data(self, size: str) -> Data:
        """Values of the arguments, of directions too: these have the names of matcalc's callables."""
        rng = np.random.default_rng(1)
        data = self.problem.data(rng, self.sizes[size])
        if self.kind == "products":
            for name in self.wrt:
                data[self.direction(name)] = rng.standard_normal(np.shape(data[name]))
        return data

    def direction(self, name: str) -> str:
        """What matcalc calls the direction of a variable."""
        letter = "v" if name[0].islower() else "V"
        return f"{letter}_{name}" if len(self.wrt) > 1 else {"v": "d", "V": "D"}[letter]


def _sizes(names: str, **given: tuple[int, ...]) -> dict[str, Sizes]:
    return {size: dict(zip(names.split(), given[size], strict=True)) for size in SIZES if size in given}


def _spd(rng: Generator, n: int) -> Any:
    a = rng.standard_normal((n, n))
    s = a.dot(a.T) / n + np.eye(n)
    return (s + s.T) / 2


def _classes(rng: Generator, m: int, k: int) -> Any:
    return np.eye(k)[rng.integers(k, size=m)]


# Logistic regression

LOGISTIC = Problem(
    "logistic",
    "z = X*w; sum(softplus(z)) - y'*z + lambda/2*w'*w",
    "X in R^{m x n}; y in R^m; w in R^n; lambda in R",
    lambda rng, d: {
        "X": rng.standard_normal((d["m"], d["n"])),
        "y": rng.integers(2, size=d["m"]).astype(float),
        "w": rng.standard_normal(d["n"]) / d["n"] ** 0.5,
        "lambda": 0.3,
    },
    lambda ns, X, y, w, lam: ns.sum(ns.softplus(X @ w)) - ns.sum(y * (X @ w)) + lam / 2 * ns.sum(w * w),
)

# Softmax regression


def _softmax_net(ns: Any, X: Any, W: Any, Y: Any) -> Any:
    return X @ W


def _softmax_loss(ns: Any, u: Any, X: Any, W: Any, Y: Any) -> Any:
    return ns.sum(ns.logsumexp(u, 1)) - ns.sum(Y * u)


SOFTMAX = Problem(
    "softmax",
    "u = X*W; sum(logsumexp(u, axis=1)) - tr(Y'*u)",
    "X in R^{m x n}; W in R^{n x k}; Y in R^{m x k}",
    lambda rng, d: {
        "X": rng.standard_normal((d["m"], d["n"])),
        "W": rng.standard_normal((d["n"], d["k"])) / d["n"] ** 0.5,
        "Y": _classes(rng, d["m"], d["k"]),
    },
    lambda ns, X, W, Y: _softmax_loss(ns, _softmax_net(ns, X, W, Y), X, W, Y),
    _softmax_net,
    _softmax_loss,
)

# Factorisation of a matrix, plain and with a mask of known entries


def _factors(rng: Generator, d: Sizes) -> Data:
    m, n, k = d["m"], d["n"], d["k"]
    return {
        "U": rng.standard_normal((m, k)),
        "V": rng.standard_normal((n, k)),
        "A": rng.standard_normal((m, n)),
    }


FACTORS = Problem(
    "factors",
    "norm2(U*V' - A)^2",
    "U in R^{m x k}; V in R^{n x k}; A in R^{m x n}",
    _factors,
    lambda ns, U, V, A: ns.sum((U @ V.T - A) ** 2),
)
MASKED = Problem(
    "masked",
    "norm2(M .* (U*V' - A))^2",
    "U in R^{m x k}; V in R^{n x k}; A in R^{m x n}; M in R^{m x n}",
    lambda rng, d: {**_factors(rng, d), "M": rng.integers(2, size=(d["m"], d["n"])).astype(float)},
    lambda ns, U, V, A, M: ns.sum((M * (U @ V.T - A)) ** 2),
)

# The network of the tutorial, c^T Psi((W + V) Phi(W x + b))

TUTORIAL = Problem(
    "tutorial",
    "c'*tanh((W + V)*sigmoid(W*x + b))",
    "c, x, b in R^n; W, V in R^{n x n}",
    lambda rng, d: {
        "W": rng.standard_normal((d["n"], d["n"])) / d["n"] ** 0.5,
        "V": rng.standard_normal((d["n"], d["n"])) / d["n"] ** 0.5,
        "c": rng.standard_normal(d["n"]),
        "x": rng.standard_normal(d["n"]),
        "b": rng.standard_normal(d["n"]),
    },
    lambda ns, W, V, c, x, b: ns.sum(c * ns.tanh((W + V) @ ns.sigmoid(W @ x + b))),
)

# A deep network on a batch of columns


def network(layers: int) -> Problem:
    """tanh layers, from p inputs over layers of width n to q outputs, with half the squared distance as loss."""
    last = f"H{layers}"
    lines = [f"H{i} = tanh(W{i}*{f'H{i - 1}' if i > 1 else 'X'} + b{i}*ones(m)')" for i in range(1, layers + 1)]
    shapes = [("n" if i < layers else "q", "p" if i == 1 else "n") for i in range(1, layers + 1)]
    where = [f"W{i} in R^{{{r} x {c}}}; b{i} in R^{r}" for i, (r, c) in enumerate(shapes, 1)]

    def data(rng: Generator, d: Sizes) -> Data:
        out = {}
        for i, (r, c) in enumerate(shapes, 1):
            out[f"W{i}"] = rng.standard_normal((d[r], d[c])) * (1.2 / d[c] ** 0.5)
            out[f"b{i}"] = rng.standard_normal(d[r]) / 5
        return {**out, "X": rng.standard_normal((d["p"], d["m"])), "Y": rng.standard_normal((d["q"], d["m"]))}

    def net(ns: Any, *given: Any) -> Any:
        h = given[-2]
        for i in range(layers):
            h = ns.tanh(given[2 * i] @ h + ns.column(given[2 * i + 1]))
        return h

    def loss(ns: Any, u: Any, *given: Any) -> Any:
        return 0.5 * ns.sum((u - given[-1]) ** 2)

    return Problem(
        "network",
        "; ".join([*lines, f"1/2*norm2({last} - Y)^2"]),
        "; ".join([*where, "X in R^{p x m}; Y in R^{q x m}"]),
        data,
        lambda ns, *given: loss(ns, net(ns, *given), *given),
        net,
        loss,
    )


LAYERS = 10
NETWORK = network(LAYERS)

# The step of a residual network

RESIDUAL = Problem(
    "residual",
    "x + W2*tanh(W1*x + b)",
    "x in R^n; W1 in R^{h x n}; W2 in R^{n x h}; b in R^h",
    lambda rng, d: {
        "x": rng.standard_normal(d["n"]),
        "W1": rng.standard_normal((d["h"], d["n"])) / d["n"] ** 0.5,
        "W2": rng.standard_normal((d["n"], d["h"])) / d["h"] ** 0.5,
        "b": rng.standard_normal(d["h"]),
    },
    lambda ns, x, W1, W2, b: x + W2 @ ns.tanh(W1 @ x + b),
)

# Likelihoods: of a Gaussian by mean and covariance, of a Gaussian process by covariance and hyperparameters


def _gaussian(ns: Any, X: Any, mu: Any, S: Any) -> Any:
    r = X - ns.column(mu)
    solved, logdet = ns.spd(S, r)
    return X.shape[1] / 2 * logdet + ns.sum(r * solved) / 2


GAUSSIAN = Problem(
    "gaussian",
    "R = X - mu*ones(m)'; m/2*logdet(S) + 1/2*tr(R'*S^-1*R)",
    "S in R^{n x n} spd; mu in R^n; X in R^{n x m}",
    lambda rng, d: {
        "X": rng.standard_normal((d["n"], d["m"])),
        "mu": rng.standard_normal(d["n"]),
        "S": _spd(rng, d["n"]),
    },
    _gaussian,
)


def _process(ns: Any, K: Any, y: Any) -> Any:
    solved, logdet = ns.spd(K, y)
    return ns.sum(y * solved) / 2 + logdet / 2


PROCESS = Problem(
    "process",
    "1/2*y'*K^-1*y + 1/2*logdet(K)",
    "K in R^{n x n} spd; y in R^n",
    lambda rng, d: {"K": _spd(rng, d["n"]), "y": rng.standard_normal(d["n"])},
    _process,
)


def _kernel(rng: Generator, d: Sizes) -> Data:
    t = rng.standard_normal((d["n"], 3))
    squares = (t * t).sum(1)
    distances = np.maximum(squares[:, None] + squares - 2 * t.dot(t.T), 0)
    return {
        "D": (distances + distances.T) / 2,
        "y": rng.standard_normal(d["n"]),
        "alpha": 1.4,
        "ell": 0.8,
        "sigma": 0.2,
    }


KERNEL = Problem(
    "kernel",
    "K = alpha*exp(-D/ell) + sigma*eye(n); 1/2*y'*K^-1*y + 1/2*logdet(K)",
    "D in R^{n x n} symmetric; y in R^n; alpha, ell, sigma in R",
    _kernel,
    lambda ns, D, y, alpha, ell, sigma: _process(ns, alpha * ns.exp(-D / ell) + sigma * ns.eye(D.shape[0]), y),
)

# The Rayleigh quotient, a quadratic form of a matrix, least squares

RAYLEIGH = Problem(
    "rayleigh",
    "x'*A*x/(x'*x)",
    "A in R^{n x n} symmetric; x in R^n",
    lambda rng, d: {"A": _spd(rng, d["n"]), "x": rng.standard_normal(d["n"])},
    lambda ns, A, x: ns.sum(x * (A @ x)) / ns.sum(x * x),
)
TRACE = Problem(
    "trace",
    "tr(A*X'*B*X*C)",
    "A in R^{r x q}; X in R^{p x q}; B in R^{p x p}; C in R^{q x r}",
    lambda rng, d: {
        "A": rng.standard_normal((d["r"], d["q"])),
        "X": rng.standard_normal((d["p"], d["q"])),
        "B": rng.standard_normal((d["p"], d["p"])),
        "C": rng.standard_normal((d["q"], d["r"])),
    },
    lambda ns, A, X, B, C: ns.sum((A @ X.T).T * (B @ (X @ C))),
)
SQUARES = Problem(
    "squares",
    "norm2(A*x - b)^2",
    "A in R^{m x n}; x in R^n; b in R^m",
    lambda rng, d: {
        "A": rng.standard_normal((d["m"], d["n"])),
        "x": rng.standard_normal(d["n"]),
        "b": rng.standard_normal(d["m"]),
    },
    lambda ns, A, x, b: ns.sum((A @ x - b) ** 2),
)

# Attention, and layer normalisation before a linear layer

ATTENTION = Problem(
    "attention",
    "tr(C'*V*softmax(s*K'*Q))",
    "s in R; Q in R^{d x p}; K in R^{d x q}; V in R^{h x q}; C in R^{h x p}",
    lambda rng, d: {
        "Q": rng.standard_normal((d["d"], d["p"])),
        "K": rng.standard_normal((d["d"], d["q"])),
        "V": rng.standard_normal((d["h"], d["q"])),
        "C": rng.standard_normal((d["h"], d["p"])),
        "s": d["d"] ** -0.5,
    },
    lambda ns, Q, K, V, C, s: ns.sum(C * (V @ ns.softmax(s * (K.T @ Q), 0))),
)


def _layer_norm(ns: Any, X: Any, g: Any, h: Any, W: Any, C: Any, epsilon: Any) -> Any:
    m, n = X.shape
    z = X - ns.column(ns.sum(X, 1) / n)
    normal = z / ns.column(ns.sqrt(ns.sum(z * z, 1) / n + epsilon))
    return ns.sum(C * ((normal * ns.row(g, m) + ns.row(h, m)) @ W))


LAYER_NORM = Problem(
    "layer-norm",
    "Z = X - mean(X, 1)*ones(n)'; N = Z ./ (sqrt(mean(Z.^2, 1) + epsilon)*ones(n)'); tr(C'*(N*diag(g) + ones(m)*h')*W)",
    "X in R^{m x n}; g, h in R^n; W in R^{n x k}; C in R^{m x k}; epsilon in R",
    lambda rng, d: {
        "X": rng.standard_normal((d["m"], d["n"])),
        "g": rng.standard_normal(d["n"]),
        "h": rng.standard_normal(d["n"]),
        "W": rng.standard_normal((d["n"], d["k"])),
        "C": rng.standard_normal((d["m"], d["k"])),
        "epsilon": 1e-5,
    },
    _layer_norm,
)

_MN = _sizes("m n", tiny=(9, 5), small=(200, 50), medium=(2000, 500), large=(6000, 1500))
_MN_DENSE = _sizes("m n", tiny=(9, 5), small=(200, 50), medium=(2000, 500), large=(5000, 1200))
_MNK = _sizes("m n k", tiny=(9, 5, 3), small=(200, 50, 6), medium=(2000, 500, 10), large=(6000, 1500, 20))
_MNK_DENSE = _sizes("m n k", tiny=(9, 5, 3), small=(150, 40, 4), medium=(800, 250, 4), large=(1500, 480, 5))
_FACTORS = _sizes("m n k", tiny=(6, 5, 2), small=(60, 50, 4), medium=(600, 500, 10), large=(2500, 2000, 20))
_FACTORS_DENSE = _sizes("m n k", tiny=(6, 5, 2), small=(60, 50, 3), medium=(300, 200, 4), large=(600, 150, 5))
_SQUARE = _sizes("n", tiny=(5,), small=(50,), medium=(500,), large=(2500,))
_DEEP = _sizes(
    "n p q m", tiny=(5, 4, 3, 6), small=(50, 40, 20, 30), medium=(300, 250, 100, 90), large=(700, 600, 300, 200)
)
_GAUSS = _sizes("n m", tiny=(5, 7), small=(50, 80), medium=(500, 600), large=(1500, 2000))
_COVARIANCE = _sizes("n", tiny=(5,), small=(50,), medium=(500,), large=(1500,))
_TRACE = _sizes("p q r", tiny=(5, 4, 3), small=(50, 40, 30), medium=(500, 400, 300), large=(1200, 900, 700))
_TRACE_DENSE = _sizes("p q r", tiny=(5, 4, 3), small=(15, 10, 8), medium=(40, 30, 20), large=(64, 50, 40))
_STEP_X = _sizes("n h", tiny=(5, 4), small=(50, 40), medium=(500, 400), large=(1600, 1300))
_STEP_W = _sizes("n h", tiny=(5, 4), small=(50, 30), medium=(120, 80), large=(300, 150))
_ATTENTION = _sizes(
    "d p q h", tiny=(4, 5, 6, 3), small=(16, 50, 60, 12), medium=(64, 500, 600, 48), large=(64, 1500, 1800, 48)
)
_LAYER = _sizes("m n k", tiny=(6, 5, 4), small=(60, 50, 40), medium=(600, 500, 300), large=(3000, 1000, 500))

_WEIGHTS = tuple(f"W{i}" for i in range(1, LAYERS + 1))
_PARAMETERS = tuple(f"{name}{i}" for i in range(1, LAYERS + 1) for name in "Wb")

ROWS = (
    Row(LOGISTIC, "gradient", ("w",), _MN),
    Row(SOFTMAX, "gradient", ("W",), _MNK),
    Row(SOFTMAX, "gradient", ("X",), _MNK),
    Row(FACTORS, "gradient", ("U",), _FACTORS),
    Row(MASKED, "gradient", ("U",), _FACTORS),
    Row(TUTORIAL, "gradient", ("W",), _SQUARE),
    Row(TUTORIAL, "gradient", ("W", "V", "x", "b"), _SQUARE),
    Row(NETWORK, "gradient", _PARAMETERS, _DEEP, label="all"),
    Row(GAUSSIAN, "gradient", ("mu",), _GAUSS),
    Row(GAUSSIAN, "gradient", ("S",), _GAUSS),
    Row(PROCESS, "gradient", ("K",), _COVARIANCE),
    Row(KERNEL, "gradient", ("alpha", "ell", "sigma"), _COVARIANCE, label="all"),
    Row(RAYLEIGH, "gradient", ("x",), _SQUARE),
    Row(TRACE, "gradient", ("X",), _TRACE),
    Row(SQUARES, "gradient", ("x",), _MN),
    Row(ATTENTION, "gradient", ("Q", "K", "V"), _ATTENTION),
    Row(LAYER_NORM, "gradient", ("X", "g", "W"), _LAYER),
    Row(LOGISTIC, "hvp", ("w",), _MN),
    Row(SOFTMAX, "gnvp", ("W",), _MNK, at="u"),
    Row(FACTORS, "hvp", ("U",), _FACTORS),
    Row(NETWORK, "gnvp", _WEIGHTS, _DEEP, at=f"H{LAYERS}", label="all"),
    Row(RAYLEIGH, "hvp", ("x",), _SQUARE),
    Row(LOGISTIC, "hessian", ("w",), _MN_DENSE, inner=lambda d: d["n"] * d["m"]),
    Row(SOFTMAX, "hessian", ("W",), _MNK_DENSE, inner=lambda d: d["n"] * d["k"] * d["m"] * d["k"]),
    Row(FACTORS, "hessian", ("U",), _FACTORS_DENSE, inner=lambda d: d["m"] * d["k"] * d["m"] * d["n"]),
    Row(MASKED, "hessian", ("U",), _FACTORS_DENSE, inner=lambda d: d["m"] * d["k"] * d["m"] * d["n"]),
    Row(RESIDUAL, "jacobian", ("x",), _STEP_X, inner=lambda d: d["n"] * d["n"]),
    Row(RESIDUAL, "jacobian", ("W1",), _STEP_W, inner=lambda d: d["n"] * d["n"] * d["h"]),
    Row(GAUSSIAN, "hessian", ("mu",), _GAUSS, inner=lambda d: d["n"] * d["n"] * d["m"]),
    Row(RAYLEIGH, "hessian", ("x",), _SQUARE, inner=lambda d: d["n"] * d["n"]),
    Row(TRACE, "hessian", ("X",), _TRACE_DENSE, inner=lambda d: (d["p"] * d["q"]) ** 2),
    Row(SQUARES, "hessian", ("x",), _MN_DENSE, inner=lambda d: d["n"] * d["m"]),
)
