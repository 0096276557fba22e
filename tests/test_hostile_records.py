"""Records and names made to harm: settings, splits, runs, models, benchmarks; what is printed, and what becomes a page."""

import json
import shlex
import shutil
import sys
import warnings
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from cycseq.benchmarking.benchmark import benchmark
from cycseq.benchmarking.settings import BenchmarkSettings
from cycseq.benchmarking.tables import open_benchmark
from cycseq.cli import main
from cycseq.commands.options import write_plot
from cycseq.commands.terminal import say
from cycseq.data.dataset import Condition, PerturbationData
from cycseq.errors import CycseqError, DataError, FileError
from cycseq.formats.inspect import inspect_file
from cycseq.io.checksums import write_checksums
from cycseq.io.untrusted import cycseq_command, parse_json, parse_yaml
from cycseq.models import build_model, load_model
from cycseq.run.fitting import fit_run
from cycseq.run.folder import Run
from cycseq.show.report.page import write_report
from cycseq.split.base import Split
from cycseq.split.make import make_splits
from cycseq.split.settings import SplitSettings

pytestmark = pytest.mark.usefixtures("empty_figures")

GENES = ["G1", "G2", "G3"]
COUNTS = np.arange(1, 19, dtype=np.float32).reshape(6, 3)
OBS = pd.DataFrame({"perturbation": ["control", "G1"] * 3}, index=[f"c{i}" for i in range(6)])
BOMB = "a: &a [x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


# JSON, and names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 60 + "1" + "}" * 60, "nested too deeply"),
        ("[1]", "a list where a table"),
        ("3", "one value where a table"),
        (f'{{"a": {"9" * 5000}}}', "4300"),
        ('{"a": "\\ud800"}', "surrogates"),
        ("{", "Expecting"),
    ],
)
def test_json_that_is_no_record(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_json(text)


def test_json_that_is_one() -> None:
    said = {"a": [1, {"b": "\U0001f9ec"}], "c": None}
    assert parse_json(json.dumps(said)) == said


@pytest.mark.parametrize("bad", ["a\x1b[2Jb", "a\x00b", "a\nb", "\x9b31m", ""])
@pytest.mark.parametrize("where", ["cells", "genes", "perturbations"])
def test_names_that_terminals_would_obey_are_refused(bad: str, where: str) -> None:
    obs, genes = OBS.copy(), list(GENES)
    if where == "cells":
        obs.index = [bad, *obs.index[1:]]
    elif where == "genes":
        genes[0] = bad
    else:
        obs["perturbation"] = [f"x{bad}y" if bad else " ", *obs["perturbation"][1:]]
    with pytest.raises(DataError, match=f"1 {where[:-1]} has a name|1 of 6 cells have no perturbation") as err:
        PerturbationData.from_anndata(ad.AnnData(COUNTS, obs=obs, var=pd.DataFrame(index=genes)))
    assert str(err.value).isprintable()


def test_errors_are_one_printable_line() -> None:
    assert str(FileError("a\x1b[31m\nb\u202ec é")) == "a\\x1b[31m\\nb\\u202ec é"


def test_what_is_printed_holds_nothing_that_terminals_obey(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    say(["name \x1b]0;title\x07 \u202e", "two\nlines", "\udcff"])
    assert capsys.readouterr().out == "name \\x1b]0;title\\x07 \\u202e\ntwo\nlines\n\\udcff\n"
    assert main(["inspect", str(tmp_path / "a\x1b[31m.h5ad")]) == 2
    assert "\x1b" not in capsys.readouterr().err


def test_a_figure_of_names_that_look_like_formulas(tmp_path: Path) -> None:
    def draw(ax: object) -> None:
        ax.set_title("$\\frac{")

    write_plot(draw, tmp_path / "a.svg", width=2, height=2, overwrite=False)
    assert (tmp_path / "a.svg").is_file()


# settings


@pytest.fixture
def beside_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module that leaves a file behind where it is imported; Python looks for modules there."""
    (tmp_path / "harmful.py").write_text(f"open({str(tmp_path / 'harmed')!r}, 'w')\nclass X: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("model: {class_path: harmful.X}", "no model 'harmful.X'"),
        ("model: harmful.X", "no model 'harmful.X'"),
        (
            "model: {class_path: Ridge, init_args: {features: {class_path: harmful.X}}}",
            "model.features in c.yaml is {'class_path'",
        ),
        (
            "model: {class_path: cycseq.models.baselines.shift.ShiftModel}",
            "no model 'cycseq.models.baselines.shift.ShiftModel'",
        ),
        ("seed: !!python/object/apply:os.system [touch harmed]", "cannot be read"),
        ("config: other.yaml", "names another config"),
        (BOMB + "seed: *i", "repeats parts of itself"),
        ("seed: " + "[" * 3000 + "]" * 3000, "nested too deeply"),
    ],
)
@pytest.mark.parametrize("option", ["--config", "--conf"])
def test_a_config_imports_nothing(
    beside_code: Path, config: str, message: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    message = message if option == "--config" else "no option '--conf': did you mean '--config'?"
    (beside_code / "c.yaml").write_text(config)
    (beside_code / "other.yaml").write_text("model: {class_path: harmful.X}")
    with chdir(beside_code):
        assert main(["fit", option, "c.yaml", "--data", "x.h5ad", "--split", "s.json", "--run", "r"]) == 2
    assert message in capsys.readouterr().err
    assert not (beside_code / "harmed").exists()
    assert "harmful" not in sys.modules


@pytest.mark.parametrize("words", [["--model", "Ridge", "--model", "harmful.X"], ["--model.class_path", "harmful.X"]])
def test_a_command_line_imports_nothing_either(beside_code: Path, words: list[str]) -> None:
    assert main(["fit", *words, "--data", "x.h5ad", "--split", "s.json", "--run", "r"]) == 2
    assert not (beside_code / "harmed").exists()


def test_a_config_that_names_a_model_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("Ridge", "cycseq.models.baselines.ridge.Ridge"):
        (tmp_path / "c.yaml").write_text(f"model: {{class_path: {name}, init_args: {{penalty: 3.0}}}}")
        words = ["fit", "--config", str(tmp_path / "c.yaml"), "--data", "x", "--split", "no.json", "--run", "r"]
        assert main(words) == 2
        assert "no.json does not exist" in capsys.readouterr().err


def test_yaml_is_plain_values() -> None:
    assert parse_yaml("a: [1, {b: 2}]\nc: text\n") == {"a": [1, {"b": 2}], "c": "text"}
    for text in (BOMB, "a: &x 1\nb: *x", "{" * 200, "a: !!python/name:os.system"):
        with pytest.raises(ValueError, match=r"nested|repeats|constructor"):
            parse_yaml(text)


# runs, models and benchmarks


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("cycseq fit --seed 3", "cycseq fit --seed 3"),
        ("cycseq fit; touch harmed", "cycseq 'fit;' touch harmed"),
        ("cycseq fit $(touch harmed)", "cycseq fit '$(touch' 'harmed)'"),
        ("rm -rf ~", ""),
        ("cycseq 'fit", ""),
        (["cycseq"], ""),
    ],
)
def test_recorded_commands_are_shown_as_words_of_cycseq(said: object, shown: str) -> None:
    assert cycseq_command(said) == shown


@pytest.fixture(scope="module")
def data() -> PerturbationData:
    rng = np.random.default_rng(0)
    obs = pd.DataFrame(
        {"cell_type": np.repeat(["x", "y"], 30), "perturbation": ["control", "G1", "G2"] * 20},
        index=[f"c{i}" for i in range(60)],
    )
    x = np.log1p(rng.poisson(3.0, (60, 5)).astype(np.float32) + 0.5)
    adata = ad.AnnData(x, obs=obs, var=pd.DataFrame(index=[f"G{i}" for i in range(1, 6)]))
    return PerturbationData.from_anndata(adata, scale="log1p")


@pytest.fixture(scope="module")
def runs(data: PerturbationData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs of a baseline and of a network."""
    folder = tmp_path_factory.mktemp("runs")
    split = make_splits(data, SplitSettings(context="y", validation=0))[0]
    fit_run(data, split, build_model("PerturbedMean"), folder / "PerturbedMean")
    fit_run(data, split, build_model("Autoencoder", {"num_epochs": 1, "hidden": [4]}), folder / "Autoencoder")
    return folder


@pytest.fixture
def run(runs: Path, tmp_path: Path) -> Callable[[str], Path]:
    return lambda name: Path(shutil.copytree(runs / name, tmp_path / name))


def altered(folder: Path, change: Callable[[dict], object]) -> None:
    """A model whose description is changed, with the checksums that fit."""
    path = folder / "model" / "model.json"
    said = json.loads(path.read_text())
    change(said)
    path.write_text(json.dumps(said))
    write_checksums(folder / "model", ("model.json", "model.safetensors"))


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said.update(model="os.system"),
        lambda said: said.update(model=["PerturbedMean"]),
        lambda said: said.update(settings=[1]),
        lambda said: said.update(genes=[["G1"]] * 5),
        lambda said: said.update(genes=["G1"]),
        lambda said: said.update(facts=3),
        lambda said: said.update(scale="\ud800"),
        lambda said: said.pop("versions"),
    ],
)
def test_models_whose_description_was_altered(
    run: Callable[[str], Path], data: PerturbationData, change: Callable
) -> None:
    folder = run("PerturbedMean")
    altered(folder, change)
    with pytest.raises(CycseqError) as err:
        Run.open(folder).predict([Condition("y", "G1")], controls=data.controls())
    assert "\n" not in str(err.value)


@pytest.mark.parametrize(
    "settings", [{"hidden": [10**9]}, {"hidden": ["a"]}, {"hidden": [4, 4]}, {"learning_rate": 10**400}, {"evil": 1}]
)
def test_networks_that_claim_any_size(run: Callable[[str], Path], data: PerturbationData, settings: dict) -> None:
    folder = run("Autoencoder")
    altered(folder, lambda said: said["settings"].update(settings))
    with pytest.raises(CycseqError, match=r"weights do not fit|must be|digits|no setting"):
        Run.open(folder).predict([Condition("y", "G1")], controls=data.controls())


def test_a_model_folder_with_a_pickle_is_refused(run: Callable[[str], Path]) -> None:
    folder = run("PerturbedMean") / "model"
    (folder / "more.pkl").touch()
    with pytest.raises(FileError, match=r"more.pkl, which can run code"):
        load_model(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said.update(data="/etc"),
        lambda said: said.update(data={"path": 3, "hash": "x"}),
        lambda said: said.update(settings="x"),
        lambda said: said.update(seed="0"),
        lambda said: said.update(model={}),
    ],
)
def test_runs_whose_record_was_altered(run: Callable[[str], Path], change: Callable) -> None:
    folder = run("PerturbedMean")
    said = json.loads((folder / "run.json").read_text())
    change(said)
    (folder / "run.json").write_text(json.dumps(said))
    (folder / "environment.json").unlink(missing_ok=True)
    with pytest.raises(FileError, match=r"run.json is damaged: it does not say"):
        Run.open(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said.update(cells=[]),
        lambda said: said.update(cells={"train": "c1"}),
        lambda said: said.update(train="control"),
        lambda said: said.update(seed=1e400),
        lambda said: said.update(seen_parts="2"),
        lambda said: said.update(test=[["y", ["G1"]]]),
    ],
)
def test_splits_that_were_altered(run: Callable[[str], Path], change: Callable) -> None:
    path = run("PerturbedMean") / "split.json"
    said = json.loads(path.read_text())
    said.pop("hash", None)
    change(said)
    path.write_text(json.dumps(said))
    with pytest.raises(FileError, match="damaged or is not a split"):
        Split.read(path)


def test_a_benchmark_to_repeat_connects_to_nobody_and_writes_nowhere_else(
    data: PerturbationData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "d.h5ad"
    data.write(path)
    words = ["--models", "PerturbedMean", "--split", "unseen-context", "--seeds", "1", "--metrics", "mse"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert main(["benchmark", "--data", str(path), *words, "--out", str(tmp_path / "b")]) == 0
        record = tmp_path / "b" / "benchmark.json"
        said = json.loads(record.read_text())
        said["command"] += f" --scheduler tcp://127.0.0.1:9 --out {tmp_path / 'elsewhere'}"
        record.write_text(json.dumps(said))
        assert main(["repeat", str(tmp_path / "b"), "--out", str(tmp_path / "again")]) == 0
        said["command"] = f"touch {tmp_path / 'elsewhere'}"
        record.write_text(json.dumps(said))
        assert main(["repeat", str(tmp_path / "b"), "--out", str(tmp_path / "more")]) == 2
    assert "was not made by a cycseq benchmark command" in capsys.readouterr().err
    assert not (tmp_path / "elsewhere").exists()


@pytest.fixture(scope="module")
def finished(data: PerturbationData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return benchmark(
        data, BenchmarkSettings(models=["PerturbedMean"], seeds=1), tmp_path_factory.mktemp("b") / "b"
    ).folder


@pytest.mark.parametrize(
    "change", [{"failed": 3}, {"failed": [{"evil": 1}]}, {"checksums": [1]}, {"splits": 1}, {"data": {}}]
)
def test_benchmarks_whose_record_was_altered(finished: Path, tmp_path: Path, change: dict) -> None:
    shutil.copytree(finished, tmp_path / "b")
    record = tmp_path / "b" / "benchmark.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | change))
    with pytest.raises(FileError, match="cannot be used"):
        write_report(tmp_path / "b")
    if "failed" in change or "checksums" in change:
        with pytest.raises(FileError, match="cannot be used"):
            open_benchmark(tmp_path / "b")


def test_what_is_shown_to_be_typed_is_quoted(tmp_path: Path) -> None:
    adata = ad.AnnData(-COUNTS, obs=OBS.assign(**{"cell line": "x"}), var=pd.DataFrame(index=GENES))
    adata.layers["counts; touch harmed"] = COUNTS
    adata.write_h5ad(tmp_path / "a; b.h5ad")
    found = inspect_file(tmp_path / "a; b.h5ad")
    assert shlex.split(found.command)[:5] == [
        "cycseq",
        "prepare",
        str(tmp_path / "a; b.h5ad"),
        "--layer",
        "counts; touch harmed",
    ]
