"""Derivations as sections of lines in one spelling: computational graph, differentials, back-substitution, result.

It chooses words and computes nothing: each line is an equation of the record (matcalc/derivation.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import NamedTuple

from matcalc.calculus.rules import TRACE_RULES, VEC_RULES
from matcalc.derivation import Derivation, Step
from matcalc.expr import Expr, dependents, postorder
from matcalc.primitives.leaves import Differential, differential_of
from matcalc.printing.latex import LatexPrinter
from matcalc.printing.parts import name_parts, names_in
from matcalc.printing.printer import Printer
from matcalc.simplify import simplify
from matcalc.syntax import parse

Spelling = Callable[[Mapping[Expr, str], Iterable[str]], Printer]

_RULES = {rule.name: rule for rule in (*TRACE_RULES.values(), *VEC_RULES.values())}


class Line(NamedTuple):
    """``left = right``, and why; a chain goes on with an empty ``left``. ``then`` is the equation that follows."""

    left: str
    right: str
    why: str = ""
    then: tuple[str, str] = ("", "")


class Section(NamedTuple):
    """``key`` is its name in data; ``part`` the title of the part of the derivation in which it stands."""

    key: str
    title: str
    lines: list[Line]


class Script:
    """A derivation in one spelling; ``parts`` are those that it rests on, each with its title."""

    def __init__(self, record: Derivation, style: Spelling) -> None:
        self.record = record
        self.parts = [(self.title(title, style({}, ())), Script(part, style)) for title, part in record.parts]
        names = dict(record.names)
        for node, name in record.names.items():
            names.setdefault(simplify(node), name)  # W + V may stand in a differential as V + W
        found = {step.left: step.label for _, part in record.parts for step in part.results if step.label}
        names |= {e: label for e, label in found.items() if e.args and e not in names}
        self.found = found
        roots = [step.right for step in record.substitution]
        if not roots:
            roots = [step.right for step in (*record.vectorised, *record.chain, *record.results)]
            roots += [step.left for step in record.results]
        taken = names_in([*roots, *record.definitions]) | set(names.values())
        differentials = [node for node in postorder(roots) if isinstance(node.op, Differential)]
        varying = dependents(roots, differentials)
        letter = "g" if record.substitution else "m"
        self.cotangents = name_parts(roots, None, taken, known=names, excluded=varying, letter=letter, saving=4)
        self.order = {node: i for i, node in enumerate(self.cotangents)}
        self.introduced: set[Expr] = set()
        self.graph = style(names, taken)  # for the sections before the cotangents
        self.style = style(names | self.cotangents, taken)

    def sections(self) -> list[Section]:
        """Those of the derivation itself, without its parts; empty ones are left out."""
        record = self.record
        found = [
            Section("form", "Matrix form", self.form()),
            Section("direction", "Direction", self.direction()),
            Section("graph", "Computational graph", [self.definition(node) for node in record.definitions]),
            Section("differentials", "Differentials", self.differentials()),
            Section("substitution", "Back-substitution", self.substitution()),
            Section("vectorised", "Vectorised differentials", self.equations(record.vectorised, record.differentials)),
            Section("chain", "Chain rule", self.chain()),
            self.rules(),
            Section("result", "Result", self.results()),
            Section("pattern", "General pattern", self.pattern()),
        ]
        return [section for section in found if section.lines]

    def title(self, words: str, style: Printer) -> str:
        """A title in which names, such as d_W, are spelled as in equations."""
        return " ".join(style.in_text(style.name(word)) if "_" in word else word for word in words.split())

    def form(self) -> list[Line]:
        """The value with its sums over an index, and in the form in which it is differentiated."""
        step = self.record.written
        if step is None:
            return []
        plain = type(self.graph)()
        name = self.graph.names.get(step.right)
        shown = self.graph.name(name) if name else "f"
        return [Line(shown, plain.print(step.left)), Line("", plain.print(step.right), step.rule)]

    def direction(self) -> list[Line]:
        """What stands for the differentials of the variables."""
        pairs = self.record.moves.items()
        return [Line(self.graph.print(differential_of(x)), self.graph.print(v)) for x, v in pairs]

    def definition(self, node: Expr) -> Line:
        style = self.style if node in self.cotangents else self.graph
        return Line(style.name(style.names[node]), style.definition(node))

    def differentials(self) -> list[Line]:
        lines = []
        for step in self.record.differentials:
            if step.place is not None:
                of = self.definition(step.place)
                lines.append(Line(of.left, of.right, "", (self.graph.print(step.left), self.graph.print(step.right))))
        return lines

    def substitution(self) -> list[Line]:
        lines: list[Line] = []
        before = ""
        for step in self.record.substitution:
            shown = self.style.print(step.right)
            if shown == before:
                continue
            why = step.rule
            if why == "differential" and step.place is not None:
                why = f"differential of {self.style.name(self.style.names[step.place])}"
            lines.append(Line("" if lines else self.style.print(step.left), shown, why))
            lines += self.introduce(step.right)
            before = shown
        return lines

    def equations(self, steps: list[Step], said: Iterable[Step] = ()) -> list[Line]:
        """Equations one below the other; those that were ``said`` already are left out."""
        lines: list[Line] = []
        known = {(step.left, step.right) for step in said}
        for step in steps:
            if (step.left, step.right) not in known:
                lines.append(Line(self.style.print(step.left), self.style.print(step.right), step.rule))
                lines += self.introduce(step.right)
        return lines

    def chain(self) -> list[Line]:
        """From quantity to quantity, unless these are the steps of the graph."""
        said = {(step.left, step.right) for step in self.record.vectorised}
        steps = []
        for label in dict.fromkeys(step.label for step in self.record.chain):
            own = [step for step in self.record.chain if step.label == label]
            if any((step.left, step.right) not in said for step in own):
                why = f"for {self.style.name(label)}" if label else ""
                steps += [step._replace(rule=why) for step in own]
        return self.equations(steps)

    def introduce(self, e: Expr) -> list[Line]:
        """What the names of cotangents stand for that occur in ``e`` for the first time."""
        names, known = self.cotangents, self.style.names
        found: set[Expr] = set()
        pending = [e]
        while pending:
            args = (pending[-1],) if pending[-1] is e else pending[-1].args
            pending.pop()
            new = {a for a in postorder(args, stop=known.__contains__) if a in names} - self.introduced - found
            found |= new
            pending += new
        self.introduced |= found
        return [self.definition(node)._replace(why="where") for node in sorted(found, key=self.order.__getitem__)]

    def rules(self) -> Section:
        """The identities that were used, each as it stands in any derivation."""
        used = [name for name in self.record.rules if name in _RULES]
        kinds = {name.partition("-")[0] for name in used}
        title = f"{next(iter(kinds)).capitalize()} rules used" if len(kinds) == 1 else "Rules used"
        lines = []
        for rule in (_RULES[name] for name in used):
            left, right = (type(self.style)().print(parse(side, rule.where).expr) for side in (rule.left, rule.right))
            lines.append(Line(left, right, rule.name))
        return Section("rules", title, lines)

    def results(self) -> list[Line]:
        lines: list[Line] = []
        said = {(step.label, step.left) for _, part in self.record.parts for step in part.results}
        for step in self.record.results:
            if (step.label, step.left) in said:
                continue
            # What a part of the derivation has found goes by the name that it has there, and here it is written out.
            free, within = self.style.print(step.right), self.written_out(step.left)
            free = free if step.right is not step.left else within
            lines.append(Line(self.label(step), free, step.rule))
            lines += self.introduce(step.right)
            if within != free:
                lines.append(Line("", within, "simplified"))
                lines += self.introduce(step.left)
        return lines

    def pattern(self) -> list[Line]:
        """What consecutive layers have in common, with a letter in the place of their numbers."""
        lines: list[Line] = []
        style = type(self.graph)()
        roots = [layers.right for layers in self.record.pattern]
        taken = {name.rstrip("0123456789") for name in names_in([*roots, *self.record.definitions])}

        def by(name: str) -> str:  # the gradient by a quantity
            return f"d_{{{style.name(name)}}}" if isinstance(style, LatexPrinter) else f"d_{style.name(name)}"

        index = next((letter for letter in "lkjist" if letter not in taken), "layer")
        for layers in self.record.pattern:
            name = style.layer(layers.left, index, 0)
            why = f"for {index} = {', ..., '.join(map(str, (layers.first, layers.last)))}"
            if layers.last < layers.first + 3:
                why = f"for {index} = {', '.join(map(str, range(layers.first, layers.last + 1)))}"
            right = style.print(layers.spelled(partial(self.layer, style, index)))
            left = by(name) if layers.kind == "gradient" else style.name(name)
            if layers.of:
                lines.append(Line(left, by(style.layer(layers.of, index, 0))))
                left = ""
            lines.append(Line(left, right, why))
            if layers.start is not None:
                lines.append(Line(style.name(f"{layers.left}{layers.last + 1}"), style.print(layers.start)))
        return lines

    @staticmethod
    def layer(style: Printer, index: str, name: str, more: int) -> str:
        return style.layer(name, index, more)

    def written_out(self, e: Expr) -> str:
        return self.style.definition(e) if e in self.found or e in self.cotangents else self.style.print(e)

    def label(self, step: Step) -> str:
        if step.label:
            return self.style.name(step.label)
        if step.place is not None:
            return self.style.name(f"d_{step.place.op.name}")
        return self.graph.print(differential_of(self.record.value)) if self.record.value is not None else ""


__all__ = ["Line", "Script", "Section", "Spelling"]
