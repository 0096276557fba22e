"""What a `--config` file may say: jsonargparse imports whatever a class is called there, so that it is looked at first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cycseq.errors import SettingsError, unknown_name
from cycseq.special_files import refuse_special
from cycseq.untrusted import parse_yaml

CLASS = "class_path"


def check_configs(words: list[str]) -> None:
    """Raise `SettingsError` if a `--config` among the words names a class that is no model of cycseq, or cannot be read.

    A file that is not there, and what stands in it otherwise, is left to the parser.
    """
    for word, following in zip(words, [*words[1:], ""], strict=True):
        option, equals, value = word.partition("=")
        if len(option) > 2 and "--config".startswith(option):  # the parser takes what an option begins with for it
            _check(value if equals else following)

        if option == f"--model.{CLASS}":
            raise unknown_name(option, "option", ["--model"])


def _check(config: str) -> None:
    from cycseq.models import MODELS  # a second of imports, for those who say --config alone

    try:
        path = refuse_special(Path(config))
        said = parse_yaml(path.read_text(encoding="utf-8") if path.is_file() else config)
    except (OSError, ValueError) as err:
        msg = f"--config {config[:200]} cannot be read ({err}): give a YAML file with options of this command."
        raise SettingsError(msg) from err
    if isinstance(said, dict) and "config" in said:
        msg = f"--config {config[:200]} names another config: say --config for each of them."
        raise SettingsError(msg)
    model = said.get("model") if isinstance(said, dict) else None
    named = [model] if isinstance(model, str) else []
    for name in [*named, *_classes(said)]:
        if name not in MODELS and name not in {f"{module}.{kind}" for kind, module in MODELS.items()}:
            raise unknown_name(str(name), "model", MODELS)


def _classes(said: Any) -> Iterator[Any]:
    """Every class that is named anywhere."""
    if isinstance(said, dict):
        yield from ([said[CLASS]] if CLASS in said else [])
    inside = said.values() if isinstance(said, dict) else said if isinstance(said, list) else ()
    for part in inside:
        yield from _classes(part)
