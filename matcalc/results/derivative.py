"""What all results have: closed forms by name, as text, LaTeX, data, code and a numerical check."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from matcalc.calculus.gradient import gradient as derived_gradient
from matcalc.calculus.gradient import require_scalar
from matcalc.derivation import Derivation, Step
from matcalc.dims import Shape
from matcalc.errors import ArgumentError, UnknownNameError
from matcalc.expr import Expr, postorder
from matcalc.facts import INVERTIBLE, NONNEGATIVE, POSITIVE, SPD, has
from matcalc.primitives.algebra import POWER, transpose
from matcalc.primitives.functions import Defined, Elementwise
from matcalc.primitives.leaves import number_of
from matcalc.primitives.loops import IndexedSum, free_indices
from matcalc.primitives.matrix import Inv, LogDet, MatrixPower
from matcalc.primitives.reductions import Norm2
from matcalc.results.names import labelled
from matcalc.simplify import simplify
from matcalc.simplify.indexed import loop_reason
from matcalc.syntax.spelling import canonical

if TYPE_CHECKING:
    from matcalc.checks.report import Report
    from matcalc.lowering import Compiled
    from matcalc.lowering.planned import Request
    from matcalc.results.formula import Formula

Functions: TypeAlias = Mapping[str, Sequence[Callable[..., Any]]]

# the facts that put an argument inside a domain
_GRANTED = {"x > 0": POSITIVE, "x > -1": NONNEGATIVE, Inv.domain: INVERTIBLE, LogDet.domain: SPD}
_LONGEST = 40  # characters of an argument that a note on its domain shows
LIMIT = 2**30  # bytes of a matrix that a callable returns, unless the user says otherwise


class Derivative(ABC):
    """Closed forms derived from a formula.

    ``of``         the formula
    ``variables``  what is differentiated by
    ``exprs``      the closed forms by name: of each variable, or of each pair "W,b" of variables
    ``labelled``   the same with the labels under which they are printed
    """

    kind: ClassVar[str]  # what it is, for people: "gradient"
    key: ClassVar[str]  # under which its closed forms stand in JSON
    letter: ClassVar[str]  # of the labels
    usual: ClassVar[str] = ""  # its layout, where it is one of those on which books differ
    other_letter: ClassVar[str] = ""  # of the labels in the other layout
    second: ClassVar[bool] = False  # of second order, so that the gradient comes with it on request
    layout: str = ""

    def __init__(self, of: Formula, variables: Mapping[str, Expr]) -> None:
        self.of = of
        self.variables = dict(variables)
        self._letters: dict[str, str] = {}  # of the labels, such as stand for nothing in the formula
        self.exprs: dict[str, Expr] = self.derive()

    @abstractmethod
    def derive(self) -> dict[str, Expr]:
        """The closed forms, simplified."""

    @property
    def turned(self) -> bool:
        """Whether it stands in the layout that is not its usual one, as a transpose."""
        return self.layout != self.usual

    @property
    def symbol(self) -> str:
        """The letter of the labels in this layout."""
        return self.other_letter if self.turned else self.letter

    def laid(self, e: Expr) -> Expr:
        """A closed form of the usual layout in the one that is asked for; and the other way round."""
        return simplify(transpose(e)) if self.turned else e

    def unlaid(self, name: str) -> Expr:
        """A closed form in its usual layout."""
        return transpose(self.exprs[name]) if self.turned else self.exprs[name]

    def record_layout(self, record: Derivation) -> None:
        """Adds to the results of a derivation their transposes, in the other layout."""
        for name, x in self.variables.items() if self.turned else ():
            found = simplify(self.unlaid(name))
            label = self.label(name)
            record.results.append(Step(f"{self.layout} layout", self.exprs[name], transpose(found), x, label=label))

    def label(self, name: str, letter: str = "") -> str:
        """Under which name a closed form is printed where there are several: d_W, H_W_b."""
        letter = letter or self.symbol
        if letter not in self._letters:
            free, taken = letter, self.of.taken
            while any(labelled(free, other.split(",")) in taken for other in self.exprs):
                free = free[0] + free  # for all of them the same
            self._letters[letter] = free
        return labelled(self._letters[letter], name.split(","))

    @property
    def labelled(self) -> dict[str, Expr]:
        return {self.label(name): e for name, e in self.exprs.items()}

    @property
    def entries(self) -> dict[str, Expr]:
        """The closed forms by the names that they have in JSON."""
        return self.exprs

    @property
    def directions(self) -> list[Expr]:
        """Variables that the result has besides those of the formula."""
        return []

    @property
    def further(self) -> list[Expr]:
        """Variables that the callable takes after those of the formula and the directions."""
        return []

    def __getitem__(self, name: str | tuple[str, ...]) -> Expr:
        names = [canonical(part.strip()) for part in (name.split(",") if isinstance(name, str) else name)]
        found = self.find(names)
        if found is None:
            by = ",".join(names)
            raise UnknownNameError(f"no {self.kind} by {by} was derived", hint=f"there is {listed(self.exprs)}")
        return found

    def find(self, names: Sequence[str]) -> Expr | None:
        return self.exprs.get(",".join(names))

    def __iter__(self) -> Iterator[str]:
        return iter(self.exprs)

    def __len__(self) -> int:
        return len(self.exprs)

    @property
    def expr(self) -> Expr:
        """The closed form, where there is only one."""
        if len(self.exprs) != 1:
            by = ", ".join(name.replace(",", " and ") for name in self.exprs)
            raise ArgumentError(
                f"there is a {self.kind} by each of {by}", hint=f'name one, as in g["{next(iter(self))}"]'
            )
        return next(iter(self.exprs.values()))

    @property
    def shape(self) -> Shape:
        return self.expr.shape

    @cached_property
    def steps(self) -> Derivation:
        """The derivation, as data; it prints."""
        record = self.record()
        if self.of.form is not self.of.expr:
            record.written = Step("matrix form", self.of.expr, self.of.form)
        return record

    @abstractmethod
    def record(self) -> Derivation: ...

    @cached_property
    def notes(self) -> list[str]:
        """Where the result holds: absent variables, derivatives of defined functions, kinks and domains."""
        return self.remarks()

    def remarks(self) -> list[str]:
        """The notes, found anew."""
        from matcalc.printing.text import text

        out = self.absent()
        for op in dict.fromkeys(node.op for node in postorder(self.exprs.values()) if isinstance(node.op, Elementwise)):
            if isinstance(op.function, Defined) and op.order:
                t = op.function.parameter
                out.append(f"{op}({text(t)}) = {text(op.function.body(op.order))}")
        within: dict[Any, tuple[int, list[Expr]]] = {}  # functions with a domain: their note, their arguments
        varying = set(self.variables.values())
        kept = set(postorder(self.exprs.values()))
        for node in postorder([self.of.expr]):
            if varying.isdisjoint(node.args):
                continue
            varying.add(node)
            if isinstance(node.op, Norm2) and node not in kept and not (free_indices(node) and _has_roots(kept)):
                continue  # its square is smooth
            about = node.op.function if isinstance(node.op, Elementwise) else node.op
            if about.kink and about.kink not in out:
                out.append(about.kink)
            if about.domain and not has(node.args[0], _GRANTED.get(about.domain, "")):
                if about not in within:  # here among the notes, what it holds follows
                    out.append("")
                    within[about] = (len(out) - 1, [])
                within[about][1].append(node.args[0])
        for about, (place, arguments) in within.items():
            out[place] = _domain(about.name, about.domain, arguments)
        counts = [e.args[2] for e in kept if isinstance(e.op, IndexedSum) and e.args[2].op.is_variable]
        powers = set(postorder([e.args[1] for e in varying if isinstance(e.op, MatrixPower)]))
        out += [f"holds for {text(k)} >= 0" for k in dict.fromkeys(counts) if k in powers]  # A^k is differentiated so
        written = any(isinstance(node.op, IndexedSum) for node in postorder([self.of.expr]))
        reason = next((r for e in self.exprs.values() if written and (r := loop_reason(e))), None)
        if self.turned:
            out.append(f"in {self.layout} layout: the transpose of the {self.kind} in {self.usual} layout")
        return [*out, reason] if reason else out

    def absent(self) -> list[str]:
        """A note for each variable that the formula does not hold."""
        there = set(postorder([self.of.expr]))
        return [
            f"{name} does not occur in the expression, so its {self.kind} is zero"
            for name, x in self.variables.items()
            if x not in there
        ]

    def text(
        self,
        *,
        unicode: bool = False,
        parts: str | bool = True,
        names: Mapping[Expr, str] | None = None,
        head: bool = False,
        **spelling: str | None,
    ) -> str:
        """The closed form; repeated long parts, and those that the program names, are named below it. It parses back.

        ``parts``     False: everything is written out; "own": only the names of the program are used
        ``names``     preferred names of parts, such as those of the steps (``steps.names``)
        ``head``      of a differential: whether its left side is written, ``d(X^-1) = ...``, as ``str`` does
        ``spelling``  products="diag" or "hadamard", quotients="over" or "diag", scalars="tr", "inner" or "sum",
                      slopes="closed" or "prime"; what is not chosen is as short as it can be
        """
        from matcalc.printing.document import block
        from matcalc.printing.style import Style

        return block(self, unicode=unicode, parts=parts, names=names, head=head, style=Style.of(spelling))

    def latex(
        self,
        *,
        parts: str | bool = True,
        names: Mapping[Expr, str] | None = None,
        head: bool = False,
        **spelling: str | None,
    ) -> str:
        """The closed form in LaTeX (amsmath), with the options of :meth:`text`."""
        from matcalc.printing.document import latex_block
        from matcalc.printing.style import Style

        return latex_block(self, parts=parts, names=names, head=head, style=Style.of(spelling))

    @property
    def left(self) -> Expr | None:
        """The left side under which people know the result, where it has one: of a differential ``d(X^-1)``."""
        return None

    @property
    def moves(self) -> Mapping[Expr, Expr]:
        """For each variable its direction, in a product with one."""
        return {}

    def compile(
        self,
        *,
        value: bool = False,
        gradient: bool = False,
        functions: Functions | None = None,
        library: str = "numpy",
        batch: str | Sequence[str] = (),
    ) -> Compiled:
        """A NumPy callable; with ``value`` it returns the value of the function first. Several results are a tuple.

        ``gradient``   of a second derivative: the gradients come next, from the same forward part
        ``functions``  for functions that the formula leaves unknown, their value and derivatives: {"phi": [phi, dphi]}
        ``library``    whose arrays it takes and gives, if not NumPy's: "torch", "jax", "cupy", "dask", "array-api"
        ``batch``      names of arguments, ``("x", "b")``, that have one more axis, in front, for many items at once; so
                       have all results

        Shapes   those of the closed forms: a number for a scalar, (n,) for a column, (1, n) for a row
        Raises   ArgumentError when an unknown function has no value, there is no such library or argument, or a
                 ``gradient`` is asked of what is of first order
        """
        from matcalc.emission import compiled

        self.of.require_known(functions)
        return compiled(library, self.request(value=value, gradient=gradient, batch=batch), functions)

    def source(
        self,
        *,
        value: bool = False,
        gradient: bool = False,
        batch: str | Sequence[str] = (),
        format: str | None = None,
    ) -> str:
        """The code of the callable, not run; functions that the formula leaves unknown are names in it.

        ``format``  for a function that needs nothing of matcalc: "python", "torch", "jax", "julia", "matlab", "c"

        Raises   ArgumentError when there is no such format, or its language has no word for an operation
        """
        from matcalc.emission import source

        return source(format, self.request(value=value, gradient=gradient, batch=batch), self.conventions())

    def conventions(self) -> list[str]:
        """What one must know to read the arrays of the callable."""
        return []

    def outputs(self) -> dict[str, Expr]:
        """What the callable returns, by the names in its source."""
        return self.labelled

    def before(self, value: bool, gradient: bool) -> dict[str, Expr]:
        """What the callable returns first: the value, the gradients."""
        found = {"value": self.of.expr} if value else {}
        if not gradient:
            return found
        if not self.second:
            raise ArgumentError(
                f"a {self.kind} comes without the gradient",
                hint="Hessians, Gauss-Newton matrices and products with them take gradient=True",
            )
        require_scalar(self.of.expr)
        return found | Gradient(self.of, self.variables).labelled

    def request(self, *, value: bool = False, gradient: bool = False, batch: str | Sequence[str] = ()) -> Request:
        """What the callable is asked for, with the keywords of :meth:`compile`."""
        outputs = self.before(value, gradient) | self.outputs()
        return self._requested(outputs, [*self.of.arguments(list(outputs.values())), *self.directions], batch)

    def _requested(
        self, outputs: Mapping[str, Expr], arguments: Sequence[Expr], batch: str | Sequence[str] = (), **options: Any
    ) -> Request:
        """The request for outputs by name; one alone, with nothing later, has none."""
        from matcalc.lowering.planned import requested

        alone = len(outputs) == 1 and not options.get("later")
        return requested(
            next(iter(outputs.values())) if alone else outputs,
            self.of.with_length([*arguments, *self.further], batch),
            batch=batch,
            ignored=self.of.program.variables,
            names=self.of.program.names,
            **{"title": self.title, "name": self.function, "subgradient": True, **options},
        )

    @property
    def title(self) -> str:
        said = f" in {self.layout} layout" if self.turned else ""
        return f"{self.kind[0].upper()}{self.kind[1:]}{said} by {', '.join(self.variables)} of {self.of}"

    @property
    def function(self) -> str:
        """The name of the callable in its source."""
        return self.kind.lower().replace(" ", "_").replace("-", "_")

    @abstractmethod
    def check(self, *, seed: int = 0) -> Report:
        """Numerical verification. The report prints."""

    def as_dict(self, *, parts: str | bool = True, **spelling: str | None) -> dict[str, Any]:
        """All that is known of the result, as plain data for JSON, with the options of :meth:`text`."""
        from matcalc.printing.document import as_dict
        from matcalc.printing.style import Style

        return as_dict(self, parts=parts, style=Style.of(spelling))

    def __str__(self) -> str:
        return self.text(head=True)

    def __repr__(self) -> str:
        return f"<{self.title}>"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex(head=True)}$"


NUMERATOR, DENOMINATOR = "numerator", "denominator"


def layout_of(asked: str | None, usual: str) -> str:
    """Raises   ArgumentError when there is no such layout"""
    if asked not in (None, NUMERATOR, DENOMINATOR):
        raise ArgumentError(f"{asked!r} is no layout", hint=f"there is {NUMERATOR} and {DENOMINATOR}")
    return asked or usual


class Gradient(Derivative):
    """Gradients of one scalar by one or several variables, ``df = <g, dX>``; in numerator layout their transposes."""

    kind = "gradient"
    key = "gradients"
    letter = "d"
    usual = DENOMINATOR
    other_letter = "D"

    def __init__(self, of: Formula, variables: Mapping[str, Expr], layout: str | None = None) -> None:
        self.layout = layout_of(layout, self.usual)
        super().__init__(of, variables)

    def derive(self) -> dict[str, Expr]:
        found = derived_gradient(self.of.form, list(self.variables.values()), tidy=simplify)
        return {name: self.laid(simplify(found[x])) for name, x in self.variables.items()}

    def conventions(self) -> list[str]:
        if self.turned:
            return ["df = d*dx; in numerator layout, the transpose of the shape of the variable."]
        return ["df = <d, dX>; the gradient has the shape of its variable."]

    def record(self) -> Derivation:
        """The derivation: computational graph, differentials, back-substitution, trace rules."""
        record = Derivation()
        variables, names = list(self.variables.values()), self.of.program.names
        derived_gradient(self.of.form, variables, tidy=simplify, record=record, preferred=names)
        self.record_layout(record)
        return record

    def check(self, *, seed: int = 0) -> Report:
        """The gradient test (Taylor remainders) and an independent check."""
        from matcalc.checks.taylor import check_gradient

        by_variable = {x: self.unlaid(name) for name, x in self.variables.items()}
        return check_gradient(self.of.expr, by_variable, seed=seed)


def _domain(name: str, domain: str, arguments: Sequence[Expr]) -> str:
    """Where a function is defined, said of its argument: ``log is defined where det(X'*X) > 0``."""
    from matcalc.printing.text import text

    shown = "its argument"
    if len(dict.fromkeys(arguments)) == 1 and len(list(postorder(arguments))) < _LONGEST:
        written = text(arguments[0])
        shown = written if len(written) <= _LONGEST else shown
    said = domain.replace("det A", f"det({shown})").replace("A invertible", "A is invertible")
    said = re.sub(r"\b[Ax]\b", lambda match: shown, said)
    return said if domain.startswith("the ") else f"{name} is defined where {said}"


def _has_roots(nodes: Collection[Expr]) -> bool:
    """Whether there are square roots, as in the norms of all columns of a matrix, or divisions by them."""
    powers = [number_of(e.args[1]) for e in nodes if e.op is POWER]
    halves = any(isinstance(p, Fraction) and p.denominator == 2 for p in powers)
    return halves or any(isinstance(e.op, Elementwise) and e.op.function.name == "sqrt" for e in nodes)


def listed(names: Iterable[str], most: int = 20) -> str:
    """Names for the hint of an error."""
    all_names = list(names)
    rest = len(all_names) - most
    return ", ".join(all_names[:most]) + (f" and {rest} more" if rest > 0 else "") or "no variable in it"


__all__ = ["DENOMINATOR", "LIMIT", "NUMERATOR", "Derivative", "Functions", "Gradient", "layout_of", "listed"]
