"""What can be said of a loss: whether it matches the output of its net, whether it is convex.

A loss matches an output nonlinearity N, such as softmax, when its gradient by the input u of N is an affine function of
N(u): the derivative of N is cancelled. Squared error matches a linear output, N(u) = u.
"""

from __future__ import annotations

from matcalc.calculus.differential import differential
from matcalc.dims import ONE
from matcalc.expr import Expr, dependents, postorder, substitute
from matcalc.facts import COLUMNS, NONNEGATIVE, POSITIVE, PSD, ROWS, has
from matcalc.primitives.algebra import POWER
from matcalc.primitives.elementwise import sign, sqrt, step
from matcalc.primitives.functions import Defined, Elementwise
from matcalc.primitives.leaves import number_of, var
from matcalc.primitives.reductions import ArgMax, Norm2, Sum
from matcalc.primitives.softmax import Softmax
from matcalc.simplify import simplify
from matcalc.syntax.formulas import entry_by_entry


def matched_output(slope: Expr, curvature: Expr, u: Expr) -> Expr | None:
    """The function of ``u`` in which the gradient of a loss by u is affine: u itself, or a nonlinearity applied to it.

    ``curvature``  the Hessian of the loss by u
    """
    if curvature.is_zero:
        return None
    nodes = postorder([slope])
    if u in nodes and u not in postorder([curvature]):
        return u
    for node in nodes:
        if isinstance(node.op, (Elementwise, Softmax)) and node.args[0] is u:
            held = var("?N", node.shape)
            rest = substitute(slope, {node: held})
            if u not in postorder([rest]):
                along = simplify(differential(rest, {held: var("?dN", node.shape)}))
                if held not in postorder([along]):
                    return node
    return None


def with_sums_one(slope: Expr, u: Expr) -> dict[Expr, Expr]:
    """Variables whose sums, of columns or rows, stand in ``slope``: as they are, and with these being 1."""
    stated: dict[Expr, set[str]] = {}
    for node in postorder([slope]):
        if isinstance(node.op, Sum) and node.args[0].op.is_variable and node.args[0] is not u:
            x, axis = node.args[0], node.op.axis
            if x.is_scalar or (axis is None and ONE not in x.shape):
                continue
            columns = axis == 0 or (axis is None and x.cols is ONE)
            stated.setdefault(x, set()).add(COLUMNS if columns else ROWS)
    return {x: var(x.op.name, x.shape, *x.op.declared, *sums) for x, sums in stated.items()}  # type: ignore[attr-defined]


def semidefinite(e: Expr) -> bool:
    """Whether a matrix is known to be positive semidefinite, with functions written out that a formula defines."""
    if has(e, NONNEGATIVE if e.is_scalar else PSD):
        return True
    written = _written_out(e)
    return written is not e and semidefinite(simplify(written))


def is_whole(loss: Expr, slope: Expr, u: Expr) -> bool:
    """Whether the Hessian of a loss says all of its convexity: no jump of the gradient, no gap in the domain."""
    depending = dependents([loss, slope], [u]) - {u}
    jumps = any(
        isinstance(e.op, ArgMax) or (isinstance(e.op, Elementwise) and e.op.function in (sign, step))
        for e in postorder([slope])
        if e in depending
    )
    return not jumps and not any(_may_have_gap(e, u) for e in postorder([loss]) if e in depending)


def _may_have_gap(e: Expr, u: Expr) -> bool:
    """Whether there may be points between others at which a function of them is defined and it is not itself."""
    if e.op is POWER:
        p = number_of(e.args[1])
        if has(e.args[0], POSITIVE) or (isinstance(p, int) and p >= 0):
            return False
        if isinstance(p, int) or p is None:
            return True
    elif not (e.op.domain or (isinstance(e.op, Elementwise) and e.op.function.domain)):
        return False
    elif not isinstance(e.op, Elementwise):
        return not isinstance(e.op, Norm2)
    x = e.args[0]
    at_zero = e.op is POWER or (isinstance(e.op, Elementwise) and e.op.function is sqrt)
    if has(x, POSITIVE) or (at_zero and has(x, NONNEGATIVE)):
        return False
    return u in postorder([simplify(differential(x, {u: var("?du", u.shape)}))])  # not affine


def _written_out(e: Expr) -> Expr:
    done: dict[Expr, Expr] = {}
    for node in postorder([e]):
        args = tuple([done[a] for a in node.args])
        if isinstance(node.op, Elementwise) and isinstance(node.op.function, Defined):
            function = node.op.function
            done[node] = entry_by_entry(function.body(node.op.order), (function.parameter,), *args)
        else:
            done[node] = node if args == node.args else node.op.construct(args)
    return done[e]


def stated_text(loose: dict[Expr, Expr]) -> str:
    """What ``with_sums_one`` supposes, as equations."""
    said = []
    for x, y in loose.items():
        for axis, fact in enumerate((COLUMNS, ROWS)):
            if fact in y.op.declared and fact not in x.op.declared:  # type: ignore[attr-defined]  # of variables
                said.append(f"sum({x.op.name}) = 1" if ONE in x.shape else f"sum({x.op.name}, {axis}) = 1")
    return " and ".join(said)


__all__ = ["is_whole", "matched_output", "semidefinite", "stated_text", "with_sums_one"]
