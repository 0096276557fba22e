"""Whatever a user has in hand -> `PerturbationData` or `Effects`: a file, an AnnData, or either of the two themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import anndata as ad

from cycseq.data.dataset import PerturbationData
from cycseq.data.effects import Effects
from cycseq.data.either import Data
from cycseq.data.label_columns import find_columns
from cycseq.data.usual_names import CONTROL, PERTURBATION_NAMES
from cycseq.errors import DataError
from cycseq.formats.effects.read import read_effects
from cycseq.formats.load import default_context, load
from cycseq.formats.read import holds_effects, read
from cycseq.formats.settings import READING, ReadSettings, refuse_reading
from cycseq.settings import with_options

AnyData: TypeAlias = PerturbationData | Effects | ad.AnnData | Path | str


def as_data(source: AnyData, **options: Any) -> Data:
    """Cells or effects, read where they are not yet; `options` are fields of `ReadSettings`, refused where they would do nothing."""
    if isinstance(source, PerturbationData | Effects):
        refuse_reading(options)
        return source
    settings = with_options(ReadSettings(), options, "read")
    return read_effects(source, settings) if holds_effects(source, settings) else read(source, settings)


def as_controls(source: ad.AnnData | Path | str, settings: ReadSettings) -> PerturbationData:
    """Control cells of the user's own; where no column names a perturbation, all of them are controls. Raises as `read`."""
    contents = load(source, settings)
    cells = contents.adata
    if settings.perturbation_key not in cells.obs and not find_columns(cells.obs, PERTURBATION_NAMES):
        obs = cells.obs.assign(perturbation=CONTROL)
        adata = ad.AnnData(X=cells.X, obs=obs, var=cells.var, uns=cells.uns, obsm=cells.obsm)
        contents = replace(contents, adata=adata)
        settings = replace(settings, perturbation_key="perturbation", control=CONTROL)
    data = contents.validate(settings, default_context(source))
    if CONTROL not in data.adata.obs["perturbation"].unique():
        what = "this AnnData" if isinstance(source, ad.AnnData) else source
        raise DataError(f"{what} has no control cells: name their label with --control.")
    return data


def reading_apart(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options that say how data are read, and the others."""
    return {k: v for k, v in options.items() if k in READING}, {k: v for k, v in options.items() if k not in READING}
