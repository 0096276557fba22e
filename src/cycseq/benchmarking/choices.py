"""Which models a benchmark compares, and all that its tables depend on."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cycseq.benchmarking.settings import BenchmarkSettings
from cycseq.data.either import Data
from cycseq.errors import unknown_name
from cycseq.knowledge.catalog import sources_for
from cycseq.models import MODELS, build_model
from cycseq.score.settings import EvaluateSettings
from cycseq.score.verdicts import NEGATIVE_CONTROLS
from cycseq.split.base import Split

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


def with_knowledge(
    settings: BenchmarkSettings, models: Sequence[str], perturbations: Sequence[str]
) -> BenchmarkSettings:
    """The same, with the knowledge among the settings of every model that takes it.

    Raises `FileError`, `DataError` if a source is missing, damaged, or knows none of the perturbations.
    """
    if not settings.knowledge:
        return settings
    sources_for(settings.knowledge, perturbations)
    shared = {"knowledge": settings.knowledge, "unseen": "common"}
    of_models = {
        name: shared | settings.model_settings.get(name, {})
        for name in models
        if hasattr(build_model(name), "knowledge")
    }
    return replace(settings, knowledge=[], model_settings=settings.model_settings | of_models)


def describe_inputs(
    data: Data,
    settings: BenchmarkSettings,
    evaluation: EvaluateSettings,
    models: Sequence[str],
    splits: Sequence[Split],
) -> dict[str, Any]:
    """Everything that the tables depend on, in JSON's types."""
    inputs = {
        "data": data.fingerprint(),
        "splits": {split.name: split.digest() for split in splits},
        "models": list(models),
        "model_settings": _with_hashes(settings.model_settings),
        "seeds": settings.seeds,
        "cells": settings.cells,
        "evaluation": asdict(evaluation),
        "cycseq": version("cycseq"),
    }
    return json.loads(json.dumps(inputs, default=str))


def _with_hashes(value: Any) -> Any:
    """Settings in which a file stands with a hash of what it holds: a changed file is another setting."""
    if isinstance(value, dict):
        return {name: _with_hashes(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_with_hashes(one) for one in value]
    if isinstance(value, str | Path) and Path(value).is_file():
        return [str(value), blake2b(Path(value).read_bytes(), digest_size=8).hexdigest()]
    return value
