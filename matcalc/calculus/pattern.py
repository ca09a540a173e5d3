"""The general pattern of a gradient through layers: the same formula for z1, z2, z3, ... with its numbers moved by one.

The program is cut at the quantities that it names. The cotangent of each is then a formula in the names of the program
and in the cotangents of the quantities that are computed of it; where consecutive layers have one formula, that is the
pattern.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from matcalc.calculus.transpose import pullback
from matcalc.expr import Expr, dependents, make, postorder, rebuild, substitute, variables
from matcalc.primitives.algebra import Add, Hadamard, add
from matcalc.primitives.base import zeros
from matcalc.primitives.functions import Elementwise, Unknown
from matcalc.primitives.leaves import Var, const, var
from matcalc.primitives.maps import Map, Mapped

MOST_NAMES = 200  # of the quantities of a program
_NUMBERED = re.compile(r"([A-Za-z]+)([0-9]{1,3})")

_LETTERS = ("delta", "gamma", "eta", "kappa", "g", "c")

Tidy = Callable[[Expr], Expr]
Spelling = Callable[[str, int], str]  # of a name with a number that is the layer's and so many more


class Layers(NamedTuple):
    """``left = right`` for each layer from ``first`` to ``last``; it is written down for the first."""

    left: str  # the name without its number
    kind: str  # "definition", "cotangent", "gradient"
    of: str  # what the cotangent is of
    first: int
    last: int
    right: Expr
    start: Expr | None  # the right side of the layer after the last, where a recursion begins
    layered: frozenset[str]  # the names that have numbers, without them

    def spelled(self, spelling: Spelling) -> Expr:
        """The right side with names for any layer."""
        done: dict[Expr, Expr] = {}
        for node in postorder([self.right]):
            op: Any = node.op
            args = tuple([done[a] for a in node.args])
            name = _numbered(op, self.layered)
            if name is not None:
                new = spelling(name[0], name[1] - self.first)
                if isinstance(op, Var):
                    done[node] = var(new, op.shape, *op.declared)
                    continue
                if isinstance(op, Mapped):
                    op = Mapped(Map(new, op.function.domains, op.function.range), op.by)
                else:
                    op = Elementwise(Unknown(new), op.order)
            done[node] = make(op, args)
        return done[self.right]


def general_pattern(f: Expr, given: Mapping[Expr, str], wrt: Mapping[Expr, Tidy], tidy: Tidy) -> list[Layers]:
    """What is the same in consecutive layers: definitions, cotangents, gradients; none where no two layers agree.

    ``given``  the quantities that the program names
    ``wrt``    the variables, with what brings a gradient by each into its final form
    """
    order = postorder([f])
    varying = dependents([f], wrt)
    cut = [node for node in order if node in given and node in varying and node is not f and node.args]
    names = [*given.values(), *(v.op.name for v in order if v.op.is_variable), *_functions(order)]
    layered = frozenset(_layered(names))
    if not any(_split(given[node], layered) for node in cut) or len(cut) > MOST_NAMES:
        return []
    leaf = {node: var(given[node], node.shape) for node in cut}
    local: dict[Expr, Expr] = {}
    for node in order:
        local[node] = rebuild(node, tuple([leaf.get(a) or local[a] for a in node.args]))

    cotangent = {node: var(f"? {given[node]}", node.shape) for node in cut}  # of what is cut: its symbol
    found = _cotangents(f, cut, leaf, local, cotangent, set(wrt), tidy)
    by_node = {node: found.get(leaf[node], zeros(node.shape)) for node in cut}
    by_variable = {x: tidy(final(found[x])) for x, final in wrt.items() if x in found}
    _merged(by_node, cotangent, given, layered, list(by_variable.values()), tidy)

    symbols = _symbols([name[0] for node in by_node if (name := _split(given[node], layered))], names)
    layered |= set(symbols.values())
    symbol: dict[Expr, Expr] = {}
    for node in by_node:
        name = _split(given[node], layered)
        spelled = f"{symbols[name[0]]}{name[1]}" if name else f"{next(iter(symbols.values()))}_{given[node]}"
        symbol[cotangent[node]] = var(spelled, node.shape)
    of = {spelled: base for base, spelled in symbols.items()}
    cotangents = {symbol[cotangent[node]].op.name: substitute(e, symbol) for node, e in by_node.items()}
    backward = _runs("cotangent", cotangents, of, layered)
    backward += _runs("gradient", {x.op.name: substitute(e, symbol) for x, e in by_variable.items()}, {}, layered)
    forward = _runs("definition", {given[node]: local[node] for node in cut}, {}, layered)
    return forward + backward if backward else []


def _cotangents(
    f: Expr,
    cut: Sequence[Expr],
    leaf: Mapping[Expr, Expr],
    local: Mapping[Expr, Expr],
    cotangent: Mapping[Expr, Expr],
    wrt: set[Expr],
    tidy: Tidy,
) -> dict[Expr, Expr]:
    """For each leaf and variable the sum over what is computed of it, without going further."""
    parts: dict[Expr, list[Expr]] = {}
    targets = wrt | set(leaf.values())  # what is not cut does not vary, or goes on to what is
    for node in (*cut, f):
        inside = targets & set(postorder([local[node]]))
        seed = const(1) if node is f else cotangent[node]
        for target, g in pullback(local[node], seed, inside, tidy=tidy).items():
            parts.setdefault(target, []).append(g)
    return {target: tidy(add(*gs)) for target, gs in parts.items()}


def _merged(
    by_node: dict[Expr, Expr],
    cotangent: Mapping[Expr, Expr],
    given: Mapping[Expr, str],
    layered: frozenset[str],
    others: Sequence[Expr],
    tidy: Tidy,
) -> None:
    """Puts cotangents that serve those of one other family only into these: that of h_l into that of z_l."""

    def family(node: Expr) -> str:
        name = _split(given[node], layered)
        return name[0] if name else given[node]

    of = {symbol: node for node, symbol in cotangent.items()}
    used = {of[a] for a in postorder(others) if a in of}
    for base in dict.fromkeys(map(family, by_node)):
        mine = [node for node in by_node if family(node) == base]
        users: dict[Expr, list[Expr]] = {node: [] for node in mine}
        for user, e in by_node.items():
            for a in variables([e]):
                if a in of and of[a] in users:
                    users[of[a]].append(user)
        if not used.isdisjoint(mine) or any(len(u) != 1 or family(u[0]) == base for u in users.values()):
            continue
        for node, (user,) in users.items():
            by_node[user] = tidy(substitute(by_node[user], {cotangent[node]: by_node[node]}))
        for node in mine:
            del by_node[node]


def _runs(kind: str, found: Mapping[str, Expr], of: Mapping[str, str], layered: frozenset[str]) -> list[Layers]:
    """For each family the longest run of layers with one formula, of two layers at least."""
    families: dict[str, dict[int, Expr]] = {}
    for name, e in found.items():
        numbered = _split(name, layered)
        if numbered:
            families.setdefault(numbered[0], {})[numbered[1]] = e
    marks: dict[tuple[Any, ...], int] = {}
    out = []
    for base, by_level in families.items():
        best: list[int] = []
        run: list[int] = []
        last: tuple[int, bool] | None = None
        for level in sorted(by_level):
            mark = _mark(by_level[level], level, layered, marks)
            run = [*run, level] if run and run[-1] == level - 1 and mark == last else [level]
            last = mark
            if len(run) > len(best) and mark[1]:
                best = run
        if len(best) > 1:
            start = by_level.get(best[-1] + 1) if kind == "cotangent" else None
            out.append(Layers(base, kind, of.get(base, ""), best[0], best[-1], by_level[best[0]], start, layered))
    return out


def _mark(e: Expr, level: int, layered: frozenset[str], marks: dict[tuple[Any, ...], int]) -> tuple[int, bool]:
    """A number that two formulas share when one is the other with its numbers moved; whether it has any.

    The order of terms and of the factors of an elementwise product does not count.
    """
    mark: dict[Expr, int] = {}
    has_number = False
    for node in postorder([e]):
        op: Any = node.op
        name = _numbered(op, layered)
        own: tuple[Any, ...]
        if name is not None:
            has_number = True
            rest = op.by if isinstance(op, Mapped) else op.order if isinstance(op, Elementwise) else ()
            own = (type(op).__name__, name[0], name[1] - level, rest)
        elif isinstance(op, Var):
            own = ("Var", op.name)
        else:
            own = (type(op).__name__, repr(op.params))
        args = [mark[a] for a in node.args]
        key = (*own, *(sorted(args) if isinstance(op, (Add, Hadamard)) else args))
        mark[node] = marks.setdefault(key, len(marks))
    return mark[e], has_number


# Names with numbers


def _numbered(op: Any, layered: frozenset[str]) -> tuple[str, int] | None:
    if isinstance(op, Var):
        return _split(op.name, layered)
    if isinstance(op, Mapped) or (isinstance(op, Elementwise) and isinstance(op.function, Unknown)):
        return _split(op.function.name, layered)
    return None


def _split(name: str, layered: frozenset[str]) -> tuple[str, int] | None:
    found = _NUMBERED.fullmatch(name)
    return (found[1], int(found[2])) if found and found[1] in layered else None


def _layered(names: Iterable[str]) -> list[str]:
    """The names that occur with two numbers at least."""
    numbers: dict[str, set[str]] = {}
    for name in names:
        found = _NUMBERED.fullmatch(name)
        if found:
            numbers.setdefault(found[1], set()).add(found[2])
    return [base for base, of in numbers.items() if len(of) > 1]


def _functions(order: Sequence[Expr]) -> list[str]:
    return [node.op.function.name for node in order if isinstance(node.op, (Mapped, Elementwise))]


def _symbols(bases: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """The letters of the cotangents of families: delta and what follows."""
    taken = {name.rstrip("0123456789").partition("_")[0] for name in names}
    free = [letter for letter in _LETTERS if letter not in taken]
    found = dict.fromkeys(bases)
    return dict(zip(found, [*free, *(f"cotangent{chr(97 + k)}" for k in range(len(found)))], strict=False))


__all__ = ["Layers", "general_pattern"]
