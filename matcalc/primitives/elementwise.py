"""The elementwise functions of the language, a row each; ``slope`` is the derivative from value ``y``, argument ``x``.

``value`` names the function of mpmath that is its numeric meaning; ``code`` is NumPy code for it.
Source of the derivatives: DLMF chapters 4 and 7.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from matcalc.expr import OPERATORS, Expr
from matcalc.facts import INSIDE, NONNEGATIVE, POSITIVE, WITHIN
from matcalc.primitives import algebra as algebra  # puts the operators that the rows are written with in place
from matcalc.primitives.base import make, zeros
from matcalc.primitives.functions import Known, Slope
from matcalc.primitives.leaves import Pi, const

FUNCTIONS: dict[str, Known] = {}


def row(
    name: str,
    slope: Slope,
    value: str | Callable[[Any], Any] = "",
    code: str = "",
    latex: str = "",
    kink: str = "",
    domain: str = "",
    keeps: tuple[str, ...] = (),
    keeps_sign: bool = False,
) -> Known:
    """States one function; ``value``, ``code`` and ``latex`` follow the name where nothing else is said."""
    function = Known(
        name,
        slope,
        value if callable(value) else _mpmath(value or name),
        code or f"{{xp}}.{name}({{x}})",
        latex or rf"\{name}",
        kink,
        domain,
        frozenset(keeps),
        keeps_sign,
    )
    FUNCTIONS[name] = function
    return function


def _mpmath(name: str) -> Callable[[Any], Any]:
    def value(t: Any) -> Any:
        import mpmath

        return getattr(mpmath, name)(t)

    return value


def _none(y: Expr, x: Expr) -> Expr:
    return zeros(x.shape)


def _softplus(t: Any) -> Any:
    import mpmath

    return mpmath.log1p(mpmath.exp(-abs(t))) + max(t, 0)


_PI = make(Pi())
_TWO_OVER_ROOT_PI = 2 * _PI ** Fraction(-1, 2)
_ROOT_HALF = const(2) ** Fraction(-1, 2)
_ONE_OVER_ROOT_TWO_PI = (2 * _PI) ** Fraction(-1, 2)

exp: Known = row("exp", slope=lambda y, x: y, keeps=(POSITIVE,))
log: Known = row("log", slope=lambda y, x: x**-1, domain="x > 0")
OPERATORS["log"] = log
log1p: Known = row(
    "log1p", keeps_sign=True, slope=lambda y, x: (1 + x) ** -1, latex=r"\operatorname{log1p}", domain="x > -1"
)
expm1: Known = row("expm1", keeps_sign=True, slope=lambda y, x: exp(x), latex=r"\operatorname{expm1}")
sqrt: Known = row("sqrt", keeps_sign=True, slope=lambda y, x: (2 * y) ** -1, keeps=(NONNEGATIVE,), domain="x > 0")
sin: Known = row("sin", slope=lambda y, x: cos(x), keeps=(WITHIN,))
cos: Known = row("cos", slope=lambda y, x: -sin(x), keeps=(WITHIN,))
tan: Known = row("tan", slope=lambda y, x: 1 + y.square())
asin: Known = row(
    "asin",
    keeps_sign=True,
    slope=lambda y, x: (1 - x.square()) ** Fraction(-1, 2),
    code="{xp}.arcsin({x})",
    latex=r"\arcsin",
    domain="|x| < 1",
)
acos: Known = row(
    "acos",
    slope=lambda y, x: -((1 - x.square()) ** Fraction(-1, 2)),
    code="{xp}.arccos({x})",
    latex=r"\arccos",
    domain="|x| < 1",
)
atan: Known = row(
    "atan", keeps_sign=True, slope=lambda y, x: (1 + x.square()) ** -1, code="{xp}.arctan({x})", latex=r"\arctan"
)
sinh: Known = row("sinh", keeps_sign=True, slope=lambda y, x: cosh(x))
cosh: Known = row("cosh", slope=lambda y, x: sinh(x), keeps=(POSITIVE,))
tanh: Known = row("tanh", keeps_sign=True, slope=lambda y, x: 1 - y.square(), keeps=(INSIDE,))
abs_: Known = row(
    "abs",
    keeps_sign=True,
    slope=lambda y, x: sign(x),
    value="fabs",
    code="abs({x})",
    latex=r"\operatorname{abs}",
    keeps=(NONNEGATIVE,),
    kink="abs has slope 0 at 0, as PyTorch",
)
sign: Known = row(
    "sign", slope=_none, latex=r"\operatorname{sign}", keeps=(WITHIN,), kink="sign has slope 0 at 0, as PyTorch"
)
sigmoid: Known = row(
    "sigmoid",
    slope=lambda y, x: y * (1 - y),
    value=lambda t: 1 / (1 + exp.value(-t)),
    code="{rt}.sigmoid({x})",
    latex=r"\sigma",
    keeps=(POSITIVE, INSIDE),
)
softplus: Known = row(
    "softplus",
    slope=lambda y, x: sigmoid(x),
    value=_softplus,
    code="{rt}.softplus({x})",
    latex=r"\operatorname{softplus}",
    keeps=(POSITIVE,),
)
relu: Known = row(
    "relu",
    keeps_sign=True,
    slope=lambda y, x: step(x),
    value=lambda t: max(t, 0),
    code="{xp}.maximum({x}, 0)",
    latex=r"\operatorname{relu}",
    keeps=(NONNEGATIVE,),
    kink="relu has slope 0 at 0, as PyTorch",
)
step: Known = row(
    "step",
    slope=_none,
    value=lambda t: t * 0 + (1 if t > 0 else 0),
    code="{rt}.step({x})",
    latex=r"\operatorname{step}",
    keeps=(NONNEGATIVE, WITHIN),
    kink="step is 0 at 0 and has slope 0 there",
)
erf: Known = row(
    "erf",
    keeps_sign=True,
    slope=lambda y, x: _TWO_OVER_ROOT_PI * exp(-x.square()),
    code="{rt}.erf({x})",
    latex=r"\operatorname{erf}",
    keeps=(INSIDE,),
)
silu: Known = row(
    "silu",
    keeps_sign=True,
    slope=lambda y, x: sigmoid(x) * (1 + x * (1 - sigmoid(x))),
    value=lambda t: t * sigmoid.value(t),
    code="{rt}.silu({x})",
    latex=r"\operatorname{silu}",
)
gelu: Known = row(
    "gelu",
    keeps_sign=True,
    slope=lambda y, x: Fraction(1, 2) * (1 + erf(_ROOT_HALF * x)) + x * (_ONE_OVER_ROOT_TWO_PI * exp(-x.square() / 2)),
    value=lambda t: t / 2 * (1 + erf.value(t / sqrt.value(t * 0 + 2))),
    code="{rt}.gelu({x})",
    latex=r"\operatorname{gelu}",
)
