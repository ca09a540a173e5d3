"""Sums, elementwise products, powers and functions of values, in forms that neither overflow nor cancel.

``log(1 + exp(t))`` becomes softplus, ``1/(1 + exp(-t))`` the logistic function, ``exp(x)/sum(exp(x))`` softmax, and so
on: each is equal in exact arithmetic, and the other form is the accurate one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import combinations

from matcalc.dims import ONE
from matcalc.errors import ArgumentError
from matcalc.expr import Number
from matcalc.lowering.plan import ArrayShape, Plan, Value, as_number
from matcalc.lowering.templates import with_axis
from matcalc.primitives import softmax

_LARGEST_POWER_BY_PRODUCTS = 8
_TERMS_IN_A_LINE = 8
_WITH_NUMBERS = frozenset({"const", "mul", "newaxis", "T"})  # what may have a number in front
_OPENED = _WITH_NUMBERS | {"diag", "full", "spread"}  # factors that are looked into


def split(plan: Plan, v: Value) -> tuple[Number, Value]:
    """``v`` as a number times a value without one in front."""
    if v.op not in _WITH_NUMBERS:
        return 1, v
    if v.op == "const":
        return v.attrs[0], plan.one
    if v.op == "mul" and v.attrs[0] != 1:
        coefficient, count = v.attrs
        return coefficient, _product(plan, 1, v.args[:count], v.args[count:], v.shape)
    if v.op == "newaxis":
        coefficient, vector = split(plan, v.args[0])
        return coefficient, plan.newaxis(vector, v.attrs[0])
    if v.op == "T" and v.args[0].op == "mul":
        coefficient, matrix = split(plan, v.args[0])
        return coefficient, plan.transpose(matrix)
    return 1, v


def scaled(plan: Plan, coefficient: Number, v: Value) -> Value:
    return mul(plan, [v], coefficient=coefficient, shape=v.shape)


def negative(plan: Plan, v: Value) -> Value:
    return scaled(plan, -1, v)


def reciprocal(plan: Plan, v: Value) -> Value:
    return mul(plan, [], [v], shape=v.shape)


# Sums


def add(plan: Plan, terms: Iterable[Value], shape: ArrayShape) -> Value:
    """The sum, numbers and vectors spread over ``shape``; equal terms are gathered."""
    gathered: dict[Value, Number] = {}
    diagonals: list[Value] = []
    for term in terms:
        if term.op == "diag" and len(shape) == 2:
            diagonals.append(term.args[0])
            continue
        term = loosened(plan, term)
        coefficient, rest = split(plan, term)
        gathered[rest] = gathered.get(rest, 0) + coefficient
    parts = [(as_number(c), v) for v, c in gathered.items() if c and not plan.is_zero(v)]
    _reuse_stable(plan, parts)
    key = tuple(parts)
    if len(parts) > 2:  # h + f(h) + g(h + f(h)): the sum that exists already is a term
        known = plan.sums.get(key[:-1])
        if known is not None:
            parts = [(1, known), parts[-1]]
    numbers = [p for p in parts if not p[1].shape]
    if 2 <= len(numbers) < len(parts):  # first all that are numbers: one pass over the array
        parts = [p for p in parts if p[1].shape]
        parts.append((1, _sum(plan, numbers, ())))
    if _are_columns([v for _, v in parts]):
        vectors = [(c, e) for (c, _), e in zip(parts, _without_axis([v for _, v in parts]), strict=True)]
        dense: Value | None = plan.newaxis(_sum(plan, vectors, _common(e.shape for _, e in vectors)), 1)
    else:
        dense = _sum(plan, parts, _common(v.shape for _, v in parts)) if parts else None
    if dense is not None and len(key) > 1:
        plan.sums[key] = dense
    if diagonals:
        entries = diagonals[0] if len(diagonals) == 1 else add(plan, diagonals, _common(d.shape for d in diagonals))
        if dense is None:
            return plan.diag(entries, shape[0])
        if dense.shape == shape:
            return plan.value("add_diagonal", (dense, entries), shape)
        return add(plan, [dense, plan.value("dense", (plan.diag(entries, shape[0]),), shape)], shape)
    return tightened(plan, dense if dense is not None else plan.const(0), shape)


def loosened(plan: Plan, v: Value) -> Value:
    """A repeated entry, row or column as what spreads by itself when it meets a whole array."""
    if v.op == "full":
        return v.args[0]
    if v.op == "spread":
        return v.args[0] if v.attrs[0] == 0 else plan.newaxis(v.args[0], 1)
    return v


def tightened(plan: Plan, v: Value, shape: ArrayShape) -> Value:
    """``v`` in the full shape."""
    if v.shape == shape:
        return v
    if not v.shape:
        return plan.full(v, shape)
    if len(shape) == 2 and v.rank == 1:
        return plan.spread(v, 0, shape)
    if v.op == "newaxis":
        return plan.spread(v.args[0], 1, shape)
    if len(shape) == 2 and v.rank == 2 and v.shape[1] is ONE:
        return plan.spread(plan.reshape(v, v.shape[:1]), 1, shape)
    return plan.value("dense", (v,), shape)


def _common(shapes: Iterable[ArrayShape]) -> ArrayShape:
    """What the shapes become when they meet."""
    out: ArrayShape = ()
    for shape in shapes:
        if shape == out or not shape:
            continue
        if not out:
            out = shape
            continue
        a, b = [(ONE,) * (2 - len(s)) + s for s in (out, shape)]
        both = tuple([x if y is ONE else y for x, y in zip(a, b, strict=True)])
        out = both if max(len(out), len(shape)) == 2 else both[1:]
    return out


def _sum(plan: Plan, parts: Sequence[tuple[Number, Value]], shape: ArrayShape) -> Value:
    if len(parts) == 1:
        coefficient, v = parts[0]
        return v if coefficient == 1 else scaled(plan, coefficient, v)
    terms = [(c < 0, scaled(plan, -c if c < 0 else c, v)) for c, v in parts]
    terms.sort(key=lambda t: t[0])  # those with a minus come last
    while len(terms) > _TERMS_IN_A_LINE:
        head, terms = terms[:_TERMS_IN_A_LINE], terms[_TERMS_IN_A_LINE:]
        terms.insert(0, (False, _add_node(plan, head, _common(v.shape for _, v in head))))
    return _add_node(plan, terms, shape)


def _add_node(plan: Plan, terms: Sequence[tuple[bool, Value]], shape: ArrayShape) -> Value:
    values, signs = tuple([v for _, v in terms]), tuple([s for s, _ in terms])
    found = _as_transpose(plan, values, shape, signs) if len(shape) == 2 else None
    if found is not None:
        return found
    if True in signs and not plan.is_known_sum(values, shape, signs):
        opposite = tuple([not s for s in signs])
        if plan.is_known_sum(values, shape, opposite):
            return scaled(plan, -1, plan.commutative("add", values, shape, opposite))
    return plan.commutative("add", values, shape, signs)


def _as_transpose(plan: Plan, values: Sequence[Value], shape: ArrayShape, signs: tuple[bool, ...]) -> Value | None:
    """The sum as plus or minus the transpose of one that exists."""
    if not any(v.op == "T" for v in values) or any(v.rank == 2 and v.op not in ("T", "newaxis") for v in values):
        return None
    across = tuple([turned_operand(plan, v) for v in values])
    for minus in (False, True):
        other = tuple([s is not minus for s in signs])
        if plan.is_known_sum(across, shape[::-1], other):
            found = plan.transpose(plan.commutative("add", across, shape[::-1], other))
            return scaled(plan, -1, found) if minus else found
    return None


def turned_operand(plan: Plan, a: Value) -> Value:
    """An operand of an elementwise operation on matrices as it spreads over the transpose."""
    if a.rank == 1:
        return plan.newaxis(a, 1)
    if a.op == "newaxis":
        return a.args[0] if a.attrs[0] == 1 else plan.newaxis(a.args[0], 1)
    return plan.transpose(a)


def _reuse_stable(plan: Plan, parts: list[tuple[Number, Value]]) -> None:
    """``exp(t) - 1`` as expm1, ``1 - sigmoid(t)`` as sigmoid(-t)."""
    if len(parts) != 2:
        return
    (c, a), (d, b) = parts
    if a is plan.one:
        (c, a), (d, b) = (d, b), (c, a)
    if b is plan.one and c == -d:
        if a.op == "exp":
            parts[:] = [(c, function(plan, "expm1", a.args[0]))]
        elif a.op == "sigmoid":
            parts[:] = [(d, plan.value("cosigmoid", a.args, a.shape))]


# Products and quotients


def mul(
    plan: Plan,
    factors: Iterable[Value],
    divisors: Iterable[Value] = (),
    *,
    shape: ArrayShape,
    coefficient: Number = 1,
) -> Value:
    """The elementwise product of ``factors`` over that of ``divisors``, numbers and vectors spread over ``shape``."""
    above: list[Value] = []
    below: list[Value] = []
    diagonal: Value | None = None
    pending = [(v, False) for v in factors] + [(v, True) for v in divisors]
    for v, inverted in pending:
        if v.op not in _OPENED:
            (below if inverted else above).append(v)
            continue
        number, v = split(plan, v)
        if number == 0 and not inverted:
            return plan.zeros(shape)
        coefficient = _times(coefficient, number, inverted)
        if v is plan.one:
            continue
        if v.op == "diag" and not inverted and len(shape) == 2:
            other = v.args[0]
            diagonal = other if diagonal is None else mul(plan, [diagonal, other], shape=diagonal.shape or other.shape)
            continue
        v = loosened(plan, v)
        if v.op in ("const", "mul"):
            number, v = split(plan, v)
            coefficient = _times(coefficient, number, inverted)
            if number == 0 and not inverted:
                return plan.zeros(shape)
        if v is plan.one:
            continue
        if v.op == "mul" and v.attrs == (1, 0):  # a reciprocal
            (above if inverted else below).extend(v.args)
        else:
            (below if inverted else above).append(v)
    _match_quotients(plan, above, below)
    if diagonal is not None:
        others = [_diagonal_of(plan, v, shape) for v in above]
        under = [_diagonal_of(plan, v, shape) for v in below]
        entries_shape = _common(v.shape for v in [diagonal, *others, *under])
        return plan.diag(mul(plan, [diagonal, *others], under, shape=entries_shape, coefficient=coefficient), shape[0])
    coefficient = as_number(coefficient)
    if _are_columns([*above, *below]):
        over, under = _without_axis(above), _without_axis(below)
        entries = _product(plan, coefficient, over, under, _common([v.shape for v in (*over, *under)]))
        return tightened(plan, plan.newaxis(entries, 1), shape)
    together = _common([v.shape for v in (*above, *below)])
    return tightened(plan, _product(plan, coefficient, above, below, together), shape)


def _are_columns(values: Sequence[Value]) -> bool:
    """Whether these are numbers and columns of one length, so that they are computed as vectors."""
    found = False
    for v in values:
        if v.shape:
            if v.op != "newaxis" or v.attrs[0] != 1:
                return False
            found = True
    return found


def _without_axis(values: Sequence[Value]) -> list[Value]:
    return [v.args[0] if v.shape else v for v in values]


def _times(a: Number, b: Number, inverted: bool) -> Number:
    if not inverted:
        return a * b
    if not b:
        raise ArgumentError("the expression divides by zero", hint="a divisor in it is zero whatever the variables are")
    return a / b if isinstance(a, float) or isinstance(b, float) else Fraction(a) / Fraction(b)


def _diagonal_of(plan: Plan, v: Value, shape: ArrayShape) -> Value:
    if not v.shape:
        return v
    if v.rank == 1:
        return v
    if v.op == "newaxis":
        return v.args[0]
    return plan.value("diagonal", (v,), v.shape[:1])


def _product(
    plan: Plan, coefficient: Number, above: Sequence[Value], below: Sequence[Value], shape: ArrayShape
) -> Value:
    if not above and not below:
        return plan.const(coefficient)
    above, below = _by_size(plan, _with_known_pairs(plan, above, coefficient)), _by_size(plan, below)
    if coefficient == 1 and len(above) == 1 and not below:
        return above[0]
    numbers = [v for v in above if not v.shape]
    under = [v for v in below if not v.shape]
    arrays = len(numbers) < len(above) or len(under) < len(below)
    if arrays and (len(numbers) + len(under) + (coefficient != 1) > 1 or len(under) > 1):
        # First all that are numbers: one pass over the array.
        factor = plan.value("mul", (*numbers, *under), (), coefficient, len(numbers))
        above = [factor, *(v for v in above if v.shape)]
        below = [v for v in below if v.shape]
        coefficient = 1
        if len(above) == 2 and not below:
            found = _with_number(plan, *above)
            if found is not None:
                return found
    above, below = _in_groups(plan, above), _in_groups(plan, below)
    return plan.commutative("mul", (*above, *below), shape, coefficient, len(above))


def _with_number(plan: Plan, number: Value, a: Value) -> Value | None:
    """A matrix with scaled rows or columns times a number: the number goes to the scales."""
    if a.op != "mul" or a.rank != 2:
        return None
    coefficient, count = a.attrs
    k = next((k for k, s in enumerate(a.args[:count]) if s.rank == 1 or s.op == "newaxis"), None)
    if k is None:
        return None
    scales = mul(plan, [number, a.args[k]], shape=a.args[k].shape)
    factors = (*a.args[:k], scales, *a.args[k + 1 :])
    return plan.commutative("mul", factors, a.shape, coefficient, count)


def _with_known_pairs(plan: Plan, factors: Sequence[Value], coefficient: Number) -> Sequence[Value]:
    """The factors with two of them as the product that exists already, where that leaves one product less."""
    arrays = [v for v in factors if v.shape]
    parts = [a for v in arrays for a in (v.args if v.op == "mul" and v.attrs == (1, 2) else (v,))]
    if not 3 - (coefficient != 1) <= len(parts) <= _TERMS_IN_A_LINE:
        return factors
    for i, j in combinations(range(len(parts)), 2):
        pair = (parts[i], parts[j])
        known = plan.known_product(pair, _common(v.shape for v in pair))
        if known is not None and known not in arrays and len(parts) - 1 <= len(arrays):
            return [*(v for v in factors if not v.shape), known, *(v for k, v in enumerate(parts) if k not in (i, j))]
    return factors


def _in_groups(plan: Plan, factors: list[Value]) -> list[Value]:
    """Many factors as a few products of some of them."""
    while len(factors) > _TERMS_IN_A_LINE:
        head, factors = factors[:_TERMS_IN_A_LINE], factors[_TERMS_IN_A_LINE:]
        product = plan.commutative("mul", tuple(head), _common(v.shape for v in head), 1, len(head))
        factors.insert(0, product)
    return factors


def _by_size(plan: Plan, values: Sequence[Value]) -> list[Value]:
    """Numbers first, then vectors, so that products grow as late as they can."""
    return sorted(values, key=lambda v: v.rank - v.shape.count(ONE)) if len(values) > 1 else list(values)


def _match_quotients(plan: Plan, above: list[Value], below: list[Value]) -> None:
    for e in [a for v in above for a in ([v] if v.op == "exp" else v.args if _is_product(v) else ()) if a.op == "exp"]:
        (x,) = e.args
        if _taken(above, function(plan, "sigmoid", negative(plan, x))):  # exp(x)*sigmoid(-x) = sigmoid(x)
            _taken(above, e)
            above.append(function(plan, "sigmoid", x))
            return _match_quotients(plan, above, below)
    for v in above:
        column = v.args[0] if v.op == "newaxis" else v
        if column is not v and column.op == "mul" and column.attrs == (1, 0) and column.args[0].op == "sum":
            den = plan.newaxis(column.args[0], 1)  # a column of reciprocals is a divisor, too
            normalised = softmax_of(plan, den, above) if len(column.args) == 1 else None
            if normalised is not None:
                above[above.index(v)] = normalised
                return _match_quotients(plan, above, below)
    for i, den in enumerate(below):
        t = _logistic_argument(plan, den)
        if t is not None:  # 1/(1 + exp(t)) = sigmoid(-t), and exp(t)/(1 + exp(t)) = sigmoid(t)
            del below[i]
            grown = _taken(above, function(plan, "exp", t))
            above.append(function(plan, "sigmoid", t if grown else negative(plan, t)))
            return _match_quotients(plan, above, below)
        if _is_product(den) and all(_logistic_argument(plan, d) for d in den.args):
            below[i : i + 1] = den.args
            return _match_quotients(plan, above, below)
        normalised = softmax_of(plan, den, above)
        if normalised is not None:
            above.append(normalised)
            del below[i]
            return _match_quotients(plan, above, below)
    if plan.subgradient:
        for i, den in enumerate(below):
            if _is_norm(den) or (den.op == "mul" and den.args and all(_is_norm(a) for a in den.args)):
                above.append(plan.call("{rt}.safe_reciprocal({0})", (den,), den.shape))
                below[i] = plan.one
        below[:] = [v for v in below if v is not plan.one]
    for i, v in enumerate(above):  # y*(1 - y) needs no second logistic function
        if v.op == "cosigmoid":
            partner = plan.value("sigmoid", v.args, v.shape)
            if partner in above:
                above[i] = _add_node(plan, [(False, plan.one), (True, partner)], v.shape)
    return None


def softmax_of(plan: Plan, den: Value, above: list[Value]) -> Value | None:
    """``exp(x)/den`` as softmax, where ``den`` is a sum of exp(x), which is taken out of ``above``."""
    summed = den.args[0] if den.op == "newaxis" else den
    if summed.op != "sum" or summed.args[0].op != "exp":
        return None
    (x,), (axis,) = summed.args[0].args, summed.attrs
    if (axis == 1) != (den.op == "newaxis") or not _taken(above, summed.args[0]):
        return None
    return plan.call(with_axis(softmax.Softmax, axis), (x,), x.shape)


def _is_product(v: Value) -> bool:
    return v.op == "mul" and v.attrs == (1, len(v.args))


def _taken(above: list[Value], factor: Value) -> bool:
    """Takes a factor out of ``above``, or of a product in it; whether it was there."""
    for i, v in enumerate(above):
        if v is factor:
            del above[i]
            return True
        if _is_product(v) and factor in v.args:
            rest = list(v.args)
            rest.remove(factor)
            above[i : i + 1] = rest
            return True
    return False


def _is_norm(v: Value) -> bool:
    """Whether a value is a norm, or the norms of the columns or rows of a matrix: roots of sums of squares."""
    if v.op == "newaxis":
        v = v.args[0]
    if v.op != "sqrt" or v.args[0].op != "sum":
        return v.op == "norm"
    squares = v.args[0].args[0]
    return squares.op == "mul" and len(squares.args) == 2 and squares.args[0] is squares.args[1]


def _logistic_argument(plan: Plan, v: Value) -> Value | None:
    """t, where ``v`` is ``1 + exp(t)``."""
    if v.op == "add" and len(v.args) == 2 and v.attrs[0] == (False, False) and plan.one in v.args:
        other = v.args[1] if v.args[0] is plan.one else v.args[0]
        if other.op == "exp":
            return other.args[0]
    return None


# Powers and functions


def power(plan: Plan, x: Value, p: Value, shape: ArrayShape) -> Value:
    """The elementwise power; small whole powers are products, halves are square roots."""
    exponent = p.attrs[0] if p.op == "const" else None
    if exponent is not None:
        if isinstance(exponent, float) and (2 * exponent).is_integer() and abs(exponent) < 2**20:
            exponent = Fraction(exponent)
        if exponent == 0:
            return plan.full(plan.one, shape)
        if x.op == "norm" and exponent == 2:
            return _sum_of_squares(plan, x.args[0])
        if not isinstance(exponent, float) and (2 * exponent) == int(2 * exponent):
            whole, half = divmod(abs(Fraction(exponent)), 1)
            if whole <= _LARGEST_POWER_BY_PRODUCTS and not (x.op == "diag" and exponent < 0):
                factors = [_whole_power(plan, x, int(whole), shape)] if whole else []
                if half:
                    factors.append(function(plan, "sqrt", x))
                return mul(plan, *((factors, []) if exponent > 0 else ([], factors)), shape=shape)
    if x.weak and p.weak:
        return plan.value("pow", (x, p), shape)
    base, p = loosened(plan, x), loosened(plan, p)
    return tightened(plan, plan.value("pow", (base, p), _common([base.shape, p.shape])), shape)


def _sum_of_squares(plan: Plan, x: Value) -> Value:
    return plan.value("dot" if x.rank == 1 else "inner", (x, x), ())


def _whole_power(plan: Plan, x: Value, times: int, shape: ArrayShape) -> Value:
    if times == 1:
        return x
    if x.op == "norm" and times % 2 == 0:
        return _whole_power(plan, _sum_of_squares(plan, x.args[0]), times // 2, shape)
    if times <= 3:
        return mul(plan, [x] * times, shape=shape)
    half = _whole_power(plan, x, times // 2, shape)
    return mul(plan, [half, half] + [x] * (times % 2), shape=shape)


def function(plan: Plan, name: str, x: Value) -> Value:
    """The known function applied to every entry, in its stable form."""
    if x.op == "full":
        return plan.full(function(plan, name, x.args[0]), x.shape)
    if x.op == "spread":
        return plan.spread(function(plan, name, x.args[0]), x.attrs[0], x.shape)
    if x.op == "newaxis":
        return plan.newaxis(function(plan, name, x.args[0]), x.attrs[0])
    if name == "log":
        found = _stable_log(plan, x)
        if found is not None:
            return found
    if name == "log1p" and x.op == "exp":
        name = "softplus"
    if name == "exp" and x.op == "log":
        return x.args[0]
    return plan.value(name, (x,), x.shape)


def _stable_log(plan: Plan, x: Value) -> Value | None:
    if x.op == "exp":
        return x.args[0]
    if x.op == "sigmoid":
        return negative(plan, function(plan, "softplus", negative(plan, x.args[0])))
    if x.op == "cosigmoid":
        return negative(plan, function(plan, "softplus", x.args[0]))
    if x.op == "det" and x.attrs[0]:
        return plan.value("logdet", x.args, ())
    if x.op == "call" and ".softmax(" in x.attrs[0]:
        return plan.call(x.attrs[0].replace(".softmax(", ".log_softmax("), x.args, x.shape)
    if x.op == "sum" and x.args[0].op == "exp":
        return plan.call(with_axis(softmax.LogSumExp, x.attrs[0]), x.args[0].args, x.shape)
    if x.op == "add" and len(x.args) == 2 and plan.one in x.args:
        (first, second), (minus, negated) = x.args, x.attrs[0]
        other, sign = (second, negated) if first is plan.one else (first, minus)
        if (minus, negated)[x.args.index(plan.one)]:
            return None
        if other.op == "exp" and not sign:
            return function(plan, "softplus", other.args[0])
        return function(plan, "log1p", negative(plan, other) if sign else other)
    return None
