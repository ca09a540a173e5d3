"""The network of the tutorial, y = c' Ψ((W+V) Φ(Wx+b)): its gradient by W in closed form, with the derivation.

The tutorial's own last line has a slip, one Ψ where Φ is meant; the claim check names it.
"""

from __future__ import annotations

import numpy as np

import matcalc

NETWORK = "c^T Ψ((W+V)Φ(Wx+b))"
PRINTED = "(Ψ'((W+V)Ψ(Wx+b)) .* c)*Ψ(Wx+b)' + (Φ'(Wx+b) .* ((W+V)'*(Ψ'((W+V)Ψ(Wx+b)) .* c)))*x'"


def main() -> float:
    """Prints the gradient, the derivation and the checks; returns the largest error against finite differences."""
    network = matcalc.parse(NETWORK)
    by_weights = network.gradient("W")
    print(f"gradient of {NETWORK} by W:\n\n{by_weights}\n")
    print(by_weights.steps, end="\n\n")
    print(by_weights.check(), end="\n\n")
    print(network.check_claim("W", PRINTED), end="\n\n")

    # The same gradient as a NumPy function, for Ψ = tanh and Φ = sin, against central differences of the value.
    functions = {"Psi": [np.tanh, lambda t: 1 - np.tanh(t) ** 2], "Phi": [np.sin, np.cos]}
    f, g = network.compile(functions=functions), by_weights.compile(functions=functions)
    random = np.random.default_rng(0)
    n, h = 4, 1e-6
    values = {name: random.normal(size=(n, n) if name in "WV" else n) for name in f.arguments}
    exact = g(**values)
    error = 0.0
    for i in range(n):
        for j in range(n):
            step = np.zeros((n, n))
            step[i, j] = h
            difference = f(**values | {"W": values["W"] + step}) - f(**values | {"W": values["W"] - step})
            error = max(error, abs(exact[i, j] - difference / (2 * h)))
    print(f"largest difference from central differences: {error:.1e}")
    return error


if __name__ == "__main__":
    main()
