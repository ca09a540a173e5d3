"""Which parts of a result get a name: long ones that occur again, and cuts through lines that would be too long.

With these names every definition is of bounded length, however deep and however shared the graph is, so a result
prints in as many characters as it has nodes, times a constant.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from typing import Any

from matcalc.derivation import name_nodes
from matcalc.expr import Expr, postorder
from matcalc.primitives.algebra import Add, Hadamard, Power, Product, Transpose
from matcalc.primitives.functions import Elementwise
from matcalc.primitives.leaves import Const, Differential, number_of
from matcalc.primitives.loops import IndexedSum, free_indices
from matcalc.primitives.maps import Mapped

SHORT = 80  # a result that fits on a line of this width is written out, repetitions and all
LONG = 90  # a line longer than this is cut
SAVING = 12  # characters that a name must save
MANY = 400  # a result longer than this has its repeated parts named throughout, as a network its layers:
SAVING_OF_MANY = -4  # then names need not save anything
DEFINITION = 7  # characters of "z0 = " and the line end
NAME = 2  # characters of a name
_HUGE = 1 << 40


def name_parts(
    roots: Sequence[Expr],
    preferred: Mapping[Expr, str] | None = None,
    taken: Iterable[str] = (),
    *,
    known: Container[Expr] = (),
    excluded: Container[Expr] = (),
    letter: str = "z",
    saving: int | None = None,
    own: Collection[Expr] = (),
) -> dict[Expr, str]:
    """Names for parts of ``roots``, in order of computation: z0, z1, ... (Z2 for a matrix), or as in ``preferred``.

    A part is named when that saves ``saving`` characters (any, for one in ``preferred``), or to keep lines short.
    Nodes that are ``known`` have names already; those that are ``excluded`` get none, and the user's ``own`` always.
    """
    preferred = preferred or {}
    order = [node for node in postorder(roots, stop=known.__contains__) if node not in known]
    forced = clashing_loops(order)
    forced |= {node for node in order if node in own}
    written_out = _written_out(order, roots, forced) if len(order) >= 8 else 0
    if written_out <= SHORT and not forced:
        return {}
    if saving is None:
        saving = SAVING if written_out <= MANY else SAVING_OF_MANY
    uses: dict[Expr, int] = dict.fromkeys(roots, 1)
    for node in order:
        for a in node.args:
            uses[a] = uses.get(a, 0) + 1
    for node in reversed(order):
        if is_reciprocal(node):  # what divides is named, not its reciprocal
            uses[node.args[0]] += uses[node] - 1
    length: dict[Expr, int] = {}
    chosen = forced

    of_variables: set[Expr] = set()  # 1/m and ones(n)' need no names, however often they occur
    for node in order:
        if (
            node.op.is_variable
            or isinstance(node.op, Differential)
            or any(a in of_variables or a in known for a in node.args)
        ):
            of_variables.add(node)

    def nameable(e: Expr) -> bool:
        if isinstance(e.op, Transpose) and e.args[0].op.is_variable:  # W' says more than any name for it
            return False
        return bool(e.args) and e not in excluded and not free_indices(e) and not is_reciprocal(e)

    def shown(e: Expr) -> int:
        return length.get(e, NAME) if e not in chosen else NAME

    for node in order:
        size = _length(node, shown)
        if size > LONG:
            for a in sorted(set(node.args), key=shown, reverse=True):
                if size <= LONG or shown(a) < LONG // 4:
                    break
                if nameable(a):
                    chosen.add(a)
                    size = _length(node, shown)
        length[node] = size
        times = uses[node] if written_out > SHORT else 1
        saved = (times - 1) * size - DEFINITION - NAME * times
        least = min(0, saving) if node in preferred else saving
        if times > 1 and saved >= least and node in of_variables and nameable(node):
            chosen.add(node)
    return name_nodes([node for node in order if node in chosen], preferred, taken, letter)


def is_reciprocal(e: Expr) -> bool:
    """Whether ``e`` is a power -1, which prints as a quotient."""
    return isinstance(e.op, Power) and number_of(e.args[1]) == -1 and e.shape == e.args[0].shape


def clashing_loops(order: Sequence[Expr]) -> set[Expr]:
    """The indexed sums that stand within another one over the same index: they must be named to be told apart."""
    found: set[Expr] = set()
    if sum([isinstance(node.op, IndexedSum) for node in order]) < 2:
        return found
    bound: dict[Expr, frozenset[Expr]] = {}
    for node in order:
        within = frozenset().union(*[bound.get(a, frozenset()) for a in node.args])
        if isinstance(node.op, IndexedSum):
            index = node.op.index
            if index in within:
                inside = postorder(node.args[:1], stop=found.__contains__)
                found |= {
                    a for a in inside if isinstance(a.op, IndexedSum) and a.op.index is index and not free_indices(a)
                }
            within = (within - {index}) | {index}
        bound[node] = within
    return found


def names_in(roots: Iterable[Expr]) -> set[str]:
    """The names that an expression uses: variables, sizes, indices and functions."""
    found: set[str] = set()
    for node in postorder(roots):
        op: Any = node.op
        if isinstance(op, (Elementwise, Mapped)):
            found.add(op.function.name)
        elif not node.args and isinstance(getattr(op, "name", None), str):
            found.add(op.name)
        elif hasattr(op, "index"):
            found.add(op.index.op.name)
        found.update(name for d in node.shape for name in d.names)
    return found


def lengths(roots: Iterable[Expr], named: Container[Expr] = ()) -> dict[Expr, int]:
    """The length of the text of each node under ``roots``, nearly, where those that are ``named`` stand as a name."""
    length: dict[Expr, int] = {}
    for node in postorder(roots):
        length[node] = min(_length(node, lambda e: NAME if e in named else length[e]), _HUGE)
    return length


def _written_out(order: Sequence[Expr], roots: Sequence[Expr], named: Collection[Expr]) -> int:
    """The length of the results without any names but those of the ``named``, or of the longest of what these are."""
    length: dict[Expr, int] = {}
    for node in order:
        length[node] = min(_length(node, lambda e: NAME if e in named else length.get(e, NAME)), _HUGE)
    together = sum(NAME if r in named else length.get(r, NAME) for r in roots)
    return max([together, *[length[e] for e in named if e in length]])


def _length(node: Expr, measure: Callable[[Expr], int]) -> int:
    """The length of the text of a node, nearly, from that of its arguments."""
    op, args = node.op, node.args
    if not args:
        if isinstance(op, Differential):
            return 3
        if isinstance(op, Const):
            return len(str(op.number))
        options = op.shown_options(())
        return len(op.name) + sum([len(o) + 2 for o in options])
    total = sum([measure(a) for a in args])
    kind = type(op)
    if kind in _LOOSE:
        if kind is Add:
            return total + 3 * (len(args) - 1)
        brackets = sum([2 for a in args if type(a.op) in _LOOSE and measure(a) > NAME])
        return total + brackets + (4 if kind is Hadamard else 1) * (len(args) - 1)
    if kind in (Power, Transpose):
        return total + 2
    if isinstance(op, Mapped):
        return total + 2 * len(args) + len(op.head())
    return total + 2 * len(args) + (len(op.function.name) + op.order if isinstance(op, Elementwise) else len(op.name))


_LOOSE = (Add, Product, Hadamard)
