"""The response field over conditions: a response common to all perturbations, and each perturbation's own.

Delta_g(p, c) = common_g(c) + specific_g(p, c); both are kriged over contexts, gene by gene, with known noise. The
response to a combination is a sum of its parts' with learned coefficients, and an interaction that is kriged likewise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Bool

from cycseq.errors import ModelError
from cycseq.kriging.block import Block, PerRow, Places, Targets
from cycseq.kriging.calibration import Trust
from cycseq.kriging.covariance import RESPONSE_PATTERNS, euclidean
from cycseq.kriging.measured import Levels, Measured
from cycseq.kriging.mixture import Covariances, Mixture, Posterior, krige
from cycseq.kriging.private import Private


@dataclass(frozen=True)
class Stage:
    """A learned prior over contexts."""

    mixture: Mixture
    trust: Trust = field(default_factory=Trust)
    private: Private = field(default_factory=Private)

    def krige(self, block: Block, covariances: Covariances, targets: Places) -> Posterior:
        """The corrected posterior at the targets."""
        joint = krige(block, self.mixture, covariances, targets)
        return self.private.applied(block, self.trust.applied(block, joint), joint, targets)


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


@dataclass(frozen=True)
class Field:
    """Measured responses under a learned prior, seen in known and new contexts."""

    measured: Measured
    settings: Settings
    levels: Levels
    """Control profiles: those of the measured contexts, then the new ones."""

    @cached_property
    def covariances(self) -> Covariances:
        """Covariance of all contexts under every pattern."""
        distances = euclidean(self.levels) / self.settings.unit
        return np.stack([pattern.covariance(distances) for pattern in RESPONSE_PATTERNS])

    @property
    def everywhere(self) -> Places:
        """The places of all contexts."""
        return np.arange(len(self.levels))

    def common_block(self) -> Block:
        """The mean response of the single perturbations of every context, noisy and strong ones weighing less."""
        measured, settings = self.measured, self.settings
        single = single_conditions(measured)
        strength = np.array([settings.strength.get(name, 1.0) for name in measured.names])
        own = strength * settings.gene_variance.mean()
        contexts = np.unique(measured.context[single])
        y, noise = [], []
        for context in contexts:
            rows = np.flatnonzero(single & (measured.context == context))
            weights = 1.0 / (measured.cell_noise[rows].mean(axis=1) + own[rows])
            weights /= weights.sum()
            y.append(weights @ measured.delta[rows])
            spread = weights**2 @ measured.cell_noise[rows] + (weights**2 @ strength[rows]) * settings.gene_variance
            noise.append(spread + weights @ measured.control_noise[rows])
        variance = np.full(measured.delta.shape[1], settings.common_variance)
        return Block(np.stack(y, axis=1), np.stack(noise, axis=1), variance, contexts)

    @cached_property
    def common(self) -> Posterior:
        """The common response in every context."""
        shape = (self.measured.delta.shape[1], len(self.levels))
        if self.settings.common is None:
            return Posterior(np.zeros(shape), np.zeros(shape), np.zeros(shape))
        return self.settings.common.krige(self.common_block(), self.covariances, self.everywhere)

    @cached_property
    def control_error(self) -> Posterior:
        """What each context's control mean has by chance, sign reversed, as its own perturbed cells show.

        All responses of a context are measured against the same control cells. So what they have in common beside the
        common response is, in the share of the control noise, the error of the control mean (0 where nothing is
        measured). The variance is that of common response and error together.
        """
        shape = (self.measured.delta.shape[1], len(self.levels))
        mean, variance = np.zeros(shape), self.common.variance.copy()
        if self.settings.common is None:
            return Posterior(mean, variance, np.zeros(shape))
        block, single = self.common_block(), single_conditions(self.measured)
        for column, context in enumerate(block.points):
            rows = single & (self.measured.context == context)
            of_controls = self.measured.control_noise[rows].mean(axis=0)
            rest = np.maximum(block.noise[:, column] - of_controls, 1e-12)
            share = of_controls / np.maximum(block.noise[:, column], 1e-12)
            mean[:, context] = share * (block.y[:, column] - self.common.mean[:, context])
            variance[:, context] = 1.0 / (1.0 / rest + 1.0 / (self.common.variance[:, context] + of_controls + 1e-12))
        return Posterior(mean, variance, np.zeros(shape))

    def specific_block(self, name: str) -> Block:
        """What a perturbation does beside the common response, in the contexts where it was measured."""
        rows = self.measured.rows(name)
        contexts = self.measured.context[rows]
        noise = self.measured.cell_noise[rows].T + (
            self.measured.control_noise[rows].T
            if self.settings.common is None
            else self.control_error.variance[:, contexts]
        )
        offset = self.common.mean[:, contexts] + self.control_error.mean[:, contexts]
        variance = self.settings.gene_variance * self.settings.strength[name]
        return Block(self.measured.delta[rows].T - offset, noise, variance, contexts)

    def specific(self, name: str) -> Posterior:
        """A single perturbation's own response in every context."""
        if name not in self.settings.strength:
            msg = f"{name!r} was never measured."
            raise ModelError(msg)
        return self.settings.specific.krige(self.specific_block(name), self.covariances, self.everywhere)

    @cached_property
    def typical(self) -> Targets:
        """What a new perturbation is expected to do beside the common response: the mean of all own responses.

        The common response is that of most perturbations, strong ones weighing less. The plain mean of all has less
        squared error for a new one only as far as the perturbations agree in what they do beside it (`typical_slope`).
        """
        names = list(self.settings.strength)
        total = np.zeros((self.measured.delta.shape[1], len(self.levels)))
        for name in names if self.settings.typical_slope > 0 else ():
            total += self.specific(name).mean
        return self.settings.typical_slope * total / len(names)

    def additive(self, name: str, new: Mapping[str, Posterior] | None = None) -> Posterior:
        """A combination as the sum of its parts, in every context; `new` has the parts that were never measured."""
        factor, names, new = self.settings.part_coefficient, parts_of(name), new or {}
        parts = [new[part] if part in new else self.specific(part) for part in names]
        times, foreign = len(names), 1.0 - self.common.own_weight
        return Posterior(
            factor * (times * self.common.mean + sum(part.mean for part in parts)),
            factor**2 * (times**2 * self.common.variance + sum(part.variance for part in parts)),
            factor * (times * self.common.own_weight + foreign * sum(part.own_weight for part in parts)),
        )

    def interaction_block(self, name: str) -> Block:
        """What a measured combination does beside the sum of its parts."""
        sums = self.additive(name)
        rows = self.measured.rows(name)
        contexts = self.measured.context[rows]
        noise = self.measured.cell_noise[rows].T + sums.variance[:, contexts]
        if self.settings.common is None:
            noise = noise + self.measured.control_noise[rows].T
        variance = self.settings.gene_variance * self.settings.interaction_variance
        offset = sums.mean[:, contexts] + self.control_error.mean[:, contexts]
        return Block(self.measured.delta[rows].T - offset, noise, variance, contexts)

    def response(self, name: str, new: Mapping[str, Posterior] | None = None) -> Posterior:
        """The response to a perturbation in every context: known ones, then new ones.

        Parameters
        ----------
        name
            A perturbation that was measured, or a combination.
        new
            What perturbations, or parts, that were never measured are expected to do beside the common response.
        """
        if name in self.settings.strength or (new and name in new):
            first, second = self.common, new[name] if new and name in new else self.specific(name)
        else:
            first, second = self.additive(name, new), self._interaction(name)
        return Posterior(
            first.mean + second.mean,
            first.variance + second.variance,
            first.own_weight + (1.0 - first.own_weight) * second.own_weight,
        )

    def _interaction(self, name: str) -> Posterior:
        shape = (self.measured.delta.shape[1], len(self.levels))
        if self.settings.interaction is None:
            return Posterior(np.zeros(shape), np.zeros(shape), np.zeros(shape))
        if len(self.measured.rows(name)):
            return self.settings.interaction.krige(self.interaction_block(name), self.covariances, self.everywhere)
        unknown = self.settings.gene_variance * self.settings.interaction_variance
        return Posterior(np.zeros(shape), np.broadcast_to(unknown[:, None], shape), np.zeros(shape))


def is_combination(name: str) -> bool:
    """``A+B`` is one; ``IFN+`` is not."""
    return "+" in name and all(name.split("+"))


def parts_of(name: str) -> list[str]:
    """The parts of a combination; a single perturbation is its own part."""
    return name.split("+") if is_combination(name) else [name]


def single_conditions(measured: Measured) -> Bool[np.ndarray, "conditions"]:
    """Mask of the conditions that stand for themselves: no combinations, save those with a part never measured alone."""
    alone = {name for name in measured.names if not is_combination(name)}
    return np.array([name in alone or not set(parts_of(name)) <= alone for name in measured.names], dtype=bool)
