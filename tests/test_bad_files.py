"""Bad input: each gives one clear line that names the file, and the cure where there is one."""

import gzip
import re
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from cycseq.errors import CycseqError, DataError, FileError
from cycseq.formats.inspect import inspect_file
from cycseq.formats.read import read
from cycseq.formats.settings import ReadSettings

CELLS = [f"c{i}" for i in range(6)]
GENES = ["G1", "G2", "G3"]
COUNTS = np.arange(1, 19, dtype=np.float32).reshape(6, 3)
OBS = pd.DataFrame({"perturbation": ["control", "G1"] * 3, "cell_type": ["x", "x", "x", "y", "y", "y"]}, index=CELLS)
TABLE = pd.concat([OBS, pd.DataFrame(COUNTS.astype(int), index=CELLS, columns=GENES)], axis=1)


def refused(path: Path, error: type[CycseqError], message: str, **settings: object) -> None:
    """`read` raises one line; `inspect_file` does so for files, and describes what is wrong with data."""
    with pytest.raises(error, match=message) as err:
        read(path, ReadSettings(**settings))
    assert "\n" not in str(err.value)
    if error is FileError:
        with pytest.raises(FileError, match=message):
            inspect_file(path, ReadSettings(**settings))
    else:
        inspection = inspect_file(path, ReadSettings(**settings))
        assert not inspection.ready
        assert re.search(message, " ".join(problem.message for problem in inspection.problems))


@pytest.fixture
def h5ad(tmp_path) -> Path:
    path = tmp_path / "a.h5ad"
    ad.AnnData(sp.csr_matrix(np.tile(COUNTS, (50, 1))), obs=pd.concat([OBS] * 50).set_axis([f"c{i}" for i in range(300)]),
               var=pd.DataFrame(index=GENES)).write_h5ad(path)  # fmt: skip
    return path


def test_a_missing_file_names_those_beside_it(h5ad: Path) -> None:
    refused(h5ad.with_name("b.h5ad"), FileError, r"b\.h5ad does not exist\. Beside it: a\.h5ad")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.97])
def test_a_truncated_h5ad(h5ad: Path, share: float) -> None:
    whole = h5ad.read_bytes()
    h5ad.write_bytes(whole[: int(len(whole) * share)])
    refused(h5ad, FileError, r"a\.h5ad cannot be read as h5ad: it is damaged, truncated")


def test_an_h5ad_that_is_none(tmp_path) -> None:
    (tmp_path / "a.h5ad").write_text("perturbation,G1\ncontrol,1\n")
    refused(tmp_path / "a.h5ad", FileError, "cannot be read as h5ad")
    (tmp_path / "empty.h5ad").touch()
    refused(tmp_path / "empty.h5ad", FileError, "cannot be read as h5ad")
    with h5py.File(tmp_path / "other.h5ad", "w") as file:
        file["numbers"] = np.arange(5)
    refused(tmp_path / "other.h5ad", FileError, "cannot be read as h5ad")


def test_h5_that_is_neither(tmp_path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["numbers"] = np.arange(5)
    refused(tmp_path / "a.h5", FileError, "unknown kind|cannot be read")
    (tmp_path / "b.h5").write_text("nothing")
    refused(tmp_path / "b.h5", FileError, "b.h5 cannot be read as 10x h5")


def test_two_genomes_in_one_h5(tmp_path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for genome in ("hg19", "mm10"):
            file[f"{genome}/barcodes"] = np.array([b"A"])
    refused(tmp_path / "a.h5", FileError, r"2 genomes \(hg19, mm10\)")


def test_zarr_that_is_none(tmp_path) -> None:
    (tmp_path / "a.zarr").mkdir()
    refused(tmp_path / "a.zarr", FileError, "cannot be read as zarr")


def test_unknown_suffixes_and_folders(tmp_path) -> None:
    (tmp_path / "a.xlsx").touch()
    refused(
        tmp_path / "a.xlsx", FileError, r"unknown kind \(.xlsx\). Known formats: FILE.h5ad.*FOLDER.zarr.*\.csv.*npz"
    )
    (tmp_path / "folder").mkdir()
    refused(tmp_path / "folder", FileError, "a folder without a known layout. Known formats")


def test_more_fields_than_the_header_has(tmp_path) -> None:
    lines = TABLE.to_csv().splitlines()
    lines[3] += ",9,9"
    (tmp_path / "a.csv").write_text("\n".join(lines))
    refused(tmp_path / "a.csv", FileError, r"a\.csv, line 4: 8 fields, but 6 were expected: the table is ragged")


def test_fewer_fields_than_the_header_has(tmp_path) -> None:
    lines = TABLE.to_csv().splitlines()
    lines[3] = lines[3].rpartition(",")[0]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    refused(
        tmp_path / "a.csv", DataError, r"a\.csv, line 4 \(c2\): 1 of 3 values are missing or NaN: the row is ragged"
    )


def test_a_table_with_words_among_its_numbers(tmp_path) -> None:
    many = pd.concat([TABLE] * 10).set_axis([f"c{i}" for i in range(60)])
    many["G2"] = [*many["G2"][:40], "high", *many["G2"][41:]]
    many.to_csv(tmp_path / "a.csv")
    refused(tmp_path / "a.csv", FileError, r"line 42 \(row 'c40', column 'G2'\): 'high' is not a number")


@pytest.mark.parametrize("named_rows", [True, False])
def test_a_gene_twice_in_the_header(tmp_path, named_rows: bool) -> None:
    text = TABLE.rename(columns={"G3": "G1"}).to_csv()
    (tmp_path / "a.csv").write_text(text if named_rows else text.removeprefix(","))
    refused(tmp_path / "a.csv", DataError, r"1 gene has a name that already occurred \(first: G1\)")
    data = read(tmp_path / "a.csv", ReadSettings(make_unique=True))
    assert data.genes == ["G1", "G2", "G1-1"]
    np.testing.assert_array_equal(data.x, COUNTS)


def test_a_barcode_twice_in_the_header(tmp_path) -> None:
    cells = ["c0", "c1", "c1", "c3", "c4", "c5"]
    pd.DataFrame(COUNTS.T, index=GENES, columns=cells).to_csv(tmp_path / "a.csv")
    OBS[OBS.index != "c2"].to_csv(tmp_path / "labels.csv")
    said = {"labels_file": tmp_path / "labels.csv", "orientation": "genes-by-cells"}
    refused(tmp_path / "a.csv", DataError, r"1 cell has a name that already occurred \(first: c1\)", **said)


def test_an_empty_table_and_a_broken_gz(tmp_path) -> None:
    (tmp_path / "a.csv").touch()
    refused(tmp_path / "a.csv", FileError, "is empty: expected a header")
    (tmp_path / "header.csv").write_text("cell,perturbation,G1\n")
    refused(tmp_path / "header.csv", DataError, "the data are empty: 0 cells")
    packed = gzip.compress(pd.concat([TABLE] * 200).to_csv().encode())
    (tmp_path / "a.csv.gz").write_bytes(packed[: len(packed) // 2])
    refused(tmp_path / "a.csv.gz", FileError, "a.csv.gz cannot be read")
    (tmp_path / "b.csv.gz").write_text("not compressed")
    refused(tmp_path / "b.csv.gz", FileError, "b.csv.gz cannot be read")


def write_10x(folder: Path) -> None:
    from scipy.io import mmwrite

    folder.mkdir()
    mmwrite(folder / "matrix.mtx", sp.coo_matrix(COUNTS.T.astype(int)))
    (folder / "barcodes.tsv").write_text("\n".join(CELLS))
    (folder / "genes.tsv").write_text("\n".join(f"id{g}\t{g}" for g in GENES))


def test_a_10x_folder_that_lacks_a_file(tmp_path) -> None:
    write_10x(tmp_path / "s")
    (tmp_path / "s/barcodes.tsv").unlink()
    refused(tmp_path / "s", FileError, r"barcodes\.tsv \(or \.gz\) is missing beside matrix\.mtx")
    (tmp_path / "s/barcodes.tsv").write_text("\n".join(CELLS))
    (tmp_path / "s/genes.tsv").unlink()
    refused(tmp_path / "s", FileError, r"features\.tsv \(or \.gz, or genes\.tsv\) is missing")


@pytest.mark.parametrize(("file", "n"), [("barcodes.tsv", 5), ("genes.tsv", 2)])
def test_a_10x_folder_whose_files_do_not_belong_together(tmp_path, file: str, n: int) -> None:
    write_10x(tmp_path / "s")
    path = tmp_path / "s" / file
    path.write_text("\n".join(path.read_text().splitlines()[:-1]))
    refused(tmp_path / "s", FileError, rf"{file} has {n} lines, but matrix\.mtx has {n + 1}.*different matrices")


def test_a_damaged_matrix(tmp_path) -> None:
    write_10x(tmp_path / "s")
    text = (tmp_path / "s/matrix.mtx").read_text()
    (tmp_path / "s/matrix.mtx").write_text(text[: len(text) // 2])
    refused(tmp_path / "s", FileError, "cannot be read as a Matrix Market file")


def test_a_10x_folder_without_labels_says_what_to_give(tmp_path) -> None:
    write_10x(tmp_path / "s")
    refused(tmp_path / "s", DataError, "no obs column names the perturbation.*--labels-file FILE")


def test_labels_that_do_not_fit(h5ad: Path, tmp_path) -> None:
    OBS.set_axis([f"other{i}" for i in range(6)]).to_csv(tmp_path / "other.csv")
    refused(
        h5ad,
        DataError,
        "names none of the 300 cells: they are called, for example, 'c0'",
        labels_file=tmp_path / "other.csv",
    )
    OBS.set_axis(["c0"] * 6).to_csv(tmp_path / "twice.csv")
    refused(h5ad, DataError, r"5 cells twice \(first: c0\)", labels_file=tmp_path / "twice.csv")
    OBS[["perturbation"]].to_csv(tmp_path / "rows.csv", index=False)
    refused(h5ad, DataError, "6 rows, but there are 300 cells", labels_file=tmp_path / "rows.csv")
    refused(h5ad, FileError, "nofile.csv does not exist: --labels-file", labels_file=tmp_path / "nofile.csv")


def test_npy_refuses_pickles_and_odd_shapes(tmp_path) -> None:
    genes = tmp_path / "genes.txt"
    genes.write_text("\n".join(GENES))
    np.save(tmp_path / "pickled.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    refused(tmp_path / "pickled.npy", FileError, "pickled objects are refused", genes_file=genes)
    np.savez(tmp_path / "pickled.npz", X=np.array([{"a": 1}], dtype=object))
    refused(tmp_path / "pickled.npz", FileError, "pickled objects are refused", genes_file=genes)
    np.save(tmp_path / "flat.npy", COUNTS.ravel())
    refused(tmp_path / "flat.npy", DataError, r"shape \(18,\)", genes_file=genes)
    np.save(tmp_path / "a.npy", COUNTS)
    refused(tmp_path / "a.npy", DataError, "names no genes: use --genes-file FILE")
    genes.write_text("G1\nG2\n")
    refused(tmp_path / "a.npy", DataError, "3 columns, but 2 genes are named", genes_file=genes)
    refused(
        tmp_path / "a.npy", FileError, "nogenes.txt does not exist: --genes-file", genes_file=tmp_path / "nogenes.txt"
    )
    np.savez(tmp_path / "nothing.npz", other=COUNTS)
    refused(tmp_path / "nothing.npz", DataError, "expected an array named X, found other")


def write_cycseq(root: Path, name: str, marked: int | None = None, genes: list[str] = GENES) -> None:
    frame = pd.DataFrame(COUNTS.T, index=genes, columns=CELLS)
    if marked is not None:
        frame.insert(0, "cls", np.eye(3, dtype=int)[marked])
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(root / name)


def test_cycseq_folders_that_contradict_themselves(tmp_path) -> None:
    write_cycseq(tmp_path / "marks", "b/G1.csv", marked=1)
    refused(tmp_path / "marks", DataError, "the name says perturbation 'G1', but column 'cls' marks 'G2'")
    write_cycseq(tmp_path / "depths", "b/G1.csv")
    write_cycseq(tmp_path / "depths", "b_control.csv")
    refused(tmp_path / "depths", FileError, "CSV files at several depths")
    write_cycseq(tmp_path / "genes", "b/G1.csv")
    write_cycseq(tmp_path / "genes", "b/control.csv", genes=["x", "y", "z"])
    refused(tmp_path / "genes", DataError, "the files have no gene in common")
    write_cycseq(tmp_path / "twice", "b/G1.csv", genes=["x", "x", "z"])
    refused(tmp_path / "twice", DataError, "holds a gene twice")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.obs.insert(0, "condition", ["ctrl", "A", "A"] * 100), "two obs columns may name the perturbation"),
        (lambda a: a.obs.__setitem__("perturbation", "G1"), "no control cells found"),
        (lambda a: a.obs.pop("perturbation"), "no obs column names the perturbation"),
        (lambda a: setattr(a, "obs", a.obs.assign(perturbation=a.obs["perturbation"].astype(str).mask(a.obs_names == "c0"))), "1 of 300 cells have no perturbation"),
        (lambda a: setattr(a, "obs_names", ["c1", *a.obs_names[1:]]), "1 cell has a name that already occurred"),
        (lambda a: setattr(a, "var_names", ["G1", "G1", "G3"]), "1 gene has a name that already occurred"),
        (lambda a: setattr(a, "X", -a.X), "negative"),
        (lambda a: setattr(a, "X", a.X * 1.3), "neither counts nor log1p"),
        (lambda a: a.X.data.__setitem__(0, np.nan), "NaN or infinite"),
        (lambda a: a.X.data.__setitem__(slice(0, 3), 0), "1 cell is empty"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*names are not unique")
def test_bad_data(h5ad: Path, change, message: str) -> None:
    adata = ad.read_h5ad(h5ad)
    adata.obs["perturbation"] = adata.obs["perturbation"].astype(str)
    change(adata)
    adata.write_h5ad(h5ad)
    refused(h5ad, DataError, message)


def test_log_data_said_to_be_counts(h5ad: Path) -> None:
    adata = ad.read_h5ad(h5ad)
    adata.X = adata.X.log1p()
    adata.write_h5ad(h5ad)
    refused(h5ad, DataError, "--scale counts was given, but the values look like log1p", scale="counts")


def test_unknown_column_names(h5ad: Path) -> None:
    refused(h5ad, DataError, "'celltype': did you mean 'cell_type'", context_key="celltype")


def test_a_context_of_one_cell_is_read(h5ad: Path) -> None:
    adata = ad.read_h5ad(h5ad)[:4].copy()
    adata.obs["cell_type"] = ["x", "x", "x", "lonely"]
    adata.write_h5ad(h5ad)
    data = read(h5ad)
    assert data.contexts == ("lonely", "x")
    with pytest.raises(DataError, match="no control cells in context 'lonely'"):
        data.require_controls()
    assert any("no control cells in context 'lonely'" in p.message for p in inspect_file(h5ad).problems)


def test_a_folder_of_which_a_part_is_gone_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_args: object) -> None:
        raise FileNotFoundError(2, "No such file or directory", str(tmp_path / "part"))

    (tmp_path / "part").mkdir()
    monkeypatch.setattr(Path, "glob", gone)
    with pytest.raises(FileError, match="cannot be searched"):
        read(tmp_path)
