"""What leaving out measured conditions teaches of the distributions that are stated, beyond their parts' own checks.

The true response is drawn from a mixture over slopes (`cycseq.models.kriging.slopes`). Its weights are those that make the
measurements of left-out conditions likeliest, their known noise taken into account; they are functions of how large a response is
believed to be and of how sure its direction is, so that strong responses are not charged with, or praised for, what holds of
genes that do nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float
from scipy.stats import t as student

from cycseq.data.gene_mixture import GeneMixture, PerGene, mix
from cycseq.models.kriging.slopes import CHANGES, SLOPES, beyond_rest, changed, densities, likeliest

AT_SHARES = (0.2, 0.99)  # of the left-out genes in order of size: where the first and the last node lie
SIZES = 4  # nodes, as far from each other in log size
STANDINGS = (0.0, 0.7, 2.0)  # nodes in the predicted mean, in units of its standard deviation
FEWEST = 200  # rows below which nothing is learned
PER_SLOPE = 3  # components of a recalibrated distribution, for each slope
COMPONENTS = len(SLOPES) * PER_SLOPE  # in all
RESPONDING = 3.0  # a measured response this many standard errors from those of most genes is one of a responding gene
SURE = 0.95  # that left-out units agree with predicted directions, for directions to be believed

CHANCE = 0.1
"""Agreement that is no evidence: conditions of a context share the error of their control mean, and the fall of what does not respond."""


@dataclass(frozen=True)
class LeftOut:
    """Predictions of measured conditions, made without them, and what was measured; a row is a gene of a condition."""

    mixture: GeneMixture
    y: Float[np.ndarray, "rows"]
    noise: Float[np.ndarray, "rows"]
    condition: Float[np.ndarray, "rows"]
    unit: Float[np.ndarray, "rows"]  # the context, or perturbation, that was left out


@dataclass(frozen=True)
class Recalibration:
    """A mixture over slopes at each node, and whether directions were right."""

    log_sizes: tuple[float, ...]
    changes: tuple[tuple[float, float], ...]  # slope and stretch of every component
    weights: tuple[tuple[float, ...], ...]  # of every component, at each of sizes x standings
    agreements: tuple[float, ...]
    """Of each unit with a responding gene: how much more often their direction was right than wrong, in [-1, 1]."""

    @property
    def tells(self) -> bool:
        """Whether left-out conditions show that predictions have the right direction: units' mean agreement, t test against `CHANCE`."""
        n = len(self.agreements)
        if n < 2:
            return bool(sum(self.agreements) > CHANCE)
        error = np.std(self.agreements, ddof=1) / np.sqrt(n)
        return bool(np.mean(self.agreements) - CHANCE > student.ppf(SURE, n - 1) * error)

    def applied(self, mixture: GeneMixture) -> GeneMixture:
        """The recalibrated distribution, of the same mean."""
        shares = _near(mixture, self.log_sizes) @ np.array(self.weights)
        slopes = np.array(self.changes)[:, 0]
        parts = []  # slopes are kept apart, so that what may go up or down has no peak between
        for slope in np.unique(slopes):
            of_slope = np.flatnonzero(slopes == slope)
            stretched = [changed(mixture, *self.changes[i]) for i in of_slope]
            parts.append(mix([shares[..., i] for i in of_slope], stretched).compressed(PER_SLOPE))
        applied = mix([1.0] * len(parts), parts)
        return applied.shifted(mixture.mean - applied.mean)

    def variance(self, mixture: GeneMixture) -> PerGene:
        """The variance of `applied`, in closed form."""
        by_size, by_standing = _near_each(mixture, self.log_sizes)
        squares = np.array(self.weights) @ np.array(self.changes) ** 2
        slope, stretch = (
            (np.tensordot(nodes.reshape(len(by_size), -1).T.astype(np.float32), by_size, 1) * by_standing).sum(axis=0)
            for nodes in squares.T
        )
        beyond = beyond_rest(mixture)
        of_means, of_sds = ((mixture.weights * part**2).sum(axis=-1) for part in (beyond.means, beyond.sds))
        variance: PerGene = mixture.sds[..., 0] ** 2 + slope * of_means + stretch * of_sds - beyond.mean**2
        return np.asarray(np.maximum(variance, 0.0))


def learn_recalibration(left_out: LeftOut) -> Recalibration | None:
    """By likelihood, node by node; None where too little was left out."""
    if len(left_out.y) < FEWEST:
        return None
    low, high = np.quantile(np.log(_size(beyond_rest(left_out.mixture))), AT_SHARES)
    log_sizes = np.linspace(low, max(high, low + 0.1), SIZES).tolist()
    density = densities(left_out.mixture, left_out.y, left_out.noise)
    weights = np.stack([likeliest(density, near) for near in _near(left_out.mixture, log_sizes).T])
    used = np.flatnonzero(weights.any(axis=0))
    return Recalibration(
        tuple(log_sizes),
        tuple(CHANGES[i] for i in used),
        tuple(map(tuple, weights[:, used].tolist())),
        tuple(_agreements(left_out)),
    )


def joined(parts: Sequence[LeftOut]) -> LeftOut:
    """One below the other."""
    mixture = GeneMixture(
        *(np.concatenate([getattr(part.mixture, name) for part in parts]) for name in ("weights", "means", "sds"))
    )
    rest = (np.concatenate([getattr(part, name) for part in parts]) for name in ("y", "noise", "condition", "unit"))
    return LeftOut(mixture, *rest)


def _agreements(left_out: LeftOut) -> list[float]:
    """Of responding genes, in every unit.

    Directions are those from the median gene: where strong genes rise, all others fall in share, in every condition, which
    tells nothing of the genes that respond.
    """
    signs: dict[float, list[np.ndarray]] = {}
    mean = left_out.mixture.mean
    for condition in np.unique(left_out.condition):
        rows = left_out.condition == condition
        y, x = (side[rows] - np.median(side[rows]) for side in (left_out.y, mean))
        responding = np.abs(y) > RESPONDING * np.sqrt(left_out.noise[rows])
        signs.setdefault(float(left_out.unit[rows][0]), []).append(np.sign(x * y)[responding])
    joined_signs = [np.concatenate(parts) for parts in signs.values()]
    return [float(of_unit.mean()) for of_unit in joined_signs if len(of_unit)]


def _near(mixture: GeneMixture, log_sizes: Sequence[float]) -> Float[np.ndarray, "*genes nodes"]:
    """How near every gene is to each of sizes x standings; the nearest ones' shares sum to 1."""
    by_size, by_standing = _near_each(mixture, log_sizes)
    near = by_size[:, None] * by_standing[None]
    return np.moveaxis(near.reshape(-1, *near.shape[2:]), 0, -1)


def _near_each(
    mixture: GeneMixture, log_sizes: Sequence[float]
) -> tuple[Float[np.ndarray, "sizes *genes"], Float[np.ndarray, "standings *genes"]]:
    """How near every gene is to each size, and to each standing, of what it does beyond a gene that does not respond."""
    beyond = beyond_rest(mixture)
    return shares_of_nodes(np.log(_size(beyond)), log_sizes), shares_of_nodes(standing(beyond), STANDINGS)


def standing(mixture: GeneMixture) -> PerGene:
    """The size of every gene's mean, in units of its standard deviation."""
    return np.asarray(np.abs(mixture.mean) / np.sqrt(np.maximum(mixture.variance, 1e-12)))


def shares_of_nodes(at: PerGene, nodes: Sequence[float]) -> Float[np.ndarray, "nodes *genes"]:
    """How near every value is to each node: linear between the two around it, the nearest beyond the ends."""
    passed = [np.ones_like(at), *(np.clip((at - low) / (high - low), 0.0, 1.0) for low, high in pairwise(nodes))]
    return np.stack([here - beyond for here, beyond in zip(passed, [*passed[1:], np.zeros_like(at)], strict=True)])


def _size(mixture: GeneMixture) -> PerGene:
    """Root of the expected square."""
    return np.sqrt(np.maximum(mixture.mean**2 + mixture.variance, 1e-12))
