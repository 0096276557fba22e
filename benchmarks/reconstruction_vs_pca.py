"""Squared error of reconstructed held-out cells, relative to a PCA with as many components as the latent space has units.

    python benchmarks/reconstruction_vs_pca.py [--seeds 3] [--data norman,simulated] [--models Autoencoder,...]

A random fifth of the cells is held out (another one for every seed). Above 1 is worse than PCA. The Norman slice is read
from `../shared/data` beside the project; the simulated data are made here.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA

from cycseq.data.dataset import PerturbationData
from cycseq.formats.read import read
from cycseq.models.networks.autoencoder import Autoencoder
from cycseq.models.networks.latent import LatentModel
from cycseq.models.networks.vae import VAE
from cycseq.preparation.prepare import prepare
from cycseq.preparation.settings import PrepareSettings
from cycseq.simulation.generate import simulate
from cycseq.simulation.settings import SimulateSettings
from cycseq.split.make import make_splits
from cycseq.split.settings import SplitSettings

NORMAN = Path(__file__).resolve().parents[2] / "shared" / "data" / "norman2019_mcfaline2023_slice.h5ad"
MODELS: dict[str, Callable[[], LatentModel]] = {
    "`Autoencoder`": Autoencoder,
    "`Autoencoder`, `shortcut` false": lambda: Autoencoder(shortcut=False),
    "`VAE`": VAE,
    "`VAE`, `shortcut` true, 50 epochs, batch 128": lambda: VAE(shortcut=True, num_epochs=50, batch_size=128),
}


def norman() -> PerturbationData:
    if not NORMAN.exists():
        msg = f"real data absent: {NORMAN.name} is not beside the project in ../shared/data"
        raise SystemExit(msg)
    return read(NORMAN)


def simulated() -> PerturbationData:
    return prepare(
        [simulate(SimulateSettings(cells=6_000, genes=500, perturbations=20, seed=7))], PrepareSettings(genes="all")
    )


def ratio(data: PerturbationData, make: Callable[[], LatentModel], seed: int) -> tuple[float, float, int, float]:
    """Error relative to PCA, PCA's own, units in use, seconds of processor."""
    (split,) = make_splits(data, SplitSettings(kind="random-cells", fraction=0.2, validation=0.0, seed=seed))
    parts = split.parts(data)
    learnt, real = parts.train.x.toarray(), parts.test.x.toarray()
    model = make()
    pca = PCA(model.latent, random_state=seed).fit(learnt)
    yardstick = float(np.square(pca.inverse_transform(pca.transform(real)) - real).mean())
    started = time.process_time()
    made = model.fit(parts.train, seed=seed).reconstruct(parts.test).x
    seconds = time.process_time() - started
    return float(np.square(made - real).mean()) / yardstick, yardstick, model.learned.facts["active_units"], seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", default="norman,simulated")
    parser.add_argument("--models", default="", help="Only those whose name has this in it.")
    options = parser.parse_args()
    print("| data | model | relative to PCA | PCA | units in use | seconds |\n|---|---|---|---|---|---|")
    for name in options.data.split(","):
        data = {"norman": norman, "simulated": simulated}[name]()
        for label, make in MODELS.items():
            if options.models not in label:
                continue
            found = np.array([ratio(data, make, seed) for seed in range(options.seeds)])
            mean, spread = found.mean(axis=0), found[:, 0].std(ddof=1) if options.seeds > 1 else 0.0
            print(
                f"| {name} | {label} | {mean[0]:.3f} ± {spread:.3f} | {mean[1]:.4f} | {mean[2]:.0f} | {mean[3]:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
