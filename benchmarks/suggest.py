"""Does a suggested batch of conditions teach more than a random one? Simulated worlds, the truth known.

`python benchmarks/suggest.py [SEEDS [WORLD ...]]` prints Markdown. Of 20 perturbations in 5 lines, 6 are measured in every line and
the others in one line each; a batch of 10 is then measured, suggested or drawn at random (mean of 3 draws), and
ConditionKriging is fitted again. The error is that of the posterior mean of all 100 conditions, measured or not, against
the true responses. Intervals are of the paired difference over seeds (95 %, Student's t).
"""

from __future__ import annotations

import sys

import numpy as np
from scipy import stats

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.models.kriging.model import ConditionKriging
from cycseq.preparation.normalise import library_sizes, log_normalised
from cycseq.run.suggest import suggest
from cycseq.simulation.generate import simulate
from cycseq.simulation.settings import WORLDS, SimulateSettings

BATCH, EVERYWHERE, DRAWS = 10, 6, 3


def world(name: str, seed: int) -> tuple[PerturbationData, dict[Condition, np.ndarray]]:
    counts = simulate(SimulateSettings(world=name, seed=seed, contexts=5, perturbations=20, cells=6_000, genes=300))
    adata = counts.adata.copy()
    truth = {
        Condition.parse(str(c)): adata.varm["true_delta"][c].to_numpy(np.float64) for c in adata.varm["true_delta"]
    }
    adata.layers.clear()
    log_normalised(adata.X, library_sizes(adata.X))
    adata.uns["cycseq"] = {"scale": "log1p"}
    return PerturbationData(adata=adata, scale="log1p"), truth


def start(truth: dict[Condition, np.ndarray], rng: np.random.Generator) -> list[Condition]:
    contexts, names = sorted({c.context for c in truth}), sorted({c.perturbation for c in truth})
    rare = [Condition(str(rng.choice(contexts)), name) for name in names[EVERYWHERE:]]
    return [Condition(c, p) for c in contexts for p in names[:EVERYWHERE]] + rare


def fitted(data: PerturbationData, measured: list[Condition]) -> ConditionKriging:
    kept = set(measured)
    return ConditionKriging(features=None).fit(data.subset(c for c in data.conditions() if c.is_control or c in kept))


def error(data: PerturbationData, truth: dict[Condition, np.ndarray], measured: list[Condition]) -> float:
    made = fitted(data, measured).predict(data.controls(), list(truth), n_cells=1)
    real = np.stack([truth[c] for c in truth])
    return float(
        ((np.asarray(made.adata.varm["posterior_mean"], dtype=np.float64).T - real) ** 2).sum() / (real**2).sum()
    )


def one(name: str, seed: int) -> tuple[float, float, float]:
    data, truth = world(name, seed)
    rng = np.random.default_rng(seed)
    measured = start(truth, rng)
    chosen = suggest(fitted(data, measured), BATCH)
    batch = [Condition(c, p) for c, p in zip(chosen["context"], chosen["perturbation"], strict=True)]
    left = [c for c in truth if c not in measured]
    random = [[left[i] for i in rng.choice(len(left), BATCH, replace=False)] for _ in range(DRAWS)]
    after = [error(data, truth, [*measured, *draw]) for draw in random]
    return error(data, truth, measured), float(np.mean(after)), error(data, truth, [*measured, *batch])


def row(name: str, before: np.ndarray, random: np.ndarray, suggested: np.ndarray) -> str:
    won = random - suggested
    half = stats.t.ppf(0.975, len(won) - 1) * won.std(ddof=1) / np.sqrt(len(won))
    return (
        f"| {name} | {before.mean():.3f} | {random.mean():.3f} | {suggested.mean():.3f} | "
        f"{won.mean():.3f} ({won.mean() - half:.3f} to {won.mean() + half:.3f}) | {(won > 0).sum()} of {len(won)} |"
    )


def main(n_seeds: int, worlds: list[str]) -> None:
    print("| world | error before | after random | after suggested | random - suggested (95 %) | suggested better |")
    print("|---|---|---|---|---|---|")
    errors = []
    for name in worlds:
        errors.append(np.array([one(name, seed) for seed in range(n_seeds)]))
        print(row(name, *errors[-1].T), flush=True)
    print(row("all", *np.concatenate(errors).T))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 6, sys.argv[2:] or list(WORLDS))
