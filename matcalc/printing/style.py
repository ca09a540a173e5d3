"""Spellings of equal value among which a user may choose: ``diag(v)*A`` or ``(v*ones') .* A``, a trace or a sum.

A choice rewrites the expression before it is printed, exactly, so what is printed parses back to the same value. Where
a choice does not apply the expression stays as it is. The rewriting is a fold over the shared graph, each node once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from matcalc.dims import ONE
from matcalc.errors import ArgumentError
from matcalc.expr import Expr, postorder
from matcalc.facts import SYMMETRIC, has
from matcalc.primitives.algebra import HADAMARD, POWER, PRODUCT, TRANSPOSE, hadamard, power, product, transpose
from matcalc.primitives.leaves import Ones, number_of, ones
from matcalc.primitives.matrix import Inv, inv
from matcalc.primitives.products import INNER
from matcalc.primitives.reductions import SUM, total, tr
from matcalc.primitives.structure import Diagonal, diagonal
from matcalc.printing.choices import CHOICES
from matcalc.printing.slopes import primed

_LONGEST = 6  # operands of a product that is joined with another: a shared graph would grow


class Style:
    """A choice among spellings; what is not chosen stays as simplification found it shortest.

    ``products``   "diag": ``diag(v)*x``, "hadamard": ``v .* x`` and ``(v*ones(n)') .* A``
    ``quotients``  "over": ``x ./ v``, "diag": ``diag(v)^-1*x``
    ``scalars``    "tr": ``tr(A'*B)``, "inner": ``<A, B>``, "sum": ``sum(A .* B)``
    ``slopes``     "closed": ``1 - tanh(z).^2``, "prime": ``tanh'(z)``
    """

    def __init__(
        self,
        products: str | None = None,
        quotients: str | None = None,
        scalars: str | None = None,
        slopes: str | None = None,
    ) -> None:
        self.products, self.quotients, self.scalars, self.slopes = products, quotients, scalars, slopes
        for name, (known, _) in CHOICES.items():
            chosen = getattr(self, name)
            if chosen is not None and chosen not in known:
                raise ArgumentError(f"{chosen!r} is no spelling of {name}", hint=f"there is {', '.join(known)}")

    @classmethod
    def of(cls, choices: Mapping[str, str | None]) -> Style:
        """Raises   ArgumentError for what cannot be chosen"""
        for name in choices:
            if name not in CHOICES:
                raise ArgumentError(f"{name} is no choice of spelling", hint=f"there is {', '.join(CHOICES)}")
        return cls(**choices)

    @property
    def rewrites(self) -> bool:
        return any((self.products, self.quotients, self.scalars))

    def primed(self, exprs: Sequence[Expr], about: Iterable[Expr] = ()) -> list[Expr]:
        """Simplified expressions with the slopes of known functions as derivatives, ``tanh'(z)``.

        ``about``  further expressions in which the functions are looked for, such as what was differentiated
        """
        return primed(exprs, about) if self.slopes == "prime" else list(exprs)

    def spelled(self, exprs: Iterable[Expr], named: Collection[Expr] = ()) -> dict[Expr, Expr]:
        """For each node under ``exprs`` what it reads in this style; nodes that are ``named`` stay operands."""
        roots = list(exprs)
        done: dict[Expr, Expr] = {}
        rewriting = _Rewriting(self, done, named)
        for node in postorder(roots):
            done[node] = rewriting.of(node) if node.args and self.rewrites else node
        return done


class _Rewriting:
    """One pass; ``done`` holds the nodes that are finished."""

    def __init__(self, style: Style, done: Mapping[Expr, Expr], named: Collection[Expr]) -> None:
        self.style, self.done, self.named = style, done, named
        self.units: set[Expr] = set()  # what the named nodes have become

    def of(self, node: Expr) -> Expr:
        handler = self.HANDLERS.get(type(node.op).__name__)
        found: Expr | None = handler(self, node) if handler is not None else None
        found = self.rebuilt(node) if found is None else found
        if node in self.named:
            self.units.add(found)
        return found

    def rebuilt(self, node: Expr) -> Expr:
        args = tuple([self.done[a] for a in node.args])
        return node if args == node.args else node.op.construct(args)

    def spliced(self, node: Expr) -> list[Expr]:
        """The operands of a product, those taken apart that have only now become one of the same kind."""
        out: list[Expr] = []
        for a in node.args:
            new = self.done[a]
            new_kind = new.op is node.op and a.op is not node.op and len(new.args) <= _LONGEST
            out += new.args if new_kind and a not in self.named else (new,)
        return out

    def parts(self, e: Expr, op: Any) -> tuple[Expr, ...]:
        """The operands of ``e`` where it is such a product, and goes by no name."""
        return e.args if e.op is op and e not in self.units and len(e.args) <= _LONGEST else (e,)

    # -- matrix products

    def product(self, node: Expr) -> Expr | None:
        args = self.spliced(node)
        scalars = [a for a in args if a.is_scalar]
        runs = _runs([a for a in args if not a.is_scalar])
        changed = [self.run(run) for run in runs]
        if all(new == old for new, old in zip(changed, runs, strict=True)):
            return product(*args) if tuple(args) != node.args else node
        front = [run[0] for run in changed if len(run) == 1 and run[0].is_scalar]
        rest = [f for run in changed if not (len(run) == 1 and run[0].is_scalar) for f in run]
        divisors = [s for s in scalars if s.op is POWER] if rest else []
        return product(*[s for s in scalars if s not in divisors], *front, *rest, *divisors)

    def run(self, run: list[Expr]) -> list[Expr]:
        """Factors that belong together: none of them but the ends is a vector."""
        if any(self.enters(f) for f in run) and len(run) > 1:
            run = self.entrywise(run)
        if len(run) > 1 and run[0].rows is ONE and run[-1].cols is ONE and self.style.scalars in ("inner", "sum"):
            return [self.paired(run)]
        return run

    def enters(self, e: Expr) -> bool:
        """Whether a factor is a diagonal matrix that shall be written entry by entry."""
        column = _column(e)
        if column is None or e in self.named:
            return False
        if _divisor(column) is not None:
            wanted = "hadamard" if self.style.products == "hadamard" and self.style.quotients != "diag" else None
            return wanted is not None or self.style.quotients == "over"
        return self.style.products == "hadamard"

    def entrywise(self, run: list[Expr]) -> list[Expr]:
        """``diag(v)*x`` as ``v .* x``; of rows by their transpose; of a matrix as ``(v*ones') .* A``."""
        if run[0].rows is ONE and run[-1].cols is not ONE:
            turned = self.entrywise([f if _column(f) is not None else transpose(f) for f in reversed(run)])
            return [f if _column(f) is not None else transpose(f) for f in reversed(turned)]
        if len(run) > 2 and self.enters(run[0]) and self.enters(run[-1]) and run[-1].rows is not ONE:
            inside = self.entrywise(run[1:-1])
            outer = product(_columned(run[0]), transpose(_columned(run[-1])))
            return [hadamard(outer, *self.parts(product(*inside), HADAMARD))]
        out: list[Expr] = []
        for f in reversed(run):
            if out and self.enters(f) and not (len(out) == 1 and _column(out[0]) is not None):
                rest = product(*out)
                row = [] if rest.cols is ONE else [transpose(ones(rest.cols))]
                out = [self.scaled(_columned(f), [], row, rest)]
            elif len(out) == 1 and self.enters(out[0]) and not f.is_scalar and f.rows is not ONE:
                out = [self.scaled(transpose(_columned(out[0])), [ones(f.rows)], [], f)]
            else:
                out.insert(0, f)
        return out

    def scaled(self, v: Expr, before: list[Expr], after: list[Expr], rest: Expr) -> Expr:
        """``rest`` times a vector spread over its shape, entry by entry; what divides stands behind."""
        others = self.parts(rest, HADAMARD)
        base = _divisor(v)
        if base is not None:
            return hadamard(*others, power(product(*before, base, *after), -1))
        return hadamard(product(*before, v, *after), *others)

    # -- elementwise products

    def hadamard(self, node: Expr) -> Expr | None:
        if self.style.products != "diag" and self.style.quotients != "diag":
            return None
        args = self.spliced(node)
        if node.is_column:
            return self.of_columns(args)
        return self.of_matrices(args) if not node.is_row and not node.is_scalar else None

    def of_columns(self, args: list[Expr]) -> Expr:
        below = [a for a in args if _negative(a)]
        above = [a for a in args if a not in below]
        if not above:
            return hadamard(*args)
        before: list[Expr] = []
        if self.style.quotients == "diag":
            before = [inv(diagonal(_inverted(a))) for a in below]
            below = []
        if self.style.products == "diag":
            before = [*[diagonal(a) for a in above[:-1]], *before]
            above = above[-1:]
        return product(*before, *self.parts(hadamard(*above, *below), PRODUCT))

    def of_matrices(self, args: list[Expr]) -> Expr:
        """``(u*v') .* A`` as ``diag(u)*A*diag(v)``."""
        left: list[Expr] = []
        right: list[Expr] = []
        kept: list[Expr] = []
        scalars: list[Expr] = []
        for a in args:
            divides = number_of(a.args[1]) == -1 if a.op is POWER else False
            outer = a.args[0] if divides else a
            chosen = self.style.quotients if divides else self.style.products
            factors = [f for f in outer.args if not f.is_scalar] if outer.op is PRODUCT else []
            if chosen != "diag" or len(factors) != 2 or not factors[0].is_column or a in self.named:
                kept.append(a)
                continue
            scale = [f for f in outer.args if f.is_scalar]
            scalars += [power(s, -1) for s in scale] if divides else scale
            for side, column in ((left, factors[0]), (right, transpose(factors[1]))):
                if not isinstance(column.op, Ones):
                    side.append(inv(diagonal(column)) if divides else diagonal(column))
        if not kept:
            return hadamard(*args)
        return product(*scalars, *left, *self.parts(hadamard(*kept), PRODUCT), *right)

    def kept_inside(self, node: Expr) -> Expr | None:
        """An elementwise product within ``diag`` or ``sum`` needs no other spelling."""
        (of,) = node.args
        if of.op is not HADAMARD or of in self.named:
            return None
        return node.op.construct((hadamard(*[self.done[a] for a in of.args]),))

    def diagonal(self, node: Expr) -> Expr | None:
        if self.style.quotients == "diag":
            (of,) = node.args
            factors = of.args if of.op is HADAMARD and of not in self.named else (of,)
            below = [self.done[a] for a in factors if _negative(self.done[a])]
            above = [self.done[a] for a in factors if not _negative(self.done[a])]
            if below and of not in self.named:
                whole = [diagonal(hadamard(*above))] if above else []
                return product(*whole, inv(diagonal(hadamard(*[_inverted(a) for a in below]))))
        return self.kept_inside(node)

    # -- scalars

    def trace(self, node: Expr) -> Expr | None:
        (of,) = node.args
        if self.style.scalars not in ("inner", "sum") or of.op is not PRODUCT or of in self.named:
            return None
        of = self.done[of]
        factors = [a for a in of.args if not a.is_scalar] if of.op is PRODUCT else []
        if len(factors) < 2:
            return None
        return product(*[a for a in of.args if a.is_scalar], self.paired(factors))

    def paired(self, factors: list[Expr]) -> Expr:
        """The trace of a product as inner product or sum, so turned and cut in two that the fewest transposes remain.

        A row, matrices and a column are not turned.
        """
        count = len(factors)
        turns = range(1) if factors[0].rows is ONE else range(count)

        def cut(turn: int, at: int) -> tuple[list[Expr], list[Expr]]:
            cycle = [*factors[turn:], *factors[:turn]]
            return [_turned(f) for f in reversed(cycle[:at])], cycle[at:]

        def transposes(turn: int, at: int) -> int:
            return len([f for half in cut(turn, at) for f in half if f.op is TRANSPOSE])

        best = min(((turn, at) for turn in turns for at in range(1, count)), key=lambda p: (transposes(*p), p))
        left, right = cut(*best)
        return self.joined(product(*left), product(*right))

    def joined(self, a: Expr, b: Expr) -> Expr:
        if self.style.scalars == "sum":
            return total(hadamard(*self.parts(a, HADAMARD), *self.parts(b, HADAMARD)))
        return INNER.construct((a, b))

    def inner(self, node: Expr) -> Expr | None:
        a, b = (self.done[x] for x in node.args)
        if self.style.scalars == "sum":
            return self.joined(a, b)
        if self.style.scalars == "tr" and not a.is_column:
            return tr(product(_turned(a), *self.parts(b, PRODUCT)))
        return None

    def sum(self, node: Expr) -> Expr | None:
        (of,) = node.args
        if self.style.scalars not in ("inner", "tr") or node.op is not SUM or of.op is not HADAMARD:
            return self.kept_inside(node)
        if of in self.named or of.is_row or (of.is_column and self.style.scalars == "tr"):
            return self.kept_inside(node)
        a, *rest = (self.done[x] for x in of.args)
        b = hadamard(*rest)
        if self.style.scalars == "tr":
            return tr(product(_turned(a), *self.parts(b, PRODUCT)))
        return INNER.construct((a, b))

    HANDLERS: ClassVar[dict[str, Any]] = {
        "Product": product,
        "Hadamard": hadamard,
        "Diagonal": diagonal,
        "Trace": trace,
        "Inner": inner,
        "Sum": sum,
    }


def _runs(factors: Sequence[Expr]) -> list[list[Expr]]:
    """The factors of a product, cut between a column and a row."""
    out: list[list[Expr]] = []
    for f in factors:
        if out and out[-1][-1].cols is not ONE:
            out[-1].append(f)
        else:
            out.append([f])
    return out


def _column(e: Expr) -> Expr | None:
    """The v of ``diag(v)`` and of ``diag(v)^-1``, that as ``v.^-1``."""
    if isinstance(e.op, Diagonal):
        return e.args[0]
    if isinstance(e.op, Inv) and isinstance(e.args[0].op, Diagonal):
        return power(e.args[0].args[0], -1)
    return None


def _columned(e: Expr) -> Expr:
    found = _column(e)
    assert found is not None
    return found


def _divisor(e: Expr) -> Expr | None:
    """The v of ``v.^-1``, and of its transpose that of ``v'``."""
    if e.op is TRANSPOSE:
        v = _divisor(e.args[0])
        return None if v is None else transpose(v)
    return e.args[0] if e.op is POWER and number_of(e.args[1]) == -1 else None


def _negative(e: Expr) -> bool:
    p = number_of(e.args[1]) if e.op is POWER and e.args[1].is_scalar else None
    return p is not None and p < 0


def _inverted(e: Expr) -> Expr:
    p = number_of(e.args[1])
    assert p is not None
    return power(e.args[0], -p)


def _turned(e: Expr) -> Expr:
    return e if has(e, SYMMETRIC) else transpose(e)


__all__ = ["Style"]
