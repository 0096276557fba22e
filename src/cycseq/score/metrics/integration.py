"""Integration: whether an embedding mixes batches and keeps conditions apart (Luecken et al. 2022, scIB).

Every score lies between 0 and 1, and 1 is best. Mixing is easily had by an embedding that forgets everything, and
keeping by a model that is told the labels: read both sides together, beside PCA of the same size.
"""

from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float

from cycseq.matrix.arrays import Codes

Embedding = Float[np.ndarray, "cells units"]
PerCell: TypeAlias = Float[np.ndarray, "cells"]
PERPLEXITY = 30.0
"""Effective number of neighbours of a cell; three times as many are looked at (Korsunsky et al. 2019)."""
STEPS = 50  # halvings of the search for each cell's kernel width
IntegrationName = Literal["mixing_asw", "mixing_lisi", "keeping_asw", "keeping_lisi"]
INTEGRATION: dict[IntegrationName, str] = {
    "mixing_asw": "mean over labels of the mean of 1 - |silhouette of batches| of the label's cells (scIB: batch ASW)",
    "mixing_lisi": "(median inverse Simpson index of batches among neighbours - 1) / (batches - 1) (scIB: iLISI)",
    "keeping_asw": "(mean silhouette of labels + 1) / 2 (scIB: cell type ASW)",
    "keeping_lisi": "(labels - median inverse Simpson index of labels among neighbours) / (labels - 1) (scIB: cLISI)",
}
"""Name -> formula and what it is called elsewhere."""


def integration(embedding: Embedding, batch: Codes, label: Codes) -> dict[IntegrationName, float]:
    """All scores of an embedding; NaN where there is one batch, or one label.

    Batches, to be mixed, and labels, to be kept apart, are whole numbers from 0.
    """
    neighbours = _Neighbours(embedding)
    return {
        "mixing_asw": mixing_asw(embedding, batch, label),
        "mixing_lisi": _scaled(neighbours.lisi(batch), batch),
        "keeping_asw": keeping_asw(embedding, label),
        "keeping_lisi": 1.0 - _scaled(neighbours.lisi(label), label),
    }


def mixing_asw(embedding: Embedding, batch: Codes, label: Codes) -> float:
    """Batch ASW of scIB: labels that are of one batch only, or whose batches have one cell each, are left out."""
    from sklearn.metrics import silhouette_samples

    means = []
    for one in np.unique(label):
        rows = label == one
        if 2 <= len(np.unique(batch[rows])) < rows.sum():
            means.append(float(np.mean(1.0 - np.abs(silhouette_samples(embedding[rows], batch[rows])))))
    return float(np.mean(means)) if means else float("nan")


def keeping_asw(embedding: Embedding, label: Codes) -> float:
    """Cell type ASW of scIB, of any label."""
    from sklearn.metrics import silhouette_score

    if not 2 <= len(np.unique(label)) < len(label):
        return float("nan")
    return (float(silhouette_score(embedding, label)) + 1.0) / 2.0


def lisi(embedding: Embedding, label: Codes) -> PerCell:
    """How many labels, effectively, each cell's neighbours have: the inverse Simpson index (Korsunsky et al. 2019).

    Neighbours are weighted by a Gaussian kernel whose width gives every cell the same perplexity; the cell itself is
    none of them. Between 1 and the number of labels.
    """
    return _Neighbours(embedding).lisi(label)


class _Neighbours:
    """The weighted neighbours of every cell."""

    def __init__(self, embedding: Embedding) -> None:
        from sklearn.neighbors import NearestNeighbors

        n = min(int(3 * PERPLEXITY), len(embedding) - 1)
        nearest = NearestNeighbors(n_neighbors=n).fit(embedding)
        distance, self.places = nearest.kneighbors()  # of each cell among the others
        self.weights = _weights(distance.astype(np.float64), min(PERPLEXITY, n / 3.0))

    def lisi(self, label: Codes) -> PerCell:
        share = np.stack([((label[self.places] == one) * self.weights).sum(axis=1) for one in np.unique(label)])
        return np.asarray(1.0 / np.square(share).sum(axis=0))


def _weights(distance: Float[np.ndarray, "cells near"], perplexity: float) -> Float[np.ndarray, "cells near"]:
    """exp(-beta d) of each cell, its sum 1; beta by bisection on the logarithm of the perplexity, as in t-SNE."""
    gap = distance - distance[:, :1]
    size = np.maximum(gap.mean(axis=1, keepdims=True), 1e-12)
    low, high = np.full((len(gap), 1), -20.0), np.full((len(gap), 1), 20.0)
    for _ in range(STEPS):
        middle = (low + high) / 2.0
        weights = np.exp(-np.exp(middle) * gap / size)
        weights /= weights.sum(axis=1, keepdims=True)
        entropy = -(weights * np.log(np.maximum(weights, 1e-300))).sum(axis=1, keepdims=True)
        wide = entropy > np.log(perplexity)
        low, high = np.where(wide, middle, low), np.where(wide, high, middle)
    return np.asarray(weights)


def _scaled(distances: PerCell, label: Codes) -> float:
    n = len(np.unique(label))
    return float("nan") if n < 2 else (float(np.median(distances)) - 1.0) / (n - 1)
