"""SCP542: about 200 cancer lines without any perturbation."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from cycseq.data.scale import TARGET_SUM
from cycseq.data.usual_names import CONTROL
from cycseq.errors import FileError
from cycseq.formats.catalog.base import Sources, label_cells
from cycseq.formats.readers.base import FileContents, as_read_error

MATRICES = ("UMIcount_data.txt", "CPM_data.txt")
METADATA = "Metadata.txt"
FILE_HELP = "FOLDER with Metadata.txt and UMIcount_data.txt (counts) or CPM_data.txt, from SCP542's download tab."
MILLION = 1e6
ROWS = 500  # genes that are read at a time: with 50,000 cells 200 MB


def read(sources: Sources) -> FileContents:
    """Genes x cells as text; counts as they are, counts per million as log1p of counts per 10,000."""
    given = sources.given or Path()  # a folder, or a matrix beside which the table of cells lies
    folder = given if given.is_dir() else given.parent
    names = [given.name] if not given.is_dir() else [name for name in MATRICES if (folder / name).is_file()]
    if not names or names[0] not in MATRICES or not (folder / METADATA).is_file():
        raise FileError(f"{given} does not hold {METADATA} with {' or '.join(MATRICES)}: use --file {FILE_HELP}")
    matrix, metadata = folder / names[0], folder / METADATA
    with as_read_error(metadata, "SCP542's table of cells"):
        cells = pd.read_csv(metadata, sep="\t", dtype=str).set_index("NAME")
        line, pool = cells["Cell_line"], cells["Pool_ID"]
    with as_read_error(matrix, "SCP542's matrix, genes x cells"):
        adata = _matrix(matrix)
    notes = [f"all cells are control; values <- {matrix.name}"]
    if matrix.name == "CPM_data.txt":
        adata.X.data = np.log1p(adata.X.data * np.float32(TARGET_SUM / MILLION))
        notes.append(f"counts per million became log1p of counts per {TARGET_SUM:,.0f}")
    return label_cells(
        adata,
        perturbation=pd.Series(CONTROL, index=adata.obs_names),
        context=line.reindex(adata.obs_names),
        batch=pool.reindex(adata.obs_names),
        notes=notes,
    )


def _matrix(path: Path) -> ad.AnnData:
    """Read blocks of genes; rows above the genes that repeat the cells' lines and pools are left out."""
    with path.open(encoding="utf-8") as lines:
        cells = [name.strip('"') for name in lines.readline().rstrip("\r\n").split("\t")]
        above = [number for number in (1, 2) if not _is_gene(lines.readline())]
    genes: list[str] = []
    blocks = []
    for block in pd.read_csv(path, sep="\t", header=None, index_col=0, skiprows=[0, *above], chunksize=ROWS):
        genes += [str(name) for name in block.index]
        blocks.append(sp.csr_matrix(block.to_numpy(dtype=np.float32)))
    x = sp.csr_matrix(sp.vstack(blocks).T)
    names = cells[len(cells) - x.shape[0] :]
    return ad.AnnData(x, obs=pd.DataFrame(index=pd.Index(names)), var=pd.DataFrame(index=pd.Index(genes)))


def _is_gene(row: str) -> bool:
    """Whether a row holds numbers."""
    try:
        float(row.rstrip("\r\n").rpartition("\t")[2])
    except ValueError:
        return False
    return "Pool" not in row.partition("\t")[0]
