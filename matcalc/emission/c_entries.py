"""Entries of values as C expressions, within the loops over their indices.

Sums, elementwise functions, transposes, diagonals and blocks are never formed, so that a chain of them is one loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from matcalc.dims import ONE
from matcalc.emission.c_code import NOUGHT, Index, linear, product_of, quotient, spread, sum_of
from matcalc.emission.c_kept import FUNCTIONS, OWN, is_trivial
from matcalc.lowering.code import ATOM, POWER, SUM, TERM, UNARY, Code
from matcalc.lowering.plan import Value

if TYPE_CHECKING:
    from matcalc.emission.c_body import Body

Entry: TypeAlias = "Callable[[Body, Value, Sequence[Index]], Code]"
ENTRIES: dict[str, Entry] = {}


def _entry(*ops: str) -> Callable[[Entry], Entry]:
    def add(rule: Entry) -> Entry:
        for op in ops:
            ENTRIES[op] = rule
        return rule

    return add


@_entry("add")
def _add(w: Body, v: Value, index: Sequence[Index]) -> Code:
    return sum_of([w.entry(a, spread(index, a)) for a in v.args], v.attrs[0])


@_entry("mul")
def _mul(w: Body, v: Value, index: Sequence[Index]) -> Code:
    coefficient, count = v.attrs
    entries = [w.entry(a, spread(index, a)) for a in v.args]
    return quotient(coefficient, entries[:count], entries[count:])


@_entry("pow")
def _pow(w: Body, v: Value, index: Sequence[Index]) -> Code:
    base, exponent = (w.entry(a, spread(index, a)) for a in v.args)
    return Code(f"pow({base.text}, {exponent.text})", ATOM)


@_entry("cosigmoid")
def _cosigmoid(w: Body, v: Value, index: Sequence[Index]) -> Code:
    x = w.entry(v.args[0], index)
    w.use("sigmoid")
    return Code(f"sigmoid(-{x.at(POWER)})", ATOM)


def known(w: Body, v: Value, index: Sequence[Index]) -> Code:
    name = FUNCTIONS[v.op]
    if name in OWN:
        w.use(name)
    return Code(f"{name}({w.entry(v.args[0], spread(index, v.args[0])).text})", ATOM)


@_entry("unknown")
def _unknown(w: Body, v: Value, index: Sequence[Index]) -> Code:
    name = w.function(*v.attrs)
    return Code(f"{name}({w.entry(v.args[0], index).text})", ATOM)


@_entry("call")
def _call(w: Body, v: Value, index: Sequence[Index]) -> Code:
    w.use("safe_reciprocal")
    return Code(f"safe_reciprocal({w.entry(v.args[0], index).text})", ATOM)


@_entry("outer")
def _outer(w: Body, v: Value, index: Sequence[Index]) -> Code:
    return product_of([w.entry(a, [i]) for a, i in zip(v.args, index, strict=True)])


@_entry("add_diagonal")
def _add_diagonal(w: Body, v: Value, index: Sequence[Index]) -> Code:
    whole, entries = v.args
    added = w.entry(entries, index[: entries.rank])
    if index[0] == index[1]:
        return sum_of([w.entry(whole, index), added], [False, False])
    chosen = Code(f"({index[0].at(SUM)} == {index[1].at(SUM)} ? {added.at(SUM)} : 0.0)", ATOM)
    return sum_of([w.entry(whole, index), chosen], [False, False])


@_entry("full")
def _full(w: Body, v: Value, index: Sequence[Index]) -> Code:
    return w.scalar(v.args[0])


@_entry("spread")
def _spread(w: Body, v: Value, index: Sequence[Index]) -> Code:
    return w.entry(v.args[0], [index[1 - v.attrs[0]]])


@_entry("newaxis")
def _newaxis(w: Body, v: Value, index: Sequence[Index]) -> Code:
    return w.entry(v.args[0], [index[1 - v.attrs[0]]])


@_entry("dense")
def _dense(w: Body, v: Value, index: Sequence[Index]) -> Code:
    return w.entry(v.args[0], spread(index, v.args[0]))


@_entry("diag")
def _diag(w: Body, v: Value, index: Sequence[Index]) -> Code:
    (entries,) = v.args
    found = w.entry(entries, index[: entries.rank])
    if index[0] == index[1]:
        return found
    return Code(f"({index[0].at(SUM)} == {index[1].at(SUM)} ? {found.at(SUM)} : 0.0)", ATOM)


@_entry("unit")
def _unit(w: Body, v: Value, index: Sequence[Index]) -> Code:
    w.require(v.shape[0], v.args[0])
    return Code(f"({index[0].at(SUM)} == {w.integer(v.args[0]).at(SUM)} ? 1.0 : 0.0)", ATOM)


@_entry("commutation")
def _commutation(w: Body, v: Value, index: Sequence[Index]) -> Code:
    m, n = (w.size(d).at(UNARY) for d in v.attrs)
    row = index[0].at(ATOM)
    return Code(f"({index[1].at(SUM)} == {row} % {n} * {m} + {row} / {n} ? 1.0 : 0.0)", ATOM)


@_entry("T")
def _transposed(w: Body, v: Value, index: Sequence[Index]) -> Code:
    return w.entry(v.args[0], index[::-1])


@_entry("swap")
def _swap(w: Body, v: Value, index: Sequence[Index]) -> Code:
    return w.entry(v.args[0], [index[1], index[0], *index[2:]])


@_entry("axes")
def _axes(w: Body, v: Value, index: Sequence[Index]) -> Code:
    found = dict(zip(v.attrs, index, strict=True))
    return w.entry(v.args[0], [found[k] for k in range(len(found))])


@_entry("expand")
def _expand(w: Body, v: Value, index: Sequence[Index]) -> Code:
    return w.entry(v.args[0], [i for i, present in zip(index, v.attrs, strict=True) if present])


@_entry("repeats")
def _repeats(w: Body, v: Value, index: Sequence[Index]) -> Code:
    (letters,) = v.attrs
    found = dict(zip(dict.fromkeys(letters), index, strict=True))
    return w.entry(v.args[0], [found[c] for c in letters])


@_entry("diagonal")
def _diagonal(w: Body, v: Value, index: Sequence[Index]) -> Code:
    return w.entry(v.args[0], [index[0], index[0]])


@_entry("flip")
def _flip(w: Body, v: Value, index: Sequence[Index]) -> Code:
    turned = []
    for at, size in zip(index, v.shape, strict=True):
        turned.append(NOUGHT if size is ONE else Code(f"{w.size(size).at(SUM)} - 1 - {at.at(TERM)}", SUM))
    return w.entry(v.args[0], turned)


@_entry("block")
def _block(w: Body, v: Value, index: Sequence[Index]) -> Code:
    operand, *rest = v.args
    left = list(index)
    places: list[Index] = []
    for where, size in zip(v.attrs, operand.shape, strict=True):
        if where == "all":
            places.append(left.pop(0))
        elif where == "range":
            start, _ = w.integer(rest.pop(0)), rest.pop(0)
            at = left.pop(0)
            if start.text != "0":
                at = start if at.text == "0" else Code(f"{start.at(SUM)} + {at.at(TERM)}", SUM)
            places.append(at)
        else:
            position = rest.pop(0)
            w.require(size, position)
            places.append(w.integer(position))
    return w.entry(operand, places)


@_entry("stack")
def _stack(w: Body, v: Value, index: Sequence[Index]) -> Code:
    axis = v.attrs[0] % len(index)
    rest = [i for k, i in enumerate(index) if k != axis]
    which = index[axis]
    if which.text.isdigit():
        a = v.args[int(which.text)]
        return w.entry(a, spread(rest, a))
    entries = [w.entry(a, spread(rest, a)) for a in v.args]
    text = entries[-1].at(SUM)
    for k in range(len(entries) - 2, -1, -1):
        text = f"({which.at(SUM)} == {k} ? {entries[k].at(SUM)} : {text})"
    return Code(text, ATOM)


@_entry("reshape")
def _reshape(w: Body, v: Value, index: Sequence[Index]) -> Code:
    (a,) = v.args
    if not a.shape:
        return w.scalar(a)
    if is_trivial(v) and a not in w.arrays:
        left = [i for i, d in zip(index, v.shape, strict=True) if d is not ONE]
        return w.entry(a, [NOUGHT if d is ONE else left.pop(0) for d in a.shape])
    place = linear(w, index, v.shape)
    return Code(f"{w.arrays[a]}[{place.text}]", ATOM)


__all__ = ["ENTRIES", "known"]
