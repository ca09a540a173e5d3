"""What a user holds: a formula that was read, and what is derived from it."""

from matcalc.results.asked import split_names
from matcalc.results.derivative import Derivative, Gradient
from matcalc.results.formula import Formula
from matcalc.results.gauss_newton import GaussNewton, GaussNewtonProduct
from matcalc.results.matrices import Hessian, Jacobian
from matcalc.results.products import Differential, HessianProduct, JacobianProduct, TransposedProduct

__all__ = [
    "Derivative",
    "Differential",
    "Formula",
    "GaussNewton",
    "GaussNewtonProduct",
    "Gradient",
    "Hessian",
    "HessianProduct",
    "Jacobian",
    "JacobianProduct",
    "TransposedProduct",
    "split_names",
]
