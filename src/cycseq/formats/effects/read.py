"""Files -> `Effects`."""

from __future__ import annotations

from pathlib import Path

import anndata as ad

from cycseq.data.effects import Effects
from cycseq.formats.effects.anndata_files import load_anndata, read_ours, table_of_anndata, written_by_cycseq
from cycseq.formats.effects.from_table import effects_of_table
from cycseq.formats.read import default_context
from cycseq.formats.settings import ReadSettings
from cycseq.io.special_files import refuse_special


def read_effects(source: Path | str | ad.AnnData, settings: ReadSettings | None = None) -> Effects:
    """Read a table of effects: what perturbations change, in rows of conditions.

    Parameters
    ----------
    source
        An h5ad or zarr file, or an AnnData of conditions x genes.
    settings
        What is not to be found: `scale`, `layer`, `perturbation_key`, `context_key`, `dose_key`, `dose_unit`, `time_key`,
        `doses` and others.

    Returns
    -------
    Effects
        One row for each condition: rows of one condition are replaced by their mean. Its `notes` say what was found and
        chosen. ``obs["dose_value"]`` holds the number of each dose; other columns are kept where a condition has one value.

    Raises
    ------
    FileError
        If the file is missing, damaged, or of no known format.
    DataError
        If labels, doses, scale or values are not what they must be; the message names the cure.
    """
    settings = settings or ReadSettings()
    if isinstance(source, ad.AnnData):
        adata = source.to_memory() if source.isbacked else source
        table, context = table_of_anndata(adata, "", "AnnData"), settings.context_name or "all"
    else:
        path = refuse_special(Path(source))
        (adata, table), context = load_anndata(path, settings), settings.context_name or default_context(path)
    if written_by_cycseq(adata) and settings.layer is None:
        return read_ours(adata)
    return effects_of_table(table, settings, context)
