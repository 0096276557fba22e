"""cell-eval 0.8: `adata_pred.h5ad` and `adata_real.h5ad`, obs `target_gene` (`non-targeting`), `celltype`.

What its `PerturbationAnndataPair` demands (ArcInstitute/cell-eval): the same genes in the same order, the same
perturbations on both sides, control cells on both sides, values from 0 to below 15 that are not counts.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from cycseq.data.dataset import PerturbationData
from cycseq.data.scale import HIGHEST_LOG1P, TARGET_SUM, summarize_values
from cycseq.errors import DataError, count_of, unknown_name, was
from cycseq.formats.writers.base import Labels, Layout, in_layout, obs_of, renamed, write_marker
from cycseq.io.hdf5 import write_h5ad
from cycseq.preparation.merge import join
from cycseq.preparation.prepare import as_log1p


def write_pair(predicted: PerturbationData, real: PerturbationData | None, folder: Path) -> tuple[str, ...]:
    """Predicted cells and the real ones of the same conditions, each with the real control cells of their contexts.

    Raises `DataError` if the two sides do not match, control cells are missing, or cell-eval would refuse the values.
    """
    if real is None:
        raise DataError("cell-eval compares two files: give the real cells, too.", option="--real REAL.h5ad")
    pair = matched_pair(predicted, real)
    folder.mkdir(parents=True)
    for name, side in (("pred", pair[0]), ("real", pair[1])):
        labels = Labels(obs_of(side, target_gene=renamed("non-targeting"), celltype="context", batch="batch"))
        write_h5ad(in_layout(side, labels, "cell-eval", "cell-eval"), folder / f"adata_{name}.h5ad", compression="gzip")
    write_marker(folder, "cell-eval", pair[0])
    return _notes(predicted, real, pair[0])


def matched_pair(predicted: PerturbationData, real: PerturbationData) -> tuple[PerturbationData, PerturbationData]:
    """Both sides with the same genes, conditions and control cells."""
    predicted, real = as_log1p(predicted).with_genes(real.genes), as_log1p(real)
    perturbed = [c for c in predicted.conditions() if not c.is_control]
    for condition in perturbed:
        if condition not in real.conditions():
            known = map(str, real.conditions())
            raise unknown_name(str(condition), "real condition for the predicted", known, DataError)
    if not perturbed:
        raise DataError("there are only control cells among the predicted ones: nothing can be compared.")
    controls = real.controls({condition.context for condition in perturbed})
    for cells, which in ((predicted, "predicted"), (real, "real")):
        summary = summarize_values(cells.x)
        if summary.lowest < 0 or summary.highest >= HIGHEST_LOG1P:
            raise DataError(
                f"cell-eval takes values from 0 to below {HIGHEST_LOG1P:.0f}, but the {which} ones go from "
                f"{summary.lowest:.4g} to {summary.highest:.4g}. cycseq evaluate scores them as they are."
            )
    sides = [join(controls, _named_apart(side.subset(perturbed), controls)) for side in (predicted, real)]
    return sides[0].require_controls(), sides[1].require_controls()


def _named_apart(cells: PerturbationData, controls: PerturbationData) -> PerturbationData:
    """The cells under names that no control cell has: some tools give predicted cells the names of their control cells."""
    if not cells.adata.obs_names.isin(controls.adata.obs_names).any():
        return cells
    adata = cells.adata.copy()
    adata.obs_names = pd.Index([f"predicted/{name}" for name in adata.obs_names])
    return PerturbationData(adata, cells.scale)


def _notes(predicted: PerturbationData, real: PerturbationData, output: PerturbationData) -> tuple[str, ...]:
    n_controls = output.controls().n_cells
    n_left_out = sum(not c.is_control and c not in output.conditions() for c in real.conditions())
    not_used = " (not the predicted ones)" if any(c.is_control for c in predicted.conditions()) else ""
    notes = [f"both sides share the {n_controls:,} real control cells{not_used}"]
    if "counts" in {predicted.scale, real.scale}:
        notes.append(f"counts were taken as log1p of counts per {TARGET_SUM:,.0f}")
    if n_left_out:
        notes.append(
            f"{count_of(n_left_out, 'real condition was', 'real conditions were')} not predicted and {was(n_left_out)} left out"
        )
    if len(output.contexts) > 1:
        notes.append(f"{len(output.contexts)} contexts: use --celltype-col celltype, or cell-eval pools them")
    return tuple(notes)


CELL_EVAL = Layout(
    name="cell-eval",
    tool="cell-eval",
    what="a folder with adata_pred.h5ad and adata_real.h5ad (use --real): target_gene, non-targeting, celltype",
    write=write_pair,
    endings=(),
    needs_real=True,
)
