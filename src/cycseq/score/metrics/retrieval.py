"""Whether a prediction is nearer to its own real condition than to the others of its context."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float32

from cycseq.matrix.arrays import Codes, Profile, Profiles
from cycseq.score.metrics.base import Comparison, Metric, Scores
from cycseq.score.metrics.formulas import FLAT
from cycseq.score.metrics.population import Population

Nearness = Float32[np.ndarray, "conditions perturbations"]
Singles = Float32[np.ndarray, "conditions genes_left"]
Genes = Bool[np.ndarray, "genes"]
BLOCK = 64
"""Conditions whose responses are made ready together."""


def _unperturbed_genes(comparison: Comparison) -> Genes:
    """Genes that no real perturbation of the context targets: a knocked-down gene would give its condition away."""
    genes: Genes = comparison.real.remember("unperturbed genes", lambda: comparison.real.kept.all(axis=0))
    return genes


def _rank_score(distance: Nearness, places: Codes, genes: Genes) -> Scores:
    """1 - k / (n - 1), k the others that are nearer, ties half; NaN with one perturbation or no gene left."""
    n = distance.shape[1]
    if n < 2 or not genes.any():
        return np.full(len(distance), np.nan)
    to_target = np.take_along_axis(distance, places[:, None], axis=1)
    nearer = (distance < to_target).sum(axis=1) + ((distance == to_target).sum(axis=1) - 1) / 2
    return np.asarray(1.0 - nearer / (n - 1))


def retrieval_cosine(comparison: Comparison) -> Scores:
    """Rank by cosine of the responses."""
    real, genes = comparison.real, _unperturbed_genes(comparison)

    def distances(predicted: Population) -> Nearness:
        units = real.remember("unit responses", lambda: _units(real.cells.mean, real.control_mean, genes))
        return np.asarray(-(_units(predicted.mean, real.model_control_mean, genes) @ units.T))

    return _rank_score(comparison.of_all("cosines", distances), comparison.places, genes)


def retrieval_cosine_centred(comparison: Comparison) -> Scores:
    """Rank by cosine after the mean perturbation is taken off both sides."""
    real, genes = comparison.real, _unperturbed_genes(comparison)
    mean, of_model = real.mean_perturbed, comparison.model_mean_perturbed
    if mean is None or of_model is None:
        return np.full(comparison.n_conditions, np.nan)
    units = real.remember("unit specific responses", lambda: _units(real.cells.mean, mean, genes))
    if of_model.strides[0]:  # of every condition its own
        distance = -(_units(comparison.predicted_mean, of_model[comparison.places], genes) @ units.T)
        return _rank_score(distance, comparison.places, genes)

    def distances(predicted: Population) -> Nearness:
        return np.asarray(-(_units(predicted.mean, of_model[0], genes) @ units.T))

    return _rank_score(comparison.of_all("centred cosines", distances), comparison.places, genes)


def _in_blocks(
    prepare: Callable[[Profiles], Profiles], mean: Profiles, base: Profiles | Profile, genes: Genes
) -> Singles:
    """What is prepared of the kept genes of mean - base, in single precision, in blocks that stay in the processor's cache."""
    prepared = np.empty((len(mean), int(genes.sum())), dtype=np.float32)
    columns = slice(None) if genes.all() else genes
    for start in range(0, len(mean), BLOCK):
        rows = slice(start, start + BLOCK)
        prepared[rows] = prepare((mean[rows] - (base if base.ndim == 1 else base[rows]))[:, columns])
    return prepared


def _units(mean: Profiles, base: Profiles | Profile, genes: Genes) -> Singles:
    """Mean - base in rows of length 1; a row of no change becomes 0, as near to one condition as to the other."""

    def unit(delta: Profiles) -> Profiles:
        size = np.linalg.norm(delta, axis=1, keepdims=True)
        changed = np.abs(delta).max(axis=1, keepdims=True, initial=0.0) >= FLAT
        return np.asarray(np.divide(delta, size, out=np.zeros_like(delta), where=changed & (size > 0)))

    return _in_blocks(unit, mean, base, genes)


def _as_they_are(delta: Profiles) -> Profiles:
    return delta


def retrieval_l1(comparison: Comparison) -> Scores:
    """Rank by the L1 distance of the responses."""
    from cycseq.score.metrics.city_block import city_block

    real, genes = comparison.real, _unperturbed_genes(comparison)

    def distances(predicted: Population) -> Nearness:
        responses = _in_blocks(_as_they_are, real.cells.mean, real.control_mean, genes)
        return city_block(_in_blocks(_as_they_are, predicted.mean, real.model_control_mean, genes), responses)

    return _rank_score(comparison.of_all("city block", distances), comparison.places, genes)


def centroid_accuracy(comparison: Comparison) -> Scores:
    """Rank by the Euclidean distance of the means."""
    real, genes = comparison.real, _unperturbed_genes(comparison)

    def distances(predicted: Population) -> Nearness:
        """Squared, without what a row has in common; means less the control mean, as float32 is exact near 0."""
        ours, theirs = (_in_blocks(_as_they_are, m.mean, real.control_mean, genes) for m in (predicted, real.cells))
        return np.asarray(np.einsum("pg,pg->p", theirs, theirs) - 2.0 * (ours @ theirs.T))

    return _rank_score(comparison.of_all("squares", distances), comparison.places, genes)


METRICS = (
    Metric(
        compute=retrieval_cosine,
        direction="higher",
        formula="1 - k / (n - 1), k the other real perturbations of the context whose response has a larger cosine with "
        "the predicted one; ties half; all perturbed genes left out",
        source="Wu et al. 2024 (PerturBench, rank metrics); cell-eval (discrimination score)",
        caution="1/2 by chance and for no change; undefined with one perturbation",
    ),
    Metric(
        compute=retrieval_cosine_centred,
        direction="higher",
        formula="the same with the cosine of mu^ - mu_all and mu - mu_all, mu_all as in pearson_delta_specific",
        source="retrieval by what sets conditions apart; PerturBench's rank of cosines, centred",
        caution="1/2 by chance and for the perturbed mean; undefined with one perturbation",
    ),
    Metric(
        compute=retrieval_l1,
        direction="higher",
        formula="the same with the L1 distance of the responses",
        source="cell-eval (discrimination_score_l1), over n - 1 instead of n",
        caution="rewards the right scale, and scaling up: retrieval_cosine is the primary one",
    ),
    Metric(
        compute=centroid_accuracy,
        direction="higher",
        formula="share of the other real means that are farther from mu^ than its own, Euclidean; ties half",
        source="Vinas Torne et al. 2025 (Systema)",
        caution="1/2 by chance; undefined with one perturbation",
    ),
)
