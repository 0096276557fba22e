"""What a run predicts as effects: of a model of means as it says them, of any other from its predicted cells."""

from collections.abc import Sequence
from functools import reduce

import numpy as np

from cycseq.data.condition import Condition
from cycseq.data.dataset import PerturbationData
from cycseq.data.effects import Effects
from cycseq.data.either import Data
from cycseq.data.posterior import CONDITIONS, read_posterior
from cycseq.data.usual_names import CONTROL
from cycseq.errors import ModelError, check_at_least, unknown_name
from cycseq.io.untrusted import as_file_error
from cycseq.models.base import Model
from cycseq.models.means import MeansModel
from cycseq.models.saved import AGAIN
from cycseq.preparation.log_pseudobulk import log_pseudobulk_effects
from cycseq.preparation.merge import join
from cycseq.preparation.prepare import as_log1p
from cycseq.preparation.pseudobulk import control_means, effects_of
from cycseq.run import predicting
from cycseq.run.facts import MODEL
from cycseq.run.fitted import FittedRun
from cycseq.run.parts import means_model, predict_on_effects
from cycseq.run.record import record_of


def predict_effects(
    run: FittedRun, conditions: Sequence[Condition | str] | str, controls: Data | None, seed: int
) -> Effects:
    """See `Run.predict_effects`."""
    check_at_least(0, seed=seed)
    effects = (
        _from_effects(run, conditions, controls) if run.of_effects else _from_cells(run, conditions, controls, seed)
    )
    broken = np.isinf(effects.effect).any() or np.isnan(effects.effect).all(axis=1).any()
    if broken:
        msg = f"{run.model.name} predicted values that are not numbers: its folder was altered, or its training broke. Fit it again."
        raise ModelError(msg)
    effects.adata.uns["cycseq"] = {**effects.adata.uns["cycseq"], **record_of(run.model, run.split, seed)}
    return effects


def _from_effects(run: FittedRun, conditions: Sequence[Condition | str] | str, controls: Data | None) -> Effects:
    """Of a run that was fitted on effects: no cells are looked at, save control cells that the user gives."""
    if controls is None:
        data = run.effects()
    else:
        data = controls if isinstance(controls, Effects) else effects_of_controls(run.model, controls.controls())
    predicted = predicting.parse_conditions(run, conditions, data.contexts)
    for context in {c.context: None for c in predicted}:
        if context not in data.contexts:
            raise unknown_name(context, "context among the effects", data.contexts, ModelError)
    with as_file_error(run.folder / MODEL, AGAIN):
        return predict_on_effects(means_model(run.model), predicted, data.controls())


def _from_cells(
    run: FittedRun, conditions: Sequence[Condition | str] | str, controls: Data | None, seed: int
) -> Effects:
    """Of a run that was fitted on cells: a model of means says its effects, cells of other models are summarized."""
    if isinstance(controls, Effects):
        msg = f"{run.folder} was fitted on cells: give control cells with --controls, not a table of effects."
        raise ModelError(msg)
    request = predicting.check_request(run, conditions, controls, seed)
    cells = as_log1p(request.cells.controls({c.context for c in request.conditions}))
    model = run.model
    if isinstance(model, MeansModel):
        with as_file_error(run.folder / MODEL, AGAIN):
            return model.predict_effects(
                request.conditions, effects_of_controls(model, cells.with_genes(model.learned.genes))
            )
    pieces = predicting.predict_in_pieces(run, request, None, seed)
    return reduce(Effects.with_rows, (effects_of_cells(piece, cells) for piece in pieces))


def effects_behind(
    model: Model,
    conditions: Sequence[Condition],
    controls: PerturbationData,
    *,
    seed: int,
    predicted: PerturbationData | None = None,
) -> Effects:
    """What counts are drawn around: of a model of means its effects, of any other those of its cells (`predicted`, if they are at hand)."""
    if isinstance(model, MeansModel):
        return model.predict_effects(conditions, effects_of_controls(model, controls))
    return effects_of_cells(
        model.predict(controls, conditions, seed=seed) if predicted is None else predicted, controls
    )


def effects_of_cells(cells: PerturbationData, controls: PerturbationData) -> Effects:
    """What predicted cells say: their posterior, or else their means against those of the control cells."""
    if CONDITIONS in cells.adata.uns:
        names, posterior = read_posterior(cells)
        by_name = {str(condition): condition for condition in cells.conditions()}
        rows = [by_name[name] for name in names]
        return Effects.from_arrays(posterior.mean, rows, cells.genes, scale="log1p", layers={"sd": posterior.sd})
    perturbed = [c for c in cells.conditions() if not c.is_control]
    return effects_of(join(cells.subset(perturbed), controls.with_genes(cells.genes))).subset(cells.conditions())


def effects_of_controls(model: Model, cells: PerturbationData) -> Effects:
    """Control cells as rows of effects: no change, with their mean on the scale of the model."""
    if model.learned.scale == "log_pseudobulk":
        return log_pseudobulk_effects(cells.with_genes(model.learned.genes))
    cells = as_log1p(cells)
    means = control_means(cells)
    mean = np.stack(list(means.values()))
    conditions = [Condition(context, CONTROL) for context in means]
    return Effects.from_arrays(np.zeros_like(mean), conditions, cells.genes, scale="log1p", layers={"mean": mean})
