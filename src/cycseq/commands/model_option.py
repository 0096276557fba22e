"""`--model NAME --model.SETTING VALUE`: only the named model's file is imported."""

from __future__ import annotations

import dataclasses
from contextlib import suppress

from jsonargparse import Namespace

from cycseq.commands.parser import Parser
from cycseq.errors import ModelError, unknown_name
from cycseq.model import Model
from cycseq.models import MODELS, model_class


def add_model_option(parser: Parser, words: list[str]) -> None:
    """Add `--model` with the settings of the model that the words (or a `--config` file) name.

    Raises
    ------
    SettingsError
        If there is no such model or the model has no such setting; the nearest name is given.
    """
    named = _named(words)
    if named:
        for name in named[1:]:  # jsonargparse would import whatever it is
            model_class(name)
        _check_settings(model_class(named[0]), words)
    elif words not in (["--help"], ["-h"]):  # which names no model, and would import torch for nothing
        for name in MODELS:
            with suppress(ModelError):  # a network where torch is absent: --config may name the others
                model_class(name)
    parser.add_subclass_arguments(
        Model,
        "model",
        required=True,
        help="The model (cycseq list models) and its settings; --model.help NAME shows them.",
    )


def chosen_model(options: Namespace) -> Model:
    """The model with its settings."""
    name = options.model.class_path.rpartition(".")[2]
    settings = options.model.get("init_args")
    return model_class(name)(**(vars(settings) if settings else {}))


def _named(words: list[str]) -> list[str]:
    """What is said after every `--model`."""
    options = (word.partition("=") for word in words)
    return [value if equals else following for (option, equals, value), following
            in zip(options, [*words[1:], ""], strict=True) if option == "--model"]  # fmt: skip


def _check_settings(kind: type[Model], words: list[str]) -> None:
    settings = [f.name for f in dataclasses.fields(kind)]  # type: ignore[arg-type]
    for word in words:
        if word.startswith("--model.") and not word.startswith("--model.help"):
            setting = word.removeprefix("--model.").partition("=")[0]
            if setting not in settings:
                raise unknown_name(setting, f"setting of {kind.__name__}", settings)
