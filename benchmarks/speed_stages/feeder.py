"""Batches of cells for training: an epoch of ours beside loaders that take AnnData row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from speed_stages.limits import Limits
from speed_stages.measure import Form, Row, at_best, rows, together

FULL = {"cells": 4_000, "genes": 2_000, "batch": 128, "rounds": 3}
QUICK = {"cells": 200, "genes": 50, "batch": 32, "rounds": 1}
KINDS = {
    "cycseq": "ours",
    "torch DataLoader, rows of dense AnnData": "peer",
    "torch DataLoader, rows of sparse AnnData": "peer",
    "anndata AnnLoader, dense": "peer",
    "a Python loop over cells, dense": "naive",
}


def stage(limits: Limits, size: dict[str, int]) -> tuple[list[Row], dict[str, Any]]:
    """Lines of the table: one epoch in random order, cells and labels as tensors."""
    found = together(Form("feeder", "feeder", "forms", size))
    what = f"{size['cells']:,} cells x {size['genes']:,} genes in batches of {size['batch']}"
    lines = rows("feeder", what, found, KINDS)
    moved = 2 * 4 * size["cells"] * size["genes"]
    lines.append(at_best("feeder", what, lines[0], "every cell read and written once", moved / limits.copy))
    return lines, {}


def forms(cells: int, genes: int, batch: int, rounds: int) -> Callable[[], dict[str, Any]]:
    """What `stage` times."""
    import anndata as ad
    import numpy as np
    import scipy.sparse as sp
    import torch
    from anndata.experimental.pytorch import AnnLoader

    from cycseq.models.networks.batches import Feeder, Vocabulary, encode
    from cycseq.models.networks.training.memory import keep_memory
    from speed_stages.child import turns
    from speed_stages.steps import made_up

    data = made_up(cells, genes, 20)
    encoded_cells = encode(data, Vocabulary.of(data))
    dense = data.adata
    sparse = ad.AnnData(sp.csr_matrix(dense.X), dense.obs, dense.var)
    codes = torch.from_numpy(dense.obs["perturbation"].cat.codes.to_numpy(np.int64))

    class Rows(torch.utils.data.Dataset):
        """As in most tutorials: a row of AnnData for each cell."""

        def __init__(self, adata: ad.AnnData) -> None:
            self.adata = adata

        def __len__(self) -> int:
            return self.adata.n_obs

        def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
            x = self.adata.X[i]
            return torch.from_numpy(np.asarray(x.toarray() if sp.issparse(x) else x).ravel()), codes[i]

    epoch = iter(range(1_000))

    def own() -> Iterator[Any]:
        feeder, now = Feeder(encoded_cells, np.arange(cells), batch, 0), next(epoch)
        return (feeder.batch(now, step) for step in range(feeder.n_steps))

    def looped() -> Iterator[Any]:
        order = np.random.default_rng(0).permutation(cells)
        for start in range(0, cells, batch):
            chosen = order[start : start + batch]
            yield torch.tensor(np.array([[float(value) for value in dense.X[i]] for i in chosen])), codes[chosen]

    loaders: dict[str, Callable[[], Any]] = {
        "cycseq": own,
        "torch DataLoader, rows of dense AnnData": lambda: torch.utils.data.DataLoader(
            Rows(dense), batch, shuffle=True
        ),
        "torch DataLoader, rows of sparse AnnData": lambda: torch.utils.data.DataLoader(
            Rows(sparse), batch, shuffle=True
        ),
        "anndata AnnLoader, dense": lambda: (  # what it hands out is looked up when it is asked for
            (view.X, view.obs["perturbation"]) for view in AnnLoader(dense, batch_size=batch, shuffle=True)
        ),
        "a Python loop over cells, dense": looped,
    }

    def through(make: Callable[[], Any]) -> Callable[[], None]:
        return lambda: [None for _ in make()] and None

    def taken() -> dict[str, Any]:
        with keep_memory():
            return turns({name: through(make) for name, make in loaders.items()}, rounds)

    return taken
