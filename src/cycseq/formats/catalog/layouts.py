"""Layouts that several data sets share: h5ad files with obs columns, GEARS' zip files, GEO's 10x files; and where they lie."""

from __future__ import annotations

import lzma
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import h5py
import numpy as np

from cycseq.data.usual_names import CONTROL
from cycseq.errors import FileError, count_of, join_names, was
from cycseq.formats.catalog.base import Read, Sources, column, label_cells, lanes
from cycseq.formats.load import load, read_anndata
from cycseq.formats.readers.base import FileContents, as_read_error
from cycseq.formats.readers.contained import check_h5
from cycseq.io.download import RemoteFile
from cycseq.io.files import FULL
from cycseq.io.untrusted import check_members

DATAVERSE = "https://dataverse.harvard.edu/api/access/datafile"
GEO = "https://ftp.ncbi.nlm.nih.gov/geo/series"
PERTPY = "https://scverse-exampledata.s3.eu-west-1.amazonaws.com/pertpy"
FIGSHARE = "https://ndownloader.figshare.com/files"
PROCESSED = "perturb_processed.h5ad"


def geo_files(dataset: str, accession: str, names: dict[str, str | None]) -> tuple[RemoteFile, ...]:
    """Supplementary files of a GEO series, with their hashes where known."""
    where = f"{GEO}/{accession[:-3]}nnn/{accession}/suppl"
    return tuple(RemoteFile(f"{where}/{name}", f"{dataset}/{name}", known_hash) for name, known_hash in names.items())


def one_file(name: str, url: str, known_hash: str | None = None) -> tuple[RemoteFile, ...]:
    """The only file of a data set, in the cache under the last part of its address."""
    return (RemoteFile(url, f"{name}/{url.rpartition('/')[2]}", known_hash),)


def h5ad(
    perturbation: tuple[str, ...],
    context: str | tuple[str, ...],
    batch: tuple[str, ...],
    *,
    control: str,
    guide: str = "",
    open_file: Callable[[Path], FileContents] = load,
) -> Read:
    """Read one h5ad whose obs columns hold the labels: of each name the first that the file has.

    A `context` that is a text is that of all cells. `control` is the file's label of control cells, and the column `guide` is called
    so then.
    """

    def read(sources: Sources) -> FileContents:
        contents = open_file(sources.file)
        adata = contents.adata
        if guide:
            adata.obs["guide"] = column(adata, guide).astype(str)
        return label_cells(
            adata,
            perturbation=column(adata, *perturbation).astype(str).replace({control: CONTROL}),
            context=context if isinstance(context, str) else column(adata, *context),
            batch=column(adata, *batch),
            notes=contents.notes,
        )

    return read


def gears_zip(context: str | None) -> Read:
    """Read a zip of GEARS: `NAME/perturb_processed.h5ad`, obs `condition` (`A+ctrl`) and `cell_type`.

    `context` is the cell line, where the file names a wrong or doubtful one.
    """

    def read(sources: Sources) -> FileContents:
        adata = _unzipped(sources.file)
        perturbation = column(adata, "condition").astype(str).replace({"ctrl": CONTROL})
        perturbation = perturbation.str.replace(r"^ctrl\+|\+ctrl$", "", regex=True)
        cell_type = column(adata, "cell_type").astype(str)
        in_file = ", ".join(sorted(cell_type.unique())[:5])
        return label_cells(
            adata,
            perturbation=perturbation,
            context=context or cell_type.str.replace(r"\s*\(\?\)$", "", regex=True),
            batch=lanes(adata.obs_names),
            notes=[] if context is None or in_file == context else [f"context is {context}; the file says {in_file!r}"],
        )

    return read


def _unzipped(path: Path) -> ad.AnnData:
    """The h5ad in a zip, unpacked beside it for as long as it is read."""
    try:
        with zipfile.ZipFile(path) as packed, tempfile.TemporaryDirectory(dir=path.parent) as folder:
            inside = next((name for name in packed.namelist() if Path(name).name == PROCESSED), None)
            if inside is None:
                raise FileError(
                    f"{path} holds no {PROCESSED} (it has {join_names(packed.namelist(), 5)}): its layout has changed."
                )
            check_members(path, [packed.getinfo(inside)])
            unpacked = Path(folder) / PROCESSED
            with packed.open(inside) as source, unpacked.open("wb") as out:
                shutil.copyfileobj(source, out, 1 << 20)
            return read_anndata(unpacked)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error, lzma.LZMAError) as err:
        raise FileError(f"{path} is not a whole zip file ({err}). Delete it, and it is downloaded again.") from err
    except OSError as err:
        if err.errno not in FULL:
            raise
        msg = f"{path} could not be unpacked: the disk is full. Free some space, or use --cache FOLDER."
        raise FileError(msg) from err


def read_geo(sources: Sources) -> FileContents:
    """K562 cells in GEO's three 10x files with `cell_identities`: barcodes of one well-covered cell each."""
    (matrix,) = (path for name, path in sources.files.items() if "matrix.mtx" in name)
    contents = load(matrix)
    adata = contents.adata
    adata.obs["guide"] = column(adata, "guide_identity").to_numpy()
    return label_cells(
        adata,
        perturbation=column(adata, "perturbation"),
        context="K562",
        batch=lanes(adata.obs_names),
        notes=contents.notes,
    )


def sparse_h5ad(path: Path) -> FileContents:
    """An h5ad whose dense X is mostly zeros, read in blocks of rows into CSR: a quarter of the memory."""
    with as_read_error(path, "h5ad"):
        with h5py.File(path) as file:
            check_h5(file, path)
        return FileContents(ad.read_h5ad(path, as_sparse=["X"]))


def finite_h5ad(path: Path) -> FileContents:
    """An h5ad of standardised values: a gene without spread in the controls of a lane was divided by zero, and is left out."""
    adata = read_anndata(path)
    finite = np.isfinite(adata.X).all(axis=0)
    n = int((~finite).sum())
    note = f"{count_of(n, 'gene')} with values that are not numbers {was(n)} left out"
    return FileContents(adata[:, finite].copy(), notes=(note,))


def rna_of_h5mu(path: Path) -> FileContents:
    """Modality `rna` of an h5mu, whose obs columns may be called ``rna:NAME``; obs `guide_ID`, where there is one, is `guide`."""
    adata = read_anndata(path)
    adata.obs = adata.obs.rename(columns=lambda name: str(name).removeprefix("rna:"))
    adata.obs = adata.obs.loc[:, ~adata.obs.columns.duplicated()]
    if "guide_ID" in adata.obs:
        adata.obs["guide"] = adata.obs["guide_ID"].astype(str)
    return FileContents(adata)
