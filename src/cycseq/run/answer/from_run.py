"""An answer from a model that is fitted already."""

from collections.abc import Sequence
from functools import partial

from cycseq.data.condition import Condition
from cycseq.data.dataset import PerturbationData
from cycseq.errors import check_at_least
from cycseq.run.answer.check import check_kind
from cycseq.run.answer.conditions import kind_of, named_conditions
from cycseq.run.answer.predict import Answer, make_answer, starting_controls
from cycseq.run.folder import Run
from cycseq.run.parts import learnt_from, parts_of
from cycseq.run.predicting import parse_conditions
from cycseq.split.base import EffectParts

TEST = "test"  # stands for the test conditions of the run's split


def predict_from_run(
    run: Run,
    conditions: Sequence[str | Condition] | str = TEST,
    *,
    controls: PerturbationData | None = None,
    n_cells: int | None = None,
    leave_out: int = 0,
    seed: int = 0,
) -> Answer:
    """What a run predicts, with what it rests on: as `cycseq.predict`, without fitting.

    The data of the run must lie where they were. Conditions are as of `cycseq.predict`, or ``"test"``; each time that training
    conditions are left out, the model is fitted anew. Raises `FileError` if the data of the run are gone, `DataError` if they
    have changed, or a context has no control cells, and `ModelError` if the model cannot know a condition, or does not say how
    sure it is and nothing was left out to see.
    """
    check_at_least(0, seed=seed, leave_out=leave_out)
    source = run.effects() if run.of_effects else run.as_written()
    split, model = run.split, run.model
    parts = parts_of(split, source)
    data = parts.learnt if isinstance(parts, EffectParts) else learnt_from(parts)
    start = starting_controls(data, controls)
    of_split = conditions == TEST or list(conditions) == [TEST]
    predicted = (
        parse_conditions(run, TEST, start.contexts) if of_split else named_conditions(conditions, data, start.contexts)
    )
    learned = [c for c in data.conditions() if not c.is_control]
    kinds = {condition: kind_of(condition, learned) for condition in predicted}
    check = partial(check_kind, data, model=model.name, settings=model.settings(), most=leave_out, seed=seed)
    answer = partial(make_answer, data, split, kinds, lambda _: model, check, controls=start)
    return answer(n_cells=n_cells, seed=seed, apart=False, own_controls=controls is not None)
