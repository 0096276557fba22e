"""A table of effects as it stands in a file becomes `Effects`: labels, doses and times, scale, one row a condition."""

from __future__ import annotations

from collections.abc import Sequence

import anndata as ad
import numpy as np
import pandas as pd
from jaxtyping import Int

from cycseq.data.condition import Condition, treatment_name
from cycseq.data.effects import Effects, EffectValues
from cycseq.data.gene_names import note_dates
from cycseq.data.label_columns import find_columns, require_column
from cycseq.data.labels import is_label
from cycseq.data.spellings import note_genes_alike, note_spellings
from cycseq.data.studies import STUDY
from cycseq.data.usual_names import CONTROL, UNLABELLED, canonical_perturbation, usual_kind
from cycseq.data.validate import check_names, gene_symbols
from cycseq.errors import DataError, count_of, was
from cycseq.formats.effects.anndata_files import to_float32
from cycseq.formats.effects.names import CONTEXTS, ERRORS, ORIGINS, PERTURBATIONS
from cycseq.formats.effects.replicates import combine_replicates
from cycseq.formats.effects.scales import decide_effect_scale
from cycseq.formats.readers.base import FileContents
from cycseq.formats.settings import ReadSettings
from cycseq.formats.treatments import Treatments, read_treatments

MANY_VALUES = 30
"""Of so many effects some are negative."""


def effects_of_table(contents: FileContents, settings: ReadSettings, context: str, source: str) -> Effects:
    """Effects with one row for each condition, of rows x genes as they stand in a file.

    `context` is that of all rows where no column names one, `source` a word on the values that may tell their scale. Raises
    `DataError` if labels, doses, scale or values are not what they must be.
    """
    adata, obs = contents.adata, contents.adata.obs
    values, (genes, gene_column) = to_float32(adata.X), gene_symbols(adata.var)
    se_layer = next((name for name in adata.layers if name.casefold() in ERRORS), None)
    notes = [*contents.notes, *([f"genes are named by var[{gene_column!r}]"] if gene_column else [])]
    notes += [f"standard errors <- layer {se_layer!r}"] if se_layer else []
    labels, where = _labels(obs, settings.perturbation_key, PERTURBATIONS, "perturbation")
    contexts, context_where = _labels(obs, settings.context_key, CONTEXTS, "context", context)
    contexts = _in_studies(obs, contexts)
    treatments = read_treatments(obs, labels, settings)
    agents = [CONTROL if usual_kind(name) else canonical_perturbation(name, ()) for name in treatments.agent]
    notes.append(f"perturbation <- {where} ({len({*agents} - {CONTROL, ''})})")
    notes.append(f"context <- {context_where} ({len({*contexts} - {''})})")
    used, left_out = _rows(values, obs, agents, contexts, treatments, drop_unlabelled=settings.drop_unlabelled)
    names, more = _treatment_names([agents[i] for i in used], treatments, used, pool=settings.doses == "pool")
    conditions = [Condition(contexts[i], name) for i, name in zip(used, names, strict=True)]
    more += note_spellings(dict.fromkeys(agents[i] for i in used), "perturbations")
    more += note_spellings(dict.fromkeys(contexts[i] for i in used), "contexts")
    more += filter(None, (note_dates(genes), note_genes_alike(genes)))
    for kind, each in (
        ("perturbations", {c.perturbation for c in conditions}),
        ("contexts", {c.context for c in conditions}),
    ):
        check_names(pd.Index(sorted(each)), kind)
    decision = decide_effect_scale(values[used], settings.scale, adata.uns, source=source)
    more += _note_signs(values[used]) if decision.scale == "log_fold_change" else []
    distinct = list(dict.fromkeys(conditions))
    place = {condition: i for i, condition in enumerate(distinct)}
    groups = np.array([place[condition] for condition in conditions], dtype=np.int64)
    of_context = np.unique([condition.context for condition in distinct], return_inverse=True)[1].astype(np.int64)
    se = None if se_layer is None else decision.convert(to_float32(adata.layers[se_layer])[used])
    effect, se, combining = combine_replicates(decision.convert(values[used]), se, groups, of_context)
    effects = Effects.from_arrays(
        effect,
        distinct,
        list(ad.utils.make_index_unique(genes) if settings.make_unique else genes),
        scale=decision.scale,
        layers={} if se is None else {"se": se},
        notes=(*notes, *treatments.notes, *more, *left_out, decision.note(), *combining),
    )
    labels = obs.loc[:, [is_label(values) for _, values in obs.items()]]
    _add_columns(effects.adata.obs, labels.iloc[used], groups, treatments.dose_number[used], treatments.levels)
    return effects


def _note_signs(values: EffectValues) -> list[str]:
    """What to say of fold changes none of which is below 0, as fold changes without a logarithm are."""
    measured = values[~np.isnan(values)]
    if measured.size < MANY_VALUES or (measured < 0).any():
        return []
    return [
        f"none of {measured.size:,} values is below 0: are these fold changes without a logarithm, or genes that rise alone? Effects have both signs"
    ]


def _add_columns(
    obs: pd.DataFrame,
    rows: pd.DataFrame,
    groups: Int[np.ndarray, "rows"],
    dose_number: np.ndarray,
    levels: Sequence[str],
) -> None:
    """To the labels of conditions: doses in their order, the numbers behind them, and what the rows of a condition share.

    `rows` are the rows of the file, `groups` and `dose_number` the condition and the number of the dose of each.
    """
    places = range(len(obs))
    number = pd.Series(dose_number).groupby(groups).median().reindex(places).to_numpy()
    if np.isfinite(number).any():
        obs["dose_value"] = number
    dose = obs["dose"].astype(str)
    order = [level for level in levels if level in set(dose)]
    if len(order) > 1:
        obs["dose"] = pd.Categorical(dose, categories=["", *order], ordered=True)
    for column in map(str, rows.columns.difference(obs.columns, sort=False)):
        values = rows[column].groupby(groups)
        if (values.nunique() <= 1).all():
            first = values.first().reindex(places)
            numeric = pd.api.types.is_numeric_dtype(first) and not pd.api.types.is_bool_dtype(first)
            obs[column] = first.to_numpy(dtype=np.float64) if numeric else pd.Categorical(first.astype(str).to_numpy())
        elif column.casefold() in ORIGINS:
            joined = values.agg(lambda each: "|".join(sorted(set(each.dropna().astype(str)))))
            obs[column] = pd.Categorical(joined.reindex(places).to_numpy())


def _treatment_names(
    agents: Sequence[str], treatments: Treatments, rows: Sequence[int] | np.ndarray, *, pool: bool
) -> tuple[list[str], list[str]]:
    """The perturbation of each of these rows with dose and time, where the data have several; and sentences."""
    doses = ["" if agent == CONTROL else treatments.dose[i] for agent, i in zip(agents, rows, strict=True)]
    times = [np.nan if agent == CONTROL else float(treatments.time[i]) for agent, i in zip(agents, rows, strict=True)]
    notes = []
    with_dose, with_time = len({*doses} - {""}) > 1, len({time for time in times if time == time}) > 1  # noqa: PLR0124
    if pool and (with_dose or with_time):
        notes.append("doses and times are pooled, as given")
        with_dose = with_time = False
    names = [
        treatment_name(agent, dose if with_dose else None, time if with_time and np.isfinite(time) else None)
        for agent, dose, time in zip(agents, doses, times, strict=True)
    ]
    if with_dose or with_time:
        shown = next(name for name in names if "@" in name)
        notes.append(f"doses and times are parts of conditions, such as {shown!r}")
    return names, notes


def _labels(
    obs: pd.DataFrame, key: str | None, usual: Sequence[str], what: str, default: str | None = None
) -> tuple[list[str], str]:
    """The label of every row, empty where there is none, and where it stands."""
    column = require_column(obs, key, what) if key else next(iter(find_columns(obs, usual)), None)
    if column is None:
        if default is not None:
            return [default] * len(obs), f"{default!r}, as no column names one (--context-key does)"
        msg = f"no obs column names the {what}: looked for {', '.join(usual)}; found {', '.join(map(str, obs.columns)) or 'none'}. Use --{what}-key COLUMN."
        raise DataError(msg, option=f"--{what}-key COLUMN")
    texts = [str(label).strip() for label in obs[column]]
    return ["" if text.casefold() in UNLABELLED else text for text in texts], f"obs[{column!r}]"


def _in_studies(obs: pd.DataFrame, contexts: Sequence[str]) -> list[str]:
    """The contexts, named ``study/context`` where a column names several studies."""
    column = next(iter(find_columns(obs, (STUDY,))), None)
    if column is None or obs[column].nunique() < 2:
        return list(contexts)
    pairs = zip(obs[column].astype(str).str.strip(), contexts, strict=True)
    return [name if not name or name.startswith(f"{study}/") else f"{study}/{name}" for study, name in pairs]


def _rows(
    values: EffectValues,
    obs: pd.DataFrame,
    agents: Sequence[str],
    contexts: Sequence[str],
    treatments: Treatments,
    *,
    drop_unlabelled: bool,
) -> tuple[Int[np.ndarray, "rows"], list[str]]:
    """The rows that hold effects, and what was left out."""
    labelled = np.array([bool(agent) and bool(context) for agent, context in zip(agents, contexts, strict=True)])
    if not labelled.all() and not drop_unlabelled:
        first = obs.index[~labelled][0]
        msg = (
            f"{int((~labelled).sum()):,} of {count_of(len(agents), 'row')} have no perturbation or no context (first: {first}). Label "
            "them, or leave them out with --drop-unlabelled true."
        )
        raise DataError(msg, option="--drop-unlabelled true")
    control = labelled & (np.array([agent == CONTROL for agent in agents]) | treatments.untreated)
    empty = np.isnan(values).all(axis=1) & labelled & ~control
    rows_used = labelled & ~control & ~empty
    names = np.asarray(contexts, dtype=object)
    lacking = sorted(set(names[empty]) - set(names[rows_used]))
    if lacking:
        msg = f"nothing was measured in context {lacking[0]!r}: all of its values are NaN. Leave its rows out of the file."
        raise DataError(msg)
    if not rows_used.any():
        raise DataError("no row holds an effect of a perturbation: all are controls or without a label.")
    what = ((~labelled, "without a label"), (control, "of controls"), (empty, "in which no gene was measured"))
    notes = [f"{count_of(n, 'row')} {words} {was(n)} left out" for rows, words in what if (n := int(rows.sum()))]
    return np.flatnonzero(rows_used), notes
