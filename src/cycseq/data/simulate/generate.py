"""`simulate`: settings in, counts with their truth out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import Float, Int

from cycseq.data.dataset import PerturbationData
from cycseq.data.labels import CONTROL
from cycseq.data.simulate.counts import CountLaw, Pairs, log_shares
from cycseq.data.simulate.network import STATES, Network, draw_networks
from cycseq.data.simulate.settings import SimulateSettings
from cycseq.data.simulate.truth import Truth
from cycseq.errors import SettingsError

BATCH_SPREAD = 0.1
"""Standard deviation, over genes, of what a batch adds to log levels."""
BLOCK = 2_000


def simulate(settings: SimulateSettings | None = None) -> PerturbationData:
    """Counts of simulated cells, with the true pair of every control cell and the true mean response.

    Every context has a gene regulatory network of transcription factors with saturating effects (see
    `network.Network`); knock-outs and over-expressions change a factor's level, and the network's steady state
    follows. Cells differ by their state, batch and library size; counts follow `counts.CountLaw`. The cells of a
    condition are equally many in a context, and there are 10 times as many controls.

    Returns
    -------
    PerturbationData
        CSR counts, and in `adata`

        - ``layers["true_pair"]``: counts of each control cell had it been perturbed, drawn with the same state,
          batch, library size and random numbers (`CountLaw.draw_pairs`); perturbed cells have empty rows;
        - ``obs["pair_perturbation"]``: by which perturbation; missing for perturbed cells;
        - ``varm["true_delta"]``: genes x conditions (``"Line1:G0007"``), the expected mean of log1p of counts per
          10,000 minus that of control cells, over the states, batches and library sizes of a context;
        - ``obs["library_size"]``, ``obsm["cell_state"]``: what the cells differ by;
        - ``var["regulator"]``, ``var["perturbed_as"]``: the transcription factors and what is done to them.

    Raises
    ------
    SettingsError
        If a setting makes no sense.
    """
    said = (settings or SimulateSettings()).resolved()
    networks = draw_networks(said)
    genes = [f"G{i:0{max(4, len(str(said.genes)))}d}" for i in range(1, said.genes + 1)]
    names = perturbation_names(networks[0], genes)
    batch_offsets = np.random.default_rng([said.seed, 4]).normal(0.0, BATCH_SPREAD, (said.batches, said.genes))
    world = _World(said, names, batch_offsets.astype(np.float32))
    contexts = [f"Line{i}" for i in range(1, said.contexts + 1)]
    drawn = [_context(world, network, i) for i, network in enumerate(networks)]
    truth = Truth(said, world.batch_offsets)
    deltas = [truth.delta(network) for network in networks]
    adata = ad.AnnData(
        X=sp.vstack([d.counts for d in drawn], format="csr"),
        obs=_obs(world, contexts, drawn),
        var=_var(world, networks[0], genes),
        layers={"true_pair": sp.vstack([d.pairs for d in drawn], format="csr")},
        obsm={"cell_state": np.concatenate([d.states for d in drawn])},
        uns={"cycseq": {"scale": "counts", "simulation": json.dumps(asdict(said))}},
    )
    columns = [f"{context}:{name}" for context in contexts for name in names]
    adata.varm["true_delta"] = pd.DataFrame(np.concatenate(deltas).T, index=genes, columns=columns)
    _refuse_empty_cells(adata)
    return PerturbationData(adata=adata, scale="counts", notes=_notes(said, adata))


def perturbation_names(network: Network, genes: Sequence[str]) -> list[str]:
    """The names of the perturbations, singles then doubles: those of the genes that they change."""
    return ["+".join(sorted(genes[network.regulators[i]] for i in np.flatnonzero(row))) for row in network.own]


@dataclass(frozen=True)
class _World:
    """What all contexts have in common."""

    settings: SimulateSettings
    perturbations: list[str]
    batch_offsets: Float[np.ndarray, "batches genes"]

    @property
    def law(self) -> CountLaw:
        return CountLaw(self.settings.dispersion, self.settings.dropout)


@dataclass(frozen=True)
class _Drawn:
    """The cells of a context, controls first."""

    counts: sp.csr_matrix
    pairs: sp.csr_matrix
    perturbation: Int[np.ndarray, "cells"]
    pair: Int[np.ndarray, "cells"]
    batch: Int[np.ndarray, "cells"]
    library: Float[np.ndarray, "cells"]
    states: Float[np.ndarray, "cells states"]


def _context(world: _World, network: Network, index: int) -> _Drawn:
    settings, n_perturbations = world.settings, len(world.perturbations)
    n_control, n_each = settings.cells_of()[index]
    rng = np.random.default_rng([settings.seed, 5, index])
    perturbation = np.concatenate([np.full(n_control, -1), np.repeat(np.arange(n_perturbations), n_each)])
    place = np.concatenate([np.arange(n_control), np.tile(np.arange(n_each), n_perturbations)])
    pair = np.full(len(place), -1)
    pair[:n_control] = rng.permutation(np.arange(n_control) % n_perturbations)
    states = rng.standard_normal((len(place), STATES)).astype(np.float32)
    library = np.exp(rng.normal(np.log(settings.library_size), settings.library_spread, len(place))).astype(np.float32)
    batch = place % settings.batches

    def means(rows: slice, done: np.ndarray) -> np.ndarray:
        levels = network.log_levels(states[rows], done[rows], world.batch_offsets[batch[rows]])
        return np.asarray(library[rows, None] * np.exp(log_shares(levels)))

    blocks: list[Pairs] = []
    for start in range(0, n_control, BLOCK):
        rows = slice(start, min(start + BLOCK, n_control))
        blocks.append(world.law.draw_pairs(means(rows, perturbation), means(rows, pair), rng))
    perturbed = [
        world.law.draw(means(slice(start, start + BLOCK), perturbation), rng)
        for start in range(n_control, len(place), BLOCK)
    ]
    none = sp.csr_matrix((len(place) - n_control, settings.genes), dtype=np.float32)
    return _Drawn(
        counts=sp.vstack([*(block.control for block in blocks), *perturbed], format="csr"),
        pairs=sp.vstack([*(block.perturbed for block in blocks), none], format="csr"),
        perturbation=perturbation,
        pair=pair,
        batch=batch,
        library=library,
        states=states,
    )


def _obs(world: _World, contexts: list[str], drawn: list[_Drawn]) -> pd.DataFrame:
    labels = np.array([*world.perturbations, CONTROL], dtype=object)
    partners = np.array([*world.perturbations, None], dtype=object)
    frames = []
    for context, cells in zip(contexts, drawn, strict=True):
        frame = pd.DataFrame(
            {
                "context": context,
                "perturbation": labels[cells.perturbation],
                "batch": [f"batch{i + 1}" for i in cells.batch],
                "pair_perturbation": partners[cells.pair],
                "library_size": cells.library,
            },
            index=[f"{context}_{i}" for i in range(len(cells.batch))],
        )
        frames.append(frame)
    obs = pd.concat(frames)
    for name in ("context", "perturbation", "batch", "pair_perturbation"):
        obs[name] = pd.Categorical(obs[name])
    return obs


def _var(world: _World, network: Network, genes: list[str]) -> pd.DataFrame:
    done = np.full(len(genes), "", dtype=object)
    singles = network.own[: world.settings.perturbations].sum(axis=0)
    done[network.regulators[singles > 0]] = "over-expression"
    done[network.regulators[singles < 0]] = "knock-out"
    is_regulator = np.isin(np.arange(len(genes)), network.regulators)
    return pd.DataFrame({"regulator": is_regulator, "perturbed_as": pd.Categorical(done)}, index=genes)


def _refuse_empty_cells(adata: ad.AnnData) -> None:
    empty = int((np.diff(adata.X.indptr) == 0).sum())
    if empty:
        msg = f"{empty} cells came out without a single count: say a larger --library-size or a smaller --dropout."
        raise SettingsError(msg)


def _notes(settings: SimulateSettings, adata: Any) -> tuple[str, ...]:
    zeros = 1.0 - adata.X.nnz / (adata.n_obs * adata.n_vars)
    n_long = int(settings.long_tail_contexts or 0)
    tail = f", {n_long} of them long tails of {settings.long_tail_cells} cells a condition" if n_long else ""
    return (
        f"world {settings.world}: {settings.contexts} contexts{tail}; {settings.shared:.0%} of the network's edges in common",
        f"{settings.perturbations} single perturbations and {settings.doubles} doubles in every context",
        f"counts: negative binomial, dispersion {settings.dispersion:g}, dropout {settings.dropout:g}; {zeros:.0%} are zero",
        "truth: layers['true_pair'] (control cells, perturbed), varm['true_delta'] (mean response, log1p)",
    )
