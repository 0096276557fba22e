"""Doses and times as people write them ("10 µM", "100nM", "2 days"), in the one form that names of conditions hold."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

UNITS = {
    "pM": ("molar", 1e-12), "nM": ("molar", 1e-9), "uM": ("molar", 1e-6), "mM": ("molar", 1e-3), "M": ("molar", 1.0),
    "pg/mL": ("mass in volume", 1e-12), "ng/mL": ("mass in volume", 1e-9), "ug/mL": ("mass in volume", 1e-6),
    "mg/mL": ("mass in volume", 1e-3), "ng/uL": ("mass in volume", 1e-6), "ug/L": ("mass in volume", 1e-9),
    "ug/kg": ("mass in body mass", 1e-6), "mg/kg": ("mass in body mass", 1e-3), "g/kg": ("mass in body mass", 1.0),
    "ng": ("mass", 1e-9), "ug": ("mass", 1e-6), "mg": ("mass", 1e-3),
    "mGy": ("radiation", 1e-3), "cGy": ("radiation", 1e-2), "Gy": ("radiation", 1.0),
    "U/mL": ("activity in volume", 1.0), "IU/mL": ("activity in volume", 1.0), "kU/mL": ("activity in volume", 1e3),
    "MOI": ("particles for each cell", 1.0), "%": ("share", 1.0),
}  # fmt: skip
"""Units of dose: what they measure, and how much one of them is."""
_FOLDED = {name.casefold(): name for name in UNITS if name not in {"M", "mM", "MOI"}} | {
    "mm": "mM", "moi": "MOI", "micromolar": "uM", "nanomolar": "nM", "millimolar": "mM", "um/l": "uM", "umol/l": "uM",
    "nmol/l": "nM", "mmol/l": "mM", "mcg/ml": "ug/mL", "mcm": "uM",
}  # fmt: skip
_NUMBER = r"(\d+(?:[.,]\d+)?(?:e[-+]?\d+)?|\.\d+)"
_DOSE = re.compile(rf"{_NUMBER}\s*([^\d\s].*)?", re.IGNORECASE)
_TIME_UNITS = {
    "": 1.0, "h": 1.0, "hr": 1.0, "hrs": 1.0, "hour": 1.0, "hours": 1.0, "hpi": 1.0, "hpt": 1.0,
    "d": 24.0, "day": 24.0, "days": 24.0, "dpi": 24.0, "w": 168.0, "week": 168.0, "weeks": 168.0,
    "min": 1 / 60, "mins": 1 / 60, "minute": 1 / 60, "minutes": 1 / 60, "s": 1 / 3600, "sec": 1 / 3600,
}  # fmt: skip
"""Hours in each unit of time."""
_ENDING = re.compile(rf"(.+?)[\s_]+({_NUMBER}\s?[^\s\d_]+)", re.IGNORECASE)
"""A name, and a number with a word behind it."""
_DOSE_COLUMN = re.compile(r"(?:dose|conc|concentration)[ _.(\[]+(.+?)[)\]]?", re.IGNORECASE)
_TIME_COLUMN = re.compile(
    r"(?:(?:treatment|stim|stimulation|exposure)_)?(?:time|time_?point|duration)[ _.(\[]+(.+?)[)\]]?"
    r"|([a-z]+?)s?_(?:post|after)(?:_\w+)?",
    re.IGNORECASE,
)
_TIME = re.compile(rf"{_NUMBER}\s*([a-z]*)|([a-z]+)[ _-]*{_NUMBER}", re.IGNORECASE)


@dataclass(frozen=True)
class Dose:
    """A number with its unit."""

    number: float
    unit: str  # a key of `UNITS`; empty for a bare number

    def __str__(self) -> str:
        return f"{self.number:g}{self.unit}"

    @property
    def quantity(self) -> str:
        """What the unit measures, in words; empty for a bare number."""
        return UNITS[self.unit][0] if self.unit else ""

    def in_unit(self, unit: str) -> Dose:
        """The same dose in another unit of the same quantity."""
        number = self.number * (UNITS[self.unit][1] / UNITS[unit][1])
        return Dose(float(f"{number:.9g}"), unit)  # 0.3, not 0.30000000000000004


LEVELS = {"low": 1.0, "middle": 2.0, "medium": 2.0, "mid": 2.0, "high": 3.0}  # Names of doses, in their order


def place_of_dose(dose: str | None) -> tuple[str, float] | None:
    """Where a dose stands among others: what its unit measures, and the logarithm of the amount. None where it has no order.

    Named levels (Low, Middle, High) are one step apart; a dose of 0 has no logarithm.

    Examples
    --------
    >>> place_of_dose("1uM"), place_of_dose("Middle")
    (('molar', -6.0), ('level', 2.0))
    """
    if dose is None:
        return None
    if dose.casefold() in LEVELS:
        return "level", LEVELS[dose.casefold()]
    parsed = parse_dose(dose)
    if parsed is None or parsed.number <= 0:
        return None
    size = UNITS[parsed.unit][1] if parsed.unit else 1.0
    return parsed.quantity, round(math.log10(parsed.number * size), 9)


def unit_of_dose(text: str) -> str | None:
    """``"uM"`` for ``"µM"``; None for what is not a unit of dose."""
    plain = text.strip().replace("\N{MICRO SIGN}", "u").replace("\N{GREEK SMALL LETTER MU}", "u").replace(" ", "")
    return plain if plain in UNITS else _FOLDED.get(plain.casefold())


def unit_in_dose_name(column: str) -> str | None:
    """``"uM"`` for ``dose_uM`` and ``concentration (µM)``; None for what names no dose with its unit."""
    match = _DOSE_COLUMN.fullmatch(column)
    return unit_of_dose(match[1]) if match else None


def unit_in_time_name(column: str) -> str | None:
    """``"min"`` for ``time_min``, ``"hour"`` for ``hours_post``; None for what names no time with its unit."""
    match = _TIME_COLUMN.fullmatch(column)
    unit = (match[1] or match[2]) if match else ""
    return unit if hours_in(unit) else None


def parse_dose(text: str) -> Dose | None:
    """A number with or without a unit; None for what is neither, such as the name of a level.

    Examples
    --------
    >>> print(parse_dose("10 µM"), parse_dose("0.1"), parse_dose("Middle"))
    10uM 0.1 None
    """
    match = _DOSE.fullmatch(text.strip())
    if match is None:
        return None
    unit = unit_of_dose(match[2]) if match[2] else ""
    return None if unit is None else Dose(float(match[1].replace(",", ".")), unit)


def usual_unit(doses: Iterable[Dose]) -> str:
    """The unit that most of the doses have; of several the largest."""
    counts = Counter(dose.unit for dose in doses)
    return min(counts, key=lambda unit: (-counts[unit], -UNITS[unit][1]))


def parse_hours(text: str, unit: str = "") -> float | None:
    """A time in hours; None for what is not a time.

    `unit` is that of a bare number: hours, if empty.

    Examples
    --------
    >>> parse_hours("2 days"), parse_hours("day 3"), parse_hours("30 min"), parse_hours("24")
    (48.0, 72.0, 0.5, 24.0)
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        return None
    number, word = (match[1], match[2]) if match[1] else (match[4], match[3])
    hours = _TIME_UNITS.get((word or unit).casefold())
    return None if hours is None else round(float(number.replace(",", ".")) * hours, 6)


def hours_in(unit: str) -> bool:
    """Whether a word is a unit of time."""
    return bool(unit) and unit.casefold() in _TIME_UNITS


def parse_treatment(label: str) -> tuple[str, str, str]:
    """Agent, dose and time of a label that ends in them, as text; empty where it does not.

    Only doses with a unit count, and times with one, set off by a blank or an underscore.

    Examples
    --------
    >>> parse_treatment("trametinib 100 nM"), parse_treatment("IFN_beta_6h")
    (('trametinib', '100 nM', ''), ('IFN_beta', '', '6h'))
    """
    agent, time = _split_end(label, _is_time)
    agent, dose = _split_end(agent, _is_dose)
    if not time:
        agent, time = _split_end(agent, _is_time)
    return agent, dose, time


def _is_time(text: str) -> bool:
    return parse_hours(text) is not None


def _is_dose(text: str) -> bool:
    dose = parse_dose(text)
    return dose is not None and dose.unit not in {"", "M"}  # CD 44M is a name


def _split_end(label: str, fits: Callable[[str], bool]) -> tuple[str, str]:
    """The label without its last word, and that word, if it fits."""
    match = _ENDING.fullmatch(label.strip())
    return (label.strip(), "") if match is None or not fits(match[2]) else (match[1].rstrip(" _"), match[2])
