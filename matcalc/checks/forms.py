"""Bilinear forms (p, q) -> p'*H*q of moves of variables: second derivatives by differences, and claimed matrices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

from matcalc.checks.differences import Moves, Neighbourhood, stacked
from matcalc.checks.domain import Watch
from matcalc.checks.evaluate import Derivatives, evaluate
from matcalc.checks.sampling import Point
from matcalc.checks.taylor import name_of
from matcalc.dims import shape_text
from matcalc.expr import Expr, substitute

Pair: TypeAlias = tuple[Expr, Expr]
Blocks: TypeAlias = Mapping[Pair, Expr]
Known: TypeAlias = Mapping[str, Derivatives]


# The truth: a function, and how moves of the variables move its argument


class Curved(NamedTuple):
    """A function around a point; ``through`` is what its argument ``at`` depends on the variables by, linearised."""

    space: Neighbourhood
    through: Neighbourhood | None = None
    at: Expr | None = None

    def moves(self, moves: Moves) -> Moves:
        """What moves of the variables are to the arguments of the function."""
        if self.through is None or self.at is None:
            return moves
        return {**{x: dx for x, dx in moves.items() if x in self.space.moving}, self.at: self.through.along(moves)}


class Truth(Protocol):
    @property
    def roots(self) -> list[Expr]: ...

    def at(self, variables: Sequence[Expr], point: Point, functions: Known) -> Curved: ...


class Plain:
    """A scalar function of the variables themselves: its form is the Hessian."""

    def __init__(self, f: Expr) -> None:
        self.f = f
        self.roots = [f]

    def at(self, variables: Sequence[Expr], point: Point, functions: Known) -> Curved:
        return Curved(Neighbourhood(self.f, variables, point, functions))


class Linearised:
    """A loss at the output of a net, which moves as the linearised net says: its form is that of Gauss and Newton.

    Variables that the loss holds itself, as a regularisation does, move as they are.
    """

    def __init__(self, loss: Expr, at: Expr, net: Expr) -> None:
        self.loss, self.u, self.net = loss, at, net
        self.roots = [substitute(loss, {at: net}), net]

    def at(self, variables: Sequence[Expr], point: Point, functions: Known) -> Curved:
        through = Neighbourhood(self.net, variables, point, functions)
        there = Point(point.sizes, {**point.env, self.u: through.base})
        return Curved(Neighbourhood(self.loss, [self.u, *variables], there, functions), through, self.u)


# What is claimed


class Form(Protocol):
    def __call__(self, p: Moves, q: Moves) -> Any: ...


class Claimed(Protocol):
    what: str  # the name of a part of it

    @property
    def outputs(self) -> dict[str, Expr]: ...  # the expressions by what they are

    @property
    def roots(self) -> list[Expr]: ...

    @property
    def variables(self) -> list[Expr]: ...

    @property
    def pairs(self) -> list[Pair]: ...  # of variables, each in one order

    def misshapen(self) -> str: ...  # what is wrong with the shapes

    def bound(self, point: Point, q: Moves) -> Point: ...  # with q for the directions, where there are such

    def at(self, point: Point, functions: Known) -> Form: ...


class Matrices:
    """The blocks H_xz of a symmetric matrix; one that is not given is the transpose of H_zx."""

    what = "block"

    def __init__(self, blocks: Blocks) -> None:
        self.blocks = dict(blocks)
        self.outputs = {f"block ({name_of(x)}, {name_of(z)})": e for (x, z), e in blocks.items()}
        self.variables = list(dict.fromkeys(x for pair in blocks for x in pair))
        self.pairs = _each_once(blocks)
        self.roots = list(blocks.values())

    def misshapen(self) -> str:
        for (x, z), e in self.blocks.items():
            wanted = (x.rows * x.cols, z.rows * z.cols)
            if e.shape != wanted:
                block = f"block ({name_of(x)}, {name_of(z)})"
                return f"{block} is in {shape_text(e.shape)}, and it must be in {shape_text(wanted)}"
        return ""

    def bound(self, point: Point, q: Moves) -> Point:
        return point

    def at(self, point: Point, functions: Known) -> OfMatrices:
        values = evaluate(list(self.blocks.values()), point.env, point.sizes, functions, Watch())
        return OfMatrices(dict(zip(self.blocks, values, strict=True)))


class OfMatrices:
    """The form of matrices in numbers; a block that is not there is zero."""

    def __init__(self, blocks: Mapping[Pair, Any]) -> None:
        self.blocks = blocks

    def block(self, x: Expr, z: Expr) -> Any:
        """H_xz, or None."""
        there = self.blocks.get((x, z))
        back = self.blocks.get((z, x)) if there is None else None
        return there if back is None else back.T

    def __call__(self, p: Moves, q: Moves) -> Any:
        total: Any = 0
        for x, dx in p.items():
            for z, dz in q.items():
                block = self.block(x, z)
                total = total if block is None else total + between(stacked(dx), block, stacked(dz))
        return total


class Products:
    """Products sum_z H_xz*v_z with directions, ``directions[z]`` being the leaf v_z."""

    what = "product"

    def __init__(self, products: Mapping[Expr, Expr], directions: Mapping[Expr, Expr]) -> None:
        self.products, self.directions = dict(products), dict(directions)
        self.outputs = {f"product by {name_of(x)}": e for x, e in products.items()}
        self.variables = list(dict.fromkeys([*products, *directions]))
        self.pairs = [(x, z) for x in products for z in directions]
        self.roots = [*products.values(), *(v for v in directions.values() if v.op.is_variable)]

    def misshapen(self) -> str:
        for said, given in (("product by", self.products), ("direction of", self.directions)):
            for x, e in given.items():
                if e.shape != x.shape:
                    wanted = shape_text(x.shape)
                    return f"the {said} {name_of(x)} is in {shape_text(e.shape)}, and it must be in {wanted}"
        return ""

    def bound(self, point: Point, q: Moves) -> Point:
        still = {v: point.env[z] * 0 for z, v in self.directions.items() if z not in q}
        return Point(point.sizes, {**point.env, **still, **{v: q[z] for z, v in self.directions.items() if z in q}})

    def at(self, point: Point, functions: Known) -> Form:
        known: dict[str, Any] = {"q": None, "values": {}}

        def form(p: Moves, q: Moves) -> Any:
            if known["q"] is not q:
                there = self.bound(point, q)
                values = evaluate(list(self.products.values()), there.env, there.sizes, functions, Watch())
                known.update(q=q, values=dict(zip(self.products, values, strict=True)))
            return sum((dx * known["values"][x]).sum() for x, dx in p.items())

        return form


class Sum:
    """The sum of matrices in the same variables, as G + R; it is not compiled."""

    what = "block"

    def __init__(self, parts: Sequence[Matrices]) -> None:
        self.parts = list(parts)
        self.outputs: dict[str, Expr] = {}
        self.variables = list(dict.fromkeys(x for part in parts for x in part.variables))
        self.pairs = _each_once(pair for part in parts for pair in part.pairs)
        self.roots = [e for part in parts for e in part.roots]

    def misshapen(self) -> str:
        return next((said for part in self.parts if (said := part.misshapen())), "")

    def bound(self, point: Point, q: Moves) -> Point:
        return point

    def at(self, point: Point, functions: Known) -> Form:
        forms = [part.at(point, functions) for part in self.parts]
        return lambda p, q: sum(form(p, q) for form in forms)


def _each_once(pairs: Iterable[Pair]) -> list[Pair]:
    found: dict[Pair, None] = {}
    for x, z in pairs:
        if (z, x) not in found:
            found[x, z] = None
    return list(found)


def between(left: Any, matrix: Any, right: Any) -> Any:
    """left'*matrix*right for columns that may be mostly zeros."""
    rows, cols = ([k for k, t in enumerate(v.ravel()) if t] for v in (left, right))
    return (matrix[rows][:, cols] * left[rows] * right[cols].T).sum()


__all__ = [
    "Blocks",
    "Claimed",
    "Curved",
    "Form",
    "Linearised",
    "Matrices",
    "OfMatrices",
    "Pair",
    "Plain",
    "Products",
    "Sum",
    "Truth",
    "between",
]
