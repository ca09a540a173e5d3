"""The user's own quantities in results: ``X'*r`` where the program says ``r = sigmoid(X*w) - y``.

Results are simplified, and what the program names may stand in them in another form: negated, transposed, scaled, as a
run of the factors of a longer product or as some of the terms of a longer sum. It is found there and put back as the
program has it. The rewriting is exact; nothing is searched but the places where a quantity begins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from matcalc.expr import Expr, Number, make, postorder, rebuild
from matcalc.primitives.algebra import ADD, HADAMARD, POWER, PRODUCT, TRANSPOSE
from matcalc.primitives.base import Multilinear
from matcalc.primitives.elementwise import sigmoid
from matcalc.primitives.functions import Elementwise
from matcalc.primitives.leaves import const, number_of
from matcalc.primitives.loops import IndexedSum, free_indices
from matcalc.primitives.reductions import NORM2
from matcalc.primitives.structure import Diagonal
from matcalc.printing.parts import lengths
from matcalc.simplify import simplify
from matcalc.simplify.cost import complemented
from matcalc.simplify.indexed import matrix_form
from matcalc.simplify.terms import is_divisor, magnitude, ratio
from matcalc.simplify.transposes import transposed

SHORT = 6  # characters of a quantity that is written out all the same where it occurs once
SHORTEST = 3  # characters of one that may have its name where it occurs more than once
LONG = 12  # characters of a sigmoid(z) that is not
_SIGMOID = Elementwise(sigmoid, 0)


class _Quantity(NamedTuple):
    """What the program has, and the parts of its simplified form; ``turned`` for the form of its transpose."""

    own: Expr
    number: Number
    scalars: Counter[Expr]
    factors: tuple[Expr, ...]
    turned: bool

    @property
    def shown(self) -> Expr:
        return _turned(self.own) if self.turned else self.own


class Quantities:
    """What a program names, to be found in simplified expressions. ``given`` in the order of computation."""

    def __init__(self, given: Mapping[Expr, str]) -> None:
        self.names: dict[Expr, str] = {}
        self.whole: dict[Expr, Expr] = {}
        self.products: dict[Expr, list[_Quantity]] = {}  # by their first factor
        self.among: dict[Expr, list[tuple[Expr, Expr]]] = {}  # sums and elementwise products, by their first operand
        self.loops = any(isinstance(node.op, IndexedSum) for node in postorder(given))
        for own, name in given.items():
            if own.args and not free_indices(own):
                self.enter(own, name)

    def enter(self, own: Expr, name: str) -> None:
        """Makes a quantity known; of two that are equal the first counts."""
        found = simplify(matrix_form(own) if self.loops else own)
        if not found.args or found in self.whole or _plain(found):
            return
        self.names[own] = name
        opposite = simplify(-found)
        forms = [(found, False)]
        if transposed(found) is not found:
            forms.append((transposed(found), True))
        for form, turned in forms:
            if form.args:
                self.whole.setdefault(form, _turned(own) if turned else own)
        if opposite.op is ADD:
            self.whole.setdefault(opposite, _minus(own))
            self.whole.setdefault(transposed(opposite), _minus(_turned(own)))
        for form, turned in forms:
            if form.op is PRODUCT:
                c, scalars, factors = _parts(form)
                if len(scalars) + len(factors) > 1 or c != 1:
                    first = factors[0] if factors else scalars[0]
                    quantity = _Quantity(own, c, Counter(scalars), factors, turned)
                    self.products.setdefault(first, []).insert(0, quantity)
            elif (form.op is ADD or form.op is HADAMARD) and not turned:
                self.among.setdefault(next(iter(_operands(form))), []).insert(0, (form, own))

    def put_back(self, roots: Sequence[Expr]) -> list[Expr]:
        """The expressions with the quantities in them as the program has them."""
        done: dict[Expr, Expr] = dict(self.whole)
        for node in postorder(roots, stop=self.whole.__contains__):
            if node not in done:
                done[node] = self.within(node, done)
        return [done[e] for e in roots]

    def within(self, node: Expr, done: Mapping[Expr, Expr]) -> Expr:
        if node.op is PRODUCT:
            found = self.of_product(node, done)
        elif (node.op is ADD or node.op is HADAMARD) and self.among:
            found = self.of_operands(node, done)
        else:
            found = None
        if found is not None:
            return found
        if node.op is POWER or node.op is NORM2:
            sign, base = self.signed(done[node.args[0]])
            p = 2 if node.op is NORM2 else number_of(node.args[1])
            if sign < 0 and isinstance(p, int):
                e = node.op.construct((base, *[done[a] for a in node.args[1:]]))
                return e if p % 2 == 0 else _minus(e)
        if not isinstance(node.op, Multilinear) and node.op is not TRANSPOSE and not isinstance(node.op, Diagonal):
            return rebuild(node, tuple([done[a] for a in node.args]))
        signs, args = zip(*[self.signed(done[a]) for a in node.args], strict=True)
        e = rebuild(node, args)
        return e if signs.count(-1) % 2 == 0 else _minus(e)

    def signed(self, e: Expr) -> tuple[int, Expr]:
        """A sign that was put before a quantity, and what it stands before."""
        put = e.op is PRODUCT and len(e.args) == 2 and number_of(e.args[0]) == -1 and e not in self.names
        return (-1, e.args[1]) if put else (1, e)

    def of_product(self, node: Expr, done: Mapping[Expr, Expr]) -> Expr | None:
        number, scalars, factors = _parts(node)
        left = Counter(scalars)
        out: list[Expr] = []
        units: list[Expr] = []
        hit = False

        def fits(q: _Quantity) -> bool:
            return not q.scalars - left and _whole(number, q.number)

        for first in scalars:
            for q in self.products.get(first, ()):
                if not q.factors and fits(q):
                    left -= q.scalars
                    number, hit = ratio(number, q.number), True
                    units.append(q.own)
        at = 0
        while at < len(factors):
            for q in self.products.get(factors[at], ()):
                if q.factors and factors[at : at + len(q.factors)] == q.factors and fits(q):
                    left -= q.scalars
                    number, hit = ratio(number, q.number), True
                    out.append(q.shown)
                    at += len(q.factors)
                    break
            else:
                sign, found = self.signed(done[factors[at]])
                number, hit = number * sign, hit or sign < 0
                out.append(found)
                at += 1
        if not hit:
            return None
        front, divisors = units, list[Expr]()
        for s in left.elements():
            sign, found = self.signed(done[s])
            number = number * sign
            (divisors if is_divisor(s) else front).append(found)
        args = (*front, *out, *divisors)
        if number != 1 or not args:
            args = (const(number), *args)
        return args[0] if len(args) == 1 else make(PRODUCT, args)

    def of_operands(self, node: Expr, done: Mapping[Expr, Expr]) -> Expr | None:
        """Of a sum terms that are a whole multiple of a quantity, of an elementwise product factors that are one."""
        left = _operands(node)
        found: dict[Expr, Expr] = {}  # by the operand in whose place they stand
        for first in list(left):
            for form, own in self.among.get(first, ()):
                parts = _operands(form)
                if form.op is not node.op or form.shape != node.shape or not left.keys() >= parts.keys():
                    continue
                times = ratio(left[first], parts[first]) if node.op is ADD else 1
                if node.op is ADD:
                    fits = isinstance(times, int) and all(left[e] == times * n for e, n in parts.items())
                else:
                    fits = all(left[e] >= n for e, n in parts.items())
                if fits:
                    left = {e: rest for e, n in left.items() if (rest := n - times * parts.get(e, 0))}
                    found[first] = own if times == 1 else make(PRODUCT, (const(times), own))
                    break
        if not found:
            return None
        args: list[Expr] = []
        for a in node.args:
            operand = _numbered(a)[1] if node.op is ADD else a
            if operand in found:
                args.append(found.pop(operand))
            if operand in left:
                args += [done[a]] * (1 if node.op is ADD else int(left.pop(operand)))
        return args[0] if len(args) == 1 else make(node.op, tuple(args))


def _numbered(e: Expr) -> tuple[Number, Expr]:
    """A term as a number times the rest of it."""
    number = number_of(e)
    if number is not None:
        return number, const(1)
    number = number_of(e.args[0]) if e.op is PRODUCT else None
    if number is None:
        return 1, e
    return number, e.args[1] if len(e.args) == 2 else make(PRODUCT, e.args[1:])


def _operands(e: Expr) -> dict[Expr, Number]:
    """The terms of a sum with their numbers; the factors of an elementwise product with how often they occur."""
    if e.op is HADAMARD:
        return dict(Counter(e.args))
    return {core: number for number, core in map(_numbered, e.args)}


def _turned(e: Expr) -> Expr:
    """The transpose; also of what the user has written as one, so that it can go by its name."""
    return e if e.is_scalar else make(TRANSPOSE, (e,))


def _minus(e: Expr) -> Expr:
    return make(PRODUCT, (const(-1), e))


def _parts(e: Expr) -> tuple[Number, tuple[Expr, ...], tuple[Expr, ...]]:
    """The number, the scalars and the matrices of a simplified product; a row and a column in it are such, too."""
    number: Number = 1
    for a in e.args:
        number = number * (number_of(a) or 1)
    scalars = tuple([a for a in e.args if a.is_scalar and number_of(a) is None])
    return number, scalars, tuple([a for a in e.args if not a.is_scalar])


def _plain(e: Expr) -> bool:
    """Whether a quantity is a variable in another guise: ``x'``, ``2*x``, ``diag(x)``."""
    if e.op is PRODUCT and number_of(e.args[0]) is not None and len(e.args) == 2:
        e = e.args[1]
    while e.op is TRANSPOSE or isinstance(e.op, Diagonal):
        e = e.args[0]
    return not e.args


def _whole(number: Number, by: Number) -> bool:
    """Whether one number is a whole multiple of the other, or that is a sign only."""
    return magnitude(by) == 1 or isinstance(ratio(number, by), int)


def logistic(roots: Iterable[Expr], length: Mapping[Expr, int]) -> Expr | None:
    """The ``s = sigmoid(z)`` of slopes ``s .* (1 - s)`` that are long to write out, where there is only one such."""
    found: set[Expr] = set()
    for node in postorder(roots):
        if node.op is HADAMARD or node.op is PRODUCT:
            for a in node.args:
                f = complemented(a) if a.op is ADD else None
                if f is not None and f in node.args and f.op is _SIGMOID and length[f] >= LONG and not free_indices(f):
                    found.add(f)
    return found.pop() if len(found) == 1 else None


def with_quantities(roots: Sequence[Expr], given: Mapping[Expr, str]) -> tuple[list[Expr], dict[Expr, str]]:
    """Simplified expressions with the quantities that are ``given`` put back, and the names of those that occur.

    What is short and occurs once is written out.
    """
    length = lengths(given)
    exprs = Quantities(given).put_back(roots)
    uses: Counter[Expr] = Counter(exprs)
    for node in postorder(exprs):
        uses.update(node.args)
    chosen = {e: name for e, name in given.items() if length[e] > SHORT or (uses[e] > 1 and length[e] >= SHORTEST)}
    quantities = Quantities(chosen)
    if len(chosen) < len(given):
        exprs = quantities.put_back(roots)
    return exprs, {node: quantities.names[node] for node in postorder(exprs) if node in quantities.names}


__all__ = ["Quantities", "logistic", "with_quantities"]
