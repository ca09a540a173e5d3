"""The operators of the algebra, handed to the functions that build their normal forms."""

from __future__ import annotations

from matcalc.expr import Expr
from matcalc.primitives.algebra import Add, Hadamard, Power, Product, Transpose
from matcalc.primitives.base import Primitive
from matcalc.simplify import hadamards, powers, products, sums, transposes
from matcalc.simplify.handlers import handles


@handles(Add)
def _sum(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    return sums.plus(*args)


@handles(Product)
def _product(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    return products.times(*args)


@handles(Hadamard)
def _hadamard(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    return hadamards.hadamard(*args)


@handles(Power)
def _power(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    return powers.power(*args)


@handles(Transpose)
def _transpose(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    return transposes.transposed(args[0])
