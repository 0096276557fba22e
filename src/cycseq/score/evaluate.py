"""Predicted against real cells: one tidy table with every metric of every condition."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import anndata as ad
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from cycseq.data.dataset import PerturbationData
from cycseq.data.effects import Effects
from cycseq.data.either import Data
from cycseq.errors import count_of, was
from cycseq.formats.effects.read import read_effects
from cycseq.formats.predicted import read_predicted
from cycseq.formats.read import read
from cycseq.formats.settings import ReadSettings
from cycseq.matrix.arrays import Codes
from cycseq.preparation.prepare import as_log1p
from cycseq.preparation.pseudobulk import Responses
from cycseq.score.match import ContextMatch, match_conditions
from cycseq.score.metrics.base import Comparison, Metric, RealContext
from cycseq.score.metrics.population import Population
from cycseq.score.reference import Reference, effect_reference
from cycseq.score.settings import EvaluateSettings

T = TypeVar("T")
COLUMNS = ("model", "split", "seed", "context", "perturbation", "metric", "value")
DENSE_VALUES = 64_000_000
"""Values of cells that are dense at once, at most: 256 MB. Conditions are compared in blocks of so many."""
MEAN_VALUES = 1 << 18
"""Means (conditions x genes) of a block, at most: 2 MB each, which stay in the processor's cache while metrics go over them."""


def evaluate(
    predicted: Data | ad.AnnData,
    real: Data | Reference | ad.AnnData,
    control: PerturbationData | None = None,
    *,
    reference: PerturbationData | None = None,
    training: Responses | Effects | None = None,
    settings: EvaluateSettings | None = None,
    model: str = "predicted",
    split: str = "",
    seed: int = 0,
    dense_values: int = DENSE_VALUES,
    match: Sequence[ContextMatch] | None = None,
) -> pd.DataFrame:
    """Every metric of every predicted condition; a metric that is undefined for a condition is NaN.

    Parameters
    ----------
    predicted
        Predicted cells, log1p, or an AnnData of them; control cells among them are ignored. Their genes are put into the order
        of the real ones.
    real
        Real cells, log1p, or an AnnData of them, or a `Reference` made from them once for many models (which then brings `control`,
        `reference`, `training` and `settings`: they are not given again).
    control
        Real control cells that the model was given; None takes those among the real cells.
    reference
        Control cells that the model was not given (`SplitParts.reference`), against which real responses are taken; None
        shares `control`, and a note says so.
    training
        Responses of the conditions that models learnt from; see `Reference.of`.
    settings
        Which metrics, and how.
    model, split, seed
        What the columns of these names say.
    dense_values
        Values of cells that are dense at once; scores do not depend on it.
    match
        What `match_conditions` gives for the two sides, where it is at hand.

    Returns
    -------
    A table with the columns `COLUMNS`, ordered by context, metric and perturbation. `attrs["notes"]` holds sentences on
    what a reader should know. Metrics of reconstruction are there only where the predicted cells bear the names of the
    real ones.

    Raises
    ------
    DataError
        If the two sides do not match: another scale, missing genes, conditions without real cells, no common condition.
    SettingsError
        If a metric has an unknown name.

    Examples
    --------
    >>> import cycseq
    >>> data = cycseq.read("cells.h5ad")
    >>> (split,) = cycseq.make_splits(data, cycseq.SplitSettings(context="Line3"))
    >>> parts = split.parts(data)
    >>> model = cycseq.build_model("ContextAdditive").fit(parts.train, seed=0)
    >>> predicted = model.predict(parts.train.controls(["Line3"]), split.test, n_cells=20, seed=0)
    >>> scores = cycseq.evaluate(predicted, parts.test, parts.train.controls(), settings=cycseq.EvaluateSettings("means"))
    >>> bool(scores.groupby("metric")["value"].mean()["pearson_delta"] > 0)
    True
    """
    real = _log1p_of(read(real) if isinstance(real, ad.AnnData) else real)
    control, reference = _log1p_of(control), _log1p_of(reference)
    if isinstance(predicted, ad.AnnData):
        beside = real.data if isinstance(real, Reference) else real
        if isinstance(beside, Effects):
            predicted = read_effects(predicted)
        else:
            predicted = read_predicted(predicted, ReadSettings(), beside)
    predicted = _log1p_of(predicted)
    side = real if isinstance(real, Reference) else _side(real, control, reference, training, settings)
    match = match_conditions(predicted, side) if match is None else match
    tables = [
        scores(
            side.contexts[one.context],
            one.places,
            one.cells,
            side.metrics,
            paired=one.paired,
            seed=side.settings.seed,
            dense_values=dense_values,
        )
        for one in match
    ]
    result = table(tables, model=model, split=split, seed=seed)
    result.attrs["notes"] = (*side.notes, *_notes(predicted, side, match))
    return result


def _log1p_of(data: T) -> T:
    """Counts as log1p of counts per 10,000; anything else as it is."""
    return as_log1p(data) if isinstance(data, PerturbationData) and data.scale == "counts" else data  # type: ignore[return-value]


def _side(
    real: Data,
    control: PerturbationData | None,
    reference: PerturbationData | None,
    training: Responses | Effects | None,
    settings: EvaluateSettings | None,
) -> Reference:
    if isinstance(real, Effects):
        return effect_reference(real, training if isinstance(training, Effects) else None, settings)
    learnt = None if isinstance(training, Effects) else training
    return Reference.of(real, control, reference=reference, training=learnt, settings=settings)


def scores(
    real: RealContext,
    places: Codes,
    predicted: Population,
    metrics: Sequence[Metric],
    *,
    paired: bool = False,
    sampled: bool = False,
    seed: int = 0,
    dense_values: int = DENSE_VALUES,
) -> pd.DataFrame:
    """Context, perturbation, metric and value of every compared condition; row i of `predicted` belongs to `places[i]`."""
    metrics = [metric for metric in metrics if paired or not metric.paired]
    if not metrics:
        return pd.DataFrame(columns=["context", "perturbation", "metric", "value"])
    with threadpool_limits(1, "blas"):  # products this small lose by threads, and much where another process runs
        blocks = [
            np.array([metric.compute(comparison) for metric in metrics], dtype=np.float64)
            for comparison in (
                Comparison(real, places[block], predicted.take(block), paired=paired, sampled=sampled, seed=seed)
                for block in _blocks(real, places, predicted, dense_values)
            )
        ]
    names = np.array(real.perturbations, dtype=object)[places]
    return pd.DataFrame(
        {
            "context": real.context,
            "perturbation": np.tile(names, len(metrics)),
            "metric": np.repeat(np.array([metric.name for metric in metrics], dtype=object), len(names)),
            "value": np.concatenate(blocks, axis=1).ravel(),
        }
    )


def table(tables: Sequence[pd.DataFrame], *, model: str, split: str, seed: int) -> pd.DataFrame:
    """The tables of contexts as one, with the columns `COLUMNS`."""
    return pd.concat(tables, ignore_index=True).assign(model=model, split=split, seed=seed)[list(COLUMNS)]


def _blocks(real: RealContext, places: Codes, predicted: Population, dense_values: int) -> Iterator[Codes]:
    """As many conditions at a time as may be dense at once, and as have their means in the processor's cache."""
    most = sum(max((len(drawn) for drawn in side.drawn), default=1) for side in (predicted, real.cells))
    size = max(1, min(dense_values // max(most, 1), MEAN_VALUES) // len(real.genes))
    for start in range(0, len(places), size):
        yield np.arange(start, min(start + size, len(places)))


def _notes(predicted: Data, real: Reference, matches: Sequence[ContextMatch]) -> list[str]:
    """What was left out of the comparison."""
    n_real = sum(len(context.perturbations) for context in real.contexts.values())
    n_compared = sum(len(one.places) for one in matches)
    extra = len(predicted.genes) - len(real.data.genes)
    notes = []
    if n_compared < n_real:
        notes.append(
            f"{n_real - n_compared:,} of {count_of(n_real, 'real condition')} were not predicted and are not scored"
        )
    if extra > 0:
        notes.append(
            f"{count_of(extra, 'predicted gene is', 'predicted genes are')} not among the real ones and {was(extra)} left out"
        )
    return notes
