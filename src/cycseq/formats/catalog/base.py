"""What a data set of the catalogue is, and the way from its files to `PerturbationData`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd

from cycseq.data.dataset import PerturbationData
from cycseq.data.scale import Scale
from cycseq.data.usual_names import CONTROL
from cycseq.data.validate import symbols_or_ids
from cycseq.errors import FileError
from cycseq.formats.readers.base import FileContents
from cycseq.formats.settings import ReadSettings
from cycseq.io.download import DownloadSettings, RemoteFile, download
from cycseq.io.files import require_file

UNASSIGNED = "unassigned"  # the label of cells without a perturbation: validation leaves them out and counts them


@dataclass(frozen=True)
class Sources:
    """The files of a data set on this machine."""

    files: Mapping[str, Path]  # downloaded ones, by the name of the file
    given: Path | None = None  # the file or folder that the user pointed to

    @property
    def file(self) -> Path:
        """The downloaded file of a data set that has one."""
        (path,) = self.files.values()
        return path


Read = Callable[[Sources], FileContents]
"""Reads the files of a data set; obs `perturbation` (`control`), `context` and `batch` say what they mean here."""
LABELS = ReadSettings(
    perturbation_key="perturbation",
    context_key="context",
    batch_key="batch",
    control=CONTROL,
    other_controls="keep",
    make_unique=True,
    drop_unlabelled=True,
    drop_empty=True,
)
"""How cells that `label_cells` labelled are validated."""


@dataclass(frozen=True)
class DataSet:
    """A public data set: what it is, where it lies and how it is read."""

    name: str
    what: str
    """One sentence: cells, contexts, perturbations."""
    method: str
    """How cells were perturbed: `CRISPRi`, `CRISPRa`, `CRISPRko`, `drug`, `cytokine` or `none`."""
    publication: str
    """Authors, year and DOI or accession."""
    read: Read
    files: tuple[RemoteFile, ...] = ()
    size: str = "size not known"
    """What is downloaded."""
    labels: str = ""
    """What the contexts, perturbations and batches are taken from."""
    checked: str = ""
    """How it is known that the files have the layout that `read` expects."""
    file_help: str = ""
    """What `--file` points to; empty where there is nothing to point to."""
    file_replaces: tuple[str, ...] = ()
    """Files that are not downloaded if the user points to one."""
    file_needed: bool = False
    """Whether there is no download without a log-in, so that the user must point to a file."""
    scale: Scale | None = None
    """Scale of the values; None finds out."""


def fetch(dataset: DataSet, settings: DownloadSettings | None = None, given: Path | None = None) -> PerturbationData:
    """Download what is not in the cache, and read it.

    Parameters
    ----------
    dataset
        One of `DATASETS`.
    settings
        Where files are downloaded from and to.
    given
        The file or folder of `dataset.file_help`.

    Returns
    -------
    PerturbationData
        As published (counts where they are), with contexts, perturbations and batches; `notes` say what was left out.

    Raises
    ------
    FileError
        If a file cannot be had, is not whole or is not what it was, or the user must point to one.
    DataError
        If the files are not of the layout that is expected.
    """
    if given is not None:
        require_file(given)
    if given is not None and not dataset.file_help:
        raise FileError(f"{dataset.name} takes no --file: everything is downloaded.")
    if given is None and dataset.file_needed:
        raise FileError(f"{dataset.name} cannot be downloaded without a log-in: use --file {dataset.file_help}")
    remote_files = [f for f in dataset.files if given is None or Path(f.name).name not in dataset.file_replaces]
    files = {Path(f.name).name: download(f, settings) for f in remote_files}
    contents = dataset.read(Sources(files, given))
    data = contents.validate(replace(LABELS, scale=dataset.scale))
    data.adata.uns["cycseq"] |= {
        "dataset": dataset.name,
        "publication": dataset.publication,
        "method": dataset.method,
        "dataset_notes": json.dumps(contents.notes),
    }
    return data


def label_cells(
    adata: ad.AnnData,
    *,
    perturbation: pd.Series,
    context: pd.Series | str,
    batch: pd.Series | str = "0",
    notes: Iterable[str] = (),
) -> FileContents:
    """Cells with these labels, `unassigned` or an empty text where a cell has none.

    A column of the file that has such a name and holds something else stays as ``NAME_in_file``.
    """
    obs = adata.obs.copy()
    for name, values in (("perturbation", perturbation), ("context", context), ("batch", batch)):
        texts = np.full(len(obs), values, dtype=object) if isinstance(values, str) else _texts(values)
        if name in obs and (_texts(obs[name]) != texts).any():
            obs[f"{name}_in_file"] = obs[name]
        obs[name] = texts
    adata.obs = obs
    adata.uns = {}
    ids = next((c for c in ("ensembl_id", "gene_id", "gene_ids", "ENSEMBL") if c in adata.var), None)
    if not adata.var_names.is_unique and ids is not None:  # genes by identifier where a symbol belongs to several
        symbols = pd.Series(np.asarray(adata.var_names, dtype=object))
        adata.var_names = symbols_or_ids(pd.Index(adata.var[ids].astype(str)), symbols)
    return FileContents(adata, notes=tuple(notes))


def _texts(values: pd.Series) -> np.ndarray:
    return values.astype(object).where(values.notna(), "").astype(str).to_numpy(dtype=object)


def column(adata: ad.AnnData, *names: str) -> pd.Series:
    """The first of these obs columns that there is; raises `FileError` if there is none."""
    for name in names:
        if name in adata.obs:
            return adata.obs[name]
    columns = ", ".join(map(str, adata.obs.columns)) or "no columns"
    raise FileError(
        f"the file has no obs column {' or '.join(map(repr, names))} (found: {columns}): its layout has changed. "
        "Read it with cycseq prepare, which lets you name the columns."
    )


def lanes(names: Iterable[str]) -> pd.Series:
    """The 10x lanes that barcodes end with (`ACGT-3` is of lane `3`); `0` for all where they do not."""
    texts = pd.Series([str(name) for name in names], dtype=object)
    lane = texts.str.extract(r"-(\d+)$")[0]
    return lane if lane.notna().all() and len(lane) else pd.Series("0", index=texts.index, dtype=object)


def drop_plus(drugs: pd.Series) -> pd.Series:
    """Names of drugs without the sign that joins combinations: `(+)-JQ1` is `(plus)-JQ1`."""
    return drugs.map({name: name.replace("+", "plus") for name in drugs.unique()})
