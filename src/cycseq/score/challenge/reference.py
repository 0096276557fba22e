"""The real counts of one context, profiled once for all that is compared with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.errors import DataError
from cycseq.matrix.arrays import Codes, Mask, take
from cycseq.score.metrics.challenge.members import CountComparison
from cycseq.score.metrics.challenge.profiles import ControlProfile, CountProfiles, load_groups


@dataclass(frozen=True)
class CountReference:
    """The real conditions of one context and its control cells, as the challenge sees them."""

    context: str
    perturbations: tuple[str, ...]
    genes: tuple[str, ...]
    real: CountProfiles  # row i is perturbation i
    control: ControlProfile
    perturbed: Mask  # True at the genes that each of them perturbs

    @classmethod
    def of(cls, real: PerturbationData, context: str) -> Self:
        """Of real counts; about the memory of the control cells, and 48 bytes for each condition and gene.

        Raises `DataError` if the context has no control cells or no others.
        """
        conditions = [c for c in real.conditions() if c.context == context and not c.is_control]
        if not conditions:
            msg = f"there are only control cells in context {context!r}: nothing can be compared. Give perturbed cells."
            raise DataError(msg)
        control = ControlProfile.of(take(real.x, control_rows(real, context)))
        perturbed = np.zeros((len(conditions), len(real.genes)), dtype=bool)
        for i, condition in enumerate(conditions):
            perturbed[i, real.targets(condition)] = True
        profiles = profile(real, conditions, control)
        names = tuple(condition.perturbation for condition in conditions)
        return cls(context, names, tuple(real.genes), profiles, control, perturbed)

    def compare(self, predicted: PerturbationData) -> CountComparison:
        """The predicted conditions of this context, one at least, beside the real ones."""
        conditions = [c for c in predicted.conditions() if c.context == self.context and not c.is_control]
        places = np.array([self.perturbations.index(condition.perturbation) for condition in conditions])
        return self.beside(profile(predicted, conditions, self.control), places)

    def beside(self, predicted: CountProfiles, places: Codes) -> CountComparison:
        """Profiles of predicted conditions beside the real ones in these places."""
        return CountComparison(self.real, places, predicted, self.control, self.perturbed, self.genes)


def profile(data: PerturbationData, conditions: Sequence[Condition], control: ControlProfile) -> CountProfiles:
    """The profiles of these conditions against control cells."""
    rows = [data.rows(condition) for condition in conditions]
    return CountProfiles.of(load_groups(data.x, rows), len(rows), control)


def control_rows(data: PerturbationData, context: str) -> np.ndarray:
    """The rows of a context's control cells; raises `DataError` where there are none."""
    control = Condition(context, "control")
    if control not in data.conditions():
        raise DataError(
            f"no control cells in context {context!r}: the challenge tests predicted and real cells against the real ones. Add "
            "them to the real cells, or name their label with --control.",
            option="--control LABEL",
        )
    return data.rows(control)
