"""A function of NumPy arrays as text that needs NumPy only: what our runtime adds is defined in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from matcalc.emission.array_module import module_text
from matcalc.emission.array_source import Unknown, definition, function
from matcalc.emission.array_writer import ArrayWriter
from matcalc.emission.libraries import Library
from matcalc.lowering.code import Code
from matcalc.lowering.numpy_source import Writer
from matcalc.lowering.plan import ArrayShape, Value
from matcalc.lowering.spellings import Spelling

if TYPE_CHECKING:
    from matcalc.lowering.planned import Planned

_WORDS = {
    "copy": "{0}.copy()",
    "number": "float({0})",
    "take": "{0}[{1}]",
    "eye": "np.eye({size})",
    "outer": "np.outer({0}, {1})",
    "diag": "np.diag({0})",
}
NUMPY = Library("NumPy", "numpy", "np", _WORDS, "{{}}", ((r", device=\w+\.device", ""),), constant=False, converts=True)

# What is shorter in the words of all libraries than our runtime has it, which knows complex and single numbers, too.
_SHORT = frozenset({"sigmoid", "softplus", "silu", "softmax", "logsumexp", "log_softmax", "argmax", "outer"})


class PythonWriter(ArrayWriter):
    """Writes as the callables for NumPy are written, but never into the array of an operand."""

    def spelling(self, v: Value) -> Spelling:
        return super().spelling(v) if v.op in ("take", "add_diagonal", "outer") else Writer.spelling(self, v)

    def loop(self, v: Value, indent: str) -> Code:
        return Writer.loop(self, v, indent)

    def assemble(self, v: Value, pending: dict[Value, Code], indent: str) -> Code:
        return Writer.assemble(self, v, pending, indent)

    def shape(self, shape: ArrayShape) -> str:
        parts = [self.size(d).text for d in shape]
        return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"

    def zeros(self, shape: ArrayShape) -> str:
        return Writer.zeros(self, shape)

    def _constant(self, code: Code) -> Code:
        return Writer._constant(self, code)

    def own(self, lines: Sequence[str]) -> list[str]:
        """The lines with the runtime's functions under names of the source."""

        def helper(found: re.Match[str]) -> str:
            self.helpers.add(f"_{found[1]}" if found[1] in _SHORT else f"rt.{found[1]}")
            return f"_{found[1]}"

        lines = [re.sub(r"\brt\.(\w+)", helper, line) for line in lines]
        made = re.compile(
            r"(np\.(?:zeros|empty)\(\([^()]*\)|np\.eye\([^()]*), dtype(?:=dtype)?\)"
        )  # of double precision
        lines = [made.sub(r"\1)", line) for line in lines]
        if sum("dtype" in line.replace("dtype=float", "") for line in lines) == 1:
            lines = [line for line in lines if line.strip() != "dtype = np.dtype(float)"]
        return lines


def python_source(planned: Planned, remarks: Sequence[str] = ()) -> str:
    """A self-contained function of NumPy arrays."""
    unknown: dict[Unknown, str] = {}
    written = function(planned, NUMPY, remarks=remarks, unknown=unknown, writer=PythonWriter)
    return module_text(NUMPY, [written], [definition(written)], unknown)


__all__ = ["NUMPY", "PythonWriter", "python_source"]
