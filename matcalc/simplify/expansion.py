"""Sums tried in another form where something cancels: products of sums written out, fractions over one divisor."""

from __future__ import annotations

from fractions import Fraction

from matcalc.dims import ONE, SCALAR, Shape
from matcalc.expr import Expr
from matcalc.primitives.algebra import ADD, HADAMARD, POWER, TRANSPOSE
from matcalc.primitives.base import Primitive, zeros
from matcalc.primitives.elementwise import cosh, exp, sigmoid, sinh, sqrt
from matcalc.primitives.functions import Elementwise
from matcalc.primitives.leaves import Ones, const, ones
from matcalc.primitives.matrix import DET
from matcalc.simplify import completed, effort, hadamards, merges, powers, products, square, sums, transposes
from matcalc.simplify.cost import look
from matcalc.simplify.terms import Term, assemble, assembled, exact, is_run, term

_COSH, _EXP, _SIGMOID, _SINH, _SQRT = (Elementwise(f, 0) for f in (cosh, exp, sigmoid, sinh, sqrt))
_UNDER = (POWER, TRANSPOSE, _SQRT)  # under which a factor is looked at, too


class Plain:
    """The sum of collected terms as they are, built once, where other forms of it are tried."""

    def __init__(self, terms: sums.Terms, shape: Shape) -> None:
        self.terms, self.shape = terms, shape
        self.kinds = kinds(terms)
        self._built: Expr | None = None

    def built(self) -> Expr:
        if self._built is None:
            self._built = sums.built_sum(self.terms, self.shape)
        return self._built

    def is_longer(self, other: Expr, margin: int = 0) -> bool:
        """Whether another form is shorter: where one term alone is not, whatever is drawn out, this need not be built.

        Matrices, and products of them, may cancel when others are drawn out.
        """
        cost = look(other).cost
        if self._built is None:
            chained = self.shape[1] is not ONE or any(len(m) > 1 or any(map(is_run, s)) for s, m in self.terms)
            if not chained and any(look(assembled(1, s, m)).cost > cost for s, m in self.terms):
                return True
        return cost < look(self.built()).cost + margin


def kinds(terms: sums.Terms) -> set[Primitive]:
    """The primitives of the factors of terms, those under powers and transposes among them."""
    found: set[Primitive] = set()
    for s, m in terms:
        for f in (*s, *(hadamards.commuting(m) or m)):
            found.add(f.op)
            while f.op in _UNDER:
                f = f.args[0]
                found.add(f.op)
    return found


def by_functions(collected: sums.Terms, shape: Shape) -> sums.Terms:
    """The terms with what functions of entries, determinants and squares in them make together."""
    present = kinds(collected)
    if _SIGMOID in present:
        collected = one_sigmoid(collected)
    if DET in present:
        collected = square.one_determinant(collected)
    if _EXP in present:
        collected = hyperbolic(collected)
    return completed.completed(collected, shape)


def other_form(plain: Plain) -> Expr | None:
    """A form of the sum that is shorter than the terms as they are, where something cancels."""
    if ADD not in plain.kinds:
        return None
    return written_out(plain) or over_one_divisor(plain) or turned_out(plain)


@effort.trial
def written_out(plain: Plain) -> Expr | None:
    """The sum with products of small sums written out, where that makes terms meet and the result is shorter."""
    collected, shape = plain.terms, plain.shape
    count = 0
    found = False
    for s, m in collected:
        width = _width(s, m)
        found = found or width > 1
        count += width
    if not found or count > sums.MOST:
        return None
    out: sums.Terms = {}
    met = False
    inside: set[Expr] = set()  # factors that terms have only inside their sums, as s is in ``(1 - s) .* x``
    for (s, m), c in collected.items():
        parts = _distributed(s, m)
        if len(parts) > 1:
            outside = _factors(s, m)
            inside.update([f for a in parts for f in _factors(*term(a)[1:]) if f.args and f not in outside])
        for part in parts:
            d, t, f = term(part)
            if len(f) == 1 and isinstance(f[0].op, Ones) and shape is not SCALAR:
                f = ()
            key = (t, f)
            if key in out:
                met = True
            total = exact(out.get(key, 0) + c * d)
            if total:
                out[key] = total
            else:
                out.pop(key, None)
    if not met:
        fewer = completed.completed(hyperbolic(one_sigmoid(out)), shape)
        if len(fewer) < len(out):
            out, met = fewer, True
        elif inside.isdisjoint([f for s, m in collected for f in _factors(s, m)]):
            return None
    if not out:
        return zeros(shape)
    short = sums.built_sum(out, shape)
    return short if plain.is_longer(short, met) else plain.built()


def _factors(s: tuple[Expr, ...], m: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """The commuting factors of a term."""
    return (*s, *hadamards.commuting(m))


def one_sigmoid(collected: sums.Terms) -> sums.Terms:
    """The terms with ``sigmoid(-t)`` as ``1 - sigmoid(t)`` where ``sigmoid(t)`` occurs in the same sum."""
    turned = [a for key in collected for a in _atoms(*key) if _is_sigmoid(a) and term(a.args[0]).coefficient < 0]
    if not turned:
        return collected
    present = {b for key in collected for a in _atoms(*key) for b in (a, *_atoms_within(a)) if _is_sigmoid(b)}
    new = {}
    for a in turned:
        other = products.unary(a.op, products.times(const(-1), a.args[0]))
        if other in present:
            new[a] = merges.complement(other)
    if not new:
        return collected
    # Where 1 - sigmoid(t) is a factor of other terms, too, it stays whole.
    shared = len(turned) > 1 or any(f in new.values() for s, m in collected for f in _factors(s, m))
    out: sums.Terms = {}
    for (s, m), c in collected.items():
        if any(a in new for a in _atoms(s, m)):
            factors = [_exchanged(f, new) for f in _factors(s, m)]
            if len(factors) == 1 and factors[0].op is ADD and not shared:
                for d, t, k in map(term, factors[0].args):
                    sums.put(out, (t, m if len(m) > 1 else k), exact(c * d))  # a product of matrices stays
                continue
            matrices = m if len(m) > 1 else ()  # a product of matrices stays as it is
            d, s, m = term(products.times(hadamards.hadamard(*factors), *matrices))
            c = exact(c * d)
        sums.put(out, (s, m), c)
    return out


def hyperbolic(collected: sums.Terms) -> sums.Terms:
    """The terms with ``exp(t)*x + exp(-t)*x`` as ``2*cosh(t)*x``, and with a minus ``2*sinh(t)*x``."""
    exponentials = [(key, f) for key in collected for f in _atoms(*key) if f.op is _EXP]
    if len(exponentials) < 2:
        return collected
    out = dict(collected)
    for key, f in exponentials:
        negative = products.unary(_EXP, products.times(const(-1), f.args[0]))
        if term(f.args[0]).coefficient < 0 or not any(g is negative for _, g in exponentials):
            continue
        other = _replaced(*key, f, negative)
        c, d = out.get(key, 0), out.get(other[1:], 0) * other[0]
        if c and d and c in (d, -d) and key != other[1:]:
            function = _COSH if c == d else _SINH
            new = _replaced(*key, f, products.unary(function, f.args[0]))
            del out[key], out[other[1:]]
            sums.put(out, new[1:], exact(2 * c * new[0]))
    return out


def _replaced(s: tuple[Expr, ...], m: tuple[Expr, ...], f: Expr, new: Expr) -> Term:
    """A term with a commuting factor replaced."""
    if f in s:
        return term(products.times(*[new if a is f else a for a in s], *m))
    return term(products.times(*s, hadamards.hadamard(*[new if a is f else a for a in hadamards.commuting(m)])))


def _atoms(s: tuple[Expr, ...], m: tuple[Expr, ...]) -> list[Expr]:
    """The bases of the commuting factors of a term."""
    return [powers.split(f)[0] for f in _factors(s, m) if f.args]


def _atoms_within(e: Expr) -> list[Expr]:
    """Those of the terms of a sum."""
    return [b for a in e.args for b in _atoms(*term(a)[1:])] if e.op is ADD else []


def _is_sigmoid(e: Expr) -> bool:
    return e.op is _SIGMOID


def _exchanged(f: Expr, new: dict[Expr, Expr]) -> Expr:
    base, p = powers.split(f)
    return powers.raised(new[base], p) if base in new else f


@effort.trial
def over_one_divisor(plain: Plain) -> Expr | None:
    """Fractions over the powers of one sum brought over the highest, where the numerators then become shorter.

    ``1/q - x/q^2`` with q = x + y is ``y/q^2``, and ``1/sqrt(q) - x/q^(3/2)`` is ``y/q^(3/2)``.
    """
    if POWER not in plain.kinds:
        return None
    collected, shape = plain.terms, plain.shape
    lowest: dict[Expr, int | Fraction] = {}
    for s, m in collected:
        for f in _factors(s, m):
            if f.op is POWER:
                base, p = powers.split(f)
                if base.op is ADD and isinstance(p, (int, Fraction)) and p < 0 and look(base).size <= sums.SMALL:
                    lowest[base] = min(lowest.get(base, 0), p)
    if len(lowest) != 1:
        return None
    ((base, p),) = lowest.items()
    part = {key: c for key, c in collected.items() if key == ((), ()) or any(_is_over(f, base) for f in _factors(*key))}
    if ((), ()) in part and len(part) < len(collected):
        joined = over_one_divisor(Plain(part, shape))
        if joined is None:
            return None
        return sums.plus(joined, *[assembled(c, s, m) for (s, m), c in collected.items() if (s, m) not in part])
    over = powers.raised(base, exact(-p))
    if not _meets(collected, base, over):
        return None
    parts = [hadamards.hadamard(assemble(c, s, m) if s or m else const(c), over) for (s, m), c in collected.items()]
    inner = sums.plus(*parts)
    if isinstance(p, Fraction) and sums.occurs(base, [inner]):
        return None  # of roots only where the highest power is all that is left
    whole = hadamards.hadamard(inner, powers.raised(base, p))
    if whole.is_scalar and shape is not SCALAR:  # numbers spread over all entries
        whole = products.times(whole, ones(*shape))
    return whole if plain.is_longer(whole) else None


def _meets(collected: sums.Terms, base: Expr, over: Expr) -> bool:
    """Whether a numerator may meet others brought over the sum ``base``: over several powers, or in terms written out.

    Where one term has the divisor, and nothing in it meets the others times the divisor, these only get longer.
    """
    above = [key for key in collected if any(_is_over(f, base) for f in _factors(*key))]
    if len(above) > 1 or over is not base:
        return True
    ((s, m),) = above
    numerator = [f for f in _factors(s, m) if not _is_over(f, base)]
    inside = {_key(part) for part in _terms_of(hadamards.hadamard(*numerator) if numerator else const(1))}
    others = [assembled(1, *key) for key in collected if key not in above]
    return any(_key(hadamards.hadamard(a, q)) in inside for e in others for a in _terms_of(e) for q in base.args)


def _terms_of(e: Expr) -> list[Expr]:
    """The terms of an expression, and of the product of a small sum with something."""
    _, s, m = term(e)
    return _distributed(s, m)


def _key(e: Expr) -> sums.Key:
    """What terms are collected by."""
    _, s, m = term(e)
    return s, () if len(m) == 1 and isinstance(m[0].op, Ones) else m


def _is_over(f: Expr, base: Expr) -> bool:
    of, p = powers.split(f)
    return of is base and not isinstance(p, Expr) and p < 0


@effort.trial
def turned_out(plain: Plain) -> Expr | None:
    """The sum with transposed sums written out, where something then meets: ``(A + B)' - A'`` is ``B'``."""
    if TRANSPOSE not in plain.kinds:
        return None
    parts: list[Expr] = []
    found = False
    for (s, m), c in plain.terms.items():
        if len(m) == 1 and m[0].op is TRANSPOSE and m[0].args[0].op is ADD and len(m[0].args[0].args) <= sums.MOST:
            found = True
            parts += [products.times(const(c), *s, transposes.transposed(a)) for a in m[0].args[0].args]
        else:
            parts.append(assembled(c, s, m))
    if not found:
        return None
    short = sums.plus(*parts)
    return short if look(short).cost <= look(plain.built()).cost else None


def _sum_in(s: tuple[Expr, ...], m: tuple[Expr, ...]) -> tuple[int, int, Expr] | None:
    """Where the first small sum among the factors stands: place (0 scalars, 1 factors, 2 elementwise), index."""
    for i, a in enumerate(s):
        if a.op is ADD and look(a).size <= 2 * sums.SMALL:
            return 0, i, a
    for i, a in enumerate(m):
        b = a.args[0] if a.op is TRANSPOSE else a
        if b.op is ADD and look(b).size <= 2 * sums.SMALL:
            return 1, i, a
    if len(m) == 1 and m[0].op is HADAMARD:
        for i, a in enumerate(m[0].args):
            if a.op is ADD and look(a).size <= 2 * sums.SMALL:
                return 2, i, a
    return None


def _width(s: tuple[Expr, ...], m: tuple[Expr, ...]) -> int:
    at = _sum_in(s, m)
    if at is None:
        return 1
    inner = at[2].args[0] if at[2].op is TRANSPOSE else at[2]
    return len(inner.args)


def _distributed(s: tuple[Expr, ...], m: tuple[Expr, ...]) -> list[Expr]:
    at = _sum_in(s, m)
    if at is None:
        return [assembled(1, s, m)]
    place, i, total = at
    if total.op is TRANSPOSE:
        parts = [transposes.transposed(a) for a in total.args[0].args]
        shape = total.shape
    else:
        parts, shape = list(total.args), total.shape
    if place == 0:
        return [products.times(*s[:i], a, *s[i + 1 :], *m) for a in parts]
    if place == 1:
        # A number spread over the entries of the sum is a matrix once it stands alone in a product.
        spread = [products.times(a, ones(*shape)) if a.is_scalar else a for a in parts]
        return [products.times(*s, *m[:i], a, *m[i + 1 :]) for a in spread]
    args = m[0].args
    return [hadamards.hadamard(*s, *args[:i], a, *args[i + 1 :]) for a in parts]
