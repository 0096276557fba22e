"""A perturbation does in a new context what it does in the others."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float

from cycseq.data.dataset import Condition
from cycseq.data.effect_means import weighted_mean
from cycseq.data.effects import Effects
from cycseq.errors import ModelError
from cycseq.matrix.arrays import Profile, Profiles
from cycseq.models.base import WEIGHT
from cycseq.models.baselines.shift import Controls, Learned, ShiftModel, store_deltas
from cycseq.split.settings import Kind

Weighting = Literal["equal", "cells", "nearness"]


@dataclass
class ContextAdditive(ShiftModel):
    """Control cells plus a times the mean over the training contexts of the perturbation's Delta.

    Formula: Delta^(p, c*) = a x sum_c w_c Delta(p, c), over the training contexts c that have p, sum_c w_c = 1. The
    amplitude a is the least-squares slope of the Delta of each context on the mean of the others, over all
    perturbations that two contexts have and over all genes (leave one context out); 1 where there are none.

    Reference: the general baseline of TxPert (2025); CellPB.

    Strong where contexts respond alike, and the one to beat for an unseen context. It refuses a perturbation, or a
    combination, that no training context has, and knows nothing of what is special to c*.
    """

    limits: ClassVar[dict[str, tuple[float, float]]] = {"amplitude": WEIGHT}
    amplitude: float | None = None
    """What the mean is multiplied by; None fits it by leaving one context out, 1 is the plain mean."""
    weighting: Weighting = "equal"
    """Weights of the contexts: equal, their cells of the perturbation, or the nearness of their control profiles to
    c*'s (Gaussian in the distance, with the median distance between training contexts as its width)."""

    def learn(self, train: Effects, controls: Controls, *, task: Kind | None = None, seed: int) -> Learned:
        arrays, facts = store_deltas(train)
        arrays |= self._weighed_by(train, controls)
        width = _median_distance(arrays["profiles"]) if self.weighting == "nearness" else 0.0
        amplitude = (
            _fitted_amplitude(train, self.weighting, arrays["n_cells"], arrays["profiles"], width)
            if self.amplitude is None
            else self.amplitude
        )
        return arrays, {**facts, "amplitude": amplitude, "width": width}

    def _weighed_by(self, train: Effects, controls: Controls) -> dict[str, np.ndarray]:
        """Cells of every condition and control profiles of every context, or zeros where the weights do not need them."""
        n_cells, n_genes = np.zeros(len(train.effect)), len(train.genes)
        profiles = np.zeros((len(train.contexts), n_genes), dtype=np.float32)
        if self.weighting == "cells":
            n_cells = train.adata.obs["n_cells"].to_numpy(dtype=np.float64)
        if self.weighting == "nearness" and set(train.contexts) <= set(controls):
            profiles = np.stack([controls[context] for context in train.contexts])
        elif self.weighting == "nearness" or np.isnan(n_cells).any():
            raise ModelError(
                f"--model.weighting {self.weighting} needs {'control profiles' if self.weighting == 'nearness' else 'numbers of cells'}, "
                "which these effects do not have: use --model.weighting equal."
            )
        return {"n_cells": n_cells, "profiles": profiles}

    def shift(self, condition: Condition, control_mean: Profile | None) -> Profile:
        learned = self.learned
        places = self.places_of(condition.perturbation)
        if not places:
            raise ModelError(
                f"ContextAdditive cannot predict {str(condition)!r}: no training context has {condition.perturbation!r}. "
                f"Leave it out, or predict it with Additive (combinations) or a model with features."
            )
        rows = list(places.values())
        profiles = learned.arrays["profiles"][[learned.contexts.index(context) for context in places]]
        weights = _weights(
            self.weighting, learned.arrays["n_cells"][rows], profiles, control_mean, learned.facts["width"]
        )
        mean = weighted_mean(weights[None], learned.arrays["delta"][rows].astype(np.float64))[0]
        shift: Profile = learned.facts["amplitude"] * mean
        return shift.astype(np.float32)


def _fitted_amplitude(
    train: Effects, weighting: Weighting, n_cells: np.ndarray, profiles: Profiles, width: float
) -> float:
    """Least-squares slope of every Delta on the weighted mean of the same perturbation's in other contexts."""
    of_condition = np.searchsorted(train.contexts, [c.context for c in train.conditions()])
    perturbations = np.array([c.perturbation for c in train.conditions()])
    product = square = 0.0
    for perturbation in np.unique(perturbations):
        rows = np.flatnonzero(perturbations == perturbation)
        for row in rows if len(rows) > 1 else ():
            others = rows[rows != row]
            weights = _weights(
                weighting, n_cells[others], profiles[of_condition[others]], profiles[of_condition[row]], width
            )
            mean = weighted_mean(weights[None], train.effect[others].astype(np.float64))[0]
            mean[np.isnan(train.effect[row])] = np.nan
            mean = np.nan_to_num(mean)
            product += float(mean @ np.nan_to_num(train.effect[row]))
            square += float(mean @ mean)
    return product / square if square > 0 else 1.0


def _weights(
    weighting: Weighting, n_cells: np.ndarray, profiles: Profiles, profile: Profile | None, width: float
) -> Float[np.ndarray, "contexts"]:
    """Weights of contexts with these cells and control profiles for a context with this profile; their sum is 1."""
    if weighting == "cells":
        weights = n_cells.astype(np.float64)
    elif weighting == "nearness" and width > 0:
        if profile is None:
            msg = "--model.weighting nearness needs the control profile of a context that is predicted: give its controls."
            raise ModelError(msg)
        squared = np.square(profiles.astype(np.float64) - profile).sum(axis=1)
        weights = np.exp(-(squared - squared.min()) / (2.0 * width**2))
    else:
        weights = np.ones(len(n_cells))
    return weights / weights.sum()


def _median_distance(profiles: Profiles) -> float:
    """Median Euclidean distance between the control profiles of different contexts; 0 for one context."""
    from scipy.spatial.distance import pdist

    return float(np.median(pdist(profiles.astype(np.float64)))) if len(profiles) > 1 else 0.0
