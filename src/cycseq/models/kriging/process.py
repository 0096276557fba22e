"""The Gaussian process over conditions, all genes at once, with an amplitude for every gene of every perturbation."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from cycseq.data.gene_mixture import GeneMixture
from cycseq.models.kriging.amplitudes import AMPLITUDES, Amplitudes, Blocks, Shares, learn_amplitudes
from cycseq.models.kriging.directions import Measurements
from cycseq.models.kriging.table import Values


@dataclass(frozen=True)
class Process:
    """What was measured, and the amplitudes of its genes.

    Gene g of condition i: y_ig ~ N(0, rho_g (a K + D)), with K the kernel, D the noise of measurements, and a the gene's
    amplitude under the perturbation.
    """

    measurements: Measurements
    units: Int[np.ndarray, "conditions"]  # the perturbation of every condition, as a code
    amplitudes: Amplitudes

    def amplitudes_of(self, unit: int | np.integer) -> Shares:
        """What is believed of every gene's amplitude under a perturbation: by what was measured of it; the usual, if nothing was or all is one unit."""
        rows = np.flatnonzero(self.units == unit)
        if len(rows) in (0, len(self.units)):
            return self.amplitudes.usual
        block = Blocks.of([self.measurements.take(rows)])
        return next(block.believed(self.amplitudes.usual, self.amplitudes.noise))

    def predict(
        self,
        between: Float[np.ndarray, "targets conditions"],
        prior: Float[np.ndarray, "targets"],
        units: Int[np.ndarray, "targets"],
    ) -> GeneMixture:
        """The responses of targets, given their kernel with what was measured and with themselves: targets x genes x amplitudes."""
        of_unit = {unit: self.amplitudes_of(unit).astype(np.float32) for unit in np.unique(units)}
        directions = self.measurements.directions
        across = between @ directions.vectors
        amplitudes = np.array(AMPLITUDES)[:, None]
        shrink = amplitudes / (amplitudes * directions.values + 1.0)
        means = (across[:, None] * shrink).astype(np.float32) @ self.measurements.turned
        left = amplitudes[:, 0] * (prior[:, None] - across**2 @ shrink.T)
        of_targets = np.sqrt(np.maximum(left, 0.0)).astype(np.float32)
        sds = of_targets[..., None] * np.sqrt(self.amplitudes.noise).astype(np.float32)
        shares = np.stack([of_unit[unit] for unit in units])
        return GeneMixture(*(np.moveaxis(part, 1, -1) for part in (shares, means, sds)))


def learn_process(
    measurements: Measurements, units: Int[np.ndarray, "conditions"], variance: Values | None = None
) -> Process:
    """Learn every gene's amplitude and noise.

    Parameters
    ----------
    measurements
        Of the measured conditions; their noise is the mean over genes.
    units
        The perturbation of every condition, as a code.
    variance
        Known sampling variances; None where they are unknown.
    """
    return Process(measurements, units, learn_amplitudes(measurements, units, variance))
