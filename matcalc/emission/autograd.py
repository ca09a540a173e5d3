"""A function that a library's automatic differentiation takes for one of its own, with our closed form as derivative.

PyTorch gets a ``torch.autograd.Function``, JAX a ``jax.custom_vjp``. Backward computes from the arguments anew, in
operations of the library, so that it can be differentiated again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from matcalc.emission.array_module import module_text
from matcalc.emission.array_source import WIDTH, Function, Unknown, definition, docstring, function
from matcalc.emission.arrays import ArrayFunction, implementations, installed, made_of
from matcalc.emission.libraries import LIBRARIES
from matcalc.errors import ArgumentError
from matcalc.lowering.compiled import Functions
from matcalc.lowering.names import Names
from matcalc.lowering.planned import input_name, planned, requested

if TYPE_CHECKING:
    from matcalc.expr import Expr
    from matcalc.lowering.planned import Planned


class WithDerivative(NamedTuple):
    """A value and its derivative.

    ``slopes``     of a scalar its gradients by the differentiable arguments; else their products with the ``cotangent``
    ``arguments``  of the function, all that the value needs
    """

    value: Expr
    slopes: Mapping[str, Expr]
    cotangent: Expr | None
    arguments: Sequence[Expr]
    title: str = ""
    names: Mapping[Expr, str] | None = None


class Parts(NamedTuple):
    """The texts of which both libraries' functions are made."""

    arrays: list[str]  # identifiers of the arguments that are arrays
    numbers: list[str]  # and of those that are numbers
    counts: list[str]  # and of the dimensions
    by: str  # the differentiable arguments, for people
    fixed: list[str]  # identifiers of the other arrays
    cotangent: str  # the name of what comes from behind
    slopes: str  # the names of what the derivative gives
    call: str  # of the derivative
    returned: dict[str, str]  # for each differentiable argument
    places: list[int]  # of the differentiable arguments among all


_WRITERS: dict[str, Callable[[str, Function, Function, Parts], list[list[str]]]] = {}


def compile_function(library: str, of: WithDerivative, functions: Functions | None = None) -> ArrayFunction:
    """The value as a callable whose derivative is known to the library.

    Raises   ArgumentError when the library has no such functions, or the derivative cannot be one
    """
    if library in _WRITERS:
        installed(library)
    what, text, written, unknown = written_function(library, of)
    made = made_of(library, text, written, what, unknown)
    return ArrayFunction(made, implementations(unknown, functions or {}))


def function_source(library: str, of: WithDerivative) -> str:
    """The text of :func:`compile_function`."""
    return written_function(library, of)[1]


def written_function(library: str, of: WithDerivative) -> tuple[Planned, str, Function, dict[Unknown, str]]:
    if library not in _WRITERS:
        raise ArgumentError(
            f"a function with its own derivative is not written for {library!r}", hint=f"there is {', '.join(_WRITERS)}"
        )
    value, slopes, cotangent, arguments, title, names = of
    unknown: dict[Unknown, str] = {}
    kind = LIBRARIES[library]
    forward = planned(requested(value, arguments, title=title, name="value", names=names, limit=None))
    given = [*arguments, *([cotangent] if cotangent is not None else [])]
    what = "Gradient" if cotangent is None else "Product with the transposed Jacobian"
    by = ", ".join(slopes)
    outputs = {f"d_{name}": e for name, e in slopes.items()} if len(slopes) > 1 else next(iter(slopes.values()))
    about = {"title": f"{what} by {by} of {title}", "name": "gradient" if cotangent is None else "vjp"}
    backward = planned(requested(outputs, given, names=names, subgradient=True, limit=None, **about))
    own = ("function", "Function")
    several = library == "torch" and len(slopes) > 1
    f = function(forward, kind, checks=False, unknown=unknown, reserved=(*own, backward.name, "needs"))
    g = function(backward, kind, checks=False, unknown=unknown, reserved=(*own, forward.name, "needs"), needs=several)
    if f.static or g.static:
        raise ArgumentError("a position, a limit or an exponent that is a variable has no derivative of its own")
    if set(g.shown) - {name for name, _ in backward.arguments} - set(f.shown):
        raise ArgumentError("the derivative needs a dimension that no argument of the function shows")
    parts = _parts(f, g, of)
    lines = _WRITERS[library](title, f, g, parts)
    definitions = [definition(f), definition(g), *lines]
    imports = ["from functools import partial"] if "partial(" in str(lines) else []
    text = module_text(kind, [f, g], definitions, unknown, imports)
    return forward, text, f._replace(name="function"), unknown


def _parts(f: Function, g: Function, of: WithDerivative) -> Parts:
    value, slopes, arguments, scalar = of.value, of.slopes, of.arguments, of.cotangent is None
    codes = dict(zip(f.shown, f.codes, strict=True))
    arrays = [c for c in f.codes if c in f.arrays]
    names = Names()
    for code in (*f.codes, f.name, g.name, "Function", "function", "inputs", "output"):
        names.take(code)
    cotangent = names.take("g")
    found = {name: names.take(f"d_{name}") for name in slopes}
    rows = {input_name(e) for e in arguments if e.is_row and not e.is_scalar}  # their gradients have two axes
    one = {name: f"{d}[0]" if name in rows else d for name, d in found.items()}
    behind = f"{cotangent}[0]" if value.is_row and not value.is_scalar else cotangent
    needs = ["needs"] if g.head.endswith(", needs):") else []
    sizes = [codes[size] for size in g.shown if size in f.shown and codes[size] not in arrays]
    return Parts(
        arrays,
        [codes[input_name(e)] for e in arguments if e.is_scalar],
        [c for c in f.codes if c not in arrays],
        ", ".join(slopes),
        [c for c in arrays if c not in [codes[name] for name in slopes]],
        cotangent,
        ", ".join(found.values()),
        f"{g.name}({', '.join([*arrays, *([] if scalar else [behind]), *sizes, *needs])})",
        {codes[name]: f"{cotangent} * {d}" if scalar else d for name, d in one.items()},
        [f.codes.index(codes[name]) for name in slopes],
    )


def _several(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) != 1 else f"({names[0]},)"


def _torch(title: str, f: Function, g: Function, parts: Parts) -> list[list[str]]:
    """The class with forward and backward, and the function that applies it."""
    taken = ", ".join(f.codes)
    arrays, counts, cotangent = parts.arrays, parts.counts, parts.cotangent
    backward = [f"        {parts.slopes} = {parts.call}"]
    returned = parts.returned
    if len(parts.places) > 1:
        backward.insert(0, f"        needs = [ctx.needs_input_grad[k] for k in {tuple(parts.places)}]")
        given = enumerate(returned.items())
        returned = {c: d if d.isidentifier() else f"{d} if needs[{k}] else None" for k, (c, d) in given}
    last = [returned.get(c, "None") for c in f.codes]
    short = len(", ".join(last)) < WIDTH
    lines = [
        "class Function(torch.autograd.Function):",
        *docstring([title, "", f"The derivative by {parts.by} is the closed form of {g.name}."]),
        "",
        "    generate_vmap_rule = True",
        "",
        "    @staticmethod",
        f"    def forward({taken}):",
        f"        return {f.name}({taken})",
        "",
        "    @staticmethod",
        "    def setup_context(ctx, inputs, output):",
        f"        ctx.save_for_backward(*inputs{f'[:{len(arrays)}]' if counts else ''})",
        *([f"        ctx.sizes = inputs[{len(arrays)}:]"] if counts else []),
        "",
        "    @staticmethod",
        f"    def backward(ctx, {cotangent}):",
        f"        {_several(arrays)} = ctx.saved_tensors",
        *([f"        {_several(counts)} = ctx.sizes"] if counts else []),
        *backward,
        *([f"        return {', '.join(last)}"] if short else ["        return (", *_lines(last), "        )"]),
    ]
    apply = [f"def function({taken}):", *docstring([title]), *_tensors(parts)]
    if parts.fixed:
        others = " and ".join(parts.fixed)
        apply += [
            f"    if torch.is_grad_enabled() and any(t.requires_grad for t in [{', '.join(parts.fixed)}]):",
            f'        raise ValueError("the derivative is known by {parts.by} only: detach {others}")',
        ]
    return [lines, [*apply, f"    return Function.apply({taken})"]]


def _lines(items: Sequence[str]) -> list[str]:
    return [f"            {item}," for item in items]


def _tensors(parts: Parts) -> list[str]:
    """The statements that make tensors of numbers: only such are saved for backward."""
    like = ""
    if parts.numbers and len(parts.numbers) < len(parts.arrays):
        first = next(c for c in parts.arrays if c not in parts.numbers)
        like = f", dtype={first}.dtype, device={first}.device"
    return [f"    {c} = torch.as_tensor({c}{like})" for c in parts.numbers]


def _jax(title: str, f: Function, g: Function, parts: Parts) -> list[list[str]]:
    """The function with its rule for reverse differentiation."""
    taken, counts = ", ".join(f.codes), parts.counts
    saved = parts.arrays[0] if len(parts.arrays) == 1 else f"({', '.join(parts.arrays)})"
    returned = [parts.returned.get(c, f"jnp.full_like({c}, jnp.nan)") for c in parts.arrays]
    about = [title, "", f"Its derivative by {parts.by} is the closed form of {g.name}."]
    if parts.fixed:
        about.append(f"By {', '.join(parts.fixed)} it is not known: those derivatives are NaN.")
    places = "".join(f"{k}, " for k, c in enumerate(f.codes) if c in counts)
    static = "".join(f'"{c}", ' for c in counts)
    inner = f"@partial(jax.custom_vjp, nondiff_argnums=({places.rstrip()}))" if counts else "@jax.custom_vjp"
    outer = f"@partial(jax.jit, static_argnames=({static.rstrip()}))" if counts else "@jax.jit"
    return [
        [inner, f"def _function({taken}):", f"    return {f.name}({taken})"],
        [f"def _forward({taken}):", f"    return {f.name}({taken}), {saved}"],
        [
            f"def _backward({', '.join([*counts, '_saved', parts.cotangent])}):",
            f"    {', '.join(parts.arrays)} = _saved",
            f"    {parts.slopes} = {parts.call}",
            f"    return {_several(returned)}",
        ],
        ["_function.defvjp(_forward, _backward)"],
        [outer, f"def function({taken}):", *docstring(about), f"    return _function({taken})"],
    ]


_WRITERS |= {"torch": _torch, "jax": _jax}

__all__ = ["WithDerivative", "compile_function", "function_source"]
