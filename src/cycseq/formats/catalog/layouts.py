"""Layouts that several data sets share: GEARS' zip files, GEO's 10x files, single h5ad files; and where they lie."""

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

from cycseq.errors import FileError
from cycseq.formats.catalog.base import Labelled, Sources, column, labelled, lanes
from cycseq.formats.readers import load
from cycseq.formats.readers.base import damage_named
from cycseq.formats.readers.contained import check_h5
from cycseq.formats.settings import ReadSettings
from cycseq.io.download import RemoteFile
from cycseq.io.files import FULL
from cycseq.io.untrusted import check_members

DATAVERSE = "https://dataverse.harvard.edu/api/access/datafile"
GEO = "https://ftp.ncbi.nlm.nih.gov/geo/series"
BIOSTUDIES = "https://ftp.ebi.ac.uk/biostudies/fire"
PERTPY = "https://scverse-exampledata.s3.eu-west-1.amazonaws.com/pertpy"
FIGSHARE = "https://ndownloader.figshare.com/files"
PROCESSED = "perturb_processed.h5ad"


def geo_files(dataset: str, accession: str, names: dict[str, str | None]) -> tuple[RemoteFile, ...]:
    """Supplementary files of a GEO series, with their hashes where known."""
    where = f"{GEO}/{accession[:-3]}nnn/{accession}/suppl"
    return tuple(RemoteFile(f"{where}/{name}", f"{dataset}/{name}", known) for name, known in names.items())


def read_h5ad(path: Path) -> ad.AnnData:
    """A downloaded h5ad, or modality `rna` of an h5mu; nothing is looked at."""
    return load(path, ReadSettings()).adata


def gears_zip(context: str | None) -> Callable[[Sources], Labelled]:
    """Read a zip of GEARS: `NAME/perturb_processed.h5ad`, obs `condition` (`A+ctrl`) and `cell_type`.

    Parameters
    ----------
    context
        The cell line, where what the file says of it is wrong or marked as doubtful; None takes `cell_type`.
    """

    def read(sources: Sources) -> Labelled:
        (path,) = sources.files.values()
        adata = _unzipped(path)
        perturbation = column(adata, "condition").astype(str).replace({"ctrl": "control"})
        perturbation = perturbation.str.replace(r"^ctrl\+|\+ctrl$", "", regex=True)
        cell_type = column(adata, "cell_type").astype(str)
        said = ", ".join(sorted(cell_type.unique())[:5])
        notes = [] if context is None or said == context else [f"context is {context}; the file says {said!r}"]
        return labelled(
            adata,
            perturbation=perturbation,
            context=context or cell_type.str.replace(r"\s*\(\?\)$", "", regex=True),
            batch=lanes(adata.obs_names),
            notes=notes,
        )

    return read


def _unzipped(path: Path) -> ad.AnnData:
    """The h5ad in a zip, unpacked beside it for as long as it is read."""
    try:
        with zipfile.ZipFile(path) as packed, tempfile.TemporaryDirectory(dir=path.parent) as folder:
            inside = next((name for name in packed.namelist() if Path(name).name == PROCESSED), None)
            if inside is None:
                msg = (
                    f"{path} holds no {PROCESSED} (found: {', '.join(packed.namelist()[:5])}): its layout has changed."
                )
                raise FileError(msg)
            check_members(path, [packed.getinfo(inside)])
            unpacked = Path(folder) / PROCESSED
            with packed.open(inside) as source, unpacked.open("wb") as out:
                shutil.copyfileobj(source, out, 1 << 20)
            return read_h5ad(unpacked)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error, lzma.LZMAError) as err:
        msg = f"{path} is no whole zip file ({err}). Delete it, and it is downloaded again."
        raise FileError(msg) from err
    except OSError as err:
        if err.errno not in FULL:
            raise
        msg = f"{path} could not be unpacked: the disk is full. Free some space, or say --cache FOLDER."
        raise FileError(msg) from err


def read_geo(sources: Sources) -> Labelled:
    """K562 cells in GEO's three 10x files with `cell_identities`: barcodes of one well-covered cell each."""
    (matrix,) = (path for name, path in sources.files.items() if "matrix.mtx" in name)
    loaded = load(matrix, ReadSettings())
    adata = loaded.adata
    adata.obs["guide"] = column(adata, "guide_identity").to_numpy()
    return labelled(
        adata,
        perturbation=column(adata, "perturbation"),
        context="K562",
        batch=lanes(adata.obs_names),
        notes=loaded.notes,
    )


def sparse_h5ad(path: Path) -> ad.AnnData:
    """An h5ad whose dense X is mostly zeros, read in blocks of rows into CSR: a quarter of the memory."""
    with damage_named(path, "h5ad"):
        with h5py.File(path) as file:
            check_h5(file, path)
        return ad.read_h5ad(path, as_sparse=["X"])
