"""``python -m benchmarks``: the callables of matcalc beside hand-written NumPy and automatic differentiation."""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from importlib.util import find_spec


def one_thread(processor: int | None) -> None:
    """Before NumPy is loaded: every library gets one thread, and the process one processor, or the last."""
    for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB", "NUMBA"):
        os.environ[f"{name}_NUM_THREADS"] = "1"
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0)) if processor is None else processor})


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny and medium sizes only, and short")
    parser.add_argument("--sizes", help="of tiny, small, medium, large, with commas")
    parser.add_argument("--kinds", help="of gradients, products, matrices")
    parser.add_argument("--problems", help="names of problems, or words of rows, such as logistic or 'hessian U'")
    parser.add_argument("--contestants", help="of matcalc, expert, naive, jax, torch, torch.compile, autograd, casadi")
    parser.add_argument("--budget", type=float, default=0.5, help="seconds for each row and size (default 0.5)")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: where others use the machine")
    parser.add_argument("--processor", type=int, help="which one to run on (default the last)")
    parser.add_argument("--only", choices=["compare", "matcalc"], help="the comparison, or what concerns matcalc alone")
    parser.add_argument("--markdown", action="store_true", help="tables as Markdown")
    parser.add_argument("--json", metavar="FILE", help="all results")
    parser.add_argument("--plot", metavar="FILE", help="SVG or PNG; needs matplotlib")
    parser.add_argument("--layers", default="10,40,160,1000", help="depths of the networks")
    return parser.parse_args(arguments)


def save(path: str | None, found: dict[str, object]) -> None:
    if path:
        with open(path, "w") as f:
            json.dump(found, f, indent=1)


def main(arguments: list[str] | None = None) -> int:
    given = options(arguments)
    one_thread(given.processor)
    warnings.filterwarnings("ignore", category=RuntimeWarning)  # an expert's exp may overflow
    from benchmarks import contestants, measure, report, timing
    from benchmarks.problems import KINDS, ROWS, SIZES

    timing.use_clock(given.clock)

    def chosen(text: str | None, known: tuple[str, ...], default: list[str], kind: str) -> list[str]:
        names = [name.strip() for name in text.split(",")] if text else default
        unknown = [name for name in names if name not in known]
        if unknown:
            raise SystemExit(f"unknown {kind} {', '.join(unknown)}; there are {', '.join(known)}")
        return names

    sizes = chosen(given.sizes, SIZES, ["tiny", "medium"] if given.quick else list(SIZES), "sizes")
    kinds = chosen(given.kinds, KINDS, list(KINDS), "kinds")
    everyone = [name for name in contestants.CONTESTANTS if name not in contestants.ON_DEMAND]
    names = chosen(given.contestants, contestants.CONTESTANTS, everyone, "contestants")
    names = [name for name in contestants.CONTESTANTS if name in {*names, "expert"}]
    words = [w.strip() for w in given.problems.split(",")] if given.problems else [""]
    rows = [row for row in ROWS if row.kind in kinds and any(w in row.name for w in words)]
    absent = [name for name in names if name in contestants.missing()]
    names = [name for name in names if name not in absent]
    print(report.machine())
    if absent:
        print(f"not installed, left out: {', '.join(absent)}")

    def show(title: str, table: report.Table) -> None:
        print(f"\n{title}\n\n{report.text(table, given.markdown)}", flush=True)

    results = []
    found: dict[str, object] = {"machine": report.machine()}
    if given.only != "matcalc":
        budget = given.budget * (0.4 if given.quick else 1)
        for part in measure.compare(rows, sizes, names, budget):
            results += part
            found["results"] = [r._asdict() for r in results]
            save(given.json, found)
            print(f"\r{len(results)} {part[0].row} {part[0].size}".ljust(70), end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        show("Each row: the expert's time, and multiples of it", report.lines(results, names))
        show("Geometric means of the multiples", report.means(results, names))
        show("Preparing and first call", report.compiling(results, names))
        show("Where matcalc is behind", report.behind(results))
    if given.only != "compare":
        firsts = measure.first_calls(rows)
        over = measure.overhead(rows)
        large = [size for size in sizes if size in ("medium", "large")]
        memory = {size: measure.memory(rows, size) for size in large}
        deep = measure.depth([int(n) for n in given.layers.split(",")][: 2 if given.quick else None])
        show("matcalc from the formula to the first result, at small size", report.firsts(firsts))
        show("Calls at tiny size over the bare body of the generated function", report.overheads(over))
        if any(memory.values()):
            show("Peak memory with inputs, over inputs and output", report.memories(memory))
        show("Networks of many layers, all gradients", report.depths(deep))
        found |= {
            "first": [f._asdict() for f in firsts],
            "overhead": [o._asdict() for o in over],
            "memory": memory,
            "depth": [d._asdict() for d in deep],
        }
    save(given.json, found)
    if given.plot and results:
        if find_spec("matplotlib"):
            report.plot(results, names, given.plot)
        else:
            print("no plot: matplotlib is not installed", file=sys.stderr)
    return 1 if any(r.note.startswith("wrong") for r in results) else 0


if __name__ == "__main__":
    sys.exit(main())
