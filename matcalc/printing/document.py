"""Results on several lines: the closed forms, then ``where`` the parts that they name. A block parses back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, Unpack

from matcalc.dims import ONE, shape_text
from matcalc.errors import ArgumentError, LimitError
from matcalc.expr import Expr, postorder, substitute
from matcalc.primitives.leaves import differential_of
from matcalc.printing.parts import lengths, name_parts, names_in
from matcalc.printing.printer import Printer
from matcalc.printing.quantities import logistic, with_quantities
from matcalc.printing.style import Style
from matcalc.printing.text import printer

if TYPE_CHECKING:
    from matcalc.results import Derivative


_SHORT = 40  # characters of the left side of a differential
_LETTERS = "sp"  # for sigmoid(z) in its slope


class Options(TypedDict, total=False):
    """Those of :func:`presented`."""

    preferred: Mapping[Expr, str] | None
    own: Mapping[Expr, str] | None
    parts: str | bool
    style: Style | None
    about: Iterable[Expr]


class Presented(NamedTuple):
    """Results as they are printed, and the names of their parts in order of computation."""

    results: dict[str, Expr]
    named: dict[Expr, str]


def presented(
    results: Mapping[str, Expr],
    *,
    preferred: Mapping[Expr, str] | None = None,
    own: Mapping[Expr, str] | None = None,
    taken: Iterable[str] = (),
    parts: str | bool = True,
    style: Style | None = None,
    about: Iterable[Expr] = (),
) -> Presented:
    """Results in a style, with names for their parts.

    ``own``        the quantities that the user has named
    ``preferred``  names of further nodes, for those that get one
    ``parts``      whether parts are named; "own": only by the user's names
    ``about``      what was differentiated
    """
    if parts not in (True, False, "own"):
        raise ArgumentError(f"{parts!r} is no choice of names", hint='there is True, False and "own"')
    exprs = list(results.values())
    if style is not None:
        exprs = style.primed(exprs, about)
    names: dict[Expr, str] = {}
    if parts and own:
        exprs, names = with_quantities(exprs, own)
    known = {**(preferred or {}), **(own or {})}
    if style is not None and style.rewrites:
        spelled = style.spelled([*exprs, *known], known)
        exprs = [spelled[e] for e in exprs]
        names, known = ({spelled[e]: name for e, name in found.items()} for found in (names, known))
    found = dict(zip(results, exprs, strict=True))
    if not parts:
        return Presented(found, {})
    if parts is True:
        sigmoid = logistic(exprs, lengths(exprs, names))
        free = next((name for name in _LETTERS if name not in {*taken, *names_in(exprs), *results}), "")
        if sigmoid is not None and sigmoid not in names and free:
            names[sigmoid] = known[sigmoid] = free if sigmoid.cols is ONE else free.upper()
    others = frozenset() if parts is True else frozenset(postorder(exprs)).difference(names)
    named = name_parts(exprs, known, {*taken, *names_in(exprs), *results}, excluded=others, own=names)
    return Presented(found, named)


def document(
    results: Mapping[str, Expr], *, taken: Iterable[str] = (), unicode: bool = False, **options: Unpack[Options]
) -> str:
    """The results as text; a single one stands without its name.

    Example  EXPR
             where
               z0 = ...
    """
    results, named = presented(results, taken=taken, **options)
    lines, where = _lines(results, named, printer(named, unicode=unicode, taken=taken))
    out = [f"{label} = {line}" if label else line for label, line in lines]
    if where:
        out.append("where")
        out += [f"  {label} = {line}" for label, line in where]
    return "\n".join(out)


def latex_document(
    results: Mapping[str, Expr], *, taken: Iterable[str] = (), left: str = "", **options: Unpack[Options]
) -> str:
    """The results in LaTeX; on several lines as an ``aligned`` block, so it stands within mathematics.

    ``left``  the left side of a single result
    """
    from matcalc.printing.latex import aligned, latex

    results, named = presented(results, taken=taken, **options)
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


def _of(
    g: Derivative, parts: str | bool, names: Mapping[Expr, str] | None, style: Style | None
) -> tuple[dict[str, Expr], set[str], Options]:
    program = g.of.program
    options = Options(
        preferred={**(names or {}), **program.names}, own=program.names, parts=parts, style=style, about=[g.of.form]
    )
    return g.labelled, g.of.taken | {v.op.name for v in g.directions}, options


def block(
    g: Derivative,
    *,
    unicode: bool = False,
    parts: str | bool = True,
    names: Mapping[Expr, str] | None = None,
    head: bool = False,
    style: Style | None = None,
) -> str:
    """A result as text, with ``head`` after its left side."""
    results, taken, options = _of(g, parts, names, style)
    left = _left(g, printer(unicode=unicode, taken=g.of.taken)) if head else ""
    body = document(results, taken=taken, unicode=unicode, **options)
    return f"{left} = {body}" if left else body


def latex_block(
    g: Derivative,
    *,
    parts: str | bool = True,
    names: Mapping[Expr, str] | None = None,
    head: bool = False,
    style: Style | None = None,
) -> str:
    """A result in LaTeX, with ``head`` after its left side."""
    from matcalc.printing.latex import LatexPrinter

    results, taken, options = _of(g, parts, names, style)
    if g.left is None:
        return latex_document(results, taken=taken, **options)
    results = {label: _upright(g, e) for label, e in results.items()}
    left = _left(g, LatexPrinter(None, g.of.taken)) if head else ""
    return latex_document(results, taken=taken, left=left, **options)


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


def as_dict(g: Derivative, *, parts: str | bool = True, style: Style | None = None) -> dict[str, Any]:
    """A result as plain data: each closed form with text, Unicode, LaTeX and shape; ``parts`` is what they name."""
    from matcalc.printing.latex import LatexPrinter

    results, taken, options = _of(g, parts, None, style)
    results, named = presented(results, taken=taken, **options)
    printers = {
        "text": printer(named, taken=taken),
        "unicode": printer(named, unicode=True, taken=taken),
        "latex": LatexPrinter({_upright(g, e): name for e, name in named.items()}, taken),
    }

    def entry(e: Expr, part: bool) -> dict[str, Any]:
        forms = {name: _upright(g, e) if name == "latex" else e for name in printers}
        texts = {name: p.definition(forms[name]) if part else p.print(forms[name]) for name, p in printers.items()}
        return {"shape": shape_text(e.shape), **texts}

    for name, p in printers.items():
        p.prepare([_upright(g, e) if name == "latex" else e for e in results.values()])
    entries = dict(zip(g.entries, results.values(), strict=True))
    return {
        "expression": str(g.of),
        "inferred": g.of.inferred,
        "warnings": g.of.warnings,
        "notes": g.notes,
        **({"layout": g.layout} if g.layout else {}),
        g.key: {name: entry(e, part=False) for name, e in entries.items()},
        "parts": {name: entry(e, part=True) for e, name in named.items()},
    }
