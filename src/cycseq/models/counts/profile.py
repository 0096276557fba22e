"""From a predicted effect to the pooled profile: the share of every gene in the summed counts of a condition.

An effect of log1p means says how the mean of log1p over cells changes, and that depends on depth and dispersion. The law of
counts stands between the two: the same gene at the depths of the control cells, negative binomial with its dispersion.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import anndata as ad
import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from cycseq.data.dataset import PerturbationData
from cycseq.data.effects import EffectScale
from cycseq.data.scale import TARGET_SUM
from cycseq.matrix.arrays import Profile
from cycseq.preparation.counts import counts_of
from cycseq.preparation.log_pseudobulk import log_profile
from cycseq.simulation.counts import CountLaw, ExpectedLog1p

DISPERSIONS = np.geomspace(0.01, 10.0, 7)  # dispersions at which the law is tabulated; a gene's lies within them
PRIOR_INFORMATION = 10.0
"""The dispersion of all genes together counts as much as this sum of squared expected counts of a gene's own."""
DEPTHS = (np.arange(20) + 0.5) / 20  # quantiles of the library sizes that the law is averaged over
LOG_SHARES = np.linspace(np.log(1e-9), 0.0, 500)
"""Logs of a gene's share in the counts of a cell at which the law is tabulated."""
MAX_LOG_FOLD = 12.0  # a fold change beyond exp of this is no effect, but an artefact


@dataclass(frozen=True)
class ControlCounts:
    """Counts of the control cells of one context, and what they tell."""

    counts: sp.csr_matrix  # cells x genes
    total: Float[np.ndarray, "cells"]  # library sizes, over all genes that were counted

    @classmethod
    def of(cls, controls: PerturbationData, genes: Sequence[str]) -> Self:
        """The counts of these genes; raises `DataError` as `counts_of`."""
        counts, total = counts_of(controls.load("--as counts"))
        adata = ad.AnnData(counts, controls.adata.obs, controls.adata.var)
        count_data = PerturbationData(adata, "counts").with_genes(genes)
        return cls(sp.csr_matrix(count_data.x, dtype=np.float64), total)

    @cached_property
    def pooled(self) -> Profile:
        """Sum of the counts of every gene over the cells."""
        return np.asarray(self.counts.sum(axis=0), dtype=np.float64).ravel()

    @cached_property
    def dispersion(self) -> Profile:
        """Dispersion of every gene, by moments: Var N = m + dispersion m^2, with m = library size x rate of the gene.

        The sum over cells of (N - m)^2 - m, over the sum of m^2. Genes of few counts are drawn to the median gene.
        """
        size, squared_size = self.total.sum(), np.square(self.total).sum()
        rate = self.pooled / max(size, 1.0)
        squares = np.asarray(self.counts.multiply(self.counts).sum(axis=0)).ravel()
        excess = squares - 2.0 * rate * (self.counts.T @ self.total) + rate**2 * squared_size - self.pooled
        expected = rate**2 * squared_size
        informative = expected > PRIOR_INFORMATION
        typical = float(np.median(excess[informative] / expected[informative])) if informative.any() else 0.0
        shrunk = (excess + PRIOR_INFORMATION * typical) / (expected + PRIOR_INFORMATION)
        return np.asarray(np.clip(shrunk, DISPERSIONS[0], DISPERSIONS[-1]))

    @cached_property
    def log1p_mean(self) -> Profile:
        """Mean of log1p of counts per 10,000 of every gene."""
        x = self.counts.copy()
        x.data = np.log1p(x.data * np.repeat(TARGET_SUM / np.maximum(self.total, 1.0), np.diff(x.indptr)))
        return np.asarray(x.mean(axis=0)).ravel()

    def profile(self, effect: Profile, scale: EffectScale) -> Profile:
        """The share of every gene in the summed counts that a predicted effect asks for; the shares sum to 1.

        Parameters
        ----------
        effect
            Perturbed minus control.
        scale
            ``"log_pseudobulk"``: adds to the log profile of the pooled counts. ``"log_fold_change"``: multiplies these counts.
            ``"log1p"``: of means of log1p counts per 10,000, by the law of counts.
        """
        if scale == "log_pseudobulk":
            level = np.expm1(np.maximum(log_profile(self.pooled / self.pooled.sum()) + effect, 0.0))
        else:
            log_fold = effect if scale == "log_fold_change" else self._log_fold(self.log1p_mean + effect)
            level = self.pooled * np.exp(np.clip(log_fold, -MAX_LOG_FOLD, MAX_LOG_FOLD))
        return np.asarray(level / level.sum())

    @cached_property
    def _log1p_tables(self) -> Float[np.ndarray, "dispersions shares"]:
        """Log of the expected log1p mean at each dispersion and share, over the depths of the cells."""
        depths = np.maximum(np.quantile(self.total, DEPTHS), 1.0)
        log_means = LOG_SHARES + np.log(depths)[:, None]
        return np.log(
            [ExpectedLog1p(CountLaw(d, 0.0), depths)(log_means).mean(axis=0, dtype=float) for d in DISPERSIONS]
        )

    def _log_fold(self, mean: Profile) -> Profile:
        """By how much the log share of each gene must rise so that its log1p mean becomes this one."""
        below, above = self._log_shares(mean) - self._log_shares_of_controls
        place = self._place_among_dispersions
        nearer = place - np.minimum(place.astype(int), len(DISPERSIONS) - 2)
        return np.asarray(below * (1.0 - nearer) + above * nearer)

    @cached_property
    def _place_among_dispersions(self) -> Profile:
        return np.asarray(np.interp(np.log(self.dispersion), np.log(DISPERSIONS), np.arange(len(DISPERSIONS))))

    @cached_property
    def _log_shares_of_controls(self) -> Float[np.ndarray, "2 genes"]:
        return self._log_shares(self.log1p_mean)

    def _log_shares(self, mean: Profile) -> Float[np.ndarray, "2 genes"]:
        """The log share at which each gene has this log1p mean, at the tabulated dispersions below and above its own."""
        with np.errstate(divide="ignore"):
            log_mean = np.log(np.maximum(mean, 0.0))
        below = np.minimum(self._place_among_dispersions.astype(int), len(DISPERSIONS) - 2)
        shares = np.empty((2, len(mean)))
        for k in np.unique(below):
            genes = np.flatnonzero(below == k)
            for i in (0, 1):
                shares[i, genes] = np.interp(log_mean[genes], self._log1p_tables[k + i], LOG_SHARES)
        return shares
