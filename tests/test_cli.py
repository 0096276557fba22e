"""The commands as a user types them, on simulated data; and what bad input is answered with."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from cycseq.cli import BAD_INPUT, SUCCESS, main
from cycseq.commands import COMMANDS
from cycseq.data.dataset import PerturbationData

pytestmark = pytest.mark.usefixtures("empty_figures")

COLUMNS = ["model", "split", "seed", "context", "perturbation", "metric", "value"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Simulated data, prepared, split, fitted, predicted: one session."""
    f = tmp_path_factory.mktemp("session")
    session = [
        f"simulate --contexts 3 --perturbations 6 --cells 1200 --genes 200 --seed 1 --out {f}/sim.h5ad",
        f"prepare {f}/sim.h5ad --genes all --out {f}/data.h5ad",
        f"split --data {f}/data.h5ad --kind unseen-context --context Line3 --out {f}/split.json",
        f"fit --data {f}/data.h5ad --split {f}/split.json --model ContextAdditive --run {f}/run",
        f"predict --run {f}/run --cells 50 --out {f}/predicted.h5ad",
    ]
    for words in session:
        assert main(words.split()) == SUCCESS, words
    return f


def run(words: str) -> int:
    return main(words.split())


def refused(words: str | list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that refuses a command."""
    capsys.readouterr()
    assert main(words.split() if isinstance(words, str) else words) == BAD_INPUT
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith("cycseq: ")
    assert "Traceback" not in err
    return err


def test_help_is_quick_and_imports_nothing_heavy():
    heavy = "import sys; from cycseq.cli import main; main(['--help']); print(sorted({'numpy','pandas','anndata','torch','yaml'} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True).stdout
    assert out.strip().endswith("[]")
    assert all(f"  {name} " in out for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    assert run(f"{command} --help") == SUCCESS
    assert f"cycseq {command}" in capsys.readouterr().out


def test_predicted_cells_have_what_was_asked(folder):
    predicted = ad.read_h5ad(folder / "predicted.h5ad")
    assert predicted.obs["context"].unique().tolist() == ["Line3"]
    assert (predicted.obs["perturbation"].value_counts() == 50).all()
    assert predicted.uns["cycseq"]["scale"] == "log1p"
    assert predicted.uns["cycseq"]["model"] == "ContextAdditive"


def test_predict_one_condition(folder, tmp_path):
    perturbation = ad.read_h5ad(folder / "predicted.h5ad").obs["perturbation"].iloc[0]
    assert (
        run(f"predict --run {folder}/run --conditions Line3:{perturbation} --cells 7 --out {tmp_path}/p.h5ad")
        == SUCCESS
    )
    assert ad.read_h5ad(tmp_path / "p.h5ad").n_obs == 7


def test_predict_on_control_cells_of_ones_own(folder, tmp_path):
    data = ad.read_h5ad(folder / "data.h5ad")
    own = data[(data.obs["context"] == "Line3") & (data.obs["perturbation"] == "control")].copy()
    own.obs["context"] = pd.Categorical(["mine"] * own.n_obs)
    own.write_h5ad(tmp_path / "own.h5ad")
    perturbation = ad.read_h5ad(folder / "predicted.h5ad").obs["perturbation"].iloc[0]
    words = f"predict --run {folder}/run --controls {tmp_path}/own.h5ad --conditions mine:{perturbation} --out {tmp_path}/p.h5ad"
    assert run(words) == SUCCESS
    assert ad.read_h5ad(tmp_path / "p.h5ad").n_obs == 500


def test_evaluate_writes_a_tidy_table(folder, tmp_path):
    words = f"evaluate --predicted {folder}/predicted.h5ad --real {folder}/data.h5ad --out {tmp_path}/m.csv --metrics pearson_delta,mse_ratio"
    assert run(words) == SUCCESS
    scores = pd.read_csv(tmp_path / "m.csv")
    assert list(scores) == COLUMNS
    assert set(scores["metric"]) == {"pearson_delta", "mse_ratio"}
    assert scores["value"].notna().all()


def scores(table: Path) -> pd.Series:
    return pd.read_csv(table).set_index(["context", "perturbation", "metric"])["value"].sort_index()


@pytest.fixture(scope="module")
def scores_of_shared(folder: Path) -> pd.Series:
    """Of our prediction, as of a split that holds no controls back."""
    shared = ad.read_h5ad(folder / "predicted.h5ad")
    shared.uns["cycseq"]["reference"] = "[]"
    shared.write_h5ad(folder / "shared.h5ad")
    words = f"evaluate --predicted {folder}/shared.h5ad --real {folder}/data.h5ad --metrics pearson_delta --out {folder}/n.csv"
    assert run(words) == SUCCESS
    return scores(folder / "n.csv")


@pytest.mark.parametrize("control", ["", "--control control,mock", "--control mock"])
@pytest.mark.parametrize("holds", ["none", "control"])
def test_evaluate_predictions_of_another_tool(folder, tmp_path, holds, control, capsys, scores_of_shared):
    """Its cells need no controls; those of the real file are asked for, and serve both sides, which is said."""
    other, real = ad.read_h5ad(folder / "predicted.h5ad"), ad.read_h5ad(folder / "data.h5ad")
    del other.uns["cycseq"], real.uns["cycseq"]
    if "mock" in control:
        real.obs["perturbation"] = real.obs["perturbation"].astype(str).replace({"control": "mock"})
        if "," in control:  # both labels are there
            real.obs.loc[real.obs_names[real.obs["perturbation"] == "mock"][::2], "perturbation"] = "control"
    if holds == "control":
        extra = other[:3].copy()
        extra.obs["perturbation"] = "control"
        extra.obs_names = ["e1", "e2", "e3"]
        other = ad.concat([other, extra])
    other.write_h5ad(tmp_path / "other.h5ad")
    real.write_h5ad(tmp_path / "real.h5ad")
    words = f"evaluate --predicted {tmp_path}/other.h5ad --real {tmp_path}/real.h5ad --metrics pearson_delta --out {tmp_path}/m.csv"
    assert run(f"{words} {control}") == SUCCESS
    assert "note: controls are shared in Line3" in capsys.readouterr().out
    pd.testing.assert_series_equal(scores(tmp_path / "m.csv"), scores_of_shared, check_exact=False, rtol=1e-5)
    (tmp_path / "m.csv").unlink()
    if control == "--control mock":
        assert "real.h5ad has no control cells" in refused(f"{words} --control none", capsys)
    else:  # `control` means control whatever is said
        assert run(f"{words} --control none") == SUCCESS


def test_benchmark_then_report(folder, tmp_path):
    out = tmp_path / "out"
    words = f"benchmark --data {folder}/data.h5ad --split unseen-context --models NoChange,ContextAdditive --seeds 1 --metrics headline --out {out}"
    assert run(words) == SUCCESS
    scores = pd.read_csv(out / "metrics.csv")
    assert list(scores) == COLUMNS
    assert {"NoChange", "PerturbedMean", "ContextAdditive", "SplitHalf"} <= set(scores["model"])
    assert set(scores["context"]) == {"Line1", "Line2", "Line3"}
    assert (out / "summary.csv").exists()
    assert (out / "report.html").exists()
    assert run(f"report {out} --out {tmp_path}/report.html") == SUCCESS
    assert "ContextAdditive" in (tmp_path / "report.html").read_text()


def test_split_check_finds_nothing_in_a_fresh_split(folder, capsys):
    assert run(f"split --data {folder}/data.h5ad --check {folder}/split.json") == SUCCESS
    assert "no leakage" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["models", "metrics", "splits", "worlds"])
def test_list(kind, capsys):
    assert run(f"list {kind}") == SUCCESS
    assert len(capsys.readouterr().out.splitlines()) > 4


def test_a_configuration_is_printed_and_read_again(folder, tmp_path, capsys):
    words = f"prepare {folder}/sim.h5ad --genes 50 --min-cells 2 --out {tmp_path}/a.h5ad"
    assert run(f"{words} --print_config") == SUCCESS
    (tmp_path / "c.yaml").write_text(capsys.readouterr().out)
    assert run(f"prepare --config {tmp_path}/c.yaml --genes 60") == SUCCESS
    prepared = ad.read_h5ad(tmp_path / "a.h5ad")
    assert 60 <= prepared.n_vars < 70


def test_model_settings_reach_the_model(folder, tmp_path):
    words = f"fit --data {folder}/data.h5ad --split {folder}/split.json --model ContextAdditive --model.amplitude 0.5 --run {tmp_path}/r"
    assert run(words) == SUCCESS
    assert '"amplitude": 0.5' in (tmp_path / "r" / "run.json").read_text()


TYPOS = {
    "splt": "'split'",
    "prepare a.h5ad --out b.h5ad --gens all": "'--genes'",
    "prepare a.h5ad --out b.h5ad --genes some": "'all'",
    "prepare a.h5ad": "--out",
    "inspect --file a.h5ad": "no option '--file': did you mean 'FILE'?",
    "inspect --data a.h5ad": "no option '--data': There are: FILE,",
    "benchmark --data DATA --metrics pearson_dleta --out o": "'pearson_delta'",
    "benchmark --data DATA --models NoChnge --out o": "'NoChange'",
    "benchmark --data DATA --split unseen-contxt --out o": "'unseen-context'",
    "fit --data DATA --split SPLIT --model ContextAditive --run o": "'ContextAdditive'",
    "fit --data DATA --split SPLIT --model ContextAdditive --model.amplitud 1 --run o": "'--model.amplitude'",
    "fit --data DATA --split SPLIT --model Ridge --model.penalty banana --run o": "--model.penalty takes a number, but got 'banana'",
    "split --data DATA --kind unseen-context --context Lin3": "'Line3'",
    "evaluate --predicted PREDICTED --real DATA --metrics pearson_dleta --out o": "'pearson_delta'",
    "predict --run RUN --conditions Line3:nothing --out o.h5ad": "nothing",
    "predict --run RUN --conditions Lin3:G1 --out o.h5ad": "'Lin3'",
    "predict --run nowhere --out o.h5ad": "nowhere",
    "prepare missing.h5ad --out b.h5ad": "missing.h5ad",
    "prepare DATA --out prepared.csv": ".h5ad or .zarr",
    "predict --run RUN --out predicted": "--leave-out",
    "predict --run RUN --seed -1 --out o.h5ad": "--seed",
    "fit --data DATA --split SPLIT --model NoChange --seed -1 --run o": "--seed",
    "evaluate --predicted PREDICTED --real DATA --seed -1 --out o": "--seed",
    "evaluate --predicted PREDICTED --real DATA --max-cells 0 --out o": "--max-cells",
    "evaluate --predicted PREDICTED --real DATA --components 0 --out o": "--components",
    "evaluate --predicted PREDICTED --real DATA --deg-alpha 2 --out o": "--deg-alpha",
    "evaluate --predicted PREDICTED --real DATA --metrics= --out o": "no metric",
}


@pytest.mark.parametrize("words", TYPOS)
def test_typos_are_answered(words, folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"DATA": "data.h5ad", "SPLIT": "split.json", "PREDICTED": "predicted.h5ad", "RUN": "run"}
    typed = [str(folder / names[w]) if w in names else w for w in words.split()]
    assert TYPOS[words] in refused(typed, capsys)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_output_is_kept(folder, capsys):
    before = (folder / "data.h5ad").stat().st_mtime_ns
    for words in (
        f"prepare {folder}/sim.h5ad --out {folder}/data.h5ad",
        f"simulate --out {folder}/data.h5ad",
        f"split --data {folder}/data.h5ad --kind unseen-context --context Line1 --out {folder}/split.json",
        f"fit --data {folder}/data.h5ad --split {folder}/split.json --model NoChange --run {folder}/run",
        f"predict --run {folder}/run --out {folder}/predicted.h5ad",
        f"evaluate --predicted {folder}/predicted.h5ad --real {folder}/data.h5ad --out {folder}/split.json",
    ):
        assert "exists already" in refused(words, capsys)
    assert (folder / "data.h5ad").stat().st_mtime_ns == before


def write(path: Path, change: Callable[[ad.AnnData], object]) -> Path:
    rng = np.random.default_rng(0)
    obs = pd.DataFrame(
        {"condition": ["ctrl", "A"] * 20, "cell_type": ["T"] * 20 + ["B"] * 20}, index=[f"c{i}" for i in range(40)]
    )
    adata = ad.AnnData(
        sp.csr_matrix(rng.poisson(2, (40, 30)).astype(np.float32)),
        obs=obs,
        var=pd.DataFrame(index=[f"g{i}" for i in range(30)]),
    )
    adata = change(adata) or adata
    adata.write_h5ad(path)
    return path


def value(x: float) -> Callable[[ad.AnnData], None]:
    def change(adata: ad.AnnData) -> None:
        adata.X = adata.X.toarray()
        adata.X[3, 4] = x

    return change


def obs(column: str, values: object) -> Callable[[ad.AnnData], None]:
    def change(adata: ad.AnnData) -> None:
        adata.obs[column] = values

    return change


BAD = {
    "no control cells in a context": (obs("condition", ["ctrl", "A"] * 10 + ["A"] * 20), "", "'B'"),
    "no control anywhere": (obs("condition", ["B", "A"] * 20), "", "--control"),
    "an unknown control label": (lambda a: None, "--control contrl", "contrl"),
    "an unknown column": (lambda a: None, "--perturbation-key condtion", "'condition'"),
    "unlabelled cells": (obs("condition", ["ctrl", None] * 20), "", "--drop-unlabelled"),
    "two possible columns": (obs("label", ["A", "ctrl"] * 20), "", "--perturbation-key"),
    "duplicated genes": (lambda a: setattr(a, "var_names", ["g1"] * 2 + [f"g{i}" for i in range(2, 30)]), "", "--make-unique"),
    "duplicated cells": (lambda a: setattr(a, "obs_names", ["c1"] * 2 + [f"c{i}" for i in range(2, 40)]), "", "--make-unique"),
    "a negative count": (value(-1), "", "negative"),
    "a fractional count": (value(1000.5), "", "1000.5"),
    "NaN": (value(np.nan), "", "NaN"),
    "infinity": (value(np.inf), "", "infinite"),
    "log data said to be counts": (lambda a: setattr(a, "X", a.X.log1p()), "--scale counts", "counts"),
    "empty cells": (lambda a: setattr(a, "X", sp.csr_matrix(a.X.multiply(np.arange(40)[:, None] > 2))), "", "--drop-empty"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
@pytest.mark.filterwarnings("ignore:.*names are not unique")
def test_bad_data_are_refused_in_one_line_and_nothing_is_written(case, tmp_path, capsys):
    change, options, said = BAD[case]
    path = write(tmp_path / "bad.h5ad", change)
    err = refused(f"prepare {path} --genes all --out {tmp_path}/out.h5ad {options}", capsys)
    assert said in err
    assert [p.name for p in tmp_path.iterdir()] == ["bad.h5ad"]


def test_a_truncated_file(tmp_path, capsys):
    path = write(tmp_path / "bad.h5ad", lambda a: None)
    path.write_bytes(path.read_bytes()[:2000])
    assert "bad.h5ad" in refused(f"prepare {path} --out {tmp_path}/out.h5ad", capsys)


def test_genes_that_do_not_overlap(tmp_path, capsys):
    one = write(tmp_path / "one.h5ad", lambda a: None)
    two = write(tmp_path / "two.h5ad", lambda a: setattr(a, "var_names", [f"x{i}" for i in range(30)]))
    err = refused(f"prepare {one} {two} --genes all --out {tmp_path}/out.h5ad", capsys)
    assert "genes" in err
    assert not (tmp_path / "out.h5ad").exists()


def test_a_full_disk_leaves_nothing(tmp_path, capsys, monkeypatch):
    def full(*_args: object, **_kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    path = write(tmp_path / "a.h5ad", lambda a: None)
    monkeypatch.setattr("cycseq.data.values.write_h5ad", full)
    assert "disk is full" in refused(f"prepare {path} --genes all --out {tmp_path}/out.h5ad", capsys)
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5ad"]


def test_too_little_memory_is_said_and_leaves_nothing(tmp_path, capsys, monkeypatch):
    def short(*_args: object, **_kwargs: object) -> None:
        raise MemoryError("Unable to allocate 60.0 GiB")

    path = write(tmp_path / "a.h5ad", lambda a: None)
    monkeypatch.setattr("cycseq.data.values.write_h5ad", short)
    assert "not enough memory (Unable to allocate 60.0 GiB)" in refused(
        f"prepare {path} --genes all --out {tmp_path}/out.h5ad", capsys
    )
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5ad"]


def test_ctrl_c_is_not_lost_while_an_object_is_cleared_away(capsys, monkeypatch):
    class Cleared:
        def __del__(self) -> None:
            raise KeyboardInterrupt

    def run_long(_words: list[str]) -> int:
        Cleared()
        for _ in range(2_000):
            time.sleep(0.01)
        return SUCCESS

    monkeypatch.setattr("cycseq.cli.run_command", run_long)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in processes of the background
    try:
        assert main(["datasets"]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err == "cycseq: interrupted; nothing half-written was left.\n"


def test_a_disk_too_full_to_begin(tmp_path, capsys, monkeypatch):
    path = write(tmp_path / "a.h5ad", lambda a: None)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=100))
    assert "disk is full" in refused(f"prepare {path} --genes all --out {tmp_path}/out.h5ad", capsys)
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5ad"]


def test_a_typo_in_a_configuration(tmp_path, capsys):
    (tmp_path / "c.yaml").write_text("gnes: 3\n")
    assert "'--genes'" in refused(f"prepare a.h5ad --config {tmp_path}/c.yaml --out b.h5ad", capsys)


def test_a_split_of_other_data(folder, tmp_path, capsys):
    path = write(tmp_path / "a.h5ad", lambda a: None)
    assert run(f"prepare {path} --genes all --out {tmp_path}/data.h5ad") == SUCCESS
    err = refused(
        f"fit --data {tmp_path}/data.h5ad --split {folder}/split.json --model NoChange --run {tmp_path}/r", capsys
    )
    assert "other data" in err


def test_counts_serve_as_they_are_and_it_is_said(folder, tmp_path, capsys):
    session = [
        f"split --data {folder}/sim.h5ad --kind unseen-context --context Line3 --out {tmp_path}/s.json",
        f"fit --data {folder}/sim.h5ad --split {tmp_path}/s.json --model ContextAdditive --run {tmp_path}/r",
        f"predict --run {tmp_path}/r --cells 50 --out {tmp_path}/p.h5ad",
        f"evaluate --predicted {tmp_path}/p.h5ad --real {folder}/sim.h5ad --metrics means --out {tmp_path}/m.csv",
    ]
    said = []
    for words in session:
        assert run(words) == SUCCESS, words
        said.append("holds counts: taken as log1p of counts per 10,000" in capsys.readouterr().out)
    assert said == [False, True, False, True]
    from_counts, prepared = (ad.read_h5ad(path) for path in (tmp_path / "p.h5ad", folder / "predicted.h5ad"))
    np.testing.assert_allclose(from_counts.X, prepared.X, atol=1e-5)
    counts = ad.read_h5ad(folder / "sim.h5ad")
    facts = json.loads((tmp_path / "r" / "run.json").read_text())
    assert facts["data"]["scale"] == "counts"
    assert facts["data"]["hash"] == PerturbationData.from_anndata(counts).fingerprint()


def test_the_same_seed_gives_the_same_file(folder, tmp_path):
    for name in ("a", "b"):
        assert run(f"predict --run {folder}/run --cells 9 --seed 4 --out {tmp_path}/{name}.h5ad") == SUCCESS
    a, b = (ad.read_h5ad(tmp_path / f"{name}.h5ad") for name in "ab")
    assert a.obs.equals(b.obs)
    np.testing.assert_array_equal(sp.csr_matrix(a.X).toarray(), sp.csr_matrix(b.X).toarray())


def test_the_settings_of_a_model_are_shown(capsys):
    assert run("fit --model.help Ridge") == SUCCESS
    assert "--model.penalty" in capsys.readouterr().out
