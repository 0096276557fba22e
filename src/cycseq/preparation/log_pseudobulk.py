"""Effects as differences of log pseudobulk profiles: what the sum of a condition's counts shows, as scorers of sums see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from cycseq.data.condition import Condition
from cycseq.data.dataset import PerturbationData
from cycseq.data.effects import Effects
from cycseq.data.scale import PSEUDOBULK_SUM
from cycseq.data.usual_names import CONTROL
from cycseq.matrix.arrays import Codes, InMemory, PerCell, Profiles, map_blocks
from cycseq.matrix.groups import group_sums, group_totals
from cycseq.preparation.counts import counts_of
from cycseq.preparation.normalise import library_sizes
from cycseq.preparation.pseudobulk import effects_of, match_controls
from cycseq.preparation.settings import Response


def log_profile(share: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """log(1 + 50,000 x share of a gene in the summed counts)."""
    return np.log1p(PSEUDOBULK_SUM * share)


def log_pseudobulk_effects(data: PerturbationData) -> Effects:
    """b(p) - b(control) of every perturbed condition, with b = log(1 + 50,000 P / sum P) and P the counts summed over its cells.

    Controls are matched as in `effects_of`: the profile of the control is the mean of the profiles of the batches, each weighed
    by its share of the condition's cells. Raises `DataError` if counts cannot be recovered, or a context has no control cells.

    Cells are counts, or log1p values that counts can be recovered from; stored ones are read three times. The effects' layers are
    `mean` (b) and `se`: the infinitesimal jackknife over cells, at which the variance of P is at least that of a Poisson law with
    one count more, so that a gene without counts is not certain.

    References: the profile, Virtual Cell Challenge 2026, cell-eval2; the jackknife, Efron and Stein 1981.
    """
    matched = match_controls(data)
    sums = _sums(data, matched.groups, matched.n_groups)
    n, contexts = len(matched.conditions), matched.contexts
    perturbed, stratum = (sums.take(rows) for rows in (slice(n), slice(n, None)))
    belongs = matched.context_of_stratum == np.arange(len(contexts))[:, None]
    control = stratum.merged(belongs.astype(np.float64))
    matched_share = matched.weights @ stratum.share
    per_control = control.variance * control.n_cells
    noise = _slope(perturbed.share) ** 2 * perturbed.variance
    noise += _slope(matched_share) ** 2 * matched.per_control[:, None] * per_control[matched.context]
    measured = np.flatnonzero(control.n_cells)
    nothing = np.zeros((len(measured), len(data.genes)))
    effect = log_profile(perturbed.share) - log_profile(matched_share)
    layers = {
        "se": np.concatenate([np.full_like(nothing, np.nan), np.sqrt(noise)]),
        "mean": log_profile(np.concatenate([control.share[measured], perturbed.share])),
    }
    return Effects.from_arrays(
        np.concatenate([nothing, effect]).astype(np.float32),
        [*(Condition(contexts[i], CONTROL) for i in measured), *matched.conditions],
        data.genes,
        scale="log_pseudobulk",
        layers={name: values.astype(np.float32) for name, values in layers.items()},
        n_cells=[*control.n_cells[measured, 0], *perturbed.n_cells[:, 0]],
    )


SUMMARIES: dict[Response, Callable[[PerturbationData], Effects]] = {
    "log1p": effects_of,
    "log_pseudobulk": log_pseudobulk_effects,
}
"""How cells are summarized, by the scale of the effects."""


@dataclass(frozen=True)
class _Sums:
    """Sums over the cells of groups, of y counts of a gene in a cell of size l."""

    counts: Profiles
    squares: Profiles  # y^2
    products: Profiles  # y l
    squared_sizes: Float[np.ndarray, "groups 1"]
    n_cells: Float[np.ndarray, "groups 1"]

    def take(self, rows: slice) -> _Sums:
        """Some groups."""
        return _Sums(*(getattr(self, part.name)[rows] for part in fields(self)))

    def merged(self, belongs: Float[np.ndarray, "unions groups"]) -> _Sums:
        """Unions of groups."""
        return _Sums(*(belongs @ getattr(self, part.name) for part in fields(self)))

    @property
    def total(self) -> Float[np.ndarray, "groups 1"]:
        """All counts of the group, at least 1."""
        return np.asarray(np.maximum(self.counts.sum(axis=1, keepdims=True), 1.0))

    @property
    def share(self) -> Profiles:
        """Of every gene in the summed counts."""
        return np.asarray(self.counts / self.total)

    @property
    def variance(self) -> Profiles:
        """Of the share, from the spread of the cells."""
        spread = self.squares - 2.0 * self.share * self.products + self.share**2 * self.squared_sizes
        spread *= self.n_cells / np.maximum(self.n_cells - 1.0, 1.0)
        return np.asarray(np.maximum(spread, self.counts + 1.0) / self.total**2)


def _sums(data: PerturbationData, groups: Codes, n_groups: int) -> _Sums:
    counts, _ = counts_of(data)
    size = library_sizes(counts)
    totals = group_totals(counts, groups, n_groups)
    return _Sums(
        totals[1],
        totals[2],
        group_sums(map_blocks(counts, _times, size), groups, n_groups),
        np.bincount(groups, weights=np.square(size), minlength=n_groups)[:, None],
        np.bincount(groups, minlength=n_groups).astype(np.float64)[:, None],
    )


def _times(x: InMemory, size: PerCell) -> InMemory:
    """Every cell's counts times its size."""
    return np.asarray(x * size[:, None]) if isinstance(x, np.ndarray) else sp.csr_matrix(sp.diags(size) @ x)


def _slope(share: Profiles) -> Profiles:
    """Of the log profile in the share."""
    return np.asarray(PSEUDOBULK_SUM / (1.0 + PSEUDOBULK_SUM * share))
