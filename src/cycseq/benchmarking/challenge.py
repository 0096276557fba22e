"""A benchmark's models by the challenge's yardstick: counts drawn around what each predicts, against the real counts."""

from collections.abc import Sequence

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from cycseq.data.dataset import PerturbationData
from cycseq.data.effects import Effects
from cycseq.matrix.threads import map_in_threads
from cycseq.models.cells import draw
from cycseq.models.counts.draw import draw_counts
from cycseq.models.counts.profile import ControlCounts
from cycseq.preparation.counts import counts_of
from cycseq.preparation.merge import join
from cycseq.score.ceiling import SPLIT_HALF, WRONG_TARGET
from cycseq.score.challenge.reference import CountReference
from cycseq.score.challenge.rows import labelled, member_rows
from cycseq.score.challenge.scale import MEAN_RESPONSE, SPLITS, baseline, replicate
from cycseq.score.metrics import chosen
from cycseq.score.metrics.base import Metric, RealContext
from cycseq.score.metrics.challenge.profiles import CountProfiles
from cycseq.score.settings import EvaluateSettings
from cycseq.split.base import SplitParts


def members_wanted(evaluation: EvaluateSettings) -> tuple[Metric, ...]:
    """The members of the challenge among the metrics that are asked for."""
    return tuple(metric for metric in chosen(evaluation.metrics) if "counts" in metric.needs)


def calibration(
    contexts: Sequence[RealContext], parts: SplitParts, metrics: Sequence[Metric], split: str
) -> list[pd.DataFrame]:
    """Rows of the mean response and of the halves of the real cells, in every context; raises `DataError` as `counts_of`."""
    if not metrics:
        return []
    sides = [_reference(context, parts) for context in contexts]
    mean = [member_rows(reference, baseline(reference, real)) for reference, real in sides]
    halves = [[replicate(reference, real, k) for reference, real in sides] for k in range(SPLITS)]
    tables = [
        labelled(mean, model=MEAN_RESPONSE, split=split, seed=0),
        *(labelled(rows, model=SPLIT_HALF, split=split, seed=k) for k, rows in enumerate(halves)),
    ]
    return [table[table["metric"].isin([metric.name for metric in metrics])] for table in tables]


def scores_of_counts(
    context: RealContext,
    parts: SplitParts,
    effects: Effects,
    metrics: Sequence[Metric],
    *,
    model: str,
    split: str,
    seed: int,
) -> list[pd.DataFrame]:
    """Rows of a model in one context, and of its wrong targets; raises `DataError` as `counts_of`.

    As many counts are drawn around each effect as there are real cells of the condition, so that the tests of both sides have the
    same power; `context` keeps the real profiles for the other models.
    """
    reference, real = _reference(context, parts)
    conditions = effects.conditions()
    controls = parts.train.controls([context.context])
    source: ControlCounts = context.remember("control counts", lambda: ControlCounts.of(controls, effects.genes))

    def drawn(row: int) -> sp.csc_matrix:
        rng = np.random.default_rng([seed, *str(conditions[row]).encode()])
        rows = draw(np.arange(len(source.total)), len(real.rows(conditions[row])), rng)
        return draw_counts(source, rows, source.profile(effects.effect[row], effects.scale), rng)

    cells = map_in_threads(drawn, range(len(conditions)))
    profiles = CountProfiles.of(cells, len(conditions), reference.control)
    places = np.array([reference.perturbations.index(condition.perturbation) for condition in conditions])
    tables = [
        labelled(
            [member_rows(reference, reference.beside(profiles, places), metrics)], model=model, split=split, seed=seed
        )
    ]
    if len(conditions) > 1:
        others = reference.beside(profiles.take(np.roll(np.arange(len(conditions)), 1)), places)
        rows = member_rows(reference, others, metrics)
        tables.append(labelled([rows], model=model + WRONG_TARGET, split=split, seed=seed))
    return tables


def _reference(context: RealContext, parts: SplitParts) -> tuple[CountReference, PerturbationData]:
    """The real profiles of a context and its real counts, all of its control cells among them."""

    def compute() -> tuple[CountReference, PerturbationData]:
        name = context.context
        cells = parts.test.subset(c for c in parts.test.conditions() if c.context == name and not c.is_control)
        cells = join(cells, parts.train.controls([name]))
        if parts.reference is not None and name in parts.reference.contexts:
            cells = join(cells, parts.reference.controls([name]))
        counts = ad.AnnData(counts_of(cells)[0], cells.adata.obs, cells.adata.var)
        real = PerturbationData(counts, "counts")
        return CountReference.of(real, name), real

    return context.remember("counts", compute)
