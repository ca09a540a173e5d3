"""A function before it is written, in whichever language: what is asked for, and the values of a plan that give it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matcalc.dims import shape_text
from matcalc.errors import ArgumentError
from matcalc.expr import Expr, postorder
from matcalc.lowering.batching import batched_names, in_batches
from matcalc.lowering.combinations import with_combinations
from matcalc.lowering.dense import lowered, stack
from matcalc.lowering.distributing import distributed
from matcalc.lowering.factorisations import with_factors
from matcalc.lowering.gram import with_symmetric_products
from matcalc.lowering.layouts import with_layouts
from matcalc.lowering.lower import lowering
from matcalc.lowering.ordering import cheapest
from matcalc.lowering.plan import ArrayShape, Plan, Value
from matcalc.lowering.product_blocks import with_product_blocks
from matcalc.lowering.row_blocks import with_row_blocks
from matcalc.lowering.staged import Closure, Later, hoisted
from matcalc.lowering.walk import array_shape
from matcalc.primitives.functions import Defined, Elementwise
from matcalc.primitives.leaves import Differential, Var

LIMIT = 2**30  # bytes of a result, unless the caller says otherwise


class Request(NamedTuple):
    """What is asked of a function.

    ``outputs``      what it gives, by names: a tuple in their order where there are several
    ``arguments``    the order in which it takes variables; those that do not occur may be among them
    ``title``        what the docstring of the source says
    ``name``         of the function
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
    """

    outputs: dict[str, Expr]
    arguments: Sequence[Expr] | None = None
    title: str = ""
    name: str = "function"
    names: Mapping[Expr, str] | None = None
    subgradient: bool = False
    ignored: tuple[str, ...] = ()
    stacked: Expr | None = None
    later: tuple[Later, ...] = ()
    batch: tuple[str, ...] = ()
    limit: int | None = LIMIT

    @property
    def roots(self) -> list[Expr]:
        return [*self.outputs.values(), *(e for c in self.later for e in c.outputs.values())]


def requested(outputs: Expr | Mapping[str, Expr], arguments: Sequence[Expr] | None = None, **options: Any) -> Request:
    """The request for one expression, or for several by name, with the options of :class:`Request`."""
    found = Request({"result": outputs} if isinstance(outputs, Expr) else dict(outputs), arguments, **options)
    return found._replace(ignored=tuple(found.ignored), later=tuple(found.later), batch=batched_names(found.batch))


class Planned(NamedTuple):
    """What a function takes and gives, as values of a plan."""

    name: str
    title: str
    arguments: list[tuple[str, ArrayShape]]
    results: list[tuple[str, Expr, Value]]
    leaves: dict[str, Value]  # the values of the arguments, by name
    preferred: dict[Value, str]  # names for values
    limit: int | None = None  # bytes of a result
    closures: list[Closure] = []  # functions of later arguments (staged.py)
    batch: tuple[str, ...] = ()  # arguments with the axis of a batch, which all results have, too (batching.py)
    by_size: bool = False  # whether other dimensions ask for another order of operations


PASSES = (
    with_combinations,
    with_symmetric_products,
    with_product_blocks,
    with_row_blocks,
    with_factors,
    with_layouts,
)


class Lowered(NamedTuple):
    """The values of the results before they are improved.

    ``preferred``  names for values
    ``shapes``     of the arguments, by name
    ``to_come``    the later arguments
    """

    plan: Plan
    values: list[Value]
    preferred: dict[Value, str]
    shapes: dict[str, ArrayShape]
    to_come: list[Expr]

    @property
    def serves_all_sizes(self) -> bool:
        """Whether it would be the same, were the dimensions known."""
        return not (self.plan.by_size or self.plan.weighed)

    def for_sizes(self, sizes: Mapping[str, int] | None) -> Lowered:
        return self._replace(plan=self.plan.with_sizes(sizes))


def planned(
    request: Request,
    *,
    sizes: Mapping[str, int] | None = None,
    factored: bool = False,
    of: Lowered | None = None,
    entered: bool = False,
) -> Planned:
    """What a module is written from; matcalc/emission writes it for other array libraries and languages.

    ``sizes``     the dimensions, where they are known
    ``factored``  whether factorisations are shared, by SciPy's LAPACK
    ``of``        the values, if they are there already
    ``entered``   whether the plan may stay as it is once it is seen to depend on sizes, as it is made anew for them

    Raises   ArgumentError when ``arguments`` lacks a variable
    """
    plan, values, preferred, shapes, to_come = of if of is not None else lower(request, sizes, factored)
    many = batched_names(request.batch, shapes, request.ignored)
    if many:
        rows = [e.is_row for e in request.roots]
        values, shapes, preferred = in_batches(plan, values, rows, many, shapes, preferred, portable=not factored)
    if factored:
        for better in PASSES:
            if entered and plan.by_size:
                break
            new = better(plan, values)
            values, preferred = [new[v] for v in values], {new.get(v, v): label for v, label in preferred.items()}
    leaves = {label: plan.argument(label, shape) for label, shape in shapes.items()}
    leaves |= {input_name(e): plan.argument(input_name(e), array_shape(e)) for e in to_come}
    return Planned(
        request.name,
        request.title,
        list(shapes.items()),
        [(label, e, v) for (label, e), v in zip(request.outputs.items(), values, strict=False)],
        leaves,
        preferred,
        request.limit,
        _closures(request.later, values[len(request.outputs) :]),
        many,
        plan.by_size,
    )


def lower(request: Request, sizes: Mapping[str, int] | None = None, factored: bool = False) -> Lowered:
    """The values of what is asked for, in the cheapest order of operations.

    Raises   ArgumentError when ``arguments`` lacks a variable
    """
    to_come = [e for c in request.later for e in c.arguments]
    order = _order(request, to_come)
    plan = Plan(request.subgradient, sizes)
    plan.by_blocks = factored and not request.batch
    plan.later = frozenset([input_name(e) for e in to_come])
    values, preferred = _lowered(plan, request, [*order, *to_come])
    return Lowered(plan, values, preferred, _shapes(order), to_come)


def _order(request: Request, to_come: Sequence[Expr]) -> list[Expr]:
    """The arguments, those of later functions left out.

    Raises   ArgumentError when one is missing
    """
    found = [e for e in inputs(request.roots) if e is not request.stacked and e not in to_come]
    if request.arguments is None:
        return found
    order = list(dict.fromkeys(request.arguments))
    absent = [input_name(e) for e in found if e not in order]
    if absent:
        raise ArgumentError(f"the arguments lack {', '.join(absent)}, which the expression needs")
    return order


def _shapes(arguments: Sequence[Expr]) -> dict[str, ArrayShape]:
    """The arguments by name.

    Raises   ArgumentError when two of several shapes have one name
    """
    taken: dict[str, Expr] = {}
    for e in arguments:
        other = taken.setdefault(input_name(e), e)
        if other.shape != e.shape:
            raise ArgumentError(f"{input_name(e)} is used as {shape_text(other.shape)} and as {shape_text(e.shape)}")
    return {label: array_shape(e) for label, e in taken.items()}


def _lowered(plan: Plan, request: Request, arguments: Sequence[Expr]) -> tuple[list[Value], dict[Value, str]]:
    """The values of the results in the cheapest order of operations, and names for values."""
    labels = {e: input_name(e) for e in arguments}
    roots, v = request.roots, request.stacked
    walks = []

    def walked() -> list[Value]:
        walk = lowering(plan, labels)
        walks.append(walk)
        if v is None:
            return lowered(walk, roots)
        return [stack(walk, e, v) if _is_linear(e, v) else lowered(walk, [e])[0] for e in roots]

    values = cheapest(plan, walked)
    if request.later:
        values = hoisted(plan, distributed(plan, values))
    names = request.names or {}
    return values, {walk.values[e]: label for walk in walks for e, label in names.items() if e in walk.values}


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


def _is_linear(e: Expr, v: Expr) -> bool:
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


__all__ = ["LIMIT", "Lowered", "Planned", "Request", "input_name", "inputs", "lower", "planned", "requested"]
