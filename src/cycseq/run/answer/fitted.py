"""A fitted model's answer to some conditions: their effects and genes, and cells where the data are cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from cycseq.data.condition import Condition
from cycseq.data.dataset import PerturbationData
from cycseq.data.effects import Effects
from cycseq.data.either import Data
from cycseq.data.gene_mixture import GeneMixture
from cycseq.data.posterior import CONDITIONS, GenePosterior, all_changes, changes_of_posterior
from cycseq.models.base import Model
from cycseq.models.means import MeansModel
from cycseq.preparation.prepare import as_log1p
from cycseq.run.effects import effects_of_cells, effects_of_controls
from cycseq.run.parts import means_model, predict_on_effects

INFORMATIVE = 0.45
"""Up to which local false sign rate a prediction tells something of a gene's direction; 0.5 is a coin's."""


@dataclass(frozen=True)
class Prediction:
    """What a fitted model says of some conditions."""

    effects: Effects  # a row for each condition; layer `sd` where the model knows it
    cells: PerturbationData | None  # predicted cells, of data of cells

    @classmethod
    def of(
        cls, model: Model, controls: Data, conditions: Sequence[Condition], *, n_cells: int | None, seed: int
    ) -> Self:
        """Predict; `controls` are control cells, or the controls' rows of effects."""
        if isinstance(controls, Effects):
            return cls(predict_on_effects(means_model(model), conditions, controls), None)
        controls = as_log1p(controls.controls({c.context for c in conditions}))
        cells = model.predict(controls, conditions, n_cells=n_cells, seed=seed)
        if isinstance(model, MeansModel) and CONDITIONS not in cells.adata.uns:
            control_effects = effects_of_controls(model, controls.with_genes(model.learned.genes))
            return cls(model.predict_effects(conditions, control_effects), cells)
        return cls(effects_of_cells(cells, controls), cells)

    def genes(self, sd: np.ndarray | None = None) -> pd.DataFrame:
        """The table of genes, columns of `cycseq.data.posterior.COLUMNS`.

        `sd` holds standard deviations, conditions x genes (or genes), for a model that does not know its own.
        """
        if self.cells is not None and CONDITIONS in self.cells.adata.uns:
            return all_changes(self.cells)
        mean = self.effects.effect.astype(np.float64)
        of_model = self.effects.layer("sd")
        spread = np.broadcast_to(np.nan if sd is None else sd, mean.shape) if of_model is None else of_model
        spread = spread.astype(np.float64)
        mixture = GeneMixture.normal(mean, spread)
        informative = mixture.probabilities(0.0).lfsr < INFORMATIVE
        posterior = GenePosterior(mean, spread, spread, mixture, informative)
        return changes_of_posterior(posterior, self.effects.conditions(), self.effects.genes)
