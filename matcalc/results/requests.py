"""What can be asked of a formula, by name: the derivatives, the options of each, and claims about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

from matcalc.dims import shape_text
from matcalc.errors import ArgumentError, ParseError, Span
from matcalc.expr import Expr
from matcalc.results.derivative import Derivative
from matcalc.results.formula import Formula, split_names
from matcalc.results.matrices import Hessian, Matrix
from matcalc.syntax import tree
from matcalc.syntax.lexer import Names
from matcalc.syntax.parser import sentences
from matcalc.syntax.scope import FUNCTIONS
from matcalc.syntax.spelling import canonical

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
    "gradient": Request("gradient", scalar=True),
    "jacobian": Request("jacobian"),
    "hessian": Request("hessian", ("weights",)),
    "gauss-newton": Request("gauss_newton", ("at",), scalar=True),
    "differential": Request("differential"),
    "jvp": Request("jvp", ("direction",)),
    "vjp": Request("vjp", ("direction",)),
    "hvp": Request("hvp", ("direction",), scalar=True),
    "gnvp": Request("gnvp", ("at", "direction"), scalar=True),
}


def request(name: str) -> Request:
    """Raises   ArgumentError when there is no such derivative"""
    known = {"grad": "gradient", "gauss_newton": "gauss-newton"}.get(name, name)
    if known not in REQUESTS:
        raise ArgumentError(f"{name!r} is no derivative", hint=f"there is {', '.join(REQUESTS)}")
    return REQUESTS[known]


def derived(text: str, where: str | None, wrt: Sequence[str], name: str, **options: str | None) -> Derivative:
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
    return cast(Derivative, getattr(formula, asked.method)(*wrt, **given))


# -- a loss and a net


def composed(loss: str, net: str, at: str) -> str:
    """The program ``at = net; loss``; the net may itself be a program.

    Raises   ParseError when one of them has no value
    """
    name = canonical(at.strip())
    if not name.replace("_", "").isalnum() or not name[0].isalpha():
        raise ArgumentError(f"{at!r} is no name for the output of the net", hint="take a letter, as u")
    for text, what in ((loss, "the loss"), (net, "the net")):
        if not text.strip():
            raise ParseError(f"{what} is empty", span=Span(text, 0, 0), hint="give a formula for it")
    statements = sentences(net, Names(FUNCTIONS)).statements
    if not statements:
        raise ParseError("the net has no value", span=Span(net, 0, 0), hint="end it with an expression")
    last = statements[-1]
    if not isinstance(last, tree.Assignment):
        body = f"{net[: last.start]}{at} = {net[last.start :]}"
    elif last.name.text == name:
        body = net
    elif last.parameters:  # net(x) = ..., as the last statement a value
        body = f"{net[: last.start]}{at} = {net[last.expression.start :]}"
    else:
        body = f"{net}\n{at} = {last.name.text}"
    return f"{body}\n{loss}"  # a comment may end the net


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
    claimed = result.of.claim(claim, [*result.directions, *([weights] if weights is not None else [])])
    variables = list(result.variables.values())
    about = result.kind
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
    by = ", ".join(result.variables)
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


__all__ = ["REQUESTS", "Request", "check_claim", "composed", "derive", "derived", "judged", "request"]
