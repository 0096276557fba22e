"""What the numbers in a table of effects are: by what the file says of them, by the values where they are certain, or as given."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri_exp

from cycseq.data.effects import EffectScale, EffectValues
from cycseq.errors import DataError

TEXT_NAMES = ("scale", "effect_scale", "value", "values", "unit", "units")
"""Names in uns under which a file may say what its values are, in up to `LONGEST` characters."""
LONGEST = 1000
EXPRESSION = re.compile(r"intensit|\b(counts?|cpm|tpm|[fr]pkm|rma)\b|expression level|log-?normali[sz]ed", re.I)
"""What is said of values that are not differences."""
FOLD = re.compile(r"fold[ -_]?changes?|\blfc\b|log(?:2|10|e)?_?fc\b|\bln_?fc\b", re.I)
PATTERNS: tuple[tuple[re.Pattern[str], EffectScale], ...] = (
    (re.compile(r"\branks?\b", re.I), "rank"),
    (re.compile(r"\bz\b|z-?_?scores?|modz|standardi[sz]ed|t-?statistic", re.I), "z"),
    (re.compile(r"(delta|differences?|minus|change) .*log1p|log1p.*(delta|differences?|minus|change)", re.I), "log1p"),
)
SIGNED_P = re.compile(r"sign(ed)?[ _]?(\(\w+\) ?)?([x*] ?)?-? ?log[ _]?10[ _(]*p", re.I)
"""The sign of an effect times -log10 of its P value, as OP3's `de_train` has it: z-scores follow from it."""
BASES = (
    (re.compile(r"log[ _]?2|deseq", re.I), math.log(2)),
    (re.compile(r"log[ _]?10", re.I), math.log(10)),
    (re.compile(r"natural|\bln|log[ _]?e\b|base e", re.I), 1.0),
)
"""Of fold changes: what a file may say of the base, and what makes natural logarithms of it."""
USER_SCALES: dict[str, tuple[EffectScale, float]] = {
    "log1p": ("log1p", 1.0),
    "log_pseudobulk": ("log_pseudobulk", 1.0),
    "log_fold_change": ("log_fold_change", 1.0),
    "log2_fold_change": ("log_fold_change", math.log(2)),
    "z": ("z", 1.0),
    "rank": ("rank", 1.0),
}
"""What users say of effects, and what becomes of it."""
ALIKE = 1e-2  # rows hold the same values in another order where they differ by no more, once sorted
FEWEST_GENES = 50  # a table with fewer genes tells no ranks by its values


@dataclass(frozen=True)
class ScaleDecision:
    """The scale of a table of effects."""

    scale: EffectScale
    factor: float  # what the values are multiplied with; NaN for signed -log10 P values, which become z-scores
    reason: str  # how it is known, in words

    def convert(self, values: EffectValues) -> EffectValues:
        """Values or standard errors on the scale; the same memory where they are so already."""
        if np.isnan(self.factor):
            z = -ndtri_exp(-np.abs(values.astype(np.float64)) * math.log(10) - math.log(2))
            return (np.sign(values) * z).astype(np.float32)
        return values if self.factor == 1 else values * np.float32(self.factor)

    def note(self) -> str:
        """A sentence to print."""
        converted = "" if self.factor == 1 else f"; converted to natural logarithms (x {self.factor:.4f})"
        converted = "; z-scores of these two-sided P values" if np.isnan(self.factor) else converted
        return f"scale: {self.scale} ({self.reason}{converted})"


def decide_effect_scale(
    values: EffectValues, user_scale: str | None, uns: Mapping[str, Any], *, source: str = ""
) -> ScaleDecision:
    """The scale of a table of effects.

    The file may say it in `uns`, under any of `TEXT_NAMES`, or in `source`, a text beside the values such as the name of their
    column; `values` are NaN where nothing was measured. Raises `DataError` if neither file nor values tell, or `user_scale` is
    none of `USER_SCALES`.
    """
    if user_scale is not None:
        if user_scale not in USER_SCALES:
            raise DataError(f"--scale {user_scale} is not a scale of effects: say {', '.join(USER_SCALES)}.")
        return ScaleDecision(*USER_SCALES[user_scale], "as given")
    texts = [*([("the name of the values", source)] if source else []), *texts_of(uns)]
    for name, text in texts:
        if (decision := scale_in_text(text)) is not None:
            return ScaleDecision(*decision, f"{name} says {_short(text)!r}")
    if same_values_in_each_row(values):
        return ScaleDecision("rank", 1.0, "every row holds the same values in another order")
    shown = next((f"; {name} says {_short(text)!r}" for name, text in texts), "")
    msg = (
        f"the scale of the effects cannot be determined (values from {np.nanmin(values):.3g} to {np.nanmax(values):.3g}{shown}): "
        f"use --scale {', --scale '.join([*USER_SCALES][:-1])} or --scale rank."
    )
    raise DataError(msg, option="--scale log2_fold_change")


def scale_in_text(text: str) -> tuple[EffectScale, float] | None:
    """The scale that a text names, with the factor to natural logarithms; None where it names none for certain."""
    if SIGNED_P.search(text) and "rank" not in text.casefold():
        return "z", math.nan
    for pattern, scale in PATTERNS:  # a rank may be one of fold changes, not the other way round
        if pattern.search(text):
            return scale, 1.0
    if FOLD.search(text):
        return next((("log_fold_change", factor) for pattern, factor in BASES if pattern.search(text)), None)
    return None


def names_expression(text: str) -> bool:
    """Whether a text says that values are levels of expression, not differences."""
    return scale_in_text(text) is None and not FOLD.search(text) and EXPRESSION.search(text) is not None


def texts_of(uns: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The sentences under names that may tell the scale, with those names."""
    folded = {str(name).casefold(): name for name in reversed([*uns])}
    texts = [(folded[name], uns[folded[name]]) for name in TEXT_NAMES if name in folded]
    return [(f"uns[{name!r}]", text) for name, text in texts if isinstance(text, str) and len(text) <= LONGEST]


def same_values_in_each_row(values: EffectValues) -> bool:
    """Whether all rows are orders of the same values, as scores of ranks are where every row has all genes."""
    few = values[:: max(1, len(values) // 50)]
    if len(few) < 3 or few.shape[1] < FEWEST_GENES or np.isnan(few).any():
        return False
    ordered = np.sort(few, axis=1)
    return bool(np.abs(ordered - ordered[0]).max() <= ALIKE and np.unique(ordered[0]).size > FEWEST_GENES / 2)


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
