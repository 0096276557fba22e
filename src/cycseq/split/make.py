"""Splits, made from settings or found by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from cycseq.data.either import Data
from cycseq.errors import FileError, SettingsError, SplitError, check_at_least, unknown_name
from cycseq.split.base import Split
from cycseq.split.cells import SHARE, random_cells
from cycseq.split.contexts import few_shot, in_turn, unseen_context, unseen_pair
from cycseq.split.controls import hold_back_controls
from cycseq.split.doses import AXES, unseen_level
from cycseq.split.listed import listed_pairs
from cycseq.split.perturbations import unseen_combination, unseen_perturbation
from cycseq.split.plan import Plan
from cycseq.split.settings import KINDS, SplitSettings

BUILDERS: dict[str, Callable[[Data, SplitSettings], tuple[Plan, ...]]] = {
    "unseen-context": partial(in_turn, unseen_context),
    "unseen-pair": partial(in_turn, unseen_pair),
    "few-shot": partial(in_turn, few_shot),
    "unseen-perturbation": unseen_perturbation,
    "unseen-combination": unseen_combination,
    **{f"unseen-{axis.name}": partial(unseen_level, axis) for axis in AXES},
    "random-cells": random_cells,
}
OF_A_CONTEXT = ("unseen-context", "unseen-pair", "few-shot")
BELONGS_TO = {
    "context": OF_A_CONTEXT,
    "k": ("few-shot",),
    "n_cells": ("few-shot",),
    "test_conditions": ("unseen-pair",),
    "test_perturbations": ("unseen-perturbation", "unseen-dose", "unseen-time"),
    "dose": ("unseen-dose",),
    "time": ("unseen-time",),
}
"""Settings that some kinds alone have."""


def make_splits(data: Data, settings: SplitSettings | None = None) -> tuple[Split, ...]:
    """The splits that were asked for: one, or one for every context in turn where none is named.

    The same seed gives the same split, whatever the order of cells. Nothing that gives a tested condition away stays
    in training: combinations that contain it go to no part (`Split.left_out`). Validation conditions are taken from
    those of training by the same rule as the test; what would give them away goes to validation with them.

    Parameters
    ----------
    data
        All cells, on any scale.
    settings
        What is held out; without it, each context in turn.

    Raises
    ------
    SettingsError
        If a setting has a value that makes no sense, or is of another kind.
    SplitError
        If the data do not allow the split; the message says which would do.

    Examples
    --------
    >>> import cycseq
    >>> data = cycseq.read("cells.h5ad")
    >>> (split,) = cycseq.make_splits(data, cycseq.SplitSettings(context="Line3"))
    >>> split.name, len(split.test), len(split.train) + len(split.validation)
    ('unseen-context:Line3', 6, 12)
    """
    settings = settings or SplitSettings()
    _check(settings)
    build = listed_pairs if settings.test_conditions is not None else BUILDERS[settings.kind]
    plans = [hold_back_controls(data, plan, settings) for plan in build(data, settings)]
    data_hash = data.fingerprint()
    return tuple(Split(kind=settings.kind, seed=settings.seed, data_hash=data_hash, **vars(plan)) for plan in plans)


def find_splits(data: Data, names: Sequence[str], settings: SplitSettings | None = None) -> tuple[Split, ...]:
    """The splits of a benchmark: made from the data where a kind is named, read where a file or folder is.

    Raises `SettingsError` if a name is neither a kind nor a file, and `SplitError` if a split cannot be made, was made from other
    data, has `problems`, or occurs twice.
    """
    splits: list[Split] = []
    for name in names:
        if name in KINDS:
            splits += make_splits(data, replace(settings or SplitSettings(), kind=name))
        elif Path(name).is_dir():
            splits += [_read(path, data) for path in sorted(Path(name).glob("*.json"))]
        elif name.endswith(".json"):
            splits.append(_read(Path(name), data))
        else:
            raise unknown_name(name, "kind of split (and no JSON file)", KINDS)
    if not splits:
        raise FileError(f"no split in {', '.join(names) or 'nothing'}: name a kind or a JSON file with --split.")
    twice = [name for name, n in Counter(split.name for split in splits).items() if n > 1]
    if twice:
        raise SplitError(f"two splits are named {twice[0]!r}: name each split once.")
    return tuple(splits)


def _read(path: Path, data: Data) -> Split:
    """A split that may be scored, of these data; raises `SplitError` if it is none."""
    split = Split.read(path).require_test()
    split.check(data)
    return split


def _check(settings: SplitSettings) -> None:
    if settings.kind not in KINDS:
        raise unknown_name(settings.kind, "kind of split", KINDS)
    for setting, kinds in BELONGS_TO.items():
        if getattr(settings, setting) is not None and settings.kind not in kinds:
            option = f"--{setting.replace('_', '-')}"
            msg = f"{option} {getattr(settings, setting)} belongs to {', '.join(kinds)}, but the kind is {settings.kind}: leave it out, or use --kind {kinds[0]}."
            raise SettingsError(msg)
    if settings.k is not None and settings.n_cells is not None:
        raise SettingsError(
            f"few-shot keeps --k {settings.k} conditions or --n-cells {settings.n_cells} of each, not both: choose one."
        )
    check_at_least(1, k=settings.k, n_cells=settings.n_cells)
    check_at_least(0, most=2, seen_parts=settings.seen_parts)
    check_at_least(0, seed=settings.seed)
    tested, validated = settings.fraction, settings.validation
    if (tested is not None and not 0 < tested < 1) or (validated is not None and not 0 <= validated < 1):
        raise SettingsError(
            f"--fraction must lie between 0 and 1 and --validation from 0 to 1, but they are {tested} and {validated}."
        )
    default = SHARE if settings.kind == "random-cells" else 0.0
    tested, validated = (default if value is None else value for value in (tested, validated))
    if tested + validated >= 1:
        msg = f"--fraction {tested:g} and --validation {validated:g} leave nothing to train on: their sum must be below 1."
        raise SettingsError(msg)
