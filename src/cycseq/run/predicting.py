"""What a run predicts: perturbed cells from control cells, whole or in pieces, and control cells from perturbed ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.usual_names import CONTROL
from cycseq.errors import ModelError, SettingsError, check_at_least, unknown_name
from cycseq.formats.readers.stored import memory_bytes
from cycseq.io.untrusted import as_file_error
from cycseq.matrix.arrays import Codes
from cycseq.models.base import Restores
from cycseq.models.saved import AGAIN
from cycseq.preparation.prepare import as_log1p
from cycseq.preparation.same_scale import check_totals, target_sum
from cycseq.run.budget import check_prediction
from cycseq.run.facts import MODEL
from cycseq.run.fitted import FittedRun
from cycseq.run.record import with_record

PREDICTED = 1 / 16
"""Share of the memory that the predicted cells of a piece take; they are dense."""


@dataclass(frozen=True)
class Request:
    """What is to be predicted."""

    conditions: list[Condition]
    cells: PerturbationData
    """With the control cells to predict from, log1p or counts; of the run's data those that the split lets models see."""
    own_cells: bool
    """Whether they are the user's, and not those of the run's data."""


def check_request(
    run: FittedRun,
    conditions: Sequence[Condition | str] | str,
    controls: PerturbationData | None,
    seed: int,
) -> Request:
    """Checked arguments of `Run.predict`; raises as it does."""
    check_at_least(0, seed=seed)
    if controls is None and run.facts["data"].get("kind") == "effects":
        msg = (
            f"{run.folder} was fitted on effects, and there are no cells to predict from: predict effects (--as effects), or give "
            "control cells with --controls FILE."
        )
        raise ModelError(msg)
    cells = controls if controls is not None else run.as_written()
    check_totals(target_sum(cells), run.facts["data"].get("target_sum"), "the control cells", "the data of the run")
    wanted = parse_conditions(run, conditions, cells.contexts)
    contexts_with_controls = [c.context for c in cells.conditions() if c.is_control]
    for context in {c.context: None for c in wanted}:
        if context not in contexts_with_controls:
            raise unknown_name(context, "context with control cells", contexts_with_controls, ModelError)
    if controls is None:
        cells = _model_controls(run, cells, {c.context for c in wanted})
    return Request(wanted, cells, own_cells=controls is not None)


def predict_cells(run: FittedRun, request: Request, n_cells: int | None, seed: int) -> PerturbationData:
    """All that was asked for; see `Run.predict`."""
    controls = as_log1p(request.cells.controls({c.context for c in request.conditions}))
    with as_file_error(run.folder / MODEL, AGAIN):
        made = run.model.predict(controls, request.conditions, n_cells=n_cells, seed=seed)
    return with_record(made, run.model, run.split, seed, own_cells=request.own_cells)


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


def restore_cells(
    run: FittedRun,
    conditions: Sequence[Condition | str] | str,
    perturbed: PerturbationData | None,
    controls: PerturbationData | None,
    *,
    n_cells: int | None,
    seed: int,
) -> PerturbationData:
    """See `Run.restore`."""
    check_at_least(0, seed=seed)
    model = run.model
    if not isinstance(model, Restores):
        msg = f"{model.name} predicts perturbed cells from control cells, not the reverse: CycSeq does both."
        raise ModelError(msg)
    cells = perturbed if perturbed is not None else run.as_written()
    rows: list[Codes] = []
    for condition in parse_conditions(run, conditions, cells.contexts):
        rows_of_condition = cells.rows(condition)
        rng = np.random.default_rng([seed, *str(condition).encode()])
        rows.append(np.sort(rng.permutation(rows_of_condition)[:n_cells]))
    chosen = as_log1p(cells.take(np.concatenate(rows))).load(model.name)
    if controls is not None or perturbed is not None:
        beside = (cells if controls is None else controls).controls(chosen.contexts)
    else:
        beside = _model_controls(run, cells, set(chosen.contexts))
    beside = as_log1p(beside).load(model.name)
    own = perturbed is not None or controls is not None
    with as_file_error(run.folder / MODEL, AGAIN):
        made = model.restored(chosen, beside, seed=seed)
    back = with_record(made, model, run.split, seed, own_cells=own)
    done = chosen.adata.obs["perturbation"].astype(str)
    back.adata.obs["source_perturbation"] = done.loc[back.adata.obs["source_cell"]].to_numpy()
    return back


def _model_controls(run: FittedRun, data: PerturbationData, contexts: set[str]) -> PerturbationData:
    """The control cells of these contexts in the run's data, without those that its split holds back."""
    is_control = [c.is_control and c.context in contexts for c in data.conditions()]
    train = run.split.rows_unchecked(data)["train"]
    return data.take(train[np.array(is_control, dtype=bool)[data.condition_codes[train]]])


def parse_conditions(
    run: FittedRun, conditions: Sequence[Condition | str] | str, contexts: Sequence[str]
) -> list[Condition]:
    """Conditions by name; ``"test"`` is every test condition of the split."""
    wanted: list[Condition] = []
    for one in [conditions] if isinstance(conditions, str) else conditions:
        if isinstance(one, Condition):
            wanted.append(one)
        else:
            wanted += _tested(run) if one == "test" else [Condition.parse(one, contexts)]
    for condition in wanted:
        check_case(condition.perturbation, run.model.learned.perturbations)
    return list(dict.fromkeys(wanted))


def check_case(perturbation: str, known: Sequence[str]) -> None:
    """Raise `ModelError` for a name that a known perturbation has in another case (``STIM`` for ``stim``)."""
    if perturbation not in known and perturbation.casefold() in {name.casefold() for name in known}:
        raise unknown_name(perturbation, "perturbation", known, ModelError)


def _tested(run: FittedRun) -> tuple[Condition, ...]:
    """The test conditions of the run's split."""
    if not run.split.test:
        msg = f"{run.folder} was fitted on all of its data, so that it has no test conditions: name what to predict, as --conditions NK:stim."
        raise SettingsError(msg)
    return run.split.test
