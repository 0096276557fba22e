"""What a run predicts as counts: cells of real depth whose sum has the predicted profile, of any model."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from cycseq.data.condition import Condition
from cycseq.data.dataset import PerturbationData
from cycseq.data.effects import Effects
from cycseq.errors import ModelError
from cycseq.models.baselines.shift import draw, predicted_obs
from cycseq.models.counts.draw import draw_counts
from cycseq.models.counts.profile import ControlCounts
from cycseq.run.effects import EffectsRun, effects_predicted
from cycseq.run.predicting import Asked
from cycseq.run.record import with_record


def predict_counts(
    run: EffectsRun, request: Asked, n_cells: int | None, seed: int, *, amplitude: float = 1.0
) -> PerturbationData:
    """Cells of whole-number counts, drawn around the effects that the run predicts; see `Run.predict`."""
    effects = effects_predicted(run, request.conditions, request.cells, seed)
    made = draw_cells(effects, request.cells, n_cells, seed, amplitude=amplitude)
    recorded = with_record(made, run.model, run.split, seed, own_cells=request.own_cells)
    recorded.adata.uns["cycseq"]["amplitude"] = amplitude
    return recorded


def draw_cells(
    effects: Effects, controls: PerturbationData, n_cells: int | None, seed: int, *, amplitude: float = 1.0
) -> PerturbationData:
    """Cells of whole-number counts around predicted effects, times the amplitude.

    Besides the control cells, memory holds the sparse counts of the cells asked for, and of one condition about 40 bytes for
    each count that changes and 150 MB.

    Raises
    ------
    DataError
        If the effects have no magnitude, or the counts of the control cells cannot be recovered.
    ModelError
        If an effect is unknown.
    """
    _check_all_genes(effects.require_magnitude("--as counts"))
    contexts = {c.context: controls.controls([c.context]) for c in effects.conditions()}
    sources = {name: ControlCounts.of(cells, effects.genes) for name, cells in contexts.items()}
    blocks, labels = [], []
    for condition, effect in zip(effects.conditions(), effects.effect, strict=True):
        source, rng = sources[condition.context], np.random.default_rng([seed, *str(condition).encode()])
        rows = draw(np.arange(len(source.total)), n_cells, rng)
        if condition.is_control:
            blocks.append(sp.csr_matrix(source.counts[rows], dtype=np.float32))
        else:
            blocks.append(draw_counts(source, rows, source.profile(amplitude * effect, effects.scale), rng))
        labels.append(predicted_obs(contexts[condition.context], rows, condition))
    adata = ad.AnnData(
        X=sp.vstack(blocks, format="csr"),
        obs=pd.concat(labels).astype(dict.fromkeys(("context", "perturbation", "batch"), "category")),
        var=pd.DataFrame(index=effects.genes),
        uns={"cycseq": {"scale": "counts"}},
    )
    return PerturbationData(adata=adata, scale="counts")


def _check_all_genes(effects: Effects) -> None:
    """Raise `ModelError` where an effect is unknown: cells have a count of every gene."""
    unknown = np.isnan(effects.effect).sum(axis=1)
    if unknown.any():
        condition: Condition = effects.conditions()[int(np.flatnonzero(unknown)[0])]
        msg = (
            f"nothing is known of {int(unknown.max()):,} genes of {str(condition)!r}, as no training condition measured "
            "them there, and cells have every gene: predict effects (--as effects)."
        )
        raise ModelError(msg)
