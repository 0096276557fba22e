"""Which experiment next: the batch of conditions whose measurement would make a fitted model surest."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from cycseq.data.condition import Condition, as_condition
from cycseq.errors import ModelError, SettingsError, count_of, unknown_name
from cycseq.models.base import Model
from cycseq.models.kriging.design import choose
from cycseq.models.kriging.model import ConditionKriging
from cycseq.run.folder import Run

COLUMNS = ("rank", "context", "perturbation", "expected_reduction", "variance_left", "status")
NEW, HELD_OUT, MEASURED = "not measured", "held out by the split, measured in the file", "measured in training"
"""What `status` says of a condition."""


def suggest(
    model: Model | Path | str,
    n_conditions: int = 10,
    *,
    candidates: Sequence[Condition | str] | None = None,
    held_out: Sequence[Condition] = (),
) -> pd.DataFrame:
    """The conditions to measure next, best first; each is chosen as if those before it were measured.

    What counts is the posterior variance of a gene of the mean amplitude, summed over every single perturbation in every context with
    control cells. A new measurement is taken to be as noisy as the median measured condition.

    Parameters
    ----------
    model
        A fitted `ConditionKriging` (such as `Answer.model`), or the folder of a run of it.
    n_conditions
        Size of the batch.
    candidates
        What may be measured; None means all single perturbations of training in all contexts with control cells, where
        they were not measured. One that was measured already stands for as many cells again.
    held_out
        Conditions that are measured in the data but were kept from the model: suggested only where `candidates` names them.

    Returns
    -------
    pandas.DataFrame
        `rank`, `context`, `perturbation`, `expected_reduction` (share of today's variance that this condition takes)
        and `variance_left` (share that is left after it and those before); `status` says whether it is measured already.

    Raises
    ------
    ModelError
        If the model has no posterior, or a candidate is unknown to it.
    SettingsError
        If nothing is asked for, or nothing is left to measure.

    Examples
    --------
    >>> import cycseq
    >>> data = cycseq.read("cells.h5ad")
    >>> screen = data.subset(c for c in data.conditions() if c.context != "Line3" or c.is_control)
    >>> model = cycseq.predict(screen, "missing", leave_out=0).model
    >>> cycseq.suggest(model, 2)["context"].tolist()
    ['Line3', 'Line3']
    """
    if isinstance(model, Path | str):
        model = Run.open(Path(model)).model
    if not isinstance(model, ConditionKriging):
        msg = f"{model.name} does not know how sure it is: fit ConditionKriging (--model ConditionKriging) and suggest from it."
        raise ModelError(msg)
    if n_conditions < 1:
        raise SettingsError(f"{count_of(n_conditions, 'condition')} cannot be suggested: ask for at least one (--n).")
    measured = model.measured_conditions
    contexts = sorted({*model.profiles, *model.learned.contexts})
    names = sorted({c.perturbation for c in measured if len(c.parts) == 1})
    status = dict.fromkeys(held_out, HELD_OUT) | dict.fromkeys(measured, MEASURED)
    everything = [Condition(c, p) for c in contexts for p in names]
    allowed = {c for c in everything if c not in status}
    if candidates is not None:
        allowed = _parse_candidates(candidates, contexts, names)
    if not allowed:
        raise SettingsError(
            "every perturbation was measured in every context already: name conditions to measure again (--conditions)."
        )
    batch, reduction = _choose_batch(model, everything, allowed, n_conditions)
    ranks, variance_left = range(1, len(batch) + 1), 1.0 - np.cumsum(reduction)
    rows = [
        (rank, *c, share, rest, status.get(c, NEW))
        for rank, c, share, rest in zip(ranks, batch, reduction, variance_left, strict=True)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _choose_batch(
    model: ConditionKriging, conditions: Sequence[Condition], allowed: set[Condition], n_conditions: int
) -> tuple[list[Condition], np.ndarray]:
    """The best of these conditions, and the share of their variance that each takes."""
    field, scale = model.field(conditions, "pair", {})
    n, of_mean_gene = len(model.measured_conditions), scale.slope.mean(axis=1)
    covariance = field.covariance(n + np.arange(len(conditions))) * np.outer(of_mean_gene[n:], of_mean_gene[n:])
    noise = np.full(len(conditions), float(np.median(field.errors * of_mean_gene[:n] ** 2)))
    choices = choose(covariance, noise, np.array([c in allowed for c in conditions]), n_conditions)
    reduction = np.array([choice.reduction for choice in choices]) / max(float(np.trace(covariance)), 1e-300)
    return [conditions[choice.condition] for choice in choices], reduction


def _parse_candidates(
    candidates: Sequence[Condition | str], contexts: Sequence[str], names: Sequence[str]
) -> set[Condition]:
    """The conditions that may be measured; raises `ModelError` for one that the model cannot judge."""
    conditions = {as_condition(candidate, contexts) for candidate in candidates}
    for context, perturbation in sorted(conditions):
        if context not in contexts:
            raise unknown_name(context, "context with training control cells", contexts, ModelError)
        if perturbation not in names:
            raise unknown_name(perturbation, "single perturbation of training", names, ModelError)
    return conditions
