"""What a run predicts: perturbed cells from control cells, whole or in pieces, and control cells from perturbed ones."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cycseq.data.condition import Condition, as_condition
from cycseq.data.dataset import PerturbationData
from cycseq.data.spellings import spelling
from cycseq.data.usual_names import CONTROL
from cycseq.errors import ModelError, SettingsError, check_at_least, unknown_name
from cycseq.formats.readers.stored import memory_bytes
from cycseq.io.untrusted import as_file_error
from cycseq.models.saved import AGAIN
from cycseq.preparation.prepare import as_log1p
from cycseq.preparation.same_scale import check_totals, target_sum
from cycseq.run.budget import check_prediction
from cycseq.run.facts import MODEL
from cycseq.run.fitted import FittedRun
from cycseq.run.record import with_record

PREDICTED = 1 / 16  # share of the memory that the predicted cells of a piece take; they are dense


@dataclass(frozen=True)
class Request:
    """What is to be predicted."""

    conditions: list[Condition]
    cells: PerturbationData
    """With the control cells to predict from, log1p or counts; of the run's data those that the split lets models see."""
    own_cells: bool  # whether they are the user's, and not those of the run's data


def check_request(
    run: FittedRun, conditions: Sequence[Condition | str] | str, controls: PerturbationData | None, seed: int
) -> Request:
    """Checked arguments of `Run.predict`; raises as it does."""
    check_at_least(0, seed=seed)
    if controls is None and run.facts["data"].get("kind") == "effects":
        raise ModelError(
            f"{run.folder} was fitted on effects, and there are no cells to predict from: predict effects (--as effects), or give "
            "control cells with --controls FILE."
        )
    cells = controls if controls is not None else run.as_written()
    check_totals(target_sum(cells), run.facts["data"].get("target_sum"), "the control cells", "the data of the run")
    to_predict = parse_conditions(run, conditions, cells.contexts)
    contexts_with_controls = [c.context for c in cells.conditions() if c.is_control]
    for context in {c.context: None for c in to_predict}:
        if context not in contexts_with_controls:
            raise unknown_name(context, "context with control cells", contexts_with_controls, ModelError)
    if controls is None:
        cells = model_controls(run, cells, {c.context for c in to_predict})
    return Request(to_predict, cells, own_cells=controls is not None)


def predict_cells(run: FittedRun, request: Request, n_cells: int | None, seed: int) -> PerturbationData:
    """All that was asked for; see `Run.predict`."""
    controls = as_log1p(request.cells.controls({c.context for c in request.conditions}))
    with as_file_error(run.folder / MODEL, AGAIN):
        predicted = run.model.predict(controls, request.conditions, n_cells=n_cells, seed=seed)
    return with_record(predicted, run.model, run.split, seed, own_cells=request.own_cells)


def predict_in_pieces(run: FittedRun, request: Request, n_cells: int | None, seed: int) -> Iterator[PerturbationData]:
    """See `Run.predictions`."""
    for conditions in pieces_of(run, request, n_cells):
        yield predict_cells(run, replace(request, conditions=conditions), n_cells, seed)


def pieces_of(run: FittedRun, request: Request, n_cells: int | None) -> Iterator[list[Condition]]:
    """All conditions, if their cells fit into the memory of the run; else some of one context after another.

    Raises `SettingsError` if the memory is too small for the control cells.
    """
    check_prediction(request.cells, request.conditions, run.memory)
    obs = request.cells.adata.obs
    n_controls = obs.loc[obs["perturbation"] == CONTROL, "context"].value_counts()
    room = memory_bytes(run.memory) * PREDICTED / (4 * len(run.model.learned.genes))
    if sum(n_cells or int(n_controls[c.context]) for c in request.conditions) <= room:
        yield request.conditions
        return
    for context in dict.fromkeys(c.context for c in request.conditions):
        here = [c for c in request.conditions if c.context == context]
        at_once = max(1, int(room / (n_cells or int(n_controls[context]))))
        yield from (here[start : start + at_once] for start in range(0, len(here), at_once))


def model_controls(run: FittedRun, data: PerturbationData, contexts: set[str]) -> PerturbationData:
    """The control cells of these contexts in the run's data, without those that its split holds back."""
    is_control = [c.is_control and c.context in contexts for c in data.conditions()]
    train = run.split.rows_unchecked(data)["train"]
    return data.take(train[np.array(is_control, dtype=bool)[data.condition_codes[train]]])


def parse_conditions(
    run: FittedRun, conditions: Sequence[Condition | str] | str, contexts: Sequence[str]
) -> list[Condition]:
    """Conditions by name; ``"test"`` is every test condition of the split."""
    if not run.split.test and "test" in ([conditions] if isinstance(conditions, str | Condition) else conditions):
        msg = f"{run.folder} was fitted on all of its data, so that it has no test conditions: name what to predict, as --conditions NK:stim."
        raise SettingsError(msg)
    return conditions_of_words(conditions, contexts, run.model.learned.perturbations, test=lambda: run.split.test)


def conditions_of_words(
    words: Sequence[Condition | str] | str,
    contexts: Sequence[str],
    perturbations: Sequence[str],
    **groups: Callable[[], Iterable[Condition]],
) -> list[Condition]:
    """Conditions by name, each once; a word may stand for a group of them.

    Raises `ModelError` for a perturbation whose name one of these has in another spelling (``STIM`` for ``stim``, ``IL 6`` for
    ``IL-6``), or in which a context is named again, as where conditions are joined by another sign than a comma.
    """
    conditions: list[Condition] = []
    for word in [words] if isinstance(words, str | Condition) else words:
        conditions += groups[word]() if word in groups else [as_condition(word, contexts)]
    spellings = {spelling(name) for name in perturbations}
    for c in conditions:
        if c.perturbation in perturbations:
            continue
        if spelling(c.perturbation) in spellings:
            raise unknown_name(c.perturbation, "perturbation", perturbations, ModelError)
        if any(f"{name}:" in c.perturbation for name in contexts):
            raise ModelError(f"{str(c)!r} names a context twice: separate conditions by commas (NK:stim,B:stim).")
    return list(dict.fromkeys(conditions))
