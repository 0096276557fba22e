"""Whatever a user has in hand -> `PerturbationData` or `Effects`: a file, an AnnData, or either of the two themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import anndata as ad

from cycseq.data.dataset import PerturbationData
from cycseq.data.effects import Effects
from cycseq.data.either import Data
from cycseq.formats.effects.anndata_files import written_by_cycseq
from cycseq.formats.effects.kind import is_effects
from cycseq.formats.effects.read import read_effects
from cycseq.formats.read import read
from cycseq.formats.settings import ReadSettings
from cycseq.settings import with_options

AnyData: TypeAlias = PerturbationData | Effects | ad.AnnData | Path | str


def as_data(source: AnyData, **options: Any) -> Data:
    """Cells or effects, read where they are not yet; `options` are fields of `ReadSettings`."""
    if isinstance(source, PerturbationData | Effects):
        return source
    settings = with_options(ReadSettings(), options, "read")
    effects = written_by_cycseq(source) if isinstance(source, ad.AnnData) else is_effects(source, settings)
    return read_effects(source, settings) if effects else read(source, settings)
