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

    from matcalc.results import (
        Derivative,
        Differential,
        Formula,
        GaussNewton,
        Gradient,
        Hessian,
        HessianProduct,
        Jacobian,
        JacobianProduct,
        TransposedProduct,
    )
    from matcalc.results.solving import NewtonStep

    Names = str | Sequence[str]  # "W", "W, b" or ["W", "b"]

__version__ = "0.3.0"


def parse(text: str, where: str | None = None) -> Formula:
    """Reads an expression or a program of the language; ``where`` holds declarations.

    Raises   ParseError, ShapeError, DeclarationError, ... (all MatcalcError), each with the place in the text
    """
    from matcalc.results import Formula

    return Formula.read(text, where)


def gradient(text: str, wrt: Names, where: str | None = None, *, layout: str | None = None) -> Gradient:
    """The gradient of a scalar expression by the named variables, ``"W"``, ``"W, b"`` or ``["W", "b"]``.

    ``layout``  "numerator" for the transpose, a row for a column

    >>> print(gradient("norm2(A*x - b)^2", "x"))
    2*A'*(A*x - b)
    """
    return _derived(text, where, wrt, "gradient", layout=layout)  # type: ignore[return-value]  # the name says which


def jacobian(text: str, wrt: Names, where: str | None = None, *, layout: str | None = None) -> Jacobian:
    """The Jacobian of any expression by the named variables, ``d vec(F) = J*d vec(X)``; vec stacks columns.

    ``layout``  "denominator" for the transpose

    >>> print(jacobian("A*X*B", "X"))
    kron(B', A)
    """
    return _derived(text, where, wrt, "jacobian", layout=layout)  # type: ignore[return-value]


def hessian(text: str, wrt: Names, where: str | None = None, *, weights: str | None = None) -> Hessian:
    """The Hessian by the named variables, of several in blocks; of a vector function weighted by ``weights``.

    >>> print(hessian("x'*A*x", "x"))
    A + A'
    """
    return _derived(text, where, wrt, "hessian", weights=weights)  # type: ignore[return-value]


def gauss_newton(
    loss: str, at: str | None = None, net: str | None = None, wrt: Names = (), where: str | None = None
) -> GaussNewton:
    """The Gauss-Newton matrix ``G = J'*H_loss*J`` of ``loss``, an expression in ``at``, whose value is ``net``.

    Without ``net`` the loss is a program that assigns the output of the net.

    >>> print(gauss_newton(loss="norm2(u - y)^2/2", at="u", net="W*x", wrt="x")["x"])
    W'*W
    """
    from matcalc.errors import ArgumentError
    from matcalc.results.texts import composed

    if net is not None and at is None:
        raise ArgumentError("a net is given, and not the name of its output", hint='name it, as in at="u"')
    text = loss if net is None or at is None else composed(loss, net, at)
    return _derived(text, where, wrt, "gauss-newton", at=at)  # type: ignore[return-value]


def differential(text: str, wrt: Names, where: str | None = None) -> Differential:
    """The differential of any expression, linear in the differentials dX of the named variables.

    >>> print(differential("X^-1", "X"))
    d(X^-1) = -X^-1*dX*X^-1
    """
    return _derived(text, where, wrt, "differential")  # type: ignore[return-value]


def jvp(text: str, wrt: Names, where: str | None = None, *, direction: str | None = None) -> JacobianProduct:
    """The product J*v of the Jacobian with a direction v, without the Jacobian.

    >>> print(jvp("tanh(W*x)", "x"))
    (1 - tanh(W*x).^2) .* (W*v)
    """
    return _derived(text, where, wrt, "jvp", direction=direction)  # type: ignore[return-value]


def vjp(text: str, wrt: Names, where: str | None = None, *, direction: str | None = None) -> TransposedProduct:
    """The product J'*u of the transposed Jacobian with a cotangent u, of the shape of the variable."""
    return _derived(text, where, wrt, "vjp", direction=direction)  # type: ignore[return-value]


def hvp(text: str, wrt: Names, where: str | None = None, *, direction: str | None = None) -> HessianProduct:
    """The product H*v of the Hessian of a scalar with a direction v, without the Hessian.

    >>> print(hvp("x'*A*x", "x"))
    (A + A')*v
    """
    return _derived(text, where, wrt, "hvp", direction=direction)  # type: ignore[return-value]


def newton(
    text: str, wrt: Names, where: str | None = None, *, at: str | None = None, shift: str | None = None
) -> NewtonStep:
    """The Newton step ``H^-1*g`` of a scalar, by the structure of its Hessian H where that has one.

    >>> print(newton("norm2(x)^4", "x"))
    x/3
    """
    return _derived(text, where, wrt, "newton", at=at, shift=shift)  # type: ignore[return-value]


def _derived(text: str, where: str | None, wrt: Names, name: str, **options: str | None) -> Derivative:
    from matcalc.results.requests import derived

    return derived(text, where, [wrt], name, **options)


__all__ = [
    "MatcalcError",
    "__version__",
    "differential",
    "gauss_newton",
    "gradient",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "newton",
    "parse",
    "vjp",
]
