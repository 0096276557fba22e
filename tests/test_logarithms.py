"""Which logarithm of what: told from sums of cells, or from steps where genes are missing; converted, or refused."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import cycseq
from cycseq.cli import BAD_INPUT, SUCCESS, main
from cycseq.data.logarithms import Logarithm, recognise, to_ln_per_10k
from cycseq.errors import DataError
from cycseq.formats.inspect import inspect_file
from cycseq.formats.readers import stored
from cycseq.matrix.stored import StoredMatrix

LOGS = {
    "ln": np.log1p,
    "log2": lambda u: np.log2(1 + u),
    "log10": lambda u: np.log10(1 + u),
    "ln twice": lambda u: np.log1p(np.log1p(u)),
    "none": np.asarray,
}


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    """300 cells x 600 genes of unequal depth."""
    rng = np.random.default_rng(3)
    share = rng.gamma(0.3, 1.0, 600)
    depth = rng.lognormal(np.log(3000), 0.5, 300)
    return rng.poisson(depth[:, None] * share / share.sum()).astype(np.float64)


def per(counts: np.ndarray, total: float | None) -> np.ndarray:
    """Normalised to a total, or to the median depth."""
    depth = counts.sum(axis=1, keepdims=True)
    return counts * (np.median(depth) if total is None else total) / depth


@pytest.mark.parametrize("total", [1e4, 1e6, None], ids=["per 10,000", "per million", "median"])
@pytest.mark.parametrize("name", LOGS)
@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix], ids=["dense", "sparse"])
def test_sums_tell_the_logarithm_and_the_total(counts, name: str, total: float | None, form) -> None:
    x = form(LOGS[name](per(counts, total)).astype(np.float32))
    found = recognise(x)
    assert (found.name, found.summed) == (name, True)
    assert found.total == pytest.approx(total or np.median(counts.sum(axis=1)), rel=1e-3)
    new = to_ln_per_10k(x, found)
    np.testing.assert_allclose(new.toarray() if sp.issparse(new) else new, np.log1p(per(counts, 1e4)), atol=2e-3)


@pytest.mark.parametrize("name", LOGS)
def test_steps_tell_the_logarithm_where_genes_are_missing(counts, name: str) -> None:
    some = np.random.default_rng(1).permutation(600)[:80]
    for total in (1e4, 1e6):
        found = recognise(LOGS[name](per(counts, total)[:, some]).astype(np.float32))
        assert found == Logarithm(name, total, other_total=total != 1e4)
    found = recognise(LOGS[name](per(counts, None)[:, some]).astype(np.float32))
    assert (found.name, found.total, found.other_total) == (name, None, True)


def test_values_that_are_no_counts_of_cells_tell_nothing(counts) -> None:
    x = np.log1p(per(counts, 1e4)).astype(np.float32)
    rng = np.random.default_rng(0)
    means = x[:280].reshape(28, 10, -1).mean(axis=1)
    predicted = x.mean(axis=0) * rng.uniform(0.95, 1.05, (60, 600))
    for values in (x * rng.uniform(0.9, 1.1, x.shape), means, predicted, np.repeat(x.mean(axis=0)[None], 50, axis=0),
                   rng.random((300, 2000)), x[:5], np.maximum(x - x.mean(axis=0), 0)):  # fmt: skip
        assert recognise(values.astype(np.float32)) == Logarithm()


@pytest.mark.parametrize("name", ["kang2018_pbmc_ifnb", "papalexi2021_thp1_eccite"])
def test_real_cells_are_recognised_with_some_genes_or_all(shared_data, name: str) -> None:
    data = cycseq.read(shared_data(f"{name}.h5ad"))
    for genes in (100, "all"):
        prepared = cycseq.prepare([data], cycseq.PrepareSettings(genes=genes))
        assert recognise(prepared.x).ours


def test_a_real_slice_of_500_genes_is_taken_as_it_is(shared_data) -> None:
    path = shared_data("norman2019_mcfaline2023_slice.h5ad")
    data = cycseq.read(path)
    assert any("ln(1 + counts per 10,000)" in note and "converted" not in note for note in data.notes)
    assert (data.x != ad.read_h5ad(path).X.astype(np.float32)).nnz == 0


def written(path: Path, x: np.ndarray, **more: object) -> Path:
    obs = pd.DataFrame(
        {"perturbation": ["control", "A", "B"] * (len(x) // 3), "cell_type": ["p"] * 150 + ["q"] * 150},
        index=[f"c{i}" for i in range(len(x))],
    )
    ad.AnnData(x.astype(np.float32), obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(x.shape[1])])).write_h5ad(
        path
    )
    return path


@pytest.mark.parametrize(("name", "total"), [("log2", 1e4), ("log2", 1e6), ("ln", None), ("ln", 1e6), ("log10", 1e4)])
def test_a_file_is_converted_and_that_is_said(
    counts, tmp_path: Path, monkeypatch, name: str, total: float | None
) -> None:
    path = written(tmp_path / "a.h5ad", LOGS[name](per(counts, total)))
    data = cycseq.read(path)
    np.testing.assert_allclose(np.asarray(data.x), np.log1p(per(counts, 1e4)), atol=2e-3)
    said = next(note for note in data.notes if note.startswith("scale"))
    assert f"{name}(1 + counts per " in said
    assert "converted to ln(1 + counts per 10,000)" in said
    assert said in inspect_file(path).text()
    monkeypatch.setattr(stored, "MIN_CELLS", 5)
    parts = cycseq.read(path, cycseq.ReadSettings(memory="2MiB"))
    assert isinstance(parts.x, StoredMatrix)
    np.testing.assert_array_equal(np.asarray(parts.x.compute()), np.asarray(data.x))
    assert parts.fingerprint() == data.fingerprint()


def test_what_was_said_is_held_against_the_values(counts, tmp_path: Path, capsys) -> None:
    ln, log2 = written(tmp_path / "ln.h5ad", np.log1p(per(counts, 1e4))), tmp_path / "log2.h5ad"
    written(log2, LOGS["log2"](per(counts, 1e4)))
    none = written(tmp_path / "none.h5ad", per(counts, 1e3))
    twice = written(tmp_path / "twice.h5ad", LOGS["ln twice"](per(counts, 1e4)))
    cases = [
        (ln, "log2", "--scale log2 was given, but the values are ln(1 + counts per 10,000). Use --scale log1p"),
        (log2, "log1p", "but the values are log2(1 + counts per 10,000). Use --scale log2"),
        (none, None, "counts per 1,000 without a logarithm. Use --scale normalised"),
        (twice, None, "log1p was taken twice"),
        (twice, "log1p", "log1p was taken twice"),
    ]
    for path, said, expected in cases:
        option = [] if said is None else ["--scale", said]
        capsys.readouterr()
        assert main(["prepare", str(path), "--genes", "all", "--out", str(tmp_path / "out.h5ad"), *option]) == BAD_INPUT
        err = capsys.readouterr().err
        assert expected in err
        assert err.count("\n") == 1
    for path, said in ((log2, "log2"), (none, "normalised"), (log2, None)):
        data = cycseq.read(path, cycseq.ReadSettings(scale=said))
        np.testing.assert_allclose(np.asarray(data.x), np.log1p(per(counts, 1e4)), atol=2e-3)


def test_log1p_said_keeps_another_total(counts, tmp_path: Path) -> None:
    path = written(tmp_path / "a.h5ad", np.log1p(per(counts, None)))
    kept = cycseq.read(path, cycseq.ReadSettings(scale="log1p"))
    np.testing.assert_allclose(np.asarray(kept.x), np.log1p(per(counts, None)), rtol=1e-6)
    assert kept.provenance()["target_sum"] == 0


def test_without_all_genes_an_unknown_total_stays_and_is_said(counts, tmp_path: Path) -> None:
    some = np.random.default_rng(1).permutation(600)[:80]
    data = cycseq.read(written(tmp_path / "a.h5ad", np.log1p(per(counts, None)[:, some])))
    assert any("the total is not 10,000 and cannot be told from these genes" in note for note in data.notes)
    two = cycseq.read(written(tmp_path / "b.h5ad", LOGS["log2"](per(counts, None)[:, some])))
    assert any("converted to natural logarithms" in note for note in two.notes)
    np.testing.assert_allclose(np.asarray(two.x), np.asarray(data.x), atol=1e-5)
    with pytest.raises(DataError, match="genes are missing"):
        cycseq.read(written(tmp_path / "c.h5ad", per(counts, None)[:, some]), cycseq.ReadSettings(scale="normalised"))


def test_prepared_files_stay_as_they_are(counts, tmp_path: Path) -> None:
    path = written(tmp_path / "a.h5ad", counts)
    words = f"prepare {path} --genes 50 --out {tmp_path}/b.h5ad"
    assert main(words.split()) == SUCCESS
    stored = ad.read_h5ad(tmp_path / "b.h5ad").X
    data = cycseq.read(tmp_path / "b.h5ad")
    np.testing.assert_array_equal(np.asarray(data.x), np.asarray(stored))


@pytest.mark.parametrize("name", ["ln", "log2", "log10"])
def test_logarithms_of_counts_that_were_not_normalised_are_normalised_cell_by_cell(counts, name: str) -> None:
    for genes in (slice(None), slice(0, 120)):
        x = LOGS[name](counts[:, genes]).astype(np.float32)
        found = recognise(x)
        assert found.of_counts
        assert found.in_words() == f"{name}(1 + counts), not normalised"
        np.testing.assert_allclose(to_ln_per_10k(x, found), np.log1p(per(counts[:, genes], 1e4)), atol=2e-3)
    assert not recognise(np.log1p(per(counts, 1e4)).astype(np.float32)).of_counts


def test_counts_of_equal_depth_are_counts(counts) -> None:
    """Drawn to one depth, some cells having fewer; and a table of means, none of which is 0."""
    rng = np.random.default_rng(0)
    equal = np.array([rng.multinomial(2000 if i % 9 else 1500, cell / cell.sum()) for i, cell in enumerate(counts)])
    obs = pd.DataFrame({"perturbation": ["control", "A", "B"] * 100}, index=[f"c{i}" for i in range(300)])
    assert cycseq.read(ad.AnnData(equal.astype(np.float32), obs=obs)).scale == "counts"
    means = np.log1p(per(counts, 1e4)) + 0.01 * rng.random(counts.shape)
    assert cycseq.read(ad.AnnData(means.astype(np.float32), obs=obs)).scale == "log1p"


@pytest.mark.parametrize(
    ("values", "message", "given"),
    [
        (lambda c: np.sqrt(np.minimum(c, 200)), "square roots of whole numbers", "log1p"),
        (lambda c: np.log1p(c) / np.log1p(c).max(axis=0).clip(1), "the largest is exactly 1", "log1p"),
        (lambda c: (c > 0).astype(float), "every value above 0 is 1", "counts"),
        (lambda c: np.rint(per(c, 1e6)), "the cells have nearly the same sums", "counts"),
        (
            lambda c: np.log2(1e6 * (c / c.sum(axis=1, keepdims=True) + 2 / c.sum(axis=1).mean())),
            "something was added to zero",
            "log1p",
        ),
        (lambda c: np.log1p(per(c, 1e4)) + 1, "something was added to zero counts", "log1p"),
    ],
    ids=["roots", "shares", "binary", "counts per million, rounded", "prior count", "shifted"],
)
def test_values_that_are_neither_counts_nor_logarithms(
    counts, tmp_path: Path, capsys, values, message: str, given: str
) -> None:
    """Each was taken for log1p, or for counts, without a word."""
    obs = pd.DataFrame({"perturbation": ["control", "A", "B"] * 100}, index=[f"c{i}" for i in range(300)])
    path = tmp_path / "cells.h5ad"
    ad.AnnData(
        values(counts).astype(np.float32), obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(600)])
    ).write_h5ad(path)
    assert main(["prepare", str(path), "--out", str(tmp_path / "prepared.h5ad")]) == BAD_INPUT
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert message in err
    assert cycseq.read(path, cycseq.ReadSettings(scale=given)).scale == given
