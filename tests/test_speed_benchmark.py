"""The speed benchmark runs at tiny sizes and writes its page; its numbers are no test."""

import math
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def stages(monkeypatch):
    """The benchmark's own modules."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


def test_stages_run_at_tiny_sizes(tmp_path):
    pytest.importorskip("torch")
    command = [sys.executable, str(ROOT / "benchmarks" / "speed.py"), "--quick", "--out", str(tmp_path)]
    subprocess.run([*command, "--stages", "feeder"], check=True, capture_output=True)
    table = pd.read_csv(tmp_path / "speed" / "results.csv")
    assert set(table["kind"]) == {"ours", "peer", "naive", "limit"}
    assert (table["cpu_s"] > 0).all()
    ours = table[table["kind"] == "ours"].set_index("stage")
    assert (ours["times"] == 1).all()
    page = (tmp_path / "speed.md").read_text()
    for row in table[table["kind"] != "limit"].itertuples():
        assert row.form in page


def test_ratios_are_those_of_the_pairs(stages):
    from speed_stages.measure import Taken, rows

    def taken(*seconds):
        return [Taken(wall=2 * s, cpu=s, peak=1.0, said={}) for s in seconds]

    ours, peer = rows("s", "x", {"a": taken(1, 2, 4), "b": taken(3, 4, 20)}, {"a": "ours", "b": "peer"})
    assert (ours.times, ours.cpu_s, ours.wall_s) == (1, 1, 2)
    assert (peer.times, peer.times_least, peer.times_most, peer.cpu_s) == (3, 2, 5, 3)


def test_slopes_are_of_logarithms(stages):
    from speed_stages.cost import Cost, slopes

    costs = [Cost("s", "cells", size, 1e-6 * size**2) for size in (10, 100, 1000)]
    assert math.isclose(slopes(costs)["s", "cells"], 2.0)


def test_the_history_holds_the_figures_of_this_version(stages):
    import json

    import history

    kept = json.loads(history.HISTORY.read_text(encoding="utf-8"))
    assert kept[history.current_version()] == history.measured(), "run python benchmarks/history.py --record"
    assert "SLOWER" in history.changes({"a": {"cpu_s": 1.0}}, {"a": {"cpu_s": 1.5}})[0]
