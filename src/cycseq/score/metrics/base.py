"""What a metric is, and what it may look at: real and predicted conditions of one context, side by side."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
from jaxtyping import Bool, Float

from cycseq.matrix.arrays import Cells, Codes, Mask, Profile, Profiles
from cycseq.score.metrics.formulas import RowSums, row_sums
from cycseq.score.metrics.population import Population, adjusted_p, log2_fold_change

Need = Literal["cells", "mean expression", "magnitude", "standard errors", "counts"]
Scores = Float[np.ndarray, "conditions"]
Values = Float[np.ndarray, "..."]  # values of a metric, of any shape


@dataclass(frozen=True)
class Axes:
    """Principal axes of the real control cells, those of other contexts among them where they are given."""

    mean: Profile
    directions: Float[np.ndarray, "genes components"]

    def project(self, cells: Cells) -> Float[np.ndarray, "cells components"]:
        """Where cells lie on them, in single precision."""
        mean, directions = self._single
        return np.asarray((cells - mean) @ directions)

    @cached_property
    def _single(self) -> tuple[Profile, Float[np.ndarray, "genes components"]]:
        return self.mean.astype(np.float32), self.directions.astype(np.float32)


@dataclass(frozen=True)
class RealContext:
    """The real conditions of ONE context with all that is computed from them alone."""

    context: str
    perturbations: tuple[str, ...]  # all real perturbations of the context; retrieval may confuse any of them
    genes: tuple[str, ...]
    cells: Population  # row i is perturbation i
    control: Population  # one condition: the reference, real control cells that the REAL responses are taken against
    kept: Mask  # False at the genes that a condition perturbs, which its scores leave out
    mean_perturbed: Profiles | None  # mu_all of each condition, for real cells; None where it cannot be known
    axes: Axes
    deg_alpha: float = 0.05
    model_control: Population | None = None
    """One condition: the control cells that models are given, which PREDICTED responses are taken against. None where they
    are those of `control`, so that the noise of their mean is in both responses."""
    model_mean_perturbed: Profiles | None = None
    """mu_all for predicted cells: what `PerturbedMean` predicts from the controls that it is given. None where it is the same
    for both sides."""
    cache: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)
    """Results that several metrics and all models share."""

    def remember(self, key: object, compute: Callable[[], Any]) -> Any:
        """What was computed under this key, or is now."""
        if key not in self.cache:
            self.cache[key] = compute()
        return self.cache[key]

    @property
    def control_mean(self) -> Profile:
        """Mean of the control cells that real responses are taken against."""
        return self.control.mean[0]

    @property
    def controls_of_model(self) -> Population:
        """The control cells that models are given."""
        return self.control if self.model_control is None else self.model_control

    @property
    def model_control_mean(self) -> Profile:
        """Mean of the control cells that models are given."""
        return self.controls_of_model.mean[0]

    @cached_property
    def noise(self) -> Profiles:
        """Sampling variance of every real response: of the condition's mean and of the control mean; NaN for one cell."""
        return np.asarray(self.cells.variance_of_mean + self.control.variance_of_mean)

    @cached_property
    def t(self) -> Profiles:
        """Welch's t of every condition against control; 0 where both are constant and alike, NaN for one cell."""
        spread = self.noise
        delta = self.cells.mean - self.control_mean
        t = np.divide(delta, np.sqrt(spread), out=np.where(np.isnan(spread), np.nan, 0.0), where=spread > 0)
        return np.asarray(t)


Pair: TypeAlias = tuple[Cells, Cells]
"""Predicted and real cells of a condition, in this order; the genes that it perturbs are 0 in both."""


@dataclass(frozen=True)
class Comparison:
    """Predicted and real conditions of one context, side by side; row i of everything is one condition."""

    real: RealContext
    places: Codes
    """Where the compared conditions stand among `real.perturbations`."""
    predicted: Population
    paired: bool = False
    """Whether drawn cell j is the same cell on both sides, as in reconstruction."""
    sampled: bool = False
    """Whether the predicted cells are a random sample of real ones, as in `SplitHalf`, so that the noise of their mean is
    known and no error of a prediction."""
    seed: int = 0
    cache: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    def of_all(self, key: str, compute: Callable[[Population], np.ndarray]) -> np.ndarray:
        """The compared rows of an array that is computed once for all predicted conditions, also where they are shuffled."""
        whole, rows = self.predicted.whole or self.predicted, self.predicted.rows
        owner, values = whole.cache.get(key, (None, None))
        if owner is not self.real:
            values = compute(whole)
            whole.cache[key] = self.real, values
        return np.asarray(values if rows is None else values[rows])

    @property
    def n_conditions(self) -> int:
        """How many conditions are compared."""
        return len(self.places)

    @cached_property
    def real_mean(self) -> Profiles:
        """Mu."""
        return self.real.cells.mean[self.places]

    @property
    def predicted_mean(self) -> Profiles:
        """Mean of the predicted cells."""
        return self.predicted.mean

    @cached_property
    def kept(self) -> Mask:
        """False at the genes that a condition perturbs."""
        return self.real.kept[self.places]

    @cached_property
    def delta(self) -> Profiles:
        """Real mean minus the mean of the reference controls."""
        return np.asarray(self.real_mean - self.real.control_mean)

    @cached_property
    def predicted_delta(self) -> Profiles:
        """Predicted mean minus the mean of the controls that the model was given."""
        return np.asarray(self.predicted.mean - self.real.model_control_mean)

    @property
    def model_mean_perturbed(self) -> Profiles | None:
        """mu_all for predicted cells, of every real condition."""
        shared = self.real.model_mean_perturbed is None
        return self.real.mean_perturbed if shared else self.real.model_mean_perturbed

    @cached_property
    def specific(self) -> Pair | None:
        """What sets each condition apart from the mean perturbation, predicted and real; None where that mean is unknown."""
        mean, of_model = self.real.mean_perturbed, self.model_mean_perturbed
        if mean is None or of_model is None:
            return None
        return self.predicted_mean - of_model[self.places], self.real_mean - mean[self.places]

    @cached_property
    def of_means(self) -> RowSums:
        """Sums over the kept genes of the mean profiles."""
        return self.sums(self.predicted_mean, self.real_mean)

    @cached_property
    def of_deltas(self) -> RowSums:
        """Sums over the kept genes of the responses."""
        return self.sums(self.predicted_delta, self.delta)

    @cached_property
    def of_specific(self) -> RowSums | None:
        """Sums over the kept genes of `specific`."""
        return None if self.specific is None else self.sums(*self.specific)

    def sums(self, predicted: Profiles, real: Profiles, *, by_t: bool = False) -> RowSums:
        """Sums over the kept genes of two tables of profiles, each gene with weight 1, or by the size of its t."""
        return row_sums(predicted, real, np.abs(self.real.t[self.places]) * self.kept if by_t else self.kept)

    @cached_property
    def degs(self) -> Bool[np.ndarray, "conditions genes"]:
        """The genes that are differentially expressed in the REAL cells, those perturbed left out."""
        p = adjusted_p(self.real.cells, self.real.control, [int(i) for i in self.places])
        return np.asarray((p < self.real.deg_alpha) & self.kept)

    @cached_property
    def predicted_p(self) -> Profiles:
        """Adjusted p-values against the model's control cells, of as many predicted as real cells: more find more genes.

        NaN for conditions without real DEGs: no metric asks for those.
        """
        drawn = tuple(rows[: self.n_paired(i)] for i, rows in enumerate(self.predicted.drawn))
        predicted, with_degs = replace(self.predicted, drawn=drawn, tested={}), np.flatnonzero(self.degs.any(axis=1))
        p = np.full(self.degs.shape, np.nan)
        if len(with_degs):
            p[with_degs] = adjusted_p(predicted, self.real.controls_of_model, [int(i) for i in with_degs])
        return p

    def fold_changes(self, i: int, genes: Codes) -> tuple[Profile, Profile]:
        """log2 fold changes of some genes of a condition, predicted and real, each against its own control cells."""
        predicted = log2_fold_change(self.predicted.mean[i, genes], self.real.model_control_mean[genes])
        return predicted, log2_fold_change(self.real_mean[i, genes], self.real.control_mean[genes])

    def n_paired(self, i: int) -> int:
        """How many cells of either side a comparison of equally many takes."""
        return min(len(self.predicted.drawn[i]), len(self.real.cells.drawn[self.places[i]]))

    def pair(self, i: int) -> Pair:
        """Equally many cells of both sides, dense."""
        n = self.n_paired(i)
        predicted, real = self.all_cells(i)
        return predicted[:n], real[:n]

    def all_cells(self, i: int) -> Pair:
        """All drawn cells of both sides, dense, often more on one side; kept while the comparison lives."""
        return self._predicted_cells[i], self._real_cells[i]

    @cached_property
    def _predicted_cells(self) -> list[Cells]:
        return self._without_perturbed(self.predicted)

    @cached_property
    def _real_cells(self) -> list[Cells]:
        return self._without_perturbed(self.real.cells.take(self.places))

    def _without_perturbed(self, side: Population) -> list[Cells]:
        """The drawn cells of every condition, dense, 0 at the genes that it perturbs."""
        of_conditions = side.cells()
        for cells, kept in zip(of_conditions, self.kept, strict=True):
            cells[:, np.flatnonzero(~kept)] = 0.0
        return of_conditions

    def projected(self, i: int) -> Pair:
        """All drawn cells of both sides in principal components; the real ones only once for all models."""
        if ("axes", i) not in self.cache:
            project, key = self.real.axes.project, ("axes", int(self.places[i]))
            real = self.real.remember(key, lambda: project(self._real_cells[i]))
            self.cache["axes", i] = project(self._predicted_cells[i]), real
        return self.cache["axes", i]

    def each(self, compute: Callable[[int], float], fewest: int = 2) -> Scores:
        """A metric of cells, condition by condition; NaN where a side has fewer cells than this."""
        return np.array(
            [compute(i) if self.n_paired(i) >= fewest else np.nan for i in range(self.n_conditions)], dtype=np.float64
        )


@dataclass(frozen=True)
class Metric:
    """A named formula with its source, best value and direction."""

    compute: Callable[[Any], Scores]
    """One value per condition, of a `Comparison`, or of a `CountComparison` where it needs counts; NaN where it is undefined."""
    direction: Literal["higher", "lower", "target"]
    """``target``: nearer to `best` is better."""
    formula: str
    source: str
    caution: str
    """How it can be gamed."""
    name: str = ""
    """If not given, that of the function."""
    best: float = math.nan
    """If not given, 1 where higher is better and 0 where lower is."""
    costly: bool = False
    """Looks at single predicted cells, not only at their moments."""
    paired: bool = False
    """Compares each cell with itself: reconstruction only."""
    needs: tuple[Need, ...] = ()
    """What it needs beside effects of whole conditions; one that needs nothing more is defined for effects on any scale."""
    likeness: bool = True
    """Whether a good value means that prediction and reality are alike; if not it describes, and carries no claim."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or self.compute.__name__)
        if math.isnan(self.best):
            object.__setattr__(self, "best", {"higher": 1.0, "lower": 0.0}[self.direction])

    def goodness(self, values: Values) -> Values:
        """The values turned so that larger is better; of a metric with a target, minus the distance to it.

        A metric that is unbiased may fall below its best value by chance. It is not turned back there: of `edistance`,
        -0.1 is better than 0, as otherwise the mean over conditions would hold the size of the noise.
        """
        if self.direction == "target":
            return np.asarray(-np.abs(values - self.best))
        return np.asarray(values if self.direction == "higher" else -values)

    def better(self, values: Values, others: Values) -> Bool[np.ndarray, "..."]:
        """Whether each value is better than the other one; false where either is NaN or both are alike."""
        return np.asarray(self.goodness(values) > self.goodness(others))
