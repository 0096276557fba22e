"""Whether two data sets, such as predicted and real cells, are on one scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cycseq.data.dataset import PerturbationData
from cycseq.data.logarithms import SAMPLE
from cycseq.data.scale import TARGET_SUM
from cycseq.data.scale_decision import OTHER_TOTAL
from cycseq.errors import DataError
from cycseq.matrix.arrays import Profile, rows_read_fast, to_dense
from cycseq.preparation.prepare import as_log1p

CELLS = 400  # cells of each side that are compared
MIN_GENES, MAX_GENES = 20, 2_000  # genes that are compared; of more, some evenly spaced
VARIED = 0.25
"""Where the means of genes vary by a smaller share of their mean, a change of scale looks like any shift of all genes."""
FACTORS = np.geomspace(1e-3, 1e3, 61)
"""Totals that the predicted cells may have, as multiples of the total of the real ones."""
ALIKE = (1 / 3, 3.0)  # factors that a response or a poor model can also produce
EXPLAINED = 3.0  # a change of scale must bring the real means this many times closer to the predicted ones
CLOSE = 0.15  # and at least this close, as a share of the predicted means


def target_sum(data: PerturbationData) -> float | None:
    """The counts that the values are per: 10,000, `OTHER_TOTAL`, or None where that is not known."""
    if data.scale == "counts":
        return TARGET_SUM  # when they become log1p
    total = data.provenance().get("target_sum")
    return float(total) if isinstance(total, int | float) else None


def check_totals(one: float | None, other: float | None, what_one: str, what_other: str) -> None:
    """Raise `DataError` if one total is known to be 10,000 and the other not to be.

    Both are as of `target_sum`.
    """
    if None not in {one, other} and (one == OTHER_TOTAL) != (other == OTHER_TOTAL):
        per_10k, per_other = (what_other, what_one) if one == OTHER_TOTAL else (what_one, what_other)
        raise DataError(
            f"{per_10k} are ln(1 + counts per {TARGET_SUM:,.0f}) and {per_other} are logarithms of counts per another total, so that "
            "they cannot be compared: make both from counts with cycseq prepare."
        )


def check_same_scale(predicted: PerturbationData, real: PerturbationData) -> None:
    """Raise `DataError` if a change of scale alone would bring the predicted cells near to the real ones.

    The mean of predicted cells is held against that of real ones as they are, as log2 and log10, and as logarithms of
    counts per other totals; genes that both have count.
    """
    check_totals(target_sum(predicted), target_sum(real), "the predicted cells", "the real ones")
    real_genes = set(real.genes)
    genes = [gene for gene in predicted.genes if gene in real_genes]
    if len(genes) < MIN_GENES or "scaled" in {predicted.scale, real.scale}:
        return
    genes = genes[:: -(-len(genes) // MAX_GENES)]
    predicted_mean = _cells(predicted, genes, predicted.contexts).mean(axis=0)
    cells = _cells(real, genes, predicted.contexts)
    mean = cells.mean(axis=0)
    if mean.std() < VARIED * mean.mean():
        return
    size, distance = float(np.linalg.norm(predicted_mean)), _distance(predicted_mean, mean)
    counts = np.expm1(cells)
    others = {f"logarithms of counts per {factor * TARGET_SUM:,.0f}": np.log1p(factor * counts).mean(axis=0)
              for factor in FACTORS if not ALIKE[0] <= factor <= ALIKE[1]}  # fmt: skip
    others |= {f"log{base}": mean / np.log(base) for base in (2, 10)}
    nearest = min(others, key=lambda name: _distance(predicted_mean, others[name]))
    best = _distance(predicted_mean, others[nearest])
    if best * EXPLAINED < distance and best < CLOSE * size:
        option = "--predicted-scale log2" if nearest == "log2" else ""
        cure = f"use {option}" if option else "give them as counts, or as ln(1 + counts per 10,000)"
        msg = (
            f"the predicted cells look like {nearest}, the real ones are ln(1 + counts per {TARGET_SUM:,.0f}): {cure}. Use "
            "--predicted-scale log1p if both are on one scale all the same."
        )
        raise DataError(msg, option=option)


def _cells(data: PerturbationData, genes: list[str], contexts: Sequence[str]) -> np.ndarray:
    """Some cells of these contexts (of all, where none of them is there), log1p, of these genes."""
    in_contexts = data.adata.obs["context"].isin(contexts).to_numpy()
    in_contexts |= not in_contexts.any()
    rows = rows_read_fast(data.x, SAMPLE)
    rows = rows[in_contexts[rows]] if in_contexts[rows].any() else rows
    cells = as_log1p(data.take(rows[:: max(1, len(rows) // CELLS)]))
    return to_dense(cells.with_genes(genes).x).astype(np.float64)


def _distance(one: Profile, other: Profile) -> float:
    return float(np.linalg.norm(one - other))
