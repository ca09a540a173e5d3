"""matcalc: matrix calculus with closed forms, steps, LaTeX and verified NumPy callables.

    >>> import matcalc
    >>> f = matcalc.parse("x'*A*x", where="A in R^{n x n} symmetric")
    >>> print(f.gradient("x"))
    2*A*x
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from matcalc.errors import MatcalcError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matcalc.results import Formula, Gradient

__version__ = "0.1.0"


def parse(text: str, where: str | None = None) -> Formula:
    """Reads an expression or a program of the language; ``where`` holds declarations.

    Raises   ParseError, ShapeError, DeclarationError, ... (all MatcalcError), each with the place in the text
    """
    from matcalc.results import Formula

    return Formula.read(text, where)


def gradient(text: str, wrt: str | Sequence[str], where: str | None = None) -> Gradient:
    """The gradient of a scalar expression by the named variables, ``"W"``, ``"W, b"`` or ``["W", "b"]``.

    >>> print(gradient("norm2(A*x - b)^2", "x"))
    2*A'*(A*x - b)
    """
    from matcalc.results import Formula, split_names

    names = split_names([wrt] if isinstance(wrt, str) else wrt)
    return Formula.read(text, where, wrt=names, scalar=True).gradient(*names)


__all__ = ["MatcalcError", "__version__", "gradient", "parse"]
