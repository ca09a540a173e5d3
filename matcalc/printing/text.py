"""One-line text that parses back: the keyboard's spelling, and Unicode for terminals."""

from __future__ import annotations

from collections.abc import Mapping

from matcalc.expr import Expr
from matcalc.printing.printer import Printer


def text(e: Expr, *, unicode: bool = False, names: Mapping[Expr, str] | None = None) -> str:
    """The expression in one line; nodes in ``names`` are printed as that name.

    Example  >>> from matcalc.primitives.leaves import var
             >>> text(-var("a") + 2)
             '-a + 2'
    """
    if unicode:
        from matcalc.printing.unicode import UnicodePrinter

        return UnicodePrinter(names).print(e)
    return Printer(names).print(e)
