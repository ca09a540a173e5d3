"""Two factors side by side in a product of matrices: inverses cancel, powers join, unit vectors pick entries."""

from __future__ import annotations

from collections.abc import Sequence

from matcalc.expr import Expr, Number, make
from matcalc.facts import ORTHOGONAL, has
from matcalc.primitives.algebra import ADD, PRODUCT, TRANSPOSE
from matcalc.primitives.leaves import Commutation, Identity, const, number_of
from matcalc.primitives.matrix import ADJ, DET, INV, MATRIX_POWER, Adj, Inv, MatrixPower
from matcalc.primitives.products import INNER, KhatriRao, Kron
from matcalc.primitives.reductions import TRACE
from matcalc.primitives.structure import ALL, AT, Diagonal, Slice, Unit, Vec
from matcalc.simplify import hadamards, heads, mixed, powers, products, sums, transposes
from matcalc.simplify.cost import look
from matcalc.simplify.terms import exact, term, together

_POWERS = (INV, MATRIX_POWER)
_COMBINING = {Adj, Commutation, Diagonal, Identity, Inv, KhatriRao, Kron, MatrixPower, Slice, Unit, Vec}
_LINEAR = (TRACE, INNER, PRODUCT, TRANSPOSE)  # in each argument
_RUN = 8  # factors of a product that is looked for beside its inverse
Parts = tuple[Number, Sequence[Expr], Sequence[Expr]]


def joined(a: Expr, b: Expr) -> Parts | None:
    """What two factors side by side become; every case leaves fewer factors."""
    if a is not b and not (_combines(a) or _combines(b)):
        return (1, (), ()) if _are_turned(a, b) else None
    if isinstance(a.op, Identity):
        return 1, (), (b,)
    if isinstance(b.op, Identity):
        return 1, (), (a,)
    found = mixed.joined(a, b)
    if found is not None:
        return together(found)
    if isinstance(a.op, Diagonal) and isinstance(b.op, Diagonal):
        return term(products.unary(a.op, hadamards.hadamard(a.args[0], b.args[0])))
    if _are_turned(a, b):
        return 1, (), ()
    if a.rows is a.cols and (a is b or _is_power(a) or _is_power(b)):
        x, j = matrix_power(a)
        y, k = matrix_power(b)
        if x is y:
            total = exact(j + k) if not isinstance(j, Expr) and not isinstance(k, Expr) else None
            if total is None:
                exponent = sums.plus(j if isinstance(j, Expr) else const(j), k if isinstance(k, Expr) else const(k))
                number = number_of(exponent)
                if number is None:
                    return 1, (), (make(MATRIX_POWER, (x, exponent)),)
                total = number
            return 1, (), () if total == 0 else (raised(x, total),)
    if a.op is INV and b.op is INV and (a.args[0].op is ADD or b.args[0].op is ADD):
        whole = products.times(b.args[0], a.args[0])
        if look(whole).cost < look(a.args[0]).cost + look(b.args[0]).cost:
            return 1, (), (products.unary(INV, whole),)
    return _adjugates(a, b) or _entry(a, b)


def _combines(e: Expr) -> bool:
    """Whether a factor may become one with another beside it: all but orthogonal matrices, and powers of one matrix."""
    op = e.args[0].op if e.op is TRANSPOSE else e.op
    return type(op) in _COMBINING or (op is ADD and mixed.matters(e))


def _are_turned(a: Expr, b: Expr) -> bool:
    """Whether an orthogonal matrix stands beside its transpose."""
    return a.rows is b.cols and has(b, ORTHOGONAL) and a is transposes.transposed(b)


def _adjugates(a: Expr, b: Expr) -> Parts | None:
    """Powers of a matrix beside powers of its adjugate: ``X^2*adj(X)`` is ``det(X)*X``."""
    (x, j), (y, k) = matrix_power(a), matrix_power(b)
    if not isinstance(j, int) or not isinstance(k, int) or min(j, k) < 1:
        return None
    if _adjugated(x) is not y and _adjugated(y) is not x:
        return None
    n = min(j, k)
    left = [raised(f, p - n) for f, p in ((x, j), (y, k)) if p > n]
    det = products.unary(DET, y if _adjugated(x) is y else x)
    return 1, (powers.power(det, const(n)),), tuple(left)


def _adjugated(a: Expr) -> Expr | None:
    """The A of ``adj(A)``."""
    if a.op is TRANSPOSE and a.args[0].op is ADJ:
        return transposes.transposed(a.args[0].args[0])
    return a.args[0] if a.op is ADJ else None


def cancelled(factors: list[Expr]) -> list[Expr]:
    """The factors without a product at their end that stands beside its own inverse: ``(X'*X)^-1*X'*X`` is I."""
    x, k = matrix_power(factors[-1])
    n = len(x.args)
    if x.op is PRODUCT and isinstance(k, int) and k < 0 and tuple(factors[-1 - n : -1]) == x.args:
        return [*factors[: -1 - n], *([raised(x, k + 1)] if k + 1 else [])]
    for i in range(max(0, len(factors) - 1 - _RUN), len(factors) - 2):
        if _is_power(factors[i]):
            x, k = matrix_power(factors[i])
            if x.op is PRODUCT and isinstance(k, int) and k < 0 and tuple(factors[i + 1 :]) == x.args:
                return [*factors[:i], *([raised(x, k + 1)] if k + 1 else [])]
    return factors


def inverts(a: Expr, b: Expr) -> bool:
    """Whether two factors side by side cancel without an inverse: an orthogonal matrix, its transpose; diagonals."""
    if isinstance(a.op, Diagonal) and isinstance(b.op, Diagonal):
        return look(hadamards.hadamard(a.args[0], b.args[0])).cost < max(look(a).cost, look(b).cost)
    return _are_turned(a, b)


def _entry(a: Expr, b: Expr) -> Parts | None:
    """A variable by a unit vector as its row, column or entry: ``e(i,n)'*x`` is ``x[i]``."""
    if isinstance(b.op, Unit) and _is_named(a):
        return term(heads.applied(Slice(ALL, AT), (a, b.args[0])))
    if a.op is TRANSPOSE and isinstance(a.args[0].op, Unit) and _is_named(b):
        return term(heads.applied(Slice(AT, ALL), (b, a.args[0].args[0])))
    return None


def _is_named(e: Expr) -> bool:
    e = e.args[0] if e.op is TRANSPOSE else e
    return e.op.is_variable or isinstance(e.op, Slice)


def _is_power(a: Expr) -> bool:
    return a.op in _POWERS or (a.op is TRANSPOSE and a.args[0].op in _POWERS)


def matrix_power(a: Expr) -> tuple[Expr, Number | Expr]:
    """Base and exponent of a square factor."""
    if a.op is TRANSPOSE and (a.args[0].op is INV or a.args[0].op is MATRIX_POWER):
        base, k = matrix_power(a.args[0])
        return transposes.transposed(base), k
    if a.op is INV:
        return a.args[0], -1
    if a.op is MATRIX_POWER:
        number = number_of(a.args[1])
        return a.args[0], a.args[1] if number is None else number
    return a, 1


def raised(a: Expr, k: Number) -> Expr:
    if k == 1:
        return a
    return products.unary(INV, a) if k == -1 else make(MATRIX_POWER, (a, const(k)))


def adjugate(scalars: list[Expr], factors: list[Expr]) -> list[Expr] | None:
    """``adj(A)/det(A)`` is the inverse, and ``det(A)*A^-1`` the adjugate."""
    for i, s in enumerate(scalars):
        base, p = powers.split(s)
        if base.op is not DET or isinstance(p, Expr) or not (isinstance(p, int) or p < 0):
            continue
        source, target = (ADJ, INV) if p < 0 else (INV, ADJ)
        for k, f in enumerate(factors):
            inner = f.args[0] if f.op is TRANSPOSE else f
            if inner.op is source and inner.args[0] is base.args[0]:
                new = make(target, inner.args)
                new = transposes.transposed(new) if f.op is TRANSPOSE else new
                left = exact(p + 1) if p < 0 else exact(p - 1)
                rest = [powers.raised(base, left)] if left else []
                return [*scalars[:i], *rest, *scalars[i + 1 :], *factors[:k], new, *factors[k + 1 :]]
        for k, f in enumerate(scalars if p < 0 else ()):
            inner = _inverted(f, base.args[0])
            if inner is not f:
                rest = [powers.raised(base, exact(p + 1))] if p != -1 else []
                return [*(a for j, a in enumerate(scalars) if j not in (i, k)), *rest, inner, *factors]
    return None


def _inverted(f: Expr, x: Expr) -> Expr:
    """A trace, an inner product or a row by a column with ``adj(x)``, its one adjugate, replaced by the inverse."""
    if f.op is ADJ and f.args[0] is x:
        return make(INV, f.args)
    if f.op in _LINEAR:
        for k, a in enumerate(f.args):
            new = _inverted(a, x)
            if new is not a:
                return heads.applied(f.op, (*f.args[:k], new, *f.args[k + 1 :]))
    return f


__all__ = ["Parts", "adjugate", "cancelled", "inverts", "joined", "matrix_power", "raised"]
