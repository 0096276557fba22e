"""Long-tail lines: one CycSeq over all lines against one for each line, on simulated data whose truth is known.

    python benchmarks/cycseq_long_tail.py [--seeds 2] [--lines 4] [--perturbations 12] [--cells 4000] [--kept 10]

World "long-tail": the last line has few cells. Every line has its own network and shares most of it with the others. Of
each of the long-tail line's conditions a few cells train (`--kept`), the other cells are tested (split few-shot). "one
for all" learns from all lines; "one per line" from the long-tail line alone, as long as it takes for as many steps. The
interval is that of the mean over conditions of the paired differences in `pearson_delta` and `mse_ratio` (bootstrap,
2,000 draws). "network alone" takes no measured responses. `ContextAdditive` and the line's own measured means ("its own means") stand beside them.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

import cycseq
from cycseq.data.dataset import PerturbationData
from cycseq.models.networks.cycseq import CycSeq

METRICS = ("mse_ratio", "pearson_delta")


def scores(predicted: PerturbationData, test: PerturbationData, controls: PerturbationData) -> pd.DataFrame:
    table = cycseq.evaluate(predicted, test, controls, settings=cycseq.EvaluateSettings(metrics=METRICS))
    return table.pivot_table(index="perturbation", columns="metric", values="value")


def one_world(options: argparse.Namespace, seed: int) -> dict[str, pd.DataFrame]:
    settings = cycseq.SimulateSettings(
        contexts=options.lines,
        perturbations=options.perturbations,
        cells=options.cells,
        genes=options.genes,
        world="long-tail",
        long_tail_cells=2 * options.kept + 10,
        seed=seed,
    )
    data = cycseq.prepare([cycseq.simulate(settings)], cycseq.PrepareSettings(genes="all"))
    line = data.contexts[-1]
    wanted = cycseq.SplitSettings(kind="few-shot", context=line, n_cells=options.kept, validation=0.0, seed=seed)
    (split,) = cycseq.make_splits(data, wanted)
    parts = split.parts(data)
    own = parts.train.subset([c for c in parts.train.conditions() if c.context == line])
    controls, conditions = parts.train.controls([line]), list(parts.test.conditions())
    more = max(1, round(perturbed(parts.train) / perturbed(own)))
    epochs = options.epochs
    made = {
        "one for all": CycSeq(num_epochs=epochs, patience=epochs).fit(parts.train, seed=seed),
        "one per line": CycSeq(num_epochs=epochs * more, patience=epochs * more).fit(own, seed=seed),
    }
    found = {name: model.predict(controls, conditions, seed=seed) for name, model in made.items()}
    for name, model in made.items():
        model.measured = 0.0  # acts in prediction alone
        found[f"{name}, network alone"] = model.predict(controls, conditions, seed=seed)
    additive = cycseq.build_model("ContextAdditive").fit(parts.train, seed=seed)
    found["ContextAdditive"] = additive.predict(controls, conditions, seed=seed)
    found["its own means"] = own.subset(conditions)
    return {name: scores(cells, parts.test, controls) for name, cells in found.items()}


def perturbed(data: PerturbationData) -> int:
    return sum(len(data.rows(c)) for c in data.conditions() if not c.is_control)


def interval(differences: np.ndarray) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    drawn = differences[rng.integers(len(differences), size=(2_000, len(differences)))].mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sizes = {"seeds": 2, "lines": 4, "perturbations": 12, "cells": 4_000, "genes": 500, "kept": 10, "epochs": 30}
    for name, value in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    worlds = []
    for seed in range(options.seeds):
        worlds.append(one_world(options, seed))
        means = {name: table.mean().round(3).to_dict() for name, table in worlds[-1].items()}
        print(f"seed {seed}: {means}", flush=True)
    tables = {name: pd.concat([world[name] for world in worlds], keys=range(options.seeds)) for name in worlds[0]}
    for other in [name for name in tables if name != "one for all"]:
        for metric in METRICS:
            difference = (tables["one for all"][metric] - tables[other][metric]).to_numpy()
            low, high = interval(difference)
            print(
                f"one for all minus {other:16s} {metric:14s} {difference.mean():+.3f} (95 % {low:+.3f} to {high:+.3f}; "
                f"{len(difference)} conditions)"
            )


if __name__ == "__main__":
    main()
