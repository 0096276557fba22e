"""Models that predict one shift per condition and make cells by shifting real control cells."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Self, final

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.effect_means import mean_of_measured, mean_response_of, mean_responses
from cycseq.data.effects import Effects
from cycseq.data.usual_names import CONTROL
from cycseq.errors import ModelError, count_of
from cycseq.knowledge.features import Features
from cycseq.matrix.arrays import Matrix, Profile, take, take_groups, to_dense
from cycseq.models.base import Fitted, Model
from cycseq.models.cells import draw, predicted_obs, rescaled, shifted_cells
from cycseq.models.doses import Series, series_of
from cycseq.models.knowledge import stored_features
from cycseq.models.means import MISSING, MeansModel
from cycseq.models.other_contexts import OtherContexts
from cycseq.preparation.pseudobulk import control_means
from cycseq.split.settings import Kind

Controls = Mapping[str, Profile]  # mean control profile (log1p) of every context of which it is known
Learned = tuple[dict[str, np.ndarray], dict[str, object]]  # arrays, and facts that JSON can hold
FEWEST = 3  # perturbations measured both here and elsewhere, from which on something is learned of this context
MEASURED = "measured"  # of a fitted model's arrays: the genes that any training condition measured, where some were not


class ShiftModel(MeansModel):
    """Learns from effects, predicts Delta^ of a condition, and adds it to control cells."""

    @abstractmethod
    def learn(self, train: Effects, controls: Controls, *, task: Kind | None = None, seed: int) -> Learned:
        """The arrays and JSON facts that `shift` needs.

        Parameters
        ----------
        train
            The effects of the perturbed training conditions; NaN where a gene was not measured.
        controls
            Mean control profile (log1p) of every context of which it is known; none of a table of effects alone.
        task
            The kind of the split, where it is known: what to leave out where settings are chosen.
        seed
            Fixes everything random.
        """

    @abstractmethod
    def shift(self, condition: Condition, control_mean: Profile | None) -> Profile:
        """Delta^ of a condition, on the scale of the effects; raises `ModelError` where the model cannot know it.

        Parameters
        ----------
        condition
            A perturbed condition.
        control_mean
            Mean of the control cells of its context, in the model's genes; None where effects alone are known.
        """

    @final
    def fit_effects(self, train: Effects, *, task: Kind | None = None, seed: int = 0) -> Self:
        """Learn from the effects of the training conditions."""
        perturbed = self.training_effects(train)
        arrays, facts = self.learn(perturbed, train.control_means(), task=task, seed=seed)
        measured = np.asarray(perturbed.measured.any(axis=0))
        if not measured.all():
            arrays = {**arrays, MEASURED: measured}
        missing = [name for name, a in arrays.items() if a.dtype.kind == "f" and np.isnan(a).any()]
        self.fitted_ = Fitted(
            genes=tuple(perturbed.genes),
            scale=perturbed.scale,
            contexts=perturbed.contexts,
            perturbations=perturbed.perturbations,
            arrays={name: np.ascontiguousarray(a) for name, a in arrays.items()},  # as they will be when loaded
            facts={**facts, **({MISSING: missing} if missing else {})},
        )
        return self

    @final
    def predict_effects(self, conditions: Sequence[Condition], controls: Effects | None = None) -> Effects:
        """Delta^ of every condition; NaN for a gene that no training condition measured."""
        conditions = self.check_conditions(conditions)
        learned = self.learned
        profiles = {} if controls is None else controls.with_genes(learned.genes).control_means()
        effect = np.zeros((len(conditions), len(learned.genes)), dtype=np.float32)
        for row, condition in enumerate(conditions):
            if not condition.is_control:
                effect[row] = self.shift(condition, profiles.get(condition.context))
        if MEASURED in learned.arrays:
            effect[:, ~learned.arrays[MEASURED]] = np.nan
        return self.predicted_effects(effect, conditions)

    @final
    def predict(
        self,
        controls: PerturbationData,
        conditions: Sequence[Condition | str] | str,
        *,
        n_cells: int | None = None,
        seed: int = 0,
    ) -> PerturbationData:
        """Control cells of each context, shifted; the mean of the cells is exactly control mean + Delta^, not below 0.

        A shifted cell has hardly a zero, so the cells are dense: ``n_cells`` x genes x 4 bytes for each condition. They
        stay sparse where no condition is shifted.
        """
        conditions = self.check_conditions(conditions)
        controls = self.check_controls(controls, conditions).load(self.name)
        means = control_means(controls)
        shifts = {
            c: np.zeros_like(means[c.context]) if c.is_control else self.shift(c, means[c.context]) for c in conditions
        }
        return cells_shifted_by(shifts, self, controls, n_cells=n_cells, seed=seed)

    def perturbed_mean(self, condition: Condition) -> Profile:
        """Mean of the training Deltas of the condition's dose and time in its context, of the context, or of all.

        Needs `perturbed_means` in `learn`.
        """
        learned = self.learned
        keys = (tuple(key) for key in learned.facts["mean_of"])
        means = learned.remember(
            "perturbed_means", lambda: dict(zip(keys, learned.arrays["perturbed_mean"], strict=True))
        )
        return mean_response_of(means, condition)

    def measured_delta(self, perturbation: str, context: str) -> Profile | None:
        """Delta of a perturbation as measured in the context, or else its mean over the contexts that have it, gene by gene.

        None where no training context has it. Needs `store_deltas` in `learn`.
        """
        places = self.places_of(perturbation)
        if not places:
            return None
        delta = self.learned.arrays["delta"]
        here: Profile | None = delta[places[context]] if context in places else None
        if here is not None and not np.isnan(here).any():
            return here
        everywhere = mean_of_measured(delta[list(places.values())])
        return everywhere if here is None else np.where(np.isnan(here), everywhere, here)

    def places_of(self, perturbation: str) -> dict[str, int]:
        """Context -> row of `delta` for a perturbation."""
        return self.elsewhere.places.get(perturbation, {})

    @property
    def elsewhere(self) -> OtherContexts:
        """The training Deltas by perturbation and context. Needs `store_deltas` in `learn`."""
        learned = self.learned
        conditions = (Condition(*key) for key in learned.facts["conditions"])
        return learned.remember("elsewhere", lambda: OtherContexts(learned.arrays["delta"], tuple(conditions)))

    def measured_elsewhere(self, condition: Condition) -> OtherContexts:
        """The same; raises `ModelError` if no other context has the perturbation."""
        there = self.elsewhere
        if not there.has(condition.perturbation, condition.context):
            raise ModelError(
                f"{self.name} cannot predict {str(condition)!r}: no other training context has {condition.perturbation!r}. Leave it "
                "out, or predict it with Additive (combinations) or a model with features."
            )
        return there

    @property
    def stored_features(self) -> Features:
        """The features that `store_features` kept in `learn`."""
        return stored_features(self.learned)


class DeltaModel(ShiftModel):
    """Keeps the training Deltas; what it learns of them follows when a condition is predicted."""

    @final
    def learn(self, train: Effects, controls: Controls, *, task: Kind | None = None, seed: int) -> Learned:
        """The training Deltas with their conditions."""
        return store_deltas(train)

    def series_of(self, condition: Condition) -> Series:
        """The training Deltas at other doses or times; raises `ModelError` if there are none."""
        conditions = [Condition(*pair) for pair in self.learned.facts["conditions"]]
        series = series_of(condition, conditions, self.learned.arrays["delta"])
        if series is None:
            msg = f"{self.name} cannot predict {str(condition)!r}: training has no dose, time or context of {condition.agent!r}."
            raise ModelError(msg)
        return series


class RegressionModel(DeltaModel):
    """Regresses what perturbations do in a context on what they do elsewhere; with too few in both, predicts the mean elsewhere."""

    @abstractmethod
    def regress(self, there: OtherContexts, context: str, names: Sequence[str]) -> Callable[[str], Profile]:
        """What predicts a perturbation's Delta in the context, learned from the perturbations measured both there and elsewhere."""

    @final
    def shift(self, condition: Condition, control_mean: Profile | None) -> Profile:
        """The regression at the responses elsewhere."""
        there, context = self.measured_elsewhere(condition), condition.context

        def learn() -> Callable[[str], Profile]:
            names = there.both(context)
            return (
                self.regress(there, context, names)
                if len(names) >= FEWEST
                else lambda name: there.mean([name], context)[0]
            )

        return self.learned.remember(f"regression in {context}", learn)(condition.perturbation).astype(np.float32)


def cells_shifted_by(
    shifts: Mapping[Condition, Profile], model: Model, controls: PerturbationData, *, n_cells: int | None, seed: int
) -> PerturbationData:
    """Control cells of each condition's context, shifted by what a fitted model computed; those of controls stay.

    Raises
    ------
    ModelError
        If the shift of a gene is unknown (NaN): cells have a value of every gene.
    """
    conditions = list(shifts)
    controls = model.check_controls(controls, conditions).load(model.name)
    means = control_means(controls)
    if unknown := [c for c in conditions if np.isnan(shifts[c]).any()]:
        raise ModelError(
            f"{model.name} has no prediction for {count_of(int(np.isnan(shifts[unknown[0]]).sum()), 'gene')} of {str(unknown[0])!r}, as no "
            "training condition measured them there, and cells have every gene: predict effects (--as effects)."
        )
    rows = {context: controls.rows(Condition(context, CONTROL)) for context in {c.context for c in conditions}}
    drawn = [draw(rows[c.context], n_cells, np.random.default_rng([seed, *str(c).encode()])) for c in conditions]
    x: Matrix
    if sp.issparse(controls.x) and not any(shift.any() for c, shift in shifts.items() if not c.is_control):
        blocks = [rescaled(take(controls.x, r), means[c.context]) for c, r in zip(conditions, drawn, strict=True)]
        x = sp.vstack(blocks, format="csr")
    else:
        ends = np.cumsum([len(r) for r in drawn])
        x = np.empty((int(ends[-1]), len(controls.genes)), dtype=np.float32)
        for c, cells, end in zip(conditions, take_groups(controls.x, drawn), ends, strict=True):
            shift = np.zeros_like(means[c.context]) if c.is_control else shifts[c]
            x[end - cells.shape[0] : end] = shifted_cells(to_dense(cells), means[c.context], shift)
    obs = predicted_obs(controls, drawn, conditions)
    adata = ad.AnnData(
        X=x,
        obs=obs.astype(dict.fromkeys(("context", "perturbation", "batch"), "category")),
        var=pd.DataFrame(index=list(model.learned.genes)),
    )
    adata.uns["cycseq"] = {"scale": controls.scale, "model": model.name}
    return PerturbationData(adata=adata, scale=controls.scale)


def perturbed_means(train: Effects) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    """Mean Deltas with what each is the mean of, as `ShiftModel.perturbed_mean` reads them."""
    means = mean_responses(train)
    return {"perturbed_mean": np.stack(list(means.values()))}, {"mean_of": [list(key) for key in means]}


def store_deltas(train: Effects) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    """The training Deltas with their conditions, as `ShiftModel.measured_delta` reads them."""
    return {"delta": train.effect}, {"conditions": [list(condition) for condition in train.conditions()]}
