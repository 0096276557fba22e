"""Cells of any known format -> `PerturbationData`, checked."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import anndata as ad

from cycseq.data.dataset import PerturbationData
from cycseq.errors import DataError, FileError
from cycseq.formats.effects.anndata_files import written_by_cycseq
from cycseq.formats.effects.kind import is_effects
from cycseq.formats.load import default_context, load
from cycseq.formats.settings import ReadSettings
from cycseq.formats.treated_cells import validate_treatments
from cycseq.settings import with_options


def read(source: Path | str | ad.AnnData, settings: ReadSettings | None = None, **options: Any) -> PerturbationData:
    """Read any known format, or take an AnnData, and check it.

    Parameters
    ----------
    source
        A file, a folder, or for 10x matrices what the names of their files begin with; or cells x genes in memory, which are
        not changed.
    settings
        What is not to be found by itself.
    options
        The same by name: ``perturbation_key="condition"``, ``context_key="patient"``, ``control="ctrl"`` and all other fields
        of `ReadSettings`.

    Returns
    -------
    PerturbationData
        Cells x genes, float32, sparse where the file is; its `notes` say which labels and which scale were chosen.

    Raises
    ------
    FileError
        If the file is missing, damaged, or of no known format.
    DataError
        If labels, names or values are not what they must be, or the data are effects (`cycseq.read_effects`).

    Examples
    --------
    >>> import cycseq
    >>> data = cycseq.read("cells.h5ad")
    >>> data.n_cells, data.contexts, data.scale
    (900, ('Line1', 'Line2', 'Line3'), 'log1p')
    """
    settings = with_options(settings or ReadSettings(), options, "read")
    contents, context = load(source, settings), default_context(source)
    try:
        if settings.doses == "separate":
            return validate_treatments(contents, settings, context)
        return contents.validate(settings, context)
    except DataError as err:
        with suppress(FileError):  # of a table that is empty nobody can tell
            if holds_effects(source, settings):
                what = "this AnnData" if isinstance(source, ad.AnnData) else source
                msg = f"{what} holds effects of conditions, not cells: commands that work on effects take it as it is, and cycseq.read_effects reads it in Python."
                raise DataError(msg) from err
        raise


def holds_effects(source: Path | str | ad.AnnData, settings: ReadSettings) -> bool:
    """Whether a file or an AnnData holds effects of conditions rather than cells."""
    return written_by_cycseq(source) if isinstance(source, ad.AnnData) else is_effects(source, settings)
