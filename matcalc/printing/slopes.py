"""Slopes of known functions by their names: ``tanh'(z)`` for ``1 - tanh(z).^2``, where the function itself is met."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction

from matcalc.calculus.differential import differential
from matcalc.expr import Expr, make, postorder, rebuild, substitute
from matcalc.primitives.algebra import HADAMARD, POWER, PRODUCT, power, product
from matcalc.primitives.elementwise import FUNCTIONS
from matcalc.primitives.functions import Defined, Elementwise, Function
from matcalc.primitives.leaves import const, number_of, ones, var
from matcalc.primitives.loops import free_indices
from matcalc.simplify import simplify
from matcalc.simplify.terms import term

_PRIMED = frozenset(
    FUNCTIONS[name] for name in ("tanh", "sigmoid", "silu", "gelu", "tan", "asin", "acos", "atan", "relu")
)
_ORDERS = 2  # derivatives that are found: a Hessian has second ones


class _Slope:
    """A derivative of a known function at a place, under its name and in closed form."""

    def __init__(self, function: Function, order: int, z: Expr) -> None:
        t, u = var("t"), var("?t", z.shape)
        self.named = make(Elementwise(Defined(function.name, t, function(t)), order), (z,))
        closed = function(u)
        for _ in range(order):
            closed = simplify(differential(closed, {u: const(1) if z.is_scalar else ones(*z.shape)}))
        self.closed = simplify(substitute(closed, {u: z}))
        number, scalars, factors = term(self.closed)
        self.number = number
        core = scalars if z.is_scalar else factors[0].args if factors and factors[0].op is HADAMARD else ()
        self.core = _exponents(core if z.is_scalar or not scalars else ())

    def taken_from(self, node: Expr) -> tuple[Expr, list[Expr]] | None:
        """A product without the slope: the number that is left of that times its name, and the other factors."""
        entries = [e for e in node.args if e.is_scalar == self.named.is_scalar]
        left = _exponents(entries)
        if len(self.core) < 2 or any(left[base] < p for base, p in self.core.items()):
            return None
        kept: list[Expr] = [e for e in node.args if e not in entries]
        left.subtract(self.core)
        kept = [power(base, p) for base, p in left.items() if p] + kept
        return product(Fraction(1) / self.number, self.named), kept


def _exponents(factors: Iterable[Expr]) -> Counter[Expr]:
    found: Counter[Expr] = Counter()
    for f in factors:
        p = number_of(f.args[1]) if f.op is POWER else None
        if isinstance(p, int) and p > 0:
            found[f.args[0]] += p
        else:
            found[f] += 1
    return found


def primed(exprs: Sequence[Expr], about: Iterable[Expr] = ()) -> list[Expr]:
    """Simplified expressions with ``tanh'(z)`` for ``1 - tanh(z).^2``, and so on, also for second derivatives."""
    places: dict[tuple[Function, Expr], None] = {}
    for node in postorder([*[simplify(e) for e in about], *exprs]):
        op = node.op
        if isinstance(op, Elementwise) and not op.order and op.function in _PRIMED and not free_indices(node):
            places[op.function, node.args[0]] = None
    slopes = [_Slope(function, order, z) for order in range(_ORDERS, 0, -1) for function, z in places]
    whole = {s.closed: s.named for s in reversed(slopes) if s.closed.args}
    done: dict[Expr, Expr] = {}

    def parted(node: Expr) -> Expr | None:
        for s in slopes:
            found = s.taken_from(node)
            if found is not None:
                name, rest = found
                return node.op.construct((name, *[done.get(e) or substitute(e, done) for e in rest]))
        return None

    for node in postorder(exprs) if slopes else ():
        found = whole.get(node)
        if found is None and (node.op is HADAMARD or node.op is PRODUCT):
            found = parted(node)
        done[node] = found or rebuild(node, tuple([done[a] for a in node.args]))
    return [simplify(done[e]) if slopes else e for e in exprs]


__all__ = ["primed"]
