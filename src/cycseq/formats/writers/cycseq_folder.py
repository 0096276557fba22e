"""The first CycSeq's folders: CONTEXT/BATCH/PERTURBATION.csv, genes in rows, cells in columns, `cls` 1 at perturbed genes."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.errors import DataError, count_of, join_names
from cycseq.formats.writers.base import Layout, check_round_trip, obs_of, write_marker
from cycseq.io.progress import track
from cycseq.matrix.arrays import to_dense

MARK = "cls"
UNSAFE = re.compile(r"[/\\\0]|^\.|\.csv$", re.IGNORECASE)


def write_folder(data: PerturbationData, _real: PerturbationData | None, folder: Path) -> tuple[str, ...]:
    """One CSV for each context, batch and perturbation; `cls` is all 0 where a perturbation names no gene.

    Raises `DataError` if a name cannot be the name of a file, or would be read back as another.
    """
    names = obs_of(data, perturbation="perturbation", context="context", batch="batch")
    check_round_trip(data, names, "CycSeq")
    for text in sorted(set(names.to_numpy().ravel())):
        if UNSAFE.search(text):
            raise DataError(f"{text!r} cannot be the name of a file or folder: give it another name.")
    groups: dict[tuple[str, str, str], np.ndarray] = names.groupby(["context", "batch", "perturbation"]).indices  # type: ignore[assignment]
    unmarked = set()
    for (context, batch, perturbation), rows in track(list(groups.items()), "Writing CSV files"):
        values = to_dense(data.x[rows]).T
        frame = pd.DataFrame(
            values.astype(np.int64) if data.scale == "counts" else values,
            index=data.adata.var_names,
            columns=data.adata.obs_names[rows],
        )
        parts = Condition(context, perturbation).parts
        marked = frame.index.isin(parts) if set(parts) <= set(data.genes) else np.zeros(len(frame), dtype=bool)
        unmarked |= {perturbation} if parts and not marked.any() else set()
        frame.insert(0, MARK, marked.astype(int))
        path = folder / context / batch / f"{perturbation}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.to_csv(path)
    write_marker(folder, "cycseq", data)
    notes = [
        f"{count_of(len(groups), 'file')} CONTEXT/BATCH/PERTURBATION.csv; the first CycSeq reads one CONTEXT at a time",
        "obs columns other than context, perturbation and batch have no place there and were left out",
    ]
    if unmarked:
        notes.append(
            f"{count_of(len(unmarked), 'perturbation names', 'perturbations name')} no gene of the data, so cls is 0 ({join_names(sorted(unmarked), 3)})"
        )
    return tuple(notes)


CYCSEQ = Layout(
    name="cycseq",
    tool="the first CycSeq",
    what="a folder of CONTEXT/BATCH/PERTURBATION.csv: genes in rows, cells in columns, cls",
    write=write_folder,
    endings=(),
)
