"""Callables for PyTorch: the numbers of NumPy's, and closed forms as the derivative that autograd takes."""

from __future__ import annotations

import numpy as np
import pytest

import matcalc
from matcalc.errors import ArgumentError, LimitError
from tests.emission.compare import LABELS, differences, labelled, outputs_of, problems

torch = pytest.importorskip("torch")

FUNCTIONS = {
    "logistic": ("sum(log(1 + exp(-y.*(X*w))))", "w", None),
    "logistic by all": ("sum(log(1 + exp(-y.*(X*w))))", "X, y, w", None),
    "residual": ("x + W2*tanh(W1*x + b)", "W1, W2, x, b", None),
    "factors": ("norm2(U*V' - A)^2", "U, V", "A in R^{m x n}; U in R^{m x k}; V in R^{n x k}"),
    "row": ("r*A", "r, A", "r in R^{1 x m}; A in R^{m x n}"),
    "number": ("exp(a)*x", "a, x", "a in R; x in R^n"),
    "softmax": ("softmax(W*x)", "W, x", "W in R^{m x n}"),
    "matrix": ("A*X*B + X", "X, A", "A, B, X in R^{n x n}"),
    "inverse": ("logdet(X) + tr(X^-1*A)", "X", "X, A in R^{n x n}"),
    "size": ("a^2*sum(ones(k)) + a", "a", "a in R"),
    "quantile": ("sum(relu(x - t)) + norm2(x)", "x, t", "x in R^n; t in R"),
}
SIZES = {"m": 3, "n": 4, "k": 2}


def arguments(fn, f, seed: int = 0) -> dict:
    """Random tensors of double precision that ask for a gradient."""
    generator = torch.Generator().manual_seed(seed)
    out = {}
    for name in fn.arguments:
        if name not in f.program.variables:
            out[name] = SIZES[name]
            continue
        shape = [d.evaluate({n: SIZES.get(n, 5) for n in d.names}) for d in f.program.variables[name].shape]
        kept = [d for d in shape if d > 1]
        a = torch.randn(kept, generator=generator, dtype=torch.float64)
        out[name] = a + 3 * torch.eye(kept[0], dtype=torch.float64) if len(kept) == 2 and kept[0] == kept[1] else a
    return out


@pytest.mark.parametrize("name", FUNCTIONS)
def test_autograd_takes_our_closed_form(name: str) -> None:
    text, wrt, where = FUNCTIONS[name]
    f = matcalc.parse(text, where)
    fn = f.compile(library="torch", wrt=wrt)
    given = arguments(fn, f)
    differentiable = [v.strip() for v in wrt.split(",")]

    def of_differentiable(*values):
        return fn(**{**given, **dict(zip(differentiable, values, strict=True))})

    values = [given[v].clone().requires_grad_() for v in differentiable]
    assert torch.autograd.gradcheck(of_differentiable, values)
    assert torch.autograd.gradgradcheck(of_differentiable, values)


def test_training_with_backward() -> None:
    fn = matcalc.parse("sum(log(1 + exp(-y.*(X*w))))").compile(library="torch", wrt="w")
    X, y, w = torch.randn(9, 3), torch.sign(torch.randn(9)), torch.zeros(3, requires_grad=True)
    fn(X=X, y=y, w=w).backward()
    expected = torch.autograd.grad(torch.nn.functional.softplus(-y * (X @ w)).sum(), w)[0]
    torch.testing.assert_close(w.grad, expected)
    assert "class Function(torch.autograd.Function)" in fn.source


def test_kronecker_products_of_transposes() -> None:
    fn = matcalc.parse("kron(A', B + C)", "A in R^{m x n}; B, C in R^{p x q}").compile(library="torch")
    A, B = torch.randn(2, 3), torch.randn(4, 5)
    torch.testing.assert_close(fn(A=A, B=B, C=B), torch.kron(A.T.contiguous(), 2 * B))


def test_transforms_of_functions() -> None:
    fn = matcalc.parse("sum(tanh(W*x).^2)").compile(library="torch", wrt="W, x").function
    W, x = torch.randn(3, 4, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)
    batched = torch.func.vmap(torch.func.grad(fn, argnums=1), in_dims=(None, 0))(W, x)
    one_by_one = torch.stack([torch.func.grad(fn, argnums=1)(W, row) for row in x])
    torch.testing.assert_close(batched, one_by_one)


def test_an_argument_without_known_derivative_is_refused() -> None:
    fn = matcalc.parse("sum(log(1 + exp(-y.*(X*w))))").compile(library="torch", wrt="w")
    X = torch.randn(4, 3, requires_grad=True)
    with pytest.raises(ValueError, match="detach"):
        fn(X=X, y=torch.ones(4), w=torch.zeros(3))


def test_precision_and_kind_follow_the_arguments() -> None:
    g = matcalc.gradient("norm2(A*x - b)^2 + a*sum(x)", "x").compile(library="torch")
    given = {"A": torch.randn(3, 2), "x": torch.randn(2), "b": np.ones(3, dtype=np.float32), "a": 2}
    assert g(**given).dtype is torch.float32
    assert g(**{**given, "x": torch.randn(2, dtype=torch.float64)}).dtype is torch.float64
    assert g(A=torch.ones(3, 2, dtype=torch.int64), x=torch.ones(2), b=[1, 2, 3], a=1.0).dtype is torch.float32
    zero = matcalc.hessian("c'*x", "x").compile(library="torch")
    assert zero(c=torch.ones(3, dtype=torch.float64)).dtype is torch.float64


def test_errors_say_what_is_wrong() -> None:
    g = matcalc.gradient("norm2(A*x - b)^2", "x").compile(library="torch")
    A, x, b = torch.randn(3, 2), torch.randn(2), torch.randn(3)
    with pytest.raises(ArgumentError, match=r"b must have shape \(m,\) = \(3,\) since A is \(3, 2\)"):
        g(A=A, x=x, b=torch.randn(4))
    with pytest.raises(ArgumentError, match="x must be a vector"):
        g(A=A, x=x[:, None], b=b)
    with pytest.raises(ArgumentError, match="b is missing"):
        g(A=A, x=x)
    with pytest.raises(ArgumentError, match="q is not taken"):
        g(A=A, x=x, b=b, q=1)
    with pytest.raises(ArgumentError, match="A is complex"):
        g(A=A + 1j, x=x, b=b)
    with pytest.raises(LimitError):
        matcalc.jacobian("A*X", "X").compile(library="torch", limit=100)(A=A, X=torch.randn(2, 9))


def test_results_share_no_memory_with_arguments() -> None:
    fn = matcalc.jacobian("A*x", "x").compile(library="torch")
    A = torch.randn(3, 2)
    found = fn(A=A)
    found.zero_()
    assert A.abs().sum() > 0


def numbers(library: str, name: str) -> None:
    given = outputs_of(problems()[name])
    if given is None:
        pytest.skip("nothing is derived")
    found = differences(library, *given, name, torch.as_tensor, lambda a: a.numpy())
    if found is not None:
        assert found[0] < 1e-8, found[1]


@pytest.mark.parametrize("name", list(problems())[::6])
def test_numbers_of_numpy(name: str) -> None:
    numbers("torch", name)


@pytest.mark.parametrize("name", ["hessians/logistic-regression", "hessians/rayleigh-quotient"])
def test_the_printed_function_runs_alone(name: str) -> None:
    problem = problems()[name]
    derived = matcalc.parse(problem["text"], problem.get("where")).hessian(problem["wrt"])
    space: dict = {}
    text = derived.source(format="torch")
    assert "matcalc" not in text
    exec(text, space)
    fn = derived.compile(library="torch")
    given = arguments(fn, derived.of)
    torch.testing.assert_close(space["hessian"](*given.values()), fn(**given))


def test_the_printed_function_takes_numbers() -> None:
    """What is saved for backward are tensors."""
    f = matcalc.parse("s*norm2(A*x)^2 + t", "s, t in R")
    A = torch.ones((3, 2), dtype=torch.float64)
    x = torch.ones(2, dtype=torch.float64, requires_grad=True)
    space: dict = {}
    exec(f.source(format="torch", wrt="x"), space)
    given = {"s": 0.5, "A": A, "x": x, "t": 1}
    space["function"](*[given[name] for name in f.compile().arguments]).backward()
    torch.testing.assert_close(x.grad, torch.full((2,), 6.0, dtype=torch.float64))
    exec(matcalc.parse("sin(s*t)", "s, t in R").source(format="torch", wrt="s, t"), space)
    assert float(space["function"](0.5, 2)) == pytest.approx(np.sin(1.0))


@pytest.mark.parametrize("row", LABELS, ids=str)
def test_labels_of_a_batch_are_taken_at_once(row: tuple[str, str, str, str]) -> None:
    labelled("torch", row, torch.as_tensor, lambda a: a.numpy())


def test_labels_keep_their_precision() -> None:
    """bfloat16 has no number between 256 and 258."""
    g = matcalc.gradient("sum(x) + x[k]^2", "x", "x in R^n").compile(library="torch", batch="k")
    x = torch.ones(400, dtype=torch.bfloat16)
    assert g(x=x, k=[257])[0].argmax() == 256


def test_gradients_that_nothing_needs_are_not_computed() -> None:
    f = matcalc.parse("norm2(U*phi(V)' - A)^2", "A in R^{m x n}; U in R^{m x k}; V in R^{n x k}")
    calls = []

    def slope(t):
        calls.append(t)
        return torch.cos(t)

    fn = f.compile(library="torch", wrt="U, V, A", functions={"phi": [torch.sin, slope]})
    A, U, V = torch.randn(4, 3), torch.randn(4, 2, requires_grad=True), torch.randn(3, 2)
    fn(A=A, U=U, V=V).backward()
    torch.testing.assert_close(U.grad, 2 * (U.detach() @ torch.sin(V).T - A) @ torch.sin(V))
    assert not calls
    fn(A=A, U=U, V=V.requires_grad_()).backward()
    assert len(calls) == 1


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # of torch itself
def test_torch_compile() -> None:
    f = matcalc.parse("sum(relu(X*w) .* softplus(y)) + det(X'*X)", "X in R^{m x n}")
    X, w, y = torch.randn(5, 2), torch.randn(2, requires_grad=True), torch.randn(5)
    loss = f.compile(library="torch", wrt="w")
    given = {"X": X, "w": w, "y": y}
    args = [given[name] for name in loss.arguments]
    value = torch.compile(loss.function, backend="eager", fullgraph=True)(*args)
    torch.testing.assert_close(torch.autograd.grad(value, w), torch.autograd.grad(loss(*args), w))


def test_kronecker_products_of_turned_matrices() -> None:
    j = matcalc.jacobian("A*X*B", "X").compile(library="torch")
    A, B = torch.randn(3, 2), torch.randn(4, 5)
    for a, b in ((A, B), (A.T.contiguous().T, B), (A, B.T.contiguous().T)):
        torch.testing.assert_close(j(A=a, B=b), torch.kron(B.T.contiguous(), A))
