"""NumPy callables from expressions.

Example
    >>> from matcalc.dims import ONE, dim
    >>> from matcalc.primitives.leaves import var
    >>> x = var("x", (dim("n"), ONE))
    >>> fn = compile_numpy(x.T @ x)
    >>> float(fn(x=[3.0, 4.0]))
    25.0
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from itertools import count
from operator import itemgetter
from typing import Any, TypeAlias
from weakref import finalize

from matcalc.errors import ArgumentError
from matcalc.expr import Expr
from matcalc.lowering.entrance import ABSENT
from matcalc.lowering.maps import Derivative
from matcalc.lowering.maps import given as given_map
from matcalc.lowering.module import Module, numpy_module, only_entered
from matcalc.lowering.planned import Lowered, Request, lower, planned, requested
from matcalc.lowering.specialised import BySizes
from matcalc.syntax.spelling import canonical

_serial = count(1)

Functions: TypeAlias = Mapping[str, Sequence[Callable[..., Any]]]


class Compiled(partial[Any]):
    """A function of arrays with its source.

    ``source``     the Python text, complete; written when it is asked for where the sizes of a call decide what runs
    ``arguments``  the names that it takes, in order; sizes that no argument shows come last
    ``function``   the Python function that runs (entrance.py); its parameters have the identifiers of the source

    Keywords named in ``ignored`` may be given, too: variables of the formula that its derivative no longer holds.
    A call of a ``partial`` enters the function without a frame in between.

    Shapes   a number for a scalar, (n,) for a column or a row, (m, n) for a matrix; a row that is returned has (1, n).
             float32 stays float32, integers and lists become float64
    Raises   ArgumentError when arguments are missing, superfluous or do not fit, or a matrix is singular;
             LimitError when a result would be over the limit
    """

    function: Callable[..., Any]
    arguments: tuple[str, ...]
    _module: Module
    _functions: dict[str, Any]
    _ignored: frozenset[str]
    _signature: Any
    _code_of: dict[str, str]

    def __new__(
        cls, module: Module, functions: Mapping[str, Any] | None = None, ignored: Collection[str] = ()
    ) -> Compiled:
        given = dict(functions or {})
        space = executed(module.entered, module.name, {**given, "_absent": ABSENT, "_failed": _failed})
        function = space[module.name]

        self = super().__new__(cls, function)
        space.update({"_bound": self._bound, "_named": self._named, "_read": self._read})
        space.update({"_planned": BySizes(self._planned), "_met": [(None, None)]})
        if module.shown:
            space["_items"] = itemgetter(*module.shown)
        self.function = function
        self.arguments = module.shown
        self.__doc__ = function.__doc__
        self._module = module
        self._functions = given
        self._ignored = frozenset(ignored) - set(module.shown)
        self._signature = space.get("arguments")
        self._code_of = {code: code for code in module.codes} | dict(zip(module.shown, module.codes, strict=True))
        return self

    @property
    def source(self) -> str:
        module = self._module
        if not module.source and module.request is not None:
            module = self._module = module._replace(source=module_of(module.request).source)
        return module.source

    def __get__(self, obj: object, kind: type | None = None) -> Compiled:
        return self  # an attribute of a class is no method

    def __getattr__(self, name: str) -> Any:
        if name != "__signature__":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        from inspect import Parameter, Signature  # what help() and inspect show: the arguments without what binds them

        return Signature([Parameter(code, Parameter.POSITIONAL_OR_KEYWORD) for code in self._module.codes])

    def source_for(self, **sizes: int) -> str:
        """The code that runs for arrays of these dimensions, ``m=500, n=20``: chains of products in the order that is
        the cheapest for them.

        Raises   ArgumentError when a dimension is missing or not known
        """
        wrong = [f"{name} is missing" for name in self._module.sizes if name not in sizes]
        wrong += [f"{name} is no dimension of the arguments" for name in sizes if name not in self._module.sizes]
        if self._module.sizes and wrong:
            raise ArgumentError(f"{wrong[0]}; the dimensions are {', '.join(self._module.sizes)}")
        return self._module_for(tuple(sizes[name] for name in self._module.sizes)).source

    def _module_for(self, sizes: Sequence[int]) -> Module:
        module = self._module
        if module.request is None:
            return module
        self._module = module._replace(lowered=None)  # most callables meet arrays of one set of sizes only
        return module_for(module.request, dict(zip(module.sizes, sizes, strict=True)), module.given, module.lowered)

    def _planned(self, sizes: Sequence[int]) -> tuple[str, Callable[[], Callable[..., Any]]]:
        """The code for these sizes, and how the function that it is is made."""
        module = self._module_for(sizes)
        given = {code: self._functions[self._module.functions[which]] for which, code in module.functions.items()}
        return module.source, lambda: executed(module.source, module.name, given)[module.name]

    def _bound(self, args: Sequence[Any], values: Sequence[Any], others: Mapping[str, Any]) -> list[Any]:
        """The arguments in their order, from those given by position, by identifier and by any name.

        Raises   ArgumentError when some are missing, superfluous or given twice
        """
        module = self._module
        known = {code: v for code, v in zip(module.codes, values, strict=False) if v is not ABSENT}
        shown = dict(zip(module.codes, module.shown, strict=True))
        code_of, twice, superfluous = self._code_of, [], {}
        for name, value in others.items():
            other = name if name in code_of else canonical(name)  # λ for lambda
            if other not in code_of:
                if name not in self._ignored and other not in self._ignored:
                    superfluous[other] = value
                continue
            code = code_of[other]
            twice += [shown[code]] if code in known else []
            known[code] = value
        if twice:
            raise ArgumentError(f"{', '.join(twice)} is given twice")
        from matcalc.lowering.signature import Signature

        by_name = {shown[code]: value for code, value in known.items()} | superfluous
        problem = Signature({}).explain(args, by_name, self.arguments)
        if problem:
            raise ArgumentError(problem)
        return [*args, *(known[code] for code in module.codes[len(args) :])]

    def _named(self, args: Sequence[Any], others: Mapping[str, Any]) -> Sequence[Any]:
        """The same where they are many, and others are given next to them.

        Raises   KeyError when one of them is not given by its name
        """
        if args or not self._ignored.issuperset(others.keys() - set(self.arguments)):
            return self._bound(args, (), others)
        return [others[name] for name in self.arguments]

    def _read(self, args: Sequence[Any], *values: Any) -> Any:
        """Arguments that are not as usual: lists, integers, other precision.

        Raises   ArgumentError that says what is wrong
        """
        try:
            if any(v is ABSENT for v in values):
                self._bound(args, values, {})
            return self._signature(*values)
        except ArgumentError as e:
            raise e from None

    def __reduce__(self) -> tuple[Any, ...]:
        return Compiled, (self._module._replace(lowered=None), self._functions, self._ignored)

    def __repr__(self) -> str:
        return f"<compiled {self._module.name}({', '.join(self.arguments)})>"


def _failed(e: Exception) -> None:
    """Raises   ArgumentError where the arguments are to blame"""
    if isinstance(e, IndexError) and _is_of_the_formula(e):
        raise ArgumentError(f"an index of the formula lies outside the argument: {e}") from e
    if type(e).__name__ == "LinAlgError":
        raise ArgumentError(_unsolved(e)) from e


def _is_of_the_formula(e: Exception) -> bool:
    """Whether generated code or what it calls of ours raised it, and no function that the caller gives."""
    step = e.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    ours = ("<matcalc ", __file__.removesuffix("compiled.py"))
    return step is None or step.tb_frame.f_code.co_filename.startswith(ours)


def _unsolved(e: Exception) -> str:
    """What NumPy's refusal to compute with a matrix means, with the matrix as the source has it."""
    step, line = e.__traceback__, ""
    while step is not None:
        filename = step.tb_frame.f_code.co_filename
        if filename.startswith("<matcalc "):
            line = linecache.getline(filename, step.tb_lineno).strip()
        step = step.tb_next
    _, _, call = line.partition("np.linalg.solve(")
    depth = 0
    for at, c in enumerate(call):
        depth += (c in "([") - (c in ")]")
        if c == "," and not depth:
            return f"{call[:at]} is singular: it has no inverse"
    return f"{str(e)[:1].lower()}{str(e)[1:]}, in: {line}"


def executed(text: str, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The names that a module defines; its text is shown in tracebacks as long as it lives."""
    filename = f"<matcalc {next(_serial)}: {name}>"
    space: dict[str, Any] = {"__name__": filename, **given}
    # Our own text: every name in it is a checked identifier, every other text of the user a quoted string.
    exec(compile(text, filename, "exec"), space)
    linecache.cache[filename] = (len(text), None, text.splitlines(True), filename)
    finalize(space[name], linecache.cache.pop, filename, None)
    return space


def compile_numpy(
    outputs: Expr | Mapping[str, Expr],
    arguments: Sequence[Expr] | None = None,
    *,
    functions: Functions | None = None,
    **options: Any,
) -> Compiled:
    """A NumPy callable for an expression, or for several at once: then it gives a tuple in their order.

    ``functions``  values of unknown functions, ``{"phi": [phi, dphi]}``: the function and its derivatives
    ``options``    those of :class:`matcalc.lowering.planned.Request`

    Raises   ArgumentError when an unknown function has no value, or ``arguments`` lacks a variable
    """
    return compile_requested(requested(outputs, arguments, **options), functions)


def compile_requested(request: Request, functions: Functions | None = None) -> Compiled:
    """The NumPy callable that is asked for."""
    module = entered_module(request)
    return Compiled(module, implementations(module.functions, functions or {}), request.ignored)


def numpy_source(outputs: Expr | Mapping[str, Expr], arguments: Sequence[Expr] | None = None, **options: Any) -> Module:
    """The module of :func:`compile_numpy`, not executed; unknown functions may lack their values."""
    return module_of(requested(outputs, arguments, **options))


def module_of(request: Request) -> Module:
    """The module that is asked for, for arguments of any dimensions."""
    module = numpy_module(planned(request, factored=True), ignored=request.ignored)
    return module._replace(request=request) if module.sizes else module


def entered_module(request: Request) -> Module:
    """The module that is asked for; without its source where what runs is planned for the sizes of a call."""
    lowered = lower(request, factored=True)
    kept = lowered.for_sizes(None) if lowered.serves_all_sizes else None
    what = planned(request, factored=True, of=lowered, entered=True)
    entered = only_entered(what)
    if what.by_size and not entered:
        return module_of(request)
    module = numpy_module(what, ignored=request.ignored, entered=entered)
    return module._replace(request=request, lowered=kept) if module.sizes else module


def module_for(
    request: Request, sizes: Mapping[str, int], given: Sequence[str], lowered: Lowered | None = None
) -> Module:
    """The module when the dimensions are known, for arguments that have been checked.

    ``given``    the sizes among the arguments
    ``lowered``  the values, where they are the same for all sizes
    """
    of = lowered.for_sizes(sizes) if lowered is not None else None
    found = numpy_module(planned(request, sizes=sizes, factored=True, of=of), given_sizes=given)
    if found.given == tuple(given):
        return found
    return numpy_module(planned(request, factored=True), given_sizes=given)  # other sizes than arguments show


def implementations(unknown: Mapping[tuple[str, int | Derivative], str], functions: Functions) -> dict[str, Any]:
    """What the caller gives for unknown functions, by their identifiers.

    Raises   ArgumentError when a function or a derivative is missing
    """
    out: dict[str, Any] = {}
    functions = {canonical(name): given for name, given in functions.items()}
    for (name, order), code in unknown.items():
        given: Any = functions.get(name, ())
        if isinstance(order, Derivative):
            out[code] = given_map(name, order, given)
            continue
        given = (given,) if callable(given) else given
        if order >= len(given):
            needed = max(k for f, k in unknown if f == name and isinstance(k, int))
            listed = ", ".join([name, *(f"{name}{chr(39) * k}" for k in range(1, needed + 1))])
            raise ArgumentError(
                f"the values of {name}{chr(39) * order} are not known",
                hint=f"pass functions={{{name!r}: [{listed}]}}, Python functions of an array",
            )
        if not callable(given[order]):
            raise ArgumentError(f"functions[{name!r}][{order}] is {given[order]!r}, which is no function")
        out[code] = given[order]
    return out


__all__ = [
    "Compiled",
    "compile_numpy",
    "compile_requested",
    "executed",
    "implementations",
    "module_of",
    "numpy_source",
]
