"""A module of functions of arrays: imports, the helpers that they need, and their definitions."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from textwrap import wrap

from matcalc.emission.array_source import Function, Unknown
from matcalc.emission.bundle import definitions, free_names, needed, without_types
from matcalc.emission.libraries import Library
from matcalc.lowering.docstrings import quoted
from matcalc.lowering.maps import Derivative


def module_text(
    library: Library,
    functions: Sequence[Function],
    definitions_: Sequence[Sequence[str]],
    unknown: Mapping[Unknown, str],
    imports: Collection[str] = (),
) -> str:
    """Imports, helpers, and the definitions, two lines apart."""
    helpers = {h for f in functions for h in f.helpers}
    texts, modules = helper_texts(library, helpers)
    modules |= {f"import {m}" for f in functions for m in f.modules} | set(imports)
    constants = [c for f in functions for c in f.constants]
    asked = library.namespace == "xp"  # the arrays say which it is
    modules |= _namespace(library) if asked else set()
    named = [] if asked else [(f"{library.namespace}.", line) for line in _namespace(library)]
    if any("device(" in line for text in [*texts, *(x for d in definitions_ for x in d)] for line in [text]):
        modules = {m.replace("import array_namespace", "import array_namespace, device") for m in modules}
    for used, line in (*named, ("jax.", "import jax"), ("np.", "import numpy as np")):
        if any(re.search(rf"\b{re.escape(used)}", x) for d in [*definitions_, texts, constants] for x in d):
            modules.add(line)
    out = sorted(m for m in modules if _is_standard(m))
    own = sorted(m for m in modules if not _is_standard(m))
    out += ["", *own] if out and own else own
    if unknown:
        wanted = [_wanted(name, order, code) for (name, order), code in unknown.items()]
        out += ["", *wrap(f"# To be given, functions of arrays: {', '.join(wanted)}", 100, subsequent_indent="#   ")]
    computed = ["\n".join(constants)] if constants else []  # by the helpers, perhaps
    for text in [*texts, *computed, *("\n".join(d) for d in definitions_)]:
        near = re.match(r"(#|_[A-Z]+ =)", text) or (text in computed and not texts)
        out += ["", text] if near and not text.startswith("def") else ["", "", text]
    return "\n".join(out).strip("\n") + "\n"


def _is_standard(line: str) -> bool:
    return line.split()[1] in ("math", "functools")


def _wanted(name: str, order: int | Derivative, code: str) -> str:
    shown = order.head if isinstance(order, Derivative) else name + "'" * order
    return code if shown == code else f"{code} ({quoted(shown)})"


def _namespace(library: Library) -> set[str]:
    if library.namespace == "xp":
        return {"from array_api_compat import array_namespace"}
    alias = f" as {library.namespace}" if library.namespace != library.module else ""
    return {f"import {library.module}{alias}"}


def helper_texts(library: Library, helpers: Collection[str]) -> tuple[list[str], set[str]]:
    """The definitions of helpers in the words of the library, and the lines of their imports."""
    out, modules = [], set()
    own = definitions("emission/array_helpers.py", "emission/dask_helpers.py")
    wanted = [h for h in helpers if not h.startswith("rt.")]
    texts: dict[str, str] = {}
    while wanted:
        name = wanted.pop()
        if name not in texts:
            texts[name] = _in_words(without_types(own[name].text), library)
            modules |= {m for m in own[name].modules if m == "import math" and "math." in texts[name]}
            wanted += [n for n in re.findall(r"\b_\w+\b", texts[name]) if n in own and n not in texts]
    numpys = [h.removeprefix("rt.") for h in helpers if h.startswith("rt.")]
    if numpys:
        found, more = numpy_texts(numpys, "_" if library.converts else "_numpy_")
        out += found
        modules |= more
    return [*out, *(texts[name] for name in own if name in texts)], modules


def _in_words(text: str, library: Library) -> str:
    if library.namespace != "xp":
        for pattern in (r"\(xp, ", r"\(da, "):
            text = re.sub(pattern, "(", text)
        text = re.sub(r"\bxp\.", f"{library.namespace}.", re.sub(r"\(xp\)", "()", _patterns(text, library)))
    else:
        text = _patterns(text, library)
    return text


def _patterns(text: str, library: Library) -> str:
    for pattern, replacement in library.helpers:
        text = re.sub(pattern, replacement, text)
    return text


RUNTIME = tuple([f"lowering/{name}.py" for name in ("runtime", "matrix_functions", "convolutions", "erf")])


def numpy_texts(names: Collection[str], prefix: str = "_") -> tuple[list[str], set[str]]:
    """The definitions of NumPy's runtime that are named, and all that they need, under names with a prefix."""
    known = definitions(*RUNTIME, "emission/dask_helpers.py")
    order = needed([n for n in names if n in known], known)
    modules = {m for n in order for m in known[n].modules}
    renamed = {n: prefix + n.lstrip("_") for n in known}
    return list(dict.fromkeys(_renamed(without_types(known[n].text), renamed) for n in order)), modules


def _renamed(text: str, names: Mapping[str, str]) -> str:
    """The text with names exchanged, not after a dot, and our errors as Python's."""
    import io
    import tokenize

    heads = re.findall(r"^(?:def |class )?(\w+)", text, re.MULTILINE)  # what it defines
    free = free_names(text) | set(heads)
    names = {n: new for n, new in names.items() if n in free}
    names |= {"ArgumentError": "ValueError", "LimitError": "ValueError"}
    lines = text.split("\n")
    places = []
    before = ""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME and token.string in names and before != ".":
            places.append((token.start, token.string))
        before = token.string
    for (row, column), name in reversed(places):
        line = lines[row - 1]
        lines[row - 1] = line[:column] + names[name] + line[column + len(name) :]
    return "\n".join(lines)


__all__ = ["RUNTIME", "helper_texts", "module_text", "numpy_texts"]
