"""Inner folds: the training part of a split, split again by the same rule."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from cycseq.benchmarking.tuning.settings import TuneSettings
from cycseq.data.dataset import Condition, PerturbationData
from cycseq.errors import SplitError
from cycseq.models.base import Model
from cycseq.preparation.prepare import as_log1p
from cycseq.run.parts import fit_parts
from cycseq.score.evaluate import evaluate
from cycseq.score.reference import Reference
from cycseq.score.settings import EvaluateSettings
from cycseq.split.base import Split
from cycseq.split.make import make_splits
from cycseq.split.problems import REFERENCE
from cycseq.split.settings import Kind, SplitSettings

METRICS = ("mse_ratio", "pearson_delta")
DRAWS = 3  # folds of a kind of split that holds out no context
MOST_CELLS = 200  # cells predicted for a condition; the metrics are of means, which do not depend on it
OF_A_CONTEXT = {"unseen-context", "unseen-pair", "few-shot"}


@dataclass(frozen=True)
class Fold:
    """One inner split with its real side, ready to score any settings."""

    split: Split
    data: PerturbationData  # all that the outer split lets a model learn from
    real: Reference
    conditions: tuple[Condition, ...]  # what is predicted: conditions whose parts the fold's training part has

    def scores(self, model: Model, seed: int) -> dict[str, float]:
        """Fit the model on the fold's training part, predict its test part; each metric's mean over conditions."""
        parts = self.split.parts(self.data)
        fitted = fit_parts(model, parts, self.split, seed=seed)
        controls = parts.train.controls({c.context for c in self.conditions})
        predicted = fitted.predict(controls, self.conditions, n_cells=MOST_CELLS, seed=seed)
        table: pd.DataFrame = evaluate(predicted, self.real, model=model.name, split=self.split.name, seed=seed)
        means = table.groupby("metric")["value"].mean()
        return {name: float(means[name]) for name in METRICS}


def inner_folds(data: PerturbationData, split: Split, settings: TuneSettings) -> tuple[Fold, ...]:
    """Folds within the training and validation part of a split; no test cell is looked at.

    Where a context is held out, every context that training may see is held out in turn; else there are three draws.
    A tested condition with a part that the fold's training part has nowhere is left out: no model without features
    could know it. Raises `SplitError` if the split was made from other data, or its training part cannot be split again.
    """
    rows = split.rows(data)
    learning = as_log1p(data.take(np.sort(np.concatenate([rows["train"], rows["validation"]]))))
    try:
        splits = _make_splits(learning, split, settings)
    except SplitError as err:
        msg = f"the training part of {split.name} cannot be split again for nested validation: {err}"
        raise SplitError(msg) from err
    if settings.folds is not None and len(splits) > settings.folds:
        drawn = np.random.default_rng([settings.seed, 5]).permutation(len(splits))[: settings.folds]
        splits = [splits[i] for i in np.sort(drawn)]
    folds = [fold for one in splits if (fold := _make_fold(one, learning)) is not None]
    if not folds:
        raise SplitError(
            f"no inner fold of {split.name} tests a perturbation that its own training part knows, so settings cannot "
            "be chosen by nested validation: give data in which perturbations are measured in more contexts."
        )
    return tuple(folds)


def _make_splits(learning: PerturbationData, split: Split, settings: TuneSettings) -> list[Split]:
    base = SplitSettings(
        kind=_task(split),
        validation=None if split.validation else 0.0,
        seed=settings.seed,
        shared_controls=REFERENCE not in split.cells,
    )
    if split.kind == "few-shot":
        base = _keep_as_many(base, split)
    if split.seen_parts in (0, 1, 2):
        base = replace(base, seen_parts=split.seen_parts)  # type: ignore[arg-type]
    if split.kind in OF_A_CONTEXT:
        return list(make_splits(learning, base))
    draws = DRAWS if settings.folds is None else settings.folds
    splits = [make_splits(learning, replace(base, seed=settings.seed + i))[0] for i in range(draws)]
    return [replace(inner, name=f"{inner.name}:draw{i + 1}") for i, inner in enumerate(splits)]


def _keep_as_many(base: SplitSettings, split: Split) -> SplitSettings:
    """As many cells of each condition, or conditions, of a long-tail context stay as in the split."""
    if split.cuts_conditions:
        return replace(base, n_cells=len(split.cells["train"]) // len({*split.test, *split.validation}))
    tested = {c.context for c in split.test}
    return replace(base, k=sum(c.context in tested for c in (*split.train, *split.left_out)))


def _make_fold(inner: Split, learning: PerturbationData) -> Fold | None:
    parts = inner.parts(learning)
    conditions_ = [*parts.train.conditions(), *(parts.validation.conditions() if parts.validation else ())]
    seen = {part for c in conditions_ for part in c.parts}
    unseen_kind = inner.kind in {"unseen-perturbation", "unseen-combination"}
    tested = [c for c in parts.test.conditions() if not c.is_control]
    conditions = tuple(c for c in tested if unseen_kind or set(c.parts) <= seen)
    if not conditions:
        return None
    controls = parts.train.controls({c.context for c in conditions})
    real = Reference.of(
        parts.test.subset(conditions), controls, reference=parts.reference, settings=EvaluateSettings(metrics=METRICS)
    )
    return Fold(inner, learning, real, conditions)


def _task(split: Split) -> Kind:
    """What the split holds out; raises `SplitError` if that is nothing."""
    if split.task is None:
        msg = "settings are chosen by holding out what the split holds out, but this split holds out nothing: make one with cycseq split."
        raise SplitError(msg)
    return split.task
