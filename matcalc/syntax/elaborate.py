"""Text to expressions: parses, looks names up, finds kinds and shapes, builds the graph."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from matcalc.dims import shape_text
from matcalc.errors import ArgumentError, DeclarationError, LimitError, MatcalcError, ParseError, ShapeError, Span
from matcalc.expr import Expr
from matcalc.primitives.functions import Function, Unknown
from matcalc.primitives.leaves import var
from matcalc.primitives.maps import Map
from matcalc.syntax import calls, families, indices, norms, operators, tree
from matcalc.syntax.build import build_all
from matcalc.syntax.complain import misfit
from matcalc.syntax.declare import check_new, declare, define_function
from matcalc.syntax.doubts import warnings
from matcalc.syntax.equations import state
from matcalc.syntax.families import declare_family, survey
from matcalc.syntax.kinds import Conflict, solve
from matcalc.syntax.parser import sentences
from matcalc.syntax.scope import FUNCTIONS, MAX_STEPS, Scope, Step
from matcalc.syntax.shapes import nice_names, unknowns
from matcalc.syntax.spelling import canonical
from matcalc.syntax.words import Names


class Program:
    """What a text means.

    ``expr``         the value
    ``variables``    every declared or used variable, in order of appearance
    ``declared``     the names that were declared
    ``inferred``     what was found out about the others, as declarations: "W in R^{n x n}", "x, b in R^n"
    ``definitions``  the quantities that the program names, in order; ``names`` gives the name of each
    ``columns``      of matrices that stand for a family, the name of its members: x_i of X = [x_1|...|x_m]
    ``functions``    the functions that the user declared, defined, or used without saying what they are
    ``warnings``     what a reader should look at twice
    """

    __slots__ = (
        "columns",
        "declared",
        "definitions",
        "expr",
        "functions",
        "inferred",
        "names",
        "source",
        "variables",
        "warnings",
    )

    def __init__(self, source: str, expr: Expr) -> None:
        self.source = source
        self.expr = expr
        self.variables: dict[str, Expr] = {}
        self.declared: frozenset[str] = frozenset()
        self.inferred: list[str] = []
        self.columns: dict[str, str] = {}
        self.definitions: dict[str, Expr] = {}
        self.names: dict[Expr, str] = {}
        self.functions: dict[str, Function | Map] = {}
        self.warnings: list[str] = []


def parse(
    text: str,
    where: str | None = None,
    *,
    wrt: Iterable[str] = (),
    scalar: bool = False,
    functions: Iterable[str] | None = None,
    held: Iterable[str] = (),
) -> Program:
    """The program that ``text`` is, with the declarations of ``where``.

    ``wrt`` are names that are asked about, known to be names; ``scalar`` says that the value must be a number, which
    decides kinds where nothing else does; ``functions`` are names of functions that are known elsewhere; ``held`` are
    assigned names that become variables of the shape of what they are assigned.

    Raises   ParseError, AmbiguityError, DeclarationError, UnknownNameError, ShapeError, LimitError
    """
    for said, given in (("the formula", text), ("where", where or "")):
        if not isinstance(given, str):
            raise ArgumentError(f"{said} is text, not {type(given).__name__}")
    names = [name for name in map(canonical, wrt) if name.strip()]
    outside = frozenset(canonical(name) for name in functions or ()) - FUNCTIONS
    reading = Reading(text, where or "", names, scalar, outside, frozenset(held))
    capitals: set[str] = set()
    try:
        program = read(reading, frozenset(), capitals)
        if not capitals or not scalar or program.expr.is_scalar:
            return program
    except ShapeError:
        if not capitals:
            raise
        try:
            return read(reading, frozenset(capitals), set())
        except MatcalcError:
            pass
        raise
    try:  # a_i may be a number beside a matrix A
        other = read(reading, frozenset(capitals), set())
    except MatcalcError:
        return program
    return other if other.expr.is_scalar else program


class Reading(NamedTuple):
    """What is to be read, as :func:`parse` takes it."""

    text: str
    where: str
    wrt: list[str]
    scalar: bool
    functions: frozenset[str]
    held: frozenset[str]


def read(reading: Reading, apart: frozenset[str], capitals: set[str]) -> Program:
    """The program.

    ``apart``     names a of which ``a_i`` is no column of A
    ``capitals``  receives those of which it is one, though it may be a number

    Raises   as :func:`parse`
    """
    text, where, wrt, scalar, outside, held = reading
    parts: list[tree.Statement] = []
    if where and where.strip(" \t\r\n;"):
        parts = sentences(where, Names(FUNCTIONS, elementwise=outside), "declarations").parts
    scope = Scope(where)
    scope.apart, scope.capitals = apart, capitals
    scope.asked = frozenset(wrt)
    for name in outside:
        scope.functions[name] = Unknown(name)
    scope.held = held
    survey(scope, where, expressions(parts), assigned(parts))
    run_parts(scope, parts)

    elementwise = frozenset(scope.functions.keys() | scope.formulas.keys() | scope.maps.keys())
    known = {*scope.variables, *scope.sizes, *scope.definitions, *wrt}
    scope.read(text)
    program = sentences(text, Names(FUNCTIONS, known - elementwise, elementwise))
    statements = [*program.parts, *program.statements]
    survey(scope, text, expressions(statements), assigned(statements))
    for name in wrt:  # by X, where x_i stands: the matrix of the columns x_i
        base = name[:1].lower() + name[1:]
        if base != name and name not in scope.standing and base in scope.families:
            scope.families[base].column = True
    run_parts(scope, program.parts)
    result = run_statements(scope, program.statements)
    if len(scope.steps) > MAX_STEPS:
        raise LimitError(
            f"the text has {len(scope.steps)} operations, more than {MAX_STEPS}", hint="split it into parts"
        )
    return finish(scope, text, result, scalar)


def expressions(statements: list[tree.Statement]) -> list[tree.Node]:
    return [s.expression for s in statements if isinstance(s, (tree.Value, tree.Assignment))]


def assigned(statements: list[tree.Statement]) -> list[str]:
    return [s.name.text for s in statements if isinstance(s, tree.Assignment)]


def run_parts(scope: Scope, parts: list[tree.Statement]) -> None:
    """Declarations first, as the formulas of other parts may use them; then these, in order."""
    for part in parts:
        if isinstance(part, tree.Family):
            declare_family(scope, part, declare)
        elif isinstance(part, (tree.Declaration, tree.Kind, tree.Mapping)):
            declare(scope, part)
    for part in parts:
        if isinstance(part, tree.Equation):
            state(scope, part)
    for part in parts:
        if isinstance(part, tree.Assignment):
            assign(scope, part)


def assign(scope: Scope, statement: tree.Assignment) -> int | None:
    """Enters what a statement names."""
    if statement.parameters:
        define_function(scope, statement)
        return None
    check_new(scope, statement.name)
    name = statement.name.text
    step = scope.expression(statement.expression)
    if name in scope.undeclared or name in scope.sizes or name in scope.used:
        used = scope.undeclared[name].node if name in scope.undeclared else statement.name
        run = scope.source[max(used.start - 1, 0) : used.end]
        split = run[0].isalpha() and run[1:] == name
        raise DeclarationError(
            f"`{name}` is used before it is assigned",
            span=scope.span(statement.name),
            hint=f"{run} is the product {run[0]}*{name}; a name with a subscript is {run[0]}_{name}"
            if split
            else "assign it first, or rename one of them",
        )
    if name in scope.sums:
        raise DeclarationError(
            f"`{name}` is assigned, and it is said that its entries sum to one",
            span=scope.span(statement.name),
            hint="that is a property of a variable; of a softmax it is known",
        )
    if name in scope.held:
        step = scope.add(
            Step(
                "assigned", statement.expression, (step,), lambda shapes, same: shapes[0], lambda e: var(name, e.shape)
            )
        )
    scope.definitions[name] = step
    return step


def run_statements(scope: Scope, statements: list[tree.Statement]) -> int:
    """The step that is the value: that of the last statement."""
    last = len(statements) - 1
    for number, statement in enumerate(statements):
        if isinstance(statement, tree.Value):
            if number != last:
                raise ParseError(
                    "a value in the middle of a program is lost",
                    span=scope.span(statement),
                    hint="give it a name, `z = ...`; the last statement is the value",
                )
            return scope.expression(statement.expression)
        assert isinstance(statement, tree.Assignment)
        if number == last and statement.parameters:  # F(w) = ...: the value, as a function of w
            return scope.expression(statement.expression)
        step = assign(scope, statement)
        if number == last and step is not None:
            return step
    raise ParseError("there is no value", span=Span(scope.source, 0, 0), hint="end with an expression")


def finish(scope: Scope, text: str, result: int, scalar: bool) -> Program:
    """Solves for kinds and shapes, and builds."""
    try:
        solution = solve(scope, result, scalar)
    except Conflict as conflict:
        raise misfit(scope, conflict.at, conflict.shapes, conflict.unifier) from None
    unifier = solution.unifier
    order = sorted(scope.undeclared, key=lambda name: scope.undeclared[name].node.start)
    shapes = [unifier.shape(solution.shapes[scope.undeclared[name].index]) for name in order]
    others = [
        unifier.shape(s)
        for step, s in zip(scope.steps, solution.shapes, strict=True)
        if step.kind in ("identity", "ones")
    ]
    dimensions = {n for expr in scope.variables.values() for d in expr.shape for n in d.names}
    dimensions |= {n for shape in shapes for d in shape for n in d.names}
    scope.guessed_sizes -= dimensions
    taken = {*scope.variables, *scope.undeclared, *scope.definitions, *scope.sizes, *scope.functions, *scope.maps}
    names = nice_names(unknowns([*shapes, *others]), taken)
    nodes = build_all(scope, solution, names)

    program = Program(text, nodes[result])
    families = {name: u.family for name, u in scope.undeclared.items() if u.family is not None}
    members = {name for name in scope.variables if name not in scope.used and name.partition("_")[0] in families}
    program.variables = {name: v for name, v in scope.variables.items() if name not in members}
    program.declared = frozenset(program.variables)
    for name in order:
        node = nodes[scope.undeclared[name].index]
        program.variables[node.op.name] = node
        family = families.get(name)
        if family is not None and not node.is_column:
            program.columns[node.op.name] = f"{name}_{family.index}"
    program.columns |= scope.columns
    for node in nodes:
        if node.op.is_variable:
            program.variables[node.op.name] = node  # a whole number by its place, not known as that before
    program.inferred = inferred(
        scope,
        [program.variables[name] for name in program.variables if name not in program.declared],
        program.columns,
    )
    for name, number in scope.definitions.items():
        program.definitions[name] = nodes[number]
        program.names.setdefault(nodes[number], name)
    program.functions = {**scope.functions, **scope.maps}
    program.warnings = warnings(scope, nodes)
    return program


def inferred(scope: Scope, found: list[Expr], columns: dict[str, str]) -> list[str]:
    """Declarations that would say the same, names of one shape together."""
    groups: dict[str, list[str]] = {}
    for expr in found:
        member = columns.get(expr.op.name)
        said = shape_text(expr.shape) + (f" with columns {member}" if member else "")
        groups.setdefault(said, []).append(expr.op.name)
    lines = [f"{', '.join(names)} in {shape}" for shape, names in groups.items()]
    if scope.unknown_functions:
        lines.append(f"{', '.join(scope.unknown_functions)}: elementwise")
    return lines


READINGS = (calls, families, indices, norms, operators)  # imported for what they register

__all__ = ["FUNCTIONS", "MAX_STEPS", "Program", "parse"]
