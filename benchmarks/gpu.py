"""What a GPU changes: training of the networks, bfloat16, generated cells, and the rank tests of the Virtual Cell Challenge's scorer.

    python benchmarks/gpu.py --out FOLDER          # on one GPU; --stages train|generate|rank for a part of it
    python benchmarks/gpu.py --out FOLDER --quick  # tiny sizes, to see that it runs; without a GPU, the processor alone

Writes gpu.csv: one line for each thing that was measured, with cells a second. Training is `fit` itself (cells gathered, steps,
clipping, validation); the seconds of an epoch are those of a longer training less those of a shorter one, shared out.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from cycseq.data.dataset import Condition
from cycseq.data.usual_names import CONTROL
from cycseq.models.networks.batches import Feeder, encode
from cycseq.models.networks.blocks.autoencoder import AutoencoderNet
from cycseq.models.networks.cycseq import CycSeq
from cycseq.models.networks.gan import GAN
from cycseq.models.networks.network import NetworkModel
from cycseq.models.networks.vae import VAE
from speed_stages.steps import made_up

FULL = {"cells": 20_000, "genes": 2_000, "batches": (256, 2_048), "controls": 18_400, "all_genes": 18_533}
QUICK = {"cells": 400, "genes": 60, "batches": (64,), "controls": 200, "all_genes": 300}
NETWORKS: dict[str, tuple[type[NetworkModel], dict[str, Any], float]] = {
    "VAE": (VAE, {}, 1.0),
    "VAE, counts (zinb)": (VAE, {"likelihood": "zinb"}, 1.0),
    "GAN": (GAN, {}, 1.0),
    "CycSeq": (CycSeq, {"hidden": (1024, 512, 256), "latent": 128}, 0.25),
}
"""Class, settings, and the share of the cells that an epoch is measured on."""
DEVICES = {"cpu": ("32",), "cuda": ("32", "fast32", "bf16")}
"""Arithmetic that is measured on each."""

Size = dict[str, Any]
Line = tuple[str, str, str, str, float, int]
"""What, of which size, device, precision, seconds, cells."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--quick", action="store_true", help="Tiny sizes: the numbers mean nothing.")
    parser.add_argument("--stages", nargs="+", choices=[*STAGES], default=[*STAGES])
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    warnings.filterwarnings("ignore")
    machine = {
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    print(machine, flush=True)
    lines = []
    for stage in options.stages:
        for what, size, device, precision, seconds, n_cells in STAGES[stage](QUICK if options.quick else FULL):
            line = {"stage": stage, "what": what, "size": size, "device": device, "precision": precision}
            lines.append({**line, "seconds": seconds, "cells_per_second": n_cells / seconds, **machine})
            print(*line.values(), f"{seconds:.4g} s, {n_cells / seconds:,.0f} cells a second", flush=True)
            pd.DataFrame(lines).to_csv(options.out / "gpu.csv", index=False, float_format="%.4g")


def devices() -> list[str]:
    """Where to measure."""
    return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def train(size: Size) -> Iterator[Line]:
    """Epochs of every network."""
    for device in devices():  # imports, and the device's first use
        _fit(VAE(num_epochs=1), device, size={"cells": 400, "genes": 60})
    for name, (network, settings, share) in NETWORKS.items():
        n_cells = int(size["cells"] * share)
        for batch in size["batches"]:
            for device in devices():
                for precision in DEVICES[device]:
                    how = {**settings, "batch_size": batch, "precision": precision, "patience": 99}
                    few, many = (1, 2) if device == "cpu" else (1, 4)
                    first, second = (
                        _fit(network(**how, num_epochs=n), device, size={**size, "cells": n_cells}) for n in (few, many)
                    )
                    yield name, f"batch {batch}", device, precision, (second - first) / (many - few), n_cells


def _fit(model: NetworkModel, device: str, size: Size) -> float:
    model.accelerator = "cpu" if device == "cpu" else "gpu"
    data = made_up(size["cells"], size["genes"], 50)
    started = time.perf_counter()
    model.fit(data)
    return time.perf_counter() - started


def generate(size: Size) -> Iterator[Line]:
    """Cells that a trained VAE decodes from control cells under another label: in `predict`, and by the bare network."""
    data, n_cells = made_up(size["cells"], size["genes"], 50), size["cells"] // 2
    model = VAE(num_epochs=1, batch_size=1_024).fit(data)
    condition = Condition(data.contexts[0], data.perturbations[0])
    controls = data.subset(Condition(context, CONTROL) for context in data.contexts)
    seconds = least_seconds(partial(model.predict, controls, [condition], n_cells=n_cells))
    yield "predict", f"{n_cells} cells", "cpu", "32", seconds, n_cells
    feeder = Feeder(encode(data, model.vocabulary), np.arange(data.n_cells), 1_024, 0)
    for device in devices():
        seconds = least_seconds(partial(_decode, model.network().to(device), feeder))
        yield "encode and decode", f"{data.n_cells} cells", device, "32", seconds, data.n_cells


@torch.inference_mode()
def _decode(net: AutoencoderNet, feeder: Feeder) -> None:
    for batch in feeder.all_batches():
        cells = batch.to(net.centre.device)
        net.cells(net.encode(cells).mean, cells.unperturbed(), draw=False).cpu().numpy()


def rank(size: Size) -> Iterator[Line]:
    """Rank sums of 400 cells against all control cells of a context, in every gene: by dense sorting, the controls sorted once."""
    device = devices()[-1]
    torch.manual_seed(0)
    controls = torch.poisson(torch.full((size["all_genes"], size["controls"]), 0.4, device=device))
    cells = torch.poisson(torch.full((size["all_genes"], 400), 0.4, device=device))
    seconds = least_seconds(partial(torch.sort, controls, dim=1), 3)
    genes = f"{size['all_genes']} genes"
    yield "control cells sorted", f"{size['controls']} cells x {genes}", device, "32", seconds, size["controls"]
    seconds = least_seconds(partial(_rank_sums, controls.sort(dim=1).values, cells), 5)
    yield "rank sums of a target", f"400 cells x {genes}", device, "32", seconds, 400


def _rank_sums(controls: Tensor, cells: Tensor) -> Tensor:
    places = torch.searchsorted(controls, cells, right=False) + torch.searchsorted(controls, cells, right=True)
    return places.sum(dim=1, dtype=torch.float64)


def least_seconds(work: Callable[[], object], repeats: int = 2) -> float:
    """The least of a few, after one that is not counted; a GPU is waited for."""
    seconds = []
    for _ in range(1 + repeats):
        started = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return min(seconds[1:])


STAGES: dict[str, Callable[[Size], Iterator[Line]]] = {"train": train, "generate": generate, "rank": rank}

if __name__ == "__main__":
    main()
