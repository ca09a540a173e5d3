"""The text of a generated module: imports, what it takes, and the function with its checks and its docstring."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from matcalc.dims import ONE, Dim, shape_text
from matcalc.expr import Expr
from matcalc.lowering.analytic import is_analytic
from matcalc.lowering.code import ATOM, SUM, TERM, Code, dim_code
from matcalc.lowering.maps import Derivative
from matcalc.lowering.names import Names
from matcalc.lowering.numpy_source import LINE, Writer
from matcalc.lowering.plan import VIEWS, ArrayShape, Value, reachable
from matcalc.lowering.signature import Binding, bindings
from matcalc.lowering.walk import array_shape

LIMIT = 2**30  # bytes of a result, unless the caller says otherwise


class Argument(NamedTuple):
    shown: str  # the name that the user gives
    code: str  # its identifier
    shape: ArrayShape


class Module(NamedTuple):
    """A generated function."""

    source: str
    name: str
    shown: tuple[str, ...]  # the names of arguments as the user gives them, sizes last
    codes: tuple[str, ...]  # their identifiers
    functions: dict[tuple[str, int | Derivative], str]  # unknown functions by name and derivative -> identifier


def numpy_module(
    name: str,
    title: str,
    arguments: Sequence[tuple[str, ArrayShape]],
    results: Sequence[tuple[str, Expr, Value]],
    leaves: Mapping[str, Value],
    preferred: Mapping[Value, str],
    limit: int | None = None,
    measured: Sequence[Value] = (),
) -> Module:
    """The module with the function ``name`` that gives the results, a tuple where there are several.

    ``measured``  values of maps that the caller gives, whose arrays show sizes that no argument does
    """
    names = Names()
    wanted_name = name
    name = names.take(name)
    taken = [Argument(shown, names.take(shown), shape) for shown, shape in arguments]
    writer = Writer(names, {**preferred, **{v: label for label, _, v in results if len(results) > 1}})
    for argument in taken:
        if argument.shown in leaves:
            writer.bind(leaves[argument.shown], argument.code)
    values = [v for _, _, v in results]
    limits = _limits(writer, [a.shape for a in taken], values, limit)
    sources = bindings([a.shape for a in taken])
    shown = _measured(writer, measured, sources)
    codes = writer.write(values)
    returned = _returned(writer, results, codes)
    needed = [size for size in writer.sizes if size not in sources and size not in shown]  # which no argument shows
    maps = _telling(values, needed) if needed and not measured else []
    if maps:
        module = numpy_module(wanted_name, title, arguments, results, leaves, preferred, limit, maps)
        if len(module.shown) < len(taken) + len(needed):
            return module
    given = [(size, writer.sizes[size]) for size in needed]
    analytic = is_analytic(reachable(values))

    lines = ["import numpy as np", "", "from matcalc.lowering import runtime as rt", ""]
    lines += _types(taken)
    options = (f", {tuple(size for size, _ in given)!r}" if given else "") + (", analytic=True" if analytic else "")
    if taken or given:
        lines += _listed(
            "arguments = rt.Signature({",
            [f"{a.shown!r}: {', '.join(map(str, a.shape))!r}" for a in taken],
            f"}}{options})",
        )
    lines += writer.constants
    if writer.functions:
        wanted = [_wanted(f, order, code) for (f, order), code in writer.functions.items()]
        lines += ["", f"# To be given, functions of an array: {', '.join(wanted)}"]
    lines += ["", "", *_listed(f"def {name}(", [*(a.code for a in taken), *(code for _, code in given)], "):")]
    lines += _docstring(title, taken, given, results)
    lines += _checks(taken, given, sources, writer)
    lines += limits
    lines += writer.lines
    lines += returned
    return Module(
        "\n".join(lines) + "\n",
        name,
        (*(a.shown for a in taken), *(size for size, _ in given)),
        (*(a.code for a in taken), *(code for _, code in given)),
        dict(writer.functions),
    )


def _telling(values: Sequence[Value], needed: Sequence[str]) -> list[Value]:
    """The values of maps that show needed sizes."""
    found: dict[str, Value] = {}
    for v in reachable(values):
        if v.op == "map" and not v.indices:
            for d in v.shape:
                if d.name in needed:
                    found.setdefault(d.name or "", v)
    return list(dict.fromkeys(found.values()))


def _measured(writer: Writer, values: Sequence[Value], sources: Collection[str]) -> set[str]:
    """Writes the values of maps, and the sizes that are read from their arrays; gives the names of these."""
    shown: set[str] = set()
    for v in values:
        name = writer.assigned(v)
        for axis, d in enumerate(v.shape):
            if d.name and d.name not in sources and d.name not in writer.sizes:
                writer.lines.append(f"    {writer.size(d).text} = {name}.shape[{axis}]")
                shown.add(d.name)
    return shown


def _limits(writer: Writer, arguments: Sequence[ArrayShape], results: Sequence[Value], limit: int | None) -> list[str]:
    """Refuses results over the limit; one that has as many entries as an argument, or as dimensions, is never over."""
    if limit is None:
        return []
    known = {_entries(shape) for shape in arguments}
    shapes = dict.fromkeys(v.shape for v in results)
    if any(v.op == "map" for v in reachable(results)):  # the size of what it gives need not be known beforehand
        told = bindings(arguments)
        shapes = {shape: None for shape in shapes if all(d.names <= told.keys() for d in shape)}
    wanted = [shape for shape in shapes if _may_be_large(_entries(shape), known, limit)]
    if wanted:
        name = writer.names.take("LIMIT")
        writer.constants.append(f"{name} = {limit}  # bytes of a result")
        writer.needs_dtype = True
    out = []
    for shape in wanted:
        sizes = ", ".join(writer.size(d).text for d in shape) + ("," if len(shape) == 1 else "")
        out.append(f"    if {writer.size(_entries(shape)).at(TERM)} * dtype.itemsize > {name}:")
        out.append(f"        raise rt.too_large(({sizes}), dtype, {name})")
    return out


def _entries(shape: ArrayShape) -> Dim:
    n = ONE
    for d in shape:
        n = n * d
    return n


def _may_be_large(count: Dim, known: Collection[Dim], limit: int) -> bool:
    if count.value is not None:
        return 16 * count.value > limit
    return count not in known and any(len(names) > 1 for names, _ in count.terms)


def _wanted(name: str, order: int | Derivative, code: str) -> str:
    """The identifier of an unknown function, and what it stands for."""
    shown = order.head if isinstance(order, Derivative) else name + "'" * order
    return code if shown == code else f"{code} ({_quoted(shown)})"


def _types(taken: Sequence[Argument]) -> list[str]:
    if any(a.shape for a in taken):
        return ["ndarray, floats = np.ndarray, (np.dtype(np.float64), np.dtype(np.float32))"]
    return []


def _listed(opening: str, items: Sequence[str], closing: str) -> list[str]:
    """A bracket with items in it, on several lines where one would be long."""
    if sum(len(item) + 2 for item in items) + len(opening) + len(closing) <= LINE + 20:
        return [f"{opening}{', '.join(items)}{closing}"]
    out, line = [opening], ""
    for item in items:
        if line and len(line) + len(item) > LINE:
            out.append(line)
            line = ""
        line = f"{line} {item}," if line else f"    {item},"
    return [*out, line, closing]


def _docstring(
    title: str,
    taken: Sequence[Argument],
    given: Sequence[tuple[str, str]],
    results: Sequence[tuple[str, Expr, Value]],
) -> list[str]:
    out = (title or "Generated by matcalc.").splitlines()
    described = [f"{a.code:<8} {_described(a.shape)}" + (f"  ({a.shown})" if a.shown != a.code else "") for a in taken]
    described += [f"{code:<8} a dimension, a whole number" for _, code in given]
    if described:
        out += ["", "Arguments", *(f"  {line}" for line in described)]
    out += ["", "Result" if len(results) == 1 else "Results, as a tuple"]
    out += [f"  {label:<8} {_described_result(e, v)}" for label, e, v in results]
    out += ["", "Vectors are one-dimensional arrays. float32 stays float32; integers become float64."]
    lines = [f"    {_quoted(line)}".rstrip() for line in out]
    return [f'    """{lines[0].lstrip()}', *lines[1:], '    """']


def _quoted(text: str) -> str:
    """Text that stays what it is within a docstring or a comment, whatever the user has put into it."""
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return plain.replace("\\", "\\\\").replace('"', "'")


def _described(shape: ArrayShape) -> str:
    if not shape:
        return "a number"
    sizes = ", ".join(map(str, shape))
    return f"shape ({sizes},)" if len(shape) == 1 else f"shape ({sizes})"


def _described_result(e: Expr, v: Value) -> str:
    if v.shape != array_shape(e) and v.shape:
        return f"{_described(v.shape)}, a stack of {v.shape[0]}, each in {shape_text(e.shape)}"
    if e.is_scalar:
        return "a number"
    return _described((e.rows,) if e.is_column else e.shape) + f", in {shape_text(e.shape)}"


def _checks(
    taken: Sequence[Argument], given: Sequence[tuple[str, str]], sources: Mapping[str, Binding], writer: Writer
) -> list[str]:
    """The usual case tested in one expression; everything else is read, checked and explained by the signature."""
    if not taken and not given:
        return ["    dtype = np.dtype(float)"] if writer.needs_dtype else []
    read = dict(given)  # how a size is read from the arguments as they come
    for size, b in sources.items():
        read[size] = _read(b, taken, read).at(ATOM)
    tests, late = [f"type({code}) is int and {code} >= 0" for _, code in given], []
    first = next((a.code for a in taken if a.shape), "")  # the array whose precision all others must have
    for i, a in enumerate(taken):
        if a.shape:
            test, of_shape = _tests(i, a, first, sources, read)
            tests.append(test)
            late += of_shape
    numbers = [a.code for a in taken if not a.shape]
    tests += [f"type({c}) in (float, {first}.dtype.type)" if first else f"isinstance({c}, float)" for c in numbers]
    tests += late
    targets = ", ".join([a.code for a in taken] + [code for _, code in given])
    joined = " and ".join(tests)
    if len(joined) <= LINE:
        out = [f"    if not ({joined}):"]
    else:
        out = ["    if not (", *(f"        {'and ' if k else ''}{test}" for k, test in enumerate(tests)), "    ):"]
    out.append(f"        {targets} = arguments({targets})")
    if numbers:
        kind = f"{first}.dtype.type" if first else "np.float64"
        out += ["    else:", f"        {', '.join(numbers)} = {', '.join(f'{kind}({c})' for c in numbers)}"]
    if writer.needs_dtype:
        out.append(f"    dtype = {taken[0].code}.dtype" if taken else "    dtype = np.dtype(float)")
    for size, code in _needed_sizes(writer, sources):
        out.append(f"    {code} = {_read(sources[size], taken, {**dict(given), **writer.sizes}).text}")
    return out


def _read(b: Binding, taken: Sequence[Argument], names: Mapping[str, str]) -> Code:
    """A size, from the shape that shows it."""
    text, level = f"{taken[b.argument].code}.shape[{b.axis}]", ATOM
    if b.rest.terms:
        text, level = f"{text} + {dim_code(b.rest * -1, names).text}".replace("+ -", "- "), SUM
    if b.factor != 1:
        text, level = f"{Code(text, level).at(TERM)} // {b.factor}", TERM
    return Code(text, level)


def _needed_sizes(writer: Writer, sources: Mapping[str, Binding]) -> list[tuple[str, str]]:
    """The sizes that the code uses, and those that they are read through, in the order of reading."""
    needed = set(writer.sizes)
    for size in reversed(list(sources)):
        if size in needed:
            needed |= sources[size].rest.names
    for size in sorted(needed - writer.sizes.keys()):
        writer.sizes[size] = writer.names.take(size)
    return [(size, writer.sizes[size]) for size in sources if size in needed]


def _tests(
    i: int, a: Argument, first: str, sources: Mapping[str, Binding], read: Mapping[str, str]
) -> tuple[str, list[str]]:
    """The condition that an argument is as usual, and what can be tested only when all arguments are arrays."""
    test = f"type({a.code}) is ndarray and {a.code}.dtype "
    test += "in floats" if a.code == first else f"is {first}.dtype"
    now: dict[int, str] = {}
    late = []
    for axis, d in enumerate(a.shape):
        from_here = d.name in sources and sources[d.name or ""][:2] == (i, axis)
        if from_here or not d.names <= read.keys():
            continue
        text = dim_code(d, read).text
        places = [sources[name] for name in d.names if name in sources]
        if all(b.argument < i or ((b.argument == i and b.axis < axis) and not b.rest.terms) for b in places):
            now[axis] = text
        else:
            late.append(f"{a.code}.shape[{axis}] == {text}")
    if len(now) == len(a.shape) and f"{a.code}.shape" not in "".join(now.values()):
        return f"{test} and {a.code}.shape == ({', '.join(now.values())}{',' if len(now) == 1 else ''})", late
    test += f" and {a.code}.ndim == {len(a.shape)}"
    return test + "".join(f" and {a.code}.shape[{axis}] == {text}" for axis, text in now.items()), late


def _returned(writer: Writer, results: Sequence[tuple[str, Expr, Value]], codes: Sequence[Code]) -> list[str]:
    """The return statement. What is given back shares no memory with an argument or another result."""
    bases: set[Value] = set()
    out = []
    for (_, e, v), code in zip(results, codes, strict=True):
        base = v
        while base.op in VIEWS or base.op == "unknown":
            base = base.args[0]
        text = code.text
        if not v.shape:
            text = f"float({code.text})" if v.weak else code.text
        elif base.op in ("arg", "map") or base in bases or v.op in ("diagonal", "spread", "dense"):
            text = f"{code.at(ATOM)}.copy()"
            code = Code(text, ATOM)
        bases.add(base)
        if e.is_row and v.rank == 1:
            text = f"{Code(text, code.level if text == code.text else ATOM).at(ATOM)}[None, :]"
        out.append(text)
    if len(", ".join(out)) <= LINE:
        return [f"    return {', '.join(out)}"]
    comma = "," if len(out) > 1 else ""
    return ["    return (", *(f"        {text}{comma}" for text in out), "    )"]


__all__ = ["Module", "numpy_module"]
