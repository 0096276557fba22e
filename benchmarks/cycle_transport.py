"""CycleTransport against plain shifting, with its ablations: Kang, simulated worlds, Papalexi.

    python benchmarks/cycle_transport.py ../shared/data --out /tmp/cycle_transport [--seeds 3]

Kang and the worlds: each context held out in turn, nothing of it seen but its control cells. Papalexi: each knock-out held
out in one of five folds, its mean being the common response. Every score is appended to `scores.csv` as soon as it is
known, and is not computed again when the command is repeated. Prints one Markdown table of means and paired intervals
for each data set. Distances are in principal components of the control cells of all contexts. Ablations have one seed.
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
from cycseq.data.dataset import Condition, PerturbationData
from cycseq.models.base import Model
from cycseq.score.reference import Reference
from cycseq.score.summary import paired_differences
from cycseq.simulation.generate import simulate
from cycseq.simulation.settings import SimulateSettings
from evidence_data import folds

METRICS = (
    *("edistance", "zero_fraction_error", "mean_variance_error", "c2st_auc", "wasserstein_gene", "mmd"),
    *("gene_correlation_error", "mse_ratio", "pearson_delta"),
)
BASELINE, FULL = "ConditionKriging", "CycleTransport"
FITTED: dict[str, tuple[str, dict[str, object]]] = {
    "NoChange": ("NoChange", {}),
    BASELINE: (BASELINE, {}),
    FULL: (FULL, {}),
    "without cycle": (FULL, {"lambda_cycle": 0.0}),
    "without pairs": (FULL, {"lambda_pair": 0.0}),
    "without MMD": (FULL, {"lambda_mmd": 0.0}),
    "without noise model": (FULL, {"cells": "shifted"}),
    "drawn": (FULL, {"cells": "drawn"}),
    "real mean": (FULL, {"transport": False}),
}
FIRST = {"real mean": "real mean, kept"}
"""What stands in the table first, where a name there is another."""
UNSEEN = {"unseen": "common", "features": None}
"""How the mean of a perturbation that was never measured is predicted."""


def data_sets(folder: Path, worlds: list[str]) -> Iterator[tuple[str, PerturbationData]]:
    settings = cycseq.PrepareSettings(genes="all")
    yield "Kang", cycseq.prepare([cycseq.read(folder / "kang2018_pbmc_ifnb.h5ad")], settings)
    for world in worlds:
        simulated = simulate(SimulateSettings(contexts=4, perturbations=10, genes=300, cells=3_000, world=world))
        yield world, cycseq.prepare([simulated], settings)
    yield "Papalexi", cycseq.prepare([cycseq.read(folder / "papalexi2021_thp1_eccite.h5ad")], settings)


@dataclass(frozen=True)
class HeldOut:
    """What a model does not see."""

    name: str
    test: list[Condition]

    @property
    def context(self) -> str:
        """Theirs."""
        return self.test[0].context


def held_out(data: PerturbationData) -> list[HeldOut]:
    """A context at a time; folds of perturbations where there is one context."""
    perturbed = [c for c in data.conditions() if not c.is_control]
    if len(data.contexts) == 1:
        return [HeldOut(split.name, list(split.test)) for split in folds(data, 0)]
    return [HeldOut(f"unseen-context:{name}", [c for c in perturbed if c.context == name]) for name in data.contexts]


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
    data: PerturbationData, held: HeldOut, name: str, seed: int
) -> Iterator[tuple[str, PerturbationData, float]]:
    """Predicted cells of what was held out, with the processor's seconds for fitting."""
    test, controls = held.test, data.controls([held.context])
    kind, settings = FITTED[name]
    if len(data.contexts) == 1 and kind != "NoChange":
        settings = settings | (UNSEEN if kind == BASELINE else {"mean_settings": UNSEEN})
    started = time.process_time()
    model = cycseq.build_model(kind, settings).fit(data.subset(set(data.conditions()) - set(test)), seed=seed)
    seconds = time.process_time() - started
    if name == "real mean":  # the cells alone, without the error of the predicted mean: no prediction
        for cells in ("kept", "drawn", "shifted"):
            made = without_h(model, cells=cells)
            made.learned.facts["counted"] &= cells != "shifted"
            made.learned.cache["anchor"] = RealMeans(data)
            yield f"real mean, {cells}", made.predict(controls, test, seed=seed), seconds
        return
    yield name, model.predict(controls, test, seed=seed), seconds
    if name != FULL or seed > 0:
        return
    plain = without_h(model, mean_settings=settings.get("mean_settings"))
    yield "without h", plain.predict(controls, test, seed=seed), seconds
    if len(data.contexts) > 1:
        other = data.contexts[(data.contexts.index(held.context) + 1) % len(data.contexts)]
        asked = [c for c in test if Condition(other, c.perturbation) in data.conditions()]
        there = [Condition(other, c.perturbation) for c in asked]
        made = model.predict(data.controls([other]), there, seed=seed)
        yield "wrong context", relabelled(made, dict(zip(there, asked, strict=True))), seconds
    if len(test) > 1:
        turned = [*test[1:], test[0]]
        made = model.predict(controls, turned, seed=seed)
        yield "wrong target", relabelled(made, dict(zip(turned, test, strict=True))), seconds


def real_side(data: PerturbationData, cells: PerturbationData, held: HeldOut) -> Reference:
    """The real cells, in components of the control cells of all contexts."""
    settings = cycseq.EvaluateSettings(metrics=METRICS)
    return Reference.of(cells.subset(held.test), data.controls(), settings=settings)


def split_half(data: PerturbationData, held: HeldOut, seed: int) -> pd.DataFrame:
    """The scores of one half of the held-out cells as a prediction of the other."""
    rows = np.concatenate([data.rows(condition) for condition in held.test])
    half = np.zeros(data.n_cells, dtype=bool)
    half[np.random.default_rng(seed).permutation(rows)[: len(rows) // 2]] = True
    adata = data.adata[half].copy()
    adata.obs_names = [f"half/{name}" for name in adata.obs_names]
    predicted = PerturbationData(ad.AnnData(adata.X, adata.obs, adata.var), scale=data.scale)
    return cycseq.evaluate(predicted, real_side(data, data.take(~half), held))


def run(data_set: str, data: PerturbationData, names: Iterable[str], seeds: int, path: Path) -> None:
    columns = ["data", "split", "model", "seed"]
    done = set(pd.read_csv(path)[columns].itertuples(index=False, name=None)) if path.exists() else set()

    def write(name: str, split: str, seed: int, table: pd.DataFrame, seconds: float) -> None:
        table = table.assign(data=data_set, model=name, split=split, seed=seed, seconds=seconds)
        table.to_csv(path, mode="a", header=not path.exists(), index=False)

    for held in held_out(data):
        todo = [(n, s) for n in names for s in range(seeds if n == FULL else 1)]
        todo = [(n, s) for n, s in todo if (data_set, held.name, FIRST.get(n, n), s) not in done]
        real = real_side(data, data, held) if todo else None
        for name, seed in todo:
            if name == "SplitHalf":
                write(name, held.name, seed, split_half(data, held, seed), 0.0)
                continue
            for derived, predicted, seconds in predictions(data, held, name, seed):
                write(derived, held.name, seed, cycseq.evaluate(predicted, real), seconds)


def markdown(scores: pd.DataFrame) -> str:
    metrics = list(dict.fromkeys(scores["metric"]))
    mean = scores.groupby(["model", "metric"], sort=False)["value"].mean().unstack()[metrics]
    table = paired_differences(scores, baselines=[BASELINE]).set_index(["model", "metric"])
    lines = [f"| | {' | '.join(metrics)} | seconds |", "|---" * (len(metrics) + 2) + "|"]
    seconds = scores.groupby("model")["seconds"].median()
    for model in mean.index:
        cells = []
        for metric in metrics:
            text = f"{mean.loc[model, metric]:.3f}"
            if (model, metric) in table.index:
                row = table.loc[(model, metric)]
                text += f" ({row['low']:+.3f} to {row['high']:+.3f})"
            cells.append(text)
        lines.append(f"| {model} | {' | '.join(cells)} | {seconds[model]:.0f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--worlds", nargs="*", default=["context-specific", "programs", "heavy-tails", "continuum"])
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "scores.csv"
    sets = dict(data_sets(options.folder, options.worlds))
    ablations = [name for name in FITTED if name.startswith("without")]
    for names in (("SplitHalf", "NoChange", BASELINE, FULL), ["real mean", "drawn"], ablations):
        for name in sorted(sets, key=lambda known: known == "Kang"):  # the slowest last
            run(name, sets[name], names, options.seeds, path)
    scores = pd.read_csv(path)
    for name in sets:
        print(f"\n{name}\n\n{markdown(scores[scores['data'] == name])}", flush=True)


if __name__ == "__main__":
    main()
