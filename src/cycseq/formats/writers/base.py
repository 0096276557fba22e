"""What every layout is, and what all of them share: labels under another tool's names, and a scale that is said."""

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
from cycseq.errors import DataError
from cycseq.io.hdf5 import write_h5ad

USUAL = {name.casefold() for name in (*PERTURBATION_NAMES, *CONTEXT_NAMES, *BATCH_NAMES)}
MARKER = "convert.json"
"""Lies in every folder that was written here, and says what it is."""


@dataclass(frozen=True)
class Layout:
    """How another tool wants to have its data."""

    name: str
    """As said on the command line."""
    tool: str
    """As said in sentences."""
    what: str
    """What is written, in one line."""
    write: Callable[[PerturbationData, PerturbationData | None, Path], tuple[str, ...]]
    """Data, real data where `needs_real`, and a path that does not exist go in; notes come out."""
    endings: tuple[str, ...] = (".h5ad",)
    """What the output's name ends in; empty for a folder."""
    advice: Mapping[str, str] = field(default_factory=dict)
    """What to say of a scale that the tool does not expect."""
    needs_real: bool = False
    """Whether real cells are written beside predicted ones."""


@dataclass(frozen=True)
class Labels:
    """The labels of all cells in another tool's words."""

    obs: pd.DataFrame
    """The tool's own columns; index as in the data."""
    var: dict[str, list[str]] = field(default_factory=dict)
    """The tool's own columns of genes."""
    sparse: bool = False
    """Whether the tool can only work with a sparse X."""
    notes: tuple[str, ...] = ()
    """What the layout cannot hold, or the tool does not look at."""


def perturbations(data: PerturbationData, translate: Callable[[Condition], str]) -> np.ndarray:
    """One label for every cell: `translate` is called once for each condition."""
    labels = np.array([translate(condition) for condition in data.conditions()], dtype=object)
    of_cells: np.ndarray = labels[data.condition_codes]
    return of_cells


def renamed(control: str) -> Callable[[Condition], str]:
    """The perturbation, with another word for control."""
    return lambda condition: control if condition.is_control else condition.perturbation


def column(data: PerturbationData, name: str) -> np.ndarray:
    """An obs column as plain text."""
    text: np.ndarray = data.adata.obs[name].astype(str).to_numpy(dtype=object)
    return text


def one_file(
    labels: Callable[[PerturbationData], Labels], name: str, tool: str, *, compression: str | None = "gzip"
) -> Callable[[PerturbationData, PerturbationData | None, Path], tuple[str, ...]]:
    """A layout's `write` that makes one h5ad; every HDF5 library reads gzip."""

    def write(data: PerturbationData, _real: PerturbationData | None, path: Path) -> tuple[str, ...]:
        found = labels(data)
        write_h5ad(in_layout(data, found, name, tool), path, compression=compression)
        return found.notes

    return write


def in_layout(data: PerturbationData, labels: Labels, name: str, tool: str) -> ad.AnnData:
    """The same values under a layout's labels.

    Other obs columns stay; those that a reader could take for the perturbation, context or batch are called
    ``NAME_in_file``, or are dropped where they say what the layout's own say.

    Raises
    ------
    DataError
        If a label would be read back as another one.
    """
    obs = labels.obs.assign(**{str(c): labels.obs[c].astype("category") for c in labels.obs.select_dtypes("object")})
    obs = obs.join(_others(data.adata.obs, taken=set(obs.columns)))
    check_round_trip(data, obs, tool)
    var = data.adata.var.assign(**labels.var)
    x = sp.csr_matrix(data.x) if labels.sparse else data.x
    return with_sample(ad.AnnData(X=x, obs=obs, var=var, uns=said(data, name)))


def said(data: PerturbationData, layout: str) -> dict[str, object]:
    """`uns`: what the values are. scanpy looks for ``log1p``, whose base all of its versions read where it is a number."""
    uns: dict[str, object] = {"cycseq": {"scale": data.scale, "layout": layout}}
    return uns | ({"log1p": {"base": math.e}} if data.scale == "log1p" else {})


def check_round_trip(data: PerturbationData, obs: pd.DataFrame, tool: str) -> None:
    """Raise `DataError` if `cycseq.read` would take a written label for another one."""
    has_controls = any(condition.is_control for condition in data.conditions())
    keys = ObsKeys(control=None if has_controls else NO_CONTROL, other_controls="keep")
    back = find_labels(obs, keys, default_context="", drop_unlabelled=True).obs
    for what in OBS:
        ours = data.adata.obs[what].astype(str).to_numpy()
        differs = np.flatnonzero(back[what].to_numpy(dtype=str) != ours)
        if len(differs):
            cell = differs[0]
            msg = (
                f"{tool}'s layout cannot hold the {what} {ours[cell]!r}: it would be read back as "
                f"{back[what].iloc[cell]!r}. Give it another name."
            )
            raise DataError(msg)


def pooled_contexts(data: PerturbationData, sentence: str) -> tuple[str, ...]:
    """A note for tools that do not tell contexts apart, where there are several."""
    n = len(data.contexts)
    return (f"{n} contexts ({', '.join(data.contexts[:3])}{', ...' * (n > 3)}): {sentence}",) if n > 1 else ()


def pooled_batches(data: PerturbationData, tool: str) -> tuple[str, ...]:
    """A note for tools that do not look at batches, where there are several."""
    n = data.adata.obs["batch"].astype(str).nunique()
    return (f"{n} batches: kept in obs['batch'], at which {tool} does not look",) if n > 1 else ()


def mark(folder: Path, layout: str, data: PerturbationData) -> None:
    """Say in a written folder what it holds."""
    held = {
        "layout": layout,
        "scale": data.scale,
        "cells": data.n_cells,
        "genes": len(data.genes),
        "cycseq": version("cycseq"),
    }
    (folder / MARKER).write_text(json.dumps(held, indent=1), encoding="utf-8")


def controls_lacking(data: PerturbationData, tool: str) -> tuple[str, ...]:
    """A note for data without control cells, such as predictions."""
    lacking = [c for c in data.contexts if Condition(c, CONTROL) not in data.conditions()]
    return (f"no control cells in {', '.join(lacking[:3])}: {tool} needs some to train",) if lacking else ()


def _others(obs: pd.DataFrame, taken: set[str]) -> pd.DataFrame:
    kept = {}
    for name in obs.columns.difference([*OBS, *taken], sort=False):
        usual = str(name).casefold() in USUAL
        if usual and any((obs[name].astype(str) == obs[ours].astype(str)).all() for ours in OBS):
            continue
        kept[f"{name}_in_file" if usual else str(name)] = obs[name]
    return pd.DataFrame(kept, index=obs.index)
