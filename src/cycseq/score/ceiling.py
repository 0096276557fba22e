"""Positive and negative controls: what the best and the worst possible prediction would score.

The other negative controls are models: `NoChange`, `PerturbedMean`, `SmoothedControls`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from cycseq.data.dataset import Condition
from cycseq.data.effects import Effects
from cycseq.data.either import Data
from cycseq.matrix.arrays import Codes, Mask, Profiles
from cycseq.score.effects import population as effect_population
from cycseq.score.evaluate import COLUMNS, scores, table
from cycseq.score.match import ContextMatch, match_conditions
from cycseq.score.metrics import HEADLINE
from cycseq.score.metrics.base import Metric, RealContext
from cycseq.score.metrics.population import Population
from cycseq.score.reference import Reference, seed_of

SPLIT_HALF = "SplitHalf"
INTERPOLATED = "InterpolatedDuplicate"
POSITIVE_CONTROLS = (SPLIT_HALF, INTERPOLATED)
WRONG_TARGET = " (wrong target)"
REPEATS, MIN_REPEATS, ENOUGH_HALVES = 10, 3, 1_000
"""How often cells are halved: so often that so many conditions are halved in all, within these limits."""
MIN_CELLS = 4
"""A condition with fewer cells has no halves worth comparing."""


def split_half(
    real: Reference, *, split: str = "", repeats: int = REPEATS, conditions: Collection[Condition] | None = None
) -> pd.DataFrame:
    """A random half of the real cells predicts the other half: the ceiling, for HALF the cells. So does what it is shrunk to.

    Effects with standard errors are halved by their noise (`_cut_effects`).

    ``InterpolatedDuplicate`` lies between the first half and the mean of all perturbations (`interpolate`): a measured mean
    of few cells has much noise, and a ceiling that holds it is too low, most where errors are squared.

    The first half is compared with the controls that models are given, the second with the reference, as prediction and real
    cells are in every other row: no noise is on both sides. With signal S, noise N1 of all perturbed and N0 of all control
    cells, both cut in two, the halves correlate by S / (S + 2 N0 + 2 N1). Where controls are shared, N0 is common to both:
    (S + N0) / (S + N0 + 2 N1), in which noise counts as signal. A perfect delta scores sqrt(S / (S + 2 N0 + N1)) against all
    real cells. On the Kang data (NK, 156 cells, 148 controls) the three are 0.72, 0.86 and 0.88: the ceiling is not what can
    be reached, and a score above 1 is possible.

    Parameters
    ----------
    real
        The real side.
    split
        What the column `split` says.
    repeats
        How often the cells are halved.
    conditions
        The conditions to halve; None halves all.

    Returns
    -------
    Rows as of `evaluate`: the model is ``SplitHalf`` or (metrics that look at no single cells) ``InterpolatedDuplicate``,
    the seed is the number of the repeat. Conditions with fewer than four cells are NaN.

    References
    ----------
    Miller et al. 2025 (Deep learning-based genetic perturbation models do outperform uninformative baselines on
    well-calibrated metrics), who interpolate gene by gene with p-values of a test; here one weight for each condition.
    """
    tables = [split_half_once(real, repeat, split=split, conditions=conditions) for repeat in range(repeats)]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS))


def choose_repeats(n_conditions: int) -> int:
    """How often the cells of so many tested conditions are halved."""
    return min(REPEATS, max(MIN_REPEATS, -(-ENOUGH_HALVES // max(n_conditions, 1))))


def split_half_once(
    real: Reference, repeat: int, *, split: str = "", conditions: Collection[Condition] | None = None
) -> pd.DataFrame:
    """The rows of `split_half` of one repeat; they do not depend on the other repeats."""
    metrics = [metric for metric in real.metrics if not metric.paired]
    halved = [
        _halved(real, context, repeat, metrics, conditions)
        for context in real.contexts
        if conditions is None or any(condition.context == context for condition in conditions)
    ]
    tables = [
        table([one[model] for one in halved], model=model, split=split, seed=repeat) for model in POSITIVE_CONTROLS
    ]
    return pd.concat(tables, ignore_index=True)


def _halved(
    real: Reference, context: str, repeat: int, metrics: Sequence[Metric], tested: Collection[Condition] | None
) -> dict[str, pd.DataFrame]:
    """The scores of both positive controls, by name."""
    whole = real.contexts[context]
    conditions_here = [Condition(context, perturbation) for perturbation in whole.perturbations]
    selected = np.array(
        [i for i, condition in enumerate(conditions_here) if tested is None or condition in tested], dtype=np.int64
    )
    cut = _cut_effects if isinstance(real.data, Effects) else _cut_cells
    halves = cut(real, context, repeat, selected)
    small, cheap = np.setdiff1d(selected, halves.places), [metric for metric in metrics if not metric.costly]
    tables = {SPLIT_HALF: [_undefined(whole, small, metrics)], INTERPOLATED: [_undefined(whole, small, cheap)]}
    if len(halves.places):
        places, second, seed = halves.places, halves.second, real.settings.seed
        tables[SPLIT_HALF].append(scores(second, places, halves.first, metrics, sampled=True, seed=seed))
        between = interpolate(halves.first, _mean_perturbed(whole)[places], second.kept[places])
        tables[INTERPOLATED].append(scores(second, places, between, cheap, seed=seed))
    return {model: pd.concat(parts, ignore_index=True) for model, parts in tables.items()}


@dataclass(frozen=True)
class _Halves:
    """Conditions of a context measured twice, with no noise in common."""

    places: Codes
    """Those that could be halved."""
    first: Population
    """What predicts, a row for each of `places`."""
    second: RealContext
    """What it is compared with: the whole context, the other halves in it."""


def _cut_cells(real: Reference, context: str, repeat: int, selected: Codes) -> _Halves:
    """A random half of the cells of every condition that has enough, and the other half."""
    whole = real.contexts[context]
    large = selected[whole.cells.n_cells[selected] >= MIN_CELLS]
    first: list[Codes] = []
    second: list[Codes] = list(real.rows[context])
    seeds = [seed_of(Condition(context, name), real.settings.seed) for name in whole.perturbations]
    for i in large:
        shuffled = np.random.default_rng([repeat, *seeds[i]]).permutation(real.rows[context][i])
        half = len(shuffled) // 2
        first.append(shuffled[:half])
        second[i] = shuffled[half : 2 * half]
    x, most = real.x, real.settings.max_cells
    predicted = Population.of(x, first, most, [seeds[i] for i in large]) if len(large) else whole.cells.take(large)
    return _Halves(large, predicted, replace(whole, cells=Population.of(x, second, most, seeds), cache={}))


def _cut_effects(real: Reference, context: str, repeat: int, selected: Codes) -> _Halves:
    """An effect y with standard error s as y + s z and y - s z, z standard normal: two halves of its measurement.

    They are independent, with twice the variance, as the means of two halves of the cells would be, if noise is Gaussian, s is
    right, and conditions have their noise apart (shared controls are not). Genes without a standard error are not scored.

    References
    ----------
    Rasines and Young 2023 (Splitting strategies for post-selection inference).
    """
    whole = real.contexts[context]
    mean, variance = whole.cells.mean, whole.cells.variance_of_mean
    finite = np.isfinite(variance) & whole.kept
    places = selected[finite[selected].any(axis=1)]
    second, noise = mean.copy(), np.zeros_like(mean)
    for i in places:
        rng = np.random.default_rng([repeat, *seed_of(Condition(context, whole.perturbations[i]), real.settings.seed)])
        noise[i] = np.sqrt(np.where(finite[i], variance[i], 0.0)) * rng.normal(size=mean.shape[1])
    second[places] -= noise[places]
    kept = whole.kept.copy()
    kept[places] = finite[places]
    twice = np.where(np.isin(np.arange(len(mean)), places)[:, None], 2.0, 1.0) * variance
    first = effect_population(mean[places] + noise[places], np.where(finite[places], 2.0 * variance[places], 0.0))
    return _Halves(places, first, replace(whole, cells=effect_population(second, twice), kept=kept, cache={}))


def interpolate(duplicate: Population, mean_perturbed: Profiles, kept: Mask) -> Population:
    """The duplicate with its means moved to m + w (mu' - m), as near to the true means as one weight may bring them.

    The expected |m + w (mu' - m) - mu|^2 is least at w = 1 - noise / E|mu' - m|^2 (James and Stein 1961), noise the sampling
    variance of mu' in all genes; both come from the duplicate's own cells, so that the cells which it is compared with play no
    part. `mean_perturbed` is m of each condition, `kept` the genes that count.
    """
    distance = duplicate.mean - mean_perturbed
    size, noise = ((values * kept).sum(axis=1) for values in (distance**2, duplicate.variance_of_mean))
    weight = 1.0 - np.divide(noise, size, out=np.ones_like(size), where=size > noise)
    return replace(duplicate, mean=mean_perturbed + weight[:, None] * distance, tested={}, whole=None, rows=None)


def _mean_perturbed(real: RealContext) -> Profiles:
    """mu_all of every condition, for predicted cells; the control mean of models where it cannot be known."""
    of_model = real.mean_perturbed if real.model_mean_perturbed is None else real.model_mean_perturbed
    return np.tile(real.model_control_mean, (len(real.perturbations), 1)) if of_model is None else of_model


def wrong_target(
    predicted: Data,
    real: Reference,
    *,
    model: str,
    split: str = "",
    seed: int = 0,
    costly: bool = False,
    match: Sequence[ContextMatch] | None = None,
) -> pd.DataFrame:
    """A model's own predictions, shuffled among the perturbations of each context so that none stays where it was.

    Parameters
    ----------
    predicted
        Predicted cells, as given to `evaluate`.
    real
        The real side.
    model, split, seed
        What the columns say; the model's name gets `` (wrong target)`` behind it. The seed fixes the shuffling, too.
    costly
        Score every metric of single cells, and not only those of the headline: without them nothing could be claimed there.
    match
        What `match_conditions` gives for the two sides, where it is at hand.

    Returns
    -------
    Rows as of `evaluate`; NaN in a context where one perturbation was predicted.
    """
    metrics = [
        metric
        for metric in real.metrics
        if (costly or not metric.costly or metric.name in HEADLINE) and not metric.paired
    ]
    tables = []
    for one in match_conditions(predicted, real) if match is None else match:
        context = real.contexts[one.context]
        if len(one.places) < 2:
            tables.append(_undefined(context, one.places, metrics))
            continue
        rng = np.random.default_rng([seed, *one.context.encode()])
        cells = one.cells.take(_derangement(len(one.places), rng))
        tables.append(scores(context, one.places, cells, metrics, seed=real.settings.seed))
    return table(tables, model=model + WRONG_TARGET, split=split, seed=seed)


def _undefined(real: RealContext, places: Codes, metrics: Sequence[Metric]) -> pd.DataFrame:
    names = [real.perturbations[i] for i in places]
    pairs = [(metric.name, name) for metric in metrics for name in names]
    return pd.DataFrame(
        {
            "context": real.context,
            "perturbation": [name for _, name in pairs],
            "metric": [metric for metric, _ in pairs],
            "value": np.nan,
        }
    )


def _derangement(n: int, rng: np.random.Generator) -> Codes:
    """A permutation of 0..n-1 in one random cycle, so that nothing stays in its place (Sattolo's algorithm, in effect)."""
    order = rng.permutation(n)
    deranged = np.empty(n, dtype=np.int64)
    deranged[order] = np.roll(order, 1)
    return deranged
