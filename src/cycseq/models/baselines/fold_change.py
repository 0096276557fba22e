"""A perturbation multiplies expression in a new context as it does in the others."""

from dataclasses import dataclass

import numpy as np

from cycseq.data.condition import Condition
from cycseq.data.effects import Effects
from cycseq.errors import ModelError
from cycseq.matrix.arrays import Profile, Profiles
from cycseq.models.baselines.shift import Controls, Learned, ShiftModel, store_deltas
from cycseq.split.settings import Kind

LEAST = 0.05  # counts per 10,000 that are added before a quotient is taken: a gene below is hardly measured


@dataclass
class FoldChange(ShiftModel):
    """Control cells moved so that their means are multiplied by the perturbation's mean fold change in other contexts.

    Formula: Delta^(p, c*) = log1p(x f_p) - mu, with mu the mean control profile of c* (log1p), x = exp(mu) - 1, and f_p
    the geometric mean over the training contexts c of (exp(mu(p, c)) - 1 + e) / (exp(mu(c)) - 1 + e), each context weighted by
    its expression of the gene; e is 0.05 counts per 10,000.

    Reference: log fold changes of mean expression, as of every test of differential expression.

    Strong where effects multiply, above all for genes that some contexts do not express. It needs control profiles, and
    refuses a perturbation that no training context has.
    """

    def learn(self, train: Effects, controls: Controls, *, task: Kind | None = None, seed: int) -> Learned:
        lacking = sorted(set(train.contexts) - set(controls))
        if lacking or train.scale != "log1p":
            raise ModelError(
                f"{self.name} needs mean expression beside effects (log1p), and "
                f"{'these are ' + train.scale + ' values' if train.scale != 'log1p' else 'the controls of ' + lacking[0] + ' are unknown'}: "
                "leave it out, or take ContextAdditive."
            )
        arrays, facts = store_deltas(train)
        return {**arrays, "profiles": np.stack([controls[context] for context in train.contexts])}, facts

    def shift(self, condition: Condition, control_mean: Profile | None) -> Profile:
        learned = self.learned
        places = self.places_of(condition.perturbation)
        places = {context: row for context, row in places.items() if context != condition.context} or places
        if not places or control_mean is None:
            lacking = f"no training context has {condition.perturbation!r}"
            why = "the controls of its context are unknown" if places else lacking
            msg = f"{self.name} cannot predict {str(condition)!r}: {why}. Leave it out, or take another model."
            raise ModelError(msg)
        profiles = learned.arrays["profiles"][[learned.contexts.index(context) for context in places]]
        level = np.expm1(profiles.astype(np.float64))
        logarithm = log_fold_change(level, learned.arrays["delta"][list(places.values())])
        weights = np.where(np.isnan(logarithm), 0.0, level + LEAST)
        with np.errstate(invalid="ignore"):
            fold = (weights * np.nan_to_num(logarithm)).sum(axis=0) / weights.sum(axis=0)
        mu = control_mean.astype(np.float64)
        return (np.log1p(np.expm1(mu) * np.exp(fold)) - mu).astype(np.float32)


def log_fold_change(level: Profiles, effect: Profiles) -> Profiles:
    """Of mean counts per 10,000, with `LEAST` added, that an effect on log1p of them makes; NaN where that is not known."""
    changed = np.maximum((1.0 + level) * np.exp(effect) - 1.0, 0.0)
    return np.asarray(np.log((changed + LEAST) / (level + LEAST)))
