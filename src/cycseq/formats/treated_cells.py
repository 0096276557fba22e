"""Cells, or samples, whose doses and times are told apart: each is a condition of its own, compared with controls of the same time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from cycseq.data.condition import treatment_name
from cycseq.data.dataset import PerturbationData
from cycseq.data.label_columns import POOLED, find_columns
from cycseq.data.usual_names import BATCH_NAMES, CONTROL, PERTURBATION_NAMES, canonical_perturbation
from cycseq.data.values import with_parts
from cycseq.formats.readers.base import FileContents
from cycseq.formats.settings import ReadSettings
from cycseq.formats.treatments import Treatments, read_treatments

ROW = "cycseq_row"  # obs column that numbers the rows of the file while labels are validated, which may leave some out


def validate_treatments(contents: FileContents, settings: ReadSettings, context: str) -> PerturbationData:
    """The rows of a file with dose and time in the names of their perturbations, where these have several.

    `context` is that of all rows where no column and no setting names one. Raises `DataError` if labels, doses or values are not
    what they must be.
    """
    labelled, settings, treatments = find_treatments(contents, settings)
    data = labelled.validate(settings, context)
    if treatments is None:
        return data
    source = data.adata
    obs = name_treatments(source.obs, treatments, source.obs[ROW].to_numpy()).drop(columns=ROW)
    return PerturbationData(with_parts(source, obs=obs), data.scale, (*without_pooled(data.notes), *treatments.notes))


def find_treatments(
    contents: FileContents, settings: ReadSettings
) -> tuple[FileContents, ReadSettings, Treatments | None]:
    """The contents with rows numbered and untreated rows called control; no treatments where none has several doses or times."""
    obs = contents.adata.obs
    column = settings.perturbation_key or next(iter(find_columns(obs, PERTURBATION_NAMES)), None)
    if column is None or column not in obs:
        return contents, settings, None
    labels = obs[column].astype(str).tolist()
    treatments = read_treatments(obs, labels, settings)
    settings = replace(settings, perturbation_key=column)
    batches = [name for name in find_columns(obs, BATCH_NAMES) if not name.casefold().startswith("rep")]
    if settings.batch_key is None and batches:  # what numbers replicates is not a batch
        settings = replace(settings, batch_key=batches[0])
    if treatments.untreated.any() and settings.control is None:  # a label like a control's is a treatment's here
        settings = replace(settings, control=CONTROL, other_controls="keep")
    table = pd.DataFrame({"agent": treatments.agent, "dose": treatments.dose, "time": treatments.time})
    several = bool((table[~treatments.untreated].groupby("agent")[["dose", "time"]].nunique() > 1).any(axis=None))
    names = np.where(treatments.untreated, CONTROL, np.array(labels, dtype=object))
    obs = obs.assign(**{column: names}, **({ROW: np.arange(len(obs))} if several else {}))
    labelled = replace(contents, adata=with_parts(contents.adata, obs=obs))
    return labelled, settings, treatments if several else None


def name_treatments(obs: pd.DataFrame, treatments: Treatments, rows: Sequence[int] | np.ndarray) -> pd.DataFrame:
    """Canonical labels with dose and time in `perturbation`, and in `batch` what controls are matched by.

    That is batch and time, and the drug where drugs have controls of their own. `rows` says which row of the file, of which
    treatments are known, each row of `obs` is.
    """
    own_controls = bool(treatments.untreated.any())
    names, strata = [], []
    for label, batch, row in zip(obs["perturbation"].astype(str), obs["batch"].astype(str), rows, strict=True):
        time = None if np.isnan(treatments.time[row]) else float(treatments.time[row])
        agent = canonical_perturbation(treatments.agent[row], ())
        names.append(label if label == CONTROL else treatment_name(agent, treatments.dose[row], time))
        stratum = [agent] * own_controls + [batch, "" if time is None else f"{time:g}h"]
        strata.append("/".join(filter(None, stratum)) or "all")
    return obs.assign(perturbation=pd.Categorical(names), batch=pd.Categorical(strata))


def without_pooled(notes: Sequence[str]) -> list[str]:
    """The notes without those that say that doses or times are pooled."""
    return [note for note in notes if not note.startswith(POOLED)]
