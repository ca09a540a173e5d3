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
from itertools import count
from typing import Any
from weakref import finalize

from matcalc.dims import shape_text
from matcalc.errors import ArgumentError
from matcalc.expr import Expr, postorder
from matcalc.lowering.dense import lowered, stack
from matcalc.lowering.lower import lowering
from matcalc.lowering.maps import Derivative
from matcalc.lowering.maps import given as given_map
from matcalc.lowering.module import LIMIT, Module, numpy_module
from matcalc.lowering.plan import Plan
from matcalc.lowering.walk import array_shape
from matcalc.primitives.functions import Defined, Elementwise
from matcalc.primitives.leaves import Differential, Var
from matcalc.syntax.spelling import canonical

_serial = count(1)


class Compiled:
    """A function of arrays with its source.

    ``source``     the Python text, complete
    ``arguments``  the names that it takes, in order; sizes that no argument shows come last
    ``function``   the bare Python function; its parameters have the identifiers of the source

    Keywords named in ``ignored`` may be given, too: variables of the formula that its derivative no longer holds.
    """

    def __init__(
        self, module: Module, functions: Mapping[str, Any] | None = None, ignored: Collection[str] = ()
    ) -> None:
        self.source = module.source
        self.arguments = module.shown
        self._module = module
        self._functions = dict(functions or {})
        self._ignored = frozenset(ignored) - set(module.shown)
        filename = f"<matcalc {next(_serial)}: {module.name}>"
        space: dict[str, Any] = {"__name__": filename, **self._functions}
        # Our own text: every name in it is a checked identifier, every other text of the user a quoted string.
        exec(compile(module.source, filename, "exec"), space)
        self.function: Callable[..., Any] = space[module.name]
        self.__wrapped__ = self.function  # help() and inspect show its arguments
        self.__doc__ = self.function.__doc__
        self._signature = space.get("arguments")
        self._renamed = {name: code for name, code in zip(module.shown, module.codes, strict=True) if name != code}
        linecache.cache[filename] = (len(module.source), None, module.source.splitlines(True), filename)
        finalize(self, linecache.cache.pop, filename, None)

    def __call__(self, /, *args: Any, **keywords: Any) -> Any:
        if self._renamed and keywords:
            keywords = {self._renamed.get(name, name): value for name, value in keywords.items()}
        try:
            return self.function(*args, **keywords)
        except TypeError:
            return self._again(args, keywords)
        except IndexError as e:
            raise ArgumentError(f"an index of the formula lies outside the argument: {e}") from e

    def _again(self, args: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        """The call without what is ignored; the error that says what is wrong; or what the function itself has met."""
        if not self._ignored.isdisjoint(keywords):
            return self(*args, **{name: value for name, value in keywords.items() if name not in self._ignored})
        from matcalc.lowering.signature import Signature

        codes = self._module.codes
        spelled = {name if name in codes else canonical(name): value for name, value in keywords.items()}
        if spelled.keys() != keywords.keys():  # λ for lambda
            return self(*args, **spelled)
        shown = dict(zip(self._module.codes, self._module.shown, strict=True))
        by_name = {shown.get(code, code): value for code, value in keywords.items()}
        problem = (self._signature or Signature({})).explain(args, by_name, self.arguments)
        if problem:
            raise ArgumentError(problem)
        return self.function(*args, **keywords)

    def __reduce__(self) -> tuple[Any, ...]:
        return Compiled, (self._module, self._functions, self._ignored)

    def __repr__(self) -> str:
        return f"<compiled {self._module.name}({', '.join(self.arguments)})>"


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
) -> Module:
    """The module of :func:`compile_numpy`, not executed; unknown functions may lack their values."""
    results = {"result": outputs} if isinstance(outputs, Expr) else dict(outputs)
    roots = list(results.values())
    found = [e for e in inputs(roots) if e is not stacked]
    order = list(dict.fromkeys(arguments)) if arguments is not None else found
    absent = [e for e in found if e not in order]
    if absent:
        missing = ", ".join(input_name(e) for e in absent)
        raise ArgumentError(f"the arguments lack {missing}, which the expression needs")
    plan = Plan(subgradient)
    walk = lowering(plan, {e: input_name(e) for e in order})
    if stacked is None:
        values = lowered(walk, roots)
    else:
        values = [stack(walk, e, stacked) if _linear(e, stacked) else lowered(walk, [e])[0] for e in roots]
    taken: dict[str, Expr] = {}
    for e in order:
        other = taken.setdefault(input_name(e), e)
        if other.shape != e.shape:
            raise ArgumentError(f"{input_name(e)} is used as {shape_text(other.shape)} and as {shape_text(e.shape)}")
    return numpy_module(
        name,
        title,
        [(label, array_shape(e)) for label, e in taken.items()],
        [(label, e, v) for (label, e), v in zip(results.items(), values, strict=True)],
        {label: plan.argument(label, array_shape(e)) for label, e in taken.items()},
        {walk.values[e]: label for e, label in (names or {}).items() if e in walk.values},
        limit,
    )


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


__all__ = ["Compiled", "compile_numpy", "inputs", "numpy_source"]
