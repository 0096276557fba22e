"""Levels of control cells: their sampling noise taken off by those of other contexts, and two measurements of one."""

from __future__ import annotations

import numpy as np

from cycseq.matrix.arrays import Profile, Profiles
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
    process = learn_process(kernel, np.diag(of_context), differences, one, noise)
    smooth: Profiles = centre + process.predict(kernel, np.diag(kernel), one).mean
    return smooth


def weight_of_known(known: Profile, known_noise: Profile, given: Profile, given_noise: Profile) -> Profile:
    """Weight of a control level known from training, where other control cells of the context are given.

    Both are weighed by precision. Where they differ by more than chance, over all genes (another batch or depth), the
    excess counts as noise of the known one. The same cells tell nothing new: the weight is 1.
    """
    if np.allclose(known, given, atol=1e-6):
        return np.ones_like(known)
    noise = known_noise + given_noise
    excess = max(float(((known - given) ** 2).sum() / max(noise.sum(), 1e-12)), 1.0)
    weight = given_noise / np.maximum(given_noise + known_noise + (excess - 1.0) * noise, 1e-12)
    return np.asarray(weight)
