"""Functions defined by a formula in one number: their derivatives, by SymPy."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from matcalc.errors import MatcalcError
from matcalc.expr import Expr, make, postorder
from matcalc.primitives import elementwise
from matcalc.primitives.algebra import Add, Hadamard, Power, Product, add, power, product
from matcalc.primitives.functions import Elementwise, Known
from matcalc.primitives.leaves import Const, Pi, const

_OWN_NAMES = {"sigmoid", "softplus", "relu", "step", "silu", "gelu", "log1p", "expm1", "abs"}  # not SymPy's


def derivative(body: Expr, parameter: Expr) -> Expr:
    """The derivative of a scalar formula in ``parameter``, with common factors taken out where that is shorter."""
    import sympy

    t = sympy.Symbol("t", real=True)
    formula = _to_sympy(body, parameter, t)
    slope = sympy.diff(formula, t)
    best = min((slope, sympy.factor_terms(slope)), key=sympy.count_ops)
    return _from_sympy(best, t, parameter)


def _to_sympy(body: Expr, parameter: Expr, t: Any) -> Any:
    import sympy

    def function(op: Elementwise, x: Any) -> Any:
        name = op.function.name
        own: dict[str, Callable[[Any], Any]] = {
            "sigmoid": lambda u: 1 / (1 + sympy.exp(-u)),
            "softplus": lambda u: sympy.log(1 + sympy.exp(u)),
            "relu": lambda u: u * sympy.Heaviside(u, 0),
            "step": lambda u: sympy.Heaviside(u, 0),
            "silu": lambda u: u / (1 + sympy.exp(-u)),
            "gelu": lambda u: u * (1 + sympy.erf(u / sympy.sqrt(2))) / 2,
            "log1p": lambda u: sympy.log(1 + u),
            "expm1": lambda u: sympy.exp(u) - 1,
            "abs": sympy.Abs,
        }
        if not isinstance(op.function, Known):
            raise MatcalcError(
                f"{name} inside the formula of a function has no formula itself", hint=f"define {name} first"
            )
        return (own[name] if name in _OWN_NAMES else getattr(sympy, name))(x)

    value: dict[Expr, Any] = {parameter: t}
    for node in postorder([body]):
        if node in value:
            continue
        op, x = node.op, [value[a] for a in node.args]
        if isinstance(op, Const):
            n = op.number
            value[node] = sympy.Rational(n.numerator, n.denominator) if not isinstance(n, float) else sympy.Float(n)
        elif op.is_zero:
            value[node] = sympy.Integer(0)
        elif isinstance(op, Pi):
            value[node] = sympy.pi
        elif isinstance(op, Add):
            value[node] = sympy.Add(*x)
        elif isinstance(op, (Product, Hadamard)):
            value[node] = sympy.Mul(*x)
        elif isinstance(op, Power):
            value[node] = sympy.Pow(*x)
        elif isinstance(op, Elementwise):
            value[node] = function(op, x[0])
        else:
            raise MatcalcError(f"the formula of a function holds {op}, which is not a function of one number")
    return value[body]


def _from_sympy(e: Any, t: Any, parameter: Expr) -> Expr:
    import sympy

    value: dict[Any, Expr] = {t: parameter, sympy.pi: make(Pi()), sympy.E: elementwise.exp(const(1))}
    for node in sympy.postorder_traversal(e):
        if node in value:
            continue
        x = [value.get(a) for a in node.args]
        if node.is_Rational:
            value[node] = const(Fraction(int(node.p), int(node.q)))
        elif node.is_Float:
            value[node] = const(float(node))
        elif any(a is None for a in x):
            continue
        elif node.is_Add:
            value[node] = add(*x)  # type: ignore[arg-type]
        elif node.is_Mul:
            value[node] = product(*x)  # type: ignore[arg-type]
        elif isinstance(node, sympy.exp):
            value[node] = elementwise.exp(x[0])  # type: ignore[arg-type]
        elif node.is_Pow:
            value[node] = power(*x)  # type: ignore[arg-type]
        elif isinstance(node, sympy.Heaviside):
            value[node] = elementwise.step(value[node.args[0]])
        elif isinstance(node, sympy.DiracDelta):
            value[node] = const(0)
        else:
            name = type(node).__name__.lower()
            if name not in elementwise.FUNCTIONS:
                raise MatcalcError(
                    f"the derivative of the function's formula holds {name}, which the language does not have"
                )
            value[node] = elementwise.FUNCTIONS[name](x[0])  # type: ignore[arg-type]
    return value[e]
