"""The evidence: its command on a tiny world, and sentences that follow the numbers."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def evidence(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """The command, as typed in the checkout."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.chdir(BENCHMARKS.parent)
    from evidence import main

    return lambda *words: main([str(word) for word in words])


def test_one_command_makes_the_page_and_again_the_same(tmp_path: Path, evidence: Callable[..., None]):
    def run(folder: Path, *words: str) -> str:
        evidence("--out", folder, "--page", folder / "evidence.md", *words)
        return (folder / "evidence.md").read_text()

    words = ("--quick", "--data", "doubles", "--models", "NoChange,Additive,ConditionKriging", "--jobs", "1")
    page = run(tmp_path, *words)
    assert "quick run on tiny worlds" in page
    assert "| Simulated: doubles, both parts seen: no worse than Additive | mse_ratio |" in page
    table = pd.read_csv(tmp_path / "metrics.csv.gz")
    additive = table[(table["model"] == "Additive") & (table["metric"] == "mse_ratio")]["value"].mean()
    row = next(line for line in page.splitlines() if line.startswith("| Additive |"))
    assert f"{additive:.3f}" in row or f"{additive:.4f}" in row
    counts = table[table["perturbation"] == "true response"].groupby("metric")["value"].sum()
    assert 0 <= counts["coverage:inside"] <= counts["coverage:n"]
    assert f"{100 * counts['coverage:inside'] / counts['coverage:n']:.0f} %" in page
    assert page.index("90 % intervals") < page.index("How to read it")
    assert "| above 0 |" in page
    cells = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}
    assert run(tmp_path, *words) == page
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")} == cells
    assert (tmp_path / "evidence" / "summary.csv").read_text().count("Additive") >= 5


def simulated_table(gain: float, seed: int = 0) -> pd.DataFrame:
    """NoChange at 1, Ridge at 0.5, and kriging that is better by `gain`, over 30 conditions."""
    rng = np.random.default_rng(seed)
    level, own = rng.normal(scale=0.2, size=30), rng.normal(scale=0.02, size=30)
    values = {"NoChange": 1.0 + 0 * level, "Ridge": 0.5 + level, "ConditionKriging": 0.5 + level + own - gain}
    rows = [
        ("kang", "unseen-context", model, 0, f"type {i}", "stim", "mse_ratio", value)
        for model, of_model in values.items()
        for i, value in enumerate(of_model)
    ]
    return pd.DataFrame(rows, columns=["data", "split", "model", "seed", "context", "perturbation", "metric", "value"])


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        (0.1, "`ConditionKriging`: better than all baselines in mse_ratio"),
        (0.0, "`ConditionKriging`: indistinguishable from some baseline in mse_ratio (Ridge)"),
        (-0.1, "`ConditionKriging`: worse in mse_ratio (than Ridge)"),
    ],
)
def test_sentences_follow_the_numbers(gain: float, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from evidence_page import write_page

    page = tmp_path / "page.md"
    write_page(simulated_table(gain), page, quick=False, network_rule="")
    assert said in page.read_text()


def test_where_no_model_is_better_than_no_change_nothing_can_be_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from evidence_page import write_page

    table = simulated_table(0.0)
    table.loc[table["model"] != "NoChange", "value"] += 1.0
    page = tmp_path / "page.md"
    write_page(table, page, quick=False, network_rule="")
    assert "**nothing can be told**" in page.read_text()
    write_page(simulated_table(0.0), page, quick=False, network_rule="")
    assert "**nothing can be told**" not in page.read_text()


def test_the_baseline_that_contradicts_a_claim_decides_though_another_is_better_on_average(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from evidence_claims import better
    from evidence_page import grouped

    table = simulated_table(0.1)
    kriging = table[table["model"] == "ConditionKriging"]
    uneven = np.where(np.arange(len(kriging)) % 2 == 0, 1.0, -1.1)  # on average the best, but not reliably
    table = pd.concat(
        [
            table[table["model"] != "Ridge"],
            kriging.assign(model="Ridge", value=kriging["value"] + uneven),
            kriging.assign(model="ContextAdditive", value=kriging["value"] - 0.01),
        ]
    )
    (row,) = better("claim", {("kang", "unseen-context"): grouped(table)}, "kang", "unseen-context", "mse_ratio")
    assert "| ContextAdditive |" in row
    assert "**no: worse**" in row
    alone = {("kang", "unseen-context"): grouped(kriging)}
    assert better("claim", alone, "kang", "unseen-context", "mse_ratio") == []


@pytest.mark.parametrize("gain", [0.1, 0.0])
def test_nothing_is_claimed_where_half_of_the_real_cells_is_no_better_than_the_null(gain: float, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from evidence_claims import no_worse
    from evidence_page import grouped

    table = simulated_table(gain)
    ceiling = table[table["model"] == "NoChange"].assign(model="SplitHalf")
    key = ("kang", "unseen-context")
    for value, said in ((0.1, "| yes"), (1.2, "| no claim")):
        groups = {key: grouped(pd.concat([table, ceiling.assign(value=value)]))}
        (row,) = no_worse("claim", groups, *key, "mse_ratio", "Ridge")
        assert said in row, row


def test_coverage_and_reliability_that_miss_their_goals_are_said_in_the_first_lines(tmp_path: Path, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from evidence_certainty import tidy_coverage, tidy_reliability
    from evidence_page import write_page

    strata = [
        ("type 0", "all genes", 0.9, 200),
        ("type 0", "responding genes", 0.6, 100),
        ("type 1", "all genes", 0.88, 200),
    ]
    bins = [("type 0", "above 0", 0.75, 0.5, 60), ("type 1", "above 0", 0.77, 0.5, 60)]
    tables = [
        tidy_coverage(pd.DataFrame(strata, columns=["context", "stratum", "observed", "n"])),
        tidy_reliability(pd.DataFrame(bins, columns=["context", "event", "stated", "observed", "n"])),
    ]
    rows = pd.concat(tables).assign(data="kang", split="unseen-context", model="ConditionKriging", seed=0)
    page = tmp_path / "page.md"
    write_page(pd.concat([simulated_table(0.1), rows]), page, quick=False, network_rule="")
    text = page.read_text()
    first = text[: text.index("How to read it")]
    assert "falls short in 1 of 1 pairs" in first
    assert "type 0 (responding genes 60 %)" in first
    assert "of a rise by up to 0.26 (stated 0.76, observed 0.50)" in first
    assert "Of 1 bin of stated probabilities in all pairs, 0 are within 0.1" in first
    assert "the mean difference is 0.260" in first
    assert "| all contexts | 89 % of 400 | **60 %** of 100 |" in text
    assert "| above 0 | 0.76 | **0.50** | 120 |" in text


def test_foreign_worlds_stand_beside_ours_with_six_contexts_held_out_in_turn(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from cycseq.simulation.settings import WORLDS
    from evidence_data import FOREIGN, SOURCES, Case, load, splits_of

    assert set(WORLDS) <= set(SOURCES)
    assert len(FOREIGN) == 12
    assert all("unseen-context" in SOURCES[world].splits for world in WORLDS)
    case = Case("signs-hidden", "unseen-context", 0)
    data = load(case.data, 0, BENCHMARKS, quick=False)
    assert len({c.context for split in splits_of(data, case) for c in split.test}) == 6


def test_an_unknown_data_set_is_refused(tmp_path: Path, evidence: Callable[..., None]):
    with pytest.raises(SystemExit, match="unknown sings-hidden"):
        evidence("--out", tmp_path, "--data", "sings-hidden")


def test_each_kernel_that_has_a_weight_is_left_out_once_and_again_is_not_computed(tmp_path: Path, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from cycseq import SplitSettings, make_splits
    from cycseq.data.condition import Condition
    from cycseq.data.effects import Effects
    from evidence_data import Case
    from evidence_effects import leave_out_kernels

    rng = np.random.default_rng(0)
    programs, loadings = rng.normal(size=(10, 3)), rng.normal(size=(3, 3, 30))
    effect = np.concatenate([programs @ loadings[0] + 0.3 * programs @ own for own in loadings[1:]])
    conditions = [Condition(context, f"P{p}") for context in "ab" for p in range(10)]
    effects = Effects.from_arrays(effect, conditions, [f"G{g}" for g in range(30)], scale="log_fold_change")
    (split, *_) = make_splits(effects, SplitSettings(kind="unseen-pair"))
    case = Case("op3", "unseen-pair", 0)
    leave_out_kernels(case, effects, split, {}, tmp_path)
    tables = {path: path.stat().st_mtime_ns for path in (tmp_path / case.folder).glob("*.csv")}
    models = {pd.read_csv(path)["model"].unique().item() for path in tables}
    assert "ConditionKriging (without same perturbation)" in models
    assert len(models) == len(tables)
    leave_out_kernels(case, effects, split, {}, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tables} == tables


def test_figures_that_were_asked_for_stand_beside_the_best_baseline(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from evidence_effects import asked_table
    from evidence_page import grouped

    table = simulated_table(0.1).assign(data="op3", split="unseen-pair")
    (row,) = [line for line in asked_table({("op3", "unseen-pair"): grouped(table)}) if "OP3" in line]
    assert "| <= 0.75 | 0." in row
    assert "| Ridge 0." in row
