"""What every reader is: a path goes in, the contents of the file come out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anndata as ad
import pandas as pd

from cycseq.data.dataset import PerturbationData
from cycseq.errors import CycseqError, DataError, FileError
from cycseq.formats.settings import ReadSettings
from cycseq.io.special_files import refuse_special
from cycseq.io.untrusted import open_unpacked

CELL_NAMES = (
    "unnamed: 0", "cell", "cells", "cell_barcode", "barcode", "barcodes", "cell_id", "cellid", "cell_name", "index",
)  # fmt: skip
"""Header of the column that names the cells, in lower case; pandas' own for a column without one is the first."""
BARCODE = re.compile(r"[ACGT]{8,}([-.]\d+)?")
EXPRESSION = "Gene Expression"  # what 10x calls the features that are genes
MAX_COLUMNS = 2_000_000  # columns that a table may have; each costs a kilobyte while it is read


@dataclass(frozen=True)
class FileContents:
    """The cells of a file under the file's own names and labels: what a reader returns, before validation."""

    adata: ad.AnnData  # cells x genes
    format: str = ""  # name of the format, for people
    notes: tuple[str, ...] = ()  # what the reader inferred, in sentences to print
    layers: tuple[str, ...] = ()  # what `--layer` could take instead
    labels: Path | None = None  # a table of the cells' labels that lies beside the file
    unnamed: bool = False  # whether the file does not name its cells, so that labels go by their order

    def validate(self, settings: ReadSettings, context: str = "all") -> PerturbationData:
        """The cells as `PerturbationData`; raises `DataError` if labels, names or values are not what they must be.

        `context` is that of all cells where no column and no setting names one.
        """
        options = {name: getattr(settings, name) for name in ("scale", "make_unique", "drop_unlabelled", "drop_empty")}
        context = settings.context_name or context
        data = PerturbationData.from_anndata(
            self.adata, keys=settings.keys(), default_context=context, layers=self.layers, **options
        )
        return replace(data, notes=(*self.notes, *data.notes))


@dataclass(frozen=True)
class Reader:
    """One family of formats."""

    name: str
    looks_like: str  # how a user recognises it
    fits: Callable[[Path], bool]  # whether the path is of this family, by name and, where that cannot tell, by content
    read: Callable[[Path, ReadSettings], FileContents]


@contextmanager
def as_read_error(path: Path, expected: str) -> Iterator[None]:
    """Turn what libraries raise at damaged files into one `FileError` with one line."""
    try:
        yield
    except CycseqError:
        raise
    except MemoryError as err:
        msg = f"{path} cannot be read as {expected}: it claims to hold more than fits into memory. It may be damaged."
        raise FileError(msg) from err
    except Exception as err:
        reason = re.sub(r"\s+", " ", str(err)).strip()[:200] or type(err).__name__
        msg = f"{path} cannot be read as {expected}: it is damaged, truncated or of another format ({reason})."
        raise FileError(msg) from err


def without_gz(path: Path) -> str:
    """The name without `.gz`, in lower case."""
    return path.name.lower().removesuffix(".gz")


def first_line(path: Path) -> str:
    """The header of a text file, plain or gzipped; raises `FileError` where it names too many columns for any table."""
    with as_read_error(path, "text"), open_unpacked(path) as lines:
        header = lines.readline().decode("utf-8").rstrip("\r\n")
    if header.count(separator(header)) > MAX_COLUMNS:
        msg = f"{path} names more than {MAX_COLUMNS:,} columns in its first line: it is damaged or of another format."
        raise FileError(msg)
    return header


def separator(header: str) -> str:
    """Comma, tab or semicolon: whichever occurs most in the header."""
    return max(",\t;", key=header.count)


def read_csv(path: Path, sep: str | None = None, **settings: Any) -> pd.DataFrame:
    """What `pandas.read_csv` makes of a text file, plain or gzipped, within the limits of `open_unpacked`."""
    sep = separator(first_line(path)) if sep is None else sep
    with open_unpacked(path) as text:
        frame: pd.DataFrame = pd.read_csv(text, sep=sep, **settings)
    return frame


def read_labels(path: Path, cells: pd.Index | None = None) -> pd.DataFrame:
    """A table of labels: the index, called ``cell``, holds the cells' names; without a name, the table names no cells.

    The column that holds most of `cells` names the cells, wherever it stands.
    """
    if not refuse_special(path).is_file():
        raise FileError(f"{path} does not exist: --labels-file names a CSV with one row per cell.")
    with as_read_error(path, "a CSV of labels"):
        frame = read_csv(path)
        if not isinstance(frame.index, pd.RangeIndex) and frame.iloc[:, -1].isna().all():  # lines end in a separator
            frame = read_csv(path, index_col=False)
    if not isinstance(frame.index, pd.RangeIndex):  # the header does not name the first column, as R writes it
        frame = frame.set_axis(pd.Index(frame.index.map(str), name=CELL_NAMES[0])).reset_index()
    column = _cells_column(frame, cells)
    if column is not None:
        frame.index = pd.Index(frame.pop(column).astype(str), name="cell")
    return frame


def count_named(column: pd.Series | pd.Index, cells: pd.Index) -> int:
    """How many of the cells a column of a table names."""
    return int(cells.isin(column.astype(str)).sum())


def _cells_column(frame: pd.DataFrame, cells: pd.Index | None) -> str | None:
    """The column that names the cells: the one that holds their names, or is called so, or the first if nothing recurs in it."""
    folded = {str(name).casefold(): str(name) for name in reversed(frame.columns)}
    usual = [folded[name] for name in CELL_NAMES if name in folded]
    if cells is not None and len(cells):
        n_matches = {str(name): count_named(frame[name], cells) for name in frame.columns}
        least = len(cells) / 2 if are_numbers(cells) else 0  # a column of numbers may hold some by chance
        fitting = [name for name, n in n_matches.items() if n > (0 if name in usual else least)]
        if fitting:
            best = max(fitting, key=lambda name: (n_matches[name], name in usual))
            _check_one_names_cells(frame, best, [name for name in fitting if n_matches[name] == n_matches[best]])
            return best
    if usual:
        return usual[0]
    return str(frame.columns[0]) if frame.shape[1] > 1 and frame.iloc[:, 0].is_unique else None


def _check_one_names_cells(frame: pd.DataFrame, column: str, columns: list[str]) -> None:
    """Raise `DataError` if other columns name as many of the cells as one does, and name others in some rows."""
    other = next((name for name in columns if (frame[name].astype(str) != frame[column].astype(str)).any()), None)
    if other is not None:
        msg = f"two columns of the labels may name the cells: {column!r} and {other!r}, and they differ. Leave out the one that does not."
        raise DataError(msg)


def read_genes(path: Path) -> pd.Index:
    """Gene names, one per line; of several columns (10x `features.tsv`: identifier, symbol) the second."""
    if not refuse_special(path).is_file():
        raise FileError(f"{path} does not exist: --genes-file names a file with one gene per line.")
    with as_read_error(path, "a list of genes"):
        frame = read_csv(path, header=None, dtype=str)
    return pd.Index(frame[1 if frame.shape[1] > 1 else 0].to_numpy(dtype=object))


def with_genes(loaded: FileContents, settings: ReadSettings) -> FileContents:
    """The genes' names from the file that was given, where they are only numbered, as State's predictions have them."""
    adata = loaded.adata
    if settings.genes_file is None or not are_numbers(adata.var_names):
        return loaded
    names = read_genes(settings.genes_file)
    if len(names) != adata.n_vars:
        msg = f"{settings.genes_file} names {len(names):,} genes, but there are {adata.n_vars:,}: give one per line, in order."
        raise DataError(msg)
    adata.var_names = pd.Index(names.astype(str))
    return replace(loaded, notes=(*loaded.notes, f"genes are named by {settings.genes_file.name}"))


def gene_expression_alone(contents: FileContents) -> FileContents:
    """Without antibodies, guides and other features where var says which are genes: their counts are no expression, and guides tell the label."""
    var = contents.adata.var
    column = next((name for name in ("feature_types", "feature_type") if name in var), None)
    if column is None or contents.adata.X is None:
        return contents
    types = var[column].astype(str)
    genes = (types == EXPRESSION).to_numpy()
    if genes.all() or not genes.any():
        return contents
    left_out = ", ".join(f"{n:,} of {kind}" for kind, n in types[~genes].value_counts().items())
    notes = (*contents.notes, f"features other than {EXPRESSION} were left out (var[{column!r}]): {left_out}")
    return replace(contents, adata=contents.adata[:, genes].copy(), notes=notes)


def are_numbers(genes: pd.Index) -> bool:
    """Whether the genes bear numbers instead of names."""
    return bool(genes.astype(str).str.isdigit().all())
