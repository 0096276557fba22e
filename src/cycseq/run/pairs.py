"""Pseudo-pairs: which cell was predicted from which, and how near that comes to the true pairs of simulated data."""

import numpy as np
import pandas as pd

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.validate import PAIR
from cycseq.errors import DataError
from cycseq.matrix.arrays import Cells, to_dense
from cycseq.preparation.prepare import as_log1p
from cycseq.run.scoring import labels_of
from cycseq.score.evaluate import COLUMNS
from cycseq.score.metrics.pairs import PAIR_METRICS, pair_scores

SOURCE, SOURCE_PERTURBATION = "source_cell", "source_perturbation"
"""obs of predicted cells: the cell that each was made from, and (direction reverse) what had been done to it."""
TRUE_PERTURBATION = "pair_perturbation"  # obs of simulated control cells: by which perturbation the true pair was made


def pairs_of(predicted: PerturbationData) -> pd.DataFrame:
    """The pseudo-pairs: predicted_cell, source_cell, context, perturbation (the one that lies between the two).

    Raises `DataError` if the cells do not say what they were made from.
    """
    obs = predicted.adata.obs
    if SOURCE not in obs:
        msg = f"the predicted cells do not record from which cell each was made (obs {SOURCE!r}): this model makes no pairs."
        raise DataError(msg)
    treatment = obs[SOURCE_PERTURBATION] if SOURCE_PERTURBATION in obs else obs["perturbation"]
    columns = {"predicted_cell": obs.index, SOURCE: obs[SOURCE], "context": obs["context"], "perturbation": treatment}
    return pd.DataFrame({name: np.asarray(values, dtype=str) for name, values in columns.items()})


def evaluate_pairs(predicted: PerturbationData, real: PerturbationData) -> pd.DataFrame:
    """How near pseudo-pairs come to the true pairs, condition by condition: a table with the columns `COLUMNS`.

    A true pair is known of those source cells alone whose pair was simulated under the very perturbation; one
    predicted cell of each is compared. Genes that the condition perturbs are left out. Raises `DataError` if the real data have
    no true pairs, or none of them fits the predicted cells. These are made from control cells of the simulated data (obs
    ``source_cell``); real cells are what `cycseq simulate` wrote, counts or log1p (also prepared, as long as they are single ones).
    """
    source = real.adata
    if PAIR not in source.layers or TRUE_PERTURBATION not in source.obs:
        msg = f"the real data have no true pairs (layer {PAIR!r}): only data of cycseq simulate have, as single cells."
        raise DataError(msg)
    real, predicted = as_log1p(real), as_log1p(predicted).with_genes(real.genes)
    pairs = pairs_of(predicted)
    place = real.adata.obs_names.get_indexer(pairs[SOURCE])
    truth = real.adata.obs[TRUE_PERTURBATION].astype(str).to_numpy()
    fits = (place >= 0) & (truth[place] == pairs["perturbation"].to_numpy())
    with_true_pair = pairs.assign(row=np.arange(len(pairs)), place=place)[fits]
    with_true_pair = with_true_pair.drop_duplicates(["context", "perturbation", SOURCE])
    if with_true_pair.empty:
        msg = "no predicted cell was made from a control cell whose true pair is known: predict from these data, with more --cells."
        raise DataError(msg)
    tables = [
        _scored(predicted, real, Condition(str(context), str(perturbation)), rows)
        for (context, perturbation), rows in with_true_pair.groupby(["context", "perturbation"])
    ]
    return pd.concat(tables, ignore_index=True).assign(**labels_of(predicted))[list(COLUMNS)]


def _scored(
    predicted: PerturbationData, real: PerturbationData, condition: Condition, of_pairs: pd.DataFrame
) -> pd.DataFrame:
    mask = np.ones(len(real.genes), dtype=bool)
    mask[real.targets(condition)] = False

    def cells(x: Cells) -> Cells:
        return np.ascontiguousarray(x[:, mask])

    rows, places = of_pairs["row"].to_numpy(), of_pairs["place"].to_numpy()
    measured = real.cells(condition) if condition in real.conditions() else np.zeros((0, len(mask)), np.float32)
    scores = pair_scores(
        cells(to_dense(predicted.x[rows])),
        cells(to_dense(real.adata.layers[PAIR][places])),
        cells(to_dense(real.x[places])),
        cells(measured),
    )
    return pd.DataFrame(
        {
            "context": condition.context,
            "perturbation": condition.perturbation,
            "metric": list(PAIR_METRICS),
            "value": [scores[name] for name in PAIR_METRICS],
        }
    )
