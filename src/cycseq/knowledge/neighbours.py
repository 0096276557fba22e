"""On what a prediction from knowledge rests: which measured perturbations are alike, by which source, and whether they agree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from cycseq.data.condition import Condition
from cycseq.data.effect_means import mean_of_measured
from cycseq.data.effects import Effects
from cycseq.knowledge.source import Source
from cycseq.matrix.arrays import Profiles, unit_rows

COLUMNS = ("context", "perturbation", "source", "neighbour", "similarity", "agreement")
RESPONSES = "responses in other contexts"  # what such neighbours are told by, in the column `source`


def neighbours(
    sources: Sequence[Source], train: Effects, conditions: Sequence[Condition], *, n_neighbours: int = 5
) -> pd.DataFrame:
    """The measured perturbations that each source calls most alike, and whether their responses agree.

    Agreement is what tells a good prediction from a bad one, not similarity: neighbours that do the same tell what a
    perturbation like them will do.

    Parameters
    ----------
    sources
        What is known, as `load_sources` or `stored_sources` give it.
    train
        Effects of the measured conditions.
    conditions
        What was or is to be predicted.
    n_neighbours
        How many neighbours of each condition by each source; fewer where fewer have anything in common with it.

    Returns
    -------
    One row for each condition, source and neighbour, the most similar first; none where no source knows the condition.
    ``similarity`` is the source's kernel. ``agreement`` is the mean cosine of the neighbour's response with those of the
    other neighbours, in the condition's context (where it was not measured there, its mean over contexts), after the mean
    response of the context was taken off; NaN for a single neighbour.

    Examples
    --------
    >>> conditions = [Condition("K562", name) for name in ("RPL3", "RPL4", "KLF1")]
    >>> train = Effects.from_arrays(np.array([[2.0, 0.0], [2.0, 0.5], [-1.0, 1.0]]), conditions, ["G1", "G2"], scale="z")
    >>> from scipy.sparse import csr_array
    >>> members = np.array([[1, 0], [1, 0], [1, 0], [0, 1]], dtype=np.float32)
    >>> ribosome = Source("complexes", "sets", ("RPL3", "RPL4", "RPL5", "KLF1"), csr_array(members))
    >>> neighbours([ribosome], train, [Condition("K562", "RPL5")])[["neighbour", "similarity", "agreement"]].round(2)
      neighbour  similarity  agreement
    0      RPL3         1.0       0.89
    1      RPL4         1.0       0.89
    """
    measured = list(train.perturbations)
    rows: list[tuple[object, ...]] = []
    responses = {context: _responses(train, measured, context) for context in {c.context for c in conditions}}
    for source in sources:
        likeness = source.kernel([c.perturbation for c in conditions], measured)
        for condition, row in zip(conditions, likeness, strict=True):
            here = responses[condition.context]
            rows += _nearest(condition, source.name, measured, row, here, n_neighbours=n_neighbours)
    order = {condition: i for i, condition in enumerate(dict.fromkeys(conditions))}
    rows.sort(key=lambda row: order[Condition(str(row[0]), str(row[1]))])
    return pd.DataFrame(rows, columns=list(COLUMNS))


def neighbours_by_response(train: Effects, conditions: Sequence[Condition], *, n_neighbours: int = 5) -> pd.DataFrame:
    """The perturbations measured in a condition's context that respond most like it in other contexts, and whether they agree here.

    Columns and agreement as of `neighbours`; ``similarity`` is the cosine of the specific responses, averaged over the
    other contexts. None of a condition whose perturbation was measured nowhere else, or in whose context fewer than two were.

    Examples
    --------
    >>> measured = [Condition("A", name) for name in "xyz"] + [Condition("B", name) for name in "xyzw"]
    >>> effect = np.array([[2, 0], [2, 1], [-1, 1], [2, 0], [2, 1], [-1, 1], [2, 0.5]], dtype=float)
    >>> train = Effects.from_arrays(effect, measured, ["G1", "G2"], scale="z")
    >>> neighbours_by_response(train, [Condition("A", "w")], n_neighbours=2)["neighbour"].tolist()
    ['x', 'y']
    """
    rows: list[tuple[object, ...]] = []
    everything = list(train.perturbations)
    for context in dict.fromkeys(c.context for c in conditions):
        here = sorted({c.perturbation for c in train.conditions() if c.context == context})
        elsewhere = [c for c in train.conditions() if c.context != context]
        names = sorted({c.perturbation for c in elsewhere})
        place = {name: i for i, name in enumerate(names)}
        candidates = [name for name in here if name in place]
        predicted = [c for c in conditions if c.context == context and c.perturbation in place]
        if len(candidates) < 2 or not predicted:
            continue
        other = _responses(train.subset(elsewhere), names, "")
        responses = _responses(train, everything, context)[[everything.index(name) for name in candidates]]
        likeness = other[[place[c.perturbation] for c in predicted]] @ other[[place[name] for name in candidates]].T
        for condition, row in zip(predicted, likeness, strict=True):
            rows += _nearest(condition, RESPONSES, candidates, row, responses, n_neighbours=n_neighbours)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _responses(train: Effects, names: Sequence[str], context: str) -> Profiles:
    """Specific responses at length 1: of the context, or their mean over contexts where it has none; 0 where not measured."""
    place = {name: i for i, name in enumerate(names)}
    conditions = train.conditions()
    contexts = np.array([c.context for c in conditions])
    specific = np.array(train.effect, dtype=np.float64)
    for other in np.unique(contexts):
        specific[contexts == other] -= mean_of_measured(specific[contexts == other])
    specific = np.nan_to_num(specific)
    of_all = np.array([place[c.perturbation] for c in conditions])
    total, count = np.zeros((len(names), specific.shape[1])), np.zeros(len(names))
    np.add.at(total, of_all, specific)
    np.add.at(count, of_all, 1.0)
    here = contexts == context
    total[of_all[here]], count[of_all[here]] = specific[here], 1.0
    return unit_rows(total / count[:, None])


def _nearest(
    condition: Condition,
    source: str,
    names: Sequence[str],
    likeness: Float[np.ndarray, "names"],
    responses: Profiles,
    *,
    n_neighbours: int,
) -> list[tuple[object, ...]]:
    """Rows of the table: the other names that are most like a condition, and how far their responses (at length 1) agree."""
    order = np.argsort(-likeness, kind="stable")[: n_neighbours + 1]
    nearest = [int(i) for i in order if likeness[i] > 0 and names[i] != condition.perturbation][:n_neighbours]
    cosines = responses[nearest] @ responses[nearest].T
    agreement = np.full(len(nearest), np.nan)
    if len(nearest) > 1:  # the mean cosine of each with the others
        agreement = (cosines.sum(axis=1) - np.diag(cosines)) / (len(nearest) - 1)
    return [
        (condition.context, condition.perturbation, source, names[i], float(likeness[i]), float(agreement[k]))
        for k, i in enumerate(nearest)
    ]
