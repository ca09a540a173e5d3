"""Second derivatives: Hessians as Jacobians of gradients, and their Gauss-Newton part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from matcalc.calculus.transpose import pullback
from matcalc.calculus.vectorise import Tidy, Vectoriser
from matcalc.dims import shape_text
from matcalc.errors import NotScalarError
from matcalc.expr import Expr, dependents, postorder, substitute
from matcalc.facts import COLUMNS, DIAGONAL, INVERTIBLE, ONEHOT, ORTHOGONAL, ROWS, STOCHASTIC, SYMMETRIC, facts, has
from matcalc.primitives.algebra import add, product, transpose
from matcalc.primitives.base import zeros
from matcalc.primitives.leaves import const, var
from matcalc.primitives.loops import free_indices
from matcalc.primitives.products import inner

Blocks: TypeAlias = dict[tuple[Expr, Expr], Expr]


def hessian(f: Expr, wrt: Sequence[Expr], *, tidy: Tidy = lambda e: e) -> Blocks:
    """The blocks ``H[x, z]`` of the Hessian of a scalar, ``d2f = sum of dvec(x)'*H[x, z]*dvec(z)``, for x not after z.

    The others are their transposes, ``H[z, x] = H[x, z]'``.

    Shapes   size(x) x size(z)
    Raises   NotScalarError when f is not a scalar
    Source   MN19 chapter 10
    """
    if not f.is_scalar:
        raise NotScalarError(f"a Hessian is of a scalar, and this is in {shape_text(f.shape)}")
    loose = loosened(wrt)
    if loose:
        back = {new: x for x, new in loose.items()}
        blocks = hessian(substitute(f, loose), [loose.get(x, x) for x in wrt], tidy=tidy)
        return {(back.get(x, x), back.get(z, z)): tidy(substitute(h, back)) for (x, z), h in blocks.items()}
    engine = Vectoriser(tidy)
    found = pullback(f, const(1), set(wrt), tidy=tidy)
    slopes = [tidy(found[x]) if x in found else zeros(x.shape) for x in wrt]
    return {(x, z): _block(engine, slopes[i], x, z) for i, x in enumerate(wrt) for z in wrt[i:]}


_THIN = frozenset({ORTHOGONAL, COLUMNS, ROWS})  # hold of matrices that have others next to them everywhere


def loosened(wrt: Sequence[Expr]) -> dict[Expr, Expr]:
    """Variables declared orthogonal or stochastic, without that: to differentiate twice.

    They move among all matrices, so what holds of an orthogonal matrix alone must not be used of a first derivative:
    that of logdet(Q)^2 is 0, as logdet(Q) is, and its own derivative is not.
    """
    found = {}
    for x in wrt:
        if x.op.is_variable and not _THIN.isdisjoint(facts(x)):
            declared = set(x.op.declared) - _THIN - {STOCHASTIC, ONEHOT}  # type: ignore[attr-defined]
            kept = declared | ({INVERTIBLE} if has(x, ORTHOGONAL) else set())
            found[x] = var(f"{x.op.name}?", x.shape, *kept)
    return found


def _block(engine: Vectoriser, slope: Expr, x: Expr, z: Expr) -> Expr:
    h = engine.jacobian(slope, z)
    return _symmetric(engine, slope, x) if x is z and (has(x, SYMMETRIC) or has(x, DIAGONAL)) else h


def _symmetric(engine: Vectoriser, slope: Expr, x: Expr) -> Expr:
    """The Jacobian of a gradient by a symmetric matrix, or half the sum with its transpose where that shows symmetry.

    On the matrices among which x moves it is symmetric; what the gradient owes to x = x' may hide it elsewhere. What
    does not depend on x is an unknown meanwhile, so that terms are seen to be the same.
    """
    unknown = _constants(slope, x)
    h = engine.jacobian(substitute(slope, unknown), x)
    half = engine.tidy(product(const(1) / 2, add(h, transpose(h), shape=h.shape)))
    known = engine.tidy(add(h, -transpose(h), shape=h.shape)).is_zero
    best = h if known and len(postorder([h])) <= len(postorder([half])) else half
    return engine.tidy(substitute(best, {v: e for e, v in unknown.items()}))


def _constants(e: Expr, x: Expr) -> dict[Expr, Expr]:
    """Variables for the largest parts of ``e`` that do not depend on ``x``."""
    varying = dependents([e], [x])
    parts = dict.fromkeys(a for node in postorder([e]) if node in varying for a in node.args)
    constant = [a for a in parts if a.args and a not in varying and not free_indices(a)]
    return {a: var(f"?{k}", a.shape, *facts(a)) for k, a in enumerate(constant)}


class GaussNewton(NamedTuple):
    """The Hessian of ``loss(u)`` at ``u = net``: ``H = G + R``.

    ``slope``, ``bend``          gradient and Hessian of the loss by u, in u
    ``gradient``, ``curvature``  the same at the output of the net
    ``jacobians``                of the net by each variable
    ``matrix``                   G = J'*H_loss*J, the blocks as in :func:`hessian`
    ``residual``                 R = sum of (gradient)_k times the Hessian of u_k
    ``direct``                   second derivatives of the loss by ``wrt`` themselves, those that are not zero
    ``mixed``                    whether there are any by u and one of ``wrt``
    """

    slope: Expr
    bend: Expr
    gradient: Expr
    curvature: Expr
    jacobians: dict[Expr, Expr]
    matrix: Blocks
    residual: Blocks
    direct: Blocks
    mixed: bool


def gauss_newton(loss: Expr, u: Expr, net: Expr, wrt: Sequence[Expr], *, tidy: Tidy = lambda e: e) -> GaussNewton:
    """The Gauss-Newton matrix by ``wrt`` of a scalar ``loss``, an expression in the variable ``u``, at ``u = net``.

    Where the loss holds a variable itself, as a regularisation does, its second derivative there belongs to G.

    Raises   NotScalarError when the loss is not a scalar
    Source   Schraudolph 2002 sec. 3
    """
    of_loss = hessian(loss, [u, *wrt], tidy=tidy)

    def at_net(e: Expr) -> Expr:
        return tidy(substitute(e, {u: net}))

    engine = Vectoriser(tidy)
    jacobians = {x: engine.jacobian(net, x) for x in wrt}
    slope = pullback(loss, const(1), {u}, tidy=tidy).get(u) or zeros(u.shape)
    curvature = at_net(of_loss[u, u])
    weights = var("?v", u.shape)
    curved = hessian(inner(weights, net) if not net.is_scalar else product(weights, net), wrt, tidy=tidy)
    matrix, residual = {}, {}
    for i, x in enumerate(wrt):
        for z in wrt[i:]:
            through = product(transpose(jacobians[x]), curvature, jacobians[z])
            mixed = product(transpose(jacobians[x]), at_net(of_loss[u, z]))
            mirrored = product(transpose(at_net(of_loss[u, x])), jacobians[z])
            matrix[x, z] = tidy(add(through, mixed, mirrored, at_net(of_loss[x, z]), shape=through.shape))
            residual[x, z] = tidy(substitute(curved[x, z], {weights: at_net(slope)}))
    direct = {pair: at_net(e) for pair, e in of_loss.items() if u not in pair and not e.is_zero}
    both = not all(of_loss[u, x].is_zero for x in wrt)
    bend = of_loss[u, u]
    return GaussNewton(slope, bend, at_net(slope), curvature, jacobians, matrix, residual, direct, both)


__all__ = ["Blocks", "GaussNewton", "gauss_newton", "hessian", "loosened"]
