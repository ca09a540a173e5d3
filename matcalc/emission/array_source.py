"""A function of arrays as text: what it says of itself, its checks and statements, and the helpers that it needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, MutableMapping, Sequence
from typing import NamedTuple

from matcalc.dims import Dim
from matcalc.emission.array_rules import is_number
from matcalc.emission.array_writer import ArrayWriter
from matcalc.emission.headers import titled
from matcalc.emission.kroneckers import with_kronecker_products
from matcalc.emission.libraries import STANDARD, Library
from matcalc.errors import ArgumentError
from matcalc.expr import Expr
from matcalc.lowering import staged
from matcalc.lowering.code import ATOM, Code
from matcalc.lowering.docstrings import described, described_result, quoted
from matcalc.lowering.maps import Derivative
from matcalc.lowering.module import memory_of, size_read
from matcalc.lowering.names import Names
from matcalc.lowering.plan import ArrayShape, Value, reachable
from matcalc.lowering.planned import Planned
from matcalc.lowering.signature import bindings

WIDTH = 100
Unknown = tuple[str, int | Derivative]

_TAKEN = ("torch", "jax", "jnp", "da", "xp", "math", "like", "device", "array_namespace", "partial", "ctx", "slices")


class Function(NamedTuple):
    """A function as text.

    ``head``     the line with its name and arguments
    ``about``    the docstring, lines without indent
    ``body``     its statements
    ``static``   identifiers of arguments that are numbers of Python: positions, limits and exponents
    ``arrays``   identifiers of arguments that are arrays; the sizes are the rest
    ``constants``  statements outside the function
    ``labels``   identifiers of arrays of whole numbers, which only decide on positions
    ``eager``    whether entries of arrays decide on positions, so that nothing can be compiled before they are known
    """

    name: str
    head: str
    about: list[str]
    body: list[str]
    shown: tuple[str, ...]
    codes: tuple[str, ...]
    arrays: tuple[str, ...]
    static: tuple[str, ...]
    constants: tuple[str, ...]
    helpers: frozenset[str]
    modules: frozenset[str]
    labels: tuple[str, ...] = ()
    eager: bool = False


def function(
    planned: Planned,
    library: Library,
    *,
    remarks: Sequence[str] = (),
    checks: bool = True,
    unknown: MutableMapping[Unknown, str] | None = None,
    writer: type[ArrayWriter] = ArrayWriter,
    reserved: Sequence[str] = (),
    needs: bool = False,
) -> Function:
    """The text of what is planned.

    ``checks``   whether shapes are compared
    ``unknown``  identifiers of functions that are to be given, for several texts together
    ``reserved`` names that the module has besides
    ``needs``    whether a last argument says which results are needed; the others are None then
    """
    planned = with_kronecker_products(planned)
    names = Names()
    for taken in (*_TAKEN, *reserved, *(unknown or {}).values()):
        names.take(taken)
    name = names.take(planned.name)
    arguments = [(shown, names.take(shown), shape) for shown, shape in planned.arguments]
    several = len(planned.results) > 1
    labels = {v: label for label, _, v in planned.results} if several else {}
    w = writer(names, library, {**planned.preferred, **labels})
    if unknown is not None:
        w.functions = unknown  # type: ignore[assignment]
    for shown, code, _ in arguments:
        if shown in planned.leaves:
            w.bind(planned.leaves[shown], code)
    values = [v for _, _, v in (*planned.results, *(r for c in planned.closures for r in c.results))]
    own, written, shared = staged.write(w, values[: len(planned.results)], planned.closures, planned.leaves)
    results = _results(w, planned.results, own, shared)
    within = [line for c in written for line in _within(w, c, library, shared)]
    results += [c.name for c in written]
    if needs:
        results = [f"{code} if needs[{k}] else None" for k, code in enumerate(results)]
    sources = bindings([shape for _, _, shape in arguments])
    given = [(size, w.sizes[size]) for size in w.sizes if size not in sources]
    counted = counting(values)
    static = [code for shown, code, shape in arguments if not shape and shown in counted]
    numbers = [code for _, code, shape in arguments if not shape and code not in static]
    arrays = [code for _, code, shape in arguments if shape]

    body = _sizes(w, arguments, dict(given), checks)
    if not arrays and not numbers and library.namespace == "xp":
        raise ArgumentError(
            "the result depends on no array, so that its library is not known", hint='choose one: library="torch"'
        )
    only = counting(values, only=True)
    indices = tuple([code for shown, code, shape in arguments if shape and shown in only])
    if len(indices) == len(arrays) and not numbers:
        indices = ()  # the precision of the results is that of some array
    head = [f"{c} = np.asarray({c})" for c in indices] if library.converts else []
    head = [*_head(w, library, [c for c in arrays if c not in indices], numbers), *head]
    body = w.own([*(f"    {line}" for line in head), *body, *w.lines, *within, *_listed("    return ", results)])
    codes = [*(code for _, code, _ in arguments), *(code for _, code in given)]
    inputs = [
        (code, "a number of Python" if code in static else described(shape), shown) for shown, code, shape in arguments
    ]
    inputs += [(code, "a dimension, a whole number", size) for size, code in given]
    inputs += [("needs", "for each result, whether it is needed; else it is None", "needs")] if needs else []
    return Function(
        name,
        f"def {name}({', '.join([*codes, *(['needs'] if needs else [])])}):",
        _about(planned, remarks, inputs),
        body,
        (*(shown for shown, _, _ in arguments), *(size for size, _ in given)),
        tuple(codes),
        (*arrays, *numbers),
        tuple(static),
        tuple(w.own(w.constants)),
        frozenset(w.helpers),
        frozenset(w.modules),
        indices,
        any(shape and shown in counted for shown, _, shape in arguments),
    )


def _head(w: ArrayWriter, library: Library, arrays: Sequence[str], numbers: Sequence[str]) -> list[str]:
    """The statements before all others: arrays of what is given, and the kind of arrays that are made."""
    if library.converts:
        return _converted(arrays, numbers, w.needs_dtype)
    out = [f"xp = array_namespace({', '.join(arrays or numbers)})"] if library.namespace == "xp" else []
    word = (library.words.get("number") or STANDARD["number"]).replace("{xp}", library.namespace)
    first = (arrays or numbers or [""])[0]
    convert = [*numbers]
    if not arrays and convert:
        out.append(f"{first} = {word.replace(', **like', '').replace('{0}', first)}")
        convert.remove(first)
    if w.needs_dtype or convert:
        out.append(f"like = {library.like.format(first)}" if first else "like = {}")
    return [*out, *(f"{c} = {word.replace('{0}', c)}" for c in convert)]


def _within(w: ArrayWriter, c: staged.Written, library: Library, shared: Collection[Value]) -> list[str]:
    """A function of later arguments."""
    out = ["", f"    def {c.name}({', '.join(c.arguments)}):", *docstring([c.closure.title], " " * 8)]
    for (_, shape), code in zip(c.closure.arguments, c.arguments, strict=True):
        if library.converts:
            out.append(f"        {code} = " + (f"np.asarray({code}, dtype=float)" if shape else f"float({code})"))
        if shape:
            out.append(f"        if {code}.shape != {w.shape(shape)}:")
            out.append(f'            raise ValueError("the shape of {code} must be {described(shape)[6:]}")')
    out += c.lines
    return [*out, *_listed("        return ", _results(w, c.closure.results, c.results, shared)), ""]


def _converted(arrays: Sequence[str], numbers: Sequence[str], dtype: bool) -> list[str]:
    """The statements that make arrays of lists and of integers."""
    out = [f"{c} = np.asarray({c}, dtype=float)" for c in arrays]
    if len(arrays) > 2:
        together = ", ".join(arrays)
        out = [f"{together} = (np.asarray(a, dtype=float) for a in ({together}))"]
    return [*out, *(f"{c} = float({c})" for c in numbers), *(["dtype = np.dtype(float)"] if dtype else [])]


def counting(values: Sequence[Value], only: bool = False) -> set[str]:
    """The names of arguments that decide on positions, limits or exponents that must be whole; ``only`` those that are
    nothing else."""
    found: set[str] = set()
    others = {v.attrs[0] for v in values if v.op == "arg"}
    for v in reachable(values):
        if v.op in ("position", "whole", "within"):
            found |= {a.attrs[0] for a in reachable(v.args) if a.op == "arg"}
        else:
            others |= {a.attrs[0] for a in v.args if a.op == "arg"}
    return found - others if only else found


def _results(
    w: ArrayWriter, results: Sequence[tuple[str, Expr, Value]], codes: Sequence[Code], shared: Collection[Value] = ()
) -> list[str]:
    """What is returned; where arrays can be changed, none that is an argument, another result, or ``shared``."""
    out = []
    bases = {memory_of(v) for v in shared}
    for (_, e, v), code in zip(results, codes, strict=True):
        base = memory_of(v)
        if is_number(v):
            code = w.word("number", [code])
        elif not w.library.constant and v.shape:
            repeated = v.op in ("diagonal", "spread", "dense") or (v.op == "full" and not is_number(v.args[0]))
            if base.op in ("arg", "map") or base in bases or repeated:
                code = w.word("copy", [code])
        bases.add(base)
        out.append(f"{code.at(ATOM)}[None, :]" if e.is_row and v.rank == 1 else code.text)
    return out


def _sizes(
    w: ArrayWriter, arguments: Sequence[tuple[str, str, ArrayShape]], given: Mapping[str, str], checks: bool
) -> list[str]:
    """The sizes that are used, as the arguments show them; with ``checks`` all of them, and whether they agree."""
    sources = bindings([shape for _, _, shape in arguments], list(given))
    wanted = set(sources) if checks and sum(bool(shape) for _, _, shape in arguments) else set(w.sizes)
    for size in reversed(list(sources)):
        if size in wanted:
            wanted |= sources[size].rest.names
    for size in sources:
        if size in wanted:
            w.size(Dim({(size,): 1}))
    out: list[str] = []
    unpacked: set[int] = set()
    for size, b in sources.items():
        if size not in wanted:
            continue
        _, code, shape = arguments[b.argument]
        if b.argument in unpacked:
            continue
        here = [name for name, other in sources.items() if other.argument == b.argument and name in wanted]
        if len(here) == len(shape) and [d.name for d in shape] == sorted(here, key=lambda s: sources[s].axis):
            unpacked.add(b.argument)
            parts = [w.size(d).text for d in shape]
            out.append(f"    {', '.join(parts) if len(parts) > 1 else f'({parts[0]},)'} = {code}.shape")
            continue
        out.append(f"    {w.sizes[size]} = {size_read(b, code, w.sizes).text}")
    if checks:
        known = [
            (shown, code, shape)
            for k, (shown, code, shape) in enumerate(arguments)
            if shape and k not in unpacked and all(d.names <= w.sizes.keys() for d in shape)
        ]
        if known:
            tests = [f"{code}.shape != {w.shape(shape)}" for _, code, shape in known]
            out += _long("    if ", tests, " or ", ":")
            shapes = ", ".join(f"{c} {described(s).removeprefix('shape ')}" for _, c, s in arguments if s)
            out.append(f'        raise ValueError("the shapes must be {shapes}")')
    return out


def _long(opening: str, parts: Sequence[str], between: str, closing: str) -> list[str]:
    if len(opening) + len(between.join(parts)) <= WIDTH + 20:
        return [opening + between.join(parts) + closing]
    lines = [f"        {between.lstrip() if k else ''}{part}" for k, part in enumerate(parts)]
    return [f"{opening}(", *lines, f"    ){closing}"]


def _listed(opening: str, parts: Sequence[str]) -> list[str]:
    if len(", ".join(parts)) <= WIDTH:
        return [opening + ", ".join(parts)]
    comma = "," if len(parts) > 1 else ""
    return [f"{opening}(", *(f"        {part}{comma}" for part in parts), "    )"]


# What the function says of itself


def _about(planned: Planned, remarks: Sequence[str], inputs: Sequence[tuple[str, str, str]]) -> list[str]:
    out = titled(planned.title)
    out += ["", *remarks] if remarks else []
    if inputs:
        lines = [f"{code:<8} {shape}" + (f"  ({shown})" if shown != code else "") for code, shape, shown in inputs]
        out += ["", "Arguments", *(f"  {line}" for line in lines)]
    out += ["", "Result" if len(planned.results) + len(planned.closures) == 1 else "Results, as a tuple"]
    out += [f"  {label:<8} {described_result(e, v, bool(planned.batch))}" for label, e, v in planned.results]
    out += [f"  {c.name:<8} a function: {c.title}" for c in planned.closures]
    if planned.batch:
        many = [code for code, _, shown in inputs if shown in planned.batch]
        out += ["", f"A batch: the first axis of {', '.join(many)}, and of all results, counts its items."]
    return [*out, "", "Vectors are one-dimensional arrays."]


def docstring(lines: Sequence[str], indent: str = "    ") -> list[str]:
    """The lines as a docstring."""
    shown = [f"{indent}{quoted(line)}".rstrip() for line in lines]
    return (
        [f'{indent}"""{shown[0].lstrip()}"""']
        if len(shown) == 1
        else [
            f'{indent}"""{shown[0].lstrip()}',
            *shown[1:],
            f'{indent}"""',
        ]
    )


def definition(f: Function) -> list[str]:
    return [f.head, *docstring(f.about), *f.body]


__all__ = ["Function", "definition", "docstring", "function"]
