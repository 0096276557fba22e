"""Which measured responses are reproducible: a rule that looks at real cells alone, never at a prediction or a split."""

import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import Float

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.usual_names import CONTROL
from cycseq.matrix.arrays import InMemory, take
from cycseq.preparation.pseudobulk import Responses, responses

COLUMNS = ("context", "perturbation", "n_cells", "n_controls", "reliability", "chance", "reproducible")
LEVEL = 0.95  # quantile of the reliabilities of no response that a condition must exceed
DRAWS = 200  # how often the control cells of a context are halved to learn what reliability no response has
MAX_CONTROLS = 2_000  # control cells that are halved, at most
MIN_CONTROLS = 20  # with fewer control cells nothing is known of chance, and nothing is called reproducible


def reproducibility(data: PerturbationData, *, seed: int = 0) -> pd.DataFrame:
    """How reliable the measured response of every condition is, and whether that is more than chance.

    Reliability is the share of the squared response that is not sampling noise, 1 - sum v / sum delta^2 over genes (those that
    the condition perturbs left out), v the sampling variance of delta. It is the correlation (through the origin) that the
    responses of two experiments of this size are expected to have. Pure noise lies around 0 or below; how far it scatters depends
    on how genes vary together, and is learnt from halves of the control cells, between which there is no response. A condition
    above the 95 % quantile of theirs is reproducible: 1 of 20 without a response is called so. `seed` fixes how control cells are
    halved. Raises `DataError` if values are not log1p, or a context has no control cells.

    Returns
    -------
    Columns context, perturbation, n_cells, n_controls, reliability, chance (that quantile; NaN with fewer than 20
    control cells) and reproducible.
    """
    effects = responses(data.require("log1p", "reproducibility"))
    controls = {context: data.rows(Condition(context, CONTROL)) for context in effects.control_mean}
    chance = {}
    for context in dict.fromkeys(condition.context for condition in effects.conditions):
        rng = np.random.default_rng([seed, *context.encode()])
        rows = np.sort(rng.permutation(controls[context])[:MAX_CONTROLS])
        enough = len(rows) >= MIN_CONTROLS
        chance[context] = float(np.quantile(_of_no_response(take(data.x, rows), rng), LEVEL)) if enough else np.nan
    table = pd.DataFrame(
        {
            "context": [condition.context for condition in effects.conditions],
            "perturbation": [condition.perturbation for condition in effects.conditions],
            "n_cells": effects.n_cells,
            "n_controls": [len(controls[condition.context]) for condition in effects.conditions],
            "reliability": _reliability(data, effects),
            "chance": [chance[condition.context] for condition in effects.conditions],
        },
        columns=list(COLUMNS[:-1]),
    )
    return table.assign(reproducible=table["reliability"] > table["chance"])


def reproducible_rows(metrics: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """The rows of scores (as of `cycseq.evaluate`) whose condition is reproducible by the table of `reproducibility`."""
    chosen = table[table["reproducible"].astype(bool)]
    keys = ["context", "perturbation"]
    (of_context, contexts), (of_perturbation, perturbations) = (pd.factorize(metrics[key]) for key in keys)
    places = [
        pd.Index(labels).get_indexer(chosen[key]) for key, labels in zip(keys, (contexts, perturbations), strict=True)
    ]
    there = (places[0] >= 0) & (places[1] >= 0)
    wanted = np.zeros((len(contexts), len(perturbations)), dtype=bool)
    wanted[places[0][there], places[1][there]] = True
    return metrics[wanted[of_context, of_perturbation]].reset_index(drop=True)


def _reliability(data: PerturbationData, effects: Responses) -> Float[np.ndarray, "conditions"]:
    values = np.full(len(effects.conditions), np.nan)
    for i, condition in enumerate(effects.conditions):
        scored = np.ones(effects.delta.shape[1], dtype=bool)
        scored[data.targets(condition)] = False
        size = np.square(effects.delta[i, scored], dtype=np.float64).sum()
        if size > 0:
            values[i] = 1.0 - effects.noise[i, scored].sum(dtype=np.float64) / size
    return values


def _of_no_response(x: InMemory, rng: np.random.Generator) -> Float[np.ndarray, "draws"]:
    """Reliability of the difference between two random halves of the same cells, many times."""
    n = x.shape[0]
    half = n // 2
    first = (rng.random((DRAWS, n)).argsort(axis=1) < half).astype(np.float64)
    squares = sp.csr_matrix(x).power(2) if sp.issparse(x) else np.square(x, dtype=np.float64)

    def variance_of_mean(members: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        mean = np.asarray((x.T @ members.T).T) / count
        spread = np.asarray((squares.T @ members.T).T) / count - mean**2
        return mean, spread / (count - 1)

    (one, noise_of_one), (other, noise_of_other) = (
        variance_of_mean(members, count) for members, count in ((first, half), (1.0 - first, n - half))
    )
    size = np.square(one - other).sum(axis=1)
    noise = (noise_of_one + noise_of_other).sum(axis=1)
    return np.asarray(1.0 - np.divide(noise, size, out=np.ones_like(size), where=size > 0))
