"""Functions of a square matrix, and the pseudo-inverse: inverse, determinant, adjugate, powers, exponential."""

from __future__ import annotations

from typing import Any, final

from matcalc.dims import ONE, SCALAR, Shape
from matcalc.expr import Expr, make, postorder
from matcalc.facts import (
    COLUMNS,
    DIAGONAL,
    INVERTIBLE,
    NONNEGATIVE,
    ORTHOGONAL,
    POSITIVE,
    PSD,
    ROWS,
    SPD,
    SYMMETRIC,
    Facts,
    facts,
)
from matcalc.primitives.algebra import Add, Product, add, power, product, transpose
from matcalc.primitives.base import Args, Same, Sizes, Smooth, m, n, zeros
from matcalc.primitives.leaves import Index, const, identity, number_of
from matcalc.primitives.loops import free_indices, indexed_sum
from matcalc.primitives.products import KRON
from matcalc.primitives.reductions import tr
from matcalc.primitives.structure import HCat, VCat, sliced

_LONGEST_WRITTEN_POWER = 4  # the differential of a higher power is written as an indexed sum


@final
class Inv(Smooth):
    """Inverse.

    Rule     d A^-1 = -A^-1*dA*A^-1
    Shapes   A in R^{n x n} -> R^{n x n}
    Domain   det A != 0
    Source   MN19 8.4
    """

    name = "inv"
    takes = {"A": (n, n)}
    gives = (n, n)
    domain = "A invertible"
    code = "{xp}.linalg.inv({A})"
    source = "MN19 8.4"

    def construct(self, args: Args) -> Expr:
        return inv(args[0])

    def differential(self, y: Expr, x: Args, dx: Args) -> Expr:
        return -y @ dx[0] @ y

    def facts(self, x: Args) -> Facts:
        return (facts(x[0]) & {SYMMETRIC, SPD, DIAGONAL, ORTHOGONAL, COLUMNS, ROWS}) | {INVERTIBLE}

    def value(self, sizes: Sizes, *x: Any) -> Any:
        from matcalc.primitives.reference import inverse

        return inverse(x[0])


@final
class Det(Smooth):
    """Determinant (Jacobi's formula holds for singular matrices too).

    Rule     d det(A) = tr(adj(A)*dA)
    Shapes   A in R^{n x n} -> R
    Source   MN19 8.3
    """

    name = "det"
    takes = {"A": (n, n)}
    gives = SCALAR
    latex = r"\det"
    code = "{xp}.linalg.det({A})"
    source = "MN19 8.3"

    def differential(self, y: Expr, x: Args, dx: Args) -> Expr:
        return tr(adj(x[0]) @ dx[0])

    def facts(self, x: Args) -> Facts:
        return frozenset({POSITIVE} if SPD in facts(x[0]) else {NONNEGATIVE} if PSD in facts(x[0]) else ())

    def value(self, sizes: Sizes, *x: Any) -> Any:
        from matcalc.primitives.reference import determinant, scalar

        return scalar(determinant(x[0]))


@final
class LogDet(Smooth):
    """Logarithm of the absolute determinant.

    Rule     d logdet(A) = tr(A^-1*dA)
    Shapes   A in R^{n x n} -> R
    Domain   det A > 0; for det A < 0 the value is log|det A|
    Source   MN19 8.3
    """

    name = "logdet"
    takes = {"A": (n, n)}
    gives = SCALAR
    domain = "A invertible; where det A < 0, logdet is log|det A|"
    code = "{xp}.linalg.slogdet({A})[1]"
    source = "MN19 8.3"

    def differential(self, y: Expr, x: Args, dx: Args) -> Expr:
        return tr(inv(x[0]) @ dx[0])

    def value(self, sizes: Sizes, *x: Any) -> Any:
        import mpmath

        from matcalc.primitives.reference import determinant, scalar

        return scalar(mpmath.log(abs(determinant(x[0]))))


@final
class Adj(Smooth):
    """Adjugate: the transpose of the matrix of cofactors, with ``A*adj(A) = det(A)*I``.

    Rule     d adj(A) = tr(A^-1*dA)*adj(A) - A^-1*dA*adj(A)
    Shapes   A in R^{n x n} -> R^{n x n}
    Domain   the value exists always; the differential is stated for det A != 0
    Source   MN19 8.6
    """

    name = "adj"
    takes = {"A": (n, n)}
    gives = (n, n)
    domain = "the derivative of adj(A) is stated for invertible A"
    code = "{rt}.adjugate({A})"
    source = "MN19 8.6"

    def differential(self, y: Expr, x: Args, dx: Args) -> Expr:
        inverse = inv(x[0])
        return tr(inverse @ dx[0]) @ y - inverse @ dx[0] @ y

    def facts(self, x: Args) -> Facts:
        return facts(x[0]) & {SYMMETRIC, PSD, SPD, DIAGONAL, INVERTIBLE}

    def value(self, sizes: Sizes, *x: Any) -> Any:
        import numpy

        from matcalc.primitives.reference import determinant, minor

        a = x[0]
        out = numpy.empty_like(a)
        for i in range(len(a)):
            for j in range(len(a)):
                out[j, i] = (-1) ** (i + j) * determinant(minor(a, i, j))
        return out


@final
class Pinv(Smooth):
    """Moore-Penrose inverse A⁺.

    Rule     d A⁺ = -A⁺*dA*A⁺ + A⁺*A⁺'*dA'*(I - A*A⁺) + (I - A⁺*A)*dA'*A⁺'*A⁺
    Shapes   A in R^{m x n} -> R^{n x m}
    Domain   where the rank of A is locally constant
    Source   GP73 theorem 4.3
    """

    name = "pinv"
    takes = {"A": (m, n)}
    gives = (n, m)
    domain = "the derivative of pinv(A) is stated where the rank of A is locally constant"
    code = "{xp}.linalg.pinv({A})"
    source = "GP73 theorem 4.3"

    def differential(self, y: Expr, x: Args, dx: Args) -> Expr:
        (a,), (d,) = x, dx
        return -y @ d @ y + y @ y.T @ d.T @ (identity(a.rows) - a @ y) + (identity(a.cols) - y @ a) @ d.T @ y.T @ y

    def facts(self, x: Args) -> Facts:
        return facts(x[0]) & {SYMMETRIC, PSD, SPD, DIAGONAL, ORTHOGONAL, INVERTIBLE}

    def value(self, sizes: Sizes, *x: Any) -> Any:
        # Of full rank, as random and as declared matrices are: through the smaller of the two Gram matrices.
        from matcalc.primitives.reference import inverse

        a = x[0]
        return inverse(a.T.dot(a)).dot(a.T) if a.shape[0] >= a.shape[1] else a.T.dot(inverse(a.dot(a.T)))


@final
class MatrixPower(Smooth):
    """Power ``A^k`` of a square matrix, k a whole number; a negative one is a power of the inverse.

    Rule     d A^3 = dA*A*A + A*dA*A + A*A*dA
    Shapes   A in R^{n x n}, k in R -> R^{n x n}
    Source   MN19 8.1
    """

    takes = {"A": (n, n), "k": (m, m)}
    integer_slots = (1,)
    code = "{xp}.linalg.matrix_power({A}, {k})"
    source = "MN19 8.1"

    def infer(self, shapes: tuple[Shape, ...], same: Same) -> Shape:
        (rows, cols), exponent = shapes
        same(exponent[0], SCALAR[0])
        same(exponent[1], SCALAR[1])
        common = same(rows, cols)
        return (common, common)

    def construct(self, args: Args) -> Expr:
        return matrix_power(*args)

    def differential(self, y: Expr, x: Args, dx: Args) -> Expr:
        (a, k), d = x, dx[0]
        if d.is_zero:
            return zeros(y.shape)
        number = number_of(k)
        if number is not None and 0 < number <= _LONGEST_WRITTEN_POWER:
            times = int(number)
            return add(*(product(*[a] * j, d, *[a] * (times - 1 - j)) for j in range(times)))
        if isinstance(number, int) and -_LONGEST_WRITTEN_POWER <= number < 0:
            powers = [matrix_power(a, const(-j)) for j in range(1 - number)]  # the identity first
            return -add(*(product(powers[j], d, powers[1 - number - j]) for j in range(1, 1 - number)))
        # For k >= 0 the k factors in turn. For k < 0, A^k is the (-k)-th power of A^-1, and d A^-1 = -A^-1 dA A^-1. The
        # sum that does not apply is empty, so where the sign of k is open the two together are right.
        j = fresh_index(y, d)
        above = indexed_sum(product(matrix_power(a, j - 1), d, matrix_power(a, k - j)), j, const(1), k)
        below = -indexed_sum(product(matrix_power(a, -j), d, matrix_power(a, k + j - 1)), j, const(1), -k)
        sign = _sign(k)
        return above if sign > 0 else below if sign < 0 else above + below

    def facts(self, x: Args) -> Facts:
        kept = facts(x[0]) & {SYMMETRIC, PSD, SPD, DIAGONAL, ORTHOGONAL, INVERTIBLE, COLUMNS, ROWS}
        number = number_of(x[1])
        if SYMMETRIC in kept and isinstance(number, int) and number % 2 == 0:
            kept |= {PSD} if number > 0 else {SPD}
        return kept

    def value(self, sizes: Sizes, *x: Any) -> Any:
        from matcalc.primitives.reference import from_mp, inverse, to_mp

        k = int(x[1][0, 0])
        if k != x[1][0, 0]:
            raise ValueError(f"the power of a matrix is a whole number, and {float(x[1][0, 0])} is none")
        return from_mp(to_mp(x[0] if k >= 0 else inverse(x[0])) ** abs(k))


@final
class Expm(Smooth):
    """Matrix exponential.

    Rule     d expm(A) = expm_frechet(A, dA)
    Shapes   A in R^{n x n} -> R^{n x n}
    Source   HIGHAM08 10.2
    """

    name = "expm"
    takes = {"A": (n, n)}
    gives = (n, n)
    code = "{rt}.expm({A})"
    source = "HIGHAM08 10.2"

    def differential(self, y: Expr, x: Args, dx: Args) -> Expr:
        return EXPM_FRECHET.construct((x[0], dx[0]))

    def facts(self, x: Args) -> Facts:
        known = facts(x[0])
        return (known & {DIAGONAL}) | ({SPD} if SYMMETRIC in known else {INVERTIBLE})

    def value(self, sizes: Sizes, *x: Any) -> Any:
        from matcalc.primitives.reference import exponential

        return exponential(x[0])


@final
class ExpmFrechet(Smooth):
    """Fréchet derivative of the matrix exponential at A in the direction E, linear in E.

    It is the upper right block of ``expm([A, E; 0, A])``; its own derivative by A is of the same kind, with blocks.

    Rule     <G, expm_frechet(A, E)> = <expm_frechet(A', G), E>
    Shapes   A, E in R^{n x n} -> R^{n x n}
    Source   HIGHAM08 3.2
    """

    name = "expm_frechet"
    takes = {"A": (n, n), "E": (n, n)}
    gives = (n, n)
    code = "{rt}.expm_frechet({A}, {E})"
    source = "HIGHAM08 3.2"

    def linear_in(self, i: int) -> bool:
        return i == 1

    def construct(self, args: Args) -> Expr:
        return zeros(args[1].shape) if args[1].is_zero else make(self, args)

    def differential(self, y: Expr, x: Args, dx: Args) -> Expr:
        (a, e), (da, de) = x, dx
        along_e = self.construct((a, de))
        if da.is_zero:
            return along_e
        order, none = a.rows, zeros(a.shape)
        blocks = VCat()(HCat()(a, e), HCat()(none, a))
        moved = VCat()(HCat()(da, none), HCat()(none, da))
        corner = sliced(self.construct((blocks, moved)), (ONE, order), (order + 1, order + order))
        return along_e + corner

    def adjoint(self, i: int, g: Expr, y: Expr, x: Args) -> Expr:
        return self.construct((transpose(x[0]), g))

    def matrix(self, i: int, y: Expr, x: Args) -> Expr:
        # vec L(A, E) is the integral of kron(exp(s*A)', exp((1 - s)*A)) times vec E, and that is the corner of an
        # exponential of blocks as L itself (Van Loan 1978).
        order = x[0].rows
        whole, none = order * order, zeros((order * order, order * order))
        left, right = KRON((identity(order)), x[0]), KRON(transpose(x[0]), identity(order))
        blocks = VCat()(HCat()(left, identity(whole)), HCat()(none, right))
        return sliced(EXPM.construct((blocks,)), (ONE, whole), (whole + 1, whole + whole))

    def trace_rule(self, i: int) -> str:
        return "trace-frechet"

    def facts(self, x: Args) -> Facts:
        return facts(x[0]) & facts(x[1]) & {SYMMETRIC, DIAGONAL}

    def value(self, sizes: Sizes, *x: Any) -> Any:
        import numpy

        a, e = x
        size = len(a)
        both = numpy.block([[a, e], [0 * a, a]])
        return EXPM.value(sizes, both)[:size, size:]


INV, DET, LOGDET, ADJ, PINV = Inv(), Det(), LogDet(), Adj(), Pinv()
MATRIX_POWER, EXPM, EXPM_FRECHET = MatrixPower(), Expm(), ExpmFrechet()


def inv(a: Expr) -> Expr:
    """The inverse; of a scalar the reciprocal."""
    return power(a, -1) if a.is_scalar else make(INV, (a,))


def adj(a: Expr) -> Expr:
    return const(1) if a.is_scalar else make(ADJ, (a,))


def matrix_power(a: Expr, k: Expr) -> Expr:
    """``A^k``."""
    if a.is_scalar:
        return power(a, k)
    number = number_of(k)
    if number in (0, 1, -1):
        return a if number == 1 else inv(a) if number == -1 else identity(a.rows)
    return make(MATRIX_POWER, (a, k))


def _sign(k: Expr) -> int:
    """1 for an exponent that counts factors, -1 for one that counts inverses, 0 where it may do either.

    A variable stands for a positive number, its negative for a negative one; of an index within a sum nothing is known.
    """
    number = number_of(k)
    if number is not None:
        return 1 if number > 0 else -1
    if free_indices(k):
        return 0
    terms = k.args if isinstance(k.op, Add) else (k,)
    negative = [
        (isinstance(t.op, Product) and (number_of(t.args[0]) or 0) < 0) or (number_of(t) or 0) < 0 for t in terms
    ]
    return -1 if all(negative) else 0 if any(negative) else 1


def fresh_index(*near: Expr) -> Expr:
    """An index that does not occur in the expressions."""
    used = {getattr(node.op, "name", "") for node in postorder(near)}
    used |= {node.op.index.op.name for node in postorder(near) if hasattr(node.op, "index")}
    for k in range(len(used) + 1):
        name = "jlrst"[k] if k < 5 else f"j{k}"
        if name not in used:
            return make(Index(name))
    raise AssertionError("more names than nodes")
