"""Counts or log1p: decided once, from all values, and said ever after."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import scipy.sparse as sp

from cycseq.arrays import Matrix
from cycseq.errors import DataError, unknown_name

Scale = Literal["counts", "log1p", "scaled"]
SCALES: tuple[str, ...] = get_args(Scale)
HIGHEST_LOG1P = 15.0
"""log1p of counts per million is at most 13.8."""
TARGET_SUM = 1e4
"""log1p values are natural logarithms of 1 + counts per this many counts of a cell."""


def decide_scale(x: Matrix, said: str | None = None) -> Scale:
    """The scale of the values, from integrality and range, or as said if the values allow it.

    Parameters
    ----------
    x
        Cells x genes.
    said
        ``"counts"``, ``"log1p"``, ``"scaled"`` or None to find out.

    Raises
    ------
    DataError
        If values are NaN or infinite, or are not what was said, or fit neither counts nor log1p (five are shown).
    """
    if said is not None and said not in SCALES:
        raise unknown_name(said, "scale", SCALES)
    values = np.asarray(x.data if sp.issparse(x) else x).ravel()
    finite = np.isfinite(values)
    if not finite.all():
        msg = f"{int((~finite).sum()):,} values are NaN or infinite; every value must be a number. Remove or fill them."
        raise DataError(msg)
    lowest, highest = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    fractional = values[values != np.rint(values)]
    if said == "scaled":
        return "scaled"
    if lowest < 0:
        negative = _five(values[values < 0])
        msg = (
            f"some values are negative ({negative}): they are neither counts nor log1p. "
            "Give counts, or say --scale scaled if the genes were standardised."
        )
        raise DataError(msg)
    found: Scale | None = "counts" if fractional.size == 0 else "log1p" if highest <= HIGHEST_LOG1P else None
    if found is None:
        msg = (
            f"the values are neither counts nor log1p: some are fractional ({_five(fractional)}) and the largest is "
            f"{highest:.4g}, above {HIGHEST_LOG1P:.0f}. Give counts, or log1p of counts per {TARGET_SUM:,.0f}."
        )
        raise DataError(msg)
    if said is not None and said != found:
        shown = _five(fractional) if fractional.size else _five(values[values > 0])
        cure = "counts are whole numbers" if said == "counts" else "log1p values are fractional"
        msg = f"--scale {said} was said, but the values look like {found} ({shown}): {cure}. Say --scale {found}."
        raise DataError(msg)
    return found


def _five(values: np.ndarray) -> str:
    return ", ".join(f"{value:.4g}" for value in values[:5])
