"""The function that a call enters: the checks of its arguments as Python does them fastest.

The source that users see tests its arguments in one readable expression. What runs takes the same arguments and gives
the same results; it reads each shape once, and binds names itself, so that a callable needs no function around it:

    def gradient(*_given, U=_absent, V=_absent, **_other):
        try:
            if _given:
                U, V = _given if U is V is _absent and not _other else _bound(_given, (U, V), _other)
            elif _other:
                U, V = _bound(_given, (U, V), _other)
            if not type(U) is type(V) is ndarray:
                raise ValueError
            m, k = U.shape  # ValueError where it is no matrix
            ...
        except ValueError:
            U, V = _read(_given, U, V)
        try:
            ...
        except (IndexError, ValueError) as _error:
            _failed(_error)
            raise

What is planned for the sizes of a call is called from there. The shapes of the last call are kept: one comparison
finds that they are the same, and stands for all tests of single lengths:

            _shapes = dtype, U.shape, V.shape
            _last, _function = _met[0]
            if _shapes != _last:
                _function = None
                m, k = U.shape
                ...
        if _function is None:
            _function = _planned[m, k, n]
            _met[0] = _shapes, _function

Names with an underscore in front are no user's (names.py). The caller puts ``_absent``, ``_bound`` (what arguments a
call gives; ``_items`` and ``_named`` where it gives them all by name), ``_read`` (arguments that are not as usual),
``_failed`` (errors in the words of the formula), ``_planned`` and ``_met`` into the module.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from matcalc.lowering.code import dim_code
from matcalc.lowering.plan import ArrayShape, Value, reachable
from matcalc.lowering.signature import Binding

ABSENT = object()  # the value of an argument that a call does not give
FEW = 12  # parameters that Python binds by keyword; it looks for each keyword among all of them


class Taken(NamedTuple):
    """What a function takes: arrays and numbers as (name, identifier, shape), sizes as (name, identifier)."""

    arguments: Sequence[tuple[str, str, ArrayShape]]
    sizes: Sequence[tuple[str, str]]
    ignored: Collection[str]  # further keywords, identifiers that the code does not use
    plain: Collection[str] = ()  # identifiers of numbers that may stay Python's own (as_they_are)

    @property
    def codes(self) -> list[str]:
        return [*(code for _, code, _ in self.arguments), *(code for _, code in self.sizes)]

    @property
    def arrays(self) -> list[tuple[int, str, ArrayShape]]:
        """The place, the identifier and the shape of each."""
        return [(i, code, shape) for i, (_, code, shape) in enumerate(self.arguments) if shape]

    @property
    def by_keyword(self) -> bool:
        """Whether its parameters can be what a call names, as they are few and no name is another's identifier."""
        codes = self.codes
        return len(codes) <= FEW and not any(name in codes for name, _ in self.renamed)

    @property
    def renamed(self) -> list[tuple[str, str]]:
        named = [*((name, code) for name, code, _ in self.arguments), *self.sizes]
        return [(name, code) for name, code in named if name != code]


def parameters(taken: Taken) -> list[str]:
    if not taken.by_keyword:
        return ["*_given", "**_other"]
    absent = [f"{code}=_absent" for code in (*taken.codes, *sorted(taken.ignored))]
    return ["*_given", *absent, "**_other"]


def entrance(
    taken: Taken, sources: Mapping[str, Binding], needed: Mapping[str, str], late: Sequence[str], known: bool
) -> list[str]:
    """The statements that bind and check arguments, up to the sizes in ``needed`` (name -> identifier).

    ``late``   the statements that read precision and sizes from arguments that are as they should be
    ``known``  whether the precision is needed
    """
    codes = taken.codes
    out = _bound(taken)
    if not codes:
        return [*out, *late]
    out += _whole(taken)
    if taken.arrays:
        out += [*_types(taken), *_refused(["dtype not in floats"]), *_shapes(taken, sources, needed)]
    out += _numbers(taken)
    if not taken.arrays and known:
        out.append(f"dtype = {taken.arguments[0][1]}.dtype" if taken.arguments else "dtype = np.dtype(float)")
    return ["    try:", *indented(out, 8), *_otherwise(codes), *indented(late)]


def entrance_by_sizes(
    taken: Taken,
    sources: Mapping[str, Binding],
    needed: Mapping[str, str],
    late: Sequence[str],
    limits: Sequence[str],
    key: str,
) -> list[str]:
    """The same, up to what is planned for the sizes in ``key`` and called; there are arrays."""
    first, *others = [*(f"{code}.shape" for _, code, _ in taken.arrays), *(code for _, code in taken.sizes)]
    out = [*_bound(taken), *_whole(taken), *_types(taken)]
    out += [f"_shapes = dtype, {', '.join([first, *others])}", "_last, _function = _met[0]", "if _shapes != _last:"]
    out += indented(["_function = None", *_refused(["dtype not in floats"]), *_shapes(taken, sources, needed)])
    out += _numbers(taken)
    return [
        *["    try:", *indented(out, 8)],
        *[*_otherwise(taken.codes), "        _shapes = _function = None", *indented(late)],
        *["    if _function is None:", *indented(limits)],
        *[f"        _function = _planned[{key},]", "        _met[0] = _shapes, _function"],
        *guarded([f"    return _function({', '.join(taken.codes)})"]),
    ]


def _bound(taken: Taken) -> list[str]:
    return list(_binding(taken) if taken.by_keyword else _binding_of_many(len(taken.codes), ", ".join(taken.codes)))


def _whole(taken: Taken) -> list[str]:
    return _refused([f"type({code}) is not int or {code} < 0" for _, code in taken.sizes])


def _otherwise(codes: Sequence[str]) -> list[str]:
    """What is done with arguments that are not as usual."""
    return ["    except ValueError:", f"        {', '.join(codes)} = _read({', '.join(['_given', *codes])})"]


def indented(lines: Sequence[str], by: int = 4) -> list[str]:
    return [" " * by + line if line else line for line in lines]


def _binding(taken: Taken) -> Iterator[str]:
    codes = taken.codes
    if not codes:
        yield "    if _given or _other:"
        yield "        _bound(_given, (), _other)"
        return
    targets = f"{', '.join(codes)}{',' if len(codes) == 1 else ''}"
    bound = f"_bound(_given, ({targets}), _other)"
    yield "if _given:"
    yield f"    {targets} = _given if {' is '.join(codes)} is _absent and not _other else {bound}"
    yield "elif _other:"
    for name, code in taken.renamed:
        yield f"    if {code} is _absent and {name!r} in _other:"
        yield f"        {code} = _other.pop({name!r})"
    indent = "    "
    if taken.renamed:
        yield "    if _other:"
        indent = "        "
    yield f"{indent}{targets} = {bound}"


def _binding_of_many(count: int, targets: str) -> Iterator[str]:
    yield "if _other:"
    yield "    try:"
    yield f"        {targets} = _items(_other) if len(_other) == {count} and not _given else _named(_given, _other)"
    yield "    except KeyError:"
    yield f"        {targets} = _bound((), (), _other)"
    yield "else:"
    yield f"    {targets} = _given if len(_given) == {count} else _bound(_given, (), _other)"


def _refused(tests: Sequence[str]) -> list[str]:
    return [f"if {' or '.join(tests)}:", "    raise ValueError"] if tests else []


def _types(taken: Taken) -> list[str]:
    codes = [code for _, code, _ in taken.arrays]
    out = _refused([f"not {' is '.join([f'type({code})' for code in codes])} is ndarray"])
    out.append(f"dtype = {codes[0]}.dtype")
    return out + _refused([f"dtype is not {code}.dtype" for code in codes[1:]])


def _shapes(taken: Taken, sources: Mapping[str, Binding], needed: Mapping[str, str]) -> list[str]:
    """Reads the sizes from where they are seen, then compares the other lengths."""
    arrays = taken.arrays
    names = dict(taken.sizes) | {size: needed.get(size, f"_{k}") for k, size in enumerate(sources)}
    shown = {(b.argument, b.axis): size for size, b in sources.items()}
    out, tests, lengths = [], [], {}
    for i, code, shape in arrays:
        found = [shown.get((i, axis), "") for axis in range(len(shape))]
        if not any(found) and all(d.names <= names.keys() for d in shape):
            tests.append(f"{code}.shape != ({', '.join(dim_code(d, names).text for d in shape)},)")
            continue
        targets = []
        for axis, (d, size) in enumerate(zip(shape, found, strict=True)):
            if size and size == d.name:
                targets.append(names[size])
                continue
            target = f"_{i}_{axis}"
            targets.append(target)
            if size:
                lengths[size] = target
            if d.names <= names.keys():
                tests.append(f"{target} != {dim_code(d, names).text}")
        out.append(f"{', '.join(targets)}{',' if len(targets) == 1 else ''} = {code}.shape")
    for size, b in sources.items():
        if size in lengths:
            out.append(f"{names[size]} = {_solved(lengths[size], b, names)}")
            tests.insert(0, f"{names[size]} < 0")
    return out + _refused(tests)


def _solved(length: str, b: Binding, names: Mapping[str, str]) -> str:
    rest = f" - ({dim_code(b.rest, names).text})" if b.rest.terms else ""
    return f"({length}{rest}) // {b.factor}" if b.factor != 1 else f"{length}{rest}"


def as_they_are(roots: Sequence[Value]) -> set[Value]:
    """Numbers that only multiply arrays or are added to them, after products and sums among themselves.

    Python's own do then what NumPy's do: they take the precision of the array, and no division by zero can raise.
    """
    values = reachable(roots)
    strict = set(roots)
    for v in reversed(values):
        for k, a in enumerate(v.args):
            simple = v.op in ("add", "add_diagonal") or (v.op == "mul" and k < v.attrs[1])
            if not simple or (not v.shape and v in strict):
                strict.add(a)
    return {v for v in values if not v.shape and v not in strict}


def _numbers(taken: Taken) -> list[str]:
    """Numbers of the precision of the arrays; Python's own become NumPy's, as these divide by zero as arrays do."""
    codes = [code for _, code, shape in taken.arguments if not shape]
    if not codes:
        return []
    out = ["_kind = dtype.type" if taken.arrays else "_kind = np.float64"]
    for code in codes:
        if code in taken.plain:
            out += _refused([f"type({code}) is not float and type({code}) is not _kind"])
        else:
            out += [f"if type({code}) is float:", f"    {code} = _kind({code})"]
            out += [f"elif type({code}) is not _kind:", "    raise ValueError"]
    return out


def limited(limits: Sequence[str], limit: int | None) -> list[str]:
    """The tests of the sizes of results, behind one that hardly takes time."""
    out = []
    for line in limits:
        count, found, rest = line.partition(" * dtype.itemsize > ")
        if found:
            count = count.removeprefix("    if ")
            line = f"    if {count} > {(limit or 0) // 16} and {count} * dtype.itemsize > {rest}"
        out.append(line)
    return out


def guarded(body: Sequence[str]) -> list[str]:
    """The body with what it meets told in the words of the formula."""
    lines = [line for text in body for line in text.split("\n")]
    return [
        "    try:",
        *indented(lines),
        "    except (IndexError, ValueError) as _error:",
        "        _failed(_error)",
        "        raise",
    ]


__all__ = [
    "ABSENT",
    "Taken",
    "as_they_are",
    "entrance",
    "entrance_by_sizes",
    "guarded",
    "limited",
    "parameters",
]
