"""Products and sums of Kronecker factors, vec, diagonals, commutation and selection matrices: simplified, the same."""

from __future__ import annotations

import itertools
import os
from random import Random

import numpy
import pytest

from matcalc.checks.evaluate import evaluate
from matcalc.dims import ONE, Dim, Shape, dim
from matcalc.expr import Expr, postorder, rebuild, variables
from matcalc.facts import has
from matcalc.primitives.algebra import ADD, HADAMARD, add, product, transpose
from matcalc.primitives.leaves import commutation, const, identity, ones, var
from matcalc.primitives.products import khatri_rao, kron
from matcalc.primitives.structure import ALL, diagonal, sliced, unit, vec
from matcalc.printing.text import text
from matcalc.simplify import cost, simplify
from matcalc.syntax import parse
from tests.properties.generate import declarations

COUNT = int(os.environ.get("MATCALC_RANDOM", "200"))
FIRST = int(os.environ.get("MATCALC_SEED", "0"))
seeds = pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
DIMS = [dim(name) for name in "mnp"]
Space = tuple[Dim, ...]  # of Kronecker products of vectors: R^m (x) R^n is (m, n)


def named(letter: str, shape: Shape, *facts: str) -> Expr:
    """A variable named after its shape, so that no two have one name."""
    return var(letter + "".join(c for c in f"{shape[0]}{shape[1]}" if c.isalnum()), shape, *facts)


class Generator:
    """Matrices between spaces, as products and sums of structured factors."""

    def __init__(self, seed: object) -> None:
        self.rng = Random(f"kronecker {seed}")

    def size(self, space: Space) -> Dim:
        out = ONE
        for d in space:
            out = out * d
        return out

    def matrix(self, rows: Dim, cols: Dim) -> Expr:
        """A small factor."""
        rng = self.rng
        kind = rng.random()
        if rows is cols and kind < 0.5:
            if rows is ONE:
                return rng.choice([const(1), named("a", (ONE, ONE)), const(-2)])
            symmetric = named("S", (rows, rows), "symmetric")
            return rng.choice([identity(rows), identity(rows), diagonal(self.column(rows)), symmetric])
        if cols is ONE:
            return self.column(rows)
        if rows is ONE:
            return transpose(self.column(cols))
        if kind < 0.6:
            return ones(rows, cols)
        if kind < 0.7:
            return product(self.column(rows), transpose(self.column(cols)))
        if kind < 0.8:
            return product(named(rng.choice("AB"), (rows, cols)), diagonal(self.column(cols)))
        if kind < 0.9:
            return transpose(named(rng.choice("AB"), (cols, rows)))
        return named(rng.choice("AB"), (rows, cols))

    def column(self, rows: Dim) -> Expr:
        choices = [named("x", (rows, ONE)), named("y", (rows, ONE)), ones(rows)]
        return self.rng.choice([*choices, unit(const(1), rows)] if rows in DIMS else choices)

    def space(self) -> Space:
        return tuple(self.rng.choice(DIMS) for _ in range(self.rng.choice((0, 1, 1, 1, 2, 2, 2, 2, 2, 3))))

    def factor(self, left: Space, right: Space) -> Expr:
        """A structured factor from R^right to R^left."""
        rng = self.rng
        ways = [self.kronecker, self.kronecker]
        if len(left) == 2 and len(right) == 1:
            ways += [self.khatri_rao] * 3
        if len(left) == 1 and len(right) == 2:
            return transpose(self.factor(right, left))
        if left == right and len(left) == 2:
            ways += [self.entries, self.entries, self.diagonal, self.identity_and_more]
        if len(left) == 2 and left == right[::-1]:
            ways += [self.commutation] * 3
        if len(left) == 2 and not right:
            ways += [self.vec] * 3
        if len(right) == 2 and not left:
            return transpose(self.factor(right, left))
        if len(left) == len(right) == 1:
            ways += [self.selected]
        return rng.choice(ways)(left, right)

    def kronecker(self, left: Space, right: Space) -> Expr:
        """Parts of both spaces in order; a part without an opposite is a row or a column."""
        rng = self.rng
        parts: list[tuple[Dim, Dim]] = []
        i = j = 0
        while i < len(left) or j < len(right):
            way = rng.random()
            if way < 0.7 and i < len(left) and j < len(right):
                parts.append((left[i], right[j]))
                i, j = i + 1, j + 1
            elif i < len(left) and (way < 0.85 or j == len(right)):
                parts.append((left[i], ONE))
                i += 1
            elif j < len(right):
                parts.append((ONE, right[j]))
                j += 1
        if not parts:
            return const(2)
        built = [self.matrix(*p) for p in parts]
        while len(built) > 1:
            k = rng.randrange(len(built) - 1)
            built[k : k + 2] = [kron(built[k], built[k + 1])]
        return built[0]

    def khatri_rao(self, left: Space, right: Space) -> Expr:
        return khatri_rao(self.matrix(left[0], right[0]), self.matrix(left[1], right[0]))

    def entries(self, left: Space, right: Space) -> Expr:
        return diagonal(vec(self.matrix(left[1], left[0])))

    def diagonal(self, left: Space, right: Space) -> Expr:
        return diagonal(named("w", (self.size(left), ONE)))

    def identity_and_more(self, left: Space, right: Space) -> Expr:
        whole = identity(self.size(left))
        other = commutation(*left) if left[0] is left[1] and self.rng.random() < 0.6 else self.factor(left, right)
        return whole + other if self.rng.random() < 0.5 else whole - other

    def commutation(self, left: Space, right: Space) -> Expr:
        return commutation(left[0], left[1])

    def vec(self, left: Space, right: Space) -> Expr:
        return vec(self.matrix(left[1], left[0]))

    def selected(self, left: Space, right: Space) -> Expr:
        m, n = left[0], right[0]
        total = m + n
        whole = identity(total)
        places = [(ONE, m), (m + 1, total)]
        terms = [
            product(named("C", (right[0], d)), sliced(whole, place, ALL), named("D", (total, n)))
            if self.rng.random() < 0.3
            else product(sliced(whole, ALL, place), named("C", (d, n)))
            for place, d in zip(places, (m, n), strict=True)
        ]
        terms = [t for t in terms if t.shape == (total, n)] or terms
        inner = add(*terms) if len({t.shape for t in terms}) == 1 else terms[0]
        return product(named("E", (m, inner.rows)), inner)

    def chain(self, left: Space, right: Space, length: int) -> Expr:
        spaces = [left]
        for _ in range(length - 1):
            near = self.rng.choice([spaces[-1], spaces[-1][::-1], self.space()])
            spaces.append(near)
        spaces.append(right)
        factors = [self.factor(u, v) for u, v in itertools.pairwise(spaces)]
        while len(factors) > 1:
            k = self.rng.randrange(len(factors) - 1)
            factors[k : k + 2] = [product(factors[k], factors[k + 1])]
        return factors[0]

    def whole(self) -> Expr:
        left, right = self.space(), self.space()
        if self.rng.random() < 0.4:
            right = self.rng.choice([left, left[::-1]])
        count = self.rng.choice((1, 1, 2, 3))
        terms = [self.chain(left, right, self.rng.choice((1, 2, 2, 3, 4))) for _ in range(count)]
        terms = [product(const(c), t) if c != 1 else t for t in terms for c in [self.rng.choice((1, 1, -1, 2))]]
        e = add(*terms, shape=self._shape(left, right)) if len(terms) > 1 else terms[0]
        return transpose(e) if self.rng.random() < 0.2 else e

    def _shape(self, left: Space, right: Space) -> Shape:
        return (self.size(left), self.size(right))


def shuffled(e: Expr, rng: Random) -> Expr:
    """The same sums and elementwise products in another order, products bracketed differently."""
    done: dict[Expr, Expr] = {}
    for node in postorder([e]):
        args = [done[a] for a in node.args]
        if node.op in (ADD, HADAMARD):
            rng.shuffle(args)
        done[node] = rebuild(node, tuple(args))
    return done[e]


def values(roots: list[Expr], seed: object) -> list:
    """The values at whole numbers, exact but for norms; small sizes, all different."""
    rng = Random(f"{seed}")
    sizes = {"m": 2, "n": 3, "p": 4}
    env = {}
    for v in variables(roots):
        rows, cols = (d.evaluate(sizes) for d in v.shape)
        a = [[rng.randint(-9, 9) for _ in range(cols)] for _ in range(rows)]
        if has(v, "symmetric"):
            a = [[a[max(i, j)][min(i, j)] for j in range(cols)] for i in range(rows)]
        env[v] = numpy.array(a, dtype=object)
    return evaluate(roots, env, sizes)


@seeds
def test_simplification_keeps_the_value(seed):
    e = Generator(seed).whole()
    s = simplify(e)
    assert s.shape == e.shape
    before, after = values([e, s], seed)
    assert abs(before - after).max() <= 1e-12 * abs(before).max(), f"{text(e)}\n{text(s)}"


@seeds
def test_simplification_is_idempotent(seed):
    once = simplify(Generator(seed).whole())
    once.memo.pop("simplified", None)
    assert simplify(once) is once, f"{text(once)}\n{text(simplify(once))}"


@seeds
def test_simplification_does_not_depend_on_the_order_of_terms(seed):
    e = Generator(seed).whole()
    assert simplify(shuffled(e, Random(seed))) is simplify(e), text(e)


@seeds
def test_the_transpose_is_simplified_alike(seed):
    e = Generator(seed).whole()
    s = simplify(e)
    assert simplify(transpose(s)) is simplify(transpose(e)), f"{text(e)}\n{text(s)}"


@seeds
def test_what_is_printed_parses_back(seed):
    s = simplify(Generator(seed).whole())
    assert parse(text(s), where=declarations(s)).expr is s, text(s)


@seeds
def test_the_cost_does_not_rise_much(seed):
    e = Generator(seed).whole()
    assert cost(simplify(e)) <= 1.1 * cost(e) + 6, f"{text(e)}\n{text(simplify(e))}"
