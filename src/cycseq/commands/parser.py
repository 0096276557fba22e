"""The command line: options from settings dataclasses, `--config` files with the same words, and errors of one line."""

import argparse
import dataclasses
import shlex
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, get_type_hints

from cycseq.commands.config_files import flat_config
from cycseq.errors import SettingsError, unknown_name
from cycseq.formats.settings import READING
from cycseq.io.files import text_of_path
from cycseq.settings import SWITCH, as_plain, check_value, field_texts, is_list, parse_value, type_in_words

T = TypeVar("T")
UNSET = object()  # the value of an option that was not given
OF_PARSER = ("help", "config", "print_config")  # options that every command has, and that no `--config` file may give


class Parser:
    """An argparse parser whose options have Python types and take their values from the command line, then from `--config`.

    The values are turned into those types by `cycseq.settings`, so that a word that is typed, a line of a file and a
    setting in Python are checked alike.
    """

    def __init__(self, command: str, summary: str) -> None:
        self.argparse = argparse.ArgumentParser(
            prog=f"cycseq {command}",
            description=summary,
            exit_on_error=False,
            allow_abbrev=False,
            formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=30, width=96),
        )
        self.name = f"cycseq {command}"
        self.hints: dict[str, Any] = {}
        """The type of every option, by its name in Python."""
        self.defaults: dict[str, Any] = {}
        """Defaults of optional options."""
        self._places: list[str] = []
        """The positional arguments."""
        self.add_argument("--config", type=list[str], help="YAML file with any of these options.")
        self.add_argument("--print_config", type=bool, default=False, help="Print the options as such a file.")

    def add_argument(
        self,
        name: str,
        *,
        type: Any = str,
        help: str = "",
        default: Any = None,
        required: bool = False,
        nargs: str | None = None,
        group: Any = None,
    ) -> None:
        """Add an option (``--name``, with dashes or underscores) or a positional argument.

        Its type is any that `cycseq.settings.parse_value` reads, its help a sentence: what it takes and its default are put
        behind it. If required, it must be given on the command line or in a `--config` file; positional arguments must, unless
        `nargs` (as of argparse) is ``"?"``.
        """
        dest = name.removeprefix("--").replace("-", "_")
        self.hints[dest] = type
        if not (required or (not name.startswith("-") and nargs != "?")):
            self.defaults[dest] = default
        usual = "" if dest in OF_PARSER or default in (None, [], {}) else f"; default: {_written(default)}"
        described = f"{help} ({type_in_words(type)}{usual})".replace("%", "%%")
        shown: dict[str, Any] = {"dest": dest, "help": described, "default": UNSET}
        if not name.startswith("-"):
            self._places.append(dest)
            shown |= {"nargs": "*" if nargs == "+" else "?", "metavar": dest.upper()}
            del shown["dest"]
        elif type is bool:
            shown |= {"nargs": "?", "const": "true", "metavar": "true|false"}
        else:
            shown |= {"metavar": dest.rpartition(".")[2].upper()}
            shown |= {"action": "append", "default": []} if dest == "config" else {}
        (group or self.argparse).add_argument(dashed(name) if name.startswith("-") else dest, **shown)

    def add_settings(self, kind: type, *, skip: Iterable[str] = (), prefix: str = "", title: str = "") -> None:
        """Add an option for every field of a settings dataclass.

        The text of each field becomes its help; `prefix` stands before the names (``model.``), `title` above them in the help.
        """
        texts, hints = field_texts(kind), get_type_hints(kind)
        group = self.argparse.add_argument_group(title) if title else None
        for field in dataclasses.fields(kind):
            if field.init and field.name not in skip:
                factory = field.default_factory
                default = field.default if factory is dataclasses.MISSING else factory()
                self.add_argument(
                    f"--{prefix}{field.name}",
                    type=hints[field.name],
                    help=" ".join(texts.get(field.name, "").split()),
                    default=default,
                    required=default is dataclasses.MISSING,
                    group=group,
                )

    def read(self, words: list[str]) -> Namespace:
        """The value of every option: as typed, else of the `--config` files (the last one first), else its default.

        Raises `SettingsError` if an option is unknown (the nearest is named), lacks, or has a value of another type.
        """
        try:
            typed, unknown = self.argparse.parse_known_args(_with_switches_closed(self.hints, words))
        except argparse.ArgumentError as err:
            raise SettingsError(f"{err}; see {self.name} --help.") from err
        for word in unknown:
            option = word.partition("=")[0]
            if option.removeprefix("--").replace("-", "_") in READING:
                msg = f"{self.name} takes files as they are, without {option}: cycseq prepare has it (of effects cycseq summarize), and writes a file that every command takes."
                raise SettingsError(msg)
            if word.startswith("--"):
                raise unknown_name(option, "option", map(self._label, dict.fromkeys([*self._places, *self.hints])))
            raise SettingsError(f"{word!r} does not belong to an option; see {self.name} --help.")
        values = dict(self.defaults)
        for config in typed.config:
            values |= self._of_config(config)
        for name, hint in self.hints.items():
            typed_value = getattr(typed, name)
            if typed_value is not UNSET and name != "config" and typed_value != []:
                label = self._label(name)
                several = isinstance(typed_value, list)
                values[name] = [parse_value(v, hint, label) for v in typed_value] if several else parse_value(typed_value, hint, label)  # fmt: skip
        lacking = [self._label(name) for name in self.hints if name not in values and name not in OF_PARSER]
        if lacking and not values["print_config"]:
            raise SettingsError(f"{self.name} needs {', '.join(lacking)}; see {self.name} --help.")
        return Namespace(**values)

    def typed_hints(self) -> dict[str, Any]:
        """The type of every option and positional argument, by its name as one types it."""
        return {name if name in self._places else dashed(f"--{name}"): hint for name, hint in self.hints.items()}

    def _of_config(self, config: str) -> dict[str, Any]:
        """What a file says, by the names of the options."""
        values = {}
        for name, value in flat_config(config).items():
            if name not in self.hints or name in OF_PARSER:
                names = [dashed(f"--{n}") for n in self.hints if n not in OF_PARSER]
                raise unknown_name(dashed(f"--{name}"), f"option in {config}", names)
            hint, label = self.hints[name], f"{name} in {config}"
            several = isinstance(value, list) and not is_list(hint)  # of a positional argument that takes several
            values[name] = [check_value(v, hint, label) for v in value] if several else check_value(value, hint, label)  # fmt: skip
        return values

    def _label(self, name: str) -> str:
        return name.upper() if name in self._places else dashed(f"--{name}")


def parse(
    name: str, summary: str, configure: Callable[[Parser, list[str]], None], words: list[str]
) -> Namespace | None:
    """Parse the words after a command's name; None where only help or the configuration was asked for.

    The whole command line, as it was typed, is kept as `typed`, for records of how a file came about. `configure` adds the
    options of the command; it sees the words, as some options depend on others.
    """
    typed = shlex.join(["cycseq", name, *words])
    words = [_with_dashes(word) for word in words]
    parser = Parser(name, summary)
    try:
        configure(parser, words)
        options = parser.read(words)
    except SystemExit as stop:  # after --help, or --model.help
        if stop.code:
            raise
        sys.stdout.flush()
        return None
    if options.print_config:
        sys.stdout.write(_as_config(options))
        return None
    options.typed = text_of_path(typed)
    return options


def settings_of(kind: type[T], options: Namespace, *, prefix: str = "") -> T:
    """The options that are the fields of this dataclass; fields that are not options keep their defaults."""
    names = [field.name for field in dataclasses.fields(kind) if hasattr(options, prefix + field.name)]  # type: ignore[arg-type]
    return kind(**{name: getattr(options, prefix + name) for name in names})


def dashed(option: str) -> str:
    """``--out_file`` -> ``--out-file``; a model's own settings and `--print_config` keep their underscores."""
    head, dot, tail = option.partition(".")
    return option if head == "--print_config" else head.replace("_", "-") + dot + tail


def values_of(option: str, words: list[str]) -> list[str]:
    """What is given after every one of these options."""
    pairs = ((word.partition("="), following) for word, following in zip(words, [*words[1:], ""], strict=True))
    return [value if equals else following for (name, equals, value), following in pairs if name == option]


def _with_dashes(word: str) -> str:
    """``--out_file=a_b`` -> ``--out-file=a_b``; anything that is not a long option stays as it is."""
    if not word.startswith("--"):
        return word
    option, equals, value = word.partition("=")
    option = "--print_config" if option == "--print-config" else option
    head, dot, tail = option.partition(".")
    return dashed(head) + dot + tail.replace("-", "_") + equals + value


def _with_switches_closed(hints: dict[str, Any], words: list[str]) -> list[str]:
    """``--overwrite FILE`` means true: a switch takes the next word only where that is true or false."""
    closed = list(words)
    for i, word in enumerate(words):
        if word.startswith("--") and hints.get(word[2:].replace("-", "_")) is bool:
            following = words[i + 1] if i + 1 < len(words) else ""
            if following.lower() not in SWITCH:
                closed[i] = f"{word}=true"
    return closed


def _written(value: Any) -> str:
    plain = as_plain(value)
    return ",".join(map(str, plain)) if isinstance(plain, list) else str(plain).lower() if isinstance(plain, bool) else str(plain)  # fmt: skip


def _as_config(options: Namespace) -> str:
    import yaml  # type: ignore[import-untyped]

    values = {name: as_plain(value) for name, value in vars(options).items() if name not in OF_PARSER}
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
