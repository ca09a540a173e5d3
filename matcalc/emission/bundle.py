"""Definitions taken out of our own modules, with all that they need, for sources that import nothing of matcalc."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

_HERE = Path(__file__).parent


class Definition(NamedTuple):
    text: str
    needs: tuple[str, ...]  # names of the same module
    modules: tuple[str, ...]  # that it imports


@lru_cache(maxsize=8)
def definitions(*paths: str) -> Mapping[str, Definition]:
    """The functions, classes and constants at the top of modules of ours, by name, in the order of the files."""
    texts: dict[str, str] = {}
    trees: dict[str, ast.stmt] = {}
    imported: dict[str, str] = {}
    for path in paths:
        source = (_HERE.parent / path).read_text(encoding="utf-8")
        lines = source.splitlines()
        for node in ast.parse(source).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                imported |= _imports(node)
            names = _defined(node)
            if not names:
                continue
            first = min([node.lineno, *[d.lineno for d in getattr(node, "decorator_list", [])]]) - 1
            while first and lines[first - 1].startswith("#"):
                first -= 1
            text = "\n".join(lines[first : node.end_lineno])
            for name in names:
                texts[name], trees[name] = text, node
    out = {}
    for name in trees:
        used = free_names(texts[name]) - {name}
        out[name] = Definition(
            texts[name],
            tuple(n for n in trees if n in used),
            tuple(dict.fromkeys(imported[n] for n in sorted(used) if n in imported)),
        )
    return out


def free_names(text: str) -> set[str]:
    """The names that a definition takes from its module: those that it does not bind itself, nor are in annotations."""
    node = ast.parse(without_types(text))
    names = [n for n in ast.walk(node) if isinstance(n, ast.Name)]
    taken = {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}
    return {n.id for n in names} - {n.id for n in names if isinstance(n.ctx, ast.Store)} - taken


def _imports(node: ast.Import | ast.ImportFrom) -> dict[str, str]:
    """The names that an import binds, and its line; what is ours has a definition, typing is left out."""
    if isinstance(node, ast.ImportFrom):
        if (node.module or "").split(".")[0] in ("matcalc", "typing", "__future__"):
            return {}
        return {a.asname or a.name: ast.unparse(node) for a in node.names}
    return {(a.asname or a.name).split(".")[0]: ast.unparse(node) for a in node.names}


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        names = [n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)]
        return [] if names in (["__all__"], ["Array"]) else names
    return [node.target.id] if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) else []


def needed(names: Iterable[str], known: Mapping[str, Definition]) -> list[str]:
    """The names and all that they need, in the order of definition."""
    found: set[str] = set()
    stack = list(names)
    while stack:
        name = stack.pop()
        if name not in found:
            found.add(name)
            stack.extend(known[name].needs)
    return [name for name in known if name in found]


def without_types(text: str) -> str:
    """A definition without the annotations, which only our type checker reads, and over two lines apart."""
    node = ast.parse(text).body[0]
    if not isinstance(node, ast.FunctionDef):
        return re.sub(r"^(\w+): [^=\n]+ = ", r"\1 = ", re.sub(r"  # type: ignore\[[\w, -]+\]", "", text))
    drop: list[tuple[int, int, int, int, bytes]] = []  # from (line, column) to (line, column), what comes before it
    for inner in ast.walk(node):
        if isinstance(inner, ast.FunctionDef):
            a = inner.args
            for arg in [*a.posonlyargs, *a.args, *a.kwonlyargs, *[x for x in (a.vararg, a.kwarg) if x is not None]]:
                drop.extend(_span(arg.annotation, b": "))
            drop.extend(_span(inner.returns, b" -> "))
        elif isinstance(inner, ast.AnnAssign):
            drop.extend(_span(inner.annotation, b": "))
    lines = text.split("\n")
    for first, start, last, end, before in sorted(drop, reverse=True):
        rest = lines[last - 1].encode()[end:]
        if before == b": " and text.split("\n")[first - 1].startswith(("def ", " " * 4 + "def ")):
            rest = rest.replace(b" = ", b"=", 1) if rest.startswith(b" = ") else rest
        lines[first - 1 : last] = [(lines[first - 1].encode()[:start].removesuffix(before) + rest).decode()]
    return re.sub(r"  # type: ignore\[[\w, -]+\]", "", "\n".join(lines))


def _span(annotation: ast.expr | None, before: bytes) -> list[tuple[int, int, int, int, bytes]]:
    if annotation is None:
        return []
    end, column = annotation.end_lineno or 0, annotation.end_col_offset or 0
    return [(annotation.lineno, annotation.col_offset, end, column, before)]


__all__ = ["Definition", "definitions", "free_names", "needed", "without_types"]
