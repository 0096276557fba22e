"""Several data sets made one: the genes that all of them have, cells and batches told apart."""

from __future__ import annotations

import json
from collections.abc import Sequence

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from cycseq.data.dataset import PerturbationData
from cycseq.data.gene_names import MIN_GENES, why_genes_differ
from cycseq.data.validate import OBS
from cycseq.data.values import with_parts
from cycseq.errors import DataError, count_of, join_names, was
from cycseq.matrix.arrays import store_alike


def merge(inputs: Sequence[PerturbationData], names: Sequence[str] | None = None) -> PerturbationData:
    """Several data sets, one for each cell line for example, as one with all their contexts.

    The genes are those that all inputs have, in the order of the first. Batches are prefixed with the input's name
    (``a/rep1``), because equal labels in two files are two batches; cells only where names collide. Contexts and
    perturbations keep their names: the same label in two files is the same condition. Members of metacells
    (``obsm["source_cells"]``) are kept; those of two inputs are taken for different cells. Raises `DataError` if the scales
    differ, two inputs are the same, or hardly any genes are common (with a guess why).
    """
    if not inputs:
        raise DataError("there is nothing to merge: give at least one input.")
    if len(inputs) == 1:
        return inputs[0]
    names_used = list(ad.utils.make_index_unique(pd.Index(names or [f"input{i + 1}" for i in range(len(inputs))])))
    if len({data.scale for data in inputs}) > 1:
        which = ", ".join(f"{name} is {data.scale}" for data, name in zip(inputs, names_used, strict=True))
        msg = f"the inputs are on different scales: {which}. Give all as counts, or prepare each alone first."
        raise DataError(msg)
    genes = common_genes(inputs, names_used)
    collide = _collide(inputs, names_used)
    parts = []
    for data, name in zip(inputs, names_used, strict=True):
        part = data.adata if data.genes == genes else data.adata[:, genes]
        renamed = ad.AnnData(X=part.X, obs=part.obs.copy(), var=part.var.copy(), layers=part.layers, varm=part.varm)
        renamed.obs["batch"] = [f"{name}/{batch}" for batch in renamed.obs["batch"]]
        renamed.obs["input"] = name
        if collide:
            renamed.obs_names = [f"{name}/{cell}" for cell in renamed.obs_names]
        parts.append(renamed)
    merged = ad.concat(_all_stored(parts), join="inner", merge="same")
    for column in merged.obs.columns:
        if column in OBS or merged.obs[column].dtype == object:
            merged.obs[column] = pd.Categorical(merged.obs[column].astype(object))
    if any("source_cells" in data.adata.obsm for data in inputs):
        members = [data.adata.obsm.get("source_cells", sp.eye_array(data.n_cells, dtype=bool)) for data in inputs]
        merged.obsm["source_cells"] = sp.csr_matrix(sp.block_diag(members, format="csr"), dtype=bool)
    origin = [{"name": name, **data.provenance()} for data, name in zip(inputs, names_used, strict=True)]
    merged.uns["cycseq"] = {"scale": inputs[0].scale, "merged": json.dumps(origin)}
    notes = [
        f"{len(inputs)} inputs were merged ({', '.join(names_used)}): {count_of(len(genes), 'gene is', 'genes are')} common to all"
    ]
    if n_lost := max(len(data.genes) for data in inputs) - len(genes):
        notes.append(f"up to {count_of(n_lost, 'gene')} of an input are not in all others and {was(n_lost)} dropped")
    notes.append("batches were prefixed with the input's name")
    notes += ["cells were prefixed with the input's name, because some are called alike"] if collide else []
    input_notes = [f"{name}: {note}" for data, name in zip(inputs, names_used, strict=True) for note in data.notes]
    return PerturbationData(adata=merged, scale=inputs[0].scale, notes=(*input_notes, *notes))


def common_genes(inputs: Sequence[PerturbationData], names: Sequence[str]) -> list[str]:
    """The genes that all inputs have, in the order of the first; raises `DataError` if there are hardly any."""
    shared = set(inputs[0].genes).intersection(*(data.genes for data in inputs[1:]))
    if len(shared) < min(MIN_GENES, *(len(data.genes) for data in inputs)) or not shared:
        first = set(inputs[0].genes)
        other = min(range(1, len(inputs)), key=lambda i: len(first.intersection(inputs[i].genes)))
        one, two = inputs[0].genes, inputs[other].genes
        raise DataError(
            f"the inputs have {len(shared)} genes in common: {names[0]} has {join_names(one, 3)}; "
            f"{names[other]} has {join_names(two, 3)}. {why_genes_differ(one, two)}"
        )
    return [gene for gene in inputs[0].genes if gene in shared]


def _collide(inputs: Sequence[PerturbationData], names: Sequence[str]) -> bool:
    """Whether two inputs call a cell alike; raises `DataError` if they are the same data."""
    cells = np.concatenate([data.adata.obs_names.to_numpy(dtype=object) for data in inputs])
    if not pd.Index(cells).has_duplicates:
        return False
    name_of: dict[str, str] = {}
    for data, name in zip(inputs, names, strict=True):
        if (twin := name_of.setdefault(data.fingerprint(), name)) != name:
            raise DataError(f"{twin} and {name} hold the same cells with the same values: give each file once.")
    return True


def join(first: PerturbationData, second: PerturbationData | None) -> PerturbationData:
    """Parts of one data set together, in the genes of the first: the cells of the second that the first lacks are added."""
    if second is None:
        return first
    second = second.require(first.scale, "validation").with_genes(first.genes)
    new = second.take(~second.adata.obs_names.isin(first.adata.obs_names))
    parts = _all_stored([first.adata, new.adata])
    return PerturbationData(adata=ad.concat(parts, merge="same", uns_merge="same"), scale=first.scale)


def _all_stored(parts: Sequence[ad.AnnData]) -> list[ad.AnnData]:
    """The parts, those in memory as stored ones where any is stored: anndata puts like to like only."""
    matrices = [x for part in parts for x in (part.X, *part.layers.values())]
    alike = store_alike(matrices)
    if all(one is other for one, other in zip(matrices, alike, strict=True)):
        return list(parts)
    stored = iter(alike)
    return [with_parts(part, X=next(stored), layers={name: next(stored) for name in part.layers}) for part in parts]
