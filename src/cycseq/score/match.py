"""Which predicted condition belongs to which real one, checked: the same scale, the same genes, real cells for every condition."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.effects import Effects
from cycseq.data.either import Data
from cycseq.data.scale import all_finite
from cycseq.errors import DataError, unknown_name
from cycseq.matrix.arrays import Codes, in_memory
from cycseq.score.effects import population
from cycseq.score.metrics.base import RealContext
from cycseq.score.metrics.population import Population, rows_of_groups
from cycseq.score.reference import Reference, seed_of


@dataclass(frozen=True)
class ContextMatch:
    """The predicted conditions of one context and where their real ones stand."""

    context: str
    places: Codes  # among the perturbations of the `RealContext`
    cells: Population
    paired: bool  # whether drawn cell j is the same cell on both sides


def match_conditions(predicted: Data, real: Reference) -> list[ContextMatch]:
    """The predicted conditions by context, checked against the real ones."""
    if isinstance(predicted, Effects) or isinstance(real.data, Effects):
        return _matched_effects(predicted, real)
    predicted.require("log1p", "evaluation (the predicted cells)")
    check_match(predicted, real.data.genes, _conditions(real))
    predicted = predicted.with_genes(real.data.genes)
    if not all_finite(predicted.x):
        raise DataError("some predicted values are NaN or infinite; every value must be a number. Fix the prediction.")
    grouped = rows_of_groups(predicted.condition_codes, len(predicted.conditions()))
    matches = []
    for whole, rows, places in _by_context(predicted, real):
        seeds = [seed_of(predicted.conditions()[i], real.settings.seed) for i in rows]
        cells = Population.of(predicted.x, [grouped[i] for i in rows], real.settings.max_cells, seeds)
        same = _same_cells(predicted, real.data, cells, whole.cells, places)
        matches.append(ContextMatch(whole.context, places, cells if same is None else same, paired=same is not None))
    return matches


def _by_context(predicted: Data, real: Reference) -> Iterator[tuple[RealContext, list[int], Codes]]:
    """Of every context with predicted conditions: its real side, the rows of these conditions, and their places there."""
    conditions = predicted.conditions()
    for whole in real.contexts.values():
        rows = [i for i, c in enumerate(conditions) if c.context == whole.context and not c.is_control]
        if rows:
            place = {perturbation: i for i, perturbation in enumerate(whole.perturbations)}
            yield whole, rows, np.array([place[conditions[i].perturbation] for i in rows], dtype=np.int64)


def _matched_effects(predicted: Data, real: Reference) -> list[ContextMatch]:
    """As `match_conditions`; a gene of which the model says nothing counts as no change."""
    if not (isinstance(predicted, Effects) and isinstance(real.data, Effects)):
        kinds = ["effects" if isinstance(side, Effects) else "cells" for side in (predicted, real.data)]
        msg = f"the predictions are {kinds[0]} and the real ones {kinds[1]}: give both alike (cycseq summarize makes effects of cells)."
        raise DataError(msg)
    if predicted.scale != real.data.scale:
        msg = f"the predicted effects are {predicted.scale} values and the real ones {real.data.scale}: give both on one scale."
        raise DataError(msg)
    check_match(predicted, real.data.genes, _conditions(real))
    predicted = predicted.with_genes(real.data.genes)
    return [
        ContextMatch(
            whole.context,
            places,
            population(np.nan_to_num(predicted.effect[rows].astype(np.float64)), None),
            paired=False,
        )
        for whole, rows, places in _by_context(predicted, real)
    ]


def _conditions(real: Reference) -> list[Condition]:
    return [Condition(c, p) for c, context in real.contexts.items() for p in context.perturbations]


def check_match(predicted: Data, genes: list[str], there: Sequence[Condition]) -> None:
    """Raise `DataError` if predicted genes are missing, or predicted conditions are not among the real ones."""
    missing = [gene for gene in genes if gene not in predicted.adata.var_names]
    if missing:
        raise DataError(
            f"the predicted cells lack {len(missing):,} of the {len(genes):,} real genes ({', '.join(missing[:5])}"
            f"{', ...' if len(missing) > 5 else ''}): a metric over fewer genes is another metric. Predict all genes, or "
            f"give --real with the predicted genes only."
        )
    conditions = [condition for condition in predicted.conditions() if not condition.is_control]
    if not conditions:
        raise DataError("there are only control cells among the predicted ones: nothing can be compared.")
    real_conditions = set(there)
    if not real_conditions.intersection(conditions):
        raise DataError(
            f"predicted and real cells have no condition in common: predicted are {_some(conditions)}; real are {_some(there)}. "
            f"Give both the same labels, or name the columns with --context-key and --perturbation-key."
        )
    for condition in conditions:
        if condition not in real_conditions:
            raise unknown_name(str(condition), "real condition for the predicted", map(str, there), DataError)


def _some(conditions: Sequence[Condition]) -> str:
    return ", ".join(map(str, conditions[:3])) + (", ..." if len(conditions) > 3 else "")


def _same_cells(
    predicted: PerturbationData, real: PerturbationData, cells: Population, real_cells: Population, places: Codes
) -> Population | None:
    """The predicted population with its cells in the order of the drawn real ones; None where they are other cells.

    Names that only number the cells prove nothing, and cells that are stored are not paired.
    """
    if not (in_memory(predicted.x) and in_memory(real.x)):  # what was drawn has left its place
        return None
    drawn = []
    for i, place in enumerate(places):
        names = real.adata.obs_names[real_cells.drawn[place]]
        rows = predicted.adata.obs_names.get_indexer(names)
        expected = predicted.condition_codes[cells.drawn[i][:1]]
        if (rows < 0).any() or (predicted.condition_codes[rows] != expected).any() or names.str.isdigit().all():
            return None
        drawn.append(rows.astype(np.int64))
    return Population(cells.x, tuple(drawn), cells.n_cells, cells.mean, cells.variance, cells.nonzero)
