"""`--memory` is kept by predict, evaluate and simulate, or refused with the least that would do."""

from __future__ import annotations

import re
import tracemalloc
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import cycseq
from cycseq.cli import BAD_INPUT, SUCCESS, main
from cycseq.data.dataset import PerturbationData
from cycseq.errors import SettingsError
from cycseq.formats.readers.stored import memory_bytes
from cycseq.matrix.stored import StoredMatrix
from cycseq.run.budget import check_comparison, check_prediction, dense_values
from cycseq.run.scoring import evaluate_prediction
from cycseq.score.evaluate import DENSE_VALUES, evaluate
from cycseq.score.settings import EvaluateSettings

MEMORY = "24MiB"
SETTINGS = EvaluateSettings(max_cells=50, components=5)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """6,000 dense cells x 300 genes: 7 MB of values."""
    rng = np.random.default_rng(0)
    labels = [(c, p) for c in ("x", "y") for p in ("control", *(f"P{i}" for i in range(9))) for _ in range(300)]
    obs = pd.DataFrame(labels, columns=["context", "perturbation"], index=[f"c{i}" for i in range(len(labels))])
    x = rng.gamma(2.0, 0.5, (len(labels), 300)).astype(np.float32)
    path = tmp_path_factory.mktemp("budget") / "cells.h5ad"
    ad.AnnData(x, obs=obs.assign(batch="0"), var=pd.DataFrame(index=[f"g{i}" for i in range(300)])).write_h5ad(path)
    return path


@pytest.fixture(scope="module")
def predicted(path: Path) -> PerturbationData:
    """Cells of one context that are nobody's."""
    real = cycseq.read(path)
    some = real.subset([c for c in real.conditions() if c.context == "y" and not c.is_control])
    x = np.asarray(some.x) + np.random.default_rng(1).random(some.x.shape, dtype=np.float32)
    obs = some.adata.obs.rename(index="predicted {}".format)
    return PerturbationData(ad.AnnData(x, obs=obs, var=some.adata.var), "log1p")


def test_a_comparison_keeps_to_the_memory(path: Path, predicted: PerturbationData) -> None:
    real = cycseq.read(path, cycseq.ReadSettings(memory=MEMORY))
    assert isinstance(real.x, StoredMatrix)
    evaluate_prediction(predicted, real, settings=SETTINGS, memory=MEMORY)  # what is imported on the way is none of it
    tracemalloc.start()
    try:
        within = evaluate_prediction(predicted, real, settings=SETTINGS, memory=MEMORY)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= memory_bytes(MEMORY)
    without = evaluate_prediction(predicted, cycseq.read(path), settings=SETTINGS)
    np.testing.assert_allclose(within["value"], without["value"], rtol=1e-6, atol=1e-9)


def test_how_many_cells_are_dense_at_once_changes_no_score(path: Path, predicted: PerturbationData) -> None:
    assert dense_values(None) == dense_values("1TiB") == DENSE_VALUES
    assert 4 * dense_values("512MiB") == memory_bytes("512MiB") // 16
    real = cycseq.read(path)
    one, all_at_once = (evaluate(predicted, real, settings=SETTINGS, dense_values=n) for n in (1, DENSE_VALUES))
    pd.testing.assert_frame_equal(one, all_at_once)


def test_too_little_memory_is_refused_with_the_least_that_would_do(
    path: Path, predicted: PerturbationData, tmp_path, capsys
) -> None:
    real = cycseq.read(path, cycseq.ReadSettings(memory=MEMORY))
    with pytest.raises(
        SettingsError, match=r"--memory 5MiB is too little for evaluate, .* at least \d+ MiB here"
    ) as err:
        check_comparison(predicted, real, SETTINGS, "5MiB")
    least = re.search(r"use --memory (\d+MiB)", str(err.value))
    assert least
    check_comparison(predicted, real, SETTINGS, least[1])
    check_comparison(predicted, real, EvaluateSettings(max_cells=50, metrics="means"), f"{int(least[1][:-3]) - 4}MiB")
    with pytest.raises(SettingsError, match="too little for predict"):
        check_prediction(real, real.conditions(), "3MiB")
    check_prediction(real, real.conditions(), None)
    predicted.write(tmp_path / "predicted.h5ad")
    words = f"evaluate --predicted {tmp_path}/predicted.h5ad --real {path} --memory {MEMORY} --out {tmp_path}/m.csv"
    assert main([*words.split(), "--max-cells", "5000"]) == BAD_INPUT
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "is too little for evaluate" in err
    assert not (tmp_path / "m.csv").exists()
    assert main([*words.split(), "--max-cells", "50", "--components", "5"]) == SUCCESS


def test_a_simulation_follows_the_memory_or_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["simulate", "--cells", "9000", "--genes", "200", "--contexts", "2", "--perturbations", "3", "--out"]
    assert main([*words, f"{tmp_path}/few.h5ad", "--memory", "12MiB"]) == BAD_INPUT
    least = re.search(
        r"too little for simulate, which needs at least \d+ MiB here: use --memory (\d+MiB)", capsys.readouterr().err
    )
    assert least
    assert main([*words, f"{tmp_path}/pieces.h5ad", "--memory", least[1]]) == SUCCESS
    assert main([*words, f"{tmp_path}/whole.h5ad"]) == SUCCESS
    pieces, whole = (ad.read_h5ad(tmp_path / f"{name}.h5ad") for name in ("pieces", "whole"))
    assert (pieces.X != whole.X).nnz == 0
    pd.testing.assert_frame_equal(pieces.obs, whole.obs, check_categorical=False)
