"""Dose and time of every row of obs: from columns, or from the ends of labels ("trametinib 100 nM")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from cycseq.data.label_columns import find_columns, require_column
from cycseq.data.treatments import (
    Dose,
    hours_in,
    parse_dose,
    parse_hours,
    parse_treatment,
    unit_in_dose_name,
    unit_in_time_name,
    unit_of_dose,
    usual_unit,
)
from cycseq.data.usual_names import DOSES, TIMES, UNLABELLED, kind_of_control
from cycseq.errors import DataError, count_of, join_names
from cycseq.formats.settings import ReadSettings

DOSE_UNITS = ("dose_unit", "dose_units", "pert_dose_unit", "concentration_unit", "conc_unit")
TIME_UNITS = ("time_unit", "time_units", "pert_time_unit")
DAYS = ("day", "days", "day_name", "dpi")  # columns whose bare numbers are days; those of other columns are hours
LABELS = ""  # stands for the ends of labels where no column holds the doses
SHOWN = 4
DoseColumn = tuple[list[str], np.ndarray, np.ndarray, tuple[str, ...], list[str]]


@dataclass(frozen=True)
class Treatments:
    """What was done to every row, apart from the context."""

    agent: tuple[str, ...]  # perturbation without dose and time
    dose: tuple[str, ...]  # number and unit, or the name of a level; empty where there is none
    dose_number: Float[np.ndarray, "rows"]
    """The number of the dose in the one unit of the data, or of the level; NaN where there is none."""
    levels: tuple[str, ...]  # the doses in their order
    time: Float[np.ndarray, "rows"]  # hours; NaN where there is none
    untreated: Bool[np.ndarray, "rows"]  # rows whose dose is none at all: 0, or a level that is called control
    notes: tuple[str, ...]


def read_treatments(obs: pd.DataFrame, labels: Sequence[str], settings: ReadSettings) -> Treatments:
    """Dose and time of every row.

    Raises `DataError` if doses have no unit, or units that measure different things.
    """
    dose_column = _column(obs, settings.dose_key, DOSES, "dose")
    time_column = _column(obs, settings.time_key, TIMES, "time")
    agent, dose_text, time_text = list(labels), [""] * len(labels), [""] * len(labels)
    if dose_column is None and time_column is None:
        parsed = {label: parse_treatment(label) for label in set(labels)}
        agent, dose_text, time_text = (list(part) for part in zip(*(parsed[label] for label in labels), strict=True))
    dose_text = dose_text if dose_column is None else _texts(obs[dose_column])
    time_text = time_text if time_column is None else _texts(obs[time_column])
    doses, number, untreated, levels, notes = _doses(obs, dose_text, dose_column or LABELS, settings)
    time, time_notes = _times(obs, time_text, time_column)
    return Treatments(tuple(agent), tuple(doses), number, levels, time, untreated, (*notes, *time_notes))


def _column(obs: pd.DataFrame, key: str | None, names: Sequence[str], what: str) -> str | None:
    """The column that was named, or the first of the usual ones that says something."""
    if key is not None:
        return require_column(obs, key, what)
    unit_in_name = unit_in_dose_name if what == "dose" else unit_in_time_name
    by_unit = [c for c in map(str, obs.columns) if unit_in_name(c)]
    return next((c for c in (*find_columns(obs, names), *by_unit) if any(_texts(obs[c]))), None)


def _place(column: str) -> str:
    return "the ends of labels" if column == LABELS else f"obs[{column!r}]"


def _texts(values: pd.Series) -> list[str]:
    """Labels without blanks around them; empty where there is none."""
    codes, names = pd.factorize(values)
    texts = [f"{name:g}" if isinstance(name, float) else str(name).strip() for name in names]
    labels = ["" if text.casefold() in UNLABELLED else text for text in texts]
    return np.array([*labels, ""], dtype=object)[codes].tolist()


def _doses(obs: pd.DataFrame, texts: Sequence[str], where: str, settings: ReadSettings) -> DoseColumn:
    """Canonical doses, their numbers, which rows are untreated, the order of the doses, and sentences."""
    pairs = list(zip(texts, _units(obs, where, settings, len(texts)), strict=True))
    by_pair = {pair: _dose(*pair) for pair in set(pairs)}
    parsed = [by_pair[pair] for pair in pairs]
    none = {
        text
        for (text, _), dose in by_pair.items()
        if text and (kind_of_control(text) if dose is None else not dose.number)
    }
    untreated = np.array([text in none for text in texts], dtype=bool)
    treated = [(text, dose) for text, dose, none in zip(texts, parsed, untreated, strict=True) if not none]
    numbered = [dose for _, dose in treated if dose is not None]
    if not numbered or where.casefold() == "dose_level":
        return _levels(obs, texts, untreated, where)
    if odd := next((text for text, dose in treated if text and dose is None), ""):
        msg = f"{_place(where)} holds doses such as {numbered[0]} and also {odd!r}, which is not a dose: write a number with its unit."
        raise DataError(msg)
    _check_units(numbered, where)
    unit = usual_unit(numbered)
    same = [None if dose is None or none else dose.in_unit(unit) for dose, none in zip(parsed, untreated, strict=True)]
    number = np.array([np.nan if dose is None else dose.number for dose in same])
    levels = tuple(map(str, sorted({dose for dose in same if dose is not None}, key=lambda dose: dose.number)))
    others = sorted({dose.unit for dose in numbered} - {unit})
    converted = f"; {', '.join(others)} written as {unit}" if others else ""
    note = f"dose <- {_place(where)} ({count_of(len(levels), 'dose')}, {levels[0]} to {levels[-1]}{converted})"
    return ["" if dose is None else str(dose) for dose in same], number, untreated, levels, [note]


def _units(obs: pd.DataFrame, where: str, settings: ReadSettings, n: int) -> list[str]:
    """The unit of each row's bare number: as given, of a column, or in the name of the column of doses."""
    if settings.dose_unit is not None:
        return [settings.dose_unit] * n
    column = next(iter(find_columns(obs, DOSE_UNITS)), None)
    return _texts(obs[column]) if column else [unit_in_dose_name(where) or ""] * n


def _dose(text: str, unit: str) -> Dose | None:
    dose = parse_dose(text)
    return Dose(dose.number, unit_of_dose(unit) or "") if dose is not None and not dose.unit else dose


def _check_units(doses: Sequence[Dose], where: str) -> None:
    """Raise `DataError` for doses without a unit, and for two units of which none is a multiple of the other."""
    examples: dict[str, Dose] = {}
    for dose in doses:
        examples.setdefault(dose.quantity, dose)
    if "" in examples:
        bare = join_names(dict.fromkeys(str(dose) for dose in doses if not dose.unit), SHOWN)
        msg = f"the doses in {_place(where)} have no unit ({bare}): use --dose-unit uM (or nM, ug/mL, mg/kg, ...), or write it behind each number."
        raise DataError(msg, option="--dose-unit uM")
    if len(examples) > 1:
        (one, a), (other, b), *_ = examples.items()
        msg = (
            f"the doses in {_place(where)} are in units that measure different things, {a} ({one}) and {b} ({other}), and cannot stand "
            "on one scale: give a file for each, or leave doses out with --doses pool."
        )
        raise DataError(msg, option="--doses pool")


def _levels(obs: pd.DataFrame, texts: Sequence[str], untreated: np.ndarray, where: str) -> DoseColumn:
    """Doses that have names: as they are, in the order of their concentrations where a column has these."""
    doses = ["" if none else text for text, none in zip(texts, untreated, strict=True)]
    number = np.full(len(doses), np.nan)
    names = sorted(set(doses) - {""})
    if not names:
        return doses, number, untreated, (), []
    column = next((c for c in find_columns(obs, DOSES) if c != where and pd.api.types.is_numeric_dtype(obs[c])), None)
    order = ""
    if column is not None:
        treated = np.array([dose != "" for dose in doses])
        number = np.where(treated, obs[column].to_numpy(dtype=np.float64), np.nan)
        median = pd.Series(number).groupby(np.array(doses, dtype=object)).median()
        names = sorted(names, key=lambda name: (median.get(name, np.inf), name))
        order = f", in the order of obs[{column!r}]"
    elif all(name.casefold() in USUAL_LEVELS for name in names):
        names = sorted(names, key=lambda name: USUAL_LEVELS.index(name.casefold()))
    return doses, number, untreated, tuple(names), [f"dose <- {_place(where)} ({join_names(names)}{order})"]


USUAL_LEVELS = ("lowest", "very low", "low", "middle", "medium", "mid", "moderate", "high", "very high", "highest")


def _times(obs: pd.DataFrame, texts: Sequence[str], column: str | None) -> tuple[np.ndarray, list[str]]:
    """Hours, and sentences."""
    unit_column = next(iter(find_columns(obs, TIME_UNITS)), None)
    usual = "day" if column is not None and column.casefold() in DAYS else unit_in_time_name(column or "") or ""
    units = _texts(obs[unit_column]) if unit_column else [usual] * len(texts)
    units = [unit if hours_in(unit) else usual for unit in units]
    by_pair = {pair: parse_hours(*pair) for pair in set(zip(texts, units, strict=True))}
    hours = np.array([by_pair[pair] for pair in zip(texts, units, strict=True)], dtype=np.float64)
    unclear = sorted({text for text, value in zip(texts, hours, strict=True) if text and np.isnan(value)})
    levels = np.unique(hours[np.isfinite(hours)])
    shown = join_names(f"{level:g} h" for level in levels)
    notes = [f"time <- {_place(column or LABELS)} ({shown})"] if len(levels) else []
    if unclear:
        n = sum(text in set(unclear) for text in texts)
        notes.append(
            f"{count_of(n, 'row has', 'rows have')} no single time ({join_names(map(repr, unclear), SHOWN)}): theirs is left open"
        )
    return hours, notes
