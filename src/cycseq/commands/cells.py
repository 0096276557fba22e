"""The cells or effects that a command reads, and what the terminal is told of how they were read."""

import shlex
from argparse import Namespace
from pathlib import Path

from cycseq.commands.parser import settings_of
from cycseq.commands.terminal import say
from cycseq.data.dataset import PerturbationData
from cycseq.data.either import Data
from cycseq.data.scale import TARGET_SUM
from cycseq.data.validate import AS_WRITTEN, CHANGED
from cycseq.errors import DataError
from cycseq.formats.any_data import as_controls
from cycseq.formats.effects.kind import is_effects
from cycseq.formats.effects.read import read_effects
from cycseq.formats.read import read
from cycseq.formats.settings import ReadSettings
from cycseq.preparation.prepare import as_log1p


def read_data(path: Path, options: Namespace) -> Data:
    """The cells of a file, or the effects where it holds these; the terminal is told how they were read. Raises as `read_cells`."""
    data = read_data_plainly(path, options)
    say_reading(path, data)
    return data


def read_data_plainly(path: Path, options: Namespace) -> Data:
    """As `read_data`, without printing anything."""
    reading = reading_of(options)
    of_effects = is_effects(path, reading)
    try:
        return read_effects(path, reading) if of_effects else read(path, reading)
    except DataError as err:
        command, out = ("summarize", "EFFECTS.h5ad") if of_effects else ("prepare", "PREPARED.h5ad")
        if not err.option or f"cycseq {command}" in str(err) or hasattr(options, "context_key"):
            raise
        raise DataError(
            f"{err} This command reads files as they are: cycseq {command} {shlex.quote(str(path))} {err.option} --out {out} makes one.",
            option=err.option,
        ) from err


def read_cells(path: Path, options: Namespace) -> PerturbationData:
    """The cells of a file, within the memory that was given; the terminal is told how they were read, and where they are counts.

    Raises `DataError` if the labels or values are not what they must be; where an option of `cycseq prepare` fixes that, it is
    named.
    """
    cells = read_data(path, options) if not is_effects(path, reading_of(options)) else None
    if not isinstance(cells, PerturbationData):
        msg = f"{path} contains effects of conditions, but this command needs cells: give the cells from which they were made."
        raise DataError(msg)
    return cells


def read_controls(path: Path, options: Namespace) -> PerturbationData:
    """Control cells of the user's own; where no column names a perturbation, all of them are controls. Raises as `read_cells`."""
    cells = as_controls(path, reading_of(options))
    say_reading(path, cells)
    return cells


def reading_of(options: Namespace) -> ReadSettings:
    """How files are to be read; of a command without these options, within the memory that was given and no more."""
    names = hasattr(options, "context_key")
    return settings_of(ReadSettings, options) if names else ReadSettings(memory=options.memory)


def read_log1p(path: Path) -> PerturbationData:
    """The cells of a file as log1p; the terminal is told how they were read."""
    cells = read(path)
    say_reading(path, cells)
    return as_log1p(cells)


def say_choices(path: Path, data: Data) -> None:
    """Say how a file was read; nothing of files that are as cycseq wrote them."""
    if data.notes and (AS_WRITTEN not in data.notes or any(CHANGED in note for note in data.notes)):
        say([f"{path.name}:", *(f"  {note}" for note in data.notes)])


def say_reading(path: Path, data: Data) -> None:
    """Say how a file was read, and what is made of counts where a command takes them as they are."""
    say_choices(path, data)
    if data.scale == "counts":
        say(
            f"{path} holds counts: taken as log1p of counts per {TARGET_SUM:,.0f}, all cells and genes "
            "(cycseq prepare also looks at quality and chooses genes)"
        )
