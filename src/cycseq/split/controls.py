"""Control cells of tested contexts, cut in two: one half for the models, the other for the real responses.

A response is a difference to a control mean, and that mean has sampling noise. Where prediction and reality are compared
with the same control cells, the noise is on both sides, and a model that does no more than take noise off the control mean
is rewarded for a response that it does not predict.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from cycseq.data.dataset import PerturbationData
from cycseq.data.effects import Effects
from cycseq.data.either import Data
from cycseq.data.usual_names import CONTROL
from cycseq.errors import join_names
from cycseq.matrix.arrays import CellMask
from cycseq.split.base import Split
from cycseq.split.cells import share_cells
from cycseq.split.plan import Plan
from cycseq.split.problems import REFERENCE
from cycseq.split.settings import SplitSettings

GIVEN = "given"
"""In a prediction's record: the user gave the cells that it was made from; else they are those of the run's data."""
OF_EFFECTS = (
    " The effects of a context were taken against the same controls before they were split: noise of the control mean is in all of "
    "them, and counts as response where others of the context are in training."
)
"""What a reader must know where no control cells are at hand to hold back."""
MIN_CONTROLS = 20
"""Control cells of each half, at least. With fewer, the standard error of a control mean is above 0.22 of the spread between
cells (1 / sqrt(20)): both responses would be mostly noise, so that the cells are better shared, and that is said."""


def hold_back_controls(data: Data, plan: Plan, settings: SplitSettings) -> Plan:
    """The plan with half of the control cells of every tested context as reference, batch by batch.

    Which cells are held back depends on the seed and their names, not on their order. Where controls are shared, as they
    are too few or because that was asked for, the claim says so.
    """
    if settings.kind == "random-cells":  # which has cut the controls already
        return plan
    contexts = sorted({condition.context for condition in plan.test})
    if isinstance(data, Effects):
        return replace(plan, claim=plan.claim + OF_EFFECTS)
    if settings.shared_controls or share_cells(data):
        why = "" if settings.shared_controls else "these metacells share cells"
        return replace(plan, claim=plan.claim + _shared(contexts, why))
    obs = data.adata.obs
    controls = obs.loc[(obs["perturbation"] == CONTROL) & obs["context"].isin(contexts), ["context", "batch"]]
    names: list[str] = []
    few: list[str] = []
    for context, cells in controls.groupby("context", observed=True):
        if len(cells) < 2 * MIN_CONTROLS:
            few.append(str(context))
        else:
            names += _half(cells["batch"], settings.seed, str(context))
    claim = plan.claim + (_shared(few, f"there are fewer than {2 * MIN_CONTROLS}") if few else "")
    return replace(plan, claim=claim, cells={**plan.cells, REFERENCE: tuple(sorted(names))} if names else plan.cells)


def shared_contexts(split: Split, data: Data) -> list[str]:
    """The tested contexts in which models are given the reference of the real responses, or too little was held back.

    Effects have none: they were taken against controls before they were split (`OF_EFFECTS`).
    """
    if isinstance(data, Effects):
        return []
    tested = sorted({condition.context for condition in split.test})
    held_back = data.adata.obs["context"].iloc[split.rows_unchecked(data)[REFERENCE]].value_counts()
    return [context for context in tested if held_back.get(context, 0) < MIN_CONTROLS]


def find_held_back_controls(predicted: PerturbationData, real: PerturbationData) -> CellMask:
    """Which of the real cells are controls that the prediction's own record says were held back from the model.

    None are where it says nothing, as files of other tools do, or was made from control cells that the user gave. Names that
    only number cells say which they are in one file alone: the one that the split was made from.
    """
    record, names, obs = predicted.provenance(), real.adata.obs_names, real.adata.obs
    is_control = (obs["perturbation"] == CONTROL).to_numpy()
    held_back: CellMask = is_control & names.isin(record.get(REFERENCE, ()))
    others = obs.loc[is_control & ~held_back, "context"].unique()
    held_back &= obs["context"].isin(others).to_numpy()  # elsewhere the file lacks those that the model was given
    if not held_back.any() or record.get("controls") == GIVEN:
        return np.zeros_like(held_back)
    if names[held_back].str.isdigit().all() and record.get("data_hash") != real.fingerprint():
        return np.zeros_like(held_back)
    return held_back


def take_reference(predicted: PerturbationData, real: PerturbationData) -> PerturbationData:
    """The real cells without the controls that the model was given, in contexts of which others were held back from it."""
    held_back = find_held_back_controls(predicted, real)
    if not held_back.any():
        return real
    obs = real.adata.obs
    halved = obs["context"].isin(obs.loc[held_back, "context"].unique()).to_numpy()
    return real.take(held_back | ~halved | (obs["perturbation"] != CONTROL).to_numpy())


def _half(batch: pd.Series, seed: int, context: str) -> list[str]:
    """The names of every other cell of a context: batch after batch, in random order within each."""
    cells = batch.astype(str).sort_index()
    shuffled = cells.iloc[np.random.default_rng([seed, *f"{context}/{CONTROL}".encode()]).permutation(len(cells))]
    return list(shuffled.sort_values(kind="stable").index[1::2])


def _shared(contexts: list[str], why: str) -> str:
    """What a reader must know where the reference is not held back."""
    because = f", as {why}" if why else ""
    return (
        f" The control cells of {join_names(contexts)} are given to the model and are the reference of the real responses "
        f"too{because}: noise of their mean counts as response."
    )
