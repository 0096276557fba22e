"""A Dask cluster under the benchmark: the same table, whatever happens to the workers; and clear words where there is none."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("distributed", reason="clusters need dask and distributed: pip install 'cycseq[scale]'")
import dask
import dask.array as da
import psutil
from distributed import LocalCluster
from distributed.client import default_client

import cycseq.matrix.cluster
from conftest import make_log1p
from cycseq.benchmarking import on_cluster
from cycseq.benchmarking.benchmark import benchmark
from cycseq.benchmarking.result import Result
from cycseq.benchmarking.settings import BenchmarkSettings
from cycseq.cli import BAD_INPUT, main
from cycseq.data.dataset import PerturbationData
from cycseq.errors import CycseqError, MissingPackageError, SettingsError
from cycseq.matrix.cluster import cluster
from cycseq.score.settings import EvaluateSettings
from cycseq.split.settings import SplitSettings
from killing import forked_workers

pytestmark = pytest.mark.usefixtures("empty_figures")

MEANS = EvaluateSettings(metrics="mse,mse_ratio,pearson_delta,retrieval_cosine")
TABLES = ("metrics.csv", "summary.csv", "differences.csv", "skipped.csv", "coverage.csv", "reliability.csv")
DEADLY = """
import os, signal
from pathlib import Path
from cycseq.benchmarking import work

here, honest = Path("HERE"), getattr(work.build_model, "honest", work.build_model)  # a preload may be loaded twice

def build_model(name, settings=None):
    if (here / f"{name}.deadly").exists() or name == "Additive" and (here / "once").exists():
        (here / "once").unlink(missing_ok=True)
        with (here / "deaths").open("a") as file:
            file.write("x")
        os.kill(os.getpid(), signal.SIGKILL)
    return honest(name, settings)

work.build_model, build_model.honest = build_model, honest
"""
"""Workers load this: a model named by a file kills its worker, or the next Additive does so once."""


@pytest.fixture(scope="module")
def data() -> PerturbationData:
    """2 contexts x (control, G1, G2)."""
    whole, wanted = make_log1p(), ("control", "G1", "G2")
    return whole.subset(c for c in whole.conditions() if c.context != "THP1" and c.perturbation in wanted)


@pytest.fixture(scope="module")
def deadly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("workers") / "deadly.py"
    path.write_text(DEADLY.replace("HERE", str(path.parent)))
    return path


@pytest.fixture(scope="module")
def address(deadly: Path) -> Iterator[str]:
    """A running cluster of two worker processes."""
    preload = dask.config.set({"distributed.worker.preload": [str(deadly)]})
    with forked_workers(), preload, cluster("local", jobs=2) as client:
        yield client.scheduler.address


def tables(data: PerturbationData, out: Path, **said: object) -> dict[str, bytes]:
    settings = BenchmarkSettings(models=["Additive", "Bilinear"], seeds=1, **said)
    result = benchmark(data, settings, out, evaluation=MEANS)
    assert not result.failed
    return {name: (out / name).read_bytes() for name in TABLES}


@pytest.fixture(scope="module")
def one(data: PerturbationData, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The tables that one process makes."""
    return tables(data, tmp_path_factory.mktemp("one") / "out")


def test_a_cluster_makes_the_table_of_one_process(
    data: PerturbationData, tmp_path: Path, address: str, one: dict[str, bytes]
):
    assert tables(data, tmp_path / "cluster", scheduler=address) == one


def test_a_worker_killed_in_the_middle_costs_one_cell(
    data: PerturbationData, tmp_path: Path, address: str, deadly: Path, one: dict[str, bytes]
):
    (deadly.parent / "once").touch()
    assert tables(data, tmp_path / "cluster", scheduler=address) == one
    assert (deadly.parent / "deaths").read_text() == "x"


def test_a_cell_that_kills_its_workers_is_reported_and_the_rest_is_kept(
    data: PerturbationData, tmp_path: Path, address: str, deadly: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(on_cluster, "SECONDS_WITHOUT_WORKERS", 60)
    (deadly.parent / "Bilinear.deadly").touch()
    settings = BenchmarkSettings(models=["Bilinear"], seeds=1, scheduler=address)
    try:
        result = benchmark(data, settings, tmp_path / "out", evaluation=MEANS, splitting=SplitSettings(context="K562"))
    finally:
        (deadly.parent / "Bilinear.deadly").unlink()
    assert [f.model for f in result.failed] == ["Bilinear"]
    assert "3 workers that computed it were ended" in result.failed[0].error
    assert {"NoChange", "PerturbedMean", "SplitHalf"} <= set(result.metrics["model"])


def test_while_it_is_open_a_cluster_is_where_dask_computes(address: str):
    with cluster(address) as client:
        assert default_client() is client
        pids = da.ones(4, chunks=1).map_blocks(lambda _: np.array([os.getpid()])).compute()
    assert os.getpid() not in pids
    assert default_client() is not client
    with cluster(None) as client:
        assert client is None


def test_a_scheduler_file_serves_too_also_in_a_notebook(address: str, tmp_path: Path):
    (tmp_path / "scheduler.json").write_text(json.dumps({"address": address}))

    async def in_a_notebook() -> str:  # whose event loop runs already
        with cluster(str(tmp_path / "scheduler.json")) as client:
            return client.scheduler.address

    assert asyncio.run(in_a_notebook()) == address


def test_workers_of_another_version_are_refused_by_name(address: str, monkeypatch: pytest.MonkeyPatch):
    here = os.getpid()

    def other_here(name: str) -> str:
        return "9.9" if os.getpid() == here else version(name)

    monkeypatch.setattr(cycseq.matrix.cluster, "version", other_here)
    with pytest.raises(SettingsError, match=rf"has {version('cycseq')}, but cycseq is 9\.9 here"), cluster(address):
        pass
    monkeypatch.setattr(cycseq.matrix.cluster, "SAME_EVERYWHERE", ("never-installed",))
    with pytest.raises(SettingsError, match=r"lacks it, but never-installed is 9\.9 here"), cluster(address):
        pass


@pytest.mark.parametrize("scheduler", ["tcp://127.0.0.1:1", "loca", "scheduler.txt"])
def test_where_nobody_answers_it_says_so_soon(scheduler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cycseq.matrix.cluster, "SECONDS", 1)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scheduler.txt").write_text("not JSON")
    started = time.monotonic()
    with (
        pytest.raises(SettingsError, match=f"no Dask scheduler answers at --scheduler {scheduler} .*--scheduler local"),
        cluster(scheduler),
    ):
        pass
    assert time.monotonic() < started + 3


def test_a_scheduler_without_workers_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cycseq.matrix.cluster, "SECONDS_FOR_WORKERS", 1)
    with LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address=None) as empty:
        words = "has no workers: start some with dask worker"
        with pytest.raises(SettingsError, match=words), cluster(empty.scheduler_address):
            pass


def test_without_distributed_it_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'cycseq\[scale\]'"), cluster("local"):
        pass


def test_a_scheduler_that_goes_away_leaves_what_was_finished(
    data: PerturbationData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    honest = on_cluster.write_result
    with (
        forked_workers(),
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None, silence_logs=50) as own,
    ):

        def kept(*said: object) -> object:
            own.sync(own.scheduler.close)
            return honest(*said)

        monkeypatch.setattr(on_cluster, "write_result", kept)
        settings = BenchmarkSettings(seeds=1, scheduler=own.scheduler_address)
        with pytest.raises(CycseqError, match=r"the Dask scheduler is gone.*run the same command again"):
            benchmark(data, settings, tmp_path / "out", evaluation=MEANS)
    assert len(list((tmp_path / "out" / "results").glob("*.npz"))) == 1


def test_killed_from_outside_it_leaves_no_workers_and_whole_cells(data: PerturbationData, tmp_path: Path):
    data.write(tmp_path / "data.h5ad")
    words = f"benchmark --data {tmp_path}/data.h5ad --models NoChange --seeds 5 --metrics means --out {tmp_path}/out"
    command = [sys.executable, "-m", "cycseq", *words.split(), "--scheduler", "local", "--jobs", "2"]
    cells = tmp_path / "out" / "results"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as parent:
        while parent.poll() is None and not list(cells.glob("*.npz")):
            time.sleep(0.05)
        family = psutil.Process(parent.pid).children(recursive=True)
        parent.send_signal(signal.SIGKILL)
    assert len(family) >= 2
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
    finished = [Result.read(path) for path in cells.glob("*.npz")]
    assert finished
    assert None not in finished


def test_the_command_line_says_it_in_a_line(data: PerturbationData, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data.write(tmp_path / "data.h5ad")
    assert main(f"benchmark --data {tmp_path}/data.h5ad --scheduler nowhere --out {tmp_path}/out".split()) == BAD_INPUT
    assert "no Dask scheduler answers at --scheduler nowhere" in capsys.readouterr().err
