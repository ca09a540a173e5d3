"""The small factors of a structured matrix: ``kron(M, eye(m))`` with ``M = 2*V'*V``, instead of all its entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matcalc.dims import shape_text
from matcalc.expr import Expr, postorder
from matcalc.primitives.algebra import ADD, PRODUCT, TRANSPOSE, add, product, transpose
from matcalc.primitives.leaves import Commutation, Const, Identity, Ones, const, var
from matcalc.primitives.products import KHATRI_RAO, KRON, khatri_rao, kron
from matcalc.primitives.structure import Diagonal, HCat, Slice, VCat, Vec, diagonal, vec
from matcalc.results.derivative import Functions
from matcalc.results.names import fresh
from matcalc.simplify import simplify
from matcalc.simplify.solving import unstacked
from matcalc.simplify.terms import term

if TYPE_CHECKING:
    from matcalc.lowering import Compiled
    from matcalc.results.matrices import Matrix

_PAIRS = {KRON: kron, KHATRI_RAO: khatri_rao}


class Compressed:
    """A matrix, or its blocks, as its structure and the small factors in it.

    ``structure``  for each block the expression in the names of the factors
    ``factors``    the factors by name; a variable that is one has its own name
    """

    def __init__(self, of: Matrix) -> None:
        self.of = of
        self.factors: dict[str, Expr] = {}
        self._names: dict[Expr, Expr] = {}
        self._taken = {*of.of.taken, *([] if of.weights is None else [of.weights.op.name])}
        self.structure: dict[str, Expr] = {name: self._split(e) for name, e in of.exprs.items()}

    def _split(self, e: Expr) -> Expr:
        if e.is_zero or isinstance(e.op, (Identity, Commutation, Ones, Const)):
            return e
        if not _is_structured(e):
            return self._named(e)
        if e.op in _PAIRS:
            return _PAIRS[e.op](*[self._split(a) for a in e.args])
        if isinstance(e.op, Diagonal):
            return diagonal(self._column(e.args[0]))
        if isinstance(e.op, Vec):
            return vec(self._split(e.args[0]))
        if e.op is TRANSPOSE:
            return transpose(self._split(e.args[0]))
        if e.op is ADD:
            return add(*[self._term(t) for t in e.args], shape=e.shape)
        if e.op is PRODUCT:
            return self._product(e)
        if isinstance(e.op, (HCat, VCat)):
            return e.op.construct(tuple([self._split(a) for a in e.args]))
        return self._named(e)

    def _product(self, e: Expr) -> Expr:
        """Numbers and scalar factors go into the first factor that has a name of its own."""
        c, s, m = term(e)
        scale = product(const(c), *s)
        at = None if not s and c in (1, -1) else next((k for k, f in enumerate(m) if _takes(f)), None)
        factors = [self._scaled(f, scale) if k == at else self._split(f) for k, f in enumerate(m)]
        if at is not None:
            return product(*factors)
        return product(*([scale] if not s else [self._named(simplify(scale))]), *factors)

    def _scaled(self, f: Expr, scale: Expr) -> Expr:
        """A factor with a number put into the first part of it that is computed."""
        if isinstance(f.op, Diagonal):
            return diagonal(self._column(simplify(product(scale, f.args[0]))))
        k = next(k for k, a in enumerate(f.args) if _is_computed(a))
        parts = [self._named(simplify(product(scale, a))) if j == k else self._split(a) for j, a in enumerate(f.args)]
        return _PAIRS[f.op](*parts)  # type: ignore[index]

    def _term(self, t: Expr) -> Expr:
        """A term of a sum; one of rank one as a column times a row."""
        c, s, m = term(t)
        if _is_structured(t) or len(m) < 2:
            return self._split(t)
        places = [k for k in range(1, len(m)) if m[k].rows.value is not None]
        if not places:
            return self._split(t)
        k = places[0]
        numbers = [const(c)] if not s else [self._named(simplify(product(const(c), *s)))]
        return product(*numbers, self._split(_joined(m[:k])), self._split(_joined(m[k:])))

    def _column(self, d: Expr) -> Expr:
        """A column: as the vec of a matrix where it is put together from such."""
        if isinstance(d.op, Ones):
            return d
        for shape in dict.fromkeys(node.args[0].shape for node in postorder([d]) if isinstance(node.op, Vec)):
            whole = unstacked(d, shape)
            if whole is not None and whole.shape == shape:
                return vec(self._named(simplify(whole)))
        return self._named(d)

    def _named(self, e: Expr) -> Expr:
        if isinstance(e.op, Const):
            return e
        turned = simplify(transpose(e))
        if turned in self._names:
            return transpose(self._names[turned])
        if e.op is TRANSPOSE and e.args[0].op.is_variable:
            return transpose(self._named(e.args[0]))
        if e.is_row and not e.op.is_variable:
            return transpose(self._named(turned))
        if e not in self._names:
            if e.op.is_variable:
                name, made = e.op.name, e
            else:
                letters = "cabg" if e.is_scalar else "dcuwz" if e.is_column else "mnpqrst"
                name = fresh(e.shape, self._taken, None, letters)
                made = var(name, e.shape)
            self._taken.add(name)
            self._names[e] = made
            self.factors[name] = e
        return self._names[e]

    def compile(self, *, functions: Functions | None = None) -> Compiled:
        """A NumPy callable that gives the factors: one array, or a tuple of them in the order of ``factors``."""
        return self.of.compile(compressed=True, functions=functions)

    def text(self, *, unicode: bool = False, lines: bool = True, parts: bool = True) -> str:
        """The structure, and unless ``parts`` is False what its names stand for."""
        from matcalc.printing.text import text

        heads = [f"{label} = {text(e, unicode=unicode)}" for label, e in self._labelled().items()]
        computed = self._computed() if parts else {}
        named = [f"{name} = {text(e, unicode=unicode)}" for name, e in computed.items()]
        if not lines:
            return ", ".join(heads) + (f" with {', '.join(named)}" if named else "")
        return "\n".join([*heads, *(["where", *(f"  {p}" for p in named)] if named else [])])

    def latex(self) -> str:
        """The same in LaTeX."""
        from matcalc.printing.latex import latex

        rows = [f"{latex(var(label, e.shape))} &= {latex(e)}" for label, e in self._labelled().items()]
        rows += [f"{latex(self._names[e])} &= {latex(e)}" for e in self._computed().values()]
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"

    def _labelled(self) -> dict[str, Expr]:
        single = len(self.structure) == 1
        return {self.of.symbol if single else self.of.label(name): e for name, e in self.structure.items()}

    def _computed(self) -> dict[str, Expr]:
        """The factors that are not variables of the formula."""
        return {name: e for name, e in self.factors.items() if self._names[e] is not e}

    def as_dict(self) -> dict[str, Any]:
        """The structure and the factors as text, for JSON."""
        from matcalc.printing.text import text

        factors = {name: {"shape": shape_text(e.shape), "text": text(e)} for name, e in self.factors.items()}
        return {"structure": {name: text(e) for name, e in self.structure.items()}, "factors": factors}

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<{self.text(lines=False)}>"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"


def _takes(f: Expr) -> bool:
    return isinstance(f.op, Diagonal) or (f.op in _PAIRS and any(_is_computed(a) for a in f.args))


def _is_computed(a: Expr) -> bool:
    """Whether a part gets a name that stands for more than a variable."""
    return bool(a.args) and not (a.op is TRANSPOSE and a.args[0].op.is_variable) and not _is_structured(a)


def _joined(factors: tuple[Expr, ...]) -> Expr:
    return simplify(product(*factors))


def _is_structured(e: Expr) -> bool:
    """Whether a matrix has parts that say more than its entries: Kronecker products, diagonals, blocks.

    A product such as ``X'*diag(d)*X`` is an ordinary matrix, and so is its sum with a multiple of the identity.
    """
    op = e.op
    if op in _PAIRS or isinstance(op, (Identity, Commutation, Vec, Diagonal, HCat, VCat)):
        return True
    if op is TRANSPOSE:
        return _is_structured(e.args[0])
    if op is ADD:
        return not e.is_scalar and all(_is_structured(t) or _is_thin(t) for t in e.args)
    if op is not PRODUCT:
        return isinstance(op, Slice) and isinstance(e.args[0].op, Identity)
    inside = [a for a in e.args if not a.is_scalar]
    if len(inside) > 1 and all(isinstance(a.op, Diagonal) or not _is_structured(a) for a in inside):
        return False
    return any(_is_structured(a) for a in inside)


def _is_thin(t: Expr) -> bool:
    """Whether a term is a product of a few columns and rows."""
    m = term(t).factors
    return any(f.rows.value is not None for f in m[1:])


__all__ = ["Compressed"]
