"""What a formula is asked for: the variables by name, and the formula so read that it has them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from typing import TYPE_CHECKING

from matcalc.dims import shape_text
from matcalc.errors import ArgumentError, DeclarationError, UnknownNameError
from matcalc.expr import Expr, postorder, substitute
from matcalc.facts import COLUMNS, CONSTANT, INTEGER, ONEHOT, ROWS, STOCHASTIC, has
from matcalc.primitives.leaves import var
from matcalc.results.derivative import listed
from matcalc.syntax import parse
from matcalc.syntax.spelling import canonical

if TYPE_CHECKING:
    from matcalc.results.formula import Formula

_SUMS = frozenset({COLUMNS, ROWS, STOCHASTIC, ONEHOT})
_HOW_TO_NAME = "write the output of the net as u = ...; and the loss of u after it"


def split_names(given: Sequence[str | Sequence[str]]) -> list[str]:
    """``("W, b", "x")`` as the names W, b, x, in the spelling of the graph, each once."""
    texts: list[str] = []
    for item in given:
        texts += [item] if isinstance(item, str) or not isinstance(item, Iterable) else item
    for text in texts:
        if not isinstance(text, str):
            raise ArgumentError(f"a name is text, not {text!r}")
    names = (part.strip() for text in texts for part in text.replace(";", ",").split(","))
    return list(dict.fromkeys(canonical(name) for name in names if name))


def asked(formula: Formula, wrt: Sequence[str]) -> tuple[Formula, dict[str, Expr]]:
    """The variables that are asked about; assigned quantities among them are held as variables of the formula."""
    names = split_names(wrt)
    if not names:
        raise UnknownNameError("no variable is given to differentiate by", hint=f"there is {listed(formula.variables)}")
    held = [name for name in names if name in formula.program.definitions]
    of = _moving(_holding(formula, held, names), names)
    variables = {name: of.variable(name) for name in names}
    for name, x in variables.items():
        for fact, said in ((CONSTANT, "declared constant"), (INTEGER, "a whole number here")):
            if x.op.is_variable and has(x, fact):
                raise DeclarationError(f"{name} is {said}, so nothing is differentiated by it")
    return of, variables


def cut(formula: Formula, wrt: Sequence[str], at: str | None) -> tuple[Formula, dict[str, Expr], Formula, str]:
    """The formula as loss of a net: its variables, the loss as a formula in the net's output, and that's name."""
    whole = as_scalar(formula, wrt)
    names = list(whole.program.definitions)
    if at is None:
        if len(names) != 1:
            hint = f"name it: there is {listed(names)}" if names else _HOW_TO_NAME
            raise UnknownNameError("it is not said which quantity is the output of the net", hint=hint)
        at = names[0]
    known = canonical(at)
    if known not in whole.program.definitions:
        raise UnknownNameError(
            f"{at} is no quantity that the program assigns",
            hint=f"there is {listed(names)}" if names else _HOW_TO_NAME,
        )
    of, variables = asked(whole, wrt)
    if known in variables:
        raise UnknownNameError(f"{known} is the output of the net", hint="differentiate by what it depends on")
    loss = _holding(of, [known], list(variables))
    if loss.program.definitions.get(known) is None and loss.variable(known) not in postorder([loss.expr]):
        there = listed(name for name in loss.variables if name != known)
        raise UnknownNameError(f"the loss does not hold {known}, the output of the net", hint=f"there is {there}")
    return of, variables, loss, known


def as_scalar(formula: Formula, wrt: Sequence[str], *, forced: bool = True) -> Formula:
    """The formula, so read that it is a scalar where its undeclared names allow that.

    Unless that is ``forced``, the names ``wrt`` keep their kinds: ``X*X`` by X is of a matrix.
    """
    if formula.expr.is_scalar:
        return formula
    names = split_names(wrt)
    other = formula.read(formula.program.source, formula.where, wrt=names, scalar=True)
    if not other.expr.is_scalar:
        return formula
    own, theirs = formula.program.variables, other.program.variables
    kept = all(own[name].is_scalar == theirs[name].is_scalar for name in names if name in own and name in theirs)
    return other if forced or kept else formula


def _holding(formula: Formula, names: Sequence[str], wrt: Sequence[str]) -> Formula:
    """The formula with quantities that the program assigns as variables of their own: what they are is forgotten.

    The text is read again, as the graph need not show them: ``z = x'; z*z'`` is ``x'*x``.
    """
    if not names:
        return formula
    program = parse(formula.program.source, formula.where, wrt=wrt, scalar=True, held=names)
    held = [program.definitions.pop(name) for name in names]
    program.names = {e: name for e, name in program.names.items() if e not in held}
    occurring = set(postorder([program.expr, *program.definitions.values(), *held]))
    program.variables = {n: v for n, v in program.variables.items() if v in occurring}
    program.inferred = [f"{name} in {shape_text(v.shape)}" for name, v in program.variables.items()]
    return _moving(formula.made_of(program), wrt)


def _moving(formula: Formula, names: Sequence[str]) -> Formula:
    """The formula with nothing known of the sums of the named variables: those that move do so in any direction."""
    own = formula.program.variables
    loose = {}
    for name in names:
        x = own.get(name)
        if x is not None and not _SUMS.isdisjoint(x.op.declared):  # type: ignore[attr-defined]  # a Var
            kept = [fact for fact in x.op.declared if fact not in _SUMS]  # type: ignore[attr-defined]
            loose[x] = var(name, x.shape, *kept)
    if not loose:
        return formula
    program = copy(formula.program)
    program.expr = substitute(program.expr, loose)
    program.variables = {name: loose.get(x, x) for name, x in own.items()}
    program.definitions = {name: substitute(e, loose) for name, e in program.definitions.items()}
    program.names = {substitute(e, loose): name for e, name in program.names.items()}
    return formula.made_of(program)


__all__ = ["as_scalar", "asked", "cut", "split_names"]
