"""How fast a formula is read, derived and printed. Run: ``python benchmarks/derivation.py``.

Cold start is measured side by side with ``python -c "import numpy"``, in turn, and given as a ratio; the rest in
milliseconds of a warm process, as medians.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import matcalc

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


def cold_start(pairs: int = 15) -> float:
    """The median ratio of the command line's whole time to that of importing NumPy."""

    def seconds(*command: str) -> float:
        begin = time.perf_counter()
        subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.perf_counter() - begin

    ours, numpys = ("-m", "matcalc", "grad", "x'*A*x", "--wrt", "x"), ("-c", "import numpy")
    seconds(*ours), seconds(*numpys)
    return statistics.median(seconds(*ours) / seconds(*numpys) for _ in range(pairs))


def median_ms(run: Callable[[], object], times: int = 15) -> float:
    """The median time of a call, after one that is not counted."""
    run()
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        run()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken) * 1e3


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
    for text, wrt in ORDINARY:
        formula = matcalc.parse(text)
        parsed = median_ms(lambda text=text: matcalc.parse(text))
        derived = median_ms(lambda formula=formula, wrt=wrt: formula.gradient(wrt))
        gradient = formula.gradient(wrt)
        printed = median_ms(lambda gradient=gradient: gradient.text())
        all_derived.append(derived)
        print(f"  {parsed:6.2f} {derived:6.2f} {printed:6.2f}   {text}")
    print(f"  median of the derivations: {statistics.median(all_derived):.2f} ms\n")
    print("layers   parse ms   derive ms   print ms   characters a layer")
    for layers in (20, 40, 80, 160, 320):
        text = network(layers)
        parsed = median_ms(lambda text=text: matcalc.parse(text), 5)
        formula = matcalc.parse(text)
        derived = median_ms(lambda formula=formula: formula.gradient("W1"), 5)
        gradient = formula.gradient("W1")
        printed = median_ms(lambda gradient=gradient: gradient.text(), 5)
        print(f"{layers:6} {parsed:10.1f} {derived:11.1f} {printed:10.1f} {len(gradient.text()) / layers:12.1f}")


if __name__ == "__main__":
    main()
