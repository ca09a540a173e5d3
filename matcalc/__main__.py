"""The command line: ``matcalc grad "x'*A*x" --wrt x``. Exit status: 0 done, 1 a check failed, 2 wrong input."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from matcalc.errors import MatcalcError, ParseError

LONGEST_INPUT = 1_000_000  # characters of a file or of standard input

_EXAMPLES = """\
examples:
  matcalc grad "c^T Ψ((W+V)Φ(Wx+b))" --wrt W
  matcalc grad "norm2(A*x - b)^2" --wrt x --steps
  matcalc grad "x'*A*x" --wrt x --where "A in R^{n x n} symmetric" --check
  matcalc grad "z = W*x + b; c'*tanh(z)" --wrt W,b --format latex
  matcalc grad --file loss.txt --wrt w --format python > gradient.py
  echo "logdet(X)" | matcalc grad - --wrt X
  matcalc check "x'*A*x" --wrt x --claim "2*A*x"
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status."""
    arguments = _parser().parse_args(_spaced(sys.argv[1:] if argv is None else argv))
    colour = _Colour(arguments.color)
    try:
        status = int(arguments.run(arguments, colour))
        sys.stdout.flush()
        return status
    except MatcalcError as e:
        first, _, rest = str(e).partition("\n")
        kind, _, message = first.partition(":")
        print(f"{colour.red(kind + ':', sys.stderr)}{message}" + (f"\n{rest}" if rest else ""), file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader of our output is gone; what is still in the buffer must not complain when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except UnicodeEncodeError as e:
        sign = ascii(e.object[e.start])
        print(f"the output cannot show {sign}; take --format text, or a terminal in UTF-8", file=sys.stderr)
        return 2
    except OSError as e:
        print(f"the output cannot be written: {e.strerror}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _spaced(argv: Sequence[str]) -> list[str]:
    """The arguments, with a space before those that begin with a minus as formulas do: ``-x'*x`` is no option."""
    return [f" {a}" if a[:1] == "-" and a[1:2] not in ("", "-") and a != "-h" else a for a in argv]


def _grad(arguments: argparse.Namespace, colour: _Colour) -> int:
    from matcalc.results import Formula, split_names

    wrt = split_names(arguments.wrt)
    result = Formula.read(_text(arguments), arguments.where, wrt=wrt, scalar=True).gradient(*wrt)
    report = result.check(seed=arguments.seed) if arguments.check else None
    if arguments.format == "json":
        import json

        data = result.as_dict()
        if arguments.steps:
            from matcalc.printing.steps import steps_dict

            data["steps"] = steps_dict(result.steps)
        if report is not None:
            data["check"] = report.as_dict()
        print(json.dumps(data, ensure_ascii=False, indent=2))
    elif arguments.format == "python":
        print(result.source(value=arguments.value).rstrip("\n"))
    elif arguments.format == "latex":
        if arguments.steps:
            from matcalc.printing.steps import steps_latex

            print(steps_latex(result.steps))
        print(result.latex(parts=not arguments.full, names=result.steps.names if arguments.steps else None))
    else:
        unicode = arguments.format == "unicode" or (arguments.format is None and _speaks_unicode())
        if arguments.steps:
            from matcalc.printing.steps import steps_text

            print(steps_text(result.steps, unicode=unicode), end="\n\n")
        names = result.steps.names if arguments.steps else None
        print(result.text(unicode=unicode, parts=not arguments.full, names=names))
        for line in _about(result):
            print(colour.dim(f"# {line}"))
    if report is not None and arguments.format != "json":
        print(f"\n{report}", file=sys.stdout if arguments.format in (None, "text", "unicode") else sys.stderr)
    return 0 if report is None or report.passed else 1


def _about(result: Any) -> list[str]:
    """What was inferred and where the result holds, one remark a line."""
    lines = [f"inferred: {'; '.join(result.of.inferred)}"] if result.of.inferred else []
    return lines + [f"warning: {w}" for w in result.of.warnings] + [f"note: {n}" for n in result.notes]


def _check(arguments: argparse.Namespace, colour: _Colour) -> int:
    from matcalc.results import Formula, split_names

    wrt = split_names(arguments.wrt)
    formula = Formula.read(_text(arguments), arguments.where, wrt=wrt, scalar=True)
    if arguments.claim is None:
        report: Any = formula.gradient(*wrt).check(seed=arguments.seed)
    else:
        if len(wrt) != 1:
            raise ParseError("a claim is about one variable", hint="give one name with --wrt")
        report = formula.check_claim(wrt[0], arguments.claim, seed=arguments.seed)
    if arguments.format == "json":
        import json

        print(json.dumps(report.as_dict(), ensure_ascii=False, indent=2))
    else:
        print(report)
    return 0 if report.passed else 1


def _rules(arguments: argparse.Namespace, colour: _Colour) -> int:
    from matcalc.printing.table import rules_table

    print(rules_table())
    return 0


def _completion(arguments: argparse.Namespace, colour: _Colour) -> int:
    from matcalc.completion import script

    print(script(arguments.shell, _parser()), end="")
    return 0


def _text(arguments: argparse.Namespace) -> str:
    """The expression: from the command line, a file, or standard input."""
    if arguments.file is not None and arguments.expression not in (None, "-"):
        raise ParseError("both an expression and --file are given", hint="leave one of them out")
    try:
        if arguments.file not in (None, "-"):
            with open(arguments.file, encoding="utf-8-sig") as file:
                return file.read(LONGEST_INPUT + 1)
        if arguments.expression in (None, "-") or arguments.file == "-":
            if arguments.expression is None and arguments.file is None and sys.stdin.isatty():
                raise ParseError(
                    "no expression is given", hint=f'for instance: matcalc {arguments.command} "x\'*A*x" --wrt x'
                )
            return sys.stdin.read(LONGEST_INPUT + 1)
    except OSError as e:
        raise ParseError(f"{arguments.file} cannot be read: {e.strerror}") from None
    except UnicodeDecodeError:
        raise ParseError(f"{arguments.file or 'standard input'} is not text in UTF-8") from None
    return str(arguments.expression).removeprefix(" ")


def _speaks_unicode() -> bool:
    """Whether a person at a terminal reads the output, and the terminal shows mathematical signs."""
    return sys.stdout.isatty() and (sys.stdout.encoding or "").lower().startswith("utf")


class _Colour:
    """Escape sequences, only for a terminal (``auto``), and never when NO_COLOR is set."""

    def __init__(self, when: str) -> None:
        self.when = when

    def _wrap(self, code: str, text: str, stream: Any) -> str:
        wanted = self.when == "always" or (self.when == "auto" and stream.isatty() and not os.environ.get("NO_COLOR"))
        return f"\033[{code}m{text}\033[0m" if wanted else text

    def red(self, text: str, stream: Any) -> str:
        return self._wrap("1;31", text, stream)

    def dim(self, text: str) -> str:
        return self._wrap("2", text, sys.stdout)


def _parser() -> argparse.ArgumentParser:
    from matcalc import __version__

    parser = argparse.ArgumentParser(
        prog="matcalc",
        description="Matrix calculus: gradients in closed form, with steps, LaTeX, NumPy code and numerical checks.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"matcalc {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")

    about = argparse.ArgumentParser(add_help=False)
    about.add_argument(
        "expression", nargs="?", metavar="EXPR", help="the expression or program; - reads standard input"
    )
    about.add_argument(
        "--wrt", action="append", required=True, metavar="NAMES", help="differentiate by these, as W or W,b"
    )
    about.add_argument(
        "--where", metavar="DECLARATIONS", help='as "x in R^n; A in R^{n x n} symmetric; phi: elementwise"'
    )
    about.add_argument("--file", metavar="FILE", help="read the program from a file")
    about.add_argument("--seed", type=int, default=0, metavar="N", help="of the random values of a check (default 0)")

    def command(name: str, run: Any, help: str, *formats: str, of_expression: bool = True) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name,
            help=help,
            description=f"{help[0].upper()}{help[1:]}.",
            parents=[about] if of_expression else [],
            epilog=_EXAMPLES if of_expression else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if formats:
            made.add_argument("--format", choices=formats, help="default: text; unicode on a terminal that shows it")
        made.add_argument("--color", choices=("auto", "always", "never"), default="auto", help="default: on a terminal")
        made.set_defaults(run=run)
        return made

    grad = command("grad", _grad, "the gradient of a scalar expression", "text", "unicode", "latex", "python", "json")
    grad.add_argument("--steps", action="store_true", help="show the derivation")
    grad.add_argument("--check", action="store_true", help="verify the result by numbers; exit status 1 if it fails")
    grad.add_argument("--full", action="store_true", help="write repeated parts out instead of naming them")
    grad.add_argument("--value", action="store_true", help="with --format python: return the value, too")
    check = command(
        "check", _check, "verify the derived gradient, or a formula that you claim, by numbers", "text", "json"
    )
    check.add_argument("--claim", metavar="FORMULA", help="your own formula for the gradient")
    command("rules", _rules, "list the functions and operators with their differentials", of_expression=False)
    completion = command("completion", _completion, "print a completion script for your shell", of_expression=False)
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
