"""The challenge's own tools, in their own environment: cell-eval2 finds our values.

They are looked for beside this interpreter, or where `CHALLENGE_PYTHON` names another one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from challenge_panel import PANELS, convert, entry_counts, make_panel, write_lists
from cycseq.cli import SUCCESS
from cycseq.score.challenge.evaluate import references
from cycseq.score.challenge.reference import CountReference
from cycseq.score.challenge.rows import labelled, member_rows
from cycseq.score.challenge.scale import ChallengeScale
from cycseq.score.metrics.challenge import CHALLENGE, POOLED

PYTHON = os.environ.get("CHALLENGE_PYTHON", sys.executable)
THEIRS = dict(
    zip(
        CHALLENGE,
        (
            "pds_cosine",
            "expr_mse_unbiased_capped_norm",
            "de_wilcoxon_direction_fidelity_yield_raw",
            "de_wilcoxon_direction_reach_raw",
            "de_wilcoxon_sig_jaccard",
            "de_wilcoxon_lfc_nmae",
        ),
        strict=True,
    )
)
SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
import anndata as ad
from cell_eval2.anchor import compute_replicate_anchor
from cell_eval2.baseline import build_generic_baseline
from cell_eval2.config import EvalConfig
from cell_eval2.run import aggregate_metrics, compute_metrics, metric_output_names

base = EvalConfig.from_preset("vcc2026")
config = replace(base, cache_strict=False, num_threads=1, de=replace(base.de, backend="scanpy"))
for folder in map(Path, sys.argv[1:]):
    real, predicted = ad.read_h5ad(folder / "real.h5ad"), ad.read_h5ad(folder / "predicted.h5ad")
    with_controls = ad.concat([predicted, real[real.obs["target"] == "non-targeting"]], index_unique="-")
    values = compute_metrics(with_controls, real, config=config)
    values.write_csv(folder / "values.csv")
    aggregate_metrics(values, metrics=metric_output_names(config)).write_csv(folder / "means.csv")
    if folder.name == "plain":
        compute_replicate_anchor(real, config=config)[1].write_csv(folder / "replicate.csv")
        build_generic_baseline(real, config=config, allow_degenerate=True).agg.write_csv(folder / "baseline.csv")
"""


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each panel, with what cell-eval2 says of it."""
    if subprocess.run([PYTHON, "-c", "import cell_eval2"], capture_output=True, check=False).returncode:
        pytest.skip(
            "cell-eval2 is not installed: pip install 'cell-eval2==0.20.*', or name its python in CHALLENGE_PYTHON"
        )
    folder = tmp_path_factory.mktemp("panels")
    for name, special in PANELS.items():
        (folder / name).mkdir()
        panel = make_panel(**special)
        panel.real.write_h5ad(folder / name / "real.h5ad")
        panel.predicted.write_h5ad(folder / name / "predicted.h5ad")
    folders = [str(folder / name) for name in PANELS]
    ran = subprocess.run([PYTHON, "-c", SCRIPT, *folders], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return folder


@pytest.mark.parametrize("name", PANELS)
def test_cell_eval2_finds_our_values(theirs: Path, name: str) -> None:
    predicted, real = make_panel(**PANELS[name]).data()
    ours = labelled(
        [member_rows(r, r.compare(predicted)) for r in references(predicted, real)], model="", split="", seed=0
    )
    values = pd.read_csv(theirs / name / "values.csv").set_index(["metric", "perturbation"])["value"]
    means = pd.read_csv(theirs / name / "means.csv").set_index("metric")["mean"]
    for metric, of_metric in ours.groupby("metric"):
        mean = means[THEIRS[metric]]
        assert of_metric["value"].mean() == pytest.approx(mean, abs=1e-6, nan_ok=True)
        if metric != POOLED:
            their_values = values[THEIRS[metric]].reindex(of_metric["perturbation"])
            np.testing.assert_allclose(of_metric["value"], their_values, atol=1e-6)


def test_cell_eval2_finds_our_scale(theirs: Path) -> None:
    _, real = make_panel().data()
    scale = ChallengeScale()
    (context,) = real.contexts
    scale.complete(CountReference.of(real, context), real)
    baseline = pd.read_csv(theirs / "plain" / "baseline.csv").set_index("statistic").loc["mean"]
    replicate = pd.read_csv(theirs / "plain" / "replicate.csv").set_index("metric")["replicate"]
    for metric in CHALLENGE:
        assert scale.ends[context][metric] == pytest.approx(
            [baseline[THEIRS[metric]], replicate[THEIRS[metric]]], abs=1e-6
        )


VCC_SCRIPT = """
import subprocess, sys, tarfile
from pathlib import Path
import zstandard
from vcc.vccfile import contexts_from_vcc, nnz_from_vcc, validate_vcc

folder = Path(sys.argv[1])
validate_vcc(folder / "entry.vcc")
assert contexts_from_vcc(folder / "entry.vcc") == ("A", "B")
assert nnz_from_vcc(folder / "entry.vcc") > 0
with tarfile.open(folder / "entry.vcc") as tar:
    tar.extractall(folder, filter="data")
with (folder / "pred.h5ad.zst").open("rb") as source, (folder / "pred.h5ad").open("wb") as target:
    zstandard.ZstdDecompressor().copy_stream(source, target)
lists = ["-g", str(folder / "gene_names.csv"), "--perts", str(folder / "pert_counts.csv")]
command = [sys.executable, "-m", "vcc", "prep", str(folder / "pred.h5ad"), *lists, "-o", str(folder / "x.vcc"), "--dry-run"]
subprocess.run(command, check=True)
"""


def test_vcc_cli_takes_an_entry(tmp_path: Path) -> None:
    lists = write_lists(tmp_path)
    if subprocess.run([PYTHON, "-c", "import vcc.prep"], capture_output=True, check=False).returncode:
        pytest.skip("vcc-cli is not installed: pip install 'vcc-cli==0.3.*', or name its python in CHALLENGE_PYTHON")
    assert convert(lists, entry_counts()) == SUCCESS
    ran = subprocess.run([PYTHON, "-c", VCC_SCRIPT, str(lists)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert "dry run" in ran.stdout
