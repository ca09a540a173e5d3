"""Logistic regression on the breast cancer data, trained with the gradient that matcalc derives.

Needs scikit-learn (``pip install "matcalc[test]"``) for the data and for the comparison with its own solver.
"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import matcalc

# The negative log-likelihood of labels y in {0, 1}, with a ridge on the weights but not on the bias.
LOSS = "z = X*w + beta; 1/m*(sum(softplus(z)) - y'*z) + lambda/2*w'*w"
WHERE = "X in R^{m x n}; w in R^n; y in R^m; beta, lambda in R"


def main() -> tuple[float, float]:
    """Prints the gradients; returns the accuracies on held-out data, ours and scikit-learn's."""
    by_parameters = matcalc.gradient(LOSS, "w, beta", where=WHERE)
    print(by_parameters, end="\n\n")
    value_and_gradient = by_parameters.compile(value=True)

    data, labels = load_breast_cancer(return_X_y=True)
    train, test, y_train, y_test = train_test_split(data, labels, test_size=0.3, random_state=0)
    scaler = StandardScaler().fit(train)
    train, test = scaler.transform(train), scaler.transform(test)
    ridge = 1 / len(train)

    # Gradient descent with Nesterov's momentum; the step is one over a bound of the curvature.
    w, beta = np.zeros(train.shape[1]), 0.0
    ahead_w, ahead_beta = w, beta
    step = 1 / (0.25 * (np.linalg.norm(train, 2) ** 2 / len(train) + 1) + ridge)
    for k in range(500):
        value, dw, dbeta = value_and_gradient(X=train, w=ahead_w, beta=ahead_beta, y=y_train, **{"lambda": ridge})
        new_w, new_beta = ahead_w - step * dw, ahead_beta - step * dbeta
        momentum = k / (k + 3)
        ahead_w, ahead_beta = new_w + momentum * (new_w - w), new_beta + momentum * (new_beta - beta)
        w, beta = new_w, new_beta
    ours = float(np.mean((test @ w + beta > 0) == y_test))
    theirs = float(LogisticRegression(C=1.0, max_iter=1000).fit(train, y_train).score(test, y_test))
    print(f"loss {value:.4f}; accuracy {ours:.3f}, scikit-learn's solver {theirs:.3f}")
    return ours, theirs


if __name__ == "__main__":
    main()
