"""Training the VAE beside scvi-tools' SCVI: same sizes, same likelihood, same counts, each through Lightning as its users do.

Two hidden layers of 128, 10 latent units, no labels. The time of an epoch is that of a training of 4 epochs minus that of
one of 1, over 3, so that start-up does not count.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from speed_stages.measure import Form, Row, Taken, in_turn, rows

SHORT, LONG = 1, 4
FULL = {"cells": 2_000, "genes": 2_000, "batches": [128], "likelihoods": ["zinb", "nb"], "rounds": 2}
QUICK = {"cells": 200, "genes": 50, "batches": [64], "likelihoods": ["zinb"], "rounds": 1}


def stage(size: dict[str, Any], python: str | None) -> tuple[list[Row], dict[str, Any]]:
    """Lines of the table; without a Python that has scvi-tools, ours alone."""
    lines, versions = [], {}
    for likelihood in size["likelihoods"]:
        for batch in size["batches"]:
            arguments = {"cells": size["cells"], "genes": size["genes"], "likelihood": likelihood, "batch": batch}
            forms = [Form("cycseq", "vae_scvi", "ours", arguments)]
            if python:
                forms.append(Form("SCVI", "vae_scvi", "scvi", arguments, python))
            found = {name: [_epoch(one) for one in taken] for name, taken in in_turn(forms, size["rounds"]).items()}
            what = f"{likelihood}, batch {batch:,}, an epoch of {size['cells']:,} cells x {size['genes']:,} genes"
            lines += rows(
                "vae-training", what, found, {form.name: "peer" if form.python == python else "ours" for form in forms}
            )
            versions = {f"version of {name}": taken[0].said["version"] for name, taken in found.items()}
    return lines, versions


def _epoch(taken: Taken) -> Taken:
    return Taken(*taken.said["epoch"], taken.peak, taken.said)


def counts(n_cells: int, n_genes: int) -> Any:
    """Counts of which a tenth is above zero, as in 10x data."""
    import anndata as ad
    import numpy as np
    import pandas as pd
    import scipy.sparse as sp

    rng = np.random.default_rng(0)
    rate = rng.gamma(0.3, 0.5, n_genes) * rng.lognormal(0.0, 0.3, (n_cells, 1))
    obs = pd.DataFrame({"perturbation": rng.choice(["control", "A"], n_cells)}, index=[f"c{i}" for i in range(n_cells)])
    obs["context"], obs["batch"] = "x", "0"
    x = sp.csr_matrix(rng.poisson(rate).astype(np.float32))
    x[:, 0] = 1.0
    return ad.AnnData(x, obs, pd.DataFrame(index=[f"g{i}" for i in range(n_genes)]))


def ours(cells: int, genes: int, likelihood: str, batch: int) -> Callable[[], dict[str, Any]]:
    from importlib.metadata import version

    import cycseq

    data = cycseq.prepare(
        [cycseq.PerturbationData.from_anndata(counts(cells, genes))], cycseq.PrepareSettings(genes="all")
    )
    settings = {"hidden": (128, 128), "latent": 10, "likelihood": likelihood, "batch_size": batch}
    settings |= {"conditional": False, "held_out": 0.01}

    def train(epochs: int) -> None:
        cycseq.build_model("VAE", {**settings, "num_epochs": epochs}).fit(data)

    return lambda: _epochs(train, version("cycseq"))


def scvi(cells: int, genes: int, likelihood: str, batch: int) -> Callable[[], dict[str, Any]]:
    import scvi

    adata = counts(cells, genes)
    scvi.settings.verbosity = 30
    scvi.model.SCVI.setup_anndata(adata)

    def train(epochs: int) -> None:
        model = scvi.model.SCVI(adata, n_hidden=128, n_layers=2, n_latent=10, gene_likelihood=likelihood)
        model.train(epochs, batch_size=batch, train_size=0.99, enable_progress_bar=False)

    return lambda: _epochs(train, scvi.__version__)


def _epochs(train: Callable[[int], None], version: str) -> dict[str, Any]:
    from speed_stages.child import turns

    train(1)
    (short,), (long,) = turns({"short": lambda: train(SHORT), "long": lambda: train(LONG)}, rounds=1, warm=0).values()
    return {"epoch": [(b - a) / (LONG - SHORT) for a, b in zip(short, long, strict=True)], "version": version}
