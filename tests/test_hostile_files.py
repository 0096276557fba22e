"""Files made to harm: none runs code, reads another file, crashes the process or fills the memory; each gives one line."""

import gzip
import io
import json
import pickle
import warnings
import zipfile
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from cycseq.data.validate import check_indices
from cycseq.errors import CycseqError, DataError, FileError, SettingsError
from cycseq.formats.catalog.base import Sources
from cycseq.formats.catalog.layouts import gears_zip
from cycseq.formats.read import read
from cycseq.formats.settings import ReadSettings
from cycseq.io import untrusted
from cycseq.io.numpy_files import open_npz, read_npy
from cycseq.io.untrusted import check_unpacked, open_unpacked
from cycseq.knowledge.features import read_features

GENES = ["G1", "G2", "G3"]
COUNTS = np.arange(1, 19, dtype=np.float32).reshape(6, 3)
OBS = pd.DataFrame({"perturbation": ["control", "G1"] * 3}, index=[f"c{i}" for i in range(6)])


@pytest.fixture
def h5ad(tmp_path: Path) -> Path:
    path = tmp_path / "a.h5ad"
    adata = ad.AnnData(sp.csr_matrix(COUNTS), obs=OBS, var=pd.DataFrame(index=GENES))
    adata.obsm["sparse"] = sp.csr_matrix(COUNTS)
    adata.write_h5ad(path)
    return path


def refused(path: Path, message: str, error: type[CycseqError] = FileError, **settings: object) -> None:
    with pytest.raises(error, match=message) as err:
        read(path, ReadSettings(**settings))
    assert "\n" not in str(err.value)


def write_zarr(folder: Path) -> None:
    """A store of format 2, in `a.zarr`."""
    with warnings.catch_warnings(), ad.settings.override(zarr_write_format=2):
        warnings.simplefilter("ignore")
        ad.AnnData(COUNTS, obs=OBS, var=pd.DataFrame(index=GENES)).write_zarr(folder / "a.zarr")


class Touch:
    """Pickled, it makes a file where it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return Path.touch, (self.path,)


# what a file unpacks to


@pytest.fixture
def low_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(untrusted, "ALWAYS", 1 << 20)


def test_small_files_may_unpack_to_much_and_large_ones_in_proportion(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 10)
    check_unpacked(tmp_path / "a", untrusted.ALWAYS)
    with pytest.raises(FileError, match=r"10 bytes but unpacks to 268,435,457 or more.*CYCSEQ_UNPACK=none"):
        check_unpacked(tmp_path / "a", untrusted.ALWAYS + 1)
    assert untrusted.max_bytes(10 << 30) == untrusted.RATIO * (10 << 30)


def test_the_limit_is_lifted_or_set_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(untrusted.UNPACK, "none")
    assert untrusted.max_bytes(1) == float("inf")
    monkeypatch.setenv(untrusted.UNPACK, "1000")
    assert untrusted.max_bytes(1 << 30) == 1000 << 30
    monkeypatch.setenv(untrusted.UNPACK, "much")
    with pytest.raises(SettingsError, match="CYCSEQ_UNPACK is 'much'"):
        untrusted.max_bytes(1)


@pytest.mark.usefixtures("low_limit")
def test_packed_tables_stop_at_the_limit(tmp_path: Path) -> None:
    bomb = gzip.compress(b"cell,perturbation,G1\n" + b"c,control,1\n" * 200_000)
    assert len(bomb) < 10_000
    (tmp_path / "a.csv.gz").write_bytes(bomb)
    refused(tmp_path / "a.csv.gz", "unpacks to 1,")
    (tmp_path / "f.csv.gz").write_bytes(bomb)
    with pytest.raises(FileError, match="unpacks to"):
        read_features(tmp_path / "f.csv.gz")
    one_line = tmp_path / "b.csv.gz"
    one_line.write_bytes(gzip.compress(b"x" * (5 << 20)))
    refused(one_line, "unpacks to")
    with open_unpacked(one_line) as text, pytest.raises(FileError, match="unpacks to"):
        text.read()


@pytest.mark.usefixtures("low_limit")
def test_packed_matrices_and_arrays_stop_at_the_limit(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    text = b"%%MatrixMarket matrix coordinate integer general\n3 6 6\n" + b"%\n" * (1 << 20)
    (folder / "matrix.mtx.gz").write_bytes(gzip.compress(text))
    (folder / "barcodes.tsv").write_text("\n".join(OBS.index))
    (folder / "genes.tsv").write_text("\n".join(f"{g}\t{g}" for g in GENES))
    refused(folder, "unpacks to")
    np.savez_compressed(tmp_path / "a.npz", X=np.zeros((1000, 1000)))
    refused(tmp_path / "a.npz", "a.npz has .* unpacks to 8,0")


@pytest.mark.usefixtures("low_limit")
def test_hdf5_and_zarr_that_claim_what_they_do_not_hold(h5ad: Path, tmp_path: Path) -> None:
    with h5py.File(h5ad, "r+") as file:
        file["uns"].create_dataset("nothing", shape=(10**9,), dtype="f8", chunks=(10**4,))
    refused(h5ad, "a.h5ad has .* unpacks to 8,000")
    write_zarr(tmp_path)
    for record in (tmp_path / "a.zarr/X").glob("*"):
        if record.name in {".zarray", "zarr.json"}:
            said = json.loads(record.read_text())
            record.write_text(json.dumps({**said, "shape": [10**9, 3]}))
    (tmp_path / "a.zarr/.zmetadata").unlink(missing_ok=True)
    refused(tmp_path / "a.zarr", "a.zarr has .* unpacks to 12,000")


@pytest.mark.usefixtures("low_limit")
def test_zips_stop_at_the_limit_and_write_nowhere_else(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "norman.zip"
    path.parent.mkdir()
    for name, content, message in (
        ("norman/perturb_processed.h5ad", bytes(5 << 20), "unpacks to"),
        ("../../perturb_processed.h5ad", b"no h5ad", "cannot be read as h5ad"),
        ("/tmp/perturb_processed.h5ad", b"no h5ad", "cannot be read as h5ad"),
        ("other.txt", b"", "holds no perturb_processed.h5ad"),
    ):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr(name, content)
        with pytest.raises(FileError, match=message):
            gears_zip(None)(Sources({path.name: path}))
        assert [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*")] == ["cache", "cache/norman.zip"]


# headers and indices that lie


@pytest.mark.parametrize("shape", [(10**12, 4), (2**62, 2**62), (7, 3), (-6, 3)])
def test_array_headers_that_do_not_fit(tmp_path: Path, shape: tuple[int, int]) -> None:
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "<f4", "fortran_order": False, "shape": shape})
    out.write(COUNTS.tobytes())
    (tmp_path / "a.npy").write_bytes(out.getvalue())
    with pytest.raises(ValueError, match="claims"):
        read_npy(tmp_path / "a.npy")
    (tmp_path / "g.txt").write_text("\n".join(GENES))
    refused(tmp_path / "a.npy", "its header claims", genes_file=tmp_path / "g.txt")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as packed:
        packed.writestr("X.npy", out.getvalue())
    refused(tmp_path / "a.npz", "its header claims", genes_file=tmp_path / "g.txt")


def test_no_array_is_unpickled(tmp_path: Path) -> None:
    harm = np.empty(1, dtype=object)
    harm[0] = Touch(tmp_path / "harmed")
    np.save(tmp_path / "a.npy", harm, allow_pickle=True)
    np.savez(tmp_path / "a.npz", X=COUNTS, genes=GENES, perturbation=harm)
    for name in ("a.npy", "a.npz"):
        refused(tmp_path / name, "pickled")
    with pytest.raises(ValueError, match="pickled"), open_npz(tmp_path / "a.npz"):
        pass
    (tmp_path / "b.npz").write_bytes(pickle.dumps(Touch(tmp_path / "harmed")))
    refused(tmp_path / "b.npz", "not a zip file")
    assert not (tmp_path / "harmed").exists()


DAMAGE = [("indices", 0, 10**6), ("indices", 3, -1), ("indptr", 1, 10**6), ("indptr", 2, -5), ("indptr", 0, 4)]


@pytest.mark.parametrize(("part", "place", "value"), DAMAGE)
@pytest.mark.parametrize("where", ["X", "obsm/sparse"])
def test_sparse_indices_that_lead_outside(h5ad: Path, where: str, part: str, place: int, value: int) -> None:
    with h5py.File(h5ad, "r+") as file:
        file[where][part][place] = value
    refused(h5ad, "indices do not fit its shape|cannot be read as h5ad", CycseqError)


@pytest.mark.parametrize(("part", "place", "value"), DAMAGE)
@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csc_matrix, sp.bsr_matrix])
def test_sparse_npz_that_leads_outside(tmp_path: Path, kind: type, part: str, place: int, value: int) -> None:
    x = kind(COUNTS, blocksize=(1, 1)) if kind is sp.bsr_matrix else kind(COUNTS)
    with np.errstate(over="ignore"):
        getattr(x, part)[place] = value
    said = {"indices": x.indices, "indptr": x.indptr, "data": x.data, "shape": x.shape, "format": x.format.encode()}
    np.savez(tmp_path / "a.npz", **said)
    (tmp_path / "g.txt").write_text("\n".join(GENES))
    refused(tmp_path / "a.npz", "indices do not fit|cannot be read", CycseqError, genes_file=tmp_path / "g.txt")


def test_index_pointers_that_go_below_zero_and_rise_again(h5ad: Path, tmp_path: Path) -> None:
    """SciPy checks pointers only where the last one is above 0, and its compiled loops end the process with these."""
    pointers = np.r_[0, np.arange(-(2**31) + 1, -(2**31) + 7)].astype(np.int32)
    with h5py.File(h5ad, "r+") as file:
        file["X/indptr"][...] = pointers
    refused(h5ad, "indices do not fit its shape|cannot be read as h5ad", CycseqError)
    damaged = sp.csr_matrix(COUNTS)
    damaged.indptr = pointers
    with pytest.raises(DataError, match="indices do not fit"):
        check_indices(damaged)


def test_10x_h5_that_leads_outside(tmp_path: Path) -> None:
    x = sp.csr_matrix(COUNTS)
    for part, place, value in (*DAMAGE, ("indptr", 6, -1761607657)):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            group = file.create_group("matrix")
            group["barcodes"] = np.array([f"c{i}".encode() for i in range(6)])
            group["features/id"] = group["features/name"] = np.array([b"G1", b"G2", b"G3"])
            group["data"], group["indices"], group["indptr"] = x.data, x.indices, x.indptr
            group["shape"] = np.array([3, 6])
            group[part][place] = value
        refused(tmp_path / "a.h5", "cannot be read as 10x h5")


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (b"%%MatrixMarket matrix coordinate integer general\n3 6 99999999999\n1 1 1\n", "unpacks to"),
        (b"%%MatrixMarket matrix coordinate integer general\n99999999999 6 1\n1 1 1\n", "belong to different"),
        (b"%%MatrixMarket matrix coordinate integer general\n3 6 1\n4 1 1\n", "out of bounds"),
        (b"%%MatrixMarket matrix coordinate integer general\n3 6 2\n1 1 1\0\n2 2 2\n", "a zero byte"),
        (b"%%MatrixMarket matrix array real general\n3 6\n1\n2\n", "of the kind array real"),
    ],
)
def test_10x_matrices_that_lie(tmp_path: Path, matrix: bytes, message: str) -> None:
    (tmp_path / "matrix.mtx").write_bytes(matrix)
    (tmp_path / "barcodes.tsv").write_text("\n".join(OBS.index))
    (tmp_path / "genes.tsv").write_text("\n".join(f"{g}\t{g}" for g in GENES))
    refused(tmp_path, message)


# what leads out of a file


def test_hdf5_that_reads_other_files(h5ad: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(range(64)))
    whole = h5ad.read_bytes()
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = COUNTS

    def with_change(change: object, message: str) -> None:
        h5ad.write_bytes(whole)
        with h5py.File(h5ad, "r+") as file:
            change(file["uns"])
        refused(h5ad, message)

    layout = h5py.VirtualLayout((6, 3), "f4")
    layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "x", (6, 3))
    stored = [(str(tmp_path / "secret"), 0, 64)]
    with_change(lambda uns: uns.create_dataset("x", (64,), "u1", external=stored), "lie in another file")
    with_change(lambda uns: uns.create_virtual_dataset("x", layout), "lie in another file")
    link = h5py.ExternalLink(str(tmp_path / "other.h5"), "/x")
    with_change(lambda uns: uns.__setitem__("x", link), "'x' is a link to another file")
    with_change(lambda uns: uns.__setitem__("again", uns), "its groups lie inside each other")
    with_change(lambda uns: uns.__setitem__("again", h5py.SoftLink("/")), "its groups lie inside each other")


@pytest.mark.parametrize("entry", ["filters", "compressor"])
def test_zarr_that_holds_pickles(tmp_path: Path, entry: str) -> None:
    import zarr

    write_zarr(tmp_path)
    (tmp_path / "a.zarr/.zmetadata").unlink(missing_ok=True)
    store = zarr.open_group(tmp_path / "a.zarr", mode="a", zarr_format=2)
    store["uns"].create_array("text", data=np.array(["a", "b"]).astype("<U1"))
    record = tmp_path / "a.zarr/uns/text/.zarray"
    said = json.loads(record.read_text())
    said |= {"dtype": "|O", "filters": [{"id": "vlen-utf8"}, {"id": "pickle"}], "fill_value": ""}
    said |= {"compressor": {"id": "pickle"}} if entry == "compressor" else {}
    record.write_text(json.dumps(said))
    for chunk in record.parent.glob("[0-9]*"):
        chunk.write_bytes(pickle.dumps(Touch(tmp_path / "harmed")))
    refused(tmp_path / "a.zarr", "pickle")
    assert not (tmp_path / "harmed").exists()
