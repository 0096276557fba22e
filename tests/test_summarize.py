"""Cells and bulk samples become effects: the same responses, doses and times as conditions, controls of the same drug and time."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import cycseq
from cycseq.cli import BAD_INPUT, SUCCESS, main
from cycseq.formats.effects.from_cells import summarize
from cycseq.formats.effects.read import read_effects
from cycseq.formats.settings import ReadSettings
from cycseq.preparation.pseudobulk import responses

GENES = [f"G{i}" for i in range(12)]


def test_cells_give_their_responses_with_errors_and_moments(small_data, tmp_path: Path) -> None:
    small_data.write(tmp_path / "cells.h5ad")
    assert main(f"summarize {tmp_path}/cells.h5ad --out {tmp_path}/effects.h5ad".split()) == SUCCESS
    effects = read_effects(tmp_path / "effects.h5ad")
    measured = responses(small_data)
    perturbed = effects.perturbed()
    order = [perturbed.conditions().index(c) for c in measured.conditions]
    np.testing.assert_array_equal(perturbed.effect[order], measured.delta)
    np.testing.assert_allclose(perturbed.layer("se")[order], np.sqrt(measured.noise), rtol=1e-6)
    np.testing.assert_array_equal(perturbed.adata.obs["n_cells"].to_numpy()[order], measured.n_cells)
    moments = {c: i for i, c in enumerate(small_data.conditions())}
    for row, condition in enumerate(effects.conditions()):
        np.testing.assert_allclose(effects.layer("mean")[row], small_data.moments.mean[moments[condition]], atol=1e-5)
        np.testing.assert_allclose(
            effects.layer("variance")[row], small_data.moments.variance[moments[condition]], rtol=1e-4, atol=1e-6
        )
    assert set(effects.control_means()) == set(small_data.contexts)


def bulk() -> tuple[ad.AnnData, dict[tuple[str, str, str], np.ndarray]]:
    """Two replicates of drugs at levels and times, each drug and time with controls of its own; log2 values."""
    rng = np.random.default_rng(0)
    rows, values, truth = [], [], {}
    for drug in ("ethanol", "aspirin"):
        for time in ("2", "24"):
            base = rng.uniform(4, 8, len(GENES))
            for level in ("Control", "Low", "High"):
                change = 0.0 if level == "Control" else rng.normal(size=len(GENES))
                truth[drug, level, time] = np.asarray(change) * np.log(2)
                for replicate in (1, 2):
                    rows.append((drug, level, time, str(replicate), f"plate{replicate % 2}"))
                    values.append(base + change + 0.01 * rng.normal(size=len(GENES)))
    obs = pd.DataFrame(rows, columns=["perturbation", "dose_level", "time_h", "replicate", "batch"])
    obs.index = [f"s{i}" for i in range(len(obs))]
    return ad.AnnData(np.array(values, dtype=np.float32), obs, pd.DataFrame(index=GENES)), truth


def test_bulk_samples_are_compared_with_controls_of_their_drug_and_time(tmp_path: Path) -> None:
    adata, truth = bulk()
    adata.write_h5ad(tmp_path / "bulk.h5ad")
    effects = summarize(tmp_path / "bulk.h5ad", ReadSettings(scale="log2"))
    perturbed = effects.perturbed()
    assert {(c.agent, c.dose, c.time) for c in perturbed.conditions()} == {
        (drug, level, float(time)) for drug, level, time in truth if level != "Control"
    }
    for row, c in enumerate(perturbed.conditions()):
        np.testing.assert_allclose(perturbed.effect[row], truth[c.agent, c.dose, f"{c.time:g}"], atol=0.03)
    expected = 0.01 * np.log(2) * np.sqrt(1 / 2 + 1 / 2)  # two samples beside two controls
    np.testing.assert_allclose(np.median(perturbed.layer("se")), expected, rtol=0.25)
    assert perturbed.layer("se").std(axis=0).max() < 1e-6  # no condition's own spread of two
    pooled = summarize(
        tmp_path / "bulk.h5ad", ReadSettings(scale="log2", doses="pool", control="ethanol", batch_key="batch")
    )
    assert {c.perturbation for c in pooled.perturbed().conditions()} == {"aspirin"}


def test_effects_stay_as_they_are(tmp_path: Path, small_data) -> None:
    small_data.write(tmp_path / "cells.h5ad")
    made = summarize(tmp_path / "cells.h5ad")
    made.write(tmp_path / "effects.h5ad")
    assert main(f"summarize {tmp_path}/effects.h5ad --out {tmp_path}/again.h5ad".split()) == SUCCESS
    assert read_effects(tmp_path / "again.h5ad").fingerprint() == made.fingerprint()


def test_files_anndata_and_cells_that_were_read_have_the_same_effects(tmp_path: Path) -> None:
    adata, _ = bulk()
    adata.write_h5ad(tmp_path / "bulk.h5ad")
    expected = summarize(tmp_path / "bulk.h5ad", ReadSettings(scale="log2", context_name="liver"))
    made = summarize(adata, scale="log2", context_name="liver")
    assert made.fingerprint() == expected.fingerprint()
    cells = cycseq.read(adata, scale="log2", context_name="liver", doses="separate")
    assert summarize(cells).fingerprint() == expected.fingerprint()


def test_a_table_is_written_with_the_scale_that_was_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = ["perturbation,cell_line,G1,G2", "KLF1,K562,1.0,-1.0", "GATA1,K562,,2.0"]
    (tmp_path / "table.csv").write_text("\n".join(rows))
    words = f"split --data {tmp_path}/table.csv --kind unseen-perturbation --test-perturbations KLF1 --out {tmp_path}/s.json"
    assert main(words.split()) == BAD_INPUT
    said = capsys.readouterr().err
    assert "cycseq summarize" in said
    assert "--scale log2_fold_change --out EFFECTS.h5ad" in said
    command = f"summarize {tmp_path}/table.csv --scale log2_fold_change --out {tmp_path}/effects.h5ad"
    assert main(command.split()) == SUCCESS
    effects = read_effects(tmp_path / "effects.h5ad")
    np.testing.assert_allclose(effects.effect, np.log(2) * np.array([[1, -1], [np.nan, 2]]), rtol=1e-6)
