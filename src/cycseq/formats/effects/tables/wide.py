"""Wide tables: a row for each condition, a column for each gene, and columns of labels; or genes in rows."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd

from cycseq.errors import DataError, FileError
from cycseq.formats.effects.tables.layouts import labels_by_name
from cycseq.formats.readers.base import FileContents, first_line, separator
from cycseq.formats.readers.parsed_tables import repeated_columns, table_body, table_head
from cycseq.formats.readers.table_mistakes import first_mistake
from cycseq.formats.readers.wide_tables import WIDE
from cycseq.formats.settings import ReadSettings
from cycseq.matrix.arrays import Cells


def of_text(path: Path, settings: ReadSettings) -> FileContents:
    """The rows and columns of a text table; raises `FileError` where a value is not a number."""
    header = first_line(path)
    sep = separator(header)
    wide = header.count(sep) >= WIDE
    columns, head_texts = table_head(path, sep, wide=wide)
    named = list(map(str, columns))
    by_name = labels_by_name(named, settings)
    labels = [column for column in named if column in head_texts or column in by_name]
    numbers = list(map(str, columns[~columns.isin(labels)]))
    texts = [column for column in labels if column in head_texts]
    try:
        obs, values = table_body(path, sep, numbers, labels, texts, wide=wide)
    except FileError as err:
        raise first_mistake(path, sep, numbers) or err from err
    in_header = repeated_columns(header, sep, columns)
    return _contents(obs, values, pd.Index([in_header.get(column, column) for column in numbers]), settings)


def of_frame(frame: pd.DataFrame, settings: ReadSettings) -> FileContents:
    """The rows and columns of a data frame."""
    frame.columns = frame.columns.astype(str)
    numeric = [pd.api.types.is_numeric_dtype(t) and not pd.api.types.is_bool_dtype(t) for t in frame.dtypes]
    gene = np.array(numeric) & ~frame.columns.isin(labels_by_name(frame.columns, settings))
    obs, genes = frame.loc[:, ~gene], frame.columns[gene]
    return _contents(obs, frame.loc[:, gene].to_numpy(dtype=np.float32), genes, settings)


def _contents(obs: pd.DataFrame, values: Cells, genes: pd.Index, settings: ReadSettings) -> FileContents:
    """Conditions x genes; a name above the row names makes a label of these."""
    if not len(genes) or not len(obs):
        msg = f"the table has {len(obs)} rows and {len(genes)} columns of numbers: expected a column for each gene, or a long table with columns of genes and effects."
        raise DataError(msg)
    if obs.index.name is not None:
        obs = obs.reset_index()
    if settings.orientation == "genes-by-cells":
        return _genes_in_rows(obs, values, genes)
    if not len(obs.columns) and settings.labels_file is None:
        msg = (
            "no column of the table names perturbations: name its first column 'perturbation', or use --orientation genes-by-cells "
            "if rows are genes and the header names conditions (PERTURBATION or CONTEXT:PERTURBATION)."
        )
        raise DataError(msg, option="--orientation genes-by-cells")
    obs.index = obs.index.astype(str)
    return FileContents(ad.AnnData(X=values, obs=obs, var=pd.DataFrame(index=genes)))


def _genes_in_rows(labels: pd.DataFrame, values: Cells, header: pd.Index) -> FileContents:
    """The table turned, its header (``PERTURBATION``, or ``CONTEXT:PERTURBATION`` throughout) as labels."""
    genes = pd.Index(labels.iloc[:, 0] if len(labels.columns) else labels.index)
    names = header.str.partition(":", expand=True).to_frame(index=False)
    in_contexts = (names[1] == ":").all()
    columns = {"context": names[0], "perturbation": names[2]} if in_contexts else {"perturbation": header}
    obs = pd.DataFrame({name: list(labels) for name, labels in columns.items()}, index=header.astype(str))
    turned = np.ascontiguousarray(values.T)
    return FileContents(ad.AnnData(X=turned, obs=obs, var=pd.DataFrame(index=genes.astype(str))))
