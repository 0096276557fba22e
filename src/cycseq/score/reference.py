"""Everything that evaluation computes from the real cells alone: once for many models."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from threadpoolctl import threadpool_limits

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.effects import Effects
from cycseq.data.either import Data
from cycseq.errors import DataError
from cycseq.matrix.arrays import Codes, Matrix, Profile, Profiles, take, to_dense
from cycseq.preparation.pseudobulk import Responses
from cycseq.score.axes import principal_axes
from cycseq.score.effects import MEAN_OF_OTHERS, metrics_of_effects, real_contexts
from cycseq.score.metrics import chosen
from cycseq.score.metrics.base import Axes, Metric, RealContext
from cycseq.score.metrics.population import Population, rows_of_groups
from cycseq.score.settings import EvaluateSettings
from cycseq.split.controls import MIN_CONTROLS

CONTROLS_PER_CELL = 10
"""At most this many times `max_cells` control cells are drawn, for principal components and tests."""


@dataclass(frozen=True)
class Reference:
    """The real cells of a split with all that is computed from them; made by `Reference.of`."""

    data: Data  # the real cells (or effects), controls among them where the file has them
    contexts: dict[str, RealContext]
    rows: dict[str, tuple[Codes, ...]]  # for every context, the rows of `data` of each perturbation
    settings: EvaluateSettings
    metrics: tuple[Metric, ...]
    notes: tuple[str, ...] = ()  # what a reader of the table should know, in sentences

    @property
    def x(self) -> Matrix:
        """The real cells; raises `DataError` where only effects are known."""
        if isinstance(self.data, Effects):
            raise DataError("effects of whole conditions have no cells to halve: there is no ceiling of halves.")
        return self.data.x

    @classmethod
    def of(
        cls,
        real: PerturbationData,
        control: PerturbationData | None = None,
        *,
        reference: PerturbationData | None = None,
        training: Responses | None = None,
        settings: EvaluateSettings | None = None,
    ) -> Self:
        """Prepare the real side.

        Raises `DataError` if values are not log1p, or control cells or perturbed cells are missing, and `SettingsError` if a
        metric has an unknown name.

        Parameters
        ----------
        real
            Real cells of the test conditions (of more, where retrieval is to tell from more), log1p.
        control
            Real control cells of their contexts that models are given; None takes those among `real`.
        reference
            Control cells that no model is given (`SplitParts.reference`): real responses are taken against them, in the
            contexts that have `MIN_CONTROLS` of them or more. Elsewhere, and without them, controls are shared, and a note
            says so.
        training
            Responses of everything that models learnt from, training and validation together (as `ShiftModel.fit` joins
            them), over the genes of `real`; with them `PerturbedMean` scores 0 in `pearson_delta_specific`. None: the
            mean of the other real perturbations stands in, and a note says so.
        settings
            Which metrics, and how.
        """
        settings = settings or EvaluateSettings()
        metrics = tuple(metric for metric in chosen(settings.metrics) if "counts" not in metric.needs)
        real.require("log1p", "evaluation (the real cells)")
        control = _controls(real, control)
        held_back = {} if reference is None else _held_back(_controls(real, reference))
        by_context: dict[str, list[int]] = defaultdict(list)
        for i, condition in enumerate(real.conditions()):
            if not condition.is_control:
                by_context[condition.context].append(i)
        _check(real, control, list(by_context), training)
        axes = _fit_axes(control, settings, needed=any(metric.costly for metric in metrics))
        grouped = rows_of_groups(real.condition_codes, len(real.conditions()))
        rows = {context: tuple(grouped[i] for i in places) for context, places in by_context.items()}
        contexts = {
            context: _with_mean_perturbed(
                _real_context(
                    real,
                    control,
                    held_back.get(context),
                    [real.conditions()[i] for i in places],
                    rows[context],
                    axes=axes,
                    settings=settings,
                ),
                training,
            )
            for context, places in by_context.items()
        }
        notes = [] if training is not None else [MEAN_OF_OTHERS]
        if shared := [context for context in contexts if context not in held_back]:
            notes.append(shared_controls(shared))
        return cls(real, contexts, rows, settings, metrics, tuple(notes))


def effect_reference(
    real: Effects, training: Effects | None = None, settings: EvaluateSettings | None = None
) -> Reference:
    """As `Reference.of`, of effects: metrics that need more than these are left out, and a note names them.

    `training` holds the effects of everything that models learnt from (`Reference.of`). Raises `DataError` if there is nothing to
    compare, or no metric is left.
    """
    settings = settings or EvaluateSettings()
    metrics, left_out = metrics_of_effects(chosen(settings.metrics), real)
    contexts = real_contexts(real, None if training is None else training.with_genes(real.genes), settings)
    notes = [left_out, "" if training is not None else MEAN_OF_OTHERS]
    return Reference(real, contexts, {}, settings, metrics, tuple(note for note in notes if note))


def shared_controls(contexts: Sequence[str]) -> str:
    """The note where prediction and reality are compared with the same control cells."""
    names = ", ".join(contexts[:5]) + (f" and {len(contexts) - 5} more" if len(contexts) > 5 else "")
    return f"controls are shared in {names}: predicted and real responses are taken against the same control cells, so that noise of their mean counts as response"


def seed_of(condition: Condition, seed: int) -> list[int]:
    """The seed of what is drawn for a condition: its own, whatever else is compared."""
    return [seed, *str(condition).encode()]


def _controls(real: PerturbationData, control: PerturbationData | None) -> PerturbationData:
    if control is None:
        if not any(condition.is_control for condition in real.conditions()):
            raise DataError(
                "there are no control cells among the real ones, and every delta needs them: give a --real file that "
                "contains them, or name their label with --control."
            )
        return real.controls()
    return control.require("log1p", "evaluation (the control cells)").controls().with_genes(real.genes)


def _held_back(reference: PerturbationData) -> dict[str, PerturbationData]:
    """The reference controls of every context that has enough of them to be told from noise."""
    n_cells = reference.adata.obs["context"].value_counts()
    return {
        context: reference.controls([context]) for context in reference.contexts if n_cells[context] >= MIN_CONTROLS
    }


def _check(
    real: PerturbationData, control: PerturbationData, contexts: Sequence[str], training: Responses | None
) -> None:
    if not contexts:
        raise DataError(
            "there are only control cells among the real ones: nothing can be compared. Give perturbed cells in --real."
        )
    lacking = sorted(set(contexts) - set(control.contexts))
    if lacking:
        raise DataError(
            f"no control cells in context {lacking[0]!r}: there are some of {', '.join(control.contexts)}. Add its "
            f"controls, or leave the context out of the real cells."
        )
    if training is not None and training.delta.shape[1] != len(real.genes):
        raise DataError(
            f"the training responses have {training.delta.shape[1]:,} genes, the real cells {len(real.genes):,}: "
            f"both must come from the same data."
        )


def _fit_axes(control: PerturbationData, settings: EvaluateSettings, *, needed: bool) -> Axes:
    if not needed:
        return Axes(np.zeros(len(control.genes)), np.zeros((len(control.genes), 0)))
    rng = np.random.default_rng(settings.seed)
    rows = rng.permutation(control.n_cells)[: CONTROLS_PER_CELL * settings.max_cells]
    cells = to_dense(take(control.x, rows))
    components = min(settings.components, min(cells.shape) - 1)
    if components < 1:
        return Axes(cells.mean(axis=0, dtype=np.float64), np.eye(cells.shape[1], 1))
    with threadpool_limits(1, "blas"):  # threads make this slower wherever another process runs
        return principal_axes(cells, components, settings.seed)


def _real_context(
    real: PerturbationData,
    control: PerturbationData,
    reference: PerturbationData | None,
    conditions: Sequence[Condition],
    rows: Sequence[Codes],
    *,
    axes: Axes,
    settings: EvaluateSettings,
) -> RealContext:
    kept = np.ones((len(conditions), len(real.genes)), dtype=bool)
    if not settings.keep_target:
        for i, condition in enumerate(conditions):
            kept[i, real.targets(condition)] = False
    of_control = Condition(conditions[0].context, "control")

    def population(cells: PerturbationData) -> Population:
        most, seeds = CONTROLS_PER_CELL * settings.max_cells, [seed_of(of_control, settings.seed)]
        return Population.of(cells.x, [cells.rows(of_control)], most, seeds)

    return RealContext(
        context=conditions[0].context,
        perturbations=tuple(condition.perturbation for condition in conditions),
        genes=tuple(real.genes),
        cells=Population.of(real.x, rows, settings.max_cells, [seed_of(c, settings.seed) for c in conditions]),
        control=population(control if reference is None else reference),
        kept=kept,
        mean_perturbed=None,
        axes=axes,
        deg_alpha=settings.deg_alpha,
        model_control=None if reference is None else population(control),
    )


def _with_mean_perturbed(real: RealContext, training: Responses | None) -> RealContext:
    """With mu_all of either side: what `PerturbedMean` predicts, or without training the mean of the other real ones.

    A mean training response of this very context was taken against the controls that models are given: with them it is a
    mean of perturbed cells, in which the noise of controls cancels, and it serves both sides. That of other contexts is added
    to each side's own controls.
    """
    if training is None:
        mean = real.cells.mean
        others = (mean.sum(axis=0) - mean) / (len(mean) - 1) if len(mean) > 2 else None
        return replace(real, mean_perturbed=others)
    response = _mean_response(real, training)
    if response is None:
        return real
    delta, inside = response
    of_model = _mean_perturbed(real, real.model_control_mean, delta)
    if inside or real.model_control is None:
        return replace(real, mean_perturbed=of_model)
    return replace(real, mean_perturbed=_mean_perturbed(real, real.control_mean, delta), model_mean_perturbed=of_model)


def _mean_response(real: RealContext, training: Responses) -> tuple[Profile, bool] | None:
    """Mean training Delta of the context, or of all contexts where it has none; and whether it is the context's.

    It is what `PerturbedMean` predicts also where a condition was itself learnt from (few-shot, random cells).
    """
    if len({condition.perturbation for condition in training.conditions}) < 2:
        return None
    inside = np.array([condition.context == real.context for condition in training.conditions])
    chosen = inside if inside.any() else np.ones_like(inside)
    return training.delta[chosen].astype(np.float64).mean(axis=0), bool(inside.any())


def _mean_perturbed(real: RealContext, control_mean: Profile, delta: Profile) -> Profiles:
    """Control mean + Delta for every condition, never below 0."""
    of_all = np.maximum(control_mean + delta, 0.0)
    return np.broadcast_to(of_all, (len(real.perturbations), len(of_all)))
