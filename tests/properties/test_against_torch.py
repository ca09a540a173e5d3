"""Jacobians and Hessians of random expressions against PyTorch's automatic differentiation, in float64.

The expression graph is told to PyTorch node by node through a table that shares nothing with the generated code. Where
PyTorch is not installed the tests are passed over.
"""

from __future__ import annotations

import math
import os
from functools import reduce
from random import Random

import mpmath
import numpy
import pytest

from matcalc.calculus.hessian import hessian
from matcalc.calculus.vectorise import jacobian
from matcalc.checks.compiled import for_numpy, run_compiled
from matcalc.checks.differences import UNSOUND, stacked, unit_moves
from matcalc.checks.domain import Watch
from matcalc.checks.evaluate import evaluate
from matcalc.checks.sampling import draw_point
from matcalc.expr import Expr, postorder
from matcalc.lowering.compiled import compile_numpy
from matcalc.primitives.base import Zeros
from matcalc.primitives.functions import Elementwise
from matcalc.primitives.loops import IndexedSum, free_indices
from matcalc.printing.text import text
from matcalc.simplify import simplify
from tests.properties.generate import declarations, scalar
from tests.properties.test_random_jacobians import real_variables, valued

torch = pytest.importorskip("torch")

COUNT = int(os.environ.get("MATCALC_RANDOM", "120"))
FIRST = int(os.environ.get("MATCALC_SEED", "0"))
CLOSE = 1e-9  # relative, where rounding of the input alone costs no more
MOST_LOST = 1e-5  # at worse points PyTorch itself is not good enough to be compared with
DIGITS = 40
SPEED, SHIFT = {"phi": 0.75, "psi": 1.25}, {"phi": 0.5, "psi": 1.0}


# Unknown functions: sin(w*t + p) + t/2


def of_order(name: str):
    def derivative(order: int, t):
        wave = SPEED[name] ** order * mpmath.sin(SPEED[name] * t + SHIFT[name] + order * mpmath.pi / 2)
        return wave + (t / 2 if order == 0 else 0.5 if order == 1 else 0)

    return derivative


UNKNOWN = {name: of_order(name) for name in SPEED}


def unknown(name: str, order: int, t):
    wave = SPEED[name] ** order * torch.sin(SPEED[name] * t + SHIFT[name] + order * math.pi / 2)
    return wave + (t / 2 if order == 0 else 0.5 if order == 1 else 0.0)


# The language in PyTorch: everything is a matrix

KNOWN = {
    "abs": lambda t: torch.abs(t),
    "sigmoid": lambda t: torch.sigmoid(t),
    "softplus": lambda t: torch.logaddexp(t, torch.zeros_like(t)),
    "relu": lambda t: torch.relu(t),
    "step": lambda t: (t > 0).to(t.dtype),
    "silu": lambda t: t * torch.sigmoid(t),
    "gelu": lambda t: t / 2 * (1 + torch.erf(t / math.sqrt(2))),
}


def vec(a):
    return a.T.reshape(-1, 1)


def full_convolution(kernel, image):
    rows, cols = kernel.shape
    flipped = torch.flip(kernel, (0, 1))[None, None]
    return torch.nn.functional.conv2d(image[None, None], flipped, padding=(rows - 1, cols - 1))[0, 0]


def convolution(mode: str, kernel, image):
    (a, b), (rows, cols) = kernel.shape, image.shape
    out = full_convolution(kernel, image)
    if mode == "same":
        return out[(a - 1) // 2 : (a - 1) // 2 + rows, (b - 1) // 2 : (b - 1) // 2 + cols]
    return out if mode == "full" else out[a - 1 : rows, b - 1 : cols]


def adjugate(a):
    order = len(a)
    if order == 1:
        return torch.ones_like(a)
    keep = [[k for k in range(order) if k != i] for i in range(order)]
    rows = [
        torch.stack([(-1) ** (i + j) * torch.linalg.det(a[keep[j]][:, keep[i]]) for j in range(order)])
        for i in range(order)
    ]
    return torch.stack(rows)


def pseudo_inverse(a):
    inverse = torch.linalg.inv
    return inverse(a.T @ a) @ a.T if a.shape[0] >= a.shape[1] else a.T @ inverse(a @ a.T)


def central(a, shape):
    top, left = (a.shape[0] - shape[0]) // 2, (a.shape[1] - shape[1]) // 2
    return a[top : top + shape[0], left : left + shape[1]]


def padded(a, shape):
    top, left = (shape[0] - a.shape[0]) // 2, (shape[1] - a.shape[1]) // 2
    out = torch.nn.functional.pad(a, (left, shape[1] - a.shape[1] - left, 0, 0))
    return torch.nn.functional.pad(out, (0, 0, top, shape[0] - a.shape[0] - top))


def times(a, b):
    return a * b if 1 in (a.numel(), b.numel()) and a.shape[1] != b.shape[0] else a @ b


def multiplied(factors):
    scalars = [a for a in factors if a.numel() == 1]
    matrices = [a for a in factors if a.numel() > 1]
    if not matrices:
        return reduce(lambda a, b: a * b, scalars)
    return reduce(lambda a, b: a * b, scalars, reduce(lambda a, b: a @ b, matrices))


def whole(t) -> int:
    return round(float(t))


def powered(base, exponent, node: Expr):
    number = getattr(node.args[1].op, "number", None)
    return base ** float(number) if number is not None else base**exponent


def along(function, a, axis):
    """A reduction over all entries (axis None), columns or rows, kept as a matrix."""
    if axis is None:
        return function(a.reshape(-1), 0).reshape(1, 1)
    return function(a, axis).reshape((1, -1) if axis == 0 else (-1, 1))


def softmax(function, a, axis):
    return function(a.reshape(-1), 0).reshape(a.shape) if axis is None else function(a, axis)


def sliced(op, sizes, a, indices):
    indices = list(indices)

    def where(said, length):
        if said == "at":
            at = whole(indices.pop(0))
            assert 1 <= at <= length
            return slice(at - 1, at)
        return slice(None) if said == "all" else slice(said[0].evaluate(sizes) - 1, said[1].evaluate(sizes))

    rows = where(op.row, a.shape[0])
    return a[rows, where(op.col, a.shape[1])]


def unit(order: int, at) -> torch.Tensor:
    return torch.eye(order, dtype=torch.float64)[:, whole(at) - 1 : whole(at)]


def exchange(m: int, n: int) -> torch.Tensor:
    """Rows of the identity in the order of vec(A')."""
    places = torch.arange(m * n).reshape(n, m).T  # entry (i, j) of A stands there in vec(A)
    return torch.eye(m * n, dtype=torch.float64)[places.reshape(-1)]


OPERATIONS = {
    "Add": lambda node, s, *x: reduce(lambda a, b: a + b, x),
    "Product": lambda node, s, *x: multiplied(x),
    "Hadamard": lambda node, s, *x: reduce(lambda a, b: a * b, x),
    "Power": lambda node, s, a, p: powered(a, p, node),
    "Transpose": lambda node, s, a: a.T,
    "Kron": lambda node, s, a, b: torch.kron(a.contiguous(), b.contiguous()),
    "KhatriRao": lambda node, s, a, b: torch.einsum("ij,kj->ikj", a, b).reshape(-1, a.shape[1]),
    "Inner": lambda node, s, a, b: (a * b).sum().reshape(1, 1),
    "Sum": lambda node, s, a: along(torch.sum, a, node.op.axis),
    "Mean": lambda node, s, a: along(torch.mean, a, node.op.axis),
    "Max": lambda node, s, a: along(torch.amax, a, node.op.axis),
    "LogSumExp": lambda node, s, a: along(torch.logsumexp, a, node.op.axis),
    "Softmax": lambda node, s, a: softmax(torch.softmax, a, node.op.axis),
    "LogSoftmax": lambda node, s, a: softmax(torch.log_softmax, a, node.op.axis),
    "Trace": lambda node, s, a: torch.trace(a).reshape(1, 1),
    "Norm2": lambda node, s, a: torch.sqrt((a * a).sum()).reshape(1, 1),
    "Norm1": lambda node, s, a: torch.abs(a).sum().reshape(1, 1),
    "Diagonal": lambda node, s, a: torch.diag(a.reshape(-1)),
    "DiagonalPart": lambda node, s, a: torch.diagonal(a).reshape(-1, 1),
    "Vec": lambda node, s, a: vec(a),
    "Reshape": lambda node, s, a: vec(a).reshape(tuple(reversed(shape_of(node, s)))).T,
    "HCat": lambda node, s, *x: torch.cat(x, 1),
    "VCat": lambda node, s, *x: torch.cat(x, 0),
    "Slice": lambda node, s, a, *at: sliced(node.op, s, a, at),
    "Unit": lambda node, s, at: unit(shape_of(node, s)[0], at),
    "Inv": lambda node, s, a: torch.linalg.inv(a),
    "Det": lambda node, s, a: torch.linalg.det(a).reshape(1, 1),
    "LogDet": lambda node, s, a: torch.linalg.slogdet(a)[1].reshape(1, 1),
    "Adj": lambda node, s, a: adjugate(a),
    "Pinv": lambda node, s, a: pseudo_inverse(a),
    "MatrixPower": lambda node, s, a, k: torch.linalg.matrix_power(a, whole(k)),
    "Expm": lambda node, s, a: torch.matrix_exp(a),
    "Conv": lambda node, s, k, a: convolution(node.op.mode, k, a),
    "Corr": lambda node, s, k, a: convolution(node.op.mode, torch.flip(k, (0, 1)), a),
    "Flip": lambda node, s, a: torch.flip(a, (0, 1)),
    "Crop": lambda node, s, a: central(a, shape_of(node, s)),
    "Pad": lambda node, s, a: padded(a, shape_of(node, s)),
}
LEAVES = {
    "Zeros": lambda node, s: torch.zeros(shape_of(node, s), dtype=torch.float64),
    "Ones": lambda node, s: torch.ones(shape_of(node, s), dtype=torch.float64),
    "Identity": lambda node, s: torch.eye(shape_of(node, s)[0], dtype=torch.float64),
    "Commutation": lambda node, s: exchange(node.op.m.evaluate(s), node.op.n.evaluate(s)),
    "Const": lambda node, s: torch.tensor([[float(node.op.number)]], dtype=torch.float64),
    "Pi": lambda node, s: torch.tensor([[math.pi]], dtype=torch.float64),
    "Size": lambda node, s: torch.tensor([[float(s[node.op.name])]], dtype=torch.float64),
}


def shape_of(node: Expr, sizes) -> tuple[int, int]:
    return tuple(d.evaluate(sizes) for d in node.shape)


def in_torch(root: Expr, sizes, values: dict):
    """The value of ``root`` by PyTorch; ``values`` are tensors of the variables."""
    done = dict(values)
    for node in postorder([root], stop=lambda e: e in done or isinstance(e.op, IndexedSum)):
        if node in done:
            continue
        op, kind = node.op, type(node.op).__name__
        if isinstance(op, IndexedSum):
            body, lower, upper = node.args
            first, last = (whole(in_torch(e, sizes, done)) for e in (lower, upper))
            known = {e: t for e, t in done.items() if op.index not in free_indices(e)}
            at = (torch.tensor([[float(i)]], dtype=torch.float64) for i in range(first, last + 1))
            start = torch.zeros(shape_of(node, sizes), dtype=torch.float64)
            done[node] = sum((in_torch(body, sizes, {**known, op.index: i}) for i in at), start)
        elif isinstance(op, Elementwise):
            function, t = op.function, done[node.args[0]]
            if function.kind == "unknown":
                done[node] = unknown(function.name, op.order, t)
            else:
                name = function.name
                done[node] = KNOWN[name](t) if name in KNOWN else getattr(torch, name)(t)
        elif kind in LEAVES:
            done[node] = LEAVES[kind](node, sizes)
        else:
            done[node] = OPERATIONS[kind](node, sizes, *[done[a] for a in node.args])
    return done[root]


# The comparison


def numbers(a) -> numpy.ndarray:
    return numpy.asarray(a.astype(float))


def point_for(roots: list[Expr], seed: int):
    """A random point away from kinks, with the values of ``roots`` and what rounding costs them."""
    with mpmath.workdps(DIGITS):
        for attempt in range(20):
            try:
                point = draw_point(roots, Random(f"torch {seed} {attempt}"), attempt, 1)
                watch = Watch()
                values = evaluate(roots, point.env, point.sizes, UNKNOWN, watch)
                moved = {v: a * (1 + mpmath.mpf(2) ** -50) for v, a in point.env.items()}
                others = evaluate(roots, moved, point.sizes, UNKNOWN)
            except UNSOUND:
                continue
            if any(0 in piece for _, piece in watch.piece):
                continue
            try:
                with mpmath.workprec(53):  # what rounding within the formula loses
                    rough = evaluate(roots, point.env, point.sizes, UNKNOWN)
            except UNSOUND:
                continue
            truths = [numbers(value) for value in values]
            lost = [
                max(relative(numbers(other), truth) for other in pair)
                for pair, truth in zip(zip(others, rough, strict=True), truths, strict=True)
            ]
            return point, truths, lost
    return None


def relative(found, truth) -> float:
    return float(abs(found - truth).max() / max(abs(truth).max(), 1e-3))


def tensor(a) -> torch.Tensor:
    return torch.tensor(a.astype(float), dtype=torch.float64)


def directions(x: Expr, point) -> numpy.ndarray:
    """A basis of the directions in which the variable may move, as columns."""
    return numpy.hstack([numbers(stacked(move)) for move in unit_moves(x, point.sizes, Random(0), 10**6)])


def compiled_values(roots: list[Expr], point):
    outputs = {f"y{k}": e for k, e in enumerate(roots)}
    found = run_compiled(compile_numpy(outputs, functions=for_numpy(roots, UNKNOWN), subgradient=True), point)
    found = found if isinstance(found, tuple) else (found,)
    shapes = [shape_of(e, point.sizes) for e in roots]
    return [numpy.asarray(v, dtype=float).reshape(shape) for v, shape in zip(found, shapes, strict=True)]


def assert_close(found, truth, lost: float, f: Expr, e: Expr, what: str) -> None:
    assert found.shape == truth.shape
    error = relative(found, truth)
    shown = f"{text(f)}\n{declarations(f)}\n{text(e)}"
    assert error < CLOSE + 1e4 * lost, f"{what}: {error:.1e} (rounding {lost:.1e})\n{shown}"


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
def test_jacobians_agree_with_torch(seed):
    f = valued(f"torch {seed}", depth=2 + seed % 2)
    chosen = real_variables(f)[:3]
    found = jacobian(f, chosen, tidy=simplify)
    drawn = point_for([f, *found.values(), *chosen], seed)
    if drawn is None:
        pytest.skip("no point was found at which all is defined")
    point, values, lost = drawn
    known = {v: tensor(a) for v, a in point.env.items()}
    value = in_torch(f, point.sizes, known).numpy()
    if lost[0] > MOST_LOST / 1e4:
        pytest.skip("rounding spoils float64 here")
    assert relative(value, values[0]) < CLOSE + 1e4 * lost[0], f"PyTorch computes something else: {text(f)}"

    def function(*moving):
        there = vec(in_torch(f, point.sizes, {**known, **dict(zip(chosen, moving, strict=True))}))
        return there.reshape(-1)

    truths = torch.autograd.functional.jacobian(function, tuple(known[x] for x in chosen))
    coded = compiled_values(list(found.values()), point)
    for k, (x, j) in enumerate(found.items()):
        basis = directions(x, point)
        truth = truths[k].permute(0, 2, 1).reshape(truths[k].shape[0], -1).numpy() @ basis
        if lost[k + 1] <= MOST_LOST / 1e4 and numpy.isfinite(truth).all():
            assert_close(values[k + 1] @ basis, truth, lost[k + 1], f, j, f"by {x}, in high precision")
            assert_close(coded[k] @ basis, truth, lost[k + 1], f, j, f"by {x}, compiled")


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT // 2))
def test_hessians_agree_with_torch(seed):
    f = scalar(f"torch {seed}", depth=2 + seed % 2)
    chosen = real_variables(f)[:2]
    if not chosen:
        pytest.skip("no variable")
    found = hessian(f, chosen, tidy=simplify)
    drawn = point_for([f, *found.values(), *chosen], seed)
    if drawn is None:
        pytest.skip("no point was found at which all is defined")
    point, values, lost = drawn
    known = {v: tensor(a) for v, a in point.env.items()}

    def function(*moving):
        return in_torch(f, point.sizes, {**known, **dict(zip(chosen, moving, strict=True))}).reshape(())

    truths = torch.autograd.functional.hessian(function, tuple(known[x] for x in chosen))
    coded = compiled_values(list(found.values()), point)
    for k, ((x, z), h) in enumerate(found.items()):
        block = truths[chosen.index(x)][chosen.index(z)]
        left, right = directions(x, point), directions(z, point)
        truth = left.T @ block.permute(1, 0, 3, 2).reshape(left.shape[0], right.shape[0]).numpy() @ right
        if lost[k + 1] <= MOST_LOST / 1e4 and numpy.isfinite(truth).all():
            assert_close(left.T @ values[k + 1] @ right, truth, lost[k + 1], f, h, f"block {x}, {z}, in high precision")
            assert_close(left.T @ coded[k] @ right, truth, lost[k + 1], f, h, f"block {x}, {z}, compiled")


def test_the_table_names_every_operation_that_is_drawn():
    drawn = {type(e.op).__name__ for seed in range(200) for e in postorder([valued(seed, 3)])}
    assert drawn <= {*OPERATIONS, *LEAVES, "Elementwise", "IndexedSum", "Var", "Index"}
    assert len(drawn) > 35
    assert Zeros.__name__ in LEAVES
