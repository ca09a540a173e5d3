"""Results on several lines: the closed forms, then ``where`` the parts that they name. A block parses back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from matcalc.dims import shape_text
from matcalc.expr import Expr
from matcalc.printing.parts import name_parts, names_in
from matcalc.printing.printer import Printer
from matcalc.printing.text import printer

if TYPE_CHECKING:
    from matcalc.results import Gradient


def definitions(
    results: Mapping[str, Expr], preferred: Mapping[Expr, str] | None = None, taken: Iterable[str] = ()
) -> dict[Expr, str]:
    """The names of the parts of ``results``, in order of computation."""
    roots = list(results.values())
    return name_parts(roots, preferred, {*taken, *names_in(roots), *results})


def document(
    results: Mapping[str, Expr],
    *,
    preferred: Mapping[Expr, str] | None = None,
    taken: Iterable[str] = (),
    unicode: bool = False,
    parts: bool = True,
) -> str:
    """The results as text; a single one stands without its name.

    Example  EXPR
             where
               z0 = ...
    """
    named = definitions(results, preferred, taken) if parts else {}
    lines, where = _lines(results, named, printer(named, unicode=unicode, taken=taken))
    out = [f"{label} = {line}" if label else line for label, line in lines]
    if where:
        out.append("where")
        out += [f"  {label} = {line}" for label, line in where]
    return "\n".join(out)


def latex_document(
    results: Mapping[str, Expr],
    *,
    preferred: Mapping[Expr, str] | None = None,
    taken: Iterable[str] = (),
    parts: bool = True,
) -> str:
    """The results in LaTeX; on several lines as an ``aligned`` block, so it stands within mathematics."""
    from matcalc.printing.latex import aligned, latex

    named = definitions(results, preferred, taken) if parts else {}
    if len(results) == 1 and not named:
        return latex(next(iter(results.values())))
    labels = [""] if len(results) == 1 else list(results)
    return aligned([*labels, *named.values()], [*results.values(), *named], named, taken)


Lines = list[tuple[str, str]]


def _lines(results: Mapping[str, Expr], named: Mapping[Expr, str], printer: Printer) -> tuple[Lines, Lines]:
    """Label and text of each result, and of each part that has a name."""
    roots = list(results.values())
    printer.prepare(roots)
    where = [(printer.name(name), printer.definition(node)) for node, name in named.items()]
    labels = [""] if len(results) == 1 else [printer.name(name) for name in results]
    return [(label, printer.print(e)) for label, e in zip(labels, roots, strict=True)], where


# -- what matcalc/results.py shows


def _of(g: Gradient) -> tuple[dict[str, Expr], Mapping[Expr, str], set[str]]:
    program = g.of.program
    taken = {*program.variables, *program.functions, *program.definitions}
    return {f"d_{name}": e for name, e in g.exprs.items()}, program.names, taken


def block(g: Gradient, *, unicode: bool = False, parts: bool = True, names: Mapping[Expr, str] | None = None) -> str:
    """Gradients as text."""
    results, preferred, taken = _of(g)
    return document(results, preferred={**(names or {}), **preferred}, taken=taken, unicode=unicode, parts=parts)


def latex_block(g: Gradient, *, parts: bool = True, names: Mapping[Expr, str] | None = None) -> str:
    """Gradients in LaTeX."""
    results, preferred, taken = _of(g)
    return latex_document(results, preferred={**(names or {}), **preferred}, taken=taken, parts=parts)


def as_dict(g: Gradient) -> dict[str, Any]:
    """Gradients as plain data: each with text, Unicode, LaTeX and shape; ``parts`` are the quantities they name."""
    from matcalc.printing.latex import LatexPrinter

    results, preferred, taken = _of(g)
    named = definitions(results, preferred, taken)
    styles = {
        "text": printer(named, taken=taken),
        "unicode": printer(named, unicode=True, taken=taken),
        "latex": LatexPrinter(named, taken),
    }

    def entry(e: Expr, part: bool) -> dict[str, Any]:
        shown = {style: p.definition(e) if part else p.print(e) for style, p in styles.items()}
        return {"shape": shape_text(e.shape), **shown}

    for p in styles.values():
        p.prepare(list(results.values()))
    return {
        "expression": str(g.of),
        "inferred": g.of.inferred,
        "warnings": g.of.warnings,
        "notes": g.notes,
        "gradients": {name: entry(e, part=False) for name, e in g.exprs.items()},
        "parts": {name: entry(e, part=True) for e, name in named.items()},
    }
