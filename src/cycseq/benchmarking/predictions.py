"""Predicted cells of the real conditions of one context: how many, and how many at once."""

from collections.abc import Iterator, Sequence

import anndata as ad
import numpy as np

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.models.base import Model

MAX_CELLS = 500  # cells predicted for a condition, at most, where nothing else is said
MAX_VALUES = 64_000_000
"""Values (cells x genes) that are predicted at once, where as many cells as are real are not more: 256 MB."""


def predict_conditions(
    model: Model,
    controls: PerturbationData,
    real: PerturbationData,
    *,
    cells: int | None,
    seed: int,
    in_pieces: bool = False,
) -> Iterator[PerturbationData]:
    """Predicted cells of every real condition of one context: of as many control cells as there is room for, each once.

    With as many cells as are real, metrics of cells would rest on which few controls were drawn, and their mean, which a
    prediction fixes, would have less noise than that of cells drawn at random. Conditions with the same number of cells are
    predicted together; in pieces, of `MAX_VALUES` at most.
    """
    conditions, n_controls = real.conditions(), controls.n_cells
    room = MAX_VALUES // (len(conditions) * len(real.genes))
    by_number: dict[int, list[Condition]] = {}
    for condition, n_real in zip(conditions, np.bincount(real.condition_codes), strict=True):
        n_cells = cells or min(n_controls, MAX_CELLS, max(int(n_real), room))
        by_number.setdefault(n_cells, []).append(condition)
    for n, together in by_number.items():
        size = max(1, MAX_VALUES // (n * len(real.genes))) if in_pieces else len(together)
        for start in range(0, len(together), size):
            yield model.predict(controls, together[start : start + size], n_cells=n, seed=seed)


def concatenate(predicted: Sequence[PerturbationData]) -> PerturbationData:
    """The cells of several predictions; without their posteriors, where they are more than one."""
    if len(predicted) == 1:
        return predicted[0]
    return PerturbationData(adata=ad.concat([part.adata for part in predicted], merge="same"), scale=predicted[0].scale)
