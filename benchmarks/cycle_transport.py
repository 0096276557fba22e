"""CycleTransport against plain shifting, with its ablations: each context held out in turn, Kang and simulated worlds.

    python benchmarks/cycle_transport.py ../shared/data/kang2018_pbmc_ifnb.h5ad --out /tmp/cycle_transport [--seeds 3]

Nothing of the held-out context but its control cells is seen. Every score is appended to `scores.csv` as soon as it is
known, and is not computed again when the command is repeated. Prints one Markdown table of means and paired
intervals for each data set. Two metrics are computed twice: in principal components of the held-out context's own control
cells, as `cycseq benchmark` does, and (ending in ` (wide)`) of the control cells of all contexts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd

import cycseq
from cycseq.bootstrap import paired_differences
from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.simulate import SimulateSettings, simulate

CELLS = ("edistance", "zero_fraction_error", "mean_variance_error", "c2st_auc", "wasserstein_gene", "mmd")
METRICS = (*CELLS, "gene_correlation_error", "mse_ratio", "pearson_delta")
WIDE = ("edistance", "c2st_auc")
BASELINE = "ConditionKriging"
VARIANTS: dict[str, tuple[str, dict[str, object]]] = {
    "NoChange": ("NoChange", {}),
    BASELINE: (BASELINE, {}),
    "CycleTransport": ("CycleTransport", {}),
    "without h": ("CycleTransport", {"transport": False}),
    "without cycle": ("CycleTransport", {"lambda_cycle": 0.0}),
    "without pairs": ("CycleTransport", {"lambda_pair": 0.0}),
    "without MMD": ("CycleTransport", {"lambda_mmd": 0.0}),
    "without noise model": ("CycleTransport", {"cells": "shifted"}),
    "counts kept": ("CycleTransport", {"cells": "kept", "transport": False}),
}
SEEDED = ("CycleTransport", "without h")
"""Variants that are run with every seed; the others with the first."""
WRONG = ("wrong context", "wrong target")


def data_sets(kang: Path, worlds: list[str]) -> Iterator[tuple[str, PerturbationData]]:
    settings = cycseq.PrepareSettings(genes="all")
    yield "Kang", cycseq.prepare([cycseq.read(kang)], settings)
    for world in worlds:
        simulated = simulate(SimulateSettings(contexts=5, perturbations=20, genes=500, cells=6_000, world=world))
        yield world, cycseq.prepare([simulated], settings)


def relabelled(predicted: PerturbationData, conditions: dict[Condition, Condition]) -> PerturbationData:
    """The same cells under other labels."""
    adata = predicted.adata.copy()
    new = [conditions[c] for c in predicted.conditions()]
    for name in ("context", "perturbation"):
        adata.obs[name] = pd.Categorical([getattr(new[code], name) for code in predicted.condition_codes])
    return PerturbationData(adata=adata, scale=predicted.scale)


def one(data: PerturbationData, context: str, name: str, seed: int) -> tuple[PerturbationData, float]:
    """Predicted cells of all conditions of a held-out context, and the seconds of the processor for fitting."""
    test = [c for c in data.conditions() if c.context == context and not c.is_control]
    train = data.subset(set(data.conditions()) - set(test))
    model, settings = VARIANTS.get(name, ("CycleTransport", {}))
    started = time.process_time()
    fitted = cycseq.build_model(model, settings).fit(train, seed=seed)
    seconds = time.process_time() - started
    asked, other = test, context
    if name == "wrong context":  # the next context's cells, under this one's label
        other = data.contexts[(data.contexts.index(context) + 1) % len(data.contexts)]
        asked = [Condition(other, c.perturbation) for c in test]
    elif name == "wrong target":  # the next perturbation's cells, under this one's label
        asked = [*test[1:], test[0]]
    predicted = fitted.predict(data.controls([other]), asked, seed=seed)
    return relabelled(predicted, dict(zip(asked, test, strict=True))), seconds


def scored(data: PerturbationData, context: str, predicted: PerturbationData) -> pd.DataFrame:
    real = data.subset(c for c in data.conditions() if c.context == context and not c.is_control)
    tables = []
    for controls, names, ending in ((data.controls([context]), METRICS, ""), (data.controls(), WIDE, " (wide)")):
        table = cycseq.evaluate(predicted, real, controls, settings=cycseq.EvaluateSettings(metrics=names))
        tables.append(table.assign(metric=table["metric"] + ending))
    return pd.concat(tables)


def split_half(data: PerturbationData, context: str, seed: int) -> PerturbationData:
    """The held-out cells but for every other one, which then predict the rest."""
    rows = np.flatnonzero((data.adata.obs["context"] == context) & (data.adata.obs["perturbation"] != "control"))
    half = np.random.default_rng(seed).permutation(rows)[: len(rows) // 2]
    adata = data.adata[half].copy()
    adata.obs_names = [f"half/{name}" for name in adata.obs_names]
    return PerturbationData(ad.AnnData(adata.X, adata.obs, adata.var), scale=data.scale)


def run(data_set: str, data: PerturbationData, seeds: int, path: Path) -> None:
    done = (
        set(map(tuple, pd.read_csv(path)[["data", "split", "model", "seed"]].values.tolist()))
        if path.exists()
        else set()
    )
    wrong = WRONG if len(data.perturbations) > 1 else WRONG[:1]
    for name in ("SplitHalf", *VARIANTS, *wrong):
        for seed in range(seeds if name in SEEDED else 1):
            for context in data.contexts:
                split = f"unseen-context:{context}"
                if (data_set, split, name, seed) in done:
                    continue
                if name == "SplitHalf":
                    predicted, seconds = split_half(data, context, seed), 0.0
                    rest = ~data.adata.obs_names.isin([n.removeprefix("half/") for n in predicted.adata.obs_names])
                    table = scored(data.take(rest), context, predicted)
                else:
                    predicted, seconds = one(data, context, name, seed)
                    table = scored(data, context, predicted)
                table = table.assign(data=data_set, model=name, split=split, seed=seed, seconds=seconds)
                table.to_csv(path, mode="a", header=not path.exists(), index=False)


def markdown(scores: pd.DataFrame) -> str:
    metrics = list(dict.fromkeys(scores["metric"]))
    mean = scores.groupby(["model", "metric"], sort=False)["value"].mean().unstack()[metrics]
    plain = scores.assign(metric=scores["metric"].str.removesuffix(" (wide)"))
    wide = scores["metric"].str.endswith(" (wide)")
    tables = {
        ending: paired_differences(plain[w], baselines=[BASELINE]) for ending, w in (("", ~wide), (" (wide)", wide))
    }
    lines = [f"| | {' | '.join(metrics)} | seconds |", "|---" * (len(metrics) + 2) + "|"]
    seconds = scores.groupby("model")["seconds"].median()
    for model in mean.index:
        cells = []
        for metric in metrics:
            ending = " (wide)" if metric.endswith(" (wide)") else ""
            d = tables[ending]
            found = d[(d["model"] == model) & (d["metric"] == metric.removesuffix(" (wide)"))]
            text = f"{mean.loc[model, metric]:.3f}"
            cells.append(
                text if found.empty else f"{text} ({found['low'].iloc[0]:+.3f} to {found['high'].iloc[0]:+.3f})"
            )
        lines.append(f"| {model} | {' | '.join(cells)} | {seconds[model]:.0f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kang", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--worlds", nargs="*", default=["context-specific"])
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "scores.csv"
    for name, data in data_sets(options.kang, options.worlds):
        run(name, data, options.seeds, path)
        scores = pd.read_csv(path)
        print(f"\n{name}\n\n{markdown(scores[scores['data'] == name])}", flush=True)


if __name__ == "__main__":
    main()
