"""The command line, in process: formats, exit status, files, standard input, errors, completion."""

import io
import json
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from matcalc.__main__ import main

QUADRATIC = "x'*A*x"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


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


def test_the_result_is_printed_with_what_was_inferred(run) -> None:
    assert run("grad", QUADRATIC, "--wrt", "x") == (0, "(A + A')*x\n# inferred: x in R^n; A in R^{n x n}\n", "")


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ("text", "(A + A')*x"),
        ("unicode", "(A + Aᵀ)x"),
        ("latex", r"(A + A^\top) x"),
        ("python", "def gradient(x, A):"),
        ("json", '"text": "(A + A\')*x"'),
    ],
)
def test_each_format(run, form: str, shown: str) -> None:
    status, out, err = run("grad", QUADRATIC, "--wrt", "x", "--format", form)
    assert (status, err) == (0, "")
    assert shown in out


def test_python_output_is_a_program(run) -> None:
    out = run("grad", QUADRATIC, "--wrt", "x,A", "--format", "python", "--value")[1]
    compile(out, "gradient.py", "exec")
    assert "value" in out


def test_json_holds_steps_and_check(run) -> None:
    status, out, _ = run("grad", QUADRATIC, "--wrt", "x,A", "--steps", "--check", "--format", "json")
    data = json.loads(out)
    assert status == 0
    assert set(data["gradients"]) == {"x", "A"}
    assert data["check"]["passed"] is True
    assert data["steps"]


@pytest.mark.parametrize("form", ["text", "unicode", "latex"])
def test_steps_come_before_the_result(run, form: str) -> None:
    _, out, _ = run("grad", "z = W*x + b; c'*tanh(z)", "--wrt", "W", "--steps", "--format", form)
    assert len(out.splitlines()) > 8


def test_a_check_is_reported(run) -> None:
    status, out, _ = run("grad", QUADRATIC, "--wrt", "x", "--check", "--seed", "3")
    assert status == 0
    assert "seed 3" in out
    assert out.rstrip().endswith("passed")


@pytest.mark.parametrize("names", [("x,A",), ("x", "A"), ("x;A",), (" x , A ",)])
def test_several_variables(run, names: tuple[str, ...]) -> None:
    options = [part for name in names for part in ("--wrt", name)]
    assert run("grad", QUADRATIC, *options)[1].startswith("d_x = (A + A')*x\nd_A = x*x'\n")


def test_variables_in_other_spellings(run) -> None:
    _, out, _ = run("grad", "λ‖x‖₂² + W_1", "--wrt", "λ,W_1", "--where", "W_1 in R")
    assert out.startswith("d_lambda = x'*x\nd_W1 = 1\n")


def test_a_formula_may_begin_with_a_minus(run) -> None:
    assert run("grad", "-x'*x", "--wrt", "x")[1].startswith("-2*x\n")
    assert run("check", "-x'*x", "--wrt", "x", "--claim", "-2*x")[0] == 0


def test_the_place_of_an_error_after_a_minus(run) -> None:
    _, _, err = run("grad", "-x*", "--wrt", "x")
    assert "column 4" in err


PROGRAM = "# the loss\r\nz = W*x + b # affine\r\n\r\nh = tanh(z)\r\nc'*h\r\n"


def test_a_program_comes_from_a_file(run, tmp_path: Path) -> None:
    file = tmp_path / "loss.txt"
    file.write_bytes(b"\xef\xbb\xbf" + PROGRAM.encode())
    status, out, _ = run("grad", "--file", str(file), "--wrt", "b")
    assert status == 0
    assert out.startswith("(1 - h.^2) .* c\nwhere\n  z = W*x + b\n  h = tanh(z)\n")


@pytest.mark.parametrize("given", [("-",), (), ("--file", "-")])
def test_a_program_comes_from_standard_input(run, monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(PROGRAM))
    assert run("grad", *given, "--wrt", "b")[1].startswith("(1 - h.^2) .* c\n")


def test_a_file_that_cannot_be_read(run, tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00x")
    for path, message in ((tmp_path / "no", "cannot be read"), (tmp_path, "cannot be read"), (binary, "UTF-8")):
        status, out, err = run("grad", "--file", str(path), "--wrt", "x")
        assert (status, out) == (2, "")
        assert message in err


def test_one_source_at_a_time(run) -> None:
    status, _, err = run("grad", QUADRATIC, "--file", "loss.txt", "--wrt", "x")
    assert status == 2
    assert "leave all but one of them out" in err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("grad", "", "--wrt", "x"), "nothing to read"),
        (("grad", "(" * 5000, "--wrt", "x"), "never closed"),
        (("grad", QUADRATIC, "--wrt", "y"), "there is x, A"),
        (("grad", QUADRATIC, "--wrt", ""), "no variable is given"),
        (("grad", QUADRATIC, "--wrt", "\x1b[31m"), "\\x1b[31m does not occur"),
        (("grad", QUADRATIC, "--wrt", "x", "--where", "x in"), "a declaration names a set"),
        (("grad", "A*x", "--wrt", "x", "--where", "A in R^{m x n}; x in R^n"), "ask for the Jacobian"),
        (("grad", "x'*\0x", "--wrt", "x"), "not in the language"),
        (("grad", QUADRATIC), "--wrt"),
        (("check", QUADRATIC, "--wrt", "x", "--claim", "2*"), "factor is missing"),
        (("check", QUADRATIC, "--wrt", "x", "--claim", "2*B*x"), "B of the claim does not occur"),
        (("check", QUADRATIC, "--wrt", "x,A", "--claim", "x"), "a claim is about one variable"),
        (("grad", QUADRATIC, "--wrt", "x", "--seed", "a"), "invalid int"),
        ((), "required"),
        (("jacobians",), "invalid choice"),
    ],
    ids=lambda v: v[:24] if isinstance(v, str) else None,
)
def test_wrong_input_ends_with_status_2_and_a_way_out(run, argv: tuple[str, ...], message: str) -> None:
    status, out, err = run(*argv)
    assert (status, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


def test_a_claim_is_judged(run) -> None:
    assert run("check", QUADRATIC, "--wrt", "x", "--claim", "(A + A')*x")[0] == 0
    status, out, _ = run("check", QUADRATIC, "--wrt", "x", "--claim", "2*A*x")
    assert status == 1
    assert "(A + A')/2" in out
    status, out, _ = run("check", QUADRATIC, "--wrt", "x", "--claim", "2*A*x", "--format", "json")
    assert (status, json.loads(out)["passed"]) == (1, False)


def test_without_a_claim_the_derived_gradient_is_checked(run) -> None:
    status, out, _ = run("check", QUADRATIC, "--wrt", "x")
    assert status == 0
    assert out.rstrip().endswith("passed")


def test_colours_are_for_terminals(run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\033[" not in run("grad", QUADRATIC, "--wrt", "x")[1]
    assert "\033[2m" in run("grad", QUADRATIC, "--wrt", "x", "--color", "always")[1]
    for no_color, coloured in (("", True), ("1", False)):
        monkeypatch.setenv("NO_COLOR", no_color)
        terminal = Terminal()
        monkeypatch.setattr("sys.stdout", terminal)
        assert main(["grad", QUADRATIC, "--wrt", "x"]) == 0
        assert ("\033[" in terminal.getvalue()) is coloured
    assert main(["grad", QUADRATIC, "--wrt", "x", "--color", "never"]) == 0


def test_output_that_cannot_be_shown_or_written(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert main(["grad", "λ*x'x", "--wrt", "x", "--format", "unicode"]) == 2
    assert "--format text" in capsys.readouterr().err
    if Path("/dev/full").exists():
        with open("/dev/full", "w") as full:
            monkeypatch.setattr("sys.stdout", full)
            assert main(["rules"]) == 2
            monkeypatch.undo()
            assert "cannot be written" in capsys.readouterr().err
            with suppress(OSError):
                full.close()


def test_help_has_examples(run) -> None:
    for command in ("grad", "check"):
        status, out, _ = run(command, "--help")
        assert status == 0
        assert "examples:" in out
    assert run("--version")[1].startswith("matcalc ")


def test_rules_are_listed(run) -> None:
    status, out, _ = run("rules")
    assert status == 0
    assert "logdet" in out
    assert "vec-product        vec(A*X*B) = kron(B', A)*vec(X)" in out


def test_completion_in_bash(run, tmp_path: Path) -> None:
    (tmp_path / "loss.txt").write_text("x")
    script = run("completion", "bash")[1]
    cases = {
        ("jac",): "jacobian",
        ("gr",): "grad gradient",
        ("grad", "--fo"): "--format",
        ("grad", "--format", "l"): "latex",
        ("grad", "x", "--file", "lo"): "loss.txt",
        ("check", "--cl"): "--claim",
        ("completion", "z"): "zsh",
    }
    for words, expected in cases.items():
        line = " ".join(("matcalc", *words))
        command = f'{script}\nCOMP_WORDS=({line}); COMP_CWORD={len(words)}; _matcalc; echo "${{COMPREPLY[*]}}"'
        try:
            done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
        except FileNotFoundError:
            pytest.skip("bash is not installed")
        assert done.stdout.strip() == expected


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_in_other_shells(run, shell: str) -> None:
    out = run("completion", shell)[1]
    for word in ("grad", "check", "format", "latex", "claim", "fish"):
        assert word in out
