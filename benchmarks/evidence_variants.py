"""What no benchmark does: coverage of intervals, predictions for the wrong context, ablations, and fits on less data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import anndata as ad
import numpy as np
import pandas as pd

from cycseq.benchmarking.predictions import concatenate, predict_conditions
from cycseq.benchmarking.work import (
    Unit,
    prepare_split,
    reference_controls,
    true_responses,
)
from cycseq.data.dataset import Condition, PerturbationData
from cycseq.io.files import write_text
from cycseq.matrix.arrays import to_dense
from cycseq.models.cells import predicted_obs, shifted_cells
from cycseq.models.kriging.model import ConditionKriging
from cycseq.models.kriging.noise import Sampling
from cycseq.preparation.merge import join
from cycseq.score.certainty import certainty
from cycseq.score.evaluate import evaluate
from cycseq.score.reference import Reference
from cycseq.score.settings import EvaluateSettings
from cycseq.split.base import Split, SplitParts
from evidence_certainty import tidy_coverage, tidy_reliability
from evidence_data import Case
from evidence_effects import without_kernels

ABLATED = ("kang", "easy", "context-specific", "long-tail", "unrelated")
"""Data sets in which ablations are run: first seed, unseen-context."""


@dataclass(frozen=True)
class Situation:
    """All that a variant may look at."""

    parts: SplitParts
    real: Reference
    split: Split
    settings: dict[str, Any]
    seed: int

    @property
    def train(self) -> PerturbationData:
        """Training and validation cells together, as ConditionKriging takes them."""
        return join(self.parts.train, self.parts.validation)

    def scored(self, predicted: PerturbationData, label: str) -> pd.DataFrame:
        """The rows of `cycseq.evaluate`."""
        return evaluate(predicted, self.real, model=label, split=self.split.name, seed=self.seed)

    def predicted(self, model: Any, train: PerturbationData, *, seed: int = 0) -> PerturbationData:
        """The test conditions, as a benchmark predicts them."""
        made = []
        for context in self.parts.test.contexts:
            real = self.parts.test.subset(c for c in self.split.test if c.context == context)
            made += predict_conditions(model, train.controls([context]), real, cells=None, seed=seed)
        return concatenate(made)


def compute_variants(
    case: Case,
    data: PerturbationData,
    splits: list[Split],
    folder: Path,
    features: dict[str, str],
    metrics: str,
    names: list[str],
) -> None:
    """Write one CSV for every variant and split; those that are there stay."""
    for i, split in enumerate(splits):
        todo = {
            name: folder / case.folder / f"{name}_{i}.csv"
            for name in names
            if not (folder / case.folder / f"{name}_{i}.csv").exists()
        }
        if not todo:
            continue
        real, parts = prepare_split(data, Unit(split, (), EvaluateSettings(metrics=metrics), None))
        for name, path in todo.items():
            situation = Situation(parts, real, split, {"unseen": "common", **features}, case.seed)
            write_text(path, pd.concat(VARIANTS[name](situation)).to_csv(index=False))


def variants_of(case: Case) -> list[str]:
    """Those that make sense for the kind of split."""
    if case.split == "few-shot":
        return ["less_data"]
    names = ["coverage_and_wrong_context" if case.split == "unseen-context" else "coverage"]
    if case.data in ABLATED and case.split == "unseen-context" and case.seed == 0:
        names += ["equal_noise", "no_near_contexts", "no_likeness", "no_learned_contexts"]
    if case.source.features and case.split == "unseen-perturbation":
        names += ["expression_features", "no_features"]
    return names


def coverage(s: Situation) -> Iterator[pd.DataFrame]:
    """Whether intervals and probabilities are what they say."""
    yield covered(s, ConditionKriging(**s.settings).fit(s.train))


def coverage_and_wrong_context(s: Situation) -> Iterator[pd.DataFrame]:
    """Coverage, and the response predicted for the next context, by name, put onto the controls of the right one."""
    train = s.train
    model = ConditionKriging(**s.settings).fit(train)
    yield covered(s, model)
    contexts = list(train.controls().contexts)
    made = []
    for condition in s.parts.test.conditions():
        wrong = contexts[(contexts.index(condition.context) + 1) % len(contexts)]
        other = model.predict(train.controls([wrong]), [Condition(wrong, condition.perturbation)], n_cells=200)
        delta = mean_of(other) - mean_of(train.controls([wrong]))
        made.append(shifted(train.controls([condition.context]), condition, delta))
    yield s.scored(concatenate(made), "ConditionKriging (wrong context)")


def covered(s: Situation, model: ConditionKriging) -> pd.DataFrame:
    """Coverage by stratum and reliability in every bin, for each context: as a benchmark counts them."""
    tables = []
    for context in s.parts.test.contexts:
        measured = s.parts.test.subset(c for c in s.split.test if c.context == context)
        controls = s.train.controls([context])
        made = list(predict_conditions(model, controls, measured, cells=None, seed=0))
        real = join(measured, reference_controls(s.parts, context))
        of_strata, of_bins = certainty(made, real, truth=true_responses(measured))
        tables += [tidy_coverage(of_strata), tidy_reliability(of_bins)]
    return pd.concat(tables, ignore_index=True).assign(model="ConditionKriging", seed=s.seed, split=s.split.name)


def less_data(s: Situation) -> Iterator[pd.DataFrame]:
    """A long-tail context: its own few cells alone, kriged or as measured, and the other contexts alone."""
    train, contexts = s.train, set(s.parts.test.contexts)
    own = train.subset(c for c in train.conditions() if c.context in contexts)
    others = train.subset(c for c in train.conditions() if c.context not in contexts or c.is_control)
    for label, kept in (("own data alone", own), ("others alone", others)):
        model = ConditionKriging(**s.settings).fit(kept)
        yield s.scored(s.predicted(model, train), f"ConditionKriging ({label})")
    place = {c: i for i, c in enumerate(own.conditions())}
    made = []
    for condition in s.parts.test.conditions():
        controls = train.controls([condition.context])
        delta = own.moments.mean[place[condition]] - mean_of(controls)
        made.append(shifted(controls, condition, delta))
    yield s.scored(concatenate(made), "own cells as measured")


def ablated(label: str, change: Callable[[], Any], **settings: Any) -> Callable[[Situation], Iterator[pd.DataFrame]]:
    def variant(s: Situation) -> Iterator[pd.DataFrame]:
        with change():
            model = ConditionKriging(**{**s.settings, **settings}).fit(s.train)
            predicted = s.predicted(model, s.train)
        yield s.scored(predicted, f"ConditionKriging ({label})")

    return variant


@contextmanager
def nothing_changed() -> Iterator[None]:
    yield


@contextmanager
def equal_noise() -> Iterator[None]:
    """The sampling noise of every gene and condition is taken to be the mean one."""
    split = Sampling.of

    def mean_noise(*args: Any) -> Sampling:
        known = split(*args)
        return Sampling(*(np.full_like(part, part.mean()) for part in (known.cells, known.control)))

    with mock.patch.object(Sampling, "of", mean_noise):
        yield


def shifted(controls: PerturbationData, condition: Condition, delta: np.ndarray) -> PerturbationData:
    """Control cells of a context with a Delta added."""
    cells = shifted_cells(to_dense(controls.x), mean_of(controls), delta)
    obs = predicted_obs(controls, [np.arange(controls.n_cells)], [condition])
    return PerturbationData(adata=ad.AnnData(cells, obs=obs, var=controls.adata.var[[]]), scale=controls.scale)


def mean_of(data: PerturbationData) -> np.ndarray:
    return np.asarray(data.x.mean(axis=0, dtype=np.float64)).ravel()


VARIANTS: dict[str, Callable[[Situation], Iterator[pd.DataFrame]]] = {
    "coverage": coverage,
    "coverage_and_wrong_context": coverage_and_wrong_context,
    "less_data": less_data,
    "equal_noise": ablated("equal noise", equal_noise),
    "no_near_contexts": ablated(
        "near contexts count no more", lambda: without_kernels(lambda name: "near contexts" in name)
    ),
    "no_likeness": ablated(
        "what does alike elsewhere counts no more", lambda: without_kernels(lambda name: "alike elsewhere" in name)
    ),
    "no_learned_contexts": ablated(
        "settings covary alike", lambda: without_kernels(lambda name: "as settings covary" in name)
    ),
    "expression_features": ablated("expression features", nothing_changed, features="expression"),
    "no_features": ablated("no features", nothing_changed, features=None),
}
