"""`cycseq.predict`: from data to the genes and cells of conditions that were never measured."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

from cycseq.data.condition import Condition
from cycseq.data.dataset import PerturbationData
from cycseq.data.effects import Effects
from cycseq.data.either import Data
from cycseq.errors import check_at_least, count_of, join_names
from cycseq.formats.any_data import AnyData, as_controls, as_data
from cycseq.formats.settings import ReadSettings
from cycseq.models import build_model
from cycseq.models.base import Model
from cycseq.models.means import MeansModel
from cycseq.preparation.merge import join
from cycseq.preparation.prepare import as_log1p
from cycseq.run.answer.check import SURE, Check, check_kind
from cycseq.run.answer.conditions import kind_of, named_conditions
from cycseq.run.answer.fitted import Prediction
from cycseq.run.parts import fit_parts, parts_of
from cycseq.run.record import with_record
from cycseq.settings import with_options
from cycseq.split.base import Split
from cycseq.split.nothing import hold_out_nothing
from cycseq.split.settings import Kind

MODEL = "ConditionKriging"  # the model of an answer, where none is named
FITS = 3  # how often measured conditions are left out, where nothing is said
MAX_CELLS, MIN_CELLS = 500, 20
MAX_VALUES = 250_000_000
"""Values of predicted cells (1 GB): of many conditions fewer cells are drawn, never fewer than `MIN_CELLS` of each."""


@dataclass(frozen=True)
class Answer:
    """A prediction with what it rests on; `cycseq.predict` makes it.

    Examples
    --------
    >>> import cycseq
    >>> data = cycseq.read("cells.h5ad")
    >>> answer = cycseq.predict(data, f"Line1:{data.perturbations[0]}", model="ContextAdditive", leave_out=0)
    >>> list(answer.kinds.values())  # what was asked for is measured already
    [None]
    """

    genes: pd.DataFrame
    """A row for each gene of each condition, the surest direction first: `context`, `perturbation`, `gene`, `effect` (on the
    scale of the data; of cells ln CP10k), `sd`, `lower` and `upper` (90 % interval of the true effect), `probability_up`,
    `probability_down`, `lfsr` (that the likelier direction is wrong), `probability_beyond`, `informative`."""
    cells: ad.AnnData | None
    """Predicted cells, log1p; None where the data are effects, which have no cells."""
    checks: tuple[Check, ...]
    """How well measured conditions were predicted when they were left out, for each kind of condition asked for."""
    kinds: dict[Condition, Kind | None]
    """What predicting each condition amounted to; None where it was measured itself."""
    split: Split
    """What the model was fitted on: all that was measured."""
    model: Model
    """The fitted model."""
    own_uncertainty: bool
    """Whether the model says how sure it is; else that comes from its errors in the conditions left out."""
    data: Data = field(repr=False)
    """What it was fitted on."""

    def __repr__(self) -> str:
        sure = int((self.genes["lfsr"] <= SURE).sum())
        return (
            f"Answer of {self.model.name}: {join_names(self.kinds, 3)}; .genes has {count_of(len(self.genes), 'row')} (gene and "
            f"condition), {sure:,} with an lfsr of at most {SURE}; "
            + (".cells is None" if self.cells is None else f".cells has {count_of(self.cells.n_obs, 'predicted cell')}")
        )

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What was predicted."""
        return tuple(self.kinds)


def predict(
    data: AnyData,
    conditions: Sequence[str | Condition] | str,
    *,
    model: str | None = None,
    settings: Mapping[str, Any] | None = None,
    controls: PerturbationData | ad.AnnData | Path | str | None = None,
    n_cells: int | None = None,
    leave_out: int = FITS,
    seed: int = 0,
    **options: Any,
) -> Answer:
    """Fit on all that was measured, predict what was not, and leave out measured conditions to see how that goes.

    Parameters
    ----------
    data
        Cells (log1p or counts) or effects, with control cells of every context that is asked for: as `cycseq.read` gives
        them, or an AnnData or a file.
    conditions
        ``"PW034:panobinostat"``, several of them, or ``"missing"``: every perturbation in every context where it was not
        measured.
    model
        By name; None takes `ConditionKriging`.
    settings
        Of the model.
    controls
        Control cells of further contexts: in an AnnData or a file without a column of perturbations, all cells.
    n_cells
        Cells of each condition; None takes 500, fewer of many conditions.
    leave_out
        How often measured conditions are left out, for each kind of condition asked for; each time the model is fitted once
        more. 0 does not check.
    seed
        Fixes everything random.
    options
        How an AnnData or a file is read, as of `cycseq.read`: ``perturbation_key="condition"``, ``context_key="patient"``,
        ``control="ctrl"`` and all other fields of `ReadSettings`.

    Raises
    ------
    DataError
        If a context has no control cells, or labels or values are not what they must be.
    SettingsError
        If an option is unknown, or says how to read data that were read already.
    ModelError
        If the model cannot know a condition, or does not say how sure it is and nothing could be left out to see.

    Examples
    --------
    >>> import cycseq
    >>> data = cycseq.read("cells.h5ad")
    >>> name = f"Line3:{data.perturbations[0]}"
    >>> screen = data.subset(c for c in data.conditions() if str(c) != name)
    >>> answer = cycseq.predict(screen, name, leave_out=0)
    >>> answer.genes[["gene", "effect", "lower", "upper", "lfsr"]].shape
    (60, 5)
    >>> answer.cells.n_obs
    500

    Of an AnnData with labels of one's own:

    >>> adata = screen.adata
    >>> adata.obs = adata.obs.rename(columns={"context": "patient", "perturbation": "arm"})
    >>> keys = {"context_key": "patient", "perturbation_key": "arm", "control": "control"}
    >>> cycseq.predict(adata, name, leave_out=0, **keys).genes.equals(answer.genes)
    True
    """
    data = as_data(data, **options)
    if controls is not None and not isinstance(controls, PerturbationData):
        controls = as_controls(controls, with_options(ReadSettings(), options, "predict"))
    check_at_least(0, seed=seed, leave_out=leave_out)
    check_at_least(1, n_cells=n_cells)
    start = starting_controls(data, controls)
    wanted = named_conditions(conditions, data, start.contexts)
    measured = [c for c in data.conditions() if not c.is_control]
    kinds = {condition: kind_of(condition, measured) for condition in wanted}
    name, options = model or MODEL, dict(settings or {})
    split = hold_out_nothing(data)
    parts = parts_of(split, data)

    def fit(kind: Kind | None) -> Model:
        return fit_parts(build_model(name, options), parts, split, seed=seed, task=kind)

    apart = isinstance(build_model(name, options), MeansModel)
    check = partial(check_kind, data, model=name, settings=options, most=leave_out, seed=seed)
    own = controls is not None
    return make_answer(
        data, split, kinds, fit, check, controls=start, n_cells=n_cells, seed=seed, apart=apart, own_controls=own
    )


def make_answer(
    data: Data,
    split: Split,
    kinds: dict[Condition, Kind | None],
    fit: Callable[[Kind | None], Model],
    check: Callable[[Sequence[Condition], Kind], Check],
    *,
    controls: Data,
    n_cells: int | None,
    seed: int,
    apart: bool,
    own_controls: bool,
) -> Answer:
    """Predict each kind of condition from control cells, and leave out measured ones of its like.

    `fit` gives the model for a kind, `check` says how well predictions of a kind do, and `apart` whether the model chooses
    settings for each kind; else one serves all. `own_controls`: the user gave control cells.
    """
    room = MAX_VALUES // (len(kinds) * len(controls.genes))
    n_cells = n_cells or int(np.clip(room, MIN_CELLS, MAX_CELLS))
    predictions: list[Prediction] = []
    for kind, group in _groups(kinds, apart=apart).items():
        model = fit(kind)
        predictions.append(Prediction.of(model, controls, group, n_cells=n_cells, seed=seed))
    groups = _groups(kinds, apart=True).items()
    checks: dict[Kind | None, Check] = {kind: check(group, kind) for kind, group in groups if kind is not None}
    return Answer(
        genes=pd.concat([_genes(one, kinds, checks) for one in predictions], ignore_index=True),
        cells=_cells(predictions, model, split, seed, own=own_controls),
        checks=tuple(checks.values()),
        kinds=kinds,
        split=split,
        model=model,
        own_uncertainty=all(one.effects.layer("sd") is not None for one in predictions),
        data=data,
    )


def _groups(kinds: Mapping[Condition, Kind | None], *, apart: bool) -> dict[Kind | None, list[Condition]]:
    """The conditions by kind, where a model chooses settings for each kind; else all as one."""
    groups: dict[Kind | None, list[Condition]] = {}
    for condition, kind in kinds.items():
        groups.setdefault(kind if apart else None, []).append(condition)
    return groups


def starting_controls(data: Data, more: PerturbationData | None) -> Data:
    """What a prediction starts from: the controls of the data and further ones. Effects need no rows of controls."""
    if isinstance(data, Effects):
        return data
    own = data.controls()
    if more is None:
        return own
    further = as_log1p(more.controls())
    start = further.adata
    obs = start.obs.set_axis([f"further/{name}" for name in start.obs_names])  # two experiments may share barcodes
    return join(as_log1p(own), PerturbationData(ad.AnnData(X=start.X, obs=obs, var=start.var), further.scale))


def _genes(
    prediction: Prediction, kinds: Mapping[Condition, Kind | None], checks: Mapping[Kind | None, Check]
) -> pd.DataFrame:
    """The table of genes; what a model does not know of its uncertainty is taken from its errors in conditions left out."""
    if prediction.effects.layer("sd") is not None:
        return prediction.genes()
    unknown = np.full(len(prediction.effects.genes), np.nan)
    rows = [kinds[condition] for condition in prediction.effects.conditions()]
    return prediction.genes(np.stack([unknown if kind is None else checks[kind].error_sd() for kind in rows]))


def _cells(predictions: Sequence[Prediction], model: Model, split: Split, seed: int, *, own: bool) -> ad.AnnData | None:
    cells = [prediction.cells for prediction in predictions if prediction.cells is not None]
    if not cells:
        return None
    all_cells = cells[0]
    if len(cells) > 1:
        all_cells = PerturbationData(ad.concat([part.adata for part in cells], merge="same"), cells[0].scale)
    return with_record(all_cells, model, split, seed, own_cells=own).adata
