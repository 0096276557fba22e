"""What can go wrong, by what the user has to fix: a file, the data, a setting, a split or a model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Set
from difflib import get_close_matches


class CycseqError(Exception):
    """Any error that a user can fix; its message says what was found, what was expected and what to do.

    Parameters
    ----------
    message
        One line.
    option
        The command-line option that would fix it, as one would type it, where there is one.
    """

    def __init__(self, message: str, *, option: str = "") -> None:
        super().__init__(printable(message))
        self.option = option


def printable(text: str) -> str:
    """The text in one line, with all that a terminal might obey (escape sequences, turned direction) shown as escapes.

    Names in messages may come out of any file.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class FileError(CycseqError):
    """A file is missing, damaged, already there, or cannot be written."""


class DataError(CycseqError):
    """The cells, genes or labels are not what they must be."""


class SettingsError(CycseqError):
    """A setting has an unknown name or a value that makes no sense."""


class SplitError(CycseqError):
    """A split cannot be made from these data, was made from other data, or leaks."""


class ModelError(CycseqError):
    """A model cannot learn from, or cannot predict, what it was given."""


class FitBrokeOffError(ModelError):
    """A fit diverged, or was ended: another seed, setting or machine may do it."""


class MissingPackageError(CycseqError):
    """An optional package that this needs is not installed; nothing is wrong with data, settings or model."""


def check_at_least(least: float, *, most: float = math.inf, option: str = "--", **values: float | None) -> None:
    """Raise `SettingsError` for the first of these settings that is below or above what makes sense.

    Parameters
    ----------
    least
        The smallest value allowed.
    most
        The largest one.
    option
        What an option of the command line has before the setting's name: ``--model.`` for a model's.
    values
        Settings by name; None stands for one that was not said.
    """
    for name, value in values.items():
        if value is not None and not least <= value <= most:
            range_text = f"be {least} or more" if most == math.inf else f"lie between {least} and {most}"
            shown = option + (name.replace("_", "-") if option == "--" else name)
            msg = f"{shown} is {value}, which makes no sense: it must {range_text}."
            raise SettingsError(msg)


def unknown_name(name: str, kind: str, options: Iterable[str], error: type[CycseqError] = SettingsError) -> CycseqError:
    """The error for a name that is not among the options; it names the nearest one.

    Parameters
    ----------
    name
        What was given.
    kind
        What the name stands for, in words: ``"model"``, ``"perturbation"``.
    options
        The names that exist.
    error
        The class of the error that is returned (not raised).
    """
    options = list(options)
    folded = {option.casefold().lstrip("-"): option for option in options}  # dashes make all options alike
    near = get_close_matches(name.casefold().lstrip("-"), list(folded), n=1, cutoff=0.5)
    guess = f"did you mean {folded[near[0]]!r}? " if near else ""
    return error(f"no {kind} {name!r}: {guess}There are: {join_names(options, 12) or 'none'}.")


def join_names(names: Iterable[object], most: int = 10) -> str:
    """The names, comma by comma (a set's sorted); of many the first ones, and how many more there are.

    Examples
    --------
    >>> join_names("ABCDE", 3)
    'A, B, C and 2 more'
    """
    texts = [str(name) for name in (sorted(names, key=str) if isinstance(names, Set) else names)]
    return ", ".join(texts[:most]) + (f" and {len(texts) - most:,} more" if len(texts) > most else "")


def count_of(n: int, thing: str, plural: str = "") -> str:
    """``"1 context"``, ``"2 contexts"``, ``"3 batches"``."""
    return f"{n:,} {thing if n == 1 else plural or thing + 's'}"


def was(n: int) -> str:
    """The verb after a number of things."""
    return "was" if n == 1 else "were"
