"""CycSeq's folders: one CSV for each batch and perturbed gene, genes in rows, cells in columns.

How the names give batch and gene:

- ``ROOT/BATCH/GENE.csv`` (what CycSeq's own R script writes): the folder is the batch, the file the gene;
- ``ROOT/CONTEXT/BATCH/GENE.csv``: the same for each context;
- ``ROOT/GENE.csv``, ``ROOT/BATCH_GENE.csv``, ``ROOT/BATCH_GENE_7.csv`` (7: which random draw): where the optional
  column `cls` marks genes with 1, they are the perturbation, and the rest of the name is the batch. Otherwise the name
  ends with the gene, or with a usual name of control, after the last underscore.

A column `cls` that marks another gene than the name says is an error; one that marks none leaves the name's word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd

from cycseq.data.usual_names import CONTROL, CONTROL_NAMES, canonical_perturbation, usual_kind
from cycseq.errors import DataError, FileError, count_of
from cycseq.formats.readers.base import FileContents, Reader, as_read_error, read_csv, without_gz
from cycseq.formats.settings import ReadSettings
from cycseq.io.progress import track

MARK = "cls"


@dataclass(frozen=True)
class _File:
    cells: pd.DataFrame  # genes x cells
    labels: dict[str, str]


def fits(path: Path) -> bool:
    """A folder with CSV files in it or one or two folders below."""
    return path.is_dir() and any(_files(path))


def read_cycseq(path: Path, settings: ReadSettings) -> FileContents:
    """Read all files of a folder; the genes that all of them have are kept."""
    files = _files(path)
    if len({len(file.relative_to(path).parts) for file in files}) > 1:
        msg = f"{path} holds CSV files at several depths: expected all as BATCH/GENE.csv or all as BATCH_GENE.csv."
        raise FileError(msg)
    parts = [_read_file(path, file) for file in track(files, "Reading CSV files")]
    genes = parts[0].cells.index
    for part in parts[1:]:
        if not genes.equals(part.cells.index):
            genes = genes.intersection(part.cells.index, sort=False)
    if not len(genes):
        raise DataError(f"{path}: the files have no gene in common. The first column of each must name its genes.")
    most = max(len(part.cells) for part in parts)
    notes = [
        f"{count_of(len(files), 'file')} with {len(genes):,} genes in all of them"
        + (f" (of {most:,})" * (most > len(genes)))
    ]
    names = pd.Index(np.concatenate([part.cells.columns for part in parts]))
    if names.has_duplicates:
        stems = [file.relative_to(path).as_posix().partition(".csv")[0] for file in files]
        names = pd.Index([f"{s}/{name}" for s, part in zip(stems, parts, strict=True) for name in part.cells.columns])
        notes.append("cells are named FILE/CELL, because files share cell names")
    obs = pd.concat([pd.DataFrame([part.labels] * part.cells.shape[1]) for part in parts], ignore_index=True)
    x = np.concatenate([part.cells.loc[genes].to_numpy(dtype=np.float32).T for part in parts])
    adata = ad.AnnData(X=np.ascontiguousarray(x), obs=obs.set_index(names), var=pd.DataFrame(index=genes))
    return FileContents(adata, format="CycSeq's folder of CSV files", notes=tuple(notes))


def _files(path: Path) -> list[Path]:
    try:
        return sorted(file for pattern in ("*.csv*", "*/*.csv*", "*/*/*.csv*") for file in path.glob(pattern)
                      if without_gz(file).endswith(".csv"))  # fmt: skip
    except OSError as err:  # a folder below it that cannot be listed, or was removed meanwhile
        raise FileError(f"{path} cannot be searched ({err}): name the folder that holds the CSV files.") from err


def _read_file(root: Path, file: Path) -> _File:
    with as_read_error(file, "a CSV of genes x cells"):
        frame = read_csv(file, ",", index_col=0)
        frame.index = frame.index.astype(str)
        marks = frame.pop(MARK) if MARK in frame else None
        cells = frame.astype(np.float32)
    if cells.index.has_duplicates or cells.isna().to_numpy().any():
        what = "a gene twice" if cells.index.has_duplicates else "missing values (a ragged row or empty fields)"
        raise DataError(f"{file} holds {what}: expected one row for each gene and one number for each cell.")
    marked = [] if marks is None else sorted(marks.index[marks == 1])
    *folders, name = file.relative_to(root).parts
    stem = re.sub(r"(?i)\.csv(\.gz)?$", "", name)
    batch, gene = (folders[-1], stem) if folders else _batch_and_gene(stem, marked)
    labels = {"batch": batch or root.name, **({"context": folders[0]} if len(folders) > 1 else {})}
    label = canonical_perturbation(CONTROL if usual_kind(gene) else gene, CONTROL_NAMES)
    if marked and label != "+".join(marked):
        msg = f"{file}: the name says perturbation {label!r}, but column {MARK!r} marks {'+'.join(marked)!r}. Fix one."
        raise DataError(msg)
    return _File(cells, {**labels, "perturbation": label})


def _batch_and_gene(stem: str, marked: list[str]) -> tuple[str, str]:
    """The two parts of a file's name."""
    if gene := "+".join(marked):
        match = re.search(rf"(^|_){re.escape(gene)}(_\d+)?$", stem)
        return (stem[: match.start()] if match else re.sub(r"_\d+$", "", stem)), gene
    for control in sorted(CONTROL_NAMES, key=len, reverse=True):
        match = re.search(rf"(?i)(^|_){re.escape(control)}(_\d+)?$", stem)
        if match:
            return stem[: match.start()], CONTROL
    batch, _, gene = re.sub(r"(?<=._)(.+)_\d+$", r"\1", stem).rpartition("_")  # without the number of a draw
    return batch, gene


CYCSEQ = Reader("CycSeq folder", "FOLDER of BATCH/GENE.csv or BATCH_GENE.csv, genes in rows", fits, read_cycseq)
