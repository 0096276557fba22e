"""`--model NAME --model.SETTING VALUE`: only the named model's file is imported."""

from __future__ import annotations

from cycseq.commands.config_files import flat_config
from cycseq.commands.parser import Parser, values_of
from cycseq.errors import SettingsError

HELP = "--model.help"


def add_model_option(parser: Parser, words: list[str], *, required: bool = True) -> None:
    """Add `--model`, and the settings of the model that the words (or a `--config` file) name.

    Raises
    ------
    SettingsError
        If there is no such model; the nearest name is given.
    """
    parser.add_argument(
        "--model",
        type=str if required else str | None,
        required=required,
        help=f"The model (cycseq list models); {HELP} NAME shows its settings.",
    )
    shown = [name for name in values_of(HELP, words) if name]
    named = [*shown, *values_of("--model", words)]
    for config in [] if named else values_of("--config", words):
        named += [str(name) for name in [flat_config(config).get("model")] if name is not None]
    if named:
        from cycseq.models import model_class

        kinds = [model_class(short_name(name)) for name in named]
        parser.add_settings(kinds[-1], prefix="model.", title=f"settings of {kinds[-1].__name__}")
    elif any(word.startswith("--model.") for word in words):
        msg = f"settings of a model need its name: --model NAME. {HELP} NAME shows what it can be set to."
        raise SettingsError(msg)
    if shown:
        parser.argparse.print_help()
        raise SystemExit(0)


def short_name(name: str) -> str:
    """``cycseq.models.baselines.ridge.Ridge`` -> ``Ridge``; any other name stays, and is refused by name where there is no such model."""
    from cycseq.models import MODELS

    module, _, last = name.rpartition(".")
    return last if MODELS.get(last) == module else name
