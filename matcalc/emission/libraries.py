"""The array libraries: how each spells what differs from the array API standard.

A word is a template: ``{0}``, ``{1}`` are the operands, ``{xp}`` the library, ``{h}.name`` a helper of
array_helpers.py, ``{rt}.name`` one of NumPy's runtime, ``{shape}`` the shape of the result, ``{axis}`` an axis.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

# Functions of every entry, by the name of the operation.
_SAME = ("exp", "log", "log1p", "expm1", "sqrt", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh")

STANDARD = {
    **{name: f"{{xp}}.{name}({{0}})" for name in (*_SAME, "abs", "sign")},
    **{name: f"{{h}}.{name}({{0}})" for name in ("sigmoid", "softplus", "relu", "step", "erf", "silu", "gelu")},
    "T": "{0}.T",
    "solve": "{xp}.linalg.solve({0}, {1})",
    "inv": "{xp}.linalg.inv({0})",
    "det": "{xp}.linalg.det({0})",
    "logdet": "{xp}.linalg.slogdet({0})[1]",
    "logdet positive": "2 * {xp}.sum({xp}.log({xp}.linalg.diagonal({xp}.linalg.cholesky({0}))))",
    "trace": "{xp}.linalg.trace({0})",
    "diagonal": "{xp}.linalg.diagonal({0})",
    "kron": "{h}.kron({0}, {1})",
    "inner": "{xp}.sum({0} * {1})",
    "norm": "{xp}.sqrt({xp}.sum({0}**2))",
    "sum": "{xp}.sum({0})",
    "sum along": "{xp}.sum({0}, axis={axis})",
    "max": "{xp}.max({0})",
    "max along": "{xp}.max({0}, axis={axis})",
    "argmax": "{h}.argmax({0})",
    "argmax along": "{h}.argmax({0}, {axis})",
    "softmax": "{h}.softmax({0})",
    "softmax along": "{h}.softmax({0}, {axis})",
    "log_softmax": "{h}.log_softmax({0})",
    "log_softmax along": "{h}.log_softmax({0}, {axis})",
    "logsumexp": "{h}.logsumexp({0})",
    "logsumexp along": "{h}.logsumexp({0}, {axis})",
    "zeros": "{xp}.zeros({shape}, **like)",
    "ones": "{xp}.ones({shape}, **like)",
    "full": "{xp}.full({shape}, {0}, **like)",
    "eye": "{xp}.eye({size}, **like)",
    "number": "{xp}.asarray({0}, **like)",
    "diag": "{h}.diag({0})",
    "broadcast": "{xp}.broadcast_to({0}, {shape})",
    "reshape": "{xp}.reshape({0}, {shape})",
    "flat": "{xp}.reshape({0}, (-1,))",
    "permute": "{xp}.permute_dims({0}, {axes})",
    "repeats": "{h}.repeats({0}, {letters})",
    "einsum": "{h}.einsum({rest})",
    "stack": "{xp}.stack({arrays}, axis={axis})",
    "concat": "{xp}.concat({arrays}, axis={axis})",
    "spread": "{xp}.broadcast_arrays({arrays})",
    "flip": "{xp}.flip({0}, axis={axes})",
    "placed": "{h}.placed({0}, {letters}, {shape})",
    "placed at": "{h}.placed({0}, {letters}, {shape}, {places})",
    "within": "{h}.within({0}, {starts}, {shape})",
    "commutation": "{h}.commutation({m}, {n}, like)",
    "unit": "{h}.unit({0}, {1}, like)",
    "copy": "{xp}.asarray({0}, copy=True)",
    "whole": "{h}.whole({0})",
    "up_to": "{h}.up_to({0}, {1})",
    "position": "{h}.position({0}, {1})",
    "limit": "{h}.limit({0}, {1})",
    # of a batch
    "take": "{xp}.take({0}, {1}, axis=0)",
    "take each": "{h}.of_each({0}, {1})",
    "units": "{h}.units({0}, {1}, like)",
    "wholes": "{h}.wholes({0})",
    "positions": "{h}.positions({0}, {1})",
    # functions that NumPy's templates name
    "linalg.matrix_power": "{xp}.linalg.matrix_power({0}, {1})",
    "linalg.pinv": "{xp}.linalg.pinv({0})",
    "linalg.cholesky": "{xp}.linalg.cholesky({0})",
    "adjugate": "{h}.adjugate({0})",
    "expm": "{h}.expm({0})",
    "expm_frechet": "{h}.expm_frechet({0}, {1})",
    "khatri_rao": "{h}.khatri_rao({0}, {1})",
    "conv": "{h}.convolution({rest})",
    "corr": "{h}.correlation({rest})",
    "convmtx": "{h}.convmtx({rest})",
    "crop": "{h}.crop({rest})",
    "pad": "{h}.pad({rest})",
    "safe_reciprocal": "{h}.safe_reciprocal({0})",
    "pinv": "{h}.safe_reciprocal({0})",
}


class Library(NamedTuple):
    """An array library."""

    title: str
    module: str  # that is imported
    namespace: str  # what it is called in sources
    words: Mapping[str, str]  # where they differ from the standard
    like: str  # how arrays are made that lie where ``{0}`` lies
    helpers: tuple[tuple[str, str], ...] = ()  # how the text of helpers changes, as patterns
    constant: bool = True  # whether what is given back may share memory: the arrays cannot be changed
    converts: bool = False  # whether the source takes lists and integers, too


_METHODS = {"reshape": "{0}.reshape({dims})", "flat": "{0}.reshape(-1)"}

TORCH = Library(
    "PyTorch",
    "torch",
    "torch",
    {
        **_METHODS,
        "sigmoid": "torch.sigmoid({0})",
        "softplus": "torch.logaddexp({0}, torch.zeros((), **like))",
        "relu": "torch.relu({0})",
        "erf": "torch.erf({0})",
        "silu": "torch.nn.functional.silu({0})",
        "gelu": "torch.nn.functional.gelu({0})",
        "trace": "torch.trace({0})",
        "kron": "torch.kron({0}, {1})",
        "by rows": "{0}.contiguous()",
        "diagonal": "torch.diagonal({0})",
        "logdet positive": "2 * torch.sum(torch.log(torch.diagonal(torch.linalg.cholesky({0}))))",
        "sum along": "torch.sum({0}, dim={axis})",
        "max": "torch.amax({0})",
        "max along": "torch.amax({0}, dim={axis})",
        "softmax along": "torch.softmax({0}, dim={axis})",
        "log_softmax along": "torch.log_softmax({0}, dim={axis})",
        "logsumexp along": "torch.logsumexp({0}, dim={axis})",
        "number": "torch.as_tensor({0}, **like)",
        "diag": "torch.diag({0})",
        "permute": "{0}.permute({axes})",
        "repeats": "torch.einsum({letters}, {0})",
        "einsum": "torch.einsum({rest})",
        "stack": "torch.stack({arrays}, dim={axis})",
        "concat": "torch.cat({arrays}, dim={axis})",
        "spread": "torch.broadcast_tensors({arrays})",
        "flip": "torch.flip({0}, dims={axes})",
        "take": "{0}[{1}]",
        "copy": "{0}.clone()",
        "expm": "torch.linalg.matrix_exp({0})",
    },
    '{{"dtype": {0}.dtype, "device": {0}.device}}',
    (
        (r"xp\.take\((\w+), (.+), axis=0\)", r"\1[\2]"),
        (r"\baxis=(?=[\w(])", "dim="),
        (r"\bkeepdims=", "keepdim="),
        (r"xp\.max\((\w+)\)", r"xp.amax(\1)"),
        (r"xp\.max\(", "xp.amax("),
        (r"xp\.concat\(", "xp.cat("),
        (r"xp\.permute_dims\(", "xp.permute("),
        (r"xp\.flip\((\w+), dim=", r"xp.flip(\1, dims="),
        (r"_expm\(", "torch.linalg.matrix_exp("),
        (r"xp\.astype\((\w+), xp\.int64\)", r"\1.long()"),
    ),
    constant=False,
)

JAX = Library(
    "JAX",
    "jax.numpy",
    "jnp",
    {
        **_METHODS,
        "sigmoid": "jax.nn.sigmoid({0})",
        "softplus": "jax.nn.softplus({0})",
        "relu": "jax.nn.relu({0})",
        "erf": "jax.scipy.special.erf({0})",
        "silu": "jax.nn.silu({0})",
        "gelu": "jax.nn.gelu({0}, approximate=False)",
        "trace": "jnp.trace({0})",
        "diagonal": "jnp.diagonal({0})",
        "logdet positive": "2 * jnp.sum(jnp.log(jnp.diagonal(jnp.linalg.cholesky({0}))))",
        "kron": "jnp.kron({0}, {1})",
        "softmax": "jax.nn.softmax({0}, axis=None)",
        "softmax along": "jax.nn.softmax({0}, axis={axis})",
        "log_softmax": "jax.nn.log_softmax({0}, axis=None)",
        "log_softmax along": "jax.nn.log_softmax({0}, axis={axis})",
        "logsumexp": "jax.scipy.special.logsumexp({0})",
        "logsumexp along": "jax.scipy.special.logsumexp({0}, axis={axis})",
        "diag": "jnp.diag({0})",
        "permute": "jnp.transpose({0}, {axes})",
        "repeats": "jnp.einsum({letters}, {0})",
        "einsum": "jnp.einsum({rest})",
        "concat": "jnp.concatenate({arrays}, axis={axis})",
        "spread": "jnp.broadcast_arrays({unpacked})",
        "expm": "jax.scipy.linalg.expm({0})",
        "expm_frechet": "jax.scipy.linalg.expm_frechet({0}, {1}, compute_expm=False)",
    },
    '{{"dtype": {0}.dtype}}',
    (
        (r", device=\w+\.device", ""),
        (r"xp\.permute_dims\(", "xp.transpose("),
        (r"xp\.concat\(", "xp.concatenate("),
        (r"xp\.astype\((\w+), xp\.int64\)", r"\1.astype(int)"),
        (r"if not bool\(", "if not isinstance(k, jax.core.Tracer) and not bool("),  # while it is compiled none is known
    ),
)

# What Dask has no lazy word for is one task on whole arrays; functions of entries are tasks on chunks.
_AT_ONCE = {
    "inv": ("np.linalg.inv", 1),
    "det": ("np.linalg.det", 1),
    "logdet": ("{rt}.logdet", 1),
    "logdet positive": ("{rt}.logdet", 1),
    "linalg.matrix_power": ("np.linalg.matrix_power", 2),
    "linalg.pinv": ("{rt}.pseudo_inverse", 1),
    "linalg.cholesky": ("np.linalg.cholesky", 1),
    "adjugate": ("{rt}.adjugate", 1),
    "expm": ("{rt}.expm", 1),
    "expm_frechet": ("{rt}.expm_frechet", 2),
    "conv": ("{rt}.conv", 0),
    "corr": ("{rt}.corr", 0),
    "convmtx": ("{rt}.convmtx", 0),
    "crop": ("{rt}.crop", 0),
    "pad": ("{rt}.pad", 0),
    "repeats": ("{rt}.repeats", 3),
}
_OPERANDS = ("{rest}", "{0}", "{0}, {1}", "{0}, {letters}")

DASK = Library(
    "Dask",
    "dask.array",
    "da",
    {
        "reshape": "{h}.reshaped({0}, {shape})",
        "flat": "{0}.reshape(-1)",
        "asin": "da.arcsin({0})",
        "acos": "da.arccos({0})",
        "atan": "da.arctan({0})",
        **{f: f"{{0}}.map_blocks({{rt}}.{f})" for f in ("sigmoid", "softplus", "erf", "silu", "gelu", "step")},
        "trace": "da.trace({0})",
        "diagonal": "da.diagonal({0})",
        "diag": "da.diag({0})",
        "number": "da.asarray({0}, **like)",
        "permute": "da.transpose({0}, {axes})",
        "einsum": "da.einsum({rest})",
        "concat": "da.concatenate({arrays}, axis={axis})",
        "spread": "da.broadcast_arrays({unpacked})",
        "take": "{0}[{1}]",
        "solve": "{h}.solved({0}, {1})",
        "take each": "{h}.of_each_chunk({0}, {1})",
        "wholes": "{0}.map_blocks({rt}.whole, dtype=int)",
        "positions": "{0}.map_blocks({rt}.position, {1}, dtype=int)",
        **{
            word: f"{{h}}.at_once({function}, {{shape}}, {_OPERANDS[operands]})"
            for word, (function, operands) in _AT_ONCE.items()
        },
    },
    '{{"dtype": {0}.dtype}}',
    ((r", device=\w+\.device", ""), (r"xp\.permute_dims\(", "xp.transpose("), (r"xp\.concat\(", "xp.concatenate(")),
)

STANDARD_LIBRARY = Library(
    "the array API standard",
    "array_api_compat",
    "xp",
    {"spread": "{xp}.broadcast_arrays({unpacked})"},
    '{{"dtype": {0}.dtype, "device": device({0})}}',
    ((r"device=(\w+)\.device", r"device=device(\1)"),),
    constant=False,
)

CUPY = STANDARD_LIBRARY._replace(title="CuPy")

LIBRARIES = {"torch": TORCH, "jax": JAX, "dask": DASK, "cupy": CUPY, "array-api": STANDARD_LIBRARY}

__all__ = ["CUPY", "DASK", "JAX", "LIBRARIES", "STANDARD", "TORCH", "Library"]
