"""Effects of others' AnnData: told from cells, labels, doses, times, scale, replicates."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from cycseq.data.condition import Condition
from cycseq.errors import DataError
from cycseq.formats.effects.kind import is_effects
from cycseq.formats.effects.read import read_effects
from cycseq.formats.read import read
from cycseq.formats.settings import ReadSettings

LOG2 = "log2 fold change vs vehicle"


def stranger(n: int = 6, genes: int = 60, *, scale: str | None = LOG2, **obs: object) -> ad.AnnData:
    """A table of effects as others write it: two drugs in three contexts."""
    rng = np.random.default_rng(0)
    labels = {"perturbation": ["a", "b"] * (n // 2), "context": np.repeat(["x", "y", "z"], 2)[:n], **obs}
    adata = ad.AnnData(
        rng.normal(size=(n, genes)).astype(np.float32),
        obs=pd.DataFrame(labels, index=[f"row{i}" for i in range(n)]),
        var=pd.DataFrame(index=[f"G{i}" for i in range(genes)]),
    )
    if scale is not None:
        adata.uns["scale"] = scale
    return adata


def names(adata: ad.AnnData, **settings: object) -> list[str]:
    return [c.perturbation for c in read_effects(adata, ReadSettings(**settings)).conditions()]


@pytest.mark.parametrize(
    ("name", "scale", "shape", "condition"),
    [
        ("op3_pbmc_drugs_rank", "rank", (376, 6349), "NK:ABT-199 (GDC-0199)"),
        ("replogle2022_k562_rpe1_uprank", "rank", (762, 7225), "RPE1:ABCE1"),
        ("sciplex3_lines_drugs_rank", "rank", (161, 6299), "A549:g(+)-JQ1"),
        ("l1000_drugs_lines_modz", "z", (219, 978), "A375:atorvastatin@10uM@6h"),
        ("cd4_polarization_lfc_se", "log_fold_change", (4, 10000), "primary human CD4 T:Th2"),
        ("gse147507_virus_lines_lfc", "log_fold_change", (10, 19931), "Calu3:SARS-CoV-2"),
        ("tahoe_drugs_lines_rank_TRAP", "rank", (5096, 800), "a498:Adenine"),
    ],
)
def test_real_tables_are_read_without_an_option(shared_data, name, scale, shape, condition) -> None:
    path = shared_data(f"effects/{name}.h5ad")
    assert is_effects(path)
    effects = read_effects(path)
    assert (effects.scale, effects.effect.shape) == (scale, shape)
    assert Condition.parse(condition) in effects.conditions()


@pytest.mark.parametrize(
    "name", ["effects/tggates_hepatocyte_dose_time", "kang2018_pbmc_ifnb", "norman2019_mcfaline2023_slice"]
)
def test_cells_and_samples_are_no_effects(shared_data, name) -> None:
    assert not is_effects(shared_data(f"{name}.h5ad"))


def test_who_reads_effects_as_cells_is_told_what_reads_them(tmp_path: Path) -> None:
    stranger().write_h5ad(tmp_path / "effects.h5ad")
    with pytest.raises(DataError, match=r"holds effects of conditions, not cells.*read_effects"):
        read(tmp_path / "effects.h5ad")
    read_effects(tmp_path / "effects.h5ad").write(tmp_path / "ours.h5ad")
    with pytest.raises(DataError, match="this AnnData holds effects"):
        read(ad.read_h5ad(tmp_path / "ours.h5ad"))


def test_what_the_file_does_not_say_its_values_may_tell(tmp_path: Path) -> None:
    effects, cells = stranger(scale=None), stranger(scale=None, perturbation=["a", "control"] * 3)
    levels = stranger(scale=None)
    levels.X = np.abs(levels.X)
    scaled_cells = ad.concat([stranger(scale=None)] * 4, index_unique="-")
    for adata, expected in ((effects, True), (cells, False), (levels, False), (scaled_cells, False)):
        adata.write_h5ad(tmp_path / "x.h5ad")
        assert is_effects(tmp_path / "x.h5ad") is expected
        assert not is_effects(tmp_path / "x.h5ad", ReadSettings(kind="cells"))
    effects.write_zarr(tmp_path / "x.zarr")
    assert is_effects(tmp_path / "x.zarr")


SENTENCES = (
    "Frank et al. 2021, counts",
    "cells; genes ranked by variance",
    "scaled to z-scores for plots; X are counts",
)


@pytest.mark.parametrize("name", ["description", "scale"])
@pytest.mark.parametrize("text", SENTENCES)
def test_cells_stay_cells_whatever_is_said_of_them(tmp_path: Path, name, text) -> None:
    cells = ad.concat([stranger(scale=None, perturbation=["a", "b", "control"] * 2)] * 5, index_unique="-")
    counts = ad.AnnData(np.abs(np.round(cells.X)), cells.obs, cells.var, uns={name: text})
    unperturbed = counts[(counts.obs["perturbation"] != "control").to_numpy()].copy()
    unperturbed.obs["cell_id"] = unperturbed.obs_names  # tells no cell line
    for adata in (counts, unperturbed):
        adata.write_h5ad(tmp_path / "x.h5ad")
        assert not is_effects(tmp_path / "x.h5ad")


def test_a_description_of_effects_tells_no_scale() -> None:
    adata = stranger(scale=None)
    adata.uns["description"] = "Frank et al. 2021; genes ranked by variance"
    with pytest.raises(DataError, match="scale of the effects cannot be determined"):
        read_effects(adata)


def test_ours_come_back_as_they_were(tmp_path: Path) -> None:
    made = read_effects(stranger(dose=["Low", "High"] * 3, batch=list("ababab")))
    for name in ("e.h5ad", "e.zarr"):
        made.write(tmp_path / name)
        assert is_effects(tmp_path / name)
        again = read_effects(tmp_path / name)
        assert again.fingerprint() == made.fingerprint()
        assert again.adata.obs["dose"].cat.categories.tolist() == ["", "Low", "High"]
    altered = ad.read_h5ad(tmp_path / "e.h5ad")
    del altered.obs["dose"]
    with pytest.raises(DataError, match="obs lacks dose"):
        read_effects(altered)


@pytest.mark.parametrize(
    ("text", "scale", "factor"),
    [
        ("log2 fold change", "log_fold_change", np.log(2)),
        ("DESeq2 LFC", "log_fold_change", np.log(2)),
        ("avg_log2FC", "log_fold_change", np.log(2)),
        ("natural log fold change", "log_fold_change", 1.0),
        ("log10 fold change", "log_fold_change", np.log(10)),
        ("moderated z-scores", "z", 1.0),
        ("rank of the log2 fold change", "rank", 1.0),
        ("difference of mean log1p CP10k", "log1p", 1.0),
    ],
)
def test_scale_is_what_the_file_says(text, scale, factor) -> None:
    adata = stranger(scale=text)
    effects = read_effects(adata)
    assert effects.scale == scale
    np.testing.assert_allclose(effects.effect, adata.X * factor, rtol=1e-6)
    assert any(note.startswith(f"scale: {scale}") and text in note for note in effects.notes)


@pytest.mark.parametrize("text", ["signed -log10 p", "sign(logFC) x -log10(p)", "clipped_sign_log10_pval"])
def test_signed_p_values_become_z_scores(text) -> None:
    adata = stranger(scale=text)
    adata.X[:] = np.array([-np.log10(0.05), np.log10(0.05), 0.0] * 20, dtype=np.float32)
    effects = read_effects(adata)
    assert effects.scale == "z"
    np.testing.assert_allclose(effects.effect[0, :3], [1.959964, -1.959964, 0.0], atol=1e-5)


@pytest.mark.parametrize("text", [None, "log fold change", "lfc", "logFC", "Frank et al.", "something"])
def test_a_scale_that_is_not_certain_is_asked_for(text) -> None:
    with pytest.raises(DataError, match=r"--scale log2_fold_change.*--scale rank") as raised:
        read_effects(stranger(scale=text))
    assert raised.value.option.startswith("--scale")
    assert read_effects(stranger(scale=text), ReadSettings(scale="z")).scale == "z"
    with pytest.raises(DataError, match="--scale counts is not a scale of effects"):
        read_effects(stranger(scale=text), ReadSettings(scale="counts"))


def test_ranks_without_a_word_are_told_by_their_values() -> None:
    adata = stranger(scale=None)
    adata.X[:] = np.argsort(np.argsort(adata.X, axis=1), axis=1)
    assert read_effects(sparse(adata)).scale == "rank"


def sparse(adata: ad.AnnData) -> ad.AnnData:
    adata.X = sp.csr_matrix(adata.X)
    return adata


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"dose": ["10 µM", "100 nM"] * 3}, ["a@10uM", "b@0.1uM"]),
        ({"dose": ["100nM", "1 uM"] * 3, "time": ["6 h", "6 h", "2 days", "2 days", "6", "6"]}, ["a@0.1uM@6h", "b@1uM@6h", "a@0.1uM@48h", "b@1uM@48h"]),
        ({"dose_value": [10, 100] * 3, "dose_unit": ["nM"] * 6}, ["a@10nM", "b@100nM"]),
        ({"dose_uM": [0.5, 100] * 3}, ["a@0.5uM", "b@100uM"]),
        ({"dose_level": ["Low", "High"] * 3}, ["a@Low", "b@High"]),
        ({"dose": ["10 uM"] * 6, "time": ["24 h"] * 6}, ["a", "b"]),
        ({"day": [1, 2] * 3}, ["a@24h", "b@48h"]),
        ({"perturbation": ["a 1 uM", "a_10uM_24h"] * 3}, ["a@1uM", "a@10uM"]),
    ],
)  # fmt: skip
def test_doses_and_times_are_parts_of_the_condition_where_there_are_several(columns, expected) -> None:
    assert names(stranger(**columns))[: len(expected)] == expected


def test_doses_have_numbers_and_an_order() -> None:
    effects = read_effects(
        stranger(dose_level=["Middle", "High"] * 2 + ["Low", "High"], concentration=[2, 3, 2, 3, 1, 3])
    )
    obs = effects.adata.obs
    assert obs["dose"].cat.categories.tolist() == ["", "Low", "Middle", "High"]
    assert obs["dose_value"].tolist() == [2, 3, 2, 3, 1, 3]
    assert names(stranger(dose_level=["Low", "High"] * 3), doses="pool") == ["a", "b"] * 3


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"dose": [1.0, 2.0] * 3}, r"the doses in obs\['dose'\] have no unit \(1, 2\): use --dose-unit uM"),
        ({"dose": ["1 uM", "2 mg/kg"] * 3}, "1uM .molar. and 2mg/kg .mass in body mass.*--doses pool"),
        ({"dose": ["1 uM", "Low"] * 3}, "doses such as 1uM and also 'Low'"),
        ({"perturbation": ["a", ""] * 3}, "3 of 6 rows have no perturbation.*--drop-unlabelled true"),
        ({"perturbation": ["a", "b\x1b"] * 3}, "control characters"),
        ({"perturbation": ["DMSO"] * 6}, "no row holds an effect"),
    ],
)
def test_labels_and_doses_that_cannot_be_read(columns, message) -> None:
    with pytest.raises(DataError, match=message):
        read_effects(stranger(**columns))
    assert "\n" not in message


def test_a_unit_can_be_said() -> None:
    assert names(stranger(dose=[1.0, 2.0] * 3), dose_unit="mg/kg")[:2] == ["a@1mg/kg", "b@2mg/kg"]


def test_rows_of_controls_and_rows_without_values_are_left_out() -> None:
    adata = stranger(perturbation=["a", "DMSO", "a", "b", "a", "b"], dose=["1 nM", "0 nM"] + ["2 nM", "1 nM"] * 2)
    adata.X[3] = np.nan
    effects = read_effects(adata)
    assert [str(c) for c in effects.conditions()] == ["x:a@1nM", "y:a@2nM", "z:a@2nM", "z:b@1nM"]
    assert {"1 row of controls was left out", "1 row in which no gene was measured was left out"} <= {*effects.notes}
    adata.X[2:4] = np.nan
    with pytest.raises(DataError, match="nothing was measured in context 'y'"):
        read_effects(adata)


def test_no_column_of_perturbations() -> None:
    adata = stranger()
    adata.obs.columns = ["what", "context"]
    with pytest.raises(DataError, match=r"no obs column names the perturbation.*--perturbation-key"):
        read_effects(adata)
    assert names(adata, perturbation_key="what")[:2] == ["a", "b"]
    del adata.obs["context"]
    assert read_effects(adata, ReadSettings(perturbation_key="what", context_name="PBMC")).contexts == ("PBMC",)


def test_replicates_become_their_mean_with_an_error_from_their_spread() -> None:
    rng, sd = np.random.default_rng(1), np.linspace(0.5, 2.0, 60)
    adata = ad.concat([stranger(batch=[f"b{i}"] * 6) for i in range(4)], index_unique="-", uns_merge="same")
    adata.X = (np.tile(stranger().X, (4, 1)) + rng.normal(size=adata.shape) * sd).astype(np.float32)
    effects = read_effects(adata)
    assert effects.effect.shape == (6, 60)
    np.testing.assert_allclose(effects.effect[1], adata.X[1::6].mean(axis=0) * np.log(2), rtol=1e-4, atol=1e-6)
    error = effects.layer("se").mean(axis=0) * 2 / np.log(2)  # of a mean of four
    assert np.corrcoef(error, sd)[0, 1] > 0.7
    assert abs(error.mean() / sd.mean() - 1) < 0.15
    assert effects.adata.obs["batch"].iloc[0] == "b0|b1|b2|b3"


def test_errors_of_rows_are_carried_through_and_raised_where_rows_differ_more() -> None:
    adata = ad.concat([stranger(), stranger()], index_unique="-", uns_merge="same")
    adata.layers["lfcSE"] = np.full(adata.shape, 0.2, dtype=np.float32)
    same = read_effects(adata)
    np.testing.assert_allclose(same.layer("se"), np.log(2) * 0.2 / np.sqrt(2), rtol=1e-5)
    adata.X[:6] += np.float32(2.0)
    raised = read_effects(adata)
    assert (raised.layer("se") > 4 * same.layer("se")).all()
    assert any("raised x" in note for note in raised.notes)


def test_genes_that_some_rows_lack_are_averaged_over_the_others() -> None:
    adata = ad.concat([stranger(), stranger()], index_unique="-", uns_merge="same")
    adata.X[0, 0], adata.X[1, 1], adata.X[7, 1] = np.nan, np.nan, np.nan
    effects = read_effects(adata)
    assert np.isfinite(effects.effect[0, 0])
    assert np.isnan(effects.effect[1, 1])
