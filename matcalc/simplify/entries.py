"""Functions applied entry by entry, and the softmax family."""

from __future__ import annotations

from collections.abc import Callable

from matcalc.dims import ONE
from matcalc.expr import Expr, make
from matcalc.facts import NONNEGATIVE, POSITIVE, has
from matcalc.primitives import elementwise as rows
from matcalc.primitives.algebra import ADD, POWER, TRANSPOSE
from matcalc.primitives.base import Primitive, zeros
from matcalc.primitives.functions import Elementwise, Known
from matcalc.primitives.leaves import Ones, const, number_of, ones
from matcalc.primitives.reductions import Sum
from matcalc.primitives.softmax import LogSoftmax, LogSumExp, Softmax
from matcalc.simplify import differences, hadamards, powers, products, sums, transposes
from matcalc.simplify.handlers import handles
from matcalc.simplify.terms import assembled, term

_ODD = {rows.sin, rows.tan, rows.asin, rows.atan, rows.sinh, rows.tanh, rows.sign, rows.erf}
_EVEN = {rows.cos, rows.cosh, rows.abs_}
_AT_ZERO = dict.fromkeys((rows.exp, rows.cos, rows.cosh), 1) | dict.fromkeys(
    (rows.step, rows.relu, rows.silu, rows.gelu, rows.sqrt, rows.log1p, rows.expm1), 0
)


def of(function: Known, x: Expr) -> Expr:
    """A known function of a simplified argument, simplified."""
    return entrywise(Elementwise(function, 0), (x,))


@handles(Elementwise)
def entrywise(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    (x,) = args
    assert isinstance(op, Elementwise)
    function = op.function
    if x.op is TRANSPOSE:
        return transposes.transposed(entrywise(op, x.args))
    if transposes.turns(x):
        return transposes.transposed(entrywise(op, (transposes.transposed(x),)))
    if not isinstance(function, Known) or op.order:
        return make(op, args)
    if x.is_zero or (isinstance(x.op, Ones) and function is rows.log):
        if function in _ODD:
            return zeros(x.shape)
        value = 0 if function is rows.log else _AT_ZERO.get(function)
        if value is not None:
            return products.times(const(value), ones(*x.shape))
    if function in _ODD or function in _EVEN:
        c = term(x).coefficient
        if c < 0:
            turned = entrywise(op, (products.times(const(-1), x),))
            return turned if function in _EVEN else products.times(const(-1), turned)
        sign, s, m = differences.upright_term(*term(x)[1:])
        if sign < 0:
            turned = make(op, (assembled(c, s, m),))
            return turned if function in _EVEN else products.times(const(-1), turned)
    case = _CASES.get(function)
    found = case(x) if case is not None else None
    return make(op, args) if found is None else found


def _exp(x: Expr) -> Expr | None:
    c, s, m = term(x)
    (*others, last) = (*s, *hadamards.commuting(m)) or (x,)
    if others or last.op not in (Elementwise(rows.log, 0), Elementwise(rows.log1p, 0)):
        return None
    inner = last.args[0]
    if last.op is Elementwise(rows.log1p, 0):
        inner = sums.plus(const(1), inner)
    return powers.power(inner, const(c))


def _log(x: Expr) -> Expr | None:
    op = x.op
    if op is Elementwise(rows.exp, 0):
        return x.args[0]
    if number_of(x) == 1:
        return zeros(x.shape)
    if isinstance(op, Softmax):
        return make(LogSoftmax(op.axis), x.args)
    if isinstance(op, Sum) and x.args[0].op is Elementwise(rows.exp, 0):
        inner = x.args[0].args[0]
        if inner.cols is ONE or (op.axis is not None and inner.rows is not ONE):
            return make(LogSumExp(0 if op.axis is None else op.axis), (inner,))
    t = _one_plus_exp(x)
    if t is not None:
        return make(Elementwise(rows.softplus, 0), (t,))
    if op is POWER:
        k = number_of(x.args[1])
        if k is not None and (k == -1 or has(x.args[0], POSITIVE)):
            return products.times(const(k), of(rows.log, x.args[0]))
    if op.name == "det":
        from matcalc.simplify.square import logdet

        return logdet(x.args[0])
    return None


def _one_plus_exp(x: Expr) -> Expr | None:
    if x.op is ADD and len(x.args) == 2:
        for a, b in (x.args, x.args[::-1]):
            if number_of(a) == 1 and b.op is Elementwise(rows.exp, 0):
                return b.args[0]
    return None


def _log1p(x: Expr) -> Expr | None:
    return make(Elementwise(rows.softplus, 0), x.args) if x.op is Elementwise(rows.exp, 0) else None


def _sqrt(x: Expr) -> Expr | None:
    c, s, m = term(x)
    if c == 1 and all(powers.split(a)[1] == 1 for a in (*s, *hadamards.commuting(m))):
        return None
    return powers.power(x, const(powers.HALF))


def _keeps_nonnegative(x: Expr) -> Expr | None:
    return x if has(x, NONNEGATIVE) else None


def _sign(x: Expr) -> Expr | None:
    return ones(*x.shape) if has(x, POSITIVE) else None


_CASES: dict[Known, Callable[[Expr], Expr | None]] = {
    rows.exp: _exp,
    rows.log: _log,
    rows.log1p: _log1p,
    rows.sqrt: _sqrt,
    rows.abs_: _keeps_nonnegative,
    rows.relu: _keeps_nonnegative,
    rows.sign: _sign,
    rows.step: _sign,
}


@handles(Softmax, LogSoftmax, LogSumExp)
def _softmax(op: Primitive, args: tuple[Expr, ...]) -> Expr:
    (x,) = args
    assert isinstance(op, (Softmax, LogSoftmax, LogSumExp))
    if x.op is TRANSPOSE:
        return transposes.transposed(_softmax(type(op)(1 - op.axis), x.args))
    if x.op is ADD and any(a.is_scalar for a in x.args):  # a number added to all entries
        rest = _softmax(op, (sums.plus(*[a for a in x.args if not a.is_scalar]),))
        return sums.plus(rest, *[a for a in x.args if a.is_scalar]) if isinstance(op, LogSumExp) else rest
    return make(op, args)
