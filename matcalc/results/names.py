"""Names for the variables that a result has besides those of the formula: directions, cotangents, weights."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from matcalc.dims import Shape
from matcalc.errors import ArgumentError
from matcalc.expr import Expr
from matcalc.facts import DIAGONAL, SYMMETRIC, facts
from matcalc.primitives.leaves import var
from matcalc.results.texts import is_name
from matcalc.syntax.spelling import canonical

_LETTERS = "vuwpqh"


def fresh(shape: Shape, taken: Collection[str], asked: str | None = None, letters: Sequence[str] = _LETTERS) -> str:
    """A name that is free: the one that is asked for, or v, u, ... (of a matrix V, U, ...).

    Raises   ArgumentError when the name that is asked for has a meaning already
    """
    if asked is not None:
        name = canonical(asked.strip())
        if name in taken:
            raise ArgumentError(f"{name} has a meaning in the formula already", hint="take another name")
        if not is_name(asked):
            raise ArgumentError(f"{asked!r} is no name", hint="take a letter, as v, or one with a subscript, as v_1")
        return name
    matrix = shape[0].value != 1 and shape[1].value != 1
    candidates = [c.upper() if matrix and len(c) == 1 else c for c in letters]
    candidates += [f"{c}_{k}" for k in range(1, len(taken) + 2) for c in candidates[:1]]
    return next(c for c in candidates if c not in taken)


def directions(
    variables: Mapping[str, Expr], taken: Collection[str], asked: str | None, letters: str = _LETTERS
) -> dict[Expr, Expr]:
    """A direction for each variable, which moves where the variable may move: v, or for several v_x, V_W, ..."""
    names: Sequence[str | None] = [None] * len(variables)
    if asked is not None:
        names = [part.strip() for part in asked.split(",") if part.strip()]
        if len(names) != len(variables):
            count = f"{len(variables)} directions are" if len(variables) > 1 else "one direction is"
            raise ArgumentError(
                f"{count} needed and {len(names)} given", hint=f"one for each of {', '.join(variables)}"
            )
        twice = next((part for k, part in enumerate(names) if part in names[:k]), None)
        if twice is not None:
            raise ArgumentError(f"{twice} is named for two directions", hint="each variable has a direction of its own")
    used = set(taken)
    found: dict[Expr, Expr] = {}
    for (name, x), wanted in zip(variables.items(), names, strict=True):
        if wanted is None and len(variables) > 1:
            own = canonical(f"{fresh(x.shape, (), None, letters)}_{name}")
            wanted = own if own not in used and is_name(own) else None
        chosen = fresh(x.shape, used, wanted, letters)
        used.add(chosen)
        kept = facts(x) & {SYMMETRIC, DIAGONAL}
        found[x] = var(chosen, x.shape, *(() if x.is_scalar else kept))
    return found


def labelled(letter: str, names: Sequence[str]) -> str:
    """The name under which a result is printed: d_W, H_W_b."""
    return "_".join([letter, *(name.replace("_", "") for name in names if name)])


__all__ = ["directions", "fresh", "labelled"]
