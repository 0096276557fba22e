"""What a prediction is asked for: conditions by name, and what of each was measured."""

from collections.abc import Iterable, Sequence

from cycseq.data.condition import Condition
from cycseq.data.either import Data
from cycseq.errors import DataError, SettingsError, unknown_name
from cycseq.run.predicting import conditions_of_words
from cycseq.split.settings import Kind


def named_conditions(
    words: Sequence[str | Condition] | str, data: Data, control_contexts: Iterable[str]
) -> list[Condition]:
    """The conditions that were asked for, each once.

    A word is ``"NK:stim"``, a `Condition`, or ``"missing"`` (every perturbation in every context where it was not measured); without controls in its context, nothing can be predicted. Raises
    `DataError` if a word names no condition, or a context has no control cells, `SettingsError` if nothing is missing, and
    `ModelError` if a perturbation differs from a measured one by case alone.
    """
    measured, contexts = [c for c in data.conditions() if not c.is_control], list(control_contexts)
    conditions = conditions_of_words(
        words, contexts, data.perturbations, missing=lambda: missing_conditions(measured, contexts)
    )
    for condition in conditions:
        if condition.context not in contexts:
            raise unknown_name(condition.context, "context with control cells", contexts, DataError)
    if not conditions and len(names := sorted({c.context for c in data.conditions()})) == 1:
        raise SettingsError(
            f"{names[0]!r} is the only context, and every perturbation was measured in it: if the data have several contexts, "
            "name their column with --context-key; else name conditions to predict."
        )
    if not conditions:
        msg = "every perturbation was measured in every context: name conditions to predict all the same, as NK:stim."
        raise SettingsError(msg)
    return conditions


def missing_conditions(measured: Sequence[Condition], contexts: Iterable[str]) -> list[Condition]:
    """Every measured perturbation in every context where it was not measured, sorted."""
    names, there = sorted({c.perturbation for c in measured}), set(measured)
    return [Condition(c, p) for c in sorted(contexts) for p in names if Condition(c, p) not in there]


def kind_of(condition: Condition, measured: Sequence[Condition]) -> Kind | None:
    """What predicting a condition amounts to, as the kind of split that holds out the like; None where it was measured."""
    if condition in measured:
        return None
    same = [c for c in measured if c.perturbation == condition.perturbation]
    if same:
        here = any(c.context == condition.context for c in measured)
        return "unseen-pair" if here else "unseen-context"
    treatments = [c for c in measured if c.agent == condition.agent]
    if treatments:
        new_time = condition.time not in {c.time for c in treatments}
        return "unseen-time" if new_time and condition.dose in {c.dose for c in treatments} else "unseen-dose"
    return "unseen-combination" if len(condition.parts) > 1 else "unseen-perturbation"
