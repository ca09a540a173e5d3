"""Which values are analytic functions of the arguments: they take complex numbers (``'`` transposes, no more)."""

from __future__ import annotations

from collections.abc import Iterable

from matcalc.lowering.plan import Value

# log|det A|, a Cholesky factor and functions with a kink or a modulus are not; an unknown function need not be.
_NOT_ANALYTIC = frozenset({"abs", "sign", "relu", "step", "erf", "gelu", "logdet", "logdet_of", "unknown", "map"})


def is_analytic(values: Iterable[Value]) -> bool:
    return not any(v.op in _NOT_ANALYTIC or (v.op == "call" and not v.attrs[1]) for v in values)
