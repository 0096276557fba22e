"""GCT, the text format of the Broad Institute's matrices (LINCS L1000 among them): genes in rows, signatures in columns."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd

from cycseq.errors import FileError, count_of
from cycseq.formats.readers.base import as_read_error, read_csv
from cycseq.io.untrusted import check_unpacked, open_unpacked

MISSING = ("-666", "-666.0", "na", "")
"""What GCT files write where a label or a value is missing, besides what pandas knows."""
BYTES_OF_VALUE = 64  # text that is held for each value while the labels are parted from the values


def read_gct(path: Path) -> ad.AnnData:
    """Signatures x genes, with the labels of both; versions 1.2 (no labels of signatures) and 1.3.

    Raises `FileError` if the file is not a GCT, or its size is not what it says.
    """
    with open_unpacked(path) as lines:
        version, counts = (lines.readline().decode("utf-8", "replace").strip() for _ in range(2))
    sizes = [int(n) if n.isdigit() else -1 for n in counts.split()] + ([1, 0] if version == "#1.2" else [])
    if version not in {"#1.2", "#1.3"} or len(sizes) != 4 or min(sizes) < 0:
        msg = f"{path} is not a GCT file: expected #1.2 or #1.3 in its first line, and the numbers of rows and columns in the second."
        raise FileError(msg)
    n_genes, n_signatures, n_gene_labels, n_labels = sizes
    check_unpacked(path, n_genes * n_signatures * BYTES_OF_VALUE)
    with as_read_error(path, "a GCT file"):
        frame = read_csv(path, "\t", skiprows=2, header=None, dtype=str, na_values=MISSING, low_memory=False)
    first = 1 + n_gene_labels
    if frame.shape != (1 + n_labels + n_genes, first + n_signatures):
        raise FileError(
            f"{path} says {n_genes} genes x {n_signatures} signatures with {n_gene_labels} and {count_of(n_labels, 'label')}, but holds "
            f"{len(frame)} lines of {frame.shape[1]} fields: it is truncated or was altered."
        )
    header, labels, rows = frame.iloc[0].astype(str), frame.iloc[1 : 1 + n_labels], frame.iloc[1 + n_labels :]
    try:
        values = rows.iloc[:, first:].to_numpy().astype(np.float32).T
    except ValueError as err:
        raise FileError(f"{path} has a value that is not a number ({err}).") from err
    names = labels[0].astype(str).tolist()
    obs = pd.DataFrame(labels.iloc[:, first:].T.to_numpy(), index=pd.Index(header[first:]), columns=names)
    var = rows.iloc[:, 1:first].set_axis(rows[0].astype(str), axis=0).set_axis(header[1:first].tolist(), axis=1)
    return ad.AnnData(X=np.ascontiguousarray(values), obs=obs, var=var.rename_axis(None))
