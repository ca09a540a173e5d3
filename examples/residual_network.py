"""A residual network for the digits data, trained by stochastic gradient descent with derived gradients.

Samples are the columns of X, labels the one-hot columns of C. Needs scikit-learn for the data.
"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import matcalc

NETWORK = """
H = tanh(W0*X + b0*ones(m)')
R = H + W2*relu(W1*H + b1*ones(m)')
S = W3*R + b3*ones(m)'
-1/m*sum(C .* log_softmax(S))
"""
WHERE = """
X in R^{d x m}; C in R^{l x m}
W0 in R^{k x d}; W1, W2 in R^{k x k}; W3 in R^{l x k}
b0, b1 in R^k; b3 in R^l
"""
PARAMETERS = ("W0", "b0", "W1", "b1", "W2", "W3", "b3")


def main(epochs: int = 15) -> float:
    """Trains the network; returns its accuracy on held-out data."""
    gradients = matcalc.gradient(NETWORK, ", ".join(PARAMETERS), where=WHERE)
    print(gradients, end="\n\n")
    value_and_gradients = gradients.compile(value=True)

    images, labels = load_digits(return_X_y=True)
    train, test, y_train, y_test = train_test_split(images / 16, labels, test_size=0.3, random_state=0)
    random = np.random.default_rng(0)
    d, k, classes, batch, rate = train.shape[1], 32, 10, 32, 0.1
    shapes = {"W0": (k, d), "b0": k, "W1": (k, k), "b1": k, "W2": (k, k), "W3": (classes, k), "b3": classes}
    theta = {
        name: random.normal(size=shape) / np.sqrt(shape[1]) if isinstance(shape, tuple) else np.zeros(shape)
        for name, shape in shapes.items()
    }
    for epoch in range(epochs):
        order = random.permutation(len(train))
        for start in range(0, len(order) - batch + 1, batch):
            chosen = order[start : start + batch]
            one_hot = np.eye(classes)[y_train[chosen]].T
            loss, *slopes = value_and_gradients(X=train[chosen].T, C=one_hot, **theta)
            for name, slope in zip(PARAMETERS, slopes, strict=True):
                theta[name] = theta[name] - rate * slope
        print(f"epoch {epoch + 1:2}: loss of the last batch {loss:.4f}")
    accuracy = float(np.mean(predict(theta, test) == y_test))
    print(f"accuracy on held-out digits: {accuracy:.3f}")
    return accuracy


def predict(theta: dict[str, np.ndarray], images: np.ndarray) -> np.ndarray:
    """The class of each image, a row of ``images``."""
    scores = matcalc.parse(
        "H = tanh(W0*X + b0*ones(m)'); R = H + W2*relu(W1*H + b1*ones(m)'); W3*R + b3*ones(m)'", where=WHERE
    ).compile()
    return scores(X=images.T, **theta).argmax(axis=0)


if __name__ == "__main__":
    main()
