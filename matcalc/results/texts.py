"""Texts made of texts: a net and its loss as one program, a claim that must have a shape."""

from __future__ import annotations

from matcalc.dims import Shape
from matcalc.errors import ArgumentError, MatcalcError, ParseError, Span
from matcalc.syntax import parse, tree
from matcalc.syntax.parser import sentences
from matcalc.syntax.scope import FUNCTIONS
from matcalc.syntax.spelling import canonical
from matcalc.syntax.words import Names


def is_name(text: str) -> bool:
    """Whether a variable may have this name."""
    try:
        program = parse(text, f"{text} in R")
    except MatcalcError:
        return False
    return program.expr.op.is_variable and list(program.variables) == [canonical(text.strip())]


def composed(loss: str, net: str, at: str) -> str:
    """The program ``at = net; loss``; the net may itself be a program.

    Raises   ParseError when one of them is empty, ArgumentError when ``at`` is no name
    """
    if not is_name(at):
        raise ArgumentError(f"{at!r} is no name for the output of the net", hint="take a letter, as u")
    for text, what in ((loss, "the loss"), (net, "the net")):
        if not text.strip():
            raise ParseError(f"{what} is empty", span=Span(text, 0, 0), hint="give a formula for it")
    last = last_statement(net)
    if not isinstance(last, tree.Assignment):
        body = f"{net[: last.start]}{at} = {net[last.start :]}"
    elif last.name.text == canonical(at):
        body = net
    elif last.parameters:  # net(x) = ..., as the last statement a value
        body = f"{net[: last.start]}{at} = {net[last.expression.start :]}"
    else:
        body = f"{net}\n{at} = {last.name.text}"
    return f"{body}\n{loss}"  # a comment may end the net


def of_shape(text: str, shape: Shape) -> str:
    """The program with its value so written that it has this shape: ``2*I`` as ``(2*I) + zeros(n, n)``."""
    last = last_statement(text)
    value = last.expression if isinstance(last, (tree.Assignment, tree.Value)) else last
    return f"{text[: value.start]}({text[value.start : value.end]}) + zeros({shape[0]}, {shape[1]}){text[value.end :]}"


def last_statement(text: str) -> tree.Statement:
    statements = sentences(text, Names(FUNCTIONS)).statements
    if not statements:
        raise ParseError("there is no value", span=Span(text, 0, 0), hint="end with an expression")
    return statements[-1]


__all__ = ["composed", "is_name", "last_statement", "of_shape"]
