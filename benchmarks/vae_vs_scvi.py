"""Training throughput of the VAE beside scvi-tools' SCVI: same sizes, same likelihood, same counts, taking turns.

    python benchmarks/vae_vs_scvi.py --scvi-python VENV/bin/python [--cells 6000] [--genes 2000] [--rounds 2]

scvi-tools stands in an environment of its own (`pip install "scvi-tools<1.4"`), whose Python is named. Both train as
their users do, through Lightning: two hidden layers of 128, 10 latent units, no labels. The time of an epoch is that of a
training of 6 epochs minus that of one of 2, over 4, so that start-up does not count; on a CPU, of the processor.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch

SHORT, LONG = 2, 6


def counts(n_cells: int, n_genes: int) -> ad.AnnData:
    """Counts of which a tenth is above zero, as in 10x data."""
    rng = np.random.default_rng(0)
    rate = rng.gamma(0.3, 0.5, n_genes) * rng.lognormal(0.0, 0.3, (n_cells, 1))
    obs = pd.DataFrame({"perturbation": rng.choice(["control", "A"], n_cells)}, index=[f"c{i}" for i in range(n_cells)])
    obs["context"], obs["batch"] = "x", "0"
    x = sp.csr_matrix(rng.poisson(rate).astype(np.float32))
    x[:, 0] = 1.0
    return ad.AnnData(x, obs, pd.DataFrame(index=[f"g{i}" for i in range(n_genes)]))


def ours(adata: ad.AnnData, likelihood: str, batch_size: int) -> Callable[[int], object]:
    import cycseq

    whole = cycseq.PerturbationData.from_anndata(adata)
    data = cycseq.prepare([whole], cycseq.PrepareSettings(genes="all"))
    settings = {"hidden": (128, 128), "latent": 10, "likelihood": likelihood, "batch_size": batch_size}
    settings |= {"conditional": False, "held_out": 0.01}
    return lambda epochs: cycseq.build_model("VAE", {**settings, "num_epochs": epochs}).fit(data)


def theirs(adata: ad.AnnData, likelihood: str, batch_size: int) -> Callable[[int], object]:
    import scvi

    scvi.settings.verbosity = 30
    scvi.model.SCVI.setup_anndata(adata)

    def train(epochs: int) -> None:
        model = scvi.model.SCVI(adata, n_hidden=128, n_layers=2, n_latent=10, gene_likelihood=likelihood)
        model.train(epochs, batch_size=batch_size, train_size=0.99, enable_progress_bar=False)

    return train


def cells_per_second(train: Callable[[int], object], n_cells: int) -> float:
    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    train(1)
    took = []
    for epochs in (SHORT, LONG):
        started = clock()
        train(epochs)
        took.append(clock() - started)
    return n_cells * 0.99 * (LONG - SHORT) / (took[1] - took[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scvi-python", help="The Python of an environment that has scvi-tools.")
    for name, value in (("cells", 6_000), ("genes", 2_000), ("rounds", 2)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--side", choices=("ours", "theirs"), help="Measure one side here (used by the run itself).")
    parser.add_argument("--batch-size", type=int, nargs="+", default=[128, 1024])
    parser.add_argument("--likelihood", nargs="+", default=["zinb", "nb"])
    options = parser.parse_args()
    if options.side:
        warnings.filterwarnings("ignore")
        make = ours if options.side == "ours" else theirs
        train = make(counts(options.cells, options.genes), options.likelihood[0], options.batch_size[0])
        print(json.dumps(cells_per_second(train, options.cells)))
        return
    if not options.scvi_python:
        parser.error("--scvi-python is needed: the Python of an environment that has scvi-tools")
    for likelihood in options.likelihood:
        for size in options.batch_size:
            said = ["--likelihood", likelihood, "--batch-size", str(size), "--cells", str(options.cells)]
            said += ["--genes", str(options.genes)]
            pairs = []
            for _ in range(options.rounds):
                sides = (("theirs", options.scvi_python), ("ours", sys.executable))
                runs = [
                    subprocess.run(
                        [python, __file__, "--side", side, *said], check=True, capture_output=True, text=True
                    )
                    for side, python in sides
                ]
                pairs.append([json.loads(run.stdout.splitlines()[-1]) for run in runs])
            scvi, mine = (statistics.median(side) for side in zip(*pairs, strict=True))
            print(
                f"{likelihood:5s} batch {size:5d}: SCVI {scvi:8,.0f}, VAE {mine:8,.0f} cells/s: {mine / scvi:.2f} times"
                f" ({', '.join(f'{b / a:.2f}' for a, b in pairs)})",
                flush=True,
            )


if __name__ == "__main__":
    main()
