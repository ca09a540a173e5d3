"""Results as tables of text or Markdown, and as a plot."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.contestants import OURS
from benchmarks.measure import Depth, First, Overhead, Result, geometric_mean
from benchmarks.problems import KINDS, SIZES

Table = list[list[str]]


def number(x: float) -> str:
    if not math.isfinite(x):
        return "-"
    return f"{x:.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def time_text(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "-"
    for unit, factor in (("s", 1.0), ("ms", 1e3)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"


def means(results: Sequence[Result], names: Sequence[str]) -> Table:
    """Geometric means of the ratios to the expert, by kind and size."""
    out = [["kind", "size", *names]]
    for kind in (*KINDS, "all"):
        for size in (*SIZES, "all"):
            part = [r for r in results if kind in (r.kind, "all") and size in (r.size, "all")]
            if part and (kind == "all") <= (size == "all"):
                out.append([kind, size, *(number(geometric_mean(_ratios(part, name))) for name in names)])
    return out


def _ratios(results: Iterable[Result], name: str) -> list[float]:
    return [r.ratio for r in results if r.contestant == name]


def lines(results: Sequence[Result], names: Sequence[str]) -> Table:
    """Each row at each size: the expert's time, and the ratios to it."""
    out = [["row", "size", "expert takes", *(name for name in names if name != "expert")]]
    for key in dict.fromkeys((r.row, r.size) for r in results):
        part = {r.contestant: r for r in results if (r.row, r.size) == key}
        cells = []
        for name in names:
            r = part.get(name)
            if name != "expert":
                cells.append("-" if r is None else (r.note[:14] if r.note else number(r.ratio)))
        out.append([*key, time_text(part["expert"].seconds), *cells])
    return out


def behind(results: Sequence[Result]) -> Table:
    """Where matcalc misses a bar: 1.10 of the expert; 1.3 of the best library, in large matrices all libraries.

    CasADi is no part of that: below NumPy's cost of a call it cannot be reached, and above it is far behind.
    """
    out = [["row", "size", "of the expert", "best library", "of it", "misses"]]
    for key in dict.fromkeys((r.row, r.size) for r in results):
        part = {r.contestant: r for r in results if (r.row, r.size) == key and math.isfinite(r.ratio)}
        if "matcalc" not in part:
            out.append([*key, "-", "-", "-", "did not run"])
            continue
        own = part["matcalc"]
        others = {name: r for name, r in part.items() if name not in (*OURS, "casadi")}
        best = min(others, key=lambda name: others[name].ratio, default="")
        ratio = own.ratio / others[best].ratio if best else float("nan")
        missed = ["expert x1.5" if own.ratio > 1.5 else "expert x1.1"] if own.ratio > 1.1 else []
        strict = own.kind == "matrices" and own.size in ("medium", "large")
        if ratio > (1 if strict else 1.3):
            missed.append("library" if ratio > 1.3 or strict else "")
        if missed:
            out.append([*key, number(own.ratio), best, number(ratio), ", ".join(missed)])
    return out


def compiling(results: Sequence[Result], names: Sequence[str]) -> Table:
    """Median seconds of preparing and first call."""
    out = [["contestant", "median", "largest"]]
    for name in names:
        taken = sorted(r.first for r in results if r.contestant == name and math.isfinite(r.first))
        if taken:
            out.append([name, time_text(taken[len(taken) // 2]), time_text(taken[-1])])
    return out


def firsts(found: Sequence[First]) -> Table:
    head = ["row", "derive", "compile", "first call", "compile and call"]
    return [head, *([f.row, *map(time_text, (f.derive, f.compile, f.call, f.compile + f.call))] for f in found)]


def overheads(found: Sequence[Overhead]) -> Table:
    head = ["row", "body", "more by keyword", "more by position"]
    return [head, *([o.row, *map(_micro, (o.body, o.keywords, o.positions))] for o in found)]


def _micro(seconds: float) -> str:
    return f"{seconds * 1e6:.2f} us"


def depths(found: Sequence[Depth]) -> Table:
    head = ["layers", "derive", "compile", "call", "expert's call", "ratio", "derive and compile per layer"]
    return [
        head,
        *(
            [
                str(d.layers),
                *map(time_text, (d.derive, d.compile, d.call, d.expert)),
                number(d.call / d.expert),
                time_text((d.derive + d.compile) / d.layers),
            ]
            for d in found
        ),
    ]


def memories(found: dict[str, dict[str, float]]) -> Table:
    sizes = list(found)
    rows = list(dict.fromkeys(name for part in found.values() for name in part))
    return [["row", *sizes], *([row, *(number(found[size].get(row, math.nan)) for size in sizes)] for row in rows)]


def text(table: Table, markdown: bool = False) -> str:
    """A table with columns aligned, the first to the left."""
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]

    def line(cells: Sequence[str]) -> str:
        padded = [c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))]
        return "| " + " | ".join(padded) + " |" if markdown else "  ".join(padded).rstrip()

    rule = ["-" * w if i == 0 else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    return "\n".join([line(table[0]), *([line(rule)] if markdown else []), *map(line, table[1:])])


def machine() -> str:
    """The kind of machine and the versions."""
    import numpy

    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as f:
            model = next((line.split(":")[1].strip() for line in f if line.startswith("model name")), model)
    except OSError:
        pass
    return f"{model}, one thread, float64, Python {platform.python_version()}, NumPy {numpy.__version__}"


def plot(results: Sequence[Result], names: Sequence[str], path: str) -> None:
    """Every row as a point, by kind, size and contestant, with geometric means; the expert is the line at 1."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    shown = [name for name in names if name != "expert"]
    kinds = [kind for kind in KINDS if any(r.kind == kind for r in results)]
    sizes = [size for size in SIZES if any(r.size == size for r in results)]
    figure, axes = plt.subplots(1, len(kinds), figsize=(4.2 * len(kinds), 4), sharey=True, squeeze=False)
    colours: dict[str, Any] = {name: f"C{i}" for i, name in enumerate(shown)}
    for ax, kind in zip(axes[0], kinds, strict=True):
        for i, name in enumerate(shown):
            for j, size in enumerate(sizes):
                ratios = [
                    r.ratio
                    for r in results
                    if (r.kind, r.size, r.contestant) == (kind, size, name) and math.isfinite(r.ratio)
                ]
                x = j + 0.8 * ((i + 0.5) / len(shown) - 0.5)
                ax.plot([x] * len(ratios), ratios, ".", color=colours[name], alpha=0.35, markersize=4)
                if ratios:
                    label = name if j == 0 else None
                    ax.plot(x, geometric_mean(ratios), "_", color=colours[name], markersize=11, mew=2.5, label=label)
        ax.axhline(1, color="black", linewidth=0.8)
        ax.set_yscale("log")
        ax.set_xticks(range(len(sizes)), sizes)
        ax.set_title(
            {"matrices": "Hessians, Jacobians", "products": "Hessian and Gauss-Newton products"}.get(kind, kind)
        )
    axes[0][0].set_ylabel("time, hand-written NumPy = 1")
    axes[0][-1].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)
