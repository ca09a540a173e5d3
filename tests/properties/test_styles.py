"""Every spelling of a result is equal in value and parses back; so is a result in the names that its program gives."""

import itertools
from random import Random

import mpmath
import pytest

import matcalc
from matcalc.calculus.gradient import gradient
from matcalc.checks.evaluate import evaluate
from matcalc.checks.sampling import draw_point
from matcalc.expr import postorder, variables
from matcalc.primitives.loops import free_indices
from matcalc.printing.choices import CHOICES
from matcalc.printing.document import document, latex_document
from matcalc.printing.style import Style
from matcalc.simplify import simplify
from matcalc.syntax import parse
from tests.properties.generate import declarations, scalar

SIZES = "; dm in R^m; dn in R^n; dp in R^p"  # so that every name of a dimension is known as one
STYLES = [
    dict(zip(CHOICES, chosen, strict=True))
    for chosen in itertools.product(*[(None, *c.values) for c in CHOICES.values()])
]
POINTS = 3
LARGE = 10**12  # values where something singular is inverted are not compared

PROGRAMS = [  # kind, program, variables, declarations
    ("gradient", "r = sigmoid(X*w) - y; r'*r/2", "w", ""),
    ("gradient", "r = y - X*w; r'*D*r", "w, X", "D in R^{m x m} diagonal"),
    ("gradient", "r = y - X*w; s = r'*r; log(1 + s)", "w, X, y", ""),
    ("gradient", "P = A*X*B; tr(P'*C*P)", "X, A", ""),
    ("gradient", "z = W*x + b; h = tanh(z); norm2(V*h - y)^2", "W, x, b, V", ""),
    ("gradient", "R = A - diag(u)*B*diag(v); sum(R .* R .* R)", "u, v, A", ""),
    ("gradient", "q = x'*A*x; c = b'*x; exp(q)*c + 2*q*c^2", "x, A", ""),
    ("gradient", "u = x ./ s; q = u'*A*u; q^2 + sum(1 ./ s)", "x, s, A", "x, s in R^n"),
    ("gradient", "Z = X*W; S = sigmoid(Z); sum(S .* Y)", "W, X", ""),
    ("gradient", "a = x'*y; b = a*x - 2*y; b'*C*b", "x, y", "x, y in R^n; C in R^{n x n} symmetric"),
    ("gradient", "t = tr(A'*X*B'); t^2*sum(A .* X .* X) + <A, X>^3", "X, A", "A, X in R^{m x n}; B in R^{n x n}"),
    ("jacobian", "z = W*x + b; s = sigmoid(z); V*s", "W, x, V", ""),
    ("jacobian", "r = (A*x) ./ b; r .* r", "x, b, A", ""),
    ("jacobian", "q = norm2(x); x/q", "x", ""),
    ("jacobian", "s = softmax(W*x); s .* y", "x, W", ""),
    ("jacobian", "K = X'*X; diag(u)*K^-1*diag(v)", "X, u", ""),
    ("hessian", "s = sigmoid(X*w); -y'*log(s) - (1 - y)'*log(1 - s)", "w", ""),
    ("hessian", "z = W*x + b; c'*tanh(z)", "W, x", ""),
    ("hessian", "r = A*x - b; s = r'*r; exp(-s)", "x, b", ""),
    ("hessian", "sum(silu(X*w)) + sum(atan(w)) + sum(tan(w))", "w", ""),
    ("hvp", "h = gelu(W*x); y'*h", "x, W", ""),
    ("jvp", "h = relu(W*x); V*h ./ c", "x, W, c", ""),
    ("vjp", "Z = W*X; tanh(Z)*diag(c)", "W, X, c", ""),
    ("differential", "Y = A*X; Y'*Y*X^-1", "X", ""),
]


def agree(left, right, seed):
    """Whether two expressions have equal values at random points of their domain."""
    assert left.shape == right.shape
    tested = 0
    with mpmath.workdps(40):
        for attempt in range(4 * POINTS):
            point = draw_point([left, right], Random(f"{seed} {attempt}"), attempt)
            try:
                a, b = evaluate([left, right], point.env, point.sizes)
            except (ZeroDivisionError, ValueError):
                continue
            if not all(mpmath.isfinite(u) and abs(u) < LARGE for u in a.ravel()):
                continue
            tested += 1
            if any(
                abs(u - v) > mpmath.mpf(10) ** -25 * (1 + abs(u)) for u, v in zip(a.ravel(), b.ravel(), strict=True)
            ):
                return False
            if tested == POINTS:
                break
    return True


@pytest.mark.parametrize("seed", range(60))
def test_every_style_of_random_gradients_has_the_same_value(seed):
    f = scalar(f"style {seed}", depth=2 + seed % 3)
    where = declarations(f) + SIZES
    found = [simplify(e) for e in gradient(f, variables([f]), tidy=simplify).values()]
    for choices in Random(seed).sample(STYLES, 4):
        style = Style.of(choices)
        for e in found:
            options = {"style": style, "about": [f]}
            for written in (
                document({"": e}, **options),
                document({"": e}, unicode=True, **options),
                latex_document({"": e}, **options),
            ):
                assert agree(e, parse(written, where).expr, seed), f"{choices}\n{written}\n{where}"


@pytest.mark.parametrize(("kind", "text", "wrt", "where"), PROGRAMS)
def test_every_style_of_programs_has_the_same_value(kind, text, wrt, where):
    result = getattr(matcalc, kind)(text, wrt, where=where)
    declared = result.of.declarations("", result.directions) + SIZES
    last = list(result.labelled.values())[-1]
    for choices in ({}, *Random(text).sample(STYLES, 6)):
        for parts in (True, "own", False):
            for written in (
                result.text(parts=parts, **choices),
                result.text(parts=parts, unicode=True, **choices),
                result.latex(parts=parts, **choices),
            ):
                # Of several results the last one is the value.
                assert agree(last, parse(written, declared).expr, text), f"{choices}\n{written}\n{declared}"


@pytest.mark.parametrize(("kind", "text", "wrt", "where"), [p for p in PROGRAMS if p[0] in ("gradient", "jacobian")])
def test_layouts_are_transposes(kind, text, wrt, where):
    usual = getattr(matcalc, kind)(text, wrt, where=where)
    other = {"gradient": "numerator", "jacobian": "denominator"}[kind]
    turned = getattr(matcalc, kind)(text, wrt, where=where, layout=other)
    for name, e in usual.exprs.items():
        assert agree(e.T, turned[name], name)
    assert turned.check().passed


@pytest.mark.parametrize("seed", range(80))
def test_names_for_any_parts_of_the_formula_leave_the_value(seed):
    rng = Random(f"own {seed}")
    f = scalar(f"own {seed}", depth=2 + seed % 4)
    where = declarations(f) + SIZES
    inner = [node for node in postorder([f]) if node.args and not free_indices(node)]
    own = {node: f"q_{k}" for k, node in enumerate(inner) if rng.random() < 0.4}
    options = {"own": own, "about": [f], "style": Style.of(rng.choice([{}, rng.choice(STYLES)]))}
    for e in gradient(f, variables([f]), tidy=simplify).values():
        e = simplify(e)
        for parts in (True, "own"):
            for written in (document({"": e}, parts=parts, **options), latex_document({"": e}, parts=parts, **options)):
                assert agree(e, parse(written, where).expr, seed), f"{written}\n{where}"
