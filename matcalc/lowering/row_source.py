"""How loops over blocks of rows are written (row_blocks.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matcalc.lowering.code import ATOM, SUM, TERM, Code
from matcalc.lowering.in_place import shares
from matcalc.lowering.lifetimes import freed
from matcalc.lowering.plan import Value

if TYPE_CHECKING:
    from matcalc.lowering.numpy_source import Writer


def write_blocks(w: Writer, v: Value, results: Sequence[Value], indent: str) -> dict[Value, Code]:
    """Writes the loop ``v``; gives the code of what is wanted of it."""
    index, matrix, *bodies = v.args
    hows, least, width = v.attrs
    over = _dead_leaf(w, v, results)
    if over is not None:  # its rows are written when nothing of the block needs them any more
        results = [*(r for r in results if r is not over[0]), over[0]]
    names = {}
    for r in results:
        how, body = hows[r.attrs[0]], bodies[r.attrs[0]]
        named = "total" if how != "into" else "product" if body.op == "dot" else "out"
        names[r] = w.names.take(w.preferred.get(r) or named)
        if over is not None and r is over[0]:
            start = w.named(over[1])
        elif how == "into":
            start = w.zeros(r.shape).replace("zeros", "empty")
        else:
            start = w.zeros(r.shape) if r.shape else "0.0"
        w.lines.append(f"{indent}{w.assignment(names[r], start)}")
    counter = w.names.take(index.attrs[0])
    w.lines.append(f"{indent}for {counter} in rt.row_blocks({w.named(matrix)}, {least}, {w.size(width).text}):")
    begin, inner = len(w.lines), indent + "    "
    with w.within(index, counter):
        ends = [(r, hows[r.attrs[0]], bodies[r.attrs[0]]) for r in results]
        codes = iter(w.write([a for _, how, body in ends for a in _operands(how, body)], inner))
        for r, how, body in ends:
            taken = [next(codes) for _ in _operands(how, body)]
            w.lines.append(inner + _statement(names[r], counter, how, body, taken))
        w.lines[begin:] = freed(w.lines[begin:], w.blocks(), (), inner, repeated=True)
    for r in results:
        if hows[r.attrs[0]] == "gram":
            w.lines.append(f"{indent}{names[r]} = rt.mirrored({names[r]})")
    return {r: Code(names[r], ATOM) for r in results}


def _operands(how: str, body: Value) -> tuple[Value, ...]:
    """What must be there for the statement that takes a block's values."""
    if how == "gram":
        left, right = (body.args[0] if body.op == "T" else body).args
        return (left if body.op == "T" else right,)
    if how == "product":
        return (body.args[0] if body.op == "T" else body).args
    return body.args if how == "into" and _into(body) else (body,)


def _into(body: Value) -> str:
    """How a value is computed into an array of its own, if it is by one call."""
    if body.op == "dot" and body.rank == 2:
        return "np.matmul({0}, {1}, {out})"
    if body.op == "outer":
        return "np.multiply({0}[:, None], {1}, {out})"
    if body.op == "add" and len(body.args) == 2:
        return {
            (False, False): "np.add({0}, {1}, {out})",
            (False, True): "np.subtract({0}, {1}, {out})",
            (True, False): "np.subtract({1}, {0}, {out})",
        }.get(body.attrs[0], "")
    if body.op == "mul" and len(body.args) == 2 and body.attrs[0] == 1:
        return {1: "np.divide({0}, {1}, {out})", 2: "np.multiply({0}, {1}, {out})"}.get(body.attrs[1], "")
    return ""


def _statement(name: str, counter: str, how: str, body: Value, codes: Sequence[Code]) -> str:
    turned = body.op == "T"
    if how == "gram":
        a = f"{codes[0].at(ATOM)}.T" if turned else codes[0].text
        return f"{name} = rt.add_gram({name}, {a})"
    if how == "product":
        a, b = [f"{c.at(ATOM)}.T" for c in reversed(codes)] if turned else [c.text for c in codes]
        return f"{name} = rt.add_product({name}, {a.removesuffix('.T.T')}, {b.removesuffix('.T.T')})"
    if how == "into":
        call = _into(body)
        if call:
            at = ATOM if body.op == "outer" else 0
            return call.format(*(c.at(at) for c in codes), out=f"{name}[{counter}]")
        return f"{name}[{counter}] = {codes[0].text}"
    text = codes[0].at(TERM)
    if text.startswith("-") and codes[0].level > SUM:
        return f"{name} -= {text[1:]}"
    return f"{name} += {text}"


def _dead_leaf(w: Writer, v: Value, results: Sequence[Value]) -> tuple[Value, Value] | None:
    """A result and a product in whose memory it is written: one that is cut into blocks, and not needed any more."""
    wanted = [r for r in results if r.rank == 2 and v.attrs[0][r.attrs[0]] == "into"]
    if not wanted:
        return None
    cut: dict[Value, bool] = {}  # whether nothing else is done with it
    stack, seen = list(v.args[2:]), set()
    while stack:
        a = stack.pop()
        if a in seen or v.args[0] not in a.indices:
            continue
        seen.add(a)
        for b in a.args:
            if v.args[0] not in b.indices:
                cut[b] = cut.get(b, True) and a.op == "rows_of"
        stack += a.args
    for r in wanted:
        for a, only in cut.items():
            alone = only and not any(b is not a and shares(b, a) for b in cut)
            if alone and a.op in ("dot", "outer") and a.shape == r.shape and w.is_last(a, v):
                return r, a
    return None


__all__ = ["write_blocks"]
