"""The response field over conditions: a response common to all perturbations, and each perturbation's own.

Delta_g(p, c) = common_g(c) + specific_g(p, c); both are kriged over contexts, gene by gene, with known noise. The
response to a combination is a sum of its parts' with learned coefficients, and an interaction that is kriged likewise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Int

from cycseq.data.gene_mixture import GeneMixture
from cycseq.errors import ModelError
from cycseq.models.kriging.block import Block, PerRow, Places, Targets
from cycseq.models.kriging.covariance import RESPONSE_PATTERNS, euclidean
from cycseq.models.kriging.measured import Levels, Measured
from cycseq.models.kriging.mixture import Covariances, Posterior
from cycseq.models.kriging.settings import COMMON_COMPONENTS, COMPONENTS, SPECIFIC_COMPONENTS, Settings, Stage


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
            return normal(np.zeros(shape), np.zeros(shape))
        return self.settings.common.krige(
            self.common_block(), self.covariances, self.everywhere, n_components=COMMON_COMPONENTS
        )

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

    def specific(self, name: str, targets: Places | None = None, *, n_components: int = 0) -> Posterior:
        """A single perturbation's own response in every context, or in some, with its mixture where components are asked for."""
        if name not in self.settings.strength:
            msg = f"{name!r} was never measured."
            raise ModelError(msg)
        targets = self.everywhere if targets is None else targets
        block = self.specific_block(name)
        return self.settings.specific.krige(block, self.covariances, targets, n_components=n_components)

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

    def additive(
        self,
        name: str,
        new: Mapping[str, Posterior] | None = None,
        targets: Places | None = None,
        *,
        n_components: int = 0,
    ) -> Posterior:
        """A combination as the sum of its parts, in every context or in some.

        `new` has the parts that were never measured, at the same targets.
        """
        factor, names, new = self.settings.part_coefficient, parts_of(name), new or {}
        targets = self.everywhere if targets is None else targets
        parts = [
            new[part] if part in new else self.specific(part, targets, n_components=n_components) for part in names
        ]
        common = self.common.at(targets)
        times, foreign = len(names), 1.0 - common.own_weight
        mixture = None
        if n_components and common.mixture is not None:
            mixture = common.mixture.scaled(factor * times)
            for part in parts:
                if part.mixture is not None:
                    mixture = mixture.plus(part.mixture.scaled(factor), n_components)
        return Posterior(
            factor * (times * common.mean + sum(part.mean for part in parts)),
            factor**2 * (times**2 * common.variance + sum(part.variance for part in parts)),
            factor * (times * common.own_weight + foreign * sum(part.own_weight for part in parts)),
            mixture=mixture,
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

    def response(
        self, name: str, new: Mapping[str, Posterior] | None = None, targets: Places | None = None
    ) -> Posterior:
        """The response to a perturbation, with its mixture, in every context (known ones, then new ones) or in some.

        Parameters
        ----------
        name
            A perturbation that was measured, or a combination.
        new
            What perturbations, or parts, that were never measured are expected to do beside the common response, at the
            targets.
        targets
            Places of contexts; None means all.
        """
        targets = self.everywhere if targets is None else targets
        if new and name in new:
            first, second = self.common.at(targets), new[name]
        elif name in self.settings.strength:
            first = self.common.at(targets)
            second = self.specific(name, targets, n_components=SPECIFIC_COMPONENTS)
        else:
            first = self.additive(name, new, targets, n_components=SPECIFIC_COMPONENTS)
            second = self._interaction(name, targets)
        mixture = None
        if first.mixture is not None and second.mixture is not None:
            mixture = first.mixture.plus(second.mixture, COMPONENTS)
        return Posterior(
            first.mean + second.mean,
            first.variance + second.variance,
            first.own_weight + (1.0 - first.own_weight) * second.own_weight,
            mixture=mixture,
        )

    def _interaction(self, name: str, targets: Places) -> Posterior:
        zero = np.zeros((self.measured.delta.shape[1], len(targets)))
        if self.settings.interaction is None:
            return normal(zero, zero)
        if len(self.measured.rows(name)):
            block = self.interaction_block(name)
            return self.settings.interaction.krige(block, self.covariances, targets, n_components=SPECIFIC_COMPONENTS)
        unknown = self.settings.gene_variance * self.settings.interaction_variance
        return self.unmeasured(zero, unknown, self.settings.interaction)

    def unmeasured(self, mean: Targets, variance: PerRow, stage: Stage) -> Posterior:
        """A response of which nothing was measured: a stage's prior around a mean, with the variance that is stated."""
        mixture = stage.prior(variance).at(slice(None), None).shifted(mean)
        return Posterior(mean, np.broadcast_to(variance[:, None], mean.shape), np.zeros_like(mean), mixture=mixture)

    def without(self, rows: Bool[np.ndarray, "conditions"]) -> Field:
        """The same field, as if some of the conditions had not been measured; what was learned stays."""
        measured = self.measured.take(~rows)
        left = set(measured.names)
        strength = {name: value for name, value in self.settings.strength.items() if name in left}
        return replace(self, measured=measured, settings=replace(self.settings, strength=strength))

    def of_genes(self, genes: Int[np.ndarray, "genes"]) -> Field:
        """The same field of some genes; the likeness of contexts is still that of all."""
        settings = replace(self.settings, gene_variance=self.settings.gene_variance[genes])
        return replace(self, measured=self.measured.of_genes(genes), settings=settings)


def normal(mean: Targets, variance: Targets) -> Posterior:
    """One Gaussian that rests on no observation at its targets."""
    return Posterior(mean, variance, np.zeros_like(mean), mixture=GeneMixture.normal(mean, np.sqrt(variance)))


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
