"""Reading predicted cells, of cycseq or of another tool, beside the real ones that they are compared with."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

from cycseq.data.control_labels import split_names
from cycseq.data.dataset import PerturbationData
from cycseq.data.lookalikes import NoLogarithmError
from cycseq.data.mark import values_unchanged
from cycseq.data.scale import HIGHEST_LOG1P, summarize_values
from cycseq.data.usual_names import NO_CONTROL
from cycseq.data.validate import float32
from cycseq.errors import DataError
from cycseq.formats.load import default_context, load
from cycseq.formats.readers.base import FileContents, are_numbers
from cycseq.formats.settings import ReadSettings
from cycseq.formats.treated_cells import validate_treatments
from cycseq.matrix.arrays import in_memory
from cycseq.preparation.same_scale import check_same_scale

SLIGHT = 0.1
"""Values below 0 are kept where their sum is at most this share of that of the values above: standardised values have 1."""


def of_real(settings: ReadSettings) -> ReadSettings:
    """The same for the real file, whose values never lie in obsm."""
    return dataclasses.replace(settings, layer=None) if (settings.layer or "").startswith("obsm/") else settings


def read_predicted(path: Path | ad.AnnData, settings: ReadSettings, real: PerturbationData) -> PerturbationData:
    """Predicted cells as other tools write them.

    Control cells among them may bear other labels than the real ones, or be absent; where no column names the
    context, it is that of the real cells, if they have one alone; values slightly below 0, as a linear last layer
    makes them, are kept and said. Raises `FileError` if the file is missing, damaged, or of no known format, and `DataError` if
    labels, names or values are not what they must be; or if the predicted cells are on another scale than the real ones
    (`check_same_scale`), unless the settings say that they are log1p.
    """
    data = _read(path, settings, real)
    if settings.scale != "log1p":
        check_same_scale(data, real)
    return data


def _read(path: Path | ad.AnnData, settings: ReadSettings, real: PerturbationData) -> PerturbationData:
    loaded = load(path, settings)
    if are_numbers(loaded.adata.var_names) and not are_numbers(pd.Index(real.genes)):
        msg = (
            f"the genes of {path if isinstance(path, Path) else 'the predicted cells'} have numbers instead of names (State writes its predictions so): use --genes-file FILE, "
            "one name a line in the order of the columns."
        )
        raise DataError(msg, option="--genes-file FILE")
    context = real.contexts[0] if len(real.contexts) == 1 else default_context(path)
    if settings.scale is None and (below := _slightly_below_zero(loaded)):
        data = _first_that_fits(loaded, dataclasses.replace(settings, scale="scaled"), context)
        return PerturbationData(data.adata, "log1p", notes=(*data.notes[:-1], below))
    try:
        return _first_that_fits(loaded, settings, context)
    except (
        NoLogarithmError
    ):  # real cells with a factor for each gene, say: what scale they are on is compared with the real ones
        data = _first_that_fits(loaded, dataclasses.replace(settings, scale="log1p"), context)
        notes = tuple(note.replace("as given", "as the real cells, which they were made of") for note in data.notes)
        return PerturbationData(data.adata, "log1p", notes=notes)


def _first_that_fits(loaded: FileContents, settings: ReadSettings, context: str) -> PerturbationData:
    labels = split_names(settings.control or "")
    others = [*(labels if len(labels) > 1 else []), *([None] if settings.control else [])]
    for control in (settings.control, *others):
        with contextlib.suppress(DataError):
            return _validate(loaded, dataclasses.replace(settings, control=control), context)
    return _validate(loaded, dataclasses.replace(settings, control=NO_CONTROL), context)


def _validate(loaded: FileContents, settings: ReadSettings, context: str) -> PerturbationData:
    """As the real cells are: doses and times are told apart where that was asked for."""
    return (validate_treatments if settings.doses == "separate" else FileContents.validate)(loaded, settings, context)


def _slightly_below_zero(loaded: FileContents) -> str:
    """What to say of log1p values some of which are slightly below 0; nothing where there are none, or more than that."""
    if loaded.adata.X is None or values_unchanged(loaded.adata):
        return ""
    x: Any = float32(loaded.adata.X)
    if not in_memory(x):  # what may lie below zero is looked for in values that fit into memory
        return ""
    summary = summarize_values(x)
    values = x if isinstance(x, np.ndarray) else x.data
    if summary.lowest >= 0 or summary.n_broken or not summary.n_fractional or summary.highest > HIGHEST_LOG1P:
        return ""
    negative = values < 0
    below = float(-values.sum(where=negative, dtype=np.float64))
    if below > SLIGHT * float(values.sum(where=~negative, dtype=np.float64)):
        return ""
    return (
        f"scale: log1p; {int(negative.sum()):,} values ({negative.sum() / (x.shape[0] * x.shape[1]):.1%}) are below 0, "
        f"down to {summary.lowest:.3g}, and are scored as they are"
    )
