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
from collections.abc import Callable
from typing import Any

import matcalc
import matcalc.results

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


def derive(f: matcalc.results.Formula, wrt: int) -> matcalc.results.Gradient:
    """The gradient by the variable that stands at place ``wrt`` among those of the formula."""
    return f.gradient(f.variables[wrt])


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
        wrt = matcalc.parse(text).variables.index(name)
        times = timings(text, wrt, 15)
        all_derived.append(times[1])
        print(f"  {times[0]:6.2f} {times[1]:6.2f} {times[2]:6.2f}   {text}")
    print(f"  median of the derivations: {statistics.median(all_derived):.2f} ms\n")
    print("layers   parse ms   derive ms   print ms   characters a layer")
    for layers in (20, 40, 80, 160, 320):
        text = network(layers)
        names = matcalc.parse(text).variables
        times = timings(text, names.index("W1"), 5)
        length = len(matcalc.parse(text).gradient("W1").text())
        print(f"{layers:6} {times[0]:10.1f} {times[1]:11.1f} {times[2]:10.1f} {length / layers:12.1f}")


def timings(text: str, wrt: int, times: int) -> tuple[float, float, float]:
    """Milliseconds to read, to derive and simplify, and to print."""
    return (
        median_ms(lambda: renamed(text), matcalc.parse, times),
        median_ms(lambda: formula(text), lambda f: derive(f, wrt), times),
        median_ms(lambda: derive(formula(text), wrt), lambda g: g.text(), times),
    )


if __name__ == "__main__":
    main()
