"""What every perturbation does elsewhere: the best linear guess of its response from other settings, and how sure that is."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from cycseq.data.effect_means import mean_of_measured
from cycseq.models.kriging.table import Table, Values

PRIOR_AGENTS = 5.0  # perturbations that say that all settings are alike, in the covariance of two settings
PRIOR_PAIRS = 1.0  # pairs of settings that say that a perturbation is as reproducible as the others
ROUNDS = 2  # of filling what was not measured
LEAST_STRENGTH = 0.05  # least reproducible variance of a perturbation, in units of the mean one

Settings = Float[np.ndarray, "settings settings"]


@dataclass(frozen=True)
class Elsewhere:
    """Of every condition, from conditions of the same perturbation at other places of the table's axis."""

    guess: Values  # specific response; 0 where the perturbation was measured nowhere else
    strength: Float[np.ndarray, "conditions"]
    """Root of the reproducible variance of the perturbation's responses elsewhere, 1 on average."""
    covariance: Settings
    """Of specific responses between settings, noise taken off, positive semidefinite, 1 on average on its diagonal."""


def tell_elsewhere(table: Table) -> Elsewhere:
    """Moments over perturbations and genes give the covariance of settings, and this the best linear guess.

    With A the mean products of specific responses of two settings, noise on its diagonal, the guess for setting s from the
    settings D of the same perturbation is sum over d of beta_d R(p, d), beta = A_DD^-1 A_Ds: contexts that answer with the
    opposite sign, or half as much, are weighed so. Few perturbations tell little of two settings: their A is drawn to the mean
    of all pairs.
    """
    moments = _moments(table)
    signal = _signal(moments)
    guess = np.zeros_like(table.specific)
    strength = np.ones(len(guess))
    products = table.products
    rows_of: dict[int, np.ndarray] = {}
    for agent in np.unique(table.agents):
        rows_of[int(agent)] = np.flatnonzero((table.agents == agent) & table.seen)
    expected = moments[~np.eye(len(moments), dtype=bool)].mean() if len(moments) > 1 else 0.0
    for row in range(len(guess)):
        donors = rows_of[int(table.agents[row])]
        at = table.setting[donors]
        donors = donors[table.place[at] != table.place[table.setting[row]]]
        if not len(donors):
            continue
        at = table.setting[donors]
        weights = np.linalg.solve(moments[np.ix_(at, at)], moments[at, table.setting[row]])
        guess[row] = weights.astype(guess.dtype) @ table.specific[donors]
        if len(donors) > 1:
            strength[row] = _strength(products[np.ix_(donors, donors)], moments[np.ix_(at, at)], expected)
    return Elsewhere(guess, np.sqrt(strength), signal)


def _moments(table: Table) -> Settings:
    """Mean products of specific responses of two settings over the perturbations that both have, drawn to their mean."""
    n = len(table.settings)
    sums, counts = np.zeros((n, n)), np.zeros((n, n))
    products = table.products
    for agent in np.unique(table.agents[table.seen]):
        rows = np.flatnonzero((table.agents == agent) & table.seen)
        at = table.setting[rows]
        sums[np.ix_(at, at)] += products[np.ix_(rows, rows)]
        counts[np.ix_(at, at)] += 1.0
    own = np.eye(n, dtype=bool)
    prior = np.full((n, n), _share(sums[~own], counts[~own]))
    np.fill_diagonal(prior, max(_share(sums[own], counts[own]), 1e-12))
    moments = (sums + PRIOR_AGENTS * prior) / (counts + PRIOR_AGENTS)
    values, vectors = np.linalg.eigh(moments)
    floor = 1e-3 * float(np.diag(moments).mean())
    return np.asarray((vectors * np.maximum(values, floor)) @ vectors.T)


def _share(sums: np.ndarray, counts: np.ndarray) -> float:
    return float(sums.sum() / max(counts.sum(), 1.0))


def _signal(moments: Settings) -> Settings:
    """The part of the moments that settings share: products of different settings, and communalities on the diagonal."""
    n = len(moments)
    if n == 1:
        return np.ones((1, 1))
    signal = moments.copy()
    for _ in range(20):  # principal factors: the diagonal is what the leading directions explain
        values, vectors = np.linalg.eigh(signal)
        leading = slice(-max(1, n // 3), None)
        explained = (vectors[:, leading] * np.maximum(values[leading], 0.0)) @ vectors[:, leading].T
        np.fill_diagonal(signal, np.minimum(np.diag(explained), np.diag(moments)))
    values, vectors = np.linalg.eigh(signal)
    signal = (vectors * np.maximum(values, 0.0)) @ vectors.T
    mean = float(np.diag(signal).mean())
    return np.asarray(signal / mean) if mean > 0 else np.eye(n)


def _strength(products: np.ndarray, expected: np.ndarray, typical: float) -> float:
    """How strongly two settings' products agree with what is expected of them: least squares, drawn to 1."""
    upper = np.triu_indices(len(products), 1)
    prior = PRIOR_PAIRS * typical**2
    scale = (expected[upper] ** 2).sum() + prior
    if scale <= 0:
        return 1.0
    return float(max(((products[upper] * expected[upper]).sum() + prior) / scale, LEAST_STRENGTH))


def fill(table: Table) -> Table:
    """The table with a guess for what was not measured (NaN): the mean response of the setting and what the perturbation does elsewhere."""
    missing = np.isnan(table.effect)
    if not missing.any():
        return table
    measured = [table.effect[table.setting == i] for i in range(len(table.settings))]
    overall = np.nan_to_num(mean_of_measured(table.effect))
    common = np.stack([mean_of_measured(part) for part in measured])
    common = np.where(np.isnan(common), overall, common)[table.setting]
    effect = np.where(missing, common, table.effect).astype(np.float32)
    for _ in range(ROUNDS):
        guess = tell_elsewhere(replace(table, effect=effect)).guess
        effect[missing] = (common + guess)[missing]
    return replace(table, effect=effect)
