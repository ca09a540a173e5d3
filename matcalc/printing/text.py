"""One-line text that parses back: the keyboard's spelling, and Unicode for terminals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from matcalc.errors import LimitError
from matcalc.expr import Expr
from matcalc.printing.parts import name_parts, names_in
from matcalc.printing.printer import Printer


def printer(names: Mapping[Expr, str] | None = None, taken: Iterable[str] = (), *, unicode: bool = False) -> Printer:
    """The printer of a spelling; ``taken`` are names that stand for something, though the expression lacks them."""
    if unicode:
        from matcalc.printing.unicode import UnicodePrinter

        return UnicodePrinter(names, taken)
    return Printer(names, taken)


def text(e: Expr, *, unicode: bool = False, names: Mapping[Expr, str] | None = None) -> str:
    """The expression in one line; nodes in ``names`` are printed as that name.

    What would be longer than ``printer.LONGEST`` characters is written as a program, ``z0 = ...; z1 = ...; EXPR``.

    >>> from matcalc.primitives.leaves import var
    >>> text(-var("a") + 2)
    '-a + 2'
    """
    try:
        return printer(names, unicode=unicode).print(e)
    except LimitError:
        known = names or {}
        parts = name_parts([e], taken=names_in([e]) | set(known.values()), known=known)
        style = printer({**known, **parts}, unicode=unicode)
        style.prepare([e])
        lines = [f"{style.name(name)} = {style.definition(z)}" for z, name in parts.items()]
        return "; ".join([*lines, style.print(e)])
