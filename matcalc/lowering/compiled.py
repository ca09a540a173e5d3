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
from typing import Any, TypeAlias
from weakref import finalize

from matcalc.dims import shape_text
from matcalc.errors import ArgumentError
from matcalc.expr import Expr, postorder
from matcalc.lowering.batching import batched_names, in_batches
from matcalc.lowering.combinations import with_combinations
from matcalc.lowering.dense import lowered, stack
from matcalc.lowering.distributing import distributed
from matcalc.lowering.entrance import ABSENT
from matcalc.lowering.factorisations import with_factors
from matcalc.lowering.gram import with_symmetric_products
from matcalc.lowering.layouts import with_layouts
from matcalc.lowering.lower import lowering
from matcalc.lowering.maps import Derivative
from matcalc.lowering.maps import given as given_map
from matcalc.lowering.module import LIMIT, Module, numpy_module
from matcalc.lowering.ordering import cheapest
from matcalc.lowering.plan import Plan, Value
from matcalc.lowering.planned import Planned
from matcalc.lowering.row_blocks import with_row_blocks
from matcalc.lowering.specialised import BySizes
from matcalc.lowering.staged import Closure, Later, hoisted
from matcalc.lowering.walk import array_shape
from matcalc.primitives.functions import Defined, Elementwise
from matcalc.primitives.leaves import Differential, Var
from matcalc.syntax.spelling import canonical

_serial = count(1)

# What a function is planned from: the arguments of ``planned``.
Recipe: TypeAlias = tuple[Expr | Mapping[str, Expr], Sequence[Expr] | None, dict[str, Any]]


class Compiled(partial[Any]):
    """A function of arrays with its source.

    ``source``     the Python text, complete
    ``arguments``  the names that it takes, in order; sizes that no argument shows come last
    ``function``   the Python function that runs (entrance.py); its parameters have the identifiers of the source

    Keywords named in ``ignored`` may be given, too: variables of the formula that its derivative no longer holds.
    A call of a ``partial`` enters the function without a frame in between.
    """

    function: Callable[..., Any]
    source: str
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
        space["_planned"] = BySizes(self._planned)
        self.function = function
        self.source = module.source
        self.arguments = module.shown
        self.__doc__ = function.__doc__
        self._module = module
        self._functions = given
        self._ignored = frozenset(ignored) - set(module.shown)
        self._signature = space.get("arguments")
        self._code_of = {code: code for code in module.codes} | dict(zip(module.shown, module.codes, strict=True))
        return self

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
        if module.recipe is None:
            return module
        return module_for(module.recipe, dict(zip(module.sizes, sizes, strict=True)), module.given)

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

    def _named(self, others: Mapping[str, Any]) -> Sequence[Any]:
        """The same of arguments that are given by name, where they are many."""
        try:
            found = [others[name] for name in self.arguments]
        except KeyError:
            return self._bound((), (), others)
        if len(others) == len(found) or self._ignored.issuperset(others.keys() - set(self.arguments)):
            return found
        return self._bound((), (), others)

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
        return Compiled, (self._module, self._functions, self._ignored)

    def __repr__(self) -> str:
        return f"<compiled {self._module.name}({', '.join(self.arguments)})>"


def _failed(e: Exception) -> None:
    """Raises   ArgumentError where the arguments are to blame"""
    if isinstance(e, IndexError):
        raise ArgumentError(f"an index of the formula lies outside the argument: {e}") from e
    if type(e).__name__ == "LinAlgError":
        raise ArgumentError(_unsolved(e)) from e


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
    functions: Mapping[str, Sequence[Callable[..., Any]]] | None = None,
    title: str = "",
    name: str = "function",
    names: Mapping[Expr, str] | None = None,
    subgradient: bool = False,
    ignored: Collection[str] = (),
    stacked: Expr | None = None,
    limit: int | None = LIMIT,
    later: Sequence[Later] = (),
    batch: str | Sequence[str] = (),
) -> Compiled:
    """A NumPy callable for an expression, or for several at once: then it gives a tuple in their order.

    ``arguments``    the order in which it takes variables; those that do not occur may be among them
    ``functions``    values of unknown functions, ``{"phi": [phi, dphi]}``: the function and its derivatives
    ``title``        what the docstring of the source says
    ``names``        names for intermediate values in the source
    ``subgradient``  the reciprocal of a norm is 0 where the norm is: for derivatives
    ``ignored``      names that a call may give although they are no arguments
    ``stacked``      a column v: the results of expressions that are linear in it, zeros among them, are arrays of one
                     more axis, in front, whose k-th slice is the value at v = e(k)
    ``later``        functions of further arguments, given back after the results: what does not depend on those
                     arguments is computed once
    ``batch``        names of arguments that have one more axis, in front, for many items at once; so have all results
    ``limit``        the most bytes that a result may take, None for any number: a call that would need more raises
                     LimitError before it computes

    Raises   ArgumentError when an unknown function has no value, or ``arguments`` lacks a variable
    """
    module = numpy_source(
        outputs,
        arguments,
        title=title,
        name=name,
        names=names,
        subgradient=subgradient,
        stacked=stacked,
        limit=limit,
        later=later,
        batch=batch,
        ignored=ignored,
    )
    return Compiled(module, _implementations(module, functions or {}), ignored)


def numpy_source(
    outputs: Expr | Mapping[str, Expr],
    arguments: Sequence[Expr] | None = None,
    *,
    title: str = "",
    name: str = "function",
    names: Mapping[Expr, str] | None = None,
    subgradient: bool = False,
    stacked: Expr | None = None,
    limit: int | None = LIMIT,
    later: Sequence[Later] = (),
    batch: str | Sequence[str] = (),
    ignored: Collection[str] = (),
) -> Module:
    """The module of :func:`compile_numpy`, not executed; unknown functions may lack their values."""
    options = {
        "title": title,
        "name": name,
        "names": names,
        "subgradient": subgradient,
        "stacked": stacked,
        "limit": limit,
        "later": tuple(later),
        "batch": batched_names(batch),
        "ignored": frozenset(ignored),
    }
    what = planned(outputs, arguments, factored=True, **options)  # type: ignore[arg-type]
    module = numpy_module(what, ignored=ignored)
    return module._replace(recipe=(outputs, arguments, options)) if module.sizes else module


def module_for(recipe: Recipe, sizes: Mapping[str, int], given: Sequence[str]) -> Module:
    """The module of a recipe when the dimensions are known, for arguments that have been checked.

    ``given``  the sizes among the arguments
    """
    outputs, arguments, options = recipe
    return numpy_module(planned(outputs, arguments, sizes=sizes, factored=True, **options), given_sizes=given)


def planned(
    outputs: Expr | Mapping[str, Expr],
    arguments: Sequence[Expr] | None = None,
    *,
    title: str = "",
    name: str = "function",
    names: Mapping[Expr, str] | None = None,
    subgradient: bool = False,
    stacked: Expr | None = None,
    limit: int | None = LIMIT,
    later: Sequence[Later] = (),
    batch: str | Sequence[str] = (),
    ignored: Collection[str] = (),
    sizes: Mapping[str, int] | None = None,
    factored: bool = False,
) -> Planned:
    """What a module is written from; matcalc/emission writes it for other array libraries and languages.

    ``factored``  whether factorisations are shared, by SciPy's LAPACK
    """
    results = {"result": outputs} if isinstance(outputs, Expr) else dict(outputs)
    roots = [*results.values(), *(e for c in later for e in c.outputs.values())]
    to_come = [e for c in later for e in c.arguments]
    found = [e for e in inputs(roots) if e is not stacked and e not in to_come]
    order = list(dict.fromkeys(arguments)) if arguments is not None else found
    absent = [e for e in found if e not in order]
    if absent:
        missing = ", ".join(input_name(e) for e in absent)
        raise ArgumentError(f"the arguments lack {missing}, which the expression needs")
    plan = Plan(subgradient, sizes)
    plan.later = frozenset([input_name(e) for e in to_come])
    labels = {e: input_name(e) for e in (*order, *to_come)}
    walks = []

    def walked() -> list[Value]:
        walk = lowering(plan, labels)
        walks.append(walk)
        if stacked is None:
            return lowered(walk, roots)
        return [stack(walk, e, stacked) if _linear(e, stacked) else lowered(walk, [e])[0] for e in roots]

    values = cheapest(plan, walked)
    if later:
        values = hoisted(plan, distributed(plan, values))
    taken: dict[str, Expr] = {}
    for e in order:
        other = taken.setdefault(input_name(e), e)
        if other.shape != e.shape:
            raise ArgumentError(f"{input_name(e)} is used as {shape_text(other.shape)} and as {shape_text(e.shape)}")
    shapes = {label: array_shape(e) for label, e in taken.items()}
    preferred = {walk.values[e]: label for walk in walks for e, label in (names or {}).items() if e in walk.values}
    many = batched_names(batch, shapes, ignored)
    if many:
        rows = [e.is_row for e in roots]
        values, shapes, preferred = in_batches(plan, values, rows, many, shapes, preferred, portable=not factored)
    if factored:
        for better in (with_combinations, with_symmetric_products, with_row_blocks, with_factors, with_layouts):
            new = better(plan, values)
            values, preferred = [new[v] for v in values], {new.get(v, v): label for v, label in preferred.items()}
    return Planned(
        name,
        title,
        list(shapes.items()),
        [(label, e, v) for (label, e), v in zip(results.items(), values, strict=False)],
        {label: plan.argument(label, shape) for label, shape in shapes.items()}
        | {input_name(e): plan.argument(input_name(e), array_shape(e)) for e in to_come},
        preferred,
        limit,
        _closures(later, values[len(results) :]),
        many,
        plan.by_size,
    )


def _closures(later: Sequence[Later], values: Sequence[Value]) -> list[Closure]:
    rest = iter(values)
    return [
        Closure(
            c.name,
            c.title,
            [(input_name(e), array_shape(e)) for e in c.arguments],
            [(label, e, next(rest)) for label, e in c.outputs.items()],
        )
        for c in later
    ]


def _linear(e: Expr, v: Expr) -> bool:
    """Whether an expression that is linear in v or does not hold it is the former."""
    return e.is_zero or v in postorder([e])


def input_name(e: Expr) -> str:
    """The name of a variable; of a differential ``dX``."""
    return f"d{input_name(e.op.of)}" if isinstance(e.op, Differential) else str(getattr(e.op, "name", "x"))


def inputs(roots: Sequence[Expr]) -> list[Expr]:
    """Variables and differentials under the roots, in order of occurrence; those within defined functions too."""
    found: dict[Expr, None] = {}
    seen: set[Expr] = set()
    stack = list(roots)
    bound: set[Expr] = set()
    while stack:
        for node in postorder(stack, stop=seen.__contains__):
            if node in seen:
                continue
            seen.add(node)
            op = node.op
            if isinstance(op, Var | Differential):
                found[node] = None
            elif isinstance(op, Elementwise) and isinstance(op.function, Defined):
                bound.add(op.function.parameter)
                stack.append(op.function.body(op.order))
        stack = [e for e in stack if e not in seen]
    return [e for e in found if e not in bound]


def _implementations(module: Module, functions: Mapping[str, Sequence[Callable[..., Any]]]) -> dict[str, Any]:
    out = {}
    functions = {canonical(name): given for name, given in functions.items()}
    for (name, order), code in module.functions.items():
        given: Any = functions.get(name, ())
        if isinstance(order, Derivative):
            out[code] = given_map(name, order, given)
            continue
        given = (given,) if callable(given) else given
        if order >= len(given):
            needed = max(k for f, k in module.functions if f == name and isinstance(k, int))
            listed = ", ".join([name, *(f"{name}{chr(39) * k}" for k in range(1, needed + 1))])
            raise ArgumentError(
                f"the values of {name}{chr(39) * order} are not known",
                hint=f"pass functions={{{name!r}: [{listed}]}}, Python functions of an array",
            )
        if not callable(given[order]):
            raise ArgumentError(f"functions[{name!r}][{order}] is {given[order]!r}, which is no function")
        out[code] = given[order]
    return out


__all__ = ["Compiled", "Planned", "compile_numpy", "inputs", "numpy_source", "planned"]
