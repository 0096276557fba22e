"""What a comparison and a prediction need of the memory that was allowed, beside the interpreter and its libraries."""

from collections.abc import Sequence

import numpy as np

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.errors import SettingsError
from cycseq.formats.readers.stored import LABELS, memory_bytes
from cycseq.matrix.arrays import Matrix, in_memory, load
from cycseq.score.evaluate import DENSE_VALUES
from cycseq.score.metrics import chosen
from cycseq.score.reference import CONTROLS_PER_CELL
from cycseq.score.settings import EvaluateSettings

HELD = 1 / 2
"""Share of the memory for what is held throughout: labels, drawn cells, controls. Blocks and sums take the rest."""
DENSE = 1 / 16  # share of the memory that cells take that are dense at once in a comparison
COPIES = 4  # copies of the dense control cells, with which principal components are fitted
SHOWN = 100  # cells that tell how much a cell takes


def dense_values(memory: str | None) -> int:
    """Values of cells that a comparison may have dense at once; `memory` as of `memory_bytes`."""
    return DENSE_VALUES if memory is None else min(DENSE_VALUES, int(memory_bytes(memory) * DENSE / 4))


def check_comparison(
    predicted: PerturbationData, real: PerturbationData, settings: EvaluateSettings, memory: str | None
) -> None:
    """Raise `SettingsError`, with the least that would do, if a comparison needs more memory than was said."""
    if memory is None:
        return
    contexts, costly = set(predicted.contexts), any(metric.costly for metric in chosen(settings.metrics))
    need = LABELS * (predicted.n_cells + real.n_cells)
    need += _drawn(predicted, settings.max_cells, contexts) + _drawn(real, settings.max_cells, contexts)
    need += costly * COPIES * 4 * len(real.genes) * min(real.n_cells, CONTROLS_PER_CELL * settings.max_cells)
    _refuse(
        need, memory, "evaluate", "or draw fewer cells with --max-cells, or compare means alone with --metrics means"
    )


def check_prediction(cells: PerturbationData, conditions: Sequence[Condition], memory: str | None) -> None:
    """Raise `SettingsError`, with the least that would do, if a prediction needs more memory than was said.

    The control cells of one context at a time are held.
    """
    if memory is None:
        return
    contexts = {condition.context for condition in conditions}
    sizes = np.bincount(cells.condition_codes, minlength=len(cells.conditions()))
    most = max(
        (int(n) for n, c in zip(sizes, cells.conditions(), strict=True) if c.is_control and c.context in contexts),
        default=0,
    )
    need = LABELS * cells.n_cells + 2 * most * _bytes_of_cell(cells.x)
    _refuse(need, memory, "predict", "or give fewer control cells with --controls")


def _refuse(need: float, memory: str, command: str, cure: str) -> None:
    least, allowed = need / HELD, memory_bytes(memory)
    if least > allowed:
        mib = int(np.ceil(least / 2**20))
        msg = f"--memory {memory} is too little for {command}, which needs at least {mib:,} MiB here: use --memory {mib}MiB, {cure}."
        raise SettingsError(msg, option=f"--memory {mib}MiB")


def _drawn(data: PerturbationData, max_cells: int, contexts: set[str]) -> int:
    """Bytes of the cells that are drawn from stored ones and held; those in memory are there anyway."""
    if in_memory(data.x):
        return 0
    sizes = np.bincount(data.condition_codes, minlength=len(data.conditions()))
    n = sum(
        min(int(size), max_cells)
        for size, c in zip(sizes, data.conditions(), strict=True)
        if c.context in contexts and not c.is_control
    )
    return n * _bytes_of_cell(data.x)


def _bytes_of_cell(x: Matrix) -> int:
    """What a cell takes in memory, by the first few."""
    cells = load(x[: min(SHOWN, x.shape[0])])
    return int((cells.nbytes if isinstance(cells, np.ndarray) else 8 * cells.nnz) / max(1, cells.shape[0])) + 8
