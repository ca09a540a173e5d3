"""Callables for PyTorch, JAX, CuPy, Dask and whatever follows the array API standard."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from operator import is_
from typing import TYPE_CHECKING, Any, NamedTuple

from matcalc.emission.array_module import module_text
from matcalc.emission.array_source import Function, Unknown, definition, function
from matcalc.emission.conversion import converted, labels
from matcalc.emission.libraries import LIBRARIES, Library
from matcalc.errors import ArgumentError, LimitError
from matcalc.lowering import compiled
from matcalc.lowering.compiled import Functions, executed
from matcalc.lowering.maps import Given
from matcalc.lowering.plan import ArrayShape
from matcalc.lowering.planned import Request, planned, requested
from matcalc.lowering.signature import Signature, whole
from matcalc.syntax.spelling import canonical

if TYPE_CHECKING:
    from matcalc.expr import Expr
    from matcalc.lowering.planned import Planned

_MOST_KINDS = 1000  # of arguments, that are remembered as right


def library_of(name: str) -> Library:
    """Raises   ArgumentError when there is no such library"""
    if name not in LIBRARIES:
        raise ArgumentError(f"{name!r} is no array library", hint=f"there is numpy, {', '.join(LIBRARIES)}")
    return LIBRARIES[name]


def installed(name: str) -> Library:
    """Raises   ArgumentError when there is no such library, or it is not installed"""
    from importlib.util import find_spec

    library = library_of(name)
    for module in (name if name == "cupy" else "", library.module.partition(".")[0]):
        if module and find_spec(module) is None:
            raise ArgumentError(f"{module} is not installed", hint=f"pip install 'matcalc[{name}]'")
    return library


class Made(NamedTuple):
    """A function for a library, as text."""

    library: str
    source: str
    written: Function
    shapes: list[ArrayShape]  # of the arguments
    large: list[ArrayShape]  # of results that may have more entries than any argument
    limit: int | None
    unknown: dict[Unknown, str]
    batch: tuple[str, ...] = ()  # arguments whose first axis is that of a batch
    request: Request | None = None  # from which it is planned for known sizes, where another order may be cheaper


def made_of(library: str, source: str, written: Function, what: Planned, unknown: Mapping[Unknown, str]) -> Made:
    shapes = [shape for _, shape in what.arguments]
    results = dict.fromkeys(v.shape for _, _, v in what.results if v.shape not in shapes and len(v.shape) > 1)
    return Made(library, source, written, shapes, list(results), what.limit, dict(unknown), what.batch)


class ArrayFunction:
    """A function of a library's arrays with its source.

    ``source``     the Python text, complete
    ``arguments``  the names that it takes, in order; sizes that no argument shows come last
    ``function``   the bare function of the source, which checks nothing

    Integers become floating-point arrays, numbers and what is no array of the library one where the first array lies.
    """

    def __init__(self, made: Made, given: Mapping[str, Any], ignored: Collection[str] = ()) -> None:
        self.source, self.arguments, self.library = made.source, made.written.shown, made.library
        self._made, self._given, self._ignored = made, dict(given), frozenset(ignored)
        written = made.written
        count = len(made.shapes)
        texts = {name: ",".join(map(str, shape)) for name, shape in zip(written.shown, made.shapes, strict=False)}
        self._signature = Signature(texts, written.shown[count:], batch=made.batch)
        self._counts = [code in (*written.static, *written.labels) for code in written.codes[:count]]
        self._usual: dict[Any, Callable[..., Any]] = {}  # by the kinds of arguments that have been found right
        self._special: dict[tuple[int, ...], Callable[..., Any]] = {}  # for sizes of another order of operations
        self.function: Callable[..., Any] = _defined(made, self._given)
        self.__wrapped__ = self.function
        self.__doc__ = getattr(self.function, "__doc__", None)

    def __call__(self, /, *args: Any, **keywords: Any) -> Any:
        given = self._bound(args, keywords)
        kind: Any = None
        usual = None
        try:
            kind = tuple([(a.__class__, a.dtype, a.shape) for a in given])
            usual = self._usual.get(kind)
        except (AttributeError, TypeError):
            kind = None
        if usual is not None:
            return usual(*given)
        count = len(self._made.shapes)
        arrays = self._arrays(given[:count])
        sizes = [whole(name, k) for name, k in zip(self.arguments[count:], given[count:], strict=True)]
        known = self._check(arrays, sizes)
        function = self.function if self._made.request is None else self._for_sizes(known)
        if kind is not None and all(map(is_, arrays, given)):
            if len(self._usual) >= _MOST_KINDS:
                self._usual.clear()
            self._usual[kind] = function
        try:
            return function(*arrays, *sizes)
        except IndexError as e:
            raise ArgumentError(f"an index of the formula lies outside the argument: {e}") from e

    def _for_sizes(self, sizes: Mapping[str, int]) -> Callable[..., Any]:
        """The function whose operations are in the order that is the cheapest for these sizes."""
        key = tuple(sizes.values())
        found = self._special.get(key)
        if found is None and self._made.request is not None:
            made, unknown = _made(self.library, self._made.request, sizes)
            named = {self._made.unknown[which]: code for which, code in unknown.items()}
            given = {named[code]: f for code, f in self._given.items() if code in named}
            same = made.written.codes == self._made.written.codes
            if len(self._special) >= _MOST_KINDS:
                self._special.clear()
            found = self._special[key] = _defined(made, given) if same else self.function
        return found or self.function

    def _bound(self, args: Sequence[Any], keywords: Mapping[str, Any]) -> list[Any]:
        """The arguments in their order."""
        if not keywords and len(args) == len(self.arguments):
            return list(args)
        if not args and keywords.keys() == set(self.arguments):
            return [keywords[name] for name in self.arguments]
        codes = dict(zip(self._made.written.codes, self.arguments, strict=True))
        known = {}
        for name, value in keywords.items():
            shown = name if name in self.arguments else codes.get(name) or canonical(name)
            if shown in self.arguments or shown not in self._ignored:
                known[shown] = value
        problem = self._signature.explain(args, known, self.arguments)
        if problem:
            raise ArgumentError(problem)
        return [*args, *(known[name] for name in self.arguments[len(args) :])]

    def _arrays(self, given: Sequence[Any]) -> list[Any]:
        """The arguments as arrays of one precision; those that count something as whole numbers."""
        if not any(self._counts):
            return converted(self.library, self.arguments[: len(given)], given) if given else []
        rest = [a for a, counts in zip(given, self._counts, strict=True) if not counts]
        names = [n for n, counts in zip(self.arguments, self._counts, strict=False) if not counts]
        arrays = converted(self.library, names, rest) if rest else []
        first, rest = arrays[0] if arrays else None, arrays[::-1]
        return [
            rest.pop() if not counts else labels(self.library, name, a, first) if shape else _number(a)
            for name, a, counts, shape in zip(self.arguments, given, self._counts, self._made.shapes, strict=False)
        ]

    def _check(self, arrays: Sequence[Any], sizes: Sequence[int]) -> dict[str, int]:
        """The sizes that the arguments show."""
        for name, shape, array in zip(self.arguments, self._made.shapes, arrays, strict=False):
            rank = len(getattr(array, "shape", ()))
            if rank != len(shape):
                kind = self._signature.kind(name, shape)
                raise ArgumentError(f"{name} must be {kind} but has shape {tuple(array.shape)}")
        known = self._signature.check(arrays, dict(zip(self._signature.sizes, sizes, strict=True)))
        if self._made.limit is not None and self.library != "dask":
            self._within_limit(known, arrays, self._made.limit)
        return known

    def _within_limit(self, sizes: Mapping[str, int], arrays: Sequence[Any], limit: int) -> None:
        width = max([getattr(getattr(a, "dtype", None), "itemsize", 8) for a in arrays], default=8)
        for shape in self._made.large:
            if all(d.names <= sizes.keys() for d in shape):
                count = width * _entries(shape, sizes)
                if count > limit:
                    lengths = tuple(d.evaluate(dict(sizes)) for d in shape)
                    raise LimitError(
                        f"the result of shape {lengths} would take {count} bytes, more than the limit of {limit}",
                        hint="raise limit=",
                    )

    def __reduce__(self) -> tuple[Any, ...]:
        return ArrayFunction, (self._made, self._given, self._ignored)

    def __repr__(self) -> str:
        return f"<compiled {self._made.written.name}({', '.join(self.arguments)}) for {self.library}>"


def _defined(made: Made, given: Mapping[str, Any]) -> Callable[..., Any]:
    """The function of the text. Its module has no name: torch.compile would import it."""
    space = executed(made.source, made.written.name, given)
    del space["__name__"]
    found: Callable[..., Any] = space[made.written.name]
    return found


def _entries(shape: ArrayShape, sizes: Mapping[str, int]) -> int:
    n = 1
    for d in shape:
        n *= d.evaluate(dict(sizes))
    return n


def _number(value: Any) -> Any:
    """A number that decides on positions or limits, as Python's."""
    number = float(value)
    return int(number) if number.is_integer() else number


def compile_arrays(
    library: str,
    outputs: Expr | Mapping[str, Expr],
    arguments: Sequence[Expr] | None = None,
    *,
    functions: Functions | None = None,
    **options: Any,
) -> ArrayFunction:
    """A callable for an array library, with the arguments and options of :func:`matcalc.lowering.compile_numpy`."""
    return compile_requested(library, requested(outputs, arguments, **options), functions)


def compile_requested(library: str, request: Request, functions: Functions | None = None) -> ArrayFunction:
    """The callable that is asked for.

    Raises   ArgumentError when there is no such library, or it is not installed
    """
    installed(library)
    made, unknown = _made(library, request)
    return ArrayFunction(made, implementations(unknown, functions or {}), request.ignored)


def _made(library: str, request: Request, sizes: Mapping[str, int] | None = None) -> tuple[Made, dict[Unknown, str]]:
    """The text for sizes that are not known, or for those that are."""
    what = planned(request, sizes=sizes)
    unknown: dict[Unknown, str] = {}
    written = function(what, LIBRARIES[library], checks=False, unknown=unknown)
    source = module_of(LIBRARIES[library], written, unknown, plain=bool(what.closures))
    made = made_of(library, source, written, what, unknown)
    if what.by_size and sizes is None:
        made = made._replace(request=request)
    return made, unknown


def module_of(library: Library, written: Function, unknown: Mapping[Unknown, str], *, plain: bool = False) -> str:
    """The module of one function; of JAX a compiled one, unless it is to be ``plain`` as it gives functions, or labels
    among its arrays must be known.
    """
    lines = definition(written)
    imports = []
    if library.module == "jax.numpy" and not (plain or written.eager):
        fixed = [c for c in written.codes if c not in written.arrays]
        if fixed:
            listed = ", ".join(f'"{c}"' for c in fixed) + ("," if len(fixed) == 1 else "")
            lines.insert(0, f"@partial(jax.jit, static_argnames=({listed}))")
            imports.append("from functools import partial")
        else:
            lines.insert(0, "@jax.jit")
    return module_text(library, [written], [lines], unknown, imports)


def implementations(unknown: Mapping[Unknown, str], functions: Functions) -> dict[str, Any]:
    """What the caller gives for unknown functions, by their identifiers; maps as they are, of the library's arrays."""
    found = compiled.implementations(unknown, functions)
    return {code: f.function if isinstance(f, Given) else f for code, f in found.items()}


def torch_source(planned: Planned, remarks: Sequence[str] = ()) -> str:
    """A self-contained function of PyTorch."""
    return _source(LIBRARIES["torch"], planned, remarks)


def jax_source(planned: Planned, remarks: Sequence[str] = ()) -> str:
    """A self-contained function of JAX, compiled by jax.jit."""
    return _source(LIBRARIES["jax"], planned, remarks)


def _source(library: Library, what: Planned, remarks: Sequence[str]) -> str:
    unknown: dict[Unknown, str] = {}
    written = function(what, library, remarks=remarks, unknown=unknown)
    return module_of(library, written, unknown, plain=bool(what.closures))


__all__ = [
    "ArrayFunction",
    "compile_arrays",
    "compile_requested",
    "implementations",
    "installed",
    "jax_source",
    "made_of",
    "torch_source",
]
