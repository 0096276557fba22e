"""CycleTransport against plain shifting, with its ablations: each context held out in turn, Kang and simulated worlds.

    python benchmarks/cycle_transport.py ../shared/data/kang2018_pbmc_ifnb.h5ad --out /tmp/cycle_transport [--seeds 3]

Nothing of the held-out context but its control cells is seen. Every score is appended to `scores.csv` as soon as it is
known, and is not computed again when the command is repeated. Prints one Markdown table of means and paired intervals
for each data set. `edistance` is computed twice: in principal components of the held-out context's own control cells, as
`cycseq benchmark` does, and (ending in ` (wide)`) of the control cells of all contexts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd

import cycseq
from cycseq.bootstrap import paired_differences
from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.simulate import SimulateSettings, simulate
from cycseq.model import Model
from cycseq.real_side import RealSide

METRICS = (
    *("edistance", "zero_fraction_error", "mean_variance_error", "c2st_auc", "wasserstein_gene", "mmd"),
    *("gene_correlation_error", "mse_ratio", "pearson_delta"),
)
WIDE = ("edistance",)
BASELINE, FULL = "ConditionKriging", "CycleTransport"
FITTED: dict[str, tuple[str, dict[str, object]]] = {
    "NoChange": ("NoChange", {}),
    BASELINE: (BASELINE, {}),
    FULL: (FULL, {}),
    "without cycle": (FULL, {"lambda_cycle": 0.0}),
    "without pairs": (FULL, {"lambda_pair": 0.0}),
    "without MMD": (FULL, {"lambda_mmd": 0.0}),
    "without noise model": (FULL, {"cells": "shifted"}),
    "real mean": (FULL, {"transport": False}),
}


def data_sets(kang: Path, worlds: list[str]) -> Iterator[tuple[str, PerturbationData]]:
    settings = cycseq.PrepareSettings(genes="all")
    yield "Kang", cycseq.prepare([cycseq.read(kang)], settings)
    for world in worlds:
        simulated = simulate(SimulateSettings(contexts=4, perturbations=10, genes=300, cells=3_000, world=world))
        yield world, cycseq.prepare([simulated], settings)


def relabelled(predicted: PerturbationData, conditions: dict[Condition, Condition]) -> PerturbationData:
    """The same cells under other labels."""
    adata = predicted.adata.copy()
    new = [conditions[c] for c in predicted.conditions()]
    for name in ("context", "perturbation"):
        adata.obs[name] = pd.Categorical([getattr(new[code], name) for code in predicted.condition_codes])
    return PerturbationData(adata=adata, scale=predicted.scale)


@dataclass(frozen=True)
class RealMeans:
    """In place of a model of means: the real ones."""

    data: PerturbationData

    def predict(
        self, _controls: PerturbationData, conditions: list[Condition], **_settings: object
    ) -> PerturbationData:
        """One cell of each condition: its mean."""
        rows = [self.data.conditions().index(condition) for condition in conditions]
        adata = ad.AnnData(self.data.moments.mean[rows].astype(np.float32), var=self.data.adata.var)
        for name in ("context", "perturbation"):
            adata.obs[name] = pd.Categorical([getattr(condition, name) for condition in conditions])
        adata.obs["batch"] = "none"
        return PerturbationData(adata=adata, scale="log1p")


def without_h(model: Model, **settings: object) -> Model:
    """The same fitted model, as it is with `transport=False` and these settings."""
    plain = cycseq.build_model(FULL, {"transport": False, **settings})
    plain.fitted_ = replace(model.learned, facts={**model.learned.facts, "transport": None}, cache={})
    return plain


def predictions(
    data: PerturbationData, context: str, name: str, seed: int
) -> Iterator[tuple[str, PerturbationData, float]]:
    """Predicted cells of all conditions of a held-out context, with the processor's seconds for fitting."""
    test = [c for c in data.conditions() if c.context == context and not c.is_control]
    kind, settings = FITTED[name]
    started = time.process_time()
    model = cycseq.build_model(kind, settings).fit(data.subset(set(data.conditions()) - set(test)), seed=seed)
    seconds = time.process_time() - started
    if name == "real mean":  # the cells alone, without the error of the predicted mean: no prediction
        for cells in ("drawn", "kept", "shifted"):
            made = without_h(model, cells=cells)
            made.learned.facts["counted"] &= cells != "shifted"
            made.learned.cache["anchor"] = RealMeans(data)
            yield f"real mean, {cells}", made.predict(data.controls([context]), test, seed=seed), seconds
        return
    yield name, model.predict(data.controls([context]), test, seed=seed), seconds
    if name != FULL:
        return
    for derived, settings in (("without h", {}), ("without h, counts kept", {"cells": "kept"})):
        yield derived, without_h(model, **settings).predict(data.controls([context]), test, seed=seed), seconds
    other = data.contexts[(data.contexts.index(context) + 1) % len(data.contexts)]
    asked = [c for c in test if Condition(other, c.perturbation) in data.conditions()]
    there = [Condition(other, c.perturbation) for c in asked]
    made = model.predict(data.controls([other]), there, seed=seed)
    yield "wrong context", relabelled(made, dict(zip(there, asked, strict=True))), seconds
    if len(test) > 1:
        turned = [*test[1:], test[0]]
        made = model.predict(data.controls([context]), turned, seed=seed)
        yield "wrong target", relabelled(made, dict(zip(turned, test, strict=True))), seconds


def real_sides(data: PerturbationData, cells: PerturbationData, context: str) -> dict[str, RealSide]:
    """The real cells, in components of the context's own control cells and of those of all contexts."""
    real = cells.subset(c for c in cells.conditions() if c.context == context and not c.is_control)
    return {
        ending: RealSide.of(real, controls, settings=cycseq.EvaluateSettings(metrics=names))
        for ending, controls, names in (("", data.controls([context]), METRICS), (" (wide)", data.controls(), WIDE))
    }


def scored(sides: dict[str, RealSide], predicted: PerturbationData) -> pd.DataFrame:
    tables = [(ending, cycseq.evaluate(predicted, side)) for ending, side in sides.items()]
    return pd.concat([table.assign(metric=table["metric"] + ending) for ending, table in tables])


def split_half(data: PerturbationData, context: str, seed: int) -> PerturbationData:
    """The held-out cells but for every other one, which then predict the rest."""
    rows = np.flatnonzero((data.adata.obs["context"] == context) & (data.adata.obs["perturbation"] != "control"))
    half = np.random.default_rng(seed).permutation(rows)[: len(rows) // 2]
    adata = data.adata[half].copy()
    adata.obs_names = [f"half/{name}" for name in adata.obs_names]
    return PerturbationData(ad.AnnData(adata.X, adata.obs, adata.var), scale=data.scale)


def run(data_set: str, data: PerturbationData, names: Iterable[str], seeds: int, path: Path) -> None:
    columns = ["data", "split", "model", "seed"]
    done = set(pd.read_csv(path)[columns].itertuples(index=False, name=None)) if path.exists() else set()

    def write(name: str, split: str, seed: int, table: pd.DataFrame, seconds: float) -> None:
        table = table.assign(data=data_set, model=name, split=split, seed=seed, seconds=seconds)
        table.to_csv(path, mode="a", header=not path.exists(), index=False)

    for context in data.contexts:
        split, sides = f"unseen-context:{context}", real_sides(data, data, context)
        for name, seed in [(n, s) for n in names for s in range(seeds if n == FULL else 1)]:
            first = "real mean, drawn" if name == "real mean" else name
            if (data_set, split, first, seed) in done:
                continue
            if name == "SplitHalf":
                half = split_half(data, context, seed)
                rest = ~data.adata.obs_names.isin([n.removeprefix("half/") for n in half.adata.obs_names])
                write(name, split, seed, scored(real_sides(data, data.take(rest), context), half), 0.0)
                continue
            for derived, predicted, seconds in predictions(data, context, name, seed):
                write(derived, split, seed, scored(sides, predicted), seconds)


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
    sets = dict(data_sets(options.kang, options.worlds))
    ablations = [name for name in FITTED if name.startswith("without")]
    for names in (("SplitHalf", "NoChange", BASELINE, FULL), ["real mean"], ablations):
        for name, data in sets.items():
            run(name, data, names, options.seeds, path)
    scores = pd.read_csv(path)
    for name in sets:
        print(f"\n{name}\n\n{markdown(scores[scores['data'] == name])}", flush=True)


if __name__ == "__main__":
    main()
