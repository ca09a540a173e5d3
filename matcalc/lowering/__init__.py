"""From expressions to functions of arrays."""

from matcalc.lowering.compiled import Compiled, compile_numpy, numpy_source

__all__ = ["Compiled", "compile_numpy", "numpy_source"]
