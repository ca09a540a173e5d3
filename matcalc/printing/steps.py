"""Derivations in words, as text, in LaTeX and as data; script.py has their lines."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from matcalc.derivation import Derivation
from matcalc.printing.latex import LatexPrinter
from matcalc.printing.script import Line, Script, Section
from matcalc.printing.text import printer

WIDTH = 80  # of a line of text, where the name of the rule ends


def steps_text(record: Derivation, *, unicode: bool = False) -> str:
    """The derivation as text, a section after the other; the parts that it rests on come first, under their titles."""
    out: list[str] = []
    for titles, section in _numbered(Script(record, partial(printer, unicode=unicode))):
        out += [line for title in titles for line in ("", title, "=" * len(title))]
        out += ["", *_section(section, "⇒" if unicode else "=>")]
    return "\n".join(out[1:])


def _numbered(script: Script, titles: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Section]]:
    """The sections in order, the first of a part with the titles that stand above it."""
    for title, part in script.parts:
        found = list(_numbered(part, (*titles, title)))
        yield from found
        titles = () if found else titles
    own = script.sections()
    if script.parts and own:
        titles = (*titles, "Together")
    for section in own:
        yield titles, section
        titles = ()


def _section(section: Section, arrow: str) -> list[str]:
    margin = max(len(line.left) for line in section.lines if line.why != "where")
    middle = max(len(line.right) for line in section.lines)
    out = [section.title]
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
    return out


def steps_latex(record: Derivation, *, document: bool = False) -> str:
    """The derivation in LaTeX, an ``align*`` for each section; ``document`` makes it a file that compiles by itself."""
    out = []
    for titles, section in _numbered(Script(record, LatexPrinter)):
        rows = [_row(section.key, line) for line in section.lines]
        heads = [f"\\subsection*{{{title}}}\n" for title in titles]
        align = "\\begin{align*}\n" + " \\\\\n".join(rows) + "\n\\end{align*}"
        out.append(f"{''.join(heads)}\\paragraph{{{section.title}}}\n{align}")
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
    elif why.startswith("for "):
        why = rf"\text{{for }} {why.removeprefix('for ')}".replace("...", r"\ldots")
    elif why:
        why = rf"\text{{{why.replace('_', chr(92) + '_')}}}"
    return f"{line.left} &= {line.right}" + (f" && {why}" if why else "")


def steps_dict(record: Derivation) -> dict[str, Any]:
    """The derivation as plain data: for each section its lines, in text and in LaTeX; ``parts`` are such, too."""
    return _data(Script(record, printer), Script(record, LatexPrinter))


def _data(plain: Script, latex: Script) -> dict[str, Any]:
    pairs = zip(plain.parts, latex.parts, strict=True)
    parts = [{"title": title, **_data(part, other)} for (title, part), (_, other) in pairs]
    sections = {
        a.key: [_entry(line, other) for line, other in zip(a.lines, b.lines, strict=False)]
        for a, b in zip(plain.sections(), latex.sections(), strict=True)
    }
    return ({"parts": parts} if parts else {}) | sections


def _entry(line: Line, latex: Line) -> dict[str, str]:
    entry = {"text": f"{line.left} = {line.right}".strip(), "latex": f"{latex.left} = {latex.right}".strip()}
    if line.then[0]:
        entry["differential"] = " = ".join(line.then)
        entry["differential_latex"] = " = ".join(latex.then)
    if line.why:
        entry["why"] = line.why
    return entry


__all__ = ["steps_dict", "steps_latex", "steps_text"]
