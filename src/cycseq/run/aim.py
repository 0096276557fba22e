"""How strong predicted counts should be: an amplitude of the effects, learned by leaving out training contexts."""

import numpy as np
import pandas as pd

from cycseq.data.dataset import PerturbationData
from cycseq.errors import ModelError
from cycseq.models import build_model
from cycseq.models.base import Model
from cycseq.models.means import MeansModel
from cycseq.preparation.counts import counts_of
from cycseq.run.counts import CountSource
from cycseq.run.effects import effects_behind
from cycseq.run.fitted import FittedRun
from cycseq.run.parts import learnt_from, log1p_parts
from cycseq.run.settings import Aim
from cycseq.score.challenge.reference import CountReference
from cycseq.score.challenge.rows import member_rows
from cycseq.score.metrics.challenge import METRICS

AMPLITUDES = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8)
MAX_CONTEXTS, MAX_CONDITIONS = 3, 60  # contexts that are left out, and conditions of each that are predicted, at most
ENDS: dict[str, tuple[float, float]] = {
    "pds_cosine": (0.5, 0.95),
    "expr_mse_unbiased_capped_norm": (0.99, 0.04),
    "direction_fidelity_yield": (0.51, 0.81),
    "direction_reach": (0.08, 0.97),
    "lfc_nmae": (1.0, 0.4),
    "sig_jaccard": (0.03, 0.4),
}
"""What a mean response and one half of the real cells usually have in each member: between the two its score goes from 0 to 1."""
AIMS: dict[Aim, tuple[str, ...]] = {
    "score": tuple(ENDS),
    "mse": ("expr_mse_unbiased_capped_norm",),
    "pds": ("pds_cosine",),
}
"""The members that an aim looks at."""


def learn_amplitude(run: FittedRun, aim: Aim, *, n_cells: int | None, seed: int) -> tuple[float, pd.Series]:
    """The amplitude at which contexts that were left out are predicted best, and the mean score at each that was tried.

    The model is fitted again without the perturbed cells of a training context, predicts them from its controls, and counts are
    drawn with its effects times each of `AMPLITUDES`. No test condition is looked at. Raises `ModelError` if no perturbation was
    measured in two training contexts, and `DataError` if counts cannot be recovered.
    """
    data = learnt_from(log1p_parts(run.split, run.as_written()))
    real = _counts(data)
    scores = []
    for context in _left_out(data, seed):
        training = data.subset(c for c in data.conditions() if c.is_control or c.context != context)
        shared = [c for c in data.conditions() if c.context == context and c.perturbation in training.perturbations]
        chosen = np.random.default_rng([seed, *context.encode()]).permutation(len(shared))[:MAX_CONDITIONS]
        model = _fitted_again(run.model, training, seed)
        controls, conditions = training.controls([context]), [shared[i] for i in np.sort(chosen)]
        effects = effects_behind(model, conditions, controls, seed=seed)
        reference = CountReference.of(real.subset([*conditions, *controls.conditions()]), context)
        metrics = [metric for metric in METRICS if metric.name in AIMS[aim]]
        source = CountSource.of(effects, controls)
        for amplitude in AMPLITUDES:
            cells = source.draw(effects.conditions(), n_cells, seed, amplitude=amplitude)
            rows = member_rows(reference, reference.compare(cells), metrics)
            low, high = np.array([ENDS[metric] for metric in rows["metric"]]).T
            rows["score"] = (rows["value"] - low) / (high - low)
            scores.append((amplitude, rows.groupby("metric")["score"].mean().mean()))
    if not scores:
        msg = "--aim holds out training contexts, but no perturbation was measured in two of them: leave out --aim."
        raise ModelError(msg)
    mean = pd.DataFrame(scores, columns=["amplitude", "score"]).groupby("amplitude")["score"].mean()
    return AMPLITUDES[int(mean.to_numpy().argmax())], mean


def _left_out(data: PerturbationData, seed: int) -> list[str]:
    """The contexts that share a perturbation with another, a few of them."""
    of = {x: {c.perturbation for c in data.conditions() if c.context == x and not c.is_control} for x in data.contexts}
    sharing = [x for x in of if of[x] & set().union(*(of[y] for y in of if y != x))]
    return [sharing[i] for i in np.random.default_rng(seed).permutation(len(sharing))[:MAX_CONTEXTS]]


def _fitted_again(model: Model, data: PerturbationData, seed: int) -> Model:
    again = build_model(model.name, model.settings())
    if isinstance(again, MeansModel):
        return again.fit(data, task="unseen-context", seed=seed)
    return again.fit(data, seed=seed)


def _counts(data: PerturbationData) -> PerturbationData:
    counts, _ = counts_of(data)
    adata = data.adata.copy()
    adata.X = counts
    return PerturbationData(adata, "counts")
