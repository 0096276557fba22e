"""What a benchmark compares: the models and splits that its settings name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cycseq.benchmarking.settings import BenchmarkSettings
from cycseq.data.either import Data
from cycseq.errors import FileError, SplitError, unknown_name
from cycseq.models import MODELS, build_model
from cycseq.score.settings import EvaluateSettings
from cycseq.score.verdicts import NEGATIVE_CONTROLS
from cycseq.split.base import Split
from cycseq.split.make import make_splits
from cycseq.split.settings import KINDS, SplitSettings

BASELINES = (
    *NEGATIVE_CONTROLS,
    "ContextAdditive",
    "Additive",
    "MatchingMean",
    "Bilinear",
    "NearestPerturbation",
    "Ridge",
    "ShrunkAdditive",
    "FoldChange",
    "LowRank",
    "ContextRidge",
    "ComponentRidge",
    "ResponseKernel",
    "Stacked",
    "NearestDose",
    "DoseInterpolation",
)
"""The simple models that every other has to beat."""
OF_DOSES = ("NearestDose", "DoseInterpolation")
"""Those that are another baseline where no dose or time is held out: the group leaves them out there."""


def choose_models(settings: BenchmarkSettings, splits: Sequence[Split] = ()) -> tuple[str, ...]:
    """The models by name, the negative controls first; groups hold those that say something of their own on these splits.

    Raises
    ------
    SettingsError
        If there is no such model; the nearest name is given. Settings are checked here too, before anything runs.
    """
    names: list[str] = list(NEGATIVE_CONTROLS)
    for name in settings.models:
        if name in {"baselines", "all"}:
            doses = any(split.kind in ("unseen-dose", "unseen-time") for split in splits)
            names += [one for one in (BASELINES if name == "baselines" else MODELS) if doses or one not in OF_DOSES]
        elif name in MODELS:
            names.append(name)
        else:
            raise unknown_name(name, "model", ["baselines", "all", *MODELS])
    chosen = tuple(dict.fromkeys(names))
    for name, values in settings.model_settings.items():
        if name not in chosen:
            raise unknown_name(name, "model among those compared", chosen)
        build_model(name, values)
    return chosen


def choose_splits(data: Data, settings: BenchmarkSettings, splitting: SplitSettings | None) -> tuple[Split, ...]:
    """The splits: made from the data where a kind is named, read where a file is.

    Raises
    ------
    SettingsError
        If a name is neither a kind nor a file.
    SplitError
        If a split cannot be made, was made from other data, or occurs twice.
    """
    splits: list[Split] = []
    for name in settings.split:
        if name in KINDS:
            splits += make_splits(data, replace(splitting or SplitSettings(), kind=name))
        elif Path(name).is_dir():
            splits += [Split.read(path) for path in sorted(Path(name).glob("*.json"))]
        elif name.endswith(".json"):
            splits.append(Split.read(Path(name)))
        else:
            raise unknown_name(name, "kind of split (and no JSON file)", KINDS)
    if not splits:
        msg = f"no split in {', '.join(settings.split) or 'nothing'}: name a kind or a JSON file with --split."
        raise FileError(msg)
    untested = next((split.name for split in splits if not split.test), None)
    if untested is not None:
        msg = f"split {untested} holds nothing out (test has no condition), so nothing can be scored: name one that cycseq split made."
        raise SplitError(msg)
    names = [split.name for split in splits]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        msg = f"two splits are named {twice[0]!r}: name each split once."
        raise SplitError(msg)
    return tuple(splits)


def describe_inputs(
    data: Data,
    settings: BenchmarkSettings,
    evaluation: EvaluateSettings,
    models: Sequence[str],
    splits: Sequence[Split],
) -> dict[str, Any]:
    """Everything that the tables depend on, in JSON's types."""
    asked = {
        "data": data.fingerprint(),
        "splits": {split.name: split.digest() for split in splits},
        "models": list(models),
        "model_settings": {model: _with_contents(said) for model, said in settings.model_settings.items()},
        "seeds": settings.seeds,
        "cells": settings.cells,
        "evaluation": asdict(evaluation),
        "cycseq": version("cycseq"),
    }
    said: dict[str, Any] = json.loads(json.dumps(asked, default=str))
    return said


def _with_contents(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings in which a file stands with a hash of what it holds: a changed file is another setting."""
    paths = {name: Path(value) for name, value in settings.items() if isinstance(value, str | Path)}
    hashes = {
        name: blake2b(path.read_bytes(), digest_size=8).hexdigest() for name, path in paths.items() if path.is_file()
    }
    return {name: [str(value), hashes[name]] if name in hashes else value for name, value in settings.items()}
