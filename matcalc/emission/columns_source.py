"""What the texts of Julia and MATLAB functions have in common: arguments, sizes and checks, and the comment."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from matcalc.emission.columns import ColumnWriter, by_columns
from matcalc.emission.headers import (
    Parameter,
    described_parameter,
    described_result,
    functions_described,
    helper_texts,
    plain,
    require_plain,
    titled,
)
from matcalc.emission.identifiers import Identifiers
from matcalc.emission.kroneckers import with_kronecker_products
from matcalc.lowering.code import ATOM, SUM, Code, dim_code
from matcalc.lowering.planned import Planned
from matcalc.lowering.signature import Binding, bindings

WIDTH = 110


class ColumnFunction(NamedTuple):
    """A function whose statements are written.

    ``sources``  the sizes that are read from arguments, and where; ``given`` the identifiers of all others by name
    ``labels``   the variables of its results
    """

    planned: Planned
    writer: ColumnWriter
    name: str
    taken: list[Parameter]
    sources: Mapping[str, Binding]
    given: Mapping[str, str]
    labels: list[str]

    @property
    def parameters(self) -> list[str]:
        return [*(a.code for a in self.taken), *self.given.values(), *self.writer.functions.values()]

    def comment(self, remarks: Sequence[str]) -> list[str]:
        """What the function takes and gives."""
        w, planned = self.writer, self.planned
        out = [*titled(planned.title), "", "Arguments"]
        out += [f"  {described_parameter(a, w.vector)}" for a in self.taken]
        out += [f"  {code:<8} a dimension" for code in self.given.values()]
        out += [f"  {line}{w.function_kind}" for line in functions_described(w.functions)]
        out += [w.several_results if len(planned.results) > 1 else "Result"]
        for label, (_, e, v) in zip(self.labels, planned.results, strict=True):
            out.append(f"  {label:<8} {described_result(e, v, w.vector)}")
        return plain([*out, "", w.convention, *remarks])

    @property
    def whole(self) -> set[int]:
        """The matrices that show the sizes of both their axes, so that these need no check."""
        read: dict[int, list[str]] = {}
        for size, b in self.sources.items():
            if b.factor == 1 and not b.rest.terms:
                read.setdefault(b.argument, []).append(size)
        return {k for k, sizes in read.items() if sizes == [d.name for d in self.taken[k].shape] and len(sizes) == 2}

    def sizes(self) -> list[str]:
        """The statements that read sizes."""
        w, out, whole = self.writer, [], self.whole
        for size, b in self.sources.items():
            a = self.taken[b.argument]
            if b.argument in whole:
                if b.axis == 0:
                    names = w.unpacked([w.sizes[d.name or ""] for d in a.shape])
                    out.append("    " + w.assignment(names, f"size({a.code})"))
                continue
            code = Code(f"size({a.code}, {b.axis + 1})", ATOM)
            if b.rest.terms:
                code = Code(f"{code.text} - ({dim_code(b.rest, w.sizes).text})", SUM)
            text = w.divided(code, b.factor) if b.factor != 1 else code.text
            out.append(f"    {w.assignment(w.sizes[size], text)}")
        return out

    def helpers(self) -> list[str]:
        """The functions that it needs, each after an empty line."""
        return [line for text in helper_texts(self.writer.helpers_known, self.writer.helpers) for line in ("", text)]


def column_function(planned: Planned, writer: type[ColumnWriter], reserved: Collection[str]) -> ColumnFunction:
    """Writes the statements of a function.

    ``reserved``  words of the language that are no names
    """
    require_plain(planned, writer.language)
    planned = by_columns(with_kronecker_products(planned))
    names = Identifiers(reserved | writer.helpers_known.keys())
    name = names.take(planned.name)
    taken = [Parameter(shown, names.take(shown), shape) for shown, shape in planned.arguments]
    labels = {v: label for label, _, v in planned.results} if len(planned.results) > 1 else {}
    w = writer(names, {**planned.preferred, **labels})
    for a in taken:
        if a.shown in planned.leaves:
            w.bind(planned.leaves[a.shown], a.code)
    sources = bindings([a.shape for a in taken])
    for size in sources:
        w.sizes[size] = names.take(size)
    codes = w.write([v for _, _, v in planned.results])
    returned = w.returned(planned.results, codes)
    given = {size: code for size, code in w.sizes.items() if size not in sources}
    return ColumnFunction(planned, w, name, taken, sources, given, returned)


__all__ = ["WIDTH", "ColumnFunction", "column_function"]
