"""The split of a run that is to predict what was never measured: everything is learned from, nothing is held out."""

from __future__ import annotations

from cycseq.data.either import Data
from cycseq.errors import count_of
from cycseq.split.base import Split
from cycseq.split.plan import perturbed_conditions
from cycseq.split.settings import NOTHING


def hold_out_nothing(data: Data) -> Split:
    """A split with all conditions in training; raises `SplitError` if there are no perturbed conditions."""
    conditions = perturbed_conditions(data)
    n_contexts, n_perturbations = (len({c[part] for c in conditions}) for part in (0, 1))
    claim = (
        f"Nothing was held out: the model was fitted on {count_of(len(conditions), 'condition')} ({count_of(n_contexts, 'context')}, "
        f"{count_of(n_perturbations, 'perturbation')}), so it has no test score. The uncertainty of its predictions rests on how well "
        "these conditions predict each other, and holds for conditions like them; cycseq predict --data leaves some of them out "
        "and says how well they were predicted."
    )
    made_from = data.fingerprint()
    return Split("nothing-held-out", NOTHING, claim, conditions, validation=(), test=(), seed=0, data_hash=made_from)
