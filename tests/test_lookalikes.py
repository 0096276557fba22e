"""Values that resemble counts or their logarithm: each is refused by what it is, or read rightly, and nothing else is refused."""

from __future__ import annotations

from collections.abc import Callable

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

import cycseq
from cycseq.errors import DataError
from cycseq.formats.predicted import read_predicted


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    """300 cells x 600 genes of unequal depth; most genes have none in most cells."""
    rng = np.random.default_rng(4)
    share = rng.gamma(0.3, 1.0, 600)
    depth = rng.lognormal(np.log(1500), 0.4, 300)
    x = rng.poisson(depth[:, None] * share / share.sum()).astype(np.float64)
    return x[:, x.any(axis=0)]


def per(counts: np.ndarray, total: float | np.ndarray = 1e4) -> np.ndarray:
    return counts / counts.sum(axis=1, keepdims=True) * total


def ln(counts: np.ndarray, total: float | np.ndarray = 1e4) -> np.ndarray:
    return np.log1p(per(counts, total))


def joined(counts: np.ndarray, *makers: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The cells in as many parts, each made by another."""
    return np.vstack([make(part) for make, part in zip(makers, np.array_split(counts, len(makers)), strict=True)])


def idf(counts: np.ndarray) -> np.ndarray:
    return np.log(1 + len(counts) / (counts > 0).sum(axis=0))


def read(values: np.ndarray, **settings: str) -> cycseq.PerturbationData:
    obs = pd.DataFrame({"perturbation": np.resize(["control", "A", "B"], len(values))}, index=[f"c{i}" for i in range(len(values))])  # fmt: skip
    var = pd.DataFrame(index=[f"g{i}" for i in range(values.shape[1])])
    return cycseq.read(ad.AnnData(values.astype(np.float32), obs=obs, var=var), cycseq.ReadSettings(**settings))


WRONG: dict[str, tuple[Callable, str]] = {
    "asinh of counts": (np.arcsinh, "asinh of whole numbers"),
    "asinh": (lambda c: np.arcsinh(per(c)), "asinh of counts x a factor of each cell"),
    "square roots": (lambda c: np.sqrt(per(c, 1e3)), "square roots of counts x a factor"),
    "Freeman-Tukey": (lambda c: np.sqrt(c) + np.sqrt(c + 1) - 1, "Freeman-Tukey's square roots of whole numbers"),
    "acosh": (lambda c: np.arccosh(1 + per(c, 10)), "stand on steps, as counts do, but no logarithm"),
    "a logarithm times 2": (lambda c: 2 * ln(c) / np.log(10), "stand on steps, as counts do, but no logarithm"),
    "TF-IDF": (lambda c: per(c, 1) * idf(c), "multiplied by a factor of its own (TF-IDF"),
    "TF-IDF, then a logarithm": (lambda c: np.log1p(per(c) * idf(c)), "multiplied by a factor of its own"),
    "a logarithm, then IDF": (lambda c: ln(c, 100) * idf(c), "multiplied by a factor of its own"),
    "a logarithm, divided by each gene's largest": (lambda c: ln(c) / ln(c).max(axis=0) * 10, "a factor of its own"),
    "Seurat's CLR of genes": (lambda c: np.log1p(c / np.exp(np.log1p(c).mean(axis=0))), "a factor of its own"),
    "ranks": (lambda c: rankdata(c, axis=1), "ranks of its genes"),
    "ranks in order": (lambda c: rankdata(c, axis=1, method="ordinal"), "ranks of its genes"),
    "ranks of the genes that were seen": (lambda c: np.where(c > 0, rankdata(c, axis=1) - (c == 0).sum(1, keepdims=True), 0), "ranks of its genes"),
    "shares of ranks": (lambda c: rankdata(c, axis=1) / c.shape[1], "ranks of its genes|largest is exactly 1"),
    "counts and 1": (lambda c: c + 1, "smallest of every cell is 1, in many genes"),
    "logarithms x 100, rounded": (lambda c: np.rint(100 * ln(c)), "multiplied and rounded"),
    "ln and log2": (lambda c: joined(c, ln, lambda p: ln(p) / np.log(2)), "the cells are on several scales"),
    "ln, and log2 of a few": (lambda c: joined(c, *[ln] * 9, lambda p: ln(p) / np.log(2)), "several scales.*log2"),
    "ln, and ln twice": (lambda c: joined(c, ln, lambda p: np.log1p(ln(p))), "several scales"),
    "ln and counts": (lambda c: joined(c, ln, np.asarray), "several scales.*counts"),
    "shallow counts, and ln": (lambda c: joined(np.minimum(c, 9), np.asarray, ln), "several scales.*counts"),
    "counts, and counts per million": (lambda c: joined(c, np.asarray, lambda p: np.rint(per(p, 1e6))), "normalised and rounded, and others were not"),
    "the mean of three cells": (lambda c: (c + np.roll(c, 1, 0) + np.roll(c, 2, 0)) / 3, "without a logarithm. Give counts"),
    "centred logarithms (CLR)": (lambda c: np.log1p(c) - np.log1p(c).mean(axis=1, keepdims=True), "some values are negative"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "message"), WRONG.values(), ids=WRONG)
def test_what_resembles_counts_or_logarithms_is_refused(counts, make: Callable, message: str) -> None:
    """Most of these were read as log1p or counts without a word."""
    with pytest.raises(DataError, match=message.replace("(", r"\(")) as err:
        read(make(counts))
    assert "\n" not in str(err.value)
    assert "Give" in str(err.value) or "--scale" in str(err.value)
    if err.value.option and err.value.option.startswith("--scale"):  # whoever knows better is believed
        scale = err.value.option.removeprefix("--scale ")
        assert read(make(counts), scale=scale).scale == {"normalised": "log1p"}.get(scale, scale)


@pytest.mark.parametrize("total", [3e3, 1e6])
def test_data_sets_that_were_normalised_apart_are_brought_to_one_total(counts, total: float) -> None:
    for log in (np.log1p, np.log2):
        values = joined(counts, *(lambda p, t=t, log=log: log(per(p, t) + (log is np.log2)) for t in (1e4, total)))
        data = read(values)
        assert any(f"or {total:,.0f}" in note or f"per {total:,.0f} or 10,000" in note for note in data.notes)
        np.testing.assert_allclose(np.asarray(data.x), ln(counts), atol=2e-3)
    few = joined(counts, *[ln] * 24, lambda p: ln(p, total))
    np.testing.assert_allclose(np.asarray(read(few).x), ln(counts), atol=2e-3)
    as_given = read(few, scale="log1p")
    assert as_given.provenance()["target_sum"] == 0
    np.testing.assert_array_equal(np.asarray(as_given.x), few.astype(np.float32))


def smooth(counts: np.ndarray) -> np.ndarray:
    near = np.exp(-(np.subtract.outer(np.arange(len(counts)), np.arange(len(counts))) ** 2) / 8)
    return near / near.sum(axis=1, keepdims=True) @ ln(counts)


def of_few_genes(values: np.ndarray) -> np.ndarray:
    return values[:, np.argsort(-values.mean(axis=0), kind="stable")[:120]]


def with_merged_genes(values: np.ndarray) -> np.ndarray:
    """As where two identifiers of a gene were merged after the logarithm."""
    merged = values.copy()
    merged[:, 0] += merged[:, 1]
    merged[:, 2] = (merged[:, 2] + merged[:, 3]) / 2
    return merged


RIGHT: dict[str, tuple[Callable, str]] = {
    "counts": (np.asarray, "counts"),
    "shallow counts": (lambda c: np.minimum(c, 3), "counts"),
    "counts of few genes": (lambda c: c[:, np.argsort(-c.mean(axis=0))[:12]], "counts"),
    "sums of cells": (lambda c: c.reshape(-1, 20, c.shape[1]).sum(axis=1), "counts"),
    "sums of cells, of genes with 10 or more": (lambda c: (s := c.reshape(-1, 20, c.shape[1]).sum(axis=1))[:, (s >= 10).sum(axis=0) >= 3], "counts"),
    "counts of uniform genes": (lambda c: np.random.default_rng(0).poisson(20, c.shape), "counts"),
    "any whole numbers": (lambda c: np.random.default_rng(0).integers(0, 50, c.shape), "counts"),
    "logarithms": (ln, "log1p"),
    "logarithms of few genes": (lambda c: of_few_genes(ln(c)), "log1p"),
    "logarithms of few genes with 2 decimals": (lambda c: of_few_genes(ln(c)).round(2), "log1p"),
    "logarithms of few genes in half precision": (lambda c: of_few_genes(ln(c)).astype(np.float16), "log1p"),
    "logarithms, some genes merged": (lambda c: of_few_genes(with_merged_genes(ln(c))), "log1p"),
    "logarithms with size factors": (lambda c: np.log1p(c / np.random.default_rng(0).lognormal(0, 0.3, (len(c), 1))), "log1p"),
    "means of logarithms": (lambda c: ln(c).reshape(-1, 10, c.shape[1]).mean(axis=1), "log1p"),
    "smoothed logarithms": (smooth, "log1p"),
    "smoothed logarithms of few genes": (lambda c: of_few_genes(smooth(c)), "log1p"),
    "shifted logarithms": (lambda c: np.maximum(0, ln(c) + np.random.default_rng(0).normal(0, 0.3, c.shape[1]) * (c > 0)), "log1p"),
    "microarrays": (lambda c: np.random.default_rng(0).normal(7, 2, (60, 300)).clip(2, 14), "log1p"),
    "logarithms with ambient RNA subtracted": (lambda c: of_few_genes(ln(np.maximum(0, c - 0.05 * c.mean(axis=0)) + 1e-9)), "log1p"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "scale"), RIGHT.values(), ids=RIGHT)
def test_what_is_right_stays_right(counts, make: Callable, scale: str) -> None:
    assert read(make(counts)).scale == scale


@pytest.mark.parametrize("name", ["kang2018_pbmc_ifnb", "papalexi2021_thp1_eccite", "norman2019_mcfaline2023_slice"])
def test_real_cells_of_one_kind_stay_so(shared_data, name: str) -> None:
    data = cycseq.read(shared_data(f"{name}.h5ad"))
    log1p = cycseq.prepare([data], cycseq.PrepareSettings(genes="all")).x if data.scale == "counts" else data.x
    values = np.asarray(log1p[:: max(1, data.n_cells // 500)].todense())
    assert read(values).scale == "log1p"
    half = len(values) // 2
    with pytest.raises(DataError, match="several scales"):
        read(np.vstack([values[:half], values[half:] / np.log(2)]))


@pytest.mark.parametrize("factor", [2 / np.log(10), np.linspace(0.5, 1.5, 550)], ids=["of all genes", "of each gene"])
def test_predictions_that_were_made_of_real_cells_are_compared(counts, factor) -> None:
    real = read(ln(counts))
    values = (ln(counts) * factor).astype("f4")
    with pytest.raises(DataError, match=r"stand on steps|factor of its own"):
        read(values)
    predicted = read_predicted(
        ad.AnnData(values, obs=real.adata.obs[["perturbation"]].copy(), var=pd.DataFrame(index=real.genes)),
        cycseq.ReadSettings(),
        real,
    )
    np.testing.assert_array_equal(np.asarray(predicted.x), values)
    assert any("as the real cells" in note for note in predicted.notes)
