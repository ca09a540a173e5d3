"""A batch: one function of many items at once, whose arrays have one more axis in front.

The values of a plan are built again, operands first: each that depends on a batched argument has the axis of the batch
in front of its own (batch.py). A value that all items share stays as it is and meets the others by broadcasting, or as
the other factor of one matrix product over the whole batch (batch_products.py). What has no rule is computed item by
item.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from matcalc.dims import ONE, dim
from matcalc.errors import ArgumentError
from matcalc.lowering import batch_arrays, batch_calls, batch_products
from matcalc.lowering.batch import Batch, Rules
from matcalc.lowering.plan import ArrayShape, Plan, Value, reachable
from matcalc.lowering.signature import bindings
from matcalc.syntax.spelling import canonical

RULES: Rules = {**batch_arrays.RULES, **batch_products.RULES, **batch_calls.RULES}


def in_batches(
    plan: Plan,
    roots: Sequence[Value],
    rows: Sequence[bool],
    names: Collection[str],
    shapes: Mapping[str, ArrayShape],
    preferred: Mapping[Value, str],
    *,
    portable: bool = False,
) -> tuple[list[Value], dict[str, ArrayShape], dict[Value, str]]:
    """The results of a function, the shapes of its arguments and its names for values, for a batch.

    ``rows``      which results are rows: they have two axes for each item
    ``portable``  for other targets than NumPy with matcalc's runtime
    """
    taken = {*shapes, *[d for v in reachable(roots) for d in _sizes_in(v)]}
    taken.update([d for shape in shapes.values() for size in shape for d in size.names])
    size = dim(unused("batch", taken))
    many = {name: (size, *shape) if name in names else shape for name, shape in shapes.items()}
    batch = Batch(plan, RULES, names, size, bindings(list(many.values())), portable)
    batch.put([*roots, *preferred])
    found = []
    for v, row in zip(roots, rows, strict=True):
        if row and v.rank == 1:
            found.append(batch.spread(batch.marked(v, [False, True]), (size, ONE, *v.shape)))
        else:
            found.append(batch.repeated(v))
    return found, many, {batch.of(v): name for v, name in preferred.items()}


def _sizes_in(v: Value) -> Iterable[str]:
    if v.op == "size":
        yield from v.attrs[0].names
    for d in v.shape:
        yield from d.names


def batched_names(
    batch: str | Sequence[str], there: Collection[str] | None = None, ignored: Collection[str] = ()
) -> tuple[str, ...]:
    """The names of the arguments that are a batch: ``"x, b"`` or ``("x", "b")``.

    ``there``    the names of all arguments
    ``ignored``  other names that may be among them

    Raises   ArgumentError when one is neither, or none is an argument
    """
    texts = [batch] if isinstance(batch, str) else batch
    parts = [part.strip() for text in texts for part in text.split(",")]
    names = tuple(dict.fromkeys([canonical(part) for part in parts if part]))
    if there is None:
        return names
    known = list(dict.fromkeys([*there, *sorted(ignored)]))
    for name in names:
        if name not in known:
            raise ArgumentError(f"{name} of the batch is no argument", hint=f"there is {', '.join(known) or 'none'}")
    found = tuple([name for name in names if name in there])
    if names and not found:
        raise ArgumentError(f"the result does not depend on {', '.join(names)}, so it has no batch")
    return found


def unused(name: str, taken: Collection[str]) -> str:
    """``name``, or what is like it and not taken."""
    found, k = name, 1
    while found in taken:
        k += 1
        found = f"{name}_{k}"
    return found


__all__ = ["batched_names", "in_batches"]
