"""What every layout is, and what all of them share: labels under another tool's names, and the scale beside the values."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.labels import find_labels
from cycseq.data.mark import with_sample
from cycseq.data.settings import ObsKeys
from cycseq.data.usual_names import BATCH_NAMES, CONTEXT_NAMES, CONTROL, NO_CONTROL, PERTURBATION_NAMES
from cycseq.data.validate import OBS
from cycseq.errors import DataError, join_names
from cycseq.io.hdf5 import write_h5ad

USUAL = {name.casefold() for name in (*PERTURBATION_NAMES, *CONTEXT_NAMES, *BATCH_NAMES)}
MARKER = "convert.json"  # lies in every folder that was written here, and says what it is


@dataclass(frozen=True)
class Layout:
    """How another tool wants to have its data."""

    name: str  # as typed on the command line
    tool: str  # its name in sentences
    what: str  # what is written, in one line
    write: Callable[[PerturbationData, PerturbationData | None, Path], tuple[str, ...]]
    """Data, real data where `needs_real`, and a path that does not exist go in; notes come out."""
    endings: tuple[str, ...] = (".h5ad",)  # what the output's name ends in; empty for a folder
    advice: Mapping[str, str] = field(default_factory=dict)  # a note for each scale that the tool does not expect
    needs_real: bool = False  # whether real cells are written beside predicted ones


@dataclass(frozen=True)
class Labels:
    """The labels of all cells in another tool's words."""

    obs: pd.DataFrame  # the tool's own columns; index as in the data
    var: dict[str, list[str]] = field(default_factory=dict)  # the tool's own columns of genes
    sparse: bool = False  # whether the tool can only work with a sparse X
    notes: tuple[str, ...] = ()  # what the layout cannot hold, or the tool does not look at


def obs_of(data: PerturbationData, **columns: str | Callable[[Condition], object]) -> pd.DataFrame:
    """A table of the cells with a layout's columns: each is one of our obs columns as text, or a function of the condition."""
    conditions, codes = data.conditions(), data.condition_codes
    table = {
        name: text(data, source) if isinstance(source, str) else pd.Series(map(source, conditions)).to_numpy()[codes]
        for name, source in columns.items()
    }
    return pd.DataFrame(table, index=data.adata.obs.index)


def text(data: PerturbationData, column: str) -> np.ndarray:
    """An obs column as plain text."""
    return data.adata.obs[column].astype(str).to_numpy(dtype=object)


def renamed(control: str) -> Callable[[Condition], str]:
    """The perturbation, with another word for control."""
    return lambda condition: control if condition.is_control else condition.perturbation


def one_h5ad(
    name: str,
    tool: str,
    what: str,
    labels: Callable[[PerturbationData], Labels],
    *,
    advice: Mapping[str, str] | None = None,
    compression: str | None = "gzip",
) -> Layout:
    """A layout of one h5ad under these labels; every HDF5 library reads gzip. Arguments as of `Layout`."""

    def write(data: PerturbationData, _real: PerturbationData | None, path: Path) -> tuple[str, ...]:
        its_labels = labels(data)
        write_h5ad(in_layout(data, its_labels, name, tool), path, compression=compression)
        return its_labels.notes

    return Layout(name, tool, what, write, advice=advice or {})


def in_layout(data: PerturbationData, labels: Labels, name: str, tool: str) -> ad.AnnData:
    """The same values under a layout's labels.

    Other obs columns stay; those that a reader could take for the perturbation, context or batch are called
    ``NAME_in_file``, or are dropped where they say what the layout's own say. Raises `DataError` if a label would be read back as
    another one.
    """
    obs = labels.obs.assign(**{str(c): labels.obs[c].astype("category") for c in labels.obs.select_dtypes("object")})
    ours, others = data.adata.obs, {}
    for other in ours.columns.difference([*OBS, *obs.columns], sort=False):
        usual = str(other).casefold() in USUAL
        if not (usual and any((ours[other].astype(str) == ours[label].astype(str)).all() for label in OBS)):
            others[f"{other}_in_file" if usual else str(other)] = ours[other]
    obs = obs.join(pd.DataFrame(others, index=ours.index))
    check_round_trip(data, obs, tool)
    var = data.adata.var.assign(**labels.var)
    x = sp.csr_matrix(data.x) if labels.sparse else data.x
    uns: dict[str, object] = {"cycseq": {"scale": data.scale, "layout": name}}
    if data.scale == "log1p":  # scanpy looks for it, and all of its versions read a base that is a number
        uns["log1p"] = {"base": math.e}
    return with_sample(ad.AnnData(X=x, obs=obs, var=var, uns=uns))


def check_round_trip(data: PerturbationData, obs: pd.DataFrame, tool: str) -> None:
    """Raise `DataError` if `cycseq.read` would read a written label as another one."""
    has_controls = any(condition.is_control for condition in data.conditions())
    keys = ObsKeys(control=None if has_controls else NO_CONTROL, other_controls="keep")
    back = find_labels(obs, keys, default_context="", drop_unlabelled=True).obs
    for what in OBS:
        labels = data.adata.obs[what].astype(str).to_numpy()
        differs = np.flatnonzero(back[what].to_numpy(dtype=str) != labels)
        if len(differs):
            cell = differs[0]
            msg = f"{tool}'s layout cannot hold the {what} {labels[cell]!r}: it would be read back as {back[what].iloc[cell]!r}. Give it another name."
            raise DataError(msg)


def pooled_contexts(data: PerturbationData, sentence: str) -> tuple[str, ...]:
    """A note for tools that do not tell contexts apart, where there are several."""
    n = len(data.contexts)
    return (f"{n} contexts ({join_names(data.contexts, 3)}): {sentence}",) if n > 1 else ()


def pooled_batches(data: PerturbationData, tool: str) -> tuple[str, ...]:
    """A note for tools that do not look at batches, where there are several."""
    n = data.adata.obs["batch"].astype(str).nunique()
    return (f"{n} batches: kept in obs['batch'], at which {tool} does not look",) if n > 1 else ()


def write_marker(folder: Path, layout: str, data: PerturbationData) -> None:
    """Write into a folder what it holds."""
    facts = {
        "layout": layout,
        "scale": data.scale,
        "cells": data.n_cells,
        "genes": len(data.genes),
        "cycseq": version("cycseq"),
    }
    (folder / MARKER).write_text(json.dumps(facts, indent=1), encoding="utf-8")


def controls_lacking(data: PerturbationData, tool: str) -> tuple[str, ...]:
    """A note for data without control cells, such as predictions."""
    lacking = [c for c in data.contexts if Condition(c, CONTROL) not in data.conditions()]
    return (f"no control cells in {join_names(lacking, 3)}: {tool} needs some to train",) if lacking else ()
