"""`simulate`: settings in, counts with their truth out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Self

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import Float

from cycseq.data.dataset import PerturbationData
from cycseq.data.usual_names import CONTROL
from cycseq.errors import SettingsError
from cycseq.formats.pieces import write_pieces
from cycseq.io.progress import track
from cycseq.simulation.biology import STATES, Biology
from cycseq.simulation.counts import CountLaw, Pairs, log_shares
from cycseq.simulation.settings import SimulateSettings
from cycseq.simulation.truth import compute_true_responses
from cycseq.simulation.worlds import LAWS

BATCH_SPREAD = 0.1  # standard deviation, over genes, of what a batch adds to log levels
BLOCK = 2_000
PIECE = 20_000  # cells that are put together before they are written
_CATEGORIES = ("context", "perturbation", "batch", "pair_perturbation")


def simulate(settings: SimulateSettings | None = None) -> PerturbationData:
    """Counts of simulated cells, with the true pair of every control cell and the true mean response.

    The world says what a perturbation does in a context. In our own worlds every context has a gene regulatory network
    of transcription factors with saturating effects (see `network.Network`); knock-outs and over-expressions change a
    factor's level, and the network's steady state follows. The others (`worlds`) follow a law of their own each. Cells
    differ by their state, batch and library size; counts follow `counts.CountLaw`. The cells of a condition are equally
    many in a context, and there are 10 times as many controls.

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
        - ``var["regulator"]``, ``var["perturbed_as"]``: in our own worlds, the transcription factors and what is done
          to them;
        - ``uns["cycseq"]["simulation"]``: the settings, and what tells the contexts apart (their sign, clade, ...), as
          JSON.

    Raises
    ------
    SettingsError
        If a setting makes no sense.

    Examples
    --------
    >>> import cycseq
    >>> cells = cycseq.simulate(cycseq.SimulateSettings(contexts=3, perturbations=6, cells=900, genes=60))
    >>> cells.n_cells, cells.scale, cells.adata.varm["true_delta"].shape
    (900, 'counts', (60, 18))
    """
    world = _World.of((settings or SimulateSettings()).resolved())
    adata = ad.concat(list(_pieces(world)), merge="same", uns_merge="same")
    for name in _CATEGORIES:
        adata.obs[name] = pd.Categorical(adata.obs[name].astype(object))
    world.add_truth(adata)
    zeros = 1.0 - adata.X.nnz / (adata.n_obs * adata.n_vars)
    return PerturbationData(adata=adata, scale="counts", notes=_notes(world.settings, zeros))


def simulate_to(
    path: Path, settings: SimulateSettings | None = None, *, overwrite: bool = False, piece: int = PIECE
) -> tuple[ad.AnnData, tuple[str, ...]]:
    """As `simulate`, written to h5ad or zarr piece by piece, so that there may be more cells than memory holds.

    A piece has about as many cells as `piece` says; what is written does not depend on it. Returned are the labels of what was
    written, without values, and the notes.
    """
    world = _World.of((settings or SimulateSettings()).resolved())
    n_values = 0

    def counted() -> Iterator[ad.AnnData]:
        nonlocal n_values
        for part in track(_pieces(world, piece), "Simulating cells", total=-(-world.settings.cells // piece)):
            n_values += part.X.nnz
            yield part

    adata = write_pieces(counted(), path, overwrite=overwrite, finish=world.add_truth)
    return adata, _notes(world.settings, 1.0 - n_values / (adata.n_obs * adata.n_vars))


@dataclass(frozen=True)
class _World:
    """What all contexts have in common."""

    settings: SimulateSettings
    biology: Biology
    genes: list[str]
    perturbations: list[str]
    batch_offsets: Float[np.ndarray, "batches genes"]

    @classmethod
    def of(cls, settings: SimulateSettings) -> Self:
        """Draw it."""
        biology = LAWS[settings.world](settings)
        genes = [f"G{i:0{max(4, len(str(settings.genes)))}d}" for i in range(1, settings.genes + 1)]
        names = ["+".join(sorted(genes[gene] for gene in targets)) for targets in biology.targets]
        shape = (settings.batches, settings.genes)
        offsets = np.random.default_rng([settings.seed, 4]).normal(0.0, BATCH_SPREAD, shape)
        return cls(settings, biology, genes, names, offsets.astype(np.float32))

    @property
    def contexts(self) -> list[str]:
        return [f"Line{i}" for i in range(1, self.settings.contexts + 1)]

    def add_truth(self, adata: ad.AnnData) -> None:
        """The mean responses, to `varm`."""
        deltas = compute_true_responses(self.settings, self.biology, self.law, self.batch_offsets)
        columns = [f"{context}:{name}" for context in self.contexts for name in self.perturbations]
        adata.varm["true_delta"] = pd.DataFrame(deltas.T, index=self.genes, columns=columns)

    @property
    def law(self) -> CountLaw:
        return CountLaw(self.settings.dispersion, self.settings.dropout, self.settings.counts or "negative-binomial")

    @property
    def var(self) -> pd.DataFrame:
        """What is said of genes."""
        columns = {name: pd.Categorical(v) if v.dtype == object else v for name, v in self.biology.var.items()}
        return pd.DataFrame(columns, index=self.genes)

    @property
    def record(self) -> str:
        """Settings and facts, as JSON."""
        facts = {name: dict(zip(self.contexts, values, strict=True)) for name, values in self.biology.facts.items()}
        return json.dumps({**asdict(self.settings), **({"contexts_differ": facts} if facts else {})})


def _draw_cells(world: _World, index: int) -> Iterator[ad.AnnData]:
    """The cells of a context, controls first, `BLOCK` at a time."""
    settings, n_perturbations = world.settings, len(world.perturbations)
    name, context = world.contexts[index], world.biology.contexts[index]
    n_control, n_each = settings.cells_of()[index]
    rng = np.random.default_rng([settings.seed, 5, index])
    perturbation = np.concatenate([np.full(n_control, -1), np.repeat(np.arange(n_perturbations), n_each)])
    place = np.concatenate([np.arange(n_control), np.tile(np.arange(n_each), n_perturbations)])
    pair = np.full(len(place), -1)
    pair[:n_control] = rng.permutation(np.arange(n_control) % n_perturbations)
    states = rng.standard_normal((len(place), STATES)).astype(np.float32)
    library = np.exp(rng.normal(np.log(settings.library_size), settings.library_spread, len(place))).astype(np.float32)
    batch = place % settings.batches
    obs = pd.DataFrame(
        {
            "context": name,
            "perturbation": np.array([*world.perturbations, CONTROL], dtype=object)[perturbation],
            "batch": [f"batch{i + 1}" for i in batch],
            "pair_perturbation": np.array([*world.perturbations, None], dtype=object)[pair],
            "library_size": library,
        },
        index=[f"{name}_{i}" for i in range(len(place))],
    )

    def means(rows: slice, done: np.ndarray) -> np.ndarray:
        levels = context.log_levels(states[rows], done[rows], world.batch_offsets[batch[rows]])
        return np.asarray(library[rows, None] * np.exp(log_shares(levels)))

    controls, perturbed = range(0, n_control, BLOCK), range(n_control, len(place), BLOCK)
    for start in (*controls, *perturbed):
        rows = slice(start, min(start + BLOCK, n_control if start < n_control else len(place)))
        if start < n_control:
            pairs = world.law.draw_pairs(means(rows, perturbation), means(rows, pair), rng)
        else:
            none = sp.csr_matrix((rows.stop - start, settings.genes), dtype=np.float32)
            pairs = Pairs(world.law.draw(means(rows, perturbation), rng), none)
        yield ad.AnnData(
            X=pairs.control,
            obs=obs.iloc[rows],
            var=world.var,
            layers={"true_pair": pairs.perturbed},
            obsm={"cell_state": states[rows]},
            uns={"cycseq": {"scale": "counts", "simulation": world.record}},
        )


def _pieces(world: _World, n_cells: int = PIECE) -> Iterator[ad.AnnData]:
    """All cells, about so many of a context at a time."""
    for index in range(len(world.contexts)):
        blocks = _draw_cells(world, index)
        while parts := list(islice(blocks, max(1, -(-n_cells // BLOCK)))):
            piece = ad.concat(parts, merge="same", uns_merge="same")
            if empty := int((np.diff(piece.X.indptr) == 0).sum()):
                msg = f"{empty} cells came out without a single count: use a larger --library-size or a smaller --dropout."
                raise SettingsError(msg)
            yield piece


def _notes(settings: SimulateSettings, zeros: float) -> tuple[str, ...]:
    n_long = int(settings.long_tail_contexts or 0)
    tail = f", {n_long} of them long tails of {settings.long_tail_cells} cells a condition" if n_long else ""
    edges = "" if settings.shared is None else f"; {settings.shared:.0%} of the network's edges in common"
    return (
        f"world {settings.world}: {settings.contexts} contexts{tail}{edges}",
        f"{settings.perturbations} single perturbations and {settings.doubles} doubles in every context",
        f"counts: {settings.counts}, dispersion {settings.dispersion:g}, dropout {settings.dropout:g}; {zeros:.0%} are zero",
        "truth: layers['true_pair'] (control cells, perturbed), varm['true_delta'] (mean response, log1p)",
    )
