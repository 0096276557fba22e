"""For the tests of the challenge: a small panel of real and predicted counts, and what an entry is made of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from cycseq.cli import main
from cycseq.data.dataset import PerturbationData
from cycseq.data.settings import ObsKeys

PANELS = {
    "plain": {},
    "equal": {"spread": 0.0},  # all cells are as deep: many ties
    "deep": {"spread": 1.2, "cells": 30},
    "tied": {"twins": True, "uneven": True},
    "empty": {"silent": True, "uneven": True},
}
"""By name, what is special of a panel."""


@dataclass(frozen=True)
class Panel:
    predicted: ad.AnnData
    real: ad.AnnData

    def data(self) -> tuple[PerturbationData, PerturbationData]:
        """Predicted and real, validated."""
        sides = ((self.predicted, "none"), (self.real, "non-targeting"))
        predicted, real = (
            PerturbationData.from_anndata(side, keys=ObsKeys(perturbation="target", control=control), scale="counts")
            for side, control in sides
        )
        return predicted, real


def make_panel(
    *,
    genes: int = 300,
    perturbations: int = 12,
    cells: int = 60,
    controls: int = 150,
    spread: float = 0.5,
    twins: bool = False,
    silent: bool = False,
    uneven: bool = False,
    seed: int = 3,
) -> Panel:
    """Poisson counts; a prediction has 0.6 of the real effects and some of its own.

    Parameters
    ----------
    spread
        Standard deviation of the log depth of cells.
    twins
        Two conditions have one effect and the same predicted cells, one condition has none.
    silent
        The cells of one condition hold one gene alone, on both sides; another has two predicted cells.
    uneven
        Conditions have 2 cells or more, of their own number.
    """
    rng = np.random.default_rng(seed)
    names = [f"G{i:03d}" for i in range(genes)]
    targets = [names[7 * i] for i in range(perturbations)]
    base = np.exp(rng.normal(0.5, 1.2, genes))
    effect = rng.normal(0.0, 0.8, (perturbations, genes)) * (rng.random((perturbations, genes)) < 0.2)
    if twins:
        effect[1], effect[3] = effect[0], 0.0

    def draw(mean: np.ndarray, n: int) -> np.ndarray:
        return rng.poisson(np.exp(rng.normal(0.0, spread, (n, 1))) * mean)

    def side(scale: float, noise: float) -> list[np.ndarray]:
        drawn = []
        for i in range(perturbations):
            shift = effect[i] * scale + rng.normal(0.0, noise, genes)
            shift[7 * i] -= 2.0
            drawn.append(draw(base * np.exp(shift), int(rng.integers(2, cells)) if uneven else cells) + 0)
            if silent and i == 2:
                drawn[-1][:] = 0
                drawn[-1][:, 5] = 3
        return drawn

    real, predicted = side(1.0, 0.0), side(0.6, 0.15)
    if twins:
        predicted[1] = predicted[0].copy()
    if silent:
        predicted[4] = predicted[4][:2]
    return Panel(
        _adata(predicted, targets, names), _adata([*real, draw(base, controls)], [*targets, "non-targeting"], names)
    )


def _adata(groups: list[np.ndarray], labels: list[str], genes: list[str]) -> ad.AnnData:
    label = np.repeat(labels, [len(group) for group in groups])
    obs = pd.DataFrame({"target": pd.Categorical(label)}, index=[f"c{i}" for i in range(len(label))])
    x = sp.csr_matrix(np.concatenate(groups).astype(np.float32))
    return ad.AnnData(x, obs=obs, var=pd.DataFrame(index=genes))


GENES = [f"G{i}" for i in range(30)]
TARGETS = ["G1", "G2", "G3"]


def entry_counts(contexts: tuple[str, ...] = ("A", "B"), cells: int = 400, genes: list[str] = GENES) -> ad.AnnData:
    labels = [(context, target) for context in contexts for target in TARGETS for _ in range(cells)]
    x = sp.csr_matrix(np.random.default_rng(0).poisson(0.7, (len(labels), len(genes))).astype(np.float32))
    obs = pd.DataFrame(labels, columns=["context", "target_gene"], index=[f"c{i}" for i in range(len(labels))])
    return ad.AnnData(x, obs=obs, var=pd.DataFrame(index=genes))


def write_lists(folder: Path) -> Path:
    """The challenge's lists in a folder."""
    (folder / "gene_names.csv").write_text("gene_name\n" + "\n".join(GENES))
    (folder / "pert_counts.csv").write_text("target_gene\n" + "\n".join([*TARGETS, "non-targeting"]))
    (folder / "manifest.json").write_text(json.dumps({"contexts": ["A", "B"], "panel_id": "p"}))
    return folder


def convert(folder: Path, adata: ad.AnnData) -> int:
    pytest.importorskip("zstandard", reason="zstandard is not installed here, though it is among the dependencies")
    adata.write_h5ad(folder / "counts.h5ad")
    files = ["--genes-file", str(folder / "gene_names.csv"), "--targets", str(folder / "pert_counts.csv")]
    return main(["convert", str(folder / "counts.h5ad"), "--to", "vcc", *files, "--out", str(folder / "entry.vcc")])
