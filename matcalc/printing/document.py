"""Results on several lines: the closed forms, then ``where`` the parts that they name. A block parses back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from matcalc.dims import shape_text
from matcalc.errors import LimitError
from matcalc.expr import Expr, substitute
from matcalc.primitives.leaves import differential_of
from matcalc.printing.parts import name_parts, names_in
from matcalc.printing.printer import Printer
from matcalc.printing.text import printer

if TYPE_CHECKING:
    from matcalc.results import Derivative


_SHORT = 40  # characters of the left side of a differential


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
    left: str = "",
) -> str:
    """The results in LaTeX; on several lines as an ``aligned`` block, so it stands within mathematics.

    ``left``  the left side of a single result
    """
    from matcalc.printing.latex import aligned, latex

    named = definitions(results, preferred, taken) if parts else {}
    if len(results) == 1 and not named:
        return (f"{left} = " if left else "") + latex(next(iter(results.values())))
    labels = [""] if len(results) == 1 else list(results)
    return aligned([*labels, *named.values()], [*results.values(), *named], named, taken, left)


Lines = list[tuple[str, str]]


def _lines(results: Mapping[str, Expr], named: Mapping[Expr, str], printer: Printer) -> tuple[Lines, Lines]:
    """Label and text of each result, and of each part that has a name."""
    roots = list(results.values())
    printer.prepare(roots)
    where = [(printer.name(name), printer.definition(node)) for node, name in named.items()]
    labels = [""] if len(results) == 1 else [printer.name(name) for name in results]
    return [(label, printer.print(e)) for label, e in zip(labels, roots, strict=True)], where


# -- what matcalc/results/ shows


def _of(g: Derivative) -> tuple[dict[str, Expr], Mapping[Expr, str], set[str]]:
    return g.labelled, g.of.program.names, g.of.taken | {v.op.name for v in g.directions}


def block(
    g: Derivative,
    *,
    unicode: bool = False,
    parts: bool = True,
    names: Mapping[Expr, str] | None = None,
    head: bool = False,
) -> str:
    """A result as text, with ``head`` after its left side."""
    results, preferred, taken = _of(g)
    left = _left(g, printer(unicode=unicode, taken=g.of.taken)) if head else ""
    body = document(results, preferred={**(names or {}), **preferred}, taken=taken, unicode=unicode, parts=parts)
    return f"{left} = {body}" if left else body


def latex_block(
    g: Derivative, *, parts: bool = True, names: Mapping[Expr, str] | None = None, head: bool = False
) -> str:
    """A result in LaTeX, with ``head`` after its left side."""
    from matcalc.printing.latex import LatexPrinter

    results, preferred, taken = _of(g)
    preferred = {**(names or {}), **preferred}
    if g.left is None:
        return latex_document(results, preferred=preferred, taken=taken, parts=parts)
    results = {label: _upright(g, e) for label, e in results.items()}
    left = _left(g, LatexPrinter(None, g.of.taken)) if head else ""
    return latex_document(results, preferred=preferred, taken=taken, parts=parts, left=left)


def _upright(g: Derivative, e: Expr) -> Expr:
    """An expression with differentials in the place of the variables dX, so that LaTeX writes their d upright."""
    return substitute(e, {v: differential_of(x) for x, v in g.moves.items()}) if g.left is not None else e


def _left(g: Derivative, style: Printer) -> str:
    """``d(X^-1)``, and of long expressions ``df``."""
    if g.left is None:
        return ""
    if not g.of.program.definitions:
        try:
            shown = style.print(g.left)
        except LimitError:
            shown = ""
        if 0 < len(shown) <= _SHORT:
            return shown
    return style.differential_of("f")


def as_dict(g: Derivative) -> dict[str, Any]:
    """A result as plain data: each closed form with text, Unicode, LaTeX and shape; ``parts`` is what they name."""
    from matcalc.printing.latex import LatexPrinter

    results, preferred, taken = _of(g)
    named = definitions(results, preferred, taken)
    styles = {
        "text": printer(named, taken=taken),
        "unicode": printer(named, unicode=True, taken=taken),
        "latex": LatexPrinter({_upright(g, e): name for e, name in named.items()}, taken),
    }

    def entry(e: Expr, part: bool) -> dict[str, Any]:
        forms = {style: _upright(g, e) if style == "latex" else e for style in styles}
        shown = {style: p.definition(forms[style]) if part else p.print(forms[style]) for style, p in styles.items()}
        return {"shape": shape_text(e.shape), **shown}

    for style, p in styles.items():
        p.prepare([_upright(g, e) if style == "latex" else e for e in results.values()])
    return {
        "expression": str(g.of),
        "inferred": g.of.inferred,
        "warnings": g.of.warnings,
        "notes": g.notes,
        g.key: {name: entry(e, part=False) for name, e in g.entries.items()},
        "parts": {name: entry(e, part=True) for e, name in named.items()},
    }
