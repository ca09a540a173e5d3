"""Functions in two stages: what depends on the first arguments only is computed once, the rest for each later argument.

    def hvp(X, y, w):
        ...                      # the forward part
        def product(v):
            ...                  # all that depends on v
            return ...
        return product

Several functions may share one first stage, as the product with a Jacobian and the one with its transpose do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matcalc.expr import Expr
from matcalc.lowering.code import Code
from matcalc.lowering.lifetimes import written
from matcalc.lowering.numpy_source import Writer, outside
from matcalc.lowering.plan import LOOPS, VIEWS, ArrayShape, Plan, Value, reachable


class Later(NamedTuple):
    """What is asked for: a function of arguments that come later."""

    name: str
    title: str
    arguments: tuple[Expr, ...]
    outputs: dict[str, Expr]


class Closure(NamedTuple):
    """The same, put into a plan."""

    name: str
    title: str
    arguments: list[tuple[str, ArrayShape]]
    results: list[tuple[str, Expr, Value]]


class Written(NamedTuple):
    """A closure as text.

    ``arguments``  their codes; ``results`` those of what it returns
    ``lines``      its statements, and ``matrices`` the names of matrices in them
    """

    name: str
    closure: Closure
    arguments: list[str]
    lines: list[str]
    results: list[Code]
    matrices: set[str]


def hoisted(plan: Plan, roots: Sequence[Value]) -> list[Value]:
    """The roots with what later arguments do not change taken out of products with what they do: ``(a*b)*v``.

    The part taken out is never larger than the largest of its factors.
    """
    new: dict[Value, Value] = {}
    for v in reachable(roots):
        args = tuple([new[a] for a in v.args])
        if v.op == "mul" and v.later:
            new[v] = _regrouped(plan, v, args)
        else:
            new[v] = v if args == v.args else plan.value(v.op, args, v.shape, *v.attrs)
    return [new[r] for r in roots]


def _regrouped(plan: Plan, v: Value, args: tuple[Value, ...]) -> Value:
    coefficient, count = v.attrs
    fixed = [k for k, a in enumerate(args) if not a.later and not a.weak]
    shapes = {args[k].shape for k in fixed}
    largest = max(shapes, key=len, default=())
    if not fixed and len(args) == count == 1 and args[0].op == "dot":
        return _scaled(plan, v, args[0])
    if len(fixed) < 2 or not shapes <= {(), largest}:
        return plan.value("mul", args, v.shape, *v.attrs) if args != v.args else v
    above = [args[k] for k in fixed if k < count]
    whole = plan.value("mul", tuple([args[k] for k in fixed]), largest, coefficient, len(above))
    rest = [(k, a) for k, a in enumerate(args) if k not in fixed]
    over = [a for k, a in rest if k < count]
    under = [a for k, a in rest if k >= count]
    return plan.value("mul", (whole, *over, *under), v.shape, 1, 1 + len(over))


def _scaled(plan: Plan, v: Value, product: Value) -> Value:
    """A number times a product: times its factor that is computed before."""
    coefficient = v.attrs[0]
    for k, a in enumerate(product.args):
        if not a.later and a.op not in VIEWS and a.op != "arg":
            scaled = plan.value("mul", (a,), a.shape, coefficient, 1)
            args = (scaled, product.args[1]) if k == 0 else (product.args[0], scaled)
            return plan.value("dot", args, product.shape)
    return plan.value("mul", (product,), v.shape, *v.attrs)


def before_later(values: Sequence[Value]) -> list[Value]:
    """The values that later arguments do not change, next to those that they do: to be computed before."""
    before: dict[Value, None] = {}
    seen: set[Value] = set()
    rest = list(values)[::-1]
    while rest:
        v = rest.pop()
        if v in seen:
            continue
        seen.add(v)
        if v.later:
            rest.extend((outside(v) if v.op in LOOPS else v.args)[::-1])
        else:
            before[v] = None
    return list(before)


def write(
    writer: Writer, plain: Sequence[Value], closures: Sequence[Closure], leaves: Mapping[str, Value]
) -> tuple[list[Code], list[Written], set[Value]]:
    """Writes what comes first; gives the code of ``plain``, the closures, and the values that they share."""
    before = before_later([v for c in closures for _, _, v in c.results])
    codes = written(writer, [*plain, *before], len(plain))
    for v, code in zip(before, codes[len(plain) :], strict=True):
        if not writer.is_named(v):
            writer.assign(v, code, "    ")
    found = []
    for c in closures:
        name = writer.names.take(c.name)
        with writer.nested() as lines:
            taken = [writer.names.take(shown) for shown, _ in c.arguments]
            for (shown, _), name_of in zip(c.arguments, taken, strict=True):
                writer.bind(leaves[shown], name_of)
            results = written(writer, [v for _, _, v in c.results], len(c.results), "        ")
            matrices = writer.matrices()
        found.append(Written(name, c, taken, lines, results, matrices))
    return codes[: len(plain)], found, set(before)


def checks(writer: Writer, written: Written) -> list[str]:
    """That the later arguments are arrays of the precision and the shapes that they should have."""
    writer.needs_dtype = True
    out = []
    for (shown, shape), code in zip(written.closure.arguments, written.arguments, strict=True):
        sizes = ", ".join(writer.size(d).text for d in shape) + ("," if len(shape) == 1 else "")
        usual = f"type({code}) is ndarray and {code}.dtype is dtype and {code}.shape == ({sizes})"
        out.append(f"        if not ({usual}):" if shape else f"        if type({code}) is not dtype.type:")
        out.append(f"            {code} = rt.later({shown!r}, {code}, ({sizes}), dtype)")
    return out


__all__ = ["Closure", "Later", "Written", "before_later", "checks", "hoisted", "write"]
