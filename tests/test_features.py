"""Features of genes: from files of any kind, from GO terms, from expression."""

import gzip

import numpy as np
import pandas as pd
import pytest

from cycseq.errors import DataError, FileError, ModelError
from cycseq.knowledge.features import Features, expression_features, go_features, read_features

VALUES = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.5]], dtype=np.float32)
NAMES = ("KLF1", "BAK1", "TP53")


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz", ".npz"])
def test_a_file_gives_what_was_written(tmp_path, suffix):
    path = tmp_path / f"features{suffix}"
    if suffix == ".npz":
        np.savez(path, genes=np.array(NAMES), features=VALUES)
    else:
        pd.DataFrame(VALUES, index=NAMES).to_csv(path, sep="\t" if suffix == ".tsv" else ",")
    found = read_features(path)
    assert found.names == NAMES
    np.testing.assert_array_equal(found.values, VALUES)
    assert path.name in found.source


def test_names_of_rows_without_a_heading_are_names(tmp_path):
    (tmp_path / "from_r.csv").write_text("a,b\nKLF1,1,2\nBAK1,3,4\n")
    found = read_features(tmp_path / "from_r.csv")
    assert found.names == ("KLF1", "BAK1")
    np.testing.assert_array_equal(found.values, [[1, 2], [3, 4]])


def test_a_file_that_changed_is_read_again(tmp_path):
    path = tmp_path / "f.csv"
    pd.DataFrame(VALUES, index=NAMES).to_csv(path)
    first = read_features(path)
    pd.DataFrame(VALUES * 2 + 0.25, index=NAMES).to_csv(path)
    np.testing.assert_array_equal(read_features(path).values, first.values * 2 + 0.25)


def test_a_combination_has_the_sum_of_its_parts_and_a_missing_part_is_named():
    features = Features(NAMES, VALUES, "the features of f.csv")
    np.testing.assert_allclose(features.of(["BAK1+KLF1", "TP53"]), [VALUES[0] + VALUES[1], VALUES[2]])
    assert features.missing("KLF1+MYC") == ("MYC",)
    with pytest.raises(ModelError, match=r"'KLF1\+MYC'.*'MYC' has no row in the features of f.csv.*--model.features"):
        features.of(["KLF1+MYC"])


def test_a_name_with_a_plus_may_be_listed_whole():
    features = Features(("IFN+", "A+B", "A", "B"), np.arange(4, dtype=np.float32)[:, None], "x")
    np.testing.assert_array_equal(features.of(["IFN+", "A+B"]), [[0], [1]])


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        ("gene,a\nKLF1,1\nKLF1,2\n", DataError, "1 gene twice .first: KLF1"),
        ("gene,a\nKLF1,1\nBAK1,\n", DataError, "1 genes .first: BAK1.*no finite number"),
        ("gene,a\nKLF1,big\n", DataError, "first: KLF1"),
        ("gene\nKLF1\n", DataError, "all columns are no finite number"),
        ("", FileError, "cannot be read as a table"),
        ("gene,a\nKLF1,1,2,3\nBAK1,1\n", DataError, "no finite number"),
        ("gene,a\nKLF1,1,2,3\nBAK1,1\nA,1,2,3,4,5\n", FileError, "cannot be read as a table"),
    ],
)
def test_a_bad_table_is_refused_in_one_line(tmp_path, text, error, match):
    (tmp_path / "f.csv").write_text(text)
    with pytest.raises(error, match=match) as caught:
        read_features(tmp_path / "f.csv")
    assert "\n" not in str(caught.value)


def test_a_missing_or_damaged_file_is_refused(tmp_path):
    with pytest.raises(FileError, match="does not exist"):
        read_features(tmp_path / "none.csv")
    (tmp_path / "f.npz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(FileError, match="holds `genes`"):
        read_features(tmp_path / "f.npz")
    np.savez(tmp_path / "g.npz", names=np.array(NAMES), features=VALUES)
    with pytest.raises(FileError, match="holds `genes`"):
        read_features(tmp_path / "g.npz")
    np.savez(tmp_path / "h.npz", genes=np.array(NAMES), features=VALUES[:2])
    with pytest.raises(DataError, match="3 genes: one row for each"):
        read_features(tmp_path / "h.npz")
    np.savez(tmp_path / "pickled.npz", genes=np.array(NAMES, dtype=object), features=VALUES)
    with pytest.raises(FileError, match="cannot be read"):
        read_features(tmp_path / "pickled.npz")


def test_go_features_keep_the_geometry_of_shared_terms(tmp_path):
    """With all components, inner products of rows are counts of shared terms."""
    rows = [("A", "1"), ("A", "2"), ("B", "1"), ("B", "2"), ("C", "3"), ("C", "4"), ("D", "4"), ("A", "1"), ("E", "5")]
    table = pd.DataFrame([(*row, "BP") for row in rows], columns=["symbol", "go_id", "ontology"])
    with gzip.open(tmp_path / "go.csv.gz", "wt") as file:
        table.to_csv(file, index=False)
    found = read_features(tmp_path / "go.csv.gz", n_components=4)
    assert found.names == ("A", "B", "C", "D", "E")
    products = found.values @ found.values.T
    np.testing.assert_allclose(
        products, [[2, 2, 0, 0, 0], [2, 2, 0, 0, 0], [0, 0, 2, 1, 0], [0, 0, 1, 1, 0], [0] * 4 + [1]], atol=1e-4
    )
    again = go_features(table, n_components=4, source="it")
    np.testing.assert_array_equal(again.values, found.values)
    with pytest.raises(DataError, match="too few"):
        go_features(table.iloc[:1], source="it")


def test_expression_features_are_principal_component_scores_of_the_genes():
    rng = np.random.default_rng(0)
    profiles = rng.normal(size=(6, 40)).astype(np.float32)
    found = expression_features(profiles, [f"G{i}" for i in range(40)], n_components=3)
    centred = profiles.T.astype(float) - profiles.mean(axis=1)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs(found.values), np.abs(u[:, :3] * s[:3]), atol=1e-4)
    assert expression_features(profiles[:2], [f"G{i}" for i in range(40)], n_components=10).values.shape == (40, 2)


def test_the_real_table_of_go_terms_knows_pathways(shared_data):
    found = read_features(shared_data("gene2go_human_withancestors_5to500.csv.gz"))
    assert found.values.shape[1] == 50
    x = found.of(["IFNGR1", "IFNGR2", "RPL3", "RPL4"])
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    cosine = x @ x.T
    assert min(cosine[0, 1], cosine[2, 3]) > cosine[:2, 2:].max() + 0.2
