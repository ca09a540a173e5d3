"""A C function for the value or a derivative of a formula: C99, with the mathematics library only.

Arrays are of double and lie row by row, as NumPy's; sizes come first, results last. Sums, elementwise functions and
transposes are never formed (c_entries.py); what must be kept lies in one block of memory.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from matcalc.dims import Dim, dim
from matcalc.emission import reserved
from matcalc.emission.c_body import Body
from matcalc.emission.c_code import OUTSIDE, SINGULAR
from matcalc.emission.c_functions import HELPERS
from matcalc.emission.headers import (
    Parameter,
    described_parameter,
    described_result,
    dimensions,
    functions_described,
    helper_texts,
    listed,
    plain,
    require_plain,
    titled,
)
from matcalc.emission.identifiers import Identifiers
from matcalc.lowering.maps import Derivative
from matcalc.lowering.plan import Value, reachable

if TYPE_CHECKING:
    from matcalc.lowering.planned import Planned

_LINE = 110

INCLUDES = ("#include <math.h>", "#include <stddef.h>", "#include <stdlib.h>", "")


def c_source(planned: Planned, remarks: Sequence[str] = ()) -> str:
    """The text of the function, with the static functions that it calls."""
    comment, definition, helpers = c_function(planned, remarks)
    return (
        "\n".join([*comment, *INCLUDES, *(f"{text}\n" for text in helper_texts(HELPERS, helpers)), *definition]) + "\n"
    )


def c_function(planned: Planned, remarks: Sequence[str] = ()) -> tuple[list[str], list[str], set[str]]:
    """The comment, the function, and the names of the static functions that it calls."""
    require_plain(planned, "C")
    names = Identifiers(reserved.C | HELPERS.keys())
    name = names.take(planned.name)
    arguments = [Parameter(shown, names.take(shown), shape) for shown, shape in planned.arguments]
    codes = [names.take("out" if label == "result" else label) for label, _, _ in planned.results]
    w = Body(names, planned.preferred)
    for size in dimensions(a.shape for a in arguments):
        w.size(size)
    for a in arguments:
        leaf = planned.leaves.get(a.shown)
        if leaf is not None:
            w.bind(leaf, a.code)
    _write(w, [v for _, _, v in planned.results], codes)
    body = _memory(w, [v for _, _, v in planned.results])
    parameters = [f"ptrdiff_t {code}" for code in w.sizes.values()]
    parameters += [f"const double *{a.code}" if a.shape else f"double {a.code}" for a in arguments]
    parameters += [w.prototypes[code] for code in w.functions.values()]
    parameters += [f"double *{code}" for code in codes]
    text = "\n".join(body)
    given = [*w.sizes.values(), *[a.code for a in arguments]]
    unused = [f"    (void) {code};" for code in given if not re.search(rf"\b{code}\b", text)]
    definition = listed(f"int {name}(", parameters or ["void"], ")", _LINE)
    definition += ["{", *unused, *body, "}"]
    return _comment(planned, arguments, codes, w, body, remarks), definition, w.helpers


def _write(w: Body, values: Sequence[Value], codes: Sequence[str]) -> None:
    """The statements: each result is computed in its own array where it can be."""
    targets = []
    for v, code in zip(values, codes, strict=True):
        base = _base(v)
        is_target = bool(base.shape) and base not in w.arrays and base not in w.targets
        if is_target:
            w.targets[base] = code
        targets.append(is_target)
    w.write(values)
    for v, code, is_target in zip(values, codes, targets, strict=True):
        if not v.shape:
            w.emit(f"*{code} = {w.scalar(v).text};")
        elif not is_target:
            w.fill(v, code)
        for d in v.shape:  # sizes that nothing else tells
            w.size(d)


def _base(v: Value) -> Value:
    """The value whose array holds the entries of ``v`` in the same order."""
    while v.op == "reshape" and v.args[0].shape:
        v = v.args[0]
    return v


def _memory(w: Body, results: Sequence[Value]) -> list[str]:
    """The statements with the memory that they need, taken before them and given back after them."""
    least = {d: 0 for v in reachable(results) for d in v.shape if any(c < 0 for _, c in d.terms)} | w.required
    out = [f"    if ({w.size(d).text} < {k}) return {OUTSIDE};" for d, k in least.items()]
    if w.fails:
        out.append("    int status = 0;")
    if w.temporaries:
        total, places = _places(w)
        out.append(f"    double *const work = calloc((size_t) ({w.size(total).text} + 1), sizeof(double));")
        out.append("    if (work == NULL) return 1;")
        out += [f"    double *const {name} = {place};" for name, place in places]
    out += w.lines
    if w.fails:
        out.append("done:")
    if w.temporaries:
        out.append("    free(work);")
    return [*out, "    return status;" if w.fails else "    return 0;"]


def _places(w: Body) -> tuple[Dim, list[tuple[str, str]]]:
    """The size of the memory, and the place of each array in it: a new one, or that of another, no longer needed."""
    last = _last_uses(w)
    total = dim(0)
    out: list[tuple[str, str]] = []
    free: dict[Dim, list[tuple[int, str]]] = {}  # arrays with the place where each is needed for the last time
    before = "work"
    step = dim(0)
    for name, size in w.temporaries:
        first, end = last[name]
        reusable = [held for held in free.get(size, ()) if held[0] < first]
        if reusable:
            free[size].remove(reusable[0])
            out.append((name, reusable[0][1]))
        else:
            out.append((name, f"{before} + {w.size(step).text}" if step.terms else before))
            before, step = name, size
            total = total + size
        free.setdefault(size, []).append((end, name))
    return total, out


def _last_uses(w: Body) -> dict[str, tuple[int, int]]:
    """The first and the last of the outermost statements in which each array occurs."""
    names = {name for name, _ in w.temporaries}
    found: dict[str, tuple[int, int]] = {}
    statement = 0
    for line in w.lines:
        for word in re.findall(r"\w+", line):
            if word in names:
                found[word] = (found.get(word, (statement, 0))[0], statement)
        statement += line.startswith("    ") and not line.startswith("     ") and line.endswith((";", "}"))
    return found


# The comment


def _comment(
    planned: Planned,
    arguments: Sequence[Parameter],
    codes: Sequence[str],
    w: Body,
    body: Sequence[str],
    remarks: Sequence[str],
) -> list[str]:
    lines = [*titled(planned.title), "", "Arguments, sizes first"]
    lines += [f"  {code:<8} a dimension" + (f"  ({size})" if size != code else "") for size, code in w.sizes.items()]
    lines += [f"  {described_parameter(a)}" for a in arguments]
    lines += [f"  {line}; to be given" for line in functions_described(w.functions)]
    lines.append("Results, into memory of the caller that overlaps nothing else")
    for (label, e, v), code in zip(planned.results, codes, strict=True):
        lines.append(
            f"  {code:<8} {described_result(e, v)}" + (f"  ({label})" if label not in (code, "result") else "")
        )
    lines += ["", "Matrices lie row by row: entry (i, j) of an m x n matrix, counted from 0, is at i*n + j.", *remarks]
    if any(isinstance(order, Derivative) for _, order in w.functions):
        lines.append("Functions of arrays take the sizes of each array before it, and last the array of their value.")
    ends = ["0 when all is well"]
    if w.temporaries:
        ends.append("1 when there is not enough memory")
    text = "\n".join(body)
    if f"status = {SINGULAR};" in text:
        ends.append(f"{SINGULAR} when a matrix is singular or not positive definite")
    if f"status = {OUTSIDE};" in text or f"return {OUTSIDE};" in text:
        ends.append(f"{OUTSIDE} when an index or a size does not fit")
    lines += [f"Returns {', '.join(ends)}.", "Compile with -std=c99 and link with -lm."]
    shown = [line.replace("*/", "* /").replace("/*", "/ *").rstrip("\\") for line in plain(lines)]
    return [f"/* {shown[0]}", *(f"   {line}".rstrip() for line in shown[1:-1]), f"   {shown[-1]} */"]


__all__ = ["INCLUDES", "c_function", "c_source"]
