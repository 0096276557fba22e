"""Options from settings dataclasses: flags, `--config`, `--print_config`, and typo errors that name the nearest option."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import sys
import types
from argparse import Action, ArgumentError, HelpFormatter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin

from jsonargparse import ArgumentParser, Namespace, set_parsing_settings

from cycseq.commands.config_files import check_configs
from cycseq.errors import SettingsError, unknown_name

T = TypeVar("T")
TYPE_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", Path: "a path"}
set_parsing_settings(docstring_parse_attribute_docstrings=True)


class Parser(ArgumentParser):
    """jsonargparse with dashes beside underscores, and errors of one line that raise `SettingsError`."""

    words: tuple[str, ...] = ()
    """What the user typed, for messages."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise what is wrong; an unknown option is answered with the nearest one, a bad value with what it may be."""
        unrecognised = re.search(r"[Uu]nrecognized arguments: (--?[^\s=]+)|Option '([^']+)' is not accepted", message)
        if unrecognised:
            options = [dashed(o) for o in self._option_string_actions if o.startswith("--") and not o.endswith("+")]
            raise unknown_name(dashed(unrecognised[1] or f"--{unrecognised[2]}"), "option", options)
        nested = re.search(r"NestedArg\(key='([\w.]+)', val=(.+)\)$", message)
        if nested:
            msg = f"--model.{nested[1]} cannot be {nested[2]}: {self.prog} --model.help NAME shows what each setting takes."
            raise SettingsError(msg)
        unfit = re.match(r'Parser key "(\w+)"', message)
        action = self._option_string_actions.get(f"--{unfit[1]}") if unfit else None
        if action is not None and _hint(action) is not None:
            msg = f"{dashed('--' + action.dest)} takes {in_words(_hint(action))}, but got {self._given(action.dest)}."
            raise SettingsError(msg)
        required = re.search(r"following arguments are required: (.+)", message)
        if required:
            msg = f"{self.prog} needs {', '.join(self._shown(name) for name in required[1].split(', '))}; see {self.prog} --help."
            raise SettingsError(msg)
        raise SettingsError(_one_line(message))

    def format_help(self, formatter: HelpFormatter | None = None) -> str:
        """The help, with option names written with dashes."""
        text = super().format_help(formatter)
        text = text.replace(" \b[=flags]  ", "[=flags]    ").replace(" \b", "")  # jsonargparse moves the cursor back
        text = re.sub(r"--[a-z][\w.]+", lambda m: dashed(m[0]), text)
        return re.sub(r"(--[\w-]+)( \w+)?, \1\+( \w+)?", r"\1\2", text)

    def _given(self, name: str) -> str:
        for word, following in zip(self.words, (*self.words[1:], ""), strict=True):
            option, equals, value = word.partition("=")
            if option == f"--{name}":
                return repr(value if equals else following)
        return "something else in the --config file"

    def _shown(self, name: str) -> str:
        return dashed(f"--{name}") if f"--{name}" in self._option_string_actions else name.upper()


def parse(
    name: str, summary: str, configure: Callable[[Parser, list[str]], None], words: list[str]
) -> Namespace | None:
    """Parse the words after a command's name; None where only help or the configuration was asked for.

    The whole command line, as it was typed, is kept as `typed`, for records of how a file came about.

    Parameters
    ----------
    name
        The command.
    summary
        What it does, in one sentence.
    configure
        Adds the command's options to the parser; it sees the words, as some options depend on others.
    words
        What the user typed.
    """
    typed = shlex.join(["cycseq", name, *words])
    words = [underscored(word) for word in words]
    check_configs(words)
    parser = new_parser(name, summary)
    configure(parser, words)
    parser.words = tuple(words)
    try:
        parsed = parser.parse_args(_completed(parser, words))
    except ArgumentError as err:
        parser.error(str(err))
    except SystemExit as stop:
        if stop.code:
            raise
        sys.stdout.flush()
        return None
    parsed["typed"] = typed
    return parsed


def new_parser(name: str, summary: str) -> Parser:
    """The parser of a command, before its own options are added."""
    parser = Parser(prog=f"cycseq {name}", description=summary, exit_on_error=False, formatter_class=_Formatter)
    parser.add_argument("--config", action="config", help="YAML file with any of these options.")
    return parser


def settings_of(kind: type[T], parsed: Namespace) -> T:
    """The part of the parsed options that are the fields of this dataclass."""
    return kind(**{f.name: parsed[f.name] for f in dataclasses.fields(kind) if f.init})  # type: ignore[arg-type]


def dashed(option: str) -> str:
    """``--out_file`` -> ``--out-file``; a model's own settings and `--print_config` keep their underscores."""
    head, dot, tail = option.partition(".")
    return option if head == "--print_config" else head.replace("_", "-") + dot + tail


def underscored(word: str) -> str:
    """``--out-file=a-b`` -> ``--out_file=a-b``; anything that is no long option stays as it is."""
    if not word.startswith("--"):
        return word
    option, equals, value = word.partition("=")
    return "--" + option[2:].replace("-", "_") + equals + value


def in_words(hint: Any) -> str:
    """A type in words: ``int | Literal["all"]`` is "a whole number or 'all'"."""
    if get_origin(hint) in {Union, types.UnionType}:
        return " or ".join(in_words(part) for part in get_args(hint) if part is not type(None))
    if get_origin(hint) is Literal:
        return " or ".join(repr(choice) for choice in get_args(hint))
    if _is_list(hint):
        return "a list separated by commas"
    return TYPE_WORDS.get(hint, getattr(hint, "__name__", str(hint)))


def _completed(parser: Parser, words: list[str]) -> list[str]:
    """``--overwrite`` alone means true, and ``--models A,B`` is a list."""
    done: list[str] = []
    for word in words:
        previous = parser._option_string_actions.get(done[-1]) if done else None
        if previous is not None and _is_list(_hint(previous)) and not word.startswith(("[", "--")):
            done.append(json.dumps([part.strip() for part in word.split(",") if part.strip()]))
            continue
        _complete_switch(parser, done, word)
        option, equals, value = word.partition("=")
        action = parser._option_string_actions.get(option)
        if equals and action is not None and _is_list(_hint(action)) and not value.startswith("["):
            done += [option, json.dumps([part.strip() for part in value.split(",") if part.strip()])]
        else:
            done.append(word)
    _complete_switch(parser, done, "--")
    return done


def _complete_switch(parser: Parser, done: list[str], following: str) -> None:
    action = parser._option_string_actions.get(done[-1]) if done else None
    if action is not None and _hint(action) is bool and following.lower() not in {"true", "false", "yes", "no"}:
        done.append("true")


def _hint(action: Action) -> Any:
    hint = getattr(action, "_typehint", None)
    return action.type if hint is None else hint


def _is_list(hint: Any) -> bool:
    if get_origin(hint) in {Union, types.UnionType}:
        return any(_is_list(part) for part in get_args(hint))
    return get_origin(hint) in {list, tuple}


def _one_line(message: str) -> str:
    return " ".join(line.strip(" -") for line in message.strip().splitlines()[:3])


class _Formatter(HelpFormatter):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "max_help_position": 30, "width": 96})
