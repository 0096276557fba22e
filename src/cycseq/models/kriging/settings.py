"""What is learned of the response field: the prior of each part, and how far its posterior can be trusted."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from cycseq.data.gene_mixture import GeneMixture
from cycseq.models.kriging.block import Block, PerRow, Places
from cycseq.models.kriging.calibration import Trust
from cycseq.models.kriging.mixture import Covariances, Mixture, Posterior, krige
from cycseq.models.kriging.private import Private
from cycseq.models.kriging.recalibration import Recalibration

COMMON_COMPONENTS, SPECIFIC_COMPONENTS, COMPONENTS = 4, 8, 8
"""Of the mixtures of both parts, and of their sum."""


@dataclass(frozen=True)
class Stage:
    """A learned prior over contexts."""

    mixture: Mixture
    trust: Trust = field(default_factory=Trust)
    private: Private = field(default_factory=Private)

    def krige(self, block: Block, covariances: Covariances, targets: Places, *, n_components: int = 0) -> Posterior:
        """The corrected posterior at the targets, with its mixture where components are asked for."""
        joint = krige(block, self.mixture, covariances, targets, n_components=n_components)
        return self.private.applied(block, self.trust.applied(block, joint), joint, targets)

    def prior(self, variance: PerRow) -> GeneMixture:
        """The prior of a row's response at one point, rows x components, stretched to the variance that is stated."""
        weights, scales = self.mixture.weights.sum(axis=0), np.asarray(self.mixture.scales)
        sds = np.sqrt(scales / (weights @ scales))[None]
        one = GeneMixture(weights[None], np.zeros_like(sds), sds).compressed(SPECIFIC_COMPONENTS)
        sds = np.sqrt(variance)[:, None] * one.sds
        return GeneMixture(np.broadcast_to(one.weights, sds.shape), np.zeros_like(sds), sds)


@dataclass(frozen=True)
class Settings:
    """Everything learned, save the measured responses themselves."""

    unit: float
    """Median distance between the control profiles of contexts with perturbed cells."""
    gene_variance: PerRow
    """Prior variance of a response."""
    common_variance: float
    """Prior variance of the common response, all genes alike."""
    strength: dict[str, float]
    """Variance of a perturbation, in units of the mean one."""
    common: Stage | None
    """None with fewer than `COMMON_FROM` perturbations."""
    specific: Stage
    part_coefficient: float = 1.0
    """What the sum of the parts is multiplied by in a combination; 1 is the additive model."""
    interaction: Stage | None = None
    """None where no combination was measured."""
    interaction_variance: float = 0.0
    """Prior variance of an interaction, in units of the genes' variances."""
    typical_slope: float = 0.0
    """How much of the mean of all own responses a new perturbation shows, in [0, 1]."""
    features: Stage | None = None
    """How features tell of a perturbation; None where too few have some."""
    level_slope: float = 1.0
    """How much of what smoothing takes off control levels is noise indeed, in [0, 1]."""
    recalibrations: dict[str, Recalibration] = field(default_factory=dict)
    """What leaving out conditions of each kind has taught of the distributions that are stated."""
