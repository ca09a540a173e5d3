"""The commands of every derivative: what they print, their options, their errors and their exit status."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from matcalc.__main__ import main

LAYER = "z = W*x + b; sigmoid(z)"
NET = "u = W2*tanh(W1*x); norm2(u - y)^2/2"
COMMANDS = {
    "grad": (NET, "W1"),
    "gradient": (NET, "W1"),
    "jacobian": (LAYER, "W"),
    "hessian": (NET, "W1"),
    "gauss-newton": (NET, "W1"),
    "differential": ("X^-1", "X"),
    "jvp": (LAYER, "W"),
    "vjp": (LAYER, "W"),
    "hvp": (NET, "W1"),
    "gnvp": (NET, "W1"),
}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    """Runs a command: exit status, standard output, standard error."""

    def call(*argv: str) -> tuple[int, str, str]:
        try:
            status = main(argv)
        except SystemExit as e:  # argparse
            status = int(e.code or 0)
        return status, *capsys.readouterr()

    return call


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("form", ["text", "unicode", "latex", "python", "json"])
def test_every_command_has_every_format(run, command: str, form: str) -> None:
    text, wrt = COMMANDS[command]
    status, out, err = run(command, text, "--wrt", wrt, "--format", form)
    assert (status, err) == (0, "")
    if form == "python":
        compile(out, "derivative.py", "exec")
    elif form == "json":
        assert {"expression", "inferred", "notes", "parts"} <= set(json.loads(out))
    else:
        assert out.strip()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_steps_and_a_check(run, command: str) -> None:
    text, wrt = COMMANDS[command]
    status, out, _ = run(command, text, "--wrt", wrt, "--steps", "--check", "--seed", "4", "--format", "json")
    data = json.loads(out)
    assert status == 0
    assert data["check"]["passed"] is True
    assert data["check"]["seed"] == 4
    assert data["steps"]
    for form in ("text", "latex"):
        assert len(run(command, text, "--wrt", wrt, "--steps", "--format", form)[1].splitlines()) > 8


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (("jacobian", "A*X*B", "--wrt", "X"), "kron(B', A)\n"),
        (("jacobian", "softmax(x)", "--wrt", "x"), "diag(softmax(x)) - softmax(x)*softmax(x)'\n"),
        (("hessian", "x'*A*x", "--wrt", "x"), "A + A'\n"),
        (("hessian", "W*x.^2", "--wrt", "x", "--weights", "p"), "2*diag(W'*p)\n"),
        (("differential", "X^-1", "--wrt", "X"), "d(X^-1) = -X^-1*dX*X^-1\n"),
        (("differential", "X^-1", "--wrt", "X", "--format", "unicode"), "d(X⁻¹) = −X⁻¹ dX X⁻¹\n"),
        (
            ("differential", "X^-1", "--wrt", "X", "--format", "latex"),
            r"d(X^{-1}) = -X^{-1} \, \mathrm{d}X \, X^{-1}" + "\n",
        ),
        (("differential", "z = X^-1; tr(z)", "--wrt", "X"), "df = "),
        (("jvp", "W*x", "--wrt", "x", "--direction", "d"), "W*d\n"),
        (("jvp", "W*x", "--wrt", "x,W", "--direction", "d,D"), "D*x + W*d\n"),
        (("vjp", "W*x", "--wrt", "x"), "W'*u\n"),
        (("vjp", "W*x", "--wrt", "x", "--direction", "q"), "W'*q\n"),
        (("hvp", "1/2*x'*A*x", "--wrt", "x", "--where", "A in R^{n x n} symmetric"), "A*v\n"),
        (("gauss-newton", "u = W*x; norm2(u - y)^2/2", "--wrt", "x"), "G_x = W'*W\nR_x = zeros(n, n)\n"),
        (("gnvp", "u = W*x; norm2(u - y)^2/2", "--wrt", "x", "--at", "u"), "W'*W*v\n"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, tuple) else None,
)
def test_the_closed_form_comes_first(run, argv: tuple[str, ...], shown: str) -> None:
    status, out, err = run(*argv)
    assert (status, err) == (0, "")
    assert out.startswith(shown)


def test_several_variables_have_labels(run) -> None:
    out = run("hessian", "c'*tanh(W*x)", "--wrt", "W,x")[1]
    assert [line.split(" = ")[0] for line in out.splitlines()[:3]] == ["H_W", "H_{W,x}", "H_x"]
    assert set(json.loads(run("hessian", "c'*tanh(W*x)", "--wrt", "W,x", "--format", "json")[1])["hessians"]) == {
        "W", "W,x", "x",
    }  # fmt: skip


def test_blocks_in_python(run) -> None:
    whole = run("jacobian", LAYER, "--wrt", "W,b", "--format", "python")[1]
    blocks = run("jacobian", LAYER, "--wrt", "W,b", "--format", "python", "--blocks")[1]
    assert whole != blocks
    assert "J_b" in blocks
    for source in (whole, blocks):
        compile(source, "jacobian.py", "exec")


@pytest.mark.parametrize("command", ["gauss-newton", "gnvp"])
def test_loss_and_net_apart(run, command: str) -> None:
    together = run(command, NET, "--at", "u", "--wrt", "W1")[1]
    for loss in (("--loss", "norm2(u - y)^2/2"), ("norm2(u - y)^2/2",)):
        apart = run(command, *loss, "--net", "W2*tanh(W1*x)  # the net", "--at", "u", "--wrt", "W1")
        assert (apart[0], apart[1].splitlines()[0]) == (0, together.splitlines()[0])
    program = run(command, "--loss", "norm2(u - y)^2/2", "--net", "z = tanh(W1*x); W2*z", "--at", "u", "--wrt", "W1")
    assert program[0] == 0


def test_a_net_from_a_file_with_its_loss(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "loss.txt"
    file.write_text(NET)
    expected = run("gauss-newton", NET, "--wrt", "W1")[1]
    assert run("gauss-newton", "--file", str(file), "--wrt", "W1")[1] == expected
    monkeypatch.setattr("sys.stdin", io.StringIO(NET))
    assert run("gauss-newton", "-", "--wrt", "W1")[1] == expected


@pytest.mark.parametrize(
    ("argv", "status"),
    [
        (("jacobian", "sigmoid(W*x + b)", "--wrt", "W", "--claim", "diag(sigmoid'(W*x + b))*kron(x', I)"), 0),
        (("jacobian", "A*X*B", "--wrt", "X", "--claim", "kron(A, B')"), 1),
        (("check", "A*X*B", "--wrt", "X", "--of", "jacobian", "--claim", "kron(B', A)"), 0),
        (("check", "A*X*B", "--wrt", "X", "--of", "jacobian", "--claim", "kron(B, A')"), 1),
        (("check", "x'*A*x", "--wrt", "x", "--of", "hessian", "--claim", "A + A'"), 0),
        (("check", "x'*A*x", "--wrt", "x", "--of", "hessian", "--claim", "2*A"), 1),
        (("check", "x'*A*y", "--wrt", "x,y", "--of", "hessian", "--claim", "A"), 0),
        (("check", "X^-1", "--wrt", "X", "--of", "differential", "--claim", "-X^-1*dX*X^-1"), 0),
        (("check", "W*x", "--wrt", "x", "--of", "jvp", "--claim", "W*v"), 0),
        (("check", "W*x", "--wrt", "x", "--of", "vjp", "--claim", "W*u"), 2),
        (("check", "x'*A*x", "--wrt", "x", "--of", "hvp", "--claim", "2*A*v"), 1),
        (("check", "u = W*x; u'*u", "--wrt", "x", "--of", "gauss-newton", "--at", "u", "--claim", "2*W'*W"), 0),
        (("check", "u = W*x; u'*u", "--wrt", "x", "--of", "gnvp", "--claim", "2*W'*W*v"), 0),
        (("check", "W*x", "--wrt", "x", "--of", "jacobian"), 0),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, tuple) else None,
)
def test_claims_about_every_derivative(run, argv: tuple[str, ...], status: int) -> None:
    found, out, err = run(*argv)
    assert found == status
    assert (out if status < 2 else err).strip()


def test_a_claim_beside_the_result(run) -> None:
    _, out, _ = run("jacobian", "A*X*B", "--wrt", "X", "--claim", "kron(B', A)", "--check", "--format", "json")
    data = json.loads(out)
    assert data["claim"]["passed"] is True
    assert data["check"]["passed"] is True
    status, out, err = run("jacobian", "A*X*B", "--wrt", "X", "--claim", "kron(A, B')", "--format", "latex")
    assert (status, out) == (1, "B^\\top \\otimes A\n")
    assert "swapping the factors" in err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("jacobian", "W*x"), "--wrt"),
        (("jacobian", "W*x", "--wrt", ""), "no variable is given"),
        (("jacobian", "W*x", "--wrt", "q"), "there is W, x"),
        (("jacobian", "W*", "--wrt", "x"), "factor is missing"),
        (("jacobian", "W*x", "--wrt", "x", "--direction", "v"), "unrecognized arguments"),
        (("hessian", "x'*x", "--wrt", "x", "--weights", "v"), "weights"),
        (("hessian", "W*x", "--wrt", "x", "--weights", "W"), "meaning"),
        (("hessian", "W*x", "--wrt", "x", "--weights", "2"), "no name"),
        (("gauss-newton", "norm2(W*x - y)^2", "--wrt", "x"), "output of the net"),
        (("gauss-newton", NET, "--wrt", "W1", "--at", "q"), "there is u"),
        (("gauss-newton", NET, "--wrt", "u", "--at", "u"), "output of the net"),
        (("gauss-newton", "u'*u", "--net", "W*x", "--wrt", "x"), "name it, as in --at u"),
        (("gauss-newton", "u'*u", "--net", "", "--at", "u", "--wrt", "x"), "the net is empty"),
        (("gauss-newton", "--loss", "", "--net", "W*x", "--at", "u", "--wrt", "x"), "the loss is empty"),
        (("gauss-newton", "u'*u", "--net", "W*x", "--at", "2u", "--wrt", "x"), "no name"),
        (("gauss-newton", "u'*u", "--loss", "u'*u", "--net", "W*x", "--at", "u", "--wrt", "x"), "leave all but one"),
        (("gauss-newton", "u = W*x; 2*u", "--wrt", "x", "--where", "W in R^{m x n}"), "scalar"),
        (("hvp", "A*x", "--wrt", "x", "--where", "A in R^{m x n}"), "scalar"),
        (("jvp", "W*x", "--wrt", "x", "--direction", "W"), "meaning"),
        (("jvp", "W*x", "--wrt", "x,W", "--direction", "v"), "2 directions are needed"),
        (("vjp", "W*x", "--wrt", "x", "--direction", "1"), "no name"),
        (("differential", "x'*k", "--wrt", "x", "--where", "x in R^n; k in R^m"), "k"),
        (("check", "W*x", "--wrt", "x", "--of", "jacobian", "--at", "u"), "takes no at"),
        (("check", "W*x", "--wrt", "x", "--of", "laplacian"), "invalid choice"),
        (("check", "W*x", "--wrt", "x,W", "--of", "vjp", "--claim", "W'*u"), "a claim is about one variable"),
        (("check", "x'*A*y", "--wrt", "x,y", "--of", "hessian", "--claim", "x"), "the block is in"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, tuple) else None,
)
def test_wrong_input_ends_with_status_2_and_a_way_out(run, argv: tuple[str, ...], message: str) -> None:
    status, out, err = run(*argv)
    assert (status, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


def test_what_does_not_occur_is_zero_with_a_note(run) -> None:
    for command, zero in (("jacobian", "zeros(m, n)"), ("hessian", "zeros(n, n)"), ("jvp", "0"), ("vjp", "zeros(n)")):
        expression = "b" if command in ("jacobian", "vjp") else "b'*b"
        status, out, _ = run(command, expression, "--wrt", "x", "--where", "x in R^n; b in R^m")
        assert status == 0
        assert out.splitlines()[0] == zero
        assert "x does not occur" in out


def test_help_of_every_command(run) -> None:
    for command in COMMANDS:
        status, out, _ = run(command, "--help")
        assert status == 0
        assert "examples:" in out
