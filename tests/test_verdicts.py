"""What may be said: no verdict and no sentence contradicts ceiling, wrong target, negative control or the few contexts."""

from __future__ import annotations

import re
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cycseq.benchmarking.benchmark import benchmark
from cycseq.benchmarking.settings import BenchmarkSettings
from cycseq.benchmarking.tables import BenchmarkResult
from cycseq.data.dataset import PerturbationData
from cycseq.score.contexts import by_context
from cycseq.score.metrics import METRICS
from cycseq.score.settings import EvaluateSettings
from cycseq.score.summary import paired_differences, summarize_scores
from cycseq.score.verdicts import NEGATIVE_CONTROLS, Judgement, Verdict, judge
from cycseq.show.report.judged import Judged
from cycseq.show.report.sentences import clause, in_short, say_baselines
from cycseq.show.report.table import headline

MODELS = ("NoChange", "PerturbedMean", "Additive", "Ridge", "Kriging")
NAMES = ("pearson_delta_specific", "mse_ratio", "retrieval_cosine", "amplitude", "edistance")
PRAISE = re.compile(r"better than|captures|as well as one half|ahead")


def random_table(seed: int) -> pd.DataFrame:
    """Scores of a few models in a few contexts: with and without response, ceiling, wrong target, doubles and NaN."""
    rng = np.random.default_rng(seed)
    n_contexts, n_perturbations = int(rng.integers(1, 9)), int(rng.integers(1, 9))
    conditions = [(f"c{i}", f"p{j}") for i in range(n_contexts) for j in range(n_perturbations)]
    hard = rng.normal(0, 0.3, len(conditions))
    holes = rng.random() < 0.3
    frames = []

    def add(model: str, metric: str, level: float, seed: int = 0, noise: float = 0.1) -> np.ndarray:
        gain = level + hard + noise * rng.normal(size=len(conditions))
        values = METRICS[metric].best - np.abs(gain) if METRICS[metric].direction != "lower" else 1 - gain
        if holes:
            values = np.where(rng.random(len(values)) < 0.2, np.nan, values)
        keep(model, metric, values, seed)
        return values

    def keep(model: str, metric: str, values: np.ndarray, seed: int = 0) -> None:
        frames.append(
            pd.DataFrame(conditions, columns=["context", "perturbation"]).assign(
                model=model, split="unseen-context:x", seed=seed, metric=metric, value=values
            )
        )

    for metric in NAMES:
        levels = dict(zip(MODELS, rng.choice([0.0, 0.0, 0.3, 0.6], len(MODELS)), strict=True))
        scores = {model: add(model, metric, level) for model, level in levels.items()}
        if rng.random() < 0.3:
            keep("Double", metric, scores["PerturbedMean"])
        top = rng.choice([0.0, 1.0])
        for repeat in range(3 if rng.random() < 0.9 else 0):
            add("SplitHalf", metric, top, repeat)
        if n_perturbations > 1 and metric != "edistance":
            for model in MODELS:
                add(f"{model} (wrong target)", metric, rng.choice([levels[model], 0.0]))
    return pd.concat(frames, ignore_index=True)


def judged(table: pd.DataFrame, baselines: tuple[str, ...] = MODELS[:-1]) -> tuple[pd.DataFrame, Judgement]:
    summary = summarize_scores(table, baselines=baselines)
    return summary, judge(summary, paired_differences(table, baselines=baselines))


def untold(table: pd.DataFrame, summary: pd.DataFrame, model: str) -> set[str]:
    """Metrics that cannot tell, or in which the model's predictions for the wrong perturbation tie with its own."""
    metrics = set(summary.loc[summary["cannot_tell"].astype(bool), "metric"])
    wrong = f"{model} (wrong target)"
    pairs = paired_differences(table[table["model"].isin([model, wrong])], baselines=[wrong])
    pairs = pairs[(pairs["model"] == model) & (pairs["n_conditions"] > 0)]
    return metrics | set(pairs.loc[pairs["verdict"] != "beats", "metric"])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**31))
def test_no_verdict_and_no_sentence_contradicts_what_forbids_it(seed: int):
    table = random_table(seed)
    summary, judgement = judged(table)
    values = table.pivot_table(index=["metric", "context", "perturbation"], columns="model", values="value")
    for v in (v for v in judgement.verdicts if v.word in ("better", "worse")):
        rows = summary[summary["metric"] == v.metric]
        assert METRICS[v.metric].likeness
        assert not rows["cannot_tell"].any()
        assert v.low > 0 or v.high < 0
        of_pair = values.loc[v.metric][[v.model, v.other]].dropna()
        assert len(of_pair) == v.n_conditions >= 6
        few = of_pair.index.get_level_values("context").nunique() < 6
        assert v.scope == ("these contexts only" if few else "further contexts")
        if v.word == "better":
            assert v.model not in (*NEGATIVE_CONTROLS, "Double")
            assert v.metric not in untold(table, summary, v.model)
            assert (v.difference > 0) == (METRICS[v.metric].direction == "higher")
    for model in MODELS:
        for standing in judgement.standings(model, NAMES):
            compared = {
                b: v for b in MODELS[:-1] if b != model for v in judgement.of(model, standing.metric) if v.other == b
            }
            assert standing.beats_every_baseline == all(v.word == "better" for v in compared.values())
    shown = headline(summary, judgement.controls)
    contexts = by_context(table, judgement, shown.best, "mse_ratio")
    sentences = in_short(shown, judgement, contexts)
    forbidden = untold(table, summary, shown.best)
    for part in (part for sentence in sentences for part in re.split(r"[;:] ", sentence) if PRAISE.search(part)):
        assert not {metric for metric in forbidden if re.search(rf"\b{metric}\b", part)}, (sentences, forbidden)
        assert shown.best not in judgement.controls
    made = [clause(v) for v in judgement.verdicts]
    for v, words in zip(judgement.verdicts, made, strict=True):
        assert ("better than" in words) == (v.word == "better")
        assert ("only" in words) == (
            v.scope == "these contexts only" and v.word in ("better", "worse", "indistinguishable")
        )
    by_column = summary.set_index(["metric", "model"])
    for column, word in (("beats", "better"), ("loses_to", "worse")):
        of_verdicts = {(v.metric, v.model) for v in judgement.verdicts if v.word == word}
        assert set(by_column.index[by_column[column] != ""]) == of_verdicts


def test_the_random_tables_have_claims_and_reasons_against_them():
    words, bars = set(), set()
    for seed in range(12):
        verdicts = judged(random_table(seed))[1].verdicts
        words |= {v.word for v in verdicts}
        bars |= {v.bar for v in verdicts}
    assert words == {"better", "worse", "indistinguishable", "too few conditions", "no claim"}
    assert bars >= {
        "",
        "describes",
        "cannot tell",
        "wrong target as good",
        "wrong target not scored",
        "negative control",
    }


@pytest.mark.parametrize("bar", ["cannot tell", "no scale", "describes", "wrong target as good", "negative control"])
def test_a_verdict_that_contradicts_itself_cannot_be_made(bar: str):
    said = ("k", "mse", "M", "NoChange")
    with pytest.raises(ValueError, match="no verdict says 'better' of M in mse"):
        Verdict(*said, "better", "further contexts", -0.1, -0.2, -0.05, 20, bar)
    with pytest.raises(ValueError, match="it has no interval"):
        Verdict(*said, "better", "", -0.1, -0.2, -0.05, 20)
    assert Verdict(*said, "better", "further contexts", -0.1, -0.2, -0.05, 20).word == "better"


def scored(models: dict[str, np.ndarray], n_contexts: int, metric: str = "mse_ratio") -> pd.DataFrame:
    n = len(next(iter(models.values())))
    frames = [
        pd.DataFrame({"model": model, "split": "k", "seed": 0, "metric": metric, "value": values}).assign(
            context=[f"c{i % n_contexts}" for i in range(n)], perturbation=[f"p{i // n_contexts}" for i in range(n)]
        )
        for model, values in models.items()
    ]
    return pd.concat(frames, ignore_index=True)


def test_a_baseline_that_is_the_negative_control_is_said_to_be_it():
    noise = np.random.default_rng(0).normal(0, 0.05, 24)
    table = scored({"NoChange": 1 + noise, "PerturbedMean": 0.6 + noise[::-1], "SplitHalf": 0.2 + noise}, 8)
    table = pd.concat([table, table[table["model"] == "PerturbedMean"].assign(model="Additive")])
    summary, judgement = judged(table)
    assert judgement.doubles == {"Additive": "PerturbedMean"}
    assert not [v for v in judgement.verdicts if v.model == "Additive" and v.word == "better"]
    said = in_short(headline(summary, judgement.controls), judgement, [])
    assert said == [
        "Additive scores exactly as the negative control PerturbedMean here: nothing can be claimed for what it adds.",
        "Only negative controls were tested: nothing can be claimed of a model.",
    ]


def test_the_best_of_all_is_said_to_be_so_with_its_scope_alone():
    rng = np.random.default_rng(1)
    levels = {"NoChange": 1.0, "PerturbedMean": 0.8, "Ridge": 0.7, "Kriging": 0.4, "SplitHalf": 0.2}
    values = {model: level + rng.normal(0, 0.02, 24) for model, level in levels.items()}
    for n_contexts, words in ((8, "for further contexts too"), (3, "for these contexts only")):
        summary, judgement = judged(scored(values, n_contexts))
        said = in_short(headline(summary, judgement.controls), judgement, [])
        assert said[0].startswith("Kriging captures about ")
        assert words in said[0]
        assert (
            said[1]
            == f"Kriging beside the baselines, by paired 95 % intervals: in mse_ratio it is better than every baseline ({words})."
        )
    wrong = {**values, "Kriging (wrong target)": 0.4 + rng.normal(0, 0.02, 24)}
    summary, judgement = judged(scored(wrong, 8))
    said = in_short(headline(summary, judgement.controls), judgement, [])
    assert said[0] == "Nothing can be claimed for Kriging, the best model by mean rank, beyond the negative controls."
    assert "nothing good can be claimed (predictions for the wrong perturbation score as well)" in said[1]
    assert say_baselines("Kriging", []) == ""


def screen(*, real: int, perturbations: int = 8, shuffle: bool = False, seed: int = 0) -> PerturbationData:
    """Counts of 3 contexts x perturbations x 16 cells x 40 genes, of which the first `real` perturbations do something."""
    rng = np.random.default_rng(seed)
    level = rng.normal(1.0, 0.7, 40) + rng.normal(0, 0.3, (3, 40))
    effect = np.zeros((perturbations + 1, 40))
    effect[1 : real + 1] = rng.normal(0, 1.2, (real, 40)) * (rng.random((real, 40)) < 0.6)
    x, obs = [], []
    for context in range(3):
        labels = np.repeat(np.arange(perturbations + 1), [64] + [16] * perturbations)
        x.append(rng.poisson(np.exp(level[context] + effect[labels])))
        if shuffle:
            labels[labels > 0] = rng.permutation(labels[labels > 0])
        obs += [(f"L{context}", "control" if label == 0 else f"P{label}", "b") for label in labels]
    frame = pd.DataFrame(obs, columns=["context", "perturbation", "batch"], index=[f"cell{i}" for i in range(len(obs))])
    counts = np.concatenate(x).astype(float)
    values = sp.csr_matrix(np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4), dtype=np.float32)
    return PerturbationData.from_anndata(
        ad.AnnData(values, obs=frame, var=pd.DataFrame(index=[f"g{i}" for i in range(40)]))
    )


def run(data: PerturbationData, out: Path, split: str) -> BenchmarkResult:
    names = ["ContextAdditive", "Additive", "MatchingMean"]
    chosen = EvaluateSettings(
        metrics="pearson_delta_specific,pearson_delta,mse_ratio,mse,retrieval_cosine,r2_delta,amplitude_ratio"
    )
    return benchmark(data, BenchmarkSettings(models=names, split=[split], seeds=1), out, evaluation=chosen)


@pytest.mark.parametrize("split", ["unseen-pair", "unseen-context"])
@pytest.mark.parametrize("shuffle", [False, True], ids=["pure noise", "labels shuffled within contexts"])
def test_where_nothing_is_to_be_predicted_nothing_is_claimed(shuffle: bool, split: str, tmp_path: Path):
    data = screen(real=8 if shuffle else 0, shuffle=shuffle)
    result = run(data, tmp_path / "out", split)
    of = Judged.of(result, split)
    assert not [v for v in of.judgement.verdicts if v.word == "better"]
    assert (result.summary["beats"] == "").all()
    said = of.in_short()
    assert said[0].startswith("Nothing can be claimed for")
    assert not [sentence for sentence in said if PRAISE.search(sentence)]


def test_of_two_real_knock_outs_among_twenty_no_more_is_said_than_there_is(tmp_path: Path):
    result = run(screen(real=2, perturbations=20), tmp_path / "out", "unseen-context")
    of = Judged.of(result, "unseen-context")
    said = " ".join(of.in_short())
    assert "better than every baseline" not in said
    assert "further contexts too" not in said
    assert {v.scope for v in of.judgement.verdicts} <= {"these contexts only", ""}
    # errors over all conditions are those of eighteen that do nothing: no model is better than no change by them
    assert not [
        v for v in of.judgement.verdicts if v.word == "better" and v.metric == "mse_ratio" and v.other == "NoChange"
    ]
    _, judgement = judged(
        result.metrics[result.metrics["perturbation"].isin(["P1", "P2"])], tuple(result.record["baselines"])
    )
    better = {v.metric for v in judgement.verdicts if v.word == "better" and v.other == "NoChange"}
    assert "mse_ratio" in better
