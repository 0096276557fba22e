"""Whether generated cells look like cells: the GAN as it is, and its published form, beside real cells.

    python benchmarks/generated_cells.py [norman|simulated|kang ...] [--seeds 2] [--epochs 100]

Cells of every condition are cut at random; the networks see 70 %, choose their epoch on 15 % and are compared with the
other 15 %. "published, as it comes" are the generator's own values with negative ones set to zero; the other rows are
what `predict` returns, which keeps the mean of every condition near the real controls and cuts high values. "real cells"
are the training cells of the same conditions: what a perfect generator would reach.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import torch

import cycseq
from cycseq.benchmarking.published import PUBLISHED
from cycseq.data.dataset import PerturbationData
from cycseq.models.networks.batches import Feeder, encode
from cycseq.models.networks.gan import GAN

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
FILES = {"norman": "norman2019_mcfaline2023_slice.h5ad", "kang": "kang2018_pbmc_ifnb.h5ad"}
PUBLISHED_GAN = PUBLISHED["GAN"] | {"patience": GAN.patience}
METRICS = ("zero_fraction_error", "mean_variance_error", "c2st_auc", "gene_correlation_error", "pearson_delta")
N_CELLS = 200


def data_of(name: str) -> PerturbationData:
    if name == "simulated":
        settings = cycseq.SimulateSettings(contexts=3, perturbations=10, cells=6_000, genes=500, seed=1)
        return cycseq.prepare([cycseq.simulate(settings)], cycseq.PrepareSettings(genes="all"))
    path = SHARED / FILES[name]
    if not path.exists():
        msg = f"real data absent: {path.name} is not beside the project in ../shared/data"
        raise SystemExit(msg)
    genes = "all" if name == "norman" else 2_000
    return cycseq.prepare([cycseq.read(path)], cycseq.PrepareSettings(genes=genes))


def as_it_comes(model: GAN, like: PerturbationData, controls: PerturbationData) -> PerturbationData:
    """The generator's own values under the labels of predicted cells."""
    net, made = model.network(), []
    feeder = Feeder(encode(controls, model.vocabulary), np.arange(controls.n_cells), 1024, 0)
    rows = np.zeros(like.n_cells, dtype=np.int64)
    torch.manual_seed(0)
    with torch.inference_mode():
        for start in range(0, len(rows), 1024):
            batch = feeder.load(rows[start : start + 1024], np.random.default_rng(0))
            made.append(model.generate(net, batch, like.conditions()[0]).numpy())
    return PerturbationData(
        ad.AnnData(np.concatenate(made).clip(min=0.0), like.adata.obs.copy(), like.adata.var.copy()), scale=like.scale
    )


def rows_of(name: str, seed: int, epochs: int) -> Iterator[dict[str, object]]:
    data = data_of(name)
    (split,) = cycseq.make_splits(data, cycseq.SplitSettings(kind="random-cells", seed=seed))
    parts = split.parts(data)
    conditions = [c for c in parts.test.conditions() if not c.is_control and len(parts.test.rows(c)) >= 10]
    test, controls = parts.test.subset(conditions), parts.train.controls()
    made = {"real cells": parts.train.subset(conditions)}
    for form, settings in (("mended", {}), ("published", PUBLISHED_GAN)):
        model = GAN(num_epochs=epochs, **settings).fit(parts.train, parts.validation, seed=seed)
        made[form] = model.predict(controls, conditions, n_cells=N_CELLS, seed=seed)
        if form == "published":
            made["published, as it comes"] = as_it_comes(model, made[form], controls)
    settings = cycseq.EvaluateSettings(metrics=METRICS)
    for form, cells in made.items():
        table = cycseq.evaluate(cells, test, parts.test.controls(), settings=settings)
        scores = table.groupby("metric")["value"].mean()
        highest = float(cells.x.max() / parts.train.x.max())
        yield {"data": name, "seed": seed, "cells": form, **scores.to_dict(), "highest": highest}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="*", default=["norman", "simulated", "kang"])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=100)
    options = parser.parse_args()
    rows = []
    for name in options.data:
        for seed in range(options.seeds):
            for row in rows_of(name, seed, options.epochs):
                rows.append(row)
                print({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    table = pd.DataFrame(rows)
    shown = table.groupby(["data", "cells"], sort=False)[[*METRICS, "highest"]].agg(["mean", "std"])
    print(shown.round(3).to_string())


if __name__ == "__main__":
    main()
