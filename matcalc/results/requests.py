"""What can be asked of a formula, by name: the derivatives, the options of each, and claims about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

from matcalc.dims import shape_text
from matcalc.errors import ArgumentError, NotScalarError
from matcalc.expr import Expr
from matcalc.results.asked import split_names
from matcalc.results.derivative import Derivative
from matcalc.results.formula import Formula
from matcalc.results.matrices import Hessian, Matrix

if TYPE_CHECKING:
    from matcalc.checks.report import Report


class Request(NamedTuple):
    """A derivative that can be asked for.

    ``method``   of :class:`Formula`
    ``options``  the keywords that it takes
    ``scalar``   whether it is of a scalar, so that undeclared names are read accordingly
    """

    method: str
    options: tuple[str, ...] = ()
    scalar: bool = False


REQUESTS = {
    "gradient": Request("gradient", ("layout",), scalar=True),
    "jacobian": Request("jacobian", ("layout",)),
    "hessian": Request("hessian", ("weights",)),
    "gauss-newton": Request("gauss_newton", ("at",), scalar=True),
    "differential": Request("differential"),
    "jvp": Request("jvp", ("direction",)),
    "vjp": Request("vjp", ("direction",)),
    "hvp": Request("hvp", ("direction",), scalar=True),
    "newton": Request("newton", ("at", "shift"), scalar=True),
    "gnvp": Request("gnvp", ("at", "direction"), scalar=True),
}


def request(name: str) -> Request:
    """Raises   ArgumentError when there is no such derivative"""
    known = {"grad": "gradient", "gauss_newton": "gauss-newton"}.get(name, name)
    if known not in REQUESTS:
        raise ArgumentError(f"{name!r} is no derivative", hint=f"there is {', '.join(REQUESTS)}")
    return REQUESTS[known]


def derived(
    text: str, where: str | None, wrt: Sequence[str | Sequence[str]], name: str, **options: str | None
) -> Derivative:
    """The derivative ``name`` of the formula that ``text`` is, by the names ``wrt``."""
    asked = request(name)
    names = split_names(wrt)
    return derive(Formula.read(text, where, wrt=names, scalar=asked.scalar), names, name, options)


def derive(formula: Formula, wrt: Sequence[str], name: str, options: Mapping[str, str | None]) -> Derivative:
    """The derivative ``name`` of a formula.

    Raises   ArgumentError for an option that it does not take
    """
    asked = request(name)
    given = {option: value for option, value in options.items() if value is not None}
    for option in given:
        if option not in asked.options:
            takes = [other for other, r in REQUESTS.items() if option in r.options]
            raise ArgumentError(f"a {name} takes no {option}", hint=f"that is for {', '.join(takes)}" if takes else "")
    try:
        return cast(Derivative, getattr(formula, asked.method)(*wrt, **given))
    except NotScalarError as e:
        e.detail = "\n".join(formula.warnings)
        raise


# -- claims


def check_claim(
    formula: Formula,
    wrt: str | Sequence[str],
    claim: str,
    *,
    of: str = "gradient",
    seed: int = 0,
    options: Mapping[str, str | None] | None = None,
) -> Report:
    """Compares a claimed derivative with the truth, by number and then by symbol.

    Raises   ArgumentError when the claim could be about several results; MatcalcError as :func:`matcalc.parse`
    """
    names = split_names([wrt] if isinstance(wrt, str) else wrt)
    return judged(derive(formula, names, of, options or {}), claim, seed=seed)


def judged(result: Derivative, claim: str, *, seed: int = 0) -> Report:
    """Compares a claim about a result that was derived."""
    from matcalc.checks import claims

    weights = result.weights if isinstance(result, Hessian) else None
    others = [*result.directions, *([weights] if weights is not None else [])]
    shapes = [result.matrix.shape if isinstance(result, Matrix) else e.shape for e in result.exprs.values()]
    if isinstance(result, Hessian) and len(result.variables) == 2:
        shapes.append(result.exprs[",".join(result.variables)].shape)
    claimed = result.of.claim(claim, others, dict.fromkeys(shapes))
    variables = list(result.variables.values())
    about = result.kind
    by = ", ".join(result.variables)
    if result.turned:
        f = result.of.expr
        layouts = (variables[0].shape, f.shape) if isinstance(result, Matrix) and len(variables) == 1 else ()
        truth = _truth(result)
        about = f"{about} in {result.layout} layout"
        return claims.check_claimed(truth, claimed, kind=about, of=f, layouts=layouts, name=by, seed=seed)
    if weights is None and about in ("gradient", "Jacobian") and len(variables) == 1:
        truth = result.expr
        return claims.check_claim(result.of.expr, variables[0], claimed, kind=about, truth=truth, seed=seed)
    block = len(variables) == 1 or (len(variables) == 2 and _is_block(result, claimed))
    if weights is None and about == "Hessian" and block:
        truth = result.exprs[",".join(result.variables)]
        pair = (variables[0], variables[-1])
        return claims.check_claim(result.of.expr, pair, claimed, kind=about, truth=truth, seed=seed)
    truth = _truth(result)
    square = isinstance(result, Matrix) and len(variables) == 1
    layouts = (variables[0].shape, variables[0].shape) if square else ()
    return claims.check_claimed(truth, claimed, kind=about, of=result.of.expr, layouts=layouts, name=by, seed=seed)


def _truth(result: Derivative) -> Expr:
    """The one expression that a claim is about: of a matrix in blocks the whole."""
    if isinstance(result, Matrix):
        return result.matrix
    if len(result.exprs) != 1:
        raise ArgumentError("a claim is about one variable", hint=f"there is {', '.join(result.variables)}: name one")
    return result.expr


def _is_block(result: Derivative, claimed: Expr) -> bool:
    """Whether a claim by two variables is about the block of the two, and not about the whole matrix."""
    if not isinstance(result, Hessian):
        return False
    whole = result.matrix.shape
    block = result.exprs[",".join(result.variables)].shape
    if claimed.shape not in (whole, block):
        said = f"the block is in {shape_text(block)}, the whole in {shape_text(whole)}"
        raise ArgumentError(f"the claim is in {shape_text(claimed.shape)}", hint=said)
    return claimed.shape == block


__all__ = ["REQUESTS", "Request", "check_claim", "derive", "derived", "judged", "request"]
