"""A folder with one table of values and one of the cells' labels: ``counts.csv`` and ``metadata.csv``, as R and Python sessions write them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cycseq.formats.readers import tables
from cycseq.formats.readers.base import FileContents, Reader, without_gz
from cycseq.formats.settings import ReadSettings

LABELS = (
    "metadata", "meta_data", "meta", "labels", "cell_labels", "obs", "annotation", "annotations", "cell_metadata", "coldata", "cells",
)  # fmt: skip
"""What the table of labels is called, without its ending, in lower case."""


def fits(path: Path) -> bool:
    """A folder with two tables, one of them called as tables of labels are."""
    return _two_tables(path) is not None


def read_labelled(path: Path, settings: ReadSettings) -> FileContents:
    """The values of one table with the labels of the other, joined by the names of the cells."""
    two = _two_tables(path)
    assert two is not None
    values, labels = two
    contents = tables.read_table(values, replace(settings, labels_file=settings.labels_file or labels))
    return replace(contents, format=f"folder of {values.name} and {labels.name}", labels=labels)


def _two_tables(path: Path) -> tuple[Path, Path] | None:
    """The tables of values and of labels; None where the folder holds no such pair, or more."""
    try:
        files = [file for file in path.iterdir() if tables.fits(file)] if path.is_dir() else []
    except OSError:
        return None
    labels = [file for file in files if without_gz(file).rpartition(".")[0] in LABELS]
    values = [file for file in files if file not in labels]
    return (values[0], labels[0]) if len(values) == len(labels) == 1 else None


LABELLED = Reader("labelled folder", "FOLDER of counts.csv and metadata.csv", fits, read_labelled)
