"""`--model NAME --model.SETTING VALUE`: only the named model's file is imported."""

from __future__ import annotations

from argparse import Namespace

<<<<<<< HEAD
from cycseq.commands.parser import Parser, flat_config, settings_of, values_of
from cycseq.errors import SettingsError
=======
from jsonargparse import Namespace

from cycseq.commands.parser import Parser
from cycseq.errors import MissingPackageError, unknown_name
>>>>>>> 8d9eb45 (wip)
from cycseq.model import Model
from cycseq.models import MODELS, model_class

HELP = "--model.help"


def add_model_option(parser: Parser, words: list[str]) -> None:
    """Add `--model`, and the settings of the model that the words (or a `--config` file) name.

    Raises
    ------
    SettingsError
        If there is no such model; the nearest name is given.
    """
<<<<<<< HEAD
    parser.add_argument(
        "--model", required=True, help=f"The model (cycseq list models); {HELP} NAME shows its settings."
=======
    named = _named(words)
    if named:
        for name in named[1:]:  # jsonargparse would import whatever it is
            model_class(name)
        _check_settings(model_class(named[0]), words)
    elif words not in (["--help"], ["-h"]):  # which names no model, and would import torch for nothing
        for name in MODELS:
            with suppress(MissingPackageError):  # a network where torch is absent: --config may name the others
                model_class(name)
    parser.add_subclass_arguments(
        Model,
        "model",
        required=True,
        help="The model (cycseq list models) and its settings; --model.help NAME shows them.",
>>>>>>> 8d9eb45 (wip)
    )
    shown = [name for name in values_of(HELP, words) if name]
    named = [*shown, *values_of("--model", words)]
    for config in [] if named else values_of("--config", words):
        named += [str(name) for name in [flat_config(config).get("model")] if name is not None]
    kinds = [model_class(_short(name)) for name in named]
    if kinds:
        parser.add_settings(kinds[-1], prefix="model.", title=f"settings of {kinds[-1].__name__}")
    elif any(word.startswith("--model.") for word in words):
        msg = f"settings of a model need its name: --model NAME. {HELP} NAME shows what it can be set to."
        raise SettingsError(msg)
    if shown:
        parser.argparse.print_help()
        raise SystemExit(0)


def chosen_model(options: Namespace) -> Model:
    """The model with its settings."""
    return settings_of(model_class(_short(options.model)), options, prefix="model.")


def _short(name: str) -> str:
    """``cycseq.models.ridge.Ridge`` -> ``Ridge``; any other name stays, and is refused by name where there is no such model."""
    module, _, last = name.rpartition(".")
    return last if MODELS.get(last) == module else name
