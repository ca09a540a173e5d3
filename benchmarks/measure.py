"""What is measured: the rows beside all contestants, and of matcalc alone first calls, memory, overhead and depth."""

from __future__ import annotations

import ast
import gc
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

import matcalc
from benchmarks.contestants import LeftOut, contestant, derived
from benchmarks.problems import Data, Row, network
from benchmarks.rivals import RIVALS, arranged
from benchmarks.timing import Timed, fastest, interleaved, once, peak_bytes

TOLERANCE = 1e-8  # relative to the largest entry
SLOW = 1.0  # seconds of one call of a library, after which larger sizes of that row are left out


class Result(NamedTuple):
    row: str
    kind: str
    size: str
    contestant: str
    seconds: float  # median of a call
    ratio: float  # to the expert
    first: float  # seconds of preparing and of the first call
    note: str = ""  # why it did not run, or what was wrong


def compare(rows: Sequence[Row], sizes: Sequence[str], names: Sequence[str], budget: float) -> Iterator[list[Result]]:
    """The results of each row at each size, all against the expert, who is always among them."""
    for row in rows:
        slow: dict[str, str] = {}
        for size in sizes:
            if size in row.sizes:
                yield _row(row, size, names, budget, slow)
                gc.collect()


def _row(row: Row, size: str, names: Sequence[str], budget: float, slow: dict[str, str]) -> list[Result]:
    data = row.data(size)
    truth = _tuple(contestant("expert", row, size, data)())
    calls, first, notes, alone = {}, {}, {}, {}
    for name in names:
        try:
            if name in slow:
                raise LeftOut(slow[name])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                first[name], (call, result) = once(lambda name=name: _begun(name, row, size, data))
            error = difference(row, name, result, truth, data)
            del result
            if error > TOLERANCE:
                notes[name] = f"wrong by {error:.1e}"
                continue
            if first[name] > SLOW / 2 and name not in ("matcalc", "expert"):
                alone[name] = first[name] if name == "autograd" else once(call)[0]  # which compiles nothing
                if alone[name] > SLOW:
                    slow[name] = "slow"
                if alone[name] > 2 * budget:
                    continue
                del alone[name]
            calls[name] = call
        except LeftOut as e:
            notes[name] = str(e)
        except Exception as e:
            notes[name] = f"{type(e).__name__}: {str(e).splitlines()[0][:80] if str(e) else ''}"
    timed = interleaved(calls, "expert", budget)
    timed |= {name: Timed(seconds, seconds / timed["expert"].seconds) for name, seconds in alone.items()}
    found = [Result(row.name, row.kind, size, name, t.seconds, t.ratio, first[name]) for name, t in timed.items()]
    nan = float("nan")
    return found + [Result(row.name, row.kind, size, name, nan, nan, nan, note) for name, note in notes.items()]


def _begun(name: str, row: Row, size: str, data: Data) -> tuple[Callable[[], Any], Any]:
    call = contestant(name, row, size, data)
    return call, call()


def _tuple(result: Any) -> tuple[Any, ...]:
    return tuple(result) if isinstance(result, tuple | list) else (result,)


def difference(row: Row, name: str, result: Any, truth: tuple[Any, ...], data: Data) -> float:
    """The largest error of a result, relative to the largest entry of the truth."""
    if name in RIVALS:
        result = arranged(row, name, result, data)
    worst = 0.0
    for got, want in zip(_tuple(result), truth, strict=True):
        got, want = np.reshape(np.asarray(got), np.shape(want)), np.asarray(want)
        worst = max(worst, float(np.abs(got - want).max() / np.abs(want).max()))
    return worst if math.isfinite(worst) else math.inf


def geometric_mean(values: Iterable[float]) -> float:
    logs = [math.log(v) for v in values if v > 0 and math.isfinite(v)]
    return math.exp(sum(logs) / len(logs)) if logs else float("nan")


class First(NamedTuple):
    row: str
    derive: float
    compile: float
    call: float


def first_calls(rows: Sequence[Row], size: str = "small") -> list[First]:
    """From the formula on, each anew in a warm process: seconds to derive, to compile, and of the first call."""
    for row in rows:
        derived(row).compile()
    out = []
    for row in rows:
        data = row.data(size)
        taken = []
        for _ in range(3):
            gc.collect()
            derive, found = once(lambda row=row: derived(row))
            compiling, function = once(found.compile)
            given = {name: data[name] for name in function.arguments}
            calling, _ = once(lambda function=function, given=given: function(**given))
            taken.append((derive, compiling, calling))
            del found, function
        out.append(First(row.name, *(sorted(t)[1] for t in zip(*taken, strict=True))))
    return out


def memory(rows: Sequence[Row], size: str) -> dict[str, float]:
    """The most memory at a time in a matrix's call, inputs included, over that of inputs and output."""
    out = {}
    for row in rows:
        if row.kind == "matrices":
            data = row.data(size)
            function = derived(row).compile()
            given = {name: data[name] for name in function.arguments}
            function(**given)
            inputs = sum(np.asarray(a).nbytes for a in given.values())
            peak, result = peak_bytes(lambda function=function, given=given: function(**given))
            out[row.name] = (peak + inputs) / (result + inputs)
    return out


class Overhead(NamedTuple):
    row: str
    keywords: float  # seconds more than the bare body
    positions: float
    body: float


def overhead(rows: Sequence[Row], size: str = "tiny", rounds: int = 40) -> list[Overhead]:
    """Of calls by keyword and by position over the generated body alone, without checks: the fastest of each."""
    out = []
    for row in rows:
        data = row.data(size)
        function = derived(row).compile()
        given = {name: data[name] for name in function.arguments}
        values, bare = tuple(given.values()), body(function)
        calls: dict[str, Callable[[], Any]] = {
            "keywords": lambda function=function, given=given: function(**given),
            "positions": lambda function=function, values=values: function(*values),
            "body": lambda bare=bare, values=values: bare(*values),
        }
        best = fastest(calls, rounds)
        out.append(Overhead(row.name, *(best[name] - best["body"] for name in ("keywords", "positions")), best["body"]))
    return out


def body(function: Any) -> Any:
    """What a callable runs after its checks: its source without the test of its arguments and of the limit."""
    tree = ast.parse(function.source)
    [definition] = [
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function.function.__name__
    ]
    definition.body = [node for node in definition.body if not _is_check(node)]
    space: dict[str, Any] = {"__name__": "benchmark"}
    exec(compile(ast.unparse(tree), "<body>", "exec"), space)
    return space[definition.name]


def _is_check(node: ast.stmt) -> bool:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True  # the docstring
    if not isinstance(node, ast.If):
        return False
    calls = [n.func for part in node.body for n in ast.walk(part) if isinstance(n, ast.Call)]
    names = {f.id if isinstance(f, ast.Name) else getattr(f, "attr", "") for f in calls}
    return bool(names & {"arguments", "too_large"})


class Depth(NamedTuple):
    layers: int
    derive: float
    compile: float
    call: float
    expert: float


def depth(layers: Sequence[int]) -> list[Depth]:
    """Gradients by all weights and biases of networks on a batch."""
    from benchmarks.experts import network_gradient_all

    out = []
    sizes = {"n": 20, "p": 15, "q": 10, "m": 25}
    for count in layers:
        problem = network(count)
        data = problem.data(np.random.default_rng(1), sizes)
        names = [name for name in data if name not in "XY"]
        derive, found = once(
            lambda problem=problem, names=names: matcalc.parse(problem.formula, where=problem.where).gradient(
                ", ".join(names)
            )
        )
        compiling, function = once(found.compile)
        given = {name: data[name] for name in function.arguments}
        values = tuple(data.values())
        calls = {
            "matcalc": lambda function=function, given=given: function(**given),
            "expert": lambda values=values: network_gradient_all(*values),
        }
        for got, want in zip(calls["matcalc"](), calls["expert"](), strict=True):
            assert np.allclose(got, want, rtol=1e-8, atol=1e-12)
        timed = interleaved(calls, "expert", 0.5)
        out.append(Depth(count, derive, compiling, timed["matcalc"].seconds, timed["expert"].seconds))
    return out
