"""`cycseq completion bash|zsh`: a script that completes commands, options and names without starting Python."""

import sys
from argparse import Namespace
from functools import cache
from importlib import import_module
from typing import Any, Literal, get_args, get_origin

from cycseq.commands import COMMANDS
from cycseq.commands.parser import Parser
from cycseq.split.settings import KINDS

Shell = Literal["bash", "zsh"]
SCRIPT = """# Completion of cycseq, written by: cycseq completion {shell}
{start}_cycseq() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}" head="" words=""
  if (( COMP_CWORD == 1 )); then
    words="{commands}"
  else
    case "${{COMP_WORDS[1]}} $previous" in
{values}
    esac
    if [[ -z $words ]]; then
      case "${{COMP_WORDS[1]}} $current" in
{options}
      esac
    fi
  fi
  [[ $current == *,* ]] && head="${{current%,*}},"
  COMPREPLY=($(compgen -P "$head" -W "$words" -- "${{current##*,}}"))
}}
complete -o default -F _cycseq cycseq
"""


def configure(parser: Parser, _words: list[str]) -> None:
    parser.add_argument(
        "shell", type=Shell, help='The shell; put eval "$(cycseq completion bash)" in its start-up file.'
    )


def run(options: Namespace) -> None:
    """Print the script."""
    sys.stdout.write(script(options.shell))


def script(shell: Shell) -> str:
    """The script for a shell; names of files are completed where nothing else is known."""
    values, option_cases = [], []
    for command in COMMANDS:
        hints = _hints(command)
        options = [name for name in hints if name.startswith("--")]
        for option in options:
            choices = _choices(command, option, hints[option])
            values += [_case(f"{command} {option}", choices)] if choices else []
        option_cases.append(_case(f"{command} -*", ["--help", *options], quoted=False))
        positional = [
            choice for name in hints if name not in options for choice in _choices(command, name, hints[name])
        ]
        if positional:
            option_cases.append(_case(f"{command} *", positional, quoted=False))
    return SCRIPT.format(
        shell=shell,
        start="autoload -U +X bashcompinit && bashcompinit\n" if shell == "zsh" else "",
        commands=" ".join(COMMANDS),
        values="\n".join(values),
        options="\n".join(option_cases),
    )


def _hints(command: str) -> dict[str, Any]:
    """The type of every option and positional argument of a command, as they are typed."""
    parser = Parser(command, "")
    import_module(f"cycseq.commands.{command}").configure(parser, ["--model=NoChange"])  # which imports no network
    return parser.typed_hints()


@cache
def _names() -> dict[tuple[str, str], tuple[str, ...]]:
    """What may follow an option, or stand in its place, where the type does not say."""
    from cycseq.formats.catalog import DATASETS
    from cycseq.knowledge.catalog import CATALOGUE
    from cycseq.models import MODELS
    from cycseq.score.metrics import GROUPS, METRICS

    return {
        ("datasets", "name"): (*DATASETS, "cycseq"),
        ("knowledge", "name"): tuple(CATALOGUE),
        ("benchmark", "--split"): tuple(KINDS),
        ("*", "--model"): tuple(MODELS),
        ("*", "--models"): ("baselines", "all", *MODELS),
        ("*", "--metrics"): (*GROUPS, *METRICS),
    }


def _choices(command: str, name: str, hint: Any) -> tuple[str, ...]:
    """What may follow an option, or stand in a place."""
    names = _names().get((command, name), _names().get(("*", name), ()))
    return names or tuple(map(str, get_args(hint) if get_origin(hint) is Literal else ()))


def _case(pattern: str, words: list[str] | tuple[str, ...], *, quoted: bool = True) -> str:
    pattern_text = f'"{pattern}"' if quoted else f'"{pattern.partition(" ")[0]} "{pattern.partition(" ")[2]}'
    return f'      {pattern_text}) words="{" ".join(words)}" ;;'
