"""Matrices factored once for all that is asked of them: inverse, determinant, solutions of linear equations.

A matrix that is known to be positive definite (``plan.definite``) gets a Cholesky factor. So does one that is only
known to be symmetric, if it turns out to be definite, else an LU factor. Any other one gets an LU factor where there is
something to share: two values or more, or one that a loop or a later stage repeats. In the plan::

    cholesky symmetric lu[formula]      the factor of a matrix; it has no shape
    solve_with[transposed] inverse_of   solutions and the inverse by a factor; det_of, ... likewise
    gram_with                           b'*S^-1*b by half a solution with a Cholesky factor
    inverse[formula]                    of a matrix of which nothing else is asked
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matcalc.dims import ONE
from matcalc.lowering.plan import Plan, Value
from matcalc.lowering.totals import inner, total

_ASKED = frozenset({"inv", "solve", "det", "logdet"})
_FEW_ENTRIES = frozenset({"trace", "diagonal"})  # what needs so few entries of a product that it need not be formed
_SYMMETRIC = frozenset({"cholesky", "symmetric"})  # factors of symmetric matrices
_SOLUTIONS = 2  # for as many columns as rows, which take longer than the inverse by Cholesky and the products with it
_SMALL = 13  # order up to which calls take longer than what they compute
_LONGEST_FORMULA = 60


class Matrix(NamedTuple):
    """A matrix with its factor, and whether its inverse is needed as a matrix."""

    base: Value
    kind: str  # of the factor, or none where NumPy's own functions do as well
    inverted: bool


def with_factors(plan: Plan, roots: Sequence[Value]) -> dict[Value, Value]:
    """What each value that the roots need becomes when factorisations are shared."""
    values = plan.needed(roots)
    if all(v.op not in _ASKED for v in values):
        return {v: v for v in values}
    sharing = _Sharing(plan, values, roots)
    for v in values:
        sharing.put(v)
    return sharing.new


class _Sharing:
    """Puts values into the plan again, operands first."""

    def __init__(self, plan: Plan, values: Sequence[Value], roots: Sequence[Value]) -> None:
        self.plan = plan
        self.new: dict[Value, Value] = {}
        self.users: dict[Value, list[Value]] = {}
        self.for_gram: dict[Value, bool] = {}  # of solutions, whether they are needed for B'*S^-1*B and vectors only
        for v in values:
            for a in v.args:
                self.users.setdefault(a, []).append(v)
        for r in roots:
            self.users.setdefault(r, []).append(r)
        asked: dict[Value, list[Value]] = {}
        for v in values:
            if v.op in _ASKED and _is_matrix(v.args[0]) and all(_is_matrix(a) or a.rank == 1 for a in v.args):
                asked.setdefault(_oriented(v.args[0])[0], []).append(v)
        self.matrices = {base: self._matrix(base, found) for base, found in asked.items()}

    def _matrix(self, base: Value, asked: Sequence[Value]) -> Matrix:
        plan, both = self.plan, {base, self.plan.transpose(base)}
        repeated = any(v.indices - base.indices or (v.later and not base.later) for v in asked)
        several = len(asked) > 1 and any(v.op != "inv" for v in asked)
        kind = "lu" if several or repeated else ""
        if both & plan.definite:
            kind = "cholesky"
        elif both & plan.factored_symmetric:
            kind = "symmetric"
        inverted = any(not self._has_few_users(v) if v.op == "inv" else kind and self._is_sampled(v) for v in asked)
        return Matrix(base, kind, inverted or (kind in _SYMMETRIC and self._has_many_columns(base, asked)))

    def _has_many_columns(self, base: Value, asked: Sequence[Value]) -> bool:
        """Whether solutions for so many columns are needed that the inverse and the products with it take less time."""
        order, plan = base.shape[0], self.plan
        columns = [v.shape[1] for v in asked if v.op == "solve" and v.rank == 2]
        if plan.sizes is None and any(d.value is None for d in [order, *columns]) and {*columns} - {order}:
            plan.by_size = True
        if plan.sizes is not None and plan.weight(order) < _SMALL:
            return False
        return sum(map(plan.weight, columns)) >= _SOLUTIONS * plan.weight(order)

    def _is_sampled(self, v: Value) -> bool:
        """Whether only trace or diagonal of a solution are used that has as many columns as rows."""
        return v.op == "solve" and v.shape == v.args[0].shape and self._has_few_users(v)

    def _has_few_users(self, v: Value) -> bool:
        return all(u.op in _FEW_ENTRIES for u in self.users[v])

    def put(self, v: Value) -> None:
        args = tuple([self.new[a] for a in v.args])
        found = self._asked(v, args) if v.op in _ASKED else None
        if v.op in _FEW_ENTRIES:
            found = self._sample(v)
        elif v.op == "dot":
            found = self._gram(v)
        elif v.op == "T" and args[0].op == "dot" and v.args[0].op == "solve" and self.users[v.args[0]] == [v]:
            # (S^-1*B')' = B*S^-1
            inverse, b = args[0].args
            symmetric = inverse.op == "inverse_of" and inverse.args[0].op in _SYMMETRIC
            right = inverse if symmetric else self.plan.transpose(inverse)
            found = self.plan.value("dot", (self.plan.transpose(b), right), v.shape)
        if found is None:
            found = v if args == v.args else self.plan.value(v.op, args, v.shape, *v.attrs)
        self.new[v] = found

    def _asked(self, v: Value, args: tuple[Value, ...]) -> Value | None:
        base, transposed = _oriented(v.args[0])
        m = self.matrices.get(base)
        if m is None:
            return None
        if v.op == "inv":
            return self._inverse(m, transposed)
        if not m.kind:
            return None
        if v.op != "solve":
            return self.plan.value(f"{v.op}_of", (self._factor(m),), ())
        if m.inverted and v.rank == 2:  # half the time of as many solutions
            return self.plan.value("dot", (self._inverse(m, transposed), args[1]), v.shape)
        return self.plan.value("solve_with", (self._factor(m), args[1]), v.shape, transposed and m.kind == "lu")

    def _factor(self, m: Matrix) -> Value:
        return self.plan.value(m.kind, (self.new[m.base],), (), shown(self.plan, m.base))

    def _inverse(self, m: Matrix, transposed: bool) -> Value:
        if m.kind:
            found = self.plan.value("inverse_of", (self._factor(m),), m.base.shape)
        else:
            found = self.plan.value("inverse", (self.new[m.base],), m.base.shape, shown(self.plan, m.base))
        return self.plan.transpose(found) if transposed and m.kind in ("", "lu") else found

    def _sample(self, v: Value) -> Value | None:
        """Trace or diagonal of ``A^-1*B``, or of ``A^-1`` alone, from the inverse."""
        (product,) = v.args
        if product.op == "inv":
            m = self.matrices.get(_oriented(product.args[0])[0])
            if m is None or m.inverted or not m.kind:
                return None
            diagonal = self.plan.value("inverse_diagonal", (self._factor(m),), m.base.shape[:1])
            return diagonal if v.op == "diagonal" else total(self.plan, diagonal)
        if product.op != "solve" or not self._is_sampled(product):
            return None
        base, transposed = _oriented(product.args[0])
        m = self.matrices.get(base)
        if m is None or not m.kind:
            return None
        inverse, other = self._inverse(m, transposed), self.plan.transpose(self.new[product.args[1]])
        if v.op == "trace":
            return inner(self.plan, inverse, other)
        return total(self.plan, self.plan.value("mul", (inverse, other), inverse.shape, 1, 2), 1)

    def _gram(self, v: Value) -> Value | None:
        """``B'*S^-1*B``, and ``B'*S^-1*c`` besides, where nothing else needs ``S^-1*B``."""
        for left, right in (v.args, v.args[::-1]) if not v.rank else (v.args,):
            solution = right if right.op == "solve" else self.plan.transpose(left)
            if solution.op != "solve" or not self._is_for_gram(solution):
                continue
            factor, b = self._factor(self.matrices[_oriented(solution.args[0])[0]]), solution.args[1]
            if self._is_gram(v, solution):
                return self.plan.value("gram_with", (factor, self.new[b]), v.shape)
            c = self.new[left if solution is right else right]
            other = self.plan.value("solve_with", (factor, c), c.shape, False)
            return self.plan.value("dot", (self.plan.transpose(self.new[b]), other), v.shape)
        return None

    def _is_for_gram(self, solution: Value) -> bool:
        known = self.for_gram.get(solution)
        if known is None:
            m = self.matrices.get(_oriented(solution.args[0])[0])
            known = m is not None and m.kind in _SYMMETRIC and not (m.inverted and solution.rank == 2)
            if known:
                users = [w for u in self.users[solution] for w in (self.users.get(u, []) if u.op == "T" else [u])]
                known = all(self._is_gram(w, solution) or self._is_applied(w, solution) for w in users)
                known = known and any(self._is_gram(w, solution) for w in users)
            self.for_gram[solution] = known
        return known

    def _is_gram(self, v: Value, solution: Value) -> bool:
        """Whether a value is ``B'*S^-1*B``, where ``S^-1*B`` is the solution."""
        if v.op != "dot":
            return False
        left, right = v.args
        b, transpose = solution.args[1], self.plan.transpose
        if v.rank == 0:
            return {left, right} == {solution, b}
        return (right is solution and left is transpose(b)) or (left is transpose(solution) and right is b)

    def _is_applied(self, v: Value, solution: Value) -> bool:
        """Whether a value is ``B'*S^-1*c``, where the matrix ``S^-1*B`` is the solution."""
        if v.op != "dot" or v.rank != 1 or solution.rank != 2:
            return False
        left, right = v.args
        return (right is solution and left.rank == 1) or (left is self.plan.transpose(solution) and right.rank == 1)


def _is_matrix(a: Value) -> bool:
    """Whether a value is one matrix, no batch of them, of more than one row."""
    return a.rank == 2 and a.shape[0] is not ONE


def _oriented(a: Value) -> tuple[Value, bool]:
    """The matrix of which ``a`` is the transpose, and True; or itself."""
    return (a.args[0], True) if a.op == "T" else (a, False)


def shown(plan: Plan, a: Value) -> str:
    """The formula of a matrix, for errors."""
    from matcalc.printing.text import text

    e = plan.formulas.get(a)
    if e is None:
        return str(a.attrs[0]) if a.op == "arg" else "a matrix of the formula"
    found = text(e)
    return found if len(found) <= _LONGEST_FORMULA else f"{found[: _LONGEST_FORMULA - 3]}..."


__all__ = ["shown", "with_factors"]
