"""Draw the gallery of figures.md: python docs/draw_figures.py KANG.h5ad SETS.gmt (Kang et al. 2018; Hallmark sets)."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd

import cycseq
from cycseq.data.posterior import all_changes
from cycseq.preparation.pseudobulk import responses

FOLDER = Path(__file__).parent / "_static" / "figures"
HELD_OUT = ("NK", "CD4 T", "CD14+ Mono", "B")


def main(kang: Path, gmt: Path) -> None:
    """Hold out each cell type in turn, predict it with ConditionKriging, and draw."""
    mpl.use("Agg")
    FOLDER.mkdir(parents=True, exist_ok=True)
    data = cycseq.prepare([cycseq.read(kang)], cycseq.PrepareSettings(genes="all"))
    predicted = {}
    for context in HELD_OUT:
        (split,) = cycseq.make_splits(data, cycseq.SplitSettings(kind="unseen-context", context=context))
        parts = split.parts(data)
        model = cycseq.build_model("ConditionKriging").fit(parts.train, parts.validation)
        n_cells = len(data.rows(cycseq.Condition(context, "stim")))
        predicted[context] = model.predict(parts.train.controls([context]), split.test, n_cells=n_cells)
    mono = cycseq.Condition("CD14+ Mono", "stim")
    control = data.controls([mono.context])
    real, guess = (cycseq.differential(d, mono, control) for d in (data, predicted[mono.context]))
    changes = pd.concat([all_changes(p) for p in predicted.values()])
    measured = responses(data)
    deltas = pd.concat(
        [
            pd.Series(d, index=[(*c, g) for g in data.genes])
            for c, d in zip(measured.conditions, measured.delta, strict=True)
        ]
    )
    deltas.index = pd.MultiIndex.from_tuples(deltas.index)
    sets = cycseq.read_gmt(gmt)
    scores = pd.concat([cycseq.pathway_scores(p, sets) for p in predicted.values()])
    coverage = pd.concat([cycseq.coverage(p, data) for p in predicted.values()])
    here = data.subset([mono, cycseq.Condition(mono.context, "control")])
    sources = {"real": here.subset([mono]), "ConditionKriging": predicted[mono.context], "control": control}
    halves = _halves(data)
    drawn = {
        "delta_scatter": cycseq.pl.delta_scatter(real["delta"].to_numpy(), guess["delta"].to_numpy(), data.genes),
        "volcano": cycseq.pl.volcano(real, guess),
        "top_genes": cycseq.pl.top_genes(changes, n=5, real=deltas),
        "pathways": cycseq.pl.pathways(scores, n=10),
        "calibration_curve": cycseq.pl.calibration_curve(coverage),
        "retrieval_heatmap": cycseq.pl.retrieval_heatmap(halves[0], halves[1], data.controls()),
        "cells_map": cycseq.pl.cells_map(here, predicted[mono.context], method="pca", most=500),
        "gene_distribution": cycseq.pl.gene_distribution(sources, "ISG15"),
        "mean_variance": cycseq.pl.mean_variance(sources),
        "zero_fractions": cycseq.pl.zero_fractions(sources),
    }
    for name, ax in drawn.items():
        ax.figure.savefig(FOLDER / f"{name}.png", dpi=72)


def _halves(data: cycseq.PerturbationData) -> list[cycseq.PerturbationData]:
    """Two random halves of the perturbed cells: what a perfect prediction would look like."""
    perturbed = data.subset(c for c in data.conditions() if not c.is_control)
    order = np.random.default_rng(0).permutation(perturbed.n_cells)
    return [perturbed.take(np.sort(half)) for half in np.array_split(order, 2)]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
