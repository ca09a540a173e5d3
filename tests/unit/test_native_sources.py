"""Sources in C, MATLAB and Julia, run and compared with the NumPy callable.

All C functions are compiled into one library, all MATLAB functions run in one Octave process; Julia runs where it is
installed.
"""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy
import pytest

import matcalc
from matcalc.checks.sampling import draw_point
from matcalc.errors import ArgumentError
from matcalc.lowering.planned import input_name
from matcalc.results.derivative import Derivative
from tests.golden.test_matrices import derive
from tests.reference.rows import ALL

TOLERANCE = 1e-8  # relative to the largest entry
STEP = 37  # of the published formulas every so many; by hand all have been run

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no C compiler gcc")
needs_octave = pytest.mark.skipif(shutil.which("octave-cli") is None, reason="there is no octave-cli")
needs_julia = pytest.mark.skipif(
    shutil.which("julia") is None, reason="there is no julia; its sources are not executed"
)
UNKNOWN = ("phi", "sigma", "f", "g", "psi", "h")  # functions that formulas leave open

MORE = [  # operation by operation: formula, declarations, kind, variables
    ("sum(log(1 + exp(-y.*(X*w)))) + lambda*norm(w)^2", "X in R^{n x m}; y in R^n", "gradient", "w"),
    ("norm(U*V' - A)^2", "U in R^{m x k}; V in R^{n x k}", "gradient", "U,V"),
    ("norm(U*V' - A)^2", "U in R^{m x k}; V in R^{n x k}", "hessian", "U"),
    ("norm(U*V' - A)^2", "U in R^{m x k}; V in R^{n x k}", "hessian", "U,V"),
    ("tr(A*X'*B*X*C)", "A, C in R^{n x n}; B in R^{m x m}; X in R^{m x n}", "hessian", "X"),
    ("sigmoid(W*x + b)", "W in R^{m x n}", "jacobian", "W,b"),
    ("softmax(x)", "x in R^n", "jacobian", "x"),
    ("sum(softmax(X*W, 1).*Y)", "X in R^{n x m}; W in R^{m x k}; Y in R^{n x k}", "gradient", "W"),
    ("sum(logsumexp(X, 0)) + sum(log_softmax(X, 1).*Y) + max(X)", "X in R^{m x n}", "gradient", "X"),
    ("logdet(S) + y'*S^-1*y", "S in R^{n x n} spd; y in R^n", "gradient", "S,y"),
    ("logdet(X)*det(X) + tr(X^-1)", "X in R^{n x n}", "gradient", "X"),
    ("tr(expm(A))*sum(adj(A))", "A in R^{n x n}", "gradient", "A"),
    ("c'*expm(A)*b", "A in R^{n x n}; b, c in R^n", "gradient", "A"),
    ("norm(pinv(A)*b)^2", "A in R^{m x n}; b in R^m", "value", ""),
    ("kron(A, B)*vec(X)", "A in R^{m x n}; B in R^{p x q}; X in R^{q x n}", "jacobian", "A"),
    ("khatri_rao(A, B)", "A in R^{m x n}; B in R^{p x n}", "jacobian", "A"),
    ("norm(conv(K, X, 'same'))^2", "K in R^{p x q}; X in R^{m x n}", "gradient", "K,X"),
    ("corr(K, X)", "K in R^{p x q}; X in R^{m x n}", "jacobian", "X"),
    ("vec(A')", "A in R^{m x n}", "jacobian", "A"),
    ("vec(A*diag(x)*A')", "A in R^{m x n}; x in R^n", "jacobian", "x"),
    ("vcat(hcat(A, x), hcat(y', c))*z", "A in R^{m x n}; x in R^m; y in R^n; z in R^{n+1}", "jacobian", "z"),
    ("sum(i=1..n, x[i]^2*exp(-t[i]*i)*(A[i,:]*x))", "x, t in R^n; A in R^{n x n}", "gradient", "x"),
    ("sum(i=1..n, a[i]*b[i]^i)", "a, b in R^n", "hessian", "b"),
    ("sum(relu(W*x)) + sum(gelu(x)) + sum(silu(x).*step(x)) + sum(abs(x)) + sum(erf(x))", "x in R^n", "gradient", "x"),
    ("norm(x - y)", "x, y in R^n", "gradient", "x"),
    ("sum(phi(W*x + b).*y)", "W in R^{m x n}; y in R^m", "gradient", "W,b"),
    ("sum(phi(W*x))", "W in R^{m x n}", "hessian", "x"),
    ("W2*tanh(W1*x)", "W1 in R^{m x n}; W2 in R^{p x m}", "jvp", "W1"),
    ("W2*tanh(W1*x)", "W1 in R^{m x n}; W2 in R^{p x m}", "vjp", "W1"),
    ("sum(exp(A*x))", "A in R^{m x n}", "hvp", "x"),
    ("tanh(W*x)", "W in R^{m x n}; x in R^n", "hessian", "x"),  # a stack of matrices
    ("a'*X", "a in R^m; X in R^{m x n}", "value", ""),  # a row
    ("n*tr(A^3)/m^2 + pi", "A in R^{n x n}; B in R^{m x m}", "value", ""),
    ("sum(khatri_rao(A, eye(n))) - c^2", "A in R^{m x n}; c in R", "value", ""),  # a number put together from pieces
    ("1/(1 + tr(sigmoid(X))^2)", "X in R^{n x n}", "hessian", "X"),  # entries of one diagonal
    ("vec(X)", "X in R^{m x n}", "value", ""),
    ("X", "X in R^{m x n}", "value", ""),
    ("int*x'*end + for' * x", "x, end, for in R^n", "gradient", "x"),  # words of the other languages
    ("λ*sum(log(x)) + x'*x1'*x", "x in R^n; x1 in R^{n x n}", "gradient", "x"),
]


class Case(NamedTuple):
    """A function in every language, its arguments by name, and what NumPy computes."""

    name: str
    result: Any
    value: bool
    given: dict[str, Any]
    unknown: dict[str, list[Callable[[Any], Any]]]
    expected: list[Any]

    def source(self, format: str) -> str:
        options = {"value": True} if self.value else {}
        text: str = self.result.source(format=format, **options)
        return text


def wave(order: int) -> Callable[[Any], Any]:
    """A function for unknown ones to be, and its derivatives."""
    return lambda t: 0.7**order * numpy.sin(0.7 * numpy.asarray(t) + 0.4 + order * numpy.pi / 2)


def case(name: str, result: Any, value: bool) -> Case | None:
    """The function at a point where rounding does not spoil it; None where there is none."""
    derived = isinstance(result, Derivative)
    value = value and derived
    text = str(result.of if derived else result)
    unknown = {f: [wave(k) for k in range(6)] for f in UNKNOWN if re.search(rf"\b{f}'*\(", text)}
    options = {"value": True} if value else {}
    try:
        code = result.compile(functions=unknown, **options)
    except ArgumentError:
        return None
    outputs = [*result.outputs().values(), result.of.expr] if derived else [result.expr]
    variables = [*result.of.program.variables.values()] if derived else [*result.program.variables.values()]
    for attempt in range(12):
        point = draw_point([*outputs, *variables], Random(7), attempt)
        given: dict[str, Any] = dict(point.sizes)
        for e, array in point.env.items():
            x = numpy.array(array, dtype=float)
            shape = [d.evaluate(point.sizes) for d in e.shape if d.value != 1]
            given[input_name(e)] = x.reshape(shape) if shape else float(x.ravel()[0])
        given = {name: given[name] for name in code.arguments} | point.sizes
        with numpy.errstate(all="ignore"):
            try:
                expected = _listed(code(**{name: given[name] for name in code.arguments}))
                near = _listed(code(**{name: _moved(given[name]) for name in code.arguments}))
            except (ArgumentError, numpy.linalg.LinAlgError):
                continue
        if all(numpy.isfinite(a).all() and _close(b, a, 1e-10) for a, b in zip(expected, near, strict=True)):
            return Case(name, result, value, given, unknown, expected)
    return None


def _listed(found: Any) -> list[Any]:
    return list(found) if isinstance(found, tuple) else [found]


def _moved(x: Any) -> Any:
    if isinstance(x, int) or (numpy.asarray(x) == numpy.round(x)).all():
        return x
    return x * (1 + 1e-14)


def _close(found: Any, expected: Any, tolerance: float = TOLERANCE) -> bool:
    found, expected = numpy.ravel(found), numpy.ravel(expected)
    if found.shape != expected.shape:
        return False
    scale = max(numpy.abs(expected).max(initial=0), 1e-12)
    return bool(numpy.abs(found - expected).max(initial=0) <= tolerance * scale)


@cache
def cases() -> list[Case]:
    made: Iterator[tuple[Any, bool]] = iter(
        [*((derive(row), k % 2 == 0) for k, row in enumerate(list(ALL.values())[::STEP]))]
        + [(_derived(*row), k % 2 == 0) for k, row in enumerate(MORE)]
    )
    found = [case(f"f{k}", result, value) for k, (result, value) in enumerate(made)]
    kept = [c for c in found if c is not None]
    assert len(kept) > 0.9 * len(found)
    return kept


def _derived(text: str, where: str, kind: str, wrt: str) -> Any:
    formula = matcalc.parse(text, where=where)
    if kind == "value":
        return formula
    names = [name.strip() for name in wrt.split(",")]
    return getattr(formula, kind)(names if len(names) > 1 else names[0])


def failures(run: Callable[[Case], Sequence[Any]]) -> list[str]:
    out = []
    for c in cases():
        found = run(c)
        if len(found) != len(c.expected) or not all(map(_close, found, c.expected)):
            out.append(f"{c.name}: {c.result!r}")
    return out


def _arguments(c: Case, codes: str, wave: Callable[[int], str], literal: Callable[[Any], str]) -> list[str]:
    """The arguments of a function as text, by the identifiers of its parameters."""
    out = []
    for code in filter(None, map(str.strip, codes.split(","))):
        order, function = _function(code)
        known = function in c.unknown and code not in c.given
        out.append(wave(order) if known else literal(_value(c, code)))
    return out


def _printed(lines: str) -> Callable[[Case], list[Any]]:
    """What a case gives, from lines with its name, the number of the result and the entries by columns."""
    found = {
        (name, int(k)): [float(x) for x in numbers.split()]
        for name, k, numbers in re.findall(r"^(\w+) (\d+) (.*)$", lines, re.MULTILINE)
    }

    def run(c: Case) -> list[Any]:
        arrays = [found.get((c.name, k), []) for k in range(len(c.expected))]
        return [
            numpy.reshape(a, numpy.shape(e), order="F") if len(a) == numpy.size(e) else a
            for a, e in zip(arrays, c.expected, strict=True)
        ]

    return run


# C


def _parts(text: str, name: str) -> tuple[list[str], str]:
    """The static functions of a C source, and its function under another name."""
    _, _, rest = text.partition("#include <stdlib.h>\n\n")
    at = re.search(r"^int \w+\(", rest, re.MULTILINE)
    assert at is not None
    return [h for h in rest[: at.start()].split("\n\n") if h.strip()], f"int {name}({rest[at.end() :]}"


def _compiled(text: str, folder: Path, *flags: str) -> Any:
    folder.mkdir(exist_ok=True)
    source, library = folder / "source.c", folder / "source.so"
    source.write_text(text, encoding="utf-8")
    command = [
        "gcc",
        "-std=c99",
        "-Wall",
        "-Wextra",
        "-Werror",
        *flags,
        "-shared",
        "-fPIC",
        "-o",
        library,
        source,
        "-lm",
    ]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(library))


DOUBLES = ctypes.POINTER(ctypes.c_double)


def _called(library: Any, name: str, parameters: str, c: Case) -> tuple[int, list[Any]]:
    """Calls a C function with the arguments of a case, by the names of its parameters."""
    results = [numpy.full(numpy.shape(e) or (1,), numpy.nan) for e in c.expected]
    left = list(results)
    arguments: list[Any] = []
    held: list[Any] = []
    for parameter in re.findall(r"(?:[^,(]|\([^)]*\))+", parameters):
        pointer = re.search(r"\(\*(\w+)\)", parameter)
        code = (pointer or re.search(r"(\w+)$", parameter.strip()))[1]  # type: ignore[index]
        if pointer is not None:
            order, function = _function(code)
            held.append(ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(c.unknown[function][order]))
            arguments.append(held[-1])
        elif "ptrdiff_t" in parameter:
            arguments.append(ctypes.c_ssize_t(_value(c, code)))
        elif "const" in parameter:
            held.append(numpy.ascontiguousarray(_value(c, code), dtype=float))
            arguments.append(held[-1].ctypes.data_as(DOUBLES))
        elif "*" in parameter:
            arguments.append(left.pop(0).ctypes.data_as(DOUBLES))
        else:
            arguments.append(ctypes.c_double(_value(c, code)))
    status = getattr(library, name)(*arguments)
    return status, results


def _function(code: str) -> tuple[int, str]:
    """The order and the name of an unknown function: d2phi."""
    found = re.fullmatch(rf"d(\d*)({'|'.join(UNKNOWN)})", code)
    return (0, code) if found is None else (int(found[1] or 1), found[2])


def _value(c: Case, code: str) -> Any:
    """The argument of an identifier, which may have grown out of a name that is a word of the language."""
    return c.given[code] if code in c.given else c.given[re.sub(r"_2$", "", code)]


@needs_gcc
def test_c(tmp_path: Path) -> None:
    helpers: dict[str, None] = {}
    functions, parameters = [], {}
    for c in cases():
        statics, function = _parts(c.source("c"), c.name)
        helpers |= dict.fromkeys(statics)
        functions.append(function)
        parameters[c.name] = function[function.index("(") + 1 : function.index(")\n{")].replace("\n", " ")
    includes = "#include <math.h>\n#include <stddef.h>\n#include <stdlib.h>\n\n"
    library = _compiled(includes + "\n\n".join([*helpers, *functions]), tmp_path, "-O0")

    def run(c: Case) -> list[Any]:
        status, results = _called(library, c.name, parameters[c.name], c)
        return results if status == 0 else []

    assert not failures(run)


@needs_gcc
def test_c_source_stands_alone(tmp_path: Path) -> None:
    g = matcalc.gradient("logdet(X'*diag(softplus(w))*X)", "w", where="X in R^{n x m}; w in R^n")
    library = _compiled(g.source(format="c"), tmp_path, "-O1", "-pedantic")
    rng = numpy.random.default_rng(0)
    X, w = rng.normal(size=(5, 3)), rng.normal(size=5)
    out = numpy.empty(5)
    call = library.gradient
    pointers = [a.ctypes.data_as(DOUBLES) for a in (X, w, out)]
    assert call(ctypes.c_ssize_t(5), ctypes.c_ssize_t(3), *pointers) == 0
    assert _close(out, g.compile()(X=X, w=w))
    assert (
        call(ctypes.c_ssize_t(5), ctypes.c_ssize_t(3), (numpy.zeros((5, 3))).ctypes.data_as(DOUBLES), *pointers[1:])
        == 2
    )


@needs_gcc
def test_c_takes_empty_arrays(tmp_path: Path) -> None:
    g = matcalc.hessian("sum(exp(A*x)) + x'*B*x", "x", where="A in R^{m x n}; B in R^{n x n}")
    library = _compiled(g.source(format="c", value=True), tmp_path, "-O1")
    for m, n in ((0, 0), (0, 2), (2, 0)):
        A, B, x = numpy.ones((m, n)), numpy.ones((n, n)), numpy.ones(n)
        value, out = numpy.full(1, numpy.nan), numpy.full((n, n), numpy.nan)
        given = {"A": A, "B": B, "x": x}
        pointers = [a.ctypes.data_as(DOUBLES) for a in (*[given[name] for name in g.compile().arguments], value, out)]
        assert library.hessian(ctypes.c_ssize_t(m), ctypes.c_ssize_t(n), *pointers) == 0
        expected = g.compile(value=True)(**given)
        assert _close(value, expected[0])
        assert _close(out, expected[1])


@needs_gcc
def test_c_refuses_an_index_outside(tmp_path: Path) -> None:
    index = ctypes.c_ssize_t
    for text, statuses in (("x[3]^2 + x'*x", {2: 3, 3: 0}), ("sum(i=1..n, x[i + 1]*x[i])", {0: 0, 1: 3, 3: 3})):
        g = matcalc.gradient(text, "x", where="x in R^n")
        library = _compiled(g.source(format="c"), tmp_path / f"{len(text)}", "-O1")
        for n, status in statuses.items():
            x, out = numpy.ones(n), numpy.ones(n)
            assert library.gradient(index(n), x.ctypes.data_as(DOUBLES), out.ctypes.data_as(DOUBLES)) == status


@needs_gcc
def test_c_map(tmp_path: Path) -> None:
    g = matcalc.gradient("norm(net(W*x) - y)^2", "x", where="net: R^m -> R^p; W in R^{m x n}; y in R^p")
    library = _compiled(g.source(format="c"), tmp_path, "-O1")
    rng = numpy.random.default_rng(0)
    m, n, p = 3, 4, 2
    W, x, y, M = rng.normal(size=(m, n)), rng.normal(size=n), rng.normal(size=p), rng.normal(size=(p, m))
    given = {"W": W, "x": x, "y": y, "m": m, "n": n, "p": p}

    def net(u: Any) -> Any:
        return numpy.tanh(M @ u)

    def jac(u: Any) -> Any:
        return (1 - net(u) ** 2)[:, None] * M

    index = ctypes.c_ssize_t

    @ctypes.CFUNCTYPE(None, index, DOUBLES, index, DOUBLES)
    def c_net(m: int, u: Any, p: int, out: Any) -> None:
        numpy.ctypeslib.as_array(out, (p,))[:] = net(numpy.ctypeslib.as_array(u, (m,)))

    @ctypes.CFUNCTYPE(None, index, DOUBLES, index, index, DOUBLES)
    def c_jac(m: int, u: Any, p: int, q: int, out: Any) -> None:
        numpy.ctypeslib.as_array(out, (p, q))[:] = jac(numpy.ctypeslib.as_array(u, (m,)))

    out = numpy.empty(n)
    text = g.source(format="c")
    head = re.search(r"int gradient\((.*?)\)\n\{", text, re.DOTALL)
    assert head is not None
    arguments: list[Any] = []
    for parameter in re.findall(r"(?:[^,(]|\([^)]*\))+", head[1].replace("\n", " ")):
        pointer = re.search(r"\(\*(\w+)\)", parameter)
        code = parameter.split()[-1].lstrip("*")
        if pointer is not None:
            arguments.append(c_net if pointer[1] == "net" else c_jac)
        elif "ptrdiff_t" in parameter:
            arguments.append(index(given[code]))
        else:
            arguments.append((out if "const" not in parameter else given[code]).ctypes.data_as(DOUBLES))
    assert library.gradient(*arguments) == 0
    assert _close(out, g.compile(functions={"net": [net, jac]})(W=W, x=x, y=y))


# Octave


def _literal(x: Any) -> str:
    x = numpy.asarray(x, dtype=float)
    if not x.ndim:
        return repr(float(x))
    sizes = (*x.shape, 1)[: max(2, x.ndim)]
    return f"reshape([{' '.join(map(repr, x.ravel(order='F').tolist()))}], {', '.join(map(str, sizes))})"


def _matlab_wave(order: int) -> str:
    return f"@(t) {0.7**order!r} * sin(0.7 * t + 0.4 + {order} * pi / 2)"


@needs_octave
def test_matlab(tmp_path: Path) -> None:
    script = [f"addpath('{tmp_path}');", "warning('off', 'all');"]
    for c in cases():
        text = c.source("matlab")
        head = re.match(r"function (?:\[.*?\]|\w+) = (\w+)\((.*?)\)\n", text.replace(" ...\n", " "), re.DOTALL)
        assert head is not None
        (tmp_path / f"{c.name}.m").write_text(text.replace(f" = {head[1]}(", f" = {c.name}(", 1), encoding="utf-8")
        arguments = _arguments(c, head[2], _matlab_wave, _literal)
        results = [f"r{k}" for k in range(len(c.expected))]
        shown = " ".join(f"printf('{c.name} {k} %s\\n', sprintf('%.17g ', r{k}));" for k in range(len(results)))
        call = f"[{', '.join(results)}] = {c.name}({', '.join(arguments)});"
        script.append(f"try\n  {call} {shown}\ncatch e\n  printf('{c.name} fails: %s\\n', e.message);\nend")
    (tmp_path / "script.m").write_text("\n".join(script), encoding="utf-8")
    command = ["octave-cli", "--norc", "--no-history", "--quiet", str(tmp_path / "script.m")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not failures(_printed(done.stdout)), re.findall(r"^\w+ fails.*$", done.stdout, re.MULTILINE)


# Julia


def _julia_wave(order: int) -> str:
    return f"t -> {0.7**order!r} * sin(0.7 * t + 0.4 + {order} * pi / 2)"


@needs_julia
def test_julia(tmp_path: Path) -> None:
    script = []
    for c in cases():
        text = c.source("julia")
        head = re.search(r"^function (\w+)\((.*?)\)\n", text, re.MULTILINE | re.DOTALL)
        assert head is not None
        arguments = _arguments(c, head[2], _julia_wave, _julia_literal)
        script += [f"module {c.name}", text, f"found = {head[1]}({', '.join(arguments)})", "end"]
        script += [f"for (k, r) in enumerate({c.name}.found isa Tuple ? {c.name}.found : ({c.name}.found,))"]
        script += [f'    println("{c.name} ", k - 1, " ", join(vec(collect(r)), " "))', "end"]
    path = tmp_path / "script.jl"
    path.write_text("\n".join(script), encoding="utf-8")
    done = subprocess.run(["julia", str(path)], capture_output=True, text=True, check=False)
    assert not failures(_printed(done.stdout)), done.stderr


def _julia_literal(x: Any) -> str:
    if isinstance(x, int):
        return str(x)
    x = numpy.asarray(x, dtype=float)
    entries = f"[{', '.join(map(repr, x.ravel(order='F').tolist()))}]"
    return repr(float(x)) if not x.ndim else entries if x.ndim == 1 else f"reshape({entries}, {x.shape})"


@pytest.mark.parametrize("format", ["c", "matlab", "julia"])
def test_sources_say_what_they_are(format: str) -> None:
    g = matcalc.gradient("sum(log(1 + exp(-y.*(X*w))))", "w", where="X in R^{n x m}; y in R^n")
    text = g.source(format=format, value=True)
    assert "Gradient by w of sum(log(1 + exp((-y) .* (X*w))))" in text
    assert re.search(r"\bX +a matrix, n x m", text)
    assert re.search(r"\bvalue +a number", text)


@pytest.mark.parametrize("format", ["c", "matlab", "julia"])
def test_no_batches(format: str) -> None:
    g = matcalc.gradient("sum(exp(X*w))", "w", where="X in R^{n x m}")
    with pytest.raises(ArgumentError, match="one item, not a batch"):
        g.source(format=format, batch="w")


@pytest.mark.parametrize("format", ["c", "matlab", "julia"])
def test_text_of_the_user_stays_a_comment(format: str) -> None:
    from matcalc import emission

    g = matcalc.gradient("x'*x", "x", where="x in R^n")
    title = 'ends */ here """ $(exit()) \\'
    text = emission.source(format, g.request()._replace(title=title))
    assert {"c": "ends * / here", "matlab": "% ends */ here", "julia": '\\"\\"\\" \\$(exit()) \\\\'}[format] in text
