"""What a user holds: a formula that was read, and the gradients derived from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from matcalc.calculus.gradient import gradient
from matcalc.derivation import Derivation
from matcalc.dims import Shape, shape_text
from matcalc.errors import ArgumentError, DeclarationError, UnknownNameError
from matcalc.expr import Expr, postorder, substitute
from matcalc.facts import ATTRIBUTES, CONSTANT, INTEGER, NONNEGATIVE, POSITIVE, has
from matcalc.primitives.functions import Defined, Elementwise
from matcalc.primitives.leaves import Size
from matcalc.primitives.reductions import Norm2
from matcalc.simplify import simplify
from matcalc.syntax import Program, parse
from matcalc.syntax.spelling import canonical

if TYPE_CHECKING:
    from matcalc.checks.report import Report
    from matcalc.lowering import Compiled

Names: TypeAlias = str | Sequence[str]
Functions: TypeAlias = Mapping[str, Sequence[Callable[..., Any]]]


_GRANTED = {"x > 0": POSITIVE, "x > -1": NONNEGATIVE}  # the fact that puts an argument inside a domain


class Formula:
    """An expression of the language with the kinds and shapes of its names. Made by :func:`matcalc.parse`."""

    def __init__(self, program: Program, where: str | None = None) -> None:
        self.program = program
        self.where = where

    @classmethod
    def read(cls, text: str, where: str | None = None, *, wrt: Sequence[str] = (), scalar: bool = False) -> Formula:
        """The formula that ``text`` is; ``wrt`` and ``scalar`` help to find the kinds of undeclared names."""
        return cls(parse(text, where, wrt=wrt, scalar=scalar), where)

    @property
    def expr(self) -> Expr:
        return self.program.expr

    @property
    def shape(self) -> Shape:
        return self.expr.shape

    @property
    def variables(self) -> list[str]:
        """The names that occur, in order."""
        return list(self.program.variables)

    @property
    def inferred(self) -> list[str]:
        """Kinds and shapes that were not declared, as declarations."""
        return list(self.program.inferred)

    @property
    def warnings(self) -> list[str]:
        return list(self.program.warnings)

    def variable(self, name: str) -> Expr:
        """The node of a variable, or of a quantity that the program assigns.

        Raises   UnknownNameError that lists what there is
        """
        known = canonical(name)
        found = self.program.variables.get(known) or self.program.definitions.get(known)
        if found is None:
            there = _listed([*self.program.variables, *self.program.definitions])
            shown = name if name.isprintable() else repr(name)[1:-1]
            raise UnknownNameError(f"{shown} does not occur in the expression", hint=f"there is {there}")
        return found

    def gradient(self, *wrt: str) -> Gradient:
        """The gradients by the named variables (``"W"``, or ``"W, b"`` for several).

        Where undeclared names can be so read that the expression is a scalar, they are (``C`` in ``C*sum(x)``).

        Raises   NotScalarError when the expression is not a scalar, UnknownNameError when a name does not occur,
                 DeclarationError when a name is declared constant or stands for a whole number
        """
        names = split_names(wrt)
        if not names:
            raise UnknownNameError(
                "no variable is given to differentiate by", hint=f"there is {_listed(self.variables)}"
            )
        of = self
        if not self.expr.is_scalar:
            as_scalar = Formula.read(self.program.source, self.where, wrt=names, scalar=True)
            of = as_scalar if as_scalar.expr.is_scalar else self
        of = of.holding([name for name in names if name in of.program.definitions], names)
        variables = {name: of.variable(name) for name in names}
        for name, x in variables.items():
            for fact, said in ((CONSTANT, "declared constant"), (INTEGER, "a whole number here")):
                if x.op.is_variable and has(x, fact):
                    raise DeclarationError(f"{name} is {said}, so nothing is differentiated by it")
        return Gradient(of, variables)

    def holding(self, names: Sequence[str], wrt: Sequence[str]) -> Formula:
        """The formula with quantities that the program assigns as variables of their own: what they are is forgotten.

        The text is read again, as the graph need not show them: ``z = x'; z*z'`` is ``x'*x``.
        """
        if not names:
            return self
        program = parse(self.program.source, self.where, wrt=wrt, scalar=True, held=names)
        held = [program.definitions.pop(name) for name in names]
        program.names = {e: name for e, name in program.names.items() if e not in held}
        occurring = set(postorder([program.expr, *program.definitions.values(), *held]))
        program.variables = {n: v for n, v in program.variables.items() if v in occurring}
        program.inferred = [f"{name} in {shape_text(v.shape)}" for name, v in program.variables.items()]
        return Formula(program, self.where)

    def claim(self, text: str) -> Expr:
        """A formula in the names of this one, such as somebody's own derivative of it.

        Raises   MatcalcError as :func:`matcalc.parse`
        """
        program = parse(text, self.declarations(text))
        own = self.program.variables
        strange = [name for name in program.variables if name not in own]
        if strange:
            raise UnknownNameError(
                f"{strange[0]} of the claim does not occur in the expression", hint=f"there is {_listed(own)}"
            )
        return substitute(program.expr, {v: own[name] for name, v in program.variables.items() if name in own})

    def declarations(self, about: str = "") -> str:
        """All names with their kinds and shapes, as ``where`` takes them; of assigned names those in ``about``."""
        from matcalc.printing.text import text

        parts = []
        for name, v in self.program.variables.items():
            attributes = [fact for fact in v.op.declared if fact in ATTRIBUTES]  # type: ignore[attr-defined]  # a Var
            parts.append(" ".join([name, "in", shape_text(v.shape), *attributes]))
        for name, function in self.program.functions.items():
            if isinstance(function, Defined):
                parts.append(f"{name}({text(function.parameter)}) = {text(function.body(0))}")
            else:
                parts.append(f"{name}: elementwise")
        parts += [f"{name} = {text(e)}" for name, e in self.program.definitions.items() if name in about]
        return "; ".join(parts)

    def check_claim(self, wrt: str, formula: str, *, seed: int = 0) -> Report:
        """Compares a claimed gradient with the truth by number; where they differ, the report names the likely slip."""
        from matcalc.checks.claims import check_claim

        return check_claim(self.expr, self.variable(wrt), self.claim(formula), seed=seed)

    def compile(self, *, functions: Functions | None = None) -> Compiled:
        """The value as a NumPy callable."""
        from matcalc.lowering import compile_numpy

        names = self.program.names
        arguments = self._arguments([self.expr])
        return compile_numpy(self.expr, arguments, functions=functions, title=str(self), names=names)

    def _arguments(self, outputs: Sequence[Expr]) -> list[Expr]:
        """The variables that the outputs need: those that occur, and others whose shapes tell a size that does."""
        nodes = postorder(outputs)
        occurring = {node for node in nodes if node.op.is_variable}
        sizes = {name for node in nodes for d in node.shape for name in d.names}
        sizes |= {node.op.name for node in nodes if isinstance(node.op, Size)}
        sizes -= {d.name for v in occurring for d in v.shape if d.name}
        needed = []
        for v in self.program.variables.values():
            tells = {d.name for d in v.shape} & sizes
            if v in occurring or tells:
                needed.append(v)
                sizes -= tells
        return needed

    def latex(self) -> str:
        from matcalc.printing.latex import latex

        return latex(self.expr)

    def __str__(self) -> str:
        from matcalc.printing.text import text

        return text(self.expr)

    def __repr__(self) -> str:
        return f"<Formula {self}>"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"


class Gradient:
    """Gradients of one scalar by one or several variables, simplified."""

    def __init__(self, of: Formula, variables: Mapping[str, Expr]) -> None:
        self.of = of
        self.variables = dict(variables)
        found = gradient(of.expr, list(self.variables.values()), tidy=simplify)
        self.exprs = {name: simplify(found[x]) for name, x in self.variables.items()}

    def __getitem__(self, name: str) -> Expr:
        try:
            return self.exprs[canonical(name)]
        except KeyError:
            raise UnknownNameError(
                f"no gradient by {name} was derived", hint=f"there is {_listed(self.exprs)}"
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.exprs)

    def __len__(self) -> int:
        return len(self.exprs)

    @property
    def expr(self) -> Expr:
        """The gradient, where there is only one."""
        if len(self.exprs) != 1:
            raise ArgumentError(f"there are gradients by {', '.join(self.exprs)}", hint='name one, as in g["W"]')
        return next(iter(self.exprs.values()))

    @property
    def shape(self) -> Shape:
        return self.expr.shape

    @cached_property
    def steps(self) -> Derivation:
        """The derivation: computational graph, differentials, back-substitution, trace rules; it prints."""
        record = Derivation()
        preferred = self.of.program.names
        gradient(self.of.expr, list(self.variables.values()), tidy=simplify, record=record, preferred=preferred)
        return record

    @cached_property
    def notes(self) -> list[str]:
        """Where the result holds: absent variables, derivatives of defined functions, kinks and domains."""
        from matcalc.printing.text import text

        out = [
            f"{name} does not occur in the expression, so its gradient is zero"
            for name, x in self.variables.items()
            if x not in postorder([self.of.expr])
        ]
        for op in dict.fromkeys(node.op for node in postorder(self.exprs.values()) if isinstance(node.op, Elementwise)):
            if isinstance(op.function, Defined) and op.order:
                t = op.function.parameter
                out.append(f"{op}({text(t)}) = {text(op.function.body(op.order))}")
        varying = set(self.variables.values())
        kept = set(postorder(self.exprs.values()))
        for node in postorder([self.of.expr]):
            if varying.isdisjoint(node.args):
                continue
            varying.add(node)
            if isinstance(node.op, Norm2) and node not in kept:  # its square is smooth
                continue
            about = node.op.function if isinstance(node.op, Elementwise) else node.op
            granted = about.domain in _GRANTED and has(node.args[0], _GRANTED[about.domain])
            said = (about.kink, f"{about.name} is defined for {about.domain}" if about.domain and not granted else "")
            out += [s for s in said if s and s not in out]
        return out

    def text(self, *, unicode: bool = False, parts: bool = True, names: Mapping[Expr, str] | None = None) -> str:
        """The closed form; repeated long parts are named below it unless ``parts`` is False. It parses back.

        ``names`` are preferred names of parts, such as those of the steps (``steps.names``).
        """
        from matcalc.printing.document import block

        return block(self, unicode=unicode, parts=parts, names=names)

    def latex(self, *, parts: bool = True, names: Mapping[Expr, str] | None = None) -> str:
        """The closed form in LaTeX (amsmath)."""
        from matcalc.printing.document import latex_block

        return latex_block(self, parts=parts, names=names)

    def compile(self, *, value: bool = False, functions: Functions | None = None) -> Compiled:
        """A NumPy callable for the gradient; with ``value`` it returns the value of the function first.

        ``functions``  for functions that the formula leaves unknown, their value and derivatives: {"phi": [phi, dphi]}
        """
        from matcalc.lowering import compile_numpy

        ignored = self.of.program.variables
        return compile_numpy(*self._outputs(value), functions=functions, ignored=ignored, **self._titles())

    def source(self, *, value: bool = False) -> str:
        """The code of the callable, not run; functions that the formula leaves unknown are names in it."""
        from matcalc.lowering import numpy_source

        return numpy_source(*self._outputs(value), **self._titles()).source

    def _outputs(self, value: bool) -> tuple[Expr | dict[str, Expr], list[Expr]]:
        outputs = ({"value": self.of.expr} if value else {}) | {f"d_{name}": e for name, e in self.exprs.items()}
        single = next(iter(outputs.values())) if len(outputs) == 1 else outputs
        return single, self.of._arguments(list(outputs.values()))

    def _titles(self) -> dict[str, Any]:
        title = f"Gradient by {', '.join(self.exprs)} of {self.of}"
        return {"title": title, "name": "gradient", "names": self.of.program.names, "subgradient": True}

    def check(self, *, seed: int = 0) -> Report:
        """Numerical verification: the gradient test (Taylor remainders) and an independent check. The report prints."""
        from matcalc.checks.taylor import check_gradient

        by_variable = {x: self.exprs[name] for name, x in self.variables.items()}
        return check_gradient(self.of.expr, by_variable, seed=seed)

    def as_dict(self) -> dict[str, Any]:
        """All that is known of the result, as plain data for JSON."""
        from matcalc.printing.document import as_dict

        return as_dict(self)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<Gradient by {', '.join(self.exprs)} of {self.of}>"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"


def _listed(names: Iterable[str], most: int = 20) -> str:
    """Names for the hint of an error."""
    all_names = list(names)
    rest = len(all_names) - most
    return ", ".join(all_names[:most]) + (f" and {rest} more" if rest > 0 else "") or "no variable in it"


def split_names(given: Sequence[str]) -> list[str]:
    """``("W, b", "x")`` as the names W, b, x, in the spelling of the graph, each once."""
    names = (part.strip() for text in given for part in text.replace(";", ",").split(","))
    return list(dict.fromkeys(canonical(name) for name in names if name))


__all__ = ["Formula", "Gradient"]
