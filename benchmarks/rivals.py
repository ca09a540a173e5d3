"""The same derivatives from libraries that differentiate: JAX, PyTorch, HIPS autograd, CasADi, where installed.

Each gets the function of the problem in its own words and gives the derivative in the usual way of that library, with
arguments already in its own arrays and compiled where it compiles. A contestant is a factory: from a row and its data
it makes a callable without arguments that computes the result and waits for it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.problems import Data, Row

Call = Callable[[], Any]


def _positions(row: Row, data: Data) -> tuple[list[str], tuple[int, ...]]:
    names = [name for name in data if name not in {row.direction(w) for w in row.wrt} or row.kind != "products"]
    return names, tuple(names.index(name) for name in row.wrt)


def _one(values: tuple[Any, ...]) -> Any:
    return values[0] if len(values) == 1 else values


def jax(row: Row, data: Data) -> Call:
    import jax
    import jax.numpy as jnp
    from jax.scipy.linalg import cho_solve

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_platforms", "cpu")

    def spd(a: Any, b: Any) -> tuple[Any, Any]:
        factor = jnp.linalg.cholesky(a)
        return cho_solve((factor, True), b), 2 * jnp.sum(jnp.log(jnp.diagonal(factor)))

    ns = SimpleNamespace(
        exp=jnp.exp, tanh=jnp.tanh, sqrt=jnp.sqrt, sum=jnp.sum, eye=jnp.eye, spd=spd,
        softplus=jax.nn.softplus, sigmoid=jax.nn.sigmoid, softmax=jax.nn.softmax, logsumexp=jax.nn.logsumexp,
        column=lambda v: v[:, None], row=lambda v, m: v[None],
    )  # fmt: skip
    names, where = _positions(row, data)
    given = [jnp.asarray(data[name]) for name in names]
    directions = [jnp.asarray(data[row.direction(w)]) for w in row.wrt] if row.kind == "products" else []

    def value(*args: Any) -> Any:
        return row.problem.value(ns, *args)

    def at(args: Any) -> Callable[..., Any]:
        """The arguments with some replaced."""

        def placed(*moved: Any) -> list[Any]:
            out = list(args)
            for i, a in zip(where, moved, strict=True):
                out[i] = a
            return out

        return placed

    def hvp(*args: Any) -> Any:
        args, v = args[: len(given)], args[len(given) :]
        placed = at(args)
        slope = jax.grad(lambda *w: value(*placed(*w)), tuple(range(len(where))))
        return _one(jax.jvp(slope, tuple(args[i] for i in where), tuple(v))[1])

    def gnvp(*args: Any) -> Any:
        args, v = args[: len(given)], args[len(given) :]
        placed = at(args)

        def net(*w: Any) -> Any:
            return row.problem.net(ns, *placed(*w))  # type: ignore[misc]

        w = tuple(args[i] for i in where)
        u, back = jax.vjp(net, *w)
        _, tangent = jax.jvp(net, w, tuple(v))
        bend = jax.jvp(jax.grad(lambda u: row.problem.loss(ns, u, *args)), (u,), (tangent,))[1]  # type: ignore[misc]
        return _one(back(bend))

    single = where[0]
    function = {
        "gradient": lambda *args: _one(jax.grad(value, where)(*args)),
        "hvp": hvp,
        "gnvp": gnvp,
        "hessian": lambda *args: jax.hessian(value, single)(*args),
        "jacobian": lambda *args: jax.jacrev(value, single)(*args),
    }[row.of]
    compiled = jax.jit(function)
    args = (*given, *directions)
    return lambda: jax.block_until_ready(compiled(*args))


def _torch_parts(row: Row, data: Data) -> tuple[Any, Any, list[str], tuple[int, ...], list[Any], list[Any]]:
    import torch

    torch.set_num_threads(1)

    def spd(a: Any, b: Any) -> tuple[Any, Any]:
        factor = torch.linalg.cholesky(a)
        solved = torch.cholesky_solve(b if b.ndim == 2 else b[:, None], factor)
        return solved if b.ndim == 2 else solved[:, 0], 2 * torch.sum(torch.log(torch.diagonal(factor)))

    ns = SimpleNamespace(
        exp=torch.exp, tanh=torch.tanh, sqrt=torch.sqrt, sum=torch.sum, spd=spd,
        eye=lambda n: torch.eye(n, dtype=torch.float64),
        softplus=torch.nn.functional.softplus, sigmoid=torch.sigmoid, softmax=torch.softmax,
        logsumexp=torch.logsumexp, column=lambda v: v[:, None], row=lambda v, m: v[None],
    )  # fmt: skip

    def tensor(a: Any) -> Any:
        return torch.tensor(a, dtype=torch.float64) if isinstance(a, float) else torch.from_numpy(a)

    names, where = _positions(row, data)
    given = [tensor(data[name]) for name in names]
    directions = [tensor(data[row.direction(w)]) for w in row.wrt] if row.kind == "products" else []
    return torch, ns, names, where, given, directions


def torch(row: Row, data: Data) -> Call:
    """Eager: gradients and products on the tape; for matrices whichever of PyTorch's ways is fastest here."""
    torch, ns, _, where, given, directions = _torch_parts(row, data)
    if row.kind == "matrices":
        return _fastest(_torch_matrices(torch, ns, row, where, given))
    wanted = []
    for i in where:
        given[i] = given[i].clone().requires_grad_()
        wanted.append(given[i])
    value, grad = row.problem.value, torch.autograd.grad
    if row.of == "gradient":
        return lambda: _one(grad(value(ns, *given), wanted))
    if row.of == "hvp":
        return lambda: _one(grad(grad(value(ns, *given), wanted, create_graph=True), wanted, directions))

    def gnvp() -> Any:
        """J*v as the derivative of J'*z by z; then J' times what the loss's Hessian makes of it."""
        u = row.problem.net(ns, *given)  # type: ignore[misc]
        z = torch.zeros_like(u, requires_grad=True)
        tangent = grad(grad(u, wanted, z, create_graph=True), z, directions)
        output = u.detach().requires_grad_()
        slope = grad(row.problem.loss(ns, output, *given), output, create_graph=True)  # type: ignore[misc]
        return _one(grad(u, wanted, grad(slope, output, tangent)))

    return gnvp


def _torch_matrices(torch: Any, ns: Any, row: Row, where: tuple[int, ...], given: list[Any]) -> list[Call]:
    single = where[0]
    w = given[single]

    def value(w: Any) -> Any:
        return row.problem.value(ns, *given[:single], w, *given[single + 1 :])

    once, func = torch.autograd.functional, torch.func
    if row.of == "hessian":
        return [
            lambda: once.hessian(value, w),
            lambda: once.hessian(value, w, vectorize=True),
            lambda: func.hessian(value)(w),
        ]
    return [
        lambda: once.jacobian(value, w),
        lambda: once.jacobian(value, w, vectorize=True),
        lambda: func.jacrev(value)(w),
    ]


def _fastest(calls: list[Call]) -> Call:
    """The fastest of several; a later one that has nothing to gain is not tried."""
    best, least = calls[-1], float("inf")
    for call in reversed(calls):
        taken = []
        for _ in range(3):
            begin = time.perf_counter()
            call()
            taken.append(time.perf_counter() - begin)
            if taken[-1] > 1:
                break
        if min(taken) < least:
            best, least = call, min(taken)
        if least > 1:
            break
    return best


def _torch_function(torch: Any, ns: Any, row: Row, where: tuple[int, ...], count: int) -> Callable[..., Any]:
    func = torch.func
    single = where[0]

    def value(*args: Any) -> Any:
        return row.problem.value(ns, *args)

    def placed(args: Any, moved: Any) -> list[Any]:
        out = list(args)
        for i, a in zip(where, moved, strict=True):
            out[i] = a
        return out

    def hvp(*args: Any) -> Any:
        args, v = args[:count], args[count:]
        slope = func.grad(lambda *w: value(*placed(args, w)), tuple(range(len(where))))
        return _one(func.jvp(slope, tuple(args[i] for i in where), tuple(v))[1])

    def gnvp(*args: Any) -> Any:
        args, v = args[:count], args[count:]

        def net(*w: Any) -> Any:
            return row.problem.net(ns, *placed(args, w))  # type: ignore[misc]

        w = tuple(args[i] for i in where)
        u, back = func.vjp(net, *w)
        _, tangent = func.jvp(net, w, tuple(v))
        bend = func.jvp(func.grad(lambda u: row.problem.loss(ns, u, *args)), (u,), (tangent,))[1]  # type: ignore[misc]
        return _one(back(bend))

    found: Callable[..., Any] = {
        "gradient": lambda *args: _one(func.grad(value, where)(*args)),
        "hvp": hvp,
        "gnvp": gnvp,
        "hessian": lambda *args: func.hessian(value, single)(*args),
        "jacobian": lambda *args: func.jacrev(value, single)(*args),
    }[row.of]
    return found


def torch_compile(row: Row, data: Data) -> Call:
    """torch.compile with inductor, which needs a C++ compiler."""
    torch, ns, _, where, given, directions = _torch_parts(row, data)
    torch._dynamo.config.cache_size_limit = 10_000
    compiled = torch.compile(_torch_function(torch, ns, row, where, len(given)), dynamic=False)
    args = (*given, *directions)
    return lambda: compiled(*args)


def autograd(row: Row, data: Data) -> Call:
    import autograd
    import autograd.numpy as anp
    from autograd.scipy.special import expit, logsumexp

    def spd(a: Any, b: Any) -> tuple[Any, Any]:
        return anp.linalg.solve(a, b), anp.linalg.slogdet(a)[1]

    def softmax(a: Any, axis: int) -> Any:
        e = anp.exp(a - anp.max(a, axis, keepdims=True))
        return e / anp.sum(e, axis, keepdims=True)

    ns = SimpleNamespace(
        exp=anp.exp, tanh=anp.tanh, sqrt=anp.sqrt, sum=anp.sum, eye=np.eye, spd=spd,
        softplus=lambda z: anp.logaddexp(0, z), sigmoid=expit, softmax=softmax, logsumexp=logsumexp,
        column=lambda v: v[:, None], row=lambda v, m: v[None],
    )  # fmt: skip
    names, where = _positions(row, data)
    given = [data[name] for name in names]
    directions = [data[row.direction(w)] for w in row.wrt] if row.kind == "products" else []

    def of(function: Callable[..., Any], *first: Any) -> Callable[..., Any]:
        """As a function of what it is differentiated by: one array, or a tuple of them."""

        def moved(w: Any) -> Any:
            out = list(given)
            for i, a in zip(where, w if len(where) > 1 else (w,), strict=True):
                out[i] = a
            return function(ns, *first, *out)

        return moved

    value = of(row.problem.value)
    w = _one(tuple(given[i] for i in where))
    if row.of == "gradient":
        gradient = autograd.grad(value)
        return lambda: gradient(w)
    if row.of == "hvp":
        product = autograd.hessian_vector_product(value)
        return lambda: product(w, *directions)
    if row.of == "gnvp":
        from autograd import make_jvp, make_vjp

        net = of(row.problem.net)  # type: ignore[arg-type]
        bend = autograd.hessian_vector_product(lambda u: row.problem.loss(ns, u, *given))  # type: ignore[misc]

        def gnvp() -> Any:
            back, u = make_vjp(net)(w)
            _, tangent = make_jvp(net)(w)(_one(tuple(directions)))
            return back(bend(u, tangent))

        return gnvp
    matrix = autograd.hessian(value) if row.of == "hessian" else autograd.jacobian(value)
    return lambda: matrix(w)


def casadi(row: Row, data: Data) -> Call:
    """A virtual machine on symbolic expressions, scalar by scalar where that can be, on memory set aside for it."""
    import casadi

    def total(a: Any, axis: int | None = None) -> Any:
        return casadi.sum1(casadi.sum2(a)) if axis is None else (casadi.sum1, casadi.sum2)[axis](a)

    def softmax(a: Any, axis: int) -> Any:  # down the columns
        e = casadi.exp(a)
        return e / casadi.repmat(total(e, axis), e.shape[0], 1)

    ns = SimpleNamespace(
        exp=casadi.exp, tanh=casadi.tanh, sqrt=casadi.sqrt, sum=total, eye=casadi.MX.eye,
        spd=lambda a, b: (casadi.solve(a, b), casadi.log(casadi.det(a))),
        softplus=lambda z: casadi.log1p(casadi.exp(z)), sigmoid=lambda z: 1 / (1 + casadi.exp(-z)), softmax=softmax,
        logsumexp=lambda a, axis: casadi.log(total(casadi.exp(a), axis)), column=lambda v: v,
        row=lambda v, m: casadi.repmat(v.T, m, 1),
    )  # fmt: skip
    names, where = _positions(row, data)
    flat = [casadi.MX.sym(name, np.size(data[name])) for name in names]
    args = [casadi.reshape(v, *_rows_columns(data[name])) for v, name in zip(flat, names, strict=True)]
    directions = [row.direction(w) for w in row.wrt] if row.kind == "products" else []
    along = [casadi.MX.sym(name, np.size(data[name])) for name in directions]
    w, v = casadi.vertcat(*(flat[i] for i in where)), casadi.vertcat(*along)
    # One vector of all that is moved, so that one sweep gives all of it.
    joined = casadi.MX.sym("w", w.shape[0])
    parts = casadi.vertsplit(joined, [0, *np.cumsum([np.size(data[names[i]]) for i in where]).tolist()])
    for i, part in zip(where, parts, strict=True):
        args[i] = casadi.reshape(part, *_rows_columns(data[names[i]]))
    if row.of == "gnvp":
        u = casadi.vec(row.problem.net(ns, *args))  # type: ignore[misc]
        output = casadi.MX.sym("u", *u.shape)
        shaped = casadi.reshape(output, *row.problem.net(ns, *args).shape)  # type: ignore[misc]
        slope = casadi.gradient(row.problem.loss(ns, shaped, *args), output)  # type: ignore[misc]
        bend = casadi.jtimes(slope, output, casadi.jtimes(u, joined, v))
        result = casadi.jtimes(u, joined, casadi.substitute(bend, output, u), True)
    else:
        value = row.problem.value(ns, *args)
        if row.of == "jacobian":
            result = casadi.jacobian(casadi.vec(value), joined)
        elif row.of == "hessian":
            result = casadi.hessian(value, joined)[0]
        else:
            result = casadi.gradient(value, joined)
            if row.of == "hvp":
                result = casadi.jtimes(result, joined, v)
    given = [flat[i] for i in range(len(names)) if i not in where]
    function = casadi.Function("f", [joined, *given, *along], [casadi.densify(result)])
    if function.n_instructions() and all(np.size(a) < 1000 for a in data.values()):
        with contextlib.suppress(RuntimeError):  # not of scalars alone
            function = function.expand()
    values = [np.concatenate([np.ravel(data[names[i]], "F") for i in where])]
    values += [np.ravel(data[names[i]], "F").astype(float) for i in range(len(names)) if i not in where]
    values += [np.ravel(data[name], "F") for name in directions]
    out = np.zeros(result.shape[0] * result.shape[1])
    buffer, run = function.buffer()
    for i, value in enumerate(values):
        buffer.set_arg(i, memoryview(value))
    buffer.set_res(0, memoryview(out))

    def call() -> Any:
        run()
        return out

    call.kept = (function, buffer, values)  # type: ignore[attr-defined]  # the memory that it works on
    return call


def _rows_columns(a: Any) -> tuple[int, int]:
    return (*np.shape(a), 1, 1)[:2] if np.ndim(a) else (1, 1)


RIVALS: dict[str, tuple[str, Callable[[Row, Data], Call]]] = {
    "jax": ("jax", jax),
    "torch": ("torch", torch),
    "torch.compile": ("torch", torch_compile),
    "autograd": ("autograd", autograd),
    "casadi": ("casadi", casadi),
}


def arranged(row: Row, name: str, result: Any, data: Data) -> list[Any]:
    """A library's result with matrices in matcalc's arrangement: a row and a column for each entry, columns stacked."""
    if name == "casadi":  # all in one vector, by columns
        if row.kind == "matrices":
            count = sum(np.size(data[w]) for w in row.wrt)
            return [result.reshape(count, -1).T]
        parts = np.split(result, np.cumsum([np.size(data[w]) for w in row.wrt])[:-1])
        return [a.reshape(np.shape(data[w]), order="F") for a, w in zip(parts, row.wrt, strict=True)]
    results = result if isinstance(result, tuple | list) else (result,)
    out = [np.asarray(a) for a in results]
    if row.kind != "matrices":
        return out
    rank = np.ndim(data[row.wrt[0]])

    def stacked(a: Any, first: int) -> Any:
        """With the axes from ``first`` on, one or two, as one axis."""
        if a.ndim - first == 2:
            a = a.swapaxes(-1, -2)
        return a.reshape(*a.shape[:first], -1)

    return [stacked(stacked(a, a.ndim - rank).T, 1).T if a.ndim - rank == 1 else _both(a, rank) for a in out]


def _both(a: Any, rank: int) -> Any:
    """A Hessian by a matrix, with four axes."""
    if a.ndim != 2 * rank:
        raise ValueError("a matrix or a vector by a vector or a matrix")
    if rank == 1:
        return a
    p, q = a.shape[:2]
    return a.transpose(1, 0, 3, 2).reshape(p * q, p * q)
