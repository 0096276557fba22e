"""The true mean response of every condition: an expectation, without the noise of drawn cells."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.special import ndtri

from cycseq.simulation.biology import STATES, Biology, ContextLaw
from cycseq.simulation.counts import CountLaw, ExpectedLog1p, log_shares
from cycseq.simulation.settings import SimulateSettings

CELLS_LOG2 = 7  # Log2 of the number of cells over which responses are averaged: 128


def compute_true_responses(
    settings: SimulateSettings, biology: Biology, law: CountLaw, batch_offsets: Float[np.ndarray, "batches genes"]
) -> Float[np.ndarray, "conditions genes"]:
    """Expected responses to every perturbation, context after context, on the log1p scale, over states, batches and library sizes.

    States and library sizes are quasi-random (scrambled Sobol points), and control and perturbed cells are the same
    ones, so that few cells do. `batch_offsets` is what each batch adds to log levels.
    """
    from scipy.stats.qmc import Sobol

    points = Sobol(STATES + 2, seed=np.random.default_rng(0)).random_base2(CELLS_LOG2)
    normal = ndtri(points[:, : STATES + 1])
    library = settings.library_size * np.exp(settings.library_spread * normal[:, STATES])
    states, log_library = normal[:, :STATES].astype(np.float32), np.log(library).astype(np.float32)[:, None]
    expected = ExpectedLog1p(law, library)
    offset = batch_offsets[(points[:, -1] * settings.batches).astype(int)]

    def mean(context: ContextLaw, perturbation: int) -> Float[np.ndarray, "genes"]:
        levels = context.log_levels(states, np.full(len(states), perturbation), offset)
        return expected(log_shares(levels) + log_library).mean(axis=0, dtype=np.float64)

    deltas = []
    for context in biology.contexts:
        control = mean(context, -1)
        deltas += [mean(context, i) - control for i in range(len(biology.targets))]
    return np.stack(deltas).astype(np.float32)
