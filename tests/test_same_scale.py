"""Predicted and real cells, and control cells and the data of a run, on different scales: refused, or converted."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pytest

import cycseq
from cycseq.cli import BAD_INPUT, SUCCESS, main
from cycseq.data.dataset import PerturbationData
from cycseq.errors import DataError
from cycseq.preparation.same_scale import check_same_scale


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    f = tmp_path_factory.mktemp("scales")
    for words in (
        f"simulate --contexts 3 --perturbations 4 --cells 900 --genes 400 --seed 2 --out {f}/sim.h5ad",
        f"prepare {f}/sim.h5ad --genes all --out {f}/data.h5ad",
        f"split --data {f}/data.h5ad --kind unseen-context --context Line3 --out {f}/split.json",
        f"fit --data {f}/data.h5ad --split {f}/split.json --model ContextAdditive --run {f}/run",
        f"predict --run {f}/run --cells 60 --out {f}/predicted.h5ad",
    ):
        assert main(words.split()) == SUCCESS, words
    return f


def of_another_tool(path: Path, out: Path, change) -> Path:
    adata = ad.read_h5ad(path)
    x = adata.X.toarray() if hasattr(adata.X, "toarray") else np.asarray(adata.X)
    x = x * np.random.default_rng(0).uniform(0.8, 1.1, x.shape)  # cells of a network: neither sums nor steps tell
    new = ad.AnnData(change(x.astype(np.float64)).astype(np.float32), obs=adata.obs.copy(), var=adata.var.copy())
    new.write_h5ad(out)
    return out


def evaluated(folder: Path, predicted: Path, capsys, *more: str) -> tuple[int, str]:
    capsys.readouterr()
    words = f"evaluate --predicted {predicted} --real {folder}/data.h5ad --out {folder}/m.csv --overwrite --split {folder}/split.json"
    code = main([*words.split(), *more])
    return code, capsys.readouterr().err


def test_predictions_on_another_scale_are_refused_and_named(folder: Path, capsys) -> None:
    log2 = of_another_tool(folder / "predicted.h5ad", folder / "log2.h5ad", lambda x: x / np.log(2))
    code, err = evaluated(folder, log2, capsys)
    assert code == BAD_INPUT
    assert err.count("\n") == 1
    assert "the predicted cells look like log2" in err
    assert "--predicted-scale log2" in err
    code, err = evaluated(folder, log2, capsys, "--predicted-scale", "log2")
    assert code == SUCCESS, err
    converted = (folder / "m.csv").read_text()
    same = of_another_tool(folder / "predicted.h5ad", folder / "same.h5ad", lambda x: x)
    assert evaluated(folder, same, capsys)[0] == SUCCESS
    values = [np.array([float(line.split(",")[-1] or "nan") for line in text.splitlines()[1:]])
              for text in (converted, (folder / "m.csv").read_text())]  # fmt: skip
    np.testing.assert_allclose(values[0], values[1], rtol=1e-3, atol=1e-4)
    for name, factor in (("million", 100.0), ("median", 0.2)):
        other = of_another_tool(
            folder / "predicted.h5ad", folder / f"{name}.h5ad", lambda x, f=factor: np.log1p(f * np.expm1(x))
        )
        code, err = evaluated(folder, other, capsys)
        assert code == BAD_INPUT, name
        assert "logarithms of counts per" in err
        assert evaluated(folder, other, capsys, "--predicted-scale", "log1p")[0] == SUCCESS


def test_a_poor_prediction_is_no_other_scale(folder: Path) -> None:
    """What a bad model predicts is scored, not refused."""
    real = cycseq.read(folder / "data.h5ad")
    x = np.asarray(real.x.todense() if hasattr(real.x, "todense") else real.x)
    rng = np.random.default_rng(0)
    for poor in (np.zeros_like(x), x[:, rng.permutation(x.shape[1])], rng.random(x.shape) * x.max(), np.repeat(x.mean(0)[None], len(x), 0),
                 np.tile(x.mean(), x.shape), 0.8 * x, 1.2 * x, x + rng.normal(0, 1, x.shape).clip(0)):  # fmt: skip
        adata = ad.AnnData(poor.astype(np.float32), obs=real.adata.obs, var=real.adata.var)
        check_same_scale(PerturbationData(adata, "log1p"), real)


def test_controls_of_another_total_are_refused_by_predict(folder: Path, tmp_path: Path, capsys) -> None:
    counts = ad.read_h5ad(folder / "sim.h5ad")
    x = counts.X.toarray().astype(np.float64)
    depth = x.sum(axis=1, keepdims=True)
    median = ad.AnnData(
        np.log1p(x * np.median(depth) / depth).astype(np.float32)[:, :80],
        obs=counts.obs.copy(),
        var=counts.var.iloc[:80].copy(),
    )
    median.write_h5ad(tmp_path / "median.h5ad")
    counts[:, :80].copy().write_h5ad(tmp_path / "counts.h5ad")
    for words in (
        f"split --data {tmp_path}/median.h5ad --kind unseen-context --context Line3 --out {tmp_path}/split.json",
        f"fit --data {tmp_path}/median.h5ad --split {tmp_path}/split.json --model ContextAdditive --run {tmp_path}/run",
        f"predict --run {tmp_path}/run --controls {tmp_path}/median.h5ad --cells 5 --out {tmp_path}/p.h5ad",
    ):
        assert main(words.split()) == SUCCESS, words
    capsys.readouterr()
    words = f"predict --run {tmp_path}/run --controls {tmp_path}/counts.h5ad --cells 5 --out {tmp_path}/q.h5ad"
    assert main(words.split()) == BAD_INPUT
    err = capsys.readouterr().err
    assert (
        "the control cells are ln(1 + counts per 10,000) and the data of the run are logarithms of counts per another total"
        in err
    )
    with pytest.raises(DataError, match="cannot be compared"):
        check_same_scale(cycseq.read(tmp_path / "median.h5ad"), cycseq.read(tmp_path / "counts.h5ad"))
