"""Matrices computed in the memory of an operand that nothing needs any more.

A fresh array of more than some ten thousand entries costs its page faults, which for sums, products and functions of
entries is more than the computing. So a matrix is written over one of its operands where that is a temporary and this
is its last use: ``np.tanh(t1, t1)``, ``t1 *= t2``. Vectors are left to expressions, which read better.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from matcalc.lowering.code import SUM, UNARY, Code
from matcalc.lowering.plan import VIEWS, Plan, Value
from matcalc.primitives.elementwise import FUNCTIONS

if TYPE_CHECKING:
    from matcalc.lowering.numpy_source import Writer

# Operations that give an array of their own, besides functions of entries.
_FRESH = frozenset({"add", "mul", "dot", "outer", "plus_outers", "matmul", "solve", "pow", "cosigmoid"})
_FRESH |= {"solve_with", "inverse_of", "inverse", "gram_with", "loop", "result"}

_OVER = frozenset({"add", "mul", "add_diagonal", "plus_outers"})  # operations that may write over an operand

_FRESH_CALLS = ("{rt}.softmax(", "{rt}.log_softmax(", "{rt}.khatri_rao_")

_UFUNC = re.compile(r"\{xp\}\.(\w+)\(\{x\}\)")
_WITH_OUT = {
    "sigmoid": "rt.sigmoid({0}, {0})",
    "abs": "np.absolute({0}, {0})",
    "relu": "np.maximum({0}, 0, out={0})",
}


class Uses:
    """The users of the values that one stretch of code computes, and which values have been computed so far."""

    def __init__(
        self, order: Sequence[Value], needs: Callable[[Value], Sequence[Value]], roots: Sequence[Value]
    ) -> None:
        self._here = set(order)
        self._kept = set(roots)
        self._users: dict[Value, list[Value]] = {}
        self._computed: set[Value] = set()
        for v in order:
            for a in dict.fromkeys(needs(v)):
                self._users.setdefault(a, []).append(v)

    def compute(self, v: Value) -> None:
        """Notes that a statement has computed ``v``, and with it all that was written into that statement."""
        stack = [v]
        while stack:
            a = stack.pop()
            if a in self._here and a not in self._computed:
                self._computed.add(a)
                stack.extend(a.args)

    def ends(self, a: Value, v: Value) -> bool:
        """Whether ``v`` is the last to use the memory of ``a``."""
        stack = [a]
        while stack:
            held = stack.pop()
            if held in self._kept or held not in self._here:
                return False
            for user in self._users.get(held, ()):
                if user.op in VIEWS:
                    stack.append(user)
                elif user is not v and user not in self._computed:
                    return False
                elif user.may_be_itself:
                    stack.append(user)
        return True


_REDUCTIONS = frozenset({"sum", "trace", "inner", "products_summed", "norm"})


def read_before_written_over(order: Sequence[Value], needs: Callable[[Value], Sequence[Value]]) -> frozenset[Value]:
    """The sums over matrices that others write over: computed at once, they leave the memory to these."""
    found: set[Value] = set()
    sums: dict[Value, list[Value]] = {}
    written: set[Value] = set()
    for v in order:
        if v.op in _REDUCTIONS:
            for a in needs(v):
                sums.setdefault(base(a), []).append(v)
        elif v.rank == 2 and (v.op in _OVER or _function(v.op)):
            written.update([a for a in v.args if a.shape == v.shape and is_fresh(a)])
    for a in written:
        found.update(sums.get(a, ()))
    return frozenset(found)


def moved_ahead(
    order: Sequence[Value], early: Collection[Value], needs: Callable[[Value], Sequence[Value]]
) -> list[Value]:
    """The order with some values as soon as what they need is there."""
    if not early:
        return list(order)
    at = {v: k for k, v in enumerate(order)}
    keys = {v: (float(k), k) for v, k in at.items()}
    for v in order:
        if v in early:
            keys[v] = (max([keys[a][0] for a in needs(v) if a in keys], default=-1.0), at[v])
    return sorted(order, key=keys.__getitem__)


def target(v: Value, uses: Uses) -> Value | None:
    """The operand over which ``v`` is written."""
    if v.rank != 2 or not ((v.op in _OVER and v.op != "plus_outers") or _function(v.op)):
        return None
    for a in sorted(v.args, key=lambda a: a.op == "mul") if v.op != "add_diagonal" else v.args[:1]:
        if any(b is not a and shares(b, a) for b in v.args):  # a + a': what is written first would be read again
            continue
        squared = v.op == "mul" and v.args[: v.attrs[1]].count(a) == 2
        if a.shape == v.shape and is_fresh(a) and v.args.count(a) == 1 + squared and uses.ends(a, v):
            return a
    return None


def shares(b: Value, a: Value) -> bool:
    """Whether ``b`` is a view of ``a``, or may be the same array."""
    stack = [b]
    while stack:
        held = stack.pop()
        if held is a:
            return True
        if held.op in VIEWS or held.may_be_itself:
            stack.extend(held.args)
    return False


def base(a: Value) -> Value:
    """What a value is a view of."""
    while a.op in VIEWS:
        a = a.args[0]
    return a


def is_fresh(a: Value) -> bool:
    """Whether an operation gives an array of its own."""
    return a.op in _FRESH or a.op in FUNCTIONS or (a.op == "call" and a.attrs[0].startswith(_FRESH_CALLS))


def _function(op: str) -> str:
    """The call that writes a function of entries over its argument ``{0}``."""
    if op in _WITH_OUT:
        return _WITH_OUT[op]
    found = _UFUNC.fullmatch(FUNCTIONS[op].code) if op in FUNCTIONS else None
    return f"np.{found[1]}({{0}}, {{0}})" if found else ""


def statements(w: Writer, v: Value, over: Value, name: str, codes: dict[Value, Code]) -> list[str]:
    """Writes ``v`` over the array ``name``, which holds the operand ``over``."""
    if v.op == "add":
        return _add(w, v, over, name, codes)
    if v.op == "mul":
        return _mul(w, v, over, name, codes)
    if v.op == "add_diagonal":
        return [f'{name}.ravel("K")[:: {w.size(v.shape[1]).at(SUM)} + 1] += {codes[v.args[1]].text}']
    return [_function(v.op).format(name)]


def _add(w: Writer, v: Value, over: Value, name: str, codes: dict[Value, Code]) -> list[str]:
    terms = [(a, minus) for a, minus in zip(v.args, v.attrs[0], strict=True) if a is not over]
    negative = v.attrs[0][v.args.index(over)]
    small = [(a, minus) for a, minus in terms if a.shape != v.shape]
    full = [(codes[a], minus) for a, minus in terms if a.shape == v.shape]
    if small:
        full.insert(0, _together(w, small, codes))
    out = []
    if negative:
        first = next((term for term in full if not term[1]), None)
        if first is None:
            out.append(f"np.negative({name}, {name})")
        else:
            full.remove(first)
            out.append(f"np.subtract({first[0].text}, {name}, {name})")
    return out + [f"{name} {'-' if minus else '+'}= {code.text}" for code, minus in full]


def _together(w: Writer, terms: list[tuple[Value, bool]], codes: dict[Value, Code]) -> tuple[Code, bool]:
    """The sum of some terms, and whether it is subtracted."""
    if len(terms) == 1:
        return codes[terms[0][0]], terms[0][1]
    values, signs = zip(*terms, strict=True)
    all_minus = all(signs)
    signs = tuple([minus and not all_minus for minus in signs])
    shape = max((a.shape for a in values), key=len)
    part = Plan().value("add", values, shape, signs)
    return w.spelling(part)(w, part, [codes[a] for a in values]), all_minus


def _mul(w: Writer, v: Value, over: Value, name: str, codes: dict[Value, Code]) -> list[str]:
    coefficient, count = v.attrs
    above, below = list(v.args[:count]), list(v.args[count:])
    out = []
    if over in above:
        above.remove(over)
        if over in above:
            above.remove(over)
            out.append(f"{name} *= {name}")
    else:
        below.remove(over)
        first = next((a for a in above if a.shape == v.shape), None)
        text = codes[first].text if first is not None else "1"
        if first is not None:
            above.remove(first)
        out.append(f"np.divide({text}, {name}, {name})")
    small, under = ([a for a in part if a.shape != v.shape] for part in (above, below))
    if coefficient == 1 and not small and under:
        divisor = " * ".join(codes[a].at(UNARY) for a in under)
        out.append(f"{name} /= {divisor}")
    elif coefficient == -1 and not small and not under:
        out.append(f"np.negative({name}, {name})")
    elif coefficient != 1 or small:
        shape = max((a.shape for a in (*small, *under)), key=len, default=())
        part = Plan().value("mul", (*small, *under), shape, coefficient, len(small))
        out.append(f"{name} *= {w.spelling(part)(w, part, [codes[a] for a in part.args]).text}")
    out += [f"{name} *= {text}" for a in above if a.shape == v.shape for text in _one_by_one(w, a, codes)]
    return out + [f"{name} /= {codes[a].text}" for a in below if a.shape == v.shape]


def _one_by_one(w: Writer, a: Value, codes: dict[Value, Code]) -> list[str]:
    """The factors of a product that has no name yet: no array is made for it."""
    whole = a.op == "mul" and a.attrs == (1, len(a.args)) and all(b.shape == a.shape for b in a.args)
    if whole and not codes[a].text.isidentifier() and all(w.is_named(b) for b in a.args):
        return [w.named(b) for b in a.args]
    return [codes[a].text]


__all__ = ["Uses", "is_fresh", "shares", "statements", "target"]
