"""Predictions as other tools write them are compared as they are."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from cycseq.cli import BAD_INPUT, SUCCESS, main
from cycseq.data.dataset import PerturbationData
from cycseq.errors import DataError
from cycseq.formats.load import load
from cycseq.formats.predicted import read_predicted
from cycseq.formats.read import read
from cycseq.formats.settings import ReadSettings
from cycseq.formats.write import write_as
from cycseq.score.evaluate import evaluate
from cycseq.score.settings import EvaluateSettings


def real_file(data: PerturbationData, tmp_path: Path) -> Path:
    data.write(tmp_path / "real.h5ad")
    return tmp_path / "real.h5ad"


def scores(tmp_path: Path, words: str) -> pd.Series:
    """Every metric of every condition, as the command line writes it."""
    assert (
        main(f"evaluate --metrics means --keep-target true --out {tmp_path}/m.csv --overwrite {words}".split())
        == SUCCESS
    )
    table = pd.read_csv(tmp_path / "m.csv")
    return table.set_index(["context", "perturbation", "metric"])["value"]


def predicted_x(data: PerturbationData) -> np.ndarray:
    """A prediction: the real values, a tenth smaller."""
    return (data.x.toarray() * 0.9).astype(np.float32)


@pytest.fixture
def expected(small_data: PerturbationData, tmp_path: Path) -> pd.Series:
    """The scores of this prediction, in Python; the real cells lie in real.h5ad."""
    real_file(small_data, tmp_path)
    obs = small_data.adata.obs[["context", "perturbation", "batch"]]
    predicted = PerturbationData(ad.AnnData(predicted_x(small_data), obs=obs, var=small_data.adata.var), "log1p")
    table = evaluate(predicted, small_data, settings=EvaluateSettings(metrics="means", keep_target=True))
    return table.set_index(["context", "perturbation", "metric"])["value"]


def check_scores(found: pd.Series, expected: pd.Series) -> None:
    assert len(found) == len(expected)
    np.testing.assert_allclose(found[expected.index], expected, rtol=1e-5, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("layout", ["gears", "perturbench", "cell-load", "cpa", "pertpy"])
@pytest.mark.parametrize("with_controls", [True, False])
def test_predictions_under_other_tools_labels(small_data, tmp_path, expected, layout, with_controls) -> None:
    obs = small_data.adata.obs[["context", "perturbation", "batch"]]
    cells = PerturbationData(ad.AnnData(predicted_x(small_data), obs=obs, var=small_data.adata.var), "log1p")
    if not with_controls:
        cells = cells.subset(c for c in cells.conditions() if not c.is_control)
    write_as(cells, layout, tmp_path / "theirs.h5ad")
    check_scores(scores(tmp_path, f"--predicted {tmp_path}/theirs.h5ad --real {tmp_path}/real.h5ad"), expected)


def test_states_predictions_whose_genes_are_numbers(small_data, tmp_path, expected, capsys) -> None:
    """`state tx predict` writes adata_pred.h5ad and adata_real.h5ad without names of genes."""
    obs = pd.DataFrame(
        {"gene": small_data.adata.obs["perturbation"].astype(str).replace("control", "non-targeting").to_numpy(),
         "cell_type": small_data.adata.obs["context"].astype(str).to_numpy(), "gem_group": "1"},
        index=[str(i) for i in range(small_data.n_cells)],
    )  # fmt: skip
    ad.AnnData(predicted_x(small_data), obs=obs).write_h5ad(tmp_path / "adata_pred.h5ad")
    ad.AnnData(small_data.x.toarray(), obs=obs).write_h5ad(tmp_path / "adata_real.h5ad")
    pair = scores(tmp_path, f"--predicted {tmp_path}/adata_pred.h5ad --real {tmp_path}/adata_real.h5ad")
    assert "perturbation <- obs['gene']; control = 'non-targeting'" in capsys.readouterr().out
    check_scores(pair, expected)
    own = f"--predicted {tmp_path}/adata_pred.h5ad --real {tmp_path}/real.h5ad"
    assert main(f"evaluate --out {tmp_path}/x.csv {own}".split()) == BAD_INPUT
    assert "numbers instead of names" in capsys.readouterr().err
    (tmp_path / "genes.txt").write_text("\n".join(small_data.genes))
    check_scores(scores(tmp_path, f"{own} --genes-file {tmp_path}/genes.txt"), expected)
    (tmp_path / "genes.txt").write_text("\n".join(small_data.genes[1:]))
    assert main(f"evaluate --out {tmp_path}/x.csv {own} --genes-file {tmp_path}/genes.txt".split()) == BAD_INPUT
    assert "names 59 genes, but there are 60" in capsys.readouterr().err


def test_cpas_predictions_lie_in_obsm(small_data, tmp_path, expected, capsys) -> None:
    """CPA.predict leaves X as it was, and writes `obsm["CPA_pred"]`."""
    write_as(small_data, "cpa", tmp_path / "cpa.h5ad")
    adata = ad.read_h5ad(tmp_path / "cpa.h5ad")
    adata.obsm["CPA_pred"] = predicted_x(small_data)
    adata.obsm["X_hvg"] = predicted_x(small_data)[:, :30]
    adata.uns["X_hvg_var_names"] = np.array(small_data.genes[:30])
    adata.write_h5ad(tmp_path / "cpa.h5ad")
    words = f"--predicted {tmp_path}/cpa.h5ad --real {tmp_path}/real.h5ad --layer"
    check_scores(scores(tmp_path, f"{words} obsm/CPA_pred"), expected)
    assert (
        load(tmp_path / "cpa.h5ad", ReadSettings(layer="obsm/X_hvg")).adata.var_names.tolist() == small_data.genes[:30]
    )
    assert main(f"evaluate --out {tmp_path}/x.csv {words} obsm/CPA".split()) == BAD_INPUT
    assert "did you mean 'obsm/CPA_pred'" in capsys.readouterr().err


def test_scgens_predictions_bear_the_names_of_control_cells_and_fall_below_zero(small_data, tmp_path, capsys) -> None:
    """scGen returns the control cells' obs; its last layer is linear."""
    real = read(real_file(small_data, tmp_path))
    controls = small_data.controls(["K562"]).adata
    values = controls.X.toarray() + np.random.default_rng(0).normal(0, 0.05, controls.shape).astype(np.float32)
    obs = pd.DataFrame({"label": "G1", "cell_type": "K562"}, index=controls.obs_names)
    ad.AnnData(values, obs=obs, var=controls.var).write_h5ad(tmp_path / "scgen.h5ad")
    assert (values < 0).any()
    found = read_predicted(tmp_path / "scgen.h5ad", ReadSettings(), real)
    assert found.scale == "log1p"
    np.testing.assert_array_equal(found.x, values)
    assert scores(tmp_path, f"--predicted {tmp_path}/scgen.h5ad --real {tmp_path}/real.h5ad").notna().any()
    assert "are below 0, down to -" in capsys.readouterr().out
    standardised = (values - values.mean(axis=0)) / values.std(axis=0)
    ad.AnnData(standardised, obs=obs, var=controls.var).write_h5ad(tmp_path / "scaled.h5ad")
    with pytest.raises(DataError, match="some values are negative"):
        read_predicted(tmp_path / "scaled.h5ad", ReadSettings(), real)
    ad.AnnData(np.maximum(values, 0), obs=obs, var=controls.var).write_h5ad(tmp_path / "clipped.h5ad")
    clipped = read_predicted(tmp_path / "clipped.h5ad", ReadSettings(), real)
    write_as(clipped, "cell-eval", tmp_path / "pair", real=real)
    assert ad.read_h5ad(tmp_path / "pair/adata_pred.h5ad").n_obs == 2 * len(controls)


def test_gears_predictions_are_one_mean_a_condition(small_data, tmp_path, expected) -> None:
    """GEARS.predict returns a dictionary of means; as a table, one row a condition, it is compared as it is."""
    means = {
        "+".join([*c.parts, "ctrl"][:2]): predicted_x(small_data)[small_data.rows(c)].mean(axis=0)
        for c in small_data.conditions() if c.context == "RPE1" and not c.is_control
    }  # fmt: skip
    table = pd.DataFrame(means, index=small_data.genes).T
    table.insert(0, "condition", table.index)
    table.insert(1, "cell_type", "RPE1")
    table.to_csv(tmp_path / "gears.csv")
    found = scores(tmp_path, f"--predicted {tmp_path}/gears.csv --real {tmp_path}/real.h5ad")
    for metric in ("mse", "pearson_delta", "r2_delta"):
        ours = expected.loc["RPE1", :, metric]
        np.testing.assert_allclose(found.loc["RPE1", :, metric][ours.index], ours, rtol=1e-4)


def test_without_a_context_on_either_side_they_are_one(small_data, tmp_path) -> None:
    """cell-eval's files need no cell type: the names of the two files are not two contexts."""
    one = small_data.subset(c for c in small_data.conditions() if c.context == "K562")
    obs = pd.DataFrame({"target_gene": one.adata.obs["perturbation"].astype(str).replace("control", "non-targeting")})
    ad.AnnData(one.x, obs=obs, var=one.adata.var).write_h5ad(tmp_path / "adata_real.h5ad")
    ad.AnnData(predicted_x(one), obs=obs, var=one.adata.var).write_h5ad(tmp_path / "adata_pred.h5ad")
    found = scores(tmp_path, f"--predicted {tmp_path}/adata_pred.h5ad --real {tmp_path}/adata_real.h5ad")
    assert set(found.index.get_level_values("perturbation")) == {"G1", "G2", "G3", "G1+G2"}


def test_doses_of_predicted_cells_are_told_apart_as_those_of_the_real_ones(
    small_data: PerturbationData, tmp_path: Path
) -> None:
    """Where that was asked for: they were pooled, and had no condition in common with the real ones."""
    obs = small_data.adata.obs[["context", "perturbation"]].astype(str)
    obs["dose"] = np.where(obs["perturbation"] == "control", None, np.array(["1uM", "10uM"])[np.arange(len(obs)) % 2])
    for name, x in (("real", small_data.x.toarray()), ("predicted", predicted_x(small_data))):
        ad.AnnData(x, obs=obs, var=small_data.adata.var).write_h5ad(tmp_path / f"{name}.h5ad")
    settings = ReadSettings(doses="separate")
    real = read(tmp_path / "real.h5ad", settings)
    predicted = read_predicted(tmp_path / "predicted.h5ad", settings, real)
    assert {c for c in predicted.conditions() if not c.is_control} == {c for c in real.conditions() if not c.is_control}
    assert any(c.perturbation.endswith("@10uM") for c in predicted.conditions())
