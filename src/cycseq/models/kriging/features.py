"""Perturbations that were never measured, from features: kriging over perturbations instead of contexts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from cycseq.models.kriging.block import Block
from cycseq.models.kriging.calibration import leave_one_out
from cycseq.models.kriging.covariance import euclidean, median_distance
from cycseq.models.kriging.field import Field
from cycseq.models.kriging.mixture import Covariances, Posterior, learn_mixture
from cycseq.models.kriging.settings import SPECIFIC_COMPONENTS, Stage

FEWEST_PERTURBATIONS = 5
"""With features; below, nothing is learned from them."""
SHARES = (0.3, 0.6, 0.9)
"""Of the variance that features may explain."""
SCALES = tuple((10.0 ** np.arange(-2.5, 1.6, 0.5)).tolist())
LEFT_OUT = 30
"""Perturbations that are left out, one by one, to see how far features can be trusted."""

FeatureValues = Float[np.ndarray, "perturbations features"]


def learn_features(field: Field, names: Sequence[str], values: FeatureValues, *, seed: int) -> Stage:
    """How much features tell of a perturbation's own response, by marginal likelihood and leave-one-out.

    Parameters
    ----------
    field
        The training responses.
    names
        Single perturbations with features.
    values
        Their features.
    seed
        Fixes which are left out where there are many.
    """
    block, covariances = feature_block(field, names), feature_covariances(values, len(names))
    mixture = learn_mixture([block], covariances, SCALES)
    n = min(LEFT_OUT, len(names))
    columns = np.sort(np.random.default_rng(seed).choice(len(names), n, replace=False))
    return Stage(mixture, leave_one_out([block], mixture, covariances, columns, cautious=True))


def krige_features(
    field: Field, stage: Stage, names: Sequence[str], values: FeatureValues, new: FeatureValues
) -> Posterior:
    """What new perturbations (columns) do beyond the typical, alike in all contexts."""
    covariances = feature_covariances(np.concatenate([values, new]), len(names))
    targets = np.arange(len(names), len(names) + len(new))
    return stage.krige(feature_block(field, names), covariances, targets, n_components=SPECIFIC_COMPONENTS)


def feature_block(field: Field, names: Sequence[str]) -> Block:
    """What each perturbation does beyond the typical, averaged over contexts by precision, its strength divided out."""
    y, noise = [], []
    for name in names:
        block = field.specific_block(name)
        precision = 1.0 / np.maximum(block.noise, 1e-12)
        strength = field.settings.strength[name]
        beyond = block.y - field.typical[:, block.points]
        y.append((precision * beyond).sum(axis=1) / precision.sum(axis=1) / np.sqrt(strength))
        noise.append(1.0 / precision.sum(axis=1) / strength)
    return Block(np.stack(y, axis=1), np.stack(noise, axis=1), field.settings.gene_variance, np.arange(len(names)))


def feature_covariances(values: FeatureValues, n_known: int) -> Covariances:
    """Covariances of perturbations: none, or by the cosine or the distance of their features, in several shares."""
    centred = values - values[:n_known].mean(axis=0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    distances = euclidean(centred)
    near = np.exp(-0.5 * (distances / median_distance(distances[:n_known, :n_known])) ** 2)
    own = np.eye(len(values))
    kernels = [share * kernel + (1.0 - share) * own for kernel in (unit @ unit.T, near) for share in SHARES]
    return np.stack([own, *kernels])
