"""How effects carry over between contexts: as they are, or as fold changes; and how strongly each context answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Self, get_args

import numpy as np
from jaxtyping import Float, Int

from cycseq.data.condition import Condition
from cycseq.data.gene_mixture import GeneMixture
from cycseq.matrix.arrays import Profile
from cycseq.models.baselines.fold_change import log_fold_change
from cycseq.models.kriging.context_amplitudes import amplitudes_of
from cycseq.models.kriging.noise import Sampling
from cycseq.models.kriging.table import Values

Link = Literal["additive", "multiplicative"]
LINKS: tuple[Link, ...] = get_args(Link)
UNSEEN = 0.005
"""Counts per 10,000 that a gene may have, or not, of which control cells show none: half a count in 300 cells of 3,000."""
LEAST_SHARE = 0.1  # of a gene's highest slope: in contexts below, its effect tells nothing of a fold change
MAX_LOG_FOLD = 7.0  # a thousand times as much, or as little
LEAST_LEFT = 1e-3  # of all counts


@dataclass(frozen=True)
class ResponseScale:
    """Effects of some conditions on the scale on which contexts are alike: the same for all, or fold changes, over amplitudes.

    A fold change f of a mean of x counts per 10,000 is an effect of log1p(f x) - log1p(x); on the scale it is s log f, with s = x / (1 + x)
    in the context that expresses the gene most, so that to first order it is the effect there.
    """

    amplitude: Float[np.ndarray, "conditions 1"]  # how strongly each condition's context answers
    context: Int[np.ndarray, "conditions"]  # of every condition, as its place among `counts`
    counts: Float[np.ndarray, "contexts genes"] | None = None
    """Mean counts per 10,000 of the control cells of every context; None where they are unknown."""
    top: Float[np.ndarray, "genes"] | None = None  # s of every gene; None where effects are the same for all contexts
    falls: Mapping[str, Profile] = field(default_factory=dict)
    """By context, what a rise of all counts by one unit of log fold change does to each gene, on the scale; none where levels are unknown."""

    @classmethod
    def of(
        cls,
        conditions: Sequence[Condition],
        profiles: Mapping[str, Profile],
        link: Link,
        amplitudes: Mapping[str, float],
    ) -> Self:
        """The scale of some conditions; that of the additive link where a context's control profile is unknown."""
        amplitude = amplitudes_of(conditions, amplitudes)
        if not {c.context for c in conditions} <= set(profiles):
            return cls(amplitude, np.zeros(len(conditions), dtype=np.int64))
        place = {name: i for i, name in enumerate(profiles)}
        context = np.array([place[c.context] for c in conditions], dtype=np.int64)
        counts = np.maximum(np.expm1(np.stack(list(profiles.values()))), UNSEEN).astype(np.float32)
        slopes = _slope(counts)
        if link == "additive":
            return cls(amplitude, context, counts, falls=dict(zip(profiles, slopes, strict=True)))
        top = slopes.max(axis=0)
        return cls(amplitude, context, counts, top, dict.fromkeys(profiles, top))

    @property
    def level(self) -> Values | None:
        """Mean counts per 10,000 of the control cells of every condition's context; None where they are unknown."""
        return None if self.counts is None else self.counts[self.context]

    def take(self, rows: Int[np.ndarray, "rows"] | slice) -> Self:
        """Of some of the conditions."""
        return replace(self, amplitude=self.amplitude[rows], context=self.context[rows])

    @property
    def slope(self) -> Values:
        """By how much an effect changes with its value on the scale, where it is small."""
        level = self.level
        if level is None or self.top is None:
            return self.amplitude
        return np.asarray(self.amplitude * np.maximum(_slope(level) / self.top, LEAST_SHARE))

    def from_effects(self, effect: Values) -> Values:
        """Effects on the scale; NaN where a context hardly expresses the gene."""
        level = self.level
        if level is None or self.top is None:
            return np.asarray(effect / self.amplitude, dtype=np.float32)
        values = self.top * log_fold_change(level, effect) / self.amplitude
        return np.where(_slope(level) < LEAST_SHARE * self.top, np.nan, values).astype(np.float32)

    def to_effects(self, mixture: GeneMixture) -> GeneMixture:
        """What is believed of effects, by what is believed on the scale."""
        mixture, of_conditions = mixture.scaled(self.amplitude), self.level
        if of_conditions is None or self.top is None:
            return mixture
        level, top = of_conditions[..., None], self.top[:, None]
        low, middle, high = (
            np.log1p(_multiplied(level, (mixture.means + away * mixture.sds) / top)) for away in (-1.0, 0.0, 1.0)
        )
        effect, sd = middle - np.log1p(level), 0.5 * (high - low)
        return GeneMixture(mixture.weights, effect, np.where(level > UNSEEN, sd, np.hypot(sd, effect)))

    def implied_fall(self, values: Values) -> Float[np.ndarray, "conditions 1"]:
        """What responses without a common fall do to all genes, on the scale: where their counts rise together, each falls in share."""
        before = self.level
        if before is None:
            return np.zeros_like(self.amplitude)
        effect = np.asarray(self.amplitude * values)
        if self.top is None:
            after = np.maximum(np.expm1(np.log1p(before) + effect), 0.0)
        else:
            after = _multiplied(before, effect / self.top)
        ratio = after.sum(axis=1, keepdims=True, dtype=np.float64) / before.sum(axis=1, keepdims=True, dtype=np.float64)
        return np.asarray(-np.log(np.maximum(ratio, LEAST_LEFT)) / self.amplitude)

    def sampling(self, sampling: Sampling) -> Sampling:
        """Sampling variances of effects on the scale, to first order."""
        return sampling.divided(self.slope)


def _multiplied(level: np.ndarray, log_fold: np.ndarray) -> np.ndarray:
    """Counts after a fold change."""
    return np.asarray(level * np.exp(np.clip(log_fold, -MAX_LOG_FOLD, MAX_LOG_FOLD)))


def _slope(level: Values) -> Values:
    return np.asarray(level / (1.0 + level))
