"""The choices of spelling that a user has; style.py carries them out. Kept apart, as the command line lists them."""

from __future__ import annotations

from typing import NamedTuple


class Choice(NamedTuple):
    """The values of an option of the printers, and what they mean, in the language."""

    values: tuple[str, ...]
    meaning: str


CHOICES = {
    "products": Choice(("diag", "hadamard"), "entry by entry: diag(v)*A, or v .* x and (v*ones(n)') .* A"),
    "quotients": Choice(("over", "diag"), "entry by entry: x ./ v (over), or diag(v)^-1*x"),
    "scalars": Choice(("tr", "inner", "sum"), "tr(A'*B), <A, B> (inner), or sum(A .* B)"),
    "slopes": Choice(("closed", "prime"), "of known functions: 1 - tanh(z).^2 (closed), or tanh'(z) (prime)"),
}

__all__ = ["CHOICES", "Choice"]
