"""Ways to write the same expression differently, one place at a time, from a seed."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from random import Random

from matcalc.dims import ONE
from matcalc.expr import Expr, make, postorder, rebuild
from matcalc.primitives.algebra import ADD, HADAMARD, POWER, PRODUCT, add, hadamard, product, transpose
from matcalc.primitives.elementwise import FUNCTIONS
from matcalc.primitives.functions import Elementwise
from matcalc.primitives.leaves import const, identity, number_of, ones, size
from matcalc.primitives.products import inner
from matcalc.primitives.reductions import Mean, Norm2, Sum, Trace, total, tr
from matcalc.primitives.softmax import LogSoftmax, LogSumExp, Softmax
from matcalc.primitives.structure import Diagonal, diagonal

Move = Callable[[Expr, Random], Expr | None]
HALF = Fraction(1, 2)


def _of(name: str, x: Expr) -> Expr:
    return FUNCTIONS[name](x)


def _is(e: Expr, name: str) -> bool:
    return isinstance(e.op, Elementwise) and not e.op.order and e.op.function is FUNCTIONS[name]


# Sums


def other_order(e: Expr, rng: Random) -> Expr | None:
    if e.op not in (ADD, HADAMARD):
        return None
    return rebuild(e, tuple(rng.sample(e.args, len(e.args))))


def minus_the_negative(e: Expr, rng: Random) -> Expr | None:
    """``a + b`` as ``-(-a - b)``."""
    if e.op is not ADD:
        return None
    return -add(*[-a for a in e.args], shape=e.shape)


def distributed(e: Expr, rng: Random) -> Expr | None:
    """``A*(B + C)`` as ``A*B + A*C``, of matrices, numbers or entry by entry."""
    if e.op not in (PRODUCT, HADAMARD):
        return None
    places = [i for i, a in enumerate(e.args) if a.op is ADD and (a.is_scalar or not any(b.is_scalar for b in a.args))]
    if not places:
        return None
    i = rng.choice(places)
    join = product if e.op is PRODUCT else hadamard
    return add(*[join(*e.args[:i], a, *e.args[i + 1 :]) for a in e.args[i].args], shape=e.shape)


def in_two_halves(e: Expr, rng: Random) -> Expr | None:
    return add(e / 2, e / 2) if e.is_scalar and not e.is_zero else None


def nothing_added(e: Expr, rng: Random) -> Expr | None:
    """``A`` as ``2*A - A``."""
    return 2 * e - e if e.args and not e.is_zero else None


# Products


def transposed(e: Expr, rng: Random) -> Expr | None:
    """``A*B`` as ``(B'*A')'``, and ``A + B`` as ``(A' + B')'``."""
    if e.op is PRODUCT and not any(a.is_scalar for a in e.args):
        return transpose(product(*[transpose(a) for a in reversed(e.args)]))
    if e.op in (ADD, HADAMARD) and not e.is_scalar and not any(a.is_scalar for a in e.args):
        return transpose(rebuild(e, tuple([transpose(a) for a in e.args])))
    return None


def _row_and_column(e: Expr, rng: Random) -> tuple[Expr, Expr] | None:
    if e.op is not PRODUCT or not e.is_scalar or e.args[0].rows is not ONE or e.args[0].is_scalar:
        return None
    if any(a.is_scalar for a in e.args):
        return None
    i = rng.randrange(1, len(e.args))
    return product(*e.args[:i]), product(*e.args[i:])


def through_sum(e: Expr, rng: Random) -> Expr | None:
    """``x'*y`` as ``sum(x .* y)``."""
    parts = _row_and_column(e, rng)
    return total(hadamard(transpose(parts[0]), parts[1])) if parts else None


def through_inner(e: Expr, rng: Random) -> Expr | None:
    """``x'*y`` as ``<x, y>``."""
    parts = _row_and_column(e, rng)
    return inner(transpose(parts[0]), parts[1]) if parts else None


def through_trace(e: Expr, rng: Random) -> Expr | None:
    """``x'*y`` as ``tr(y*x')``."""
    parts = _row_and_column(e, rng)
    return tr(product(parts[1], parts[0])) if parts else None


def read_backwards(e: Expr, rng: Random) -> Expr | None:
    """``x'*A*y`` as ``y'*A'*x``."""
    if _row_and_column(e, rng) is None:
        return None
    return product(*[transpose(a) for a in reversed(e.args)])


def trace_turned(e: Expr, rng: Random) -> Expr | None:
    """``tr(A*B)`` as ``tr(B*A)``, ``sum(A' .* B)`` or ``tr(B'*A')``."""
    if not isinstance(e.op, Trace) or e.args[0].op is not PRODUCT or any(a.is_scalar for a in e.args[0].args):
        return None
    factors = e.args[0].args
    i = rng.randrange(1, len(factors))
    a, b = product(*factors[:i]), product(*factors[i:])
    return rng.choice([tr(product(b, a)), total(hadamard(transpose(a), b)), tr(product(transpose(b), transpose(a)))])


def sum_by_ones(e: Expr, rng: Random) -> Expr | None:
    """``sum(A)`` as ``ones'*A*ones``."""
    if not isinstance(e.op, Sum) or e.op.axis is not None:
        return None
    x = e.args[0]
    left = [] if x.rows is ONE else [transpose(ones(x.rows))]
    right = [] if x.cols is ONE else [ones(x.cols)]
    return product(*left, x, *right)


def mean_by_sum(e: Expr, rng: Random) -> Expr | None:
    if not isinstance(e.op, Mean) or e.op.axis is not None:
        return None
    return total(e.args[0]) / size(e.args[0].rows * e.args[0].cols)


def norm_squared(e: Expr, rng: Random) -> Expr | None:
    """``norm2(A)^2`` as ``tr(A'*A)``, ``sum(A.^2)`` or ``<A, A>``."""
    if e.op is not POWER or number_of(e.args[1]) != 2 or not isinstance(e.args[0].op, Norm2):
        return None
    a = e.args[0].args[0]
    return rng.choice([tr(product(transpose(a), a)), total(a.square()), inner(a, a), total(hadamard(a, a))])


def norm_by_root(e: Expr, rng: Random) -> Expr | None:
    if not isinstance(e.op, Norm2):
        return None
    return rng.choice([_of("sqrt", total(e.args[0].square())), total(e.args[0].square()) ** HALF])


def by_diagonal(e: Expr, rng: Random) -> Expr | None:
    """``x .* y`` as ``diag(x)*y``."""
    if e.op is not HADAMARD or not e.is_column or any(a.is_scalar for a in e.args):
        return None
    return product(diagonal(e.args[0]), hadamard(*e.args[1:]))


def by_entries(e: Expr, rng: Random) -> Expr | None:
    """``diag(x)*y`` as ``x .* y``."""
    if e.op is PRODUCT and e.is_column and isinstance(e.args[0].op, Diagonal) and e.args[1].is_column:
        return hadamard(e.args[0].args[0], product(*e.args[1:]))
    return None


def by_identity(e: Expr, rng: Random) -> Expr | None:
    """``A*x`` as ``A*I*x``."""
    if e.op is not PRODUCT or e.is_scalar or e.args[0].is_scalar or e.args[-1].is_scalar or e.args[0].cols is ONE:
        return None
    return product(e.args[0], identity(e.args[0].cols), *e.args[1:])


# Powers and functions


def square_as_product(e: Expr, rng: Random) -> Expr | None:
    if e.op is not POWER or number_of(e.args[1]) != 2:
        return None
    return hadamard(e.args[0], e.args[0]) if not e.is_scalar else product(e.args[0], e.args[0])


def reciprocal(e: Expr, rng: Random) -> Expr | None:
    """``u/v`` as ``1/(v/u)`` would need u not 0; ``v^-1`` as ``v/v^2`` does not."""
    if e.op is not POWER or number_of(e.args[1]) != -1 or not e.is_scalar:
        return None
    return product(e.args[0], e.args[0] ** -2)


def by_exponentials(e: Expr, rng: Random) -> Expr | None:
    """Functions of entries through others."""
    if not isinstance(e.op, Elementwise):
        return None
    (x,) = e.args
    one = const(1)
    ways = {
        "sigmoid": [
            lambda: (add(one, _of("exp", -x), shape=x.shape)) ** -1,
            lambda: add(one, -_of("sigmoid", -x), shape=x.shape),
            lambda: hadamard(_of("exp", x), add(one, _of("exp", x), shape=x.shape) ** -1),
        ],
        "tanh": [
            lambda: add(2 * _of("sigmoid", 2 * x), -one, shape=x.shape),
            lambda: -_of("tanh", -x),
            lambda: hadamard(_of("sinh", x), _of("cosh", x) ** -1),
        ],
        "softplus": [
            lambda: _of("log", add(one, _of("exp", x), shape=x.shape)),
            lambda: -_of("log", _of("sigmoid", -x)),
            lambda: x + _of("softplus", -x),
        ],
        "silu": [lambda: hadamard(x, _of("sigmoid", x))],
        "log1p": [lambda: _of("log", add(one, x, shape=x.shape))],
        "expm1": [lambda: add(_of("exp", x), -one, shape=x.shape)],
        "exp": [lambda: _of("exp", -x) ** -1, lambda: _of("exp", x / 2).square()],
        "sqrt": [lambda: x**HALF],
        "abs": [lambda: hadamard(x, _of("sign", x)), lambda: _of("abs", -x)],
        "cosh": [lambda: (_of("exp", x) + _of("exp", -x)) / 2],
        "tan": [lambda: hadamard(_of("sin", x), _of("cos", x) ** -1)],
    }
    for name, found in ways.items():
        if _is(e, name):
            return rng.choice(found)()
    if _is(e, "log") and _is(x, "sigmoid"):
        return -_of("softplus", -x.args[0])
    return None


def softmax_by_exponentials(e: Expr, rng: Random) -> Expr | None:
    if not isinstance(e.op, (Softmax, LogSoftmax, LogSumExp)) or not e.args[0].is_column:
        return None
    (x,) = e.args
    normal = LogSumExp(0)(x)
    if isinstance(e.op, LogSumExp):
        return _of("log", total(_of("exp", x)))
    if isinstance(e.op, LogSoftmax):
        return rng.choice([add(x, -normal, shape=x.shape), _of("log", make(Softmax(0), (x,)))])
    return rng.choice([_of("exp", x) / total(_of("exp", x)), _of("exp", add(x, -normal, shape=x.shape))])


MOVES: dict[str, Move] = {
    move.__name__: move
    for move in (
        other_order,
        minus_the_negative,
        distributed,
        in_two_halves,
        nothing_added,
        transposed,
        through_sum,
        through_inner,
        through_trace,
        read_backwards,
        trace_turned,
        sum_by_ones,
        mean_by_sum,
        norm_squared,
        norm_by_root,
        by_diagonal,
        by_entries,
        by_identity,
        square_as_product,
        reciprocal,
        by_exponentials,
        softmax_by_exponentials,
    )
}
_SELDOM = {"in_two_halves", "nothing_added", "other_order", "minus_the_negative", "by_identity"}


def rewritten(e: Expr, rng: Random, moves: int = 2) -> tuple[Expr, list[str]]:
    """The expression with some of its parts written in another way, and the names of the moves."""
    done: list[str] = []
    for _ in range(moves):
        nodes = [node for node in postorder([e]) if node.args and not node.op.is_variable]
        found: list[tuple[str, Expr, Expr]] = []
        for name, move in MOVES.items():
            if name in _SELDOM and rng.random() < 0.6:
                continue
            hits = [(node, new) for node in nodes if (new := move(node, rng)) is not None and new is not node]
            if hits:
                found.append((name, *rng.choice(hits)))
        if not found:
            break
        name, node, new = rng.choice(found)
        assert new.shape == node.shape, name
        e = _exchanged(e, node, new)
        done.append(name)
    return e, done


def _exchanged(e: Expr, old: Expr, new: Expr) -> Expr:
    done: dict[Expr, Expr] = {}
    for node in postorder([e]):
        done[node] = new if node is old else rebuild(node, tuple([done[a] for a in node.args]))
    return done[e]


__all__ = ["MOVES", "rewritten"]
