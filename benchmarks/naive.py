"""The closed form as a printer without a plan gives it: one NumPy operation for each operator, in the written order.

Everything is a two-dimensional array, a scalar a number; products run from left to right; ``diag``, ``kron`` and
inverses are formed. What occurs several times is computed once, which is more than a printer of trees would do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matcalc.dims import Dim
from matcalc.expr import Expr, postorder

LARGEST = 3 << 30  # bytes of all values together that may be formed


class Unprinted(Exception):
    """The closed form holds an operator that the printer does not know, or values that do not fit into memory."""


def naive(exprs: Sequence[Expr], sizes: Mapping[str, int], names: Sequence[str]) -> Callable[..., Any]:
    """The function of the named arguments, two-dimensional arrays, for given sizes; of several a tuple."""
    lines, code = [], {}
    entries = 0
    for i, node in enumerate(postorder(list(exprs))):
        text = _text(node, [code[a] for a in node.args], sizes)
        if node.args:
            lines.append(f"    t{i} = {text}")
            text = f"t{i}"
            if type(node.op).__name__ not in ("Transpose", "Vec"):
                entries += node.rows.evaluate(sizes) * node.cols.evaluate(sizes)
        code[node] = text
    if 8 * entries > LARGEST:
        raise Unprinted("memory")
    results = ", ".join(code[e] for e in exprs)
    source = "\n".join([f"def function({', '.join(map(_name, names))}):", *lines, f"    return {results}", ""])
    from matcalc.lowering import runtime

    space: dict[str, Any] = {"rt": runtime}
    exec("import numpy as np\n" + source, space)
    function: Callable[..., Any] = space["function"]
    return function


def _name(name: str) -> str:
    return "lambda_" if name == "lambda" else name


def _size(d: Dim, sizes: Mapping[str, int]) -> str:
    return str(d.evaluate(sizes))


def _text(node: Expr, args: list[str], sizes: Mapping[str, int]) -> str:
    op: Any = node.op
    kind = type(op).__name__
    writer = WRITERS.get(kind)
    if writer:
        return writer(args)
    if kind == "Var":
        return _name(op.name)
    if kind == "Const":
        return str(float(op.number)) if op.number >= 0 else f"({float(op.number)})"
    if kind == "Size":
        return str(float(sizes[op.name]))
    if kind == "Identity":
        return f"np.eye({_size(op.order, sizes)})"
    if kind == "Ones":
        return f"np.ones(({_size(node.rows, sizes)}, {_size(node.cols, sizes)}))"
    if kind == "Product":
        return _product(node, args)
    if kind == "Elementwise" and op.order == 0 and op.function.kind == "known":
        return str(op.function.code).format(xp="np", rt="rt", x=args[0])
    if kind in ("Sum", "Mean"):
        called = "sum" if kind == "Sum" else "mean"
        return f"{args[0]}.{called}()" if op.axis is None else f"{args[0]}.{called}({op.axis}, keepdims=True)"
    if kind in ("Softmax", "LogSumExp"):
        if kind == "Softmax":
            return f"rt.softmax({args[0]}, {op.axis})"
        return f"rt.logsumexp({args[0]}, {op.axis})" + {None: "", 0: "[None]", 1: "[:, None]"}[op.axis]
    raise Unprinted(kind)


def _product(node: Expr, args: list[str]) -> str:
    """From left to right, with scalars as they come."""
    text, matrix = "", False
    for factor, arg in zip(node.args, args, strict=True):
        if not text:
            text = arg
        elif matrix and not factor.is_scalar:
            text = f"{text} @ {arg}"
        else:
            text = f"{text} * {arg}"
        matrix = matrix or not factor.is_scalar
    if node.is_scalar and matrix:
        return f"({text})[0, 0]"
    return text


WRITERS: dict[str, Callable[[list[str]], str]] = {
    "Add": " + ".join,
    "Hadamard": " * ".join,
    "Power": "{0[0]} ** {0[1]}".format,
    "Transpose": "{0[0]}.T".format,
    "Kron": "np.kron({0[0]}, {0[1]})".format,
    "KhatriRao": "rt.khatri_rao({0[0]}, {0[1]})".format,
    "Inner": "np.sum({0[0]} * {0[1]})".format,
    "Trace": "np.trace({0[0]})".format,
    "Norm2": "np.linalg.norm({0[0]})".format,
    "Inv": "np.linalg.inv({0[0]})".format,
    "LogDet": "np.linalg.slogdet({0[0]})[1]".format,
    "Diagonal": "np.diag({0[0]}[:, 0])".format,
    "DiagonalPart": "np.diag({0[0]})[:, None]".format,
    "Vec": "{0[0]}.T.reshape(-1, 1)".format,
}
