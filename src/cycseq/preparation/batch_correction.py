"""ComBat across batches, learned from control cells alone, so that no response is regressed away."""

from __future__ import annotations

from dataclasses import dataclass

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import Float, Int

from cycseq.data.dataset import PerturbationData
from cycseq.data.validate import PAIR
from cycseq.errors import DataError, MissingPackageError, count_of
from cycseq.matrix.arrays import Cells, Codes, Matrix, in_memory, to_dense

MIN_CONTROLS = 2  # ComBat estimates a spread in every batch

PerBatch = Float[np.ndarray, "batches genes"]


@dataclass(frozen=True)
class BatchEffect:
    """What ComBat found, per batch or context and gene."""

    shift: PerBatch  # added by the batch, in log1p units
    stretch: PerBatch  # what deviations from the centre are multiplied with to undo the batch's spread
    centre: Float[np.ndarray, "contexts genes"]  # control mean of a context over all batches


def correct_batches(data: PerturbationData, *, spread: bool = False) -> PerturbationData:
    """Remove differences between batches from all cells, as ComBat finds them in the control cells.

    ComBat (Johnson, Li, Rabinovic 2007; inmoose's `pycombat_norm`, parametric) is fitted on the control cells of
    batches that have them, the context being a covariate. Perturbed cells take no part in the fit. So a perturbation
    that is more frequent in one batch is not taken for that batch's effect, and held-out cells, which are perturbed,
    have no influence. The shift of a batch and gene is then taken from every cell of that batch, perturbed or not:
    differences between the cells of a batch stay what they were.

    Batches are compared where control cells connect them: two batches with a common context, directly or through
    others. Where every context has batches of its own (one file per cell line), batches are compared within a context,
    because what differs between contexts with no batch in common may be biology. Raises `DataError` if the data are not log1p, or
    a context has no control cells, and `MissingPackageError` if inmoose is not installed.

    With `spread`, the spread of the batches is equalised as well: ComBat's full form, which gives control cells exactly inmoose's
    values. It stretches the responses within a batch by the same factors as the controls' noise; genes that are nearly silent
    in control cells can be stretched much.

    Corrected values are dense (they are as they were, where no batches can be compared), and may lie a little below zero, as shifts
    go both ways; they are not clipped, which would move means. A layer `true_pair` is shifted alike.
    """
    data.require("log1p", "ComBat").require_controls()
    batch, batches = pd.factorize(data.adata.obs["batch"].astype(str), sort=True)
    context, contexts = pd.factorize(data.adata.obs["context"].astype(str), sort=True)
    control = (data.adata.obs["perturbation"] == "control").to_numpy()
    groups = _comparable(batch[control], context[control], len(batches), len(contexts))
    if (groups < 0).all():
        note = (
            f"ComBat changed nothing: of {count_of(len(batches), 'batch', 'batches')} no two share a context in which both have at least "
            f"{MIN_CONTROLS} control cells (--batch-key names the column of the batches)"
        )
        return PerturbationData(adata=data.adata, scale=data.scale, notes=(*data.notes, note))
    if not in_memory(data.x):
        raise DataError(
            f"ComBat makes all cells dense, which takes {data.n_cells * len(data.genes) * 4 / 2**30:.0f} GiB here: allow four "
            "times as much with --memory, keep fewer genes, or leave out --combat."
        )
    shape = (len(batches), len(data.genes))
    effect = BatchEffect(np.zeros(shape), np.ones(shape), np.zeros((len(contexts), len(data.genes))))
    for group in range(groups.max(initial=-1) + 1):
        cells = np.flatnonzero(control & (groups[batch] == group))
        _learn(effect, to_dense(data.x[cells]).astype(np.float64), batch[cells], context[cells])
    source, stretch = data.adata, effect.stretch if spread else None
    x = data.x.copy() if isinstance(data.x, np.ndarray) else to_dense(data.x)
    _remove(effect, x, batch, context, stretch)
    adata = ad.AnnData(X=x, obs=source.obs.copy(), var=source.var.copy(), uns=dict(source.uns))
    adata.obsm.update(source.obsm)
    adata.varm.update(source.varm)
    if PAIR in source.layers:
        adata.layers[PAIR] = _paired(effect, source.layers[PAIR], batch, context, stretch)
    return PerturbationData(adata=adata, scale=data.scale, notes=(*data.notes, *_notes(batch, groups, spread=spread)))


def _notes(batch: Codes, groups: Int[np.ndarray, "batches"], *, spread: bool) -> list[str]:
    """How many batches were corrected, and why the others were not."""
    unchanged = groups[batch] < 0
    n_corrected = len(np.unique(batch[~unchanged]))
    notes = [
        f"ComBat, fitted on control cells, shifted {n_corrected} of {count_of(len(groups), 'batch', 'batches')}"
        f"{' and equalised their spread' if spread else ''}; values may lie a little below zero"
    ]
    if unchanged.any():
        notes.append(
            f"{count_of(int(unchanged.sum()), 'cell')} of {count_of(len(groups) - n_corrected, 'batch', 'batches')} stayed as they were: their batch is the "
            f"only one of its contexts, or has fewer than {MIN_CONTROLS} control cells"
        )
    return notes


def _comparable(batch: Codes, context: Codes, n_batches: int, n_contexts: int) -> Int[np.ndarray, "batches"]:
    """The group of every batch that control cells connect; -1 for a batch with none beside it or too few cells."""
    from scipy.sparse.csgraph import connected_components

    enough = np.bincount(batch, minlength=n_batches) >= MIN_CONTROLS
    batches = enough[batch]
    edges = sp.coo_matrix(
        (np.ones(int(batches.sum())), (batch[batches], n_batches + context[batches])),
        shape=(n_batches + n_contexts,) * 2,
    )
    labels = connected_components(edges, directed=False)[1][:n_batches]
    isolated = np.bincount(labels[enough], minlength=labels.max(initial=0) + 1)[labels] < 2
    dropped = isolated | ~enough
    groups = np.full(n_batches, -1)
    groups[~dropped] = np.unique(labels[~dropped], return_inverse=True)[1]
    return groups


def _learn(effect: BatchEffect, x: Cells, batch: Codes, context: Codes) -> None:
    """Fill in the effect of the batches of these control cells.

    `pycombat_norm` returns corrected cells only. In batch b and gene g they are y - m = (x - m - shift) x stretch
    with m the cell's context centre, so that a regression within the batch gives both numbers back.
    """
    batches, b = np.unique(batch, return_inverse=True)
    contexts, c = np.unique(context, return_inverse=True)
    centre = _centres(x, b, c)
    effect.centre[contexts] = centre
    of_stratum = pd.DataFrame(x).groupby(pd.factorize(pd.MultiIndex.from_arrays([b, c]))[0])
    varying = np.asarray((of_stratum.max() - of_stratum.min()).max(axis=0) > 0)  # ComBat divides by that spread
    if not varying.any():
        return
    before = (x - centre[c])[:, varying]
    after = _combat(x[:, varying], b, c) - centre[c][:, varying]
    for i, number in enumerate(batches):
        u, v = before[b == i], after[b == i]
        deviation = u - u.mean(axis=0)
        square = np.square(deviation).sum(axis=0)
        steady = square > 1e-10 * len(u)
        stretch = np.divide((deviation * v).sum(axis=0), square, out=np.ones(len(square)), where=steady)
        effect.stretch[number, varying] = stretch
        effect.shift[number, varying] = (u - v / stretch).mean(axis=0)


def _combat(x: Cells, batch: Codes, context: Codes) -> Cells:
    try:
        from inmoose.pycombat import pycombat_norm
    except ImportError as err:
        raise MissingPackageError("--combat needs the package inmoose: pip install 'cycseq[combat]'.") from err
    covariate = pd.DataFrame({"context": [f"c{code}" for code in context]}) if len(np.unique(context)) > 1 else None
    return np.asarray(pycombat_norm(x.T, [f"b{code}" for code in batch], covar_mod=covariate), dtype=np.float64).T


def _centres(x: Cells, batch: Codes, context: Codes) -> Float[np.ndarray, "contexts genes"]:
    """Each context's mean in a batch of average composition: ComBat's stand mean, by least squares."""
    n_batches, n_contexts = int(batch.max()) + 1, int(context.max()) + 1
    design = np.zeros((len(x), n_batches + n_contexts - 1))
    design[np.arange(len(x)), batch] = 1
    later = np.flatnonzero(context > 0)
    design[later, n_batches + context[later] - 1] = 1
    beta = np.linalg.solve(design.T @ design, design.T @ x)
    grand = np.bincount(batch) / len(x) @ beta[:n_batches]
    return np.asarray(grand + np.vstack([np.zeros((1, x.shape[1])), beta[n_batches:]]))


def _remove(effect: BatchEffect, x: Cells, batch: Codes, context: Codes, stretch: PerBatch | None) -> None:
    """Take the effect of their batch from the cells, in place."""
    for number in range(len(effect.shift)):
        rows = np.flatnonzero(batch == number)
        part = x[rows] - effect.shift[number].astype(np.float32)
        if stretch is not None:
            centre = effect.centre[context[rows]]
            part = centre + (part - centre) * stretch[number]
        x[rows] = part


def _paired(effect: BatchEffect, pair: Matrix, batch: Codes, context: Codes, stretch: PerBatch | None) -> sp.csr_matrix:
    """The true pairs, which are cells of the same batch, without its effect; cells that have none stay empty."""
    csr = sp.csr_matrix(pair)
    rows = np.flatnonzero(np.diff(csr.indptr))
    part = csr[rows].toarray()
    _remove(effect, part, batch[rows], context[rows], stretch)
    place = sp.csr_matrix((np.ones(len(rows), np.float32), (rows, np.arange(len(rows)))), shape=(len(batch), len(rows)))
    return sp.csr_matrix(place @ sp.csr_matrix(part))
