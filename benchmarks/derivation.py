"""How fast a formula is read, derived and printed. Run: ``python benchmarks/derivation.py``.

Cold start is measured side by side with ``python -c "import numpy"``, in turn, and given as a ratio; the rest in
milliseconds of a warm process, as medians.
"""

from __future__ import annotations

import itertools
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import matcalc
import matcalc.results
from matcalc.results.derivative import Derivative

ORDINARY = [
    ("x'*A*x", "x"),
    ("norm2(A*x - b)^2", "x"),
    ("c'*Psi((W + V)*Phi(W*x + b))", "W"),
    ("sum(log(1 + exp(-y .* (X*w))))", "w"),
    ("-1/m*(c1'*log(sigmoid(X'*w)) + c2'*log(1 - sigmoid(X'*w)))", "w"),
    ("-y'*log(softmax(W*x + b))", "W"),
    ("x'*A*x/(x'*x)", "x"),
    ("tr(A*X*B*X'*C)", "X"),
    ("logdet(X'*X) + tr(A*X)", "X"),
    ("norm2(U*V' - A)^2", "U"),
    ("1/2*y'*(K + s*eye(n))^-1*y + 1/2*logdet(K + s*eye(n))", "K"),
    ("c'*(x + W2*tanh(W1*x + b))", "W1"),
]

THREE_LAYERS = "1/2*norm2(W3*tanh(W2*tanh(W1*x + b1) + b2) + b3 - y)^2"

# kind, formula, by which variables, and how many milliseconds it may take where that is settled
MATRICES: list[tuple[str, str, str, float | None]] = [
    ("jacobian", "sigma(W*x + b)", "W", None),
    ("jacobian", "x + W2*sigma(W1*x + b)", "W1", None),
    ("jacobian", "W3*tanh(W2*tanh(W1*x))", "x", None),
    ("jacobian", "softmax(W*x + b)", "W", None),
    ("jacobian", "V*softmax(K'*Q)", "Q", None),
    ("jacobian", "A*X*B", "X", None),
    ("jacobian", "X'*A*X", "X", None),
    ("jacobian", "A*X^-1*B", "X", None),
    ("jacobian", "X*(X'*X)^-1*X'", "X", None),
    ("jacobian", "kron(X, Y)", "X", None),
    ("jacobian", "x/norm2(x)", "x", None),
    ("hessian", "sum(log(1 + exp(-y .* (X*w))))", "w", 10),
    ("hessian", "x'*A*x/(x'*x)", "x", None),
    ("hessian", "-y'*log_softmax(W*x)", "W", None),
    ("hessian", "logdet(X)", "X", None),
    ("hessian", "logdet(X'*X)", "X", None),
    ("hessian", "norm2(U*V' - A)^2", "U, V", None),
    ("hessian", THREE_LAYERS, "W1, b1, W2, b2, W3, b3", 100),
    ("gauss_newton", "u = W2*tanh(W1*x + b1) + b2; logsumexp(u) - y'*u", "W1, b1, W2, b2", None),
]


def cold_start(pairs: int = 15) -> float:
    """The median ratio of the command line's whole time to that of importing NumPy."""

    def seconds(*command: str) -> float:
        begin = time.perf_counter()
        subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.perf_counter() - begin

    ours, numpys = ("-m", "matcalc", "grad", "x'*A*x", "--wrt", "x"), ("-c", "import numpy")
    seconds(*ours), seconds(*numpys)
    return statistics.median(seconds(*ours) / seconds(*numpys) for _ in range(pairs))


def median_ms(prepare: Callable[[], Any], run: Callable[[Any], object], times: int = 15) -> float:
    """The median time of ``run`` on what ``prepare`` makes anew, after one that is not counted."""
    run(prepare())
    taken = []
    for _ in range(times):
        made = prepare()
        begin = time.perf_counter()
        run(made)
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken) * 1e3


_serial = itertools.count()


def renamed(text: str) -> str:
    """The same formula in other names, so that nothing is remembered from the last time."""
    number = next(_serial)
    return re.sub(r"\b([A-Za-z])(\d*)\b", lambda name: f"{name[1]}{number}9{name[2]}", text)


def formula(text: str) -> matcalc.results.Formula:
    return matcalc.parse(renamed(text))


def derive(f: matcalc.results.Formula, wrt: Sequence[int], kind: str = "gradient") -> Derivative:
    """The derivative by the variables that stand at the places ``wrt`` among those of the formula."""
    found: Derivative = getattr(f, kind)(*[f.variables[k] for k in wrt])
    return found


def places(text: str, names: str) -> list[int]:
    """Where the named variables stand in a formula."""
    there = matcalc.parse(text).variables
    return [there.index(name) for name in names.split(", ")]


def network(layers: int) -> str:
    """``c'*s(Wn*s(...s(W1*x)))`` for unknown s."""
    inner = "W1*x"
    for k in range(2, layers + 1):
        inner = f"W{k}*s({inner})"
    return f"c'*s({inner})"


def main() -> None:
    print(f"cold start, ratio to importing NumPy: {cold_start():.2f}\n")
    print("warm: parse, derive and simplify, then print (ms)")
    all_derived = []
    for text, name in ORDINARY:
        times = timings(text, places(text, name), 15)
        all_derived.append(times[1])
        print(f"  {times[0]:6.2f} {times[1]:6.2f} {times[2]:6.2f}   {text}")
    print(f"  median of the derivations: {statistics.median(all_derived):.2f} ms\n")
    matrices()
    print("layers   parse ms   derive ms   print ms   characters a layer")
    for layers in (20, 40, 80, 160, 320):
        text = network(layers)
        times = timings(text, places(text, "W1"), 5)
        length = len(matcalc.parse(text).gradient("W1").text())
        print(f"{layers:6} {times[0]:10.1f} {times[1]:11.1f} {times[2]:10.1f} {length / layers:12.1f}")


def matrices() -> None:
    """Jacobians, Hessians and Gauss-Newton matrices, against what they may take."""
    print("warm: parse, derive and simplify, then print (ms)")
    all_derived = []
    for kind, text, names, most in MATRICES:
        times = timings(text, places(text, names), 9, kind)
        all_derived.append(times[1])
        said = "" if most is None else f"   (at most {most:g} ms: {'kept' if times[1] <= most else 'NOT KEPT'})"
        print(f"  {times[0]:6.2f} {times[1]:6.2f} {times[2]:6.2f}   {kind} of {text} by {names}{said}")
    print(f"  median of the derivations: {statistics.median(all_derived):.2f} ms\n")


def timings(text: str, wrt: Sequence[int], times: int, kind: str = "gradient") -> tuple[float, float, float]:
    """Milliseconds to read, to derive and simplify, and to print."""
    return (
        median_ms(lambda: renamed(text), matcalc.parse, times),
        median_ms(lambda: formula(text), lambda f: derive(f, wrt, kind), times),
        median_ms(lambda: derive(formula(text), wrt, kind), lambda g: g.text(), times),
    )


if __name__ == "__main__":
    main()
