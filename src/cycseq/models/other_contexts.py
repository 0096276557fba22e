"""What perturbations do in other contexts than the one that is predicted: the inputs of several simple models."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from cycseq.data.condition import Condition
from cycseq.data.effect_means import mean_of_measured
from cycseq.matrix.arrays import Profile, Profiles, unit_rows

Features = Float[np.ndarray, "perturbations genes"]


@dataclass(frozen=True)
class OtherContexts:
    """Training effects by perturbation and context; NaN where a gene was not measured."""

    effect: Profiles
    conditions: tuple[Condition, ...]

    @cached_property
    def places(self) -> dict[str, dict[str, int]]:
        """Perturbation -> context -> row of `effect`."""
        places: dict[str, dict[str, int]] = {}
        for row, condition in enumerate(self.conditions):
            places.setdefault(condition.perturbation, {})[condition.context] = row
        return places

    @cached_property
    def commons(self) -> dict[str, Profile]:
        """The mean response of every context."""
        rows: dict[str, list[int]] = {}
        for row, condition in enumerate(self.conditions):
            rows.setdefault(condition.context, []).append(row)
        return {context: mean_of_measured(self.effect[of]).astype(np.float64) for context, of in rows.items()}

    @property
    def contexts(self) -> tuple[str, ...]:
        """Contexts with perturbed training conditions, sorted."""
        return tuple(sorted(self.commons))

    def inside(self, context: str) -> list[str]:
        """The perturbations measured there, sorted."""
        return sorted(c.perturbation for c in self.conditions if c.context == context)

    def outside(self, context: str) -> list[str]:
        """The perturbations that another context has, sorted."""
        return [name for name in sorted(self.places) if self.has(name, context)]

    def both(self, context: str) -> list[str]:
        """The perturbations measured there and in another context, sorted."""
        return [name for name in self.inside(context) if self.has(name, context)]

    def responses(self, names: Sequence[str], context: str) -> Features:
        """What these perturbations do there."""
        return self.effect[[self.places[name][context] for name in names]].astype(np.float64)

    def has(self, perturbation: str, context: str) -> bool:
        """Whether another context has the perturbation."""
        return bool(set(self.places.get(perturbation, {})) - {context})

    def specific_in(self, perturbation: str, contexts: Sequence[str]) -> Float[np.ndarray, "contexts genes"]:
        """Response to one perturbation in each context less the mean response there; 0 where it was not measured."""
        responses = np.zeros((len(contexts), self.effect.shape[1]))
        for i, context in enumerate(contexts):
            row = self.places.get(perturbation, {}).get(context)
            if row is not None:
                responses[i] = np.nan_to_num(self.effect[row] - self.commons[context])
        return responses

    def mean(self, names: Sequence[str], context: str) -> Features:
        """Mean response of each perturbation over the contexts that have it, save this one."""
        return self._means(names, context, specific=False)

    def specific(self, names: Sequence[str], context: str) -> Features:
        """The same, of responses from which the mean response of their context was taken off."""
        return self._means(names, context, specific=True)

    def _means(self, names: Sequence[str], context: str, *, specific: bool) -> Features:
        means = np.full((len(names), self.effect.shape[1]), np.nan)
        for i, name in enumerate(names):
            rows = {c: row for c, row in self.places.get(name, {}).items() if c != context}
            if rows:
                values = self.effect[list(rows.values())].astype(np.float64)
                common = np.stack([self.commons[c] for c in rows]) if specific else 0.0
                means[i] = mean_of_measured(values - common)
        return means


def components(features: Features, n_components: int) -> Features:
    """What the leading principal components (of perturbations x genes, not centred) say of the features."""
    features = np.nan_to_num(features)
    directions = leading_directions(features, n_components)
    return (features @ directions.T) @ directions


def leading_directions(features: Features, n_components: int) -> Float[np.ndarray, "components genes"]:
    """Orthonormal directions of the leading principal components, by the products of all rows, or of all columns if these are fewer."""
    from scipy.linalg import eigh

    by_rows = len(features) < features.shape[1]
    products = features @ features.T if by_rows else features.T @ features
    n = min(n_components, len(products))
    vectors = eigh(products, subset_by_index=(len(products) - n, len(products) - 1))[1][:, ::-1]
    return np.linalg.qr(features.T @ vectors)[0].T if by_rows else vectors.T


def cosines(one: Features, other: Features) -> Float[np.ndarray, "perturbations others"]:
    """Cosines between rows; 0 with a row of zeros."""
    return np.asarray(unit_rows(one) @ unit_rows(other).T)
