"""One training step of CycSeq, as it is and as published, at the published sizes, taking turns in one run.

    python benchmarks/cycseq_step.py [--genes 2000] [--batch 1024] [--rounds 5] [--precision 32|fast32|bf16] [--profile]

Both forms have layers of 1,024, 512 and 256, latents of 128, the same cells and the same labels. The published form has
a vector of zeros and ones over all genes for the perturbed one, in the generators and in the critics, a gradient penalty
in every step, a plain Adam, and one SciPy regression for every cell of every step, whose only use was a number on the
progress bar: it is kept here as part of the published step. (It is run on control and perturbed cells, which costs what
control and restored cells cost.) On a CPU, times are of the processor; on a GPU, elapsed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import anndata as ad
import numpy as np
import pandas as pd
import torch
from scipy.stats import linregress

from cycseq.batches import Feeder, Vocabulary, encoded
from cycseq.data.dataset import PerturbationData
from cycseq.models.cycseq import CycSeq
from cycseq.nets.batch import Batch
from cycseq.training.memory import memory_kept

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
SIZES = {"hidden": (1024, 512, 256), "latent": 128}


@dataclass
class Plainly:
    """Minimises without Lightning: the step alone is measured."""

    optimisers: dict[str, torch.optim.Optimizer]
    done: float = 1.0
    step_of_epoch: int = 0
    parameters: dict[str, list[torch.Tensor]] = field(init=False)

    def __post_init__(self) -> None:
        groups = {name: optimiser.param_groups for name, optimiser in self.optimisers.items()}
        self.parameters = {name: [p for group in found for p in group["params"]] for name, found in groups.items()}

    def minimise(self, name: str, loss: torch.Tensor) -> None:
        """One step, its gradient clipped."""
        self.optimisers[name].zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters[name], 1.0, foreach=True)
        self.optimisers[name].step()


def made_up(n_cells: int, n_genes: int, n_perturbations: int) -> PerturbationData:
    rng = np.random.default_rng(0)
    x = np.log1p(rng.poisson(0.5, (n_cells, n_genes))).astype(np.float32)
    names = rng.choice([f"P{i}" for i in range(n_perturbations)], n_cells).astype(object)
    names[rng.random(n_cells) < 0.2] = "control"
    obs = pd.DataFrame(
        {"context": rng.choice(["A", "B", "C"], n_cells), "perturbation": names, "batch": "0"},
        index=[str(i) for i in range(n_cells)],
    ).astype("category")
    return PerturbationData(ad.AnnData(x, obs, pd.DataFrame(index=[f"G{i}" for i in range(n_genes)])), scale="log1p")


def regressions(batch: Batch) -> float:
    """The published progress bar's number."""
    control, cells = batch.control.cpu().numpy(), batch.x.cpu().numpy()
    return float(np.mean([linregress(a, b)[2] ** 2 for a, b in zip(control, cells, strict=True)]))


def steps(data: PerturbationData, batch_size: int, *, faithful: bool, low: bool) -> Callable[[int], None]:
    vocabulary = Vocabulary.of(data)
    cells = encoded(data, vocabulary)
    model = CycSeq(faithful=faithful, **SIZES)
    torch.manual_seed(0)
    net = model.build(vocabulary.sizes(len(data.genes))).to(DEVICE)
    rows = np.flatnonzero(cells.parts.any(axis=1))
    feeder, plainly = Feeder(cells, rows, batch_size, 0, with_controls=True), Plainly(model.optimisers(net))

    def step(i: int) -> None:
        plainly.step_of_epoch = i
        batch = feeder.batch(0, i % feeder.n_steps).to(DEVICE)
        with torch.autocast(DEVICE.type, dtype=torch.bfloat16, enabled=low):
            model.step(net, batch, plainly)
        if faithful:
            regressions(batch)

    return step


def seconds(step: Callable[[int], None], first: int, n: int) -> float:
    clock = time.process_time if DEVICE.type == "cpu" else time.perf_counter
    started = clock()
    for i in range(first, first + n):
        step(i)
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return (clock() - started) / n


def profiled(step: Callable[[int], None]) -> None:
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as found:
        for i in range(4):
            step(i)
    print(found.key_averages().table(sort_by="self_cpu_time_total", row_limit=25, max_name_column_width=40))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in (("genes", 2_000), ("batch", 1_024), ("rounds", 5), ("perturbations", 2_000)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--precision", choices=("32", "fast32", "bf16"), default="32", help="Of the mended form.")
    parser.add_argument("--profile", action="store_true", help="Say where the mended step's time goes, and stop.")
    options = parser.parse_args()
    data = made_up(6 * options.batch, options.genes, options.perturbations)
    mended = steps(data, options.batch, faithful=False, low=options.precision == "bf16")
    if options.profile:
        mended(0)
        return profiled(mended)
    published = steps(data, options.batch, faithful=True, low=False)
    torch.set_float32_matmul_precision("medium" if options.precision == "fast32" else "highest")
    every = CycSeq().penalty_every
    with memory_kept():  # as training does, for both forms
        published(0), mended(0)  # the first step of each is not counted
        pairs = [(seconds(published, i, 1), seconds(mended, every * i, every)) for i in range(options.rounds)]
    old, new = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(
        f"{options.genes:,} genes, batch {options.batch:,}, {options.perturbations:,} perturbations, {DEVICE}, ", end=""
    )
    print(f"{torch.get_num_threads()} threads, {options.rounds} rounds; the mended form in {options.precision}")
    print(f"published {old:.3f} s a step, mended {new:.3f} s: {old / new:.2f} times as fast (medians)")
    print(f"in each round: {', '.join(f'{a / b:.2f}' for a, b in pairs)}")
    return None


if __name__ == "__main__":
    main()
