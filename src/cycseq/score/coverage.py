"""Whether real responses lie inside predicted intervals, and genes change, as often as the prediction says."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from scipy.special import ndtr

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.effects import WITH_MAGNITUDE, Effects
from cycseq.data.gene_mixture import GeneMixture
from cycseq.data.posterior import LEVEL, read_posterior
from cycseq.errors import DataError
from cycseq.preparation.pseudobulk import responses
from cycseq.score.metrics.ranks import false_discovery_rate
from cycseq.split.controls import take_reference

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
LARGE = 0.2  # a true response beyond this is one of a responding gene, log1p units
SIGNIFICANT = 0.05  # false discovery rate (Benjamini-Hochberg) up to which a measured gene counts as responding
STRATA = ("all genes", "responding genes", "true response", "true response, responding genes")
"""What `coverage_by_stratum` tells apart; the last two where the truth is known."""
BINS = np.linspace(0.0, 1.0, 11)  # edges of the bins of stated probabilities
MIN_IN_BIN = 50  # genes of conditions below which the frequency in a bin is not told
THRESHOLD, THRESHOLD_OF_Z = 0.1, 1.0
"""From which size on an effect is large: log1p or natural logarithms; z-scores. Of ranks, a standard deviation of all of them."""
THRESHOLDS_IN_WORDS = (
    f"the threshold is {THRESHOLD:g} for log1p and fold changes (unless the model has another), {THRESHOLD_OF_Z:g} for z-scores, "
    "and for ranks their standard deviation"
)
EVENTS = ("above 0", "beyond the threshold")

Truth = Mapping[Condition, Float[np.ndarray, "genes"]]


@dataclass(frozen=True)
class Compared:
    """One condition: what was predicted, what was measured, and the truth where it is known."""

    condition: Condition
    mixture: GeneMixture
    threshold: float
    real: Float[np.ndarray, "genes"]
    noise: Float[np.ndarray, "genes"]  # sampling variance of `real`
    true: Float[np.ndarray, "genes"] | None

    @property
    def varies(self) -> Bool[np.ndarray, "genes"]:
        """Genes that do not vary in the real cells have a delta of 0 in any case."""
        return self.noise > 0

    @property
    def responding(self) -> Bool[np.ndarray, "genes"]:
        """Genes whose measured delta is significant: chosen by their noise too, so that fewer of them are covered."""
        z = np.abs(self.real[self.varies]) / np.sqrt(self.noise[self.varies])
        responding = np.zeros(len(self.real), dtype=bool)
        responding[self.varies] = false_discovery_rate(2.0 * ndtr(-z)) <= SIGNIFICANT
        return responding


def coverage(predicted: PerturbationData, real: PerturbationData, *, levels: Sequence[float] = LEVELS) -> pd.DataFrame:
    """Share of genes whose real delta lies inside the predicted interval, by context and nominal coverage.

    A real delta is measured with sampling noise, so the interval is that of a new measurement: between the quantiles of
    the predicted mixture, every component widened by the noise var_perturbed / n_perturbed + var_control / n_control. The
    controls are those that the prediction's record says were held back from the model, if it says so.
    Genes that do not vary in the real cells are left out: their delta is 0 in any case.

    Parameters
    ----------
    predicted
        Cells that a model with a posterior predicted (`ConditionKriging`).
    real
        Real cells of the same conditions and their controls, log1p.
    levels
        Nominal coverages, in (0, 1).

    Returns
    -------
    Columns `context`, `nominal`, `observed`, `n` (genes of conditions).

    Raises
    ------
    DataError
        If the prediction has no posterior, or no predicted condition is among the real ones.

    Examples
    --------
    >>> import cycseq
    >>> data = cycseq.read("cells.h5ad")
    >>> (split,) = cycseq.make_splits(data, cycseq.SplitSettings(context="Line3"))
    >>> parts = split.parts(data)
    >>> model = cycseq.build_model("ConditionKriging").fit(parts.train, seed=0)
    >>> predicted = model.predict(parts.train.controls(["Line3"]), split.test, n_cells=20, seed=0)
    >>> list(cycseq.coverage(predicted, data, levels=(0.5, 0.9)).columns)
    ['context', 'nominal', 'observed', 'n']
    """
    ranks: dict[str, list[np.ndarray]] = {}
    for one in compare(predicted, real, None):
        rank = one.mixture.noisy(one.noise).cdf(one.real)[one.varies]
        ranks.setdefault(one.condition.context, []).append(np.abs(2.0 * rank - 1.0))
    rows = []
    for context, parts in ranks.items():
        inside = np.concatenate(parts)
        rows += [(context, level, float((inside < level).mean()), len(inside)) for level in levels]
    return pd.DataFrame(rows, columns=["context", "nominal", "observed", "n"])


def coverage_by_stratum(
    predicted: PerturbationData, real: PerturbationData, *, truth: Truth | None = None
) -> pd.DataFrame:
    """Share of genes inside their 90 % interval: all genes, those that respond, and the truth where it is known.

    Parameters
    ----------
    predicted, real
        As of `coverage`.
    truth
        The true delta of every gene (in the order of the predicted genes), where the data are simulated.

    Returns
    -------
    Columns `context`, `stratum` (`STRATA`), `observed`, `n` (genes of conditions). *All genes* and *responding genes* say
    whether the measured delta lies inside the interval of a new measurement; a gene responds where its measured delta is
    significant (Benjamini-Hochberg, 5 %), which chooses lucky ones: of these, even right intervals cover a little
    less. *True response* says whether the truth lies inside the interval of the true response; there a gene responds where the
    truth is beyond 0.2.

    Examples
    --------
    >>> import cycseq
    >>> data = cycseq.read("cells.h5ad")
    >>> (split,) = cycseq.make_splits(data, cycseq.SplitSettings(context="Line3"))
    >>> parts = split.parts(data)
    >>> model = cycseq.build_model("ConditionKriging").fit(parts.train, seed=0)
    >>> predicted = model.predict(parts.train.controls(["Line3"]), split.test, n_cells=20, seed=0)
    >>> cycseq.coverage_by_stratum(predicted, data)["stratum"].iloc[0]
    'all genes'
    """
    return strata_of(compare(predicted, real, truth))


def strata_of(compared: Iterable[Compared]) -> pd.DataFrame:
    """`coverage_by_stratum` of conditions that were set beside what was measured."""
    rows = []
    for one in compared:
        inside = np.abs(2.0 * one.mixture.noisy(one.noise).cdf(one.real) - 1.0) < LEVEL
        strata = [(STRATA[0], inside[one.varies]), (STRATA[1], inside[one.responding])]
        if one.true is not None:
            inside = np.abs(2.0 * one.mixture.cdf(one.true) - 1.0) < LEVEL
            strata += [(STRATA[2], inside[one.varies]), (STRATA[3], inside[np.abs(one.true) > LARGE])]
        rows += [(one.condition.context, name, int(part.sum()), len(part)) for name, part in strata]
    table = pd.DataFrame(rows, columns=["context", "stratum", "inside", "n"])
    table = table.groupby(["context", "stratum"], sort=False, as_index=False).sum()
    table = table[table["n"] > 0]
    return table.assign(observed=table["inside"] / table["n"])[["context", "stratum", "observed", "n"]]


def reliability(
    predicted: PerturbationData, real: PerturbationData, *, truth: Truth | None = None, fewest: int = MIN_IN_BIN
) -> pd.DataFrame:
    """How often a response is above 0, or beyond the threshold, where the prediction states that probability.

    Where the truth is known it is counted. A measured delta is noisy: there the stated probability is that of the noisy
    delta, which the mixture gives with every component widened by the noise, and the measured event is counted. So both
    sides speak of the same event, and no noise is taken for a wrong probability. A response of exactly 0 counts half as
    above 0.

    Parameters
    ----------
    predicted, real, truth
        As of `coverage_by_stratum`.
    fewest
        Genes of conditions below which a bin is left out.

    Returns
    -------
    Columns `event` ("above 0", "beyond the threshold"), `stated` (mean of the bin), `observed`, `n` (genes of conditions), a row
    for each tenth.

    Examples
    --------
    >>> import cycseq
    >>> data = cycseq.read("cells.h5ad")
    >>> (split,) = cycseq.make_splits(data, cycseq.SplitSettings(context="Line3"))
    >>> parts = split.parts(data)
    >>> model = cycseq.build_model("ConditionKriging").fit(parts.train, seed=0)
    >>> predicted = model.predict(parts.train.controls(["Line3"]), split.test, n_cells=20, seed=0)
    >>> sorted(set(cycseq.reliability(predicted, data, fewest=1)["event"]))
    ['above 0', 'beyond the threshold']
    """
    return bins_of(compare(predicted, real, truth), fewest)


def tenth_of(probability: np.ndarray) -> Int[np.ndarray, "values"]:
    """Which of `BINS` a probability lies in, from 0; 1 is in the last."""
    return np.asarray(np.clip(np.digitize(probability, BINS) - 1, 0, len(BINS) - 2))


def bins_of(compared: Iterable[Compared], fewest: int) -> pd.DataFrame:
    """`reliability` of conditions that were set beside what was measured."""
    events: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {event: [] for event in EVENTS}
    for one in compared:
        value, mixture = (one.real, one.mixture.noisy(one.noise)) if one.true is None else (one.true, one.mixture)
        stated = mixture.probabilities(one.threshold)
        for event, probability, happens in (
            (EVENTS[0], stated.up, 0.5 + 0.5 * np.sign(value)),
            (EVENTS[1], stated.beyond, np.abs(value) > one.threshold),
        ):
            events[event].append((probability[one.varies], happens[one.varies]))
    rows = []
    for event, parts in events.items():
        probability, happens = (np.concatenate(side) for side in zip(*parts, strict=True))
        places = tenth_of(probability)
        for i in range(len(BINS) - 1):
            in_bin = places == i
            if in_bin.sum() >= fewest:
                rows.append(
                    (event, float(probability[in_bin].mean()), float(happens[in_bin].mean()), int(in_bin.sum()))
                )
    return pd.DataFrame(rows, columns=["event", "stated", "observed", "n"])


def compare_effects(predicted: Effects, real: Effects) -> Iterator[Compared]:
    """Every predicted condition that was measured, one at a time, over the genes whose noise is known; none without `sd`.

    The noise of a measured effect is its standard error, or else what the model learned of it (layer `noise_sd`).
    """
    measured = real.with_genes(predicted.genes)
    sd, noise_sd, se = predicted.layer("sd"), predicted.layer("noise_sd"), measured.layer("se")
    if sd is None or (se is None and noise_sd is None):
        return
    threshold = THRESHOLD if predicted.scale in WITH_MAGNITUDE else THRESHOLD_OF_Z
    if predicted.scale == "rank":  # its scores may run from 0 to 1 as well as from -4 to 4
        threshold = float(np.nanstd(measured.effect))
    places = {condition: i for i, condition in enumerate(measured.conditions())}
    for row, condition in enumerate(predicted.conditions()):
        if condition.is_control or condition not in places:
            continue
        i = places[condition]
        noise = np.full(len(predicted.genes), np.nan) if se is None else se[i].astype(np.float64) ** 2
        if noise_sd is not None:
            noise = np.where(np.isnan(noise), noise_sd[row].astype(np.float64) ** 2, noise)
        usable = ~np.isnan(noise + measured.effect[i] + predicted.effect[row] + sd[row])
        mixture = GeneMixture.normal(*(side[row][usable].astype(np.float64) for side in (predicted.effect, sd)))
        yield Compared(
            condition, mixture, threshold, measured.effect[i][usable].astype(np.float64), noise[usable], None
        )


def compare(predicted: PerturbationData, real: PerturbationData, truth: Truth | None) -> Iterator[Compared]:
    """Every predicted condition that was measured, one at a time.

    Raises
    ------
    DataError
        If there is none, or the prediction has no posterior.
    """
    conditions, posterior = read_posterior(predicted)
    measured = responses(take_reference(predicted, real.require("log1p", "coverage")).with_genes(predicted.genes))
    places = {str(condition): i for i, condition in enumerate(measured.conditions)}
    columns = [(column, places[name]) for column, name in enumerate(conditions) if name in places]
    if not columns:
        msg = "no predicted condition is among the real ones: give real cells of the conditions that were predicted."
        raise DataError(msg)
    for column, i in columns:
        condition = measured.conditions[i]
        yield Compared(
            condition,
            posterior.mixture.at(column),
            posterior.threshold,
            measured.delta[i].astype(np.float64),
            measured.noise[i].astype(np.float64),
            None if truth is None else np.asarray(truth[condition], dtype=np.float64),
        )
