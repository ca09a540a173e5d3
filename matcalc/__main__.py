"""The command line: ``matcalc grad "x'*A*x" --wrt x``. Exit status: 0 done, 1 a check failed, 2 wrong input."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from matcalc.errors import ArgumentError, MatcalcError, ParseError

LONGEST_INPUT = 1_000_000  # characters of a file or of standard input

_EXAMPLES = """\
examples:
  matcalc grad "c^T Ψ((W+V)Φ(Wx+b))" --wrt W
  matcalc grad "norm2(A*x - b)^2" --wrt x --steps
  matcalc grad "x'*A*x" --wrt x --where "A in R^{n x n} symmetric" --check
  matcalc grad --file loss.txt --wrt w --format python > gradient.py
  echo "logdet(X)" | matcalc grad - --wrt X
  matcalc jacobian "sigmoid(W*x + b)" --wrt W,b --format latex
  matcalc hessian "sum(log(1 + exp(-y.*(X*w))))" --wrt w
  matcalc gauss-newton "u = W2*tanh(W1*x); norm2(u - y)^2" --at u --wrt W1
  matcalc hessian "sum(softplus(X*w))" --wrt w --slopes prime --products hadamard
  matcalc differential "X^-1" --wrt X
  matcalc jvp "softmax(x)" --wrt x --direction v
  matcalc newton "norm2(A*x - b)^2" --wrt x --format c > newton.c
  matcalc hessian "norm(U*V' - A)^2" --wrt U --where "U in R^{m x k}; V in R^{n x k}" --compressed
  matcalc check "x'*A*x" --wrt x --claim "2*A*x"
  matcalc check "A*X*B" --wrt X --of jacobian --claim "kron(B, A')"
"""


_DERIVATIVES: dict[str, tuple[str, tuple[str, ...]]] = {  # help, options
    "grad": ("the gradient of a scalar expression", ("layout", "function")),
    "jacobian": ("the Jacobian, d vec(F) = J*d vec(X)", ("layout", "blocks", "compressed")),
    "hessian": ("the Hessian, of several variables in blocks", ("weights", "blocks", "compressed", "gradient")),
    "gauss-newton": (
        "the Gauss-Newton matrix G = J'*H_loss*J, and H - G",
        ("at", "net", "blocks", "compressed", "gradient"),
    ),
    "differential": ("the differential, linear in dX", ()),
    "jvp": ("the product J*v with the Jacobian", ("direction", "linearised")),
    "vjp": ("the product J'*u with the transposed Jacobian", ("direction", "linearised", "function")),
    "hvp": ("the product H*v with the Hessian", ("direction", "gradient", "linearised")),
    "gnvp": ("the product G*v with the Gauss-Newton matrix", ("at", "net", "direction", "gradient", "linearised")),
    "newton": ("the Newton step H^-1*g, with the Hessian H and the gradient g", ("at", "net", "shift", "gradient")),
}
_SOURCES = ("python", "torch", "jax", "julia", "matlab", "c")  # the keys of emission.FORMATS
_OF_SOURCES = ("value", "gradient", "blocks", "linearised", "batch", "function")  # options of functions only
_EXCLUDED = {  # what one option leaves no place for
    "function": ("value", "batch", "linearised", "layout", "steps"),
    "compressed": ("blocks", "steps"),
    "linearised": ("batch",),
}
_ALIASES = {"grad": ("gradient",)}

_OPTIONS: dict[str, dict[str, Any]] = {
    "at": {"metavar": "NAME", "help": "the quantity of the program that is the output of the net, as u"},
    "net": {"metavar": "EXPR", "help": "the net, where EXPR (or --loss) is only the loss of what --at names"},
    "direction": {"metavar": "NAMES", "help": "names of the directions, one for each variable (default: v, ...)"},
    "weights": {"metavar": "NAME", "help": "of an expression with m entries: name of the weights of the m Hessians"},
    "blocks": {"action": "store_true", "help": "in source code: return the blocks, not one matrix"},
    "compressed": {
        "action": "store_true",
        "help": "the small factors in the structure of the matrix, as M in kron(M, I)",
    },
    "gradient": {"action": "store_true", "help": "in source code: return the gradients, too"},
    "linearised": {
        "action": "store_true",
        "help": "with --format python, torch, jax: a function that gives the function of the direction",
    },
    "function": {
        "action": "store_true",
        "help": "with --format torch, jax: the value, as a function whose derivative is this closed form",
    },
    "shift": {"metavar": "NAME", "help": "a number that is added to the diagonal, as mu in (H + mu*I)^-1*g"},
    "layout": {
        "choices": ("numerator", "denominator"),
        "help": "numerator: the gradient as a row; denominator: the transposed Jacobian (default: each as it is usual)",
    },
}


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


def _derive(arguments: argparse.Namespace, colour: _Colour) -> int:
    """Serves all commands that derive something."""
    _require_sensible(arguments)
    result = _result(arguments, arguments.command)
    reports = []
    if arguments.check:
        reports.append(result.check(seed=arguments.seed))
    if arguments.claim is not None:
        reports.append(_judged(result, arguments))
    if arguments.format == "json":
        _print_json(result, reports, arguments)
    elif arguments.format in _SOURCES and getattr(arguments, "function", False):
        print(result.of.source(format=arguments.format, wrt=list(result.variables)).rstrip("\n"))
    elif arguments.format in _SOURCES:
        flags = ("blocks", "compressed", "gradient", "linearised")
        chosen: dict[str, Any] = {name: True for name in flags if getattr(arguments, name, False)}
        chosen |= {"value": arguments.value, "batch": arguments.batch, "format": arguments.format}
        print(result.source(**chosen).rstrip("\n"))
    elif getattr(arguments, "compressed", False):
        found = result.compressed
        if arguments.format == "latex":
            print(found.latex())
        else:
            print("\n".join([found.text(unicode=_unicode(arguments)), *_remarks(result, colour)]))
    else:
        _print_formula(result, arguments, colour)
    if arguments.format != "json":
        stream = sys.stderr if arguments.format in ("latex", *_SOURCES) else sys.stdout
        for report in reports:
            print(f"\n{report}", file=stream)
    return 0 if all(report.passed for report in reports) else 1


def _require_sensible(arguments: argparse.Namespace) -> None:
    """Refuses options that would be without effect on what is printed, and such that exclude each other."""
    given = [name for name in _OF_SOURCES if getattr(arguments, name, False)]
    if given and arguments.format not in _SOURCES:
        raise ArgumentError(f"--{given[0]} is about source code", hint=f"add --format {', '.join(_SOURCES)}")
    if arguments.steps and arguments.format in _SOURCES:
        raise ArgumentError("--steps are not source code", hint="leave --format out, or take latex or json")
    for name, others in _EXCLUDED.items():
        wrong = [other for other in others if getattr(arguments, name, False) and getattr(arguments, other, False)]
        if wrong:
            raise ArgumentError(f"--{name} and --{wrong[0]} exclude each other", hint="leave one of them out")


def _result(arguments: argparse.Namespace, request: str) -> Any:
    """What is asked for, derived."""
    from matcalc.results.requests import derived
    from matcalc.results.texts import composed

    options = {name: getattr(arguments, name, None) for name in ("at", "direction", "weights", "layout", "shift")}
    net = getattr(arguments, "net", None)
    text = _text(arguments)
    if net is not None:
        if options["at"] is None:
            raise ParseError("a net is given, and not the name of its output", hint="name it, as in --at u")
        text = composed(text, net.removeprefix(" "), options["at"])
    return derived(text, arguments.where, arguments.wrt, request, **options)


def _judged(result: Any, arguments: argparse.Namespace) -> Any:
    from matcalc.results.requests import judged

    return judged(result, arguments.claim.removeprefix(" "), seed=arguments.seed)


def _print_json(result: Any, reports: Sequence[Any], arguments: argparse.Namespace) -> None:
    import json

    data = result.as_dict(parts=_named(arguments), **_spelling(arguments))
    if arguments.steps:
        from matcalc.printing.steps import steps_dict

        data["steps"] = steps_dict(result.steps)
    if getattr(arguments, "compressed", False):
        data["compressed"] = result.compressed.as_dict()
    names = [name for name, asked in (("check", arguments.check), ("claim", arguments.claim is not None)) if asked]
    data |= {name: report.as_dict() for name, report in zip(names, reports, strict=True)}
    print(json.dumps(data, ensure_ascii=False, indent=2))


def _named(arguments: argparse.Namespace) -> str | bool:
    """Which parts are named: all that repeat, only those of the program, none."""
    if arguments.full or arguments.names == "none":
        return False
    return "own" if arguments.names == "own" else True


def _spelling(arguments: argparse.Namespace) -> dict[str, str | None]:
    from matcalc.printing.choices import CHOICES

    return {name: getattr(arguments, name) for name in CHOICES}


def _print_formula(result: Any, arguments: argparse.Namespace, colour: _Colour) -> None:
    """The result for people, after its derivation where that is asked for."""
    names = result.steps.names if arguments.steps else None
    chosen: dict[str, Any] = {"parts": _named(arguments), "names": names, **_spelling(arguments)}
    if arguments.format == "latex":
        if arguments.steps:
            from matcalc.printing.steps import steps_latex

            print(steps_latex(result.steps), end="\n\n")
        print(result.latex(head=True, **chosen))
        return
    unicode = _unicode(arguments)
    if arguments.steps:
        from matcalc.printing.steps import steps_text

        print(steps_text(result.steps, unicode=unicode), end="\n\n")
    print(result.text(unicode=unicode, head=True, **chosen))
    for line in _remarks(result, colour):
        print(line)


def _remarks(result: Any, colour: _Colour) -> list[str]:
    return [colour.dim(f"# {line}") for line in _about(result)]


def _about(result: Any) -> list[str]:
    """What was inferred and where the result holds, one remark a line."""
    lines = [f"inferred: {'; '.join(result.of.inferred)}"] if result.of.inferred else []
    return lines + [f"warning: {w}" for w in result.of.warnings] + [f"note: {n}" for n in result.notes]


def _check(arguments: argparse.Namespace, colour: _Colour) -> int:
    result = _result(arguments, arguments.of)
    report = result.check(seed=arguments.seed) if arguments.claim is None else _judged(result, arguments)
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
    given = [arguments.expression not in (None, "-"), arguments.file is not None, arguments.loss is not None]
    if sum(given) > 1:
        raise ParseError("several of EXPR, --file and --loss are given", hint="leave all but one of them out")
    if arguments.loss is not None:
        return str(arguments.loss).removeprefix(" ")
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


def _unicode(arguments: argparse.Namespace) -> bool:
    return arguments.format == "unicode" or (arguments.format is None and _speaks_unicode())


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
    from matcalc.printing.choices import CHOICES

    parser = argparse.ArgumentParser(
        prog="matcalc",
        description="Matrix calculus: gradients, Jacobians, Hessians, Gauss-Newton matrices and products with them\n"
        "in closed form, with steps, LaTeX, NumPy code and numerical checks.",
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
    about.add_argument("--claim", metavar="FORMULA", help="your own formula, to be compared by numbers and by symbol")
    about.set_defaults(loss=None)

    def command(
        name: str, run: Any, help: str, *formats: str, aliases: Sequence[str] = (), of_expression: bool = True
    ) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name,
            aliases=aliases,
            help=help,
            description=f"{help[0].upper()}{help[1:]}.",
            parents=[about] if of_expression else [],
            epilog=_EXAMPLES if of_expression else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if formats:
            said = "default: text; unicode on a terminal that shows it"
            if len(formats) > 2:
                said += "; python to c: source code that needs nothing of matcalc"
            made.add_argument("--format", choices=formats, help=said)
        made.add_argument("--color", choices=("auto", "always", "never"), default="auto", help="default: on a terminal")
        made.set_defaults(run=run)
        return made

    def options(made: argparse.ArgumentParser, names: Sequence[str]) -> None:
        for name in names:
            made.add_argument(f"--{name}", **_OPTIONS[name])
        if "net" in names:
            made.add_argument("--loss", metavar="EXPR", help="the loss, instead of EXPR")

    formats = ("text", "unicode", "latex", *_SOURCES, "json")
    for name, (said, own) in _DERIVATIVES.items():
        made = command(name, _derive, said, *formats, aliases=_ALIASES.get(name, ()))
        options(made, own)
        made.add_argument("--steps", action="store_true", help="show the derivation")
        made.add_argument("--check", action="store_true", help="verify the result by numbers; status 1 if it fails")
        made.add_argument("--value", action="store_true", help="in source code: return the value, too")
        made.add_argument(
            "--batch",
            action="append",
            default=[],
            metavar="NAMES",
            help="with --format python, torch, jax: these arguments have one more axis in front, for many items",
        )
        spelling = made.add_argument_group("spelling of the result, all equal in value (default: the shortest)")
        for choice, (values, meaning) in CHOICES.items():
            spelling.add_argument(f"--{choice}", choices=values, help=meaning)
        spelling.add_argument(
            "--names",
            choices=("all", "own", "none"),
            default="all",
            help="parts that have names: those that repeat or that the program names (all), only the latter, or none",
        )
        spelling.add_argument("--full", action="store_true", help="the same as --names none: everything written out")
    check = command("check", _check, "verify a derivative, or a formula that you claim, by numbers", "text", "json")
    named = [*_DERIVATIVES, *(alias for aliases in _ALIASES.values() for alias in aliases)]
    check.add_argument("--of", choices=named, default="grad", help="what is verified (default: the gradient)")
    options(check, ("at", "net", "direction", "weights", "shift", "layout"))
    command("rules", _rules, "list the functions and operators with their differentials", of_expression=False)
    completion = command("completion", _completion, "print a completion script for your shell", of_expression=False)
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
