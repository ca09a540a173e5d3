"""Random well-typed expressions over the whole language, from a seed, built by the constructors."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction
from random import Random

from matcalc.dims import ONE, SCALAR, Dim, Shape, dim, shape_text
from matcalc.expr import Expr, make, postorder, variables
from matcalc.facts import INTEGER  # not an attribute of declarations: that an index is whole is inferred
from matcalc.primitives import convolution, leaves, matrix, products, reductions, softmax, structure
from matcalc.primitives.algebra import add, hadamard, power, product, transpose
from matcalc.primitives.elementwise import FUNCTIONS
from matcalc.primitives.functions import Elementwise, Unknown
from matcalc.primitives.leaves import const, identity, ones, size, var
from matcalc.primitives.loops import indexed_sum
from matcalc.primitives.maps import Mapped
from matcalc.primitives.structure import ALL, AT, sliced

DIMS = [dim(name) for name in "mnp"]
INDICES = [make(leaves.Index(name)) for name in "ij"]
SQUARE_FACTS = [(), (), (), ("symmetric",), ("spd",), ("diagonal",), ("orthogonal",), ("invertible",), ("psd",)]
NARROW = {name for name, f in FUNCTIONS.items() if f.domain}  # of these the argument is made to fit
STEEP = ("exp", "expm1", "sinh", "cosh", "tan")


class Generator:
    """Expressions of asked shapes; ``depth`` bounds how deeply operations nest."""

    def __init__(self, seed: object) -> None:
        self.rng = Random(f"matcalc {seed}")
        self.known: dict[Shape, list[Expr]] = {}
        self.bound: list[tuple[Expr, Dim]] = []  # indices of the sums around, with the dimension that they run over

    def scalar(self, depth: int) -> Expr:
        return self.of(SCALAR, depth)

    def of(self, shape: Shape, depth: int) -> Expr:
        if depth <= 0 or self.rng.random() < 0.08:
            return self.leaf(shape)
        rows, cols = shape
        ways = [
            self.sum,
            self.difference,
            self.scaled,
            self.product,
            self.elementwise,
            self.elementwise,
            self.power,
            self.slice,
        ]
        if shape == SCALAR:
            ways += [
                self.reduced,
                self.reduced,
                self.reduced,
                self.quadratic,
                self.of_square,
                self.of_square,
                self.quotient,
            ]
        else:
            ways += [self.spread, self.hadamard, self.transposed, self.softmax]
            if rows is ONE or cols is ONE:
                ways.append(self.axis_reduced)
            if cols is ONE:
                ways += [self.diagonal_part, self.solved]
            if rows is cols:
                ways += [self.square, self.square, self.square]
        ways.append(self.indexed)
        return self.rng.choice(ways)(shape, depth - 1)

    # Leaves

    def leaf(self, shape: Shape) -> Expr:
        rows, cols = shape
        kind = self.rng.random()
        if shape == SCALAR and self.bound and kind < 0.5:
            index, over = self.rng.choice(self.bound)
            return self.rng.choice([index, sliced(self.variable((over, ONE)), AT, ALL, index)])
        if kind < 0.12:
            if shape == SCALAR:
                numbers = [const(2), const(3), const(-1), const(Fraction(1, 2)), make(leaves.Pi()), size(self.dim())]
                return self.rng.choice(numbers)
            if rows is cols:
                return identity(rows)
            if cols is ONE and rows in DIMS:
                return structure.unit(const(self.rng.choice((1, 2))), rows)
            return ones(*shape)
        return self.variable(shape)

    def variable(self, shape: Shape) -> Expr:
        known = self.known.setdefault(shape, [])
        if not known or (len(known) < 3 and self.rng.random() < 0.4):
            rows, cols = shape
            if shape == SCALAR:
                letter, facts = "a", self.rng.choice([(), (), ("positive",)])
            elif cols is ONE or rows is ONE:
                letter, facts = ("x" if cols is ONE else "r"), self.rng.choice([(), (), ("positive",)])
            else:
                letter, facts = "A", (self.rng.choice(SQUARE_FACTS) if rows is cols else ())
            number = 1 + sum(len(vs) for s, vs in self.known.items() if _letter(s) == _letter(shape))
            known.append(var(f"{letter}{number}", shape, *facts))
        return self.rng.choice(known)

    def dim(self) -> Dim:
        return self.rng.choice(DIMS)

    def shape(self) -> Shape:
        return self.rng.choice(
            [(self.dim(), ONE), (self.dim(), ONE), (ONE, self.dim()), (self.dim(), self.dim()), (self.dim(),) * 2]
        )

    # Operations that every shape has

    def sum(self, shape: Shape, depth: int) -> Expr:
        return add(*(self.of(shape, depth) for _ in range(self.rng.choice((2, 2, 3)))), shape=shape)

    def difference(self, shape: Shape, depth: int) -> Expr:
        return self.of(shape, depth) - self.of(shape, depth)

    def scaled(self, shape: Shape, depth: int) -> Expr:
        factors = [self.of(SCALAR, depth - 1), self.of(shape, depth)]
        self.rng.shuffle(factors)
        return product(*factors)

    def product(self, shape: Shape, depth: int) -> Expr:
        inside = [self.rng.choice([*DIMS, ONE]) for _ in range(self.rng.choice((1, 1, 2)))]
        sizes = [shape[0], *inside, shape[1]]
        return product(*(self.of(pair, depth) for pair in itertools.pairwise(sizes)))

    def elementwise(self, shape: Shape, depth: int) -> Expr:
        if self.rng.random() < 0.25:
            return Elementwise(Unknown(self.rng.choice(("phi", "psi"))), self.rng.choice((0, 0, 1)))(
                self.of(shape, depth)
            )
        name = self.rng.choice(sorted(FUNCTIONS))
        inner = self.of(shape, depth)
        if name in ("log", "sqrt"):
            inner = self.positive(inner)
        elif name in NARROW or (name in STEEP and self.rng.random() < 0.7):
            inner = self.tame(inner)
        return FUNCTIONS[name](inner)

    def tame(self, e: Expr) -> Expr:
        return FUNCTIONS[self.rng.choice(("tanh", "sin"))](e)

    def positive(self, e: Expr) -> Expr:
        return self.rng.choice(
            [lambda: 1 + e**2, lambda: FUNCTIONS["exp"](self.tame(e)), lambda: FUNCTIONS["softplus"](e)]
        )()

    def power(self, shape: Shape, depth: int) -> Expr:
        base = self.of(shape, depth)
        if self.rng.random() < 0.5:
            return power(base, const(self.rng.choice((2, 2, 3))))
        exponents: list[Callable[[], Expr]] = [
            lambda: const(-1),
            lambda: const(Fraction(1, 2)),
            lambda: self.tame(self.of(SCALAR, depth - 1)),
            lambda: self.tame(self.of(shape, depth - 1)),
        ]
        return power(self.positive(base), self.rng.choice(exponents)())

    def slice(self, shape: Shape, depth: int) -> Expr:
        rows, cols = shape
        extra = self.dim()
        if rows is ONE and cols is ONE:
            return sliced(self.of((extra, extra + 1), depth), AT, AT, const(2), const(1))
        if cols is ONE:
            return sliced(self.of((rows, extra), depth), ALL, AT, const(self.rng.choice((1, 2))))
        if rows is ONE:
            return sliced(self.of((extra, cols), depth), AT, ALL, const(self.rng.choice((1, 2))))
        wide = structure.HCat()(self.of((rows, extra), depth - 1), self.of(shape, depth))
        return (
            sliced(wide, ALL, (extra + 1, extra + cols))
            if self.rng.random() < 0.7
            else sliced(wide, ALL, (dim(2), cols + 1))
        )

    def indexed(self, shape: Shape, depth: int) -> Expr:
        free = [i for i in INDICES if i not in [index for index, _ in self.bound]]
        if not free:
            return self.leaf(shape)
        over = self.dim()
        self.bound.append((free[0], over))
        body = self.of(shape, depth)
        self.bound.pop()
        return indexed_sum(body, free[0], const(1), size(over))

    # Scalars

    def reduced(self, shape: Shape, depth: int) -> Expr:
        e = self.any(depth)
        kind = self.rng.randrange(6)
        if kind == 0:
            return products.inner(e, self.of(e.shape, depth - 1))
        if kind == 1:
            return make(reductions.NORM2, (e,)) ** self.rng.choice((1, 2))
        if kind == 2:
            return make(reductions.NORM1, (e,))
        if kind == 3:
            return reductions.Mean(None)(e)
        return reductions.Max(None)(e) if kind == 4 else reductions.total(e)

    def any(self, depth: int) -> Expr:
        """An expression of a shape that comes about by itself."""
        kind = self.rng.randrange(14)
        rows, cols, other = self.dim(), self.dim(), self.dim()
        if kind == 0:
            return products.kron(self.of((rows, cols), depth - 1), self.of((other, rows), depth - 2))
        if kind == 1:
            return products.khatri_rao(self.of((rows, cols), depth - 1), self.of((other, cols), depth - 2))
        if kind == 2:
            return structure.vec(self.of((rows, cols), depth - 1))
        if kind == 3:
            return structure.reshape(self.of((rows, cols), depth - 1), (cols, rows))
        if kind == 4:
            return structure.HCat()(self.of((rows, cols), depth - 1), self.of((rows, other), depth - 1))
        if kind == 5:
            return structure.VCat()(self.of((rows, cols), depth - 1), self.of((other, cols), depth - 1))
        if kind == 6:
            filtered = self.rng.choice((convolution.Conv, convolution.Corr))(self.rng.choice(("full", "same", "valid")))
            return filtered(self.of((dim(2), dim(2)), depth - 2), self.of((rows, cols), depth - 1))
        if kind == 7:
            return leaves.commutation(rows, cols) @ structure.vec(self.of((rows, cols), depth - 1))
        if kind == 8:
            return convolution.flip(self.of((rows, cols), depth - 1))
        if kind == 9:
            return convolution.pad(self.of((rows, cols), depth - 1), (rows + 2, cols + 1))
        if kind == 10:
            return convolution.crop(self.of((rows + 1, cols + 2), depth - 1), (rows, cols))
        return self.of(self.shape(), depth)

    def quadratic(self, shape: Shape, depth: int) -> Expr:
        order = self.dim()
        x = self.of((order, ONE), depth - 1)
        return product(x.T, self.of((order, order), depth - 1), x)

    def of_square(self, shape: Shape, depth: int) -> Expr:
        order = self.dim()
        a = self.of((order, order), depth)
        kind = self.rng.randrange(3)
        return reductions.tr(a) if kind == 0 else matrix.DET(a) if kind == 1 else matrix.LOGDET(self.regular(a))

    def quotient(self, shape: Shape, depth: int) -> Expr:
        return self.of(SCALAR, depth) / self.positive(self.of(SCALAR, depth - 1))

    # Vectors and matrices

    def spread(self, shape: Shape, depth: int) -> Expr:
        return add(self.of(shape, depth), self.of(SCALAR, depth - 1), shape=shape)

    def hadamard(self, shape: Shape, depth: int) -> Expr:
        return hadamard(self.of(shape, depth), self.of(shape, depth))

    def transposed(self, shape: Shape, depth: int) -> Expr:
        return transpose(self.of((shape[1], shape[0]), depth))

    def softmax(self, shape: Shape, depth: int) -> Expr:
        axis = 0 if shape[1] is ONE else 1 if shape[0] is ONE else self.rng.choice((0, 1))
        return self.rng.choice((softmax.Softmax, softmax.LogSoftmax))(axis)(self.of(shape, depth))

    def axis_reduced(self, shape: Shape, depth: int) -> Expr:
        axis = 0 if shape[0] is ONE else 1
        kind = self.rng.choice((reductions.Sum, reductions.Mean, reductions.Max, softmax.LogSumExp))
        return kind(axis)(self.of((self.dim(), shape[1]) if axis == 0 else (shape[0], self.dim()), depth))

    def diagonal_part(self, shape: Shape, depth: int) -> Expr:
        return structure.diagonal_part(self.of((shape[0], shape[0]), depth))

    def solved(self, shape: Shape, depth: int) -> Expr:
        return matrix.inv(self.regular(self.of((shape[0], shape[0]), depth - 1))) @ self.of(shape, depth)

    def regular(self, a: Expr) -> Expr:
        """A square matrix that is not singular."""
        return self.rng.choice([lambda: a @ a.T + identity(a.rows), lambda: a + 4 * identity(a.rows), lambda: a])()

    def square(self, shape: Shape, depth: int) -> Expr:
        order = shape[0]
        a = self.of(shape, depth)
        kind = self.rng.randrange(8)
        if kind == 0:
            return structure.diagonal(self.of((order, ONE), depth))
        if kind == 1:
            return matrix.inv(self.regular(a))
        if kind == 2:
            return matrix.adj(self.regular(a))
        if kind == 3:
            return matrix.matrix_power(a, const(self.rng.choice((2, 3))))
        if kind == 4:
            return matrix.matrix_power(self.regular(a), const(-2))
        if kind == 5:
            return matrix.EXPM(FUNCTIONS["tanh"](a))
        if kind == 6:
            other = self.dim()
            return matrix.PINV(self.of((other, order), depth - 1)) @ self.of((other, order), depth - 1)
        return a @ a.T


def _letter(shape: Shape) -> str:
    rows, cols = shape
    return "a" if shape == SCALAR else "x" if cols is ONE else "r" if rows is ONE else "A"


def scalar(seed: object, depth: int = 4) -> Expr:
    """A random scalar expression that has a variable to differentiate by."""
    for attempt in range(100):
        e = Generator(f"{seed} {attempt}").scalar(depth)
        if variables([e]) and not e.is_zero:
            return e
    raise AssertionError("no expression with a variable")


def declarations(e: Expr) -> str:
    """What declares the variables and functions of ``e`` in the language."""
    said = [
        " ".join([v.op.name, "in", shape_text(v.shape), *(f for f in v.op.declared if f != INTEGER)])
        for v in variables([e])
    ]
    dimensions = "Z in R^{m x n}; Y in R^{n x p}"  # so that m, n and p are some, used or not
    maps = {repr(node.op.function): None for node in postorder([e]) if isinstance(node.op, Mapped)}
    return "; ".join([dimensions, *said, *maps, "phi: elementwise", "psi: elementwise"])


__all__ = ["Generator", "declarations", "scalar"]
