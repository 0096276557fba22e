"""The true mean response of every condition: an expectation, without the noise of drawn cells."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.special import ndtri

from cycseq.simulation.biology import STATES, ContextLaw
from cycseq.simulation.counts import CountLaw, ExpectedLog1p, log_shares
from cycseq.simulation.settings import SimulateSettings

CELLS_LOG2 = 7  # Log2 of the number of cells over which responses are averaged: 128


class Truth:
    """Expected responses on the log1p scale, over cell states, batches and library sizes.

    States and library sizes are quasi-random (scrambled Sobol points), and control and perturbed cells are the same
    ones, so that few cells do.

    Parameters
    ----------
    settings
        The resolved settings.
    law
        The law of counts.
    batch_offsets
        What each batch adds to log levels.
    """

    def __init__(
        self, settings: SimulateSettings, law: CountLaw, batch_offsets: Float[np.ndarray, "batches genes"]
    ) -> None:
        from scipy.stats.qmc import Sobol

        points = Sobol(STATES + 2, seed=np.random.default_rng(0)).random_base2(CELLS_LOG2)
        normal = ndtri(points[:, : STATES + 1])
        library = settings.library_size * np.exp(settings.library_spread * normal[:, STATES])
        self._states = normal[:, :STATES].astype(np.float32)
        self._expected = ExpectedLog1p(law, library)
        self._log_library = np.log(library).astype(np.float32)[:, None]
        self._offset = batch_offsets[(points[:, -1] * settings.batches).astype(int)]

    def delta(self, context: ContextLaw, n_perturbations: int) -> Float[np.ndarray, "perturbations genes"]:
        """The response to every perturbation in this context."""
        control = self._mean(context, -1)
        return np.stack([self._mean(context, i) - control for i in range(n_perturbations)]).astype(np.float32)

    def _mean(self, context: ContextLaw, perturbation: int) -> Float[np.ndarray, "genes"]:
        levels = context.log_levels(self._states, np.full(len(self._states), perturbation), self._offset)
        return np.asarray(self._expected(log_shares(levels) + self._log_library).mean(axis=0, dtype=np.float64))
