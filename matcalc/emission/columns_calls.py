"""Calls of functions of whole arrays in MATLAB and Julia."""

from __future__ import annotations

import re
from abc import ABC
from collections.abc import Mapping

from matcalc.dims import ONE, Dim
from matcalc.emission.c_kept import head
from matcalc.emission.columns_base import Args, Columns
from matcalc.errors import ArgumentError
from matcalc.lowering.code import ATOM, POWER, SUM, TERM, Code
from matcalc.lowering.plan import Plan, Value

# functions of whole arrays -> their names here
CALLS = {
    "xp.linalg.pinv": "pinv",
    "rt.expm": "expm",
    "rt.expm_frechet": "expm_frechet",
    "rt.adjugate": "adjugate",
    "rt.khatri_rao": "khatri_rao",
    "rt.crop": "crop",
    "rt.pad": "pad",
}


class CallColumns(Columns, ABC):
    """Writes calls."""

    calls: Mapping[str, str] = CALLS

    def op_call(self, v: Value, args: Args) -> Code:
        found = head(v)
        if found == "max":
            upper, lower = args
            return Code(f"max({upper.at(SUM)} - {lower.at(TERM)} + 1, 0)", ATOM)
        if found == "xp.einsum":
            return self.einsum(v, args)
        if found == "rt.safe_reciprocal" or (found == "rt.pinv" and not v.shape):
            return self.call(self.use("safe_reciprocal"), v.shape, *args)
        if ".max(" in v.attrs[0] and found == "method.max":
            return self.along("maximum", v, args)
        if found in ("rt.softmax", "rt.log_softmax", "rt.logsumexp", "rt.argmax"):
            return self.along(found.removeprefix("rt."), v, args)
        if found in ("rt.conv", "rt.corr"):
            mode = re.search(r"'(\w+)'\)$", v.attrs[0])
            assert mode is not None
            name = {"rt.conv": "convolution", "rt.corr": "correlation"}[found]
            return Code(f"{self.use(name)}({args[0].text}, {args[1].text}, {self.quoted(mode[1])})", ATOM)
        if found == "rt.convmtx":
            mode = re.search(r"'(\w+)'\)$", v.attrs[0])
            assert mode is not None
            listed = ", ".join(a.text for a in args)
            return Code(f"{self.use('convolution_matrix')}({listed}, {self.quoted(mode[1])})", ATOM)
        if found == "xp.linalg.matrix_power":
            return Code(f"{args[0].at(ATOM)}^{args[1].at(ATOM)}", POWER)
        called = self.calls.get(found)
        if called is None:
            raise ArgumentError(
                f"{self.language} source has no word for {v.attrs[0]}", hint="take --format python, torch or jax"
            )
        return Code(f"{self.use(called)}({', '.join(a.text for a in args)})", ATOM)

    def axis_of(self, v: Value) -> int | None:
        found = re.search(r"(?:\}, |\()(\d)\)$", v.attrs[0])
        return int(found[1]) if found else None

    def einsum(self, v: Value, args: Args) -> Code:
        inputs, output = re.findall(r"'(.*?)->(.*?)'", v.attrs[0])[0]
        held = inputs.split(",")
        summed = [c for c in dict.fromkeys("".join(held)) if c not in output]
        wanted = [*output, *summed]
        factors = []
        shapes: dict[str, Dim] = {}
        for letters, a, code in zip(held, v.args, args, strict=True):
            sizes = dict(zip(letters, a.shape, strict=True))
            shapes |= {c: d for c, d in sizes.items() if shapes.get(c, ONE) is ONE}
            order = [letters.index(c) for c in wanted if c in letters]
            if order != sorted(order):
                code = self.permuted(code, order) if len(order) > 2 else self.turned(code)
            code = self.reshaped(code, [sizes.get(c, ONE) for c in wanted])
            factors.append((code, True))
        together = self.product(factors)
        if not summed:
            return together
        whole = Plan().value("arg", (), tuple([shapes[c] for c in wanted]), "product")
        return self.summed(together, whole, range(len(output), len(wanted)), v.shape)


__all__ = ["CALLS", "CallColumns"]
