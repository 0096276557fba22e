"""Whatever a user has in hand -> `PerturbationData` or `Effects`: a file, an AnnData, or either of the two themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import anndata as ad

from cycseq.data.dataset import PerturbationData
from cycseq.data.effects import Effects
from cycseq.data.either import Data
from cycseq.formats.effects.read import read_effects
from cycseq.formats.read import holds_effects, read
from cycseq.formats.settings import ReadSettings
from cycseq.settings import with_options

AnyData: TypeAlias = PerturbationData | Effects | ad.AnnData | Path | str


def as_data(source: AnyData, **options: Any) -> Data:
    """Cells or effects, read where they are not yet; `options` are fields of `ReadSettings`."""
    if isinstance(source, PerturbationData | Effects):
        return source
    settings = with_options(ReadSettings(), options, "read")
    return read_effects(source, settings) if holds_effects(source, settings) else read(source, settings)
