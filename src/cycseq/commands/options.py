"""Options that several commands have: the data and memory, a model with its settings, and a figure beside a table."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cycseq.commands.config_files import flat_config
from cycseq.commands.parser import Parser, values_of
from cycseq.commands.terminal import say
from cycseq.errors import SettingsError
from cycseq.io.files import atomic_write, check_output

HELP = "--model.help"
DRAWN = (".png", ".pdf", ".svg")  # formats of figures


def add_data_option(parser: Parser, *, beside: str = "") -> None:
    """Add `--data` and `--memory`; `beside` says what is not held to the latter."""
    parser.add_argument("--data", required=True, type=Path, help="Data that cycseq prepare wrote, or counts.")
    add_memory_option(parser, beside=beside)


def add_memory_option(parser: Parser, *, beside: str = "") -> None:
    """Add `--memory`; `beside` says what is not held to it."""
    parser.add_argument(
        "--memory",
        type=str | None,
        help=f"Memory for cells and what is computed from them, for example 4GiB, beside the interpreter and its libraries{beside}: if the values of an "
        "h5ad or zarr file need more than a quarter of it, they stay in the file and are read in parts. By default all memory of the machine.",
    )


def add_model_option(parser: Parser, words: list[str], *, required: bool = True) -> None:
    """Add `--model`, and the settings of the model that the words (or a `--config` file) name.

    Raises `SettingsError` if there is no such model; the nearest name is given.
    """
    parser.add_argument(
        "--model",
        type=str if required else str | None,
        required=required,
        help=f"The model (cycseq list models); {HELP} NAME shows its settings.",
    )
    help_names = [name for name in values_of(HELP, words) if name]
    names = [*help_names, *values_of("--model", words)]
    for config in [] if names else values_of("--config", words):
        names += [str(name) for name in [flat_config(config).get("model")] if name is not None]
    if names:
        from cycseq.models import model_class

        kinds = [model_class(short_name(name)) for name in names]
        parser.add_settings(kinds[-1], prefix="model.", title=f"settings of {kinds[-1].__name__}")
    elif any(word.startswith("--model.") for word in words):
        msg = f"settings of a model need its name: --model NAME. {HELP} NAME shows what it can be set to."
        raise SettingsError(msg)
    if help_names:
        parser.argparse.print_help()
        raise SystemExit(0)


def short_name(name: str) -> str:
    """``cycseq.models.baselines.ridge.Ridge`` -> ``Ridge``; any other name stays, and is refused by name where there is no such model."""
    from cycseq.models import MODELS

    module, _, last = name.rpartition(".")
    return last if MODELS.get(last) == module else name


def add_plot_option(parser: Parser) -> None:
    """Add `--plot`."""
    parser.add_argument("--plot", type=Path, help="Where to draw it: .png, .pdf or .svg; not drawn if not given.")


def check_plot(path: Path | None, *, overwrite: bool) -> None:
    """Raise `FileError`, before anything is computed, if the figure could not be written."""
    if path is not None:
        check_output(path, overwrite=overwrite, endings=DRAWN)


def write_plot(draw: Callable[[Any], object], path: Path, *, width: float, height: float, overwrite: bool) -> None:
    """Write a figure in the format that the file's name ends in, and say so.

    `draw` draws into the axes that it is given; width and height are inches.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"text.parse_math": False}):  # names may hold a $
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure.subplots())
        with atomic_write(path, overwrite=overwrite) as part:
            figure.savefig(part, format=path.suffix[1:], dpi=170)
    say(f"wrote {path}")
