"""The text of a generated module: imports, what it takes, and the function with its checks and its docstring."""

from __future__ import annotations

import builtins
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from matcalc.dims import ONE, Dim, dim
from matcalc.expr import Expr
from matcalc.lowering import staged
from matcalc.lowering.analytic import is_analytic
from matcalc.lowering.code import ATOM, SUM, TERM, Code, dim_code
from matcalc.lowering.docstrings import described, described_closure, described_result, quoted
from matcalc.lowering.entrance import (
    Taken,
    as_they_are,
    entrance,
    entrance_by_sizes,
    guarded,
    limited,
    parameters,
)
from matcalc.lowering.lifetimes import MANY, freed, written
from matcalc.lowering.maps import Derivative
from matcalc.lowering.names import Names
from matcalc.lowering.numpy_source import LINE, Writer
from matcalc.lowering.plan import VIEWS, ArrayShape, Value, reachable
from matcalc.lowering.planned import Lowered, Planned, Request
from matcalc.lowering.signature import Binding, bindings


class Argument(NamedTuple):
    shown: str  # the name that the user gives
    code: str  # its identifier
    shape: ArrayShape


class Module(NamedTuple):
    """A generated function."""

    source: str  # empty where it is written when it is asked for
    name: str
    shown: tuple[str, ...]  # the names of arguments as the user gives them, sizes last
    codes: tuple[str, ...]  # their identifiers
    functions: dict[tuple[str, int | Derivative], str]  # unknown functions by name and derivative -> identifier
    given: tuple[str, ...] = ()  # sizes among the arguments
    sizes: tuple[str, ...] = ()  # on which the best order of operations depends, if it does
    entered: str = ""  # what runs (entrance.py); with sizes it calls the function planned for them
    request: Request | None = None  # from which it is planned for the sizes of a call
    lowered: Lowered | None = None  # the values that this starts from, where they are the same for all sizes


def numpy_module(
    planned: Planned,
    measured: Sequence[Value] = (),
    given_sizes: Sequence[str] | None = None,
    ignored: Collection[str] = (),
    entered: bool = False,
) -> Module:
    """The module with a function that gives the results, a tuple where there are several.

    ``measured``     values of maps that the caller gives, whose arrays show sizes that no argument does
    ``given_sizes``  for arguments that have been checked: the sizes among them
    ``ignored``      further keywords that a call may give
    ``entered``      whether the source is left out, where :func:`only_entered`
    """
    _, title, arguments, results, leaves, preferred, limit, closures, batch, by_size = planned
    names = Names()
    name = names.take(planned.name)
    taken = [Argument(shown, names.take(shown), shape) for shown, shape in arguments]
    writer = Writer(names, {**preferred, **{v: label for label, _, v in results if len(results) > 1}})
    for argument in taken:
        if argument.shown in leaves:
            writer.bind(leaves[argument.shown], argument.code)
    values = [v for _, _, v in (*results, *(r for c in closures for r in c.results))]
    all_values = reachable(values)
    limits: list[str] = []
    if given_sizes is None:
        limits = _limits(writer, [a.shape for a in taken], values, limit, any(v.op == "map" for v in all_values))
    for size in given_sizes or ():
        writer.size(dim(size))
    sources = bindings([a.shape for a in taken])
    shown = _measured(writer, measured, sources)
    returned: list[str] = []
    if entered:
        _named_functions(writer, all_values)
    elif not closures:
        returned = _returned(writer, results, written(writer, values, len(values)))
    else:
        codes, functions, shared = staged.write(writer, values[: len(results)], closures, leaves)
        returned = _with_closures(writer, results, codes, functions, shared)
    matrices = writer.matrices() if len(results) > MANY else writer.blocks()
    writer.lines = freed(writer.lines, matrices, returned)
    needed = [size for size in writer.sizes if size not in sources and size not in shown]  # which no argument shows
    maps = _telling(values, needed) if needed and not measured else []
    if maps:
        module = numpy_module(planned, maps, given_sizes, ignored)
        if len(module.shown) < len(taken) + len(needed):
            return module
    given = [(size, writer.sizes[size]) for size in needed]

    codes_taken = [*(a.code for a in taken), *(code for _, code in given)]
    docstring = _docstring(title, taken, given, results, closures, batch)
    lines = _before(planned, writer, taken, given, all_values)
    source: list[str] = []
    if not entered:
        header = ["", "", *_listed(f"def {name}(", codes_taken, "):"), *docstring]
        checks = _checks(taken, given, sources, writer) if given_sizes is None else []
        source = [*lines, *header, *checks, *_sizes(taken, given, sources, writer), *limits, *writer.lines, *returned]
    ordering = _ordering(planned, sources)
    by_size = by_size and bool(ordering)
    if by_size:
        for size in ordering:
            writer.size(dim(size))
    entrance_lines: list[str] = []
    if given_sizes is None:
        unused = frozenset(n for n in ignored if not hasattr(builtins, n) and names.take(n) == n)
        weak = as_they_are(values) if not by_size and any(a.shape for a in taken) else set()
        what = Taken(taken, given, unused, [a.code for a in taken if not a.shape and leaves.get(a.shown) in weak])
        read = _sizes(taken, given, sources, writer)
        entrance_lines = [*lines, "", "", *_listed(f"def {name}(", parameters(what), "):"), *docstring]
        sizes = dict(_needed_sizes(writer, sources))
        if by_size:
            key = ", ".join(writer.sizes[size] for size in (*ordering, *(size for size, _ in given)))
            entrance_lines += entrance_by_sizes(what, sources, sizes, read, limits, key)
        else:
            entrance_lines += entrance(what, sources, sizes, read, writer.needs_dtype)
            entrance_lines += [*limited(limits, limit), *guarded([*writer.lines, *returned])]
    return Module(
        "\n".join(source) + "\n" if source else "",
        name,
        (*(a.shown for a in taken), *(size for size, _ in given)),
        tuple(codes_taken),
        dict(writer.functions),
        tuple(size for size, _ in given),
        (*ordering, *(size for size, _ in given)) if by_size else (),
        "\n".join(entrance_lines) + "\n" if entrance_lines else "",
    )


def only_entered(planned: Planned) -> bool:
    """Whether what runs is planned for the sizes of each call, which the shapes of arguments show."""
    sources = bindings([shape for _, shape in planned.arguments])
    if not planned.by_size or not _ordering(planned, sources):
        return False
    values = reachable([v for _, _, v in (*planned.results, *(r for c in planned.closures for r in c.results))])
    sizes = {d for v in values for d in (*v.shape, *v.attrs) if isinstance(d, Dim)}
    sizes.update(d for c in planned.closures for _, shape in c.arguments for d in shape)
    return all(d.names <= sources.keys() for d in sizes) and all(v.op != "map" for v in values)


def _ordering(planned: Planned, sources: Collection[str]) -> list[str]:
    """The sizes that the order of operations may depend on: all but the length of a batch."""
    length = next((shape[0].name for shown, shape in planned.arguments if shown in planned.batch), None)
    return [size for size in sources if size != length]


def _named_functions(writer: Writer, values: Sequence[Value]) -> None:
    """Gives the functions of the caller their identifiers."""
    for v in values:
        if v.op == "unknown":
            writer.function_name(*v.attrs)


def _before(
    planned: Planned,
    writer: Writer,
    taken: Sequence[Argument],
    given: Sequence[tuple[str, str]],
    values: Sequence[Value],
) -> list[str]:
    """What stands before the function: imports, what it takes, constants."""
    lapack = ["from matcalc.lowering import lapack"] if writer.needs_lapack else []
    out = ["import numpy as np", "", *lapack, "from matcalc.lowering import runtime as rt", ""]
    out += _types([*(a.shape for a in taken), *(shape for c in planned.closures for _, shape in c.arguments)])
    if taken or given:
        options = f", {tuple(size for size, _ in given)!r}" if given else ""
        options += ", analytic=True" if is_analytic(values) else ""
        options += f", batch={tuple(planned.batch)!r}" if planned.batch else ""
        shapes = [f"{a.shown!r}: {', '.join(map(str, a.shape))!r}" for a in taken]
        out += _listed("arguments = rt.Signature({", shapes, f"}}{options})")
    out += writer.constants
    if writer.functions:
        wanted = [_wanted(f, order, code) for (f, order), code in writer.functions.items()]
        out += ["", f"# To be given, functions of an array: {', '.join(wanted)}"]
    return out


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


def _limits(
    writer: Writer, arguments: Sequence[ArrayShape], results: Sequence[Value], limit: int | None, maps: bool
) -> list[str]:
    """Refuses results over the limit; one that has as many entries as an argument, or as dimensions, is never over."""
    if limit is None:
        return []
    known = {_entries(shape) for shape in arguments}
    shapes = dict.fromkeys(v.shape for v in results)
    if maps:  # the size of what it gives need not be known beforehand
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
    return code if shown == code else f"{code} ({quoted(shown)})"


def _types(shapes: Sequence[ArrayShape]) -> list[str]:
    if any(shapes):
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
    closures: Sequence[staged.Closure] = (),
    batch: Sequence[str] = (),
) -> list[str]:
    out = (title or "Generated by matcalc.").splitlines()
    lines = [f"{a.code:<8} {described(a.shape)}" + (f"  ({a.shown})" if a.shown != a.code else "") for a in taken]
    lines += [f"{code:<8} a dimension, a whole number" for _, code in given]
    if lines:
        out += ["", "Arguments", *(f"  {line}" for line in lines)]
    out += ["", "Result" if len(results) + len(closures) == 1 else "Results, as a tuple"]
    out += [f"  {label:<8} {described_result(e, v, bool(batch))}" for label, e, v in results]
    out += [f"  {c.name:<8} a function: {described_closure(c)}" for c in closures]
    if batch:
        many = [a.code for a in taken if a.shown in batch]
        out += ["", f"A batch: the first axis of {', '.join(many)}, and of all results, counts its items."]
    out += ["", "Vectors are one-dimensional arrays. float32 stays float32; integers become float64."]
    lines = [f"    {quoted(line)}".rstrip() for line in out]
    return [f'    """{lines[0].lstrip()}', *lines[1:], '    """']


def _checks(
    taken: Sequence[Argument], given: Sequence[tuple[str, str]], sources: Mapping[str, Binding], writer: Writer
) -> list[str]:
    """The usual case tested in one expression; everything else is read, checked and explained by the signature."""
    if not taken and not given:
        return []
    read = dict(given)  # how a size is read from the arguments as they come
    for size, b in sources.items():
        read[size] = size_read(b, taken[b.argument].code, read).at(ATOM)
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
    return out


def _sizes(
    taken: Sequence[Argument], given: Sequence[tuple[str, str]], sources: Mapping[str, Binding], writer: Writer
) -> list[str]:
    """The precision and the sizes that the code uses."""
    out = []
    if writer.needs_dtype:
        out.append(f"    dtype = {taken[0].code}.dtype" if taken else "    dtype = np.dtype(float)")
    for size, code in _needed_sizes(writer, sources):
        b = sources[size]
        out.append(f"    {code} = {size_read(b, taken[b.argument].code, {**dict(given), **writer.sizes}).text}")
    return out


def size_read(b: Binding, code: str, names: Mapping[str, str]) -> Code:
    """A size, from the shape that shows it, of the argument with this identifier."""
    text, level = f"{code}.shape[{b.axis}]", ATOM
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


def _with_closures(
    writer: Writer,
    results: Sequence[tuple[str, Expr, Value]],
    codes: Sequence[Code],
    written: Sequence[staged.Written],
    shared: Collection[Value],
) -> list[str]:
    """The functions of later arguments, which share the values that were computed before, and the return statement."""
    out: list[str] = []
    for w in written:
        out += ["", *_listed(f"    def {w.name}(", w.arguments, "):")]
        out += [f'        """{quoted(described_closure(w.closure))}"""', *staged.checks(writer, w)]
        last = [f"    {line}" for line in _returned(writer, w.closure.results, w.results, shared)]
        many = len(w.results) > MANY
        out += [*(freed(w.lines, w.matrices, last, " " * 8) if many else w.lines), *last]
    found = _results(writer, results, codes, shared)
    return [*out, "", *_tuple([*found, *(w.name for w in written)])]


def _returned(
    writer: Writer,
    results: Sequence[tuple[str, Expr, Value]],
    codes: Sequence[Code],
    shared: Collection[Value] = (),
) -> list[str]:
    """The return statement. What is given back shares no memory with an argument or another result, or with
    ``shared``."""
    return _tuple(_results(writer, results, codes, shared))


def _results(
    writer: Writer, results: Sequence[tuple[str, Expr, Value]], codes: Sequence[Code], shared: Collection[Value]
) -> list[str]:
    bases: set[Value] = {memory_of(v) for v in shared}
    out = []
    for (_, e, v), code in zip(results, codes, strict=True):
        base = memory_of(v)
        text = code.text
        if not v.shape:
            text = f"float({code.text})" if v.weak else f"{code.text}[()]" if v.op == "assemble" else code.text
        elif base.op in ("arg", "map") or base in bases or _is_shown(v):
            text = f"{code.at(ATOM)}.copy()"
            code = Code(text, ATOM)
        bases.add(base)
        if e.is_row and v.rank == 1:
            text = f"{Code(text, code.level if text == code.text else ATOM).at(ATOM)}[None, :]"
        out.append(text)
    return out


def memory_of(v: Value) -> Value:
    """The value whose memory it may share."""
    while v.op in VIEWS or (v.may_be_itself and v.op != "map"):
        v = v.args[0]
    return v


def _is_shown(v: Value) -> bool:
    """Whether it is a part or a repetition of what it shares its memory with."""
    while v.op in VIEWS and v.op not in ("diagonal", "spread", "repeats"):
        v = v.args[0]
    return v.op in ("diagonal", "inverse_diagonal", "spread", "repeats", "dense")


def _tuple(out: Sequence[str]) -> list[str]:
    if len(", ".join(out)) <= LINE:
        return [f"    return {', '.join(out)}"]
    comma = "," if len(out) > 1 else ""
    return ["    return (", *(f"        {text}{comma}" for text in out), "    )"]


__all__ = ["Module", "memory_of", "numpy_module", "size_read"]
