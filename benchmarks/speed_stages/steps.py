"""What steps of training are taken with here: made-up cells, and optimisers without Lightning."""

from __future__ import annotations

from dataclasses import dataclass, field

import anndata as ad
import numpy as np
import pandas as pd
import torch

from cycseq.data.dataset import PerturbationData

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
PRECISIONS = {"": False, " in bf16": True} if DEVICE.type == "cuda" else {"": False}
"""What a step is called, and whether its products are in bfloat16: emulated on most processors, so on a GPU alone."""


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
    """Cells of three contexts, log1p."""
    rng = np.random.default_rng(0)
    x = np.log1p(rng.poisson(0.5, (n_cells, n_genes))).astype(np.float32)
    names = rng.choice([f"P{i}" for i in range(n_perturbations)], n_cells).astype(object)
    names[rng.random(n_cells) < 0.2] = "control"
    obs = pd.DataFrame(
        {"context": rng.choice(["A", "B", "C"], n_cells), "perturbation": names, "batch": "0"},
        index=[str(i) for i in range(n_cells)],
    ).astype("category")
    obs["total_counts"] = np.float32(1e4)
    return PerturbationData(ad.AnnData(x, obs, pd.DataFrame(index=[f"G{i}" for i in range(n_genes)])), scale="log1p")
