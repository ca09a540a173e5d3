"""Systems that fall apart into small ones, and Sylvester equations: solved by number, since no formula says them.

kron(P', I)*diag(vec(M))*kron(Q, I) + kron(N, I)    for each row of X the system P'*diag(M[i,:])*Q + N
kron(I, P')*diag(vec(M))*kron(I, Q) + kron(I, N)    for each column of X the system P'*diag(M[:,j])*Q + N
kron(A, B) + kron(C, D)                             B*X*A' + D*X*C' = R, a Sylvester equation
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from matcalc.dims import Shape
from matcalc.expr import Expr
from matcalc.primitives.algebra import TRANSPOSE, product, transpose
from matcalc.primitives.leaves import Identity, const, identity
from matcalc.primitives.products import KRON
from matcalc.primitives.structure import Diagonal
from matcalc.simplify import simplify
from matcalc.simplify.solving import opened, unstacked
from matcalc.simplify.terms import term

if TYPE_CHECKING:
    from matcalc.results.operators import Operator
    from matcalc.results.solving import Solve

_AT_ONCE = 2**23  # numbers of a temporary array


class _Part(NamedTuple):
    """``left*diag(middle of one row)*right`` of the system of one row; without middle ``left`` for every row."""

    left: Expr
    middle: Expr | None
    right: Expr | None


def separate(
    operator: Operator, system: Solve, given: Mapping[str, Any], sizes: Mapping[str, int]
) -> Callable[[Any], Any] | None:
    """The function of b that solves the system, where it is one of these; None for any other."""
    if len(system.system) != 1:
        return None
    ((x, _), h) = next(iter(system.system.items()))
    if x.is_scalar or x.is_column or x.is_row or next(iter(system.right.values())).shape != x.shape:
        return None
    terms = opened([h])

    def numbers(exprs: Sequence[Expr]) -> list[Any]:
        from matcalc.lowering import compile_numpy

        of = operator.of.of
        labels = {f"y{k}": e for k, e in enumerate(exprs)}
        further = [] if system.shift is None else [system.shift]
        arguments = [*of.arguments(list(exprs)), *further]
        compiled = compile_numpy(labels, arguments, functions=operator.functions, subgradient=True)
        found = compiled(**operator.taken(compiled, given, sizes))
        return list(found) if isinstance(found, tuple) else [found]

    for rows in (True, False):
        parts = [_separated(t, x.shape, rows) for t in terms]
        if all(p is not None for p in parts):
            return _each([p for p in parts if p is not None], x.shape, rows, numbers, sizes)
    pairs = _pairs(terms, x.shape)
    return None if pairs is None else _sylvester(pairs, x.shape, numbers, sizes)


# Small systems, one for each row or column


def _separated(t: Expr, shape: Shape, rows: bool) -> _Part | None:
    """A term as what it is for one row, or column, of the matrix of that shape."""
    c, s, m = term(t)
    scale = [const(c), *s]
    order = shape[1 if rows else 0]
    if len(m) == 1 and not isinstance(m[0].op, Diagonal):
        own = _own(m[0], order, rows)
        return None if own is None else _Part(simplify(product(*scale, own)), None, None)
    places = [k for k, f in enumerate(m) if isinstance(f.op, Diagonal)]
    if len(places) != 1 or len(m) > 3:
        return None
    (k,) = places
    sides = [_own(f, None, rows) for f in m[:k] + m[k + 1 :]]
    if any(own is None for own in sides):
        return None
    left = sides[0] if k else identity(order)
    right = sides[-1] if k < len(m) - 1 else identity(order)
    assert left is not None and right is not None
    if left.rows is not order or right.cols is not order:
        return None
    middle = unstacked(m[k].args[0], (shape[0], left.cols) if rows else (left.cols, shape[1]))
    if middle is None or middle.is_scalar:
        return None
    return _Part(simplify(product(*scale, left)), middle if rows else transpose(middle), right)


def _own(f: Expr, order: Any, rows: bool) -> Expr | None:
    """A of ``kron(A, I)``, which acts on each row alone; B of ``kron(I, B)``, on each column."""
    if isinstance(f.op, Identity) and order is not None:
        return identity(order)
    if f.op is TRANSPOSE and f.args[0].op is KRON:
        found = _own(f.args[0], order, rows)
        return None if found is None else transpose(found)
    if f.op is not KRON:
        return None
    a, b = f.args if rows else f.args[::-1]
    return a if isinstance(b.op, Identity) else None


def _each(
    parts: Sequence[_Part],
    shape: Shape,
    rows: bool,
    numbers: Callable[[Sequence[Expr]], list[Any]],
    sizes: Mapping[str, int],
) -> Callable[[Any], Any]:
    import numpy

    (m, n) = (d.evaluate(sizes) for d in shape)
    count, order = (m, n) if rows else (n, m)
    flat = [e for p in parts for e in p if e is not None]
    known = iter(numbers(flat))
    systems: Any = numpy.zeros((1, order, order))
    for p in parts:
        left = numpy.asarray(next(known)).reshape(order, -1)
        if p.middle is None:
            systems = systems + left
            continue
        middle = numpy.asarray(next(known)).reshape(count, -1)
        right = numpy.asarray(next(known)).reshape(-1, order)
        found = numpy.empty((count, order, order), numpy.result_type(left, middle, right))
        step = max(1, _AT_ONCE // max(1, right.size))
        for at in range(0, count, step):
            numpy.matmul(left, middle[at : at + step, :, None] * right, out=found[at : at + step])
        systems = systems + found

    def solve(b: Any) -> Any:
        x = b.reshape(n, m)
        if rows:
            return numpy.linalg.solve(systems, x.T[:, :, None])[:, :, 0].T.ravel()
        return numpy.linalg.solve(systems, x[:, :, None])[:, :, 0].ravel()

    return solve


# Sylvester equations


def _pairs(terms: Sequence[Expr], shape: Shape) -> list[tuple[Expr, Expr]] | None:
    """The two terms ``kron(A, B)``, as A with the numbers before it and B."""
    found: list[tuple[Expr, Expr]] = []
    for t in terms:
        c, s, m = term(t)
        if len(m) != 1:
            return None
        if isinstance(m[0].op, Identity):
            a, b = identity(shape[1]), identity(shape[0])
        elif m[0].op is KRON:
            a, b = m[0].args
        else:
            return None
        if a.shape != (shape[1], shape[1]) or b.shape != (shape[0], shape[0]):
            return None
        a = simplify(product(const(c), *s, a))
        for k, (other, side) in enumerate(found):
            if side is b:
                found[k] = (simplify(other + a), b)
                break
        else:
            found.append((a, b))
    return found if len(found) == 2 else None


def _sylvester(
    pairs: Sequence[tuple[Expr, Expr]],
    shape: Shape,
    numbers: Callable[[Sequence[Expr]], list[Any]],
    sizes: Mapping[str, int],
) -> Callable[[Any], Any]:
    """``B*X*A' + D*X*C' = R`` as ``E*X + X*F' = G`` with ``E = D^-1*B``, ``F = A^-1*C`` and ``G = D^-1*R*A^-T``."""
    import numpy
    from scipy.linalg import solve_sylvester

    (m, n) = (d.evaluate(sizes) for d in shape)
    if isinstance(pairs[0][1].op, Identity) or isinstance(pairs[1][0].op, Identity):
        pairs = pairs[::-1]  # the identities are those that are inverted
    a, b, c, d = (numpy.asarray(y) for y in numbers([e for pair in pairs for e in pair]))
    first, second = numpy.linalg.solve(d, b), numpy.linalg.solve(a, c)

    def solve(right: Any) -> Any:
        r = right.reshape(n, m).T
        g = numpy.linalg.solve(a, numpy.linalg.solve(d, r).T).T
        return solve_sylvester(first, second.T, g).T.ravel()

    return solve


__all__ = ["separate"]
