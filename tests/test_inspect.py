"""`inspect_file`: one screen that says what was found, what is missing, and what to type."""

import shlex
from dataclasses import fields
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from cycseq.formats.inspect import Inspection, inspect_file
from cycseq.formats.read import read
from cycseq.formats.settings import ReadSettings


def typed(command: str) -> tuple[Path, ReadSettings]:
    """What a shell would hand to the command line."""
    words = shlex.split(command)
    assert words[:2] == ["cycseq", "prepare"]
    options = dict(zip([w.removeprefix("--").replace("-", "_") for w in words[3::2]], words[4::2], strict=True))
    assert options.pop("out").endswith(".h5ad")
    kinds = {field.name: field.type for field in fields(ReadSettings)}
    values = {
        k: v == "true" if kinds[k] == "bool" else Path(v) if "Path" in str(kinds[k]) else v for k, v in options.items()
    }
    return Path(words[2]), ReadSettings(**values)


def lines_of(inspection: Inspection) -> list[str]:
    text = inspection.text()
    lines = text.splitlines()
    assert len(lines) < 40
    assert text.isprintable() or all(line.isprintable() for line in lines)
    return lines


@pytest.fixture
def path(small_counts: ad.AnnData, tmp_path) -> Path:
    small_counts.write_h5ad(tmp_path / "my data.h5ad")
    return tmp_path / "my data.h5ad"


def test_a_good_file(path: Path) -> None:
    inspection = inspect_file(path)
    text = "\n".join(lines_of(inspection))
    assert inspection.ready
    for expected in ("600 cells x 60 genes", "sparse", "scale: counts (whole numbers, 0 to", "perturbation <- obs['perturbation']",
                     "context <- obs['cell_type'] (3 contexts)", "perturbations: 4 (3 single, 1 combined)",
                     "cells per condition: 40 min, 40 median, 40 max", "perturbed genes among the genes: 3 of 3"):  # fmt: skip
        assert expected in text
    assert inspection.contexts.loc["RPE1"].tolist() == [200, 40, 4]
    where, settings = typed(inspection.command)
    assert (where, settings) == (path, ReadSettings())


def test_everything_wrong_at_once_and_the_command_that_mends_it(small_counts: ad.AnnData, tmp_path) -> None:
    """Typing what is said makes the file readable."""
    adata = small_counts
    x = adata.X.toarray()
    x[5] = 0
    adata.layers["counts"] = sp.csr_matrix(x)
    adata.X = x - x.mean(axis=0)
    old = adata.obs.pop("perturbation").astype(object)
    old[old == "control"] = "mock cells"
    old.iloc[-3:] = "unassigned"
    adata.obs["what_was_done"] = old
    adata.obs_names = ["cell1", "cell1", *adata.obs_names[2:]]
    adata.write_h5ad(tmp_path / "a.h5ad")
    settings = ReadSettings()
    for _ in range(4):
        inspection = inspect_file(tmp_path / "a.h5ad", settings)
        lines_of(inspection)
        if inspection.ready:
            break
        assert all(problem.command for problem in inspection.problems)
        _, settings = typed(inspection.command)
    else:
        pytest.fail(inspection.text())
    assert settings == ReadSettings(
        perturbation_key="what_was_done",
        control="mock cells",
        layer="counts",
        make_unique=True,
        drop_unlabelled=True,
        drop_empty=True,
    )
    assert read(tmp_path / "a.h5ad", settings).n_cells == adata.n_obs - 4


def test_problems_are_told_together(small_counts: ad.AnnData, tmp_path) -> None:
    small_counts.obs["condition"] = ["ctrl", "A"] * (small_counts.n_obs // 2)
    small_counts.obs_names = ["cell1", "cell1", *small_counts.obs_names[2:]]
    small_counts.write_h5ad(tmp_path / "a.h5ad")
    inspection = inspect_file(tmp_path / "a.h5ad")
    text = "\n".join(lines_of(inspection))
    assert len(inspection.problems) == 2
    assert "1 cell has a name that already occurred" in text
    assert "two obs columns" in text
    assert "not ready; all at once: cycseq prepare" in text
    assert inspection.contexts.empty


def test_no_command_is_shown_for_scaled_values_which_prepare_refuses(small_counts: ad.AnnData, tmp_path) -> None:
    small_counts.X = small_counts.X.toarray() - 1
    small_counts.write_h5ad(tmp_path / "a.h5ad")
    for scale, said in ((None, "negative"), ("scaled", "which cannot be undone")):
        inspection = inspect_file(tmp_path / "a.h5ad", ReadSettings(scale=scale))
        assert [problem.command for problem in inspection.problems] == [""]
        assert said in inspection.problems[0].message
        assert not inspection.ready


def test_contexts_without_controls_are_a_problem_of_the_file(small_counts: ad.AnnData, tmp_path) -> None:
    lacking = small_counts[
        ~((small_counts.obs["cell_type"] == "RPE1") & (small_counts.obs["perturbation"] == "control"))
    ]
    lacking.copy().write_h5ad(tmp_path / "a.h5ad")
    inspection = inspect_file(tmp_path / "a.h5ad")
    (problem,) = inspection.problems
    assert "--leave-out RPE1" in problem.command
    assert "no control cells in context 'RPE1'" in inspection.problems[0].message
    assert inspection.contexts.loc["RPE1", "control"] == 0
    assert not inspection.ready


def test_many_contexts_and_problems_stay_on_one_screen(tmp_path) -> None:
    n = 300
    obs = pd.DataFrame({"perturbation": ["control", "A"] * (n // 2), "cell_line": [f"line{i % 40}" for i in range(n)],
                        "dose": range(n)}, index=[f"c{i}" for i in range(n)])  # fmt: skip
    ad.AnnData(np.ones((n, 3), np.float32), obs=obs).write_h5ad(tmp_path / "a.h5ad")
    inspection = inspect_file(tmp_path / "a.h5ad")
    lines = lines_of(inspection)
    assert "  ... and 30 contexts more" in lines
    assert any("doses are pooled" in line for line in lines)


def test_a_table_that_cannot_be_laid_out(tmp_path) -> None:
    pd.DataFrame(np.ones((3, 2)), index=["p", "q", "r"], columns=["a", "b"]).to_csv(tmp_path / "a.csv")
    inspection = inspect_file(tmp_path / "a.csv")
    assert not inspection.ready
    assert "--orientation" in inspection.problems[0].command


@pytest.mark.parametrize(
    "name", ["kang2018_pbmc_ifnb.h5ad", "papalexi2021_thp1_eccite.h5ad", "norman2019_mcfaline2023_slice.h5ad"]
)
def test_real_files_are_ready(shared_data, name: str) -> None:
    inspection = inspect_file(shared_data(name))
    lines_of(inspection)
    assert inspection.ready
    data = read(inspection.path)
    assert inspection.contexts["control"].sum() == data.controls().n_cells
    assert inspection.contexts["cells"].sum() == data.n_cells
