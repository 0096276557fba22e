"""The first CycSeq's corpus: its data sets made one, on common genes, with ComBat and metacells."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace

from cycseq.data.dataset import PerturbationData
from cycseq.data.usual_names import CONTROL
from cycseq.errors import count_of, join_names, was
from cycseq.formats.catalog.base import DataSet
from cycseq.formats.settings import CorpusSettings
from cycseq.preparation.prepare import prepare
from cycseq.preparation.selection import MIN_CONTROLS
from cycseq.preparation.settings import PrepareSettings


def join(parts: Iterable[tuple[DataSet, PerturbationData]], settings: CorpusSettings | None = None) -> PerturbationData:
    """One log1p data set out of several of the catalogue.

    Every data set is normalised by the library sizes of its own cells over all of its genes; then they are merged on
    their common genes. Contexts carry the method (`K562_CRISPRi`, `K562_CRISPRa`), because activation and knock-down
    of one gene are not one perturbation. Contexts with fewer than two control cells are dropped. Raises `DataError` if they have
    hardly any genes in common, or a part has no control cells.

    Parts are taken one at a time, so that an iterator saves memory.
    """
    settings = settings or CorpusSettings()
    logged, names = [], []
    for dataset, data in parts:
        part = _with_controls(data)
        if dataset.method != "none":
            adata = part.adata.copy()
            contexts = [f"{name}_{dataset.method}" for name in adata.obs["context"].cat.categories]
            adata.obs["context"] = adata.obs["context"].cat.rename_categories(contexts)
            part = replace(part, adata=adata)
        logged.append(prepare([part], PrepareSettings(genes="all")))
        names.append(dataset.name)
    shared = {name: value for name, value in asdict(settings).items() if name != "datasets"}
    return prepare(logged, PrepareSettings(**shared), names)


def _with_controls(data: PerturbationData) -> PerturbationData:
    """The contexts with enough control cells."""
    obs = data.adata.obs
    n_controls = (obs["perturbation"] == CONTROL).groupby(obs["context"].astype(str)).sum()
    few = n_controls.index[n_controls < MIN_CONTROLS]
    if not len(few):
        return data
    others = data.take((~obs["context"].astype(str).isin(few)).to_numpy())
    note = f"{count_of(len(few), 'context')} with fewer than {MIN_CONTROLS} control cells {was(len(few))} dropped ({join_names(few)})"
    return replace(others, notes=(*others.notes, note))
