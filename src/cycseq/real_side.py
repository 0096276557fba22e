"""Everything that evaluation computes from the real cells alone: once for many models."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from threadpoolctl import threadpool_limits

from cycseq.arrays import Codes, Profiles, dense, some
from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.pseudobulk import Responses
from cycseq.errors import DataError, SettingsError
from cycseq.metrics import chosen
from cycseq.metrics.base import Axes, Metric, RealContext
from cycseq.metrics.population import Population, rows_of_groups

CONTROLS_PER_CELL = 10
"""So many times `max_cells` control cells are drawn at most, for principal components and tests."""


@dataclass
class EvaluateSettings:
    """How predicted cells are compared with real ones."""

    metrics: str | list[str] | tuple[str, ...] = "all"
    """Metrics by name, separated by commas, or the groups all, headline and means (means: none that looks at single
    predicted cells)."""
    keep_target: bool = False
    """Score a perturbed gene itself too; by default each condition leaves out the genes that it perturbs."""
    components: int = 50
    """Principal components (fitted on real control cells) for distances between cells."""
    max_cells: int = 500
    """Cells drawn from each condition for metrics of cells, and ten times as many controls; about 500 MB hold them dense
    at once, whatever the size of the data."""
    deg_alpha: float = 0.05
    """A gene is differentially expressed below this Benjamini-Hochberg adjusted p-value."""
    seed: int = 0
    """Fixes which cells are drawn."""

    def __post_init__(self) -> None:
        for name, least in (("components", 1), ("max_cells", 2), ("seed", 0)):
            if getattr(self, name) < least:
                msg = f"--{name.replace('_', '-')} is {getattr(self, name)}, but must be at least {least}."
                raise SettingsError(msg)
        if not 0 < self.deg_alpha < 1:
            msg = f"--deg-alpha must lie between 0 and 1, but is {self.deg_alpha:g}."
            raise SettingsError(msg)

    def chosen(self) -> tuple[Metric, ...]:
        """The metrics; raises `SettingsError` for a name that does not exist."""
        names = self.metrics.split(",") if isinstance(self.metrics, str) else self.metrics
        return chosen([name.strip() for name in names])


@dataclass(frozen=True)
class RealSide:
    """The real cells of a split with all that is computed from them; made by `RealSide.of`."""

    data: PerturbationData
    """The real cells, controls among them where the file has them."""
    contexts: dict[str, RealContext]
    rows: dict[str, tuple[Codes, ...]]
    """For every context, the rows of `data` of each perturbation."""
    settings: EvaluateSettings
    metrics: tuple[Metric, ...]
    notes: tuple[str, ...] = ()
    """What a reader of the table should know, in sentences."""

    @classmethod
    def of(
        cls,
        real: PerturbationData,
        control: PerturbationData | None = None,
        *,
        training: Responses | None = None,
        settings: EvaluateSettings | None = None,
    ) -> Self:
        """Prepare the real side.

        Parameters
        ----------
        real
            Real cells of the test conditions (of more, where retrieval is to tell from more), log1p.
        control
            Real control cells of their contexts; None takes those among `real`.
        training
            Responses of everything that models learnt from, training and validation together (as `ShiftModel.fit` joins
            them), over the genes of `real`; with them `PerturbedMean` scores 0 in `pearson_delta_specific`. None: the
            mean of the other real perturbations stands in, and a note says so.
        settings
            Which metrics, and how.

        Raises
        ------
        DataError
            If values are not log1p, or control cells or perturbed cells are missing.
        SettingsError
            If a metric has an unknown name.
        """
        settings = settings or EvaluateSettings()
        metrics = settings.chosen()
        real.require("log1p", "evaluation (the real cells)")
        control = _controls(real, control)
        by_context: dict[str, list[int]] = defaultdict(list)
        for i, condition in enumerate(real.conditions()):
            if not condition.is_control:
                by_context[condition.context].append(i)
        _check(real, control, list(by_context), training)
        axes = _fit_axes(control, settings, needed=any(metric.costly for metric in metrics))
        grouped = rows_of_groups(real.condition_codes, len(real.conditions()))
        rows = {context: tuple(grouped[i] for i in places) for context, places in by_context.items()}
        contexts = {
            context: _with_reference(
                _real_context(
                    real, control, [real.conditions()[i] for i in places], rows[context], axes=axes, settings=settings
                ),
                training,
            )
            for context, places in by_context.items()
        }
        note = "mu_all is the mean of the other real perturbations of a context: no training conditions were given"
        return cls(real, contexts, rows, settings, metrics, () if training is not None else (note,))


def seed_of(condition: Condition, seed: int) -> list[int]:
    """The seed of what is drawn for a condition: its own, whatever else is compared."""
    return [seed, *str(condition).encode()]


def _controls(real: PerturbationData, control: PerturbationData | None) -> PerturbationData:
    if control is None:
        if not any(condition.is_control for condition in real.conditions()):
            msg = (
                "there are no control cells among the real ones, and every delta needs them: give a --real file that "
                "holds them, or say which label marks them with --control."
            )
            raise DataError(msg)
        return real.controls()
    return control.require("log1p", "evaluation (the control cells)").controls().with_genes(real.genes)


def _check(
    real: PerturbationData, control: PerturbationData, contexts: Sequence[str], training: Responses | None
) -> None:
    if not contexts:
        msg = (
            "there are only control cells among the real ones: nothing can be compared. Give perturbed cells in --real."
        )
        raise DataError(msg)
    lacking = sorted(set(contexts) - set(control.contexts))
    if lacking:
        msg = (
            f"no control cells in context {lacking[0]!r}: there are some of {', '.join(control.contexts)}. Add its "
            f"controls, or leave the context out of the real cells."
        )
        raise DataError(msg)
    if training is not None and training.delta.shape[1] != len(real.genes):
        msg = (
            f"the training responses have {training.delta.shape[1]:,} genes, the real cells {len(real.genes):,}: "
            f"both must come from the same data."
        )
        raise DataError(msg)


def _fit_axes(control: PerturbationData, settings: EvaluateSettings, *, needed: bool) -> Axes:
    if not needed:
        return Axes(np.zeros(len(control.genes)), np.zeros((len(control.genes), 0)))
    from sklearn.decomposition import PCA

    rng = np.random.default_rng(settings.seed)
    rows = rng.permutation(control.n_cells)[: CONTROLS_PER_CELL * settings.max_cells]
    cells = dense(some(control.x, rows))
    components = min(settings.components, min(cells.shape) - 1)
    if components < 1:
        return Axes(cells.mean(axis=0, dtype=np.float64), np.eye(cells.shape[1], 1))
    with threadpool_limits(1, "blas"):  # threads make this slower wherever another process runs
        fitted = PCA(components, random_state=settings.seed).fit(cells)
    return Axes(fitted.mean_, np.ascontiguousarray(fitted.components_.T))


def _real_context(
    real: PerturbationData,
    control: PerturbationData,
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
    control_rows, control_seed = [control.rows(of_control)], [seed_of(of_control, settings.seed)]
    return RealContext(
        context=conditions[0].context,
        perturbations=tuple(condition.perturbation for condition in conditions),
        genes=tuple(real.genes),
        cells=Population.of(real.x, rows, settings.max_cells, [seed_of(c, settings.seed) for c in conditions]),
        control=Population.of(control.x, control_rows, CONTROLS_PER_CELL * settings.max_cells, control_seed),
        kept=kept,
        reference_mean=None,
        axes=axes,
        deg_alpha=settings.deg_alpha,
    )


def _with_reference(real: RealContext, training: Responses | None) -> RealContext:
    """With mu_all: what `PerturbedMean` predicts, or without training the mean of the other real perturbations."""
    reference = _mean_of_others(real.cells.mean) if training is None else _mean_of_training(real, training)
    return replace(real, reference_mean=reference)


def _mean_of_others(mean: Profiles) -> Profiles | None:
    return (mean.sum(axis=0) - mean) / (len(mean) - 1) if len(mean) > 2 else None


def _mean_of_training(real: RealContext, training: Responses) -> Profiles | None:
    """Control mean + mean training Delta of the context (of all contexts where it has none), never below 0.

    It is what `PerturbedMean` predicts also where a condition was itself learnt from (few-shot, random cells).
    """
    if len({condition.perturbation for condition in training.conditions}) < 2:
        return None
    inside = np.array([condition.context == real.context for condition in training.conditions])
    if not inside.any():
        inside[:] = True
    delta = training.delta[inside].astype(np.float64)
    reference = np.tile(delta.mean(axis=0), (len(real.perturbations), 1))
    return np.asarray(np.maximum(real.control_mean + reference, 0.0))
