"""Derivations in words: computational graph, differentials, back-substitution, trace rules, result.

It chooses words and computes nothing: each line is an equation of the record (matcalc/derivation.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from matcalc.calculus.rules import TRACE_RULES
from matcalc.derivation import Derivation
from matcalc.expr import Expr, dependents, postorder
from matcalc.primitives.leaves import Differential, differential_of
from matcalc.printing.latex import LatexPrinter
from matcalc.printing.parts import name_parts, names_in
from matcalc.printing.printer import Printer
from matcalc.printing.text import printer
from matcalc.simplify import simplify
from matcalc.syntax import parse

WIDTH = 80  # of a line of text, where the name of the rule ends


class Line(NamedTuple):
    """``left = right``, and why; a chain goes on with an empty ``left``. ``then`` is the equation that follows."""

    left: str
    right: str
    why: str = ""
    then: tuple[str, str] = ("", "")


class Section(NamedTuple):
    key: str
    title: str
    lines: list[Line]


class Script:
    """A derivation in one spelling."""

    def __init__(self, record: Derivation, style: Callable[[Mapping[Expr, str], Iterable[str]], Printer]) -> None:
        self.record = record
        names = dict(record.names)
        for node, name in record.names.items():
            names.setdefault(simplify(node), name)  # W + V may stand in a differential as V + W
        roots = [step.right for step in record.substitution]
        taken = names_in([*roots, *record.definitions]) | set(names.values())
        differentials = [node for node in postorder(roots) if isinstance(node.op, Differential)]
        varying = dependents(roots, differentials)
        self.cotangents = name_parts(roots, None, taken, known=names, excluded=varying, letter="g", saving=4)
        self.order = {node: i for i, node in enumerate(self.cotangents)}
        self.introduced: set[Expr] = set()
        self.graph = style(names, taken)  # for the sections before the cotangents
        self.style = style(names | self.cotangents, taken)

    def sections(self) -> list[Section]:
        record = self.record
        value = self.graph.print(differential_of(record.value)) if record.value is not None else ""
        found = [
            Section("graph", "Computational graph", [self.definition(node) for node in record.definitions]),
            Section("differentials", "Differentials", self.differentials()),
            Section("substitution", "Back-substitution", self.substitution(value)),
            Section("rules", "Trace rules used", [self.rule(name) for name in record.rules if name in TRACE_RULES]),
            Section("result", "Result", self.results()),
        ]
        return [section for section in found if section.lines]

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

    def substitution(self, value: str) -> list[Line]:
        lines: list[Line] = []
        before = ""
        for step in self.record.substitution:
            shown = self.style.print(step.right)
            if shown == before:
                continue
            why = step.rule
            if why == "differential" and step.place is not None:
                why = f"differential of {self.style.name(self.style.names[step.place])}"
            lines.append(Line("" if lines else value, shown, why))
            lines += self.introduce(step.right)
            before = shown
        return lines

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

    def rule(self, name: str) -> Line:
        rule = TRACE_RULES[name]
        left, right = (type(self.style)().print(parse(side, rule.where).expr) for side in (rule.left, rule.right))
        return Line(left, right, name)

    def results(self) -> list[Line]:
        lines = []
        for step in self.record.results:
            label = self.style.name(f"d_{step.place.op.name}") if step.place is not None else ""
            free, within = self.style.print(step.right), self.style.print(step.left)
            lines.append(Line(label, free, "read off"))
            if within != free:
                lines.append(Line("", within, "declared structure, simplified"))
            lines += self.introduce(step.right) + self.introduce(step.left)
        return lines


def steps_text(record: Derivation, *, unicode: bool = False) -> str:
    """The derivation as text, a section after the other."""
    out: list[str] = []
    arrow = "⇒" if unicode else "=>"
    for section in Script(record, partial(printer, unicode=unicode)).sections():
        margin = max(len(line.left) for line in section.lines if line.why != "where")
        middle = max(len(line.right) for line in section.lines)
        out += ["", section.title] if out else [section.title]
        for line in section.lines:
            if section.key == "rules":
                out.append(f"  {line.why:<20} {line.left} = {line.right}")
            elif line.then[0]:
                equation = f"{line.left:<{margin}} = {line.right:<{min(middle, WIDTH // 2)}}"
                out.append(f"  {equation}  {arrow}  {line.then[0]} = {line.then[1]}")
            elif line.why == "where":
                out.append(f"  {'':<{margin}}   where {line.left} = {line.right}")
            else:
                text = f"  {line.left:<{margin}} = {line.right}"
                why = line.why.rjust(WIDTH - len(text) - 2)
                out.append(f"{text}  {why}" if line.why else text)
    return "\n".join(out)


def steps_latex(record: Derivation, *, document: bool = False) -> str:
    """The derivation in LaTeX, an ``align*`` for each section; ``document`` makes it a file that compiles by itself."""
    out = []
    for section in Script(record, LatexPrinter).sections():
        rows = [_row(section.key, line) for line in section.lines]
        out.append(f"\\paragraph{{{section.title}}}\n\\begin{{align*}}\n" + " \\\\\n".join(rows) + "\n\\end{align*}")
    body = "\n\n".join(out)
    if not document:
        return body
    packages = "\\documentclass{article}\n\\usepackage{amsmath,amssymb}\n\\allowdisplaybreaks\n"
    return f"{packages}\\begin{{document}}\n{body}\n\\end{{document}}"


def _row(key: str, line: Line) -> str:
    if key == "rules":
        return rf"\text{{{line.why}}} && {line.left} &= {line.right}"
    if line.then[0]:
        return rf"{line.left} &= {line.right} & & \Rightarrow & {line.then[0]} &= {line.then[1]}"
    if line.why == "where":
        return rf"& \qquad \text{{where }} {line.left} = {line.right}"
    why = line.why
    if why.startswith("differential of "):
        why = rf"\text{{differential of }} {why.removeprefix('differential of ')}"
    elif why:
        why = rf"\text{{{why}}}"
    return f"{line.left} &= {line.right}" + (f" && {why}" if why else "")


def steps_dict(record: Derivation) -> dict[str, Any]:
    """The derivation as plain data: for each section its lines, in text and in LaTeX."""
    plain = Script(record, printer).sections()
    latex = Script(record, LatexPrinter).sections()
    return {
        a.key: [_entry(line, other) for line, other in zip(a.lines, b.lines, strict=False)]
        for a, b in zip(plain, latex, strict=True)
    }


def _entry(line: Line, latex: Line) -> dict[str, str]:
    entry = {"text": f"{line.left} = {line.right}".strip(), "latex": f"{latex.left} = {latex.right}".strip()}
    if line.then[0]:
        entry["differential"] = " = ".join(line.then)
        entry["differential_latex"] = " = ".join(latex.then)
    if line.why:
        entry["why"] = line.why
    return entry


__all__ = ["Script", "steps_dict", "steps_latex", "steps_text"]
