"""Files that cycseq wrote and somebody changed: believed only as far as they are still what was written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from cycseq.cli import BAD_INPUT, SUCCESS, main
from cycseq.data.dataset import PerturbationData
from cycseq.errors import DataError
from cycseq.formats.read import read
from cycseq.formats.readers.stored import LABELS
from cycseq.formats.settings import ReadSettings
from cycseq.matrix.arrays import to_dense
from cycseq.matrix.stored import StoredMatrix
from cycseq.preparation.prepare import prepare
from cycseq.preparation.settings import PrepareSettings


def counts(cells_each: int = 60) -> PerturbationData:
    rows = [(c, p) for c in ("x", "y") for p in ("control", "A", "B+C") for _ in range(cells_each)]
    obs = pd.DataFrame(rows, columns=["context", "perturbation"], index=[f"c{i}" for i in range(len(rows))]).assign(
        batch="0"
    )
    x = np.random.default_rng(0).poisson(1.5, (len(rows), 40)).astype(np.float32)
    x[:, 0] += 1
    adata = ad.AnnData(sp.csr_matrix(x), obs=obs, var=pd.DataFrame(index=[f"G{i}" for i in range(40)]))
    return PerturbationData.from_anndata(adata)


@pytest.fixture(params=["h5ad", "zarr"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"p.{request.param}"
    prepare([counts()], PrepareSettings(genes="all")).write(path)
    return path


def edited(path: Path, change: Callable[[ad.AnnData], ad.AnnData | None]) -> Path:
    """A copy as h5ad that somebody changed."""
    adata = ad.read_zarr(path) if path.suffix == ".zarr" else ad.read_h5ad(path)
    adata.X = np.asarray(adata.X.todense()) if sp.issparse(adata.X) else adata.X
    after = change(adata)
    (adata if after is None else after).write_h5ad(path.with_name("edited.h5ad"))
    return path.with_name("edited.h5ad")


def z_scored(adata: ad.AnnData) -> None:
    adata.X = (adata.X - adata.X.mean(axis=0)) / (adata.X.std(axis=0) + 1e-6)


def restored(adata: ad.AnnData) -> None:
    adata.X = np.rint(np.expm1(adata.X) * adata.obs["total_counts"].to_numpy()[:, None] / 1e4).astype(np.float32)


def put(values: Callable[[np.ndarray], np.ndarray]) -> Callable[[ad.AnnData], None]:
    def change(adata: ad.AnnData) -> None:
        adata.X = values(adata.X).astype(np.float32)

    return change


def test_as_it_was_written(path: Path) -> None:
    data = read(path)
    assert "scale: log1p (as cycseq wrote it)" in data.notes
    assert "labels as cycseq wrote them" in data.notes
    assert "sample" not in data.adata.uns["cycseq"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (z_scored, "are not those that cycseq wrote into this file: some values are negative"),
        (put(np.expm1), "are not those that cycseq wrote into this file: the values are neither counts nor log1p"),
        (put(np.log1p), "are not those that cycseq wrote into this file: log1p was taken twice"),
        (put(lambda x: x * 0.5), "are not those that cycseq wrote .* use --scale log1p"),
        (put(lambda x: np.where(x < x.max(axis=1, keepdims=True), x / 2, x)), "not those that cycseq wrote"),
        (put(lambda x: x * np.where(np.arange(40) == 3, 50, 1)), "not those that cycseq wrote"),
    ],
)
def test_values_that_were_changed_are_refused(
    path: Path, change: Callable, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = edited(path, change)
    with pytest.raises(DataError, match=message):
        read(file)
    assert main(["split", "--data", str(file), "--out", str(file.with_suffix(".json"))]) == BAD_INPUT
    assert capsys.readouterr().err.count("\n") == 1


def test_values_of_one_context_that_were_changed(path: Path) -> None:
    def half(adata: ad.AnnData) -> None:
        values = np.array(adata.X)
        values[len(values) // 2 :] = np.log1p(values[len(values) // 2 :])
        adata.X = values

    with pytest.raises(DataError, match="not those that cycseq wrote"):
        read(edited(path, half))


def test_counts_put_back_are_read_as_counts(path: Path) -> None:
    data = read(edited(path, restored))
    assert data.scale == "counts"
    assert any("found from the values" in note and "not those that cycseq wrote" in note for note in data.notes)


def test_cells_and_genes_left_out_are_no_change(path: Path) -> None:
    for change in (
        lambda a: a[::3].copy(),
        lambda a: a[:, 5:].copy(),
        lambda a: a[a.obs["context"] == "y", ::2].copy(),
    ):
        assert "scale: log1p (as cycseq wrote it)" in read(edited(path, change)).notes


def test_who_knows_better_says_so(path: Path) -> None:
    file = edited(path, put(lambda x: x * 1.01))
    assert read(file, ReadSettings(scale="log1p")).scale == "log1p"
    words = ["prepare", str(file), "--scale", "log1p", "--genes", "all", "--out", str(path.with_name("again.h5ad"))]
    assert main(words) == SUCCESS
    assert "scale: log1p (as cycseq wrote it)" in read(path.with_name("again.h5ad")).notes


@pytest.mark.parametrize("column", ["perturbation", "context"])
@pytest.mark.parametrize("missing", [None, "", "unassigned"])
def test_labels_that_are_missing_are_refused(path: Path, column: str, missing: str | None) -> None:
    def change(adata: ad.AnnData) -> None:
        labels = adata.obs[column].astype(object)
        labels.iloc[[3, 70]] = missing
        adata.obs[column] = pd.Categorical(labels)

    file = edited(path, change)
    with pytest.raises(DataError, match=rf"2 of 360 cells have no {column} in obs\['{column}'\]"):
        read(file)
    assert read(file, ReadSettings(drop_unlabelled=True)).n_cells == 358


def test_labels_of_another_form_are_read_like_those_of_any_file(path: Path) -> None:
    def change(adata: ad.AnnData) -> None:
        adata.obs["perturbation"] = adata.obs["perturbation"].astype(str).replace("B+C", "C+B")

    assert read(edited(path, change)).perturbations == ("A", "B+C")


def test_more_cells_than_were_written(path: Path) -> None:
    def change(adata: ad.AnnData) -> ad.AnnData:
        other = adata.copy()
        other.obs_names = [f"{name}-2" for name in other.obs_names]
        other.X = np.log1p(other.X)
        return ad.concat([adata, other], uns_merge="first", merge="same")

    with pytest.raises(DataError, match="not those that cycseq wrote"):
        read(edited(path, change))


def test_cells_in_the_place_of_others(path: Path) -> None:
    def change(adata: ad.AnnData) -> ad.AnnData:
        others = adata[-10:].copy()
        others.obs_names = [f"{name}-2" for name in others.obs_names]
        others.X = np.expm1(others.X)
        return ad.concat([adata[:-10], others], uns_merge="first", merge="same")

    with pytest.raises(DataError, match="not those that cycseq wrote"):
        read(edited(path, change))


@pytest.mark.parametrize(
    ("names", "note"),
    [
        ({"A": "A_g1", "B+C": "A_g2"}, "labels look like guides: A_g1, A_g2 of A"),
        ({"control": "NTC"}, "control = 'NTC' (120 cells)"),
        ({"A": "non-targeting"}, "'non-targeting' looks like a control too: kept as a perturbation"),
        ({"A": "B+C", "B+C": "A"}, "perturbation <- obs['perturbation']; control = 'control'"),
    ],
)
def test_labels_that_were_changed_are_read_like_those_of_any_file(path: Path, names: dict, note: str) -> None:
    def change(adata: ad.AnnData) -> None:
        adata.obs["perturbation"] = adata.obs["perturbation"].astype(str).replace(names)

    notes = read(edited(path, change)).notes
    assert any("the labels are not those that cycseq wrote" in said for said in notes)
    assert any(note in said for said in notes), notes


def test_labels_of_controls_of_two_kinds_are_asked_for(path: Path) -> None:
    def change(adata: ad.AnnData) -> None:
        adata.obs["perturbation"] = adata.obs["perturbation"].astype(str).replace({"control": "DMSO", "A": "untreated"})

    with pytest.raises(DataError, match="labels of 2 kinds"):
        read(edited(path, change))


@pytest.mark.parametrize("odd", [np.array(["log1p", "x"]), 3, {"log1p": 1}])
def test_a_scale_that_is_no_text_is_none(path: Path, odd: object) -> None:
    file = edited(path, lambda adata: adata.uns["cycseq"].update(scale=odd))
    assert main(["inspect", str(file)]) == SUCCESS
    assert read(file).scale == "log1p"


def test_a_mark_without_a_sample_is_not_believed(path: Path) -> None:
    """As older versions wrote it, or somebody who wants to be believed."""

    def change(adata: ad.AnnData) -> None:
        z_scored(adata)
        adata.uns["cycseq"] = {"scale": "log1p"}

    with pytest.raises(DataError, match="some values are negative"):
        read(edited(path, change))


def test_a_damaged_sample_is_none(path: Path) -> None:
    for sample in (
        "[]",
        "{",
        '{"n_cells": 3, "values": [["c0"]]}',
        "null",
        '{"n_cells": "x", "values": [["c0", "G0", "a"]]}',
    ):

        def change(adata: ad.AnnData, sample: str = sample) -> None:
            adata.uns["cycseq"] = {"scale": "log1p", "sample": sample}

        assert any("found from the values" in note for note in read(edited(path, change)).notes)


def test_values_larger_than_memory_carry_a_sample(tmp_path: Path) -> None:
    pytest.importorskip("dask")
    cells = counts(500)
    cells.write(tmp_path / "counts.h5ad")
    little = ReadSettings(memory=str(int(3.5 * 8 * cells.x.nnz) + LABELS * cells.n_cells))
    stored = read(tmp_path / "counts.h5ad", little)
    assert isinstance(stored.x, StoredMatrix)
    prepare([stored], PrepareSettings(genes="all")).write(tmp_path / "a.h5ad")
    again = read(tmp_path / "a.h5ad", little)
    assert isinstance(again.x, StoredMatrix)
    assert "scale: log1p (as cycseq wrote it)" in again.notes

    def change(adata: ad.AnnData) -> None:
        adata.X = sp.csr_matrix(np.log1p(adata.X))

    with pytest.raises(DataError, match="not those that cycseq wrote"):
        read(edited(tmp_path / "a.h5ad", change), little)


def test_another_logarithm_is_told_and_converted(path: Path) -> None:
    data = read(edited(path, put(lambda x: x / np.log(2))))
    assert any("log2(1 + counts per 10,000), converted to ln" in note for note in data.notes)
    np.testing.assert_allclose(to_dense(data.x), to_dense(read(path).x), atol=1e-4)
