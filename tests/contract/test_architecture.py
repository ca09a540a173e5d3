"""The order of the stages, and what must not be loaded or evaluated."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "matcalc"
ORDER = ["errors", "dims", "expr", "facts", "references", "primitives", "derivation", "calculus", "syntax", "simplify"]
ORDER += ["printing", "lowering", "emission", "checks", "results", "completion", "__main__"]
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
HEAVY = {"numpy", "scipy", "sympy", "mpmath", "lark", "dataclasses", "inspect"}


def stage(path: Path) -> str:
    return path.parts[0].removesuffix(".py")


def imports_at_the_top(source: str) -> list[str]:
    """The modules that a file imports when it is loaded (not inside functions, nor for the type checker only)."""
    found = []
    waiting = list(ast.parse(source).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.ImportFrom):
            found.append(node.module or "")
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.If):
            typing_only = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
            waiting += node.orelse if typing_only else node.body + node.orelse
        elif isinstance(node, ast.Try):
            waiting += node.body
    return found


def out_of_order(importer: str, imported: list[str]) -> list[str]:
    """The imports that come from a later stage than the importer's own."""
    at = ORDER.index(importer)
    stages = [(name, name.split(".")[1]) for name in imported if name.startswith("matcalc.")]
    return [name for name, s in stages if ORDER.index(s) > at]


@pytest.mark.parametrize("path", [m for m in MODULES if m != Path("__init__.py")], ids=str)
def test_imports_come_from_earlier_stages(path: Path) -> None:
    imported = imports_at_the_top((PACKAGE / path).read_text(encoding="utf-8"))
    assert out_of_order(stage(path), imported) == []


def test_an_import_out_of_order_is_noticed() -> None:
    assert out_of_order("primitives", imports_at_the_top("from matcalc.simplify import simplify")) != []
    assert out_of_order("primitives", imports_at_the_top("def f():\n    from matcalc.simplify import simplify")) == []


@pytest.mark.parametrize("path", [m for m in MODULES if m != Path("lowering/erf.py")], ids=str)
def test_heavy_libraries_are_not_loaded_at_the_top(path: Path) -> None:
    loaded = {name.split(".")[0] for name in imports_at_the_top((PACKAGE / path).read_text(encoding="utf-8"))}
    called = [Path("lowering") / name for name in ("runtime.py", "matrix_functions.py", "convolutions.py", "lapack.py")]
    allowed = {"numpy"} if path in called else set()
    assert loaded & HEAVY <= allowed


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_text_is_not_evaluated_as_python(path: Path) -> None:
    tree = ast.parse((PACKAGE / path).read_text(encoding="utf-8"))
    called = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    allowed = {"exec", "compile"} if path == Path("lowering/compiled.py") else set()  # of our own source
    assert called & {"eval", "exec", "compile", "sympify", "parse_expr"} <= allowed


def test_a_gradient_loads_no_heavy_library() -> None:
    code = (
        "import sys; from matcalc.__main__ import main; main(['grad', \"x'*A*x\", '--wrt', 'x']);"
        f"print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == "(A + A')*x"
    assert done.stdout.splitlines()[-1] == "[]"
