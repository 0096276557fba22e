"""Differentially expressed genes: tests on predicted cells against tests on real cells."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float

from cycseq.matrix.arrays import Codes
from cycseq.score.metrics.base import Comparison, Metric, Scores
from cycseq.score.metrics.ranks import mean_ranks


def _each(comparison: Comparison, compute: Callable[[int, Codes], float]) -> Scores:
    """A metric of a condition and its real DEGs; NaN where there are none."""
    of_condition = (np.flatnonzero(degs) for degs in comparison.degs)
    return np.array([compute(i, degs) if len(degs) else np.nan for i, degs in enumerate(of_condition)])


def deg_overlap(comparison: Comparison) -> Scores:
    """Share of the real DEGs among as many predicted DEGs."""

    def one(i: int, degs: Codes) -> float:
        called = np.flatnonzero((comparison.predicted_p[i] < comparison.real.deg_alpha) & comparison.kept[i])
        size = np.abs(comparison.fold_changes(i, called)[0])
        strongest = called[np.argsort(-size, kind="stable")[: len(degs)]]
        return float(comparison.degs[i, strongest].sum() / len(degs))

    return _each(comparison, one)


def deg_direction(comparison: Comparison) -> Scores:
    """Share of the real DEGs that are predicted to change in the right direction."""

    def one(i: int, degs: Codes) -> float:
        predicted, real = comparison.fold_changes(i, degs)
        return float((np.sign(predicted) == np.sign(real)).mean())

    return _each(comparison, one)


def deg_lfc_spearman(comparison: Comparison) -> Scores:
    """Rank correlation of the fold changes of the real DEGs; 0 where all are predicted alike."""

    def one(i: int, degs: Codes) -> float:
        if len(degs) < 2:
            return np.nan
        a, b = map(mean_ranks, comparison.fold_changes(i, degs))
        a, b = a - a.mean(), b - b.mean()
        size = np.sqrt((a**2).sum() * (b**2).sum())
        return float(a @ b / size) if size > 0 else (np.nan if not b.any() else 0.0)

    return _each(comparison, one)


def deg_auprc(comparison: Comparison) -> Scores:
    """Average precision of the predicted p-values for the real DEGs."""

    def one(i: int, _: Codes) -> float:
        strength = -np.log10(comparison.predicted_p[i].clip(1e-300))
        return _average_precision(comparison.degs[i], strength, comparison.kept[i])

    return _each(comparison, one)


def _average_precision(
    degs: Bool[np.ndarray, "genes"], strength: Float[np.ndarray, "genes"], kept: Bool[np.ndarray, "genes"]
) -> float:
    """The sum over thresholds of precision x what recall gains there; equal strengths are one threshold."""
    degs, strength = degs[kept], strength[kept]
    if not degs.any() or degs.all():
        return np.nan
    order = np.argsort(-strength)
    last = np.append(np.flatnonzero(np.diff(strength[order])), len(order) - 1)
    hits = np.cumsum(degs[order])[last]
    return float((np.diff(hits, prepend=0) * hits / (last + 1.0)).sum() / hits[-1])


METRICS = (
    Metric(
        compute=deg_overlap,
        direction="higher",
        needs=("cells",),
        formula="|predicted DEGs of largest |LFC|, cut to as many as there are real DEGs, that are real DEGs| / real DEGs",
        source="cell-eval (overlap at N); Wilcoxon, Benjamini-Hochberg",
        caution="shifting all cells alike makes nearly every gene significant",
        costly=True,
    ),
    Metric(
        compute=deg_direction,
        direction="higher",
        needs=("cells",),
        formula="share of real DEGs whose predicted LFC has the real sign",
        source="cell-eval (direction match)",
        caution="1/2 by chance; higher where most responses go one way",
    ),
    Metric(
        compute=deg_lfc_spearman,
        direction="higher",
        needs=("cells",),
        formula="Spearman of predicted and real LFC over the real DEGs",
        source="cell-eval (de_spearman_lfc_sig)",
        caution="a response common to all perturbations earns much of it",
    ),
    Metric(
        compute=deg_auprc,
        direction="higher",
        needs=("cells",),
        formula="average precision of -log10 adjusted p of the predicted cells for the real DEGs",
        source="cell-eval (pr_auc); sklearn.metrics.average_precision_score",
        caution="chance is the share of genes that are DEGs, not 1/2",
        costly=True,
    ),
)
