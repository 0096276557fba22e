"""Knowledge from files: tables, gene sets (GMT), annotations (GAF), arrays, and tables inside AnnData."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pandas as pd

from cycseq.errors import DataError, FileError, MissingPackageError, count_of
from cycseq.formats.readers.base import as_read_error
from cycseq.io.checksums import sha256
from cycseq.io.files import require_file
from cycseq.io.parquet import read_parquet
from cycseq.io.untrusted import check_members, open_unpacked, text_bytes
from cycseq.knowledge.annotations import annotation_table
from cycseq.knowledge.features import read_arrays
from cycseq.knowledge.source import Source
from cycseq.knowledge.sparse import sets_source
from cycseq.knowledge.tables import Table, features_source, sources_of_table

PACKED = (".gz", ".zip")
STRING_ENDS = ("protein1", "protein2")
"""Columns of STRING's links. Names are kept once each: there are 27 million entries."""
MEDIUM = 400  # of 1,000: STRING's own medium confidence; the six of seven links below it say little
STRING_INFO = "protein.info"  # what STRING's table of the names of its proteins has in place of ``protein.links``


def read_sources(path: Path) -> tuple[Source, ...]:
    """All that a file knows, each kind of knowledge as a source of its own.

    The file's ending tells tables (CSV, TSV, TXT, Parquet), gene sets (GMT), annotations (GAF), arrays (NPZ) and AnnData
    (h5ad) apart; what a table holds is told from its columns (`cycseq.knowledge.tables`). It may be packed (gz, zip). Raises
    `FileError` if the file is missing or cannot be read, `DataError` if it holds no knowledge, a name twice, or what is not a
    number where one is expected, and `MissingPackageError` if it needs RDKit (structures) or PyArrow (Parquet), and that is not
    installed.
    """
    stat = require_file(path).stat()
    return _read_once(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=16)
def _read_once(path: Path, _changed: int, _size: int) -> tuple[Source, ...]:
    """The file's sources; a benchmark fits several models on many splits with the same file."""
    name = path.name
    for ending in PACKED:
        name = name.removesuffix(ending)
    stem, _, ending = name.rpartition(".")
    reads = READERS.get(ending.lower())
    if reads is None:
        msg = f"{path} is not a file of knowledge: its name must end in .{', .'.join(READERS)} (also .gz or .zip)."
        raise FileError(msg)
    try:
        with as_read_error(path, "knowledge"):
            sources = reads(path, stem, {"file": path.name, "sha256": sha256(path)})
    except FileError as err:
        if not isinstance(missing := err.__cause__, ImportError):
            raise
        name = missing.name or "a package"
        raise MissingPackageError(f"{path} needs {name}, which is not installed: pip install {name}.") from missing
    if any(not source.names for source in sources):
        raise DataError(f"{path} names no gene and no drug: it has a header, and no rows below it.")
    return tuple(replace(source, name=source.name.strip() or stem) for source in sources)


def _delimited(path: Path, name: str, facts: dict[str, str]) -> tuple[Source, ...]:
    with text_of(path) as lines:
        header = lines.readline().decode("utf-8")
    separator = max("\t,; ", key=header.count)
    with text_of(path) as lines:
        frame = pd.read_csv(lines, sep=separator, low_memory=False, dtype=dict.fromkeys(STRING_ENDS, "category"))
    if not isinstance(frame.index, pd.RangeIndex):  # R writes no name above the names of the rows
        frame = frame.reset_index()
    return sources_of_table(Table(_links_of_string(frame, path), name, facts))


def _gene_sets(path: Path, name: str, facts: dict[str, str]) -> tuple[Source, ...]:
    members, sets = [], []
    with text_of(path) as lines:
        for number, line in enumerate(lines.read().decode("utf-8").splitlines(), 1):
            words = [word.strip() for word in line.split("\t")]
            if line.strip() and len(words) < 3:
                msg = f"{path}, line {number}: expected name, description and genes separated by tabs, found {line[:40]!r}."
                raise FileError(msg)
            members += words[2:]
            sets += [number] * len(words[2:])
    return (sets_source(name, members, sets, facts),)


def _annotations(path: Path, name: str, facts: dict[str, str]) -> tuple[Source, ...]:
    ontology = next((file.read_text(encoding="utf-8") for file in sorted(path.parent.glob("*.obo"))), None)
    with text_of(path) as lines:
        frame = annotation_table(lines.read().decode("utf-8"), ontology)
    return sources_of_table(Table(frame, name, facts))


def _annotated(path: Path, _name: str, facts: dict[str, str]) -> tuple[Source, ...]:
    from cycseq.knowledge.in_anndata import tables_in_anndata

    tables = tables_in_anndata(path)
    return tuple(features_source(name, names, values, facts) for name, (names, values) in tables.items())


READERS: dict[str, Callable[[Path, str, dict[str, str]], tuple[Source, ...]]] = {
    "csv": _delimited,
    "tsv": _delimited,
    "txt": _delimited,
    "parquet": lambda path, name, facts: sources_of_table(Table(read_parquet(path), name, facts)),
    "gmt": _gene_sets,
    "gaf": _annotations,
    "npz": lambda path, name, facts: (features_source(name, *read_arrays(path), facts),),
    "h5ad": _annotated,
}
"""Ending of a file -> what reads it."""


@contextmanager
def text_of(path: Path) -> Iterator[Any]:
    """The bytes of a text file, plain, gzipped, or the only one in a zip file; within the limits of unpacking."""
    if path.suffix.lower() != ".zip":
        with open_unpacked(path) as lines:
            yield lines
        return
    with ZipFile(path) as packed:
        members = packed.infolist()
        check_members(path, members)
        if len(members) != 1:
            raise FileError(
                f"{path} holds {count_of(len(members), 'file')}, but one table is expected: unpack it and name the one."
            )
        with packed.open(members[0]) as member, text_bytes(member, path) as lines:
            yield lines


def _links_of_string(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """STRING's surer links, with the names of its proteins where its table of them lies beside; other tables as they are."""
    if "protein.links" not in path.name or not {*STRING_ENDS, "combined_score"} <= set(frame.columns):
        return frame
    frame = frame[frame["combined_score"] >= MEDIUM]
    beside = path.with_name(path.name.replace("protein.links", STRING_INFO))
    if not beside.exists():
        return frame
    with text_of(beside) as lines:
        info = pd.read_csv(lines, sep="\t", usecols=[0, 1], dtype=str)
    symbols = dict(zip(info.iloc[:, 0], info.iloc[:, 1], strict=True))
    return frame.assign(**{column: frame[column].map(symbols) for column in STRING_ENDS})
