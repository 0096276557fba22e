"""What all perturbations have in common."""

from dataclasses import dataclass

from cycseq.data.dataset import Condition
from cycseq.data.effects import Effects
from cycseq.matrix.arrays import Profile
from cycseq.models.baselines.shift import Controls, Learned, ShiftModel, perturbed_means
from cycseq.split.settings import Kind


@dataclass
class PerturbedMean(ShiftModel):
    """Control cells plus the mean of the training Deltas of the context; of all contexts where it has none.

    Formula: Delta^(p, c*) = mean over training conditions (p', c*) of Delta(p', c*), each condition counted once;
    where c* has no training condition, the mean over all training conditions. Where conditions have doses or times, those of
    the same dose and time alone, if there are two or more.

    Reference: the "perturbed mean" of Systema (Vinas Torne et al. 2025, Nature Biotechnology).

    Strong where a response is shared by all perturbations (stress, a growth arrest, a batch effect), which is what
    most metrics of a delta reward. It cannot tell one perturbation from another, so it predicts any.
    """

    def learn(self, train: Effects, controls: Controls, *, task: Kind | None = None, seed: int) -> Learned:
        return perturbed_means(train)

    def shift(self, condition: Condition, control_mean: Profile | None) -> Profile:
        return self.perturbed_mean(condition)
