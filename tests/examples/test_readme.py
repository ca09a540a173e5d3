"""What the README shows is what comes out."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from matcalc.__main__ import main

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def consoles() -> list[tuple[str, list[str]]]:
    """Commands, and the lines that the README shows below them."""
    found: list[tuple[str, list[str]]] = []
    for block in blocks("console"):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def remarked() -> list[tuple[str, str]]:
    """Commands with the formula that stands behind or below them."""
    found = []
    for block in blocks("sh"):
        lines = [*block.splitlines(), ""]
        for line, below in pairwise(lines):
            command, _, remark = line.partition("  #")
            remark = remark or (below.removeprefix("#") if below.startswith("# ") else "")
            if command.startswith("matcalc ") and re.search(r"[*']", remark):
                found.append((command, remark.strip()))
    return found


def output(command: str) -> list[str]:
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        main(shlex.split(command)[1:])
    return shown.getvalue().splitlines()


@pytest.mark.parametrize(("command", "expected"), consoles(), ids=[c for c, _ in consoles()])
def test_consoles(command: str, expected: list[str]) -> None:
    lines = output(command)
    while expected and not expected[-1]:
        expected = expected[:-1]
    cuts = [k for k, line in enumerate(expected) if line.strip() == "..."]  # what stands there is left out
    if cuts:
        (at,) = cuts
        rest = expected[at + 1 :]
        assert lines[:at] == expected[:at]
        assert lines[len(lines) - len(rest) :] == rest
    else:
        assert lines == expected


@pytest.mark.parametrize(("command", "formula"), remarked(), ids=[c for c, _ in remarked()])
def test_formulas_behind_commands(command: str, formula: str) -> None:
    assert output(command)[0] == formula


def test_python() -> None:
    pytest.importorskip("scipy")
    names: dict[str, object] = {}
    count = 0
    for block in blocks("python"):
        if block.startswith("import"):
            shown = io.StringIO()
            with contextlib.redirect_stdout(shown):
                exec(block, names)
            expected = [line.partition("#")[2].strip() for line in block.splitlines() if line.startswith("print(")]
            assert shown.getvalue().splitlines() == expected
            count += 1
    assert count == 3


def test_there_is_something_to_test() -> None:
    assert len(consoles()) > 5
    assert len(remarked()) > 5
