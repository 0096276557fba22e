"""Pseudo-pairs against true pairs, and embeddings against PCA, on simulated data.

    python benchmarks/pairs_and_integration.py [--seeds 3] [--models NoChange CycSeq]

World context-specific: 4 contexts x 20 perturbations, 2 batches, 8,000 cells, 500 genes; the last context is held out.
Pairs: every control cell of the held-out context is predicted under every perturbation, and compared with the true
pair where that is known; means over conditions, then over seeds. Integration: all cells are embedded (those of the
held-out conditions as well), and scored beside PCA of the same size.
"""

from __future__ import annotations

import argparse
import time

import pandas as pd

from cycseq.models import build_model
from cycseq.models.base import Embeds
from cycseq.preparation.prepare import as_log1p
from cycseq.run.embedding import embed, score_embeddings
from cycseq.run.pairs import evaluate_pairs
from cycseq.run.parts import log1p_parts
from cycseq.run.settings import IntegrationSettings
from cycseq.score.metrics.pairs import PAIR_METRICS
from cycseq.simulation.generate import simulate
from cycseq.simulation.settings import SimulateSettings
from cycseq.split.make import make_splits
from cycseq.split.settings import SplitSettings

MODELS = ("NoChange", "PerturbedMean", "ContextAdditive", "Autoencoder", "VAE", "GAN", "CycSeq")
ASKED = (("batch", "condition"), ("context", "perturbation"))


def one(seed: int, models: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    data = simulate(SimulateSettings(contexts=4, perturbations=20, cells=8_000, genes=500, seed=seed))
    split = make_splits(data, SplitSettings(context="Line4"))[0]
    parts, everything = log1p_parts(split, data), as_log1p(data)
    controls = parts.train.controls(["Line4"])
    pairs, spaces = [], []
    for name in models:
        started = time.process_time()
        model = build_model(name).fit(parts.train, parts.validation, seed=seed)
        predicted = model.predict(controls, list(split.test), seed=seed)
        pairs.append(evaluate_pairs(predicted, everything).assign(model=name, seed=seed))
        if isinstance(model, Embeds) and name != "GAN":
            embedded = embed(model, everything)
            names = tuple(key for key in embedded.adata.obsm if key.startswith(f"X_{name}"))
            for mixed, kept in ASKED:
                scores = score_embeddings(embedded, names, IntegrationSettings(mixed=mixed, kept=kept))
                spaces.append(scores.replace("PCA", f"PCA of {name}'s size"))
        print(f"seed {seed}: {name} in {time.process_time() - started:.0f} s", flush=True)
    return pd.concat(pairs), pd.concat(spaces)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--models", nargs="+", default=MODELS)
    asked = parser.parse_args()
    found = [one(seed, list(asked.models)) for seed in range(asked.seeds)]
    pairs, spaces = (pd.concat(tables) for tables in zip(*found, strict=True))
    pd.set_option("display.width", 160)
    shown = pairs.pivot_table(index="model", columns="metric", values="value", sort=False)
    print(shown[list(PAIR_METRICS)].round(3).to_string())
    index = ["mixed", "kept", "embedding", "units"]
    print(spaces.pivot_table(index=index, columns="metric", values="value", sort=False).round(3).to_string())
