"""Completion scripts for shells, made from the command line's own parser."""

from __future__ import annotations

import argparse


def script(shell: str, parser: argparse.ArgumentParser) -> str:
    """The script for ``bash``, ``zsh`` or ``fish``; to be sourced by the shell."""
    commands = _commands(parser)
    if shell == "fish":
        return _fish(commands)
    head = "autoload -U +X compinit bashcompinit && compinit && bashcompinit\n" if shell == "zsh" else ""
    return head + _bash(commands)


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    raise AssertionError("the parser has commands")


def _options(command: argparse.ArgumentParser) -> dict[str, list[str]]:
    """The long options of a command with the values that each may take."""
    return {
        name: [str(c) for c in action.choices or ()]
        for action in command._actions
        for name in action.option_strings
        if name.startswith("--")
    }


def _words(command: argparse.ArgumentParser) -> list[str]:
    """What an argument without an option may be, and the options."""
    return [*(str(c) for a in command._actions if not a.option_strings for c in a.choices or ()), *_options(command)]


def _bash(commands: dict[str, argparse.ArgumentParser]) -> str:
    cases = []
    for name, command in commands.items():
        options = _options(command)
        values = "".join(
            f'\n        {option}) COMPREPLY=($(compgen -W "{" ".join(choices)}" -- "$word")); return ;;'
            for option, choices in options.items()
            if choices
        )
        cases.append(
            f'    {name})\n      case "$previous" in{values}\n'
            f'        --file) COMPREPLY=($(compgen -f -- "$word")); return ;;\n      esac\n'
            f'      COMPREPLY=($(compgen -W "{" ".join(_words(command))}" -- "$word")) ;;'
        )
    return (
        "_matcalc() {\n"
        '  local word="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}"\n'
        '  if [ "$COMP_CWORD" -eq 1 ]; then\n'
        f'    COMPREPLY=($(compgen -W "{" ".join(commands)} --help --version" -- "$word")); return\n'
        "  fi\n"
        '  case "${COMP_WORDS[1]}" in\n' + "\n".join(cases) + "\n  esac\n}\n"
        "complete -F _matcalc matcalc\n"
    )


def _fish(commands: dict[str, argparse.ArgumentParser]) -> str:
    lines = ["complete -c matcalc -f", f'complete -c matcalc -n __fish_use_subcommand -a "{" ".join(commands)}"']
    for name, command in commands.items():
        condition = f'complete -c matcalc -n "__fish_seen_subcommand_from {name}"'
        plain = [word for word in _words(command) if not word.startswith("--")]
        lines += [f'{condition} -a "{" ".join(plain)}"'] if plain else []
        takes = {name for action in command._actions if action.nargs != 0 for name in action.option_strings}
        for option, choices in _options(command).items():
            values = f' -a "{" ".join(choices)}"' if choices else " -F" if option == "--file" else ""
            required = " -r" if option == "--file" else " -x" if option in takes else ""
            lines.append(f"{condition} -l {option[2:]}{required}{values}")
    return "\n".join(lines) + "\n"
