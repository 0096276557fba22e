"""What a run predicts as counts: cells of real depth whose sum has the predicted profile, of any model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from cycseq.data.condition import Condition
from cycseq.data.dataset import PerturbationData
from cycseq.data.effects import Effects
from cycseq.errors import ModelError
from cycseq.matrix.threads import map_in_threads
from cycseq.models.cells import draw, predicted_obs
from cycseq.models.counts.draw import draw_counts
from cycseq.models.counts.profile import ControlCounts
from cycseq.run.effects import predict_effects
from cycseq.run.fitted import FittedRun
from cycseq.run.predicting import Request, pieces_of
from cycseq.run.record import with_record


def predict_counts(
    run: FittedRun, request: Request, n_cells: int | None, seed: int, *, amplitude: float = 1.0
) -> PerturbationData:
    """Cells of whole-number counts, drawn around the effects that the run predicts; see `Run.predict`."""
    source = _source(run, request, request.conditions, seed)
    cells = source.draw(request.conditions, n_cells, seed, amplitude=amplitude)
    return _recorded(cells, run, request, seed, amplitude)


def counts_in_pieces(
    run: FittedRun, request: Request, n_cells: int | None, seed: int, *, amplitude: float = 1.0
) -> Iterator[PerturbationData]:
    """The same in pieces that fit into memory; effects and control cells are those of one context at a time."""
    source = None
    for conditions in pieces_of(run, request, n_cells):
        contexts = {condition.context for condition in conditions}
        if source is None or not contexts <= source.counts.keys():
            source = None  # before the next one is made
            source = _source(run, request, [c for c in request.conditions if c.context in contexts], seed)
        cells = source.draw(conditions, n_cells, seed, amplitude=amplitude)
        yield _recorded(cells, run, request, seed, amplitude)


@dataclass(frozen=True)
class CountSource:
    """Predicted effects, and the control cells that counts are drawn from: these twice."""

    effects: Effects
    controls: dict[str, PerturbationData]  # control cells of each context
    counts: dict[str, ControlCounts]  # their counts

    @classmethod
    def of(cls, effects: Effects, controls: PerturbationData) -> Self:
        """Of control cells of all contexts of the effects.

        Raises `DataError` if the effects have no magnitude, or the counts of the control cells cannot be recovered, and
        `ModelError` if an effect is unknown.
        """
        unknown = np.isnan(effects.require_magnitude("--as counts").effect).sum(axis=1)
        if unknown.any():
            raise ModelError(
                f"there is no prediction for {int(unknown.max()):,} genes of {str(effects.conditions()[np.flatnonzero(unknown)[0]])!r}, as no "
                "training condition measured them there, and cells have every gene: predict effects (--as effects)."
            )
        of_context = {c.context: controls.controls([c.context]) for c in effects.conditions()}
        counts = {name: ControlCounts.of(cells, effects.genes) for name, cells in of_context.items()}
        return cls(effects, of_context, counts)

    def draw(
        self, conditions: Sequence[Condition], n_cells: int | None, seed: int, *, amplitude: float = 1.0
    ) -> PerturbationData:
        """Cells of whole-number counts around the effects of these conditions, times the amplitude.

        Memory holds their sparse counts besides, and for each thread 40 bytes for each count that changes and 150 MB.
        """
        place = {condition: i for i, condition in enumerate(self.effects.conditions())}

        def drawn(condition: Condition) -> tuple[sp.csr_matrix, pd.DataFrame]:
            source, rng = self.counts[condition.context], np.random.default_rng([seed, *str(condition).encode()])
            rows = draw(np.arange(len(source.total)), n_cells, rng)
            labels = predicted_obs(self.controls[condition.context], [rows], [condition])
            if condition.is_control:
                return sp.csr_matrix(source.counts[rows], dtype=np.float32), labels
            effect = amplitude * self.effects.effect[place[condition]]
            made = draw_counts(source, rows, source.profile(effect, self.effects.scale), rng)
            return sp.csr_matrix(made), labels

        blocks, labels = zip(*map_in_threads(drawn, conditions), strict=True)
        adata = ad.AnnData(
            X=sp.vstack(blocks, format="csr"),
            obs=pd.concat(labels).astype(dict.fromkeys(("context", "perturbation", "batch"), "category")),
            var=pd.DataFrame(index=self.effects.genes),
            uns={"cycseq": {"scale": "counts"}},
        )
        return PerturbationData(adata=adata, scale="counts")


def _source(run: FittedRun, request: Request, conditions: list[Condition], seed: int) -> CountSource:
    cells = request.cells.controls({condition.context for condition in conditions})
    return CountSource.of(predict_effects(run, conditions, cells, seed), cells)


def _recorded(
    cells: PerturbationData, run: FittedRun, request: Request, seed: int, amplitude: float
) -> PerturbationData:
    recorded = with_record(cells, run.model, run.split, seed, own_cells=request.own_cells)
    recorded.adata.uns["cycseq"]["amplitude"] = amplitude
    return recorded
