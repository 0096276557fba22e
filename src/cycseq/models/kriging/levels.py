"""Levels of control cells: two measurements of one, and their sampling noise taken off by those of other contexts."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from cycseq.matrix.arrays import Profile, Profiles
from cycseq.models.kriging.directions import Measurements
from cycseq.models.kriging.kernels.base import likeness_of_profiles
from cycseq.models.kriging.process import learn_process


def smooth_levels(mean: Profiles, noise: Profiles) -> Profiles:
    """Posterior means of control levels, contexts x genes, log1p.

    Parameters
    ----------
    mean, noise
        Means of control cells and their sampling variances.
    """
    centre = mean.mean(axis=0)
    differences = mean - centre
    variance = max(float((differences**2 - noise).mean()), 1e-9)
    kernel = variance * 0.5 * (likeness_of_profiles(mean) + np.eye(len(mean)))
    of_context = np.maximum(noise.mean(axis=1), 1e-9)
    one = np.zeros(len(mean), dtype=np.int64)
    process = learn_process(Measurements.of(kernel, np.diag(of_context), differences), one, noise)
    return centre + process.predict(kernel, np.diag(kernel), one).mean


@dataclass(frozen=True)
class Levels:
    """Control levels that a model knows from training."""

    means: Mapping[str, Profile]
    noise: Mapping[str, Profile]  # sampling variances of the means
    responding: Collection[str]  # contexts whose responses were measured, against these means

    def shifts(
        self, given: Mapping[str, Profile], noise: Mapping[str, Profile], *, smooth: bool
    ) -> tuple[dict[str, Profile], dict[str, Profile]]:
        """What is added to the mean of given control cells, by context, before the response; and the variance of the sum.

        The perturbed mean of a context whose responses were measured is that of these means plus the response. The level of any other context
        is smoothed over contexts, if asked.
        """
        shifts = {context: np.zeros_like(mean) for context, mean in given.items()}
        variances = dict(noise)
        for context in given.keys() & self.means.keys() & set(self.responding):
            weight = self._weight(context, given[context], noise[context])
            shifts[context] = weight * (self.means[context] - given[context])
            variances[context] = (1.0 - weight) * noise[context]
        others = [context for context in self.means if context not in given]
        new = [context for context in given if context not in self.responding]
        if smooth and new and len(given) + len(others) > 1:
            levels = np.stack([*given.values(), *(self.means[context] for context in others)])
            errors = np.stack([*(noise[context] for context in given), *(self.noise[context] for context in others)])
            smoothed = dict(zip(given, smooth_levels(levels, errors)[: len(given)], strict=True))
            shifts |= {context: smoothed[context] - given[context] for context in new}
        return shifts, variances

    def _weight(self, context: str, given: Profile, given_noise: Profile) -> Profile:
        """Weight of the level known from training, where other control cells of the context are given.

        Both are weighed by precision. Where they differ by more than chance, over all genes (another batch or depth), the
        excess counts as noise of the known one. The same cells tell nothing new: the weight is 1.
        """
        known, known_noise = self.means[context], self.noise[context]
        if np.allclose(known, given, atol=1e-6):
            return np.ones_like(known)
        noise = known_noise + given_noise
        excess = max(float(((known - given) ** 2).sum() / max(noise.sum(), 1e-12)), 1.0)
        weight = given_noise / np.maximum(given_noise + known_noise + (excess - 1.0) * noise, 1e-12)
        return np.asarray(weight)
